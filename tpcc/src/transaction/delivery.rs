//! Delivery (2.7): the oldest undelivered order of each of a warehouse's districts goes out.
//!
//! The specification lets it run deferred from a queue; here it runs at once, as one transaction.

use std::time::SystemTime;

use tokio_postgres::{Client, Statement};

use super::session::{Session, column, prepare};
use super::{Delivered, Effect, Place};
use crate::chance::Chance;
use crate::decimal::Decimal;
use crate::scale::DISTRICTS;
use crate::{Error, Result};

#[derive(Debug, Clone)]
pub struct Input {
    warehouse: i32,
    carrier: i32,
}

impl Input {
    pub fn draw(place: Place, chance: &mut Chance) -> Input {
        Input { warehouse: place.warehouse, carrier: chance.within(1, 10) }
    }
}

pub struct Deliveries {
    oldest: Statement,
    delete: Statement,
    order: Statement,
    lines: Statement,
    total: Statement,
    customer: Statement,
}

impl Deliveries {
    pub async fn prepare(client: &Client) -> Result<Deliveries> {
        let p = |sql| prepare(client, sql);
        Ok(Deliveries {
            oldest: p("select no_o_id from new_order where no_w_id = $1 and no_d_id = $2 \
                       order by no_o_id limit 1 for update")
            .await?,
            delete: p("delete from new_order where no_w_id = $1 and no_d_id = $2 and no_o_id = $3").await?,
            order: p("update orders set o_carrier_id = $4 where o_w_id = $1 and o_d_id = $2 and o_id = $3 \
                      returning o_c_id, o_ol_cnt")
            .await?,
            lines: p("update order_line set ol_delivery_d = $4 \
                      where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3")
            .await?,
            total: p("select sum(ol_amount) from order_line \
                      where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3")
            .await?,
            customer: p(
                "update customer set c_balance = c_balance + $4, c_delivery_cnt = c_delivery_cnt + 1 \
                         where c_w_id = $1 and c_d_id = $2 and c_id = $3",
            )
            .await?,
        })
    }

    /// A district without undelivered orders is skipped (2.7.4.2).
    pub async fn execute(&self, s: &Session, input: &Input) -> Result<Effect> {
        let mut delivered = Vec::new();
        for district in 1..=DISTRICTS {
            if let Some(order) = self.deliver(s, input, district).await? {
                let Input { warehouse, carrier } = *input;
                delivered.push(Delivered { warehouse, district, order, carrier });
            }
        }
        Ok(Effect::Delivery(delivered))
    }

    async fn deliver(&self, s: &Session, input: &Input, d: i32) -> Result<Option<i32>> {
        let w = input.warehouse;
        let Some(oldest) = s.optional(&self.oldest, &[&w, &d], "oldest new order").await? else {
            return Ok(None);
        };
        let o: i32 = column(&oldest, 0)?;
        s.change(&self.delete, &[&w, &d, &o], 1, "delete new order").await?;
        let order = s.one(&self.order, &[&w, &d, &o, &input.carrier], "update order").await?;
        let (customer, count): (i32, i32) = (column(&order, 0)?, column(&order, 1)?);
        let count =
            u64::try_from(count).map_err(|_| Error::new(format!("order {w}/{d}/{o}: {count} lines")))?;
        s.change(&self.lines, &[&w, &d, &o, &SystemTime::now()], count, "update order lines").await?;
        let total = s.one(&self.total, &[&w, &d, &o], "total of the lines").await?;
        let total: Decimal = column(&total, 0)?;
        s.change(&self.customer, &[&w, &d, &customer, &total], 1, "update customer").await?;
        Ok(Some(o))
    }
}
