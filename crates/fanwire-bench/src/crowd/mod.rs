//! A crowd of clients, a third of them on WebSockets, a third on MQTT and a third on WebSockets
//! over TLS, all of whom are told the same once a second.
//!
//! The server is `fanwire serve` as one would run it. Where the system lets a process have
//! fewer connections than are wanted, several nodes serve them together, over NATS.

mod clients;
mod nodes;
mod stream;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use self::clients::{Heard, TOPIC, now_us};
pub(crate) use self::clients::{Kind, run as run_clients};
use self::nodes::Nodes;
use crate::mqtt::packet;
use crate::report::{Report, Row};
use crate::{Result, Settings};

/// What every message has, in bytes.
const PAYLOAD: usize = 200;

/// Descriptors that a process needs for other things.
const SPARE_FILES: usize = 1_000;

/// How long a broadcast may take until the next one is sent all the same.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Crowded {
    connections: usize,
    nodes: usize,
    /// Of the server's processes, beyond what they have without connections.
    bytes_per_connection: u64,
    /// Of the server's processes, of one core.
    cpu_percent: f64,
    cpu_us_per_delivery: f64,
    deliveries: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    connect_seconds: f64,
}

impl Row for Crowded {
    const COLUMNS: &'static [&'static str] = &[
        "connections",
        "nodes",
        "bytes each",
        "CPU, % of a core",
        "CPU us/delivery",
        "delivered",
        "p50, ms",
        "p99, ms",
        "max, ms",
        "connected in, s",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.connections.to_string(),
            self.nodes.to_string(),
            self.bytes_per_connection.to_string(),
            format!("{:.1}", self.cpu_percent),
            format!("{:.2}", self.cpu_us_per_delivery),
            self.deliveries.to_string(),
            format!("{:.1}", self.p50_ms),
            format!("{:.1}", self.p99_ms),
            format!("{:.1}", self.max_ms),
            format!("{:.1}", self.connect_seconds),
        ]
    }
}

/// Measures crowds of so many connections.
pub(crate) fn run(
    connections: &[usize],
    open_files: usize,
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let mut rows = Vec::new();
    for &count in connections {
        rows.push(measure(count, open_files, settings)?);
    }
    let notes = ["Thirds of WebSockets, MQTT and WebSockets over TLS; everybody is sent 200 bytes once a \
        second. Times are from before the message is published until a client has read it, with all \
        clients on the same machine."
        .to_owned()];
    report.table("crowd", "A crowd that is told the same once a second", &rows, &notes)
}

fn measure(count: usize, open_files: usize, settings: &Settings) -> Result<Crowded> {
    let nodes = Nodes::start(count.div_ceil(open_files.saturating_sub(SPARE_FILES)), settings)?;
    let before = nodes.resident()?;
    let started = Instant::now();
    let third = count / 3;
    let mut thirds = Vec::new();
    for (kind, count) in
        [(Kind::Websocket, third), (Kind::Mqtt, third), (Kind::Tls, count - 2 * third)]
    {
        thirds.push(Third::connect(kind, count, &nodes)?);
    }
    for each in &mut thirds {
        each.await_line()?;
    }
    let connect_seconds = started.elapsed().as_secs_f64();
    let mut speaker = Speaker::connect(&nodes)?;
    // The first broadcast finds cold caches, and is not counted.
    speaker.speak()?;
    std::thread::sleep(PERIOD);
    thirds.iter_mut().try_for_each(|third| third.heard().map(drop))?;
    let (cpu, from) = (nodes.cpu()?, Instant::now());
    while from.elapsed() < settings.seconds {
        let sent = Instant::now();
        speaker.speak()?;
        std::thread::sleep(PERIOD.saturating_sub(sent.elapsed()));
    }
    let (spent, passed) = (nodes.cpu()? - cpu, from.elapsed());
    let resident = nodes.resident()?;
    let mut took = Vec::new();
    for third in &mut thirds {
        took.append(&mut third.heard()?.took);
    }
    took.sort_unstable();
    let quantile = |part: f64| {
        let at = (took.len() as f64 * part) as usize;
        took.get(at.min(took.len().saturating_sub(1))).map_or(f64::NAN, |us| f64::from(*us) / 1e3)
    };
    Ok(Crowded {
        connections: count,
        nodes: nodes.len(),
        bytes_per_connection: resident.saturating_sub(before) / count as u64,
        cpu_percent: 100.0 * spent.as_secs_f64() / passed.as_secs_f64(),
        cpu_us_per_delivery: spent.as_secs_f64() * 1e6 / took.len().max(1) as f64,
        deliveries: took.len() as u64,
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
        max_ms: quantile(1.0),
        connect_seconds,
    })
}

/// The clients of one kind, a process.
struct Third {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Third {
    fn connect(kind: Kind, count: usize, nodes: &Nodes) -> Result<Self> {
        let servers: Vec<String> =
            nodes.addresses(kind == Kind::Tls).map(|address| address.to_string()).collect();
        let kind = clap::ValueEnum::to_possible_value(&kind).ok_or("a kind without a name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["crowd-clients", kind.get_name(), &count.to_string(), &servers.join(",")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, answers })
    }

    fn await_line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err("a process of clients has ended".into()),
            _ => Ok(line),
        }
    }

    fn heard(&mut self) -> Result<Heard> {
        let stdin = self.child.stdin.as_mut().ok_or("no input")?;
        writeln!(stdin, "report")?;
        Ok(serde_json::from_str(&self.await_line()?)?)
    }
}

impl Drop for Third {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who tells everybody: MQTT clients by a publication, the others by the call that AWS has not.
struct Speaker {
    mqtt: TcpStream,
    http: SocketAddr,
}

impl Speaker {
    fn connect(nodes: &Nodes) -> Result<Self> {
        let address = nodes.addresses(false).next().ok_or("there are no nodes")?;
        let mut mqtt = TcpStream::connect(address)?;
        mqtt.set_nodelay(true)?;
        mqtt.write_all(&packet::connect("speaker"))?;
        Ok(Self { mqtt, http: address })
    }

    fn speak(&mut self) -> Result<()> {
        let payload = || format!("{:<PAYLOAD$}", format!("{} ", now_us()));
        self.mqtt.write_all(&packet::publish(TOPIC, None, payload().as_bytes()))?;
        let mut http = TcpStream::connect(self.http)?;
        let body = payload();
        write!(
            http,
            "POST /dev/@connections HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.http,
            body.len(),
        )?;
        let mut status = String::new();
        BufReader::new(http).read_line(&mut status)?;
        if status.starts_with("HTTP/1.1 2") {
            Ok(())
        } else {
            Err(format!("the broadcast was refused: {status}").into())
        }
    }
}
