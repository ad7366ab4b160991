//! The live facts that system views may ask for: sessions, locks, settings, sizes.
//!
//! The server answers them; this crate sees no socket, page or clock.

use types::Value;

use crate::object::{RelationId, RoleId, TreeNumber};

/// What `pg_settings` shows of one setting.
#[derive(Debug, Clone)]
pub struct SettingRow {
    pub name: String,
    pub setting: String,
    pub unit: Option<&'static str>,
    pub category: &'static str,
    pub description: &'static str,
    /// `internal`, `postmaster`, `sighup`, `superuser`, `user`.
    pub context: &'static str,
    /// `bool`, `integer`, `real`, `string`, `enum`.
    pub kind: &'static str,
    /// `default`, `command line`, `configuration file`, `session` …
    pub source: &'static str,
    pub min: Option<String>,
    pub max: Option<String>,
    pub enum_values: Option<Vec<&'static str>>,
    pub boot_value: Option<String>,
    pub reset_value: Option<String>,
}

/// What `pg_stat_activity` shows of one session. Times are timestamptz microseconds.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub pid: i32,
    pub database: String,
    pub user: String,
    pub application_name: String,
    pub client_address: Option<String>,
    pub client_port: Option<i32>,
    pub backend_start: i64,
    pub transaction_start: Option<i64>,
    pub query_start: Option<i64>,
    pub state_change: Option<i64>,
    pub state: String,
    pub wait_event_type: Option<String>,
    pub wait_event: Option<String>,
    pub query: String,
}

/// What a lock of `pg_locks` is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockSubject {
    Relation(u32),
    Transaction(u32),
    Advisory {
        database: u32,
        class: u32,
        object: u32,
        /// 1 for a 64-bit number, 2 for a pair.
        kind: i16,
    },
}

/// What `pg_locks` shows of one lock.
#[derive(Debug, Clone, Copy)]
pub struct LockRow {
    pub subject: LockSubject,
    pub pid: i32,
    pub transaction: u64,
    pub mode: &'static str,
    pub granted: bool,
}

/// Facts that change while the server runs.
pub trait Runtime {
    fn settings(&self) -> Vec<SettingRow>;
    fn sessions(&self) -> Vec<SessionRow>;
    fn locks(&self) -> Vec<LockRow> {
        Vec::new()
    }
    /// Rows of a prepared statement or cursor view, by the view's name; empty when there are none.
    fn session_rows(&self, view: &str) -> Vec<Vec<Value>>;
    /// Live rows of a table, as the store counts them.
    fn row_count(&self, table: RelationId) -> Option<u64>;
    fn tree_bytes(&self, tree: TreeNumber) -> u64;
    fn current_role(&self) -> RoleId;
    /// The value a sequence last gave out, or (false) will give out first; `None` when it cannot be told.
    fn sequence_state(&self, sequence: RelationId) -> Option<(i64, bool)> {
        let _ = sequence;
        None
    }
    /// The value a sequence last gave out; `None` before the first.
    fn sequence_last_value(&self, sequence: RelationId) -> Option<i64> {
        self.sequence_state(sequence).and_then(|(last, is_called)| is_called.then_some(last))
    }
    /// The session's search path, resolved.
    fn search_path(&self) -> Vec<crate::object::SchemaId>;
}
