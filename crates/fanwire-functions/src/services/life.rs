//! The life of one service: started, listened to, started again, stopped.

use std::collections::BTreeMap;
use std::io::PipeWriter;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fanwire_app::model::Service;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::ServiceState;
use super::back_off::BackOff;
use crate::environment;
use crate::lines::Lines;
use crate::link::Written;
use crate::observer::{FunctionEvent, Observer, Stream};
use crate::output::Output;
use crate::payload::Exit;
use crate::process::{Launch, Process, Processes, Started};

/// How long a service may take to end where it is started anew, or is not wanted any more.
const RESTART_GRACE: Duration = Duration::from_secs(2);

/// How long what an ended process has written is read for. A process that left its group
/// may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the shell ends that does not find what it is to run.
const NOT_FOUND: &str = "exit status 127";

/// What the supervisor wants. Only the latest counts: however often files are saved while
/// a process comes to its end, there is one new process.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What is to be run.
    pub(super) service: Service,
    /// How long the process may take to end by itself, once there is to be none.
    pub(super) stop: Option<Duration>,
}

/// What a change of [`Wanted`] asks for.
enum Order {
    /// A new process, whether or not there is one now.
    Restart,
    /// No process any more, and how long the one there is may take.
    Stop(Duration),
}

/// A service, and all that its task needs.
pub(super) struct Life {
    pub(super) key: String,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) processes: Arc<Processes>,
    /// See [`HostOptions::withheld`](crate::HostOptions::withheld).
    pub(super) withheld: Vec<String>,
    pub(super) states: watch::Sender<BTreeMap<String, ServiceState>>,
    /// Its sender dropped, the service is to stop.
    pub(super) wanted: watch::Receiver<Wanted>,
}

/// One process of the service, and what it writes.
struct Run {
    process: Process,
    output: Output,
    lines: [Lines; 2],
    /// Keeps its standard input open.
    _input: PipeWriter,
}

/// What ends the wait for the next run.
enum Next {
    Ordered(Order),
    TimeUp,
}

// === impl Life ===

impl Life {
    /// Keeps the service running until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut back_off = BackOff::default();
        while let Some(service) = self.wanted_now() {
            let begun = Instant::now();
            let how = match self.start(&service) {
                Ok(run) => match self.attend(run).await {
                    Ok(exit) => exit,
                    Err(Order::Restart) => {
                        back_off.reset();
                        continue;
                    }
                    Err(Order::Stop(_)) => return,
                },
                Err(error) => Exit::Failed(format!("it cannot be started: {error}")),
            };
            let ran = begun.elapsed();
            // What ends well has done its work.
            let again_in = (how != Exit::Silent).then(|| back_off.next(ran));
            self.tell_end(&how, ran, again_in);
            match self.wait(again_in.map(|delay| Instant::now() + delay)).await {
                Next::Ordered(Order::Stop(_)) => return,
                Next::Ordered(Order::Restart) => back_off.reset(),
                Next::TimeUp => {}
            }
        }
    }

    /// What is to be run as of now; nothing, once the service is to stop.
    fn wanted_now(&mut self) -> Option<Service> {
        let wanted = self.wanted.borrow_and_update();
        wanted.stop.is_none().then(|| wanted.service.clone())
    }

    fn start(&self, service: &Service) -> std::io::Result<Run> {
        let Service { command, folder, environment, .. } = service;
        let mut variables = environment::inherited(std::env::vars_os(), &self.withheld);
        variables.extend(environment.iter().map(|(name, value)| (name.into(), value.into())));
        let launch = Launch {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), command.into()],
            folder: folder.clone(),
            environment: variables,
        };
        let (started, input) = self.processes.spawn_with_input(launch, |_, _| {})?;
        let Started { process, stdout, stderr } = started;
        self.observer.observe(FunctionEvent::Spawned { function: &self.key, pid: process.pid() });
        self.set_state(ServiceState::Running);
        let output = Output::new(stdout, stderr);
        Ok(Run { process, output, lines: Default::default(), _input: input })
    }

    /// Listens to a process until it ends by itself, or is wanted no more and has ended.
    async fn attend(&mut self, mut run: Run) -> Result<Exit, Order> {
        let order = tokio::select! {
            exit = run.ended(&self.key, &*self.observer) => return Ok(exit),
            order = ordered(&mut self.wanted) => order,
        };
        let grace = match order {
            Order::Restart => RESTART_GRACE,
            Order::Stop(grace) => grace,
        };
        run.process.terminate();
        if timeout(grace, run.ended(&self.key, &*self.observer)).await.is_err() {
            run.process.kill();
            // A process that the kernel does not let go of is not waited for.
            let _ = timeout(grace, run.ended(&self.key, &*self.observer)).await;
        }
        Err(order)
    }

    /// Waits for an order, or until it is time.
    async fn wait(&mut self, until: Option<Instant>) -> Next {
        let time_up = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = time_up => Next::TimeUp,
            order = ordered(&mut self.wanted) => Next::Ordered(order),
        }
    }

    fn tell_end(&self, how: &Exit, ran: Duration, again_in: Option<Duration>) {
        let how = match how.as_str() {
            NOT_FOUND => "its command was not found; are the packages installed (`npm install`)?",
            how => how,
        };
        let function = &*self.key;
        self.set_state(ServiceState::Ended { how: how.to_owned() });
        self.observer.observe(FunctionEvent::ServiceEnded { function, how, ran, again_in });
    }

    fn set_state(&self, state: ServiceState) {
        self.states.send_modify(|states| {
            states.insert(self.key.clone(), state);
        });
    }
}

/// Waits until something else is wanted.
async fn ordered(wanted: &mut watch::Receiver<Wanted>) -> Order {
    let known = wanted.changed().await;
    let stop = wanted.borrow().stop;
    match (known, stop) {
        (Ok(()), None) => Order::Restart,
        (_, stop) => Order::Stop(stop.unwrap_or(RESTART_GRACE)),
    }
}

// === impl Run ===

impl Run {
    /// Waits for the end of the process, and tells all that it writes until then.
    async fn ended(&mut self, key: &str, observer: &dyn Observer) -> Exit {
        let Self { process, output, lines, .. } = self;
        let exit = std::future::poll_fn(|cx| {
            output.poll(cx, &mut |written| take(lines, written, key, observer));
            process.poll_exit(cx)
        })
        .await;
        let last_words = std::future::poll_fn(|cx| {
            output.poll(cx, &mut |written| take(lines, written, key, observer));
            if output.is_at_end() { Poll::Ready(()) } else { Poll::Pending }
        });
        let _ = timeout(LAST_WORDS, last_words).await;
        for (lines, stream) in lines.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            lines.flush(|text| tell(key, stream, text, observer));
        }
        exit
    }
}

fn take(lines: &mut [Lines; 2], written: Written<'_>, key: &str, observer: &dyn Observer) {
    let [stdout, stderr] = lines;
    if let Written::Native(stream, bytes) = written {
        let lines = if stream == Stream::Stdout { stdout } else { stderr };
        lines.push(bytes, |text| tell(key, stream, text, observer));
    }
}

fn tell(function: &str, stream: Stream, text: &str, observer: &dyn Observer) {
    observer.observe(FunctionEvent::Line { function, request_id: None, stream, text });
}
