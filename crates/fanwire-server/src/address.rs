//! Which API a URL means.
//!
//! AWS has two forms: the default host `{api-id}.execute-api…` with the stage as the
//! first path segment, and a custom domain with a mapping key, or none, in its place.
//! A server of one's own is reached by one host for all of it, so both forms are
//! accepted on every host: `/{stage}`, `/{base_path}`, and, while there is a single
//! API, no segment at all. Other services have paths of their own; where the stage or
//! base path of an API is one of the realtime endpoint's or the IoT data plane's, such as
//! `mqtt` or `topics`, the API has it.

use fanwire_app::model::WebSocketApi;
use fanwire_websocket::ApiIndex;
use percent_encoding::percent_decode_str;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The address that clients connect to.
    Api(ApiIndex),
    /// The management API's address for one connection, by the id as it was sent.
    Connection(ApiIndex, String),
    /// The management API's address for the tags or topics of one connection.
    Groups(ApiIndex, GroupPath),
    /// The management API's address for many connections of an API, or all.
    Connections(ApiIndex),
    /// DynamoDB's API.
    DynamoDb,
    /// The realtime endpoint: MQTT over WebSocket.
    Realtime,
    /// The subscriptions of this process: tRPC over WebSocket.
    Subscriptions,
    /// The IoT data plane: topics, retained messages, connections.
    IotData,
    /// The control API: the segments behind its own.
    Control(Vec<String>),
    /// A health check, which API Gateway reserves at the root.
    Health,
    /// Whether the server is alive.
    Alive,
    /// Whether it is ready for clients.
    Ready,
    /// Lambda's Invoke API: the function's name or ARN.
    Invoke(String),
    /// Lambda's older asynchronous Invoke API: the function's name or ARN.
    InvokeAsync(String),
    /// Nothing here.
    Unknown,
}

/// The tags or topics of one connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupPath {
    /// The connection's id, as it was sent.
    pub(crate) id: String,
    pub(crate) kind: GroupKind,
    /// The tag, or the topic filter, where one is named.
    pub(crate) name: Option<String>,
}

/// What connections are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupKind {
    Tags,
    Topics,
}

impl Target {
    /// Whether it lets a caller act on others' connections, or run code.
    pub(crate) fn is_privileged(&self) -> bool {
        match self {
            Self::Connection(..)
            | Self::Groups(..)
            | Self::Connections(_)
            | Self::Control(_)
            | Self::Invoke(_)
            | Self::InvokeAsync(_)
            | Self::DynamoDb
            | Self::IotData => true,
            Self::Api(_)
            | Self::Realtime
            | Self::Subscriptions
            | Self::Health
            | Self::Alive
            | Self::Ready
            | Self::Unknown => false,
        }
    }
}

/// The segment that the management API lives under.
const CONNECTIONS: &str = "@connections";

/// The segment that the control API lives under.
const CONTROL: &str = "_fanwire";

/// The first segments of the IoT data plane's paths (reference: iot.md, section 7).
const IOT_DATA: [&str; 3] = ["topics", "retainedMessage", "connections"];

/// Finds what `path` asks for, on `host`, in an App whose realtime endpoint, if it has one,
/// is at the path `realtime`.
pub(crate) fn resolve<'a>(
    apis: impl Iterator<Item = (ApiIndex, &'a WebSocketApi)> + Clone,
    realtime: Option<&str>,
    host: &str,
    path: &str,
) -> Target {
    // SDKs percent-encode `@` and `=` as they please, and a trailing slash in a
    // configured endpoint doubles the one that follows.
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["ping" | "sping"] => return Target::Health,
        ["healthz"] => return Target::Alive,
        ["readyz"] => return Target::Ready,
        [CONTROL, rest @ ..] => {
            return Target::Control(rest.iter().map(|segment| (*segment).to_owned()).collect());
        }
        ["2015-03-31", "functions", name, "invocations"] => {
            return Target::Invoke((*name).to_owned());
        }
        ["2014-11-13", "functions", name, "invoke-async"] => {
            return Target::InvokeAsync((*name).to_owned());
        }
        _ => {}
    }
    let (api, rest) = match segments.split_first() {
        Some((first, rest)) => match find(apis.clone(), host, |api| {
            api.stage == *first || api.base_path.as_deref() == Some(*first)
        }) {
            Some(api) => (api, rest),
            None => match only(apis, host) {
                Some(api) if *first == CONNECTIONS => (api, segments.as_slice()),
                _ if realtime.is_some_and(|own| is_same(own, &segments)) => {
                    return Target::Realtime;
                }
                _ if IOT_DATA.contains(first) => return Target::IotData,
                _ => return Target::Unknown,
            },
        },
        None => match only(apis, host) {
            Some(api) => (api, [].as_slice()),
            None => return Target::Unknown,
        },
    };
    match rest {
        [] => Target::Api(api),
        [CONNECTIONS] => Target::Connections(api),
        [CONNECTIONS, id] => Target::Connection(api, (*id).to_owned()),
        [CONNECTIONS, id, kind @ ("tags" | "topics"), ..] => {
            let kind = if *kind == "tags" { GroupKind::Tags } else { GroupKind::Topics };
            // All that follows is one name, in which slashes count.
            let before = segments.len() - rest.len() + 3;
            let name = percent_decode_str(behind(path, before)).decode_utf8_lossy().into_owned();
            let name = Some(name).filter(|name| !name.is_empty());
            Target::Groups(api, GroupPath { id: (*id).to_owned(), kind, name })
        }
        _ => Target::Unknown,
    }
}

/// The first API that fits and that `host` does not rule out.
fn find<'a>(
    apis: impl Iterator<Item = (ApiIndex, &'a WebSocketApi)> + Clone,
    host: &str,
    fits: impl Fn(&WebSocketApi) -> bool,
) -> Option<ApiIndex> {
    let named = apis.clone().any(|(_, api)| names(host, api));
    let mut apis = apis;
    apis.find(|(_, api)| fits(api) && (!named || names(host, api))).map(|(number, _)| number)
}

/// The API that a host without a path means: the one it names, or the only one.
fn only<'a>(
    mut apis: impl Iterator<Item = (ApiIndex, &'a WebSocketApi)> + Clone,
    host: &str,
) -> Option<ApiIndex> {
    if let Some((number, _)) = apis.clone().find(|(_, api)| names(host, api)) {
        return Some(number);
    }
    match (apis.next(), apis.next()) {
        (Some((number, _)), None) => Some(number),
        _ => None,
    }
}

/// What follows the first `count` segments of a path, as it stands there. An endpoint that
/// is configured with a slash at its end doubles the one in front.
pub(crate) fn behind(path: &str, count: usize) -> &str {
    let mut rest = path;
    for _ in 0..count {
        rest = rest.trim_start_matches('/');
        rest = rest.find('/').map_or("", |at| &rest[at..]);
    }
    rest.strip_prefix('/').unwrap_or(rest)
}

/// Whether a path has these segments.
fn is_same(path: &str, segments: &[&str]) -> bool {
    path.split('/').filter(|segment| !segment.is_empty()).eq(segments.iter().copied())
}

/// Whether a host's first label is the API's id, as in `{id}.execute-api.…`.
fn names(host: &str, api: &WebSocketApi) -> bool {
    host.split('.').next().is_some_and(|label| label == api.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanwire_app::model::{Limits, LogSettings, Profile};

    fn api(id: &str, stage: &str, base_path: Option<&str>) -> WebSocketApi {
        WebSocketApi {
            connect: fanwire_app::model::ConnectRules::default(),
            id: id.to_owned(),
            name: id.to_owned(),
            stage: stage.to_owned(),
            base_path: base_path.map(str::to_owned),
            route_selection: fanwire_app::selection::RouteSelection::default(),
            routes: indexmap::IndexMap::new(),
            authorizers: indexmap::IndexMap::new(),
            stage_variables: indexmap::IndexMap::new(),
            topics: Vec::new(),
            logs: LogSettings::default(),
            limits: Limits::of(Profile::Aws),
        }
    }

    #[test]
    fn one_api_is_reached_with_and_without_its_stage() {
        let apis = [api("a", "dev", Some("chat"))];
        let at = |path| resolve((0..).zip(apis.iter()), None, "localhost:3001", path);
        for path in ["/dev", "/dev/", "/", "", "/chat"] {
            assert_eq!(at(path), Target::Api(0), "{path}");
        }
        for path in [
            "/dev/@connections/x%3D",
            "//dev//%40connections/x=",
            "/@connections/x%3d",
            "/chat/%40connections/x=",
        ] {
            assert_eq!(at(path), Target::Connection(0, "x=".to_owned()), "{path}");
        }
        for (path, name) in [
            ("/dev/@connections/x=/topics", None),
            ("/@connections/x=/topics/a%2F%2Fb%2F%2B", Some("a//b/+")),
            ("//dev/%40connections/x%3D/topics/a//b/+", Some("a//b/+")),
        ] {
            let name = name.map(str::to_owned);
            let group = GroupPath { id: "x=".to_owned(), kind: GroupKind::Topics, name };
            assert_eq!(at(path), Target::Groups(0, group), "{path}");
        }
        for path in ["/prod", "/dev/x", "/dev/@connections/x/y", "/prod/@connections/x"] {
            assert_eq!(at(path), Target::Unknown, "{path}");
        }
        assert_eq!(at("/ping"), Target::Health);
        assert_eq!(at("/dev/@connections"), Target::Connections(0));
    }

    #[test]
    fn several_apis_are_told_apart_by_stage_mapping_key_or_host() {
        let apis = [api("a", "dev", None), api("b", "prod", Some("b")), api("c", "dev", None)];
        let at = |host, path| resolve((0..).zip(apis.iter()), None, host, path);
        assert_eq!(at("h", "/dev"), Target::Api(0));
        assert_eq!(at("h", "/prod"), Target::Api(1));
        assert_eq!(at("h", "/b"), Target::Api(1));
        assert_eq!(at("c.execute-api.localhost:1", "/dev"), Target::Api(2));
        assert_eq!(at("b.execute-api.localhost:1", "/"), Target::Api(1));
        assert_eq!(at("h", "/"), Target::Unknown);
    }

    #[test]
    fn a_stage_comes_before_the_paths_of_iot() {
        let apis = [api("a", "topics", Some("mqtt"))];
        let at = |path| resolve((0..).zip(apis.iter()), Some("/mqtt"), "h", path);
        assert_eq!(at("/topics"), Target::Api(0));
        assert_eq!(at("/mqtt"), Target::Api(0));
        assert_eq!(at("/retainedMessage/a"), Target::IotData);
        let apis = [api("a", "dev", None)];
        let at = |path| resolve((0..).zip(apis.iter()), Some("/a/mqtt"), "h", path);
        assert_eq!(at("/a/mqtt"), Target::Realtime);
        assert_eq!(at("//a/mqtt/"), Target::Realtime);
        for path in ["/topics/a%2Fb", "/topics", "/connections/c", "/retainedMessage"] {
            assert_eq!(at(path), Target::IotData, "{path}");
        }
        for path in ["/mqtt", "/a", "/a/mqtt/x"] {
            assert_eq!(at(path), Target::Unknown, "{path}");
        }
    }

    #[test]
    fn a_function_is_named_by_arn_too() {
        let arn = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu%3A1%3Afunction%3Af/invocations";
        let name = "arn:aws:lambda:eu:1:function:f".to_owned();
        assert_eq!(resolve(std::iter::empty(), None, "h", arn), Target::Invoke(name));
    }
}
