//! How long messages take at a rate that every broker sustains.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::broker::Product;
use super::fleet::Fleet;
use super::load::Load;
use super::packet::{Packet, Transport};
use crate::report::Row;
use crate::{Result, Settings};

/// Not counted: memory is taken, caches are cold.
const WARM_UP: Duration = Duration::from_millis(500);

/// Measured so many times, of which the one with the median p99 counts: the machine does
/// other things, too.
const TIMES: usize = 3;

/// How long deliveries may take at the end.
const LATEST: Duration = Duration::from_secs(5);

#[derive(Serialize)]
pub(super) struct Latency {
    what: String,
    server: &'static str,
    transport: &'static str,
    messages_per_second: u32,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    lost: u64,
}

impl Row for Latency {
    const COLUMNS: &'static [&'static str] =
        &["what", "server", "transport", "messages/s", "p50, us", "p99, us", "p99.9, us", "lost"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.what.clone(),
            self.server.to_owned(),
            self.transport.to_owned(),
            self.messages_per_second.to_string(),
            format!("{:.0}", self.p50_us),
            format!("{:.0}", self.p99_us),
            format!("{:.0}", self.p999_us),
            self.lost.to_string(),
        ]
    }
}

/// Measures a load whose publishers take turns, at so many messages a second in all.
pub(super) fn measure(
    what: &str,
    load: &Load,
    messages_per_second: u32,
    product: Product,
    transport: Transport,
    settings: &Settings,
) -> Result<Latency> {
    let broker = product.start(settings)?;
    let mut fleet = Fleet::new()?;
    let clients = load.subscribers + load.publishers;
    fleet.grow(clients, &broker.endpoint(transport), |nth| load.filter(nth))?;
    let period = Duration::from_secs(1) / messages_per_second;
    let mut times: Vec<Times> = (0..TIMES)
        .map(|_| Times::measure(load, period, &mut fleet, settings.seconds / TIMES as u32))
        .collect::<Result<_>>()?;
    times.sort_by_key(|times| times.quantile(0.99));
    let lost = times.iter().map(|times| times.lost).sum();
    let median = times.swap_remove(TIMES / 2);
    let microseconds = |part| median.quantile(part).as_secs_f64() * 1e6;
    Ok(Latency {
        what: what.to_owned(),
        server: product.name(),
        transport: transport.name(),
        messages_per_second,
        p50_us: microseconds(0.5),
        p99_us: microseconds(0.99),
        p999_us: microseconds(0.999),
        lost,
    })
}

/// How long deliveries took.
struct Times {
    sorted: Vec<Duration>,
    lost: u64,
}

// === impl Times ===

impl Times {
    fn measure(
        load: &Load,
        period: Duration,
        fleet: &mut Fleet,
        duration: Duration,
    ) -> Result<Self> {
        let mut packets: Vec<Vec<u8>> = (0..load.publishers).map(|nth| load.packet(nth)).collect();
        let started = Instant::now();
        let end = WARM_UP + duration;
        let (mut sent, mut arrived, mut times) = (0u32, 0u64, Vec::new());
        let expected = |sent| u64::from(sent) * load.receivers();
        while started.elapsed() < end
            || (arrived < expected(sent) && started.elapsed() < end + LATEST)
        {
            let now = started.elapsed();
            if now >= period * sent && now < end {
                let publisher = sent as usize % load.publishers;
                let packet = &mut packets[publisher];
                load.number(packet, u64::from(sent) / load.publishers as u64);
                stamp(packet, load.payload, started.elapsed());
                fleet.send(load.subscribers + publisher, packet)?;
                sent += 1;
            }
            // It has a core of its own, and sleeping would be too coarse.
            fleet.turn(Duration::ZERO, &mut |_, packet| {
                if let Packet::Publish { payload, .. } = packet {
                    arrived += 1;
                    let sent_at = read_stamp(payload);
                    if sent_at >= WARM_UP {
                        times.push(started.elapsed().saturating_sub(sent_at));
                    }
                }
            })?;
        }
        times.sort_unstable();
        Ok(Self { sorted: times, lost: expected(sent) - arrived })
    }

    fn quantile(&self, part: f64) -> Duration {
        let at = (self.sorted.len() as f64 * part) as usize;
        self.sorted.get(at).copied().unwrap_or(Duration::MAX)
    }
}

/// The payload begins with the time at which it is sent.
fn stamp(packet: &mut [u8], payload: usize, now: Duration) {
    let at = packet.len() - payload;
    packet[at..at + 8].copy_from_slice(&(now.as_nanos() as u64).to_be_bytes());
}

fn read_stamp(payload: &[u8]) -> Duration {
    payload
        .first_chunk()
        .map_or(Duration::ZERO, |stamp| Duration::from_nanos(u64::from_be_bytes(*stamp)))
}
