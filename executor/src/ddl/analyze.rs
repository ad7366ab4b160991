//! ANALYZE: a sample of a table's rows → TableStats.
//!
//! After PostgreSQL's analyze.c: a random sample of 300 × the statistics target rows, distinct values by
//! Haas and Stokes' Duj1 estimator, most common values where they stand out from the rest, equal-depth
//! histograms of the others. The whole tree is read (its pages, not its columns), so the row count is exact.

use std::sync::Arc;

use catalog::{ColumnStats, TableDef, TableStats};
use storage::{Direction, KeyRange, RecordSink, TreeId};
use types::{Result, Value};

use crate::context::ExecContext;
use crate::table::layout::TableLayout;

/// PostgreSQL's default_statistics_target.
const TARGET: usize = 100;
const SAMPLE_ROWS: usize = 300 * TARGET;

/// Values wider than this are counted, not compared (PostgreSQL's WIDTH_THRESHOLD).
const TOO_WIDE: usize = 1024;

/// A uniform sample of records (Li's algorithm L: most records cost a comparison).
struct Sample {
    rows: u64,
    /// Number of the record to take next.
    next: u64,
    weight: f64,
    random: u64,
    kept: Vec<(u64, Vec<u8>)>,
}

impl Sample {
    fn new(seed: u64) -> Sample {
        Sample { rows: 0, next: 0, weight: 1.0, random: seed, kept: Vec::new() }
    }

    /// 0 < x < 1
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn skip(&mut self) {
        self.weight *= (self.uniform().ln() / SAMPLE_ROWS as f64).exp();
        let gap = (self.uniform().ln() / (1.0 - self.weight).ln()).floor();
        self.next = self.next.saturating_add(gap as u64).saturating_add(1);
    }
}

impl RecordSink for Sample {
    const NEEDS_KEY: bool = false;

    fn record(&mut self, _key: &[u8], record: &[u8]) -> Result<bool> {
        let row = self.rows;
        self.rows += 1;
        if row < self.next {
            return Ok(true);
        }
        if self.kept.len() < SAMPLE_ROWS {
            self.kept.push((row, record.to_vec()));
            self.next = row + 1;
            if self.kept.len() == SAMPLE_ROWS {
                self.skip();
            }
        } else {
            let slot = (self.uniform() * SAMPLE_ROWS as f64) as usize;
            self.kept[slot.min(SAMPLE_ROWS - 1)] = (row, record.to_vec());
            self.skip();
        }
        Ok(true)
    }
}

/// Statistics of `table`; of the columns in `columns` (all if empty), others keep what was known.
pub fn analyze(table: &Arc<TableDef>, columns: &[usize], cx: &ExecContext) -> Result<TableStats> {
    let layout = TableLayout::new(table);
    let mut sample = Sample::new(cx.environment().statement_time as u64 | 1);
    let mut scan = cx.transaction().scan(layout.tree, KeyRange::all(), Direction::Forward)?;
    while scan.fill(&mut sample)? {
        cx.check_interrupt()?;
    }
    sample.kept.sort_by_key(|(row, _)| *row);
    let rows = sample.rows as f64;
    let before = cx.catalog().stats(table.id);
    let mut stats = Vec::with_capacity(table.columns.len());
    for (position, column) in table.columns.iter().enumerate() {
        if column.dropped {
            stats.push(None);
        } else if columns.is_empty() || columns.contains(&position) {
            let values = sample
                .kept
                .iter()
                .map(|(_, record)| layout.row.decode_value(record, position))
                .collect::<Result<Vec<Value>>>()?;
            stats.push(column_stats(values, rows));
            cx.check_interrupt()?;
        } else {
            stats.push(before.and_then(|before| before.column(position)).cloned());
        }
    }
    Ok(TableStats {
        table: table.id,
        rows,
        pages: cx.environment().store.tree_pages(TreeId(table.tree.0)),
        sample_rows: sample.kept.len() as u64,
        columns: stats,
    })
}

fn width(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int16(_) => 2,
        Value::Int32(_) | Value::UInt32(_) | Value::Float32(_) => 4,
        Value::Int64(_) | Value::Float64(_) => 8,
        Value::Interval(_) | Value::Uuid(_) => 16,
        // PostgreSQL's numerics: a header and two bytes for four digits.
        Value::Numeric(number) => 5 + number.to_string().len() / 2,
        Value::Text(text) => text.len() + 1,
        Value::Bytea(bytes) | Value::Jsonb(bytes) => bytes.len() + 1,
        Value::Array(array) => 20 + array.elements.iter().map(width).sum::<usize>(),
        Value::Record(fields) => 24 + fields.iter().map(width).sum::<usize>(),
    }
}

/// Statistics of a column from the sampled values, in the table's order; `None` for an empty sample.
pub fn column_stats(values: Vec<Value>, total_rows: f64) -> Option<ColumnStats> {
    let sampled = values.len();
    if sampled == 0 {
        return None;
    }
    let nulls = values.iter().filter(|value| value.is_null()).count();
    let null_fraction = nulls as f64 / sampled as f64;
    let present = sampled - nulls;
    if present == 0 {
        return Some(ColumnStats { null_fraction: 1.0, ..ColumnStats::default() });
    }
    let total_width: usize = values.iter().map(width).sum();
    let average_width = total_width as f64 / present as f64;
    let mut sorted: Vec<(Value, usize)> = values
        .into_iter()
        .enumerate()
        .filter(|(_, value)| !value.is_null() && width(value) <= TOO_WIDE)
        .map(|(row, value)| (value, row))
        .collect();
    let too_wide = present - sorted.len();
    if sorted.is_empty() {
        // Nothing but wide values: taken to be unique.
        let distinct = -(1.0 - null_fraction);
        return Some(ColumnStats { null_fraction, average_width, distinct, ..ColumnStats::default() });
    }
    sorted.sort();
    // Runs of equal values: (first position, count).
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (position, (value, _)) in sorted.iter().enumerate() {
        match runs.last_mut() {
            Some((first, count)) if sorted[*first].0 == *value => *count += 1,
            _ => runs.push((position, 1)),
        }
    }
    let distinct_found = runs.len() + too_wide;
    let repeated = runs.iter().filter(|(_, count)| *count > 1).count();
    let distinct = if repeated == 0 {
        -(1.0 - null_fraction)
    } else if too_wide == 0 && repeated == runs.len() {
        distinct_found as f64
    } else {
        let once = (distinct_found - repeated) as f64;
        let (n, d) = (present as f64, distinct_found as f64);
        let all = total_rows * (1.0 - null_fraction);
        if all > 0.0 { (n * d / ((n - once) + once * n / all)).clamp(d, all).round() } else { 0.0 }
    };
    let distinct = if distinct > 0.1 * total_rows { -(distinct / total_rows) } else { distinct };

    let mut common: Vec<(usize, usize)> = runs.iter().copied().filter(|(_, count)| *count > 1).collect();
    common.sort_by_key(|(first, count)| (std::cmp::Reverse(*count), *first));
    common.truncate(TARGET);
    let everything = common.len() == distinct_found && too_wide == 0 && distinct > 0.0;
    if !everything {
        let counts: Vec<usize> = common.iter().map(|(_, count)| *count).collect();
        common.truncate(common_worth_keeping(&counts, distinct, null_fraction, sampled, total_rows));
    }
    let most_common: Vec<(Value, f64)> = common
        .iter()
        .map(|(first, count)| (sorted[*first].0.clone(), *count as f64 / sampled as f64))
        .collect();

    let others = distinct_found.saturating_sub(common.len()).min(TARGET + 1);
    let mut histogram = Vec::new();
    if others >= 2 {
        let is_common: std::collections::HashSet<usize> = common.iter().map(|(first, _)| *first).collect();
        let rest: Vec<&Value> = runs
            .iter()
            .filter(|(first, _)| !is_common.contains(first))
            .flat_map(|(first, count)| sorted[*first..*first + *count].iter().map(|(value, _)| value))
            .collect();
        if rest.len() >= 2 {
            let last = rest.len() - 1;
            histogram = (0..others).map(|bound| rest[bound * last / (others - 1)].clone()).collect();
        }
    }

    let correlation = (sorted.len() > 1).then(|| {
        // Both are permutations of 0..n, so only the mixed sum depends on the data.
        let mut by_row: Vec<usize> = (0..sorted.len()).collect();
        by_row.sort_by_key(|&position| sorted[position].1);
        let n = sorted.len() as f64;
        let mixed: f64 = by_row.iter().enumerate().map(|(row, &rank)| row as f64 * rank as f64).sum();
        let sum = n * (n - 1.0) / 2.0;
        let squares = n * (n - 1.0) * (2.0 * n - 1.0) / 6.0;
        (n * mixed - sum * sum) / (n * squares - sum * sum)
    });
    Some(ColumnStats { null_fraction, average_width, distinct, most_common, histogram, correlation })
}

/// How many of the most common values are significantly more common than the rest (PostgreSQL's
/// `analyze_mcv_list`).
fn common_worth_keeping(
    counts: &[usize],
    distinct: f64,
    null_fraction: f64,
    sampled: usize,
    total_rows: f64,
) -> usize {
    let sample = sampled as f64;
    if sample >= total_rows || total_rows <= 1.0 {
        return counts.len();
    }
    let distinct = if distinct < 0.0 { -distinct * total_rows } else { distinct };
    let mut kept = counts.len();
    let mut sum: f64 = counts.iter().take(kept.saturating_sub(1)).map(|&count| count as f64).sum();
    while kept > 0 {
        let mut selectivity = (1.0 - sum / sample - null_fraction).clamp(0.0, 1.0);
        let others = distinct - (kept as f64 - 1.0);
        if others > 1.0 {
            selectivity /= others;
        }
        let count = counts[kept - 1] as f64;
        let expected = total_rows * count / sample;
        let variance = sample * expected * (total_rows - expected) * (total_rows - sample)
            / (total_rows * total_rows * (total_rows - 1.0));
        if count > selectivity * sample + 2.0 * variance.max(0.0).sqrt() + 0.5 {
            break;
        }
        kept -= 1;
        if kept > 0 {
            sum -= counts[kept - 1] as f64;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_ascending_values_correlate_and_fill_a_histogram() {
        let stats = column_stats((0..1000).map(Value::Int32).collect(), 1000.0).unwrap();
        assert_eq!(stats.distinct, -1.0);
        assert!(stats.most_common.is_empty());
        assert_eq!(stats.histogram.len(), TARGET + 1);
        assert_eq!(stats.histogram.first(), Some(&Value::Int32(0)));
        assert_eq!(stats.histogram.last(), Some(&Value::Int32(999)));
        assert!((stats.correlation.unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn few_values_are_all_common() {
        let values =
            (0..900).map(|n| if n % 3 == 0 { Value::Null } else { Value::text(["a", "b"][n % 3 - 1]) });
        let stats = column_stats(values.collect(), 900.0).unwrap();
        assert_eq!(stats.distinct, 2.0);
        assert!((stats.null_fraction - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(stats.most_common.len(), 2);
        assert!(stats.histogram.is_empty());
    }

    #[test]
    fn a_sample_is_uniform_and_bounded() {
        let mut sample = Sample::new(7);
        for _ in 0..200_000 {
            sample.record(&[], b"x").unwrap();
        }
        assert_eq!((sample.rows, sample.kept.len()), (200_000, SAMPLE_ROWS));
        let mean = sample.kept.iter().map(|(row, _)| *row as f64).sum::<f64>() / SAMPLE_ROWS as f64;
        assert!((90_000.0..110_000.0).contains(&mean), "{mean}");
    }
}
