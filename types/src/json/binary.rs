//! `jsonb`'s bytes: written from a [`Json`], read in place.
//!
//! ```text
//! 00 null   01 false   02 true
//! 03 and the number (`row::codec`'s numeric, which keeps the scale)
//! 04 and the string's UTF-8
//! 05 count u32 · end of each element u32 · the elements
//! 06 count u32 · end of each key u32 · end of each value u32 · the keys' UTF-8 · the values
//! ```
//!
//! Integers are little-endian; an end counts from the start of its block, so that a value's length is
//! known from outside and element `i` or a key (by bisection) is found without reading the others.
//! Keys are sorted by length, then bytes, each once. Bytes from disk pass [`check`] before a view is
//! made; a view of bytes that never did answers without panic, but not sensibly.

use super::{Json, MAX_DEPTH, compare_keys, too_deep};
use crate::numeric::Numeric;
use crate::row::codec;
use crate::sqlstate::SqlState;
use crate::{Error, Result};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const STRING: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

/// The bytes of JSON null.
pub const NULL_BYTES: &[u8] = &[NULL];

/// A `jsonb` value in its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Jsonb<'a>(pub &'a [u8]);

/// What a value is; the order of declaration is the order of values of different kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JsonbKind {
    Null,
    String,
    Number,
    Bool,
    Array,
    Object,
}

fn too_big() -> Error {
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "jsonb value is too big: over 4 GB")
}

fn size(value: usize) -> Result<[u8; 4]> {
    u32::try_from(value).map(u32::to_le_bytes).map_err(|_| too_big())
}

/// Appends the bytes of `json`.
pub(super) fn write(json: &Json, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    match json {
        Json::Null => out.push(NULL),
        Json::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Json::Number(number) => {
            out.push(NUMBER);
            codec::write_numeric(number, out);
        }
        Json::String(text) => {
            out.push(STRING);
            out.extend_from_slice(text.as_bytes());
        }
        Json::Array(items) => {
            if depth >= MAX_DEPTH {
                return Err(too_deep());
            }
            out.push(ARRAY);
            out.extend_from_slice(&size(items.len())?);
            let ends = out.len();
            out.resize(ends + items.len() * 4, 0);
            let start = out.len();
            for (index, item) in items.iter().enumerate() {
                write(item, out, depth + 1)?;
                put_end(out, ends, index, start)?;
            }
        }
        Json::Object(pairs) => {
            if depth >= MAX_DEPTH {
                return Err(too_deep());
            }
            // Stable, so that the last of equal keys is the last written.
            let mut sorted: Vec<&(String, Json)> = pairs.iter().collect();
            sorted.sort_by(|a, b| compare_keys(a.0.as_bytes(), b.0.as_bytes()));
            let last = |index: usize| sorted.get(index + 1).is_none_or(|next| next.0 != sorted[index].0);
            let kept: Vec<&(String, Json)> =
                (0..sorted.len()).filter(|&index| last(index)).map(|index| sorted[index]).collect();
            out.push(OBJECT);
            out.extend_from_slice(&size(kept.len())?);
            let key_ends = out.len();
            let value_ends = key_ends + kept.len() * 4;
            out.resize(value_ends + kept.len() * 4, 0);
            let start = out.len();
            for (index, (key, _)) in kept.iter().enumerate() {
                out.extend_from_slice(key.as_bytes());
                put_end(out, key_ends, index, start)?;
            }
            let start = out.len();
            for (index, (_, value)) in kept.iter().enumerate() {
                write(value, out, depth + 1)?;
                put_end(out, value_ends, index, start)?;
            }
        }
    }
    Ok(())
}

fn put_end(out: &mut [u8], ends: usize, index: usize, start: usize) -> Result<()> {
    let end = size(out.len() - start)?;
    let at = ends + index * 4;
    out[at..at + 4].copy_from_slice(&end);
    Ok(())
}

/// Whether bytes from outside are what [`write`] makes. XX001.
pub fn check(bytes: &[u8]) -> Result<()> {
    check_nested(bytes, 0)
}

fn check_nested(bytes: &[u8], depth: usize) -> Result<()> {
    let malformed = |what: &str| Err(Error::corrupted(format!("malformed jsonb: {what}")));
    if depth > MAX_DEPTH {
        return malformed("nested too deep");
    }
    let Some((&tag, rest)) = bytes.split_first() else { return malformed("empty") };
    match tag {
        NULL | FALSE | TRUE if rest.is_empty() => Ok(()),
        NUMBER if codec::read_numeric(rest)?.is_finite() => Ok(()),
        STRING if std::str::from_utf8(rest).is_ok() => Ok(()),
        ARRAY | OBJECT => {
            let count = read_u32(rest, 0).map_or(usize::MAX, |count| count);
            let blocks = if tag == OBJECT { 2 } else { 1 };
            let Some(head) = count.checked_mul(4 * blocks).and_then(|ends| ends.checked_add(4)) else {
                return malformed("too many elements");
            };
            let Some(data) = rest.get(head..) else { return malformed("too short") };
            let view = Jsonb(bytes);
            let mut before: Option<&[u8]> = None;
            let mut keys = 0;
            if tag == OBJECT {
                for index in 0..count {
                    let end = read_u32(rest, 4 + index * 4).unwrap_or(usize::MAX);
                    let key = data.get(keys..end);
                    let Some(key) = key.filter(|key| std::str::from_utf8(key).is_ok()) else {
                        return malformed("a bad key");
                    };
                    if before.is_some_and(|before| compare_keys(before, key).is_ge()) {
                        return malformed("keys out of order");
                    }
                    before = Some(key);
                    keys = end;
                }
            }
            let last = if count == 0 { 0 } else { read_u32(rest, head - 4).unwrap_or(usize::MAX) };
            if keys.checked_add(last) != Some(data.len()) {
                return malformed("a wrong length");
            }
            for index in 0..count {
                check_nested(view.child(index).0, depth + 1)?;
            }
            Ok(())
        }
        _ => malformed("a value of unknown kind"),
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

impl<'a> Jsonb<'a> {
    pub fn kind(self) -> JsonbKind {
        match self.0.first() {
            Some(&(FALSE | TRUE)) => JsonbKind::Bool,
            Some(&NUMBER) => JsonbKind::Number,
            Some(&STRING) => JsonbKind::String,
            Some(&ARRAY) => JsonbKind::Array,
            Some(&OBJECT) => JsonbKind::Object,
            _ => JsonbKind::Null,
        }
    }

    /// As `jsonb_typeof` names it.
    pub fn type_name(self) -> &'static str {
        match self.kind() {
            JsonbKind::Null => "null",
            JsonbKind::String => "string",
            JsonbKind::Number => "number",
            JsonbKind::Bool => "boolean",
            JsonbKind::Array => "array",
            JsonbKind::Object => "object",
        }
    }

    pub fn is_scalar(self) -> bool {
        self.kind() < JsonbKind::Array
    }

    pub fn is_null(self) -> bool {
        self.kind() == JsonbKind::Null
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.0.first() {
            Some(&TRUE) => Some(true),
            Some(&FALSE) => Some(false),
            _ => None,
        }
    }

    pub fn as_number(self) -> Option<Numeric> {
        match self.0.split_first() {
            Some((&NUMBER, rest)) => codec::read_numeric(rest).ok(),
            _ => None,
        }
    }

    pub fn as_str(self) -> Option<&'a str> {
        match self.0.split_first() {
            Some((&STRING, rest)) => std::str::from_utf8(rest).ok(),
            _ => None,
        }
    }

    /// How many elements or pairs; 0 for a scalar.
    pub fn len(self) -> usize {
        match self.0.split_first() {
            Some((&(ARRAY | OBJECT), rest)) => read_u32(rest, 0).unwrap_or(0).min(rest.len() / 4),
            _ => 0,
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Element `index`, or the value of pair `index`; JSON null where there is none.
    pub fn child(self, index: usize) -> Jsonb<'a> {
        self.find_child(index).unwrap_or(Jsonb(NULL_BYTES))
    }

    fn find_child(self, index: usize) -> Option<Jsonb<'a>> {
        let count = self.len();
        if index >= count {
            return None;
        }
        // Where the ends of children stand, and where their bytes start.
        let (ends, start) = if self.kind() == JsonbKind::Object {
            let keys = read_u32(self.0, 5 + (count - 1) * 4)?;
            (5 + count * 4, 5 + count * 8 + keys)
        } else {
            (5, 5 + count * 4)
        };
        let from = if index == 0 { 0 } else { read_u32(self.0, ends + (index - 1) * 4)? };
        let to = read_u32(self.0, ends + index * 4)?;
        self.0.get(start.checked_add(from)?..start.checked_add(to)?).map(Jsonb)
    }

    /// The key of pair `index` of an object.
    pub fn key(self, index: usize) -> &'a str {
        self.find_key(index).unwrap_or_default()
    }

    fn find_key(self, index: usize) -> Option<&'a str> {
        let count = self.len();
        if self.kind() != JsonbKind::Object || index >= count {
            return None;
        }
        let start = 5 + count * 8;
        let from = if index == 0 { 0 } else { read_u32(self.0, 5 + (index - 1) * 4)? };
        let to = read_u32(self.0, 5 + index * 4)?;
        std::str::from_utf8(self.0.get(start.checked_add(from)?..start.checked_add(to)?)?).ok()
    }

    /// The value of `key`, if this is an object that has it.
    pub fn field(self, key: &str) -> Option<Jsonb<'a>> {
        if self.kind() != JsonbKind::Object {
            return None;
        }
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match compare_keys(self.key(middle).as_bytes(), key.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(self.child(middle)),
            }
        }
        None
    }

    /// Element `index` of an array, from its end if negative.
    pub fn element(self, index: i64) -> Option<Jsonb<'a>> {
        if self.kind() != JsonbKind::Array {
            return None;
        }
        let index = if index < 0 { index + i64::try_from(self.len()).ok()? } else { index };
        usize::try_from(index).ok().and_then(|index| self.find_child(index))
    }

    /// The elements of an array, or the values of an object.
    pub fn children(self) -> impl Iterator<Item = Jsonb<'a>> {
        (0..self.len()).map(move |index| self.child(index))
    }

    /// The pairs of an object.
    pub fn pairs(self) -> impl Iterator<Item = (&'a str, Jsonb<'a>)> {
        let count = if self.kind() == JsonbKind::Object { self.len() } else { 0 };
        (0..count).map(move |index| (self.key(index), self.child(index)))
    }

    /// The tree of it.
    pub fn to_json(self) -> Json {
        match self.kind() {
            JsonbKind::Null => Json::Null,
            JsonbKind::Bool => Json::Bool(self.as_bool() == Some(true)),
            JsonbKind::Number => self.as_number().map_or(Json::Null, Json::Number),
            JsonbKind::String => Json::String(self.as_str().unwrap_or_default().to_string()),
            JsonbKind::Array => Json::Array(self.children().map(Jsonb::to_json).collect()),
            JsonbKind::Object => {
                Json::Object(self.pairs().map(|(key, value)| (key.to_string(), value.to_json())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_sort_their_keys_and_keep_the_last() {
        let bytes = Json::parse(r#"{"bb":1,"a":2,"c":[1,{"x":null}],"a":"last"}"#).unwrap().encode().unwrap();
        check(&bytes).unwrap();
        let view = Jsonb(&bytes);
        let keys: Vec<&str> = view.pairs().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "c", "bb"]);
        assert_eq!(view.field("a").unwrap().as_str(), Some("last"));
        assert!(view.field("c").unwrap().element(-1).unwrap().field("x").unwrap().is_null());
        assert!(view.field("d").is_none() && view.element(0).is_none());
    }

    #[test]
    fn any_cut_or_changed_byte_is_answered_without_panic() {
        let json = Json::parse(r#"{"a":[1,2.50,"x",true,null,{}],"b":{"c":"d"},"long":-1e300}"#).unwrap();
        let bytes = json.encode().unwrap();
        for cut in 0..bytes.len() {
            assert!(check(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let _ = check(&changed);
                let mut out = Vec::new();
                super::super::print::write_text(Jsonb(&changed), &mut out);
            }
        }
    }
}
