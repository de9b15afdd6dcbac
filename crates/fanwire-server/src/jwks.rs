//! The keys that tokens for the realtime endpoint are signed with: a file's, or a URL's.

use std::path::Path;
use std::time::Duration;

use fanwire_app::model::JwksSource;
use fanwire_functions::HttpClient;
use fanwire_realtime::Realtime;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;

/// The longest set of keys, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// How long keys may take to come. Clients wait for them.
const FETCH_WITHIN: Duration = Duration::from_secs(4);

/// Fetches keys at once and whenever they are wanted, until it is dropped.
#[derive(Debug)]
pub(crate) struct KeyFetcher(JoinHandle<()>);

// === impl KeyFetcher ===

impl KeyFetcher {
    pub(crate) fn start(plane: Realtime) -> Self {
        Self(tokio::spawn(async move {
            let mut client = None;
            loop {
                if let Some(source) = plane.keys_source() {
                    let fetched = fetch(&source, &mut client).await;
                    plane.keys_fetched(&source, fetched.as_deref().map_err(String::as_str));
                }
                plane.keys_wanted().await;
            }
        }))
    }
}

impl Drop for KeyFetcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The text of a set of keys; or why it cannot be had, in words.
pub(crate) async fn fetch(
    source: &JwksSource,
    client: &mut Option<HttpClient>,
) -> Result<String, String> {
    let bytes = match source {
        JwksSource::File(path) => {
            read(path).await.map_err(|error| format!("{}: {error}", path.display()))?
        }
        JwksSource::Url(url) => {
            let client = match client {
                Some(client) => client,
                None => client.insert(HttpClient::new().map_err(|error| error.to_string())?),
            };
            client.get(url, MAX_BYTES, FETCH_WITHIN).await?.to_vec()
        }
    };
    String::from_utf8(bytes).map_err(|_| "the JWKS is not UTF-8".to_owned())
}

/// A file, or as much of it as there may be: what is cut off is no JSON any more.
async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(MAX_BYTES as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
