//! Every join operator against the definition of its kind, over random rows with NULLs.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use expr::Expr;
use planner::physical::plan::{HashJoin, IndexJoin, JoinKind, NestedLoop, Node, Op};
use support::*;
use types::{DataType, Value};

const INT: DataType = DataType::INT4;

/// What the join must yield: rows (a, b) of each side, joined on a = a and, if `residual`, b < b.
fn expected(kind: JoinKind, left: &[Vec<Value>], right: &[Vec<Value>], residual: bool) -> Vec<Vec<Value>> {
    // Some(true), Some(false), or None for unknown.
    let test = |l: &[Value], r: &[Value]| -> Option<bool> {
        if residual {
            match (&l[1], &r[1]) {
                (Value::Null, _) | (_, Value::Null) => return Some(false),
                (x, y) if x >= y => return Some(false),
                _ => {}
            }
        }
        match (&l[0], &r[0]) {
            (Value::Null, _) | (_, Value::Null) => None,
            (x, y) => Some(x == y),
        }
    };
    let nulls = vec![Value::Null; 2];
    let mut out = Vec::new();
    let both = |l: &[Value], r: &[Value]| [l, r].concat();
    for l in left {
        let met: Vec<&Vec<Value>> = right.iter().filter(|r| test(l, r) == Some(true)).collect();
        let unknown = right.iter().any(|r| test(l, r).is_none());
        match kind {
            JoinKind::Inner | JoinKind::Right => out.extend(met.iter().map(|r| both(l, r))),
            JoinKind::Left | JoinKind::Full | JoinKind::Single => {
                out.extend(met.iter().map(|r| both(l, r)));
                if met.is_empty() {
                    out.push(both(l, &nulls));
                }
            }
            JoinKind::Semi if !met.is_empty() => out.push(l.clone()),
            JoinKind::Anti if met.is_empty() => out.push(l.clone()),
            JoinKind::NullAwareAnti if met.is_empty() && !unknown => out.push(l.clone()),
            JoinKind::Mark => {
                let mark = match (met.is_empty(), unknown) {
                    (false, _) => Value::Bool(true),
                    (true, true) => Value::Null,
                    (true, false) => Value::Bool(false),
                };
                out.push(both(l, &[mark]));
            }
            _ => {}
        }
    }
    for r in right {
        let met = left.iter().any(|l| test(l, r) == Some(true));
        match kind {
            JoinKind::Right | JoinKind::Full if !met => out.push(both(&nulls, r)),
            JoinKind::RightSemi if met => out.push(r.clone()),
            JoinKind::RightAnti if !met => out.push(r.clone()),
            _ => {}
        }
    }
    out.sort();
    out
}

fn output_types(kind: JoinKind) -> Vec<DataType> {
    match kind {
        JoinKind::Semi
        | JoinKind::Anti
        | JoinKind::NullAwareAnti
        | JoinKind::RightSemi
        | JoinKind::RightAnti => {
            vec![INT, INT]
        }
        JoinKind::Mark => vec![INT, INT, DataType::BOOL],
        _ => vec![INT; 4],
    }
}

fn residual() -> Expr {
    compare("<", Expr::input(1, INT), Expr::input(3, INT), INT)
}

fn hash_join(kind: JoinKind, left: &Arc<Node>, right: &Arc<Node>, with_residual: bool) -> Arc<Node> {
    node(
        Op::HashJoin(HashJoin {
            kind,
            left: left.clone(),
            right: right.clone(),
            keys: vec![(Expr::input(0, INT), Expr::input(0, INT))],
            residual: if with_residual { vec![residual()] } else { Vec::new() },
            projection: None,
        }),
        &output_types(kind),
    )
}

fn nested_loop(kind: JoinKind, left: &Arc<Node>, right: &Arc<Node>, with_residual: bool) -> Arc<Node> {
    let mut condition = vec![compare("=", Expr::input(0, INT), Expr::input(2, INT), INT)];
    if with_residual {
        condition.push(residual());
    }
    node(
        Op::NestedLoop(NestedLoop {
            kind,
            left: left.clone(),
            right: right.clone(),
            condition,
            parameters: Vec::new(),
        }),
        &output_types(kind),
    )
}

fn rows(numbers: &mut Numbers, count: usize, keys: u64) -> Vec<Vec<Value>> {
    (0..count).map(|_| vec![numbers.int(keys), numbers.int(10)]).collect()
}

const KINDS: [JoinKind; 10] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Semi,
    JoinKind::Anti,
    JoinKind::NullAwareAnti,
    JoinKind::Mark,
    JoinKind::RightSemi,
    JoinKind::RightAnti,
];

#[test]
fn hash_joins_and_nested_loops_yield_what_their_kind_says() {
    let db = Database::new();
    let mut numbers = Numbers(1);
    for (left, right, keys) in
        [(0, 5, 3), (5, 0, 3), (7, 9, 3), (60, 40, 12), (3, 2000, 5), (1500, 2, 5), (90, 90, 2)]
    {
        let left = rows(&mut numbers, left, keys);
        let right = rows(&mut numbers, right, keys);
        let (left_node, right_node) = (values(&[INT, INT], &left), values(&[INT, INT], &right));
        for kind in KINDS {
            for with_residual in [false, true] {
                let want = expected(kind, &left, &right, with_residual);
                for (name, join) in [
                    ("hash", hash_join(kind, &left_node, &right_node, with_residual)),
                    ("loop", nested_loop(kind, &left_node, &right_node, with_residual)),
                ] {
                    let mut got = db.run(&plan(join)).unwrap();
                    got.sort();
                    assert_eq!(got, want, "{name} {kind:?} residual {with_residual}");
                }
            }
        }
    }
}

#[test]
fn hash_joins_that_spill_yield_the_same() {
    let mut db = Database::new();
    db.work_mem_bytes = 20_000;
    let mut numbers = Numbers(7);
    let left = rows(&mut numbers, 3000, 900);
    let right = rows(&mut numbers, 2500, 900);
    let (left_node, right_node) = (values(&[INT, INT], &left), values(&[INT, INT], &right));
    for kind in KINDS {
        for with_residual in [false, true] {
            let mut got = db.run(&plan(hash_join(kind, &left_node, &right_node, with_residual))).unwrap();
            got.sort();
            assert_eq!(
                got,
                expected(kind, &left, &right, with_residual),
                "{kind:?} residual {with_residual}"
            );
        }
    }
}

#[test]
fn a_single_join_refuses_a_second_match() {
    let db = Database::new();
    let left = values(&[INT, INT], &[vec![int(1), int(0)], vec![int(2), int(0)]]);
    let one = values(&[INT, INT], &[vec![int(2), int(5)]]);
    let two = values(&[INT, INT], &[vec![int(2), int(5)], vec![int(2), int(6)]]);
    for make in [hash_join, nested_loop] {
        for with_residual in [false, true] {
            let got = db.run(&plan(make(JoinKind::Single, &left, &one, with_residual))).unwrap();
            assert_eq!(got.len(), 2);
            let error = db.run(&plan(make(JoinKind::Single, &left, &two, with_residual))).unwrap_err();
            assert_eq!(error.code(), types::SqlState::CARDINALITY_VIOLATION);
        }
    }
}

#[test]
fn index_joins_find_matches_by_primary_key_prefix_and_index() {
    let mut db = Database::new();
    let columns = [("a", INT), ("b", INT)];
    let inner = db.create_table("inner_table", &columns, &[0, 1]);
    let index = new_index("inner_b", &columns, &[1], false, false);
    let keys = vec![Expr::input(1, INT)];
    let create =
        planner::ddl::CreateIndex { table: inner.clone(), index, keys, predicate: None, concurrently: false };
    db.ddl(planner::ddl::Ddl::CreateIndex(Box::new(create))).unwrap();
    let inner = db.table("inner_table");
    let inner_rows: Vec<Vec<Value>> = (0..400).map(|n| vec![int(n / 4), int(n % 40)]).collect();
    db.insert(&inner, &inner_rows).unwrap();
    let mut numbers = Numbers(3);
    let left_rows = rows(&mut numbers, 300, 130);
    let left = values(&[INT, INT], &left_rows);
    let secondary = inner.indexes.iter().find(|index| !index.is_clustered).cloned();
    for kind in [JoinKind::Inner, JoinKind::Left, JoinKind::Semi, JoinKind::Anti] {
        for (index, column) in [(None, 0), (secondary.clone(), 1)] {
            for with_residual in [false, true] {
                let join = IndexJoin {
                    kind,
                    left: left.clone(),
                    inner: scan_op(&inner, Vec::new(), false),
                    index: index.clone(),
                    keys: vec![Expr::input(0, INT)],
                    residual: if with_residual {
                        vec![compare("<", Expr::input(1, INT), Expr::input(2 + (1 - column), INT), INT)]
                    } else {
                        Vec::new()
                    },
                };
                let mut got = db.run(&plan(node(Op::IndexJoin(join), &output_types(kind)))).unwrap();
                // The reference joins on the first column: turn the inner rows around for the index on b.
                let turned: Vec<Vec<Value>> = inner_rows
                    .iter()
                    .map(|row| if column == 0 { row.clone() } else { vec![row[1].clone(), row[0].clone()] })
                    .collect();
                if column == 1 && matches!(kind, JoinKind::Inner | JoinKind::Left) {
                    got.iter_mut().for_each(|row| row.swap(2, 3));
                }
                got.sort();
                let want = expected(kind, &left_rows, &turned, with_residual);
                assert_eq!(got, want, "{kind:?} by column {column}, residual {with_residual}");
            }
        }
    }
}
