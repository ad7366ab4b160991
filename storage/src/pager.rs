//! Pages, log and space together: what a structure needs to change itself safely.
//!
//! Used by `btree/` and everything above. `smo` is the one way to change several pages as one: a single
//! log record holds all of it, so a crash finds all of it or nothing.

use std::sync::Arc;

use types::Result;

use crate::btree::redo;
use crate::buffer::{Pool, WriteGuard};
use crate::page::PageId;
use crate::space::{Space, bit_of};
use crate::wal::{Log, PageOp, Record, Room};

pub struct Pager {
    pub pool: Pool,
    pub log: Arc<Log>,
    pub space: Space,
}

/// Pages at the end of the page file that only undo may have.
const KEPT_PAGES: u64 = 8;

impl Pager {
    /// Promises a free page that the page file has room for; the caller logs its bit, or gives it back with
    /// `Space::release`. 53100.
    pub fn reserve(&self, room: Room) -> Result<PageId> {
        let id = self.space.reserve();
        let kept = if matches!(room, Room::Kept { .. }) { 0 } else { KEPT_PAGES };
        let extended = self.pool.file().extend(id.0 + 1 + kept);
        extended.map(|()| id).inspect_err(|_| self.space.release(id))
    }

    /// Logs and applies `parts` (an index into `pages`, and what happens there) together with the bits of
    /// pages that become allocated or free. Latches the bitmap pages, last of all.
    pub fn smo<'p>(
        &'p self,
        tree: u64,
        pages: &mut [&mut WriteGuard<'p>],
        parts: Vec<(usize, PageOp<'_>)>,
        bits: &[(PageId, bool)],
        room: Room,
    ) -> Result<()> {
        let mut bitmap_ids: Vec<PageId> = bits.iter().map(|(id, _)| bit_of(*id).0).collect();
        bitmap_ids.sort_unstable();
        bitmap_ids.dedup();
        let mut bitmaps = Vec::with_capacity(bitmap_ids.len());
        for id in &bitmap_ids {
            bitmaps.push(self.space.bitmap(&self.pool, *id)?);
        }
        let mut logged: Vec<(PageId, PageOp<'_>)> = Vec::with_capacity(parts.len() + bits.len());
        for (id, allocated) in bits {
            let (bitmap, first) = bit_of(*id);
            logged.push((bitmap, PageOp::Allocate { first, allocated: *allocated }));
        }
        logged.extend(parts.into_iter().map(|(index, op)| (pages[index].id(), op)));
        let mut announced = Vec::with_capacity(bitmaps.len() + pages.len());
        for guard in bitmaps.iter().chain(pages.iter().map(|guard| &**guard)) {
            announced.push(guard.dirty(&self.log));
        }
        let record = Record::Smo { tree, parts: logged };
        let mut body = Vec::with_capacity(256);
        record.encode(&mut body);
        let appended = self.log.append(&body, room, |_, _| ());
        if appended.is_err() {
            let guards = bitmaps.iter().chain(pages.iter().map(|guard| &**guard));
            guards.zip(&announced).filter(|(_, first)| **first).for_each(|(guard, _)| guard.clean());
        }
        let (_, end) = appended?;
        let Record::Smo { parts, .. } = record else { unreachable!("made above") };
        for (id, op) in &parts {
            let guard = bitmaps
                .iter_mut()
                .chain(pages.iter_mut().map(|guard| &mut **guard))
                .find(|guard| guard.id() == *id)
                .expect("every part names a page that is held");
            redo::apply(guard.page_mut(), *id, tree, op).unwrap_or_else(|error| {
                panic!("a structure change that is in the log cannot be applied: {error:?}")
            });
            guard.set_lsn(end);
        }
        Ok(())
    }
}
