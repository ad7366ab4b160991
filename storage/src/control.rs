//! The control file: what this directory is, and where its log is to be read from.
//!
//! Read by `store.rs` before anything else, written at creation and by checkpoints. Two 512-byte slots are
//! written in turn, so a torn write leaves the older one. A foreign format version is refused by name.

use std::sync::Arc;

use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::disk::{Disk, DiskFile, checked};
use crate::page::crc32c;
use crate::wal::Lsn;

pub const CONTROL_FILE: &str = "cairn.control";
/// Its name until the store is complete; there from the first moment of a creation.
pub const TEMPORARY: &str = "cairn.control.tmp";
const MAGIC: &[u8; 8] = b"cairnctl";
/// Version of everything in the directory.
pub const FORMAT: u32 = 2;
/// The oldest version that is read. The checkpoint that ends every opening makes the directory one of version
/// [`FORMAT`], before anything is written that the older program would not understand: from then on one valid
/// slot at least names it.
const FORMAT_LEAST: u32 = 1;
const SLOT: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlData {
    pub generation: u64,
    pub store_id: u64,
    pub segment_size: u64,
    /// Where the last checkpoint's record lies.
    pub checkpoint: Lsn,
    /// Closed in good order: the checkpoint is the end of the log.
    pub clean: bool,
}

impl ControlData {
    fn encode(&self) -> [u8; SLOT] {
        let mut slot = [0u8; SLOT];
        slot[..8].copy_from_slice(MAGIC);
        slot[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        slot[12] = u8::from(self.clean);
        let fields = [self.generation, self.store_id, self.segment_size, self.checkpoint.0];
        for (i, field) in fields.iter().enumerate() {
            slot[16 + i * 8..24 + i * 8].copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32c(&slot[..SLOT - 4]);
        slot[SLOT - 4..].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    fn decode(slot: &[u8; SLOT]) -> Option<(u32, ControlData)> {
        let word = |at: usize| u32::from_le_bytes([slot[at], slot[at + 1], slot[at + 2], slot[at + 3]]);
        let long = |i: usize| u64::from(word(16 + i * 8)) | u64::from(word(20 + i * 8)) << 32;
        if &slot[..8] != MAGIC || word(SLOT - 4) != crc32c(&slot[..SLOT - 4]) {
            return None;
        }
        let data = ControlData {
            generation: long(0),
            store_id: long(1),
            segment_size: long(2),
            checkpoint: Lsn(long(3)),
            clean: slot[12] == 1,
        };
        Some((word(8), data))
    }
}

pub struct Control {
    file: Arc<dyn DiskFile>,
    pub data: ControlData,
}

impl Control {
    /// Makes the empty file under its temporary name, durably, before any other: a directory with files of a
    /// store and with neither name is damaged, not unfinished.
    pub fn announce(disk: &dyn Disk) -> Result<()> {
        checked("create", TEMPORARY, disk.open(TEMPORARY, true))?;
        checked("fsync", "the data directory", disk.sync_dir())
    }

    /// Begins a new store's control file under a temporary name.
    pub fn prepare(disk: &dyn Disk, data: ControlData) -> Result<Control> {
        let file = checked("create", TEMPORARY, disk.open(TEMPORARY, true))?;
        checked("write", TEMPORARY, file.write_at(&data.encode(), 0))?;
        checked("write", TEMPORARY, file.write_at(&data.encode(), SLOT as u64))?;
        checked("fsync", TEMPORARY, file.sync())?;
        Ok(Control { file, data })
    }

    /// Makes the prepared file appear under its name: from then on the directory is a store.
    pub fn publish(&self, disk: &dyn Disk) -> Result<()> {
        checked("rename", TEMPORARY, disk.rename(TEMPORARY, CONTROL_FILE))?;
        checked("fsync", "the data directory", disk.sync_dir())
    }

    /// 22023 for a foreign version, XX001 when both slots are damaged.
    pub fn open(disk: &dyn Disk) -> Result<Control> {
        let file = checked("open", CONTROL_FILE, disk.open(CONTROL_FILE, false))?;
        let mut newest: Option<ControlData> = None;
        for slot in 0..2 {
            let mut bytes = [0u8; SLOT];
            if file.read_at(&mut bytes, (slot * SLOT) as u64).is_err() {
                continue;
            }
            let Some((format, data)) = ControlData::decode(&bytes) else { continue };
            if !(FORMAT_LEAST..=FORMAT).contains(&format) {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("data directory has format version {format}, this program reads {FORMAT_LEAST} to {FORMAT}"),
                )
                .with_hint("Use the version of cairn that wrote it, or dump with that and restore here."));
            }
            if newest.is_none_or(|known| data.generation > known.generation) {
                newest = Some(data);
            }
        }
        let data = newest.ok_or_else(|| {
            Error::corrupted(format!("invalid data in file \"{CONTROL_FILE}\" (offsets 0 and {SLOT})"))
        })?;
        Ok(Control { file, data })
    }

    /// Replaces the older slot, durably.
    pub fn update(&mut self, checkpoint: Lsn, clean: bool) -> Result<()> {
        let data = ControlData { generation: self.data.generation + 1, checkpoint, clean, ..self.data };
        let at = data.generation % 2 * SLOT as u64;
        checked("write", CONTROL_FILE, self.file.write_at(&data.encode(), at))?;
        checked("fsync", CONTROL_FILE, self.file.sync())?;
        self.data = data;
        Ok(())
    }
}
