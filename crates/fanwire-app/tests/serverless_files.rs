//! Whole `serverless.yml` files, as people write them, loaded into an App.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;

use fanwire_app::model::{
    Code, ConnectRules, ExecutionLogLevel, IdentitySource, Limits, Profile, Runtime,
};
use fanwire_app::{App, LoadOptions, Loaded, load};

/// Loads a file or folder of `tests/serverless`.
fn loaded(name: &str, options: &LoadOptions) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serverless").join(name);
    load(&path, options).unwrap_or_else(|error| panic!("{error}"))
}

fn app(name: &str, options: &LoadOptions) -> App {
    loaded(name, options).app
}

fn stage(stage: &str) -> LoadOptions {
    LoadOptions { stage: Some(stage.to_owned()), ..LoadOptions::default() }
}

#[test]
fn a_plain_chat_app_loads_with_the_defaults_of_the_framework() {
    let app = app("chat.yml", &LoadOptions::default());
    assert_eq!((app.service.as_str(), app.stage.as_str()), ("chat", "dev"));
    assert_eq!((app.region.as_str(), app.account_id.as_str()), ("us-east-1", "000000000000"));
    let api = &app.websocket_apis[0];
    assert_eq!(api.name, "dev-chat-websockets");
    assert!(
        api.id.len() == 10 && api.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    );
    assert_eq!(api.route_selection.as_str(), "$request.body.action");
    assert_eq!(api.limits, Limits::of(Profile::Aws));
    assert_eq!(api.logs.execution, ExecutionLogLevel::Off);
    assert_eq!(api.logs.access, None);
    let routes: Vec<_> = api.routes.keys().collect();
    assert_eq!(routes, ["$connect", "$disconnect", "$default", "send"]);
    assert!(api.routes["send"].route_response && !api.routes["$default"].route_response);
    let connect = &app.functions["connect"];
    assert_eq!(connect.name, "chat-dev-connect");
    assert_eq!((connect.timeout.as_secs(), connect.memory_mb), (6, 1024));
    assert_eq!(connect.environment["TABLE"], "chat-connections-dev");
    assert!(app.not_served.is_empty());
}

#[test]
fn roots_are_absolute_wherever_fanwire_is_started() {
    let folder = Path::new("tests/serverless/split");
    let app = load(folder, &LoadOptions::default()).unwrap().app;
    assert!(app.root.is_absolute() && app.root.ends_with(folder), "{}", app.root.display());
    let Code::Handler { root, .. } = &app.functions["chat"].code else { panic!() };
    assert_eq!(*root, app.root);
    assert_eq!(app.file, folder.join("serverless.yaml"));
}

#[test]
fn the_command_line_wins_and_the_api_id_follows_the_names() {
    let dev = app("chat.yml", &LoadOptions::default());
    let again = app("chat.yml", &LoadOptions::default());
    let options = LoadOptions {
        region: Some("eu-west-3".to_owned()),
        profile: Some(Profile::Open),
        ..stage("prod")
    };
    let prod = app("chat.yml", &options);
    assert_eq!(dev.websocket_apis[0].id, again.websocket_apis[0].id);
    assert_ne!(dev.websocket_apis[0].id, prod.websocket_apis[0].id);
    assert_eq!((prod.stage.as_str(), prod.region.as_str()), ("prod", "eu-west-3"));
    assert_eq!(prod.functions["send"].name, "chat-prod-send");
    assert_eq!(prod.functions["send"].environment["TABLE"], "chat-connections-prod");
    assert_eq!(prod.websocket_apis[0].limits, Limits::of(Profile::Open));
}

#[test]
fn provider_and_function_settings_arrive_in_the_app() {
    let app = app("authorizers.yml", &LoadOptions::default());
    let api = &app.websocket_apis[0];
    assert_eq!(api.name, "auth-api");
    assert_eq!(api.route_selection.as_str(), "${request.body.service}/${request.body.action}");
    assert_eq!(api.logs.execution, ExecutionLogLevel::Error);
    assert!(api.logs.access.is_some() && !api.logs.full_execution_data);
    assert_eq!(api.routes["$connect"].authorizer.as_deref(), Some("auth"));
    assert_eq!(
        api.authorizers["auth"].identity_source,
        [
            IdentitySource::Header("Authorization".to_owned()),
            IdentitySource::QueryString("token".to_owned())
        ]
    );
    let connect = &app.functions["connect"];
    assert_eq!(connect.name, "my-connect");
    assert_eq!((connect.timeout.as_secs(), connect.memory_mb), (10, 256));
    assert_eq!(connect.concurrency, Some(5));
    let Code::Handler { runtime, identifier, handler, .. } = &connect.code else { panic!() };
    assert_eq!((*runtime, identifier.as_str()), (Runtime::Python, "python3.12"));
    assert_eq!(handler, "handlers/connect.handler");
}

#[test]
fn a_large_service_resolves_variables_references_and_files() {
    let Loaded { app, warnings, .. } = loaded("notes", &LoadOptions::default());
    assert_eq!(warnings, []);
    assert_eq!((app.stage.as_str(), app.region.as_str()), ("dev", "eu-central-1"));
    let id = &app.websocket_apis[0].id;
    let connect = &app.functions["connect"];
    assert_eq!((connect.timeout.as_secs(), connect.memory_mb), (20, 512));
    let endpoint = format!("https://{id}.execute-api.eu-central-1.amazonaws.com/dev");
    let url = endpoint.replace("https", "wss");
    for (name, value) in [
        ("STAGE", "dev"),
        ("LEVEL", "debug"),
        ("NOTES_TABLE", "notes-dev-notes"),
        ("NOTES_ARN", "arn:aws:dynamodb:eu-central-1:000000000000:table/notes-dev-notes"),
        ("AUDIT_TABLE", "notes-dev-AuditTable"),
        ("ENDPOINT", &endpoint),
        ("URL", &url),
        ("QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/000000000000/notes-dev-queue"),
        ("QUEUE_ARN", "arn:aws:sqs:eu-central-1:000000000000:notes-dev-queue"),
        ("TOPIC", "arn:aws:sns:eu-central-1:000000000000:notes-dev-Topic"),
        ("RETRIES", "3"),
        ("DEBUG", "true"),
        ("SECRET", "s3cret-nobody"),
        ("SUB_MAP", "notes-dev-000000000000-${Literal}"),
        ("FIRST", "a"),
        ("ENCODED", "cGxhaW4="),
    ] {
        assert_eq!(connect.environment.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!connect.environment.contains_key("GONE"));
    let authorize = &app.functions["authorize"].environment;
    assert_eq!(authorize["DEBUG"], "false");
    assert!(!authorize.contains_key("RETRIES"), "null takes a variable away");
    assert_eq!(app.functions["write-note_v1"].environment["INVOKE"], "notes-dev-write-note_v1");
    let gate = &app.websocket_apis[0].authorizers["gate"];
    assert_eq!(gate.function, "authorize", "one's own ARN is one's own function");
    assert_eq!(app.websocket_apis[0].logs.execution, ExecutionLogLevel::Info);
}

#[test]
fn what_is_not_served_is_listed_once_by_kind() {
    let app = app("notes", &LoadOptions::default());
    let listed: Vec<(&str, Vec<&str>)> = app
        .not_served
        .iter()
        .map(|kind| (kind.kind.as_str(), kind.used_by.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        listed,
        [
            ("AWS::SQS::Queue", vec!["Queue"]),
            ("AWS::SNS::Topic", vec!["Topic"]),
            ("url", vec!["write-note_v1"]),
            ("http", vec!["write-note_v1", "sweep"]),
            ("httpApi", vec!["write-note_v1"]),
            ("schedule", vec!["sweep"]),
            ("sqs", vec!["sweep"]),
        ]
    );
}

#[test]
fn every_file_that_the_app_depends_on_is_told() {
    let files = |loaded: Loaded| -> Vec<String> {
        let folder = loaded.app.root;
        let short = |path: &std::path::PathBuf| {
            path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned()
        };
        loaded.files.iter().map(short).collect()
    };
    let notes = files(loaded("notes", &stage("prod")));
    assert_eq!(notes, ["serverless.yml", ".env.prod", ".env", "config/custom.yml"]);
    let split = files(loaded("split", &LoadOptions::default()));
    assert_eq!(split, ["serverless.yaml", "functions/chat.yml", "functions/admin.json"]);
}

#[test]
fn a_file_that_is_missing_yet_or_broken_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let text = "service: chat\nprovider: {name: aws, environment: {A: \"${file(a.yml):a, 'none'}\", \
        B: '${file(./b.yml):b}'}}\nfunctions: {f: {handler: a.b}}\n";
    std::fs::write(folder.path().join("serverless.yml"), text).unwrap();
    std::fs::write(folder.path().join("b.yml"), "b: [").unwrap();
    let expected = ["serverless.yml", "a.yml", "b.yml"].map(|name| folder.path().join(name));
    let broken = load(folder.path(), &LoadOptions::default()).unwrap_err();
    assert_eq!(broken.files, expected);
    std::fs::write(folder.path().join("b.yml"), "b: 1").unwrap();
    assert_eq!(load(folder.path(), &LoadOptions::default()).unwrap().files, expected);
    let missing = folder.path().join("nowhere/serverless.yml");
    assert_eq!(load(&missing, &LoadOptions::default()).unwrap_err().files, [missing]);
}

#[test]
fn a_stage_has_its_own_parameters_and_dotenv_file() {
    let app = app("notes", &stage("prod"));
    assert_eq!(app.region, "us-west-2");
    let environment = &app.functions["connect"].environment;
    assert_eq!(
        (environment["LEVEL"].as_str(), environment["SECRET"].as_str()),
        ("warn", "production")
    );
    let mut options = stage("prod");
    options.environment.insert("NOTES_SECRET".to_owned(), "from the shell".to_owned());
    options.environment.insert("AWS_ACCOUNT_ID".to_owned(), "123456789012".to_owned());
    options.params.insert("level".to_owned(), "trace".to_owned());
    let app = self::app("notes", &options);
    let environment = &app.functions["connect"].environment;
    assert_eq!(
        (environment["LEVEL"].as_str(), environment["SECRET"].as_str()),
        ("trace", "from the shell")
    );
    assert!(environment["NOTES_ARN"].contains(":123456789012:"), "{}", environment["NOTES_ARN"]);
}

#[test]
fn functions_may_be_split_over_files() {
    let app = app("split", &LoadOptions::default());
    assert_eq!(app.service, "split");
    let keys: Vec<_> = app.functions.keys().collect();
    assert_eq!(keys, ["chat", "admin"]);
    let routes: Vec<_> = app.websocket_apis[0].routes.keys().collect();
    assert_eq!(routes, ["$default", "admin"]);
}

#[test]
fn rust_functions_are_built_by_cargo() {
    let mut options = LoadOptions::default();
    options.environment.insert("CARGO_TARGET_DIR".to_owned(), "/elsewhere".to_owned());
    let app = app("rust", &options);
    let command = |key: &str| match &app.functions[key].code {
        Code::Command { command, build, .. } => {
            (command.join(" "), build.clone().unwrap().join(" "))
        }
        other => panic!("{other:?}"),
    };
    let (run, build) = command("connect");
    assert_eq!(
        (run.as_str(), build.as_str()),
        ("/elsewhere/debug/connect", "cargo build --bin connect")
    );
    assert_eq!(command("message").1, "cargo build --bin message", "found by the function's name");
    assert_eq!(command("other").1, "cargo build --bin rust-chat", "the package's own binary");
}

#[test]
fn what_older_versions_of_the_framework_filled_in_is_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serverless.yml");
    let text = "service: old\nprovider: aws\nfunctions:\n  a:\n    handler: a.b\n    environment:\n\
        \x20     TABLE: ${self:service}-${opt:stage, self:provider.stage}\n\
        \x20     REGION: ${opt:region, self:provider.region}\n\
        \x20     NONE: ${self:provider.stage, 'none'}\n\
        \x20     KEY: !Ref Key\n      LEVEL: !Ref Level\n\
        resources:\n  Parameters: {Key: {Type: String, Default: secret}, Level: {Default: 3}}\n";
    std::fs::write(&file, text).unwrap();
    let app = load(&file, &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}")).app;
    let environment = &app.functions["a"].environment;
    for (name, value) in [
        ("TABLE", "old-dev"),
        ("REGION", "us-east-1"),
        ("NONE", "none"),
        ("KEY", "secret"),
        ("LEVEL", "3"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    let app = load(&file, &stage("prod")).unwrap().app;
    assert_eq!(app.functions["a"].environment["TABLE"], "old-prod");
}

/// An App with one function that has a `$connect` route with an authorizer.
fn with_authorizer(authorizer: &str) -> App {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "service: chat\nprovider: {{name: aws, runtime: nodejs20.x, apiGateway: {{websocketApiId: abc123defg}}}}\n\
         functions:\n  auth: {{handler: a.b}}\n  a:\n    handler: a.b\n    events:\n      \
         - websocket: {{route: $connect, authorizer: {authorizer}}}\n"
    );
    std::fs::write(folder.path().join("serverless.yml"), text).unwrap();
    load(folder.path(), &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}")).app
}

#[test]
fn an_authorizer_in_aws_becomes_a_function_that_is_called_there() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:shared-gate";
    let app = with_authorizer(arn);
    let api = &app.websocket_apis[0];
    assert_eq!(api.id, "abc123defg");
    assert_eq!(api.routes["$connect"].authorizer.as_deref(), Some("shared-gate"));
    let authorizer = &api.authorizers["shared-gate"];
    assert_eq!(authorizer.function, "shared-gate");
    assert_eq!(authorizer.identity_source, [IdentitySource::Header("Auth".to_owned())]);
    let code = &app.functions["shared-gate"].code;
    assert_eq!(*code, Code::Lambda { arn: arn.to_owned(), endpoint: None });
    // A name that a function of the file has already does not replace it.
    let app = with_authorizer(&format!("{{name: auth, arn: '{arn}', identitySource: []}}"));
    let authorizer = &app.websocket_apis[0].authorizers["auth"];
    assert!(matches!(app.functions["auth"].code, Code::Handler { .. }));
    assert_eq!(app.functions[&authorizer.function].name, "shared-gate");
    assert_eq!(authorizer.identity_source, []);
}

#[test]
fn an_authorizer_of_this_file_may_be_a_name_an_object_or_its_own_arn() {
    for form in [
        "auth",
        "{name: auth}",
        "{name: auth, arn: !GetAtt AuthLambdaFunction.Arn}",
        "{name: auth, arn: {'Fn::GetAtt': [AuthLambdaFunction, Arn]}}",
        "arn:aws:lambda:us-east-1:000000000000:function:chat-dev-auth",
    ] {
        let app = with_authorizer(form);
        let api = &app.websocket_apis[0];
        let name = api.routes["$connect"].authorizer.as_deref().unwrap();
        assert_eq!(api.authorizers[name].function, "auth", "{form}");
        assert_eq!(app.functions.len(), 2, "{form}");
    }
}

#[test]
fn lookups_in_aws_take_their_fallback() {
    let folder = tempfile::tempdir().unwrap();
    let text = "service: chat\nprovider:\n  name: aws\n  environment:\n    \
        A: ${ssm:/key, 'one'}\n    B: ${cf(us-east-1):stack.Out, env:NOPE, 'two'}\n    \
        C: \"${s3:bucket/key, ssm(eu-west-1, raw):/k, 'three'}\"\nfunctions: {a: {handler: a.b}}\n";
    std::fs::write(folder.path().join("serverless.yml"), text).unwrap();
    let app = load(folder.path(), &LoadOptions::default()).unwrap().app;
    let values: Vec<_> = app.functions["a"].environment.values().collect();
    assert_eq!(values, ["one", "two", "three"]);
}

/// What a handshake has to show, and what is said, where `resources` change what the framework
/// generates.
fn with_resources(resources: &str) -> (ConnectRules, Option<String>, Vec<String>, App) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serverless.yml");
    let text = format!(
        "service: chat\nprovider: {{name: aws, runtime: nodejs20.x}}\nfunctions:\n  \
         auth: {{handler: a.b}}\n  connect:\n    handler: a.b\n    events:\n      \
         - websocket: {{route: $connect, authorizer: auth}}\nresources:\n{resources}"
    );
    std::fs::write(&file, text).unwrap();
    let Loaded { app, warnings, .. } = load(&file, &LoadOptions::default()).unwrap();
    let api = &app.websocket_apis[0];
    let warnings = warnings.iter().map(|warning| warning.message.clone()).collect();
    (api.connect.clone(), api.routes["$connect"].authorizer.clone(), warnings, app)
}

#[test]
fn signatures_and_api_keys_are_asked_for_where_the_generated_route_is_changed() {
    for place in ["extensions", "Resources"] {
        let (connect, authorizer, warnings, app) = with_resources(&format!(
            "  {place}:\n    SconnectWebsocketsRoute:\n      Properties:\n        \
             AuthorizationType: AWS_IAM\n        ApiKeyRequired: true\n"
        ));
        assert!(connect.iam && connect.api_key, "{place}");
        assert_eq!(authorizer, None);
        assert!(warnings[0].contains("signatures are asked for by `fanwire serve`"));
        assert!(app.not_served.is_empty(), "{:?}", app.not_served);
    }
    let (connect, authorizer, warnings, _) = with_resources("  Resources: {}\n");
    assert_eq!((connect, authorizer.as_deref()), (ConnectRules::default(), Some("auth")));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn other_changes_of_what_is_generated_are_listed_as_not_served() {
    let (_, _, _, app) = with_resources(
        "  extensions:\n    WebsocketsDeploymentStage:\n      Properties: {AutoDeploy: true}\n",
    );
    assert_eq!(app.not_served[0].kind, "resources.extensions");
    assert_eq!(app.not_served[0].used_by, ["WebsocketsDeploymentStage"]);
}
