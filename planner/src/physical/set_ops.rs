//! UNION, INTERSECT, EXCEPT; WITH and WITH RECURSIVE; leaves that are not tables; row locks.

use expr::{ColumnId, Expr};
use types::{Error, Result};

use super::build::{Built, Cost, Want, add_columns, node};
use super::lower::Lowering;
use super::plan::{Cte, CteId, LockRows, Op, OutputColumn, SetOpKind};
use crate::cost::cardinality::clamp_rows;
use crate::cost::{ColumnProfile, Profile, selectivity};
use crate::logical::{LockTarget, LogicalPlan, SetOp};

impl Lowering<'_> {
    pub(super) fn set_op(&mut self, set_op: &SetOp) -> Result<Built> {
        if set_op.kind == SetOpKind::Union {
            return self.union(set_op);
        }
        let left = self.lower_exactly(&set_op.left)?;
        let right = self.lower_exactly(&set_op.right)?;
        let left_groups = left.rows();
        let rows = match set_op.kind {
            SetOpKind::Intersect => left_groups.min(right.rows()),
            _ => left_groups,
        };
        let total = left.total_cost()
            + right.total_cost()
            + self.model.hash_build(right.rows(), right.width())
            + self.model.hash_aggregate(left.rows(), rows, set_op.columns.len(), 0);
        let mut profile = self.renamed(&left, &set_op.columns);
        profile.rows = clamp_rows(rows);
        let outputs = self.outputs(&set_op.columns);
        let op = Op::SetOp {
            kind: set_op.kind,
            all: set_op.all,
            left: left.node.into(),
            right: right.node.into(),
        };
        let cost = Cost { startup: total - rows * self.model.tuple, total };
        let node = node(op, outputs, &set_op.columns, &profile, cost);
        Ok(Built { node, columns: set_op.columns.clone(), profile, ordering: Vec::new() })
    }

    fn union(&mut self, set_op: &SetOp) -> Result<Built> {
        let mut inputs = Vec::new();
        self.union_inputs(set_op, set_op.all, &mut inputs)?;
        let rows: f64 = inputs.iter().map(Built::rows).sum();
        let total: f64 = inputs.iter().map(Built::total_cost).sum::<f64>() + rows * self.model.operator;
        let startup = inputs.first().map_or(0.0, Built::startup_cost);
        let mut profile = match inputs.first() {
            Some(first) => self.renamed(first, &set_op.columns),
            None => Profile::default(),
        };
        for (position, id) in set_op.columns.iter().enumerate() {
            let distinct: f64 = inputs
                .iter()
                .filter_map(|input| input.columns.get(position).and_then(|id| input.profile.column(*id)))
                .map(|column| column.distinct)
                .sum();
            if let Some(column) = profile.columns.get_mut(id) {
                column.distinct = distinct.max(1.0);
                column.stats = None;
            }
        }
        profile.rows = rows;
        profile.keys.clear();
        let outputs = self.outputs(&set_op.columns);
        let op = Op::Append { inputs: inputs.into_iter().map(|input| input.node.into()).collect() };
        let node = node(op, outputs, &set_op.columns, &profile, Cost { startup, total });
        let built = Built { node, columns: set_op.columns.clone(), profile, ordering: Vec::new() };
        if set_op.all { Ok(built) } else { self.distinct_on_all(built) }
    }

    /// The arms of a chain of UNIONs. Arms of a UNION inside a UNION need no DISTINCT of their own;
    /// a UNION inside a UNION ALL keeps its own.
    fn union_inputs(&mut self, set_op: &SetOp, all: bool, out: &mut Vec<Built>) -> Result<()> {
        for side in [&set_op.left, &set_op.right] {
            match &**side {
                LogicalPlan::SetOp(inner) if inner.kind == SetOpKind::Union && (inner.all || !all) => {
                    self.union_inputs(inner, all, out)?;
                }
                other => out.push(self.lower_exactly(other)?),
            }
        }
        Ok(())
    }

    /// A plan with exactly its logical output columns.
    pub(super) fn lower_exactly(&mut self, plan: &LogicalPlan) -> Result<Built> {
        let columns = plan.output();
        let built = self.lower(plan, &Want::columns(&columns))?;
        self.deliver(built, &columns)
    }

    /// What is known of `built`'s columns, under other ids.
    fn renamed(&mut self, built: &Built, columns: &[ColumnId]) -> Profile {
        let relation = self.new_relation();
        let mut profile = Profile { rows: built.rows(), ..Profile::default() };
        for (old, new) in built.columns.iter().zip(columns) {
            let column = match built.profile.column(*old) {
                Some(column) => column.clone(),
                None => ColumnProfile::computed(
                    self.columns.entry(*new).data_type,
                    built.rows(),
                    built.rows(),
                    relation,
                ),
            };
            profile.columns.insert(*new, column);
        }
        profile
    }

    pub(super) fn with(
        &mut self,
        id: CteId,
        name: &str,
        definition: &LogicalPlan,
        body: &LogicalPlan,
        want: &Want<'_>,
    ) -> Result<Built> {
        let built = self.lower_exactly(definition)?;
        let profile = built.profile.clone();
        let columns = built.columns.clone();
        let index = id.0 as usize;
        if self.ctes.len() <= index {
            self.ctes.resize_with(index + 1, || None);
        }
        self.ctes[index] = Some(Cte { id, name: name.to_string(), node: built.node.into() });
        self.cte_columns.insert(id, (columns, profile));
        self.lower(body, want)
    }

    /// A virtual table, a function or a CTE, with the filter it applies itself.
    pub(super) fn leaf(&mut self, plan: &LogicalPlan, predicate: &[Expr], want: &Want<'_>) -> Result<Built> {
        let (once, each): (Vec<&Expr>, Vec<&Expr>) =
            predicate.iter().partition(|expr| expr.is_execution_constant());
        let mut needed = want.columns.to_vec();
        add_columns(each.iter().copied(), &mut needed);
        self.add_outer_columns(each.iter().copied(), &mut needed);
        let relation = self.new_relation();
        let mut profile = Profile::default();
        let columns: Vec<ColumnId>;
        let make: Box<dyn FnOnce(Vec<Expr>) -> Op>;
        let total;
        match plan {
            LogicalPlan::VirtualScan { table, alias, columns: all } => {
                let kept: Vec<(ColumnId, usize)> =
                    all.iter().copied().filter(|(id, _)| needed.contains(id)).collect();
                columns = kept.iter().map(|(id, _)| *id).collect();
                profile.rows = 100.0;
                total = 100.0 * self.model.tuple;
                let (table, alias) = (table.clone(), alias.clone());
                let ordinals = kept.iter().map(|(_, ordinal)| *ordinal).collect();
                make = Box::new(move |filter| Op::VirtualScan { table, alias, columns: ordinals, filter });
            }
            LogicalPlan::FunctionScan { call, alias, columns: all, ordinality } => {
                columns = all.iter().copied().chain(*ordinality).collect();
                let call = self.table_call(call, &[])?;
                profile.rows = if call.function.returns_set { function_rows(&call) } else { 1.0 };
                total = profile.rows * self.model.tuple;
                let (alias, ordinality) = (alias.clone(), ordinality.is_some());
                make = Box::new(move |filter| Op::FunctionScan { call, alias, ordinality, filter });
            }
            LogicalPlan::CteRef { id, name, alias, columns: all } => {
                let kept: Vec<usize> = (0..all.len()).filter(|&i| needed.contains(&all[i])).collect();
                columns = kept.iter().map(|&i| all[i]).collect();
                let (id, name, alias) = (*id, name.clone(), alias.clone());
                match self.cte_columns.get(&id) {
                    Some((defined, known)) => {
                        profile.rows = known.rows;
                        for (new, old) in all.iter().zip(defined) {
                            if let Some(column) = known.column(*old) {
                                profile.columns.insert(*new, column.clone());
                            }
                        }
                    }
                    None => {
                        return Err(Error::internal(format!("CTE \"{name}\" is read before it is defined")));
                    }
                }
                total = profile.rows * self.model.tuple;
                make = if self.recursive.contains(&id) {
                    Box::new(move |filter| Op::WorkTableScan { id, name, columns: kept, filter })
                } else {
                    Box::new(move |filter| Op::CteScan { id, name, alias, columns: kept, filter })
                };
            }
            _ => return Err(Error::internal("not a leaf")),
        }
        for id in &columns {
            let data_type = self.columns.entry(*id).data_type;
            let rows = profile.rows;
            profile
                .columns
                .entry(*id)
                .or_insert_with(|| ColumnProfile::computed(data_type, rows.min(200.0), rows, relation));
        }
        let fraction = selectivity::conjunction(each.iter().copied(), &profile);
        let filter = self.exprs(each.iter().copied(), &columns)?;
        let total = total + profile.rows * self.expression_cost(&filter);
        if !filter.is_empty() {
            profile = profile.scaled(fraction);
        }
        let outputs = self.outputs(&columns);
        let node = node(make(filter), outputs, &columns, &profile, Cost { startup: 0.0, total });
        let built = Built { node, columns, profile, ordering: Vec::new() };
        let once: Vec<Expr> = once.into_iter().cloned().collect();
        self.filter_on(built, &once)
    }

    pub(super) fn recursive_union(
        &mut self,
        id: CteId,
        name: &str,
        base: &LogicalPlan,
        step: &LogicalPlan,
        all: bool,
        columns: &[ColumnId],
    ) -> Result<Built> {
        let base = self.lower_exactly(base)?;
        let known = (base.columns.clone(), base.profile.clone());
        let shadowed = self.cte_columns.insert(id, known);
        self.recursive.push(id);
        let step = self.lower_exactly(step);
        self.recursive.pop();
        match shadowed {
            Some(outer) => self.cte_columns.insert(id, outer),
            None => self.cte_columns.remove(&id),
        };
        let step = step?;
        // PostgreSQL's guess: ten rounds.
        let total = base.total_cost() + 10.0 * step.total_cost();
        let mut profile = self.renamed(&base, columns);
        profile.rows = clamp_rows(base.rows() + 10.0 * step.rows());
        let startup = base.startup_cost();
        let outputs: Vec<OutputColumn> = self.outputs(columns);
        let op = Op::RecursiveUnion {
            id,
            name: name.to_string(),
            base: base.node.into(),
            step: step.node.into(),
            all,
        };
        let node = node(op, outputs, columns, &profile, Cost { startup, total });
        Ok(Built { node, columns: columns.to_vec(), profile, ordering: Vec::new() })
    }

    pub(super) fn lock(
        &mut self,
        input: &LogicalPlan,
        relations: &[LockTarget],
        want: &Want<'_>,
    ) -> Result<Built> {
        let mut needed = want.columns.to_vec();
        needed.extend(relations.iter().map(|target| target.row_key));
        let built = self.lower(input, &Want { columns: &needed, ordering: want.ordering, limit: None })?;
        let mut targets = Vec::new();
        for target in relations {
            self.depend_on(target.table.id);
            let row_key = built
                .position(target.row_key)
                .ok_or_else(|| Error::internal("the key of a row to be locked is not in the input"))?;
            targets.push(LockRows {
                table: target.table.clone(),
                row_key,
                strength: target.strength,
                wait: target.wait,
            });
        }
        let cost = Cost {
            startup: built.startup_cost(),
            total: built.total_cost() + built.rows() * self.model.tuple,
        };
        let (columns, profile, ordering) =
            (built.columns.clone(), built.profile.clone(), built.ordering.clone());
        let outputs = self.outputs(&columns);
        Ok(built.above(|input| Op::LockRows { input, targets }, outputs, columns, profile, cost, ordering))
    }
}

/// How many rows a set-returning function yields, from constant arguments of generate_series.
fn function_rows(call: &expr::TableFunctionCall) -> f64 {
    if call.function.name == "generate_series" {
        let number = |index: usize| call.args.get(index).and_then(Expr::as_literal).and_then(|v| v.as_i64());
        if let (Some(from), Some(to)) = (number(0), number(1)) {
            let step = number(2).unwrap_or(1).max(1);
            return clamp_rows((to as f64 - from as f64) / step as f64 + 1.0);
        }
        return 1000.0;
    }
    100.0
}
