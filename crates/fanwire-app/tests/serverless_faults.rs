//! What is said about a `serverless.yml` that is wrong: the place, the culprit and
//! the remedy.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::Path;

use fanwire_app::{LoadError, LoadOptions, load};

/// What stands before the functions of every file here: lines 1 to 3.
const HEAD: &str = "service: chat\nprovider: {name: aws, runtime: nodejs20.x}\nfunctions:\n";

fn load_text(text: &str) -> Result<fanwire_app::Loaded, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serverless.yml");
    std::fs::write(&file, text).unwrap();
    load(&file, &LoadOptions::default())
}

/// The one fault of a file, as it is printed.
#[track_caller]
fn fault(text: &str) -> String {
    let error = load_text(text).map(|loaded| loaded.app).unwrap_err();
    assert_eq!(error.diagnostics.len(), 1, "{error}");
    error.to_string()
}

/// The one fault of the functions `text`, and where it is.
#[track_caller]
fn assert_fault(text: &str, place: (usize, usize), parts: &[&str]) {
    let text = format!("{HEAD}{text}");
    let error = load_text(&text).map(|loaded| loaded.app).unwrap_err();
    assert_eq!(error.diagnostics.len(), 1, "{error}");
    let found = error.diagnostics[0].place.as_ref().unwrap();
    assert_eq!((found.line, found.column), place, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in\n{error}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let text = "service: chat\nprovider: {name: aws}\nfunctons: {}\n";
    let shown = fault(text);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "error: unknown key `functons` in serverless.yml");
    assert!(lines[1].ends_with("serverless.yml:3:1"), "{shown}");
    assert_eq!(lines[2..5], ["  |", "3 | functons: {}", "  | ^^^^^^^^"]);
    assert_eq!(lines.last(), Some(&"  = help: did you mean `functions`?"));
    assert_fault(
        "  a:\n    hander: a.b\n    handler: a.b\n",
        (5, 5),
        &["unknown key `hander` in a function", "did you mean `handler`?"],
    );
    assert_fault(
        "  a:\n    handler: a.b\n    events:\n      - websocket: {route: x, authoriser: y}\n",
        (7, 31),
        &["unknown key `authoriser` in a websocket event", "did you mean `authorizer`?"],
    );
    assert_fault(
        "  a:\n    handler: a.b\n    events:\n      - websockets: $connect\n",
        (7, 9),
        &["unknown event `websockets`", "did you mean `websocket`?"],
    );
}

#[test]
fn a_key_of_a_plugin_is_a_warning() {
    let text = format!("{HEAD}  a: {{handler: a.b, prune: true}}\nappsync: {{}}\n");
    let warnings = load_text(&text).unwrap().warnings;
    let messages: Vec<_> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "unknown key `prune` in a function; it has no effect here",
            "unknown key `appsync` in serverless.yml; it has no effect here"
        ]
    );
}

#[test]
fn a_route_on_two_functions_is_refused() {
    assert_fault(
        "  a: {handler: a.b, events: [{websocket: send}]}\n  b: {handler: a.b, events: [{websocket: {route: send}}]}\n",
        (5, 50),
        &["the route `send` is already on the function `a`", "each route once"],
    );
}

#[test]
fn an_authorizer_that_names_no_function_gets_the_nearest_one() {
    assert_fault(
        "  auth: {handler: a.b}\n  a:\n    handler: a.b\n    events:\n      - websocket: {route: $connect, authorizer: atuh}\n",
        (8, 50),
        &["the authorizer `atuh` is not a function of this file", "did you mean `auth`?", "^^^^"],
    );
    assert_fault(
        "  auth: {handler: a.b}\n  a:\n    handler: a.b\n    events:\n      - websocket: {route: $connect, authorizer: {name: Auth}}\n",
        (8, 57),
        &["`Auth` is not a function", "did you mean `auth`?"],
    );
}

#[test]
fn an_authorizer_stands_on_connect_alone() {
    assert_fault(
        "  auth: {handler: a.b}\n  a: {handler: a.b, events: [{websocket: {route: send, authorizer: auth}}]}\n",
        (5, 68),
        &["the route `send` cannot have an authorizer", "$connect alone"],
    );
}

#[test]
fn an_authorizer_needs_a_name_or_an_arn() {
    let event = |authorizer: &str| {
        format!(
            "  a:\n    handler: a.b\n    events:\n      - websocket:\n          route: $connect\n          authorizer: {authorizer}\n"
        )
    };
    assert_fault(&event("{identitySource: []}"), (9, 23), &["neither a name nor an ARN"]);
    assert_fault(
        &event("{arn: !Sub 'arn:x:${AWS::Region}:y'}"),
        (9, 29),
        &["computed ARN has no name"],
    );
    assert_fault(&event("{arn: lambda}"), (9, 29), &["`lambda` is not an ARN", "begins with arn:"]);
    assert_fault(&event("[1]"), (9, 23), &["a list is not allowed here"]);
}

#[test]
fn a_malformed_identity_source_is_told_with_its_forms() {
    assert_fault(
        "  a:\n    handler: a.b\n    events:\n      - websocket:\n          route: $connect\n          authorizer:\n            name: a\n            identitySource: [route.request.header.A, method.request.header.Auth]\n",
        (11, 54),
        &[
            "`method.request.header.Auth` is not an identity source",
            "route.request.querystring.NAME",
        ],
    );
}

#[test]
fn a_route_key_of_ones_own_does_not_begin_with_a_dollar() {
    assert_fault(
        "  a: {handler: a.b, events: [{websocket: $conect}]}\n",
        (4, 42),
        &["`$conect` is not a valid route key", "did you mean `$connect`?"],
    );
}

#[test]
fn a_route_response_is_default_or_nothing() {
    assert_fault(
        "  a: {handler: a.b, events: [{websocket: {route: x, routeResponseSelectionExpression: $defaut}}]}\n",
        (4, 87),
        &[
            "`$defaut` is not a valid value of `routeResponseSelectionExpression`",
            "did you mean `$default`?",
        ],
    );
}

#[test]
fn a_long_event_needs_a_route() {
    assert_fault(
        "  a: {handler: a.b, events: [{websocket: {authorizer: a}}]}\n",
        (4, 43),
        &["the key `route` is missing from a websocket event"],
    );
}

#[test]
fn a_log_level_is_info_or_error() {
    let shown =
        fault("service: chat\nprovider:\n  name: aws\n  logs: {websocket: {level: DEBUG}}\n");
    assert!(
        shown.contains("serverless.yml:4:29") && shown.contains("one of INFO, ERROR"),
        "{shown}"
    );
}

#[test]
fn names_keep_to_the_framework_s_patterns() {
    let shown = fault("service: my_chat\n");
    assert!(
        shown.contains("`my_chat` is not a valid name of a service") && shown.contains(":1:10"),
        "{shown}"
    );
    let shown = fault("service: chat\nprovider: {name: aws, stage: my.stage}\n");
    assert!(
        shown.contains("`my.stage` is not a valid stage") && shown.contains(":2:30"),
        "{shown}"
    );
    assert_fault("  a.b: {handler: a.b}\n", (4, 3), &["`a.b` is not a valid name of a function"]);
    let shown = fault("provider: {name: aws}\n");
    assert!(shown.contains("the key `service` is missing") && shown.contains(":1:1"), "{shown}");
}

#[test]
fn two_functions_with_one_full_name_are_refused() {
    assert_fault(
        "  a: {handler: a.b, name: chat-dev-b}\n  b: {handler: a.b}\n",
        (5, 3),
        &["the function `a` has the full name `chat-dev-b` too"],
    );
}

#[test]
fn a_stage_from_the_command_line_is_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("serverless.yml"), "service: chat\n").unwrap();
    let options = LoadOptions { stage: Some("a b".to_owned()), ..LoadOptions::default() };
    let error = load(folder.path(), &options).unwrap_err().to_string();
    assert!(error.contains("`a b` is not a valid stage (from the command line)"), "{error}");
}

#[test]
fn an_unresolvable_variable_is_told_with_its_path_and_a_remedy() {
    let head = "service: chat\nprovider:\n  name: aws\n  environment:\n";
    for (value, place, parts) in [
        (
            "'a-${env:NOPE}'",
            ":5:11",
            &["at `provider.environment.A`", "NOPE is not set", "${env:NOPE, ''}"][..],
        ),
        (
            "${self:custom.tabel}",
            ":5:8",
            &["the file has no `custom.tabel`", "did you mean `self:custom.table`?"],
        ),
        ("${opt:foo}", ":5:8", &["the option --foo is not given"]),
        ("${param:foo}", ":5:8", &["there is no parameter `foo`", "--param foo=VALUE"]),
        ("${file(./nope.yml)}", ":5:8", &["there is no file ./nope.yml"]),
        ("${ssm:/key}", ":5:8", &["does not call AWS", "${ssm:/path, 'local'}", "--param"]),
        ("${cf:other.Output}", ":5:8", &["does not call AWS"]),
        ("${s3:bucket/key}", ":5:8", &["does not call AWS"]),
        ("${envv:X}", ":5:8", &["`envv` is not a source of variables", "did you mean `env`?"]),
        ("${construct:x}", ":5:8", &["a plugin's value can be given by ${param:NAME}"]),
        ("${sls:stag}", ":5:8", &["`sls` knows no `stag`", "did you mean `stage`?"]),
        ("${strToBool(maybe)}", ":5:8", &["strToBool cannot read `maybe`"]),
        ("${opt:stage, dev}", ":5:8", &["`dev` is not a fallback", "'text' in quotes"]),
        ("'${self:custom.a'", ":5:8", &["the variable is not closed"]),
        ("'x${self:custom}'", ":5:10", &["is a table, which cannot be a part of a text"]),
        ("${self:custom.one}", ":7:14", &["it refers to itself"]),
    ] {
        let text = format!(
            "{head}    A: {value}\ncustom: {{table: t, a: 1,\n        one: '${{self:custom.two}}', two: '${{self:custom.one}}'}}\n"
        );
        let shown = fault(&text);
        for part in parts.iter().chain([&place]) {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
    }
}

#[test]
fn a_program_in_a_file_variable_is_not_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secrets.js"), "module.exports = {a: 1}").unwrap();
    let text =
        "service: chat\nprovider: {name: aws, environment: {A: '${file(./secrets.js):a}'}}\n";
    std::fs::write(folder.path().join("serverless.yml"), text).unwrap();
    let error = load(folder.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("./secrets.js is a program") && error.contains(":2:41"), "{error}");
    assert!(error.contains("= help: put its values into a .yml or .json file"), "{error}");
}

#[test]
fn a_variable_that_is_not_needed_does_not_have_to_be_resolvable() {
    let text = format!(
        "{HEAD}  a: {{handler: a.b, vpc: '${{ssm:/vpc}}', events: [{{websocket: $default}}]}}\n\
         custom: {{a: '${{env:NOPE}}', b: '${{cf:x.y}}', c: '${{self:custom.c}}'}}\nresources: '${{file(nope.yml)}}'\n"
    );
    assert!(load_text(&text.replace("resources: '${file(nope.yml)}'\n", "")).is_ok());
}

#[test]
fn a_reference_to_no_resource_gets_the_nearest_one() {
    let text = "service: chat\nprovider:\n  name: aws\n  environment:\n    T: !Ref UsersTabel\n\
         resources:\n  Resources:\n    UsersTable:\n      Type: AWS::DynamoDB::Table\n      \
         Properties: {AttributeDefinitions: [{AttributeName: id, AttributeType: S}], \
         KeySchema: [{AttributeName: id, KeyType: HASH}]}\n";
    let shown = fault(text);
    assert!(shown.contains(":5:"), "{shown}");
    assert!(shown.contains("`UsersTabel` is not a resource of this file"), "{shown}");
    assert!(shown.contains("did you mean `UsersTable`?"), "{shown}");
    for (value, part) in [
        ("!Cidr [a, 1, 2]", "the CloudFormation function Fn::Cidr is not evaluated"),
        ("!GetAtt Plain", "Fn::GetAtt is malformed"),
        ("!Join [',']", "Fn::Join is malformed"),
        ("!Select [3, [a]]", "Fn::Select is malformed"),
        ("!Split ['', a]", "Fn::Split is malformed"),
        ("!Ref [a]", "Ref is malformed"),
        ("!Sub {a: b}", "Fn::Sub is malformed"),
        ("[a]", "a list is not allowed here"),
        ("{a: b}", "a table is not allowed here"),
    ] {
        let text =
            format!("service: chat\nprovider:\n  name: aws\n  environment:\n    T: {value}\n");
        let shown = fault(&text);
        assert!(shown.contains(part) && shown.contains("serverless.yml:5:"), "{value}: {shown}");
    }
}

#[test]
fn an_import_from_another_stack_is_a_placeholder_and_a_warning() {
    let text = "service: chat\nprovider: {name: aws, environment: {A: !ImportValue other-arn}}\n\
        functions: {a: {handler: a.b}}\n";
    let loaded = load_text(text).unwrap();
    assert_eq!(loaded.app.functions["a"].environment["A"], "import:other-arn");
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].to_string().contains("the export `other-arn` of another stack"));
}

#[test]
fn a_runtime_that_is_not_supported_says_which_are() {
    for runtime in ["java17", "go1.x", "dotnet8", "ruby3.3"] {
        let text = format!("  a: {{handler: a.b, runtime: {runtime}}}\n");
        let parts =
            [&format!("the runtime `{runtime}` is not supported yet"), "nodejs18.x and later"];
        assert_fault(&text, (4, 30), &parts);
    }
}

#[test]
fn a_handler_names_a_file_and_a_function() {
    assert_fault(
        "  a: {handler: handler}\n",
        (4, 16),
        &["`handler` is not a handler of the function `a`"],
    );
    assert_fault("  a: {timeout: 3}\n", (4, 3), &["the function `a` has no handler"]);
    assert_fault("  a: {handler: [x]}\n", (4, 16), &["a list is not allowed here", "text"]);
}

#[test]
fn timeouts_and_sizes_keep_to_lambda_s_bounds() {
    for (value, column) in [("0", 30), ("901", 30), ("soon", 30), ("1.5", 30)] {
        let text = format!("  a: {{handler: a.b, timeout: {value}}}\n");
        assert_fault(&text, (4, column), &["an integer from 1 to 900", &format!("`{value}`")]);
    }
    assert_fault("  a: {handler: a.b, memorySize: 64}\n", (4, 33), &["an integer from 128"]);
}

#[test]
fn an_executable_that_is_not_there_says_what_was_looked_for() {
    assert_fault(
        "  a: {handler: chat.send, runtime: provided.al2023, package: {artifact: out/send.zip}}\n",
        (4, 16),
        &[
            "there is no executable for the function `a`",
            "out/bootstrap, target/lambda/chat.send/bootstrap, target/lambda/send/bootstrap, bootstrap",
            "a binary `send` or `a` of Cargo.toml",
        ],
    );
}

#[test]
fn an_executable_that_is_built_already_is_found() {
    for (path, more) in [
        ("bootstrap", ""),
        ("target/lambda/send/bootstrap", ""),
        ("out/bootstrap", ", package: {artifact: out/send.zip}"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join(path);
        std::fs::create_dir_all(executable.parent().unwrap()).unwrap();
        std::fs::write(&executable, "").unwrap();
        let text = format!("{HEAD}  a: {{handler: send, runtime: provided.al2{more}}}\n");
        std::fs::write(folder.path().join("serverless.yml"), text).unwrap();
        let app = load(folder.path(), &LoadOptions::default()).unwrap().app;
        let fanwire_app::model::Code::Command { command, build, handler, .. } =
            &app.functions["a"].code
        else {
            panic!()
        };
        assert_eq!((command[0].as_str(), handler.as_str()), (format!("./{path}").as_str(), "send"));
        assert_eq!(*build, None);
    }
}

#[test]
fn a_container_image_is_not_run_and_a_route_on_it_is_refused() {
    let text = format!("{HEAD}  a: {{image: repo/x, events: [{{sns: t}}]}}\n");
    let loaded = load_text(&text).unwrap();
    assert!(loaded.app.functions.is_empty());
    assert_eq!(loaded.app.not_served[0].kind, "image");
    assert_eq!(loaded.warnings.len(), 1);
    let text = format!("{HEAD}  a: {{image: repo/x, events: [{{websocket: $default}}]}}\n");
    let shown = load_text(&text).unwrap_err().to_string();
    assert!(shown.contains("the route `$default` is on a container image"), "{shown}");
}

#[test]
fn many_faults_are_told_at_once_in_the_order_of_the_file() {
    let text = format!(
        "{HEAD}  a:\n    handler: a.b\n    timeout: 1000\n    events:\n      - websocket: $foo\n  b: {{handler: x}}\n"
    );
    let error = load_text(&text).unwrap_err();
    let lines: Vec<_> =
        error.diagnostics.iter().map(|fault| fault.place.as_ref().unwrap().line).collect();
    assert_eq!(lines, [6, 8, 9], "{error}");
}

#[test]
fn syntax_that_is_not_yaml_is_told_with_its_place() {
    let shown = fault("service: chat\nfunctions: {a: [\n");
    assert!(shown.contains("this is not YAML"), "{shown}");
    let shown = fault("service: chat\nservice: two\n");
    assert!(shown.contains(":2:1") && shown.contains("`service` is given twice"), "{shown}");
    let shown = fault("- a\n");
    assert!(shown.contains("a list is not allowed here"), "{shown}");
    assert!(fault("").contains("nothing is not allowed here"));
}

#[test]
fn files_that_are_not_read_yet_are_named() {
    for (name, part) in [
        ("serverless.ts", "programs are not evaluated yet"),
        ("serverless.js", "`serverless print`"),
        ("serverless.json", "only serverless.yml is read so far"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), "").unwrap();
        for path in [folder.path().to_owned(), folder.path().join(name)] {
            let shown = load(&path, &LoadOptions::default()).unwrap_err().to_string();
            assert!(shown.contains(part) && shown.contains(name), "{shown}");
        }
    }
    let empty = tempfile::tempdir().unwrap();
    let shown = load(empty.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(shown.contains("there is no project file here"), "{shown}");
    assert!(shown.contains("one of fanwire.toml, serverless.yml, serverless.yaml"), "{shown}");
    for path in ["/nonexistent", "/nonexistent/serverless.yml", "/nonexistent/app.xml"] {
        let shown = load(Path::new(path), &LoadOptions::default()).unwrap_err().to_string();
        assert!(shown.contains("there is no such file or folder"), "{shown}");
    }
}

#[test]
fn a_generated_route_that_is_changed_to_what_cannot_be_is_refused() {
    let events = "    events: [{websocket: $connect}]\n";
    let text = |properties: &str| {
        format!(
            "{HEAD}  a:\n    handler: a.b\n{events}resources:\n  extensions:\n    \
             SconnectWebsocketsRoute:\n      Properties: {{{properties}}}\n"
        )
    };
    let shown = fault(&text("AuthorizationType: IAM"));
    assert!(shown.contains("AWS_IAM"), "{shown}");
    let shown = fault(&text("AuthorizationType: CUSTOM, AuthorizerId: x"));
    assert!(shown.contains("`authorizer`"), "{shown}");
}
