//! Transformers: what apps put between values and JSON, at both ends.

use serde_json::value::RawValue;

use super::members::members;

/// How inputs, data and errors stand in the JSON: what a router calls its transformer. Both
/// ends have to have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transformer {
    /// As they are.
    #[default]
    None,
    /// As `superjson` has them: `{"json":…,"meta":…}`. What the client said in `meta`, which
    /// values were dates, maps or big integers, is left out: a Rust type knows. What it is
    /// told in it is up to whoever makes the data ([`Data::meta`](super::Data::meta)).
    SuperJson,
}

// === impl Transformer ===

impl Transformer {
    /// The input itself: `Ok(None)` where it is undefined, `Err` where it is not what this
    /// transformer makes.
    pub(super) fn input(self, input: Option<&RawValue>) -> Result<Option<&RawValue>, ()> {
        let (Self::SuperJson, Some(input)) = (self, input) else { return Ok(input) };
        let Ok([json, meta]) = members(input.get(), ["json", "meta"]) else {
            // `superjson` takes all else for a value without members, and breaks at this one.
            return if input.get() == "null" { Err(()) } else { Ok(None) };
        };
        Ok(json.filter(|json| json.get() != "null" || !is_undefined(meta)))
    }

    /// Writes what stands for `json`, of which `meta` tells, to `out`.
    pub(super) fn write(
        self,
        json: impl FnOnce(&mut String),
        meta: Option<&str>,
        out: &mut String,
    ) {
        match self {
            Self::None => json(out),
            Self::SuperJson => {
                out.push_str(r#"{"json":"#);
                json(out);
                if let Some(meta) = meta {
                    out.push_str(r#","meta":"#);
                    out.push_str(meta);
                }
                out.push('}');
            }
        }
    }
}

/// Whether `meta` says of the whole value that it is undefined, which JSON has no word for.
fn is_undefined(meta: Option<&RawValue>) -> bool {
    let values = meta.and_then(|meta| members(meta.get(), ["values"]).ok());
    let Some([Some(values)]) = values else { return false };
    serde_json::from_str::<[&str; 1]>(values.get()).is_ok_and(|[kind]| kind == "undefined")
}
