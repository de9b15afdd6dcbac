//! The `fanwire` command: `dev` serves an App, `check` says what a project file
//! means, `schema` prints the JSON Schema of `fanwire.toml`, `trust` has browsers
//! believe the certificates of `dev`.
//!
//! Exit status: 0 when all went well, 1 when the work failed, 2 when the command line
//! or the project file is wrong.

mod args;
mod banner;
mod check;
mod console;
mod dev;
mod project;
mod table;
mod trust;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};

// A server that has seen many clients has to give their memory back. Measured with
// bursts of connections, glibc's allocator keeps nearly all of it, and mimalloc half
// or less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit status for a wrong command line or project file.
const EXIT_USAGE: u8 = 2;

/// Makes this program the watchdog of another run of it.
const WATCHDOG_ARGUMENT: &str = "__watchdog";

fn main() -> ExitCode {
    // The process that ends our functions should this one be killed is this program,
    // too, started with an argument that no user gives.
    if std::env::args_os().nth(1).is_some_and(|first| first == WATCHDOG_ARGUMENT) {
        fanwire_functions::watchdog::main();
        return ExitCode::SUCCESS;
    }
    match Args::parse().command {
        Command::Dev(args) => dev::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Schema => check::print_schema(),
        Command::Trust(args) => trust::run(&args),
    }
}
