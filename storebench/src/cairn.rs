//! cairn's own store.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, Transaction, TreeId, WriteOutcome,
};

use crate::engine::{Engine, Result, Session};

const TREE: TreeId = TreeId(1);
/// The sweeper is given so long before reads are timed.
const SETTLE_MOST: Duration = Duration::from_secs(20);

struct Cairn(Arc<Store>);

pub fn open(directory: &Path, memory_bytes: usize) -> Result<Box<dyn Engine>> {
    let options =
        StoreOptions { buffer_size_bytes: memory_bytes, ..StoreOptions::new(directory.join("data")) };
    Ok(Box::new(Cairn(Store::open(options)?)))
}

impl Cairn {
    fn begin(&self) -> Transaction {
        let tx = self.0.begin(Default::default());
        tx.start_statement();
        tx
    }
}

impl Engine for Cairn {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn settle(&self) {
        let started = Instant::now();
        while self.0.stats().versioned_pages > 0 && started.elapsed() < SETTLE_MOST {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Count {
    left: u64,
    sum: u64,
}

impl RecordSink for Count {
    fn record(&mut self, key: &[u8], record: &[u8]) -> types::Result<bool> {
        self.sum += u64::from(key[7]) + u64::from(record[0]);
        self.left -= 1;
        Ok(self.left > 0)
    }
}

impl Session for &Cairn {
    fn read(&mut self, keys: &[u64]) -> Result<u64> {
        let tx = self.begin();
        let mut found = 0;
        for key in keys {
            let read = tx.get(TREE, &key.to_be_bytes(), |record| std::hint::black_box(record[0]))?;
            found += u64::from(read.is_some());
        }
        Ok(found)
    }

    fn put(&mut self, keys: &[u64], value: &[u8]) -> Result<()> {
        // Two who write the same keys in other orders may be told to try again.
        'again: loop {
            let tx = self.begin();
            for key in keys {
                let key = key.to_be_bytes();
                loop {
                    match tx.insert(TREE, &key, value) {
                        Ok(InsertOutcome::Done) => break,
                        Ok(InsertOutcome::Duplicate) => {}
                        Err(error) if error.code().as_str() == "40P01" => continue 'again,
                        Err(error) => return Err(error.into()),
                    }
                    match tx.update(TREE, &key, value) {
                        Ok(WriteOutcome::Done | WriteOutcome::SelfModified) => break,
                        Ok(WriteOutcome::Missing | WriteOutcome::Changed) => tx.start_statement(),
                        Err(error) if error.code().as_str() == "40P01" => continue 'again,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            return Ok(tx.commit()?);
        }
    }

    fn scan(&mut self, from: u64, limit: u64) -> Result<u64> {
        let tx = self.begin();
        let lower = std::ops::Bound::Included(from.to_be_bytes().to_vec());
        let range = KeyRange::new(lower, std::ops::Bound::Unbounded);
        let mut scan = tx.scan(TREE, range, Direction::Forward)?;
        let mut count = Count { left: limit, sum: 0 };
        scan.fill(&mut count)?;
        std::hint::black_box(count.sum);
        Ok(limit - count.left)
    }
}
