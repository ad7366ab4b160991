//! Order-Status (2.6): a customer's last order, line by line. Reads only.

use std::time::SystemTime;

use tokio_postgres::{Client, Statement};

use super::session::{Session, column, prepare};
use super::{Effect, Place, Who, any_district};
use crate::chance::Chance;
use crate::decimal::Decimal;
use crate::scale::Scale;
use crate::{Error, Result};

#[derive(Debug, Clone)]
pub struct Input {
    warehouse: i32,
    district: i32,
    who: Who,
}

impl Input {
    pub fn draw(place: Place, scale: &Scale, chance: &mut Chance) -> Input {
        let district = any_district(chance);
        Input { warehouse: place.warehouse, district, who: Who::draw(chance, scale) }
    }
}

pub struct OrderStatuses {
    customer: Statement,
    last_order: Statement,
    lines: Statement,
}

impl OrderStatuses {
    pub async fn prepare(client: &Client) -> Result<OrderStatuses> {
        let p = |sql| prepare(client, sql);
        Ok(OrderStatuses {
            customer: p("select c_first, c_middle, c_last, c_balance from customer \
                         where c_w_id = $1 and c_d_id = $2 and c_id = $3")
            .await?,
            last_order: p("select o_id, o_entry_d, o_carrier_id, o_ol_cnt from orders \
                           where o_w_id = $1 and o_d_id = $2 and o_c_id = $3 order by o_id desc limit 1")
            .await?,
            lines: p(
                "select ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d from order_line \
                      where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
            )
            .await?,
        })
    }

    /// The order must have as many lines as it says: it became visible with all of them.
    pub async fn execute(&self, s: &Session, input: &Input) -> Result<Effect> {
        let (w, d) = (input.warehouse, input.district);
        let c = s.customers.find(s, w, d, &input.who).await?;
        let customer = s.one(&self.customer, &[&w, &d, &c], "customer").await?;
        let _balance: Decimal = column(&customer, 3)?;
        // Every customer has one from the population.
        let last = s.one(&self.last_order, &[&w, &d, &c], "last order").await?;
        let (order, _entered, _carrier, count): (i32, SystemTime, Option<i32>, i32) =
            (column(&last, 0)?, column(&last, 1)?, column(&last, 2)?, column(&last, 3)?);
        let lines = s.many(&self.lines, &[&w, &d, &order], "order lines").await?;
        for line in &lines {
            let _amount: Decimal = column(line, 3)?;
            let _delivered: Option<SystemTime> = column(line, 4)?;
        }
        if lines.len() as i32 != count {
            return Err(Error::new(format!(
                "order {w}/{d}/{order} has {} of its {count} lines",
                lines.len()
            )));
        }
        Ok(Effect::Read)
    }
}
