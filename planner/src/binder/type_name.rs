//! Type names → data types, with their modifiers.
//!
//! As PostgreSQL's `typenameTypeIdAndMod`: 42704 for what does not exist, 22023 for a bad modifier; what
//! PostgreSQL has and we do not is 0A000.

use parser::ast::{self, ConstValue};
use types::{DataType, Error, Result, SqlState};

use super::Binder;

/// Types PostgreSQL has that we do not.
const KNOWN_ELSEWHERE: &[&str] = &[
    "bit",
    "box",
    "cidr",
    "circle",
    "daterange",
    "inet",
    "int4range",
    "int8range",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "numrange",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "timetz",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "varbit",
    "xml",
];

/// All fields, in an interval's modifier.
const INTERVAL_FULL_RANGE: i64 = 0x7FFF;
const INTERVAL_FULL_PRECISION: i64 = 0xFFFF;

impl Binder<'_> {
    /// The type a name stands for.
    pub(super) fn data_type(&self, name: &ast::TypeName) -> Result<DataType> {
        resolve_type(name).map_err(|error| error.at(name.span))
    }
}

/// The type a name stands for; types are built in, so that no catalog is needed.
pub fn resolve_type(name: &ast::TypeName) -> Result<DataType> {
    if name.setof {
        return Err(Error::new(
            SqlState::INVALID_FUNCTION_DEFINITION,
            "type modifier SETOF is not allowed here",
        ));
    }
    if name.pct_type {
        return Err(Error::not_supported(format!("{}%TYPE", name.names.join("."))));
    }
    let base = match name.names.as_slice() {
        [base] => base,
        [schema, base] if schema == "pg_catalog" => base,
        [_, schema, base] if schema == "pg_catalog" => base,
        _ => return Err(undefined_type(&name.names)),
    };
    let Some(found) = DataType::from_name(base) else {
        if KNOWN_ELSEWHERE.contains(&base.as_str()) {
            return Err(Error::not_supported(format!("type {base}"))
                .with_hint("PostgreSQL has this type, cairn does not have it yet."));
        }
        return Err(undefined_type(&name.names));
    };
    let found = with_modifiers(found, name)?;
    if name.array_bounds.is_empty() {
        return Ok(found);
    }
    found.array_of().ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!("could not find array type for data type {}", found.without_modifier()),
        )
    })
}

fn undefined_type(names: &[String]) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", names.join(".")))
}

fn with_modifiers(data_type: DataType, name: &ast::TypeName) -> Result<DataType> {
    if name.typmods.is_empty() {
        return Ok(data_type);
    }
    let mut modifiers = Vec::new();
    for modifier in &name.typmods {
        match modifier {
            ast::Expr::Const(constant) => match &constant.value {
                ConstValue::Integer(value) => modifiers.push(*value),
                _ => return Err(bad_modifier("type modifiers must be simple constants or identifiers")),
            },
            _ => return Err(bad_modifier("type modifiers must be simple constants or identifiers")),
        }
    }
    let invalid = || bad_modifier("invalid type modifier");
    let small = |value: i64| i32::try_from(value).map_err(|_| invalid());
    match data_type {
        DataType::VARCHAR | DataType::BPCHAR => {
            let label = if data_type == DataType::VARCHAR { "varchar" } else { "char" };
            match modifiers.as_slice() {
                [length] if *length < 1 => {
                    Err(bad_modifier(&format!("length for type {label} must be at least 1")))
                }
                [length] if *length > 10_485_760 => {
                    Err(bad_modifier(&format!("length for type {label} cannot exceed 10485760")))
                }
                [length] => Ok(data_type.with_modifier(small(*length)? + 4)),
                _ => Err(invalid()),
            }
        }
        DataType::NUMERIC => match modifiers.as_slice() {
            [precision] => DataType::numeric(small(*precision)?, 0),
            [precision, scale] => DataType::numeric(small(*precision)?, small(*scale)?),
            _ => Err(bad_modifier("invalid NUMERIC type modifier")),
        },
        DataType::TIME | DataType::TIMESTAMP | DataType::TIMESTAMPTZ => match modifiers.as_slice() {
            [precision] if *precision < 0 => {
                let label = if data_type == DataType::TIME { "TIME" } else { "TIMESTAMP" };
                let zone = if data_type == DataType::TIMESTAMPTZ { " WITH TIME ZONE" } else { "" };
                Err(bad_modifier(&format!("{label}({precision}){zone} precision must not be negative")))
            }
            [precision] => Ok(data_type.with_modifier(small((*precision).min(6))?)),
            _ => Err(invalid()),
        },
        DataType::INTERVAL => {
            let (range, precision) = match modifiers.as_slice() {
                [range] if *range == INTERVAL_FULL_RANGE => return Ok(data_type),
                [range] => (*range, INTERVAL_FULL_PRECISION),
                [range, precision] => (*range, *precision),
                _ => return Err(bad_modifier("invalid INTERVAL type modifier")),
            };
            if precision < 0 {
                return Err(bad_modifier(&format!("INTERVAL({precision}) precision must not be negative")));
            }
            let precision = if precision == INTERVAL_FULL_PRECISION { precision } else { precision.min(6) };
            Ok(data_type.with_modifier(small(((range & 0x7FFF) << 16) | (precision & 0xFFFF))?))
        }
        _ => Err(Error::syntax(format!("type modifier is not allowed for type \"{}\"", data_type.name()))),
    }
}

fn bad_modifier(message: &str) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
