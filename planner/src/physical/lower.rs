//! Logical → physical, node by node.
//!
//! [`Lowering::lower`] is told which columns its parent reads and what order it would like, and answers
//! with a plan that delivers at least those columns. Scans go to `access.rs`, trees of joins and filters
//! to `join_order.rs`, statements that write to `dml.rs`.

use std::collections::{BTreeSet, HashMap};

use catalog::RelationId;
use expr::{ColumnId, Expr, PlanParameterId, SubqueryId};
use types::{Result, Value};

use super::build::{Built, Cost, Want, add_columns, node, satisfies};
use super::plan::{AggregateOp, Cte, CteId, Op, OutputColumn, SortKey, Strategy, SubPlan};
use crate::context::PlanContext;
use crate::cost::cardinality::clamp_rows;
use crate::cost::{ColumnProfile, Key, Model, Profile, selectivity};
use crate::logical::{Aggregate, BoundSubquery, ColumnTable, Computed, LogicalPlan, LogicalStatement};

/// The state of lowering one statement.
pub(super) struct Lowering<'a> {
    pub cx: &'a PlanContext<'a>,
    pub columns: &'a ColumnTable,
    pub subqueries: &'a [BoundSubquery],
    pub model: Model,
    pub sub_plans: Vec<SubPlan>,
    /// Init plans made so far, by the subquery they come from.
    pub init_plans: HashMap<SubqueryId, Expr>,
    pub ctes: Vec<Option<Cte>>,
    pub cte_columns: HashMap<CteId, (Vec<ColumnId>, Profile)>,
    /// Recursive unions around here: their `CteRef`s read the work table.
    pub recursive: Vec<CteId>,
    /// Columns of enclosing queries, as the parameters that hold them.
    pub outer: HashMap<ColumnId, PlanParameterId>,
    pub next_parameter: u32,
    relations: u32,
    depends_on: BTreeSet<u32>,
}

impl<'a> Lowering<'a> {
    pub fn new(cx: &'a PlanContext<'a>, statement: &'a LogicalStatement) -> Lowering<'a> {
        Lowering {
            cx,
            columns: &statement.columns,
            subqueries: &statement.subqueries,
            model: Model::new(cx.settings),
            sub_plans: Vec::new(),
            init_plans: HashMap::new(),
            ctes: Vec::new(),
            cte_columns: HashMap::new(),
            recursive: Vec::new(),
            outer: HashMap::new(),
            next_parameter: 0,
            relations: 0,
            depends_on: BTreeSet::new(),
        }
    }

    pub fn plan_parameters(&self) -> usize {
        self.next_parameter as usize
    }

    pub fn depends_on(&self) -> Vec<u32> {
        self.depends_on.iter().copied().collect()
    }

    pub fn depend_on(&mut self, relation: RelationId) {
        self.depends_on.insert(relation.0);
    }

    pub fn take_ctes(&mut self) -> Vec<Cte> {
        self.ctes.drain(..).flatten().collect()
    }

    /// A number for one more relation, by which profiles tell whose columns are whose.
    pub fn new_relation(&mut self) -> u32 {
        self.relations += 1;
        self.relations
    }

    pub fn lower(&mut self, plan: &LogicalPlan, want: &Want<'_>) -> Result<Built> {
        match plan {
            LogicalPlan::Scan(scan) => self.scan(scan, &[], want),
            LogicalPlan::VirtualScan { .. }
            | LogicalPlan::FunctionScan { .. }
            | LogicalPlan::CteRef { .. } => self.leaf(plan, &[], want),
            LogicalPlan::Values { rows, columns } => self.values(rows, columns),
            LogicalPlan::Filter { input, predicate } => self.filter(input, predicate, want),
            LogicalPlan::Project { input, exprs } => self.project(input, exprs, want),
            LogicalPlan::Join(_) => self.join_block(plan, &[], want),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, &[], want),
            LogicalPlan::Window { input, window, calls } => self.window(input, window, calls, want),
            LogicalPlan::Sort { input, keys } => self.sort(input, keys, want),
            LogicalPlan::Limit { input, limit, offset, with_ties } => {
                self.limit(input, limit.as_ref(), offset.as_ref(), with_ties.as_deref(), want)
            }
            LogicalPlan::Distinct { input, on } => self.distinct(input, on.as_deref(), want),
            LogicalPlan::SetOp(set_op) => self.set_op(set_op),
            LogicalPlan::With { id, name, definition, body, .. } => {
                self.with(*id, name, definition, body, want)
            }
            LogicalPlan::RecursiveUnion { id, name, base, step, all, columns } => {
                self.recursive_union(*id, name, base, step, *all, columns)
            }
            LogicalPlan::Lock { input, relations } => self.lock(input, relations, want),
            LogicalPlan::ProjectSet { input, calls } => self.project_set(input, calls, want),
            LogicalPlan::Insert(insert) => self.insert(insert),
            LogicalPlan::Update(update) => self.update(update),
            LogicalPlan::Delete(delete) => self.delete(delete),
            LogicalPlan::Merge(merge) => self.merge(merge),
        }
    }

    /// A filter goes into the operator below where that has a place for it.
    fn filter(&mut self, input: &LogicalPlan, predicate: &[Expr], want: &Want<'_>) -> Result<Built> {
        match input {
            LogicalPlan::Filter { input: below, predicate: more } => {
                let all: Vec<Expr> = more.iter().chain(predicate).cloned().collect();
                self.filter(below, &all, want)
            }
            LogicalPlan::Scan(scan) => self.scan(scan, predicate, want),
            LogicalPlan::VirtualScan { .. }
            | LogicalPlan::FunctionScan { .. }
            | LogicalPlan::CteRef { .. } => self.leaf(input, predicate, want),
            LogicalPlan::Join(_) => self.join_block(input, predicate, want),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, predicate, want),
            _ => {
                let mut needed = want.columns.to_vec();
                add_columns(predicate, &mut needed);
                self.add_outer_columns(predicate, &mut needed);
                let built = self.lower(input, &Want { columns: &needed, ..*want })?;
                self.filter_on(built, predicate)
            }
        }
    }

    /// A Filter node, or a Result with a one-time filter when no column is read.
    pub fn filter_on(&mut self, built: Built, predicate: &[Expr]) -> Result<Built> {
        if predicate.is_empty() {
            return Ok(built);
        }
        let (once, each): (Vec<&Expr>, Vec<&Expr>) =
            predicate.iter().partition(|expr| expr.is_execution_constant());
        let mut built = built;
        if !each.is_empty() {
            let fraction = selectivity::conjunction(each.iter().copied(), &built.profile);
            let lowered = self.exprs(each.iter().copied(), &built.columns)?;
            let cost = Cost {
                startup: built.startup_cost(),
                total: built.total_cost() + built.rows() * self.expression_cost(&lowered),
            };
            let (columns, ordering) = (built.columns.clone(), built.ordering.clone());
            let profile = built.profile.clone().scaled(fraction);
            let outputs = self.outputs(&columns);
            built = built.above(
                |input| Op::Filter { input, predicate: lowered },
                outputs,
                columns,
                profile,
                cost,
                ordering,
            );
        }
        if !once.is_empty() {
            built = self.one_time_filter(built, &once)?;
        }
        Ok(built)
    }

    fn one_time_filter(&mut self, built: Built, once: &[&Expr]) -> Result<Built> {
        let one_time_filter = self.exprs(once.iter().copied(), &[])?;
        let never =
            once.iter().any(|expr| matches!(expr.as_literal(), Some(Value::Bool(false) | Value::Null)));
        let exprs: Vec<Expr> = built
            .columns
            .iter()
            .enumerate()
            .map(|(position, id)| Expr::input(position, self.columns.entry(*id).data_type))
            .collect();
        let cost = if never {
            Cost { startup: 0.0, total: 0.0 }
        } else {
            Cost { startup: built.startup_cost(), total: built.total_cost() + self.model.operator }
        };
        let (columns, ordering) = (built.columns.clone(), built.ordering.clone());
        let mut profile = built.profile.clone();
        if never {
            profile.rows = 0.0;
            let outputs = self.outputs(&columns);
            let nulls = columns.iter().map(|id| Expr::null(self.columns.entry(*id).data_type)).collect();
            let op = Op::Result { exprs: nulls, one_time_filter: vec![Expr::bool(false)], input: None };
            let node = node(op, outputs, &columns, &profile, cost);
            return Ok(Built { node, columns, profile, ordering });
        }
        let outputs = self.outputs(&columns);
        Ok(built.above(
            |input| Op::Result { exprs, one_time_filter, input: Some(input) },
            outputs,
            columns,
            profile,
            cost,
            ordering,
        ))
    }

    /// Per row, what evaluating these costs.
    pub fn expression_cost(&self, exprs: &[Expr]) -> f64 {
        let mut calls = 0.0;
        for expr in exprs {
            expr::walk::visit(expr, &mut |part| {
                calls += match part {
                    Expr::Column { .. }
                    | Expr::Input { .. }
                    | Expr::Literal { .. }
                    | Expr::Relabel { .. } => 0.0,
                    Expr::InList { list, .. } => 1.0 + list.len() as f64 * 0.1,
                    Expr::Call { function, .. } if function.source.contains("like") => 8.0,
                    Expr::Call { function, .. } if function.source.contains("regex") => 40.0,
                    Expr::Subquery(subquery) => self.sub_plan_calls(subquery),
                    _ => 1.0,
                };
            });
        }
        calls * self.model.operator
    }

    /// What a subquery in an expression weighs, in calls: nothing to speak of when it is run once.
    fn sub_plan_calls(&self, subquery: &expr::Subquery) -> f64 {
        let correlated =
            self.subqueries.iter().find(|bound| bound.id == subquery.id).is_none_or(|bound| {
                !crate::rewrite::free::free_columns(&bound.plan, self.subqueries).is_empty()
            });
        if correlated { 1000.0 } else { 1.0 }
    }

    fn values(&mut self, rows: &[Vec<Expr>], columns: &[ColumnId]) -> Result<Built> {
        let relation = self.new_relation();
        let count = rows.len() as f64;
        let profile = Profile {
            rows: count,
            columns: columns
                .iter()
                .map(|id| {
                    let column =
                        ColumnProfile::computed(self.columns.entry(*id).data_type, count, count, relation);
                    (*id, column)
                })
                .collect(),
            keys: Vec::new(),
        };
        let lowered: Vec<Vec<Expr>> = rows.iter().map(|row| self.exprs(row, &[])).collect::<Result<_>>()?;
        let cost = Cost { startup: 0.0, total: count * self.model.tuple };
        let op = match <[Vec<Expr>; 1]>::try_from(lowered) {
            Ok([exprs]) => Op::Result { exprs, one_time_filter: Vec::new(), input: None },
            Err(rows) if rows.is_empty() => Op::Result {
                exprs: columns.iter().map(|id| Expr::null(self.columns.entry(*id).data_type)).collect(),
                one_time_filter: vec![Expr::bool(false)],
                input: None,
            },
            Err(rows) => Op::Values { rows },
        };
        let node = node(op, self.outputs(columns), columns, &profile, cost);
        Ok(Built { node, columns: columns.to_vec(), profile, ordering: Vec::new() })
    }

    fn project(&mut self, input: &LogicalPlan, exprs: &[Computed], want: &Want<'_>) -> Result<Built> {
        let kept: Vec<&Computed> = exprs
            .iter()
            .filter(|computed| {
                want.columns.contains(&computed.id)
                    || computed.expr.volatility() == expr::Volatility::Volatile
            })
            .collect();
        let mut needed = Vec::new();
        add_columns(kept.iter().map(|computed| &computed.expr), &mut needed);
        self.add_outer_columns(kept.iter().map(|computed| &computed.expr), &mut needed);
        // An order wanted of the output is one of the input where its keys are plain columns of it.
        let ordering: Option<Vec<SortKey>> =
            want.ordering.iter().map(|key| below_project(key, exprs)).collect::<Option<Vec<_>>>();
        let ordering = ordering.unwrap_or_default();
        let built = self.lower(input, &Want { columns: &needed, ordering: &ordering, limit: want.limit })?;
        self.project_on(built, &kept)
    }

    /// A Project node, unless it would pass its input on as it is.
    pub fn project_on(&mut self, built: Built, exprs: &[&Computed]) -> Result<Built> {
        let passes = exprs.iter().all(|c| c.expr.as_column() == Some(c.id) && built.position(c.id).is_some());
        if passes {
            return Ok(built);
        }
        let lowered = self.exprs(exprs.iter().map(|computed| &computed.expr), &built.columns)?;
        let columns: Vec<ColumnId> = exprs.iter().map(|computed| computed.id).collect();
        let mut built = built;
        if let Op::Result { exprs: of_row, input: None, one_time_filter } = &mut built.node.op
            && of_row.is_empty()
            && one_time_filter.is_empty()
        {
            // `SELECT 1`: the one row computes it.
            let outputs = self.outputs(&columns);
            let relation = self.new_relation();
            let mut profile = Profile { rows: 1.0, ..Profile::default() };
            for computed in exprs {
                let column = ColumnProfile::computed(computed.expr.data_type(), 1.0, 1.0, relation);
                profile.columns.insert(computed.id, column);
            }
            let op = Op::Result { exprs: lowered, one_time_filter: Vec::new(), input: None };
            let node = node(op, outputs, &columns, &profile, Cost { startup: 0.0, total: self.model.tuple });
            return Ok(Built { node, columns, profile, ordering: Vec::new() });
        }
        let mut profile = built.profile.clone();
        let relation = self.new_relation();
        for computed in exprs {
            let column = match computed.expr.as_column().and_then(|id| built.profile.column(id)) {
                Some(column) => column.clone(),
                None => ColumnProfile::computed(
                    computed.expr.data_type(),
                    built.profile.distinct_of(&computed.expr),
                    built.rows(),
                    relation,
                ),
            };
            profile.columns.insert(computed.id, column);
        }
        for key in built.profile.keys.iter() {
            let renamed: Option<Vec<ColumnId>> = key
                .columns
                .iter()
                .map(|id| exprs.iter().find(|c| c.expr.as_column() == Some(*id)).map(|c| c.id))
                .collect();
            if let Some(columns) = renamed {
                profile.keys.push(Key { columns, relation: key.relation, rows: key.rows });
            }
        }
        let ordering = built
            .ordering
            .iter()
            .map_while(|key| {
                let computed = exprs.iter().find(|computed| computed.expr == key.expr)?;
                let expr = Expr::column(computed.id, key.expr.data_type());
                Some(SortKey { expr, descending: key.descending, nulls_first: key.nulls_first })
            })
            .collect();
        let cost = Cost {
            startup: built.startup_cost(),
            total: built.total_cost() + built.rows() * self.expression_cost(&lowered),
        };
        let outputs: Vec<OutputColumn> = self.outputs(&columns);
        Ok(built.above(
            |input| Op::Project { input, exprs: lowered },
            outputs,
            columns,
            profile,
            cost,
            ordering,
        ))
    }

    /// The plan's output as exactly these columns, in this order.
    pub fn deliver(&mut self, built: Built, columns: &[ColumnId]) -> Result<Built> {
        if built.columns == columns {
            return Ok(built);
        }
        let positions: Vec<Expr> = columns
            .iter()
            .map(|id| self.column(*id, self.columns.entry(*id).data_type, &built.columns))
            .collect::<Result<_>>()?;
        let cost = Cost { startup: built.startup_cost(), total: built.total_cost() };
        let outputs = self.outputs(columns);
        let (profile, ordering) = (built.profile.clone(), built.ordering.clone());
        Ok(built.above(
            |input| Op::Project { input, exprs: positions },
            outputs,
            columns.to_vec(),
            profile,
            cost,
            ordering,
        ))
    }

    fn aggregate(&mut self, aggregate: &Aggregate, having: &[Expr], want: &Want<'_>) -> Result<Built> {
        let mut wanted = want.columns.to_vec();
        add_columns(having, &mut wanted);
        self.add_outer_columns(having, &mut wanted);
        let calls: Vec<&(ColumnId, expr::AggregateCall)> =
            aggregate.calls.iter().filter(|(id, _)| wanted.contains(id)).collect();
        let mut needed = Vec::new();
        let group_exprs: Vec<&Expr> = aggregate.groups.iter().map(|computed| &computed.expr).collect();
        add_columns(group_exprs.iter().copied(), &mut needed);
        self.add_outer_columns(group_exprs.iter().copied(), &mut needed);
        for (_, call) in &calls {
            let parts = call.args.iter().chain(call.order_by.iter().map(|key| &key.expr)).chain(&call.filter);
            let parts: Vec<&Expr> = parts.collect();
            add_columns(parts.iter().copied(), &mut needed);
            self.add_outer_columns(parts.iter().copied(), &mut needed);
        }
        // Groups in index order need no hash table; worth asking for when all keys are columns.
        let order = clustered_order(&aggregate.input, &group_exprs);
        let input =
            self.lower(&aggregate.input, &Want { columns: &needed, ordering: &order, limit: None })?;
        let leading = input.ordering.get(..group_exprs.len()).unwrap_or_default();
        let presorted = aggregate.grouping_sets.is_none()
            && !leading.is_empty()
            && leading.iter().all(|key| group_exprs.contains(&&key.expr))
            && group_exprs.iter().all(|expr| leading.iter().any(|key| key.expr == **expr));
        let strategy = if aggregate.groups.is_empty() && aggregate.grouping_sets.is_none() {
            Strategy::Plain
        } else if presorted {
            Strategy::Sorted
        } else {
            Strategy::Hashed
        };
        let sets = aggregate.grouping_sets.as_ref().map_or(1, Vec::len) as f64;
        let groups = match &aggregate.grouping_sets {
            None => input.profile.groups(&group_exprs),
            Some(sets) => sets
                .iter()
                .map(|set| {
                    let exprs: Vec<&Expr> = set.iter().filter_map(|i| group_exprs.get(*i).copied()).collect();
                    input.profile.groups(&exprs)
                })
                .sum(),
        };
        let groups = clamp_rows(groups);
        let mut columns: Vec<ColumnId> = aggregate.groups.iter().map(|computed| computed.id).collect();
        columns.extend(aggregate.grouping_calls.iter().map(|(id, _)| *id));
        columns.extend(calls.iter().map(|(id, _)| *id));
        let relation = self.new_relation();
        let mut profile = Profile { rows: groups, ..Profile::default() };
        for computed in &aggregate.groups {
            let mut column = match computed.expr.as_column().and_then(|id| input.profile.column(id)) {
                Some(column) => column.clone(),
                None => ColumnProfile::computed(computed.expr.data_type(), groups, groups, relation),
            };
            column.distinct = input.profile.distinct_of(&computed.expr).min(groups).max(1.0);
            column.relation = relation;
            column.relation_rows = groups;
            profile.columns.insert(computed.id, column);
        }
        for (id, _) in &aggregate.grouping_calls {
            profile
                .columns
                .insert(*id, ColumnProfile::computed(types::DataType::INT4, sets, groups, relation));
        }
        for (id, call) in &calls {
            profile.columns.insert(*id, ColumnProfile::computed(call.data_type, groups, groups, relation));
        }
        if aggregate.grouping_sets.is_none() && !aggregate.groups.is_empty() {
            let key = aggregate.groups.iter().map(|computed| computed.id).collect();
            profile.keys.push(Key { columns: key, relation, rows: groups });
        }
        let groups_lowered = self.exprs(group_exprs.iter().copied(), &input.columns)?;
        let calls_lowered = calls
            .iter()
            .map(|(_, call)| self.aggregate_call(call, &input.columns))
            .collect::<Result<Vec<_>>>()?;
        let having_lowered = self.exprs(having, &columns)?;
        let rows = input.rows() * sets;
        let argument_cost: f64 =
            calls_lowered.iter().map(|call| self.expression_cost(&call.args)).sum::<f64>()
                + self.expression_cost(&groups_lowered);
        let work = rows * argument_cost
            + match strategy {
                Strategy::Sorted => self.model.sorted_aggregate(rows, groups, group_exprs.len(), calls.len()),
                _ => self.model.hash_aggregate(rows, groups, group_exprs.len(), calls.len()),
            };
        let total = input.total_cost() + work;
        let startup = if strategy == Strategy::Sorted {
            input.startup_cost()
        } else {
            total - groups * self.model.tuple
        };
        let fraction = selectivity::conjunction(having, &profile);
        let total = total + groups * self.expression_cost(&having_lowered);
        if !having.is_empty() {
            profile = profile.scaled(fraction);
        }
        let ordering: Vec<SortKey> = if strategy == Strategy::Sorted {
            input
                .ordering
                .iter()
                .map_while(|key| {
                    let computed = aggregate.groups.iter().find(|computed| computed.expr == key.expr)?;
                    let expr = Expr::column(computed.id, key.expr.data_type());
                    Some(SortKey { expr, descending: key.descending, nulls_first: key.nulls_first })
                })
                .collect()
        } else {
            Vec::new()
        };
        let grouping_sets = aggregate.grouping_sets.clone();
        let grouping_calls = aggregate.grouping_calls.iter().map(|(_, bits)| bits.clone()).collect();
        let outputs = self.outputs(&columns);
        Ok(input.above(
            |input| {
                Op::Aggregate(AggregateOp {
                    input,
                    groups: groups_lowered,
                    grouping_sets,
                    grouping_calls,
                    calls: calls_lowered,
                    strategy,
                    having: having_lowered,
                })
            },
            outputs,
            columns,
            profile,
            Cost { startup, total },
            ordering,
        ))
    }

    fn window(
        &mut self,
        input: &LogicalPlan,
        window: &crate::logical::WindowSpec,
        calls: &[(ColumnId, expr::WindowCall)],
        want: &Want<'_>,
    ) -> Result<Built> {
        let own: Vec<ColumnId> = calls.iter().map(|(id, _)| *id).collect();
        let mut needed: Vec<ColumnId> = want.columns.iter().copied().filter(|id| !own.contains(id)).collect();
        let mut parts: Vec<&Expr> = window.partition_by.iter().collect();
        parts.extend(window.order_by.iter().map(|key| &key.expr));
        for (_, call) in calls {
            parts.extend(
                call.args.iter().chain(&call.filter).chain(call.order_by.iter().map(|key| &key.expr)),
            );
        }
        add_columns(parts.iter().copied(), &mut needed);
        self.add_outer_columns(parts.iter().copied(), &mut needed);
        let mut keys: Vec<SortKey> = window
            .partition_by
            .iter()
            .map(|expr| SortKey { expr: expr.clone(), descending: false, nulls_first: false })
            .collect();
        for key in &window.order_by {
            if !keys.iter().any(|known| known.expr == key.expr) {
                keys.push(key.clone());
            }
        }
        let built = self.lower(input, &Want { columns: &needed, ordering: &keys, limit: None })?;
        let built = self.sorted(built, &keys)?;
        let window = self.window_spec(window, &built.columns)?;
        let lowered = calls
            .iter()
            .map(|(_, call)| self.window_call(call, &built.columns))
            .collect::<Result<Vec<_>>>()?;
        let mut columns = built.columns.clone();
        columns.extend(own);
        let mut profile = built.profile.clone();
        let relation = self.new_relation();
        for (id, call) in calls {
            profile
                .columns
                .insert(*id, ColumnProfile::computed(call.data_type, built.rows(), built.rows(), relation));
        }
        let cost = Cost {
            startup: built.startup_cost(),
            total: built.total_cost()
                + built.rows() * (self.model.tuple + self.model.operator * 2.0 * calls.len() as f64),
        };
        let outputs = self.outputs(&columns);
        let ordering = built.ordering.clone();
        Ok(built.above(
            |input| Op::Window { input, window, calls: lowered },
            outputs,
            columns,
            profile,
            cost,
            ordering,
        ))
    }

    fn project_set(
        &mut self,
        input: &LogicalPlan,
        calls: &[(ColumnId, expr::TableFunctionCall)],
        want: &Want<'_>,
    ) -> Result<Built> {
        let own: Vec<ColumnId> = calls.iter().map(|(id, _)| *id).collect();
        let mut needed: Vec<ColumnId> = want.columns.iter().copied().filter(|id| !own.contains(id)).collect();
        add_columns(calls.iter().flat_map(|(_, call)| &call.args), &mut needed);
        self.add_outer_columns(calls.iter().flat_map(|(_, call)| &call.args), &mut needed);
        let built = self.lower(input, &Want::columns(&needed))?;
        let lowered = calls
            .iter()
            .map(|(_, call)| self.table_call(call, &built.columns))
            .collect::<Result<Vec<_>>>()?;
        let mut columns = built.columns.clone();
        columns.extend(own);
        let mut profile = built.profile.clone();
        profile.rows = clamp_rows(profile.rows * 10.0);
        profile.keys.clear();
        let relation = self.new_relation();
        for id in columns.iter().skip(built.columns.len()) {
            let column = ColumnProfile::computed(
                self.columns.entry(*id).data_type,
                profile.rows,
                profile.rows,
                relation,
            );
            profile.columns.insert(*id, column);
        }
        let cost = Cost {
            startup: built.startup_cost(),
            total: built.total_cost() + profile.rows * self.model.tuple,
        };
        let outputs = self.outputs(&columns);
        Ok(built.above(
            |input| Op::ProjectSet { input, calls: lowered },
            outputs,
            columns,
            profile,
            cost,
            Vec::new(),
        ))
    }

    /// Adds the columns that subqueries inside the expressions take from here.
    pub fn add_outer_columns<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>, out: &mut Vec<ColumnId>) {
        for expr in exprs {
            expr::walk::visit(expr, &mut |part| {
                if let Expr::Subquery(subquery) = part
                    && let Some(bound) = self.subqueries.iter().find(|bound| bound.id == subquery.id)
                {
                    for column in crate::rewrite::free::free_columns(&bound.plan, self.subqueries) {
                        if !out.contains(&column) {
                            out.push(column);
                        }
                    }
                }
            });
        }
    }

    /// The order asked for, if the plan does not come in it already.
    pub fn sorted(&mut self, built: Built, keys: &[SortKey]) -> Result<Built> {
        if keys.is_empty() || satisfies(&built.ordering, keys) {
            return Ok(built);
        }
        self.sort_on(built, keys)
    }
}

/// The order of a table's own key, when its first columns are just the group keys: groups then come one
/// after another.
fn clustered_order(input: &LogicalPlan, groups: &[&Expr]) -> Vec<SortKey> {
    let scan = match input {
        LogicalPlan::Scan(scan) => scan,
        LogicalPlan::Filter { input, .. } => match &**input {
            LogicalPlan::Scan(scan) => scan,
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let Some(index) = scan.table.indexes.iter().find(|index| index.is_clustered) else { return Vec::new() };
    let mut order = Vec::new();
    for key in index.columns.iter().take(groups.len()) {
        let column = scan.columns.iter().find(|(_, ordinal)| Some(*ordinal) == key.column);
        let group = column.and_then(|(id, _)| groups.iter().find(|group| group.as_column() == Some(*id)));
        let Some(group) = group else { return Vec::new() };
        order.push(SortKey {
            expr: (*group).clone(),
            descending: key.descending,
            nulls_first: key.nulls_first,
        });
    }
    if order.len() == groups.len() { order } else { Vec::new() }
}

/// A key over a projection's output as one over its input.
fn below_project(key: &SortKey, exprs: &[Computed]) -> Option<SortKey> {
    let id = key.expr.as_column()?;
    let computed = exprs.iter().find(|computed| computed.id == id)?;
    computed.expr.as_column()?;
    Some(SortKey { expr: computed.expr.clone(), descending: key.descending, nulls_first: key.nulls_first })
}
