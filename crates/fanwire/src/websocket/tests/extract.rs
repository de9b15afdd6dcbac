use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;

async fn extract<T: FromEvent<()>>(event: &Event) -> Result<T> {
    T::from_event(event, &()).await
}

fn connecting(query: &[(&str, &str)]) -> Event {
    let mut event = event(EventKind::Connect, &Arc::default());
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    event.query = query.iter().map(owned).collect();
    event
}

async fn query<T: DeserializeOwned>(pairs: &[(&str, &str)]) -> Result<T, String> {
    let read = extract::<Query<T>>(&connecting(pairs)).await;
    read.map(|query| query.0).map_err(|error| {
        assert_eq!(error.status(), 400);
        error.to_string()
    })
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
    Green,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Everything {
    name: String,
    age: u8,
    height: f64,
    admin: bool,
    colour: Colour,
    nick: Option<String>,
    #[serde(default)]
    rooms: Vec<u32>,
}

const GIVEN: [(&str, &str); 5] =
    [("name", "Ali"), ("age", "41"), ("height", "1.5"), ("admin", "true"), ("colour", "green")];

#[tokio::test]
async fn a_query_is_read_into_types() {
    let mut given = GIVEN.to_vec();
    let expected = |nick: Option<&str>, rooms| Everything {
        name: "Ali".to_owned(),
        age: 41,
        height: 1.5,
        admin: true,
        colour: Colour::Green,
        nick: nick.map(str::to_owned),
        rooms,
    };
    assert_eq!(query::<Everything>(&given).await.unwrap(), expected(None, vec![]));
    given.extend([("nick", ""), ("rooms", "1"), ("unknown", "x"), ("rooms", "2"), ("age", "41")]);
    assert_eq!(query::<Everything>(&given).await.unwrap(), expected(Some(""), vec![1, 2]));
    let map: HashMap<String, String> = query(&[("a", "1"), ("a", "2")]).await.unwrap();
    assert_eq!(map["a"], "2", "the last one");
    let lists: HashMap<String, Vec<u8>> = query(&[("a", "1"), ("a", "2")]).await.unwrap();
    assert_eq!(lists["a"], [1, 2]);
    let nothing: HashMap<String, String> = query(&[]).await.unwrap();
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn a_query_that_does_not_fit_is_refused_by_name() {
    for (name, value, expected) in [
        ("age", "-1", "`age` is not a whole number of its size: `-1`"),
        ("age", "256", "`age` is not a whole number of its size: `256`"),
        ("admin", "yes", "`admin` is not true or false: `yes`"),
        ("colour", "blue", "unknown variant `blue`, expected `red` or `green`"),
        ("rooms", "x", "`rooms` is not a whole number of its size: `x`"),
    ] {
        let mut given = GIVEN.to_vec();
        given.push((name, value));
        let error = query::<Everything>(&given).await.unwrap_err();
        assert!(error.ends_with(expected), "{error}");
    }
    let error = query::<Everything>(&GIVEN[1..]).await.unwrap_err();
    assert!(error.contains("missing field `name`"), "{error}");
}

#[tokio::test]
async fn a_message_is_read_into_types_or_refused() {
    let gateway = Arc::new(Recording::default());
    let text = message("[1, 2]", &gateway);
    assert_eq!(extract::<Json<Vec<u8>>>(&text).await.unwrap(), Json(vec![1, 2]));
    assert_eq!(extract::<Text>(&text).await.unwrap(), Text("[1, 2]".to_owned()));
    assert_eq!(extract::<bytes::Bytes>(&text).await.unwrap(), "[1, 2]");
    let error = extract::<Json<Colour>>(&text).await.unwrap_err();
    assert_eq!(error.status(), 400);
    assert!(matches!(error.downcast_ref(), Some(ExtractError::Json(_))));
    let binary = message(vec![0xff], &gateway);
    assert_eq!(extract::<Text>(&binary).await.unwrap_err().status(), 400);
    assert_eq!(extract::<Body>(&binary).await.unwrap(), Body::from(vec![0xff]));
    // A handler that wants to know why has a `Result`.
    assert!(extract::<Result<Text>>(&binary).await.unwrap().is_err());
}

#[tokio::test]
async fn the_client_is_whom_the_authorizer_names() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct User {
        age: u8,
        admin: bool,
        name: String,
    }
    let mut event = connecting(&[]);
    assert_eq!(extract::<Principal>(&event).await.unwrap_err().status(), 401);
    assert_eq!(extract::<Option<Principal>>(&event).await.unwrap(), None);
    assert_eq!(extract::<Authorized<User>>(&event).await.unwrap_err().status(), 500);
    // API Gateway has strings, a server of ours what the authorizer gave.
    for context in [
        json!({ "principalId": "p", "age": "41", "admin": "true", "name": "1" }),
        json!({ "principalId": "p", "age": 41, "admin": true, "name": 1 }),
    ] {
        event.authorizer = Arc::new(context.as_object().unwrap().clone());
        let user = User { age: 41, admin: true, name: "1".to_owned() };
        assert_eq!(extract::<Authorized<User>>(&event).await.unwrap(), Authorized(user));
        assert_eq!(extract::<Principal>(&event).await.unwrap().0, "p");
    }
}

#[tokio::test]
async fn headers_are_found_in_any_case() {
    let mut event = connecting(&[]);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    event.headers =
        vec![header("sec-websocket-protocol", "a, b,"), header("Sec-WebSocket-Protocol", "c")];
    let headers = extract::<Headers>(&event).await.unwrap();
    assert_eq!(headers.get("SEC-WEBSOCKET-PROTOCOL"), Some("a, b,"));
    assert_eq!(headers.get("origin"), None);
    assert_eq!(headers.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_handler_takes_up_to_eight_arguments() {
    let handler = async |connection: Connection,
                         State(state): State<u8>,
                         Text(text): Text,
                         _: Headers,
                         event: Event,
                         _: crate::Home,
                         _: Option<Principal>,
                         Json(number): Json<u8>| {
        format!("{} {state} {text} {} {number}", connection.id(), event.route_key)
    };
    let app = WebSocket::with_state(5u8).message(handler);
    assert_eq!(said(app, message("7", &Arc::default())).await, "a 5 7 $default 7");
}
