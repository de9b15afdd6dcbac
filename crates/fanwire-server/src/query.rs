//! The query of a request: what stands behind the `?`, decoded.

use percent_encoding::percent_decode_str;

/// The parameters of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    pub(crate) fn new(query: Option<&'q str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The value of a parameter; the last, where several, and `""` for one without `=`.
    pub(crate) fn get(self, name: &str) -> Option<String> {
        self.all(name).last()
    }

    /// The values of a parameter, in order.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = String> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let named = pairs.filter(move |(given, _)| *given == name);
        // A plus sign is one: content types have it, and no client of these APIs writes a
        // space that way.
        named.map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_parameters_counts() {
        let query = Query::new(Some("backlog=1&a=%20x+y&backlog=20&bare"));
        assert_eq!(query.get("backlog").as_deref(), Some("20"));
        assert_eq!(query.all("backlog").collect::<Vec<_>>(), ["1", "20"]);
        assert_eq!(query.get("a").as_deref(), Some(" x+y"));
        assert_eq!(query.get("bare").as_deref(), Some(""));
        assert_eq!(query.get("none"), None);
        assert_eq!(Query::new(None).get("a"), None);
    }
}
