//! What is published natively, to many subscribers of one room.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{percentile, subscription};
use crate::report::{Report, Row};
use crate::server::Server;
use crate::swarm::{Swarm, Then};
use crate::{Result, Settings, procfs};

/// What is published each time, in bytes.
const PAYLOAD: usize = 200;

/// Measured in so many parts, of which the median counts: the machine does other things,
/// too.
const PARTS: u32 = 3;

/// What can be measured.
#[derive(Debug, Clone, Copy)]
enum Product {
    Fanwire,
    /// `@trpc/server` whose procedure is an async generator.
    Generator,
    /// `@trpc/server` whose procedure is an observable.
    Observable,
}

#[derive(Serialize)]
struct FanOut {
    server: &'static str,
    subscribers: usize,
    /// Publications sent before the first is awaited.
    burst: usize,
    deliveries_per_second: f64,
    cpu_seconds_per_million: f64,
    /// From the command to publish to the last delivery.
    p50_us: f64,
    p99_us: f64,
    /// How much of its core the generator used.
    generator: f64,
    /// Fanwire's deliveries for each CPU second beside those of this one.
    fanwire_times: Option<f64>,
}

impl Row for FanOut {
    const COLUMNS: &'static [&'static str] = &[
        "server",
        "subscribers",
        "in flight",
        "deliveries/s",
        "CPU s/million",
        "p50, us",
        "p99, us",
        "generator",
        "fanwire's deliveries/CPU s",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.server.to_owned(),
            self.subscribers.to_string(),
            self.burst.to_string(),
            format!("{:.0}", self.deliveries_per_second),
            format!("{:.3}", self.cpu_seconds_per_million),
            format!("{:.0}", self.p50_us),
            format!("{:.0}", self.p99_us),
            format!("{:.2}", self.generator),
            self.fanwire_times.map_or_else(|| "-".to_owned(), |times| format!("{times:.1} x")),
        ]
    }
}

/// What one part of a measurement came to.
struct Part {
    deliveries: f64,
    elapsed: Duration,
    server: Duration,
    generator: Duration,
}

/// A server and its subscribers.
struct Audience {
    server: Server,
    swarm: Swarm,
    subscribers: usize,
    text: String,
    /// How long each round took, from the command to the last delivery.
    rounds: Vec<Duration>,
}

pub(super) fn run(
    subscribers: &[usize],
    bursts: &[usize],
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let products: &[Product] = match settings.alone {
        true => &[Product::Fanwire],
        false => &[Product::Fanwire, Product::Observable, Product::Generator],
    };
    let mut rows = Vec::new();
    for &subscribers in subscribers {
        for product in products {
            let mut audience = Audience::gather(*product, subscribers, settings)?;
            for &burst in bursts {
                rows.push(audience.measure(burst, settings.seconds)?);
            }
        }
    }
    compare(&mut rows);
    rows.sort_by_key(|row| (row.subscribers, row.burst));
    let notes = [format!(
        "Servers on one core, the clients on another. What is published has {PAYLOAD} bytes. p50 and \
         p99 are from the command to publish to the last delivery of what was published at once."
    )];
    report.table("subscriptions", "Subscriptions of tRPC", &rows, &notes)
}

fn compare(rows: &mut [FanOut]) {
    let fanwire: HashMap<(usize, usize), f64> = rows
        .iter()
        .filter(|row| row.server == Product::Fanwire.name())
        .map(|row| ((row.subscribers, row.burst), row.cpu_seconds_per_million))
        .collect();
    for row in rows.iter_mut().filter(|row| row.server != Product::Fanwire.name()) {
        let fanwire = fanwire.get(&(row.subscribers, row.burst));
        row.fanwire_times = fanwire.map(|fanwire| row.cpu_seconds_per_million / fanwire);
    }
}

// === impl Product ===

impl Product {
    fn name(self) -> &'static str {
        match self {
            Self::Fanwire => "fanwire",
            Self::Generator => "@trpc/server, generator",
            Self::Observable => "@trpc/server, observable",
        }
    }

    fn start(self, settings: &Settings) -> Result<Server> {
        match self {
            Self::Fanwire => Server::procedures(self.name()),
            Self::Generator => Server::trpc(self.name(), "generator", settings),
            Self::Observable => Server::trpc(self.name(), "observable", settings),
        }
    }
}

// === impl Audience ===

impl Audience {
    fn gather(product: Product, subscribers: usize, settings: &Settings) -> Result<Self> {
        let server = product.start(settings)?;
        let mut swarm = Swarm::new()?;
        swarm.grow(subscribers, &server)?;
        swarm.ask_all(&subscription(), "started")?;
        let mut audience =
            Self { server, swarm, subscribers, text: "x".repeat(PAYLOAD), rounds: Vec::new() };
        audience.check()?;
        Ok(audience)
    }

    /// Publishes once, and looks at what comes.
    fn check(&mut self) -> Result<()> {
        self.server.publish(1, &self.text)?;
        let expected = format!(r#"{{"id":1,"result":{{"type":"data","data":"{}"}}}}"#, self.text);
        let expected: serde_json::Value = serde_json::from_str(&expected)?;
        let (heard, wrong) = (Cell::new(0), Cell::new(0));
        self.swarm.turn_until(
            |_| heard.get() == self.subscribers,
            |_, payload| {
                heard.set(heard.get() + 1);
                if serde_json::from_slice::<serde_json::Value>(payload).ok()
                    != Some(expected.clone())
                {
                    wrong.set(wrong.get() + 1);
                }
                Then::Wait
            },
        )?;
        match wrong.get() {
            0 => Ok(()),
            wrong => Err(format!("{wrong} subscribers got something else").into()),
        }
    }

    fn measure(&mut self, burst: usize, duration: Duration) -> Result<FanOut> {
        // The first turns of a server are slower: code is compiled, memory taken.
        self.go_on(burst, duration / 4)?;
        self.rounds.clear();
        let mut parts: Vec<Part> =
            (0..PARTS).map(|_| self.part(burst, duration / PARTS)).collect::<Result<_>>()?;
        parts.sort_by(|a, b| a.cpu_seconds_per_million().total_cmp(&b.cpu_seconds_per_million()));
        let median = parts.swap_remove(parts.len() / 2);
        self.rounds.sort_unstable();
        let elapsed = median.elapsed.as_secs_f64();
        Ok(FanOut {
            server: self.server.name,
            subscribers: self.subscribers,
            burst,
            deliveries_per_second: median.deliveries / elapsed,
            cpu_seconds_per_million: median.cpu_seconds_per_million(),
            p50_us: percentile(&self.rounds, 50),
            p99_us: percentile(&self.rounds, 99),
            generator: median.generator.as_secs_f64() / elapsed,
            fanwire_times: None,
        })
    }

    fn part(&mut self, burst: usize, duration: Duration) -> Result<Part> {
        let own = std::process::id();
        let (own_before, before) = (procfs::cpu(own)?, procfs::cpu(self.server.pid())?);
        let started = Instant::now();
        let deliveries = self.go_on(burst, duration)? as f64;
        let elapsed = started.elapsed();
        let server = procfs::cpu(self.server.pid())? - before;
        Ok(Part { deliveries, elapsed, server, generator: procfs::cpu(own)? - own_before })
    }

    /// Publishes burst after burst, each when the one before has reached everyone. Says how
    /// many deliveries that were.
    fn go_on(&mut self, burst: usize, duration: Duration) -> Result<u64> {
        let expected = (self.subscribers * burst) as u64;
        let started = Instant::now();
        let mut deliveries = 0;
        while started.elapsed() < duration {
            let published = Instant::now();
            self.server.publish(burst, &self.text)?;
            let heard = Cell::new(0);
            self.swarm.turn_until(
                |_| heard.get() >= expected,
                |_, payload| {
                    debug_assert!(payload.len() > PAYLOAD);
                    heard.set(heard.get() + 1);
                    Then::Wait
                },
            )?;
            self.rounds.push(published.elapsed());
            deliveries += expected;
        }
        Ok(deliveries)
    }
}

// === impl Part ===

impl Part {
    fn cpu_seconds_per_million(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.deliveries
    }
}
