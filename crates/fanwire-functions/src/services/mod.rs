//! Programs that run for as long as the server does: services of a Nitric project, or
//! development servers of sites. Unlike a function's process, such a program gets no events
//! from its host; it is started, listened to, started again when it ends, and stopped.
//!
//! A [`Supervisor`] has a set of them, and one task for each (`life`). Their processes are
//! the host's like those of functions: in groups of their own, known to the watchdog, and
//! ended with the host. What they write is told to the host's
//! [`Observer`](crate::Observer) as [`Line`](crate::FunctionEvent::Line)s of the service's
//! key.

mod back_off;
mod life;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanwire_app::model::Service;
use indexmap::IndexMap;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::life::{Life, Wanted};
use crate::host::Functions;
use crate::observer::Observer;
use crate::process::Processes;

/// How a service fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// It has a process.
    Running,
    /// It has ended by itself, or could not be started; it may be started again.
    Ended {
        /// How, such as `exit status 1`.
        how: String,
    },
}

/// A set of services, which run. Cheap to clone; all clones are the same set.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

struct Shared {
    observer: Arc<dyn Observer>,
    processes: Arc<Processes>,
    runtime: Handle,
    withheld: Vec<String>,
    running: Mutex<Running>,
    states: watch::Sender<BTreeMap<String, ServiceState>>,
}

#[derive(Default)]
struct Running {
    services: IndexMap<String, Supervised>,
    /// No more services are started.
    stopped: bool,
}

/// A service and the task that sees to it.
struct Supervised {
    /// Dropped, it tells the task to stop the service.
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
}

// === impl Functions ===

impl Functions {
    /// A supervisor of other programs, whose processes are this host's: they end with it
    /// at the latest. It has no services yet.
    pub fn supervisor(&self) -> Supervisor {
        let changing = self.host.changing();
        let maker = &changing.maker;
        let shared = Shared {
            observer: Arc::clone(&maker.observer),
            processes: Arc::clone(&maker.processes),
            runtime: maker.runtime.clone(),
            withheld: self.host.served.load().options.withheld.clone(),
            running: Mutex::default(),
            states: watch::Sender::default(),
        };
        Supervisor { shared: Arc::new(shared) }
    }
}

// === impl Supervisor ===

impl Supervisor {
    /// Runs these services from now on. One that is as it was keeps its process; others
    /// are started, started anew, or stopped. Does not wait for any of it.
    pub fn update(&self, services: &IndexMap<String, Service>) {
        let mut running = self.lock();
        if running.stopped {
            return;
        }
        running.services.retain(|key, _| services.contains_key(key));
        self.shared.states.send_modify(|states| {
            states.retain(|key, _| running.services.contains_key(key));
        });
        for (key, service) in services {
            match running.services.get(key) {
                // The old process ends before there is a new one.
                Some(supervised) => {
                    supervised.wanted.send_if_modified(|wanted| {
                        let is_other = wanted.service != *service;
                        if is_other {
                            wanted.service = service.clone();
                        }
                        is_other
                    });
                }
                None => {
                    let supervised = self.begin(key, service);
                    running.services.insert(key.clone(), supervised);
                }
            }
        }
    }

    /// Starts these services anew, those that wait to be started again included. Unknown
    /// keys are passed over. Does not wait.
    pub fn restart<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        let running = self.lock();
        for supervised in keys.into_iter().filter_map(|key| running.services.get(key)) {
            supervised.wanted.send_modify(|_| {});
        }
    }

    /// How each service fares, by its key, from when that is first known.
    pub fn states(&self) -> watch::Receiver<BTreeMap<String, ServiceState>> {
        self.shared.states.subscribe()
    }

    /// Asks all services to end, kills those that have not after `grace`, and starts no
    /// more.
    pub async fn stop(&self, grace: Duration) {
        let services = {
            let mut running = self.lock();
            running.stopped = true;
            std::mem::take(&mut running.services)
        };
        let ends: Vec<_> = services
            .into_values()
            .map(|supervised| {
                supervised.wanted.send_modify(|wanted| wanted.stop = Some(grace));
                supervised.task
            })
            .collect();
        for end in ends {
            // A task that panicked has dropped its process, which killed it.
            let _ = end.await;
        }
    }

    fn begin(&self, key: &str, service: &Service) -> Supervised {
        let (wanted, watched) = watch::channel(Wanted { service: service.clone(), stop: None });
        let shared = &self.shared;
        let life = Life {
            key: key.to_owned(),
            observer: Arc::clone(&shared.observer),
            processes: Arc::clone(&shared.processes),
            withheld: shared.withheld.clone(),
            states: shared.states.clone(),
            wanted: watched,
        };
        let task = shared.runtime.spawn(life.run());
        Supervised { wanted, task }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // Nothing under the lock leaves it half changed.
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("states", &*self.shared.states.borrow()).finish()
    }
}

#[cfg(test)]
mod tests;
