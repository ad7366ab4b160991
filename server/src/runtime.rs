//! What functions, system views and the planner ask of the running server, answered for one statement.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use catalog::acl::Rights;
use catalog::runtime::{LockRow, LockSubject, SessionRow, SettingRow};
use catalog::{
    Catalog, Identity, Relation, RelationId, RoleDef, RoleId, Runtime, SchemaId, SequenceDef, SystemContext,
    TreeNumber,
};
use expr::Host;
use parking_lot::Mutex;
use planner::Statistics;
use storage::wait::{self, Signal, WaitReason};
use storage::{AdvisoryKey, SessionLocks, Store, Transaction, TreeId};
use types::{ArrayValue, DataType, Error, Result, SqlState, Value};

use crate::database::Server;
use crate::notify::{Message, Pending};
use crate::session::prepared::Prepared;
use crate::session::settings::{self, Context, Kind, Settings};
use crate::session::{Drawn, Session};

/// Size of one page of the store.
const PAGE_BYTES: u64 = 16 << 10;

/// The session as expressions and system views see it: its values when the statement began.
pub struct SessionHost {
    server: Arc<Server>,
    catalog: Arc<Catalog>,
    role: Arc<RoleDef>,
    session_user: Arc<RoleDef>,
    database: String,
    settings: Arc<Settings>,
    /// Settings whose value belongs to the transaction.
    isolation: &'static str,
    read_only: bool,
    deferrable: bool,
    search_path: Vec<SchemaId>,
    drawn: Arc<Mutex<Drawn>>,
    pending: Arc<Mutex<Pending>>,
    /// What set_config asked for, to be taken over after the statement.
    changes: Mutex<Vec<(String, String, bool)>>,
    /// To be sent after the statement.
    warnings: Mutex<Vec<Error>>,
    /// For advisory locks that end with it. Weak, since a portal must not keep it from ending.
    transaction: Weak<Transaction>,
    advisory: Arc<SessionLocks>,
    process_id: i32,
    prepared: Arc<HashMap<String, Arc<Prepared>>>,
}

impl SessionHost {
    /// `cairn_plan_cache`: statement, hits, milliseconds that planning took, that hits saved, the catalog's version. The
    /// statements of others are for those who may read all statistics.
    fn cached_plans(&self) -> Vec<Vec<Value>> {
        let may_read = self.catalog.is_superuser(self.role.id)
            || self
                .catalog
                .role_by_name("pg_read_all_stats")
                .is_some_and(|all| self.catalog.has_rights_of(self.role.id, all.id));
        let row = |plan: planner::cache::CachedPlan| {
            let planning = plan.planning_ns as f64 / 1e6;
            vec![
                Value::text(if may_read { &*plan.text } else { "<insufficient privilege>" }),
                Value::Int64(plan.hits as i64),
                Value::Float64(planning),
                Value::Float64(planning * plan.hits as f64),
                Value::Int64(plan.catalog_version as i64),
            ]
        };
        self.server.plan_cache.entries().into_iter().map(row).collect()
    }

    pub(crate) fn new(session: &Session, catalog: Arc<Catalog>, search_path: &[String]) -> SessionHost {
        let identity = session.identity();
        let search_path = catalog.search_schemas(search_path, &identity.current.name);
        SessionHost {
            server: Arc::clone(&session.server),
            role: identity.current,
            session_user: identity.session,
            database: session.handle.database.clone(),
            settings: Arc::clone(&session.settings),
            isolation: session.isolation_name(),
            read_only: session.is_read_only(),
            deferrable: session.is_deferrable(),
            search_path,
            drawn: Arc::clone(&session.drawn),
            pending: Arc::clone(&session.pending),
            changes: Mutex::default(),
            warnings: Mutex::default(),
            transaction: session.transaction.transaction().map_or_else(Weak::new, Arc::downgrade),
            advisory: Arc::clone(&session.advisory),
            process_id: session.handle.process_id,
            prepared: Arc::clone(&session.prepared),
            catalog,
        }
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub fn role(&self) -> &RoleDef {
        &self.role
    }

    pub(crate) fn take_changes(&self) -> Vec<(String, String, bool)> {
        std::mem::take(&mut *self.changes.lock())
    }

    pub(crate) fn take_warnings(&self) -> Vec<Error> {
        std::mem::take(&mut *self.warnings.lock())
    }

    /// `pg_[try_]advisory_[xact_]lock[_shared]`, `pg_advisory_unlock[_shared]`, `pg_advisory_unlock_all`.
    fn advisory(&self, name: &str, args: &[Value]) -> Result<Value> {
        if name == "pg_advisory_unlock_all" {
            self.advisory.unlock_all();
            return Ok(Value::text(""));
        }
        let numbers: Vec<i64> = args.iter().filter_map(Value::as_i64).collect();
        let database = self.catalog.database().0;
        let key = match numbers.as_slice() {
            [number] => {
                let (class, object) = ((*number as u64 >> 32) as u32, *number as u32);
                AdvisoryKey { database, class, object, is_pair: false }
            }
            [class, object] => {
                AdvisoryKey { database, class: *class as u32, object: *object as u32, is_pair: true }
            }
            _ => return Err(Error::internal(format!("{name} with {} arguments", args.len()))),
        };
        let shared = name.ends_with("_shared");
        if name.starts_with("pg_advisory_unlock") {
            let held = self.advisory.unlock(key, shared);
            if !held {
                let mode = if shared { "ShareLock" } else { "ExclusiveLock" };
                let message = format!("you don't own a lock of type {mode}");
                self.warnings.lock().push(Error::new(SqlState::WARNING, message));
            }
            return Ok(Value::Bool(held));
        }
        let wait = !name.starts_with("pg_try_");
        let granted = if name.contains("_xact_") {
            let transaction = self.transaction.upgrade();
            let transaction = transaction.ok_or_else(|| Error::internal("no transaction is open"))?;
            transaction.lock_advisory(key, shared, wait)?
        } else {
            let timeout = self.settings.derived().lock_timeout_ms;
            let timeout = (timeout > 0).then(|| Duration::from_millis(timeout));
            self.advisory.lock(key, shared, wait, timeout)?
        };
        Ok(if wait { Value::text("") } else { Value::Bool(granted) })
    }

    fn sequence(&self, oid: u32) -> Result<&Arc<SequenceDef>> {
        self.catalog.sequence(RelationId(oid)).ok_or_else(|| match self.catalog.relation(RelationId(oid)) {
            Some(relation) => {
                Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a sequence", relation.name()))
            }
            None => Error::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {oid}")),
        })
    }

    /// Any of `rights` on the sequence. 42501. A column's identity is drawn by whoever may insert.
    fn check_sequence(&self, sequence: &Arc<SequenceDef>, rights: Rights, draws: bool) -> Result<()> {
        let (catalog, role) = (&self.catalog, self.role.id);
        if self.role.superuser
            || catalog.relation_rights(role, &Relation::Sequence(Arc::clone(sequence))).has_any(rights)
        {
            return Ok(());
        }
        if let Some((table, number)) = sequence.owned_by.filter(|_| draws)
            && let Some(table) = catalog.table(table)
            && table.columns.iter().any(|c| c.number == number && c.identity != Identity::None)
        {
            let whole = catalog.relation_rights(role, &Relation::Table(Arc::clone(table)));
            let mut each = table.columns.iter().map(|c| catalog.column_rights(role, table.id, c.number));
            if whole.has_any(Rights::INSERT) || each.any(|rights| rights.has_any(Rights::INSERT)) {
                return Ok(());
            }
        }
        Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for sequence {}", sequence.name),
        ))
    }

    /// Whether this role may stop a session of `user`. 42501.
    fn check_may_signal(&self, user: &str, terminate: bool) -> Result<()> {
        let catalog = &self.catalog;
        let own = self.role.id;
        let Some(user) = catalog.role_by_name(user).filter(|_| !catalog.is_superuser(own)) else {
            return Ok(());
        };
        let denied = |message: String| Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
        if user.superuser {
            return denied(match terminate {
                true => "must be a superuser to terminate superuser process".into(),
                false => "must be a superuser to cancel superuser query".into(),
            });
        }
        let may = catalog.has_rights_of(own, user.id)
            || catalog.has_rights_of(own, catalog::bootstrap::SIGNAL_BACKEND);
        if may {
            return Ok(());
        }
        denied(match terminate {
            true => "must be a member of the role whose process is being terminated or member of pg_signal_backend".into(),
            false => "must be a member of the role whose query is being canceled or member of pg_signal_backend".into(),
        })
    }

    /// Whether this role may see what sessions of `user` run.
    fn may_see_statements_of(&self, user: &str) -> bool {
        let (catalog, own) = (&self.catalog, self.role.id);
        catalog.is_superuser(own)
            || catalog.has_rights_of(own, catalog::bootstrap::READ_ALL_STATS)
            || catalog.role_by_name(user).is_some_and(|user| catalog.has_rights_of(own, user.id))
    }

    fn system(&self) -> SystemContext<'_> {
        SystemContext { catalog: &self.catalog, runtime: self }
    }
}

/// Rows of `pg_prepared_statements`.
fn prepared_rows(statements: &HashMap<String, Arc<Prepared>>) -> Vec<Vec<Value>> {
    let mut rows = Vec::with_capacity(statements.len());
    for (name, prepared) in statements {
        if name.is_empty() {
            continue;
        }
        let text = prepared.statement.as_ref().map_or("", |statement| &*statement.query_text);
        rows.push(vec![
            Value::text(name.as_str()),
            Value::text(text),
            Value::Int64(prepared.prepare_time),
            Value::Bool(prepared.from_sql),
        ]);
    }
    rows
}

impl Host for SessionHost {
    fn nextval(&self, oid: u32) -> Result<i64> {
        let sequence = self.sequence(oid)?;
        self.check_sequence(sequence, Rights::USAGE.or(Rights::UPDATE), true)?;
        let value = self.server.tables.sequences().nextval(sequence)?;
        let mut drawn = self.drawn.lock();
        drawn.by_sequence.insert(oid, value);
        drawn.last = Some(oid);
        Ok(value)
    }

    fn currval(&self, oid: u32) -> Result<i64> {
        let sequence = self.sequence(oid)?;
        self.check_sequence(sequence, Rights::USAGE.or(Rights::SELECT), false)?;
        self.drawn.lock().by_sequence.get(&oid).copied().ok_or_else(|| {
            Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("currval of sequence \"{}\" is not yet defined in this session", sequence.name),
            )
        })
    }

    fn setval(&self, oid: u32, value: i64, is_called: bool) -> Result<i64> {
        let sequence = self.sequence(oid)?;
        self.check_sequence(sequence, Rights::UPDATE, false)?;
        let value = self.server.tables.sequences().setval(sequence, value, is_called)?;
        if is_called {
            self.drawn.lock().by_sequence.insert(oid, value);
        }
        Ok(value)
    }

    fn lastval(&self) -> Result<i64> {
        let last = self.drawn.lock().last;
        if let Some(sequence) = last.and_then(|oid| self.catalog.sequence(RelationId(oid))) {
            self.check_sequence(sequence, Rights::USAGE.or(Rights::SELECT), false)?;
        }
        let drawn = self.drawn.lock();
        drawn.last.and_then(|oid| drawn.by_sequence.get(&oid)).copied().ok_or_else(|| {
            Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "lastval is not yet defined in this session",
            )
        })
    }

    fn current_user(&self) -> String {
        self.role.name.clone()
    }

    fn session_user(&self) -> String {
        self.session_user.name.clone()
    }

    fn current_database(&self) -> String {
        self.database.clone()
    }

    fn current_schema(&self) -> Option<String> {
        self.current_schemas(false).into_iter().next()
    }

    fn current_schemas(&self, implicit: bool) -> Vec<String> {
        let named = &self.settings.derived().search_path;
        self.search_path
            .iter()
            .filter_map(|id| self.catalog.schema(*id))
            .filter(|schema| implicit || schema.name != "pg_catalog" || named.contains(&schema.name))
            .map(|schema| schema.name.clone())
            .collect()
    }

    fn setting(&self, name: &str) -> Option<String> {
        match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" => Some(self.isolation.to_string()),
            "transaction_read_only" => Some(if self.read_only { "on" } else { "off" }.to_string()),
            "transaction_deferrable" => Some(if self.deferrable { "on" } else { "off" }.to_string()),
            _ => self.settings.show(name).ok(),
        }
    }

    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<String> {
        let mut after = (*self.settings).clone();
        after.set(name, Some(value), local)?;
        let value = after.show(name)?;
        self.changes.lock().push((name.to_string(), value.clone(), local));
        Ok(value)
    }

    fn call(&self, source: &str, args: &[Value]) -> Result<Value> {
        match source {
            "pg_backend_pid" => Ok(Value::Int32(self.process_id)),
            "pg_postmaster_start_time" => Ok(Value::Int64(self.server.start_time)),
            "pg_blocking_pids" => {
                let process_id = args.first().and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
                let found = process_id.map_or_else(Vec::new, |id| self.server.store.blocking(id));
                let items = found.into_iter().map(Value::Int32).collect();
                Ok(Value::Array(Arc::new(ArrayValue::from_elements(DataType::INT4, items))))
            }
            "pg_sleep" => {
                let seconds = match args.first() {
                    Some(Value::Float64(seconds)) if *seconds > 0.0 => seconds.min(1e9),
                    _ => return Ok(Value::text("")),
                };
                let deadline = Instant::now() + Duration::from_secs_f64(seconds);
                wait::wait(&Signal::new(), WaitReason::Lock, Some(deadline))?;
                Ok(Value::text(""))
            }
            _ if source.starts_with("pg_advisory_") || source.starts_with("pg_try_advisory_") => {
                self.advisory(source, args)
            }
            "pg_cancel_backend" | "pg_terminate_backend" => {
                let Some(process_id) = args.first().and_then(Value::as_i64) else { return Ok(Value::Null) };
                let session = i32::try_from(process_id).ok().and_then(|id| self.server.session(id));
                let Some(session) = session else { return Ok(Value::Bool(false)) };
                self.check_may_signal(&session.user, source == "pg_terminate_backend")?;
                session.cancel.cancel();
                if source == "pg_terminate_backend" {
                    session.terminate.notify_one();
                }
                Ok(Value::Bool(true))
            }
            "pg_notify" => {
                let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
                let message = Message::new(text(0), text(1))?;
                self.pending.lock().notify(message);
                Ok(Value::text(""))
            }
            "pg_listening_channels" => {
                let channels = self.server.channels.of(self.process_id);
                let channels = channels.into_iter().map(Value::text).collect();
                Ok(Value::Array(Arc::new(ArrayValue::from_elements(DataType::TEXT, channels))))
            }
            "pg_notification_queue_usage" => Ok(Value::Float64(self.server.channels.usage())),
            "pg_reload_conf" => {
                if !self.role.superuser {
                    return Err(Error::new(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        "permission denied for function pg_reload_conf",
                    ));
                }
                self.server.reload();
                Ok(Value::Bool(true))
            }
            _ => catalog::system::functions::call(&self.system(), source, args),
        }
    }

    fn value_from_text(&self, text: &str, data_type: DataType) -> Result<Value> {
        catalog::system::functions::value_from_text(&self.system(), text, data_type)
    }

    fn value_to_text(&self, value: &Value, data_type: DataType) -> Result<String> {
        catalog::system::functions::value_to_text(&self.system(), value, data_type)
    }

    fn type_name(&self, data_type: DataType) -> Option<String> {
        catalog::system::functions::type_name(&self.system(), data_type)
    }
}

impl Runtime for SessionHost {
    fn settings(&self) -> Vec<SettingRow> {
        settings::SETTINGS
            .iter()
            .map(|setting| {
                let value = self.setting(setting.name).unwrap_or_default();
                let (kind, unit, min, max, words) = match setting.kind {
                    Kind::Bool => ("bool", None, None, None, None),
                    Kind::Integer { min, max, unit } => {
                        ("integer", unit.name(), Some(min.to_string()), Some(max.to_string()), None)
                    }
                    Kind::Real { min, max } => {
                        ("real", None, Some(min.to_string()), Some(max.to_string()), None)
                    }
                    Kind::Text => ("string", None, None, None, None),
                    Kind::Word(words) => ("enum", None, None, None, Some(words.to_vec())),
                };
                let value = match setting.kind {
                    Kind::Integer { .. } => self.settings.integer(setting.name).to_string(),
                    _ => value,
                };
                SettingRow {
                    name: setting.name.to_string(),
                    setting: value,
                    unit,
                    category: setting.category,
                    description: setting.description,
                    context: match setting.context {
                        Context::Internal => "internal",
                        Context::Postmaster => "postmaster",
                        Context::Superuser => "superuser",
                        Context::User => "user",
                    },
                    kind,
                    source: self.settings.source(setting),
                    min,
                    max,
                    enum_values: words,
                    boot_value: Some(setting.default.to_string()),
                    reset_value: Some(setting.default.to_string()),
                }
            })
            .collect()
    }

    fn sessions(&self) -> Vec<SessionRow> {
        self.server
            .sessions()
            .iter()
            .map(|session| {
                let activity = session.activity.lock().clone();
                let is_visible = self.may_see_statements_of(&session.user);
                let client = session.client_address.filter(|_| is_visible);
                SessionRow {
                    pid: session.process_id,
                    database: session.database.clone(),
                    user: session.user.clone(),
                    application_name: activity.application_name,
                    client_address: client.map(|address| address.ip().to_string()),
                    client_port: client.map(|address| i32::from(address.port())),
                    backend_start: session.start_time,
                    transaction_start: activity.transaction_start,
                    query_start: activity.query_start,
                    state_change: activity.state_change,
                    wait_event_type: (activity.state != "active").then(|| "Client".to_string()),
                    wait_event: (activity.state != "active").then(|| "ClientRead".to_string()),
                    state: activity.state.to_string(),
                    query: if is_visible { activity.query } else { "<insufficient privilege>".into() },
                }
            })
            .collect()
    }

    fn locks(&self) -> Vec<LockRow> {
        let row = |lock: storage::LockInfo| LockRow {
            subject: match lock.subject {
                storage::LockSubject::Table(table) => LockSubject::Relation(table as u32),
                storage::LockSubject::Transaction(id) => LockSubject::Transaction(id as u32),
                storage::LockSubject::Advisory(AdvisoryKey { database, class, object, is_pair }) => {
                    LockSubject::Advisory { database, class, object, kind: if is_pair { 2 } else { 1 } }
                }
            },
            pid: lock.process_id,
            transaction: lock.transaction,
            mode: lock.mode,
            granted: lock.granted,
        };
        self.server.store.locks().into_iter().map(row).collect()
    }

    fn session_rows(&self, view: &str) -> Vec<Vec<Value>> {
        match view {
            "pg_prepared_statements" => prepared_rows(&self.prepared),
            "cairn_plan_cache" => self.cached_plans(),
            _ => Vec::new(),
        }
    }

    fn row_count(&self, table: RelationId) -> Option<u64> {
        let table = self.catalog.table(table)?;
        Some(self.server.store.tree_records(TreeId(table.tree.0)))
    }

    fn tree_bytes(&self, tree: TreeNumber) -> u64 {
        self.server.store.tree_pages(TreeId(tree.0)) * PAGE_BYTES
    }

    fn current_role(&self) -> RoleId {
        self.role.id
    }

    fn sequence_state(&self, sequence: RelationId) -> Option<(i64, bool)> {
        let sequence = self.catalog.sequence(sequence)?;
        self.server.tables.sequences().current(sequence).ok()
    }

    fn search_path(&self) -> Vec<SchemaId> {
        self.search_path.clone()
    }
}

/// The planner's view of sizes: live counts from the store, contents from ANALYZE.
pub(crate) struct StoreStatistics {
    pub store: Arc<Store>,
    pub catalog: Arc<Catalog>,
}

impl Statistics for StoreStatistics {
    fn row_count(&self, table: RelationId) -> Option<f64> {
        let table = self.catalog.table(table)?;
        Some(self.store.tree_records(TreeId(table.tree.0)) as f64)
    }

    fn page_count(&self, relation: RelationId) -> Option<f64> {
        let tree = match self.catalog.relation(relation)? {
            Relation::Table(table) => table.tree,
            Relation::Index { index, .. } => index.tree,
            _ => return None,
        };
        Some(self.store.tree_pages(TreeId(tree.0)) as f64)
    }
}
