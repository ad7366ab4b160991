//! The constructs that are no plain calls: CASE, COALESCE, IN, ANY, ARRAY, row comparisons, subscripts.

use types::{DataType, Error, Result, Span, SqlState};

use super::Coercer;
use super::overload::resolve;
use crate::expr::Expr;
use crate::function::Comparison;
use crate::registry::CastContext;

impl Coercer<'_> {
    /// CASE: with an operand, each condition is `operand = value`.
    pub fn case(
        &self,
        operand: Option<Expr>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Expr>,
        span: Span,
    ) -> Result<Expr> {
        let operand = operand.map(|operand| self.settle(operand)).transpose()?;
        let mut conditions = Vec::with_capacity(branches.len());
        let mut results = vec![otherwise.clone().unwrap_or_else(|| Expr::null(DataType::UNKNOWN))];
        for (condition, result) in branches {
            conditions.push(match &operand {
                Some(operand) => self.operator("=", Some(operand.clone()), condition, span)?,
                None => condition,
            });
            results.push(result);
        }
        let mut unchecked = Vec::with_capacity(conditions.len());
        for condition in conditions {
            unchecked.push(self.boolean(condition, "CASE/WHEN", span)?);
        }
        let (mut results, data_type) = self.unify(results, "CASE", span)?;
        let default = results.remove(0);
        let branches = unchecked.into_iter().zip(results).collect();
        let otherwise = otherwise.is_some().then(|| Box::new(default));
        Ok(Expr::Case { branches, otherwise, data_type })
    }

    pub fn coalesce(&self, args: Vec<Expr>, span: Span) -> Result<Expr> {
        let (args, data_type) = self.unify(args, "COALESCE", span)?;
        Ok(Expr::Coalesce { args, data_type })
    }

    pub fn null_if(&self, left: Expr, right: Expr, span: Span) -> Result<Expr> {
        let (operator, left, right) = self.comparison("=", left, right, span)?;
        let data_type = left.data_type();
        Ok(Expr::NullIf { left: Box::new(left), right: Box::new(right), operator, data_type })
    }

    /// GREATEST and LEAST. 42883 when the type has no order.
    pub fn min_max(&self, args: Vec<Expr>, greatest: bool, span: Span) -> Result<Expr> {
        let clause = if greatest { "GREATEST" } else { "LEAST" };
        let (args, data_type) = self.unify(args, clause, span)?;
        if !crate::registry::registry().is_orderable(data_type) {
            return Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("could not identify a comparison function for type {data_type}"),
            )
            .at(span));
        }
        Ok(Expr::MinMax { args, greatest, data_type })
    }

    /// IS [NOT] DISTINCT FROM, rows by their columns.
    pub fn distinct(&self, left: Expr, right: Expr, negated: bool, span: Span) -> Result<Expr> {
        if let (Expr::Row { fields: a, .. }, Expr::Row { fields: b, .. }) = (&left, &right) {
            same_length(a.len(), b.len(), span)?;
            let parts = a
                .iter()
                .zip(b)
                .map(|(a, b)| self.distinct(a.clone(), b.clone(), negated, span))
                .collect::<Result<Vec<Expr>>>()?;
            return Ok(if negated { Expr::and(parts) } else { Expr::or(parts) });
        }
        let (operator, left, right) = self.comparison("=", left, right, span)?;
        Ok(Expr::Distinct { left: Box::new(left), right: Box::new(right), operator, negated })
    }

    /// `arg [NOT] IN (list)`, rows included: constants of one type become one list, the rest OR.
    pub fn in_list(&self, arg: Expr, list: Vec<Expr>, negated: bool, span: Span) -> Result<Expr> {
        let symbol = if negated { "<>" } else { "=" };
        let (fixed, varying): (Vec<Expr>, Vec<Expr>) =
            list.into_iter().partition(|item| item.columns().is_empty() && !matches!(item, Expr::Row { .. }));
        let mut parts = Vec::new();
        let mut single = fixed;
        if single.len() > 1 && !matches!(arg, Expr::Row { .. }) {
            let inputs: Vec<DataType> = [&arg].into_iter().chain(&single).map(Expr::data_type).collect();
            let common = super::common_type_of(&inputs).ok().map(|t| t.unwrap_or(DataType::TEXT));
            let usable = common.filter(|&common| {
                inputs.iter().all(|&t| super::can_coerce(t, common, CastContext::Implicit))
            });
            if let Some(common) = usable {
                let operator = self.find_operator("=", Some(arg.data_type()), common, span)?;
                let arg = self.argument_for(arg.clone(), operator.left.unwrap_or(common), common, span)?;
                let list = std::mem::take(&mut single)
                    .into_iter()
                    .map(|item| {
                        let item = self.to_common(item, common, "IN", span)?;
                        self.argument_for(item, operator.right, common, span)
                    })
                    .collect::<Result<Vec<Expr>>>()?;
                parts.push(Expr::InList { arg: Box::new(arg), list, operator, negated });
            }
        }
        for item in single.into_iter().chain(varying) {
            parts.push(self.operator(symbol, Some(arg.clone()), item, span)?);
        }
        Ok(if negated { Expr::and(parts) } else { Expr::or(parts) })
    }

    /// As the operator's declared type, which may be polymorphic over `common`.
    fn argument_for(&self, expr: Expr, declared: DataType, common: DataType, span: Span) -> Result<Expr> {
        let to = resolve(&[common], &[declared])?.actual(declared)?;
        self.argument(expr, to, span)
    }

    /// `left symbol ANY|ALL (array)`. 42809 when the right side is no array.
    pub fn any_all(&self, symbol: &str, left: Expr, array: Expr, all: bool, span: Span) -> Result<Expr> {
        let array_type = array.data_type();
        let unknown = array_type.oid == DataType::UNKNOWN.oid;
        let element = if unknown { Some(DataType::UNKNOWN) } else { array_type.element() };
        let Some(element) = element else {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                "op ANY/ALL (array) requires array on right side",
            )
            .at(span));
        };
        let operator = self.find_operator(symbol, Some(left.data_type()), element, span)?;
        operator.function.check_implemented().map_err(|error| error.at(span))?;
        if operator.result.oid != DataType::BOOL.oid {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                "op ANY/ALL (array) requires operator to yield boolean",
            )
            .at(span));
        }
        let inputs = [left.data_type(), element];
        let declared = [operator.left.unwrap_or(operator.right), operator.right];
        let polymorphic = resolve(&inputs, &declared).map_err(|error| error.at(span))?;
        let left_type = polymorphic.actual(declared[0])?;
        let right_type = polymorphic.actual(declared[1])?;
        let Some(array_type) = right_type.array_of() else {
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {right_type}"),
            )
            .at(span));
        };
        let left = self.argument(left, left_type, span)?;
        let array = self.argument(array, array_type, span)?;
        Ok(Expr::AnyAll { left: Box::new(left), array: Box::new(array), operator, all })
    }

    /// ARRAY[…]. 42P18 when it is empty: see [`Coercer::array_as`].
    pub fn array(&self, elements: Vec<Expr>, span: Span) -> Result<Expr> {
        if elements.is_empty() {
            return Err(Error::new(SqlState::INDETERMINATE_DATATYPE, "cannot determine type of empty array")
                .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                .at(span));
        }
        let (elements, common) = self.unify(elements, "ARRAY", span)?;
        let common = common.without_modifier();
        // Arrays within an array make more dimensions of the same type.
        let nested = common.element().is_some();
        let data_type = if nested { Some(common) } else { common.array_of() };
        let Some(data_type) = data_type else {
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {common}"),
            )
            .at(span));
        };
        Ok(Expr::Array { elements, nested, data_type })
    }

    /// `ARRAY[…]::to`: the elements take the array type's element type. 42846.
    pub fn array_as(&self, elements: Vec<Expr>, to: DataType, span: Span) -> Result<Expr> {
        let Some(element) = to.element() else {
            let array = self.array(elements, span)?;
            return self.cast(array, to, span);
        };
        let nested = elements.iter().any(|e| e.data_type().element().is_some());
        let item_type = if nested { to } else { element.with_modifier(to.modifier) };
        let elements = elements
            .into_iter()
            .map(|item| self.cast(item, item_type, span))
            .collect::<Result<Vec<Expr>>>()?;
        Ok(Expr::Array { elements, nested, data_type: to })
    }

    /// `(a, b) symbol (c, d)`: = and <> by columns, the others lexicographically. 42601 on unequal lengths.
    pub fn row_comparison(
        &self,
        symbol: &str,
        left: Vec<Expr>,
        right: Vec<Expr>,
        span: Span,
    ) -> Result<Expr> {
        same_length(left.len(), right.len(), span)?;
        if left.is_empty() {
            return Err(
                Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot compare rows of zero length").at(span)
            );
        }
        let pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
        let each = |symbol: &str| -> Result<Vec<Expr>> {
            pairs.iter().map(|(a, b)| self.operator(symbol, Some(a.clone()), b.clone(), span)).collect()
        };
        match Comparison::from_symbol(symbol) {
            Some(Comparison::Equal) => Ok(Expr::and(each("=")?)),
            Some(Comparison::NotEqual) => Ok(Expr::or(each("<>")?)),
            Some(comparison) => {
                // a < c OR (a = c AND (b < d OR …)), from the last column outwards.
                let strict = match comparison {
                    Comparison::Less | Comparison::LessEqual => "<",
                    _ => ">",
                };
                let mut result: Option<Expr> = None;
                for (a, b) in pairs.iter().rev() {
                    result = Some(match result {
                        None => self.operator(symbol, Some(a.clone()), b.clone(), span)?,
                        Some(rest) => {
                            let before = self.operator(strict, Some(a.clone()), b.clone(), span)?;
                            let equal = self.operator("=", Some(a.clone()), b.clone(), span)?;
                            Expr::or([before, Expr::and([equal, rest])])
                        }
                    });
                }
                Ok(result.unwrap_or_else(|| Expr::bool(true)))
            }
            None => Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("could not determine interpretation of row comparison operator {symbol}"),
            )
            .with_hint("Row comparison operators must be associated with btree operator families.")
            .at(span)),
        }
    }

    /// `array[i][j]`, or `jsonb['key'][0]`. 42804 when it is neither.
    pub fn subscript(&self, array: Expr, indexes: Vec<Expr>, span: Span) -> Result<Expr> {
        if array.data_type().oid == DataType::JSONB.oid {
            let path = self.jsonb_path(indexes, span)?;
            let call = self.function("jsonb_extract_path", vec![array, path], true, span)?;
            return call.into_scalar(crate::expr::CallForm::Function, span);
        }
        let data_type = subscripted(&array, span)?;
        let indexes =
            indexes.into_iter().map(|index| self.index(index, span)).collect::<Result<Vec<Expr>>>()?;
        Ok(Expr::Subscript { array: Box::new(array), indexes, data_type })
    }

    /// `array[a:b]`.
    pub fn slice(&self, array: Expr, bounds: Vec<(Option<Expr>, Option<Expr>)>, span: Span) -> Result<Expr> {
        if array.data_type().oid == DataType::JSONB.oid {
            return Err(
                Error::new(SqlState::DATATYPE_MISMATCH, "jsonb subscript does not support slices").at(span)
            );
        }
        subscripted(&array, span)?;
        let data_type = array.data_type();
        if data_type.oid == DataType::NAME.oid {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "slices of fixed-length arrays not implemented",
            )
            .at(span));
        }
        let bound = |bound: Option<Expr>| bound.map(|bound| self.index(bound, span)).transpose();
        let bounds = bounds
            .into_iter()
            .map(|(lower, upper)| Ok((bound(lower)?, bound(upper)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Expr::Slice { array: Box::new(array), bounds, data_type })
    }

    /// The subscripts of a jsonb as a path: integers or text. 42804 for others.
    fn jsonb_path(&self, indexes: Vec<Expr>, span: Span) -> Result<Expr> {
        let mut elements = Vec::with_capacity(indexes.len());
        for index in indexes {
            let from = index.data_type();
            let number = super::can_coerce(from, DataType::INT4, CastContext::Implicit)
                && from.oid != DataType::UNKNOWN.oid;
            let step = if number {
                let number = self.cast(index, DataType::INT4, span)?;
                Some(self.cast(number, DataType::TEXT, span)?)
            } else {
                self.coerce(index, DataType::TEXT, CastContext::Implicit, span)?
            };
            elements.push(step.ok_or_else(|| {
                Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("subscript type {} is not supported", from.without_modifier()),
                )
                .with_hint("jsonb subscript must be coercible to either integer or text.")
                .at(span)
            })?);
        }
        Ok(Expr::Array { elements, nested: false, data_type: DataType::TEXT_ARRAY })
    }

    /// `target[…] = value`: what the jsonb column becomes.
    pub fn assign_jsonb(&self, target: Expr, indexes: Vec<Expr>, value: Expr, span: Span) -> Result<Expr> {
        let path = self.jsonb_path(indexes, span)?;
        Ok(Expr::Call {
            function: crate::scalar::json::assign_function(),
            args: vec![target, path, value],
            data_type: DataType::JSONB,
            form: crate::expr::CallForm::Function,
            location: span.into(),
        })
    }

    fn index(&self, index: Expr, span: Span) -> Result<Expr> {
        self.coerce(index, DataType::INT4, CastContext::Assignment, span)?.ok_or_else(|| {
            Error::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer").at(span)
        })
    }
}

/// The type of an element. A name is an array of "char", counted from 0.
fn subscripted(array: &Expr, span: Span) -> Result<DataType> {
    let element = match array.data_type() {
        DataType { oid, .. } if oid == DataType::NAME.oid => Some(DataType::CHAR),
        data_type => data_type.element(),
    };
    element.ok_or_else(|| {
        Error::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "cannot subscript type {} because it does not support subscripting",
                array.data_type().without_modifier()
            ),
        )
        .at(span)
    })
}

fn same_length(left: usize, right: usize, span: Span) -> Result<()> {
    if left == right {
        return Ok(());
    }
    Err(Error::syntax("unequal number of entries in row expressions").at(span))
}
