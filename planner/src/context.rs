//! Everything a plan depends on besides the statement: catalog, settings, parameter types, statistics.
//!
//! Filled by the session for each statement it plans, and read by `binder/`, `rewrite/` and
//! `physical/`. Two equal statements with equal contexts give equal plans, which is what lets
//! `cache.rs` share them.

use catalog::{Catalog, DatabaseId, RelationId, RoleId, SchemaId};
use expr::{EvalContext, Host};
use types::{DataType, Result, TextContext, Value};

/// What a plan depends on. Borrowed for the time of planning.
pub struct PlanContext<'a> {
    pub catalog: &'a Catalog,
    /// The text that was parsed: view definitions are kept as the user wrote them, errors count in it.
    pub query_text: &'a str,
    /// The setting `search_path`, entry by entry: `"$user"` and schemas that do not exist may be among them
    /// (see `Catalog::search_schemas`).
    pub search_path: &'a [String],
    /// Who asks: the owner of what is created.
    pub role: RoleId,
    pub database: DatabaseId,
    /// `$1…` as the client declared them; [`UNDECLARED`] means: to be inferred.
    pub parameter_types: &'a [DataType],
    /// How literals are read (DateStyle, TimeZone …).
    pub text: TextContext,
    /// now() and statement_timestamp(), in microseconds since 2000-01-01 UTC.
    pub transaction_time: i64,
    pub statement_time: i64,
    /// Answers catalog functions while literals are read and constants folded (`'t'::regclass`).
    pub host: &'a dyn Host,
    /// Live facts about tables.
    pub statistics: &'a dyn Statistics,
    pub settings: &'a PlannerSettings,
}

/// A parameter whose type is to be inferred.
pub const UNDECLARED: DataType = DataType::UNKNOWN;

/// What the store knows about sizes as they are now; what ANALYZE found is in `Catalog::stats`.
pub trait Statistics {
    /// Rows there are now, roughly; `None` if the store cannot tell cheaply.
    fn row_count(&self, table: RelationId) -> Option<f64>;

    /// Pages of the table's or index's tree now.
    fn page_count(&self, relation: RelationId) -> Option<f64>;
}

/// Nothing known: PostgreSQL's defaults apply.
pub struct NoStatistics;

impl Statistics for NoStatistics {
    fn row_count(&self, _table: RelationId) -> Option<f64> {
        None
    }

    fn page_count(&self, _relation: RelationId) -> Option<f64> {
        None
    }
}

/// The planner's settings, by PostgreSQL's names and with its defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerSettings {
    pub enable_seqscan: bool,
    pub enable_indexscan: bool,
    pub enable_indexonlyscan: bool,
    pub enable_bitmapscan: bool,
    pub enable_nestloop: bool,
    pub enable_hashjoin: bool,
    pub enable_mergejoin: bool,
    pub enable_hashagg: bool,
    pub enable_sort: bool,
    pub enable_incremental_sort: bool,
    pub enable_material: bool,
    pub enable_memoize: bool,
    pub seq_page_cost: f64,
    pub random_page_cost: f64,
    pub cpu_tuple_cost: f64,
    pub cpu_index_tuple_cost: f64,
    pub cpu_operator_cost: f64,
    /// In kilobytes.
    pub work_mem_kb: u64,
    /// In pages of 8 kB, as PostgreSQL counts it.
    pub effective_cache_size_pages: u64,
    pub from_collapse_limit: u32,
    pub join_collapse_limit: u32,
    pub default_statistics_target: u32,
    pub cursor_tuple_fraction: f64,
}

impl Default for PlannerSettings {
    fn default() -> PlannerSettings {
        PlannerSettings {
            enable_seqscan: true,
            enable_indexscan: true,
            enable_indexonlyscan: true,
            enable_bitmapscan: true,
            enable_nestloop: true,
            enable_hashjoin: true,
            enable_mergejoin: true,
            enable_hashagg: true,
            enable_sort: true,
            enable_incremental_sort: true,
            enable_material: true,
            enable_memoize: true,
            seq_page_cost: 1.0,
            random_page_cost: 4.0,
            cpu_tuple_cost: 0.01,
            cpu_index_tuple_cost: 0.005,
            cpu_operator_cost: 0.0025,
            work_mem_kb: 4096,
            effective_cache_size_pages: 524_288,
            from_collapse_limit: 8,
            join_collapse_limit: 8,
            default_statistics_target: 100,
            cursor_tuple_fraction: 0.1,
        }
    }
}

impl<'a> PlanContext<'a> {
    /// To evaluate constants with: no parameters, the statement's time.
    pub fn eval_context(&self) -> EvalContext<'a> {
        let mut cx = EvalContext::new(self.host);
        cx.transaction_time = self.transaction_time;
        cx.statement_time = self.statement_time;
        cx.text = self.text.clone();
        cx
    }

    /// The schemas searched for unqualified names, in order, `pg_catalog` first unless it is listed.
    pub fn search_schemas(&self) -> Vec<SchemaId> {
        self.catalog.search_schemas(self.search_path, self.role_name())
    }

    /// The name of the current role; empty if it has just been dropped.
    pub fn role_name(&self) -> &'a str {
        self.catalog.role(self.role).map_or("", |role| role.name.as_str())
    }

    /// Reads a literal of `data_type`. Errors as `types::text::parse_text`, or as the host says for `reg…` types.
    pub fn parse_literal(&self, text: &str, data_type: DataType) -> Result<Value> {
        types::text::parse_text(data_type, text, &self.text)
    }
}
