//! Events in, answers out.

use serde_json::{Value, json};

use lambda_runtime::Diagnostic;
use serde_json::value::to_raw_value;

use super::super::Function;
use super::surroundings;
use crate::App;
use crate::websocket::{
    Allow, Body, Closed, Connection, Event, Headers, Principal, Query, Reply, Text, WebSocket,
};
use crate::{Error, Result};

fn function(app: WebSocket) -> Function {
    Function::new(app.into(), surroundings(&[("AWS_REGION", "us-east-1")])).unwrap()
}

async fn try_answer(function: &Function, event: Value) -> Result<Value, Diagnostic> {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:app";
    function.answer(&to_raw_value(&event).unwrap(), arn).await
}

async fn answer(app: WebSocket, event: Value) -> Value {
    try_answer(&function(app), event).await.unwrap()
}

/// Reference: api-gateway.md, section 6.
fn context(route_key: &str, event_type: &str) -> Value {
    json!({
        "routeKey": route_key, "eventType": event_type, "extendedRequestId": "fAbCdE1ZIAMFq5g=",
        "requestTime": "19/Jan/2023:21:13:26 +0000", "messageDirection": "IN", "stage": "prod",
        "connectedAt": 1_674_162_806_344_u64, "requestTimeEpoch": 1_674_162_806_345_u64,
        "identity": { "userAgent": "test", "sourceIp": "203.0.113.7" },
        "requestId": "fAbCdE1ZIAMFq5g=", "connectionId": "fAbCdd2EoAMCJ5A=", "apiId": "abcd123",
        "domainName": "abcd123.execute-api.us-east-1.amazonaws.com",
    })
}

fn connect() -> Value {
    json!({
        "headers": { "Host": "b", "X-Two": "2" },
        "multiValueHeaders": { "Host": ["b"], "X-Two": ["1", "2"] },
        "queryStringParameters": { "token": "2" },
        "multiValueQueryStringParameters": { "token": ["1", "2"] },
        "requestContext": context("$connect", "CONNECT"),
        "isBase64Encoded": false,
    })
}

fn message(body: &str) -> Value {
    let context = context("$default", "MESSAGE");
    json!({ "requestContext": context, "body": body, "isBase64Encoded": false })
}

fn request() -> Value {
    let mut event = connect();
    event["type"] = json!("REQUEST");
    event["methodArn"] = json!("arn:aws:execute-api:us-east-1:123456789012:abcd123/prod/$connect");
    event["stageVariables"] = json!({});
    event
}

#[tokio::test]
async fn a_handshake_is_what_the_gateway_says_of_it() {
    let app = WebSocket::new().connect(async |event: Event, headers: Headers| {
        let connection = &event.connection;
        assert_eq!(connection.id, "fAbCdd2EoAMCJ5A=");
        assert_eq!((connection.api_id.as_str(), connection.stage.as_str()), ("abcd123", "prod"));
        assert_eq!(connection.connected_at, 1_674_162_806_344);
        assert_eq!(connection.source_ip, Some([203, 0, 113, 7].into()));
        assert_eq!(event.request_id, "fAbCdE1ZIAMFq5g=");
        assert_eq!(headers.all("x-two").collect::<Vec<_>>(), ["1", "2"]);
        let both = [("token".to_owned(), "1".to_owned()), ("token".to_owned(), "2".to_owned())];
        assert_eq!(event.query, both);
        Reply::default().subprotocol("chat").header("Set-Cookie", "a").header("set-cookie", "b")
    });
    let expected = json!({
        "statusCode": 200,
        "headers": { "Sec-WebSocket-Protocol": "chat" },
        "multiValueHeaders": { "Set-Cookie": ["a"], "set-cookie": ["b"] },
    });
    assert_eq!(answer(app, connect()).await, expected);
}

#[tokio::test]
async fn an_event_may_lack_what_gateways_leave_out() {
    let app = WebSocket::new().connect(async |event: Event| {
        assert!(event.headers.is_empty() && event.query.is_empty());
    });
    let event = json!({ "requestContext": {
        "routeKey": "$connect", "eventType": "CONNECT", "connectionId": "a", "authorizer": null,
    } });
    assert_eq!(answer(app, event).await, json!({ "statusCode": 200 }));
}

#[tokio::test]
async fn a_message_is_answered_as_text_or_bytes() {
    let echo = || WebSocket::new().message(async |body: Body| body);
    assert_eq!(answer(echo(), message("hi")).await, json!({ "statusCode": 200, "body": "hi" }));
    let mut binary = message("/w==");
    binary["isBase64Encoded"] = json!(true);
    let expected = json!({ "statusCode": 200, "body": "/w==", "isBase64Encoded": true });
    assert_eq!(answer(echo(), binary.clone()).await, expected);
    binary["body"] = json!("not base64");
    let error = try_answer(&function(echo()), binary).await.unwrap_err();
    assert!(error.error_message.contains("body is malformed"), "{error:?}");
}

#[tokio::test]
async fn an_end_has_its_reason() {
    let app = || WebSocket::new().disconnect(async |closed: Closed| format!("{closed:?}"));
    let mut event = json!({ "requestContext": context("$disconnect", "DISCONNECT") });
    let end = answer(app(), event.clone()).await;
    assert_eq!(end["body"], r#"Closed { code: 1006, reason: "" }"#);
    event["requestContext"]["disconnectStatusCode"] = json!(4001);
    event["requestContext"]["disconnectReason"] = json!("bye");
    let end = answer(app(), event).await;
    assert_eq!(end["body"], r#"Closed { code: 4001, reason: "bye" }"#);
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_a_failure_an_error() {
    let refusing = |status| {
        WebSocket::new().connect(move |_: Connection| async move {
            Result::<()>::Err(Error::new(status, "no such room"))
        })
    };
    assert_eq!(answer(refusing(401), connect()).await, json!({ "statusCode": 401 }));
    let error = try_answer(&function(refusing(500)), connect()).await.unwrap_err();
    assert_eq!(error.error_message, "no such room");
    let app = WebSocket::new().message(async |Text(text): Text| -> Result<String> {
        Ok(text.parse::<u8>()?.to_string())
    });
    let error = try_answer(&function(app), message("x")).await.unwrap_err();
    assert_eq!(error.error_type, "core::num::error::ParseIntError");
    assert_eq!(error.error_message, "invalid digit found in string");
}

#[tokio::test]
async fn an_authorizer_answers_with_a_policy_about_its_api() {
    #[derive(serde::Deserialize)]
    struct Credentials {
        token: u8,
    }
    let app = |allowed| {
        WebSocket::with_state(()).authorizer(move |Query(client): Query<Credentials>| async move {
            assert_eq!(client.token, 2);
            match allowed {
                200 => Ok(Allow::new("ali").context("age", 41)),
                status => Err(Error::new(status, "no")),
            }
        })
    };
    let statement = |effect: &str| {
        json!([{
            "Action": "execute-api:Invoke", "Effect": effect,
            "Resource": "arn:aws:execute-api:us-east-1:123456789012:abcd123/prod/$connect",
        }])
    };
    let allow = answer(app(200), request()).await;
    assert_eq!(allow["principalId"], "ali");
    assert_eq!(allow["context"], json!({ "age": 41 }));
    assert_eq!(allow["policyDocument"]["Statement"], statement("Allow"));
    let deny = answer(app(403), request()).await;
    assert_eq!(deny["policyDocument"]["Statement"], statement("Deny"));
    assert_ne!(deny["principalId"], "");
    let unauthorized = try_answer(&function(app(401)), request()).await.unwrap_err();
    assert_eq!(unauthorized.error_message, "Unauthorized");
    let failed = try_answer(&function(app(500)), request()).await.unwrap_err();
    assert_eq!(failed.error_message, "no");
}

#[tokio::test]
async fn what_an_authorizer_said_is_there_for_handlers() {
    let app = WebSocket::new().message(async |Principal(name): Principal| name);
    let mut event = message("");
    event["requestContext"]["authorizer"] =
        json!({ "principalId": "ali", "age": "41", "integrationLatency": 12 });
    assert_eq!(answer(app, event).await["body"], "ali");
}

#[tokio::test]
async fn an_event_that_is_not_the_apps_is_refused() {
    let functions = [
        (function(WebSocket::new()), json!({ "Records": [] }), "of no kind"),
        (function(WebSocket::new()), json!("text"), "of no kind"),
        (function(WebSocket::new()), request(), "the app has none"),
        (
            Function::new(App::new("app"), surroundings(&[])).unwrap(),
            message(""),
            "the app has no routes",
        ),
        (
            function(WebSocket::new()),
            json!({ "requestContext": { "connectionId": "a" } }),
            "the event is malformed: missing field `routeKey`",
        ),
    ];
    for (function, event, expected) in functions {
        let error = try_answer(&function, event).await.unwrap_err();
        assert!(error.error_message.contains(expected), "{error:?}");
    }
}
