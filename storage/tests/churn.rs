//! A snapshot that stays open costs its own history: what others overwrite or delete meanwhile is let go.
//!
//! `CHURN=10000000 cargo test --release -p storage --test churn` for more updates.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::disk::sim::Rng;
use storage::{
    Direction, InsertOutcome, IsolationLevel, KeyRange, RecordSink, Store, StoreOptions, Transaction,
    TransactionOptions, TreeId, WriteOutcome,
};
use types::Result;

const TREE: TreeId = TreeId(1);

fn begin(store: &Arc<Store>) -> Transaction {
    let options = TransactionOptions { isolation: IsolationLevel::RepeatableRead, ..Default::default() };
    let tx = store.begin(options);
    tx.start_statement();
    tx
}

/// Resident memory of this process in bytes.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[derive(Default)]
struct All(Vec<(Vec<u8>, Vec<u8>)>);

impl RecordSink for All {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push((key.to_vec(), record.to_vec()));
        Ok(true)
    }
}

fn all(tx: &Transaction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut sink = All::default();
    tx.scan(TREE, KeyRange::all(), Direction::Forward).unwrap().fill(&mut sink).unwrap();
    sink.0
}

/// A record of 40 to 200 bytes that differs from others in all of them.
fn record(rng: &mut Rng) -> Vec<u8> {
    let seed = rng.below(256) as u8;
    (0..40 + rng.below(160)).map(|i| seed.wrapping_add((i as u8).wrapping_mul(7))).collect()
}

#[test]
fn updates_beside_an_old_snapshot_keep_only_what_it_sees() {
    let updates: u64 = std::env::var("CHURN").map_or(200_000, |text| text.parse().unwrap());
    let records = (updates / 200).clamp(500, 10_000);
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        buffer_size_bytes: 32 << 20,
        checkpoint_log_bytes: 16 << 20,
        segment_size_bytes: 1 << 20,
        ..StoreOptions::new(directory.path().join("data"))
    };
    let store = Store::open(options).unwrap();
    let mut rng = Rng::new(11);
    let tx = begin(&store);
    for key in 0..records {
        assert_eq!(tx.insert(TREE, &key.to_be_bytes(), &record(&mut rng)).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    let old = begin(&store);
    let first = all(&old);
    let (mut middle, mut seen) = (None, Vec::new());
    let (pages, before) = (store.stats().pages_allocated, memory());
    let mut done = 0;
    while done < updates {
        if done >= updates / 2 && middle.is_none() {
            let tx = begin(&store);
            seen = all(&tx);
            middle = Some(tx);
        }
        let tx = begin(&store);
        for _ in 0..1000 {
            let key = rng.below(records).to_be_bytes();
            tx.start_statement();
            assert_eq!(tx.update(TREE, &key, &record(&mut rng)).unwrap(), WriteOutcome::Done);
        }
        tx.commit().unwrap();
        done += 1000;
    }
    let grown = memory().saturating_sub(before);
    // Everything ever overwritten would be about 200 bytes an update.
    let most = (24 << 20) + records * 8 * 400;
    assert!(grown < most, "{grown} bytes more after {updates} updates of {records} records");
    let stats = store.stats();
    assert!(stats.pages_allocated <= 2 * pages + 16, "{pages} pages became {}", stats.pages_allocated);
    assert!(all(&old) == first, "the old snapshot sees something else than at first");
    assert!(all(middle.as_ref().unwrap()) == seen, "a later snapshot sees something else than at first");
    let newest = all(&begin(&store));
    assert!(newest.len() == first.len() && newest != seen);
    drop((old, middle));
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    store.close().unwrap();
}

#[test]
fn a_queue_beside_an_old_snapshot_stays_small() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path().join("data"))).unwrap();
    let tx = begin(&store);
    for key in 0..10u64 {
        assert_eq!(tx.insert(TREE, &key.to_be_bytes(), &[1; 100]).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    let old = begin(&store);
    let first = all(&old);
    let batch = 2_000u64;
    for round in 1..=10u64 {
        let tx = begin(&store);
        for key in round * batch..(round + 1) * batch {
            assert_eq!(tx.insert(TREE, &key.to_be_bytes(), &[2; 100]).unwrap(), InsertOutcome::Done);
        }
        tx.commit().unwrap();
        let tx = begin(&store);
        for key in round * batch..(round + 1) * batch {
            assert_eq!(tx.delete(TREE, &key.to_be_bytes()).unwrap(), WriteOutcome::Done);
        }
        tx.commit().unwrap();
    }
    // The sweeper comes by in its own time.
    let started = Instant::now();
    while store.tree_pages(TREE) > 8 && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(store.tree_pages(TREE) <= 8, "{} pages for 10 records", store.tree_pages(TREE));
    assert!(all(&old) == first);
    drop(old);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    store.close().unwrap();
}
