//! A terminal's session: its statements, prepared once, over the extended protocol.
//!
//! Called by `run.rs` (to open it) and by the five transactions. One Bind, Execute and Sync a statement, BEGIN
//! and COMMIT included: what an application with a driver does.

use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Config, Row, Statement};

use super::customer::Customers;
use super::delivery::Deliveries;
use super::new_order::NewOrders;
use super::order_status::OrderStatuses;
use super::payment::Payments;
use super::stock_level::StockLevels;
use crate::{Error, Result, client};

/// What the transactions ask for in BEGIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    pub fn name(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

pub struct Session {
    client: tokio_postgres::Client,
    begin: Statement,
    commit: Statement,
    rollback: Statement,
    pub(super) customers: Customers,
    pub(super) new_order: NewOrders,
    pub(super) payment: Payments,
    pub(super) order_status: OrderStatuses,
    pub(super) delivery: Deliveries,
    pub(super) stock_level: StockLevels,
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session {
    /// Connects and prepares every statement.
    pub async fn open(config: &Config, isolation: Isolation) -> Result<Session> {
        let client = client::open(config).await?;
        let begin = format!("begin isolation level {}", isolation.name());
        Ok(Session {
            begin: prepare(&client, &begin).await?,
            commit: prepare(&client, "commit").await?,
            rollback: prepare(&client, "rollback").await?,
            customers: Customers::prepare(&client).await?,
            new_order: NewOrders::prepare(&client).await?,
            payment: Payments::prepare(&client).await?,
            order_status: OrderStatuses::prepare(&client).await?,
            delivery: Deliveries::prepare(&client).await?,
            stock_level: StockLevels::prepare(&client).await?,
            client,
        })
    }

    pub async fn begin(&self) -> Result<()> {
        self.client.execute(&self.begin, &[]).await?;
        Ok(())
    }

    pub async fn commit(&self) -> Result<()> {
        self.client.execute(&self.commit, &[]).await?;
        Ok(())
    }

    pub async fn rollback(&self) -> Result<()> {
        self.client.execute(&self.rollback, &[]).await?;
        Ok(())
    }

    /// The statement's only row; `what` is named when there is none or more.
    pub(super) async fn one(&self, statement: &Statement, values: Parameters<'_>, what: &str) -> Result<Row> {
        let found = self.optional(statement, values, what).await?;
        found.ok_or_else(|| Error::new(format!("{what}: no row for {values:?}")))
    }

    /// The statement's row, if any.
    pub(super) async fn optional(
        &self,
        statement: &Statement,
        values: Parameters<'_>,
        what: &str,
    ) -> Result<Option<Row>> {
        let mut rows = self.many(statement, values, what).await?;
        let row = rows.pop();
        if !rows.is_empty() {
            let count = rows.len() + 1;
            return Err(Error::new(format!("{what}: {count} rows instead of one for {values:?}")));
        }
        Ok(row)
    }

    pub(super) async fn many(
        &self,
        statement: &Statement,
        values: Parameters<'_>,
        what: &str,
    ) -> Result<Vec<Row>> {
        self.client.query(statement, values).await.map_err(|e| Error::from(e).within(what))
    }

    /// Runs a statement that must change exactly `rows` rows.
    pub(super) async fn change(
        &self,
        statement: &Statement,
        values: Parameters<'_>,
        rows: u64,
        what: &str,
    ) -> Result<()> {
        let changed =
            self.client.execute(statement, values).await.map_err(|e| Error::from(e).within(what))?;
        if changed != rows {
            return Err(Error::new(format!("{what}: changed {changed} rows instead of {rows}, {values:?}")));
        }
        Ok(())
    }
}

pub(super) async fn prepare(client: &tokio_postgres::Client, sql: &str) -> Result<Statement> {
    client
        .prepare(sql)
        .await
        .map_err(|e| Error { text: format!("{}\nin: {sql}", Error::from(e)), ..Error::new("") })
}

/// A column's value; an error when the server sent another type, or NULL.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T> {
    row.try_get(index).map_err(Error::from)
}
