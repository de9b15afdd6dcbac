//! The tags and topics that a connection begins with.

use fanwire_app::model::WebSocketApi;

use crate::groups::{Group, GroupError};
use crate::peer::Peer;

/// The header of a `$connect` handler's answer that gives the connection tags, separated by
/// commas.
const TAGS: &str = "Fanwire-Tags";

/// The header of a `$connect` handler's answer that subscribes the connection to topics,
/// separated by commas.
const TOPICS: &str = "Fanwire-Topics";

/// What makes a group of its name.
type Make = fn(&str) -> Result<Group, GroupError>;

/// Takes what is for us out of the headers of `$connect`'s answer, and adds what the API has
/// for every connection. Says also what cannot be had, and why.
pub(crate) fn of(
    model: &WebSocketApi,
    peer: &Peer,
    headers: &mut Vec<(String, String)>,
) -> (Vec<Group>, Vec<String>) {
    let mut found: Vec<Result<Group, String>> = Vec::new();
    headers.retain(|(name, value)| {
        let make: Make = match name {
            name if name.eq_ignore_ascii_case(TAGS) => Group::tag,
            name if name.eq_ignore_ascii_case(TOPICS) => Group::topic,
            _ => return true,
        };
        let names = value.split(',').map(str::trim).filter(|text| !text.is_empty());
        found.extend(
            names.map(|text| make(text).map_err(|error| format!("`{text}` in {name}: {error}"))),
        );
        false
    });
    let principal = peer.authorizer.as_ref().map(|authorized| authorized.principal.as_str());
    for template in &model.topics {
        found.extend(own_topic(template, &peer.id.to_string(), principal).transpose());
    }
    let (groups, wrong): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    (groups.into_iter().flatten().collect(), wrong.into_iter().filter_map(Result::err).collect())
}

/// The topic that a template of the API stands for. `None` where it asks for a principal
/// and the connection has none.
fn own_topic(
    template: &str,
    connection: &str,
    principal: Option<&str>,
) -> Result<Option<Group>, String> {
    let mut filter = template.replace("${connectionId}", connection);
    if filter.contains(PRINCIPAL) {
        let Some(principal) = principal else { return Ok(None) };
        // A name is one level: it must not give away the topics of others.
        if principal.is_empty() || principal.contains(['/', '+', '#']) {
            return Err(format!("the principal `{principal}` cannot stand in `{template}`"));
        }
        filter = filter.replace(PRINCIPAL, principal);
    }
    let group = Group::topic(&filter);
    group.map(Some).map_err(|error| format!("the API's topic `{template}`: {error}"))
}

/// What stands for the connection's principal.
const PRINCIPAL: &str = "${principalId}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_the_api_has_its_variables_filled_in() {
        let topic = |template, principal| own_topic(template, "c=", principal);
        let group = |filter| Ok(Some(Group::topic(filter).unwrap()));
        assert_eq!(topic("chat/${connectionId}", None), group("chat/c="));
        assert_eq!(topic("user/${principalId}/#", Some("ada")), group("user/ada/#"));
        assert_eq!(topic("user/${principalId}", None), Ok(None));
        for principal in ["", "#", "+", "a/b"] {
            assert!(topic("user/${principalId}", Some(principal)).is_err(), "{principal}");
        }
        assert!(topic("a#", None).is_err());
    }
}
