//! No text makes loading panic, and every text ends in an App or in at least one
//! error.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use fanwire_app::{LoadOptions, load};
use proptest::prelude::*;

fn load_as(name: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    if let Err(error) = load(&file, &LoadOptions::default()) {
        assert!(!error.diagnostics.is_empty());
        assert!(!error.to_string().is_empty());
    }
}

/// Pieces that real files are made of, so that texts get past the first check.
const YAML: &str = "(service: chat\n|provider:\n|  name: aws\n|  runtime: nodejs20.x\n|functions:\n|\
    resources: |Resources: |Type: AWS::DynamoDB::Table\n|Properties: |KeySchema: |\
    AttributeDefinitions: |AttributeName: |KeyType: HASH|TableName: |  environment: |  a:\n|    handler: a.b\n|    events:\n|      - websocket: |      - iot: |sql: |Type: AWS::IoT::TopicRule\n|TopicRulePayload: |Sql: |Actions: |\
    \\{route: |authorizer: |\\$connect|\\$\\{self:custom.a\\}|\\$\\{file\\(serverless.yml\\)\\}|\
    \\$\\{self:\\}|!Sub |!Ref |!GetAtt |!Join |Fn::Select: |&a |\\*a|<<: |custom: |\\[|\\]|\\{|\\}|, |\
    - |: |'|\"|\n|  |[a-z]|\\$\\{|\\}|#|\\||>|é|\t|[0-9]|.){0,40}";

const TOML: &str = "(name = |\"chat\"|\n|\\[functions.a\\]\n|\\[\\[websocket\\]\\]\n|\\[websocket.routes\\]\n|\
    handler = |\"a.b\"|timeout = |\\[websocket.limits\\]\n|\\[environment\\]\n|\"\\$default\" = |\\{|\\}|\
    \\[realtime\\]\n|\\[realtime.users.a\\]\n|\\[realtime.subscribers.a\\]\n|\\[\\[realtime.listen\\]\\]\n|\
    \\[realtime.limits\\]\n|filter = |sql = |password = |address = |\"\\$\\{iot:ClientId\\}\"|\"a/\\+/#\"|\\[links.a\\]\n|\
    \\[tables.a\\]\n|\\[tables.a.indexes.by-x\\]\n|hash = |range = |local = true\n|attributes|mock|http|function|url| = |\"\\$\\{self:name\\}\"|\"\\$\\{self:\\}\"|'|\"|\\[|\\]|,|[a-z]|[0-9]|é|#|.){0,40}";

const TEMPLATE: &str = "(Resources:\n|Parameters:\n|Conditions:\n|Globals: \\{Function: |  A:\n|  Api: |    Type: |AWS::Serverless::Function|\
    AWS::Serverless::WebSocketApi|AWS::ApiGatewayV2::Api|AWS::ApiGatewayV2::Route|AWS::ApiGatewayV2::Integration|AWS::Serverless::SimpleTable|\
    \n    Properties: |\\{Handler: a.b, Runtime: nodejs22.x\\}|ProtocolType: WEBSOCKET|ApiId: |!Ref |!Sub |!If |!GetAtt |!FindInMap |!Equals |!Not |\
    Fn::ForEach::L: |Fn::Transform: |Fn::If: |Routes: |\\$connect: |FunctionArn: |Target: |\\$\\{A\\}|A|\\[|\\]|\\{|\\}|, |- |: |'|\n|  |[a-z]|[0-9]|.){0,40}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn yaml_never_panics(text in YAML) {
        load_as("serverless.yml", &text);
    }

    #[test]
    fn toml_never_panics(text in TOML) {
        load_as("fanwire.toml", &text);
    }

    #[test]
    fn templates_never_panic(text in TEMPLATE) {
        load_as("template.yaml", &text);
        load_as("template.yaml", &format!("Resources:\n{text}"));
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        load_as("template.json", &text);
        load_as("serverless.yml", &text);
        load_as("fanwire.toml", &text);
    }
}

#[test]
fn references_that_multiply_or_never_end_are_refused_quickly() {
    let mut text =
        "service: chat\nprovider: {name: aws, environment: {A: '${self:custom.a9}'}}\ncustom:\n\
        \x20 a0: [x, x, x, x, x, x, x, x, x, x]\n"
            .to_owned();
    for level in 1..10 {
        let before = format!("'${{self:custom.a{}}}', ", level - 1).repeat(10);
        text += &format!("  a{level}: [{before}]\n");
    }
    load_as("serverless.yml", &text);
    load_as(
        "serverless.yml",
        "service: a\ncustom: '${self:}'\nprovider: {environment: '${self:custom.x.y}'}\n",
    );
    load_as(
        "serverless.yml",
        "service: a\nprovider: {name: aws, environment: {A: '${file(serverless.yml):provider.environment.A}'}}\n",
    );
    let mut chain =
        "service: chat\nprovider: {name: aws, environment: {A: '${self:custom.v0}'}}\ncustom:\n"
            .to_owned();
    for at in 0..2000 {
        chain += &format!("  v{at}: '${{self:custom.v{}}}'\n", at + 1);
    }
    load_as("serverless.yml", &chain);
    let body = |depth: usize| {
        let open: String = (0..depth)
            .map(|at| format!("Fn::ForEach::L{at}: [X{at}, [a, b, c, d, e, f, g, h], {{"))
            .collect();
        format!("Resources: {{{open}A: {{Type: x}}{}}}", "}]".repeat(depth))
    };
    load_as("template.yaml", &body(12));
    load_as("template.yaml", &body(60));
    let chain: String =
        (0..200).map(|at| format!("  C{at}: !Not [!Condition C{}]\n", at + 1)).collect();
    load_as("template.yaml", &format!("Conditions:\n{chain}Resources: {{}}\n"));
    load_as("fanwire.toml", &format!("a = {}", "[".repeat(5000)));
    load_as("serverless.yml", &"[".repeat(5000));
    load_as("serverless.yml", &"- ".repeat(5000));
    load_as("serverless.yml", &format!("a: !{} b", "x".repeat(100_000)));
}
