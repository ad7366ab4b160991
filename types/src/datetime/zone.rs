//! Time zones: fixed offsets, abbreviations and the tz database.

use std::sync::Arc;

use jiff::tz::AmbiguousOffset;

use super::{Interval, MICROS_PER_SECOND, UNIX_EPOCH_DAYS, civil_from_days, split_timestamp};
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// A time zone: a fixed offset or a name of the tz database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TimeZone {
    name: Arc<str>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Seconds east of UTC.
    Fixed(i32),
    Named(jiff::tz::TimeZone),
}

/// PostgreSQL's default abbreviations that people meet, with hours and minutes east of UTC.
const ABBREVIATIONS: &[(&str, i32, i32)] = &[
    ("utc", 0, 0),
    ("gmt", 0, 0),
    ("z", 0, 0),
    ("zulu", 0, 0),
    ("ut", 0, 0),
    ("wet", 0, 0),
    ("bst", 1, 0),
    ("west", 1, 0),
    ("cet", 1, 0),
    ("met", 1, 0),
    ("mez", 1, 0),
    ("cest", 2, 0),
    ("mest", 2, 0),
    ("mesz", 2, 0),
    ("eet", 2, 0),
    ("ist", 2, 0),
    ("sast", 2, 0),
    ("eest", 3, 0),
    ("idt", 3, 0),
    ("msk", 3, 0),
    ("msd", 4, 0),
    ("pkt", 5, 0),
    ("ict", 7, 0),
    ("hkt", 8, 0),
    ("sgt", 8, 0),
    ("awst", 8, 0),
    ("jst", 9, 0),
    ("kst", 9, 0),
    ("acst", 9, 30),
    ("acdt", 10, 30),
    ("aest", 10, 0),
    ("aedt", 11, 0),
    ("nzst", 12, 0),
    ("nzt", 12, 0),
    ("nzdt", 13, 0),
    ("art", -3, 0),
    ("brt", -3, 0),
    ("ndt", -2, -30),
    ("nst", -3, -30),
    ("adt", -3, 0),
    ("ast", -4, 0),
    ("edt", -4, 0),
    ("est", -5, 0),
    ("cdt", -5, 0),
    ("cst", -6, 0),
    ("mdt", -6, 0),
    ("mst", -7, 0),
    ("pdt", -7, 0),
    ("pst", -8, 0),
    ("akdt", -8, 0),
    ("akst", -9, 0),
    ("hst", -10, 0),
];

/// Offsets reach less than 16 hours.
const MAX_OFFSET: i32 = 15 * 3600 + 59 * 60 + 59;

pub(super) fn abbreviation_offset(word: &str) -> Option<i32> {
    let found = ABBREVIATIONS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(word))?;
    Some(found.1 * 3600 + found.2 * 60)
}

fn unrecognized(name: &str) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
}

impl TimeZone {
    pub fn utc() -> TimeZone {
        TimeZone { name: Arc::from("UTC"), kind: Kind::Fixed(0) }
    }

    /// A fixed offset in seconds east of UTC, named as PostgreSQL names it: `<+02>-02`.
    pub fn fixed(seconds: i32) -> TimeZone {
        let shown = |seconds: i32| {
            let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
            match (size / 60 % 60, size % 60) {
                (0, 0) => format!("{sign}{:02}", size / 3600),
                (minutes, 0) => format!("{sign}{:02}:{minutes:02}", size / 3600),
                (minutes, seconds) => format!("{sign}{:02}:{minutes:02}:{seconds:02}", size / 3600),
            }
        };
        let name = format!("<{}>{}", shown(seconds), shown(-seconds));
        TimeZone { name: Arc::from(name), kind: Kind::Fixed(seconds) }
    }

    /// By name (`Europe/Vienna`), abbreviation (`CET`) or POSIX rule (`EST5EDT`, `+02`: two hours *west*), as
    /// `AT TIME ZONE` takes it. 22023 `time zone "x" not recognized`.
    pub fn parse(name: &str) -> Result<TimeZone> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(TimeZone::utc());
        }
        if let Some(offset) = abbreviation_offset(name) {
            let shown = name.to_ascii_uppercase();
            return Ok(TimeZone { name: Arc::from(shown), kind: Kind::Fixed(offset) });
        }
        TimeZone::parse_named(name)
    }

    /// As `SET TimeZone` takes it: a number is hours *east*, an interval an offset; names come before
    /// abbreviations. 22023 `invalid value for parameter "TimeZone": "x"`.
    pub fn parse_setting(value: &str) -> Result<TimeZone> {
        let invalid = || {
            Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"TimeZone\": \"{value}\""),
            )
        };
        let trimmed = value.trim();
        if trimmed.eq_ignore_ascii_case("utc") {
            return Ok(TimeZone::utc());
        }
        if let Ok(hours) = trimmed.parse::<f64>()
            && hours.is_finite()
        {
            #[allow(clippy::cast_possible_truncation)]
            let seconds = (hours * 3600.0) as i32;
            return if seconds.abs() <= MAX_OFFSET { Ok(TimeZone::fixed(seconds)) } else { Err(invalid()) };
        }
        TimeZone::parse_named(trimmed).map_err(|_| invalid())
    }

    fn parse_named(name: &str) -> Result<TimeZone> {
        if let Some(seconds) = posix_offset(name) {
            return Ok(TimeZone { name: Arc::from(name), kind: Kind::Fixed(seconds) });
        }
        let zone = jiff::tz::TimeZone::get(name).or_else(|_| {
            // jiff takes rules with daylight saving and plain ones like `XYZ+3`.
            jiff::tz::TimeZone::posix(name)
        });
        let zone = zone.map_err(|_| unrecognized(name))?;
        let shown = zone.iana_name().unwrap_or(name).to_string();
        Ok(TimeZone { name: Arc::from(shown), kind: Kind::Named(zone) })
    }

    /// From an `AT TIME ZONE interval`. 22023 with months or days.
    pub fn from_interval(offset: Interval) -> Result<TimeZone> {
        if offset.months != 0 || offset.days != 0 {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "interval time zone must not include months or days",
            ));
        }
        let seconds = i32::try_from(offset.micros / MICROS_PER_SECOND).ok().filter(|s| s.abs() < 168 * 3600);
        seconds.map(TimeZone::fixed).ok_or_else(|| {
            Error::new(SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE, "time zone displacement out of range")
        })
    }

    /// As `SHOW TimeZone` prints it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of UTC at this instant (microseconds since 2000-01-01 UTC).
    pub fn offset_at(&self, utc_micros: i64) -> i32 {
        match &self.kind {
            Kind::Fixed(seconds) => *seconds,
            Kind::Named(zone) => zone.to_offset(instant(utc_micros)).seconds(),
        }
    }

    /// Seconds east of UTC when clocks here show this. In a gap the offset before it, in a fold the one after
    /// it: standard time, as PostgreSQL.
    pub fn offset_at_local(&self, local_micros: i64) -> i32 {
        let zone = match &self.kind {
            Kind::Fixed(seconds) => return *seconds,
            Kind::Named(zone) => zone,
        };
        let (days, time) = split_timestamp(local_micros);
        let (year, month, day) = civil_from_days(days);
        // The rules of far years are those of the last year jiff knows.
        let year = i16::try_from(year.clamp(-9990, 9990)).unwrap_or(2000);
        let seconds = time / MICROS_PER_SECOND;
        let small = |n: i64| i8::try_from(n).unwrap_or(1);
        let day = if month == 2 && day == 29 && !super::is_leap(i64::from(year)) { 28 } else { day };
        let clock = jiff::civil::DateTime::new(
            year,
            small(month),
            small(day),
            small(seconds / 3600),
            small(seconds / 60 % 60),
            small(seconds % 60),
            0,
        );
        match clock.map(|clock| zone.to_ambiguous_timestamp(clock).offset()) {
            Ok(AmbiguousOffset::Unambiguous { offset }) => offset.seconds(),
            Ok(AmbiguousOffset::Gap { before, .. }) => before.seconds(),
            Ok(AmbiguousOffset::Fold { after, .. }) => after.seconds(),
            Err(_) => 0,
        }
    }

    /// `CET`, `+03`.
    pub fn abbreviation_at(&self, utc_micros: i64) -> String {
        match &self.kind {
            Kind::Fixed(_) => match self.name.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((shown, _)) => shown.to_string(),
                None => self.name.to_string(),
            },
            Kind::Named(zone) => zone.to_offset_info(instant(utc_micros)).abbreviation().to_string(),
        }
    }

    /// Whether clocks show daylight saving time at this instant.
    pub fn is_dst_at(&self, utc_micros: i64) -> bool {
        match &self.kind {
            Kind::Fixed(_) => false,
            Kind::Named(zone) => zone.to_offset_info(instant(utc_micros)).dst().is_dst(),
        }
    }
}

/// `+02`, `-5:30` as POSIX reads them: hours west.
fn posix_offset(name: &str) -> Option<i32> {
    let sign = match name.as_bytes().first()? {
        b'+' => -1,
        b'-' => 1,
        _ => return None,
    };
    let mut parts = name[1..].split(':');
    let mut seconds = 0;
    for unit in [3600, 60, 1] {
        let Some(part) = parts.next() else { break };
        if part.is_empty() || part.len() > 2 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        seconds += part.parse::<i32>().ok()? * unit;
    }
    (parts.next().is_none() && seconds <= MAX_OFFSET).then_some(sign * seconds)
}

fn instant(utc_micros: i64) -> jiff::Timestamp {
    let seconds = utc_micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_DAYS * 86_400;
    let clamped = seconds.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    jiff::Timestamp::from_second(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_offsets_and_abbreviations() {
        let vienna = TimeZone::parse("europe/vienna").unwrap();
        assert_eq!(vienna.name(), "Europe/Vienna");
        // 2000-01-01 and half a year later.
        assert_eq!((vienna.offset_at(0), vienna.offset_at(15_552_000_000_000)), (3600, 7200));
        assert_eq!(vienna.abbreviation_at(0), "CET");
        assert_eq!(TimeZone::parse("+02").unwrap().offset_at(0), -7200);
        assert_eq!(TimeZone::parse_setting("2").unwrap().offset_at(0), 7200);
        assert_eq!(TimeZone::parse_setting("2").unwrap().name(), "<+02>-02");
        assert_eq!(TimeZone::parse("est").unwrap().offset_at(0), -18_000);
        assert_eq!(TimeZone::parse("nowhere").unwrap_err().message(), "time zone \"nowhere\" not recognized");
    }
}
