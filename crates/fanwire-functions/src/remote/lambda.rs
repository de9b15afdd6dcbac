//! A function in AWS (or behind another Lambda endpoint), called by the Lambda Invoke API
//! with Signature Version 4.

use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Request as HttpRequest, StatusCode};
use http_body_util::Full;
use reqsign_aws_v4::{
    Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider,
};
use reqsign_core::{Context, FileRead, HttpSend, OsEnv, ProvideCredential, Signer, hash};

use super::client::{HttpClient, RequestError};
use super::function_error;
use super::http::refusal;
use crate::outcome::{FunctionErrorKind, InvokeError, Outcome, ThrottleReason};
use crate::payload;
use crate::spec::{Request, Spec};

/// Lambda ends every event after 15 minutes; this leaves its answer time to travel.
const LONGEST: Duration = Duration::from_secs(905);
/// How long finding credentials may take.
const CREDENTIALS_WITHIN: Duration = Duration::from_secs(10);
/// The longest answer of a credential service.
const MAX_CREDENTIALS: usize = 1024 * 1024;

/// A function in AWS.
pub(crate) struct LambdaFunction {
    client: HttpClient,
    url: String,
    signer: Signer<Credential>,
}

impl LambdaFunction {
    /// `endpoint` replaces AWS's own for the ARN's region.
    pub(crate) fn new(
        client: HttpClient,
        arn: &str,
        endpoint: Option<&str>,
    ) -> Result<Self, String> {
        let region = arn.split(':').nth(3).filter(|region| !region.is_empty());
        let region = region.ok_or_else(|| {
            format!("`{arn}` is not a function's ARN; expected arn:aws:lambda:REGION:ACCOUNT:function:NAME")
        })?;
        let base = match endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://lambda.{region}.amazonaws.com"),
        };
        // The ARN's colons stay as they are: the signature is over the path encoded once
        // more, which for a path without `%` the signer and AWS do alike.
        let url = format!("{base}/2015-03-31/functions/{arn}/invocations");
        url.parse::<http::Uri>().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        let context = Context::new()
            .with_file_read(Files)
            .with_env(OsEnv)
            .with_http_send(CredentialServices(client.clone()));
        let signing = RequestSigner::new("lambda", region);
        let signer = if endpoint.is_some() {
            // An endpoint of somebody's own seldom looks at credentials, and a laptop
            // has no metadata service to ask.
            let found = DefaultCredentialProvider::builder().no_imds().no_ecs().build();
            Signer::new(context, OrDummy { found }, signing)
        } else {
            Signer::new(context, DefaultCredentialProvider::new(), signing)
        };
        Ok(Self { client, url, signer })
    }

    pub(crate) async fn invoke(
        &self,
        spec: &Spec,
        request: &Request,
    ) -> Result<Outcome, InvokeError> {
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| {
            let (key, address) = (spec.key.clone(), self.url.clone());
            InvokeError::Unreachable { key, address, source }
        };
        let started = Instant::now();
        let signed = self.signed(request).await.map_err(unreachable)?;
        let limit = spec.options.max_payload;
        let answer = match self.client.send(signed, limit, LONGEST).await {
            Ok(answer) => answer,
            Err(RequestError::TooLarge(limit)) => {
                return Ok(outcome(
                    request,
                    payload::too_large(limit + 1, limit),
                    Some(FunctionErrorKind::Unhandled),
                    started,
                ));
            }
            Err(error) => return Err(unreachable(error.into())),
        };
        match answer.status() {
            StatusCode::OK => {
                let error = function_error(answer.headers());
                let tail = answer.headers().get("x-amz-log-result").cloned();
                let tail = tail.and_then(|tail| BASE64.decode(tail.as_bytes()).ok());
                let mut outcome = outcome(request, answer.into_body(), error, started);
                outcome.log_tail = tail.map(|tail| String::from_utf8_lossy(&tail).into_owned());
                Ok(outcome)
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let reason = ThrottleReason::Endpoint;
                Err(InvokeError::Throttled { key: spec.key.clone(), reason })
            }
            _ => Err(unreachable(refusal(&answer).into())),
        }
    }

    async fn signed(
        &self,
        request: &Request,
    ) -> Result<HttpRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let mut parts = HttpRequest::post(&self.url)
            .header("content-type", "application/json")
            .header("x-amz-invocation-type", "RequestResponse")
            .header("x-amz-content-sha256", hash::hex_sha256(&request.event))
            .header("x-amzn-trace-id", &request.trace_id);
        if request.want_log_tail {
            parts = parts.header("x-amz-log-type", "Tail");
        }
        if let Some(context) = &request.client_context {
            parts = parts.header("x-amz-client-context", BASE64.encode(context));
        }
        let (mut parts, ()) = parts.body(())?.into_parts();
        tokio::time::timeout(CREDENTIALS_WITHIN, self.signer.sign(&mut parts, None)).await??;
        Ok(HttpRequest::from_parts(parts, Full::new(request.event.clone())))
    }
}

fn outcome(
    request: &Request,
    payload: Bytes,
    error: Option<FunctionErrorKind>,
    started: Instant,
) -> Outcome {
    Outcome {
        request_id: request.id.clone(),
        payload,
        error,
        log_tail: None,
        duration: started.elapsed(),
        init_duration: None,
    }
}

/// The credentials that are found, or a dummy that endpoints which check none accept.
#[derive(Debug)]
struct OrDummy {
    found: DefaultCredentialProvider,
}

impl ProvideCredential for OrDummy {
    type Credential = Credential;

    async fn provide_credential(
        &self,
        context: &Context,
    ) -> reqsign_core::Result<Option<Credential>> {
        match self.found.provide_credential(context).await {
            Ok(Some(credential)) => Ok(Some(credential)),
            _ => {
                StaticCredentialProvider::new("fanwire", "fanwire")
                    .provide_credential(context)
                    .await
            }
        }
    }
}

/// Reads credential files.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        let failed = |error: std::io::Error| {
            reqsign_core::Error::config_invalid("cannot read a credential file").with_source(error)
        };
        read.map_err(std::io::Error::other).and_then(|read| read).map_err(failed)
    }
}

/// Asks credential services: metadata, STS, SSO.
struct CredentialServices(HttpClient);

impl fmt::Debug for CredentialServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialServices")
    }
}

impl HttpSend for CredentialServices {
    async fn http_send(
        &self,
        request: HttpRequest<Bytes>,
    ) -> reqsign_core::Result<http::Response<Bytes>> {
        let request = request.map(Full::new);
        self.0.send(request, MAX_CREDENTIALS, CREDENTIALS_WITHIN).await.map_err(|error| {
            reqsign_core::Error::unexpected("cannot reach a credential service").with_source(error)
        })
    }
}
