//! The one check: who calls, and whether it may.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fanwire_access::{Payload, Question, SignatureError, Signed, sha256};
use http::header::{AUTHORIZATION, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use super::question::services;
use super::refusal::Refusal;
use super::{Caller, Credentials, GuardEvent};
use crate::address::Target;
use crate::response::{self, Answer};
use crate::router::{CallBody, Router, Source};
use crate::{dynamodb, iot_data, lambda_api, management};

/// A call, once it is known who makes it.
struct Known {
    caller: Caller,
    head: Parts,
    body: CallBody,
    /// The body, where it had to be read.
    read: Bytes,
}

impl Router {
    /// Lets a request for a privileged target through, or answers it.
    pub(crate) async fn admit(
        &self,
        target: &Target,
        request: Request<Incoming>,
        source: &Source,
    ) -> Result<Request<CallBody>, Box<Answer>> {
        let guard = self.guard();
        let (_, api) = services(target);
        let credentials = guard.credentials.as_ref().filter(|_| !guard.is_open(api));
        let Some(credentials) = credentials else {
            return self.admit_anybody(target, request, source);
        };
        let source_ip = self.client(source, request.headers()).address.ip();
        match self.admit_known(target, request, credentials, source_ip).await {
            Ok(request) => Ok(request),
            Err((refusal, caller)) => {
                let question = match &refusal {
                    Refusal::Denied { question, .. } => Some(question),
                    _ => None,
                };
                guard.tell(&GuardEvent::Denied {
                    caller: caller.as_deref(),
                    action: question.map(|question| question.action.as_str()),
                    resource: question.map(|question| question.arn.as_str()),
                    source_ip,
                    error: refusal.name(),
                    why: &told(&refusal),
                });
                Err(Box::new(refusal.into_answer(target)))
            }
        }
    }

    /// Lets a request to an API that is open through, unless a web page makes it.
    fn admit_anybody(
        &self,
        target: &Target,
        request: Request<Incoming>,
        source: &Source,
    ) -> Result<Request<CallBody>, Box<Answer>> {
        let guard = self.guard();
        let (head, body) = request.into_parts();
        let source_ip = self.client(source, &head.headers).address.ip();
        if head.headers.contains_key(ORIGIN) {
            // Any website can make a visitor's browser send a request to a server on the
            // visitor's machine. Browsers say so by this header; SDKs do not send it.
            let (name, why) = ("ForbiddenException", "this API does not answer web pages");
            guard.tell(&GuardEvent::Denied {
                caller: None,
                action: None,
                resource: None,
                source_ip,
                error: name,
                why,
            });
            let body = response::message(why);
            return Err(Box::new(response::error(StatusCode::FORBIDDEN, name, body)));
        }
        if guard.wants_open_calls() {
            for Question { action, arn, .. } in &self.questions(target, &head, &Bytes::new()) {
                guard.tell(&GuardEvent::Open { action, resource: arn, source_ip });
            }
        }
        Ok(Request::from_parts(head, Either::Left(body)))
    }

    async fn admit_known(
        &self,
        target: &Target,
        request: Request<Incoming>,
        credentials: &Credentials,
        source_ip: IpAddr,
    ) -> Result<Request<CallBody>, (Refusal, Option<String>)> {
        let known = self.identify(target, request, credentials).await;
        let Known { caller, mut head, body, read } = known.map_err(|refusal| (refusal, None))?;
        let questions = self.questions(target, &head, &read);
        for question in &questions {
            if !may(&caller, question) {
                let user = self.arn_of_user(&caller.name);
                let question = Box::new(question.clone());
                return Err((Refusal::Denied { user, question }, Some(caller.name)));
            }
        }
        for Question { action, arn, .. } in &questions {
            let caller = caller.name.as_str();
            let event = GuardEvent::Allowed { caller, action, resource: arn, source_ip };
            self.guard().tell(&event);
        }
        head.extensions.insert(caller);
        Ok(Request::from_parts(head, body))
    }

    /// Finds out who calls.
    async fn identify(
        &self,
        target: &Target,
        request: Request<Incoming>,
        credentials: &Credentials,
    ) -> Result<Known, Refusal> {
        let (head, body) = request.into_parts();
        let valid = credentials.now();
        let needs_body = *target == Target::DynamoDb;
        if let Some(token) = bearer(&head) {
            let token = valid.ring.token(token, now()).ok_or(Refusal::Token)?;
            let caller = Caller { name: token.name.clone(), grants: token.grants.clone() };
            let (body, read) = match needs_body {
                true => self.read(target, body).await.map(|read| (whole(&read), read))?,
                false => (Either::Left(body), Bytes::new()),
            };
            return Ok(Known { caller, head, body, read });
        }
        let signed = Signed::read(&head)?.ok_or(SignatureError::Missing)?;
        let (services, _) = services(target);
        signed.precheck(&valid.ring, services, now())?;
        if is_ambiguous(target, head.uri.path()) {
            return Err(Refusal::Path);
        }
        let verify = |hash: &[u8; 32]| signed.verify(&head, &valid.ring, services, now(), hash);
        // Where the body need not be known, who has no secret has none read.
        let early = match signed.payload() {
            Payload::Unknown => None,
            Payload::Declared(_) | Payload::Unsigned => Some(verify(&[0; 32])?),
        };
        let (body, read) = match signed.payload() {
            Payload::Unsigned if !needs_body => (Either::Left(body), Bytes::new()),
            _ => self.read(target, body).await.map(|read| (whole(&read), read))?,
        };
        let key = match early {
            Some(key) => {
                if matches!(signed.payload(), Payload::Declared(hash) if hash != sha256(&read)) {
                    return Err(SignatureError::Body.into());
                }
                key
            }
            None => verify(&sha256(&read))?,
        };
        let caller = Caller { name: key.name.clone(), grants: key.grants.clone() };
        Ok(Known { caller, head, body, read })
    }

    async fn read(&self, target: &Target, body: Incoming) -> Result<Bytes, Refusal> {
        let limit = match target {
            Target::Invoke(_) | Target::InvokeAsync(_) => lambda_api::MAX_SYNC_BYTES,
            Target::DynamoDb => dynamodb::MAX_BODY_BYTES,
            Target::IotData | Target::Control(_) => iot_data::MAX_PAYLOAD,
            _ => management::MAX_BODY_BYTES,
        };
        Ok(self.body_of(Either::Left(body), limit).await?)
    }
}

/// What a refusal is told as. The canonical request is the caller's business: its headers may
/// hold a session token.
fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Signature(SignatureError::Mismatch { .. }) => {
            "the signature does not match the request".to_owned()
        }
        other => other.to_string(),
    }
}

/// Who may change things may look at them, too.
fn may(caller: &Caller, question: &Question) -> bool {
    let control = || Question { action: "fanwire:Control".to_owned(), ..question.clone() };
    caller.grants.allow(question)
        || (question.action == "fanwire:Read" && caller.grants.allow(&control()))
}

fn whole(body: &Bytes) -> CallBody {
    Either::Right(Full::new(body.clone()))
}

fn bearer(head: &Parts) -> Option<&str> {
    let header = head.headers.get(AUTHORIZATION).map(HeaderValue::to_str)?.ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a path is another one to who signs than to who answers. Signatures are of the path
/// without empty and dot segments; in names, such as topics, those count.
fn is_ambiguous(target: &Target, path: &str) -> bool {
    let has_dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    let has_names = matches!(target, Target::IotData | Target::Groups(..));
    // An endpoint that is configured with a slash at its end doubles the one in front.
    has_dots || (has_names && path.trim_start_matches('/').contains("//"))
}

/// The machine's time, in seconds since 1970: who signs goes by his machine's, too.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
