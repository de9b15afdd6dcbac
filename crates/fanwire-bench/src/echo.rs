//! Requests that a Node handler answers with a route response.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::report::{Report, Row};
use crate::server::Server;
use crate::swarm::{Swarm, Then, frame};
use crate::{Result, Settings, procfs};

/// What each client says.
const REQUEST: &str = r#"{"action":"echo","text":"the quick brown fox jumps over the lazy dog"}"#;

#[derive(Serialize)]
struct Echo {
    server: &'static str,
    clients: usize,
    requests_per_second: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    server_cpu_us: Option<f64>,
    functions_cpu_us: Option<f64>,
}

impl Row for Echo {
    const COLUMNS: &'static [&'static str] = &[
        "server",
        "clients",
        "requests/s",
        "p50, ms",
        "p99, ms",
        "server CPU, us/request",
        "functions' CPU, us/request",
    ];

    fn cells(&self) -> Vec<String> {
        let figure = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        vec![
            self.server.to_owned(),
            self.clients.to_string(),
            format!("{:.0}", self.requests_per_second),
            figure(self.p50_ms, 2),
            figure(self.p99_ms, 2),
            figure(self.server_cpu_us, 0),
            figure(self.functions_cpu_us, 0),
        ]
    }
}

pub(crate) fn run(clients: &[usize], settings: &Settings, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    measure(&Server::fanwire("app", settings)?, true, clients, settings, &mut rows)?;
    if !settings.alone {
        for in_process in [false, true] {
            let server = Server::serverless_offline(in_process, settings)?;
            measure(&server, false, clients, settings, &mut rows)?;
        }
    }
    rows.sort_by_key(|row| row.clients);
    let notes =
        ["Each client has one request at a time. serverless-offline runs handlers within its own \
                  process, so its CPU is that of both. A server that answered nothing in the time shows 0."
            .to_owned()];
    report.table("echo", "Echo through a Node handler", &rows, &notes)
}

fn measure(
    server: &Server,
    has_functions: bool,
    clients: &[usize],
    settings: &Settings,
    rows: &mut Vec<Echo>,
) -> Result<()> {
    for &clients in clients {
        let mut callers = Callers::connect(clients, server)?;
        // Processes and threads are started, and code is compiled.
        callers.call_for(settings.seconds)?;

        let own = procfs::cpu(server.pid())?;
        let functions = procfs::cpu_of_descendants(server.pid())?;
        let started = Instant::now();
        let mut latencies = callers.call_for(settings.seconds)?;
        let elapsed = started.elapsed();
        let own = procfs::cpu(server.pid())? - own;
        let functions = procfs::cpu_of_descendants(server.pid())?.saturating_sub(functions);

        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let nth = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            latencies.get(nth).map(|latency| latency.as_secs_f64() * 1e3)
        };
        let requests = latencies.len() as f64;
        let each = |spent: Duration| (requests > 0.0).then(|| spent.as_secs_f64() * 1e6 / requests);
        rows.push(Echo {
            server: server.name,
            clients,
            requests_per_second: requests / elapsed.as_secs_f64(),
            p50_ms: percentile(50),
            p99_ms: percentile(99),
            server_cpu_us: each(own),
            functions_cpu_us: each(functions).filter(|_| has_functions),
        });
    }
    Ok(())
}

/// Clients that each have one request at a time.
struct Callers {
    swarm: Swarm,
    request: Vec<u8>,
    /// When each client asked what is not answered yet.
    asked: Vec<Option<Instant>>,
}

impl Callers {
    fn connect(count: usize, server: &Server) -> Result<Self> {
        let mut swarm = Swarm::new()?;
        swarm.grow(count, server)?;
        Ok(Self { swarm, request: frame(REQUEST), asked: vec![None; count] })
    }

    /// Has every client ask again as soon as it is answered, and tells how long each
    /// answer took. Clients that still wait at the end go on waiting.
    fn call_for(&mut self, duration: Duration) -> Result<Vec<Duration>> {
        for (client, asked) in self.asked.iter_mut().enumerate().filter(|(_, it)| it.is_none()) {
            *asked = Some(Instant::now());
            self.swarm.send(client, &self.request)?;
        }
        let started = Instant::now();
        let mut latencies = Vec::new();
        while let Some(left) = duration.checked_sub(started.elapsed()) {
            self.swarm.turn(left, &mut |client, _| {
                let now = Instant::now();
                latencies.extend(self.asked[client].replace(now).map(|asked| now - asked));
                Then::Send(&self.request)
            })?;
        }
        Ok(latencies)
    }
}
