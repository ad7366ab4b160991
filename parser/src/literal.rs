//! What a token says: folded names, unescaped strings, numbers.
//!
//! Called by the grammar for each name or literal it takes, and by `fingerprint.rs`.
//! Holds: the text of a token was accepted by the lexer, so delimiters are there and balanced.

use types::{Error, Span, SqlState};

use crate::ast::ConstValue;
use crate::lexer::{Tok, Token, continuation};
use crate::syntax_error::near;

/// The longest a name may be, in bytes; longer ones are cut, at a character.
pub const MAX_NAME_BYTES: usize = 63;

/// The name an identifier token stands for.
pub(crate) fn name(text: &str, token: Token) -> Result<String, Error> {
    let raw = slice(text, token);
    let mut name = match token.tok {
        Tok::Quoted => inside(raw, 1).replace("\"\"", "\""),
        Tok::UnicodeQuoted => {
            let (raw, escape) = split_uescape(raw);
            unicode_escapes(&inside(raw, 3).replace("\"\"", "\""), escape, token.span())?
        }
        Tok::Keyword(keyword) => return Ok(keyword.word().to_string()),
        _ => raw.to_ascii_lowercase(),
    };
    if name.len() > MAX_NAME_BYTES {
        let mut end = MAX_NAME_BYTES;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    Ok(name)
}

/// The text a string token stands for. Bit strings keep PostgreSQL's leading `b` or `x`.
pub(crate) fn string(text: &str, token: Token) -> Result<String, Error> {
    let raw = slice(text, token);
    match token.tok {
        Tok::String => Ok(plain(raw)),
        Tok::NationalString => Ok(plain(raw.get(1..).unwrap_or(""))),
        Tok::BitString => Ok(format!("b{}", plain(raw.get(1..).unwrap_or("")))),
        Tok::HexString => Ok(format!("x{}", plain(raw.get(1..).unwrap_or("")))),
        Tok::EscapeString => backslash_escapes(raw, token.start),
        Tok::DollarString => {
            let tag = raw.get(1..).and_then(|rest| rest.find('$')).map_or(2, |at| at + 2);
            Ok(raw.get(tag..raw.len().saturating_sub(tag)).unwrap_or("").to_string())
        }
        Tok::UnicodeString => {
            let (raw, escape) = split_uescape(raw);
            unicode_escapes(&plain(raw.get(2..).unwrap_or("")), escape, token.span())
        }
        _ => Ok(raw.to_string()),
    }
}

/// The value of a number token.
pub(crate) fn number(text: &str, token: Token) -> ConstValue {
    let raw = slice(text, token);
    let cleaned;
    let digits = if raw.contains('_') {
        cleaned = raw.replace('_', "");
        cleaned.as_str()
    } else {
        raw
    };
    if token.tok == Tok::Integer {
        let radix = match digits.as_bytes().get(..2) {
            Some([b'0', b'x' | b'X']) => 16,
            Some([b'0', b'o' | b'O']) => 8,
            Some([b'0', b'b' | b'B']) => 2,
            _ => 10,
        };
        let body = if radix == 10 { digits } else { digits.get(2..).unwrap_or("") };
        if let Ok(value) = i64::from_str_radix(body, radix) {
            return ConstValue::Integer(value);
        }
        if radix != 10 {
            return ConstValue::Numeric(decimal_of(body, radix));
        }
    }
    ConstValue::Numeric(digits.to_string())
}

/// Decimal digits of a number too large for i64, by schoolbook arithmetic in base 10^9.
fn decimal_of(digits: &str, radix: u32) -> String {
    let mut limbs: Vec<u32> = vec![0];
    for digit in digits.chars().filter_map(|c| c.to_digit(radix)) {
        let mut carry = u64::from(digit);
        for limb in &mut limbs {
            let value = u64::from(*limb) * u64::from(radix) + carry;
            *limb = (value % 1_000_000_000) as u32;
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    let mut out = String::new();
    for limb in limbs.iter().rev() {
        if out.is_empty() { out = limb.to_string() } else { out.push_str(&format!("{limb:09}")) }
    }
    out
}

fn slice(text: &str, token: Token) -> &str {
    text.get(token.start as usize..token.end as usize).unwrap_or("")
}

fn inside(raw: &str, prefix: usize) -> &str {
    raw.get(prefix..raw.len().saturating_sub(1)).unwrap_or("")
}

/// `'a''b'` and its continuations.
fn plain(raw: &str) -> String {
    let body = inside(raw, 1);
    if !body.contains('\'') {
        return body.to_string();
    }
    let mut out = String::with_capacity(body.len());
    let bytes = raw.as_bytes();
    let mut at = 1;
    let mut from = 1;
    while let Some(quote) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'\'')) {
        at += quote;
        out.push_str(raw.get(from..at).unwrap_or(""));
        if bytes.get(at + 1) == Some(&b'\'') {
            out.push('\'');
            at += 2;
        } else if let Some(next) = continuation(bytes, at + 1) {
            at = next + 1;
        } else {
            break;
        }
        from = at;
    }
    out
}

/// `E'…'`: C's escapes, and `\u`.
fn backslash_escapes(raw: &str, start: u32) -> Result<String, Error> {
    let bytes = raw.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let mut at = 2;
    let mut high: Option<u32> = None;
    let mut bytewise = false;
    let span_of = |at: usize, len: usize| Span::new(start as usize + at, start as usize + at + len);
    let bad_pair = |at: usize| Error::syntax("invalid Unicode surrogate pair").at(span_of(at, 1));
    while let Some(byte) = bytes.get(at).copied() {
        let is_unicode = byte == b'\\' && matches!(bytes.get(at + 1), Some(b'u' | b'U'));
        if high.is_some() && !is_unicode {
            return Err(bad_pair(at));
        }
        match byte {
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => {
                out.push(b'\'');
                at += 2;
            }
            b'\'' => match continuation(bytes, at + 1) {
                Some(next) => at = next + 1,
                None => break,
            },
            b'\\' => {
                let escape = bytes.get(at + 1).copied().unwrap_or(b'\\');
                at += 2;
                match escape {
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'v' => out.push(11),
                    b'0'..=b'7' => {
                        let mut value = u32::from(escape - b'0');
                        for _ in 0..2 {
                            if let Some(digit @ b'0'..=b'7') = bytes.get(at).copied() {
                                value = value * 8 + u32::from(digit - b'0');
                                at += 1;
                            }
                        }
                        out.push(value as u8);
                        bytewise = true;
                    }
                    b'x' if bytes.get(at).is_some_and(u8::is_ascii_hexdigit) => {
                        let len = if bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit) { 2 } else { 1 };
                        let value = raw.get(at..at + len).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                        out.push(value.unwrap_or(0));
                        at += len;
                        bytewise = true;
                    }
                    b'u' | b'U' => {
                        let len = if escape == b'u' { 4 } else { 8 };
                        let code = raw
                            .get(at..at + len)
                            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
                            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
                        let Some(code) = code else {
                            return Err(Error::new(
                                SqlState::INVALID_ESCAPE_SEQUENCE,
                                "invalid Unicode escape",
                            )
                            .with_hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                            .at(span_of(at - 2, 2)));
                        };
                        let mut buffer = [0u8; 4];
                        match join_surrogates(&mut high, code) {
                            Err(Bad::Pair) => return Err(bad_pair(at - 2)),
                            Err(Bad::Value) => {
                                return Err(Error::syntax("invalid Unicode escape value")
                                    .at(span_of(at - 2, len + 2)));
                            }
                            Ok(None) => {}
                            Ok(Some(c)) => out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
                        }
                        at += len;
                    }
                    other => out.push(other),
                }
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    if high.is_some() {
        return Err(bad_pair(at));
    }
    if bytewise && let Some(zero) = out.iter().position(|b| *b == 0) {
        return Err(invalid_bytes(out.get(zero..=zero).unwrap_or(&[0]), start));
    }
    String::from_utf8(out).map_err(|error| {
        let from = error.utf8_error().valid_up_to();
        let len = error.utf8_error().error_len().unwrap_or(1);
        let bytes = error.into_bytes();
        invalid_bytes(bytes.get(from..from + len).unwrap_or(&[]), start)
    })
}

fn invalid_bytes(bytes: &[u8], start: u32) -> Error {
    let hex: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", hex.join(" "));
    Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message).at(Span::at(start as usize))
}

enum Bad {
    Pair,
    Value,
}

/// Feeds one code unit; gives a character once it is whole.
fn join_surrogates(high: &mut Option<u32>, code: u32) -> Result<Option<char>, Bad> {
    match (high.take(), code) {
        (None, 0xd800..=0xdbff) => {
            *high = Some(code);
            Ok(None)
        }
        (None, 0xdc00..=0xdfff) => Err(Bad::Pair),
        (None, 0) => Err(Bad::Value),
        (None, code) => char::from_u32(code).map(Some).ok_or(Bad::Value),
        (Some(first), 0xdc00..=0xdfff) => {
            char::from_u32(0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00)).map(Some).ok_or(Bad::Value)
        }
        (Some(_), _) => Err(Bad::Pair),
    }
}

/// Splits `U&'…' UESCAPE '!'` into the quoted part and the escape character.
fn split_uescape(raw: &str) -> (&str, char) {
    let quote = raw.as_bytes().get(2).copied().unwrap_or(b'\'');
    let trimmed = raw.trim_end();
    // The quoted part ends the token unless an UESCAPE clause was taken into it: `… uescape 'c'`.
    let clause = trimmed
        .len()
        .checked_sub(3)
        .and_then(|at| trimmed.get(at..))
        .filter(|tail| tail.starts_with('\'') && tail.ends_with('\''));
    if let Some(clause) = clause
        && let Some(before) = trimmed.get(..trimmed.len() - 3)
    {
        let word_end = before.trim_end_matches([' ', '\t', '\n', '\r', '\x0c']);
        let word = word_end.len().checked_sub(7).and_then(|at| word_end.get(at..));
        if word.is_some_and(|word| word.eq_ignore_ascii_case("uescape"))
            && let Some(quoted) = word_end.get(..word_end.len() - 7)
        {
            let quoted = quoted.trim_end_matches([' ', '\t', '\n', '\r', '\x0c']);
            if quoted.len() > 3 && quoted.as_bytes().last() == Some(&quote) {
                return (quoted, clause.chars().nth(1).unwrap_or('\\'));
            }
        }
    }
    (raw, '\\')
}

/// `\XXXX`, `\+XXXXXX` and the doubled escape character.
fn unicode_escapes(body: &str, escape: char, span: Span) -> Result<String, Error> {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    let mut high: Option<u32> = None;
    // The place within the token, `U&'` left aside.
    let place =
        |rest: &str| Span::new(span.start as usize + 3 + (body.len() - rest.len()), span.end as usize);
    let pair = |rest: &str| Error::syntax("invalid Unicode surrogate pair").at(place(rest));
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or("");
        if c != escape {
            if high.is_some() {
                return Err(pair(rest));
            }
            out.push(c);
            rest = after;
            continue;
        }
        if after.starts_with(escape) {
            if high.is_some() {
                return Err(pair(rest));
            }
            out.push(escape);
            rest = after.get(escape.len_utf8()..).unwrap_or("");
            continue;
        }
        let (from, len) = if after.starts_with('+') { (1, 6) } else { (0, 4) };
        let code = after
            .get(from..from + len)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let Some(code) = code else {
            return Err(Error::syntax("invalid Unicode escape")
                .with_hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
                .at(place(rest)));
        };
        match join_surrogates(&mut high, code) {
            Err(Bad::Pair) => return Err(pair(rest)),
            Err(Bad::Value) => return Err(Error::syntax("invalid Unicode escape value").at(place(rest))),
            Ok(None) => {}
            Ok(Some(c)) => out.push(c),
        }
        rest = after.get(from + len..).unwrap_or("");
    }
    if high.is_some() {
        return Err(pair(rest));
    }
    Ok(out)
}

/// [`near`] for a token.
pub(crate) fn near_token(what: &str, text: &str, token: Token) -> Error {
    near(what, text, token.span())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokenize;

    fn said(text: &str) -> Result<String, Error> {
        let token = tokenize(text).list[0];
        match token.tok {
            Tok::Word | Tok::Quoted | Tok::UnicodeQuoted => name(text, token),
            Tok::Integer | Tok::Numeric => Ok(format!("{:?}", number(text, token))),
            _ => string(text, token),
        }
    }

    #[test]
    fn strings_say_what_postgres_reads() {
        for (text, value) in [
            ("'it''s'", "it's"),
            ("'a'\n 'b''' -- x\n'c'", "ab'c"),
            ("E'a\\tb\\x41\\101\\u0042\\\\\\''", "a\tbAAB\\'"),
            ("E'\\ud83d\\ude00'", "😀"),
            ("E'\\xc3\\xa9'", "é"),
            ("$q$it's $$$q$", "it's $$"),
            ("U&'d\\0061t\\+000061 \\\\'", "data \\"),
            ("U&'d!0061' uescape '!'", "da"),
            ("B'101'", "b101"),
            ("X'1f'", "x1f"),
            ("\"A\"\"b\"", "A\"b"),
            ("U&\"d\\0061\"", "da"),
            ("FooÉ", "fooÉ"),
        ] {
            assert_eq!(said(text).unwrap(), value, "{text}");
        }
        assert_eq!(said(&"x".repeat(70)).unwrap().len(), 63);
        assert_eq!(said(&"é".repeat(70)).unwrap().len(), 62);
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(said("0x1F").unwrap(), "Integer(31)");
        assert_eq!(said("0xFFFFFFFFFFFFFFFFFF").unwrap(), "Numeric(\"4722366482869645213695\")");
        assert_eq!(said("1_000").unwrap(), "Integer(1000)");
        assert_eq!(said("9223372036854775808").unwrap(), "Numeric(\"9223372036854775808\")");
        assert_eq!(said("1.500").unwrap(), "Numeric(\"1.500\")");
        assert_eq!(said("1e10").unwrap(), "Numeric(\"1e10\")");
    }

    #[test]
    fn bad_escapes() {
        assert_eq!(said("E'\\u12'").unwrap_err().code(), SqlState::INVALID_ESCAPE_SEQUENCE);
        assert_eq!(said("E'\\xff'").unwrap_err().code(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(said("E'\\000'").unwrap_err().code(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert!(said("E'\\ud83dx'").is_err());
        assert!(said("U&'\\00'").is_err());
    }
}
