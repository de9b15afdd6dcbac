//! Questions to other nodes. One message each way; where nobody has the number that is
//! asked, NATS says so at once.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_nats::{RequestErrorKind, client};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Semaphore;

use crate::cluster::Shared;
use crate::facts::count;
use crate::{BootId, Incarnation, NodeId, RequestError, limits};

/// What a channel answers.
pub(crate) type Answer = Arc<dyn Fn(Incarnation, Bytes) -> BoxFuture<'static, Bytes> + Send + Sync>;

/// Bytes of who asks, before what is asked.
const HEAD: usize = 10;

/// What answers have before them: whether they are one.
const ANSWERED: u8 = 1;
const NO_CHANNEL: u8 = 0;
const TOO_LARGE: u8 = 2;

/// What this node answers.
#[derive(Default)]
pub(crate) struct Requests {
    // A std lock, held for a look-up only.
    channels: RwLock<HashMap<&'static str, Answer>>,
}

// === impl Requests ===

impl Requests {
    pub(crate) fn on(&self, channel: &'static str, answer: Answer) {
        self.channels.write().unwrap_or_else(PoisonError::into_inner).insert(channel, answer);
    }

    fn channel(&self, name: &str) -> Option<Answer> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) async fn ask(
        shared: &Arc<Shared>,
        to: NodeId,
        channel: &'static str,
        bytes: Bytes,
        patience: Duration,
    ) -> Result<Bytes, RequestError> {
        count(&shared.counters.requests, 1);
        let Some(me) = *shared.me.borrow() else { return Err(RequestError::Away) };
        if to == me.node {
            let Some(answer) = shared.requests.channel(channel) else {
                return Err(RequestError::Gone);
            };
            return Ok(answer(me, bytes).await);
        }
        // One who is not known may just have come. NATS is asked.
        if !shared.is_joined() {
            return Err(RequestError::Away);
        }
        if shared.deaths.is_free(to) {
            return Err(RequestError::Gone);
        }
        let limit = shared.nats.max_message();
        if bytes.len() > limit {
            return Err(RequestError::TooLarge { limit });
        }
        let subject = shared.nats.request_subject(to, channel);
        let request = client::Request::new().payload(with_head(me, &bytes)).timeout(Some(patience));
        match shared.nats.client.send_request(subject, request).await {
            Ok(reply) => answer_of(reply.payload, limit),
            Err(error) => Err(match error.kind() {
                RequestErrorKind::NoResponders => RequestError::Gone,
                RequestErrorKind::TimedOut => {
                    count(&shared.counters.requests_timed_out, 1);
                    RequestError::Timeout
                }
                RequestErrorKind::MaxPayloadExceeded => RequestError::TooLarge { limit },
                _ => RequestError::Away,
            }),
        }
    }

    /// Answers what is asked of an incarnation of this node, for as long as it is polled.
    pub(crate) async fn answer(shared: Arc<Shared>, me: Incarnation) {
        let subject = shared.nats.request_subject(me.node, "*");
        let at_once = Arc::new(Semaphore::new(limits::REQUESTS_AT_ONCE));
        let Ok(mut asked) = shared.nats.client.subscribe(subject).await else { return };
        while let Some(message) = asked.next().await {
            let Ok(permit) = Arc::clone(&at_once).acquire_owned().await else { return };
            let (shared, runtime) = (Arc::clone(&shared), shared.runtime.clone());
            runtime.spawn(async move {
                answer_one(&shared, message).await;
                drop(permit);
            });
        }
    }
}

async fn answer_one(shared: &Shared, message: async_nats::Message) {
    let Some(reply) = message.reply else { return };
    let channel = message.subject.rsplit('.').next().unwrap_or_default();
    let Some((from, bytes)) = head_of(message.payload) else { return };
    // The dead may not know yet that they are.
    if shared.deaths.contains(from) {
        return;
    }
    let mut out = BytesMut::with_capacity(64);
    match shared.requests.channel(channel) {
        Some(answer) => {
            // Where it panics, whoever asks hears nothing, and gives up in time.
            let answered = AssertUnwindSafe(async { answer(from, bytes).await }).catch_unwind();
            let Ok(answered) = answered.await else { return };
            if answered.len() > shared.nats.max_message() {
                out.put_u8(TOO_LARGE);
            } else {
                out.put_u8(ANSWERED);
                out.put_slice(&answered);
            }
        }
        None => out.put_u8(NO_CHANNEL),
    }
    // Whoever asks gives up in time.
    let _ = shared.nats.client.publish(reply, out.freeze()).await;
}

fn answer_of(mut payload: Bytes, limit: usize) -> Result<Bytes, RequestError> {
    match payload.try_get_u8() {
        Ok(ANSWERED) => Ok(payload),
        Ok(NO_CHANNEL) => Err(RequestError::Gone),
        _ => Err(RequestError::TooLarge { limit }),
    }
}

/// Who speaks, and what they say.
pub(crate) fn with_head(from: Incarnation, bytes: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD + bytes.len());
    out.put_u16(from.node.0);
    out.put_u64(from.boot.0);
    out.put_slice(bytes);
    out.freeze()
}

/// The reverse of [`with_head`].
pub(crate) fn head_of(mut bytes: Bytes) -> Option<(Incarnation, Bytes)> {
    let node = NodeId(bytes.try_get_u16().ok()?);
    let boot = BootId(bytes.try_get_u64().ok()?);
    Some((Incarnation { node, boot }, bytes))
}
