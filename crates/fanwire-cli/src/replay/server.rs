//! A server of its own for a check: this program's `dev`, with an empty data folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::client::{CommandError, Server};

/// How long the server may take to start; functions are built in it.
const START_TIMEOUT: Duration = Duration::from_secs(600);

/// How long it may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A server that ends with this.
pub(super) struct OwnServer {
    child: Child,
    data: DataFolder,
}

/// A folder that is gone with this.
struct DataFolder(PathBuf);

impl OwnServer {
    /// Starts it for the project in `path`.
    pub(super) async fn start(
        path: Option<&Path>,
        stage: Option<&str>,
    ) -> Result<(Self, Server), CommandError> {
        let failed = |source| CommandError::File { path: "fanwire dev".into(), source };
        let data = DataFolder::make()?;
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("dev").arg(path.unwrap_or(Path::new(".")));
        command.args(["--port", "0", "--json", "--data"]).arg(&data.0);
        if let Some(stage) = stage {
            command.args(["--stage", stage]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let Some(stdout) = child.stdout.take() else { return Err(CommandError::Ended) };
        let own = Self { child, data };
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(START_TIMEOUT, lines.next_line()).await;
        let ready = ready.ok().and_then(Result::ok).flatten().unwrap_or_default();
        // What is wrong it has said itself, on the standard error that it shares with us.
        let ready: Value = serde_json::from_str(&ready)
            .map_err(|_| CommandError::Failed("the server for the check did not start".into()))?;
        // It must never wait for somebody to read what it says.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let server = Server::at(&format!("http://127.0.0.1:{}", ready["port"]))?;
        Ok((own, server))
    }

    /// Stops it, as Ctrl-C does.
    pub(super) async fn stop(mut self) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        if let Some(pid) = pid {
            // Where it is gone already there is nothing to stop.
            let _ = kill_process(pid, Signal::INT);
        }
        // Out of patience: it is killed when it is dropped.
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await;
        drop(self.data);
    }
}

impl DataFolder {
    fn make() -> Result<Self, CommandError> {
        let path = std::env::temp_dir().join(format!("fanwire-check-{}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(CommandError::File { path, source }),
        }
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        // What is left in the system's folder for such things is not in anybody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
