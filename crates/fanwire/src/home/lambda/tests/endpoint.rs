//! An HTTP endpoint that answers as it is told, and keeps what it was asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers the call of this number, which is this: `POST /a?b body`.
pub(super) type Script = dyn Fn(usize, &str) -> (u16, String) + Send + Sync;

pub(super) struct Endpoint {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

// === impl Endpoint ===

impl Endpoint {
    pub(super) async fn start(
        script: impl Fn(usize, &str) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/dev", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (keeping, script) = (Arc::clone(&asked), Arc::new(script));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (keeping, script) = (Arc::clone(&keeping), Arc::clone(&script));
                let service = service_fn(move |request| {
                    answer(request, Arc::clone(&keeping), Arc::clone(&script) as Arc<Script>)
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, asked, serving }
    }

    /// What it was asked.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<String>>>,
    script: Arc<Script>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    assert!(request.headers().contains_key("authorization"), "every call is signed");
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let call = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body));
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(call.trim().to_owned());
        asked.len() - 1
    };
    let (status, text) = script(number, call.trim());
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}
