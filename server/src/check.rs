//! `cairn check`: verifies a directory that no server has open.
//!
//! First the store (checksums, trees, who owns which page), then, with the catalog, each table with its indexes,
//! and that no tree is left that no table or index owns.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use catalog::bootstrap::BOOTSTRAP_ROLE;
use catalog::runtime::{SessionRow, SettingRow};
use catalog::{Catalog, DatabaseId, RelationId, RoleId, Runtime, SchemaId, TreeNumber};
use executor::table::{catalog as stored, check::check_table};
use executor::{Environment, ExecContext, Tables};
use storage::{Store, StoreOptions, TransactionOptions, TreeId};
use types::{Error, Result, SqlState, TextContext, Value};

/// What was looked at, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Report {
    pub trees: u64,
    pub pages: u64,
    pub records: u64,
    pub tables: u64,
    pub rows: u64,
    /// A line each.
    pub problems: Vec<String>,
}

/// Opens the directory, which completes the recovery that a crash left to do, and verifies it. 58P01 when there
/// is no store; its errors when it cannot be opened.
pub fn check(data: &Path) -> Result<Report> {
    if !Store::exists(data) {
        return Err(Error::new(
            SqlState::UNDEFINED_FILE,
            format!("directory \"{}\" holds no cairn database", data.display()),
        ));
    }
    let store = Store::open(StoreOptions::new(data))?;
    let found = store.check()?;
    let mut report = Report {
        trees: found.trees,
        pages: found.pages,
        records: found.records,
        problems: found.problems,
        ..Report::default()
    };
    if let Err(error) = check_databases(&store, data, found.made, &mut report) {
        report.problems.push(format!("the catalog cannot be read: {}", told(&error)));
    }
    store.close()?;
    Ok(report)
}

fn check_databases(store: &Arc<Store>, data: &Path, made: Vec<TreeId>, report: &mut Report) -> Result<()> {
    if stored::is_empty(store)? {
        return Ok(());
    }
    let tables = Tables::new(store);
    let mut unowned: BTreeSet<TreeId> = made.into_iter().collect();
    for database in stored::load(store, DatabaseId(0))?.databases() {
        let catalog = Arc::new(stored::load(store, database.id)?);
        let mut defs: Vec<_> = catalog.tables().collect();
        defs.sort_by_key(|table| table.id);
        for table in defs {
            let trees = table.indexes.iter().map(|index| index.tree).chain([table.tree]);
            trees.for_each(|tree| {
                unowned.remove(&TreeId(tree.0));
            });
            let transaction = Arc::new(store.begin(TransactionOptions::default()));
            transaction.start_statement();
            let cx = ExecContext::new(Environment {
                store: Arc::clone(store),
                transaction,
                catalog: Arc::clone(&catalog),
                tables: Arc::clone(&tables),
                parameters: Arc::from([]),
                transaction_time: crate::now(),
                statement_time: crate::now(),
                text: TextContext::default(),
                // What indexes are made of asks neither: it is immutable.
                host: Arc::new(expr::NoHost),
                runtime: Arc::new(NoServer),
                cancel: Arc::new(AtomicBool::new(false)),
                work_mem_bytes: 64 << 20,
                memory_limit_bytes: 1 << 30,
                temp_dir: data.join("tmp"),
                instrument: false,
            });
            let schema = catalog.schema(table.schema).map_or("?", |schema| schema.name.as_str());
            let place = format!("database \"{}\", table \"{schema}.{}\"", database.name, table.name);
            report.tables += 1;
            match check_table(table, &cx) {
                Ok((rows, problems)) => {
                    report.rows += rows;
                    report.problems.extend(problems.iter().map(|problem| format!("{place}: {problem}")));
                }
                Err(error) => {
                    let error = name_tree(error, &catalog);
                    report.problems.push(format!("{place}: {}", told(&error)));
                }
            }
        }
    }
    for tree in unowned {
        report.problems.push(format!("tree {} belongs to no table and no index", tree.0));
    }
    Ok(())
}

fn told(error: &Error) -> String {
    match &error.fields().detail {
        Some(detail) => format!("{} ({detail})", error.message()),
        None => error.message().to_string(),
    }
}

/// Says which table and index it is whose bytes are damaged, if `error` is of that kind and `catalog` knows.
pub fn name_tree(error: Error, catalog: &Catalog) -> Error {
    let Some(tree) = error.fields().tree.map(|tree| TreeNumber(TreeId(tree).owner().0)) else { return error };
    let owns = |table: &&Arc<catalog::TableDef>| {
        table.tree == tree || table.indexes.iter().any(|index| index.tree == tree)
    };
    let Some(table) = catalog.tables().find(owns) else { return error };
    let place = match table.indexes.iter().find(|index| index.tree == tree && table.tree != tree) {
        Some(index) => format!("It belongs to index \"{}\" of table \"{}\".", index.name, table.name),
        None => format!("It belongs to table \"{}\".", table.name),
    };
    let detail = match &error.fields().detail {
        Some(detail) => format!("{detail} {place}"),
        None => place,
    };
    let schema = catalog.schema(table.schema).map_or_else(String::new, |schema| schema.name.clone());
    error.with_detail(detail).with_schema(schema).with_table(table.name.clone())
}

/// The live facts of a server that does not run.
struct NoServer;

impl Runtime for NoServer {
    fn settings(&self) -> Vec<SettingRow> {
        Vec::new()
    }
    fn sessions(&self) -> Vec<SessionRow> {
        Vec::new()
    }
    fn session_rows(&self, _view: &str) -> Vec<Vec<Value>> {
        Vec::new()
    }
    fn row_count(&self, _table: RelationId) -> Option<u64> {
        None
    }
    fn tree_bytes(&self, _tree: TreeNumber) -> u64 {
        0
    }
    fn current_role(&self) -> RoleId {
        BOOTSTRAP_ROLE
    }
    fn search_path(&self) -> Vec<SchemaId> {
        Vec::new()
    }
}
