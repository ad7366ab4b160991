//! The catalog's stored form: one system tree for all databases.
//!
//! The server loads each database's catalog when it opens the store; DDL saves its change inside the
//! statement's transaction, so schema and data commit together.

use std::sync::Arc;

use ::catalog::{Catalog, CatalogChange, DatabaseId, Object, bootstrap, record};
use storage::{Direction, KeyRange, RecordSink, Store, Transaction};
use types::{Error, Result};

use crate::table::{Tables, trees};

/// True until [`bootstrap`] has been called for this store.
pub fn is_empty(store: &Arc<Store>) -> Result<bool> {
    let transaction = store.begin(Default::default());
    transaction.start_statement();
    let mut objects = Objects::default();
    transaction.scan(trees::CATALOG, KeyRange::all(), Direction::Forward)?.fill(&mut objects)?;
    transaction.rollback()?;
    Ok(objects.0.is_empty())
}

/// Writes what an empty store starts with: roles `postgres` and `user`, and a database of each name.
pub fn bootstrap(tables: &Tables, user: &str) -> Result<()> {
    let mut oids = [tables.take_oid()?, tables.take_oid()?].into_iter();
    let shared = bootstrap::shared_objects(user, || oids.next().unwrap_or(::catalog::FIRST_USER_OID));
    let transaction = tables.store().begin(Default::default());
    transaction.start_statement();
    save(&transaction, DatabaseId(0), &shared)?;
    for object in &shared.puts {
        if let Object::Database(database) = object {
            save(&transaction, database.id, &bootstrap::database_objects())?;
        }
    }
    transaction.commit()
}

/// The catalog of `database` as committed. 3D000 is the caller's to raise: an unknown database has a
/// catalog with nothing but the shared objects.
pub fn load(store: &Arc<Store>, database: DatabaseId) -> Result<Catalog> {
    let transaction = store.begin(Default::default());
    transaction.start_statement();
    let mut objects = Objects::default();
    for part in [DatabaseId(0), database] {
        let prefix = record::database_prefix(part);
        let mut scan = transaction.scan(trees::CATALOG, KeyRange::prefix(&prefix), Direction::Forward)?;
        while scan.fill(&mut objects)? {}
    }
    transaction.rollback()?;
    Ok(Catalog::empty(database).apply(&CatalogChange { drops: Vec::new(), puts: objects.0 }))
}

/// Writes `change` in `transaction`.
pub fn save(transaction: &Transaction, database: DatabaseId, change: &CatalogChange) -> Result<()> {
    for id in &change.drops {
        let _ = transaction.delete(trees::CATALOG, &record::encode_key(database, *id))?;
    }
    for object in &change.puts {
        let key = record::encode_key(database, object.id());
        let bytes = record::encode(object);
        write(transaction, &key, &bytes)?;
    }
    Ok(())
}

/// Removes all objects of a dropped database, and returns them (their trees are the caller's to drop).
pub fn remove_database(transaction: &Transaction, database: DatabaseId) -> Result<Vec<Object>> {
    let prefix = record::database_prefix(database);
    let mut entries = Entries::default();
    let mut scan = transaction.scan(trees::CATALOG, KeyRange::prefix(&prefix), Direction::Forward)?;
    while scan.fill(&mut entries)? {}
    let mut objects = Vec::new();
    for (key, bytes) in entries.0 {
        objects.push(record::decode(&key, &bytes)?);
        let _ = transaction.delete(trees::CATALOG, &key)?;
    }
    Ok(objects)
}

/// Inserts or replaces. One transaction may change an object many times (40001 when two race).
fn write(transaction: &Transaction, key: &[u8], bytes: &[u8]) -> Result<()> {
    use storage::{InsertOutcome, WriteOutcome};
    for _ in 0..3 {
        if transaction.insert(trees::CATALOG, key, bytes)? == InsertOutcome::Done {
            return Ok(());
        }
        match transaction.update(trees::CATALOG, key, bytes)? {
            WriteOutcome::Done => return Ok(()),
            WriteOutcome::Missing => {}
            WriteOutcome::Changed => {
                return Err(Error::new(
                    types::SqlState::SERIALIZATION_FAILURE,
                    "could not change the schema because another transaction has changed it",
                )
                .with_hint("Retry the statement."));
            }
            // Written by this very statement: begin a new one, so that its own write is visible.
            WriteOutcome::SelfModified => transaction.start_statement(),
        }
    }
    Err(Error::internal("a catalog record can be neither inserted nor updated"))
}

#[derive(Default)]
struct Objects(Vec<Object>);

impl RecordSink for Objects {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push(record::decode(key, record)?);
        Ok(true)
    }
}

#[derive(Default)]
struct Entries(Vec<(Vec<u8>, Vec<u8>)>);

impl RecordSink for Entries {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.0.push((key.to_vec(), record.to_vec()));
        Ok(true)
    }
}
