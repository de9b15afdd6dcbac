//! SAM and CloudFormation templates as the public documentation shows them, loaded into an
//! App. `tests/sam` holds the templates.

use std::path::{Path, PathBuf};

use fanwire_app::model::{Code, ExecutionLogLevel, IdentitySource, Integration, SqlVersion};
use fanwire_app::{App, LoadOptions, Loaded, load};

fn shapes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sam")
}

/// Loads a template of `tests/sam`.
#[track_caller]
fn loaded_with(name: &str, params: &[(&str, &str)]) -> Loaded {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = LoadOptions { params: params.collect(), ..LoadOptions::default() };
    load(&shapes().join(name), &options).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn app(name: &str) -> App {
    loaded_with(name, &[]).app
}

fn not_served(app: &App) -> Vec<&str> {
    app.not_served.iter().map(|entry| entry.kind.as_str()).collect()
}

#[test]
fn every_function_of_cloudformation_has_its_value() {
    let Loaded { app, warnings, .. } = loaded_with("intrinsics.yaml", &[]);
    let environment = &app.functions["Function"].environment;
    let region = "us-east-1";
    for (name, expected) in [
        ("REF", "beta"),
        ("REF_LONG", "sam-Table"),
        ("REF_PSEUDO", region),
        ("GETATT", "arn:aws:dynamodb:us-east-1:000000000000:table/sam-Table"),
        ("GETATT_LONG", "news"),
        ("GETATT_UNKNOWN", "arn:aws:sns:us-east-1:000000000000:news.Colour"),
        ("SUB", "sam/beta/sam-Table/news/${literal}"),
        ("SUB_LIST", "grace-beta"),
        ("JOIN", "a+beta+3"),
        ("JOIN_LIST", "ada,grace"),
        ("SELECT", "80"),
        ("SPLIT", "c"),
        ("IF", "tries"),
        ("IF_OTHER", "other"),
        ("OR", "yes"),
        ("AND", "no"),
        ("MAP", "10"),
        ("MAP_LIST", "ab"),
        ("MAP_DEFAULT", "none"),
        ("BASE64", "aGVsbG8="),
        ("LENGTH", "2"),
        ("JSON", r#"{"stages":["beta",1,true]}"#),
        ("ZONES", "us-east-1a us-east-1b us-east-1c"),
        ("IMPORT", "import:other-stack-Url"),
        ("SECRET", "{{resolve:secretsmanager:chat:SecretString:key}}"),
        ("SSM", "ssm:/chat/key"),
        ("ALIAS", "arn:aws:lambda:us-east-1:000000000000:function:sam-Published:live"),
        ("NUMBER", "5"),
        ("TRUTH", "true"),
    ] {
        assert_eq!(environment.get(name).map(String::as_str), Some(expected), "{name}");
    }
    for nothing in ["REF_NOTHING", "IF_NOTHING"] {
        assert_eq!(environment.get(nothing), None, "{nothing}");
    }
    // What is in AWS is told of: an export, a secret, a parameter.
    let told: Vec<_> = warnings.iter().map(|it| it.place.as_ref().unwrap().line).collect();
    assert_eq!(told, [68, 69, 70]);
    assert_eq!(not_served(&app), ["AWS::SNS::Topic"], "the condition of the queue does not hold");
}

#[test]
fn parameters_come_from_the_command_line_first() {
    let params = [("Stage", "prod"), ("Names", "eve,mallory,trent"), ("Key", "here")];
    let Loaded { app, warnings, .. } = loaded_with("intrinsics.yaml", &params);
    let environment = &app.functions["Function"].environment;
    assert_eq!((environment["REF"].as_str(), environment["SSM"].as_str()), ("prod", "here"));
    assert_eq!((environment["IF"].as_str(), environment["LENGTH"].as_str()), ("runs", "3"));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn sam_s_own_type_of_api_is_what_the_transform_makes_of_it() {
    let app = app("websocket-api.yaml");
    let [api] = app.websocket_apis.as_slice() else { panic!() };
    assert_eq!((api.name.as_str(), api.stage.as_str()), ("Socket", "default"));
    assert_eq!(api.base_path.as_deref(), Some("talk"));
    assert_eq!(api.stage_variables["colour"], "red");
    assert_eq!(api.logs.access.as_ref().unwrap().format, "$context.connectionId $context.status");
    assert_eq!(api.logs.execution, ExecutionLogLevel::Error);
    assert!(api.logs.full_execution_data);
    assert_eq!(api.limits.integration_timeout.as_secs(), 9);
    let connect = &api.routes["$connect"];
    assert_eq!(connect.authorizer.as_deref(), Some("SocketAuthorizer"));
    assert!(!connect.route_response && api.routes["ask"].route_response);
    let authorizer = &api.authorizers["SocketAuthorizer"];
    assert_eq!(authorizer.function, "Gate");
    let header = IdentitySource::Header("Authorization".to_owned());
    let query = IdentitySource::QueryString("token".to_owned());
    assert_eq!(authorizer.identity_source, [header, query]);
    // `Globals`, under what functions say themselves.
    let ask = &app.functions["Ask"];
    assert_eq!(
        (ask.environment["LEVEL"].as_str(), ask.environment["MORE"].as_str()),
        ("debug", "1")
    );
    assert_eq!(app.functions["Gate"].environment["LEVEL"], "info");
    let Code::Handler { root, identifier, .. } = &ask.code else { panic!() };
    assert_eq!((root, identifier.as_str()), (&shapes().join("src"), "python3.13"));
    assert_eq!((ask.timeout.as_secs(), ask.memory_mb), (3, 128), "Lambda's defaults");
    assert!(not_served(&app).is_empty());
}

#[test]
fn inline_code_mocks_and_backends_of_plain_cloudformation_are_served() {
    let app = app("inline.yaml");
    let [api] = app.websocket_apis.as_slice() else { panic!() };
    assert_eq!((api.name.as_str(), api.stage.as_str()), ("Inline", "my_stage"));
    assert_eq!(api.route_selection.as_str(), "${request.body.kind}");
    let default = &api.routes["$default"];
    assert_eq!(default.integration, Integration::Function { function: "Handler".to_owned() });
    assert!(default.route_response);
    let Integration::Http(http) = &api.routes["save"].integration else { panic!() };
    assert_eq!(
        (http.method.as_str(), http.url.as_str()),
        ("PUT", "https://${stageVariables.host}/messages")
    );
    assert_eq!(http.timeout.unwrap().as_secs(), 2);
    assert_eq!(http.request_parameters["integration.request.header.id"], "context.connectionId");
    let Integration::Mock(mock) = &api.routes["ping"].integration else { panic!() };
    assert_eq!((mock.status, mock.body.as_str()), (201, r#"{"pong": true}"#));
    let function = &app.functions["Handler"];
    assert_eq!(function.name, "inline-handler");
    assert_eq!((function.timeout.as_secs(), function.memory_mb), (20, 512));
    assert_eq!(function.concurrency, Some(0));
    let Code::Inline { source, handler, root, .. } = &function.code else { panic!() };
    assert!(source.starts_with("exports.handler") && source.ends_with("});\n"), "{source}");
    assert_eq!(handler, "index.handler");
    assert!(root.ends_with(".fanwire/inline/Handler"), "{}", root.display());
}

#[test]
fn several_apis_are_told_apart() {
    let app = app("several.yaml");
    let apis: Vec<_> = app.websocket_apis.iter().collect();
    let [one, two, three] = apis.as_slice() else { panic!() };
    assert_eq!((one.name.as_str(), one.base_path.as_deref()), ("chat", None));
    assert_eq!(two.name, format!("chat-{}", two.id), "a name of its own");
    assert_eq!(two.base_path.as_ref(), Some(&two.name), "a path of its own, as they share a stage");
    assert_eq!((three.stage.as_str(), three.base_path.as_deref()), ("prod", Some("status")));
    let ids: std::collections::HashSet<_> = apis.iter().map(|api| &api.id).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(
        not_served(&app),
        [
            "AWS::ApiGatewayV2::Stage (another of the same API)",
            "AWS::ApiGatewayV2::Integration (a function of another stack)",
            "AWS::ApiGatewayV2::Api (HTTP)",
            "AWS::ApiGatewayV2::Route (of an API that is not in this file)",
        ]
    );
}

#[test]
fn topic_rules_and_authorizers_of_iot_make_a_realtime_endpoint() {
    let app = app("iot.yaml");
    let realtime = app.realtime.as_ref().unwrap();
    let event = &realtime.rules["sam_SaveMessages"];
    assert_eq!((event.plain_filter(), event.function.as_str()), (Some("chat/+"), "Save"));
    assert_eq!(event.sql_version, SqlVersion::V2016_03_23);
    assert_eq!(realtime.rules["counts"].function, "Count");
    assert_eq!(realtime.authorizers["gate"].function, "Gate");
    assert_eq!(not_served(&app), ["AWS::IoT::TopicRule (Sns)"]);
}

#[test]
fn what_the_cdk_synthesizes_runs_from_the_assets_beside_it() {
    let app = app("cdk.template.json");
    let function = &app.functions["Handler886CB40B"];
    let Code::Handler { root, .. } = &function.code else { panic!() };
    assert_eq!(*root, shapes().join("src"));
    assert_eq!(function.environment["SLASH"], "a/b");
    assert_eq!(function.environment["TABLE"], app.tables["Table710B521B"].name);
    let [api] = app.websocket_apis.as_slice() else { panic!() };
    assert_eq!(api.stage, "dev");
    assert_eq!(api.routes.len(), 1);
    assert!(not_served(&app).is_empty());
}

#[test]
fn what_builds_a_function_is_run_here_and_what_cannot_be_run_is_listed() {
    let Loaded { app, warnings, .. } = loaded_with("builds.yaml", &[]);
    let handler = |name: &str| app.functions[name].code.handler().unwrap().handler.to_owned();
    assert_eq!(handler("TypeScript"), "src/app.handler", "where the entry point is");
    let Code::Command { command, build, root, .. } = &app.functions["Make"].code else { panic!() };
    assert_eq!(command, &["../.aws-sam/build/Make/bootstrap"]);
    assert_eq!(build.as_ref().unwrap().last().unwrap(), "Make");
    assert_eq!(*root, shapes().join("src"));
    let Code::Command { build, .. } = &app.functions["Go"].code else { panic!() };
    assert_eq!(build.as_ref().unwrap()[..2], ["go", "build"]);
    assert_eq!(
        not_served(&app),
        [
            "HttpApi",
            "Schedule",
            "FunctionUrlConfig",
            "Runtime: java21",
            "PackageType: Image",
            "code that is in S3",
            "Layers",
            "AWS::Serverless::LayerVersion",
            "AWS::Serverless::Application",
            "AWS::SQS::Queue",
        ]
    );
    let [java] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(java.place.as_ref().unwrap().line, 18);
}

#[test]
fn tables_follow_conditions() {
    let tables = app("tables.yaml").tables;
    assert_eq!(tables["Plain"].key.hash, "id");
    assert_eq!(
        (tables["Named"].name.as_str(), tables["Named"].key.hash.as_str()),
        ("sam-named", "at")
    );
    assert_eq!(tables["Full"].ttl_attribute.as_deref(), Some("expires"));
    assert_eq!((tables["Full"].global_indexes.len(), tables["Full"].local_indexes.len()), (1, 1));
    assert_eq!(tables["Words"].ttl_attribute.as_deref(), Some("off-at"), "`yes` is a boolean");
    let without = loaded_with("tables.yaml", &[("Ttl", "false")]).app;
    assert_eq!(without.tables["Full"].ttl_attribute, None);
}

#[test]
fn files_are_included_and_loops_are_written_out() {
    let Loaded { app, files, .. } = loaded_with("included.yaml", &[]);
    assert_eq!(app.tables["Notes"].name, "sam-Notes");
    for (key, who) in [("FirstWorker", "First"), ("SecondWorker", "Second")] {
        let environment = &app.functions[key].environment;
        assert_eq!(environment["WHO"], who);
        assert_eq!(environment["ALSO"], format!("the {who}"));
        assert_eq!(environment["COLOUR"], "blue");
    }
    let included = shapes().join("parts/resources.yaml");
    assert!(files.contains(&included), "a change of it changes the App: {files:?}");
}

#[test]
fn samconfig_says_what_deploy_would_be_told() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/apps/sam");
    let Loaded { app, files, .. } = load(&project, &LoadOptions::default()).unwrap();
    assert!(files.iter().any(|file| file.ends_with("samconfig.toml")), "{files:?}");
    assert_eq!((app.service.as_str(), app.region.as_str()), ("rooms", "eu-west-1"));
    assert_eq!(app.stage, "test");
    assert_eq!(app.functions["Doorman"].environment["ROOMS"], "kitchen|attic");
}

#[test]
fn the_stage_selects_the_table_of_samconfig() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "template.yml",
        "Parameters: {A: {Type: String}}\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {Handler: a.b, Runtime: nodejs22.x, Environment: {Variables: {A: !Ref A}}}\n",
    );
    write(
        "samconfig.toml",
        "[default.deploy.parameters]\nparameter_overrides = [\"A=usual\"]\n[prod.deploy.parameters]\nstack_name = \"chat-prod\"\nparameter_overrides = \"ParameterKey=A,ParameterValue=special\"\n",
    );
    let value = |stage: Option<&str>| {
        let options = LoadOptions { stage: stage.map(str::to_owned), ..LoadOptions::default() };
        let app = load(folder.path(), &options).unwrap().app;
        (app.functions["F"].environment["A"].clone(), app.service)
    };
    assert_eq!(value(None).0, "usual");
    assert_eq!(value(Some("staging")).0, "usual");
    assert_eq!(value(Some("prod")), ("special".to_owned(), "chat-prod".to_owned()));
}
