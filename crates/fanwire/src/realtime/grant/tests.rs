use super::*;
use crate::realtime::Any;

crate::topic! {
    struct Room { name: String } = "chat/{name}/message": String
}

fn place() -> Place {
    let (partition, region) = ("aws".to_owned(), "us-east-1".to_owned());
    Place { partition, region, account_id: "123456789012".to_owned() }
}

fn answer(grant: Grant) -> Result<Value, GrantError> {
    let answer = grant.answer(&ConnectRequest::default(), &place())?;
    Ok(serde_json::to_value(answer).unwrap())
}

/// The resources of the statement of the grant's own policy that allows an action.
fn resources(grant: Grant, action: &str) -> Value {
    let answer = answer(grant).unwrap();
    let statements = answer["policyDocuments"][0]["Statement"].as_array().unwrap();
    let found = statements.iter().find(|statement| statement["Action"] == action);
    found.map_or(Value::Null, |statement| statement["Resource"].clone())
}

fn error(grant: Grant) -> String {
    answer(grant).unwrap_err().to_string()
}

/// Reference: iot.md, section 9.1, what SST's SDK was seen to answer.
#[test]
fn the_answer_is_sst_s_to_the_letter() {
    let patterns = ["myapp/dev/*"];
    let grant = Grant::new().principal("ada").subscribe(patterns).publish(patterns);
    let answer = grant.answer(&ConnectRequest::default(), &place()).unwrap();
    let expected = concat!(
        r#"{"isAuthenticated":true,"principalId":"ada","disconnectAfterInSeconds":86400,"#,
        r#""refreshAfterInSeconds":300,"policyDocuments":[{"Version":"2012-10-17","Statement":["#,
        r#"{"Action":"iot:Connect","Effect":"Allow","Resource":"*"},"#,
        r#"{"Action":"iot:Receive","Effect":"Allow","Resource":["arn:aws:iot:us-east-1:123456789012:topic/myapp/dev/*"]},"#,
        r#"{"Action":"iot:Subscribe","Effect":"Allow","Resource":["arn:aws:iot:us-east-1:123456789012:topicfilter/myapp/dev/*"]},"#,
        r#"{"Action":"iot:Publish","Effect":"Allow","Resource":["arn:aws:iot:us-east-1:123456789012:topic/myapp/dev/*"]}]}]}"#
    );
    assert_eq!(serde_json::to_string(&answer).unwrap(), expected);
}

#[test]
fn no_patterns_and_an_empty_list_of_them_are_what_they_are_with_sst() {
    let statements = |grant| {
        let answer = answer(grant).unwrap();
        answer["policyDocuments"][0]["Statement"].as_array().unwrap().len()
    };
    assert_eq!(statements(Grant::new()), 1);
    assert_eq!(statements(Grant::new().subscribe([""; 0]).publish([""; 0])), 4);
    assert_eq!(resources(Grant::new().publish([""; 0]), "iot:Publish"), json!([]));
}

#[test]
fn a_refusal_lets_nobody_in() {
    assert_eq!(answer(Grant::refuse()).unwrap()["isAuthenticated"], json!(false));
}

#[test]
fn a_typed_filter_is_a_pattern_in_which_values_are_literal() {
    let pattern = |filter| resources(Grant::new().publish([filter]), "iot:Publish")[0].clone();
    let arn = |rest: &str| json!(format!("arn:aws:iot:us-east-1:123456789012:topic/{rest}"));
    assert_eq!(pattern(Room::filter(Any)), arn("chat/*/message"));
    assert_eq!(pattern(Room::filter("lobby")), arn("chat/lobby/message"));
    // A client that calls its room so is not let into all of them.
    assert_eq!(pattern(Room::filter("*")), arn("chat/${*}/message"));
    assert_eq!(pattern(Room::filter("${iot:ClientId}")), arn("chat/${$}{iot:ClientId}/message"));
    let refused = error(Grant::new().subscribe([Room::filter("a/b")]));
    assert!(refused.starts_with("`a/b` cannot be the name of"), "{refused}");
}

#[test]
fn mqtt_s_wildcards_are_refused_with_what_to_write() {
    let refused = error(Grant::new().subscribe(["app/dev/#"]));
    assert!(refused.contains("write `app/dev/*`"), "{refused}");
    let refused = error(Grant::new().publish(["app/+/x".to_owned()]));
    assert!(refused.contains("write `app/*/x`"), "{refused}");
}

#[test]
fn times_are_five_minutes_to_a_day() {
    let seconds = Duration::from_secs;
    for good in [300, 86_400] {
        let grant = Grant::new().refresh_after(seconds(good)).disconnect_after(seconds(good));
        let answer = answer(grant).unwrap();
        assert_eq!(answer["refreshAfterInSeconds"], json!(good));
        assert_eq!(answer["disconnectAfterInSeconds"], json!(good));
    }
    let refused = error(Grant::new().refresh_after(seconds(299)));
    assert_eq!(refused, "refresh_after of 299 s is not allowed: it is 300 to 86400 s");
    let refused = error(Grant::new().disconnect_after(seconds(86_401)));
    assert!(refused.starts_with("disconnect_after of 86401 s"), "{refused}");
    let never = answer(Grant::new().never_refresh()).unwrap();
    assert!(never.get("refreshAfterInSeconds").is_none());
}

#[test]
fn documents_are_at_most_ten_of_2048_characters() {
    let with = |documents| {
        let policies = (0..documents).fold(Grant::new(), |grant, _| grant.policy(json!({})));
        answer(policies)
    };
    assert_eq!(with(9).unwrap()["policyDocuments"].as_array().unwrap().len(), 10);
    assert_eq!(with(10).unwrap_err(), GrantError::Policies(10));
    let refused = error(Grant::new().publish((0..60).map(|room| format!("chat/{room}"))));
    assert!(refused.starts_with("the policy of the grant has"), "{refused}");
    let refused = error(Grant::new().policy(json!({ "Id": "x".repeat(2048) })));
    assert!(refused.starts_with("a policy of the authorizer's has 2057 characters"), "{refused}");
}

#[test]
fn who_gives_no_principal_is_its_user_name_or_the_time() {
    let principal = |username: Option<&str>| {
        let username = username.map(str::to_owned);
        let request = ConnectRequest { username, ..ConnectRequest::default() };
        Grant::new().answer(&request, &place()).unwrap().principal_id
    };
    assert_eq!(principal(Some("ada")), "ada");
    assert_eq!(principal(Some("ada?x-amz-customauthorizer-name=chat")), "ada");
    for made_up in [principal(None), principal(Some(""))] {
        assert!(made_up.parse::<u64>().unwrap() > 1_700_000_000_000, "{made_up}");
    }
}
