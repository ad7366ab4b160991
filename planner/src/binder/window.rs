//! Window functions, the WINDOW clause and frames.
//!
//! A call over a window becomes a column of the level's Window node for that window; calls over equal
//! windows share the node. Follows `transformWindowDefinitions` and `transformWindowFuncCall`.

use expr::{Expr, ResolvedCall, SortKey, WindowCall};
use parser::ast;
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::scope::Clause;
use crate::logical::{FrameBound, FrameUnits, WindowFrame, WindowSpec};

/// A window of the WINDOW clause.
#[derive(Debug, Clone)]
pub(super) struct NamedWindow {
    pub name: String,
    pub spec: WindowSpec,
    /// A frame was written: then it can be named by OVER, but not built upon.
    pub has_frame: bool,
}

impl Binder<'_> {
    /// Binds the WINDOW clause; calls of the select list look their windows up in it.
    pub(super) fn window_clause(&mut self, windows: &[ast::WindowDef]) -> Result<()> {
        for window in windows {
            let name = window.name.clone().unwrap_or_default();
            if self.level().named_windows.iter().any(|other| other.name == name) {
                return Err(windowing_error(format!("window \"{name}\" is already defined")).at(window.span));
            }
            let spec = self.window_spec(window)?;
            self.level().named_windows.push(NamedWindow { name, spec, has_frame: window.frame.is_some() });
        }
        Ok(())
    }

    /// `agg(…) OVER …`.
    pub(super) fn window_aggregate(&mut self, name: &str, call: &ast::FuncCall) -> Result<Expr> {
        let span = call.span;
        if call.distinct {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "DISTINCT is not implemented for window functions",
            )
            .at(span));
        }
        if !call.order_by.is_empty() && !call.within_group {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "aggregate ORDER BY is not implemented for window functions",
            )
            .at(span));
        }
        if call.within_group {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("OVER is not supported for ordered-set aggregate {name}"),
            )
            .at(span));
        }
        let before = self.enter_window(span)?;
        let parts = self.aggregate_parts(name, call);
        self.leave_window(before);
        let parts = parts?;
        let call_ = WindowCall {
            function: parts.function,
            args: parts.args,
            filter: parts.filter,
            order_by: Vec::new(),
            distinct: false,
            data_type: parts.data_type,
            location: span.into(),
        };
        self.add_window_call(call, call_)
    }

    /// `rank() OVER …`, once its arguments are bound.
    pub(super) fn window_function(&mut self, call: &ast::FuncCall, resolved: ResolvedCall) -> Result<Expr> {
        let span = call.span;
        let name = resolved.function.name;
        if call.over.is_none() {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("window function {name} requires an OVER clause"),
            )
            .at(span));
        }
        if call.within_group {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("window function {name} cannot have WITHIN GROUP"),
            )
            .at(span));
        }
        if call.distinct {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "DISTINCT is not implemented for window functions",
            )
            .at(span));
        }
        if !call.order_by.is_empty() {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "aggregate ORDER BY is not implemented for window functions",
            )
            .at(span));
        }
        if call.filter.is_some() {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "FILTER is not implemented for non-aggregate window functions",
            )
            .at(span));
        }
        let before = self.enter_window(span)?;
        self.leave_window(before);
        let call_ = WindowCall {
            function: resolved.function,
            args: resolved.args,
            filter: None,
            order_by: Vec::new(),
            distinct: false,
            data_type: resolved.data_type,
            location: span.into(),
        };
        self.add_window_call(call, call_)
    }

    /// 42P20 where windows are not allowed; marks the level as inside a window call.
    fn enter_window(&mut self, span: Span) -> Result<(bool, Option<&'static str>)> {
        let level = self.level();
        if level.in_aggregate {
            return Err(super::aggregate::grouping_error(
                "aggregate function calls cannot contain window function calls",
            )
            .at(span));
        }
        if level.in_window {
            return Err(windowing_error("window function calls cannot be nested").at(span));
        }
        if let Some(place) = level.clause.refuses_windows() {
            return Err(windowing_error(format!("window functions are not allowed in {place}")).at(span));
        }
        Ok((std::mem::replace(&mut level.in_window, true), level.no_sets.replace("window functions")))
    }

    fn leave_window(&mut self, before: (bool, Option<&'static str>)) {
        let level = self.level();
        level.in_window = before.0;
        level.no_sets = before.1;
    }

    fn add_window_call(&mut self, call: &ast::FuncCall, bound: WindowCall) -> Result<Expr> {
        let Some(over) = &call.over else { return Err(Error::internal("window call without OVER")) };
        let spec = match &over.name {
            Some(name) => self
                .level()
                .named_windows
                .iter()
                .find(|window| window.name == *name)
                .map(|window| window.spec.clone())
                .ok_or_else(|| undefined_window(name, over.span))?,
            None => self.window_spec(over)?,
        };
        let data_type = bound.data_type;
        let stable = bound.function.volatility < expr::Volatility::Volatile
            && bound.args.iter().all(|arg| arg.volatility() < expr::Volatility::Volatile);
        let known = self.level().windows.iter().find(|(other, _)| *other == spec);
        if let Some((_, calls)) = known
            && let Some((id, _)) = calls.iter().find(|(_, other)| stable && *other == bound)
        {
            return Ok(Expr::column(*id, data_type));
        }
        let id = self.add_column(bound.function.name, data_type);
        let windows = &mut self.level().windows;
        match windows.iter_mut().find(|(other, _)| *other == spec) {
            Some((_, calls)) => calls.push((id, bound)),
            None => windows.push((spec, vec![(id, bound)])),
        }
        Ok(Expr::column(id, data_type))
    }

    fn window_spec(&mut self, window: &ast::WindowDef) -> Result<WindowSpec> {
        let base = match &window.base {
            Some(name) => {
                let found = self.level().named_windows.iter().find(|other| other.name == *name).cloned();
                Some(found.ok_or_else(|| undefined_window(name, window.span))?)
            }
            None => None,
        };
        if let Some(base) = &base {
            let name = &base.name;
            if !window.partition_by.is_empty() {
                return Err(windowing_error(format!(
                    "cannot override PARTITION BY clause of window \"{name}\""
                ))
                .at(window.span));
            }
            if !window.order_by.is_empty() && !base.spec.order_by.is_empty() {
                return Err(windowing_error(format!("cannot override ORDER BY clause of window \"{name}\""))
                    .at(window.span));
            }
            if base.has_frame {
                let error =
                    windowing_error(format!("cannot copy window \"{name}\" because it has a frame clause"));
                let plain = window.order_by.is_empty() && window.frame.is_none();
                let error =
                    if plain { error.with_hint("Omit the parentheses in this OVER clause.") } else { error };
                return Err(error.at(window.span));
            }
        }
        let mut partition_by = base.as_ref().map(|base| base.spec.partition_by.clone()).unwrap_or_default();
        let in_window = std::mem::replace(&mut self.level().in_window, false);
        for expr in &window.partition_by {
            let bound = self.clause_expr(expr, Clause::WindowPartition)?;
            let bound = self.coercer.settle(bound)?;
            self.check_equality(bound.data_type(), expr.start_span())?;
            if !partition_by.contains(&bound) {
                partition_by.push(bound);
            }
        }
        let mut order_by = base.map(|base| base.spec.order_by).unwrap_or_default();
        for sort in &window.order_by {
            let bound = self.clause_expr(&sort.expr, Clause::WindowOrder)?;
            let bound = self.coercer.settle(bound)?;
            let key = self.sort_key(bound, sort)?;
            order_by.push(key);
        }
        self.level().in_window = in_window;
        let frame = match &window.frame {
            Some(frame) => self.frame(frame, &order_by, window.span)?,
            None => WindowFrame::default(),
        };
        Ok(WindowSpec { partition_by, order_by, frame })
    }

    fn frame(&mut self, frame: &ast::WindowFrame, order_by: &[SortKey], window: Span) -> Result<WindowFrame> {
        let span = frame.span;
        match (&frame.start, &frame.end) {
            (ast::FrameBound::UnboundedFollowing, _) => {
                return Err(windowing_error("frame start cannot be UNBOUNDED FOLLOWING").at(span));
            }
            (_, ast::FrameBound::UnboundedPreceding) => {
                return Err(windowing_error("frame end cannot be UNBOUNDED PRECEDING").at(span));
            }
            (ast::FrameBound::CurrentRow, ast::FrameBound::Preceding(_)) => {
                return Err(
                    windowing_error("frame starting from current row cannot have preceding rows").at(span)
                );
            }
            (ast::FrameBound::Following(_), ast::FrameBound::Preceding(_) | ast::FrameBound::CurrentRow) => {
                return Err(
                    windowing_error("frame starting from following row cannot have preceding rows").at(span)
                );
            }
            _ => {}
        }
        if frame.units == FrameUnits::Groups && order_by.is_empty() {
            return Err(windowing_error("GROUPS mode requires an ORDER BY clause").at(window));
        }
        let offsets = [&frame.start, &frame.end]
            .iter()
            .any(|bound| matches!(bound, ast::FrameBound::Preceding(_) | ast::FrameBound::Following(_)));
        if frame.units == FrameUnits::Range && offsets && order_by.len() != 1 {
            return Err(windowing_error(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            )
            .at(window));
        }
        Ok(WindowFrame {
            units: frame.units,
            start: self.frame_bound(&frame.start, frame.units, order_by)?,
            end: self.frame_bound(&frame.end, frame.units, order_by)?,
            exclusion: frame.exclusion,
        })
    }

    fn frame_bound(
        &mut self,
        bound: &ast::FrameBound,
        units: FrameUnits,
        order_by: &[SortKey],
    ) -> Result<FrameBound> {
        Ok(match bound {
            ast::FrameBound::UnboundedPreceding => FrameBound::UnboundedPreceding,
            ast::FrameBound::UnboundedFollowing => FrameBound::UnboundedFollowing,
            ast::FrameBound::CurrentRow => FrameBound::CurrentRow,
            ast::FrameBound::Preceding(offset) => {
                FrameBound::Preceding(self.offset(offset, units, order_by)?)
            }
            ast::FrameBound::Following(offset) => {
                FrameBound::Following(self.offset(offset, units, order_by)?)
            }
        })
    }

    fn offset(&mut self, offset: &ast::Expr, units: FrameUnits, order_by: &[SortKey]) -> Result<Expr> {
        let span = offset.start_span();
        let (clause, name) = match units {
            FrameUnits::Rows => (Clause::WindowFrameRows, "ROWS"),
            FrameUnits::Groups => (Clause::WindowFrameGroups, "GROUPS"),
            FrameUnits::Range => (Clause::WindowFrameRange, "RANGE"),
        };
        let bound = self.clause_expr(offset, clause)?;
        if !bound.columns().is_empty() {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("argument of {name} must not contain variables"),
            )
            .at(span));
        }
        if units != FrameUnits::Range {
            return self.coercer.bigint(bound, name, span);
        }
        let Some(key) = order_by.first() else { return Err(Error::internal("RANGE offset without a key")) };
        let key = key.expr.data_type().without_modifier();
        let to = match key {
            DataType::INT2 | DataType::INT4 | DataType::INT8 => DataType::INT8,
            DataType::FLOAT4 | DataType::FLOAT8 => DataType::FLOAT8,
            DataType::NUMERIC => DataType::NUMERIC,
            DataType::DATE
            | DataType::TIMESTAMP
            | DataType::TIMESTAMPTZ
            | DataType::TIME
            | DataType::INTERVAL => DataType::INTERVAL,
            other => {
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("RANGE with offset PRECEDING/FOLLOWING is not supported for column type {other}"),
                )
                .at(span));
            }
        };
        let from = bound.data_type();
        self.coercer.coerce(bound, to, expr::CastContext::Implicit, span)?.ok_or_else(|| {
            Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {key} and offset type {}",
                    from.without_modifier()
                ),
            )
            .with_hint("Cast the offset value to an appropriate type.")
            .at(span)
        })
    }

    /// A key of any ORDER BY. 42883 for a type without order.
    pub(super) fn sort_key(&self, expr: Expr, sort: &ast::SortBy) -> Result<SortKey> {
        let descending = match &sort.direction {
            ast::SortDirection::Default | ast::SortDirection::Asc => false,
            ast::SortDirection::Desc => true,
            ast::SortDirection::Using(operator) => match self.operator_symbol(operator, sort.span)? {
                "<" => false,
                ">" => true,
                other => {
                    let data_type = expr.data_type();
                    self.coercer.find_operator(other, Some(data_type), data_type, sort.span)?;
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("operator {other} is not a valid ordering operator"),
                    )
                    .with_hint(
                        "Ordering operators must be \"<\" or \">\" members of btree operator families.",
                    )
                    .at(sort.span));
                }
            },
        };
        let data_type = expr.data_type();
        if !expr::registry().is_orderable(data_type) {
            return Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("could not identify an ordering operator for type {}", data_type.without_modifier()),
            )
            .with_hint("Use an explicit ordering operator or modify the query.")
            .at(sort.expr.start_span()));
        }
        let nulls_first = match sort.nulls {
            ast::NullsOrder::Default => descending,
            ast::NullsOrder::First => true,
            ast::NullsOrder::Last => false,
        };
        Ok(SortKey { expr, descending, nulls_first })
    }
}

/// 42P20.
fn windowing_error(message: impl Into<String>) -> Error {
    Error::new(SqlState::WINDOWING_ERROR, message)
}

fn undefined_window(name: &str, span: Span) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist")).at(span)
}
