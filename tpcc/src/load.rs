//! Creates the tables, fills them with COPY, indexes and analyzes them.
//!
//! Called by `main.rs`, once per server. One table after another; a thread makes the rows of the next
//! chunks while the server takes this one. Shows on stderr how far it is.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::channel;
use tokio_postgres::error::SqlState;

use crate::client::Client;
use crate::data::{self, Chunk};
use crate::scale::Scale;
use crate::schema::{FOREIGN_KEYS, INDEXES, Table};
use crate::{Error, Result};

/// Chunks made ahead of the server: enough to keep it busy, small in memory (64 KiB each).
const CHUNKS_AHEAD: usize = 16;

/// What a load did and how long it took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loaded {
    pub rows: u64,
    /// COPY text, as sent.
    pub size_bytes: u64,
    /// CREATE TABLE and COPY.
    pub copy: Duration,
    /// Everything: copy, indexes, foreign keys, ANALYZE.
    pub total: Duration,
}

/// Loads everything. The tables must not exist yet.
pub async fn load(client: &mut Client, scale: &Scale, seed: u64, foreign_keys: bool) -> Result<Loaded> {
    let start = Instant::now();
    let mut loaded = Loaded::default();
    for table in Table::ALL {
        client.execute(table.create()).await?;
        let mut meter = Meter::new(&client.name, table, scale);
        loaded.rows += copy(client, table, scale, seed, &mut meter).await?;
        meter.done();
        loaded.size_bytes += meter.size_bytes;
    }
    loaded.copy = start.elapsed();
    for sql in INDEXES {
        client.execute(sql).await?;
    }
    if foreign_keys {
        for sql in FOREIGN_KEYS {
            client.execute(sql).await?;
        }
    }
    for table in Table::ALL {
        client.execute(&format!("analyze {}", table.name())).await?;
    }
    loaded.total = start.elapsed();
    Ok(loaded)
}

async fn copy(client: &mut Client, table: Table, scale: &Scale, seed: u64, meter: &mut Meter) -> Result<u64> {
    let (sender, mut receiver) = channel::<Chunk>(CHUNKS_AHEAD);
    let scale = *scale;
    let maker = std::thread::spawn(move || {
        data::generate(table, &scale, seed, &mut |chunk| match sender.blocking_send(chunk) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()), // the COPY failed: nobody reads any more
        });
    });
    let stored = client.copy(table.name(), &mut receiver, |rows, bytes| meter.sent(rows, bytes)).await;
    drop(receiver);
    maker.join().map_err(|_| Error::new("the data generator panicked"))?;
    let name = table.name();
    let stored = stored.map_err(|e| e.within(format!("copy {name} from stdin")))?;
    let expected = if table == Table::OrderLine { meter.rows } else { table.rows(&scale) };
    if stored != meter.rows || stored != expected {
        let sent = meter.rows;
        return Err(Error::new(format!(
            "{name}: sent {sent} of {expected} rows, the server stored {stored}"
        )));
    }
    Ok(stored)
}

/// Checks that the tables are there and were loaded at this scale.
pub async fn verify_loaded(client: &mut Client, scale: &Scale) -> Result<()> {
    for table in [Table::Item, Table::Warehouse, Table::District, Table::Customer] {
        let name = table.name();
        let answer = client.query(&format!("select count(*) from {name}")).await?;
        let text = answer.rows.into_iter().flatten().flatten().next().unwrap_or_default();
        let expected = table.rows(scale);
        if text != expected.to_string() {
            return Err(Error::new(format!(
                "table \"{name}\" has {text} rows, not {expected}: loaded with another --warehouses or --tiny?"
            )));
        }
    }
    Ok(())
}

/// The first of the nine tables that exists already.
pub async fn existing(client: &mut Client) -> Result<Option<Table>> {
    for table in Table::ALL {
        match client.query(&format!("select 1 from {} limit 1", table.name())).await {
            Ok(_) => return Ok(Some(table)),
            Err(error) if error.sqlstate == Some(SqlState::UNDEFINED_TABLE) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Drops the nine tables, those that exist.
pub async fn drop_tables(client: &mut Client) -> Result<()> {
    for table in Table::ALL.into_iter().rev() {
        client.execute(&format!("drop table if exists {}", table.name())).await?;
    }
    Ok(())
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
    fn new(server: &str, table: Table, scale: &Scale) -> Meter {
        Meter {
            label: format!("{server}: {:<10}", table.name()),
            expected: table.rows(scale).max(1),
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
            "{} {state} {:>10} rows  {megabytes:>8.1} MB  {:>6.1} MB/s  {seconds:>6.1} s",
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
