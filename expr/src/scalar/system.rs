//! System information and sequences: what the host (session, catalog, server) answers.

use types::{DataType, Result, Value, Vector};

use crate::context::EvalContext;
use crate::function::{Args, Kernel};

/// Hands the call to [`crate::context::Host::call`], row by row.
fn host_call(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let values: Vec<Value> = (0..args.count()).map(|position| args.value(position, row)).collect();
        args.cx.host.call(args.function.name, &values)
    })
}

/// The kernel for functions that only the host can answer.
pub(crate) fn host_kernel(source: &str) -> Option<Kernel> {
    const PREFIXES: [&str; 17] = [
        "pg_get_",
        "has_",
        "pg_advisory_",
        "pg_try_advisory_",
        "to_reg",
        "obj_description",
        "col_description",
        "shobj_description",
        "pg_stat_get_",
        "pg_current_",
        "txid_",
        "pg_sleep",
        "pg_relation_",
        "pg_database_",
        "pg_tablespace_",
        "pg_describe",
        "pg_has_role",
    ];
    const NAMES: [&str; 41] = [
        "pg_table_size",
        "pg_total_relation_size",
        "pg_indexes_size",
        "pg_backend_pid",
        "pg_postmaster_start_time",
        "pg_conf_load_time",
        "pg_reload_conf",
        "pg_cancel_backend",
        "pg_terminate_backend",
        "pg_is_in_recovery",
        "pg_my_temp_schema",
        "pg_is_other_temp_schema",
        "pg_blocking_pids",
        "pg_safe_snapshot_blocking_pids",
        "pg_notify",
        "pg_listening_channels",
        "pg_notification_queue_usage",
        "pg_sequence_last_value",
        "pg_sequence_parameters",
        "pg_trigger_depth",
        "pg_encoding_max_length_sql",
        "pg_rotate_logfile",
        "pg_export_snapshot",
        "pg_column_is_updatable",
        "pg_identify_object",
        "pg_index_has_property",
        "pg_index_column_has_property",
        "pg_indexam_has_property",
        "pg_filenode_relation",
        "pg_partition_root",
        "row_security_active",
        "row_security_active_name",
        "inet_client_addr",
        "inet_client_port",
        "inet_server_addr",
        "inet_server_port",
        "current_query",
        "oidvectortypes",
        "acldefault_sql",
        "pg_collation_actual_version",
        "pg_jit_available",
    ];
    let wanted = PREFIXES.iter().any(|prefix| source.starts_with(prefix))
        || source.ends_with("_is_visible")
        || source.starts_with("_pg_")
        || NAMES.contains(&source);
    wanted.then_some(host_call as Kernel)
}

fn name(args: &Args<'_>, text: &str) -> Result<Vector> {
    args.build_text(|_, out| {
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

/// As `format_type(oid, modifier)`; the host knows the types that are not built in.
fn format_type(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        if args.is_null(0, row) {
            return Ok(false);
        }
        let oid = u32::try_from(args.int(0, row)).unwrap_or(0);
        let modifier = if args.is_null(1, row) { -1 } else { args.i32(1, row) };
        match DataType::from_oid(oid) {
            Some(data_type) => out.extend_from_slice(data_type.with_modifier(modifier).sql_name().as_bytes()),
            None => match args.cx.host.call("format_type", &[args.value(0, row), args.value(1, row)])? {
                Value::Text(text) => out.extend_from_slice(text.as_bytes()),
                _ => return Ok(false),
            },
        }
        Ok(true)
    })
}

fn pg_typeof(args: &Args<'_>) -> Result<Vector> {
    let oid = args.types.first().map_or(DataType::UNKNOWN.oid, |t| t.oid);
    args.build(|_| Ok(oid))
}

fn setting(args: &Args<'_>) -> Result<Vector> {
    let missing_ok = |row: usize| args.count() > 1 && args.bool(1, row);
    args.build_text_opt(|row, out| {
        let name = args.str(0, row);
        match args.cx.host.setting(name) {
            Some(value) => {
                out.extend_from_slice(value.as_bytes());
                Ok(true)
            }
            None if missing_ok(row) => Ok(false),
            None => Err(types::Error::new(
                types::SqlState::UNDEFINED_OBJECT,
                format!("unrecognized configuration parameter \"{name}\""),
            )),
        }
    })
}

fn set_setting(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        if args.is_null(0, row) {
            return Err(types::Error::new(
                types::SqlState::NULL_VALUE_NOT_ALLOWED,
                "SET requires parameter name",
            ));
        }
        let value = if args.is_null(1, row) { "" } else { args.str(1, row) };
        let local = !args.is_null(2, row) && args.bool(2, row);
        let value = args.cx.host.set_setting(args.str(0, row), value, local)?;
        out.extend_from_slice(value.as_bytes());
        Ok(true)
    })
}

fn schemas(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let names = args.cx.host.current_schemas(args.bool(0, row));
        let values = names.into_iter().map(Value::text).collect();
        Ok(Value::Array(types::ArrayValue::from_elements(DataType::NAME, values).into()))
    })
}

fn nulls(args: &Args<'_>, wanted: bool) -> Result<Vector> {
    args.build(|row| {
        let count = (0..args.count()).filter(|&position| args.is_null(position, row) == wanted).count();
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    })
}

/// 1024-based sizes with PostgreSQL's units: the next one from 10 of the last up.
fn size_pretty(mut size: i128) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let half = |value: i128| if value < 0 { (value - 1) / 2 } else { (value + 1) / 2 };
    if size.abs() < 10 * 1024 {
        return format!("{size} bytes");
    }
    // One bit is kept back for rounding.
    size /= 512;
    let mut unit = 1;
    while size.abs() >= 20 * 1024 - 1 && unit + 1 < UNITS.len() {
        size /= 1024;
        unit += 1;
    }
    format!("{} {}", half(size), UNITS[unit])
}

fn pretty(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let size = if args.function.source == "pg_size_pretty" {
            i128::from(args.int(0, row))
        } else {
            i128::from(args.numeric(0, row).round(0).to_i64()?)
        };
        out.extend_from_slice(size_pretty(size).as_bytes());
        Ok(())
    })
}

fn sequence(args: &Args<'_>) -> Result<Vector> {
    let cx: &EvalContext<'_> = args.cx;
    args.build(|row| {
        let oid = u32::try_from(args.int(0, row)).unwrap_or(0);
        match args.function.source {
            "nextval_oid" => cx.host.nextval(oid),
            "currval_oid" => cx.host.currval(oid),
            _ => {
                let called = args.count() < 3 || args.bool(2, row);
                cx.host.setval(oid, args.int(1, row), called)
            }
        }
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("current_user", |args| name(args, &args.cx.host.current_user())),
    ("session_user", |args| name(args, &args.cx.host.session_user())),
    ("current_database", |args| name(args, &args.cx.host.current_database())),
    ("current_schema", |args| {
        let schema = args.cx.host.current_schema();
        args.build_text_opt(|_, out| {
            out.extend_from_slice(schema.as_deref().unwrap_or_default().as_bytes());
            Ok(schema.is_some())
        })
    }),
    ("current_schemas", schemas),
    ("pgsql_version", |args| {
        let text = match args.cx.host.call("version", &[]) {
            Ok(Value::Text(text)) => text.to_string(),
            _ => format!("PostgreSQL 15.0 (cairn {})", env!("CARGO_PKG_VERSION")),
        };
        name(args, &text)
    }),
    ("getdatabaseencoding", |args| name(args, "UTF8")),
    ("pg_client_encoding", |args| name(args, "UTF8")),
    ("PG_encoding_to_char", |args| {
        args.build_text(|row, out| {
            out.extend_from_slice(if args.int(0, row) == 6 { b"UTF8".as_slice() } else { b"" });
            Ok(())
        })
    }),
    ("PG_char_to_encoding", |args| {
        args.build(|row| {
            let known =
                matches!(args.str(0, row).to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode");
            Ok(if known { 6 } else { -1 })
        })
    }),
    ("format_type", format_type),
    ("pg_typeof", pg_typeof),
    ("show_config_by_name", setting),
    ("show_config_by_name_missing_ok", setting),
    ("set_config_by_name", set_setting),
    ("pg_num_nulls", |args| nulls(args, true)),
    ("pg_num_nonnulls", |args| nulls(args, false)),
    ("pg_size_pretty", pretty),
    ("pg_size_pretty_numeric", pretty),
    ("nextval_oid", sequence),
    ("currval_oid", sequence),
    ("setval_oid", sequence),
    ("setval3_oid", sequence),
    ("lastval", |args| args.build(|_| args.cx.host.lastval())),
];
