//! The tokens of a path. After PostgreSQL's `jsonpath_scan.l`.

use crate::sqlstate::SqlState;
use crate::{Error, Result};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A bare name; keywords are names until the grammar asks.
    Name(String),
    /// In double quotes.
    String(String),
    /// `$name`, `$"name"`
    Variable(String),
    Integer,
    Number,
    /// A symbol, as written but for `<>`, which is `!=`, and `**`.
    Symbol(&'static str),
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Token<'t> {
    pub kind: Kind,
    pub text: &'t str,
}

const SYMBOLS: [(&str, &str); 29] = [
    ("&&", "&&"),
    ("||", "||"),
    ("!=", "!="),
    ("<>", "!="),
    ("==", "=="),
    ("<=", "<="),
    (">=", ">="),
    ("**", "**"),
    ("=", "=="),
    ("!", "!"),
    ("<", "<"),
    (">", ">"),
    ("?", "?"),
    ("%", "%"),
    ("$", "$"),
    (".", "."),
    ("[", "["),
    ("]", "]"),
    ("{", "{"),
    ("}", "}"),
    ("(", "("),
    (")", ")"),
    ("@", "@"),
    (",", ","),
    ("*", "*"),
    ("-", "-"),
    ("+", "+"),
    ("/", "/"),
    ("#", "#"),
];

/// 42601 at a token, as PostgreSQL words it.
pub(super) fn syntax_error(message: &str, near: &str) -> Error {
    let place = if near.is_empty() {
        format!("{message} at end of jsonpath input")
    } else {
        format!("{message} at or near \"{near}\" of jsonpath input")
    };
    Error::new(SqlState::SYNTAX_ERROR, place)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Ends a bare name.
fn is_special(byte: u8) -> bool {
    is_blank(byte) || b"?%$.[]{}()|&!=<>@#,*:-+/\"\\".contains(&byte)
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if is_blank(byte) {
            at += 1;
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with("/*") {
            match rest.find("*/") {
                Some(end) => at += end + 2,
                None => return Err(syntax_error("unexpected end of comment", "")),
            }
            continue;
        }
        let (kind, length) = match byte {
            b'"' => {
                let (value, length) = quoted(rest)?;
                (Kind::String(value), length)
            }
            b'$' if rest.as_bytes().get(1) == Some(&b'"') => {
                let (value, length) = quoted(&rest[1..])?;
                (Kind::Variable(value), length + 1)
            }
            b'$' if rest.as_bytes().get(1).is_some_and(|&byte| !is_special(byte)) => {
                let (value, length) = bare(&rest[1..])?;
                (Kind::Variable(value), length + 1)
            }
            b'0'..=b'9' => number(rest)?,
            b'.' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => number(rest)?,
            b'\\' => {
                let (value, length) = bare(rest)?;
                (Kind::Name(value), length)
            }
            _ if is_special(byte) => match SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
                Some((symbol, kind)) => (Kind::Symbol(kind), symbol.len()),
                None => return Err(syntax_error("syntax error", rest.get(..1).unwrap_or(rest))),
            },
            _ => {
                let (value, length) = bare(rest)?;
                (Kind::Name(value), length)
            }
        };
        tokens.push(Token { kind, text: rest.get(..length).unwrap_or(rest) });
        at += length;
    }
    tokens.push(Token { kind: Kind::End, text: "" });
    Ok(tokens)
}

fn number(text: &str) -> Result<(Kind, usize)> {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(0);
    let mut kind = Kind::Integer;
    if bytes.first() == Some(&b'0') && end > 1 {
        return Err(syntax_error("trailing junk after numeric literal", text.get(..2).unwrap_or(text)));
    }
    if bytes.get(end) == Some(&b'.') {
        kind = Kind::Number;
        end = digits(end + 1);
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let last = digits(end + 1 + sign);
        if last == end + 1 + sign {
            let junk = text.get(..last).unwrap_or(text);
            return Err(syntax_error("trailing junk after numeric literal", junk));
        }
        kind = Kind::Number;
        end = last;
    }
    if bytes.get(end).is_some_and(|&byte| !is_special(byte)) {
        let next = text.get(end..).unwrap_or_default().chars().next().map_or(0, char::len_utf8);
        let junk = text.get(..end + next).unwrap_or(text);
        return Err(syntax_error("trailing junk after numeric literal", junk));
    }
    Ok((kind, end))
}

/// A bare name, escapes resolved, and its length.
fn bare(text: &str) -> Result<(String, usize)> {
    let mut value = String::new();
    let mut at = 0;
    while let Some(character) = text.get(at..).unwrap_or_default().chars().next() {
        if character == '\\' {
            at += escape(text, at, &mut value)?;
        } else if u8::try_from(character).is_ok_and(|byte| byte.is_ascii() && is_special(byte)) {
            break;
        } else {
            value.push(character);
            at += character.len_utf8();
        }
    }
    Ok((value, at))
}

/// A string in double quotes, and its length with them.
fn quoted(text: &str) -> Result<(String, usize)> {
    let mut value = String::new();
    let mut at = 1;
    loop {
        match text.get(at..).unwrap_or_default().chars().next() {
            None => return Err(syntax_error("unterminated quoted string", "")),
            Some('"') => return Ok((value, at + 1)),
            Some('\\') => at += escape(text, at, &mut value)?,
            Some(character) => {
                value.push(character);
                at += character.len_utf8();
            }
        }
    }
}

/// Appends what the escape at `at` stands for; the escape's length.
fn escape(text: &str, at: usize, value: &mut String) -> Result<usize> {
    let rest = text.get(at + 1..).unwrap_or_default();
    let Some(character) = rest.chars().next() else {
        return Err(syntax_error("unexpected end after backslash", ""));
    };
    let plain = match character {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => {
            let digits = rest.get(1..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
                return Err(syntax_error("invalid hexadecimal character sequence", "\\x"));
            };
            push_code(code, value)?;
            return Ok(4);
        }
        'u' => return unicode(rest, value),
        other => other,
    };
    value.push(plain);
    Ok(1 + character.len_utf8())
}

/// `uXXXX` or `u{X…}`, and a second half if this is the first of a pair; the length with the backslash.
fn unicode(rest: &str, value: &mut String) -> Result<usize> {
    let invalid = || syntax_error("invalid Unicode escape sequence", "\\u");
    let one = |text: &str| -> Option<(u32, usize)> {
        let body = text.strip_prefix('u')?;
        let (digits, length) = match body.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}').filter(|end| (1..=6).contains(end))?;
                (inner.get(..end)?, end + 3)
            }
            None => (body.get(..4)?, 5),
        };
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| hexadecimal).map(|code| (code, length))
    };
    let surrogate = |detail: &str| {
        Error::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type jsonpath")
            .with_detail(detail)
    };
    let (code, length) = one(rest).ok_or_else(invalid)?;
    match code {
        0xd800..=0xdbff => {
            let second = rest.get(length..).and_then(|next| next.strip_prefix('\\')).and_then(one);
            match second {
                Some((low @ 0xdc00..=0xdfff, more)) => {
                    push_code(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), value)?;
                    Ok(1 + length + 1 + more)
                }
                Some((0xd800..=0xdbff, _)) => {
                    Err(surrogate("Unicode high surrogate must not follow a high surrogate."))
                }
                _ => Err(surrogate("Unicode low surrogate must follow a high surrogate.")),
            }
        }
        0xdc00..=0xdfff => Err(surrogate("Unicode low surrogate must follow a high surrogate.")),
        _ => {
            push_code(code, value)?;
            Ok(1 + length)
        }
    }
}

fn push_code(code: u32, value: &mut String) -> Result<()> {
    if code == 0 {
        return Err(Error::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
            .with_detail("\\u0000 cannot be converted to text."));
    }
    match char::from_u32(code) {
        Some(character) => {
            value.push(character);
            Ok(())
        }
        None => Err(syntax_error("invalid Unicode escape sequence", "\\u")),
    }
}
