//! A statement, parsed.

use regex::Regex;

use crate::functions::Function;
use crate::value::Value;

/// `SELECT … FROM … WHERE …`; also the nested ones.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) selection: Selection,
    /// What a nested query goes through; `None` for the statement itself.
    pub(crate) from: Option<Box<Expr>>,
    pub(crate) condition: Option<Expr>,
}

/// What a query makes of each thing that it takes.
#[derive(Debug)]
pub(crate) enum Selection {
    /// `SELECT VALUE …`.
    Value(Box<Expr>),
    /// An object of these.
    Columns(Vec<Column>),
}

/// One item of a SELECT list.
#[derive(Debug)]
pub(crate) enum Column {
    /// `*`: all that is there.
    All,
    /// A value, and the path in the result that it is put at.
    Named { value: Expr, path: Vec<String> },
}

/// Something that has a value.
#[derive(Debug)]
pub(crate) enum Expr {
    Literal(Value),
    /// The payload or, in a nested query, the element: `*`.
    All,
    /// A member of that.
    Name(String),
    /// What lies within a value.
    Path(Box<Expr>, Vec<Step>),
    Array(Vec<Expr>),
    Object(Vec<(String, Expr)>),
    Not(Box<Expr>),
    Negated(Box<Expr>),
    Binary(Box<Expr>, Operator, Box<Expr>),
    Case(Box<Case>),
    Query(Box<Query>),
    Exists(Box<Expr>),
    Cast(Box<Expr>, CastTo),
    /// `encode(*, 'base64')`: the payload's bytes, whatever they are.
    EncodedPayload,
    Call(&'static Function, Vec<Expr>, Option<Box<Regex>>),
}

/// One step of a path.
#[derive(Debug)]
pub(crate) enum Step {
    /// `.name`
    Key(String),
    /// `[0]`
    Index(Expr),
}

/// `CASE … WHEN … THEN … ELSE … END`
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) of: Expr,
    pub(crate) branches: Vec<(Expr, Expr)>,
    pub(crate) otherwise: Option<Expr>,
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
}

/// What `cast` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CastTo {
    String,
    Int,
    Decimal,
    Boolean,
}

// === impl Operator ===

impl Operator {
    /// How tightly it binds; more is tighter. NOT stands between AND and the
    /// comparisons.
    pub(crate) fn strength(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::In
            | Self::NotIn => NOT_STRENGTH,
            Self::Plus | Self::Minus => 4,
            Self::Times | Self::Over | Self::Modulo => 5,
        }
    }
}

/// What NOT takes binds at least as tightly as this.
pub(crate) const NOT_STRENGTH: u8 = 3;
