//! Records too long for a leaf: cut into chunks that are records of their own, in a tree of their own.
//!
//! Called by `transaction.rs`. The leaf keeps a pointer (length u32, chunk id u64); the chunks have the keys
//! chunk id, sequence number. Being records, chunks are logged, undone and versioned like any; a reader that
//! sees the pointer may read the chunks whatever their state, since chunk ids are never reused and
//! tombstones keep their bytes until no snapshot can see the pointer (docs/decisions/).

use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::btree::node::Node;
use crate::btree::{RECORD_INLINE_MOST, Tree};
use crate::buffer::Access;
use crate::directory::OVERFLOW_BIT;
use crate::engine::Engine;
use crate::mvcc::write::Write;
use crate::transaction::{InsertOutcome, WriteOutcome};

/// Longest record.
pub const RECORD_MOST: usize = 64 << 20;
const CHUNK: usize = RECORD_INLINE_MOST;
const POINTER: usize = 12;

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

fn parse(pointer: &[u8]) -> Result<(usize, u64)> {
    let bytes: &[u8; POINTER] =
        pointer.try_into().map_err(|_| Error::corrupted("a long record's pointer has a wrong length"))?;
    let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let id = bytes[4..].iter().rev().fold(0u64, |id, byte| id << 8 | u64::from(*byte));
    Ok((length as usize, id))
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
    /// Stores the chunks of a long record and returns its pointer.
    pub fn store_overflow(&self, write: &Write<'_>, tree: &Tree, record: &[u8]) -> Result<[u8; POINTER]> {
        let chunks = self.tree_to_write(tree.id | OVERFLOW_BIT)?;
        let id = self.new_chunk_id();
        for (i, chunk) in record.chunks(CHUNK).enumerate() {
            if write.insert(&chunks, &chunk_key(id, i as u32), chunk, 0)? != InsertOutcome::Done {
                let what = format!("chunk {id} of tree {} exists already", tree.id);
                return Err(Error::corrupted(what).in_tree(tree.id));
            }
        }
        let mut pointer = [0u8; POINTER];
        pointer[..4].copy_from_slice(&(record.len() as u32).to_le_bytes());
        pointer[4..].copy_from_slice(&id.to_le_bytes());
        Ok(pointer)
    }

    /// Puts a long record together in `out`.
    pub fn fetch_overflow(&self, tree: &Tree, pointer: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let (length, id) = parse(pointer)?;
        let missing = || {
            Error::corrupted(format!("chunk {id} of a long record of tree {} is missing", tree.id))
                .in_tree(tree.id)
        };
        let chunks = self.tree(tree.id | OVERFLOW_BIT)?.ok_or_else(missing)?;
        out.clear();
        let mut sequence = 0u32;
        while out.len() < length {
            let key = chunk_key(id, sequence);
            let leaf = chunks.leaf_read(&self.pager, &key, Access::Scan)?;
            let node = Node::new(leaf.page());
            let mut at = node.search(&key).map_err(|_| missing())?;
            while at < node.count() && out.len() < length {
                if node.key(at) != chunk_key(id, sequence) {
                    break;
                }
                out.extend_from_slice(node.record(at));
                sequence += 1;
                at += 1;
            }
        }
        if out.len() == length { Ok(()) } else { Err(missing()) }
    }

    /// Deletes the chunks of a long record that was replaced or deleted; `write` must be all-seeing.
    pub fn delete_overflow(&self, write: &Write<'_>, tree: &Tree, pointer: &[u8]) -> Result<()> {
        let (length, id) = parse(pointer)?;
        let chunks = self.tree_to_write(tree.id | OVERFLOW_BIT)?;
        for i in 0..length.div_ceil(CHUNK) {
            if write.delete(&chunks, &chunk_key(id, i as u32))?.outcome != WriteOutcome::Done {
                let what = format!("chunk {id} of tree {} is missing", tree.id);
                return Err(Error::corrupted(what).in_tree(tree.id));
            }
        }
        Ok(())
    }
}
