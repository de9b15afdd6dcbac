//! `fanwire check` and `fanwire schema`.

use std::process::ExitCode;

use crate::args::{CheckArgs, FormatArg};
use crate::{banner, project};

/// Validates a project file and prints the App.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let loaded = match project::load_project(&args.project) {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    if args.json {
        return print_json(&loaded.app);
    }
    match args.format {
        Some(FormatArg::Toml) => anstream::print!("{}", fanwire_app::to_toml(&loaded.app)),
        None => anstream::print!("{}", banner::of_app(&loaded.app)),
    }
    ExitCode::SUCCESS
}

/// Prints the JSON Schema of `fanwire.toml`.
pub(crate) fn print_schema() -> ExitCode {
    print_json(&fanwire_app::schema())
}

fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            anstream::println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("error: cannot print as JSON: {error}");
            ExitCode::FAILURE
        }
    }
}
