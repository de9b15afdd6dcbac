//! How to serve, as the files and the command line say together.

use std::process::ExitCode;

use fanwire_app::serve::{self, LoadedServe};
use fanwire_app::{App, LoadError};

use crate::args::ServeArgs;
use crate::{EXIT_USAGE, project};

/// Reads the settings for serving `app`. What the command line says wins.
///
/// # Errors
///
/// What is wrong with their file.
pub(super) fn load(args: &ServeArgs, app: &App) -> Result<LoadedServe, LoadError> {
    let options = project::load_options(&args.project);
    let mut loaded = serve::load(args.config.as_deref(), &app.file, &options)?;
    if let Some(data) = &args.data {
        loaded.serve.data = Some(data.clone());
    }
    Ok(loaded)
}

/// Reads the settings, and prints what is wrong, or odd, about their file.
///
/// # Errors
///
/// The exit status, once the reasons are printed.
pub(super) fn load_or_explain(args: &ServeArgs, app: &App) -> Result<LoadedServe, ExitCode> {
    match load(args, app) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                anstream::eprintln!("{warning}");
            }
            Ok(loaded)
        }
        Err(error) => {
            anstream::eprintln!("{error}");
            Err(ExitCode::from(EXIT_USAGE))
        }
    }
}
