//! The topic rules and authorizers of AWS IoT among the resources, as the realtime
//! endpoint.

use indexmap::IndexMap;

use crate::decode::{Table, check, refuse};
use crate::diagnostic::{Issue, Issues};
use crate::model::{Function, Profile, Realtime, RealtimeAuthorizer, SqlVersion, TopicRule};
use crate::node::{Entry, Map, Node};
use crate::not_served::Kinds;
use crate::rules::realtime as checks;

use super::{Stack, keys, targets, type_of};

/// The types that are served here.
const RULE: &str = "AWS::IoT::TopicRule";
const AUTHORIZER: &str = "AWS::IoT::Authorizer";
const DOMAIN: &str = "AWS::IoT::DomainConfiguration";

/// Whether a type of resource is a part of the realtime endpoint.
pub(crate) fn is_part(kind: &str) -> bool {
    [RULE, AUTHORIZER, DOMAIN].contains(&kind)
}

/// The endpoint as far as it was found.
pub(crate) struct Parts<'a> {
    pub(crate) stack: &'a Stack,
    /// Gets a function for each that is in AWS.
    pub(crate) functions: &'a mut IndexMap<String, Function>,
    pub(crate) not_served: &'a mut Kinds,
    pub(crate) realtime: Realtime,
    pub(crate) issues: &'a mut Issues,
}

impl<'a> Parts<'a> {
    /// Nothing so far.
    pub(crate) fn new(
        stack: &'a Stack,
        profile: Profile,
        functions: &'a mut IndexMap<String, Function>,
        not_served: &'a mut Kinds,
        issues: &'a mut Issues,
    ) -> Self {
        Self { stack, functions, not_served, realtime: Realtime::new(profile), issues }
    }

    /// Takes the topic rules and authorizers among the resources in. Those that cannot be
    /// read are warned of, and do not exist here.
    pub(crate) fn resources(&mut self, resources: &Map) {
        for (id, entry) in resources {
            self.resource(id, entry);
        }
        // Once all authorizers are known.
        for (_, entry) in resources.iter().filter(|(_, entry)| type_of(&entry.node) == DOMAIN) {
            self.domain(&entry.node);
        }
    }

    /// The endpoint, where there is a topic rule or an authorizer.
    pub(crate) fn finish(self) -> Option<Realtime> {
        let realtime = self.realtime;
        let is_empty = realtime.rules.is_empty() && realtime.authorizers.is_empty();
        (!is_empty).then_some(realtime)
    }

    /// Adds a rule under a name of its own.
    pub(crate) fn add_rule(&mut self, name: String, rule: TopicRule, named: &Node) {
        add_rule(&mut self.realtime, name, rule, named, self.issues);
    }

    fn resource(&mut self, id: &str, entry: &Entry) {
        let mut faults = Issues::default();
        let what = match type_of(&entry.node) {
            RULE => {
                self.rule(id, entry, &mut faults);
                "topic rule"
            }
            AUTHORIZER => {
                self.authorizer(id, entry, &mut faults);
                "authorizer"
            }
            _ => return,
        };
        self.issues.take_as_warnings(faults, &format!("; the {what} `{id}` does not exist here"));
    }

    /// The properties of a resource without functions, where a table allows them.
    fn properties(
        &self,
        entry: &Entry,
        table: &'static Table,
        faults: &mut Issues,
    ) -> Option<Node> {
        let Some(properties) = entry.node.get("Properties") else {
            faults.push(Issue::error(entry.key, "it has no Properties"));
            return None;
        };
        let properties = self.stack.resolved(properties);
        let mut found = Issues::default();
        check(&properties, table, &mut found);
        let is_wrong = found.has_errors();
        faults.append(found);
        (!is_wrong).then_some(properties)
    }

    /// The name that references to a resource give.
    fn name(&self, id: &str) -> String {
        let resource = self.stack.resources.get(id);
        resource.map_or_else(|| id.to_owned(), |resource| resource.reference.clone())
    }

    /// An `AWS::IoT::TopicRule`, with a rule of ours for each Lambda action.
    fn rule(&mut self, id: &str, entry: &Entry, faults: &mut Issues) -> Option<()> {
        let properties = self.properties(entry, &keys::TOPIC_RULE, faults)?;
        let payload = properties.get("TopicRulePayload")?;
        let text = |key: &str| payload.get(key).and_then(Node::scalar_text);
        let (sql, place) = (text("Sql")?, payload.get("Sql")?.span);
        checks::check_sql(&sql, place, faults);
        let error_function =
            payload.get("ErrorAction").and_then(|action| self.action(id, action, faults));
        let actions = payload.get("Actions").and_then(Node::as_list).unwrap_or_default();
        let functions: Vec<_> =
            actions.iter().filter_map(|action| self.action(id, action, faults)).collect();
        if faults.has_errors() {
            return None;
        }
        for (at, function) in functions.into_iter().enumerate() {
            let rule = TopicRule {
                sql: sql.clone(),
                sql_version: sql_version(text("AwsIotSqlVersion").as_deref()),
                function,
                error_function: error_function.clone(),
                enabled: !payload.get("RuleDisabled").and_then(Node::boolean).unwrap_or(false),
            };
            let name = self.name(id);
            // A Basic Ingest topic names the first.
            let name = if at == 0 { name } else { format!("{name}_{}", at + 1) };
            add_rule(&mut self.realtime, name, rule, &entry.node, faults);
        }
        Some(())
    }

    /// The function that an action calls; other actions are not served.
    fn action(&mut self, id: &str, action: &Node, faults: &mut Issues) -> Option<String> {
        for kind in action.as_map()?.keys().filter(|kind| *kind != "Lambda") {
            self.not_served.add(&format!("{RULE} ({kind})"), id);
        }
        self.function(action.get("Lambda")?.get("FunctionArn")?, faults)
    }

    /// The function that an ARN names.
    fn function(&mut self, node: &Node, faults: &mut Issues) -> Option<String> {
        let Some(arn) = node.scalar_text().filter(|arn| arn.starts_with("arn:")) else {
            refuse(node, "text that begins with arn:", faults);
            return None;
        };
        match self.stack.function_of(&arn) {
            Some(key) if self.functions.contains_key(&key) => Some(key),
            Some(key) => {
                let message = format!("the function `{key}` is not run");
                faults.push(Issue::error(node.span, message));
                None
            }
            None => Some(targets::add_remote(targets::last_part(&arn), &arn, self.functions)),
        }
    }

    fn authorizer(&mut self, id: &str, entry: &Entry, faults: &mut Issues) -> Option<()> {
        let properties = self.properties(entry, &keys::IOT_AUTHORIZER, faults)?;
        let text = |key: &str| properties.get(key).and_then(Node::scalar_text);
        if text("Status").as_deref() == Some("INACTIVE") {
            return None;
        }
        let function = self.function(properties.get("AuthorizerFunctionArn")?, faults)?;
        let unsigned = properties.get("SigningDisabled").and_then(Node::boolean).unwrap_or(false);
        let keys = properties.get("TokenSigningPublicKeys").and_then(Node::as_map);
        let mut public_keys = Vec::new();
        for (name, key) in keys.into_iter().flatten().filter(|_| !unsigned) {
            let pem = key.node.scalar_text().unwrap_or_default();
            if let Err(fault) = checks::check_public_key(&pem) {
                let issue = Issue::error(key.node.span, format!("the key `{name}` {fault}"));
                faults.push(issue.expected(checks::PUBLIC_KEY));
                return None;
            }
            public_keys.push(pem);
        }
        let token_key = text("TokenKeyName");
        if !unsigned && (public_keys.is_empty() || token_key.is_none()) {
            let issue = Issue::error(entry.key, "it has no key that tokens are signed with");
            let expected = "TokenKeyName and TokenSigningPublicKeys, or SigningDisabled: true";
            faults.push(issue.expected(expected));
            return None;
        }
        let authorizer = RealtimeAuthorizer { function, token_key, public_keys };
        self.realtime.authorizers.insert(self.name(id), authorizer);
        Some(())
    }

    /// A domain configuration may say which authorizer clients get that name none.
    fn domain(&mut self, node: &Node) {
        let Some(name) = node.at(&["Properties", "AuthorizerConfig", "DefaultAuthorizerName"])
        else {
            return;
        };
        // What cannot be evaluated is none, as on a domain without.
        let name = self.stack.text(name, &mut Issues::default());
        let known = name.filter(|name| self.realtime.authorizers.contains_key(name));
        self.realtime.default_authorizer = known.or(self.realtime.default_authorizer.take());
    }
}

/// Adds a rule under a name of its own.
fn add_rule(
    realtime: &mut Realtime,
    name: String,
    rule: TopicRule,
    named: &Node,
    issues: &mut Issues,
) {
    checks::check_rule_name(&name, named.span, issues);
    if let Some(known) = realtime.rules.get(&name) {
        let message =
            format!("the topic rule `{name}` calls the function `{}` already", known.function);
        issues.push(Issue::error(named.span, message).expected("a name of its own for each rule"));
        return;
    }
    realtime.rules.insert(name, rule);
}

/// The version of the language; AWS's default is the first. What `beta` adds is added to
/// the newest here.
pub(crate) fn sql_version(given: Option<&str>) -> SqlVersion {
    match given {
        Some("2016-03-23" | "beta") => SqlVersion::V2016_03_23,
        _ => SqlVersion::V2015_10_08,
    }
}
