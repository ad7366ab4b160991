//! SELECT, VALUES, set operations, and what may stand in FROM and WITH.
//!
//! Built by `grammar/select.rs`. Chains of UNION, EXCEPT and INTERSECT arrive flat, so that a thousand
//! arms are no deeper than two; joins are left-deep, as written.

use types::Span;

use super::Node;
use super::expr::Expr;
use super::types::TypeName;

/// A whole query: a body, and the clauses that apply to its result.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectStmt {
    pub with: Option<Box<WithClause>>,
    pub body: SelectBody,
    pub order_by: Vec<SortBy>,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    /// FETCH FIRST … WITH TIES.
    pub with_ties: bool,
    pub locking: Vec<LockingClause>,
    /// The first keyword: WITH, SELECT, VALUES, TABLE, or the opening parenthesis.
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SelectBody {
    Select(Box<SelectCore>),
    /// Rows as written; the binder checks that their lengths agree (42601).
    Values(Vec<Vec<Expr>>),
    SetOp(Box<SetOperation>),
}

/// One SELECT … FROM … GROUP BY … block. `TABLE t` is `SELECT * FROM t`.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectCore {
    pub distinct: Option<Distinct>,
    /// May be empty: `SELECT` and `SELECT FROM t` are legal.
    pub targets: Vec<ResTarget>,
    pub from: Vec<TableRef>,
    pub where_: Option<Expr>,
    pub group_by: Vec<GroupingElement>,
    /// GROUP BY DISTINCT: duplicate grouping sets are dropped.
    pub group_distinct: bool,
    pub having: Option<Expr>,
    /// WINDOW name AS (…): `name` is set in each.
    pub windows: Vec<WindowDef>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Distinct {
    All,
    On(Vec<Expr>),
}

/// One entry of a select or RETURNING list.
#[derive(Debug, Clone, PartialEq)]
pub struct ResTarget {
    /// `AS name`.
    pub name: Option<String>,
    /// A [`super::ColumnRef`] with `star`, or an indirection ending in a star, stands for many columns.
    pub expr: Expr,
    pub span: Span,
}

/// `first`, then each arm applied to what stands left of it. All arms of one chain have the same precedence:
/// INTERSECT binds tighter and forms a chain of its own, as do parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct SetOperation {
    pub first: SelectStmt,
    /// At least one.
    pub arms: Vec<SetOperationArm>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SetOperationArm {
    pub op: SetOperator,
    pub all: bool,
    pub query: SelectStmt,
    /// The operator's keyword.
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperator {
    Union,
    Intersect,
    Except,
}

#[derive(Debug, Clone, PartialEq)]
pub enum GroupingElement {
    /// An expression; `(a, b)` is a row expression, which groups by each of its fields.
    Expr(Expr),
    /// `()`.
    Empty(Span),
    Rollup(Vec<Expr>, Span),
    Cube(Vec<Expr>, Span),
    GroupingSets(Vec<GroupingElement>, Span),
}

#[derive(Debug, Clone, PartialEq)]
pub struct SortBy {
    pub expr: Expr,
    pub direction: SortDirection,
    pub nulls: NullsOrder,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SortDirection {
    Default,
    Asc,
    Desc,
    /// `USING operator`.
    Using(super::OperatorName),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullsOrder {
    Default,
    First,
    Last,
}

/// FOR UPDATE and its like.
#[derive(Debug, Clone, PartialEq)]
pub struct LockingClause {
    pub strength: LockStrength,
    /// `OF t, u`; empty: all.
    pub tables: Vec<RangeVar>,
    pub wait: LockWait,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockStrength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockWait {
    Wait,
    NoWait,
    SkipLocked,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WithClause {
    pub recursive: bool,
    pub ctes: Vec<CommonTableExpr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CommonTableExpr {
    pub name: String,
    pub columns: Vec<String>,
    /// MATERIALIZED or NOT MATERIALIZED, when written.
    pub materialized: Option<bool>,
    /// Select, Insert, Update or Delete.
    pub query: Node,
    pub search: Option<CteSearch>,
    pub cycle: Option<Box<CteCycle>>,
    pub span: Span,
}

/// SEARCH DEPTH|BREADTH FIRST BY columns SET column.
#[derive(Debug, Clone, PartialEq)]
pub struct CteSearch {
    pub breadth_first: bool,
    pub columns: Vec<String>,
    pub sequence_column: String,
    pub span: Span,
}

/// CYCLE columns SET mark [TO value DEFAULT value] USING path.
#[derive(Debug, Clone, PartialEq)]
pub struct CteCycle {
    pub columns: Vec<String>,
    pub mark_column: String,
    /// TRUE when not written.
    pub mark_value: Option<Expr>,
    /// FALSE when not written.
    pub mark_default: Option<Expr>,
    pub path_column: String,
    pub span: Span,
}

/// A window: in OVER, or in the WINDOW clause.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowDef {
    /// In the WINDOW clause its own name; in OVER the name of `OVER w` (nothing else is set then).
    pub name: Option<String>,
    /// `(base PARTITION BY …)`: the window this one starts from.
    pub base: Option<String>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortBy>,
    /// `None`: PostgreSQL's default, RANGE UNBOUNDED PRECEDING.
    pub frame: Option<WindowFrame>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WindowFrame {
    pub units: FrameUnits,
    pub start: FrameBound,
    /// CURRENT ROW when BETWEEN was not written.
    pub end: FrameBound,
    pub exclusion: FrameExclusion,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameUnits {
    Range,
    Rows,
    Groups,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameExclusion {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

/// An entry of FROM.
#[derive(Debug, Clone, PartialEq)]
pub enum TableRef {
    Relation(Box<RangeVar>),
    Subselect(Box<RangeSubselect>),
    Function(Box<RangeFunction>),
    Join(Box<JoinExpr>),
    Sample(Box<RangeTableSample>),
}

impl TableRef {
    pub fn span(&self) -> Span {
        match self {
            TableRef::Relation(x) => x.span,
            TableRef::Subselect(x) => x.span,
            TableRef::Function(x) => x.span,
            TableRef::Join(x) => x.span,
            TableRef::Sample(x) => x.span,
        }
    }
}

/// `AS name (columns)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    pub name: String,
    pub columns: Vec<String>,
}

/// A relation by name.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeVar {
    pub catalog: Option<String>,
    pub schema: Option<String>,
    pub name: String,
    /// ONLY: without inheriting tables.
    pub only: bool,
    pub alias: Option<Alias>,
    pub span: Span,
}

/// `(select) AS x`; a missing alias is the binder's to refuse, as PostgreSQL 15 does.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeSubselect {
    pub lateral: bool,
    pub query: SelectStmt,
    pub alias: Option<Alias>,
    pub span: Span,
}

/// `f(x) AS t (a int, b text)`, `ROWS FROM (f(x), g(y)) WITH ORDINALITY`.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeFunction {
    pub lateral: bool,
    /// One, or several with ROWS FROM.
    pub functions: Vec<RangeFunctionItem>,
    /// ROWS FROM was written.
    pub rows_from: bool,
    pub ordinality: bool,
    pub alias: Option<Alias>,
    /// `AS t (a int, b text)`, of a single function.
    pub columns: Vec<ColumnDefinition>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RangeFunctionItem {
    /// A function call, or another expression that the grammar allows there (COALESCE, CURRENT_DATE, CAST …).
    pub function: Expr,
    /// `ROWS FROM (f() AS (a int))`.
    pub columns: Vec<ColumnDefinition>,
}

/// `name type [COLLATE c]`: a column definition list's entry, and an attribute of a composite type.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDefinition {
    pub name: String,
    pub type_name: TypeName,
    pub collation: Option<Vec<String>>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RangeTableSample {
    pub relation: TableRef,
    pub method: Vec<String>,
    pub args: Vec<Expr>,
    pub repeatable: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinType {
    /// CROSS JOIN is an inner join without condition.
    Inner,
    Left,
    Full,
    Right,
}

#[derive(Debug, Clone, PartialEq)]
pub struct JoinExpr {
    pub kind: JoinType,
    pub left: TableRef,
    pub right: TableRef,
    pub condition: JoinCondition,
    /// `(a JOIN b ON …) AS j`.
    pub alias: Option<Alias>,
    /// The keyword that begins the join.
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum JoinCondition {
    /// CROSS JOIN.
    None,
    Natural,
    On(Expr),
    /// USING (columns) [AS alias].
    Using {
        columns: Vec<String>,
        alias: Option<String>,
    },
}
