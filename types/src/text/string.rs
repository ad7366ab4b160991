//! Text with a limit, booleans, bytea and uuid as text.

use super::number::trim;
use super::{ByteaOutput, invalid_syntax};
use crate::datatype::DataType;
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// Any unambiguous beginning of true, false, yes, no; on, off, 1, 0. 22P02.
pub(super) fn parse_bool(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(word.as_str());
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// The first character, for `"char"`; `\101` is octal.
pub(super) fn parse_char(text: &str) -> String {
    if let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] = text.as_bytes() {
        let code = (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0');
        return if code == 0 { String::new() } else { char::from(code).to_string() };
    }
    text.chars().take(1).collect()
}

/// `text` within the limit of varchar(n) or char(n); char values lose their trailing blanks.
///
/// 22001 `value too long for type character varying(5)` unless `explicit` (a cast, which cuts) or only
/// blanks are cut off.
pub(super) fn fit_characters(text: &str, data_type: DataType, explicit: bool) -> Result<&str> {
    let kept = match data_type.character_limit() {
        // Bytes bound characters from above.
        Some(limit) if text.len() > limit => match text.char_indices().nth(limit) {
            None => text,
            Some((end, _)) => {
                let (kept, cut) = text.split_at(end);
                if !explicit && cut.bytes().any(|byte| byte != b' ') {
                    return Err(Error::new(
                        SqlState::STRING_DATA_RIGHT_TRUNCATION,
                        format!("value too long for type {data_type}"),
                    ));
                }
                kept
            }
        },
        _ => text,
    };
    Ok(if data_type.oid == DataType::BPCHAR.oid { kept.trim_end_matches(' ') } else { kept })
}

/// Appends text; char(n) is padded to its n characters.
#[inline]
pub(super) fn write_text(text: &[u8], data_type: DataType, out: &mut Vec<u8>) {
    out.extend_from_slice(text);
    if data_type.oid == DataType::BPCHAR.oid
        && let Some(limit) = data_type.character_limit()
    {
        let characters = text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        out.resize(out.len() + limit.saturating_sub(characters), b' ');
    }
}

/// Hex (`\x6162`) or escape form. 22P02, 22023 for bad hex.
pub(super) fn parse_bytea(text: &str) -> Result<Vec<u8>> {
    let invalid = || Error::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea");
    if let Some(hex) = text.strip_prefix("\\x") {
        return parse_hex(hex);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(out),
            [b'\\', b'\\', tail @ ..] => {
                out.push(b'\\');
                tail
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                tail
            }
            [b'\\', ..] => return Err(invalid()),
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

fn parse_hex(hex: &str) -> Result<Vec<u8>> {
    let bad = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut out = Vec::with_capacity(hex.len() / 2);
    let mut high = None;
    for character in hex.chars() {
        if high.is_none() && u8::try_from(character).is_ok_and(|byte| byte.is_ascii_whitespace()) {
            continue;
        }
        let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or_else(|| bad(format!("invalid hexadecimal digit: \"{character}\"")))?;
        match high.take() {
            None => high = Some(digit),
            Some(upper) => out.push(upper << 4 | digit),
        }
    }
    if high.is_some() {
        return Err(bad("invalid hexadecimal data: odd number of digits".to_string()));
    }
    Ok(out)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn write_hex(byte: u8, out: &mut Vec<u8>) {
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

pub(super) fn write_bytea(bytes: &[u8], style: ByteaOutput, out: &mut Vec<u8>) {
    match style {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            bytes.iter().for_each(|&byte| write_hex(byte, out));
        }
        ByteaOutput::Escape => {
            for &byte in bytes {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(byte),
                    _ => out.extend_from_slice(&[
                        b'\\',
                        b'0' + (byte >> 6),
                        b'0' + (byte >> 3 & 7),
                        b'0' + (byte & 7),
                    ]),
                }
            }
        }
    }
}

/// 32 hex digits, hyphens after any group of four, braces around. 22P02.
pub(super) fn parse_uuid(text: &str) -> Result<u128> {
    let invalid = || invalid_syntax("uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    let (mut value, mut digits) = (0u128, 0usize);
    let mut hyphen_allowed = false;
    for byte in inner.bytes() {
        if byte == b'-' && hyphen_allowed {
            hyphen_allowed = false;
            continue;
        }
        let digit = char::from(byte).to_digit(16).ok_or_else(invalid)?;
        if digits == 32 {
            return Err(invalid());
        }
        value = value << 4 | u128::from(digit);
        digits += 1;
        hyphen_allowed = digits % 4 == 0 && digits < 32;
    }
    if digits == 32 { Ok(value) } else { Err(invalid()) }
}

pub(super) fn write_uuid(value: u128, out: &mut Vec<u8>) {
    for (index, byte) in value.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        write_hex(byte, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_characters_and_forgive_blanks() {
        let varchar = DataType::VARCHAR.with_modifier(4 + 3);
        let bpchar = DataType::BPCHAR.with_modifier(4 + 3);
        assert_eq!(fit_characters("äöü", varchar, false).unwrap(), "äöü");
        assert_eq!(fit_characters("ab    ", varchar, false).unwrap(), "ab ");
        assert_eq!(fit_characters("ab    ", bpchar, false).unwrap(), "ab");
        let error = fit_characters("abcd", varchar, false).unwrap_err();
        assert_eq!(error.message(), "value too long for type character varying(3)");
        assert_eq!(fit_characters("abcd", varchar, true).unwrap(), "abc");
        let mut out = Vec::new();
        write_text("ä".as_bytes(), bpchar, &mut out);
        assert_eq!(out, "ä  ".as_bytes());
    }

    #[test]
    fn bools_bytea_and_uuids_read_as_postgres_reads_them() {
        assert!(parse_bool(" TRUE ").unwrap() && !parse_bool("of").unwrap() && parse_bool("y").unwrap());
        assert!(parse_bool("o").is_err() && parse_bool("").is_err() && parse_bool("truer").is_err());
        assert_eq!(parse_bytea("\\x4142 43").unwrap(), b"ABC");
        assert_eq!(parse_bytea("a\\\\\\001").unwrap(), b"a\\\x01");
        assert_eq!(parse_bytea("\\xabc").unwrap_err().code(), SqlState::INVALID_PARAMETER_VALUE);
        let mut out = Vec::new();
        write_bytea(b"a\\\x01\xff", ByteaOutput::Escape, &mut out);
        assert_eq!(out, b"a\\\\\\001\\377");
        let uuid = parse_uuid("{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}").unwrap();
        let mut out = Vec::new();
        write_uuid(uuid, &mut out);
        assert_eq!(out, b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        assert!(parse_uuid("a0eebc999c0b4ef8bb6d6bb9bd380a1").is_err());
    }
}
