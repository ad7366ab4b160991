//! The connection that loads and checks: simple query protocol, results as the server's text.
//!
//! Called by `load.rs`, `ledger.rs` and `conditions.rs`. The terminals have sessions of their own, with prepared
//! statements (`transaction/session.rs`).

use std::io::Cursor;
use std::pin::pin;
use std::time::Duration;

use futures_util::SinkExt as _;
use tokio::sync::mpsc::Receiver;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use crate::data::Chunk;
use crate::{Error, Result};

/// A server and our session with it.
pub struct Client {
    /// Short name for reports: `cairn`, `postgresql`, …
    pub name: String,
    /// What the server says it is.
    pub version: String,
    pub config: Config,
    session: tokio_postgres::Client,
}

/// Rows as text; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Client {
    /// Connects to a `postgres://` address (or a libpq keyword string).
    pub async fn connect(address: &str) -> Result<Client> {
        let mut config: Config = address.parse().map_err(|e| Error::from(e).within(address))?;
        config.application_name("tpcc");
        config.connect_timeout(Duration::from_secs(10));
        let session = open(&config).await.map_err(|e| e.within(address))?;
        let mut client = Client { name: String::new(), version: String::new(), config, session };
        client.version = match client.query("select version()").await {
            Ok(Rows { rows, .. }) => rows.into_iter().flatten().flatten().next().unwrap_or_default(),
            Err(_) => "server of unknown version".to_owned(),
        };
        let word = client.version.split_whitespace().next().unwrap_or("server");
        client.name =
            if client.version.contains("cairn") { "cairn".to_owned() } else { word.to_ascii_lowercase() };
        Ok(client)
    }

    /// Connects again: to a server that was killed and started anew.
    pub async fn reconnect(&mut self) -> Result<()> {
        self.session = open(&self.config).await?;
        Ok(())
    }

    /// Runs one statement and returns its rows.
    pub async fn query(&mut self, sql: &str) -> Result<Rows> {
        let mut answer = Rows::default();
        for message in self.session.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    answer.columns = columns.iter().map(|column| column.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    answer.rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Runs one statement whose rows nobody wants; its error tells the text.
    pub async fn execute(&mut self, sql: &str) -> Result<()> {
        self.query(sql).await.map_err(|e| Error { text: format!("{e}\nin: {sql}"), ..e })?;
        Ok(())
    }

    /// Runs `COPY table FROM STDIN` with the chunks that arrive; calls `sent` with each one's rows and bytes.
    /// Returns the number of rows the server says it stored.
    pub async fn copy(
        &mut self,
        table: &str,
        chunks: &mut Receiver<Chunk>,
        mut sent: impl FnMut(u64, usize),
    ) -> Result<u64> {
        let sink = self.session.copy_in(&format!("copy {table} from stdin")).await?;
        let mut sink = pin!(sink);
        while let Some(Chunk { bytes, rows }) = chunks.recv().await {
            let size_bytes = bytes.len();
            sink.send(Cursor::new(bytes)).await?;
            sent(rows, size_bytes);
        }
        Ok(sink.finish().await?)
    }
}

/// A session whose connection runs as a task of the current runtime.
pub async fn open(config: &Config) -> Result<tokio_postgres::Client> {
    let (session, connection) = config.connect(NoTls).await?;
    // Its end shows in `session`: statements fail.
    tokio::spawn(async move { connection.await.ok() });
    Ok(session)
}
