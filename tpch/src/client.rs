//! A connection to the server under test, over the simple query protocol.
//!
//! Called by `load.rs` and `run.rs`. Results stay the server's text. A connection that broke is made anew
//! at the next statement, so that one query's end does not take the others with it.

use std::io::Cursor;
use std::pin::pin;
use std::time::Duration;

use futures_util::SinkExt as _;
use tokio::sync::mpsc::Receiver;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use crate::answer::Answer;
use crate::data::Chunk;
use crate::{Error, Result};

/// How long a cancelled query may take to end before its connection is given up.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// A server and our session with it.
pub struct Client {
    /// Short name for reports: `cairn`, `postgresql`, …
    pub name: String,
    /// What the server says it is.
    pub version: String,
    config: Config,
    session: tokio_postgres::Client,
}

impl Client {
    /// Connects to a `postgres://` address (or a libpq keyword string).
    pub async fn connect(address: &str) -> Result<Client> {
        let mut config: Config =
            address.parse().map_err(|e| Error(format!("{address}: {}", Error::from(e))))?;
        config.application_name("tpch");
        config.connect_timeout(Duration::from_secs(10));
        let session = open(&config).await.map_err(|e| Error(format!("{address}: {e}")))?;
        let mut client = Client { name: String::new(), version: String::new(), config, session };
        client.version = match client.query("select version()").await {
            Ok(Answer { rows, .. }) => rows.into_iter().flatten().flatten().next().unwrap_or_default(),
            Err(_) => "server of unknown version".to_owned(),
        };
        let word = client.version.split_whitespace().next().unwrap_or("server");
        client.name = if word.eq_ignore_ascii_case("postgresql") && client.version.contains("cairn") {
            "cairn".to_owned()
        } else {
            word.to_ascii_lowercase()
        };
        Ok(client)
    }

    /// Runs one statement and returns its rows, as text.
    pub async fn query(&mut self, sql: &str) -> Result<Answer> {
        self.reopen_if_closed().await?;
        let messages = self.session.simple_query(sql).await?;
        Ok(answer(messages))
    }

    /// The same, cancelled after `limit`.
    pub async fn query_within(&mut self, sql: &str, limit: Duration) -> Result<Answer> {
        self.reopen_if_closed().await?;
        let cancel = self.session.cancel_token();
        let ended = {
            let mut query = pin!(self.session.simple_query(sql));
            match tokio::time::timeout(limit, &mut query).await {
                Ok(result) => return Ok(answer(result?)),
                Err(_) => {
                    // Whether it worked shows in the query itself.
                    let _ = tokio::time::timeout(CANCEL_GRACE, cancel.cancel_query(NoTls)).await;
                    tokio::time::timeout(CANCEL_GRACE, &mut query).await.is_ok()
                }
            }
        };
        // A request that came too late for this query must not cancel the next one.
        self.session = open(&self.config).await?;
        let seconds = limit.as_secs();
        Err(Error(format!("not done within {seconds} s{}", if ended { "" } else { ", and not cancelled" })))
    }

    /// Runs `COPY table FROM STDIN` with the chunks that arrive; calls `sent` with each one's rows and bytes.
    /// Returns the number of rows the server says it stored.
    pub async fn copy(
        &mut self,
        table: &str,
        chunks: &mut Receiver<Chunk>,
        mut sent: impl FnMut(u64, usize),
    ) -> Result<u64> {
        self.reopen_if_closed().await?;
        let sink = self.session.copy_in(&format!("copy {table} from stdin")).await?;
        let mut sink = pin!(sink);
        while let Some(Chunk { bytes, rows }) = chunks.recv().await {
            let size_bytes = bytes.len();
            sink.send(Cursor::new(bytes)).await?;
            sent(rows, size_bytes);
        }
        Ok(sink.finish().await?)
    }

    async fn reopen_if_closed(&mut self) -> Result<()> {
        if self.session.is_closed() {
            self.session = open(&self.config).await?;
        }
        Ok(())
    }
}

async fn open(config: &Config) -> Result<tokio_postgres::Client> {
    let (session, connection) = config.connect(NoTls).await?;
    // Its end shows in `session`: statements fail, and `is_closed` turns true.
    tokio::spawn(async move { connection.await.ok() });
    Ok(session)
}

fn answer(messages: Vec<SimpleQueryMessage>) -> Answer {
    let mut answer = Answer { columns: Vec::new(), rows: Vec::new() };
    for message in messages {
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
    answer
}
