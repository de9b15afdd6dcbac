//! A project file while it is read: what importers are given, and where they report
//! faults.

use std::path::{Component, Path, PathBuf};

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::{Diagnostic, Issue, Issues, LoadError};
use crate::model::{App, DynamoDbChoice, Profile};
use crate::source::{FileId, Sources, Span};

/// What the command line and the environment say.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--stage`
    pub stage: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--param NAME=VALUE`
    pub params: IndexMap<String, String>,
    /// Every other option, for `${opt:NAME}`.
    pub options: IndexMap<String, String>,
    /// The process environment. It is passed in and never read here.
    pub environment: IndexMap<String, String>,
    /// `--profile`; it wins over the file's.
    pub profile: Option<Profile>,
    /// `--dynamodb`; it wins over the file's.
    pub dynamodb: Option<DynamoDbChoice>,
    /// A command, the program and its arguments, that is given the path of a file in
    /// TypeScript and writes what `fanwire_typescript::compile` makes of it as JSON: for
    /// an `sst.config.ts`. Empty: it is taken for JavaScript.
    pub typescript: Vec<String>,
}

/// An App, and what its file says that has no effect or an unexpected one.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The App.
    pub app: App,
    /// Faults that do not keep the App from running.
    pub warnings: Vec<Diagnostic>,
    /// Every file that decided what the App is, as absolute paths: the project file,
    /// what its variables include or it imports, and `.env` files. Some may not exist: once they do,
    /// the App is another one.
    pub files: Vec<PathBuf>,
}

/// One file that is being read.
pub(crate) struct Reading<'o> {
    /// The file and the folder that it is in.
    pub(crate) file: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) file_id: FileId,
    pub(crate) options: &'o LoadOptions,
    pub(crate) sources: Sources,
    pub(crate) issues: Issues,
    /// The files that were read, or would have been if they existed.
    pub(crate) files: Vec<PathBuf>,
    /// The environment variables that secrets were taken from.
    pub(crate) variables: IndexSet<String>,
}

impl<'o> Reading<'o> {
    pub(crate) fn new(path: &Path, text: String, options: &'o LoadOptions) -> Self {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        // Functions are started elsewhere and told this path.
        let folder = absolute(&folder);
        let mut sources = Sources::default();
        let file_id = sources.add(path.to_owned(), text);
        let issues = Issues::default();
        let files = vec![absolute(path)];
        let variables = IndexSet::new();
        Self { file: path.to_owned(), folder, file_id, options, sources, issues, files, variables }
    }

    /// Reports a setting of the command line that cannot be used.
    pub(crate) fn bad_option(&mut self, option: &str, value: &str, expected: &str) {
        let message = format!("`{value}` is not a valid {option} (from the command line)");
        self.issues.push(Issue::error(Span::whole(self.file_id), message).expected(expected));
    }

    pub(crate) fn finish(self, app: Option<App>) -> Result<Loaded, LoadError> {
        let failed = self.issues.has_errors();
        let files: IndexSet<PathBuf> = self.files.into_iter().collect();
        let files = files.into_iter().collect();
        let diagnostics = self.issues.into_diagnostics(&self.sources);
        match app {
            Some(app) if !failed => Ok(Loaded { app, warnings: diagnostics, files }),
            _ => Err(LoadError { diagnostics, files }),
        }
    }
}

/// A path that holds wherever it is used from.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as it is said from a folder. Both are absolute; one that has nothing in common
/// with the folder stays so.
pub(crate) fn relative(folder: &Path, path: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (folder.components().collect(), path.components().collect());
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    // The root alone is nothing that a project is in.
    if shared <= 1 && from != to && !path.starts_with(folder) {
        return path.to_owned();
    }
    let up = from.iter().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.into_iter().skip(shared)).collect()
}

/// A path of a file, which may be relative to the file's folder, as one that holds wherever
/// it is used from: without `..`, where what goes before is a folder's name.
pub(crate) fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::ParentDir if joined.file_name().is_some() => drop(joined.pop()),
            component => joined.push(component),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_said_from_a_folder_and_found_again() {
        let folder = Path::new("/home/ada/chat");
        for (path, said) in [
            ("/home/ada/chat", ""),
            ("/home/ada/chat/src", "src"),
            ("/home/ada/lib", "../lib"),
            ("/home/ada", ".."),
            ("/usr/bin/node", "/usr/bin/node"),
        ] {
            assert_eq!(relative(folder, Path::new(path)), Path::new(said), "{path}");
            assert_eq!(join(folder, said), Path::new(path), "{path}");
        }
        assert_eq!(join(folder, "./a/../../b"), Path::new("/home/ada/b"));
    }
}
