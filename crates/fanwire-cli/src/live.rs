//! An App that is served and follows its files: code, `.env` and project file.
//!
//! Code is the functions' own affair: those that have loaded a changed file get new
//! processes. A project file is read again as a whole, and what differs is applied to
//! the running server; one with a mistake changes nothing and shows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanwire_app::{App, Loaded};
use fanwire_functions::{FunctionEvent, Observer};
use fanwire_server::Server;
use tokio::sync::Notify;

use crate::args::ProjectArgs;
use crate::console::Console;
use crate::project;
use crate::services;
use crate::sites::Sites;
use crate::watch::Watcher;

/// A served App and what it follows.
pub(crate) struct Live<'a> {
    pub(crate) project: &'a ProjectArgs,
    pub(crate) server: &'a Server,
    sites: &'a Sites,
    pub(crate) console: &'a Console,
    app: App,
    /// The files that the App was read from, and those that would be if they were there.
    files: Vec<PathBuf>,
    watcher: Watcher,
}

/// Passes on what functions tell, and tells of files that they load.
pub(crate) struct LoadTeller {
    pub(crate) to: Arc<Console>,
    pub(crate) loaded: Arc<Notify>,
}

impl Observer for LoadTeller {
    fn observe(&self, event: FunctionEvent<'_>) {
        if matches!(event, FunctionEvent::Loaded { .. }) {
            self.loaded.notify_one();
        }
        self.to.observe(event);
    }
}

// === impl Live ===

impl<'a> Live<'a> {
    /// Watches the files of an App that is served already.
    ///
    /// # Errors
    ///
    /// Where the system has no watches left.
    pub(crate) fn new(
        project: &'a ProjectArgs,
        server: &'a Server,
        sites: &'a Sites,
        console: &'a Console,
        loaded: &Loaded,
    ) -> notify::Result<Self> {
        let watcher = Watcher::new()?;
        let files = loaded.files.iter().map(|file| real(file)).collect();
        let app = loaded.app.clone();
        let mut live = Self { project, server, sites, console, app, files, watcher };
        live.watch()?;
        Ok(live)
    }

    /// Follows the files for ever. `loaded` tells when functions have loaded more of them.
    pub(crate) async fn follow(&mut self, loaded: &Notify) {
        loop {
            tokio::select! {
                changed = self.watcher.changed() => self.changed(&changed).await,
                () = loaded.notified() => {}
            }
            if let Err(error) = self.watch() {
                self.console.news(format!("some changes will not be noticed: {error}"));
            }
        }
    }

    async fn changed(&mut self, changed: &BTreeSet<PathBuf>) {
        let mut restarted = Vec::new();
        if self.files.iter().any(|file| concerns(changed, file)) {
            restarted = self.read_again().await;
        }
        let functions = self.server.functions();
        // Handlers read `.env` themselves too, and nobody knows which.
        let everybody = changed.iter().any(|path| is_dotenv(path, &real(&self.app.root)));
        let sources = functions.sources();
        let sources = sources.iter().filter(|(key, _)| !restarted.contains(key));
        let is_edited = |files: &[PathBuf]| files.iter().any(|file| concerns(changed, file));
        let edited = || {
            let edited = sources.clone().filter(|(_, files)| is_edited(files));
            edited.map(|(key, _)| key.as_str())
        };
        if everybody {
            functions.reload(sources.clone().map(|(key, _)| key.as_str()));
        } else {
            functions.reload(edited());
        }
        functions.start_unused(edited());
        if services::sources(&self.app).iter().any(|file| changed.contains(&real(file))) {
            let keys = services::followed(&self.app).map(|(key, _)| key);
            self.server.restart_nitric_services(keys);
        }
    }

    /// Reads the project file again and serves what it says now. Says which functions
    /// have new processes for it.
    async fn read_again(&mut self) -> Vec<String> {
        let loaded = match project::load(self.project) {
            Ok(loaded) => loaded,
            Err(error) => {
                self.console.news(format!("{error}\nthe app runs on as it was"));
                // One that was not read before may mend it; one that was may come back.
                for file in error.files.iter().map(|file| real(file)) {
                    if !self.files.contains(&file) {
                        self.files.push(file);
                    }
                }
                return Vec::new();
            }
        };
        for warning in &loaded.warnings {
            self.console.news(warning.to_string());
        }
        let Loaded { app, files, .. } = loaded;
        self.files = files.iter().map(|file| real(file)).collect();
        if self.app == app {
            return Vec::new();
        }
        let changes = self.app.changes(&app);
        match self.server.apply(&app).await {
            Ok(applied) => {
                let file = app.file.file_name().unwrap_or_default().to_string_lossy();
                // What nobody would notice, such as the order of APIs, is not told.
                if !changes.is_empty() {
                    self.console.news(format!("{file} changed: {}", changes.join("; ")));
                }
                for note in applied.tables {
                    self.console.news(note.to_string());
                }
                self.sites.update(&app, self.server);
                self.app = app;
                [applied.functions.added, applied.functions.changed].concat()
            }
            Err(error) => {
                self.console.news(format!("{error}\nthe app runs on as it was"));
                Vec::new()
            }
        }
    }

    fn watch(&mut self) -> notify::Result<()> {
        let root = real(&self.app.root);
        let sources = self.server.functions().sources();
        let code = sources.iter().flat_map(|(_, files)| files).map(PathBuf::as_path);
        let dotenv = root.join(".env");
        let own = self.files.iter().map(PathBuf::as_path).chain([dotenv.as_path()]);
        let services = services::sources(&self.app);
        let services: Vec<_> = services.iter().map(|file| real(file)).collect();
        let services = services.iter().map(PathBuf::as_path);
        self.watcher.watch(own.chain(code).chain(services), &root)
    }
}

/// Whether a file has changed, or a folder that it is in has come or gone.
fn concerns(changed: &BTreeSet<PathBuf>, file: &Path) -> bool {
    file.ancestors().any(|path| changed.contains(path))
}

fn is_dotenv(path: &Path, root: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.parent() == Some(root) && (name == ".env" || name.starts_with(".env."))
}

/// The path that the system tells changes of: the folder's real one, also where the file
/// is not there.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !folder.as_os_str().is_empty() => real(folder).join(name),
        (_, Some(name)) => std::env::current_dir().map_or_else(|_| path.into(), |at| at.join(name)),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_concerned_by_itself_and_by_the_folders_that_it_is_in() {
        let changed = BTreeSet::from([PathBuf::from("/app/lib")]);
        assert!(concerns(&changed, Path::new("/app/lib/a.js")));
        assert!(concerns(&changed, Path::new("/app/lib")));
        assert!(!concerns(&changed, Path::new("/app/library.js")));
        assert!(!concerns(&changed, Path::new("/app")));
    }

    #[test]
    fn env_files_are_those_beside_the_project_file() {
        let root = Path::new("/app");
        for name in [".env", ".env.dev", ".env.local"] {
            assert!(is_dotenv(&root.join(name), root), "{name}");
        }
        for name in [".envrc", "env", "lib/.env"] {
            assert!(!is_dotenv(&root.join(name), root), "{name}");
        }
    }
}
