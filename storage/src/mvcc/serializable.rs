//! What SERIALIZABLE adds to a snapshot: it notes what was read, and looks at commit whether it still holds.
//!
//! Called by `scan.rs` and `transaction.rs` (reads), `write.rs` (writes) and at commit. After precision locking
//! (Jordan, Banerjee, Batman 1981), as Neumann, Mühlbauer, Kemper use it (SIGMOD 2015), with key ranges of trees
//! for predicates: a read is the range that was walked, or the key that was looked for, found or not.
//! docs/decisions/0010-serializable.md says what else was weighed.
//!
//! Only SERIALIZABLE transactions note anything, and hold only among themselves, as in PostgreSQL.
//!
//! **Why it holds.** Let W(T) be the keys that T wrote (in all trees: rows and index entries), R(T) the ranges
//! it read, s(T) the timestamp of its snapshot and c(T) that of its commit. `commit` does three things under
//! one mutex: it refuses T if some U with s(T) < c(U) has W(U) ∩ R(T) ≠ ∅, it appends T's commit record,
//! which is c(T), and it keeps W(T) for those that come later. So U is either in the list when T looks, or
//! looks after T; and the order of the list is that of the log.
//!
//! - A T that wrote read at s(T) what it would have read right before c(T): whatever was committed between
//!   the two wrote nothing in R(T). Nothing of its own is in the way: T sees its own writes as a serial T
//!   would. So T may stand at c(T).
//! - A T that wrote nothing may stand at s(T): it saw exactly the commits up to it, which are a prefix of the
//!   order. It is never refused, notes are for nothing then, and DEFERRABLE has nothing to wait for. The
//!   read-only anomaly (Fekete, O'Neil, O'Neil 2004) needs a writer that has read what another, earlier in
//!   the order, overwrote: that writer is the one refused.
//! - Whoever wrote the same record after s(T) makes T fail at once (first updater wins), before this matters.
//!
//! **Between the commit record and its visibility** (it is yet to be durable) U is in the list, and a T that
//! begins now has s(T) < c(U): it does not see U and is held against it. Nothing is forgotten that is not
//! visible. If the log fails, nothing commits any more, whatever the list says.
//!
//! **Reads that see more than the snapshot** (a duplicate key, the rows that refer to a deleted one) are noted
//! as well, and make T one that must be looked at though it wrote nothing: if it saw a U newer than s(T), then
//! W(U) is in its range, and it fails. What a row lock holds from a version the snapshot sees until the end needs
//! no note; when a savepoint gives the lock back, it is noted then.
//!
//! **Savepoints.** What was read stays noted (the client has seen it); what was written and undone stays in W,
//! which may refuse somebody without need, and lets no one through.
//!
//! **Bounds.** A set of ranges beyond [`SET_BYTES`] for one tree becomes the one range around them; writes
//! remembered beyond [`REMEMBERED_BYTES`] become, oldest first, "this tree was written at …". Both only refuse more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;
use types::sqlstate::SqlState;
use types::{Error, Result};

use super::Active;
use crate::scan::KeyRange;

/// Bytes of ranges kept for one tree of one transaction.
const SET_BYTES: usize = 1 << 20;
/// Bytes of writes kept for transactions that have committed.
const REMEMBERED_BYTES: usize = 64 << 20;
/// What a range costs beside its bytes.
const RANGE_BYTES: usize = 64;

/// Keys of trees, as ranges.
#[derive(Default, Debug)]
pub struct KeySet {
    trees: HashMap<u64, Ranges>,
}

/// Half-open ranges that neither overlap nor touch: lower → upper (`None`: no end). A key's successor is the key
/// and a zero byte, so that every kind of bound has this form.
#[derive(Default, Debug)]
struct Ranges {
    map: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl KeySet {
    pub fn add(&mut self, tree: u64, range: &KeyRange) {
        let lower = match &range.lower {
            Bound::Unbounded => Vec::new(),
            Bound::Included(key) => key.clone(),
            Bound::Excluded(key) => successor(key),
        };
        let upper = match &range.upper {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(successor(key)),
            Bound::Excluded(key) => Some(key.clone()),
        };
        self.add_half_open(tree, lower, upper);
    }

    pub fn add_key(&mut self, tree: u64, key: &[u8]) {
        if !self.trees.get(&tree).is_some_and(|ranges| ranges.has(key)) {
            self.add_half_open(tree, key.to_vec(), Some(successor(key)));
        }
    }

    fn add_half_open(&mut self, tree: u64, lower: Vec<u8>, upper: Option<Vec<u8>>) {
        let ranges = self.trees.entry(tree).or_default();
        ranges.add(lower, upper);
        if ranges.bytes > SET_BYTES {
            ranges.coarsen();
        }
    }

    /// True when some key is in both.
    fn meets(&self, other: &KeySet) -> bool {
        let (few, many) = if self.trees.len() <= other.trees.len() { (self, other) } else { (other, self) };
        few.trees.iter().any(|(tree, ranges)| many.trees.get(tree).is_some_and(|others| ranges.meet(others)))
    }

    fn bytes(&self) -> usize {
        self.trees.values().map(|ranges| ranges.bytes + RANGE_BYTES).sum()
    }
}

fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// Whether a range that ends at `upper` reaches `key` (touching counts).
fn reaches(upper: &Option<Vec<u8>>, key: &[u8]) -> bool {
    upper.as_deref().is_none_or(|upper| upper >= key)
}

fn cost(lower: &[u8], upper: &Option<Vec<u8>>) -> usize {
    lower.len() + upper.as_ref().map_or(0, Vec::len) + RANGE_BYTES
}

impl Ranges {
    fn add(&mut self, mut lower: Vec<u8>, mut upper: Option<Vec<u8>>) {
        if upper.as_ref().is_some_and(|upper| *upper <= lower) {
            return;
        }
        let before = self.map.range::<[u8], _>((Bound::Unbounded, Bound::Included(lower.as_slice())));
        if let Some((start, end)) = before.last()
            && reaches(end, &lower)
        {
            if upper.as_ref().is_some_and(|upper| reaches(end, upper)) || end.is_none() {
                return;
            }
            lower = start.clone();
        }
        // Whatever begins inside or right behind the new range becomes part of it.
        loop {
            let next =
                self.map.range::<[u8], _>((Bound::Included(lower.as_slice()), Bound::Unbounded)).next();
            let Some((start, end)) = next else { break };
            if !reaches(&upper, start) {
                break;
            }
            if upper.as_ref().is_some_and(|upper| reaches(end, upper)) {
                upper = end.clone();
            }
            let (start, end) = (start.clone(), end.clone());
            self.bytes -= cost(&start, &end);
            self.map.remove(&start);
        }
        self.bytes += cost(&lower, &upper);
        self.map.insert(lower, upper);
    }

    fn has(&self, key: &[u8]) -> bool {
        let before = self.map.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        before.last().is_some_and(|(_, end)| end.as_deref().is_none_or(|end| end > key))
    }

    /// True when the range from `lower` to `upper` meets one of these.
    fn meet_range(&self, lower: &[u8], upper: &Option<Vec<u8>>) -> bool {
        if self.has(lower) {
            return true;
        }
        let next = self.map.range::<[u8], _>((Bound::Excluded(lower), Bound::Unbounded)).next();
        next.is_some_and(|(start, _)| upper.as_ref().is_none_or(|upper| start < upper))
    }

    fn meet(&self, other: &Ranges) -> bool {
        let (few, many) = if self.map.len() <= other.map.len() { (self, other) } else { (other, self) };
        few.map.iter().any(|(lower, upper)| many.meet_range(lower, upper))
    }

    /// Makes one range of all.
    fn coarsen(&mut self) {
        let last = self.map.pop_last();
        let first = self.map.pop_first();
        let (Some((last_lower, upper)), first) = (last, first) else { return };
        let lower = first.map_or(last_lower, |(lower, _)| lower);
        self.map.clear();
        self.bytes = cost(&lower, &upper);
        self.map.insert(lower, upper);
    }
}

/// What one SERIALIZABLE transaction has read and written so far.
pub struct Tracked {
    serializable: Arc<Serializable>,
    active: Arc<Active>,
    /// Of its snapshot.
    timestamp: u64,
    reads: Mutex<KeySet>,
    writes: Mutex<KeySet>,
}

impl Tracked {
    pub fn read_range(&self, tree: u64, range: &KeyRange) {
        self.reads.lock().add(tree, range);
    }

    pub fn read_key(&self, tree: u64, key: &[u8]) {
        self.reads.lock().add_key(tree, key);
    }

    pub fn wrote_key(&self, tree: u64, key: &[u8]) {
        self.writes.lock().add_key(tree, key);
    }

    /// The tree has come or goes: whoever reads any of it meets that.
    pub fn wrote_tree(&self, tree: u64) {
        self.writes.lock().add(tree, &KeyRange::all());
    }

    /// 40001 when something that this transaction has read was changed by one that has committed since.
    pub fn check(&self) -> Result<()> {
        let reads = self.reads.lock();
        self.serializable.check(self.timestamp, &reads, 0).map(|_| ())
    }

    /// Runs `append`, which puts the commit record in the log and returns its end, and returns what it did; unless
    /// [`Tracked::check`] objects: then 40001, and nothing has happened.
    pub fn commit<R>(&self, append: impl FnOnce() -> Result<(R, u64)>) -> Result<Result<(R, u64)>> {
        let reads = self.reads.lock();
        let writes = std::mem::take(&mut *self.writes.lock());
        // Most of the work before the mutex that all who commit must have.
        let seen = self.serializable.check(self.timestamp, &reads, 0)?;
        let mut state = self.serializable.state.lock();
        state.check_coarse(self.timestamp, &reads)?;
        let newer = state.since(self.timestamp.max(seen));
        if newer.iter().any(|(_, written)| written.meets(&reads)) {
            return Err(failure());
        }
        let appended = append();
        if let Ok((_, end)) = &appended {
            state.remember(*end, writes);
            state.forget(&self.active);
        }
        Ok(appended)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let mut state = self.serializable.state.lock();
        if let Some(count) = state.running.get_mut(&self.timestamp) {
            *count -= 1;
            if *count == 0 {
                state.running.remove(&self.timestamp);
            }
        }
        state.forget(&self.active);
    }
}

/// What SERIALIZABLE transactions have written that a running one does not see.
#[derive(Default)]
pub struct Serializable {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Timestamp of the snapshot → transactions that have it.
    running: BTreeMap<u64, usize>,
    /// In the order of their commits, with their timestamps.
    committed: VecDeque<(u64, Arc<KeySet>)>,
    committed_bytes: usize,
    /// Of commits that are no longer remembered one by one: tree → the last that wrote to it.
    coarse: HashMap<u64, u64>,
}

impl Serializable {
    /// Begins to keep account for a transaction; `snapshot` takes its snapshot and returns the timestamp.
    pub fn track<R>(
        self: &Arc<Self>,
        active: &Arc<Active>,
        snapshot: impl FnOnce() -> (R, u64),
    ) -> (R, Arc<Tracked>) {
        // What the snapshot does not see must not be forgotten before it is known here.
        let mut state = self.state.lock();
        let (result, timestamp) = snapshot();
        *state.running.entry(timestamp).or_default() += 1;
        drop(state);
        let tracked = Tracked {
            serializable: self.clone(),
            active: active.clone(),
            timestamp,
            reads: Mutex::default(),
            writes: Mutex::default(),
        };
        (result, Arc::new(tracked))
    }

    /// 40001 when a commit after `timestamp` and after `seen` wrote what was read; returns the last looked at.
    fn check(&self, timestamp: u64, reads: &KeySet, seen: u64) -> Result<u64> {
        let newer = {
            let state = self.state.lock();
            state.check_coarse(timestamp, reads)?;
            state.since(timestamp.max(seen))
        };
        if newer.iter().any(|(_, written)| written.meets(reads)) {
            return Err(failure());
        }
        Ok(newer.last().map_or(seen, |(end, _)| *end))
    }
}

impl State {
    fn since(&self, timestamp: u64) -> Vec<(u64, Arc<KeySet>)> {
        let from = self.committed.partition_point(|(end, _)| *end <= timestamp);
        self.committed.iter().skip(from).cloned().collect()
    }

    fn check_coarse(&self, timestamp: u64, reads: &KeySet) -> Result<()> {
        if self.coarse.is_empty() {
            return Ok(());
        }
        let written = |tree| self.coarse.get(tree).is_some_and(|end| *end > timestamp);
        if reads.trees.keys().any(written) { Err(failure()) } else { Ok(()) }
    }

    fn remember(&mut self, end: u64, writes: KeySet) {
        self.committed_bytes += writes.bytes();
        self.committed.push_back((end, Arc::new(writes)));
        while self.committed_bytes > REMEMBERED_BYTES
            && let Some((end, written)) = self.committed.pop_front()
        {
            self.committed_bytes -= written.bytes();
            written.trees.keys().for_each(|tree| {
                self.coarse.insert(*tree, end);
            });
        }
    }

    /// Forgets what every running and every future snapshot sees.
    fn forget(&mut self, active: &Active) {
        let visible = active.visible();
        let floor = self.running.keys().next().map_or(visible, |oldest| visible.min(*oldest));
        while let Some((end, written)) = self.committed.front()
            && *end <= floor
        {
            self.committed_bytes -= written.bytes();
            self.committed.pop_front();
        }
        if !self.coarse.is_empty() {
            self.coarse.retain(|_, end| *end > floor);
        }
    }
}

/// 40001, worded as PostgreSQL does.
fn failure() -> Error {
    Error::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to read/write dependencies among transactions",
    )
    .with_detail(
        "Reason code: Canceled because what it has read was changed by a transaction that committed first.",
    )
    .with_hint("The transaction might succeed if retried.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(lower: &str, upper: &str) -> KeyRange {
        KeyRange::new(Bound::Included(lower.into()), Bound::Excluded(upper.into()))
    }

    fn text(set: &KeySet, tree: u64) -> String {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', "+");
        let Some(ranges) = set.trees.get(&tree) else { return String::new() };
        let each = ranges
            .map
            .iter()
            .map(|(lower, upper)| format!("[{},{})", show(lower), upper.as_deref().map_or("∞".into(), show)));
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ranges_merge_when_they_overlap_or_touch() {
        let mut set = KeySet::default();
        set.add(1, &range("d", "f"));
        set.add(1, &range("k", "m"));
        set.add_key(1, b"b");
        assert_eq!(text(&set, 1), "[b,b+) [d,f) [k,m)");
        set.add(1, &range("f", "g"));
        assert_eq!(text(&set, 1), "[b,b+) [d,g) [k,m)");
        set.add_key(1, b"e");
        set.add(1, &range("e", "f"));
        set.add(1, &range("z", "a"));
        assert_eq!(text(&set, 1), "[b,b+) [d,g) [k,m)");
        set.add(1, &KeyRange::new(Bound::Excluded(b"f".to_vec()), Bound::Included(b"k".to_vec())));
        assert_eq!(text(&set, 1), "[b,b+) [d,m)");
        set.add(1, &KeyRange::new(Bound::Included(b"c".to_vec()), Bound::Unbounded));
        assert_eq!(text(&set, 1), "[b,b+) [c,∞)");
        set.add_key(1, b"zz");
        set.add(1, &KeyRange::all());
        assert_eq!(text(&set, 1), "[,∞)");
        let sum: usize = set.trees[&1].map.iter().map(|(lower, upper)| cost(lower, upper)).sum();
        assert_eq!(set.trees[&1].bytes, sum);
    }

    #[test]
    fn sets_meet_where_a_key_is_in_both() {
        let mut reads = KeySet::default();
        reads.add(1, &range("d", "f"));
        reads.add_key(1, b"p");
        let meets = |tree, key: &str| {
            let mut writes = KeySet::default();
            writes.add_key(tree, key.as_bytes());
            reads.meets(&writes)
        };
        assert!(meets(1, "d") && meets(1, "ezz") && meets(1, "p"));
        assert!(!meets(1, "c") && !meets(1, "f") && !meets(1, "p\0") && !meets(2, "d"));
        let mut wide = KeySet::default();
        wide.add(1, &range("a", "d"));
        assert!(!reads.meets(&wide));
        wide.add(1, &range("g", "q"));
        assert!(reads.meets(&wide) && wide.meets(&reads));
    }

    #[test]
    fn a_set_that_grows_too_large_becomes_one_range() {
        let mut set = KeySet::default();
        for i in 0..20_000u32 {
            set.add_key(1, &(i * 2).to_be_bytes());
        }
        assert!(set.bytes() <= SET_BYTES + 1024);
        let has = |key: u32| set.trees[&1].has(&key.to_be_bytes());
        assert!((0..20_000).all(|i| has(i * 2)), "nothing is lost");
        assert!(has(3) && !has(40_001), "and only what lies between is added");
    }

    #[test]
    fn a_long_list_of_commits_is_remembered_by_tree() {
        let active = Active::default();
        active.reset(1, crate::wal::Lsn(1000));
        let mut state = State::default();
        state.running.insert(10, 1);
        let written = |tree| {
            let mut set = KeySet::default();
            (0..500u32).for_each(|i| set.add_key(tree, &[i.to_be_bytes(), [7; 4]].concat().repeat(100)));
            set
        };
        let each = written(0).bytes();
        let most = REMEMBERED_BYTES / each;
        for i in 0..most as u64 + 3 {
            state.remember(100 + i, written(i));
        }
        assert!(state.committed_bytes <= REMEMBERED_BYTES && state.committed.len() == most);
        let reads_of = |tree| {
            let mut set = KeySet::default();
            set.add_key(tree, b"another key");
            set
        };
        // Trees 0, 1 and 2 are known as written, at 100, 101 and 102, and no more.
        assert!(state.check_coarse(10, &reads_of(2)).is_err());
        assert!(state.check_coarse(102, &reads_of(2)).is_ok());
        assert!(state.check_coarse(10, &reads_of(3)).is_ok());
        state.forget(&active);
        assert_eq!((state.committed.len(), state.coarse.len()), (most, 3), "somebody is still at 10");
        state.running.clear();
        state.forget(&active);
        assert_eq!((state.committed.len(), state.coarse.len(), state.committed_bytes), (0, 0, 0));
    }
}
