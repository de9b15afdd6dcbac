//! What is said about a template that is wrong: what, where, and what would be right.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use fanwire_app::{LoadError, LoadOptions, Loaded, load};

/// A template with an API `Api`, a function `Say` and its integration `Behind`, to which
/// the resources of a test are added from line 6.
const HEAD: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  \
    Api: {Type: 'AWS::ApiGatewayV2::Api', Properties: {ProtocolType: WEBSOCKET}}\n  \
    Say: {Type: 'AWS::Serverless::Function', Properties: {Handler: app.handler, Runtime: nodejs22.x}}\n  \
    Behind: {Type: 'AWS::ApiGatewayV2::Integration', Properties: {ApiId: !Ref Api, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Say.Arn}}\n";

const STAGE: &str =
    "  Stage: {Type: 'AWS::ApiGatewayV2::Stage', Properties: {ApiId: !Ref Api, StageName: dev}}\n";

fn load_file(name: &str, text: &str) -> Result<Loaded, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("handlers")).unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    load(&file, &LoadOptions::default())
}

/// The one fault of a template, as it is printed.
#[track_caller]
fn fault(text: &str) -> String {
    let error = load_file("template.yaml", text).map(|loaded| loaded.app).unwrap_err();
    let errors = error.diagnostics.iter().filter(|it| it.severity == fanwire_app::Severity::Error);
    assert_eq!(errors.count(), 1, "{error}");
    error.to_string()
}

/// Asserts what is said, and that it is said of the text's first `at` at its last line that
/// has one.
#[track_caller]
fn assert_said(shown: &str, text: &str, at: &str, parts: &[&str]) {
    let lines = text.lines().enumerate().filter_map(|(line, text)| Some((line, text.find(at)?)));
    let (line, column) = lines.last().unwrap();
    let place = format!("template.yaml:{}:{}", line + 1, column + 1);
    for part in parts.iter().copied().chain([place.as_str()]) {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
}

/// Asserts that a resource that is added has one fault, at a place, and what is said.
#[track_caller]
fn assert_fault(resource: &str, at: &str, parts: &[&str]) {
    let text = format!("{HEAD}{STAGE}{resource}\n");
    assert_said(&fault(&text), &text, at, parts);
}

/// The same of a warning.
#[track_caller]
fn assert_warning(text: &str, at: &str, parts: &[&str]) {
    let loaded = load_file("template.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert_said(&loaded.warnings[0].to_string(), text, at, parts);
}

#[test]
fn a_route_that_leads_nowhere_is_told_with_the_nearest_integration() {
    for (properties, at, parts) in [
        (
            "RouteKey: say, Target: integrations/Behnid",
            "integrations/Behnid",
            &[
                "`integrations/Behnid` is not an integration of the API `Api`",
                "did you mean `Behind`?",
            ][..],
        ),
        (
            "RouteKey: say, Target: !Sub 'integrations/${Behnid}'",
            "!Sub 'integrations",
            &["`Behnid` is not a resource", "did you mean `Behind`?"],
        ),
        (
            "RouteKey: $conect, Target: integrations/Behind",
            "$conect",
            &["`$conect` is not a valid route key", "did you mean `$connect`?"],
        ),
        (
            "RouteKey: say, Target: integrations/Behind, OperatioName: a",
            "OperatioName",
            &["unknown key `OperatioName`", "did you mean `OperationName`?"],
        ),
        (
            "RouteKey: say, Target: integrations/Behind, AuthorizationType: CUSTOM",
            "CUSTOM",
            &["the route `say` has no authorizer"],
        ),
        (
            "RouteKey: $connect, Target: integrations/Behind, AuthorizerId: Gte",
            "Gte",
            &["`Gte` is not an authorizer of the API `Api`"],
        ),
        (
            "RouteKey: say, Target: integrations/Behind, AuthorizerId: !Ref Gate",
            "!Ref Gate",
            &["the route `say` cannot have an authorizer"],
        ),
    ] {
        let gate = "  Gate: {Type: 'AWS::ApiGatewayV2::Authorizer', Properties: {ApiId: !Ref Api, AuthorizerUri: !GetAtt Say.Arn}}\n";
        let route = format!(
            "{gate}  R: {{Type: 'AWS::ApiGatewayV2::Route', Properties: {{ApiId: !Ref Api, {properties}}}}}"
        );
        assert_fault(&route, at, parts);
    }
}

#[test]
fn an_integration_that_names_no_function_is_told() {
    for (properties, at, parts) in [
        (
            "IntegrationType: AWS_PROXY, IntegrationUri: !Ref Say",
            "!Ref Say",
            &["-Say` does not name a function", "functions/ARN/invocations"][..],
        ),
        (
            "IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Sya.Arn",
            "!GetAtt Sya",
            &["`Sya` is not a resource of this file", "did you mean `Say`?"],
        ),
        (
            "IntegrationType: LAMBDA",
            "LAMBDA",
            &["`LAMBDA` is not a valid value of `IntegrationType`", "AWS_PROXY"],
        ),
        ("IntegrationType: AWS_PROXY", "I: {Type", &["the integration `I` has no IntegrationUri"]),
        (
            "IntegrationType: HTTP_PROXY, IntegrationUri: example.com",
            "example.com",
            &["`example.com` is not a URL"],
        ),
    ] {
        let resources = format!(
            "  R: {{Type: 'AWS::ApiGatewayV2::Route', Properties: {{ApiId: !Ref Api, RouteKey: a, Target: !Sub 'integrations/${{I}}'}}}}\n  \
             I: {{Type: 'AWS::ApiGatewayV2::Integration', Properties: {{ApiId: !Ref Api, {properties}}}}}"
        );
        assert_fault(&resources, at, parts);
    }
}

#[test]
fn one_route_key_belongs_to_one_route() {
    let route = |id: &str| {
        format!(
            "  {id}: {{Type: 'AWS::ApiGatewayV2::Route', Properties: {{ApiId: !Ref Api, RouteKey: say, Target: integrations/Behind}}}}\n"
        )
    };
    let both = format!("{}{}", route("A"), route("B"));
    assert_fault(&both, "say, Target", &["the API `Api` has the route `say` already"]);
}

#[test]
fn a_function_that_cannot_be_run_as_described_is_told() {
    for (properties, at, parts) in [
        ("Handler: a.b", "F: {", &["the function `F` has no Runtime"][..]),
        ("Runtime: nodejs22.x", "F: {", &["the function `F` has no Handler"]),
        ("Runtime: nodejs22.x, Handler: ab", "ab}", &["`ab` is not a handler of the function `F`"]),
        (
            "Handler: a.b, Runtime: nodejs22.x, CodeUri: handler/",
            "handler/",
            &["there is no folder `handler/`", "did you mean `handlers`?"],
        ),
        ("Handler: a.b, Runtime: nodejs22.x, Timeout: 1000", "1000", &["an integer from 1 to 900"]),
        (
            "Handler: a.b, Runtime: nodejs22.x, MemorySiz: 5",
            "MemorySiz",
            &["unknown key `MemorySiz`", "did you mean `MemorySize`?"],
        ),
        (
            "Handler: app.b, Runtime: nodejs22.x, InlineCode: x",
            "app.b",
            &["`app.b` is not in the file `index`"],
        ),
        (
            "Handler: bootstrap, Runtime: provided.al2023",
            "bootstrap",
            &["there is no executable for the function `F`", "a binary `F` of Cargo.toml"],
        ),
        (
            "Handler: a.b, Runtime: nodejs22.x, Environment: {Variables: {A: !Ref Tabel}}",
            "!Ref Tabel",
            &["`Tabel` is not a resource of this file"],
        ),
    ] {
        let function =
            format!("  F: {{Type: 'AWS::Serverless::Function', Properties: {{{properties}}}}}");
        assert_fault(&function, at, parts);
    }
}

#[test]
fn parameters_without_a_value_or_with_a_wrong_one_are_told() {
    let with = |parameter: &str| {
        format!(
            "Parameters:\n  Stage: {parameter}\nResources:\n  F: {{Type: 'AWS::Serverless::Function', Properties: {{Handler: a.b, Runtime: nodejs22.x, Environment: {{Variables: {{A: !Ref Stage}}}}}}}}\n"
        )
    };
    let missing = fault(&with("{Type: String}"));
    assert_said(
        &missing,
        &with(""),
        "Stage: ",
        &["the parameter `Stage` has no value", "--param Stage=VALUE", "samconfig.toml"],
    );
    let wrong = fault(&with("{Type: String, Default: prd, AllowedValues: [dev, prod]}"));
    assert_said(
        &wrong,
        &with(""),
        "Stage: ",
        &[
            "`prd` is not a value that the parameter `Stage` allows",
            "one of dev, prod",
            "did you mean `prod`?",
        ],
    );
    for (parameter, part) in [
        ("{Type: Number, Default: many}", "is not a number"),
        ("{Type: String, Default: a, MinLength: 3}", "has 1 characters"),
        ("{Default: a}", "the key `Type` is missing from a parameter"),
    ] {
        let shown = fault(&with(parameter));
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    // One that nothing needs is no fault.
    let unused = "Parameters: {Stage: {Type: String}}\nResources: {}\n";
    assert!(load_file("template.yaml", unused).is_ok());
}

#[test]
fn conditions_that_do_not_exist_or_refer_to_themselves_are_told() {
    let with = |conditions: &str, name: &str| {
        format!(
            "Conditions: {{{conditions}}}\nResources:\n  Q: {{Type: 'AWS::DynamoDB::Table', Condition: {name}}}\n"
        )
    };
    for (conditions, name, parts) in [
        (
            "IsProd: !Equals [a, a]",
            "IsPrd",
            &["there is no condition `IsPrd`", "did you mean `IsProd`?"][..],
        ),
        ("A: !Not [!Condition A]", "A", &["the condition `A` refers to itself"]),
        ("A: !Equals [a]", "A", &["Fn::Equals is malformed"]),
        ("A: yes", "A", &["Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition"]),
    ] {
        let error = load_file("template.yaml", &with(conditions, name)).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "no {part:?} in\n{error}");
        }
    }
}

#[test]
fn what_aws_would_do_otherwise_is_warned_of() {
    let route = |properties: &str| {
        format!(
            "{HEAD}{STAGE}  R: {{Type: 'AWS::ApiGatewayV2::Route', Properties: {{ApiId: !Ref Api, RouteKey: $connect, {properties}}}}}\n"
        )
    };
    assert_warning(
        &route("Target: integrations/Behind, RouteResponseSelectionExpression: $default"),
        "$default",
        &["nothing goes back to clients from `R`", "AWS::ApiGatewayV2::RouteResponse"],
    );
    assert_warning(
        &route("Target: integrations/Behind, AuthorizationType: AWS_IAM"),
        "AWS_IAM",
        &["signatures are asked for by `fanwire serve` alone"],
    );
    assert_warning(&route("OperationName: x"), "R: {", &["nothing stands behind the route `R`"]);
    assert_warning(HEAD, "Api: {", &["the API `Api` has no stage; clients reach it at /dev here"]);
}

#[test]
fn a_json_template_has_places_too() {
    let text = "{\n  \"Resources\": {\n    \"F\": { \"Type\": \"AWS::Lambda::Function\",\n      \"Properties\": { \"Handlr\": \"a.b\", \"Code\": {} } }\n  }\n}\n";
    let error = load_file("template.json", text).unwrap_err().to_string();
    assert!(error.contains("template.json:4:23"), "{error}");
    assert!(error.contains("did you mean `Handler`?"), "{error}");
    let broken = load_file("template.json", "{\"Resources\": {,}}").unwrap_err().to_string();
    assert!(broken.contains("template.json:1:"), "{broken}");
}

#[test]
fn a_section_that_is_misspelt_gets_the_nearest_one() {
    let text = "Parametrs: {}\nResources: {}\n";
    assert_said(
        &fault(text),
        text,
        "Parametrs",
        &["unknown key `Parametrs` in the template", "did you mean `Parameters`?"],
    );
}

#[test]
fn samconfig_that_makes_no_sense_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("template.yaml", "Parameters: {Stage: {Type: String, Default: a}}\nResources: {}\n");
    write(
        "samconfig.toml",
        "[default.deploy.parameters]\nstack_name = \"a b\"\nparameter_overrides = \"Stag=prod loose\"\n",
    );
    let warnings = load(folder.path(), &LoadOptions::default()).unwrap().warnings;
    let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n");
    for part in [
        "`a b` is not a valid name of a stack; it has no effect here",
        "`loose` gives no parameter a value",
        "the template has no parameter `Stag`",
        "did you mean `Stage`?",
        "samconfig.toml:3:",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
}
