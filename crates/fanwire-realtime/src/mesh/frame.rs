//! What nodes tell each other, as bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::Node;
use crate::directory::Members;
use crate::durable::code::{Corrupt, Reader, Writer};
use crate::durable::record::{read_message, write_message};
use crate::message::{Message, Origin};

/// The version of the form of frames. Nodes of a later one are not understood.
const FORM: u8 = 1;

/// One thing that a node tells another.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    /// What it hears has changed, or with `whole` is this and nothing else.
    Interest(Interest),
    /// What the other told of its interest up to a version is taken in.
    Taken { version: u64 },
    /// Messages of which is to be told what became of them.
    Batch { number: u64, items: Vec<Item> },
    /// What became of a batch: whether it is kept, and which of its items, by their place,
    /// found nobody and are handed back.
    Settled { number: u64, kept: bool, back: Vec<u32> },
    /// Messages of QoS 0.
    Cast(Vec<Arc<Message>>),
    /// To be answered with `Passed` once all that was on its way to the node that asks is sent.
    Barrier { number: u64 },
    /// All that came before a barrier is sent.
    Passed { number: u64 },
    /// What a node wants to know, or to have done, of a client.
    Ask { number: u64, client_id: Arc<str>, ask: Ask },
    /// What came of it.
    Answer { number: u64, answer: Answer },
    /// The session of a client that has moved is kept where it went.
    Arrived { client_id: Arc<str> },
    /// The sessions of a node that died live on here.
    Adopted { dead: Node },
    /// All that came for a client's session where it was has been sent after it.
    Followed { client_id: Arc<str> },
}

/// What a node hears.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Interest {
    pub(super) version: u64,
    pub(super) whole: bool,
    pub(super) more: Vec<Box<str>>,
    pub(super) less: Vec<Box<str>>,
    /// Shared subscriptions: group, filter and how many members.
    pub(super) groups: Vec<(Box<str>, Box<str>, Members)>,
}

/// A message and whom it is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) message: Arc<Message>,
    pub(crate) target: Target,
}

/// Whom a message is for at the node that it goes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    /// All who subscribe to its topic.
    Subscribers,
    /// One of a shared subscription's members. `firmly`: even one that is not connected.
    Member { group: Box<str>, filter: Box<str>, firmly: bool },
    /// Sessions that were adopted from a node that died, and subscribe to its topic.
    Adopted(Node),
    /// A session that has moved there: as it would have got it where it was.
    Session { client_id: Arc<str>, entry: Vec<u8> },
}

/// What is asked about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// It connects at the asker: its older connection ends, and with `clean` its session;
    /// else that moves there. Of two who ask at once the later one has it in the end.
    Claim { clean: bool, at: u64 },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The node has nothing of the client, any more.
    Nothing,
    /// The session of the client, which is the asker's from now on.
    Moves(Vec<u8>),
}

mod kind {
    pub(super) const INTEREST: u8 = 0;
    pub(super) const TAKEN: u8 = 1;
    pub(super) const BATCH: u8 = 2;
    pub(super) const SETTLED: u8 = 3;
    pub(super) const CAST: u8 = 4;
    pub(super) const ASK: u8 = 5;
    pub(super) const ANSWER: u8 = 6;
    pub(super) const ARRIVED: u8 = 7;
    pub(super) const ADOPTED: u8 = 8;
    pub(super) const BARRIER: u8 = 9;
    pub(super) const PASSED: u8 = 10;
    pub(super) const FOLLOWED: u8 = 11;
}

// === impl Target ===

impl Target {
    /// The node that it was for has died, and another has its sessions. A shared subscription's
    /// message may have reached a member there: the heir has that member's session, if it is
    /// one that lasts, and chooses again among all otherwise.
    pub(super) fn pass_on(&mut self, dead: Node) {
        if *self == Self::Subscribers {
            *self = Self::Adopted(dead);
        }
    }
}

// === impl Frame ===

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.byte(FORM);
        match self {
            Self::Interest(interest) => {
                writer.byte(kind::INTEREST);
                interest.write(&mut writer);
            }
            Self::Taken { version } => numbered(&mut writer, kind::TAKEN, *version),
            Self::Batch { number, items } => {
                numbered(&mut writer, kind::BATCH, *number);
                writer.count(items.len());
                items.iter().for_each(|item| item.write(&mut writer));
            }
            Self::Settled { number, kept, back } => {
                numbered(&mut writer, kind::SETTLED, *number);
                writer.byte(u8::from(*kept));
                writer.count(back.len());
                back.iter().for_each(|place| writer.number(*place));
            }
            Self::Cast(messages) => {
                writer.byte(kind::CAST);
                writer.count(messages.len());
                messages.iter().for_each(|message| write_message(message, &mut writer));
            }
            Self::Barrier { number } => numbered(&mut writer, kind::BARRIER, *number),
            Self::Passed { number } => numbered(&mut writer, kind::PASSED, *number),
            Self::Ask { number, client_id, ask } => {
                numbered(&mut writer, kind::ASK, *number);
                writer.bytes(client_id.as_bytes());
                ask.write(&mut writer);
            }
            Self::Answer { number, answer } => {
                numbered(&mut writer, kind::ANSWER, *number);
                answer.write(&mut writer);
            }
            Self::Arrived { client_id } => {
                writer.byte(kind::ARRIVED);
                writer.bytes(client_id.as_bytes());
            }
            Self::Followed { client_id } => {
                writer.byte(kind::FOLLOWED);
                writer.bytes(client_id.as_bytes());
            }
            Self::Adopted { dead } => {
                writer.byte(kind::ADOPTED);
                write_node(*dead, &mut writer);
            }
        }
        writer.finish().into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        if reader.byte()? != FORM {
            return Err(Corrupt("a frame of a form that this version does not know"));
        }
        Ok(match reader.byte()? {
            kind::INTEREST => Self::Interest(Interest::read(reader)?),
            kind::TAKEN => Self::Taken { version: reader.number()? },
            kind::BATCH => {
                Self::Batch { number: reader.number()?, items: many(reader, Item::read)? }
            }
            kind::SETTLED => Self::Settled {
                number: reader.number()?,
                kept: reader.byte()? != 0,
                back: many(reader, |reader| reader.small())?,
            },
            kind::CAST => Self::Cast(many(reader, |reader| read_message(reader).map(Arc::new))?),
            kind::BARRIER => Self::Barrier { number: reader.number()? },
            kind::PASSED => Self::Passed { number: reader.number()? },
            kind::ASK => Self::Ask {
                number: reader.number()?,
                client_id: reader.text()?.into(),
                ask: Ask::read(reader)?,
            },
            kind::ANSWER => {
                Self::Answer { number: reader.number()?, answer: Answer::read(reader)? }
            }
            kind::ARRIVED => Self::Arrived { client_id: reader.text()?.into() },
            kind::FOLLOWED => Self::Followed { client_id: reader.text()?.into() },
            kind::ADOPTED => Self::Adopted { dead: read_node(reader)? },
            _ => return Err(Corrupt("a frame of a kind that this version does not know")),
        })
    }
}

fn numbered(writer: &mut Writer, kind: u8, number: u64) {
    writer.byte(kind);
    writer.number(number);
}

/// Reads as many as are said to follow. What is said is not believed before it is there.
fn many<T>(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Corrupt>,
) -> Result<Vec<T>, Corrupt> {
    (0..reader.count()?).map(|_| read(reader)).collect()
}

// === impl Interest ===

impl Interest {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.version);
        writer.byte(u8::from(self.whole));
        for filters in [&self.more, &self.less] {
            writer.count(filters.len());
            filters.iter().for_each(|filter| writer.bytes(filter.as_bytes()));
        }
        writer.count(self.groups.len());
        for (group, filter, members) in &self.groups {
            writer.bytes(group.as_bytes());
            writer.bytes(filter.as_bytes());
            writer.number(members.online);
            writer.number(members.all);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let text = |reader: &mut Reader<'_>| reader.text().map(Box::from);
        Ok(Self {
            version: reader.number()?,
            whole: reader.byte()? != 0,
            more: many(reader, text)?,
            less: many(reader, text)?,
            groups: many(reader, |reader| {
                let (group, filter) = (reader.text()?.into(), reader.text()?.into());
                Ok((group, filter, Members { online: reader.small()?, all: reader.small()? }))
            })?,
        })
    }
}

// === impl Item ===

impl Item {
    fn write(&self, writer: &mut Writer) {
        match &self.target {
            Target::Subscribers => writer.byte(0),
            Target::Member { group, filter, firmly } => {
                writer.byte(if *firmly { 2 } else { 1 });
                writer.bytes(group.as_bytes());
                writer.bytes(filter.as_bytes());
            }
            Target::Adopted(dead) => {
                writer.byte(3);
                write_node(*dead, writer);
            }
            Target::Session { client_id, entry } => {
                writer.byte(4);
                writer.bytes(client_id.as_bytes());
                writer.bytes(entry);
            }
        }
        write_with_origin(&self.message, writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let target = match reader.byte()? {
            0 => Target::Subscribers,
            firmly @ (1 | 2) => {
                let (group, filter) = (reader.text()?.into(), reader.text()?.into());
                Target::Member { group, filter, firmly: firmly == 2 }
            }
            3 => Target::Adopted(read_node(reader)?),
            4 => Target::Session {
                client_id: reader.text()?.into(),
                entry: reader.bytes()?.to_vec(),
            },
            _ => return Err(Corrupt("a message for somebody that this version does not know")),
        };
        Ok(Self { target, message: Arc::new(read_with_origin(reader)?) })
    }
}

/// A message with what names it among all nodes.
pub(crate) fn write_with_origin(message: &Message, writer: &mut Writer) {
    write_origin(message.origin, writer);
    write_message(message, writer);
}

pub(crate) fn write_origin(origin: Option<Origin>, writer: &mut Writer) {
    writer.byte(u8::from(origin.is_some()));
    if let Some(Origin { node, number }) = origin {
        write_node(node, writer);
        writer.number(number);
    }
}

pub(crate) fn read_origin(reader: &mut Reader<'_>) -> Result<Option<Origin>, Corrupt> {
    if reader.byte()? == 0 {
        return Ok(None);
    }
    Ok(Some(Origin { node: read_node(reader)?, number: reader.number()? }))
}

pub(crate) fn read_with_origin(reader: &mut Reader<'_>) -> Result<Message, Corrupt> {
    let origin = read_origin(reader)?;
    Ok(Message { origin, ..read_message(reader)? })
}

fn write_node(node: Node, writer: &mut Writer) {
    writer.number(node.id);
    writer.number(node.boot);
}

fn read_node(reader: &mut Reader<'_>) -> Result<Node, Corrupt> {
    let id = u16::try_from(reader.number()?).map_err(|_| Corrupt("a node that is none"))?;
    Ok(Node { id, boot: reader.number()? })
}

// === impl Ask ===

impl Ask {
    fn write(&self, writer: &mut Writer) {
        let Self::Claim { clean, at } = self;
        writer.byte(0);
        writer.byte(u8::from(*clean));
        writer.number(*at);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        match reader.byte()? {
            0 => Ok(Self::Claim { clean: reader.byte()? != 0, at: reader.number()? }),
            _ => Err(Corrupt("a question that this version does not know")),
        }
    }
}

// === impl Answer ===

impl Answer {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Nothing => writer.byte(0),
            Self::Moves(session) => {
                writer.byte(1);
                writer.bytes(session);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        match reader.byte()? {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Moves(reader.bytes()?.to_vec())),
            _ => Err(Corrupt("an answer that this version does not know")),
        }
    }
}

#[cfg(test)]
mod tests {
    use fanwire_wire::mqtt::QoS;
    use proptest::prelude::*;

    use super::*;

    const NODE: Node = Node { id: 7, boot: 9 };

    fn message() -> Arc<Message> {
        let origin = Some(Origin { node: NODE, number: 300 });
        Arc::new(Message { qos: QoS::AtLeastOnce, origin, ..Message::new("a/b", "hello") })
    }

    #[test]
    fn frames_come_back_as_they_were() {
        let groups = vec![("g".into(), "a/+".into(), Members { online: 1, all: 2 })];
        let member = Target::Member { group: "g".into(), filter: "a/+".into(), firmly: true };
        let session = Target::Session { client_id: "c".into(), entry: vec![1, 2] };
        let targets = [Target::Subscribers, member, Target::Adopted(NODE), session];
        let items = targets.map(|target| Item { message: message(), target }).to_vec();
        let plain = Arc::new(Message { origin: None, ..Message::clone(&message()) });
        let asks = [Ask::Claim { clean: true, at: 5 }];
        let answers = [Answer::Nothing, Answer::Moves(vec![1, 2])];
        let mut frames = vec![
            Frame::Interest(Interest {
                version: 3,
                whole: true,
                more: vec!["a/#".into()],
                less: vec!["b".into()],
                groups,
            }),
            Frame::Taken { version: 1 },
            Frame::Batch { number: 1, items },
            Frame::Settled { number: 1, kept: true, back: vec![0, 2] },
            Frame::Cast(vec![plain]),
            Frame::Barrier { number: 4 },
            Frame::Passed { number: 4 },
            Frame::Arrived { client_id: "c".into() },
            Frame::Adopted { dead: NODE },
        ];
        frames.extend(asks.map(|ask| Frame::Ask { number: 2, client_id: "c".into(), ask }));
        frames.extend(answers.map(|answer| Frame::Answer { number: 2, answer }));
        for frame in frames {
            assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_node_fall_over(bytes: Vec<u8>) {
            let _ = Frame::decode(&bytes);
            let _ = Frame::decode(&[&[FORM, kind::BATCH][..], &bytes].concat());
            let _ = Frame::decode(&[&[FORM, kind::INTEREST][..], &bytes].concat());
        }
    }
}
