//! variance, stddev and the two-variable statistics.
//!
//! Exact types keep Σx and Σx² as numerics; floats follow Youngs and Cramer, as PostgreSQL does.

use std::sync::Arc;

use types::{Data, DataType, Numeric, Physical, Result, Validity, Value, Vector, VectorBuilder};

use super::{Fold, Groups, Maker, arg};
use crate::context::EvalContext;

/// variance, stddev and their _samp and _pop forms; None for types without them.
pub(super) fn variance(name: &str, argument: DataType) -> Option<Maker> {
    let _ = name;
    Some(match argument.physical {
        Physical::Float32 | Physical::Float64 => {
            |types| Ok(Box::new(FloatVariance::new(types.function.name)))
        }
        Physical::Int16 | Physical::Int32 | Physical::Int64 | Physical::Numeric => {
            |types| Ok(Box::new(ExactVariance::new(types.function.name)))
        }
        _ => return None,
    })
}

#[derive(Clone, Copy)]
struct Kind {
    population: bool,
    root: bool,
}

impl Kind {
    fn of(name: &str) -> Kind {
        Kind { population: name.ends_with("_pop"), root: name.starts_with("stddev") }
    }
}

struct ExactVariance {
    kind: Kind,
    counts: Vec<i64>,
    sums: Vec<Numeric>,
    squares: Vec<Numeric>,
}

impl ExactVariance {
    fn new(name: &str) -> ExactVariance {
        ExactVariance { kind: Kind::of(name), counts: Vec::new(), sums: Vec::new(), squares: Vec::new() }
    }

    fn result(&self, group: usize) -> Result<Value> {
        let count = self.counts[group];
        if count < if self.kind.population { 1 } else { 2 } {
            return Ok(Value::Null);
        }
        let (sum, squares) = (&self.sums[group], &self.squares[group]);
        if !sum.is_finite() || !squares.is_finite() {
            return Ok(Value::Numeric(Numeric::NaN));
        }
        let n = Numeric::from(count);
        let spread = n.mul(squares)?.sub(&sum.mul(sum)?)?;
        if spread.signum().is_none_or(|sign| sign <= 0) {
            return Ok(Value::Numeric(Numeric::from(0)));
        }
        let other = if self.kind.population { n.clone() } else { Numeric::from(count - 1) };
        let variance = spread.div(&n.mul(&other)?)?;
        if !self.kind.root {
            return Ok(Value::Numeric(variance));
        }
        let digits = i32::from(variance.scale());
        Ok(Value::Numeric(variance.sqrt()?.round(digits)))
    }
}

impl Fold for ExactVariance {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, Numeric::from(0));
        self.squares.resize(groups, Numeric::from(0));
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
            let value = match vector.data() {
                Data::Decimal { .. } | Data::Numeric(_) => crate::scalar::args::numeric_at(vector, row),
                _ => Numeric::from(vector.value(row).as_i64().unwrap_or(0)),
            };
            let group = groups.of(row);
            self.counts[group] += 1;
            self.squares[group] = self.squares[group].add(&value.mul(&value)?)?;
            self.sums[group] = self.sums[group].add(&value)?;
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let mut builder = VectorBuilder::new(Physical::Numeric, self.counts.len());
        for group in 0..self.counts.len() {
            builder.push(&self.result(group)?);
        }
        Ok(builder.finish())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::INT8, DataType::NUMERIC, DataType::NUMERIC]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![
            Vector::flat(Data::Int64(self.counts.clone()), Validity::all()),
            Vector::flat(Data::Numeric(self.sums.clone()), Validity::all()),
            Vector::flat(Data::Numeric(self.squares.clone()), Validity::all()),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let (counts, sums, squares) = (arg(state, 0)?, arg(state, 1)?, arg(state, 2)?);
        for (row, &group) in groups.iter().enumerate() {
            let group = group as usize;
            self.counts[group] += counts.value(row).as_i64().unwrap_or(0);
            self.sums[group] = self.sums[group].add(&crate::scalar::args::numeric_at(sums, row))?;
            self.squares[group] = self.squares[group].add(&crate::scalar::args::numeric_at(squares, row))?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.counts.capacity() * (8 + 2 * size_of::<Numeric>())
    }
}

/// N, Σx and Σ(x−x̄)², updated as in PostgreSQL's `float8_accum`.
#[derive(Clone, Copy, Default)]
struct Moments {
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
}

impl Moments {
    fn add(&mut self, x: f64, y: f64) {
        self.n += 1.0;
        self.sx += x;
        self.sy += y;
        if self.n > 1.0 {
            let scale = 1.0 / (self.n * (self.n - 1.0));
            let (tx, ty) = (x * self.n - self.sx, y * self.n - self.sy);
            self.sxx += tx * tx * scale;
            self.syy += ty * ty * scale;
            self.sxy += tx * ty * scale;
        } else {
            if !x.is_finite() {
                self.sxx = f64::NAN;
                self.sxy = f64::NAN;
            }
            if !y.is_finite() {
                self.syy = f64::NAN;
                self.sxy = f64::NAN;
            }
        }
    }

    fn join(self, other: Moments) -> Moments {
        if self.n == 0.0 {
            return other;
        }
        if other.n == 0.0 {
            return self;
        }
        let n = self.n + other.n;
        let (tx, ty) = (self.sx / self.n - other.sx / other.n, self.sy / self.n - other.sy / other.n);
        let weight = self.n * other.n / n;
        Moments {
            n,
            sx: self.sx + other.sx,
            sy: self.sy + other.sy,
            sxx: self.sxx + other.sxx + weight * tx * tx,
            syy: self.syy + other.syy + weight * ty * ty,
            sxy: self.sxy + other.sxy + weight * tx * ty,
        }
    }

    fn fields(self) -> [f64; 6] {
        [self.n, self.sx, self.sxx, self.sy, self.syy, self.sxy]
    }
}

fn export_moments(states: &[Moments]) -> Vec<Vector> {
    (0..6)
        .map(|field| {
            let values = states.iter().map(|state| state.fields()[field]).collect();
            Vector::flat(Data::Float64(values), Validity::all())
        })
        .collect()
}

fn merge_moments(states: &mut [Moments], groups: &[u32], columns: &[Arc<Vector>]) -> Result<()> {
    for (row, &group) in groups.iter().enumerate() {
        let mut fields = [0.0; 6];
        for (position, field) in fields.iter_mut().enumerate() {
            if let Value::Float64(value) = arg(columns, position)?.value(row) {
                *field = value;
            }
        }
        let [n, sx, sxx, sy, syy, sxy] = fields;
        let state = &mut states[group as usize];
        *state = state.join(Moments { n, sx, sxx, sy, syy, sxy });
    }
    Ok(())
}

fn float_at(vector: &Vector, row: usize) -> f64 {
    match vector.value(row) {
        Value::Float64(value) => value,
        Value::Float32(value) => f64::from(value),
        _ => 0.0,
    }
}

struct FloatVariance {
    kind: Kind,
    states: Vec<Moments>,
}

impl FloatVariance {
    fn new(name: &str) -> FloatVariance {
        FloatVariance { kind: Kind::of(name), states: Vec::new() }
    }
}

impl Fold for FloatVariance {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, Moments::default());
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
            self.states[groups.of(row)].add(float_at(vector, row), 0.0);
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let mut builder = VectorBuilder::new(Physical::Float64, self.states.len());
        for state in &self.states {
            let divisor = if self.kind.population { state.n } else { state.n - 1.0 };
            if state.n == 0.0 || divisor <= 0.0 {
                builder.push_null();
                continue;
            }
            let variance = state.sxx / divisor;
            builder.push(&Value::Float64(if self.kind.root { variance.sqrt() } else { variance }));
        }
        Ok(builder.finish())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::FLOAT8; 6]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(export_moments(&self.states))
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        merge_moments(&mut self.states, groups, state)
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * size_of::<Moments>()
    }
}

/// corr(y, x), covar_…(y, x), regr_…(y, x): rows where both are present.
pub(crate) struct Regression {
    name: &'static str,
    states: Vec<Moments>,
}

impl Regression {
    pub fn new(name: &'static str) -> Regression {
        Regression { name, states: Vec::new() }
    }

    fn result(&self, m: Moments) -> Option<f64> {
        let some = m.n >= 1.0;
        match self.name {
            "covar_pop" => some.then(|| m.sxy / m.n),
            "covar_samp" => (m.n >= 2.0).then(|| m.sxy / (m.n - 1.0)),
            "corr" => (some && m.sxx != 0.0 && m.syy != 0.0).then(|| m.sxy / (m.sxx * m.syy).sqrt()),
            "regr_avgx" => some.then(|| m.sx / m.n),
            "regr_avgy" => some.then(|| m.sy / m.n),
            "regr_sxx" => some.then_some(m.sxx),
            "regr_syy" => some.then_some(m.syy),
            "regr_sxy" => some.then_some(m.sxy),
            "regr_slope" => (some && m.sxx != 0.0).then(|| m.sxy / m.sxx),
            "regr_intercept" => (some && m.sxx != 0.0).then(|| (m.sy - m.sx * m.sxy / m.sxx) / m.n),
            "regr_r2" => {
                if !some || m.sxx == 0.0 {
                    None
                } else if m.syy == 0.0 {
                    Some(1.0)
                } else {
                    Some(m.sxy * m.sxy / (m.sxx * m.syy))
                }
            }
            _ => None,
        }
    }
}

impl Fold for Regression {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, Moments::default());
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let (ys, xs) = (arg(args, 0)?, arg(args, 1)?);
        for row in (0..len).filter(|&row| ys.is_valid(row) && xs.is_valid(row)) {
            self.states[groups.of(row)].add(float_at(xs, row), float_at(ys, row));
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        if self.name == "regr_count" {
            let counts = self.states.iter().map(|state| state.n as i64).collect();
            return Ok(Vector::flat(Data::Int64(counts), Validity::all()));
        }
        let mut builder = VectorBuilder::new(Physical::Float64, self.states.len());
        for state in &self.states {
            builder.push(&self.result(*state).map_or(Value::Null, Value::Float64));
        }
        Ok(builder.finish())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::FLOAT8; 6]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(export_moments(&self.states))
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        merge_moments(&mut self.states, groups, state)
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * size_of::<Moments>()
    }
}
