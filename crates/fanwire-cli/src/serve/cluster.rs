//! What the settings say about other nodes, as the server takes it.

use fanwire_app::App;
use fanwire_app::serve::cluster::{Cluster, NatsCredentials};
use fanwire_server::{ClusterOptions, Credentials, NatsTls};

/// Where Linux says what the machine is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// How the node comes into its cluster.
pub(super) fn options(app: &App, cluster: &Cluster) -> ClusterOptions {
    let name = || match app.websocket_apis.first() {
        Some(api) => format!("{}-{}", app.service, api.stage),
        None => app.service.clone(),
    };
    ClusterOptions {
        servers: cluster.nats.iter().map(|url| url.reveal().to_owned()).collect(),
        name: cluster.name.clone().unwrap_or_else(name),
        node_name: cluster.node.clone().unwrap_or_else(host_name),
        // Where it is not said, the server knows where it listens.
        address: cluster.address.clone().unwrap_or_default(),
        credentials: match &cluster.credentials {
            NatsCredentials::None => Credentials::None,
            NatsCredentials::User { user, password } => {
                Credentials::User { user: user.clone(), password: password.reveal().to_owned() }
            }
            NatsCredentials::Token(token) => Credentials::Token(token.reveal().to_owned()),
            NatsCredentials::File(path) => Credentials::File(path.clone()),
            NatsCredentials::NKey(seed) => Credentials::NKey(seed.reveal().to_owned()),
        },
        tls: NatsTls {
            required: cluster.tls.required,
            authorities: cluster.tls.ca.clone(),
            certificate: cluster.tls.certificate.clone(),
        },
        replicas: cluster.replicas,
        lease: cluster.lease,
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string(HOST_NAME).ok().or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "node".to_owned())
}
