//! One typed column of a batch: contiguous values and a validity mask.
//!
//! Flat or constant. A constant vector stores one value for any length, so that literals and
//! parameters cost nothing and kernels can take them as scalars. Kernels match on [`Data`];
//! corners go through [`Vector::value`].

use std::sync::Arc;

use crate::datatype::{DataType, Physical};
use crate::datetime::Interval;
use crate::numeric::Numeric;
use crate::value::Value;

/// A column of `len()` values. Where the mask says NULL, the stored value is arbitrary but present.
#[derive(Debug, Clone)]
pub struct Vector {
    data: Data,
    validity: Validity,
    len: usize,
    constant: bool,
}

/// The values. `Decimal` and `Numeric` are both forms of [`Physical::Numeric`]: kernels must take either.
#[derive(Debug, Clone)]
pub enum Data {
    Bool(Vec<bool>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt32(Vec<u32>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    /// Decimals that share one display scale and fit 18 digits: `values[i] / 10^scale`.
    Decimal {
        scale: u16,
        values: Vec<i64>,
    },
    Numeric(Vec<Numeric>),
    Interval(Vec<Interval>),
    Text(Strings),
    Bytea(Strings),
    Uuid(Vec<u128>),
    /// The bytes of [`crate::json::binary`]; where NULL stands, none.
    Jsonb(Strings),
    Composed(Vec<Value>),
}

/// Byte strings one after another: value `i` is `bytes[ends[i-1]..ends[i]]`.
#[derive(Debug, Clone, Default)]
pub struct Strings {
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

/// Which values are present. Without a mask all are.
#[derive(Debug, Clone, Default)]
pub struct Validity {
    /// Bit `i % 64` of word `i / 64` is set when value `i` is not NULL.
    words: Option<Vec<u64>>,
}

impl Strings {
    pub fn with_capacity(values: usize, bytes: usize) -> Strings {
        Strings { ends: Vec::with_capacity(values), bytes: Vec::with_capacity(bytes) }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    /// Appends all values of `other`.
    pub fn append(&mut self, other: &Strings) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| base + end));
    }

    /// Ends the value whose bytes were appended to [`Strings::open`].
    #[inline]
    pub fn close(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// The buffer to append one value's bytes to, before [`Strings::close`].
    #[inline]
    pub fn open(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// Value `index` as text; text vectors hold UTF-8.
    pub fn str(&self, index: usize) -> &str {
        std::str::from_utf8(self.get(index)).unwrap_or("\u{fffd}")
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// All bytes of all values.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Strings {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Strings {
        let mut strings = Strings::default();
        for value in values {
            strings.push(value.as_ref());
        }
        strings
    }
}

impl Validity {
    /// No NULLs.
    pub fn all() -> Validity {
        Validity { words: None }
    }

    pub fn none(len: usize) -> Validity {
        Validity { words: Some(vec![0; len.div_ceil(64)]) }
    }

    pub fn from_fn(len: usize, mut valid: impl FnMut(usize) -> bool) -> Validity {
        let mut words = vec![0u64; len.div_ceil(64)];
        let mut any_null = false;
        for index in 0..len {
            if valid(index) {
                words[index / 64] |= 1 << (index % 64);
            } else {
                any_null = true;
            }
        }
        if any_null { Validity { words: Some(words) } } else { Validity::all() }
    }

    /// True when there is certainly no NULL.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.words.is_none()
    }

    #[inline]
    pub fn is_valid(&self, index: usize) -> bool {
        match &self.words {
            None => true,
            Some(words) => words[index / 64] >> (index % 64) & 1 == 1,
        }
    }

    /// Marks value `index` of `len` NULL.
    pub fn set_null(&mut self, index: usize, len: usize) {
        let words = self.words.get_or_insert_with(|| vec![u64::MAX; len.div_ceil(64)]);
        if words.len() < len.div_ceil(64) {
            words.resize(len.div_ceil(64), u64::MAX);
        }
        words[index / 64] &= !(1 << (index % 64));
    }

    /// Valid where both are.
    pub fn and(&self, other: &Validity) -> Validity {
        match (&self.words, &other.words) {
            (None, _) => other.clone(),
            (_, None) => self.clone(),
            (Some(a), Some(b)) => Validity { words: Some(a.iter().zip(b).map(|(a, b)| a & b).collect()) },
        }
    }

    pub fn words(&self) -> Option<&[u64]> {
        self.words.as_deref()
    }
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Data::Bool(v) => v.len(),
            Data::Int16(v) => v.len(),
            Data::Int32(v) => v.len(),
            Data::Int64(v) => v.len(),
            Data::UInt32(v) => v.len(),
            Data::Float32(v) => v.len(),
            Data::Float64(v) => v.len(),
            Data::Decimal { values, .. } => values.len(),
            Data::Numeric(v) => v.len(),
            Data::Interval(v) => v.len(),
            Data::Text(v) | Data::Bytea(v) | Data::Jsonb(v) => v.len(),
            Data::Uuid(v) => v.len(),
            Data::Composed(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn physical(&self) -> Physical {
        match self {
            Data::Bool(_) => Physical::Bool,
            Data::Int16(_) => Physical::Int16,
            Data::Int32(_) => Physical::Int32,
            Data::Int64(_) => Physical::Int64,
            Data::UInt32(_) => Physical::UInt32,
            Data::Float32(_) => Physical::Float32,
            Data::Float64(_) => Physical::Float64,
            Data::Decimal { .. } | Data::Numeric(_) => Physical::Numeric,
            Data::Interval(_) => Physical::Interval,
            Data::Text(_) => Physical::Text,
            Data::Bytea(_) => Physical::Bytea,
            Data::Uuid(_) => Physical::Uuid,
            Data::Jsonb(_) => Physical::Jsonb,
            Data::Composed(_) => Physical::Composed,
        }
    }

    fn value(&self, index: usize) -> Value {
        match self {
            Data::Bool(v) => Value::Bool(v[index]),
            Data::Int16(v) => Value::Int16(v[index]),
            Data::Int32(v) => Value::Int32(v[index]),
            Data::Int64(v) => Value::Int64(v[index]),
            Data::UInt32(v) => Value::UInt32(v[index]),
            Data::Float32(v) => Value::Float32(v[index]),
            Data::Float64(v) => Value::Float64(v[index]),
            Data::Decimal { scale, values } => {
                Value::Numeric(Numeric::new(i128::from(values[index]), *scale))
            }
            Data::Numeric(v) => Value::Numeric(v[index].clone()),
            Data::Interval(v) => Value::Interval(v[index]),
            Data::Text(v) => Value::Text(Arc::from(v.str(index))),
            Data::Bytea(v) => Value::Bytea(Arc::from(v.get(index))),
            Data::Uuid(v) => Value::Uuid(v[index]),
            Data::Jsonb(v) => Value::Jsonb(Arc::from(v.get(index))),
            Data::Composed(v) => v[index].clone(),
        }
    }

    fn gather(&self, indices: &[u32]) -> Data {
        fn pick<T: Clone>(values: &[T], indices: &[u32]) -> Vec<T> {
            indices.iter().map(|&index| values[index as usize].clone()).collect()
        }
        fn pick_strings(values: &Strings, indices: &[u32]) -> Strings {
            let mut out = Strings::with_capacity(indices.len(), 0);
            for &index in indices {
                out.push(values.get(index as usize));
            }
            out
        }
        match self {
            Data::Bool(v) => Data::Bool(pick(v, indices)),
            Data::Int16(v) => Data::Int16(pick(v, indices)),
            Data::Int32(v) => Data::Int32(pick(v, indices)),
            Data::Int64(v) => Data::Int64(pick(v, indices)),
            Data::UInt32(v) => Data::UInt32(pick(v, indices)),
            Data::Float32(v) => Data::Float32(pick(v, indices)),
            Data::Float64(v) => Data::Float64(pick(v, indices)),
            Data::Decimal { scale, values } => Data::Decimal { scale: *scale, values: pick(values, indices) },
            Data::Numeric(v) => Data::Numeric(pick(v, indices)),
            Data::Interval(v) => Data::Interval(pick(v, indices)),
            Data::Text(v) => Data::Text(pick_strings(v, indices)),
            Data::Bytea(v) => Data::Bytea(pick_strings(v, indices)),
            Data::Uuid(v) => Data::Uuid(pick(v, indices)),
            Data::Jsonb(v) => Data::Jsonb(pick_strings(v, indices)),
            Data::Composed(v) => Data::Composed(pick(v, indices)),
        }
    }
}

impl Vector {
    /// A flat vector; the mask, if any, covers `data.len()` values.
    pub fn flat(data: Data, validity: Validity) -> Vector {
        let len = data.len();
        Vector { data, validity, len, constant: false }
    }

    /// `len` times the one value of `data`.
    pub fn repeat(data: Data, validity: Validity, len: usize) -> Vector {
        assert_eq!(data.len(), 1, "a constant vector stores one value");
        Vector { data, validity, len, constant: true }
    }

    /// `len` times `value`, in the form of `physical` (which NULL needs).
    pub fn constant(value: &Value, physical: Physical, len: usize) -> Vector {
        let mut builder = VectorBuilder::new(physical, 1);
        builder.push(value);
        let one = builder.finish();
        Vector { len, constant: true, ..one }
    }

    pub fn nulls(physical: Physical, len: usize) -> Vector {
        Vector::constant(&Value::Null, physical, len)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn is_constant(&self) -> bool {
        self.constant
    }

    /// The stored values: `len()` of them, or one if constant.
    pub fn data(&self) -> &Data {
        &self.data
    }

    pub fn into_data(self) -> Data {
        self.data
    }

    /// The mask of the stored values: index it like [`Vector::data`].
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Where row `row` is stored.
    #[inline]
    pub fn index(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        self.validity.is_valid(self.index(row))
    }

    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        !self.is_valid(row)
    }

    pub fn has_nulls(&self) -> bool {
        !self.validity.is_all() && (0..self.data.len()).any(|index| !self.validity.is_valid(index))
    }

    pub fn value(&self, row: usize) -> Value {
        if self.is_null(row) { Value::Null } else { self.data.value(self.index(row)) }
    }

    /// The rows at `indices`, in that order.
    pub fn gather(&self, indices: &[u32]) -> Vector {
        if self.constant {
            return Vector { len: indices.len(), ..self.clone() };
        }
        let validity = if self.validity.is_all() {
            Validity::all()
        } else {
            Validity::from_fn(indices.len(), |i| self.validity.is_valid(indices[i] as usize))
        };
        Vector::flat(self.data.gather(indices), validity)
    }

    /// Rows `start..end`.
    pub fn slice(&self, start: usize, end: usize) -> Vector {
        let indices: Vec<u32> = (start..end).map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect();
        self.gather(&indices)
    }

    /// The same values, never constant.
    pub fn flatten(&self) -> Vector {
        if !self.constant {
            return self.clone();
        }
        let data = self.data.gather(&vec![0; self.len]);
        let valid = self.validity.is_valid(0);
        Vector::flat(data, if valid { Validity::all() } else { Validity::none(self.len) })
    }

    /// The same decimals, or integers, as `Data::Decimal` of this scale; `None` when one does not fit 18
    /// digits exactly or is NaN, or these are no exact numbers.
    pub fn to_decimal(&self, scale: u16) -> Option<Vector> {
        const LIMIT: i64 = 10i64.pow(18);
        let power = |digits: u16| 10i64.checked_pow(u32::from(digits));
        let scaled = |value: i64, power: i64| value.checked_mul(power).filter(|n| n.abs() < LIMIT);
        // What stands where NULL is need not fit.
        let all = |fit: &dyn Fn(usize) -> Option<i64>| -> Option<Vec<i64>> {
            let stored = 0..self.data.len();
            stored.map(|at| if self.validity.is_valid(at) { fit(at) } else { Some(0) }).collect()
        };
        let values = match &self.data {
            Data::Decimal { scale: s, .. } if *s == scale => return Some(self.clone()),
            Data::Decimal { scale: s, values } if *s < scale => {
                let power = power(scale - s)?;
                all(&|at| scaled(values[at], power))?
            }
            Data::Decimal { scale: s, values } => {
                let power = power(s - scale)?;
                all(&|at| (values[at] % power == 0).then_some(values[at] / power))?
            }
            Data::Numeric(v) => all(&|at| v[at].as_scaled_i64(scale).filter(|n| n.abs() < LIMIT))?,
            Data::Int16(v) => all(&|at| scaled(i64::from(v[at]), power(scale)?))?,
            Data::Int32(v) => all(&|at| scaled(i64::from(v[at]), power(scale)?))?,
            Data::Int64(v) => all(&|at| scaled(v[at], power(scale)?))?,
            _ => return None,
        };
        Some(Vector { data: Data::Decimal { scale, values }, ..self.clone_shape() })
    }

    /// Length, mask and constancy, without the values.
    fn clone_shape(&self) -> Vector {
        let data = Data::Bool(Vec::new());
        Vector { data, validity: self.validity.clone(), len: self.len, constant: self.constant }
    }

    /// About how much memory the values take.
    pub fn size_bytes(&self) -> usize {
        let values = self.data.len();
        match &self.data {
            Data::Bool(_) => values,
            Data::Int16(_) => values * 2,
            Data::Int32(_) | Data::UInt32(_) | Data::Float32(_) => values * 4,
            Data::Int64(_) | Data::Float64(_) | Data::Decimal { .. } => values * 8,
            Data::Interval(_) | Data::Uuid(_) => values * 16,
            Data::Numeric(_) => values * size_of::<Numeric>(),
            Data::Text(v) | Data::Bytea(v) | Data::Jsonb(v) => values * 8 + v.bytes().len(),
            Data::Composed(_) => values * 64,
        }
    }
}

/// Grows a flat vector value by value. Decimals start as `Data::Decimal` when told a scale and turn
/// to `Data::Numeric` when a value does not fit.
#[derive(Debug)]
pub struct VectorBuilder {
    data: Data,
    nulls: Validity,
    len: usize,
}

impl VectorBuilder {
    pub fn new(physical: Physical, capacity: usize) -> VectorBuilder {
        let data = match physical {
            Physical::Bool => Data::Bool(Vec::with_capacity(capacity)),
            Physical::Int16 => Data::Int16(Vec::with_capacity(capacity)),
            Physical::Int32 => Data::Int32(Vec::with_capacity(capacity)),
            Physical::Int64 => Data::Int64(Vec::with_capacity(capacity)),
            Physical::UInt32 => Data::UInt32(Vec::with_capacity(capacity)),
            Physical::Float32 => Data::Float32(Vec::with_capacity(capacity)),
            Physical::Float64 => Data::Float64(Vec::with_capacity(capacity)),
            Physical::Numeric => Data::Numeric(Vec::with_capacity(capacity)),
            Physical::Interval => Data::Interval(Vec::with_capacity(capacity)),
            Physical::Text => Data::Text(Strings::with_capacity(capacity, 0)),
            Physical::Bytea => Data::Bytea(Strings::with_capacity(capacity, 0)),
            Physical::Uuid => Data::Uuid(Vec::with_capacity(capacity)),
            Physical::Jsonb => Data::Jsonb(Strings::with_capacity(capacity, 0)),
            Physical::Composed => Data::Composed(Vec::with_capacity(capacity)),
        };
        VectorBuilder { data, nulls: Validity::all(), len: 0 }
    }

    /// For a `numeric(p,s)` with p ≤ 18: values lie as scaled i64.
    pub fn decimal(scale: u16, capacity: usize) -> VectorBuilder {
        let data = Data::Decimal { scale, values: Vec::with_capacity(capacity) };
        VectorBuilder { data, nulls: Validity::all(), len: 0 }
    }

    /// In the form that values of `data_type` take: scaled integers for `numeric(p,s)` with p ≤ 18.
    pub fn for_type(data_type: DataType, capacity: usize) -> VectorBuilder {
        match data_type.numeric_precision_scale() {
            Some((precision, scale)) if precision <= 18 && (0..=18).contains(&scale) => {
                VectorBuilder::decimal(u16::try_from(scale).unwrap_or(0), capacity)
            }
            _ => VectorBuilder::new(data_type.physical, capacity),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The typed storage, to append to directly; call [`VectorBuilder::appended`] afterwards.
    #[inline]
    pub fn data_mut(&mut self) -> &mut Data {
        &mut self.data
    }

    /// Says that values were appended to [`VectorBuilder::data_mut`].
    #[inline]
    pub fn appended(&mut self) {
        self.len = self.data.len();
    }

    /// As [`VectorBuilder::appended`], for exactly one value.
    #[inline]
    pub(crate) fn appended_one(&mut self) {
        self.len += 1;
    }

    pub fn push_null(&mut self) {
        match &mut self.data {
            Data::Bool(v) => v.push(false),
            Data::Int16(v) => v.push(0),
            Data::Int32(v) => v.push(0),
            Data::Int64(v) => v.push(0),
            Data::UInt32(v) => v.push(0),
            Data::Float32(v) => v.push(0.0),
            Data::Float64(v) => v.push(0.0),
            Data::Decimal { values, .. } => values.push(0),
            Data::Numeric(v) => v.push(Numeric::ZERO),
            Data::Interval(v) => v.push(Interval::default()),
            Data::Text(v) | Data::Bytea(v) | Data::Jsonb(v) => v.push(b""),
            Data::Uuid(v) => v.push(0),
            Data::Composed(v) => v.push(Value::Null),
        }
        self.len = self.data.len();
        self.nulls.set_null(self.len - 1, self.len);
    }

    /// Makes the value at `index`, which was appended before, NULL.
    pub fn set_null(&mut self, index: usize) {
        self.nulls.set_null(index, self.len);
    }

    /// Whether [`VectorBuilder::push`] takes this value.
    pub fn takes(&self, value: &Value) -> bool {
        matches!(
            (&self.data, value),
            (_, Value::Null)
                | (Data::Bool(_), Value::Bool(_))
                | (Data::Int16(_), Value::Int16(_))
                | (Data::Int32(_), Value::Int32(_))
                | (Data::Int64(_), Value::Int64(_))
                | (Data::UInt32(_), Value::UInt32(_))
                | (Data::Float32(_), Value::Float32(_))
                | (Data::Float64(_), Value::Float64(_))
                | (Data::Numeric(_) | Data::Decimal { .. }, Value::Numeric(_))
                | (Data::Interval(_), Value::Interval(_))
                | (Data::Text(_), Value::Text(_))
                | (Data::Bytea(_), Value::Bytea(_))
                | (Data::Uuid(_), Value::Uuid(_))
                | (Data::Jsonb(_), Value::Jsonb(_))
                | (Data::Composed(_), Value::Array(_) | Value::Record(_))
        )
    }

    /// Appends `value`, which is NULL or of this vector's physical form.
    ///
    /// Panics when it is of another form: the binder has promised it is not.
    pub fn push(&mut self, value: &Value) {
        if value.is_null() {
            return self.push_null();
        }
        match (&mut self.data, value) {
            (Data::Bool(v), Value::Bool(x)) => v.push(*x),
            (Data::Int16(v), Value::Int16(x)) => v.push(*x),
            (Data::Int32(v), Value::Int32(x)) => v.push(*x),
            (Data::Int64(v), Value::Int64(x)) => v.push(*x),
            (Data::UInt32(v), Value::UInt32(x)) => v.push(*x),
            (Data::Float32(v), Value::Float32(x)) => v.push(*x),
            (Data::Float64(v), Value::Float64(x)) => v.push(*x),
            (Data::Numeric(v), Value::Numeric(x)) => v.push(x.clone()),
            (Data::Decimal { scale, values }, Value::Numeric(Numeric::Small { unscaled, scale: s }))
                if s == scale && i64::try_from(*unscaled).is_ok() =>
            {
                values.push(i64::try_from(*unscaled).unwrap_or_default());
            }
            (Data::Decimal { .. }, Value::Numeric(x)) => {
                self.widen().push(x.clone());
            }
            (Data::Interval(v), Value::Interval(x)) => v.push(*x),
            (Data::Text(v), Value::Text(x)) => v.push(x.as_bytes()),
            (Data::Bytea(v), Value::Bytea(x)) => v.push(x),
            (Data::Uuid(v), Value::Uuid(x)) => v.push(*x),
            (Data::Jsonb(v), Value::Jsonb(x)) => v.push(x),
            (Data::Composed(v), Value::Array(_) | Value::Record(_)) => v.push(value.clone()),
            (data, value) => panic!("a {:?} vector takes no {value:?}", data.physical()),
        }
        self.len = self.data.len();
    }

    /// Appends all values of `vector`, which has this builder's physical form.
    pub fn extend(&mut self, vector: &Vector) {
        if vector.is_constant() {
            return self.extend_at(vector, &vec![0; vector.len()]);
        }
        self.extend_data(vector.data(), None);
        self.extend_nulls(vector, None, vector.len());
    }

    /// Appends the values of `vector` at `rows`, in that order.
    pub fn extend_at(&mut self, vector: &Vector, rows: &[u32]) {
        let zeros;
        let rows = if vector.is_constant() {
            zeros = vec![0; rows.len()];
            &zeros
        } else {
            rows
        };
        self.extend_data(vector.data(), Some(rows));
        self.extend_nulls(vector, Some(rows), rows.len());
    }

    /// Appends rows `start..end` of `vector`.
    pub fn extend_range(&mut self, vector: &Vector, start: usize, end: usize) {
        if start == 0 && end == vector.len() {
            return self.extend(vector);
        }
        let rows: Vec<u32> = (start..end).map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect();
        self.extend_at(vector, &rows);
    }

    fn extend_nulls(&mut self, vector: &Vector, rows: Option<&[u32]>, count: usize) {
        let start = self.len;
        self.len += count;
        if vector.validity().is_all() {
            return;
        }
        for i in 0..count {
            let stored = rows.map_or(i, |rows| rows[i] as usize);
            if !vector.validity().is_valid(stored) {
                self.nulls.set_null(start + i, self.len);
            }
        }
    }

    fn extend_data(&mut self, data: &Data, rows: Option<&[u32]>) {
        fn add<T: Clone>(out: &mut Vec<T>, values: &[T], rows: Option<&[u32]>) {
            match rows {
                None => out.extend_from_slice(values),
                Some(rows) => out.extend(rows.iter().map(|&row| values[row as usize].clone())),
            }
        }
        fn numerics(data: &Data, rows: Option<&[u32]>) -> Vec<Numeric> {
            let count = rows.map_or(data.len(), <[u32]>::len);
            let number = |i: usize| match data.value(rows.map_or(i, |rows| rows[i] as usize)) {
                Value::Numeric(number) => number,
                other => panic!("{other:?} is no number"),
            };
            (0..count).map(number).collect()
        }
        match (&mut self.data, data) {
            (Data::Bool(out), Data::Bool(v)) => add(out, v, rows),
            (Data::Int16(out), Data::Int16(v)) => add(out, v, rows),
            (Data::Int32(out), Data::Int32(v)) => add(out, v, rows),
            (Data::Int64(out), Data::Int64(v)) => add(out, v, rows),
            (Data::UInt32(out), Data::UInt32(v)) => add(out, v, rows),
            (Data::Float32(out), Data::Float32(v)) => add(out, v, rows),
            (Data::Float64(out), Data::Float64(v)) => add(out, v, rows),
            (Data::Decimal { scale: to, values: out }, Data::Decimal { scale, values }) if to == scale => {
                add(out, values, rows);
            }
            (Data::Decimal { .. }, Data::Decimal { scale, values }) if self.len == 0 => {
                let mut out = Vec::new();
                add(&mut out, values, rows);
                self.data = Data::Decimal { scale: *scale, values: out };
            }
            (Data::Numeric(_), Data::Decimal { scale, values }) if self.len == 0 => {
                let mut out = Vec::new();
                add(&mut out, values, rows);
                self.data = Data::Decimal { scale: *scale, values: out };
            }
            (Data::Decimal { .. } | Data::Numeric(_), Data::Decimal { .. } | Data::Numeric(_)) => {
                let numbers = numerics(data, rows);
                self.widen().extend(numbers);
            }
            (Data::Interval(out), Data::Interval(v)) => add(out, v, rows),
            (Data::Text(out), Data::Text(v))
            | (Data::Bytea(out), Data::Bytea(v))
            | (Data::Jsonb(out), Data::Jsonb(v)) => match rows {
                None => out.append(v),
                Some(rows) => rows.iter().for_each(|&row| out.push(v.get(row as usize))),
            },
            (Data::Uuid(out), Data::Uuid(v)) => add(out, v, rows),
            (Data::Composed(out), Data::Composed(v)) => add(out, v, rows),
            (out, data) => panic!("a {:?} vector takes no {:?}", out.physical(), data.physical()),
        }
    }

    /// Turns scaled integers into general numerics.
    pub fn widen(&mut self) -> &mut Vec<Numeric> {
        if let Data::Decimal { scale, values } = &self.data {
            let scale = *scale;
            let wide = values.iter().map(|&v| Numeric::new(i128::from(v), scale)).collect();
            self.data = Data::Numeric(wide);
        }
        match &mut self.data {
            Data::Numeric(values) => values,
            other => panic!("a {:?} vector cannot be widened", other.physical()),
        }
    }

    pub fn finish(self) -> Vector {
        let mut validity = self.nulls;
        if let Some(words) = &mut validity.words {
            words.resize(self.len.div_ceil(64), u64::MAX);
        }
        Vector::flat(self.data, validity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_gathers_and_flattens() {
        let mut builder = VectorBuilder::new(Physical::Text, 4);
        for value in [Value::text("a"), Value::Null, Value::text("ccc")] {
            builder.push(&value);
        }
        let vector = builder.finish();
        let picked = vector.gather(&[2, 1, 0, 2]);
        let values: Vec<Value> = (0..4).map(|row| picked.value(row)).collect();
        assert_eq!(values, [Value::text("ccc"), Value::Null, Value::text("a"), Value::text("ccc")]);

        let constant = Vector::nulls(Physical::Int32, 70);
        assert!(constant.is_null(69) && constant.flatten().is_null(69));
    }

    #[test]
    fn builders_extend_by_whole_vectors_and_by_rows() {
        let part = |values: &[Value]| {
            let mut builder = VectorBuilder::decimal(2, 0);
            values.iter().for_each(|value| builder.push(value));
            builder.finish()
        };
        let n = |unscaled, scale| Value::Numeric(Numeric::new(unscaled, scale));
        let mut builder = VectorBuilder::new(Physical::Numeric, 0);
        builder.extend(&part(&[n(100, 2), Value::Null, n(300, 2)]));
        builder.extend_at(&part(&[n(400, 2), n(500, 2)]), &[1, 1]);
        builder.extend(&Vector::nulls(Physical::Numeric, 2));
        builder.extend(&Vector::constant(&n(7, 0), Physical::Numeric, 2));
        let vector = builder.finish();
        let shown: Vec<Option<(i128, u16)>> = (0..vector.len())
            .map(|row| match vector.value(row) {
                Value::Numeric(Numeric::Small { unscaled, scale }) => Some((unscaled, scale)),
                _ => None,
            })
            .collect();
        let five = Some((500, 2));
        let seven = Some((7, 0));
        assert_eq!(shown, [Some((100, 2)), None, Some((300, 2)), five, five, None, None, seven, seven]);
    }

    #[test]
    fn decimals_change_scale_only_exactly() {
        let mut builder = VectorBuilder::decimal(2, 3);
        builder.push(&Value::Numeric(Numeric::new(150, 2)));
        builder.push_null();
        let vector = builder.finish();
        let wide = vector.to_decimal(4).unwrap();
        assert!(matches!(wide.data(), Data::Decimal { scale: 4, values } if values == &[15_000, 0]));
        assert!(wide.is_null(1) && wide.value(0) == vector.value(0));
        assert!(
            vector.to_decimal(1).is_some()
                && vector.to_decimal(0).is_none()
                && vector.to_decimal(18).is_none()
        );
        let integers = Vector::constant(&Value::Int32(7), Physical::Int32, 9);
        let decimal = integers.to_decimal(1).unwrap();
        assert_eq!((decimal.len(), decimal.value(8)), (9, Value::Numeric(Numeric::new(70, 1))));

        let mut builder = VectorBuilder::decimal(2, 3);
        builder.extend_range(&vector, 1, 2);
        builder.extend_range(&vector, 0, 2);
        let joined = builder.finish();
        assert_eq!((0..3).map(|row| joined.is_null(row)).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn nulls_after_many_values_keep_the_rest_valid() {
        let mut builder = VectorBuilder::new(Physical::Int64, 0);
        for n in 0..200 {
            if n == 130 { builder.push_null() } else { builder.push(&Value::Int64(n)) }
        }
        let vector = builder.finish();
        assert_eq!((0..200).filter(|&row| vector.is_null(row)).collect::<Vec<_>>(), [130]);
    }
}
