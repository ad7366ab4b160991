//! Ordered reads of a key range.
//!
//! A [`Scan`] remembers where it stands by key, holds no latch between calls, and stays right while
//! others split pages or change rows: it returns exactly what its snapshot sees. The executor implements
//! [`RecordSink`] and decodes records straight from page bytes.

use std::ops::Bound;

use types::{Error, Result};

/// The order of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Forward,
    Backward,
}

/// Keys from `lower` to `upper`, in memcmp order.
#[derive(Clone, Debug)]
pub struct KeyRange {
    pub lower: Bound<Vec<u8>>,
    pub upper: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> KeyRange {
        KeyRange { lower: Bound::Unbounded, upper: Bound::Unbounded }
    }

    pub fn new(lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> KeyRange {
        KeyRange { lower, upper }
    }

    /// Exactly `key`.
    pub fn point(key: &[u8]) -> KeyRange {
        KeyRange { lower: Bound::Included(key.to_vec()), upper: Bound::Included(key.to_vec()) }
    }

    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        KeyRange { lower: Bound::Included(prefix.to_vec()), upper: after_prefix(prefix) }
    }
}

/// The upper bound of the keys that begin with `prefix`; unbounded when it is empty or all 0xff.
pub fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// Takes the records of a scan, one call each.
///
/// It runs under the page's latch: it must not call the store or wait, and should only copy or decode.
pub trait RecordSink {
    /// Set to false when `key` is not looked at; it is then passed empty, and the scan is cheaper.
    const NEEDS_KEY: bool = true;

    /// One visible record. Returns false to stop after it (the batch is full); the next `fill` goes on
    /// behind it. An error ends the fill and is returned by it.
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool>;
}

/// An open scan. Independent of the transaction's later statements: it keeps its own snapshot (so it
/// must not outlive the transaction's end by much: it holds back the removal of old versions).
pub struct Scan {}

impl Scan {
    /// Passes records to `sink` until it returns false or the range ends. Returns false when the range
    /// is exhausted.
    ///
    /// 57014 when the waiter says so (asked once a page); XX001 on damaged pages; what the sink returns.
    pub fn fill<S: RecordSink>(&mut self, sink: &mut S) -> Result<bool> {
        let _ = sink;
        Err(Error::internal("the store is not built yet"))
    }
}
