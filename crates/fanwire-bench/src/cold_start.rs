//! How large a function is, and how long it takes until it asks for its first event and has
//! answered it. Lambda's Runtime API is here (reference: lambda.md, section 3).

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

use crate::report::{Report, Row};
use crate::{Result, procfs};

/// How long a function may take until it asks for an event.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message, as API Gateway sends one.
const EVENT: &str = r#"{"requestContext":{"routeKey":"$default","eventType":"MESSAGE","connectionId":"Kx1=","apiId":"bench","stage":"dev","requestId":"r","domainName":"bench.execute-api.us-east-1.amazonaws.com","connectedAt":1},"body":"hello","isBase64Encoded":false}"#;

#[derive(Serialize)]
struct ColdStart {
    program: String,
    bytes: u64,
    /// As in the ZIP file that Lambda is given.
    zipped_bytes: u64,
    starts: usize,
    /// From the start of the process to its first `next`, the median and the most.
    next_ms: f64,
    next_most_ms: f64,
    /// The same to the answer of the first event.
    answer_ms: f64,
    rss_bytes: u64,
}

impl Row for ColdStart {
    const COLUMNS: &'static [&'static str] = &[
        "program",
        "MB",
        "zipped, MB",
        "to `next`, ms",
        "most, ms",
        "to the first answer, ms",
        "RSS, MB",
    ];

    fn cells(&self) -> Vec<String> {
        let megabytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
        vec![
            self.program.clone(),
            megabytes(self.bytes),
            megabytes(self.zipped_bytes),
            format!("{:.1}", self.next_ms),
            format!("{:.1}", self.next_most_ms),
            format!("{:.1}", self.answer_ms),
            megabytes(self.rss_bytes),
        ]
    }
}

/// What a function has asked for, and when.
enum Asked {
    Next(Instant),
    Answered(Instant),
    /// Something else, such as to be told of an error.
    Failed(String),
}

/// One start.
struct Start {
    next: Duration,
    answer: Duration,
    rss: u64,
}

pub(crate) fn run(programs: &[impl AsRef<Path>], starts: usize, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    for program in programs {
        rows.push(measure(program.as_ref(), starts)?);
    }
    let notes = ["A median of the starts, with the program in the page cache.".to_owned()];
    report.table("cold-start", "The start of a function", &rows, &notes)
}

fn measure(program: &Path, starts: usize) -> Result<ColdStart> {
    let bytes = std::fs::read(program)
        .map_err(|error| format!("{}: {error}; ./bench cold-start builds it", program.display()))?;
    // The first start reads it from the disk.
    start(program)?;
    let measured: Vec<Start> = (0..starts.max(1)).map(|_| start(program)).collect::<Result<_>>()?;
    let sorted = |of: fn(&Start) -> Duration| {
        let mut times: Vec<f64> = measured.iter().map(|it| of(it).as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let median = |times: &[f64]| times[times.len() / 2];
    let next = sorted(|it| it.next);
    Ok(ColdStart {
        program: program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: bytes.len() as u64,
        zipped_bytes: zipped(&bytes)?,
        starts: measured.len(),
        next_ms: median(&next),
        next_most_ms: next.last().copied().unwrap_or_default(),
        answer_ms: median(&sorted(|it| it.answer)),
        rss_bytes: measured.iter().map(|it| it.rss).max().unwrap_or_default(),
    })
}

/// Starts it, gives it one event, and ends it.
fn start(program: &Path) -> Result<Start> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let api = listener.local_addr()?.to_string();
    // Ends with this program; a port of its own tells each start from the one before.
    let (asked, asking) = channel();
    std::thread::spawn(move || listen(&listener, &asked));
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for (name, value) in [
        ("AWS_LAMBDA_RUNTIME_API", &*api),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
    ] {
        command.env(name, value);
    }
    let started = Instant::now();
    let mut child = command.spawn()?;
    let begun = await_answer(started, &child, &asking);
    let _ = child.kill();
    let _ = child.wait();
    begun
}

fn await_answer(started: Instant, child: &Child, asking: &Receiver<Asked>) -> Result<Start> {
    let mut next = None;
    loop {
        match asking.recv_timeout(PATIENCE).map_err(|_| "the function asked for no event")? {
            Asked::Next(at) => next = next.or(Some(at - started)),
            Asked::Answered(at) => {
                let next = next.ok_or("the function answered an event that it was not given")?;
                let rss = procfs::resident(child.id())?;
                return Ok(Start { next, answer: at - started, rss });
            }
            Asked::Failed(line) => return Err(format!("the function said: {line}").into()),
        }
    }
}

/// How much of a ZIP file it takes.
fn zipped(bytes: &[u8]) -> Result<u64> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len() as u64)
}

/// Serves the Runtime API, until this program ends.
fn listen(listener: &TcpListener, asked: &Sender<Asked>) {
    for socket in listener.incoming().flatten() {
        let asked = asked.clone();
        // A connection ends as its function does, with an error or without one.
        std::thread::spawn(move || drop(answer(socket, &asked)));
    }
}

/// Answers what comes on one connection: `next` with an event, the first time, and all else
/// with 202.
fn answer(socket: TcpStream, asked: &Sender<Asked>) -> io::Result<()> {
    let mut writer = socket.try_clone()?;
    let mut reader = BufReader::new(socket);
    let mut given = false;
    loop {
        let Some((line, length)) = read_head(&mut reader)? else { return Ok(()) };
        let at = Instant::now();
        reader.read_exact(&mut vec![0; length])?;
        let is_next = line.starts_with("GET ");
        let told = match &*line {
            _ if is_next => Asked::Next(at),
            line if line.contains("/response ") => Asked::Answered(at),
            line => Asked::Failed(line.to_owned()),
        };
        // Nobody listens any more where the benchmark has gone on.
        let _ = asked.send(told);
        match (is_next, given) {
            (true, false) => {
                given = true;
                let length = EVENT.len();
                write!(
                    writer,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                     Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                     Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                     Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n\
                     Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\n\r\n{EVENT}"
                )?;
            }
            // There is no other event.
            (true, true) => {}
            (false, _) => write!(writer, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
}

/// The first line of a request, and how long its body is.
fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<(String, usize)>> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some((first, length)));
        }
        if first.is_empty() {
            line.clone_into(&mut first);
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
}
