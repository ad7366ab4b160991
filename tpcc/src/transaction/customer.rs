//! Finding a customer by last name: shared by Payment and Order-Status (2.5.2.2, 2.6.2.2).

use tokio_postgres::{Client, Statement};

use super::Who;
use super::session::{Session, column, prepare};
use crate::{Error, Result};

pub struct Customers {
    by_name: Statement,
}

impl Customers {
    pub async fn prepare(client: &Client) -> Result<Customers> {
        let sql =
            "select c_id from customer where c_w_id = $1 and c_d_id = $2 and c_last = $3 order by c_first";
        Ok(Customers { by_name: prepare(client, sql).await? })
    }

    /// The customer's number. Of several with the name, the middle one by first name, rounded up.
    pub(super) async fn find(
        &self,
        session: &Session,
        warehouse: i32,
        district: i32,
        who: &Who,
    ) -> Result<i32> {
        let name = match who {
            Who::Id(id) => return Ok(*id),
            Who::Name(name) => name,
        };
        let rows = session.many(&self.by_name, &[&warehouse, &district, name], "customers by name").await?;
        match rows.get(rows.len().div_ceil(2).saturating_sub(1)) {
            Some(row) => column(row, 0),
            None => Err(Error::new(format!("no customer \"{name}\" in district {warehouse}/{district}"))),
        }
    }
}
