//! Functions: which there are, what they are called with, and what their literal
//! arguments have to be.

use regex::Regex;

use crate::ast::{CastTo, Expr};
use crate::functions::{self, Function, Literal};
use crate::lexer::Token;
use crate::value::Value;
use crate::version::SqlVersion;

use super::{Parsed, Parser};

impl Parser<'_> {
    /// A function's name, and what it is called with.
    pub(super) fn call(&mut self) -> Parsed<Expr> {
        let Token::Word(written) = *self.token() else {
            return Err(self.unexpected("expected a function"));
        };
        let at = self.lexeme().start;
        let name = written.to_ascii_lowercase();
        self.at += 2;
        if name == "cast" {
            return self.cast();
        }
        if name == "encode" && self.is_symbol("*") {
            return self.encoded_payload();
        }
        let Some(function) = functions::find(&name) else {
            let (what, expected) = functions::unknown(written, &name);
            return Err(self.refused_at(at, &what, &expected));
        };
        if self.version < function.since {
            let what = format!("`{name}` in SQL {}", self.version);
            let expected = format!("it is there since {}", function.since);
            return Err(self.refused_at(at, &what, &expected));
        }
        let (arguments, places) = self.arguments()?;
        if !function.takes.contains(&arguments.len()) {
            let what = format!("`{name}` with {} arguments", arguments.len());
            return Err(self.refused_at(at, &what, &function.arity()));
        }
        let regex = self.literal(function, &arguments, &places)?;
        Ok(Expr::Call(function, arguments, regex))
    }

    /// The arguments and the bracket after them, with the bytes that they begin at. `*` is
    /// the payload.
    fn arguments(&mut self) -> Parsed<(Vec<Expr>, Vec<usize>)> {
        let (mut arguments, mut places) = (Vec::new(), Vec::new());
        if self.takes_symbol(")") {
            return Ok((arguments, places));
        }
        loop {
            places.push(self.lexeme().start);
            if self.takes_symbol("*") {
                self.names |= self.queries == 0;
                arguments.push(Expr::All);
            } else {
                arguments.push(self.expression(0)?);
            }
            if !self.takes_symbol(",") {
                self.symbol(")")?;
                return Ok((arguments, places));
            }
        }
    }

    /// Checks what has to be written out, or can be checked when it is.
    fn literal(
        &self,
        function: &Function,
        arguments: &[Expr],
        places: &[usize],
    ) -> Parsed<Option<Box<Regex>>> {
        let Some((index, literal)) = function.literal else { return Ok(None) };
        let (Some(argument), Some(&at)) = (arguments.get(index), places.get(index)) else {
            return Ok(None);
        };
        let text = match argument {
            Expr::Literal(Value::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let fault = match (literal, text) {
            (Literal::Regex, Some(text)) => match functions::compile(text) {
                Ok(regex) => return Ok(Some(Box::new(regex))),
                Err(fault) => Some(fault),
            },
            (Literal::TimeWritten, Some(text)) => functions::written_pattern_fault(text),
            (Literal::TimeRead, Some(text)) => functions::read_pattern_fault(text),
            (Literal::OneOf(names), text) => {
                let known = text.is_some_and(|text| names.contains(&text));
                (!known).then(|| format!("expected one of: '{}'", names.join("', '")))
            }
            (_, None) => None,
        };
        match fault {
            None => Ok(None),
            Some(expected) => {
                let what = match text {
                    Some(text) => format!("`{}` does not take '{text}' here", function.name),
                    None => format!("`{}` takes a literal here", function.name),
                };
                Err(self.refused_at(at, &what, &expected))
            }
        }
    }

    /// `encode(*, 'base64')`, from its star.
    fn encoded_payload(&mut self) -> Parsed<Expr> {
        self.since_2016("`encode`")?;
        self.at += 1;
        self.symbol(",")?;
        match self.token() {
            Token::Text(scheme) if scheme == "base64" => self.at += 1,
            _ => return Err(self.unexpected("the one encoding is 'base64'")),
        }
        self.symbol(")")?;
        Ok(Expr::EncodedPayload)
    }

    /// `cast(x AS type)`, from its bracket.
    fn cast(&mut self) -> Parsed<Expr> {
        let value = self.expression(0)?;
        self.keyword("AS", "expected AS: cast(x AS Int)")?;
        let types = "types are String, Int and Decimal, and since 2016-03-23 Boolean";
        let Token::Word(written) = *self.token() else { return Err(self.unexpected(types)) };
        let to = match written.to_ascii_lowercase().as_str() {
            "string" | "nvarchar" | "text" | "ntext" | "varchar" => CastTo::String,
            "int" | "integer" => CastTo::Int,
            "double" => CastTo::Decimal,
            "decimal" if self.version > SqlVersion::V2015_10_08 => CastTo::Decimal,
            "bool" | "boolean" if self.version > SqlVersion::V2015_10_08 => CastTo::Boolean,
            _ => return Err(self.unexpected(types)),
        };
        self.at += 1;
        self.symbol(")")?;
        Ok(Expr::Cast(Box::new(value), to))
    }
}
