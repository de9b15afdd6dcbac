//! The handle to an App's tables.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fanwire_app::model::Table;
use http::header::{CONTENT_LENGTH, DATE, HOST, HeaderName, SERVER};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::definition::{self, TableNote};
use crate::engine::{Engine, OpenError};
use crate::expiry;

/// Where tables are kept.
#[derive(Debug, Clone)]
pub struct DynamoDbOptions {
    /// The data folder; made where it is missing.
    pub folder: PathBuf,
    /// Whether to begin with no tables, whatever the folder holds.
    pub fresh: bool,
}

/// Why a table that the App declares cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The engine refuses the table, or cannot read it.
    #[error("the table `{table}`: {why}")]
    Refused {
        /// The table's name.
        table: String,
        /// The engine's answer, in DynamoDB's words.
        why: String,
    },
}

/// The embedded DynamoDB of one App. Cheap to clone; all clones are one database.
///
/// The file is opened with the first table or request, so that an App without tables
/// leaves no file behind.
#[derive(Clone)]
pub struct DynamoDb {
    shared: Arc<Shared>,
}

struct Shared {
    options: DynamoDbOptions,
    engine: Mutex<Option<Arc<Engine>>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Headers of the engine's answers that are its own business or the server's.
const NOT_PASSED_ON: [HeaderName; 4] =
    [SERVER, DATE, CONTENT_LENGTH, HeaderName::from_static("x-dynoxide-version")];

// === impl DynamoDb ===

impl DynamoDb {
    /// Makes the handle. Touches no file yet.
    pub fn new(options: DynamoDbOptions) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let engine = Mutex::new(None);
        Self { shared: Arc::new(Shared { options, engine, client }) }
    }

    /// Makes the tables that are missing, and gives those that are there the indexes and
    /// the expiry that they are declared with. No item is ever deleted by this. Says what
    /// was done, and what could not be. Blocks.
    ///
    /// # Errors
    ///
    /// Where the database cannot be opened, or the engine refuses a table; those before it
    /// are made.
    pub fn ensure<'t>(
        &self,
        tables: impl IntoIterator<Item = &'t Table>,
    ) -> Result<Vec<TableNote>, TableError> {
        let mut notes = Vec::new();
        for table in tables {
            let engine = self.engine()?;
            definition::ensure(engine.database(), table, &mut notes).map_err(|error| {
                TableError::Refused { table: table.name.clone(), why: error.to_string() }
            })?;
        }
        Ok(notes)
    }

    /// Ends the items whose time to live is before `now`, in seconds since the epoch. Says
    /// how many. Blocks, a short while at a time; requests go in between.
    ///
    /// # Errors
    ///
    /// The engine's, such as a full disk.
    pub fn sweep(&self, now: f64) -> Result<usize, TableError> {
        // Nothing can expire in a database that nobody has opened.
        let Some(engine) = self.opened() else { return Ok(0) };
        expiry::sweep(engine.database(), now)
    }

    /// Answers a request to the API, in DynamoDB's own forms.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let shared = Arc::clone(&self.shared);
        let this = Self { shared };
        let opened = match self.opened() {
            Some(engine) => Ok(engine),
            None => match tokio::task::spawn_blocking(move || this.engine()).await {
                Ok(opened) => opened.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
        };
        let passed_on = match opened {
            Ok(engine) => self.pass_on(request, &engine).await,
            Err(error) => Err(error),
        };
        passed_on.unwrap_or_else(|why| internal_error(&why))
    }

    async fn pass_on(
        &self,
        request: Request<Bytes>,
        engine: &Engine,
    ) -> Result<Response<Bytes>, String> {
        let (mut head, body) = request.into_parts();
        let mut uri = std::mem::take(&mut head.uri).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        let authority: Result<Authority, _> = engine.address().to_string().parse();
        uri.authority = Some(authority.map_err(|error| error.to_string())?);
        head.uri = Uri::from_parts(uri).map_err(|error| error.to_string())?;
        // The client writes both anew.
        head.headers.remove(HOST);
        head.headers.remove(CONTENT_LENGTH);
        let request = Request::from_parts(head, Full::new(body));
        let answer = self.shared.client.request(request).await;
        let (mut head, body) = answer.map_err(|error| error.to_string())?.into_parts();
        for name in NOT_PASSED_ON {
            head.headers.remove(name);
        }
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Response::from_parts(head, body))
    }

    fn opened(&self) -> Option<Arc<Engine>> {
        self.shared.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The engine, opened if it is not yet. One that could not be opened is tried again.
    fn engine(&self) -> Result<Arc<Engine>, OpenError> {
        let mut engine = self.shared.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*engine {
            return Ok(Arc::clone(engine));
        }
        let options = &self.shared.options;
        let opened = Arc::new(Engine::open(&options.folder, options.fresh)?);
        Ok(Arc::clone(engine.insert(opened)))
    }
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

/// An answer that SDKs turn into an `InternalServerError`, and retry.
fn internal_error(why: &str) -> Response<Bytes> {
    let kind = "com.amazonaws.dynamodb.v20120810#InternalServerError";
    let body = serde_json::json!({ "__type": kind, "message": why }).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}
