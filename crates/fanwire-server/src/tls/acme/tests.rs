//! Orders against Pebble, the authority that Let's Encrypt's authors test clients with: it
//! resolves the names, connects, and looks for what RFC 8737 prescribes.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use http::Request;
use instant_acme::{BodyWrapper, HttpClient as _};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;

use super::super::event::CertificateObserver;
use super::super::stream::Acceptor;
use super::client::Http;
use super::*;
use fanwire_app::serve::tls::{ClientCertificates, ExternalAccount, Tls};
use rcgen::KeyPair;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Pebble's configuration says of an account that was made elsewhere.
const EXTERNAL_ID: &str = "kid-1";
const EXTERNAL_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// An authority, which ends with the test.
struct Pebble {
    folder: TempDir,
    port: u16,
    management: u16,
    processes: Vec<Child>,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Pebble {
    /// One that looks for names at `tls_port`, wherever they are said to be.
    async fn start(tls_port: u16, external: bool) -> Self {
        // A port that was free may be another's by then.
        for _ in 0..10 {
            if let Some(pebble) = Self::start_at(free_port(), tls_port, external).await {
                return pebble;
            }
        }
        panic!("pebble does not start");
    }

    async fn start_at(port: u16, tls_port: u16, external: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        certify_localhost(folder.path());
        let (management, dns) = (free_port(), free_port());
        let local = |port: u16| format!("127.0.0.1:{port}");
        let file = |name: &str| folder.path().join(name);
        let config = serde_json::json!({ "pebble": {
            "listenAddress": local(port),
            "managementListenAddress": local(management),
            "certificate": file("cert.pem"),
            "privateKey": file("key.pem"),
            "httpPort": free_port(),
            "tlsPort": tls_port,
            "externalAccountBindingRequired": external,
            "externalAccountMACKeys": { EXTERNAL_ID: EXTERNAL_KEY },
        }});
        std::fs::write(file("config.json"), config.to_string()).unwrap();
        let names = Command::new("pebble-challtestsrv")
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", ""])
            .args(["-dns01", &local(dns), "-defaultIPv6", ""])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble is installed");
        let authority = Command::new("pebble")
            .arg("-strict")
            .args(["-config".as_ref(), file("config.json").as_os_str()])
            .args(["-dnsserver", &local(dns)])
            .env("PEBBLE_VA_NOSLEEP", "1")
            // So many requests of a hundred are refused for no reason, which clients put up with.
            .env("PEBBLE_WFE_NONCEREJECT", "5")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble is installed");
        let mut pebble = Self { folder, port, management, processes: vec![names, authority] };
        for port in [port, management] {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                if pebble.processes.iter_mut().any(|each| each.try_wait().unwrap().is_some()) {
                    return None;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Some(pebble)
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn acme(&self, domains: &[&str]) -> Acme {
        Acme {
            domains: domains.iter().map(|name| (*name).to_owned()).collect(),
            contact: vec!["mailto:ops@example.com".to_owned()],
            directory: format!("https://localhost:{}/dir", self.port),
            directory_ca: Some(self.ca()),
            account: None,
        }
    }

    /// A client that trusts what this authority issues.
    async fn trusting(&self) -> TlsConnector {
        let uri = format!("https://localhost:{}/roots/0", self.management);
        let request = Request::get(uri).body(BodyWrapper::default()).unwrap();
        let mut answer = Http::new(Some(&self.ca())).unwrap().request(request).await.unwrap();
        let root = answer.body.into_bytes().await.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
        let provider = super::super::authority::provider();
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}

/// A certificate for localhost, and what vouches for it.
fn certify_localhost(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(params, ca_key)).unwrap();
    let write = |name: &str, pem: String| std::fs::write(folder.join(name), pem).unwrap();
    write("ca.pem", ca.pem());
    write("cert.pem", leaf.pem());
    write("key.pem", key.serialize_pem());
}

/// Passes on what it is told.
struct Told(Mutex<mpsc::UnboundedSender<String>>);

impl CertificateObserver for Told {
    fn certificates(&self, event: &CertificateEvent) {
        let _ = self.0.lock().unwrap().send(event.to_string());
    }
}

/// A listener that does handshakes and nothing else.
struct Host {
    port: u16,
    told: mpsc::UnboundedReceiver<String>,
    certificates: Arc<Certificates>,
    _stop: watch::Sender<bool>,
}

impl Host {
    async fn start(listener: std::net::TcpListener, acme: Acme, folder: &Path) -> Self {
        Self::with(listener, Tls { acme: Some(acme), ..Tls::default() }, folder).await
    }

    async fn with(listener: std::net::TcpListener, tls: Tls, folder: &Path) -> Self {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = mpsc::unbounded_channel();
        let certificates =
            Certificates::open(&tls, folder, Arc::new(Told(Mutex::new(tell)))).unwrap();
        let acceptor = certificates.acceptor(None, Ipv4Addr::LOCALHOST.into()).unwrap();
        tokio::spawn(accept(listener, acceptor));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(Arc::clone(&certificates).keep(stopped));
        Self { port, told, certificates, _stop: stop }
    }

    /// Waits until it is told something with `part` in it.
    async fn told(&mut self, part: &str) -> String {
        let mut before = Vec::new();
        let finding = async {
            loop {
                let text = self.told.recv().await.expect("it is still there");
                if text.contains(part) {
                    return text;
                }
                before.push(text);
            }
        };
        let found = timeout(PATIENCE, finding).await;
        found.unwrap_or_else(|_| panic!("never told: {part}; but {before:?}"))
    }
}

async fn accept(listener: TcpListener, acceptor: Acceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move { acceptor.handshake(stream).await.map(drop) });
    }
}

fn listen() -> std::net::TcpListener {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

async fn shake_hands(connector: &TlsConnector, port: u16, name: &'static str) -> bool {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    connector.connect(ServerName::try_from(name).unwrap(), stream).await.is_ok()
}

#[tokio::test]
async fn certificates_are_issued_presented_and_kept() {
    let (folder, listener) = (tempfile::tempdir().unwrap(), listen());
    let pebble = Pebble::start(listener.local_addr().unwrap().port(), false).await;
    let acme = pebble.acme(&["chat.example.com", "other.example.org"]);
    let mut host = Host::start(listener, acme.clone(), folder.path()).await;
    host.told("there is a certificate for chat.example.com").await;
    host.told("there is a certificate for other.example.org").await;
    let client = pebble.trusting().await;
    assert!(shake_hands(&client, host.port, "chat.example.com").await);
    assert!(shake_hands(&client, host.port, "other.example.org").await);
    assert!(!shake_hands(&client, host.port, "third.example.com").await);
    assert!(host.certificates.facts().iter().all(|facts| facts.by_acme));
    // Whoever comes after orders nothing, and presents the same at once.
    let mut again = Host::start(listen(), acme.clone(), folder.path()).await;
    assert!(shake_hands(&client, again.port, "chat.example.com").await);
    assert!(again.told.try_recv().is_err());
    // A renewal is another certificate, of the same account.
    let account = || std::fs::read(account_file(folder.path())).unwrap();
    let (before, challenges) = (account(), host.challenges());
    let renewal = Renewal::open(acme, folder.path()).unwrap();
    let name = "chat.example.com";
    let renewed = order::order(&renewal.acme, &renewal.store, &challenges, name);
    let renewed = timeout(PATIENCE, renewed).await.unwrap().unwrap();
    assert_eq!((account(), renewed.names), (before, vec![name.to_owned()]));
}

fn account_file(folder: &Path) -> PathBuf {
    let authority = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    authority.join("account.json")
}

impl Host {
    fn challenges(&self) -> Arc<Challenges> {
        self.certificates.renewal_for_tests().challenges()
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_gets_none_and_is_told_why() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), listen());
    let pebble = Pebble::start(elsewhere.local_addr().unwrap().port(), false).await;
    // There nobody answers the challenge.
    drop(elsewhere);
    let acme = pebble.acme(&["chat.example.com"]);
    let mut host = Host::start(listen(), acme, folder.path()).await;
    let told = host.told("no certificate was issued").await;
    assert!(told.contains("chat.example.com") && told.contains("port 443"), "{told}");
    assert!(told.contains("the next attempt is in"), "{told}");
    let client = pebble.trusting().await;
    assert!(!shake_hands(&client, host.port, "chat.example.com").await, "there is none");
}

#[tokio::test]
async fn an_authority_that_cannot_be_reached_or_trusted_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let pebble = Pebble::start(1, false).await;
    let mut acme = pebble.acme(&["chat.example.com"]);
    acme.directory_ca = None;
    let mut host = Host::start(listen(), acme.clone(), folder.path()).await;
    let told = host.told("no certificate was issued").await;
    assert!(told.contains("certificate"), "{told}");
    acme.directory = format!("https://localhost:{}/dir", free_port());
    let mut host = Host::start(listen(), acme, folder.path()).await;
    let told = host.told("no certificate was issued").await;
    assert!(told.contains("refused"), "{told}");
}

#[tokio::test]
async fn an_account_from_elsewhere_is_bound_by_its_key() {
    let (folder, listener) = (tempfile::tempdir().unwrap(), listen());
    let pebble = Pebble::start(listener.local_addr().unwrap().port(), true).await;
    let mut acme = pebble.acme(&["chat.example.com"]);
    let mut host = Host::start(listen(), acme.clone(), folder.path()).await;
    assert!(host.told("no certificate was issued").await.contains("externalAccountRequired"));
    let key_file = folder.path().join("eab.key");
    std::fs::write(&key_file, format!("{EXTERNAL_KEY}\n")).unwrap();
    acme.account = Some(ExternalAccount { id: EXTERNAL_ID.to_owned(), key_file });
    let kept = tempfile::tempdir().unwrap();
    let mut host = Host::start(listener, acme, kept.path()).await;
    host.told("there is a certificate for chat.example.com").await;
}

#[tokio::test]
async fn an_authority_that_has_forgotten_the_account_gets_a_new_one() {
    let (folder, listener) = (tempfile::tempdir().unwrap(), listen());
    let port = listener.local_addr().unwrap().port();
    let first = Pebble::start(port, false).await;
    let acme = first.acme(&["chat.example.com"]);
    let mut host = Host::start(listener, acme.clone(), folder.path()).await;
    host.told("there is a certificate for chat.example.com").await;
    let authority = first.port;
    drop(first);
    // At the same place, with nothing in its books.
    let second = Pebble::start_at(authority, port, false).await.unwrap();
    let at = second.acme(&["chat.example.com"]);
    let renewal = Renewal::open(acme, folder.path()).unwrap();
    let challenges = host.challenges();
    let ordered = || order::order(&at, &renewal.store, &challenges, "chat.example.com");
    assert!(ordered().await.is_err());
    timeout(PATIENCE, ordered()).await.unwrap().unwrap();
}

#[tokio::test]
async fn authorities_are_met_where_clients_need_certificates_of_their_own() {
    let (folder, listener) = (tempfile::tempdir().unwrap(), listen());
    let pebble = Pebble::start(listener.local_addr().unwrap().port(), false).await;
    let tls = Tls {
        acme: Some(pebble.acme(&["chat.example.com"])),
        client_ca: Some(pebble.ca()),
        client_certificates: ClientCertificates::Required,
        ..Tls::default()
    };
    let mut host = Host::with(listener, tls, folder.path()).await;
    host.told("there is a certificate for chat.example.com").await;
}
