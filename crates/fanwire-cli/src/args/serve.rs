//! The command line of `serve`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args as ClapArgs;

use super::ProjectArgs;

/// What stands before the path of a Unix socket.
const UNIX: &str = "unix:";

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire serve
  fanwire serve --listen 0.0.0.0:8080 --listen unix:/run/fanwire/chat/chat.sock
  fanwire serve /srv/chat --config /etc/fanwire/chat.toml --data /var/lib/fanwire/chat --json

How it serves is in fanwire.serve.toml beside the project file, or in [serve] of a fanwire.toml.

Signals: SIGTERM and Ctrl-C send clients away over drain.window and stop; a second one stops
at once. SIGHUP reads the project file and fanwire.serve.toml again.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,

    /// The file that says how to serve [default: fanwire.serve.toml beside the project file].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where clients connect, instead of the listeners of the file; may be given several
    /// times. Port 0 takes a free one [default: 0.0.0.0:3001].
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH")]
    pub(crate) listen: Vec<ListenArg>,

    /// The folder for what outlives the process [default: the file's, or .fanwire in the
    /// app's folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The port of the first websocket of a Nitric project; others get the next ones that
    /// are free. 0 takes free ones.
    #[arg(long, default_value_t = 4001, value_name = "PORT")]
    pub(crate) socket_port: u16,

    /// Processes of each function at the most, where the project file does not say.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_processes: u32,

    /// Print one JSON object a line instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the START, END and REPORT lines of every function call too.
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// A place to listen at, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenArg {
    /// A TCP address.
    Address(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for ListenArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let path: Result<PathBuf, Infallible> = path.parse();
            return path.map(Self::Unix).map_err(|never| match never {});
        }
        let address = text.parse().map(Self::Address);
        address.map_err(|_| {
            "expected ADDRESS:PORT, such as 0.0.0.0:3001 or [::]:3001, or unix:PATH".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_listen_is_an_address_or_a_socket() {
        let read = |text: &str| text.parse::<ListenArg>();
        assert_eq!(read("[::]:80"), Ok(ListenArg::Address("[::]:80".parse().unwrap())));
        assert_eq!(read("unix:/run/a"), Ok(ListenArg::Unix("/run/a".into())));
        assert!(read("3001").unwrap_err().contains("0.0.0.0:3001"));
    }
}
