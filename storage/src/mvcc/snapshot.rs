//! What a statement sees: commits up to a timestamp, and its own transaction's earlier commands.

use std::sync::Arc;

use super::Active;
use super::serializable::Tracked;
use crate::undo::{TxState, Writer};

/// Keeps the versions of its timestamp from being swept.
struct Hold {
    timestamp: u64,
    active: Arc<Active>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.active.release(self.timestamp);
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    pub timestamp: u64,
    pub tx: Arc<TxState>,
    /// Own commands below this are seen.
    pub command: u32,
    /// Where a SERIALIZABLE transaction's reads and writes are noted.
    tracked: Option<Arc<Tracked>>,
    _hold: Arc<Hold>,
}

impl Snapshot {
    pub fn take(active: &Arc<Active>, tx: &Arc<TxState>, command: u32) -> Snapshot {
        let timestamp = active.hold();
        let hold = Arc::new(Hold { timestamp, active: active.clone() });
        Snapshot { timestamp, tx: tx.clone(), command, tracked: None, _hold: hold }
    }

    /// Notes from now on what is read and written with it.
    pub fn tracked_by(self, tracked: Option<Arc<Tracked>>) -> Snapshot {
        Snapshot { tracked, ..self }
    }

    /// Of a SERIALIZABLE transaction.
    #[inline]
    pub fn tracked(&self) -> Option<&Arc<Tracked>> {
        self.tracked.as_ref()
    }

    #[inline]
    pub fn note_key(&self, tree: u64, key: &[u8]) {
        if let Some(tracked) = &self.tracked {
            tracked.read_key(tree, key);
        }
    }

    #[inline]
    pub fn note_write(&self, tree: u64, key: &[u8]) {
        if let Some(tracked) = &self.tracked {
            tracked.wrote_key(tree, key);
        }
    }

    /// The same time, a later command.
    pub fn at_command(&self, command: u32) -> Snapshot {
        Snapshot { command, ..self.clone() }
    }

    /// Sees everything: for records that belong to another record, which was looked at already.
    pub fn all_seeing(&self) -> Snapshot {
        Snapshot { timestamp: u64::MAX - 2, command: u32::MAX, tracked: None, ..self.clone() }
    }

    /// True when this statement sees what `writer` wrote.
    #[inline]
    pub fn sees(&self, writer: &Writer) -> bool {
        if Arc::ptr_eq(&writer.tx, &self.tx) {
            writer.command < self.command
        } else {
            writer.tx.committed_by(self.timestamp)
        }
    }
}
