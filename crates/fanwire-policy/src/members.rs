//! JSON objects read with their places, refusing what would be lost silently: a second
//! `Condition` must not replace the first.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::PolicyError;

/// The members of an object, in order, each name once.
#[derive(Debug)]
pub(crate) struct Members<'j>(Vec<(String, &'j RawValue)>);

/// Members of an object: no object that is read here has a tenth of them.
const MOST_MEMBERS: usize = 100;

// === impl Members ===

impl<'j> Members<'j> {
    /// Reads an object that may have members of `known` names only.
    pub(crate) fn parse(
        json: &'j RawValue,
        path: &str,
        known: &[&str],
    ) -> Result<Self, PolicyError> {
        let members = Self::parse_any(json, path)?;
        let unknown = members.0.iter().find(|(name, _)| !known.contains(&name.as_str()));
        match unknown {
            Some((name, _)) => {
                let expected = format!("one of {}", known.join(", "));
                Err(PolicyError::new(path, format!("an unknown member {name:?}"), expected))
            }
            None => Ok(members),
        }
    }

    /// Reads an object whose members may have any names.
    pub(crate) fn parse_any(json: &'j RawValue, path: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(json.get()).map_err(|error| {
            let what = if json.get().starts_with('{') { error.to_string() } else { show(json) };
            PolicyError::new(path, what, "an object")
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'j RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = (String, &'j RawValue)> {
        self.0.into_iter()
    }
}

impl<'j> Deserialize<'j> for Members<'j> {
    fn deserialize<D: Deserializer<'j>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'j> Visitor<'j> for Object {
            type Value = Members<'j>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if members.len() == MOST_MEMBERS {
                        return Err(A::Error::custom(format_args!("over {MOST_MEMBERS} members")));
                    }
                    if members.iter().any(|(member, _)| *member == name) {
                        return Err(A::Error::custom(format_args!("{name:?} stands twice")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// One value, or the list of them.
pub(crate) fn one_or_many(json: &RawValue) -> Vec<&RawValue> {
    if json.get().starts_with('[') {
        // A raw value is JSON already, so that a list is one.
        serde_json::from_str(json.get()).unwrap_or_default()
    } else {
        vec![json]
    }
}

/// A string.
pub(crate) fn string(json: &RawValue, path: &str, expected: &str) -> Result<String, PolicyError> {
    serde_json::from_str(json.get()).map_err(|_| PolicyError::new(path, show(json), expected))
}

/// One string, or the list of them.
pub(crate) fn strings(
    json: &RawValue,
    path: &str,
    expected: &str,
) -> Result<Vec<String>, PolicyError> {
    one_or_many(json).into_iter().map(|json| string(json, path, expected)).collect()
}

/// A value for a message: its beginning.
pub(crate) fn show(json: &RawValue) -> String {
    const SHOWN: usize = 60;
    match json.get().char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &json.get()[..end]),
        None => json.get().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, known: &[&str]) -> Result<Vec<String>, String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        Members::parse(raw, "at", known)
            .map(|members| members.into_iter().map(|(name, _)| name).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn objects_are_read_in_order() {
        assert_eq!(parse(r#"{"b":1,"a":[]}"#, &["a", "b"]).unwrap(), ["b", "a"]);
    }

    #[test]
    fn an_object_has_a_size() {
        let members: Vec<_> = (0..=MOST_MEMBERS).map(|n| format!("\"{n}\":0")).collect();
        let error = parse(&format!("{{{}}}", members.join(",")), &[]).unwrap_err();
        assert!(error.contains("over 100 members"), "{error}");
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        let twice = parse(r#"{"a":1,"a":2}"#, &["a"]).unwrap_err();
        assert!(twice.contains("\"a\" stands twice"), "{twice}");
        let unknown = parse(r#"{"c":1}"#, &["a", "b"]).unwrap_err();
        assert_eq!(unknown, "at: an unknown member \"c\"; expected one of a, b");
        assert_eq!(parse("[1]", &[]).unwrap_err(), "at: [1]; expected an object");
    }
}
