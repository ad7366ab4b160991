//! Stock-Level (2.8): how many items of a district's last 20 orders run low. Reads only.

use tokio_postgres::{Client, Statement};

use super::session::{Session, column, prepare};
use super::{Effect, Place};
use crate::Result;
use crate::chance::Chance;

#[derive(Debug, Clone)]
pub struct Input {
    warehouse: i32,
    district: i32,
    threshold: i32,
}

impl Input {
    pub fn draw(place: Place, chance: &mut Chance) -> Input {
        let Place { warehouse, district } = place;
        Input { warehouse, district, threshold: chance.within(10, 20) }
    }
}

pub struct StockLevels {
    next_order: Statement,
    low: Statement,
}

impl StockLevels {
    pub async fn prepare(client: &Client) -> Result<StockLevels> {
        let next_order = "select d_next_o_id from district where d_w_id = $1 and d_id = $2";
        let low = "select count(distinct s_i_id) from order_line join stock on s_i_id = ol_i_id \
                   where ol_w_id = $1 and ol_d_id = $2 and ol_o_id >= $3 and ol_o_id < $4 \
                   and s_w_id = $1 and s_quantity < $5";
        Ok(StockLevels { next_order: prepare(client, next_order).await?, low: prepare(client, low).await? })
    }

    pub async fn execute(&self, s: &Session, input: &Input) -> Result<Effect> {
        let Input { warehouse: w, district: d, threshold } = *input;
        let next: i32 = column(&s.one(&self.next_order, &[&w, &d], "district").await?, 0)?;
        let low = s.one(&self.low, &[&w, &d, &(next - 20), &next, &threshold], "low stocks").await?;
        let _count: i64 = column(&low, 0)?;
        Ok(Effect::Read)
    }
}
