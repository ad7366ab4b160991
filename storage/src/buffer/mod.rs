//! Page frames: the part of the page file that is in memory, within a fixed budget.
//!
//! `pool.rs` finds and loads pages, `guard.rs` is how callers hold them, `evict.rs` chooses what leaves
//! and writes changed pages back, `double_write.rs` makes torn writes repairable, `written.rs` lost ones noticed.

pub mod double_write;
pub mod evict;
pub mod guard;
pub mod pool;
mod written;

pub use guard::{ReadGuard, WriteGuard};
pub use pool::{Access, Pool};
