//! Statements: SELECT, FROM and WHERE. What has a value is in [`expression`], functions
//! in [`call`].

mod call;
mod expression;

use crate::ast::{Column, Expr, Query, Selection, Step};
use crate::error::{Place, SqlError};
use crate::lexer::{Lexeme, Token, tokens};
use crate::rule::Rule;
use crate::version::SqlVersion;

/// The deepest nesting of an expression.
const MAX_DEPTH: usize = 64;

/// The most operators in one column or condition: `a OR b OR c` is as deep as it is long.
const MAX_OPERATORS: usize = 500;

/// The longest path of an alias.
const MAX_ALIAS: usize = 32;

/// Reads a statement.
pub(crate) fn parse(sql: &str, version: SqlVersion) -> Result<Rule, SqlError> {
    if sql.len() > crate::MAX_SQL_BYTES {
        return Err(SqlError {
            at: Place::of(sql, 0),
            what: format!("the statement has {} bytes", sql.len()),
            expected: format!("at most {} are read", crate::MAX_SQL_BYTES),
        });
    }
    let lexemes = tokens(sql)?;
    let mut parser =
        Parser { sql, lexemes, at: 0, version, depth: 0, operators: 0, queries: 0, names: false };
    parser.statement()
}

struct Parser<'s> {
    sql: &'s str,
    lexemes: Vec<Lexeme<'s>>,
    at: usize,
    version: SqlVersion,
    /// How deep in expressions this place is.
    depth: usize,
    /// Operators in this column or condition.
    operators: usize,
    /// How many nested queries this place is in.
    queries: usize,
    /// Whether a name of the payload was met.
    names: bool,
}

type Parsed<T> = Result<T, SqlError>;

// === impl Parser ===

impl<'s> Parser<'s> {
    fn statement(&mut self) -> Parsed<Rule> {
        self.keyword("SELECT", "a rule is `SELECT … FROM 'topic/filter' WHERE …`")?;
        let selection = self.selection()?;
        let filter = if self.takes("FROM") { Some(self.filter()?) } else { None };
        let condition = self.condition()?;
        if self.token() != &Token::End {
            let expected = if filter.is_some() && condition.is_none() {
                "expected WHERE, or the end after one topic filter"
            } else if condition.is_none() {
                "expected `,`, AS, FROM, WHERE or the end"
            } else {
                "expected an operator, or the end"
            };
            return Err(self.unexpected(expected));
        }
        let whole = match &selection {
            Selection::Value(value) => matches!(**value, Expr::All),
            Selection::Columns(columns) => matches!(columns.as_slice(), [Column::All]),
        };
        let query = Query { selection, from: None, condition };
        Ok(Rule { filter, query, version: self.version, whole, names: self.names })
    }

    /// `(SELECT … FROM array WHERE …)`, after its bracket.
    fn nested_query(&mut self) -> Parsed<Query> {
        self.since_2016("a nested query")?;
        self.keyword("SELECT", "expected a nested query")?;
        self.queries += 1;
        let selection = self.selection()?;
        self.queries -= 1;
        self.keyword("FROM", "a nested query says with FROM what it goes through")?;
        let from = Some(Box::new(self.expression(0)?));
        self.queries += 1;
        let condition = self.condition()?;
        self.queries -= 1;
        Ok(Query { selection, from, condition })
    }

    fn selection(&mut self) -> Parsed<Selection> {
        if self.is("VALUE") && self.value_is_keyword() {
            self.at += 1;
            self.operators = 0;
            let value = if self.takes_symbol("*") { Expr::All } else { self.expression(0)? };
            if self.is_symbol(",") {
                return Err(self.unexpected("SELECT VALUE takes one expression"));
            }
            return Ok(Selection::Value(Box::new(value)));
        }
        let mut columns = Vec::new();
        loop {
            columns.push(self.column()?);
            if !self.takes_symbol(",") {
                return Ok(Selection::Columns(columns));
            }
        }
    }

    /// Whether VALUE begins `SELECT VALUE …`; it may also be a member's name.
    fn value_is_keyword(&self) -> bool {
        let ends = |token: &Token<'_>| match token {
            Token::End => true,
            Token::Word(word) => word.eq_ignore_ascii_case("FROM"),
            Token::Symbol(symbol) => *symbol == ")",
            _ => false,
        };
        match self.token_after(1) {
            Token::Symbol("*") => ends(self.token_after(2)),
            Token::Symbol("(" | "[" | "{") => true,
            Token::Symbol(_) | Token::End => false,
            Token::Word(word) => !["AS", "FROM", "WHERE", "AND", "OR", "IN"]
                .iter()
                .any(|other| word.eq_ignore_ascii_case(other)),
            Token::Text(_) | Token::Number(_) => true,
        }
    }

    fn column(&mut self) -> Parsed<Column> {
        self.operators = 0;
        if self.takes_symbol("*") {
            return Ok(Column::All);
        }
        let start = self.lexeme().start;
        let value = self.expression(0)?;
        let text = &self.sql[start..self.end_before()];
        let path = if self.takes("AS") { self.alias()? } else { vec![default_name(&value, text)] };
        Ok(Column::Named { value, path })
    }

    /// `c.d`: where in the result a value is put.
    fn alias(&mut self) -> Parsed<Vec<String>> {
        let mut path = Vec::new();
        loop {
            let name = match self.token() {
                Token::Word(word) => (*word).to_owned(),
                Token::Text(text) => text.to_string(),
                _ => return Err(self.unexpected("expected a name after AS")),
            };
            path.push(name);
            self.at += 1;
            if path.len() > MAX_ALIAS {
                return Err(self.refused("a name of too many parts", "at most 32 are taken"));
            }
            if !self.takes_symbol(".") {
                return Ok(path);
            }
        }
    }

    /// The topic filter after FROM.
    fn filter(&mut self) -> Parsed<String> {
        let filter = match self.token() {
            Token::Text(filter) => filter.to_string(),
            _ => {
                return Err(self.unexpected("a topic filter stands in single quotes: FROM 'a/+/b'"));
            }
        };
        if let Some(fault) = filter_fault(&filter) {
            let what = format!("`{filter}` is no topic filter");
            return Err(self.refused(&what, fault));
        }
        self.at += 1;
        Ok(filter)
    }

    fn condition(&mut self) -> Parsed<Option<Expr>> {
        if !self.takes("WHERE") {
            return Ok(None);
        }
        self.operators = 0;
        self.expression(0).map(Some)
    }

    fn lexeme(&self) -> &Lexeme<'s> {
        // The last is the end, which nothing steps over.
        &self.lexemes[self.at.min(self.lexemes.len() - 1)]
    }

    fn token(&self) -> &Token<'s> {
        &self.lexeme().token
    }

    fn token_after(&self, steps: usize) -> &Token<'s> {
        &self.lexemes[(self.at + steps).min(self.lexemes.len() - 1)].token
    }

    /// The byte at which what was read last ends.
    fn end_before(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.lexemes.get(at)).map_or(0, |before| before.end)
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(self.token(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let is = self.is(keyword);
        self.at += usize::from(is);
        is
    }

    fn keyword(&mut self, keyword: &str, expected: &str) -> Parsed<()> {
        if self.takes(keyword) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.token(), Token::Symbol(other) if *other == symbol)
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        let is = self.is_symbol(symbol);
        self.at += usize::from(is);
        is
    }

    fn symbol(&mut self, symbol: &str) -> Parsed<()> {
        if self.takes_symbol(symbol) {
            return Ok(());
        }
        Err(self.unexpected(&format!("expected `{symbol}`")))
    }

    fn since_2016(&self, what: &str) -> Parsed<()> {
        if self.version > SqlVersion::V2015_10_08 {
            return Ok(());
        }
        Err(self.refused(&format!("{what} in SQL 2015-10-08"), "it is there since 2016-03-23"))
    }

    /// The error that the next token is not what has to stand there.
    fn unexpected(&self, expected: &str) -> SqlError {
        let lexeme = self.lexeme();
        let what = match lexeme.token {
            Token::End => "the statement ends here".to_owned(),
            _ => format!("unexpected `{}`", &self.sql[lexeme.start..lexeme.end]),
        };
        self.refused(&what, expected)
    }

    /// An error at the next token.
    fn refused(&self, what: &str, expected: &str) -> SqlError {
        self.refused_at(self.lexeme().start, what, expected)
    }

    fn refused_at(&self, offset: usize, what: &str, expected: &str) -> SqlError {
        let at = Place::of(self.sql, offset);
        SqlError { at, what: what.to_owned(), expected: expected.to_owned() }
    }
}

/// The name of a column without AS: the last name of a path, or else the expression as
/// it is written.
fn default_name(value: &Expr, text: &str) -> String {
    match value {
        Expr::Name(name) => name.clone(),
        Expr::Path(_, steps) => match steps.last() {
            Some(Step::Key(name)) => name.clone(),
            _ => text.to_owned(),
        },
        _ => text.to_owned(),
    }
}

/// What is wrong with a topic filter (MQTT 5, 4.7).
fn filter_fault(filter: &str) -> Option<&'static str> {
    let mut levels = filter.split('/').rev();
    let last = levels.next().unwrap_or_default();
    if filter.is_empty() {
        Some("it is empty")
    } else if filter.contains('\0') {
        Some("U+0000 is in no topic")
    } else if (last.contains('#') && last != "#") || levels.clone().any(|l| l.contains('#')) {
        Some("`#` stands alone at the end, as in 'a/#'")
    } else if levels.chain([last]).any(|level| level.contains('+') && level != "+") {
        Some("`+` is a level of its own, as in 'a/+/b'")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
