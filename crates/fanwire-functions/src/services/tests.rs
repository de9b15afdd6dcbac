//! Services as real processes.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use super::*;
use crate::observer::FunctionEvent;
use crate::options::HostOptions;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Passes on what is written and how services end, and counts processes.
struct Teller {
    told: mpsc::Sender<String>,
    spawned: Arc<AtomicU32>,
}

impl Observer for Teller {
    fn observe(&self, event: FunctionEvent<'_>) {
        let _ = match event {
            FunctionEvent::Line { text, .. } => self.told.send(text.to_owned()),
            FunctionEvent::Spawned { .. } => {
                self.spawned.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            FunctionEvent::ServiceEnded { how, again_in, .. } => {
                let again = if again_in.is_some() { "again" } else { "done" };
                self.told.send(format!("{how}, {again}"))
            }
            _ => Ok(()),
        };
    }
}

struct Fixture {
    functions: Functions,
    supervisor: Supervisor,
    told: mpsc::Receiver<String>,
    spawned: Arc<AtomicU32>,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let (sender, told) = mpsc::channel();
        let spawned = Arc::<AtomicU32>::default();
        let observer = Arc::new(Teller { told: sender, spawned: Arc::clone(&spawned) });
        let functions =
            Functions::start(&IndexMap::new(), HostOptions::default(), observer).unwrap();
        let supervisor = functions.supervisor();
        Self { functions, supervisor, told, spawned, folder: tempfile::tempdir().unwrap() }
    }

    fn service(&self, command: &str) -> Service {
        Service {
            command: command.to_owned(),
            folder: self.folder.path().to_owned(),
            environment: IndexMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            restart_on_change: true,
        }
    }

    fn run(&self, command: &str) {
        self.supervisor.update(&IndexMap::from([("s".to_owned(), self.service(command))]));
    }

    async fn next(&self) -> String {
        tokio::task::block_in_place(|| self.told.recv_timeout(PATIENCE)).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// Whether a process is there and not only waits to be collected, for which a container
/// may have nobody.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_its_variables_and_an_input_that_stays_open() {
    let fixture = Fixture::new();
    fixture.run("echo $GREETING; read -r line; echo never");
    assert_eq!(fixture.next().await, "hello");
    let states = fixture.supervisor.states();
    assert_eq!(states.borrow().get("s"), Some(&ServiceState::Running));
    fixture.supervisor.stop(PATIENCE).await;
    assert!(fixture.told.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_started_again_and_one_that_ends_well_is_not() {
    let fixture = Fixture::new();
    fixture.run("if [ -e been ]; then echo twice; else touch been; echo once >&2; exit 3; fi");
    let told = [fixture.next().await, fixture.next().await];
    assert_eq!(told, ["once", "exit status 3, again"]);
    let told = [fixture.next().await, fixture.next().await];
    assert_eq!(told, ["twice", "exit status 0, done"]);
    let state = fixture.supervisor.states().borrow()["s"].clone();
    assert_eq!(state, ServiceState::Ended { how: "exit status 0".to_owned() });
    fixture.supervisor.restart(["s", "unknown"]);
    assert_eq!(fixture.next().await, "twice");
    fixture.functions.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_ends_the_old_process_and_its_children_before_the_new_one() {
    let fixture = Fixture::new();
    fixture.run("sleep 600 & echo $!; wait");
    let first = fixture.next().await;
    assert!(is_running(&first));
    fixture.supervisor.restart(["s"]);
    let second = fixture.next().await;
    assert_ne!(first, second);
    assert!(!is_running(&first), "{first} is still there");
    fixture.run("echo other");
    assert_eq!(fixture.next().await, "other");
    assert!(!is_running(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_want_to_end_is_killed() {
    let fixture = Fixture::new();
    fixture.run("trap '' TERM; echo $$; while :; do sleep 600; done");
    let pid = fixture.next().await;
    fixture.supervisor.stop(Duration::from_millis(50)).await;
    assert!(!is_running(&pid));
    // Nothing is started any more.
    fixture.run("touch started");
    assert!(!fixture.path("started").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_removed_ends_and_its_state_goes() {
    let fixture = Fixture::new();
    fixture.run("trap 'echo bye; exit' TERM; echo hi; read -r line");
    assert_eq!(fixture.next().await, "hi");
    fixture.supervisor.update(&IndexMap::new());
    assert_eq!(fixture.next().await, "bye");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_a_restart_is_wanted_while_the_process_ends_there_is_one() {
    let fixture = Fixture::new();
    let made = std::process::Command::new("mkfifo").arg(fixture.path("gate")).status();
    assert!(made.unwrap().success());
    fixture.run("trap 'echo ending; cat gate; exit' TERM; echo up; sleep 600 & wait");
    assert_eq!(fixture.next().await, "up");
    fixture.supervisor.restart(["s"]);
    assert_eq!(fixture.next().await, "ending");
    for _ in 0..5 {
        fixture.supervisor.restart(["s"]);
    }
    // Opens for whoever reads it, and is at its end.
    tokio::task::block_in_place(|| std::fs::write(fixture.path("gate"), "")).unwrap();
    assert_eq!(fixture.next().await, "up");
    fixture.supervisor.stop(Duration::from_millis(50)).await;
    assert_eq!(fixture.spawned.load(Ordering::Relaxed), 2);
}
