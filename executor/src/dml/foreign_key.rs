//! FOREIGN KEY, from both ends.
//!
//! A new referencing row locks the row it refers to (KEY SHARE), so that nobody deletes it before the
//! transaction ends. When referenced keys go or change, the rows that refer to them are looked for at the
//! end of the statement, with a snapshot of then: cascades and SET NULL first (from a queue, not by
//! recursion), then what NO ACTION still objects to.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use ::catalog::{ConstraintKind, ForeignKeyAction, IndexDef, TableDef};
use planner::physical::plan::ForeignKeyCheck;
use storage::{Direction, KeyRange, LockOutcome, RecordSink, RowLock, WriteOutcome};
use types::row::builder_for;
use types::{Batch, DataType, Error, Physical, Result, SqlState, Value, VectorBuilder};

use crate::context::ExecContext;
use crate::dml::constraint::check_rows;
use crate::dml::restart;
use crate::dml::update::key_at;
use crate::row_buffer::RowBuffer;
use crate::table::keys::EncodedKeys;
use crate::table::layout::TableLayout;
use crate::table::row::{RowWriter, located, value_text};
use crate::table::scan::{RowReader, fetch_rows};

/// Keys found to exist that are remembered within a statement.
const MAX_KNOWN: usize = 100_000;

/// The foreign keys of a table whose rows come or change.
pub struct ReferencingKeys {
    checks: Vec<Referencing>,
}

struct Referencing {
    check: ForeignKeyCheck,
    /// Keys (as values of the referencing columns) found and locked already.
    known: HashSet<Vec<Value>>,
    /// Keys that refer to the table itself: looked for when all rows are in.
    waiting: HashSet<Vec<Value>>,
}

impl ReferencingKeys {
    /// `changed`: only keys with one of these columns matter (UPDATE).
    pub fn new(checks: &[ForeignKeyCheck], changed: Option<&[bool]>) -> ReferencingKeys {
        let matters = |check: &&ForeignKeyCheck| {
            changed.is_none_or(|changed| check.key.columns.iter().any(|&column| changed[column]))
        };
        let checks = checks.iter().filter(matters).map(|check| Referencing {
            check: check.clone(),
            known: HashSet::new(),
            waiting: HashSet::new(),
        });
        ReferencingKeys { checks: checks.collect() }
    }

    /// 23503 for a row (in table order) that refers to nothing.
    pub fn check(&mut self, rows: &Batch, cx: &ExecContext) -> Result<()> {
        for referencing in &mut self.checks {
            let check = &referencing.check;
            let to_itself = check.referencing.id == check.referenced.id;
            for row in 0..rows.len() {
                let values: Vec<Value> =
                    check.key.columns.iter().map(|&column| rows.column(column).value(row)).collect();
                let nulls = values.iter().filter(|value| value.is_null()).count();
                if nulls == values.len() || (nulls > 0 && !check.key.match_full) {
                    continue;
                }
                if nulls > 0 {
                    return Err(not_present(check, None, cx));
                }
                if to_itself {
                    referencing.waiting.insert(values);
                } else if !referencing.known.contains(&values) {
                    if !lock_referenced(check, &values, cx)? {
                        return Err(not_present(check, Some(&values), cx));
                    }
                    if referencing.known.len() >= MAX_KNOWN {
                        referencing.known.clear();
                    }
                    referencing.known.insert(values);
                }
            }
        }
        Ok(())
    }

    /// Checks what refers to the table itself, once all rows are in.
    pub fn finish(&mut self, cx: &ExecContext) -> Result<()> {
        for referencing in &mut self.checks {
            for values in referencing.waiting.drain() {
                if !lock_referenced(&referencing.check, &values, cx)? {
                    return Err(not_present(&referencing.check, Some(&values), cx));
                }
            }
        }
        Ok(())
    }
}

/// Locks the row that `values` (of the referencing columns) refer to; false when there is none.
fn lock_referenced(check: &ForeignKeyCheck, values: &[Value], cx: &ExecContext) -> Result<bool> {
    let transaction = cx.transaction();
    let layout = cx.tables().layout(&check.referenced);
    let index = check
        .referenced
        .indexes
        .iter()
        .find(|index| index.id == check.key.referenced_index)
        .ok_or_else(|| Error::internal(format!("\"{}\" refers to no index", check.constraint)))?;
    let mut ordered = Vec::with_capacity(values.len());
    for column in &index.columns {
        let position = check.key.referenced_columns.iter().position(|&c| Some(c) == column.column);
        let value = position.and_then(|position| values.get(position));
        let value = value.ok_or_else(|| Error::internal("a foreign key does not fill its index"))?;
        match fit(value, column.data_type) {
            Some(value) => ordered.push(value),
            // Out of the referenced type's range: nobody has that key.
            None => return Ok(false),
        }
    }
    let mut key = Vec::new();
    let row_key = if index.is_clustered {
        let Some(cluster) = &layout.key else { return Err(Error::internal("a clustered table without key")) };
        cluster.layout.encode(&ordered, &mut key)?;
        key
    } else {
        let entries = layout.index(index).ok_or_else(|| Error::internal("an index without a tree"))?;
        entries.key.encode(&ordered, &mut key)?;
        let mut row_key = None;
        let outcome = transaction.lock(entries.tree, &key, RowLock::KeyShare, true, |record| {
            row_key = Some(entries.row_key(record).map(<[u8]>::to_vec));
        })?;
        match (outcome, row_key.transpose()?) {
            (LockOutcome::Locked | LockOutcome::LockedNewer, Some(row_key)) => row_key,
            _ => return Ok(false),
        }
    };
    let outcome = transaction.lock(layout.tree, &row_key, RowLock::KeyShare, true, |_| ())?;
    Ok(matches!(outcome, LockOutcome::Locked | LockOutcome::LockedNewer))
}

/// `value` in the form of `data_type`, where both are numbers of some kind; `None` out of range.
fn fit(value: &Value, data_type: DataType) -> Option<Value> {
    let integer = value.as_i64();
    match (data_type.physical, integer) {
        (Physical::Int16, Some(n)) => i16::try_from(n).ok().map(Value::Int16),
        (Physical::Int32, Some(n)) => i32::try_from(n).ok().map(Value::Int32),
        (Physical::Int64, Some(n)) => Some(Value::Int64(n)),
        (Physical::UInt32, Some(n)) => u32::try_from(n).ok().map(Value::UInt32),
        (Physical::Numeric, Some(n)) => Some(Value::Numeric(types::Numeric::new(i128::from(n), 0))),
        (Physical::Float32 | Physical::Float64, Some(n)) => match data_type.physical {
            Physical::Float32 => Some(Value::Float32(n as f32)),
            _ => Some(Value::Float64(n as f64)),
        },
        (Physical::Int16 | Physical::Int32 | Physical::Int64, None) => match value {
            Value::Numeric(number) => {
                let n = number.as_scaled_i64(0)?;
                fit(&Value::Int64(n), data_type)
            }
            other => Some(other.clone()),
        },
        _ => Some(value.clone()),
    }
}

/// 23503: `values` refer to nothing; without them, NULLs are mixed with values (MATCH FULL).
fn not_present(check: &ForeignKeyCheck, values: Option<&[Value]>, cx: &ExecContext) -> Error {
    let table = &check.referencing;
    let detail = match values {
        None => "MATCH FULL does not allow mixing of null and nonnull key values.".to_string(),
        Some(values) => format!(
            "Key {} is not present in table \"{}\".",
            key_text(table, &check.key.columns, values, cx),
            check.referenced.name
        ),
    };
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        table.name, check.constraint
    );
    located(Error::new(SqlState::FOREIGN_KEY_VIOLATION, message), table, cx)
        .with_detail(detail)
        .with_constraint(check.constraint.clone())
}

fn still_referenced(check: &ForeignKeyCheck, values: &[Value], cx: &ExecContext) -> Error {
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        check.referenced.name, check.constraint, check.referencing.name
    );
    located(Error::new(SqlState::FOREIGN_KEY_VIOLATION, message), &check.referencing, cx)
        .with_detail(format!(
            "Key {} is still referenced from table \"{}\".",
            key_text(&check.referenced, &check.key.referenced_columns, values, cx),
            check.referencing.name
        ))
        .with_constraint(check.constraint.clone())
}

fn key_text(table: &TableDef, columns: &[usize], values: &[Value], cx: &ExecContext) -> String {
    let definitions = || columns.iter().filter_map(|&column| table.columns.get(column));
    let names: Vec<&str> = definitions().map(|column| column.name.as_str()).collect();
    let values: Vec<String> =
        definitions().zip(values).map(|(column, value)| value_text(value, column.data_type, cx)).collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

/// The foreign keys that point at a table whose rows go or change.
#[derive(Default)]
pub struct ReferencedKeys {
    checks: Vec<Referenced>,
    set: bool,
}

struct Referenced {
    check: ForeignKeyCheck,
    /// Keys that are gone, and what became of them (UPDATE).
    gone: Vec<(Vec<Value>, Option<Vec<Value>>)>,
}

impl ReferencedKeys {
    pub fn new(checks: &[ForeignKeyCheck]) -> ReferencedKeys {
        let checks = checks.iter().map(|check| Referenced { check: check.clone(), gone: Vec::new() });
        ReferencedKeys { checks: checks.collect(), set: true }
    }

    /// The foreign keys that point at `table`, by the catalog.
    pub fn of_table(table: &Arc<TableDef>, cx: &ExecContext) -> ReferencedKeys {
        let mut checks = Vec::new();
        for referencing in cx.catalog().referencing_tables(table.id) {
            for constraint in &referencing.constraints {
                if let ConstraintKind::ForeignKey(key) = &constraint.kind
                    && key.referenced_table == table.id
                {
                    checks.push(ForeignKeyCheck {
                        constraint: constraint.name.clone(),
                        referencing: referencing.clone(),
                        referenced: table.clone(),
                        key: key.clone(),
                    });
                }
            }
        }
        ReferencedKeys::new(&checks)
    }

    pub fn is_unset(&self) -> bool {
        !self.set
    }

    /// Notes that rows (in table order) are gone.
    pub fn note_delete(&mut self, rows: &Batch) {
        for referenced in &mut self.checks {
            let columns = &referenced.check.key.referenced_columns;
            for row in 0..rows.len() {
                let key: Vec<Value> = columns.iter().map(|&column| rows.column(column).value(row)).collect();
                if !key.iter().any(Value::is_null) {
                    referenced.gone.push((key, None));
                }
            }
        }
    }

    /// Notes that rows have changed.
    pub fn note_update(&mut self, old: &Batch, new: &Batch) {
        for referenced in &mut self.checks {
            let columns = &referenced.check.key.referenced_columns;
            for row in 0..old.len() {
                let key =
                    |rows: &Batch| columns.iter().map(|&c| rows.column(c).value(row)).collect::<Vec<_>>();
                let (before, after) = (key(old), key(new));
                if before != after && !before.iter().any(Value::is_null) {
                    referenced.gone.push((before, Some(after)));
                }
            }
        }
    }

    /// Carries out what the foreign keys say. 23503.
    pub fn finish(&mut self, cx: &ExecContext) -> Result<()> {
        let mut queue: VecDeque<Referenced> =
            self.checks.drain(..).filter(|referenced| !referenced.gone.is_empty()).collect();
        if queue.is_empty() {
            return Ok(());
        }
        let mut objections: Vec<Referenced> = Vec::new();
        while let Some(work) = queue.pop_front() {
            cx.check_interrupt()?;
            // What the statement (and the step before) has written must be seen, and what others have
            // committed since.
            cx.transaction().start_statement();
            let (deleted, updated): (Vec<_>, Vec<_>) =
                work.gone.into_iter().partition(|(_, new)| new.is_none());
            for (gone, action) in [(deleted, work.check.key.on_delete), (updated, work.check.key.on_update)] {
                if gone.is_empty() {
                    continue;
                }
                let part = Referenced { check: work.check.clone(), gone };
                match action {
                    ForeignKeyAction::NoAction => objections.push(part),
                    ForeignKeyAction::Restrict => object(&part, false, cx)?,
                    ForeignKeyAction::Cascade | ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault => {
                        queue.extend(follow(&part, action, cx)?);
                    }
                }
            }
        }
        cx.transaction().start_statement();
        objections.iter().try_for_each(|part| object(part, true, cx))
    }
}

/// 23503 when a row refers to a key that is gone (unless, for NO ACTION, there is such a key again).
fn object(work: &Referenced, unless_back: bool, cx: &ExecContext) -> Result<()> {
    let layout = cx.tables().layout(&work.check.referencing);
    for (key, _) in &work.gone {
        let (rows, _) = newest_children(&work.check, std::slice::from_ref(key), &layout, cx)?;
        if rows.is_empty() || (unless_back && lock_referenced_key(&work.check, key, cx)?) {
            continue;
        }
        return Err(still_referenced(&work.check, key, cx));
    }
    Ok(())
}

/// Whether the referenced table has `key` (of its own columns) now.
fn lock_referenced_key(check: &ForeignKeyCheck, key: &[Value], cx: &ExecContext) -> Result<bool> {
    let types = check.key.columns.iter().map(|&column| check.referencing.columns[column].data_type);
    let values: Option<Vec<Value>> = key.iter().zip(types).map(|(value, t)| fit(value, t)).collect();
    match values {
        Some(values) => lock_referenced(check, &values, cx),
        None => Ok(false),
    }
}

/// CASCADE, SET NULL or SET DEFAULT on the rows that refer to keys that are gone; returns what follows
/// from that for tables that refer to those rows.
fn follow(work: &Referenced, action: ForeignKeyAction, cx: &ExecContext) -> Result<Vec<Referenced>> {
    let check = &work.check;
    let table = &check.referencing;
    let writer = RowWriter::for_table(table, cx)?;
    let mut next = ReferencedKeys::of_table(table, cx);
    let deletes = action == ForeignKeyAction::Cascade && work.gone.iter().all(|(_, new)| new.is_none());
    // Rows of different keys get different values when keys cascade.
    let parts: Vec<&[(Vec<Value>, Option<Vec<Value>>)]> = if action == ForeignKeyAction::Cascade && !deletes {
        work.gone.chunks(1).collect()
    } else {
        vec![&work.gone]
    };
    for part in parts {
        let keys: Vec<Vec<Value>> = part.iter().map(|(key, _)| key.clone()).collect();
        let (rows, row_keys) = newest_children(check, &keys, &writer.layout, cx)?;
        if rows.is_empty() {
            continue;
        }
        if deletes {
            let mut done = Vec::new();
            for row in 0..rows.len() {
                match cx.transaction().delete(writer.layout.tree, row_keys.get(row))? {
                    WriteOutcome::Done => done.push(row as u32),
                    WriteOutcome::Missing | WriteOutcome::SelfModified => {}
                    WriteOutcome::Changed => return Err(restart()),
                }
            }
            let (rows, row_keys) = pick(&rows, &row_keys, &done);
            writer.remove_entries(&rows, &row_keys, cx)?;
            next.note_delete(&rows);
            continue;
        }
        let mut columns = rows.columns().to_vec();
        let mut changed = vec![false; columns.len()];
        for (position, &column) in check.key.columns.iter().enumerate() {
            let definition = &table.columns[column];
            let value = match action {
                ForeignKeyAction::Cascade => part
                    .first()
                    .and_then(|(_, new)| new.as_ref())
                    .and_then(|new| new.get(position))
                    .and_then(|value| fit(value, definition.data_type))
                    .ok_or_else(|| {
                        Error::new(
                            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                            format!("{} out of range", definition.data_type.sql_name()),
                        )
                    })?,
                ForeignKeyAction::SetDefault => {
                    let default =
                        cx.with_planning(|planning| planner::bind_default(table, column, planning))?;
                    cx.eval_constant(&default)?
                }
                _ => Value::Null,
            };
            let mut builder: VectorBuilder = builder_for(definition.data_type, 1);
            (0..rows.len()).for_each(|_| builder.push(&value));
            columns[column] = Arc::new(builder.finish());
            changed[column] = true;
        }
        let new = Batch::new(columns, rows.len());
        check_rows(table, &[], &new, cx)?;
        let rewritten = crate::dml::update::ChangedRows { writer: &writer, changed: &changed };
        let mut done = Vec::new();
        for row in 0..rows.len() {
            match rewritten.write_one(&row_keys, row, &rows, &new, cx)? {
                WriteOutcome::Done => done.push(row as u32),
                WriteOutcome::Missing | WriteOutcome::SelfModified => {}
                WriteOutcome::Changed => return Err(restart()),
            }
        }
        let new = new.gather(&done);
        let (rows, row_keys) = pick(&rows, &row_keys, &done);
        rewritten.write_entries(&row_keys, &rows, &new, cx)?;
        if action == ForeignKeyAction::SetDefault {
            let mut defaults = ReferencingKeys::new(std::slice::from_ref(check), None);
            defaults.check(&new, cx)?;
            defaults.finish(cx)?;
        }
        next.note_update(&rows, &new);
    }
    Ok(next.checks.into_iter().filter(|referenced| !referenced.gone.is_empty()).collect())
}

fn pick(rows: &Batch, keys: &EncodedKeys, picked: &[u32]) -> (Batch, EncodedKeys) {
    let mut out = EncodedKeys::default();
    picked.iter().for_each(|&row| out.push(keys.get(row as usize)));
    (rows.gather(picked), out)
}

/// What [`children`] finds now, though the transaction's snapshot may be older: who referred to a key since then
/// has let its lock go. To change such a row is 40001 there (the write keeps the transaction's snapshot).
fn newest_children(
    check: &ForeignKeyCheck,
    keys: &[Vec<Value>],
    layout: &TableLayout,
    cx: &ExecContext,
) -> Result<(Batch, EncodedKeys)> {
    cx.transaction().with_newest(|| children(check, keys, layout, cx))
}

/// The rows (in table order) that refer to one of `keys`, with their row keys. Through an index on the
/// referencing columns if there is one, otherwise the whole table is read.
fn children(
    check: &ForeignKeyCheck,
    keys: &[Vec<Value>],
    layout: &TableLayout,
    cx: &ExecContext,
) -> Result<(Batch, EncodedKeys)> {
    let table = &check.referencing;
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let reader = RowReader::new(&layout.row, &columns, true);
    let cancel = &cx.environment().cancel;
    let fitted: Vec<Vec<Value>> = keys
        .iter()
        .filter_map(|key| {
            let types = check.key.columns.iter().map(|&column| table.columns[column].data_type);
            key.iter().zip(types).map(|(value, t)| fit(value, t)).collect()
        })
        .collect();
    let batch = match referencing_index(check) {
        Some(index) => {
            let mut sink = reader.sink(usize::MAX, cancel);
            let mut row_keys: Vec<Vec<u8>> = Vec::new();
            let entries = layout.index(index);
            let key_layout = match (entries, &layout.key) {
                (Some(entries), _) => &entries.key,
                (None, Some(cluster)) => &cluster.layout,
                (None, None) => return Err(Error::internal("an index without a tree")),
            };
            for key in &fitted {
                let ordered: Vec<Value> = index
                    .columns
                    .iter()
                    .map_while(|column| {
                        let position = check.key.columns.iter().position(|&c| Some(c) == column.column)?;
                        key.get(position).cloned()
                    })
                    .take(check.key.columns.len())
                    .collect();
                let mut prefix = Vec::new();
                key_layout.encode(&ordered, &mut prefix)?;
                let range = KeyRange::prefix(&prefix);
                match entries {
                    None => {
                        let mut scan = cx.transaction().scan(layout.tree, range, Direction::Forward)?;
                        while scan.fill(&mut sink)? {}
                    }
                    Some(entries) => {
                        let mut scan = cx.transaction().scan(entries.tree, range, Direction::Forward)?;
                        let mut found = RowKeysOf { entries, row_keys: &mut row_keys };
                        while scan.fill(&mut found)? {}
                    }
                }
            }
            if entries.is_some() { fetch_rows(layout, &reader, &row_keys, cx)?.0 } else { sink.finish() }
        }
        None => {
            let wanted: HashSet<&Vec<Value>> = fitted.iter().collect();
            let mut types: Vec<DataType> = layout.row.types().to_vec();
            types.push(DataType::BYTEA);
            let mut found = RowBuffer::new(&types);
            let mut scan = cx.transaction().scan(layout.tree, KeyRange::all(), Direction::Forward)?;
            loop {
                let mut sink = reader.sink(types::BATCH_SIZE, cancel);
                let more = scan.fill(&mut sink)?;
                let batch = sink.finish();
                let rows: Vec<u32> = (0..batch.len() as u32)
                    .filter(|&row| {
                        let key: Vec<Value> =
                            check.key.columns.iter().map(|&c| batch.column(c).value(row as usize)).collect();
                        wanted.contains(&key)
                    })
                    .collect();
                if !rows.is_empty() {
                    found.append_rows(&batch, &rows);
                }
                if !more {
                    break;
                }
            }
            found.finish()
        }
    };
    let len = batch.len();
    let mut columns = batch.into_columns();
    let row_keys = columns.pop().ok_or_else(|| Error::internal("rows without keys"))?;
    let mut keys = EncodedKeys::default();
    for row in 0..len {
        keys.push(key_at(&row_keys, row)?);
    }
    Ok((Batch::new(columns, len), keys))
}

/// An index whose first columns are the referencing ones.
fn referencing_index(check: &ForeignKeyCheck) -> Option<&Arc<IndexDef>> {
    let columns = &check.key.columns;
    check.referencing.indexes.iter().find(|index| {
        index.predicate.is_none()
            && index.columns.len() >= columns.len()
            && index
                .columns
                .iter()
                .take(columns.len())
                .all(|c| c.column.is_some_and(|c| columns.contains(&c)))
    })
}

struct RowKeysOf<'e> {
    entries: &'e crate::table::layout::IndexLayout,
    row_keys: &'e mut Vec<Vec<u8>>,
}

impl RecordSink for RowKeysOf<'_> {
    fn record(&mut self, _key: &[u8], record: &[u8]) -> Result<bool> {
        self.row_keys.push(self.entries.row_key(record)?.to_vec());
        Ok(true)
    }
}
