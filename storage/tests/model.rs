//! The store against a `BTreeMap`: what is read back is what was written, in every order and size.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use storage::disk::sim::{Rng, SimDisk};
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, Transaction, TransactionOptions,
    TreeId, WriteOutcome,
};
use types::Result;

pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn options() -> StoreOptions {
    StoreOptions {
        buffer_size_bytes: 2 << 20,
        checkpoint_log_bytes: 1 << 20,
        segment_size_bytes: 256 << 10,
        ..StoreOptions::new("unused")
    }
}

#[derive(Default)]
struct Collect {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    at_most: usize,
}

impl RecordSink for Collect {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.records.push((key.to_vec(), record.to_vec()));
        Ok(!self.records.len().is_multiple_of(self.at_most))
    }
}

pub fn read_all(
    tx: &Transaction,
    tree: TreeId,
    range: KeyRange,
    direction: Direction,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut scan = tx.scan(tree, range, direction).unwrap();
    let mut sink = Collect { records: Vec::new(), at_most: 37 };
    while scan.fill(&mut sink).unwrap() {}
    sink.records
}

pub fn begin(store: &Arc<Store>) -> Transaction {
    store.begin(TransactionOptions::default())
}

fn expect_sound(store: &Store) {
    let report = store.check().unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}

fn compare(tx: &Transaction, tree: TreeId, model: &Model, rng: &mut Rng) {
    let all: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(read_all(tx, tree, KeyRange::all(), Direction::Forward), all);
    let mut backward = read_all(tx, tree, KeyRange::all(), Direction::Backward);
    backward.reverse();
    assert_eq!(backward, all);
    for _ in 0..20 {
        let bound = |rng: &mut Rng, key: Vec<u8>| match rng.below(3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(key),
            _ => Bound::Excluded(key),
        };
        let (a, b) = (random_key(rng, 2000), random_key(rng, 2000));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let range = KeyRange::new(bound(rng, low), bound(rng, high));
        if matches!((&range.lower, &range.upper), (Bound::Excluded(a), Bound::Excluded(b)) if a == b) {
            continue;
        }
        let expected: Vec<_> = model
            .range((range.lower.clone(), range.upper.clone()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        assert_eq!(read_all(tx, tree, range.clone(), Direction::Forward), expected, "{range:?}");
        let mut backward = read_all(tx, tree, range.clone(), Direction::Backward);
        backward.reverse();
        assert_eq!(backward, expected, "backward {range:?}");
    }
}

/// Keys of several shapes: short, with long common prefixes, up to the longest.
fn random_key(rng: &mut Rng, space: u64) -> Vec<u8> {
    let n = rng.below(space);
    match n % 7 {
        0 => format!("{n}").into_bytes(),
        1..=4 => format!("a rather long common prefix of many keys {n:06}").into_bytes(),
        5 => [vec![b'k'; (n % 1000) as usize * 3], n.to_be_bytes().to_vec()].concat(),
        _ => n.to_be_bytes().to_vec(),
    }
}

fn random_record(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.below(20) {
        0 => rng.below(4001),
        1 => 4000 + rng.below(20_000),
        2..=5 => 0,
        _ => rng.below(200),
    };
    (0..len).map(|i| (i * 7 + rng.below(3)) as u8).collect()
}

/// One random change to both.
fn change(tx: &Transaction, tree: TreeId, model: &mut Model, rng: &mut Rng, space: u64) {
    let key = random_key(rng, space);
    match rng.below(10) {
        0..=5 => {
            let record = random_record(rng);
            let outcome = tx.insert(tree, &key, &record).unwrap();
            let expected =
                if model.contains_key(&key) { InsertOutcome::Duplicate } else { InsertOutcome::Done };
            assert_eq!(outcome, expected);
            model.entry(key).or_insert(record);
        }
        6..=7 => {
            let record = random_record(rng);
            let outcome = tx.update(tree, &key, &record).unwrap();
            if let Some(known) = model.get_mut(&key) {
                assert_eq!(outcome, WriteOutcome::Done);
                *known = record;
            } else {
                assert_eq!(outcome, WriteOutcome::Missing);
            }
        }
        _ => {
            let outcome = tx.delete(tree, &key).unwrap();
            let expected =
                if model.remove(&key).is_some() { WriteOutcome::Done } else { WriteOutcome::Missing };
            assert_eq!(outcome, expected);
        }
    }
}

#[test]
fn random_changes_match_a_map_across_rollbacks_savepoints_and_reopening() {
    for seed in 0..6 {
        let mut rng = Rng::new(seed);
        let mut disk = SimDisk::new();
        let mut store = Store::open_on(Arc::new(disk.clone()), &options()).unwrap();
        let tx = begin(&store);
        let tree = tx.create_tree().unwrap();
        tx.commit().unwrap();
        let mut model = Model::new();
        for round in 0..30 {
            let tx = begin(&store);
            let mut tentative = model.clone();
            for _ in 0..rng.below(150) {
                tx.start_statement();
                change(&tx, tree, &mut tentative, &mut rng, 2000);
                if rng.below(40) == 0 {
                    let (savepoint, kept) = (tx.savepoint(), tentative.clone());
                    for _ in 0..rng.below(50) {
                        tx.start_statement();
                        change(&tx, tree, &mut tentative, &mut rng, 2000);
                    }
                    if rng.below(2) == 0 {
                        tx.rollback_to(savepoint).unwrap();
                        tentative = kept;
                    }
                }
            }
            tx.start_statement();
            for _ in 0..5 {
                let key = random_key(&mut rng, 2000);
                let found = tx.get(tree, &key, |record| record.to_vec()).unwrap();
                assert_eq!(found.as_ref(), tentative.get(&key));
            }
            if rng.below(4) == 0 {
                tx.rollback().unwrap();
            } else {
                tx.commit().unwrap();
                model = tentative;
            }
            let tx = begin(&store);
            compare(&tx, tree, &model, &mut rng);
            drop(tx);
            if round % 7 == 6 {
                if rng.below(2) == 0 {
                    store.close().unwrap();
                } else {
                    disk = disk.crash(seed * 100 + round);
                }
                drop(store);
                store = Store::open_on(Arc::new(disk.clone()), &options()).unwrap();
                expect_sound(&store);
                assert_eq!(store.tree_records(tree), model.len() as u64, "records are counted");
            }
        }
        expect_sound(&store);
    }
}

#[test]
fn sequential_inserts_fill_pages_and_deleting_all_gives_them_back() {
    let store = Store::open_on(Arc::new(SimDisk::new()), &options()).unwrap();
    let tx = begin(&store);
    let tree = tx.create_tree().unwrap();
    const N: u64 = 20_000;
    for i in 0..N {
        assert_eq!(tx.insert(tree, &i.to_be_bytes(), &[1; 92]).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    let pages = store.tree_pages(tree);
    // 110 bytes a record with its slot: 148 in a full page.
    assert!(pages < N / 140, "{pages} pages");
    let tx = begin(&store);
    for i in 0..N {
        assert_eq!(tx.delete(tree, &i.to_be_bytes()).unwrap(), WriteOutcome::Done);
    }
    tx.commit().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while store.tree_pages(tree) > 20 {
        assert!(std::time::Instant::now() < deadline, "{} pages are left", store.tree_pages(tree));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    expect_sound(&store);
    let tx = begin(&store);
    assert!(read_all(&tx, tree, KeyRange::all(), Direction::Forward).is_empty());
    for i in (0..N).step_by(3) {
        assert_eq!(tx.insert(tree, &i.to_be_bytes(), b"again").unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    expect_sound(&store);
}

#[test]
fn four_times_the_buffer_works_and_bulk_build_makes_the_same_tree() {
    let store = Store::open_on(Arc::new(SimDisk::new()), &options()).unwrap();
    let tx = begin(&store);
    let (tree, bulk) = (tx.create_tree().unwrap(), tx.create_tree().unwrap());
    let mut rng = Rng::new(1);
    let mut model = Model::new();
    // About 8 MiB in a buffer of 2.
    while model.len() < 20_000 {
        let key = rng.below(1 << 40).to_be_bytes().to_vec();
        let record = vec![rng.below(256) as u8; 400];
        if model.insert(key.clone(), record.clone()).is_none() {
            assert_eq!(tx.insert(tree, &key, &record).unwrap(), InsertOutcome::Done);
        }
    }
    let mut builder = tx.bulk_build(bulk).unwrap();
    for (key, record) in &model {
        assert!(builder.append(key, record).unwrap());
        assert!(!builder.append(key, record).unwrap(), "a duplicate is told");
    }
    assert_eq!(builder.finish().unwrap(), model.len() as u64);
    tx.commit().unwrap();
    let tx = begin(&store);
    compare(&tx, tree, &model, &mut rng);
    compare(&tx, bulk, &model, &mut rng);
    assert!(store.tree_pages(bulk) < store.tree_pages(tree));
    let parts = tx.split_points(bulk, &KeyRange::all(), 8).unwrap();
    assert_eq!(parts.len(), 7);
    assert!(parts.is_sorted());
    let mut lower = Bound::Unbounded;
    let mut pieces = Vec::new();
    for cut in parts.iter().map(Some).chain([None]) {
        let upper = cut.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let piece = read_all(&tx, bulk, KeyRange::new(lower, upper), Direction::Forward);
        assert!(piece.len() < model.len() / 3, "parts are of about equal size");
        pieces.extend(piece);
        lower = cut.map_or(Bound::Unbounded, |key| Bound::Included(key.clone()));
    }
    assert_eq!(pieces.len(), model.len());
    let keys: Vec<&Vec<u8>> = model.keys().step_by(10).collect();
    let mut seen = 0;
    tx.multi_get(bulk, &keys, |i, record| {
        assert_eq!(record, model[keys[i]]);
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, keys.len());
    drop(tx);
    expect_sound(&store);
    store.close().unwrap();
}

#[test]
fn long_records_and_limits() {
    let store = Store::open_on(Arc::new(SimDisk::new()), &options()).unwrap();
    let tx = begin(&store);
    let tree = TreeId(7);
    assert_eq!(tx.get(tree, b"x", |_| ()).unwrap(), None);
    let long: Vec<u8> = (0..3_000_000u32).map(|i| (i / 3) as u8).collect();
    assert_eq!(tx.insert(tree, b"long", &long).unwrap(), InsertOutcome::Done);
    assert_eq!(tx.insert(tree, b"long", &long).unwrap(), InsertOutcome::Duplicate);
    tx.start_statement();
    assert_eq!(tx.get(tree, b"long", |r| r == long.as_slice()).unwrap(), Some(true));
    tx.commit().unwrap();
    let old = begin(&store);
    old.start_statement();
    let tx = begin(&store);
    assert_eq!(tx.update(tree, b"long", b"short").unwrap(), WriteOutcome::Done);
    tx.commit().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(old.get(tree, b"long", |r| r == long.as_slice()).unwrap(), Some(true));
    drop(old);
    let tx = begin(&store);
    let error = tx.insert(tree, &[0; 3901], b"").unwrap_err();
    assert_eq!(
        (error.code().as_str(), error.message()),
        ("54000", "index row size 3901 exceeds maximum 3900")
    );
    assert_eq!(tx.insert(tree, b"big", &vec![0; (1 << 30) + 1]).unwrap_err().code().as_str(), "54000");
    assert_eq!(tx.get(tree, b"long", |r| r.len()).unwrap(), Some(5));
    drop(tx);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while store.tree_pages(tree) > 20 {
        assert!(std::time::Instant::now() < deadline, "{} pages are left", store.tree_pages(tree));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    expect_sound(&store);
}

#[test]
fn dropped_and_rolled_back_trees_leave_no_page() {
    let disk = SimDisk::new();
    let store = Store::open_on(Arc::new(disk.clone()), &options()).unwrap();
    let fill = |tx: &Transaction, tree| {
        for i in 0..3000u64 {
            assert_eq!(tx.insert(tree, &i.to_be_bytes(), &[5; 300]).unwrap(), InsertOutcome::Done);
        }
        assert_eq!(tx.insert(tree, b"long", &[9; 50_000]).unwrap(), InsertOutcome::Done);
    };
    let before = store.stats().pages_allocated;
    let wait_until_freed = || {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while store.stats().pages_allocated > before {
            assert!(std::time::Instant::now() < deadline, "the tree is not freed");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    let tx = begin(&store);
    let tree = tx.create_tree().unwrap();
    fill(&tx, tree);
    // A long one: left behind.
    tx.rollback().unwrap();
    wait_until_freed();
    let tx = begin(&store);
    let point = tx.savepoint();
    let tree = tx.create_tree().unwrap();
    fill(&tx, tree);
    tx.rollback_to(point).unwrap();
    assert_eq!(store.stats().pages_allocated, before);
    tx.commit().unwrap();
    let tx = begin(&store);
    let tree = tx.create_tree().unwrap();
    fill(&tx, tree);
    tx.commit().unwrap();
    let old = begin(&store);
    old.start_statement();
    let tx = begin(&store);
    tx.drop_tree(tree).unwrap();
    assert_eq!(tx.drop_tree(tree).unwrap_err().code().as_str(), "42P01");
    tx.commit().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(read_all(&old, tree, KeyRange::all(), Direction::Forward).len(), 3001);
    drop(old);
    wait_until_freed();
    expect_sound(&store);
    // A crash with the creator still running, and one just after a drop.
    let tx = begin(&store);
    let tree = tx.create_tree().unwrap();
    fill(&tx, tree);
    store.checkpoint().unwrap();
    let crashed = disk.crash(3);
    let store = Store::open_on(Arc::new(crashed.clone()), &options()).unwrap();
    assert_eq!(store.stats().pages_allocated, before);
    expect_sound(&store);
    std::mem::forget(tx);
}

/// Keys share a long prefix, until one comes that does not: the leaf counted on the prefix.
#[test]
fn bulk_build_copes_with_prefixes_that_end() {
    let store = Store::open_on(Arc::new(SimDisk::new()), &options()).unwrap();
    let tx = begin(&store);
    let tree = tx.create_tree().unwrap();
    let mut keys = Vec::new();
    for group in 0..40u32 {
        for n in 0..=group * 37 {
            let mut key = vec![group as u8; 60];
            key.extend_from_slice(&n.to_be_bytes());
            keys.push(key);
        }
    }
    let mut builder = tx.bulk_build(tree).unwrap();
    for key in &keys {
        assert!(builder.append(key, b"record").unwrap());
    }
    assert_eq!(builder.finish().unwrap(), keys.len() as u64);
    tx.start_statement();
    let found: Vec<Vec<u8>> =
        read_all(&tx, tree, KeyRange::all(), Direction::Forward).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, keys);
    tx.commit().unwrap();
    expect_sound(&store);
}

#[test]
fn a_transaction_larger_than_memory_is_seen_around_and_undone() {
    let store = Store::open_on(Arc::new(SimDisk::new()), &options()).unwrap();
    let tree = TreeId(5);
    const N: u64 = 20_000;
    let record = |i: u64, version: u64| vec![(i * 31 + version * 7) as u8; 2000 + (i + version) as usize % 9];
    let tx = begin(&store);
    for i in 0..N {
        assert_eq!(tx.insert(tree, &i.to_be_bytes(), &record(i, 0)).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    let old = begin(&store);
    old.start_statement();
    let expect = |tx: &Transaction, version| {
        let all = read_all(tx, tree, KeyRange::all(), Direction::Forward);
        assert_eq!(all.len() as u64, N);
        assert!(all.iter().enumerate().all(|(i, (_, bytes))| *bytes == record(i as u64, version)));
    };
    for commit in [false, true] {
        let tx = begin(&store);
        for i in 0..N {
            assert_eq!(tx.update(tree, &i.to_be_bytes(), &record(i, 1)).unwrap(), WriteOutcome::Done);
        }
        tx.start_statement();
        expect(&tx, 1);
        expect(&old, 0);
        if commit {
            tx.commit().unwrap();
        } else {
            tx.rollback().unwrap();
            expect(&begin(&store), 0);
        }
        // Checkpoints recycle the log, but not what an old version still lies in.
        store.checkpoint().unwrap();
        store.checkpoint().unwrap();
        expect(&old, 0);
    }
    let tx = begin(&store);
    for i in 0..N {
        assert_eq!(tx.delete(tree, &i.to_be_bytes()).unwrap(), WriteOutcome::Done);
        if i % 3 == 0 {
            tx.start_statement();
            assert_eq!(tx.insert(tree, &i.to_be_bytes(), b"new").unwrap(), InsertOutcome::Done);
        }
    }
    expect(&old, 0);
    tx.rollback().unwrap();
    expect(&begin(&store), 1);
    expect(&old, 0);
    expect_sound(&store);
}
