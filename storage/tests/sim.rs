//! The store on a simulated disk, driven by a seed: `cargo sim --seed 7 --ops 2000 --seeds 100`.
//!
//! One thread interleaves several transactions and does all upkeep itself (no background threads), so a seed
//! always does the same. The disk fills up, fails to sync, and loses power at any change, during recovery as
//! well; then it keeps, drops or tears what was not synced. What is read is compared with a model at every step,
//! and after each recovery everything with what was committed; `Store::check` must find no fault.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::disk::sim::{Rng, SimDisk};
use storage::{
    Direction, InsertOutcome, IsolationLevel, KeyRange, RecordSink, Savepoint, Store, StoreOptions,
    Transaction, TransactionOptions, TreeId, Upkeep, WriteOutcome,
};
use types::{Error, Result};

type Key = Vec<u8>;
/// A tree's records; each with the number of the commit that wrote it last (also when it is gone).
type Records = BTreeMap<Key, (Option<Vec<u8>>, u64)>;

const SLOTS: usize = 4;
const SYSTEM_TREES: u64 = 3;

/// What a transaction has written: tree → key → new record, or that it is gone.
type Overlay = BTreeMap<u64, BTreeMap<Key, Option<Vec<u8>>>>;

#[derive(Clone, Default)]
struct Changes {
    overlay: Overlay,
    created: BTreeSet<u64>,
    dropped: BTreeSet<u64>,
}

struct Open {
    tx: Transaction,
    changes: Changes,
    savepoints: Vec<(Savepoint, Changes)>,
    /// Under REPEATABLE READ what was committed when it began.
    seen: Option<BTreeMap<u64, Records>>,
    /// The last commit its snapshot sees.
    commit: u64,
    touched: BTreeSet<u64>,
    /// Every key it has ever written, rolled back or not: some locks last until it ends.
    written: BTreeSet<(u64, Key)>,
}

struct Sim {
    rng: Rng,
    disk: SimDisk,
    store: Option<Arc<Store>>,
    options: StoreOptions,
    committed: BTreeMap<u64, Records>,
    commits: u64,
    slots: [Option<Open>; SLOTS],
    /// Keys whose owner's rollback waits for room on the disk.
    zombies: BTreeSet<(u64, Key)>,
    limited: bool,
    /// What a commit that failed would have made.
    in_doubt: Vec<Changes>,
    stats: Stats,
}

#[derive(Default)]
struct Stats {
    operations: u64,
    commits: u64,
    crashes: u64,
    refused: u64,
}

/// The store is lost: the power went, or a sync failed.
struct Dead;

struct Collect(Vec<(Key, Vec<u8>)>);

impl RecordSink for Collect {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push((key.to_vec(), record.to_vec()));
        Ok(true)
    }
}

impl Open {
    fn base_trees(&self, committed: &BTreeMap<u64, Records>) -> Vec<u64> {
        self.seen.as_ref().unwrap_or(committed).keys().copied().collect()
    }

    fn ever_wrote(&self, tree: u64, key: &[u8]) -> bool {
        self.written.contains(&(tree, key.to_vec()))
    }

    fn note_written(&mut self) {
        for (tree, keys) in &self.changes.overlay {
            self.written.extend(keys.keys().map(|key| (*tree, key.clone())));
        }
    }

    fn base<'a>(&'a self, committed: &'a BTreeMap<u64, Records>, tree: u64) -> Option<&'a Records> {
        self.seen.as_ref().unwrap_or(committed).get(&tree)
    }

    /// The record that the transaction sees.
    fn get(&self, committed: &BTreeMap<u64, Records>, tree: u64, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(own) = self.changes.overlay.get(&tree).and_then(|keys| keys.get(key)) {
            return own.clone();
        }
        self.base(committed, tree)?.get(key)?.0.clone()
    }

    fn all(&self, committed: &BTreeMap<u64, Records>, tree: u64) -> BTreeMap<Key, Vec<u8>> {
        let mut all: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
        if let Some(base) = self.base(committed, tree) {
            all.extend(base.iter().filter_map(|(k, (v, _))| Some((k.clone(), v.clone()?))));
        }
        for (key, own) in self.changes.overlay.get(&tree).into_iter().flatten() {
            match own {
                Some(record) => all.insert(key.clone(), record.clone()),
                None => all.remove(key),
            };
        }
        all
    }
}

fn apply(committed: &mut BTreeMap<u64, Records>, changes: &Changes, commit: u64) {
    for tree in &changes.created {
        committed.entry(*tree).or_default();
    }
    for (tree, keys) in &changes.overlay {
        let records = committed.entry(*tree).or_default();
        for (key, own) in keys {
            records.insert(key.clone(), (own.clone(), commit));
        }
    }
    for tree in &changes.dropped {
        committed.remove(tree);
    }
}

fn live(committed: &BTreeMap<u64, Records>) -> BTreeMap<u64, BTreeMap<Key, Vec<u8>>> {
    let records = |records: &Records| -> BTreeMap<Key, Vec<u8>> {
        records.iter().filter_map(|(k, (v, _))| Some((k.clone(), v.clone()?))).collect()
    };
    committed.iter().map(|(tree, of)| (*tree, records(of))).collect()
}

impl Sim {
    fn new(seed: u64) -> Sim {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let options = StoreOptions {
            buffer_size_bytes: 1 << 20,
            checkpoint_log_bytes: (40 + rng.below(200)) << 10,
            segment_size_bytes: (32 << rng.below(3)) << 10,
            background: false,
            ..StoreOptions::new("unused")
        };
        Sim {
            rng,
            disk: SimDisk::new(),
            store: None,
            options,
            committed: (1..=SYSTEM_TREES).map(|tree| (tree, Records::new())).collect(),
            commits: 0,
            slots: [const { None }; SLOTS],
            zombies: BTreeSet::new(),
            limited: false,
            in_doubt: Vec::new(),
            stats: Stats::default(),
        }
    }

    fn store(&self) -> Arc<Store> {
        self.store.clone().expect("the store is open")
    }

    fn key(&mut self) -> Key {
        let n = self.rng.below(150);
        match n % 5 {
            0 => [vec![b'l'; 300 + (n as usize * 20)], n.to_be_bytes().to_vec()].concat(),
            1 | 2 => format!("with a common prefix {n:05}").into_bytes(),
            _ => n.to_be_bytes().to_vec(),
        }
    }

    fn record(&mut self) -> Vec<u8> {
        let len = match self.rng.below(30) {
            0 => 4001 + self.rng.below(12_000),
            1 | 2 => self.rng.below(4001),
            3..=6 => 0,
            _ => self.rng.below(400),
        };
        let first = self.rng.random();
        let noise = self.rng.below(2) == 0;
        let mut rng = Rng::new(first);
        // Half of them get smaller when they are compressed, and may fit in a leaf then.
        (0..len)
            .map(|i| if noise { rng.random() as u8 } else { (first.wrapping_add(i * i) >> 3) as u8 })
            .collect()
    }

    /// A tree that transaction `slot` may use: no other has it for itself.
    fn tree(&mut self, slot: usize) -> u64 {
        let open = self.slots[slot].as_ref().unwrap();
        let mut trees: Vec<u64> = open.base_trees(&self.committed);
        trees.extend(&open.changes.created);
        let free = |tree: &u64| {
            !open.changes.dropped.contains(tree)
                && self.slots.iter().enumerate().all(|(other, open)| {
                    other == slot || open.as_ref().is_none_or(|open| !open.changes.dropped.contains(tree))
                })
                && (open.changes.created.contains(tree) || self.committed.contains_key(tree))
        };
        trees.retain(free);
        let at = self.rng.below(trees.len() as u64) as usize;
        self.slots[slot].as_mut().unwrap().touched.insert(trees[at]);
        trees[at]
    }

    /// Sorts an error out: `Err(Dead)` for the disk's end; otherwise its code.
    fn code(&mut self, error: &Error, what: &str) -> std::result::Result<String, Dead> {
        let code = error.code().as_str().to_owned();
        match code.as_str() {
            "58030" => Err(Dead),
            "53100" => {
                assert!(self.limited, "{what}: 53100 on a disk with room: {error:?}");
                self.stats.refused += 1;
                Ok(code)
            }
            "55P03" | "40001" => Ok(code),
            _ => panic!("{what}: {error:?}"),
        }
    }

    /// Whether another transaction has written the key.
    fn is_contended(&self, slot: usize, tree: u64, key: &[u8]) -> bool {
        self.zombies.contains(&(tree, key.to_vec()))
            || self.slots.iter().enumerate().any(|(other, open)| {
                other != slot && open.as_ref().is_some_and(|open| open.ever_wrote(tree, key))
            })
    }

    /// One statement of the transaction in `slot`.
    fn statement(&mut self, slot: usize) -> std::result::Result<(), Dead> {
        let tree = self.tree(slot);
        let key = self.key();
        let open = self.slots[slot].as_ref().unwrap();
        open.tx.start_statement();
        let known = open.get(&self.committed, tree, &key);
        let before = open.tx.savepoint();
        match self.rng.below(20) {
            0..=2 => {
                let open = self.slots[slot].as_ref().unwrap();
                match open.tx.get(TreeId(tree), &key, |record| record.to_vec()) {
                    Ok(found) => assert!(found == known, "get of {key:?} in tree {tree}"),
                    Err(error) => _ = self.code(&error, "get")?,
                }
            }
            3 => self.scan(slot, tree)?,
            4..=19 => {
                let record = self.record();
                let kind = self.rng.below(10);
                let open = self.slots[slot].as_ref().unwrap();
                let newest = self.committed.get(&tree).and_then(|records| records.get(&key));
                let newer = open.seen.is_some()
                    && newest.is_some_and(|(_, commit)| *commit > open.commit)
                    && open.changes.overlay.get(&tree).is_none_or(|keys| !keys.contains_key(&key));
                let id = TreeId(tree);
                let (result, new) = if kind < 5 {
                    let result = open.tx.insert(id, &key, &record).map(|outcome| match outcome {
                        InsertOutcome::Done => WriteOutcome::Done,
                        InsertOutcome::Duplicate => WriteOutcome::Missing,
                    });
                    (result, Some(record))
                } else if kind < 8 {
                    (open.tx.update(id, &key, &record), Some(record))
                } else {
                    (open.tx.delete(id, &key), None)
                };
                match result {
                    Ok(outcome) => {
                        // An insert looks at the newest version, whatever the snapshot sees.
                        let own = open.changes.overlay.get(&tree).and_then(|keys| keys.get(&key));
                        let there = match (own, kind < 5) {
                            (Some(own), _) => own.is_some(),
                            (None, true) => newest.is_some_and(|(record, _)| record.is_some()),
                            (None, false) => known.is_some(),
                        };
                        let done = if kind < 5 { !there } else { there };
                        assert!(
                            (outcome == WriteOutcome::Done) == done,
                            "{outcome:?} of {key:?} in tree {tree}, expected {done}"
                        );
                        assert!(kind < 5 || !newer || !done, "40001 is due for {key:?} in tree {tree}");
                        if done {
                            let open = self.slots[slot].as_mut().unwrap();
                            open.changes.overlay.entry(tree).or_default().insert(key, new);
                        }
                    }
                    Err(error) => {
                        match self.code(&error, "write")?.as_str() {
                            "55P03" => assert!(
                                self.is_contended(slot, tree, &key),
                                "a wait for {key:?} in tree {tree} that nobody has"
                            ),
                            "40001" => assert!(newer, "40001 for {key:?} in tree {tree}"),
                            _ => {}
                        }
                        self.undo_statement(slot, before)?;
                    }
                }
            }
            _ => unreachable!("of twenty"),
        }
        Ok(())
    }

    /// After a failed statement: back to where it began, or the whole transaction.
    fn undo_statement(&mut self, slot: usize, before: Savepoint) -> std::result::Result<(), Dead> {
        let open = self.slots[slot].as_ref().unwrap();
        if let Err(error) = open.tx.rollback_to(before) {
            self.code(&error, "rollback to a savepoint")?;
            self.roll_back(slot)?;
        } else if self.rng.below(3) == 0 {
            self.roll_back(slot)?;
        }
        Ok(())
    }

    fn scan(&mut self, slot: usize, tree: u64) -> std::result::Result<(), Dead> {
        let (low, high) = (self.key(), self.key());
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        let direction = if self.rng.below(2) == 0 { Direction::Forward } else { Direction::Backward };
        let range = KeyRange::new(Bound::Included(low), Bound::Included(high));
        let open = self.slots[slot].as_ref().unwrap();
        let expected: Vec<(Key, Vec<u8>)> = open
            .all(&self.committed, tree)
            .range((range.lower.clone(), range.upper.clone()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let mut sink = Collect(Vec::new());
        let scanned = open.tx.scan(TreeId(tree), range, direction).and_then(|mut scan| {
            while scan.fill(&mut sink)? {}
            Ok(())
        });
        match scanned {
            Ok(()) => {
                if direction == Direction::Backward {
                    sink.0.reverse();
                }
                assert!(sink.0 == expected, "scan of tree {tree}");
            }
            Err(error) => _ = self.code(&error, "scan")?,
        }
        Ok(())
    }

    /// Creates, builds or drops a tree.
    fn tree_change(&mut self, slot: usize) -> std::result::Result<(), Dead> {
        let open = self.slots[slot].as_ref().unwrap();
        open.tx.start_statement();
        let before = open.tx.savepoint();
        if self.rng.below(3) == 0 {
            let tree = self.tree(slot);
            let shared = self.slots.iter().enumerate().any(|(other, open)| {
                other != slot
                    && open.as_ref().is_some_and(|open| open.touched.contains(&tree) || open.seen.is_some())
            });
            let zombie = self.zombies.iter().any(|(of, _)| *of == tree);
            if tree < 100 || shared || zombie {
                return Ok(());
            }
            match self.slots[slot].as_ref().unwrap().tx.drop_tree(TreeId(tree)) {
                Ok(()) => _ = self.slots[slot].as_mut().unwrap().changes.dropped.insert(tree),
                Err(error) => {
                    self.code(&error, "drop")?;
                    self.undo_statement(slot, before)?;
                }
            }
            return Ok(());
        }
        let bulk = self.rng.below(2) == 0;
        let count = self.rng.below(400);
        let record = self.record();
        let record = &record[..record.len().min(4000)];
        let open = self.slots[slot].as_ref().unwrap();
        let mut made = BTreeMap::new();
        let result = open.tx.create_tree().and_then(|tree| {
            if bulk {
                let mut builder = open.tx.bulk_build(tree)?;
                for i in 0..count {
                    let key = format!("bulk {i:05}").into_bytes();
                    assert!(builder.append(&key, record)?);
                    made.insert(key, Some(record.to_vec()));
                }
                builder.finish()?;
            }
            Ok(tree)
        });
        match result {
            Ok(tree) => {
                let open = self.slots[slot].as_mut().unwrap();
                open.touched.insert(tree.0);
                open.changes.created.insert(tree.0);
                open.changes.overlay.insert(tree.0, made);
            }
            Err(error) => {
                self.code(&error, "create")?;
                self.undo_statement(slot, before)?;
            }
        }
        Ok(())
    }

    fn roll_back(&mut self, slot: usize) -> std::result::Result<(), Dead> {
        let open = self.slots[slot].take().unwrap();
        let keys: Vec<_> = open.written.iter().cloned().collect();
        let before = self.store().stats().writing_transactions;
        let wrote = open.tx.has_written();
        let result = open.tx.rollback();
        if self.store().stats().writing_transactions == before && wrote {
            self.zombies.extend(keys);
        }
        result.map_err(|error| match self.code(&error, "rollback") {
            Ok(code) => panic!("rollback: {code}"),
            Err(dead) => dead,
        })
    }

    fn commit(&mut self, slot: usize) -> std::result::Result<(), Dead> {
        let open = self.slots[slot].take().unwrap();
        match open.tx.commit() {
            Ok(()) => {
                self.commits += 1;
                self.stats.commits += 1;
                apply(&mut self.committed, &open.changes, self.commits);
                Ok(())
            }
            Err(error) => {
                assert_ne!(error.code().as_str(), "53100", "a commit has its room kept: {error:?}");
                self.in_doubt.push(open.changes);
                self.code(&error, "commit").map(|code| panic!("commit: {code}"))
            }
        }
    }

    /// One step of the simulation.
    fn step(&mut self) -> std::result::Result<(), Dead> {
        self.stats.operations += 1;
        let slot = self.rng.below(SLOTS as u64) as usize;
        match self.rng.below(200) {
            0..=3 => {
                let result = self.store().checkpoint();
                return self.tolerate(result, "checkpoint");
            }
            4..=11 => {
                let result = self.store().upkeep(Upkeep::Checkpointer);
                if result.is_ok() {
                    self.zombies.clear();
                }
                return self.tolerate(result, "checkpointer");
            }
            12..=17 => {
                let result = self.store().upkeep(Upkeep::Sweeper);
                return self.tolerate(result, "sweeper");
            }
            18..=21 => {
                let result = self.store().upkeep(Upkeep::PageWriter);
                return self.tolerate(result, "page writer");
            }
            22 => {
                let left = self.rng.below(150 << 10);
                self.disk.limit(Some(self.disk.used() + left), false);
                self.limited = true;
                return Ok(());
            }
            23 => {
                self.disk.limit(None, false);
                self.limited = false;
                return Ok(());
            }
            _ => {}
        }
        if self.slots[slot].is_none() {
            let isolation = match self.rng.below(4) {
                0 => IsolationLevel::RepeatableRead,
                _ => IsolationLevel::ReadCommitted,
            };
            let tx = self.store().begin(TransactionOptions {
                isolation,
                lock_timeout: Some(Duration::ZERO),
                ..TransactionOptions::default()
            });
            tx.start_statement();
            let seen = (isolation == IsolationLevel::RepeatableRead).then(|| self.committed.clone());
            self.slots[slot] = Some(Open {
                tx,
                changes: Changes::default(),
                savepoints: Vec::new(),
                seen,
                commit: self.commits,
                touched: BTreeSet::new(),
                written: BTreeSet::new(),
            });
            return Ok(());
        }
        match self.rng.below(40) {
            0..=2 => self.commit(slot),
            3 => self.roll_back(slot),
            4 | 5 => {
                let open = self.slots[slot].as_mut().unwrap();
                let point = open.tx.savepoint();
                open.savepoints.push((point, open.changes.clone()));
                Ok(())
            }
            6 => {
                let open = self.slots[slot].as_mut().unwrap();
                if let Some((point, then)) = open.savepoints.pop() {
                    match open.tx.rollback_to(point) {
                        Ok(()) => open.changes = then,
                        Err(error) => {
                            self.code(&error, "rollback to a savepoint")?;
                            return self.roll_back(slot);
                        }
                    }
                }
                Ok(())
            }
            7 => self.tree_change(slot),
            _ => {
                self.statement(slot)?;
                if let Some(open) = &mut self.slots[slot] {
                    open.note_written();
                }
                Ok(())
            }
        }
    }

    fn tolerate(&mut self, result: Result<()>, what: &str) -> std::result::Result<(), Dead> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => self.code(&error, what).map(|_| ()),
        }
    }

    /// Opens the store, in between with the power cut again, and compares everything.
    fn recover(&mut self, seed: u64) {
        self.disk.limit(None, false);
        self.disk.fail_syncs_of(None);
        self.limited = false;
        for _ in 0..self.rng.below(3) {
            self.disk = self.disk.crash(self.rng.random());
            self.disk.cut_after(self.rng.below(120));
            let _ = Store::open_on(Arc::new(self.disk.clone()), &self.options);
        }
        self.disk = self.disk.crash(self.rng.random());
        // Now and then the disk is as good as full.
        if self.rng.below(8) == 0 {
            self.disk.limit(Some(self.disk.used() + self.rng.below(64 << 10)), false);
        }
        let store = match Store::open_on(Arc::new(self.disk.clone()), &self.options) {
            Err(error) if error.code().as_str() == "53100" => {
                self.disk.limit(None, false);
                Store::open_on(Arc::new(self.disk.clone()), &self.options)
            }
            other => other,
        };
        let store = store.unwrap_or_else(|error| panic!("recovery: {error:?}"));
        self.disk.limit(None, false);
        let report = store.check().unwrap();
        assert!(report.problems.is_empty(), "after recovery: {:#?}", report.problems);
        let tx = store.begin(TransactionOptions::default());
        let mut candidates = vec![self.committed.clone()];
        for doubtful in std::mem::take(&mut self.in_doubt) {
            let mut with = self.committed.clone();
            apply(&mut with, &doubtful, self.commits + 1);
            candidates.push(with);
        }
        let matching = candidates.into_iter().find(|candidate| {
            live(candidate).iter().all(|(tree, records)| {
                let mut sink = Collect(Vec::new());
                let scanned = tx.scan(TreeId(*tree), KeyRange::all(), Direction::Forward);
                let scanned = scanned.and_then(|mut scan| {
                    while scan.fill(&mut sink)? {}
                    Ok(())
                });
                scanned.is_ok() && sink.0.iter().map(|(k, v)| (k, v)).eq(records.iter())
            })
        });
        drop(tx);
        self.commits += 1;
        self.committed =
            matching.unwrap_or_else(|| panic!("seed {seed}: what was recovered is not what was committed"));
        self.zombies.clear();
        self.store = Some(store);
    }

    fn run(&mut self, seed: u64, operations: u64) {
        self.store = Some(Store::open_on(Arc::new(self.disk.clone()), &self.options).unwrap());
        while self.stats.operations < operations {
            match self.rng.below(4) {
                0 => {}
                1 => self.disk.cut_after(self.rng.below(40)),
                _ => self.disk.cut_after(self.rng.below(1500)),
            }
            let until = (self.stats.operations + 50 + self.rng.below(500)).min(operations);
            let mut dead = false;
            while self.stats.operations < until && !dead {
                if self.rng.below(2000) == 0 {
                    let file = ["log.", "cairn.pages", "cairn.doublewrite", "cairn.control"];
                    self.disk.fail_syncs_of(Some(file[self.rng.below(4) as usize]));
                }
                dead = self.step().is_err();
            }
            // The end of an era: a crash, or an orderly end with transactions open or rolled back.
            let close = !dead && self.rng.below(3) == 0;
            for slot in 0..SLOTS {
                if let Some(open) = self.slots[slot].take() {
                    // Lost with the process, as it would be: no rollback reaches the disk.
                    if !close || self.rng.below(2) == 0 {
                        self.disk.cut_after(0);
                    }
                    drop(open);
                }
            }
            let store = self.store.take().unwrap();
            if close {
                let _ = store.close();
            } else {
                self.disk.cut_after(0);
            }
            drop(store);
            self.stats.crashes += 1;
            self.recover(seed);
        }
        let store = self.store.take().unwrap();
        store.close().unwrap();
    }
}

fn one(seed: u64, operations: u64) -> std::result::Result<Stats, ()> {
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut sim = Sim::new(seed);
        sim.run(seed, operations);
        sim.stats
    }));
    run.map_err(|_| {
        eprintln!("sim: seed {seed} FAILED; replay with: cargo sim --seed {seed} --ops {operations}");
    })
}

fn main() -> ExitCode {
    let (mut seed, mut seeds, mut operations) = (0, 24, 700);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        let place = match argument.as_str() {
            "--seed" => {
                seeds = 1;
                &mut seed
            }
            "--seeds" => &mut seeds,
            "--ops" => &mut operations,
            // What `cargo test` passes on to every test.
            "--nocapture" | "--quiet" | "-q" => continue,
            other => {
                if !other.starts_with('-') && !"sim".contains(other) {
                    println!("sim: not asked for");
                    return ExitCode::SUCCESS;
                }
                eprintln!("usage: cargo sim [--seed N] [--ops M] [--seeds K]; what is {other}?");
                return ExitCode::FAILURE;
            }
        };
        match number() {
            Some(value) => *place = value,
            None => {
                eprintln!("sim: {argument} takes a number");
                return ExitCode::FAILURE;
            }
        }
    }
    let started = Instant::now();
    let mut total = Stats::default();
    let mut failed = 0;
    for seed in seed..seed + seeds {
        match one(seed, operations) {
            Ok(stats) => {
                total.operations += stats.operations;
                total.commits += stats.commits;
                total.crashes += stats.crashes;
                total.refused += stats.refused;
            }
            Err(()) => failed += 1,
        }
    }
    println!(
        "sim: seeds {seed}..{}, {} operations, {} commits, {} crashes or closes, {} refusals of a full disk, {failed} failed, {:.1} s",
        seed + seeds,
        total.operations,
        total.commits,
        total.crashes,
        total.refused,
        started.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
