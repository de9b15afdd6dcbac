//! The texts that an App is read from, and places in them.
//!
//! A [`Span`] names bytes of one text. It is small, so that every value of the
//! tree can carry one, and it is turned into file, line and column only when
//! something is reported.

use std::path::{Path, PathBuf};

/// A text's number in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(usize);

/// Bytes `start..end` of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) file: FileId,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// The first byte of a text: for faults that concern the whole of it.
    pub(crate) fn whole(file: FileId) -> Self {
        Self { file, start: 0, end: 0 }
    }
}

/// Every text that was read so far.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<(PathBuf, String)>,
}

/// A span as people read it.
#[derive(Debug)]
pub(crate) struct Place<'s> {
    pub(crate) path: &'s Path,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// The whole line, without its line break.
    pub(crate) text: &'s str,
    /// How many characters of the line the span covers; at least 1.
    pub(crate) length: usize,
}

impl Sources {
    /// Takes a text in.
    pub(crate) fn add(&mut self, path: PathBuf, text: String) -> FileId {
        self.files.push((path, text));
        FileId(self.files.len() - 1)
    }

    /// The text that was taken in as `file`.
    pub(crate) fn text(&self, file: FileId) -> &str {
        &self.files[file.0].1
    }

    /// Where a span is. A span over several lines ends with its first one.
    pub(crate) fn place(&self, span: Span) -> Place<'_> {
        let (path, text) = &self.files[span.file.0];
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let end = floor_boundary(text, span.end).clamp(start, line_end);
        Place {
            path,
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: line,
            length: text[start..end].trim_end().chars().count().max(1),
        }
    }
}

/// The last character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_as_line_and_column_in_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a.yml".into(), "é: 1\r\nüb: long\n  value\n".to_owned());
        let start = "é: 1\r\nüb: ".len();
        let place = sources.place(Span { file, start, end: start + 12 });
        assert_eq!((place.line, place.column, place.text, place.length), (2, 5, "üb: long", 4));
        let end = sources.place(Span { file, start: 999, end: 9999 });
        assert_eq!((end.line, end.column, end.text, end.length), (4, 1, "", 1));
    }
}
