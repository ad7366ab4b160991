//! The log's stream on disk: equal segment files, preallocated and recycled.
//!
//! Called by `writer.rs` and `reader.rs`. Segment n holds the stream's bytes from n × payload on; a
//! 64-byte header says which n, so that a recycled file is not mistaken for its new name.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use types::Result;

use crate::disk::{Disk, DiskFile, checked};
use crate::page::crc32c;

const HEADER: u64 = 64;
const MAGIC: &[u8; 8] = b"cairnlog";
/// Recycled files kept beyond the current one.
const SPARES: usize = 8;

pub struct Segments {
    disk: Arc<dyn Disk>,
    /// Bytes of stream in one file.
    payload: u64,
    store_id: u64,
    files: Mutex<BTreeMap<u64, Arc<dyn DiskFile>>>,
    /// Serialises the making of files.
    making: Mutex<()>,
}

pub fn file_name(number: u64) -> String {
    format!("log.{number:016x}")
}

pub fn number_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("log.")?, 16).ok()
}

impl Segments {
    pub fn new(disk: Arc<dyn Disk>, segment_size: u64, store_id: u64) -> Segments {
        Segments {
            disk,
            payload: segment_size - HEADER,
            store_id,
            files: Mutex::new(BTreeMap::new()),
            making: Mutex::new(()),
        }
    }

    /// The first position of a new log: no record ever lies at zero.
    pub fn first_lsn(&self) -> u64 {
        self.payload
    }

    pub fn number(&self, lsn: u64) -> u64 {
        lsn / self.payload
    }

    /// The position where segment `number` ends.
    pub fn end_of(&self, number: u64) -> u64 {
        (number + 1) * self.payload
    }

    fn header(&self, number: u64) -> [u8; HEADER as usize] {
        let mut header = [0u8; HEADER as usize];
        header[..8].copy_from_slice(MAGIC);
        header[8] = crate::page::PAGE_FORMAT;
        header[16..24].copy_from_slice(&number.to_le_bytes());
        header[24..32].copy_from_slice(&self.store_id.to_le_bytes());
        header[32..40].copy_from_slice(&self.payload.to_le_bytes());
        let crc = crc32c(&header[..40]);
        header[40..44].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Opens segment `number` for reading; `None` when it is missing, short, or its header is another's.
    fn existing(&self, number: u64) -> Result<Option<Arc<dyn DiskFile>>> {
        if let Some(file) = self.files.lock().get(&number) {
            return Ok(Some(file.clone()));
        }
        let name = file_name(number);
        let file = match self.disk.open(&name, false) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(crate::disk::failed("open", &name, &error)),
        };
        // A crash while it was made may have kept the header and lost the rest.
        if checked("stat", &name, file.size())? < HEADER + self.payload {
            return Ok(None);
        }
        let mut header = [0u8; HEADER as usize];
        match file.read_at(&mut header, 0) {
            Ok(()) if header == self.header(number) => {}
            Ok(()) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(crate::disk::failed("read", &name, &error)),
        }
        self.files.lock().insert(number, file.clone());
        Ok(Some(file))
    }

    /// Opens segment `number` for writing, making or re-labelling its file when needed.
    pub fn prepare(&self, number: u64) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.files.lock().get(&number) {
            return Ok(file.clone());
        }
        let _making = self.making.lock();
        if let Some(file) = self.existing(number)? {
            return Ok(file);
        }
        let name = file_name(number);
        let file = checked("create", &name, self.disk.open(&name, true))?;
        let size = HEADER + self.payload;
        let have = checked("stat", &name, file.size())?;
        if have < size {
            // Written, not just allocated: then a commit's fdatasync has no metadata to write.
            let filled = crate::disk::fill(&*file, have, size);
            if filled.is_err() {
                // Half a segment is of no use to anyone.
                let _ = self.disk.remove(&name);
            }
            checked("extend", &name, filled)?;
        }
        checked("write", &name, file.write_at(&self.header(number), 0))?;
        checked("fsync", &name, file.sync())?;
        checked("fsync", "the data directory", self.disk.sync_dir())?;
        self.files.lock().insert(number, file.clone());
        Ok(file)
    }

    /// Writes stream bytes at `lsn`; the numbers of the files touched are from..=to of the result.
    pub fn write(&self, mut lsn: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let number = lsn / self.payload;
            let within = lsn % self.payload;
            let n = bytes.len().min((self.payload - within) as usize);
            let file = self.prepare(number)?;
            checked("write", &file_name(number), file.write_at(&bytes[..n], HEADER + within))?;
            lsn += n as u64;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Makes the stream from `from` to `to` durable.
    pub fn sync(&self, from: u64, to: u64) -> Result<()> {
        for number in from / self.payload..=to.saturating_sub(1).max(from) / self.payload {
            let file = self.prepare(number)?;
            checked("fsync", &file_name(number), file.sync())?;
        }
        Ok(())
    }

    /// Reads up to `buf.len()` stream bytes at `lsn`, fewer where the log's files end.
    pub fn read(&self, mut lsn: u64, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let number = lsn / self.payload;
            let within = lsn % self.payload;
            let n = (buf.len() - done).min((self.payload - within) as usize);
            let Some(file) = self.existing(number)? else { break };
            match file.read_at(&mut buf[done..done + n], HEADER + within) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(crate::disk::failed("read", &file_name(number), &error)),
            }
            done += n;
            lsn += n as u64;
        }
        Ok(done)
    }

    /// Gives up the files wholly before `lsn`: a few are renamed to be written again after the file of
    /// `head`, the others are removed.
    pub fn recycle(&self, lsn: u64, head: u64) -> Result<()> {
        let _making = self.making.lock();
        let names = checked("list", "the data directory", self.disk.list())?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable();
        let head = head / self.payload;
        let mut next = numbers.last().copied().unwrap_or(head).max(head) + 1;
        let mut spares = numbers.iter().filter(|n| **n > head).count();
        let mut changed = false;
        for number in numbers.into_iter().filter(|n| (n + 1) * self.payload <= lsn && *n < head) {
            self.files.lock().remove(&number);
            let name = file_name(number);
            if spares < SPARES {
                checked("rename", &name, self.disk.rename(&name, &file_name(next)))?;
                next += 1;
                spares += 1;
            } else {
                checked("remove", &name, self.disk.remove(&name))?;
            }
            changed = true;
        }
        if changed {
            checked("fsync", "the data directory", self.disk.sync_dir())?;
        }
        Ok(())
    }
}
