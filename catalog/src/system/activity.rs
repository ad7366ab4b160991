//! What the running server tells: sessions, settings, prepared statements, cursors.

use types::{DataType, Result, Value};

use super::row::{NULL, array, row};
use super::{RowsFn, SystemContext};
use crate::object::RelationId;
use crate::runtime::{LockRow, LockSubject, SessionRow};

pub(super) const VIEWS: &[(&str, RowsFn)] = &[
    ("pg_stat_activity", activity),
    ("pg_locks", locks),
    ("pg_stat_database", database),
    ("pg_settings", settings),
    ("pg_prepared_statements", prepared_statements),
    ("cairn_plan_cache", |cx| Ok(cx.runtime.session_rows("cairn_plan_cache"))),
    ("pg_cursors", |cx| Ok(cx.runtime.session_rows("pg_cursors"))),
];

type Rows = Result<Vec<Vec<Value>>>;

fn time(value: Option<i64>) -> Value {
    value.map_or(Value::Null, Value::Int64)
}

fn activity(cx: &SystemContext<'_>) -> Rows {
    let row = |session: SessionRow| {
        let database = cx.catalog.database_by_name(&session.database).map(|database| database.id.0);
        let user = cx.catalog.role_by_name(&session.user).map(|role| role.id.0);
        row![
            database,
            session.database,
            session.pid,
            NULL,
            user,
            session.user,
            session.application_name,
            session.client_address,
            NULL,
            session.client_port,
            session.backend_start,
            time(session.transaction_start),
            time(session.query_start),
            time(session.state_change),
            session.wait_event_type,
            session.wait_event,
            session.state,
            NULL,
            NULL,
            NULL,
            session.query,
            "client backend",
        ]
    };
    Ok(cx.runtime.sessions().into_iter().map(row).collect())
}

fn locks(cx: &SystemContext<'_>) -> Rows {
    let here = cx.catalog.database().0;
    let row = |lock: LockRow| {
        let (kind, database, relation) = match lock.subject {
            LockSubject::Relation(oid) => {
                let is_here = cx.catalog.relation(RelationId(oid)).is_some();
                ("relation", is_here.then_some(here), Some(oid))
            }
            LockSubject::Transaction(_) => ("transactionid", None, None),
            LockSubject::Advisory { database, .. } => ("advisory", Some(database), None),
        };
        let transaction = match lock.subject {
            LockSubject::Transaction(id) => Some(id),
            _ => None,
        };
        let (class, object, part) = match lock.subject {
            LockSubject::Advisory { class, object, kind, .. } => (Some(class), Some(object), Some(kind)),
            _ => (None, None, None),
        };
        row![
            kind,
            database,
            relation,
            NULL,
            NULL,
            NULL,
            transaction,
            class,
            object,
            part,
            format!("{}/{}", lock.pid, lock.transaction),
            lock.pid,
            lock.mode,
            lock.granted,
            false,
            NULL,
        ]
    };
    Ok(cx.runtime.locks().into_iter().map(row).collect())
}

/// Only who is connected is counted; what is not counted is NULL.
fn database(cx: &SystemContext<'_>) -> Rows {
    let sessions = cx.runtime.sessions();
    Ok(cx
        .catalog
        .databases()
        .map(|database| {
            let connected = sessions.iter().filter(|session| session.database == database.name).count();
            let mut row = row![database.id.0, &database.name, i32::try_from(connected).unwrap_or(i32::MAX)];
            row.resize(28, Value::Null);
            row
        })
        .collect())
}

fn settings(cx: &SystemContext<'_>) -> Rows {
    Ok(cx
        .runtime
        .settings()
        .into_iter()
        .map(|setting| {
            row![
                setting.name,
                setting.setting,
                setting.unit,
                setting.category,
                setting.description,
                NULL,
                setting.context,
                setting.kind,
                setting.source,
                setting.min,
                setting.max,
                setting.enum_values.map(|values| array(DataType::TEXT, values)),
                setting.boot_value,
                setting.reset_value,
                NULL,
                NULL,
                false,
            ]
        })
        .collect())
}

/// The session gives name, statement, time and whether PREPARE made it; plans are not counted.
fn prepared_statements(cx: &SystemContext<'_>) -> Rows {
    Ok(cx
        .runtime
        .session_rows("pg_prepared_statements")
        .into_iter()
        .map(|session_row| {
            let mut fields = session_row.into_iter();
            let mut next = || fields.next().unwrap_or_default();
            let (name, statement, time, from_sql) = (next(), next(), next(), next());
            row![name, statement, time, NULL, from_sql, NULL, NULL]
        })
        .collect())
}
