//! Server memory for each idle connection.

use std::time::Duration;

use serde::Serialize;

use crate::report::{Report, Row};
use crate::server::Server;
use crate::swarm::Swarm;
use crate::{Result, Settings, procfs};

/// Connections that are there before the first figure is read, so that what a server
/// needs once is not counted.
const WARM_UP: usize = 500;

/// Open files that a server or this program needs beside its connections.
const SPARE_FILES: usize = 200;

/// How long a server may take to settle after the last handshake.
const SETTLE: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Idle {
    server: &'static str,
    connections: usize,
    resident_bytes: f64,
    heap_bytes: Option<f64>,
}

impl Row for Idle {
    const COLUMNS: &'static [&'static str] =
        &["server", "connections", "RSS, bytes/connection", "heap, bytes/connection"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.server.to_owned(),
            self.connections.to_string(),
            format!("{:.0}", self.resident_bytes),
            self.heap_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.0}")),
        ]
    }
}

pub(crate) fn run(
    connections: &[usize],
    open_files: usize,
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let possible = open_files.saturating_sub(SPARE_FILES);
    let mut notes = vec![
        "Growth since the first 500 connections. `fanwire (in process)` is the same server with a \
         counting allocator, for its heap; its RSS is that of the system's allocator."
            .to_owned(),
    ];
    let mut counts: Vec<usize> = connections.iter().map(|&count| count.min(possible)).collect();
    if let Some(wanted) = connections.iter().find(|&&count| count > possible) {
        notes.push(format!(
            "{wanted} connections were asked for and {possible} measured: a process here may open \
             {open_files} files (RLIMIT_NOFILE), and a server needs one for each connection."
        ));
    }
    counts.sort_unstable();
    counts.dedup();

    let mut rows = Vec::new();
    measure(Server::fanwire("connections", settings)?, "fanwire dev", false, &counts, &mut rows)?;
    measure(
        Server::fanwire_in_process(settings)?,
        "fanwire (in process)",
        true,
        &counts,
        &mut rows,
    )?;
    if !settings.alone {
        measure(Server::ws(settings)?, "ws", false, &counts, &mut rows)?;
    }
    report.table("idle", "Memory of idle connections", &rows, &notes)
}

fn measure(
    mut server: Server,
    name: &'static str,
    counts_heap: bool,
    counts: &[usize],
    rows: &mut Vec<Idle>,
) -> Result<()> {
    let mut swarm = Swarm::new()?;
    swarm.grow(WARM_UP, &server)?;
    let memory = |server: &mut Server| -> Result<(u64, Option<u64>)> {
        std::thread::sleep(SETTLE);
        let heap = if counts_heap { Some(server.heap_bytes()?) } else { None };
        Ok((procfs::resident(server.pid())?, heap))
    };
    let before = memory(&mut server)?;
    for &connections in counts.iter().filter(|&&count| count > WARM_UP) {
        swarm.grow(connections, &server)?;
        let after = memory(&mut server)?;
        let each = |before: u64, after: u64| {
            (after as f64 - before as f64) / (connections - WARM_UP) as f64
        };
        rows.push(Idle {
            server: name,
            connections,
            resident_bytes: each(before.0, after.0),
            heap_bytes: before.1.zip(after.1).map(|(before, after)| each(before, after)),
        });
    }
    Ok(())
}
