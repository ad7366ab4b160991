//! B+-trees of slotted pages, on which tables and indexes live.
//!
//! `node.rs` is the page, `tree.rs` finds and changes records, `split.rs` restructures, `redo.rs` applies
//! log records to pages, `check.rs` verifies. Nothing here knows transactions: versions ride along with
//! the slots they belong to.

pub mod check;
pub mod node;
pub mod redo;
pub mod split;
pub mod tree;

pub use tree::{RECORD_INLINE_MOST, ReadAhead, Tree};
