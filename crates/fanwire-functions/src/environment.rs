//! The environment of a function's process.
//!
//! Lowest to highest: what this process has itself, Lambda's defaults, the function's
//! own variables, [`HostOptions::environment`], and the variables that Lambda reserves.
//! So an app sees its settings as on Lambda, and a developer's `PATH`, `HOME`, proxies
//! and AWS credentials (keys or a profile) reach the function as they reach any other
//! program that they start. Only where there are no credentials at all are dummies set,
//! because AWS's SDKs refuse to send a request without.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use fanwire_app::model::Function;

use crate::options::HostOptions;

/// A process's variables by name.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// Variables that say where the AWS credentials of this process come from.
const CREDENTIAL_SOURCES: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Variables of this process that must not reach a function: they are Lambda's own, and
/// would tell of another function (Fanwire may itself run in one).
/// `AWS_LAMBDA_MAX_CONCURRENCY` would switch AWS's Python client to another protocol.
fn is_of_another_function(name: &str) -> bool {
    name.starts_with("AWS_LAMBDA_")
        || name.starts_with("_LAMBDA_")
        || matches!(
            name,
            "_HANDLER"
                | "_X_AMZN_TRACE_ID"
                | "LAMBDA_TASK_ROOT"
                | "LAMBDA_RUNTIME_DIR"
                | "AWS_EXECUTION_ENV"
        )
}

/// Variables by which systemd speaks with this process (sd_notify(3), sd_listen_fds(3)): a child
/// that uses them would speak for it.
const OF_THE_SERVICE_MANAGER: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// What a process of the App has of this one's environment, without what is `withheld`.
pub(crate) fn inherited(
    own: impl Iterator<Item = (OsString, OsString)>,
    withheld: &[String],
) -> Environment {
    let of_another = |name: &OsString| name.to_str().is_some_and(is_of_another_function);
    of_a_tool(own, withheld).filter(|(name, _)| !of_another(name)).collect()
}

/// What a program has of it that makes a function's code.
pub(crate) fn of_a_tool(
    own: impl Iterator<Item = (OsString, OsString)>,
    withheld: &[String],
) -> impl Iterator<Item = (OsString, OsString)> {
    let is_the_servers = |name: &str| {
        OF_THE_SERVICE_MANAGER.contains(&name) || withheld.iter().any(|each| each == name)
    };
    own.filter(move |(name, _)| !name.to_str().is_some_and(is_the_servers))
}

/// Variables with AWS credentials that mean nothing, for SDKs to sign with: what is served
/// here asks for none in particular. Nothing where `has` tells of a variable that leads to
/// credentials, which are left alone.
pub fn stand_in_credentials(
    has: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let has_own = CREDENTIAL_SOURCES.into_iter().any(has);
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    names.into_iter().filter(move |_| !has_own).map(|name| (name, "fanwire"))
}

/// The environment of one process of a function, but for `AWS_LAMBDA_RUNTIME_API`.
///
/// `inherited` is the environment of this process; `log_stream` is the name of the
/// process's log stream, new for each.
pub(crate) fn of(
    function: &Function,
    handler: &str,
    root: &Path,
    runtime: Option<&str>,
    options: &HostOptions,
    inherited: impl Iterator<Item = (OsString, OsString)>,
    log_stream: &str,
) -> Environment {
    let mut environment = self::inherited(inherited, &options.withheld);
    let has = |name: &str| environment.contains_key(std::ffi::OsStr::new(name));
    let stand_ins: Vec<_> = stand_in_credentials(has).collect();
    let mut set = |name: &str, value: &str| environment.insert(name.into(), value.into());

    set("TZ", ":UTC");
    set("AWS_LAMBDA_LOG_FORMAT", "Text");
    set("AWS_LAMBDA_LOG_LEVEL", "");
    for (name, value) in stand_ins {
        set(name, value);
    }

    for (name, value) in &function.environment {
        set(name, value);
    }
    for (name, value) in &options.environment {
        set(name, value);
    }

    set("_HANDLER", handler);
    set("AWS_REGION", &options.region);
    set("AWS_DEFAULT_REGION", &options.region);
    set("AWS_LAMBDA_FUNCTION_NAME", &function.name);
    set("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mb.to_string());
    set("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", function.name));
    set("AWS_LAMBDA_LOG_STREAM_NAME", log_stream);
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    if let Some(runtime) = runtime {
        set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{runtime}"));
    }
    environment.insert("LAMBDA_TASK_ROOT".into(), root.into());
    environment.insert("LAMBDA_RUNTIME_DIR".into(), root.into());
    environment.remove(std::ffi::OsStr::new("AWS_LAMBDA_MAX_CONCURRENCY"));
    environment
}

/// A log stream's name as Lambda makes them: `2024/01/31/[$LATEST]` and 32 hex digits.
pub(crate) fn log_stream() -> String {
    let day = jiff::Timestamp::now().strftime("%Y/%m/%d").to_string();
    format!("{day}/[$LATEST]{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fanwire_app::model::{Code, Links, Runtime};
    use indexmap::IndexMap;

    use super::*;

    fn environment(
        inherited: &[(&str, &str)],
        own: &[(&str, &str)],
        platform: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        let map = |pairs: &[(&str, &str)]| -> IndexMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let function = Function {
            name: "chat-dev-send".to_owned(),
            code: Code::Handler {
                runtime: Runtime::Node,
                handler: "index.handler".to_owned(),
                root: "/app".into(),
                identifier: "nodejs20.x".to_owned(),
            },
            timeout: Duration::from_secs(3),
            memory_mb: 512,
            environment: map(own),
            links: Links::All,
            concurrency: None,
        };
        let options = HostOptions { environment: map(platform), ..HostOptions::default() };
        let inherited = inherited.iter().map(|(name, value)| (name.into(), value.into()));
        let root = Path::new("/app");
        of(&function, "index.handler", root, Some("nodejs20.x"), &options, inherited, "s")
            .into_iter()
            .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
            .collect()
    }

    #[test]
    fn reserved_beats_platform_beats_function_beats_defaults_beats_inherited() {
        let made = environment(
            &[("TZ", "Europe/Oslo"), ("PATH", "/bin"), ("A", "inherited"), ("B", "inherited")],
            &[("A", "function"), ("TZ", "Asia/Tokyo"), ("AWS_REGION", "x"), ("URL", "function")],
            &[("URL", "platform"), ("_HANDLER", "platform")],
        );
        assert_eq!(made["PATH"], "/bin");
        assert_eq!(made["A"], "function");
        assert_eq!(made["B"], "inherited");
        assert_eq!(made["TZ"], "Asia/Tokyo");
        assert_eq!(made["AWS_REGION"], "us-east-1");
        assert_eq!(made["URL"], "platform");
        assert_eq!(made["_HANDLER"], "index.handler");
        assert_eq!(made["AWS_EXECUTION_ENV"], "AWS_Lambda_nodejs20.x");
        assert_eq!(made["AWS_LAMBDA_LOG_GROUP_NAME"], "/aws/lambda/chat-dev-send");
        assert_eq!(made["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "512");
    }

    #[test]
    fn dummy_credentials_are_set_only_where_there_are_none() {
        assert_eq!(environment(&[], &[], &[])["AWS_ACCESS_KEY_ID"], "fanwire");
        let keys = environment(&[("AWS_ACCESS_KEY_ID", "AKIA")], &[], &[]);
        assert_eq!(keys["AWS_ACCESS_KEY_ID"], "AKIA");
        assert!(!keys.contains_key("AWS_SESSION_TOKEN"), "a dummy token would spoil real keys");
        let profile = environment(&[("AWS_PROFILE", "work")], &[], &[]);
        assert!(!profile.contains_key("AWS_ACCESS_KEY_ID"));
    }

    #[test]
    fn variables_of_another_function_are_not_inherited() {
        let made = environment(
            &[("AWS_LAMBDA_MAX_CONCURRENCY", "8"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")],
            &[("AWS_LAMBDA_MAX_CONCURRENCY", "8")],
            &[],
        );
        assert!(!made.contains_key("AWS_LAMBDA_MAX_CONCURRENCY"));
        assert!(!made.contains_key("AWS_LAMBDA_RUNTIME_API"));
    }

    #[test]
    fn what_is_the_servers_own_is_not_inherited() {
        let own = ["SECRET", "NOTIFY_SOCKET", "PATH"].map(|name| (name.into(), "x".into()));
        let made = inherited(own.into_iter(), &["SECRET".to_owned()]);
        assert_eq!(made.keys().collect::<Vec<_>>(), ["PATH"]);
    }

    #[test]
    fn log_streams_look_like_lambdas() {
        let name = log_stream();
        let (day, id) = name.split_once("/[$LATEST]").unwrap();
        assert_eq!((day.len(), id.len()), (10, 32), "{name}");
    }
}
