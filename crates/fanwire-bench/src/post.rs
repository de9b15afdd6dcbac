//! Messages that a handler posts to connections with the AWS SDK.

use std::cell::Cell;
use std::time::Instant;

use serde::Serialize;

use crate::report::{Report, Row};
use crate::server::Server;
use crate::swarm::{Swarm, Then, frame};
use crate::{Result, Settings, procfs};

/// What is posted.
const DATA: &str = "the quick brown fox jumps over the lazy dog";

#[derive(Serialize)]
struct Post {
    server: &'static str,
    connections: usize,
    posts_per_second: f64,
    server_cpu_us: f64,
    functions_cpu_us: Option<f64>,
}

impl Row for Post {
    const COLUMNS: &'static [&'static str] =
        &["server", "connections", "posts/s", "server CPU, us/post", "functions' CPU, us/post"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.server.to_owned(),
            self.connections.to_string(),
            format!("{:.0}", self.posts_per_second),
            format!("{:.0}", self.server_cpu_us),
            self.functions_cpu_us.map_or_else(|| "-".to_owned(), |us| format!("{us:.0}")),
        ]
    }
}

pub(crate) fn run(connections: &[usize], settings: &Settings, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    measure(&Server::fanwire("app", settings)?, true, connections, settings, &mut rows)?;
    if !settings.alone {
        let server = Server::serverless_offline(false, settings)?;
        measure(&server, false, connections, settings, &mut rows)?;
    }
    rows.sort_by_key(|row| row.connections);
    let notes =
        ["One event at a time: its handler posts to all the connections at once with the AWS SDK \
                  for JavaScript, and the next event is sent when everyone has heard."
            .to_owned()];
    report.table("post", "postToConnection from a Node handler", &rows, &notes)
}

fn measure(
    server: &Server,
    has_functions: bool,
    connections: &[usize],
    settings: &Settings,
    rows: &mut Vec<Post>,
) -> Result<()> {
    for &connections in connections {
        let mut swarm = Swarm::new()?;
        // The last client is the one that asks.
        swarm.grow(connections + 1, server)?;
        let ids = connection_ids(&mut swarm, connections)?;
        let request = serde_json::json!({ "action": "post", "to": ids, "data": DATA });
        let request = frame(&request.to_string());

        let rounds_for = |swarm: &mut Swarm, duration| -> Result<u32> {
            let started = Instant::now();
            let mut rounds = 0;
            while started.elapsed() < duration {
                round(swarm, connections, &request)?;
                rounds += 1;
            }
            Ok(rounds)
        };
        rounds_for(&mut swarm, settings.seconds / 2)?;
        let before = (procfs::cpu(server.pid())?, procfs::cpu_of_descendants(server.pid())?);
        let started = Instant::now();
        let rounds = rounds_for(&mut swarm, settings.seconds)?;
        let elapsed = started.elapsed();
        let own = procfs::cpu(server.pid())? - before.0;
        let functions = procfs::cpu_of_descendants(server.pid())?.saturating_sub(before.1);

        let posts = f64::from(rounds) * connections as f64;
        rows.push(Post {
            server: server.name,
            connections,
            posts_per_second: posts / elapsed.as_secs_f64(),
            server_cpu_us: own.as_secs_f64() * 1e6 / posts,
            functions_cpu_us: has_functions.then(|| functions.as_secs_f64() * 1e6 / posts),
        });
    }
    Ok(())
}

/// Asks each client's connection for its id.
fn connection_ids(swarm: &mut Swarm, count: usize) -> Result<Vec<String>> {
    let request = frame(r#"{"action":"whoami"}"#);
    let mut ids = Vec::new();
    for client in 0..count {
        swarm.send(client, &request)?;
        let id = Cell::new(String::new());
        let answered = Cell::new(false);
        swarm.turn_until(
            |_| answered.get(),
            |_, answer| {
                id.set(String::from_utf8_lossy(answer).into_owned());
                answered.set(true);
                Then::Wait
            },
        )?;
        ids.push(id.take());
    }
    Ok(ids)
}

/// Has the handler post to everyone, until all have heard it and the handler is done.
fn round(swarm: &mut Swarm, connections: usize, request: &[u8]) -> Result<()> {
    swarm.send(connections, request)?;
    let heard = Cell::new(0);
    let wrong = Cell::new(None);
    swarm.turn_until(
        |_| heard.get() > connections,
        |client, text| {
            let expected = if client == connections { "posted" } else { DATA };
            if text != expected.as_bytes() {
                wrong.set(Some((client, String::from_utf8_lossy(text).into_owned())));
            }
            heard.set(heard.get() + 1);
            Then::Wait
        },
    )?;
    match wrong.take() {
        None => Ok(()),
        Some((client, text)) => {
            Err(format!("client {client} of {connections} heard {text}").into())
        }
    }
}
