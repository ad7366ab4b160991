//! Functions: `pg_proc`, from the registry that also runs them, and how they are described.

use std::sync::LazyLock;

use expr::registry::registry;
use expr::{Function, FunctionKind, Volatility};
use types::{Result, Value};

use super::names::BUILTIN_SCHEMA;
use super::row::{NULL, count_i16, oid_vector, row};
use super::{RowsFn, SystemContext};
use crate::bootstrap::BOOTSTRAP_ROLE;

pub(super) const VIEWS: &[(&str, RowsFn)] = &[("pg_proc", rows)];

/// The language `internal`.
const INTERNAL: u32 = 12;

/// The functions that may be called, and those by which types are read and printed, for drivers look
/// types up by them (`typreceive = 'array_recv'::regproc`).
fn rows(_: &SystemContext<'_>) -> Result<Vec<Vec<Value>>> {
    let known = registry().functions().iter().filter(|function| function.check_implemented().is_ok());
    let mut rows: Vec<Vec<Value>> = known.map(|function| row(function)).collect();
    for function in type_functions() {
        if registry().function_by_oid(function.oid).is_none() {
            rows.push(type_function_row(function));
        }
    }
    Ok(rows)
}

/// A function of a type's or access method's own, which nobody calls by name.
pub(super) struct TypeFunction {
    pub oid: u32,
    pub name: &'static str,
    strict: bool,
    volatility: &'static str,
    result: u32,
    args: Vec<u32>,
    source: &'static str,
}

pub(super) fn type_functions() -> &'static [TypeFunction] {
    static FUNCTIONS: LazyLock<Vec<TypeFunction>> = LazyLock::new(|| {
        let lines = include_str!("data/type_functions.tsv").lines();
        lines.filter(|line| !line.starts_with('#')).filter_map(read_type_function).collect()
    });
    &FUNCTIONS
}

fn read_type_function(line: &'static str) -> Option<TypeFunction> {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let [oid, name, strict, volatility, result, args, source] = fields.as_slice() else { return None };
    Some(TypeFunction {
        oid: oid.parse().ok()?,
        name,
        strict: *strict == "t",
        volatility,
        result: result.parse().ok()?,
        args: args.split(',').filter_map(|arg| arg.parse().ok()).collect(),
        source,
    })
}

fn type_function_row(function: &TypeFunction) -> Vec<Value> {
    row![
        function.oid,
        function.name,
        BUILTIN_SCHEMA.0,
        BOOTSTRAP_ROLE.0,
        INTERNAL,
        1_f32,
        0_f32,
        0_u32,
        0_u32,
        'f',
        false,
        false,
        function.strict,
        false,
        function.volatility,
        's',
        count_i16(function.args.len()),
        0_i16,
        function.result,
        oid_vector(function.args.iter().copied()),
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        function.source,
        NULL,
        NULL,
        NULL,
        NULL,
    ]
}

fn row(function: &Function) -> Vec<Value> {
    row![
        function.oid,
        function.name,
        BUILTIN_SCHEMA.0,
        BOOTSTRAP_ROLE.0,
        INTERNAL,
        1_f32,
        if function.returns_set { 1000_f32 } else { 0_f32 },
        function.variadic.map_or(0, |element| element.oid),
        0_u32,
        kind_letter(function.kind),
        false,
        false,
        function.strict,
        function.returns_set,
        match function.volatility {
            Volatility::Immutable => 'i',
            Volatility::Stable => 's',
            Volatility::Volatile => 'v',
        },
        's',
        count_i16(function.args.len()),
        count_i16(function.defaults),
        function.result.oid,
        oid_vector(function.args.iter().map(|arg| arg.oid)),
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        function.source,
        NULL,
        NULL,
        NULL,
        NULL,
    ]
}

/// `pg_proc.prokind`.
fn kind_letter(kind: FunctionKind) -> char {
    match kind {
        FunctionKind::Function => 'f',
        FunctionKind::Aggregate => 'a',
        FunctionKind::Window => 'w',
        FunctionKind::Procedure => 'p',
    }
}

/// `integer, VARIADIC text[]`.
pub(super) fn arguments(function: &Function) -> String {
    let last = function.args.len().saturating_sub(1);
    let arguments: Vec<String> = function
        .args
        .iter()
        .enumerate()
        .map(|(at, arg)| {
            let variadic = if function.variadic.is_some() && at == last { "VARIADIC " } else { "" };
            format!("{variadic}{}", arg.sql_name())
        })
        .collect();
    arguments.join(", ")
}

/// `SETOF integer`.
pub(super) fn result(function: &Function) -> String {
    let set = if function.returns_set { "SETOF " } else { "" };
    format!("{set}{}", function.result.sql_name())
}
