//! `fanwire status` and `fanwire top`: how a running server is, once or all the time.
//!
//! Both ask the control API for what `/metrics` tells. `figures` is that answer, `rates` what
//! two of them say about the time between, `top` the screen.

mod figures;
mod rates;
pub(crate) mod top;

use std::process::ExitCode;

use self::figures::Figures;
use crate::args::StatusArgs;
use crate::client::{self, CommandError, Server, output};
use crate::table::Table;

/// What of the control API tells how the server is.
const STATUS: &str = "status";

/// Shows how the server is.
pub(crate) fn run(args: &StatusArgs) -> ExitCode {
    client::run(async {
        let server = Server::find(&args.server)?;
        let figures = Figures::of(server.control(STATUS).await?);
        if args.json {
            let text =
                serde_json::to_string_pretty(figures.as_json()).map_err(CommandError::broken)?;
            output(&format!("{text}\n"))?;
        } else {
            output(&described(&figures))?;
        }
        Ok(if figures.is_ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// How the server is, for people.
fn described(figures: &Figures) -> String {
    let mut text = format!("{}\n", headline(figures));
    for (name, why) in figures.troubles() {
        text += &format!("  {name}: {why}\n");
    }
    let mut planes =
        Table::new(&["PLANE", "CONNECTIONS", "RECEIVED", "SENT", "DROPPED", "WAITING"]);
    for plane in figures.planes() {
        let of = |metric: &str| figures.total(metric, &[("plane", &plane)]).to_string();
        planes.row([
            plane.clone(),
            of("connections"),
            of("messages_received_total"),
            of("messages_sent_total"),
            of("messages_dropped_total"),
            of("messages_queued"),
        ]);
    }
    text += &format!("\n{planes}");
    let mut functions =
        Table::new(&["FUNCTION", "INVOCATIONS", "ERRORS", "COLD STARTS", "MEAN", "PROCESSES"]);
    for function in figures.functions() {
        let of = |metric: &str| figures.total(metric, &[("function", &function)]).to_string();
        functions.row([
            function.clone(),
            of("function_invocations_total"),
            of("function_errors_total"),
            of("function_cold_starts_total"),
            figures.mean_ms(&function).map_or_else(String::new, |mean| format!("{mean:.1} ms")),
            of("function_processes"),
        ]);
    }
    if !functions.is_empty() {
        text += &format!("\n{functions}");
    }
    text
}

/// Whether it is ready, and what it takes of the machine, in a line.
fn headline(figures: &Figures) -> String {
    let state = match (figures.is_ready(), figures.is_degraded()) {
        (true, false) => "ready",
        (true, true) => "ready, degraded",
        (false, _) => "not ready",
    };
    format!(
        "{state}: fanwire {}, process {}, up {}, {} MB, {} descriptors, {:.1} s of processor time",
        figures.text("version"),
        figures.text("pid"),
        figures.uptime(),
        figures.total("process_resident_memory_bytes", &[]) / 1_048_576,
        figures.total("process_open_fds", &[]),
        figures.real("process_cpu_seconds_total"),
    )
}
