//! Functions elsewhere: a URL, and the Lambda Invoke API, served by a raw loopback
//! server that shows what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::{Code, Function};
use fanwire_functions::{FunctionErrorKind, HostOptions, InvokeError, InvokeOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Fixture, folder, function, host};

/// A server that answers every request with the same bytes, and keeps what it was sent.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

async fn server(answer: &'static str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let mut scratch = [0; 4096];
            // Every body that these tests send ends with `}`.
            while !request.ends_with(b"}") {
                let count = stream.read(&mut scratch).await.unwrap();
                if count == 0 {
                    break;
                }
                request.extend_from_slice(&scratch[..count]);
            }
            kept.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
        }
    });
    Server { address, requests }
}

impl Server {
    fn request(&self) -> String {
        self.requests.lock().unwrap()[0].clone()
    }

    fn http(&self) -> Fixture {
        let code = Code::Http { url: format!("http://{}/run", self.address) };
        fixture(Function { timeout: Duration::from_millis(500), ..function(code) })
    }

    fn lambda(&self) -> Fixture {
        let arn = "arn:aws:lambda:eu-north-1:123456789012:function:there".to_owned();
        let endpoint = Some(format!("http://{}/", self.address));
        fixture(function(Code::Lambda { arn, endpoint }))
    }
}

fn fixture(made: Function) -> Fixture {
    host(folder(&[]), made, HostOptions::default())
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ntrue";
const FAILED: &str = "HTTP/1.1 200 OK\r\nx-amz-function-error: Handled\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
const REFUSED: &str =
    "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\nsick";

#[tokio::test]
async fn a_url_gets_the_event_as_json_and_its_body_is_the_result() {
    let server = server(OK).await;
    let f = server.http();
    assert_eq!(f.result(r#"{"a":1}"#).await, true);
    let request = server.request();
    assert!(request.starts_with("POST /run HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
}

#[tokio::test]
async fn a_urls_function_error_is_one() {
    let outcome = server(FAILED).await.http().invoke("{}").await;
    assert_eq!(outcome.error, Some(FunctionErrorKind::Handled));
}

#[tokio::test]
async fn a_url_that_refuses_or_is_not_there_is_unreachable() {
    let refuses = server(REFUSED).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let missing = fixture(function(Code::Http { url: format!("http://{free}/") }));
    for (f, why) in [(refuses.http(), "answered 502 Bad Gateway: sick"), (missing, "refused")] {
        let refused = f.host.invoke("f", Bytes::from("{}"), InvokeOptions::default()).await;
        let Err(error @ InvokeError::Unreachable { .. }) = refused else { panic!("{refused:?}") };
        let text = error.to_string();
        assert!(text.starts_with("function `f` cannot be reached at http://127.0.0.1:"), "{text}");
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn a_url_that_takes_too_long_is_a_function_error() {
    let payload = server("").await.http().failure("{}").await;
    assert_eq!(payload["errorType"], "Sandbox.Timedout");
}

#[tokio::test]
async fn a_lambda_gets_a_signed_invoke() {
    let server = server(
        "HTTP/1.1 200 OK\r\nx-amz-log-result: bGFzdCBsaW5l\r\ncontent-length: 4\r\nconnection: close\r\n\r\ntrue",
    )
    .await;
    let f = server.lambda();
    assert_eq!(
        f.host.arn("f").as_deref(),
        Some("arn:aws:lambda:eu-north-1:123456789012:function:there")
    );
    let options = InvokeOptions {
        client_context: Some(r#"{"custom":1}"#.to_owned()),
        want_log_tail: true,
        trace_id: None,
    };
    let outcome = f.invoke_with(r#"{"a":1}"#, options).await;
    assert_eq!((&outcome.payload[..], outcome.error), (&b"true"[..], None));
    assert_eq!(outcome.log_tail.as_deref(), Some("last line"));
    let request = server.request();
    let line = "POST /2015-03-31/functions/arn:aws:lambda:eu-north-1:123456789012:function:there/invocations HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    for part in [
        "x-amz-invocation-type: RequestResponse\r\n",
        "x-amz-log-type: Tail\r\n",
        "x-amz-client-context: eyJjdXN0b20iOjF9\r\n",
        "authorization: AWS4-HMAC-SHA256 Credential=",
        "/eu-north-1/lambda/aws4_request, SignedHeaders=",
        "x-amz-content-sha256: 015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862\r\n",
        "\r\n\r\n{\"a\":1}",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn a_lambdas_function_error_throttle_and_refusal_are_told_apart() {
    let outcome = server(FAILED).await.lambda().invoke("{}").await;
    assert_eq!(outcome.error, Some(FunctionErrorKind::Handled));
    let throttled =
        "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let f = server(throttled).await.lambda();
    let refused = f.host.invoke("f", Bytes::from("{}"), InvokeOptions::default()).await;
    assert!(matches!(refused, Err(InvokeError::Throttled { .. })), "{refused:?}");
    let f = server(REFUSED).await.lambda();
    let refused = f.host.invoke("f", Bytes::from("{}"), InvokeOptions::default()).await;
    assert!(matches!(refused, Err(InvokeError::Unreachable { .. })), "{refused:?}");
}

#[tokio::test]
async fn answers_over_the_limit_are_function_errors() {
    let server = server(OK).await;
    let code = Code::Http { url: format!("http://{}/", server.address) };
    let options = HostOptions { max_payload: 3, ..HostOptions::default() };
    let f = host(folder(&[]), function(code), options);
    assert_eq!(f.failure("{}").await["errorType"], "Function.ResponseSizeTooLarge");
}
