//! Names and OIDs: how `regclass`, `regtype`, `regproc`, `regrole` … are read and printed, and what is
//! visible on the search path.

use expr::registry::registry;
use expr::{Function, quote_identifier};
use types::datatype::BUILTIN_TYPES;
use types::{DataType, Error, Result, SqlState, Value};

use super::SystemContext;
use super::procedures::type_functions;
use crate::catalog::{PG_CATALOG, Relation, undefined_schema};
use crate::object::{RelationId, RoleId, SchemaId};

impl<'a> SystemContext<'a> {
    pub(super) fn schema_name(&self, schema: SchemaId) -> Option<&'a str> {
        self.catalog.schema(schema).map(|schema| schema.name.as_str())
    }

    /// As `pg_get_userbyid`: a role that is gone shows as its OID.
    pub(super) fn role_name(&self, role: RoleId) -> String {
        match self.catalog.role(role) {
            Some(role) => role.name.clone(),
            None => format!("unknown (OID={role})"),
        }
    }

    pub(super) fn database_name(&self) -> String {
        let id = self.catalog.database();
        self.catalog
            .databases()
            .find(|database| database.id == id)
            .map(|database| database.name.clone())
            .unwrap_or_default()
    }

    pub(super) fn is_superuser(&self) -> bool {
        self.catalog.role(self.runtime.current_role()).is_some_and(|role| role.superuser)
    }

    /// True when the bare name finds this relation and no other.
    pub(super) fn is_visible(&self, relation: &Relation) -> bool {
        self.runtime
            .search_path()
            .iter()
            .find_map(|schema| self.catalog.relation_in(*schema, relation.name()))
            .is_some_and(|found| found.id() == relation.id())
    }

    /// `schema.name`, quoted where needed.
    pub(super) fn qualified_name(&self, schema: SchemaId, name: &str) -> String {
        match self.schema_name(schema) {
            Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(name)),
            None => quote_identifier(name),
        }
    }

    /// A relation as `regclass` prints it: qualified unless visible; its OID when there is none.
    pub(super) fn relation_name(&self, id: RelationId) -> String {
        match self.catalog.relation(id) {
            Some(relation) if self.is_visible(relation) => quote_identifier(relation.name()),
            Some(relation) => self.qualified_name(relation.schema(), relation.name()),
            None => id.to_string(),
        }
    }

    /// A relation by its name as text. 42P01, 3F000.
    pub(super) fn relation_named(&self, text: &str) -> Result<&'a Relation> {
        let names = split_name(text)?;
        let (schema, name) = match names.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            [database, schema, name] if *database == self.database_name() => (Some(schema.as_str()), name),
            _ => return Err(improper_name(text)),
        };
        let undefined = || {
            Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", names.join(".")))
        };
        // A schema that is missing counts as a relation that is.
        if schema.is_some_and(|schema| self.catalog.schema_by_name(schema).is_none()) {
            return Err(undefined());
        }
        self.catalog.find_relation(schema, name, &self.runtime.search_path())?.ok_or_else(undefined)
    }

    /// As `format_type` prints a type.
    pub(super) fn type_name(&self, data_type: DataType) -> String {
        if types::datatype::builtin(data_type.oid).is_some() {
            return data_type.sql_name();
        }
        let found = self
            .catalog
            .relations()
            .find(|relation| super::types_view::row_type(relation) == Some(data_type.oid));
        match found {
            Some(relation) if self.is_visible(relation) => quote_identifier(relation.name()),
            Some(relation) => self.qualified_name(relation.schema(), relation.name()),
            None => "???".to_string(),
        }
    }
}

/// 42602.
fn improper_name(text: &str) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, format!("improper qualified name (too many dotted names): {text}"))
}

/// `a."B c".d` → its parts, lower-cased where not quoted. 42602 `invalid name syntax`.
pub(super) fn split_name(text: &str) -> Result<Vec<String>> {
    let invalid = || Error::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut names = Vec::new();
    let mut rest = text.trim();
    loop {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut out = String::new();
            let mut chars = quoted.char_indices().peekable();
            let mut end = None;
            while let Some((at, c)) = chars.next() {
                if c != '"' {
                    out.push(c);
                } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                    out.push('"');
                } else {
                    end = Some(at + 1);
                    break;
                }
            }
            rest = quoted.get(end.ok_or_else(invalid)?..).unwrap_or("");
            name = out;
        } else {
            let end = rest.find(|c: char| c == '.' || c.is_whitespace()).unwrap_or(rest.len());
            name = rest.get(..end).unwrap_or("").to_lowercase();
            rest = rest.get(end..).unwrap_or("");
        }
        if name.is_empty() {
            return Err(invalid());
        }
        names.push(types::text::truncate_name(&name).to_string());
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Ok(names),
            None => return Err(invalid()),
        }
    }
}

/// Reads a `reg…` value: an OID in digits, `-` for none, or a name.
pub(super) fn read(cx: &SystemContext<'_>, text: &str, data_type: DataType) -> Result<Value> {
    let text = text.trim();
    if text == "-" {
        return Ok(Value::UInt32(0));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Value::UInt32).map_err(|_| {
            Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type oid"),
            )
        });
    }
    let oid = match data_type.oid {
        24 => match function_named(text) {
            Ok(function) => function.oid,
            Err(error) => {
                let names = split_name(text)?;
                let name = unqualified(&names);
                type_functions().iter().find(|function| Some(function.name) == name).ok_or(error)?.oid
            }
        },
        2202 => function_with_arguments(cx, text)?.oid,
        2203 => operator_named(text)?,
        2205 => cx.relation_named(text)?.id().0,
        2206 => type_named(cx, text)?.oid,
        4089 => match split_name(text)?.as_slice() {
            [name] => cx.catalog.schema_by_name(name).ok_or_else(|| undefined_schema(name))?.id.0,
            _ => return Err(Error::new(SqlState::INVALID_NAME, "invalid name syntax")),
        },
        4096 => match split_name(text)?.as_slice() {
            [name] => cx.catalog.role_by_name(name).ok_or_else(|| undefined_role(name))?.id.0,
            _ => return Err(Error::new(SqlState::INVALID_NAME, "invalid name syntax")),
        },
        _ => return Err(Error::not_supported(format!("input of type {data_type}"))),
    };
    Ok(Value::UInt32(oid))
}

/// 42704.
pub(super) fn undefined_role(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

/// A function by a name that only one has. 42883, 42725.
fn function_named(text: &str) -> Result<&'static Function> {
    let names = split_name(text)?;
    let overloads = match unqualified(&names) {
        Some(name) => registry().functions_named(name),
        None => &[],
    };
    match overloads {
        [function] => Ok(function),
        [] => Err(Error::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function \"{}\" does not exist", names.join(".")),
        )),
        _ => Err(Error::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("more than one function named \"{}\"", names.join(".")),
        )),
    }
}

/// The name, if its schema is absent or pg_catalog, where every function and type lives.
fn unqualified(names: &[String]) -> Option<&str> {
    match names {
        [name] => Some(name),
        [schema, name] if schema == "pg_catalog" => Some(name),
        _ => None,
    }
}

/// `name(type, type)`. 42883, 22P02.
fn function_with_arguments(cx: &SystemContext<'_>, text: &str) -> Result<&'static Function> {
    let bad = |what: &str| {
        Error::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("expected a {what} parenthesis"))
    };
    let (name, arguments) = text.split_once('(').ok_or_else(|| bad("left"))?;
    let arguments = arguments.trim_end().strip_suffix(')').ok_or_else(|| bad("right"))?;
    let names = split_name(name)?;
    let mut types = Vec::new();
    for argument in split_commas(arguments) {
        types.push(type_named(cx, argument)?);
    }
    unqualified(&names).and_then(|name| registry().function(name, &types)).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"))
    })
}

/// The parts between commas that are not inside parentheses; none of an empty text.
fn split_commas(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut depth = 0_i32;
    text.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .collect()
}

/// An operator by a symbol that only one has. 42883, 42725.
fn operator_named(text: &str) -> Result<u32> {
    let symbol = text.strip_prefix("pg_catalog.").unwrap_or(text);
    match registry().operators_named(symbol) {
        [operator] => Ok(operator.oid),
        [] => Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {text}"))),
        _ => Err(Error::new(SqlState::AMBIGUOUS_FUNCTION, format!("more than one operator named {text}"))),
    }
}

/// A type as SQL writes it: `int4`, `integer`, `character varying(3)`, `public.t`, `text[]`. 42704.
fn type_named(cx: &SystemContext<'_>, text: &str) -> Result<DataType> {
    let undefined =
        || Error::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", text.trim()));
    let mut name = text.trim();
    let mut is_array = false;
    while let Some(element) = name.strip_suffix(']') {
        name = element.rsplit_once('[').ok_or_else(undefined)?.0.trim_end();
        is_array = true;
    }
    let plain = without_modifier(name);
    let found = match sql_type(&plain) {
        Some(found) => found,
        None => {
            let names = split_name(&plain).map_err(|_| undefined())?;
            match unqualified(&names).and_then(DataType::from_name) {
                Some(found) => found,
                None => {
                    let relation = cx.relation_named(&plain).map_err(|_| undefined())?;
                    let oid = super::types_view::row_type(relation).ok_or_else(undefined)?;
                    DataType { oid, modifier: -1, physical: types::Physical::Composed }
                }
            }
        }
    };
    if is_array { found.array_of().ok_or_else(undefined) } else { Ok(found) }
}

/// Key-word spellings: `double precision`, `timestamp with time zone`, `int`, `dec` …
fn sql_type(name: &str) -> Option<DataType> {
    let name = name.split_whitespace().collect::<Vec<&str>>().join(" ").to_lowercase();
    let alias = match name.as_str() {
        "int" => "integer",
        "dec" | "decimal" => "numeric",
        "float" => "double precision",
        "char" | "nchar" => "character",
        "char varying" | "national character varying" => "character varying",
        "timestamp" => "timestamp without time zone",
        "time" => "time without time zone",
        other => other,
    };
    BUILTIN_TYPES
        .iter()
        .find(|t| t.sql_name == alias && !t.sql_name.ends_with(']'))
        .and_then(|t| DataType::from_oid(t.oid))
}

/// The name with `(…)` taken out: `timestamp(3) with time zone`.
fn without_modifier(name: &str) -> String {
    match (name.find('('), name.rfind(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", name.get(..open).unwrap_or(""), name.get(close + 1..).unwrap_or(""))
        }
        _ => name.to_string(),
    }
}

/// Prints a `reg…` value: the name, or the OID when nothing has it.
pub(super) fn print(cx: &SystemContext<'_>, oid: u32, data_type: DataType) -> Result<String> {
    if oid == 0 {
        return Ok("-".to_string());
    }
    Ok(match data_type.oid {
        24 => match registry().function_by_oid(oid) {
            // The bare name would not find its way back when it is overloaded.
            Some(function) if registry().functions_named(function.name).len() > 1 => {
                format!("pg_catalog.{}", quote_identifier(function.name))
            }
            Some(function) => quote_identifier(function.name),
            None => match type_functions().iter().find(|function| function.oid == oid) {
                Some(function) => function.name.to_string(),
                None => oid.to_string(),
            },
        },
        2202 => match registry().function_by_oid(oid) {
            Some(function) => {
                let arguments: Vec<String> = function.args.iter().map(|arg| arg.sql_name()).collect();
                format!("{}({})", quote_identifier(function.name), arguments.join(","))
            }
            None => oid.to_string(),
        },
        2203 => match registry().operator_by_oid(oid) {
            Some(operator) if registry().operators_named(operator.symbol).len() > 1 => {
                format!("pg_catalog.{}", operator.symbol)
            }
            Some(operator) => operator.symbol.to_string(),
            None => oid.to_string(),
        },
        2205 => cx.relation_name(RelationId(oid)),
        2206 => {
            let data_type = DataType::from_oid(oid).unwrap_or(DataType {
                oid,
                modifier: -1,
                physical: types::Physical::Composed,
            });
            match cx.type_name(data_type) {
                unknown if unknown == "???" => oid.to_string(),
                name => name,
            }
        }
        4089 => cx.schema_name(SchemaId(oid)).map_or_else(|| oid.to_string(), quote_identifier),
        4096 => {
            cx.catalog.role(RoleId(oid)).map_or_else(|| oid.to_string(), |role| quote_identifier(&role.name))
        }
        _ => return Err(Error::not_supported(format!("output of type {data_type}"))),
    })
}

/// True when everything of this schema is found by its bare name.
pub(super) fn is_schema_searched(cx: &SystemContext<'_>, schema: SchemaId) -> bool {
    cx.runtime.search_path().contains(&schema)
}

/// The schema of built-in types, functions and operators.
pub(super) const BUILTIN_SCHEMA: SchemaId = PG_CATALOG;
