//! Records for people: one line a request, and above it what its handler wrote.
//!
//! The lines of concurrent events would interleave, so a handler's lines are held
//! back until its event is done, or until they have waited long enough to be missed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Effects, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::record::{Entry, Record, Request};
use super::{RealtimeRecord, Renderer};

/// How long a handler's lines are held back while it runs.
const MAX_HOLD: Duration = Duration::from_millis(500);

/// Lines held back at the most for one event.
const MAX_HELD_LINES: usize = 1000;

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().effects(Effects::BOLD);
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Prints records with times and colours.
pub(crate) struct Human {
    verbose: bool,
    held: HashMap<String, Held>,
}

/// The lines of one event that are not printed yet.
struct Held {
    since: Instant,
    text: String,
    lines: usize,
}

// === impl Human ===

impl Human {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { verbose, held: HashMap::new() }
    }

    fn hold(&mut self, request_id: String, line: &str, now: Instant, out: &mut String) {
        let held = self.held.entry(request_id).or_insert_with(|| Held {
            since: now,
            text: String::new(),
            lines: 0,
        });
        held.text.push_str(line);
        held.lines += 1;
        if held.lines >= MAX_HELD_LINES {
            out.push_str(&std::mem::take(&mut held.text));
            held.lines = 0;
        }
    }

    fn release(&mut self, request_id: &str, out: &mut String) {
        if let Some(held) = self.held.remove(request_id) {
            out.push_str(&held.text);
        }
    }
}

impl Renderer for Human {
    fn render(&mut self, entry: &Entry, now: Instant, out: &mut String) {
        let at = entry.at;
        // Writing to a String cannot fail, here and below.
        let _ = match &entry.record {
            Record::Request(request) => {
                if let Some(id) = &request.invocation_id {
                    self.release(id, out);
                }
                request_line(request, at, self.verbose, out)
            }
            Record::Realtime(record) => realtime_lines(record, at, out),
            Record::Line { function, request_id, stderr, text } => {
                let text = without_prefix(text, request_id.as_deref());
                let text = with_stack_unfolded(&text);
                let line = function_line(function, &text, *stderr);
                match request_id {
                    Some(id) => self.hold(id.clone(), &line, now, out),
                    None => out.push_str(&line),
                }
                Ok(())
            }
            Record::FunctionNote { text, .. } | Record::News(text) => {
                writeln!(out, "{} {YELLOW}{text}{YELLOW:#}", time(at))
            }
            Record::Access { line, .. } => writeln!(out, "{DIM}access{DIM:#}   {line}"),
            Record::Execution(line) => writeln!(out, "{DIM}execution{DIM:#} {line}"),
            Record::Note(text) => writeln!(out, "\n  {DIM}{text}{DIM:#}\n"),
            Record::Dropped(count) => {
                writeln!(out, "{YELLOW}{count} lines were dropped: output is too slow{YELLOW:#}")
            }
            Record::Text(text) => {
                out.push_str(text);
                Ok(())
            }
            Record::End => {
                for (_, held) in self.held.drain() {
                    out.push_str(&held.text);
                }
                Ok(())
            }
        };
    }

    fn tick(&mut self, now: Instant, out: &mut String) {
        self.held.retain(|_, held| {
            let keep = now.duration_since(held.since) < MAX_HOLD;
            if !keep {
                out.push_str(&held.text);
            }
            keep
        });
    }
}

fn time(at: Timestamp) -> String {
    format!("{DIM}{}{DIM:#}", at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f"))
}

fn request_line(
    request: &Request,
    at: Timestamp,
    verbose: bool,
    out: &mut String,
) -> std::fmt::Result {
    let failed = request.error.is_some() || request.status >= 400;
    let outcome = if failed { RED } else { GREEN };
    let time = time(at);
    let millis = request.duration.as_secs_f64() * 1000.0;
    write!(
        out,
        "{time} {BOLD}{:<12}{BOLD:#} {DIM}{}{DIM:#} ",
        request.route_key, request.connection_id
    )?;
    if let Some(function) = &request.function {
        write!(out, "{CYAN}{function}{CYAN:#} ")?;
    }
    write!(out, "{millis:.1} ms {outcome}{}{outcome:#}", request.status)?;
    if let Some((code, reason)) = &request.closed {
        write!(
            out,
            " {DIM}closed {code}{}{reason}{DIM:#}",
            if reason.is_empty() { "" } else { " " }
        )?;
    }
    if let Some(error) = &request.error {
        write!(out, " {RED}{error}{RED:#}")?;
    }
    if verbose {
        write!(out, " {DIM}{}{DIM:#}", request.request_id)?;
    }
    writeln!(out)
}

/// What happened at the realtime endpoint: a line, and what there is to say below it.
fn realtime_lines(record: &RealtimeRecord, at: Timestamp, out: &mut String) -> std::fmt::Result {
    let color = if record.is_bad() { RED } else { GREEN };
    let RealtimeRecord { event, client_id, principal, .. } = record;
    write!(out, "{} {color}{event:<12}{color:#}", time(at))?;
    if !client_id.is_empty() {
        write!(out, " {BOLD}{}{BOLD:#}", printable(client_id))?;
    }
    if !principal.is_empty() {
        write!(out, " {CYAN}{}{CYAN:#}", printable(principal))?;
    }
    let facts = record.described();
    if !facts.is_empty() {
        write!(out, " {DIM}{}{DIM:#}", printable(&facts))?;
    }
    writeln!(out)?;
    for line in record.why.iter().flat_map(|why| why.lines()) {
        writeln!(out, "             {color}│{color:#} {}", printable(line))?;
    }
    Ok(())
}

/// Text that clients chose, as a terminal may show it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Leaves out what Lambda writes before a `console` line, time, request id and `INFO`:
/// the request's own line stands right below it.
fn without_prefix<'t>(text: &'t str, request_id: Option<&str>) -> Cow<'t, str> {
    let mut parts = text.splitn(4, '\t');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(id), Some(level), Some(message)) if Some(id) == request_id => match level {
            "INFO" => Cow::Borrowed(message),
            level => Cow::Owned(format!("{level} {message}")),
        },
        _ => Cow::Borrowed(text),
    }
}

/// Node's runtime logs an error as one line of JSON. People get its stack as they know
/// it, without the frames of the bootstrap that called the handler.
fn with_stack_unfolded(text: &str) -> Cow<'_, str> {
    #[derive(serde::Deserialize)]
    struct Logged {
        stack: Vec<String>,
    }
    let unfolded = text.split_once("\t{").and_then(|(title, _)| {
        let logged: Logged = serde_json::from_str(text.get(title.len() + 1..)?).ok()?;
        let own = |line: &&String| !line.contains(BOOTSTRAP);
        let stack: Vec<&str> = logged.stack.iter().filter(own).map(String::as_str).collect();
        (!stack.is_empty()).then(|| stack.join("\n"))
    });
    unfolded.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// What the frames of the Node bootstrap have in their paths.
const BOOTSTRAP: &str = "-node.cjs:";

/// A handler's line, or lines, such as a stack trace.
fn function_line(function: &str, text: &str, stderr: bool) -> String {
    let bar = if stderr { RED } else { DIM };
    let mut out = String::new();
    for line in text.trim_end_matches('\n').split('\n') {
        let _ = writeln!(out, "             {bar}{function} │{bar:#} {line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_error_is_shown_as_its_stack() {
        let line = "ERROR Invoke Error \t{\"errorType\":\"Error\",\"stack\":[\"Error: boom\",\
            \"    at handler (/app/a.js:1:2)\",\"    at call (/x/0a-node.cjs:384:20)\"]}";
        assert_eq!(with_stack_unfolded(line), "Error: boom\n    at handler (/app/a.js:1:2)");
        for text in ["a\t{\"b\":1}", "a\t{", "plain", "x\t{\"stack\":[]}"] {
            assert_eq!(with_stack_unfolded(text), text);
        }
    }

    #[test]
    fn a_console_line_loses_its_prefix_and_any_other_stays() {
        let id = Some("r-1");
        assert_eq!(without_prefix("2026-01-01T00:00:00.000Z\tr-1\tINFO\thi\tyou", id), "hi\tyou");
        assert_eq!(without_prefix("2026-01-01T00:00:00.000Z\tr-1\tWARN\thi", id), "WARN hi");
        for text in ["a\tb\tc\td", "plain", ""] {
            assert_eq!(without_prefix(text, id), text);
        }
    }
}
