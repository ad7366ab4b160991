//! A page: 16 KiB, self-identifying and checksummed.
//!
//! Used by everything below `transaction.rs`. Every page on disk begins with the same 32 bytes
//! (docs/storage-format.md); `seal` fills in the checksum before a write, `verify` tests it after a read.

use types::{Error, Result};

pub const PAGE_SIZE: usize = 16 * 1024;
/// Bytes before the kind-specific part.
pub const PAGE_HEADER: usize = 32;
/// Stamped in every page; another value is refused.
pub const PAGE_FORMAT: u8 = 1;

pub type PageBytes = [u8; PAGE_SIZE];

/// A page's place in the page file, counted in pages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageId(pub u64);

impl PageId {
    pub const NONE: PageId = PageId(u64::MAX);

    pub fn offset(self) -> u64 {
        self.0 * PAGE_SIZE as u64
    }
}

impl std::fmt::Display for PageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a page holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageKind {
    /// Never formatted, or freed.
    Free = 0,
    /// A B+-tree node.
    Node = 1,
    /// One bit per page of its group: allocated or not.
    Bitmap = 2,
}

const CHECKSUM: usize = 0;
const KIND: usize = 4;
const FORMAT: usize = 5;
const ID: usize = 8;
const LSN: usize = 16;
const TREE: usize = 24;

/// A zeroed page on the heap.
pub fn zeroed() -> Box<PageBytes> {
    vec![0u8; PAGE_SIZE].into_boxed_slice().try_into().expect("the vector has PAGE_SIZE bytes")
}

#[inline]
pub fn u16_at(page: &PageBytes, at: usize) -> u16 {
    u16::from_le_bytes([page[at], page[at + 1]])
}

#[inline]
pub fn put_u16(page: &mut PageBytes, at: usize, value: u16) {
    page[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

#[inline]
pub fn u32_at(page: &PageBytes, at: usize) -> u32 {
    let bytes = &page[at..at + 4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[inline]
pub fn put_u32(page: &mut PageBytes, at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[inline]
pub fn u64_at(page: &PageBytes, at: usize) -> u64 {
    u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"))
}

#[inline]
pub fn put_u64(page: &mut PageBytes, at: usize, value: u64) {
    page[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Zeroes `page` and writes its header; the LSN is 0 until `set_lsn`.
pub fn format(page: &mut PageBytes, id: PageId, kind: PageKind, tree: u64) {
    page.fill(0);
    page[KIND] = kind as u8;
    page[FORMAT] = PAGE_FORMAT;
    put_u64(page, ID, id.0);
    put_u64(page, TREE, tree);
}

pub fn kind(page: &PageBytes) -> PageKind {
    match page[KIND] {
        1 => PageKind::Node,
        2 => PageKind::Bitmap,
        _ => PageKind::Free,
    }
}

pub fn id(page: &PageBytes) -> PageId {
    PageId(u64_at(page, ID))
}

/// The end of the last log record applied to the page; 0 when none was.
#[inline]
pub fn lsn(page: &PageBytes) -> u64 {
    u64_at(page, LSN)
}

#[inline]
pub fn set_lsn(page: &mut PageBytes, lsn: u64) {
    put_u64(page, LSN, lsn);
}

/// The tree a node belongs to.
#[inline]
pub fn tree(page: &PageBytes) -> u64 {
    u64_at(page, TREE)
}

pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Fills in the checksum.
pub fn seal(page: &mut PageBytes) {
    let checksum = crc32c(&page[KIND..]);
    put_u32(page, CHECKSUM, checksum);
}

/// True for a page that was never written (a hole in the file).
pub fn is_blank(page: &PageBytes) -> bool {
    page.iter().all(|byte| *byte == 0)
}

/// True when the checksum, the id and the format fit.
pub fn is_valid(page: &PageBytes, expected: PageId) -> bool {
    u32_at(page, CHECKSUM) == crc32c(&page[KIND..]) && id(page) == expected && page[FORMAT] == PAGE_FORMAT
}

/// XX001, naming file, page and offset, when the page is not what was once sealed as `expected`.
pub fn verify(page: &PageBytes, expected: PageId, file: &str) -> Result<()> {
    if is_valid(page, expected) {
        return Ok(());
    }
    let place = format!("page {expected} of file \"{file}\" (offset {})", expected.offset());
    let (stored, computed) = (u32_at(page, CHECKSUM), crc32c(&page[KIND..]));
    let detail = if is_blank(page) {
        "The page is all zeros.".to_string()
    } else if stored != computed {
        format!("The stored checksum is {stored:#010x}, the bytes give {computed:#010x}.")
    } else if id(page) != expected {
        format!("The page says that it is page {}.", id(page))
    } else {
        format!("The page has format {}, expected {PAGE_FORMAT}.", page[FORMAT])
    };
    Err(Error::corrupted(format!("invalid page in {place}")).with_detail(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut page = zeroed();
        format(&mut page, PageId(7), PageKind::Node, 3);
        page[9000] = 17;
        seal(&mut page);
        verify(&page, PageId(7), "f").unwrap();
        for byte in (0..PAGE_SIZE).step_by(97).chain(0..64) {
            page[byte] ^= 4;
            let error = verify(&page, PageId(7), "f").unwrap_err();
            assert_eq!(error.code().as_str(), "XX001");
            page[byte] ^= 4;
        }
        assert!(verify(&page, PageId(8), "f").is_err());
        assert!(verify(&zeroed(), PageId(0), "f").is_err());
    }
}
