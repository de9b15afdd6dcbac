//! What is wrong with a project file, with the place and the remedy.
//!
//! While a file is read, faults are collected as [`Issue`]s over spans, so that
//! one run tells as many as it can. At the end they become [`Diagnostic`]s, which
//! hold all that is needed to print them.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::reading::absolute;
use crate::source::{Sources, Span};

/// Whether the App can be used in spite of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; something in it has no effect, or not the expected one.
    Warning,
}

/// One fault of a project file. Its [`Display`](fmt::Display) is several lines of
/// plain text: the message, the place, the source line with the fault underlined,
/// what was expected and a hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether it prevents the App from being used.
    pub severity: Severity,
    /// What is wrong, lower case, without a final dot.
    pub message: String,
    /// The file it is about.
    pub file: PathBuf,
    /// Where in the file. `None` where it concerns the file as a whole, such as one
    /// that is missing.
    pub place: Option<Place>,
    /// What would have been right.
    pub expected: Option<String>,
    /// The remedy, such as the nearest valid name.
    pub help: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The whole source line.
    pub text: String,
    /// How many characters the fault covers on that line; at least 1.
    pub length: usize,
}

/// A project file that cannot be used, with all that was found in it: first the
/// errors, then the warnings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// At least one error.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read up to then, as [`Loaded::files`](crate::Loaded::files):
    /// a change of one of them may mend it.
    pub files: Vec<PathBuf>,
}

/// A fault while its place is still a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) severity: Severity,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) expected: Option<String>,
    pub(crate) help: Option<String>,
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Issues(Vec<Issue>);

// === impl Diagnostic ===

impl Diagnostic {
    /// An error that concerns a file as a whole.
    pub(crate) fn about_file(file: PathBuf, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            file,
            place: None,
            expected: None,
            help: None,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.severity, self.message)?;
        let file = self.file.display();
        let margin = match &self.place {
            None => {
                write!(f, " --> {file}")?;
                1
            }
            Some(Place { line, column, text, length }) => {
                let number = line.to_string();
                let margin = number.len();
                writeln!(f, "{:margin$}--> {file}:{line}:{column}", "")?;
                writeln!(f, "{:margin$} |", "")?;
                writeln!(f, "{number} | {text}")?;
                // Tabs are kept, so that the carets stand under the text.
                let indent: String = text
                    .chars()
                    .take(column - 1)
                    .map(|c| if c == '\t' { c } else { ' ' })
                    .collect();
                write!(f, "{:margin$} | {indent}{}", "", "^".repeat(*length))?;
                margin
            }
        };
        for (label, note) in [("expected", &self.expected), ("help", &self.help)] {
            if let Some(note) = note {
                write!(f, "\n{:margin$} = {label}: {note}", "")?;
            }
        }
        Ok(())
    }
}

// === impl LoadError ===

impl From<Diagnostic> for LoadError {
    fn from(diagnostic: Diagnostic) -> Self {
        let files = vec![absolute(&diagnostic.file)];
        Self { diagnostics: vec![diagnostic], files }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.diagnostics.iter().enumerate() {
            if at > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

// === impl Issue ===

impl Issue {
    /// An error at a place.
    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, span, message, expected: None, help: None }
    }

    /// A warning at a place.
    pub(crate) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Says what would have been right.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the candidate that is nearest to what was written, where one is near.
    pub(crate) fn nearest<'c>(
        mut self,
        written: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Self {
        if let Some(name) = nearest(written, candidates) {
            self.help = Some(format!("did you mean `{name}`?"));
        }
        self
    }
}

// === impl Issues ===

impl Issues {
    /// Takes a fault in; the same fault at the same place counts once.
    pub(crate) fn push(&mut self, issue: Issue) {
        if !self.0.contains(&issue) {
            self.0.push(issue);
        }
    }

    /// Takes other faults in.
    pub(crate) fn append(&mut self, others: Self) {
        others.0.into_iter().for_each(|issue| self.push(issue));
    }

    /// Takes other faults in that do not keep the file from being used after all, and
    /// adds what follows from them.
    pub(crate) fn take_as_warnings(&mut self, others: Self, consequence: &str) {
        for issue in others.0 {
            let message = format!("{}{consequence}", issue.message);
            self.push(Issue { severity: Severity::Warning, message, ..issue });
        }
    }

    /// The first fault that prevents the file from being used.
    pub(crate) fn into_first_error(self) -> Option<Issue> {
        self.0.into_iter().find(|issue| issue.severity == Severity::Error)
    }

    /// Whether anything prevents the file from being used.
    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|issue| issue.severity == Severity::Error)
    }

    /// All faults, errors first, each group in the order of the files.
    pub(crate) fn into_diagnostics(mut self, sources: &Sources) -> Vec<Diagnostic> {
        self.0.sort_by_key(|issue| {
            (issue.severity == Severity::Warning, issue.span.file, issue.span.start)
        });
        let shown = |issue: Issue| {
            let place = sources.place(issue.span);
            Diagnostic {
                severity: issue.severity,
                message: issue.message,
                file: place.path.to_owned(),
                place: Some(Place {
                    line: place.line,
                    column: place.column,
                    text: place.text.to_owned(),
                    length: place.length,
                }),
                expected: issue.expected,
                help: issue.help,
            }
        };
        self.0.into_iter().map(shown).collect()
    }
}

/// The candidate that `written` was probably meant to be: at most a third of its
/// letters (and at least one) would have to change, where case counts half; or else the
/// only one that it is the beginning of.
pub fn nearest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let candidates: Vec<_> = candidates.into_iter().collect();
    let limit = (written.chars().count() / 3).max(1) * 2;
    let near = candidates
        .iter()
        .map(|candidate| (distance(written, candidate), *candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate);
    let mut begun = candidates
        .into_iter()
        .filter(|candidate| written.len() >= MIN_BEGINNING && candidate.starts_with(written));
    near.or_else(|| match (begun.next(), begun.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    })
}

/// The fewest letters that are taken for the beginning of a name.
const MIN_BEGINNING: usize = 3;

/// Twice the edit distance (optimal string alignment: insertions, deletions,
/// substitutions and swaps of neighbours), where a change of case costs one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).map(|at| at * 2).collect();
    for i in 1..=a.len() {
        let mut row = vec![i * 2; b.len() + 1];
        for j in 1..=b.len() {
            let cost = match (a[i - 1], b[j - 1]) {
                (x, y) if x == y => 0,
                (x, y) if x.to_lowercase().eq(y.to_lowercase()) => 1,
                _ => 2,
            };
            row[j] = (above[j - 1] + cost).min(above[j] + 2).min(row[j - 1] + 2);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 2);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let keys = ["function", "functions", "handler", "timeout"];
        assert_eq!(nearest("functon", keys), Some("function"));
        assert_eq!(nearest("hanlder", keys), Some("handler"));
        assert_eq!(nearest("TimeOut", keys), Some("timeout"));
        assert_eq!(nearest("memory", keys), None);
        let limits = ["max_frame_bytes", "max_message_bytes"];
        assert_eq!(nearest("max_frame", limits), Some("max_frame_bytes"));
        assert_eq!(nearest("max", limits), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn a_diagnostic_is_underlined_where_the_fault_is() {
        let mut sources = Sources::default();
        let file = sources.add("serverless.yml".into(), "a: 1\n\tfuncton: b\n".to_owned());
        let mut issues = Issues::default();
        let span = Span { file, start: 6, end: 13 };
        let issue = Issue::error(span, "unknown key `functon`").expected("a key of a route");
        issues.push(issue.nearest("functon", ["function"]));
        let diagnostics = issues.into_diagnostics(&sources);
        let error = LoadError { diagnostics, files: Vec::new() };
        let expected = "error: unknown key `functon`\n --> serverless.yml:2:2\n  |\n\
            2 | \tfuncton: b\n  | \t^^^^^^^\n  = expected: a key of a route\n  \
            = help: did you mean `function`?";
        assert_eq!(error.to_string(), expected);
    }
}
