//! Connections of clients: what is known of one, and its end.

use fanwire_realtime::SessionInfo;
use http::{Request, StatusCode};
use serde_json::json;

use super::messages::{max_results, page};
use super::parameters::boolean;
use super::{DataError, ok};
use crate::query::Query;
use crate::realtime::Endpoint;
use crate::response::{self, Answer};
use crate::router::CallBody;

/// Subscriptions listed at once where the caller says nothing.
const DEFAULT_RESULTS: usize = 20;

/// `DELETE /connections/{clientId}`.
pub(super) async fn delete(
    endpoint: &Endpoint,
    id: &str,
    request: &Request<CallBody>,
) -> Result<Answer, DataError> {
    let query = Query::new(request.uri().query());
    let clean_session = boolean(query, "cleanSession")?;
    let prevent_will = boolean(query, "preventWillMessage")?;
    if endpoint.plane.disconnect(id, clean_session, prevent_will).await? {
        Ok(response::json(StatusCode::OK, ""))
    } else {
        Err(DataError::not_found(format!("the client `{id}` is not connected")))
    }
}

/// `GET /connections/{clientId}`.
pub(super) async fn get(
    endpoint: &Endpoint,
    id: &str,
    request: &Request<CallBody>,
) -> Result<Answer, DataError> {
    let with_socket = boolean(Query::new(request.uri().query()), "includeSocketInformation")?;
    let session = session(endpoint, id).await?;
    let mut body = json!({
        "clientId": id,
        "connected": session.connected,
        "cleanSession": session.session_expiry == 0,
        "keepAliveDuration": session.keep_alive,
        "sessionExpiry": session.session_expiry,
    });
    if session.connected {
        body["connectedSince"] = json!(session.connected_at);
    } else {
        body["disconnectedSince"] = json!(session.disconnected_at);
        body["disconnectReason"] = json!(session.disconnect_reason);
    }
    if let Some(peer) = session.peer.filter(|_| with_socket) {
        body["sourceIp"] = json!(peer.ip());
        body["sourcePort"] = json!(peer.port());
    }
    Ok(ok(&body))
}

/// `GET /connections/{clientId}/subscriptions`.
pub(super) async fn list_subscriptions(
    endpoint: &Endpoint,
    id: &str,
    request: &Request<CallBody>,
) -> Result<Answer, DataError> {
    let query = Query::new(request.uri().query());
    let limit = max_results(query, DEFAULT_RESULTS)?;
    let from = match query.get("nextToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => token
            .parse::<usize>()
            .map_err(|_| DataError::invalid("nextToken is not one that was given out"))?,
    };
    let session = session(endpoint, id).await?;
    let all = &session.subscriptions;
    let shown = all.iter().skip(from).take(limit);
    let shown: Vec<_> =
        shown.map(|each| json!({ "topicFilter": each.filter, "qos": each.qos })).collect();
    let end = from.saturating_add(shown.len());
    let next = (end < all.len()).then(|| end.to_string());
    Ok(ok(&page("subscriptions", &shown, next)))
}

async fn session(endpoint: &Endpoint, id: &str) -> Result<SessionInfo, DataError> {
    let found = endpoint.plane.session(id).await?;
    found.ok_or_else(|| DataError::not_found(format!("no client `{id}` is known")))
}
