//! How long a statement takes from text to tree, and from text to fingerprint.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

const POINT: &str = "SELECT name, balance FROM accounts WHERE id = 4711";
const STOCK: &str = "SELECT s_quantity, s_data, s_dist_01, s_dist_02, s_dist_03, s_dist_04, s_dist_05, s_dist_06, \
    s_dist_07, s_dist_08, s_dist_09, s_dist_10 FROM stock WHERE s_i_id = 12345 AND s_w_id = 17 FOR UPDATE";
const INSERT: &str = "INSERT INTO order_line (ol_o_id, ol_d_id, ol_w_id, ol_number, ol_i_id, ol_supply_w_id, \
    ol_quantity, ol_amount, ol_dist_info) VALUES (3001, 5, 1, 7, 8172, 1, 5, 431.25, 'abcdefghijklmnopqrstuvwx')";
const Q21: &str = "select s_name, count(*) as numwait from supplier, lineitem l1, orders, nation \
    where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey and o_orderstatus = 'F' \
    and l1.l_receiptdate > l1.l_commitdate and exists (select * from lineitem l2 where l2.l_orderkey = l1.l_orderkey \
    and l2.l_suppkey <> l1.l_suppkey) and not exists (select * from lineitem l3 where l3.l_orderkey = l1.l_orderkey \
    and l3.l_suppkey <> l1.l_suppkey and l3.l_receiptdate > l3.l_commitdate) and s_nationkey = n_nationkey \
    and n_name = 'SAUDI ARABIA' group by s_name order by numwait desc, s_name limit 100";

fn parse(c: &mut Criterion) {
    for (name, text) in [("point", POINT), ("stock", STOCK), ("insert", INSERT), ("q21", Q21)] {
        c.bench_function(&format!("parse {name}"), |b| b.iter(|| parser::parse(black_box(text))));
        c.bench_function(&format!("fingerprint {name}"), |b| {
            b.iter(|| parser::fingerprint::fingerprint(black_box(text)));
        });
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
