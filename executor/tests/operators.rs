//! Sorts, aggregates, limits, set operations and scans, in memory and spilling.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::{AggregateCall, Expr, Location, registry};
use planner::physical::plan::{
    AggregateOp, IndexScan, KeyRange, KeyScan, Node, Op, SetOpKind, SortKey, Strategy,
};
use support::*;
use types::{DataType, Value};

const INT: DataType = DataType::INT4;

fn key(position: usize, descending: bool) -> SortKey {
    SortKey { expr: Expr::input(position, INT), descending, nulls_first: descending }
}

fn rows(count: usize, keys: u64) -> Vec<Vec<Value>> {
    let mut numbers = Numbers(11);
    (0..count).map(|_| vec![numbers.int(keys), numbers.int(1000)]).collect()
}

fn sorted(rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    // a descending (NULL first), then b ascending: NULL is the largest value.
    let mut rows = rows.to_vec();
    rows.sort_by(|x, y| y[0].cmp(&x[0]).then_with(|| x[1].cmp(&y[1])));
    rows
}

#[test]
fn sorts_in_memory_and_through_runs() {
    let mut db = Database::new();
    let rows = rows(5000, 50);
    let keys = vec![key(0, true), key(1, false)];
    let sort = node(Op::Sort { input: values(&[INT, INT], &rows), keys, presorted: 0 }, &[INT, INT]);
    assert_eq!(db.run(&plan(sort.clone())).unwrap(), sorted(&rows));
    db.work_mem_bytes = 30_000;
    assert_eq!(db.run(&plan(sort)).unwrap(), sorted(&rows));
}

#[test]
fn the_first_of_a_sort_are_the_first_of_all() {
    let db = Database::new();
    let rows = rows(20_000, 1000);
    for (limit, offset) in [(0, 0), (1, 0), (10, 5), (3000, 100), (50_000, 19_990)] {
        let top = Op::TopN {
            input: values(&[INT, INT], &rows),
            keys: vec![key(0, true), key(1, false)],
            limit: Expr::literal(Value::Int64(limit), DataType::INT8),
            offset: Some(Expr::literal(Value::Int64(offset), DataType::INT8)),
        };
        let got = db.run(&plan(node(top, &[INT, INT]))).unwrap();
        let want: Vec<Vec<Value>> =
            sorted(&rows).into_iter().skip(offset as usize).take(limit as usize).collect();
        assert_eq!(got, want, "limit {limit} offset {offset}");
    }
}

#[test]
fn limits_count_rows_and_keep_ties() {
    let db = Database::new();
    let rows: Vec<Vec<Value>> = (0..3000).map(|n| vec![int(n / 7)]).collect();
    let run = |limit: Option<i64>, offset: i64, ties: bool| {
        let number = |n: i64| Expr::literal(Value::Int64(n), DataType::INT8);
        let op = Op::Limit {
            input: values(&[INT], &rows),
            limit: limit.map(number),
            offset: Some(number(offset)),
            with_ties: ties.then(|| vec![key(0, false)]),
        };
        db.run(&plan(node(op, &[INT])))
    };
    assert_eq!(run(Some(10), 1020, false).unwrap(), rows[1020..1030]);
    assert_eq!(run(None, 2990, false).unwrap(), rows[2990..]);
    assert_eq!(run(Some(8), 0, true).unwrap(), rows[..14]);
    assert_eq!(run(Some(1022), 2, true).unwrap(), rows[2..1029]);
    assert_eq!(run(Some(0), 0, false).unwrap(), Vec::<Vec<Value>>::new());
    assert_eq!(run(Some(-1), 0, false).unwrap_err().code(), types::SqlState::INVALID_ROW_COUNT_IN_LIMIT);
}

fn call(name: &str, args: Vec<Expr>) -> AggregateCall {
    let types: Vec<DataType> = args.iter().map(Expr::data_type).collect();
    let function = registry().function(name, &types).or_else(|| registry().function(name, &[DataType::ANY]));
    let function = function.unwrap();
    AggregateCall {
        function,
        args,
        distinct: false,
        order_by: Vec::new(),
        filter: None,
        data_type: function.result,
        location: Location::default(),
    }
}

fn aggregate(
    input: Arc<Node>,
    groups: Vec<Expr>,
    sets: Option<Vec<Vec<usize>>>,
    strategy: Strategy,
) -> Arc<Node> {
    let b = Expr::input(1, INT);
    let mut distinct = call("count", vec![b.clone()]);
    distinct.distinct = true;
    let calls = vec![call("sum", vec![b.clone()]), call("min", vec![b]), distinct];
    let mut types: Vec<DataType> = groups.iter().map(Expr::data_type).collect();
    types.extend(calls.iter().map(|call| call.data_type));
    let op = AggregateOp {
        input,
        groups,
        grouping_sets: sets,
        grouping_calls: Vec::new(),
        calls,
        strategy,
        having: Vec::new(),
    };
    node(Op::Aggregate(op), &types)
}

/// sum, min and count(distinct) of the second column.
fn summary(rows: &[&Vec<Value>]) -> Vec<Value> {
    let present: Vec<i64> = rows.iter().filter_map(|row| row[1].as_i64()).collect();
    let distinct: std::collections::BTreeSet<i64> = present.iter().copied().collect();
    vec![
        if present.is_empty() { Value::Null } else { Value::Int64(present.iter().sum()) },
        present.iter().min().map_or(Value::Null, |&n| int(n as i32)),
        Value::Int64(distinct.len() as i64),
    ]
}

fn grouped(rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let mut groups: BTreeMap<Value, Vec<&Vec<Value>>> = BTreeMap::new();
    rows.iter().for_each(|row| groups.entry(row[0].clone()).or_default().push(row));
    groups.into_iter().map(|(key, rows)| [vec![key], summary(&rows)].concat()).collect()
}

#[test]
fn aggregates_by_hash_by_order_and_through_partitions() {
    let mut db = Database::new();
    let rows = rows(6000, 2500);
    let groups = vec![Expr::input(0, INT)];
    let hashed = aggregate(values(&[INT, INT], &rows), groups.clone(), None, Strategy::Hashed);
    for work_mem_bytes in [64 << 20, 40_000] {
        db.work_mem_bytes = work_mem_bytes;
        let mut got = db.run(&plan(hashed.clone())).unwrap();
        got.sort();
        assert_eq!(got, grouped(&rows), "work_mem {work_mem_bytes}");
    }
    let mut ordered = rows.clone();
    ordered.sort();
    let by_order = aggregate(values(&[INT, INT], &ordered), groups, None, Strategy::Sorted);
    assert_eq!(db.run(&plan(by_order)).unwrap(), grouped(&rows));
}

#[test]
fn an_aggregate_without_groups_has_one_row_even_of_nothing() {
    let db = Database::new();
    let nothing = aggregate(values(&[INT, INT], &[]), Vec::new(), None, Strategy::Plain);
    assert_eq!(db.run(&plan(nothing)).unwrap(), [vec![Value::Null, Value::Null, Value::Int64(0)]]);
    let grouped = aggregate(values(&[INT, INT], &[]), vec![Expr::input(0, INT)], None, Strategy::Hashed);
    assert!(db.run(&plan(grouped)).unwrap().is_empty());
}

#[test]
fn grouping_sets_group_once_per_set() {
    let db = Database::new();
    let rows = rows(500, 6);
    let sets = Some(vec![vec![0], vec![]]);
    let both = aggregate(values(&[INT, INT], &rows), vec![Expr::input(0, INT)], sets, Strategy::Hashed);
    let mut got = db.run(&plan(both)).unwrap();
    got.sort();
    let mut want = grouped(&rows);
    want.push([vec![Value::Null], summary(&rows.iter().collect::<Vec<_>>())].concat());
    want.sort();
    assert_eq!(got, want);
}

#[test]
fn set_operations_count_duplicates_as_the_standard_says() {
    let db = Database::new();
    let side = |numbers: &[i32]| {
        let rows: Vec<Vec<Value>> =
            numbers.iter().map(|&n| vec![if n == 0 { Value::Null } else { int(n) }]).collect();
        values(&[INT], &rows)
    };
    let run = |kind, all| {
        let (left, right) = (side(&[1, 1, 1, 2, 0, 0, 3]), side(&[1, 1, 0, 4]));
        let mut rows = db.run(&plan(node(Op::SetOp { kind, all, left, right }, &[INT]))).unwrap();
        rows.sort();
        rows.into_iter().map(|row| row[0].as_i64().unwrap_or(0)).collect::<Vec<_>>()
    };
    assert_eq!(run(SetOpKind::Intersect, false), [1, 0]);
    assert_eq!(run(SetOpKind::Intersect, true), [1, 1, 0]);
    assert_eq!(run(SetOpKind::Except, false), [2, 3]);
    assert_eq!(run(SetOpKind::Except, true), [1, 2, 3, 0]);
}

fn range(equals: Vec<Expr>, lower: Option<(i32, bool)>, upper: Option<(i32, bool)>) -> KeyRange {
    let bound =
        |bound: Option<(i32, bool)>| bound.map(|(n, inclusive)| (Expr::literal(int(n), INT), inclusive));
    KeyRange { equals, lower: bound(lower), upper: bound(upper), is_null: false }
}

#[test]
fn key_and_index_scans_read_their_ranges_in_order() {
    let mut db = Database::new();
    let columns = [("a", INT), ("b", INT)];
    let table = db.create_table("t", &columns, &[0]);
    let mut index = new_index("t_b", &columns, &[1], false, false);
    index.columns[0].descending = true;
    let create = planner::ddl::CreateIndex {
        table: table.clone(),
        index,
        keys: vec![Expr::input(1, INT)],
        predicate: None,
        concurrently: false,
    };
    db.ddl(planner::ddl::Ddl::CreateIndex(Box::new(create))).unwrap();
    let table = db.table("t");
    let rows: Vec<Vec<Value>> =
        (0..3000).map(|n| vec![int(n), if n % 10 == 3 { Value::Null } else { int(n % 100) }]).collect();
    db.insert(&table, &rows).unwrap();
    let numbers = |rows: Vec<Vec<Value>>| rows.iter().map(|row| row[0].as_i64().unwrap()).collect::<Vec<_>>();

    let pkey = table.indexes.iter().find(|index| index.is_clustered).unwrap().clone();
    let by_key = |ranges: Vec<KeyRange>, backward: bool, filter: Vec<Expr>| {
        let scan = scan_op(&table, filter, false);
        let op = Op::KeyScan(KeyScan { scan, index: pkey.clone(), ranges, backward });
        numbers(db.run(&plan(node(op, &[INT, INT]))).unwrap())
    };
    let literal = |n: i32| Expr::literal(int(n), INT);
    assert_eq!(by_key(vec![range(vec![literal(7)], None, None)], false, vec![]), [7]);
    assert_eq!(by_key(vec![range(vec![literal(7000)], None, None)], false, vec![]), [0i64; 0]);
    let odd_ones = [9, 3, 3, 2999, 5000].map(|n| range(vec![literal(n)], None, None)).to_vec();
    assert_eq!(by_key(odd_ones.clone(), false, vec![]), [3, 9, 2999]);
    assert_eq!(by_key(odd_ones, true, vec![]), [2999, 9, 3]);
    let overlapping = vec![
        range(vec![], Some((10, true)), Some((20, false))),
        range(vec![], Some((15, false)), Some((22, true))),
    ];
    assert_eq!(by_key(overlapping.clone(), false, vec![]), (10..=22).collect::<Vec<i64>>());
    assert_eq!(by_key(overlapping, true, vec![]), (10..=22).rev().collect::<Vec<i64>>());
    let filter = vec![compare("<", Expr::input(1, INT), literal(12), INT)];
    assert_eq!(
        by_key(vec![range(vec![], Some((8, true)), Some((115, true)))], false, filter.clone()),
        [8, 9, 10, 11, 100, 101, 102, 104, 105, 106, 107, 108, 109, 110, 111]
    );

    let by_index = |ranges: Vec<KeyRange>, backward: bool, index_only: bool| {
        let index = table.indexes.iter().find(|index| !index.is_clustered).unwrap().clone();
        let scan = scan_op(&table, Vec::new(), false);
        let op = Op::IndexScan(IndexScan { scan, index, ranges, backward, index_only });
        db.run(&plan(node(op, &[INT, INT]))).unwrap()
    };
    for index_only in [false, true] {
        let got = by_index(vec![range(vec![], Some((97, true)), None)], false, index_only);
        let mut want: Vec<Vec<Value>> =
            rows.iter().filter(|row| row[1] >= int(97) && !row[1].is_null()).cloned().collect();
        want.sort_by(|x, y| y[1].cmp(&x[1]).then_with(|| x[0].cmp(&y[0])));
        assert_eq!(got, want);
        let got = by_index(vec![range(vec![], None, Some((1, false)))], true, index_only);
        assert_eq!(numbers(got), (0..30).rev().map(|n| n * 100).collect::<Vec<i64>>());
        let nulls = KeyRange { equals: vec![], lower: None, upper: None, is_null: true };
        assert_eq!(by_index(vec![nulls], false, index_only).len(), 300);
        assert_eq!(by_index(vec![range(vec![], None, None)], false, index_only).len(), 3000);
    }
}

#[test]
fn a_cancelled_statement_stops_with_57014() {
    let db = Database::new();
    let big = values(&[INT], &(0..5000).map(|n| vec![int(n)]).collect::<Vec<_>>());
    let transaction = db.begin();
    let environment = db.environment(&transaction);
    let cancel = environment.cancel.clone();
    let mut rows = executor::execute(&plan(big), environment).unwrap();
    assert!(rows.next().unwrap().is_some());
    cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(rows.next().unwrap_err().code(), types::SqlState::QUERY_CANCELED);
    assert!(rows.next().unwrap().is_none(), "an execution that failed is over");
}
