//! What the server acknowledged, and whether it is there.
//!
//! Called by `run.rs`, which writes it, and by `main.rs`, which holds the database against it: after a run, and
//! after a kill. Where a connection broke in the middle of a COMMIT, either answer is right; otherwise
//! everything must be there, and nothing else. So the database must be this run's alone.

use std::collections::BTreeMap;

use crate::client::{Client, Rows};
use crate::transaction::{Delivered, Effect, Order};
use crate::{Error, Result};

/// The most complaints worth reading.
const MOST_COMPLAINTS: usize = 20;

type District = (i32, i32);

#[derive(Debug, Clone, Default)]
pub struct Ledger {
    orders: Vec<Order>,
    /// Hundredths, by where it was paid.
    payments: BTreeMap<District, i64>,
    deliveries: Vec<Delivered>,
    unknown: Vec<Effect>,
}

impl Ledger {
    pub fn acknowledged(&mut self, effect: Effect) {
        match effect {
            Effect::Read => {}
            Effect::Order(order) => self.orders.push(order),
            Effect::Payment { warehouse, district, amount } => {
                *self.payments.entry((warehouse, district)).or_default() += amount.units;
            }
            Effect::Delivery(delivered) => self.deliveries.extend(delivered),
        }
    }

    /// COMMIT was sent, and no answer came.
    pub fn unknown(&mut self, effect: Effect) {
        if effect != Effect::Read {
            self.unknown.push(effect);
        }
    }

    pub fn add(&mut self, other: Ledger) {
        self.orders.extend(other.orders);
        self.deliveries.extend(other.deliveries);
        self.unknown.extend(other.unknown);
        for (district, cents) in other.payments {
            *self.payments.entry(district).or_default() += cents;
        }
    }

    /// How much it holds, for the report: orders, deliveries, transactions of unknown outcome.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.orders.len(), self.deliveries.len(), self.unknown.len())
    }

    fn unknown_orders(&self) -> impl Iterator<Item = &Order> {
        self.unknown
            .iter()
            .filter_map(|effect| if let Effect::Order(order) = effect { Some(order) } else { None })
    }

    fn unknown_payments(&self, of: impl Fn(District) -> bool) -> Vec<i64> {
        let payments = self.unknown.iter().filter_map(|effect| match effect {
            Effect::Payment { warehouse, district, amount } if of((*warehouse, *district)) => {
                Some(amount.units)
            }
            _ => None,
        });
        payments.collect()
    }
}

/// What the database said before the run.
#[derive(Debug, Clone)]
pub struct Before {
    next_order: BTreeMap<District, i32>,
    district_cents: BTreeMap<District, i64>,
    warehouse_cents: BTreeMap<i32, i64>,
}

impl Before {
    pub async fn read(client: &mut Client) -> Result<Before> {
        let (mut next_order, mut district_cents) = (BTreeMap::new(), BTreeMap::new());
        let rows = client.query("select d_w_id, d_id, d_next_o_id, d_ytd from district").await?;
        for row in &rows.rows {
            let district = (number(row, 0)?, number(row, 1)?);
            next_order.insert(district, number(row, 2)?);
            district_cents.insert(district, cents(row, 3)?);
        }
        let mut warehouse_cents = BTreeMap::new();
        for row in &client.query("select w_id, w_ytd from warehouse").await?.rows {
            warehouse_cents.insert(number(row, 0)?, cents(row, 1)?);
        }
        Ok(Before { next_order, district_cents, warehouse_cents })
    }
}

/// Holds the database against what was acknowledged since `before`; returns what is wrong.
pub async fn verify(client: &mut Client, before: &Before, ledger: &Ledger) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut orders: BTreeMap<District, BTreeMap<i32, &Order>> = BTreeMap::new();
    for order in &ledger.orders {
        let district = orders.entry((order.warehouse, order.district)).or_default();
        if let Some(twice) = district.insert(order.order, order) {
            wrong.push(format!("two orders got the same number: {twice:?} and {order:?}"));
        }
    }
    for (&(w, d), &next) in &before.next_order {
        let sql = format!(
            "select o_id, o_c_id, o_ol_cnt from orders where o_w_id = {w} and o_d_id = {d} and o_id >= {next}"
        );
        let acknowledged = orders.remove(&(w, d)).unwrap_or_default();
        check_orders(&client.query(&sql).await?, (w, d), acknowledged, ledger, &mut wrong)?;
    }
    for (w, d) in orders.into_keys() {
        wrong.push(format!("orders of a district that was not there before: {w}/{d}"));
    }
    check_deliveries(client, ledger, &mut wrong).await?;
    check_payments(client, before, ledger, &mut wrong).await?;
    wrong.truncate(MOST_COMPLAINTS);
    Ok(wrong)
}

fn check_orders(
    rows: &Rows,
    (warehouse, district): District,
    mut acknowledged: BTreeMap<i32, &Order>,
    ledger: &Ledger,
    wrong: &mut Vec<String>,
) -> Result<()> {
    for row in &rows.rows {
        let (order, customer, lines) = (number(row, 0)?, number(row, 1)?, number(row, 2)?);
        let found = Order { warehouse, district, order, customer, lines };
        match acknowledged.remove(&order) {
            Some(expected) if *expected == found => {}
            Some(expected) => wrong.push(format!("acknowledged {expected:?}, stored {found:?}")),
            None if ledger.unknown_orders().any(|unknown| *unknown == found) => {}
            None => wrong.push(format!("nobody was told of {found:?}")),
        }
    }
    wrong.extend(acknowledged.values().map(|lost| format!("acknowledged and lost: {lost:?}")));
    Ok(())
}

async fn check_deliveries(client: &mut Client, ledger: &Ledger, wrong: &mut Vec<String>) -> Result<()> {
    let mut by_district: BTreeMap<District, BTreeMap<i32, i32>> = BTreeMap::new();
    for Delivered { warehouse, district, order, carrier } in &ledger.deliveries {
        let orders = by_district.entry((*warehouse, *district)).or_default();
        if orders.insert(*order, *carrier).is_some() {
            wrong.push(format!("order {warehouse}/{district}/{order} was delivered twice"));
        }
    }
    for ((w, d), mut expected) in by_district {
        let sql = format!(
            "select o_id, o_carrier_id from orders \
             where o_w_id = {w} and o_d_id = {d} and o_carrier_id is not null"
        );
        for row in &client.query(&sql).await?.rows {
            let (order, carrier) = (number(row, 0)?, number(row, 1)?);
            if let Some(right) = expected.remove(&order)
                && right != carrier
            {
                wrong.push(format!("order {w}/{d}/{order} was delivered by {right}, stored is {carrier}"));
            }
        }
        wrong
            .extend(expected.keys().map(|o| format!("acknowledged and lost: delivery of order {w}/{d}/{o}")));
    }
    Ok(())
}

async fn check_payments(
    client: &mut Client,
    before: &Before,
    ledger: &Ledger,
    wrong: &mut Vec<String>,
) -> Result<()> {
    let now = Before::read(client).await?;
    for (&(w, d), &was) in &before.district_cents {
        let paid = ledger.payments.get(&(w, d)).copied().unwrap_or_default();
        let is = now.district_cents.get(&(w, d)).copied().unwrap_or_default();
        let open = ledger.unknown_payments(|district| district == (w, d));
        check_sum(&format!("district {w}/{d}"), was + paid, is, &open, wrong);
    }
    for (&w, &was) in &before.warehouse_cents {
        let paid: i64 = ledger.payments.range((w, 0)..(w + 1, 0)).map(|(_, cents)| cents).sum();
        let is = now.warehouse_cents.get(&w).copied().unwrap_or_default();
        let open = ledger.unknown_payments(|(warehouse, _)| warehouse == w);
        check_sum(&format!("warehouse {w}"), was + paid, is, &open, wrong);
    }
    Ok(())
}

/// `is` must be `sure` and some of `open`, each wholly or not at all.
fn check_sum(what: &str, sure: i64, is: i64, open: &[i64], wrong: &mut Vec<String>) {
    if !some_sum_to(is - sure, open) {
        let (sure, is) = (sure as f64 / 100.0, is as f64 / 100.0);
        let open = if open.is_empty() { String::new() } else { format!(" (and perhaps some of {open:?})") };
        wrong.push(format!("{what}: acknowledged payments make {sure:.2}{open}, stored is {is:.2}"));
    }
}

/// Whether some of the numbers make `sum`. They are few: at most one for each client.
fn some_sum_to(sum: i64, numbers: &[i64]) -> bool {
    match numbers {
        _ if sum == 0 => true,
        [] => false,
        // Too many to try them all: only the bounds are checked.
        _ if numbers.len() > 16 => (0..=numbers.iter().sum()).contains(&sum),
        [first, rest @ ..] => some_sum_to(sum, rest) || some_sum_to(sum - first, rest),
    }
}

fn text(row: &[Option<String>], column: usize) -> Result<&str> {
    let value = row.get(column).and_then(Option::as_deref);
    value.ok_or_else(|| Error::new(format!("column {column} is NULL in {row:?}")))
}

fn number(row: &[Option<String>], column: usize) -> Result<i32> {
    let text = text(row, column)?;
    text.parse().map_err(|_| Error::new(format!("not an integer: \"{text}\"")))
}

/// A `numeric(12,2)` in hundredths.
fn cents(row: &[Option<String>], column: usize) -> Result<i64> {
    let text = text(row, column)?;
    let digits = text.split_once('.').filter(|(_, cents)| cents.len() == 2).map(|(a, b)| format!("{a}{b}"));
    let cents = digits.and_then(|digits| digits.parse().ok());
    cents.ok_or_else(|| Error::new(format!("not an amount of money: \"{text}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;

    const A: Order = Order { warehouse: 1, district: 2, order: 3001, customer: 7, lines: 5 };

    fn complaints(stored: &[Order], acknowledged: &[Order], unknown: &[Order]) -> Vec<String> {
        let mut ledger = Ledger::default();
        unknown.iter().for_each(|order| ledger.unknown(Effect::Order(*order)));
        let value = |n: i32| Some(n.to_string());
        let rows = stored.iter().map(|o| vec![value(o.order), value(o.customer), value(o.lines)]).collect();
        let rows = Rows { columns: Vec::new(), rows };
        let expected = acknowledged.iter().map(|order| (order.order, order)).collect();
        let mut wrong = Vec::new();
        check_orders(&rows, (1, 2), expected, &ledger, &mut wrong).unwrap();
        wrong
    }

    #[test]
    fn acknowledged_orders_must_be_there_and_no_others() {
        let (b, other) = (Order { order: 3002, ..A }, Order { customer: 8, ..A });
        assert_eq!(complaints(&[A, b], &[A, b], &[]), Vec::<String>::new());
        assert_eq!(complaints(&[A], &[A], &[b]), Vec::<String>::new());
        assert_eq!(complaints(&[A, b], &[A], &[b]), Vec::<String>::new());
        assert!(complaints(&[A], &[A, b], &[])[0].starts_with("acknowledged and lost"));
        assert!(complaints(&[A, b], &[A], &[])[0].starts_with("nobody was told"));
        assert!(complaints(&[other], &[A], &[])[0].starts_with("acknowledged Order"));
    }

    #[test]
    fn payments_must_add_up() {
        let mut ledger = Ledger::default();
        for amount in [100, 250] {
            let amount = Decimal::cents(amount);
            ledger.acknowledged(Effect::Payment { warehouse: 1, district: 2, amount });
        }
        assert_eq!(ledger.payments[&(1, 2)], 350);
        assert!(some_sum_to(0, &[]) && some_sum_to(0, &[5]) && some_sum_to(8, &[5, 2, 3]));
        assert!(!some_sum_to(1, &[]) && !some_sum_to(-1, &[5]) && !some_sum_to(4, &[5, 2, 3]));
        let mut wrong = Vec::new();
        check_sum("warehouse 1", 30_000_350, 30_000_250, &[], &mut wrong);
        assert_eq!(wrong, ["warehouse 1: acknowledged payments make 300003.50, stored is 300002.50"]);
    }

    #[test]
    fn money_is_read_exactly() {
        let read = |text: &str| cents(&[Some(text.to_owned())], 0);
        assert_eq!(read("300000.00").unwrap(), 30_000_000);
        assert_eq!(read("-10.05").unwrap(), -1_005);
        assert!(read("10").is_err() && read("1e3").is_err());
    }
}
