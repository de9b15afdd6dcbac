//! A realtime endpoint as a server: authorizer and subscribers in the process of the
//! broker, real MQTT clients before it.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanwire::realtime::{Any, ConnectRequest, Grant, Message, PublishError, Raw, Realtime, Sender};
use fanwire::{Error, Home, Result, Server, ServerOptions};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Longer than anything takes: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ChatMessage {
    text: String,
}

fanwire::topic! {
    /// What is said in a room.
    struct Room { name: String } = "chat/{name}/message": ChatMessage
}

/// A client that is connected.
struct Client {
    client: AsyncClient,
    events: EventLoop,
}

async fn serve(realtime: Realtime) -> Server {
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    Server::start(realtime.into(), options).await.unwrap()
}

/// A client with this user name and token, as it connects.
async fn try_connect(
    server: &Server,
    user: &str,
    token: &str,
) -> Result<Client, ConnectReturnCode> {
    let (host, port) = (server.address().ip().to_string(), server.address().port());
    let mut options = MqttOptions::new(format!("client-{user}"), host, port);
    options.set_credentials(user, token);
    let (client, mut events) = AsyncClient::new(options, 16);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(Client { client, events }),
            Ok(_) => {}
            Err(ConnectionError::ConnectionRefused(code)) => return Err(code),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn connect(server: &Server, user: &str) -> Client {
    try_connect(server, user, "secret").await.unwrap()
}

impl Client {
    async fn event(&mut self) -> Result<Event, ConnectionError> {
        tokio::time::timeout(PATIENCE, self.events.poll()).await.unwrap()
    }

    /// Subscribes; says whether it may.
    async fn subscribe(&mut self, filter: &str) -> bool {
        self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        loop {
            if let Event::Incoming(Packet::SubAck(answer)) = self.event().await.unwrap() {
                return matches!(answer.return_codes[..], [SubscribeReasonCode::Success(_)]);
            }
        }
    }

    async fn publish(&mut self, topic: &str, payload: &str) {
        let sent = self.client.publish(topic, QoS::AtLeastOnce, false, payload.to_owned());
        sent.await.unwrap();
        while !matches!(self.event().await.unwrap(), Event::Incoming(Packet::PubAck(_))) {}
    }

    async fn next(&mut self) -> Publish {
        loop {
            if let Event::Incoming(Packet::Publish(message)) = self.event().await.unwrap() {
                return message;
            }
        }
    }

    /// The next message, as its topic and what it says.
    async fn said(&mut self) -> (String, String) {
        let message = self.next().await;
        let said: ChatMessage = serde_json::from_slice(&message.payload).unwrap();
        (String::from_utf8(message.topic.to_vec()).unwrap(), said.text)
    }

    /// Waits until the server has ended the connection.
    async fn ended(&mut self) {
        while self.event().await.is_ok() {}
    }
}

/// As in a guide: whoever knows the secret may be in all rooms.
async fn authorize(token: String) -> Result<Grant> {
    match &*token {
        "secret" => Ok(Grant::new().subscribe([Room::filter(Any)]).publish([Room::filter(Any)])),
        "away" => Err(Error::new(500, "the database is away")),
        _ => Ok(Grant::refuse()),
    }
}

/// A subscriber that tells a test what it gets.
fn tell<M: Send + 'static>() -> (UnboundedSender<M>, UnboundedReceiver<M>) {
    mpsc::unbounded_channel()
}

async fn told<M>(messages: &mut UnboundedReceiver<M>) -> M {
    tokio::time::timeout(PATIENCE, messages.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_decides_who_connects_and_does_what() {
    let server = serve(Realtime::new("chat").authorizer(authorize)).await;
    for token in ["wrong", "away"] {
        let refused = try_connect(&server, "ada", token).await.err();
        assert_eq!(refused, Some(ConnectReturnCode::NotAuthorized), "{token}");
    }
    let mut ada = connect(&server, "ada").await;
    assert!(ada.subscribe("chat/lobby/message").await);
    assert!(ada.subscribe("chat/+/message").await);
    assert!(!ada.subscribe("other/#").await);
    drop(ada);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_can_look_at_all_that_a_client_brings() {
    let (tell, mut requests) = tell();
    let authorizer = move |request: ConnectRequest, _: Home| {
        let grant = Grant::new().principal(request.user().unwrap_or_default());
        tell.send(request).unwrap();
        async move { grant }
    };
    let server = serve(Realtime::new("chat").authorizer(authorizer)).await;
    connect(&server, "ada?SDK=Test").await;
    let request = told(&mut requests).await;
    assert_eq!((request.user(), &*request.token()), (Some("ada"), "secret"));
    assert_eq!(request.client_id.as_deref(), Some("client-ada?SDK=Test"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_typed_messages_and_publishes_what_clients_get() {
    let (tell, mut messages) = tell();
    let shout = move |message: Message<ChatMessage, Room>, home: Home| {
        tell.send(message.clone()).unwrap();
        async move {
            let text = message.payload.text.to_uppercase();
            home.publish(&Room { name: "hall".into() }, &ChatMessage { text }).await
        }
    };
    let realtime =
        Realtime::new("chat").authorizer(authorize).subscriber(Room::filter("lobby"), shout);
    let server = serve(realtime).await;
    let (mut ada, mut bob) = (connect(&server, "ada").await, connect(&server, "bob").await);
    assert!(bob.subscribe("chat/hall/message").await);
    ada.publish("chat/lobby/message", r#"{"text":"hello"}"#).await;
    let message = told(&mut messages).await;
    assert_eq!(message.topic, Room { name: "lobby".into() });
    assert_eq!(message.payload, ChatMessage { text: "hello".into() });
    let Sender { principal, client_id, .. } = message.sender.unwrap();
    assert_eq!((&*principal, &*client_id), ("ada", "client-ada"));
    assert_eq!(bob.said().await, ("chat/hall/message".to_owned(), "HELLO".to_owned()));
    drop((ada, bob));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscriber_of_a_filter_gets_every_message_that_it_can_read() {
    let ((typed, mut read), (raw, mut seen)) = (tell(), tell());
    let realtime = Realtime::new("chat")
        .authorizer(authorize)
        .subscriber("chat/#", move |message: Message<ChatMessage>| {
            typed.send(message.payload.text).unwrap();
            async {}
        })
        .subscriber("chat/#", move |message: Message<Raw>| {
            raw.send((message.topic, message.payload.0)).unwrap();
            async {}
        });
    let server = serve(realtime).await;
    let mut ada = connect(&server, "ada").await;
    ada.publish("chat/lobby/message", "not JSON").await;
    ada.publish("chat/lobby/message", r#"{"text":"hello"}"#).await;
    assert_eq!(told(&mut read).await, "hello");
    // They are worked on several at a time.
    let mut payloads = [told(&mut seen).await, told(&mut seen).await].map(|(topic, payload)| {
        assert_eq!(topic, "chat/lobby/message");
        payload
    });
    payloads.sort();
    assert_eq!(payloads, [&b"not JSON"[..], &br#"{"text":"hello"}"#[..]]);
    drop(ada);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_from_outside_of_handlers_reaches_clients() {
    let server = serve(Realtime::new("chat").authorizer(authorize)).await;
    let room = |name: &str| Room { name: name.to_owned() };
    let say = |text: &str| ChatMessage { text: text.to_owned() };
    let home = server.home();
    home.publish(&room("lobby"), &say("for later")).retained().await.unwrap();
    let mut ada = connect(&server, "ada").await;
    assert!(ada.subscribe("chat/lobby/message").await);
    assert_eq!(ada.said().await.1, "for later");
    home.publish(&room("lobby"), &say("now")).at_least_once().await.unwrap();
    let message = ada.next().await;
    assert_eq!(message.qos, QoS::AtLeastOnce);
    let refused = home.publish(&room("a/b"), &say("nobody")).await.unwrap_err();
    assert!(matches!(refused, PublishError::Refused { .. }), "{refused}");
    drop(ada);
    let home = home.clone();
    server.stop().await;
    let refused = home.publish(&room("lobby"), &say("nobody")).await.unwrap_err();
    assert!(matches!(refused, PublishError::Failed(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_that_is_asked_again_can_take_everything_back() {
    let open = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&open);
    let authorizer = move |_: String| {
        let is_open = is_open.load(Ordering::SeqCst);
        async move {
            if is_open { Ok(Grant::new().subscribe(["*"])) } else { Err(Error::new(403, "closed")) }
        }
    };
    let server = serve(Realtime::new("chat").authorizer(authorizer)).await;
    let mut ada = connect(&server, "ada").await;
    assert!(ada.subscribe("chat/lobby/message").await);
    open.store(false, Ordering::SeqCst);
    server.advance_clock(Duration::from_secs(300));
    ada.ended().await;
    assert!(try_connect(&server, "ada", "secret").await.is_err());
    server.stop().await;
}

/// Signed with by whoever gives tokens; the private key is gone.
const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjjIHlgt5E2CqlhiisYfQ
kGdUE+PymLUt+Qt+JgydPvXBJLwfFsCR9WqYfwoAKHEo++NsAQuCJAQj3YyY5Y63
CHJCJjkjGZ/kTDm6WR1lQPxP34dZVJok65lW6sn0jogPboSgwO1a+Z4ocHaUj08+
FLZo83JZN/cRi1p9E/Z/kDofRwCsaEJAWiSA8fLwHGiY/Yskhk1JxZO89XHh9hhQ
3UO5aDVAdTNzQ7e8K5sk5Rkxto5UMWP0cIXl1zIVWdpK094sHJ/BKpQw1raIxVdO
+e/TyV9mGN2GdtTgG5tdBG7PRlbdLVUBCWTO7jlg7hwDvCb6fNdc0veVlsKGgfuW
vwIDAQAB
-----END PUBLIC KEY-----
";
/// The signature of `ada` with it (SHA-256), in Base64 and as a parameter of a query.
const SIGNATURE: &str = "ccAU%2FubT%2FdtYAPR7BL%2FgBzd8doCLQQJ6J7rvK9tBggWyCP1UEI3t%2BjCfROJmqQCtHAO6GsPwIi45YWHxU1rC%2BIacxARkLwBb9E3l6hP%2BgTLRhGmHO1w4OC2ZPL2Kqj9iOktrkhSSDvxat5Auc0ciw%2BqDua0f%2FCT03bQcBVPnbMyARwujBky%2Bf%2FFHO8LVELiwb3WJKZWSYWOPF2Ah3Jcc3DmiqOiwU%2F1Gq3FvKG6%2BLK8SlZyqwzhB6%2BcbEmUzLFMrcw660ilBh0dXe71i0gPhYlzzJs%2FSMkITJyXLdlqHlUkCPJNGWu0Q2A3Kubs58ZQmQ4JEHJlZSDpdbuiH7%2Fj%2FDw%3D%3D";

/// As AWS IoT's clients say a signed token: in the query of the user name.
fn signed(token: &str, signature: &str) -> String {
    format!(
        "ada?x-amz-customauthorizer-name=chat&ticket={token}\
         &x-amz-customauthorizer-signature={signature}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_tokens_are_checked_before_the_authorizer_is_asked() {
    let (asked, mut told) = mpsc::unbounded_channel();
    let app = Realtime::new("chat").signed_tokens("ticket", [PUBLIC_KEY]).authorizer(
        move |request: ConnectRequest| {
            asked.send((request.signed_token.clone(), request.signature_verified)).unwrap();
            async { Grant::new().subscribe(["chat/*"]) }
        },
    );
    let server = serve(app).await;
    for (token, signature) in [("eve", SIGNATURE), ("ada", "AAAA"), ("ada", "")] {
        let refused = try_connect(&server, &signed(token, signature), "").await.err();
        assert_eq!(refused, Some(ConnectReturnCode::NotAuthorized), "{token} {signature}");
    }
    let refused = try_connect(&server, "ada", "ada").await.err();
    assert_eq!(refused, Some(ConnectReturnCode::NotAuthorized), "it says no token at all");
    let mut ada = try_connect(&server, &signed("ada", SIGNATURE), "").await.unwrap();
    assert_eq!(told.try_recv(), Ok((Some("ada".to_owned()), true)));
    assert!(told.try_recv().is_err(), "nobody else came so far");
    assert!(ada.subscribe("chat/lobby/message").await);
    server.stop().await;
}

#[tokio::test]
async fn a_public_key_that_is_none_is_found_at_the_start() {
    let app = Realtime::new("chat")
        .signed_tokens("ticket", ["no key"])
        .authorizer(async |_: String| Grant::new());
    let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    let why = Server::start(app.into(), options).await.unwrap_err().to_string();
    assert!(why.contains("realtime.authorizers.chat.public_keys"), "{why}");
}
