//! `[realtime]` and `[links]` of `fanwire.toml`: what they can say, and what is said
//! about wrong ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use fanwire_app::model::{
    AccessList, Denied, Durability, JwksSource, Links, Profile, Realtime, RealtimeLimits,
    RealtimeProtocol, SERVER_ADDRESS, SqlVersion,
};
use fanwire_app::{App, LoadError, LoadOptions, Loaded, load};

const HEAD: &str = "name = \"chat\"\n[functions.save]\nhandler = \"a.b\"\n";

/// Loads a text, after a head of three lines, in a folder with some files.
fn load_with(text: &str, files: &[(&str, &str)]) -> Result<Loaded, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let file = folder.path().join("fanwire.toml");
    std::fs::write(&file, format!("{HEAD}{text}")).unwrap();
    load(&file, &LoadOptions::default())
}

fn app(text: &str) -> App {
    load_with(text, &[]).unwrap_or_else(|error| panic!("{error}")).app
}

fn realtime(text: &str) -> Realtime {
    app(text).realtime.unwrap()
}

/// Asserts that a file has one fault, and what is said about it.
#[track_caller]
fn assert_fault(text: &str, place: (usize, usize), parts: &[&str]) {
    let error = load_with(text, &[]).map(|loaded| loaded.app).unwrap_err();
    let found = error.diagnostics[0].place.as_ref().unwrap();
    assert_eq!((found.line, found.column), place, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in\n{error}");
    }
}

#[test]
fn an_app_without_the_table_has_no_realtime_endpoint() {
    assert_eq!(app("").realtime, None);
}

#[test]
fn sst_s_example_needs_an_authorizer_and_a_subscriber() {
    let realtime = realtime(
        "[realtime]\nname = \"MyRealtime\"\n[realtime.authorizers.gate]\nfunction = \"save\"\n\
         [realtime.subscribers.save]\nfilter = \"chat/dev/#\"\nfunction = \"save\"\n",
    );
    assert_eq!((realtime.name.as_str(), realtime.path.as_str()), ("MyRealtime", "/mqtt"));
    let gate = &realtime.authorizers["gate"];
    assert_eq!((gate.token_key.as_deref(), gate.public_keys.len()), (None, 0));
    assert_eq!((realtime.default_authorizer, realtime.allow_anonymous), (None, false));
    let rule = &realtime.rules["save"];
    assert_eq!(rule.sql, "SELECT * FROM 'chat/dev/#'");
    assert_eq!((rule.sql_version, rule.enabled), (SqlVersion::V2016_03_23, true));
    assert_eq!(rule.plain_filter(), Some("chat/dev/#"));
    assert_eq!(realtime.limits, RealtimeLimits::of(Profile::Aws));
    assert_eq!((realtime.profile, realtime.durability), (Profile::Aws, Durability::Written));
}

#[test]
fn everything_can_be_said() {
    let text = include_str!("native/every_key.toml");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fanwire.toml"), text).unwrap();
    let app = load(folder.path(), &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}")).app;
    let realtime = app.realtime.unwrap();
    assert_eq!((realtime.profile, realtime.durability), (Profile::Open, Durability::Synced));
    assert_eq!(realtime.authorizers["gate"].token_key.as_deref(), Some("token"));
    let alice = &realtime.users["alice"];
    assert!(alice.password.starts_with("$argon2id$"));
    assert_eq!(alice.access.publish, ["chat/${principal}/*"]);
    assert_eq!(alice.access.receive, ["chat/public/*"]);
    let jwt = realtime.jwt.unwrap();
    let url = "https://example.com/.well-known/jwks.json".to_owned();
    assert_eq!((jwt.jwks, jwt.audience), (JwksSource::Url(url), vec!["chat".to_owned()]));
    assert_eq!((jwt.principal_claim.as_str(), jwt.access.retain), ("email", true));
    assert!(!realtime.rules["messages"].enabled);
    let alarms = &realtime.rules["alarms"];
    assert_eq!((alarms.sql_version, alarms.plain_filter()), (SqlVersion::V2015_10_08, None));
    assert_eq!(alarms.error_function.as_deref(), Some("node"));
    let listener = realtime.listeners[0];
    assert_eq!(listener.address, "127.0.0.1:8883".parse().unwrap());
    assert_eq!((listener.protocol, listener.tls), (RealtimeProtocol::WebSocket, true));
    let limits = realtime.limits;
    assert_eq!(limits.keep_alive_default, Some(Duration::from_secs(300)));
    assert_eq!((limits.publishes_per_second, limits.bytes_per_second), (Some(19), Some(20_480)));
    assert_eq!(limits.denied_subscribe, Denied::Close);
    assert_eq!(limits.denied_publish, Denied::Conceal);
    assert_eq!(limits.max_rule_events, 22);
    let bucket = &app.links["Bucket"];
    assert_eq!(bucket["type"], "sst.aws.Bucket");
    assert_eq!(bucket["ports"], serde_json::json!([1, { "api": SERVER_ADDRESS }]));
    let web = &app.sites["web"];
    assert_eq!((web.kind.as_str(), web.command.as_deref()), ("vite", Some("npm run dev")));
    assert_eq!(web.environment["VITE_API"], format!("ws://{SERVER_ADDRESS}/dev"));
    assert!(web.path.ends_with("web") && web.path.is_absolute());
    assert_eq!(web.links, Links::Only(vec!["Bucket".to_owned()]));
}

#[test]
fn limits_that_can_be_lifted_are_lifted_by_none() {
    let keys = [
        "max_lifetime",
        "keep_alive_default",
        "message_expiry_max",
        "session_expiry_default_v3",
        "session_expiry_max",
        "publishes_per_second",
        "bytes_per_second",
    ];
    let text: String = keys.iter().map(|key| format!("{key} = \"none\"\n")).collect();
    let text = format!("[realtime]\nallow_anonymous = true\n[realtime.limits]\n{text}");
    let limits = serde_json::to_value(realtime(&text).limits).unwrap();
    let lifted: BTreeSet<&str> = limits
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(lifted, BTreeSet::from(keys));
}

#[test]
fn the_schema_accepts_limits_by_the_names_of_the_model() {
    let schema = fanwire_app::schema();
    let keys = &schema["properties"]["realtime"]["properties"]["limits"]["properties"];
    let keys: BTreeSet<_> = keys.as_object().unwrap().keys().cloned().collect();
    let model = serde_json::to_value(RealtimeLimits::of(Profile::Open)).unwrap();
    let fields: BTreeSet<_> = model.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, fields);
}

#[test]
fn what_a_user_may_not_do_is_all_that_is_not_listed() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
    let text = format!("[realtime.users.a]\npassword = \"{hash}\"\nsubscribe = [\"a/*\"]\n");
    let expected = AccessList {
        connect: vec!["*".to_owned()],
        publish: Vec::new(),
        subscribe: vec!["a/*".to_owned()],
        receive: vec!["a/*".to_owned()],
        retain: false,
    };
    assert_eq!(realtime(&text).users["a"].access, expected);
}

#[test]
fn keys_are_read_from_files_that_are_then_followed() {
    let key = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    let text = "[realtime.authorizers.gate]\nfunction = \"save\"\ntoken_key = \"t\"\n\
        public_keys = [\"gate.pem\"]\n[realtime.jwt]\njwks = \"jwks.json\"\n";
    let loaded = load_with(text, &[("gate.pem", key), ("jwks.json", "{}")]).unwrap();
    let realtime = loaded.app.realtime.unwrap();
    assert_eq!(realtime.authorizers["gate"].public_keys, [key]);
    let JwksSource::File(path) = realtime.jwt.unwrap().jwks else { panic!() };
    assert!(path.is_absolute() && path.ends_with("jwks.json"));
    for name in ["gate.pem", "jwks.json"] {
        assert!(loaded.files.iter().any(|file| file.ends_with(name)), "{:?}", loaded.files);
    }
}

#[test]
fn an_endpoint_that_nobody_can_reach_is_warned_of() {
    let loaded = load_with("[realtime]\nname = \"Chat\"\n", &[]).unwrap();
    let warning = loaded.warnings[0].to_string();
    assert!(warning.contains("no client can connect to the realtime endpoint"), "{warning}");
    assert!(warning.contains("allow_anonymous = true"), "{warning}");
    let loaded = load_with("[realtime]\nallow_anonymous = true\n", &[]).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_password_that_is_no_hash_is_not_repeated() {
    let text = "[realtime.users.alice]\npassword = \"hunter2\"\n";
    assert_fault(text, (4, 17), &["the password of `alice` is not a hash", "`fanwire password`"]);
    let error = load_with(text, &[]).map(|loaded| loaded.app).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_wrong_endpoint_is_told_with_place_and_remedy() {
    for (text, place, parts) in [
        ("[realtime]\nautorizers = 1\n", (5, 1), &["did you mean `authorizers`?"][..]),
        ("[realtime]\nname = \"my-app\"\n", (5, 8), &["a letter, then letters, digits"]),
        ("[realtime]\npath = \"mqtt\"\n", (5, 8), &["a path such as /mqtt"]),
        ("[realtime]\npath = \"/a//b\"\n", (5, 8), &["a path such as /mqtt"]),
        (
            "[realtime]\npath = \"/dev/mqtt\"\nallow_anonymous = true\n[websocket]\n",
            (5, 8),
            &["`/dev/mqtt` is a path of the WebSocket API `dev-chat-websockets` too"],
        ),
        (
            "[realtime.authorizers.a]\nfunction = \"saev\"\n",
            (5, 12),
            &["`saev` is not a function of this file", "did you mean `save`?"],
        ),
        (
            "[realtime]\ndefault_authorizer = \"gat\"\n[realtime.authorizers.gate]\nfunction = \"save\"\n",
            (5, 22),
            &["there is no authorizer `gat`", "did you mean `gate`?"],
        ),
        (
            "[realtime]\nallow_anonymous = true\ndefault_authorizer = \"gate\"\n",
            (6, 22),
            &["a table [realtime.authorizers.gate]"],
        ),
        (
            "[realtime.authorizers.a]\nfunction = \"save\"\npublic_keys = [\"-----BEGIN PUBLIC KEY-----\"]\n",
            (6, 16),
            &["has keys and no token to verify", "token_key"],
        ),
        (
            "[realtime.authorizers.a]\nfunction = \"save\"\ntoken_key = \"t\"\npublic_keys = [\"nope.pem\"]\n",
            (7, 16),
            &["`nope.pem` cannot be read as a public key"],
        ),
        (
            "[realtime.authorizers.a]\nfunction = \"save\"\ntoken_key = \"t\"\npublic_keys = [\"-----BEGIN PRIVATE KEY-----\"]\n",
            (7, 16),
            &["this is a private key"],
        ),
        (
            "[realtime.jwt]\njwks = \"nope.json\"\n",
            (5, 8),
            &["there is no file `nope.json`", "https:// URL"],
        ),
        (
            "[realtime.jwt]\njwks = \"http://x\"\npublish = [\"a\", \"${user}\"]\n",
            (6, 17),
            &["a pattern knows no variable `user`", "${claim:NAME}"],
        ),
        (
            "[realtime.users.a]\npassword = \"$argon2id$a$b$c\"\nconnect = [\"${claim:x}\"]\n",
            (6, 12),
            &["no variable `claim:x`", "[realtime.jwt]"],
        ),
        (
            "[realtime.users.a]\npassword = \"$argon2id$a$b$c\"\nconnect = [\"${principle}\"]\n",
            (6, 12),
            &["did you mean `${principal}`?"],
        ),
        (
            "[realtime.subscribers.a-b]\nfilter = \"a\"\nfunction = \"save\"\n",
            (4, 23),
            &["`a-b` is not a valid name of a topic rule"],
        ),
        (
            "[realtime.subscribers.a]\nfilter = \"a/#/b\"\nfunction = \"save\"\n",
            (5, 10),
            &["`a/#/b` is not a topic filter", "`#` as the last level"],
        ),
        (
            "[realtime.subscribers.a]\nsql = \"a/#\"\nfunction = \"save\"\n",
            (5, 7),
            &["not a statement of IoT SQL", "SELECT"],
        ),
        (
            "[realtime.subscribers.a]\nfunction = \"save\"\n",
            (4, 23),
            &["the subscriber `a` has nothing to listen to", "one of filter and sql"],
        ),
        (
            "[realtime.subscribers.a]\nfunction = \"save\"\nfilter = \"a\"\nsql = \"SELECT * FROM 'a'\"\n",
            (6, 10),
            &["both a filter and a statement"],
        ),
        (
            "[realtime.subscribers.a]\nfunction = \"save\"\nfilter = \"a\"\nerror_function = \"x\"\n",
            (7, 18),
            &["`x` is not a function"],
        ),
        ("[[realtime.listen]]\naddress = \"1883\"\n", (5, 11), &["127.0.0.1:1883"]),
        (
            "[[realtime.listen]]\naddress = \"[::1]:1\"\n[[realtime.listen]]\naddress = \"[::1]:1\"\n",
            (7, 11),
            &["[::1]:1 is listened at already"],
        ),
        (
            "[realtime.limits]\nkeep_alive_min = \"30m\"\n",
            (5, 18),
            &["keep_alive_min, 1800s, is more than keep_alive_max, 1200s"],
        ),
        ("[realtime.limits]\nkeep_alive_max = \"1500ms\"\n", (5, 18), &["whole seconds"]),
        (
            "[realtime.limits]\nmax_payload_bytes = \"1MB\"\n",
            (5, 21),
            &["more than max_packet_bytes"],
        ),
        (
            "[realtime.limits]\npublishes_per_second = \"some\"\n",
            (5, 24),
            &["an integer from 1 to 100000000, or \"none\""],
        ),
        ("[realtime.limits]\nbytes_per_second = \"x\"\n", (5, 20), &["\"32KB\"", "or \"none\""]),
        (
            "[realtime.limits]\ndenied_publish = \"suback\"\n",
            (5, 18),
            &["one of by-version, close, acknowledge, conceal"],
        ),
        ("[links.App]\nname = \"x\"\n", (4, 8), &["that of the app's name and stage"]),
        ("[links.\"a-b\"]\nname = \"x\"\n", (4, 8), &["`a-b` is not a valid name of a link"]),
        (
            "[realtime]\nallow_anonymous = true\n[links.Realtime]\nname = \"x\"\n",
            (6, 8),
            &["that of the realtime endpoint"],
        ),
        ("[links]\nA = 1\n", (5, 5), &["`1` is not allowed here"]),
        (
            "[links.A]\nname = [\"${env:NONE}\"]\n",
            (5, 10),
            &["the environment variable NONE is not set"],
        ),
        (
            "[functions.a]\nhandler = \"a.b\"\nlinks = [\"Pics\"]\n[links.Pic]\nname = \"x\"\n",
            (6, 10),
            &["`Pics` is not a link of this file", "did you mean `Pic`?"],
        ),
        (
            "[sites.a]\nlinks = [\"A\"]\n",
            (5, 10),
            &["`A` is not a link", "a link, of which the file has none"],
        ),
    ] {
        assert_fault(text, place, parts);
    }
}
