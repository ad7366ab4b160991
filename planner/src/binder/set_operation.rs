//! UNION, INTERSECT, EXCEPT and VALUES: queries whose columns take the common type of several.
//!
//! Follows `transformSetOperationTree` and `transformValuesClause`.

use expr::{CastContext, Expr};
use parser::ast::{self, SetOperator};
use types::{DataType, Error, Result, SqlState};

use super::Binder;
use super::scope::Clause;
use super::select::{OutputColumn, Query};
use crate::logical::{Computed, LogicalPlan, SetOp, SetOpKind};

/// How long a chain may be: the plan nests as deep.
const MAX_ARMS: usize = 1000;

impl Binder<'_> {
    /// A chain of set operations, each applied to what stands left of it.
    pub(super) fn set_operation(&mut self, set: &ast::SetOperation) -> Result<Query> {
        if set.arms.len() > MAX_ARMS {
            return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .with_hint(format!("A chain of set operations has at most {MAX_ARMS} links.")));
        }
        let mut left = self.query(&set.first, false)?.0;
        for arm in &set.arms {
            let right = self.query(&arm.query, false)?.0;
            left = self.combine(left, arm, right)?;
        }
        Ok(left)
    }

    fn combine(&mut self, left: Query, arm: &ast::SetOperationArm, right: Query) -> Result<Query> {
        let (name, kind) = match arm.op {
            SetOperator::Union => ("UNION", SetOpKind::Union),
            SetOperator::Intersect => ("INTERSECT", SetOpKind::Intersect),
            SetOperator::Except => ("EXCEPT", SetOpKind::Except),
        };
        if left.columns.len() != right.columns.len() {
            let span = right.columns.first().map_or(arm.query.span, |column| column.span);
            return Err(
                Error::syntax(format!("each {name} query must have the same number of columns")).at(span)
            );
        }
        let mut types = Vec::with_capacity(left.columns.len());
        for (l, r) in left.columns.iter().zip(&right.columns) {
            let span = if l.data_type.oid == DataType::UNKNOWN.oid { l.span } else { r.span };
            let common = self.coercer.common_type(&[l.data_type, r.data_type], name, span)?;
            if !(kind == SetOpKind::Union && arm.all) {
                self.check_equality(common, span)?;
            }
            types.push(common);
        }
        let left = self.cast_columns(left, &types, CastContext::Implicit, name)?;
        let right = self.cast_columns(right, &types, CastContext::Implicit, name)?;
        let mut columns = Vec::with_capacity(types.len());
        for (column, data_type) in left.columns.iter().zip(&types) {
            let id = self.add_column(&column.name, *data_type);
            columns.push(OutputColumn {
                name: column.name.clone(),
                id,
                data_type: *data_type,
                literal: None,
                source: None,
                span: column.span,
            });
        }
        let plan = LogicalPlan::SetOp(SetOp {
            kind,
            all: arm.all,
            left: Box::new(left.plan),
            right: Box::new(right.plan),
            columns: columns.iter().map(|column| column.id).collect(),
        });
        Ok(Query { plan, columns })
    }

    /// Gives the query's columns these types. Literals are read anew rather than cast.
    pub(super) fn cast_columns(
        &mut self,
        query: Query,
        types: &[DataType],
        context: CastContext,
        clause: &str,
    ) -> Result<Query> {
        let output = query.plan.output();
        let in_order = query.columns.iter().map(|column| column.id).eq(output.iter().copied());
        if in_order && query.columns.iter().zip(types).all(|(column, to)| column.data_type == *to) {
            return Ok(query);
        }
        let mut exprs: Vec<Computed> = Vec::with_capacity(types.len());
        let mut columns = Vec::with_capacity(types.len());
        for (column, to) in query.columns.into_iter().zip(types) {
            let from = column.literal.clone().unwrap_or_else(|| Expr::column(column.id, column.data_type));
            let from_type = from.data_type();
            let expr = self.coercer.coerce(from, *to, context, column.span)?.ok_or_else(|| {
                Error::new(
                    SqlState::CANNOT_COERCE,
                    format!(
                        "{clause} could not convert type {} to {}",
                        from_type.without_modifier(),
                        to.without_modifier()
                    ),
                )
                .at(column.span)
            })?;
            let id = match expr.as_column() {
                Some(id) if exprs.iter().all(|computed| computed.id != id) => id,
                _ => self.add_column(&column.name, *to),
            };
            exprs.push(Computed { id, expr });
            columns.push(OutputColumn { id, data_type: *to, literal: None, ..column });
        }
        let plan = LogicalPlan::Project { input: Box::new(query.plan), exprs };
        Ok(Query { plan, columns })
    }

    /// VALUES as a query: columns are `column1`, `column2` …
    pub(super) fn values(&mut self, rows: &[Vec<ast::Expr>], settle: bool) -> Result<Query> {
        let width = rows.first().map_or(0, Vec::len);
        let before = std::mem::replace(&mut self.level().clause, Clause::Values);
        let mut bound: Vec<Vec<Expr>> = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                let span = row.first().map(ast::Expr::start_span).unwrap_or_default();
                return Err(Error::syntax("VALUES lists must all be the same length").at(span));
            }
            bound.push(self.exprs(row)?);
        }
        self.level().clause = before;
        let mut columns = Vec::with_capacity(width);
        for at in 0..width {
            let spans: Vec<_> =
                rows.iter().filter_map(|row| row.get(at)).map(ast::Expr::start_span).collect();
            let span = spans.first().copied().unwrap_or_default();
            let inputs: Vec<DataType> =
                bound.iter().filter_map(|row| row.get(at)).map(Expr::data_type).collect();
            let all_unknown = inputs.iter().all(|t| t.oid == DataType::UNKNOWN.oid);
            let mut data_type = DataType::UNKNOWN;
            // A lone row's literals stay untyped for an INSERT or a set operation to decide.
            if settle || !all_unknown || rows.len() > 1 {
                data_type = self.coercer.common_type(&inputs, "VALUES", span)?;
                for (row, span) in bound.iter_mut().zip(&spans) {
                    if let Some(slot) = row.get_mut(at) {
                        let expr = std::mem::replace(slot, Expr::null(DataType::UNKNOWN));
                        *slot = self.coercer.to_common(expr, data_type, "VALUES", *span)?;
                    }
                }
                let same = |row: &Vec<Expr>| row.get(at).is_some_and(|expr| expr.data_type() == data_type);
                if !bound.iter().all(same) {
                    data_type = data_type.without_modifier();
                }
            }
            let name = format!("column{}", at + 1);
            let id = self.add_column(&name, data_type);
            let literal = match bound.as_slice() {
                [row] if data_type.oid == DataType::UNKNOWN.oid => row.get(at).cloned(),
                _ => None,
            };
            columns.push(OutputColumn { name, id, data_type, literal, source: None, span });
        }
        let plan =
            LogicalPlan::Values { rows: bound, columns: columns.iter().map(|column| column.id).collect() };
        Ok(Query { plan, columns })
    }
}
