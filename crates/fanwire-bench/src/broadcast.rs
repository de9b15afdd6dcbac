//! CPU of the server for each delivery of a broadcast.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::report::{Report, Row};
use crate::server::Server;
use crate::swarm::{Swarm, Then};
use crate::{Result, Settings, procfs};

/// The payload of each message, in bytes.
const PAYLOAD: usize = 200;

#[derive(Serialize)]
struct Broadcast {
    server: &'static str,
    receivers: usize,
    /// Messages sent before the first is awaited.
    burst: usize,
    deliveries_per_second: f64,
    cpu_seconds_per_million: f64,
    /// CPU beside that of `ws`.
    of_ws: Option<f64>,
}

impl Row for Broadcast {
    const COLUMNS: &'static [&'static str] =
        &["server", "receivers", "in flight", "deliveries/s", "CPU s/million", "of ws"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.server.to_owned(),
            self.receivers.to_string(),
            self.burst.to_string(),
            format!("{:.0}", self.deliveries_per_second),
            format!("{:.3}", self.cpu_seconds_per_million),
            self.of_ws.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
        ]
    }
}

pub(crate) fn run(
    receivers: &[usize],
    bursts: &[usize],
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let mut rows = Vec::new();
    for &receivers in receivers {
        measure(
            Server::fanwire_in_process(settings)?,
            receivers,
            bursts,
            settings.seconds,
            &mut rows,
        )?;
        if !settings.alone {
            measure(Server::ws(settings)?, receivers, bursts, settings.seconds, &mut rows)?;
        }
    }
    let ws: HashMap<(usize, usize), f64> = rows
        .iter()
        .filter(|row| row.server == "ws")
        .map(|row| ((row.receivers, row.burst), row.cpu_seconds_per_million))
        .collect();
    for row in rows.iter_mut().filter(|row| row.server != "ws") {
        row.of_ws = ws.get(&(row.receivers, row.burst)).map(|ws| row.cpu_seconds_per_million / ws);
    }
    rows.sort_by_key(|row| (row.receivers, row.burst));
    let notes =
        ["User and system time of the server's process. Each message has 200 bytes; with one in \
                  flight nothing can be joined into one write."
            .to_owned()];
    report.table("broadcast", "Broadcast to plain WebSocket connections", &rows, &notes)
}

fn measure(
    mut server: Server,
    receivers: usize,
    bursts: &[usize],
    duration: Duration,
    rows: &mut Vec<Broadcast>,
) -> Result<()> {
    let text = "x".repeat(PAYLOAD);
    let mut swarm = Swarm::new()?;
    swarm.grow(receivers, &server)?;
    for &burst in bursts {
        // The first turns of a server are slower: code is compiled, memory taken.
        deliver_for(duration / 4, &mut server, &mut swarm, receivers, burst, &text)?;
        let (before, started) = (procfs::cpu(server.pid())?, Instant::now());
        let deliveries = deliver_for(duration, &mut server, &mut swarm, receivers, burst, &text)?;
        let elapsed = started.elapsed();
        let spent = procfs::cpu(server.pid())? - before;
        rows.push(Broadcast {
            server: server.name,
            receivers,
            burst,
            deliveries_per_second: deliveries as f64 / elapsed.as_secs_f64(),
            cpu_seconds_per_million: spent.as_secs_f64() * 1e6 / deliveries as f64,
            of_ws: None,
        });
    }
    Ok(())
}

/// Sends burst after burst, each when the one before has reached everyone.
fn deliver_for(
    duration: Duration,
    server: &mut Server,
    swarm: &mut Swarm,
    receivers: usize,
    burst: usize,
    text: &str,
) -> Result<u64> {
    let expected = (receivers * burst) as u64;
    let started = Instant::now();
    let mut deliveries = 0;
    while started.elapsed() < duration {
        server.broadcast(burst, text)?;
        let heard = std::cell::Cell::new(0);
        swarm.turn_until(
            |_| heard.get() >= expected,
            |_, payload| {
                debug_assert_eq!(payload.len(), PAYLOAD);
                heard.set(heard.get() + 1);
                Then::Wait
            },
        )?;
        deliveries += expected;
    }
    Ok(deliveries)
}
