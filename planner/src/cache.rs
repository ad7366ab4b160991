//! One plan cache for all sessions: statement and circumstances → plan.
//!
//! Called by the session before it parses or binds. An entry is good for the catalog version it was
//! planned under, no other; the session asks only with the published catalog's version, never from
//! inside a transaction that has changed the schema itself. What a plan depends on besides is in the
//! key: the text (with its literals lifted out, where that was possible), the parameters' types, the
//! search path, role, database, planner settings and the forms in which literals are read. A text whose
//! literals stay in it may hold `'now'`: such statements are cached only when the user prepared them.
//!
//! Bounded by entries and by bytes of key text, least recently used first out; sharded, so that sessions
//! seldom wait for one another. A hit is a hash, a lock and a clone of an `Arc`.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use types::{DataType, TextContext};

use crate::context::{PlanContext, PlannerSettings};
use crate::physical::plan::PhysicalPlan;

const SHARDS: usize = 16;
/// Longer statements are not kept.
const LONGEST_TEXT_BYTES: usize = 64 * 1024;

/// What a plan is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanKey {
    pub text: Arc<str>,
    /// Of the declared parameters and of the literals lifted, in order.
    pub parameter_types: Arc<[DataType]>,
    /// [`circumstances`] of the session.
    pub circumstances: u64,
}

/// A number for everything else a plan depends on. Changes rarely: sessions keep it until a setting,
/// the search path or the role changes.
pub fn circumstances(cx: &PlanContext<'_>) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    cx.search_path.hash(&mut hasher);
    cx.role.hash(&mut hasher);
    cx.database.hash(&mut hasher);
    settings(cx.settings, &cx.text, &mut hasher);
    hasher.finish()
}

fn settings(settings: &PlannerSettings, text: &TextContext, hasher: &mut impl Hasher) {
    // Both are plain data; their debug form says all of it. The statement's time is none of it.
    format!("{settings:?}").hash(hasher);
    format!("{:?}", TextContext { now: None, ..text.clone() }).hash(hasher);
}

#[derive(Debug)]
struct Entry {
    plan: Arc<PhysicalPlan>,
    catalog_version: u64,
    hits: u64,
    planning_ns: u64,
}

/// A cached plan as `cairn_plan_cache` shows it.
#[derive(Debug, Clone)]
pub struct CachedPlan {
    pub text: Arc<str>,
    pub hits: u64,
    /// What planning it took; times `hits` is what was saved.
    pub planning_ns: u64,
    pub catalog_version: u64,
}

/// Counts since the start of the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    pub hits: u64,
    pub misses: u64,
    /// Entries dropped because the catalog had moved on.
    pub invalidations: u64,
    pub evictions: u64,
    pub entries: u64,
}

/// The cache.
pub struct PlanCache {
    shards: Vec<Mutex<LruCache<PlanKey, Entry>>>,
    hasher: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
    invalidations: AtomicU64,
    evictions: AtomicU64,
}

impl PlanCache {
    /// Holds up to about `entries` plans, at least one per shard.
    pub fn new(entries: usize) -> PlanCache {
        let per_shard = NonZeroUsize::new(entries.div_ceil(SHARDS)).unwrap_or(NonZeroUsize::MIN);
        PlanCache {
            shards: (0..SHARDS).map(|_| Mutex::new(LruCache::new(per_shard))).collect(),
            hasher: RandomState::new(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            invalidations: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// The plan for `key`, if it was made under this version of the catalog.
    pub fn get(&self, key: &PlanKey, catalog_version: u64) -> Option<Arc<PhysicalPlan>> {
        let mut shard = self.shard(key);
        let found = match shard.get_mut(key) {
            Some(entry) if entry.catalog_version == catalog_version => {
                entry.hits += 1;
                Some(Arc::clone(&entry.plan))
            }
            Some(entry) => {
                // A session that still reads an older catalog must not throw out a newer plan.
                if entry.catalog_version < catalog_version {
                    shard.pop(key);
                    self.invalidations.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
            None => None,
        };
        drop(shard);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a plan made under this version of the catalog in `planning_ns`.
    pub fn put(&self, key: PlanKey, plan: Arc<PhysicalPlan>, catalog_version: u64, planning_ns: u64) {
        if key.text.len() > LONGEST_TEXT_BYTES {
            return;
        }
        let mut shard = self.shard(&key);
        if shard.peek(&key).is_some_and(|entry| entry.catalog_version > catalog_version) {
            return;
        }
        let replaced = shard.push(key.clone(), Entry { plan, catalog_version, hits: 0, planning_ns });
        if replaced.is_some_and(|(old, _)| old != key) {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets everything (DISCARD PLANS of the server's own, tests).
    pub fn clear(&self) {
        for shard in &self.shards {
            lock(shard).clear();
        }
    }

    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            invalidations: self.invalidations.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries: self.shards.iter().map(|shard| lock(shard).len() as u64).sum(),
        }
    }

    /// What is in it, in no order.
    pub fn entries(&self) -> Vec<CachedPlan> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(lock(shard).iter().map(|(key, entry)| CachedPlan {
                text: Arc::clone(&key.text),
                hits: entry.hits,
                planning_ns: entry.planning_ns,
                catalog_version: entry.catalog_version,
            }));
        }
        all
    }

    fn shard(&self, key: &PlanKey) -> MutexGuard<'_, LruCache<PlanKey, Entry>> {
        let hash = self.hasher.hash_one(key);
        lock(&self.shards[(hash >> 32) as usize % SHARDS])
    }
}

/// A panic elsewhere leaves a cache no worse than before.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for PlanCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlanCache({:?})", self.stats())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physical::plan::{Estimate, Node, NodeId, Op};
    use types::Schema;

    fn key(text: &str) -> PlanKey {
        PlanKey { text: text.into(), parameter_types: Arc::from([DataType::INT4]), circumstances: 7 }
    }

    fn plan() -> Arc<PhysicalPlan> {
        let root = Node {
            id: NodeId(0),
            op: Op::Values { rows: Vec::new() },
            columns: Vec::new(),
            estimate: Estimate::default(),
        };
        Arc::new(PhysicalPlan {
            planned_rows: Vec::new(),
            root: Arc::new(root),
            schema: Schema::default(),
            parameter_types: Vec::new(),
            sub_plans: Vec::new(),
            ctes: Vec::new(),
            plan_parameters: 0,
            depends_on: Vec::new(),
            is_read_only: true,
        })
    }

    #[test]
    fn a_plan_is_good_for_its_catalog_only() {
        let cache = PlanCache::new(100);
        assert!(cache.get(&key("select 1"), 1).is_none());
        cache.put(key("select 1"), plan(), 1, 50);
        assert!(cache.get(&key("select 1"), 1).is_some());
        let mut other = key("select 1");
        other.circumstances = 8;
        assert!(cache.get(&other, 1).is_none());
        // A reader of an older catalog does not harm a newer plan; a newer catalog does.
        assert!(cache.get(&key("select 1"), 0).is_none());
        assert!(cache.get(&key("select 1"), 1).is_some());
        assert!(cache.get(&key("select 1"), 2).is_none());
        assert!(cache.get(&key("select 1"), 1).is_none());
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.invalidations, stats.entries), (2, 5, 1, 0));
    }

    #[test]
    fn it_is_bounded() {
        let cache = PlanCache::new(64);
        for i in 0..10_000 {
            cache.put(key(&format!("select {i}")), plan(), 1, 50);
        }
        let stats = cache.stats();
        assert!(stats.entries <= 64, "{stats:?}");
        assert_eq!(stats.entries + stats.evictions, 10_000);
        cache.put(key(&"x".repeat(LONGEST_TEXT_BYTES + 1)), plan(), 1, 50);
        assert_eq!(cache.stats().entries, stats.entries);
        cache.clear();
        assert_eq!(cache.stats().entries, 0);
    }
}
