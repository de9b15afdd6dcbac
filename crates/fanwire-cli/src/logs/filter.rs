//! Which records are shown. A handler's lines do not say whose request they belong to:
//! where that decides, they wait for the request's own record, which comes after them.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use crate::args::LogsArgs;
use crate::console::{Entry, RealtimeRecord, Record, Request};

/// Requests whose lines are held at the most; the oldest go first.
const MAX_HELD: usize = 1000;

/// Lines held of one request at the most.
const MAX_LINES: usize = 1000;

/// What Lambda writes before a line of `console.error`.
const ERROR_LEVEL: &str = "\tERROR\t";

/// What is asked for, and what waits to be decided on.
pub(super) struct Filter<'a> {
    args: &'a LogsArgs,
    since: Option<Timestamp>,
    grep: Option<String>,
    held: HashMap<String, Vec<Entry>>,
    /// The requests that have lines in `held`, oldest first.
    order: VecDeque<String>,
}

// === impl Filter ===

impl<'a> Filter<'a> {
    pub(super) fn new(args: &'a LogsArgs) -> Self {
        let since = args.since.and_then(|since| Timestamp::now().checked_sub(since).ok());
        let grep = args.grep.as_ref().map(|text| text.to_lowercase());
        Self { args, since, grep, held: HashMap::new(), order: VecDeque::new() }
    }

    /// The records to show now that `entry` has come.
    pub(super) fn pass(&mut self, entry: Entry) -> Vec<Entry> {
        if self.since.is_some_and(|since| entry.at < since) {
            return Vec::new();
        }
        if !self.waits_for_requests() {
            return if self.shows(&entry.record) { vec![entry] } else { Vec::new() };
        }
        match &entry.record {
            Record::Line { request_id: Some(id), .. } => {
                let id = id.clone();
                let tells = self.is_bad_in_itself(&entry.record);
                self.hold(id.clone(), entry);
                // An error needs no request that failed, and may have none: `invoke`.
                let lines = if tells { self.held.remove(&id) } else { None };
                self.any_shown(lines.unwrap_or_default())
            }
            Record::Request(request) => {
                let id = request.invocation_id.clone();
                let mut shown = id.and_then(|id| self.held.remove(&id)).unwrap_or_default();
                if !self.is_wanted(request) {
                    return Vec::new();
                }
                shown.push(entry);
                self.any_shown(shown)
            }
            Record::Realtime(record) if self.is_wanted_client(record) => {
                if self.shows(&entry.record) { vec![entry] } else { Vec::new() }
            }
            record if self.is_bad_in_itself(record) && self.shows(record) => vec![entry],
            _ => Vec::new(),
        }
    }

    /// Whether only a request's own record decides about its lines.
    fn waits_for_requests(&self) -> bool {
        self.args.route.is_some() || self.args.connection.is_some() || self.args.errors
    }

    fn is_wanted(&self, request: &Request) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let failed = request.error.is_some() || request.status >= 400;
        is(&self.args.route, &request.route_key)
            && is(&self.args.connection, &request.connection_id)
            && (failed || !self.args.errors)
    }

    /// Whether a record of the realtime endpoint is of the client that is asked for, whose id
    /// stands for a connection's there, and bad, if that is asked for.
    fn is_wanted_client(&self, record: &RealtimeRecord) -> bool {
        let of_client = |id: &String| **id == *record.client_id;
        self.args.route.is_none()
            && self.args.connection.as_ref().is_none_or(of_client)
            && (record.is_bad() || !self.args.errors)
    }

    /// All of them, or none: a failure means little alone.
    fn any_shown(&self, entries: Vec<Entry>) -> Vec<Entry> {
        if entries.iter().any(|each| self.shows(&each.record)) { entries } else { Vec::new() }
    }

    /// What is bad in itself, whatever becomes of its request, is an answer to `--errors`
    /// alone: crashes, losses and logged errors.
    fn is_bad_in_itself(&self, record: &Record) -> bool {
        let narrow = self.args.route.is_some() || self.args.connection.is_some();
        let bad = match record {
            Record::FunctionNote { .. } | Record::Dropped(_) => true,
            Record::Line { stderr, text, .. } => *stderr || text.contains(ERROR_LEVEL),
            _ => false,
        };
        bad && !narrow
    }

    fn shows(&self, record: &Record) -> bool {
        let of_function = |function: Option<&str>| {
            self.args.function.as_deref().is_none_or(|wanted| function == Some(wanted))
        };
        let (function, texts): (_, Vec<&str>) = match record {
            Record::Request(request) => {
                let texts = [
                    Some(request.route_key.as_str()),
                    Some(&request.connection_id),
                    Some(&request.request_id),
                    request.invocation_id.as_deref(),
                    request.function.as_deref(),
                    request.error.as_deref(),
                ];
                (request.function.as_deref(), texts.into_iter().flatten().collect())
            }
            Record::Line { function, text, .. } | Record::FunctionNote { function, text } => {
                (Some(function.as_str()), vec![text])
            }
            Record::Realtime(record) => {
                let texts =
                    [Some(&*record.client_id), Some(&record.principal), record.why.as_deref()];
                (None, texts.into_iter().flatten().collect())
            }
            Record::Access { line, .. } => (None, vec![line]),
            Record::Execution(text)
            | Record::News(text)
            | Record::Note(text)
            | Record::Text(text) => (None, vec![text]),
            // Whoever looks for something wants to know that it may be missing.
            Record::Dropped(_) => return true,
            Record::End => return false,
        };
        let found = self.grep.as_ref().is_none_or(|wanted| {
            texts.iter().any(|text| text.to_lowercase().contains(wanted.as_str()))
        });
        of_function(function) && found
    }

    fn hold(&mut self, id: String, entry: Entry) {
        let lines = self.held.entry(id.clone()).or_insert_with(|| {
            self.order.push_back(id);
            Vec::new()
        });
        if lines.len() < MAX_LINES {
            lines.push(entry);
        }
        while self.order.len() > MAX_HELD {
            if let Some(oldest) = self.order.pop_front() {
                self.held.remove(&oldest);
            }
        }
    }
}
