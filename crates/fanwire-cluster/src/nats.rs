//! The connection to NATS: how it is made, what is asked of the server, and what things are
//! called there.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::jetstream::context::{AccountError, AccountErrorKind};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, Event, RequestErrorKind};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::{ClusterOptions, Credentials, Incarnation, JoinError, NodeId, limits};

/// The oldest nats-server that has what is used here: markers of deleted records that
/// end by themselves (ADR-43), which came with 2.11.
const OLDEST_SERVER: (&str, [i64; 3]) = ("2.11.0", [2, 11, 0]);

/// The connection, and the names of a cluster on it.
#[derive(Debug, Clone)]
pub(crate) struct Nats {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    names: Arc<Names>,
    replicas: usize,
    said: Said,
    buckets: Arc<Buckets>,
}

/// The buckets that are used here: NATS may lose them.
#[derive(Debug, Default)]
struct Buckets {
    // A std lock, held for a copy.
    names: Mutex<BTreeSet<String>>,
    /// Told when all have been made again, where they were not there any more.
    again: watch::Sender<()>,
}

/// What NATS said last that was wrong, such as which permission is missing. What it does not
/// permit it does not answer either.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<Option<String>>>);

#[derive(Debug)]
struct Names {
    /// The cluster's name as a token of a subject and a part of a bucket's name.
    token: String,
}

/// What happens to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Connected,
    Disconnected,
    /// Messages were dropped because this node did not take them fast enough.
    Slow,
}

// === impl Nats ===

impl Nats {
    /// Connects, and sees that the server is one that will do.
    pub(crate) async fn connect(
        options: &ClusterOptions,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Reach>), JoinError> {
        if options.servers.is_empty() {
            return Err(JoinError::Settings("no NATS server is named".to_owned()));
        }
        if ![1, 3, 5].contains(&options.replicas) {
            let text = format!("{} replicas: 1, 3 and 5 are possible", options.replicas);
            return Err(JoinError::Settings(text));
        }
        // Bounded by what happens to one connection: each event is taken at once.
        let (tell, events) = mpsc::unbounded_channel();
        let said = Said::default();
        let hears = said.clone();
        let connect = connect_options(options).await?.event_callback(move |event| {
            let (tell, said) = (tell.clone(), hears.clone());
            async move {
                let reach = match event {
                    Event::Connected => Reach::Connected,
                    Event::Disconnected | Event::Closed => Reach::Disconnected,
                    Event::SlowConsumer(_) => Reach::Slow,
                    Event::ServerError(error) => return said.hear(&error.to_string()),
                    _ => return,
                };
                // The driver has ended where nobody hears this.
                let _ = tell.send(reach);
            }
        });
        let failed = |cause: String| JoinError::Connect {
            servers: shown(&options.servers),
            credentials: options.credentials.setting(),
            cause,
        };
        let connecting = connect.connect(options.servers.clone());
        let client = match tokio::time::timeout(limits::JOIN_PATIENCE, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("no answer in ten seconds".to_owned())),
        };
        let nats = Self::new(client, said, options);
        nats.check_server().await?;
        Ok((nats, events))
    }

    fn new(client: Client, said: Said, options: &ClusterOptions) -> Self {
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(options.lease.min(std::time::Duration::from_secs(5)))
            .max_ack_inflight(limits::WRITES_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let names = Arc::new(Names { token: token(&options.name) });
        let buckets = Arc::default();
        Self { client, jetstream, names, replicas: options.replicas, said, buckets }
    }

    async fn check_server(&self) -> Result<(), JoinError> {
        let (needed, [major, minor, patch]) = OLDEST_SERVER;
        if !self.client.is_server_compatible(major, minor, patch) {
            return Err(JoinError::Version { found: self.client.server_info().version, needed });
        }
        let (found, needed) = (self.client.max_payload(), limits::LEAST_MAX_PAYLOAD);
        if found < needed {
            return Err(JoinError::MaxPayload { found, needed });
        }
        let until = Instant::now() + limits::JOIN_PATIENCE;
        loop {
            match self.jetstream.query_account().await {
                Ok(_) => return Ok(()),
                // Servers that have just started are about to agree on who leads.
                Err(error) if is_late(&error) && Instant::now() < until => {}
                Err(error) => return Err(JoinError::NoJetStream(self.beside_said(error))),
            }
        }
    }

    /// The stream behind a bucket of records, made where it is not there yet.
    pub(crate) async fn bucket(&self, name: &str) -> Result<stream::Stream, JoinError> {
        let stream = self.make_bucket(name).await?;
        self.buckets.names().insert(name.to_owned());
        Ok(stream)
    }

    /// Makes all buckets again that are used here, where NATS has lost them.
    pub(crate) async fn make_buckets_again(&self) -> Result<(), JoinError> {
        let names = self.buckets.names().clone();
        for name in names {
            self.make_bucket(&name).await?;
        }
        self.buckets.again.send_replace(());
        Ok(())
    }

    /// Changes when buckets may be others than before.
    pub(crate) fn buckets_made_again(&self) -> watch::Receiver<()> {
        self.buckets.again.subscribe()
    }

    async fn make_bucket(&self, name: &str) -> Result<stream::Stream, JoinError> {
        let bucket = self.bucket_name(name);
        let config = stream::Config {
            name: format!("KV_{bucket}"),
            description: Some("Fanwire's records of what outlives a node".to_owned()),
            subjects: vec![format!("$KV.{bucket}.>")],
            max_messages_per_subject: 1,
            discard: stream::DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            num_replicas: self.replicas,
            allow_message_ttl: true,
            ..Default::default()
        };
        let fault = |cause: String| JoinError::Bucket { bucket: bucket.clone(), cause };
        let stream = self.jetstream.get_or_create_stream(config).await;
        let stream = stream.map_err(|error| fault(self.beside_said(error)))?;
        let found = &stream.cached_info().config;
        if !found.allow_message_ttl || !found.allow_rollup || found.max_messages_per_subject != 1 {
            return Err(fault(
                "another program has made it in another way; delete it, or give \
                              the cluster another name"
                    .to_owned(),
            ));
        }
        if found.num_replicas != self.replicas {
            return Err(fault(format!(
                "it has {} replicas and the settings say {}; `nats stream edit KV_{bucket} \
                 --replicas {}` changes that",
                found.num_replicas, self.replicas, self.replicas
            )));
        }
        Ok(stream)
    }

    /// A fault, and what NATS said last that was wrong.
    pub(crate) fn beside_said(&self, fault: impl Display) -> String {
        match self.said.last() {
            Some(said) => format!("{fault}; NATS says: {said}"),
            None => fault.to_string(),
        }
    }

    /// What comes before a key of a bucket in its subject.
    pub(crate) fn key_prefix(&self, name: &str) -> String {
        format!("$KV.{}.", self.bucket_name(name))
    }

    fn bucket_name(&self, name: &str) -> String {
        format!("fw_{}_{name}", self.names.token)
    }

    /// Where links' frames for a node are sent.
    pub(crate) fn link_subject(&self, to: Incarnation) -> String {
        format!("fw.{}.n.{}.{}", self.names.token, to.node, to.boot)
    }

    /// Where requests of a channel for a node are sent; `*` is every channel.
    pub(crate) fn request_subject(&self, to: NodeId, channel: &str) -> String {
        format!("fw.{}.q.{to}.{channel}", self.names.token)
    }

    /// Where publications are sent; `addressees` are the nodes that they are for.
    pub(crate) fn publication_subject(&self, addressees: &str) -> String {
        format!("fw.{}.p.{addressees}", self.names.token)
    }

    /// Hears from the server once; what was sent to it before, it has. Says whether it did.
    pub(crate) async fn round_trip(&self) -> bool {
        // Nobody listens there, which the server says.
        let subject = format!("fw.{}.nobody", self.names.token);
        let asked = self.client.request(subject, bytes::Bytes::new()).await;
        asked.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders)
    }

    /// The most bytes that a message can have, with this crate's own beside them.
    pub(crate) fn max_message(&self) -> usize {
        const OWN_BYTES: usize = 256;
        self.client.max_payload().saturating_sub(OWN_BYTES)
    }
}

// === impl Buckets ===

impl Buckets {
    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Said ===

impl Said {
    fn hear(&self, what: &str) {
        *self.lock() = Some(what.to_owned());
    }

    fn last(&self) -> Option<String> {
        self.lock().clone()
    }

    // A std lock, held for a copy.
    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect_options(options: &ClusterOptions) -> Result<ConnectOptions, JoinError> {
    let connect = ConnectOptions::new()
        .name(format!("fanwire {} ({})", options.node_name, options.name))
        // What is lost is lost within a lease, so it has to be seen well within one: when the
        // third of these is due, and two are not answered.
        .ping_interval((options.lease / 12).max(limits::LEAST_PING_INTERVAL))
        .request_timeout(Some(limits::REQUEST_TIMEOUT));
    let connect = match &options.credentials {
        Credentials::None => connect,
        Credentials::User { user, password } => {
            connect.user_and_password(user.clone(), password.clone())
        }
        Credentials::Token(token) => connect.token(token.clone()),
        Credentials::NKey(seed) => {
            let seed = seed.trim();
            // Else it would come out where NATS asks for a signature, without a word of why.
            nkeys::KeyPair::from_seed(seed).map_err(|error| JoinError::Seed(error.to_string()))?;
            connect.nkey(seed.to_owned())
        }
        Credentials::File(path) => {
            let shown = path.display().to_string();
            let read = connect.credentials_file(path).await;
            read.map_err(|cause| JoinError::Credentials { path: shown, cause })?
        }
    };
    let mut connect = connect.require_tls(options.tls.required);
    if let Some(path) = &options.tls.authorities {
        connect = connect.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.tls.certificate {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect)
}

fn is_late(error: &AccountError) -> bool {
    error.kind() == AccountErrorKind::TimedOut
}

/// A name as a token of subjects and buckets: what it has besides letters, digits and
/// hyphens is replaced, and a hash keeps it apart from other names.
fn token(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let token: String = name.chars().take(48).map(plain).collect();
    if token == name && !token.is_empty() {
        return token;
    }
    let hash = Sha256::digest(name.as_bytes());
    format!("{token}-{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}

/// URLs without the users and passwords in them.
fn shown(servers: &[String]) -> String {
    let without = |url: &String| match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host).to_owned(),
    };
    servers.iter().map(without).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clusters_become_tokens_that_differ_where_they_do() {
        assert_eq!(token("chat-prod"), "chat-prod");
        assert_ne!(token("chat.prod"), token("chat prod"));
        assert_ne!(token(""), token("ü"));
        let safe = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(token("a.b *>\n").chars().all(safe));
    }

    #[test]
    fn errors_show_no_password_of_a_url() {
        let urls = ["nats://me:secret@a:4222".to_owned(), "me:secret@b".to_owned()];
        assert_eq!(shown(&urls), "nats://a:4222, b");
    }
}
