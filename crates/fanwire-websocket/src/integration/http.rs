//! HTTP backends (`HTTP_PROXY`): the message's body goes as it is, the answer's body
//! comes back as it is, and request parameters add headers, a query and path values
//! (reference: api-gateway.md, section 8).

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::HttpIntegration;
use fanwire_wire::trace::TraceContext;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Answer, Failure, Parameters, Run};
use crate::result::Body;

/// The longest answer taken from a backend, in bytes: as long as a function's.
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// Idle connections kept to each backend.
const MAX_IDLE_PER_HOST: usize = 32;

/// How long an idle connection to a backend is kept.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a backend is sent.
#[derive(Debug)]
pub(crate) struct HttpRequest<'a> {
    pub(crate) body: &'a str,
    pub(crate) parameters: &'a dyn Parameters,
    /// The trace that it is told to be part of.
    pub(crate) trace: Option<TraceContext>,
}

/// The client that all HTTP integrations share. Made when the first of them is
/// called: the system's certificates alone take megabytes.
#[derive(Debug, Default)]
pub(crate) struct HttpBackend {
    client: OnceLock<HttpClient>,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

// === impl HttpBackend ===

impl HttpBackend {
    pub(crate) async fn call(
        &self,
        http: &HttpIntegration,
        input: HttpRequest<'_>,
    ) -> Result<Answer, Failure> {
        let request = build(http, &input).map_err(|why| Failure::new(500, why))?;
        let answering = async {
            let response =
                self.client.get_or_init(client).request(request).await.map_err(|error| {
                    format!("{} could not be reached: {}", http.url, with_sources(&error))
                })?;
            let status = response.status().as_u16();
            let headers = response
                .headers()
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
                })
                .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
                .collect();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| format!("{}: {error}", http.url))?.to_bytes();
            let body = match String::from_utf8(body.into()) {
                Ok(text) => Body::Text(text),
                Err(not_text) => Body::Binary(not_text.into_bytes()),
            };
            Ok(Answer { status, headers, body: Some(body), run: Run::default() })
        };
        let answer = match http.timeout {
            None => answering.await,
            Some(timeout) => match tokio::time::timeout(timeout, answering).await {
                Ok(answer) => answer,
                Err(_) => {
                    let why = format!("{} did not answer within {timeout:?}", http.url);
                    return Err(Failure::new(504, why));
                }
            },
        };
        answer.map_err(|why| Failure::new(504, why))
    }
}

fn client() -> HttpClient {
    let builder = HttpsConnectorBuilder::new();
    let builder = match builder.with_native_roots() {
        Ok(builder) => builder,
        // Without the system's certificates no https backend can be trusted, but
        // http ones still can be reached.
        Err(_) => HttpsConnectorBuilder::new().with_tls_config(without_roots()),
    };
    let connector = builder.https_or_http().enable_http1().build();
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // Without one, a connection is only seen to be too old when the next is wanted.
        .pool_timer(TokioTimer::new())
        .build(connector)
}

/// A TLS configuration that trusts nobody.
fn without_roots() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// The request that an integration makes, its parameters filled in.
fn build(http: &HttpIntegration, input: &HttpRequest<'_>) -> Result<Request<Full<Bytes>>, String> {
    let mut url = http.url.clone();
    let mut headers = Vec::new();
    let mut query = String::new();
    for (target, source) in &http.request_parameters {
        let value = match source.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(fixed) => fixed.to_owned(),
            None => input.parameters.get(source).unwrap_or_default(),
        };
        let encoded = || utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
        if let Some(name) = target.strip_prefix("integration.request.header.") {
            headers.push((name, value));
        } else if let Some(name) = target.strip_prefix("integration.request.path.") {
            url = url.replace(&format!("{{{name}}}"), &encoded());
        } else if let Some(name) = target.strip_prefix("integration.request.querystring.") {
            let separator = if query.is_empty() { "" } else { "&" };
            query = format!("{query}{separator}{name}={}", encoded());
        } else {
            return Err(format!("request parameter `{target}` is none that this API knows"));
        }
    }
    let url = with_query(&with_stage_variables(&url, input.parameters), &query);
    let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let method = Method::from_bytes(http.method.as_bytes())
        .map_err(|_| format!("`{}` is not an HTTP method", http.method))?;
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(input.body.as_bytes())));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    // Before the parameters: one that names this header has the last word.
    if let Some(Ok(value)) = input.trace.map(|trace| HeaderValue::try_from(trace.traceparent())) {
        request.headers_mut().insert("traceparent", value);
    }
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
        let value = HeaderValue::from_str(&value)
            .map_err(|_| format!("the value for header `{name}` cannot stand in a header"))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

fn with_query(url: &str, query: &str) -> String {
    match (query.is_empty(), url.contains('?')) {
        (true, _) => url.to_owned(),
        (false, true) => format!("{url}&{query}"),
        (false, false) => format!("{url}?{query}"),
    }
}

/// Fills in `${stageVariables.NAME}`.
fn with_stage_variables(url: &str, parameters: &dyn Parameters) -> String {
    let mut filled = String::new();
    let mut rest = url;
    while let Some((before, from)) = rest.split_once("${") {
        let Some((name, after)) = from.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&parameters.get(name).unwrap_or_default());
        rest = after;
    }
    filled + rest
}

/// An error and what it was caused by, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;

    impl Parameters for Fixed {
        fn get(&self, source: &str) -> Option<String> {
            match source {
                "context.connectionId" => Some("abc=".to_owned()),
                "stageVariables.host" => Some("127.0.0.1:9".to_owned()),
                _ => None,
            }
        }
    }

    fn integration(parameters: &[(&str, &str)]) -> HttpIntegration {
        HttpIntegration {
            url: "http://${stageVariables.host}/c/{id}?a=1".to_owned(),
            method: "POST".to_owned(),
            request_parameters: parameters
                .iter()
                .map(|(target, source)| ((*target).to_owned(), (*source).to_owned()))
                .collect(),
            timeout: None,
        }
    }

    #[test]
    fn parameters_fill_headers_path_and_query() {
        let http = integration(&[
            ("integration.request.header.connectionId", "context.connectionId"),
            ("integration.request.path.id", "context.connectionId"),
            ("integration.request.querystring.q", "'a b'"),
        ]);
        let trace = TraceContext { trace_id: 10, span_id: 11, sampled: true };
        let input = HttpRequest { body: "hi", parameters: &Fixed, trace: Some(trace) };
        let request = build(&http, &input).unwrap();
        assert_eq!(request.headers()["traceparent"], trace.traceparent());
        assert_eq!(request.uri(), "http://127.0.0.1:9/c/abc%3D?a=1&q=a%20b");
        assert_eq!(request.headers()["connectionId"], "abc=");
    }

    #[test]
    fn an_unknown_target_is_named() {
        let http = integration(&[("header.x", "'1'")]);
        let error =
            build(&http, &HttpRequest { body: "", parameters: &Fixed, trace: None }).unwrap_err();
        assert!(error.contains("`header.x`"), "{error}");
    }
}
