//! The logical plan: what is to be computed, before it is decided how.
//!
//! Made by `binder/`, improved by `rewrite/`, lowered by `physical/`. Every column that flows has a
//! [`ColumnId`] unique within the plan; expressions name columns by id, so that moving a node never
//! renumbers anything. Each node's output is the list [`LogicalPlan::output`] returns, in order.

use std::sync::Arc;

use catalog::{IndexDef, RelationId, TableDef};
use expr::{AggregateCall, ColumnId, Expr, SubqueryId, TableFunctionCall, WindowCall};
use types::{DataType, Span};

pub use expr::SortKey;
pub use parser::ast::{FrameExclusion, FrameUnits};

/// A statement's plan with what belongs to the whole of it.
#[derive(Debug, Clone)]
pub struct LogicalStatement {
    pub plan: LogicalPlan,
    /// The client's columns: name, and which output column. Empty when there is no result.
    pub result: Vec<ResultColumn>,
    /// Everything known of each column id, indexed by it.
    pub columns: ColumnTable,
    /// Plans of the `Expr::Subquery`s that the expressions still hold, by `SubqueryId`.
    pub subqueries: Vec<BoundSubquery>,
    /// `$1…` as inferred or declared.
    pub parameter_types: Vec<DataType>,
}

#[derive(Debug, Clone)]
pub struct ResultColumn {
    pub name: String,
    pub column: ColumnId,
    pub data_type: DataType,
    /// Where the column comes from if it is a plain table column (RowDescription).
    pub source: Option<(RelationId, i16)>,
}

/// Names and types of all columns of a plan, by id.
#[derive(Debug, Clone, Default)]
pub struct ColumnTable {
    entries: Vec<ColumnEntry>,
}

#[derive(Debug, Clone)]
pub struct ColumnEntry {
    pub name: String,
    /// Alias of the relation it belongs to, for EXPLAIN; empty if none.
    pub relation: String,
    pub data_type: DataType,
    /// The table column it is, for statistics.
    pub source: Option<(RelationId, usize)>,
}

impl ColumnTable {
    pub fn add(&mut self, entry: ColumnEntry) -> ColumnId {
        let id = ColumnId(u32::try_from(self.entries.len()).expect("columns of a plan fit u32"));
        self.entries.push(entry);
        id
    }

    pub fn entry(&self, id: ColumnId) -> &ColumnEntry {
        &self.entries[id.0 as usize]
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A column an operator computes: `id := expr`.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    pub id: ColumnId,
    pub expr: Expr,
}

#[derive(Debug, Clone)]
pub enum LogicalPlan {
    /// Rows of a table. `columns[i]` is column `ordinal` (index into `TableDef::columns`) under an id.
    Scan(Scan),
    /// A system view computed from the catalog or the running server: `columns` as for `Scan`, by ordinal.
    VirtualScan {
        table: Arc<catalog::VirtualTable>,
        alias: String,
        columns: Vec<(ColumnId, usize)>,
    },
    /// A set-returning function in FROM; `input` is the lateral left side if arguments refer to it.
    FunctionScan {
        call: TableFunctionCall,
        alias: String,
        columns: Vec<ColumnId>,
        ordinality: Option<ColumnId>,
    },
    /// Rows given in the statement. `rows` may be empty (a contradiction).
    Values {
        rows: Vec<Vec<Expr>>,
        columns: Vec<ColumnId>,
    },
    Filter {
        input: Box<LogicalPlan>,
        predicate: Vec<Expr>,
    },
    /// Exactly `exprs` flow on; a passed-through column keeps its id (`id := Column(id)`).
    Project {
        input: Box<LogicalPlan>,
        exprs: Vec<Computed>,
    },
    Join(Join),
    /// One row per group (one row at all without `groups`, unless `grouping_sets` says otherwise).
    Aggregate(Aggregate),
    /// Adds columns to its input: calls that share one window. Several windows are several nodes.
    Window {
        input: Box<LogicalPlan>,
        window: WindowSpec,
        calls: Vec<(ColumnId, WindowCall)>,
    },
    Sort {
        input: Box<LogicalPlan>,
        keys: Vec<SortKey>,
    },
    Limit {
        input: Box<LogicalPlan>,
        limit: Option<Expr>,
        offset: Option<Expr>,
        with_ties: Option<Vec<SortKey>>,
    },
    /// DISTINCT over all columns, or DISTINCT ON (`on`), which keeps the first row of each in input order.
    Distinct {
        input: Box<LogicalPlan>,
        on: Option<Vec<Expr>>,
    },
    SetOp(SetOp),
    /// `body` may read `definition` through [`LogicalPlan::CteRef`]s of `id`; computed at most once.
    With {
        id: CteId,
        name: String,
        definition: Box<LogicalPlan>,
        body: Box<LogicalPlan>,
        /// MATERIALIZED or NOT MATERIALIZED, when written.
        materialized: Option<bool>,
    },
    /// Rows of CTE `id`; `columns[i]` renames the definition's i-th output column.
    CteRef {
        id: CteId,
        name: String,
        alias: String,
        columns: Vec<ColumnId>,
    },
    /// WITH RECURSIVE: `base` rows, then `step` over the last round's rows (a `CteRef` of `id`) until none.
    RecursiveUnion {
        id: CteId,
        name: String,
        base: Box<LogicalPlan>,
        step: Box<LogicalPlan>,
        all: bool,
        columns: Vec<ColumnId>,
    },
    /// Rows locked as they flow (FOR UPDATE …); `relations` name the scans meant by their key columns.
    Lock {
        input: Box<LogicalPlan>,
        relations: Vec<LockTarget>,
    },
    /// Expands set-returning functions of a select list, in lockstep.
    ProjectSet {
        input: Box<LogicalPlan>,
        calls: Vec<(ColumnId, TableFunctionCall)>,
    },
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Merge(Merge),
}

#[derive(Debug, Clone)]
pub struct Scan {
    pub table: Arc<TableDef>,
    pub alias: String,
    pub columns: Vec<(ColumnId, usize)>,
    /// The row's key bytes (bytea), wanted by UPDATE, DELETE and row locks.
    pub row_key: Option<ColumnId>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CteId(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows that have a match.
    Semi,
    /// Left rows that have none; with NULLs as NOT EXISTS treats them.
    Anti,
    /// Left rows that have none, as NOT IN treats NULLs: `on`'s first conjunct is the `=` of NOT IN.
    NullAwareAnti,
    /// Every left row once, with a boolean column: is there a match (three-valued for IN).
    Mark,
    /// Left outer join that fails with 21000 on a second match (scalar subquery).
    Single,
    /// Right rows that have a match: a Semi join with its sides swapped, so that the side kept is the
    /// one a hash table is built of. Physical plans only; output is the right columns.
    RightSemi,
    /// Right rows that have none: an Anti join with its sides swapped. Physical plans only.
    RightAnti,
}

#[derive(Debug, Clone)]
pub struct Join {
    pub kind: JoinKind,
    pub left: Box<LogicalPlan>,
    pub right: Box<LogicalPlan>,
    /// Conjuncts over both sides' columns; empty is a cross join.
    pub on: Vec<Expr>,
    /// The boolean output of `JoinKind::Mark`.
    pub mark: Option<ColumnId>,
    /// `right` refers to columns of `left` (LATERAL, or a subquery not yet decorrelated).
    pub dependent: bool,
}

#[derive(Debug, Clone)]
pub struct Aggregate {
    pub input: Box<LogicalPlan>,
    pub groups: Vec<Computed>,
    /// GROUPING SETS: each a set of indexes into `groups`. `None`: the one set of all.
    pub grouping_sets: Option<Vec<Vec<usize>>>,
    /// GROUPING(…) bit masks: column := bits over `groups` indexes.
    pub grouping_calls: Vec<(ColumnId, Vec<usize>)>,
    pub calls: Vec<(ColumnId, AggregateCall)>,
}

/// PARTITION BY, ORDER BY and frame of a window. In a physical plan its expressions are over positions.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowSpec {
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortKey>,
    pub frame: WindowFrame,
}

/// The rows a frame-aware call sees. The default is RANGE UNBOUNDED PRECEDING TO CURRENT ROW.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowFrame {
    pub units: FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclusion: FrameExclusion,
}

/// `Preceding` and `Following` hold an offset without columns: bigint for ROWS and GROUPS, for RANGE of
/// the type that is added to or taken from the ordering column.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

impl Default for WindowFrame {
    fn default() -> WindowFrame {
        WindowFrame {
            units: FrameUnits::Range,
            start: FrameBound::UnboundedPreceding,
            end: FrameBound::CurrentRow,
            exclusion: FrameExclusion::NoOthers,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOpKind {
    Union,
    Intersect,
    Except,
}

#[derive(Debug, Clone)]
pub struct SetOp {
    pub kind: SetOpKind,
    pub all: bool,
    pub left: Box<LogicalPlan>,
    pub right: Box<LogicalPlan>,
    /// Output ids; `left`'s and `right`'s i-th output columns have the same type.
    pub columns: Vec<ColumnId>,
}

#[derive(Debug, Clone)]
pub struct LockTarget {
    pub table: Arc<TableDef>,
    pub row_key: ColumnId,
    pub strength: LockStrength,
    pub wait: LockWait,
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
    Block,
    NoWait,
    SkipLocked,
}

/// INSERT. `source` yields one column per entry of `columns`, already coerced to the column's type,
/// defaults filled in: a whole row in table order (dropped columns NULL).
#[derive(Debug, Clone)]
pub struct Insert {
    pub table: Arc<TableDef>,
    pub source: Box<LogicalPlan>,
    /// For each entry of `table.columns`: the source's column.
    pub columns: Vec<ColumnId>,
    pub checks: Vec<Check>,
    pub on_conflict: Option<OnConflict>,
    /// RETURNING, over `row` (the new row's columns by ordinal).
    pub returning: Option<Vec<Computed>>,
    pub row: Vec<(ColumnId, usize)>,
}

/// A CHECK constraint, over the new row's columns.
#[derive(Debug, Clone)]
pub struct Check {
    pub constraint: String,
    pub predicate: Expr,
}

#[derive(Debug, Clone)]
pub struct OnConflict {
    /// Unique index(es) meant; empty is "any" (only for DO NOTHING).
    pub arbiters: Vec<Arc<IndexDef>>,
    /// `None`: DO NOTHING.
    pub update: Option<OnConflictUpdate>,
}

#[derive(Debug, Clone)]
pub struct OnConflictUpdate {
    /// The existing row's columns, by ordinal.
    pub existing: Vec<(ColumnId, usize)>,
    /// The row proposed for insertion (`excluded`), by ordinal.
    pub excluded: Vec<(ColumnId, usize)>,
    /// Ordinal := value.
    pub assignments: Vec<(usize, Expr)>,
    pub filter: Option<Expr>,
}

/// UPDATE. `source` yields the target's key, its old columns and, for each assignment, the new value.
#[derive(Debug, Clone)]
pub struct Update {
    pub table: Arc<TableDef>,
    pub source: Box<LogicalPlan>,
    pub row_key: ColumnId,
    /// Old row, by ordinal: every live column.
    pub old: Vec<(ColumnId, usize)>,
    /// Ordinal := source column holding the new value.
    pub assignments: Vec<(usize, ColumnId)>,
    pub checks: Vec<Check>,
    /// RETURNING, over `row` (new row by ordinal) and the source's other columns.
    pub returning: Option<Vec<Computed>>,
    pub row: Vec<(ColumnId, usize)>,
}

/// DELETE. `source` yields the target's key and its old columns.
#[derive(Debug, Clone)]
pub struct Delete {
    pub table: Arc<TableDef>,
    pub source: Box<LogicalPlan>,
    pub row_key: ColumnId,
    pub old: Vec<(ColumnId, usize)>,
    pub returning: Option<Vec<Computed>>,
}

/// MERGE. `source` is the data source joined to the target: the target's key and old columns are NULL where
/// nothing matched. Expressions of the clauses are over the source's columns.
#[derive(Debug, Clone)]
pub struct Merge {
    pub table: Arc<TableDef>,
    pub source: Box<LogicalPlan>,
    pub row_key: ColumnId,
    pub old: Vec<(ColumnId, usize)>,
    pub whens: Vec<MergeWhen>,
    /// Generated columns, by ordinal, over `row`.
    pub generated: Vec<(usize, Expr)>,
    pub checks: Vec<Check>,
    /// The new row by ordinal.
    pub row: Vec<(ColumnId, usize)>,
}

/// A WHEN clause: the first one whose condition holds decides.
#[derive(Debug, Clone)]
pub struct MergeWhen {
    pub matched: bool,
    pub condition: Vec<Expr>,
    pub action: MergeAction,
}

#[derive(Debug, Clone)]
pub enum MergeAction {
    DoNothing,
    Delete,
    /// Ordinal := value.
    Update(Vec<(usize, Expr)>),
    /// A value for each of the table's columns.
    Insert(Vec<Expr>),
}

impl Merge {
    fn each_expr(&self, f: &mut dyn FnMut(&Expr)) {
        for when in &self.whens {
            when.condition.iter().for_each(&mut *f);
            match &when.action {
                MergeAction::DoNothing | MergeAction::Delete => {}
                MergeAction::Update(assignments) => assignments.iter().for_each(|(_, value)| f(value)),
                MergeAction::Insert(values) => values.iter().for_each(&mut *f),
            }
        }
        self.generated.iter().for_each(|(_, value)| f(value));
        self.checks.iter().for_each(|check| f(&check.predicate));
    }

    fn each_expr_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        for when in &mut self.whens {
            when.condition.iter_mut().for_each(&mut *f);
            match &mut when.action {
                MergeAction::DoNothing | MergeAction::Delete => {}
                MergeAction::Update(assignments) => assignments.iter_mut().for_each(|(_, value)| f(value)),
                MergeAction::Insert(values) => values.iter_mut().for_each(&mut *f),
            }
        }
        self.generated.iter_mut().for_each(|(_, value)| f(value));
        self.checks.iter_mut().for_each(|check| f(&mut check.predicate));
    }
}

/// A subquery as bound, held beside the expression that names it until decorrelation.
#[derive(Debug, Clone)]
pub struct BoundSubquery {
    pub id: SubqueryId,
    pub plan: LogicalPlan,
    /// Outer columns it refers to; empty is uncorrelated.
    pub outer: Vec<ColumnId>,
}

impl LogicalPlan {
    /// The columns of its rows, in order.
    pub fn output(&self) -> Vec<ColumnId> {
        let mut columns = Vec::new();
        self.push_output(&mut columns);
        columns
    }

    fn push_output(&self, out: &mut Vec<ColumnId>) {
        match self {
            LogicalPlan::Scan(scan) => {
                out.extend(scan.columns.iter().map(|(id, _)| *id));
                out.extend(scan.row_key);
            }
            LogicalPlan::VirtualScan { columns, .. } => out.extend(columns.iter().map(|(id, _)| *id)),
            LogicalPlan::FunctionScan { columns, ordinality, .. } => {
                out.extend(columns);
                out.extend(*ordinality);
            }
            LogicalPlan::Values { columns, .. }
            | LogicalPlan::CteRef { columns, .. }
            | LogicalPlan::RecursiveUnion { columns, .. } => out.extend(columns),
            LogicalPlan::SetOp(set_op) => out.extend(&set_op.columns),
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Distinct { input, .. }
            | LogicalPlan::Lock { input, .. } => input.push_output(out),
            LogicalPlan::Project { exprs, .. } => out.extend(exprs.iter().map(|computed| computed.id)),
            LogicalPlan::Join(join) => {
                if !matches!(join.kind, JoinKind::RightSemi | JoinKind::RightAnti) {
                    join.left.push_output(out);
                }
                match join.kind {
                    JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti => {}
                    JoinKind::Mark => out.extend(join.mark),
                    _ => join.right.push_output(out),
                }
            }
            LogicalPlan::Aggregate(aggregate) => {
                out.extend(aggregate.groups.iter().map(|computed| computed.id));
                out.extend(aggregate.grouping_calls.iter().map(|(id, _)| *id));
                out.extend(aggregate.calls.iter().map(|(id, _)| *id));
            }
            LogicalPlan::Window { input, calls, .. } => {
                input.push_output(out);
                out.extend(calls.iter().map(|(id, _)| *id));
            }
            LogicalPlan::ProjectSet { input, calls } => {
                input.push_output(out);
                out.extend(calls.iter().map(|(id, _)| *id));
            }
            LogicalPlan::With { body, .. } => body.push_output(out),
            LogicalPlan::Insert(Insert { returning, .. })
            | LogicalPlan::Update(Update { returning, .. })
            | LogicalPlan::Delete(Delete { returning, .. }) => {
                out.extend(returning.iter().flatten().map(|computed| computed.id));
            }
            LogicalPlan::Merge(_) => {}
        }
    }

    /// The plans it reads rows from, left to right.
    pub fn inputs(&self) -> Vec<&LogicalPlan> {
        match self {
            LogicalPlan::Scan(_)
            | LogicalPlan::VirtualScan { .. }
            | LogicalPlan::FunctionScan { .. }
            | LogicalPlan::Values { .. }
            | LogicalPlan::CteRef { .. } => Vec::new(),
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Window { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Distinct { input, .. }
            | LogicalPlan::Lock { input, .. }
            | LogicalPlan::ProjectSet { input, .. } => vec![input],
            LogicalPlan::Aggregate(aggregate) => vec![&aggregate.input],
            LogicalPlan::Join(join) => vec![&join.left, &join.right],
            LogicalPlan::SetOp(set_op) => vec![&set_op.left, &set_op.right],
            LogicalPlan::With { definition, body, .. } => vec![definition, body],
            LogicalPlan::RecursiveUnion { base, step, .. } => vec![base, step],
            LogicalPlan::Insert(insert) => vec![&insert.source],
            LogicalPlan::Update(update) => vec![&update.source],
            LogicalPlan::Delete(delete) => vec![&delete.source],
            LogicalPlan::Merge(merge) => vec![&merge.source],
        }
    }

    /// [`LogicalPlan::inputs`], to change them in place.
    pub fn inputs_mut(&mut self) -> Vec<&mut LogicalPlan> {
        match self {
            LogicalPlan::Scan(_)
            | LogicalPlan::VirtualScan { .. }
            | LogicalPlan::FunctionScan { .. }
            | LogicalPlan::Values { .. }
            | LogicalPlan::CteRef { .. } => Vec::new(),
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Window { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Distinct { input, .. }
            | LogicalPlan::Lock { input, .. }
            | LogicalPlan::ProjectSet { input, .. } => vec![input],
            LogicalPlan::Aggregate(aggregate) => vec![&mut aggregate.input],
            LogicalPlan::Join(join) => vec![&mut join.left, &mut join.right],
            LogicalPlan::SetOp(set_op) => vec![&mut set_op.left, &mut set_op.right],
            LogicalPlan::With { definition, body, .. } => vec![definition, body],
            LogicalPlan::RecursiveUnion { base, step, .. } => vec![base, step],
            LogicalPlan::Insert(insert) => vec![&mut insert.source],
            LogicalPlan::Update(update) => vec![&mut update.source],
            LogicalPlan::Delete(delete) => vec![&mut delete.source],
            LogicalPlan::Merge(merge) => vec![&mut merge.source],
        }
    }

    /// Calls `f` on every expression the node itself holds (not its inputs').
    pub fn each_expr(&self, f: &mut dyn FnMut(&Expr)) {
        match self {
            LogicalPlan::Scan(_)
            | LogicalPlan::VirtualScan { .. }
            | LogicalPlan::CteRef { .. }
            | LogicalPlan::RecursiveUnion { .. }
            | LogicalPlan::With { .. }
            | LogicalPlan::SetOp(_)
            | LogicalPlan::Lock { .. } => {}
            LogicalPlan::FunctionScan { call, .. } => call.args.iter().for_each(f),
            LogicalPlan::Values { rows, .. } => rows.iter().flatten().for_each(f),
            LogicalPlan::Filter { predicate, .. } => predicate.iter().for_each(f),
            LogicalPlan::Project { exprs, .. } => exprs.iter().for_each(|computed| f(&computed.expr)),
            LogicalPlan::Join(join) => join.on.iter().for_each(f),
            LogicalPlan::Aggregate(aggregate) => {
                aggregate.groups.iter().for_each(|computed| f(&computed.expr));
                for (_, call) in &aggregate.calls {
                    call.args.iter().for_each(&mut *f);
                    call.order_by.iter().for_each(|key| f(&key.expr));
                    call.filter.iter().for_each(&mut *f);
                }
            }
            LogicalPlan::Window { window, calls, .. } => {
                window.partition_by.iter().for_each(&mut *f);
                window.order_by.iter().for_each(|key| f(&key.expr));
                for bound in [&window.frame.start, &window.frame.end] {
                    if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                        f(offset);
                    }
                }
                for (_, call) in calls {
                    call.args.iter().for_each(&mut *f);
                    call.order_by.iter().for_each(|key| f(&key.expr));
                    call.filter.iter().for_each(&mut *f);
                }
            }
            LogicalPlan::Sort { keys, .. } => keys.iter().for_each(|key| f(&key.expr)),
            LogicalPlan::Limit { limit, offset, with_ties, .. } => {
                limit.iter().chain(offset).for_each(&mut *f);
                with_ties.iter().flatten().for_each(|key| f(&key.expr));
            }
            LogicalPlan::Distinct { on, .. } => on.iter().flatten().for_each(f),
            LogicalPlan::ProjectSet { calls, .. } => {
                calls.iter().flat_map(|(_, call)| &call.args).for_each(f);
            }
            LogicalPlan::Insert(insert) => {
                insert.checks.iter().for_each(|check| f(&check.predicate));
                if let Some(update) = insert.on_conflict.as_ref().and_then(|c| c.update.as_ref()) {
                    update.assignments.iter().for_each(|(_, value)| f(value));
                    update.filter.iter().for_each(&mut *f);
                }
                insert.returning.iter().flatten().for_each(|computed| f(&computed.expr));
            }
            LogicalPlan::Update(update) => {
                update.checks.iter().for_each(|check| f(&check.predicate));
                update.returning.iter().flatten().for_each(|computed| f(&computed.expr));
            }
            LogicalPlan::Delete(delete) => {
                delete.returning.iter().flatten().for_each(|computed| f(&computed.expr));
            }
            LogicalPlan::Merge(merge) => merge.each_expr(f),
        }
    }

    /// [`LogicalPlan::each_expr`], to change them in place.
    pub fn each_expr_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        match self {
            LogicalPlan::Scan(_)
            | LogicalPlan::VirtualScan { .. }
            | LogicalPlan::CteRef { .. }
            | LogicalPlan::RecursiveUnion { .. }
            | LogicalPlan::With { .. }
            | LogicalPlan::SetOp(_)
            | LogicalPlan::Lock { .. } => {}
            LogicalPlan::FunctionScan { call, .. } => call.args.iter_mut().for_each(f),
            LogicalPlan::Values { rows, .. } => rows.iter_mut().flatten().for_each(f),
            LogicalPlan::Filter { predicate, .. } => predicate.iter_mut().for_each(f),
            LogicalPlan::Project { exprs, .. } => {
                exprs.iter_mut().for_each(|computed| f(&mut computed.expr));
            }
            LogicalPlan::Join(join) => join.on.iter_mut().for_each(f),
            LogicalPlan::Aggregate(aggregate) => {
                aggregate.groups.iter_mut().for_each(|computed| f(&mut computed.expr));
                for (_, call) in &mut aggregate.calls {
                    call.args.iter_mut().for_each(&mut *f);
                    call.order_by.iter_mut().for_each(|key| f(&mut key.expr));
                    call.filter.iter_mut().for_each(&mut *f);
                }
            }
            LogicalPlan::Window { window, calls, .. } => {
                window.partition_by.iter_mut().for_each(&mut *f);
                window.order_by.iter_mut().for_each(|key| f(&mut key.expr));
                for bound in [&mut window.frame.start, &mut window.frame.end] {
                    if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                        f(offset);
                    }
                }
                for (_, call) in calls {
                    call.args.iter_mut().for_each(&mut *f);
                    call.order_by.iter_mut().for_each(|key| f(&mut key.expr));
                    call.filter.iter_mut().for_each(&mut *f);
                }
            }
            LogicalPlan::Sort { keys, .. } => keys.iter_mut().for_each(|key| f(&mut key.expr)),
            LogicalPlan::Limit { limit, offset, with_ties, .. } => {
                limit.iter_mut().chain(offset).for_each(&mut *f);
                with_ties.iter_mut().flatten().for_each(|key| f(&mut key.expr));
            }
            LogicalPlan::Distinct { on, .. } => on.iter_mut().flatten().for_each(f),
            LogicalPlan::ProjectSet { calls, .. } => {
                calls.iter_mut().flat_map(|(_, call)| &mut call.args).for_each(f);
            }
            LogicalPlan::Insert(insert) => {
                insert.checks.iter_mut().for_each(|check| f(&mut check.predicate));
                if let Some(update) = insert.on_conflict.as_mut().and_then(|c| c.update.as_mut()) {
                    update.assignments.iter_mut().for_each(|(_, value)| f(value));
                    update.filter.iter_mut().for_each(&mut *f);
                }
                insert.returning.iter_mut().flatten().for_each(|computed| f(&mut computed.expr));
            }
            LogicalPlan::Update(update) => {
                update.checks.iter_mut().for_each(|check| f(&mut check.predicate));
                update.returning.iter_mut().flatten().for_each(|computed| f(&mut computed.expr));
            }
            LogicalPlan::Delete(delete) => {
                delete.returning.iter_mut().flatten().for_each(|computed| f(&mut computed.expr));
            }
            LogicalPlan::Merge(merge) => merge.each_expr_mut(f),
        }
    }

    /// An empty place-holder, for `std::mem::replace` while a plan is being rebuilt.
    pub fn nothing() -> LogicalPlan {
        LogicalPlan::Values { rows: Vec::new(), columns: Vec::new() }
    }

    /// Moves the plan out, leaving [`LogicalPlan::nothing`].
    pub fn take(&mut self) -> LogicalPlan {
        std::mem::replace(self, LogicalPlan::nothing())
    }
}
