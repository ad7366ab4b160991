//! SQLite (the system's library): WAL mode, synchronous=FULL, a connection per thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::engine::{Engine, Result, Session};

struct Sqlite {
    path: PathBuf,
    memory_bytes: usize,
}

pub fn open(directory: &Path, memory_bytes: usize) -> Result<Box<dyn Engine>> {
    let engine = Sqlite { path: directory.join("sqlite"), memory_bytes };
    engine.connect()?.execute_batch("create table bench (k integer primary key, v blob not null)")?;
    Ok(Box::new(engine))
}

impl Sqlite {
    fn connect(&self) -> Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        let kib = self.memory_bytes / 1024;
        connection.execute_batch(&format!(
            "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -{kib};"
        ))?;
        Ok(connection)
    }
}

impl Engine for Sqlite {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self.connect()?))
    }
}

impl Session for Connection {
    fn read(&mut self, keys: &[u64]) -> Result<u64> {
        let tx = self.transaction()?;
        let mut found = 0;
        {
            let mut get = tx.prepare_cached("select v from bench where k = ?")?;
            for key in keys {
                let first = get.query_row([*key as i64], |row| Ok(row.get_ref(0)?.as_blob()?[0]));
                found += u64::from(first.optional()?.is_some());
            }
        }
        tx.commit()?;
        Ok(found)
    }

    fn put(&mut self, keys: &[u64], value: &[u8]) -> Result<()> {
        let tx = self.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut put = tx.prepare_cached("insert or replace into bench values (?, ?)")?;
            for key in keys {
                put.execute((*key as i64, value))?;
            }
        }
        Ok(tx.commit()?)
    }

    fn scan(&mut self, from: u64, limit: u64) -> Result<u64> {
        let mut scan = self.prepare_cached("select k, v from bench where k >= ? order by k limit ?")?;
        let mut rows = scan.query([from as i64, limit as i64])?;
        let (mut count, mut sum) = (0, 0);
        while let Some(row) = rows.next()? {
            sum += row.get::<_, i64>(0)? as u64 + u64::from(row.get_ref(1)?.as_blob()?[0]);
            count += 1;
        }
        std::hint::black_box(sum);
        Ok(count)
    }
}
