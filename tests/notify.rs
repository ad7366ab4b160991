//! LISTEN and NOTIFY between sessions.

#![allow(clippy::unwrap_used)]

use std::future::poll_fn;
use std::time::Duration;

use tests::Server;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client};

/// A session, and its notifications as `channel:payload`.
async fn session(server: &Server) -> (Client, UnboundedReceiver<String>) {
    let (client, mut connection) = server.connect().await;
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(n) = message {
                assert!(n.process_id() > 0);
                let _ = sender.send(format!("{}:{}", n.channel(), n.payload()));
            }
        }
    });
    (client, receiver)
}

async fn next(receiver: &mut UnboundedReceiver<String>) -> String {
    tokio::time::timeout(Duration::from_secs(20), receiver.recv())
        .await
        .expect("a notification comes")
        .unwrap()
}

#[tokio::test]
async fn notifications_come_at_commit_once_and_in_order() {
    let server = Server::start().await;
    let (one, mut at_one) = session(&server).await;
    let (two, mut at_two) = session(&server).await;
    one.batch_execute("LISTEN news; LISTEN other").await.unwrap();
    two.batch_execute("LISTEN news").await.unwrap();

    two.batch_execute("BEGIN; NOTIFY news, 'a'; NOTIFY news, 'b'; NOTIFY news, 'a'; SAVEPOINT s; NOTIFY news, 'no'; ROLLBACK TO s; SELECT pg_notify('news', 'c')")
        .await
        .unwrap();
    one.batch_execute("NOTIFY news, 'first'").await.unwrap();
    two.batch_execute("COMMIT").await.unwrap();
    for receiver in [&mut at_one, &mut at_two] {
        for expected in ["news:first", "news:a", "news:b", "news:c"] {
            assert_eq!(next(receiver).await, expected);
        }
    }

    // Rolled back, or never committed: nothing.
    two.batch_execute("BEGIN; NOTIFY news, 'lost'; ROLLBACK; BEGIN; LISTEN other; ROLLBACK").await.unwrap();
    // A listener in a transaction is told at its end.
    one.batch_execute("BEGIN; SELECT 1").await.unwrap();
    two.batch_execute("NOTIFY other; NOTIFY news").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(at_one.try_recv().is_err());
    one.batch_execute("COMMIT").await.unwrap();
    assert_eq!(
        (next(&mut at_one).await, next(&mut at_one).await),
        ("other:".to_string(), "news:".to_string())
    );
    assert_eq!(next(&mut at_two).await, "news:");

    let rows = one.query("SELECT pg_listening_channels()", &[]).await.unwrap();
    let channels: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(channels, ["news", "other"]);
    one.batch_execute("UNLISTEN other").await.unwrap();
    two.batch_execute("UNLISTEN *; NOTIFY other, 'x'; NOTIFY news, 'last'").await.unwrap();
    assert_eq!(next(&mut at_one).await, "news:last");
    assert!(at_two.try_recv().is_err());
    let usage: f64 = one.query_one("SELECT pg_notification_queue_usage()", &[]).await.unwrap().get(0);
    assert_eq!(usage, 0.0);

    for (payload, fits) in [(7999, true), (8000, false)] {
        let result = two.execute("SELECT pg_notify('news', repeat('x', $1))", &[&payload]).await;
        match result {
            Ok(_) => assert!(fits),
            Err(error) => assert_eq!((error.code(), fits), (Some(&SqlState::INVALID_PARAMETER_VALUE), false)),
        }
    }
    assert_eq!(next(&mut at_one).await.len(), "news:".len() + 7999);
}

#[tokio::test]
async fn many_notify_at_once_and_all_see_one_order() {
    let server = Server::start().await;
    let (one, mut at_one) = session(&server).await;
    let (two, mut at_two) = session(&server).await;
    one.batch_execute("LISTEN c").await.unwrap();
    two.batch_execute("LISTEN c").await.unwrap();
    let mut speakers = Vec::new();
    for speaker in 0..4 {
        let client = server.client().await;
        speakers.push(tokio::spawn(async move {
            for number in 0..25 {
                client.batch_execute(&format!("NOTIFY c, '{speaker}-{number}'")).await.unwrap();
            }
        }));
    }
    for speaker in speakers {
        speaker.await.unwrap();
    }
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        first.push(next(&mut at_one).await);
        second.push(next(&mut at_two).await);
    }
    assert_eq!(first, second);
    for speaker in 0..4 {
        let own: Vec<&String> =
            first.iter().filter(|text| text.starts_with(&format!("c:{speaker}-"))).collect();
        let expected: Vec<String> = (0..25).map(|number| format!("c:{speaker}-{number}")).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
}
