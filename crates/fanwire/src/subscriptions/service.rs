//! A complete router: what serves clients, in whichever home.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use fanwire_wire::trpc::{ErrorShape, Transformer};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::stored::Stored;
use super::{Answer, Call, ErrorCode, FilterInfo, Opening, Router, TrpcError};
use crate::store::Store;

/// A router whose context can be made: what serves clients, in whichever home.
///
/// Cheap to clone.
pub struct Subscriptions<C> {
    parts: Arc<Parts<C>>,
    transformer: Transformer,
    on_error: Arc<OnError>,
}

struct Parts<C> {
    router: Router<C>,
    context: MakeContext<C>,
}

/// Is told of an error, and the path of the procedure that was called.
type OnError = dyn Fn(&TrpcError, Option<&str>) + Send + Sync;

/// Makes the context of a client.
type MakeContext<C> =
    Box<dyn Fn(Opening) -> BoxFuture<'static, Result<C, TrpcError>> + Send + Sync>;

// === impl Subscriptions ===

impl<C: Send + Sync + 'static> Subscriptions<C> {
    pub(super) fn new(router: Router<C>, context: MakeContext<C>) -> Self {
        Self {
            parts: Arc::new(Parts { router, context }),
            transformer: Transformer::None,
            on_error: Arc::new(log),
        }
    }

    /// Says what clients put between values and JSON, such as [`Transformer::SuperJson`].
    #[must_use]
    pub fn with_transformer(mut self, transformer: Transformer) -> Self {
        self.transformer = transformer;
        self
    }

    /// Has a function told of every error that a caller is told, and of what the caller is
    /// not told of it. Unless said otherwise, failures of the server are written to the
    /// standard error output.
    #[must_use]
    pub fn on_error(
        mut self,
        hear: impl Fn(&TrpcError, Option<&str>) + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Arc::new(hear);
        self
    }

    /// Tells of an error, and the path of the procedure that was called.
    pub fn report(&self, error: &TrpcError, path: Option<&str>) {
        (self.on_error)(error, path);
    }

    /// What clients put between values and JSON.
    pub fn transformer(&self) -> Transformer {
        self.transformer
    }

    /// Serves clients from a function: who is subscribed to what is in `store`, where every
    /// process finds it.
    pub fn stored(self, store: impl Store) -> Stored<C> {
        Stored::new(self, Arc::new(store))
    }

    /// Makes the context of a client.
    pub fn open(&self, opening: Opening) -> BoxFuture<'static, Result<Arc<C>, TrpcError>> {
        (self.parts.context)(opening).map(|made| made.map(Arc::new)).boxed()
    }

    /// Calls a procedure.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NotFound`] where there is none of that kind at the path; and what its
    /// middlewares and itself say.
    pub fn call(&self, ctx: Arc<C>, call: Call) -> BoxFuture<'static, Result<Answer, TrpcError>> {
        match self.parts.router.procedures.get(&call.path) {
            Some(procedure) if procedure.kind == call.kind => (procedure.run)(ctx, call),
            _ => {
                let why = ErrorShape::no_such_procedure(call.kind, &call.path);
                std::future::ready(Err(TrpcError::new(ErrorCode::NotFound, why))).boxed()
            }
        }
    }

    /// A TypeScript module that exports the type `AppRouter`, for
    /// `createTRPCClient<AppRouter>()` (v11) or `createTRPCProxyClient<AppRouter>()` (v10).
    /// It imports `@trpc/server` for types only. To be written to a file at build time, for
    /// example by a test.
    ///
    /// ```
    /// use fanwire::subscriptions::Router;
    ///
    /// let module = Router::<()>::new()
    ///     .query("greeting", |_ctx, name: String| async move { Ok(format!("hello {name}")) })
    ///     .context(|_| async { Ok(()) })
    ///     .typescript();
    /// assert!(module.contains("export type AppRouter"));
    /// ```
    pub fn typescript(&self) -> String {
        let procedures = self.parts.router.procedures.iter();
        let signatures = procedures.map(|(path, it)| (path.as_str(), it.kind, &it.signature));
        super::typescript::module(signatures, self.transformer)
    }

    /// The filters of the procedure at a path.
    pub(super) fn filters(&self, path: &str) -> &'static [FilterInfo] {
        self.parts.router.procedures.get(path).map_or(&[], |procedure| procedure.filters)
    }
}

impl<C> Clone for Subscriptions<C> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            transformer: self.transformer,
            on_error: Arc::clone(&self.on_error),
        }
    }
}

impl<C> fmt::Debug for Subscriptions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscriptions").field(&self.parts.router).finish()
    }
}

fn log(error: &TrpcError, path: Option<&str>) {
    if error.code() == ErrorCode::InternalServerError {
        // Where nobody listens to the output, nobody misses it.
        let _ = writeln!(std::io::stderr(), "{}: {error}", path.unwrap_or("a connection"));
    }
}
