//! YAML as a tree, read as the Serverless Framework reads it (js-yaml 4 with the
//! CloudFormation tags): scalars of YAML 1.2's core schema, so that `yes` and `on`
//! are text; anchors, aliases and merge keys; a key given twice is an error.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::diagnostic::{Issue, Issues};
use crate::source::{FileId, Span};

use super::{Entry, MAX_DEPTH, MAX_NODES, Map, Node, Value};

/// Reads a YAML text of one document; an empty one is null.
///
/// # Errors
///
/// The first fault of syntax. Keys that are given twice are added to `issues`, and
/// the first of them counts.
pub(crate) fn parse(file: FileId, text: &str, issues: &mut Issues) -> Result<Node, Issue> {
    parse_as(Version::Core, file, text, issues)
}

/// The same as CloudFormation and SAM's tools read it: in values, `yes` and `on` are
/// booleans, too, as in YAML 1.1.
///
/// # Errors
///
/// As those of [`parse`].
pub(crate) fn parse_1_1(file: FileId, text: &str, issues: &mut Issues) -> Result<Node, Issue> {
    parse_as(Version::OneOne, file, text, issues)
}

/// Which words are booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Core,
    OneOne,
}

fn parse_as(
    version: Version,
    file: FileId,
    text: &str,
    issues: &mut Issues,
) -> Result<Node, Issue> {
    let mut builder = Builder::new(version, text, issues);
    for event in &mut Parser::new_from_str(text) {
        let (event, range) = event.map_err(|error| {
            let at = builder.byte(error.marker().index());
            let span = Span { file, start: at, end: at };
            Issue::error(span, format!("this is not YAML: {}", error.info()))
        })?;
        let span = Span {
            file,
            start: builder.byte(range.start.index()),
            end: builder.byte(range.end.index()),
        };
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or(Node::new(Value::Null, Span::whole(file))))
}

/// Puts the parser's events together.
struct Builder<'i> {
    version: Version,
    issues: &'i mut Issues,
    /// The byte of each character, where the text is not plain ASCII: the parser
    /// counts characters.
    bytes: Option<Vec<usize>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    count: usize,
}

/// A list or mapping that has begun and not ended.
struct Open {
    anchor: usize,
    node: Node,
    /// The key that waits for its value.
    key: Option<Key>,
    /// Values of `<<`, merged when the mapping ends.
    merged: Vec<Node>,
}

/// A key of a mapping.
enum Key {
    /// A plain `<<`: its value's entries are merged in.
    Merge,
    Name(Node),
}

impl<'i> Builder<'i> {
    fn new(version: Version, text: &str, issues: &'i mut Issues) -> Self {
        let bytes = (!text.is_ascii()).then(|| {
            text.char_indices().map(|(at, _)| at).chain(std::iter::once(text.len())).collect()
        });
        let (open, anchors) = (Vec::new(), HashMap::new());
        Self { version, issues, bytes, open, anchors, root: None, count: 0 }
    }

    /// Whether the next value is the key of a mapping.
    fn awaits_key(&self) -> bool {
        let open = self.open.last();
        open.is_some_and(|open| open.node.as_map().is_some() && open.key.is_none())
    }

    /// The byte at which a character begins.
    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            None => character,
            Some(bytes) => bytes.get(character).or(bytes.last()).copied().unwrap_or(0),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Issue> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                return Err(Issue::error(span, "a second document begins here")
                    .expected("one YAML document in a file"));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let mut value = scalar(&text, style, tag.as_deref());
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                if self.version == Version::OneOne && is_plain && !self.awaits_key() {
                    value = word_of_1_1(&text).map_or(value, Value::Bool);
                }
                let is_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
                let node = Node { value, tag: local(tag.as_deref()), span };
                return self.add(node, anchor, is_merge);
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Value::List(Vec::new()), anchor, tag.as_deref(), span)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Value::Map(Map::new()), anchor, tag.as_deref(), span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut open) = self.open.pop() {
                    open.node.span.end = span.end.max(open.node.span.end);
                    merge(&mut open)?;
                    return self.add(open.node, open.anchor, false);
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Issue::error(span, "this alias stands inside its own anchor"));
                };
                self.count += node.count();
                return self.add(node, 0, false);
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        value: Value,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Issue> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Issue::error(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let node = Node { value, tag: local(tag), span };
        self.open.push(Open { anchor, node, key: None, merged: Vec::new() });
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Node, anchor: usize, is_merge: bool) -> Result<(), Issue> {
        self.count += 1;
        if self.count > MAX_NODES {
            return Err(Issue::error(node.span, format!("more than {MAX_NODES} values")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(list), _) => list.push(node),
            (_, None) if is_merge => open.key = Some(Key::Merge),
            (_, None) => open.key = Some(Key::Name(node)),
            (_, Some(Key::Merge)) => open.merged.push(node),
            (Value::Map(map), Some(Key::Name(key))) => {
                let name = match key.value {
                    // A null key is the text `null`, as in JavaScript.
                    Value::Null => Some("null".to_owned()),
                    _ => key.scalar_text(),
                };
                let Some(name) = name else {
                    return Err(Issue::error(key.span, "a key is neither text nor a number"));
                };
                if map.contains_key(&name) {
                    let issue = Issue::error(key.span, format!("the key `{name}` is given twice"));
                    self.issues.push(issue.expected("each key once"));
                } else {
                    map.insert(name, Entry { key: key.span, node });
                }
            }
            // Only lists and mappings are opened.
            _ => {}
        }
        Ok(())
    }
}

/// Adds the entries of `<<` that the mapping does not have itself.
fn merge(open: &mut Open) -> Result<(), Issue> {
    let Value::Map(map) = &mut open.node.value else { return Ok(()) };
    for node in std::mem::take(&mut open.merged) {
        let sources = match node.value {
            Value::List(list) => list,
            _ => vec![node],
        };
        for source in sources {
            let Value::Map(inherited) = source.value else {
                return Err(Issue::error(source.span, "only mappings can be merged by `<<`"));
            };
            for (key, entry) in inherited {
                map.entry(key).or_insert(entry);
            }
        }
    }
    Ok(())
}

/// A local tag without its `!`.
fn local(tag: Option<&Tag>) -> Option<Rc<str>> {
    tag.filter(|tag| tag.handle == "!" && !tag.suffix.is_empty())
        .map(|tag| tag.suffix.as_str().into())
}

/// A scalar's value: what is quoted, or has a tag other than the core schema's, is
/// text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    match (tag, core) {
        (_, Some("str")) => Value::Text(text.to_owned()),
        (_, Some(_)) => plain(text),
        (Some(_), None) => Value::Text(text.to_owned()),
        (None, None) if style == ScalarStyle::Plain => plain(text),
        (None, None) => Value::Text(text.to_owned()),
    }
}

/// The boolean that a word is in YAML 1.1 alone.
fn word_of_1_1(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A plain scalar by js-yaml 4's rules, which are YAML 1.2's core schema and `0b`.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    for (prefix, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            if !digits.chars().all(|c| c.is_digit(radix)) {
                return None;
            }
            let value = i64::from_str_radix(digits, radix).ok()?;
            return Some(Value::Int(if text.starts_with('-') { -value } else { value }));
        }
    }
    match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => {
            return Some(Value::Float(f64::NEG_INFINITY));
        }
        ".inf" | ".Inf" | ".INF" => return Some(Value::Float(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if text.len() == 4 => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    let first = unsigned.chars().next()?;
    let digits_or_dot = first.is_ascii_digit() || (first == '.' && unsigned == text);
    if !digits_or_dot
        || !unsigned.chars().all(|c| matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'))
    {
        return None;
    }
    if let Ok(integer) = text.parse() {
        return Some(Value::Int(integer));
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn read(text: &str) -> Result<(Node, Sources), String> {
        let mut sources = Sources::default();
        let file = sources.add("t.yml".into(), text.to_owned());
        let mut issues = Issues::default();
        let result = parse(file, text, &mut issues);
        if let Err(issue) = &result {
            issues.push(issue.clone());
        }
        if issues.has_errors() {
            return Err(issues.into_diagnostics(&sources)[0].to_string());
        }
        Ok((result.unwrap(), sources))
    }

    /// Checked against js-yaml 4.
    #[test]
    fn plain_scalars_are_those_of_js_yaml() {
        for (text, value) in [
            ("1", Value::Int(1)),
            ("01", Value::Int(1)),
            ("+1", Value::Int(1)),
            ("-0", Value::Int(0)),
            ("0o17", Value::Int(15)),
            ("0x1f", Value::Int(31)),
            ("0b11", Value::Int(3)),
            ("1e3", Value::Float(1000.0)),
            ("0.5", Value::Float(0.5)),
            (".5", Value::Float(0.5)),
            ("1.", Value::Float(1.0)),
            ("-.5", Value::Text("-.5".to_owned())),
            ("-0x1f", Value::Int(-31)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("99999999999999999999", Value::Float(1e20)),
            ("1e400", Value::Text("1e400".to_owned())),
            ("0x", Value::Text("0x".to_owned())),
            ("1:30", Value::Text("1:30".to_owned())),
            ("!!int '3'", Value::Int(3)),
            ("1_000", Value::Text("1_000".to_owned())),
            ("yes", Value::Text("yes".to_owned())),
            ("on", Value::Text("on".to_owned())),
            ("0o9", Value::Text("0o9".to_owned())),
            ("1.2.3", Value::Text("1.2.3".to_owned())),
            ("e", Value::Text("e".to_owned())),
            ("'1'", Value::Text("1".to_owned())),
            ("!!str 1", Value::Text("1".to_owned())),
            ("~", Value::Null),
            ("", Value::Null),
            ("TRUE", Value::Bool(true)),
        ] {
            assert_eq!(
                read(&format!("v: {text}")).unwrap().0.entry("v").unwrap().node.value,
                value,
                "{text}"
            );
        }
    }

    #[test]
    fn tags_anchors_and_merge_keys_are_kept() {
        let text =
            "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: !GetAtt Table.Arn\nd: !Sub [x, {}]\n";
        let (root, _) = read(text).unwrap();
        assert_eq!(root.at(&["b", "x"]).unwrap().value, Value::Int(1));
        assert_eq!(root.at(&["b", "y"]).unwrap().value, Value::Int(3));
        assert_eq!(root.get("c").unwrap().tag.as_deref(), Some("GetAtt"));
        assert_eq!(root.get("d").unwrap().tag.as_deref(), Some("Sub"));
    }

    #[test]
    fn merge_keys_take_lists_and_a_quoted_one_is_a_name() {
        let text = "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b], z: 3}\nd: {'<<': 1}\n";
        let (root, _) = read(text).unwrap();
        assert_eq!(root.at(&["c", "x"]).unwrap().value, Value::Int(1));
        assert_eq!(root.at(&["c", "y"]).unwrap().value, Value::Int(2));
        assert_eq!(root.at(&["d", "<<"]).unwrap().value, Value::Int(1));
        assert!(read("a: {<<: 1}\n").unwrap_err().contains("only mappings can be merged"));
    }

    #[test]
    fn spans_are_right_after_characters_of_several_bytes() {
        let (root, sources) = read("ü: 'é'\nb: here\n").unwrap();
        let place = sources.place(root.get("b").unwrap().span);
        assert_eq!((place.line, place.column, place.length), (2, 4, 4));
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let error = read("a: 1\nb:\n  c: 1\n  c: 2\n").unwrap_err();
        assert!(error.contains("`c` is given twice") && error.contains("t.yml:4:3"), "{error}");
    }

    #[test]
    fn nesting_and_aliases_are_bounded() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert!(read(&deep).unwrap_err().contains("nested deeper"), "deep");
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{},", level - 1).repeat(10);
            laughs += &format!("a{level}: &a{level} [{alias}]\n");
        }
        assert!(read(&laughs).unwrap_err().contains("more than"), "laughs");
    }
}
