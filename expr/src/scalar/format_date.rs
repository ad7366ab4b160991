//! to_char, to_date and to_timestamp: dates and times by template.
//!
//! Patterns and their spelling follow PostgreSQL's `formatting.c`; what it prints in the session's
//! language (`TM`) is English here.

use types::datetime::{self as dt, MICROS_PER_DAY, MICROS_PER_SECOND, TimeZone};
use types::{Error, Result, SqlState, Vector};

use super::format_number::ordinal_suffix;
use crate::function::{Args, Kernel};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMANS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Patterns, longest first among those with one beginning.
const PATTERNS: [&str; 56] = [
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI",
    "MM", "MONTH", "MON", "MS", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ",
    "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "FM", "TM",
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Case {
    Upper,
    Lower,
    Capital,
}

#[derive(Debug, Clone)]
enum Node {
    Field { pattern: &'static str, written: String, case: Case, fill: bool, ordinal: Option<Case> },
    Text(char),
}

fn parse_template(template: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = template;
    let mut fill = false;
    while let Some(c) = rest.chars().next() {
        let upper = rest.to_ascii_uppercase();
        if let Some(pattern) = PATTERNS.iter().copied().find(|pattern| upper.starts_with(pattern)) {
            let written = &rest[..pattern.len()];
            rest = &rest[pattern.len()..];
            match pattern {
                "FM" => {
                    fill = true;
                    continue;
                }
                "TM" => continue,
                "FX" => continue,
                _ => {}
            }
            let mut letters = written.chars().filter(char::is_ascii_alphabetic);
            let first_upper = letters.next().is_some_and(|c| c.is_ascii_uppercase());
            let second_upper = letters.next().is_some_and(|c| c.is_ascii_uppercase());
            let case = match (first_upper, second_upper) {
                (true, true) => Case::Upper,
                (true, false) => Case::Capital,
                (false, _) => Case::Lower,
            };
            let ordinal = if rest.starts_with("TH") {
                Some(Case::Upper)
            } else if rest.starts_with("th") {
                Some(Case::Lower)
            } else {
                None
            };
            if ordinal.is_some() {
                rest = &rest[2..];
            }
            nodes.push(Node::Field { pattern, written: written.to_string(), case, fill, ordinal });
            fill = false;
            continue;
        }
        if c == '"' {
            let mut chars = rest[1..].char_indices();
            let mut end = rest.len();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        end = at + 2;
                        break;
                    }
                    '\\' => nodes.extend(chars.next().map(|(_, c)| Node::Text(c))),
                    c => nodes.push(Node::Text(c)),
                }
            }
            rest = &rest[end.min(rest.len())..];
            continue;
        }
        if c == '\\' && rest[1..].starts_with('"') {
            rest = &rest[1..];
        }
        let c = rest.chars().next().unwrap_or(c);
        nodes.push(Node::Text(c));
        rest = &rest[c.len_utf8()..];
    }
    nodes
}

/// A moment taken apart.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// The date, for what follows from it; None for intervals.
    date: Option<i32>,
    zone: Option<(i32, String)>,
}

impl Fields {
    fn of_timestamp(timestamp: i64, zone: Option<&TimeZone>) -> Result<Fields> {
        let (local, zone) = match zone {
            None => (timestamp, None),
            Some(zone) => (
                dt::timestamptz_to_timestamp(timestamp, zone)?,
                Some((zone.offset_at(timestamp), zone.abbreviation_at(timestamp))),
            ),
        };
        let date = dt::timestamp_to_date(local)?;
        let (year, month, day) = dt::ymd_from_date(date);
        let time = local.rem_euclid(MICROS_PER_DAY);
        let seconds = time / MICROS_PER_SECOND;
        Ok(Fields {
            year: i64::from(year),
            month: i64::from(month),
            day: i64::from(day),
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: time % MICROS_PER_SECOND,
            date: Some(date),
            zone,
        })
    }

    fn of_interval(interval: types::Interval) -> Fields {
        let seconds = interval.micros / MICROS_PER_SECOND;
        Fields {
            year: i64::from(interval.months / 12),
            month: i64::from(interval.months % 12),
            day: i64::from(interval.days),
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: interval.micros % MICROS_PER_SECOND,
            date: None,
            zone: None,
        }
    }

    /// What EXTRACT says of the date. 22007 for an interval.
    fn of_date(&self, field: &str) -> Result<i64> {
        let Some(date) = self.date else {
            return Err(Error::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .with_hint("Intervals are not tied to specific calendar dates."));
        };
        match dt::extract_date(field, date)? {
            Some(value) => value.to_i64(),
            None => Ok(0),
        }
    }

    /// Years as people write them: 1 BC is 1.
    fn shown_year(&self, year: i64) -> i64 {
        if self.date.is_some() && year <= 0 { 1 - year } else { year }
    }
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_uppercase(),
        Case::Lower => text.to_lowercase(),
        Case::Capital => text.to_string(),
    }
}

fn write_template(nodes: &[Node], fields: &Fields) -> Result<String> {
    let mut out = String::new();
    for node in nodes {
        let (pattern, case, fill, ordinal) = match node {
            Node::Text(c) => {
                out.push(*c);
                continue;
            }
            Node::Field { pattern, case, fill, ordinal, .. } => (*pattern, *case, *fill, *ordinal),
        };
        let number = |value: i64, width: usize| -> String {
            if fill {
                value.to_string()
            } else if value < 0 {
                format!("-{:0width$}", -value)
            } else {
                format!("{value:0width$}")
            }
        };
        let name = |text: &str| -> String {
            let text = cased(text, case);
            if fill { text } else { format!("{text:<9}") }
        };
        let twelve = |hour: i64| if hour % 12 == 0 { 12 } else { hour % 12 };
        let text = match pattern {
            "A.M." | "P.M." | "AM" | "PM" => {
                let afternoon = fields.hour % 24 >= 12;
                let text = match (pattern.len() == 4, afternoon) {
                    (true, false) => "A.M.",
                    (true, true) => "P.M.",
                    (false, false) => "AM",
                    (false, true) => "PM",
                };
                if case == Case::Lower { text.to_lowercase() } else { text.to_string() }
            }
            "A.D." | "B.C." | "AD" | "BC" => {
                fields.of_date("year")?;
                let text = match (pattern.len() == 4, fields.year <= 0) {
                    (true, false) => "A.D.",
                    (true, true) => "B.C.",
                    (false, false) => "AD",
                    (false, true) => "BC",
                };
                if case == Case::Lower { text.to_lowercase() } else { text.to_string() }
            }
            "HH" | "HH12" => number(twelve(fields.hour), 2),
            "HH24" => number(fields.hour, 2),
            "MI" => number(fields.minute, 2),
            "SS" => number(fields.second, 2),
            "FF1" => number(fields.micros / 100_000, 1),
            "FF2" => number(fields.micros / 10_000, 2),
            "FF3" | "MS" => format!("{:03}", fields.micros / 1_000),
            "FF4" => format!("{:04}", fields.micros / 100),
            "FF5" => format!("{:05}", fields.micros / 10),
            "FF6" | "US" => format!("{:06}", fields.micros),
            "SSSS" | "SSSSS" => (fields.hour * 3600 + fields.minute * 60 + fields.second).to_string(),
            "TZ" => {
                let text = fields.zone.as_ref().map_or("", |(_, name)| name.as_str());
                if case == Case::Lower { text.to_lowercase() } else { text.to_string() }
            }
            "TZH" => {
                let offset = fields.zone.as_ref().map_or(0, |(offset, _)| *offset);
                format!("{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3600)
            }
            "TZM" => format!("{:02}", fields.zone.as_ref().map_or(0, |(offset, _)| offset.abs() / 60 % 60)),
            "OF" => {
                let offset = fields.zone.as_ref().map_or(0, |(offset, _)| *offset);
                let hours = offset.abs() / 3600;
                let sign = if offset < 0 { '-' } else { '+' };
                let mut text = if fill { format!("{sign}{hours}") } else { format!("{sign}{hours:02}") };
                if offset.abs() % 3600 != 0 {
                    text.push_str(&format!(":{:02}", offset.abs() / 60 % 60));
                }
                text
            }
            "MONTH" => match MONTHS.get((fields.month - 1) as usize) {
                Some(month) => name(month),
                None => continue,
            },
            "MON" => match MONTHS.get((fields.month - 1) as usize) {
                Some(month) => cased(&month[..3], case),
                None => continue,
            },
            "MM" => number(fields.month, 2),
            "DAY" => name(DAYS[fields.of_date("dow")?.rem_euclid(7) as usize]),
            "DY" => cased(&DAYS[fields.of_date("dow")?.rem_euclid(7) as usize][..3], case),
            "DDD" => number(
                if fields.date.is_some() {
                    fields.of_date("doy")?
                } else {
                    fields.year * 360 + fields.month * 30 + fields.day
                },
                3,
            ),
            "IDDD" => {
                let week = fields.of_date("week")?;
                number((week - 1) * 7 + fields.of_date("isodow")?, 3)
            }
            "DD" => number(fields.day, 2),
            "D" => (fields.of_date("dow")? + 1).to_string(),
            "ID" => fields.of_date("isodow")?.to_string(),
            "WW" => number((fields.of_date("doy")? - 1) / 7 + 1, 2),
            "IW" => number(fields.of_date("week")?, 2),
            "Q" => match fields.month {
                0 => continue,
                month => ((month - 1) / 3 + 1).to_string(),
            },
            "CC" => {
                let year = fields.year;
                let century = if fields.date.is_none() {
                    year / 100
                } else if year > 0 {
                    (year - 1) / 100 + 1
                } else {
                    year / 100 - 1
                };
                if (-99..=99).contains(&century) { number(century, 2) } else { century.to_string() }
            }
            "Y,YYY" => {
                let year = fields.shown_year(fields.year);
                let thousands = year / 1000;
                format!("{thousands},{:03}", year - thousands * 1000)
            }
            "YYYY" => number(fields.shown_year(fields.year), 4),
            "IYYY" => number(fields.shown_year(fields.of_date("isoyear")?), 4),
            "YYY" => number(fields.shown_year(fields.year) % 1000, 3),
            "IYY" => number(fields.of_date("isoyear")? % 1000, 3),
            "YY" => number(fields.shown_year(fields.year) % 100, 2),
            "IY" => number(fields.of_date("isoyear")? % 100, 2),
            "Y" => (fields.shown_year(fields.year) % 10).to_string(),
            "I" => (fields.of_date("isoyear")? % 10).to_string(),
            "RM" => match ROMANS.get((fields.month - 1) as usize) {
                Some(text) => {
                    let text = if case == Case::Lower { text.to_lowercase() } else { (*text).to_string() };
                    if fill { text } else { format!("{text:<4}") }
                }
                None => continue,
            },
            "W" => ((fields.day - 1) / 7 + 1).to_string(),
            "J" => fields.of_date("julian")?.to_string(),
            _ => continue,
        };
        out.push_str(&text);
        if let Some(style) = ordinal
            && text.bytes().all(|byte| byte.is_ascii_digit())
        {
            let suffix = ordinal_suffix(text.as_bytes());
            out.push_str(&if style == Case::Upper { suffix.to_uppercase() } else { suffix.to_string() });
        }
    }
    Ok(out)
}

fn to_char(args: &Args<'_>) -> Result<Vector> {
    let mut known: Option<(String, Vec<Node>)> = None;
    args.build_text_opt(|row, out| {
        let template = args.str(1, row);
        if known.as_ref().is_none_or(|(text, _)| text != template) {
            known = Some((template.to_string(), parse_template(template)));
        }
        let nodes = known.as_ref().map_or(&[][..], |(_, nodes)| nodes.as_slice());
        let fields = match args.function.source {
            "interval_to_char" => Fields::of_interval(args.interval(0, row)),
            source => {
                let timestamp = args.int(0, row);
                if template.is_empty() || timestamp == i64::MAX || timestamp == i64::MIN {
                    return Ok(false);
                }
                let zone = (source == "timestamptz_to_char").then_some(&args.cx.text.time_zone);
                Fields::of_timestamp(timestamp, zone)?
            }
        };
        out.extend_from_slice(write_template(nodes, &fields)?.as_bytes());
        Ok(true)
    })
}

/// What was read of a text.
#[derive(Debug, Default)]
struct Read {
    year: Option<i64>,
    bc: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    iso_year: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    century: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    twelve: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    second_of_day: Option<i64>,
    zone_seconds: Option<i64>,
}

/// The text still to be read.
struct Source<'a> {
    rest: &'a str,
}

impl Source<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn invalid(&self, shown: &str, pattern: &str) -> Error {
        Error::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid value \"{shown}\" for \"{pattern}\""))
    }

    /// An integer of at most `width` characters, or of any length when `open`.
    fn number(&mut self, width: usize, open: bool, pattern: &str) -> Result<i64> {
        self.skip_blanks();
        let rest = self.rest;
        let signed = usize::from(rest.starts_with(['-', '+']));
        let digits = rest[signed..].bytes().take_while(u8::is_ascii_digit).count();
        let available = signed + digits;
        let take = if open { available } else { available.min(width) };
        if digits == 0 || take <= signed {
            let shown: String = rest.chars().take(width).collect();
            return Err(self.invalid(&shown, pattern).with_detail("Value must be an integer."));
        }
        if !open && available < width && !rest[available..].is_empty() {
            let shown: String = rest.chars().take(width).collect();
            return Err(self
                .invalid(&shown, pattern)
                .with_detail(format!(
                    "Field requires {width} characters, but only {available} could be parsed."
                ))
                .with_hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let value = rest[..take].parse::<i64>().map_err(|_| {
            Error::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{pattern}\" in source string is out of range"),
            )
        })?;
        self.rest = &rest[take..];
        Ok(value)
    }

    /// The index of the name (or its first three letters) that comes next.
    fn name(&mut self, names: &[&str], short: bool, pattern: &str) -> Result<usize> {
        self.skip_blanks();
        for (index, name) in names.iter().enumerate() {
            let name = if short { &name[..3] } else { name };
            if self.rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                self.rest = &self.rest[name.len()..];
                return Ok(index);
            }
        }
        let shown: String = self.rest.chars().take_while(|c| !c.is_whitespace()).collect();
        Err(self
            .invalid(&shown, pattern)
            .with_detail("The given value did not match any of the allowed values for this field."))
    }
}

/// Two- and three-digit years lie nearest to 2020.
fn whole_year(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        year => year,
    }
}

fn read_template(text: &str, nodes: &[Node]) -> Result<Read> {
    let mut source = Source { rest: text };
    let mut read = Read::default();
    for (position, node) in nodes.iter().enumerate() {
        if source.rest.is_empty() {
            break;
        }
        let (pattern, written, fill) = match node {
            Node::Text(c) => {
                if c.is_whitespace() {
                    source.skip_blanks();
                    let mut chars = source.rest.chars();
                    // A separator may stand where the template has a blank.
                    if chars.next().is_some_and(|c| !c.is_alphanumeric() && !matches!(c, '-' | '+')) {
                        source.rest = chars.as_str();
                    }
                } else if c.is_alphanumeric() {
                    let mut chars = source.rest.chars();
                    chars.next();
                    source.rest = chars.as_str();
                } else {
                    source.skip_blanks();
                    let mut chars = source.rest.chars();
                    if chars.next().is_some_and(|c| !c.is_alphanumeric()) {
                        source.rest = chars.as_str();
                    }
                }
                continue;
            }
            Node::Field { pattern, written, fill, .. } => (*pattern, written.as_str(), *fill),
        };
        // Digits may run on unless another number follows directly.
        let open = fill
            || match nodes.get(position + 1) {
                None => true,
                Some(Node::Text(c)) => !c.is_ascii_digit(),
                Some(Node::Field { pattern, .. }) => !is_numeric(pattern),
            };
        let mut number = |width: usize| source.number(width, open, written);
        match pattern {
            "Y,YYY" => {
                source.skip_blanks();
                let head: String =
                    source.rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
                source.rest = &source.rest[head.len()..];
                let digits: String = head.chars().filter(char::is_ascii_digit).collect();
                let year = digits.parse().map_err(|_| {
                    Error::new(SqlState::INVALID_DATETIME_FORMAT, "invalid input string for \"Y,YYY\"")
                })?;
                read.year = Some(year);
            }
            "YYYY" => read.year = Some(number(4)?),
            "YYY" => read.year = Some(whole_year(number(3)?)),
            "YY" => read.year = Some(whole_year(number(2)?)),
            "Y" => read.year = Some(whole_year(number(1)?)),
            "IYYY" => read.iso_year = Some(number(4)?),
            "IYY" => read.iso_year = Some(whole_year(number(3)?)),
            "IY" => read.iso_year = Some(whole_year(number(2)?)),
            "I" => read.iso_year = Some(whole_year(number(1)?)),
            "CC" => read.century = Some(number(2)?),
            "MM" => read.month = Some(number(2)?),
            "MONTH" => {
                // A short name will do where the long one does not fit.
                let long = source.name(&MONTHS, false, written);
                let index = match long {
                    Ok(index) => index,
                    Err(_) => source.name(&MONTHS, true, written)?,
                };
                read.month = Some(index as i64 + 1);
            }
            "MON" => read.month = Some(source.name(&MONTHS, true, written)? as i64 + 1),
            "RM" => {
                source.skip_blanks();
                let head: String = source
                    .rest
                    .chars()
                    .take_while(|c| matches!(c.to_ascii_uppercase(), 'I' | 'V' | 'X'))
                    .collect();
                let index = ROMANS.iter().position(|roman| roman.eq_ignore_ascii_case(&head));
                read.month = Some(index.ok_or_else(|| source.invalid(&head, written))? as i64 + 1);
                source.rest = &source.rest[head.len()..];
            }
            "DD" => read.day = Some(number(2)?),
            "DDD" => read.day_of_year = Some(number(3)?),
            "DAY" => {
                let long = source.name(&DAYS, false, written);
                if long.is_err() {
                    source.name(&DAYS, true, written)?;
                }
            }
            "DY" => {
                source.name(&DAYS, true, written)?;
            }
            "D" => {
                number(1)?;
            }
            "ID" => read.iso_day = Some(number(1)?),
            "IW" => read.iso_week = Some(number(2)?),
            "IDDD" => {
                let day = number(3)?;
                read.iso_week = Some((day - 1) / 7 + 1);
                read.iso_day = Some((day - 1) % 7 + 1);
            }
            "WW" => read.week = Some(number(2)?),
            "W" => read.week_of_month = Some(number(1)?),
            "Q" => {
                number(1)?;
            }
            "J" => read.julian = Some(number(7)?),
            "HH24" => read.hour = number(2)?,
            "HH" | "HH12" => {
                read.hour = number(2)?;
                read.twelve = true;
            }
            "MI" => read.minute = number(2)?,
            "SS" => read.second = number(2)?,
            "SSSS" | "SSSSS" => read.second_of_day = Some(number(5)?),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = match pattern {
                    "MS" | "FF3" => 3,
                    "FF1" => 1,
                    "FF2" => 2,
                    "FF4" => 4,
                    "FF5" => 5,
                    _ => 6,
                };
                source.skip_blanks();
                let digits: String =
                    source.rest.chars().take(width).take_while(char::is_ascii_digit).collect();
                if digits.is_empty() {
                    let shown: String = source.rest.chars().take(width).collect();
                    return Err(source.invalid(&shown, written).with_detail("Value must be an integer."));
                }
                source.rest = &source.rest[digits.len()..];
                read.micros = format!("{digits:0<6}").parse().unwrap_or(0);
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                source.skip_blanks();
                let names: [&str; 2] = if pattern.len() == 4 { ["A.M.", "P.M."] } else { ["AM", "PM"] };
                read.afternoon = Some(source.name(&names, false, written)? == 1);
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                source.skip_blanks();
                let names: [&str; 2] = if pattern.len() == 4 { ["A.D.", "B.C."] } else { ["AD", "BC"] };
                read.bc = source.name(&names, false, written)? == 1;
            }
            "TZH" => {
                source.skip_blanks();
                let negative = source.rest.starts_with('-');
                let hours = source.number(3, open, written)?.abs();
                read.zone_seconds = Some(if negative { -hours * 3600 } else { hours * 3600 });
            }
            "TZM" => {
                let minutes = number(2)?;
                let hours = read.zone_seconds.unwrap_or(0);
                read.zone_seconds = Some(if hours < 0 { hours - minutes * 60 } else { hours + minutes * 60 });
            }
            "TZ" | "OF" => {
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("formatting field \"{written}\" is only supported in to_char"),
                ));
            }
            _ => {}
        }
    }
    Ok(read)
}

fn is_numeric(pattern: &str) -> bool {
    !matches!(
        pattern,
        "A.D."
            | "A.M."
            | "AD"
            | "AM"
            | "B.C."
            | "BC"
            | "DAY"
            | "DY"
            | "MONTH"
            | "MON"
            | "P.M."
            | "PM"
            | "RM"
            | "TZ"
            | "OF"
    )
}

impl Read {
    fn out_of_range(text: &str) -> Error {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        )
    }

    fn date(&self, text: &str) -> Result<i32> {
        let fail = || Read::out_of_range(text);
        if let Some(julian) = self.julian {
            // Julian day 2451545 is 2000-01-01.
            return i32::try_from(julian - 2_451_545).map_err(|_| fail());
        }
        let mut year = match (self.year, self.century) {
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1) * 100 + 1,
            (None, None) if self.iso_year.is_some() => self.iso_year.unwrap_or(1),
            // Nothing said: 1 BC, PostgreSQL's year zero.
            (None, None) => 0,
        };
        if self.bc && year > 0 {
            year = 1 - year;
        } else if year < 0 {
            year += 1;
        }
        let year = i32::try_from(year).map_err(|_| fail())?;
        if let (Some(week), None) = (self.iso_week, self.month) {
            if !(1..=53).contains(&week) {
                return Err(fail());
            }
            let fourth = dt::date_from_ymd(year, 1, 4).ok_or_else(fail)?;
            // 2000-01-01 was a Saturday: weekday 5 from Monday.
            let monday = fourth - (fourth + 5).rem_euclid(7);
            return Ok(monday + (week as i32 - 1) * 7 + self.iso_day.unwrap_or(1) as i32 - 1);
        }
        let day_of_year = self.day_of_year.or(self.week.map(|week| (week - 1) * 7 + 1));
        if let (Some(day), None) = (day_of_year, self.month) {
            let first = dt::date_from_ymd(year, 1, 1).ok_or_else(fail)?;
            let length = dt::date_from_ymd(year + 1, 1, 1).ok_or_else(fail)? - first;
            if !(1..=i64::from(length)).contains(&day) {
                return Err(fail());
            }
            return Ok(first + day as i32 - 1);
        }
        let month = self.month.unwrap_or(1);
        let day = self.day.or(self.week_of_month.map(|week| (week - 1) * 7 + 1)).unwrap_or(1);
        let (month, day) =
            (i32::try_from(month).map_err(|_| fail())?, i32::try_from(day).map_err(|_| fail())?);
        dt::date_from_ymd(year, month, day).ok_or_else(fail)
    }

    fn time(&self, text: &str) -> Result<i64> {
        let (mut hour, mut minute, mut second) = (self.hour, self.minute, self.second);
        if let Some(total) = self.second_of_day {
            (hour, minute, second) = (total / 3600, total / 60 % 60, total % 60);
        }
        if self.twelve || self.afternoon.is_some() {
            if !(1..=12).contains(&hour) {
                return Err(Error::new(
                    SqlState::INVALID_DATETIME_FORMAT,
                    format!("hour \"{hour}\" is invalid for the 12-hour clock"),
                )
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            match self.afternoon {
                Some(true) if hour < 12 => hour += 12,
                Some(false) if hour == 12 => hour = 0,
                _ => {}
            }
        }
        if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
            return Err(Read::out_of_range(text));
        }
        Ok(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + self.micros)
    }
}

fn to_date(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let text = args.str(0, row);
        read_template(text, &parse_template(args.str(1, row)))?.date(text)
    })
}

fn to_timestamp(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let text = args.str(0, row);
        let read = read_template(text, &parse_template(args.str(1, row)))?;
        let midnight = dt::date_to_timestamp(read.date(text)?)?;
        let local = midnight + read.time(text)?;
        match read.zone_seconds {
            Some(seconds) => Ok(local - seconds * MICROS_PER_SECOND),
            None => dt::timestamp_to_timestamptz(local, &args.cx.text.time_zone),
        }
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("timestamp_to_char", to_char),
    ("timestamptz_to_char", to_char),
    ("interval_to_char", to_char),
    ("to_date", to_date),
    ("to_timestamp", to_timestamp),
];
