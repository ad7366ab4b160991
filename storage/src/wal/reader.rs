//! Reads records back: forward from a checkpoint until the tail, or one at a known LSN.
//!
//! Called by recovery (before the log writer runs), by rollback and by readers of spilled old versions.
//! The first record whose checksum or chain does not fit is the end of the log: a torn tail.

use types::{Error, Result};

use super::segment::Segments;
use super::writer::{FRAME, record_checksum};
use super::{Log, Lsn};

/// A record is at most this long (a page image or a row change, with room).
const RECORD_MOST: usize = 1 << 26;
const CHUNK: usize = 1 << 20;

/// Walks the log forward.
pub struct LogReader<'a> {
    segments: &'a Segments,
    buffer: Vec<u8>,
    /// LSN of buffer[0].
    start: u64,
    next: u64,
    /// The checksum of the record before; unknown for the first.
    before: Option<u32>,
}

impl<'a> LogReader<'a> {
    pub fn new(segments: &'a Segments, from: Lsn) -> LogReader<'a> {
        LogReader { segments, buffer: Vec::new(), start: from.0, next: from.0, before: None }
    }

    /// The end of the last record returned, and its checksum.
    pub fn position(&self) -> (Lsn, Option<u32>) {
        (Lsn(self.next), self.before)
    }

    fn ensure(&mut self, len: usize) -> Result<bool> {
        let have = (self.start + self.buffer.len() as u64).saturating_sub(self.next) as usize;
        if have >= len {
            return Ok(true);
        }
        let skip = (self.next - self.start) as usize;
        self.buffer.drain(..skip.min(self.buffer.len()));
        self.start = self.next;
        let old = self.buffer.len();
        self.buffer.resize(old + CHUNK.max(len), 0);
        let read = self.segments.read(self.start + old as u64, &mut self.buffer[old..])?;
        self.buffer.truncate(old + read);
        Ok(self.buffer.len() >= len)
    }

    /// The next record's LSN, end and body; `None` at the end of the log.
    pub fn next(&mut self) -> Result<Option<(Lsn, Lsn, &[u8])>> {
        if !self.ensure(FRAME)? {
            return Ok(None);
        }
        let at = (self.next - self.start) as usize;
        let word = |i: usize| {
            let b = &self.buffer[at + i..at + i + 4];
            u32::from_le_bytes([b[0], b[1], b[2], b[3]])
        };
        let (length, checksum, before) = (word(0) as usize, word(4), word(8));
        if !(FRAME + 1..RECORD_MOST).contains(&length) || self.before.is_some_and(|known| known != before) {
            return Ok(None);
        }
        if !self.ensure(length)? {
            return Ok(None);
        }
        let at = (self.next - self.start) as usize;
        let lsn = self.next;
        if record_checksum(lsn, before, &self.buffer[at + FRAME..at + length]) != checksum {
            return Ok(None);
        }
        self.before = Some(checksum);
        self.next = lsn + length as u64;
        Ok(Some((Lsn(lsn), Lsn(self.next), &self.buffer[at + FRAME..at + length])))
    }
}

/// The body of the record at `lsn`, which must be on disk. XX001 when there is none.
pub fn read_at(segments: &Segments, lsn: Lsn) -> Result<Vec<u8>> {
    let damaged = || {
        let name = super::segment::file_name(segments.number(lsn.0));
        Error::corrupted(format!("invalid log record at {lsn} in file \"{name}\""))
    };
    let mut bytes = vec![0u8; 512];
    let read = segments.read(lsn.0, &mut bytes)?;
    if read < FRAME {
        return Err(damaged());
    }
    let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
    let (length, checksum, before) = (word(0) as usize, word(4), word(8));
    if !(FRAME + 1..RECORD_MOST).contains(&length) {
        return Err(damaged());
    }
    if read < length {
        let have = read.min(bytes.len());
        bytes.resize(length, 0);
        if segments.read(lsn.0 + have as u64, &mut bytes[have..])? < length - have {
            return Err(damaged());
        }
    }
    bytes.truncate(length);
    bytes.drain(..FRAME);
    if record_checksum(lsn.0, before, &bytes) != checksum {
        return Err(damaged());
    }
    Ok(bytes)
}

impl Log {
    /// The body of the record at `lsn`, wherever it is by now.
    pub fn read_record(&self, lsn: Lsn) -> Result<Vec<u8>> {
        self.write_out(Lsn(lsn.0 + 1))?;
        read_at(self.segments(), lsn)
    }
}
