//! `sst.config.ts` files in the shapes that SST's documentation has, and the Apps that they
//! are. Each shape is a folder of `tests/sst`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fanwire_app::model::{
    AttributeType, Code, Function, Integration, Links, Projection, Runtime, SERVER_ADDRESS,
    StreamView,
};
use fanwire_app::{App, LoadOptions, Loaded, load};
use serde_json::json;

fn folder(shape: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sst").join(shape)
}

/// What Node.js is found by, and nothing else of whoever runs the tests.
fn options(stage: Option<&str>) -> LoadOptions {
    let path = std::env::var("PATH").unwrap();
    LoadOptions {
        stage: stage.map(str::to_owned),
        environment: [("PATH".to_owned(), path)].into(),
        ..LoadOptions::default()
    }
}

fn loaded(shape: &str) -> Loaded {
    load(&folder(shape), &options(None)).unwrap_or_else(|error| panic!("{shape}:\n{error}"))
}

/// The App of a shape that nothing is odd about.
fn app(shape: &str) -> App {
    let Loaded { app, warnings, .. } = loaded(shape);
    assert_eq!(warnings, [], "{shape}");
    app
}

fn only(names: &[&str]) -> Links {
    Links::Only(names.iter().map(|&name| name.to_owned()).collect())
}

fn handler(function: &Function) -> (&str, &str) {
    match &function.code {
        Code::Handler { handler, identifier, .. } => (identifier, handler),
        other => panic!("{other:?}"),
    }
}

/// What is not served, as `KIND: NAMES`.
fn not_served(app: &App) -> Vec<String> {
    let entries = app.not_served.iter();
    entries.map(|entry| format!("{}: {}", entry.kind, entry.used_by.join(" "))).collect()
}

#[test]
fn a_function_has_sst_s_defaults() {
    let app = app("minimal");
    assert_eq!((app.service.as_str(), app.stage.as_str()), ("minimal", "dev"));
    assert_eq!(app.region, "us-east-1");
    let hello = &app.functions["Hello"];
    assert_eq!(hello.name, "minimal-dev-Hello");
    assert_eq!(handler(hello), ("nodejs22.x", "src/hello.handler"));
    assert_eq!((hello.timeout, hello.memory_mb), (Duration::from_secs(20), 1024));
    assert_eq!(hello.links, only(&[]));
    assert!(app.not_served.is_empty() && app.realtime.is_none() && app.websocket_apis.is_empty());
}

#[test]
fn a_stage_decides_what_there_is() {
    let names = |app: &App| app.functions.keys().cloned().collect::<Vec<_>>().join(" ");
    let dev = app("stages");
    assert_eq!((names(&dev).as_str(), dev.region.as_str()), ("Main Debug", "us-west-2"));
    let main = &dev.functions["Main"];
    assert_eq!((main.memory_mb, main.timeout), (512, Duration::from_secs(60)));
    assert_eq!(main.environment["DEV"], "true");
    assert_eq!(main.environment["REMOVAL"], "remove");
    let production = load(&folder("stages"), &options(Some("production"))).unwrap().app;
    assert_eq!((names(&production).as_str(), production.region.as_str()), ("Main", "eu-central-1"));
    assert_eq!(production.functions["Main"].name, "stages-production-Main");
    assert_eq!(production.functions["Main"].environment["STAGE"], "production");
    assert_eq!(production.functions["Main"].environment["REMOVAL"], "retain-all");
    assert_eq!(production.functions["Main"].memory_mb, 2048);
    assert_eq!(not_served(&production), ["sst.aws.Cron: Nightly"]);
    let chosen = LoadOptions { region: Some("eu-west-3".to_owned()), ..options(None) };
    assert_eq!(load(&folder("stages"), &chosen).unwrap().app.region, "eu-west-3");
}

#[test]
fn what_run_imports_belongs_to_the_app_and_is_followed() {
    let Loaded { app, files, warnings } = loaded("dynamic-imports");
    assert_eq!(warnings, []);
    let say = &app.functions["ApiRouteSay"];
    assert_eq!(handler(say).1, "src/say.handler");
    assert_eq!(say.environment["ROOM"], "room-hall");
    assert_eq!(say.links, only(&["Rooms", "Api"]));
    let root = folder("dynamic-imports").canonicalize().unwrap();
    let read: BTreeSet<_> = files.iter().filter_map(|file| file.strip_prefix(&root).ok()).collect();
    for file in [
        "sst.config.ts",
        "infra/index.ts",
        "infra/api.ts",
        "infra/storage.ts",
        "packages/core/names.ts",
        "settings.json",
        "tsconfig.json",
        ".env",
        ".env.dev",
    ] {
        assert!(read.contains(Path::new(file)), "{file} in {read:?}");
    }
}

#[test]
fn transforms_change_what_they_are_about() {
    let Loaded { app, warnings, .. } = loaded("transform");
    let plain = &app.functions["Plain"];
    assert_eq!(plain.name, "transform-dev-Plain-renamed");
    assert_eq!(handler(plain).0, "nodejs20.x");
    assert_eq!(plain.timeout, Duration::from_secs(7));
    assert_eq!(
        (plain.environment["NAMED"].as_str(), plain.environment["ADDED"].as_str()),
        ("Plain", "yes")
    );
    assert_eq!(app.tables["Table"].name, "chosen-name");
    let realtime = app.realtime.unwrap();
    assert_eq!(realtime.authorizers["the-authorizer"].function, "LiveAuthorizerHandler");
    assert_eq!(
        app.functions["LiveAuthorizerHandler"].environment["NAMED"],
        "LiveAuthorizerHandler"
    );
    assert_eq!(realtime.rules["LiveSubscriber"].sql, "SELECT text FROM 'a/+' WHERE loud = true");
    let api = &app.websocket_apis[0];
    assert_eq!(api.route_selection.to_string(), "$request.body.type");
    assert_eq!(api.stage_variables["color"], "blue");
    assert_eq!(app.functions["ApiRouteDefault"].links, only(&["Table"]));
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.starts_with("the IAM authorization of `ApiRouteDefault`"), "{warning}");
}

#[test]
fn outputs_become_values() {
    let app = app("outputs");
    let function = &app.functions["Fn"];
    assert_eq!(handler(function).1, "src/fn.handler");
    assert_eq!(function.memory_mb, 256);
    for (name, value) in [
        ("TABLE", "outputs-dev-TableTable"),
        ("UPPER", "OUTPUTS-DEV-TABLETABLE"),
        ("TEXT", "outputs-dev-TableTable/waited/1"),
        ("JOINED", "outputs-dev-TableTable-end"),
        ("ALL", "outputs-dev-TableTable+waited"),
        ("OBJECT", "outputs-dev-TableTablewaited"),
        ("JSON", "{\"table\":\"outputs-dev-TableTable\",\"list\":[1,\"waited\"]}"),
        ("PARSED", "outputs-dev-TableTable"),
        ("NESTED", "42"),
        ("UTIL", "arn:aws:dynamodb:us-east-1:000000000000:table/outputs-dev-TableTable"),
        ("LAZY", "outputs-dev-TableTable"),
        ("NUMBER", "7"),
        ("BUCKET", "Bucket.arn"),
    ] {
        assert_eq!(function.environment[name], value, "{name}");
    }
    assert!(!function.environment.contains_key("NOTHING"));
}

#[test]
fn what_is_not_served_is_listed_once_a_kind_and_reads_as_placeholders() {
    let app = app("unknown-components");
    let expected = [
        "sst.aws.Vpc: Vpc",
        "sst.aws.Cluster: Cluster",
        "sst.aws.Postgres: Database",
        "sst.aws.Queue: Queue",
        "sst.aws.Bucket: Uploads",
        "sst.aws.Cron: Cron",
        "sst.aws.SnsTopic: Topic",
        "sst.aws.NeverHeardOf: Future",
        "function URL: Worker",
    ];
    assert_eq!(not_served(&app), expected);
    let worker = &app.functions["Worker"];
    assert_eq!(worker.links, only(&["Database", "Queue", "Uploads", "Topic", "Future"]));
    assert_eq!(worker.environment["QUEUE"], "not-served:Queue.url");
    assert_eq!(worker.environment["SUBNETS"], "NOT-SERVED:VPC.PRIVATESUBNETS");
    assert_eq!(
        app.links["Uploads"],
        json!({ "name": "not-served:Uploads.name", "type": "sst.aws.Bucket" })
    );
    assert_eq!(app.links["Database"]["host"], "not-served:Database.host");
    assert_eq!(app.links["Future"], json!({ "type": "sst.aws.NeverHeardOf" }));
}

#[test]
fn providers_are_there_by_globals_and_by_imports() {
    let app = app("providers");
    let environment = &app.functions["Fn"].environment;
    assert_eq!(environment["ACCOUNT"], "000000000000");
    assert_eq!(environment["REGION"], "us-east-1");
    assert_eq!(environment["STACK"], "dev");
    assert_eq!(environment["SECRET"], "not-served:Password.result-not-served:Other.result");
    let listed = not_served(&app);
    for kind in [
        "aws.s3.Bucket: Direct",
        "random.RandomPassword: Password Other",
        "aws.iam.Role: Role",
        "cloudflare.Record: Record",
        "planetscale.Database: Planet",
        "azureNative.storage.StorageAccount: Azure",
        "tls.PrivateKey: Key",
    ] {
        assert!(listed.iter().any(|entry| entry == kind), "{kind} in {listed:?}");
    }
}

#[test]
fn links_have_the_values_that_env_files_give() {
    let Loaded { app, warnings, .. } = loaded("links");
    for (name, value) in [
        ("Given", json!({ "value": "from .env", "type": "sst.sst.Secret" })),
        ("OfStage", json!({ "value": "from .env.dev", "type": "sst.sst.Secret" })),
        ("Fallback", json!({ "value": "a placeholder", "type": "sst.sst.Secret" })),
        ("Missing", json!({ "value": "", "type": "sst.sst.Secret" })),
        (
            "Settings",
            json!({
                "depth": { "list": [1, "two", true] },
                "secret": "from .env",
                "type": "sst.sst.Linkable",
            }),
        ),
        (
            "Topic",
            json!({
                "arn": "not-served:Topic.arn",
                "given": "not-served:Topic.name",
                "type": "aws.sns/topic.Topic",
            }),
        ),
        ("Jobs", json!({ "url": "http://localhost:9324/jobs", "type": "sst.aws.Queue" })),
        ("Other", json!({ "name": "links-dev-Other", "type": "sst.aws.Function" })),
    ] {
        assert_eq!(app.links[name], value, "{name}");
    }
    let reader = &app.functions["Reader"];
    assert_eq!(reader.environment["BROUGHT"], "along");
    let fallback = json!({ "value": "a placeholder", "type": "sst.sst.Secret" });
    assert_eq!(reader.environment["SST_RESOURCE_Fallback"], fallback.to_string());
    let Links::Only(names) = &reader.links else { panic!() };
    assert_eq!(names.len(), 9);
    assert_eq!(app.functions["Other"].links, only(&[]));
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(warning.message, "the secret `Missing` has no value, and is empty");
    assert_eq!(warning.place.as_ref().map(|place| (place.line, place.column)), Some((8, 21)));
    assert!(warning.help.as_ref().unwrap().contains("SST_SECRET_Missing"));
}

#[test]
fn the_environment_wins_over_env_and_loses_to_that_of_the_stage() {
    let mut options = options(None);
    for name in ["SST_SECRET_Given", "SST_SECRET_OfStage"] {
        options.environment.insert(name.to_owned(), "from outside".to_owned());
    }
    let links = load(&folder("links"), &options).unwrap().app.links;
    assert_eq!(links["Given"]["value"], "from outside");
    assert_eq!(links["OfStage"]["value"], "from .env.dev");
}

#[test]
fn realtime_components_are_one_endpoint() {
    let app = app("realtime");
    let realtime = app.realtime.unwrap();
    assert_eq!(realtime.name, "Chat");
    let authorizers: Vec<_> = realtime
        .authorizers
        .iter()
        .map(|(name, it)| (name.as_str(), it.function.as_str()))
        .collect();
    let expected = [
        ("realtime-dev-ChatAuthorizer", "ChatAuthorizerHandler"),
        ("realtime-dev-GameAuthorizer", "GameAuthorizerHandler"),
    ];
    assert_eq!(authorizers, expected);
    assert_eq!(realtime.default_authorizer, None);
    let rules: Vec<_> = realtime
        .rules
        .iter()
        .map(|(name, rule)| (name.as_str(), rule.plain_filter().unwrap(), rule.function.as_str()))
        .collect();
    let expected = [
        ("ChatSubscriber", "realtime/dev/#", "ChatSubscriber"),
        ("ChatSubscriber2", "realtime-dev-MessagesTable/+", "ChatSubscriber2"),
        ("ChatSubscriber3", "shared", "Shared"),
        ("GameSubscriber", "elsewhere", "GameSubscriber"),
    ];
    assert_eq!(rules, expected);
    assert_eq!(app.functions["ChatAuthorizerHandler"].timeout, Duration::from_secs(3));
    assert!(matches!(app.functions["GameSubscriber"].code, Code::Lambda { .. }));
    assert!(!app.functions.contains_key("ChatSubscriber3"));
    // The server adds that of the endpoint's own name.
    assert!(!app.links.contains_key("Chat"));
    let game = json!({
        "endpoint": SERVER_ADDRESS,
        "authorizer": "realtime-dev-GameAuthorizer",
        "type": "sst.aws.Realtime",
    });
    assert_eq!(app.links["Game"], game);
}

#[test]
fn websocket_apis_have_routes_and_authorizers() {
    let Loaded { app, warnings, .. } = loaded("websocket");
    let [api, other] = app.websocket_apis.as_slice() else { panic!() };
    assert_eq!((api.stage.as_str(), api.base_path.as_deref()), ("$default", None));
    assert_eq!((other.stage.as_str(), other.base_path.as_deref()), ("$default", Some("Other")));
    assert_ne!(api.id, other.id);
    let routes: Vec<_> = api.routes.keys().map(String::as_str).collect();
    assert_eq!(routes, ["$connect", "$disconnect", "$default", "send-message", "send_message"]);
    assert_eq!(api.routes["$connect"].authorizer.as_deref(), Some("ApiAuthorizerGate"));
    let function = |key: &str| match &api.routes[key].integration {
        Integration::Function { function } => function.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(function("send-message"), "ApiRouteSendMessage");
    assert_eq!(function("send_message"), "ApiRouteSecond");
    let sources = |name: &str| -> Vec<_> {
        api.authorizers[name].identity_source.iter().map(ToString::to_string).collect()
    };
    assert_eq!(sources("ApiAuthorizerGate"), ["route.request.header.Auth"]);
    assert_eq!(sources("ApiAuthorizerPlain"), ["route.request.header.Authorization"]);
    assert_eq!(app.links["Api"]["url"], format!("ws://{SERVER_ADDRESS}/$default"));
    assert_eq!(app.links["Other"]["managementEndpoint"], format!("http://{SERVER_ADDRESS}/Other"));
    let expected = ["domain of an API: Api", "JWT authorizer of a WebSocket API: ApiAuthorizerJwt"];
    assert_eq!(not_served(&app), expected);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.starts_with("the JWT authorization of `OtherRouteConnect`"));
}

#[test]
fn tables_have_keys_indexes_expiry_and_streams() {
    let app = app("dynamo");
    let table = &app.tables["Full"];
    assert_eq!(app.tables.len(), 1);
    assert_eq!((table.key.hash.as_str(), table.key.range.as_deref()), ("user", Some("at")));
    assert_eq!(table.attributes["at"], AttributeType::N);
    assert_eq!(table.attributes["token"], AttributeType::B);
    let [by_token, by_room] = table.global_indexes.as_slice() else { panic!() };
    assert_eq!(by_token.projection, Projection::KeysOnly);
    assert_eq!(by_room.key.range, ["at", "user"]);
    assert_eq!(by_room.projection, Projection::Include(vec!["text".to_owned()]));
    assert_eq!(table.local_indexes[0].key.hash, ["user"]);
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires"));
    assert_eq!(table.stream, Some(StreamView::NewAndOldImages));
    assert_eq!(app.links["Existing"]["name"], "made-elsewhere");
    assert_eq!(not_served(&app), ["stream subscriber of a table: Full"]);
}

#[test]
fn sites_have_commands_links_and_environments() {
    let app = app("sites");
    let root = folder("sites");
    let web = &app.sites["Web"];
    assert_eq!(
        (web.kind.as_str(), web.command.as_deref()),
        ("sst.aws.Nextjs", Some("npm run dev"))
    );
    assert_eq!(web.path, root.join("packages/web"));
    assert_eq!(web.links, only(&["Api", "Key"]));
    assert_eq!(web.environment["NEXT_PUBLIC_API"], format!("ws://{SERVER_ADDRESS}/$default"));
    let command = |name: &str| app.sites[name].command.as_deref();
    assert_eq!(command("Docs"), Some("npm run start"));
    assert_eq!(command("Blog"), None);
    assert_eq!(command("Studio"), Some("npx drizzle-kit studio"));
    assert_eq!(command("Worker"), Some("node worker.js"));
    assert_eq!(app.sites["Shop"].path, root.join("shop/app"));
    assert_eq!(app.sites.len(), 13, "{:?}", app.sites.keys());
    assert_eq!(app.links["Docs"]["url"], "http://localhost:4000");
    assert_eq!(not_served(&app), ["sst.aws.Cluster: Cluster", "sst.aws.Service: Only"]);
}

#[test]
fn a_repository_may_have_several_apps() {
    for (name, function) in [("one", "One"), ("two", "Two")] {
        let app = app(&format!("several-apps/{name}"));
        assert_eq!((app.service.as_str(), app.functions.len()), (name, 1));
        assert_eq!(handler(&app.functions[function]).1, format!("src/{name}.handler"));
    }
}

#[test]
fn functions_may_be_of_other_languages() {
    let app = app("runtimes");
    let root = folder("runtimes");
    let Code::Handler { runtime, handler, .. } = &app.functions["Python"].code else { panic!() };
    assert_eq!((*runtime, handler.as_str()), (Runtime::Python, "functions/src/api.handler"));
    let command = |key: &str| match &app.functions[key].code {
        Code::Command { command, build, root, .. } => {
            (command[0].clone(), build.clone(), root.clone())
        }
        other => panic!("{other:?}"),
    };
    let (program, build, at) = command("Rust");
    assert!(program.ends_with("debug/say"), "{program}");
    assert_eq!(build.unwrap(), ["cargo", "build", "--bin", "say"]);
    assert_eq!(at, root.join("crates/say"));
    assert!(command("Named").0.ends_with("debug/shout"));
    let (program, build, at) = command("Go");
    assert_eq!(at, root.join("go"));
    assert_eq!(build.unwrap()[3], program);
    assert_eq!(app.functions["Go"].concurrency, Some(3));
    assert_eq!(command("Own"), ("./bootstrap".to_owned(), None, root.join("built")));
    let Code::Handler { root: at, .. } = &app.functions["Bundled"].code else { panic!() };
    assert_eq!(*at, root.join("dist"));
}

#[test]
fn a_configuration_may_use_node_and_print() {
    let Loaded { app, warnings, .. } = loaded("printing");
    assert_eq!(app.service, "printing");
    let environment = &app.functions["Fn"].environment;
    for (name, value) in [
        ("HASH", "2d711642"),
        ("UUID", "string"),
        ("HERE", "printing"),
        ("ASSET", "package.json"),
        ("COMMAND", "dev"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    assert!(!folder("printing").join("written.txt").exists());
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.starts_with("`written.txt` is not written"), "{warning}");
}

#[test]
fn types_are_taken_out_by_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let text = "const name: string = \"typed\";\nexport default $config({\n  app: () => ({ name, home: \"aws\" }),\n  async run() {},\n});\n";
    std::fs::write(folder.path().join("sst.config.ts"), text).unwrap();
    let program = "const file = process.argv[1], text = fs.readFileSync(file, 'utf8'); \
        const code = text.replace(': string', ''); \
        console.log(JSON.stringify({ modules: { [file]: { code } } }));";
    let typescript = ["node", "--eval", program].map(str::to_owned).to_vec();
    let options = LoadOptions { typescript, ..options(None) };
    assert_eq!(load(folder.path(), &options).unwrap().app.service, "typed");
}
