//! Listeners that a service manager has opened for the server (sd_listen_fds(3)): ports that
//! only root may open, and that clients find open while the server is started anew.

use std::io;
use std::sync::Arc;

use fanwire_app::serve::Serve;
use fanwire_server::{ListenAt, ListenerOptions, ListenerTls};
use listenfd::ListenFd;

/// What was opened, in the manager's order. The first is served as the first `[[listen]]` of
/// the settings says, the second as the second: with TLS or not, behind a proxy or not. One
/// that the settings do not know speaks TLS where there are certificates.
///
/// # Errors
///
/// Where what was handed over is no listener for streams.
pub(super) fn listeners(settings: &Serve) -> io::Result<Vec<ListenerOptions>> {
    let mut handed = ListenFd::from_env();
    (0..handed.len())
        .map(|index| {
            let said = settings.listeners.get(index);
            let tls = said.and_then(|listener| listener.tls).unwrap_or(settings.tls.is_some());
            Ok(ListenerOptions {
                at: take(&mut handed, index)?,
                tls: if tls { ListenerTls::Always } else { ListenerTls::Never },
                proxy_protocol: said.is_some_and(|listener| listener.proxy_protocol),
            })
        })
        .collect()
}

fn take(handed: &mut ListenFd, index: usize) -> io::Result<ListenAt> {
    if let Ok(Some(tcp)) = handed.take_tcp_listener(index) {
        return Ok(ListenAt::OpenTcp(Arc::new(tcp)));
    }
    let unix = handed.take_unix_listener(index)?;
    let unix = unix.ok_or_else(|| io::Error::other("it was handed over twice"))?;
    Ok(ListenAt::OpenUnix(Arc::new(unix)))
}
