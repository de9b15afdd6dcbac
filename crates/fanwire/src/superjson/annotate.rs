//! What `superjson` is told of a value: which parts of it are what JSON has no word for.
//!
//! A value is walked a second time, by a serializer that writes nothing but that: the tree
//! that `superjson` calls `meta.values` (paths as in its format 1). Most values have none, and
//! then nothing is allocated.

use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Error, Result, Value};

use super::{BIG_INT, DATE, MAP, SET};

/// The `meta.values` of a value. `None`: all of it is JSON.
///
/// # Errors
///
/// Where it cannot be serialized.
pub(crate) fn annotations<T: Serialize + ?Sized>(value: &T) -> Result<Option<Box<RawValue>>> {
    value.serialize(Walk)?.map(RawValue::from_string).transpose()
}

/// The tree of a part, as JSON. `None`: it is JSON itself.
type Tree = Option<String>;

struct Walk;

/// The parts of a value, and the trees of those that have one.
struct Parts {
    /// `"key":tree` of each, with commas between.
    members: String,
    /// How many elements of a sequence there were.
    count: usize,
    /// The key whose value comes next.
    key: Option<String>,
    /// The variant of an enum that they are in.
    variant: Option<&'static str>,
}

// === impl Parts ===

impl Parts {
    fn new(variant: Option<&'static str>) -> Self {
        Self { members: String::new(), count: 0, key: None, variant }
    }

    fn member(&mut self, key: &str, tree: Tree) {
        let Some(tree) = tree else { return };
        if !self.members.is_empty() {
            self.members.push(',');
        }
        // Dots are between the keys of a path.
        let key = key.replace('\\', "\\\\").replace('.', "\\.");
        self.members.push_str(&Value::String(key).to_string());
        self.members.push(':');
        self.members.push_str(&tree);
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if let tree @ Some(_) = value.serialize(Walk)? {
            self.member(&self.count.to_string(), tree);
        }
        self.count += 1;
        Ok(())
    }

    fn named<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<()> {
        self.member(key, value.serialize(Walk)?);
        Ok(())
    }

    fn finish(self) -> Result<Tree> {
        let tree = (!self.members.is_empty()).then(|| format!("{{{}}}", self.members));
        Ok(within(self.variant, tree))
    }
}

/// The tree of a value that is the member of an object, where a variant is one.
fn within(variant: Option<&str>, tree: Tree) -> Tree {
    let Some(variant) = variant else { return tree };
    let mut outer = Parts::new(None);
    outer.member(variant, tree);
    (!outer.members.is_empty()).then(|| format!("{{{}}}", outer.members))
}

/// The key of a map, as JSON has it.
fn key_of<T: Serialize + ?Sized>(key: &T) -> Result<String> {
    Ok(match serde_json::to_value(key)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

// === impl Walk ===

macro_rules! plain {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, _: $type) -> Result<Tree> {
            Ok(None)
        })*
    };
}

impl Serializer for Walk {
    type Ok = Tree;
    type Error = Error;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    plain! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32)
        serialize_i64(i64) serialize_i128(i128) serialize_u8(u8) serialize_u16(u16)
        serialize_u32(u32) serialize_u64(u64) serialize_u128(u128) serialize_f32(f32)
        serialize_f64(f64) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_unit_struct(&'static str)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, _: &T) -> Result<Tree> {
        Ok(None)
    }

    fn serialize_none(self) -> Result<Tree> {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree> {
        value.serialize(Self)
    }

    fn serialize_unit(self) -> Result<Tree> {
        Ok(None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<Tree> {
        Ok(None)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Tree> {
        let kind = match name {
            DATE => "Date",
            BIG_INT => "bigint",
            SET => "set",
            MAP => "map",
            _ => return value.serialize(Self),
        };
        Ok(Some(match value.serialize(Self)? {
            None => format!(r#"["{kind}"]"#),
            Some(inner) => format!(r#"["{kind}",{inner}]"#),
        }))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Tree> {
        Ok(within(Some(variant), value.serialize(Self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts> {
        Ok(Parts::new(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts> {
        Ok(Parts::new(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts> {
        Ok(Parts::new(None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts> {
        Ok(Parts::new(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts> {
        Ok(Parts::new(None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts> {
        Ok(Parts::new(None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts> {
        Ok(Parts::new(Some(variant)))
    }
}

/// The parts of a sequence, by any of serde's names for one.
macro_rules! elements {
    ($($trait:ident.$method:ident)*) => {
        $(impl $trait for Parts {
            type Ok = Tree;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            fn end(self) -> Result<Tree> {
                self.finish()
            }
        })*
    };
}

elements! {
    SerializeSeq.serialize_element SerializeTuple.serialize_element
    SerializeTupleStruct.serialize_field SerializeTupleVariant.serialize_field
}

/// The fields of a struct, likewise.
macro_rules! fields {
    ($($trait:ident)*) => {
        $(impl $trait for Parts {
            type Ok = Tree;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<()> {
                self.named(key, value)
            }

            fn end(self) -> Result<Tree> {
                self.finish()
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Parts {
    type Ok = Tree;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key_of(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let key = self.key.take().unwrap_or_default();
        self.named(&key, value)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<()> {
        match value.serialize(Walk)? {
            None => {}
            tree => self.member(&key_of(key)?, tree),
        }
        Ok(())
    }

    fn end(self) -> Result<Tree> {
        self.finish()
    }
}
