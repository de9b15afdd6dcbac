//! Signatures, tokens and permissions.

use std::time::{Duration, SystemTime};

use crate::world::{Call, World};

const ALL: (&str, &str) = ("AKIDALL", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
const SOME: (&str, &str) = ("AKIDSOME", "another secret of some length");

const SETTINGS: &str = r#"
    [access.keys.all]
    id = "AKIDALL"
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    allow = ["*"]
    [access.keys.some]
    id = "AKIDSOME"
    secret = "another secret of some length"
    allow = [
        "execute-api:ManageConnections shop/other", "iot:Publish orders/*",
        "lambda:InvokeFunction thumb*", "dynamodb:PutItem orders", "dynamodb:DescribeTable",
    ]
    [access.tokens.ops]
    token = "a token of some length"
    allow = ["fanwire:Read"]
"#;

/// A request for each API, with the service that it is signed for, and what is said to it by
/// who has all permissions.
fn calls() -> Vec<(&'static str, Call, u16)> {
    let dynamodb = Call::new("POST", "/", r#"{"TableName":"orders"}"#)
        .with("content-type", "application/x-amz-json-1.0")
        .with("x-amz-target", "DynamoDB_20120810.DescribeTable");
    vec![
        ("execute-api", Call::new("POST", "/dev/@connections/JBDvjfGEIAMCERw%3D", "hi"), 410),
        ("iotdata", Call::new("POST", "/topics/orders%2Fnew?qos=1", "{}"), 200),
        ("lambda", Call::new("POST", "/2015-03-31/functions/nothing/invocations", "{}"), 404),
        ("dynamodb", dynamodb, 400),
        ("fanwire", Call::new("GET", "/_fanwire/app", ""), 200),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_who_does_not_say_who_calls() {
    let world = World::new(SETTINGS).await;
    for (service, call, with_all) in calls() {
        let missing = world.send(&call).await;
        let (status, error) = missing.error();
        assert_eq!(error, "MissingAuthenticationTokenException", "{service}");
        let expected = match service {
            "dynamodb" => 400,
            "fanwire" => 401,
            _ => 403,
        };
        assert_eq!(status, expected, "{service}");
        let reply = world.ask(ALL, service, call).await;
        assert_eq!(reply.status, with_all, "{service}: {}", reply.body);
    }
    assert_eq!(world.send(&Call::new("GET", "/ping", "")).await.status, 200);
    let told = world.told();
    assert!(told.contains("Allowed { caller: \"all\", action: \"iot:Publish\""), "{told}");
    assert!(told.contains("error: \"MissingAuthenticationTokenException\""), "{told}");
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_on_its_way_is_refused_by_every_api() {
    let world = World::new(SETTINGS).await;
    let at = world.server.address();
    for (service, call, _) in calls() {
        let signed = |key, time| call.clone().signed(at, key, service, time);
        let now = SystemTime::now();
        let good = signed(ALL, now);
        let mut other_body = good.clone();
        other_body.body.push(' ');
        let mut other_path = good.clone();
        other_path.path.push_str(if good.path.contains('?') { "&a=b" } else { "?a=b" });
        let header = |name: &str| {
            let found = good.headers.iter().find(|(known, _)| known == name).unwrap();
            found.1.clone()
        };
        let authorization = header("authorization");
        let other_name = authorization.replace("AKIDALL", "AKIDNONE");
        let other_service = authorization.replace(&format!("/{service}/"), "/s3/");
        let no_host = authorization.replace("host;", "");
        let no_signature = authorization.split(", Signature").next().unwrap().to_owned();
        let with = |value: &str| good.clone().with("authorization", value);
        let hour = Duration::from_secs(3600);
        for (changed, error) in [
            (other_body, "InvalidSignatureException"),
            (other_path, "InvalidSignatureException"),
            (signed((ALL.0, "wrong"), now), "InvalidSignatureException"),
            (with(&other_name), "UnrecognizedClientException"),
            (with(&other_service), "InvalidSignatureException"),
            (with(&no_host), "InvalidSignatureException"),
            (with(&no_signature), "IncompleteSignatureException"),
            (signed(ALL, now - hour), "InvalidSignatureException"),
            (signed(ALL, now + hour), "InvalidSignatureException"),
            (good.clone().with("x-amz-more", "1"), "InvalidSignatureException"),
        ] {
            let reply = world.send(&changed).await;
            assert_eq!(reply.error().1, error, "{service}: {changed:?} {}", reply.body);
            let expected = match service {
                "dynamodb" => 400,
                "fanwire" => 401,
                _ => 403,
            };
            assert_eq!(reply.status, expected, "{service}");
        }
    }
    let told = world.told();
    assert!(!told.contains(ALL.1) && !told.contains("Canonical"), "{told}");
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_the_form_of_its_service() {
    let world = World::new(SETTINGS).await;
    let at = world.server.address();
    let path = "/dev/@connections/JBDvjfGEIAMCERw%3D";
    let call = Call::new("POST", path, "hi");
    let wrong = call.clone().signed(at, (ALL.0, "wrong"), "execute-api", SystemTime::now());
    let said = world.send(&wrong).await.json()["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with("The request signature we calculated does not match"), "{said}");
    assert!(said.contains("'POST\n/dev/%40connections/JBDvjfGEIAMCERw%253D\n\nhost:"), "{said}");
    let late =
        call.clone().signed(at, ALL, "execute-api", SystemTime::now() - Duration::from_secs(600));
    let said = world.send(&late).await.json()["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with("Signature expired: 20") && said.ends_with("5 min.)"), "{said}");
    let denied = world.ask(SOME, "execute-api", call).await;
    assert_eq!(denied.error(), (403, "AccessDeniedException"));
    assert!(denied.header("x-amzn-requestid").is_some());
    assert_eq!(
        denied.json()["Message"],
        "User: arn:aws:iam::123456789012:user/some is not authorized to perform: \
         execute-api:ManageConnections on resource: arn:aws:execute-api:us-east-1:123456789012:\
         abcdefghij/dev/POST/@connections/JBDvjfGEIAMCERw= because no identity-based policy \
         allows the execute-api:ManageConnections action"
    );
    let scan = |table: &str| {
        Call::new("POST", "/", &format!("{{\"TableName\":\"{table}\"}}"))
            .with("x-amz-target", "DynamoDB_20120810.Scan")
    };
    let denied = world.ask(SOME, "dynamodb", scan("orders")).await;
    assert_eq!(denied.status, 400);
    assert_eq!(denied.json()["__type"], "com.amazon.coral.service#AccessDeniedException");
    let denied = world.ask(SOME, "iotdata", Call::new("POST", "/topics/other", "{}")).await;
    assert_eq!(denied.error(), (403, "ForbiddenException"));
    assert!(denied.json()["traceId"].is_string());
    let control = world.send(&Call::new("GET", "/_fanwire/app", "")).await;
    assert_eq!(control.header("www-authenticate"), Some("Bearer realm=\"fanwire\""));
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_what_it_is_allowed_and_nothing_else() {
    let world = World::new(SETTINGS).await;
    let put = |table: &str| {
        let body = format!("{{\"TableName\":\"{table}\",\"Item\":{{}}}}");
        Call::new("POST", "/", &body).with("x-amz-target", "DynamoDB_20120810.PutItem")
    };
    let invoke =
        |name: &str| Call::new("POST", &format!("/2015-03-31/functions/{name}/invocations"), "{}");
    let publish = |rest: &str| Call::new("POST", &format!("/topics/{rest}"), "{}");
    for (service, call, is_allowed) in [
        ("iotdata", publish("orders%2F1"), true),
        ("iotdata", publish("orders/1"), true),
        ("iotdata", publish("order"), false),
        // To retain it is more.
        ("iotdata", publish("orders%2F1?retain=true"), false),
        ("iotdata", Call::new("GET", "/retainedMessage/orders%2F1", ""), false),
        ("iotdata", Call::new("DELETE", "/connections/someone", ""), false),
        ("lambda", invoke("thumbnail"), true),
        ("lambda", invoke("resize"), false),
        ("dynamodb", put("orders"), true),
        ("dynamodb", put("users"), false),
        ("execute-api", Call::new("GET", "/dev/@connections/JBDvjfGEIAMCERw%3D", ""), false),
        ("fanwire", Call::new("GET", "/_fanwire/app", ""), false),
    ] {
        let (method, path) = (call.method.clone(), call.path.clone());
        let reply = world.ask(SOME, service, call).await;
        let is_denied = reply.body.contains("is not authorized to perform");
        assert_eq!(is_denied, !is_allowed, "{service} {method} {path}: {}", reply.body);
    }
    world.server.stop(Duration::from_secs(1)).await;
}

/// Signatures are of paths without empty and dot segments, which in a topic count.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_can_be_read_in_two_ways_is_refused() {
    let world = World::new(SETTINGS).await;
    let at = world.server.address();
    let good =
        Call::new("POST", "/topics/orders/1", "{}").signed(at, ALL, "iotdata", SystemTime::now());
    assert_eq!(world.send(&good).await.status, 200);
    for path in ["/topics/orders//1", "/topics/x/../orders/1", "/topics/./orders/1"] {
        let changed = Call { path: path.to_owned(), ..good.clone() };
        let reply = world.send(&changed).await;
        assert_eq!(reply.error(), (403, "IncompleteSignatureException"), "{path}");
    }
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_reads_and_does_not_change() {
    let world = World::new(SETTINGS).await;
    let with = |call: Call, token: &str| call.with("authorization", &format!("Bearer {token}"));
    let get = || Call::new("GET", "/_fanwire/app", "");
    let token = "a token of some length";
    assert_eq!(world.send(&with(get(), token)).await.status, 200);
    // It need not come from this machine.
    let mut far = with(get(), token);
    far.path = "http://chat.example/_fanwire/app".to_owned();
    assert_eq!(world.send(&far).await.status, 200);
    let wrong = world.send(&with(get(), "another token of some length")).await;
    assert_eq!(wrong.error(), (401, "UnrecognizedClientException"));
    let clock = Call::new("POST", "/_fanwire/clock?advance_ms=1", "");
    assert_eq!(world.send(&with(clock, token)).await.error(), (403, "AccessDeniedException"));
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go_with_their_file() {
    let file = "[access]\nkeys_file = \"keys.toml\"\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let key = |name: &str| {
        format!(
            "[keys.{name}]\nid = \"AKIDSHARED\"\nsecret = \"{name} of some length\"\n\
             allow = [\"*\"]\n"
        )
    };
    std::fs::write(&path, key("old")).unwrap();
    let text = file.replace("keys.toml", path.to_str().unwrap());
    let world = World::new(&text).await;
    let publish = |secret: &'static str| {
        let call = Call::new("POST", "/topics/a", "{}");
        world.ask(("AKIDSHARED", secret), "iotdata", call)
    };
    let until = |secret: &'static str, status: u16| async move {
        for _ in 0..200 {
            if publish(secret).await.status == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{secret} does not come to {status}");
    };
    assert_eq!(publish("old of some length").await.status, 200);
    assert_eq!(publish("new of some length").await.status, 403);
    std::fs::write(&path, key("old") + &key("new")).unwrap();
    until("new of some length", 200).await;
    assert_eq!(publish("old of some length").await.status, 200);
    std::fs::write(&path, key("new") + "\n# the old one is gone\n").unwrap();
    until("old of some length", 403).await;
    assert_eq!(publish("new of some length").await.status, 200);
    assert!(world.told().contains("KeysRead"), "{}", world.told());
    world.server.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_opened_by_name_is_open_and_nothing_else() {
    let world = World::new("[access]\nallow_anonymous = [\"data\"]\n").await;
    assert_eq!(world.send(&Call::new("POST", "/topics/a", "{}")).await.status, 200);
    let of_a_page = Call::new("POST", "/topics/a", "{}").with("origin", "https://evil.example");
    assert_eq!(world.send(&of_a_page).await.status, 403);
    assert_eq!(world.send(&Call::new("GET", "/_fanwire/app", "")).await.status, 401);
    assert!(world.folder.path().exists());
    world.server.stop(Duration::from_secs(1)).await;
}
