//! What is known of the past: who wrote which record, and what it was before.
//!
//! `writer.rs` is a transaction as its versions see it; `version.rs` the version table of a page; `live.rs` says
//! which versions somebody can still see. All are plain data in memory; they know neither pages nor the log.

pub mod live;
pub mod version;
pub mod writer;

pub use live::Live;
pub use version::{Before, PageVersions, Writer};
pub use writer::{Fate, TxState};
