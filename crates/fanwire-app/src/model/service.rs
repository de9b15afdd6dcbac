//! A program of the App that runs for as long as the server does, such as a Nitric service
//! or the development server of a site.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;

/// A program that runs beside the server, and is started again when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// What to run: a line for `/bin/sh`, such as `npm run dev`.
    pub command: String,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// Its variables, beside those of the server's own environment.
    pub environment: IndexMap<String, String>,
    /// Whether it is to be started anew when files of the project change. A program that
    /// watches its files itself is better left alone.
    pub restart_on_change: bool,
}
