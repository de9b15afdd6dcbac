//! The command line, as typed.

mod realtime;
mod serve;
mod status;
mod tools;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::inspect::Inspected;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use fanwire_app::model::{DynamoDbChoice, Profile};

pub(crate) use self::realtime::{
    PasswordArgs, PolicyArgs, PolicyCommand, PolicyTestArgs, PublishArgs, RetainedArgs,
    SessionListArgs, SessionsArgs, SessionsCommand, SubscribeArgs,
};
pub(crate) use self::serve::{ListenArg, ServeArgs};
pub(crate) use self::status::{StatusArgs, TopArgs};
pub(crate) use self::tools::{
    ClockArgs, ClockCommand, ConnectionsArgs, ConnectionsCommand, InvokeArgs, ListArgs, LogsArgs,
    RecordArgs, ReplayArgs, SendArgs, ServerArgs,
};

/// Run serverless realtime apps on your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "fanwire",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  fanwire dev                     serve the app in this folder on port 3001
  fanwire dev examples/chat       serve the app in another folder
  fanwire serve                   serve it in production
  fanwire send                    talk with it, from another terminal
  fanwire logs -f --errors        see what fails
  fanwire check                   say what is wrong with this folder's project file"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the app in a folder while you work on it.
    Dev(DevArgs),
    /// Serve the app in a folder in production.
    Serve(ServeArgs),
    /// Connect to a WebSocket API and talk with it.
    Send(SendArgs),
    /// Give a function of the running dev an event and show what comes of it.
    Invoke(InvokeArgs),
    /// Show who is connected to the running dev; send to them, close them.
    Connections(ConnectionsArgs),
    /// Publish a message to a topic of the running dev.
    Publish(PublishArgs),
    /// Show the messages of topics of the running dev.
    Subscribe(SubscribeArgs),
    /// Show the clients of the realtime endpoint of the running dev; disconnect them.
    Sessions(SessionsArgs),
    /// Show the messages that the running dev retains; delete one.
    Retained(RetainedArgs),
    /// Try out what policies allow.
    Policy(PolicyArgs),
    /// Make the hash of a password for a user of the realtime endpoint.
    Password(PasswordArgs),
    /// Show how the running server is: whether it is ready, and what it has done.
    Status(StatusArgs),
    /// Show what the running server does, while it does it.
    Top(TopArgs),
    /// Show the log of the running dev.
    Logs(LogsArgs),
    /// Write what passes the WebSocket APIs of the running dev to a file.
    Record(RecordArgs),
    /// Run recorded events, or a recorded session, again.
    Replay(ReplayArgs),
    /// Move the time of the running dev ahead.
    Clock(ClockArgs),
    /// Validate a project file and print the App that it describes.
    Check(CheckArgs),
    /// Print the JSON Schema of fanwire.toml.
    Schema,
    /// Have browsers trust the certificates that dev presents to wss:// and https://.
    Trust(TrustArgs),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire dev
  fanwire dev --port 4000 --stage test
  fanwire dev --param tableName=chat-dev --json
  fanwire dev --fresh --inspect say
  fanwire dev --with-sites
  fanwire dev examples/native/fanwire.toml

Connect with any WebSocket client, for instance:
  npx wscat -c ws://localhost:3001/dev")]
pub(crate) struct DevArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,

    /// The port to listen on; 0 takes a free one.
    #[arg(long, short, default_value_t = 3001, value_name = "PORT")]
    pub(crate) port: u16,

    /// The address to listen on. Anything but loopback lets others in: `dev` checks
    /// no credentials.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    pub(crate) host: IpAddr,

    /// The port of the first websocket of a Nitric project; others get the next ones that
    /// are free. 0 takes free ones.
    #[arg(long, default_value_t = 4001, value_name = "PORT")]
    pub(crate) socket_port: u16,

    /// The folder for what is kept between runs [default: .fanwire in the app's folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Begin with empty tables, and with no retained messages and MQTT sessions.
    #[arg(long)]
    pub(crate) fresh: bool,

    /// Let a debugger attach to a function in Node.js, at port 9229 or PORT; may be given
    /// several times. The function has one process then, and no time-out.
    #[arg(long, value_name = "FUNCTION[:PORT]")]
    pub(crate) inspect: Vec<Inspected>,

    /// Leave functions and the app as they are when files change.
    #[arg(long)]
    pub(crate) no_reload: bool,

    /// Start what serves the app's sites, too, such as `npm run dev`.
    #[arg(long)]
    pub(crate) with_sites: bool,

    /// Processes of each function at the most, where the project file does not say.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_processes: u32,

    /// Print one JSON object a line instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the START, END and REPORT lines of every function call too.
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire check
  fanwire check serverless.yml --stage prod
  fanwire check --json | jq .functions
  fanwire check --as toml > fanwire.toml      go on without the framework")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,

    /// Print the App as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the App as a project file of Fanwire's own, which says the same.
    #[arg(long = "as", value_name = "FORMAT", conflicts_with = "json")]
    pub(crate) format: Option<FormatArg>,
}

/// A format that an App can be written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormatArg {
    /// A fanwire.toml for the same folder.
    Toml,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire trust                   say where the certificate is and who trusts it
  fanwire trust --install         have this machine's browsers trust it
  fanwire trust --uninstall       take it away again
  fanwire trust --print           the certificate, for other programs

The authority is made once for you, on this machine. It can vouch for localhost, loopback
addresses and AWS's domains alone. Its folder is $FANWIRE_HOME, or ~/.local/share/fanwire
(macOS: ~/Library/Application Support/fanwire).

Exit status: 0 when every store is as asked for, 1 when one is not.")]
pub(crate) struct TrustArgs {
    /// Add the authority to every store that is found.
    #[arg(long, conflicts_with_all = ["uninstall", "print"])]
    pub(crate) install: bool,

    /// Remove the authority from every store that is found.
    #[arg(long, conflicts_with = "print")]
    pub(crate) uninstall: bool,

    /// Print the certificate in PEM, and nothing else.
    #[arg(long, conflicts_with = "json")]
    pub(crate) print: bool,

    /// Print JSON instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,

    /// Where the system's own store, and what updates it, are looked for, for tests.
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub(crate) system_root: Option<PathBuf>,
}

/// What decides how a project file is read.
#[derive(Debug, ClapArgs)]
pub(crate) struct ProjectArgs {
    /// A project file, or a folder that has one.
    #[arg(default_value = ".", value_name = "PATH")]
    pub(crate) path: PathBuf,

    /// The stage to resolve the file for [default: the file's own, or dev].
    #[arg(long, short, value_name = "NAME")]
    pub(crate) stage: Option<String>,

    /// The AWS region that functions see [default: the file's own, or us-east-1].
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// A value for `${param:KEY}`, or for a parameter of a template.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,

    /// A value for `${opt:KEY}`.
    #[arg(long = "opt", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) options: Vec<(String, String)>,

    /// The DynamoDB that functions get: the embedded one, AWS's own in the app's region, or
    /// the URL of another [default: the file's own, or embedded].
    #[arg(long, value_name = "embedded|aws|URL")]
    pub(crate) dynamodb: Option<DynamoDbChoice>,

    /// Which limits apply where the file does not say: AWS's quotas, or open ones.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<ProfileArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProfileArg {
    /// API Gateway's quotas: what works here works there.
    Aws,
    /// Long connections, large messages, compression, broadcast.
    Open,
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Aws => Self::Aws,
            ProfileArg::Open => Self::Open,
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
