//! Text → tokens, by the rules of PostgreSQL's scanner.
//!
//! Called by [`crate::parse`] and by `fingerprint.rs`. The whole text is cut at once into 12-byte tokens that point
//! into it; what a token says (a folded name, an unescaped string) is read on demand by [`crate::literal`].
//! The first lexical error ends the list as a [`Tok::Bad`]: it is raised only if the grammar gets that far, so that
//! an earlier syntax error wins, as in PostgreSQL.
//!
//! Adjacent strings separated by a newline are one token, as is `U&'…' UESCAPE '…'`. Numbers are those of
//! PostgreSQL 16 (`0x1F`, `1_000`), whose every other spelling means the same in 15.

use types::{Error, Span, SqlState};

use crate::keyword::Keyword;
use crate::syntax_error::near;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tok {
    /// An unquoted word that is no keyword.
    Word,
    Keyword(Keyword),
    /// `"name"`.
    Quoted,
    /// `U&"name"`.
    UnicodeQuoted,
    /// `'text'`.
    String,
    /// `E'text'`.
    EscapeString,
    /// `U&'text'`.
    UnicodeString,
    /// `N'text'`.
    NationalString,
    /// `$tag$text$tag$`.
    DollarString,
    /// `B'01'`.
    BitString,
    /// `X'1F'`.
    HexString,
    /// Digits, also `0x…`, `0o…`, `0b…`.
    Integer,
    /// A number with a point or an exponent.
    Numeric,
    /// `$1`.
    Param,
    /// An operator that has no token of its own.
    Op,
    LessEqual,
    GreaterEqual,
    /// `<>` and `!=`.
    NotEqual,
    TypeCast,
    DotDot,
    ColonEqual,
    EqualGreater,
    /// `( ) [ ] , ; : . + - * / % ^ < > =`, and any character that no token begins with.
    Char(u8),
    /// A lexical error.
    Bad,
    /// The end of the text.
    End,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub tok: Tok,
    pub start: u32,
    pub end: u32,
}

impl Token {
    pub(crate) fn span(self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

/// The tokens of a text, ending in [`Tok::End`]; `error` belongs to the [`Tok::Bad`] before it, if there is one.
pub(crate) struct Tokens {
    pub list: Vec<Token>,
    pub error: Option<Error>,
}

/// Cuts `text` into tokens. 54000 if it is 4 GiB or longer.
pub(crate) fn tokenize(text: &str) -> Tokens {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0 };
    let mut list = Vec::with_capacity(text.len() / 4 + 4);
    let mut error = None;
    if u32::try_from(text.len()).is_err() {
        let too_long = Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "query text is longer than 4 GiB");
        list.push(Token { tok: Tok::Bad, start: 0, end: 0 });
        list.push(Token { tok: Tok::End, start: 0, end: 0 });
        return Tokens { list, error: Some(too_long) };
    }
    loop {
        let token = lexer.skip_blanks().and_then(|()| {
            let start = lexer.at;
            lexer.next_token().map(|tok| Token { tok, start: start as u32, end: lexer.at as u32 })
        });
        match token {
            Ok(token) => {
                list.push(token);
                if token.tok == Tok::End {
                    break;
                }
            }
            Err(e) => {
                let at = lexer.at.min(text.len()) as u32;
                list.push(Token { tok: Tok::Bad, start: at, end: at });
                list.push(Token { tok: Tok::End, start: text.len() as u32, end: text.len() as u32 });
                error = Some(e);
                break;
            }
        }
    }
    Tokens { list, error }
}

struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_ident_cont(byte: u8) -> bool {
    is_ident_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_op(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

impl Lexer<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn has(&self, ahead: usize) -> bool {
        self.at + ahead < self.bytes.len()
    }

    fn error(&self, what: &str, start: usize, end: usize) -> Error {
        // An error's token never ends inside a character.
        let mut end = end.min(self.bytes.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        near(what, self.text, Span::new(start, end))
    }

    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            match self.byte(0) {
                b if is_space(b) => self.at += 1,
                b'-' if self.byte(1) == b'-' => self.skip_line_comment(),
                b'/' if self.byte(1) == b'*' => self.skip_block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_line_comment(&mut self) {
        while self.has(0) && !matches!(self.byte(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn skip_block_comment(&mut self) -> Result<(), Error> {
        let start = self.at;
        let mut depth = 0u32;
        loop {
            if !self.has(0) {
                return Err(self.error("unterminated /* comment", start, self.bytes.len()));
            }
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn next_token(&mut self) -> Result<Tok, Error> {
        if !self.has(0) {
            return Ok(Tok::End);
        }
        let byte = self.byte(0);
        match byte {
            b'\'' => {
                self.quoted_string(self.at, 0, false)?;
                Ok(Tok::String)
            }
            b'"' => self.quoted_name(self.at, 0).map(|()| Tok::Quoted),
            b'e' | b'E' if self.byte(1) == b'\'' => {
                self.quoted_string(self.at, 1, true)?;
                Ok(Tok::EscapeString)
            }
            b'b' | b'B' if self.byte(1) == b'\'' => {
                self.named_string("unterminated bit string literal", 1).map(|()| Tok::BitString)
            }
            b'x' | b'X' if self.byte(1) == b'\'' => {
                self.named_string("unterminated hexadecimal string literal", 1).map(|()| Tok::HexString)
            }
            b'n' | b'N' if self.byte(1) == b'\'' => {
                self.quoted_string(self.at, 1, false)?;
                Ok(Tok::NationalString)
            }
            b'u' | b'U' if self.byte(1) == b'&' && self.byte(2) == b'\'' => {
                self.quoted_string(self.at, 2, false)?;
                self.uescape()?;
                Ok(Tok::UnicodeString)
            }
            b'u' | b'U' if self.byte(1) == b'&' && self.byte(2) == b'"' => {
                self.quoted_name(self.at, 2)?;
                self.uescape()?;
                Ok(Tok::UnicodeQuoted)
            }
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(1).is_ascii_digit() => self.number(),
            b if is_ident_start(b) => {
                let start = self.at;
                while is_ident_cont(self.byte(0)) {
                    self.at += 1;
                }
                let word = self.text.get(start..self.at).unwrap_or("");
                Ok(Keyword::of(word).map_or(Tok::Word, Tok::Keyword))
            }
            b':' => Ok(match self.byte(1) {
                b':' => self.take(2, Tok::TypeCast),
                b'=' => self.take(2, Tok::ColonEqual),
                _ => self.take(1, Tok::Char(b':')),
            }),
            b'.' if self.byte(1) == b'.' => Ok(self.take(2, Tok::DotDot)),
            b if is_op(b) => self.operator(),
            b => Ok(self.take(1, Tok::Char(b))),
        }
    }

    fn take(&mut self, len: usize, tok: Tok) -> Tok {
        self.at += len;
        tok
    }

    /// `'…'` after `prefix` bytes, with its continuations on later lines.
    fn quoted_string(&mut self, start: usize, prefix: usize, escapes: bool) -> Result<(), Error> {
        self.string_body(start, prefix, escapes, "unterminated quoted string")
    }

    fn named_string(&mut self, unterminated: &str, prefix: usize) -> Result<(), Error> {
        self.string_body(self.at, prefix, false, unterminated)
    }

    fn string_body(
        &mut self,
        start: usize,
        prefix: usize,
        escapes: bool,
        unterminated: &str,
    ) -> Result<(), Error> {
        self.at += prefix + 1;
        loop {
            match self.bytes.get(self.at) {
                None => {
                    self.at = start;
                    return Err(self.error(unterminated, start, self.bytes.len()));
                }
                Some(b'\\') if escapes => self.at += 2,
                Some(b'\'') if self.byte(1) == b'\'' => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    match continuation(self.bytes, self.at) {
                        Some(next) => self.at = next + 1,
                        None => return Ok(()),
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn quoted_name(&mut self, start: usize, prefix: usize) -> Result<(), Error> {
        self.at += prefix + 1;
        let body = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => {
                    self.at = start;
                    return Err(self.error("unterminated quoted identifier", start, self.bytes.len()));
                }
                Some(b'"') if self.byte(1) == b'"' => self.at += 2,
                Some(b'"') => {
                    self.at += 1;
                    if self.at == body + 1 {
                        let end = self.at;
                        self.at = start;
                        return Err(self.error("zero-length delimited identifier", start, end));
                    }
                    return Ok(());
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Takes `UESCAPE '!'` into the token, when it follows.
    fn uescape(&mut self) -> Result<(), Error> {
        let end = self.at;
        self.skip_blanks()?;
        let word = self.at;
        while is_ident_cont(self.byte(0)) {
            self.at += 1;
        }
        if !self.text.get(word..self.at).is_some_and(|word| word.eq_ignore_ascii_case("uescape")) {
            self.at = end;
            return Ok(());
        }
        self.skip_blanks()?;
        if self.byte(0) != b'\'' {
            let start = self.at;
            let _ = self.next_token();
            return Err(self.error("UESCAPE must be followed by a simple string literal", start, self.at));
        }
        let start = self.at;
        self.quoted_string(start, 0, false)?;
        let body = self.text.get(start + 1..self.at - 1).unwrap_or("");
        let good = |b: u8| !b.is_ascii_hexdigit() && !matches!(b, b'+' | b'\'' | b'"') && !is_space(b);
        if body.len() != 1 || !body.bytes().all(good) {
            return Err(self.error("invalid Unicode escape character", start, self.at));
        }
        Ok(())
    }

    fn dollar(&mut self) -> Result<Tok, Error> {
        let start = self.at;
        if self.byte(1).is_ascii_digit() {
            self.at += 1;
            while self.byte(0).is_ascii_digit() {
                self.at += 1;
            }
            if is_ident_start(self.byte(0)) {
                self.at = start;
                let mut end = start + 1;
                while self.bytes.get(end).is_some_and(u8::is_ascii_digit) {
                    end += 1;
                }
                return Err(self.error("trailing junk after parameter", start, end + 1));
            }
            return Ok(Tok::Param);
        }
        let mut end = start + 1;
        if self.bytes.get(end).copied().is_some_and(is_ident_start) {
            while self.bytes.get(end).copied().is_some_and(|b| is_ident_cont(b) && b != b'$') {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Ok(self.take(1, Tok::Char(b'$')));
        }
        end += 1;
        let delimiter = self.text.get(start..end).unwrap_or("$$");
        match self.text.get(end..).and_then(|rest| rest.find(delimiter)) {
            Some(offset) => {
                self.at = end + offset + delimiter.len();
                Ok(Tok::DollarString)
            }
            None => Err(self.error("unterminated dollar-quoted string", start, self.bytes.len())),
        }
    }

    fn number(&mut self) -> Result<Tok, Error> {
        let start = self.at;
        if self.byte(0) == b'0' {
            let digit: Option<fn(u8) -> bool> = match self.byte(1) {
                b'x' | b'X' => Some(|b| b.is_ascii_hexdigit()),
                b'o' | b'O' => Some(|b| (b'0'..=b'7').contains(&b)),
                b'b' | b'B' => Some(|b| matches!(b, b'0' | b'1')),
                _ => None,
            };
            if let Some(digit) = digit {
                self.at += 2;
                let body = self.at;
                self.digits(digit, true);
                if self.at == body || is_ident_start(self.byte(0)) || self.byte(0).is_ascii_digit() {
                    let what = if self.at == body && !is_ident_cont(self.byte(0)) {
                        match self.bytes.get(start + 1) {
                            Some(b'x' | b'X') => "invalid hexadecimal integer",
                            Some(b'o' | b'O') => "invalid octal integer",
                            _ => "invalid binary integer",
                        }
                    } else {
                        "trailing junk after numeric literal"
                    };
                    return Err(self.junk(what, start));
                }
                return Ok(Tok::Integer);
            }
        }
        let mut tok = Tok::Integer;
        self.digits(|b| b.is_ascii_digit(), false);
        // `1..10` is a slice of PL/pgSQL, not a number with a point.
        if self.byte(0) == b'.' && self.byte(1) != b'.' {
            tok = Tok::Numeric;
            self.at += 1;
            self.digits(|b| b.is_ascii_digit(), false);
        }
        if matches!(self.byte(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(1), b'+' | b'-'));
            if self.byte(1 + sign).is_ascii_digit() {
                tok = Tok::Numeric;
                self.at += 1 + sign;
                self.digits(|b| b.is_ascii_digit(), false);
            }
        }
        if is_ident_start(self.byte(0)) {
            return Err(self.junk("trailing junk after numeric literal", start));
        }
        Ok(tok)
    }

    /// Digits with single underscores between them; also before the first if `leading`.
    fn digits(&mut self, digit: fn(u8) -> bool, leading: bool) {
        let body = self.at;
        loop {
            if digit(self.byte(0)) {
                self.at += 1;
            } else if self.byte(0) == b'_' && digit(self.byte(1)) && (leading || self.at > body) {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    /// The error of a number that runs into a word, with the whole of both.
    fn junk(&mut self, what: &str, start: usize) -> Error {
        let mut end = self.at;
        while self.bytes.get(end).copied().is_some_and(is_ident_cont) {
            end += 1;
        }
        self.at = start;
        self.error(what, start, end)
    }

    fn operator(&mut self) -> Result<Tok, Error> {
        let start = self.at;
        let mut len = 0;
        while is_op(self.byte(len)) {
            // A comment ends the operator.
            if len > 0 && matches!((self.byte(len), self.byte(len + 1)), (b'-', b'-') | (b'/', b'*')) {
                break;
            }
            len += 1;
        }
        // A trailing + or - belongs to what follows, unless the operator has a character SQL's own never have.
        let special =
            |b: &u8| matches!(b, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        while len > 1
            && matches!(self.byte(len - 1), b'+' | b'-')
            && !self.bytes.get(start..start + len - 1).is_some_and(|op| op.iter().any(special))
        {
            len -= 1;
        }
        if len >= 64 {
            let error = self.error("operator too long", start, start + len);
            self.at = start;
            return Err(error);
        }
        let first = self.byte(0);
        Ok(match (len, first, self.byte(1)) {
            (1, b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=', _) => {
                self.take(1, Tok::Char(first))
            }
            (2, b'<', b'=') => self.take(2, Tok::LessEqual),
            (2, b'>', b'=') => self.take(2, Tok::GreaterEqual),
            (2, b'<', b'>') | (2, b'!', b'=') => self.take(2, Tok::NotEqual),
            (2, b'=', b'>') => self.take(2, Tok::EqualGreater),
            _ => self.take(len, Tok::Op),
        })
    }
}

/// Does a string that closed before `at` go on after a line break? The offset of the next opening quote.
pub(crate) fn continuation(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut newline = false;
    loop {
        match bytes.get(at)? {
            b'\n' | b'\r' => {
                newline = true;
                at += 1;
            }
            b' ' | b'\t' | 0x0c => at += 1,
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                while bytes.get(at).is_some_and(|b| !matches!(b, b'\n' | b'\r')) {
                    at += 1;
                }
            }
            b'\'' if newline => return Some(at),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> String {
        let tokens = tokenize(text);
        let mut out: Vec<String> = tokens
            .list
            .iter()
            .map(|t| match t.tok {
                Tok::Keyword(_) => text[t.start as usize..t.end as usize].to_uppercase(),
                Tok::End => "$".into(),
                Tok::Bad => "!".into(),
                tok => format!("{tok:?}:{}", &text[t.start as usize..t.end as usize]).replace('\n', "\\n"),
            })
            .collect();
        out.extend(tokens.error.map(|e| e.message().to_string()));
        out.join(" ")
    }

    #[test]
    fn numbers_and_operators() {
        assert_eq!(
            cut("1 1.5 .5 1. 1e5 1e 1..2"),
            "Integer:1 Numeric:1.5 Numeric:.5 Numeric:1. Numeric:1e5 ! $ trailing junk after numeric literal at or near \"1e\""
        );
        assert_eq!(cut("0x1F 0b101 0o17 1_000"), "Integer:0x1F Integer:0b101 Integer:0o17 Integer:1_000 $");
        assert_eq!(cut("1..2"), "Integer:1 DotDot:.. Integer:2 $");
        assert_eq!(cut("a<-1"), "Word:a Char(60):< Char(45):- Integer:1 $");
        assert_eq!(cut("a@-1"), "Word:a Op:@- Integer:1 $");
        assert_eq!(cut("a!=b=>c->>d"), "Word:a NotEqual:!= Word:b EqualGreater:=> Word:c Op:->> Word:d $");
        assert_eq!(cut("1*/* c */2--x"), "Integer:1 Char(42):* Integer:2 $");
        assert_eq!(cut("$1 $1a"), "Param:$1 ! $ trailing junk after parameter at or near \"$1a\"");
    }

    #[test]
    fn strings_and_names() {
        assert_eq!(
            cut("'a''b' E'a\\'b' 'a'\n  'b'"),
            "String:'a''b' EscapeString:E'a\\'b' String:'a'\\n  'b' $"
        );
        assert_eq!(cut("'a' 'b'"), "String:'a' String:'b' $");
        assert_eq!(cut("'a' -- c\n'b'"), "String:'a' -- c\\n'b' $");
        assert_eq!(cut("$$a$$ $x$b$$c$x$"), "DollarString:$$a$$ DollarString:$x$b$$c$x$ $");
        assert_eq!(cut("U&'d!0061' UESCAPE '!' x"), "UnicodeString:U&'d!0061' UESCAPE '!' Word:x $");
        assert_eq!(cut("\"\""), "! $ zero-length delimited identifier at or near \"\"\"\"");
        assert_eq!(cut("select 'a"), "SELECT ! $ unterminated quoted string at or near \"'a\"");
        assert_eq!(cut("/* a /* b */ c"), "! $ unterminated /* comment at or near \"/* a /* b */ c\"");
        assert_eq!(cut("é{"), "Word:é Char(123):{ $");
    }
}
