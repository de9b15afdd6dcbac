//! `fanwire-bench`: measures Fanwire beside its peers, in the same run and on the same
//! machine. `./bench` builds and runs it.
//!
//! A *scenario* starts a server as a process of its own, drives it with a [`Swarm`] of
//! WebSocket clients on one thread, and reads from `/proc` what the server spent. The
//! generator shares the machine's cores with the server, so throughput is what both
//! reach together, while CPU and memory are the server's alone.
//!
//! [`Swarm`]: swarm::Swarm

mod broadcast;
mod cold_start;
mod crowd;
mod echo;
mod idle;
mod mqtt;
mod post;
mod procfs;
mod reload;
mod report;
mod serve;
mod server;
mod subscriptions;
mod swarm;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::report::Report;

/// Counts the heap bytes of `serve`, the variant of the server whose heap is measured.
#[global_allocator]
static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// What goes wrong ends the run: a figure of half a measurement is worse than none.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measure Fanwire beside its peers.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "\
Examples:
  ./bench                               every scenario but those that have to be named
  ./bench idle --connections 50000
  ./bench broadcast --receivers 1000 --json
  ./bench subscriptions --subscribers 1000
  ./bench mqtt fan-out idle --quick"
)]
struct Args {
    /// One scenario [default: all but crowd, subscriptions, cold-start and mqtt].
    #[command(subcommand)]
    scenario: Option<Scenario>,
    #[command(flatten)]
    settings: Settings,
}

/// What all scenarios share.
#[derive(Debug, Clone, clap::Args)]
struct Settings {
    /// Print one JSON document instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// How long each figure is measured for, in seconds.
    #[arg(long, global = true, default_value = "4", value_parser = seconds)]
    seconds: Duration,
    /// The program to measure.
    #[arg(long, global = true, default_value = "target/release/fanwire", value_name = "PATH")]
    fanwire: PathBuf,
    /// The folder with the app and the peers.
    #[arg(long, global = true, default_value = "crates/fanwire-bench/peers", value_name = "PATH")]
    peers: PathBuf,
    /// Leave the peers out.
    #[arg(long, global = true)]
    alone: bool,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Server memory for each idle connection.
    Idle {
        /// How many connections.
        #[arg(long, value_delimiter = ',', default_value = "10000,50000")]
        connections: Vec<usize>,
    },
    /// CPU of the server for each delivery of a broadcast.
    Broadcast {
        /// How many connections hear it.
        #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
        receivers: Vec<usize>,
        /// How many messages are sent before the first is awaited.
        #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
        burst: Vec<usize>,
    },
    /// Requests that a Node handler answers.
    Echo {
        /// How many clients, each with one request at a time.
        #[arg(long, value_delimiter = ',', default_value = "1,50,500")]
        clients: Vec<usize>,
    },
    /// Messages that a handler posts to connections.
    Post {
        /// How many connections it posts to at once.
        #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
        connections: Vec<usize>,
    },
    /// The time from a save to the new code's answer.
    Reload {
        /// How many saves.
        #[arg(long, default_value_t = 30)]
        saves: usize,
    },
    /// The MQTT broker beside others.
    Mqtt(mqtt::Wanted),
    /// Subscriptions of tRPC beside @trpc/server, and through a store.
    Subscriptions(subscriptions::Wanted),
    /// The size and the start of a function.
    ColdStart {
        /// The programs.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "target/lambda/echo,target/lambda/hello-lambda"
        )]
        programs: Vec<PathBuf>,
        /// How often each is started.
        #[arg(long, default_value_t = 20)]
        starts: usize,
    },
    /// A crowd of clients of all kinds, who are all told the same once a second.
    Crowd {
        /// How many connections.
        #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000")]
        connections: Vec<usize>,
    },
    /// Be clients of one kind, and take commands on standard input.
    #[command(hide = true)]
    CrowdClients {
        /// What they speak.
        kind: crowd::Kind,
        /// How many.
        count: usize,
        /// Where they connect.
        #[arg(value_delimiter = ',')]
        servers: Vec<std::net::SocketAddr>,
    },
    /// Serve procedures in this process, and take commands on standard input.
    #[command(hide = true)]
    Procedures {
        /// The port to listen on.
        port: u16,
    },
    /// Serve procedures as a function.
    #[command(hide = true)]
    Function,
    /// Publish to subscribers in a store, and take commands on standard input.
    #[command(hide = true)]
    Publisher,
    /// Serve the app without code in this process, and take commands on standard input.
    #[command(hide = true)]
    Serve {
        /// The port to listen on.
        port: u16,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.scenario {
        Some(Scenario::Serve { port }) => serve::run(port, &args.settings.peers),
        Some(Scenario::CrowdClients { kind, count, servers }) => {
            crowd::run_clients(kind, count, &servers)
        }
        Some(Scenario::Procedures { port }) => subscriptions::serve(port),
        Some(Scenario::Function) => subscriptions::function(),
        Some(Scenario::Publisher) => subscriptions::publish_on_request(),
        scenario => measure(scenario, &args.settings),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn measure(scenario: Option<Scenario>, settings: &Settings) -> Result<()> {
    let scenarios = match scenario {
        Some(one) => vec![one],
        None => vec![
            Scenario::Idle { connections: vec![10_000, 50_000] },
            Scenario::Broadcast { receivers: vec![100, 1000, 10_000], burst: vec![1, 8, 32] },
            Scenario::Echo { clients: vec![1, 50, 500] },
            Scenario::Post { connections: vec![1, 10, 100] },
            Scenario::Reload { saves: 30 },
        ],
    };
    let open_files = server::raise_open_files()?;
    let mut report = Report::new(settings);
    for scenario in scenarios {
        match scenario {
            Scenario::Idle { connections } => {
                idle::run(&connections, open_files, settings, &mut report)?;
            }
            Scenario::Broadcast { receivers, burst } => {
                broadcast::run(&receivers, &burst, settings, &mut report)?;
            }
            Scenario::Echo { clients } => echo::run(&clients, settings, &mut report)?,
            Scenario::Post { connections } => post::run(&connections, settings, &mut report)?,
            Scenario::Reload { saves } => reload::run(saves, settings, &mut report)?,
            Scenario::Mqtt(wanted) => mqtt::run(&wanted, open_files, settings, &mut report)?,
            Scenario::Subscriptions(wanted) => {
                subscriptions::run(&wanted, settings, &mut report)?;
            }
            Scenario::Crowd { connections } => {
                crowd::run(&connections, open_files, settings, &mut report)?;
            }
            Scenario::ColdStart { programs, starts } => {
                cold_start::run(&programs, starts, &mut report)?;
            }
            Scenario::Serve { .. }
            | Scenario::CrowdClients { .. }
            | Scenario::Procedures { .. }
            | Scenario::Function
            | Scenario::Publisher => {}
        }
    }
    report.finish()
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
