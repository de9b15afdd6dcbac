//! Reading some members of a JSON object, as JavaScript would: others are ignored, and of
//! several with one name the last counts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The members of these names of the object that `json` is. Says why where it is no JSON, or no object.
pub(super) fn members<'a, const N: usize>(
    json: &'a str,
    names: [&str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    read(json, Members { names })
}

/// The first elements of the array that `json` is, at most `limit`, and how many there are.
pub(super) fn elements(
    json: &str,
    limit: usize,
) -> Result<(Vec<&RawValue>, usize), serde_json::Error> {
    read(json, Elements { limit })
}

/// The string that `json` is, borrowed where no escape stands in it.
pub(super) fn string(json: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = json.get();
    let plain = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if plain.contains('\\') {
        // Half of a surrogate pair is a string to JavaScript and none to us.
        return serde_json::from_str(quoted).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(plain))
}

fn read<'a, S: DeserializeSeed<'a>>(json: &'a str, seed: S) -> Result<S::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct Members<'n, const N: usize> {
    names: [&'n str; N],
}

impl<'a, const N: usize> DeserializeSeed<'a> for Members<'_, N> {
    type Value = [Option<&'a RawValue>; N];

    fn deserialize<D: serde::Deserializer<'a>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'a, const N: usize> Visitor<'a> for Members<'_, N> {
    type Value = [Option<&'a RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(position) = map.next_key_seed(Position { names: &self.names })? {
            match found.get_mut(position) {
                Some(place) => *place = Some(map.next_value()?),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(found)
    }
}

/// Where a key stands among the names; `usize::MAX` where it is none of them.
struct Position<'n> {
    names: &'n [&'n str],
}

impl<'a> DeserializeSeed<'a> for Position<'_> {
    type Value = usize;

    fn deserialize<D: serde::Deserializer<'a>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Position<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<usize, E> {
        Ok(self.names.iter().position(|name| *name == key).unwrap_or(usize::MAX))
    }
}

struct Elements {
    limit: usize,
}

impl<'a> DeserializeSeed<'a> for Elements {
    type Value = (Vec<&'a RawValue>, usize);

    fn deserialize<D: serde::Deserializer<'a>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Elements {
    type Value = (Vec<&'a RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut first = Vec::new();
        while first.len() < self.limit {
            match seq.next_element()? {
                Some(element) => first.push(element),
                None => {
                    let count = first.len();
                    return Ok((first, count));
                }
            }
        }
        let mut count = first.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count = count.checked_add(1).ok_or_else(|| A::Error::custom("too long"))?;
        }
        Ok((first, count))
    }
}
