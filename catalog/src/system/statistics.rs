//! What is known of tables' contents and use: `pg_stats`, `pg_stat_…_tables`, `pg_stat_…_indexes`.
//!
//! Contents are ANALYZE's. Of use only live rows are counted; the other counters are NULL.

use types::{DataType, Result, Value};

use super::relations::all_indexes;
use super::row::{NULL, array, row};
use super::{RowsFn, SystemContext};

pub(super) const VIEWS: &[(&str, RowsFn)] = &[
    ("pg_stats", stats),
    ("pg_stat_all_tables", user_tables),
    ("pg_stat_user_tables", user_tables),
    ("pg_stat_sys_tables", |_| Ok(Vec::new())),
    ("pg_stat_all_indexes", user_indexes),
    ("pg_stat_user_indexes", user_indexes),
    ("pg_stat_sys_indexes", |_| Ok(Vec::new())),
];

type Rows = Result<Vec<Vec<Value>>>;

fn stats(cx: &SystemContext<'_>) -> Rows {
    let mut rows = Vec::new();
    for table in cx.catalog.tables() {
        let Some(stats) = cx.catalog.stats(table.id) else { continue };
        for (at, column) in table.live_columns() {
            let Some(known) = stats.column(at) else { continue };
            let common = &known.most_common;
            // A negative count is a share of all rows, as PostgreSQL keeps it.
            rows.push(row![
                cx.schema_name(table.schema),
                &table.name,
                &column.name,
                false,
                known.null_fraction as f32,
                known.average_width.round() as i32,
                known.distinct as f32,
                (!common.is_empty())
                    .then(|| array(column.data_type, common.iter().map(|(value, _)| value.clone()))),
                (!common.is_empty())
                    .then(|| array(DataType::FLOAT4, common.iter().map(|(_, share)| *share as f32))),
                (!known.histogram.is_empty())
                    .then(|| array(column.data_type, known.histogram.iter().cloned())),
                known.correlation.map(|correlation| correlation as f32),
                NULL,
                NULL,
                NULL,
            ]);
        }
    }
    Ok(rows)
}

fn user_tables(cx: &SystemContext<'_>) -> Rows {
    Ok(cx
        .catalog
        .tables()
        .map(|table| {
            let live = cx.runtime.row_count(table.id).map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
            let mut row = row![table.id.0, cx.schema_name(table.schema), &table.name];
            row.resize(11, Value::Null);
            row.push(live.map_or(Value::Null, Value::Int64));
            row.resize(23, Value::Null);
            row
        })
        .collect())
}

fn user_indexes(cx: &SystemContext<'_>) -> Rows {
    Ok(all_indexes(cx)
        .map(|(table, index)| {
            row![
                table.id.0,
                index.id.0,
                cx.schema_name(table.schema),
                &table.name,
                &index.name,
                NULL,
                NULL,
                NULL
            ]
        })
        .collect())
}
