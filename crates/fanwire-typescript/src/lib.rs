//! TypeScript made JavaScript, for projects that have no tool for it: a handler of SST or
//! SAM is deployed by a bundler that its framework brings, so the project itself often has
//! none.
//!
//! # Brief overview
//!
//! - [`compile`] takes a file and follows what it imports, as a bundler would: extensions
//!   may be left out, `./a.js` may mean `./a.ts`, folders have index files, `tsconfig.json`
//!   has paths, JSON is imported as it is, and packages of the same workspace may be
//!   TypeScript. What is in `node_modules` is left where it is.
//! - [`Compiled`] is the result: the text of every file of the project, and where each of
//!   its imports leads. It is written as JSON to whoever runs it, a loader in Node.js.
//!
//! Types are removed and not checked. The language is oxc's; the rules of resolution are
//! those of its resolver.

mod error;
mod imports;
mod module;
mod resolve;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Serialize;

pub use self::error::CompileError;
pub use self::module::{Format, Module};
use self::resolve::Project;

/// The most files that are compiled for one entry.
const MAX_FILES: usize = 10_000;

/// A file and what it imports of its project.
#[derive(Debug, Serialize)]
pub struct Compiled {
    /// By absolute path, the entry first.
    pub modules: IndexMap<PathBuf, Module>,
    /// The `tsconfig.json` files that had a say, as absolute paths.
    pub configs: Vec<PathBuf>,
}

/// Compiles a file and what it imports of its project.
///
/// # Errors
///
/// Where a file cannot be read, or is not the language that it is said to be. What an
/// import leads to is no matter here: one that leads nowhere fails when it is run.
pub fn compile(entry: &Path) -> Result<Compiled, CompileError> {
    let entry = std::fs::canonicalize(entry)
        .map_err(|source| CompileError::Read { path: entry.to_owned(), source })?;
    let project = Project::new();
    let mut modules = IndexMap::new();
    let mut waiting = VecDeque::from([entry.clone()]);
    let mut configs = Vec::new();
    while let Some(path) = waiting.pop_front() {
        if modules.contains_key(&path) {
            continue;
        }
        if modules.len() == MAX_FILES {
            return Err(CompileError::TooMany { entry, most: MAX_FILES });
        }
        let config = project.config(&path);
        if let Some(path) = config.path().filter(|path| !configs.contains(*path)) {
            configs.push(path.clone());
        }
        let compiled = module::compile(&path, &config, &project)?;
        waiting.extend(compiled.imports.values().filter(|path| resolve::is_ours(path)).cloned());
        modules.insert(path, compiled);
    }
    Ok(Compiled { modules, configs })
}

#[cfg(test)]
mod tests;
