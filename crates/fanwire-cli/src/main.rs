//! The `fanwire` command: `dev` serves an App while one works on it, `serve` in production,
//! `check` says what a project file
//! means, `schema` prints the JSON Schema of `fanwire.toml`, `trust` has browsers
//! believe the certificates of `dev`, `password` makes hashes of passwords. `send`,
//! `invoke`, `connections`, `publish`, `subscribe`, `sessions`, `retained`, `policy`,
//! `status`, `top`, `logs`, `record`, `replay` and `clock` talk with a server that runs.
//!
//! Exit status: 0 when all went well, 1 when it did not, 2 when the command line, the
//! project file or another file is wrong, 3 when no server answers.

mod args;
mod banner;
mod check;
mod client;
mod clock;
mod connections;
mod console;
mod data;
mod dev;
mod elapsed;
mod hosting;
mod inspect;
mod invoke;
mod live;
mod logs;
mod password;
mod pretty;
mod project;
mod ready;
mod realtime;
mod record;
mod replay;
mod send;
mod serve;
mod services;
mod sites;
mod status;
mod table;
mod trust;
mod typescript;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command, PasswordArgs};

// A server that has seen many clients has to give their memory back. Measured with
// bursts of connections, glibc's allocator keeps nearly all of it, and mimalloc half
// or less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit status for a wrong command line or project file.
const EXIT_USAGE: u8 = 2;

/// Makes this program the watchdog of another run of it.
const WATCHDOG_ARGUMENT: &str = "__watchdog";

/// Makes this program the compiler of a TypeScript file for another run of it.
const TYPESCRIPT_ARGUMENT: &str = "__typescript";

fn main() -> ExitCode {
    // Some programs that a server needs beside it are this one, too, started with an
    // argument that no user gives.
    let hidden = std::env::args_os().nth(1).unwrap_or_default();
    if hidden == WATCHDOG_ARGUMENT {
        fanwire_functions::watchdog::main();
        return ExitCode::SUCCESS;
    }
    if hidden == TYPESCRIPT_ARGUMENT {
        return typescript::run();
    }
    match Args::parse().command {
        Command::Dev(args) => dev::run(&args),
        Command::Serve(args) => serve::run(args),
        Command::Send(args) => send::run(&args),
        Command::Invoke(args) => invoke::run(&args),
        Command::Connections(args) => connections::run(args),
        Command::Publish(args) => realtime::publish::run(&args),
        Command::Subscribe(args) => realtime::subscribe::run(&args),
        Command::Sessions(args) => realtime::sessions::run(args),
        Command::Retained(args) => realtime::retained::run(&args),
        Command::Policy(args) => realtime::policy::run(&args),
        Command::Password(PasswordArgs {}) => password::run(),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => status::top::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Clock(args) => clock::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Schema => check::print_schema(),
        Command::Trust(args) => trust::run(&args),
    }
}
