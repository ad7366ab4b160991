//! Scalar expressions, as PostgreSQL's raw parser shapes them: names unresolved, types unknown.
//!
//! Built by `grammar/`, read by the binder and by `deparse.rs`.
//! An [`Expr`] is 16 bytes: every variant is a box or a few words, so that parsing and binding use little stack.
//! Spans: `start` is the location PostgreSQL reports for that node, `end` the end of the token that stands there.

use types::Span;

use super::select::{SelectStmt, SortBy, WindowDef};
use super::types::TypeName;

/// A scalar expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `a`, `t.a`, `s.t.*`, `*`.
    ColumnRef(Box<ColumnRef>),
    /// `$1`.
    ParamRef(ParamRef),
    /// A literal.
    Const(Box<Const>),
    /// `a + b`, `- a`, `a OPERATOR(s.+) b`.
    Operator(Box<OperatorExpr>),
    /// `a = ANY (array)`, `a = ALL (array)`.
    OperatorArray(Box<OperatorArrayExpr>),
    /// AND, OR (two or more arguments: chains arrive flat), NOT (one).
    Bool(Box<BoolExpr>),
    /// `a IS [NOT] DISTINCT FROM b`.
    Distinct(Box<DistinctExpr>),
    /// `NULLIF(a, b)`.
    NullIf(Box<NullIfExpr>),
    /// `a [NOT] IN (1, 2, 3)`; with a sub-select it is a [`SubLink`].
    In(Box<InExpr>),
    /// LIKE, ILIKE, SIMILAR TO.
    Like(Box<LikeExpr>),
    /// `[NOT] BETWEEN [SYMMETRIC]`.
    Between(Box<BetweenExpr>),
    /// `IS [NOT] NULL`.
    NullTest(Box<NullTest>),
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`.
    BooleanTest(Box<BooleanTest>),
    /// A sub-select in an expression.
    SubLink(Box<SubLink>),
    /// A function call, also of the spelled-out kind (`EXTRACT(year FROM d)`).
    FuncCall(Box<FuncCall>),
    /// `CAST(a AS t)`, `a::t`, `t 'literal'`.
    TypeCast(Box<TypeCast>),
    /// CASE.
    Case(Box<CaseExpr>),
    /// `COALESCE(…)`.
    Coalesce(Box<CoalesceExpr>),
    /// GREATEST and LEAST.
    MinMax(Box<MinMaxExpr>),
    /// `ROW(a, b)`, `(a, b)`.
    Row(Box<RowExpr>),
    /// `ARRAY[…]`.
    Array(Box<ArrayExpr>),
    /// `a[1]`, `a[1:2]`, `(a).b`, `(a).*`.
    Indirection(Box<IndirectionExpr>),
    /// `a COLLATE "C"`.
    Collate(Box<CollateExpr>),
    /// `GROUPING(a, b)`.
    Grouping(Box<GroupingFunc>),
    /// CURRENT_DATE, CURRENT_USER and their like.
    SqlValueFunction(SqlValueFunction),
    /// DEFAULT, in VALUES of an INSERT or the right side of SET.
    SetToDefault(Span),
    /// `WHERE CURRENT OF cursor`.
    CurrentOf(Box<CurrentOf>),
}

impl Expr {
    /// Where PostgreSQL's error cursor would point for this node: for an operator its own token, not its left operand.
    pub fn span(&self) -> Span {
        match self {
            Expr::ColumnRef(x) => x.span,
            Expr::ParamRef(x) => x.span,
            Expr::Const(x) => x.span,
            Expr::Operator(x) => x.span,
            Expr::OperatorArray(x) => x.span,
            Expr::Bool(x) => x.span,
            Expr::Distinct(x) => x.span,
            Expr::NullIf(x) => x.span,
            Expr::In(x) => x.span,
            Expr::Like(x) => x.span,
            Expr::Between(x) => x.span,
            Expr::NullTest(x) => x.span,
            Expr::BooleanTest(x) => x.span,
            Expr::SubLink(x) => x.span,
            Expr::FuncCall(x) => x.span,
            Expr::TypeCast(x) => x.span,
            Expr::Case(x) => x.span,
            Expr::Coalesce(x) => x.span,
            Expr::MinMax(x) => x.span,
            Expr::Row(x) => x.span,
            Expr::Array(x) => x.span,
            Expr::Indirection(x) => x.span,
            Expr::Collate(x) => x.span,
            Expr::Grouping(x) => x.span,
            Expr::SqlValueFunction(x) => x.span,
            Expr::SetToDefault(span) => *span,
            Expr::CurrentOf(x) => x.span,
        }
    }

    /// The leftmost location in the expression (PostgreSQL's `exprLocation`): where an error about the whole points.
    pub fn start_span(&self) -> Span {
        let mut best = self.span();
        let mut at = self;
        loop {
            at = match at {
                Expr::Operator(x) => match &x.left {
                    Some(left) => left,
                    None => return best,
                },
                Expr::OperatorArray(x) => &x.left,
                Expr::Bool(x) => match x.args.first() {
                    Some(first) => first,
                    None => return best,
                },
                Expr::Distinct(x) => &x.left,
                Expr::In(x) => &x.expr,
                Expr::Like(x) => &x.expr,
                Expr::Between(x) => &x.expr,
                Expr::NullTest(x) => &x.arg,
                Expr::BooleanTest(x) => &x.arg,
                Expr::TypeCast(x) => &x.arg,
                Expr::Indirection(x) => &x.arg,
                Expr::Collate(x) => &x.arg,
                Expr::SubLink(x) => match &x.test {
                    Some(test) => test,
                    None => return best,
                },
                _ => return best,
            };
            if at.span().start < best.start {
                best = at.span();
            }
        }
    }
}

/// A possibly qualified column name, possibly ending in a star.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRef {
    /// `s.t.a` → `["s", "t", "a"]`; `t.*` → `["t"]`; `*` → `[]`.
    pub fields: Vec<String>,
    /// The last field is `*`.
    pub star: bool,
    pub span: Span,
}

/// `$number`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamRef {
    pub number: u32,
    pub span: Span,
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub struct Const {
    pub value: ConstValue,
    pub span: Span,
}

/// What a literal says; string escapes are already resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum ConstValue {
    Null,
    Boolean(bool),
    /// An integer literal that fits: int4 when it fits i32, int8 otherwise. `-1` is a folded constant, as in PostgreSQL.
    Integer(i64),
    /// Any other number, digits as written, with a leading `-` when folded: `1.50`, `1e10`, `99999999999999999999`.
    Numeric(String),
    /// A string literal, of type unknown.
    String(String),
    /// `B'101'` → `b101`, `X'1F'` → `x1F`.
    BitString(String),
}

/// An operator's name, `OPERATOR(schema.+)` or plain `+`.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorName {
    pub schema: Option<String>,
    /// `!=` arrives as `<>`.
    pub name: String,
}

/// A binary operator, or a prefix operator when `left` is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorExpr {
    pub name: OperatorName,
    pub left: Option<Expr>,
    pub right: Expr,
    /// The operator's token.
    pub span: Span,
}

/// `left op ANY|ALL (array)`.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorArrayExpr {
    pub name: OperatorName,
    pub left: Expr,
    pub right: Expr,
    /// ALL rather than ANY or SOME.
    pub all: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoolOp {
    And,
    Or,
    Not,
}

/// `args` has two or more entries for AND and OR, one for NOT.
#[derive(Debug, Clone, PartialEq)]
pub struct BoolExpr {
    pub op: BoolOp,
    pub args: Vec<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DistinctExpr {
    pub left: Expr,
    pub right: Expr,
    /// IS NOT DISTINCT FROM.
    pub negated: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NullIfExpr {
    pub left: Expr,
    pub right: Expr,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct InExpr {
    pub expr: Expr,
    /// At least one.
    pub list: Vec<Expr>,
    pub negated: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikeKind {
    Like,
    ILike,
    SimilarTo,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LikeExpr {
    pub kind: LikeKind,
    pub expr: Expr,
    pub pattern: Expr,
    pub escape: Option<Expr>,
    pub negated: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BetweenExpr {
    pub expr: Expr,
    pub low: Expr,
    pub high: Expr,
    pub symmetric: bool,
    pub negated: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NullTest {
    pub arg: Expr,
    /// IS NOT NULL.
    pub negated: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BooleanTestKind {
    True,
    False,
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BooleanTest {
    pub arg: Expr,
    pub kind: BooleanTestKind,
    pub negated: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubLinkKind {
    /// `EXISTS (select)`.
    Exists,
    /// `test op ANY (select)`, `test IN (select)`.
    Any,
    /// `test op ALL (select)`.
    All,
    /// `(select)`: one row, one column.
    Expr,
    /// `ARRAY(select)`.
    Array,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SubLink {
    pub kind: SubLinkKind,
    /// ANY and ALL only; a [`RowExpr`] when several columns are compared.
    pub test: Option<Expr>,
    /// ANY and ALL only; `None` means it was written IN, which is `= ANY`. `NOT IN` is a NOT around that.
    pub operator: Option<OperatorName>,
    pub query: SelectStmt,
    pub span: Span,
}

/// One argument of a function call.
#[derive(Debug, Clone, PartialEq)]
pub struct FuncArg {
    /// `name => value`.
    pub name: Option<String>,
    pub value: Expr,
    /// The name, or where the value begins.
    pub span: Span,
}

/// A function call; grammar-level functions carry `pg_catalog` and PostgreSQL's internal name.
#[derive(Debug, Clone, PartialEq)]
pub struct FuncCall {
    /// `["pg_catalog", "extract"]`, `["lower"]`.
    pub name: Vec<String>,
    pub args: Vec<FuncArg>,
    /// `count(*)`.
    pub star: bool,
    /// `agg(DISTINCT …)`.
    pub distinct: bool,
    /// The last argument is VARIADIC.
    pub variadic: bool,
    /// `agg(x ORDER BY y)`, or what stands in WITHIN GROUP.
    pub order_by: Vec<SortBy>,
    pub within_group: bool,
    pub filter: Option<Expr>,
    pub over: Option<Box<WindowDef>>,
    /// Written in SQL's own syntax (EXTRACT … FROM, AT TIME ZONE, OVERLAY …), to be printed so.
    pub sql_syntax: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TypeCast {
    pub arg: Expr,
    pub type_name: TypeName,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CaseExpr {
    /// `CASE operand WHEN …`.
    pub operand: Option<Expr>,
    /// At least one.
    pub whens: Vec<CaseWhen>,
    pub else_: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CaseWhen {
    pub condition: Expr,
    pub result: Expr,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CoalesceExpr {
    pub args: Vec<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MinMaxExpr {
    /// GREATEST rather than LEAST.
    pub greatest: bool,
    pub args: Vec<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RowExpr {
    pub fields: Vec<Expr>,
    /// ROW was written.
    pub explicit: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ArrayExpr {
    pub elements: Vec<Expr>,
    pub span: Span,
}

/// What follows a base expression, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct IndirectionExpr {
    pub arg: Expr,
    /// At least one.
    pub path: Vec<Indirection>,
    pub span: Span,
}

/// `.name`, `[i]`, `[lo:hi]`, `.*`.
#[derive(Debug, Clone, PartialEq)]
pub enum Indirection {
    Field(String),
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
    Star,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CollateExpr {
    pub arg: Expr,
    /// The collation's name, perhaps qualified.
    pub collation: Vec<String>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct GroupingFunc {
    pub args: Vec<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlValueFunctionKind {
    CurrentDate,
    CurrentTime,
    CurrentTimestamp,
    LocalTime,
    LocalTimestamp,
    CurrentRole,
    CurrentUser,
    User,
    SessionUser,
    CurrentCatalog,
    CurrentSchema,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SqlValueFunction {
    pub kind: SqlValueFunctionKind,
    /// `CURRENT_TIME(3)`: 0 to 6 is what has meaning; larger values are cut by the binder with PostgreSQL's warning.
    pub precision: Option<u8>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CurrentOf {
    pub cursor: String,
    pub span: Span,
}
