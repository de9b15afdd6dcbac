//! Whether a document is one of those that a query asks for: all of its expressions hold.

use std::cmp::Ordering;

use tonic::Status;

use crate::proto::structure::{Kind, Struct};
use crate::proto::v0::{Expression, ExpressionValue, Operand};

/// The most expressions of one query.
const MAX_EXPRESSIONS: usize = 64;

/// A comparison of a document's field with a value.
#[derive(Debug)]
pub(crate) struct Condition {
    /// The field's name, or a path with dots.
    operand: String,
    operator: Operator,
    value: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    StartsWith,
}

/// Reads the expressions of a query.
pub(crate) fn conditions(expressions: Vec<Expression>) -> Result<Vec<Condition>, Status> {
    if expressions.len() > MAX_EXPRESSIONS {
        let why = format!("{} expressions; at most {MAX_EXPRESSIONS}", expressions.len());
        return Err(Status::invalid_argument(why));
    }
    expressions.into_iter().map(Condition::read).collect()
}

// === impl Condition ===

impl Condition {
    fn read(expression: Expression) -> Result<Self, Status> {
        let Expression { operand, operator, value } = expression;
        let operator = Operator::of(&operator).ok_or_else(|| {
            let expected = "one of == != < <= > >= startsWith";
            Status::invalid_argument(format!("`{operator}` is no operator: expected {expected}"))
        })?;
        match value {
            Some(ExpressionValue { kind: Some(value) }) if !operand.is_empty() => {
                Ok(Self { operand, operator, value })
            }
            _ => Err(Status::invalid_argument("an expression needs an operand and a value")),
        }
    }

    /// Whether it holds. A document without the field, or where it is of another type, is
    /// none of those that are asked for, but for `!=` of another type.
    pub(crate) fn holds(&self, document: &Struct) -> bool {
        let Some(field) = document.at(&self.operand) else { return false };
        if self.operator == Operator::StartsWith {
            return match (field, &self.value) {
                (Kind::Text(field), Operand::Text(beginning)) => field.starts_with(beginning),
                _ => false,
            };
        }
        match compare(field, &self.value) {
            Some(ordering) => self.operator.allows(ordering),
            None => self.operator == Operator::NotEqual,
        }
    }
}

// === impl Operator ===

impl Operator {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "startsWith" => Self::StartsWith,
            _ => return None,
        })
    }

    fn allows(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::StartsWith => false,
        }
    }
}

/// How a field stands to a value; `None` where the two cannot be compared.
fn compare(field: &Kind, value: &Operand) -> Option<Ordering> {
    match (field, value) {
        (Kind::Number(field), Operand::Double(value)) => field.partial_cmp(value),
        #[expect(clippy::cast_precision_loss, reason = "JavaScript sends no others")]
        (Kind::Number(field), Operand::Int(value)) => field.partial_cmp(&(*value as f64)),
        (Kind::Text(field), Operand::Text(value)) => Some(field.as_str().cmp(value)),
        (Kind::Bool(field), Operand::Bool(value)) => Some(field.cmp(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::structure::Value;

    fn document() -> Struct {
        let value = |kind| Value { kind: Some(kind) };
        let inner = [("city".to_owned(), value(Kind::Text("Oslo".to_owned())))];
        let inner = Struct { fields: inner.into() };
        let fields = [
            ("age".to_owned(), value(Kind::Number(41.5))),
            ("name".to_owned(), value(Kind::Text("Grace".to_owned()))),
            ("admin".to_owned(), value(Kind::Bool(true))),
            ("home".to_owned(), value(Kind::Struct(inner))),
        ];
        Struct { fields: fields.into() }
    }

    fn holds(operand: &str, operator: &str, value: Operand) -> bool {
        let expression = Expression {
            operand: operand.to_owned(),
            operator: operator.to_owned(),
            value: Some(ExpressionValue { kind: Some(value) }),
        };
        conditions(vec![expression]).unwrap()[0].holds(&document())
    }

    #[test]
    fn operators_compare_what_is_of_one_type() {
        let text = |text: &str| Operand::Text(text.to_owned());
        for (operand, operator, value, expected) in [
            ("age", "==", Operand::Double(41.5), true),
            ("age", ">", Operand::Int(41), true),
            ("age", "<=", Operand::Int(41), false),
            ("age", "==", text("41.5"), false),
            ("age", "!=", text("41.5"), true),
            ("name", ">=", text("Grace"), true),
            ("name", "<", text("Grace"), false),
            ("name", "startsWith", text("Gr"), true),
            ("name", "startsWith", text("gr"), false),
            ("age", "startsWith", text("4"), false),
            ("admin", "==", Operand::Bool(true), true),
            ("admin", "!=", Operand::Bool(true), false),
            ("home.city", "==", text("Oslo"), true),
            ("home.street", "!=", text("x"), false),
            ("missing", "==", text(""), false),
        ] {
            assert_eq!(
                holds(operand, operator, value.clone()),
                expected,
                "{operand} {operator} {value:?}"
            );
        }
    }

    #[test]
    fn an_expression_that_is_none_is_refused() {
        let expression = Expression {
            operand: "a".to_owned(),
            operator: "=~".to_owned(),
            value: Some(ExpressionValue { kind: Some(Operand::Int(1)) }),
        };
        let refused = conditions(vec![expression.clone()]).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(refused.message().contains("startsWith"));
        let without = Expression { operator: "==".to_owned(), value: None, ..expression };
        assert!(conditions(vec![without]).is_err());
    }
}
