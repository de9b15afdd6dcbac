//! Statements applied to messages.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use indexmap::IndexMap;

use crate::ast::{Case, CastTo, Column, Expr, Operator, Query, Selection, Step};
use crate::decimal::{Decimal, Rounding};
use crate::error::EvaluateError;
use crate::functions::Call;
use crate::message::Message;
use crate::operators;
use crate::value::Value;
use crate::version::SqlVersion;

/// The most work for one message, in bytes that are made; a step counts as some.
pub(crate) const MAX_WORK: usize = 16 * 1024 * 1024;

/// What the evaluation of one node of an expression counts as.
const STEP_WORK: usize = 16;

/// The name of a payload that is no object, beside other columns.
const PAYLOAD_NAME: &str = "payload";

/// One message in one rule.
#[derive(Debug)]
pub(crate) struct Evaluation<'m> {
    pub(crate) message: &'m Message<'m>,
    pub(crate) version: SqlVersion,
    pub(crate) random: fastrand::Rng,
    /// How much more work may be done.
    work: usize,
}

/// Something that has a value, or the error that ends the evaluation.
type Evaluated<T> = Result<T, EvaluateError>;

// === impl Evaluation ===

impl<'m> Evaluation<'m> {
    pub(crate) fn new(message: &'m Message<'m>, version: SqlVersion) -> Self {
        let random = fastrand::Rng::with_seed(message.seed);
        Self { message, version, random, work: MAX_WORK }
    }

    /// Takes work from the budget.
    pub(crate) fn spend(&mut self, work: usize) -> Evaluated<()> {
        self.work = self.work.checked_sub(work).ok_or(EvaluateError::TooMuchWork)?;
        Ok(())
    }

    /// Whether a query's WHERE is true of `scope`, or not there.
    pub(crate) fn takes(&mut self, query: &Query, scope: &Value) -> Evaluated<bool> {
        let Some(condition) = &query.condition else { return Ok(true) };
        Ok(self.value(condition, scope)?.to_boolean() == Some(true))
    }

    /// What a query's SELECT makes of `scope`.
    pub(crate) fn select(&mut self, query: &Query, scope: &Value) -> Evaluated<Value> {
        let columns = match &query.selection {
            Selection::Value(value) => {
                let value = self.value(value, scope)?;
                return self.own(value);
            }
            Selection::Columns(columns) => columns,
        };
        if let [Column::All] = columns.as_slice() {
            return self.own(Cow::Borrowed(scope));
        }
        let mut object = IndexMap::new();
        for column in columns {
            match (column, scope) {
                (Column::All, Value::Object(members)) => {
                    self.spend(scope.weight())?;
                    let members = members.iter().map(|(name, value)| (name.clone(), value.clone()));
                    object.extend(members);
                }
                (Column::All, other) => {
                    let other = self.own(Cow::Borrowed(other))?;
                    put(&mut object, PAYLOAD_NAME, &[], other);
                }
                (Column::Named { value, path }, _) => {
                    let value = self.value(value, scope)?;
                    let value = self.own(value)?;
                    if let [first, rest @ ..] = path.as_slice() {
                        put(&mut object, first, rest, value);
                    }
                }
            }
        }
        Ok(Value::Object(object))
    }

    /// The value of an expression, whose names are members of `scope`.
    fn value<'s>(&mut self, expr: &'s Expr, scope: &'s Value) -> Evaluated<Cow<'s, Value>> {
        self.spend(STEP_WORK)?;
        let value = match expr {
            Expr::Literal(value) => return Ok(Cow::Borrowed(value)),
            Expr::All => return Ok(Cow::Borrowed(scope)),
            Expr::Name(name) => return Ok(Cow::Borrowed(scope.member(name))),
            Expr::Path(base, steps) => return self.path(base, steps, scope),
            Expr::Case(case) => return self.case(case, scope),
            Expr::Array(items) => {
                let items = items.iter().map(|item| self.owned(item, scope));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Expr::Object(members) => self.object(members, scope)?,
            Expr::Not(operand) => match self.value(operand, scope)?.to_boolean() {
                Some(boolean) => Value::Boolean(!boolean),
                None => Value::Undefined,
            },
            Expr::Negated(operand) => {
                operators::negated(&*self.value(operand, scope)?, self.version)
            }
            Expr::Binary(..) => return self.chain(expr, scope),
            Expr::Query(query) => self.query(query, scope)?,
            Expr::Exists(operand) => Value::Boolean(match &*self.value(operand, scope)? {
                Value::Undefined => false,
                Value::Array(items) => !items.is_empty(),
                _ => true,
            }),
            Expr::Cast(operand, to) => self.cast(operand, *to, scope)?,
            Expr::EncodedPayload => {
                self.spend(self.message.payload.len())?;
                Value::String(BASE64_STANDARD.encode(self.message.payload))
            }
            Expr::Call(function, arguments, regex) => {
                let arguments = arguments.iter().map(|argument| self.value(argument, scope));
                let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                let regex = regex.as_deref();
                let value =
                    function.call(Call { arguments: &arguments, regex, evaluation: self })?;
                self.spend(value.weight())?;
                value
            }
        };
        Ok(Cow::Owned(value))
    }

    /// A value of one's own.
    fn own(&mut self, value: Cow<'_, Value>) -> Evaluated<Value> {
        if let Cow::Borrowed(value) = &value {
            self.spend(value.weight())?;
        }
        Ok(value.into_owned())
    }

    fn owned(&mut self, expr: &Expr, scope: &Value) -> Evaluated<Value> {
        let value = self.value(expr, scope)?;
        self.own(value)
    }

    fn path<'s>(
        &mut self,
        base: &'s Expr,
        steps: &'s [Step],
        scope: &'s Value,
    ) -> Evaluated<Cow<'s, Value>> {
        let mut at = self.value(base, scope)?;
        for step in steps {
            let index = match step {
                Step::Key(_) => None,
                Step::Index(index) => Some(self.value(index, scope)?),
            };
            at = match at {
                Cow::Borrowed(value) => Cow::Borrowed(inner(value, step, index.as_deref())),
                Cow::Owned(value) => {
                    let inner = Cow::Borrowed(inner(&value, step, index.as_deref()));
                    Cow::Owned(self.own(inner)?)
                }
            };
        }
        Ok(at)
    }

    fn case<'s>(&mut self, case: &'s Case, scope: &'s Value) -> Evaluated<Cow<'s, Value>> {
        let of = self.value(&case.of, scope)?;
        if of.is_undefined() {
            return Ok(Cow::Borrowed(Value::UNDEFINED));
        }
        for (when, then) in &case.branches {
            let when = self.value(when, scope)?;
            self.spend(of.weight().min(when.weight()))?;
            if of.equals(&when) == Some(true) {
                return self.value(then, scope);
            }
        }
        match &case.otherwise {
            Some(otherwise) => self.value(otherwise, scope),
            None => Ok(Cow::Borrowed(Value::UNDEFINED)),
        }
    }

    fn object(&mut self, members: &[(String, Expr)], scope: &Value) -> Evaluated<Value> {
        let mut object = IndexMap::with_capacity(members.len());
        for (name, value) in members {
            let value = self.owned(value, scope)?;
            put(&mut object, name, &[], value);
        }
        Ok(Value::Object(object))
    }

    /// Operators in a row, from the left: however many they are, they are as deep as one.
    fn chain<'s>(&mut self, expr: &'s Expr, scope: &'s Value) -> Evaluated<Cow<'s, Value>> {
        let mut first = expr;
        let mut rest = Vec::new();
        while let Expr::Binary(left, operator, right) = first {
            rest.push((*operator, right));
            first = left;
        }
        let mut left = self.value(first, scope)?;
        for (operator, right) in rest.into_iter().rev() {
            let right = self.value(right, scope)?;
            left = Cow::Owned(self.binary(&left, operator, &right)?);
        }
        Ok(left)
    }

    fn binary(&mut self, left: &Value, operator: Operator, right: &Value) -> Evaluated<Value> {
        match operator {
            // What is compared with what: all of the smaller one, or of an array.
            Operator::Equal | Operator::NotEqual => {
                self.spend(left.weight().min(right.weight()))?;
            }
            Operator::In | Operator::NotIn => self.spend(right.weight())?,
            _ => {}
        }
        let value = operators::apply(left, operator, right, self.version);
        self.spend(value.weight())?;
        Ok(value)
    }

    /// A nested query: an array's elements one by one, anything else as one.
    fn query(&mut self, query: &Query, scope: &Value) -> Evaluated<Value> {
        let Some(from) = &query.from else { return Ok(Value::Undefined) };
        match &*self.value(from, scope)? {
            Value::Undefined => Ok(Value::Undefined),
            Value::Array(items) => {
                let mut rows = Vec::new();
                for item in items {
                    self.spend(STEP_WORK)?;
                    if self.takes(query, item)? {
                        rows.push(self.select(query, item)?);
                    }
                }
                rows.retain(|row| !row.is_undefined());
                Ok(Value::Array(rows))
            }
            other if self.takes(query, other)? => self.select(query, other),
            _ => Ok(Value::Undefined),
        }
    }

    /// As the standard conversions, and between numbers and booleans, too.
    fn cast(&mut self, operand: &Expr, to: CastTo, scope: &Value) -> Evaluated<Value> {
        let value = self.value(operand, scope)?;
        let number = match &*value {
            Value::Boolean(true) => Some(Decimal::ONE),
            Value::Boolean(false) => Some(Decimal::ZERO),
            other => other.to_decimal(),
        };
        let value = match (to, &*value) {
            (CastTo::String, value) => {
                self.spend(value.weight())?;
                value.to_text().map_or(Value::Undefined, Value::text)
            }
            (CastTo::Int, _) => Value::int(number.map(|n| n.rounded(0, Rounding::Down))),
            (CastTo::Decimal, _) => Value::number(number, self.version),
            (CastTo::Boolean, Value::Int(_) | Value::Decimal(_)) => {
                number.map_or(Value::Undefined, |number| Value::Boolean(!number.is_zero()))
            }
            (CastTo::Boolean, value) => value.to_boolean().map_or(Value::Undefined, Value::Boolean),
        };
        Ok(value)
    }
}

/// What lies one step within a value.
fn inner<'v>(value: &'v Value, step: &Step, index: Option<&Value>) -> &'v Value {
    match (step, index) {
        (Step::Key(name), _) => value.member(name),
        (Step::Index(_), Some(index)) => operators::element(value, index),
        (Step::Index(_), None) => Value::UNDEFINED,
    }
}

/// Puts a value into an object, below the objects that `rest` names. Undefined is put
/// nowhere.
fn put(object: &mut IndexMap<String, Value>, first: &str, rest: &[String], value: Value) {
    if value.is_undefined() {
        return;
    }
    let [next, rest @ ..] = rest else {
        object.insert(first.to_owned(), value);
        return;
    };
    let inner = object.entry(first.to_owned()).or_default();
    if !matches!(inner, Value::Object(_)) {
        *inner = Value::Object(IndexMap::new());
    }
    if let Value::Object(members) = inner {
        put(members, next, rest, value);
    }
}
