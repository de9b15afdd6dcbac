//! A site: the front end of an app, which its own tool serves while one works on it.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;

use super::Links;

/// A site of the App: a Next.js app, a folder that Vite serves, or the like. Fanwire does
/// not serve it; it can start the tool that does, with what the site is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// What kind of site it is, as its file names it: `sst.aws.Nextjs`.
    pub kind: String,
    /// The folder that the command is run in.
    pub path: PathBuf,
    /// The command that serves the site while one works on it, such as `npm run dev`: a
    /// line for the shell. `None` where the file says that there is none.
    pub command: Option<String>,
    /// The site's own environment variables. They may hold
    /// [`SERVER_ADDRESS`](super::SERVER_ADDRESS).
    pub environment: IndexMap<String, String>,
    /// The links that it finds.
    pub links: Links,
}
