//! SELECT: from its clauses to a plan.
//!
//! Clauses are bound in PostgreSQL's order (FROM, select list, WHERE, HAVING, ORDER BY, GROUP BY, DISTINCT,
//! LIMIT); the plan is built inside out: FROM, WHERE, groups, HAVING, windows, sets, select list, DISTINCT,
//! ORDER BY, locks, LIMIT. Follows `transformSelectStmt` and `parse_clause.c`.

use catalog::RelationId;
use expr::{ColumnId, Expr, SortKey};
use parser::ast::{self, ConstValue, SelectBody, SelectCore, SelectStmt};
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::aggregate::{Upper, grouping_error};
use super::scope::{Clause, Level};
use super::target::Target;
use crate::logical::{Computed, LockTarget, LogicalPlan};

/// A bound query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub plan: LogicalPlan,
    pub columns: Vec<OutputColumn>,
}

#[derive(Debug, Clone)]
pub(super) struct OutputColumn {
    pub name: String,
    pub id: ColumnId,
    pub data_type: DataType,
    /// The literal or parameter it is, while its type is not decided.
    pub literal: Option<Expr>,
    /// The table column it is.
    pub source: Option<(RelationId, i16)>,
    pub span: Span,
}

/// How many grouping sets one GROUP BY may come to, as in PostgreSQL.
const MAX_GROUPING_SETS: usize = 4096;

/// A key of ORDER BY: a target with a direction.
struct Order {
    target: usize,
    descending: bool,
    nulls_first: bool,
}

impl Binder<'_> {
    /// Binds a query in a level of its own; with the outer columns it uses.
    ///
    /// `settle`: literals of unknown type in the select list become text; otherwise whoever asks decides.
    pub(super) fn query(&mut self, select: &SelectStmt, settle: bool) -> Result<(Query, Vec<ColumnId>)> {
        self.push_level(Level::new())?;
        let result = self.query_here(select, settle);
        let level = self.pop_level();
        let query = result?;
        let mut outer: Vec<ColumnId> = Vec::new();
        for id in level.outer {
            if !outer.contains(&id) {
                outer.push(id);
            }
        }
        Ok((query, outer))
    }

    fn query_here(&mut self, select: &SelectStmt, settle: bool) -> Result<Query> {
        let pending = self.with_clause(select.with.as_deref())?;
        let mut query = match &select.body {
            SelectBody::Select(core) => self.select_core(core, select, settle)?,
            SelectBody::Values(rows) => {
                let query = self.values(rows, settle)?;
                self.order_result(query, select, "VALUES")?
            }
            SelectBody::SetOp(set) => {
                let query = self.set_operation(set)?;
                self.order_result(query, select, "UNION/INTERSECT/EXCEPT")?
            }
        };
        query.plan = self.wrap_with(pending, query.plan);
        Ok(query)
    }

    // ---- one SELECT ----

    fn select_core(&mut self, core: &SelectCore, select: &SelectStmt, settle: bool) -> Result<Query> {
        let self_references = self.step_references();
        let mut plan = self.from_clause(&core.from)?;
        self.window_clause(&core.windows)?;
        let window_uses = self.level().uses.len();
        let mut targets = self.targets(&core.targets, Clause::SelectList)?;
        let visible = targets.len();

        if let Some(condition) = &core.where_ {
            let predicate = self.condition(condition, Clause::Where)?.into_conjuncts();
            if !predicate.is_empty() {
                plan = LogicalPlan::Filter { input: Box::new(plan), predicate };
            }
        }
        let having_start = self.level().uses.len();
        let mut having = match &core.having {
            Some(condition) => self.condition(condition, Clause::Having)?.into_conjuncts(),
            None => Vec::new(),
        };
        let having_uses = having_start..self.level().uses.len();

        let order = self.order_by(&select.order_by, &mut targets)?;
        let (groups, sets) = self.group_by(core, &mut targets)?;
        let distinct_on = self.distinct(core, &mut targets, visible, &order)?;
        if settle {
            for target in targets.iter_mut() {
                target.expr = self.settled(target.expr.clone(), target.span)?;
            }
        }
        let (limit, offset) = self.limit(select, &plan)?;

        // From here on nothing new is named.
        let mut level = std::mem::replace(self.level(), Level::new());
        let grouped = !core.group_by.is_empty()
            || core.having.is_some()
            || !level.aggregates.is_empty()
            || !level.groupings.is_empty();
        self.refuse_recursive_aggregates(self_references, &level)?;
        self.refuse_locking(core, select, grouped, &level, visible)?;
        if grouped {
            let mut windows = std::mem::take(&mut level.windows);
            let mut set_calls = std::mem::take(&mut level.set_calls);
            let window_ids: Vec<ColumnId> =
                windows.iter().flat_map(|(_, calls)| calls.iter().map(|(id, _)| *id)).collect();
            let set_ids: Vec<ColumnId> = set_calls.iter().map(|(id, _)| *id).collect();
            let everything = 0..level.uses.len();
            let mut upper: Vec<Upper<'_>> = Vec::new();
            upper.extend(
                targets.iter_mut().map(|target| Upper { expr: &mut target.expr, uses: target.uses.clone() }),
            );
            upper.extend(having.iter_mut().map(|expr| Upper { expr, uses: having_uses.clone() }));
            for (spec, calls) in &mut windows {
                let exprs =
                    spec.partition_by.iter_mut().chain(spec.order_by.iter_mut().map(|key| &mut key.expr));
                upper.extend(exprs.map(|expr| Upper { expr, uses: everything.clone() }));
                for (_, call) in calls {
                    let exprs = call.args.iter_mut().chain(&mut call.filter);
                    upper.extend(exprs.map(|expr| Upper { expr, uses: everything.clone() }));
                }
            }
            for (_, call) in &mut set_calls {
                upper.extend(call.args.iter_mut().map(|expr| Upper { expr, uses: everything.clone() }));
            }
            level.above_groups = window_ids.into_iter().chain(set_ids).collect();
            plan = self.group(&mut level, plan, groups, sets, upper)?;
            level.windows = windows;
            level.set_calls = set_calls;
        }
        let _ = window_uses;
        if !having.is_empty() {
            plan = LogicalPlan::Filter { input: Box::new(plan), predicate: having };
        }
        for (window, calls) in std::mem::take(&mut level.windows) {
            plan = LogicalPlan::Window { input: Box::new(plan), window, calls };
        }
        plan = expand_sets(plan, std::mem::take(&mut level.set_calls));
        *self.level() = level;

        self.finish_select(
            plan,
            targets,
            visible,
            Tail { order, distinct: core.distinct.is_some(), distinct_on, limit, offset },
            select,
        )
    }

    /// Select list, DISTINCT, ORDER BY, locks, LIMIT over what the rest of the SELECT yields.
    fn finish_select(
        &mut self,
        plan: LogicalPlan,
        targets: Vec<Target>,
        visible: usize,
        tail: Tail,
        select: &SelectStmt,
    ) -> Result<Query> {
        let mut plan = plan;
        let mut locks = Vec::new();
        if !select.locking.is_empty() {
            locks = self.lock_targets(select, &mut plan)?;
        }
        let mut exprs: Vec<Computed> = Vec::with_capacity(targets.len());
        let mut ids = Vec::with_capacity(targets.len());
        for (at, target) in targets.iter().enumerate() {
            let id = match target.expr.as_column() {
                Some(id) if exprs.iter().all(|computed| computed.id != id) => id,
                // A hidden copy of a column that is there already.
                Some(id) if at >= visible => {
                    ids.push(id);
                    continue;
                }
                Some(source) => self.columns.add(self.columns.entry(source).clone()),
                None => self.add_column(&target.name, target.expr.data_type()),
            };
            exprs.push(Computed { id, expr: target.expr.clone() });
            ids.push(id);
        }
        let shown = visible.min(exprs.len());
        for lock in &locks {
            exprs.push(Computed { id: lock.row_key, expr: Expr::column(lock.row_key, DataType::BYTEA) });
        }
        let hidden = exprs.len() > shown;
        plan = LogicalPlan::Project { input: Box::new(plan), exprs };
        let key = |order: &Order| SortKey {
            expr: Expr::column(
                ids.get(order.target).copied().unwrap_or(ColumnId(0)),
                targets.get(order.target).map_or(DataType::UNKNOWN, |target| target.expr.data_type()),
            ),
            descending: order.descending,
            nulls_first: order.nulls_first,
        };
        let keys: Vec<SortKey> = tail.order.iter().map(key).collect();
        match &tail.distinct_on {
            None => {
                if tail.distinct {
                    plan = LogicalPlan::Distinct { input: Box::new(plan), on: None };
                }
                if !keys.is_empty() {
                    plan = LogicalPlan::Sort { input: Box::new(plan), keys: keys.clone() };
                }
            }
            Some(on) => {
                if !keys.is_empty() {
                    plan = LogicalPlan::Sort { input: Box::new(plan), keys: keys.clone() };
                }
                let on = on
                    .iter()
                    .filter_map(|target| {
                        let data_type = targets.get(*target)?.expr.data_type();
                        Some(Expr::column(*ids.get(*target)?, data_type))
                    })
                    .collect();
                plan = LogicalPlan::Distinct { input: Box::new(plan), on: Some(on) };
            }
        }
        if !locks.is_empty() {
            plan = LogicalPlan::Lock { input: Box::new(plan), relations: locks };
        }
        plan = limited(plan, tail.limit, tail.offset, select.with_ties.then_some(keys));
        let mut columns = Vec::with_capacity(visible);
        for (target, id) in targets.into_iter().zip(&ids).take(visible) {
            let data_type = target.expr.data_type();
            let source = target.expr.as_column().and_then(|id| self.source_of(id));
            let literal = (data_type.oid == DataType::UNKNOWN.oid).then_some(target.expr);
            columns.push(OutputColumn {
                name: target.name,
                id: *id,
                data_type,
                literal,
                source,
                span: target.span,
            });
        }
        if hidden {
            let exprs = columns
                .iter()
                .map(|column| Computed { id: column.id, expr: Expr::column(column.id, column.data_type) })
                .collect();
            plan = LogicalPlan::Project { input: Box::new(plan), exprs };
        }
        Ok(Query { plan, columns })
    }

    /// The table column that `id` is, by number.
    pub(super) fn source_of(&self, id: ColumnId) -> Option<(RelationId, i16)> {
        let (relation, ordinal) = self.columns.entry(id).source?;
        let number = match self.cx.catalog.relation(relation)? {
            catalog::Relation::Table(table) => table.columns.get(ordinal)?.number,
            _ => i16::try_from(ordinal + 1).ok()?,
        };
        Some((relation, number))
    }

    // ---- ORDER BY, GROUP BY, DISTINCT ----

    fn order_by(&mut self, order_by: &[ast::SortBy], targets: &mut Vec<Target>) -> Result<Vec<Order>> {
        let mut order: Vec<Order> = Vec::with_capacity(order_by.len());
        for sort in order_by {
            let at = match self.named_target(&sort.expr, targets, Clause::OrderBy)? {
                Some(at) => at,
                None => self.expr_target(&sort.expr, targets, Clause::OrderBy)?,
            };
            if let Some(key) = self.order_key(at, sort, targets)?
                && order.iter().all(|other| other.target != at)
            {
                order.push(key);
            }
        }
        Ok(order)
    }

    fn order_key(&mut self, at: usize, sort: &ast::SortBy, targets: &mut [Target]) -> Result<Option<Order>> {
        let Some(target) = targets.get_mut(at) else { return Ok(None) };
        target.expr = self.settled(target.expr.clone(), target.span)?;
        let key = self.sort_key(target.expr.clone(), sort)?;
        Ok(Some(Order { target: at, descending: key.descending, nulls_first: key.nulls_first }))
    }

    /// A literal or parameter of unknown type as text.
    fn settled(&self, expr: Expr, span: Span) -> Result<Expr> {
        if expr.data_type().oid != DataType::UNKNOWN.oid {
            return Ok(expr);
        }
        self.coercer.cast(expr, DataType::TEXT, span)
    }

    /// The target that a name or a number in ORDER BY, GROUP BY or DISTINCT ON means.
    fn named_target(
        &mut self,
        expr: &ast::Expr,
        targets: &[Target],
        clause: Clause,
    ) -> Result<Option<usize>> {
        let span = expr.start_span();
        match expr {
            ast::Expr::ColumnRef(reference) if !reference.star => {
                let [name] = reference.fields.as_slice() else { return Ok(None) };
                // GROUP BY prefers a column of FROM, as the standard demands.
                if clause == Clause::GroupBy && self.is_column_here(name)? {
                    return Ok(None);
                }
                let mut found: Option<usize> = None;
                for (at, target) in targets.iter().enumerate() {
                    if target.name != *name {
                        continue;
                    }
                    match found.and_then(|other| targets.get(other)) {
                        None => found = Some(at),
                        Some(other) if other.expr == target.expr => {}
                        Some(_) => {
                            return Err(Error::new(
                                SqlState::AMBIGUOUS_COLUMN,
                                format!("{} \"{name}\" is ambiguous", clause.name()),
                            )
                            .at(span));
                        }
                    }
                }
                if let Some(at) = found {
                    self.check_group_target(at, targets, clause)?;
                }
                Ok(found)
            }
            ast::Expr::Const(constant) => match &constant.value {
                ConstValue::Integer(position) => {
                    let at = usize::try_from(*position).ok().and_then(|p| p.checked_sub(1));
                    match at.filter(|at| *at < targets.len()) {
                        Some(at) => {
                            self.check_group_target(at, targets, clause)?;
                            Ok(Some(at))
                        }
                        None => Err(Error::new(
                            SqlState::INVALID_COLUMN_REFERENCE,
                            format!("{} position {position} is not in select list", clause.name()),
                        )
                        .at(span)),
                    }
                }
                _ => Err(Error::syntax(format!("non-integer constant in {}", clause.name())).at(span)),
            },
            _ => Ok(None),
        }
    }

    /// GROUP BY cannot name what is computed after grouping.
    fn check_group_target(&mut self, at: usize, targets: &[Target], clause: Clause) -> Result<()> {
        if clause != Clause::GroupBy {
            return Ok(());
        }
        let Some(target) = targets.get(at) else { return Ok(()) };
        let span = target.span;
        let columns = target.expr.columns();
        let level = self.level();
        if level.aggregates.iter().any(|(id, _)| columns.contains(id)) {
            return Err(grouping_error("aggregate functions are not allowed in GROUP BY").at(span));
        }
        if level.windows.iter().any(|(_, calls)| calls.iter().any(|(id, _)| columns.contains(id))) {
            return Err(Error::new(
                SqlState::WINDOWING_ERROR,
                "window functions are not allowed in GROUP BY",
            )
            .at(span));
        }
        Ok(())
    }

    /// Does a bare name mean a column of this level's FROM?
    fn is_column_here(&mut self, name: &str) -> Result<bool> {
        Ok(self
            .level()
            .items
            .iter()
            .any(|item| item.columns_visible && item.columns.iter().any(|column| column.name == name)))
    }

    /// An expression in ORDER BY and its like: the target equal to it, or a new hidden one.
    fn expr_target(&mut self, expr: &ast::Expr, targets: &mut Vec<Target>, clause: Clause) -> Result<usize> {
        let start = self.level().uses.len();
        let bound = self.clause_expr(expr, clause)?;
        let end = self.level().uses.len();
        if let Some(at) = targets.iter().position(|target| target.expr == bound) {
            return Ok(at);
        }
        targets.push(Target {
            name: "?column?".to_string(),
            expr: bound,
            span: expr.start_span(),
            uses: start..end,
        });
        Ok(targets.len() - 1)
    }

    /// GROUP BY: the expressions without repeats, and the grouping sets over them if there are several.
    fn group_by(
        &mut self,
        core: &SelectCore,
        targets: &mut [Target],
    ) -> Result<(Vec<Expr>, Option<Vec<Vec<usize>>>)> {
        let mut groups: Vec<Expr> = Vec::new();
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        let plain = core.group_by.iter().all(|element| matches!(element, ast::GroupingElement::Expr(_)));
        for element in &core.group_by {
            let alternatives = self.grouping_element(element, &mut groups, targets)?;
            if sets.len().saturating_mul(alternatives.len()) > MAX_GROUPING_SETS {
                return Err(Error::new(
                    SqlState::STATEMENT_TOO_COMPLEX,
                    format!("too many grouping sets present (maximum {MAX_GROUPING_SETS})"),
                ));
            }
            sets = sets
                .iter()
                .flat_map(|set| alternatives.iter().map(move |more| union_set(set, more)))
                .collect();
        }
        if core.group_distinct {
            let mut distinct: Vec<Vec<usize>> = Vec::new();
            for set in sets {
                let mut sorted = set.clone();
                sorted.sort_unstable();
                if distinct.iter().all(|other| {
                    let mut other = other.clone();
                    other.sort_unstable();
                    other != sorted
                }) {
                    distinct.push(set);
                }
            }
            sets = distinct;
        }
        let single_full = sets.len() == 1 && sets.first().is_some_and(|set| set.len() == groups.len());
        let sets = (!plain && !single_full).then_some(sets);
        Ok((groups, sets))
    }

    fn grouping_element(
        &mut self,
        element: &ast::GroupingElement,
        groups: &mut Vec<Expr>,
        targets: &mut [Target],
    ) -> Result<Vec<Vec<usize>>> {
        match element {
            ast::GroupingElement::Expr(expr) => Ok(vec![self.group_exprs(expr, groups, targets)?]),
            ast::GroupingElement::Empty(_) => Ok(vec![Vec::new()]),
            ast::GroupingElement::Rollup(exprs, _) => {
                let parts = self.group_lists(exprs, groups, targets)?;
                Ok((0..=parts.len())
                    .rev()
                    .map(|keep| parts.iter().take(keep).flatten().copied().collect())
                    .collect())
            }
            ast::GroupingElement::Cube(exprs, span) => {
                if exprs.len() > 12 {
                    return Err(
                        Error::new(SqlState::TOO_MANY_COLUMNS, "CUBE is limited to 12 elements").at(*span)
                    );
                }
                let parts = self.group_lists(exprs, groups, targets)?;
                let count = 1usize << parts.len();
                Ok((0..count)
                    .rev()
                    .map(|mask| {
                        parts
                            .iter()
                            .enumerate()
                            .filter(|(at, _)| mask >> (parts.len() - 1 - at) & 1 == 1)
                            .flat_map(|(_, part)| part.iter().copied())
                            .collect()
                    })
                    .collect())
            }
            ast::GroupingElement::GroupingSets(elements, _) => {
                let mut all = Vec::new();
                for element in elements {
                    all.extend(self.grouping_element(element, groups, targets)?);
                }
                Ok(all)
            }
        }
    }

    fn group_lists(
        &mut self,
        exprs: &[ast::Expr],
        groups: &mut Vec<Expr>,
        targets: &mut [Target],
    ) -> Result<Vec<Vec<usize>>> {
        exprs.iter().map(|expr| self.group_exprs(expr, groups, targets)).collect()
    }

    /// The group expressions an entry means: one, or each field of `(a, b)`.
    fn group_exprs(
        &mut self,
        expr: &ast::Expr,
        groups: &mut Vec<Expr>,
        targets: &mut [Target],
    ) -> Result<Vec<usize>> {
        if let ast::Expr::Row(row) = expr
            && !row.explicit
        {
            let mut all = Vec::new();
            for field in &row.fields {
                all.extend(self.group_exprs(field, groups, targets)?);
            }
            return Ok(all);
        }
        let span = expr.start_span();
        let bound = match self.named_target(expr, targets, Clause::GroupBy)? {
            Some(at) => match targets.get_mut(at) {
                Some(target) => {
                    target.expr = self.settled(target.expr.clone(), target.span)?;
                    target.expr.clone()
                }
                None => return Ok(Vec::new()),
            },
            None => {
                let bound = self.clause_expr(expr, Clause::GroupBy)?;
                self.settled(bound, span)?
            }
        };
        self.check_equality(bound.data_type(), span)?;
        if let Some(at) = groups.iter().position(|group| *group == bound) {
            return Ok(vec![at]);
        }
        groups.push(bound);
        Ok(vec![groups.len() - 1])
    }

    /// DISTINCT [ON]: for ON, the targets meant. 42P10 when ORDER BY does not fit.
    fn distinct(
        &mut self,
        core: &SelectCore,
        targets: &mut Vec<Target>,
        visible: usize,
        order: &[Order],
    ) -> Result<Option<Vec<usize>>> {
        let Some(distinct) = &core.distinct else { return Ok(None) };
        match distinct {
            ast::Distinct::All => {
                if let Some(hidden) = targets.get(visible) {
                    return Err(Error::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    )
                    .at(hidden.span));
                }
                for target in targets.iter_mut() {
                    target.expr = self.settled(target.expr.clone(), target.span)?;
                    self.check_equality(target.expr.data_type(), target.span)?;
                }
                Ok(None)
            }
            ast::Distinct::On(exprs) => {
                let mut on: Vec<usize> = Vec::new();
                for expr in exprs {
                    let at = match self.named_target(expr, targets, Clause::DistinctOn)? {
                        Some(at) => at,
                        None => self.expr_target(expr, targets, Clause::DistinctOn)?,
                    };
                    if let Some(target) = targets.get_mut(at) {
                        target.expr = self.settled(target.expr.clone(), target.span)?;
                        self.check_equality(target.expr.data_type(), target.span)?;
                    }
                    if !on.contains(&at) {
                        on.push(at);
                    }
                }
                // ORDER BY must begin with the same columns, in any order.
                let mut skipped = None;
                for key in order {
                    if !on.contains(&key.target) {
                        skipped.get_or_insert(key.target);
                    } else if let Some(at) = skipped {
                        let span = targets.get(at).map(|target| target.span).unwrap_or_default();
                        return Err(distinct_on_mismatch().at(span));
                    }
                }
                let missing = on.iter().find(|at| order.iter().all(|key| key.target != **at));
                if let (Some(_), Some(at)) = (skipped, missing) {
                    let span = targets.get(*at).map(|target| target.span).unwrap_or_default();
                    return Err(distinct_on_mismatch().at(span));
                }
                Ok(Some(on))
            }
        }
    }

    // ---- ORDER BY and LIMIT of VALUES and set operations ----

    fn order_result(&mut self, query: Query, select: &SelectStmt, what: &str) -> Result<Query> {
        if let Some(locking) = select.locking.first() {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{} is not allowed with {what}", lock_name(locking.strength)),
            )
            .at(locking.span));
        }
        let Query { mut plan, columns } = query;
        let targets: Vec<Target> = columns
            .iter()
            .map(|column| Target {
                name: column.name.clone(),
                expr: Expr::column(column.id, column.data_type),
                span: column.span,
                uses: 0..0,
            })
            .collect();
        let mut keys: Vec<SortKey> = Vec::new();
        for sort in &select.order_by {
            let Some(at) = self.named_target(&sort.expr, &targets, Clause::OrderBy)? else {
                // PostgreSQL knows the columns by name here, and nothing else.
                if let ast::Expr::ColumnRef(reference) = &sort.expr
                    && let [name] = reference.fields.as_slice()
                {
                    return Err(Error::undefined_column(name).at(sort.expr.start_span()));
                }
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("invalid {what} ORDER BY clause"),
                )
                .with_detail("Only result column names can be used, not expressions or functions.")
                .with_hint(format!(
                    "Add the expression/function to every SELECT, or move the {} into a FROM clause.",
                    if what == "VALUES" { "VALUES" } else { "UNION" }
                ))
                .at(sort.expr.start_span()));
            };
            if let Some(target) = targets.get(at) {
                let key = self.sort_key(target.expr.clone(), sort)?;
                if keys.iter().all(|other| other.expr != key.expr) {
                    keys.push(key);
                }
            }
        }
        let (limit, offset) = self.limit(select, &plan)?;
        if !keys.is_empty() {
            plan = LogicalPlan::Sort { input: Box::new(plan), keys: keys.clone() };
        }
        plan = limited(plan, limit, offset, select.with_ties.then_some(keys));
        Ok(Query { plan, columns })
    }

    /// LIMIT and OFFSET, as bigint.
    fn limit(&mut self, select: &SelectStmt, from: &LogicalPlan) -> Result<(Option<Expr>, Option<Expr>)> {
        if select.with_ties && select.order_by.is_empty() {
            return Err(Error::syntax("WITH TIES cannot be specified without ORDER BY clause"));
        }
        let limit = self.limit_expr(select.limit.as_ref(), Clause::Limit, from)?;
        let offset = self.limit_expr(select.offset.as_ref(), Clause::Offset, from)?;
        Ok((
            limit.filter(|limit| !limit.is_null_literal()),
            offset.filter(|offset| !offset.is_null_literal()),
        ))
    }

    fn limit_expr(
        &mut self,
        expr: Option<&ast::Expr>,
        clause: Clause,
        from: &LogicalPlan,
    ) -> Result<Option<Expr>> {
        let Some(expr) = expr else { return Ok(None) };
        let bound = self.clause_expr(expr, clause)?;
        let bound = self.coercer.bigint(bound, clause.name(), expr.start_span())?;
        let columns = bound.columns();
        if !columns.is_empty() {
            let own = from.output();
            if columns.iter().any(|id| own.contains(id)) {
                return Err(Error::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("argument of {} must not contain variables", clause.name()),
                )
                .at(expr.start_span()));
            }
        }
        Ok(Some(bound))
    }

    // ---- FOR UPDATE ----

    fn refuse_locking(
        &self,
        core: &SelectCore,
        select: &SelectStmt,
        grouped: bool,
        level: &Level,
        _visible: usize,
    ) -> Result<()> {
        let Some(locking) = select.locking.first() else { return Ok(()) };
        let with = if core.distinct.is_some() {
            "DISTINCT clause"
        } else if !core.group_by.is_empty() {
            "GROUP BY clause"
        } else if core.having.is_some() {
            "HAVING clause"
        } else if grouped {
            "aggregate functions"
        } else if !level.windows.is_empty() {
            "window functions"
        } else if !level.set_calls.is_empty() {
            "set-returning functions in the target list"
        } else {
            return Ok(());
        };
        Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{} is not allowed with {with}", lock_name(locking.strength)),
        ))
    }

    /// The scans that FOR UPDATE and its like lock; each gets a row key.
    fn lock_targets(&mut self, select: &SelectStmt, plan: &mut LogicalPlan) -> Result<Vec<LockTarget>> {
        let mut targets: Vec<LockTarget> = Vec::new();
        for locking in &select.locking {
            let mut wanted: Vec<(String, Span)> = Vec::new();
            for range in &locking.tables {
                if range.schema.is_some() {
                    return Err(Error::syntax(format!(
                        "{} must specify unqualified relation names",
                        lock_name(locking.strength)
                    ))
                    .at(range.span));
                }
                wanted.push((range.name.clone(), range.span));
            }
            let relations: Vec<(String, bool)> = self
                .level()
                .relations
                .iter()
                .map(|entry| (entry.name.clone(), entry.table.is_some()))
                .collect();
            for (name, span) in &wanted {
                match relations.iter().find(|(known, _)| known == name) {
                    Some((_, true)) => {}
                    Some((_, false)) => {
                        return Err(Error::not_supported(format!(
                            "{} of \"{name}\", which is not a table,",
                            lock_name(locking.strength)
                        ))
                        .at(*span));
                    }
                    None => {
                        return Err(Error::new(
                            SqlState::UNDEFINED_TABLE,
                            format!(
                                "relation \"{name}\" in {} clause not found in FROM clause",
                                lock_name(locking.strength)
                            ),
                        )
                        .at(*span));
                    }
                }
            }
            if wanted.is_empty()
                && let Some((name, _)) = relations.iter().find(|(_, is_table)| !is_table)
            {
                return Err(Error::not_supported(format!(
                    "{} with \"{name}\", which is not a table,",
                    lock_name(locking.strength)
                ))
                .with_hint("Name the tables to lock with OF.")
                .at(locking.span));
            }
            let aliases: Vec<String> = if wanted.is_empty() {
                relations.into_iter().map(|(name, _)| name).collect()
            } else {
                wanted.into_iter().map(|(name, _)| name).collect()
            };
            for alias in aliases {
                let Some(scan) = find_scan(plan, &alias) else { continue };
                let row_key = match scan.row_key {
                    Some(id) => id,
                    None => {
                        let id = self.columns.add(crate::logical::ColumnEntry {
                            name: "row key".to_string(),
                            relation: alias.clone(),
                            data_type: DataType::BYTEA,
                            source: None,
                        });
                        scan.row_key = Some(id);
                        id
                    }
                };
                let strength = match locking.strength {
                    ast::LockStrength::KeyShare => crate::logical::LockStrength::KeyShare,
                    ast::LockStrength::Share => crate::logical::LockStrength::Share,
                    ast::LockStrength::NoKeyUpdate => crate::logical::LockStrength::NoKeyUpdate,
                    ast::LockStrength::Update => crate::logical::LockStrength::Update,
                };
                let wait = match locking.wait {
                    ast::LockWait::Wait => crate::logical::LockWait::Block,
                    ast::LockWait::NoWait => crate::logical::LockWait::NoWait,
                    ast::LockWait::SkipLocked => crate::logical::LockWait::SkipLocked,
                };
                let table = std::sync::Arc::clone(&scan.table);
                if targets.iter().all(|target| target.row_key != row_key) {
                    targets.push(LockTarget { table, row_key, strength, wait });
                }
            }
        }
        Ok(targets)
    }
}

/// What follows the select list.
struct Tail {
    order: Vec<Order>,
    distinct: bool,
    distinct_on: Option<Vec<usize>>,
    limit: Option<Expr>,
    offset: Option<Expr>,
}

fn distinct_on_mismatch() -> Error {
    Error::new(
        SqlState::INVALID_COLUMN_REFERENCE,
        "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
    )
}

fn union_set(set: &[usize], more: &[usize]) -> Vec<usize> {
    let mut all = set.to_vec();
    for one in more {
        if !all.contains(one) {
            all.push(*one);
        }
    }
    all
}

fn limited(
    plan: LogicalPlan,
    limit: Option<Expr>,
    offset: Option<Expr>,
    with_ties: Option<Vec<SortKey>>,
) -> LogicalPlan {
    if limit.is_none() && offset.is_none() {
        return plan;
    }
    LogicalPlan::Limit { input: Box::new(plan), limit, offset, with_ties }
}

/// ProjectSet nodes for set-returning calls: those that take the result of others come above them.
fn expand_sets(plan: LogicalPlan, calls: Vec<(ColumnId, expr::TableFunctionCall)>) -> LogicalPlan {
    let mut plan = plan;
    let mut rest = calls;
    while !rest.is_empty() {
        let pending: Vec<ColumnId> = rest.iter().map(|(id, _)| *id).collect();
        let (ready, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, call)| {
            call.args.iter().all(|arg| arg.columns().iter().all(|id| !pending.contains(id)))
        });
        plan = LogicalPlan::ProjectSet { input: Box::new(plan), calls: ready };
        rest = later;
    }
    plan
}

/// The scan of `alias` among the joins and filters of a FROM clause.
fn find_scan<'p>(plan: &'p mut LogicalPlan, alias: &str) -> Option<&'p mut crate::logical::Scan> {
    match plan {
        LogicalPlan::Scan(scan) if scan.alias == alias => Some(scan),
        LogicalPlan::Filter { input, .. } => find_scan(input, alias),
        LogicalPlan::Join(join) => match find_scan(&mut join.left, alias) {
            Some(scan) => Some(scan),
            None => find_scan(&mut join.right, alias),
        },
        _ => None,
    }
}

fn lock_name(strength: ast::LockStrength) -> &'static str {
    match strength {
        ast::LockStrength::KeyShare => "FOR KEY SHARE",
        ast::LockStrength::Share => "FOR SHARE",
        ast::LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
        ast::LockStrength::Update => "FOR UPDATE",
    }
}
