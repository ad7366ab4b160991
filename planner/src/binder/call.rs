//! Function calls of every kind: which one is meant, and where it goes.
//!
//! Scalar calls stay in the expression; aggregates, window functions and set-returning functions become
//! columns that the level computes ([`super::scope::Level`]). Follows `parse_func.c`.

use expr::coerce::Resolution;
use expr::{CallForm, Expr, FunctionKind, ResolvedCall, TableFunctionCall};
use parser::ast;
use types::{Error, Result, Span, SqlState};

use super::Binder;
use super::scope::Clause;

impl Binder<'_> {
    pub(super) fn func_call(&mut self, call: &ast::FuncCall) -> Result<Expr> {
        let span = call.span;
        let name = self.function_name(&call.name, span)?;
        if let Some(named) = call.args.iter().find(|arg| arg.name.is_some()) {
            return Err(Error::not_supported("named arguments")
                .with_hint("Give the arguments by position.")
                .at(named.value.span()));
        }
        if self.is_aggregate_name(name, call) {
            return self.aggregate_call(name, call);
        }
        let args = self.call_args(call)?;
        let resolved = match self.coercer.resolve_function(name, args, call.variadic, span)? {
            Resolution::Cast(expr) => {
                self.refuse_decorations(call, name)?;
                return Ok(expr);
            }
            Resolution::Function(resolved) => resolved,
        };
        match resolved.function.kind {
            FunctionKind::Aggregate => {
                Err(Error::internal(format!("aggregate {name} was not recognised by its name")).at(span))
            }
            FunctionKind::Procedure => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{} is a procedure", resolved.function.signature()),
            )
            .with_hint("To call a procedure, use CALL.")
            .at(span)),
            FunctionKind::Window => self.window_function(call, resolved),
            FunctionKind::Function => {
                self.refuse_decorations(call, name)?;
                if resolved.function.returns_set {
                    return self.set_call(resolved, span);
                }
                if resolved.function.returns_rows() {
                    return Err(Error::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "function returning record called in context that cannot accept type record",
                    )
                    .at(span));
                }
                let form = if call.sql_syntax { CallForm::SqlSyntax } else { CallForm::Function };
                resolved.into_scalar(form, span)
            }
        }
    }

    /// The bare name of a function: all there are live in `pg_catalog`. 3F000, 42883.
    pub(super) fn function_name<'n>(&self, parts: &'n [String], span: Span) -> Result<&'n str> {
        match parts {
            [name] => Ok(name),
            [schema, name] if schema == "pg_catalog" => Ok(name),
            [schema, name] => match self.cx.catalog.schema_by_name(schema) {
                None => Err(catalog::catalog::undefined_schema(schema).at(span)),
                Some(_) => Err(Error::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("function {schema}.{name} does not exist"),
                )
                .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
                .at(span)),
            },
            [catalog, schema, name] => {
                self.check_catalog_name(catalog, parts, span)?;
                if schema == "pg_catalog" {
                    Ok(name)
                } else {
                    Err(catalog::catalog::undefined_schema(schema).at(span))
                }
            }
            _ => Err(Error::syntax(format!("improper qualified name (too many dotted names): {}", parts.join(".")))
                .at(span)),
        }
    }

    /// Aggregates are known before their arguments are bound, because those are bound by other rules.
    fn is_aggregate_name(&self, name: &str, call: &ast::FuncCall) -> bool {
        let overloads = expr::registry().functions_named(name);
        // rank() and its like are window functions too: WITHIN GROUP makes them aggregates.
        if !call.within_group && overloads.iter().any(|function| function.is_window()) {
            return false;
        }
        let count = call.args.len() + if call.within_group { call.order_by.len() } else { 0 };
        overloads.iter().any(|function| {
            function.is_aggregate()
                && (function.args.len() == count || function.variadic.is_some() || overloads.len() == 1)
        }) || (!overloads.is_empty() && overloads.iter().all(|function| function.is_aggregate()))
    }

    /// The arguments as the current clause allows them.
    pub(super) fn call_args(&mut self, call: &ast::FuncCall) -> Result<Vec<Expr>> {
        call.args.iter().map(|arg| self.expr(&arg.value)).collect()
    }

    /// 42809 for `f(*)`, DISTINCT, ORDER BY, FILTER, OVER and WITHIN GROUP on what is no aggregate.
    fn refuse_decorations(&self, call: &ast::FuncCall, name: &str) -> Result<()> {
        let problem = if call.star {
            format!("{name}(*) specified, but {name} is not an aggregate function")
        } else if call.distinct {
            format!("DISTINCT specified, but {name} is not an aggregate function")
        } else if call.within_group {
            format!("WITHIN GROUP specified, but {name} is not an aggregate function")
        } else if !call.order_by.is_empty() {
            format!("ORDER BY specified, but {name} is not an aggregate function")
        } else if call.filter.is_some() {
            format!("FILTER specified, but {name} is not an aggregate function")
        } else if call.over.is_some() {
            format!("OVER specified, but {name} is not a window function nor an aggregate function")
        } else {
            return Ok(());
        };
        Err(Error::new(SqlState::WRONG_OBJECT_TYPE, problem).at(call.span))
    }

    /// A set-returning function in a select list: a column that the level expands.
    fn set_call(&mut self, call: ResolvedCall, span: Span) -> Result<Expr> {
        let level = self.level();
        if let Some(construct) = level.no_sets {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("set-returning functions are not allowed in {construct}"),
            )
            .with_hint("You might be able to move the set-returning function into a LATERAL FROM item.")
            .at(span));
        }
        if let Some(clause) = level.clause.refuses_sets() {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("set-returning functions are not allowed in {clause}"),
            )
            .at(span));
        }
        let name = call.function.name;
        let data_type = call.data_type;
        if data_type.oid == types::DataType::RECORD.oid {
            return Err(Error::not_supported(format!("{name} in a select list"))
                .with_hint("Call it in FROM.")
                .at(span));
        }
        // ORDER BY or GROUP BY that repeats a call of the select list means that call.
        if level.clause != Clause::SelectList
            && let Some((id, _)) = level
                .set_calls
                .iter()
                .find(|(_, other)| other.function == call.function && other.args == call.args)
        {
            return Ok(Expr::column(*id, data_type));
        }
        let id = self.add_column(name, data_type);
        let call = TableFunctionCall {
            function: call.function,
            args: call.args,
            columns: vec![(name.to_string(), data_type)],
            location: span.into(),
        };
        self.level().set_calls.push((id, call));
        Ok(Expr::column(id, data_type))
    }

    /// A function that stands in FROM: a set, or one value. Sets are refused inside its arguments.
    pub(super) fn function_in_from(&mut self, call: &ast::Expr) -> Result<FromCall> {
        let before = std::mem::replace(&mut self.level().clause, Clause::FromFunction);
        let result = self.call_in_from(call);
        self.level().clause = before;
        result
    }

    fn call_in_from(&mut self, expr: &ast::Expr) -> Result<FromCall> {
        if let ast::Expr::FuncCall(call) = expr {
            let name = self.function_name(&call.name, call.span)?;
            let sets = expr::registry().functions_named(name).iter().any(|function| function.returns_rows());
            if sets && call.args.iter().all(|arg| arg.name.is_none()) {
                let args = self.call_args(call)?;
                let resolved = self.coercer.function(name, args, call.variadic, call.span)?;
                self.refuse_decorations(call, name)?;
                if resolved.function.returns_rows() {
                    return Ok(FromCall::Set(resolved, call.span));
                }
                return Ok(FromCall::Value(resolved.into_scalar(CallForm::Function, call.span)?));
            }
        }
        let value = self.expr(expr)?;
        Ok(FromCall::Value(self.coercer.settle(value)?))
    }
}

/// What a function in FROM yields.
pub(super) enum FromCall {
    Set(ResolvedCall, Span),
    Value(Expr),
}
