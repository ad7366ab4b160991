//! Building indexes over rows that exist, and writing a table anew.
//!
//! Both read the table once, sort the entries (on disk when there are many) and fill new trees page by page.

use std::sync::Arc;

use catalog::{IndexDef, TableDef};
use expr::Expr;
use storage::{Direction, KeyRange, TreeId};
use types::{Batch, Error, Result, SqlState, Value, Vector};

use crate::context::ExecContext;
use crate::ddl::Work;
use crate::dml::update::key_at;
use crate::entry_sorter::EntrySorter;
use crate::ops::hash_join::inputs_read;
use crate::table::keys::EncodedKeys;
use crate::table::layout::{IndexLayout, TableLayout};
use crate::table::row::{index_exprs, key_text, located};
use crate::table::scan::RowReader;

/// What a build may hold in memory, at least (PostgreSQL's maintenance_work_mem).
const BUILD_MEMORY_BYTES: usize = 64 << 20;

/// Reads all of a table in batches: the rows in table order, and their keys.
pub(crate) fn each_batch(
    layout: &TableLayout,
    cx: &ExecContext,
    f: impl FnMut(&Batch, &EncodedKeys) -> Result<()>,
) -> Result<()> {
    each_batch_of(layout, |_| true, cx, f)
}

/// As `each_batch`; columns that are not `needed` may be all NULL.
fn each_batch_of(
    layout: &TableLayout,
    needed: impl Fn(usize) -> bool,
    cx: &ExecContext,
    mut f: impl FnMut(&Batch, &EncodedKeys) -> Result<()>,
) -> Result<()> {
    let columns: Vec<usize> = (0..layout.row.len()).filter(|column| needed(*column)).collect();
    let reader = RowReader::new(&layout.row, &columns, true);
    let mut scan = cx.transaction().scan(layout.tree, KeyRange::all(), Direction::Forward)?;
    loop {
        cx.check_interrupt()?;
        let mut sink = reader.sink(types::BATCH_SIZE, &cx.environment().cancel);
        let more = scan.fill(&mut sink)?;
        let batch = sink.finish();
        if !batch.is_empty() {
            let len = batch.len();
            let mut columns = batch.into_columns();
            let row_keys = columns.pop().ok_or_else(|| Error::internal("rows without keys"))?;
            let mut keys = EncodedKeys::default();
            for row in 0..len {
                keys.push(key_at(&row_keys, row)?);
            }
            let mut read = columns.into_iter();
            let whole = layout.table.columns.iter().enumerate().map(|(column, def)| match needed(column) {
                true => read.next().ok_or_else(|| Error::internal("a column was not read")),
                false => Ok(Arc::new(Vector::nulls(def.data_type.physical, len))),
            });
            let whole = whole.collect::<Result<Vec<_>>>()?;
            f(&Batch::new(whole, len), &keys)?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// An index being built.
struct IndexBuild {
    layout: IndexLayout,
    keys: Vec<Expr>,
    predicate: Option<Expr>,
    sorter: EntrySorter,
}

impl IndexBuild {
    fn new(
        table: &TableDef,
        index: &Arc<IndexDef>,
        keys: Vec<Expr>,
        predicate: Option<Expr>,
        cx: &ExecContext,
    ) -> IndexBuild {
        let types: Vec<_> = table.columns.iter().map(|column| column.data_type).collect();
        let budget = cx.environment().work_mem_bytes.max(BUILD_MEMORY_BYTES);
        IndexBuild {
            layout: IndexLayout::new(index, &types),
            keys,
            predicate,
            sorter: EntrySorter::new(budget),
        }
    }

    fn take(&mut self, rows: &Batch, row_keys: &EncodedKeys, cx: &ExecContext) -> Result<()> {
        let selected = match &self.predicate {
            Some(predicate) => cx.filter(std::slice::from_ref(predicate), rows)?,
            None => None,
        };
        let columns = cx.eval_all(&self.keys, rows)?;
        let vectors: Vec<_> = columns.iter().map(|column| &**column).collect();
        let (mut key, mut record) = (Vec::new(), Vec::new());
        let mut take = |row: usize| -> Result<()> {
            key.clear();
            record.clear();
            self.layout.key.encode_vectors(&vectors, row, &mut key)?;
            let has_null = vectors.iter().any(|vector| vector.is_null(row));
            if !self.layout.is_unique(has_null) {
                key.extend_from_slice(row_keys.get(row));
            }
            let include: Vec<Value> =
                self.layout.index.include.iter().map(|&column| rows.column(column).value(row)).collect();
            self.layout.encode_record(row_keys.get(row), &include, &mut record)?;
            self.sorter.push(&key, &record, cx)
        };
        match selected {
            Some(rows) => rows.into_iter().try_for_each(|row| take(row as usize)),
            None => (0..rows.len()).try_for_each(take),
        }
    }

    /// Fills the index's tree. 23505 when rows share a unique key.
    fn finish(self, table: &TableDef, cx: &ExecContext) -> Result<()> {
        let IndexBuild { layout, sorter, .. } = self;
        let mut builder = cx.transaction().bulk_build(layout.tree)?;
        sorter.finish(cx, |key, record| {
            if builder.append(key, record)? {
                return Ok(());
            }
            let index = &layout.index;
            let message = format!("could not create unique index \"{}\"", index.name);
            let error = located(Error::new(SqlState::UNIQUE_VIOLATION, message), table, cx);
            let values = layout.key.decode(key)?;
            Err(error
                .with_detail(format!("Key {} is duplicated.", key_text(table, index, &values, cx)))
                .with_constraint(index.name.clone()))
        })?;
        builder.finish().map(|_| ())
    }
}

impl Work<'_> {
    /// Fills the (empty) tree of `index` from the rows of `table`.
    pub(crate) fn build_index(
        &mut self,
        table: &Arc<TableDef>,
        index: &Arc<IndexDef>,
        keys: &[Expr],
        predicate: Option<&Expr>,
    ) -> Result<()> {
        let layout = TableLayout::new(table);
        let mut build = IndexBuild::new(table, index, keys.to_vec(), predicate.cloned(), self.cx);
        let mut needed = inputs_read(keys, layout.row.len());
        let filtered = inputs_read(predicate.map(std::slice::from_ref).unwrap_or_default(), layout.row.len());
        needed.iter_mut().zip(filtered).for_each(|(needed, filtered)| *needed |= filtered);
        index.include.iter().for_each(|&column| needed[column] = true);
        each_batch_of(
            &layout,
            |column| needed[column],
            self.cx,
            |rows, row_keys| build.take(rows, row_keys, self.cx),
        )?;
        build.finish(table, self.cx)
    }

    /// Writes `old`'s rows anew as `new` wants them, into new trees, with all indexes; drops the old trees.
    /// `new`'s trees are filled in; the caller puts it into the catalog. `change` makes new rows of old.
    ///
    /// 23505 when rows share a primary key or unique key.
    pub(crate) fn rewrite_table(
        &mut self,
        old: &Arc<TableDef>,
        new: &mut TableDef,
        mut change: impl FnMut(&Batch) -> Result<Batch>,
    ) -> Result<()> {
        let cx = self.cx;
        let old_layout = TableLayout::new(old);
        let keeps_keys = old.clustered_by == new.clustered_by && {
            let types = |table: &TableDef| -> Vec<_> {
                let columns = table.clustered_by.iter().flatten();
                columns.map(|&column| table.columns[column].data_type.physical).collect()
            };
            types(old) == types(new) && new.clustered_by.is_none()
        };
        new.tree = self.new_table_tree()?;
        for index in &mut new.indexes {
            let tree = if index.is_clustered { new.tree } else { self.new_tree()? };
            Arc::make_mut(index).tree = tree;
        }
        let shared = Arc::new(new.clone());
        let layout = TableLayout::new(&shared);
        let mut builds = Vec::new();
        for index in new.indexes.iter().filter(|index| !index.is_clustered) {
            let (keys, predicate) = index_exprs(index, new, cx)?;
            builds.push(IndexBuild::new(new, index, keys, predicate, cx));
        }
        let budget = cx.environment().work_mem_bytes.max(BUILD_MEMORY_BYTES);
        let mut sorter = EntrySorter::new(budget);
        let mut next_id = 1u64;
        let mut record = Vec::new();
        each_batch(&old_layout, cx, |rows, old_keys| {
            let rows = change(rows)?;
            let mut keys = EncodedKeys::default();
            match &layout.key {
                Some(key) => {
                    let columns: Vec<_> = key.columns.iter().map(|&c| rows.column(c).clone()).collect();
                    keys.append(&key.layout, &columns, rows.len())?;
                }
                None if keeps_keys => (0..rows.len()).for_each(|row| keys.push(old_keys.get(row))),
                None => {
                    for _ in 0..rows.len() {
                        keys.push(&next_id.to_be_bytes());
                        next_id += 1;
                    }
                }
            }
            for row in 0..rows.len() {
                record.clear();
                layout.row.encode_batch_row(&rows, row, &mut record)?;
                sorter.push(keys.get(row), &record, cx)?;
            }
            builds.iter_mut().try_for_each(|build| build.take(&rows, &keys, cx))
        })?;
        let mut builder = cx.transaction().bulk_build(TreeId(new.tree.0))?;
        let mut last = 0u64;
        sorter.finish(cx, |key, record| {
            if let Ok(id) = <[u8; 8]>::try_from(key) {
                last = u64::from_be_bytes(id);
            }
            if builder.append(key, record)? {
                return Ok(());
            }
            let index = new.indexes.iter().find(|index| index.is_clustered);
            let name = index.map_or("", |index| index.name.as_str());
            let message = format!("could not create unique index \"{name}\"");
            let mut error = located(Error::new(SqlState::UNIQUE_VIOLATION, message), new, cx);
            if let (Some(index), Some(key_layout)) = (index, &layout.key) {
                let values = key_layout.layout.decode(key)?;
                let text = key_text(new, index, &values, cx);
                error = error.with_detail(format!("Key {text} is duplicated."));
            }
            Err(error.with_constraint(name))
        })?;
        builder.finish()?;
        if layout.key.is_none() {
            cx.tables().take_row_ids(TreeId(new.tree.0), last)?;
        }
        for build in builds {
            build.finish(new, cx)?;
        }
        self.drop_trees(old)
    }

    /// Gives up the clustering of a table whose primary key goes: rows get hidden ids.
    pub(crate) fn uncluster(&mut self, table: &Arc<TableDef>) -> Result<()> {
        let mut new = table.as_ref().clone();
        new.indexes.retain(|index| !index.is_clustered);
        new.clustered_by = None;
        self.rewrite_table(table, &mut new, |rows| Ok(rows.clone()))?;
        self.put(catalog::Object::Table(Arc::new(new)));
        Ok(())
    }
}
