//! The grammar of `${type(params):address, fallback, …}` inside text, as the
//! Serverless Framework 3 parses it. Text that does not begin like a variable, such
//! as `${AWS::Region}` or `${stageVariables.host}`, is not one and stays as it is.

use crate::node::Value;

/// A text that holds at least one variable or escape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    Variable(Variable),
}

/// One `${…}`: the first source that has a value gives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variable {
    /// The variable as it was written, for messages and to find its place.
    pub(super) text: String,
    pub(super) sources: Vec<Source>,
}

/// One of the alternatives of a variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// `kind(params):address`
    Lookup { kind: String, params: Vec<Argument>, address: Option<Argument> },
    /// A value that is written out.
    Literal(Value),
    /// A variable as a fallback of another: `${a:x, ${b:y}}`.
    Nested(Variable),
}

/// A parameter or an address.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Literal(Value),
    Template(Template),
}

impl Template {
    /// The variable, where there is nothing else.
    pub(super) fn whole(&self) -> Option<&Variable> {
        match self.parts.as_slice() {
            [Part::Variable(variable)] => Some(variable),
            _ => None,
        }
    }
}

/// What variables begin with that have a value only later: those of policies when a
/// client connects (`${iot:ClientId}`, `${claim:NAME}`), and `${server:address}` when the
/// server listens.
const LATER_KINDS: [&str; 3] = ["iot", "claim", "server"];

/// How deep variables may stand inside each other's text.
const MAX_NESTING: usize = 16;

/// Parses a text; `None` where it holds no variable and no escape.
///
/// # Errors
///
/// What is wrong with a text that begins like a variable and does not go on like
/// one.
pub(super) fn parse(text: &str) -> Result<Option<Template>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut parser = Parser { text, at: 0, nesting: 0 };
    let parts = parser.template(&[])?;
    let unchanged = matches!(parts.as_slice(), [Part::Text(only)] if only == text);
    Ok((!unchanged).then_some(Template { parts }))
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn skip_spaces(&mut self) {
        while self.eat(' ') {}
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !accept(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// Text and variables up to one of the characters `ends`, which is not consumed.
    fn template(&mut self, ends: &[char]) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            if ends.contains(&c) {
                break;
            }
            let slashes = self.rest().len() - self.rest().trim_start_matches('\\').len();
            if slashes > 0 {
                self.at += slashes;
                if self.rest().starts_with("${") {
                    // A pair of backslashes is one; a single one escapes the variable.
                    text.push_str(&"\\".repeat(slashes / 2));
                    if slashes % 2 == 1 {
                        text.push_str("${");
                        self.at += 2;
                    }
                } else {
                    text.push_str(&"\\".repeat(slashes));
                }
            } else if self.rest().starts_with("${") {
                match self.variable()? {
                    Some(variable) => {
                        if !text.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut text)));
                        }
                        parts.push(Part::Variable(variable));
                    }
                    None => {
                        text.push_str("${");
                        self.at += 2;
                    }
                }
            } else {
                text.push(c);
                self.at += c.len_utf8();
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(parts)
    }

    /// A variable, where one begins here; otherwise nothing is consumed.
    fn variable(&mut self) -> Result<Option<Variable>, String> {
        let start = self.at;
        self.at += 2;
        let looks_right = self.peek().is_some_and(|c| c.is_ascii_lowercase());
        let kind = self.take_while(is_word);
        let address = self.eat(':');
        let foreign = if address {
            self.skip_spaces();
            self.peek() == Some(':') || LATER_KINDS.contains(&kind)
        } else {
            self.peek() != Some('(')
        };
        self.at = start;
        if !looks_right || foreign {
            return Ok(None);
        }
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(format!("variables stand inside each other more than {MAX_NESTING} deep"));
        }
        self.at += 2;
        let mut sources = vec![self.lookup()?];
        loop {
            if self.eat('}') {
                break;
            }
            if !self.eat(',') {
                return Err(match self.peek() {
                    Some(c) => format!("`{c}` is not expected after a source; `,` or `}}` is"),
                    None => "the variable is not closed with `}`".to_owned(),
                });
            }
            sources.push(self.fallback()?);
            self.skip_spaces();
        }
        self.nesting -= 1;
        Ok(Some(Variable { text: self.text[start..self.at].to_owned(), sources }))
    }

    /// `kind(params):address`
    fn lookup(&mut self) -> Result<Source, String> {
        let kind = self.take_while(is_word).to_owned();
        let mut params = Vec::new();
        if self.eat('(') {
            params = self.params()?;
            self.skip_spaces();
        }
        let mut address = None;
        if self.eat(':') {
            self.skip_spaces();
            if !matches!(self.peek(), Some('}' | ',') | None) {
                address = Some(self.argument(&['}', ','])?);
            }
        }
        Ok(Source::Lookup { kind, params, address })
    }

    fn params(&mut self) -> Result<Vec<Argument>, String> {
        let mut params = Vec::new();
        loop {
            self.skip_spaces();
            if self.eat(')') {
                return Ok(params);
            }
            if self.eat(',') {
                params.push(Argument::Literal(Value::Null));
                continue;
            }
            let param = self.argument(&[')', ',', '}'])?;
            params.push(match param {
                Argument::Literal(Value::Text(text)) => {
                    Argument::Literal(literal(&text).unwrap_or(Value::Text(text)))
                }
                other => other,
            });
            self.skip_spaces();
            if !self.eat(',') && self.peek() != Some(')') {
                return Err("the parameters are not closed with `)`".to_owned());
            }
        }
    }

    /// A quoted text, or text and variables up to one of `ends`.
    fn argument(&mut self, ends: &[char]) -> Result<Argument, String> {
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            let text = self.quoted(quote)?;
            self.skip_spaces();
            return Ok(Argument::Literal(Value::Text(text)));
        }
        let mut parts = self.template(ends)?;
        if let Some(Part::Text(last)) = parts.last_mut() {
            last.truncate(last.trim_end().len());
        }
        Ok(match parts.as_slice() {
            [] => Argument::Literal(Value::Text(String::new())),
            [Part::Text(text)] => Argument::Literal(Value::Text(text.clone())),
            _ => Argument::Template(Template { parts }),
        })
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        self.at += 1;
        let start = self.at;
        let unclosed = || format!("a text is not closed with {quote}");
        if quote == '\'' {
            let text = self.take_while(|c| c != '\'');
            return if self.eat('\'') { Ok(text.to_owned()) } else { Err(unclosed()) };
        }
        loop {
            self.take_while(|c| c != '"' && c != '\\');
            if self.eat('\\') {
                self.at += self.peek().ok_or_else(unclosed)?.len_utf8();
            } else if self.eat('"') {
                let json = &self.text[start - 1..self.at];
                return serde_json::from_str(json)
                    .map_err(|error| format!("{json} is not a text as in JSON: {error}"));
            } else {
                return Err(unclosed());
            }
        }
    }

    /// What stands after a comma: another source or a literal.
    fn fallback(&mut self) -> Result<Source, String> {
        self.skip_spaces();
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            return Ok(Source::Literal(Value::Text(self.quoted(quote)?)));
        }
        if self.rest().starts_with("${") {
            let nested = self.variable()?;
            return nested.map(Source::Nested).ok_or_else(|| not_a_source(self.rest()));
        }
        let start = self.at;
        let word = self.take_while(is_word);
        if matches!(self.peek(), Some(':' | '('))
            && word.starts_with(|c: char| c.is_ascii_lowercase())
        {
            self.at = start;
            return self.lookup();
        }
        literal(word).map(Source::Literal).ok_or_else(|| not_a_source(word))
    }
}

fn not_a_source(word: &str) -> String {
    format!(
        "`{word}` is not a fallback; write a source such as self:custom.a, or a literal: \
         'text' in quotes, a number, true, false or null"
    )
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-')
}

fn literal(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ => match word.parse() {
            Ok(integer) => Some(Value::Int(integer)),
            // Rust reads `inf` and `nan`; JavaScript does not.
            Err(_) => word
                .parse()
                .ok()
                .filter(|_| word.contains(|c: char| c.is_ascii_digit()))
                .map(Value::Float),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(kind: &str, params: &[&str], address: Option<&str>) -> Source {
        let argument = |text: &str| Argument::Literal(Value::Text(text.to_owned()));
        Source::Lookup {
            kind: kind.to_owned(),
            params: params.iter().map(|text| argument(text)).collect(),
            address: address.map(argument),
        }
    }

    fn sources(text: &str) -> Vec<Source> {
        parse(text).unwrap().unwrap().whole().unwrap().sources.clone()
    }

    #[test]
    fn a_variable_has_a_kind_parameters_an_address_and_fallbacks() {
        assert_eq!(sources("${self:a.b}"), [lookup("self", &[], Some("a.b"))]);
        assert_eq!(sources("${self:}"), [lookup("self", &[], None)]);
        assert_eq!(
            sources("${file( ./a b.yml ) : x}"),
            [lookup("file", &["./a b.yml"], Some("x"))]
        );
        assert_eq!(
            sources(r#"${ssm(eu-west-1, "raw"):/p/q, opt:x, 'it}', "a\"b"}"#),
            [
                lookup("ssm", &["eu-west-1", "raw"], Some("/p/q")),
                lookup("opt", &[], Some("x")),
                Source::Literal(Value::Text("it}".to_owned())),
                Source::Literal(Value::Text("a\"b".to_owned())),
            ]
        );
        assert_eq!(sources("${opt:x, 1.5}")[1], Source::Literal(Value::Float(1.5)));
        assert_eq!(sources("${opt:x, null}")[1], Source::Literal(Value::Null));
    }

    #[test]
    fn variables_stand_inside_addresses_and_beside_text() {
        let template = parse("a-${self:x.${opt:stage}.y}-${AWS::Region}").unwrap().unwrap();
        let [Part::Text(before), Part::Variable(variable), Part::Text(after)] =
            template.parts.as_slice()
        else {
            panic!("{template:?}")
        };
        assert_eq!((before.as_str(), after.as_str()), ("a-", "-${AWS::Region}"));
        let Source::Lookup { address: Some(Argument::Template(inner)), .. } = &variable.sources[0]
        else {
            panic!("{variable:?}")
        };
        assert_eq!(inner.parts.len(), 3);
    }

    #[test]
    fn what_does_not_begin_like_a_variable_is_text() {
        for text in [
            "${AWS::Region}",
            "${Table}",
            "${request.body.a}/${x}",
            "$x",
            "${}",
            "${a b:c}",
            "${a::b}",
            "${",
        ] {
            assert_eq!(parse(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn backslashes_escape() {
        let text = |input: &str| match parse(input).unwrap().unwrap().parts.remove(0) {
            Part::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(r"\${self:a}"), "${self:a}");
        assert_eq!(text(r"\\${self:a}"), r"\");
        assert_eq!(text(r"\\\${self:a}"), r"\${self:a}");
    }

    #[test]
    fn a_malformed_variable_says_what_is_wrong() {
        for (text, fault) in [
            ("${self:a", "not closed with `}`"),
            ("${opt:stage, dev}", "`dev` is not a fallback"),
            ("${file(./a", "not closed with `)`"),
            ("${opt:a, 'x}", "not closed with '"),
            ("${opt:a, 'x' y}", "`y` is not expected"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
        let deep = "${self:".repeat(MAX_NESTING + 1);
        assert!(parse(&deep).unwrap_err().contains("inside each other"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in r#"([a-z${}():,'" \\.é]|\$\{){0,40}"#) {
            let _ = parse(&text);
        }
    }
}
