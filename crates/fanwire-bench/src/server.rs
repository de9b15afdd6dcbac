//! Servers under test: processes that are started, fed with commands, and ended.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::{Result, Settings, serve};

/// How long a server may take to accept its first connection: the Serverless Framework
/// takes some seconds.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long a server may take to stop before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// Clients that most servers can take at once: fewer than a listener's backlog.
const HANDSHAKES: usize = 100;

/// The core that servers run on, where they are pinned to one.
const SERVERS_CORE: &str = "0";

/// The core that the clients run on then.
const CLIENTS_CORE: &str = "1";

/// Has something published: `publish COUNT TEXT`.
pub(crate) const PUBLISH: &str = "publish";

/// A server that is running.
pub(crate) struct Server {
    /// What it is called in tables.
    pub(crate) name: &'static str,
    /// The path of its WebSocket URL.
    pub(crate) path: &'static str,
    /// Clients that may be in their handshake at once.
    pub(crate) handshakes: usize,
    port: u16,
    child: Child,
    answers: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// `fanwire dev` on an app of the peers' folder, with the open profile: no quotas in
    /// the way.
    pub(crate) fn fanwire(app: &str, settings: &Settings) -> Result<Self> {
        Self::fanwire_at(&settings.peers.join(app), settings)
    }

    /// The same, on an app in whichever folder.
    pub(crate) fn fanwire_at(folder: &Path, settings: &Settings) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(&settings.fanwire);
        command.arg("dev").arg(folder);
        command.args(["--profile", "open", "--json", "--port", &port.to_string()]);
        command.stdout(Stdio::null());
        Self::start("fanwire", "/dev", port, command)
    }

    /// The same server within this program, which can be told to broadcast and counts
    /// its heap.
    pub(crate) fn fanwire_in_process(settings: &Settings) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", &port.to_string(), "--peers"]).arg(&settings.peers);
        command.stdout(Stdio::piped());
        Self::start("fanwire", "/dev", port, command)
    }

    /// npm's ws.
    pub(crate) fn ws(settings: &Settings) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("node");
        command.arg(settings.peers.join("ws-server.mjs")).arg(port.to_string());
        command.stdout(Stdio::null());
        Self::start("ws", "/", port, command)
    }

    /// Procedures that this program serves natively, on the servers' core.
    pub(crate) fn procedures(name: &'static str) -> Result<Self> {
        let port = free_port()?;
        let mut command = pinned(std::env::current_exe()?);
        command.args(["procedures", &port.to_string()]).stdout(Stdio::null());
        Self::start(name, "/trpc", port, command)
    }

    /// The same that `@trpc/server` serves, in one of the styles that it has.
    pub(crate) fn trpc(name: &'static str, style: &str, settings: &Settings) -> Result<Self> {
        let port = free_port()?;
        let mut command = pinned("node");
        command.arg(settings.peers.join("trpc-server.mjs"));
        command.args([&port.to_string(), style]).stdout(Stdio::null());
        Self::start(name, "/", port, command)
    }

    /// serverless-offline on the app, with handlers in worker threads (its default) or
    /// in its own process.
    pub(crate) fn serverless_offline(in_process: bool, settings: &Settings) -> Result<Self> {
        let (port, http, lambda) = (free_port()?, free_port()?, free_port()?);
        let cli =
            std::path::absolute(settings.peers.join("node_modules/serverless/bin/serverless.js"))?;
        let mut command = Command::new("node");
        command.arg(cli).arg("offline").current_dir(settings.peers.join("app"));
        command.args(["--host", "127.0.0.1", "--noPrependStageInUrl", "--localEnvironment"]);
        command.stdout(Stdio::null());
        command.args(["--websocketPort", &port.to_string()]);
        command.args(["--httpPort", &http.to_string(), "--lambdaPort", &lambda.to_string()]);
        if in_process {
            command.arg("--useInProcess");
        }
        command.env("BENCH_MANAGEMENT_URL", format!("http://127.0.0.1:{port}"));
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_REGION", "us-east-1"),
            ("SLS_TELEMETRY_DISABLED", "1"),
            ("SLS_NOTIFICATIONS_MODE", "off"),
        ] {
            command.env(name, value);
        }
        let name =
            if in_process { "serverless-offline --useInProcess" } else { "serverless-offline" };
        // It may take clients that connect at the same time for one another.
        let mut server = Self::start(name, "/", port, command)?;
        server.handshakes = 1;
        Ok(server)
    }

    pub(crate) fn start(
        name: &'static str,
        path: &'static str,
        port: u16,
        mut command: Command,
    ) -> Result<Self> {
        let described = format!("{command:?}");
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| format!("cannot start {described}: {error}"))?;
        let answers = child.stdout.take().map(BufReader::new);
        let mut server = Self { name, path, handshakes: HANDSHAKES, port, child, answers };
        server.await_listener(port).map_err(|error| format!("{described} {error}"))?;
        Ok(server)
    }

    /// Waits until it accepts connections on a port.
    pub(crate) fn await_listener(&mut self, port: u16) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("ended at its start: {status}").into());
            }
            if started.elapsed() > START_PATIENCE {
                return Err(format!("does not listen on port {port}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it send a text to every connection, `count` times.
    pub(crate) fn broadcast(&mut self, count: usize, text: &str) -> Result<()> {
        self.tell(&format!("{} {count} {text}", serve::BROADCAST))
    }

    /// Has it publish a text to its subscribers, `count` times at once.
    pub(crate) fn publish(&mut self, count: usize, text: &str) -> Result<()> {
        self.tell(&format!("{PUBLISH} {count} {text}"))
    }

    /// The bytes that it has allocated. Only [`Server::fanwire_in_process`] knows.
    pub(crate) fn heap_bytes(&mut self) -> Result<u64> {
        self.tell(serve::HEAP_BYTES)?;
        let mut line = String::new();
        self.answers.as_mut().ok_or("the server gives no answers")?.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().ok_or("the server takes no commands")?;
        writeln!(stdin, "{line}")
            .map_err(|error| format!("{} takes no commands: {error}", self.name))?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id())
            .map_err(drop)
            .and_then(|pid| Pid::from_raw(pid).ok_or(()))
        {
            // A server that is gone already has nothing to stop.
            let _ = kill_process(pid, Signal::TERM);
        }
        let told = Instant::now();
        while told.elapsed() < STOP_PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on the servers' core.
pub(crate) fn pinned(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVERS_CORE]).arg(program);
    command
}

/// Keeps this program, the clients, off the servers' core.
pub(crate) fn pin_clients() -> Result<()> {
    let pid = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["-a", "-p", "-c", CLIENTS_CORE, &pid])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("taskset of util-linux: {error}"))?;
    if pinned.success() { Ok(()) } else { Err("taskset could not pin this program".into()) }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Raises this process's limit of open files, which servers inherit, as far as it goes,
/// and tells how far that is.
pub(crate) fn raise_open_files() -> Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(limit.maximum.map_or(usize::MAX, |maximum| maximum as usize))
}

/// The version that a peer's package says it has.
pub(crate) fn package_version(peers: &Path, package: &str) -> String {
    let manifest = peers.join("node_modules").join(package).join("package.json");
    std::fs::read(manifest)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .and_then(|manifest| Some(manifest.get("version")?.as_str()?.to_owned()))
        .unwrap_or_else(|| "not installed".to_owned())
}
