//! Who may hold how much memory.
//!
//! Each operator that keeps rows (hash table, sort, materialised subplan) has a [`Reservation`]. It
//! grows it as it fills; past `work_mem` it is told to spill, past the statement's hard limit the
//! statement fails with 53200. Dropping a reservation gives everything back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use types::{Error, Result, SqlState};

/// The memory of one statement. Shared by its operators.
#[derive(Debug)]
pub struct Memory {
    used: AtomicUsize,
    peak: AtomicUsize,
    work_mem_bytes: usize,
    limit_bytes: usize,
}

impl Memory {
    /// `work_mem_bytes` is what one operator may hold before it spills, `limit_bytes` what the statement
    /// may hold in all.
    pub fn new(work_mem_bytes: usize, limit_bytes: usize) -> Arc<Memory> {
        Arc::new(Memory { used: AtomicUsize::new(0), peak: AtomicUsize::new(0), work_mem_bytes, limit_bytes })
    }

    pub fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub fn peak_bytes(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    pub fn reserve(self: &Arc<Memory>) -> Reservation {
        Reservation { memory: self.clone(), held: 0, peak: 0 }
    }
}

/// What one operator holds.
#[derive(Debug)]
pub struct Reservation {
    memory: Arc<Memory>,
    held: usize,
    peak: usize,
}

impl Reservation {
    /// Accounts for `bytes` more. 53200 when the statement holds more than its limit.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        self.held += bytes;
        self.peak = self.peak.max(self.held);
        let used = self.memory.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.memory.peak.fetch_max(used, Ordering::Relaxed);
        if used > self.memory.limit_bytes {
            return Err(Error::new(SqlState::OUT_OF_MEMORY, "out of memory").with_detail(format!(
                "The statement holds {used} bytes; its limit is {} bytes.",
                self.memory.limit_bytes
            )));
        }
        Ok(())
    }

    /// Says that the operator now holds `bytes` in all.
    pub fn set(&mut self, bytes: usize) -> Result<()> {
        if bytes >= self.held {
            self.grow(bytes - self.held)
        } else {
            self.shrink(self.held - bytes);
            Ok(())
        }
    }

    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.memory.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub fn held_bytes(&self) -> usize {
        self.held
    }

    pub fn peak_bytes(&self) -> usize {
        self.peak
    }

    /// True when the operator holds more than `work_mem`: time to spill.
    pub fn over_budget(&self) -> bool {
        self.held > self.memory.work_mem_bytes
    }

    pub fn budget_bytes(&self) -> usize {
        self.memory.work_mem_bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_return_what_they_held() {
        let memory = Memory::new(100, 1000);
        let mut a = memory.reserve();
        a.grow(90).unwrap();
        assert!(!a.over_budget());
        a.grow(20).unwrap();
        assert!(a.over_budget());
        let mut b = memory.reserve();
        assert_eq!(b.grow(900).unwrap_err().code(), SqlState::OUT_OF_MEMORY);
        drop(b);
        a.set(10).unwrap();
        assert_eq!((memory.used_bytes(), memory.peak_bytes()), (10, 1010));
        drop(a);
        assert_eq!(memory.used_bytes(), 0);
    }
}
