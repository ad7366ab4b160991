//! A session: one user's statements, one after another. No socket in here.
//!
//! `wire/query.rs` turns messages into calls on a [`Session`]; what the session has to say goes to a
//! [`Client`]. Everything runs synchronously; waiting is the scheduler's matter (`scheduler/coroutine.rs`).
//! Start reading in `statement.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use catalog::acl::Rights;
use catalog::{Catalog, DatabaseId, RoleDef};
use parking_lot::Mutex;
use storage::SessionLocks;
use types::text::TextContext;
use types::{Batch, Error, Result, Schema, SqlState};

use crate::database::{Server, SessionHandle};
use crate::login::redact::redact;
use crate::notify::Pending;
use crate::wire::encode::Severity;

pub mod statement;

pub mod transaction;

pub mod portal;
pub mod prepared;

pub mod copy;
mod copy_binary;
pub mod cursor;
pub mod ddl;
pub mod explain;
pub mod lifted;
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
    fn copy_in(&mut self, columns: usize, format: Format) -> Result<()>;
    /// Appends the next piece of COPY data to `data`; false at its end. 57014 when the client gives up.
    fn copy_in_data(&mut self, data: &mut Vec<u8>) -> Result<bool>;
    fn copy_out(&mut self, columns: usize, format: Format) -> Result<()>;
    /// Sends a piece of COPY data; may wait for the client to take it.
    fn copy_out_data(&mut self, data: &[u8]) -> Result<()>;
    fn copy_out_done(&mut self);
}

/// One user's connection to one database.
pub struct Session {
    pub(crate) server: Arc<Server>,
    pub(crate) handle: Arc<SessionHandle>,
    pub(crate) database: DatabaseId,
    /// Who has logged in.
    pub(crate) login: Arc<RoleDef>,
    /// Whose name and rights count, while the settings are these.
    pub(crate) identity: RefCell<Option<(Arc<Derived>, Identity)>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) transaction: TransactionState,
    /// Advisory locks beyond transactions.
    pub(crate) advisory: Arc<SessionLocks>,
    /// Shared with running statements, which may ask for `pg_prepared_statements`.
    pub(crate) prepared: Arc<HashMap<String, Arc<Prepared>>>,
    pub(crate) portals: HashMap<String, Portal>,
    /// What currval and lastval answer: the values this session has drawn, by sequence OID.
    pub(crate) drawn: Arc<Mutex<Drawn>>,
    /// LISTEN and NOTIFY of the open transaction.
    pub(crate) pending: Arc<Mutex<Pending>>,
    /// The plan cache's number for this session's settings and search path, while they last.
    pub(crate) circumstances: RefCell<Option<(Arc<Derived>, Vec<String>, u64)>>,
}

/// Whose session it is, and as whom it acts (SET ROLE).
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub session: Arc<RoleDef>,
    pub current: Arc<RoleDef>,
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
        let shared = server.shared_catalog()?;
        let role = shared.role_by_name(&parameters.user).cloned().ok_or_else(|| {
            Error::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" does not exist", parameters.user),
            )
            .with_hint("A new data directory has the roles \"postgres\" and the one named after the operating-system user who started the server.")
        })?;
        if !role.login {
            return Err(Error::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" is not permitted to log in", role.name),
            ));
        }
        let catalog = server.catalog_by_name(database_name)?;
        let database = shared.database_by_name(database_name).cloned().ok_or_else(|| {
            Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{database_name}\" does not exist"))
        })?;
        if !database.allow_connections {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("database \"{database_name}\" is not currently accepting connections"),
            ));
        }
        if !shared.database_rights(role.id, database.id).has_any(Rights::CONNECT) {
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied for database \"{database_name}\""),
            )
            .with_detail("User does not have CONNECT privilege."));
        }
        let mut settings = server.settings.clone();
        settings.set_internal("session_authorization", &role.name, false)?;
        settings.set_internal("is_superuser", if role.superuser { "on" } else { "off" }, false)?;
        let handle = server.register(&database, &role, client_address, secret)?;
        let mut session = Session {
            server: Arc::clone(server),
            advisory: Arc::new(server.store.session_locks(handle.process_id)),
            handle,
            database: catalog.database(),
            login: role,
            identity: RefCell::default(),
            settings: Arc::new(settings),
            transaction: TransactionState::default(),
            prepared: Arc::default(),
            portals: HashMap::new(),
            drawn: Arc::default(),
            pending: Arc::default(),
            circumstances: RefCell::default(),
        };
        for (name, value) in &parameters.settings {
            session.check_role_setting(name, Some(value))?;
            Arc::make_mut(&mut session.settings).set(name, Some(value), false)?;
        }
        session.note_identity(false)?;
        let name = session.settings.show("application_name").unwrap_or_default();
        session.handle.activity.lock().application_name = name;
        Ok(session)
    }

    pub fn handle(&self) -> &Arc<SessionHandle> {
        &self.handle
    }

    /// Whose session it is and as whom it acts.
    pub(crate) fn identity(&self) -> Identity {
        let derived = self.settings.derived();
        let mut known = self.identity.borrow_mut();
        let catalog = self.catalog();
        let role = |known: &Arc<RoleDef>| {
            // Its rights may have changed; a dropped one keeps a name, and no rights.
            catalog.as_ref().ok().and_then(|catalog| catalog.role(known.id)).unwrap_or(known).clone()
        };
        if let Some((of, identity)) = &*known
            && Arc::ptr_eq(of, derived)
        {
            return Identity { session: role(&identity.session), current: role(&identity.current) };
        }
        let named =
            |name: &str| catalog.as_ref().ok().and_then(|catalog| catalog.role_by_name(name)).cloned();
        let session = match derived.session_user == self.login.name {
            true => role(&self.login),
            false => named(&derived.session_user).unwrap_or_else(|| role(&self.login)),
        };
        let current = match derived.role.as_str() {
            "none" => Arc::clone(&session),
            name => named(name).unwrap_or_else(|| Arc::clone(&session)),
        };
        let identity = Identity { session, current };
        *known = Some((Arc::clone(derived), identity.clone()));
        identity
    }

    /// The role whose rights count.
    pub(crate) fn current_role(&self) -> Arc<RoleDef> {
        self.identity().current
    }

    /// SET ROLE and SET SESSION AUTHORIZATION: may this session? 22023, 42501.
    pub(crate) fn check_role_setting(&self, name: &str, value: Option<&str>) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let catalog = self.catalog()?;
        let is_role = name.eq_ignore_ascii_case("role");
        if !is_role && !name.eq_ignore_ascii_case("session_authorization") || is_role && value == "none" {
            return Ok(());
        }
        let role = catalog.role_by_name(value).ok_or_else(|| {
            Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("role \"{value}\" does not exist"))
        })?;
        let denied = |message: String| Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
        match is_role {
            true => {
                let session = self.identity().session.id;
                match catalog.is_superuser(session) || catalog.is_member(session, role.id) {
                    true => Ok(()),
                    false => denied(format!("permission denied to set role \"{value}\"")),
                }
            }
            false if role.id == self.login.id || catalog.is_superuser(self.login.id) => Ok(()),
            false => denied("permission denied to set session authorization".to_string()),
        }
    }

    /// `is_superuser` follows the role; true when that changed it.
    pub(crate) fn note_identity(&mut self, local: bool) -> Result<bool> {
        let is = if self.current_role().superuser { "on" } else { "off" };
        if self.settings.show("is_superuser")? == is {
            return Ok(false);
        }
        Arc::make_mut(&mut self.settings).set_internal("is_superuser", is, local)?;
        Ok(true)
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
                activity.query.push_str(truncated(&redact(query), 1024));
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
