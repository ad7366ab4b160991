//! Directories that earlier versions wrote open and read as they were: `testdata/v1.txt` is one.
//!
//! The text has the lines of every file that are not zero, so that it is small. A format version gets a file of
//! its own, made once by `MAKE_CORPUS=1 cargo test -p storage --test corpus` and never again.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::disk::Disk;
use storage::disk::sim::SimDisk;
use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, TransactionOptions, TreeId,
    WriteOutcome,
};
use types::Result;

const LINE: usize = 64;

fn options() -> StoreOptions {
    StoreOptions {
        buffer_size_bytes: 1 << 20,
        segment_size_bytes: 64 << 10,
        background: false,
        ..StoreOptions::new("unused")
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1.txt")
}

/// The rows of tree 1: short, empty and long ones. Every third was changed, every seventh is deleted.
fn expected() -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..150u32)
        .filter(|i| i % 7 != 6)
        .map(|i| {
            let record = match i {
                40 => vec![b'L'; 9000],
                _ if i % 3 == 0 => format!("changed {i}").into_bytes(),
                _ if i % 5 == 0 => Vec::new(),
                _ => format!("row {i}").into_bytes(),
            };
            (i.to_be_bytes().to_vec(), record)
        })
        .collect()
}

fn write(store: &Arc<Store>) {
    let tx = store.begin(TransactionOptions::default());
    let tree = TreeId(1);
    let rows = expected();
    for i in 0..150u32 {
        let row = rows.iter().find(|(key, _)| *key == i.to_be_bytes());
        let first = row.map_or(b"deleted".to_vec(), |(_, record)| record.clone());
        let first = if i % 3 == 0 { b"first".to_vec() } else { first };
        assert_eq!(tx.insert(tree, &i.to_be_bytes(), &first).unwrap(), InsertOutcome::Done);
    }
    tx.start_statement();
    for (key, record) in rows.iter().filter(|(_, record)| record.starts_with(b"changed")) {
        assert_eq!(tx.update(tree, key, record).unwrap(), WriteOutcome::Done);
    }
    for i in (0..150u32).filter(|i| i % 7 == 6) {
        assert_eq!(tx.delete(tree, &i.to_be_bytes()).unwrap(), WriteOutcome::Done);
    }
    tx.commit().unwrap();
}

/// A store that was not closed: its log has committed rows that no page has, and unfinished ones.
fn make() -> String {
    let disk = SimDisk::new();
    let store = Store::open_on(Arc::new(disk.clone()), &options()).unwrap();
    write(&store);
    let unfinished = store.begin(TransactionOptions::default());
    assert_eq!(unfinished.insert(TreeId(1), b"unfinished", b"x").unwrap(), InsertOutcome::Done);
    let other = store.begin(TransactionOptions::default());
    assert_eq!(other.insert(TreeId(2), b"key", b"record").unwrap(), InsertOutcome::Done);
    other.commit().unwrap();
    disk.cut_after(0);
    let mut text = String::new();
    let files = disk.crash(1);
    let mut names = files.list().unwrap();
    names.sort();
    for name in names {
        let bytes = files.bytes(&name).unwrap();
        writeln!(text, "{name} {}", bytes.len()).unwrap();
        for (i, line) in bytes.chunks(LINE).enumerate().filter(|(_, line)| line.iter().any(|b| *b != 0)) {
            let hex: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "  {:x} {hex}", i * LINE).unwrap();
        }
    }
    text
}

fn load(text: &str) -> SimDisk {
    let disk = SimDisk::new();
    let mut file = None;
    for line in text.lines() {
        let (first, second) = line.trim().split_once(' ').unwrap();
        if line.starts_with("  ") {
            let offset = u64::from_str_radix(first, 16).unwrap();
            let bytes: Vec<u8> = (0..second.len() / 2)
                .map(|i| u8::from_str_radix(&second[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            let file: &Arc<dyn storage::disk::DiskFile> = file.as_ref().unwrap();
            file.write_at(&bytes, offset).unwrap();
        } else {
            let made = disk.open(first, true).unwrap();
            made.truncate(second.parse().unwrap()).unwrap();
            file = Some(made);
        }
    }
    disk
}

struct Collect(Vec<(Vec<u8>, Vec<u8>)>);

impl RecordSink for Collect {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push((key.to_vec(), record.to_vec()));
        Ok(true)
    }
}

#[test]
fn version_1_opens_and_reads_as_it_was() {
    if std::env::var_os("MAKE_CORPUS").is_some() {
        assert!(!path().exists(), "a corpus is made once; a new format version gets a new file");
        std::fs::create_dir_all(path().parent().unwrap()).unwrap();
        std::fs::write(path(), make()).unwrap();
    }
    let disk = load(&std::fs::read_to_string(path()).unwrap());
    // Once with the log to replay, once as that left it.
    for _ in 0..2 {
        let store = Store::open_on(Arc::new(disk.clone()), &options()).unwrap();
        let report = store.check().unwrap();
        assert!(report.problems.is_empty(), "{:#?}", report.problems);
        let tx = store.begin(TransactionOptions::default());
        let mut sink = Collect(Vec::new());
        tx.scan(TreeId(1), KeyRange::all(), Direction::Forward).unwrap().fill(&mut sink).unwrap();
        assert_eq!(sink.0, expected());
        let record = tx.get(TreeId(2), b"key", |record| record.to_vec()).unwrap();
        assert_eq!(record, Some(b"record".to_vec()));
        // From the first moment on, the old program refuses it: a long record is something it does not know.
        let control = disk.bytes("cairn.control").unwrap();
        assert!(control[8] == 2 || control[520] == 2);
        assert_eq!(tx.insert(TreeId(2), b"long", &[b'x'; 1 << 20]).unwrap(), InsertOutcome::Done);
        assert_eq!(tx.get(TreeId(2), b"long", |_| ()).unwrap(), None);
        drop(tx);
        store.close().unwrap();
    }
}
