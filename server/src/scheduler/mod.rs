//! Who runs when: per-core runtimes, and statements as coroutines on them.
//!
//! Each core has a thread with a single-threaded runtime; a connection lives on one of them. What a
//! client sends is worked off inside a stackful coroutine, so that ordinary synchronous code can
//! suspend wherever it must wait (row lock, log flush, client, time slice) and the thread serves
//! other connections meanwhile.

pub mod cores;
pub mod coroutine;
