//! `[realtime]`

use crate::model::{
    AccessList, App, Durability, JwksSource, Realtime, RealtimeLimits, RealtimeProtocol,
    SqlVersion, TopicRule,
};
use crate::native::keys::{DURABILITIES, SQL_VERSIONS};
use crate::rules::realtime::is_filter;

use super::document::{Document, Literal};
use super::{limits, path};

pub(super) fn write(realtime: &Realtime, app: &App, document: &mut Document) {
    document.heading(&["realtime"]);
    if realtime.name != Realtime::DEFAULT_NAME {
        document.set("name", &realtime.name);
    }
    if realtime.path != Realtime::DEFAULT_PATH {
        document.set("path", &realtime.path);
    }
    document.set_some("default_authorizer", realtime.default_authorizer.as_ref());
    if realtime.allow_anonymous {
        document.set("allow_anonymous", true);
    }
    match realtime.durability {
        Durability::Memory => document.set("durability", DURABILITIES[0]),
        Durability::Written => {}
        Durability::Synced => document.set("durability", DURABILITIES[2]),
    }
    who_may_connect(realtime, app, document);
    for (name, rule) in &realtime.rules {
        document.heading(&["realtime", "subscribers", name]);
        subscriber(rule, document);
    }
    for listener in &realtime.listeners {
        document.item(&["realtime", "listen"]);
        document.set("address", listener.address.to_string());
        if listener.protocol == RealtimeProtocol::WebSocket {
            document.set("protocol", "websocket");
        }
        if listener.tls {
            document.set("tls", true);
        }
    }
    let usual = RealtimeLimits::of(realtime.profile);
    limits(&["realtime", "limits"], &realtime.limits, &usual, document);
}

fn who_may_connect(realtime: &Realtime, app: &App, document: &mut Document) {
    for (name, authorizer) in &realtime.authorizers {
        document.heading(&["realtime", "authorizers", name]);
        document.set("function", &authorizer.function);
        document.set_some("token_key", authorizer.token_key.as_ref());
        if !authorizer.public_keys.is_empty() {
            document.set("public_keys", Literal::texts(&authorizer.public_keys));
        }
    }
    for (name, user) in &realtime.users {
        document.heading(&["realtime", "users", name]);
        document.set("password", &user.password);
        access(&user.access, document);
    }
    if let Some(jwt) = &realtime.jwt {
        document.heading(&["realtime", "jwt"]);
        match &jwt.jwks {
            JwksSource::File(file) => document.set("jwks", path(app, file)),
            JwksSource::Url(url) => document.set("jwks", url),
        }
        document.set_some("issuer", jwt.issuer.as_ref());
        if !jwt.audience.is_empty() {
            document.set("audience", Literal::texts(&jwt.audience));
        }
        document.set("principal_claim", &jwt.principal_claim);
        access(&jwt.access, document);
    }
}

fn access(access: &AccessList, document: &mut Document) {
    if access.connect != ["*"] {
        document.set("connect", Literal::texts(&access.connect));
    }
    for (key, patterns) in [("publish", &access.publish), ("subscribe", &access.subscribe)] {
        if !patterns.is_empty() {
            document.set(key, Literal::texts(patterns));
        }
    }
    if access.receive != access.subscribe {
        document.set("receive", Literal::texts(&access.receive));
    }
    if access.retain {
        document.set("retain", true);
    }
}

fn subscriber(rule: &TopicRule, document: &mut Document) {
    match rule.plain_filter().filter(|filter| is_filter(filter)) {
        Some(filter) => document.set("filter", filter),
        None => document.set("sql", &rule.sql),
    }
    if rule.sql_version == SqlVersion::V2015_10_08 {
        document.set("sql_version", SQL_VERSIONS[0]);
    }
    document.set("function", &rule.function);
    document.set_some("error_function", rule.error_function.as_ref());
    if !rule.enabled {
        document.set("enabled", false);
    }
}
