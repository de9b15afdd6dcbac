//! The processes of one function, and the events that wait for them.
//!
//! An event takes the process that was idle the shortest (so the others can age and be
//! stopped); with none idle it waits in line. A pool starts its first process for the
//! first event at once, and one more whenever the oldest event has waited for
//! [`grow_after`](crate::HostOptions::grow_after), up to the function's limit.
//!
//! Processes that run old code are of an earlier generation: they finish the events that
//! they have and are then stopped, and count for nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot, watch};

use crate::observer::FunctionEvent;
use crate::outcome::{FunctionErrorKind, InvokeError, Outcome, ThrottleReason};
use crate::payload::Exit;
use crate::spec::{Request, Spec};
use crate::start::start;
use crate::worker::{InitFailure, Worker};

/// After a process that failed to start, the next start waits this long, doubled with
/// each failure in a row up to the second value.
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(2);

/// The processes of one function.
pub(crate) struct Pool {
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
    /// Told when an event ends after [`Pool::close`].
    quiet: Notify,
    /// Told when a generation begins: starts in progress are then of no use.
    renewed: watch::Sender<()>,
}

struct State {
    /// What the processes of this generation are.
    spec: Arc<Spec>,
    generation: u64,
    /// Processes of earlier generations, each with its last event.
    stale: u32,
    /// Since when new code is wanted, until a process of it has loaded its handler or
    /// failed to.
    reloading: Option<Instant>,
    /// Whether a process was ever started.
    used: bool,
    /// Processes without an event; the last was idle the shortest.
    #[expect(clippy::vec_box, reason = "workers are large, and move with every event")]
    idle: Vec<Box<Worker>>,
    /// Processes of this generation that are ready, with and without an event.
    ready: u32,
    /// Processes that load their handlers.
    starting: u32,
    waiting: VecDeque<Waiter>,
    /// Whether a task looks after events that wait too long.
    growing: bool,
    /// Whether a task looks after processes that are idle too long.
    shrinking: bool,
    /// Starts that failed in a row.
    failures: u32,
    /// The earliest moment of the next start.
    start_after: Option<Instant>,
    closed: bool,
}

struct Waiter {
    since: Instant,
    grant: oneshot::Sender<Grant>,
}

/// What an event in line gets.
enum Grant {
    Process(Lease),
    Failure(InitFailure),
}

/// A process that is lent to one event. Dropped with the event unfinished (its caller
/// went away), the event is driven to its end by a task of its own: Lambda does not stop
/// a function either because nobody listens.
struct Lease {
    pool: Arc<Pool>,
    generation: u64,
    worker: Option<Box<Worker>>,
    /// Whether it is such a task that drives the event. Dropped then, nothing is left that
    /// could: the runtime has shut down, and drops each task that is spawned on it.
    unattended: bool,
}

// === impl Pool ===

impl Pool {
    pub(crate) fn new(spec: Arc<Spec>) -> Self {
        let runtime = spec.runtime.clone();
        let state = State {
            spec,
            generation: 0,
            stale: 0,
            reloading: None,
            used: false,
            idle: Vec::new(),
            ready: 0,
            starting: 0,
            waiting: VecDeque::new(),
            growing: false,
            shrinking: false,
            failures: 0,
            start_after: None,
            closed: false,
        };
        let (quiet, renewed) = (Notify::new(), watch::Sender::new(()));
        Self { runtime, state: Mutex::new(state), quiet, renewed }
    }

    /// Starts a process where there is none.
    pub(crate) fn start_unused(self: &Arc<Self>) {
        let mut state = self.lock();
        if !state.closed && state.ready + state.starting == 0 {
            self.start_one(&mut state);
        }
    }

    /// Begins a generation: from now on events get processes that are started now, of
    /// another spec where one is given. Where there ever was a process, one is started
    /// at once, so that a mistake shows now and not with the next event.
    pub(crate) fn renew(self: &Arc<Self>, spec: Option<Arc<Spec>>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.generation += 1;
        if let Some(spec) = spec {
            state.spec = spec;
        }
        let idle = std::mem::take(&mut state.idle);
        // At most as many as are ready were idle; the others have events.
        state.stale += state.ready - u32::try_from(idle.len()).unwrap_or(0);
        (state.ready, state.starting) = (0, 0);
        (state.failures, state.start_after) = (0, None);
        self.renewed.send_replace(());
        if state.used {
            state.reloading = Some(Instant::now());
            self.start_one(&mut state);
        }
        drop(state);
        drop(idle);
    }

    /// Runs one event to its end.
    pub(crate) async fn invoke(
        self: &Arc<Self>,
        request: &Request,
    ) -> Result<Outcome, InvokeError> {
        let lease = match self.acquire()? {
            Ok(lease) => lease,
            Err(place) => match place.await {
                Ok(Grant::Process(lease)) => lease,
                Ok(Grant::Failure(failure)) => return Ok(unstarted(request, &failure)),
                Err(_) => return Err(InvokeError::ShuttingDown),
            },
        };
        Ok(lease.run(request).await)
    }

    /// An idle process, or a place in line.
    fn acquire(self: &Arc<Self>) -> Result<Result<Lease, oneshot::Receiver<Grant>>, InvokeError> {
        let mut state = self.lock();
        if state.closed {
            return Err(InvokeError::ShuttingDown);
        }
        if let Some(worker) = state.idle.pop() {
            let generation = state.generation;
            drop(state);
            return Ok(Ok(Lease::of(Arc::clone(self), worker, generation)));
        }
        if state.waiting.len() >= state.spec.options.max_waiting {
            // Callers that went away leave their places behind.
            state.waiting.retain(|waiter| !waiter.grant.is_closed());
            if state.waiting.len() >= state.spec.options.max_waiting {
                let reason = ThrottleReason::Waiting(state.waiting.len());
                return Err(InvokeError::Throttled { key: state.spec.key.clone(), reason });
            }
        }
        let (grant, place) = oneshot::channel();
        state.waiting.push_back(Waiter { since: Instant::now(), grant });
        self.start_if_none(&mut state);
        if !state.growing {
            state.growing = true;
            let pool = Arc::clone(self);
            self.runtime.spawn(async move { pool.grow().await });
        }
        Ok(Err(place))
    }

    /// Starts a process for events in line that have none to wait for.
    fn start_if_none(self: &Arc<Self>, state: &mut State) {
        if state.ready + state.starting == 0 && !state.waiting.is_empty() {
            self.start_one(state);
        }
    }

    fn start_one(self: &Arc<Self>, state: &mut State) {
        state.starting += 1;
        state.used = true;
        let start_after = state.start_after;
        let (generation, spec) = (state.generation, Arc::clone(&state.spec));
        // Made under the lock, so that no renewal is missed.
        let mut renewed = self.renewed.subscribe();
        let pool = Arc::clone(self);
        self.runtime.spawn(async move {
            let start = async {
                if let Some(moment) = start_after {
                    tokio::time::sleep_until(moment.into()).await;
                }
                start(&spec, generation, pool.on_exit(&spec)).await
            };
            tokio::select! {
                // The process, or the build, is killed as its future is dropped.
                _ = renewed.changed() => {}
                started = start => match started {
                    Ok(worker) => pool.started(worker, generation),
                    Err(failure) => pool.not_started(&failure, generation),
                }
            }
        });
    }

    /// What is done when a process is gone.
    fn on_exit(self: &Arc<Self>, spec: &Arc<Spec>) -> impl FnOnce(u32, &Exit) + Send + 'static {
        let (pool, spec) = (Arc::downgrade(self), Arc::clone(spec));
        move |pid, exit| {
            let how = exit.as_str();
            spec.observe(FunctionEvent::Exited { function: &spec.key, pid, how });
            if let Some(pool) = pool.upgrade() {
                pool.forget(pid);
            }
        }
    }

    fn started(self: &Arc<Self>, worker: Box<Worker>, generation: u64) {
        let mut state = self.lock();
        if generation != state.generation {
            drop(state);
            drop(worker);
            return;
        }
        state.starting -= 1;
        state.ready += 1;
        state.failures = 0;
        state.start_after = None;
        let reloading = state.reloading.take();
        let spec = Arc::clone(&state.spec);
        drop(state);
        if let Some(since) = reloading {
            let duration = since.elapsed();
            spec.observe(FunctionEvent::Reloaded { function: &spec.key, duration });
        }
        self.release(worker, generation);
    }

    /// A process could not load its handler. With no other process to serve them, the
    /// events in line get the reason; later ones try again, after a pause.
    fn not_started(self: &Arc<Self>, failure: &InitFailure, generation: u64) {
        let mut state = self.lock();
        if generation != state.generation {
            return;
        }
        let spec = Arc::clone(&state.spec);
        state.starting -= 1;
        state.reloading = None;
        let pause = FIRST_BACK_OFF * 2u32.saturating_pow(state.failures.min(16));
        state.failures = state.failures.saturating_add(1);
        state.start_after = Some(Instant::now() + pause.min(LONGEST_BACK_OFF));
        let told = if state.ready + state.starting == 0 {
            std::mem::take(&mut state.waiting)
        } else {
            VecDeque::new()
        };
        drop(state);
        let payload = failure.payload("");
        spec.observe(FunctionEvent::InitFailed { function: &spec.key, payload: &payload });
        for waiter in told {
            // A caller that went away needs no reason.
            let _ = waiter.grant.send(Grant::Failure(failure.clone()));
        }
        self.quiet.notify_waiters();
    }

    /// Takes back a process that can take another event.
    fn release(self: &Arc<Self>, worker: Box<Worker>, generation: u64) {
        let mut state = self.lock();
        if generation != state.generation {
            state.stale -= 1;
            drop(state);
            drop(worker);
            self.quiet.notify_waiters();
            return;
        }
        let mut lease = Lease::of(Arc::clone(self), worker, generation);
        while let Some(waiter) = state.waiting.pop_front() {
            match waiter.grant.send(Grant::Process(lease)) {
                Ok(()) => return,
                Err(Grant::Process(back)) => lease = back,
                Err(Grant::Failure(_)) => return,
            }
        }
        let Some(worker) = lease.worker.take() else { return };
        if state.closed {
            state.ready -= 1;
            drop(state);
            drop(worker);
            self.quiet.notify_waiters();
            return;
        }
        state.idle.push(worker);
        if state.idle.len() > 1 && !state.shrinking {
            state.shrinking = true;
            let pool = Arc::clone(self);
            self.runtime.spawn(async move { pool.shrink().await });
        }
    }

    /// Gives up a process that had its last event.
    fn retire(self: &Arc<Self>, worker: Box<Worker>, generation: u64) {
        self.runtime.spawn(worker.linger());
        let mut state = self.lock();
        if generation == state.generation {
            state.ready -= 1;
            self.start_if_none(&mut state);
        } else {
            state.stale -= 1;
        }
        drop(state);
        self.quiet.notify_waiters();
    }

    /// A process is gone. One with an event is retired when the event ends.
    fn forget(&self, pid: u32) {
        let mut state = self.lock();
        let Some(at) = state.idle.iter().position(|worker| worker.pid() == pid) else { return };
        let worker = state.idle.remove(at);
        state.ready -= 1;
        drop(state);
        drop(worker);
    }

    /// Starts one more process whenever the oldest event has waited too long. Ends when
    /// no event waits.
    async fn grow(self: Arc<Self>) {
        loop {
            let due = {
                let mut state = self.lock();
                let patience = state.spec.options.grow_after;
                while state.waiting.front().is_some_and(|waiter| waiter.grant.is_closed()) {
                    state.waiting.pop_front();
                }
                let Some(oldest) = state.waiting.front() else {
                    state.growing = false;
                    return;
                };
                let (due, now) = (oldest.since + patience, Instant::now());
                let may_start = state.ready + state.starting < state.spec.limit()
                    && (state.starting as usize) < state.waiting.len();
                if due > now {
                    due
                } else {
                    if may_start {
                        self.start_one(&mut state);
                    }
                    now + patience.max(Duration::from_millis(1))
                }
            };
            tokio::time::sleep_until(due.into()).await;
        }
    }

    /// Stops processes that are idle too long, all but one. Ends when at most one is idle.
    async fn shrink(self: Arc<Self>) {
        loop {
            let (surplus, next) = {
                let mut state = self.lock();
                let patience = state.spec.options.idle_shrink;
                let now = Instant::now();
                let is_old = |worker: &Worker| worker.idle_since + patience <= now;
                let old = state.idle.iter().take_while(|worker| is_old(worker)).count();
                let stopped = old.min(state.idle.len().saturating_sub(1));
                let surplus: Vec<_> = state.idle.drain(..stopped).collect();
                // At most as many as are ready were idle.
                state.ready -= u32::try_from(surplus.len()).unwrap_or(0);
                let next = match state.idle.first() {
                    Some(oldest) if state.idle.len() > 1 => Some(oldest.idle_since + patience),
                    _ => None,
                };
                state.shrinking = next.is_some();
                (surplus, next)
            };
            drop(surplus);
            let Some(next) = next else { return };
            tokio::time::sleep_until(next.into()).await;
        }
    }

    /// Takes no more events, and stops the processes that have none.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        // At most as many as are ready were idle.
        state.ready -= u32::try_from(idle.len()).unwrap_or(0);
        drop(state);
        drop(idle);
    }

    /// Waits until every event that was taken has ended.
    pub(crate) async fn drained(&self) {
        loop {
            let ended = self.quiet.notified();
            tokio::pin!(ended);
            // Listen before looking, so that no end is missed.
            ended.as_mut().enable();
            if self.is_quiet() {
                return;
            }
            ended.await;
        }
    }

    /// Whether no event is in progress or in line.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.lock();
        state.ready + state.starting + state.stale == 0 && state.waiting.is_empty()
    }

    /// Forgets the events in line: their callers learn that the host shuts down.
    pub(crate) fn abandon(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of an event that no process could be started for.
fn unstarted(request: &Request, failure: &InitFailure) -> Outcome {
    Outcome {
        request_id: request.id.clone(),
        payload: failure.payload(&request.id),
        error: Some(FunctionErrorKind::Unhandled),
        log_tail: request.want_log_tail.then(String::new),
        duration: Duration::ZERO,
        init_duration: None,
    }
}

// === impl Lease ===

impl Lease {
    fn of(pool: Arc<Pool>, worker: Box<Worker>, generation: u64) -> Self {
        Self { pool, generation, worker: Some(worker), unattended: false }
    }

    async fn run(mut self, request: &Request) -> Outcome {
        if let Some(worker) = &mut self.worker {
            worker.begin(request);
        }
        self.finish().await
    }

    async fn finish(mut self) -> Outcome {
        // Only `finish` and `drop` take the worker out, and both are the last use.
        #[expect(clippy::expect_used, reason = "a lease holds its worker until its end")]
        let verdict = self.worker.as_mut().expect("the worker is still lent").finish().await;
        if let Some(worker) = self.worker.take() {
            if verdict.usable {
                self.pool.release(worker, self.generation);
            } else {
                self.pool.retire(worker, self.generation);
            }
        }
        verdict.outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else { return };
        let (pool, generation) = (Arc::clone(&self.pool), self.generation);
        if self.unattended {
            pool.retire(worker, generation);
        } else if worker.has_event() {
            let lease = Self { pool, generation, worker: Some(worker), unattended: true };
            self.pool.runtime.spawn(async move {
                lease.finish().await;
            });
        } else {
            pool.release(worker, generation);
        }
    }
}
