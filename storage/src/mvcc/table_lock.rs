//! Table locks: PostgreSQL's eight modes, held to the end of the transaction.
//!
//! The layer above names what it locks by a number (a relation's OID); nothing in here knows tables. A
//! lock is given back when its transaction is over *and* what it published is published
//! ([`crate::Transaction::commit_then`]), so that whoever waited for it sees the schema it left behind.

use super::lock::{Locks, Mode};

/// By table.
pub type TableLocks = Locks<u64>;

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
    pub const ALL: [TableLock; 8] = [
        TableLock::AccessShare,
        TableLock::RowShare,
        TableLock::RowExclusive,
        TableLock::ShareUpdateExclusive,
        TableLock::Share,
        TableLock::ShareRowExclusive,
        TableLock::Exclusive,
        TableLock::AccessExclusive,
    ];

    pub(crate) fn mode(self) -> Mode {
        let conflicts = match self {
            TableLock::AccessShare => 0b1000_0000,
            TableLock::RowShare => 0b1100_0000,
            TableLock::RowExclusive => 0b1111_0000,
            TableLock::ShareUpdateExclusive => 0b1111_1000,
            TableLock::Share => 0b1110_1100,
            TableLock::ShareRowExclusive => 0b1111_1100,
            TableLock::Exclusive => 0b1111_1110,
            TableLock::AccessExclusive => 0b1111_1111,
        };
        Mode { bit: 1 << (self as u8), conflicts }
    }

    /// The name of the mode with this bit.
    pub(crate) fn name_of(bit: u8) -> &'static str {
        TableLock::ALL.get(bit.trailing_zeros() as usize).map_or("INVALID", |mode| mode.name())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::lock::Asking;
    use super::*;
    use crate::undo::TxState;

    #[test]
    fn modes_conflict_as_in_postgresqls_table() {
        // Rows and columns in the order of ALL; X is a conflict.
        let table =
            [".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX"];
        let now = Asking::default();
        for (held, row) in TableLock::ALL.iter().zip(table) {
            for (wanted, cell) in TableLock::ALL.iter().zip(row.chars()) {
                let locks = TableLocks::new(true);
                let (a, b) = (Arc::new(TxState::new(1, 1)), Arc::new(TxState::new(2, 2)));
                assert!(locks.acquire(&7, held.mode(), &a, now).is_ok());
                let refused = locks.acquire(&7, wanted.mode(), &b, now).is_err();
                assert_eq!(refused, cell == 'X', "{held:?} {wanted:?}");
                locks.release(&7, 0xff, &b);
                assert!(locks.acquire(&7, wanted.mode(), &a, now).is_ok(), "nobody is in his own way");
                locks.release(&7, 0xff, &a);
                assert!(locks.acquire(&7, wanted.mode(), &b, now).is_ok());
            }
        }
    }
}
