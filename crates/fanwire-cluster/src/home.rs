//! The thread that keeps a node in its cluster. It has a runtime of its own: a node whose
//! planes have all hands full must not be taken for dead, so what its place depends on, the
//! connection to NATS and the driver of leases, waits behind nothing else.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// A thread with a runtime, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    handle: Handle,
    /// Closed when this is dropped, which is what the thread waits for.
    _alive: watch::Sender<()>,
}

// === impl Home ===

impl Home {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, mut gone) = watch::channel(());
        let thread = std::thread::Builder::new().name("cluster".to_owned());
        thread.spawn(move || {
            // Whoever still runs there is dropped with the runtime.
            runtime.block_on(async move { while gone.changed().await.is_ok() {} });
        })?;
        Ok(Self { handle, _alive: alive })
    }

    /// Does something there, and waits for it. Where the thread is ending, for ever.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.handle.spawn(work).await {
            Ok(done) => done,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => std::future::pending().await,
            },
        }
    }
}
