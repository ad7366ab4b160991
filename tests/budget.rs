//! Data larger than the memory allowed for it: slower, but right; also after a kill.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::pin::pin;

use futures_util::SinkExt as _;
use tests::Server;
use tests::chance::Chance;
use tokio_postgres::Client;

/// About 50 MB of rows, over a buffer of 8 MB and sorts of 1 MB.
const ROWS: i32 = 200_000;

fn payload(id: i32) -> String {
    let mut chance = Chance::new(id as u64);
    format!("{:016x}{}", chance.number(), "x".repeat(100 + chance.below(200) as usize))
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
}

async fn check(client: &Client) {
    // Every tenth row was deleted, and every third of the others moved to a group of its own.
    let rows = |keep: fn(i32) -> bool| (0..ROWS).filter(|id| id % 10 != 0 && keep(*id)).count() as i64;
    assert_eq!(number(client, "select count(*) from big").await, rows(|_| true));
    assert_eq!(number(client, "select count(*) from big where k = -1").await, rows(|id| id % 3 == 0));
    assert_eq!(number(client, "select count(*) from big where k + 0 = -1").await, rows(|id| id % 3 == 0));
    assert_eq!(
        number(client, "select count(*) from big where k between 5 and 7").await,
        rows(|id| id % 3 != 0 && (5..=7).contains(&(id % 1000)))
    );
    assert_eq!(number(client, "select count(distinct payload) from big").await, rows(|_| true));
    let mut chance = Chance::new(5);
    for _ in 0..200 {
        let id = chance.below(ROWS as u64) as i32;
        let found = client.query_opt("select payload from big where id = $1", &[&id]).await.unwrap();
        let expected = (id % 10 != 0).then(|| payload(id));
        assert_eq!(found.map(|row| row.get::<_, String>(0)), expected, "{id}");
    }
    // A sort and a join that do not fit.
    let sorted = client.query("select payload from big order by payload", &[]).await.unwrap();
    assert_eq!(sorted.len() as i64, rows(|_| true));
    assert!(sorted.windows(2).all(|pair| pair[0].get::<_, &str>(0) <= pair[1].get::<_, &str>(0)));
    assert_eq!(
        number(client, "select count(*) from big a join big b on a.payload = b.payload and a.id = b.id")
            .await,
        rows(|_| true)
    );
}

#[tokio::test]
async fn more_data_than_memory() {
    let mut server = Server::start_with(&["shared_buffers=8MB", "work_mem=1MB"]).await;
    let client = server.client().await;
    client
        .batch_execute("create table big (id int primary key, k int not null, payload text not null)")
        .await
        .unwrap();
    {
        let mut sink = pin!(client.copy_in("copy big from stdin").await.unwrap());
        for part in (0..ROWS).collect::<Vec<_>>().chunks(500) {
            let text: String =
                part.iter().map(|&id| format!("{id}\t{}\t{}\n", id % 1000, payload(id))).collect();
            sink.send(Cursor::new(text.into_bytes())).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), ROWS as u64);
    }
    client.batch_execute("create index big_k on big (k); analyze big").await.unwrap();
    client
        .batch_execute("delete from big where id % 10 = 0; update big set k = -1 where id % 3 = 0")
        .await
        .unwrap();
    check(&client).await;
    // A transaction as large as the table, undone.
    client
        .batch_execute(
            "begin; update big set k = 0, payload = 'gone'; delete from big where id > 1000; rollback",
        )
        .await
        .unwrap();
    check(&client).await;
    server.kill();
    server.restart().await;
    check(&server.client().await).await;
}
