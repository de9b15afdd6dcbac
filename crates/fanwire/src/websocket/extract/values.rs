//! Text values by name, read into types: a query, an authorizer's context.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{CowStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Why values do not fit a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault(String);

/// Reads values into a type with names: a struct or a map. A name that comes several times
/// is a list, or where one value is wanted, the last.
pub(super) fn from_pairs<'a, T, V>(
    pairs: impl IntoIterator<Item = (&'a str, V)>,
) -> Result<T, Fault>
where
    T: DeserializeOwned,
    V: Into<Cow<'a, str>>,
{
    let mut named: Vec<(&str, Vec<Cow<'a, str>>)> = Vec::new();
    for (name, value) in pairs {
        match named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.into()),
            None => named.push((name, vec![value.into()])),
        }
    }
    let fields = named.into_iter().map(|(name, values)| (name, Field { name, values }));
    T::deserialize(MapDeserializer::<_, Fault>::new(fields))
}

/// The values of one name: at least one.
struct Field<'a> {
    name: &'a str,
    values: Vec<Cow<'a, str>>,
}

/// One value.
struct Text<'a> {
    name: &'a str,
    value: Cow<'a, str>,
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

// === impl Field ===

impl<'de> IntoDeserializer<'de, Fault> for Field<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'a> Field<'a> {
    fn last(mut self) -> Text<'a> {
        Text { name: self.name, value: self.values.pop().unwrap_or_default() }
    }
}

/// Has the last value read by what reads one.
macro_rules! last {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.last().$method(visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Field<'_> {
    type Error = Fault;

    last! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_unit deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let name = self.name;
        let values = self.values.into_iter().map(|value| Text { name, value });
        visitor.visit_seq(SeqDeserializer::new(values))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.last().deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.last().deserialize_enum(name, variants, visitor)
    }
}

// === impl Text ===

impl<'de> IntoDeserializer<'de, Fault> for Text<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Parses the text for the types that are written as it is.
macro_rules! parsed {
    ($($method:ident $visit:ident $what:literal),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.value.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Fault(format!("`{}` is not {}: `{}`", self.name, $what, self.value))),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for Text<'_> {
    type Error = Fault;

    parsed! {
        deserialize_bool visit_bool "true or false",
        deserialize_i8 visit_i8 "a whole number of its size",
        deserialize_i16 visit_i16 "a whole number of its size",
        deserialize_i32 visit_i32 "a whole number of its size",
        deserialize_i64 visit_i64 "a whole number of its size",
        deserialize_i128 visit_i128 "a whole number of its size",
        deserialize_u8 visit_u8 "a whole number of its size",
        deserialize_u16 visit_u16 "a whole number of its size",
        deserialize_u32 visit_u32 "a whole number of its size",
        deserialize_u64 visit_u64 "a whole number of its size",
        deserialize_u128 visit_u128 "a whole number of its size",
        deserialize_f32 visit_f32 "a number",
        deserialize_f64 visit_f64 "a number",
        deserialize_char visit_char "one character"
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.value.into_owned())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    /// A variant without values, by its name.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let text: CowStrDeserializer<'_, Fault> = self.value.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit_struct seq tuple tuple_struct map struct identifier
    }
}
