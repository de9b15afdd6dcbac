//! What is called, and what the answers mean.

use serde_json::json;

use super::endpoint::Endpoint;
use super::*;
use crate::realtime::{Publication, PublishError};
use crate::websocket::{Body, Group, Recipients, SendError};

fn ok() -> (u16, String) {
    (200, String::new())
}

fn ids(ids: &[&str]) -> Recipients {
    Recipients::Ids(ids.iter().map(|id| (*id).to_owned()).collect())
}

#[tokio::test]
async fn a_message_is_posted_to_its_connection() {
    let endpoint = Endpoint::start(|_, _| ok()).await;
    let home = home_at(&endpoint.url, "");
    home.gateway().send("a-_=", "hello".into()).await.unwrap();
    home.gateway().close("b=", 4001, "go away").await.unwrap();
    home.gateway().regroup("b=", Group::Tag("a room".into()), true).await.unwrap();
    home.gateway().regroup("b=", Group::Topic("a/#".into()), false).await.unwrap();
    assert_eq!(
        endpoint.asked(),
        [
            "POST /dev/@connections/a-_%3D hello",
            "DELETE /dev/@connections/b%3D?code=4001&reason=go%20away",
            "PUT /dev/@connections/b%3D/tags/a%20room",
            "DELETE /dev/@connections/b%3D/topics/a%2F%23",
        ]
    );
}

#[tokio::test]
async fn each_status_is_an_error_of_its_own() {
    let endpoint = Endpoint::start(|_, call| {
        let status = call.rsplit('/').next().unwrap().split(' ').next().unwrap();
        (status.parse().unwrap(), "because".to_owned())
    })
    .await;
    let home = home_at(&endpoint.url, "");
    let send = async |id| home.gateway().send(id, "x".into()).await.unwrap_err();
    assert!(matches!(send("410").await, SendError::Gone { id } if id == "410"));
    assert!(matches!(send("413").await, SendError::TooLarge));
    let other = send("403").await.to_string();
    assert!(other.contains("403") && other.contains("because"), "{other}");
    assert_eq!(endpoint.asked().len(), 3, "none of them is tried again");
}

#[tokio::test]
async fn a_call_that_is_throttled_is_tried_again_and_not_for_ever() {
    let endpoint =
        Endpoint::start(|number, _| if number < 2 { (429, String::new()) } else { ok() }).await;
    home_at(&endpoint.url, "").gateway().send("a", "x".into()).await.unwrap();
    assert_eq!(endpoint.asked().len(), 3);
    let endpoint = Endpoint::start(|_, _| (429, String::new())).await;
    let error = home_at(&endpoint.url, "").gateway().send("a", "x".into()).await.unwrap_err();
    assert!(matches!(error, SendError::Throttled));
    assert_eq!(endpoint.asked().len(), 6);
}

#[tokio::test]
async fn many_are_one_call_where_the_gateway_can() {
    let endpoint =
        Endpoint::start(|_, _| (200, r#"{"sent":1,"gone":["b"],"full":["c"]}"#.to_owned())).await;
    let home = home_at(&endpoint.url, "");
    let sent = home.gateway().send_to(ids(&["a", "b", "c"]), "x".into()).await.unwrap();
    assert_eq!((sent.delivered, sent.gone, sent.failed), (1, vec!["b".to_owned()], 1));
    let tag = Recipients::Group(Group::Tag("room".into()));
    home.gateway().send_to(tag, Body::from(vec![0xff])).await.unwrap();
    home.gateway().send_to(Recipients::All, "x".into()).await.unwrap();
    assert_eq!(
        endpoint.asked(),
        [
            r#"POST /dev/@connections {"ids":["a","b","c"],"text":"x"}"#,
            r#"POST /dev/@connections {"tags":["room"],"base64":"/w=="}"#,
            "POST /dev/@connections x",
        ]
    );
}

#[tokio::test]
async fn nobody_is_not_everybody() {
    let endpoint = Endpoint::start(|_, _| ok()).await;
    let home = home_at(&endpoint.url, "");
    let sent = home.gateway().send_to(ids(&[]), "x".into()).await.unwrap();
    assert_eq!((sent, endpoint.asked()), (Default::default(), vec![]));
}

#[tokio::test]
async fn many_are_a_call_each_where_the_gateway_cannot_and_it_is_asked_once() {
    let endpoint = Endpoint::start(|_, call| match call {
        many if many.starts_with("POST /dev/@connections ") => (403, String::new()),
        gone if gone.contains("/b ") => (410, String::new()),
        failed if failed.contains("/c ") => (500, String::new()),
        _ => ok(),
    })
    .await;
    let home = home_at(&endpoint.url, "");
    let sent = home.gateway().send_to(ids(&["a", "b", "c"]), "x".into()).await.unwrap();
    assert_eq!((sent.delivered, sent.gone, sent.failed), (1, vec!["b".to_owned()], 1));
    let error = home.gateway().send_to(Recipients::All, "x".into()).await.unwrap_err();
    assert!(matches!(error, SendError::Unsupported(_)));
    assert_eq!(endpoint.asked().len(), 4);
}

#[tokio::test]
async fn a_publication_names_its_topic_in_the_path() {
    let endpoint = Endpoint::start(|number, _| match number {
        0 => (200, json!({ "message": "OK" }).to_string()),
        1 => (400, "no such topic".to_owned()),
        2 => (501, String::new()),
        _ => (500, String::new()),
    })
    .await;
    let home = home_at("", endpoint.url.trim_end_matches("/dev"));
    let publish = async |topic: &str, qos, retain| {
        let (topic, payload) = (topic.to_owned(), "hi".into());
        home.broker().publish(Publication { topic, payload, qos, retain }).await
    };
    publish("rooms/a b/é", 1, true).await.unwrap();
    let refused = publish("#", 0, false).await.unwrap_err();
    assert_eq!(refused.to_string(), "`#` cannot be published to: 400 Bad Request: no such topic");
    assert!(matches!(publish("a", 0, false).await, Err(PublishError::NoEndpoint)));
    assert!(matches!(publish("a", 0, false).await, Err(PublishError::Failed(_))));
    let asked = endpoint.asked();
    assert_eq!(asked[0], "POST /topics/rooms%2Fa%20b%2F%C3%A9?qos=1&retain=true hi");
    assert_eq!(asked[1], "POST /topics/%23?qos=0 hi");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_says_where_it_was_looked_for() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/dev", listener.local_addr().unwrap());
    drop(listener);
    let error = home_at(&url, "").gateway().send("a", "x".into()).await.unwrap_err();
    assert!(error.to_string().contains(&url), "{error}");
    let error = surroundings(&[]).home().gateway().send("a", "x".into()).await.unwrap_err();
    assert!(error.to_string().contains("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"), "{error}");
    let publication = Publication { topic: "a".into(), payload: "".into(), qos: 0, retain: false };
    let error = surroundings(&[]).home().broker().publish(publication).await.unwrap_err();
    assert!(matches!(error, PublishError::NoEndpoint));
}

#[test]
fn on_aws_an_api_is_found_by_its_own_domain() {
    let base = |domain| {
        let surroundings = surroundings(&[("AWS_REGION", "eu-west-1")]);
        format!("{:?}", surroundings.home_of(&connection(domain)).gateway())
    };
    let own = "https://abcd123.execute-api.eu-west-1.amazonaws.com/prod";
    for domain in ["abcd123.execute-api.eu-west-1.amazonaws.com", "ws.example.com"] {
        let gateway = base(domain);
        assert!(gateway.contains(own) && gateway.contains("on_aws: true"), "{gateway}");
    }
}

#[test]
fn a_home_is_made_once_for_each_api() {
    let surroundings = surroundings(&[("AWS_REGION", "eu-west-1")]);
    let home = || surroundings.home_of(&connection("ws.example.com"));
    let gateway = |home: &Home| std::sync::Arc::as_ptr(home.gateway()).cast::<()>();
    let (one, other) = (home(), home());
    assert_eq!(gateway(&one), gateway(&other));
}
