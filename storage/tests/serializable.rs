//! SERIALIZABLE: what is refused at commit, what is not, and that other levels take no part.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use storage::disk::sim::{Rng, SimDisk};
use storage::{
    Direction, InsertOutcome, IsolationLevel, KeyRange, LockOutcome, RecordSink, RowLock, Store,
    StoreOptions, Transaction, TransactionOptions, TreeId, WriteOutcome,
};
use types::Result;

const T: TreeId = TreeId(3);

fn store() -> Arc<Store> {
    let options = StoreOptions { buffer_size_bytes: 4 << 20, ..StoreOptions::new("unused") };
    Store::open_on(Arc::new(SimDisk::new()), &options).unwrap()
}

fn at(store: &Arc<Store>, isolation: IsolationLevel) -> Transaction {
    let tx = store.begin(TransactionOptions { isolation, ..TransactionOptions::default() });
    tx.start_statement();
    tx
}

fn begin(store: &Arc<Store>) -> Transaction {
    at(store, IsolationLevel::Serializable)
}

fn get(tx: &Transaction, key: &[u8]) -> Option<String> {
    tx.get(T, key, |record| String::from_utf8_lossy(record).into_owned()).unwrap()
}

fn put(tx: &Transaction, key: &[u8], record: &[u8]) {
    if tx.update(T, key, record).unwrap() == WriteOutcome::Missing {
        assert_eq!(tx.insert(T, key, record).unwrap(), InsertOutcome::Done);
    }
    tx.start_statement();
}

fn filled(keys: &[&[u8]]) -> Arc<Store> {
    let store = store();
    let tx = begin(&store);
    keys.iter().for_each(|key| put(&tx, key, b"0"));
    tx.commit().unwrap();
    store
}

/// Stops after `left` records.
struct Take {
    left: usize,
}

impl RecordSink for Take {
    fn record(&mut self, _key: &[u8], _record: &[u8]) -> Result<bool> {
        self.left -= 1;
        Ok(self.left > 0)
    }
}

fn walk(tx: &Transaction, range: KeyRange, direction: Direction, most: usize) {
    tx.scan(T, range, direction).unwrap().fill(&mut Take { left: most }).unwrap();
}

#[track_caller]
fn refused(result: Result<()>) {
    let error = result.unwrap_err();
    assert_eq!(error.code().as_str(), "40001", "{error:?}");
    assert_eq!(
        error.message(),
        "could not serialize access due to read/write dependencies among transactions"
    );
    assert_eq!(error.hint(), Some("The transaction might succeed if retried."));
}

#[test]
fn write_skew_is_refused_and_the_refused_leaves_nothing() {
    for (level, second_commits) in
        [(IsolationLevel::Serializable, false), (IsolationLevel::RepeatableRead, true)]
    {
        let store = filled(&[b"a", b"b"]);
        let (one, two) = (at(&store, level), at(&store, level));
        for tx in [&one, &two] {
            assert_eq!((get(tx, b"a"), get(tx, b"b")), (Some("0".into()), Some("0".into())));
        }
        put(&one, b"a", b"1");
        put(&two, b"b", b"1");
        one.commit().unwrap();
        let second = two.commit();
        if second_commits {
            second.unwrap();
        } else {
            refused(second);
            let later = begin(&store);
            assert_eq!((get(&later, b"a"), get(&later, b"b")), (Some("1".into()), Some("0".into())));
            put(&later, b"b", b"2");
            later.commit().unwrap();
        }
    }
}

#[test]
fn reads_of_keys_that_are_not_there_and_of_gaps_count() {
    let up = Direction::Forward;
    let down = Direction::Backward;
    let from_b = || KeyRange::new(std::ops::Bound::Included(b"b".to_vec()), std::ops::Bound::Unbounded);
    type Read = Box<dyn Fn(&Transaction)>;
    // What is read, what another inserts or deletes, and whether that matters.
    let cases: Vec<(Read, &[u8], bool)> = vec![
        (Box::new(|tx| drop(get(tx, b"new"))), b"new", true),
        (Box::new(|tx| drop(get(tx, b"new"))), b"newer", false),
        (Box::new(move |tx| walk(tx, KeyRange::all(), up, 99)), b"zz", true),
        (Box::new(move |tx| walk(tx, from_b(), up, 99)), b"aa", false),
        (Box::new(move |tx| walk(tx, from_b(), up, 99)), b"bb", true),
        (Box::new(move |tx| walk(tx, KeyRange::prefix(b"q"), up, 99)), b"q1", true),
        (Box::new(move |tx| walk(tx, KeyRange::prefix(b"q"), up, 99)), b"r1", false),
        // A scan that stops has read up to where it stopped: here to b, and down to c.
        (Box::new(move |tx| walk(tx, KeyRange::all(), up, 2)), b"aa", true),
        (Box::new(move |tx| walk(tx, KeyRange::all(), up, 2)), b"b", true),
        (Box::new(move |tx| walk(tx, KeyRange::all(), up, 2)), b"bb", false),
        (Box::new(move |tx| walk(tx, KeyRange::all(), down, 2)), b"zz", true),
        (Box::new(move |tx| walk(tx, KeyRange::all(), down, 2)), b"c", true),
        (Box::new(move |tx| walk(tx, KeyRange::all(), down, 2)), b"bb", false),
        (Box::new(|tx| tx.multi_get(T, &[b"b".as_slice(), b"x"], |_, _| Ok(())).unwrap()), b"x", true),
        (
            Box::new(|tx| {
                let locked = tx.lock(T, b"y", RowLock::KeyShare, true, |_| ()).unwrap();
                assert_eq!(locked, LockOutcome::Missing);
            }),
            b"y",
            true,
        ),
        // Only written, not read.
        (Box::new(|tx| put(tx, b"own", b"1")), b"other", false),
    ];
    for (number, (read, key, matters)) in cases.iter().enumerate() {
        let store = filled(&[b"a", b"b", b"c", b"d"]);
        let (reader, writer) = (begin(&store), begin(&store));
        read(&reader);
        put(&reader, b"result", b"1");
        put(&writer, key, b"1");
        writer.commit().unwrap();
        match (reader.commit(), matters) {
            (result, true) => refused(result),
            (result, false) => result.unwrap_or_else(|error| panic!("case {number}: {error:?}")),
        }
        if *key == b"y" {
            continue; // locked now, so that nobody deletes it
        }
        // A delete is as good.
        let (reader, writer) = (begin(&store), begin(&store));
        read(&reader);
        put(&reader, b"result2", b"1");
        assert_eq!(writer.delete(T, key).unwrap(), WriteOutcome::Done, "case {number}");
        writer.commit().unwrap();
        assert_eq!(reader.commit().is_err(), *matters, "case {number}");
    }
}

#[test]
fn the_read_only_anomaly_has_no_place() {
    // Fekete, O'Neil, O'Neil: the batch reads the control, the control moves on, a report reads both.
    let store = filled(&[b"control", b"receipts"]);
    let batch = begin(&store);
    assert_eq!(get(&batch, b"control").as_deref(), Some("0"));
    let close = begin(&store);
    put(&close, b"control", b"1");
    close.commit().unwrap();
    for read_only in [false, true] {
        let options = TransactionOptions {
            isolation: IsolationLevel::Serializable,
            read_only,
            ..TransactionOptions::default()
        };
        let report = store.begin(options);
        report.start_statement();
        assert_eq!(
            (get(&report, b"control"), get(&report, b"receipts")),
            (Some("1".into()), Some("0".into()))
        );
        report.commit().unwrap();
    }
    put(&batch, b"receipts", b"in the closed batch");
    refused(batch.commit());
}

#[test]
fn a_read_only_transaction_is_never_refused_and_cannot_write() {
    let store = filled(&[b"a"]);
    let options = TransactionOptions {
        isolation: IsolationLevel::Serializable,
        read_only: true,
        ..TransactionOptions::default()
    };
    let (declared, found) = (store.begin(options), begin(&store));
    declared.start_statement();
    for tx in [&declared, &found] {
        walk(tx, KeyRange::all(), Direction::Forward, 99);
    }
    let writer = begin(&store);
    put(&writer, b"a", b"1");
    writer.commit().unwrap();
    assert_eq!(declared.insert(T, b"b", b"1").unwrap_err().code().as_str(), "25006");
    declared.commit().unwrap();
    found.commit().unwrap();
}

#[test]
fn other_levels_take_no_part() {
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead] {
        let store = filled(&[b"a", b"b"]);
        let (serializable, other) = (begin(&store), at(&store, level));
        assert!(get(&serializable, b"a").is_some() && get(&other, b"b").is_some());
        put(&other, b"a", b"1");
        other.commit().unwrap();
        put(&serializable, b"b", b"1");
        serializable.commit().unwrap();
        // And the other way round.
        let (serializable, other) = (begin(&store), at(&store, level));
        assert!(get(&other, b"a").is_some());
        put(&serializable, b"a", b"2");
        serializable.commit().unwrap();
        put(&other, b"b", b"2");
        other.commit().unwrap();
    }
}

#[test]
fn what_a_savepoint_takes_back_stays_read() {
    let store = filled(&[b"a", b"b"]);
    let (one, two) = (begin(&store), begin(&store));
    put(&one, b"c", b"1");
    let savepoint = one.savepoint();
    assert!(get(&one, b"a").is_some());
    put(&one, b"d", b"1");
    one.rollback_to(savepoint).unwrap();
    put(&two, b"a", b"1");
    two.commit().unwrap();
    refused(one.commit());
}

#[test]
fn a_duplicate_is_a_read() {
    // Who looked first is refused with the reason; who did not gets the duplicate.
    let store = filled(&[b"a"]);
    let (looked, blind) = (begin(&store), begin(&store));
    assert_eq!(get(&looked, b"k"), None);
    let writer = begin(&store);
    put(&writer, b"k", b"1");
    writer.commit().unwrap();
    refused(looked.insert(T, b"k", b"2").map(|_| ()));
    assert_eq!(blind.insert(T, b"k", b"2").unwrap(), InsertOutcome::Duplicate);
    // It knows of what its snapshot does not show, though it has written nothing.
    refused(blind.commit());
}

#[test]
fn random_histories_equal_a_serial_one() {
    // Every committed transaction's reads are replayed in commit order on a model.
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let mut refusals = 0;
    for seed in 0..seeds {
        refusals += one_history(seed);
    }
    assert!(refusals > 0, "the histories have no conflicts to refuse");
}

struct Open {
    tx: Transaction,
    /// What it saw, and what it did, in order.
    steps: Vec<Step>,
    wrote: bool,
}

enum Step {
    Sum(u8, u8, u64),
    Put(u8, u64),
    Delete(u8),
}

struct Sum(u64);

impl RecordSink for Sum {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        let value = u64::from_le_bytes(record.try_into().unwrap());
        self.0 = self.0.wrapping_mul(31).wrapping_add(value).wrapping_add(u64::from(key[0]) << 32);
        Ok(true)
    }
}

fn one_history(seed: u64) -> usize {
    use std::collections::BTreeMap;
    let mut rng = Rng::new(seed + 1);
    let store = store();
    let mut open: Vec<Open> = Vec::new();
    let mut model: BTreeMap<u8, u64> = BTreeMap::new();
    let mut versions = vec![model.clone()];
    let mut began: Vec<usize> = Vec::new();
    let mut refusals = 0;
    for _ in 0..400 {
        if open.len() < 4 {
            open.push(Open { tx: begin(&store), steps: Vec::new(), wrote: false });
            // The snapshot is taken by the first statement, which is now.
            began.push(versions.len() - 1);
        }
        let which = (rng.random() % open.len() as u64) as usize;
        let (a, b) = ((rng.random() % 12) as u8, (rng.random() % 12) as u8);
        let (low, high) = (a.min(b), a.max(b));
        match rng.random() % 10 {
            0..=4 => {
                let current = &mut open[which];
                let range = KeyRange::new(
                    std::ops::Bound::Included(vec![low]),
                    std::ops::Bound::Excluded(vec![high]),
                );
                let mut sink = Sum(7);
                current.tx.scan(T, range, Direction::Forward).unwrap().fill(&mut sink).unwrap();
                current.steps.push(Step::Sum(low, high, sink.0));
            }
            5..=7 => {
                // No waiting on one thread: a key that is somebody's is left alone.
                let taken = open.iter().enumerate().any(|(i, other)| {
                    i != which
                        && other.steps.iter().any(|step| match step {
                            Step::Put(key, _) | Step::Delete(key) => *key == a,
                            Step::Sum(..) => false,
                        })
                });
                if taken {
                    continue;
                }
                let value = rng.random();
                let current = &mut open[which];
                let step = if value % 4 == 0 {
                    match current.tx.delete(T, &[a]) {
                        Ok(WriteOutcome::Done) => Ok(Some(Step::Delete(a))),
                        Ok(_) => Ok(None),
                        Err(error) => Err(error),
                    }
                } else {
                    let bytes = value.to_le_bytes();
                    match current.tx.update(T, &[a], &bytes) {
                        Ok(WriteOutcome::Done) => Ok(Some(Step::Put(a, value))),
                        Ok(WriteOutcome::Missing) => match current.tx.insert(T, &[a], &bytes) {
                            Ok(InsertOutcome::Done) => Ok(Some(Step::Put(a, value))),
                            Ok(InsertOutcome::Duplicate) => Ok(None),
                            Err(error) => Err(error),
                        },
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => Err(error),
                    }
                };
                match step {
                    Ok(Some(step)) => {
                        current.steps.push(step);
                        current.wrote = true;
                        current.tx.start_statement();
                    }
                    Ok(None) => {
                        // It saw that there is, or is no, such key: not modelled, so it goes.
                        began.remove(which);
                        open.remove(which).tx.rollback().unwrap();
                    }
                    Err(error) => {
                        assert_eq!(error.code().as_str(), "40001");
                        refusals += 1;
                        began.remove(which);
                        open.remove(which).tx.rollback().unwrap();
                    }
                }
            }
            _ => {
                let Open { tx, steps, wrote } = open.remove(which);
                let at = began.remove(which);
                match tx.commit() {
                    Err(error) => {
                        assert_eq!(error.code().as_str(), "40001");
                        refusals += 1;
                    }
                    Ok(()) => {
                        // Readers stand at their snapshot, writers at their commit.
                        let mut state = if wrote { model.clone() } else { versions[at].clone() };
                        for step in &steps {
                            match step {
                                Step::Sum(low, high, seen) => {
                                    let mut sum = Sum(7);
                                    for (key, value) in state.range(low..high) {
                                        sum.record(&[*key], &value.to_le_bytes()).unwrap();
                                    }
                                    assert_eq!(sum.0, *seen, "seed {seed}: keys {low}..{high}");
                                }
                                Step::Put(key, value) => {
                                    state.insert(*key, *value);
                                }
                                Step::Delete(key) => {
                                    state.remove(key);
                                }
                            }
                        }
                        if wrote {
                            model = state;
                            versions.push(model.clone());
                        }
                    }
                }
            }
        }
    }
    refusals
}
