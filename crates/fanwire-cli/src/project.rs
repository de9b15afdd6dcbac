//! Reading the project file that a command is about.

use std::process::ExitCode;

use fanwire_app::{LoadError, LoadOptions, Loaded};

use crate::args::ProjectArgs;
use crate::{EXIT_USAGE, TYPESCRIPT_ARGUMENT};

/// Loads the App.
///
/// # Errors
///
/// What is wrong with its file.
pub(crate) fn load(args: &ProjectArgs) -> Result<Loaded, LoadError> {
    fanwire_app::load(&args.path, &load_options(args))
}

/// How files of a project are read.
pub(crate) fn load_options(args: &ProjectArgs) -> LoadOptions {
    LoadOptions {
        stage: args.stage.clone(),
        region: args.region.clone(),
        params: args.params.iter().cloned().collect(),
        options: args.options.iter().cloned().collect(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        profile: args.profile.map(Into::into),
        dynamodb: args.dynamodb.clone(),
        typescript: compiler(),
    }
}

/// This program, as the compiler of TypeScript that it is with a hidden argument.
fn compiler() -> Vec<String> {
    let program =
        std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    program.map_or_else(Vec::new, |program| vec![program, TYPESCRIPT_ARGUMENT.to_owned()])
}

/// Loads the App, and prints what is wrong, or odd, about its file.
///
/// # Errors
///
/// The exit status, once the reasons are printed.
pub(crate) fn load_project(args: &ProjectArgs) -> Result<Loaded, ExitCode> {
    match load(args) {
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
