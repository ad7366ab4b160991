//! Set-returning functions: generate_series, unnest and their kin.

use std::sync::Arc;

use types::{
    Data, DataType, Error, Interval, Numeric, Physical, Result, SqlState, Validity, Value, Vector,
    VectorBuilder,
};

use crate::context::EvalContext;
use crate::expr::{Expr, Location};
use crate::function::{Args, Function, Implementation, TableKernel};

/// A call of a set-returning function as the binder resolved it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFunctionCall {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    /// Its output columns: names and types.
    pub columns: Vec<(String, DataType)>,
    pub location: Location,
}

/// The rows of one call, taken a piece at a time: a series is never in memory as a whole.
pub enum TableRows {
    /// All rows, and how many have been taken.
    Whole {
        columns: Vec<Arc<Vector>>,
        taken: usize,
    },
    /// `next` is none when the series has ended.
    Integers {
        next: Option<i64>,
        stop: i64,
        step: i64,
        narrow: bool,
    },
    Numerics {
        next: Numeric,
        stop: Numeric,
        step: Numeric,
        ascending: bool,
    },
    Timestamps {
        next: i64,
        stop: i64,
        step: Interval,
        ascending: bool,
        zoned: bool,
    },
}

impl TableRows {
    pub(crate) fn whole(columns: Vec<Arc<Vector>>) -> TableRows {
        TableRows::Whole { columns, taken: 0 }
    }

    /// Up to `most` more rows, as columns of equal length. Fewer means that there are no more.
    ///
    /// 22008, 22003 where the next value is out of range.
    pub fn next(&mut self, most: usize, cx: &EvalContext<'_>) -> Result<Vec<Arc<Vector>>> {
        let data = match self {
            TableRows::Whole { columns, taken } => {
                let len = columns.first().map_or(0, |column| column.len());
                let (start, end) = (*taken, len.min(taken.saturating_add(most)));
                *taken = end;
                if (start, end) == (0, len) {
                    return Ok(columns.clone());
                }
                return Ok(columns.iter().map(|column| Arc::new(column.slice(start, end))).collect());
            }
            TableRows::Integers { next, stop, step, narrow } => {
                let mut values = Vec::new();
                let inside = |value: &i64| if *step > 0 { *value <= *stop } else { *value >= *stop };
                while let Some(value) = next.filter(inside)
                    && values.len() < most
                {
                    values.push(value);
                    *next = value.checked_add(*step);
                }
                if *narrow {
                    Data::Int32(values.into_iter().map(|value| value as i32).collect())
                } else {
                    Data::Int64(values)
                }
            }
            TableRows::Numerics { next, stop, step, ascending } => {
                let mut values = Vec::new();
                while values.len() < most && if *ascending { *next <= *stop } else { *next >= *stop } {
                    let after = next.add(step)?;
                    values.push(std::mem::replace(next, after));
                }
                Data::Numeric(values)
            }
            TableRows::Timestamps { next, stop, step, ascending, zoned } => {
                let mut values = Vec::new();
                while values.len() < most && if *ascending { *next <= *stop } else { *next >= *stop } {
                    values.push(*next);
                    *next = if *zoned {
                        types::datetime::timestamptz_plus_interval(*next, *step, &cx.text.time_zone)?
                    } else {
                        types::datetime::timestamp_plus_interval(*next, *step)?
                    };
                }
                Data::Int64(values)
            }
        };
        Ok(vec![Arc::new(Vector::flat(data, Validity::all()))])
    }
}

/// The kernel of a set-returning function, by `prosrc`.
pub(crate) fn kernel(source: &str) -> Option<TableKernel> {
    Some(match source {
        "generate_series_int4"
        | "generate_series_step_int4"
        | "generate_series_int8"
        | "generate_series_step_int8" => integer_series,
        "generate_series_numeric" | "generate_series_step_numeric" => numeric_series,
        "generate_series_timestamp" | "generate_series_timestamptz" => timestamp_series,
        "generate_subscripts" | "generate_subscripts_nodir" => |args| subscripts(args).map(TableRows::whole),
        "array_unnest" => |args| unnest(args).map(TableRows::whole),
        "regexp_matches" | "regexp_matches_no_flags" => {
            |args| crate::scalar::regex::all_matches(args).map(TableRows::whole)
        }
        "regexp_split_to_table" | "regexp_split_to_table_no_flags" => {
            |args| crate::scalar::regex::split_to_table(args).map(TableRows::whole)
        }
        "text_to_table" | "text_to_table_null" => |args| split_text(args).map(TableRows::whole),
        // Nothing is partitioned, and for what is not PostgreSQL gives no rows either.
        "pg_partition_ancestors" => |args| no_rows(args).map(TableRows::whole),
        "pg_listening_channels" => |args| listening_channels(args).map(TableRows::whole),
        "pg_options_to_table" => |args| options(args).map(TableRows::whole),
        _ => return crate::scalar::json::table_kernel(source),
    })
}

fn zero_step() -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

fn integer_series(args: &Args<'_>) -> Result<TableRows> {
    let step = if args.count() > 2 { args.int(2, 0) } else { 1 };
    if step == 0 {
        return Err(zero_step());
    }
    let narrow = args.result.physical == Physical::Int32;
    Ok(TableRows::Integers { next: Some(args.int(0, 0)), stop: args.int(1, 0), step, narrow })
}

fn numeric_series(args: &Args<'_>) -> Result<TableRows> {
    let (start, stop) = (args.numeric(0, 0), args.numeric(1, 0));
    let step = if args.count() > 2 { args.numeric(2, 0) } else { Numeric::from(1) };
    for (name, value) in [("start value", &start), ("stop value", &stop), ("step size", &step)] {
        if !value.is_finite() {
            let what = if value.is_nan() { "NaN" } else { "infinity" };
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("{name} cannot be {what}")));
        }
    }
    let Some(direction) = step.signum().filter(|&sign| sign != 0) else { return Err(zero_step()) };
    Ok(TableRows::Numerics { next: start, stop, step, ascending: direction > 0 })
}

fn timestamp_series(args: &Args<'_>) -> Result<TableRows> {
    let step = args.interval(2, 0);
    let direction = step.span_micros().signum();
    if direction == 0 {
        return Err(zero_step());
    }
    let zoned = args.function.source == "generate_series_timestamptz";
    let (next, stop) = (args.int(0, 0), args.int(1, 0));
    Ok(TableRows::Timestamps { next, stop, step, ascending: direction > 0, zoned })
}

fn subscripts(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let mut values = Vec::new();
    if let Value::Array(array) = args.value(0, 0)
        && let Ok(index) = usize::try_from(args.int(1, 0) - 1)
        && let Some(dimension) = array.dimensions.get(index)
    {
        values.extend((0..dimension.length).map(|offset| dimension.lower_bound + offset));
        if args.count() > 2 && args.bool(2, 0) {
            values.reverse();
        }
    }
    Ok(vec![Arc::new(Vector::flat(Data::Int32(values), Validity::all()))])
}

fn unnest(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let mut builder = VectorBuilder::new(args.result.physical, 0);
    if let Value::Array(array) = args.value(0, 0) {
        array.elements.iter().for_each(|element| builder.push(element));
    }
    Ok(vec![Arc::new(builder.finish())])
}

/// string_to_table.
fn split_text(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let mut builder = VectorBuilder::new(Physical::Text, 0);
    if !args.is_null(0, 0) {
        let delimiter = (!args.is_null(1, 0)).then(|| args.str(1, 0));
        let null = (args.count() > 2 && !args.is_null(2, 0)).then(|| args.str(2, 0));
        let parts = crate::scalar::array::split(args.str(0, 0), delimiter, null);
        parts.iter().for_each(|part| builder.push(part));
    }
    Ok(vec![Arc::new(builder.finish())])
}

/// The host's answer is an array.
fn listening_channels(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let channels = args.cx.host.call("pg_listening_channels", &[])?;
    let channels = match &channels {
        Value::Array(array) => array.elements.as_slice(),
        _ => &[],
    };
    let mut rows = VectorBuilder::new(args.result.physical, channels.len());
    channels.iter().for_each(|channel| rows.push(channel));
    Ok(vec![Arc::new(rows.finish())])
}

/// `name=value` → its two halves; the value is NULL without `=`.
fn options(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let (mut names, mut values) =
        (VectorBuilder::new(Physical::Text, 0), VectorBuilder::new(Physical::Text, 0));
    if let Value::Array(array) = args.value(0, 0) {
        for option in array.elements.iter().filter_map(Value::as_str) {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Value::text(value)),
                None => (option, Value::Null),
            };
            names.push(&Value::text(name));
            values.push(&value);
        }
    }
    Ok(vec![Arc::new(names.finish()), Arc::new(values.finish())])
}

fn no_rows(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    Ok(vec![Arc::new(VectorBuilder::new(args.result.physical, 0).finish())])
}

impl TableFunctionCall {
    /// The rows for one row of arguments (each vector holds one value).
    ///
    /// A function that returns no set gives one row. 0A000 for a function we do not have.
    pub fn start(&self, args: &[Arc<Vector>], cx: &EvalContext<'_>) -> Result<TableRows> {
        let function = self.function;
        let types: Vec<DataType> = self.args.iter().map(Expr::data_type).collect();
        let result = match self.columns.as_slice() {
            [(_, data_type)] => *data_type,
            _ => DataType::RECORD,
        };
        let call = Args { vectors: args, types: &types, result, len: 1, cx, function };
        let unknown = function.strict && args.iter().any(|arg| arg.is_empty() || arg.is_null(0));
        match &function.implementation {
            Implementation::Table(_) if unknown => {
                let empty =
                    |(_, t): &(String, DataType)| Arc::new(VectorBuilder::new(t.physical, 0).finish());
                Ok(TableRows::whole(self.columns.iter().map(empty).collect()))
            }
            Implementation::Table(kernel) => kernel(&call),
            Implementation::Scalar(_) if unknown => {
                Ok(TableRows::whole(vec![Arc::new(Vector::nulls(result.physical, 1))]))
            }
            Implementation::Scalar(kernel) => Ok(TableRows::whole(vec![Arc::new(kernel(&call)?)])),
            _ => {
                function.check_implemented()?;
                Err(Error::not_supported(format!("function {} in FROM", function.signature())))
            }
        }
    }

    /// A call as [`crate::Coercer::function`] resolved it: one column named like the function.
    pub fn new(call: crate::coerce::ResolvedCall, location: Location) -> TableFunctionCall {
        let columns = vec![(call.function.name.to_string(), call.data_type)];
        TableFunctionCall { function: call.function, args: call.args, columns, location }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::Coercer;
    use types::Span;

    fn series(name: &str, args: Vec<Expr>) -> Result<Vec<Value>> {
        let cx = EvalContext::default();
        let call = Coercer::new(&cx, Vec::new()).function(name, args, false, Span::default())?;
        let call = TableFunctionCall::new(call, Location(None));
        let args: Vec<Arc<Vector>> = call
            .args
            .iter()
            .map(|arg| crate::eval::eval(arg, &types::Batch::new(Vec::new(), 1), &cx))
            .collect::<Result<_>>()?;
        let mut rows = call.start(&args, &cx)?;
        let mut values = Vec::new();
        loop {
            let column = Arc::clone(&rows.next(2, &cx)?[0]);
            values.extend((0..column.len()).map(|row| column.value(row)));
            if column.len() < 2 {
                return Ok(values);
            }
        }
    }

    fn int(value: i32) -> Expr {
        Expr::literal(Value::Int32(value), DataType::INT4)
    }

    #[test]
    fn integer_series_stop_at_the_type_end() {
        assert_eq!(series("generate_series", vec![int(1), int(3)]).unwrap(), [1, 2, 3].map(Value::Int32));
        assert_eq!(
            series("generate_series", vec![int(5), int(1), int(-2)]).unwrap(),
            [5, 3, 1].map(Value::Int32)
        );
        let end = series("generate_series", vec![int(i32::MAX - 1), int(i32::MAX), int(5)]).unwrap();
        assert_eq!(end, [Value::Int32(i32::MAX - 1)]);
        let error = series("generate_series", vec![int(1), int(2), int(0)]).unwrap_err();
        assert_eq!(error.code(), SqlState::INVALID_PARAMETER_VALUE);
        assert!(series("generate_series", vec![int(1), Expr::null(DataType::INT4)]).unwrap().is_empty());
    }
}
