//! Ordered-set aggregates: percentile_cont, percentile_disc, mode.
//!
//! Arguments are the direct ones, then the one of WITHIN GROUP; rows come in its order. The direct
//! argument is the same for all rows of a group, so its first value is taken.

use std::sync::Arc;

use types::{
    ArrayValue, DataType, Error, Interval, Physical, Result, SqlState, Value, Vector, VectorBuilder,
};

use super::{Fold, Groups, Maker, arg};
use crate::context::EvalContext;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Continuous,
    Discrete,
    Mode,
}

/// The ordered-set aggregate of this name.
pub(super) fn maker(name: &str) -> Option<Maker> {
    Some(match name {
        "percentile_cont" => |types| Ok(Box::new(Ordered::new(Kind::Continuous, types.result))),
        "percentile_disc" => |types| Ok(Box::new(Ordered::new(Kind::Discrete, types.result))),
        "mode" => |types| Ok(Box::new(Ordered::new(Kind::Mode, types.result))),
        _ => return None,
    })
}

#[derive(Clone, Default)]
struct State {
    fraction: Value,
    /// Without NULLs, in order.
    values: Vec<Value>,
}

struct Ordered {
    kind: Kind,
    result: DataType,
    states: Vec<State>,
    bytes: usize,
}

impl Ordered {
    fn new(kind: Kind, result: DataType) -> Ordered {
        Ordered { kind, result, states: Vec::new(), bytes: 0 }
    }

    fn result_of(&self, state: &State) -> Result<Value> {
        if self.kind == Kind::Mode {
            return Ok(mode(&state.values));
        }
        match &state.fraction {
            Value::Null => Ok(Value::Null),
            Value::Float64(fraction) => self.percentile(*fraction, &state.values),
            Value::Array(fractions) => {
                if state.values.is_empty() {
                    return Ok(Value::Null);
                }
                let mut elements = Vec::with_capacity(fractions.elements.len());
                for fraction in &fractions.elements {
                    elements.push(match fraction {
                        Value::Float64(fraction) => self.percentile(*fraction, &state.values)?,
                        _ => Value::Null,
                    });
                }
                let element = self.result.element().unwrap_or(DataType::FLOAT8);
                let dimensions = fractions.dimensions.clone();
                Ok(Value::Array(Arc::new(ArrayValue { element, dimensions, elements })))
            }
            other => Err(Error::internal(format!("{other:?} as a percentile"))),
        }
    }

    /// 22003 for a fraction outside 0 … 1.
    fn percentile(&self, fraction: f64, values: &[Value]) -> Result<Value> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("percentile value {fraction} is not between 0 and 1"),
            ));
        }
        if values.is_empty() {
            return Ok(Value::Null);
        }
        if self.kind == Kind::Discrete {
            let row = (fraction * values.len() as f64).ceil().max(1.0) as usize;
            return Ok(values.get(row - 1).cloned().unwrap_or(Value::Null));
        }
        let position = fraction * (values.len() - 1) as f64;
        let low = values.get(position.floor() as usize).cloned().unwrap_or(Value::Null);
        let high = values.get(position.ceil() as usize).cloned().unwrap_or(Value::Null);
        let part = position - position.floor();
        match (&low, &high) {
            _ if part == 0.0 => Ok(low),
            (Value::Float64(low), Value::Float64(high)) => Ok(Value::Float64(low + part * (high - low))),
            (Value::Interval(low), Value::Interval(high)) => Ok(Value::Interval(between(*low, *high, part)?)),
            _ => Ok(low),
        }
    }
}

fn between(low: Interval, high: Interval, part: f64) -> Result<Interval> {
    use types::datetime::{interval_minus, interval_multiply, interval_plus};
    interval_plus(interval_multiply(interval_minus(high, low)?, part)?, low)
}

/// The most frequent value, the first in order among equals.
fn mode(values: &[Value]) -> Value {
    let mut best: Option<(usize, &Value)> = None;
    let mut run = 0;
    for (index, value) in values.iter().enumerate() {
        let again = index > 0 && values.get(index - 1) == Some(value);
        run = if again { run + 1 } else { 1 };
        if best.is_none_or(|(count, _)| run > count) {
            best = Some((run, value));
        }
    }
    best.map_or(Value::Null, |(_, value)| value.clone())
}

impl Fold for Ordered {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, State::default());
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, args.len().saturating_sub(1))?;
        let fractions = if self.kind == Kind::Mode { None } else { Some(arg(args, 0)?) };
        for row in 0..len {
            let state = &mut self.states[groups.of(row)];
            if let Some(fractions) = fractions
                && state.values.is_empty()
            {
                state.fraction = fractions.value(row);
            }
            if vector.is_valid(row) {
                let value = vector.value(row);
                self.bytes += size_of::<Value>() + value.as_str().map_or(0, str::len);
                state.values.push(value);
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let mut builder = VectorBuilder::new(self.result.physical, self.states.len());
        for state in &self.states {
            builder.push(&self.result_of(state)?);
        }
        Ok(builder.finish())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::RECORD, DataType::RECORD]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        let mut fractions = VectorBuilder::new(Physical::Composed, self.states.len());
        let mut values = VectorBuilder::new(Physical::Composed, self.states.len());
        for state in &self.states {
            fractions.push(&Value::Record(Arc::from([state.fraction.clone()])));
            values.push(&Value::Record(state.values.clone().into()));
        }
        Ok(vec![fractions.finish(), values.finish()])
    }

    /// A state can only be restored: the order of several cannot be joined here.
    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let (fractions, values) = (arg(state, 0)?, arg(state, 1)?);
        for (row, &group) in groups.iter().enumerate() {
            let Value::Record(values) = values.value(row) else { continue };
            if values.is_empty() {
                continue;
            }
            let own = &mut self.states[group as usize];
            if !own.values.is_empty() {
                return Err(Error::not_supported("merging the rows of an ordered-set aggregate"));
            }
            if let Value::Record(fraction) = fractions.value(row) {
                own.fraction = fraction.first().cloned().unwrap_or(Value::Null);
            }
            own.values = values.to_vec();
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * size_of::<State>() + self.bytes
    }
}
