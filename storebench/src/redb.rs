//! redb: copy-on-write B-trees, one writer at a time. Commits with its default, immediate durability.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::engine::{Engine, Result, Session};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

struct Redb(Database);

pub fn open(directory: &Path, memory_bytes: usize) -> Result<Box<dyn Engine>> {
    let database = Database::builder().set_cache_size(memory_bytes).create(directory.join("redb"))?;
    let write = database.begin_write()?;
    write.open_table(TABLE)?;
    write.commit()?;
    Ok(Box::new(Redb(database)))
}

impl Engine for Redb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }
}

impl Session for &Redb {
    fn read(&mut self, keys: &[u64]) -> Result<u64> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut found = 0;
        for key in keys {
            let value = table.get(key.to_be_bytes().as_slice())?;
            found += u64::from(value.is_some_and(|value| std::hint::black_box(value.value()[0]) < u8::MAX));
        }
        Ok(found)
    }

    fn put(&mut self, keys: &[u64], value: &[u8]) -> Result<()> {
        let write = self.0.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for key in keys {
                table.insert(key.to_be_bytes().as_slice(), value)?;
            }
        }
        Ok(write.commit()?)
    }

    fn scan(&mut self, from: u64, limit: u64) -> Result<u64> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let (mut count, mut sum) = (0, 0);
        for entry in table.range(from.to_be_bytes().as_slice()..)?.take(limit as usize) {
            let (key, value) = entry?;
            sum += u64::from(key.value()[7]) + u64::from(value.value()[0]);
            count += 1;
        }
        std::hint::black_box(sum);
        Ok(count)
    }
}
