//! WITH: common table expressions, recursive ones and those that change data.
//!
//! Each becomes a With node around the query, in order; references are CteRefs. A recursive one is a
//! RecursiveUnion of its non-recursive term and the step that refers to itself. Follows `parse_cte.c`.

use expr::CastContext;
use parser::ast::{self, Node, SelectBody, SetOperator};
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::from::invalid_recursion;
use super::scope::Level;
use super::select::{OutputColumn, Query};
use crate::logical::{CteId, LogicalPlan};

/// A CTE in scope.
#[derive(Debug, Clone)]
pub(super) struct CteBinding {
    pub name: String,
    pub id: CteId,
    pub columns: Vec<(String, DataType)>,
    pub state: CteState,
    /// References so far, and those from its own recursive term.
    pub references: usize,
    pub self_references: usize,
    /// False for a change without RETURNING, which nothing can read.
    pub returns: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CteState {
    Done,
    /// The non-recursive term is being bound.
    Base,
    /// The recursive term is being bound.
    Step,
    /// The query of a WITH RECURSIVE that is no UNION is being bound.
    NotUnion,
    /// A statement that changes rows is being bound, which may not read itself.
    Changing,
}

/// A With node to be put around the query.
pub(super) struct PendingWith {
    id: CteId,
    name: String,
    definition: LogicalPlan,
    materialized: Option<bool>,
    changes_data: bool,
}

impl Binder<'_> {
    /// Binds a WITH clause into the current level.
    pub(super) fn with_clause(&mut self, with: Option<&ast::WithClause>) -> Result<Vec<PendingWith>> {
        let Some(with) = with else { return Ok(Vec::new()) };
        let mut pending = Vec::new();
        for (at, cte) in with.ctes.iter().enumerate() {
            if with.ctes.iter().take(at).any(|other| other.name == cte.name) {
                return Err(Error::new(
                    SqlState::DUPLICATE_ALIAS,
                    format!("WITH query name \"{}\" specified more than once", cte.name),
                )
                .at(cte.span));
            }
            if let Some(search) = &cte.search {
                return Err(Error::not_supported("SEARCH clause").at(search.span));
            }
            if let Some(cycle) = &cte.cycle {
                return Err(Error::not_supported("CYCLE clause").at(cycle.span));
            }
            let later = with.ctes.iter().skip(at + 1).map(|cte| cte.name.clone());
            self.level().later_ctes = if with.recursive { Vec::new() } else { later.collect() };
            pending.push(self.cte(cte, with.recursive)?);
        }
        Ok(pending)
    }

    /// Puts the With nodes around `plan`, the first outermost. What nothing reads is left out, as in PostgreSQL.
    pub(super) fn wrap_with(&mut self, pending: Vec<PendingWith>, plan: LogicalPlan) -> LogicalPlan {
        let mut plan = plan;
        for with in pending.into_iter().rev() {
            let used = with.changes_data
                || self.level().ctes.iter().any(|cte| cte.id == with.id && cte.references > 0);
            if used {
                plan = LogicalPlan::With {
                    id: with.id,
                    name: with.name,
                    definition: Box::new(with.definition),
                    body: Box::new(plan),
                    materialized: with.materialized,
                };
            }
        }
        plan
    }

    fn cte(&mut self, cte: &ast::CommonTableExpr, recursive: bool) -> Result<PendingWith> {
        let id = self.new_cte();
        let select = match &cte.query {
            Node::Select(select) => select,
            Node::Insert(_) | Node::Update(_) | Node::Delete(_) => {
                return self.changing_cte(cte, recursive, id);
            }
            Node::Merge(_) => {
                return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "MERGE not supported in WITH query")
                    .at(cte.span));
            }
            other => return Err(Error::not_supported(parser::statement::command_tag(other)).at(cte.span)),
        };
        let (definition, columns) = if recursive {
            let binding = CteBinding {
                name: cte.name.clone(),
                id,
                columns: Vec::new(),
                state: CteState::NotUnion,
                references: 0,
                self_references: 0,
                returns: true,
                span: cte.span,
            };
            self.level().ctes.push(binding);
            let result = self.recursive_cte(cte, select, id);
            self.level().ctes.pop();
            result?
        } else {
            let (query, _) = self.query(select, true)?;
            let columns = named_columns(cte, &query.columns)?;
            (query.plan, columns)
        };
        self.level().ctes.push(CteBinding {
            name: cte.name.clone(),
            id,
            columns,
            state: CteState::Done,
            references: 0,
            self_references: 0,
            returns: true,
            span: cte.span,
        });
        Ok(PendingWith {
            id,
            name: cte.name.clone(),
            definition,
            materialized: cte.materialized,
            changes_data: false,
        })
    }

    /// A CTE that changes rows. 0A000 unless its WITH belongs to the statement itself.
    fn changing_cte(
        &mut self,
        cte: &ast::CommonTableExpr,
        recursive: bool,
        id: CteId,
    ) -> Result<PendingWith> {
        if self.levels.len() > 1 {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH clause containing a data-modifying statement must be at the top level",
            )
            .at(cte.span));
        }
        let mut binding = CteBinding {
            name: cte.name.clone(),
            id,
            columns: Vec::new(),
            state: CteState::Changing,
            references: 0,
            self_references: 0,
            returns: true,
            span: cte.span,
        };
        if recursive {
            self.level().ctes.push(binding.clone());
        }
        let change = match &cte.query {
            Node::Insert(insert) => self.insert(insert),
            Node::Update(update) => self.update(update),
            Node::Delete(delete) => self.delete(delete),
            other => Err(Error::not_supported(parser::statement::command_tag(other)).at(cte.span)),
        };
        if recursive {
            self.level().ctes.pop();
        }
        let change = change?;
        binding.columns = named_columns(cte, &change.columns)?;
        binding.state = CteState::Done;
        binding.returns = !change.columns.is_empty();
        self.level().ctes.push(binding);
        Ok(PendingWith {
            id,
            name: cte.name.clone(),
            definition: change.plan,
            materialized: cte.materialized,
            changes_data: true,
        })
    }

    /// A CTE under WITH RECURSIVE: it may refer to itself, or may not.
    fn recursive_cte(
        &mut self,
        cte: &ast::CommonTableExpr,
        select: &ast::SelectStmt,
        id: CteId,
    ) -> Result<(LogicalPlan, Vec<(String, DataType)>)> {
        let at = self.level().ctes.len() - 1;
        let union = match &select.body {
            SelectBody::SetOp(set) if select.with.is_none() => set
                .arms
                .split_last()
                .filter(|(last, _)| last.op == SetOperator::Union)
                .map(|(last, before)| (&set.first, before, last)),
            _ => None,
        };
        let Some((first, before, last)) = union else {
            let (query, _) = self.query(select, true)?;
            let columns = named_columns(cte, &query.columns)?;
            return Ok((query.plan, columns));
        };
        self.set_cte_state(at, CteState::Base);
        let base = if before.is_empty() {
            self.query(first, true)?.0
        } else {
            let left = ast::SelectStmt {
                with: None,
                body: SelectBody::SetOp(Box::new(ast::SetOperation {
                    first: first.clone(),
                    arms: before.to_vec(),
                })),
                order_by: Vec::new(),
                limit: None,
                offset: None,
                with_ties: false,
                locking: Vec::new(),
                span: select.span,
            };
            self.query(&left, true)?.0
        };
        let columns = named_columns(cte, &base.columns)?;
        self.set_cte_state(at, CteState::Step);
        if let Some(binding) = self.level().ctes.get_mut(at) {
            binding.columns.clone_from(&columns);
        }
        let step = self.query(&last.query, false)?.0;
        let self_references = self.level().ctes.get(at).map_or(0, |binding| binding.self_references);
        if self_references == 0 {
            // It did not recurse after all: an ordinary query, bound as such.
            self.set_cte_state(at, CteState::NotUnion);
            let (query, _) = self.query(select, true)?;
            let columns = named_columns(cte, &query.columns)?;
            return Ok((query.plan, columns));
        }
        let refused = if let Some(sort) = select.order_by.first() {
            Some(("ORDER BY", sort.expr.start_span()))
        } else if let Some(offset) = &select.offset {
            Some(("OFFSET", offset.start_span()))
        } else if let Some(limit) = &select.limit {
            Some(("LIMIT", limit.start_span()))
        } else {
            select.locking.first().map(|locking| ("FOR UPDATE/SHARE", locking.span))
        };
        if let Some((clause, span)) = refused {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{clause} in a recursive query is not implemented"),
            )
            .at(span));
        }
        if step.columns.len() != base.columns.len() {
            return Err(Error::syntax("each UNION query must have the same number of columns").at(last.span));
        }
        let step = self.recursive_step(cte, &base.columns, step)?;
        let mut ids = Vec::with_capacity(columns.len());
        for (name, data_type) in &columns {
            ids.push(self.add_column(name, *data_type));
        }
        let plan = LogicalPlan::RecursiveUnion {
            id,
            name: cte.name.clone(),
            base: Box::new(base.plan),
            step: Box::new(step),
            all: last.all,
            columns: ids,
        };
        Ok((plan, columns))
    }

    /// The recursive term, its columns as the non-recursive term's.
    fn recursive_step(
        &mut self,
        cte: &ast::CommonTableExpr,
        base: &[OutputColumn],
        step: Query,
    ) -> Result<LogicalPlan> {
        let mut types = Vec::with_capacity(base.len());
        for (position, (base, step)) in base.iter().zip(&step.columns).enumerate() {
            let common = self.coercer.common_type(&[base.data_type, step.data_type], "UNION", step.span)?;
            if common.oid != base.data_type.oid
                || (base.data_type.modifier >= 0
                    && step.data_type != base.data_type
                    && step.literal.is_none())
            {
                return Err(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                        cte.name,
                        position + 1,
                        base.data_type,
                        common
                    ),
                )
                .with_hint("Cast the output of the non-recursive term to the correct type.")
                .at(base.span));
            }
            types.push(base.data_type);
        }
        self.cast_columns(step, &types, CastContext::Implicit, "UNION").map(|query| query.plan)
    }

    fn set_cte_state(&mut self, at: usize, state: CteState) {
        if let Some(binding) = self.level().ctes.get_mut(at) {
            binding.state = state;
        }
    }

    /// 42P19 for an aggregate in the SELECT that refers to the CTE being defined.
    pub(super) fn refuse_recursive_aggregates(&self, before: usize, level: &Level) -> Result<()> {
        let Some((_, call)) = level.aggregates.first() else { return Ok(()) };
        if self.step_references() == before {
            return Ok(());
        }
        Err(invalid_recursion(
            "aggregate functions are not allowed in a recursive query's recursive term".to_string(),
        )
        .at(call.location.0.unwrap_or_default()))
    }

    /// How often recursive terms in progress have referred to themselves.
    pub(super) fn step_references(&self) -> usize {
        self.levels.iter().flat_map(|level| &level.ctes).map(|cte| cte.self_references).sum()
    }
}

/// The CTE's columns, renamed by its column list. 42P10 when the list is too long.
fn named_columns(cte: &ast::CommonTableExpr, columns: &[OutputColumn]) -> Result<Vec<(String, DataType)>> {
    if cte.columns.len() > columns.len() {
        return Err(Error::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!(
                "WITH query \"{}\" has {} columns available but {} columns specified",
                cte.name,
                columns.len(),
                cte.columns.len()
            ),
        )
        .at(cte.span));
    }
    Ok(columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let name = cte.columns.get(at).unwrap_or(&column.name);
            (name.clone(), column.data_type)
        })
        .collect())
}
