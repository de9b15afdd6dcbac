//! Lines and columns that Node.js tells, as places in the texts that are read.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::reading::Reading;
use crate::source::{FileId, Span};

use super::description::Place;

/// The files that places are in, which may be others than the project file.
#[derive(Default)]
pub(super) struct Places {
    ids: HashMap<PathBuf, Option<FileId>>,
}

impl Places {
    /// The word at a place; the project file as a whole where there is none.
    pub(super) fn span(&mut self, place: Option<&Place>, reading: &mut Reading<'_>) -> Span {
        let whole = Span::whole(reading.file_id);
        let Some(place) = place else { return whole };
        let id = self.ids.entry(place.file.clone()).or_insert_with(|| {
            let own = reading.file.canonicalize().ok();
            if own.as_ref() == Some(&place.file) {
                return Some(reading.file_id);
            }
            let text = std::fs::read_to_string(&place.file).ok()?;
            Some(reading.sources.add(place.file.clone(), text))
        });
        let Some(file) = *id else { return whole };
        let text = reading.sources.text(file);
        let (start, end) = word_at(text, place.line, place.column);
        Span { file, start, end }
    }
}

/// The bytes of the word that begins at a line and a column in UTF-16 units, both from 1.
fn word_at(text: &str, line: usize, column: usize) -> (usize, usize) {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let mut units = 1;
    let mut start = before;
    for c in rest.chars() {
        if units >= column || c == '\n' {
            break;
        }
        units += c.len_utf16();
        start += c.len_utf8();
    }
    let after = text.get(start..).unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    // `new sst.aws.Function` is one thing.
    let made = after.strip_prefix("new ").map_or(0, |_| "new ".len());
    let length = after.get(made..).and_then(|word| word.find(|c| !is_word(c)));
    (start, start + made + length.unwrap_or(after.len().saturating_sub(made)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_utf_16_units_and_a_word_ends_where_names_do() {
        let text = "one\nlet 😀 = new sst.aws.Bucket(\"B\")\n";
        let (start, end) = word_at(text, 2, 10);
        assert_eq!(&text[start..end], "new sst.aws.Bucket");
        assert_eq!(word_at(text, 9, 9), (text.len(), text.len()));
        assert_eq!(word_at("ab", 1, 99), (2, 2));
    }
}
