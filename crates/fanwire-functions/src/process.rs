//! Child processes: started in a group of their own, ended with all they started, and
//! never left behind.
//!
//! A child waits for a line on its standard input before it becomes the program (a
//! two-word shell script sees to that). The host writes the line only after the
//! watchdog knows of the group, so there is no moment in which killing the host would
//! leave a process that nobody knows of. The same script moves our bootstraps' channel
//! from standard input to file descriptor 3, where no handler's child process finds it,
//! and opens `/dev/null` as standard input: what Lambda gives.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::sync::{oneshot, watch};

use crate::environment::Environment;
use crate::payload::Exit;
use crate::watchdog::Watchdog;

/// Waits for the host's line, then becomes the program. The host raises its own limit of
/// open files for its connections; a function gets 1,024, as on Lambda.
const SHELL: &str = "/bin/sh";
const PLAIN: &str = r#"ulimit -S -n 1024 2>/dev/null; read -r go && exec "$@" </dev/null"#;
const WITH_CHANNEL: &str =
    r#"ulimit -S -n 1024 2>/dev/null; read -r go && exec "$@" 3<&0 0</dev/null"#;
const WITH_INPUT: &str = r#"ulimit -S -n 1024 2>/dev/null; read -r go && exec "$@""#;
/// How often the memory of a process is looked at, at most.
const MEMORY_SAMPLE: Duration = Duration::from_secs(1);

/// What to start, and how.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) folder: PathBuf,
    pub(crate) environment: Environment,
}

/// A process that was started, and its outputs.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

/// All processes of the host.
pub(crate) struct Processes {
    groups: Mutex<Groups>,
    count: watch::Sender<usize>,
    watchdog: Option<Watchdog>,
}

#[derive(Default)]
struct Groups {
    running: HashSet<u32>,
    /// Processes by the port that a debugger attaches to; the last that was started.
    inspected: HashMap<u16, u32>,
    /// No more processes are started.
    closed: bool,
}

/// A child process and whatever it started, as long as that stays in its process group.
/// Killed when dropped.
pub(crate) struct Process {
    pid: u32,
    exit: oneshot::Receiver<Exit>,
    exited: Option<Exit>,
    peak_mb: u32,
    sampled: Option<Instant>,
}

// === impl Processes ===

impl Processes {
    pub(crate) fn new(watchdog: Option<Watchdog>) -> Self {
        Self { groups: Mutex::default(), count: watch::Sender::new(0), watchdog }
    }

    /// Starts a program that has the returned stream as file descriptor 3. `on_exit` is
    /// called once, when the process is gone.
    pub(crate) fn spawn_with_channel(
        self: &Arc<Self>,
        launch: Launch,
        on_exit: impl FnOnce(u32, &Exit) + Send + 'static,
    ) -> io::Result<(Started, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = self.command(launch, WITH_CHANNEL, OwnedFd::from(theirs))?;
        let started = self.watch(child, on_exit)?;
        (&ours).write_all(b"\n")?;
        Ok((started, ours))
    }

    /// Starts a program with nothing on its standard input.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        launch: Launch,
        on_exit: impl FnOnce(u32, &Exit) + Send + 'static,
    ) -> io::Result<Started> {
        let (theirs, mut ours) = io::pipe()?;
        let child = self.command(launch, PLAIN, OwnedFd::from(theirs))?;
        let started = self.watch(child, on_exit)?;
        ours.write_all(b"\n")?;
        Ok(started)
    }

    /// Starts a program whose standard input is the returned pipe: it stays open, with
    /// nothing to read, as long as the pipe does. Programs that watch files tend to end
    /// when theirs ends.
    pub(crate) fn spawn_with_input(
        self: &Arc<Self>,
        launch: Launch,
        on_exit: impl FnOnce(u32, &Exit) + Send + 'static,
    ) -> io::Result<(Started, PipeWriter)> {
        let (theirs, mut ours) = io::pipe()?;
        let child = self.command(launch, WITH_INPUT, OwnedFd::from(theirs))?;
        let started = self.watch(child, on_exit)?;
        ours.write_all(b"\n")?;
        Ok((started, ours))
    }

    fn command(
        &self,
        launch: Launch,
        script: &str,
        stdin: OwnedFd,
    ) -> io::Result<tokio::process::Child> {
        if self.lock().closed {
            return Err(io::Error::other("the host is shutting down"));
        }
        Command::new(SHELL)
            .arg("-c")
            .arg(script)
            .arg("fanwire")
            .arg(launch.program)
            .args(launch.args)
            .current_dir(launch.folder)
            .env_clear()
            .envs(launch.environment)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    /// Makes a new child known, and sees to its end.
    fn watch(
        self: &Arc<Self>,
        mut child: tokio::process::Child,
        on_exit: impl FnOnce(u32, &Exit) + Send + 'static,
    ) -> io::Result<Started> {
        let gone = || io::Error::other("the process ended as it started");
        let pid = child.id().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let stderr = child.stderr.take().ok_or_else(gone)?;
        self.add(pid);
        let (told, exit) = oneshot::channel();
        let processes = Arc::clone(self);
        tokio::spawn(async move {
            let exit = match child.wait().await {
                Ok(status) => Exit::of(status),
                Err(error) => Exit::Failed(error.to_string()),
            };
            // What the process itself started ends with it.
            kill_group(pid);
            processes.remove(pid);
            on_exit(pid, &exit);
            // Nobody listens where the process was stopped by the host.
            let _ = told.send(exit);
        });
        let process = Process { pid, exit, exited: None, peak_mb: 0, sampled: None };
        Ok(Started { process, stdout, stderr })
    }

    fn add(&self, pid: u32) {
        self.count.send_modify(|count| *count += 1);
        if let Some(watchdog) = &self.watchdog {
            watchdog.watch(pid);
        }
        let mut groups = self.lock();
        groups.running.insert(pid);
        if groups.closed {
            kill_group(pid);
        }
    }

    fn remove(&self, pid: u32) {
        self.lock().running.remove(&pid);
        if let Some(watchdog) = &self.watchdog {
            watchdog.forget(pid);
        }
        self.count.send_modify(|count| *count -= 1);
    }

    /// The process has this port for a debugger.
    pub(crate) fn has_port(&self, port: u16, pid: u32) {
        self.lock().inspected.insert(port, pid);
    }

    /// Ends the process that has this port for a debugger, and waits until it is gone.
    pub(crate) async fn free_port(&self, port: u16) {
        let Some(pid) = self.lock().inspected.remove(&port) else { return };
        let is_gone = || {
            let groups = self.lock();
            let is_running = groups.running.contains(&pid);
            if is_running {
                kill_group(pid);
            }
            !is_running
        };
        // The sender is in `self`: the channel cannot close before.
        let _ = self.count.subscribe().wait_for(|_| is_gone()).await;
    }

    /// Kills every process of the host, and starts no more.
    pub(crate) fn close(&self) {
        let mut groups = self.lock();
        groups.closed = true;
        groups.running.iter().copied().for_each(kill_group);
    }

    fn lock(&self) -> MutexGuard<'_, Groups> {
        // Nothing under the lock leaves the groups half changed.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no process is left.
    pub(crate) async fn gone(&self) {
        // The sender is in `self`: the channel cannot close before.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

// === impl Process ===

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process and all it started, at once.
    pub(crate) fn kill(&mut self) {
        // Once it is gone, the system may give its id to another.
        if self.exited.is_none() {
            match self.exit.try_recv() {
                Ok(exit) => self.exited = Some(exit),
                Err(_) => kill_group(self.pid),
            }
        }
    }

    /// Asks the process, and all it started, to end.
    pub(crate) fn terminate(&mut self) {
        if self.exited.is_none() {
            match self.exit.try_recv() {
                Ok(exit) => self.exited = Some(exit),
                Err(_) => signal_group(self.pid, Signal::TERM),
            }
        }
    }

    /// How the process ended, once it has.
    pub(crate) fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        if self.exited.is_none() {
            let exit = match std::pin::Pin::new(&mut self.exit).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(exit)) => exit,
                // The task that waits for the process is gone with its runtime.
                Poll::Ready(Err(_)) => Exit::Failed("the host is shutting down".to_owned()),
            };
            self.exited = Some(exit);
        }
        Poll::Ready(self.exited.clone().unwrap_or(Exit::Silent))
    }

    /// The process's peak resident memory in MB, at most a second old.
    pub(crate) fn peak_memory_mb(&mut self, now: Instant) -> u32 {
        if self.sampled.is_none_or(|at| now.duration_since(at) >= MEMORY_SAMPLE) {
            self.sampled = Some(now);
            self.peak_mb = read_peak_mb(self.pid).unwrap_or(self.peak_mb);
        }
        self.peak_mb
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a process group.
fn kill_group(pid: u32) {
    signal_group(pid, Signal::KILL);
}

/// Sends a process group a signal. It may be gone: then there is nothing to do.
fn signal_group(pid: u32, signal: Signal) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(target_os = "linux")]
fn read_peak_mb(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes.div_ceil(1024))
}

#[cfg(not(target_os = "linux"))]
fn read_peak_mb(_: u32) -> Option<u32> {
    None
}
