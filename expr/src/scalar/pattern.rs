//! LIKE and ILIKE.
//!
//! A pattern is compiled once per batch when it is constant. Without `_` it is a list of pieces to be
//! found one after another, the first and last perhaps anchored: substring searches, no backtracking.

use memchr::memmem;
use types::{Data, Error, Result, SqlState, Vector};

use super::args::{both_valid, strings};
use crate::function::{Args, Kernel};

/// A compiled pattern.
pub(crate) enum Like {
    /// No wildcards.
    Exact(Vec<u8>),
    /// `%` only: what stands before the first, between, and after the last.
    Pieces {
        prefix: Vec<u8>,
        middle: Vec<memmem::Finder<'static>>,
        suffix: Vec<u8>,
        shortest: usize,
    },
    General(Vec<Token>),
}

pub(crate) enum Token {
    Byte(u8),
    /// `_`: one character.
    One,
    /// `%`
    Many,
}

impl Like {
    /// 22025 when the pattern ends with its escape character.
    pub fn compile(pattern: &[u8]) -> Result<Like> {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut bytes = pattern.iter();
        let (mut any_one, mut any_many) = (false, false);
        while let Some(&byte) = bytes.next() {
            match byte {
                b'%' => {
                    any_many = true;
                    if !matches!(tokens.last(), Some(Token::Many)) {
                        tokens.push(Token::Many);
                    }
                }
                b'_' => {
                    any_one = true;
                    tokens.push(Token::One);
                }
                b'\\' => match bytes.next() {
                    Some(&byte) => tokens.push(Token::Byte(byte)),
                    None => {
                        return Err(Error::new(
                            SqlState::INVALID_ESCAPE_SEQUENCE,
                            "LIKE pattern must not end with escape character",
                        ));
                    }
                },
                byte => tokens.push(Token::Byte(byte)),
            }
        }
        if any_one {
            return Ok(Like::General(tokens));
        }
        let mut pieces: Vec<Vec<u8>> = vec![Vec::new()];
        for token in &tokens {
            match token {
                Token::Many => pieces.push(Vec::new()),
                Token::Byte(byte) => {
                    if let Some(piece) = pieces.last_mut() {
                        piece.push(*byte);
                    }
                }
                Token::One => {}
            }
        }
        if !any_many {
            return Ok(Like::Exact(pieces.pop().unwrap_or_default()));
        }
        let shortest = pieces.iter().map(Vec::len).sum();
        let suffix = pieces.pop().unwrap_or_default();
        let mut pieces = pieces.into_iter();
        let prefix = pieces.next().unwrap_or_default();
        let middle = pieces
            .filter(|piece| !piece.is_empty())
            .map(|piece| memmem::Finder::new(&piece).into_owned())
            .collect();
        Ok(Like::Pieces { prefix, middle, suffix, shortest })
    }

    #[inline]
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Like::Exact(pattern) => text == pattern.as_slice(),
            Like::Pieces { prefix, middle, suffix, shortest } => {
                if text.len() < *shortest || !text.starts_with(prefix) || !text.ends_with(suffix) {
                    return false;
                }
                let mut rest = &text[prefix.len()..text.len() - suffix.len()];
                for piece in middle {
                    match piece.find(rest) {
                        Some(at) => rest = &rest[at + piece.needle().len()..],
                        None => return false,
                    }
                }
                true
            }
            Like::General(tokens) => general(tokens, text),
        }
    }
}

/// Matches with one point to come back to: after the last `%` seen.
fn general(tokens: &[Token], text: &[u8]) -> bool {
    let (mut t, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (tokens.get(t), text.get(s)) {
            (None, None) => return true,
            (Some(Token::Many), _) => {
                t += 1;
                retry = Some((t, s));
                continue;
            }
            (Some(Token::Byte(byte)), Some(found)) if byte == found => Some(1),
            (Some(Token::One), Some(&first)) => Some(character_width(first)),
            _ => None,
        };
        match (step, retry) {
            (Some(width), _) => {
                t += 1;
                s += width;
            }
            (None, Some((token, start))) if start < text.len() => {
                let start = start + character_width(text[start]);
                retry = Some((token, start));
                t = token;
                s = start;
            }
            _ => return false,
        }
        if s > text.len() {
            return false;
        }
    }
}

#[inline]
fn character_width(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

fn fold_case(text: &str) -> Vec<u8> {
    super::string::lower(text).into_bytes()
}

fn like<const NEGATED: bool, const FOLD: bool>(args: &Args<'_>) -> Result<Vector> {
    let (text, pattern) = (args.arg(0)?, args.arg(1)?);
    let (values, constant) = strings(text)?;
    let (patterns, constant_pattern) = strings(pattern)?;
    let validity = both_valid(text, pattern);
    let compile = |index: usize| {
        if FOLD { Like::compile(&fold_case(patterns.str(index))) } else { Like::compile(patterns.get(index)) }
    };
    let test = |like: &Like, index: usize| {
        let matched =
            if FOLD { like.matches(&fold_case(values.str(index))) } else { like.matches(values.get(index)) };
        matched != NEGATED
    };
    let mut out = Vec::with_capacity(args.len);
    if constant_pattern {
        let compiled = compile(0)?;
        for row in 0..args.len {
            out.push(validity.is_valid(row) && test(&compiled, if constant { 0 } else { row }));
        }
    } else {
        for row in 0..args.len {
            let hit = validity.is_valid(row) && test(&compile(row)?, if constant { 0 } else { row });
            out.push(hit);
        }
    }
    Ok(Vector::flat(Data::Bool(out), validity))
}

/// `pattern` with another escape character rewritten to backslashes. 22019 for more than one character.
fn like_escape(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let (pattern, escape) = (args.str(0, row), args.str(1, row));
        let mut characters = escape.chars();
        let escape = characters.next();
        if characters.next().is_some() {
            return Err(Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .with_hint("Escape string must be empty or one character."));
        }
        if escape == Some('\\') {
            out.extend_from_slice(pattern.as_bytes());
            return Ok(());
        }
        let mut buffer = [0; 4];
        let mut after_escape = false;
        for character in pattern.chars() {
            if Some(character) == escape && !after_escape {
                out.push(b'\\');
                after_escape = true;
            } else if character == '\\' {
                out.push(b'\\');
                if !after_escape {
                    out.push(b'\\');
                }
                after_escape = false;
            } else {
                out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                after_escape = false;
            }
        }
        Ok(())
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("textlike", like::<false, false>),
    ("textnlike", like::<true, false>),
    ("texticlike", like::<false, true>),
    ("texticnlike", like::<true, true>),
    ("namelike", like::<false, false>),
    ("namenlike", like::<true, false>),
    ("nameiclike", like::<false, true>),
    ("nameicnlike", like::<true, true>),
    ("bytealike", like::<false, false>),
    ("byteanlike", like::<true, false>),
    ("like_escape", like_escape),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str) -> bool {
        Like::compile(pattern.as_bytes()).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn pieces_do_not_overlap() {
        assert!(check("%special%requests%", "the special, final requests wake"));
        assert!(!check("%special%requests%", "requests special"));
        assert!(!check("ab%ba", "aba"));
        assert!(check("ab%ba", "abba"));
        assert!(check("%", "") && check("", "") && !check("", "x"));
        assert!(check("PROMO%", "PROMO BRASS") && check("%BRASS", "PROMO BRASS"));
    }

    #[test]
    fn underscore_is_one_character_not_one_byte() {
        assert!(check("_", "é") && check("a_c", "aéc") && !check("__", "é"));
        assert!(check("%_b", "aab") && check("%a_%c%", "xxabyyc"));
        assert!(!check("%_", ""));
    }

    #[test]
    fn backslash_escapes() {
        assert!(check("100\\%", "100%") && !check("100\\%", "1000"));
        assert!(check("a\\_b", "a_b") && !check("a\\_b", "axb"));
        assert_eq!(Like::compile(b"a\\").err().unwrap().code(), SqlState::INVALID_ESCAPE_SEQUENCE);
    }
}
