//! The actions of IoT policies, and sets of them.

use std::fmt;

use crate::glob::Glob;

/// What a client, or a caller of the data plane's HTTP API, wants to do
/// (reference: iot.md section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// To connect with a client id. Resource: the client.
    Connect,
    /// To publish, the will included. Resource: the topic.
    Publish,
    /// To publish with RETAIN set, beside [`Publish`](Self::Publish). Resource: the topic.
    RetainPublish,
    /// To subscribe. Resource: the topic filter, shared ones with their `$share/GROUP/`.
    Subscribe,
    /// To be delivered a message. Resource: the message's topic.
    Receive,
    /// To read a topic's retained message over HTTP. Resource: the topic.
    GetRetainedMessage,
    /// To list retained messages over HTTP. Resource: every resource.
    ListRetainedMessages,
    /// To close a client's connection over HTTP. Resource: the client.
    DeleteConnection,
    /// To look at a client's connection over HTTP. Resource: the client.
    GetConnection,
    /// To list a client's subscriptions over HTTP. Resource: the client.
    ListSubscriptions,
    /// To send to one client, whatever it is subscribed to. Resource: the client.
    SendDirectMessage,
    /// To read a thing's shadow. Resource: the thing.
    GetThingShadow,
    /// To write a thing's shadow. Resource: the thing.
    UpdateThingShadow,
    /// To delete a thing's shadow. Resource: the thing.
    DeleteThingShadow,
    /// To list a thing's named shadows. Resource: the thing.
    ListNamedShadowsForThing,
}

/// Some of the actions: what `Action` or `NotAction` of a statement comes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct ActionSet(u16);

// === impl Action ===

impl Action {
    /// Every action.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::Publish,
        Self::RetainPublish,
        Self::Subscribe,
        Self::Receive,
        Self::GetRetainedMessage,
        Self::ListRetainedMessages,
        Self::DeleteConnection,
        Self::GetConnection,
        Self::ListSubscriptions,
        Self::SendDirectMessage,
        Self::GetThingShadow,
        Self::UpdateThingShadow,
        Self::DeleteThingShadow,
        Self::ListNamedShadowsForThing,
    ];

    /// The name in a policy, such as `iot:Publish`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "iot:Connect",
            Self::Publish => "iot:Publish",
            Self::RetainPublish => "iot:RetainPublish",
            Self::Subscribe => "iot:Subscribe",
            Self::Receive => "iot:Receive",
            Self::GetRetainedMessage => "iot:GetRetainedMessage",
            Self::ListRetainedMessages => "iot:ListRetainedMessages",
            Self::DeleteConnection => "iot:DeleteConnection",
            Self::GetConnection => "iot:GetConnection",
            Self::ListSubscriptions => "iot:ListSubscriptions",
            Self::SendDirectMessage => "iot:SendDirectMessage",
            Self::GetThingShadow => "iot:GetThingShadow",
            Self::UpdateThingShadow => "iot:UpdateThingShadow",
            Self::DeleteThingShadow => "iot:DeleteThingShadow",
            Self::ListNamedShadowsForThing => "iot:ListNamedShadowsForThing",
        }
    }

    /// The action of a name, with or without `iot:` and in any case.
    pub fn of_name(name: &str) -> Option<Self> {
        let bare = |name: &str| {
            let prefix = name.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case("iot:"));
            prefix.map_or(0, str::len)
        };
        let wanted = &name[bare(name)..];
        Self::ALL.into_iter().find(|action| action.name()[4..].eq_ignore_ascii_case(wanted))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl ActionSet ===

impl ActionSet {
    /// The actions that a pattern such as `iot:*` names, in any case (IAM's rule).
    pub(crate) fn of_pattern(pattern: &str) -> Self {
        let glob = Glob::parse(&pattern.to_ascii_lowercase());
        let named = |action: &Action| glob.matches(&action.name().to_ascii_lowercase());
        Self::of(Action::ALL.into_iter().filter(named))
    }

    pub(crate) fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        Self(actions.into_iter().fold(0, |bits, action| bits | 1 << action as u16))
    }

    pub(crate) const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u16) != 0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Every action that is not in the set.
    pub(crate) fn complement(self) -> Self {
        Self::of(Action::ALL.into_iter().filter(|action| !self.contains(*action)))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl fmt::Debug for ActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_actions_in_any_case() {
        let named = |pattern| ActionSet::of_pattern(pattern).iter().collect::<Vec<_>>();
        assert_eq!(named("iot:*"), Action::ALL);
        assert_eq!(named("*"), Action::ALL);
        assert_eq!(named("IOT:publish"), [Action::Publish]);
        assert_eq!(named("iot:*Publish"), [Action::Publish, Action::RetainPublish]);
        assert_eq!(named("iot:R?ceive"), [Action::Receive]);
        assert_eq!(named("s3:*"), []);
        assert_eq!(named("iot:DescribeEndpoint"), []);
    }

    #[test]
    fn a_complement_is_everything_else() {
        let others = ActionSet::of_pattern("iot:Connect").complement();
        assert!(!others.contains(Action::Connect));
        assert_eq!(others.iter().count(), Action::ALL.len() - 1);
        assert_eq!(others.with(others.complement()).iter().count(), Action::ALL.len());
    }

    #[test]
    fn an_action_is_found_by_its_name() {
        assert_eq!(Action::of_name("iot:Publish"), Some(Action::Publish));
        assert_eq!(Action::of_name("subscribe"), Some(Action::Subscribe));
        assert_eq!(Action::of_name("iot:é"), None);
        assert_eq!(Action::of_name(""), None);
    }
}
