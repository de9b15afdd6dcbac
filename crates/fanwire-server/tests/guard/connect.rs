//! What handshakes have to show: signatures, API keys, origins and tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_sigv4::http_request::SignatureLocation;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{Call, World};

const KEY: (&str, &str) = ("AKIDALL", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
const OTHER: (&str, &str) = ("AKIDOTHER", "another secret of some length");

const SETTINGS: &str = r#"
    [access.keys.all]
    id = "AKIDALL"
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    allow = ["execute-api:Invoke shop/dev", "iot:Connect", "iot:Publish orders/*"]
    [access.keys.other]
    id = "AKIDOTHER"
    secret = "another secret of some length"
    allow = ["execute-api:ManageConnections"]
    [access.api_keys.partner]
    value = "an API key of some length"
    plan = "small"
    [limits.usage_plans.small]
    quota = 2
"#;

fn app(api: &str, connect: &str) -> String {
    format!(
        "name = \"shop\"\nprofile = \"open\"\n[websocket]\nname = \"shop\"\nid = \"abcdefghij\"\n{api}\n\
         [websocket.routes.\"$connect\"]\nmock = {{}}\n{connect}\n\
         [websocket.routes.\"$default\"]\nmock = {{}}\n\
         [realtime]\n"
    )
}

/// A handshake, which is all that is sent.
fn handshake(path: &str) -> Call {
    Call::new("GET", path, "")
        .with("sec-websocket-version", "13")
        .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .with("upgrade", "websocket")
}

/// Sends a handshake; the answer's status and name of the error, and the socket.
async fn knock(world: &World, call: &Call) -> (u16, String, TcpStream) {
    let stream = TcpStream::connect(world.server.address()).await.unwrap();
    knock_on(stream, call).await
}

/// The same, on a connection that there is.
async fn knock_on(mut stream: TcpStream, call: &Call) -> (u16, String, TcpStream) {
    let at = stream.peer_addr().unwrap();
    let mut text = format!("GET {} HTTP/1.1\r\nhost: {at}\r\nconnection: upgrade\r\n", call.path);
    for (name, value) in &call.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await;
        head.push(byte.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let error = head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: "));
    (status, error.unwrap_or_default().to_owned(), stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_is_signed_in_its_headers_or_in_its_url() {
    let world = World::of(&app("", "authorizer = \"AWS_IAM\""), SETTINGS).await;
    let at = world.server.address();
    let answered = async |call: &Call| {
        let (status, error, _) = knock(&world, call).await;
        (status, error)
    };
    let refused = |error: &str| (403, error.to_owned());
    let plain = handshake("/dev?a=b");
    assert_eq!(answered(&plain).await, refused("MissingAuthenticationTokenException"));
    for place in [SignatureLocation::Headers, SignatureLocation::QueryParams] {
        let signed = |key, time| {
            // A browser can sign nothing but the host.
            let bare = Call::new("GET", "/dev?a=b", "");
            let signed = bare.signed_in(place, at, key, "execute-api", time);
            signed
                .headers
                .iter()
                .fold(handshake(&signed.path), |call, (name, value)| call.with(name, value))
        };
        let now = SystemTime::now();
        assert_eq!(answered(&signed(KEY, now)).await.0, 101);
        let wrong = signed((KEY.0, "wrong"), now);
        assert_eq!(answered(&wrong).await, refused("InvalidSignatureException"));
        let old = signed(KEY, now - Duration::from_secs(3600));
        assert_eq!(answered(&old).await, refused("InvalidSignatureException"));
        assert_eq!(answered(&signed(OTHER, now)).await, refused("AccessDeniedException"));
        let mut changed = signed(KEY, now);
        changed.path = changed.path.replace("a=b", "a=c");
        assert_eq!(answered(&changed).await, refused("InvalidSignatureException"));
    }
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_connects_as_often_as_its_plan_says() {
    let world = World::of(&app("", "api_key = true"), SETTINGS).await;
    let status = async |call: Call| knock(&world, &call).await.0;
    let with = |key: &str| handshake("/dev").with("x-api-key", key);
    assert_eq!(status(handshake("/dev")).await, 403);
    assert_eq!(status(with("wrong")).await, 403);
    let good = "an API key of some length";
    let seen = [status(with(good)).await, status(with(good)).await, status(with(good)).await];
    assert_eq!(seen, [101, 101, 429]);
    assert!(!world.told().contains(good));
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_shows_nothing_that_an_earlier_request_of_its_connection_had() {
    let world = World::of(&app("", "api_key = true"), SETTINGS).await;
    let good = "an API key of some length";
    // As a proxy does that keeps its connections: the first request is somebody else's.
    let others = Call::new("GET", "/favicon.ico", "").with("x-api-key", good);
    let stream = answered(&world, &others).await;
    assert_eq!(knock_on(stream, &handshake("/dev")).await.0, 403);
    let stream = answered(&world, &Call::new("GET", "/favicon.ico", "")).await;
    assert_eq!(knock_on(stream, &handshake("/dev").with("x-api-key", good)).await.0, 101);
    world.server.stop(Duration::from_secs(1)).await;
}

/// A connection on which a request was made, and its answer taken.
async fn answered(world: &World, call: &Call) -> TcpStream {
    let stream = TcpStream::connect(world.server.address()).await.unwrap();
    let (_, _, mut stream) = knock_on(stream, call).await;
    let mut body = Vec::new();
    while !body.ends_with(b"}") {
        body.push(stream.read_u8().await.unwrap());
    }
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_show_nothing_count_among_those_of_their_address() {
    let settings = format!("[limits]\nconnect_rate = 1\nconnect_burst = 2\n{SETTINGS}");
    let world = World::of(&app("", "api_key = true"), &settings).await;
    let status = async || knock(&world, &handshake("/dev")).await.0;
    assert_eq!([status().await, status().await, status().await], [403, 403, 429]);
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_elsewhere_may_not_connect() {
    let world = World::of(&app("allowed_origins = [\"https://chat.example\"]", ""), SETTINGS).await;
    let status = async |call: Call| knock(&world, &call).await.0;
    let from = |origin: &str| handshake("/dev").with("origin", origin);
    assert_eq!(status(handshake("/dev")).await, 101);
    assert_eq!(status(from("https://chat.example")).await, 101);
    assert_eq!(status(from("https://evil.example")).await, 403);
    assert_eq!(status(from("null")).await, 403);
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_checked_without_a_function() {
    const SECRET: &[u8] = b"a secret of at least 32 bytes, it is";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let key = json!({ "kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode(SECRET) });
    std::fs::write(&file, json!({ "keys": [key] }).to_string()).unwrap();
    let authorizer = format!(
        "[websocket.authorizers.door]\njwks = \"{}\"\nissuer = \"us\"\naudience = \"chat\"\n\
         identity_source = [\"route.request.querystring.token\"]\n",
        file.display()
    );
    let text = app("", "authorizer = \"door\"") + &authorizer;
    let world = World::of(&text, SETTINGS).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let token = |secret: &[u8], issuer: &str, expires: u64| {
        let claims = json!({ "sub": "ann", "iss": issuer, "aud": "chat", "exp": expires });
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message =
            format!("{}.{}", encode(json!({ "alg": "HS256", "kid": "s" })), encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    };
    let status = async |query: String| knock(&world, &handshake(&format!("/dev{query}"))).await.0;
    assert_eq!(status(format!("?token={}", token(SECRET, "us", now + 60))).await, 101);
    assert_eq!(status(String::new()).await, 401);
    assert_eq!(status("?token=none".to_owned()).await, 401);
    assert_eq!(status(format!("?token={}", token(SECRET, "them", now + 60))).await, 401);
    assert_eq!(status(format!("?token={}", token(SECRET, "us", now - 1))).await, 401);
    assert_eq!(status(format!("?token={}", token(&[1; 32], "us", now + 60))).await, 401);
    world.server.stop(Duration::from_secs(1)).await;
}

/// The reason codes of what a client of MQTT 5 gets: of its CONNACK, and of its PUBACK.
async fn publish(mut stream: TcpStream, topic: &str) -> (u8, u8) {
    let frame = |payload: &[u8]| {
        let mut frame = vec![0x82, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    };
    let connect = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a";
    stream.write_all(&frame(connect)).await.unwrap();
    let mut packet = vec![0x32, (topic.len() + 5) as u8, 0, topic.len() as u8];
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(&[0, 1, 0]);
    stream.write_all(&frame(&packet)).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let mut bytes = [0; 256];
        let count = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut bytes)).await;
        let count = count.unwrap().unwrap();
        assert!(count > 0, "{seen:02x?}");
        seen.extend_from_slice(&bytes[..count]);
        let packets = packets_of(&seen);
        let body = |kind: u8| packets.iter().find(|packet| packet[0] == kind).map(|p| &p[2..]);
        let connack = body(0x20).map(|body| body[1]);
        let puback = body(0x40).map(|body| body.get(2).copied().unwrap_or(0));
        // Who is not allowed is sent away, with the reason.
        let answer = puback.or_else(|| body(0xE0).map(|body| body[0]));
        if let (Some(connack), Some(answer)) = (connack, answer) {
            return (connack, answer);
        }
    }
}

/// The packets of MQTT in frames that are there whole; all are short.
fn packets_of(mut frames: &[u8]) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    while let [head, length, rest @ ..] = frames {
        let Some(payload) = rest.get(..usize::from(*length)) else { break };
        if *head == 0x82 {
            bytes.extend_from_slice(payload);
        }
        frames = &rest[usize::from(*length)..];
    }
    let (mut packets, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some(packet) = rest.get(1).and_then(|length| rest.get(..usize::from(*length) + 2)) {
        packets.push(packet.to_vec());
        rest = &rest[packet.len()..];
    }
    packets
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_mqtt_may_do_what_the_key_that_signed_its_url_may() {
    let world = World::of(&app("", ""), SETTINGS).await;
    let at = world.server.address();
    let url = |key| {
        let bare = Call::new("GET", "/mqtt", "");
        let signed = bare.signed_in(
            SignatureLocation::QueryParams,
            at,
            key,
            "iotdevicegateway",
            SystemTime::now(),
        );
        handshake(&signed.path).with("sec-websocket-protocol", "mqtt")
    };
    let (status, _, stream) = knock(&world, &url(KEY)).await;
    assert_eq!(status, 101);
    let (connack, puback) = publish(stream, "orders/1").await;
    // Nobody is subscribed: 0x10, or nothing is said of it.
    assert!(connack == 0 && puback < 0x80, "{connack:02x} {puback:02x}");
    let (_, _, stream) = knock(&world, &url(KEY)).await;
    assert_eq!(publish(stream, "others").await, (0, 0x87));
    let (status, error, _) = knock(&world, &url((KEY.0, "wrong"))).await;
    assert_eq!((status, error.as_str()), (403, "InvalidSignatureException"));
    // Whoever names a key and signs nothing is not believed.
    let forged = "/mqtt?X-Amz-Credential=AKIDALL%2F20300101%2Fx&X-Amz-Signature=00";
    let call = handshake(forged).with("sec-websocket-protocol", "mqtt");
    assert_eq!(knock(&world, &call).await.0, 403);
    world.server.stop(Duration::from_secs(1)).await;
}
