//! Our own bootstraps: how they get onto the disk, and how a handler is started with one.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use fanwire_app::model::Runtime;
use serde_json::{Value, json};

/// Each is one script in parts: they share its scope, and are joined as they stand here.
const NODE: &str = concat!(
    include_str!("bootstrap/node/opening.cjs"),
    include_str!("bootstrap/node/channel.cjs"),
    include_str!("bootstrap/node/logs.cjs"),
    include_str!("bootstrap/node/errors.cjs"),
    include_str!("bootstrap/node/event.cjs"),
    include_str!("bootstrap/node/streaming.cjs"),
    include_str!("bootstrap/node/redirect.cjs"),
    include_str!("bootstrap/node/sources.cjs"),
    include_str!("bootstrap/node/syntax.cjs"),
    include_str!("bootstrap/node/typescript.cjs"),
    include_str!("bootstrap/node/handler.cjs"),
    include_str!("bootstrap/node/life.cjs"),
);
const PYTHON: &str = concat!(
    include_str!("bootstrap/python/opening.py"),
    include_str!("bootstrap/python/errors.py"),
    include_str!("bootstrap/python/context.py"),
    include_str!("bootstrap/python/redirect.py"),
    include_str!("bootstrap/python/sources.py"),
    include_str!("bootstrap/python/handler.py"),
    include_str!("bootstrap/python/life.py"),
);

/// How to start a handler.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The payload of the `configure` frame.
    pub(crate) settings: Value,
}

/// What keeps a handler from being started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("no `{program}` on the PATH; {remedy}")]
    NoProgram { program: &'static str, remedy: &'static str },
    #[error("cannot write the bootstrap to {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Plans the start of a handler in `root`. `settings` are those that do not depend on the
/// project; `path` and `virtual_env` are the values that the function will see.
pub(crate) fn plan(
    runtime: Runtime,
    handler: &str,
    root: &Path,
    mut settings: Value,
    path: Option<&OsString>,
    virtual_env: Option<&OsString>,
) -> Result<Plan, PlanError> {
    match runtime {
        Runtime::Node => {
            let program = find_program("node", path).ok_or(PlanError::NoProgram {
                program: "node",
                remedy: "install Node.js 18 or later",
            })?;
            let typescript = is_typescript(root, handler);
            let tsx = typescript && find_package(root, "tsx").is_some();
            let of_project = |name| find_package(root, name).filter(|_| typescript);
            let mut args = Vec::new();
            if tsx {
                args.extend(["--import".into(), "tsx".into()]);
            }
            if let Some(port) = settings["inspect"].as_u64() {
                args.push(format!("--inspect=127.0.0.1:{port}").into());
            }
            args.push(written("node.cjs", NODE)?.into());
            settings["tsx"] = json!(tsx);
            settings["esbuild"] = json!(of_project("esbuild"));
            Ok(Plan { program, args, settings })
        }
        Runtime::Python => {
            let program = find_python(root, path, virtual_env).ok_or(PlanError::NoProgram {
                program: "python3",
                remedy: "install Python 3.9 or later, or make a virtual environment in .venv",
            })?;
            // Unbuffered, as Lambda's: what a handler prints is there when it is printed.
            let args = vec!["-u".into(), written("python.py", PYTHON)?.into()];
            Ok(Plan { program, args, settings })
        }
    }
}

/// Whether the handler's file is TypeScript, with no JavaScript beside it.
fn is_typescript(root: &Path, handler: &str) -> bool {
    let (folder, name) = handler.rsplit_once('/').unwrap_or(("", handler));
    let module = name.split('.').next().unwrap_or(name);
    let has = |extension: &str| root.join(folder).join(format!("{module}.{extension}")).is_file();
    !["js", "mjs", "cjs"].into_iter().any(has) && ["ts", "mts", "cts", "tsx"].into_iter().any(has)
}

/// The package's folder in the nearest `node_modules` at or above `root`.
fn find_package(root: &Path, name: &str) -> Option<PathBuf> {
    root.ancestors()
        .map(|folder| folder.join("node_modules").join(name))
        .find(|package| package.join("package.json").is_file())
}

pub(crate) fn find_program(name: &str, path: Option<&OsString>) -> Option<PathBuf> {
    std::env::split_paths(path?).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The Python of the project's virtual environment, or the one on the `PATH`.
fn find_python(
    root: &Path,
    path: Option<&OsString>,
    virtual_env: Option<&OsString>,
) -> Option<PathBuf> {
    let of = |folder: &Path| [folder.join(".venv"), folder.join("venv")];
    // The function's own folder, the environment that the developer is in, and then the
    // folders above, as in a repository of many services.
    let in_project = of(root)
        .into_iter()
        .chain(virtual_env.map(PathBuf::from))
        .chain(root.ancestors().skip(1).flat_map(of))
        .map(|environment| environment.join("bin/python"))
        .find(|python| python.is_file());
    in_project.or_else(|| find_program("python3", path))
}

/// The bootstrap in a file of its own, in a folder that only this user can write.
///
/// The name holds the version's and the text's length and checksum, so that two versions
/// of Fanwire do not meet, and every start of one finds what the last one left.
fn written(name: &str, text: &str) -> Result<PathBuf, PlanError> {
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("fanwire-{user}"));
    let path = folder.join(format!("{:016x}-{name}", checksum(text.as_bytes())));
    write_once(&folder, &path, text, user)
        .map(|()| path.clone())
        .map_err(|source| PlanError::Write { path, source })
}

fn write_once(folder: &Path, path: &Path, text: &str, user: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != user || found.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "the folder is not this user's alone; remove it, or set TMPDIR to another",
        ));
    }
    if fs::read(path).is_ok_and(|present| present == text.as_bytes()) {
        return Ok(());
    }
    let draft = folder.join(format!("{:016x}.part", fastrand::u64(..)));
    fs::File::create_new(&draft)?.write_all(text.as_bytes())?;
    fs::rename(&draft, path)
}

/// FNV-1a: tells texts apart; keeps no secrets.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
