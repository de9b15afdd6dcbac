//! The command that runs a service: the project's own, or what its language suggests.

use std::path::Path;

use serde_json::Value;

/// The variable that has the path of the service's file.
pub(super) const SERVICE_PATH: &str = "SERVICE_PATH";

/// What says that a command watches its files itself.
const WATCHERS: [&str; 8] =
    ["nodemon", "--watch", "tsx watch", "ts-node-dev", "tsnd ", "watchexec", "watchmedo", "air "];

/// How far scripts of `package.json` that run each other are followed.
const MAX_SCRIPTS: usize = 4;

/// The largest `package.json` that is read, in bytes.
const MAX_PACKAGE_BYTES: u64 = 1024 * 1024;

/// Why a file cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoCommand {
    pub(super) why: String,
    pub(super) help: String,
}

/// The command for a service that has none of its own, by its file's name.
pub(super) fn suggested(folder: &Path, file: &Path) -> Result<String, NoCommand> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let program = match extension {
        "ts" | "mts" | "cts" => typescript(folder)?,
        "js" | "mjs" | "cjs" => "node".to_owned(),
        "py" => "python3 -u".to_owned(),
        _ => {
            return Err(NoCommand {
                why: format!("nothing is known to run `{}`", file.display()),
                help: format!(
                    "give the entry of `services` a `start` command with ${SERVICE_PATH}"
                ),
            });
        }
    };
    // The shell runs it in its place, so that it is what is stopped.
    Ok(format!("exec {program} \"${SERVICE_PATH}\""))
}

/// What runs TypeScript: a program of the project's own.
fn typescript(folder: &Path) -> Result<String, NoCommand> {
    let mut installed = false;
    for above in folder.ancestors() {
        let packages = above.join("node_modules");
        installed |= packages.is_dir();
        for program in ["tsx", "ts-node"] {
            let path = packages.join(".bin").join(program);
            if path.is_file() {
                // From the folder that it runs in, where it is below it.
                let path = path.strip_prefix(folder).unwrap_or(&path);
                return Ok(quoted(&path.to_string_lossy()));
            }
        }
    }
    let why = "this is TypeScript, and the project has neither tsx nor ts-node".to_owned();
    let help = if installed {
        "`npm install --save-dev tsx`"
    } else {
        "there are no packages yet: `npm install`"
    };
    Err(NoCommand { why, help: help.to_owned() })
}

/// A text as one word of the shell's.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether a command watches the files of its service by itself, as far as that can be
/// seen: in the command, or in the script of `package.json` that it runs.
pub(super) fn watches(folder: &Path, command: &str) -> bool {
    let scripts = package(folder);
    let mut command = command.to_owned();
    for _ in 0..MAX_SCRIPTS {
        if WATCHERS.iter().any(|watcher| command.contains(watcher)) {
            return true;
        }
        let script =
            script_of(&command).and_then(|name| scripts.as_ref()?["scripts"][name].as_str());
        match script {
            Some(script) => command = script.to_owned(),
            None => return false,
        }
    }
    false
}

/// The script that a command has a package manager run.
fn script_of(command: &str) -> Option<&str> {
    let mut words = command.split_whitespace().filter(|word| !word.starts_with('-'));
    let manager = words.next()?;
    if !["npm", "yarn", "pnpm", "bun"].contains(&manager) {
        return None;
    }
    match words.next()? {
        "run" | "run-script" => words.next(),
        other => Some(other),
    }
}

/// The `package.json` of a folder.
fn package(folder: &Path) -> Option<Value> {
    let file = folder.join("package.json");
    let is_read = file.metadata().is_ok_and(|found| found.len() <= MAX_PACKAGE_BYTES);
    serde_json::from_slice(&is_read.then(|| std::fs::read(&file).ok()).flatten()?).ok()
}

/// Whether a command needs packages that are not there.
pub(super) fn lacks_packages(folder: &Path, command: &str) -> bool {
    let has_packages = || folder.ancestors().any(|above| above.join("node_modules").is_dir());
    script_of(command).is_some() && package(folder).is_some() && !has_packages()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(package: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("package.json"), package).unwrap();
        folder
    }

    #[test]
    fn a_command_that_watches_is_known_by_its_words_or_its_script() {
        let folder = folder(
            r#"{"scripts":{"dev":"tsx watch","once":"tsx","round":"npm run round","to":"yarn dev"}}"#,
        );
        for (command, expected) in [
            ("npm run dev $SERVICE_PATH", true),
            ("npm --silent run dev", true),
            ("yarn to", true),
            ("npx nodemon $SERVICE_PATH", true),
            ("npm run once", false),
            ("npm run round", false),
            ("npm run missing", false),
            ("tsx $SERVICE_PATH", false),
        ] {
            assert_eq!(watches(folder.path(), command), expected, "{command}");
        }
    }

    #[test]
    fn typescript_is_run_by_a_program_of_the_project() {
        let folder = folder("{}");
        let suggested = |file: &str| suggested(folder.path(), Path::new(file));
        assert_eq!(suggested("a.js").unwrap(), r#"exec node "$SERVICE_PATH""#);
        assert!(suggested("a.ts").unwrap_err().help.contains("npm install"));
        assert!(suggested("a.rb").is_err());
        let programs = folder.path().join("node_modules/.bin");
        std::fs::create_dir_all(&programs).unwrap();
        assert!(suggested("a.ts").unwrap_err().help.contains("--save-dev tsx"));
        for program in ["ts-node", "tsx"] {
            std::fs::write(programs.join(program), "").unwrap();
            let expected = format!("exec node_modules/.bin/{program} \"$SERVICE_PATH\"");
            assert_eq!(suggested("a.ts").unwrap(), expected);
        }
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
