//! Hashing and equality of vectors, row by row, for joins and aggregates.
//!
//! Values that are equal in SQL hash equal whatever form they lie in: constant or flat, `Decimal` of any
//! scale or `Numeric`, −0 and 0, NULL and NULL. Integers of different widths hash equal, too. Hashes are
//! not stable across versions: never store them.

use std::hash::{Hash, Hasher};

use crate::json::Jsonb;
use crate::numeric::{Numeric, strip_zeros};
use crate::value::compare_floats;
use crate::vector::{Data, Vector};

/// Random odd constants (digits of π).
const MIX_A: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX_B: u64 = 0x243f_6a88_85a3_08d3;
const NULL_HASH: u64 = 0x1319_8a2e_0370_7345;

/// The halves of a 128-bit product, folded: every bit of both operands reaches every bit.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

#[inline]
fn combine(hash: u64, value: u64) -> u64 {
    fold(hash ^ MIX_A, value ^ MIX_B).wrapping_add(hash.rotate_left(23))
}

/// Hash of one integer: what [`hash_vector`] gives for an integer column alone.
#[inline]
pub fn hash_integer(value: i64) -> u64 {
    combine(0, value.cast_unsigned())
}

/// Hash of one byte string: what [`hash_vector`] gives for a text column alone.
#[inline]
pub fn hash_bytes(value: &[u8]) -> u64 {
    combine(0, bytes_word(value))
}

fn bytes_word(value: &[u8]) -> u64 {
    let mut state = MIX_A ^ value.len() as u64;
    let mut rest = value;
    while let Some((chunk, tail)) = rest.split_first_chunk::<16>() {
        let (low, high) = halves(*chunk);
        state = fold(low ^ state, high ^ MIX_B);
        rest = tail;
    }
    let mut last = [0u8; 16];
    last[..rest.len()].copy_from_slice(rest);
    let (low, high) = halves(last);
    fold(low ^ state, high ^ MIX_B)
}

fn halves(bytes: [u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(bytes);
    (whole as u64, (whole >> 64) as u64)
}

#[inline]
fn decimal_word(value: i64, mut scale: u16) -> u64 {
    let mut value = value;
    if value == 0 {
        scale = 0;
    }
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    value.cast_unsigned() ^ u64::from(scale).wrapping_mul(MIX_A)
}

fn numeric_word(value: &Numeric) -> u64 {
    if let Numeric::Small { unscaled, scale } = value {
        let (unscaled, scale) = strip_zeros(*unscaled, *scale);
        if let Ok(short) = i64::try_from(unscaled) {
            return short.cast_unsigned() ^ u64::from(scale).wrapping_mul(MIX_A);
        }
    }
    general_word(value)
}

#[inline]
fn float_word(value: f64) -> u64 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        MIX_A
    } else {
        value.to_bits()
    }
}

/// A `Hasher` over [`bytes_word`]-like mixing, for composed values and corners.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = combine(self.0, bytes_word(bytes));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = combine(self.0, value);
    }
}

fn general_word(value: &impl Hash) -> u64 {
    let mut state = WordHasher::default();
    value.hash(&mut state);
    state.finish()
}

/// Of the key bytes, which are the same for equal values whatever their numbers' scale.
fn jsonb_word(value: &[u8]) -> u64 {
    let mut key = Vec::with_capacity(value.len() + 8);
    crate::key::write_jsonb(Jsonb(value), &mut key);
    bytes_word(&key)
}

fn wide_word(value: u128) -> u64 {
    fold(value as u64 ^ MIX_A, (value >> 64) as u64 ^ MIX_B)
}

/// Combines the hash of each row of `vector` into `hashes[row]` (start them at 0). Call once per column.
pub fn hash_vector(vector: &Vector, hashes: &mut [u64]) {
    match vector.data() {
        Data::Bool(v) => each(vector, hashes, |at| u64::from(v[at])),
        Data::Int16(v) => each(vector, hashes, |at| i64::from(v[at]).cast_unsigned()),
        Data::Int32(v) => each(vector, hashes, |at| i64::from(v[at]).cast_unsigned()),
        Data::Int64(v) => each(vector, hashes, |at| v[at].cast_unsigned()),
        Data::UInt32(v) => each(vector, hashes, |at| u64::from(v[at])),
        Data::Float32(v) => each(vector, hashes, |at| float_word(f64::from(v[at]))),
        Data::Float64(v) => each(vector, hashes, |at| float_word(v[at])),
        Data::Decimal { scale, values } => each(vector, hashes, |at| decimal_word(values[at], *scale)),
        Data::Numeric(v) => each(vector, hashes, |at| numeric_word(&v[at])),
        Data::Interval(v) => each(vector, hashes, |at| wide_word(v[at].span_micros().cast_unsigned())),
        Data::Text(v) | Data::Bytea(v) => each(vector, hashes, |at| bytes_word(v.get(at))),
        Data::Uuid(v) => each(vector, hashes, |at| wide_word(v[at])),
        Data::Jsonb(v) => each(vector, hashes, |at| jsonb_word(v.get(at))),
        Data::Composed(v) => each(vector, hashes, |at| general_word(&v[at])),
    }
}

#[inline(always)]
fn each(vector: &Vector, hashes: &mut [u64], word: impl Fn(usize) -> u64) {
    if vector.is_constant() {
        let word = if vector.validity().is_valid(0) { word(0) } else { NULL_HASH };
        hashes.iter_mut().for_each(|hash| *hash = combine(*hash, word));
    } else if vector.validity().is_all() {
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = combine(*hash, word(row));
        }
    } else {
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = combine(*hash, if vector.validity().is_valid(row) { word(row) } else { NULL_HASH });
        }
    }
}

/// Whether two rows hold the same value; NULL equals NULL (as GROUP BY and DISTINCT want it; a join
/// leaves NULLs out beforehand).
#[inline]
pub fn vectors_equal_at(a: &Vector, row_a: usize, b: &Vector, row_b: usize) -> bool {
    match (a.is_valid(row_a), b.is_valid(row_b)) {
        (true, true) => {}
        (left, right) => return left == right,
    }
    let (i, j) = (a.index(row_a), b.index(row_b));
    match (a.data(), b.data()) {
        (Data::Bool(a), Data::Bool(b)) => a[i] == b[j],
        (Data::Int16(a), Data::Int16(b)) => a[i] == b[j],
        (Data::Int32(a), Data::Int32(b)) => a[i] == b[j],
        (Data::Int64(a), Data::Int64(b)) => a[i] == b[j],
        (Data::UInt32(a), Data::UInt32(b)) => a[i] == b[j],
        (Data::Float32(a), Data::Float32(b)) => compare_floats(f64::from(a[i]), f64::from(b[j])).is_eq(),
        (Data::Float64(a), Data::Float64(b)) => compare_floats(a[i], b[j]).is_eq(),
        (Data::Decimal { scale: s, values: a }, Data::Decimal { scale: t, values: b }) if s == t => {
            a[i] == b[j]
        }
        (Data::Numeric(a), Data::Numeric(b)) => a[i] == b[j],
        (Data::Interval(a), Data::Interval(b)) => a[i] == b[j],
        (Data::Text(a), Data::Text(b)) | (Data::Bytea(a), Data::Bytea(b)) => a.get(i) == b.get(j),
        (Data::Uuid(a), Data::Uuid(b)) => a[i] == b[j],
        (Data::Jsonb(a), Data::Jsonb(b)) => {
            a.get(i) == b.get(j) || crate::json::order::compare(Jsonb(a.get(i)), Jsonb(b.get(j))).is_eq()
        }
        _ => {
            let (left, right) = (a.value(row_a), b.value(row_b));
            match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left == right,
                _ => left == right,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datatype::Physical;
    use crate::value::Value;
    use crate::vector::{Validity, VectorBuilder};

    fn hash_of(vector: &Vector) -> Vec<u64> {
        let mut hashes = vec![0; vector.len()];
        hash_vector(vector, &mut hashes);
        hashes
    }

    #[test]
    fn equal_values_hash_equal_in_every_form() {
        let wide = ["1.50", "-2", "0.000", "1.5", "1234567890.12"].map(|text| Numeric::parse(text).unwrap());
        let numeric = Vector::flat(Data::Numeric(wide.to_vec()), Validity::all());
        let decimal = Vector::flat(
            Data::Decimal { scale: 2, values: vec![150, -200, 0, 150, 123_456_789_012] },
            Validity::all(),
        );
        assert_eq!(hash_of(&numeric), hash_of(&decimal));
        assert!((0..5).all(|row| vectors_equal_at(&numeric, row, &decimal, row)));
        assert!(!vectors_equal_at(&numeric, 0, &decimal, 1));

        let short = Vector::flat(Data::Int16(vec![-7, 300]), Validity::all());
        let long = Vector::flat(Data::Int64(vec![-7, 300]), Validity::all());
        assert_eq!(hash_of(&short), hash_of(&long));
        assert!(vectors_equal_at(&short, 1, &long, 1) && !vectors_equal_at(&short, 0, &long, 1));
        assert_eq!(hash_of(&long)[1], hash_integer(300));

        let floats = Vector::flat(Data::Float64(vec![0.0, -0.0, f64::NAN, -f64::NAN]), Validity::all());
        let hashes = hash_of(&floats);
        assert!(hashes[0] == hashes[1] && hashes[2] == hashes[3] && hashes[0] != hashes[2]);
    }

    #[test]
    fn nulls_hash_equal_and_differ_from_values() {
        let mut builder = VectorBuilder::new(Physical::Text, 2);
        builder.push(&Value::text(""));
        builder.push_null();
        let flat = builder.finish();
        let constant = Vector::nulls(Physical::Text, 2);
        assert_eq!(hash_of(&flat)[1], hash_of(&constant)[0]);
        assert_ne!(hash_of(&flat)[0], hash_of(&flat)[1]);
        assert!(vectors_equal_at(&flat, 1, &constant, 0) && !vectors_equal_at(&flat, 0, &constant, 0));
    }

    #[test]
    fn small_integers_spread_over_low_and_high_bits() {
        let vector = Vector::flat(Data::Int64((0..4096).collect()), Validity::all());
        let hashes = hash_of(&vector);
        for shift in [0, 20, 52] {
            let mut seen = vec![0u32; 4096];
            hashes.iter().for_each(|hash| seen[(hash >> shift & 4095) as usize] += 1);
            let filled = seen.iter().filter(|&&count| count > 0).count();
            assert!(filled > 2300 && seen.iter().all(|&count| count < 12), "shift {shift}: {filled}");
        }
    }
}
