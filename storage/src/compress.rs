//! Makes long records smaller: LZ4, block by block.
//!
//! Called by `overflow.rs`. A record is cut into blocks of 128 KiB that are compressed one by one, so that
//! neither way needs a second copy of a long record. Each block decides for itself: one that does not get
//! smaller lies in the stream as it is. Bytes come from disk: whatever they hold, unpacking answers or fails
//! with XX001.
//!
//! ```text
//! stream:  length u32 │ bytes │ length u32 │ bytes │ …      bit 31 of a length: the bytes are not compressed
//! ```

use std::cell::RefCell;

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use types::{Error, Result};

/// Bytes of the record in one block; part of the format.
pub const BLOCK: usize = 128 << 10;
/// Shorter records are left as they are (PostgreSQL's threshold for a row).
pub const COMPRESS_LEAST: usize = 2000;
const LENGTH: usize = 4;
const PLAIN: u32 = 1 << 31;

thread_local! {
    static SCRATCH: RefCell<(CompressTable, Vec<u8>)> = RefCell::new((CompressTable::large(), Vec::new()));
}

/// Appends `block` (of at most [`BLOCK`] bytes) to `stream`.
pub fn pack(block: &[u8], stream: &mut Vec<u8>) {
    SCRATCH.with(|scratch| {
        let (table, buffer) = &mut *scratch.borrow_mut();
        buffer.resize(get_maximum_output_size(BLOCK), 0);
        let packed = compress_into_with_table(block, buffer, table).ok();
        match packed.and_then(|len| buffer.get(..len)).filter(|packed| is_worth(block.len(), packed.len())) {
            Some(packed) => {
                stream.extend_from_slice(&(packed.len() as u32).to_le_bytes());
                stream.extend_from_slice(packed);
            }
            None => {
                stream.extend_from_slice(&(block.len() as u32 | PLAIN).to_le_bytes());
                stream.extend_from_slice(block);
            }
        }
    });
}

/// Unpacking costs time, too: at least a sixteenth must be saved.
fn is_worth(plain: usize, packed: usize) -> bool {
    packed + LENGTH < plain - plain / 16
}

/// True when the first block of a stream got smaller.
pub fn got_smaller(stream: &[u8]) -> bool {
    stream.first_chunk().is_some_and(|length| u32::from_le_bytes(*length) & PLAIN == 0)
}

/// Puts a record together from its stream, which may come in pieces.
pub struct Unpacker<'a> {
    out: &'a mut Vec<u8>,
    /// Of the record.
    length: usize,
    /// The beginning of a block whose end has not come yet.
    pending: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    /// `out` is to become the record, of `length` bytes. 53200 when there is no memory for it.
    pub fn new(out: &'a mut Vec<u8>, length: usize) -> Result<Unpacker<'a>> {
        make_room(out, length)?;
        Ok(Unpacker { out, length, pending: Vec::new() })
    }

    /// Takes the next piece of the stream.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<()> {
        while !piece.is_empty() {
            let need = match block_end(&self.pending)? {
                Some(end) => end,
                None => LENGTH,
            };
            if self.pending.is_empty()
                && let Some(end) = block_end(piece)?
                && let Some((block, rest)) = piece.split_at_checked(end)
            {
                self.block(block)?;
                piece = rest;
                continue;
            }
            let n = (need - self.pending.len()).min(piece.len());
            let (taken, rest) = piece.split_at(n);
            self.pending.extend_from_slice(taken);
            piece = rest;
            if block_end(&self.pending)? == Some(self.pending.len()) {
                let block = std::mem::take(&mut self.pending);
                self.block(&block)?;
                self.pending = block;
                self.pending.clear();
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &[u8]) -> Result<()> {
        let (Some((length, bytes)), begin) = (block.split_first_chunk(), self.out.len()) else {
            return Err(damaged("a block is cut off"));
        };
        let expected = BLOCK.min(self.length - begin);
        if u32::from_le_bytes(*length) & PLAIN != 0 {
            self.out.extend_from_slice(bytes);
        } else {
            self.out.resize(begin + expected, 0);
            let unpacked = decompress_into(bytes, &mut self.out[begin..]);
            let len = unpacked.map_err(|error| damaged(&error.to_string()))?;
            self.out.truncate(begin + len);
        }
        if self.out.len() - begin == expected { Ok(()) } else { Err(damaged("a block has a wrong length")) }
    }

    /// After the last piece.
    pub fn finish(self) -> Result<()> {
        if self.pending.is_empty() && self.out.len() == self.length {
            return Ok(());
        }
        Err(damaged("it ends too early"))
    }
}

/// Empties `out` and gets memory for `length` bytes. 53200.
pub fn make_room(out: &mut Vec<u8>, length: usize) -> Result<()> {
    out.clear();
    out.try_reserve_exact(length).map_err(|_| {
        Error::new(types::sqlstate::SqlState::OUT_OF_MEMORY, "out of memory")
            .with_detail(format!("Failed on a row of {length} bytes."))
    })
}

/// Where the block that begins here ends; `None` when its length is not all there.
fn block_end(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(length) = bytes.first_chunk() else { return Ok(None) };
    let length = (u32::from_le_bytes(*length) & !PLAIN) as usize;
    if length == 0 || length > BLOCK {
        return Err(damaged("a block has an impossible length"));
    }
    Ok(Some(LENGTH + length))
}

fn damaged(what: &str) -> Error {
    Error::corrupted(format!("a compressed record cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 88172645463325252u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(len)
        .collect()
    }

    fn stream_of(record: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        record.chunks(BLOCK).for_each(|block| pack(block, &mut stream));
        stream
    }

    fn unpack(stream: &[u8], length: usize, piece: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut unpacker = Unpacker::new(&mut out, length)?;
        stream.chunks(piece).try_for_each(|piece| unpacker.feed(piece))?;
        unpacker.finish()?;
        Ok(out)
    }

    #[test]
    fn there_and_back_in_pieces_of_any_size() {
        let text: Vec<u8> = (0..60_000).flat_map(|i| format!("row {} ", i % 977).into_bytes()).collect();
        let mixed = [vec![b'x'; 2 * BLOCK], noise(BLOCK + 5), text.clone()].concat();
        for record in [vec![b'x'; 2001], noise(3000), noise(3 * BLOCK), text, mixed] {
            let stream = stream_of(&record);
            assert!(stream.len() <= record.len() + LENGTH * record.len().div_ceil(BLOCK));
            for piece in [1, 3, 4000, 1 << 20] {
                assert!(unpack(&stream, record.len(), piece).unwrap() == record);
            }
        }
        assert!(got_smaller(&stream_of(&[b'x'; 2001])) && !got_smaller(&stream_of(&noise(2001))));
        assert!(stream_of(&vec![b'x'; 10 << 20]).len() < 50_000);
    }

    #[test]
    fn damage_is_an_error_and_no_more() {
        let record = [vec![b'x'; BLOCK], noise(5000)].concat();
        let stream = stream_of(&record);
        for cut in [0, 3, 4, 100, stream.len() - 1] {
            assert_eq!(unpack(&stream[..cut], record.len(), 50).unwrap_err().code().as_str(), "XX001");
        }
        for length in [0, 1, BLOCK, record.len() - 1, record.len() + 1] {
            assert_eq!(unpack(&stream, length, 4000).unwrap_err().code().as_str(), "XX001");
        }
        // Any answer but a panic: what is in a leaf or a chunk has a checksum of its own.
        for at in 0..600 {
            let mut bytes = stream.clone();
            bytes[at] ^= 0x55;
            let _ = unpack(&bytes, record.len(), 4000);
        }
    }
}
