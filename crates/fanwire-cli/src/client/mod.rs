//! Talking with a running server: finding it, its control API, WebSockets to it.

mod address;
mod error;
mod http;
mod lines;
mod socket;
mod websocket;

use std::path::{Path, PathBuf};

use fanwire_app::serve::secret::Secret;
use hyper::body::Incoming;
use serde_json::Value;

pub(crate) use self::address::Address;
pub(crate) use self::error::{CommandError, output, run};
pub(crate) use self::http::Answer;
pub(crate) use self::lines::JsonLines;
pub(crate) use self::socket::Trust;
pub(crate) use self::websocket::{Handshake, Refused, WebSocket};
use crate::args::ServerArgs;
use crate::data;

/// Where `dev` listens, where nothing else is said.
const DEFAULT_URL: &str = "http://localhost:3001";

/// The variable with the token that servers ask for.
const TOKEN: &str = "FANWIRE_TOKEN";

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) address: Address,
    trust: Trust,
    /// What it is shown, where it asks who calls.
    token: Option<Secret>,
}

// === impl Server ===

impl Server {
    /// The server that the command line means: the one at `--url`; else the one that
    /// announces itself in this folder or one above; else the one at the usual port.
    pub(crate) fn find(args: &ServerArgs) -> Result<Self, CommandError> {
        let url = match &args.url {
            Some(url) => url.clone(),
            None => announced(args.data.as_deref())
                .map_or_else(|| DEFAULT_URL.to_owned(), |found| found.url),
        };
        let token =
            args.access_token.clone().or_else(|| std::env::var(TOKEN).ok().map(Secret::new));
        Ok(Self { token, ..Self::at(&url)? })
    }

    /// The server at a URL, which is shown no token.
    pub(crate) fn at(url: &str) -> Result<Self, CommandError> {
        Ok(Self { address: Address::parse(url)?, trust: Trust::Known, token: None })
    }

    /// What it serves.
    pub(crate) async fn app(&self) -> Result<Value, CommandError> {
        self.control("app").await
    }

    /// Asks its control API.
    pub(crate) async fn control(&self, path: &str) -> Result<Value, CommandError> {
        let answer = self.send("GET", &format!("/_fanwire/{path}"), &[], "").await?;
        answer.expect_success(&format!("/_fanwire/{path}"))?.json()
    }

    /// Listens to one of the streams of its control API.
    pub(crate) async fn listen(&self, path: &str) -> Result<JsonLines, CommandError> {
        let path = format!("/_fanwire/{path}");
        let (head, body) = self.start("GET", &path, &[], "").await?;
        if !head.status.is_success() {
            let answer = Answer::read(head, body).await?;
            return Err(answer.expect_success(&path).err().unwrap_or(CommandError::Ended));
        }
        Ok(JsonLines::new(body))
    }

    /// Makes a request and reads the answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Result<Answer, CommandError> {
        let (head, body) = self.start(method, path, headers, body).await?;
        Answer::read(head, body).await
    }

    async fn start(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Result<(http::Head, Incoming), CommandError> {
        let shown = self.token.as_ref().map(|token| format!("Bearer {}", token.reveal()));
        let mut headers = headers.to_vec();
        headers.extend(shown.as_deref().map(|shown| ("authorization", shown)));
        http::start(&self.address, self.trust, method, path, &headers, body).await
    }
}

/// The announcement in `folder`, or in the nearest folder of the usual name.
fn announced(folder: Option<&Path>) -> Option<data::Announcement> {
    if let Some(folder) = folder {
        return data::announced(folder);
    }
    let here = std::env::current_dir().ok()?;
    let folders: Vec<PathBuf> = here.ancestors().map(|each| each.join(data::DEFAULT)).collect();
    folders.iter().find_map(|folder| data::announced(folder))
}

/// Encodes text for one segment of a path, or for a query.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
