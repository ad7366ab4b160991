//! min and max of every ordered type.

use std::sync::Arc;

use types::value::compare_floats;
use types::{Data, DataType, Physical, Result, Validity, Value, Vector, VectorBuilder};

use super::{Accumulator, Fold, Groups, arg};
use crate::context::EvalContext;
use crate::function::AggregateTypes;
use crate::scalar::args::Native;

pub(super) fn make(types: &AggregateTypes<'_>, greatest: bool) -> Result<Box<dyn Accumulator>> {
    let data_type = types.result;
    Ok(match data_type.physical {
        Physical::Int16 => Box::new(Plain::<i16>::new(greatest, data_type)),
        Physical::Int32 => Box::new(Plain::<i32>::new(greatest, data_type)),
        Physical::Int64 => Box::new(Plain::<i64>::new(greatest, data_type)),
        Physical::UInt32 => Box::new(Plain::<u32>::new(greatest, data_type)),
        Physical::Float32 => Box::new(Plain::<f32>::new(greatest, data_type)),
        Physical::Float64 => Box::new(Plain::<f64>::new(greatest, data_type)),
        Physical::Text | Physical::Bytea => Box::new(Strings { best: Vec::new(), greatest, data_type }),
        _ => Box::new(Values { best: Vec::new(), greatest, data_type }),
    })
}

/// A plainly stored type with an order.
trait Ordered: Copy + Default + Send + Native {
    fn stored(data: &Data) -> Option<&[Self]>;
    fn less(a: Self, b: Self) -> bool;
}

macro_rules! ordered {
    ($($type:ty, $variant:ident, $less:expr;)*) => {$(
        impl Ordered for $type {
            fn stored(data: &Data) -> Option<&[Self]> {
                match data {
                    Data::$variant(values) => Some(values),
                    _ => None,
                }
            }
            #[inline(always)]
            fn less(a: Self, b: Self) -> bool {
                $less(a, b)
            }
        }
    )*};
}

ordered! {
    i16, Int16, |a, b| a < b;
    i32, Int32, |a, b| a < b;
    i64, Int64, |a, b| a < b;
    u32, UInt32, |a, b| a < b;
    f32, Float32, |a, b| compare_floats(f64::from(a), f64::from(b)).is_lt();
    f64, Float64, |a, b| compare_floats(a, b).is_lt();
}

struct Plain<T> {
    best: Vec<T>,
    seen: Vec<bool>,
    greatest: bool,
    data_type: DataType,
}

impl<T: Ordered> Plain<T> {
    fn new(greatest: bool, data_type: DataType) -> Plain<T> {
        Plain { best: Vec::new(), seen: Vec::new(), greatest, data_type }
    }
}

impl<T: Ordered> Fold for Plain<T> {
    fn resize(&mut self, groups: usize) {
        self.best.resize(groups, T::default());
        self.seen.resize(groups, false);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        let Some(values) = T::stored(vector.data()) else {
            return Err(types::Error::internal("min or max of another form than promised"));
        };
        for row in 0..len {
            if !vector.is_valid(row) {
                continue;
            }
            let (group, value) = (groups.of(row), values[vector.index(row)]);
            let better = if self.greatest {
                T::less(self.best[group], value)
            } else {
                T::less(value, self.best[group])
            };
            if better || !self.seen[group] {
                self.best[group] = value;
                self.seen[group] = true;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let seen = std::mem::take(&mut self.seen);
        let validity = Validity::from_fn(seen.len(), |group| seen[group]);
        Ok(Vector::flat(T::data(std::mem::take(&mut self.best)), validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        let validity = Validity::from_fn(self.seen.len(), |group| self.seen[group]);
        Ok(vec![Vector::flat(T::data(self.best.clone()), validity)])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        self.fold(Groups::Each(groups), state, groups.len(), &EvalContext::default())
    }

    fn size_bytes(&self) -> usize {
        self.best.capacity() * size_of::<T>() + self.seen.capacity()
    }
}

struct Strings {
    best: Vec<Option<Box<[u8]>>>,
    greatest: bool,
    data_type: DataType,
}

impl Strings {
    fn vector(&self) -> Vector {
        let strings = self.best.iter().map(|best| best.as_deref().unwrap_or_default()).collect();
        let validity = Validity::from_fn(self.best.len(), |group| self.best[group].is_some());
        let bytea = self.data_type.physical == Physical::Bytea;
        Vector::flat(if bytea { Data::Bytea(strings) } else { Data::Text(strings) }, validity)
    }
}

impl Fold for Strings {
    fn resize(&mut self, groups: usize) {
        self.best.resize(groups, None);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        let (strings, _) = crate::scalar::args::strings(vector)?;
        for row in (0..len).filter(|&row| vector.is_valid(row)) {
            let value = strings.get(vector.index(row));
            let best = &mut self.best[groups.of(row)];
            let better =
                best.as_deref().is_none_or(|best| if self.greatest { value > best } else { value < best });
            if better {
                *best = Some(value.into());
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        Ok(self.vector())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![self.vector()])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        self.fold(Groups::Each(groups), state, groups.len(), &EvalContext::default())
    }

    fn size_bytes(&self) -> usize {
        let bytes: usize = self.best.iter().flatten().map(|best| best.len()).sum();
        self.best.capacity() * 16 + bytes
    }
}

/// Every other ordered type, by `Value`'s order.
struct Values {
    best: Vec<Value>,
    greatest: bool,
    data_type: DataType,
}

impl Values {
    fn vector(&self) -> Vector {
        let mut builder = VectorBuilder::new(self.data_type.physical, self.best.len());
        self.best.iter().for_each(|best| builder.push(best));
        builder.finish()
    }
}

impl Fold for Values {
    fn resize(&mut self, groups: usize) {
        self.best.resize(groups, Value::Null);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        for row in (0..len).filter(|&row| vector.is_valid(row)) {
            let value = vector.value(row);
            let best = &mut self.best[groups.of(row)];
            if best.is_null() || if self.greatest { value > *best } else { value < *best } {
                *best = value;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        Ok(self.vector())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![self.vector()])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        self.fold(Groups::Each(groups), state, groups.len(), &EvalContext::default())
    }

    fn size_bytes(&self) -> usize {
        self.best.capacity() * size_of::<Value>()
    }
}
