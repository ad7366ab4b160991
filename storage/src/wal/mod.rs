//! The log: one stream of records, flushed before what it describes.
//!
//! Used by everything that changes a page. An LSN is a byte position in the stream; the stream lies in
//! preallocated segment files that are recycled behind checkpoints.

pub mod lsn;
pub mod reader;
pub mod record;
pub mod segment;
pub mod writer;

pub use lsn::Lsn;
pub use record::{PageOp, Record, RowChange, RowOp};
pub use writer::{Log, OnDurable, Room};
