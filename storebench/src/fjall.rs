//! fjall: a log-structured merge tree. Every commit is followed by a sync of its journal.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::engine::{Engine, Result, Session};

struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

pub fn open(directory: &Path, memory_bytes: usize) -> Result<Box<dyn Engine>> {
    let database = Database::builder(directory.join("fjall")).cache_size(memory_bytes as u64).open()?;
    let keyspace = database.keyspace("bench", KeyspaceCreateOptions::default)?;
    Ok(Box::new(Fjall { database, keyspace }))
}

impl Engine for Fjall {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }
}

impl Session for &Fjall {
    fn read(&mut self, keys: &[u64]) -> Result<u64> {
        let mut found = 0;
        for key in keys {
            let value = self.keyspace.get(key.to_be_bytes())?;
            found += u64::from(value.is_some_and(|value| std::hint::black_box(value[0]) < u8::MAX));
        }
        Ok(found)
    }

    fn put(&mut self, keys: &[u64], value: &[u8]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for key in keys {
            batch.insert(&self.keyspace, key.to_be_bytes(), value);
        }
        Ok(batch.commit()?)
    }

    fn scan(&mut self, from: u64, limit: u64) -> Result<u64> {
        let (mut count, mut sum) = (0, 0);
        for entry in self.keyspace.range(from.to_be_bytes()..).take(limit as usize) {
            let (key, value) = entry.into_inner()?;
            sum += u64::from(key[7]) + u64::from(value[0]);
            count += 1;
        }
        std::hint::black_box(sum);
        Ok(count)
    }
}
