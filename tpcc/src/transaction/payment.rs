//! Payment (2.5): a customer pays; the warehouse, the district and the customer count it.

use std::time::SystemTime;

use tokio_postgres::{Client, Statement};

use super::session::{Session, column, prepare};
use super::{Effect, Place, Who, any_district, other_warehouse};
use crate::Result;
use crate::chance::Chance;
use crate::decimal::Decimal;
use crate::scale::Scale;

/// As long as `c_data` may be.
const DATA_LENGTH: usize = 500;

#[derive(Debug, Clone)]
pub struct Input {
    warehouse: i32,
    district: i32,
    customer_warehouse: i32,
    customer_district: i32,
    who: Who,
    amount: Decimal,
}

impl Input {
    /// 2.5.1: fifteen in a hundred customers pay at a warehouse that is not theirs.
    pub fn draw(place: Place, scale: &Scale, chance: &mut Chance) -> Input {
        let (warehouse, district) = (place.warehouse, any_district(chance));
        let (customer_warehouse, customer_district) = if chance.percent(15) {
            (other_warehouse(warehouse, scale, chance), any_district(chance))
        } else {
            (warehouse, district)
        };
        let who = Who::draw(chance, scale);
        let amount = chance.decimal(100, 500_000, 2);
        Input { warehouse, district, customer_warehouse, customer_district, who, amount }
    }
}

pub struct Payments {
    warehouse: Statement,
    district: Statement,
    customer: Statement,
    pay: Statement,
    pay_with_data: Statement,
    history: Statement,
}

impl Payments {
    pub async fn prepare(client: &Client) -> Result<Payments> {
        let p = |sql| prepare(client, sql);
        Ok(Payments {
            warehouse: p("update warehouse set w_ytd = w_ytd + $1 where w_id = $2 \
                          returning w_name, w_street_1, w_street_2, w_city, w_state, w_zip")
            .await?,
            district: p("update district set d_ytd = d_ytd + $1 where d_w_id = $2 and d_id = $3 \
                         returning d_name, d_street_1, d_street_2, d_city, d_state, d_zip")
            .await?,
            customer: p("select c_first, c_middle, c_last, c_street_1, c_street_2, c_city, c_state, c_zip, \
                         c_phone, c_since, c_credit, c_credit_lim, c_discount, c_balance, c_data \
                         from customer where c_w_id = $1 and c_d_id = $2 and c_id = $3 for update")
            .await?,
            pay: p("update customer set c_balance = c_balance - $1, c_ytd_payment = c_ytd_payment + $1, \
                    c_payment_cnt = c_payment_cnt + 1 where c_w_id = $2 and c_d_id = $3 and c_id = $4")
            .await?,
            pay_with_data: p(
                "update customer set c_balance = c_balance - $1, c_ytd_payment = c_ytd_payment + $1, \
                 c_payment_cnt = c_payment_cnt + 1, c_data = $5 \
                 where c_w_id = $2 and c_d_id = $3 and c_id = $4",
            )
            .await?,
            history: p("insert into history (h_c_id, h_c_d_id, h_c_w_id, h_d_id, h_w_id, h_date, \
                        h_amount, h_data) values ($1, $2, $3, $4, $5, $6, $7, $8)")
            .await?,
        })
    }

    pub async fn execute(&self, s: &Session, input: &Input) -> Result<Effect> {
        let (w, d, amount) = (input.warehouse, input.district, input.amount);
        let (customer_w, customer_d) = (input.customer_warehouse, input.customer_district);
        let warehouse = s.one(&self.warehouse, &[&amount, &w], "update warehouse").await?;
        let district = s.one(&self.district, &[&amount, &w, &d], "update district").await?;
        let c = s.customers.find(s, customer_w, customer_d, &input.who).await?;
        let customer = s.one(&self.customer, &[&customer_w, &customer_d, &c], "customer").await?;
        let (credit, data): (&str, &str) = (column(&customer, 10)?, column(&customer, 14)?);
        if credit == "BC" {
            // 2.5.2.2: bad credit leaves a trace, the newest in front.
            let mut data = format!("{c} {customer_d} {customer_w} {d} {w} {amount}|{data}");
            data.truncate(DATA_LENGTH); // letters and digits: every byte is a character
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&amount, &customer_w, &customer_d, &c, &data];
            s.change(&self.pay_with_data, &values, 1, "update customer").await?;
        } else {
            s.change(&self.pay, &[&amount, &customer_w, &customer_d, &c], 1, "update customer").await?;
        }
        let (warehouse_name, district_name): (&str, &str) = (column(&warehouse, 0)?, column(&district, 0)?);
        let data = format!("{warehouse_name}    {district_name}");
        let now = SystemTime::now();
        s.change(
            &self.history,
            &[&c, &customer_d, &customer_w, &d, &w, &now, &amount, &data],
            1,
            "insert history",
        )
        .await?;
        Ok(Effect::Payment { warehouse: w, district: d, amount })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_as_2_5_1_wants_them() {
        let (mut chance, scale) = (Chance::new(9, 0), Scale::full(3));
        let (mut remote, mut by_name) = (0, 0);
        for _ in 0..20_000 {
            let input = Input::draw(Place { warehouse: 2, district: 1 }, &scale, &mut chance);
            remote += i32::from(input.customer_warehouse != 2);
            by_name += i32::from(matches!(input.who, Who::Name(_)));
            assert!((100..=500_000).contains(&input.amount.units));
        }
        assert!((2_800..3_200).contains(&remote), "{remote} of 20000");
        assert!((11_700..12_300).contains(&by_name), "{by_name} of 20000");
    }
}
