//! Creates the tables, fills them with COPY, indexes and analyzes them.
//!
//! Called by `main.rs`, once per server. One table after another; a thread makes the rows of the next
//! chunks while the server takes this one. Shows on stderr how far it is.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::channel;

use crate::client::Client;
use crate::data::{self, Chunk};
use crate::schema::Table;
use crate::{Error, Result};

/// Chunks made ahead of the server: enough to keep it busy, small in memory (64 KiB each).
const CHUNKS_AHEAD: usize = 16;

/// How long a load took, part by part.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadTime {
    /// CREATE TABLE and COPY.
    pub copy: Duration,
    /// CREATE INDEX.
    pub index: Duration,
    pub analyze: Duration,
    pub rows: u64,
    /// COPY text, as sent.
    pub size_bytes: u64,
}

impl LoadTime {
    pub fn total(&self) -> Duration {
        self.copy + self.index + self.analyze
    }
}

/// Loads everything. The tables must not exist yet.
pub async fn load(client: &mut Client, scale: f64) -> Result<LoadTime> {
    data::prepare();
    let mut time = LoadTime::default();
    for table in Table::ALL {
        let start = Instant::now();
        statement(client, table.create()).await?;
        let mut meter = Meter::new(&client.name, table, scale);
        let rows = copy(client, table, scale, &mut meter).await?;
        meter.done();
        time.copy += start.elapsed();
        time.rows += rows;
        time.size_bytes += meter.size_bytes;
    }
    for sql in Table::ALL.into_iter().flat_map(Table::indexes) {
        let start = Instant::now();
        statement(client, sql).await?;
        time.index += start.elapsed();
        let name = sql.split_whitespace().nth(2).unwrap_or_default();
        eprintln!("{}: index {name}: {:.1} s", client.name, start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    for table in Table::ALL {
        statement(client, &format!("analyze {}", table.name())).await?;
    }
    time.analyze = start.elapsed();
    eprintln!("{}: analyze: {:.1} s", client.name, time.analyze.as_secs_f64());
    Ok(time)
}

async fn statement(client: &mut Client, sql: &str) -> Result<()> {
    client.query(sql).await.map_err(|e| Error(format!("{e}\nin: {sql}")))?;
    Ok(())
}

async fn copy(client: &mut Client, table: Table, scale: f64, meter: &mut Meter) -> Result<u64> {
    let (sender, mut receiver) = channel::<Chunk>(CHUNKS_AHEAD);
    let maker = std::thread::spawn(move || {
        data::generate(table, scale, &mut |chunk| match sender.blocking_send(chunk) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()), // the COPY failed: nobody reads any more
        });
    });
    let stored = client.copy(table.name(), &mut receiver, |rows, bytes| meter.sent(rows, bytes)).await;
    drop(receiver);
    maker.join().map_err(|_| Error::new("the data generator panicked"))?;
    let stored = stored.map_err(|e| Error(format!("copy {} from stdin: {e}", table.name())))?;
    if stored != meter.rows {
        return Err(Error(format!("{}: sent {} rows, the server stored {stored}", table.name(), meter.rows)));
    }
    Ok(stored)
}

/// Checks that the tables are there and hold this scale's rows.
pub async fn verify_loaded(client: &mut Client, scale: f64) -> Result<()> {
    for table in [Table::Nation, Table::Supplier, Table::Customer, Table::Part] {
        let rows = count(client, table).await?;
        let expected = table.expected_rows(scale);
        if rows != expected {
            let name = table.name();
            return Err(Error(format!(
                "table \"{name}\" has {rows} rows, scale {scale} has {expected}: loaded with another --scale?"
            )));
        }
    }
    Ok(())
}

async fn count(client: &mut Client, table: Table) -> Result<u64> {
    let answer = client.query(&format!("select count(*) from {}", table.name())).await?;
    let text = answer.rows.into_iter().flatten().flatten().next().unwrap_or_default();
    text.parse().map_err(|_| Error(format!("count(*) from {} is \"{text}\"", table.name())))
}

/// The first of the eight tables that exists already.
pub async fn existing(client: &mut Client) -> Result<Option<Table>> {
    for table in Table::ALL {
        match client.query(&format!("select 1 from {} limit 1", table.name())).await {
            Ok(_) => return Ok(Some(table)),
            Err(error) if error.0.contains(" 42P01: ") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Drops the eight tables, those that exist.
pub async fn drop_tables(client: &mut Client) -> Result<()> {
    for table in Table::ALL.into_iter().rev() {
        statement(client, &format!("drop table if exists {}", table.name())).await?;
    }
    Ok(())
}

/// What the database occupies on disk; `None` where the server cannot tell.
pub async fn size_on_disk(client: &mut Client) -> Option<u64> {
    if let Some(size) = number(client, "select pg_database_size(current_database())").await {
        return Some(size);
    }
    let mut total = 0;
    for table in Table::ALL {
        total += number(client, &format!("select pg_total_relation_size('{}')", table.name())).await?;
    }
    Some(total)
}

async fn number(client: &mut Client, sql: &str) -> Option<u64> {
    client.query(sql).await.ok()?.rows.into_iter().flatten().flatten().next()?.parse().ok()
}

/// The progress line: redrawn in place on a terminal, otherwise one line now and then.
struct Meter {
    label: String,
    expected: u64,
    rows: u64,
    size_bytes: u64,
    start: Instant,
    drawn: Instant,
    terminal: bool,
}

impl Meter {
    fn new(server: &str, table: Table, scale: f64) -> Meter {
        Meter {
            label: format!("{server}: {:<8}", table.name()),
            expected: table.expected_rows(scale).max(1),
            rows: 0,
            size_bytes: 0,
            start: Instant::now(),
            drawn: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn sent(&mut self, rows: u64, size_bytes: usize) {
        self.rows += rows;
        self.size_bytes += size_bytes as u64;
        let pause = if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(10) };
        if self.drawn.elapsed() >= pause {
            self.drawn = Instant::now();
            let percent = (100 * self.rows / self.expected).min(99);
            self.draw(&format!("{percent:>3} %"), false);
        }
    }

    fn done(&self) {
        self.draw("     ", true);
    }

    fn draw(&self, state: &str, last: bool) {
        let seconds = self.start.elapsed().as_secs_f64();
        let megabytes = self.size_bytes as f64 / 1e6;
        let line = format!(
            "{} {state} {:>12} rows  {megabytes:>9.1} MB  {:>6.1} MB/s  {seconds:>6.1} s",
            self.label,
            self.rows,
            megabytes / seconds.max(1e-9)
        );
        let mut stderr = std::io::stderr().lock();
        // Progress is a courtesy: a closed stderr must not end the load.
        let _ = match (self.terminal, last) {
            (true, false) => write!(stderr, "\r{line}").and_then(|()| stderr.flush()),
            (true, true) => writeln!(stderr, "\r{line}"),
            (false, _) => writeln!(stderr, "{line}"),
        };
    }
}
