//! What a file may say, as data, and the checks that follow from it.
//!
//! A [`Table`] lists the keys that a mapping may have, each with its kind, default
//! and meaning. From the tables come the checks of both file formats, the JSON
//! Schema of `fanwire.toml` and the list that its documentation is tested against,
//! so that none of them can know a key that another does not.

mod check;
mod schema;
pub(crate) mod units;

pub(crate) use self::check::{check, refuse};
pub(crate) use self::schema::json_schema;

/// The keys of one kind of mapping.
pub(crate) struct Table {
    /// What the mapping is called in messages, such as `a function`.
    pub(crate) name: &'static str,
    /// What it is, for the schema.
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    pub(crate) others: Others,
}

/// One key of a mapping.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// What it means and what holds where it is left out.
    pub(crate) doc: &'static str,
}

/// What happens to keys that a table does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// They are errors.
    Refused,
    /// They are errors where they resemble a listed key, otherwise warnings:
    /// plugins add keys of their own.
    Warned,
    /// They are of no interest.
    Ignored,
}

/// What a value may be. Numbers and booleans may also be written as text, because
/// that is how environment variables and command-line options bring them.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text; numbers and booleans are taken as text.
    Text,
    /// Text that makes sense, or what is wrong with it and what was expected.
    Checked(fn(&str) -> Result<(), String>),
    /// One of these words.
    Choice(&'static [&'static str]),
    Boolean,
    /// An integer within these bounds.
    Integer(i64, i64),
    /// An integer within these bounds, or `"none"`.
    IntegerOrNone(i64, i64),
    /// A length of time: a number of seconds, or text such as `500ms`.
    Duration,
    /// A [`Kind::Duration`], or `"none"`.
    DurationOrNone,
    /// A size: a number of bytes, or text such as `32KB`.
    Size,
    /// A [`Kind::Size`], or `"none"`.
    SizeOrNone,
    /// Text, or a CloudFormation function whose value is text.
    Reference,
    /// A list of texts.
    TextList,
    /// A text or a list of texts.
    OneOrMoreTexts,
    /// One of these words, or a list of texts.
    ChoiceOrTextList(&'static [&'static str]),
    /// A mapping of names to texts.
    TextMap,
    /// A mapping of names to mappings of names to anything.
    ValueMaps,
    /// A mapping of names to one of these words each.
    ChoiceMap(&'static [&'static str]),
    /// A mapping of names to texts or CloudFormation functions.
    ReferenceMap,
    /// A mapping with the keys of a table.
    Table(&'static Table),
    /// A mapping of names to mappings with the keys of a table.
    Tables(&'static Table),
    /// A list of mappings with the keys of a table.
    ListOf(&'static Table),
    /// One or several mappings with the keys of a table.
    OneOrMore(&'static Table),
    /// A mapping of names to either a text or a mapping with the keys of a table.
    TextOrTables(&'static Table),
    /// A boolean, or a mapping with the keys of a table.
    BooleanOrTable(&'static Table),
    /// Text, a boolean, or neither.
    TextOrBoolean,
    /// Anything: the code that reads the key checks it.
    Any,
    /// A key that Fanwire knows and has no use for. Its value is not looked at.
    Ignored,
}

impl Key {
    /// A key that may be left out.
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, required: false, doc }
    }

    /// A key that may not be left out.
    pub(crate) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, required: true, doc }
    }

    /// A key of the file format that has no effect here.
    pub(crate) const fn ignored(name: &'static str) -> Self {
        Self { name, kind: Kind::Ignored, required: false, doc: "" }
    }
}
