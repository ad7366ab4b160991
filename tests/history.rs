//! Random transactions that append to lists and read them, from several sessions at once; then the history is judged
//! (`tests/src/history.rs`, after Elle).
//!
//! Lists are kept in two ways: as an array in one row, appended to by an upsert, and as rows of their own, read by
//! a range scan, so that phantoms show. `CAIRN_HISTORY=100000` runs so many transactions for each level and way;
//! `CAIRN_HISTORY_URL=postgres://…` runs them against that server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use tests::Server;
use tests::chance::Chance;
use tests::history::{Done, Kind, Level, Op, judge};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const SESSIONS: usize = 8;
/// Lists in use at a time, and transactions until they are others.
const LISTS: i32 = 5;
const TURN: usize = 120;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Array,
    Rows,
}

struct Run {
    history: Vec<Done>,
    finals: BTreeMap<i32, Vec<i32>>,
    refused: usize,
}

fn transactions() -> usize {
    std::env::var("CAIRN_HISTORY").ok().and_then(|n| n.parse().ok()).unwrap_or(1000)
}

async fn target() -> (String, Option<Server>) {
    match std::env::var("CAIRN_HISTORY_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let server = Server::start().await;
            (format!("postgres://postgres@127.0.0.1:{}/postgres", server.port()), Some(server))
        }
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(async move { connection.await.ok() });
    client
}

fn words(level: Level) -> &'static str {
    match level {
        Level::ReadCommitted => "read committed",
        Level::RepeatableRead => "repeatable read",
        Level::Serializable => "serializable",
    }
}

/// The first column of the rows that came.
fn column(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("").to_owned()),
        _ => None,
    });
    rows.collect()
}

fn list_of(way: Way, messages: &[SimpleQueryMessage]) -> Vec<i32> {
    let number = |text: &str| text.parse().expect("a number");
    match way {
        Way::Rows => column(messages).iter().map(|value| number(value)).collect(),
        Way::Array => column(messages).first().map_or(Vec::new(), |array| {
            let inside = array.trim_matches(['{', '}']);
            inside.split(',').filter(|value| !value.is_empty()).map(number).collect()
        }),
    }
}

fn read_sql(way: Way, table: &str, key: i32) -> String {
    match way {
        Way::Array => format!("select v from {table} where k = {key}"),
        Way::Rows => format!("select v from {table} where k = {key} order by pos"),
    }
}

fn append_sql(way: Way, table: &str, key: i32, value: i32) -> String {
    match way {
        Way::Array => format!(
            "insert into {table} values ({key}, array[{value}]) \
             on conflict (k) do update set v = {table}.v || excluded.v"
        ),
        Way::Rows => format!(
            "insert into {table} select {key}, coalesce(max(pos), 0) + 1, {value} from {table} where k = {key}"
        ),
    }
}

async fn session(
    url: String,
    table: String,
    way: Way,
    level: Level,
    most: usize,
    begun: Arc<AtomicUsize>,
    values: Arc<AtomicI32>,
    mut chance: Chance,
) -> Vec<Done> {
    let client = connect(&url).await;
    let mut history = Vec::new();
    loop {
        let number = begun.fetch_add(1, Ordering::Relaxed);
        if number >= most {
            return history;
        }
        let base = (number / TURN) as i32 * LISTS;
        let mut done = Done { ops: Vec::new(), committed: false };
        client.batch_execute(&format!("begin isolation level {}", words(level))).await.expect("begin");
        let mut refused = None;
        for _ in 0..1 + chance.below(5) {
            let key = base + chance.below(LISTS as u64) as i32;
            let result = if chance.below(2) == 0 {
                let value = values.fetch_add(1, Ordering::Relaxed);
                // Noted before it is known to have happened: an error rolls it back.
                done.ops.push(Op::Append { key, value });
                client.simple_query(&append_sql(way, &table, key, value)).await.map(|_| ())
            } else {
                client.simple_query(&read_sql(way, &table, key)).await.map(|messages| {
                    done.ops.push(Op::Read { key, list: list_of(way, &messages) });
                })
            };
            if let Err(error) = result {
                refused = Some(error);
                break;
            }
        }
        if refused.is_none() && chance.below(20) != 0 {
            match client.simple_query("commit").await {
                Ok(_) => done.committed = true,
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = &refused {
            let code = error.code().map_or("", |code| code.code());
            assert!(["40001", "40P01", "23505"].contains(&code), "{error:?}");
            assert!(level != Level::ReadCommitted || code != "40001", "READ COMMITTED gave {error:?}");
        }
        if !done.committed {
            client.batch_execute("rollback").await.expect("rollback");
        }
        history.push(done);
    }
}

async fn run(url: &str, way: Way, level: Level, most: usize) -> Run {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let table = format!("lists_{}_{number}", std::process::id());
    let client = connect(url).await;
    let columns = match way {
        Way::Array => "k int primary key, v int[]",
        Way::Rows => "k int, pos int, v int, primary key (k, pos)",
    };
    let sql = format!("drop table if exists {table}; create table {table} ({columns})");
    client.batch_execute(&sql).await.expect("a table");
    let mut chance = Chance::from_env("CAIRN_HISTORY_SEED");
    let (begun, values) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicI32::new(1)));
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let (url, table) = (url.to_owned(), table.clone());
            tokio::spawn(session(url, table, way, level, most, begun.clone(), values.clone(), chance.split()))
        })
        .collect();
    let mut history = Vec::new();
    for session in sessions {
        history.extend(session.await.expect("a session ends well"));
    }
    let mut finals = BTreeMap::new();
    for key in 0..(most / TURN + 1) as i32 * LISTS {
        let messages = client.simple_query(&read_sql(way, &table, key)).await.expect("a read");
        finals.insert(key, list_of(way, &messages));
    }
    client.batch_execute(&format!("drop table {table}")).await.expect("drop");
    let refused = history.iter().filter(|done| !done.committed).count();
    Run { history, finals, refused }
}

async fn sound(level: Level) {
    let (url, _server) = target().await;
    for way in [Way::Array, Way::Rows] {
        let start = std::time::Instant::now();
        let run = run(&url, way, level, transactions()).await;
        let found = judge(&run.history, &run.finals, level);
        println!(
            "{}, {way:?}: {} transactions, {} not committed, {} anomalies, {:.1} s",
            words(level),
            run.history.len(),
            run.refused,
            found.len(),
            start.elapsed().as_secs_f64()
        );
        let committed = run.history.len() - run.refused;
        assert!(committed * 4 > run.history.len(), "too few transactions commit to show anything");
        let shown: Vec<String> = found.iter().take(3).map(ToString::to_string).collect();
        assert!(found.is_empty(), "{way:?} at {}:\n{}", words(level), shown.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_committed_forbids_g0_and_g1() {
    sound(Level::ReadCommitted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeatable_read_forbids_what_snapshots_forbid() {
    sound(Level::RepeatableRead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serializable_forbids_every_cycle() {
    sound(Level::Serializable).await;
}

/// The judge is no yes-man: what weaker levels let happen it sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_judge_sees_what_weaker_levels_permit() {
    let (url, _server) = target().await;
    for way in [Way::Array, Way::Rows] {
        let weak = run(&url, way, Level::RepeatableRead, 1000).await;
        let found = judge(&weak.history, &weak.finals, Level::Serializable);
        assert!(
            found.iter().any(|anomaly| anomaly.kind == Kind::G2),
            "no write skew at REPEATABLE READ, {way:?}"
        );
        let weaker = run(&url, way, Level::ReadCommitted, 1000).await;
        let found = judge(&weaker.history, &weaker.finals, Level::RepeatableRead);
        let lost = found.iter().any(|anomaly| matches!(anomaly.kind, Kind::NonAdjacent | Kind::Internal));
        assert!(lost, "no read skew at READ COMMITTED, {way:?}");
    }
}
