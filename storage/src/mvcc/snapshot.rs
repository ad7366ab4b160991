//! What a statement sees: commits up to a timestamp, and its own transaction's earlier commands.

use std::sync::Arc;

use super::Active;
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
    _hold: Arc<Hold>,
}

impl Snapshot {
    pub fn take(active: &Arc<Active>, tx: &Arc<TxState>, command: u32) -> Snapshot {
        let timestamp = active.hold();
        let hold = Arc::new(Hold { timestamp, active: active.clone() });
        Snapshot { timestamp, tx: tx.clone(), command, _hold: hold }
    }

    /// The same time, a later command.
    pub fn at_command(&self, command: u32) -> Snapshot {
        Snapshot { command, ..self.clone() }
    }

    /// Sees everything: for records that belong to another record, which was looked at already.
    pub fn all_seeing(&self) -> Snapshot {
        Snapshot { timestamp: u64::MAX - 2, command: u32::MAX, ..self.clone() }
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
