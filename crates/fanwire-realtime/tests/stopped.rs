//! Two nodes of which one has stopped, without a network between them.

#![allow(clippy::unwrap_used, reason = "tests, and helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::{self, Profile};
use fanwire_functions::{FunctionEvent, Functions, HostOptions};
use fanwire_hub::HubOptions;
use fanwire_realtime::mesh::{Links, Mesh, MeshParts, Node};
use fanwire_realtime::{
    Message, Natives, Observer, PublishError, Realtime, RealtimeEvent, RealtimeParts,
};
use fanwire_wire::mqtt::QoS;
use indexmap::IndexMap;
use tokio::sync::mpsc;

const A: Node = Node { id: 1, boot: 1 };
const B: Node = Node { id: 2, boot: 1 };

/// Longer than anything takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(15);

struct Nobody;

impl fanwire_functions::Observer for Nobody {
    fn observe(&self, _: FunctionEvent<'_>) {}
}

impl Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

/// The way to the other node.
struct Way(mpsc::UnboundedSender<Bytes>);

impl Links for Way {
    fn send(&self, _to: Node, frame: Bytes) {
        // It arrives nowhere once the test is over.
        let _ = self.0.send(frame);
    }

    fn cast(&self, _to: &[Node], _frame: Bytes) {}

    fn is_behind(&self) -> bool {
        false
    }
}

fn start(node: Node) -> (Realtime, Arc<Mesh>, mpsc::UnboundedReceiver<Bytes>) {
    let (way, frames) = mpsc::unbounded_channel();
    let links = Arc::new(Way(way));
    let functions =
        Functions::start(&IndexMap::new(), HostOptions::default(), Arc::new(Nobody)).unwrap();
    let parts = RealtimeParts {
        limiter: Arc::default(),
        hub: HubOptions { shards: 2, ..HubOptions::default() },
        functions,
        natives: Natives::default(),
        store: None,
        mesh: Some(MeshParts { node, links, nodes: None, sessions: None, retained: None }),
        observer: Arc::new(Nobody),
        runtime: tokio::runtime::Handle::current(),
        region: "us-east-1".to_owned(),
        account_id: "123456789012".to_owned(),
    };
    let realtime = Realtime::start(&model::Realtime::new(Profile::Open), parts).unwrap();
    let mesh = Arc::clone(realtime.mesh().unwrap());
    (realtime, mesh, frames)
}

fn carry(from: Node, mut frames: mpsc::UnboundedReceiver<Bytes>, to: Arc<Mesh>) {
    tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            to.received(from, &frame);
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_to_a_node_whose_shards_have_ended_is_not_acknowledged() {
    let ((a, mesh_a, from_a), (b, mesh_b, from_b)) = (start(A), start(B));
    mesh_a.joined(B);
    mesh_b.joined(A);
    mesh_a.knows_all([]);
    mesh_b.knows_all([]);
    carry(A, from_a, mesh_b);
    carry(B, from_b, mesh_a);
    let (heard, mut hears) = mpsc::unbounded_channel();
    let tap = move |_: &Arc<Message>| {
        let _ = heard.send(());
    };
    let _subscription = b.subscribe("t", Arc::new(tap));
    let message = Message { qos: QoS::AtLeastOnce, ..Message::new("t", "hello") };
    let arrives = async {
        while hears.try_recv().is_err() {
            a.publish(message.clone()).await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, arrives).await.unwrap();
    b.stop(PATIENCE).await;
    let published = tokio::time::timeout(PATIENCE, a.publish(message)).await.unwrap();
    assert_eq!(published, Err(PublishError::NotKept));
}
