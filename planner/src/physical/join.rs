//! How two sets of leaves are joined: hash, look-up by key, or nested loop, and what each costs.
//!
//! `join_order.rs` asks for the best candidate of every pair it tries; only the winners become nodes.

use std::sync::Arc;

use catalog::IndexDef;
use expr::{ColumnId, Expr};
use types::{Error, Result};

use super::access::{same_text, widened};
use super::build::{Built, Cost, Want, add_columns, node};
use super::join_order::{Block, Leaf, Outer, Set};
use super::lower::Lowering;
use super::plan::{HashJoin, IndexJoin, NestedLoop, Op, SeqScan};
use crate::cost::cardinality::{clamp_rows, seen};
use crate::cost::model::DISABLED;
use crate::cost::{ColumnProfile, selectivity};
use crate::logical::{Join, JoinKind};

/// A way to join a set of leaves, not yet built.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub cost: f64,
    pub startup: f64,
    pub rows: f64,
    pub width: f64,
    pub step: Step,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Leaf(usize),
    /// `left` and `right` as in the operator: of a hash join, `right` is built.
    Join {
        left: Set,
        right: Set,
        method: Method,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Method {
    Hash,
    /// Position of the index in the right table's `indexes`.
    Index {
        index: usize,
    },
    Loop,
}

/// Where the value of an index column comes from in a look-up.
enum KeyValue {
    /// The join's key of this number.
    Pair(usize),
    /// The inner table's own filter pins the column.
    Constant(Expr),
}

impl Candidate {
    pub fn leaf(index: usize, leaf: &Leaf<'_>) -> Candidate {
        Candidate {
            cost: leaf.cost,
            startup: leaf.startup,
            rows: leaf.rows,
            width: leaf.width,
            step: Step::Leaf(index),
        }
    }
}

/// What connects two sets.
struct Connection<'b, 'p> {
    /// The join that is not inner, if it is one; its left side is then the first set.
    outer: Option<&'b Outer<'p>>,
    kind: JoinKind,
    /// `first = second`, by which rows can be hashed or looked up.
    keys: Vec<Pair>,
    /// Conditions of the join that are not keys.
    residual: Vec<Expr>,
    /// Conditions that come after it (over an outer join's result).
    after: Vec<Expr>,
}

#[derive(Debug, Clone)]
struct Pair {
    first: Expr,
    second: Expr,
    /// Other columns of the second side that are as good as `second`.
    same: Vec<ColumnId>,
    /// Columns of the first side that are as good as `first`.
    same_first: Vec<ColumnId>,
}

impl<'a> Lowering<'a> {
    /// The cheapest join of two sets; None when they may not be joined, or (unless `cross`) nothing
    /// connects them. `rows` is the size of the result if it is known.
    pub(super) fn join_candidate(
        &self,
        block: &Block<'_>,
        first: (Set, &Candidate),
        second: (Set, &Candidate),
        cross: bool,
        rows: Option<f64>,
    ) -> Option<Candidate> {
        let ((a, b), connection) = self.connect(block, first.0, second.0, cross)?;
        let (left, right) = if a == first.0 { (first.1, second.1) } else { (second.1, first.1) };
        let rows = rows.unwrap_or_else(|| self.join_rows(block, &connection, (a, left), (b, right)));
        let width = match connection.kind {
            JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti => left.width,
            JoinKind::Mark => left.width + 1.0,
            _ => left.width + right.width,
        };
        let mut best: Option<Candidate> = None;
        let mut offer = |cost: f64, startup: f64, left: Set, right: Set, method: Method| {
            if best.as_ref().is_none_or(|best| cost < best.cost) {
                best =
                    Some(Candidate { cost, startup, rows, width, step: Step::Join { left, right, method } });
            }
        };
        let residual_cost =
            self.expression_cost(&connection.residual) + self.expression_cost(&connection.after);
        let output = rows * self.model.tuple * 0.3;
        if !connection.keys.is_empty() {
            let penalty = if self.cx.settings.enable_hashjoin { 0.0 } else { DISABLED };
            let keys = connection.keys.len() as f64;
            let mut hash = |probe: (Set, &Candidate), build: (Set, &Candidate), extra: f64| {
                let building = build.1.cost
                    + self.model.hash_build(build.1.rows, build.1.width)
                    + build.1.rows * keys * self.model.operator;
                let probing = self.model.hash_probe(probe.1.rows, build.1.rows)
                    + probe.1.rows * keys * self.model.operator;
                let matched = rows.max(probe.1.rows.min(rows * 2.0));
                let total =
                    building + probe.1.cost + probing + extra + output + matched * residual_cost + penalty;
                offer(total, building + probe.1.startup + penalty, probe.0, build.0, Method::Hash);
            };
            hash((a, left), (b, right), 0.0);
            if swapped(connection.kind).is_some() {
                // Marking the built rows that were met costs a look at each.
                let extra =
                    if connection.kind == JoinKind::Inner { 0.0 } else { left.rows * self.model.operator };
                hash((b, right), (a, left), extra);
            }
            self.look_ups(block, &connection, (a, left), b, rows, residual_cost, &mut offer);
            if connection.kind == JoinKind::Inner {
                let turned = turned(&connection);
                self.look_ups(block, &turned, (b, right), a, rows, residual_cost, &mut offer);
            }
        }
        // Without a key there is nothing but the loop; with one it is not worth the risk of a wrong guess.
        let looping = connection.keys.is_empty() || !self.cx.settings.enable_hashjoin;
        let penalty =
            if self.cx.settings.enable_nestloop || connection.keys.is_empty() { 0.0 } else { DISABLED };
        if looping && connection.kind != JoinKind::Full {
            let mut nested = |outer: (Set, &Candidate), inner: (Set, &Candidate)| {
                let comparisons = outer.1.rows * inner.1.rows;
                let per = self.model.operator * (connection.keys.len() as f64) + residual_cost;
                let early = match connection.kind {
                    JoinKind::Semi | JoinKind::Anti => 0.5,
                    _ => 1.0,
                };
                let total = outer.1.cost
                    + inner.1.cost
                    + inner.1.rows * self.model.operator
                    + comparisons * (per + self.model.operator * 0.4) * early
                    + output
                    + penalty;
                offer(total, outer.1.startup + inner.1.startup + penalty, outer.0, inner.0, Method::Loop);
            };
            nested((a, left), (b, right));
            if connection.kind == JoinKind::Inner {
                nested((b, right), (a, left));
            }
        }
        best
    }

    fn look_ups(
        &self,
        block: &Block<'_>,
        connection: &Connection<'_, '_>,
        outer: (Set, &Candidate),
        inner: Set,
        rows: f64,
        residual_cost: f64,
        offer: &mut dyn FnMut(f64, f64, Set, Set, Method),
    ) {
        if inner.count_ones() != 1
            || !matches!(connection.kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti)
        {
            return;
        }
        let leaf = &block.leaves[inner.trailing_zeros() as usize];
        let (Some(scan), Some(base)) = (leaf.scan, &leaf.base) else { return };
        if leaf.filter.iter().any(Expr::has_subquery) {
            return;
        }
        let size = self.table_size(&scan.table);
        let filter_cost = self.expression_cost(&leaf.filter);
        for (position, index) in scan.table.indexes.iter().enumerate() {
            let Some(matched) = self.index_keys(block, connection, inner, index) else { continue };
            let mut per_look_up = size.rows;
            for (_, column) in &matched {
                per_look_up /= base.column(*column).map_or(1.0, |column| column.distinct);
            }
            let whole = matched.len() == index.columns.len();
            if index.unique && whole {
                per_look_up = per_look_up.min(1.0);
            }
            // A semi join stops at the first match.
            let fetched = match connection.kind {
                JoinKind::Semi | JoinKind::Anti => (per_look_up * 0.5 + 0.5).min(per_look_up.max(1.0)),
                _ => per_look_up,
            };
            let pages = self.index_pages(&scan.table, index, size);
            let mut per_row = self.model.look_up(pages, fetched);
            if !index.is_clustered {
                per_row +=
                    fetched * (self.model.descent(size.pages) * 0.5 + self.model.random_page(size.pages));
            }
            per_row += fetched * (filter_cost + residual_cost);
            let penalty = if self.cx.settings.enable_nestloop && self.cx.settings.enable_indexscan {
                0.0
            } else {
                DISABLED
            };
            let total = outer.1.cost + outer.1.rows * per_row + rows * self.model.tuple * 0.3 + penalty;
            offer(total, outer.1.startup + penalty, outer.0, inner, Method::Index { index: position });
        }
    }

    /// The leading columns of an index that have a value in a look-up, at least one of them from the outer side.
    fn index_keys(
        &self,
        block: &Block<'_>,
        connection: &Connection<'_, '_>,
        inner: Set,
        index: &IndexDef,
    ) -> Option<Vec<(KeyValue, ColumnId)>> {
        if index.predicate.is_some() {
            return None;
        }
        let leaf = &block.leaves[inner.trailing_zeros() as usize];
        let scan = leaf.scan?;
        let mut matched = Vec::new();
        for key in &index.columns {
            let Some(ordinal) = key.column else { break };
            if key.data_type.oid == types::DataType::BPCHAR.oid {
                break;
            }
            let Some((id, _)) = scan.columns.iter().find(|(_, column)| *column == ordinal) else { break };
            let found = connection.keys.iter().position(|pair| {
                (pair.second.as_column() == Some(*id) || pair.same.contains(id))
                    && look_up_value(&pair.first, key.data_type).is_some()
            });
            let value = match found {
                Some(position) => KeyValue::Pair(position),
                None => match self.pinned(&leaf.filter, *id, key.data_type) {
                    Some(constant) => KeyValue::Constant(constant),
                    None => break,
                },
            };
            matched.push((value, *id));
        }
        matched.iter().any(|(value, _)| matches!(value, KeyValue::Pair(_))).then_some(matched)
    }

    /// How two sets are connected, and which of them is the left side.
    fn connect<'b, 'p>(
        &self,
        block: &'b Block<'p>,
        first: Set,
        second: Set,
        cross: bool,
    ) -> Option<((Set, Set), Connection<'b, 'p>)> {
        let whole = first | second;
        let mut joins = block.outers.iter().filter(|outer| {
            let all = outer.right | outer.left_needed;
            all & !whole == 0 && all & !first != 0 && all & !second != 0
        });
        let outer = joins.next();
        if joins.next().is_some() {
            return None;
        }
        let (left, right) = match outer {
            None => (first, second),
            Some(outer) if outer.left_needed & !first == 0 && outer.right == second => (first, second),
            Some(outer) if outer.left_needed & !second == 0 && outer.right == first => (second, first),
            Some(_) => return None,
        };
        let mut conditions: Vec<Expr> = Vec::new();
        let mut crossing: Vec<Expr> = block
            .edges
            .iter()
            .filter(|edge| {
                edge.leaves & !whole == 0 && edge.leaves & !first != 0 && edge.leaves & !second != 0
            })
            .map(|edge| edge.expr.clone())
            .collect();
        let mut keys = Vec::new();
        for class in &block.classes {
            if class.leaves & left == 0 || class.leaves & right == 0 {
                continue;
            }
            let mut sides = [Vec::new(), Vec::new()];
            for (column, leaf) in &class.columns {
                if left & (1 << leaf) != 0 {
                    sides[0].push(*column);
                } else if right & (1 << leaf) != 0 {
                    sides[1].push(*column);
                }
            }
            let [same_first, same] = sides;
            let typed = |column: &ColumnId| Expr::column(*column, self.columns.entry(*column).data_type);
            let (Some(a), Some(b)) = (same_first.first().map(typed), same.first().map(typed)) else {
                continue;
            };
            if outer.is_some() {
                crossing.extend(Expr::equality(a, b));
            } else {
                keys.push(Pair { first: a, second: b, same, same_first });
            }
        }
        let mut after = Vec::new();
        let kind = match outer {
            Some(outer) => {
                conditions.extend(outer.on.iter().cloned());
                after = crossing;
                outer.kind
            }
            None => {
                conditions.extend(crossing);
                JoinKind::Inner
            }
        };
        if outer.is_none() && conditions.is_empty() && keys.is_empty() && !cross {
            return None;
        }
        let mut residual = Vec::new();
        let null_aware = matches!(kind, JoinKind::NullAwareAnti | JoinKind::Mark);
        for (position, condition) in conditions.into_iter().enumerate() {
            // The comparison of IN comes first, as a key, or nothing is one: its NULLs count.
            let barred = null_aware && position > 0 && keys.is_empty();
            match self.hash_key(block, &condition, left, right).filter(|_| !barred) {
                Some(pair) => keys.push(pair),
                None => residual.push(condition),
            }
        }
        Some(((left, right), Connection { outer, kind, keys, residual, after }))
    }

    /// `condition` as an equality of the two sides, of one type.
    fn hash_key(&self, block: &Block<'_>, condition: &Expr, left: Set, right: Set) -> Option<Pair> {
        let (operator, x, y) = condition.as_operator()?;
        if !operator.is_equality()
            || !operator.hashable
            || condition.volatility() == expr::Volatility::Volatile
        {
            return None;
        }
        let owner = |expr: &Expr| {
            expr.columns()
                .iter()
                .filter_map(|id| {
                    block.owner.get(id).map(|leaf| 1 << leaf).or_else(|| {
                        block
                            .marks
                            .get(id)
                            .map(|outer| block.outers[*outer].right | block.outers[*outer].left_needed)
                    })
                })
                .fold(0, |a: Set, b: Set| a | b)
        };
        let (of_x, of_y) = (owner(x), owner(y));
        if of_x == 0 || of_y == 0 {
            return None;
        }
        let (first, second) = if of_x & !left == 0 && of_y & !right == 0 {
            (x.clone(), y.clone())
        } else if of_y & !left == 0 && of_x & !right == 0 {
            (y.clone(), x.clone())
        } else {
            return None;
        };
        let (t, u) = (first.data_type(), second.data_type());
        let (first, second) = if t.oid == u.oid || same_text(t, u) {
            (first, second)
        } else if let Some(wide) = widened(first.clone(), u) {
            (wide, second)
        } else if let Some(wide) = widened(second.clone(), t) {
            (first, wide)
        } else {
            return None;
        };
        let same = second.as_column().into_iter().collect();
        let same_first = first.as_column().into_iter().collect();
        Some(Pair { first, second, same, same_first })
    }

    fn join_rows(
        &self,
        block: &Block<'_>,
        connection: &Connection<'_, '_>,
        left: (Set, &Candidate),
        right: (Set, &Candidate),
    ) -> f64 {
        let mut residual = 1.0;
        for condition in &connection.residual {
            residual *= self.edge_selectivity(block, condition);
        }
        let product = left.1.rows * right.1.rows;
        let inner = product * self.key_selectivity(block, &connection.keys, left.0, right.0) * residual;
        let rows = match connection.kind {
            JoinKind::Inner => inner,
            JoinKind::Left => inner.max(left.1.rows),
            JoinKind::Right => inner.max(right.1.rows),
            JoinKind::Full => inner.max(left.1.rows).max(right.1.rows),
            JoinKind::Semi | JoinKind::RightSemi => {
                left.1.rows * self.matched(block, connection, left.1, right.1)
            }
            JoinKind::Anti | JoinKind::RightAnti | JoinKind::NullAwareAnti => {
                left.1.rows * (1.0 - self.matched(block, connection, left.1, right.1)).max(0.01)
            }
            JoinKind::Mark | JoinKind::Single => left.1.rows,
        };
        let after = selectivity::conjunction(&connection.after, &block.profile);
        clamp_rows(rows * after)
    }

    /// The fraction of pairs a condition lets through, given the filters that follow from it.
    fn edge_selectivity(&self, block: &Block<'_>, condition: &Expr) -> f64 {
        let fraction = selectivity::selectivity(condition, &block.profile);
        match block.edges.iter().find(|edge| edge.expr == *condition) {
            Some(edge) => (fraction / edge.done.max(1.0e-9)).min(1.0),
            None => fraction,
        }
    }

    /// The fraction of pairs that equal keys let through.
    fn key_selectivity(&self, block: &Block<'_>, keys: &[Pair], left: Set, right: Set) -> f64 {
        let mut covered = vec![false; keys.len()];
        let mut fraction = 1.0;
        if keys.len() > 1 {
            // A key of several columns: as many combinations as its table has rows.
            let mut best: Option<(f64, Vec<usize>)> = None;
            for (key, leaf) in &block.keys {
                let side = 1 << leaf;
                let of = |column: &ColumnId| {
                    keys.iter().position(|pair| {
                        (side & right != 0 && pair.same.contains(column))
                            || (side & left != 0 && pair.same_first.contains(column))
                    })
                };
                let pairs: Option<Vec<usize>> = key.columns.iter().map(of).collect();
                if let Some(pairs) = pairs
                    && pairs.len() > 1
                    && best.as_ref().is_none_or(|(rows, _)| key.rows > *rows)
                {
                    best = Some((key.rows, pairs));
                }
            }
            if let Some((rows, pairs)) = best {
                fraction /= rows.max(1.0);
                for pair in pairs {
                    covered[pair] = true;
                }
            }
        }
        for (pair, covered) in keys.iter().zip(covered) {
            if covered {
                continue;
            }
            let (a, a_nulls) = self.distinct_side(block, &pair.first, &pair.same_first);
            let (b, b_nulls) = self.distinct_side(block, &pair.second, &pair.same);
            fraction *= (1.0 - a_nulls) * (1.0 - b_nulls) / a.max(b).max(1.0);
        }
        fraction
    }

    /// Distinct values and NULL fraction of one side of a key.
    fn distinct_side(&self, block: &Block<'_>, expr: &Expr, same: &[ColumnId]) -> (f64, f64) {
        let known: Vec<&ColumnProfile> = same.iter().filter_map(|id| block.profile.column(*id)).collect();
        if known.is_empty() {
            let columns = expr.columns();
            let distinct = columns
                .iter()
                .filter_map(|id| block.profile.column(*id))
                .map(|column| column.distinct)
                .fold(1.0, f64::max);
            return (distinct, 0.0);
        }
        let distinct = known.iter().map(|column| column.distinct).fold(f64::INFINITY, f64::min);
        let nulls = known.iter().map(|column| column.null_fraction).fold(0.0, f64::max);
        (distinct, nulls.min(0.999))
    }

    /// The fraction of left rows with a match on the right.
    fn matched(
        &self,
        block: &Block<'_>,
        connection: &Connection<'_, '_>,
        left: &Candidate,
        right: &Candidate,
    ) -> f64 {
        let mut fraction: f64 = 1.0;
        for pair in &connection.keys {
            let (a, a_nulls) = self.distinct_side(block, &pair.first, &pair.same_first);
            let (b, _) = self.distinct_side(block, &pair.second, &pair.same);
            let met = seen(b, right.rows);
            fraction = fraction.min((met / a.max(1.0)).min(1.0) * (1.0 - a_nulls));
        }
        let _ = left;
        for condition in &connection.residual {
            // One of several candidates has to pass: better odds than a single pair.
            let one = selectivity::selectivity(condition, &block.profile);
            fraction *= if connection.keys.is_empty() {
                1.0 - (1.0 - one).powf(right.rows.min(1.0e6))
            } else {
                one.sqrt()
            };
        }
        fraction.clamp(0.0, 1.0)
    }

    /// The node of a chosen join.
    pub(super) fn join_node(
        &mut self,
        block: &Block<'_>,
        candidate: &Candidate,
        (left_set, left): (Set, Built),
        (right_set, right): (Set, Option<Built>),
        method: Method,
    ) -> Result<Built> {
        let ((a, _), mut connection) = self
            .connect(block, left_set, right_set, true)
            .ok_or_else(|| Error::internal("a chosen join does not connect"))?;
        let mut kind = connection.kind;
        if a != left_set {
            // The side kept is built: the join turns round.
            kind =
                swapped(kind).ok_or_else(|| Error::internal("a join that cannot turn round was turned"))?;
            connection = turned(&connection);
        }
        let whole = left_set | right_set;
        let cost = Cost { startup: candidate.startup, total: candidate.cost };
        let needed = self.needed_above(block, whole, &connection.after);
        let ordering = left.ordering.clone();
        let mark = connection.outer.and_then(|outer| outer.join.mark);
        let built = match method {
            Method::Hash => {
                let right = right.ok_or_else(|| Error::internal("a hash join has no right side"))?;
                let right = self.trimmed(right, &connection, &needed)?;
                let keys = connection
                    .keys
                    .iter()
                    .map(|pair| {
                        Ok((self.expr(&pair.first, &left.columns)?, self.expr(&pair.second, &right.columns)?))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let both: Vec<ColumnId> = left.columns.iter().chain(&right.columns).copied().collect();
                let residual = self.exprs(&connection.residual, &both)?;
                let output = join_output(kind, &left.columns, &right.columns, mark);
                let kept: Vec<usize> =
                    (0..output.len()).filter(|&position| needed.contains(&output[position])).collect();
                let columns: Vec<ColumnId> = kept.iter().map(|&position| output[position]).collect();
                let projection = (kept.len() < output.len()).then_some(kept);
                let profile = self.joined_profile(block, candidate.rows, &columns);
                let outputs = self.outputs(&columns);
                let op = Op::HashJoin(HashJoin {
                    kind,
                    left: Arc::new(left.node),
                    right: Arc::new(right.node),
                    keys,
                    residual,
                    projection,
                });
                let node = node(op, outputs, &columns, &profile, cost);
                Built { node, columns, profile, ordering: Vec::new() }
            }
            Method::Loop => {
                let right = right.ok_or_else(|| Error::internal("a loop has no inner side"))?;
                let both: Vec<ColumnId> = left.columns.iter().chain(&right.columns).copied().collect();
                let mut condition = Vec::new();
                for pair in &connection.keys {
                    condition.extend(Expr::equality(pair.first.clone(), pair.second.clone()));
                }
                condition.extend(connection.residual.iter().cloned());
                let condition = self.exprs(&condition, &both)?;
                let columns = join_output(kind, &left.columns, &right.columns, mark);
                let profile = self.joined_profile(block, candidate.rows, &columns);
                let outputs = self.outputs(&columns);
                let op = Op::NestedLoop(NestedLoop {
                    kind,
                    left: Arc::new(left.node),
                    right: Arc::new(right.node),
                    condition,
                    parameters: Vec::new(),
                });
                let node = node(op, outputs, &columns, &profile, cost);
                Built { node, columns, profile, ordering }
            }
            Method::Index { index } => {
                self.index_join(block, candidate, &connection, kind, left, right_set, index, cost)?
            }
        };
        let after = std::mem::take(&mut connection.after);
        if after.is_empty() {
            return Ok(built);
        }
        let rows = built.profile.rows;
        let mut built = self.filter_on(built, &after)?;
        built.profile.rows = rows;
        built.node.estimate.rows = rows;
        Ok(built)
    }

    /// The side to be built, without columns that only its own filter read.
    fn trimmed(
        &mut self,
        right: Built,
        connection: &Connection<'_, '_>,
        needed: &[ColumnId],
    ) -> Result<Built> {
        let mut read = needed.to_vec();
        add_columns(connection.keys.iter().map(|pair| &pair.second), &mut read);
        add_columns(&connection.residual, &mut read);
        self.add_outer_columns(&connection.residual, &mut read);
        let kept: Vec<ColumnId> = right.columns.iter().copied().filter(|id| read.contains(id)).collect();
        if kept.len() == right.columns.len() || kept.is_empty() {
            Ok(right)
        } else {
            self.deliver(right, &kept)
        }
    }

    fn index_join(
        &mut self,
        block: &Block<'_>,
        candidate: &Candidate,
        connection: &Connection<'_, '_>,
        kind: JoinKind,
        left: Built,
        right_set: Set,
        position: usize,
        cost: Cost,
    ) -> Result<Built> {
        let leaf = &block.leaves[right_set.trailing_zeros() as usize];
        let scan = leaf.scan.ok_or_else(|| Error::internal("a look-up into something that is no table"))?;
        self.depend_on(scan.table.id);
        let index: Arc<IndexDef> = scan
            .table
            .indexes
            .get(position)
            .cloned()
            .ok_or_else(|| Error::internal("a look-up through an index that is not there"))?;
        let matched = self
            .index_keys(block, connection, right_set, &index)
            .ok_or_else(|| Error::internal("a look-up without a key"))?;
        let mut keys = Vec::new();
        for ((value, _), column) in matched.iter().zip(&index.columns) {
            let value = match value {
                KeyValue::Pair(pair) => {
                    let first = connection.keys.get(*pair).map(|pair| &pair.first);
                    first
                        .and_then(|first| look_up_value(first, column.data_type))
                        .ok_or_else(|| Error::internal("a look-up key of another type"))?
                }
                KeyValue::Constant(constant) => constant.clone(),
            };
            keys.push(self.expr(&value, &left.columns)?);
        }
        let mut needed = leaf.columns.clone();
        add_columns(&leaf.filter, &mut needed);
        let kept = self.scan_columns(scan, &needed);
        let mut inner_columns: Vec<ColumnId> = kept.iter().map(|(id, _)| *id).collect();
        let row_key = scan.row_key.filter(|id| needed.contains(id));
        inner_columns.extend(row_key);
        let filter = self.exprs(&leaf.filter, &inner_columns)?;
        let inner = SeqScan {
            table: scan.table.clone(),
            alias: scan.alias.clone(),
            columns: kept.iter().map(|(_, ordinal)| *ordinal).collect(),
            row_key: row_key.is_some(),
            filter,
        };
        let both: Vec<ColumnId> = left.columns.iter().chain(&inner_columns).copied().collect();
        let mut conditions = Vec::new();
        for (position, pair) in connection.keys.iter().enumerate() {
            let looked_up = |value: &KeyValue| matches!(value, KeyValue::Pair(used) if *used == position);
            if !matched.iter().any(|(value, _)| looked_up(value)) {
                conditions.extend(Expr::equality(pair.first.clone(), pair.second.clone()));
            }
        }
        conditions.extend(connection.residual.iter().cloned());
        let residual = self.exprs(&conditions, &both)?;
        let columns = join_output(kind, &left.columns, &inner_columns, None);
        let profile = self.joined_profile(block, candidate.rows, &columns);
        let outputs = self.outputs(&columns);
        let ordering = left.ordering.clone();
        let op = Op::IndexJoin(IndexJoin {
            kind,
            left: Arc::new(left.node),
            inner,
            index: (!index.is_clustered).then_some(index),
            keys,
            residual,
        });
        let node = node(op, outputs, &columns, &profile, cost);
        Ok(Built { node, columns, profile, ordering })
    }

    fn joined_profile(&self, block: &Block<'_>, rows: f64, columns: &[ColumnId]) -> crate::cost::Profile {
        let mut profile = crate::cost::Profile { rows, ..Default::default() };
        for id in columns {
            let column = match block.profile.column(*id) {
                Some(column) => column.clone(),
                None => ColumnProfile::computed(self.columns.entry(*id).data_type, 2.0, rows, 0),
            };
            profile.columns.insert(*id, column);
        }
        profile.keys = block.profile.keys.clone();
        profile
    }

    /// Columns of a joined set that are still read: by the parent, by joins to come, by `after`.
    fn needed_above(&self, block: &Block<'_>, set: Set, after: &[Expr]) -> Vec<ColumnId> {
        let mut needed = block.wanted.clone();
        let mut exprs: Vec<&Expr> = after.iter().chain(&block.constants).collect();
        exprs.extend(block.edges.iter().filter(|edge| edge.leaves & !set != 0).map(|edge| &edge.expr));
        for outer in &block.outers {
            if (outer.right | outer.left_needed) & !set != 0 {
                exprs.extend(&outer.on);
            }
        }
        add_columns(exprs.iter().copied(), &mut needed);
        self.add_outer_columns(exprs, &mut needed);
        for class in &block.classes {
            if class.leaves & !set != 0 {
                let first = class.columns.iter().find(|(_, leaf)| set & (1 << leaf) != 0);
                needed.extend(first.map(|(column, _)| *column));
            }
        }
        needed
    }

    /// LATERAL, or a subquery that could not be unnested: the right side runs per left row.
    pub(super) fn dependent_join(&mut self, join: &Join, needed: &[ColumnId]) -> Result<Built> {
        let outer: Vec<ColumnId> = crate::rewrite::free::free_columns(&join.right, self.subqueries);
        let left_output = join.left.output();
        let mut left_needed = needed.to_vec();
        add_columns(&join.on, &mut left_needed);
        self.add_outer_columns(&join.on, &mut left_needed);
        left_needed.extend(&outer);
        let left = self.lower(&join.left, &Want::columns(&left_needed))?;
        let mut parameters = Vec::new();
        let mut shadowed = Vec::new();
        for id in outer.iter().filter(|id| left_output.contains(id)) {
            let value = self.column(*id, self.columns.entry(*id).data_type, &left.columns)?;
            let parameter = self.new_parameter();
            parameters.push((parameter, value));
            shadowed.push((*id, self.outer.insert(*id, parameter)));
        }
        let mut right_needed = needed.to_vec();
        add_columns(&join.on, &mut right_needed);
        self.add_outer_columns(&join.on, &mut right_needed);
        let right = self.lower(&join.right, &Want::columns(&right_needed));
        for (id, old) in shadowed {
            match old {
                Some(old) => self.outer.insert(id, old),
                None => self.outer.remove(&id),
            };
        }
        let right = right?;
        let both: Vec<ColumnId> = left.columns.iter().chain(&right.columns).copied().collect();
        let condition = self.exprs(&join.on, &both)?;
        let columns = join_output(join.kind, &left.columns, &right.columns, join.mark);
        let mut profile = left.profile.clone();
        profile.columns.extend(right.profile.columns.iter().map(|(id, column)| (*id, column.clone())));
        if let Some(mark) = join.mark {
            profile.columns.insert(mark, ColumnProfile::computed(types::DataType::BOOL, 2.0, left.rows(), 0));
        }
        let fraction = selectivity::conjunction(&join.on, &profile);
        profile.rows = match join.kind {
            JoinKind::Inner => clamp_rows(left.rows() * right.rows() * fraction),
            JoinKind::Left => clamp_rows((left.rows() * right.rows() * fraction).max(left.rows())),
            JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti => clamp_rows(left.rows() * 0.5),
            _ => left.rows(),
        };
        let cost = Cost {
            startup: left.startup_cost() + right.startup_cost(),
            total: left.total_cost()
                + left.rows().max(1.0) * (right.total_cost() + self.model.tuple)
                + left.rows() * right.rows() * self.expression_cost(&condition),
        };
        let outputs = self.outputs(&columns);
        let ordering = left.ordering.clone();
        let op = Op::NestedLoop(NestedLoop {
            kind: join.kind,
            left: Arc::new(left.node),
            right: Arc::new(right.node),
            condition,
            parameters,
        });
        let node = node(op, outputs, &columns, &profile, cost);
        Ok(Built { node, columns, profile, ordering })
    }
}

/// The kind of the same join with its sides swapped.
fn swapped(kind: JoinKind) -> Option<JoinKind> {
    match kind {
        JoinKind::Inner => Some(JoinKind::Inner),
        JoinKind::Left => Some(JoinKind::Right),
        JoinKind::Semi => Some(JoinKind::RightSemi),
        JoinKind::Anti => Some(JoinKind::RightAnti),
        JoinKind::Full => Some(JoinKind::Full),
        _ => None,
    }
}

fn turned<'b, 'p>(connection: &Connection<'b, 'p>) -> Connection<'b, 'p> {
    Connection {
        outer: connection.outer,
        kind: connection.kind,
        keys: connection
            .keys
            .iter()
            .map(|pair| Pair {
                first: pair.second.clone(),
                second: pair.first.clone(),
                same: pair.same_first.clone(),
                same_first: pair.same.clone(),
            })
            .collect(),
        residual: connection.residual.clone(),
        after: connection.after.clone(),
    }
}

/// The columns a join yields.
fn join_output(
    kind: JoinKind,
    left: &[ColumnId],
    right: &[ColumnId],
    mark: Option<ColumnId>,
) -> Vec<ColumnId> {
    match kind {
        JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti => left.to_vec(),
        JoinKind::RightSemi | JoinKind::RightAnti => right.to_vec(),
        JoinKind::Mark => left.iter().copied().chain(mark).collect(),
        _ => left.iter().chain(right).copied().collect(),
    }
}

/// `value` as one of the index column's type.
fn look_up_value(value: &Expr, data_type: types::DataType) -> Option<Expr> {
    let from = value.data_type();
    if from.oid == data_type.oid || same_text(from, data_type) {
        return Some(value.clone());
    }
    widened(value.clone(), data_type)
}
