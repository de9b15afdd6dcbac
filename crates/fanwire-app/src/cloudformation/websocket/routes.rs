//! Routes and authorizers.

use indexmap::IndexMap;

use crate::diagnostic::Issue;
use crate::model::{Authorizer, ConnectRules, Limits, Route};
use crate::node::Node;
use crate::rules;

use super::{Builder, Part, keys};

/// The route of handshakes, which alone can ask for something.
const CONNECT: &str = "$connect";

/// What a target begins with.
const INTEGRATIONS: &str = "integrations/";

impl<'a> Builder<'a, '_> {
    /// The routes and the authorizers that they have.
    pub(super) fn routes(
        &mut self,
        stage_variables: &IndexMap<String, String>,
        limits: &mut Limits,
        connect: &mut ConnectRules,
    ) -> (IndexMap<String, Route>, IndexMap<String, Authorizer>) {
        let mut routes: IndexMap<String, Route> = IndexMap::new();
        let mut authorizers = IndexMap::new();
        let mut timeouts = Some(Vec::new());
        for part in self.parts.of_api(self.api, "Route") {
            if !part.check(&keys::ROUTE, self.issues) {
                continue;
            }
            let key = part.text("RouteKey").unwrap_or_default();
            let place = part.place_of("RouteKey");
            rules::check_route_key(&key, place, self.issues);
            if routes.contains_key(&key) {
                let message = format!("the API `{}` has the route `{key}` already", self.api.id);
                self.issues.push(Issue::error(place, message).expected("each route once"));
                continue;
            }
            let authorizer =
                self.authorizer(part, &key, stage_variables, &mut authorizers, connect);
            let target = self.target(part);
            let timeout = target.and_then(|target| target.get("TimeoutInMillis")?.integer());
            let Some(integration) = self.integration(part, target, stage_variables) else {
                continue;
            };
            timeouts = timeouts.zip(timeout).map(|(mut all, timeout)| {
                all.push(timeout);
                all
            });
            let route_response = self.has_response(part);
            routes.insert(key, Route { integration, route_response, authorizer });
        }
        // The model has one time-out for all of an API's functions.
        let longest = timeouts.and_then(|all| all.into_iter().max());
        if let Some(longest) = longest.and_then(|longest| u64::try_from(longest).ok()) {
            limits.integration_timeout = std::time::Duration::from_millis(longest);
        }
        (routes, authorizers)
    }

    /// The integration that a route's target names, where it names one.
    fn target(&mut self, route: &Part<'_>) -> Option<&'a Part<'a>> {
        let node = route.get("Target")?;
        let text = node.scalar_text()?;
        let parts = self.parts;
        let integrations = || parts.of_api(self.api, "Integration");
        let id = text.strip_prefix(INTEGRATIONS).unwrap_or(&text);
        let found = integrations().find(|part| part.reference == id);
        if found.is_none() {
            let message = format!("`{text}` is not an integration of the API `{}`", self.api.id);
            let issue = Issue::error(node.span, message).expected("integrations/ID");
            self.issues.push(issue.nearest(id, integrations().map(|part| part.reference)));
        }
        found
    }

    /// Whether the result of a route goes back to the client, for which AWS wants both the
    /// expression and a response (reference: api-gateway.md, section 7).
    fn has_response(&mut self, route: &Part<'_>) -> bool {
        let Some(expression) = route.get("RouteResponseSelectionExpression") else { return false };
        let responses = self.parts.of_api(self.api, "RouteResponse");
        let mut own = responses
            .filter(|response| response.text("RouteId").as_deref() == Some(route.reference))
            .filter(|response| response.check(&keys::ROUTE_RESPONSE, self.issues));
        let has_one = own.next().is_some();
        if !has_one {
            let message = format!("nothing goes back to clients from `{}`", route.id);
            let help = "AWS sends a response where the route has an \
                AWS::ApiGatewayV2::RouteResponse with the key $default, too";
            self.issues.push(Issue::warning(expression.span, message).help(help));
        }
        has_one
    }

    /// The name of a route's authorizer, once it is among the authorizers.
    fn authorizer(
        &mut self,
        route: &Part<'_>,
        key: &str,
        stage_variables: &IndexMap<String, String>,
        authorizers: &mut IndexMap<String, Authorizer>,
        connect: &mut ConnectRules,
    ) -> Option<String> {
        if route.get("ApiKeyRequired").and_then(Node::boolean) == Some(true) && key == CONNECT {
            connect.api_key = true;
        }
        let kind = route.text("AuthorizationType");
        let place = route.place_of("AuthorizationType");
        match kind.as_deref() {
            Some("AWS_IAM") => {
                rules::check_authorizer_route(key, place, self.issues);
                rules::note_signatures(place, self.issues);
                connect.iam |= key == CONNECT;
                return None;
            }
            Some("NONE") => return None,
            _ => {}
        }
        let Some(node) = route.get("AuthorizerId") else {
            if kind.is_some() {
                let message = format!("the route `{key}` has no authorizer");
                self.issues.push(Issue::error(place, message).expected("AuthorizerId"));
            }
            return None;
        };
        rules::check_authorizer_route(key, node.span, self.issues);
        let id = node.scalar_text()?;
        let parts = self.parts;
        let known = || parts.of_api(self.api, "Authorizer");
        let Some(part) = known().find(|part| part.reference == id) else {
            let message = format!("`{id}` is not an authorizer of the API `{}`", self.api.id);
            let issue = Issue::error(node.span, message).expected("the id of an authorizer");
            self.issues.push(issue.nearest(&id, known().map(|part| part.reference)));
            return None;
        };
        if !part.check(&keys::AUTHORIZER, self.issues) {
            return None;
        }
        let name = part.text("Name").unwrap_or_else(|| part.id.to_owned());
        let uri = part.get("AuthorizerUri")?;
        let function = self.function(uri, stage_variables)?;
        let sources = part.get("IdentitySource");
        let sources = sources.map(|node| node.as_list().unwrap_or(std::slice::from_ref(node)));
        let identity_source = rules::identity_sources(sources.unwrap_or_default(), self.issues);
        authorizers.insert(name.clone(), Authorizer { function, identity_source });
        Some(name)
    }
}
