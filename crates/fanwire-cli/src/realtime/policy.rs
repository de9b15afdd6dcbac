//! `fanwire policy test`: whether a client may do something, and which statement decides.

use std::process::ExitCode;
use std::sync::Arc;

use fanwire_policy::{Access, Action, Decision, Place, PolicyLimits, PolicySet, Resource, Subject};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args::{ActionArg, PolicyArgs, PolicyCommand, PolicyTestArgs};
use crate::client::{self, CommandError, output};

/// The client id where neither the command line nor the action names one.
const CLIENT: &str = "policy-test";

/// Decides.
pub(crate) fn run(args: &PolicyArgs) -> ExitCode {
    let PolicyCommand::Test(args) = &args.command;
    client::run(async {
        if args.policies.is_empty() {
            let what = "expected --policy FILE";
            return Err(CommandError::Usage(what.to_owned()));
        }
        let decision = decide_by_files(args)?;
        output(&shown(&decision, args.json))?;
        Ok(if decision.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// What the given documents say.
fn decide_by_files(args: &PolicyTestArgs) -> Result<Decision, CommandError> {
    let mut texts = Vec::new();
    for path in &args.policies {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CommandError::File { path: path.clone(), source })?;
        let documents = documents(&text)
            .map_err(|error| CommandError::Usage(format!("{}: {error}", path.display())))?;
        texts.extend(documents);
    }
    let (action, resource) = asked(args);
    let access = access(&texts, args)?;
    Ok(access.explain(action, resource))
}

/// The policy documents in a file: one, a list of them, or those that an authorizer
/// answers.
fn documents(text: &str) -> Result<Vec<Box<RawValue>>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        policy_documents: Vec<Box<RawValue>>,
    }
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text);
    }
    match serde_json::from_str::<Answer>(text) {
        Ok(answer) => Ok(answer.policy_documents),
        Err(_) => Ok(vec![serde_json::from_str(text)?]),
    }
}

fn access(documents: &[Box<RawValue>], args: &PolicyTestArgs) -> Result<Access, CommandError> {
    let place = documents.iter().find_map(|document| place_of(document.get()));
    let place = place.unwrap_or_else(|| Place::new("aws", "us-east-1", "000000000000"));
    let documents: Vec<&RawValue> = documents.iter().map(|document| &**document).collect();
    let set = PolicySet::parse(&documents, &place, PolicyLimits::LAX)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    for note in set.notes() {
        anstream::eprintln!("note: {note}");
    }
    let subject = Subject {
        client_id: client_id(args),
        source_ip: Some(args.source_ip),
        principal: args.principal.as_deref(),
        ..Subject::default()
    };
    Ok(Arc::new(set).bind(&subject))
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

/// What is to be decided.
fn asked(args: &PolicyTestArgs) -> (Action, Resource<'_>) {
    let resource = args.resource.as_str();
    match args.action {
        ActionArg::Connect => (Action::Connect, Resource::Client(resource)),
        ActionArg::Publish => (Action::Publish, Resource::Topic(resource)),
        ActionArg::RetainPublish => (Action::RetainPublish, Resource::Topic(resource)),
        ActionArg::Subscribe => (Action::Subscribe, Resource::TopicFilter(resource)),
        ActionArg::Receive => (Action::Receive, Resource::Topic(resource)),
    }
}

/// The client id that the client has.
fn client_id(args: &PolicyTestArgs) -> &str {
    match (&args.client, args.action) {
        (Some(id), _) => id,
        (None, ActionArg::Connect) => &args.resource,
        (None, _) => CLIENT,
    }
}

/// A decision for people, or for programs.
fn shown(decision: &Decision, as_json: bool) -> String {
    if !as_json {
        return format!("{decision}\n");
    }
    let statement = decision.statement.as_ref().map(|statement| {
        json!({
            "document": statement.document,
            "index": statement.index,
            "sid": statement.sid,
            "name": statement.name,
        })
    });
    let value: Value = json!({
        "allowed": decision.allowed,
        "action": decision.action.name(),
        "resource": decision.resource,
        "statement": statement,
        "wouldHaveAllowed": decision.would_have_allowed,
        "explanation": decision.to_string(),
    });
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:eu-west-1:111122223333:topic/a"}}"#;

    #[test]
    fn a_file_has_documents_or_an_answer() {
        let count = |text: &str| documents(text).map(|found| found.len()).unwrap_or(0);
        assert_eq!(count(DOCUMENT), 1);
        assert_eq!(count(&format!("[{DOCUMENT},{DOCUMENT}]")), 2);
        let answer = json!({ "isAuthenticated": true, "policyDocuments": [DOCUMENT, DOCUMENT] });
        assert_eq!(count(&answer.to_string()), 2);
        assert!(documents("{").is_err());
    }

    #[test]
    fn documents_hold_where_they_were_written_for() {
        let place = Some(Place::new("aws", "eu-west-1", "111122223333"));
        assert_eq!(place_of(DOCUMENT), place);
        let later = format!(r#"["arn:aws:iot:*:*:topic/x","arn:aws:s3:::b",{DOCUMENT}]"#);
        assert_eq!(place_of(&later), place);
        assert_eq!(place_of(r#"{"Resource":"*"}"#), None);
    }
}
