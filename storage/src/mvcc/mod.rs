//! Who sees what, and who waits for whom.
//!
//! `active.rs` knows the running transactions and the snapshots, `snapshot.rs` and `visibility.rs` decide
//! which version a statement sees, `lock.rs` holds locks and queues for rows, `table_lock.rs` tables and `advisory.rs`
//! mere numbers, `wait_graph.rs` finds deadlocks, `write.rs` changes records under these rules, `serializable.rs` is what SERIALIZABLE adds, `sweep.rs` forgets what no snapshot
//! needs.

pub mod active;
pub mod advisory;
pub mod lock;
pub mod serializable;
pub mod snapshot;
pub mod sweep;
pub mod table_lock;
pub mod visibility;
pub mod wait_graph;
pub mod write;

pub use active::Active;
pub use snapshot::Snapshot;
