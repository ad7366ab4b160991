//! The twelve consistency conditions (3.3.2), as queries that return what violates them.
//!
//! Called by `main.rs` after the load, after a run and after a kill. A condition holds when its query returns
//! no row. Rows without their partner in the other table (an order line without an order) violate it too.

use std::time::{Duration, Instant};

use crate::Result;
use crate::client::{Client, Rows};
use crate::scale::Scale;

/// The most violating rows that are fetched.
const MOST_ROWS: usize = 10;

/// One condition.
#[derive(Debug, Clone)]
pub struct Condition {
    pub number: usize,
    /// What must hold.
    pub title: &'static str,
    sql: String,
}

/// What the check of one condition found.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub condition: Condition,
    /// Rows that violate it, at most [`MOST_ROWS`], and whether there are more.
    pub rows: Rows,
    pub more: bool,
    pub time: Duration,
}

impl Verdict {
    pub fn holds(&self) -> bool {
        self.rows.rows.is_empty()
    }
}

/// When the conditions are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing ran yet: all twelve.
    Loaded,
    /// After transactions the eleventh, a property of the population, need not hold any more.
    Used,
}

/// Checks one after the other.
pub async fn check(client: &mut Client, scale: &Scale, moment: Moment) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for condition in all(scale) {
        if condition.number == 11 && moment == Moment::Used {
            continue;
        }
        let start = Instant::now();
        let sql = format!("{}\nlimit {}", condition.sql, MOST_ROWS + 1);
        let answer = client.query(&sql).await;
        let mut rows = answer.map_err(|e| e.within(format!("condition {}", condition.number)))?;
        let more = rows.rows.len() > MOST_ROWS;
        rows.rows.truncate(MOST_ROWS);
        verdicts.push(Verdict { condition, rows, more, time: start.elapsed() });
    }
    Ok(verdicts)
}

fn all(scale: &Scale) -> Vec<Condition> {
    let conditions = [
        (
            "w_ytd = sum(d_ytd)",
            "select w_id, w_ytd, districts from warehouse
             left join (select d_w_id, sum(d_ytd) as districts from district group by d_w_id) d on d_w_id = w_id
             where w_ytd is distinct from districts"
                .to_owned(),
        ),
        (
            "d_next_o_id - 1 = max(o_id) = max(no_o_id)",
            // A district with nothing to deliver has no max(no_o_id).
            "select d_w_id, d_id, d_next_o_id, last_order, last_new_order from district
             left join (select o_w_id, o_d_id, max(o_id) as last_order from orders group by o_w_id, o_d_id) o
               on o_w_id = d_w_id and o_d_id = d_id
             left join (select no_w_id, no_d_id, max(no_o_id) as last_new_order from new_order
                        group by no_w_id, no_d_id) n
               on no_w_id = d_w_id and no_d_id = d_id
             where d_next_o_id - 1 is distinct from last_order or last_new_order <> d_next_o_id - 1"
                .to_owned(),
        ),
        (
            "max(no_o_id) - min(no_o_id) + 1 = rows of new_order, by district",
            "select no_w_id, no_d_id, min(no_o_id), max(no_o_id), count(*) from new_order
             group by no_w_id, no_d_id having max(no_o_id) - min(no_o_id) + 1 <> count(*)"
                .to_owned(),
        ),
        (
            "sum(o_ol_cnt) = rows of order_line, by district",
            "select o_w_id, o_d_id, claimed, ol_w_id, ol_d_id, stored
             from (select o_w_id, o_d_id, sum(o_ol_cnt) as claimed from orders group by o_w_id, o_d_id) o
             full join (select ol_w_id, ol_d_id, count(*) as stored from order_line group by ol_w_id, ol_d_id) l
               on ol_w_id = o_w_id and ol_d_id = o_d_id
             where claimed is distinct from stored"
                .to_owned(),
        ),
        (
            "o_carrier_id is null = there is a row of new_order",
            "select o_w_id, o_d_id, o_id, o_carrier_id, no_w_id, no_d_id, no_o_id from orders
             full join new_order on no_w_id = o_w_id and no_d_id = o_d_id and no_o_id = o_id
             where o_id is null or (o_carrier_id is null) <> (no_o_id is not null)"
                .to_owned(),
        ),
        (
            "o_ol_cnt = rows of order_line, by order",
            "select o_w_id, o_d_id, o_id, o_ol_cnt, ol_w_id, ol_d_id, ol_o_id, stored from orders
             full join (select ol_w_id, ol_d_id, ol_o_id, count(*) as stored from order_line
                        group by ol_w_id, ol_d_id, ol_o_id) l
               on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id
             where o_ol_cnt is distinct from stored"
                .to_owned(),
        ),
        (
            "ol_delivery_d is null = o_carrier_id is null",
            "select ol_w_id, ol_d_id, ol_o_id, ol_number, ol_delivery_d, o_id, o_carrier_id from order_line
             left join orders on o_w_id = ol_w_id and o_d_id = ol_d_id and o_id = ol_o_id
             where o_id is null or (ol_delivery_d is null) <> (o_carrier_id is null)"
                .to_owned(),
        ),
        (
            "w_ytd = sum(h_amount)",
            "select w_id, w_ytd, paid from warehouse
             left join (select h_w_id, sum(h_amount) as paid from history group by h_w_id) h on h_w_id = w_id
             where w_ytd is distinct from paid"
                .to_owned(),
        ),
        (
            "d_ytd = sum(h_amount)",
            "select d_w_id, d_id, d_ytd, paid from district
             left join (select h_w_id, h_d_id, sum(h_amount) as paid from history group by h_w_id, h_d_id) h
               on h_w_id = d_w_id and h_d_id = d_id
             where d_ytd is distinct from paid"
                .to_owned(),
        ),
        (
            "c_balance = sum(ol_amount) of what was delivered - sum(h_amount)",
            format!(
                "select c_w_id, c_d_id, c_id, c_balance, delivered, paid from customer
                 left join ({DELIVERED}) o on o_w_id = c_w_id and o_d_id = c_d_id and o_c_id = c_id
                 left join (select h_c_w_id, h_c_d_id, h_c_id, sum(h_amount) as paid from history
                            group by h_c_w_id, h_c_d_id, h_c_id) h
                   on h_c_w_id = c_w_id and h_c_d_id = c_d_id and h_c_id = c_id
                 where c_balance <> coalesce(delivered, 0) - coalesce(paid, 0)"
            ),
        ),
        (
            "rows of orders - rows of new_order = seven tenths of the customers, by district",
            format!(
                "select d_w_id, d_id, ordered, waiting from district
                 left join (select o_w_id, o_d_id, count(*) as ordered from orders group by o_w_id, o_d_id) o
                   on o_w_id = d_w_id and o_d_id = d_id
                 left join (select no_w_id, no_d_id, count(*) as waiting from new_order
                            group by no_w_id, no_d_id) n
                   on no_w_id = d_w_id and no_d_id = d_id
                 where coalesce(ordered, 0) - coalesce(waiting, 0) <> {}",
                scale.delivered()
            ),
        ),
        (
            "c_balance + c_ytd_payment = sum(ol_amount) of what was delivered",
            format!(
                "select c_w_id, c_d_id, c_id, c_balance, c_ytd_payment, delivered from customer
                 left join ({DELIVERED}) o on o_w_id = c_w_id and o_d_id = c_d_id and o_c_id = c_id
                 where c_balance + c_ytd_payment <> coalesce(delivered, 0)"
            ),
        ),
    ];
    (1..).zip(conditions).map(|(number, (title, sql))| Condition { number, title, sql }).collect()
}

/// By customer: the amounts of delivered order lines.
const DELIVERED: &str = "select o_w_id, o_d_id, o_c_id, sum(ol_amount) as delivered
    from orders join order_line on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id
    where ol_delivery_d is not null group by o_w_id, o_d_id, o_c_id";
