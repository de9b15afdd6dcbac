//! A client that connects here: what other nodes have of it ends, or moves here.
//!
//! Whoever lets a client in asks all other nodes first. One that has an older connection of
//! the client ends it; one that has its session sends it, and from then on sends on what
//! still comes for it, until this node has kept it and all nodes know what it hears.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::frame::{Answer, Ask, Frame, read_origin, write_origin};
use super::state::Mesh;
use super::{Node, RecordKey, SessionPieces};
use crate::Origin;
use crate::durable::code::{Corrupt, Reader, Writer};
use crate::durable::{RecoveredSession, of_pieces};
use crate::notice::{Notice, Restored};
use crate::plane::shard_of;
use crate::promise::Promise;

/// How long a client that wants its session back waits for nodes that do not answer: they
/// may have died, and somebody else has their sessions in a while.
const SESSION_PATIENCE: Duration = Duration::from_secs(20);

/// How long one that begins anew waits: what it had elsewhere ends anyway, only later.
const CLEAN_PATIENCE: Duration = Duration::from_secs(1);

/// How long a client waits for a node that comes to meet the others.
pub(crate) const MEETING_PATIENCE: Duration = Duration::from_secs(20);

/// Claims that are not answered by all, at the most.
const MAX_CLAIMS: usize = 65_536;

/// Claims of this node.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_number: HashMap<u64, Asked>,
    /// The latest of each client that is being let in.
    of_client: HashMap<Arc<str>, u64>,
    last: u64,
}

/// One client that other nodes are asked about.
#[derive(Debug)]
struct Asked {
    client_id: Arc<str>,
    clean: bool,
    at: u64,
    /// Who has not answered.
    waits_for: BTreeSet<Node>,
    answered: Option<oneshot::Sender<()>>,
    /// The client is let in, or not.
    over: bool,
    /// Later claims of other nodes, which are acted on when this is over.
    later: Vec<(Node, u64, bool)>,
}

/// A client is being let in. To be dropped when it has its connection.
#[derive(Debug)]
pub(crate) struct Claim {
    mesh: Arc<Mesh>,
    number: u64,
}

// === impl Mesh ===

impl Mesh {
    /// Has other nodes let go of a client that connects at `at`, in milliseconds since the
    /// epoch. `None` where its session may be at a node that is out of reach, or this one is.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        client_id: &Arc<str>,
        clean: bool,
        at: u64,
    ) -> Option<Claim> {
        // A node that has just come, or was taken for dead, cannot know whom to ask.
        tokio::time::timeout(MEETING_PATIENCE, self.met()).await.ok()?;
        let (answered, all_have) = oneshot::channel();
        let number = self.ask_all(client_id, clean, at, answered)?;
        let claim = Claim { mesh: Arc::clone(self), number };
        let patience = if clean { CLEAN_PATIENCE } else { SESSION_PATIENCE };
        let may_come = match tokio::time::timeout(patience, all_have).await {
            Ok(Ok(())) => true,
            // It is forgotten: this node was taken for dead, and asks for nobody any more.
            Ok(Err(_)) => false,
            Err(_) => clean,
        };
        may_come.then_some(claim)
    }

    fn ask_all(
        &self,
        client_id: &Arc<str>,
        clean: bool,
        at: u64,
        answered: oneshot::Sender<()>,
    ) -> Option<u64> {
        // Under the lock of the claims, so that no death is missed in between.
        let mut claims = self.claims();
        let (living, dead) = self.peers();
        // Nor is one made by a node that was taken for dead just now, and has forgotten the rest.
        if claims.by_number.len() >= MAX_CLAIMS || !self.meeting.is_over() {
            return None;
        }
        claims.last += 1;
        let number = claims.last;
        let asked = Asked {
            client_id: Arc::clone(client_id),
            clean,
            at,
            waits_for: living.iter().chain(&dead).copied().collect(),
            answered: Some(answered),
            over: false,
            later: Vec::new(),
        };
        claims.by_number.insert(number, asked);
        claims.of_client.insert(Arc::clone(client_id), number);
        let ask = Ask::Claim { clean, at };
        let frame = Frame::Ask { number, client_id: Arc::clone(client_id), ask }.encode();
        living.iter().for_each(|node| self.links.send(*node, frame.clone()));
        claims.settle(number);
        Some(number)
    }

    /// Another node lets a client in.
    pub(super) fn asked(&self, from: Node, number: u64, client_id: Arc<str>, ask: &Ask) {
        let Ask::Claim { clean, at } = *ask;
        let mut claims = self.claims();
        let own = claims.of_client.get(&client_id).copied();
        if let Some(own) = own.and_then(|own| claims.by_number.get_mut(&own))
            && !own.over
        {
            if (own.at, self.node()) < (at, from) {
                own.later.push((from, number, clean));
            } else {
                // It hears of ours, and comes first.
                drop(claims);
                self.answer(from, number, Answer::Nothing);
            }
            return;
        }
        drop(claims);
        self.let_go_of(from, number, client_id, clean);
    }

    fn let_go_of(&self, from: Node, number: u64, client_id: Arc<str>, clean: bool) {
        let shard = shard_of(&client_id, self.shards);
        self.tell(shard, Notice::Claimed { client_id, from, number, clean }, 0);
    }

    /// Tells the node that lets a client in what has become of it here.
    pub(crate) fn answer(&self, to: Node, number: u64, answer: Answer) {
        self.links.send(to, Frame::Answer { number, answer }.encode());
    }

    /// A node has answered.
    pub(super) fn answered(self: &Arc<Self>, from: Node, number: u64, answer: Answer) {
        let mut claims = self.claims();
        if let Answer::Moves(session) = answer {
            self.moves_here(from, &session);
        }
        if let Some(asked) = claims.by_number.get_mut(&number) {
            asked.waits_for.remove(&from);
        }
        claims.settle(number);
    }

    /// A session is on its way here: it is there before whoever waits for it goes on. Where it
    /// was hears that it has arrived once it is kept here, and all know of it.
    fn moves_here(self: &Arc<Self>, from: Node, bytes: &[u8]) {
        let Ok((session, got)) = decode(bytes) else { return };
        let (mesh, client_id) = (Arc::clone(self), Arc::clone(&session.client_id));
        let arrived = Frame::Arrived { client_id: Arc::clone(&client_id) }.encode();
        let told = move |_, known| {
            if known {
                mesh.links.send(from, arrived.clone());
            }
        };
        let known = Promise::new(0, Arc::new(told));
        let (mesh, arrives) = (Arc::clone(self), Arc::clone(&known));
        let told = move |_, kept| {
            if kept {
                mesh.forget_left(from, &client_id, Arc::clone(&arrives));
            } else {
                arrives.break_it();
            }
        };
        let kept = Promise::new(0, Arc::new(told));
        self.restore(session, Restored::Moved { got, known }, kept, bytes.len());
    }

    /// A session is kept here: what is kept of it where it was is no session any more. Where
    /// that node ends before it hears of it, nobody is to take over an old one.
    fn forget_left(&self, at: Node, client_id: &Arc<str>, arrives: Arc<Promise>) {
        let Some(records) = &self.sessions else { return };
        let done = move |ok: bool| {
            if !ok {
                arrives.break_it();
            }
        };
        records.forget_left(at, client_id, Box::new(done));
    }

    fn restore(
        &self,
        session: RecoveredSession,
        how: Restored,
        promise: Arc<Promise>,
        bytes: usize,
    ) {
        let shard = shard_of(&session.client_id, self.shards);
        let session = Box::new(session);
        self.tell(shard, Notice::Restore { session, how, promise }, bytes);
    }

    /// Takes over the sessions of a node that died. Done when they are kept here; says whether
    /// they are. Then, [`adopted`](Self::adopted) tells the others.
    pub async fn adopt(&self, dead: Node, sessions: Vec<SessionPieces>) -> bool {
        let (kept, all_kept) = oneshot::channel();
        let kept = std::sync::Mutex::new(Some(kept));
        let told = move |_, ok| {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(kept) = kept {
                // Where nobody waits any more, nobody has to be told.
                let _ = kept.send(ok);
            }
        };
        let promise = Promise::new(0, Arc::new(told));
        for SessionPieces { client_id, pieces } in sessions {
            let bytes = pieces.iter().map(|(_, value)| value.len()).sum();
            // What makes no sense is one of a later version's, or damaged: the others go on.
            if let Ok(session) = of_pieces(&client_id, pieces) {
                self.restore(session, Restored::Adopted(dead), Arc::clone(&promise), bytes);
            }
        }
        drop(promise);
        all_kept.await.unwrap_or(false)
    }

    /// What was asked of a node that died is asked of who has its sessions now, if anybody.
    pub(super) fn ask_heir(&self, dead: Node, heir: Option<Node>) {
        let mut claims = self.claims();
        let open: Vec<u64> = claims.by_number.keys().copied().collect();
        for number in open {
            let Some(asked) = claims.by_number.get_mut(&number) else { continue };
            if !asked.waits_for.remove(&dead) {
                continue;
            }
            if let Some(heir) = heir.filter(|heir| *heir != self.node()) {
                let (client_id, ask) =
                    (Arc::clone(&asked.client_id), Ask::Claim { clean: asked.clean, at: asked.at });
                asked.waits_for.insert(heir);
                self.links.send(heir, Frame::Ask { number, client_id, ask }.encode());
            }
            claims.settle(number);
        }
    }

    /// Nobody who was asked knows this node any more: who waits for answers is not let in.
    pub(super) fn forget_claims(&self) {
        let mut claims = self.claims();
        *claims = Claims { last: claims.last, ..Claims::default() };
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Claims ===

impl Claims {
    /// Tells who waits for answers, if there are none left to come.
    fn settle(&mut self, number: u64) {
        let Some(asked) = self.by_number.get_mut(&number) else { return };
        if !asked.waits_for.is_empty() {
            return;
        }
        if let Some(answered) = asked.answered.take() {
            let _ = answered.send(());
        }
        if asked.over {
            self.by_number.remove(&number);
        }
    }
}

// === impl Claim ===

impl Drop for Claim {
    /// Other nodes may have the client now, if they have asked for it.
    fn drop(&mut self) {
        let mut claims = self.mesh.claims();
        let Some(asked) = claims.by_number.get_mut(&self.number) else { return };
        asked.over = true;
        let later = std::mem::take(&mut asked.later);
        let client_id = Arc::clone(&asked.client_id);
        // What a client that wanted its session back has not got, nobody waits for any more.
        if !asked.clean {
            asked.waits_for.clear();
        }
        if claims.of_client.get(&client_id) == Some(&self.number) {
            claims.of_client.remove(&client_id);
        }
        claims.settle(self.number);
        drop(claims);
        for (from, number, clean) in later {
            self.mesh.let_go_of(from, number, Arc::clone(&client_id), clean);
        }
    }
}

/// A session as it goes to another node, with what it has got.
pub(crate) fn encode(
    client_id: &str,
    pieces: &[(RecordKey, Vec<u8>)],
    got: &HashSet<Origin>,
) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.bytes(client_id.as_bytes());
    writer.count(pieces.len());
    for (key, value) in pieces {
        let (kind, number) = key.parts();
        writer.byte(kind);
        writer.number(number);
        writer.bytes(value);
    }
    writer.count(got.len());
    got.iter().for_each(|origin| write_origin(Some(*origin), &mut writer));
    writer.finish()
}

pub(super) fn decode(bytes: &[u8]) -> Result<(RecoveredSession, Vec<Origin>), Corrupt> {
    let mut reader = Reader::new(bytes);
    let client_id: Arc<str> = reader.text()?.into();
    let pieces = (0..reader.count()?).map(|_| {
        let key = RecordKey::of_parts(reader.byte()?, reader.number()?);
        let key = key.ok_or(Corrupt("a piece of a session that this version does not know"))?;
        Ok((key, reader.bytes()?.to_vec()))
    });
    let pieces = pieces.collect::<Result<_, _>>()?;
    let got = (0..reader.count()?).map(|_| read_origin(&mut reader));
    let got = got.collect::<Result<Vec<_>, _>>()?;
    reader.finish()?;
    Ok((of_pieces(&client_id, pieces)?, got.into_iter().flatten().collect()))
}
