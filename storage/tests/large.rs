//! Long records: compressed or not, at every edge of the format, changed, undone, recovered and gone again.
//!
//! `LARGE_MB=1024 cargo test --release -p storage --test large` for records up to the limit; 20 without.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use storage::disk::sim::SimDisk;
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, TransactionOptions, TreeId,
    WriteOutcome,
};
use types::Result;

const TREE: TreeId = TreeId(1);
const BLOCK: usize = 128 << 10;

fn options() -> StoreOptions {
    StoreOptions { buffer_size_bytes: 4 << 20, background: false, ..StoreOptions::new("unused") }
}

fn large() -> usize {
    std::env::var("LARGE_MB").map_or(20, |mb| mb.parse().unwrap()) << 20
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 88172645463325252u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn text(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 16);
    for i in 0.. {
        if bytes.len() >= len {
            break;
        }
        bytes.extend_from_slice(format!("row {} ", i * 7 % 9973).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

struct Collect(Vec<(Vec<u8>, Vec<u8>)>, usize);

impl RecordSink for Collect {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push((key.to_vec(), record.to_vec()));
        Ok(!self.0.len().is_multiple_of(self.1))
    }
}

fn read(store: &Arc<Store>, direction: Direction, at_once: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let tx = store.begin(TransactionOptions::default());
    let mut sink = Collect(Vec::new(), at_once);
    let mut scan = tx.scan(TREE, KeyRange::all(), direction).unwrap();
    while scan.fill(&mut sink).unwrap() {}
    sink.0
}

fn expect(store: &Arc<Store>, rows: &[(Vec<u8>, Vec<u8>)]) {
    for at_once in [1, 3, 1000] {
        assert!(read(store, Direction::Forward, at_once) == rows);
    }
    let mut backward = read(store, Direction::Backward, 2);
    backward.reverse();
    assert!(backward == rows);
    let tx = store.begin(TransactionOptions::default());
    for (key, record) in rows {
        assert_eq!(tx.get(TREE, key, |found| found == record.as_slice()).unwrap(), Some(true));
    }
    let keys: Vec<&Vec<u8>> = rows.iter().map(|(key, _)| key).collect();
    let mut seen = 0;
    tx.multi_get(TREE, &keys, |i, record| {
        assert!(record == rows[i].1.as_slice());
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, rows.len());
    let report = store.check().unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}

fn settle(store: &Store) {
    for _ in 0..4 {
        store.upkeep(storage::Upkeep::Sweeper).unwrap();
    }
}

#[test]
fn every_edge_reads_as_it_was_written() {
    let disk = SimDisk::new();
    let store = Store::open_on(Arc::new(disk.clone()), &options()).unwrap();
    let lengths = [
        0,
        1,
        1999,
        2000,
        2001,
        3995,
        3996,
        4000,
        4001,
        4004,
        7996,
        8000,
        8001,
        50_000,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        3 * BLOCK,
        1_000_000,
    ];
    let mut rows = Vec::new();
    for (i, len) in lengths.into_iter().enumerate() {
        for (j, record) in [noise(len), text(len), vec![b'x'; len]].into_iter().enumerate() {
            rows.push((vec![i as u8, j as u8], record));
        }
    }
    let tx = store.begin(TransactionOptions::default());
    for (key, record) in &rows {
        assert_eq!(tx.insert(TREE, key, record).unwrap(), InsertOutcome::Done);
        assert_eq!(tx.insert(TREE, key, record).unwrap(), InsertOutcome::Duplicate);
    }
    tx.commit().unwrap();
    expect(&store, &rows);

    // Each becomes another, and back; an old snapshot sees what was.
    let old = store.begin(TransactionOptions::default());
    assert_eq!(old.get(TREE, &[0, 0], |_| ()).unwrap(), Some(()));
    let mut other = rows.clone();
    for i in 0..rows.len() {
        other[i].1 = rows[(i * 7 + 3) % rows.len()].1.clone();
    }
    let tx = store.begin(TransactionOptions::default());
    let before = tx.savepoint();
    for (key, record) in &other {
        assert_eq!(tx.update(TREE, key, record).unwrap(), WriteOutcome::Done);
    }
    for (key, record) in &rows {
        assert_eq!(old.get(TREE, key, |found| found == record.as_slice()).unwrap(), Some(true));
    }
    tx.rollback_to(before).unwrap();
    tx.start_statement();
    for (key, _) in rows.iter().step_by(2) {
        assert_eq!(tx.delete(TREE, key).unwrap(), WriteOutcome::Done);
    }
    drop(tx);
    drop(old);
    settle(&store);
    expect(&store, &rows);
    let tx = store.begin(TransactionOptions::default());
    for (key, record) in &other {
        assert_eq!(tx.update(TREE, key, record).unwrap(), WriteOutcome::Done);
    }
    tx.commit().unwrap();
    settle(&store);
    expect(&store, &other);

    // Recovery: from the log alone, with another transaction to undo.
    let unfinished = store.begin(TransactionOptions::default());
    for (key, record) in &rows {
        assert_eq!(unfinished.update(TREE, key, record).unwrap(), WriteOutcome::Done);
    }
    disk.cut_after(0);
    let disk = disk.crash(5);
    let store = Store::open_on(Arc::new(disk), &options()).unwrap();
    expect(&store, &other);
    let tx = store.begin(TransactionOptions::default());
    for (key, _) in &other {
        assert_eq!(tx.delete(TREE, key).unwrap(), WriteOutcome::Done);
    }
    tx.commit().unwrap();
    settle(&store);
    expect(&store, &[]);
    assert!(store.tree_pages(TREE) < 10, "{} pages are left", store.tree_pages(TREE));
    store.close().unwrap();
}

#[test]
fn one_large_record_after_another() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { background: true, ..StoreOptions::new(directory.path()) };
    let store = Store::open(StoreOptions { buffer_size_bytes: 16 << 20, ..options }).unwrap();
    let len = large();
    let begin = || store.begin(TransactionOptions::default());
    for (name, record) in [("noise", noise(len)), ("text", text(len)), ("same", vec![b'x'; len])] {
        let started = std::time::Instant::now();
        let tx = begin();
        assert_eq!(tx.insert(TREE, b"large", &record).unwrap(), InsertOutcome::Done);
        tx.commit().unwrap();
        let wrote = started.elapsed();
        let pages = store.tree_pages(TREE);
        let started = std::time::Instant::now();
        let tx = begin();
        assert_eq!(tx.get(TREE, b"large", |found| found == record.as_slice()).unwrap(), Some(true));
        println!("{name}: {len} bytes, {pages} pages, written {wrote:?}, read {:?}", started.elapsed());
        let most = match name {
            "noise" => len / 15_000,
            "text" => len / 30_000,
            _ => len / 2_000_000,
        };
        assert!((pages as usize) < most + 30, "{name} takes {pages} pages");
        drop(tx);
        let tx = begin();
        assert_eq!(tx.update(TREE, b"large", &record[1..]).unwrap(), WriteOutcome::Done);
        drop(tx);
        let tx = begin();
        assert_eq!(tx.get(TREE, b"large", |found| found == record.as_slice()).unwrap(), Some(true));
        assert_eq!(tx.delete(TREE, b"large").unwrap(), WriteOutcome::Done);
        tx.commit().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while store.tree_pages(TREE) > 30 {
            assert!(std::time::Instant::now() < deadline, "{} pages are left", store.tree_pages(TREE));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    let report = store.check().unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    store.close().unwrap();
}

#[test]
fn long_records_are_loaded_in_bulk() {
    let disk = Arc::new(SimDisk::new());
    let store = Store::open_on(disk.clone(), &options()).unwrap();
    let before = store.stats().pages_allocated;
    let records = |i: usize| match i % 5 {
        0 => text(50 + i),
        1 => text(3_000 + i),
        2 => noise(3_500 + i % 100),
        3 => noise(300_000 + i),
        _ => text(200_000 + i),
    };
    let load = |tx: &storage::Transaction| {
        let tree = tx.create_tree().unwrap();
        let mut builder = tx.bulk_build(tree).unwrap();
        for i in 0..60usize {
            assert!(builder.append(&i.to_be_bytes(), &records(i)).unwrap());
            assert!(
                !builder.append(&i.to_be_bytes(), &records(i + 1)).unwrap(),
                "a duplicate leaves nothing"
            );
        }
        assert_eq!(builder.finish().unwrap(), 60);
        tree
    };
    let tx = store.begin(TransactionOptions::default());
    load(&tx);
    tx.rollback().unwrap();
    for _ in 0..5 {
        store.upkeep(storage::Upkeep::Sweeper).unwrap();
    }
    assert_eq!(store.stats().pages_allocated, before, "a load that was rolled back leaves no page");
    let tx = store.begin(TransactionOptions::default());
    let tree = load(&tx);
    tx.commit().unwrap();
    let same = |store: &Arc<Store>| {
        let tx = store.begin(TransactionOptions::default());
        for i in 0..60usize {
            assert_eq!(
                tx.get(tree, &i.to_be_bytes(), |found| found == records(i)).unwrap(),
                Some(true),
                "{i}"
            );
        }
    };
    same(&store);
    drop(store);
    let store = Store::open_on(disk, &options()).unwrap();
    same(&store);
    assert!(store.check().unwrap().problems.is_empty());
}
