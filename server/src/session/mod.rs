//! A session: one user's statements, one after another. No socket in here.
//!
//! `wire/query.rs` turns messages into calls on a [`Session`]; what the session has to say goes to a
//! [`Client`]. Everything runs synchronously; waiting is the scheduler's matter (`scheduler/coroutine.rs`).
//! Start reading in `statement.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use catalog::{Catalog, DatabaseId, RoleDef};
use parking_lot::Mutex;
use storage::SessionLocks;
use types::text::TextContext;
use types::{Batch, Error, Result, Schema, SqlState};

use crate::database::{Server, SessionHandle};
use crate::wire::encode::Severity;

pub mod statement;

pub mod transaction;

pub mod portal;
pub mod prepared;

pub mod copy;
pub mod cursor;
pub mod ddl;
pub mod explain;
pub mod settings;
pub mod utility;

use portal::Portal;
use prepared::Prepared;
use settings::{Derived, Settings};
use transaction::TransactionState;

/// How a value is sent: the protocol's format codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i16)]
pub enum Format {
    #[default]
    Text = 0,
    Binary = 1,
}

/// What a session says to its client.
pub trait Client {
    fn row_description(&mut self, schema: &Schema, formats: &[Format]);
    /// Sends rows; may wait for the client to take them. 08006 when it is gone.
    fn rows(&mut self, batch: &Batch, schema: &Schema, formats: &[Format], cx: &TextContext) -> Result<()>;
    fn command_complete(&mut self, tag: &str);
    fn empty_query(&mut self);
    fn notice(&mut self, severity: Severity, notice: &Error);
    fn parameter_status(&mut self, name: &str, value: &str);
    /// Asks the client for COPY data.
    fn copy_in(&mut self, columns: usize) -> Result<()>;
    /// Appends the next piece of COPY data to `data`; false at its end. 57014 when the client gives up.
    fn copy_in_data(&mut self, data: &mut Vec<u8>) -> Result<bool>;
    fn copy_out(&mut self, columns: usize) -> Result<()>;
    /// Sends a piece of COPY data; may wait for the client to take it.
    fn copy_out_data(&mut self, data: &[u8]) -> Result<()>;
    fn copy_out_done(&mut self);
}

/// One user's connection to one database.
pub struct Session {
    pub(crate) server: Arc<Server>,
    pub(crate) handle: Arc<SessionHandle>,
    pub(crate) database: DatabaseId,
    pub(crate) role: Arc<RoleDef>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) transaction: TransactionState,
    /// Advisory locks beyond transactions.
    pub(crate) advisory: Arc<SessionLocks>,
    pub(crate) prepared: HashMap<String, Arc<Prepared>>,
    pub(crate) portals: HashMap<String, Portal>,
    /// What currval and lastval answer: the values this session has drawn, by sequence OID.
    pub(crate) drawn: Arc<Mutex<Drawn>>,
    /// The plan cache's number for this session's settings and search path, while they last.
    pub(crate) circumstances: RefCell<Option<(Arc<Derived>, Vec<String>, u64)>>,
}

/// Sequence values a session has drawn.
#[derive(Debug, Default)]
pub struct Drawn {
    pub by_sequence: HashMap<u32, i64>,
    pub last: Option<u32>,
}

/// What the startup packet asked for.
#[derive(Debug, Default)]
pub struct StartupParameters {
    pub user: String,
    pub database: Option<String>,
    /// Settings, by name.
    pub settings: Vec<(String, String)>,
}

impl Session {
    /// Checks role and database, applies the startup packet's settings. 28000, 3D000, and a setting's errors.
    pub fn start(
        server: &Arc<Server>,
        parameters: &StartupParameters,
        client_address: Option<std::net::SocketAddr>,
        secret: [u8; 4],
    ) -> Result<Session> {
        let database_name = parameters.database.as_deref().unwrap_or(&parameters.user);
        let shared = server.catalog_by_name("postgres").or_else(|_| server.catalog_by_name(database_name))?;
        let role = shared.role_by_name(&parameters.user).filter(|role| role.login).cloned().ok_or_else(|| {
            Error::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" does not exist", parameters.user),
            )
            .with_hint("A new data directory has the roles \"postgres\" and the one named after the operating-system user who started the server.")
        })?;
        let catalog = server.catalog_by_name(database_name)?;
        let mut settings = server.settings.clone();
        settings.set_internal("session_authorization", &role.name);
        settings.set_internal("is_superuser", if role.superuser { "on" } else { "off" });
        for (name, value) in &parameters.settings {
            settings.set(name, Some(value), false)?;
        }
        let handle = server.register(database_name, &role.name, client_address, secret);
        handle.activity.lock().application_name = settings.show("application_name").unwrap_or_default();
        Ok(Session {
            server: Arc::clone(server),
            advisory: Arc::new(server.store.session_locks(handle.process_id)),
            handle,
            database: catalog.database(),
            role,
            settings: Arc::new(settings),
            transaction: TransactionState::default(),
            prepared: HashMap::new(),
            portals: HashMap::new(),
            drawn: Arc::default(),
            circumstances: RefCell::default(),
        })
    }

    pub fn handle(&self) -> &Arc<SessionHandle> {
        &self.handle
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// `I` idle, `T` in a transaction block, `E` in a failed one.
    pub fn status(&self) -> u8 {
        self.transaction.status()
    }

    /// The catalog as this transaction sees it.
    pub(crate) fn catalog(&self) -> Result<Arc<Catalog>> {
        match self.transaction.own_catalog() {
            Some(catalog) => Ok(catalog),
            None => self.server.catalog(self.database),
        }
    }

    /// Sends `notice` unless client_min_messages is above it.
    pub(crate) fn send_notice(&self, client: &mut dyn Client, severity: Severity, notice: &Error) {
        // Ranks in client_min_messages' list.
        let rank = match severity {
            Severity::Notice => 6,
            Severity::Warning => 7,
            _ => usize::MAX,
        };
        if rank >= self.settings.derived().min_message_rank {
            client.notice(severity, notice);
        }
    }

    /// What `pg_stat_activity` shows from now on.
    pub(crate) fn note_state(&self, query: Option<&str>) {
        let now = crate::now();
        let mut activity = self.handle.activity.lock();
        match query {
            Some(query) => {
                activity.query.clear();
                activity.query.push_str(truncated(query, 1024));
                activity.query_start = Some(now);
                activity.state = "active";
            }
            None => {
                activity.state = match self.status() {
                    b'T' => "idle in transaction",
                    b'E' => "idle in transaction (aborted)",
                    _ => "idle",
                };
            }
        }
        activity.state_change = Some(now);
        activity.transaction_start = self.transaction.start_time();
    }
}

fn truncated(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Drop for Session {
    fn drop(&mut self) {
        self.portals.clear();
        self.advisory.unlock_all();
        self.server.unregister(self.handle.process_id);
    }
}
