//! Rows of a table as COPY text, a chunk at a time.
//!
//! Called by `load.rs` on a thread of its own. The rows are dbgen's, byte for byte (crate `tpchgen`), so
//! answers may be compared with anyone's. Memory is one chunk, whatever the scale, besides the 300 MB pool
//! of words that dbgen's comments are cut from.

use std::fmt::Display;
use std::io::Write as _;
use std::ops::ControlFlow;

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen::text::TextPool;

use crate::schema::Table;

/// A chunk is sent once it holds at least this many bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Some whole rows in COPY's text format.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    pub rows: u64,
}

/// Makes the pool of words, about a second's work, so that no table's load time contains it.
pub fn prepare() {
    TextPool::get_or_init_default();
}

/// Makes every row of `table` at `scale` and hands them to `emit` in key order, until it breaks.
pub fn generate(table: Table, scale: f64, emit: &mut dyn FnMut(Chunk) -> ControlFlow<()>) {
    match table {
        Table::Region => chunks(RegionGenerator::new(scale, 1, 1).iter(), emit),
        Table::Nation => chunks(NationGenerator::new(scale, 1, 1).iter(), emit),
        Table::Supplier => chunks(SupplierGenerator::new(scale, 1, 1).iter(), emit),
        Table::Customer => chunks(CustomerGenerator::new(scale, 1, 1).iter(), emit),
        Table::Part => chunks(PartGenerator::new(scale, 1, 1).iter(), emit),
        Table::PartSupp => chunks(PartSuppGenerator::new(scale, 1, 1).iter(), emit),
        Table::Orders => chunks(OrderGenerator::new(scale, 1, 1).iter(), emit),
        Table::LineItem => chunks(LineItemGenerator::new(scale, 1, 1).iter(), emit),
    }
}

fn chunks<R: Display>(rows: impl Iterator<Item = R>, emit: &mut dyn FnMut(Chunk) -> ControlFlow<()>) {
    let mut chunk = Chunk { bytes: Vec::with_capacity(CHUNK_BYTES + 1024), rows: 0 };
    for row in rows {
        push_row(&mut chunk.bytes, &row);
        chunk.rows += 1;
        if chunk.bytes.len() >= CHUNK_BYTES {
            let full = Chunk { bytes: Vec::with_capacity(CHUNK_BYTES + 1024), rows: 0 };
            if emit(std::mem::replace(&mut chunk, full)).is_break() {
                return;
            }
        }
    }
    if chunk.rows > 0 {
        let _ = emit(chunk);
    }
}

/// Appends dbgen's `a|b|c|` as COPY's `a<tab>b<tab>c<newline>`. No TPC-H value holds a bar, a tab or a
/// backslash, so nothing needs escaping.
fn push_row(bytes: &mut Vec<u8>, row: &dyn Display) {
    let start = bytes.len();
    write!(bytes, "{row}").expect("writing to a Vec does not fail");
    for byte in &mut bytes[start..] {
        debug_assert!(!matches!(*byte, b'\t' | b'\\' | b'\n'), "a TPC-H value would need escaping");
        if *byte == b'|' {
            *byte = b'\t';
        }
    }
    match bytes.last_mut() {
        Some(last) if *last == b'\t' => *last = b'\n',
        _ => bytes.push(b'\n'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(table: Table) -> String {
        let mut line = String::new();
        generate(table, 0.01, &mut |chunk| {
            line = String::from_utf8(chunk.bytes).unwrap().lines().next().unwrap().to_owned();
            ControlFlow::Break(())
        });
        line
    }

    #[test]
    fn rows_are_dbgens_as_copy_text() {
        assert_eq!(
            first_line(Table::Region),
            "0\tAFRICA\tlar deposits. blithely final packages cajole. regular waters are final requests. regular accounts are according to "
        );
        assert_eq!(
            first_line(Table::LineItem),
            "1\t1552\t93\t1\t17\t24710.35\t0.04\t0.02\tN\tO\t1996-03-13\t1996-02-12\t1996-03-22\t\
             DELIVER IN PERSON\tTRUCK\tegular courts above the"
        );
    }

    #[test]
    fn every_table_has_its_rows_and_columns() {
        for table in Table::ALL {
            let columns = table.create().matches(" not null").count()
                + table.create().lines().filter(|l| l.contains("varchar(152)")).count();
            let mut rows = 0;
            generate(table, 0.01, &mut |chunk| {
                let text = String::from_utf8(chunk.bytes).unwrap();
                assert_eq!(text.lines().count() as u64, chunk.rows);
                assert!(text.ends_with('\n'));
                for line in text.lines() {
                    assert_eq!(line.split('\t').count(), columns, "{table:?}: {line}");
                }
                rows += chunk.rows;
                ControlFlow::Continue(())
            });
            if table == Table::LineItem {
                assert_eq!(rows, 60_175);
            } else {
                assert_eq!(rows, table.expected_rows(0.01), "{table:?}");
            }
        }
    }
}
