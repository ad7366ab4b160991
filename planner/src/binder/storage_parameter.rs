//! Storage parameters of tables and indexes: read, checked, and said to be without effect.
//!
//! Called by CREATE and ALTER of tables, indexes and keys. PostgreSQL's parameters tune what there is none of here: pages
//! are filled and versions reclaimed without being asked. A script that sets them must run all the same, and learn that
//! they do nothing. Names, ranges and messages: PostgreSQL's `reloptions.c`.

use parser::ast::{DefElem, DefValue};
use types::sqlstate::SqlState;
use types::{DataType, Error, Result, TextContext, Value};

/// How a value reads.
#[derive(Clone, Copy)]
enum Kind {
    Boolean,
    Integer(i64, i64),
    Real(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
}

const MOST: i64 = i32::MAX as i64;

/// Name, of tables (and toast tables), of indexes, value.
const PARAMETERS: &[(&str, bool, bool, Kind)] = &[
    ("fillfactor", true, true, Kind::Integer(10, 100)),
    ("deduplicate_items", false, true, Kind::Boolean),
    ("parallel_workers", true, false, Kind::Integer(0, 1024)),
    ("toast_tuple_target", true, false, Kind::Integer(128, 8160)),
    (
        "vacuum_index_cleanup",
        true,
        false,
        Kind::Word(&["auto", "on", "off", "true", "false", "yes", "no", "1", "0"]),
    ),
    ("vacuum_truncate", true, false, Kind::Boolean),
    ("log_autovacuum_min_duration", true, false, Kind::Integer(-1, MOST)),
    ("autovacuum_enabled", true, false, Kind::Boolean),
    ("autovacuum_vacuum_threshold", true, false, Kind::Integer(0, MOST)),
    ("autovacuum_vacuum_insert_threshold", true, false, Kind::Integer(-1, MOST)),
    ("autovacuum_analyze_threshold", true, false, Kind::Integer(0, MOST)),
    ("autovacuum_vacuum_cost_limit", true, false, Kind::Integer(1, 10_000)),
    ("autovacuum_vacuum_cost_delay", true, false, Kind::Real(0.0, 100.0)),
    ("autovacuum_vacuum_scale_factor", true, false, Kind::Real(0.0, 100.0)),
    ("autovacuum_vacuum_insert_scale_factor", true, false, Kind::Real(0.0, 100.0)),
    ("autovacuum_analyze_scale_factor", true, false, Kind::Real(0.0, 100.0)),
    ("autovacuum_freeze_min_age", true, false, Kind::Integer(0, 1_000_000_000)),
    ("autovacuum_freeze_max_age", true, false, Kind::Integer(100_000, 2_000_000_000)),
    ("autovacuum_freeze_table_age", true, false, Kind::Integer(0, 2_000_000_000)),
    ("autovacuum_multixact_freeze_min_age", true, false, Kind::Integer(0, 1_000_000_000)),
    ("autovacuum_multixact_freeze_max_age", true, false, Kind::Integer(10_000, 2_000_000_000)),
    ("autovacuum_multixact_freeze_table_age", true, false, Kind::Integer(0, 2_000_000_000)),
];

/// Checks `options` of a table or an index, and adds a notice for each that would do something elsewhere.
/// 22023 for one that does not exist or has a wrong value.
pub(super) fn check(
    options: &[DefElem],
    of_index: bool,
    reset: bool,
    notices: &mut Vec<Error>,
) -> Result<()> {
    for option in options {
        let namespace = option.namespace.as_deref();
        if namespace.is_some_and(|namespace| namespace != "toast" || of_index) {
            return Err(invalid(format!(
                "unrecognized parameter namespace \"{}\"",
                namespace.unwrap_or_default()
            )));
        }
        if !of_index && option.name == "oids" {
            if is_true(option).unwrap_or(true) {
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "tables declared WITH OIDS are not supported",
                ));
            }
            continue;
        }
        let known = PARAMETERS
            .iter()
            .find(|(name, table, index, _)| *name == option.name && if of_index { *index } else { *table });
        let Some((name, _, _, kind)) = known else {
            // It means something there; nothing that could be left out.
            if option.name == "user_catalog_table" && !of_index {
                return Err(Error::not_supported("storage parameter \"user_catalog_table\"").at(option.span));
            }
            return Err(invalid(format!("unrecognized parameter \"{}\"", option.name)));
        };
        let is_default = !reset && kind.check(name, option)?;
        if !reset && !is_default {
            notices.push(
                Error::new(
                    SqlState::SUCCESSFUL_COMPLETION,
                    format!("storage parameter \"{name}\" has no effect"),
                )
                .with_hint("Pages are filled and old versions are removed without it."),
            );
        }
    }
    Ok(())
}

impl Kind {
    /// True when the value asks for what happens anyway.
    fn check(self, name: &str, option: &DefElem) -> Result<bool> {
        let text = text_of(option);
        let out_of_bounds = |least: String, most: String| {
            invalid(format!("value {text} out of bounds for option \"{name}\""))
                .with_detail(format!("Valid values are between \"{least}\" and \"{most}\"."))
        };
        match self {
            Kind::Boolean => {
                is_true(option)
                    .ok_or_else(|| invalid(format!("invalid value for boolean option \"{name}\": {text}")))?;
                Ok(false)
            }
            Kind::Integer(least, most) => {
                let value: i64 = text
                    .trim()
                    .parse()
                    .map_err(|_| invalid(format!("invalid value for integer option \"{name}\": {text}")))?;
                if !(least..=most).contains(&value) {
                    return Err(out_of_bounds(least.to_string(), most.to_string()));
                }
                Ok(name == "fillfactor" && value == 100)
            }
            Kind::Real(least, most) => {
                let value: f64 = text.trim().parse().map_err(|_| {
                    invalid(format!("invalid value for floating point option \"{name}\": {text}"))
                })?;
                if !(least..=most).contains(&value) {
                    return Err(out_of_bounds(format!("{least:.6}"), format!("{most:.6}")));
                }
                Ok(false)
            }
            Kind::Word(words) => {
                if !words.contains(&text.to_ascii_lowercase().as_str()) {
                    return Err(invalid(format!("invalid value for enum option \"{name}\": {text}")));
                }
                Ok(false)
            }
        }
    }
}

/// An option without a value is true.
fn text_of(option: &DefElem) -> String {
    match &option.value {
        None => "true".to_owned(),
        Some(DefValue::Integer(value)) => value.to_string(),
        Some(DefValue::Numeric(text) | DefValue::String(text) | DefValue::Word(text)) => text.clone(),
        Some(other) => format!("{other:?}"),
    }
}

fn is_true(option: &DefElem) -> Option<bool> {
    let parsed = types::text::parse_text(DataType::BOOL, &text_of(option), &TextContext::default());
    match parsed {
        Ok(Value::Bool(value)) => Some(value),
        _ => None,
    }
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
