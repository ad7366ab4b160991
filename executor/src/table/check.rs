//! Compares each index with its table, both ways, by what an insert would have written.
//!
//! Called by `cairn check`. Reads the table once and looks every entry up that its rows call for; keys are
//! unique in a tree, so an index with all of them and no more of its own than that is exactly right. Only when
//! the numbers differ are the entries themselves followed to their rows. Reports; repairs nothing.

use std::sync::Arc;

use ::catalog::TableDef;
use storage::{Direction, KeyRange, RecordSink, TreeId};
use types::{Batch, Result};

use crate::context::ExecContext;
use crate::ddl::rebuild::each_batch;
use crate::table::keys::EncodedKeys;
use crate::table::layout::{IndexLayout, TableLayout};
use crate::table::row::{RowWriter, key_text};

/// What is wrong of one kind is told so many times, then counted.
const TOLD: u64 = 3;

/// The table's rows, and a line for each problem. An error when something cannot be read (XX001).
pub fn check_table(table: &Arc<TableDef>, cx: &ExecContext) -> Result<(u64, Vec<String>)> {
    let writer = RowWriter::for_table(table, cx)?;
    let layout = &writer.layout;
    let mut problems = Vec::new();
    let mut rows_seen = 0;
    let mut misplaced = 0u64;
    let mut states: Vec<IndexState> = layout.indexes.iter().map(|_| IndexState::default()).collect();
    each_batch(layout, cx, |rows, keys| {
        rows_seen += rows.len() as u64;
        misplaced += misplaced_rows(&writer, rows, keys, cx)?;
        writer.each_index_entries(rows, keys, cx, |position, entry_keys, records| {
            look_up(layout, &layout.indexes[position], entry_keys, records, &mut states[position], cx)
        })
    })?;
    if misplaced > 0 {
        problems.push(format!("{misplaced} rows are not where their primary key belongs"));
    }
    for (index, state) in layout.indexes.iter().zip(states) {
        let name = &index.index.name;
        let IndexState { called_for, missing, other, told } = state;
        problems.extend(told);
        let untold = (missing + other).saturating_sub(TOLD);
        if untold > 0 {
            problems.push(format!("index \"{name}\" lacks or has otherwise {untold} more entries"));
        }
        let entries = count(index.tree, cx)?;
        if entries != called_for {
            problems.push(format!("index \"{name}\" has {entries} entries, the rows call for {called_for}"));
        }
        if entries + missing > called_for {
            problems.extend(strays(layout, index, cx)?);
        }
    }
    Ok((rows_seen, problems))
}

#[derive(Default)]
struct IndexState {
    called_for: u64,
    missing: u64,
    /// There, and pointing to another row or with other columns beside the key.
    other: u64,
    told: Vec<String>,
}

fn look_up(
    table: &TableLayout,
    index: &IndexLayout,
    keys: &EncodedKeys,
    records: &EncodedKeys,
    state: &mut IndexState,
    cx: &ExecContext,
) -> Result<()> {
    state.called_for += keys.len() as u64;
    let order = keys.sorted();
    let sorted: Vec<&[u8]> = order.iter().map(|&entry| keys.get(entry as usize)).collect();
    let mut found = vec![None; sorted.len()];
    cx.transaction().multi_get(index.tree, &sorted, |position, record| {
        found[position] = Some(record == records.get(order[position] as usize));
        Ok(())
    })?;
    for (key, found) in sorted.iter().zip(found) {
        let what = match found {
            Some(true) => continue,
            Some(false) => {
                state.other += 1;
                "has another row under"
            }
            None => {
                state.missing += 1;
                "lacks the entry"
            }
        };
        if state.missing + state.other <= TOLD {
            let (name, key) = (&index.index.name, entry_text(table, index, key, cx));
            state.told.push(format!("index \"{name}\" {what} {key}"));
        }
    }
    Ok(())
}

fn entry_text(table: &TableLayout, index: &IndexLayout, key: &[u8], cx: &ExecContext) -> String {
    // The row's own key may follow the columns.
    let columns = index.key.prefix_len(key, index.key.len()).map(|len| &key[..len]);
    match columns.and_then(|columns| index.key.decode(columns)) {
        Ok(values) => key_text(&table.table, &index.index, &values, cx),
        Err(_) => "with a malformed key".to_string(),
    }
}

/// Rows of a clustered table whose key is not that of their columns.
fn misplaced_rows(writer: &RowWriter, rows: &Batch, keys: &EncodedKeys, cx: &ExecContext) -> Result<u64> {
    if writer.layout.key.is_none() {
        return Ok(0);
    }
    let expected = writer.row_keys(rows, cx)?;
    Ok((0..rows.len()).filter(|&row| expected.get(row) != keys.get(row)).count() as u64)
}

fn count(tree: TreeId, cx: &ExecContext) -> Result<u64> {
    struct Counter(u64);
    impl RecordSink for Counter {
        fn record(&mut self, _: &[u8], _: &[u8]) -> Result<bool> {
            self.0 += 1;
            Ok(true)
        }
    }
    let mut counter = Counter(0);
    let mut scan = cx.transaction().scan(tree, KeyRange::all(), Direction::Forward)?;
    while scan.fill(&mut counter)? {}
    Ok(counter.0)
}

/// Entries whose row is not there.
fn strays(table: &TableLayout, index: &IndexLayout, cx: &ExecContext) -> Result<Vec<String>> {
    struct Entries<'i>(Vec<(Vec<u8>, Vec<u8>)>, &'i IndexLayout);
    impl RecordSink for Entries<'_> {
        fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
            self.0.push((self.1.row_key(record)?.to_vec(), key.to_vec()));
            Ok(self.0.len() < types::BATCH_SIZE)
        }
    }
    let mut problems = Vec::new();
    let mut scan = cx.transaction().scan(index.tree, KeyRange::all(), Direction::Forward)?;
    loop {
        let mut entries = Entries(Vec::new(), index);
        let more = scan.fill(&mut entries)?;
        let mut entries = entries.0;
        entries.sort_unstable();
        let keys: Vec<&[u8]> = entries.iter().map(|(row_key, _)| row_key.as_slice()).collect();
        let mut there = vec![false; keys.len()];
        cx.transaction().multi_get(table.tree, &keys, |position, _| {
            there[position] = true;
            Ok(())
        })?;
        for ((_, key), there) in entries.iter().zip(there) {
            if !there && (problems.len() as u64) < TOLD {
                let text = entry_text(table, index, key, cx);
                problems.push(format!("index \"{}\" has an entry {text} without a row", index.index.name));
            }
        }
        if !more {
            return Ok(problems);
        }
    }
}
