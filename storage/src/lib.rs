//! Ordered maps of records under transactions. README.md says what always holds; read it first.
//!
//! The face is [`Store`], [`Transaction`], [`Scan`], [`BulkBuilder`] and the [`wait`] seam; the
//! executor is the caller. Nothing in here knows SQL: a key is bytes in memcmp order, a record is bytes.

pub mod bulk;
pub mod scan;
pub mod store;
pub mod transaction;
pub mod wait;

mod btree;
mod buffer;
mod checkpoint;
mod compress;
mod control;
mod directory;
pub mod disk;
mod engine;
mod mvcc;
mod overflow;
mod page;
mod pager;
mod recovery;
mod space;
mod undo;
mod wal;

pub use bulk::BulkBuilder;
pub use disk::LogSync;
pub use mvcc::advisory::{AdvisoryKey, SessionLocks};
pub use mvcc::table_lock::TableLock;
pub use scan::{Direction, KeyRange, RecordSink, Scan};
pub use store::{CheckReport, LockInfo, LockSubject, Store, StoreOptions, StoreStats, TreeId, Upkeep};
pub use transaction::{
    InsertOutcome, IsolationLevel, LockOutcome, RowLock, Savepoint, Transaction, TransactionOptions,
    WriteOutcome,
};
