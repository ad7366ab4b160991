//! `check_table` says what is wrong between a table and its indexes, and nothing when nothing is.

#![allow(clippy::unwrap_used)]

mod support;

use executor::ExecContext;
use executor::table::check::check_table;
use expr::Expr;
use planner::ddl::{CreateIndex, Ddl};
use storage::{Direction, InsertOutcome, KeyRange, RecordSink, TreeId, WriteOutcome};
use support::*;
use types::{DataType, Result, Value};

const INT: DataType = DataType::INT4;

/// A clustered table of 20 rows (i, i / 2) with an index on the second column.
fn database() -> Database {
    let mut db = Database::new();
    let columns = [("a", INT), ("b", INT)];
    db.create_table("t", &columns, &[0]);
    let table = db.table("t");
    let index = new_index("t_b", &columns, &[1], false, false);
    let keys = vec![Expr::input(1, INT)];
    let create = CreateIndex { table, index, keys, predicate: None, concurrently: false };
    db.ddl(Ddl::CreateIndex(Box::new(create))).unwrap();
    let rows: Vec<Vec<Value>> = (0..20).map(|i| vec![Value::Int32(i), Value::Int32(i / 2)]).collect();
    db.insert(&db.table("t"), &rows).unwrap();
    db
}

fn check(db: &Database) -> (u64, Vec<String>) {
    let transaction = db.begin();
    let cx = ExecContext::new(db.environment(&transaction));
    check_table(&db.table("t"), &cx).unwrap()
}

#[derive(Default)]
struct Entries(Vec<(Vec<u8>, Vec<u8>)>);

impl RecordSink for Entries {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push((key.to_vec(), record.to_vec()));
        Ok(true)
    }
}

/// What is stored in a tree.
fn entries(db: &Database, tree: TreeId) -> Vec<(Vec<u8>, Vec<u8>)> {
    let transaction = db.begin();
    transaction.start_statement();
    let mut entries = Entries::default();
    let mut scan = transaction.scan(tree, KeyRange::all(), Direction::Forward).unwrap();
    while scan.fill(&mut entries).unwrap() {}
    entries.0
}

fn trees(db: &Database) -> [TreeId; 2] {
    let table = db.table("t");
    let index = table.indexes.iter().find(|index| !index.is_clustered).unwrap();
    [TreeId(table.tree.0), TreeId(index.tree.0)]
}

#[test]
fn a_sound_table_has_no_problems() {
    assert_eq!(check(&database()), (20, vec![]));
}

#[test]
fn a_missing_entry_is_told_with_its_key() {
    let db = database();
    let [_, index] = trees(&db);
    let (key, _) = entries(&db, index).swap_remove(7);
    db.commit(|tx| assert_eq!(tx.delete(index, &key).unwrap(), WriteOutcome::Done));
    let expected =
        ["index \"t_b\" lacks the entry (b)=(3)", "index \"t_b\" has 19 entries, the rows call for 20"];
    assert_eq!(check(&db), (20, expected.map(String::from).to_vec()));
}

#[test]
fn an_entry_without_a_row_is_told() {
    let db = database();
    let [table, _] = trees(&db);
    let (key, _) = entries(&db, table).swap_remove(4);
    db.commit(|tx| assert_eq!(tx.delete(table, &key).unwrap(), WriteOutcome::Done));
    let expected = [
        "index \"t_b\" has 20 entries, the rows call for 19",
        "index \"t_b\" has an entry (b)=(2) without a row",
    ];
    assert_eq!(check(&db), (19, expected.map(String::from).to_vec()));
}

#[test]
fn an_entry_of_another_row_and_a_misplaced_row_are_told() {
    let db = database();
    let [table, index] = trees(&db);
    let found = entries(&db, index);
    db.commit(|tx| assert_eq!(tx.update(index, &found[0].0, &found[9].1).unwrap(), WriteOutcome::Done));
    let rows = entries(&db, table);
    // Row 3 has the columns of row 2 now, with the same b: its entry still fits.
    db.commit(|tx| assert_eq!(tx.update(table, &rows[3].0, &rows[2].1).unwrap(), WriteOutcome::Done));
    assert_eq!(entries(&db, table).len(), 20);
    let (_, problems) = check(&db);
    let expected =
        ["1 rows are not where their primary key belongs", "index \"t_b\" has another row under (b)=(0)"];
    assert_eq!(problems, expected);
}

#[test]
fn many_of_a_kind_are_counted() {
    let db = database();
    let [_, index] = trees(&db);
    for (key, _) in entries(&db, index) {
        db.commit(|tx| assert_eq!(tx.delete(index, &key).unwrap(), WriteOutcome::Done));
    }
    db.commit(|tx| assert_eq!(tx.insert(index, b"\0stray", b"row").unwrap(), InsertOutcome::Done));
    let (_, problems) = check(&db);
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert_eq!(problems[3], "index \"t_b\" lacks or has otherwise 17 more entries");
    assert_eq!(problems[4], "index \"t_b\" has 1 entries, the rows call for 20");
}
