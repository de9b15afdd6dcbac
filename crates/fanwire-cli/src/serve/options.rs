//! What a server is started with, from the command line, the settings and what systemd has
//! opened.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use fanwire_app::App;
use fanwire_app::LoadOptions;
use fanwire_app::serve::Serve;
use fanwire_app::serve::access::read_keys;
use fanwire_app::serve::listen::{ListenAt as Said, Listener};
use fanwire_app::serve::telemetry::{Telemetry, TelemetryAddress};
use fanwire_server::{
    AuditOptions, Authority, CertificateError, Certificates, DomainError, Domains, GuardOptions,
    ListenAt, ListenerOptions, ListenerTls, NoNetwork, ServerOptions, Sharing, TelemetryOptions,
    TlsError, TraceOptions, TrustedProxies,
};
use listenfd::ListenFd;

use super::cluster;
use crate::args::{ListenArg, ServeArgs};
use crate::console::Console;
use crate::{data, hosting};

/// The folder in the data folder for what an authority of certificates has issued.
const CERTIFICATES: &str = "certificates";

/// The folder in the data folder for the authority that functions trust, and nobody else.
const AUTHORITY: &str = "authority";

/// Where clients connect if nobody says.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3001);

/// The server's own address: for functions and commands of this machine alone, at whichever
/// port is free.
const OWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Why an App cannot be served as its settings say.
#[derive(Debug, thiserror::Error)]
pub(super) enum OptionsError {
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    #[error(transparent)]
    Domains(#[from] DomainError),
    #[error(transparent)]
    Authority(#[from] TlsError),
    #[error("trusted_proxies: {0}")]
    Proxies(#[from] NoNetwork),
}

/// What the server is started with. Certificates are read.
pub(super) fn options(
    app: &App,
    args: &ServeArgs,
    settings: &Serve,
    folder: &Path,
    console: &Arc<Console>,
) -> Result<ServerOptions, OptionsError> {
    let certificates = settings.tls.as_ref().map(|tls| {
        let observer = Arc::clone(console);
        Certificates::open(tls, &folder.join(CERTIFICATES), observer)
    });
    let proxies = TrustedProxies::of(settings.trusted_proxies.iter().map(String::as_str))?;
    let mut options = hosting::server_options(folder, args.max_processes);
    options.functions.withheld = own_variables(settings);
    options.address = OWN;
    // Handlers that call AWS by its own names come here, and want certificates for them.
    options.tls = Some(Arc::new(Authority::open_in(&folder.join(AUTHORITY))?));
    options.listeners = listeners(args, settings);
    // What another App has is not to be shared: each would get a part of the other's clients.
    let succeeds = options.predecessor().is_some()
        || data::announced(folder).is_some()
        || data::leaving(folder).is_some();
    options.sharing = if succeeds { Sharing::WithPredecessor } else { Sharing::WithSuccessor };
    options.certificates = certificates.transpose()?;
    options.proxies = proxies;
    options.domains = Domains::of(&settings.domains, app)?;
    options.guard = GuardOptions {
        access: Some(settings.access.clone()),
        limits: settings.limits.clone(),
        observer: Some(Arc::clone(console) as _),
    };
    options.telemetry = telemetry(&settings.telemetry, &app.service);
    options.nitric.first_socket_port = args.socket_port;
    options.cluster = settings.cluster.as_ref().map(|said| cluster::options(app, said));
    Ok(options)
}

/// The environment variables that settings and the file of keys have secrets from.
fn own_variables(settings: &Serve) -> Vec<String> {
    let environment = std::env::vars().collect();
    let load = LoadOptions { environment, ..LoadOptions::default() };
    // A file that cannot be used is told of where it is needed.
    let keys = settings.access.keys_file.as_ref().and_then(|path| read_keys(path, &load).ok());
    let of_keys = keys.into_iter().flat_map(|keys| keys.variables);
    settings.variables.iter().cloned().chain(of_keys).collect()
}

/// What the server tells of itself. Where nobody says at which address, it does without one
/// that is taken: by another server on this machine, mostly.
fn telemetry(said: &Telemetry, app: &str) -> TelemetryOptions {
    TelemetryOptions {
        address: said.address.address(),
        may_do_without: said.address == TelemetryAddress::Usual,
        audit: said.audit.as_ref().map(|audit| AuditOptions {
            file: audit.file.clone(),
            max_bytes: audit.max_bytes,
            keep: audit.keep,
        }),
        traces: said.traces.as_ref().map(|traces| TraceOptions {
            endpoint: traces.endpoint.clone(),
            sample: f64::from(traces.sample_per_million) / 1_000_000.0,
            believe_clients: traces.believe_clients,
            service: app.to_owned(),
        }),
    }
}

/// Where clients connect: what systemd has opened, else what the command line says, else the
/// settings.
fn listeners(args: &ServeArgs, settings: &Serve) -> Vec<ListenerOptions> {
    let tls = if settings.tls.is_some() { ListenerTls::Always } else { ListenerTls::Never };
    let opened = opened_by_systemd(settings, tls);
    if !opened.is_empty() {
        return opened;
    }
    if !args.listen.is_empty() {
        let plain = |at| ListenerOptions { at, tls, proxy_protocol: false };
        return args.listen.iter().map(|typed| plain(typed_at(typed))).collect();
    }
    let said = |listener: &Listener| {
        let at = match &listener.at {
            Said::Address(address) => ListenAt::Address(*address),
            Said::Unix(path) => ListenAt::Unix(path.clone()),
        };
        manner(listener, tls).into_options(at)
    };
    if settings.listeners.is_empty() {
        return vec![ListenerOptions {
            at: ListenAt::Address(DEFAULT_LISTEN),
            tls,
            proxy_protocol: false,
        }];
    }
    settings.listeners.iter().map(said).collect()
}

fn typed_at(typed: &ListenArg) -> ListenAt {
    match typed {
        ListenArg::Address(address) => ListenAt::Address(*address),
        ListenArg::Unix(path) => ListenAt::Unix(path.clone()),
    }
}

/// How a listener is spoken on.
struct Manner {
    tls: ListenerTls,
    proxy_protocol: bool,
}

impl Manner {
    fn into_options(self, at: ListenAt) -> ListenerOptions {
        ListenerOptions { at, tls: self.tls, proxy_protocol: self.proxy_protocol }
    }
}

fn manner(listener: &Listener, default: ListenerTls) -> Manner {
    let tls = match listener.tls {
        Some(true) => ListenerTls::Always,
        Some(false) => ListenerTls::Never,
        None => default,
    };
    Manner { tls, proxy_protocol: listener.proxy_protocol }
}

/// The sockets of a socket unit, in its order (systemd.socket(5)). Each is spoken on as the
/// listener of the settings at its place says, wherever that would have listened.
fn opened_by_systemd(settings: &Serve, tls: ListenerTls) -> Vec<ListenerOptions> {
    let mut given = ListenFd::from_env();
    let opened = (0..given.len()).filter_map(|at| {
        // It is of one kind or the other; one that is neither is left alone.
        let tcp = given.take_tcp_listener(at).ok().flatten();
        let open = match tcp {
            Some(tcp) => ListenAt::OpenTcp(Arc::new(tcp)),
            None => ListenAt::OpenUnix(Arc::new(given.take_unix_listener(at).ok().flatten()?)),
        };
        let manner = settings.listeners.get(at).map(|listener| manner(listener, tls));
        let manner = manner.unwrap_or(Manner { tls, proxy_protocol: false });
        Some(manner.into_options(open))
    });
    opened.collect()
}
