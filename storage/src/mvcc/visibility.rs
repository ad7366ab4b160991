//! Which version of a record a snapshot sees.
//!
//! Called under the page's latch by reads. The page has the newest state; each older one is worked out
//! from the next newer by what its writer found (`undo::Before`).

use types::{Error, Result};

use super::Snapshot;
use crate::undo::Before;
use crate::undo::version::Entry;
use crate::wal::record::GHOST;
use crate::wal::{Log, Lsn, Record, RowChange, RowOp};

#[derive(Debug, PartialEq, Eq)]
pub enum Sight {
    /// No version is visible.
    Hidden,
    /// The one on the page.
    Here,
    /// An older one: its bytes and flags.
    Past(Vec<u8>, u8),
}

/// What `snapshot` sees of a slot that has `record` and `flags` on its page.
pub fn sight(entry: Entry<'_>, record: &[u8], flags: u8, snapshot: &Snapshot, log: &Log) -> Result<Sight> {
    let here = || if flags & GHOST == 0 { Sight::Here } else { Sight::Hidden };
    let mut version = match entry {
        Entry::Settled => return Ok(here()),
        Entry::Inserted(writer) => return Ok(if snapshot.sees(writer) { here() } else { Sight::Hidden }),
        Entry::Deleted(writer) if snapshot.sees(writer) => return Ok(here()),
        Entry::Deleted(_) => return Ok(Sight::Past(record.to_vec(), flags & !GHOST)),
        Entry::Logged(writer, _) if snapshot.sees(writer) => return Ok(here()),
        Entry::Logged(_, lsn) => {
            let (bytes, flags) = logged(log, lsn, record)?;
            return Ok(if flags & GHOST == 0 { Sight::Past(bytes, flags) } else { Sight::Hidden });
        }
        Entry::Changed(version) => version,
    };
    if snapshot.sees(&version.writer) {
        return Ok(here());
    }
    let mut bytes = record.to_vec();
    let mut flags = flags;
    loop {
        match &version.before {
            Before::Absent => flags |= GHOST,
            Before::Same => flags &= !GHOST,
            Before::Delta { prefix, suffix, flags: old, middle } => {
                bytes = splice(&bytes, *prefix, *suffix, middle)?;
                flags = *old;
            }
            Before::Logged(lsn) => (bytes, flags) = logged(log, *lsn, &bytes)?,
        }
        match &version.older {
            Some(older) if !snapshot.sees(&older.writer) => version = older,
            _ => break,
        }
    }
    Ok(if flags & GHOST == 0 { Sight::Past(bytes, flags) } else { Sight::Hidden })
}

/// What the Replace record at `lsn` found, given what it left.
fn logged(log: &Log, lsn: Lsn, newer: &[u8]) -> Result<(Vec<u8>, u8)> {
    let body = log.read_record(lsn)?;
    let Record::Row { op: RowOp::Replace { change, .. }, .. } = Record::decode(&body)? else {
        return Err(Error::corrupted(format!("the log has no old version at {lsn}")));
    };
    Ok((splice(newer, change.prefix, change.suffix, change.old)?, change.old_flags))
}

fn splice(bytes: &[u8], prefix: u32, suffix: u32, middle: &[u8]) -> Result<Vec<u8>> {
    RowChange::splice(bytes, prefix, suffix, middle)
        .ok_or_else(|| Error::corrupted("an old version does not fit its successor"))
}
