//! Names, literals and types as text.
//!
//! Called by the rest of `deparse`, and by whoever prints a name that must be readable again.

use std::borrow::Cow;

use crate::ast::{Const, ConstValue, Expr, TypeName};
use crate::keyword::{Category, Keyword};

/// The name as it must be written: in double quotes if it would otherwise be folded or taken for a keyword.
pub fn quote_identifier(name: &str) -> Cow<'_, str> {
    let mut bytes = name.bytes();
    let safe = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && Keyword::of(name).is_none_or(|keyword| keyword.category() == Category::Unreserved);
    if safe { Cow::Borrowed(name) } else { Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))) }
}

/// The text as a string literal: `'it''s'`, or `E'a\\b'` where it has backslashes, which reads the same whatever
/// `standard_conforming_strings` says.
pub fn quote_literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A type in the words of `format_type`: `integer`, `character varying(10)`, `timestamp(3) with time zone[]`.
pub fn type_name(typ: &TypeName) -> String {
    let mut out = String::new();
    if typ.setof {
        out.push_str("SETOF ");
    }
    let modifiers: Vec<String> = typ.typmods.iter().map(super::expr).collect();
    let list = if modifiers.is_empty() { String::new() } else { format!("({})", modifiers.join(", ")) };
    let names: Vec<&str> = typ.names.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["pg_catalog", "interval"] => {
            out.push_str("interval");
            out.push_str(&interval(&typ.typmods));
        }
        ["pg_catalog", name] if system(name).is_some() => {
            let (words, suffix) = system(name).unwrap_or((name, ""));
            out.push_str(words);
            // `bit` and `char` without a length mean a length of one, which was filled in.
            if !(matches!(*name, "bit" | "bpchar") && list == "(1)") {
                out.push_str(&list);
            }
            if *name == "bpchar" && list.is_empty() {
                // A bpchar of any length has no spelling but its own name.
                out.truncate(out.len() - words.len());
                out.push_str("pg_catalog.bpchar");
            }
            if *name == "bit" && list.is_empty() {
                out.truncate(out.len() - words.len());
                out.push_str("pg_catalog.\"bit\"");
            }
            out.push_str(suffix);
        }
        parts => {
            let quoted: Vec<_> = parts.iter().map(|part| quote_identifier(part)).collect();
            out.push_str(&quoted.join("."));
            out.push_str(&list);
        }
    }
    if typ.pct_type {
        out.push_str("%TYPE");
    }
    for bound in &typ.array_bounds {
        match bound {
            0.. => out.push_str(&format!("[{bound}]")),
            _ => out.push_str("[]"),
        }
    }
    out
}

/// The SQL words for a type that the grammar spelled in PostgreSQL's own, before and after its modifiers.
fn system(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "bool" => ("boolean", ""),
        "int2" => ("smallint", ""),
        "int4" => ("integer", ""),
        "int8" => ("bigint", ""),
        "float4" => ("real", ""),
        "float8" => ("double precision", ""),
        "numeric" => ("numeric", ""),
        "bit" => ("bit", ""),
        "varbit" => ("bit varying", ""),
        "bpchar" => ("character", ""),
        "varchar" => ("character varying", ""),
        "time" => ("time", " without time zone"),
        "timetz" => ("time", " with time zone"),
        "timestamp" => ("timestamp", " without time zone"),
        "timestamptz" => ("timestamp", " with time zone"),
        _ => return None,
    })
}

/// The fields and precision of an interval from its modifiers.
pub(super) fn interval(typmods: &[Expr]) -> String {
    let value = |i: usize| match typmods.get(i) {
        Some(Expr::Const(constant)) => match **constant {
            Const { value: ConstValue::Integer(value), .. } => Some(value),
            _ => None,
        },
        _ => None,
    };
    let bit = |n: i64| 1i64 << n;
    let (month, year, day, hour, minute, second) = (bit(1), bit(2), bit(3), bit(10), bit(11), bit(12));
    let precision = value(1).map_or(String::new(), |p| format!("({p})"));
    let fields = match value(0) {
        None | Some(0x7fff) => "",
        Some(m) if m == year => " year",
        Some(m) if m == month => " month",
        Some(m) if m == day => " day",
        Some(m) if m == hour => " hour",
        Some(m) if m == minute => " minute",
        Some(m) if m == second => " second",
        Some(m) if m == year | month => " year to month",
        Some(m) if m == day | hour => " day to hour",
        Some(m) if m == day | hour | minute => " day to minute",
        Some(m) if m == day | hour | minute | second => " day to second",
        Some(m) if m == hour | minute => " hour to minute",
        Some(m) if m == hour | minute | second => " hour to second",
        Some(m) if m == minute | second => " minute to second",
        Some(_) => "",
    };
    format!("{fields}{precision}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_when_they_must_be() {
        for (name, text) in [
            ("a_1", "a_1"),
            ("A", "\"A\""),
            ("select", "\"select\""),
            ("int", "\"int\""),
            ("name", "name"),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("1a", "\"1a\""),
            ("", "\"\""),
            ("é", "\"é\""),
        ] {
            assert_eq!(quote_identifier(name), text);
        }
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b'"), "E'a\\\\b'''");
    }

    #[test]
    fn types_print_as_format_type_does() {
        for text in [
            "integer",
            "character varying(10)",
            "numeric(10, 2)[]",
            "timestamp(3) with time zone",
            "interval day to second(3)",
            "interval(2)",
            "bit(3)",
            "s.\"T\"[][]",
            "SETOF text",
            "character",
        ] {
            let typ = crate::parse_type(text).unwrap();
            assert_eq!(type_name(&typ), text);
        }
    }
}
