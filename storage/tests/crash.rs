//! Power cuts at any write, again during recovery, failing syncs and rotten bits.
//!
//! A simulated disk loses, tears and reorders what was not synced. Afterwards all acknowledged commits must
//! be there, nothing unfinished, and every page accounted for.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::sim::{Rng, SimDisk};
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, Transaction, TransactionOptions,
    TreeId,
};
use types::Result;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> StoreOptions {
    StoreOptions {
        buffer_size_bytes: 1 << 20,
        checkpoint_log_bytes: 150 << 10,
        segment_size_bytes: 64 << 10,
        ..StoreOptions::new("unused")
    }
}

fn open(disk: &SimDisk) -> Result<Arc<Store>> {
    Store::open_on(Arc::new(disk.clone()), &options())
}

struct Collect(Vec<(Vec<u8>, Vec<u8>)>);

impl RecordSink for Collect {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push((key.to_vec(), record.to_vec()));
        Ok(true)
    }
}

fn contents(store: &Arc<Store>, tree: TreeId) -> Result<Model> {
    let tx = store.begin(TransactionOptions::default());
    let mut sink = Collect(Vec::new());
    tx.scan(tree, KeyRange::all(), Direction::Forward)?.fill(&mut sink)?;
    Ok(sink.0.into_iter().collect())
}

const TABLE: TreeId = TreeId(1);
const INDEX: TreeId = TreeId(2);

/// Changes a row and its index entry (record reversed → key) together.
fn change(tx: &Transaction, model: &mut Model, rng: &mut Rng) -> Result<()> {
    tx.start_statement();
    let key = rng.below(400).to_be_bytes().to_vec();
    let len = if rng.below(40) == 0 { 9000 } else { 8 + rng.below(300) };
    // Every third record gets smaller when it is compressed.
    let varied = if rng.below(3) == 0 { 50 } else { len };
    let record: Vec<u8> = (0..len).map(|i| if i < varied { rng.random() as u8 } else { i as u8 }).collect();
    let entry = |record: &[u8], key: &[u8]| [&record[..8], key].concat();
    match model.get(&key).cloned() {
        None => {
            assert_eq!(tx.insert(TABLE, &key, &record)?, InsertOutcome::Done);
            assert_eq!(tx.insert(INDEX, &entry(&record, &key), &key)?, InsertOutcome::Done);
            model.insert(key, record);
        }
        Some(old) => {
            let _ = tx.delete(INDEX, &entry(&old, &key))?;
            if rng.below(3) == 0 {
                let _ = tx.delete(TABLE, &key)?;
                model.remove(&key);
            } else {
                let _ = tx.update(TABLE, &key, &record)?;
                assert_eq!(tx.insert(INDEX, &entry(&record, &key), &key)?, InsertOutcome::Done);
                model.insert(key, record);
            }
        }
    }
    Ok(())
}

/// Runs transactions until the disk fails. `committed` is what was acknowledged; the result, what a commit
/// in flight would have made of it.
fn run(store: &Arc<Store>, committed: &mut Model, rng: &mut Rng) -> Option<Model> {
    for _ in 0..200 {
        let tx = store.begin(TransactionOptions::default());
        let mut tentative = committed.clone();
        let steps = if rng.below(10) == 0 { 120 } else { rng.below(12) };
        let mut savepoint = None;
        for _ in 0..steps {
            if change(&tx, &mut tentative, rng).is_err() {
                return None;
            }
            match rng.below(12) {
                0 => savepoint = Some((tx.savepoint(), tentative.clone())),
                1 => {
                    if let Some((point, then)) = savepoint.take() {
                        if tx.rollback_to(point).is_err() {
                            return None;
                        }
                        tentative = then;
                    }
                }
                2 => {
                    // A tree that lives or dies with the transaction, half of the time with content.
                    let Ok(tree) = tx.create_tree() else { return None };
                    for i in 0..rng.below(3) * 40 {
                        if tx.insert(tree, &i.to_be_bytes(), &[3; 700]).is_err() {
                            return None;
                        }
                    }
                    if tx.drop_tree(tree).is_err() {
                        return None;
                    }
                }
                _ => {}
            }
        }
        if rng.below(5) == 0 {
            if tx.rollback().is_err() {
                return None;
            }
        } else {
            match tx.commit() {
                Ok(()) => *committed = tentative,
                Err(_) => return Some(tentative),
            }
        }
    }
    None
}

fn verify(store: &Arc<Store>, seed: u64, committed: &mut Model, in_doubt: Option<Model>) {
    let report = store.check().unwrap();
    assert!(report.problems.is_empty(), "seed {seed}: {:#?}", report.problems);
    let table = contents(store, TABLE).unwrap();
    if in_doubt.as_ref() == Some(&table) {
        *committed = table.clone();
    }
    assert!(table == *committed, "seed {seed}: the table is not as committed");
    let index: Model = table.iter().map(|(k, v)| ([&v[..8], k].concat(), k.clone())).collect();
    assert!(contents(store, INDEX).unwrap() == index, "seed {seed}: the index is not as the table");
}

fn rounds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut rng = Rng::new(seed);
        let mut disk = SimDisk::new();
        let mut committed = Model::new();
        for round in 0..4 {
            let most = if rng.below(3) == 0 { 3000 } else { 400 };
            disk.cut_after(30 + rng.below(most));
            let mut in_doubt = None;
            if let Ok(store) = open(&disk) {
                in_doubt = run(&store, &mut committed, &mut rng);
            }
            // Recovery itself is cut a few times.
            for _ in 0..rng.below(4) {
                disk = disk.crash(rng.random());
                disk.cut_after(rng.below(150));
                drop(open(&disk));
            }
            disk = disk.crash(rng.random());
            let store = open(&disk).unwrap_or_else(|e| panic!("seed {seed}, round {round}: {e:?}"));
            verify(&store, seed, &mut committed, in_doubt);
        }
    }
}

#[test]
fn any_power_cut_recovers_to_a_commit() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    rounds(0..seeds);
}

#[test]
fn a_cut_while_the_store_is_created_can_be_begun_again() {
    for changes in 0..200 {
        let disk = SimDisk::new();
        disk.cut_after(changes);
        let created = open(&disk).is_ok();
        let disk = disk.crash(changes);
        let store = open(&disk).unwrap_or_else(|e| panic!("after {changes} changes: {e:?}"));
        assert!(store.check().unwrap().problems.is_empty());
        if created {
            return;
        }
    }
    panic!("the store is never complete");
}

#[test]
fn after_a_failed_sync_nothing_is_written_and_nothing_acknowledged_is_lost() {
    let disk = SimDisk::new();
    let store = open(&disk).unwrap();
    let tx = store.begin(TransactionOptions::default());
    assert_eq!(tx.insert(TABLE, b"kept", b"1").unwrap(), InsertOutcome::Done);
    tx.commit().unwrap();
    disk.fail_syncs(true);
    let tx = store.begin(TransactionOptions::default());
    assert_eq!(tx.insert(TABLE, b"doubtful", b"1").unwrap(), InsertOutcome::Done);
    assert_eq!(tx.commit().unwrap_err().code().as_str(), "58030");
    disk.fail_syncs(false);
    let tx = store.begin(TransactionOptions::default());
    let error = tx.insert(TABLE, b"refused", b"1").unwrap_err();
    assert_eq!(error.code().as_str(), "58030");
    assert!(error.message().contains("takes no more writes"), "{error:?}");
    assert_eq!(tx.get(TABLE, b"kept", |r| r.to_vec()).unwrap(), Some(b"1".to_vec()), "readers go on");
    assert_eq!(tx.get(TABLE, b"doubtful", |r| r.to_vec()).unwrap(), None);
    drop(tx);
    drop(store);
    let store = open(&disk.crash(1)).unwrap();
    let table = contents(&store, TABLE).unwrap();
    assert_eq!(table.get(b"kept".as_slice()), Some(&b"1".to_vec()));
    assert!(!table.contains_key(b"refused".as_slice()));
}

/// Each file whose sync may fail, and what makes the store sync it.
#[test]
fn a_failed_sync_of_any_file_is_final_until_a_restart() {
    type Work = fn(&Arc<Store>) -> Result<()>;
    let commit: Work = |store| {
        let tx = store.begin(TransactionOptions::default());
        assert_eq!(tx.insert(TABLE, b"doubtful", b"1")?, InsertOutcome::Done);
        tx.commit()
    };
    let checkpoint: Work = |store| store.checkpoint();
    for (file, work) in [
        ("log.", commit),
        ("cairn.pages", checkpoint),
        ("cairn.doublewrite", checkpoint),
        ("cairn.control", checkpoint),
        // A new log file: nothing may ever be written to one of which it is unknown whether it is there.
        ("log.", |store| {
            let tx = store.begin(TransactionOptions::default());
            for i in 0..2000u64 {
                assert_eq!(tx.insert(INDEX, &i.to_be_bytes(), &[1; 200])?, InsertOutcome::Done);
            }
            tx.commit()
        }),
    ] {
        let disk = SimDisk::new();
        let store = open(&disk).unwrap();
        let tx = store.begin(TransactionOptions::default());
        assert_eq!(tx.insert(TABLE, b"kept", b"1").unwrap(), InsertOutcome::Done);
        tx.commit().unwrap();
        disk.fail_syncs_of(Some(file));
        let error = work(&store).unwrap_err();
        assert_eq!(error.code().as_str(), "58030", "{file}: {error:?}");
        // The disk says that all is well again: it cannot be believed.
        disk.fail_syncs_of(None);
        let tx = store.begin(TransactionOptions::default());
        let error = tx.insert(TABLE, b"refused", b"1").unwrap_err();
        assert_eq!(error.code().as_str(), "58030", "{file}: {error:?}");
        assert!(error.message().contains("takes no more writes"), "{file}: {error:?}");
        assert!(error.message().contains(&format!("could not fsync file \"{file}")), "{file}: {error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("restart")), "{file}: {error:?}");
        assert_eq!(store.checkpoint().unwrap_err().code().as_str(), "58030", "{file}");
        assert_eq!(tx.get(TABLE, b"kept", |r| r.to_vec()).unwrap(), Some(b"1".to_vec()), "readers go on");
        drop(tx);
        drop(store);
        let store = open(&disk.crash(1)).unwrap();
        let table = contents(&store, TABLE).unwrap();
        assert_eq!(table.get(b"kept".as_slice()), Some(&b"1".to_vec()), "{file}");
        assert!(!table.contains_key(b"refused".as_slice()), "{file}");
    }
}

#[test]
fn rotten_bits_are_noticed_and_never_read_as_data() {
    let disk = SimDisk::new();
    let store = open(&disk).unwrap();
    let mut model = Model::new();
    let tx = store.begin(TransactionOptions::default());
    for i in 0..30_000u64 {
        let (key, record) = (i.to_be_bytes().to_vec(), vec![i as u8; 200]);
        assert_eq!(tx.insert(TABLE, &key, &record).unwrap(), InsertOutcome::Done);
        model.insert(key, record);
    }
    tx.commit().unwrap();
    store.close().unwrap();
    drop(store);
    let pages = disk.bytes("cairn.pages").unwrap().len() / 16384;
    let mut rng = Rng::new(4);
    let mut noticed = 0;
    for _ in 0..60 {
        let hurt = disk.crash(0);
        let page = rng.below(pages as u64);
        let at = page * 16384 + rng.below(16384);
        if rng.below(4) == 0 {
            hurt.damage("cairn.pages", page * 16384, |bytes| bytes[..16384].fill(0));
        } else {
            hurt.damage("cairn.pages", at, |bytes| bytes[0] ^= 1 << (at % 8));
        }
        // The last batch of pages is repaired from its double; anything else is refused.
        let result = open(&hurt).and_then(|store| contents(&store, TABLE));
        match result {
            Ok(table) => assert!(table == model, "damage in page {page} was read as data"),
            Err(error) => {
                assert_eq!(error.code().as_str(), "XX001", "{error:?}");
                let named = error.message().contains("cairn.pages") && error.message().contains("offset");
                assert!(named, "{error:?}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 10, "only {noticed} of 60 damages were noticed");
}

#[test]
fn a_foreign_format_is_refused_with_a_hint() {
    let disk = SimDisk::new();
    open(&disk).unwrap().close().unwrap();
    let file = disk.open("cairn.control", false).unwrap();
    for slot in 0..2u64 {
        let mut bytes = [0u8; 512];
        file.read_at(&mut bytes, slot * 512).unwrap();
        bytes[8] = 99;
        let crc = crc_fast::crc32_iscsi(&bytes[..508]);
        bytes[508..].copy_from_slice(&crc.to_le_bytes());
        file.write_at(&bytes, slot * 512).unwrap();
    }
    let error = open(&disk).err().unwrap();
    assert_eq!(error.code().as_str(), "22023");
    assert!(error.hint().is_some() && error.message().contains("format version 99"), "{error:?}");
}
