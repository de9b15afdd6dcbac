//! A session in pieces, as it goes from node to node and as nodes leave it for each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanwire_wire::mqtt::PacketId;

use super::code::Corrupt;
use super::record::{Content, Found, Reached, StoredSession};
use super::{Flight, RecoveredSession, StoredEntry};
use crate::mesh::RecordKey;

/// How far a message of QoS 2 is, as a piece.
pub(crate) fn encode_reached(id: PacketId, received: bool) -> Vec<u8> {
    Reached { id, received }.encode()
}

/// The session that pieces make, in whichever order they are.
pub(crate) fn of_pieces(
    client_id: &str,
    mut pieces: Vec<(RecordKey, Vec<u8>)>,
) -> Result<RecoveredSession, Corrupt> {
    // The session, its queue, what is in flight, what is not released; each by its number.
    pieces.sort_unstable_by_key(|(key, _)| *key);
    let mut session = None;
    let mut queue = BTreeMap::new();
    let (mut in_flight, mut unreleased) = (Vec::new(), Vec::new());
    let mut last_seq = 0;
    for (key, value) in pieces {
        match key {
            RecordKey::Session => session = Some(StoredSession::decode(&value)?),
            RecordKey::Queued(seq) => {
                last_seq = last_seq.max(seq);
                queue.insert(seq, entry(seq, &value)?);
            }
            RecordKey::InFlight(seq) => {
                last_seq = last_seq.max(seq);
                let Reached { id, received } = Reached::decode(&value)?;
                let entry = queue.remove(&seq).filter(|_| !received);
                if received || entry.is_some() {
                    in_flight.push(Flight { seq, id, entry });
                }
            }
            RecordKey::Unreleased(id) => unreleased.push(id),
        }
    }
    let session = session.ok_or(Corrupt("pieces of a session that is not there"))?;
    let queue = queue.into_values().collect();
    let client_id = client_id.into();
    Ok(RecoveredSession { client_id, session, in_flight, queue, unreleased, last_seq })
}

fn entry(seq: u64, value: &[u8]) -> Result<StoredEntry, Corrupt> {
    let Found { content, qos, retain, ids } = Found::decode(value)?;
    let Content::Here(message) = content else {
        return Err(Corrupt("a piece of a session without its message"));
    };
    Ok(StoredEntry { seq, message: Arc::new(message), qos, retain, ids })
}
