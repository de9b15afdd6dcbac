//! Patterns of times, as Joda and the JDK write them.

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// A letter, and how many of it.
    Field(char, usize),
}

/// The most of one letter in a row: no field has more digits than a few.
const MAX_COUNT: usize = 32;

/// Cuts a pattern at its letters. Text with letters stands in single quotes, and two of
/// them are one. `None` where a quote is not closed, or a letter comes too often in a row.
pub(super) fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() {
            let count = rest.chars().take_while(|c| *c == first).count();
            if count > MAX_COUNT {
                return None;
            }
            pieces.push(Piece::Field(first, count));
            rest = &rest[count..];
            continue;
        }
        let (text, after) = match rest.strip_prefix('\'') {
            None => rest.split_at(first.len_utf8()),
            Some(after) if after.starts_with('\'') => after.split_at(1),
            Some(after) => after.split_once('\'')?,
        };
        match pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => pieces.push(Piece::Text(text.to_owned())),
        }
        rest = after;
    }
    Some(pieces)
}
