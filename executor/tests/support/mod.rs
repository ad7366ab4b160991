//! A store in a scratch directory, tables made through DDL, and plans built by hand.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use catalog::runtime::{SessionRow, SettingRow};
use catalog::{
    Catalog, ColumnDef, DatabaseId, Identity, IndexColumn, PUBLIC, Persistence, RelationId, RoleId, Runtime,
    SchemaId, TableDef, TreeNumber, bootstrap,
};
use executor::{Environment, ExecContext, Rows, Tables, execute, execute_ddl};
use expr::{Expr, NoHost, registry};
use planner::ddl::{
    BoundDdl, CreateTable, Ddl, NewConstraint, NewConstraintIndex, NewConstraintKind, NewIndex,
};
use planner::physical::plan::{
    Estimate, IndexMaintenance, InsertOp, Node, NodeId, Op, OutputColumn, PhysicalPlan, SeqScan,
};
use storage::{Store, StoreOptions, Transaction};
use types::{DataType, Result, Schema, TextContext, Value};

struct NoRuntime;

impl Runtime for NoRuntime {
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
        RoleId(10)
    }
    fn search_path(&self) -> Vec<SchemaId> {
        vec![PUBLIC]
    }
}

/// One database over one store.
pub struct Database {
    pub store: Arc<Store>,
    pub tables: Arc<Tables>,
    pub catalog: Arc<Catalog>,
    pub work_mem_bytes: usize,
    pub instrument: bool,
    directory: tempfile::TempDir,
}

impl Database {
    pub fn new() -> Database {
        let directory = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(directory.path().join("store"));
        options.buffer_size_bytes = 64 << 20;
        let store = Store::open(options).unwrap();
        let tables = Tables::new(&store);
        let catalog = Catalog::empty(DatabaseId(5)).apply(&bootstrap::database_objects());
        Database {
            store,
            tables,
            catalog: Arc::new(catalog),
            work_mem_bytes: 64 << 20,
            instrument: false,
            directory,
        }
    }

    pub fn begin(&self) -> Arc<Transaction> {
        Arc::new(self.store.begin(Default::default()))
    }

    pub fn environment(&self, transaction: &Arc<Transaction>) -> Environment {
        transaction.start_statement();
        Environment {
            store: self.store.clone(),
            transaction: transaction.clone(),
            catalog: self.catalog.clone(),
            tables: self.tables.clone(),
            parameters: Arc::from([]),
            transaction_time: 0,
            statement_time: 0,
            text: TextContext::default(),
            host: Arc::new(NoHost),
            runtime: Arc::new(NoRuntime),
            cancel: Arc::new(AtomicBool::new(false)),
            work_mem_bytes: self.work_mem_bytes,
            memory_limit_bytes: 1 << 30,
            temp_dir: self.directory.path().join("temp"),
            instrument: self.instrument,
        }
    }

    /// Runs `work` in a transaction that commits.
    pub fn commit<R>(&self, work: impl FnOnce(&Arc<Transaction>) -> R) -> R {
        let transaction = self.begin();
        let result = work(&transaction);
        Arc::try_unwrap(transaction).ok().expect("nobody keeps the transaction").commit().unwrap();
        result
    }

    pub fn ddl(&mut self, ddl: Ddl) -> Result<()> {
        let transaction = self.begin();
        let outcome = {
            let cx = ExecContext::new(self.environment(&transaction));
            execute_ddl(&BoundDdl { ddl, notices: Vec::new() }, &cx)?
        };
        Arc::try_unwrap(transaction).ok().expect("nobody keeps the transaction").commit()?;
        self.catalog = Arc::new(self.catalog.apply(&outcome.change));
        Ok(())
    }

    /// CREATE TABLE name (columns, PRIMARY KEY (key)); columns that end in `!` are NOT NULL.
    pub fn create_table(&mut self, name: &str, columns: &[(&str, DataType)], key: &[usize]) -> Arc<TableDef> {
        let definitions = columns.iter().enumerate().map(|(position, (column, data_type))| ColumnDef {
            name: column.trim_end_matches('!').to_string(),
            number: position as i16 + 1,
            data_type: *data_type,
            not_null: column.ends_with('!') || key.contains(&position),
            default: None,
            generated: false,
            identity: Identity::None,
            missing: Value::Null,
            dropped: false,
            comment: None,
        });
        let mut create = CreateTable {
            schema: PUBLIC,
            name: name.to_string(),
            owner: RoleId(10),
            persistence: Persistence::Permanent,
            columns: definitions.collect(),
            sequences: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            comment: None,
        };
        if !key.is_empty() {
            create.indexes.push(new_index(&format!("{name}_pkey"), columns, key, true, true));
            create.constraints.push(NewConstraint {
                name: format!("{name}_pkey"),
                kind: NewConstraintKind::PrimaryKey(NewConstraintIndex::New(0)),
                deferrable: false,
                initially_deferred: false,
                validated: true,
            });
        }
        self.ddl(Ddl::CreateTable(Box::new(create))).unwrap();
        self.table(name)
    }

    pub fn table(&self, name: &str) -> Arc<TableDef> {
        match self.catalog.relation_in(PUBLIC, name) {
            Some(catalog::Relation::Table(table)) => table.clone(),
            _ => panic!("no table {name}"),
        }
    }

    /// All rows of a plan.
    pub fn run_in(
        &self,
        plan: &Arc<PhysicalPlan>,
        transaction: &Arc<Transaction>,
    ) -> Result<Vec<Vec<Value>>> {
        let mut rows = self.rows(plan, transaction)?;
        let mut out = Vec::new();
        while let Some(batch) = rows.next()? {
            assert!(!batch.is_empty(), "an empty batch");
            out.extend((0..batch.len()).map(|row| batch.row(row)));
        }
        Ok(out)
    }

    pub fn rows(&self, plan: &Arc<PhysicalPlan>, transaction: &Arc<Transaction>) -> Result<Rows> {
        execute(plan, self.environment(transaction))
    }

    pub fn run(&self, plan: &Arc<PhysicalPlan>) -> Result<Vec<Vec<Value>>> {
        let transaction = self.begin();
        self.run_in(plan, &transaction)
    }

    /// INSERT, committed.
    pub fn insert(&self, table: &Arc<TableDef>, rows: &[Vec<Value>]) -> Result<u64> {
        let plan = insert_plan(table, rows);
        let transaction = self.begin();
        let affected = {
            let mut running = self.rows(&plan, &transaction)?;
            while running.next()?.is_some() {}
            running.affected()
        };
        Arc::try_unwrap(transaction).ok().expect("nobody keeps the transaction").commit()?;
        Ok(affected)
    }

    /// SELECT * in the table's order.
    pub fn all(&self, table: &Arc<TableDef>) -> Vec<Vec<Value>> {
        self.run(&plan(seq_scan(table, Vec::new()))).unwrap()
    }
}

pub fn new_index(
    name: &str,
    columns: &[(&str, DataType)],
    key: &[usize],
    unique: bool,
    primary: bool,
) -> NewIndex {
    NewIndex {
        name: name.to_string(),
        columns: key
            .iter()
            .map(|&column| IndexColumn {
                column: Some(column),
                expression: None,
                data_type: columns[column].1,
                descending: false,
                nulls_first: false,
            })
            .collect(),
        include: Vec::new(),
        unique,
        primary,
        nulls_not_distinct: false,
        predicate: None,
        comment: None,
    }
}

pub fn node(op: Op, types: &[DataType]) -> Arc<Node> {
    let columns = types.iter().map(|&data_type| OutputColumn { name: String::new(), data_type }).collect();
    Arc::new(Node { id: NodeId(0), op, columns, estimate: Estimate::default() })
}

pub fn types_of(node: &Node) -> Vec<DataType> {
    node.columns.iter().map(|column| column.data_type).collect()
}

pub fn plan(root: Arc<Node>) -> Arc<PhysicalPlan> {
    Arc::new(PhysicalPlan {
        planned_rows: Vec::new(),
        root,
        schema: Schema::default(),
        parameter_types: Vec::new(),
        sub_plans: Vec::new(),
        ctes: Vec::new(),
        plan_parameters: 0,
        depends_on: Vec::new(),
        is_read_only: true,
    })
}

pub fn values(types: &[DataType], rows: &[Vec<Value>]) -> Arc<Node> {
    let rows = rows
        .iter()
        .map(|row| row.iter().zip(types).map(|(value, t)| Expr::literal(value.clone(), *t)).collect())
        .collect();
    node(Op::Values { rows }, types)
}

pub fn scan_op(table: &Arc<TableDef>, filter: Vec<Expr>, row_key: bool) -> SeqScan {
    SeqScan {
        table: table.clone(),
        alias: table.name.clone(),
        columns: (0..table.columns.len()).collect(),
        row_key,
        filter,
    }
}

pub fn table_types(table: &TableDef) -> Vec<DataType> {
    table.columns.iter().map(|column| column.data_type).collect()
}

pub fn seq_scan(table: &Arc<TableDef>, filter: Vec<Expr>) -> Arc<Node> {
    node(Op::SeqScan(scan_op(table, filter, false)), &table_types(table))
}

/// A scan that hands over the row key, too: the source of UPDATE and DELETE.
pub fn source_scan(table: &Arc<TableDef>, filter: Vec<Expr>) -> Arc<Node> {
    let mut types = table_types(table);
    types.push(DataType::BYTEA);
    node(Op::SeqScan(scan_op(table, filter, true)), &types)
}

pub fn maintenance(table: &TableDef) -> Vec<IndexMaintenance> {
    table
        .indexes
        .iter()
        .filter(|index| !index.is_clustered)
        .map(|index| IndexMaintenance {
            index: index.clone(),
            keys: index.columns.iter().map(|c| Expr::input(c.column.unwrap(), c.data_type)).collect(),
            predicate: None,
        })
        .collect()
}

pub fn insert_plan(table: &Arc<TableDef>, rows: &[Vec<Value>]) -> Arc<PhysicalPlan> {
    plan(node(
        Op::Insert(InsertOp {
            table: table.clone(),
            input: values(&table_types(table), rows),
            columns: (0..table.columns.len()).collect(),
            checks: Vec::new(),
            on_conflict: None,
            returning: None,
            foreign_keys: Vec::new(),
            indexes: maintenance(table),
        }),
        &[],
    ))
}

/// `left symbol right`, both of `data_type`.
pub fn compare(symbol: &str, left: Expr, right: Expr, data_type: DataType) -> Expr {
    let operator = registry().operator(symbol, Some(data_type), data_type).unwrap();
    Expr::operator(operator, left, right)
}

pub fn int(n: i32) -> Value {
    Value::Int32(n)
}

pub fn text(s: &str) -> Value {
    Value::text(s)
}

/// A stream of small numbers.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }

    /// NULL now and then, else a small integer.
    pub fn int(&mut self, limit: u64) -> Value {
        if self.below(8) == 0 { Value::Null } else { int(self.below(limit) as i32) }
    }
}
