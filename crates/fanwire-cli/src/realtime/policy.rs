//! `fanwire policy test`: whether something is allowed, and which statement says so.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use fanwire_policy::{Place, PolicyLimits, PolicySet, Subject};
use fanwire_server::{describe_decision, question_of};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args::{PolicyArgs, PolicyCommand, PolicyTestArgs};
use crate::client::{self, CommandError, Server, output};

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// Where policies are tried out whose ARNs do not say: as Fanwire's own defaults.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";

/// Tries a policy out.
pub(crate) fn run(args: &PolicyArgs) -> ExitCode {
    let PolicyCommand::Test(args) = &args.command;
    client::run(async {
        let answer = if args.policies.is_empty() { ask(args).await? } else { decide(args)? };
        let allowed = answer["allowed"] == true;
        output(&if args.json { format!("{answer}\n") } else { described(&answer) })?;
        Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Asks the running server.
async fn ask(args: &PolicyTestArgs) -> Result<Value, CommandError> {
    let question = json!({
        "action": args.action.name(),
        "resource": args.resource,
        "of": args.of,
        "clientId": args.client,
        "sourceIp": args.source_ip,
        "authorizer": args.authorizer,
        "token": args.token,
        "signature": args.signature,
        "username": args.username,
        "password": args.password,
    });
    let server = Server::find(&args.server)?;
    let path = "/_fanwire/policy";
    let answer = server.send("POST", path, &[], question.to_string()).await?;
    answer.expect_success(path)?.json()
}

/// Decides by the files alone.
fn decide(args: &PolicyTestArgs) -> Result<Value, CommandError> {
    let mut documents = Vec::new();
    let mut principal = args.principal.clone();
    for path in &args.policies {
        let text = fs::read_to_string(path)
            .map_err(|source| CommandError::File { path: path.clone(), source })?;
        let found = Documents::read(path, &text)?;
        documents.extend(found.documents);
        principal = principal.or(found.principal);
    }
    let place = documents.iter().find_map(|document| place_of(document.get()));
    let place = place.unwrap_or_else(|| Place::new("aws", REGION, ACCOUNT));
    let borrowed: Vec<&RawValue> = documents.iter().map(|document| &**document).collect();
    let set = PolicySet::parse(&borrowed, &place, PolicyLimits::LAX)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    for note in set.notes() {
        anstream::eprintln!("note: {note}");
    }
    let name = args.action.name();
    let (action, resource) = question_of(name, &args.resource)
        .ok_or_else(|| CommandError::Usage(format!("`{name}` is not an action")))?;
    let of_connect = (name == CONNECT).then_some(args.resource.as_str());
    let subject = Subject {
        client_id: args.client.as_deref().or(of_connect).unwrap_or("policy-test"),
        source_ip: Some(args.source_ip),
        principal: principal.as_deref(),
        ..Subject::default()
    };
    let decision = Arc::new(set).bind(&subject).explain(action, resource);
    let mut answer = describe_decision(&decision);
    answer["principal"] = json!(principal);
    Ok(answer)
}

/// The action whose resource is a client.
const CONNECT: &str = "iot:Connect";

/// The policy documents of a file, and the principal where it is an authorizer's answer.
struct Documents {
    documents: Vec<Box<RawValue>>,
    principal: Option<String>,
}

/// What an authorizer answers, as far as it matters.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    policy_documents: Vec<Box<RawValue>>,
    principal_id: Option<String>,
}

impl Documents {
    /// Reads a document, a list of them, or what an authorizer answers.
    fn read(path: &Path, text: &str) -> Result<Self, CommandError> {
        let wrong =
            |error: serde_json::Error| CommandError::Usage(format!("{}: {error}", path.display()));
        let value: Value = serde_json::from_str(text).map_err(wrong)?;
        if value.get("policyDocuments").is_some() {
            let answer: Answer = serde_json::from_str(text).map_err(wrong)?;
            let principal = answer.principal_id;
            return Ok(Self { documents: answer.policy_documents, principal });
        }
        let documents = if value.is_array() {
            serde_json::from_str(text).map_err(wrong)?
        } else {
            vec![serde_json::from_str(text).map_err(wrong)?]
        };
        Ok(Self { documents, principal: None })
    }
}

/// The partition, region and account of the first ARN that has them: the documents were
/// written for there.
fn place_of(text: &str) -> Option<Place> {
    let (_, rest) = text.split_once("arn:")?;
    let end = rest.find('"').unwrap_or(rest.len());
    let mut parts = rest[..end].split(':');
    let partition = parts.next()?;
    let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if service == "iot" && [partition, region, account].into_iter().all(plain) {
        return Some(Place::new(partition, region, account));
    }
    place_of(rest)
}

/// The answer for people.
fn described(answer: &Value) -> String {
    if let Some(why) = answer["refused"].as_str() {
        return format!("{RED}not let in{RED:#}: {why}\n");
    }
    let (color, word) =
        if answer["allowed"] == true { (GREEN, "allowed") } else { (RED, "denied") };
    let principal = answer["principal"].as_str().filter(|principal| !principal.is_empty());
    let who = principal.map_or_else(String::new, |principal| format!(" for {principal}"));
    let text = answer["explanation"].as_str().unwrap_or_default();
    format!("{color}{word}{color:#}{who}\n{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Documents {
        Documents::read(Path::new("p.json"), text).ok().unwrap()
    }

    #[test]
    fn a_file_is_a_document_or_a_list_or_an_authorizers_answer() {
        assert_eq!(documents(r#"{"Statement":[]}"#).documents.len(), 1);
        assert_eq!(documents(r#"[{"Statement":[]},"{}"]"#).documents.len(), 2);
        let answer = documents(r#"{"principalId":"ada","policyDocuments":[{"Statement":[]}]}"#);
        assert_eq!((answer.documents.len(), answer.principal.as_deref()), (1, Some("ada")));
    }

    #[test]
    fn documents_hold_where_they_were_written_for() {
        let arn = r#"{"Resource":"arn:aws:iot:eu-west-1:111122223333:topic/a"}"#;
        let place = Some(Place::new("aws", "eu-west-1", "111122223333"));
        assert_eq!(place_of(arn), place);
        let later = format!(r#"["arn:aws:iot:*:*:topic/x","arn:aws:s3:::b",{arn}]"#);
        assert_eq!(place_of(&later), place);
        assert_eq!(place_of(r#"{"Resource":"*"}"#), None);
    }
}
