//! MQTT topics and filters as subjects of NATS, so that NATS itself takes a publication to
//! the nodes that have somebody for it.
//!
//! Both have levels and wildcards, but not the same ones: a level of a topic may be empty or
//! hold what means something to NATS, `a/#` matches `a` itself, a wildcard at the beginning
//! matches no topic that begins with `$`, and topics may be far longer than subjects. So:
//!
//! - A level is a token; what a token cannot have is `%` and two digits, an empty level `%`.
//! - Every topic ends with the token `!`, which no level is. So `a/#`, which is `a.>`, matches `a.!` as well.
//! - Topics begin with `t`, those with `$` in front with `s`: no wildcard spans both.
//! - A topic whose subject would be too long has `x` and a hash instead. Whoever has a filter
//!   that may match such a topic listens to all of those, and matches again.
//!
//! [`Interest`] makes a few subjects of many filters, and [`SubjectSet`] says whether any
//! of such subjects matches. What a node receives on a subject it has to match against its
//! filters again, as it does with every publication.

mod interest;
mod set;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

pub use self::interest::{Changes, Interest};
pub use self::set::SubjectSet;
use crate::limits;

/// The last token of a topic's subject.
pub(crate) const END: &str = "!";

/// What subjects begin with: of topics, of topics with `$` in front, of long topics.
pub(crate) const TOPIC: &str = "t";
pub(crate) const DOLLAR: &str = "s";
pub(crate) const LONG: &str = "x";

/// The subject that a message of a topic is published on. The topic is one that MQTT allows.
pub fn subject_of(topic: &str) -> String {
    let mut subject = String::with_capacity(topic.len() + 4);
    subject.push_str(if topic.starts_with('$') { DOLLAR } else { TOPIC });
    for level in topic.split('/') {
        subject.push('.');
        push_level(level, &mut subject);
        if subject.len() > limits::SUBJECT_BYTES {
            return long(topic);
        }
    }
    subject.push('.');
    subject.push_str(END);
    subject
}

/// The subjects that a filter is: each topic that the filter matches is published on one of
/// them, and on no other. The filter is one that MQTT allows, and no shared subscription.
pub fn subjects_of(filter: &str) -> Vec<String> {
    let mut subject = String::with_capacity(filter.len() + 4);
    subject.push_str(if filter.starts_with('$') { DOLLAR } else { TOPIC });
    let mut wild = false;
    let mut rest = false;
    for level in filter.split('/') {
        subject.push('.');
        match level {
            "+" => subject.push('*'),
            "#" => subject.push('>'),
            level => push_level(level, &mut subject),
        }
        wild |= matches!(level, "+" | "#");
        rest |= level == "#";
        if subject.len() > limits::SUBJECT_BYTES {
            // Every topic that it matches is at least as long.
            wild |= filter.split('/').any(|level| matches!(level, "+" | "#"));
            return vec![if wild { format!("{LONG}.>") } else { long(filter) }];
        }
    }
    if !rest {
        subject.push('.');
        subject.push_str(END);
    }
    if wild { vec![subject, format!("{LONG}.>")] } else { vec![subject] }
}

/// The subject of a topic that is too long for one of its own.
fn long(topic: &str) -> String {
    let mut subject = format!("{LONG}.");
    for byte in &Sha256::digest(topic.as_bytes())[..16] {
        subject.push_str(&format!("{byte:02x}"));
    }
    subject
}

fn push_level(level: &str, subject: &mut String) {
    match level {
        "" => subject.push('%'),
        END => return subject.push_str("%21"),
        _ => {}
    }
    for c in level.chars() {
        // What is white space only beyond ASCII means nothing to NATS.
        if c.is_ascii_control() || matches!(c, '.' | '*' | '>' | '%' | ' ') {
            subject.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            subject.push(c);
        }
    }
}
