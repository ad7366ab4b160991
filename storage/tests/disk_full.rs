//! A disk without room: writes are refused with 53100, nothing is lost, and writing goes on by itself later.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::disk::sim::{Rng, SimDisk};
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, Transaction, TransactionOptions,
    TreeId, WriteOutcome,
};
use types::Result;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const TABLE: TreeId = TreeId(1);

fn options() -> StoreOptions {
    StoreOptions {
        buffer_size_bytes: 1 << 20,
        checkpoint_log_bytes: 200 << 10,
        segment_size_bytes: 64 << 10,
        ..StoreOptions::new("unused")
    }
}

fn open(disk: &SimDisk) -> Arc<Store> {
    Store::open_on(Arc::new(disk.clone()), &options()).unwrap()
}

fn begin(store: &Arc<Store>) -> Transaction {
    store.begin(TransactionOptions::default())
}

struct Collect(Model);

impl RecordSink for Collect {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.insert(key.to_vec(), record.to_vec());
        Ok(true)
    }
}

fn contents(tx: &Transaction) -> Model {
    tx.start_statement();
    let mut sink = Collect(Model::new());
    tx.scan(TABLE, KeyRange::all(), Direction::Forward).unwrap().fill(&mut sink).unwrap();
    sink.0
}

/// One random change to both; an error leaves the model as it was.
fn change(tx: &Transaction, model: &mut Model, rng: &mut Rng) -> Result<()> {
    tx.start_statement();
    let key = rng.below(3000).to_be_bytes().to_vec();
    let len = if rng.below(50) == 0 { 9000 } else { rng.below(600) };
    let record: Vec<u8> = (0..len).map(|_| rng.random() as u8).collect();
    let known = model.contains_key(&key);
    if !known {
        assert_eq!(tx.insert(TABLE, &key, &record)?, InsertOutcome::Done);
        model.insert(key, record);
    } else if rng.below(3) == 0 {
        assert_eq!(tx.delete(TABLE, &key)?, WriteOutcome::Done);
        model.remove(&key);
    } else {
        assert_eq!(tx.update(TABLE, &key, &record)?, WriteOutcome::Done);
        model.insert(key, record);
    }
    Ok(())
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs transactions until one is refused; returns how many were committed before.
fn run_until_full(store: &Arc<Store>, committed: &mut Model, rng: &mut Rng, seed: u64) -> usize {
    for done in 0.. {
        assert!(done < 3000, "seed {seed}: the disk never fills up");
        let tx = begin(store);
        let mut tentative = committed.clone();
        let mut refused = None;
        let mut savepoint = None;
        let most = if rng.below(8) == 0 { 300 } else { 8 };
        for step in 0..1 + rng.below(most) {
            if step % 4 == 1 {
                savepoint = Some((tx.savepoint(), tentative.clone()));
            }
            if let Err(error) = change(&tx, &mut tentative, rng) {
                refused = Some(error);
                break;
            }
        }
        let Some(error) = refused else {
            if rng.below(6) == 0 {
                tx.rollback().unwrap();
            } else if let Err(error) = tx.commit() {
                panic!("seed {seed}: a commit needs no room that was not kept for it: {error:?}");
            } else {
                *committed = tentative;
            }
            continue;
        };
        assert_eq!(error.code().as_str(), "53100", "seed {seed}: {error:?}");
        assert!(error.message().starts_with("could not extend file"), "{error:?}");
        assert!(error.message().ends_with("No space left on device"), "{error:?}");
        assert_eq!(error.hint(), Some("Check free disk space."));
        // What has been done so far can be undone in part, and then kept.
        match savepoint {
            Some((point, then)) if rng.below(2) == 0 => {
                tx.rollback_to(point).unwrap();
                assert!(contents(&tx) == then, "seed {seed}: after rolling back to a savepoint");
                tx.commit().unwrap();
                *committed = then;
            }
            _ => tx.rollback().unwrap(),
        }
        assert_eq!(store.stats().writing_transactions, 0, "seed {seed}: the rollback had its room");
        return done;
    }
    unreachable!("the loop returns")
}

fn sound(store: &Arc<Store>, seed: u64) {
    let report = store.check().unwrap();
    assert!(report.problems.is_empty(), "seed {seed}: {:#?}", report.problems);
}

#[test]
fn a_disk_that_fills_up_refuses_and_goes_on_when_there_is_room() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    for seed in 0..seeds {
        let mut rng = Rng::new(seed);
        let mut disk = SimDisk::new();
        let mut store = open(&disk);
        let mut committed = Model::new();
        let mut tx = begin(&store);
        for _ in 0..rng.below(400) {
            change(&tx, &mut committed, &mut rng).unwrap();
        }
        tx.commit().unwrap();
        for round in 0..4 {
            disk.limit(Some(disk.used() + rng.below(300 << 10)), false);
            run_until_full(&store, &mut committed, &mut rng, seed);
            // Readers go on, from pages that have to be read as well.
            tx = begin(&store);
            assert!(contents(&tx) == committed, "seed {seed}, round {round}: while the disk is full");
            drop(tx);
            sound(&store, seed);
            match rng.below(3) {
                // The power goes while the disk is full, and it still is when the store is opened again.
                0 => {
                    disk = disk.crash(rng.random());
                    disk.limit(Some(disk.used()), false);
                    store = open(&disk);
                    tx = begin(&store);
                    assert!(contents(&tx) == committed, "seed {seed}, round {round}: after a crash");
                    drop(tx);
                    disk.limit(None, false);
                }
                1 => {
                    store.close().unwrap();
                    store = open(&disk);
                    disk.limit(None, false);
                }
                _ => disk.limit(None, false),
            }
            // There is room again: no restart is needed.
            let mut tentative = committed.clone();
            tx = begin(&store);
            for _ in 0..30 {
                change(&tx, &mut tentative, &mut rng).unwrap();
            }
            tx.commit().unwrap();
            committed = tentative;
        }
        store.close().unwrap();
        let store = open(&disk);
        assert!(contents(&begin(&store)) == committed, "seed {seed}: in the end");
        sound(&store, seed);
    }
}

#[test]
fn rollbacks_of_several_open_transactions_find_their_room() {
    let disk = SimDisk::new();
    let store = open(&disk);
    let tx = begin(&store);
    for i in 0..4000u64 {
        assert_eq!(tx.insert(TABLE, &i.to_be_bytes(), &[1; 300]).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    disk.limit(Some(disk.used() + (1 << 20)), false);
    let open_transactions: Vec<Transaction> = (0..4).map(|_| begin(&store)).collect();
    let mut refused = [false; 4];
    for i in 0..1000u64 {
        for (part, tx) in open_transactions.iter().enumerate() {
            if refused[part] {
                continue;
            }
            let key = (part as u64 * 1000 + i).to_be_bytes();
            // Shorter records: to put the old ones back, pages that others have filled must be split.
            match tx.update(TABLE, &key, &[part as u8; 10]) {
                Ok(outcome) => assert_eq!(outcome, WriteOutcome::Done),
                Err(error) => {
                    assert_eq!(error.code().as_str(), "53100");
                    refused[part] = true;
                }
            }
            let fresh = [&key[..], b"+"].concat();
            if !refused[part] && tx.insert(TABLE, &fresh, &[part as u8; 280]).is_err() {
                refused[part] = true;
            }
        }
    }
    assert!(refused.contains(&true), "the disk does not fill up");
    disk.limit(Some(disk.used()), false);
    for tx in open_transactions {
        tx.rollback().unwrap();
    }
    // Long ones are left behind.
    let started = Instant::now();
    while store.stats().writing_transactions > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "a rollback does not find its room");
        std::thread::sleep(Duration::from_millis(5));
    }
    let all = contents(&begin(&store));
    assert!(all.len() == 4000 && all.values().all(|record| *record == [1; 300]));
    sound(&store, 0);
}

#[test]
fn a_disk_that_copies_on_write_makes_writers_wait_and_loses_nothing() {
    for seed in 0..6 {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new();
        let store = open(&disk);
        let mut committed = Model::new();
        let tx = begin(&store);
        for _ in 0..300 {
            change(&tx, &mut committed, &mut rng).unwrap();
        }
        tx.commit().unwrap();
        disk.limit(Some(disk.used()), true);
        // A commit that is under way waits for room; meanwhile others are refused.
        let tx = begin(&store);
        tx.start_statement();
        let result = tx.insert(TABLE, b"waits", b"1");
        let waiting = result.is_ok().then(|| std::thread::spawn(move || tx.commit()));
        if waiting.is_some() {
            committed.insert(b"waits".to_vec(), b"1".to_vec());
        }
        let mut attempt = 0u64;
        eventually("a write is refused", || {
            // Another key each time: a rollback may have to wait as well, with its rows locked.
            attempt += 1;
            let tx = begin(&store);
            let key = [b"refused".as_slice(), &attempt.to_be_bytes()].concat();
            let refused = tx.insert(TABLE, &key, b"1").is_err_and(|e| e.code().as_str() == "53100");
            let undone = tx.rollback().is_ok();
            refused && undone
        });
        disk.limit(None, false);
        if let Some(waiting) = waiting {
            waiting.join().unwrap().unwrap();
        }
        eventually("writing resumes", || {
            let tx = begin(&store);
            tx.insert(TABLE, b"resumed", b"1").is_ok() && tx.commit().is_ok()
        });
        committed.insert(b"resumed".to_vec(), b"1".to_vec());
        eventually("nothing is left to undo", || store.stats().writing_transactions == 0);
        assert!(contents(&begin(&store)) == committed, "seed {seed}");
        sound(&store, seed);
        drop(store);
        let store = open(&disk.crash(seed));
        assert!(contents(&begin(&store)) == committed, "seed {seed}: after a crash");
        sound(&store, seed);
    }
}

/// A tree that is made on demand, for long records here, is made in steps, and the disk may be full after any of
/// them, several times. The tries leave nothing behind that the next one or the next open cannot take.
#[test]
fn a_tree_that_could_not_be_made_can_be_made_later() {
    let long = vec![7; 9000];
    let mut refused = 0;
    for size in 0..60 {
        let disk = SimDisk::new();
        let options = StoreOptions { background: false, ..options() };
        let open = || Store::open_on(Arc::new(disk.clone()), &options).unwrap();
        let store = open();
        disk.limit(Some(disk.used()), false);
        // What is left in the log when it is full is something else each time.
        let mut model = Model::new();
        for step in 1u64.. {
            let tx = begin(&store);
            let (key, record) = ((step << 32).to_be_bytes(), vec![1; 50 + 7 * size]);
            match tx.insert(TABLE, &key, &record) {
                Ok(_) => {
                    tx.commit().unwrap();
                    model.insert(key.to_vec(), record);
                }
                Err(error) => {
                    assert_eq!(error.code().as_str(), "53100", "{error:?}");
                    break;
                }
            }
        }
        for key in 100..103u64 {
            let tx = begin(&store);
            match tx.insert(TABLE, &key.to_be_bytes(), &long) {
                Ok(_) => {
                    tx.commit().unwrap();
                    model.insert(key.to_be_bytes().to_vec(), long.clone());
                }
                Err(error) => {
                    assert_eq!(error.code().as_str(), "53100", "{error:?}");
                    refused += 1;
                }
            }
        }
        disk.limit(None, false);
        drop(store);
        let store = open();
        assert!(store.check().unwrap().problems.is_empty());
        let tx = begin(&store);
        assert_eq!(tx.insert(TABLE, b"last", &long).unwrap(), InsertOutcome::Done);
        model.insert(b"last".to_vec(), long.clone());
        assert!(contents(&tx) == model, "size {size}");
        tx.commit().unwrap();
        store.close().unwrap();
        assert!(open().check().unwrap().problems.is_empty());
    }
    assert!(refused > 0, "the disk was never full");
}
