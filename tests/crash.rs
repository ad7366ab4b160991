//! Kill -9 over the wire: what was acknowledged is there, what was not is there wholly or not at all.
//!
//! Writers keep a ledger of what they asked for and what was acknowledged; beside them tables come, change and
//! go (`tests::shapes`), big transactions roll back or never end, and checkpoints are asked for. After each kill
//! the restarted server is compared with what is known, by way of its tables and of its indexes, and
//! `cairn check` looks for leaked pages and entries. `CAIRN_CRASH_ROUNDS` sets the number of kills (500 is a
//! full run), `CAIRN_CRASH_SEED` replays the choices (though not the timing).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::SinkExt as _;
use tests::Server;
use tests::chance::Chance;
use tests::shapes::Shaped;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

const WRITERS: i32 = 4;
/// Tables that come, change and go.
const TABLES: usize = 3;
/// `cairn check` runs on what every so many kills have left.
const VERIFY_EVERY: u32 = 3;
const ACCOUNTS: i32 = 20;
const OPENING_BALANCE: i64 = 1_000;
/// A writer's `recent` rows are those of its last so many commits.
const RECENT: i64 = 10;

const SCHEMA: &str = "
    create table ledger (
        writer int not null, batch bigint not null, line int not null,
        source int not null, target int not null, amount bigint not null, note text,
        primary key (writer, batch, line)
    );
    create index ledger_source on ledger (source);
    create index ledger_target_amount on ledger (target, amount);
    create table account (id int primary key, balance bigint not null);
    create index account_balance on account (balance);
    create table recent (id bigint primary key, writer int not null, payload text);
    create index recent_writer on recent (writer);
    create table bulk (id int primary key, payload text);
    create index bulk_payload on bulk (payload)";

/// One transfer of a batch; what it should look like follows from the batch alone.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    source: i32,
    target: i32,
    amount: i64,
    note: Option<String>,
}

/// A batch's lines, made from its number: the check makes them again.
fn lines_of(writer: i32, batch: i64) -> Vec<Line> {
    let mut chance = Chance::new(((writer as u64) << 40) ^ batch as u64);
    let count = 1 + chance.below(6);
    (0..count)
        .map(|_| {
            let source = chance.below(ACCOUNTS as u64) as i32;
            let target = (source + 1 + chance.below(ACCOUNTS as u64 - 1) as i32) % ACCOUNTS;
            let amount = 1 + chance.below(50) as i64;
            // Mostly short, sometimes longer than half a page.
            let length = if chance.below(20) == 0 { 5_000 } else { chance.below(60) as usize };
            let note =
                (length > 0).then(|| char::from(b'a' + chance.below(26) as u8).to_string().repeat(length));
            Line { source, target, amount, note }
        })
        .collect()
}

/// What one writer knows: batches up to `acknowledged` are committed, `attempted` may be.
#[derive(Debug, Clone, Copy)]
struct Writer {
    id: i32,
    acknowledged: i64,
    attempted: i64,
}

impl Writer {
    /// Commits batch after batch until the server goes away.
    async fn run(mut self, client: Client, stop: Arc<AtomicBool>, mut chance: Chance) -> Writer {
        while !stop.load(Ordering::Relaxed) {
            let batch = self.acknowledged + 1;
            let rolls_back = chance.below(8) == 0;
            if !rolls_back {
                self.attempted = batch;
            }
            match self.transaction(&client, batch, rolls_back).await {
                Ok(()) if rolls_back => {}
                Ok(()) => self.acknowledged = batch,
                Err(error) if error.as_db_error().is_some() && !client.is_closed() => {
                    // A deadlock or the like: nothing happened, and the same batch comes again.
                    let _ = client.batch_execute("rollback").await;
                }
                Err(_) => break,
            }
        }
        self
    }

    async fn transaction(
        &self,
        client: &Client,
        batch: i64,
        rolls_back: bool,
    ) -> Result<(), tokio_postgres::Error> {
        client.batch_execute("begin").await?;
        let lines = lines_of(self.id, batch);
        for (number, line) in lines.iter().enumerate() {
            let number = number as i32;
            let values: [&(dyn ToSql + Sync); 7] =
                [&self.id, &batch, &number, &line.source, &line.target, &line.amount, &line.note];
            client.execute("insert into ledger values ($1, $2, $3, $4, $5, $6, $7)", &values).await?;
        }
        for (account, change) in changes(&lines) {
            client
                .execute("update account set balance = balance + $2 where id = $1", &[&account, &change])
                .await?;
        }
        let id = recent_id(self.id, batch);
        let payload = format!("batch {batch}");
        client.execute("insert into recent values ($1, $2, $3)", &[&id, &self.id, &payload]).await?;
        if batch > RECENT {
            let old = recent_id(self.id, batch - RECENT);
            client.execute("delete from recent where id = $1", &[&old]).await?;
        }
        client.batch_execute(if rolls_back { "rollback" } else { "commit" }).await
    }
}

/// What a batch does to each account, in the accounts' order, so that writers seldom deadlock.
fn changes(lines: &[Line]) -> BTreeMap<i32, i64> {
    let mut changes = BTreeMap::new();
    for line in lines {
        *changes.entry(line.source).or_default() -= line.amount;
        *changes.entry(line.target).or_default() += line.amount;
    }
    changes
}

fn recent_id(writer: i32, batch: i64) -> i64 {
    batch * i64::from(WRITERS) + i64::from(writer)
}

/// Fills `bulk` in transactions of `rows` that never commit: pages must go to disk with them in them. They roll
/// back, which a thread of the server completes; the kill may come before, amid or after that.
async fn never_commits(client: Client, rows: usize) -> Result<(), tokio_postgres::Error> {
    loop {
        client.batch_execute("begin").await?;
        let mut sink = pin!(client.copy_in("copy bulk from stdin").await?);
        for id in 0..rows {
            let row = format!("{id}\t{}\n", "bulk ".repeat(1 + id % 40));
            sink.send(Cursor::new(row.into_bytes())).await?;
        }
        sink.finish().await?;
        client.batch_execute("rollback").await?;
    }
}

async fn checkpoints(client: Client, mut chance: Chance) -> Result<(), tokio_postgres::Error> {
    loop {
        tokio::time::sleep(Duration::from_millis(chance.below(600))).await;
        client.batch_execute("checkpoint").await?;
    }
}

/// Compares the restarted server with the ledger, and moves `acknowledged` on where a commit had reached the
/// disk but not its writer.
async fn check(client: &Client, writers: &mut [Writer]) {
    let mut balances: BTreeMap<i32, i64> = (0..ACCOUNTS).map(|id| (id, OPENING_BALANCE)).collect();
    for writer in writers.iter_mut() {
        let found = client
            .query(
                "select batch, line, source, target, amount, note from ledger where writer = $1 order by batch, line",
                &[&writer.id],
            )
            .await
            .unwrap();
        let mut batches: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
        for row in &found {
            let lines = batches.entry(row.get(0)).or_default();
            assert_eq!(row.get::<_, i32>(1), lines.len() as i32, "{writer:?}: a line is missing");
            let [source, target] = [row.get(2), row.get(3)];
            lines.push(Line { source, target, amount: row.get(4), note: row.get(5) });
        }
        let last = batches.keys().next_back().copied().unwrap_or(0);
        assert!(last >= writer.acknowledged, "{writer:?}: acknowledged, but gone after batch {last}");
        assert!(last <= writer.attempted, "{writer:?}: batch {last} was rolled back or never sent");
        assert_eq!(batches.len() as i64, last, "{writer:?}: a batch in the middle is missing");
        for (batch, lines) in &batches {
            let expected = lines_of(writer.id, *batch);
            assert_eq!(*lines, expected, "{writer:?}: batch {batch} is not what was written");
            for (account, change) in changes(lines) {
                *balances.get_mut(&account).unwrap() += change;
            }
        }
        writer.acknowledged = last;
        writer.attempted = last;

        let recent = client
            .query("select id, payload from recent where writer = $1 order by id", &[&writer.id])
            .await
            .unwrap();
        let recent: Vec<(i64, String)> = recent.iter().map(|row| (row.get(0), row.get(1))).collect();
        let expected: Vec<(i64, String)> = ((last - RECENT).max(0) + 1..=last)
            .map(|batch| (recent_id(writer.id, batch), format!("batch {batch}")))
            .collect();
        assert_eq!(recent, expected, "{writer:?}: recent");
    }
    let found = client.query("select id, balance from account order by id", &[]).await.unwrap();
    let found: BTreeMap<i32, i64> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, balances, "balances do not follow from the ledger");
    assert_eq!(number(client, "select count(*) from bulk").await, 0, "rows that were never committed");
    assert_eq!(
        number(client, "select count(*) from bulk where payload = 'bulk '").await,
        0,
        "their index entries"
    );
    indexes_agree(client).await;
}

fn all_have_got_somewhere(writers: &[Writer], tables: &[Shaped]) -> bool {
    writers.iter().all(|writer| writer.acknowledged > 0) && tables.iter().all(|table| table.steps > 0)
}

/// Each index against its table. Adding zero hides a column from every index.
async fn indexes_agree(client: &Client) {
    // Where the server has these settings, they make sure that the first of each pair uses the index.
    for setting in ["enable_seqscan", "enable_bitmapscan"] {
        let _ = client.batch_execute(&format!("set {setting} = off")).await;
    }
    for id in 0..ACCOUNTS {
        for (by_index, by_table) in [
            ("ledger where source = $", "ledger where source + 0 = $"),
            ("ledger where target = $", "ledger where target + 0 = $"),
            ("ledger where target = $ and amount < 25", "ledger where target + 0 = $ and amount + 0 < 25"),
        ] {
            let [indexed, scanned] = [by_index, by_table]
                .map(|of| format!("select count(*), sum(amount) from {of}").replace('$', &id.to_string()));
            assert_eq!(pair(client, &indexed).await, pair(client, &scanned).await, "{indexed}");
        }
    }
    for (by_index, by_table) in [
        ("account where balance >= 1000", "account where balance + 0 >= 1000"),
        ("account where balance < 1000", "account where balance + 0 < 1000"),
        ("recent where writer >= 0", "recent where writer + 0 >= 0"),
        ("recent where id > 0", "recent where id + 0 > 0"),
        ("ledger where writer >= 0", "ledger where writer + 0 >= 0"),
    ] {
        let [indexed, scanned] = [by_index, by_table].map(|of| format!("select count(*) from {of}"));
        assert_eq!(number(client, &indexed).await, number(client, &scanned).await, "{indexed}");
    }
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
}

/// count(*), and sum() as text: its type is numeric.
async fn pair(client: &Client, sql: &str) -> (i64, Option<String>) {
    let sql = sql.replace("sum(amount)", "sum(amount)::text");
    let row = client.query_one(&sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_minus_nine_loses_nothing_and_keeps_nothing_half() {
    let rounds: u32 =
        std::env::var("CAIRN_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let mut chance = Chance::from_env("CAIRN_CRASH_SEED");
    // A small buffer: uncommitted pages reach the disk, and the log must undo them.
    let mut server = Server::start_with(&["shared_buffers=16MB"]).await;
    let client = server.client().await;
    client.batch_execute(SCHEMA).await.unwrap();
    for id in 0..ACCOUNTS {
        client.execute("insert into account values ($1, $2)", &[&id, &OPENING_BALANCE]).await.unwrap();
    }
    drop(client);
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|id| Writer { id, acknowledged: 0, attempted: 0 }).collect();
    let mut tables: Vec<Shaped> = (0..TABLES).map(|id| Shaped::new(format!("shaped{id}"))).collect();
    let mut round = 0;
    // On a busy machine it may take some more until everybody has got somewhere.
    while round < rounds || round < rounds + 20 && !all_have_got_somewhere(&writers, &tables) {
        round += 1;
        let before: i64 = writers.iter().map(|writer| writer.acknowledged).sum();
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for writer in &writers {
            let client = server.client().await;
            tasks.push(tokio::spawn((*writer).run(client, Arc::clone(&stop), chance.split())));
        }
        let mut shaping = Vec::new();
        for table in &tables {
            let client = server.client().await;
            shaping.push(tokio::spawn(table.clone().run(client, Arc::clone(&stop), chance.split())));
        }
        // In every second round it is still under way at the kill.
        let rows = if round % 2 == 0 { 1_000_000 } else { 1_000 + chance.below(40_000) as usize };
        let bulk = tokio::spawn(never_commits(server.client().await, rows));
        let checkpoints = tokio::spawn(checkpoints(server.client().await, chance.split()));
        tokio::time::sleep(Duration::from_millis(100 + chance.below(900))).await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        bulk.abort();
        checkpoints.abort();
        for (table, task) in tables.iter_mut().zip(shaping) {
            *table = task.await.unwrap();
        }
        for (writer, task) in writers.iter_mut().zip(tasks) {
            *writer = task.await.unwrap();
        }
        // Some recoveries are killed too, at any point of their work.
        for _ in 0..chance.below(3) {
            server.spawn();
            tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
            server.kill();
        }
        if round % VERIFY_EVERY == 0 {
            server.verify();
        }
        server.restart().await;
        let client = server.client().await;
        check(&client, &mut writers).await;
        for table in &mut tables {
            table.check(&client).await;
        }
        let after: i64 = writers.iter().map(|writer| writer.acknowledged).sum();
        let steps: u64 = tables.iter().map(|table| table.steps).sum();
        println!("round {round}: {} commits, {after} and {steps} steps in all", after - before);
    }
    assert!(all_have_got_somewhere(&writers, &tables), "some never committed: {writers:?}, {tables:?}");
    assert!(server.terminate().success());
    server.verify();
    server.restart().await;
    let client = server.client().await;
    check(&client, &mut writers).await;
    for table in &mut tables {
        table.check(&client).await;
    }
}

/// Where `what` begins in the file.
fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("it is in the file")
}

#[tokio::test]
async fn damage_is_refused_with_the_names_of_page_and_table() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let sql = "create table hurt (id int primary key, payload text);
        create table whole as select 1 as a;
        insert into hurt select id, 'needle ' || id from generate_series(1, 100) id;
        create index hurt_payload on hurt (payload)";
    client.batch_execute(sql).await.unwrap();
    drop(client);
    assert!(server.terminate().success());
    server.verify();
    let path = server.data().join("cairn.pages");
    let mut bytes = std::fs::read(&path).unwrap();
    // In the table the payload lies in a row, in the index the row's key follows.
    let at = find(&bytes, b"needle 55");
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let output = tests::cairn().arg("check").arg("--data").arg(server.data()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(told.contains(r#"database "postgres", table "public.hurt": invalid page in page"#), "{told}");
    server.restart().await;
    let client = server.client().await;
    let sql = "select count(*) from hurt where payload || '' <> '' and id + 0 > 0";
    let by_table = client.query(sql, &[]).await;
    let by_index = client.query("select * from hurt where payload = 'needle 55'", &[]).await;
    let error = by_table.err().or(by_index.err()).expect("one of them meets the page");
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "XX001");
    assert!(error.message().contains(r#"of file "cairn.pages" (offset "#), "{error:?}");
    assert_eq!((error.schema(), error.table()), (Some("public"), Some("hurt")));
    assert!(error.detail().unwrap().contains(r#"It belongs to "#), "{error:?}");
    assert_eq!(number(&client, "select count(*) from whole").await, 1);
}
