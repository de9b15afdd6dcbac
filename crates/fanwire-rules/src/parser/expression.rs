//! Expressions, by the strength of their operators.

use crate::ast::{Case, Expr, NOT_STRENGTH, Operator, Step};
use crate::decimal::Decimal;
use crate::lexer::Token;
use crate::value::Value;

use super::{MAX_DEPTH, MAX_OPERATORS, Parsed, Parser};

/// Words that begin no expression.
const KEYWORDS: [&str; 7] = ["SELECT", "FROM", "WHERE", "AND", "OR", "IN", "AS"];

impl Parser<'_> {
    /// An expression of operators that bind at least this tightly.
    pub(super) fn expression(&mut self, strength: u8) -> Parsed<Expr> {
        self.deeper(|parser| {
            let mut left = parser.operand()?;
            while let Some((operator, length)) = parser.operator() {
                if operator.strength() < strength.max(1) {
                    break;
                }
                parser.count_operator()?;
                parser.at += length;
                let right = parser.expression(operator.strength() + 1)?;
                left = Expr::Binary(Box::new(left), operator, Box::new(right));
            }
            Ok(left)
        })
    }

    /// Reads what is one level deeper than this place.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self
                .refused("an expression that is nested too deeply", "at most 64 levels are read"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn count_operator(&mut self) -> Parsed<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            let expected = "at most 500 are read; `x IN [a, b, c]` says what many ORs say";
            return Err(self.refused("too many operators in one expression", expected));
        }
        Ok(())
    }

    /// The operator that stands here, and how many tokens it has.
    fn operator(&self) -> Option<(Operator, usize)> {
        let operator = match self.token() {
            Token::Symbol(symbol) => match *symbol {
                "=" => Operator::Equal,
                "<>" | "!=" => Operator::NotEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                "+" => Operator::Plus,
                "-" => Operator::Minus,
                "*" => Operator::Times,
                "/" => Operator::Over,
                "%" => Operator::Modulo,
                _ => return None,
            },
            Token::Word(_) if self.is("AND") => Operator::And,
            Token::Word(_) if self.is("OR") => Operator::Or,
            Token::Word(_) if self.is("IN") => Operator::In,
            Token::Word(_) if self.is("NOT") => match self.token_after(1) {
                Token::Word(word) if word.eq_ignore_ascii_case("IN") => {
                    return Some((Operator::NotIn, 2));
                }
                _ => return None,
            },
            _ => return None,
        };
        Some((operator, 1))
    }

    /// What stands between operators.
    fn operand(&mut self) -> Parsed<Expr> {
        if self.takes("NOT") {
            return Ok(Expr::Not(Box::new(self.expression(NOT_STRENGTH)?)));
        }
        if self.takes_symbol("-") {
            return Ok(Expr::Negated(Box::new(self.deeper(Self::operand)?)));
        }
        let base = self.primary()?;
        let mut steps = Vec::new();
        loop {
            if self.takes_symbol(".") {
                let Token::Word(name) = self.token() else {
                    let expected = "expected a name; `get(object, 'any key')` takes others";
                    return Err(self.unexpected(expected));
                };
                steps.push(Step::Key((*name).to_owned()));
                self.at += 1;
            } else if self.takes_symbol("[") {
                steps.push(Step::Index(self.expression(0)?));
                self.symbol("]")?;
            } else if steps.is_empty() {
                return Ok(base);
            } else {
                return Ok(Expr::Path(Box::new(base), steps));
            }
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        match self.token().clone() {
            Token::Number(text) => self.number(text),
            Token::Text(text) => {
                self.at += 1;
                Ok(Expr::Literal(Value::String(text.into_owned())))
            }
            Token::Word(word) => self.word(word),
            Token::Symbol("(") => self.brackets(),
            Token::Symbol("[") => {
                self.since_2016("an array literal")?;
                self.at += 1;
                self.items("]").map(Expr::Array)
            }
            Token::Symbol("{") => self.object(),
            Token::Symbol("*") => Err(self.unexpected(
                "`*` stands in the SELECT list by itself, after VALUE, or in encode(*, 'base64')",
            )),
            _ => Err(self.unexpected("expected a name, a value or a function")),
        }
    }

    fn number(&mut self, text: &str) -> Parsed<Expr> {
        let Some(number) = Decimal::parse(text) else {
            return Err(
                self.refused(&format!("`{text}` is out of range"), "magnitudes end at 1E999")
            );
        };
        self.at += 1;
        let value = if text.contains(['.', 'e', 'E']) {
            Value::number(Some(number), self.version)
        } else {
            Value::int(Some(number))
        };
        Ok(Expr::Literal(value))
    }

    /// A constant, CASE, EXISTS, a function or a name.
    fn word(&mut self, word: &str) -> Parsed<Expr> {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if KEYWORDS.iter().any(|keyword| is(keyword)) {
            return Err(self.unexpected("expected a name, a value or a function"));
        }
        let constant = [
            ("NULL", Value::Null),
            ("TRUE", Value::Boolean(true)),
            ("FALSE", Value::Boolean(false)),
        ];
        if let Some((_, value)) = constant.into_iter().find(|(keyword, _)| is(keyword)) {
            self.at += 1;
            return Ok(Expr::Literal(value));
        }
        let called = self.token_after(1) == &Token::Symbol("(");
        if is("CASE") && !called && self.case_is_keyword() {
            return self.case();
        }
        if is("EXISTS") && matches!(self.token_after(1), Token::Symbol("(" | "[") | Token::Word(_))
        {
            self.at += 1;
            return Ok(Expr::Exists(Box::new(self.deeper(Self::operand)?)));
        }
        if called {
            return self.deeper(Self::call);
        }
        self.at += 1;
        self.names |= self.queries == 0;
        Ok(Expr::Name(word.to_owned()))
    }

    /// Whether CASE begins `CASE … WHEN`; it may also be a member's name.
    fn case_is_keyword(&self) -> bool {
        match self.token_after(1) {
            Token::Word(word) => !["AS", "FROM", "WHERE", "AND", "OR", "IN", "WHEN"]
                .iter()
                .any(|other| word.eq_ignore_ascii_case(other)),
            Token::Text(_) | Token::Number(_) => true,
            _ => false,
        }
    }

    fn case(&mut self) -> Parsed<Expr> {
        self.at += 1;
        let of = self.expression(0)?;
        let mut branches = Vec::new();
        while self.takes("WHEN") {
            let when = self.expression(0)?;
            self.keyword("THEN", "expected THEN")?;
            branches.push((when, self.expression(0)?));
        }
        if branches.is_empty() {
            return Err(self.unexpected("CASE needs a WHEN: CASE x WHEN 1 THEN 'a' ELSE 'b' END"));
        }
        let otherwise = if self.takes("ELSE") { Some(self.expression(0)?) } else { None };
        self.keyword("END", "expected WHEN, ELSE or END")?;
        Ok(Expr::Case(Box::new(Case { of, branches, otherwise })))
    }

    /// A nested query, a list, or an expression in brackets.
    fn brackets(&mut self) -> Parsed<Expr> {
        self.at += 1;
        if self.is("SELECT") {
            let query = self.deeper(Self::nested_query)?;
            self.symbol(")")?;
            return Ok(Expr::Query(Box::new(query)));
        }
        let mut items = self.items(")")?;
        match items.pop() {
            Some(only) if items.is_empty() => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(Expr::Array(items))
            }
            None => Err(self.refused("there is nothing in the brackets", "expected an expression")),
        }
    }

    /// Expressions with commas between, and the bracket after them.
    fn items(&mut self, close: &str) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        if self.takes_symbol(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression(0)?);
            if !self.takes_symbol(",") {
                self.symbol(close)?;
                return Ok(items);
            }
        }
    }

    fn object(&mut self) -> Parsed<Expr> {
        self.since_2016("an object literal")?;
        self.at += 1;
        let mut members = Vec::new();
        while !self.takes_symbol("}") {
            if !members.is_empty() {
                self.symbol(",")?;
            }
            let Token::Text(name) = self.token().clone() else {
                return Err(self.unexpected("the keys of an object are texts: {'key': value}"));
            };
            self.at += 1;
            self.symbol(":")?;
            members.push((name.into_owned(), self.expression(0)?));
        }
        Ok(Expr::Object(members))
    }
}
