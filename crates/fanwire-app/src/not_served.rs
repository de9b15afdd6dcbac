//! What a project file declares and Fanwire does not serve, as importers collect it.

use indexmap::IndexMap;

use crate::model::NotServed;

/// What is not served, by kind.
#[derive(Debug, Default)]
pub(crate) struct Kinds(IndexMap<String, Vec<String>>);

impl Kinds {
    /// Adds a kind of event or resource, and where it is declared.
    pub(crate) fn add(&mut self, kind: &str, user: &str) {
        let users = self.0.entry(kind.to_owned()).or_default();
        if !users.iter().any(|known| known == user) {
            users.push(user.to_owned());
        }
    }

    pub(crate) fn into_list(self) -> Vec<NotServed> {
        self.0.into_iter().map(|(kind, used_by)| NotServed { kind, used_by }).collect()
    }
}
