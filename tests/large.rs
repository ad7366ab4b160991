//! Values far larger than a page: in, out, changed, undone, recovered and gone again, in a bounded memory.
//!
//! `CAIRN_LARGE_MB=500 cargo test --release -p tests --test large` for values of that size; 20 without.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tests::Server;
use tests::chance::Chance;
use tokio_postgres::Client;

fn megabytes() -> usize {
    std::env::var("CAIRN_LARGE_MB").map_or(20, |mb| mb.parse().unwrap())
}

/// The most memory that the server has had, in MiB.
fn peak(server: &Server) -> usize {
    let pid = std::fs::read_to_string(server.data().join("cairn.pid")).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.lines().next().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
}

async fn truth(client: &Client, sql: &str) {
    let answer = client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    assert_eq!(answer.get::<_, Option<bool>>(0), Some(true), "{sql}");
}

async fn refused(client: &Client, sql: &str) {
    let error = client.execute(sql, &[]).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("54000"), "{sql}: {error:?}");
}

fn noise(len: usize) -> Vec<u8> {
    let mut chance = Chance::new(len as u64);
    let mut bytes: Vec<u8> = (0..len / 8 + 1).flat_map(|_| chance.number().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// Prints what the step took, and the most memory so far.
struct Steps<'a>(&'a Server, Instant);

impl Steps<'_> {
    fn done(&mut self, what: &str) {
        println!("{what}: {:.2} s, peak {} MiB", self.1.elapsed().as_secs_f64(), peak(self.0));
        self.1 = Instant::now();
    }
}

#[tokio::test]
async fn large_values() {
    let mb = megabytes();
    let n = mb << 20;
    let mut server = Server::start_with(&["shared_buffers=16MB", "work_mem=4MB"]).await;
    let client = server.client().await;
    client.batch_execute("create table t (id int primary key, v text, b bytea, n int)").await.unwrap();
    let started = peak(&server);
    let mut steps = Steps(&server, Instant::now());

    // One that is made in the server and becomes small.
    client.execute(&format!("insert into t values (1, repeat('x', {n}), null, 0)"), &[]).await.unwrap();
    steps.done("insert of repeat()");
    let size = "select pg_total_relation_size('t')";
    assert!(number(&client, size).await < n as i64 / 50 + 200_000, "repeat() is stored in full");
    truth(&client, &format!("select length(v) = {n} from t where id = 1")).await;
    truth(&client, &format!("select substr(v, {n}, 5) = 'x' and v like 'xx%x' from t")).await;
    truth(&client, &format!("select md5(v) = md5(repeat('x', {n})) from t")).await;
    steps.done("length, substr, md5");
    client.execute("update t set n = n + 1, v = v || 'y' where id = 1", &[]).await.unwrap();
    truth(&client, &format!("select length(v) = {n} + 1 and right(v, 2) = 'xy' and n = 1 from t")).await;
    steps.done("update");

    // One that comes over the wire and does not get smaller.
    let bytes = noise(n);
    client.execute("insert into t values (2, null, $1, 0)", &[&bytes]).await.unwrap();
    steps.done("insert of noise");
    let back = client.query_one("select b from t where id = 2", &[]).await.unwrap();
    assert!(back.get::<_, &[u8]>(0) == bytes);
    drop(back);
    steps.done("read of noise");
    truth(&client, &format!("select length(b) = {n} from t where id = 2")).await;

    // Rollback, and what is left of it.
    let full = number(&client, size).await;
    client.batch_execute("begin").await.unwrap();
    client.execute("update t set b = b || '\\x00', n = 5", &[]).await.unwrap();
    truth(&client, &format!("select length(b) = {n} + 1 from t where id = 2")).await;
    client.batch_execute("savepoint s; delete from t; rollback to s; rollback").await.unwrap();
    steps.done("update and rollback");
    let back = client.query_one("select b, n from t where id = 2", &[]).await.unwrap();
    assert!(back.get::<_, &[u8]>(0) == bytes && back.get::<_, i32>(1) == 0);
    drop(back);
    shrinks(&client, full + 500_000).await;
    steps.done("pages of the rollback back");

    // COPY of a long line, both ways.
    client.batch_execute("create table c (v text)").await.unwrap();
    let line: Vec<u8> = noise(n).iter().map(|byte| b'a' + byte % 26).chain(*b"\n").collect();
    {
        let mut sink = pin!(client.copy_in("copy c from stdin").await.unwrap());
        for part in line.chunks(64 << 10) {
            sink.send(Cursor::new(part.to_vec())).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 1);
    }
    steps.done("copy in");
    let mut out = Vec::new();
    {
        let mut stream = pin!(client.copy_out("copy c to stdout").await.unwrap());
        while let Some(part) = stream.next().await {
            out.extend_from_slice(&part.unwrap());
        }
    }
    assert!(out == line);
    steps.done("copy out");

    // Several at once need no more memory than one or two.
    client
        .execute(
            "insert into t select g, repeat(g::text, $1 / 2), null, 0 from generate_series(11, 18) g",
            &[&(n as i32 / 4)],
        )
        .await
        .unwrap();
    truth(
        &client,
        &format!("select count(*) = 8 and sum(length(v)) = 8 * {} from t where id > 10", n / 4 / 2 * 2),
    )
    .await;
    steps.done("eight at once");

    // What nothing can hold.
    refused(&client, "select repeat('x', 1073741824)").await;
    if mb >= 100 {
        let sql = "insert into t select 3, repeat('x', 1000000000), repeat('y', 100000000)::bytea, 0";
        refused(&client, sql).await;
    }
    truth(&client, "select count(*) = 10 from t").await;
    steps.done("refused");

    let peak = peak(&server);
    println!("{mb} MiB values: peak {peak} MiB, {started} MiB before");
    // The message, the row, the record, the version before: a small multiple, and what the buffers and the log take.
    assert!(peak < started + 200 + 12 * mb, "{peak} MiB");

    // After a crash all is as it was.
    drop(client);
    server.kill();
    let started = Instant::now();
    server.restart().await;
    println!("restart: {:.2} s", started.elapsed().as_secs_f64());
    let client = server.client().await;
    let back = client.query_one("select b from t where id = 2", &[]).await.unwrap();
    assert!(back.get::<_, &[u8]>(0) == bytes);
    drop(back);
    truth(&client, &format!("select md5(v) = md5(repeat('x', {n}) || 'y') from t where id = 1")).await;
    client.execute("delete from t where id <> 1", &[]).await.unwrap();
    truth(&client, "select count(*) = 1 from t").await;
    shrinks(&client, n as i64 / 50 + 500_000).await;
    drop(client);
    assert!(server.terminate().success());
    let check = tests::cairn().arg("check").arg("--data").arg(server.data()).output().unwrap();
    assert!(check.status.success(), "{check:?}");
}

/// Waits until table `t` has no more bytes than `most`.
async fn shrinks(client: &Client, most: i64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let size = number(client, "select pg_total_relation_size('t')").await;
        if size <= most {
            return;
        }
        assert!(Instant::now() < deadline, "t has {size} bytes, not {most}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
