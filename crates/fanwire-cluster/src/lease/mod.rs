//! The driver of [`membership`](crate::membership): takes a number for the node, writes its
//! record again in time, watches the others', and does what the state machine says.

mod bucket;
mod driver;
mod hooks;

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(crate) use self::bucket::Bucket;
pub(crate) use self::hooks::{Hooks, Parting, Stop};
use crate::cluster::{Shared, State};
use crate::membership::{Lease, Membership};
use crate::nats::Reach;
use crate::{BootId, Incarnation, JoinError, NodeId, Peer, RecordsError, limits};

/// Takes a number and begins to keep it.
pub(crate) async fn begin(
    shared: &Arc<Shared>,
    bucket: Bucket,
    reach: mpsc::UnboundedReceiver<Reach>,
) -> Result<(), JoinError> {
    let membership = take_number(shared, &bucket).await?;
    become_member(shared, &membership);
    let driver = driver::Driver::new(Arc::clone(shared), bucket, membership, reach);
    // Boxed: its states are large, and there is one.
    tokio::spawn(driver.run().boxed());
    Ok(())
}

/// Writes a record for this node under the first number that nobody has.
async fn take_number(shared: &Shared, bucket: &Bucket) -> Result<Membership, JoinError> {
    let boot = BootId::generate()?;
    let first = first_number(&shared.options.node_name);
    let fault = |error: RecordsError| JoinError::Bucket {
        bucket: "nodes".to_owned(),
        cause: shared.nats.beside_said(error),
    };
    for offset in 0..limits::NODE_IDS_TRIED {
        // Zero is a node that is alone.
        let number = (usize::from(first) + offset) % usize::from(u16::MAX) + 1;
        let node = NodeId(u16::try_from(number).unwrap_or(u16::MAX));
        let own = own_lease(shared, Incarnation { node, boot });
        let found = bucket.read(node).await.map_err(fault)?;
        if found.lease.is_some() {
            continue;
        }
        let sent = Instant::now();
        match bucket.write(node, Some(&own), found.revision).await {
            Ok(revision) => return Ok(Membership::new(own, revision, sent)),
            Err(RecordsError::Conflict) => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Err(JoinError::NoNumber)
}

fn own_lease(shared: &Shared, incarnation: Incarnation) -> Lease {
    let options = &shared.options;
    let peer = Peer {
        incarnation,
        name: options.node_name.clone(),
        address: options.address.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let lease_ms = u64::try_from(options.lease.as_millis()).unwrap_or(u64::MAX);
    Lease { peer, lease_ms, dead_by: None }
}

/// Where a node begins to look for a number: the same each time, as far as that goes.
fn first_number(name: &str) -> u16 {
    // FNV-1a, folded.
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = name.bytes().fold(0x811c_9dc5, step);
    (hash >> 16) as u16 ^ (hash & 0xffff) as u16
}

/// Tells everyone here who this node is now.
fn become_member(shared: &Shared, membership: &Membership) {
    let me = membership.own().peer.incarnation;
    *shared.safe_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
        Some(membership.safe_until());
    shared.hooks.joined(me);
    shared.me.send_replace(Some(me));
    shared.state.send_replace(State::Joined);
}
