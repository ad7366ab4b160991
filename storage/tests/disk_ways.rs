//! The ways to write files (`wal_sync_method`, direct I/O) lead to the same store: each reads what the others wrote.

#![allow(clippy::unwrap_used)]

use storage::{
    Direction, InsertOutcome, KeyRange, LogSync, RecordSink, Store, StoreOptions, TransactionOptions, TreeId,
};
use types::Result;

struct Count(u64);

impl RecordSink for Count {
    const NEEDS_KEY: bool = false;

    fn record(&mut self, _key: &[u8], record: &[u8]) -> Result<bool> {
        assert_eq!(record.len(), 500);
        self.0 += 1;
        Ok(true)
    }
}

#[test]
fn every_way_goes_on_where_another_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let options = |round: usize| StoreOptions {
        buffer_size_bytes: 2 << 20,
        segment_size_bytes: 256 << 10,
        log_sync: [LogSync::OpenDatasync, LogSync::Fsync, LogSync::OpenSync, LogSync::Fdatasync][round % 4],
        direct_pages: round % 2 == 1,
        ..StoreOptions::new(directory.path())
    };
    for round in 0..8usize {
        let store = match Store::open(options(round)) {
            Err(error) if error.code().as_str() == "0A000" => continue,
            opened => opened.unwrap(),
        };
        for _ in 0..10 {
            let tx = store.begin(TransactionOptions::default());
            let before = store.tree_records(TreeId(1));
            for i in before..before + 200 {
                // Scattered, so that more pages are touched than there are frames.
                let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                assert_eq!(tx.insert(TreeId(1), &key, &[round as u8; 500]).unwrap(), InsertOutcome::Done);
            }
            tx.commit().unwrap();
        }
        let tx = store.begin(TransactionOptions::default());
        let mut count = Count(0);
        let mut scan = tx.scan(TreeId(1), KeyRange::all(), Direction::Forward).unwrap();
        while scan.fill(&mut count).unwrap() {}
        assert_eq!(count.0, store.tree_records(TreeId(1)));
        assert_eq!(count.0 % 2000, 0);
        assert!(count.0 >= 2000 * (1 + round as u64 / 2));
        drop((tx, scan));
        let report = store.check().unwrap();
        assert!(report.problems.is_empty(), "{:#?}", report.problems);
        // Half of them end as a killed process does.
        if round % 3 != 0 {
            store.close().unwrap();
        }
    }
}
