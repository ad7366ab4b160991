//! String and bytea functions. Positions count characters, from 1.

use types::{Error, Result, SqlState, Vector};

use super::convert::push_any;
use crate::function::{Args, Kernel};
use crate::print::{quote_identifier, quote_literal};

/// Lower case, character by character (one for one, as towlower does).
pub(crate) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().map(|c| one_to_one(c, c.to_lowercase())).collect()
}

/// Upper case, character by character.
pub(crate) fn upper(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.chars().map(|c| one_to_one(c, c.to_uppercase())).collect()
}

fn one_to_one(original: char, mut mapped: impl ExactSizeIterator<Item = char>) -> char {
    if mapped.len() == 1 { mapped.next().unwrap_or(original) } else { original }
}

fn character_count(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// The byte offset of character `index` (from 0), or the end.
fn offset_of(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    text.char_indices().nth(index).map_or(text.len(), |(offset, _)| offset)
}

/// Characters `start .. start + length` of `text`, `start` from 1 and perhaps below it. 22011 for a
/// negative length.
pub(crate) fn substring(text: &str, start: i64, length: Option<i64>) -> Result<&str> {
    let end = match length {
        Some(length) if length < 0 => {
            return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => Some(start.saturating_add(length)),
        None => None,
    };
    let first = usize::try_from(start - 1).unwrap_or(0);
    let from = offset_of(text, first);
    let rest = &text[from..];
    Ok(match end {
        None => rest,
        Some(end) => {
            let count = usize::try_from(end - 1).unwrap_or(0).saturating_sub(first);
            &rest[..offset_of(rest, count)]
        }
    })
}

fn text_substr(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let length = (args.count() > 2).then(|| args.int(2, row));
        out.extend_from_slice(substring(args.str(0, row), args.int(1, row), length)?.as_bytes());
        Ok(())
    })
}

fn bytea_substr(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let (bytes, start) = (args.bytes(0, row), args.int(1, row));
        let end = if args.count() > 2 {
            let length = args.int(2, row);
            if length < 0 {
                return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
            }
            start.saturating_add(length)
        } else {
            i64::MAX
        };
        let from = usize::try_from(start - 1).unwrap_or(0).min(bytes.len());
        let to = usize::try_from(end - 1).unwrap_or(0).min(bytes.len());
        if to > from {
            out.extend_from_slice(&bytes[from..to]);
        }
        Ok(())
    })
}

fn case(args: &Args<'_>, ascii: fn(&u8) -> u8, other: fn(&str) -> String) -> Result<Vector> {
    args.build_text(|row, out| {
        let text = args.str(0, row);
        if text.is_ascii() {
            out.extend(text.as_bytes().iter().map(ascii));
        } else {
            out.extend_from_slice(other(text).as_bytes());
        }
        Ok(())
    })
}

fn initcap(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let mut inside = false;
        let mut buffer = [0; 4];
        for c in args.str(0, row).chars() {
            let mapped =
                if inside { one_to_one(c, c.to_lowercase()) } else { one_to_one(c, c.to_uppercase()) };
            out.extend_from_slice(mapped.encode_utf8(&mut buffer).as_bytes());
            inside = c.is_alphanumeric();
        }
        Ok(())
    })
}

fn trim(args: &Args<'_>, left: bool, right: bool) -> Result<Vector> {
    args.build_text(|row, out| {
        let text = args.str(0, row);
        let set = if args.count() > 1 { args.str(1, row) } else { " " };
        let within = |c: char| set.contains(c);
        let text = if left { text.trim_start_matches(within) } else { text };
        let text = if right { text.trim_end_matches(within) } else { text };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

fn bytea_trim(args: &Args<'_>, left: bool, right: bool) -> Result<Vector> {
    args.build_text(|row, out| {
        let (bytes, set) = (args.bytes(0, row), args.bytes(1, row));
        let mut from = 0;
        let mut to = bytes.len();
        while left && from < to && set.contains(&bytes[from]) {
            from += 1;
        }
        while right && to > from && set.contains(&bytes[to - 1]) {
            to -= 1;
        }
        out.extend_from_slice(&bytes[from..to]);
        Ok(())
    })
}

/// More than this a string may not grow to: PostgreSQL's limit of a value.
const MAX_LENGTH: usize = 0x3fff_ffff;

pub(crate) fn too_long() -> Error {
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

fn pad(args: &Args<'_>, left: bool) -> Result<Vector> {
    args.build_text(|row, out| {
        let text = args.str(0, row);
        let fill = if args.count() > 2 { args.str(2, row) } else { " " };
        let wanted = usize::try_from(args.int(1, row)).unwrap_or(0);
        if wanted > MAX_LENGTH / 4 {
            return Err(too_long());
        }
        let have = character_count(text);
        if have >= wanted || fill.is_empty() {
            out.extend_from_slice(&text.as_bytes()[..offset_of(text, wanted)]);
            return Ok(());
        }
        if !left {
            out.extend_from_slice(text.as_bytes());
        }
        let mut buffer = [0; 4];
        for c in fill.chars().cycle().take(wanted - have) {
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
        if left {
            out.extend_from_slice(text.as_bytes());
        }
        Ok(())
    })
}

fn position(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let (text, needle) = (args.str(0, row), args.str(1, row));
        Ok(match text.find(needle) {
            Some(offset) => i32::try_from(character_count(&text[..offset]) + 1).unwrap_or(i32::MAX),
            None => 0,
        })
    })
}

fn replace(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let (text, from, to) = (args.str(0, row), args.str(1, row), args.str(2, row));
        if from.is_empty() {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let mut rest = text;
        while let Some(at) = rest.find(from) {
            out.extend_from_slice(&rest.as_bytes()[..at]);
            out.extend_from_slice(to.as_bytes());
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest.as_bytes());
        Ok(())
    })
}

fn translate(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let from: Vec<char> = args.str(1, row).chars().collect();
        let to: Vec<char> = args.str(2, row).chars().collect();
        let mut buffer = [0; 4];
        for c in args.str(0, row).chars() {
            let mapped = match from.iter().position(|&f| f == c) {
                Some(index) => to.get(index).copied(),
                None => Some(c),
            };
            if let Some(c) = mapped {
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
        }
        Ok(())
    })
}

fn split_part(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let (text, delimiter, field) = (args.str(0, row), args.str(1, row), args.int(2, row));
        if field == 0 {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "field position must not be zero"));
        }
        let parts: Vec<&str> = if text.is_empty() {
            Vec::new()
        } else if delimiter.is_empty() {
            vec![text]
        } else {
            text.split(delimiter).collect()
        };
        let index = if field > 0 { field - 1 } else { parts.len() as i64 + field };
        if let Some(part) = usize::try_from(index).ok().and_then(|index| parts.get(index)) {
            out.extend_from_slice(part.as_bytes());
        }
        Ok(())
    })
}

fn repeat(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let (text, count) = (args.bytes(0, row), usize::try_from(args.int(1, row)).unwrap_or(0));
        if text.len().saturating_mul(count) > MAX_LENGTH {
            return Err(too_long());
        }
        repeat_into(text, count, out);
        Ok(())
    })
}

/// Appends `text` `count` times, doubling what is there.
fn repeat_into(text: &[u8], count: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let wanted = text.len() * count;
    out.reserve(wanted);
    if wanted > 0 {
        out.extend_from_slice(text);
    }
    while out.len() - start < wanted {
        let done = out.len() - start;
        out.extend_from_within(start..start + done.min(wanted - done));
    }
}

fn left_right(args: &Args<'_>, left: bool) -> Result<Vector> {
    args.build_text(|row, out| {
        let (text, count) = (args.str(0, row), args.int(1, row));
        let total = character_count(text) as i64;
        let keep = if count < 0 { (total + count).max(0) } else { count.min(total) } as usize;
        let part = if left {
            &text[..offset_of(text, keep)]
        } else {
            &text[offset_of(text, total as usize - keep)..]
        };
        out.extend_from_slice(part.as_bytes());
        Ok(())
    })
}

fn overlay(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let (text, insert, start) = (args.str(0, row), args.str(1, row), args.int(2, row));
        let length = if args.count() > 3 { args.int(3, row) } else { character_count(insert) as i64 };
        if start <= 0 {
            return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        out.extend_from_slice(substring(text, 1, Some(start - 1))?.as_bytes());
        out.extend_from_slice(insert.as_bytes());
        out.extend_from_slice(substring(text, start.saturating_add(length), None)?.as_bytes());
        Ok(())
    })
}

fn reverse(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let mut buffer = [0; 4];
        for c in args.str(0, row).chars().rev() {
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
        Ok(())
    })
}

fn ascii(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| Ok(args.str(0, row).chars().next().map_or(0, |c| c as i32)))
}

fn chr(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let code = args.int(0, row);
        if code == 0 {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "null character not permitted"));
        }
        let c = u32::try_from(code).ok().and_then(char::from_u32).ok_or_else(|| {
            let what = if code < 0 {
                "character number must be positive".to_string()
            } else {
                format!("requested character too large for encoding: {code}")
            };
            Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, what)
        })?;
        let mut buffer = [0; 4];
        out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        Ok(())
    })
}

fn concat(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        for position in 0..args.count() {
            push_any(args, position, row, out)?;
        }
        Ok(())
    })
}

fn concat_ws(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        if args.is_null(0, row) {
            return Ok(false);
        }
        let mut first = true;
        for position in 1..args.count() {
            if args.is_null(position, row) {
                continue;
            }
            if !first {
                out.extend_from_slice(args.bytes(0, row));
            }
            first = false;
            push_any(args, position, row, out)?;
        }
        Ok(true)
    })
}

fn text_concat(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        out.extend_from_slice(args.bytes(0, row));
        out.extend_from_slice(args.bytes(1, row));
        Ok(())
    })
}

/// `text || anything` and `anything || text`.
fn any_concat(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        for position in 0..2 {
            let data_type = args.types.get(position).copied().unwrap_or(types::DataType::TEXT);
            if data_type.oid == types::DataType::BOOL.oid {
                // The operator casts to text, and that spells booleans out.
                out.extend_from_slice(if args.bool(position, row) { b"true" } else { b"false" });
            } else {
                push_any(args, position, row, out)?;
            }
        }
        Ok(())
    })
}

fn quoted(args: &Args<'_>, nullable: bool) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        let mut text = Vec::new();
        if !push_any(args, 0, row, &mut text)? {
            if nullable {
                out.extend_from_slice(b"NULL");
            }
            return Ok(nullable);
        }
        out.extend_from_slice(quote_literal(&String::from_utf8_lossy(&text)).as_bytes());
        Ok(true)
    })
}

fn starts_with(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| Ok(args.bytes(0, row).starts_with(args.bytes(1, row))))
}

fn hex(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let value = args.int(0, row);
        let text = if args.function.source == "to_hex32" {
            format!("{:x}", value as u32)
        } else {
            format!("{:x}", value as u64)
        };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

fn length(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| Ok(i32::try_from(character_count(args.str(0, row))).unwrap_or(i32::MAX)))
}

fn octet_length(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| Ok(i32::try_from(args.bytes(0, row).len()).unwrap_or(i32::MAX)))
}

/// char(n) counts its blanks here.
fn padded_octet_length(args: &Args<'_>) -> Result<Vector> {
    let limit = args.types.first().and_then(|t| t.character_limit()).unwrap_or(0);
    args.build(|row| {
        let text = args.str(0, row);
        let missing = limit.saturating_sub(character_count(text));
        Ok(i32::try_from(text.len() + missing).unwrap_or(i32::MAX))
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("lower", |args| case(args, u8::to_ascii_lowercase, lower)),
    ("upper", |args| case(args, u8::to_ascii_uppercase, upper)),
    ("initcap", initcap),
    ("textcat", text_concat),
    ("byteacat", text_concat),
    ("textanycat_2003", any_concat),
    ("anytextcat_2004", any_concat),
    ("textlen", length),
    ("bpcharlen", length),
    ("textoctetlen", octet_length),
    ("bpcharoctetlen", padded_octet_length),
    ("byteaoctetlen", octet_length),
    ("bit_length_1810", |args| args.build(|row| Ok(args.bytes(0, row).len() as i32 * 8))),
    ("bit_length_1811", |args| args.build(|row| Ok(args.bytes(0, row).len() as i32 * 8))),
    ("text_substr", text_substr),
    ("text_substr_no_len", text_substr),
    ("bytea_substr", bytea_substr),
    ("bytea_substr_no_len", bytea_substr),
    ("textpos", position),
    ("byteapos", |args| {
        args.build(|row| {
            let found = memchr::memmem::find(args.bytes(0, row), args.bytes(1, row));
            Ok(found.map_or(0, |at| at as i32 + 1))
        })
    }),
    ("btrim", |args| trim(args, true, true)),
    ("btrim1", |args| trim(args, true, true)),
    ("ltrim", |args| trim(args, true, false)),
    ("ltrim1", |args| trim(args, true, false)),
    ("rtrim", |args| trim(args, false, true)),
    ("byteatrim", |args| bytea_trim(args, true, true)),
    ("bytealtrim", |args| bytea_trim(args, true, false)),
    ("byteartrim", |args| bytea_trim(args, false, true)),
    ("lpad", |args| pad(args, true)),
    ("lpad_879", |args| pad(args, true)),
    ("rpad", |args| pad(args, false)),
    ("rpad_880", |args| pad(args, false)),
    ("replace_text", replace),
    ("translate", translate),
    ("split_part", split_part),
    ("repeat", repeat),
    ("text_left", |args| left_right(args, true)),
    ("text_right", |args| left_right(args, false)),
    ("textoverlay", overlay),
    ("textoverlay_no_len", overlay),
    ("text_reverse", reverse),
    ("ascii", ascii),
    ("chr", chr),
    ("text_concat", concat),
    ("text_concat_ws", concat_ws),
    ("text_starts_with", starts_with),
    ("quote_ident", |args| {
        args.build_text(|row, out| {
            out.extend_from_slice(quote_identifier(args.str(0, row)).as_bytes());
            Ok(())
        })
    }),
    ("quote_literal", |args| quoted(args, false)),
    ("quote_literal_1285", |args| quoted(args, false)),
    ("quote_nullable", |args| quoted(args, true)),
    ("quote_nullable_1290", |args| quoted(args, true)),
    ("to_hex32", hex),
    ("to_hex64", hex),
];
