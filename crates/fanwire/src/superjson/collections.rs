//! Sets and maps of JavaScript.

use serde::de::Error;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ts_rs::{Config, TS, TypeVisitor};

use super::{MAP, SET, name_of};

/// A collection that is a `Set` to clients with `superjson`: of any kind, such as
/// `Set<HashSet<String>>`, or `Set<Vec<String>>` where the order counts.
///
/// ```
/// use std::collections::HashSet;
/// use fanwire::superjson::Set;
///
/// let tags = Set(HashSet::from(["new".to_owned()]));
/// assert!(tags.contains("new"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<C>(pub C);

/// A collection of pairs that is a `Map` to clients with `superjson`: of any kind, such as
/// `Map<HashMap<String, u32>>`, or `Map<Vec<(String, u32)>>` where the order counts. Keys may
/// be of any type, unlike those of a map in JSON.
///
/// ```
/// use std::collections::HashMap;
/// use fanwire::superjson::Map;
///
/// let ages = Map(HashMap::from([("ada".to_owned(), 36)]));
/// assert_eq!(ages["ada"], 36);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Map<C>(pub C);

// === impl Set ===

impl<C> std::ops::Deref for Set<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> std::ops::DerefMut for Set<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.0
    }
}

impl<C: FromIterator<T>, T> FromIterator<T> for Set<C> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<C: Serialize> Serialize for Set<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(SET, &self.0)
    }
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for Set<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        C::deserialize(deserializer).map(Self)
    }
}

impl<C: IntoIterator<Item: TS>> TS for Set<C> {
    type WithoutGenerics = Self;
    type OptionInnerType = Self;

    fn name(config: &Config) -> String {
        set_of(config, &C::Item::name(config))
    }

    fn inline(config: &Config) -> String {
        set_of(config, &C::Item::inline(config))
    }

    fn visit_dependencies(visitor: &mut impl TypeVisitor)
    where
        Self: 'static,
    {
        C::Item::visit_dependencies(visitor);
    }

    fn visit_generics(visitor: &mut impl TypeVisitor)
    where
        Self: 'static,
    {
        visit::<C::Item>(visitor);
    }
}

// === impl Map ===

impl<C> std::ops::Deref for Map<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> std::ops::DerefMut for Map<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.0
    }
}

impl<C: FromIterator<T>, T> FromIterator<T> for Map<C> {
    fn from_iter<I: IntoIterator<Item = T>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The pairs of a collection, one after the other.
struct Pairs<'a, C>(&'a C);

impl<C> Serialize for Pairs<'_, C>
where
    for<'a> &'a C: IntoIterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pairs = serializer.serialize_seq(None)?;
        for pair in self.0 {
            pairs.serialize_element(&pair)?;
        }
        pairs.end()
    }
}

impl<C> Serialize for Map<C>
where
    for<'a> &'a C: IntoIterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(MAP, &Pairs(&self.0))
    }
}

impl<'de, C, K, V> Deserialize<'de> for Map<C>
where
    C: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
    K: Deserialize<'de>,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(K, V)>::deserialize(deserializer);
        let pairs =
            pairs.map_err(|error| D::Error::custom(format!("no map, as pairs: {error}")))?;
        Ok(pairs.into_iter().collect())
    }
}

impl<C, K, V> TS for Map<C>
where
    C: IntoIterator<Item = (K, V)>,
    K: TS + 'static,
    V: TS + 'static,
{
    type WithoutGenerics = Self;
    type OptionInnerType = Self;

    fn name(config: &Config) -> String {
        map_of(config, &K::name(config), &V::name(config))
    }

    fn inline(config: &Config) -> String {
        map_of(config, &K::inline(config), &V::inline(config))
    }

    fn visit_dependencies(visitor: &mut impl TypeVisitor)
    where
        Self: 'static,
    {
        K::visit_dependencies(visitor);
        V::visit_dependencies(visitor);
    }

    fn visit_generics(visitor: &mut impl TypeVisitor)
    where
        Self: 'static,
    {
        visit::<K>(visitor);
        visit::<V>(visitor);
    }
}

fn set_of(config: &Config, item: &str) -> String {
    name_of(config, format!("Set<{item}>"), format!("Array<{item}>"))
}

fn map_of(config: &Config, key: &str, value: &str) -> String {
    name_of(config, format!("Map<{key}, {value}>"), format!("Array<[{key}, {value}]>"))
}

fn visit<T: TS + 'static>(visitor: &mut impl TypeVisitor) {
    T::visit_generics(visitor);
    visitor.visit::<T>();
}
