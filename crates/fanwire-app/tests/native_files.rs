//! `fanwire.toml`: what it can say, what is said about a wrong one, and that its
//! keys, its schema and its documentation agree.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod reference;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fanwire_app::model::{Code, DynamoDb, ExecutionLogLevel, Integration, Limits, Profile};
use fanwire_app::{App, LoadError, LoadOptions, Loaded, load};
use serde_json::Value as Json;

const EVERY_KEY: &str = include_str!("native/every_key.toml");
const DOCUMENTATION: &str = include_str!("../../../docs/fanwire-toml.md");

/// Loads a text as a `fanwire.toml` in a folder of its own.
fn load_text(text: &str) -> Result<Loaded, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fanwire.toml");
    std::fs::write(&file, text).unwrap();
    load(&file, &LoadOptions::default())
}

fn app(text: &str) -> App {
    load_text(text).unwrap_or_else(|error| panic!("{error}")).app
}

/// Asserts that a file has one fault, and what is said about it.
#[track_caller]
fn assert_fault(text: &str, place: (usize, usize), parts: &[&str]) {
    let error = load_text(text).map(|loaded| loaded.app).unwrap_err();
    assert_eq!(error.diagnostics.len(), 1, "{error}");
    let found = error.diagnostics[0].place.as_ref().unwrap();
    assert_eq!((found.line, found.column), place, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in\n{error}");
    }
}

#[test]
fn a_small_file_has_the_defaults() {
    let app = app("name = \"chat\"\n[functions.send]\nhandler = \"src/chat.send\"\n\
        [websocket.routes]\n\"$default\" = \"send\"\n");
    assert_eq!((app.stage.as_str(), app.region.as_str()), ("dev", "us-east-1"));
    assert_eq!(app.functions["send"].name, "chat-dev-send");
    assert_eq!(app.functions["send"].timeout, Duration::from_secs(6));
    let api = &app.websocket_apis[0];
    assert_eq!(api.name, "dev-chat-websockets");
    assert_eq!(api.limits, Limits::of(Profile::Aws));
    assert_eq!(api.id.len(), 10);
}

#[test]
fn everything_that_the_model_can_say_can_be_written() {
    let app = app(EVERY_KEY);
    assert_eq!((app.profile, app.account_id.as_str()), (Profile::Open, "123456789012"));
    let python = &app.functions["python"];
    assert_eq!((python.timeout, python.memory_mb), (Duration::from_millis(500), 256));
    assert_eq!(
        (python.environment["OWN"].as_str(), python.environment["SHARED"].as_str()),
        ("1", "no")
    );
    let Code::Command { command, handler, build, .. } = &app.functions["binary"].code else {
        panic!()
    };
    assert_eq!(
        (command.join(" "), handler.as_str()),
        ("target/debug/chat --fast".to_owned(), "chat")
    );
    assert_eq!(build.as_deref().unwrap().join(" "), "cargo build");
    assert!(matches!(&app.functions["remote"].code, Code::Lambda { endpoint: Some(_), .. }));
    assert!(matches!(&app.functions["url"].code, Code::Http { .. }));
    let api = &app.websocket_apis[0];
    assert_eq!((api.stage.as_str(), api.base_path.as_deref()), ("production", Some("chat")));
    let Integration::Http(http) = &api.routes["forward"].integration else { panic!() };
    assert_eq!((http.method.as_str(), http.timeout), ("PUT", Some(Duration::from_millis(2500))));
    let Integration::Mock(mock) = &api.routes["ping"].integration else { panic!() };
    assert_eq!(
        (mock.status, mock.body.as_str(), api.routes["ping"].route_response),
        (202, "pong", true)
    );
    assert_eq!(api.logs.execution, ExecutionLogLevel::Info);
    assert_eq!(api.logs.access.as_ref().unwrap().format, "$context.connectionId");
    let expected = Limits {
        idle_timeout: None,
        idle_counts_control_frames: false,
        max_lifetime: Some(Duration::from_secs(3600)),
        max_frame_bytes: 65536,
        max_message_bytes: 100_000,
        integration_timeout: Duration::from_secs(5),
        max_in_flight: 8,
        ordered: true,
        max_outbound_bytes: 262_144,
        max_connections: 5000,
        binary: false,
        compression: false,
        broadcast: false,
    };
    assert_eq!(api.limits, expected);
    let endpoint = "https://dynamodb.eu-west-1.amazonaws.com".to_owned();
    assert_eq!(app.dynamodb, DynamoDb::Elsewhere { endpoint });
    assert_eq!(app.tables["connections"].name, "the-full-name");
}

#[test]
fn the_command_line_and_the_environment_reach_the_file() {
    let text = "name = \"chat\"\nstage = \"dev\"\nprofile = \"open\"\n[environment]\n\
        TABLE = \"chat-${sls:stage}\"\nKEY = \"${env:KEY, 'none'}\"\nLEVEL = \"${param:level}\"\n\
        [functions.send]\nhandler = \"a.b\"\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fanwire.toml"), text).unwrap();
    let mut options = LoadOptions {
        stage: Some("prod".to_owned()),
        region: Some("eu-west-1".to_owned()),
        profile: Some(Profile::Aws),
        ..LoadOptions::default()
    };
    options.params.insert("level".to_owned(), "debug".to_owned());
    let app = load(folder.path(), &options).unwrap().app;
    assert_eq!(
        (app.stage.as_str(), app.region.as_str(), app.profile),
        ("prod", "eu-west-1", Profile::Aws)
    );
    let environment = &app.functions["send"].environment;
    assert_eq!((environment["TABLE"].as_str(), environment["KEY"].as_str()), ("chat-prod", "none"));
    assert_eq!(environment["LEVEL"], "debug");
}

#[test]
fn several_apis_are_each_reached_alone() {
    let two = "name = \"chat\"\n[functions.a]\nhandler = \"a.b\"\n\
        [[websocket]]\nname = \"one\"\nbase_path = \"one\"\n[websocket.routes]\n\"$default\" = \"a\"\n\
        [[websocket]]\nname = \"two\"\nbase_path = \"two\"\n[websocket.routes]\n\"$default\" = \"a\"\n";
    let apis = app(two).websocket_apis;
    assert_eq!((apis.len(), apis[0].id == apis[1].id), (2, false));
    let same = two.replace("base_path = \"two\"", "base_path = \"one\"");
    assert_fault(&same, (11, 13), &["another WebSocket API has the base_path `one`"]);
    let same = two.replace("name = \"two\"", "name = \"one\"");
    assert_fault(&same, (10, 8), &["another WebSocket API has the name `one`"]);
}

#[test]
fn a_wrong_file_is_told_with_place_and_remedy() {
    let head = "name = \"chat\"\n[functions.send]\nhandler = \"a.b\"\n";
    for (text, place, parts) in [
        ("functon = 1\n", (4, 1), &["unknown key `functon` in a function"][..]),
        ("memry = 1\n", (4, 1), &["unknown key `memry`", "did you mean `memory`?"]),
        ("timeout = \"3 days\"\n", (4, 11), &["`3 days` is not allowed here", "\"500ms\""]),
        ("timeout = \"16m\"\n", (4, 11), &["is not a timeout of a function", "15 minutes"]),
        (
            "runtime = \"java17\"\n",
            (4, 11),
            &["the runtime `java17` is not supported", "`command`"],
        ),
        ("command = []\n", (4, 11), &["the command is empty"]),
        ("endpoint = \"http://x\"\n", (4, 1), &["`endpoint` has no meaning beside `handler`"]),
        ("url = \"http://x\"\n", (2, 12), &["the function `send` has several kinds of code"]),
        (
            "[functions.x]\n",
            (4, 12),
            &["the function `x` has no code", "one of handler, command, arn and url"],
        ),
        (
            "[functions.\"x.y\"]\nhandler = \"a.b\"\n",
            (4, 12),
            &["`x.y` is not a valid name of a function"],
        ),
        ("[functions.x]\nhandler = \"b\"\n", (5, 11), &["`b` is not a handler"]),
        (
            "[functions.x]\nhandler = \"a.b\"\nname = \"chat-dev-send\"\n",
            (6, 8),
            &["the function `send` has the full name `chat-dev-send` too"],
        ),
        (
            "[functions.x]\nurl = \"ftp://x\"\n",
            (5, 7),
            &["`ftp://x` is not a valid value of `url`", "https://"],
        ),
        (
            "[functions.x]\narn = \"arn:aws:s3:::x\"\n",
            (5, 7),
            &["arn:aws:lambda:REGION:ACCOUNT:function:NAME"],
        ),
        ("[websocket]\nid = \"ABC\"\n", (5, 6), &["ten lower-case letters and digits"]),
        ("[websocket]\nbase_path = \"a/b\"\n", (5, 13), &["letters, digits, and any of - _ ."]),
        (
            "[websocket]\nroute_selection = \"$request.header.x\"\n",
            (5, 19),
            &["is not a route selection expression"],
        ),
        ("[websocket.routes]\n\"$conect\" = \"send\"\n", (5, 1), &["did you mean `$connect`?"]),
        (
            "[websocket.routes]\nx = \"sendd\"\n",
            (5, 5),
            &["`sendd` is not a function of this file", "did you mean `send`?"],
        ),
        ("[websocket.routes]\nx = 1\n", (5, 5), &["`1` is not allowed here", "text or a table"]),
        (
            "[websocket.routes.x]\nresponse = true\n",
            (4, 19),
            &["nothing stands behind the route `x`", "function, http and mock"],
        ),
        (
            "[websocket.routes.x]\nfunction = \"send\"\nmock = {}\n",
            (4, 19),
            &["several things stand behind the route `x`"],
        ),
        (
            "[websocket.routes.x]\nfunction = \"send\"\nresponse = \"maybe\"\n",
            (6, 12),
            &["a boolean"],
        ),
        (
            "[websocket.routes.\"$connect\"]\nfunction = \"send\"\nauthorizer = \"gate\"\n",
            (6, 14),
            &["there is no authorizer `gate`", "[websocket.authorizers.gate]"],
        ),
        (
            "[websocket.authorizers.gate]\nfunction = \"sent\"\n",
            (5, 12),
            &["`sent` is not a function", "did you mean `send`?"],
        ),
        (
            "[websocket.authorizers.gate]\nfunction = \"send\"\nidentity_source = [\"Auth\"]\n",
            (6, 20),
            &["`Auth` is not an identity source"],
        ),
        (
            "[websocket.authorizers.gate]\n",
            (4, 1),
            &["the authorizer `gate` has neither a function nor keys", "jwks"],
        ),
        (
            "[websocket.routes.x]\nfunction = \"send\"\nauthorizer = \"a\"\n[websocket.authorizers.a]\nfunction = \"send\"\n",
            (6, 14),
            &["the route `x` cannot have an authorizer"],
        ),
        (
            "[websocket.routes.x.http]\nmethod = \"PSOT\"\nurl = \"http://x\"\n",
            (5, 10),
            &["one of DELETE", "did you mean"],
        ),
        (
            "[websocket.routes.x.http]\nurl = \"http://x\"\nrequest_parameters = {\"header.x\" = \"context.a\"}\n",
            (6, 23),
            &["`header.x` is not a parameter"],
        ),
        (
            "[websocket.routes.x.http]\nurl = \"http://x\"\nrequest_parameters = {\"integration.request.path.x\" = \"a\"}\n",
            (6, 54),
            &["`a` is not a source of a parameter"],
        ),
        ("[websocket.limits]\nmax_frame_bytes = \"32 apples\"\n", (5, 19), &["\"32KB\""]),
        ("[websocket.limits]\nmax_in_flight = 0\n", (5, 17), &["an integer from 1 to 1000000"]),
        ("[websocket.limits]\nidle_timeout = \"never\"\n", (5, 16), &["or \"none\""]),
        ("[websocket.logs]\nexecution = \"debug\"\n", (5, 13), &["one of off, error, info"]),
        ("[environment]\nA = [1]\n", (5, 5), &["a list is not allowed here"]),
        (
            "[environment]\nA = \"${env:NOPE}\"\n",
            (5, 6),
            &["at `environment.A`", "NOPE is not set"],
        ),
        ("x = \n", (4, 5), &["this is not TOML"]),
    ] {
        assert_fault(&format!("{head}{text}"), place, parts);
    }
    assert_fault("", (1, 1), &["the key `name` is missing from fanwire.toml"]);
    assert_fault("name = \"a b\"\n", (1, 8), &["letters, digits and hyphens"]);
    assert_fault("name = \"a\"\naccount_id = 1\n", (2, 14), &["twelve digits, in quotes"]);
    assert_fault("name = \"a\"\nprofile = \"opne\"\n", (2, 11), &["did you mean `open`?"]);
}

/// The paths of a schema's properties; `*` stands for names that the user chooses.
fn schema_paths(schema: &Json, path: &str, paths: &mut BTreeSet<String>) {
    let variants = schema["anyOf"].as_array().into_iter().flatten();
    variants.for_each(|variant| schema_paths(variant, path, paths));
    if let Some(items) = schema.get("items") {
        schema_paths(items, path, paths);
    }
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        schema_paths(value, &path, paths);
        paths.insert(path);
    }
    if schema["additionalProperties"].is_object() {
        schema_paths(&schema["additionalProperties"], &format!("{path}.*"), paths);
    }
}

/// The table that a value is, or that is the first of those that it is.
fn first_table(value: &mut toml::Value) -> Option<&mut toml::Table> {
    match value {
        toml::Value::Table(table) => Some(table),
        toml::Value::Array(items) => items.first_mut()?.as_table_mut(),
        _ => None,
    }
}

/// Removes each value of a table in turn, and calls `each` with what is left.
fn without_each(root: &toml::Table, path: &[&str], each: &mut impl FnMut(&[&str], &toml::Table)) {
    let mut whole = root.clone();
    let at = path.iter().try_fold(&mut whole, |at, key| first_table(at.get_mut(*key)?));
    let keys: Vec<String> = at.into_iter().flat_map(|table| table.keys().cloned()).collect();
    for key in &keys {
        let path = [path, &[key.as_str()]].concat();
        let mut rest = root.clone();
        let parent = path[..path.len() - 1]
            .iter()
            .fold(&mut rest, |at, key| first_table(at.get_mut(*key).unwrap()).unwrap());
        parent.remove(key);
        each(&path, &rest);
        without_each(root, &path, each);
    }
}

#[test]
fn every_key_of_the_schema_is_read_and_has_an_effect() {
    let whole = EVERY_KEY.parse::<toml::Table>().unwrap();
    let comparable = |table: &toml::Table| {
        load_text(&toml::to_string(table).unwrap()).map(|loaded| {
            // The folder's name differs at every call.
            let folder = loaded.app.root.to_string_lossy().into_owned();
            serde_json::to_string(&loaded.app).unwrap().replace(&folder, "")
        })
    };
    let baseline = comparable(&whole).unwrap();
    let mut schema = BTreeSet::new();
    schema_paths(&fanwire_app::schema(), "", &mut schema);
    // How the app is served is no part of it: tests/serve_files.rs.
    schema.remove(".serve");
    let mut missing = schema.clone();
    without_each(&whole, &[], &mut |path, rest| {
        // A user's name in the path is a `*` in the schema.
        let pattern = path.iter().fold(String::new(), |pattern, key| {
            let named = format!("{pattern}.{key}");
            if schema.contains(&named) { named } else { format!("{pattern}.*") }
        });
        missing.remove(&pattern);
        assert_ne!(Ok(&baseline), comparable(rest).as_ref(), "{path:?} has no effect");
    });
    assert_eq!(missing, BTreeSet::new(), "keys that no file uses");
}

#[test]
fn the_schema_accepts_limits_by_the_names_of_the_model() {
    let mut paths = BTreeSet::new();
    schema_paths(&fanwire_app::schema(), "", &mut paths);
    let keys: BTreeSet<_> =
        paths.iter().filter_map(|path| path.strip_prefix(".websocket.limits.")).collect();
    let model = serde_json::to_value(Limits::of(Profile::Aws)).unwrap();
    let fields: BTreeSet<_> = model.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, fields);
}

#[test]
fn the_documentation_s_examples_load() {
    let examples: Vec<&str> = DOCUMENTATION
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(examples.len() >= 4);
    for example in examples {
        if let Err(error) = load_text(example) {
            panic!("{example}\n{error}");
        }
    }
}

#[test]
fn the_documentation_lists_every_key_as_the_schema_does() {
    reference::assert_documents(DOCUMENTATION, &fanwire_app::schema(), "fanwire.toml");
}

#[test]
fn the_schema_is_a_json_schema_object_with_a_meaning_for_every_key() {
    let schema = fanwire_app::schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], serde_json::json!(["name"]));
    assert_eq!(schema["additionalProperties"], false);
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fanwire-toml.md").is_file());
}
