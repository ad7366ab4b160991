//! What ANALYZE learned about a table, for the planner's estimates and for `pg_stats`.

use types::Value;

use crate::object::RelationId;

/// Statistics of one table, as of the last ANALYZE.
#[derive(Debug, Clone, PartialEq)]
pub struct TableStats {
    pub table: RelationId,
    /// Live rows (`reltuples`).
    pub rows: f64,
    /// Pages of the table's tree (`relpages`).
    pub pages: u64,
    /// Rows the sample held.
    pub sample_rows: u64,
    /// By index into `TableDef::columns`; `None` where nothing is known.
    pub columns: Vec<Option<ColumnStats>>,
}

/// Statistics of one column, with the meanings of PostgreSQL's `pg_stats`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnStats {
    pub null_fraction: f64,
    /// Average bytes of a value that is not NULL.
    pub average_width: f64,
    /// Number of distinct values that are not NULL; negative: that multiple of the row count.
    pub distinct: f64,
    /// Most common values with the fraction of all rows that each makes, most common first.
    pub most_common: Vec<(Value, f64)>,
    /// Bounds of equally full buckets of the values that are not in `most_common`, ascending.
    pub histogram: Vec<Value>,
    /// Between the column's order and the table's order, −1 to 1.
    pub correlation: Option<f64>,
}

impl TableStats {
    pub fn column(&self, index: usize) -> Option<&ColumnStats> {
        self.columns.get(index).and_then(Option::as_ref)
    }
}

impl ColumnStats {
    /// Distinct values among `rows` rows.
    pub fn distinct_of(&self, rows: f64) -> f64 {
        let distinct = if self.distinct < 0.0 { -self.distinct * rows } else { self.distinct };
        distinct.clamp(1.0, rows.max(1.0))
    }
}
