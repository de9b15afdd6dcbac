//! The command line of what talks with the realtime endpoint of a running server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::ServerArgs;
use super::tools::duration;

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire publish chat/dev/room1 hello
  fanwire publish chat/dev/room1 '{\"text\":\"hello\"}' --qos 1 --content-type application/json
  fanwire publish devices/7/state --retain <state.json -
  fanwire publish devices/7/state '' --retain           delete what is retained

The message is published as the server's own: no policy is asked.

Exit status: 0, 1 where it was refused, 2 for a wrong command line, 3 where no server
answers.")]
pub(crate) struct PublishArgs {
    /// The topic.
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,

    /// The payload; `-` reads it from standard input, as it is.
    #[arg(value_name = "PAYLOAD|-")]
    pub(crate) payload: String,

    /// The quality of service.
    #[arg(long, short, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(crate) qos: u8,

    /// Keep the message for those who subscribe later; an empty payload deletes it.
    #[arg(long, short)]
    pub(crate) retain: bool,

    /// What the payload is, such as application/json.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,

    /// Where an answer is to go.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) response_topic: Option<String>,

    /// What an answer has to carry.
    #[arg(long, value_name = "TEXT")]
    pub(crate) correlation_data: Option<String>,

    /// How long the message is of use, such as 90s, 10m or 2h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expiry: Option<Duration>,

    /// A user property; may be given several times.
    #[arg(long = "property", short = 'p', value_name = "NAME=TEXT", value_parser = super::key_value)]
    pub(crate) properties: Vec<(String, String)>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire subscribe 'chat/dev/#'
  fanwire subscribe 'chat/+/room1' 'devices/#'
  fanwire subscribe '$aws/events/#'                     who comes and goes
  fanwire subscribe 'chat/#' --json | jq -r .text
  fanwire subscribe 'jobs/+/done' --count 1 --timeout 30s

It sees what clients and functions publish from now on, whatever policies say: as the
server itself.

Exit status: 0, 1 where fewer messages came than --count says, 2 for a wrong command line,
3 where no server answers.")]
pub(crate) struct SubscribeArgs {
    /// The topic filters.
    #[arg(value_name = "FILTER", required = true)]
    pub(crate) filters: Vec<String>,

    /// End after so many messages.
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<usize>,

    /// End after this long.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// Print one JSON object a message.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  fanwire sessions                            who is connected, or may come back
  fanwire sessions show client-1              what it subscribes to
  fanwire sessions disconnect client-1        its will is published
  fanwire sessions disconnect client-1 --clean --no-will
  fanwire sessions --json | jq -r '.[] | select(.connected) | .clientId'

Exit status: 0, 1 where there is no such client, 2 for a wrong command line, 3 where no
server answers."
)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SessionsCommand>,

    #[command(flatten)]
    pub(crate) list: SessionListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List the sessions.
    List(SessionListArgs),
    /// Show one session.
    Show {
        /// The client id.
        client: String,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End the connection of a client.
    Disconnect {
        /// The client id.
        client: String,
        /// End its session too: its subscriptions and the messages that wait for it.
        #[arg(long)]
        clean: bool,
        /// Do not publish its will.
        #[arg(long)]
        no_will: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SessionListArgs {
    /// Print one JSON array.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire retained                            all that is retained, up to a thousand
  fanwire retained 'devices/+/state'
  fanwire retained devices/7/state --json | jq -r '.[0].text'
  fanwire retained --delete devices/7/state

Exit status: 0, 1 where nothing is retained for the topic to delete, 2 for a wrong command
line, 3 where no server answers.")]
pub(crate) struct RetainedArgs {
    /// Only topics that this filter matches [default: all that do not begin with $].
    #[arg(value_name = "FILTER", conflicts_with = "delete")]
    pub(crate) filter: Option<String>,

    /// Delete the message of this topic.
    #[arg(long, value_name = "TOPIC", conflicts_with = "json")]
    pub(crate) delete: Option<String>,

    /// Print one JSON array.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether a client may do something, and which statement decides.
    Test(PolicyTestArgs),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire policy test publish chat/dev/room1 --policy policy.json
  fanwire policy test subscribe 'chat/dev/#' --policy a.json --policy b.json --client c1
  fanwire policy test publish chat/dev/room1 --password MY_TOKEN
  fanwire policy test connect c1 --username ada --password s3cret
  fanwire policy test receive chat/dev/room1 --of client-1

With --policy it needs no server. Otherwise the running dev is asked: with --of, what a
client that is connected may do; else its authorizer is called, or its users or tokens are
looked at, as for a client that connects with these credentials.

Exit status: 0 where it is allowed, 1 where it is denied, 2 for a wrong command line or
policy, 3 where no server answers.")]
pub(crate) struct PolicyTestArgs {
    /// What is to be done.
    #[arg(value_name = "ACTION")]
    pub(crate) action: ActionArg,

    /// What with: a client id for connect, a topic filter for subscribe, otherwise a topic.
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,

    /// A file with a policy document, or with what an authorizer answers; may be given
    /// several times.
    #[arg(long = "policy", value_name = "FILE", conflicts_with_all = ["of", "authorizer", "username", "password", "token", "data", "url"])]
    pub(crate) policies: Vec<PathBuf>,

    /// What a client of this id may do, that is connected.
    #[arg(long, value_name = "CLIENT", conflicts_with_all = ["authorizer", "username", "password", "token", "client"])]
    pub(crate) of: Option<String>,

    /// The client id to connect with [default: that of connect, or policy-test].
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,

    /// The address to come from.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) source_ip: IpAddr,

    /// The principal that `${principal}` stands for, with --policy.
    #[arg(long, value_name = "NAME", requires = "policies")]
    pub(crate) principal: Option<String>,

    /// The authorizer to ask [default: the app's default].
    #[arg(long, value_name = "NAME")]
    pub(crate) authorizer: Option<String>,

    /// The user name to connect with.
    #[arg(long, value_name = "NAME")]
    pub(crate) username: Option<String>,

    /// The password to connect with.
    #[arg(long, value_name = "TEXT")]
    pub(crate) password: Option<String>,

    /// The token to connect with, under the authorizer's key, and its signature.
    #[arg(long, value_name = "TEXT")]
    pub(crate) token: Option<String>,

    /// The token's signature, in base64.
    #[arg(long, value_name = "BASE64", requires = "token")]
    pub(crate) signature: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What a client may do, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActionArg {
    /// Connect with a client id (iot:Connect).
    Connect,
    /// Publish to a topic (iot:Publish).
    Publish,
    /// Publish to a topic what is retained (iot:RetainPublish).
    RetainPublish,
    /// Subscribe to a filter (iot:Subscribe).
    Subscribe,
    /// Be delivered messages of a topic (iot:Receive).
    Receive,
}

impl ActionArg {
    /// Its name in policies.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "iot:Connect",
            Self::Publish => "iot:Publish",
            Self::RetainPublish => "iot:RetainPublish",
            Self::Subscribe => "iot:Subscribe",
            Self::Receive => "iot:Receive",
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire password                            asks for it, twice
  printf %s \"$PASSWORD\" | fanwire password

The hash goes into fanwire.toml, as the password of a user of the realtime endpoint.")]
pub(crate) struct PasswordArgs {}
