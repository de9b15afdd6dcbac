//! From the save of a handler's file to the first answer of the new code.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::report::{Report, Row};
use crate::server::Server;
use crate::swarm::{Swarm, Then, frame};
use crate::{Result, Settings};

/// What the client says until the answer is another.
const REQUEST: &str = r#"{"action":"ask"}"#;

const PROJECT: &str = r#"name = "reload"
[functions.ask]
handler = "ask.handler"
[websocket]
routes = { ask = { function = "ask", response = true } }
"#;

#[derive(Serialize)]
struct Reload {
    what: &'static str,
    saves: usize,
    least_ms: f64,
    median_ms: f64,
    most_ms: f64,
}

impl Row for Reload {
    const COLUMNS: &'static [&'static str] =
        &["what", "times", "least, ms", "median, ms", "most, ms"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.what.to_owned(),
            self.saves.to_string(),
            format!("{:.0}", self.least_ms),
            format!("{:.0}", self.median_ms),
            format!("{:.0}", self.most_ms),
        ]
    }
}

pub(crate) fn run(saves: usize, settings: &Settings, report: &mut Report) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("fanwire-reload-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(saves, &folder, settings);
    std::fs::remove_dir_all(&folder)?;
    let rows = [
        row("fanwire: save to the new code's answer", measured?),
        row("node -e 0: start to end", starts_of_node(saves)?),
    ];
    let notes = ["One client asks again as soon as it is answered, until the answer is that of the new \
                  code. The second row is what Node.js itself takes to start and end, doing nothing."
        .to_owned()];
    report.table("reload", "Reload on save", &rows, &notes)
}

fn row(what: &'static str, mut times: Vec<Duration>) -> Reload {
    times.sort_unstable();
    let at = |nth: usize| times.get(nth).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    Reload {
        what,
        saves: times.len(),
        least_ms: at(0),
        median_ms: at(times.len() / 2),
        most_ms: at(times.len().saturating_sub(1)),
    }
}

fn measure(saves: usize, folder: &Path, settings: &Settings) -> Result<Vec<Duration>> {
    let save = |number: usize| {
        let code =
            format!("exports.handler = async () => ({{ statusCode: 200, body: '{number}' }});\n");
        std::fs::write(folder.join("ask.js"), code)
    };
    std::fs::write(folder.join("fanwire.toml"), PROJECT)?;
    save(0)?;
    let server = Server::fanwire_at(folder, settings)?;
    let mut swarm = Swarm::new()?;
    swarm.grow(1, &server)?;
    let request = frame(REQUEST);
    let mut times = Vec::new();
    for number in 0..=saves {
        let saved = Instant::now();
        // The first round starts the function and counts for nothing.
        if number > 0 {
            save(number)?;
        }
        let expected = number.to_string();
        let is_new = std::cell::Cell::new(false);
        swarm.send(0, &request)?;
        swarm.turn_until(
            |_| is_new.get(),
            |_, answer| {
                if answer == expected.as_bytes() {
                    is_new.set(true);
                    return Then::Wait;
                }
                Then::Send(&request)
            },
        )?;
        if number > 0 {
            times.push(saved.elapsed());
        }
    }
    Ok(times)
}

fn starts_of_node(times: usize) -> Result<Vec<Duration>> {
    let start = |_| -> Result<Duration> {
        let started = Instant::now();
        Command::new("node").args(["-e", "0"]).stdin(Stdio::null()).status()?;
        Ok(started.elapsed())
    };
    (0..times).map(start).collect()
}
