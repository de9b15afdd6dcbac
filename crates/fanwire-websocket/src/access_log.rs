//! Access logs: a format with `$context.NAME` variables, parsed once, filled in for
//! each request (reference: api-gateway.md, section 16).

use std::fmt::Write as _;

use crate::event::{ApiContext, DisconnectCause, Request};
use crate::peer::Peer;
use crate::timestamp;

/// A parsed access-log format.
#[derive(Debug)]
pub(crate) struct Format {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

/// What the variables of one request stand for.
#[derive(Debug)]
pub(crate) struct Variables<'a> {
    pub(crate) api: ApiContext<'a>,
    pub(crate) peer: &'a Peer,
    pub(crate) request: &'a Request,
    pub(crate) route_key: &'a str,
    /// The status that the client, or the log, sees.
    pub(crate) status: u16,
    pub(crate) error: Option<&'a str>,
    pub(crate) integration: Option<IntegrationFigures<'a>>,
    pub(crate) cause: Option<&'a DisconnectCause>,
}

/// What is known of an integration's run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IntegrationFigures<'a> {
    pub(crate) latency_ms: u64,
    /// The status of the integration's own answer.
    pub(crate) status: u16,
    /// The function's own request id.
    pub(crate) request_id: &'a str,
}

const PREFIX: &str = "$context.";

// === impl Format ===

impl Format {
    pub(crate) fn parse(format: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = format;
        while let Some(at) = rest.find(PREFIX) {
            let (before, from) = rest.split_at(at);
            let name = &from[PREFIX.len()..];
            let end = name
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
                .unwrap_or(name.len());
            // A sentence may end in a dot that is no part of the name.
            let name = name[..end].trim_end_matches('.');
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Variable(name.to_owned()));
            rest = &from[PREFIX.len() + name.len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Self { parts }
    }

    /// One line, without its end. A value that is missing prints `-`.
    pub(crate) fn render(&self, variables: &Variables<'_>) -> String {
        let mut line = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Variable(name) => match variables.get(name) {
                    // A line break or quote from a client must not forge a log line.
                    Some(value) => value.chars().for_each(|c| escape(&mut line, c)),
                    None => line.push('-'),
                },
            }
        }
        line
    }
}

fn escape(line: &mut String, c: char) {
    match c {
        '"' | '\\' => {
            line.push('\\');
            line.push(c);
        }
        c if c.is_control() => {
            // Writing to a String cannot fail.
            let _ = write!(line, "\\u{:04x}", c as u32);
        }
        c => line.push(c),
    }
}

// === impl Variables ===

impl Variables<'_> {
    /// The value of `$context.{name}`, where there is one.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let number = |value: u64| Some(value.to_string());
        let text = |value: &str| Some(value.to_owned());
        let integration = self.integration.as_ref();
        match name {
            "apiId" => text(self.api.api_id),
            "stage" => text(self.api.stage),
            "connectedAt" => number(self.peer.connected_at),
            "connectionId" => Some(self.peer.id.to_string()),
            "domainName" => text(&self.peer.domain),
            "eventType" => text(self.request.kind.as_str()),
            "extendedRequestId" | "requestId" => text(&self.request.id),
            "messageId" => self.request.message_id.clone(),
            "requestTime" => Some(timestamp::common_log(self.request.at)),
            "requestTimeEpoch" => number(self.request.at),
            "routeKey" => text(self.route_key),
            "status" => number(self.status.into()),
            "identity.sourceIp" => Some(self.peer.source_ip.to_string()),
            "identity.userAgent" => self.peer.user_agent.as_deref().and_then(text),
            "error.message" | "error.messageString" | "integration.error" => {
                self.error.and_then(text)
            }
            "integrationLatency" | "integration.latency" => {
                integration.and_then(|figures| number(figures.latency_ms))
            }
            "integration.status" | "integration.integrationStatus" => {
                integration.and_then(|figures| number(figures.status.into()))
            }
            "integration.requestId" => integration.and_then(|figures| text(figures.request_id)),
            "disconnectStatusCode" => self.cause.and_then(|cause| number(cause.code.into())),
            "disconnectReason" => self.cause.and_then(|cause| text(&cause.reason)),
            _ => self.authorizer_value(name.strip_prefix("authorizer.")?),
        }
    }

    fn authorizer_value(&self, name: &str) -> Option<String> {
        let authorized = self.peer.authorizer.as_ref()?;
        match name {
            "principalId" => Some(authorized.principal.clone()),
            "latency" | "integrationLatency" => Some(authorized.latency_ms.to_string()),
            "status" | "integrationStatus" => Some("200".to_owned()),
            _ => {
                let context: serde_json::Value =
                    serde_json::from_str(authorized.context.get()).ok()?;
                context.get(name)?.as_str().map(str::to_owned)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_a_sentence_goes_on() {
        let format =
            Format::parse("[$context.requestTime] \"$context.eventType $context.a.b.\" $context");
        let expected = [
            Part::Text("[".to_owned()),
            Part::Variable("requestTime".to_owned()),
            Part::Text("] \"".to_owned()),
            Part::Variable("eventType".to_owned()),
            Part::Text(" ".to_owned()),
            Part::Variable("a.b".to_owned()),
            Part::Text(".\" $context".to_owned()),
        ];
        assert_eq!(format.parts, expected);
    }

    #[test]
    fn a_clients_text_cannot_forge_a_line() {
        let mut line = String::new();
        "a\"\n\\".chars().for_each(|c| escape(&mut line, c));
        assert_eq!(line, "a\\\"\\u000a\\\\");
    }
}
