//! Tests of one column on record bytes, before anything is decoded.
//!
//! A test is compiled once against the layout: integers, dates, times and decimals become a range of i64,
//! so that one record costs a load and two comparisons.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{COUNT_MASK, DECIMAL_NAN, Fixed, HAS_NULLS, RowLayout, Slot, Variable, malformed};
use crate::Result;
use crate::numeric::Numeric;
use crate::value::{Value, compare_floats};

/// How a column is compared with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether `a <self> b` where `a` compares to `b` like this.
    #[inline]
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering == Ordering::Equal,
            Comparison::NotEqual => ordering != Ordering::Equal,
            Comparison::Less => ordering == Ordering::Less,
            Comparison::LessOrEqual => ordering != Ordering::Greater,
            Comparison::Greater => ordering == Ordering::Greater,
            Comparison::GreaterOrEqual => ordering != Ordering::Less,
        }
    }
}

/// What is asked of one column. NULL satisfies nothing but `IsNull`.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnTest {
    Compare(Comparison, Value),
    /// `low <= column AND column <= high`
    Between(Value, Value),
    In(Vec<Value>),
    /// Text that begins with this.
    StartsWith(Arc<str>),
    IsNull,
    IsNotNull,
}

/// A test of one column, evaluated on record bytes.
#[derive(Debug, Clone)]
pub struct RowPredicate {
    layout: Arc<RowLayout>,
    column: usize,
    /// What a record without the column answers.
    missing: bool,
    test: Compiled,
}

#[derive(Debug, Clone)]
enum Compiled {
    IsNull,
    IsNotNull,
    /// Never true.
    Never,
    /// `low <= x <= high`, or not so if `outside`.
    Range {
        offset: usize,
        form: Fixed,
        low: i64,
        high: i64,
        outside: bool,
    },
    /// One of these, ascending.
    OneOf {
        offset: usize,
        form: Fixed,
        values: Vec<i64>,
    },
    Float {
        offset: usize,
        form: Fixed,
        comparison: Comparison,
        value: f64,
    },
    FloatRange {
        offset: usize,
        form: Fixed,
        low: f64,
        high: f64,
    },
    Uuid {
        offset: usize,
        comparison: Comparison,
        value: u128,
    },
    Bytes {
        ordinal: usize,
        comparison: Comparison,
        value: Vec<u8>,
    },
    BytesRange {
        ordinal: usize,
        low: Vec<u8>,
        high: Vec<u8>,
    },
    BytesOneOf {
        ordinal: usize,
        values: Vec<Vec<u8>>,
    },
    StartsWith {
        ordinal: usize,
        prefix: Vec<u8>,
    },
}

impl RowPredicate {
    /// `None` when this test cannot be answered from bytes: the caller then filters after decoding.
    /// A constant may be of another exact number type than the column (`int4 < 2.5`): it is fitted exactly.
    /// Text compares by bytes (collation "C"). A NULL constant never holds.
    pub fn new(layout: &Arc<RowLayout>, column: usize, test: &ColumnTest) -> Option<RowPredicate> {
        let compiled = compile(layout.slots.get(column).copied()?, test)?;
        let missing = test.holds(layout.missing_value(column));
        Some(RowPredicate { layout: layout.clone(), column, missing, test: compiled })
    }

    pub fn column(&self) -> usize {
        self.column
    }

    /// Whether the record passes. XX001 on malformed bytes.
    #[inline]
    pub fn matches(&self, record: &[u8]) -> Result<bool> {
        if let Compiled::Range { offset, form, low, high, outside } = &self.test
            && let Some(base) = self.plain_base(record)
        {
            let value = load(record, base + offset, *form)?;
            return Ok((*low <= value && value <= *high) != *outside);
        }
        self.matches_general(record)
    }

    /// Where the fixed part starts if the record has all columns and no NULL.
    #[inline]
    fn plain_base(&self, record: &[u8]) -> Option<usize> {
        let word = u16::from_le_bytes(*record.first_chunk::<2>()?);
        (word & (HAS_NULLS | COUNT_MASK) == u16::try_from(self.layout.len()).ok()?).then_some(2)
    }

    fn matches_general(&self, record: &[u8]) -> Result<bool> {
        let Some(open) = self.layout.open(record)?.with_column(self.column)? else {
            return Ok(self.missing);
        };
        if open.is_null(self.column) {
            return Ok(matches!(self.test, Compiled::IsNull));
        }
        let number = |offset: usize, form: Fixed| load(open.fixed(offset, form.width())?, 0, form);
        let float = |offset: usize, form: Fixed| load_float(open.fixed(offset, form.width())?, form);
        Ok(match &self.test {
            Compiled::IsNull | Compiled::Never => false,
            Compiled::IsNotNull => true,
            Compiled::Range { offset, form, low, high, outside } => {
                let value = number(*offset, *form)?;
                (*low <= value && value <= *high) != *outside
            }
            Compiled::OneOf { offset, form, values } => {
                values.binary_search(&number(*offset, *form)?).is_ok()
            }
            Compiled::Float { offset, form, comparison, value } => {
                comparison.holds(compare_floats(float(*offset, *form)?, *value))
            }
            Compiled::FloatRange { offset, form, low, high } => {
                let value = float(*offset, *form)?;
                compare_floats(*low, value) != Ordering::Greater
                    && compare_floats(value, *high) != Ordering::Greater
            }
            Compiled::Uuid { offset, comparison, value } => {
                let bytes = open.fixed(*offset, 16)?.first_chunk::<16>();
                let stored =
                    u128::from_le_bytes(*bytes.ok_or_else(|| malformed("shorter than its fixed part"))?);
                comparison.holds(stored.cmp(value))
            }
            Compiled::Bytes { ordinal, comparison: Comparison::Equal, value } => {
                open.variable(*ordinal)? == value
            }
            Compiled::Bytes { ordinal, comparison, value } => {
                comparison.holds(open.variable(*ordinal)?.cmp(value.as_slice()))
            }
            Compiled::BytesRange { ordinal, low, high } => {
                let bytes = open.variable(*ordinal)?;
                low.as_slice() <= bytes && bytes <= high.as_slice()
            }
            Compiled::BytesOneOf { ordinal, values } => {
                let bytes = open.variable(*ordinal)?;
                values.binary_search_by(|value| value.as_slice().cmp(bytes)).is_ok()
            }
            Compiled::StartsWith { ordinal, prefix } => open.variable(*ordinal)?.starts_with(prefix),
        })
    }

    /// The indices of the records that pass, appended to `selection`. XX001 on malformed bytes.
    pub fn select(&self, records: &[&[u8]], selection: &mut Vec<u32>) -> Result<()> {
        for (index, record) in records.iter().enumerate() {
            if self.matches(record)? {
                selection.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}

impl ColumnTest {
    /// Whether a value of the column passes.
    pub fn holds(&self, value: &Value) -> bool {
        if value.is_null() {
            return matches!(self, ColumnTest::IsNull);
        }
        let compare = |constant: &Value| compare_mixed(value, constant);
        match self {
            ColumnTest::IsNull => false,
            ColumnTest::IsNotNull => true,
            ColumnTest::Compare(comparison, constant) => {
                !constant.is_null() && comparison.holds(compare(constant))
            }
            ColumnTest::Between(low, high) => {
                !low.is_null()
                    && !high.is_null()
                    && compare(low) != Ordering::Less
                    && compare(high) != Ordering::Greater
            }
            ColumnTest::In(values) => values.iter().any(|v| !v.is_null() && compare(v) == Ordering::Equal),
            ColumnTest::StartsWith(prefix) => value.as_str().is_some_and(|text| text.starts_with(&**prefix)),
        }
    }
}

/// Values of two exact number types compare as numbers, everything else as it lies.
fn compare_mixed(a: &Value, b: &Value) -> Ordering {
    let numeric = |value: &Value| match value {
        Value::Numeric(numeric) => Some(numeric.clone()),
        Value::Float32(v) => Some(Numeric::from_f64(f64::from(*v))),
        Value::Float64(v) => Some(Numeric::from_f64(*v)),
        other => other.as_i64().map(Numeric::from),
    };
    if std::mem::discriminant(a) != std::mem::discriminant(b)
        && let (Some(a), Some(b)) = (numeric(a), numeric(b))
    {
        return a.cmp(&b);
    }
    a.cmp(b)
}

/// The bits of a fixed-width value as an ordered i64.
#[inline]
fn load(record: &[u8], start: usize, form: Fixed) -> Result<i64> {
    let rest = record.get(start..).unwrap_or_default();
    let value = match form {
        Fixed::Bool => rest.first().map(|byte| i64::from(*byte != 0)),
        Fixed::Int16 => rest.first_chunk().map(|bytes| i64::from(i16::from_le_bytes(*bytes))),
        Fixed::Int32 => rest.first_chunk().map(|bytes| i64::from(i32::from_le_bytes(*bytes))),
        Fixed::UInt32 => rest.first_chunk().map(|bytes| i64::from(u32::from_le_bytes(*bytes))),
        Fixed::Int64 | Fixed::Decimal(_) => rest.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)),
        Fixed::Float32 | Fixed::Float64 | Fixed::Interval | Fixed::Uuid => None,
    };
    value.ok_or_else(|| malformed("shorter than its fixed part"))
}

#[inline]
fn load_float(bytes: &[u8], form: Fixed) -> Result<f64> {
    let value = match form {
        Fixed::Float32 => bytes.first_chunk().map(|bytes| f64::from(f32::from_le_bytes(*bytes))),
        _ => bytes.first_chunk().map(|bytes| f64::from_le_bytes(*bytes)),
    };
    value.ok_or_else(|| malformed("shorter than its fixed part"))
}

fn compile(slot: Slot, test: &ColumnTest) -> Option<Compiled> {
    match test {
        ColumnTest::IsNull => return Some(Compiled::IsNull),
        ColumnTest::IsNotNull => return Some(Compiled::IsNotNull),
        ColumnTest::Compare(_, Value::Null)
        | ColumnTest::Between(Value::Null, _)
        | ColumnTest::Between(_, Value::Null) => return Some(Compiled::Never),
        _ => {}
    }
    match slot {
        Slot::Fixed(offset, form @ (Fixed::Float32 | Fixed::Float64)) => compile_float(offset, form, test),
        Slot::Fixed(offset, Fixed::Uuid) => match test {
            ColumnTest::Compare(comparison, Value::Uuid(value)) => {
                Some(Compiled::Uuid { offset, comparison: *comparison, value: *value })
            }
            _ => None,
        },
        Slot::Fixed(_, Fixed::Interval) => None,
        Slot::Fixed(offset, form) => compile_integer(offset, form, test),
        Slot::Variable(ordinal, form @ (Variable::Text | Variable::Bytea)) => {
            compile_bytes(ordinal, form, test)
        }
        Slot::Variable(..) => None,
    }
}

fn compile_float(offset: usize, form: Fixed, test: &ColumnTest) -> Option<Compiled> {
    let constant = |value: &Value| match value {
        Value::Float32(value) => Some(f64::from(*value)),
        Value::Float64(value) => Some(*value),
        _ => None,
    };
    match test {
        ColumnTest::Compare(comparison, value) => {
            Some(Compiled::Float { offset, form, comparison: *comparison, value: constant(value)? })
        }
        ColumnTest::Between(low, high) => {
            Some(Compiled::FloatRange { offset, form, low: constant(low)?, high: constant(high)? })
        }
        _ => None,
    }
}

fn compile_bytes(ordinal: usize, form: Variable, test: &ColumnTest) -> Option<Compiled> {
    let constant = |value: &Value| match (form, value) {
        (Variable::Text, Value::Text(text)) => Some(text.as_bytes().to_vec()),
        (Variable::Bytea, Value::Bytea(bytes)) => Some(bytes.to_vec()),
        _ => None,
    };
    match test {
        ColumnTest::Compare(comparison, value) => {
            Some(Compiled::Bytes { ordinal, comparison: *comparison, value: constant(value)? })
        }
        ColumnTest::Between(low, high) => {
            Some(Compiled::BytesRange { ordinal, low: constant(low)?, high: constant(high)? })
        }
        ColumnTest::In(values) => {
            let present = values.iter().filter(|value| !value.is_null());
            let mut values = present.map(constant).collect::<Option<Vec<_>>>()?;
            values.sort_unstable();
            Some(Compiled::BytesOneOf { ordinal, values })
        }
        ColumnTest::StartsWith(prefix) if form == Variable::Text => {
            Some(Compiled::StartsWith { ordinal, prefix: prefix.as_bytes().to_vec() })
        }
        _ => None,
    }
}

fn compile_integer(offset: usize, form: Fixed, test: &ColumnTest) -> Option<Compiled> {
    let range = |low: i128, high: i128| {
        let (low, high) = (low.max(i128::from(i64::MIN)), high.min(i128::from(i64::MAX)));
        match (i64::try_from(low), i64::try_from(high)) {
            (Ok(low), Ok(high)) if low <= high => Compiled::Range { offset, form, low, high, outside: false },
            _ => Compiled::Never,
        }
    };
    match test {
        ColumnTest::Compare(Comparison::NotEqual, value) => {
            Some(match range_of(Comparison::Equal, value, form)? {
                (low, high) if low > high => Compiled::IsNotNull,
                (low, high) => match range(low, high) {
                    Compiled::Range { offset, form, low, high, .. } => {
                        Compiled::Range { offset, form, low, high, outside: true }
                    }
                    _ => Compiled::IsNotNull,
                },
            })
        }
        ColumnTest::Compare(comparison, value) => {
            let (low, high) = range_of(*comparison, value, form)?;
            Some(range(low, high))
        }
        ColumnTest::Between(low, high) => {
            let (low, _) = range_of(Comparison::GreaterOrEqual, low, form)?;
            let (_, high) = range_of(Comparison::LessOrEqual, high, form)?;
            Some(range(low, high))
        }
        ColumnTest::In(constants) => {
            let mut values = Vec::with_capacity(constants.len());
            for constant in constants.iter().filter(|value| !value.is_null()) {
                let (low, high) = range_of(Comparison::Equal, constant, form)?;
                if low == high {
                    values.extend(i64::try_from(low).ok());
                }
            }
            values.sort_unstable();
            Some(Compiled::OneOf { offset, form, values })
        }
        _ => None,
    }
}

/// The stored integers for which `x <comparison> constant` holds, as an inclusive range.
fn range_of(comparison: Comparison, constant: &Value, form: Fixed) -> Option<(i128, i128)> {
    const LOWEST: i128 = i64::MIN as i128;
    const HIGHEST: i128 = i64::MAX as i128;
    const EMPTY: (i128, i128) = (1, 0);
    let (floor, exact) = floor_of(constant, form)?;
    Some(match comparison {
        Comparison::Equal if exact => (floor, floor),
        Comparison::Equal => EMPTY,
        Comparison::NotEqual => return None,
        Comparison::Less if exact => (LOWEST, floor - 1),
        Comparison::Less | Comparison::LessOrEqual => (LOWEST, floor),
        Comparison::GreaterOrEqual if exact => (floor, HIGHEST),
        Comparison::Greater | Comparison::GreaterOrEqual => (floor + 1, HIGHEST),
    })
}

/// The largest stored integer not above the constant, and whether it is equal.
fn floor_of(constant: &Value, form: Fixed) -> Option<(i128, bool)> {
    let below_all = i128::from(i64::MIN) - 1;
    let scale = match (form, constant) {
        (Fixed::Bool, Value::Bool(value)) => return Some((i128::from(*value), true)),
        (Fixed::Bool, _) => return None,
        (Fixed::Decimal(scale), _) => scale,
        _ => 0,
    };
    let numeric = match constant {
        Value::Numeric(numeric) => numeric.clone(),
        other => Numeric::from(other.as_i64()?),
    };
    let decimal = matches!(form, Fixed::Decimal(_));
    Some(match numeric {
        Numeric::NegativeInfinity => (below_all, false),
        Numeric::NaN if decimal => (i128::from(DECIMAL_NAN), true),
        Numeric::Infinity if decimal => (i128::from(DECIMAL_NAN) - 1, false),
        Numeric::Infinity | Numeric::NaN => (i128::from(i64::MAX) + 1, false),
        finite => {
            let cut = finite.trunc(i32::from(scale));
            let exact = cut == finite;
            let negative = finite.signum() == Some(-1);
            match cut.as_scaled_i128(scale) {
                Some(scaled) if !decimal || scaled < i128::from(DECIMAL_NAN) => {
                    (if exact || !negative { scaled } else { scaled - 1 }, exact)
                }
                // Beyond all stored numbers.
                _ if negative => (below_all, false),
                _ => (i128::from(DECIMAL_NAN) - i128::from(decimal), false),
            }
        }
    })
}
