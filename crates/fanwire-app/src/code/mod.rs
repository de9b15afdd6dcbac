//! Which program a function with a runtime of its own is: one that is built already, or
//! one that cargo builds.

pub(crate) mod cargo;

use std::path::PathBuf;

use crate::diagnostic::Issue;
use crate::model::Code;
use crate::reading::Reading;
use crate::source::Span;

/// What is known of an executable that speaks the Lambda Runtime API.
pub(crate) struct Executable<'a> {
    /// The function's key.
    pub(crate) key: &'a str,
    /// The folder that it is looked for in, and started in.
    pub(crate) root: PathBuf,
    /// `_HANDLER`
    pub(crate) handler: &'a str,
    /// Names that its binary may have in `Cargo.toml`, besides the handler.
    pub(crate) binaries: &'a [&'a str],
    /// Where it may be built already, besides the usual places: paths in `root`.
    pub(crate) built: &'a [PathBuf],
}

impl Executable<'_> {
    /// The first that is there. `None` where there is none, which is reported at `place`.
    pub(crate) fn find(self, place: Span, reading: &mut Reading<'_>) -> Option<Code> {
        let names: Vec<&str> =
            std::iter::once(self.handler).chain(self.binaries.iter().copied()).collect();
        let built = self.built.iter().map(|path| path.to_string_lossy().into_owned());
        let built = built
            .chain(names.iter().take(2).map(|name| format!("target/lambda/{name}/bootstrap")))
            .chain(std::iter::once("bootstrap".to_owned()));
        let mut looked_for: Vec<String> = Vec::new();
        for path in built {
            if self.root.join(&path).is_file() {
                let command = vec![format!("./{}", path.trim_start_matches("./"))];
                return Some(self.command(command, None));
            }
            if !looked_for.contains(&path) {
                looked_for.push(path);
            }
        }
        let known = cargo::binaries(&self.root);
        if let Some(name) = names.iter().find(|name| known.iter().any(|known| known == *name)) {
            return Some(self.built_by_cargo(name, reading));
        }
        let mut binaries: Vec<_> = self.binaries.iter().map(|name| format!("`{name}`")).collect();
        binaries.dedup();
        looked_for.push(format!("a binary {} of Cargo.toml", binaries.join(" or ")));
        let message = format!("there is no executable for the function `{}`", self.key);
        let nearest = self.binaries.first().copied().unwrap_or(self.handler);
        reading.issues.push(
            Issue::error(place, message)
                .expected(format!("one of {}", looked_for.join(", ")))
                .nearest(nearest, known.iter().map(String::as_str)),
        );
        None
    }

    /// A binary of the folder's `Cargo.toml`.
    fn built_by_cargo(self, name: &str, reading: &Reading<'_>) -> Code {
        let target = reading.options.environment.get("CARGO_TARGET_DIR");
        let target = target.filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let target = target.unwrap_or_else(|| cargo::target_folder(&self.root));
        let command = vec![target.join("debug").join(name).to_string_lossy().into_owned()];
        let build = ["cargo", "build", "--bin", name].map(str::to_owned).to_vec();
        self.command(command, Some(build))
    }

    fn command(self, command: Vec<String>, build: Option<Vec<String>>) -> Code {
        Code::Command { command, root: self.root, handler: self.handler.to_owned(), build }
    }
}
