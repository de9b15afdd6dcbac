//! `dev --inspect`: which functions a debugger may attach to, and where.

use fanwire_app::App;
use fanwire_app::model::Runtime;
use indexmap::IndexMap;

/// Where Node.js's debugger listens, where nothing else is said; the next function gets
/// the next port.
const FIRST_PORT: u16 = 9229;

/// A function to be inspected, as typed: `FUNCTION` or `FUNCTION:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inspected {
    function: String,
    port: Option<u16>,
}

/// Why a function cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error("--inspect: there is no function `{name}`; {remedy}")]
    Unknown { name: String, remedy: String },
    #[error("--inspect: `{0}` is not a handler in Node.js, which is what can be inspected")]
    NotNode(String),
    #[error("--inspect: no ports are left after {FIRST_PORT}; give them, as in `FUNCTION:PORT`")]
    NoPort,
}

impl std::str::FromStr for Inspected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (function, port) = match text.split_once(':') {
            Some((function, port)) => match port.parse() {
                Ok(port) if port > 0 => (function, Some(port)),
                _ => return Err(format!("`{port}` is not a port; expected FUNCTION:PORT")),
            },
            None => (text, None),
        };
        Ok(Self { function: function.to_owned(), port })
    }
}

/// The ports of the functions that are to be inspected.
pub(crate) fn ports(
    app: &App,
    wanted: &[Inspected],
) -> Result<IndexMap<String, u16>, InspectError> {
    let mut ports = IndexMap::new();
    for Inspected { function, port } in wanted {
        let Some(found) = app.functions.get(function) else {
            let keys = app.functions.keys().map(String::as_str);
            let remedy = match fanwire_app::nearest(function, keys) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`fanwire check` lists the functions".to_owned(),
            };
            return Err(InspectError::Unknown { name: function.clone(), remedy });
        };
        let handler = found.code.handler();
        if handler.is_none_or(|handler| handler.runtime != Runtime::Node) {
            return Err(InspectError::NotNode(function.clone()));
        }
        let is_free = |port: &u16| !ports.values().any(|taken| taken == port);
        let port = port.or_else(|| (FIRST_PORT..=u16::MAX).find(is_free));
        ports.insert(function.clone(), port.ok_or(InspectError::NoPort)?);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanwire.toml");
        let text = "name = \"a\"\n[functions.say]\nhandler = \"a.say\"\n\
            [functions.name]\nhandler = \"a.name\"\n[functions.other]\ncommand = [\"x\"]\n";
        std::fs::write(&file, text).unwrap();
        fanwire_app::load(&file, &fanwire_app::LoadOptions::default()).unwrap().app
    }

    fn asked(wanted: &[&str]) -> Result<Vec<(String, u16)>, String> {
        let wanted: Vec<Inspected> = wanted.iter().map(|text| text.parse().unwrap()).collect();
        let found = ports(&app(), &wanted).map_err(|error| error.to_string())?;
        Ok(found.into_iter().collect())
    }

    #[test]
    fn functions_get_their_port_or_the_next_that_is_free() {
        let expected = vec![("say".to_owned(), 9229), ("name".to_owned(), 9230)];
        assert_eq!(asked(&["say", "name"]).unwrap(), expected);
        assert_eq!(asked(&["say:4000"]).unwrap(), [("say".to_owned(), 4000)]);
        assert!("say:x".parse::<Inspected>().is_err());
    }

    #[test]
    fn what_cannot_be_inspected_is_told_with_a_remedy() {
        assert!(asked(&["sai"]).unwrap_err().contains("did you mean `say`?"));
        assert!(asked(&["other"]).unwrap_err().contains("not a handler in Node.js"));
    }
}
