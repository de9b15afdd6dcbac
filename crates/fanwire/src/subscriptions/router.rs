//! Procedures by their paths.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use fanwire_wire::trpc::ProcedureType;
use futures_util::{FutureExt, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use ts_rs::TS;

use super::procedure::{Procedure, Run};
use super::typescript::Signature;
use super::{
    Answer, Call, ErrorCode, Interest, Opening, Output, Payload, Sent, Subscription, Subscriptions,
    TrpcError,
};

/// Procedures by their paths, which are called with a context `C`.
///
/// ```
/// use std::sync::Arc;
/// use fanwire::subscriptions::{ErrorCode, Router, TrpcError};
///
/// struct AppContext { user_id: String }
///
/// let admin = Router::<AppContext>::new()
///     .query("uptime", |_ctx, (): ()| async { Ok(17) })
///     .middleware(|ctx: Arc<AppContext>, _call| async {
///         if ctx.user_id == "root" {
///             return Ok(ctx);
///         }
///         Err(TrpcError::new(ErrorCode::Forbidden, "only for root"))
///     });
///
/// let subscriptions = Router::new()
///     .query("greeting", |ctx: Arc<AppContext>, name: String| async move {
///         Ok(format!("hello {name} from {}", ctx.user_id))
///     })
///     .merge("admin", admin)
///     .context(|opening| async move { Ok(AppContext { user_id: opening.require("userId")? }) });
/// # let _ = subscriptions;
/// ```
///
/// # Panics
///
/// Where two procedures get one path, or a path has other letters than `A-Z a-z 0-9 _ -`
/// between its dots: mistakes of the program, which show when it starts.
pub struct Router<C> {
    pub(crate) procedures: BTreeMap<String, Procedure<C>>,
}

/// What a middleware knows of a call.
#[derive(Clone, Debug)]
pub struct CallInfo {
    /// How the procedure is called.
    pub kind: ProcedureType,
    /// Its path.
    pub path: String,
}

// === impl Router ===

impl<C: Send + Sync + 'static> Router<C> {
    /// A router without procedures.
    #[must_use]
    pub fn new() -> Self {
        Self { procedures: BTreeMap::new() }
    }

    /// A procedure that is asked for something. `handler` is an async function of the
    /// context and the input. Where the input does not fit its type, the caller is told why
    /// as [`ErrorCode::BadRequest`].
    #[must_use]
    pub fn query<I, O, F, R>(self, path: &str, handler: F) -> Self
    where
        I: DeserializeOwned + TS + Send + 'static,
        O: Serialize + TS + 'static,
        F: Fn(Arc<C>, I) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, TrpcError>> + Send + 'static,
    {
        self.called(ProcedureType::Query, path, handler)
    }

    /// A procedure that changes something. As [`query`](Self::query) otherwise.
    #[must_use]
    pub fn mutation<I, O, F, R>(self, path: &str, handler: F) -> Self
    where
        I: DeserializeOwned + TS + Send + 'static,
        O: Serialize + TS + 'static,
        F: Fn(Arc<C>, I) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, TrpcError>> + Send + 'static,
    {
        self.called(ProcedureType::Mutation, path, handler)
    }

    /// A procedure that clients subscribe to, for what is published to it.
    #[must_use]
    pub fn subscription<S: Subscription<Context = C>>(self, subscription: S) -> Self {
        self.subscription_when(subscription, |_, _| async { Ok(()) })
    }

    /// As [`subscription`](Self::subscription), for those clients whose context and input
    /// pass `check`, which says why others do not.
    #[must_use]
    pub fn subscription_when<S, F, R>(mut self, _: S, check: F) -> Self
    where
        S: Subscription<Context = C>,
        F: Fn(Arc<C>, Arc<S::Input>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), TrpcError>> + Send + 'static,
    {
        let run: Run<C> = Arc::new(move |ctx, call| {
            let input = match input::<S::Input>(call.input.as_deref()) {
                Ok(input) => Arc::new(input),
                Err(error) => return std::future::ready(Err(error)).boxed(),
            };
            let checked = check(Arc::clone(&ctx), Arc::clone(&input));
            async move {
                checked.await?;
                Ok(Answer::Subscribed(Interest {
                    path: S::PATH,
                    filters: S::FILTERS,
                    values: S::keys(&ctx, &input),
                    tracked: S::Output::TRACKED,
                }))
            }
            .boxed()
        });
        self.insert(
            S::PATH,
            Procedure {
                kind: ProcedureType::Subscription,
                placed: true,
                filters: S::FILTERS,
                signature: Signature::subscription::<S::Input, S::Output>(),
                run,
            },
        );
        self
    }

    /// A procedure that clients subscribe to, for what comes out of a stream of their own,
    /// which may have no end. There are none where no server lives: in AWS Lambda, clients
    /// are told so as [`ErrorCode::NotImplemented`].
    ///
    /// A client that comes back says in its input's `lastEventId` which
    /// [`tracked`](super::tracked) event it had last, as in tRPC: give the input such a field.
    #[must_use]
    pub fn stream<I, O, F, S>(mut self, path: &str, handler: F) -> Self
    where
        I: DeserializeOwned + TS + Send + 'static,
        O: Output + 'static,
        F: Fn(Arc<C>, I) -> S + Send + Sync + 'static,
        S: Stream<Item = Result<O, TrpcError>> + Send + 'static,
    {
        let run: Run<C> = Arc::new(move |ctx, call| {
            let answer = with_last_event_id(&call)
                .and_then(|given| input(given.as_deref().or(call.input.as_deref())))
                .map(|input| handler(ctx, input))
                .map(|stream| stream.map(|output| Sent::of(&output?)).boxed());
            std::future::ready(answer.map(Answer::Stream)).boxed()
        });
        self.insert(
            path,
            Procedure {
                kind: ProcedureType::Subscription,
                placed: false,
                filters: &[],
                signature: Signature::subscription::<I, O>(),
                run,
            },
        );
        self
    }

    /// Has an async function look at every call of this router's procedures, those that are
    /// added later not among them. It may refuse the call, and gives the context that
    /// the procedure gets. Of several the last one is asked first.
    #[must_use]
    pub fn middleware<F, R>(self, middleware: F) -> Self
    where
        F: Fn(Arc<C>, CallInfo) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<C>, TrpcError>> + Send + 'static,
    {
        self.wrap(middleware)
    }

    /// Makes it a router for another context, from which an async function makes the context
    /// of its procedures, or refuses to.
    #[must_use]
    pub fn within<P, F, R>(self, map: F) -> Router<P>
    where
        P: Send + Sync + 'static,
        F: Fn(Arc<P>, CallInfo) -> R + Send + Sync + 'static,
        R: Future<Output = Result<C, TrpcError>> + Send + 'static,
    {
        self.wrap(move |outer, info| map(outer, info).map(|made| made.map(Arc::new)))
    }

    /// Puts all procedures of `inner` at paths that begin with `name` and a dot. Those
    /// that are declared as types ([`subscription!`](crate::subscription)) have whole paths
    /// there, which have to begin so.
    #[must_use]
    pub fn merge(mut self, name: &str, inner: Self) -> Self {
        for (path, procedure) in inner.procedures {
            let path = if procedure.placed {
                let within = path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
                assert!(
                    within,
                    "`{path}` is merged as `{name}`: have its path begin with `{name}.`"
                );
                path
            } else {
                format!("{name}.{path}")
            };
            self.insert(&path, procedure);
        }
        self
    }

    /// Says how the context is made, once for each connection or, where none lives, each
    /// message; and completes the router. A client whose context cannot be made is told why.
    #[must_use]
    pub fn context<F, R>(self, context: F) -> Subscriptions<C>
    where
        F: Fn(Opening) -> R + Send + Sync + 'static,
        R: Future<Output = Result<C, TrpcError>> + Send + 'static,
    {
        Subscriptions::new(self, Box::new(move |opening| context(opening).boxed()))
    }

    fn called<I, O, F, R>(mut self, kind: ProcedureType, path: &str, handler: F) -> Self
    where
        I: DeserializeOwned + TS + Send + 'static,
        O: Serialize + TS + 'static,
        F: Fn(Arc<C>, I) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, TrpcError>> + Send + 'static,
    {
        let run: Run<C> = Arc::new(move |ctx, call| match input(call.input.as_deref()) {
            Ok(input) => {
                handler(ctx, input).map(|output| Ok(Answer::Value(Payload::of(&output?)?))).boxed()
            }
            Err(error) => std::future::ready(Err(error)).boxed(),
        });
        let signature = Signature::call::<I, O>();
        self.insert(path, Procedure { kind, placed: false, filters: &[], signature, run });
        self
    }

    /// Has every call go through `map` first.
    fn wrap<P, F, R>(self, map: F) -> Router<P>
    where
        P: Send + Sync + 'static,
        F: Fn(Arc<P>, CallInfo) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<C>, TrpcError>> + Send + 'static,
    {
        let map = Arc::new(map);
        let wrapped = self.procedures.into_iter().map(|(path, procedure)| {
            let (map, inner) = (Arc::clone(&map), procedure.run);
            let run: Run<P> = Arc::new(move |outer, call| {
                let inner = Arc::clone(&inner);
                let made = map(outer, CallInfo { kind: call.kind, path: call.path.clone() });
                async move { inner(made.await?, call).await }.boxed()
            });
            let Procedure { kind, placed, filters, signature, .. } = procedure;
            (path, Procedure { kind, placed, filters, signature, run })
        });
        Router { procedures: wrapped.collect() }
    }

    fn insert(&mut self, path: &str, procedure: Procedure<C>) {
        let fits = |name: &str| {
            let letter = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
            !name.is_empty() && name.chars().all(letter)
        };
        assert!(path.split('.').all(fits), "`{path}` is no path: names joined by dots are");
        let taken = self.procedures.insert(path.to_owned(), procedure).is_some();
        assert!(!taken, "there are two procedures at `{path}`");
    }
}

impl<C: Send + Sync + 'static> Default for Router<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for Router<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.procedures.iter().map(|(path, procedure)| (path, procedure.kind));
        f.debug_map().entries(paths).finish()
    }
}

/// The input, or why it does not fit. Undefined is as `null`.
fn input<I: DeserializeOwned>(given: Option<&RawValue>) -> Result<I, TrpcError> {
    serde_json::from_str(given.map_or("null", RawValue::get)).map_err(|error| {
        let why = match given {
            Some(_) => error.to_string(),
            None => "the input is required".to_owned(),
        };
        TrpcError::new(ErrorCode::BadRequest, why)
    })
}

/// The input with `lastEventId` in it, where there is one and the input is an object or
/// undefined (reference: trpc.md, section 2.6).
fn with_last_event_id(call: &Call) -> Result<Option<Box<RawValue>>, TrpcError> {
    let Some(id) = &call.last_event_id else { return Ok(None) };
    let mut members = match call.input.as_deref().map(|input| serde_json::from_str(input.get())) {
        None => serde_json::Map::new(),
        Some(Ok(serde_json::Value::Object(members))) => members,
        Some(_) => return Ok(None),
    };
    members.insert("lastEventId".to_owned(), id.as_str().into());
    Ok(Some(to_raw_value(&members)?))
}
