//! Aggregate calls, and the check that what stands beside them is grouped.
//!
//! An aggregate belongs to the innermost level whose columns its arguments use; there it becomes a
//! column of that level's Aggregate node. Afterwards [`Binder::group`] rewrites the level's other
//! expressions over the node's output and refuses what is neither grouped nor aggregated, except
//! columns that a grouped primary key determines. Follows `parse_agg.c`.

use std::collections::HashSet;

use expr::walk;
use expr::{AggregateCall, ColumnId, Expr, SortKey, SubqueryId};
use parser::ast;
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::scope::{Clause, Level, RelationEntry};
use crate::logical::{Aggregate, Computed, LogicalPlan};

impl Binder<'_> {
    pub(super) fn aggregate_call(&mut self, name: &str, call: &ast::FuncCall) -> Result<Expr> {
        let span = call.span;
        if call.over.is_some() {
            return self.window_aggregate(name, call);
        }
        let here = self.level_index();
        let trace_start = self.trace.len();
        let outer_starts: Vec<usize> = self.levels.iter().map(|level| level.outer.len()).collect();
        let uses_start = self.level().uses.len();

        let was_in = std::mem::replace(&mut self.level().in_aggregate, true);
        let sets = self.level().no_sets.replace("aggregate functions");
        let bound = self.aggregate_parts(name, call);
        self.level().in_aggregate = was_in;
        self.level().no_sets = sets;
        let bound = bound?;

        // The level it belongs to: the innermost among its columns', or this one.
        let levels = self.trace.get(trace_start..).unwrap_or(&[]);
        let owner = levels.iter().copied().filter(|depth| *depth <= here).max().unwrap_or(here);
        self.trace.truncate(trace_start);
        self.trace.push(owner);
        for (level, start) in self.levels.iter_mut().zip(outer_starts).skip(owner + 1) {
            level.outer.truncate(start);
        }

        let Some(level) = self.levels.get_mut(owner) else {
            return Err(Error::internal("aggregate without a level"));
        };
        if let Some(place) = level.clause.refuses_aggregates() {
            return Err(grouping_error(format!("aggregate functions are not allowed in {place}")).at(span));
        }
        if level.in_aggregate {
            return Err(grouping_error("aggregate function calls cannot be nested").at(span));
        }
        if owner == here {
            level.uses.truncate(uses_start);
        }
        let data_type = bound.data_type;
        let existing = level.aggregates.iter().find(|(_, other)| *other == bound).map(|(id, _)| *id);
        let id = match existing {
            Some(id) if bound.volatile_free() => id,
            _ => {
                let id = self.add_column(bound.function.name, data_type);
                if let Some(level) = self.levels.get_mut(owner) {
                    level.aggregates.push((id, bound));
                }
                id
            }
        };
        for level in self.levels.iter_mut().skip(owner + 1) {
            level.outer.push(id);
        }
        Ok(Expr::column(id, data_type))
    }

    /// Arguments, FILTER and ORDER BY of an aggregate, as plain or window aggregate.
    pub(super) fn aggregate_parts(&mut self, name: &str, call: &ast::FuncCall) -> Result<AggregateCall> {
        let span = call.span;
        if call.star
            && name != "count"
            && !expr::registry().functions_named(name).iter().any(|f| f.args.is_empty())
        {
            return Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {name}() does not exist"),
            )
            .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
            .at(span));
        }
        if !call.star && call.args.is_empty() && !call.within_group && name == "count" {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                "count(*) must be used to call a parameterless aggregate function",
            )
            .at(span));
        }
        let mut args = self.call_args(call)?;
        let mut order_by = Vec::new();
        if call.within_group {
            for sort in &call.order_by {
                args.push(self.expr(&sort.expr)?);
            }
        }
        let direct = call.args.len();
        let resolved = self.coercer.function(name, args, call.variadic, span)?;
        let ordered_set = is_ordered_set(name);
        if call.within_group && !ordered_set {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"),
            )
            .at(span));
        }
        if ordered_set && !call.within_group {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("WITHIN GROUP is required for ordered-set aggregate {name}"),
            )
            .at(span));
        }
        let mut distinct = call.distinct;
        if call.within_group {
            if distinct {
                return Err(Error::not_supported("DISTINCT with WITHIN GROUP").at(span));
            }
            for (sort, arg) in call.order_by.iter().zip(resolved.args.iter().skip(direct)) {
                order_by.push(self.sort_key(arg.clone(), sort)?);
            }
        } else {
            for sort in &call.order_by {
                let key = self.expr(&sort.expr)?;
                // An argument written again has been cast by now: the key is that cast.
                let key = self.coercer.settle(key)?;
                let same = resolved.args.iter().find(|arg| same_but_cast(arg, &key)).cloned();
                let key = same.filter(|_| distinct).unwrap_or(key);
                order_by.push(self.sort_key(key, sort)?);
            }
            if distinct {
                if resolved.args.is_empty() {
                    return Err(Error::syntax("DISTINCT specified, but there are no arguments").at(span));
                }
                for arg in &resolved.args {
                    self.check_equality(arg.data_type(), span)?;
                }
                if order_by.iter().any(|key| !resolved.args.contains(&key.expr)) {
                    return Err(Error::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                    )
                    .at(call.order_by.first().map_or(span, |sort| sort.expr.start_span())));
                }
            }
        }
        if matches!(name, "min" | "max" | "bool_and" | "bool_or" | "every") {
            distinct = false;
        }
        let filter = match &call.filter {
            Some(filter) => Some(self.condition(filter, Clause::Filter)?),
            None => None,
        };
        Ok(AggregateCall {
            function: resolved.function,
            args: resolved.args,
            distinct,
            order_by,
            filter,
            data_type: resolved.data_type,
            location: span.into(),
        })
    }

    /// GROUPING(a, b): bits that tell which of them the row's grouping set leaves out.
    pub(super) fn grouping(&mut self, grouping: &ast::GroupingFunc) -> Result<Expr> {
        let span = grouping.span;
        if grouping.args.len() > 31 {
            return Err(Error::new(
                SqlState::TOO_MANY_ARGUMENTS,
                "GROUPING must have fewer than 32 arguments",
            )
            .at(span));
        }
        if let Some(place) = self.level().clause.refuses_aggregates() {
            return Err(grouping_error(format!("grouping operations are not allowed in {place}")).at(span));
        }
        let uses = self.level().uses.len();
        let args = self.exprs(&grouping.args)?;
        self.level().uses.truncate(uses);
        let id = self.add_column("grouping", DataType::INT4);
        let spans = grouping.args.iter().map(ast::Expr::start_span);
        let args = args.into_iter().zip(spans).collect();
        self.level().groupings.push((id, args));
        Ok(Expr::column(id, DataType::INT4))
    }

    /// 42883 for a type that has no `=`.
    pub(super) fn check_equality(&self, data_type: DataType, span: Span) -> Result<()> {
        if expr::registry().equality(data_type).is_some() {
            return Ok(());
        }
        Err(Error::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an equality operator for type {}", data_type.without_modifier()),
        )
        .at(span))
    }

    /// Puts an Aggregate node over `input` and rewrites `upper`, the level's expressions above it.
    ///
    /// `groups` are the GROUP BY expressions without repeats, `sets` the grouping sets over them.
    /// 42803 for an expression that is not determined by the groups.
    pub(super) fn group(
        &mut self,
        level: &mut Level,
        input: LogicalPlan,
        groups: Vec<Expr>,
        sets: Option<Vec<Vec<usize>>>,
        mut upper: Vec<Upper<'_>>,
    ) -> Result<LogicalPlan> {
        let own: HashSet<ColumnId> = input.output().into_iter().collect();
        let mut grouping =
            Grouping { own, groups: Vec::new(), sets, known: HashSet::new(), determined: Vec::new() };
        for expr in groups {
            // A plain column keeps its id, unless grouping sets can turn it into NULL.
            let id = match expr.as_column() {
                Some(id) if grouping.sets.is_none() => id,
                Some(id) => self.columns.add(self.columns.entry(id).clone()),
                None => self.add_column("", expr.data_type()),
            };
            grouping.known.insert(id);
            grouping.groups.push(Computed { id, expr });
        }
        grouping.known.extend(level.aggregates.iter().map(|(id, _)| *id));
        grouping.known.extend(&level.above_groups);
        grouping.known.extend(level.groupings.iter().map(|(id, _)| *id));

        let mut grouping_calls = Vec::new();
        for (id, args) in &level.groupings {
            let mut bits = Vec::new();
            for (arg, span) in args {
                let position = grouping.groups.iter().position(|group| group.expr == *arg).ok_or_else(|| {
                    grouping_error("arguments to GROUPING must be grouping expressions of the associated query level")
                        .at(*span)
                })?;
                bits.push(position);
            }
            grouping_calls.push((*id, bits));
        }

        for one in &mut upper {
            self.rewrite_over_groups(one.expr, &mut grouping, level, one.uses.clone())?;
        }
        let Grouping { mut groups, sets, determined, .. } = grouping;
        let first_determined = groups.len();
        groups.extend(determined);
        let grouping_sets = sets.map(|sets| {
            let extra = first_determined..groups.len();
            sets.into_iter().map(|set| set.into_iter().chain(extra.clone()).collect()).collect()
        });
        Ok(LogicalPlan::Aggregate(Aggregate {
            input: Box::new(input),
            groups,
            grouping_sets,
            grouping_calls,
            calls: std::mem::take(&mut level.aggregates),
        }))
    }

    /// A column as the level's FROM calls it: `t.a`.
    fn visible_name(&self, id: ColumnId, level: &Level) -> String {
        for item in &level.items {
            if let Some(column) = item.columns.iter().find(|column| column.expr.columns().contains(&id)) {
                return format!("{}.{}", item.name, column.name);
            }
        }
        let entry = self.columns.entry(id);
        format!("{}.{}", entry.relation, entry.name)
    }

    /// Replaces group expressions by the node's columns; what then remains of the input is an error.
    fn rewrite_over_groups(
        &mut self,
        expr: &mut Expr,
        grouping: &mut Grouping,
        level: &Level,
        uses: std::ops::Range<usize>,
    ) -> Result<()> {
        walk::replace(expr, &mut |part| grouping.replacement(part));
        let mut subqueries = Vec::new();
        let mut columns = Vec::new();
        walk::visit(expr, &mut |part| match part {
            Expr::Subquery(subquery) => subqueries.push(subquery.id),
            Expr::Column { id, .. } => columns.push(*id),
            _ => {}
        });
        for id in columns {
            self.check_grouped(id, grouping, level, uses.clone(), false)?;
        }
        for id in subqueries {
            self.rewrite_subquery(id, grouping, level, uses.clone())?;
        }
        if grouping.sets.is_some() {
            // Columns that were found to be determined got new ids.
            walk::replace(expr, &mut |part| grouping.replacement(part));
        }
        Ok(())
    }

    fn check_grouped(
        &mut self,
        id: ColumnId,
        grouping: &mut Grouping,
        level: &Level,
        uses: std::ops::Range<usize>,
        in_subquery: bool,
    ) -> Result<()> {
        if grouping.known.contains(&id) || !grouping.own.contains(&id) {
            return Ok(());
        }
        if grouping.determined.iter().any(|computed| computed.expr.as_column() == Some(id)) {
            return Ok(());
        }
        if grouping.determines(id, &level.relations) {
            let expr = self.column_expr(id);
            let new =
                if grouping.sets.is_none() { id } else { self.columns.add(self.columns.entry(id).clone()) };
            grouping.known.insert(new);
            grouping.determined.push(Computed { id: new, expr });
            return Ok(());
        }
        let span =
            level.uses.get(uses).unwrap_or(&[]).iter().find(|(used, _)| *used == id).map(|(_, span)| *span);
        let name = self.visible_name(id, level);
        let error = if in_subquery {
            grouping_error(format!("subquery uses ungrouped column \"{name}\" from outer query"))
        } else {
            grouping_error(format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            ))
        };
        Err(match span {
            Some(span) => error.at(span),
            None => error,
        })
    }

    /// The same inside a subquery that refers to this level.
    fn rewrite_subquery(
        &mut self,
        id: SubqueryId,
        grouping: &mut Grouping,
        level: &Level,
        uses: std::ops::Range<usize>,
    ) -> Result<()> {
        let Some(subquery) = self.subqueries.get_mut(id.0 as usize) else { return Ok(()) };
        if !subquery.outer.iter().any(|column| grouping.own.contains(column)) {
            return Ok(());
        }
        let mut plan = subquery.plan.take();
        let mut inner = Vec::new();
        replace_in_plan(&mut plan, grouping, &mut inner);
        let mut remaining = Vec::new();
        columns_in_plan(&plan, &mut remaining);
        if let Some(subquery) = self.subqueries.get_mut(id.0 as usize) {
            subquery.plan = plan;
        }
        remaining.retain(|column| grouping.own.contains(column));
        for column in &remaining {
            self.check_grouped(*column, grouping, level, uses.clone(), true)?;
        }
        for nested in inner {
            self.rewrite_subquery(nested, grouping, level, uses.clone())?;
        }
        // What it refers to outside may have other names now.
        let mut used = HashSet::new();
        self.all_columns_of(id, &mut used);
        let groups: Vec<ColumnId> =
            grouping.groups.iter().chain(&grouping.determined).map(|group| group.id).collect();
        if let Some(subquery) = self.subqueries.get_mut(id.0 as usize) {
            subquery.outer.retain(|column| !grouping.own.contains(column) || used.contains(column));
            for group in groups {
                if used.contains(&group) && !subquery.outer.contains(&group) {
                    subquery.outer.push(group);
                }
            }
        }
        Ok(())
    }

    /// Columns used anywhere in a subquery, those nested in it included.
    fn all_columns_of(&self, id: SubqueryId, used: &mut HashSet<ColumnId>) {
        let Some(subquery) = self.subqueries.get(id.0 as usize) else { return };
        let mut nested = Vec::new();
        visit_plan(&subquery.plan, &mut |expr| {
            walk::visit(expr, &mut |part| match part {
                Expr::Column { id, .. } => {
                    used.insert(*id);
                }
                Expr::Subquery(inner) => nested.push(inner.id),
                _ => {}
            });
        });
        for inner in nested {
            self.all_columns_of(inner, used);
        }
    }
}

/// An expression above the Aggregate node, with the uses of columns that binding it recorded.
pub(super) struct Upper<'e> {
    pub expr: &'e mut Expr,
    pub uses: std::ops::Range<usize>,
}

struct Grouping {
    /// Columns below the node.
    own: HashSet<ColumnId>,
    groups: Vec<Computed>,
    sets: Option<Vec<Vec<usize>>>,
    /// Columns that may stand above the node.
    known: HashSet<ColumnId>,
    /// Columns that a grouped primary key determines: grouped too.
    determined: Vec<Computed>,
}

impl Grouping {
    fn replacement(&self, part: &Expr) -> Option<Expr> {
        // Constants stay what they are, also where a set leaves them out.
        if matches!(part, Expr::Literal { .. } | Expr::Parameter { .. }) {
            return None;
        }
        self.groups
            .iter()
            .chain(&self.determined)
            .find(|group| group.expr == *part)
            .map(|group| Expr::column(group.id, part.data_type()))
    }

    /// Inside subqueries only plain columns are recognised, as in PostgreSQL.
    fn column_replacement(&self, part: &Expr) -> Option<Expr> {
        part.as_column()?;
        self.replacement(part)
    }

    /// Is `id` a column of a table whose primary key is grouped (in every grouping set)?
    fn determines(&self, id: ColumnId, relations: &[RelationEntry]) -> bool {
        let Some((table, columns)) = relations
            .iter()
            .filter_map(|entry| entry.table.as_ref())
            .find(|(_, columns)| columns.iter().any(|(column, _)| *column == id))
        else {
            return false;
        };
        let Some(key) = table.primary_key() else { return false };
        key.columns.iter().all(|part| {
            let Some(ordinal) = part.column else { return false };
            let Some((key_column, _)) = columns.iter().find(|(_, at)| *at == ordinal) else { return false };
            let Some(position) =
                self.groups.iter().position(|group| group.expr.as_column() == Some(*key_column))
            else {
                return false;
            };
            self.sets.as_ref().is_none_or(|sets| sets.iter().all(|set| set.contains(&position)))
        })
    }
}

fn replace_in_plan(plan: &mut LogicalPlan, grouping: &Grouping, nested: &mut Vec<SubqueryId>) {
    plan.each_expr_mut(&mut |expr| {
        walk::replace(expr, &mut |part| grouping.column_replacement(part));
        walk::visit(expr, &mut |part| {
            if let Expr::Subquery(subquery) = part {
                nested.push(subquery.id);
            }
        });
    });
    for input in plan.inputs_mut() {
        replace_in_plan(input, grouping, nested);
    }
}

fn columns_in_plan(plan: &LogicalPlan, out: &mut Vec<ColumnId>) {
    visit_plan(plan, &mut |expr| out.extend(expr.columns()));
}

/// Calls `f` on every expression of the plan.
fn visit_plan(plan: &LogicalPlan, f: &mut dyn FnMut(&Expr)) {
    plan.each_expr(f);
    for input in plan.inputs() {
        visit_plan(input, f);
    }
}

/// 42803.
pub(super) fn grouping_error(message: impl Into<String>) -> Error {
    Error::new(SqlState::GROUPING_ERROR, message)
}

fn is_ordered_set(name: &str) -> bool {
    matches!(name, "percentile_cont" | "percentile_disc" | "mode")
}

/// Is `arg` just `key` under casts?
fn same_but_cast(arg: &Expr, key: &Expr) -> bool {
    let mut arg = arg;
    loop {
        if arg == key {
            return true;
        }
        arg = match arg {
            Expr::Relabel { arg, .. } | Expr::IoCast { arg, .. } => arg,
            Expr::Call { args, form: expr::CallForm::ImplicitCast, .. } => match args.first() {
                Some(inner) => inner,
                None => return false,
            },
            _ => return false,
        };
    }
}

/// May two equal calls share one result?
trait VolatileFree {
    fn volatile_free(&self) -> bool;
}

impl VolatileFree for AggregateCall {
    fn volatile_free(&self) -> bool {
        let stable = |expr: &Expr| expr.volatility() < expr::Volatility::Volatile;
        self.args.iter().all(stable)
            && self.filter.as_ref().is_none_or(stable)
            && self.order_by.iter().all(|SortKey { expr, .. }| stable(expr))
    }
}
