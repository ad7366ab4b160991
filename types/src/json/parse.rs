//! JSON text → a tree that knows where each value stands in the text.
//!
//! After RFC 8259 and PostgreSQL's `jsonapi.c`: the same texts are accepted, and what is refused is
//! refused with the same detail and context. Recursion is bounded by [`MAX_DEPTH`].

use super::{Json, MAX_DEPTH, too_deep};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// A value and its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw<'t> {
    /// The value as it was written, without blanks around it.
    pub text: &'t str,
    pub node: RawNode<'t>,
}

/// What a value is. Strings and keys are unescaped if [`parse_raw`] was told to, else empty.
#[derive(Debug, Clone, PartialEq)]
pub enum RawNode<'t> {
    Null,
    Bool(bool),
    Number,
    String(String),
    Array(Vec<Raw<'t>>),
    Object(Vec<(String, Raw<'t>)>),
}

impl Raw<'_> {
    /// The tree without the text. 22003 for a number beyond numeric's limits.
    pub fn to_json(&self) -> Result<Json> {
        Ok(match &self.node {
            RawNode::Null => Json::Null,
            RawNode::Bool(value) => Json::Bool(*value),
            RawNode::Number => Json::Number(Numeric::parse(self.text)?),
            RawNode::String(text) => Json::String(text.clone()),
            RawNode::Array(items) => Json::Array(items.iter().map(Raw::to_json).collect::<Result<_>>()?),
            RawNode::Object(pairs) => Json::Object(
                pairs
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), value.to_json()?)))
                    .collect::<Result<_>>()?,
            ),
        })
    }

    /// As `json_typeof` names it.
    pub fn type_name(&self) -> &'static str {
        match &self.node {
            RawNode::Null => "null",
            RawNode::Bool(_) => "boolean",
            RawNode::Number => "number",
            RawNode::String(_) => "string",
            RawNode::Array(_) => "array",
            RawNode::Object(_) => "object",
        }
    }
}

/// Whether `text` is JSON, as the input of type json decides. 22P02 with detail and context.
pub fn validate(text: &str) -> Result<()> {
    parse_raw(text, false).map(|_| ())
}

/// Reads a JSON text. With `unescape` strings are read too, and escapes that stand for no character
/// are refused (22P02, or 22P05 for `\u0000`).
pub fn parse_raw(text: &str, unescape: bool) -> Result<Raw<'_>> {
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        unescape,
        token: Token::End,
        start: 0,
        end: 0,
        line: 1,
        line_start: 0,
        string: String::new(),
    };
    parser.advance()?;
    let value = parser.value(0)?;
    if parser.token != Token::End {
        return Err(parser.expected("Expected end of input"));
    }
    Ok(value)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    End,
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Comma,
    Colon,
    String,
    Number,
    True,
    False,
    Null,
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    unescape: bool,
    /// The current token lies at `start..end`.
    token: Token,
    start: usize,
    end: usize,
    line: usize,
    line_start: usize,
    /// The current token's string, unescaped.
    string: String,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'t> Parser<'t> {
    fn value(&mut self, depth: usize) -> Result<Raw<'t>> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let start = self.start;
        let (node, end) = match self.token {
            Token::ObjectStart => self.object(depth)?,
            Token::ArrayStart => self.array(depth)?,
            scalar => {
                let node = match scalar {
                    Token::Null => RawNode::Null,
                    Token::True => RawNode::Bool(true),
                    Token::False => RawNode::Bool(false),
                    Token::Number => RawNode::Number,
                    Token::String => RawNode::String(std::mem::take(&mut self.string)),
                    _ => return Err(self.expected("Expected JSON value")),
                };
                let end = self.end;
                self.advance()?;
                (node, end)
            }
        };
        Ok(Raw { text: self.text.get(start..end).unwrap_or_default(), node })
    }

    fn object(&mut self, depth: usize) -> Result<(RawNode<'t>, usize)> {
        let mut pairs = Vec::new();
        self.advance()?;
        match self.token {
            Token::ObjectEnd => {}
            Token::String => loop {
                if self.token != Token::String {
                    return Err(self.expected("Expected string"));
                }
                let key = std::mem::take(&mut self.string);
                self.advance()?;
                if self.token != Token::Colon {
                    return Err(self.expected("Expected \":\""));
                }
                self.advance()?;
                pairs.push((key, self.value(depth + 1)?));
                if self.token != Token::Comma {
                    break;
                }
                self.advance()?;
            },
            _ => return Err(self.expected("Expected string or \"}\"")),
        }
        if self.token != Token::ObjectEnd {
            return Err(self.expected("Expected \",\" or \"}\""));
        }
        let end = self.end;
        self.advance()?;
        Ok((RawNode::Object(pairs), end))
    }

    fn array(&mut self, depth: usize) -> Result<(RawNode<'t>, usize)> {
        let mut items = Vec::new();
        self.advance()?;
        if self.token != Token::ArrayEnd {
            loop {
                items.push(self.value(depth + 1)?);
                if self.token != Token::Comma {
                    break;
                }
                self.advance()?;
            }
        }
        if self.token != Token::ArrayEnd {
            return Err(self.expected("Expected \",\" or \"]\""));
        }
        let end = self.end;
        self.advance()?;
        Ok((RawNode::Array(items), end))
    }

    fn peek(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<()> {
        let mut at = self.end;
        while let Some(byte @ (b' ' | b'\t' | b'\n' | b'\r')) = self.peek(at) {
            at += 1;
            if byte == b'\n' {
                self.line += 1;
                self.line_start = at;
            }
        }
        self.start = at;
        let Some(byte) = self.peek(at) else {
            self.end = at;
            self.token = Token::End;
            return Ok(());
        };
        self.token = match byte {
            b'{' => Token::ObjectStart,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayStart,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => return self.string(),
            b'-' => return self.number(at + 1),
            b'0'..=b'9' => return self.number(at),
            _ => return self.word(),
        };
        self.end = at + 1;
        Ok(())
    }

    fn word(&mut self) -> Result<()> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let length = rest.iter().take_while(|&&byte| is_word(byte)).count();
        self.end = self.start + length.max(1);
        self.token = match rest.get(..length) {
            Some(b"true") => Token::True,
            Some(b"false") => Token::False,
            Some(b"null") => Token::Null,
            _ => return Err(self.invalid_token()),
        };
        Ok(())
    }

    fn digits(&self, mut at: usize) -> usize {
        while self.peek(at).is_some_and(|byte| byte.is_ascii_digit()) {
            at += 1;
        }
        at
    }

    fn number(&mut self, from: usize) -> Result<()> {
        let mut bad = false;
        let mut at = from;
        match self.peek(at) {
            Some(b'0') => at += 1,
            Some(b'1'..=b'9') => at = self.digits(at),
            _ => bad = true,
        }
        if self.peek(at) == Some(b'.') {
            let end = self.digits(at + 1);
            bad |= end == at + 1;
            at = end;
        }
        if let Some(b'e' | b'E') = self.peek(at) {
            at += 1;
            if let Some(b'+' | b'-') = self.peek(at) {
                at += 1;
            }
            let end = self.digits(at);
            bad |= end == at;
            at = end;
        }
        while self.peek(at).is_some_and(is_word) {
            bad = true;
            at += 1;
        }
        self.end = at;
        if bad {
            return Err(self.invalid_token());
        }
        self.token = Token::Number;
        Ok(())
    }

    fn string(&mut self) -> Result<()> {
        self.string.clear();
        let mut at = self.start + 1;
        let mut copied = at;
        let mut high: Option<u32> = None;
        loop {
            let Some(byte) = self.peek(at) else {
                self.end = at;
                return Err(self.invalid_token());
            };
            if byte != b'\\' {
                if byte < 32 {
                    self.end = at;
                    return Err(self.fail(format!("Character with value 0x{byte:02x} must be escaped.")));
                }
                if self.unescape && high.is_some() {
                    self.end = at + usize::from(byte == b'"');
                    return Err(self.lone_low());
                }
                if byte == b'"' {
                    break;
                }
                at += 1;
                continue;
            }
            self.copy(copied, at);
            at += 1;
            match self.peek(at) {
                None => {
                    self.end = at;
                    return Err(self.invalid_token());
                }
                Some(b'u') => {
                    let mut code = 0;
                    for _ in 0..4 {
                        at += 1;
                        let Some(byte) = self.peek(at) else {
                            self.end = at;
                            return Err(self.invalid_token());
                        };
                        let Some(digit) = char::from(byte).to_digit(16) else {
                            self.end = self.after_char(at);
                            let detail = "\"\\u\" must be followed by four hexadecimal digits.";
                            return Err(self.fail(detail.to_string()));
                        };
                        code = code * 16 + digit;
                    }
                    at += 1;
                    self.end = at;
                    if self.unescape {
                        self.code_unit(code, &mut high)?;
                    }
                }
                Some(escape) => {
                    let Some(character) = unescaped(escape) else {
                        self.start = at;
                        self.end = self.after_char(at);
                        let token = self.text.get(self.start..self.end).unwrap_or_default();
                        return Err(self.fail(format!("Escape sequence \"\\{token}\" is invalid.")));
                    };
                    if self.unescape {
                        if high.is_some() {
                            self.end = at;
                            return Err(self.lone_low());
                        }
                        self.string.push(character);
                    }
                    at += 1;
                }
            }
            copied = at;
        }
        self.copy(copied, at);
        self.end = at + 1;
        self.token = Token::String;
        Ok(())
    }

    fn copy(&mut self, from: usize, to: usize) {
        if self.unescape {
            self.string.push_str(self.text.get(from..to).unwrap_or_default());
        }
    }

    /// One `\uXXXX`: a character, or half of one.
    fn code_unit(&mut self, code: u32, high: &mut Option<u32>) -> Result<()> {
        let code = match code {
            0xd800..=0xdbff => {
                if high.is_some() {
                    let detail = "Unicode high surrogate must not follow a high surrogate.";
                    return Err(self.fail(detail.to_string()));
                }
                *high = Some(code);
                return Ok(());
            }
            0xdc00..=0xdfff => match high.take() {
                Some(first) => 0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00),
                None => return Err(self.lone_low()),
            },
            _ if high.is_some() => return Err(self.lone_low()),
            0 => {
                return Err(Error::new(
                    SqlState::UNTRANSLATABLE_CHARACTER,
                    "unsupported Unicode escape sequence",
                )
                .with_detail("\\u0000 cannot be converted to text.")
                .with_context(self.context()));
            }
            code => code,
        };
        self.string.push(char::from_u32(code).unwrap_or('\u{fffd}'));
        Ok(())
    }

    fn after_char(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        at + rest.chars().next().map_or(0, char::len_utf8)
    }

    fn token_text(&self) -> &'t str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    fn lone_low(&self) -> Error {
        self.fail("Unicode low surrogate must follow a high surrogate.".to_string())
    }

    fn invalid_token(&self) -> Error {
        self.fail(format!("Token \"{}\" is invalid.", self.token_text()))
    }

    fn expected(&self, what: &str) -> Error {
        if self.token == Token::End {
            return self.fail("The input string ended unexpectedly.".to_string());
        }
        self.fail(format!("{what}, but found \"{}\".", self.token_text()))
    }

    fn fail(&self, detail: String) -> Error {
        Error::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .with_detail(detail)
            .with_context(self.context())
    }

    /// The line up to where reading stopped, its last 50 bytes if it is long.
    fn context(&self) -> String {
        const SHOWN: usize = 50;
        let mut from = self.line_start;
        while self.end - from >= SHOWN {
            from = self.after_char(from).max(from + 1);
        }
        if from - self.line_start <= 3 {
            from = self.line_start;
        }
        let before = if from > self.line_start { "..." } else { "" };
        let more = self.token != Token::End || self.end < self.bytes.len();
        let after =
            if more && !matches!(self.peek(self.end), None | Some(b'\n' | b'\r')) { "..." } else { "" };
        let shown = self.text.get(from..self.end).unwrap_or_default();
        format!("JSON data, line {}: {before}{shown}{after}", self.line)
    }
}

fn unescaped(escape: u8) -> Option<char> {
    Some(match escape {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(text: &str) -> String {
        match parse_raw(text, true) {
            Ok(_) => "ok".to_string(),
            Err(error) => error.detail().unwrap_or(error.message()).to_string(),
        }
    }

    #[test]
    fn refusals_say_what_postgres_says() {
        for (text, expected) in [
            ("", "The input string ended unexpectedly."),
            ("{", "The input string ended unexpectedly."),
            ("{1", "Expected string or \"}\", but found \"1\"."),
            ("{\"a\"}", "Expected \":\", but found \"}\"."),
            ("{\"a\":1,}", "Expected string, but found \"}\"."),
            ("{\"a\":1 2}", "Expected \",\" or \"}\", but found \"2\"."),
            ("[1,]", "Expected JSON value, but found \"]\"."),
            ("[1 2]", "Expected \",\" or \"]\", but found \"2\"."),
            ("1 2", "Expected end of input, but found \"2\"."),
            ("01", "Token \"01\" is invalid."),
            ("1.", "Token \"1.\" is invalid."),
            ("-", "Token \"-\" is invalid."),
            ("trueX", "Token \"trueX\" is invalid."),
            ("'a'", "Token \"'\" is invalid."),
            ("\"abc", "Token \"\"abc\" is invalid."),
            ("\"a\\qb\"", "Escape sequence \"\\q\" is invalid."),
            ("\"a\nb\"", "Character with value 0x0a must be escaped."),
            ("\"\\u00zz\"", "\"\\u\" must be followed by four hexadecimal digits."),
            ("\"\\ud800\"", "Unicode low surrogate must follow a high surrogate."),
            ("\"\\ud800\\ud800\"", "Unicode high surrogate must not follow a high surrogate."),
            ("\"\\u0000\"", "\\u0000 cannot be converted to text."),
            ("\"\\ud83d\\ude04\"", "ok"),
            (" [ 1 , -0.5e+3 , {} , [] , \"\\u00e9\" ] ", "ok"),
        ] {
            assert_eq!(detail(text), expected, "{text}");
        }
        assert!(validate("\"\\u0000\\ud800\"").is_ok(), "json does not look into its strings");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(validate(&deep(MAX_DEPTH)).is_ok());
        let error = validate(&deep(100_000)).unwrap_err();
        assert_eq!(error.code(), SqlState::STATEMENT_TOO_COMPLEX);
    }

    #[test]
    fn values_know_their_text() {
        let raw = parse_raw(" {\"a\" : [1 , 2] , \"a\":null}", true).unwrap();
        let RawNode::Object(pairs) = &raw.node else { panic!("an object") };
        assert_eq!(pairs[0].1.text, "[1 , 2]");
        assert_eq!((pairs[1].0.as_str(), pairs[1].1.text), ("a", "null"));
    }
}
