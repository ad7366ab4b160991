//! How fast the log is replayed after a crash, and that it brings back what was committed.
//!
//! `CAIRN_RECOVERY_MB=1024 cargo test --release -p storage --test recovery -- --nocapture` measures with so much
//! log; without it a few megabytes only show that it works. Small records are changed at random in a tree larger
//! than the smaller of the two buffers, one transaction stays unfinished, and no checkpoint cuts the log short.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use storage::disk::sim::Rng;
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, TransactionOptions, TreeId, Upkeep,
    WriteOutcome,
};
use types::Result;

const TREE: TreeId = TreeId(1);
const RECORD_BYTES: usize = 100;

/// A sum over all records that any change of any record changes.
#[derive(Default)]
struct Sum(u64, u64);

impl RecordSink for Sum {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0 += 1;
        let words = key.chunks(8).chain(record.chunks(8));
        let word = |bytes: &[u8]| bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        self.1 = words.fold(self.1, |sum, bytes| sum.wrapping_mul(0x100_0000_01b3) ^ word(bytes));
        Ok(true)
    }
}

fn sum(store: &Arc<Store>) -> (u64, u64) {
    let tx = store.begin(TransactionOptions::default());
    tx.start_statement();
    let mut sum = Sum::default();
    let mut scan = tx.scan(TREE, KeyRange::all(), Direction::Forward).unwrap();
    while scan.fill(&mut sum).unwrap() {}
    (sum.0, sum.1)
}

fn recovers(log_bytes: u64, records: u64, buffer_size_bytes: usize) {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        buffer_size_bytes,
        checkpoint_log_bytes: u64::MAX,
        // So that nothing moves while the directory is copied.
        background: false,
        ..StoreOptions::new(directory.path().join("data"))
    };
    let store = Store::open(options.clone()).unwrap();
    let mut rng = Rng::new(7);
    let mut key = 0;
    while key < records {
        let tx = store.begin(TransactionOptions::default());
        tx.start_statement();
        for _ in 0..1000 {
            let record = [key as u8; RECORD_BYTES];
            assert_eq!(tx.insert(TREE, &key.to_be_bytes(), &record).unwrap(), InsertOutcome::Done);
            key += 1;
        }
        tx.commit().unwrap();
    }
    store.checkpoint().unwrap();
    let from = store.stats().log_end;
    while store.stats().log_end - from < log_bytes {
        let tx = store.begin(TransactionOptions::default());
        for _ in 0..1000 {
            tx.start_statement();
            let key = rng.below(records).to_be_bytes();
            let mut record = [rng.random() as u8; RECORD_BYTES];
            record[0] = rng.random() as u8;
            assert_eq!(tx.update(TREE, &key, &record).unwrap(), WriteOutcome::Done);
        }
        tx.commit().unwrap();
        store.upkeep(Upkeep::Sweeper).unwrap();
    }
    let committed = sum(&store);
    let unfinished = store.begin(TransactionOptions::default());
    for key in 0..1000u64 {
        unfinished.start_statement();
        let _ = unfinished.update(TREE, &key.to_be_bytes(), &[1; RECORD_BYTES]).unwrap();
    }
    let log_mb = (store.stats().log_end - from) as f64 / 1e6;
    // Neither rolled back nor closed; the copy is what a crash would leave.
    std::mem::forget(unfinished);
    let copy = directory.path().join("copy");
    copy_directory(&options.directory, &copy);
    let started = Instant::now();
    let store = Store::open(StoreOptions { directory: copy, ..options }).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "recovery: {log_mb:.0} MB of log over {records} records, buffer {} MB: {seconds:.2} s, {:.0} MB/s",
        buffer_size_bytes >> 20,
        log_mb / seconds
    );
    assert_eq!(sum(&store), committed);
    store.close().unwrap();
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn the_log_is_replayed() {
    let megabytes = std::env::var("CAIRN_RECOVERY_MB").ok().and_then(|text| text.parse().ok());
    let records = if megabytes.is_some() { 1_000_000 } else { 20_000 };
    let log_bytes = megabytes.unwrap_or(4) * 1_000_000;
    recovers(log_bytes, records, 512 << 20);
    recovers(log_bytes, records, if megabytes.is_some() { 64 << 20 } else { 2 << 20 });
}
