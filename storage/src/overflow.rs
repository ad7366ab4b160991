//! Long records: compressed, and what is still too long for a leaf cut into chunks in a tree of their own.
//!
//! Called by `transaction.rs` before a record is written and by whoever reads one. The leaf keeps a pointer;
//! the chunks have the keys chunk id, sequence number. Being records, chunks are logged, undone and versioned
//! like any; a reader that sees the pointer may read the chunks whatever their state, since chunk ids are never
//! reused and tombstones keep their bytes until no snapshot can see the pointer (docs/decisions/).
//!
//! ```text
//! flags                    the leaf has
//! none                     the record
//! COMPRESSED               length u32 │ one block of `compress.rs`
//! OVERFLOW                 length u32 │ chunk id u64: the chunks are the record (format version 1)
//! OVERFLOW, COMPRESSED     length u32 │ chunk id u64 │ stream's length u32: the chunks are its stream
//! ```

use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::btree::node::Node;
use crate::btree::{RECORD_INLINE_MOST, Tree};
use crate::buffer::Access;
use crate::compress::{self, BLOCK, COMPRESS_LEAST, Unpacker};
use crate::directory::OVERFLOW_BIT;
use crate::engine::Engine;
use crate::mvcc::write::Write;
use crate::transaction::{InsertOutcome, WriteOutcome};
use crate::wait;
use crate::wal::record::{COMPRESSED, OVERFLOW};

/// Longest record.
pub const RECORD_MOST: usize = 1 << 30;
const CHUNK: usize = RECORD_INLINE_MOST;
const POINTER: usize = 16;
/// Of a record that is compressed in its leaf: what comes before the block.
const INLINE_HEADER: usize = 4;

/// What a leaf is to have of a record.
pub enum Stored<'r> {
    Plain(&'r [u8]),
    Compressed(Vec<u8>),
    Pointer([u8; POINTER]),
}

impl Stored<'_> {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Stored::Plain(bytes) => bytes,
            Stored::Compressed(bytes) => bytes,
            Stored::Pointer(bytes) => bytes,
        }
    }

    pub fn flags(&self) -> u8 {
        match self {
            Stored::Plain(_) => 0,
            Stored::Compressed(_) => COMPRESSED,
            Stored::Pointer(_) => OVERFLOW | COMPRESSED,
        }
    }
}

/// A pointer to chunks, as read.
struct Pointer {
    /// Of the record.
    length: usize,
    id: u64,
    /// Of the stream, if there is one.
    stream: Option<usize>,
}

impl Pointer {
    fn parse(bytes: &[u8], flags: u8) -> Result<Pointer> {
        let wrong = || Error::corrupted("a long record's pointer has a wrong length");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (id, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let stream = match (flags & COMPRESSED != 0, rest.first_chunk()) {
            (true, Some(stream)) if rest.len() == 4 => Some(u32::from_le_bytes(*stream) as usize),
            (false, None) if rest.is_empty() => None,
            _ => return Err(wrong()),
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > RECORD_MOST || stream.is_some_and(|stream| stream > RECORD_MOST + RECORD_MOST / 1024) {
            return Err(Error::corrupted("a long record's pointer has an impossible length"));
        }
        Ok(Pointer { length, id: u64::from_le_bytes(*id), stream })
    }

    /// Bytes in the chunks.
    fn stored(&self) -> usize {
        self.stream.unwrap_or(self.length)
    }
}

fn chunk_key(id: u64, sequence: u32) -> [u8; 12] {
    let mut key = [0u8; 12];
    key[..8].copy_from_slice(&id.to_be_bytes());
    key[8..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The chunk id in a chunk's key.
pub fn chunk_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(..8)?.try_into().ok()?))
}

/// 54000 for a record that is too long for us.
pub fn check_record(record: &[u8]) -> Result<()> {
    if record.len() <= RECORD_MOST {
        return Ok(());
    }
    Err(Error::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("row is too big: size {}, maximum size {RECORD_MOST}", record.len()),
    ))
}

impl Engine {
    /// Makes of a record what its leaf is to have, and stores the chunks of one that is too long. 54000, 57014.
    pub fn store_record<'r>(&self, write: &Write<'_>, tree: &Tree, record: &'r [u8]) -> Result<Stored<'r>> {
        if record.len() <= COMPRESS_LEAST {
            return Ok(Stored::Plain(record));
        }
        check_record(record)?;
        if record.len() <= BLOCK {
            let mut inline = Vec::with_capacity(record.len() / 2);
            inline.extend_from_slice(&(record.len() as u32).to_le_bytes());
            compress::pack(record, &mut inline);
            if inline.len() <= RECORD_INLINE_MOST && compress::got_smaller(&inline[INLINE_HEADER..]) {
                return Ok(Stored::Compressed(inline));
            }
            if record.len() <= RECORD_INLINE_MOST {
                return Ok(Stored::Plain(record));
            }
        }
        self.store_chunks(write, tree, record).map(Stored::Pointer)
    }

    fn store_chunks(&self, write: &Write<'_>, tree: &Tree, record: &[u8]) -> Result<[u8; POINTER]> {
        let chunks = self.tree_to_write(tree.id | OVERFLOW_BIT)?;
        let id = self.new_chunk_id();
        let (mut sequence, mut length) = (0u32, 0usize);
        let mut put = |chunk: &[u8]| -> Result<()> {
            if write.insert(&chunks, &chunk_key(id, sequence), chunk, 0)? != InsertOutcome::Done {
                let what = format!("chunk {id} of tree {} exists already", tree.id);
                return Err(Error::corrupted(what).in_tree(tree.id));
            }
            sequence += 1;
            length += chunk.len();
            Ok(())
        };
        let mut stream = Vec::new();
        for block in record.chunks(BLOCK) {
            wait::check_interrupt()?;
            compress::pack(block, &mut stream);
            let whole = stream.len() - stream.len() % CHUNK;
            stream[..whole].chunks(CHUNK).try_for_each(&mut put)?;
            stream.drain(..whole);
        }
        if !stream.is_empty() {
            put(&stream)?;
        }
        let mut pointer = [0u8; POINTER];
        pointer[..4].copy_from_slice(&(record.len() as u32).to_le_bytes());
        pointer[4..12].copy_from_slice(&id.to_le_bytes());
        pointer[12..].copy_from_slice(&(length as u32).to_le_bytes());
        Ok(pointer)
    }

    /// Puts a record together in `out` of what its leaf has of it, by `flags` something else than the record. `latched` says that the
    /// caller holds a latch, so that the statement cannot stop in between. 53200, 57014, XX001.
    pub fn fetch_record(
        &self,
        tree: &Tree,
        (stored, flags): (&[u8], u8),
        out: &mut Vec<u8>,
        latched: bool,
    ) -> Result<()> {
        if flags & OVERFLOW == 0 {
            let (length, block) = stored
                .split_first_chunk()
                .ok_or_else(|| Error::corrupted("a compressed record has no length"))?;
            let length = u32::from_le_bytes(*length) as usize;
            if length > BLOCK {
                return Err(Error::corrupted("a compressed record has an impossible length"));
            }
            let mut unpacker = Unpacker::new(out, length)?;
            unpacker.feed(block)?;
            return unpacker.finish();
        }
        let pointer = Pointer::parse(stored, flags)?;
        if pointer.stream.is_none() {
            compress::make_room(out, pointer.length)?;
            return self.each_chunk(tree, &pointer, latched, |chunk| {
                out.extend_from_slice(chunk);
                Ok(())
            });
        }
        let mut unpacker = Unpacker::new(out, pointer.length)?;
        self.each_chunk(tree, &pointer, latched, |chunk| unpacker.feed(chunk))?;
        unpacker.finish()
    }

    fn each_chunk(
        &self,
        tree: &Tree,
        pointer: &Pointer,
        latched: bool,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let id = pointer.id;
        let missing = || {
            Error::corrupted(format!("chunk {id} of a long record of tree {} is missing", tree.id))
                .in_tree(tree.id)
        };
        let chunks = self.tree(tree.id | OVERFLOW_BIT)?.ok_or_else(missing)?;
        let mut sequence = 0u32;
        let mut left = pointer.stored();
        while left > 0 {
            if !latched {
                wait::check_interrupt()?;
            }
            let key = chunk_key(id, sequence);
            let leaf = chunks.leaf_read(&self.pager, &key, Access::Scan)?;
            let node = Node::new(leaf.page());
            let mut at = node.search(&key).map_err(|_| missing())?;
            while at < node.count() && left > 0 {
                if node.key(at) != chunk_key(id, sequence) {
                    break;
                }
                let chunk = node.record(at);
                left = left.checked_sub(chunk.len()).filter(|_| !chunk.is_empty()).ok_or_else(missing)?;
                take(chunk)?;
                sequence += 1;
                at += 1;
            }
        }
        Ok(())
    }

    /// Deletes the chunks of a long record that was replaced or deleted; `write` must be all-seeing.
    pub fn delete_chunks(&self, write: &Write<'_>, tree: &Tree, pointer: &[u8], flags: u8) -> Result<()> {
        let pointer = Pointer::parse(pointer, flags)?;
        let chunks = self.tree_to_write(tree.id | OVERFLOW_BIT)?;
        for i in 0..pointer.stored().div_ceil(CHUNK) {
            if write.delete(&chunks, &chunk_key(pointer.id, i as u32))?.outcome != WriteOutcome::Done {
                let what = format!("chunk {} of tree {} is missing", pointer.id, tree.id);
                return Err(Error::corrupted(what).in_tree(tree.id));
            }
        }
        Ok(())
    }
}
