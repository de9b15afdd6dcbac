//! What is told about the difference between two versions of an App.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use fanwire_app::{App, LoadOptions, load};

const BEFORE: &str = r#"
name = "chat"

[functions.send]
handler = "src/chat.send"
environment = { SECRET = "one" }

[functions.gate]
handler = "src/gate.handler"

[websocket.authorizers.gate]
function = "gate"

[websocket.routes]
"$default" = "send"
say = { function = "send", response = true }

[realtime]
allow_anonymous = true

[realtime.authorizers.door]
function = "gate"

[realtime.subscribers.save]
filter = "chat/#"
function = "send"

[links.Bucket]
name = "pictures"

[tables.rooms]
hash = "id"
"#;

/// The Apps of two texts, read in one folder.
fn apps(before: &str, after: &str) -> (App, App) {
    let folder = tempfile::tempdir().unwrap();
    let app = |text: &str| {
        std::fs::write(folder.path().join("fanwire.toml"), text).unwrap();
        load(folder.path(), &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}")).app
    };
    (app(before), app(after))
}

/// What is told where each of some texts is replaced by another.
fn changes(replaced: &[(&str, &str)]) -> Vec<String> {
    let mut after = BEFORE.to_owned();
    for (old, new) in replaced {
        assert!(after.contains(old), "{old}");
        after = after.replace(old, new);
    }
    let (before, after) = apps(BEFORE, &after);
    before.changes(&after)
}

#[test]
fn equal_apps_have_no_changes_whatever_their_order() {
    assert_eq!(changes(&[]), [""; 0]);
    let (head, tail) = BEFORE.split_once("[functions.gate]").unwrap();
    let (gate, tail) = tail.split_once("[websocket.routes]").unwrap();
    let swapped = format!("{head}[websocket.routes]{tail}[functions.gate]{gate}");
    let (before, after) = apps(BEFORE, &swapped);
    assert_eq!((before == after, before.changes(&after)), (true, Vec::new()));
}

#[test]
fn each_thing_is_told_by_its_name_and_what_changed_about_it() {
    for (old, new, expected) in [
        (
            "handler = \"src/chat.send\"",
            "handler = \"src/chat.send\"\ntimeout = \"9s\"\nmemory = 128",
            "function `send` changed: timeout, memory",
        ),
        ("\"one\"", "\"two\"", "function `send` changed: environment"),
        ("src/gate", "lib/gate", "function `gate` changed: code"),
        (
            "[functions.gate]",
            "[functions.x]\nurl = \"http://x\"\n[functions.gate]",
            "function `x` added",
        ),
        ("\"$default\" = \"send\"\n", "", "route `$default` removed"),
        ("say =", "shout = \"send\"\nsay =", "route `shout` added"),
        (", response = true", "", "route `say` changed: route response"),
        ("[websocket.authorizers.gate]\nfunction = \"gate\"\n", "", "authorizer `gate` removed"),
        (
            "[tables.rooms]",
            "[websocket.limits]\nidle_timeout = \"1m\"\nordered = true\n[tables.rooms]",
            "limits changed: idle_timeout, ordered",
        ),
        (
            "[tables.rooms]",
            "[websocket.stage_variables]\na = \"b\"\n[tables.rooms]",
            "stage variables changed",
        ),
        ("hash = \"id\"", "hash = \"id\"\nttl = \"at\"", "table `rooms` changed: ttl attribute"),
        ("[tables.rooms]", "[tables.users]\nhash = \"id\"\n[tables.rooms]", "table `users` added"),
        ("allow_anonymous = true\n", "", "allow anonymous of the realtime endpoint changed"),
        (
            "allow_anonymous = true",
            "allow_anonymous = true\nlisten = [{ address = \"[::1]:1883\" }]",
            "ports of the realtime endpoint changed",
        ),
        (
            "[realtime.authorizers.door]\nfunction = \"gate\"\n",
            "",
            "authorizer `door` of the realtime endpoint removed",
        ),
        ("chat/#", "chats/#", "subscriber `save` changed: SQL"),
        (
            "[links.Bucket]",
            "[realtime.limits]\nmax_qos = 0\nparent_match = true\n[links.Bucket]",
            "limits of the realtime endpoint changed: max_qos, parent_match",
        ),
        ("name = \"pictures\"", "name = \"photos\"", "link `Bucket` changed"),
        ("[links.Bucket]\nname = \"pictures\"\n", "", "link `Bucket` removed"),
        ("name = \"chat\"", "name = \"chat\"\ndynamodb = \"aws\"", "DynamoDB changed"),
        ("name = \"chat\"", "name = \"chat\"\naccount_id = \"123456789012\"", "account id changed"),
    ] {
        assert_eq!(changes(&[(old, new)]), [expected]);
    }
}

#[test]
fn values_which_may_be_secrets_are_not_told() {
    let told = changes(&[("\"one\"", "\"hunter2\"")]).join("\n");
    assert!(!told.contains("one") && !told.contains("hunter2"), "{told}");
}

#[test]
fn an_endpoint_and_a_profile_come_and_go_as_a_whole() {
    let endpoint = "name = \"a\"\n[realtime]\nallow_anonymous = true\n";
    let (without, with) = apps("name = \"a\"\n", endpoint);
    assert_eq!(without.changes(&with), ["realtime endpoint added"]);
    assert_eq!(with.changes(&without), ["realtime endpoint removed"]);
    let open = endpoint.replacen('\n', "\nprofile = \"open\"\n", 1);
    let (aws, open) = apps(endpoint, &open);
    let told = aws.changes(&open);
    assert_eq!(told[0], "profile changed");
    assert!(told[1].starts_with("limits of the realtime endpoint changed: "), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn several_apis_are_told_apart() {
    let text = |routes: &str| {
        format!(
            "name = \"chat\"\n[functions.a]\nhandler = \"a.b\"\n[[websocket]]\nname = \"one\"\n\
             base_path = \"one\"\n[websocket.routes]\n{routes}\n[[websocket]]\nname = \"two\"\n\
             base_path = \"two\"\n"
        )
    };
    let (before, after) = apps(&text("say = \"a\""), &text("shout = \"a\""));
    let expected = ["route `say` of `one` removed", "route `shout` of `one` added"];
    assert_eq!(before.changes(&after), expected);
    let (before, after) = apps(&text(""), &text("").replace("name = \"two\"", "name = \"three\""));
    let expected = ["WebSocket API `two` removed", "WebSocket API `three` added"];
    assert_eq!(before.changes(&after), expected);
}
