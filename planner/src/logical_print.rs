//! Logical plans as text, and the check that they hold together.
//!
//! Used by golden tests and in debugging; users see physical plans (EXPLAIN). [`validate`] runs after the
//! binder and after every rewrite in tests: every column used is produced below (or comes from outside),
//! and types agree.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use expr::print::print;
use expr::{AggregateCall, ColumnId, Expr, SubqueryId, WindowCall, walk};
use types::{DataType, Error, Result};

use crate::logical::{
    Computed, FrameBound, JoinKind, LogicalPlan, LogicalStatement, MergeAction, SetOpKind, SortKey,
    WindowFrame,
};

/// The statement's plan, one node per line, inputs indented below; subqueries follow.
pub fn print_statement(statement: &LogicalStatement) -> String {
    let mut printer = Printer { statement, names: names(statement), out: String::new() };
    if !statement.result.is_empty() {
        let columns: Vec<String> = statement
            .result
            .iter()
            .map(|column| format!("{} {} = {}", column.name, column.data_type, printer.column(column.column)))
            .collect();
        let _ = writeln!(printer.out, "result: {}", columns.join(", "));
    }
    if !statement.parameter_types.is_empty() {
        let types: Vec<String> = statement.parameter_types.iter().map(|t| t.sql_name()).collect();
        let _ = writeln!(printer.out, "parameters: {}", types.join(", "));
    }
    printer.plan(&statement.plan, 0);
    let mut used = Vec::new();
    subqueries_of(&statement.plan, &mut used);
    let mut at = 0;
    while let Some(id) = used.get(at).copied() {
        at += 1;
        if let Some(subquery) = statement.subqueries.get(id.0 as usize) {
            let outer: Vec<String> = subquery.outer.iter().map(|id| printer.column(*id)).collect();
            let label = if outer.is_empty() { String::new() } else { format!(" over {}", outer.join(", ")) };
            let _ = writeln!(printer.out, "subquery {}{label}:", id.0);
            printer.plan(&subquery.plan, 1);
            subqueries_of(&subquery.plan, &mut used);
        }
    }
    printer.out
}

/// Names for columns: `t.a`, with `#id` where that is not unique.
fn names(statement: &LogicalStatement) -> HashMap<ColumnId, String> {
    let mut count: HashMap<String, usize> = HashMap::new();
    let table = &statement.columns;
    let bare = |id: ColumnId| {
        let entry = table.entry(id);
        match (entry.relation.as_str(), entry.name.as_str()) {
            ("", "") => String::new(),
            ("", name) => name.to_string(),
            (relation, name) => format!("{relation}.{name}"),
        }
    };
    let ids: Vec<ColumnId> = (0..table.len()).filter_map(|at| u32::try_from(at).ok()).map(ColumnId).collect();
    for id in &ids {
        *count.entry(bare(*id)).or_default() += 1;
    }
    ids.into_iter()
        .map(|id| {
            let name = bare(id);
            let unique =
                !name.is_empty() && !table.entry(id).relation.is_empty() && count.get(&name) == Some(&1);
            (id, if unique { name } else { format!("{name}#{}", id.0) })
        })
        .collect()
}

struct Printer<'s> {
    statement: &'s LogicalStatement,
    names: HashMap<ColumnId, String>,
    out: String,
}

impl Printer<'_> {
    fn column(&self, id: ColumnId) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| format!("#{}", id.0))
    }

    fn columns(&self, ids: impl IntoIterator<Item = ColumnId>) -> String {
        ids.into_iter().map(|id| self.column(id)).collect::<Vec<_>>().join(", ")
    }

    fn expr(&self, expr: &Expr) -> String {
        print(expr, &|part: &Expr| match part {
            Expr::Column { id, .. } => self.column(*id),
            Expr::Input { position, .. } => format!("input {position}"),
            Expr::PlanParameter { id, .. } => format!("plan parameter {}", id.0),
            Expr::Subquery(subquery) => {
                let tests: Vec<String> = subquery
                    .tests
                    .iter()
                    .zip(&subquery.operators)
                    .map(|(test, operator)| format!("{} {}", self.expr(test), operator.symbol))
                    .collect();
                let mut text = format!("{:?} {}", subquery.kind, subquery.id.0).to_lowercase();
                if !tests.is_empty() {
                    text = format!("{} {text}", tests.join(", "));
                }
                format!("({text})")
            }
            _ => "?".to_string(),
        })
    }

    fn exprs<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> String {
        exprs.into_iter().map(|expr| self.expr(expr)).collect::<Vec<_>>().join(", ")
    }

    fn computed(&self, computed: &[Computed]) -> String {
        let one = |computed: &Computed| {
            if computed.expr.as_column() == Some(computed.id) {
                self.column(computed.id)
            } else {
                format!("{} := {}", self.column(computed.id), self.expr(&computed.expr))
            }
        };
        computed.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn keys(&self, keys: &[SortKey]) -> String {
        let one = |key: &SortKey| {
            let mut text = self.expr(&key.expr);
            if key.descending {
                text.push_str(" DESC");
            }
            if key.nulls_first != key.descending {
                text.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
            }
            text
        };
        keys.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn aggregate(&self, call: &AggregateCall) -> String {
        let mut text = call.function.name.to_string();
        text.push('(');
        if call.distinct {
            text.push_str("DISTINCT ");
        }
        if call.args.is_empty() {
            text.push('*');
        }
        text.push_str(&self.exprs(&call.args));
        if !call.order_by.is_empty() {
            text.push_str(" ORDER BY ");
            text.push_str(&self.keys(&call.order_by));
        }
        text.push(')');
        if let Some(filter) = &call.filter {
            text.push_str(&format!(" FILTER (WHERE {})", self.expr(filter)));
        }
        text
    }

    fn window_call(&self, call: &WindowCall) -> String {
        let args = if call.args.is_empty() && call.function.is_aggregate() {
            "*".to_string()
        } else {
            self.exprs(&call.args)
        };
        let filter = call
            .filter
            .as_ref()
            .map_or(String::new(), |filter| format!(" FILTER (WHERE {})", self.expr(filter)));
        format!("{}({args}){filter}", call.function.name)
    }

    fn frame(&self, frame: &WindowFrame) -> String {
        if *frame == WindowFrame::default() {
            return String::new();
        }
        let bound = |bound: &FrameBound| match bound {
            FrameBound::UnboundedPreceding => "unbounded preceding".to_string(),
            FrameBound::Preceding(offset) => format!("{} preceding", self.expr(offset)),
            FrameBound::CurrentRow => "current row".to_string(),
            FrameBound::Following(offset) => format!("{} following", self.expr(offset)),
            FrameBound::UnboundedFollowing => "unbounded following".to_string(),
        };
        format!(
            " {} {} to {} exclude {}",
            format!("{:?}", frame.units).to_lowercase(),
            bound(&frame.start),
            bound(&frame.end),
            format!("{:?}", frame.exclusion).to_lowercase()
        )
    }

    fn scan_columns(&self, columns: &[(ColumnId, usize)]) -> String {
        self.columns(columns.iter().map(|(id, _)| *id))
    }

    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{}{}", "  ".repeat(depth), text.trim_end());
    }

    fn plan(&mut self, plan: &LogicalPlan, depth: usize) {
        let text = self.node(plan);
        self.line(depth, &text);
        for input in plan.inputs() {
            self.plan(input, depth + 1);
        }
    }

    fn node(&self, plan: &LogicalPlan) -> String {
        match plan {
            LogicalPlan::Scan(scan) => {
                let alias =
                    if scan.alias == scan.table.name { String::new() } else { format!(" as {}", scan.alias) };
                let key = if scan.row_key.is_some() { " with key" } else { "" };
                format!("Scan {}{alias}{key} [{}]", scan.table.name, self.scan_columns(&scan.columns))
            }
            LogicalPlan::VirtualScan { table, alias, .. } => format!("VirtualScan {} as {alias}", table.name),
            LogicalPlan::FunctionScan { call, columns, ordinality, .. } => format!(
                "FunctionScan {}({}) [{}]",
                call.function.name,
                self.exprs(&call.args),
                self.columns(columns.iter().copied().chain(*ordinality))
            ),
            LogicalPlan::Values { rows, columns } => {
                let rows: Vec<String> = rows.iter().map(|row| format!("({})", self.exprs(row))).collect();
                format!("Values {} [{}]", rows.join(", "), self.columns(columns.iter().copied()))
            }
            LogicalPlan::Filter { predicate, .. } => format!("Filter {}", self.exprs(predicate)),
            LogicalPlan::Project { exprs, .. } => format!("Project {}", self.computed(exprs)),
            LogicalPlan::Join(join) => {
                let kind = match (join.kind, join.on.is_empty()) {
                    (JoinKind::Inner, true) => "Cross".to_string(),
                    (kind, _) => format!("{kind:?}"),
                };
                let dependent = if join.dependent { " dependent" } else { "" };
                let mark = join.mark.map_or(String::new(), |id| format!(" mark {}", self.column(id)));
                let on =
                    if join.on.is_empty() { String::new() } else { format!(" on {}", self.exprs(&join.on)) };
                format!("Join {kind}{dependent}{mark}{on}")
            }
            LogicalPlan::Aggregate(aggregate) => {
                let mut parts = Vec::new();
                if !aggregate.groups.is_empty() {
                    parts.push(format!("groups {}", self.computed(&aggregate.groups)));
                }
                if let Some(sets) = &aggregate.grouping_sets {
                    parts.push(format!("sets {sets:?}"));
                }
                for (id, bits) in &aggregate.grouping_calls {
                    parts.push(format!("{} := grouping{bits:?}", self.column(*id)));
                }
                for (id, call) in &aggregate.calls {
                    parts.push(format!("{} := {}", self.column(*id), self.aggregate(call)));
                }
                format!("Aggregate {}", parts.join(", "))
            }
            LogicalPlan::Window { window, calls, .. } => {
                let mut text = "Window".to_string();
                if !window.partition_by.is_empty() {
                    text.push_str(&format!(" partition by {}", self.exprs(&window.partition_by)));
                }
                if !window.order_by.is_empty() {
                    text.push_str(&format!(" order by {}", self.keys(&window.order_by)));
                }
                text.push_str(&self.frame(&window.frame));
                for (id, call) in calls {
                    text.push_str(&format!(" | {} := {}", self.column(*id), self.window_call(call)));
                }
                text
            }
            LogicalPlan::Sort { keys, .. } => format!("Sort {}", self.keys(keys)),
            LogicalPlan::Limit { limit, offset, with_ties, .. } => {
                let mut text = "Limit".to_string();
                if let Some(limit) = limit {
                    text.push_str(&format!(" {}", self.expr(limit)));
                }
                if let Some(offset) = offset {
                    text.push_str(&format!(" offset {}", self.expr(offset)));
                }
                if let Some(keys) = with_ties {
                    text.push_str(&format!(" with ties by {}", self.keys(keys)));
                }
                text
            }
            LogicalPlan::Distinct { on, .. } => match on {
                Some(on) => format!("Distinct on {}", self.exprs(on)),
                None => "Distinct".to_string(),
            },
            LogicalPlan::SetOp(set) => {
                let kind = match set.kind {
                    SetOpKind::Union => "Union",
                    SetOpKind::Intersect => "Intersect",
                    SetOpKind::Except => "Except",
                };
                let all = if set.all { " all" } else { "" };
                format!("{kind}{all} [{}]", self.columns(set.columns.iter().copied()))
            }
            LogicalPlan::With { id, name, materialized, .. } => {
                let hint = match materialized {
                    Some(true) => " materialized",
                    Some(false) => " not materialized",
                    None => "",
                };
                format!("With {name} ({}){hint}", id.0)
            }
            LogicalPlan::CteRef { id, name, columns, .. } => {
                format!("CteRef {name} ({}) [{}]", id.0, self.columns(columns.iter().copied()))
            }
            LogicalPlan::RecursiveUnion { id, name, all, columns, .. } => format!(
                "RecursiveUnion{} {name} ({}) [{}]",
                if *all { " all" } else { "" },
                id.0,
                self.columns(columns.iter().copied())
            ),
            LogicalPlan::Lock { relations, .. } => {
                let locks: Vec<String> = relations
                    .iter()
                    .map(|lock| format!("{} {:?} {:?}", lock.table.name, lock.strength, lock.wait))
                    .collect();
                format!("Lock {}", locks.join(", "))
            }
            LogicalPlan::ProjectSet { calls, .. } => {
                let calls: Vec<String> = calls
                    .iter()
                    .map(|(id, call)| {
                        format!("{} := {}({})", self.column(*id), call.function.name, self.exprs(&call.args))
                    })
                    .collect();
                format!("ProjectSet {}", calls.join(", "))
            }
            LogicalPlan::Insert(insert) => {
                let mut text = format!("Insert {}", insert.table.name);
                for check in &insert.checks {
                    text.push_str(&format!(" check {} {}", check.constraint, self.expr(&check.predicate)));
                }
                if let Some(conflict) = &insert.on_conflict {
                    let names: Vec<&str> =
                        conflict.arbiters.iter().map(|index| index.name.as_str()).collect();
                    text.push_str(&format!(" on conflict ({})", names.join(", ")));
                    match &conflict.update {
                        None => text.push_str(" do nothing"),
                        Some(update) => {
                            let set: Vec<String> = update
                                .assignments
                                .iter()
                                .map(|(ordinal, value)| format!("{ordinal} := {}", self.expr(value)))
                                .collect();
                            text.push_str(&format!(" set {}", set.join(", ")));
                            if let Some(filter) = &update.filter {
                                text.push_str(&format!(" where {}", self.expr(filter)));
                            }
                        }
                    }
                }
                if let Some(returning) = &insert.returning {
                    text.push_str(&format!(" returning {}", self.computed(returning)));
                }
                text
            }
            LogicalPlan::Update(update) => {
                let set: Vec<String> = update
                    .assignments
                    .iter()
                    .map(|(ordinal, id)| {
                        let name =
                            update.table.columns.get(*ordinal).map_or("?", |column| column.name.as_str());
                        format!("{name} := {}", self.column(*id))
                    })
                    .collect();
                let mut text = format!("Update {} set {}", update.table.name, set.join(", "));
                for check in &update.checks {
                    text.push_str(&format!(" check {} {}", check.constraint, self.expr(&check.predicate)));
                }
                if let Some(returning) = &update.returning {
                    text.push_str(&format!(" returning {}", self.computed(returning)));
                }
                text
            }
            LogicalPlan::Delete(delete) => {
                let mut text = format!("Delete {}", delete.table.name);
                if let Some(returning) = &delete.returning {
                    text.push_str(&format!(" returning {}", self.computed(returning)));
                }
                text
            }
            LogicalPlan::Merge(merge) => {
                let mut text = format!("Merge {}", merge.table.name);
                for when in &merge.whens {
                    text.push_str(if when.matched { " matched" } else { " not matched" });
                    for condition in &when.condition {
                        text.push_str(&format!(" and {}", self.expr(condition)));
                    }
                    match &when.action {
                        MergeAction::DoNothing => text.push_str(" do nothing"),
                        MergeAction::Delete => text.push_str(" delete"),
                        MergeAction::Update(assignments) => {
                            let set: Vec<String> = assignments
                                .iter()
                                .map(|(ordinal, value)| format!("{ordinal} := {}", self.expr(value)))
                                .collect();
                            text.push_str(&format!(" set {}", set.join(", ")));
                        }
                        MergeAction::Insert(values) => {
                            let values: Vec<String> = values.iter().map(|value| self.expr(value)).collect();
                            text.push_str(&format!(" insert ({})", values.join(", ")));
                        }
                    }
                }
                text
            }
        }
    }
}

impl std::fmt::Debug for Printer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Printer of {} columns", self.statement.columns.len())
    }
}

/// XX000 when the plan does not hold together: a column that nothing below produces, two outputs of one
/// id, a type that disagrees with the column table, set operations of unequal shape, no such subquery.
pub fn validate(statement: &LogicalStatement) -> Result<()> {
    let mut validator = Validator { statement, ctes: HashMap::new() };
    let mut outside = HashSet::new();
    validator.plan(&statement.plan, &mut outside)?;
    made_once(&statement.plan, &mut HashSet::new())?;
    let output: HashSet<ColumnId> = statement.plan.output().into_iter().collect();
    for column in &statement.result {
        if !output.contains(&column.column) {
            return Err(broken(format!("result column \"{}\" is not produced", column.name)));
        }
        let entry = statement.columns.entry(column.column);
        if entry.data_type.oid != column.data_type.oid {
            return Err(broken(format!(
                "result column \"{}\" is {}, its column {}",
                column.name, column.data_type, entry.data_type
            )));
        }
    }
    Ok(())
}

/// No column is made in two places.
fn made_once(plan: &LogicalPlan, made: &mut HashSet<ColumnId>) -> Result<()> {
    let passed: HashSet<ColumnId> = plan.inputs().iter().flat_map(|input| input.output()).collect();
    for id in plan.output() {
        if !passed.contains(&id) && !made.insert(id) {
            return Err(broken(format!("{} makes column {}, which is made elsewhere too", kind(plan), id.0)));
        }
    }
    plan.inputs().into_iter().try_for_each(|input| made_once(input, made))
}

struct Validator<'s> {
    statement: &'s LogicalStatement,
    /// How many columns the CTEs in scope have.
    ctes: HashMap<crate::logical::CteId, usize>,
}

impl Validator<'_> {
    /// `outside`: columns that enclosing plans provide.
    fn plan(&mut self, plan: &LogicalPlan, outside: &mut HashSet<ColumnId>) -> Result<()> {
        match plan {
            LogicalPlan::With { id, definition, body, .. } => {
                self.plan(definition, outside)?;
                self.ctes.insert(*id, definition.output().len());
                return self.plan(body, outside);
            }
            LogicalPlan::RecursiveUnion { id, base, step, columns, .. } => {
                self.plan(base, outside)?;
                self.ctes.insert(*id, columns.len());
                self.plan(step, outside)?;
                self.same_types(columns, &base.output())?;
                self.same_types(columns, &step.output())?;
                return Ok(());
            }
            LogicalPlan::CteRef { id, columns, name, .. } if self.ctes.get(id) != Some(&columns.len()) => {
                return Err(broken(format!("reference to CTE \"{name}\" does not fit its definition")));
            }
            LogicalPlan::SetOp(set) => {
                self.same_types(&set.columns, &set.left.output())?;
                self.same_types(&set.columns, &set.right.output())?;
            }
            _ => {}
        }
        let mut available = outside.clone();
        match plan {
            LogicalPlan::Join(join) => {
                self.plan(&join.left, outside)?;
                let mut right_outside = outside.clone();
                if join.dependent {
                    right_outside.extend(join.left.output());
                }
                self.plan(&join.right, &mut right_outside)?;
                available.extend(join.left.output());
                available.extend(join.right.output());
            }
            _ => {
                for input in plan.inputs() {
                    self.plan(input, outside)?;
                    available.extend(input.output());
                }
            }
        }
        // DML brings columns of its own: the new row, the existing row.
        match plan {
            LogicalPlan::Insert(insert) => {
                available.extend(insert.row.iter().map(|(id, _)| *id));
                if let Some(update) =
                    insert.on_conflict.as_ref().and_then(|conflict| conflict.update.as_ref())
                {
                    available.extend(update.existing.iter().chain(&update.excluded).map(|(id, _)| *id));
                }
            }
            LogicalPlan::Update(update) => available.extend(update.row.iter().map(|(id, _)| *id)),
            LogicalPlan::Merge(merge) => available.extend(merge.row.iter().map(|(id, _)| *id)),
            _ => {}
        }
        let mut seen = HashSet::new();
        for id in plan.output() {
            if !seen.insert(id) {
                return Err(broken(format!("{} yields column {} twice", kind(plan), id.0)));
            }
        }
        let mut problem = None;
        let mut subqueries: Vec<SubqueryId> = Vec::new();
        plan.each_expr(&mut |expr| {
            walk::visit(expr, &mut |part| match part {
                Expr::Column { id, data_type } => {
                    if !available.contains(id) {
                        problem.get_or_insert(format!(
                            "{} uses column {}, which nothing provides",
                            kind(plan),
                            id.0
                        ));
                    } else if self.statement.columns.entry(*id).data_type.oid != data_type.oid {
                        problem.get_or_insert(format!("{} uses column {} as {data_type}", kind(plan), id.0));
                    }
                }
                Expr::Subquery(subquery) => subqueries.push(subquery.id),
                Expr::Literal { value, data_type, .. }
                    if !value.is_null()
                        && data_type.oid == DataType::UNKNOWN.oid
                        && value.as_str().is_none() =>
                {
                    problem.get_or_insert(format!("{} has an untyped literal", kind(plan)));
                }
                _ => {}
            });
        });
        if let Some(problem) = problem {
            return Err(broken(problem));
        }
        for id in subqueries {
            let Some(subquery) = self.statement.subqueries.get(id.0 as usize) else {
                return Err(broken(format!("there is no subquery {}", id.0)));
            };
            if let Some(missing) = subquery.outer.iter().find(|id| !available.contains(id)) {
                return Err(broken(format!(
                    "subquery {} needs column {}, which nothing provides",
                    id.0, missing.0
                )));
            }
            let mut inside: HashSet<ColumnId> = subquery.outer.iter().copied().collect();
            self.plan(&subquery.plan, &mut inside)?;
        }
        Ok(())
    }

    fn same_types(&self, columns: &[ColumnId], other: &[ColumnId]) -> Result<()> {
        if columns.len() != other.len() {
            return Err(broken(format!("{} columns meet {}", columns.len(), other.len())));
        }
        for (a, b) in columns.iter().zip(other) {
            let (a, b) = (self.statement.columns.entry(*a), self.statement.columns.entry(*b));
            if a.data_type.oid != b.data_type.oid {
                return Err(broken(format!("column \"{}\" is {} and {}", a.name, a.data_type, b.data_type)));
            }
        }
        Ok(())
    }
}

fn kind(plan: &LogicalPlan) -> String {
    let text = format!("{plan:?}");
    text.split([' ', '(', '{']).next().unwrap_or("").to_string()
}

fn broken(message: String) -> Error {
    Error::internal(format!("logical plan: {message}"))
}

/// Subqueries named by a plan's expressions, in order of appearance.
fn subqueries_of(plan: &LogicalPlan, out: &mut Vec<SubqueryId>) {
    plan.each_expr(&mut |expr| {
        walk::visit(expr, &mut |part| {
            if let Expr::Subquery(subquery) = part
                && !out.contains(&subquery.id)
            {
                out.push(subquery.id);
            }
        });
    });
    for input in plan.inputs() {
        subqueries_of(input, out);
    }
}
