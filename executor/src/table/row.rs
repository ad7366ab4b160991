//! A row with all its index entries.
//!
//! DML, COPY and DDL hand over whole batches in table order (one column per `TableDef::columns`). Entries
//! are made for the batch at once and written in key order, so that neighbouring entries share pages.
//! Holds after each call: every row written has exactly its entries.

use std::sync::Arc;

use ::catalog::{IndexDef, TableDef};
use expr::Expr;
use planner::physical::plan::IndexMaintenance;
use storage::{InsertOutcome, LockOutcome, RowLock, Transaction, TreeId, WriteOutcome};
use types::{Batch, Error, Result, SqlState, Value, Vector};

use crate::context::ExecContext;
use crate::table::keys::EncodedKeys;
use crate::table::layout::{IndexLayout, TableLayout};

/// Writes rows of one table.
pub struct RowWriter {
    pub layout: Arc<TableLayout>,
    indexes: Vec<IndexWriter>,
}

struct IndexWriter {
    layout: Arc<IndexLayout>,
    /// Over the row: `Expr::Input(i)` is the table's column `i`.
    keys: Vec<Expr>,
    predicate: Option<Expr>,
    /// Columns that an entry depends on.
    reads: Vec<bool>,
}

/// One index's entries of a batch.
struct Entries {
    keys: EncodedKeys,
    /// The batch row of each entry.
    rows: Vec<u32>,
    records: EncodedKeys,
}

/// Batches up to this size are written in the order they came, so that the first duplicate is the one
/// PostgreSQL would report.
const KEEP_ORDER: usize = 16;

impl RowWriter {
    pub fn new(
        table: &Arc<TableDef>,
        maintenance: &[IndexMaintenance],
        cx: &ExecContext,
    ) -> Result<RowWriter> {
        let layout = cx.tables().layout(table);
        let mut indexes = Vec::with_capacity(layout.indexes.len());
        for index in &layout.indexes {
            let maintenance =
                maintenance.iter().find(|maintenance| maintenance.index.id == index.index.id).ok_or_else(
                    || Error::internal(format!("the plan leaves out index \"{}\"", index.index.name)),
                )?;
            indexes.push(IndexWriter::new(
                index,
                maintenance.keys.clone(),
                maintenance.predicate.clone(),
                table,
            ));
        }
        Ok(RowWriter { layout, indexes })
    }

    /// For a table that no plan describes (cascades, CREATE TABLE AS).
    pub fn for_table(table: &Arc<TableDef>, cx: &ExecContext) -> Result<RowWriter> {
        let layout = cx.tables().layout(table);
        let mut indexes = Vec::with_capacity(layout.indexes.len());
        for index in &layout.indexes {
            let (keys, predicate) = index_exprs(&index.index, table, cx)?;
            indexes.push(IndexWriter::new(index, keys, predicate, table));
        }
        Ok(RowWriter { layout, indexes })
    }

    pub fn table(&self) -> &Arc<TableDef> {
        &self.layout.table
    }

    /// The tree keys of new rows: of the clustering columns, or fresh row ids.
    pub fn row_keys(&self, rows: &Batch, cx: &ExecContext) -> Result<EncodedKeys> {
        let mut keys = EncodedKeys::default();
        match &self.layout.key {
            Some(key) => {
                let columns: Vec<Arc<Vector>> =
                    key.columns.iter().map(|&column| rows.column(column).clone()).collect();
                keys.append(&key.layout, &columns, rows.len())?;
            }
            None => {
                let first = cx.tables().take_row_ids(self.layout.tree, rows.len() as u64)?;
                (0..rows.len() as u64).for_each(|row| keys.push(&(first + row).to_be_bytes()));
            }
        }
        Ok(keys)
    }

    /// Inserts rows. 23505 on a duplicate.
    pub fn insert(&self, rows: &Batch, cx: &ExecContext) -> Result<()> {
        let keys = self.row_keys(rows, cx)?;
        self.insert_records(rows, &keys, cx)?;
        self.add_entries(rows, &keys, cx)
    }

    /// Inserts the rows' records alone.
    fn insert_records(&self, rows: &Batch, keys: &EncodedKeys, cx: &ExecContext) -> Result<()> {
        let transaction = cx.transaction();
        let mut record = Vec::with_capacity(128);
        for row in write_order(keys, self.layout.key.is_some()) {
            let row = row as usize;
            record.clear();
            self.layout.row.encode_batch_row(rows, row, &mut record)?;
            if transaction.insert(self.layout.tree, keys.get(row), &record)? == InsertOutcome::Duplicate {
                return Err(self.duplicate_row(rows, row, cx));
            }
        }
        Ok(())
    }

    /// Inserts one row unless it would be a duplicate in its table or a unique index; then says in which
    /// index (`None`: the clustering one) and leaves nothing behind.
    pub fn try_insert(&self, rows: &Batch, cx: &ExecContext) -> Result<Result<(), ConflictOf>> {
        let transaction = cx.transaction();
        let savepoint = transaction.savepoint();
        let keys = self.row_keys(rows, cx)?;
        let mut record = Vec::new();
        self.layout.row.encode_batch_row(rows, 0, &mut record)?;
        if transaction.insert(self.layout.tree, keys.get(0), &record)? == InsertOutcome::Duplicate {
            return Ok(Err(ConflictOf { index: None, key: keys.get(0).to_vec() }));
        }
        for index in &self.indexes {
            let entries = index.entries(&self.layout, rows, &keys, cx)?;
            if entries.rows.is_empty() {
                continue;
            }
            let (key, record) = (entries.keys.get(0), entries.records.get(0));
            if transaction.insert(index.layout.tree, key, record)? == InsertOutcome::Duplicate {
                transaction.undo_to(savepoint)?;
                return Ok(Err(ConflictOf { index: Some(index.layout.clone()), key: key.to_vec() }));
            }
        }
        Ok(Ok(()))
    }

    /// Adds the entries of rows. 23505 on a duplicate.
    pub fn add_entries(&self, rows: &Batch, row_keys: &EncodedKeys, cx: &ExecContext) -> Result<()> {
        for index in &self.indexes {
            let entries = index.entries(&self.layout, rows, row_keys, cx)?;
            for position in write_order(&entries.keys, true) {
                self.add_entry(index, &entries, position as usize, rows, cx)?;
            }
        }
        Ok(())
    }

    fn add_entry(
        &self,
        index: &IndexWriter,
        entries: &Entries,
        position: usize,
        rows: &Batch,
        cx: &ExecContext,
    ) -> Result<()> {
        let (key, record) = (entries.keys.get(position), entries.records.get(position));
        if cx.transaction().insert(index.layout.tree, key, record)? == InsertOutcome::Duplicate {
            return Err(index.duplicate(self.table(), rows, entries.rows[position] as usize, cx));
        }
        Ok(())
    }

    /// The entries that rows call for: `each` gets an index's position in the layout, and its keys and records.
    pub fn each_index_entries(
        &self,
        rows: &Batch,
        row_keys: &EncodedKeys,
        cx: &ExecContext,
        mut each: impl FnMut(usize, &EncodedKeys, &EncodedKeys) -> Result<()>,
    ) -> Result<()> {
        for (position, index) in self.indexes.iter().enumerate() {
            let entries = index.entries(&self.layout, rows, row_keys, cx)?;
            each(position, &entries.keys, &entries.records)?;
        }
        Ok(())
    }

    /// Takes the entries of rows away.
    pub fn remove_entries(&self, rows: &Batch, row_keys: &EncodedKeys, cx: &ExecContext) -> Result<()> {
        for index in &self.indexes {
            let entries = index.entries(&self.layout, rows, row_keys, cx)?;
            for position in write_order(&entries.keys, true) {
                index.remove(entries.keys.get(position as usize), cx)?;
            }
        }
        Ok(())
    }

    /// Makes the entries of `old` rows those of `new` rows. `changed[c]` says that column `c` may differ;
    /// `moved`, that row keys may.
    pub fn change_entries(
        &self,
        (old, old_keys): (&Batch, &EncodedKeys),
        (new, new_keys): (&Batch, &EncodedKeys),
        changed: &[bool],
        moved: bool,
        cx: &ExecContext,
    ) -> Result<()> {
        for index in &self.indexes {
            if !moved && !index.reads.iter().zip(changed).any(|(reads, changed)| *reads && *changed) {
                continue;
            }
            let before = index.entries(&self.layout, old, old_keys, cx)?;
            let after = index.entries(&self.layout, new, new_keys, cx)?;
            let mut kept = vec![false; new.len()];
            let mut after_of = vec![None; new.len()];
            after.rows.iter().enumerate().for_each(|(i, &row)| after_of[row as usize] = Some(i));
            let mut updated = Vec::new();
            for (position, &row) in before.rows.iter().enumerate() {
                match after_of[row as usize] {
                    Some(next) if after.keys.get(next) == before.keys.get(position) => {
                        kept[row as usize] = true;
                        if after.records.get(next) != before.records.get(position) {
                            updated.push(next);
                        }
                    }
                    _ => index.remove(before.keys.get(position), cx)?,
                }
            }
            for position in updated {
                index.rewrite(after.keys.get(position), after.records.get(position), cx)?;
            }
            for position in write_order(&after.keys, true) {
                if !kept[after.rows[position as usize] as usize] {
                    self.add_entry(index, &after, position as usize, new, cx)?;
                }
            }
        }
        Ok(())
    }

    /// 23505 for row `row` of `rows`, whose key the table holds already.
    pub fn duplicate_row(&self, rows: &Batch, row: usize, cx: &ExecContext) -> Error {
        let table = self.table();
        let (Some(key), Some(index)) =
            (&self.layout.key, table.indexes.iter().find(|index| index.is_clustered))
        else {
            return Error::internal(format!("row id given out twice in table \"{}\"", table.name));
        };
        let values: Vec<Value> = key.columns.iter().map(|&column| rows.column(column).value(row)).collect();
        duplicate_key(table, index, &values, cx)
    }
}

/// Where a row met one that is there already.
pub struct ConflictOf {
    /// `None`: the table's own key.
    pub index: Option<Arc<IndexLayout>>,
    pub key: Vec<u8>,
}

impl IndexWriter {
    fn new(
        layout: &Arc<IndexLayout>,
        keys: Vec<Expr>,
        predicate: Option<Expr>,
        table: &TableDef,
    ) -> IndexWriter {
        let mut reads = vec![false; table.columns.len()];
        for expr in keys.iter().chain(&predicate) {
            expr::walk::visit(expr, &mut |expr| {
                if let Expr::Input { position, .. } = expr
                    && let Some(read) = reads.get_mut(*position)
                {
                    *read = true;
                }
            });
        }
        for &column in &layout.index.include {
            if let Some(read) = reads.get_mut(column) {
                *read = true;
            }
        }
        IndexWriter { layout: layout.clone(), keys, predicate, reads }
    }

    /// The entries of `rows`; a partial index has fewer.
    fn entries(
        &self,
        table: &TableLayout,
        rows: &Batch,
        row_keys: &EncodedKeys,
        cx: &ExecContext,
    ) -> Result<Entries> {
        let selected = match &self.predicate {
            Some(predicate) => cx.filter(std::slice::from_ref(predicate), rows)?,
            None => None,
        };
        let picked: Vec<u32> = selected.unwrap_or_else(|| (0..rows.len() as u32).collect());
        let columns = cx.eval_all(&self.keys, rows)?;
        let vectors: Vec<&Vector> = columns.iter().map(|column| &**column).collect();
        let may_be_null = vectors.iter().any(|vector| vector.has_nulls());
        let mut entries =
            Entries { keys: EncodedKeys::default(), rows: picked, records: EncodedKeys::default() };
        let (mut key, mut record) = (Vec::new(), Vec::new());
        for &row in &entries.rows {
            let row = row as usize;
            let row_key = row_keys.get(row);
            key.clear();
            self.layout.key.encode_vectors(&vectors, row, &mut key)?;
            let has_null = may_be_null && vectors.iter().any(|vector| vector.is_null(row));
            if !self.layout.is_unique(has_null) {
                key.extend_from_slice(row_key);
            }
            entries.keys.push(&key);
            if self.layout.include.is_none() {
                entries.records.push(row_key);
                continue;
            }
            let include: Vec<Value> =
                self.layout.index.include.iter().map(|&column| rows.column(column).value(row)).collect();
            record.clear();
            self.layout.encode_record(row_key, &include, &mut record)?;
            entries.records.push(&record);
        }
        let _ = table;
        Ok(entries)
    }

    fn remove(&self, key: &[u8], cx: &ExecContext) -> Result<()> {
        let transaction = cx.transaction();
        match settle(transaction, self.layout.tree, key, || transaction.delete(self.layout.tree, key))? {
            WriteOutcome::Done => Ok(()),
            outcome => Err(self.corrupted(outcome)),
        }
    }

    fn rewrite(&self, key: &[u8], record: &[u8], cx: &ExecContext) -> Result<()> {
        let transaction = cx.transaction();
        match settle(transaction, self.layout.tree, key, || {
            transaction.update(self.layout.tree, key, record)
        })? {
            WriteOutcome::Done => Ok(()),
            outcome => Err(self.corrupted(outcome)),
        }
    }

    fn corrupted(&self, outcome: WriteOutcome) -> Error {
        let name = &self.layout.index.name;
        Error::new(
            SqlState::INDEX_CORRUPTED,
            format!("index \"{name}\" does not agree with its table ({outcome:?})"),
        )
        .with_hint("Please REINDEX it.")
    }

    fn duplicate(&self, table: &TableDef, rows: &Batch, row: usize, cx: &ExecContext) -> Error {
        let one = rows.gather(&[row as u32]);
        match cx.eval_all(&self.keys, &one) {
            Ok(columns) => {
                let values: Vec<Value> = columns.iter().map(|column| column.value(0)).collect();
                duplicate_key(table, &self.layout.index, &values, cx)
            }
            Err(error) => error,
        }
    }
}

/// Writes again after a lock where another transaction's later version stood in the way: the caller holds
/// the row that the entry belongs to, so nobody else changes it now.
fn settle(
    transaction: &Transaction,
    tree: TreeId,
    key: &[u8],
    write: impl Fn() -> Result<WriteOutcome>,
) -> Result<WriteOutcome> {
    let outcome = write()?;
    if outcome != WriteOutcome::Changed {
        return Ok(outcome);
    }
    match transaction.lock(tree, key, RowLock::Update, true, |_| ())? {
        LockOutcome::Locked | LockOutcome::LockedNewer => write(),
        LockOutcome::Missing | LockOutcome::WouldBlock => Ok(WriteOutcome::Missing),
    }
}

/// Row numbers in the order to write them.
fn write_order(keys: &EncodedKeys, sort: bool) -> Vec<u32> {
    if sort && keys.len() > KEEP_ORDER && !(1..keys.len()).all(|row| keys.get(row - 1) <= keys.get(row)) {
        keys.sorted()
    } else {
        (0..keys.len() as u32).collect()
    }
}

/// The key expressions and the condition of an index, over the table's row.
pub fn index_exprs(
    index: &IndexDef,
    table: &TableDef,
    cx: &ExecContext,
) -> Result<(Vec<Expr>, Option<Expr>)> {
    let plain: Option<Vec<Expr>> = index
        .columns
        .iter()
        .map(|column| column.column.map(|position| Expr::input(position, column.data_type)))
        .collect();
    match (plain, &index.predicate) {
        (Some(keys), None) => Ok((keys, None)),
        _ => cx.with_planning(|planning| planner::bind_index(table, index, planning)),
    }
}

/// 23505, as PostgreSQL words it.
pub fn duplicate_key(table: &TableDef, index: &IndexDef, values: &[Value], cx: &ExecContext) -> Error {
    let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
    located(Error::new(SqlState::UNIQUE_VIOLATION, message), table, cx)
        .with_detail(format!("Key {} already exists.", key_text(table, index, values, cx)))
        .with_constraint(index.name.clone())
}

/// `(a, b)=(1, x)`
pub fn key_text(table: &TableDef, index: &IndexDef, values: &[Value], cx: &ExecContext) -> String {
    let names: Vec<&str> = index
        .columns
        .iter()
        .map(|column| match (column.column, &column.expression) {
            (Some(position), _) => table.columns.get(position).map_or("?", |column| column.name.as_str()),
            (None, Some(expression)) => expression.as_str(),
            (None, None) => "?",
        })
        .collect();
    let values: Vec<String> = index
        .columns
        .iter()
        .zip(values)
        .map(|(column, value)| value_text(value, column.data_type, cx))
        .collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

/// A value as messages show it; `null` for NULL.
pub fn value_text(value: &Value, data_type: types::DataType, cx: &ExecContext) -> String {
    if value.is_null() {
        return "null".to_string();
    }
    types::text::to_text(value, data_type, &cx.environment().text)
}

/// `error` with the table's schema and name.
pub fn located(error: Error, table: &TableDef, cx: &ExecContext) -> Error {
    let schema = cx.catalog().schema(table.schema).map_or_else(String::new, |schema| schema.name.clone());
    error.with_schema(schema).with_table(table.name.clone())
}
