//! Broken SQL and broken messages: an error or a closed connection each time, and others are served on.
//!
//! `CAIRN_MUTATIONS` sets how many of each (1,000), `CAIRN_MUTATION_SEED` replays them.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tests::Server;
use tests::chance::Chance;
use tests::raw::{self, Raw};
use tokio::time::timeout;

/// Valid statements to start from: every clause that a mutation might turn into something else.
const STATEMENTS: [&str; 14] = [
    "select a, count(*), sum(b * 2.5) from t where a between 1 and 10 group by a having count(*) > 0 order by 2 desc limit 5",
    "select t.a, u.c from t left join u on t.a = u.a and u.c like 'x%' where t.b is not null or exists (select 1 from u)",
    "insert into t (a, b) values (100 + (random() * 1000000)::int, 'NaN'::numeric), (-5, null)",
    "update t set b = case when a > 3 then b + 1 else 0.001 end where a in (select a from u)",
    "delete from t where a = any (select a + 1 from u) and b <> '12.5'",
    "with x as (select a from t union all select 7), y as (select max(a) as m from x) select * from x, y order by 1",
    "select date '2024-01-31' + interval '1 month', extract(year from timestamp '1999-12-31 23:59:59'), 'é' || $q$text$q$",
    "create table v (a int primary key, b varchar(10) default 'x' not null, check (a > 0), unique (b))",
    "create index w on t (b desc nulls last, a)",
    "select substring('abcdef' from 2 for 3), -(-9223372036854775807), 1e308 * 10, E'\\x41\\n\\u00e9', U&'\\0041'",
    "begin; savepoint s; insert into t values (200, 1); rollback to s; release s; commit",
    "prepare p (int, text) as select $1 + 1, $2 || 'x'; execute p (1, 'y'); deallocate p",
    "explain (costs off) select * from t join u using (a) order by t.b, u.c offset 3",
    "select row_number() over (partition by a % 2 order by b) from t; set work_mem = '1MB'; show work_mem",
];

fn count() -> u64 {
    std::env::var("CAIRN_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

/// Changes, removes, doubles or inserts one to four bytes.
fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() as u64) as usize;
        match chance.below(5) {
            0 if bytes.len() > 1 => {
                bytes.remove(at);
            }
            1 => bytes.insert(at, chance.number() as u8),
            2 => {
                let end = (at + 1 + chance.below(12) as usize).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes[at] = b"()',;\"$.*%-+\\0 "[chance.below(15) as usize],
            _ => bytes[at] = chance.number() as u8,
        }
    }
}

async fn server() -> Server {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .batch_execute(
            "create table t (a int primary key, b numeric); create table u (a int, c text); \
             insert into t values (1, 1.5), (2, 2.5), (3, null); insert into u values (1, 'x'), (2, null)",
        )
        .await
        .unwrap();
    server
}

/// The server lives, and a session that was there before still works.
async fn still_serves(server: &mut Server, witness: &tokio_postgres::Client, what: &str) {
    if let Some(status) = server.ended() {
        panic!("the server ended with {status} after {what}");
    }
    let row = timeout(Duration::from_secs(60), witness.query_one("select 1 + 1", &[])).await;
    let row = row
        .unwrap_or_else(|_| panic!("no answer after {what}"))
        .unwrap_or_else(|e| panic!("{e:?} after {what}"));
    assert_eq!(row.get::<_, i32>(0), 2);
}

#[tokio::test]
async fn mutated_sql_gives_an_error_or_rows() {
    let mut chance = Chance::from_env("CAIRN_MUTATION_SEED");
    let mut server = server().await;
    let witness = server.client().await;
    let mut session = Raw::session(server.port()).await.unwrap().0;
    for i in 0..count() {
        let statement = STATEMENTS[chance.below(STATEMENTS.len() as u64) as usize];
        let mut bytes = statement.as_bytes().to_vec();
        mutate(&mut bytes, &mut chance);
        bytes.retain(|&b| b != 0);
        bytes.push(0);
        let what = format!("mutation {i}: {}", String::from_utf8_lossy(&bytes));
        session.send_bytes(&raw::message('Q', &bytes)).await.unwrap();
        // A mutation may turn a query into COPY or into a long one: then a new session goes on.
        let answer = timeout(Duration::from_secs(20), session.until_ready()).await;
        match answer {
            Ok(Ok(messages)) => {
                for message in messages.iter().filter(|m| m.tag == 'E') {
                    let code = message.field('C').unwrap_or_default();
                    assert_eq!(code.len(), 5, "{what}: {message:?}");
                    assert_ne!(code, "XX000", "an internal error after {what}: {:?}", message.field('M'));
                }
                let reset = session.query("rollback").await;
                assert!(reset.is_ok(), "{what}");
            }
            Ok(Err(error)) => panic!("the connection broke ({error}) after {what}"),
            Err(_) => {
                println!("no end within 20 s: {what}");
                session = Raw::session(server.port()).await.unwrap().0;
            }
        }
        if i % 50 == 0 {
            still_serves(&mut server, &witness, &what).await;
        }
    }
    still_serves(&mut server, &witness, "all mutations").await;
}

#[tokio::test]
async fn mutated_messages_give_an_error_or_a_closed_connection() {
    let mut chance = Chance::from_env("CAIRN_MUTATION_SEED");
    let mut server = server().await;
    let witness = server.client().await;
    let startup = raw::startup(&[("user", "postgres"), ("database", "postgres"), ("application_name", "x")]);
    for i in 0..count() {
        let mut conversation = [
            raw::parse("s", "select a, b from t where a > $1"),
            raw::about('D', 'S', "s"),
            raw::bind("p", "s", &[Some("1")], chance.below(2) as u16),
            raw::about('D', 'P', "p"),
            raw::execute("p", 1),
            raw::about('C', 'P', "p"),
            raw::sync(),
            raw::query("select 'x'; insert into u values (9, 'y')"),
        ]
        .concat();
        let mut greeting = startup.clone();
        if chance.below(4) == 0 {
            mutate(&mut greeting, &mut chance);
        } else {
            mutate(&mut conversation, &mut chance);
        }
        let what = format!("mutation {i}");
        let mut session = Raw::open(server.port()).await.unwrap();
        // Each step may fail: the server is free to hang up.
        let _ = session.send_bytes(&greeting).await;
        let _ = session.send_bytes(&conversation).await;
        let _ = session.send_bytes(&raw::message('X', &[])).await;
        // A mutated length makes the server wait for more; then we are the ones who hang up.
        let _ = timeout(Duration::from_millis(30), async { while session.read().await.is_ok() {} }).await;
        drop(session);
        if i % 50 == 0 {
            still_serves(&mut server, &witness, &what).await;
        }
    }
    still_serves(&mut server, &witness, "all mutations").await;
    let fresh = server.client().await;
    still_serves(&mut server, &fresh, "a new session").await;
}

#[tokio::test]
async fn absurd_first_bytes_are_refused() {
    let mut server = server().await;
    let witness = server.client().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0, 0, 0, 0],
        &[0, 0, 0, 4],
        &[0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        &[0, 0, 0, 8, 0, 2, 0, 0],
        &[0, 0, 0, 9, 0, 3, 0, 0, 0],
        &[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 1],
    ] {
        let mut session = Raw::open(server.port()).await.unwrap();
        let _ = session.send_bytes(bytes).await;
        let answer = timeout(Duration::from_secs(1), session.read()).await;
        if let Ok(Ok(message)) = answer {
            assert_eq!(message.tag, 'E', "{bytes:?}: {message:?}");
        }
        still_serves(&mut server, &witness, &format!("{bytes:?}")).await;
    }
}

#[tokio::test]
async fn depth_is_limited_not_fatal() {
    let mut server = server().await;
    let witness = server.client().await;
    let deep = 20_000;
    for sql in [
        format!("select {}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("select {}1", "- ".repeat(deep)),
        format!("select {}true", "not ".repeat(deep)),
        format!("select 1{}", " + 1".repeat(deep)),
        format!("select {}1{}", "(select ".repeat(deep), ")".repeat(deep)),
        format!("select 1 {}", "union all select 1 ".repeat(deep)),
        format!("select {}1 {}", "case when true then ".repeat(deep), "end ".repeat(deep)),
        format!("select * from t where a in ({})", vec!["1"; 50_000].join(",")),
    ] {
        let start = &sql[..sql.len().min(40)];
        let mut session = Raw::session(server.port()).await.unwrap().0;
        let answer = timeout(Duration::from_secs(60), session.query(&sql)).await;
        let messages =
            answer.unwrap_or_else(|_| panic!("no end: {start}")).unwrap_or_else(|e| panic!("{e}: {start}"));
        for message in messages.iter().filter(|m| m.tag == 'E') {
            // statement_too_complex and its class, or a plain syntax error.
            let code = message.field('C').unwrap_or_default();
            assert!(code.starts_with("54") || code == "42601", "{code}: {start}");
        }
        still_serves(&mut server, &witness, start).await;
    }
}
