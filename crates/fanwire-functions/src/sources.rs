//! Which files of the project a function is made of: what has to be watched for changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fanwire_app::model::{Code, Runtime};
use indexmap::IndexSet;

use crate::observer::FunctionEvent;
use crate::spec::Spec;

/// More files than a project has of its own. Beyond it, more are not kept.
const MOST_FILES: usize = 20_000;
/// Where a Node.js handler is looked for.
const NODE_EXTENSIONS: [&str; 7] = ["js", "mjs", "cjs", "ts", "mts", "cts", "tsx"];

/// The files of one function.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Where the handler is looked for, there or not: a file that is made later counts.
    own: Vec<PathBuf>,
    /// A folder of Rust sources, looked through when it is asked for.
    folder: Option<PathBuf>,
    /// What processes loaded, in that order.
    loaded: Mutex<IndexSet<PathBuf>>,
}

impl Sources {
    /// What is known before any process has run.
    pub(crate) fn of(code: &Code) -> Self {
        let (own, folder) = match code {
            Code::Handler { runtime, handler, root, .. } => {
                let root = real(root);
                let files = match runtime {
                    Runtime::Node => node_candidates(handler),
                    Runtime::Python => python_candidates(handler),
                };
                (files.into_iter().map(|file| root.join(file)).collect(), None)
            }
            Code::Command { command, root, build, .. } => {
                let root = real(root);
                let program = command.first().filter(|program| program.contains('/'));
                let mut files: Vec<PathBuf> =
                    program.map(|program| real(&root.join(program))).into_iter().collect();
                // What a build makes is no source: its change follows from theirs.
                if build.is_some() {
                    files = ["Cargo.toml", "Cargo.lock", "build.rs"]
                        .map(|name| root.join(name))
                        .into_iter()
                        .filter(|file| file.is_file())
                        .collect();
                }
                (files, build.is_some().then(|| root.join("src")))
            }
            // A change of inline code is one of the App.
            Code::Inline { .. } | Code::Lambda { .. } | Code::Http { .. } => (Vec::new(), None),
        };
        Self { own, folder, loaded: Mutex::default() }
    }

    /// Takes the names that a process told, parted by NUL, and tells those that are new.
    pub(crate) fn add(&self, spec: &Spec, names: &str) {
        let new: Vec<PathBuf> = {
            // Nothing under the lock leaves the set half changed.
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let room = MOST_FILES.saturating_sub(loaded.len());
            let is_new = |file: &PathBuf| loaded.insert(file.clone());
            names.split('\0').map(PathBuf::from).filter(is_new).take(room).collect()
        };
        if !new.is_empty() {
            spec.observe(FunctionEvent::Loaded { function: &spec.key, files: &new });
        }
    }

    /// Every file that is known.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: IndexSet<PathBuf> = self.own.iter().cloned().collect();
        if let Some(folder) = &self.folder {
            walk(folder, &mut files);
        }
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        files.extend(loaded.iter().cloned());
        files.into_iter().collect()
    }
}

fn node_candidates(handler: &str) -> Vec<PathBuf> {
    let (folder, name) = handler.rsplit_once('/').unwrap_or(("", handler));
    let module = name.split('.').next().unwrap_or(name);
    let file = |extension| Path::new(folder).join(format!("{module}.{extension}"));
    NODE_EXTENSIONS.into_iter().map(file).collect()
}

fn python_candidates(handler: &str) -> Vec<PathBuf> {
    let module = handler.rsplit_once('.').map_or(handler, |(module, _)| module);
    let path = module.replace('.', "/");
    vec![PathBuf::from(format!("{path}.py")), Path::new(&path).join("__init__.py")]
}

/// The path without symbolic links, as processes tell theirs; as it is where there is
/// nothing.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into())
}

/// All files in a folder and its folders. What cannot be read is left out.
fn walk(folder: &Path, files: &mut IndexSet<PathBuf>) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) if files.len() < MOST_FILES => {
                    files.insert(entry.path());
                }
                _ => {}
            }
        }
    }
}
