//! The cost model's units.
//!
//! Printed costs look like PostgreSQL's (1 is one sequential page read) but weigh work as our executor
//! does it: with the default settings one unit is about 1–1.5 µs of one core. A row decoded from a page
//! is 12 ns, a hash build 21 ns and a probe 15–20 ns a row, a look-up by key 0.45 µs when the pages are in
//! memory (ENGINE.md II §3, §6). Everything scales with PostgreSQL's settings of the same names.

use crate::context::PlannerSettings;

/// What the steps of operators cost. Plain data, made once per statement.
#[derive(Debug, Clone)]
pub struct Model {
    pub sequential_page: f64,
    pub random_page: f64,
    /// Per row that an operator hands on after decoding or copying it.
    pub tuple: f64,
    pub index_tuple: f64,
    /// Per row and operator or function call.
    pub operator: f64,
    /// Pages that are assumed to stay in memory.
    cache_pages: f64,
    work_memory_bytes: f64,
}

/// Added to the cost of a path that a setting forbids, so that it is taken only when there is no other.
pub const DISABLED: f64 = 1.0e10;

impl Model {
    pub fn new(settings: &PlannerSettings) -> Model {
        Model {
            sequential_page: settings.seq_page_cost,
            random_page: settings.random_page_cost,
            tuple: settings.cpu_tuple_cost,
            index_tuple: settings.cpu_index_tuple_cost,
            operator: settings.cpu_operator_cost,
            cache_pages: settings.effective_cache_size_pages as f64 / 2.0,
            work_memory_bytes: settings.work_mem_kb as f64 * 1024.0,
        }
    }

    /// Reading every page of a table and decoding every row.
    pub fn scan(&self, pages: f64, rows: f64) -> f64 {
        pages * self.sequential_page + rows * self.tuple
    }

    /// Going down a tree of `pages` pages to the first entry: a binary search per level, and what the
    /// pages cost that are not in memory.
    pub fn descent(&self, pages: f64) -> f64 {
        let levels = 1.0 + (pages.max(1.0).ln() / 150f64.ln()).ceil();
        levels * 45.0 * self.operator
    }

    /// One page somewhere in a relation of `pages` pages.
    pub fn random_page(&self, pages: f64) -> f64 {
        let missing = if pages <= self.cache_pages { 0.0 } else { 1.0 - self.cache_pages / pages };
        self.random_page * (0.05 + 0.95 * missing)
    }

    /// A look-up by key that finds `rows` rows: per look-up in a batch of them.
    pub fn look_up(&self, pages: f64, rows: f64) -> f64 {
        self.descent(pages) * 0.5 + self.random_page(pages) + rows * (self.index_tuple + self.tuple)
    }

    pub fn hash_build(&self, rows: f64, width: f64) -> f64 {
        let spill = if rows * (width + 16.0) > self.work_memory_bytes * 64.0 { 1.5 } else { 1.0 };
        rows * self.tuple * 2.0 * spill
    }

    pub fn hash_probe(&self, rows: f64, build_rows: f64) -> f64 {
        // A table that leaves the cache costs a miss per probe.
        let miss = if build_rows > 50_000.0 { 2.0 } else { 1.0 };
        rows * self.tuple * 0.7 * miss
    }

    pub fn sort(&self, rows: f64, width: f64) -> f64 {
        let rows = rows.max(2.0);
        let spill = if rows * width > self.work_memory_bytes * 64.0 { 1.5 } else { 1.0 };
        rows * rows.log2() * self.operator * 1.2 * spill + rows * self.tuple * 0.5
    }

    /// Keeping the first `limit` rows.
    pub fn top_n(&self, rows: f64, limit: f64) -> f64 {
        rows * self.operator * 2.0 + limit.max(2.0) * limit.max(2.0).log2() * self.operator
    }

    pub fn hash_aggregate(&self, rows: f64, groups: f64, keys: usize, calls: usize) -> f64 {
        let miss = if groups > 50_000.0 { 2.0 } else { 1.0 };
        rows * (self.tuple * miss * keys.min(1) as f64 + self.operator * (keys + calls) as f64)
            + groups * self.tuple
    }

    pub fn sorted_aggregate(&self, rows: f64, groups: f64, keys: usize, calls: usize) -> f64 {
        rows * self.operator * (1 + keys + 2 * calls) as f64 + groups * self.tuple
    }
}
