//! How a procedure that clients subscribe to is declared, with its filters.

/// Declares a procedure that clients subscribe to, and its filters.
///
/// The procedure is a unit struct: its path, the types of its context and input, and what it
/// sends. A filter is a struct whose fields are named fields of the context (`ctx.…`) and of
/// the input (`input.…`), with their types: a field that is not there or is of another type
/// does not compile, and neither does publishing to a filter with a value missing.
///
/// ```
/// use fanwire::subscriptions::Filter;
/// use serde::{Deserialize, Serialize};
/// use ts_rs::TS;
///
/// struct AppContext { user_id: String }
///
/// #[derive(Deserialize, Serialize, TS)]
/// struct Watch { name: String }
///
/// fanwire::subscription! {
///     /// Greets those who watch something.
///     struct MySubscription("mySubscription"): (AppContext, Watch) -> String;
///     /// Those of one user who watch one thing.
///     filter UserIdAndName("userIdAndName") { ctx.user_id: String, input.name: String }
/// }
///
/// let subscriber = UserIdAndName::of(
///     &AppContext { user_id: "user1".into() },
///     &Watch { name: "name1".into() },
/// );
/// assert_eq!((subscriber.user_id.as_str(), subscriber.name.as_str()), ("user1", "name1"));
/// ```
///
/// Further:
///
/// - `-> Tracked<T>`: every event has an id, by which a client that comes back says what it
///   has seen ([`Tracked`](crate::subscriptions::Tracked)).
/// - `pub struct` and `pub filter`: as with other types, the context and the input have to be as
///   visible.
/// - `ctx.id as owner: String`: the filter's field has another name, for where context and
///   input have fields of one name.
/// - `ctx.user_id: String = "userID"`: its name in JSON, for tables that are shared with
///   TypeScript and where it is not `userId`.
/// - Fields of the context stand before those of the input. The first fields can be
///   published to without the others ([`Filter::leading`](crate::subscriptions::Filter::leading)),
///   so their order is worth a thought.
#[macro_export]
macro_rules! subscription {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident($path:literal): ($context:ty, $input:ty) -> $output:ty;
        $(
            $(#[$filter_meta:meta])*
            $filter_vis:vis filter $filter:ident($filter_name:literal) { $($fields:tt)* }
        )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default)]
        $vis struct $name;

        impl $crate::subscriptions::Subscription for $name {
            const PATH: &'static str = $path;
            const FILTERS: &'static [$crate::subscriptions::FilterInfo] =
                &[$(<$filter as $crate::subscriptions::Filter>::INFO),*];
            type Context = $context;
            type Input = $input;
            type Output = $output;

            fn keys(
                _ctx: &$context,
                _input: &$input,
            ) -> ::std::vec::Vec<::std::vec::Vec<$crate::subscriptions::Scalar>> {
                ::std::vec![$($crate::subscriptions::Filter::values(
                    &<$filter as $crate::subscriptions::Filter>::of(_ctx, _input)
                )),*]
            }
        }

        $($crate::__filter! {
            [$(#[$filter_meta])* $filter_vis struct $filter $filter_name $name]
            []
            $($fields)*
        })*
    };
}

/// Reads the fields of a filter one by one: `[side field name type wire]` each.
#[doc(hidden)]
#[macro_export]
macro_rules! __filter {
    // A field, with or without a name of its own.
    ($head:tt $done:tt $side:ident.$field:ident as $name:ident : $($rest:tt)*) => {
        $crate::__filter! { @type $head $done [$side $field $name] $($rest)* }
    };
    ($head:tt $done:tt $side:ident.$field:ident : $($rest:tt)*) => {
        $crate::__filter! { @type $head $done [$side $field $field] $($rest)* }
    };

    // Its type, with or without its name in JSON; the last one, or with others behind it.
    (@type $head:tt [$($done:tt)*] [$($field:tt)*] $type:ty = $wire:literal $(,)?) => {
        $crate::__filter! { @done $head [$($done)* [$($field)* ($type) Some($wire)]] }
    };
    (@type $head:tt [$($done:tt)*] [$($field:tt)*] $type:ty $(,)?) => {
        $crate::__filter! { @done $head [$($done)* [$($field)* ($type) None]] }
    };
    (@type $head:tt [$($done:tt)*] [$($field:tt)*] $type:ty = $wire:literal, $($rest:tt)+) => {
        $crate::__filter! { @leading $head [$($done)* [$($field)* ($type) Some($wire)]] }
        $crate::__filter! { $head [$($done)* [$($field)* ($type) Some($wire)]] $($rest)+ }
    };
    (@type $head:tt [$($done:tt)*] [$($field:tt)*] $type:ty, $($rest:tt)+) => {
        $crate::__filter! { @leading $head [$($done)* [$($field)* ($type) None]] }
        $crate::__filter! { $head [$($done)* [$($field)* ($type) None]] $($rest)+ }
    };

    // What can be published to without the fields that follow.
    (
        @leading [$(#[$meta:meta])* $vis:vis struct $filter:ident $filter_name:literal $subscription:ident]
        [$([$side:ident $field:ident $name:ident ($type:ty) $($wire:tt)*])*]
    ) => {
        impl $crate::subscriptions::LeadingOf<$filter> for ($($type,)*) {
            fn values(&self) -> ::std::vec::Vec<$crate::subscriptions::Scalar> {
                let ($($name,)*) = self;
                ::std::vec![$($crate::subscriptions::FilterValue::scalar($name)),*]
            }
        }
    };

    // All fields.
    (
        @done [$(#[$meta:meta])* $vis:vis struct $filter:ident $filter_name:literal $subscription:ident]
        [$([$side:ident $field:ident $name:ident ($type:ty) $($wire:tt)*])*]
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $filter {
            $(
                #[doc = concat!("`", stringify!($side), ".", stringify!($field), "` of subscribers.")]
                pub $name: $type,
            )*
        }

        impl $crate::subscriptions::Filter for $filter {
            type Subscription = $subscription;
            const INFO: $crate::subscriptions::FilterInfo = $crate::subscriptions::FilterInfo::new(
                $filter_name,
                &[$($crate::subscriptions::FilterField {
                    side: $crate::subscriptions::FilterSide::$side(),
                    name: stringify!($field),
                    wire: $($wire)*,
                }),*],
            );

            fn of(
                ctx: &<$subscription as $crate::subscriptions::Subscription>::Context,
                input: &<$subscription as $crate::subscriptions::Subscription>::Input,
            ) -> Self {
                let sources = $crate::subscriptions::Sources { ctx, input };
                Self { $($name: ::std::clone::Clone::clone(&sources.$side.$field)),* }
            }

            fn values(&self) -> ::std::vec::Vec<$crate::subscriptions::Scalar> {
                ::std::vec![$($crate::subscriptions::FilterValue::scalar(&self.$name)),*]
            }
        }

        impl $crate::subscriptions::Target for $filter {
            type Subscription = $subscription;

            fn audience(&self) -> $crate::subscriptions::Audience {
                $crate::subscriptions::Audience::Filter {
                    index: <Self as $crate::subscriptions::Filter>::INDEX,
                    info: <Self as $crate::subscriptions::Filter>::INFO,
                    values: $crate::subscriptions::Filter::values(self),
                }
            }
        }
    };

    // Anything else.
    ($head:tt $done:tt $($other:tt)*) => {
        ::std::compile_error!(
            "a filter's fields are `ctx.FIELD: TYPE` or `input.FIELD: TYPE`, and there is at least one"
        );
    };
}
