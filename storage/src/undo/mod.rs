//! What is known of the past: who wrote which record, and what it was before.
//!
//! `writer.rs` is a transaction as its versions see it; `version.rs` the version table of a page. Both
//! are plain data in memory; they know neither pages nor the log.

pub mod version;
pub mod writer;

pub use version::{Before, PageVersions, Writer};
pub use writer::{Fate, TxState};
