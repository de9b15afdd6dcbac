//! The certificates that are presented, and what is told of them.

use std::path::Path;
use std::sync::Arc;

use fanwire_app::serve::Serve;
use fanwire_server::{CertificateError, CertificateEvent, CertificateObserver, Certificates};

use crate::console::Console;

/// The folder in the data folder where what an authority issues is kept.
const ACME: &str = "acme";

/// What the settings say is presented. `None`: they say nothing of TLS.
///
/// # Errors
///
/// Where a file cannot be used.
pub(super) fn open(
    settings: &Serve,
    folder: &Path,
    console: &Arc<Console>,
) -> Result<Option<Arc<Certificates>>, CertificateError> {
    let open = |tls| Certificates::open(tls, &folder.join(ACME), Arc::clone(console) as _);
    settings.tls.as_ref().map(open).transpose()
}

impl CertificateObserver for Console {
    fn certificates(&self, event: &CertificateEvent) {
        self.news(event.to_string());
    }
}
