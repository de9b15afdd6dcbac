//! Asking a custom authorizer, a function or one of this process, and judging its answer.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fanwire_functions::InvokeOptions;
use fanwire_policy::{Answer, AuthorizerEvent, HttpData, MqttData, Refusal, Strictness};

use super::authorize::Asked;
use crate::natives::{NativeAuthorizer, in_a_task};
use crate::settings::{Authorizer, Settings};
use crate::{NativeRequest, Realtime, TracedCall, TracedWork};

/// What an authorizer is asked, at first and again. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Question {
    /// The key of its function, or what stands in its place.
    key: Arc<str>,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// A function, with its event.
    Function(Bytes),
    /// One of this process.
    Native(Arc<dyn NativeAuthorizer>, Arc<NativeRequest>),
}

/// What is said of the token that a client brought.
pub(super) struct Token<'a> {
    pub(super) text: Option<&'a str>,
    pub(super) is_signed: bool,
}

impl Realtime {
    /// What is to be asked about a client.
    pub(super) fn question(
        &self,
        asked: &Asked<'_>,
        authorizer: &Authorizer,
        headers: &[(&str, &str)],
        token: &Token<'_>,
    ) -> Question {
        let key = &*authorizer.function;
        let connection_id = connection_id();
        let form = match self.inner.natives.find_authorizer(key) {
            Some(native) => {
                let request = native_request(asked, token, connection_id);
                Form::Native(Arc::clone(native), Arc::new(request))
            }
            None => Form::Function(event(asked, headers, token, &connection_id)),
        };
        Question { key: key.into(), form }
    }

    /// Asks, and judges the answer.
    ///
    /// # Errors
    ///
    /// Why nobody is let in, in words.
    pub(crate) async fn put(&self, question: &Question) -> Result<Answer, String> {
        let settings = self.inner.settings.load_full();
        let key = &*question.key;
        let strictness =
            if settings.limits().strict_authorizer { Strictness::Strict } else { Strictness::Lax };
        let refused = |refusal: Refusal| format!("authorizer `{key}`: {refusal}");
        match &question.form {
            Form::Function(event) => {
                let answer = self.call(key, event.clone(), &settings).await?;
                Answer::parse(&answer, strictness, &settings.place).map_err(refused)
            }
            Form::Native(native, request) => {
                let asking = native.authorize(Arc::clone(request));
                let asking = in_a_task(&self.inner.runtime, asking);
                let terms = within_time(key, &settings, asking).await?;
                let failed = |error| format!("the authorizer `{key}` failed: {error}");
                Answer::of(terms.map_err(failed)?, strictness, &settings.place).map_err(refused)
            }
        }
    }

    /// Calls an authorizer's function.
    async fn call(&self, key: &str, event: Bytes, settings: &Settings) -> Result<Bytes, String> {
        let (began, span) = (Instant::now(), self.inner.observer.span(None));
        let trace_id = span.map(|span| span.context.xray());
        let options = InvokeOptions { trace_id, ..InvokeOptions::default() };
        let invoking = self.inner.functions.invoke(key, event, options);
        let outcome = within_time(key, settings, invoking).await;
        let outcome = outcome.and_then(|outcome| outcome.map_err(|error| error.to_string()));
        if let Some(span) = span {
            self.inner.observer.traced(&TracedCall {
                span,
                what: TracedWork::Authorizer { authorizer: key },
                client_id: "",
                took: began.elapsed(),
                error: outcome.as_ref().err().map(String::as_str),
            });
        }
        let outcome = outcome?;
        if outcome.error.is_some() {
            let error = String::from_utf8_lossy(&outcome.payload);
            return Err(format!("the authorizer `{key}` failed: {error}"));
        }
        Ok(outcome.payload)
    }
}

/// Waits as long as an authorizer may take.
async fn within_time<T>(
    key: &str,
    settings: &Settings,
    asking: impl Future<Output = T>,
) -> Result<T, String> {
    let patience = settings.limits().authorizer_timeout;
    tokio::time::timeout(patience, asking).await.map_err(|_| {
        format!(
            "the authorizer `{key}` did not answer within {patience:?} (realtime.limits.authorizer_timeout)"
        )
    })
}

fn event(
    asked: &Asked<'_>,
    headers: &[(&str, &str)],
    token: &Token<'_>,
    connection_id: &str,
) -> Bytes {
    let Asked { connect, arrival, .. } = asked;
    let http = arrival
        .http
        .as_ref()
        .map(|http| HttpData { headers, query: http.query.as_deref().unwrap_or_default() });
    let event = AuthorizerEvent {
        token: token.text,
        signature_verified: token.is_signed,
        // On AWS there is always TLS, so functions rely on it: without it they get the
        // name that the client connected to.
        tls_server_name: arrival.domain_name(),
        http,
        mqtt: asked.mqtt.then_some(MqttData {
            username: connect.username,
            password: connect.password,
            client_id: connect.client_id,
        }),
        connection_id,
    };
    Bytes::from(event.to_json())
}

fn native_request(asked: &Asked<'_>, token: &Token<'_>, connection_id: String) -> NativeRequest {
    let Asked { connect, arrival, .. } = asked;
    NativeRequest {
        client_id: connect.client_id.to_owned(),
        username: connect.username.map(str::to_owned),
        password: connect.password.map(Bytes::copy_from_slice),
        token: token.text.map(str::to_owned),
        signature_verified: token.is_signed,
        http: arrival.http.clone(),
        server_name: arrival.domain_name().map(str::to_owned),
        connection_id,
    }
}

/// A UUID for a connection (RFC 9562, version 4).
fn connection_id() -> String {
    let random = fastrand::u128(..);
    let versioned = random & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{versioned:032x}");
    let (a, b, c, d, e) =
        (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_id_is_a_random_uuid() {
        let id = connection_id();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"));
    }
}
