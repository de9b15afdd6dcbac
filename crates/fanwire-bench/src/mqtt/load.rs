//! Loads: who sends how much to whom, for how long.

use std::time::{Duration, Instant};

use super::broker::{Broker, Product};
use super::fleet::Fleet;
use super::packet::{self, Packet, QoS, Transport};
use crate::{Result, Settings, procfs};

/// How long nothing may come until what is outstanding counts as lost.
const SILENCE: Duration = Duration::from_secs(10);

/// Measured in so many parts, of which the median counts: the machine does other things,
/// too.
const PARTS: u32 = 3;

/// A way to load a broker. Its clients are numbered: those who subscribe come first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// One topic for all, or one for each publisher.
    pub(super) shape: Shape,
    pub(super) subscribers: usize,
    pub(super) publishers: usize,
    /// Messages of each publisher that are on their way at once.
    pub(super) in_flight: u64,
    pub(super) qos: QoS,
    pub(super) payload: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Everyone hears one topic.
    FanOut,
    /// Each publisher has a subscriber of its own.
    Pairs,
    /// One subscriber hears the topics of all publishers.
    FanIn,
}

/// What a load came to.
pub(super) struct Spent {
    pub(super) per_second: f64,
    pub(super) cpu_seconds_per_million: f64,
    /// How much of its core the generator used.
    pub(super) generator: f64,
    /// Deliveries that did not come.
    pub(super) lost: u64,
}

/// A load under way.
struct Run<'l> {
    load: &'l Load,
    fleet: Fleet,
    packets: Vec<Vec<u8>>,
    /// Messages that each publisher has sent, and those of them that have arrived.
    sent: Vec<u64>,
    arrived: Vec<u64>,
    lost: u64,
}

// === impl Load ===

impl Load {
    fn topic(&self, publisher: usize) -> String {
        match self.shape {
            Shape::FanOut => "bench/all".to_owned(),
            Shape::Pairs | Shape::FanIn => format!("bench/{publisher}"),
        }
    }

    /// What a publisher sends, with its number at the start of the payload.
    pub(super) fn packet(&self, publisher: usize) -> Vec<u8> {
        let mut payload = (publisher as u32).to_be_bytes().to_vec();
        payload.resize(self.payload, b'x');
        let id = (self.qos == QoS::AtLeastOnce).then_some(1);
        packet::publish(&self.topic(publisher), id, &payload)
    }

    pub(super) fn filter(&self, client: usize) -> Option<(String, QoS)> {
        let filter = match self.shape {
            _ if client >= self.subscribers => return None,
            Shape::FanIn => "bench/+".to_owned(),
            Shape::FanOut | Shape::Pairs => self.topic(client),
        };
        Some((filter, self.qos))
    }

    /// Gives the `nth` packet of a publisher its packet id, where it has one.
    pub(super) fn number(&self, packet: &mut [u8], nth: u64) {
        if self.qos == QoS::AtLeastOnce {
            let id = (nth % 65_535 + 1) as u16;
            let at = packet.len() - self.payload - 2;
            packet[at..at + 2].copy_from_slice(&id.to_be_bytes());
        }
    }

    /// Deliveries of each message.
    pub(super) fn receivers(&self) -> u64 {
        if self.shape == Shape::FanOut { self.subscribers as u64 } else { 1 }
    }

    /// Starts a broker and measures it under this load.
    pub(super) fn measure(
        &self,
        product: Product,
        transport: Transport,
        settings: &Settings,
    ) -> Result<Spent> {
        let broker = product.start(settings)?;
        let mut fleet = Fleet::new()?;
        let endpoint = broker.endpoint(transport);
        fleet.grow(self.subscribers + self.publishers, &endpoint, |nth| self.filter(nth))?;
        let packets = (0..self.publishers).map(|publisher| self.packet(publisher)).collect();
        let counts = vec![0; self.publishers];
        let (sent, arrived) = (counts.clone(), counts);
        let mut run = Run { load: self, fleet, packets, sent, arrived, lost: 0 };
        // The first turns of a broker are slower: memory is taken.
        run.go_on(settings.seconds / (4 * PARTS))?;
        let mut parts: Vec<Spent> = (0..PARTS)
            .map(|_| run.measure(&broker, settings.seconds / PARTS))
            .collect::<Result<_>>()?;
        parts.sort_by(|a, b| a.cpu_seconds_per_million.total_cmp(&b.cpu_seconds_per_million));
        let mut median = parts.swap_remove(parts.len() / 2);
        median.lost = run.lost;
        Ok(median)
    }
}

// === impl Run ===

impl Run<'_> {
    fn measure(&mut self, broker: &Broker, duration: Duration) -> Result<Spent> {
        let own = std::process::id();
        let (own_before, before) = (procfs::cpu(own)?, procfs::cpu(broker.pid())?);
        let started = Instant::now();
        let deliveries = self.go_on(duration)? as f64;
        let elapsed = started.elapsed().as_secs_f64();
        let spent = procfs::cpu(broker.pid())? - before;
        if deliveries == 0.0 {
            return Err("nothing was delivered".into());
        }
        Ok(Spent {
            per_second: deliveries / elapsed,
            cpu_seconds_per_million: spent.as_secs_f64() * 1e6 / deliveries,
            generator: (procfs::cpu(own)? - own_before).as_secs_f64() / elapsed,
            lost: 0,
        })
    }

    /// Sends for so long, waits for all that was sent, and tells how much has arrived.
    fn go_on(&mut self, duration: Duration) -> Result<u64> {
        let started = Instant::now();
        let mut deliveries = 0;
        let mut heard = Instant::now();
        while started.elapsed() < duration || self.outstanding() > 0 {
            if started.elapsed() < duration {
                self.top_up()?;
            }
            let came = self.turn()?;
            deliveries += came;
            if came > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > SILENCE {
                self.lost += self.outstanding();
                self.arrived = self.sent.iter().map(|sent| sent * self.load.receivers()).collect();
                heard = Instant::now();
            }
        }
        Ok(deliveries)
    }

    /// Has each publisher send as many as may be on their way, where half of them have
    /// arrived.
    fn top_up(&mut self) -> Result<()> {
        let (window, receivers) = (self.load.in_flight, self.load.receivers());
        for publisher in 0..self.load.publishers {
            let client = self.load.subscribers + publisher;
            let under_way = self.sent[publisher] * receivers - self.arrived[publisher];
            if under_way > window / 2 * receivers {
                continue;
            }
            // A message that some have is on its way, too.
            for _ in under_way.div_ceil(receivers)..window {
                self.load.number(&mut self.packets[publisher], self.sent[publisher]);
                self.fleet.push(client, &self.packets[publisher]);
                self.sent[publisher] += 1;
            }
            self.fleet.flush(client)?;
        }
        Ok(())
    }

    /// Takes what comes, and tells how many deliveries that was.
    fn turn(&mut self) -> Result<u64> {
        let Self { fleet, arrived, .. } = self;
        let mut deliveries = 0;
        fleet.turn(Duration::from_millis(100), &mut |_, packet| {
            if let Packet::Publish { payload, .. } = packet
                && let Some(publisher) = payload.first_chunk()
            {
                deliveries += 1;
                arrived[u32::from_be_bytes(*publisher) as usize] += 1;
            }
        })?;
        Ok(deliveries)
    }

    fn outstanding(&self) -> u64 {
        let sent: u64 = self.sent.iter().sum();
        let arrived: u64 = self.arrived.iter().sum();
        sent * self.load.receivers() - arrived
    }
}
