//! New-Order (2.4): an order of 5 to 15 lines, each from a stock. One in a hundred names an unused item
//! and is rolled back.

use std::time::SystemTime;

use tokio_postgres::{Client, Statement};

use super::session::{Session, column, prepare};
use super::{Effect, Order, Place, any_district, other_warehouse};
use crate::chance::Chance;
use crate::decimal::Decimal;
use crate::scale::{DISTRICTS, Scale};
use crate::{Error, Result};

#[derive(Debug, Clone)]
pub struct Input {
    warehouse: i32,
    district: i32,
    customer: i32,
    /// In the order of their stocks' keys, so that two orders lock in the same order; an unused item is last.
    lines: Vec<Line>,
    rolls_back: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    supply_warehouse: i32,
    item: i32,
    quantity: i32,
}

impl Input {
    /// 2.4.1: one line in a hundred comes from another warehouse.
    pub fn draw(place: Place, scale: &Scale, chance: &mut Chance) -> Input {
        let home = place.warehouse;
        let (district, customer) = (any_district(chance), chance.customer(scale.customers));
        let count = chance.within(5, 15);
        let rolls_back = chance.percent(1);
        let mut lines: Vec<Line> = (0..count)
            .map(|_| Line {
                item: chance.item(scale.items),
                supply_warehouse: if chance.percent(1) { other_warehouse(home, scale, chance) } else { home },
                quantity: chance.within(1, 10),
            })
            .collect();
        lines.sort_unstable();
        if let (true, Some(last)) = (rolls_back, lines.last_mut()) {
            last.item = scale.items + 1;
        }
        Input { warehouse: home, district, customer, lines, rolls_back }
    }
}

pub struct NewOrders {
    customer: Statement,
    warehouse: Statement,
    next_order: Statement,
    order: Statement,
    new_order: Statement,
    item: Statement,
    /// One for each district's `s_dist_…`.
    stock: Vec<Statement>,
    take: Statement,
    line: Statement,
}

impl NewOrders {
    pub async fn prepare(client: &Client) -> Result<NewOrders> {
        let mut stock = Vec::new();
        for district in 1..=DISTRICTS {
            let sql = format!(
                "select s_quantity, s_data, s_dist_{district:02} from stock \
                 where s_w_id = $1 and s_i_id = $2 for update"
            );
            stock.push(prepare(client, &sql).await?);
        }
        let p = |sql| prepare(client, sql);
        Ok(NewOrders {
            customer: p("select c_discount, c_last, c_credit from customer \
                         where c_w_id = $1 and c_d_id = $2 and c_id = $3")
            .await?,
            warehouse: p("select w_tax from warehouse where w_id = $1").await?,
            next_order: p("update district set d_next_o_id = d_next_o_id + 1 \
                           where d_w_id = $1 and d_id = $2 returning d_next_o_id - 1, d_tax")
            .await?,
            order: p("insert into orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local) \
                      values ($1, $2, $3, $4, $5, $6, $7)")
            .await?,
            new_order: p("insert into new_order (no_w_id, no_d_id, no_o_id) values ($1, $2, $3)").await?,
            item: p("select i_price, i_name, i_data from item where i_id = $1").await?,
            stock,
            take: p("update stock set s_quantity = $1, s_ytd = s_ytd + $2, \
                     s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + $3 \
                     where s_w_id = $4 and s_i_id = $5")
            .await?,
            line: p("insert into order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, \
                     ol_supply_w_id, ol_quantity, ol_amount, ol_dist_info) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .await?,
        })
    }

    /// `None` where an unused item asks for a rollback.
    pub async fn execute(&self, s: &Session, input: &Input) -> Result<Option<Effect>> {
        let (w, d, c) = (input.warehouse, input.district, input.customer);
        let customer = s.one(&self.customer, &[&w, &d, &c], "customer").await?;
        let (discount, _last, _credit): (Decimal, &str, &str) =
            (column(&customer, 0)?, column(&customer, 1)?, column(&customer, 2)?);
        let warehouse_tax: Decimal = column(&s.one(&self.warehouse, &[&w], "warehouse").await?, 0)?;
        let district = s.one(&self.next_order, &[&w, &d], "district").await?;
        let (order, district_tax): (i32, Decimal) = (column(&district, 0)?, column(&district, 1)?);

        let count = input.lines.len() as i32;
        let all_local = i32::from(input.lines.iter().all(|line| line.supply_warehouse == w));
        let now = SystemTime::now();
        s.change(&self.order, &[&w, &d, &order, &c, &now, &count, &all_local], 1, "insert order").await?;
        s.change(&self.new_order, &[&w, &d, &order], 1, "insert new order").await?;

        let mut total = Decimal::cents(0);
        for (number, line) in (1..).zip(&input.lines) {
            let Some(amount) = self.order_line(s, input, order, number, line).await? else {
                return if input.rolls_back {
                    Ok(None)
                } else {
                    Err(Error::new(format!("item {} is missing", line.item)))
                };
            };
            total += amount;
        }
        // What the terminal would show (2.4.3.3); computed, so that the work is done.
        let taxes = 1.0 + warehouse_tax.to_f64() + district_tax.to_f64();
        std::hint::black_box(total.to_f64() * taxes * (1.0 - discount.to_f64()));
        Ok(Some(Effect::Order(Order { warehouse: w, district: d, order, customer: c, lines: count })))
    }

    /// One line: its amount, or `None` where the item does not exist.
    async fn order_line(
        &self,
        s: &Session,
        input: &Input,
        order: i32,
        number: i32,
        line: &Line,
    ) -> Result<Option<Decimal>> {
        let (w, d) = (input.warehouse, input.district);
        let Line { supply_warehouse, item, quantity } = *line;
        let Some(found) = s.optional(&self.item, &[&item], "item").await? else { return Ok(None) };
        let (price, _name, item_data): (Decimal, &str, &str) =
            (column(&found, 0)?, column(&found, 1)?, column(&found, 2)?);
        let select = self.stock.get(d as usize - 1).ok_or_else(|| Error::new("no such district"))?;
        let stock = s.one(select, &[&supply_warehouse, &item], "stock").await?;
        let (on_hand, stock_data, info): (i32, &str, &str) =
            (column(&stock, 0)?, column(&stock, 1)?, column(&stock, 2)?);
        // 2.4.2.2: at least ten remain, or 91 are added.
        let left = if on_hand >= quantity + 10 { on_hand - quantity } else { on_hand - quantity + 91 };
        let remote = i32::from(supply_warehouse != w);
        s.change(&self.take, &[&left, &quantity, &remote, &supply_warehouse, &item], 1, "update stock")
            .await?;
        std::hint::black_box(item_data.contains("ORIGINAL") && stock_data.contains("ORIGINAL"));
        let amount = Decimal::cents(price.units * i64::from(quantity));
        s.change(
            &self.line,
            &[&w, &d, &order, &number, &item, &supply_warehouse, &quantity, &amount, &info],
            1,
            "insert order line",
        )
        .await?;
        Ok(Some(amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_as_2_4_1_wants_them() {
        let (mut chance, scale) = (Chance::new(9, 0), Scale::full(3));
        let (mut lines, mut remote, mut rolled_back) = (0, 0, 0);
        for _ in 0..20_000 {
            let input = Input::draw(Place { warehouse: 2, district: 1 }, &scale, &mut chance);
            assert!((5..=15).contains(&input.lines.len()));
            assert!((1..=DISTRICTS).contains(&input.district));
            let unused = input.lines.iter().filter(|line| line.item > scale.items).count();
            assert_eq!(unused, usize::from(input.rolls_back));
            rolled_back += unused;
            lines += input.lines.len();
            remote += input.lines.iter().filter(|line| line.supply_warehouse != 2).count();
        }
        assert!((150..250).contains(&rolled_back), "{rolled_back} of 20000");
        assert!((195_000..205_000).contains(&lines), "{lines}");
        assert!((1_800..2_200).contains(&remote), "{remote} of {lines}");
    }
}
