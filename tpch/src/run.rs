//! Runs a query on one server or two, and judges what came back.
//!
//! Called by `main.rs`. A time is what the client sees: from sending the statement to holding its last row.
//! With two servers the runs alternate, so that a machine's moods meet both alike.

use std::time::{Duration, Instant};

use crate::answer::{Answer, Expected, check};
use crate::client::Client;
use crate::queries::{Query, Statements};
use crate::{Error, Result};

/// What one server made of one query.
#[derive(Debug, Clone)]
pub struct Side {
    /// One per run that ended well.
    pub times: Vec<Duration>,
    /// The first run's rows; later runs were compared with them.
    pub answer: Result<Answer>,
}

impl Side {
    pub fn best(&self) -> Option<Duration> {
        self.answer.as_ref().ok().and(self.times.iter().min().copied())
    }

    pub fn worst(&self) -> Option<Duration> {
        self.answer.as_ref().ok().and(self.times.iter().max().copied())
    }
}

/// What the check said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Nothing to compare with: no stored answer at this scale, and no second server.
    Unchecked,
    Wrong(String),
    Failed(String),
}

impl Verdict {
    /// Whether it should make the exit status non-zero.
    pub fn is_bad(&self) -> bool {
        matches!(self, Verdict::Wrong(_) | Verdict::Failed(_))
    }
}

/// Runs `query` `runs` times on each server, alternately. A server that failed is not asked again.
pub async fn run(
    query: &Query,
    clients: &mut [Client],
    scale: f64,
    runs: usize,
    timeout: Duration,
) -> Vec<Side> {
    let none = || Side { times: Vec::new(), answer: Err(Error::new("not run")) };
    let mut sides: Vec<Side> = clients.iter().map(|_| none()).collect();
    for i in 0..runs {
        for (client, side) in clients.iter_mut().zip(&mut sides) {
            if i > 0 && side.answer.is_err() {
                continue;
            }
            let statements = query.statements(scale, unique());
            let start = Instant::now();
            let result = execute(client, &statements, timeout).await;
            let elapsed = start.elapsed();
            side.answer = match (result, std::mem::replace(&mut side.answer, Err(Error::new("not run")))) {
                (Ok(first), Err(_)) => Ok(first),
                (Ok(again), Ok(first)) => check(query, &Expected::Rows(first.clone()), &again)
                    .map(|()| first)
                    .map_err(|e| Error(format!("run {} answered otherwise than run 1: {e}", i + 1))),
                (Err(error), _) => Err(error),
            };
            if side.answer.is_ok() {
                side.times.push(elapsed);
            }
        }
    }
    sides
}

/// Creates the view where there is one, selects, drops the view: also when something failed before.
async fn execute(client: &mut Client, statements: &Statements, timeout: Duration) -> Result<Answer> {
    let answer = match &statements.create {
        Some(create) => client.query_within(create, timeout).await,
        None => Ok(Answer { columns: Vec::new(), rows: Vec::new() }),
    };
    let answer = match answer {
        Ok(_) => client.query_within(&statements.select, timeout).await,
        Err(error) => Err(error),
    };
    match &statements.drop {
        Some(drop) => {
            let dropped = client.query_within(drop, timeout).await;
            answer.and_then(|answer| dropped.map(|_| answer))
        }
        None => answer,
    }
}

/// The server's plan for a query, as EXPLAIN ANALYZE tells it.
pub async fn explain(query: &Query, client: &mut Client, scale: f64, timeout: Duration) -> Result<String> {
    let statements = query.statements(scale, unique());
    let select = format!("explain analyze {}", statements.select);
    let answer = execute(client, &Statements { select, ..statements }, timeout).await?;
    let lines: Vec<String> = answer.rows.into_iter().flatten().flatten().collect();
    Ok(lines.join("\n"))
}

fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Judges the first server's answer by the stored one, and by the second server's where there is one.
pub fn judge(query: &Query, sides: &[Side], clients: &[Client], stored: Option<&Expected>) -> Verdict {
    let Some(first) = sides.first() else { return Verdict::Unchecked };
    let answer = match &first.answer {
        Ok(answer) => answer,
        Err(error) => return Verdict::Failed(error.to_string()),
    };
    if let Some(Err(error)) = stored.map(|expected| check(query, expected, answer)) {
        return Verdict::Wrong(error.to_string());
    }
    for (side, client) in sides.iter().zip(clients).skip(1) {
        let other = match &side.answer {
            Ok(other) => other,
            Err(error) => return Verdict::Failed(format!("{}: {error}", client.name)),
        };
        if let Err(error) = check(query, &Expected::Rows(other.clone()), answer) {
            return Verdict::Wrong(format!("{} answers otherwise: {error}", client.name));
        }
    }
    if stored.is_none() && sides.len() < 2 { Verdict::Unchecked } else { Verdict::Right }
}
