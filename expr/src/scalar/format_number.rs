//! to_char and to_number: numbers by template.
//!
//! The writing part follows `NUM_processor` of PostgreSQL's `formatting.c` step by step, since its
//! output for odd templates has no other definition.

use types::{Error, Numeric, Result, SqlState, Vector};

use super::args::N;
use crate::function::{Args, Kernel};

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Comma,
    Point,
    Zero,
    Nine,
    Currency,
    Group,
    LocalPoint,
    Minus,
    Plus,
    SignOrPlus,
    Sign,
    Bracket,
    Roman {
        lower: bool,
    },
    Ordinal {
        lower: bool,
    },
    /// Taken note of while parsing, writes nothing.
    Silent,
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum LocaleSign {
    #[default]
    None,
    Before,
    After,
}

/// What a template asks for: PostgreSQL's `NUMDesc`.
#[derive(Debug, Clone, Default)]
struct Template {
    nodes: Vec<Node>,
    pre: usize,
    post: usize,
    sign: LocaleSign,
    pre_sign: usize,
    multi: usize,
    zero_start: usize,
    zero_end: usize,
    decimal: bool,
    zero: bool,
    fill: bool,
    locale_sign: bool,
    bracket: bool,
    minus: bool,
    plus: bool,
    roman: bool,
    shifts: bool,
    scientific: bool,
}

fn bad(message: &str) -> Error {
    Error::syntax(message)
}

impl Template {
    /// 42601 for contradictions.
    fn parse(text: &str) -> Result<Template> {
        const WORDS: [&str; 22] = [
            "EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "rn", "th", ",", ".", "0", "9", "B", "C",
            "D", "G", "L", "S", "V",
        ];
        let mut template = Template::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let upper = rest.to_ascii_uppercase();
            let word = WORDS.iter().copied().find(|word| {
                if matches!(*word, "RN" | "rn" | "TH" | "th") {
                    rest.starts_with(word)
                } else {
                    upper.starts_with(word)
                }
            });
            if let Some(word) = word {
                template.note(word)?;
                rest = &rest[word.len()..];
                continue;
            }
            if c == '"' {
                let mut quoted = String::new();
                let mut chars = rest[1..].char_indices();
                let mut end = rest.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '"' => {
                            end = at + 2;
                            break;
                        }
                        '\\' => quoted.extend(chars.next().map(|(_, c)| c)),
                        c => quoted.push(c),
                    }
                }
                template.nodes.push(Node::Text(quoted));
                rest = &rest[end.min(rest.len())..];
                continue;
            }
            if c == '\\' && rest[1..].starts_with('"') {
                rest = &rest[1..];
            }
            let c = rest.chars().next().unwrap_or(c);
            template.nodes.push(Node::Text(c.to_string()));
            rest = &rest[c.len_utf8()..];
        }
        Ok(template)
    }

    fn note(&mut self, word: &str) -> Result<()> {
        if self.scientific && word != "EEEE" {
            return Err(bad("\"EEEE\" must be the last pattern used"));
        }
        let node = match word {
            "9" => {
                if self.bracket {
                    return Err(bad("\"9\" must be ahead of \"PR\""));
                }
                if self.shifts {
                    self.multi += 1;
                } else if self.decimal {
                    self.post += 1;
                } else {
                    self.pre += 1;
                }
                Node::Nine
            }
            "0" => {
                if self.bracket {
                    return Err(bad("\"0\" must be ahead of \"PR\""));
                }
                if !self.zero && !self.decimal {
                    self.zero = true;
                    self.zero_start = self.pre + 1;
                }
                if self.decimal {
                    self.post += 1;
                } else {
                    self.pre += 1;
                }
                self.zero_end = self.pre + self.post;
                Node::Zero
            }
            "." | "D" => {
                if self.decimal {
                    return Err(bad("multiple decimal points"));
                }
                if self.shifts {
                    return Err(bad("cannot use \"V\" and decimal point together"));
                }
                self.decimal = true;
                if word == "." { Node::Point } else { Node::LocalPoint }
            }
            "S" => {
                if self.locale_sign {
                    return Err(bad("cannot use \"S\" twice"));
                }
                if self.plus || self.minus || self.bracket {
                    return Err(bad("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
                }
                self.locale_sign = true;
                if !self.decimal {
                    self.sign = LocaleSign::Before;
                    self.pre_sign = self.pre;
                } else if self.sign == LocaleSign::None {
                    self.sign = LocaleSign::After;
                }
                Node::Sign
            }
            "MI" | "PL" | "SG" => {
                if self.locale_sign {
                    return Err(bad(&format!("cannot use \"S\" and \"{word}\" together")));
                }
                self.minus |= word != "PL";
                self.plus |= word != "MI";
                match word {
                    "MI" => Node::Minus,
                    "PL" => Node::Plus,
                    _ => Node::SignOrPlus,
                }
            }
            "PR" => {
                if self.locale_sign || self.plus || self.minus {
                    return Err(bad("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
                }
                self.bracket = true;
                Node::Bracket
            }
            "RN" | "rn" => {
                self.roman = true;
                Node::Roman { lower: word == "rn" }
            }
            "V" => {
                if self.decimal {
                    return Err(bad("cannot use \"V\" and decimal point together"));
                }
                self.shifts = true;
                Node::Silent
            }
            "EEEE" => {
                if self.scientific {
                    return Err(bad("cannot use \"EEEE\" twice"));
                }
                if self.fill
                    || self.locale_sign
                    || self.bracket
                    || self.minus
                    || self.plus
                    || self.roman
                    || self.shifts
                {
                    return Err(bad("\"EEEE\" is incompatible with other formats").with_detail(
                        "\"EEEE\" may only be used together with digit and decimal point patterns.",
                    ));
                }
                self.scientific = true;
                Node::Silent
            }
            "FM" => {
                self.fill = true;
                Node::Silent
            }
            "," => Node::Comma,
            "G" => Node::Group,
            "L" => Node::Currency,
            "TH" => Node::Ordinal { lower: false },
            "th" => Node::Ordinal { lower: true },
            _ => Node::Silent,
        };
        self.nodes.push(node);
        Ok(())
    }
}

/// The state of one writing: PostgreSQL's `NUMProc`.
struct Writer<'a> {
    t: Template,
    /// Digits without sign: `123.45`, or `###.##`.
    number: &'a [u8],
    at: usize,
    negative: bool,
    sign_written: bool,
    inside: bool,
    count: usize,
    current: usize,
    pre_spaces: usize,
    /// With FM: the last digit after the point worth writing.
    last_relevant: Option<usize>,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn sign(&self) -> u8 {
        if self.negative { b'-' } else { b'+' }
    }

    fn last_relevant_is_point(&self) -> bool {
        self.last_relevant.is_some_and(|at| self.number.get(at) == Some(&b'.'))
    }

    /// `9.9` of 0.1: a blank stands for the leading zero.
    fn blank_before_point(&self) -> bool {
        !self.t.zero && self.at == 0 && self.number.first() == Some(&b'0') && self.t.post != 0
    }

    fn digit(&mut self, node: &Node) {
        if self.t.roman {
            return;
        }
        self.inside = false;
        if !self.sign_written
            && (self.current >= self.pre_spaces || self.t.zero && self.t.zero_start == self.current)
            && (!self.blank_before_point() || self.last_relevant_is_point())
        {
            if self.t.locale_sign {
                if self.t.sign == LocaleSign::Before {
                    self.out.push(self.sign());
                    self.sign_written = true;
                }
            } else if self.t.bracket {
                self.out.push(if self.negative { b'<' } else { b' ' });
                self.sign_written = true;
            } else if !self.negative {
                if !self.t.fill {
                    self.out.push(b' ');
                }
                self.sign_written = true;
            } else {
                self.out.push(b'-');
                self.sign_written = true;
            }
        }
        if self.current < self.pre_spaces && (self.t.zero_start > self.current || !self.t.zero) {
            if !self.t.fill {
                self.out.push(b' ');
            }
        } else if self.t.zero && self.current < self.pre_spaces && self.t.zero_start <= self.current {
            self.out.push(b'0');
            self.inside = true;
        } else {
            match self.number.get(self.at).copied() {
                Some(b'.') => {
                    if !self.last_relevant_is_point() || self.t.fill {
                        self.out.push(b'.');
                    }
                }
                found => {
                    let past = self.last_relevant.is_some_and(|last| self.at > last);
                    if past && *node != Node::Zero {
                        // Not worth writing.
                    } else if self.blank_before_point() {
                        if !self.t.fill {
                            self.out.push(b' ');
                        } else if self.last_relevant_is_point() {
                            self.out.push(b'0');
                        }
                    } else if let Some(digit) = found {
                        self.out.push(digit);
                        self.inside = true;
                    }
                }
            }
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        let mut end = self.count + usize::from(self.pre_spaces > 0) + usize::from(self.t.decimal);
        if self.last_relevant == Some(self.at) {
            end = self.current;
        }
        if self.current + 1 == end {
            if self.sign_written && self.t.bracket {
                self.out.push(if self.negative { b'>' } else { b' ' });
            } else if self.t.locale_sign && self.t.sign == LocaleSign::After {
                self.out.push(self.sign());
            }
        }
        self.current += 1;
    }

    fn run(&mut self) {
        for node in self.t.nodes.clone() {
            match &node {
                Node::Nine | Node::Zero | Node::Point | Node::LocalPoint => self.digit(&node),
                Node::Comma | Node::Group => {
                    if self.inside {
                        self.out.push(b',');
                    } else if !self.t.fill {
                        self.out.push(b' ');
                    }
                }
                Node::Currency => self.out.push(b' '),
                Node::Roman { lower } => {
                    let text = String::from_utf8_lossy(self.number).into_owned();
                    let text = if *lower { text.to_lowercase() } else { text };
                    let padding = if self.t.fill { 0 } else { 15usize.saturating_sub(text.len()) };
                    self.out.resize(self.out.len() + padding, b' ');
                    self.out.extend_from_slice(text.as_bytes());
                }
                Node::Ordinal { lower } => {
                    if self.t.roman || self.number.first() == Some(&b'#') || self.negative || self.t.decimal {
                        continue;
                    }
                    let suffix = ordinal_suffix(self.number);
                    let suffix = if *lower { suffix.to_string() } else { suffix.to_uppercase() };
                    self.out.extend_from_slice(suffix.as_bytes());
                }
                Node::Minus => match (self.negative, self.t.fill) {
                    (true, _) => self.out.push(b'-'),
                    (false, true) => {}
                    (false, false) => self.out.push(b' '),
                },
                Node::Plus => match (self.negative, self.t.fill) {
                    (false, _) => self.out.push(b'+'),
                    (true, true) => {}
                    (true, false) => self.out.push(b' '),
                },
                Node::SignOrPlus => self.out.push(self.sign()),
                Node::Sign | Node::Bracket | Node::Silent => {}
                Node::Text(text) => self.out.extend_from_slice(text.as_bytes()),
            }
        }
    }
}

/// st, nd, rd, th.
pub(super) fn ordinal_suffix(digits: &[u8]) -> &'static str {
    let last = digits.last().copied().unwrap_or(b'0');
    let teens = digits.len() > 1 && digits.get(digits.len() - 2) == Some(&b'1');
    match last {
        b'1' if !teens => "st",
        b'2' if !teens => "nd",
        b'3' if !teens => "rd",
        _ => "th",
    }
}

fn roman(number: i64) -> String {
    if !(1..=3999).contains(&number) {
        return "#".repeat(15);
    }
    const STEPS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = number;
    let mut out = String::new();
    for (value, letters) in STEPS {
        while rest >= value {
            out.push_str(letters);
            rest -= value;
        }
    }
    out
}

/// Writes `digits` (rounded to the template's places, without sign) by the template.
fn write(mut t: Template, digits: &str, negative: bool) -> Vec<u8> {
    t.zero_start = t.zero_start.saturating_sub(1);
    let whole = digits.find('.').unwrap_or(digits.len());
    let mut number = digits.to_string();
    let mut pre_spaces = 0;
    if !t.roman {
        if t.pre > whole {
            pre_spaces = t.pre - whole;
        } else if t.pre < whole {
            number = format!("{}.{}", "#".repeat(t.pre), "#".repeat(t.post));
        }
    }
    let mut sign_written;
    if t.plus || t.minus {
        sign_written = !t.plus || t.minus;
    } else {
        if !negative && t.fill {
            t.bracket = false;
        }
        sign_written = !negative && t.fill && !t.locale_sign;
        if t.sign == LocaleSign::Before && t.pre == t.pre_sign {
            t.sign = LocaleSign::After;
        }
    }
    if t.roman {
        sign_written = true;
    }
    let mut count = (t.post + t.pre).saturating_sub(1);
    let bytes = number.as_bytes();
    let mut last_relevant = None;
    if t.fill && t.decimal {
        last_relevant = bytes.iter().position(|&b| b == b'.').map(|point| {
            let beyond = bytes[point + 1..].iter().rposition(|&b| b != b'0');
            beyond.map_or(point, |offset| point + 1 + offset)
        });
        if let Some(last) = last_relevant
            && t.zero_end > pre_spaces
        {
            let zero = (t.zero_end - pre_spaces).min(bytes.len() - 1);
            last_relevant = Some(last.max(zero));
        }
    }
    if !sign_written && pre_spaces == 0 {
        count += 1;
    }
    let mut writer = Writer {
        t,
        number: bytes,
        at: 0,
        negative,
        sign_written,
        inside: false,
        count,
        current: 0,
        pre_spaces,
        last_relevant,
        out: Vec::new(),
    };
    writer.run();
    writer.out
}

/// `d.ddde+xx` of a number, with a sign or a blank in front.
fn scientific(value: &Numeric, places: usize) -> String {
    let text = numeric_text(value);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.to_string()),
        None => (false, text),
    };
    let whole = digits.find('.').unwrap_or(digits.len()) as i64;
    let plain: String = digits.chars().filter(|&c| c != '.').collect();
    let leading = plain.bytes().take_while(|&b| b == b'0').count();
    let mut significant: Vec<u8> = plain.bytes().skip(leading).collect();
    let mut exponent = whole - leading as i64 - 1;
    if significant.is_empty() {
        significant = vec![b'0'];
        exponent = 0;
    }
    // Round half away from zero to one digit and `places` more.
    let round_up = significant.get(places + 1).is_some_and(|&digit| digit >= b'5');
    significant.resize(places + 1, b'0');
    if round_up {
        let mut at = significant.len();
        loop {
            if at == 0 {
                significant.insert(0, b'1');
                significant.pop();
                exponent += 1;
                break;
            }
            at -= 1;
            if significant[at] == b'9' {
                significant[at] = b'0';
            } else {
                significant[at] += 1;
                break;
            }
        }
    }
    let mut out = String::from(if negative { "-" } else { " " });
    for (index, digit) in significant.iter().enumerate() {
        if index == 1 {
            out.push('.');
        }
        out.push(char::from(*digit));
    }
    out.push_str(&format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
    out
}

fn numeric_text(value: &Numeric) -> String {
    let cx = types::text::TextContext::default();
    types::text::to_text(&types::Value::Numeric(value.clone()), types::DataType::NUMERIC, &cx)
}

fn format_numeric(value: &Numeric, template: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut t = Template::parse(template)?;
    if t.roman {
        let number = value.round(0).to_i64().unwrap_or(0);
        out.extend_from_slice(&write(t, &roman(number), false));
        return Ok(());
    }
    if t.scientific {
        if !value.is_finite() {
            let mut text = format!(" {}.{}####", "#".repeat(t.pre), "#".repeat(t.post));
            text.truncate(t.pre + t.post + 6);
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        out.extend_from_slice(scientific(value, t.post).as_bytes());
        return Ok(());
    }
    let mut value = value.clone();
    if t.multi > 0 {
        value = value.mul(&Numeric::from(10).power(&Numeric::from(t.multi as i64))?.round(0))?;
        t.pre += t.multi;
    }
    let text = numeric_text(&value.round(t.post as i32));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    out.extend_from_slice(&write(t, digits, negative));
    Ok(())
}

fn numeric_to_char(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| format_numeric(&args.numeric(0, row), args.str(1, row), out))
}

fn integer_to_char(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| format_numeric(&Numeric::from(args.int(0, row)), args.str(1, row), out))
}

fn float_to_char(args: &Args<'_>) -> Result<Vector> {
    let single = args.function.source == "float4_to_char";
    let digits = if single { 6 } else { 15 };
    args.build_text(|row, out| {
        let mut value = args.f64(0, row);
        let mut t = Template::parse(args.str(1, row))?;
        if t.roman {
            out.extend_from_slice(&write(t, &roman(value.round_ties_even() as i64), false));
            return Ok(());
        }
        if !value.is_finite() && t.scientific {
            let text = format!(" {}.{}####", "#".repeat(t.pre), "#".repeat(t.post));
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        if t.scientific {
            let text = format!("{value:+.*e}", t.post);
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let mantissa = mantissa.replacen('+', " ", 1);
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            out.extend_from_slice(format!("{mantissa}e{sign}{:02}", exponent.abs()).as_bytes());
            return Ok(());
        }
        if t.multi > 0 {
            value *= 10f64.powi(t.multi as i32);
            t.pre += t.multi;
        }
        let whole = if value.is_finite() { format!("{:.0}", value.abs()).len() } else { digits };
        // No more digits than the type can tell.
        if whole >= digits {
            t.post = 0;
        } else {
            t.post = t.post.min(digits - whole);
        }
        let text = if value.is_nan() {
            "NaN".to_string()
        } else if value.is_infinite() {
            "Infinity".to_string()
        } else {
            format!("{:.*}", t.post, value.abs())
        };
        out.extend_from_slice(&write(t, &text, value < 0.0));
        Ok(())
    })
}

/// to_number: the digits, point and sign that the template lets through. 22P02 when there are none.
fn to_number(args: &Args<'_>) -> Result<Vector> {
    args.build_opt(|row| {
        let (text, template) = (args.str(0, row), args.str(1, row));
        if template.is_empty() {
            return Ok(None);
        }
        let t = Template::parse(template)?;
        if t.roman {
            return Err(Error::not_supported("\"RN\" for input"));
        }
        if t.scientific {
            return Err(Error::not_supported("\"EEEE\" for input"));
        }
        let mut rest = text.trim_start().chars().peekable();
        let (mut digits, mut negative, mut point, mut after) = (String::new(), false, false, 0);
        let mut take_sign =
            |rest: &mut std::iter::Peekable<std::str::Chars<'_>>, brackets: bool| match rest.peek() {
                Some('-') => {
                    negative = true;
                    rest.next();
                }
                Some('<') if brackets => {
                    negative = true;
                    rest.next();
                }
                Some('+') => {
                    rest.next();
                }
                _ => {}
            };
        for node in &t.nodes {
            match node {
                Node::Nine | Node::Zero => {
                    while digits.is_empty() && rest.peek() == Some(&' ') {
                        rest.next();
                    }
                    if digits.is_empty() && !point {
                        take_sign(&mut rest, t.bracket);
                    }
                    if let Some(digit) = rest.next_if(char::is_ascii_digit) {
                        if !point {
                            digits.push(digit);
                        } else if after < t.post {
                            digits.push(digit);
                            after += 1;
                        }
                    } else if !point && t.decimal && rest.peek() == Some(&'.') {
                        rest.next();
                        digits.push('.');
                        point = true;
                    }
                }
                Node::Point | Node::LocalPoint => {
                    if !point && rest.next_if_eq(&'.').is_some() {
                        digits.push('.');
                        point = true;
                    }
                }
                Node::Comma | Node::Group => {
                    rest.next_if_eq(&',');
                }
                Node::Sign | Node::Minus | Node::Plus | Node::SignOrPlus => take_sign(&mut rest, false),
                Node::Bracket => {
                    rest.next_if_eq(&'>');
                }
                Node::Currency => {
                    rest.next_if(|c| !c.is_ascii_digit() && !matches!(c, '-' | '+' | '.' | ','));
                }
                Node::Text(text) => {
                    for _ in text.chars() {
                        if !rest.peek().is_some_and(char::is_ascii_digit) {
                            rest.next();
                        }
                    }
                }
                Node::Ordinal { .. } | Node::Roman { .. } | Node::Silent => {}
            }
        }
        let digits = digits.trim_end_matches('.');
        if digits.is_empty() {
            return Err(Error::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "invalid input syntax for type numeric: \" \"",
            ));
        }
        let mut value = Numeric::parse(digits)?.round(t.post as i32);
        if t.multi > 0 {
            value = value.div(&Numeric::from(10).power(&Numeric::from(t.multi as i64))?.round(0))?;
        }
        Ok(Some(N(if negative { value.neg() } else { value })))
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("numeric_to_char", numeric_to_char),
    ("int4_to_char", integer_to_char),
    ("int8_to_char", integer_to_char),
    ("float4_to_char", float_to_char),
    ("float8_to_char", float_to_char),
    ("numeric_to_number", to_number),
];
