//! Typed topics: the name of a topic with its parameters, and what its messages carry, in
//! one place that publishers, subscribers and grants share.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use super::Payload;

/// A family of topics, as [`topic!`](crate::topic) declares it.
pub trait Topic: Sized + Send + Sync + 'static {
    /// What its messages carry.
    type Payload: Payload;

    /// The name of the type.
    const NAME: &'static str;

    /// The name of its topics, with `{parameters}`: `chat/{name}/message`.
    const TEMPLATE: &'static str;

    /// The name of this topic.
    ///
    /// # Errors
    ///
    /// [`TopicError::Parameter`] where a parameter cannot be a level of a topic.
    fn name(&self) -> Result<String, TopicError>;

    /// The topic that has this name.
    ///
    /// # Errors
    ///
    /// [`TopicError::Mismatch`] where it is none of these.
    fn parse(name: &str) -> Result<Self, TopicError>;

    /// The filter that takes all of them.
    fn any() -> Filter<Self>;
}

/// Why a text is no topic, or no part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// A parameter cannot be a level: it would name other topics than it seems to. Levels
    /// are not escaped, because clients in other languages would not know how.
    #[error(
        "`{value}` cannot be the {parameter} of `{template}`: a level of a topic is not \
         empty, and has no `/`, `+`, `#` and U+0000 in it"
    )]
    Parameter {
        /// The template of the topic.
        template: &'static str,
        /// Which parameter.
        parameter: &'static str,
        /// What it was to be.
        value: String,
    },
    /// The name is none of the template's.
    #[error("`{name}` is no topic of `{template}`")]
    Mismatch {
        /// The template of the topic.
        template: &'static str,
        /// The name.
        name: String,
    },
}

/// Topics of a type: all of them, or those of which some parameters are given.
///
/// ```
/// use fanwire::realtime::Any;
///
/// fanwire::topic! {
///     pub struct Seat { room: String, number: u32 } = "seats/{room}/{number}": bool
/// }
/// assert_eq!(Seat::filter("lobby", Any).to_string(), "seats/lobby/+");
/// ```
pub struct Filter<T> {
    text: Result<String, TopicError>,
    topic: PhantomData<fn() -> T>,
}

/// Every value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Any;

/// What a parameter of type `T` can be chosen by: a value, or [`Any`].
pub trait Selects<T> {
    /// The value's text; `None` for every value.
    fn select(&self) -> Option<String>;
}

// === impl Filter ===

impl<T> Filter<T> {
    /// The filter as MQTT has it.
    ///
    /// # Errors
    ///
    /// [`TopicError::Parameter`] where a value that was given cannot be a level.
    pub fn text(&self) -> Result<&str, &TopicError> {
        self.text.as_deref()
    }

    pub(crate) fn into_text(self) -> Result<String, TopicError> {
        self.text
    }
}

impl<T> Clone for Filter<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), topic: PhantomData }
    }
}

impl<T> fmt::Debug for Filter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text).finish()
    }
}

impl<T> Display for Filter<T> {
    /// The filter, or what is wrong with it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Ok(text) => f.write_str(text),
            Err(error) => error.fmt(f),
        }
    }
}

// === impl Selects ===

impl<T: Display + FromStr> Selects<T> for T {
    fn select(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Selects<String> for &str {
    fn select(&self) -> Option<String> {
        Some((*self).to_owned())
    }
}

impl<T> Selects<T> for Any {
    fn select(&self) -> Option<String> {
        None
    }
}

/// Whether a text can be one level of a topic name.
fn is_level(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '+', '#', '\0'])
}

/// The parameter that a level of a template is.
fn parameter(level: &str) -> Option<&str> {
    level.strip_prefix('{')?.strip_suffix('}')
}

/// What [`topic!`](crate::topic) is made of. Not for use by hand.
#[doc(hidden)]
pub mod expansion {
    use super::{Display, Filter, FromStr, PhantomData, TopicError, is_level, parameter};

    /// Stops the compiler where template and fields do not fit each other.
    pub const fn check(template: &str, fields: &[&str]) {
        let bytes = template.as_bytes();
        assert!(!bytes.is_empty(), "the template of a topic is empty");
        let (mut start, mut at, mut parameters) = (0, 0, 0);
        while at <= bytes.len() {
            if at == bytes.len() || bytes[at] == b'/' {
                parameters += check_level(bytes, start, at, fields);
                start = at + 1;
            }
            at += 1;
        }
        assert!(
            parameters == fields.len(),
            "every field of a topic is one parameter of its template"
        );
        // With as many parameters as fields, each of which is known, a field that is
        // missing is one that another has twice.
        let mut field = 0;
        while field < fields.len() {
            assert!(
                is_used(bytes, fields[field].as_bytes()),
                "a field of the topic is no parameter of its template"
            );
            field += 1;
        }
    }

    /// Checks the level from `start` to `end`; says how many parameters it is.
    const fn check_level(bytes: &[u8], start: usize, end: usize, fields: &[&str]) -> usize {
        if start < end && bytes[start] == b'{' {
            assert!(bytes[end - 1] == b'}', "a parameter of a topic is a whole level");
            let mut field = 0;
            while field < fields.len() {
                if is_at(bytes, start + 1, end - 1, fields[field].as_bytes()) {
                    return 1;
                }
                field += 1;
            }
            panic!("a parameter of the template is no field of the topic");
        }
        let mut at = start;
        while at < end {
            assert!(!matches!(bytes[at], b'{' | b'}'), "a parameter of a topic is a whole level");
            assert!(
                !matches!(bytes[at], b'+' | b'#' | 0),
                "a topic has no wildcards; take parameters for what differs"
            );
            at += 1;
        }
        0
    }

    const fn is_at(bytes: &[u8], start: usize, end: usize, text: &[u8]) -> bool {
        if end < start || end - start != text.len() {
            return false;
        }
        let mut at = 0;
        while at < text.len() {
            if bytes[start + at] != text[at] {
                return false;
            }
            at += 1;
        }
        true
    }

    const fn is_used(bytes: &[u8], field: &[u8]) -> bool {
        let mut at = 0;
        while at + field.len() + 2 <= bytes.len() {
            let end = at + 1 + field.len();
            if bytes[at] == b'{' && bytes[end] == b'}' && is_at(bytes, at + 1, end, field) {
                return true;
            }
            at += 1;
        }
        false
    }

    /// A name of the template's; `values` are by parameter.
    pub fn write(
        template: &'static str,
        values: &[(&'static str, &dyn Display)],
    ) -> Result<String, TopicError> {
        let texts: Vec<_> =
            values.iter().map(|(name, value)| (*name, Some(value.to_string()))).collect();
        fill(template, &texts)
    }

    /// A filter of the template's; a parameter without a value is a wildcard.
    pub fn filter<T>(
        template: &'static str,
        values: &[(&'static str, Option<String>)],
    ) -> Filter<T> {
        Filter { text: fill(template, values), topic: PhantomData }
    }

    fn fill(
        template: &'static str,
        values: &[(&'static str, Option<String>)],
    ) -> Result<String, TopicError> {
        let mut text = String::with_capacity(template.len() * 2);
        for (index, level) in template.split('/').enumerate() {
            if index > 0 {
                text.push('/');
            }
            let value =
                parameter(level).and_then(|wanted| values.iter().find(|(name, _)| *name == wanted));
            match value {
                None => text.push_str(level),
                Some((_, None)) => text.push('+'),
                Some((_, Some(value))) if is_level(value) => text.push_str(value),
                Some((parameter, Some(value))) => {
                    let value = value.clone();
                    return Err(TopicError::Parameter { template, parameter, value });
                }
            }
        }
        Ok(text)
    }

    /// A name that is read by a template.
    pub struct Levels<'n> {
        template: &'static str,
        name: &'n str,
    }

    impl<'n> Levels<'n> {
        /// Finds whether a name is of the template's form.
        pub fn of(template: &'static str, name: &'n str) -> Result<Self, TopicError> {
            let levels = Self { template, name };
            let same = template.split('/').count() == name.split('/').count()
                && levels.pairs().all(|(expected, level)| match parameter(expected) {
                    Some(_) => is_level(level),
                    None => expected == level,
                });
            if same { Ok(levels) } else { Err(levels.mismatch()) }
        }

        /// The value of a parameter.
        pub fn get<T: FromStr>(&self, wanted: &str) -> Result<T, TopicError> {
            self.pairs()
                .find(|(expected, _)| parameter(expected) == Some(wanted))
                .and_then(|(_, level)| level.parse().ok())
                .ok_or_else(|| self.mismatch())
        }

        fn pairs(&self) -> impl Iterator<Item = (&'static str, &'n str)> {
            self.template.split('/').zip(self.name.split('/'))
        }

        fn mismatch(&self) -> TopicError {
            TopicError::Mismatch { template: self.template, name: self.name.to_owned() }
        }
    }
}

/// Declares topics: a struct with their parameters, the template of their names, and what
/// their messages carry.
///
/// A parameter is a whole level, of any type that has a text and is read from one
/// ([`Display`](std::fmt::Display), [`FromStr`](std::str::FromStr)): texts, numbers, ids of
/// one's own. What would be no level (`/`, `+`, `#`, nothing) is refused where it is
/// published. Fields are as visible as their struct. Template and fields that do not fit
/// each other do not compile.
///
/// ```
/// use fanwire::realtime::{Any, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// pub struct ChatMessage { text: String }
///
/// fanwire::topic! {
///     /// What is said in a room.
///     pub struct Room { name: String } = "chat/{name}/message": ChatMessage
/// }
///
/// let lobby = Room { name: "lobby".into() };
/// assert_eq!(lobby.name()?, "chat/lobby/message");
/// assert_eq!(Room::parse("chat/lobby/message")?, lobby);
/// assert_eq!(Room::filter(Any).to_string(), "chat/+/message");
/// assert!(Room { name: "a/b".into() }.name().is_err());
/// # Ok::<(), fanwire::realtime::TopicError>(())
/// ```
///
/// SST's topics begin with the names of app and stage, because all apps of an account and
/// region share one endpoint: see [`Scope`](crate::realtime::Scope). Parameters do for
/// that, too, as in `"{app}/{stage}/chat/{name}"`.
#[macro_export]
macro_rules! topic {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $({ $($(#[$doc:meta])* $field:ident : $type:ty),* $(,)? })?
            = $template:literal : $payload:ty
    );+ $(;)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name { $($($(#[$doc])* $vis $field: $type,)*)? }

        const _: () = $crate::realtime::expansion::check(
            $template,
            &[$($(stringify!($field),)*)?],
        );

        impl $name {
            /// The filter for those topics whose parameters are these; `Any` takes all.
            #[allow(dead_code, reason = "who only publishes needs none")]
            $vis fn filter(
                $($($field: impl $crate::realtime::Selects<$type>,)*)?
            ) -> $crate::realtime::Filter<Self> {
                $crate::realtime::expansion::filter(
                    $template,
                    &[$($((stringify!($field), $crate::realtime::Selects::select(&$field)),)*)?],
                )
            }
        }

        impl $crate::realtime::Topic for $name {
            type Payload = $payload;
            const NAME: &'static str = stringify!($name);
            const TEMPLATE: &'static str = $template;

            fn name(&self) -> ::std::result::Result<String, $crate::realtime::TopicError> {
                $crate::realtime::expansion::write(
                    $template,
                    &[$($((stringify!($field), &self.$field),)*)?],
                )
            }

            fn parse(name: &str) -> ::std::result::Result<Self, $crate::realtime::TopicError> {
                let _levels = $crate::realtime::expansion::Levels::of($template, name)?;
                Ok(Self { $($($field: _levels.get(stringify!($field))?,)*)? })
            }

            fn any() -> $crate::realtime::Filter<Self> {
                $crate::realtime::expansion::filter(
                    $template,
                    &[$($((stringify!($field), None),)*)?],
                )
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Any, Topic, TopicError};

    crate::topic! {
        /// With a parameter of each kind.
        struct Seat { room: String, number: u16 } = "seats/{room}/of/{number}": bool;
        struct Hall = "hall": String;
        /// A field may be called as what the macro is made of.
        struct Odd { name: String, template: String } = "{template}/{name}": bool
    }

    #[test]
    fn filters_have_wildcards_where_nothing_is_chosen() {
        assert_eq!(Seat::any().to_string(), "seats/+/of/+");
        assert_eq!(Seat::filter("a", Any).to_string(), "seats/a/of/+");
        assert_eq!(Seat::filter(Any, 7).to_string(), "seats/+/of/7");
        assert_eq!(Hall::filter().to_string(), "hall");
        assert!(Seat::filter("+", 7).text().is_err());
    }

    #[test]
    fn what_is_another_topic_s_name_is_not_read() {
        for name in ["", "seats/a/of", "seats/a/of/1/2", "seats/a/at/1", "seats//of/1"] {
            assert!(matches!(Seat::parse(name), Err(TopicError::Mismatch { .. })), "{name}");
        }
        assert!(Seat::parse("seats/a/of/x").is_err());
        assert!(Seat::parse("seats/a/of/65536").is_err());
        assert_eq!(Hall::parse("hall").unwrap(), Hall {});
    }

    #[test]
    fn what_would_be_no_level_is_refused() {
        for room in ["", "a/b", "+", "a#", "a\0"] {
            let seat = Seat { room: room.to_owned(), number: 1 };
            assert!(matches!(seat.name(), Err(TopicError::Parameter { parameter: "room", .. })));
        }
    }

    proptest! {
        #[test]
        fn a_topic_is_read_from_its_name(room in ".{0,12}", number: u16) {
            let seat = Seat { room, number };
            if let Ok(name) = seat.name() {
                prop_assert_eq!(Seat::parse(&name).unwrap(), seat);
            }
        }

        #[test]
        fn no_text_stops_the_parser(name in "(seats|of|[0-9]{1,6}|/|\\PC){0,9}") {
            if let Ok(seat) = Seat::parse(&name) {
                // Numbers have one form that is written, and others that are read: `+7`.
                prop_assert_eq!(Seat::parse(&seat.name().unwrap()).unwrap(), seat);
            }
            if let Ok(odd) = Odd::parse(&name) {
                prop_assert_eq!(odd.name().unwrap(), name);
            }
        }
    }
}
