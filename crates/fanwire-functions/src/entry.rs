//! One function as it is served: what it is, and where its events go.

use std::sync::Arc;

use fanwire_app::model::{Code, Function, Runtime};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::aws_calls::AwsCalls;
use crate::host::StartError;
use crate::name;
use crate::observer::Observer;
use crate::options::HostOptions;
use crate::outcome::{InvokeError, Outcome, ThrottleReason};
use crate::pool::Pool;
use crate::process::Processes;
use crate::remote::{HttpClient, HttpFunction, LambdaFunction};
use crate::sources::Sources;
use crate::spec::{Request, Spec};

/// A function of the host.
pub(crate) struct Entry {
    pub(crate) spec: Arc<Spec>,
    target: Target,
    /// Places for asynchronous events.
    pub(crate) queue: Arc<Semaphore>,
}

/// Where events of a function go.
enum Target {
    /// To processes of ours.
    Processes(Arc<Pool>),
    /// To AWS.
    Lambda(LambdaFunction, Calls),
    /// To a URL.
    Http(HttpFunction, Calls),
}

/// Bounds the calls to a function elsewhere that are in flight.
struct Calls(Semaphore);

/// Makes entries: what all functions of a host share.
pub(crate) struct EntryMaker {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) processes: Arc<Processes>,
    pub(crate) runtime: tokio::runtime::Handle,
    /// Made for the first function elsewhere: most apps have none.
    pub(crate) client: Option<HttpClient>,
}

// === impl EntryMaker ===

impl EntryMaker {
    /// An entry for a function. Made from the one it replaces, it has the same processes:
    /// the pool is still to be [renewed](Pool::renew) with the entry's spec.
    pub(crate) fn entry(
        &mut self,
        key: &str,
        function: &Function,
        options: &Arc<HostOptions>,
        replaced: Option<&Entry>,
    ) -> Result<Entry, StartError> {
        let handler = function.code.handler();
        let is_node = handler.is_some_and(|handler| handler.runtime == Runtime::Node);
        if options.inspect.contains_key(key) && !is_node {
            let why = "only a handler in Node.js can be inspected".to_owned();
            return Err(StartError::Function { key: key.to_owned(), why });
        }
        // Code that did not change is made of the same files.
        let sources =
            replaced.filter(|entry| entry.spec.function.code == function.code).map_or_else(
                || Arc::new(Sources::of(&function.code)),
                |entry| Arc::clone(&entry.spec.sources),
            );
        let spec = Arc::new(Spec {
            key: key.to_owned(),
            arn: name::arn(function, options),
            function: function.clone(),
            options: Arc::clone(options),
            observer: Arc::clone(&self.observer),
            processes: Arc::clone(&self.processes),
            runtime: self.runtime.clone(),
            built: tokio::sync::Mutex::new(None),
            aws_calls: AwsCalls::default(),
            sources,
        });
        let target = self.target(&spec, replaced)?;
        let queue = replaced.map_or_else(
            || Arc::new(Semaphore::new(options.async_retry.max_queued)),
            |entry| Arc::clone(&entry.queue),
        );
        Ok(Entry { spec, target, queue })
    }

    fn target(&mut self, spec: &Arc<Spec>, replaced: Option<&Entry>) -> Result<Target, StartError> {
        let wrong = |why| StartError::Function { key: spec.key.clone(), why };
        let calls = || Calls(Semaphore::new(spec.options.max_waiting));
        match &spec.function.code {
            Code::Handler { .. } | Code::Inline { .. } | Code::Command { .. } => {
                let pool = replaced.and_then(Entry::pool).cloned();
                let pool = pool.unwrap_or_else(|| Arc::new(Pool::new(Arc::clone(spec))));
                Ok(Target::Processes(pool))
            }
            Code::Lambda { arn, endpoint } => {
                let endpoint = endpoint.as_deref().or(spec.options.lambda_endpoint.as_deref());
                let function = LambdaFunction::new(self.client()?, arn, endpoint).map_err(wrong)?;
                Ok(Target::Lambda(function, calls()))
            }
            Code::Http { url } => {
                let function = HttpFunction::new(self.client()?, url).map_err(wrong)?;
                Ok(Target::Http(function, calls()))
            }
        }
    }

    fn client(&mut self) -> Result<HttpClient, StartError> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => {
                let made = HttpClient::new().map_err(StartError::Certificates)?;
                Ok(self.client.insert(made).clone())
            }
        }
    }
}

// === impl Entry ===

impl Entry {
    pub(crate) async fn invoke(&self, request: &Request) -> Result<Outcome, InvokeError> {
        match &self.target {
            Target::Processes(pool) => pool.invoke(request).await,
            Target::Lambda(function, calls) => {
                let _place = calls.enter(&self.spec)?;
                function.invoke(&self.spec, request).await
            }
            Target::Http(function, calls) => {
                let _place = calls.enter(&self.spec)?;
                function.invoke(&self.spec, request).await
            }
        }
    }

    /// Its processes, where it has such.
    pub(crate) fn pool(&self) -> Option<&Arc<Pool>> {
        match &self.target {
            Target::Processes(pool) => Some(pool),
            Target::Lambda(..) | Target::Http(..) => None,
        }
    }
}

impl Calls {
    /// A place for one call, or the reason why there is none.
    fn enter(&self, spec: &Spec) -> Result<SemaphorePermit<'_>, InvokeError> {
        self.0.try_acquire().map_err(|_| InvokeError::Throttled {
            key: spec.key.clone(),
            reason: ThrottleReason::Waiting(spec.options.max_waiting),
        })
    }
}
