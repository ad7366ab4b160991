//! ORDER BY, GROUP BY and DISTINCT: which entries of the select list they mean.
//!
//! A name or a number means an output column, anything else an expression; expressions that are not in the select
//! list join it as hidden targets. Follows `parse_clause.c`.

use expr::Expr;
use parser::ast::{self, ConstValue, SelectCore};
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::aggregate::grouping_error;
use super::scope::Clause;
use super::target::Target;

/// How many grouping sets one GROUP BY may come to, as in PostgreSQL.
const MAX_GROUPING_SETS: usize = 4096;

/// A key of ORDER BY: a target with a direction.
pub(super) struct Order {
    pub target: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

impl Binder<'_> {
    pub(super) fn order_by(
        &mut self,
        order_by: &[ast::SortBy],
        targets: &mut Vec<Target>,
    ) -> Result<Vec<Order>> {
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
    pub(super) fn settled(&self, expr: Expr, span: Span) -> Result<Expr> {
        if expr.data_type().oid != DataType::UNKNOWN.oid {
            return Ok(expr);
        }
        self.coercer.cast(expr, DataType::TEXT, span)
    }

    /// The target that a name or a number in ORDER BY, GROUP BY or DISTINCT ON means.
    pub(super) fn named_target(
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
                if clause == Clause::GroupBy && self.is_column_here(name) {
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
    fn is_column_here(&mut self, name: &str) -> bool {
        self.level()
            .items
            .iter()
            .any(|item| item.columns_visible && item.columns.iter().any(|column| column.name == name))
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
    pub(super) fn group_by(
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
    pub(super) fn distinct(
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
