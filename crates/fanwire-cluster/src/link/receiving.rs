//! What comes in over links: one subscription for the node, and a task for each peer that
//! calls its handlers in order and tells it what is done.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::frame::{self, Frame, Message};
use super::incoming::Incoming;
use crate::Incarnation;
use crate::cluster::Shared;
use crate::facts::count;

/// Takes what comes for an incarnation of this node, until the subscription ends.
pub(crate) async fn listen(
    shared: Arc<Shared>,
    me: Incarnation,
    mut subscriber: async_nats::Subscriber,
) {
    let mut from = HashMap::new();
    while let Some(message) = subscriber.next().await {
        let Some((peer, frame)) = frame::decode(message.payload) else { continue };
        // The dead may not know yet that they are.
        if shared.deaths.contains(peer) {
            from.remove(&peer);
            continue;
        }
        match frame {
            Frame::Receipt(receipt) => {
                let sender = shared.links.links().get(&peer).cloned();
                if let Some(sender) = sender {
                    let done = sender.outgoing().receipt(&receipt, Instant::now());
                    for waiting in done {
                        // Whoever sent it may not wait for it.
                        let _ = waiting.send(());
                    }
                    // What did not arrive has gone out of the window, or back into it.
                    sender.work.notify_one();
                }
            }
            frame => {
                let to =
                    from.entry(peer).or_insert_with(|| from_peer(Arc::clone(&shared), me, peer));
                // The task ends only with what this map holds.
                let _ = to.send(frame);
            }
        }
        // A peer that died is let go of with the next frame of anybody.
        from.retain(|peer, _| !shared.deaths.contains(*peer));
    }
}

/// Begins to take what a peer sends. The channel is bounded by the peer's window.
fn from_peer(
    shared: Arc<Shared>,
    me: Incarnation,
    peer: Incarnation,
) -> mpsc::UnboundedSender<Frame> {
    let (to, mut frames) = mpsc::unbounded_channel();
    // Handlers are the planes' own.
    let runtime = shared.runtime.clone();
    runtime.spawn(async move {
        let subject = shared.nats.link_subject(peer);
        let mut incoming = Incoming::default();
        let mut handling = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(number) = handling.next(), if !handling.is_empty() => {
                    incoming.finished(number);
                    while let Some(Some(number)) = handling.next().now_or_never() {
                        incoming.finished(number);
                    }
                }
                frame = frames.recv() => match frame {
                    Some(Frame::Data { first, messages }) => {
                        for (number, message) in incoming.data(first, messages) {
                            count(&shared.counters.link_received, 1);
                            let handled = handle(&shared, peer, message);
                            handling.push(handled.map(move |()| number));
                        }
                    }
                    Some(Frame::Probe { nonce, .. }) => incoming.probe(nonce),
                    Some(Frame::Receipt(_)) => {}
                    None => return,
                },
            }
            if let Some(receipt) = incoming.take_receipt() {
                let bytes = frame::encode(me, &Frame::Receipt(receipt));
                // What does not go now is asked for later.
                let _ = shared.nats.client.publish(subject.clone(), bytes).await;
            }
        }
    });
    to
}

/// Calls the handler of a message. One that panics is done, as one is that nobody takes: a
/// message that cannot be handled must not keep all others waiting.
fn handle(
    shared: &Shared,
    peer: Incarnation,
    message: Message,
) -> impl Future<Output = ()> + Send + use<> {
    let Message { channel, payload } = message;
    // A slice would keep alive the whole frame that it came with.
    let payload = Bytes::copy_from_slice(&payload);
    let handler = shared.links.handler(&channel);
    let begun = handler
        .map(|handler| std::panic::catch_unwind(AssertUnwindSafe(|| handler(peer, payload))));
    async move {
        if let Some(Ok(handling)) = begun {
            let _ = AssertUnwindSafe(handling).catch_unwind().await;
        }
    }
}
