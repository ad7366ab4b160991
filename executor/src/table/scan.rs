//! Records → Batch: decoding under the page latch, predicates on stored bytes, key ranges.
//!
//! Called by the scan operators and by DML, DDL and ANALYZE. A [`BatchSink`] decodes only the columns
//! asked for, straight into builders; records that fail a pushed predicate cost no decoding at all.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use expr::{CallForm, Comparison, Expr, Operator};
use planner::physical::plan::KeyRange as PlanRange;
use storage::{KeyRange, RecordSink};
use types::key::{KeyLayout, successor};
use types::row::{ColumnTest, Comparison as RowComparison, RowDecoder, RowLayout, RowPredicate};
use types::{
    BATCH_SIZE, Batch, DataType, Error, Result, Strings, TypeCategory, Validity, Value, Vector, VectorBuilder,
};

use crate::context::ExecContext;
use crate::table::layout::TableLayout;

/// How to decode the records of one scan.
#[derive(Debug)]
pub struct RowReader {
    decoder: RowDecoder,
    predicates: Vec<RowPredicate>,
    /// Whether the row key follows the columns.
    row_key: bool,
}

impl RowReader {
    pub fn new(layout: &Arc<RowLayout>, columns: &[usize], row_key: bool) -> RowReader {
        RowReader { decoder: RowDecoder::new(layout, columns), predicates: Vec::new(), row_key }
    }

    /// Takes over those conjuncts of `filter` (over the scan's output columns) that bytes can answer,
    /// and returns the rest; `None` when the filter can never hold.
    pub fn push_filter<'f>(
        &mut self,
        layout: &Arc<RowLayout>,
        columns: &[usize],
        filter: &'f [Expr],
        cx: &ExecContext,
    ) -> Result<Option<Vec<&'f Expr>>> {
        let mut rest = Vec::new();
        for conjunct in filter {
            match column_test(conjunct, cx)? {
                Pushed::Never => return Ok(None),
                Pushed::Test(position, test) => {
                    let column = columns.get(position).copied();
                    match column.and_then(|column| RowPredicate::new(layout, column, &test)) {
                        Some(predicate) => self.predicates.push(predicate),
                        None => rest.push(conjunct),
                    }
                }
                Pushed::No => rest.push(conjunct),
            }
        }
        Ok(Some(rest))
    }

    /// A sink for up to `limit` rows.
    pub fn sink<'r>(&'r self, limit: usize, cancel: &'r AtomicBool) -> BatchSink<'r> {
        BatchSink {
            reader: self,
            builders: self.decoder.builders(limit.min(BATCH_SIZE)),
            keys: Strings::default(),
            limit,
            len: 0,
            bytes: 0,
            seen: 0,
            removed: 0,
            cancel,
        }
    }
}

/// A batch of rows ends once their records have this many bytes.
const BATCH_BYTES: usize = 8 << 20;

/// Collects a batch. A row it fails to decode ends the statement (XX001).
pub struct BatchSink<'r> {
    reader: &'r RowReader,
    builders: Vec<VectorBuilder>,
    keys: Strings,
    limit: usize,
    len: usize,
    bytes: usize,
    seen: u32,
    /// Rows that failed a pushed predicate.
    pub removed: u64,
    cancel: &'r AtomicBool,
}

impl BatchSink<'_> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn finish(self) -> Batch {
        let mut columns: Vec<Arc<Vector>> =
            self.builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        if self.reader.row_key {
            columns.push(Arc::new(Vector::flat(types::Data::Bytea(self.keys), Validity::all())));
        }
        Batch::new(columns, self.len)
    }
}

impl RecordSink for BatchSink<'_> {
    #[inline]
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.seen += 1;
        if self.seen.is_multiple_of(1024) && self.cancel.load(Ordering::Relaxed) {
            return Err(Error::canceled());
        }
        for predicate in &self.reader.predicates {
            if !predicate.matches(record)? {
                self.removed += 1;
                return Ok(true);
            }
        }
        self.reader.decoder.decode(record, &mut self.builders)?;
        if self.reader.row_key {
            self.keys.push(key);
        }
        self.len += 1;
        self.bytes += record.len();
        Ok(self.len < self.limit && self.bytes < BATCH_BYTES)
    }
}

/// Reads the rows of `row_keys`, in that order, and says which key each row of the batch is of.
/// Keys without a visible row, and rows that fail the reader's predicates, are left out.
pub fn fetch_rows(
    table: &TableLayout,
    reader: &RowReader,
    row_keys: &[Vec<u8>],
    cx: &ExecContext,
) -> Result<(Batch, Vec<u32>)> {
    let environment = cx.environment();
    // Neighbouring keys share pages: read in key order, then put the rows back in theirs.
    let mut order: Vec<u32> = (0..row_keys.len() as u32).collect();
    let sorted = row_keys.is_sorted();
    if !sorted {
        order.sort_unstable_by(|&a, &b| row_keys[a as usize].cmp(&row_keys[b as usize]));
    }
    let keys: Vec<&[u8]> = order.iter().map(|&i| row_keys[i as usize].as_slice()).collect();
    let mut sink = reader.sink(usize::MAX, &environment.cancel);
    let mut found: Vec<u32> = Vec::with_capacity(row_keys.len());
    environment.transaction.multi_get(table.tree, &keys, |position, record| {
        let before = sink.len();
        sink.record(keys[position], record)?;
        if sink.len() > before {
            found.push(order[position]);
        }
        Ok(())
    })?;
    let batch = sink.finish();
    if sorted || found.is_sorted() {
        return Ok((batch, found));
    }
    let mut back: Vec<u32> = (0..found.len() as u32).collect();
    back.sort_by_key(|&row| found[row as usize]);
    found.sort_unstable();
    Ok((batch.gather(&back), found))
}

/// The same sink for scans that do not need the key.
pub struct WithoutKey<'s, 'r>(pub &'s mut BatchSink<'r>);

impl RecordSink for WithoutKey<'_, '_> {
    const NEEDS_KEY: bool = false;

    #[inline]
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.record(key, record)
    }
}

enum Pushed {
    /// NULL or false whatever the row.
    Never,
    Test(usize, ColumnTest),
    No,
}

/// The column test that `conjunct` is, if its other side is constant during the execution.
fn column_test(conjunct: &Expr, cx: &ExecContext) -> Result<Pushed> {
    Ok(match conjunct {
        Expr::IsNull { arg, negated } => match input(arg) {
            Some(position) if *negated => Pushed::Test(position, ColumnTest::IsNotNull),
            Some(position) => Pushed::Test(position, ColumnTest::IsNull),
            None => Pushed::No,
        },
        Expr::InList { arg, list, operator, negated: false }
            if operator.is_equality() && same_order(operator) =>
        {
            match input(arg) {
                Some(position) if list.iter().all(Expr::is_execution_constant) => {
                    let mut values = Vec::with_capacity(list.len());
                    for item in list {
                        let value = cx.eval_constant(item)?;
                        if !value.is_null() {
                            values.push(value);
                        }
                    }
                    if values.is_empty() {
                        Pushed::Never
                    } else {
                        Pushed::Test(position, ColumnTest::In(values))
                    }
                }
                _ => Pushed::No,
            }
        }
        Expr::Call { form: CallForm::Operator(operator), args, .. } => {
            let [left, right] = args.as_slice() else { return Ok(Pushed::No) };
            if let Some(comparison) = operator.comparison
                && same_order(operator)
            {
                let (position, constant, comparison) = match (input(left), input(right)) {
                    (Some(position), None) if right.is_execution_constant() => (position, right, comparison),
                    (None, Some(position)) if left.is_execution_constant() => {
                        (position, left, comparison.commuted())
                    }
                    _ => return Ok(Pushed::No),
                };
                return Ok(match cx.eval_constant(constant)? {
                    Value::Null => Pushed::Never,
                    value => Pushed::Test(position, ColumnTest::Compare(row_comparison(comparison), value)),
                });
            }
            if operator.function.source == "textlike"
                && let Some(position) = input(left)
                && right.is_execution_constant()
            {
                return Ok(match cx.eval_constant(right)? {
                    Value::Null => Pushed::Never,
                    Value::Text(pattern) => match like_prefix(&pattern) {
                        Some(prefix) => Pushed::Test(position, ColumnTest::StartsWith(prefix.into())),
                        None => Pushed::No,
                    },
                    _ => Pushed::No,
                });
            }
            Pushed::No
        }
        _ => Pushed::No,
    })
}

/// The input position, through casts that change nothing.
fn input(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Input { position, .. } => Some(*position),
        Expr::Relabel { arg, .. } => input(arg),
        _ => None,
    }
}

/// Whether both sides lie in one order: one type, or two number types.
fn same_order(operator: &Operator) -> bool {
    let Some(left) = operator.left else { return false };
    let number = |t: DataType| t.category() == TypeCategory::Numeric && t.physical != types::Physical::UInt32;
    left.same_type(operator.right) || (number(left) && number(operator.right))
}

/// `abc` of `abc%`.
fn like_prefix(pattern: &str) -> Option<&str> {
    let prefix = pattern.strip_suffix('%')?;
    (!prefix.contains(['%', '_', '\\'])).then_some(prefix)
}

fn row_comparison(comparison: Comparison) -> RowComparison {
    match comparison {
        Comparison::Equal => RowComparison::Equal,
        Comparison::NotEqual => RowComparison::NotEqual,
        Comparison::Less => RowComparison::Less,
        Comparison::LessEqual => RowComparison::LessOrEqual,
        Comparison::Greater => RowComparison::Greater,
        Comparison::GreaterEqual => RowComparison::GreaterOrEqual,
    }
}

/// What a range of key columns is in a tree.
#[derive(Debug, Clone)]
pub enum TreeRange {
    /// All key columns are given: the key itself.
    Point(Vec<u8>),
    Range(KeyRange),
}

/// The byte ranges of `ranges`, ascending and disjoint. A range bounded by NULL is empty.
pub fn tree_ranges(ranges: &[PlanRange], layout: &KeyLayout, cx: &ExecContext) -> Result<Vec<TreeRange>> {
    let mut encoded = Vec::with_capacity(ranges.len());
    for range in ranges {
        if let Some(range) = tree_range(range, layout, cx)? {
            encoded.push(range);
        }
    }
    if encoded.len() > 1 {
        encoded.sort_by(|a, b| lower(a).cmp(&lower(b)));
        let mut disjoint: Vec<TreeRange> = Vec::with_capacity(encoded.len());
        for range in encoded {
            match disjoint.last_mut() {
                Some(last) if overlaps(last, &range) => merge(last, range),
                _ => disjoint.push(range),
            }
        }
        return Ok(disjoint);
    }
    Ok(encoded)
}

/// (key, whether the bound lies behind it), orderable.
fn lower(range: &TreeRange) -> (&[u8], bool) {
    match range {
        TreeRange::Point(key) => (key, false),
        TreeRange::Range(range) => match &range.lower {
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
            Bound::Unbounded => (&[], false),
        },
    }
}

/// (key, whether the key itself is inside); `None`: open.
fn upper(range: &TreeRange) -> Option<(&[u8], bool)> {
    match range {
        TreeRange::Point(key) => Some((key, true)),
        TreeRange::Range(range) => match &range.upper {
            Bound::Included(key) => Some((key, true)),
            Bound::Excluded(key) => Some((key, false)),
            Bound::Unbounded => None,
        },
    }
}

fn overlaps(a: &TreeRange, b: &TreeRange) -> bool {
    match upper(a) {
        None => true,
        Some((end, inside)) => {
            let (start, behind) = lower(b);
            start < end || (start == end && inside && !behind)
        }
    }
}

fn merge(a: &mut TreeRange, b: TreeRange) {
    let larger = match (upper(a), upper(&b)) {
        (None, _) => return,
        (_, None) => true,
        (Some(a), Some(b)) => b > a,
    };
    if !larger {
        return;
    }
    let upper = match b {
        TreeRange::Point(key) => Bound::Included(key),
        TreeRange::Range(range) => range.upper,
    };
    let lower = match std::mem::replace(a, TreeRange::Point(Vec::new())) {
        TreeRange::Point(key) => Bound::Included(key),
        TreeRange::Range(range) => range.lower,
    };
    *a = TreeRange::Range(KeyRange { lower, upper });
}

fn tree_range(range: &PlanRange, layout: &KeyLayout, cx: &ExecContext) -> Result<Option<TreeRange>> {
    let mut values = Vec::with_capacity(range.equals.len() + 1);
    for expr in &range.equals {
        let value = cx.eval_constant(expr)?;
        if value.is_null() {
            return Ok(None);
        }
        values.push(value);
    }
    let mut prefix = Vec::with_capacity(16);
    layout.encode(&values, &mut prefix)?;
    let next = layout.columns().get(values.len());
    if range.is_null {
        if !next.is_some_and(|column| column.nullable) {
            return Ok(None);
        }
        values.push(Value::Null);
        prefix.clear();
        layout.encode(&values, &mut prefix)?;
        return Ok(Some(TreeRange::Range(KeyRange::prefix(&prefix))));
    }
    if range.lower.is_none() && range.upper.is_none() {
        return Ok(Some(if values.len() == layout.len() {
            TreeRange::Point(prefix)
        } else {
            TreeRange::Range(KeyRange::prefix(&prefix))
        }));
    }
    let column = next.ok_or_else(|| Error::internal("a key range bounds a column beyond its key"))?;
    let bound = |limit: &Option<(Expr, bool)>| -> Result<Option<Option<(Vec<u8>, bool)>>> {
        let Some((expr, inclusive)) = limit else { return Ok(Some(None)) };
        let value = cx.eval_constant(expr)?;
        if value.is_null() {
            return Ok(None);
        }
        let mut key = prefix.clone();
        types::key::encode_value(&value, column, &mut key)?;
        Ok(Some(Some((key, *inclusive))))
    };
    let (Some(low), Some(high)) = (bound(&range.lower)?, bound(&range.upper)?) else { return Ok(None) };
    let (first, last) = if column.descending { (high, low) } else { (low, high) };
    // Keys of rows that hold a value in this column: a bound leaves NULLs out.
    let mut values_prefix = prefix.clone();
    if column.nullable {
        values_prefix.push(1);
    }
    let lower = match first {
        Some((key, true)) => Bound::Included(key),
        Some((key, false)) => match successor(&key) {
            Some(next) => Bound::Included(next),
            None => return Ok(None),
        },
        None => Bound::Included(values_prefix.clone()),
    };
    let end = |prefix: &[u8]| successor(prefix).map_or(Bound::Unbounded, Bound::Excluded);
    let upper = match last {
        Some((key, true)) => end(&key),
        Some((key, false)) => Bound::Excluded(key),
        None => end(&values_prefix),
    };
    Ok(Some(TreeRange::Range(KeyRange { lower, upper })))
}
