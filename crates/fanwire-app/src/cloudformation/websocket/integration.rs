//! What stands behind a route.

use std::time::Duration;

use indexmap::IndexMap;

use crate::diagnostic::Issue;
use crate::model::{HttpIntegration, Integration, MockIntegration};
use crate::node::Node;
use crate::rules::is_http_url;

use super::super::{PLACEHOLDERS, targets};
use super::{Builder, Part, keys};

/// The methods of a request to a backend.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// What stands around a function's ARN in the URI of an integration.
const BEFORE_ARN: &str = ":lambda:path/2015-03-31/functions/";
const AFTER_ARN: &str = "/invocations";

impl Builder<'_, '_> {
    /// What stands behind a route. `None` where it is not served, or a fault was reported.
    pub(super) fn integration(
        &mut self,
        route: &Part<'_>,
        target: Option<&Part<'_>>,
        stage_variables: &IndexMap<String, String>,
    ) -> Option<Integration> {
        let Some(part) = target else {
            if route.get("Target").is_none() {
                let message = format!("nothing stands behind the route `{}`", route.id);
                let issue = Issue::warning(route.place, message);
                self.issues.push(issue.help("give it a Target: integrations/ID"));
                // It is selected all the same.
                return Some(Integration::Mock(MockIntegration {
                    status: 200,
                    body: String::new(),
                }));
            }
            return None;
        };
        if !part.check(&keys::INTEGRATION, self.issues) {
            return None;
        }
        let kind = part.text("IntegrationType").unwrap_or_default();
        let is_private = part.text("ConnectionType").as_deref() == Some("VPC_LINK");
        match kind.as_str() {
            "AWS_PROXY" => {
                let uri = self.required(part, "IntegrationUri", "the URI of a function")?;
                if uri.scalar_text().is_some_and(|uri| is_elsewhere(&uri)) {
                    let kind = "AWS::ApiGatewayV2::Integration (a function of another stack)";
                    self.not_served.add(kind, part.id);
                    return None;
                }
                let function = self.function(uri, stage_variables)?;
                Some(Integration::Function { function })
            }
            "HTTP" | "HTTP_PROXY" if !is_private => self.http(part),
            "MOCK" => Some(self.mock(part)),
            _ => {
                let what = if is_private { "VPC_LINK" } else { &kind };
                self.not_served.add(&format!("AWS::ApiGatewayV2::Integration ({what})"), part.id);
                None
            }
        }
    }

    fn required<'n>(&mut self, part: &'n Part<'_>, key: &str, what: &str) -> Option<&'n Node> {
        let node = part.get(key);
        if node.is_none() {
            let message = format!("the integration `{}` has no {key}", part.id);
            self.issues.push(Issue::error(part.place, message).expected(what));
        }
        node
    }

    /// The function that a URI names: one of the file, or one in AWS.
    pub(super) fn function(
        &mut self,
        uri: &Node,
        stage_variables: &IndexMap<String, String>,
    ) -> Option<String> {
        let text = with_stage_variables(&uri.scalar_text()?, stage_variables);
        let arn = match text.split_once(BEFORE_ARN) {
            Some((_, rest)) => rest.strip_suffix(AFTER_ARN).unwrap_or(rest),
            None => &text,
        };
        if let Some(key) = self.stack.function_of(arn) {
            if !self.functions.contains_key(&key) {
                let message = format!("the function `{key}` is not one that Fanwire runs");
                self.issues.push(Issue::error(uri.span, message));
                return None;
            }
            return Some(key);
        }
        if !(arn.starts_with("arn:") && arn.contains(":lambda:") && arn.contains(":function:")) {
            let message = format!("`{text}` does not name a function");
            let expected = "arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/ARN\
                /invocations, with the ARN of a function such as ${NAME.Arn}";
            self.issues.push(Issue::error(uri.span, message).expected(expected));
            return None;
        }
        Some(targets::add_remote(targets::last_part(arn), arn, self.functions))
    }

    fn http(&mut self, part: &Part<'_>) -> Option<Integration> {
        let uri = self.required(part, "IntegrationUri", "a URL")?;
        let url = uri.scalar_text()?;
        if !is_http_url(&url) {
            let issue = Issue::error(uri.span, format!("`{url}` is not a URL"));
            self.issues.push(issue.expected("a URL that begins with http:// or https://"));
            return None;
        }
        let method = part.text("IntegrationMethod").unwrap_or_else(|| "POST".to_owned());
        let method = if method == "ANY" { "POST".to_owned() } else { method };
        if !METHODS.contains(&method.as_str()) {
            let place = part.place_of("IntegrationMethod");
            let issue = Issue::error(place, format!("`{method}` is not a method"));
            let issue = issue.expected(format!("one of {}", METHODS.join(", ")));
            self.issues.push(issue.nearest(&method, METHODS));
        }
        if let Some(templates) = part.get("RequestTemplates") {
            let message = "templates are not evaluated: the backend gets the message as it is";
            self.issues.push(Issue::warning(templates.span, message));
        }
        let parameters = part.get("RequestParameters").and_then(Node::as_map);
        let timeout = part.get("TimeoutInMillis").and_then(Node::integer);
        Some(Integration::Http(HttpIntegration {
            url,
            method,
            request_parameters: parameters
                .into_iter()
                .flatten()
                .filter_map(|(name, entry)| Some((name.clone(), entry.node.scalar_text()?)))
                .collect(),
            timeout: timeout.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis),
        }))
    }

    /// A fixed answer: the status that the request's template has, and the body that the
    /// template of the response for it has.
    fn mock(&mut self, part: &Part<'_>) -> Integration {
        let request = template(part, "RequestTemplates").and_then(Node::scalar_text);
        let status = request.as_deref().and_then(status_of).unwrap_or(200);
        let parts = self.parts;
        let responses: Vec<_> = parts
            .of_api(self.api, "IntegrationResponse")
            .filter(|response| response.text("IntegrationId").as_deref() == Some(part.reference))
            .filter(|response| response.check(&keys::INTEGRATION_RESPONSE, self.issues))
            .collect();
        let is_for = |response: &&&Part<'_>| {
            let key = response.text("IntegrationResponseKey").unwrap_or_default();
            key.trim_matches('/') == status.to_string()
        };
        let response = responses.iter().find(is_for).or(responses.first());
        let body = response.and_then(|response| template(response, "ResponseTemplates"));
        let text = body.and_then(Node::scalar_text).unwrap_or_default();
        if let Some(node) = body.filter(|_| is_program(&text)) {
            let message = "of templates only $input.body is evaluated; the rest is sent as it is";
            self.issues.push(Issue::warning(node.span, message));
        }
        Integration::Mock(MockIntegration { status, body: text })
    }
}

/// Whether a URI names what only AWS knows: a placeholder stands for it.
fn is_elsewhere(uri: &str) -> bool {
    let arn = uri.split_once(BEFORE_ARN).map_or(uri, |(_, rest)| rest);
    PLACEHOLDERS.iter().any(|placeholder| arn.starts_with(placeholder))
}

/// The template that an expression selects, or else the first.
fn template<'n>(part: &'n Part<'_>, key: &str) -> Option<&'n Node> {
    let templates = part.get(key)?.as_map()?;
    let selected = part.text("TemplateSelectionExpression");
    let selected = selected.as_deref().map(|text| text.trim_start_matches('\\'));
    let entry = selected
        .and_then(|name| templates.get(name))
        .or_else(|| templates.get("$default"))
        .or_else(|| templates.first().map(|(_, entry)| entry));
    entry.map(|entry| &entry.node)
}

/// The number after `"statusCode":` in a template, which may be more than JSON.
fn status_of(template: &str) -> Option<u16> {
    let (_, rest) = template.split_once("statusCode")?;
    let rest = rest.trim_start_matches(['"', '\'', ' ', ':', '\n', '\t']);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|status| (100..600).contains(status))
}

/// Whether a template has more to evaluate than the message.
fn is_program(template: &str) -> bool {
    let rest = template.replace("$input.body", "");
    ["$input", "$context", "$util", "$stageVariables", "#set", "#if", "#foreach"]
        .iter()
        .any(|piece| rest.contains(piece))
}

/// A text with the values of the stage's variables in it.
fn with_stage_variables(text: &str, variables: &IndexMap<String, String>) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{stageVariables.{name}}}"), value)
    })
}
