//! sum and avg.
//!
//! Integers and decimals that lie as scaled 64-bit integers are summed in 128 bits, which cannot
//! overflow; general numerics by `Numeric::add`. avg of exact types divides as numeric does.

use std::sync::Arc;

use types::{Data, DataType, Interval, Numeric, Physical, Result, Validity, Value, Vector, VectorBuilder};

use super::{Fold, Groups, Maker, arg};
use crate::context::EvalContext;
use crate::scalar::arithmetic::out_of_range;

/// sum or avg of this argument type; None when there is none.
pub(super) fn maker(name: &str, argument: DataType) -> Option<Maker> {
    Some(match (name, argument.physical) {
        (_, Physical::Int16 | Physical::Int32 | Physical::Int64 | Physical::Numeric) => {
            |types| Ok(Box::new(Exact::new(types.function.name == "avg", types.result)))
        }
        (_, Physical::Float32 | Physical::Float64) => {
            |types| Ok(Box::new(Floats::new(types.function.name == "avg", types.result)))
        }
        (_, Physical::Interval) => |types| Ok(Box::new(Intervals::new(types.function.name == "avg"))),
        _ => return None,
    })
}

#[derive(Clone, Copy, Default)]
struct Slot {
    sum: i128,
    count: i64,
}

/// Exact sums: integers and numerics.
struct Exact {
    average: bool,
    result: DataType,
    slots: Vec<Slot>,
    /// The scale of all the sums; None before the first value.
    scale: Option<u16>,
    /// Once a value did not fit the scheme: the sums so far, `slots` keeping only the counts.
    general: Option<Vec<Numeric>>,
}

impl Exact {
    fn new(average: bool, result: DataType) -> Exact {
        Exact { average, result, slots: Vec::new(), scale: None, general: None }
    }

    /// Turns to general numerics, which keep each value's own display scale.
    fn generalize(&mut self) -> &mut Vec<Numeric> {
        let scale = self.scale.unwrap_or(0);
        let slots = &mut self.slots;
        self.general.get_or_insert_with(|| {
            slots
                .iter()
                .map(|slot| if slot.count == 0 { Numeric::from(0) } else { Numeric::new(slot.sum, scale) })
                .collect()
        })
    }

    fn sum(&self, group: usize) -> Numeric {
        match &self.general {
            Some(sums) => sums[group].clone(),
            None => Numeric::new(self.slots[group].sum, self.scale.unwrap_or(0)),
        }
    }
}

/// Adds `values` to their groups' slots.
#[inline]
fn add_all<T: Copy + Into<i128>>(
    slots: &mut [Slot],
    groups: Groups<'_>,
    values: &[T],
    vector: &Vector,
    len: usize,
) {
    if vector.is_constant() || !vector.validity().is_all() {
        for row in 0..len {
            if vector.is_valid(row) {
                let slot = &mut slots[groups.of(row)];
                slot.sum += values[vector.index(row)].into();
                slot.count += 1;
            }
        }
        return;
    }
    match groups {
        Groups::One => {
            let sum: i128 = values[..len].iter().map(|&value| value.into()).sum();
            slots[0].sum += sum;
            slots[0].count += len as i64;
        }
        Groups::Each(groups) => {
            for (&group, &value) in groups.iter().zip(&values[..len]) {
                let slot = &mut slots[group as usize];
                slot.sum += value.into();
                slot.count += 1;
            }
        }
    }
}

impl Fold for Exact {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups, Slot::default());
        if let Some(sums) = &mut self.general {
            sums.resize(groups, Numeric::from(0));
        }
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        if self.general.is_none() {
            match vector.data() {
                Data::Int16(values) => {
                    self.scale = Some(0);
                    add_all(&mut self.slots, groups, values, vector, len);
                    return Ok(());
                }
                Data::Int32(values) => {
                    self.scale = Some(0);
                    add_all(&mut self.slots, groups, values, vector, len);
                    return Ok(());
                }
                Data::Int64(values) => {
                    self.scale = Some(0);
                    add_all(&mut self.slots, groups, values, vector, len);
                    return Ok(());
                }
                Data::Decimal { scale, values } if self.scale.is_none_or(|own| own == *scale) => {
                    self.scale = Some(*scale);
                    add_all(&mut self.slots, groups, values, vector, len);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.generalize();
        let sums = self.general.get_or_insert_default();
        for row in 0..len {
            if vector.is_valid(row) {
                let group = groups.of(row);
                let value = crate::scalar::args::numeric_at(vector, row);
                sums[group] = sums[group].add(&value)?;
                self.slots[group].count += 1;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let mut builder = VectorBuilder::new(self.result.physical, self.slots.len());
        for group in 0..self.slots.len() {
            let count = self.slots[group].count;
            if count == 0 {
                builder.push_null();
            } else if self.average {
                builder.push(&Value::Numeric(self.sum(group).div(&Numeric::from(count))?));
            } else if self.result.physical == Physical::Int64 {
                let sum = i64::try_from(self.slots[group].sum).map_err(|_| out_of_range("bigint"))?;
                builder.push(&Value::Int64(sum));
            } else {
                builder.push(&Value::Numeric(self.sum(group)));
            }
        }
        Ok(builder.finish())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::INT8, DataType::NUMERIC]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        let counts = self.slots.iter().map(|slot| slot.count).collect();
        let sums = (0..self.slots.len()).map(|group| self.sum(group)).collect();
        Ok(vec![
            Vector::flat(Data::Int64(counts), Validity::all()),
            Vector::flat(Data::Numeric(sums), Validity::all()),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let (counts, sums) = (arg(state, 0)?, arg(state, 1)?);
        for (row, &group) in groups.iter().enumerate() {
            let group = group as usize;
            let count = counts.value(row).as_i64().unwrap_or(0);
            if count == 0 {
                continue;
            }
            let sum = crate::scalar::args::numeric_at(sums, row);
            match &sum {
                Numeric::Small { unscaled, scale }
                    if self.general.is_none() && self.scale.is_none_or(|own| own == *scale) =>
                {
                    self.scale = Some(*scale);
                    match self.slots[group].sum.checked_add(*unscaled) {
                        Some(total) => self.slots[group].sum = total,
                        None => {
                            let sums = self.generalize();
                            sums[group] = sums[group].add(&sum)?;
                        }
                    }
                }
                _ => {
                    let sums = self.generalize();
                    sums[group] = sums[group].add(&sum)?;
                }
            }
            self.slots[group].count += count;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let general = self.general.as_ref().map_or(0, |sums| sums.capacity() * size_of::<Numeric>());
        self.slots.capacity() * size_of::<Slot>() + general
    }
}

/// sum and avg of floats. sum(real) adds in single precision, as PostgreSQL does.
struct Floats {
    average: bool,
    single: bool,
    sums: Vec<f64>,
    counts: Vec<i64>,
}

impl Floats {
    fn new(average: bool, result: DataType) -> Floats {
        let single = result.physical == Physical::Float32;
        Floats { average, single, sums: Vec::new(), counts: Vec::new() }
    }

    fn add(&mut self, group: usize, value: f64, count: i64) -> Result<()> {
        let old = self.sums[group];
        let sum = if self.single { f64::from(old as f32 + value as f32) } else { old + value };
        if sum.is_infinite() && !old.is_infinite() && !value.is_infinite() {
            return Err(types::Error::new(
                types::SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "value out of range: overflow",
            ));
        }
        self.sums[group] = sum;
        self.counts[group] += count;
        Ok(())
    }
}

impl Fold for Floats {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0.0);
        self.counts.resize(groups, 0);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        for row in 0..len {
            if vector.is_valid(row) {
                let index = vector.index(row);
                let value = match vector.data() {
                    Data::Float64(values) => values[index],
                    Data::Float32(values) => f64::from(values[index]),
                    _ => 0.0,
                };
                self.add(groups.of(row), value, 1)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let counts = std::mem::take(&mut self.counts);
        let validity = Validity::from_fn(counts.len(), |group| counts[group] > 0);
        let mut values = std::mem::take(&mut self.sums);
        if self.average {
            values.iter_mut().zip(&counts).filter(|(_, n)| **n > 0).for_each(|(sum, &n)| *sum /= n as f64);
        }
        let data = if self.single {
            Data::Float32(values.into_iter().map(|value| value as f32).collect())
        } else {
            Data::Float64(values)
        };
        Ok(Vector::flat(data, validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::INT8, DataType::FLOAT8]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![
            Vector::flat(Data::Int64(self.counts.clone()), Validity::all()),
            Vector::flat(Data::Float64(self.sums.clone()), Validity::all()),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let (counts, sums) = (arg(state, 0)?, arg(state, 1)?);
        for (row, &group) in groups.iter().enumerate() {
            if let (Value::Int64(count), Value::Float64(sum)) = (counts.value(row), sums.value(row)) {
                self.add(group as usize, sum, count)?;
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.sums.capacity() * 8 + self.counts.capacity() * 8
    }
}

struct Intervals {
    average: bool,
    sums: Vec<Interval>,
    counts: Vec<i64>,
}

impl Intervals {
    fn new(average: bool) -> Intervals {
        Intervals { average, sums: Vec::new(), counts: Vec::new() }
    }

    fn add(&mut self, group: usize, value: Interval, count: i64) -> Result<()> {
        self.sums[group] = types::datetime::interval_plus(self.sums[group], value)?;
        self.counts[group] += count;
        Ok(())
    }
}

impl Fold for Intervals {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, Interval::default());
        self.counts.resize(groups, 0);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        for row in 0..len {
            if let Value::Interval(value) = vector.value(row) {
                self.add(groups.of(row), value, 1)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let counts = std::mem::take(&mut self.counts);
        let validity = Validity::from_fn(counts.len(), |group| counts[group] > 0);
        let mut values = std::mem::take(&mut self.sums);
        if self.average {
            for (sum, &count) in values.iter_mut().zip(&counts).filter(|(_, n)| **n > 0) {
                *sum = types::datetime::interval_divide(*sum, count as f64)?;
            }
        }
        Ok(Vector::flat(Data::Interval(values), validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::INT8, DataType::INTERVAL]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![
            Vector::flat(Data::Int64(self.counts.clone()), Validity::all()),
            Vector::flat(Data::Interval(self.sums.clone()), Validity::all()),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let (counts, sums) = (arg(state, 0)?, arg(state, 1)?);
        for (row, &group) in groups.iter().enumerate() {
            if let (Value::Int64(count), Value::Interval(sum)) = (counts.value(row), sums.value(row)) {
                self.add(group as usize, sum, count)?;
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.sums.capacity() * 16 + self.counts.capacity() * 8
    }
}
