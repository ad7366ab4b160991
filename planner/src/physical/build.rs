//! Plans under construction: a node, which columns it yields, and what is known of them.
//!
//! `lower.rs`, `access.rs`, `join.rs` and `dml.rs` make them. A [`Built`]'s expressions are over
//! positions already; `columns[i]` says which logical column position `i` is.

use std::sync::Arc;

use expr::{ColumnId, Expr};

use super::plan::{Estimate, Node, NodeId, Op, OutputColumn, SortKey};
use crate::cost::Profile;

/// A plan for a part of the statement.
#[derive(Debug)]
pub(super) struct Built {
    pub node: Node,
    pub columns: Vec<ColumnId>,
    pub profile: Profile,
    /// The order its rows come in, over logical columns.
    pub ordering: Vec<SortKey>,
}

/// What the parent would like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    /// Columns it reads; others need not be delivered.
    pub columns: &'a [ColumnId],
    /// An order that would save it a sort; not owed.
    pub ordering: &'a [SortKey],
    /// How many rows it will read, if not all.
    pub limit: Option<f64>,
}

impl<'a> Want<'a> {
    pub fn columns(columns: &'a [ColumnId]) -> Want<'a> {
        Want { columns, ordering: &[], limit: None }
    }
}

impl Built {
    pub fn rows(&self) -> f64 {
        self.profile.rows
    }

    pub fn total_cost(&self) -> f64 {
        self.node.estimate.total_cost
    }

    pub fn startup_cost(&self) -> f64 {
        self.node.estimate.startup_cost
    }

    pub fn position(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| *column == id)
    }

    pub fn width(&self) -> f64 {
        f64::from(self.node.estimate.width)
    }

    /// Puts an operator on top. `columns` and `profile` are what it yields.
    pub fn above(
        self,
        op: impl FnOnce(Arc<Node>) -> Op,
        outputs: Vec<OutputColumn>,
        columns: Vec<ColumnId>,
        profile: Profile,
        cost: Cost,
        ordering: Vec<SortKey>,
    ) -> Built {
        let node = node(op(Arc::new(self.node)), outputs, &columns, &profile, cost);
        Built { node, columns, profile, ordering }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub startup: f64,
    pub total: f64,
}

pub(super) fn node(
    op: Op,
    outputs: Vec<OutputColumn>,
    columns: &[ColumnId],
    profile: &Profile,
    cost: Cost,
) -> Node {
    let estimate = Estimate {
        startup_cost: cost.startup,
        total_cost: cost.total.max(cost.startup),
        rows: profile.rows,
        width: profile.width(columns).round() as u32,
    };
    Node { id: NodeId(0), op, columns: outputs, estimate }
}

/// Whether rows in order `have` are in order `want` too.
pub(super) fn satisfies(have: &[SortKey], want: &[SortKey]) -> bool {
    want.len() <= have.len() && want.iter().zip(have).all(|(a, b)| a == b)
}

/// How many leading keys of `want` hold in `have`.
pub(super) fn shared_prefix(have: &[SortKey], want: &[SortKey]) -> usize {
    want.iter().zip(have).take_while(|(a, b)| a == b).count()
}

/// The columns that `exprs` use, added to `out` without repeats.
pub(super) fn add_columns<'e>(exprs: impl IntoIterator<Item = &'e Expr>, out: &mut Vec<ColumnId>) {
    for expr in exprs {
        for column in expr.columns() {
            if !out.contains(&column) {
                out.push(column);
            }
        }
    }
}
