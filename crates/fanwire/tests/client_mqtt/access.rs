//! Who is let in, and what they may do there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fanwire::client::{ConnectError, Credentials, Mqtt, MqttError, Status, Trust, Will};
use fanwire::realtime::{ConnectRequest, Grant, Realtime};
use fanwire::{Error, Home, Result};
use tokio::time::timeout;

use crate::broker::{Broker, Kind, Mosquitto, PATIENCE, texts};

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_believed_of_those_who_are_trusted() {
    let broker = Broker::mosquitto().await;
    let Kind::Mosquitto(mosquitto) = &broker.kind else { unreachable!() };
    let Mosquitto { folder, tls, .. } = &**mosquitto;
    let url = format!("mqtts://localhost:{tls}");
    let trust = Trust::root_file(folder.path().join("ca.pem")).unwrap();
    let client = Mqtt::builder(&url).trust(trust).connect().unwrap();
    client.publish("a", "secret").await.unwrap();
    let stranger = Mqtt::connect(&url).unwrap();
    let why = why_not(&stranger).await;
    assert!(matches!(&*why, ConnectError::Tls { .. }), "{why}");
    assert!(Trust::root(b"nonsense").is_err());
}

/// Why a client does not connect.
async fn why_not(client: &Mqtt) -> Arc<ConnectError> {
    let reason = async {
        loop {
            if let Status::Connecting { why: Some(why), .. } = client.status() {
                break why;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reason).await.unwrap()
}

/// Who brings `right` may use `open/…`.
async fn authorize(request: ConnectRequest, _: Home) -> Result<Grant> {
    match &*request.token() {
        "right" => Ok(Grant::new().principal("ada").subscribe(["open/*"]).publish(["open/*"])),
        _ => Err(Error::new(401, "wrong token")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_before_each_attempt() {
    let broker = Broker::of(Realtime::new("chat").authorizer(authorize)).await;
    for url in [broker.url(), broker.websocket_url()] {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let client = Mqtt::builder(url).authorizer("chat").credentials_with(move || {
            let nth = counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok(Credentials::new("", if nth == 0 { "expired" } else { "right" })) }
        });
        let client = client.connect().unwrap();
        let why = why_not(&client).await;
        assert!(why.is_unauthorized(), "{why}");
        timeout(PATIENCE, client.publish("open/a", "hello")).await.unwrap().unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_forbids_is_an_error_of_that_alone() {
    let broker = Broker::of(Realtime::new("chat").authorizer(authorize)).await;
    let client = Mqtt::builder(broker.url()).credentials("", "right").connect().unwrap();
    let error = client.subscribe("closed/a").await.unwrap_err();
    assert!(matches!(&error, MqttError::Refused { reason: Some(135), .. }), "{error}");
    let mut open = client.subscribe("open/a").await.unwrap();
    client.publish("open/a", "hello").await.unwrap();
    assert_eq!(texts(&mut open, 1).await, ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_that_no_packet_can_carry_is_refused_at_once() {
    for will in [Will::new("a/#", ""), Will::new("a", vec![0; 65_536])] {
        let error = Mqtt::builder("mqtt://localhost").will(will).connect().unwrap_err();
        assert!(matches!(error, ConnectError::Request(_)), "{error}");
    }
}
