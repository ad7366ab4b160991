//! The server's shared state: the store, each database's published catalog, plan cache and sessions.
//!
//! Sessions read the published catalog (an `Arc` swap) and publish theirs at commit. Schema changes
//! take turns (`Session::lock_schema`), so a change is always made on what is published.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use catalog::{Catalog, CatalogChange, DatabaseDef, DatabaseId, ObjectId, RoleDef};
use executor::Tables;
use executor::table::catalog as stored;
use parking_lot::{Mutex, RwLock};
use planner::cache::PlanCache;
use storage::{Store, StoreOptions};
use types::{Error, Result, SqlState};

use crate::login::Login;
use crate::notify::{Channels, Mailbox};
use crate::scheduler::coroutine::CancelFlag;
use crate::session::lifted::LiftedStatements;
use crate::session::settings::Settings;

/// How many plans the shared cache keeps.
const PLANS: usize = 4096;

/// Everything that outlives a session.
pub struct Server {
    pub store: Arc<Store>,
    pub tables: Arc<Tables>,
    pub settings: Settings,
    pub plan_cache: PlanCache,
    pub lifted: LiftedStatements,
    /// Who may come in.
    pub login: Login,
    /// Who listens where.
    pub channels: Channels,
    catalogs: RwLock<HashMap<DatabaseId, Arc<Catalog>>>,
    sessions: Mutex<BTreeMap<i32, Arc<SessionHandle>>>,
    next_process_id: AtomicI32,
    connections: AtomicUsize,
    /// Connections that have not said yet who they are.
    arriving: AtomicUsize,
    pub start_time: i64,
    /// Where operators spill.
    pub temp_dir: std::path::PathBuf,
}

/// What others may know of a session, and how they stop it.
pub struct SessionHandle {
    pub process_id: i32,
    pub secret: [u8; 4],
    pub cancel: Arc<CancelFlag>,
    pub database: String,
    pub user: String,
    pub client_address: Option<std::net::SocketAddr>,
    pub start_time: i64,
    pub activity: Mutex<Activity>,
    /// Asks the connection to end (57P01).
    pub terminate: tokio::sync::Notify,
    /// Notifications that wait for it.
    pub mailbox: Arc<Mailbox>,
}

/// What a session is doing, for `pg_stat_activity`. Times are timestamptz microseconds.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    pub application_name: String,
    pub state: &'static str,
    pub query: String,
    pub query_start: Option<i64>,
    pub state_change: Option<i64>,
    pub transaction_start: Option<i64>,
}

impl Server {
    /// Opens (or initialises) the data directory and loads the catalogs.
    ///
    /// `user` gets a superuser role and a database of its name when the directory is new.
    pub fn open(
        options: StoreOptions,
        settings: Settings,
        mut login: Login,
        user: &str,
    ) -> Result<Arc<Server>> {
        let data = options.directory.clone();
        let temp_dir = options.directory.join("tmp");
        let store = Store::open(options)?;
        // What a killed server spilled is nobody's any more.
        let _ = std::fs::remove_dir_all(&temp_dir);
        login.keep_secret(&data)?;
        let tables = Tables::new(&store);
        if stored::is_empty(&store)? {
            stored::bootstrap(&tables, user)?;
        }
        let shared = stored::load(&store, DatabaseId(0))?;
        let mut catalogs = HashMap::new();
        for database in shared.databases() {
            catalogs.insert(database.id, Arc::new(stored::load(&store, database.id)?));
        }
        Ok(Arc::new(Server {
            store,
            tables,
            settings,
            plan_cache: PlanCache::new(PLANS),
            lifted: LiftedStatements::default(),
            login,
            channels: Channels::default(),
            catalogs: RwLock::new(catalogs),
            sessions: Mutex::default(),
            next_process_id: AtomicI32::new(1000),
            connections: AtomicUsize::new(0),
            arriving: AtomicUsize::new(0),
            start_time: crate::now(),
            temp_dir,
        }))
    }

    /// The published catalog of the database of that name. 3D000.
    pub fn catalog_by_name(&self, name: &str) -> Result<Arc<Catalog>> {
        let undefined =
            || Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"));
        let catalogs = self.catalogs.read();
        let any = catalogs.values().next().ok_or_else(undefined)?;
        let database = any.database_by_name(name).ok_or_else(undefined)?;
        catalogs.get(&database.id).cloned().ok_or_else(undefined)
    }

    /// Any database's catalog: roles and databases are the same in all. 3D000 when there is none.
    pub fn shared_catalog(&self) -> Result<Arc<Catalog>> {
        self.catalogs
            .read()
            .values()
            .next()
            .cloned()
            .ok_or_else(|| Error::new(SqlState::INVALID_CATALOG_NAME, "there is no database"))
    }

    /// The published catalog of `database`. 3D000 when it has been dropped.
    pub fn catalog(&self, database: DatabaseId) -> Result<Arc<Catalog>> {
        self.catalogs.read().get(&database).cloned().ok_or_else(|| {
            Error::new(SqlState::INVALID_CATALOG_NAME, "the database of this session has been dropped")
        })
    }

    /// Publishes a committed change of `database`. Databases and roles change for all.
    pub fn publish(&self, database: DatabaseId, change: &CatalogChange) -> Result<()> {
        let mut catalogs = self.catalogs.write();
        let (shared, own) = split_shared(change);
        if !shared.is_empty() {
            for catalog in catalogs.values_mut() {
                *catalog = Arc::new(catalog.apply(&shared));
            }
            for id in &shared.drops {
                if let ObjectId::Database(id) = id {
                    catalogs.remove(id);
                }
            }
            for object in &shared.puts {
                if let catalog::Object::Database(def) = object
                    && !catalogs.contains_key(&def.id)
                {
                    catalogs.insert(def.id, Arc::new(stored::load(&self.store, def.id)?));
                }
            }
        }
        if !own.is_empty()
            && let Some(catalog) = catalogs.get_mut(&database)
        {
            *catalog = Arc::new(catalog.apply(&own));
        }
        Ok(())
    }

    /// Reads the access file and the certificates again; the log tells of errors, and the old ones stay.
    pub fn reload(&self) {
        match self.login.reload() {
            Ok(()) => tracing::info!("the access file and the certificates were read again"),
            Err(error) => tracing::error!(
                "the access file and the certificates stay as they were: {} ({})",
                error.message(),
                error.fields().context.as_deref().unwrap_or_default()
            ),
        }
    }

    /// Gives every superuser this password: for a new data directory.
    pub fn set_superuser_passwords(&self, password: &str) -> Result<()> {
        let mut change = CatalogChange::default();
        for role in self.shared_catalog()?.roles().filter(|role| role.superuser) {
            let mut role = role.as_ref().clone();
            role.password = Some(crate::login::scram::stored_form(password)?);
            change.puts.push(catalog::Object::Role(Arc::new(role)));
        }
        let transaction = self.store.begin(storage::TransactionOptions::default());
        stored::save(&transaction, DatabaseId(0), &change)?;
        transaction.commit_then(|| self.publish(DatabaseId(0), &change))
    }

    /// Takes a place among those who have still to log in: at most twice max_connections, as in PostgreSQL.
    /// 53300.
    pub fn arrive(self: &Arc<Server>) -> Result<Arrival> {
        let limit = usize::try_from(self.settings.integer("max_connections")).unwrap_or(usize::MAX);
        let arrival = Arrival { server: Arc::clone(self) };
        if self.arriving.fetch_add(1, Ordering::AcqRel) >= limit.saturating_mul(2) {
            return Err(Error::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
                .with_hint("Too many connections are logging in at once; try again later."));
        }
        Ok(arrival)
    }

    /// The last slots are for superusers: 53300 for others once only those are left. The session has its slot.
    fn check_reserved(&self) -> Result<()> {
        let limit = usize::try_from(self.settings.integer("max_connections")).unwrap_or(usize::MAX);
        let reserved = self.settings.integer("superuser_reserved_connections");
        let reserved = usize::try_from(reserved).unwrap_or(0).min(limit.saturating_sub(1));
        if self.connections.load(Ordering::Acquire) <= limit - reserved {
            return Ok(());
        }
        Err(Error::new(
            SqlState::TOO_MANY_CONNECTIONS,
            "remaining connection slots are reserved for non-replication superuser connections",
        )
        .with_hint(format!(
            "The server takes {limit} connections, {reserved} of them from superusers only; raise max_connections, or close idle ones."
        )))
    }

    /// Takes a connection slot; the caller holds it for the connection's life. 53300.
    pub fn admit(self: &Arc<Server>) -> Result<Slot> {
        let limit = usize::try_from(self.settings.integer("max_connections")).unwrap_or(usize::MAX);
        let slot = Slot { server: Arc::clone(self) };
        if self.connections.fetch_add(1, Ordering::AcqRel) >= limit {
            return Err(Error::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
                .with_hint(format!(
                    "The server takes {limit} connections; raise max_connections, or close idle ones."
                )));
        }
        Ok(slot)
    }

    /// Enters a session. 53300 when its role or database has as many as it may; superusers always may.
    pub fn register(
        &self,
        database: &DatabaseDef,
        role: &RoleDef,
        client_address: Option<std::net::SocketAddr>,
        secret: [u8; 4],
    ) -> Result<Arc<SessionHandle>> {
        let (user, database_name) = (role.name.as_str(), database.name.as_str());
        let process_id = self.next_process_id.fetch_add(1, Ordering::Relaxed);
        let handle = Arc::new(SessionHandle {
            process_id,
            secret,
            cancel: Arc::default(),
            database: database_name.to_string(),
            user: user.to_string(),
            client_address,
            start_time: crate::now(),
            activity: Mutex::new(Activity { state: "idle", ..Activity::default() }),
            terminate: tokio::sync::Notify::new(),
            mailbox: Arc::default(),
        });
        let mut sessions = self.sessions.lock();
        let full = |limit: i32, count: usize| usize::try_from(limit).is_ok_and(|limit| count >= limit);
        if !role.superuser {
            self.check_reserved()?;
            let count = sessions.values().filter(|session| session.user == user).count();
            if full(role.connection_limit, count) {
                return Err(too_many("role", user));
            }
            let count = sessions.values().filter(|session| session.database == database_name).count();
            if full(database.connection_limit, count) {
                return Err(too_many("database", database_name));
            }
        }
        sessions.insert(process_id, Arc::clone(&handle));
        Ok(handle)
    }

    pub fn unregister(&self, process_id: i32) {
        self.sessions.lock().remove(&process_id);
        self.channels.leave(process_id);
    }

    pub fn session(&self, process_id: i32) -> Option<Arc<SessionHandle>> {
        self.sessions.lock().get(&process_id).cloned()
    }

    pub fn sessions(&self) -> Vec<Arc<SessionHandle>> {
        self.sessions.lock().values().cloned().collect()
    }

    /// A CancelRequest: stops the session's statement if the secret is right, and says nothing either way.
    pub fn cancel(&self, process_id: i32, secret: &[u8]) {
        if let Some(session) = self.session(process_id)
            && session.secret.as_slice() == secret
        {
            session.cancel.cancel();
        }
    }
}

/// A place among `max_connections`.
pub struct Slot {
    server: Arc<Server>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.server.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A place among those who have still to log in.
pub struct Arrival {
    server: Arc<Server>,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.server.arriving.fetch_sub(1, Ordering::AcqRel);
    }
}

/// 53300.
fn too_many(what: &str, name: &str) -> Error {
    Error::new(SqlState::TOO_MANY_CONNECTIONS, format!("too many connections for {what} \"{name}\""))
}

fn split_shared(change: &CatalogChange) -> (CatalogChange, CatalogChange) {
    let mut shared = CatalogChange::default();
    let mut own = CatalogChange::default();
    for id in &change.drops {
        if id.is_shared() { shared.drops.push(*id) } else { own.drops.push(*id) }
    }
    for object in &change.puts {
        if object.id().is_shared() { shared.puts.push(object.clone()) } else { own.puts.push(object.clone()) }
    }
    (shared, own)
}
