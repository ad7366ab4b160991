//! INSERT, UPDATE, DELETE, MERGE, TRUNCATE.

use types::Span;

use super::expr::{Expr, Indirection};
use super::select::{RangeVar, ResTarget, SelectStmt, TableRef, WithClause};
use super::types::DropBehavior;

#[derive(Debug, Clone, PartialEq)]
pub struct InsertStmt {
    pub with: Option<Box<WithClause>>,
    /// Its alias is INSERT INTO t AS alias.
    pub relation: RangeVar,
    /// Empty: all columns in order.
    pub columns: Vec<ColumnTarget>,
    pub overriding: Overriding,
    /// `None`: DEFAULT VALUES.
    pub source: Option<SelectStmt>,
    pub on_conflict: Option<Box<OnConflict>>,
    pub returning: Vec<ResTarget>,
    pub span: Span,
}

/// A column that is assigned to: `a`, `a[1]`, `a.b`.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnTarget {
    pub name: String,
    pub path: Vec<Indirection>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overriding {
    NotSet,
    UserValue,
    SystemValue,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OnConflict {
    pub target: ConflictTarget,
    /// `None`: DO NOTHING.
    pub update: Option<OnConflictUpdate>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OnConflictUpdate {
    pub set: Vec<SetClause>,
    pub where_: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConflictTarget {
    /// Nothing written: any unique index.
    None,
    /// `(columns and expressions) [WHERE predicate]`.
    Index { elements: Vec<super::IndexElem>, where_: Option<Expr> },
    /// ON CONSTRAINT name.
    Constraint(String),
}

/// One assignment of SET.
#[derive(Debug, Clone, PartialEq)]
pub enum SetClause {
    /// `a = expr`; the expression may be DEFAULT.
    Single { target: ColumnTarget, value: Expr },
    /// `(a, b) = expr`: a row expression, a sub-select in a [`super::SubLink`], or what the binder refuses.
    Multiple { targets: Vec<ColumnTarget>, value: Expr },
}

#[derive(Debug, Clone, PartialEq)]
pub struct UpdateStmt {
    pub with: Option<Box<WithClause>>,
    pub relation: RangeVar,
    pub set: Vec<SetClause>,
    pub from: Vec<TableRef>,
    pub where_: Option<Expr>,
    pub returning: Vec<ResTarget>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DeleteStmt {
    pub with: Option<Box<WithClause>>,
    pub relation: RangeVar,
    pub using: Vec<TableRef>,
    pub where_: Option<Expr>,
    pub returning: Vec<ResTarget>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MergeStmt {
    pub with: Option<Box<WithClause>>,
    pub relation: RangeVar,
    pub source: TableRef,
    pub on: Expr,
    pub whens: Vec<MergeWhen>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MergeWhen {
    pub matched: bool,
    /// AND condition.
    pub condition: Option<Expr>,
    pub action: MergeAction,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MergeAction {
    DoNothing,
    Delete,
    Update(Vec<SetClause>),
    /// Without values: DEFAULT VALUES.
    Insert {
        columns: Vec<ColumnTarget>,
        overriding: Overriding,
        values: Option<Vec<Expr>>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct TruncateStmt {
    pub relations: Vec<RangeVar>,
    pub restart_identity: bool,
    pub behavior: DropBehavior,
    pub span: Span,
}
