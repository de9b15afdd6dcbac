//! `fanwire replay`: recorded events, or a whole recorded session, again.

mod check;
mod clients;
mod events;
mod live;
mod mask;
mod recording;
mod server;

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::json;
use similar::TextDiff;

use self::mask::Mask;
use self::recording::Recording;
use crate::args::ReplayArgs;
use crate::client::{self, CommandError, output};

/// Where a recording and what happens now are not the same.
#[derive(Debug)]
struct Difference {
    what: String,
    /// A unified diff, without colours.
    diff: String,
}

/// Replays.
pub(crate) fn run(args: &ReplayArgs) -> ExitCode {
    client::run(async {
        let recording = Recording::read(&args.file)?;
        if recording.is_incomplete {
            anstream::eprintln!("warning: records are missing in this recording");
        }
        if args.check {
            check::run(args, &recording).await
        } else {
            events::run(args, &recording).await
        }
    })
}

// === impl Difference ===

impl Difference {
    /// The difference between two texts, if there is one.
    fn between(what: &str, recorded: &str, now: &str) -> Option<Self> {
        (recorded != now).then(|| {
            let ended =
                |text: &str| if text.is_empty() { String::new() } else { format!("{text}\n") };
            let (recorded, now) = (ended(recorded), ended(now));
            let lines = TextDiff::from_lines(recorded.as_str(), now.as_str());
            let diff = lines.unified_diff().header("recorded", "now").to_string();
            Self { what: what.to_owned(), diff }
        })
    }

    fn print(&self, as_json: bool) -> Result<(), CommandError> {
        if as_json {
            return output(&format!("{}\n", json!({ "what": self.what, "diff": self.diff })));
        }
        let mut text = format!("{}\n", self.what);
        for line in self.diff.lines() {
            let style = match line.as_bytes().first() {
                Some(b'-') => AnsiColor::Red.on_default(),
                Some(b'+') => AnsiColor::Green.on_default(),
                Some(b'@') => AnsiColor::Cyan.on_default(),
                _ => Style::new(),
            };
            text.push_str(&format!("  {style}{line}{style:#}\n"));
        }
        output(&text)
    }
}
