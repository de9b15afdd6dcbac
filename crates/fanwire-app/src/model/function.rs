//! A function: code that takes an event and answers a result.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

use super::Links;

/// A function of the App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its full name: what Lambda would call it, and `AWS_LAMBDA_FUNCTION_NAME`.
    /// The Serverless Framework's default is `{service}-{stage}-{key}`.
    pub name: String,
    /// Where its code is and how it is started or reached.
    pub code: Code,
    /// How long one event may take before the process is killed.
    pub timeout: Duration,
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`, in MB. Told to the function; not enforced.
    pub memory_mb: u32,
    /// The function's own environment variables, all references resolved. They may hold
    /// [`SERVER_ADDRESS`](super::SERVER_ADDRESS).
    pub environment: IndexMap<String, String>,
    /// The links that it finds, besides the App's name and stage.
    pub links: Links,
    /// The most processes (so: events at a time) of this function. `None` takes the
    /// host's default.
    pub concurrency: Option<u32>,
}

/// Where a function's code is, and how it is started or reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Code {
    /// A handler in a file, run by a bootstrap for its language that Fanwire brings.
    Handler {
        /// The language.
        runtime: Runtime,
        /// The handler as in Lambda: `src/chat.send` or `pkg.module.func`.
        handler: String,
        /// The folder that `handler` is relative to (`LAMBDA_TASK_ROOT`).
        root: PathBuf,
        /// The runtime identifier that the file gave, such as `nodejs20.x`.
        identifier: String,
    },
    /// A handler whose code stands in the project file itself, which is the file `index`
    /// of a folder of its own.
    Inline {
        /// The language.
        runtime: Runtime,
        /// The whole of the code.
        source: String,
        /// The handler, in the file `index`: `index.handler`.
        handler: String,
        /// The folder that the file is put in, below the project's.
        root: PathBuf,
        /// The runtime identifier that the file gave, such as `nodejs20.x`.
        identifier: String,
    },
    /// An executable that speaks the Lambda Runtime API.
    Command {
        /// The program and its arguments. Not empty. A program with a path
        /// separator is relative to `root`.
        command: Vec<String>,
        /// The folder it is started in (`LAMBDA_TASK_ROOT`).
        root: PathBuf,
        /// `_HANDLER`, for executables that look at it.
        handler: String,
        /// A command run in `root` before the first start, such as
        /// `cargo build --bin chat`. Its failure is the function's init error.
        build: Option<Vec<String>>,
    },
    /// A function in AWS, or behind another Lambda endpoint, called by `Invoke`.
    Lambda {
        /// Its ARN.
        arn: String,
        /// The Lambda endpoint, where it is not AWS's own for the ARN's region.
        endpoint: Option<String>,
    },
    /// A URL that takes the event as a POST and answers the result.
    Http {
        /// An `http://` or `https://` URL.
        url: String,
    },
}

/// A handler that a bootstrap of Fanwire's runs, wherever its code comes from.
#[derive(Debug, Clone, Copy)]
pub struct Handler<'a> {
    /// The language.
    pub runtime: Runtime,
    /// The file and the function in it, as in Lambda.
    pub handler: &'a str,
    /// The folder of the file.
    pub root: &'a Path,
    /// The runtime identifier.
    pub identifier: &'a str,
}

impl Code {
    /// The folder, in the project's, of a function's code that stands in the project file.
    pub(crate) fn inline_folder(key: &str) -> String {
        format!(".fanwire/inline/{key}")
    }

    /// The handler, where the code is one in a language that Fanwire brings a bootstrap
    /// for.
    pub fn handler(&self) -> Option<Handler<'_>> {
        match self {
            Self::Handler { runtime, handler, root, identifier }
            | Self::Inline { runtime, handler, root, identifier, .. } => {
                Some(Handler { runtime: *runtime, handler, root, identifier })
            }
            _ => None,
        }
    }
}

/// A language that Fanwire brings a bootstrap for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// `nodejs18.x` and later: the `node` on the `PATH`.
    Node,
    /// `python3.9` and later: the `python3` of the project or on the `PATH`.
    Python,
}
