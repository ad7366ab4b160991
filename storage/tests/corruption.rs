//! Damage to the files of a closed store is refused or harmless: no wrong answer, ever.
//!
//! `CAIRN_CORRUPTION_CASES=10000` for more. One kind cannot be noticed from a page alone: an old version of a
//! page, whole and in its place (a write that the disk acknowledged and lost). As long as the store stays open it
//! is; the third test says what is noticed after a restart.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::sim::{Rng, SimDisk};
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, TransactionOptions, TreeId,
    WriteOutcome,
};
use types::Result;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const TREES: [TreeId; 2] = [TreeId(1), TreeId(2)];
const PAGE: u64 = 16384;

fn options() -> StoreOptions {
    StoreOptions {
        buffer_size_bytes: 1 << 20,
        segment_size_bytes: 64 << 10,
        background: false,
        ..StoreOptions::new("unused")
    }
}

fn open(disk: &SimDisk) -> Result<Arc<Store>> {
    Store::open_on(Arc::new(disk.clone()), &options())
}

struct Collect(Model);

impl RecordSink for Collect {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.insert(key.to_vec(), record.to_vec());
        Ok(true)
    }
}

fn read(store: &Arc<Store>) -> Result<[Model; 2]> {
    let tx = store.begin(TransactionOptions::default());
    let mut models = [Model::new(), Model::new()];
    for (tree, model) in TREES.into_iter().zip(&mut models) {
        let mut sink = Collect(Model::new());
        let mut scan = tx.scan(tree, KeyRange::all(), Direction::Forward)?;
        while scan.fill(&mut sink)? {}
        *model = sink.0;
    }
    Ok(models)
}

/// Changes about a third of the records of both trees; some are long.
fn change(store: &Arc<Store>, models: &mut [Model; 2], rng: &mut Rng) {
    let tx = store.begin(TransactionOptions::default());
    for _ in 0..400 {
        tx.start_statement();
        let which = rng.below(2) as usize;
        let (tree, model) = (TREES[which], &mut models[which]);
        let key = rng.below(900).to_be_bytes().to_vec();
        let len = if rng.below(40) == 0 { 2500 + 6500 * rng.below(2) } else { 20 + rng.below(200) };
        // Every third record gets smaller when it is compressed.
        let varied = if rng.below(3) == 0 { 50 } else { len };
        let record: Vec<u8> =
            (0..len).map(|i| if i < varied { rng.random() as u8 } else { i as u8 }).collect();
        let known = model.contains_key(&key);
        if !known {
            assert_eq!(tx.insert(tree, &key, &record).unwrap(), InsertOutcome::Done);
            model.insert(key, record);
        } else if rng.below(4) == 0 {
            assert_eq!(tx.delete(tree, &key).unwrap(), WriteOutcome::Done);
            model.remove(&key);
        } else {
            assert_eq!(tx.update(tree, &key, &record).unwrap(), WriteOutcome::Done);
            model.insert(key, record);
        }
    }
    tx.commit().unwrap();
}

/// A closed store, what is in it, and how its page file was some time before.
fn closed_store() -> (SimDisk, [Model; 2], Vec<u8>) {
    let disk = SimDisk::new();
    let mut rng = Rng::new(17);
    let mut models = [Model::new(), Model::new()];
    let store = open(&disk).unwrap();
    for _ in 0..6 {
        change(&store, &mut models, &mut rng);
    }
    store.checkpoint().unwrap();
    let old = disk.bytes("cairn.pages").unwrap();
    for _ in 0..2 {
        change(&store, &mut models, &mut rng);
    }
    store.close().unwrap();
    (disk, models, old)
}

fn files(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

/// Damages the disk; says how. `None` when the bytes are as before.
fn damage(disk: &SimDisk, rng: &mut Rng) -> Option<String> {
    let names = files(disk);
    // Most of it where the data is.
    let name = if rng.below(2) == 0 { "cairn.pages" } else { &names[rng.below(names.len() as u64) as usize] };
    let before = disk.bytes(name).unwrap();
    let len = before.len() as u64;
    let what = match rng.below(8) {
        0..=2 => {
            let (at, bit) = (rng.below(len), rng.below(8));
            disk.damage(name, at, |bytes| bytes[0] ^= 1 << bit);
            format!("bit {bit} of byte {at} of {name} flipped")
        }
        3 => {
            let (at, count) = (rng.below(len / 512) * 512, 512 << rng.below(7));
            disk.damage(name, at, |bytes| {
                let count = bytes.len().min(count);
                bytes[..count].fill(0);
            });
            format!("{count} bytes of {name} from {at} on zeroed")
        }
        4 => {
            let (at, count) = (rng.below(len), 1 + rng.below(300) as usize);
            let noise: Vec<u8> = (0..count).map(|_| rng.random() as u8).collect();
            disk.damage(name, at, |bytes| {
                for (byte, noise) in bytes.iter_mut().zip(noise) {
                    *byte = noise;
                }
            });
            format!("{count} bytes of {name} from {at} on overwritten")
        }
        5 => {
            let to = rng.below(len);
            disk.open(name, false).unwrap().truncate(to).unwrap();
            format!("{name} cut to {to} bytes")
        }
        6 => {
            disk.remove(name).unwrap();
            return Some(format!("{name} removed"));
        }
        _ => {
            let bytes = disk.bytes("cairn.pages").unwrap();
            let pages = bytes.len() as u64 / PAGE;
            let (a, b) = (rng.below(pages), rng.below(pages));
            let page = |n: u64| bytes[(n * PAGE) as usize..((n + 1) * PAGE) as usize].to_vec();
            let (of_a, of_b) = (page(a), page(b));
            disk.damage("cairn.pages", a * PAGE, |bytes| bytes[..PAGE as usize].copy_from_slice(&of_b));
            disk.damage("cairn.pages", b * PAGE, |bytes| bytes[..PAGE as usize].copy_from_slice(&of_a));
            return (of_a != of_b).then(|| format!("pages {a} and {b} swapped"));
        }
    };
    (disk.bytes(name).unwrap() != before).then_some(what)
}

#[test]
fn no_damage_is_read_as_data() {
    let cases: u64 = std::env::var("CAIRN_CORRUPTION_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let (disk, models, _) = closed_store();
    assert!(read(&open(&disk.crash(0)).unwrap()).unwrap() == models);
    let (mut refused, mut on_read, mut harmless) = (0, 0, 0);
    let mut silent = Vec::new();
    for case in 0..cases {
        let mut rng = Rng::new(case);
        let hurt = disk.crash(0);
        let Some(what) = damage(&hurt, &mut rng) else { continue };
        let (opened, result) = match open(&hurt) {
            Ok(store) => (true, read(&store)),
            Err(error) => (false, Err(error)),
        };
        match result {
            Ok(found) if found == models => harmless += 1,
            Ok(_) => silent.push(format!("case {case}: {what}")),
            Err(error) => {
                let code = error.code();
                let code = code.as_str();
                // A missing file is an error of its own; 22023 is another format version.
                let missing = code == "58030" && error.message().contains("could not open file");
                assert!(
                    ["XX001", "XX002", "22023"].contains(&code) || missing,
                    "case {case}: {what}: {error:?}"
                );
                assert!(
                    error.message().contains("cairn.")
                        || error.message().contains("log.")
                        || error.message().contains("page")
                        || error.message().contains("the log")
                        || code == "22023",
                    "case {case}: {what}: where? {error:?}"
                );
                if opened { on_read += 1 } else { refused += 1 }
            }
        }
    }
    println!(
        "{cases} cases: {refused} refused at the start, {on_read} on reading, {harmless} changed no answer, {} silent",
        silent.len()
    );
    assert!(silent.is_empty(), "{silent:#?}");
    assert!(on_read > 0 && refused > 0 && harmless > 0);
}

#[test]
fn a_write_lost_in_this_run_is_always_noticed() {
    let disk = SimDisk::new();
    let mut rng = Rng::new(18);
    let mut models = [Model::new(), Model::new()];
    let store = open(&disk).unwrap();
    for _ in 0..6 {
        change(&store, &mut models, &mut rng);
    }
    store.checkpoint().unwrap();
    let old = disk.bytes("cairn.pages").unwrap();
    for _ in 0..2 {
        change(&store, &mut models, &mut rng);
    }
    store.checkpoint().unwrap();
    let now = disk.bytes("cairn.pages").unwrap();
    // Other pages take the place of all these in memory.
    let bulk = TreeId(3);
    let tx = store.begin(TransactionOptions::default());
    for key in 0..1000u64 {
        assert_eq!(tx.insert(bulk, &key.to_be_bytes(), &[1; 2000]).unwrap(), InsertOutcome::Done);
    }
    tx.commit().unwrap();
    let evict = || {
        let tx = store.begin(TransactionOptions::default());
        for key in 0..1000u64 {
            assert!(tx.get(bulk, &key.to_be_bytes(), |_| ()).unwrap().is_some());
        }
    };
    let (mut noticed, mut cached) = (0, 0);
    for page in 0..old.len().min(now.len()) / PAGE as usize {
        let range = page * PAGE as usize..(page + 1) * PAGE as usize;
        if old[range.clone()] == now[range.clone()] {
            continue;
        }
        let put = |bytes: &[u8]| {
            disk.damage("cairn.pages", range.start as u64, |place| {
                place[..PAGE as usize].copy_from_slice(bytes)
            });
        };
        evict();
        let whole = disk.bytes("cairn.pages").unwrap()[range.clone()].to_vec();
        put(&old[range.clone()]);
        match read(&store) {
            Ok(found) => {
                assert!(found == models, "page {page}: old records are answered");
                cached += 1;
            }
            Err(error) => {
                assert_eq!(error.code().as_str(), "XX001");
                noticed += 1;
            }
        }
        put(&whole);
    }
    println!("lost writes in this run: {noticed} noticed, {cached} in memory or without effect, none silent");
    assert!(noticed > 10, "{noticed} noticed, {cached} in memory or without effect");
}

/// A stale page passes every check of its own. It is noticed when it does not fit its parent or the log still
/// has what it lacks; otherwise its records are answered as they were. `docs/testing.md` says what would help.
#[test]
fn a_lost_write_is_noticed_only_where_the_page_does_not_fit() {
    let (disk, models, old) = closed_store();
    let now = disk.bytes("cairn.pages").unwrap();
    let (mut noticed, mut harmless, mut silent) = (0, 0, 0);
    for page in 0..old.len() / PAGE as usize {
        let range = page * PAGE as usize..(page + 1) * PAGE as usize;
        if old[range.clone()] == now[range.clone()] || old[range.clone()].iter().all(|byte| *byte == 0) {
            continue;
        }
        let hurt = disk.crash(0);
        hurt.damage("cairn.pages", range.start as u64, |bytes| {
            bytes[..PAGE as usize].copy_from_slice(&old[range.clone()]);
        });
        let checked = open(&hurt).and_then(|store| Ok((store.check()?.problems.len(), read(&store)?)));
        match checked {
            Ok((0, found)) if found == models => harmless += 1,
            Ok((0, _)) => silent += 1,
            Ok(_) | Err(_) => noticed += 1,
        }
    }
    println!("lost writes: {noticed} noticed, {harmless} without effect, {silent} silent");
    // Today's answer, and a wrong one: only a record elsewhere of each page's newest position could tell.
    assert!(
        silent > 0 && noticed > 0,
        "{noticed} noticed, {silent} silent: time to rewrite the documentation"
    );
}

#[test]
fn without_its_control_file_a_store_is_refused_and_left_alone() {
    let (disk, models, _) = closed_store();
    let control = disk.bytes("cairn.control").unwrap();
    disk.remove("cairn.control").unwrap();
    let error = open(&disk).err().unwrap();
    assert_eq!(error.code().as_str(), "XX001");
    assert!(error.message().contains("cairn.control"), "{error:?}");
    disk.open("cairn.control", true).unwrap().write_at(&control, 0).unwrap();
    assert!(read(&open(&disk).unwrap()).unwrap() == models);
}
