//! Finding an app's home.

#[cfg(feature = "server")]
use crate::ServerOptions;
use crate::{App, Error, Result};

/// Where an app runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HomeKind {
    /// As a function, over Lambda's Runtime API.
    Lambda,
    /// As a server.
    Server,
}

/// Runs an app where it is at home, until it is stopped: what a `main` calls.
///
/// Under AWS Lambda, `fanwire dev` and `fanwire serve`, which all set
/// `AWS_LAMBDA_RUNTIME_API`, it is a function. Everywhere else it is a server, at
/// `FANWIRE_ADDRESS` or `127.0.0.1:3001`. `FANWIRE_RUN_AS=function` and `FANWIRE_RUN_AS=server`
/// decide otherwise.
///
/// ```no_run
/// use fanwire::websocket::{Text, WebSocket};
///
/// fn main() -> fanwire::Result {
///     fanwire::run(WebSocket::new().message(async |Text(text): Text| text))
/// }
/// ```
///
/// # Errors
///
/// Where the home is not compiled in, or cannot be started.
pub fn run(app: impl Into<App>) -> Result {
    block_on(async { live(app.into(), here()?, Options::default()).await })
}

/// As [`run`], for a program that says itself how it is served where it is a server: mostly
/// what the environment says ([`ServerOptions::from_env`]), and more.
///
/// ```no_run
/// use fanwire::ServerOptions;
/// use fanwire::websocket::{Text, WebSocket};
///
/// fn main() -> fanwire::Result {
///     let mut options = ServerOptions::from_env()?;
///     options.max_connections = 10_000;
///     fanwire::run_with(WebSocket::new().message(async |Text(text): Text| text), options)
/// }
/// ```
///
/// # Errors
///
/// As [`run`].
#[cfg(feature = "server")]
pub fn run_with(app: impl Into<App>, options: ServerOptions) -> Result {
    block_on(async { live(app.into(), here()?, Some(options)).await })
}

/// How a server is to be. `None`: as the environment says.
#[cfg(feature = "server")]
type Options = Option<ServerOptions>;
#[cfg(not(feature = "server"))]
type Options = Option<std::convert::Infallible>;

fn block_on(life: impl Future<Output = Result>) -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(life);
    // What still runs on the runtime has had its time.
    runtime.shutdown_background();
    ended
}

/// The home of this process.
fn here() -> Result<HomeKind> {
    home_of(|name| std::env::var(name).ok())
}

/// The home that the environment is.
fn home_of(variable: impl Fn(&str) -> Option<String>) -> Result<HomeKind> {
    match variable("FANWIRE_RUN_AS").as_deref() {
        Some("function") => Ok(HomeKind::Lambda),
        Some("server") => Ok(HomeKind::Server),
        Some(other) => {
            let why = format!("FANWIRE_RUN_AS is `{other}`; expected `function` or `server`");
            Err(Error::new(500, why))
        }
        None if variable("AWS_LAMBDA_RUNTIME_API").is_some() => Ok(HomeKind::Lambda),
        None => Ok(HomeKind::Server),
    }
}

#[cfg_attr(not(feature = "server"), allow(unused_variables))]
async fn live(app: App, home: HomeKind, options: Options) -> Result {
    match home {
        #[cfg(feature = "lambda")]
        HomeKind::Lambda => crate::home::lambda::run(app).await,
        #[cfg(not(feature = "lambda"))]
        HomeKind::Lambda => Err(not_built("lambda", "this is a function's environment", &app)),
        #[cfg(feature = "server")]
        HomeKind::Server => {
            let options = options.map_or_else(ServerOptions::from_env, Ok)?;
            crate::home::server::run(app, options).await
        }
        #[cfg(not(feature = "server"))]
        HomeKind::Server => Err(not_built("server", "there is no AWS_LAMBDA_RUNTIME_API", &app)),
    }
}

/// What a program says that was built for another home.
#[cfg(not(all(feature = "lambda", feature = "server")))]
fn not_built(feature: &str, found: &str, app: &App) -> Error {
    let why = format!(
        "{}: {found}, and the feature `{feature}` of the crate fanwire is not compiled in",
        app.name
    );
    Error::new(500, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_which_home_it_is() {
        let home = |pairs: &[(&str, &str)]| {
            let found = |name: &str| pairs.iter().find(|(key, _)| *key == name);
            home_of(|name| found(name).map(|(_, value)| (*value).to_owned())).ok()
        };
        assert_eq!(home(&[]), Some(HomeKind::Server));
        assert_eq!(home(&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")]), Some(HomeKind::Lambda));
        let both = [("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"), ("FANWIRE_RUN_AS", "server")];
        assert_eq!(home(&both), Some(HomeKind::Server));
        assert_eq!(home(&[("FANWIRE_RUN_AS", "function")]), Some(HomeKind::Lambda));
        assert_eq!(home(&[("FANWIRE_RUN_AS", "moon")]), None);
    }
}
