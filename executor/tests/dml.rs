//! Rows, index entries and constraints stay in step.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use catalog::{ForeignKey, ForeignKeyAction, TableDef};
use executor::ExecContext;
use executor::table::check::check_table;
use expr::Expr;
use planner::ddl::{
    AlterTable, AlterTableAction, CreateIndex, Ddl, NewConstraint, NewConstraintKind, NewForeignKey,
    ReferencedTable, Truncate,
};
use planner::physical::plan::{
    CheckOp, DeleteOp, ForeignKeyCheck, IndexScan, InsertOp, KeyRange, OnConflictOp, OnConflictUpdateOp, Op,
    PhysicalPlan, Recheck, UpdateOp,
};
use support::*;
use types::{DataType, Result, SqlState, Value};

const INT: DataType = DataType::INT4;

fn with_index(db: &mut Database, name: &str, columns: &[(&str, DataType)], key: &[usize], unique: bool) {
    let table = db.table(name);
    let index = new_index(&format!("{name}_{}", columns[key[0]].0), columns, key, unique, false);
    let keys = key.iter().map(|&column| Expr::input(column, columns[column].1)).collect();
    let create = CreateIndex { table, index, keys, predicate: None, concurrently: false };
    db.ddl(Ddl::CreateIndex(Box::new(create))).unwrap();
}

/// Rows through the secondary index, which must be those of the table.
fn check_index(db: &Database, table: &Arc<TableDef>) {
    let mut want = db.all(table);
    want.sort();
    for index in table.indexes.iter().filter(|index| !index.is_clustered) {
        let scan = scan_op(table, Vec::new(), false);
        let everything = KeyRange { equals: vec![], lower: None, upper: None, is_null: false };
        let op = IndexScan {
            scan,
            index: index.clone(),
            ranges: vec![everything],
            backward: false,
            index_only: false,
        };
        let mut got = db.run(&plan(node(Op::IndexScan(op), &table_types(table)))).unwrap();
        got.sort();
        assert_eq!(got, want, "index {}", index.name);
    }
    let transaction = db.begin();
    let cx = ExecContext::new(db.environment(&transaction));
    let (_, problems) = check_table(table, &cx).unwrap();
    assert!(problems.is_empty(), "{problems:#?}");
}

fn run(db: &Database, plan: &Arc<PhysicalPlan>) -> Result<u64> {
    let transaction = db.begin();
    let affected = {
        let mut rows = db.rows(plan, &transaction)?;
        while rows.next()?.is_some() {}
        rows.affected()
    };
    Arc::try_unwrap(transaction).ok().expect("nobody keeps the transaction").commit()?;
    Ok(affected)
}

/// UPDATE table SET column = value (over the row) WHERE filter.
fn update(
    table: &Arc<TableDef>,
    column: usize,
    value: Expr,
    filter: Vec<Expr>,
    referenced_by: &[ForeignKeyCheck],
) -> Arc<PhysicalPlan> {
    let width = table.columns.len();
    let source = source_scan(table, filter.clone());
    let mut types = types_of(&source);
    let mut exprs: Vec<Expr> = types.iter().enumerate().map(|(i, t)| Expr::input(i, *t)).collect();
    exprs.push(value.clone());
    types.push(value.data_type());
    let input = node(Op::Project { input: source, exprs }, &types);
    plan(node(
        Op::Update(UpdateOp {
            table: table.clone(),
            input,
            row_key: width,
            old: (0..width).map(Some).collect(),
            assignments: vec![(column, width + 1)],
            recheck: Some(Recheck { filter, assignments: vec![(column, value)] }),
            checks: Vec::new(),
            returning: None,
            foreign_keys: Vec::new(),
            referenced_by: referenced_by.to_vec(),
            indexes: maintenance(table),
        }),
        &[],
    ))
}

fn delete(table: &Arc<TableDef>, filter: Vec<Expr>, referenced_by: &[ForeignKeyCheck]) -> Arc<PhysicalPlan> {
    let width = table.columns.len();
    plan(node(
        Op::Delete(DeleteOp {
            table: table.clone(),
            input: source_scan(table, filter.clone()),
            row_key: width,
            old: (0..width).map(Some).collect(),
            recheck: Some(Recheck { filter, assignments: Vec::new() }),
            returning: None,
            referenced_by: referenced_by.to_vec(),
            indexes: maintenance(table),
        }),
        &[],
    ))
}

fn plus(column: usize, n: i32) -> Expr {
    compare("+", Expr::input(column, INT), Expr::literal(int(n), INT), INT)
}

fn less(column: usize, n: i32) -> Expr {
    compare("<", Expr::input(column, INT), Expr::literal(int(n), INT), INT)
}

#[test]
fn indexes_follow_inserts_updates_moves_and_deletes() {
    for key in [&[0usize][..], &[]] {
        let mut db = Database::new();
        let columns = [("a", INT), ("b", INT), ("c", DataType::TEXT)];
        db.create_table("t", &columns, key);
        with_index(&mut db, "t", &columns, &[1], false);
        with_index(&mut db, "t", &columns, &[2, 0], true);
        let table = db.table("t");
        let rows: Vec<Vec<Value>> = (0..2000)
            .map(|n| {
                vec![int(n), if n % 5 == 0 { Value::Null } else { int(n % 50) }, text(&format!("c{}", n % 7))]
            })
            .collect();
        assert_eq!(db.insert(&table, &rows).unwrap(), 2000);
        check_index(&db, &table);
        assert_eq!(run(&db, &update(&table, 1, plus(1, 1000), vec![less(0, 900)], &[])).unwrap(), 900);
        check_index(&db, &table);
        // Every row moves, to places beyond all others.
        assert_eq!(run(&db, &update(&table, 0, plus(0, 5000), vec![], &[])).unwrap(), 2000);
        check_index(&db, &table);
        assert_eq!(run(&db, &delete(&table, vec![less(0, 5500)], &[])).unwrap(), 500);
        check_index(&db, &table);
        let left = db.all(&table);
        assert_eq!(left.len(), 1500);
        assert!(left.iter().all(|row| row[0] >= int(5500)));
        assert!(db.store.check().unwrap().problems.is_empty());
    }
}

#[test]
fn duplicates_nulls_and_checks_are_refused_as_postgres_says_it() {
    let mut db = Database::new();
    let columns = [("a", INT), ("b!", INT), ("c", DataType::TEXT)];
    db.create_table("t", &columns, &[0]);
    with_index(&mut db, "t", &columns, &[2], true);
    let table = db.table("t");
    db.insert(&table, &[vec![int(1), int(1), text("x")], vec![int(2), int(2), Value::Null]]).unwrap();
    let error = db.insert(&table, &[vec![int(1), int(0), Value::Null]]).unwrap_err();
    assert_eq!(error.code(), SqlState::UNIQUE_VIOLATION);
    assert_eq!(error.message(), "duplicate key value violates unique constraint \"t_pkey\"");
    assert_eq!(error.detail(), Some("Key (a)=(1) already exists."));
    let fields = error.fields();
    assert_eq!(
        (fields.schema.as_deref(), fields.table.as_deref(), fields.constraint.as_deref()),
        (Some("public"), Some("t"), Some("t_pkey"))
    );
    let error = db.insert(&table, &[vec![int(3), int(3), text("x")]]).unwrap_err();
    assert_eq!(error.detail(), Some("Key (c)=(x) already exists."));
    // NULLs are distinct.
    db.insert(&table, &[vec![int(4), int(4), Value::Null]]).unwrap();
    let error = db.insert(&table, &[vec![int(5), Value::Null, text("long ".repeat(20).trim())]]).unwrap_err();
    assert_eq!(error.code(), SqlState::NOT_NULL_VIOLATION);
    assert_eq!(error.message(), "null value in column \"b\" of relation \"t\" violates not-null constraint");
    let shown = format!("Failing row contains (5, null, {}...).", &"long ".repeat(20)[..64]);
    assert_eq!(error.detail(), Some(shown.as_str()));
    let Op::Insert(op) = &insert_plan(&table, &[vec![int(6), int(60), text("y")]]).root.op else { panic!() };
    let checked = InsertOp {
        table: op.table.clone(),
        input: op.input.clone(),
        columns: op.columns.clone(),
        checks: vec![CheckOp { constraint: "t_b_check".into(), predicate: less(1, 50) }],
        on_conflict: None,
        returning: None,
        foreign_keys: Vec::new(),
        indexes: maintenance(&table),
    };
    let error = run(&db, &plan(node(Op::Insert(checked), &[]))).unwrap_err();
    assert_eq!(error.code(), SqlState::CHECK_VIOLATION);
    assert_eq!(error.message(), "new row for relation \"t\" violates check constraint \"t_b_check\"");
    assert_eq!(error.detail(), Some("Failing row contains (6, 60, y)."));
    assert_eq!(db.all(&table).len(), 3);
    check_index(&db, &table);
}

#[test]
fn on_conflict_does_nothing_or_updates() {
    let mut db = Database::new();
    let columns = [("a", INT), ("b", INT)];
    db.create_table("t", &columns, &[0]);
    with_index(&mut db, "t", &columns, &[1], false);
    let table = db.table("t");
    db.insert(&table, &[vec![int(1), int(10)], vec![int(2), int(20)]]).unwrap();
    let upsert = |rows: &[Vec<Value>], update: Option<OnConflictUpdateOp>| {
        let arbiters = table.indexes.iter().filter(|index| index.is_clustered).cloned().collect();
        plan(node(
            Op::Insert(InsertOp {
                table: table.clone(),
                input: values(&[INT, INT], rows),
                columns: vec![0, 1],
                checks: Vec::new(),
                on_conflict: Some(OnConflictOp { arbiters, update }),
                returning: Some(vec![Expr::input(0, INT), Expr::input(1, INT)]),
                foreign_keys: Vec::new(),
                indexes: maintenance(&table),
            }),
            &[INT, INT],
        ))
    };
    let rows = [vec![int(1), int(11)], vec![int(3), int(33)]];
    assert_eq!(run(&db, &upsert(&rows, None)).unwrap(), 1);
    let set = || OnConflictUpdateOp {
        // b = t.b + excluded.b, where excluded.b < 100
        assignments: vec![(1, compare("+", Expr::input(1, INT), Expr::input(3, INT), INT))],
        filter: Some(less(3, 100)),
    };
    let rows = [vec![int(1), int(5)], vec![int(2), int(500)], vec![int(4), int(44)]];
    assert_eq!(run(&db, &upsert(&rows, Some(set()))).unwrap(), 2);
    let want = [[1, 15], [2, 20], [3, 33], [4, 44]].map(|row| row.map(int).to_vec());
    assert_eq!(db.all(&table), want);
    check_index(&db, &table);
    let twice = [vec![int(9), int(1)], vec![int(9), int(2)]];
    let error = run(&db, &upsert(&twice, Some(set()))).unwrap_err();
    assert_eq!(error.code(), SqlState::CARDINALITY_VIOLATION);
    assert_eq!(db.all(&table), want);
}

fn foreign_key(
    db: &Database,
    child: &str,
    column: usize,
    parent: &str,
    action: ForeignKeyAction,
) -> ForeignKeyCheck {
    let (referencing, referenced) = (db.table(child), db.table(parent));
    ForeignKeyCheck {
        constraint: format!("{child}_fkey"),
        key: ForeignKey {
            columns: vec![column],
            referenced_table: referenced.id,
            referenced_columns: vec![0],
            referenced_index: referenced.indexes[0].id,
            on_update: action,
            on_delete: action,
            match_full: false,
        },
        referencing,
        referenced,
    }
}

fn add_foreign_key(
    db: &mut Database,
    child: &str,
    column: usize,
    parent: &str,
    action: ForeignKeyAction,
) -> Result<()> {
    let (table, referenced) = (db.table(child), db.table(parent));
    let key = NewForeignKey {
        columns: vec![column],
        referenced: ReferencedTable::Existing { table: referenced.id, index: referenced.indexes[0].id },
        referenced_columns: vec![0],
        on_update: action,
        on_delete: action,
        match_full: false,
    };
    let constraint = NewConstraint {
        name: format!("{child}_fkey"),
        kind: NewConstraintKind::ForeignKey(key),
        deferrable: false,
        initially_deferred: false,
        validated: true,
    };
    db.ddl(Ddl::AlterTable(Box::new(AlterTable {
        table,
        actions: vec![AlterTableAction::AddConstraint(constraint)],
        indexes: Vec::new(),
    })))
}

#[test]
fn foreign_keys_refuse_cascade_and_set_null() {
    for action in [ForeignKeyAction::NoAction, ForeignKeyAction::Cascade, ForeignKeyAction::SetNull] {
        let mut db = Database::new();
        let columns = [("a", INT), ("b", DataType::INT8)];
        let parent = db.create_table("p", &[("id", INT)], &[0]);
        let child = db.create_table("c", &columns, &[0]);
        db.insert(&parent, &(0..10).map(|n| vec![int(n)]).collect::<Vec<_>>()).unwrap();
        let long = |n: i32| Value::Int64(i64::from(n));
        db.insert(&child, &(0..30).map(|n| vec![int(n), long(n % 10)]).collect::<Vec<_>>()).unwrap();
        add_foreign_key(&mut db, "c", 1, "p", action).unwrap();
        let check = foreign_key(&db, "c", 1, "p", action);
        let (parent, child) = (db.table("p"), db.table("c"));

        let Op::Insert(op) = &insert_plan(&child, &[vec![int(99), long(50)]]).root.op else { panic!() };
        let checked = InsertOp {
            table: child.clone(),
            input: op.input.clone(),
            columns: vec![0, 1],
            checks: Vec::new(),
            on_conflict: None,
            returning: None,
            foreign_keys: vec![check.clone()],
            indexes: Vec::new(),
        };
        let error = run(&db, &plan(node(Op::Insert(checked), &[]))).unwrap_err();
        assert_eq!(error.code(), SqlState::FOREIGN_KEY_VIOLATION);
        assert_eq!(error.detail(), Some("Key (b)=(50) is not present in table \"p\"."));

        let outcome = run(&db, &delete(&parent, vec![less(0, 3)], std::slice::from_ref(&check)));
        let moved = |db: &Database| {
            let shift = update(&parent, 0, plus(0, 100), vec![less(0, 4)], std::slice::from_ref(&check));
            run(db, &shift)
        };
        match action {
            ForeignKeyAction::NoAction => {
                let error = outcome.unwrap_err();
                assert_eq!(error.code(), SqlState::FOREIGN_KEY_VIOLATION);
                assert_eq!(
                    error.message(),
                    "update or delete on table \"p\" violates foreign key constraint \"c_fkey\" on table \"c\""
                );
                assert_eq!(error.detail(), Some("Key (id)=(0) is still referenced from table \"c\"."));
                assert_eq!(db.all(&child).len(), 30);
            }
            ForeignKeyAction::Cascade => {
                assert_eq!(outcome.unwrap(), 3);
                assert_eq!(db.all(&child).len(), 21);
                assert_eq!(moved(&db).unwrap(), 1);
                assert_eq!(db.all(&child).iter().filter(|row| row[1] == long(103)).count(), 3);
            }
            _ => {
                assert_eq!(outcome.unwrap(), 3);
                assert_eq!(db.all(&child).iter().filter(|row| row[1].is_null()).count(), 9);
                moved(&db).unwrap();
                assert_eq!(db.all(&child).iter().filter(|row| row[1].is_null()).count(), 12);
            }
        }
        assert_eq!(db.all(&parent).len(), if action == ForeignKeyAction::NoAction { 10 } else { 7 });
    }
}

#[test]
fn rows_that_refer_to_nothing_bar_a_new_foreign_key() {
    let mut db = Database::new();
    db.create_table("p", &[("id", INT)], &[0]);
    let child = db.create_table("c", &[("a", INT), ("b", INT)], &[0]);
    db.insert(&child, &[vec![int(1), int(1)]]).unwrap();
    let error = add_foreign_key(&mut db, "c", 1, "p", ForeignKeyAction::NoAction).unwrap_err();
    assert_eq!(error.code(), SqlState::FOREIGN_KEY_VIOLATION);
    assert!(db.table("c").constraints.iter().all(|constraint| constraint.name != "c_fkey"));
}

#[test]
fn a_row_changed_by_another_transaction_is_looked_at_again() {
    let mut db = Database::new();
    let columns = [("a", INT), ("b", INT)];
    db.create_table("t", &columns, &[0]);
    with_index(&mut db, "t", &columns, &[1], false);
    let table = db.table("t");
    db.insert(&table, &[vec![int(1), int(1)], vec![int(2), int(2)]]).unwrap();
    // Our statement's snapshot comes first, then the other's commit.
    let ours = db.begin();
    let statement = update(&table, 1, plus(1, 10), vec![less(1, 3)], &[]);
    let mut rows = db.rows(&statement, &ours).unwrap();
    run(&db, &update(&table, 1, plus(1, 1), vec![less(0, 3)], &[])).unwrap();
    assert!(rows.next().unwrap().is_none());
    assert_eq!(rows.affected(), 1, "(2, 3) no longer satisfies b < 3");
    drop(rows);
    Arc::try_unwrap(ours).ok().unwrap().commit().unwrap();
    assert_eq!(db.all(&table), [vec![int(1), int(12)], vec![int(2), int(3)]]);
    check_index(&db, &table);
}

#[test]
fn truncate_empties_and_rollback_brings_back() {
    let mut db = Database::new();
    let columns = [("a", INT), ("b", INT)];
    db.create_table("t", &columns, &[]);
    with_index(&mut db, "t", &columns, &[1], false);
    let table = db.table("t");
    db.insert(&table, &(0..100).map(|n| vec![int(n), int(n)]).collect::<Vec<_>>()).unwrap();
    let truncate = Truncate { tables: vec![table.clone()], restart: Vec::new() };
    {
        let transaction = db.begin();
        let cx = ExecContext::new(db.environment(&transaction));
        let ddl = planner::ddl::BoundDdl { ddl: Ddl::Truncate(truncate.clone()), notices: Vec::new() };
        executor::execute_ddl(&ddl, &cx).unwrap();
    }
    assert_eq!(db.all(&table).len(), 100, "dropped without commit");
    db.ddl(Ddl::Truncate(truncate)).unwrap();
    let table = db.table("t");
    assert!(db.all(&table).is_empty());
    db.insert(&table, &[vec![int(1), int(1)]]).unwrap();
    check_index(&db, &table);
}
