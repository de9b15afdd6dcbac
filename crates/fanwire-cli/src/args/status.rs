//! The command line of what shows how a running server is.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::ServerArgs;
use super::tools::duration;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire status
  fanwire status --json | jq .metrics.fanwire_connections
  fanwire status || echo 'not ready for clients'

Exit status: 0 where the server is ready for clients, 1 where it is not, 2 for a wrong command
line, 3 where no server answers.")]
pub(crate) struct StatusArgs {
    /// Print all of it as JSON: whether it is ready, and every metric.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire top
  fanwire top --interval 5s
  fanwire top --once --json

q ends it.

Exit status: 0, 2 for a wrong command line, 3 where no server answers.")]
pub(crate) struct TopArgs {
    /// How often it is looked.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    pub(crate) interval: Duration,
    /// Look for one interval, print what there was, and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// With --once: print it as JSON.
    #[arg(long, requires = "once")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
