//! Clients that connect and leave again, one after the other.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::broker::{Broker, Endpoint, Product};
use super::fleet::Client;
use super::load::Spent;
use super::packet::{self, Packet, Transport};
use crate::{Result, Settings, procfs};

/// Clients that are on their way in or out at once.
const AT_ONCE: usize = 50;

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measured in so many parts, of which the median counts.
const PARTS: u32 = 3;

/// Those who come and go.
struct Churn {
    poll: Poll,
    events: Events,
    slots: Vec<Slot>,
    scratch: Box<[u8]>,
    /// How many have come.
    dialled: usize,
    endpoint: Endpoint,
}

/// One of those at once.
struct Slot {
    client: Client,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    /// The WebSocket is not open yet.
    Upgrading,
    /// CONNECT is sent.
    Connecting,
    /// DISCONNECT is sent: the broker closes.
    Leaving,
}

/// Measures what it takes to connect and to leave.
pub(super) fn measure(
    product: Product,
    transport: Transport,
    settings: &Settings,
) -> Result<Spent> {
    let broker = product.start(settings)?;
    let mut churn = Churn::new(broker.endpoint(transport))?;
    churn.go_on(settings.seconds / (4 * PARTS))?;
    let mut parts: Vec<Spent> = (0..PARTS)
        .map(|_| churn.measure(&broker, settings.seconds / PARTS))
        .collect::<Result<_>>()?;
    parts.sort_by(|a, b| a.cpu_seconds_per_million.total_cmp(&b.cpu_seconds_per_million));
    Ok(parts.swap_remove(parts.len() / 2))
}

// === impl Churn ===

impl Churn {
    fn new(endpoint: Endpoint) -> Result<Self> {
        let mut churn = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(AT_ONCE),
            slots: Vec::new(),
            scratch: vec![0; 4096].into_boxed_slice(),
            dialled: 0,
            endpoint,
        };
        for nth in 0..AT_ONCE {
            let slot = churn.dial(nth)?;
            churn.slots.push(slot);
        }
        Ok(churn)
    }

    fn measure(&mut self, broker: &Broker, duration: Duration) -> Result<Spent> {
        let own = std::process::id();
        let (own_before, before) = (procfs::cpu(own)?, procfs::cpu(broker.pid())?);
        let started = Instant::now();
        let count = self.go_on(duration)? as f64;
        let elapsed = started.elapsed().as_secs_f64();
        let spent = procfs::cpu(broker.pid())? - before;
        Ok(Spent {
            per_second: count / elapsed,
            cpu_seconds_per_million: spent.as_secs_f64() * 1e6 / count,
            generator: (procfs::cpu(own)? - own_before).as_secs_f64() / elapsed,
            lost: 0,
        })
    }

    /// Tells how many have come and gone in that time.
    fn go_on(&mut self, duration: Duration) -> Result<u64> {
        let started = Instant::now();
        let (mut count, mut last) = (0, started);
        while started.elapsed() < duration {
            self.poll.poll(&mut self.events, Some(Duration::from_millis(100)))?;
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for nth in ready {
                last = Instant::now();
                if self.slots[nth].advance(nth, &mut self.scratch)? {
                    count += 1;
                    // The one before is closed first, so that its port is free.
                    self.slots[nth] = self.dial(nth)?;
                }
            }
            if last.elapsed() > PATIENCE {
                return Err(format!("no client came or left for {} s", PATIENCE.as_secs()).into());
            }
        }
        Ok(count)
    }

    fn dial(&mut self, nth: usize) -> Result<Slot> {
        let client = Client::dial(self.dialled, &self.endpoint, self.poll.registry(), Token(nth))?;
        self.dialled += 1;
        let mut slot = Slot { client, stage: Stage::Upgrading };
        slot.connect_if_open(nth)?;
        Ok(slot)
    }
}

// === impl Slot ===

impl Slot {
    /// Takes what has come. Tells whether the client is gone.
    fn advance(&mut self, nth: usize, scratch: &mut [u8]) -> Result<bool> {
        let mut closed = false;
        let more = self.client.read(scratch, &mut |packet| closed |= packet == Packet::Close)?;
        if closed || !more {
            return match self.stage {
                Stage::Leaving => Ok(true),
                _ => Err("the broker closed a connection before its client left".into()),
            };
        }
        self.connect_if_open(nth)?;
        if self.stage == Stage::Connecting && self.client.is_connected() {
            self.stage = Stage::Leaving;
            self.client.push(&packet::DISCONNECT);
            self.client.flush()?;
        }
        Ok(false)
    }

    fn connect_if_open(&mut self, nth: usize) -> Result<()> {
        if self.stage == Stage::Upgrading && self.client.is_open() {
            self.stage = Stage::Connecting;
            self.client.push(&packet::connect(&format!("client-{nth}")));
            self.client.flush()?;
        }
        Ok(())
    }
}
