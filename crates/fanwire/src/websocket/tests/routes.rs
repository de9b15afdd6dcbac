use serde::Deserialize;

use super::*;
use crate::Error;

fn app() -> WebSocket {
    WebSocket::new()
        .connect(async || Reply::default().subprotocol("chat"))
        .route("say", async || "said")
        .route("7", async || "seven")
        .message(async || "any")
        .disconnect(async |closed: Closed| format!("{} {}", closed.code, closed.reason))
}

#[tokio::test]
async fn an_event_comes_to_the_handler_of_its_route() {
    let gateway = Arc::new(Recording::default());
    let connect = reply(app(), event(EventKind::Connect, &gateway)).await.unwrap();
    assert_eq!(connect.headers, [("Sec-WebSocket-Protocol".to_owned(), "chat".to_owned())]);
    let mut ended = event(EventKind::Disconnect, &gateway);
    ended.closed = Some((1001, "Going away".to_owned()));
    assert_eq!(said(app(), ended).await, "1001 Going away");
    let mut routed = message("not json", &gateway);
    routed.route_key = "say".to_owned();
    assert_eq!(said(app(), routed).await, "said");
}

#[tokio::test]
async fn a_message_that_comes_as_default_is_routed_by_its_action() {
    let gateway = Arc::new(Recording::default());
    for (body, expected) in [
        (r#"{"action":"say"}"#, "said"),
        (r#"{"action":7}"#, "seven"),
        (r#"{"action":"shout"}"#, "any"),
        (r#"{"action":"$connect"}"#, "any"),
        (r#"{"action":["say"]}"#, "any"),
        (r#"["say"]"#, "any"),
        ("say", "any"),
        ("", "any"),
    ] {
        assert_eq!(said(app(), message(body, &gateway)).await, expected, "{body}");
    }
    let binary = message(bytes::Bytes::from_static(br#"{"action":"say"}"#), &gateway);
    assert_eq!(said(app(), binary).await, "said");
}

#[tokio::test]
async fn an_app_may_choose_routes_in_its_own_way() {
    let gateway = Arc::new(Recording::default());
    let app = || app().select(|message| Some(message["kind"].as_str()?.to_owned()));
    assert_eq!(said(app(), message(r#"{"kind":"say"}"#, &gateway)).await, "said");
    assert_eq!(said(app(), message(r#"{"action":"say"}"#, &gateway)).await, "any");
    assert!(app().into_endpoint().selects);
}

#[tokio::test]
async fn a_message_without_a_route_is_answered_as_api_gateway_does() {
    let gateway = Arc::new(Recording::default());
    let app = || WebSocket::new().route("say", async || "said");
    let refused = reply(app(), message("hello", &gateway)).await.unwrap();
    assert_eq!((refused.status, refused.body), (403, None));
    assert_eq!(
        gateway.calls(),
        [r#"a: {"message": "Forbidden", "connectionId":"a", "requestId":"r1"}"#]
    );
}

#[tokio::test]
async fn connecting_and_leaving_need_no_handler() {
    let gateway = Arc::new(Recording::default());
    for kind in [EventKind::Connect, EventKind::Disconnect] {
        assert_eq!(reply(WebSocket::new(), event(kind, &gateway)).await.unwrap().status, 200);
    }
    let endpoint = WebSocket::new().into_endpoint();
    assert!(!endpoint.has_connect && !endpoint.has_disconnect && !endpoint.has_default);
    let endpoint = app().into_endpoint();
    assert!(endpoint.has_connect && endpoint.has_disconnect && endpoint.has_default);
    assert_eq!(endpoint.routes, ["say", "7"]);
}

#[tokio::test]
async fn what_handlers_return_becomes_a_reply() {
    let gateway = Arc::new(Recording::default());
    let text = |text: &str| Some(Body::from(text));
    for (app, expected) in [
        (WebSocket::new().message(async || {}), None),
        (WebSocket::new().message(async || "a"), text("a")),
        (WebSocket::new().message(async || "a".to_owned()), text("a")),
        (WebSocket::new().message(async || vec![1u8, 2]), Some(Body::from(vec![1, 2]))),
        (WebSocket::new().message(async || Json([1, 2])), text("[1,2]")),
        (WebSocket::new().message(async || Some("a")), text("a")),
        (WebSocket::new().message(async || None::<String>), None),
        (WebSocket::new().message(async || -> Result<Json<bool>> { Ok(Json(true)) }), text("true")),
        (WebSocket::new().message(async || -> Result<Option<()>> { Ok(None) }), None),
    ] {
        assert_eq!(reply(app, message("", &gateway)).await.unwrap().body, expected);
    }
}

#[tokio::test]
async fn any_error_is_a_handlers_by_a_question_mark() {
    #[derive(Debug, Deserialize)]
    struct Never {}

    async fn fails() -> Result {
        serde_json::from_str::<Never>("[")?;
        Ok(())
    }
    async fn refuses() -> Result<&'static str> {
        Err(Error::new(401, "who are you?"))
    }
    let gateway = Arc::new(Recording::default());
    let error = reply(WebSocket::new().message(fails), message("", &gateway)).await.unwrap_err();
    assert_eq!((error.status(), error.kind()), (500, "serde_json::error::Error"));
    assert!(error.downcast_ref::<serde_json::Error>().is_some());
    let connecting = event(EventKind::Connect, &gateway);
    let error = reply(WebSocket::new().connect(refuses), connecting).await.unwrap_err();
    assert_eq!((error.status(), error.kind()), (401, "fanwire::Error"));
    assert_eq!(error.to_string(), "who are you?");
}

#[tokio::test]
async fn a_connection_reaches_itself_and_others() {
    let gateway = Arc::new(Recording { groups: true, gone: vec!["x"], ..Recording::default() });
    let app = WebSocket::new().message(async |connection: Connection| -> Result {
        connection.send("me").await?;
        connection.send_json(&["json"]).await?;
        connection.to("b").send("you").await?;
        assert!(connection.to("x").send("you").await.unwrap_err().is_gone());
        let sent = connection.to_many(["b", "x", "c"]).send("both").await?;
        assert_eq!((sent.delivered, sent.gone, sent.failed), (2, vec!["x".to_owned()], 0));
        connection.to_tag("room").send("room").await?;
        connection.broadcast("all").await?;
        connection.tag("room").await?;
        connection.unsubscribe("a/#").await?;
        connection.to("b").close(4001, "bye").await?;
        Ok(())
    });
    reply(app, message("", &gateway)).await.unwrap();
    assert_eq!(
        gateway.calls(),
        [
            "a: me",
            r#"a: ["json"]"#,
            "b: you",
            "b: both",
            "c: both",
            r#"Group(Tag("room")): room"#,
            "All: all",
            r#"a joins Tag("room")"#,
            r#"a leaves Topic("a/#")"#,
            "b closed: 4001 bye",
        ]
    );
}

#[tokio::test]
async fn an_authorizer_says_who_a_client_is() {
    let gateway = Arc::new(Recording::default());
    let app = WebSocket::new().authorizer(async |headers: Headers| match headers.get("x-token") {
        Some(token) => Ok(Allow::new(token).context("admin", true)),
        None => Err(Error::new(401, "no token")),
    });
    let authorizer = app.into_endpoint().authorizer.unwrap();
    let mut asked = event(EventKind::Connect, &gateway);
    assert_eq!(authorizer(asked.clone()).await.unwrap_err().status(), 401);
    asked.headers.push(("X-Token".to_owned(), "ali".to_owned()));
    let allow = authorizer(asked).await.unwrap();
    assert_eq!(allow, Allow::new("ali").context("admin", true));
}

#[tokio::test]
async fn an_authorizers_answer_is_one_that_api_gateway_takes() {
    let gateway = Arc::new(Recording::default());
    let too_long = "x".repeat(8192);
    for (allow, expected) in [
        (Allow::new(""), AllowError::NoPrincipal),
        (
            Allow::new("ali").context("roles", vec!["admin"]),
            AllowError::Nested { name: "roles".to_owned() },
        ),
        (Allow::new("ali").context("a", too_long), AllowError::TooLong { bytes: 8196 }),
    ] {
        let app = WebSocket::with_state(allow)
            .authorizer(async |State(allow): State<Allow>| Result::<Allow>::Ok(allow));
        let authorizer = app.into_endpoint().authorizer.unwrap();
        let error = authorizer(event(EventKind::Connect, &gateway)).await.unwrap_err();
        assert_eq!(error.status(), 500);
        assert_eq!(error.downcast_ref(), Some(&expected));
    }
}

#[tokio::test]
async fn a_connection_begins_with_what_its_handshake_gave_it() {
    let connect = async |connection: Connection| -> Result {
        connection.tag("a").await?;
        connection.tag("b").await?;
        connection.tag("c").await?;
        connection.untag("b").await?;
        connection.subscribe("news/#").await?;
        Ok(())
    };
    let pending = Recording { groups: true, gone: vec!["a"], ..Recording::default() };
    let connecting = event(EventKind::Connect, &Arc::new(pending));
    let accepted = reply(WebSocket::new().connect(connect), connecting).await.unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [header("Fanwire-Tags", "a, c"), header("Fanwire-Topics", "news/#")];
    assert_eq!(accepted.headers, expected);
    // AWS has none, and says so then too.
    let connecting = event(EventKind::Connect, &Arc::default());
    let error = reply(WebSocket::new().connect(connect), connecting).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(SendError::Unsupported(_))));
}
