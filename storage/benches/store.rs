//! The store's hot paths: cached point get, insert, update, scan. `cargo bench -p storage`.
//!
//! Figures are per record. Data fits in the buffer; files lie in a temporary directory.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use storage::disk::sim::Rng;
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, Transaction, TreeId, WriteOutcome,
};
use types::Result;

const RECORDS: u64 = 200_000;
const RECORD: [u8; 100] = [7; 100];

fn open() -> (tempfile::TempDir, Arc<Store>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(StoreOptions::new(directory.path().join("data"))).expect("a new store");
    (directory, store)
}

fn begin(store: &Arc<Store>) -> Transaction {
    let tx = store.begin(Default::default());
    tx.start_statement();
    tx
}

fn fill(store: &Arc<Store>, tree: TreeId, keys: impl Iterator<Item = u64>) {
    let tx = begin(store);
    for key in keys {
        let outcome = tx.insert(tree, &key.to_be_bytes(), &RECORD).expect("an insert");
        assert_eq!(outcome, InsertOutcome::Done);
    }
    tx.commit().expect("a commit");
}

/// A permutation of 0..2^k: every key once, in no order.
fn scattered(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

struct Sum(u64);

impl RecordSink for Sum {
    const NEEDS_KEY: bool = false;

    fn record(&mut self, _key: &[u8], record: &[u8]) -> Result<bool> {
        self.0 = self.0.wrapping_add(u64::from(record[50]));
        Ok(true)
    }
}

fn reads(c: &mut Criterion) {
    let (_directory, store) = open();
    let tree = TreeId(1);
    fill(&store, tree, 0..RECORDS);
    while store.stats().versioned_pages > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let tx = begin(&store);
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(1));
    let mut rng = Rng::new(1);
    group.bench_function("get", |b| {
        b.iter(|| {
            let key = rng.below(RECORDS).to_be_bytes();
            tx.get(tree, &key, |record| black_box(record[50])).expect("a get").expect("the record")
        });
    });
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("scan", |b| {
        b.iter(|| {
            let mut sum = Sum(0);
            let mut scan = tx.scan(tree, KeyRange::all(), Direction::Forward).expect("a scan");
            scan.fill(&mut sum).expect("records");
            black_box(sum.0)
        });
    });
    group.finish();
}

fn writes(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(1));
    let (_directory, store) = open();
    let mut tree = 0;
    let mut timed = |n: u64, key: &dyn Fn(u64) -> u64| {
        tree += 1;
        let tx = begin(&store);
        let started = Instant::now();
        for i in 0..n {
            let outcome = tx.insert(TreeId(tree), &key(i).to_be_bytes(), &RECORD).expect("an insert");
            assert_eq!(outcome, InsertOutcome::Done);
        }
        tx.commit().expect("a commit");
        started.elapsed()
    };
    group.bench_function("insert sequential", |b| b.iter_custom(|n| timed(n, &|i| i)));
    group.bench_function("insert random", |b| b.iter_custom(|n| timed(n, &scattered)));
    fill(&store, TreeId(99), 0..RECORDS);
    let mut rng = Rng::new(2);
    group.bench_function("update", |b| {
        b.iter_custom(|n| {
            let tx = begin(&store);
            let started = Instant::now();
            for i in 0..n {
                let mut record = RECORD;
                record[20..28].copy_from_slice(&i.to_le_bytes());
                tx.start_statement();
                let key = rng.below(RECORDS).to_be_bytes();
                assert_eq!(tx.update(TreeId(99), &key, &record).expect("an update"), WriteOutcome::Done);
            }
            tx.commit().expect("a commit");
            started.elapsed()
        });
    });
    let mut i = 1 << 40;
    group.bench_function("commit", |b| {
        b.iter(|| {
            i += 1;
            fill(&store, TreeId(98), i..i + 1);
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    targets = reads, writes
}
criterion_main!(benches);
