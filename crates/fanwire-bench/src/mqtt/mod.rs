//! Fanwire's broker beside others: the same clients, in the same run.
//!
//! Brokers run on one core and the clients on another, so that what is measured is what one
//! core of a broker does. The clients speak MQTT 3.1.1 in packets that are made once
//! ([`packet`]), are all on one thread ([`fleet`]), and count every delivery.

mod broker;
mod churn;
mod fleet;
mod incoming;
mod latency;
mod load;
pub(crate) mod packet;

use std::collections::HashMap;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use self::broker::Product;
use self::fleet::Fleet;
use self::load::{Load, Shape, Spent};
use self::packet::{QoS, Transport};
use crate::report::{Report, Row};
use crate::server::pin_clients;
use crate::{Result, Settings, procfs};

/// The broker that the others are compared with.
const REFERENCE: &str = "mosquitto";

/// Connections that are there before the first figure of memory is read.
const WARM_UP: usize = 500;

/// Open files that a broker or this program needs beside its connections.
const SPARE_FILES: usize = 200;

/// How long a broker may take to settle before its memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// What is measured of whom.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Wanted {
    /// What to measure [default: everything].
    #[arg(value_enum)]
    rows: Vec<RowKind>,
    /// Which brokers, of those that are installed.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "fanwire,mosquitto,rumqttd,nats"
    )]
    brokers: Vec<Product>,
    /// How clients connect.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tcp,websocket")]
    transport: Vec<Transport>,
    /// How many subscribers there are in the fan-out.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    receivers: Vec<usize>,
    /// How many connections are idle.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// One second a figure, and no more than 1,000 clients.
    #[arg(long)]
    quick: bool,
}

/// A group of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RowKind {
    /// One publisher, many subscribers, many messages on their way.
    FanOut,
    /// The same with one message on its way.
    OneInFlight,
    /// Pairs of a publisher and a subscriber, QoS 0 and 1.
    Point,
    /// Many publishers, one subscriber.
    FanIn,
    /// Clients that connect and leave.
    Connect,
    /// Memory of connections with one subscription.
    Idle,
    /// Times of deliveries at a fixed rate.
    Latency,
}

#[derive(Serialize)]
struct Cost {
    what: String,
    payload_bytes: Option<usize>,
    transport: &'static str,
    server: &'static str,
    per_second: f64,
    cpu_seconds_per_million: f64,
    /// CPU beside that of mosquitto.
    of_mosquitto: Option<f64>,
    /// The part of its core that the generator used.
    generator: f64,
    lost: u64,
}

impl Row for Cost {
    const COLUMNS: &'static [&'static str] = &[
        "what",
        "server",
        "transport",
        "bytes",
        "per second",
        "CPU s/million",
        "of mosquitto",
        "generator",
        "lost",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.what.clone(),
            self.server.to_owned(),
            self.transport.to_owned(),
            self.payload_bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
            format!("{:.0}", self.per_second),
            format!("{:.3}", self.cpu_seconds_per_million),
            self.of_mosquitto.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            format!("{:.2}", self.generator),
            self.lost.to_string(),
        ]
    }
}

#[derive(Serialize)]
struct Idle {
    server: &'static str,
    transport: &'static str,
    connections: usize,
    resident_bytes: f64,
}

impl Row for Idle {
    const COLUMNS: &'static [&'static str] =
        &["server", "transport", "connections", "RSS, bytes/connection"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.server.to_owned(),
            self.transport.to_owned(),
            self.connections.to_string(),
            format!("{:.0}", self.resident_bytes),
        ]
    }
}

pub(crate) fn run(
    wanted: &Wanted,
    open_files: usize,
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let mut bench = Bench::new(wanted, open_files, settings)?;
    for kind in bench.kinds.clone() {
        match kind {
            RowKind::Idle => bench.idle()?,
            RowKind::Latency => bench.latency()?,
            RowKind::Connect => bench.connect()?,
            _ => bench.loads(kind)?,
        }
    }
    bench.report(report)
}

/// What has been found so far.
struct Bench {
    kinds: Vec<RowKind>,
    products: Vec<Product>,
    transports: Vec<Transport>,
    receivers: Vec<usize>,
    connections: usize,
    settings: Settings,
    costs: Vec<Cost>,
    idle: Vec<Idle>,
    latencies: Vec<latency::Latency>,
    notes: Vec<String>,
}

// === impl Bench ===

impl Bench {
    fn new(wanted: &Wanted, open_files: usize, settings: &Settings) -> Result<Self> {
        pin_clients()?;
        let mut settings = settings.clone();
        let mut most = open_files.saturating_sub(SPARE_FILES);
        if wanted.quick {
            settings.seconds = Duration::from_secs(1);
            most = most.min(1000);
        }
        let mut receivers: Vec<usize> =
            wanted.receivers.iter().map(|&count| count.min(most)).collect();
        receivers.dedup();
        let kinds = match &wanted.rows[..] {
            [] => RowKind::value_variants().to_vec(),
            rows => rows.to_vec(),
        };
        let (products, missing): (Vec<Product>, Vec<Product>) = wanted
            .brokers
            .iter()
            .filter(|&&product| !settings.alone || product == Product::Fanwire)
            .partition(|product| product.find(&settings).is_some());
        let versions: Vec<String> = products
            .iter()
            .chain(&missing)
            .map(|product| format!("{}: {}", product.name(), product.version(&settings)))
            .collect();
        let notes = vec![format!("{}.", versions.join("; "))];
        Ok(Self {
            kinds,
            products,
            transports: wanted.transport.clone(),
            receivers,
            connections: wanted.connections.min(most),
            settings,
            costs: Vec::new(),
            idle: Vec::new(),
            latencies: Vec::new(),
            notes,
        })
    }

    /// Calls `measure` for each broker and each way to connect to it. A broker that fails is
    /// noted, and the others are measured.
    fn each(
        &mut self,
        what: &str,
        mut measure: impl FnMut(&mut Self, Product, Transport) -> Result<()>,
    ) {
        for transport in self.transports.clone() {
            for product in self.products.clone() {
                if let Err(error) = measure(self, product, transport) {
                    let (server, transport) = (product.name(), transport.name());
                    self.notes.push(format!("{server} over {transport}, {what}: {error}."));
                }
            }
        }
    }

    fn loads(&mut self, kind: RowKind) -> Result<()> {
        for (what, load) in loads(kind, &self.receivers) {
            self.each(&what, |bench, product, transport| {
                let spent = load.measure(product, transport, &bench.settings)?;
                bench.add(&what, Some(load.payload), product, transport, &spent);
                Ok(())
            });
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<()> {
        self.each("connect", |bench, product, transport| {
            let spent = churn::measure(product, transport, &bench.settings)?;
            bench.add("connect and leave", None, product, transport, &spent);
            Ok(())
        });
        Ok(())
    }

    fn add(
        &mut self,
        what: &str,
        payload_bytes: Option<usize>,
        product: Product,
        transport: Transport,
        spent: &Spent,
    ) {
        self.costs.push(Cost {
            what: what.to_owned(),
            payload_bytes,
            transport: transport.name(),
            server: product.name(),
            per_second: spent.per_second,
            cpu_seconds_per_million: spent.cpu_seconds_per_million,
            of_mosquitto: None,
            generator: spent.generator,
            lost: spent.lost,
        });
    }

    fn idle(&mut self) -> Result<()> {
        self.each("idle", |bench, product, transport| {
            let broker = product.start(&bench.settings)?;
            let endpoint = broker.endpoint(transport);
            let filter = |nth| Some((format!("idle/{nth}"), QoS::AtMostOnce));
            let mut fleet = Fleet::new()?;
            let mut resident = |count| -> Result<f64> {
                fleet.grow(count, &endpoint, filter)?;
                std::thread::sleep(SETTLE);
                Ok(procfs::resident(broker.pid())? as f64)
            };
            let few = WARM_UP.min(bench.connections / 2);
            let before = resident(few)?;
            let growth = resident(bench.connections)? - before;
            bench.idle.push(Idle {
                server: product.name(),
                transport: transport.name(),
                connections: bench.connections,
                resident_bytes: growth / (bench.connections - few) as f64,
            });
            Ok(())
        });
        Ok(())
    }

    fn latency(&mut self) -> Result<()> {
        let rates = [(RowKind::FanOut, 200), (RowKind::Point, 2000)];
        for (kind, rate) in rates {
            for (what, load) in
                loads(kind, &[100]).into_iter().filter(|(_, load)| load.payload == 64)
            {
                self.each(&what, |bench, product, transport| {
                    let row =
                        latency::measure(&what, &load, rate, product, transport, &bench.settings)?;
                    bench.latencies.push(row);
                    Ok(())
                });
            }
        }
        Ok(())
    }

    fn report(mut self, report: &mut Report) -> Result<()> {
        let of: HashMap<_, f64> = self
            .costs
            .iter()
            .filter(|row| row.server == REFERENCE)
            .map(|row| (row.key(), row.cpu_seconds_per_million))
            .collect();
        for row in self.costs.iter_mut().filter(|row| row.server != REFERENCE) {
            row.of_mosquitto = of.get(&row.key()).map(|of| row.cpu_seconds_per_million / of);
        }
        let notes = std::mem::take(&mut self.notes);
        let title = "Messages and connections over MQTT";
        report.table("mqtt", title, &self.costs, &notes)?;
        if !self.idle.is_empty() {
            let title = "Memory of idle MQTT connections with one subscription";
            report.table("mqtt-idle", title, &self.idle, &[])?;
        }
        if !self.latencies.is_empty() {
            report.table("mqtt-latency", "From PUBLISH to delivery", &self.latencies, &[])?;
        }
        Ok(())
    }
}

// === impl Cost ===

impl Cost {
    /// What is compared with what.
    fn key(&self) -> (String, Option<usize>, &'static str) {
        (self.what.clone(), self.payload_bytes, self.transport)
    }
}

/// The loads of a group of rows.
fn loads(kind: RowKind, receivers: &[usize]) -> Vec<(String, Load)> {
    let fan_out = |subscribers, in_flight, payload| Load {
        shape: Shape::FanOut,
        subscribers,
        publishers: 1,
        in_flight,
        qos: QoS::AtMostOnce,
        payload,
    };
    let pairs = |qos| Load {
        shape: Shape::Pairs,
        subscribers: 50,
        publishers: 50,
        in_flight: 20,
        qos,
        payload: 64,
    };
    match kind {
        RowKind::FanOut => receivers
            .iter()
            .flat_map(|&count| [(count, 64), (count, 1024)])
            .map(|(count, payload)| {
                (format!("1 to {count}"), fan_out(count, in_flight(count), payload))
            })
            .collect(),
        RowKind::OneInFlight => {
            vec![("1 to 1000, one in flight".to_owned(), fan_out(1000, 1, 64))]
        }
        RowKind::Point => vec![
            ("50 pairs, QoS 0".to_owned(), pairs(QoS::AtMostOnce)),
            ("50 pairs, QoS 1".to_owned(), pairs(QoS::AtLeastOnce)),
        ],
        RowKind::FanIn => {
            // 800 messages at once: mosquitto drops what is beyond 1,000 for one client.
            let load = Load {
                shape: Shape::FanIn,
                subscribers: 1,
                in_flight: 16,
                ..pairs(QoS::AtMostOnce)
            };
            vec![("50 to 1".to_owned(), load)]
        }
        RowKind::Connect | RowKind::Idle | RowKind::Latency => Vec::new(),
    }
}

/// So many messages that what is on its way to all fits into the sockets' buffers.
fn in_flight(receivers: usize) -> u64 {
    match receivers {
        0..=100 => 64,
        101..=1000 => 32,
        _ => 8,
    }
}
