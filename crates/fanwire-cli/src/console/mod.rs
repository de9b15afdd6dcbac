//! What `dev` prints. Requests, function lines and access logs arrive from many
//! threads; one thread prints them, so that none of the others ever waits for a
//! terminal.

mod access_files;
mod guard;
mod human;
mod journal;
mod json;
mod realtime;
mod record;
mod throttle;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fanwire_app::model::WebSocketApi;
use fanwire_functions::FunctionEvent;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::GuardEvent;
use fanwire_websocket::RequestRecord;

use self::access_files::AccessFiles;
pub(crate) use self::human::Human;
pub(crate) use self::journal::Journal;
pub(crate) use self::json::{Json, read};
pub(crate) use self::realtime::RealtimeRecord;
pub(crate) use self::record::{Entry, Record, Request};
use self::throttle::Throttle;

/// Records that may wait for the printer. Beyond it they are dropped and counted.
const MAX_WAITING: usize = 16_384;

/// How often lines that a function wrote a while ago are looked for.
const TICK: Duration = Duration::from_millis(250);

/// How the records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// One JSON object a line, rather than text for people.
    pub(crate) json: bool,
    /// The functions' START, END and REPORT lines too.
    pub(crate) verbose: bool,
}

/// How long the printer lets records gather after it has printed some. To wake it for
/// each of them would cost more than to print it.
const GATHER: Duration = Duration::from_millis(5);

/// The handle that records are given to.
#[derive(Debug)]
pub(crate) struct Console {
    style: Style,
    sender: SyncSender<Entry>,
    journal: Arc<Journal>,
    throttle: Arc<Throttle>,
    dropped: AtomicU64,
}

/// Turns records into text.
pub(crate) trait Renderer {
    /// Appends what a record reads as, now or later.
    fn render(&mut self, entry: &Entry, now: Instant, out: &mut String);
    /// Appends what has been held back for too long.
    fn tick(&mut self, now: Instant, out: &mut String);
}

// === impl Console ===

impl Console {
    /// Starts the printer.
    pub(crate) fn start(style: Style) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let journal = Arc::new(Journal::default());
        let throttle = Arc::new(Throttle::default());
        let (kept, held) = (Arc::clone(&journal), Arc::clone(&throttle));
        let printer = std::thread::spawn(move || {
            if style.json {
                print(style, &receiver, json::Json, &kept, &held);
            } else {
                print(style, &receiver, Human::new(style.verbose), &kept, &held);
            }
        });
        (Self { style, sender, journal, throttle, dropped: AtomicU64::new(0) }, printer)
    }

    /// What was printed last, and what will be.
    pub(crate) fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    /// Prints a sentence for people, on its own line.
    pub(crate) fn note(&self, text: &str) {
        self.send(Record::Note(text.to_owned()));
    }

    /// Prints what has become of the App's files or tables, with the time.
    pub(crate) fn news(&self, text: String) {
        self.send(Record::News(text));
    }

    /// Prints text as it is. Only for people.
    pub(crate) fn text(&self, text: String) {
        self.send(Record::Text(text));
    }

    /// Prints a JSON object. Only for machines.
    pub(crate) fn json(&self, value: &serde_json::Value) {
        self.send(Record::Text(format!("{value}\n")));
    }

    /// Ends the printer once all before is printed.
    pub(crate) fn finish(&self) {
        // Where the printer is gone already there is nothing to end.
        let _ = self.sender.send(Entry::new(Record::End));
    }

    fn send(&self, record: Record) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Entry::new(record)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let told = || self.sender.try_send(Entry::new(Record::Dropped(dropped)));
        if dropped > 0 && told().is_err() {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

impl fanwire_websocket::Observer for Console {
    fn request(&self, record: &RequestRecord<'_>) {
        self.send(Record::request(record));
    }

    fn access(&self, api: &WebSocketApi, line: &str) {
        let file = api.logs.access.as_ref().and_then(|log| log.file.clone());
        self.send(Record::Access { file, line: line.to_owned() });
    }

    fn execution(&self, _api: &WebSocketApi, request_id: &str, line: &str) {
        self.send(Record::Execution(format!("({request_id}) {line}")));
    }

    fn trouble(&self, api: &WebSocketApi, text: &str) {
        self.send(Record::News(format!("{}: {text}", api.name)));
    }
}

impl fanwire_realtime::Observer for Console {
    fn observe(&self, event: &RealtimeEvent<'_>) {
        if let Some(record) = self.throttle.pass(RealtimeRecord::of(event), Instant::now()) {
            self.send(record);
        }
    }
}

impl fanwire_server::NitricObserver for Console {
    fn trouble(&self, text: &str) {
        self.send(Record::News(text.to_owned()));
    }
}

impl fanwire_functions::Observer for Console {
    fn observe(&self, event: FunctionEvent<'_>) {
        if let Some(record) = Record::function(event, self.style) {
            self.send(record);
        }
    }
}

impl fanwire_server::CertificateObserver for Console {
    fn certificates(&self, event: &fanwire_server::CertificateEvent) {
        self.news(event.to_string());
    }
}

impl fanwire_server::GuardObserver for Console {
    fn observe(&self, event: &GuardEvent<'_>) {
        if let Some(text) = guard::described(event, self.style.verbose) {
            self.send(Record::News(text));
        }
    }
}

/// Where it is printed. JSON has no colours to be taken out where nobody sees them.
fn stdout(style: Style) -> Box<dyn Write> {
    if style.json {
        return Box::new(std::io::stdout());
    }
    Box::new(anstream::AutoStream::auto(std::io::stdout()))
}

fn print(
    style: Style,
    receiver: &Receiver<Entry>,
    mut renderer: impl Renderer,
    journal: &Journal,
    throttle: &Throttle,
) {
    let mut access_files = AccessFiles::default();
    let mut stdout = stdout(style);
    let mut out = String::new();
    loop {
        let mut ended = false;
        match receiver.recv_timeout(TICK) {
            Ok(entry) => {
                let more = std::iter::from_fn(|| receiver.try_recv().ok()).take(MAX_WAITING);
                for mut entry in std::iter::once(entry).chain(more) {
                    ended |= matches!(entry.record, Record::End);
                    if let Record::Access { file: Some(file), line } = &entry.record {
                        match access_files.append(file, line) {
                            Ok(()) => continue,
                            Err(error) => {
                                entry.record = Record::Note(format!("{}: {error}", file.display()));
                            }
                        }
                    }
                    renderer.render(&entry, Instant::now(), &mut out);
                    journal.keep(entry);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => ended = true,
        }
        for entry in throttle.due(Instant::now()).into_iter().map(Entry::new) {
            renderer.render(&entry, Instant::now(), &mut out);
            journal.keep(entry);
        }
        renderer.tick(Instant::now(), &mut out);
        if !out.is_empty() {
            // Nobody reads any more: serving goes on.
            let _ = stdout.write_all(out.as_bytes());
            let _ = stdout.flush();
            out.clear();
        }
        if ended {
            return;
        }
        std::thread::sleep(GATHER);
    }
}
