//! One process of a function, and the one event that it may have.
//!
//! A worker is driven by whoever waits for its event: each call of a `poll` method moves
//! bytes, lines and clocks on. All progress is kept in the worker, so a caller may stop
//! polling at any moment and another may go on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::Sleep;

use crate::lines::{Lines, Tail};
use crate::link::{ChannelLink, Signal, Written};
use crate::observer::{FunctionEvent, Report, Stream};
use crate::outcome::{FunctionErrorKind, Outcome};
use crate::output::Output;
use crate::payload::{self, Exit};
use crate::process::Process;
use crate::runtime_api::ApiLink;
use crate::spec::{Request, Spec};

/// How long a process that closed its channel may take to be gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the host talks with the process.
pub(crate) enum Link {
    /// Over our own bootstrap's channel.
    Channel(ChannelLink),
    /// Over the Lambda Runtime API.
    RuntimeApi(ApiLink),
}

/// One process of a function.
pub(crate) struct Worker {
    spec: Arc<Spec>,
    process: Process,
    link: Link,
    journal: Journal,
    output: Output,
    flight: Option<Flight>,
    /// How long the handler took to load; told with the first event.
    init_duration: Option<Duration>,
    /// One timer for the worker's whole life: moving it on costs next to nothing, making
    /// one per event does not.
    timer: Pin<Box<Sleep>>,
    /// The process closed its side: what is left is to learn how it ended.
    closed: bool,
    /// Since when the worker waits for an event.
    pub(crate) idle_since: Instant,
}

/// The event in progress.
struct Flight {
    started: Instant,
    request_id: String,
    tail: Option<Tail>,
}

/// The unfinished lines of a process: those of the channel and of the pipes are apart,
/// because their order among each other is not known.
#[derive(Default)]
struct Journal {
    channel: [Lines; 2],
    pipes: [Lines; 2],
}

/// Why a process never became ready.
#[derive(Debug, Clone)]
pub(crate) enum InitFailure {
    /// The function said why.
    Reported(Bytes),
    /// The process ended first.
    Exited(Exit),
    /// It took too long.
    TimedOut(Duration),
    /// The process could not be started, or the function not be built.
    NotStarted(String),
}

/// How an event ended.
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Whether the process can take another event.
    pub(crate) usable: bool,
}

// === impl InitFailure ===

impl InitFailure {
    /// The payload for the caller with this request.
    pub(crate) fn payload(&self, request_id: &str) -> Bytes {
        match self {
            Self::Reported(payload) => payload.clone(),
            Self::Exited(exit) => payload::exited(request_id, exit),
            Self::TimedOut(limit) => payload::timed_out(request_id, *limit),
            Self::NotStarted(why) => payload::error("Runtime.InvalidEntrypoint", why),
        }
    }
}

// === impl Worker ===

impl Worker {
    pub(crate) fn new(spec: Arc<Spec>, process: Process, link: Link, output: Output) -> Self {
        let timer = Box::pin(tokio::time::sleep(spec.init_timeout()));
        spec.observe(FunctionEvent::Spawned { function: &spec.key, pid: process.pid() });
        Self {
            spec,
            process,
            link,
            journal: Journal::default(),
            output,
            flight: None,
            init_duration: None,
            timer,
            closed: false,
            idle_since: Instant::now(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn has_event(&self) -> bool {
        self.flight.is_some()
    }

    /// Waits until the handler is loaded.
    pub(crate) async fn initialise(&mut self) -> Result<(), InitFailure> {
        let started = Instant::now();
        std::future::poll_fn(|cx| self.poll_init(cx)).await?;
        self.init_duration = Some(started.elapsed());
        Ok(())
    }

    fn poll_init(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), InitFailure>> {
        let ended = match self.poll_signal(cx) {
            Poll::Ready(Signal::Ready) => Ok(()),
            Poll::Ready(Signal::InitError(payload)) => Err(InitFailure::Reported(payload)),
            // Anything else before `Ready` is no bootstrap of ours.
            Poll::Ready(_) => {
                let exit = std::task::ready!(self.poll_end(cx));
                Err(InitFailure::Exited(exit))
            }
            Poll::Pending if self.timer.as_mut().poll(cx).is_ready() => {
                self.process.kill();
                Err(InitFailure::TimedOut(self.spec.init_timeout()))
            }
            Poll::Pending => return Poll::Pending,
        };
        self.flush();
        Poll::Ready(ended)
    }

    /// Gives the worker an event. It must not have one.
    pub(crate) fn begin(&mut self, request: &Request) {
        debug_assert!(self.flight.is_none(), "one event at a time");
        // What came after the last event is not this one's.
        self.poll_output(&mut Context::from_waker(std::task::Waker::noop()));
        let timeout = self.spec.timeout();
        let deadline_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |now| ((now + timeout).as_millis() as f64).trunc());
        match &mut self.link {
            Link::Channel(link) => link.send(request, deadline_ms),
            Link::RuntimeApi(link) => link.send(request, deadline_ms),
        }
        self.timer.as_mut().reset(tokio::time::Instant::now() + timeout);
        let mut flight = Flight {
            started: Instant::now(),
            request_id: request.id.clone(),
            tail: request.want_log_tail.then(Tail::default),
        };
        let start =
            FunctionEvent::Start { function: &self.spec.key, request_id: &flight.request_id };
        tell(&self.spec, flight.tail.as_mut(), start);
        self.flight = Some(flight);
    }

    /// Drives the event to its end.
    pub(crate) async fn finish(&mut self) -> Verdict {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let verdict = match self.poll_signal(cx) {
            Poll::Ready(Signal::Response(payload)) => (payload, None, true),
            Poll::Ready(Signal::Error(payload)) => failed(payload, true),
            Poll::Ready(Signal::FatalError(payload)) => failed(payload, false),
            Poll::Ready(Signal::TooLarge(size)) => {
                failed(payload::too_large(size, self.spec.options.max_payload), true)
            }
            Poll::Ready(Signal::Closed | Signal::Ready | Signal::InitError(_)) => {
                let exit = std::task::ready!(self.poll_end(cx));
                let id = self.request_id().to_owned();
                self.platform_line(&payload::exited_message(&id, &exit));
                failed(payload::exited(&id, &exit), false)
            }
            Poll::Pending if self.timer.as_mut().poll(cx).is_ready() => {
                self.process.kill();
                let id = self.request_id().to_owned();
                self.platform_line(&payload::timed_out_message(&id, self.spec.timeout()));
                failed(payload::timed_out(&id, self.spec.timeout()), false)
            }
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(self.conclude(verdict))
    }

    fn request_id(&self) -> &str {
        self.flight.as_ref().map_or("", |flight| &flight.request_id)
    }

    /// What the process says next. Reads what it wrote to its outputs before it: the
    /// kernel tells of those bytes no later than of the signal.
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        if self.closed {
            return Poll::Ready(Signal::Closed);
        }
        let Self { spec, process, journal, flight, link, .. } = self;
        let mut log = |written: Written<'_>| journal.write(spec, flight, written);
        let signal = match link {
            Link::Channel(link) => link.poll(cx, &mut log),
            // Nothing is closed when a process that speaks HTTP ends.
            Link::RuntimeApi(link) => match link.poll(cx) {
                Poll::Pending => process.poll_exit(cx).map(|_| Signal::Closed),
                signal => signal,
            },
        };
        self.closed = matches!(signal, Poll::Ready(Signal::Closed));
        self.poll_output(cx);
        signal
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) {
        let Self { spec, journal, flight, output, .. } = self;
        output.poll(cx, &mut |written| journal.write(spec, flight, written));
    }

    /// How the process ended, once its side of the link is closed.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        if !self.closed {
            // It talked out of turn: nothing it says can be trusted.
            self.closed = true;
            self.process.kill();
        }
        let exit = match self.process.poll_exit(cx) {
            Poll::Ready(exit) => exit,
            Poll::Pending => {
                let soon = tokio::time::Instant::now() + LAST_WORDS;
                if self.timer.deadline() > soon {
                    self.timer.as_mut().reset(soon);
                }
                if self.timer.as_mut().poll(cx).is_ready() {
                    self.process.kill();
                }
                return Poll::Pending;
            }
        };
        self.poll_output(cx);
        Poll::Ready(exit)
    }

    /// Lets a process that had its last event end by itself, for a moment: it may have
    /// something to write, and its own exit status says more than a kill.
    pub(crate) async fn linger(mut self: Box<Self>) {
        self.closed = true;
        let _ = std::future::poll_fn(|cx| self.poll_end(cx)).await;
    }

    /// Ends the event: what is left of its log, END and REPORT.
    fn conclude(&mut self, verdict: (Bytes, Option<FunctionErrorKind>, bool)) -> Verdict {
        let (payload, error, usable) = verdict;
        self.flush();
        let now = Instant::now();
        let max_memory_mb = self.process.peak_memory_mb(now);
        let flight = self.flight.take();
        let (started, request_id, mut tail) = match flight {
            Some(flight) => (flight.started, flight.request_id, flight.tail),
            None => (now, String::new(), None),
        };
        let duration = now.duration_since(started);
        let report = Report {
            duration,
            billed_ms: u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX),
            memory_mb: self.spec.function.memory_mb,
            max_memory_mb,
            init_duration: self.init_duration.take(),
            failed: error.is_some(),
        };
        let (function, id) = (&*self.spec.key, &*request_id);
        tell(&self.spec, tail.as_mut(), FunctionEvent::End { function, request_id: id });
        tell(&self.spec, tail.as_mut(), FunctionEvent::Report { function, request_id: id, report });
        self.idle_since = now;
        let outcome = Outcome {
            request_id,
            payload,
            error,
            log_tail: tail.map(Tail::into_text),
            duration,
            init_duration: report.init_duration,
        };
        Verdict { outcome, usable }
    }

    /// Tells the lines that were not ended.
    fn flush(&mut self) {
        let Self { spec, journal, flight, .. } = self;
        for [stdout, stderr] in [&mut journal.channel, &mut journal.pipes] {
            stdout.flush(|text| tell_line(spec, flight, Stream::Stdout, text));
            stderr.flush(|text| tell_line(spec, flight, Stream::Stderr, text));
        }
    }

    /// A line of the platform's own in the event's log.
    fn platform_line(&mut self, text: &str) {
        self.flush();
        tell_line(&self.spec, &mut self.flight, Stream::Stderr, text);
    }
}

impl Drop for Worker {
    /// A stopped process's last words are its own: they belong to no event.
    fn drop(&mut self) {
        self.flight = None;
        self.poll_output(&mut Context::from_waker(std::task::Waker::noop()));
        self.flush();
    }
}

fn failed(payload: Bytes, usable: bool) -> (Bytes, Option<FunctionErrorKind>, bool) {
    (payload, Some(FunctionErrorKind::Unhandled), usable)
}

// === impl Journal ===

impl Journal {
    fn write(&mut self, spec: &Spec, flight: &mut Option<Flight>, written: Written<'_>) {
        let (lines, stream, bytes) = match written {
            Written::Record(text) => {
                let text = text.strip_suffix('\n').unwrap_or(text);
                return tell_line(spec, flight, Stream::Stdout, text);
            }
            Written::Loaded(files) => return spec.sources.add(spec, files),
            Written::AwsCall(host) => return spec.aws_calls.tell(spec, host),
            Written::Raw(stream, bytes) => (&mut self.channel, stream, bytes),
            Written::Native(stream, bytes) => (&mut self.pipes, stream, bytes),
        };
        let tell = |text: &str| tell_line(spec, flight, stream, text);
        lines[stream as usize].push(bytes, tell);
    }
}

fn tell_line(spec: &Spec, flight: &mut Option<Flight>, stream: Stream, text: &str) {
    let function = &*spec.key;
    match flight {
        Some(Flight { request_id, tail, .. }) => {
            let request_id = Some(&**request_id);
            tell(spec, tail.as_mut(), FunctionEvent::Line { function, request_id, stream, text });
        }
        None => spec.observe(FunctionEvent::Line { function, request_id: None, stream, text }),
    }
}

fn tell(spec: &Spec, tail: Option<&mut Tail>, event: FunctionEvent<'_>) {
    if let Some(tail) = tail {
        tail.push(&event.to_string());
    }
    spec.observe(event);
}
