//! What subscribers can be told apart by: named fields of their context and input.

use super::Subscription;

/// A filter of a procedure: publishing to it reaches those subscribers whose context and
/// input have the same values in its fields. [`subscription!`](crate::subscription) makes
/// them.
pub trait Filter: Sized + Send + Sync + 'static {
    /// The procedure whose subscribers it is about.
    type Subscription: Subscription;
    /// Its name and fields.
    const INFO: FilterInfo;
    /// Which of the procedure's filters it is.
    const INDEX: u16 = position(<Self::Subscription as Subscription>::FILTERS, Self::INFO.name);

    /// The values of a subscriber.
    fn of(
        ctx: &<Self::Subscription as Subscription>::Context,
        input: &<Self::Subscription as Subscription>::Input,
    ) -> Self;

    /// The values, in the order of the fields.
    fn values(&self) -> Vec<Scalar>;

    /// Those subscribers that have the same values in the first fields, whatever they have
    /// in the others. `values` is a tuple of the first fields' values, such as
    /// `("user1".to_owned(),)`.
    fn leading<L: LeadingOf<Self>>(values: L) -> Leading<Self> {
        Leading { values: LeadingOf::values(&values), filter: std::marker::PhantomData }
    }
}

/// The name and the fields of a filter, as they are in records and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterInfo {
    /// Its name: unique among the filters of a procedure.
    pub name: &'static str,
    /// Its fields: those of the context first.
    pub fields: &'static [FilterField],
}

/// A field of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterField {
    /// Where its value comes from.
    pub side: FilterSide,
    /// Its name in Rust.
    pub name: &'static str,
    /// Its name in JSON, where that is not its name in Rust in camel case.
    pub wire: Option<&'static str>,
}

/// Where the value of a filter's field comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterSide {
    /// The context of the subscriber.
    Context,
    /// The input of the subscriber.
    Input,
}

/// A value that subscribers can be told apart by: something that is equal or is not. Hence no
/// floating-point numbers.
///
/// To have an enum or a type of one's own as a filter's field, say what it is among these:
///
/// ```
/// use fanwire::subscriptions::{FilterValue, Scalar};
///
/// #[derive(Clone, Copy)]
/// enum Room { Lobby, Garden }
///
/// impl FilterValue for Room {
///     fn scalar(&self) -> Scalar {
///         Scalar::Text(match self { Self::Lobby => "lobby", Self::Garden => "garden" }.into())
///     }
/// }
/// ```
pub trait FilterValue {
    /// The value.
    fn scalar(&self) -> Scalar;
}

/// A value of a filter's field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// An integer.
    Number(i128),
    /// True or false.
    Bool(bool),
    /// Nothing: `None`.
    Null,
}

/// Subscribers that have given values in the first fields of a filter: see
/// [`Filter::leading`].
#[derive(Clone, Debug)]
pub struct Leading<F> {
    values: Vec<Scalar>,
    filter: std::marker::PhantomData<fn() -> F>,
}

/// A tuple of values for the first fields of `F`: at least one, and not all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not values of the first fields of `{F}`",
    label = "expected a tuple of the first fields' values, at least one and not all"
)]
pub trait LeadingOf<F> {
    /// The values, in the order of the fields.
    fn values(&self) -> Vec<Scalar>;
}

/// Whom something is published to: a [`Filter`], or its [`Leading`] fields.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no filter",
    label = "expected a filter that `fanwire::subscription!` has made, or what its `leading` gives"
)]
pub trait Target: Send + Sync {
    /// The procedure whose subscribers they are.
    type Subscription: Subscription;

    /// The subscribers.
    fn audience(&self) -> Audience;
}

/// Subscribers of a procedure, whatever procedure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All of them.
    Everyone,
    /// Those with given values in the first fields of a filter, or in all.
    Filter {
        /// Which of the procedure's filters.
        index: u16,
        /// Its name and fields.
        info: FilterInfo,
        /// The values, in the order of the fields.
        values: Vec<Scalar>,
    },
}

/// A context and an input, by the names that the fields of filters begin with.
#[doc(hidden)]
#[derive(Debug)]
pub struct Sources<'a, C, I> {
    pub ctx: &'a C,
    pub input: &'a I,
}

// === impl FilterInfo ===

impl FilterInfo {
    /// A filter of these fields.
    ///
    /// # Panics
    ///
    /// At compile time, when it has no field, or one of the input stands before one of the
    /// context: tables of `aws-trpc-subscriptions` have them in that order.
    #[must_use]
    pub const fn new(name: &'static str, fields: &'static [FilterField]) -> Self {
        assert!(!fields.is_empty(), "a filter needs at least one field");
        let mut at = 1;
        while at < fields.len() {
            let input_first = matches!(fields[at - 1].side, FilterSide::Input)
                && matches!(fields[at].side, FilterSide::Context);
            assert!(!input_first, "fields of `ctx` stand before fields of `input`");
            at += 1;
        }
        Self { name, fields }
    }
}

/// Which of `filters` has that name. At compile time, hence by hand.
const fn position(filters: &[FilterInfo], name: &str) -> u16 {
    let mut at = 0;
    while at < filters.len() {
        if same(filters[at].name.as_bytes(), name.as_bytes()) {
            return at as u16;
        }
        at += 1;
    }
    panic!("a filter that its procedure does not list")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

// === impl FilterField ===

impl FilterField {
    /// Its name in JSON.
    pub(crate) fn wire_name(&self) -> String {
        if let Some(wire) = self.wire {
            return wire.to_owned();
        }
        let mut words = self.name.split('_').filter(|word| !word.is_empty());
        let mut name = words.next().unwrap_or_default().to_owned();
        for word in words {
            let mut letters = word.chars();
            name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
            name.push_str(letters.as_str());
        }
        name
    }
}

// === impl FilterSide ===

impl FilterSide {
    /// The context; by the name that it has in a filter.
    #[doc(hidden)]
    #[must_use]
    pub const fn ctx() -> Self {
        Self::Context
    }

    /// The input; by the name that it has in a filter.
    #[doc(hidden)]
    #[must_use]
    pub const fn input() -> Self {
        Self::Input
    }
}

// === impl Target ===

impl<F: Filter> Target for Leading<F> {
    type Subscription = F::Subscription;

    fn audience(&self) -> Audience {
        Audience::Filter { index: F::INDEX, info: F::INFO, values: self.values.clone() }
    }
}

// === impl FilterValue ===

impl FilterValue for String {
    fn scalar(&self) -> Scalar {
        Scalar::Text(self.clone())
    }
}

impl FilterValue for char {
    fn scalar(&self) -> Scalar {
        Scalar::Text(self.to_string())
    }
}

impl FilterValue for bool {
    fn scalar(&self) -> Scalar {
        Scalar::Bool(*self)
    }
}

impl<T: FilterValue> FilterValue for Option<T> {
    fn scalar(&self) -> Scalar {
        self.as_ref().map_or(Scalar::Null, FilterValue::scalar)
    }
}

macro_rules! integers {
    ($($type:ty)*) => {
        $(impl FilterValue for $type {
            fn scalar(&self) -> Scalar {
                Scalar::Number((*self).into())
            }
        })*
    };
}

integers!(u8 u16 u32 u64 i8 i16 i32 i64 i128);

// === impl Scalar ===

impl Scalar {
    /// Appends it to a key so that no value is the beginning of another one, and publishing
    /// to `name1` never reaches `name10`: `#` ends a value and stands in none.
    fn append_to(&self, key: &mut String) {
        match self {
            Self::Text(text) => {
                for letter in text.chars() {
                    match letter {
                        '#' => key.push_str("%23"),
                        '%' => key.push_str("%25"),
                        other => key.push(other),
                    }
                }
            }
            Self::Number(number) => key.push_str(&number.to_string()),
            Self::Bool(yes) => key.push_str(if *yes { "true" } else { "false" }),
            // Stands for no text: that has no `%` that a digit and a letter do not follow.
            Self::Null => key.push_str("%-"),
        }
        key.push('#');
    }

    /// As JavaScript writes it in a template: `${value}`.
    pub(crate) fn to_js(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bool(yes) => yes.to_string(),
            Self::Null => "null".to_owned(),
        }
    }
}

/// The values of a filter's first fields as a key: those of all fields begin with those of
/// the first ones, and with no others.
pub(crate) fn encode_key(values: &[Scalar]) -> String {
    let mut key = String::new();
    for value in values {
        value.append_to(&mut key);
    }
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn name1_is_no_beginning_of_name10() {
        let (one, ten) = (encode_key(&[text("name1")]), encode_key(&[text("name10")]));
        assert_eq!((one.as_str(), ten.as_str()), ("name1#", "name10#"));
        assert!(!ten.starts_with(&one));
    }

    #[test]
    fn a_field_is_in_camel_case_unless_said_otherwise() {
        let field = |name, wire| FilterField { side: FilterSide::Input, name, wire };
        assert_eq!(field("user_id", None).wire_name(), "userId");
        assert_eq!(field("name", None).wire_name(), "name");
        assert_eq!(field("user_id", Some("userID")).wire_name(), "userID");
    }

    fn values() -> impl Strategy<Value = Vec<Scalar>> {
        let text = prop_oneof!["[a#%\\-0-9]{0,4}", any::<String>()];
        let value = prop_oneof![
            text.prop_map(Scalar::Text),
            any::<Option<bool>>().prop_map(|yes| yes.map_or(Scalar::Null, Scalar::Bool)),
        ];
        proptest::collection::vec(value, 0..4)
    }

    /// As a key sees it: a filter's field is always of one type.
    fn like(a: &Scalar, b: &Scalar) -> bool {
        a == b || (a.to_js() == b.to_js() && *a != Scalar::Null && *b != Scalar::Null)
    }

    proptest! {
        #[test]
        fn a_key_begins_with_another_only_if_its_values_do(a in values(), b in values()) {
            let begins = a.len() >= b.len() && a.iter().zip(&b).all(|(a, b)| like(a, b));
            prop_assert_eq!(encode_key(&a).starts_with(&encode_key(&b)), begins);
        }
    }
}
