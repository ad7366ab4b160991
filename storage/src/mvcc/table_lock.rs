//! Table locks: PostgreSQL's eight modes, held to the end of the transaction.
//!
//! The layer above names what it locks by a number (a relation's OID); nothing in here knows tables. A
//! lock is given back when its transaction is over *and* what it published is published
//! ([`crate::Transaction::commit_then`]), so that whoever waited for it sees the schema it left behind.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::undo::TxState;

const SHARDS: usize = 16;

/// The lock modes, weakest first; they conflict as in PostgreSQL's table 13.2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TableLock {
    /// SELECT.
    AccessShare,
    /// SELECT … FOR UPDATE and its kin.
    RowShare,
    /// INSERT, UPDATE, DELETE.
    RowExclusive,
    /// ANALYZE.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    ShareRowExclusive,
    Exclusive,
    /// DROP, ALTER, TRUNCATE.
    AccessExclusive,
}

impl TableLock {
    fn bit(self) -> u8 {
        1 << (self as u8)
    }

    /// The modes that cannot be held by another beside this one, as a set of [`TableLock::bit`]s.
    fn conflicts(self) -> u8 {
        match self {
            TableLock::AccessShare => 0b1000_0000,
            TableLock::RowShare => 0b1100_0000,
            TableLock::RowExclusive => 0b1111_0000,
            TableLock::ShareUpdateExclusive => 0b1111_1000,
            TableLock::Share => 0b1110_1100,
            TableLock::ShareRowExclusive => 0b1111_1100,
            TableLock::Exclusive => 0b1111_1110,
            TableLock::AccessExclusive => 0b1111_1111,
        }
    }

    /// As deadlock reports and `pg_locks` name it.
    pub fn name(self) -> &'static str {
        match self {
            TableLock::AccessShare => "AccessShareLock",
            TableLock::RowShare => "RowShareLock",
            TableLock::RowExclusive => "RowExclusiveLock",
            TableLock::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            TableLock::Share => "ShareLock",
            TableLock::ShareRowExclusive => "ShareRowExclusiveLock",
            TableLock::Exclusive => "ExclusiveLock",
            TableLock::AccessExclusive => "AccessExclusiveLock",
        }
    }
}

struct Holder {
    tx: Arc<TxState>,
    /// The modes it holds, as bits.
    modes: u8,
}

#[derive(Default)]
pub struct TableLocks {
    shards: [Mutex<HashMap<u64, Vec<Holder>>>; SHARDS],
}

impl TableLocks {
    fn shard(&self, table: u64) -> &Mutex<HashMap<u64, Vec<Holder>>> {
        &self.shards[table as usize % SHARDS]
    }

    /// Grants the lock (true: `me` had none on the table before), or names who is in the way.
    pub fn acquire(&self, table: u64, mode: TableLock, me: &Arc<TxState>) -> Result<bool, Arc<TxState>> {
        let mut shard = self.shard(table).lock();
        let holders = shard.entry(table).or_default();
        if let Some(other) =
            holders.iter().find(|holder| holder.tx.id != me.id && holder.modes & mode.conflicts() != 0)
        {
            return Err(other.tx.clone());
        }
        match holders.iter_mut().find(|holder| holder.tx.id == me.id) {
            Some(holder) => {
                holder.modes |= mode.bit();
                Ok(false)
            }
            None => {
                holders.push(Holder { tx: me.clone(), modes: mode.bit() });
                Ok(true)
            }
        }
    }

    /// Gives back all that `me` holds on `tables`.
    pub fn release(&self, me: &TxState, tables: impl Iterator<Item = u64>) {
        for table in tables {
            let mut shard = self.shard(table).lock();
            if let Some(holders) = shard.get_mut(&table) {
                holders.retain(|holder| holder.tx.id != me.id);
                if holders.is_empty() {
                    shard.remove(&table);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [TableLock; 8] = [
        TableLock::AccessShare,
        TableLock::RowShare,
        TableLock::RowExclusive,
        TableLock::ShareUpdateExclusive,
        TableLock::Share,
        TableLock::ShareRowExclusive,
        TableLock::Exclusive,
        TableLock::AccessExclusive,
    ];

    #[test]
    fn modes_conflict_as_in_postgresqls_table() {
        // Rows and columns in the order of ALL; X is a conflict.
        let table =
            [".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX"];
        for (held, row) in ALL.iter().zip(table) {
            for (wanted, cell) in ALL.iter().zip(row.chars()) {
                let locks = TableLocks::default();
                let (a, b) = (Arc::new(TxState::new(1, 1)), Arc::new(TxState::new(2, 2)));
                assert!(locks.acquire(7, *held, &a).is_ok());
                assert_eq!(locks.acquire(7, *wanted, &b).is_err(), cell == 'X', "{held:?} {wanted:?}");
                locks.release(&b, std::iter::once(7));
                assert!(locks.acquire(7, *wanted, &a).is_ok(), "nobody is in his own way");
                locks.release(&a, std::iter::once(7));
                assert!(locks.acquire(7, *wanted, &b).is_ok());
            }
        }
    }
}
