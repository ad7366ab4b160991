//! Which pages of the page file are in use.
//!
//! Called by structure modifications, which log the bit they set or clear together with what the page is
//! used for: a page is allocated exactly when something reaches it. Bitmap pages lie at fixed places, one
//! per group of pages; a copy of all bits in memory finds free ones quickly.

use parking_lot::Mutex;
use types::Result;

use crate::buffer::{Access, Pool, WriteGuard};
use crate::page::{self, PAGE_HEADER, PAGE_SIZE, PageBytes, PageId, PageKind};

/// Pages that one bitmap page speaks for, itself included.
pub const GROUP: u64 = ((PAGE_SIZE - PAGE_HEADER - 32) * 8) as u64;

/// The bitmap page that has the bit of `id`, and which bit.
pub fn bit_of(id: PageId) -> (PageId, u32) {
    (PageId(id.0 / GROUP * GROUP), (id.0 % GROUP) as u32)
}

/// Formats a bitmap page in which only itself is allocated.
pub fn format_bitmap(page: &mut PageBytes, id: PageId) {
    page::format(page, id, PageKind::Bitmap, 0);
    page[PAGE_HEADER] = 1;
}

pub fn set_bit(page: &mut PageBytes, bit: u32, allocated: bool) {
    let byte = &mut page[PAGE_HEADER + bit as usize / 8];
    let mask = 1 << (bit % 8);
    if allocated { *byte |= mask } else { *byte &= !mask }
}

struct State {
    /// One bit a page, all groups in a row; set: in use or promised.
    bits: Vec<u64>,
    groups: u64,
    /// Groups whose bitmap page has been formatted.
    formatted: u64,
    /// Everything below is in use.
    hint: u64,
    allocated: u64,
}

pub struct Space {
    state: Mutex<State>,
}

impl Space {
    /// For a store without pages.
    pub fn empty() -> Space {
        Space {
            state: Mutex::new(State { bits: Vec::new(), groups: 0, formatted: 0, hint: 0, allocated: 0 }),
        }
    }

    /// Reads the bitmap pages of `groups` groups.
    pub fn load(&self, pool: &Pool, groups: u64) -> Result<()> {
        let mut state = self.state.lock();
        let words = (GROUP / 64) as usize;
        state.bits = vec![0; words * groups as usize];
        state.groups = groups;
        state.formatted = groups;
        for group in 0..groups {
            let guard = pool.read(PageId(group * GROUP), Access::Normal)?;
            let bytes = &guard.page()[PAGE_HEADER..PAGE_HEADER + (GROUP / 8) as usize];
            for (i, chunk) in bytes.chunks_exact(8).enumerate() {
                let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
                state.bits[group as usize * words + i] = word;
            }
        }
        state.allocated = state.bits.iter().map(|word| u64::from(word.count_ones())).sum();
        state.hint = 0;
        Ok(())
    }

    pub fn groups(&self) -> u64 {
        self.state.lock().groups
    }

    /// Pages in use, bitmaps included.
    pub fn allocated(&self) -> u64 {
        self.state.lock().allocated
    }

    /// Promises a free page; the caller logs its bit, or gives it back with `release`.
    pub fn reserve(&self) -> PageId {
        let mut state = self.state.lock();
        let words = (GROUP / 64) as usize;
        let mut at = (state.hint / 64) as usize;
        loop {
            if at >= state.bits.len() {
                // A new group; its bitmap page comes to be with its first logged bit.
                let grown = state.bits.len() + words;
                state.bits.resize(grown, 0);
                let first = grown - words;
                state.bits[first] = 1;
                state.groups += 1;
                state.allocated += 1;
            }
            let word = state.bits[at];
            if word != u64::MAX {
                let bit = word.trailing_ones();
                state.bits[at] |= 1 << bit;
                state.allocated += 1;
                let id = at as u64 * 64 + u64::from(bit);
                state.hint = id;
                return PageId(id);
            }
            at += 1;
        }
    }

    /// The page is free again: its bit was cleared and logged, or never set.
    pub fn release(&self, id: PageId) {
        let mut state = self.state.lock();
        let at = (id.0 / 64) as usize;
        let mask = 1u64 << (id.0 % 64);
        if let Some(word) = state.bits.get_mut(at) {
            assert!(*word & mask != 0, "page {id} is freed twice");
            *word &= !mask;
            state.allocated -= 1;
            state.hint = state.hint.min(id.0);
        }
    }

    /// The page after the last one in use.
    pub fn end(&self) -> u64 {
        let state = self.state.lock();
        let last = state.bits.iter().rposition(|word| *word != 0);
        last.map_or(0, |at| (at as u64 + 1) * 64 - u64::from(state.bits[at].leading_zeros()))
    }

    pub fn is_allocated(&self, id: PageId) -> bool {
        let state = self.state.lock();
        state.bits.get((id.0 / 64) as usize).is_some_and(|word| word >> (id.0 % 64) & 1 == 1)
    }

    /// The bitmap page with the bit of `id`, latched, formatted when it is new.
    pub fn bitmap<'p>(&self, pool: &'p Pool, id: PageId) -> Result<WriteGuard<'p>> {
        let (bitmap, _) = bit_of(id);
        let group = id.0 / GROUP;
        let formatted = group < self.state.lock().formatted;
        let guard = pool.write(bitmap, if formatted { Access::Normal } else { Access::Redo })?;
        if !formatted && page::kind(guard.page()) == PageKind::Bitmap {
            let mut state = self.state.lock();
            state.formatted = state.formatted.max(group + 1);
        }
        Ok(guard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_promised_once_and_reused_lowest_first() {
        let space = Space::empty();
        let ids: Vec<u64> = (0..5).map(|_| space.reserve().0).collect();
        assert_eq!(ids, vec![1, 2, 3, 4, 5]);
        space.release(PageId(2));
        space.release(PageId(4));
        assert_eq!(space.reserve(), PageId(2));
        assert_eq!(space.reserve(), PageId(4));
        assert_eq!(space.reserve(), PageId(6));
        for _ in 0..GROUP {
            space.reserve();
        }
        assert!(!ids.contains(&GROUP) && space.is_allocated(PageId(GROUP)) && space.groups() == 2);
    }
}
