//! `fanwire.serve.toml`, and the table `[serve]`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod reference;

use std::path::Path;

use fanwire_app::serve::cluster::NatsCredentials;
use fanwire_app::serve::listen::ListenAt;
use fanwire_app::serve::telemetry::{Telemetry, TelemetryAddress};
use fanwire_app::serve::tls::{ClientCertificates, LETS_ENCRYPT, TlsVersion};
use fanwire_app::serve::{FILE_NAME, LoadedServe, Serve, load};
use fanwire_app::{LoadError, LoadOptions};

const DOCUMENTATION: &str = include_str!("../../../docs/fanwire-serve-toml.md");

fn load_text(name: &str, text: &str) -> Result<LoadedServe, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    load(None, &folder.path().join("fanwire.toml"), &LoadOptions::default())
}

#[test]
fn a_project_without_settings_has_the_defaults() {
    let loaded = load(None, Path::new("/nowhere/serverless.yml"), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.serve, Serve::default());
    assert_eq!(loaded.files, [Path::new("/nowhere").join(FILE_NAME)]);
}

#[test]
fn the_file_and_the_table_say_the_same() {
    let file = load_text(FILE_NAME, "[[listen]]\naddress = \"[::]:443\"\n").unwrap();
    let table = "name = \"x\"\n[[serve.listen]]\naddress = \"[::]:443\"\n";
    assert_eq!(file.serve, load_text("fanwire.toml", table).unwrap().serve);
    assert_eq!(file.serve.listeners[0].at, ListenAt::Address("[::]:443".parse().unwrap()));
}

#[test]
fn a_mistake_is_told_with_its_place_and_the_nearest_name() {
    let error = load_text(FILE_NAME, "[access]\nallow_anonymous = [\"conections\"]\n").unwrap_err();
    let said = error.to_string();
    assert!(said.contains("fanwire.serve.toml:2:20"), "{said}");
    assert!(said.contains("did you mean `connections`?"), "{said}");
}

#[test]
fn certificates_come_from_files_and_from_authorities() {
    let text = "[tls]\nmin_version = \"1.3\"\nclient_ca = \"clients.pem\"\n\
                [[tls.certificates]]\ncertificate = \"a.pem\"\nkey = \"/keys/a.pem\"\n\
                [tls.acme]\ndomains = [\"Chat.Example.com\", \"chat.example.com\"]\n\
                contact = \"ops@example.com\"\naccept_terms = true\n\
                eab_id = \"kid\"\neab_key_file = \"eab.key\"\n";
    let tls = load_text(FILE_NAME, text).unwrap().serve.tls.unwrap();
    assert!(tls.certificates[0].certificate.ends_with("a.pem"));
    assert_eq!(tls.certificates[0].key, Path::new("/keys/a.pem"));
    assert_eq!(tls.min_version, TlsVersion::V1_3);
    assert_eq!(tls.client_certificates, ClientCertificates::Required);
    let acme = tls.acme.unwrap();
    assert_eq!(acme.domains, ["chat.example.com"]);
    assert_eq!(acme.contact, ["mailto:ops@example.com"]);
    assert_eq!(acme.directory, LETS_ENCRYPT);
    assert!(acme.account.unwrap().key_file.ends_with("eab.key"));
}

#[test]
fn what_no_authority_would_issue_is_told_before_it_is_asked() {
    let acme = |rest: &str| format!("[tls.acme]\n{rest}\n");
    for (text, expected) in [
        ("[tls]\n".to_owned(), "[tls] has no certificates"),
        (acme("domains = \"a.com\""), "accept_terms"),
        (acme("domains = \"a.com\"\naccept_terms = false"), "without agreement"),
        (acme("domains = \"*.a.com\"\naccept_terms = true"), "by DNS alone"),
        (acme("domains = \"10.0.0.1\"\naccept_terms = true"), "is an address"),
        (acme("domains = \"localhost\"\naccept_terms = true"), "no public name"),
        (acme("domains = \"a/../b.com\"\naccept_terms = true"), "no public name"),
        (acme("domains = []\naccept_terms = true"), "1 to 100"),
        (acme("domains = \"a.com\"\naccept_terms = true\neab_id = \"x\""), "both eab_id"),
        (acme("domains = \"a.com\"\naccept_terms = true\ncontact = \"me\""), "no address of mail"),
        (acme("domains = \"a.com\"\naccept_terms = true\ndirectory = \"http://x\""), "https://"),
        (
            "[tls]\nclient_certificates = \"optional\"\n[[tls.certificates]]\n\
             certificate = \"a\"\nkey = \"b\"\n"
                .to_owned(),
            "client_ca",
        ),
    ] {
        let said = load_text(FILE_NAME, &text).unwrap_err().to_string();
        assert!(said.contains(expected), "{text}: {said}");
    }
}

const KEY: &str = "[access.keys.a]\nid = \"AKID\"\nallow = [\"iot:Publish a/*\"]\n";

#[test]
fn a_secret_is_not_shown() {
    let text = format!("{KEY}secret = \"hunter2 of some length\"\n");
    let loaded = load_text(FILE_NAME, &text).unwrap();
    let key = &loaded.serve.access.credentials.keys[0];
    assert_eq!(key.secret.reveal(), "hunter2 of some length");
    let shown = format!("{:?} {}", loaded.serve, serde_json::to_string(&loaded.serve).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_secret_that_is_found_by_trying_is_refused() {
    for (table, key) in [("keys.a", "secret"), ("tokens.a", "token"), ("api_keys.a", "value")] {
        let id = if key == "secret" { "id = \"AKID\"\n" } else { "" };
        let allow = if key == "value" { "" } else { "allow = [\"*\"]\n" };
        let said = |line: &str| {
            let text = format!("[access.{table}]\n{id}{allow}{line}");
            load_text(FILE_NAME, &text).unwrap_err().to_string()
        };
        let short = said(&format!("{key} = \"hunter2\"\n"));
        assert!(short.contains("so short that it is found by trying"), "{short}");
        assert!(!short.contains("hunter2"), "{short}");
        let none = said("");
        assert!(none.contains(&format!("`a` has no `{key}`")), "{none}");
    }
}

#[test]
fn secrets_come_from_files_and_a_permission_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "a secret of some length\n").unwrap();
    let file = folder.path().join(FILE_NAME);
    let load_key = |text: String| {
        std::fs::write(&file, text).unwrap();
        load(None, &folder.path().join("fanwire.toml"), &LoadOptions::default())
    };
    let loaded = load_key(format!("{KEY}secret_file = \"secret\"\n")).unwrap();
    let key = &loaded.serve.access.credentials.keys[0];
    assert_eq!(key.secret.reveal(), "a secret of some length");
    assert!(loaded.files.contains(&folder.path().join("secret")));
    let missing = load_key(format!("{KEY}secret_file = \"nothing\"\n")).unwrap_err().to_string();
    assert!(missing.contains("nothing cannot be read"), "{missing}");
    let wrong = KEY.replace("iot:Publish", "iot:Publsh") + "secret_file = \"secret\"\n";
    let wrong = load_key(wrong).unwrap_err().to_string();
    assert!(wrong.contains("did you mean `iot:Publish`?"), "{wrong}");
}

#[test]
fn a_rate_without_a_burst_has_that_of_a_second() {
    let text =
        "[limits]\nconnect_rate = 5\nmessage_rate = 5\nmessage_burst = 50\nbyte_rate = \"1KB\"\n";
    let limits = load_text(FILE_NAME, text).unwrap().serve.limits;
    let rate =
        |rate: Option<fanwire_app::serve::limits::Rate>| rate.map(|r| (r.per_second, r.burst));
    assert_eq!(rate(limits.connect_rate), Some((5, 5)));
    assert_eq!(rate(limits.message_rate), Some((5, 50)));
    assert_eq!(rate(limits.byte_rate), Some((1024, 1024)));
}

#[test]
fn a_cluster_is_named_with_who_this_node_is_to_nats() {
    let text = "[cluster]\nnats = \"tls://nats.internal:4222\"\nuser = \"fanwire\"\n\
                password = \"hidden\"\nreplicas = 3\nlease = \"10s\"\n\
                [cluster.tls]\nca = \"nats.pem\"\ncertificate = \"a.pem\"\nkey = \"/keys/a.pem\"\n";
    let cluster = load_text(FILE_NAME, text).unwrap().serve.cluster.unwrap();
    assert_eq!(cluster.nats[0].reveal(), "tls://nats.internal:4222");
    assert_eq!((cluster.replicas, cluster.lease.as_secs()), (3, 10));
    let NatsCredentials::User { user, password } = &cluster.credentials else { panic!() };
    assert_eq!((user.as_str(), password.reveal()), ("fanwire", "hidden"));
    assert!(cluster.tls.ca.as_ref().unwrap().ends_with("nats.pem"));
    let shown = format!("{cluster:?}{}", serde_json::to_string(&cluster).unwrap());
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn a_cluster_that_could_not_work_is_told_before_nats_is_asked() {
    let cluster = |rest: &str| format!("[cluster]\nnats = \"nats://a\"\n{rest}\n");
    for (text, expected) in [
        ("[cluster]\nname = \"x\"\n".to_owned(), "nats"),
        (cluster("replicas = 2"), "1, 3 or 5"),
        (cluster("lease = \"1s\""), "2s to 600s"),
        (cluster("user = \"a\"\ntoken = \"b\""), "more than one way"),
        (cluster("password = \"b\""), "`user`"),
        (cluster("password_file = \"/nowhere/password\""), "`user`"),
        (cluster("token_file = \"/nowhere/token\""), "cannot be read"),
        (cluster("tls = { certificate = \"a.pem\" }"), "`certificate` and `key`"),
    ] {
        let said = load_text(FILE_NAME, &text).unwrap_err().to_string();
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn metrics_are_told_at_the_usual_place_unless_another_one_or_none_is_named() {
    let read = |text: &str| load_text(FILE_NAME, text).map(|loaded| loaded.serve.telemetry);
    let usual = Telemetry::default();
    assert_eq!(read("[telemetry]\n").unwrap(), usual);
    assert_eq!(usual.address.address(), Some("127.0.0.1:9464".parse().unwrap()));
    let named = read("[telemetry]\naddress = \"[::1]:1234\"\n").unwrap();
    assert_eq!(named.address, TelemetryAddress::At("[::1]:1234".parse().unwrap()));
    let none = read("[telemetry]\naddress = \"none\"\n").unwrap();
    assert_eq!(none.address.address(), None);
    let error = read("[telemetry]\naddress = \"localhost\"\n").unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:9464"), "{error}");
}

#[test]
fn calls_are_written_to_a_file_of_a_bounded_size() {
    let text =
        "[telemetry]\naudit_file = \"calls.log\"\naudit_max_size = \"1MB\"\naudit_keep = 0\n";
    let audit = load_text(FILE_NAME, text).unwrap().serve.telemetry.audit.unwrap();
    assert!(audit.file.is_absolute() && audit.file.ends_with("calls.log"));
    assert_eq!((audit.max_bytes, audit.keep), (1 << 20, 0));
}

#[test]
fn variables_are_told_that_secrets_come_from_and_no_others() {
    let key = "id = \"AKIDEXAMPLE\"\nsecret = \"${env:SECRET}\"\nallow = [\"*\"]\n";
    let file = format!("data = \"/${{env:NAME}}\"\n[access.keys.a]\n{key}");
    let table = format!("name = \"${{env:NAME}}\"\n[serve.access.keys.a]\n{key}");
    let mut options = LoadOptions::default();
    for name in ["SECRET", "NAME"] {
        options.environment.insert(name.to_owned(), "a secret that is long".to_owned());
    }
    for (name, text) in [(FILE_NAME, file), ("fanwire.toml", table)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        let loaded = load(None, &folder.path().join("fanwire.toml"), &options).unwrap();
        assert!(loaded.serve.variables.iter().eq(["SECRET"]), "{name}");
    }
}

#[test]
fn every_example_of_the_documentation_is_right() {
    let page = include_str!("../../../docs/serve.md");
    let examples =
        [DOCUMENTATION, page].into_iter().flat_map(|page| page.split("```toml\n").skip(1));
    let mut options = LoadOptions::default();
    options.environment.insert("BACKEND_SECRET".to_owned(), "a secret that is long".to_owned());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("backend.secret"), "a secret that is long").unwrap();
    for example in examples {
        let text = example.split("```").next().unwrap().replace("/etc/chat/backend", "backend");
        std::fs::write(folder.path().join(FILE_NAME), &text).unwrap();
        if let Err(error) = load(None, &folder.path().join("fanwire.toml"), &options) {
            panic!("{text}\n{error}");
        }
    }
}

#[test]
fn the_documentation_lists_every_key_as_the_schema_does() {
    reference::assert_documents(DOCUMENTATION, &fanwire_app::serve::schema(), FILE_NAME);
}
