//! Authorizers and subscribers of this process with the whole plane.

#![allow(clippy::unwrap_used, reason = "tests, and helpers of tests")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::{self, Profile, RealtimeAuthorizer, TopicRule};
use fanwire_functions::{FunctionEvent, Functions, HostOptions};
use fanwire_hub::HubOptions;
use fanwire_policy::{Action, Resource};
use fanwire_realtime::{
    Credentials, Message, NativeAuthorizer, NativeMessage, NativeRequest, Natives, Observer,
    Realtime, RealtimeEvent, RealtimeParts, Rules, Terms,
};
use indexmap::IndexMap;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::sync::mpsc;

/// Looks away.
struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

impl fanwire_functions::Observer for Nobody {
    fn observe(&self, _: FunctionEvent<'_>) {}
}

fn model() -> model::Realtime {
    let mut model = model::Realtime::new(Profile::Aws);
    let function = "native".to_owned();
    let authorizer = RealtimeAuthorizer { function, token_key: None, public_keys: Vec::new() };
    model.authorizers.insert("own".to_owned(), authorizer);
    model.default_authorizer = Some("own".to_owned());
    model
}

fn plane(model: &model::Realtime, natives: Natives) -> Realtime {
    let functions =
        Functions::start(&IndexMap::new(), HostOptions::default(), Arc::new(Nobody)).unwrap();
    let parts = RealtimeParts {
        limiter: std::sync::Arc::default(),
        hub: HubOptions { shards: 1, ..HubOptions::default() },
        functions,
        natives,
        store: None,
        mesh: None,
        observer: Arc::new(Nobody),
        runtime: tokio::runtime::Handle::current(),
        region: "us-east-1".to_owned(),
        account_id: "123456789012".to_owned(),
    };
    Realtime::start(model, parts).unwrap()
}

fn with(authorizer: impl NativeAuthorizer) -> Realtime {
    plane(&model(), Natives::default().authorizer("native", authorizer))
}

fn credentials() -> Credentials {
    Credentials {
        client_id: "c-1".to_owned(),
        peer: "127.0.0.1:1".parse().unwrap(),
        authorizer: None,
        token: None,
        signature: None,
        username: Some("ada".to_owned()),
        password: Some("secret".to_owned()),
    }
}

fn terms(principal: &str) -> Terms {
    let statement = |action: &str, resource: &str| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    let statements = [
        statement("iot:Connect", "*"),
        statement("iot:Publish", "arn:aws:iot:us-east-1:123456789012:topic/rooms/*"),
    ];
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    Terms {
        authenticated: true,
        principal: principal.to_owned(),
        disconnect_after: None,
        refresh_after: Some(Duration::from_secs(300)),
        policies: vec![to_raw_value(&policy).unwrap()],
    }
}

#[tokio::test]
async fn an_authorizer_of_this_process_sees_the_client_and_its_policies_hold() {
    let (requests, mut seen) = mpsc::unbounded_channel();
    let realtime = with(move |request: Arc<NativeRequest>| {
        requests.send(request).unwrap();
        async { Ok(terms("ada")) }
    });
    let trial = realtime.try_credentials(&credentials()).await.unwrap();
    assert_eq!(trial.principal, "ada");
    assert!(trial.explain(Action::Publish, Resource::Topic("rooms/1")).allowed);
    let denied = trial.explain(Action::Publish, Resource::Topic("other"));
    assert!(!denied.allowed, "{denied}");
    let request = seen.recv().await.unwrap();
    assert_eq!(request.username.as_deref(), Some("ada"));
    assert_eq!(request.password.as_deref(), Some(&b"secret"[..]));
    assert_eq!((&*request.client_id, request.connection_id.len()), ("c-1", 36));
}

#[tokio::test]
async fn its_answer_is_judged_as_a_function_s() {
    let refused = async |terms: Terms| {
        let realtime = with(move |_| {
            let terms = terms.clone();
            async move { Ok(terms) }
        });
        realtime.try_credentials(&credentials()).await.unwrap_err()
    };
    let error = refused(terms("a-da")).await;
    assert!(error.contains("authorizer `native`: the authorizer answered principalId"), "{error}");
    let error = refused(Terms { authenticated: false, ..terms("ada") }).await;
    assert!(error.contains("isAuthenticated: false"), "{error}");
    let too_soon = Some(Duration::from_secs(1));
    let error = refused(Terms { refresh_after: too_soon, ..terms("ada") }).await;
    assert!(error.contains("refreshAfterInSeconds: 1"), "{error}");
}

#[tokio::test]
async fn one_that_fails_panics_or_takes_too_long_lets_nobody_in() {
    let realtime = with(|_| async { Err("the database is away".to_owned()) });
    let error = realtime.try_credentials(&credentials()).await.unwrap_err();
    assert!(error.contains("`native` failed: the database is away"), "{error}");

    let realtime = with(|request: Arc<NativeRequest>| async move {
        assert!(request.token.is_some(), "no token");
        Ok(terms("ada"))
    });
    let error = realtime.try_credentials(&credentials()).await.unwrap_err();
    assert!(error.contains("panicked"), "{error}");

    let mut hasty = model();
    hasty.limits.authorizer_timeout = Duration::from_millis(20);
    let natives = Natives::default().authorizer("native", |_| pending());
    let realtime = plane(&hasty, natives);
    let error = realtime.try_credentials(&credentials()).await.unwrap_err();
    assert!(error.contains("realtime.limits.authorizer_timeout"), "{error}");
}

#[tokio::test]
async fn a_published_message_reaches_the_subscriber_of_its_rule() {
    let mut model = model();
    model.rules.insert("r".to_owned(), TopicRule::of_filter("a/#", "taker".to_owned()));
    let (messages, mut taken) = mpsc::unbounded_channel();
    let natives = Natives::default().subscriber("taker", move |message: NativeMessage| {
        messages.send(message).unwrap();
        async { Ok(()) }
    });
    let realtime = plane(&model, natives);
    let rules = Rules::start(&realtime, &model, "123456789012").unwrap();
    realtime.publish(Message::new("a/b", "x")).await.unwrap();
    let message = taken.recv().await.unwrap();
    assert_eq!((&*message.topic, message.payload), ("a/b", Bytes::from_static(b"x")));
    rules.finish().await;
    realtime.publish(Message::new("a/b", "y")).await.unwrap();
    drop((rules, realtime));
    assert!(taken.try_recv().is_err());
}
