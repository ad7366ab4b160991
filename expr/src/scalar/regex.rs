//! POSIX regular expressions, SIMILAR TO, and the regexp_ functions.
//!
//! A PostgreSQL pattern is translated to the `regex` crate's syntax and kept compiled per thread.
//! Matching time is linear; in exchange back references and lookaround are refused (0A000). Where
//! alternatives match different lengths the first is taken, not the longest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use types::{ArrayValue, Data, DataType, Error, Result, SqlState, Validity, Value, Vector};

use super::args::both_valid;
use crate::function::{Args, Kernel};

/// Options of a pattern, from its flags argument.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Options {
    ignore_case: bool,
    /// `n`/`m`: `.` stops at newlines and anchors match at them; `p`, `w` one half each.
    dot_stops: bool,
    lines: bool,
    expanded: bool,
    literal: bool,
    pub global: bool,
}

impl Options {
    /// 22023 for an unknown flag.
    pub fn parse(flags: &str) -> Result<Options> {
        let mut options = Options::default();
        for flag in flags.chars() {
            match flag {
                'g' => options.global = true,
                'i' => options.ignore_case = true,
                'c' => options.ignore_case = false,
                'm' | 'n' => (options.dot_stops, options.lines) = (true, true),
                's' => (options.dot_stops, options.lines) = (false, false),
                'p' => (options.dot_stops, options.lines) = (true, false),
                'w' => (options.dot_stops, options.lines) = (false, true),
                'x' => options.expanded = true,
                't' => options.expanded = false,
                'q' => options.literal = true,
                'b' | 'e' => {}
                other => {
                    return Err(Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("invalid regular expression option: \"{other}\""),
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// How many compiled patterns a thread keeps.
const KEPT: usize = 64;
/// The most memory one compiled pattern may take.
const SIZE_LIMIT: usize = 16 << 20;

/// The compiled pattern. 2201B when it is malformed, 0A000 for what linear matching cannot do.
pub(crate) fn compile(pattern: &str, options: Options) -> Result<Arc<Regex>> {
    thread_local! {
        static CACHE: RefCell<HashMap<(String, Options), Arc<Regex>>> = RefCell::new(HashMap::new());
    }
    let key = (pattern.to_string(), Options { global: false, ..options });
    if let Some(regex) = CACHE.with(|cache| cache.borrow().get(&key).cloned()) {
        return Ok(regex);
    }
    let translated = if options.literal { regex::escape(pattern) } else { translate(pattern)? };
    let regex = RegexBuilder::new(&translated)
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.dot_stops)
        .multi_line(options.lines)
        .ignore_whitespace(options.expanded)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| {
            let message = match error {
                regex::Error::CompiledTooBig(_) => "regular expression is too complex".to_string(),
                other => {
                    let text = other.to_string();
                    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("invalid regular expression: {reason}")
                }
            };
            Error::new(SqlState::INVALID_REGULAR_EXPRESSION, message)
        })?;
    let regex = Arc::new(regex);
    CACHE.with(|cache| {
        let mut cache = cache.borrow_mut();
        if cache.len() >= KEPT {
            cache.clear();
        }
        cache.insert(key, Arc::clone(&regex));
    });
    Ok(regex)
}

/// An advanced regular expression in the `regex` crate's syntax.
fn translate(pattern: &str) -> Result<String> {
    let mut pattern = pattern;
    if let Some(rest) = pattern.strip_prefix("***=") {
        return Ok(regex::escape(rest));
    }
    pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let refused = |what: &str| Error::not_supported(format!("{what} in regular expressions"));
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                None => {
                    return Err(Error::new(
                        SqlState::INVALID_REGULAR_EXPRESSION,
                        "invalid regular expression: invalid escape \\ sequence",
                    ));
                }
                Some('m') => out.push_str("\\b{start}"),
                Some('M') => out.push_str("\\b{end}"),
                Some('y') => out.push_str("\\b"),
                Some('Y') => out.push_str("\\B"),
                Some('A') => out.push_str("\\A"),
                Some('Z') => out.push_str("\\z"),
                Some('a') => out.push_str("\\x07"),
                Some('e') => out.push_str("\\x1B"),
                Some('B') => out.push_str("\\\\"),
                Some(digit @ '1'..='9') => {
                    let _ = digit;
                    return Err(refused("back references"));
                }
                Some(letter @ ('d' | 'D' | 's' | 'S' | 'w' | 'W' | 'n' | 't' | 'r' | 'f' | 'v')) => {
                    out.push('\\');
                    out.push(letter);
                }
                Some(letter @ ('u' | 'U' | 'x')) => {
                    let digits = if letter == 'u' {
                        4
                    } else if letter == 'U' {
                        8
                    } else {
                        255
                    };
                    let mut code = String::new();
                    while code.len() < digits && chars.peek().is_some_and(char::is_ascii_hexdigit) {
                        code.extend(chars.next());
                    }
                    out.push_str(&format!("\\x{{{code}}}"));
                }
                Some(other) if other.is_alphanumeric() => out.push(other),
                Some(other) => out.push_str(&regex::escape(&other.to_string())),
            },
            '[' => bracket(&mut chars, &mut out)?,
            '{' if !chars.peek().is_some_and(char::is_ascii_digit) => out.push_str("\\{"),
            '(' if chars.peek() == Some(&'?') => {
                let mut ahead = chars.clone();
                ahead.next();
                match ahead.next() {
                    Some('=' | '!' | '<') => return Err(refused("lookaround")),
                    _ => out.push('('),
                }
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// A bracket expression, after its `[`: what the other syntax reads as set operations is escaped.
fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Result<()> {
    let unbalanced = || {
        Error::new(
            SqlState::INVALID_REGULAR_EXPRESSION,
            "invalid regular expression: brackets [] not balanced",
        )
    };
    // [[:<:]] and [[:>:]] are word boundaries.
    let mut ahead: String = chars.clone().take(6).collect();
    if ahead == "[:<:]]" || ahead == "[:>:]]" {
        out.push_str(if ahead.contains('<') { "\\b{start}" } else { "\\b{end}" });
        for _ in 0..6 {
            chars.next();
        }
        return Ok(());
    }
    ahead.clear();
    out.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        out.push('^');
    }
    if chars.peek() == Some(&']') {
        chars.next();
        out.push_str("\\]");
    }
    loop {
        match chars.next().ok_or_else(unbalanced)? {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '[' => match chars.peek() {
                Some(':') => {
                    // A class name: copied through its `:]`.
                    out.push('[');
                    let mut last = ' ';
                    loop {
                        let c = chars.next().ok_or_else(unbalanced)?;
                        out.push(c);
                        if last == ':' && c == ']' {
                            break;
                        }
                        last = c;
                    }
                }
                Some('.' | '=') => {
                    // A collating element: the one character in it.
                    let mark = chars.next().ok_or_else(unbalanced)?;
                    let element = chars.next().ok_or_else(unbalanced)?;
                    if chars.next() != Some(mark) || chars.next() != Some(']') {
                        return Err(Error::new(
                            SqlState::INVALID_REGULAR_EXPRESSION,
                            "invalid regular expression: invalid collating element",
                        ));
                    }
                    out.push_str(&regex::escape(&element.to_string()));
                }
                _ => out.push_str("\\["),
            },
            '\\' => {
                let escaped = chars.next().ok_or_else(unbalanced)?;
                out.push('\\');
                out.push(escaped);
            }
            c @ ('&' | '~') => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
}

fn matches<const NEGATED: bool, const FOLD: bool>(args: &Args<'_>) -> Result<Vector> {
    let options = Options { ignore_case: FOLD, ..Options::default() };
    let (text, pattern) = (args.arg(0)?, args.arg(1)?);
    let validity = both_valid(text, pattern);
    let constant = if pattern.is_constant() { Some(compile(args.str(1, 0), options)?) } else { None };
    let mut out = Vec::with_capacity(args.len);
    for row in 0..args.len {
        if !validity.is_valid(row) {
            out.push(false);
            continue;
        }
        let hit = match &constant {
            Some(regex) => regex.is_match(args.str(0, row)),
            None => compile(args.str(1, row), options)?.is_match(args.str(0, row)),
        };
        out.push(hit != NEGATED);
    }
    Ok(Vector::flat(Data::Bool(out), validity))
}

/// Appends `replacement` for one match: `\1`, `\&`, `\\`.
fn push_replacement(replacement: &str, found: &regex::Captures<'_>, out: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        let group = if c == '\\' {
            match chars.next() {
                Some('&') => Some(0),
                Some(digit @ '1'..='9') => digit.to_digit(10),
                Some('\\') | None => {
                    out.push(b'\\');
                    continue;
                }
                Some(other) => {
                    out.push(b'\\');
                    out.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes());
                    continue;
                }
            }
        } else {
            None
        };
        match group {
            Some(group) => {
                if let Some(part) = found.get(group as usize) {
                    out.extend_from_slice(part.as_str().as_bytes());
                }
            }
            None => out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

/// The byte where character `start` (from 1) begins; None past the end.
fn start_offset(text: &str, start: i64) -> Result<Option<usize>> {
    if start <= 0 {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"start\": {start}"),
        ));
    }
    let skip = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    Ok(ends.skip(skip).map(Some).next().flatten())
}

/// regexp_replace in its forms: (s, p, r), (s, p, r, flags), (s, p, r, start[, n[, flags]]).
fn replace(args: &Args<'_>) -> Result<Vector> {
    let extended = args.function.source.starts_with("textregexreplace_extended");
    args.build_text(|row, out| {
        let text = args.str(0, row);
        let flags = match (extended, args.count()) {
            (false, 4) => args.str(3, row),
            (true, 6) => args.str(5, row),
            _ => "",
        };
        if !extended && flags.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid regular expression option: \"{}\"", &flags[..1]),
            )
            .with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
        }
        let options = Options::parse(flags)?;
        let start = if extended { start_offset(text, args.int(3, row))? } else { Some(0) };
        // 0 is all, n the n-th only.
        let wanted = if extended && args.count() > 4 {
            let n = args.int(4, row);
            if n < 0 {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid value for parameter \"n\": {n}"),
                ));
            }
            n
        } else {
            i64::from(!options.global)
        };
        let regex = compile(args.str(1, row), options)?;
        let mut last = 0;
        if let Some(start) = start {
            for (found, number) in regex.captures_iter(&text[start..]).zip(1i64..) {
                if wanted != 0 && number != wanted {
                    if number > wanted {
                        break;
                    }
                    continue;
                }
                let Some(whole) = found.get(0) else { break };
                out.extend_from_slice(&text.as_bytes()[last..start + whole.start()]);
                push_replacement(args.str(2, row), &found, out);
                last = start + whole.end();
            }
        }
        out.extend_from_slice(&text.as_bytes()[last..]);
        Ok(())
    })
}

fn groups(found: &regex::Captures<'_>) -> Value {
    let value = |part: Option<regex::Match<'_>>| part.map_or(Value::Null, |part| Value::text(part.as_str()));
    let values =
        if found.len() > 1 { found.iter().skip(1).map(value).collect() } else { vec![value(found.get(0))] };
    Value::Array(Arc::new(ArrayValue::from_elements(DataType::TEXT, values)))
}

fn no_global(options: Options, name: &str) -> Result<()> {
    if !options.global {
        return Ok(());
    }
    let error = Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{name}() does not support the \"global\" option"),
    );
    Err(if name == "regexp_match" {
        error.with_hint("Use the regexp_matches function instead.")
    } else {
        error
    })
}

fn regexp_match(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let options = Options::parse(if args.count() > 2 { args.str(2, row) } else { "" })?;
        no_global(options, "regexp_match")?;
        let regex = compile(args.str(1, row), options)?;
        Ok(regex.captures(args.str(0, row)).map_or(Value::Null, |found| groups(&found)))
    })
}

/// regexp_matches: an array per match; only the first without `g`.
pub(crate) fn all_matches(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let options = Options::parse(if args.count() > 2 { args.str(2, 0) } else { "" })?;
    let regex = compile(args.str(1, 0), options)?;
    let limit = if options.global { usize::MAX } else { 1 };
    let values = regex.captures_iter(args.str(0, 0)).take(limit).map(|found| groups(&found)).collect();
    Ok(vec![Arc::new(Vector::flat(Data::Composed(values), Validity::all()))])
}

/// The text between matches; empty matches at its ends or next to another match do not count.
pub(crate) fn split<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let mut last = 0;
    for found in regex.find_iter(text) {
        if found.is_empty() && (found.start() == last || found.start() == text.len()) {
            // An empty match splits between characters only.
            if found.start() == 0 || found.start() == text.len() || found.start() == last {
                continue;
            }
        }
        parts.push(&text[last..found.start()]);
        last = found.end();
    }
    parts.push(&text[last..]);
    parts
}

fn split_flags(args: &Args<'_>, row: usize, name: &str) -> Result<Arc<Regex>> {
    let options = Options::parse(if args.count() > 2 { args.str(2, row) } else { "" })?;
    no_global(options, name)?;
    compile(args.str(1, row), options)
}

fn split_to_array(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let regex = split_flags(args, row, "regexp_split_to_array")?;
        let parts = split(&regex, args.str(0, row)).into_iter().map(Value::text).collect();
        Ok(Value::Array(Arc::new(ArrayValue::from_elements(DataType::TEXT, parts))))
    })
}

pub(crate) fn split_to_table(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let regex = split_flags(args, 0, "regexp_split_to_table")?;
    let strings = split(&regex, args.str(0, 0)).into_iter().collect();
    Ok(vec![Arc::new(Vector::flat(Data::Text(strings), Validity::all()))])
}

/// substring(text from pattern): the first group, or the whole match.
fn substring(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        let text = args.str(0, row);
        let pattern = if args.count() > 2 {
            similar_pattern(args.str(1, row), Some(args.str(2, row)))?
        } else {
            args.str(1, row).to_string()
        };
        let regex = compile(&pattern, Options::default())?;
        let found = regex.captures(text);
        let part = found.as_ref().and_then(|found| if found.len() > 1 { found.get(1) } else { found.get(0) });
        out.extend_from_slice(part.map_or("", |part| part.as_str()).as_bytes());
        Ok(part.is_some())
    })
}

/// A SIMILAR TO pattern as a regular expression. 22025 for an escape of more than one character.
fn similar_pattern(pattern: &str, escape: Option<&str>) -> Result<String> {
    let mut escapes = escape.unwrap_or("\\").chars();
    let escape = escapes.next();
    if escapes.next().is_some() {
        return Err(Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    let (mut in_bracket, mut quotes) = (false, 0);
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some('"') if !in_bracket => {
                    // The parts of a separated pattern: before, wanted, after.
                    out.push_str(if quotes == 0 { ")(" } else { ")(?:" });
                    quotes += 1;
                    if quotes > 2 {
                        return Err(Error::new(
                            SqlState::INVALID_ESCAPE_SEQUENCE,
                            "SQL regular expression may not contain more than two escape-double-quote separators",
                        ));
                    }
                }
                Some(next) => {
                    out.push('\\');
                    out.push(next);
                }
                None => out.push_str("\\\\"),
            }
        } else if in_bracket {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            in_bracket = c != ']';
        } else {
            match c {
                '[' => {
                    in_bracket = true;
                    out.push('[');
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

fn similar_escape(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        if args.is_null(0, row) {
            return Ok(false);
        }
        let escape = if args.count() > 1 {
            if args.is_null(1, row) {
                return Ok(false);
            }
            Some(args.str(1, row))
        } else {
            None
        };
        out.extend_from_slice(similar_pattern(args.str(0, row), escape)?.as_bytes());
        Ok(true)
    })
}

fn like(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let options = Options::parse(if args.count() > 2 { args.str(2, row) } else { "" })?;
        no_global(options, "regexp_like")?;
        Ok(compile(args.str(1, row), options)?.is_match(args.str(0, row)))
    })
}

fn count(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let text = args.str(0, row);
        let start = if args.count() > 2 { start_offset(text, args.int(2, row))? } else { Some(0) };
        let options = Options::parse(if args.count() > 3 { args.str(3, row) } else { "" })?;
        no_global(options, "regexp_count")?;
        let regex = compile(args.str(1, row), options)?;
        Ok(start.map_or(0, |start| regex.find_iter(&text[start..]).count() as i32))
    })
}

/// A positive integer argument of regexp_instr and regexp_substr, or its default.
fn parameter(
    args: &Args<'_>,
    position: usize,
    row: usize,
    name: &str,
    default: i64,
    low: i64,
) -> Result<i64> {
    if args.count() <= position {
        return Ok(default);
    }
    let value = args.int(position, row);
    if value < low {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{name}\": {value}"),
        ));
    }
    Ok(value)
}

/// The n-th match's group as a byte range of `text`.
fn find_group(text: &str, regex: &Regex, start: Option<usize>, n: i64, group: i64) -> Option<(usize, usize)> {
    let start = start?;
    let skip = usize::try_from(n - 1).ok()?;
    let found = regex.captures_iter(&text[start..]).nth(skip)?;
    let part = found.get(usize::try_from(group).ok()?)?;
    Some((start + part.start(), start + part.end()))
}

fn instr(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let text = args.str(0, row);
        let start = start_offset(text, parameter(args, 2, row, "start", 1, 1)?)?;
        let n = parameter(args, 3, row, "n", 1, 1)?;
        let end = parameter(args, 4, row, "endoption", 0, 0)?;
        let options = Options::parse(if args.count() > 5 { args.str(5, row) } else { "" })?;
        no_global(options, "regexp_instr")?;
        let group = parameter(args, 6, row, "subexpr", 0, 0)?;
        let regex = compile(args.str(1, row), options)?;
        Ok(find_group(text, &regex, start, n, group)
            .map_or(0, |(from, to)| text[..if end == 1 { to } else { from }].chars().count() as i32 + 1))
    })
}

fn substr(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        let text = args.str(0, row);
        let start = start_offset(text, parameter(args, 2, row, "start", 1, 1)?)?;
        let n = parameter(args, 3, row, "n", 1, 1)?;
        let options = Options::parse(if args.count() > 4 { args.str(4, row) } else { "" })?;
        no_global(options, "regexp_substr")?;
        let group = parameter(args, 5, row, "subexpr", 0, 0)?;
        let regex = compile(args.str(1, row), options)?;
        let found = find_group(text, &regex, start, n, group);
        if let Some((from, to)) = found {
            out.extend_from_slice(&text.as_bytes()[from..to]);
        }
        Ok(found.is_some())
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("textregexeq", matches::<false, false>),
    ("textregexne", matches::<true, false>),
    ("texticregexeq", matches::<false, true>),
    ("texticregexne", matches::<true, true>),
    ("nameregexeq", matches::<false, false>),
    ("nameregexne", matches::<true, false>),
    ("nameicregexeq", matches::<false, true>),
    ("nameicregexne", matches::<true, true>),
    ("textregexreplace_noopt", replace),
    ("textregexreplace", replace),
    ("textregexreplace_extended", replace),
    ("textregexreplace_extended_no_flags", replace),
    ("textregexreplace_extended_no_n", replace),
    ("regexp_match", regexp_match),
    ("regexp_match_no_flags", regexp_match),
    ("regexp_split_to_array", split_to_array),
    ("regexp_split_to_array_no_flags", split_to_array),
    ("textregexsubstr", substring),
    ("substring_2074", substring),
    ("similar_escape", similar_escape),
    ("similar_to_escape_1", similar_escape),
    ("similar_to_escape_2", similar_escape),
    ("regexp_like", like),
    ("regexp_like_no_flags", like),
    ("regexp_count", count),
    ("regexp_count_no_start", count),
    ("regexp_count_no_flags", count),
    ("regexp_instr", instr),
    ("regexp_instr_no_start", instr),
    ("regexp_instr_no_n", instr),
    ("regexp_instr_no_endoption", instr),
    ("regexp_instr_no_flags", instr),
    ("regexp_instr_no_subexpr", instr),
    ("regexp_substr", substr),
    ("regexp_substr_no_start", substr),
    ("regexp_substr_no_n", substr),
    ("regexp_substr_no_flags", substr),
    ("regexp_substr_no_subexpr", substr),
];
