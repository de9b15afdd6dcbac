//! Waiting for a server that is leaving on this machine, whose place this one takes.

use std::path::Path;
use std::time::Duration;

use fanwire_app::App;
use fanwire_app::serve::drain::Drain;
use fanwire_server::{Predecessor, ServerOptions};

use crate::console::Console;
use crate::data;

/// How often to look whether it has left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How much longer than it takes a server to leave it may take until somebody tells it to.
const NOTICE: Duration = Duration::from_secs(30);

/// A server that did not leave.
#[derive(Debug, thiserror::Error)]
#[error(
    "{who} still has {folder} after {waited:?}; stop it (kill -TERM), or serve from another \
    folder (--data)"
)]
pub(super) struct StillThere {
    who: String,
    folder: String,
    waited: Duration,
}

/// Waits until nobody else has the folders of the server that `options` are for. As soon as
/// who has them is leaving, clients of this one may wait in its queues.
///
/// # Errors
///
/// [`StillThere`], where that takes longer than a server takes to leave.
pub(super) async fn await_folders(
    app: &App,
    options: &mut ServerOptions,
    (folder, drain): (&Path, &Drain),
    console: &Console,
) -> Result<(), StillThere> {
    let patience = drain.window + 2 * drain.grace + NOTICE;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let until = tokio::time::Instant::now() + patience;
    let (mut told, mut listens) = (false, false);
    while let Some(predecessor) = who_stays(options, folder, told) {
        let who = name(&predecessor);
        let place = predecessor.folder.display().to_string();
        if tokio::time::Instant::now() >= until {
            return Err(StillThere { who, folder: place, waited: patience });
        }
        if !told {
            told = true;
            console.news(format!(
                "waiting up to {patience:?} for {who} to leave {place}; it does on SIGTERM"
            ));
        }
        // Its listeners close just after it has said so. Not before: who connects would have
        // to wait for nothing.
        if !listens && data::leaving(folder).is_some() {
            listens = options.listen(app).is_ok();
        }
        ticks.tick().await;
    }
    Ok(())
}

/// Who has the folders, or is about to end after it `had` them: until then it also has, for
/// example, the address of its metrics.
fn who_stays(options: &ServerOptions, folder: &Path, had: bool) -> Option<Predecessor> {
    let leaving = || {
        if !had {
            return None;
        }
        let pid = data::leaving(folder)?;
        Some(Predecessor { folder: folder.to_owned(), pid: Some(pid) })
    };
    options.predecessor().or_else(leaving)
}

fn name(predecessor: &Predecessor) -> String {
    match predecessor.pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
