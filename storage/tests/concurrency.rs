//! Several transactions at once: what each may see, who waits, who is refused.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use storage::disk::sim::{Rng, SimDisk};
use storage::{
    Direction, InsertOutcome, IsolationLevel, KeyRange, LockOutcome, RecordSink, RowLock, Store,
    StoreOptions, Transaction, TransactionOptions, TreeId, WriteOutcome,
};
use types::Result;

const T: TreeId = TreeId(3);

fn store() -> Arc<Store> {
    let options = StoreOptions {
        buffer_size_bytes: 4 << 20,
        checkpoint_log_bytes: 4 << 20,
        segment_size_bytes: 1 << 20,
        ..StoreOptions::new("unused")
    };
    Store::open_on(Arc::new(SimDisk::new()), &options).unwrap()
}

fn at(store: &Arc<Store>, isolation: IsolationLevel) -> Transaction {
    let tx = store.begin(TransactionOptions { isolation, ..TransactionOptions::default() });
    tx.start_statement();
    tx
}

fn begin(store: &Arc<Store>) -> Transaction {
    at(store, IsolationLevel::ReadCommitted)
}

fn get(tx: &Transaction, key: &[u8]) -> Option<String> {
    tx.get(T, key, |record| String::from_utf8_lossy(record).into_owned()).unwrap()
}

fn put(store: &Arc<Store>, key: &[u8], record: &[u8]) {
    let tx = begin(store);
    if tx.update(T, key, record).unwrap() == WriteOutcome::Missing {
        assert_eq!(tx.insert(T, key, record).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
}

struct Sum {
    total: u64,
    count: u64,
}

impl RecordSink for Sum {
    const NEEDS_KEY: bool = false;

    fn record(&mut self, _key: &[u8], record: &[u8]) -> Result<bool> {
        self.total += u64::from_le_bytes(record[..8].try_into().unwrap());
        self.count += 1;
        Ok(true)
    }
}

fn sum(tx: &Transaction) -> (u64, u64) {
    let mut sink = Sum { total: 0, count: 0 };
    tx.scan(T, KeyRange::all(), Direction::Forward).unwrap().fill(&mut sink).unwrap();
    (sink.total, sink.count)
}

#[test]
fn a_statement_does_not_see_what_it_writes_itself() {
    let store = store();
    let tx = begin(&store);
    for i in 0..500u64 {
        assert_eq!(tx.insert(T, &i.to_be_bytes(), &i.to_le_bytes()).unwrap(), InsertOutcome::Done);
    }
    assert_eq!(sum(&tx).1, 0);
    tx.start_statement();
    assert_eq!(sum(&tx).1, 500);
    // INSERT INTO t SELECT key + 1000 FROM t, and UPDATE of what the same statement has updated.
    struct Copy<'a>(&'a Transaction, Vec<(Vec<u8>, Vec<u8>)>);
    impl RecordSink for Copy<'_> {
        fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
            self.1.push((key.to_vec(), record.to_vec()));
            Ok(!self.1.len().is_multiple_of(10))
        }
    }
    let mut sink = Copy(&tx, Vec::new());
    let mut scan = tx.scan(T, KeyRange::all(), Direction::Forward).unwrap();
    let mut more = true;
    while more {
        more = scan.fill(&mut sink).unwrap();
        for (key, record) in sink.1.drain(..) {
            let mut copy = key.clone();
            copy.push(1);
            assert_eq!(sink.0.insert(T, &copy, &record).unwrap(), InsertOutcome::Done);
        }
    }
    tx.start_statement();
    assert_eq!(sum(&tx).1, 1000);
    assert_eq!(tx.update(T, &5u64.to_be_bytes(), &[0; 8]).unwrap(), WriteOutcome::Done);
    assert_eq!(tx.update(T, &5u64.to_be_bytes(), &[0; 8]).unwrap(), WriteOutcome::SelfModified);
    assert_eq!(tx.delete(T, &5u64.to_be_bytes()).unwrap(), WriteOutcome::SelfModified);
    tx.start_statement();
    assert_eq!(tx.delete(T, &5u64.to_be_bytes()).unwrap(), WriteOutcome::Done);
    tx.start_statement();
    assert_eq!(tx.insert(T, &5u64.to_be_bytes(), b"back    ").unwrap(), InsertOutcome::Done);
    tx.start_statement();
    assert_eq!(get(&tx, &5u64.to_be_bytes()).as_deref(), Some("back    "));
    tx.commit().unwrap();
}

#[test]
fn snapshots_see_their_moment_through_updates_deletes_and_reinserts() {
    let store = store();
    put(&store, b"a", b"one");
    let repeatable = at(&store, IsolationLevel::RepeatableRead);
    let committed = begin(&store);
    for version in ["two", "a much longer version three", "4"] {
        put(&store, b"a", version.as_bytes());
    }
    let tx = begin(&store);
    assert_eq!(tx.delete(T, b"a").unwrap(), WriteOutcome::Done);
    assert_eq!(get(&begin(&store), b"a").as_deref(), Some("4"), "uncommitted deletes are unseen");
    tx.commit().unwrap();
    put(&store, b"a", b"five");
    put(&store, b"b", b"new");
    for tx in [&repeatable, &committed] {
        assert_eq!(get(tx, b"a").as_deref(), Some("one"));
        assert_eq!(get(tx, b"b"), None);
    }
    committed.start_statement();
    repeatable.start_statement();
    assert_eq!(get(&committed, b"a").as_deref(), Some("five"));
    assert_eq!(get(&repeatable, b"a").as_deref(), Some("one"));
    // First updater wins.
    let error = repeatable.update(T, b"a", b"mine").unwrap_err();
    assert_eq!(error.code().as_str(), "40001");
    assert_eq!(error.message(), "could not serialize access due to concurrent update");
    assert_eq!(committed.update(T, b"a", b"mine").unwrap(), WriteOutcome::Done);
}

#[test]
fn read_committed_waits_then_rechecks_the_newest_version() {
    let store = store();
    put(&store, b"a", b"10");
    let first = begin(&store);
    assert_eq!(first.update(T, b"a", b"11").unwrap(), WriteOutcome::Done);
    let other = {
        let store = store.clone();
        thread::spawn(move || {
            let tx = begin(&store);
            let outcome = tx.update(T, b"a", b"never").unwrap();
            let mut seen = Vec::new();
            let locked = tx.lock(T, b"a", RowLock::NoKeyUpdate, true, |r| seen = r.to_vec()).unwrap();
            let again = tx.update(T, b"a", b"12").unwrap();
            tx.commit().unwrap();
            (outcome, locked, seen, again)
        })
    };
    thread::sleep(Duration::from_millis(50));
    first.commit().unwrap();
    let (outcome, locked, seen, again) = other.join().unwrap();
    assert_eq!((outcome, locked), (WriteOutcome::Changed, LockOutcome::LockedNewer));
    assert_eq!((seen.as_slice(), again), (b"11".as_slice(), WriteOutcome::Done));
    assert_eq!(get(&begin(&store), b"a").as_deref(), Some("12"));
    // After a rollback the row is as it was: no re-check.
    let first = begin(&store);
    assert_eq!(first.delete(T, b"a").unwrap(), WriteOutcome::Done);
    let other = {
        let store = store.clone();
        thread::spawn(move || {
            let tx = begin(&store);
            let outcome = tx.update(T, b"a", b"13").unwrap();
            tx.commit().unwrap();
            outcome
        })
    };
    thread::sleep(Duration::from_millis(50));
    first.rollback().unwrap();
    assert_eq!(other.join().unwrap(), WriteOutcome::Done);
}

#[test]
fn unique_inserts_wait_for_the_key_in_flight() {
    let store = store();
    for commits in [true, false] {
        let key: &[u8] = if commits { b"x" } else { b"y" };
        let first = begin(&store);
        assert_eq!(first.insert(T, key, b"1").unwrap(), InsertOutcome::Done);
        let other = {
            let store = store.clone();
            let key = key.to_vec();
            thread::spawn(move || {
                let tx = begin(&store);
                let outcome = tx.insert(T, &key, b"2").unwrap();
                tx.commit().unwrap();
                outcome
            })
        };
        thread::sleep(Duration::from_millis(30));
        if commits {
            first.commit().unwrap()
        } else {
            first.rollback().unwrap()
        }
        let expected = if commits { InsertOutcome::Duplicate } else { InsertOutcome::Done };
        assert_eq!(other.join().unwrap(), expected);
    }
}

#[test]
fn deadlocks_lock_timeouts_and_row_locks() {
    let store = store();
    put(&store, b"a", b"1");
    put(&store, b"b", b"1");
    let one = begin(&store);
    assert_eq!(one.update(T, b"a", b"2").unwrap(), WriteOutcome::Done);
    let waiter = {
        let store = store.clone();
        thread::spawn(move || {
            let options = TransactionOptions { process_id: 22, ..TransactionOptions::default() };
            let two = store.begin(options);
            assert_eq!(two.update(T, b"b", b"2").unwrap(), WriteOutcome::Done);
            two.update(T, b"a", b"3").map(|outcome| (outcome, two.commit()))
        })
    };
    while begin(&store).lock(T, b"b", RowLock::Update, false, |_| ()).unwrap() != LockOutcome::WouldBlock {
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(30));
    let mut failed = one.update(T, b"b", b"3").err();
    drop(one);
    let other = waiter.join().unwrap();
    if failed.is_none() {
        failed = other.err();
    }
    let error = failed.unwrap();
    assert_eq!(error.code().as_str(), "40P01");
    assert!(error.detail().unwrap().contains("Process 22 waits for ShareLock on transaction"), "{error:?}");

    let holder = begin(&store);
    assert_eq!(holder.lock(T, b"a", RowLock::KeyShare, true, |_| ()).unwrap(), LockOutcome::Locked);
    let tx = store.begin(TransactionOptions {
        lock_timeout: Some(Duration::from_millis(20)),
        ..TransactionOptions::default()
    });
    assert_eq!(tx.update(T, b"a", b"9").unwrap(), WriteOutcome::Done, "a key share lets updates pass");
    assert_eq!(tx.lock(T, b"b", RowLock::Share, true, |_| ()).unwrap(), LockOutcome::Locked);
    tx.start_statement();
    let error = tx.delete(T, b"a").unwrap_err();
    assert!(matches!(error.code().as_str(), "55P03"), "{error:?}");
    assert_eq!(error.message(), "canceling statement due to lock timeout");
    drop(holder);
    tx.start_statement();
    assert_eq!(tx.delete(T, b"a").unwrap(), WriteOutcome::Done);
    tx.rollback().unwrap();
    assert_eq!(begin(&store).lock(T, b"zz", RowLock::Share, true, |_| ()).unwrap(), LockOutcome::Missing);
}

#[test]
fn transfers_keep_the_sum_under_threads_splits_sweeps_and_checkpoints() {
    let store = store();
    const ACCOUNTS: u64 = 3000;
    let tx = begin(&store);
    for i in 0..ACCOUNTS {
        let mut record = 1000u64.to_le_bytes().to_vec();
        record.extend_from_slice(&[7; 100]);
        assert_eq!(tx.insert(T, &(i * 7919 % ACCOUNTS).to_be_bytes(), &record).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let transfers = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..3u64)
        .map(|seed| {
            let (store, stop, transfers) = (store.clone(), stop.clone(), transfers.clone());
            thread::spawn(move || {
                let mut rng = Rng::new(seed + 1);
                while !stop.load(Ordering::Relaxed) {
                    let isolation = if seed == 0 {
                        IsolationLevel::RepeatableRead
                    } else {
                        IsolationLevel::ReadCommitted
                    };
                    let tx = at(&store, isolation);
                    if transfer(&tx, &mut rng, ACCOUNTS).unwrap_or(false) {
                        tx.commit().unwrap();
                        transfers.fetch_add(1, Ordering::Relaxed);
                    } else {
                        tx.rollback().unwrap();
                    }
                }
            })
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(3);
    let mut looks = 0;
    while Instant::now() < deadline || transfers.load(Ordering::Relaxed) < 50 {
        let tx = begin(&store);
        let (total, count) = sum(&tx);
        assert_eq!((total, count), (ACCOUNTS * 1000, ACCOUNTS));
        looks += 1;
        if u64::is_multiple_of(looks, 5) {
            store.checkpoint().unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(looks > 3);
    let report = store.check().unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.stats().versioned_pages > 0 {
        assert!(Instant::now() < deadline, "{} pages keep versions", store.stats().versioned_pages);
        thread::sleep(Duration::from_millis(10));
    }
    store.close().unwrap();
}

/// Moves money from one account to another, sometimes by delete and insert. False when there is a conflict.
fn transfer(tx: &Transaction, rng: &mut Rng, accounts: u64) -> Result<bool> {
    let (from, to) = (rng.below(accounts), rng.below(accounts));
    if from == to {
        return Ok(false);
    }
    for (account, delta) in [(from, -1i64), (to, 1)] {
        tx.start_statement();
        let key = account.to_be_bytes();
        let mut balance = 0;
        let locked = tx.lock(T, &key, RowLock::NoKeyUpdate, true, |r| {
            balance = u64::from_le_bytes(r[..8].try_into().unwrap());
        })?;
        if locked == LockOutcome::Missing {
            return Ok(false);
        }
        let mut record = balance.wrapping_add_signed(delta).to_le_bytes().to_vec();
        record.extend(vec![9; rng.below(300) as usize]);
        if rng.below(8) == 0 {
            if tx.delete(T, &key)? != WriteOutcome::Done {
                return Ok(false);
            }
            tx.start_statement();
            if tx.insert(T, &key, &record)? != InsertOutcome::Done {
                return Ok(false);
            }
        } else if tx.update(T, &key, &record)? != WriteOutcome::Done {
            return Ok(false);
        }
    }
    Ok(rng.below(10) != 0)
}

#[test]
fn concurrent_inserts_into_one_tree_are_all_there_once() {
    let store = store();
    let workers: Vec<_> = (0..4u64)
        .map(|worker| {
            let store = store.clone();
            thread::spawn(move || {
                let mut mine = 0;
                let mut rng = Rng::new(worker);
                for _ in 0..30 {
                    let tx = begin(&store);
                    let mut added = 0;
                    let mut keys: Vec<u64> = (0..60).map(|_| rng.below(5000)).collect();
                    keys.sort_unstable();
                    for key in keys {
                        if tx.insert(T, &key.to_be_bytes(), &1u64.to_le_bytes()).unwrap()
                            == InsertOutcome::Done
                        {
                            added += 1;
                        }
                    }
                    tx.commit().unwrap();
                    mine += added;
                }
                mine
            })
        })
        .collect();
    let total: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert_eq!(sum(&begin(&store)), (total, total));
    assert!(store.check().unwrap().problems.is_empty());
}

#[test]
fn a_directory_is_opened_by_one_process_and_only_if_it_is_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    assert!(!Store::exists(&path));
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    assert!(Store::exists(&path));
    let error = Store::open(StoreOptions::new(&path)).err().unwrap();
    assert_eq!(error.code().as_str(), "F0001");
    assert!(error.message().contains(&format!("PID {}", std::process::id())), "{error:?}");
    put(&store, b"k", b"v");
    drop(store);
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    assert_eq!(get(&begin(&store), b"k").as_deref(), Some("v"));
    store.close().unwrap();
    drop(store);
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    assert_eq!(get(&begin(&store), b"k").as_deref(), Some("v"));
    drop(store);
    let foreign = directory.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "x").unwrap();
    let error = Store::open(StoreOptions::new(&foreign)).err().unwrap();
    assert!(error.hint().is_some() && error.message().contains("not empty"), "{error:?}");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1, "nothing was written there");
}

#[test]
fn a_long_rollback_is_left_behind() {
    const ROWS: u64 = 20_000;
    let disk = Arc::new(SimDisk::new());
    let options = StoreOptions { buffer_size_bytes: 8 << 20, ..StoreOptions::new("unused") };
    let store = Store::open_on(disk.clone(), &options).unwrap();
    let record = |value: u64| {
        let mut record = vec![0; 64];
        record[..8].copy_from_slice(&value.to_le_bytes());
        record
    };
    let tx = begin(&store);
    for i in 0..ROWS {
        assert_eq!(tx.insert(T, &i.to_be_bytes(), &record(1)).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    let mine = |process_id| {
        let tx = store.begin(TransactionOptions { process_id, ..TransactionOptions::default() });
        tx.start_statement();
        tx
    };
    let update = |tx: &Transaction| {
        for i in 0..ROWS {
            assert_eq!(tx.update(T, &i.to_be_bytes(), &record(2)).unwrap(), WriteOutcome::Done);
        }
    };
    let tx = mine(77);
    let start = tx.savepoint();
    assert!(tx.is_quickly_undone(start));
    update(&tx);
    assert!(!tx.is_quickly_undone(start));
    let rollbacks = store.stats().rollbacks;
    tx.rollback().unwrap();
    // Nothing of it is seen, done or not; its own session may wait for it and gets the row that was.
    assert_eq!(sum(&begin(&store)), (ROWS, ROWS));
    let again = mine(77);
    for i in [0, ROWS / 2, ROWS - 1] {
        let outcome = loop {
            match again.update(T, &i.to_be_bytes(), &record(5)).unwrap() {
                WriteOutcome::Changed => again.start_statement(),
                outcome => break outcome,
            }
        };
        assert_eq!(outcome, WriteOutcome::Done);
    }
    again.commit().unwrap();
    assert_eq!(store.stats().rollbacks, rollbacks + 1);
    assert_eq!(sum(&begin(&store)).0, ROWS + 12);
    // Closed in the middle, the next open completes it.
    let tx = mine(77);
    update(&tx);
    tx.rollback().unwrap();
    store.close().unwrap();
    drop(store);
    let store = Store::open_on(disk, &options).unwrap();
    assert_eq!(sum(&begin(&store)).0, ROWS + 12);
    assert!(store.check().unwrap().problems.is_empty());
}
