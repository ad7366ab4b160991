//! The physical plan: which algorithm runs where. Immutable, shared by all sessions that run it.
//!
//! The executor turns it into operators; EXPLAIN prints it. Expressions are over input positions
//! (`Expr::Input`): for a join, the left child's columns come first, then the right's. What varies
//! between executions (parameters, snapshot, budget) is in the executor's context. Nodes are shared
//! (`Arc`) so that a running operator can hold its own without copying or borrowing the plan.

use std::sync::Arc;

use catalog::{ForeignKeyAction, IndexDef, TableDef, VirtualTable};
use expr::{AggregateCall, Expr, PlanParameterId, TableFunctionCall, WindowCall};
use types::{DataType, Schema};

pub use crate::logical::{
    CteId, FrameBound, FrameExclusion, FrameUnits, JoinKind, LockStrength, LockWait, SetOpKind, SortKey,
    WindowFrame, WindowSpec,
};

/// A complete plan.
#[derive(Debug)]
pub struct PhysicalPlan {
    pub root: Arc<Node>,
    /// The client's columns; empty when the statement returns none.
    pub schema: Schema,
    pub parameter_types: Vec<DataType>,
    /// Uncorrelated scalar/EXISTS/IN subqueries that are run at most once, when first needed, and
    /// correlated ones that are run per distinct outer value. Indexed by [`SubPlanId`].
    pub sub_plans: Vec<SubPlan>,
    /// CTEs that are materialised, by [`CteId`] (inlined ones are gone).
    pub ctes: Vec<Cte>,
    /// How many plan parameters (`Expr::PlanParameter`) there are.
    pub plan_parameters: usize,
    /// Relation OIDs it depends on, for plan-cache validation.
    pub depends_on: Vec<u32>,
    pub is_read_only: bool,
    /// Rows of the tables it reads when it was made: a cached plan is made anew once they are others.
    pub planned_rows: Vec<(u32, u64)>,
}

impl PhysicalPlan {
    /// OID of the table that the statement itself changes.
    pub fn target(&self) -> Option<u32> {
        match &self.root.op {
            Op::Insert(insert) => Some(insert.table.id.0),
            Op::Update(update) => Some(update.table.id.0),
            Op::Delete(delete) => Some(delete.table.id.0),
            _ => None,
        }
    }

    /// Tables whose rows it locks beside those it changes, with whether it may change them too (cascades):
    /// FOR UPDATE and its kin, the other ends of foreign keys.
    pub fn row_locked(&self) -> Vec<(u32, bool)> {
        let mut found = Vec::new();
        if self.is_read_only {
            return found;
        }
        let mut nodes: Vec<&Arc<Node>> = vec![&self.root];
        nodes.extend(self.sub_plans.iter().map(|plan| &plan.node));
        nodes.extend(self.ctes.iter().map(|cte| &cte.node));
        while let Some(node) = nodes.pop() {
            let (referenced, referencing): (&[_], &[_]) = match &node.op {
                Op::Insert(insert) => (&insert.foreign_keys, &[]),
                Op::Update(update) => (&update.foreign_keys, &update.referenced_by),
                Op::Delete(delete) => (&[], &delete.referenced_by),
                Op::LockRows { targets, .. } => {
                    found.extend(targets.iter().map(|target| (target.table.id.0, false)));
                    (&[], &[])
                }
                _ => (&[], &[]),
            };
            found.extend(referenced.iter().map(|check| (check.referenced.id.0, false)));
            found.extend(referencing.iter().map(|check| {
                let key = &check.key;
                let changes =
                    |action| !matches!(action, ForeignKeyAction::NoAction | ForeignKeyAction::Restrict);
                (check.referencing.id.0, changes(key.on_delete) || changes(key.on_update))
            }));
            nodes.extend(node.op.inputs());
        }
        found
    }
}

/// Position of a node in the plan, in EXPLAIN's order; run-time statistics hang on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubPlanId(pub u32);

/// One operator with its estimates.
#[derive(Debug)]
pub struct Node {
    pub id: NodeId,
    pub op: Op,
    /// Output columns.
    pub columns: Vec<OutputColumn>,
    pub estimate: Estimate,
}

#[derive(Debug, Clone)]
pub struct OutputColumn {
    /// As EXPLAIN prints it in keys: `lineitem.l_orderkey`, or an expression's text.
    pub name: String,
    pub data_type: DataType,
}

/// The planner's guess, in PostgreSQL's units (cost 1 = one sequential page read).
#[derive(Debug, Clone, Copy, Default)]
pub struct Estimate {
    pub startup_cost: f64,
    pub total_cost: f64,
    pub rows: f64,
    /// Bytes per row.
    pub width: u32,
}

/// What a node did, for EXPLAIN ANALYZE. Filled by the executor, per [`NodeId`].
#[derive(Debug, Clone, Default)]
pub struct NodeStats {
    pub loops: u64,
    pub rows: u64,
    pub startup_ns: u64,
    pub total_ns: u64,
    pub rows_removed_by_filter: u64,
    pub rows_removed_by_join_filter: u64,
    pub pages_hit: u64,
    pub pages_read: u64,
    pub memory_bytes: u64,
    pub spilled_bytes: u64,
    /// Operator's own remarks, as EXPLAIN prints them: ("Sort Method", "quicksort  Memory: 25kB").
    pub remarks: Vec<(String, String)>,
}

/// A subquery that is run apart from the tree.
///
/// Without `parameters` and of kind `Scalar`, `Exists` or `Array` it is an init plan: expressions read
/// its value as `Expr::PlanParameter(result)`. Otherwise an `Expr::Subquery`, whose `id` is the index
/// in [`PhysicalPlan::sub_plans`], stands where its value is wanted; rows with equal `arguments` may
/// share a run.
#[derive(Debug)]
pub struct SubPlan {
    pub node: Arc<Node>,
    pub kind: SubPlanKind,
    /// For a correlated plan: parameters set from the outer row before each run.
    pub parameters: Vec<PlanParameterId>,
    /// Their values: one per parameter, over the input of the operator whose expression holds the
    /// `Expr::Subquery` (in a physical plan its `SubqueryId` is the index into `sub_plans`).
    pub arguments: Vec<Expr>,
    /// Where an init plan's result goes.
    pub result: PlanParameterId,
    /// `InitPlan 1 (returns $0)`, `SubPlan 2`, as EXPLAIN names it.
    pub label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubPlanKind {
    /// First column of the only row; 21000 on a second row; NULL on none.
    Scalar,
    /// Is there a row.
    Exists,
    /// `tests operators columns` holds for some row; three-valued. Only in place (`Expr::Subquery`).
    Any,
    /// `tests operators columns` holds for all rows; three-valued. Only in place (`Expr::Subquery`).
    All,
    /// First column of all rows, as an array value (for `= ANY`/`<> ALL` hashed or compared by the expression).
    Array,
    /// `tests operators columns` for the only row; 21000 on a second row; NULL on none. Only in place.
    Row,
}

#[derive(Debug)]
pub struct Cte {
    pub id: CteId,
    pub name: String,
    pub node: Arc<Node>,
}

#[derive(Debug)]
pub enum Op {
    /// All rows of a table (or a key range of it, see `KeyScan`).
    SeqScan(SeqScan),
    /// Rows by the table's own key (clustered): point, ranges.
    KeyScan(KeyScan),
    /// Rows through a secondary index; `index_only` when the index holds all that is asked for.
    IndexScan(IndexScan),
    VirtualScan {
        table: Arc<VirtualTable>,
        alias: String,
        columns: Vec<usize>,
        filter: Vec<Expr>,
    },
    FunctionScan {
        call: TableFunctionCall,
        alias: String,
        ordinality: bool,
        filter: Vec<Expr>,
    },
    /// Constant rows; expressions over no input.
    Values {
        rows: Vec<Vec<Expr>>,
    },
    /// One row without columns, or none (`One-Time Filter: false`).
    Result {
        exprs: Vec<Expr>,
        one_time_filter: Vec<Expr>,
        input: Option<Arc<Node>>,
    },
    Filter {
        input: Arc<Node>,
        predicate: Vec<Expr>,
    },
    Project {
        input: Arc<Node>,
        exprs: Vec<Expr>,
    },
    ProjectSet {
        input: Arc<Node>,
        calls: Vec<TableFunctionCall>,
    },
    HashJoin(HashJoin),
    MergeJoin(MergeJoin),
    NestedLoop(NestedLoop),
    /// For each left row (batched), look its match up in `inner`'s table or index by key.
    IndexJoin(IndexJoin),
    Aggregate(AggregateOp),
    /// The input is sorted by partition, then order. Output: the input's columns, then one per call.
    Window {
        input: Arc<Node>,
        window: WindowSpec,
        calls: Vec<WindowCall>,
    },
    Sort {
        input: Arc<Node>,
        keys: Vec<SortKey>,
        presorted: usize,
    },
    /// Sort of which only the first rows are wanted.
    TopN {
        input: Arc<Node>,
        keys: Vec<SortKey>,
        limit: Expr,
        offset: Option<Expr>,
    },
    Limit {
        input: Arc<Node>,
        limit: Option<Expr>,
        offset: Option<Expr>,
        with_ties: Option<Vec<SortKey>>,
    },
    /// All columns are the key (`keys: None`), or the first row of each key in input order.
    Distinct {
        input: Arc<Node>,
        keys: Option<Vec<Expr>>,
        strategy: Strategy,
    },
    Append {
        inputs: Vec<Arc<Node>>,
    },
    /// INTERSECT / EXCEPT [ALL], and UNION as `Append` + `Distinct`.
    SetOp {
        kind: SetOpKind,
        all: bool,
        left: Arc<Node>,
        right: Arc<Node>,
    },
    CteScan {
        id: CteId,
        name: String,
        alias: String,
        columns: Vec<usize>,
        filter: Vec<Expr>,
    },
    /// WITH RECURSIVE; `WorkTableScan`s of `id` inside `step` read the last round.
    RecursiveUnion {
        id: CteId,
        name: String,
        base: Arc<Node>,
        step: Arc<Node>,
        all: bool,
    },
    WorkTableScan {
        id: CteId,
        name: String,
        columns: Vec<usize>,
        filter: Vec<Expr>,
    },
    LockRows {
        input: Arc<Node>,
        targets: Vec<LockRows>,
    },
    Insert(InsertOp),
    Update(UpdateOp),
    Delete(DeleteOp),
}

/// Outputs `columns` of the table, then the row key (bytea) if `row_key`.
/// `filter` is over the output columns; its simple conjuncts may be evaluated on stored bytes.
#[derive(Debug)]
pub struct SeqScan {
    pub table: Arc<TableDef>,
    pub alias: String,
    /// Indexes into `table.columns`.
    pub columns: Vec<usize>,
    pub row_key: bool,
    pub filter: Vec<Expr>,
}

#[derive(Debug)]
pub struct KeyScan {
    pub scan: SeqScan,
    /// The clustering index, for its name and columns.
    pub index: Arc<IndexDef>,
    pub ranges: Vec<KeyRange>,
    pub backward: bool,
}

#[derive(Debug)]
pub struct IndexScan {
    pub scan: SeqScan,
    pub index: Arc<IndexDef>,
    pub ranges: Vec<KeyRange>,
    pub backward: bool,
    pub index_only: bool,
}

/// A range of index keys. Bounds are expressions without input (literals, parameters, plan
/// parameters), already of the key column's type; a NULL bound makes the range empty.
#[derive(Debug, Clone)]
pub struct KeyRange {
    /// Equality on the first key columns.
    pub equals: Vec<Expr>,
    /// Bound on the next key column: value, inclusive.
    pub lower: Option<(Expr, bool)>,
    pub upper: Option<(Expr, bool)>,
    /// The next column IS NULL.
    pub is_null: bool,
}

/// The right child is built into a table, the left one probes it. Output: left columns then right
/// (Semi, Anti, NullAwareAnti: left only; Mark: left, then the boolean; RightSemi, RightAnti: right only).
#[derive(Debug)]
pub struct HashJoin {
    pub kind: JoinKind,
    pub left: Arc<Node>,
    pub right: Arc<Node>,
    /// Pairs of keys, over the left child's and over the right child's columns, of one type each.
    pub keys: Vec<(Expr, Expr)>,
    /// Part of the join condition: over left columns then right columns.
    pub residual: Vec<Expr>,
    /// Keep only these of the full output (positions in left ++ right), in order. `None`: all.
    pub projection: Option<Vec<usize>>,
}

#[derive(Debug)]
pub struct MergeJoin {
    pub kind: JoinKind,
    pub left: Arc<Node>,
    pub right: Arc<Node>,
    pub keys: Vec<(Expr, Expr)>,
    pub residual: Vec<Expr>,
}

/// Rows come in the order of the left side.
#[derive(Debug)]
pub struct NestedLoop {
    pub kind: JoinKind,
    pub left: Arc<Node>,
    pub right: Arc<Node>,
    pub condition: Vec<Expr>,
    /// Plan parameters the right side reads, set from these left expressions; then it is re-run per
    /// left row. Empty: the right side is materialised once.
    pub parameters: Vec<(PlanParameterId, Expr)>,
}

/// Rows come in the order of the left side.
#[derive(Debug)]
pub struct IndexJoin {
    /// Inner, Left, Semi or Anti.
    pub kind: JoinKind,
    pub left: Arc<Node>,
    pub inner: SeqScan,
    /// `None`: the table's own key.
    pub index: Option<Arc<IndexDef>>,
    /// Values for the first key columns, over the left child's columns.
    pub keys: Vec<Expr>,
    /// Over left columns then `inner`'s columns (after `inner.filter`).
    pub residual: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// No groups: one row.
    Plain,
    Hashed,
    /// The input arrives in group order.
    Sorted,
}

/// Output: the group columns, then GROUPING() results, then one column per call.
#[derive(Debug)]
pub struct AggregateOp {
    pub input: Arc<Node>,
    pub groups: Vec<Expr>,
    pub grouping_sets: Option<Vec<Vec<usize>>>,
    pub grouping_calls: Vec<Vec<usize>>,
    pub calls: Vec<AggregateCall>,
    pub strategy: Strategy,
    /// HAVING, over the output columns.
    pub having: Vec<Expr>,
}

#[derive(Debug)]
pub struct LockRows {
    pub table: Arc<TableDef>,
    /// Input position of the row key.
    pub row_key: usize,
    pub strength: LockStrength,
    pub wait: LockWait,
}

/// Output: `returning` (or no columns; the row count is what matters).
#[derive(Debug)]
pub struct InsertOp {
    pub table: Arc<TableDef>,
    pub input: Arc<Node>,
    /// For each of `table.columns`: the input position.
    pub columns: Vec<usize>,
    /// Over the new row: `Expr::Input(i)` is `table.columns[i]`.
    pub checks: Vec<CheckOp>,
    pub on_conflict: Option<OnConflictOp>,
    /// Over the new row.
    pub returning: Option<Vec<Expr>>,
    pub foreign_keys: Vec<ForeignKeyCheck>,
    /// Expression indexes and partial predicates of the table, bound over the new row.
    pub indexes: Vec<IndexMaintenance>,
}

#[derive(Debug)]
pub struct CheckOp {
    pub constraint: String,
    pub predicate: Expr,
}

/// How one index's entries are made from a row (`Expr::Input(i)` is `table.columns[i]`).
#[derive(Debug)]
pub struct IndexMaintenance {
    pub index: Arc<IndexDef>,
    /// One expression per key column.
    pub keys: Vec<Expr>,
    pub predicate: Option<Expr>,
}

/// A foreign key checked when rows of the referencing table change, or rows of the referenced one.
#[derive(Debug, Clone)]
pub struct ForeignKeyCheck {
    pub constraint: String,
    pub referencing: Arc<TableDef>,
    pub referenced: Arc<TableDef>,
    pub key: catalog::ForeignKey,
}

#[derive(Debug)]
pub struct OnConflictOp {
    pub arbiters: Vec<Arc<IndexDef>>,
    pub update: Option<OnConflictUpdateOp>,
}

/// Expressions over the existing row's columns, then the proposed row's.
#[derive(Debug)]
pub struct OnConflictUpdateOp {
    pub assignments: Vec<(usize, Expr)>,
    pub filter: Option<Expr>,
}

#[derive(Debug)]
pub struct UpdateOp {
    pub table: Arc<TableDef>,
    pub input: Arc<Node>,
    /// Input positions: the row key, and the old value of each of `table.columns` (dropped: unused).
    pub row_key: usize,
    pub old: Vec<Option<usize>>,
    /// Table column := input position of its new value.
    pub assignments: Vec<(usize, usize)>,
    /// To re-check a row that changed under us (READ COMMITTED): when the source is a single scan of
    /// the target, the filter and new values over the old row (`Expr::Input(i)` is `table.columns[i]`);
    /// `None`: the statement is restarted instead.
    pub recheck: Option<Recheck>,
    pub checks: Vec<CheckOp>,
    /// Over the new row, then the input's columns.
    pub returning: Option<Vec<Expr>>,
    /// Foreign keys of this table, and those of others that point at it.
    pub foreign_keys: Vec<ForeignKeyCheck>,
    pub referenced_by: Vec<ForeignKeyCheck>,
    pub indexes: Vec<IndexMaintenance>,
}

#[derive(Debug)]
pub struct Recheck {
    pub filter: Vec<Expr>,
    pub assignments: Vec<(usize, Expr)>,
}

#[derive(Debug)]
pub struct DeleteOp {
    pub table: Arc<TableDef>,
    pub input: Arc<Node>,
    pub row_key: usize,
    pub old: Vec<Option<usize>>,
    pub recheck: Option<Recheck>,
    /// Over the old row, then the input's columns.
    pub returning: Option<Vec<Expr>>,
    pub referenced_by: Vec<ForeignKeyCheck>,
    pub indexes: Vec<IndexMaintenance>,
}

impl SubPlan {
    /// Run once, its value read as a plan parameter.
    pub fn is_init_plan(&self) -> bool {
        self.parameters.is_empty()
            && matches!(self.kind, SubPlanKind::Scalar | SubPlanKind::Exists | SubPlanKind::Array)
    }
}

impl Op {
    /// The nodes it reads from, outer (left) first.
    pub fn inputs(&self) -> Vec<&Arc<Node>> {
        match self {
            Op::SeqScan(_)
            | Op::KeyScan(_)
            | Op::IndexScan(_)
            | Op::VirtualScan { .. }
            | Op::FunctionScan { .. }
            | Op::Values { .. }
            | Op::CteScan { .. }
            | Op::WorkTableScan { .. } => Vec::new(),
            Op::Result { input, .. } => input.iter().collect(),
            Op::Filter { input, .. }
            | Op::Project { input, .. }
            | Op::ProjectSet { input, .. }
            | Op::Window { input, .. }
            | Op::Sort { input, .. }
            | Op::TopN { input, .. }
            | Op::Limit { input, .. }
            | Op::Distinct { input, .. }
            | Op::LockRows { input, .. } => vec![input],
            Op::Aggregate(aggregate) => vec![&aggregate.input],
            Op::HashJoin(join) => vec![&join.left, &join.right],
            Op::MergeJoin(join) => vec![&join.left, &join.right],
            Op::NestedLoop(join) => vec![&join.left, &join.right],
            Op::IndexJoin(join) => vec![&join.left],
            Op::Append { inputs } => inputs.iter().collect(),
            Op::SetOp { left, right, .. } => vec![left, right],
            Op::RecursiveUnion { base, step, .. } => vec![base, step],
            Op::Insert(insert) => vec![&insert.input],
            Op::Update(update) => vec![&update.input],
            Op::Delete(delete) => vec![&delete.input],
        }
    }

    /// [`Op::inputs`], to number or rewrite them while the plan is being made.
    pub fn inputs_mut(&mut self) -> Vec<&mut Arc<Node>> {
        match self {
            Op::SeqScan(_)
            | Op::KeyScan(_)
            | Op::IndexScan(_)
            | Op::VirtualScan { .. }
            | Op::FunctionScan { .. }
            | Op::Values { .. }
            | Op::CteScan { .. }
            | Op::WorkTableScan { .. } => Vec::new(),
            Op::Result { input, .. } => input.iter_mut().collect(),
            Op::Filter { input, .. }
            | Op::Project { input, .. }
            | Op::ProjectSet { input, .. }
            | Op::Window { input, .. }
            | Op::Sort { input, .. }
            | Op::TopN { input, .. }
            | Op::Limit { input, .. }
            | Op::Distinct { input, .. }
            | Op::LockRows { input, .. } => vec![input],
            Op::Aggregate(aggregate) => vec![&mut aggregate.input],
            Op::HashJoin(join) => vec![&mut join.left, &mut join.right],
            Op::MergeJoin(join) => vec![&mut join.left, &mut join.right],
            Op::NestedLoop(join) => vec![&mut join.left, &mut join.right],
            Op::IndexJoin(join) => vec![&mut join.left],
            Op::Append { inputs } => inputs.iter_mut().collect(),
            Op::SetOp { left, right, .. } => vec![left, right],
            Op::RecursiveUnion { base, step, .. } => vec![base, step],
            Op::Insert(insert) => vec![&mut insert.input],
            Op::Update(update) => vec![&mut update.input],
            Op::Delete(delete) => vec![&mut delete.input],
        }
    }
}
