//! SQL as tokens, each with its place.

use std::borrow::Cow;

use crate::error::{Place, SqlError};

/// The smallest unit of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token<'s> {
    /// A keyword or a name: which, depends on where it stands.
    Word(&'s str),
    /// What quotes hold; a doubled quote is one.
    Text(Cow<'s, str>),
    /// A number, as it is written.
    Number(&'s str),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// The statement is over.
    End,
}

/// A token and the bytes that it stands at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lexeme<'s> {
    pub(crate) token: Token<'s>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Longer ones first, so that `<=` is not `<` and `=`.
const SYMBOLS: [&str; 21] = [
    "<>", "<=", ">=", "!=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "*", "/", "%", "+", "-",
    "<", ">", "=",
];

/// Cuts a statement into tokens; the last is [`Token::End`].
pub(crate) fn tokens(sql: &str) -> Result<Vec<Lexeme<'_>>, SqlError> {
    let mut lexemes = Vec::new();
    let mut at = 0;
    loop {
        let rest = &sql[at..];
        let trimmed = rest.trim_start();
        let start = at + (rest.len() - trimmed.len());
        let (token, length) = token(sql, start, trimmed)?;
        at = start + length;
        let end = token == Token::End;
        lexemes.push(Lexeme { token, start, end: at });
        if end {
            return Ok(lexemes);
        }
    }
}

/// The token that `rest` begins with, and its length in bytes.
fn token<'s>(sql: &str, at: usize, rest: &'s str) -> Result<(Token<'s>, usize), SqlError> {
    let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
    if first == '\'' || first == '"' {
        return text(sql, at, rest, first);
    }
    if first.is_ascii_digit() {
        let length = number_length(rest);
        return Ok((Token::Number(&rest[..length]), length));
    }
    if first.is_alphabetic() || first == '_' {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        return Ok((Token::Word(&rest[..length]), length));
    }
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
        return Ok((Token::Symbol(symbol), symbol.len()));
    }
    let expected = match first {
        '–' | '—' | '−' => "a minus is written `-`".to_owned(),
        '‘' | '’' | '“' | '”' => "text stands in straight quotes, ' or \"".to_owned(),
        '$' => "templates such as ${topic()} have no place in a rule's SQL".to_owned(),
        '#' => "a topic filter stands in single quotes".to_owned(),
        _ => "expected a name, a number, text in quotes or an operator".to_owned(),
    };
    Err(SqlError {
        at: Place::of(sql, at),
        what: format!("`{first}` means nothing here"),
        expected,
    })
}

/// Text in quotes of one kind; the other kind may stand in it.
fn text<'s>(
    sql: &str,
    at: usize,
    rest: &'s str,
    quote: char,
) -> Result<(Token<'s>, usize), SqlError> {
    let mut end = 1;
    loop {
        let Some(found) = rest[end..].find(quote) else {
            return Err(SqlError {
                at: Place::of(sql, at),
                what: "a quote is opened and not closed".to_owned(),
                expected: format!("expected another {quote} after the text"),
            });
        };
        end += found + 1;
        if !rest[end..].starts_with(quote) {
            break;
        }
        end += 1;
    }
    let inner = &rest[1..end - 1];
    let doubled = [quote, quote].iter().collect::<String>();
    let text = if inner.contains(&doubled) {
        Cow::Owned(inner.replace(&doubled, quote.encode_utf8(&mut [0; 4])))
    } else {
        Cow::Borrowed(inner)
    };
    Ok((Token::Text(text), end))
}

/// Digits, then perhaps a point with digits, then perhaps an exponent.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    if text[length..].starts_with('.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Vec<Token<'_>> {
        tokens(sql).unwrap().into_iter().map(|lexeme| lexeme.token).collect()
    }

    #[test]
    fn tokens_have_their_places() {
        let lexemes = tokens(" SELECT  a.b").unwrap();
        let places: Vec<_> = lexemes.iter().map(|lexeme| (lexeme.start, lexeme.end)).collect();
        assert_eq!(places, [(1, 7), (9, 10), (10, 11), (11, 12), (12, 12)]);
    }

    #[test]
    fn numbers_end_where_they_end() {
        use Token::{End, Number, Symbol, Word};
        assert_eq!(of("1.5e-3"), [Number("1.5e-3"), End]);
        assert_eq!(of("1.e"), [Number("1"), Symbol("."), Word("e"), End]);
        assert_eq!(of("2em"), [Number("2"), Word("em"), End]);
    }

    #[test]
    fn quotes_of_one_kind_hold_those_of_the_other_and_doubled_ones() {
        let text = |sql| match of(sql).remove(0) {
            Token::Text(text) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(r#""d 'at' H""#), "d 'at' H");
        assert_eq!(text("'it''s'"), "it's");
        assert_eq!(text("''"), "");
    }

    #[test]
    fn what_is_no_token_says_what_to_write() {
        let error = tokens("SELECT a\n – 1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2, column 2: `–` means nothing here; a minus is written `-`"
        );
        let error = tokens("SELECT 'a").unwrap_err();
        assert_eq!((error.at.offset, error.at.column), (7, 8));
    }
}
