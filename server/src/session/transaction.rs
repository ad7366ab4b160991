//! BEGIN … COMMIT, savepoints, and the failed state.
//!
//! A statement outside a block gets a transaction of its own; several in one simple query share one
//! until its end, as in PostgreSQL. An error inside a block undoes everything at once (or back to the
//! last savepoint) and leaves the block failed: 25P02 until ROLLBACK.

use std::sync::Arc;

use catalog::acl::Rights;
use catalog::{Catalog, CatalogChange, Relation, SchemaId};
use parser::ast::{
    IsolationLevel as Level, LockMode, LockStmt, SetConstraintsStmt, TransactionKind, TransactionMode,
    TransactionStmt,
};
use storage::{IsolationLevel, Savepoint, TableLock, Transaction, TransactionOptions};
use types::{Error, Result, SqlState};

use crate::database::SessionHandle;
use crate::notify::{Pending, PendingMark};
use crate::session::settings::Settings;
use crate::session::{Client, Session};
use crate::wire::encode::Severity;

/// What stands for "the schema" among table locks: the OID of `pg_class`, which no table of a user has.
const SCHEMA_LOCK: u64 = 1259;
/// What transactions that notify take turns by at commit: the OID of `pg_database`.
const NOTIFY_LOCK: u64 = 1262;

/// Where a session stands between transactions and within one.
#[derive(Default)]
pub struct TransactionState {
    open: Option<Open>,
    /// BEGIN was said, COMMIT not yet.
    in_block: bool,
    failed: bool,
}

/// A transaction that has begun.
struct Open {
    transaction: Option<Arc<Transaction>>,
    start_time: i64,
    modes: Modes,
    /// A statement has run, so the isolation level stands.
    used: bool,
    /// The catalog with this transaction's own changes, if it made any.
    catalog: Option<Arc<Catalog>>,
    change: CatalogChange,
    savepoints: Vec<NamedSavepoint>,
    /// SET is undone by ROLLBACK.
    settings: Arc<Settings>,
}

/// What BEGIN and SET TRANSACTION say.
#[derive(Clone, Copy)]
struct Modes {
    isolation: IsolationLevel,
    read_only: bool,
    /// Waits for a moment at which a READ ONLY SERIALIZABLE transaction cannot fail: every moment is one here.
    deferrable: bool,
}

struct NamedSavepoint {
    name: String,
    savepoint: Savepoint,
    catalog: Option<Arc<Catalog>>,
    change: CatalogChange,
    settings: Arc<Settings>,
    pending: PendingMark,
}

impl TransactionState {
    pub fn status(&self) -> u8 {
        match (self.in_block, self.failed) {
            (true, true) => b'E',
            (true, false) => b'T',
            (false, _) => b'I',
        }
    }

    pub fn own_catalog(&self) -> Option<Arc<Catalog>> {
        self.open.as_ref().and_then(|open| open.catalog.clone())
    }

    pub fn transaction(&self) -> Option<&Arc<Transaction>> {
        self.open.as_ref().and_then(|open| open.transaction.as_ref())
    }

    pub fn start_time(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.start_time)
    }

    pub fn in_block(&self) -> bool {
        self.in_block
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

impl Session {
    /// 25P02 when the block has failed.
    pub(crate) fn check_not_failed(&self) -> Result<()> {
        if self.transaction.failed {
            return Err(Error::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// The running transaction; begins one if there is none.
    pub(crate) fn current_transaction(&mut self) -> Result<Arc<Transaction>> {
        if self.transaction.open.is_none() {
            self.open_transaction(&[])?;
        }
        let open = self.transaction.open.as_mut().ok_or_else(|| Error::internal("no transaction is open"))?;
        open.used = true;
        open.transaction.clone().ok_or_else(|| Error::internal("the transaction has ended already"))
    }

    pub(crate) fn transaction_start_time(&self) -> i64 {
        self.transaction.start_time().unwrap_or_else(crate::now)
    }

    /// 25006 in a read-only transaction.
    pub(crate) fn check_writable(&self, command: &str) -> Result<()> {
        let read_only = match &self.transaction.open {
            Some(open) => open.modes.read_only,
            None => self.settings.derived().default_read_only,
        };
        if read_only {
            return Err(Error::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {command} in a read-only transaction"),
            ));
        }
        Ok(())
    }

    /// 25001 inside a transaction block.
    pub(crate) fn check_outside_block(&self, command: &str) -> Result<()> {
        if self.transaction.in_block {
            return Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                format!("{command} cannot run inside a transaction block"),
            ));
        }
        Ok(())
    }

    fn open_transaction(&mut self, modes: &[TransactionMode]) -> Result<()> {
        let derived = Arc::clone(self.settings.derived());
        let mut wanted = Modes {
            isolation: derived.default_isolation,
            read_only: derived.default_read_only,
            deferrable: derived.default_deferrable,
        };
        wanted.apply(modes);
        let transaction = self.server.store.begin(TransactionOptions {
            isolation: wanted.isolation,
            read_only: wanted.read_only,
            lock_timeout: (derived.lock_timeout_ms > 0)
                .then(|| std::time::Duration::from_millis(derived.lock_timeout_ms)),
            process_id: self.handle.process_id,
            database: self.database.0,
        });
        self.transaction.open = Some(Open {
            transaction: Some(Arc::new(transaction)),
            start_time: crate::now(),
            modes: wanted,
            used: false,
            catalog: None,
            change: CatalogChange::default(),
            savepoints: Vec::new(),
            settings: Arc::clone(&self.settings),
        });
        Ok(())
    }

    /// The isolation level, as `transaction_isolation` shows it.
    pub(crate) fn isolation_name(&self) -> &'static str {
        let isolation = match &self.transaction.open {
            Some(open) => open.modes.isolation,
            None => self.settings.derived().default_isolation,
        };
        match isolation {
            IsolationLevel::ReadCommitted => "read committed",
            IsolationLevel::RepeatableRead => "repeatable read",
            IsolationLevel::Serializable => "serializable",
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        match &self.transaction.open {
            Some(open) => open.modes.read_only,
            None => self.settings.derived().default_read_only,
        }
    }

    pub(crate) fn is_deferrable(&self) -> bool {
        match &self.transaction.open {
            Some(open) => open.modes.deferrable,
            None => self.settings.derived().default_deferrable,
        }
    }

    /// SET TRANSACTION. 25001 once a query has run.
    pub(crate) fn set_transaction(&mut self, modes: &[TransactionMode]) -> Result<()> {
        if self.transaction.open.is_none() {
            self.open_transaction(&[])?;
        }
        let Some(open) = &mut self.transaction.open else { return Ok(()) };
        let refuse = |message: &str| Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        let mut wanted = open.modes;
        wanted.apply(modes);
        let nested = !open.savepoints.is_empty();
        if wanted.isolation != open.modes.isolation {
            if nested {
                return refuse("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
            }
            if open.used {
                return refuse("SET TRANSACTION ISOLATION LEVEL must be called before any query");
            }
        }
        if open.modes.read_only && !wanted.read_only {
            if nested {
                return refuse("cannot set transaction read-write mode inside a read-only transaction");
            }
            if open.used {
                return refuse("transaction read-write mode must be set before any query");
            }
        }
        if modes.iter().any(|mode| matches!(mode, TransactionMode::Deferrable(_))) {
            if nested {
                return refuse("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
            }
            if open.used {
                return refuse("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
            }
        }
        open.set_modes(wanted);
        Ok(())
    }

    /// LOCK TABLE. 25P01 outside a block; 42P01; 42809 for what has no rows; 55P03 with NOWAIT.
    pub(crate) fn lock_tables(&mut self, statement: &LockStmt) -> Result<()> {
        self.check_in_block("LOCK TABLE")?;
        let mode = match statement.mode {
            LockMode::AccessShare => TableLock::AccessShare,
            LockMode::RowShare => TableLock::RowShare,
            LockMode::RowExclusive => TableLock::RowExclusive,
            LockMode::ShareUpdateExclusive => TableLock::ShareUpdateExclusive,
            LockMode::Share => TableLock::Share,
            LockMode::ShareRowExclusive => TableLock::ShareRowExclusive,
            LockMode::Exclusive => TableLock::Exclusive,
            LockMode::AccessExclusive => TableLock::AccessExclusive,
        };
        // It takes no snapshot: the isolation level may still be set after it.
        let used = self.transaction.open.as_ref().is_some_and(|open| open.used);
        let role = self.current_role();
        let transaction = self.current_transaction()?;
        if let Some(open) = &mut self.transaction.open {
            open.used = used;
        }
        for range in &statement.relations {
            loop {
                let catalog = self.catalog()?;
                let path = catalog.search_schemas(&self.settings.derived().search_path, &role.name);
                let found = catalog.find_relation(range.schema.as_deref(), &range.name, &path);
                let Ok(Some(relation)) = found else {
                    let name = range.schema.iter().map(|schema| format!("{schema}.")).collect::<String>();
                    return Err(Error::undefined_table(&format!("{name}{}", range.name)).at(range.span));
                };
                let refuse = |kind: &str| {
                    let message = format!("cannot lock relation \"{}\"", range.name);
                    Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message)
                        .with_detail(format!("This operation is not supported for {kind}."))
                        .at(range.span))
                };
                match relation {
                    Relation::Table(table) => {
                        let changes = Rights::UPDATE.or(Rights::DELETE).or(Rights::TRUNCATE);
                        let enough = match mode {
                            TableLock::AccessShare => Rights::SELECT,
                            TableLock::RowExclusive => changes.or(Rights::INSERT),
                            _ => changes,
                        };
                        if !catalog.relation_rights(role.id, relation).has_any(enough) {
                            return Err(Error::new(
                                SqlState::INSUFFICIENT_PRIVILEGE,
                                format!("permission denied for table {}", table.name),
                            ));
                        }
                    }
                    Relation::Index { .. } => return refuse("indexes"),
                    Relation::Sequence(_) => return refuse("sequences"),
                    _ => {
                        return Err(Error::not_supported("LOCK TABLE on a view")
                            .with_hint("Lock the tables that the view reads.")
                            .at(range.span));
                    }
                }
                let id = relation.id();
                if !transaction.lock_table(u64::from(id.0), mode, !statement.nowait)? {
                    let message = format!("could not obtain lock on relation \"{}\"", range.name);
                    return Err(Error::new(SqlState::LOCK_NOT_AVAILABLE, message));
                }
                // Whoever was in the way may have dropped it.
                if Arc::ptr_eq(&catalog, &self.catalog()?) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// SET CONSTRAINTS. 42704, 42809 for what cannot be deferred.
    ///
    /// Every constraint is checked at the end of its statement, so IMMEDIATE is how things are; DEFERRED is
    /// answered with a warning that it changes nothing: what it would allow for a while fails at once.
    pub(crate) fn set_constraints(
        &mut self,
        statement: &SetConstraintsStmt,
        client: &mut dyn Client,
    ) -> Result<()> {
        if !self.transaction.in_block {
            let message = "SET CONSTRAINTS can only be used in transaction blocks";
            let warning = Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
            self.send_notice(client, Severity::Warning, &warning);
        }
        let catalog = self.catalog()?;
        let role = self.current_role();
        let path = catalog.search_schemas(&self.settings.derived().search_path, &role.name);
        let constraints = |schema: Option<SchemaId>| {
            let tables = catalog.relations().filter_map(move |relation| match relation {
                Relation::Table(table) if schema.is_none_or(|schema| schema == table.schema) => Some(table),
                _ => None,
            });
            tables.flat_map(|table| &table.constraints)
        };
        let mut any_deferrable = statement.constraints.is_empty() && constraints(None).any(|c| c.deferrable);
        for range in &statement.constraints {
            let schemas = match &range.schema {
                Some(name) => match catalog.schema_by_name(name) {
                    Some(schema) => vec![schema.id],
                    None => {
                        let message = format!("schema \"{name}\" does not exist");
                        return Err(Error::new(SqlState::INVALID_SCHEMA_NAME, message).at(range.span));
                    }
                },
                None => path.clone(),
            };
            let named = |schema: &SchemaId| {
                let found: Vec<bool> = constraints(Some(*schema))
                    .filter(|c| c.name == range.name)
                    .map(|c| c.deferrable)
                    .collect();
                (!found.is_empty()).then_some(found)
            };
            let found = schemas.iter().find_map(named).ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("constraint \"{}\" does not exist", range.name),
                )
            })?;
            if statement.deferred && found.contains(&false) {
                let message = format!("constraint \"{}\" is not deferrable", range.name);
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            any_deferrable |= found.contains(&true);
        }
        if statement.deferred && any_deferrable {
            let message = "constraints are not deferred: they are checked at the end of each statement";
            let warning = Error::new(SqlState::FEATURE_NOT_SUPPORTED, message);
            self.send_notice(client, Severity::Warning, &warning);
        }
        Ok(())
    }

    /// Waits for the right to change the schema and keeps it to the end of the transaction.
    pub(crate) fn lock_schema(&mut self) -> Result<()> {
        let transaction = self.current_transaction()?;
        transaction.lock_table(SCHEMA_LOCK, TableLock::Exclusive, true)?;
        Ok(())
    }

    /// The transaction's own catalog from now on: what it saw, with `change`.
    pub(crate) fn apply_change(&mut self, change: CatalogChange) -> Result<()> {
        if change.is_empty() {
            return Ok(());
        }
        let catalog = self.catalog()?.apply(&change);
        let open = self.transaction.open.as_mut().ok_or_else(|| Error::internal("no transaction is open"))?;
        open.catalog = Some(Arc::new(catalog));
        open.change.then(change);
        Ok(())
    }

    /// Ends the implicit transaction, if one is open outside a block.
    pub(crate) fn commit_implicit(&mut self, client: &mut dyn Client) -> Result<()> {
        if self.transaction.in_block { Ok(()) } else { self.commit(client) }
    }

    /// Makes everything durable and visible; then nothing is open. An error means it was rolled back
    /// (or, for 58030, that the outcome is unknown until the next start).
    fn commit(&mut self, client: &mut dyn Client) -> Result<()> {
        self.transaction.in_block = false;
        self.transaction.failed = false;
        let held = match self.hold_cursors() {
            Ok(held) => held,
            Err(error) => {
                log_failed_undo(self.undo_all(client));
                return Err(error);
            }
        };
        self.close_portals_at_end();
        if let Err(error) = self.prepare_notifications() {
            self.portals.retain(|name, _| !held.contains(name));
            log_failed_undo(self.undo_all(client));
            return Err(error);
        }
        let Some(mut open) = self.transaction.open.take() else {
            self.end_local_settings(client);
            return Ok(());
        };
        let pending = std::mem::take(&mut *self.pending.lock());
        let deliver = || {
            if !pending.is_empty() {
                let SessionHandle { process_id, mailbox, .. } = &*self.handle;
                self.server.channels.commit(self.database, *process_id, mailbox, &pending);
            }
        };
        let result = match open.transaction.take().map(Arc::try_unwrap) {
            // The schema lock is ours until it is published: nobody else has published since we looked.
            Some(Ok(transaction)) => transaction.commit_then(|| {
                let published = match open.change.is_empty() {
                    true => Ok(()),
                    false => self.server.publish(self.database, &open.change),
                };
                deliver();
                published
            }),
            Some(Err(_)) => Err(Error::internal("the transaction is still in use at commit")),
            None => Ok(()),
        };
        if let Err(error) = result {
            self.portals.retain(|name, _| !held.contains(name));
            self.settings = open.settings;
            return Err(error);
        }
        drop(open);
        self.end_local_settings(client);
        Ok(())
    }

    /// Takes the turn of a transaction that notifies, and looks whether its listeners have room.
    fn prepare_notifications(&mut self) -> Result<()> {
        if !self.pending.lock().has_messages() {
            return Ok(());
        }
        let transaction = self.current_transaction()?;
        transaction.lock_table(NOTIFY_LOCK, TableLock::Exclusive, true)?;
        self.server.channels.check_room(self.database, &self.pending.lock())
    }

    fn end_local_settings(&mut self, client: &mut dyn Client) {
        let changed = Arc::make_mut(&mut self.settings).end_transaction();
        for name in changed {
            if let Ok(value) = self.settings.show(name) {
                client.parameter_status(name, &value);
            }
        }
    }

    /// Undoes everything; then nothing is open.
    pub(crate) fn rollback(&mut self, client: &mut dyn Client) -> Result<()> {
        self.transaction.in_block = false;
        self.transaction.failed = false;
        self.undo_all(client)
    }

    fn undo_all(&mut self, client: &mut dyn Client) -> Result<()> {
        *self.pending.lock() = Pending::default();
        self.close_portals_at_end();
        let Some(mut open) = self.transaction.open.take() else {
            self.end_local_settings(client);
            return Ok(());
        };
        let result = match open.transaction.take().map(Arc::try_unwrap) {
            Some(Ok(transaction)) => transaction.rollback(),
            Some(Err(_)) => Err(Error::internal("the transaction is still in use at rollback")),
            None => Ok(()),
        };
        self.restore_settings(Arc::clone(&open.settings), client);
        drop(open);
        self.end_local_settings(client);
        result
    }

    /// Goes back to `before`, telling the client what it was told otherwise.
    fn restore_settings(&mut self, before: Arc<Settings>, client: &mut dyn Client) {
        if Arc::ptr_eq(&self.settings, &before) {
            return;
        }
        let after = std::mem::replace(&mut self.settings, before);
        for setting in super::settings::SETTINGS.iter().filter(|setting| setting.reported) {
            if let (Ok(was), Ok(is)) = (after.show(setting.name), self.settings.show(setting.name))
                && was != is
            {
                client.parameter_status(setting.name, &is);
            }
        }
    }

    /// A statement has failed: undoes its transaction, or fails the block.
    pub(crate) fn fail(&mut self, client: &mut dyn Client) {
        if !self.transaction.in_block {
            let undone = self.rollback(client);
            log_failed_undo(undone);
            return;
        }
        self.transaction.failed = true;
        self.portals.retain(|_, portal| !portal.is_running());
        let keep = self.transaction.open.as_ref().is_some_and(|open| !open.savepoints.is_empty());
        if keep {
            // A savepoint may still be gone back to; release what came after the last one, unless that takes
            // long: then ROLLBACK TO does it, or ROLLBACK leaves it behind.
            if self.is_quickly_undone() {
                let undone = self.undo_to_last_savepoint();
                log_failed_undo(undone);
            }
        } else if self.transaction.open.is_some() {
            let undone = self.undo_all(client);
            log_failed_undo(undone);
        }
    }

    fn is_quickly_undone(&self) -> bool {
        let open = self.transaction.open.as_ref();
        open.and_then(|open| Some((open.transaction.as_ref()?, open.savepoints.last()?)))
            .is_none_or(|(transaction, last)| transaction.is_quickly_undone(last.savepoint))
    }

    fn undo_to_last_savepoint(&mut self) -> Result<()> {
        let Some(open) = &mut self.transaction.open else { return Ok(()) };
        let Some(last) = open.savepoints.last() else { return Ok(()) };
        open.catalog = last.catalog.clone();
        open.change = last.change.clone();
        self.pending.lock().back_to(last.pending);
        match &open.transaction {
            Some(transaction) => transaction.rollback_to(last.savepoint),
            None => Ok(()),
        }
    }

    /// A transaction command; returns its tag.
    pub(crate) fn transaction_command(
        &mut self,
        statement: &TransactionStmt,
        client: &mut dyn Client,
    ) -> Result<&'static str> {
        match &statement.kind {
            TransactionKind::Begin(modes) => self.begin(modes, client).map(|()| "BEGIN"),
            TransactionKind::Start(modes) => self.begin(modes, client).map(|()| "START TRANSACTION"),
            TransactionKind::Commit { chain } => self.end_block(true, *chain, client),
            TransactionKind::Rollback { chain } => self.end_block(false, *chain, client),
            TransactionKind::Savepoint(name) => {
                self.check_in_block("SAVEPOINT")?;
                let transaction = self.current_transaction()?;
                let settings = Arc::clone(&self.settings);
                if let Some(open) = &mut self.transaction.open {
                    open.savepoints.push(NamedSavepoint {
                        name: name.clone(),
                        savepoint: transaction.savepoint(),
                        catalog: open.catalog.clone(),
                        change: open.change.clone(),
                        settings,
                        pending: self.pending.lock().mark(),
                    });
                }
                Ok("SAVEPOINT")
            }
            TransactionKind::Release(name) => {
                self.check_in_block("RELEASE SAVEPOINT")?;
                let at = self.find_savepoint(name)?;
                if let Some(open) = &mut self.transaction.open {
                    open.savepoints.truncate(at);
                }
                Ok("RELEASE")
            }
            TransactionKind::RollbackTo(name) => {
                self.check_in_block("ROLLBACK TO SAVEPOINT")?;
                let at = self.find_savepoint(name)?;
                self.portals.retain(|_, portal| !portal.is_running());
                let mut settings = None;
                if let Some(open) = &mut self.transaction.open {
                    open.savepoints.truncate(at + 1);
                    settings = open.savepoints.last().map(|last| Arc::clone(&last.settings));
                }
                self.undo_to_last_savepoint()?;
                if let Some(settings) = settings {
                    self.restore_settings(settings, client);
                }
                self.transaction.failed = false;
                Ok("ROLLBACK")
            }
            TransactionKind::Prepare(_)
            | TransactionKind::CommitPrepared(_)
            | TransactionKind::RollbackPrepared(_) => Err(Error::not_supported("two-phase commit")
                .with_hint("Use COMMIT; prepared transactions are not kept.")
                .at(statement.span)),
        }
    }

    fn begin(&mut self, modes: &[TransactionMode], client: &mut dyn Client) -> Result<()> {
        if self.transaction.in_block {
            let warning =
                Error::new(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
            self.send_notice(client, Severity::Warning, &warning);
            return if modes.is_empty() { Ok(()) } else { self.set_transaction(modes) };
        }
        if self.transaction.open.is_none() {
            self.open_transaction(modes)?;
        } else {
            // Statements of the same query string came before: they become part of the block.
            self.set_transaction(modes)?;
        }
        self.transaction.in_block = true;
        Ok(())
    }

    fn end_block(&mut self, commit: bool, chain: bool, client: &mut dyn Client) -> Result<&'static str> {
        if !self.transaction.in_block {
            if chain {
                let command = if commit { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" };
                return Err(Error::new(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    format!("{command} can only be used in transaction blocks"),
                ));
            }
            let warning =
                Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            self.send_notice(client, Severity::Warning, &warning);
        }
        let modes = self.transaction.open.as_ref().map(|open| open.modes);
        let tag = if commit && !self.transaction.failed {
            self.commit(client)?;
            "COMMIT"
        } else {
            self.rollback(client)?;
            "ROLLBACK"
        };
        if chain {
            self.open_transaction(&[])?;
            self.transaction.in_block = true;
            if let (Some(open), Some(modes)) = (&mut self.transaction.open, modes) {
                open.set_modes(modes);
            }
        }
        Ok(tag)
    }

    fn check_in_block(&self, command: &str) -> Result<()> {
        if self.transaction.in_block {
            return Ok(());
        }
        Err(Error::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{command} can only be used in transaction blocks"),
        ))
    }

    fn find_savepoint(&self, name: &str) -> Result<usize> {
        let open = self.transaction.open.as_ref();
        open.and_then(|open| open.savepoints.iter().rposition(|savepoint| savepoint.name == name)).ok_or_else(
            || {
                Error::new(
                    SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                    format!("savepoint \"{name}\" does not exist"),
                )
            },
        )
    }
}

impl Open {
    fn set_modes(&mut self, modes: Modes) {
        self.modes = modes;
        if let Some(transaction) = &self.transaction {
            transaction.set_isolation(modes.isolation, modes.read_only);
        }
    }
}

impl Modes {
    fn apply(&mut self, modes: &[TransactionMode]) {
        for mode in modes {
            match mode {
                TransactionMode::Isolation(level) => {
                    self.isolation = match level {
                        Level::ReadUncommitted | Level::ReadCommitted => IsolationLevel::ReadCommitted,
                        Level::RepeatableRead => IsolationLevel::RepeatableRead,
                        Level::Serializable => IsolationLevel::Serializable,
                    };
                }
                TransactionMode::ReadOnly(value) => self.read_only = *value,
                TransactionMode::Deferrable(value) => self.deferrable = *value,
            }
        }
    }
}

fn log_failed_undo(undone: Result<()>) {
    if let Err(error) = undone {
        tracing::error!("rolling back failed; the next start will finish it: {error:?}");
    }
}
