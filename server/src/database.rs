//! The server's shared state: the store, each database's published catalog, plan cache and sessions.
//!
//! Sessions read the published catalog (an `Arc` swap) and publish theirs at commit. Schema changes
//! take turns (`Session::lock_schema`), so a change is always made on what is published.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use catalog::{Catalog, CatalogChange, DatabaseId, ObjectId};
use executor::Tables;
use executor::table::catalog as stored;
use parking_lot::{Mutex, RwLock};
use planner::cache::PlanCache;
use storage::{Store, StoreOptions};
use types::{Error, Result, SqlState};

use crate::scheduler::coroutine::CancelFlag;
use crate::session::settings::Settings;

/// How many plans the shared cache keeps.
const PLANS: usize = 4096;

/// Everything that outlives a session.
pub struct Server {
    pub store: Arc<Store>,
    pub tables: Arc<Tables>,
    pub settings: Settings,
    pub plan_cache: PlanCache,
    catalogs: RwLock<HashMap<DatabaseId, Arc<Catalog>>>,
    sessions: Mutex<BTreeMap<i32, Arc<SessionHandle>>>,
    next_process_id: AtomicI32,
    connections: AtomicUsize,
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
    pub fn open(options: StoreOptions, settings: Settings, user: &str) -> Result<Arc<Server>> {
        let temp_dir = options.directory.join("tmp");
        let store = Store::open(options)?;
        // What a killed server spilled is nobody's any more.
        let _ = std::fs::remove_dir_all(&temp_dir);
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
            catalogs: RwLock::new(catalogs),
            sessions: Mutex::default(),
            next_process_id: AtomicI32::new(1000),
            connections: AtomicUsize::new(0),
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

    pub fn register(
        &self,
        database: &str,
        user: &str,
        client_address: Option<std::net::SocketAddr>,
        secret: [u8; 4],
    ) -> Arc<SessionHandle> {
        let process_id = self.next_process_id.fetch_add(1, Ordering::Relaxed);
        let handle = Arc::new(SessionHandle {
            process_id,
            secret,
            cancel: Arc::default(),
            database: database.to_string(),
            user: user.to_string(),
            client_address,
            start_time: crate::now(),
            activity: Mutex::new(Activity { state: "idle", ..Activity::default() }),
            terminate: tokio::sync::Notify::new(),
        });
        self.sessions.lock().insert(process_id, Arc::clone(&handle));
        handle
    }

    pub fn unregister(&self, process_id: i32) {
        self.sessions.lock().remove(&process_id);
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
