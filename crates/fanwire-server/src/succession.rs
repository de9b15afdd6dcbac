//! Taking over from a server that is leaving on the same machine.
//!
//! Two processes may listen in the same place, but what outlives them, sessions and tables, is
//! one's at a time. So the one that comes begins to listen as soon as the other one closes its
//! listeners: clients that were sent away find a queue to wait in, which is served once the
//! other one has let go of its folders.

use std::io;
use std::path::PathBuf;

use fanwire_app::App;

use crate::server::ServerOptions;

/// Somebody who has what a server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// What it has: a folder.
    pub folder: PathBuf,
    /// The process's id, where it is known.
    pub pid: Option<u32>,
}

impl ServerOptions {
    /// Who else has the folders that a server with these options would open.
    pub fn predecessor(&self) -> Option<Predecessor> {
        let stores = [self.realtime_folder.as_ref(), self.nitric.folder.as_ref()];
        for folder in stores.into_iter().flatten() {
            if let Some(holder) = fanwire_store::holder(folder) {
                return Some(Predecessor { folder: folder.clone(), pid: holder.pid });
            }
        }
        let tables = &self.tables.as_ref()?.folder;
        let in_use = fanwire_dynamodb::is_in_use(tables);
        in_use.then(|| Predecessor { folder: tables.clone(), pid: None })
    }

    /// Begins to listen where clients of `app` connect, for a server that is started with
    /// these options later. What is open already stays so.
    ///
    /// # Errors
    ///
    /// Where a place is still taken; it may be tried again.
    pub fn listen(&mut self, app: &App) -> io::Result<()> {
        for listener in &mut self.listeners {
            listener.open(self.sharing)?;
        }
        self.realtime_listeners.open(app, self.sharing)
    }
}
