//! What a function publishes to subscribers that are in a store: DynamoDB's API over HTTP,
//! and messages through the management API.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fanwire::Home;
use fanwire::store::{Condition, Cursor, Item, Key, Page, Store, StoreError, from_env};
use fanwire::subscriptions::Publisher;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tempfile::TempDir;

use super::procedures::room;
use super::{percentile, subscription};
use crate::report::{Report, Row};
use crate::server::{PUBLISH, Server};
use crate::swarm::{Swarm, Then};
use crate::{Result, Settings};

/// What is published each time, in bytes.
const PAYLOAD: usize = 200;

/// Publications before the first that counts: connections are made, code is loaded.
const FIRST_ONES: usize = 5;

/// The table, as the variable of the functions names it.
const TABLE: &str = "bench-dev-subscribers";

/// How many are reached with one call.
#[derive(Debug, Clone, Copy)]
enum Calls {
    /// All with the same message: what Fanwire's management API has.
    Together,
    /// One: what AWS's has.
    Each,
}

#[derive(Serialize)]
struct Stored {
    gateway: &'static str,
    subscribers: usize,
    publications: usize,
    /// From the call of `publish` to its report.
    p50_ms: f64,
    p99_ms: f64,
    /// From the command to publish to the last delivery.
    last_p50_ms: f64,
    last_p99_ms: f64,
    store_calls: f64,
}

impl Row for Stored {
    const COLUMNS: &'static [&'static str] = &[
        "gateway",
        "subscribers",
        "publications",
        "publish p50, ms",
        "p99, ms",
        "to the last p50, ms",
        "p99, ms",
        "store calls/publish",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.gateway.to_owned(),
            self.subscribers.to_string(),
            self.publications.to_string(),
            format!("{:.2}", self.p50_ms),
            format!("{:.2}", self.p99_ms),
            format!("{:.2}", self.last_p50_ms),
            format!("{:.2}", self.last_p99_ms),
            format!("{:.2}", self.store_calls),
        ]
    }
}

/// A process that publishes when it is told to, as a function does.
struct Process {
    child: Child,
    answers: BufReader<ChildStdout>,
}

/// Counts the calls of a store.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn Store>,
    calls: Arc<AtomicUsize>,
}

pub(super) fn run(
    subscribers: &[usize],
    publications: usize,
    settings: &Settings,
    report: &mut Report,
) -> Result<()> {
    let mut rows = Vec::new();
    for &subscribers in subscribers {
        for calls in [Calls::Together, Calls::Each] {
            rows.push(measure(calls, subscribers, publications, settings)?);
        }
    }
    let notes = [format!(
        "`fanwire dev` with a function and the embedded DynamoDB; another process publishes \
         {PAYLOAD} bytes, one publication after the other."
    )];
    report.table("stored", "Subscriptions in a store", &rows, &notes)
}

fn measure(
    calls: Calls,
    subscribers: usize,
    publications: usize,
    settings: &Settings,
) -> Result<Stored> {
    let folder = TempDir::new()?;
    std::fs::write(folder.path().join("fanwire.toml"), calls.config()?)?;
    let server = Server::fanwire_at(folder.path(), settings)?;
    let mut swarm = Swarm::new()?;
    swarm.grow(subscribers, &server)?;
    swarm.ask_all(&subscription(), "started")?;
    let mut process = Process::start(&server)?;
    let text = "x".repeat(PAYLOAD);
    let (mut own, mut last, mut store_calls) = (Vec::new(), Vec::new(), 0);
    for nth in 0..FIRST_ONES + publications {
        let started = Instant::now();
        process.tell(&text)?;
        let heard = Cell::new(0);
        swarm.turn_until(
            |_| heard.get() == subscribers,
            |_, _| {
                heard.set(heard.get() + 1);
                Then::Wait
            },
        )?;
        let reached_last = started.elapsed();
        let published = process.answer()?;
        if published.delivered != subscribers {
            return Err(format!("{} of {subscribers} were reached", published.delivered).into());
        }
        if nth >= FIRST_ONES {
            own.push(published.took);
            last.push(reached_last);
            store_calls += published.store_calls;
        }
    }
    own.sort_unstable();
    last.sort_unstable();
    Ok(Stored {
        gateway: calls.name(),
        subscribers,
        publications,
        p50_ms: percentile(&own, 50) / 1e3,
        p99_ms: percentile(&own, 99) / 1e3,
        last_p50_ms: percentile(&last, 50) / 1e3,
        last_p99_ms: percentile(&last, 99) / 1e3,
        store_calls: store_calls as f64 / publications as f64,
    })
}

// === impl Calls ===

impl Calls {
    fn name(self) -> &'static str {
        match self {
            Self::Together => "one call for all",
            Self::Each => "a call for each",
        }
    }

    /// The app: this program is its function.
    fn config(self) -> Result<String> {
        let program = std::env::current_exe()?;
        let broadcast = matches!(self, Self::Together);
        Ok(format!(
            "name = \"bench\"\n\n\
             [functions.procedures]\ncommand = [{program:?}, \"function\"]\n\
             environment = {{ FANWIRE_TABLE = \"${{self:tables.subscribers.name}}\" }}\n\n\
             [websocket.routes]\n\"$connect\" = \"procedures\"\n\"$disconnect\" = \"procedures\"\n\
             \"$default\" = \"procedures\"\n\n\
             [websocket.limits]\nbroadcast = {broadcast}\n\n\
             [tables.subscribers]\nhash = \"pk\"\nrange = \"sk\"\nttl = \"expireAt\"\n"
        ))
    }
}

// === impl Process ===

impl Process {
    fn start(server: &Server) -> Result<Self> {
        let address = server.address();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("publisher").stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, value) in [
            ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{address}")),
            ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", format!("http://{address}/dev")),
            ("AWS_ACCESS_KEY_ID", "bench".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "bench".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("FANWIRE_TABLE", TABLE.to_owned()),
        ] {
            command.env(name, value);
        }
        let mut child = command.spawn()?;
        let answers = child.stdout.take().map(BufReader::new).ok_or("it has no output")?;
        Ok(Self { child, answers })
    }

    fn tell(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().ok_or("it takes no commands")?;
        Ok(writeln!(input, "{PUBLISH} {text}")?)
    }

    fn answer(&mut self) -> Result<Published> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Published::read(&line).ok_or_else(|| format!("it answered {line:?}").into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What the process says of a publication, in words: microseconds, subscribers, calls.
struct Published {
    took: Duration,
    delivered: usize,
    store_calls: usize,
}

// === impl Published ===

impl Published {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let took = Duration::from_micros(words.next()?.parse().ok()?);
        let (delivered, store_calls) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { took, delivered, store_calls })
    }
}

/// Publishes what standard input says, `publish TEXT`, to the subscribers in the store that
/// the environment names, and says what came of it.
pub(crate) fn publish_on_request() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let calls = Arc::new(AtomicUsize::new(0));
    let store = Counted { inner: from_env()?, calls: Arc::clone(&calls) };
    let publisher = Publisher::stored(store, Arc::clone(Home::from_env().gateway()));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let Some((PUBLISH, text)) = line.split_once(' ') else {
            return Err(format!("unknown command: {line}").into());
        };
        let (text, before) = (text.to_owned(), calls.load(Ordering::Relaxed));
        let started = Instant::now();
        let report = runtime.block_on(publisher.publish_to(&room(), &text))?;
        let took = started.elapsed().as_micros();
        let store_calls = calls.load(Ordering::Relaxed) - before;
        writeln!(std::io::stdout(), "{took} {} {store_calls}", report.delivered)?;
    }
    Ok(())
}

// === impl Counted ===

impl Counted {
    fn count(&self) -> &dyn Store {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &*self.inner
    }
}

impl Store for Counted {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, std::result::Result<(), StoreError>> {
        self.count().put(items)
    }

    fn put_if(
        &self,
        item: Item,
        condition: Condition,
    ) -> BoxFuture<'_, std::result::Result<bool, StoreError>> {
        self.count().put_if(item, condition)
    }

    fn get<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, std::result::Result<Option<Item>, StoreError>> {
        self.count().get(key)
    }

    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, std::result::Result<(), StoreError>> {
        self.count().delete(keys)
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        prefix: &'a str,
        after: Option<Cursor>,
    ) -> BoxFuture<'a, std::result::Result<Page, StoreError>> {
        self.count().query(partition, prefix, after)
    }
}
