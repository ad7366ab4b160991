//! How many rows: what is known of a plan's output, and how operators change it.
//!
//! A [`Profile`] travels up with each plan under construction. Distinct counts are those of the base
//! table, not of what a filter leaves: for joins along keys that is the better guess (the filter thins
//! both sides of a foreign key alike), and groups are clamped to the rows there are anyway.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::{IndexDef, TableDef, TableStats};
use expr::{ColumnId, Expr};
use types::DataType;

use crate::context::PlanContext;
use crate::logical::Scan;

/// PostgreSQL's guess of a column's distinct values when nothing is known.
pub const DEFAULT_DISTINCT: f64 = 200.0;

/// What is known of a plan's rows.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub rows: f64,
    pub columns: HashMap<ColumnId, ColumnProfile>,
    /// Column sets that determine all columns of their relation, and how many values they had there.
    pub keys: Vec<Key>,
}

/// A unique key of one of the relations that a plan's rows are made of.
#[derive(Debug, Clone)]
pub struct Key {
    pub columns: Vec<ColumnId>,
    pub relation: u32,
    pub rows: f64,
}

/// What is known of a column's values.
#[derive(Debug, Clone)]
pub struct ColumnProfile {
    pub data_type: DataType,
    /// Distinct values before any filter.
    pub distinct: f64,
    /// Whether `distinct` is a guess out of thin air.
    pub is_default: bool,
    pub null_fraction: f64,
    pub width: f64,
    /// Which relation of the plan it is from, and how many rows that had.
    pub relation: u32,
    pub relation_rows: f64,
    pub stats: Option<(Arc<TableStats>, usize)>,
}

impl ColumnProfile {
    /// A column that an operator makes: `distinct` of them.
    pub fn computed(data_type: DataType, distinct: f64, rows: f64, relation: u32) -> ColumnProfile {
        ColumnProfile {
            data_type,
            distinct: distinct.max(1.0),
            is_default: true,
            null_fraction: 0.0,
            width: default_width(data_type),
            relation,
            relation_rows: rows,
            stats: None,
        }
    }

    pub fn statistics(&self) -> Option<&catalog::ColumnStats> {
        self.stats.as_ref().and_then(|(stats, column)| stats.column(*column))
    }
}

impl Profile {
    pub fn column(&self, id: ColumnId) -> Option<&ColumnProfile> {
        self.columns.get(&id)
    }

    /// Bytes per row of these columns.
    pub fn width(&self, columns: &[ColumnId]) -> f64 {
        columns.iter().filter_map(|id| self.columns.get(id)).map(|column| column.width).sum()
    }

    /// Fewer rows, same values.
    pub fn scaled(mut self, selectivity: f64) -> Profile {
        self.rows = clamp_rows(self.rows * selectivity);
        self
    }

    /// Distinct values of an expression among the profile's rows.
    pub fn distinct_of(&self, expr: &Expr) -> f64 {
        let raw = match expr {
            Expr::Column { id, .. } => {
                self.columns.get(id).map_or(DEFAULT_DISTINCT, |column| column.distinct)
            }
            Expr::Relabel { arg, .. } => return self.distinct_of(arg),
            _ => {
                if let Some(distinct) = super::selectivity::distinct_by_sample(expr, self) {
                    return seen(distinct, self.rows);
                }
                let columns = expr.columns();
                if columns.is_empty() {
                    return 1.0;
                }
                columns
                    .iter()
                    .map(|id| self.columns.get(id).map_or(DEFAULT_DISTINCT, |c| c.distinct))
                    .product()
            }
        };
        seen(raw, self.rows)
    }

    /// Groups that GROUP BY these expressions makes. Columns of a relation whose key is among them add
    /// nothing; several columns of one relation are not more than its rows (PostgreSQL's
    /// estimate_num_groups).
    pub fn groups(&self, exprs: &[&Expr]) -> f64 {
        if exprs.is_empty() {
            return 1.0;
        }
        let plain: Vec<ColumnId> = exprs.iter().filter_map(|expr| expr.as_column()).collect();
        let mut by_relation: HashMap<u32, (f64, f64, usize)> = HashMap::new();
        let mut others = 1.0;
        for expr in exprs {
            let source = match expr.as_column() {
                Some(id) => self.columns.get(&id),
                None => match expr.columns().as_slice() {
                    [id] => self.columns.get(id),
                    _ => None,
                },
            };
            let distinct = self.distinct_raw(expr);
            match source {
                Some(column) => {
                    let entry = by_relation.entry(column.relation).or_insert((1.0, column.relation_rows, 0));
                    entry.0 *= distinct;
                    entry.2 += 1;
                }
                None => others *= distinct,
            }
        }
        for key in &self.keys {
            if key.columns.iter().all(|column| plain.contains(column))
                && let Some(entry) = by_relation.get_mut(&key.relation)
            {
                entry.0 = entry.0.min(key.rows);
                entry.2 = 1;
            }
        }
        let mut product: f64 = others;
        for (distinct, rows, count) in by_relation.values() {
            let limit = if *count > 1 {
                (rows * 0.1).max(DEFAULT_DISTINCT).min(rows.max(1.0))
            } else {
                rows.max(1.0)
            };
            product *= seen(distinct.min(limit), self.rows);
        }
        seen(product, self.rows)
    }

    fn distinct_raw(&self, expr: &Expr) -> f64 {
        match expr {
            Expr::Column { id, .. } => {
                self.columns.get(id).map_or(DEFAULT_DISTINCT, |column| column.distinct)
            }
            Expr::Relabel { arg, .. } => self.distinct_raw(arg),
            _ => self.distinct_of(expr),
        }
    }
}

/// Rows and pages of a relation, live where the store can tell, else of the last ANALYZE, else guessed.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub rows: f64,
    pub pages: f64,
}

/// A table's size.
pub fn table_size(table: &TableDef, cx: &PlanContext<'_>) -> Size {
    let stats = cx.catalog.stats(table.id);
    let width: f64 =
        24.0 + table.live_columns().map(|(_, column)| default_width(column.data_type)).sum::<f64>();
    let rows = cx.statistics.row_count(table.id).or(stats.map(|stats| stats.rows));
    let pages = cx.statistics.page_count(table.id).or(stats.map(|stats| stats.pages as f64));
    match (rows, pages) {
        (Some(rows), Some(pages)) => Size { rows: rows.max(1.0), pages: pages.max(1.0) },
        (Some(rows), None) => Size { rows: rows.max(1.0), pages: (rows * width / 16_000.0).ceil().max(1.0) },
        // PostgreSQL assumes ten pages of what it has never looked at.
        (None, pages) => {
            let pages = pages.unwrap_or(10.0).max(1.0);
            Size { rows: (pages * 8_000.0 / width).max(1.0), pages }
        }
    }
}

/// What is known of a table's rows before any filter.
pub fn table_profile(scan: &Scan, cx: &PlanContext<'_>, relation: u32) -> Profile {
    let size = table_size(&scan.table, cx);
    let stats = cx.catalog.stats(scan.table.id).cloned();
    let mut profile = Profile { rows: size.rows, ..Profile::default() };
    for (id, ordinal) in &scan.columns {
        let Some(column) = scan.table.columns.get(*ordinal) else { continue };
        let known = stats.as_ref().and_then(|stats| stats.column(*ordinal));
        let unique = unique_keys(&scan.table)
            .any(|key| key.columns.len() == 1 && key.columns[0].column == Some(*ordinal));
        let distinct = match known {
            _ if unique => size.rows,
            Some(known) => known.distinct_of(size.rows),
            None if column.data_type.oid == DataType::BOOL.oid => 2.0,
            None => DEFAULT_DISTINCT.min(size.rows),
        };
        let nulls = known.map_or(0.0, |known| known.null_fraction);
        profile.columns.insert(
            *id,
            ColumnProfile {
                data_type: column.data_type,
                distinct: distinct.max(1.0),
                is_default: known.is_none() && !unique,
                null_fraction: nulls,
                width: known
                    .map(|known| known.average_width)
                    .filter(|width| *width > 0.0)
                    .unwrap_or_else(|| default_width(column.data_type)),
                relation,
                relation_rows: size.rows,
                stats: known.and(stats.clone()).map(|stats| (stats, *ordinal)),
            },
        );
    }
    for index in unique_keys(&scan.table) {
        let columns: Option<Vec<ColumnId>> = index
            .columns
            .iter()
            .map(|key| {
                let (id, _) = scan.columns.iter().find(|(_, ordinal)| Some(*ordinal) == key.column)?;
                Some(*id)
            })
            .collect();
        if let Some(columns) = columns {
            profile.keys.push(Key { columns, relation, rows: size.rows });
        }
    }
    if let Some(id) = scan.row_key {
        let column = ColumnProfile::computed(DataType::BYTEA, size.rows, size.rows, relation);
        profile.columns.insert(id, column);
    }
    profile
}

/// Unique, not partial, over plain columns only.
fn unique_keys(table: &TableDef) -> impl Iterator<Item = &Arc<IndexDef>> {
    table.indexes.iter().filter(|index| {
        index.unique
            && index.predicate.is_none()
            && index.columns.iter().all(|column| column.column.is_some())
    })
}

/// How many of `distinct` equally likely values are met in `rows` draws.
pub fn seen(distinct: f64, rows: f64) -> f64 {
    let distinct = distinct.max(1.0);
    if rows <= 1.0 {
        return 1.0;
    }
    if distinct >= rows * 1.0e3 {
        return rows;
    }
    (distinct * (1.0 - (-rows / distinct).exp())).clamp(1.0, rows)
}

/// At least one row, a whole number of them.
pub fn clamp_rows(rows: f64) -> f64 {
    if rows.is_nan() || rows <= 1.0 { 1.0 } else { rows.min(1.0e100).round() }
}

/// PostgreSQL's get_typavgwidth.
pub fn default_width(data_type: DataType) -> f64 {
    use types::Physical;
    match data_type.physical {
        Physical::Bool => 1.0,
        Physical::Int16 => 2.0,
        Physical::Int32 | Physical::UInt32 | Physical::Float32 => 4.0,
        Physical::Int64 | Physical::Float64 => 8.0,
        Physical::Interval | Physical::Uuid => 16.0,
        Physical::Text => match data_type.character_limit() {
            Some(limit) if limit <= 32 => limit as f64,
            Some(limit) => 32.0 + (limit.min(1000) as f64 - 32.0) / 2.0,
            None => 32.0,
        },
        Physical::Numeric | Physical::Bytea | Physical::Jsonb | Physical::Composed => 32.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_meet_no_more_than_there_is() {
        assert_eq!(seen(10.0, 1.0), 1.0);
        assert!((seen(10.0, 1.0e6) - 10.0).abs() < 1e-6);
        assert_eq!(seen(1.0e12, 100.0), 100.0);
        assert!(seen(1000.0, 1000.0) < 700.0);
    }
}
