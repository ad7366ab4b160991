//! The admin port: `/metrics` for Prometheus, `/healthz`, `/readyz`, over plain HTTP.
//!
//! Started by `main.rs` when `admin_address` is set. It shows counts, never data, names or queries, and asks
//! for no password: bind it where only those may reach it who should. One small request, one answer, and the
//! connection is closed; what is longer, slower or stranger than that is turned away.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use types::{Error, Result, SqlState};

use crate::database::Server;
use crate::scheduler::cores::stopped;

/// A request line and its headers may have so many bytes.
const REQUEST_BYTES: usize = 8 << 10;
/// And take so long.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Requests at once; more wait to be accepted.
const AT_ONCE: usize = 16;

/// Opens the port. 58030 when that is not possible.
pub async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::new(SqlState::IO_ERROR, format!("could not open the admin port {address}: {error}"))
            .with_hint("Write --admin HOST:PORT, for example --admin 127.0.0.1:9187.")
    })
}

/// Answers until the server stops; for a moment `/readyz` then says so.
pub async fn run(listener: TcpListener, server: Arc<Server>, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stopping) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (server, stopping) = (Arc::clone(&server), stopping.clone());
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(REQUEST_TIME, serve(stream, &server, &stopping)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("the admin port could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    server: &Server,
    stopping: &watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let answer = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            break answer(&request, server, *stopping.borrow());
        }
        if request.len() > REQUEST_BYTES {
            break response("431 Request Header Fields Too Large", TEXT, "the request is too long\n");
        }
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn answer(request: &[u8], server: &Server, stops: bool) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return response("400 Bad Request", TEXT, "not an HTTP/1 request\n");
    }
    if method != "GET" {
        return response("405 Method Not Allowed", TEXT, "only GET is answered here\n");
    }
    match target.split('?').next().unwrap_or_default() {
        "/healthz" => response("200 OK", TEXT, "ok\n"),
        "/readyz" if stops => response("503 Service Unavailable", TEXT, "shutting down\n"),
        "/readyz" => response("200 OK", TEXT, "ready\n"),
        "/metrics" => response("200 OK", PROMETHEUS, &metrics(server)),
        _ => response("404 Not Found", TEXT, "there are /metrics, /healthz and /readyz\n"),
    }
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn metrics(server: &Server) -> String {
    let mut out = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: &[(&str, f64)]| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let up_seconds = (crate::now() - server.start_time) as f64 / 1e6;
    metric("cairn_uptime_seconds", "gauge", "Seconds since the server started.", &[("", up_seconds)]);
    let mut states = [
        ("{state=\"active\"}", 0.0),
        ("{state=\"idle\"}", 0.0),
        ("{state=\"idle in transaction\"}", 0.0),
        ("{state=\"idle in transaction (aborted)\"}", 0.0),
    ];
    for session in server.sessions() {
        let at = match session.activity.lock().state {
            "active" => 0,
            "idle in transaction" => 2,
            "idle in transaction (aborted)" => 3,
            _ => 1,
        };
        states[at].1 += 1.0;
    }
    metric("cairn_sessions", "gauge", "Sessions by what they are doing.", &states);
    let limit = server.settings.integer("max_connections") as f64;
    metric("cairn_max_connections", "gauge", "Sessions there may be.", &[("", limit)]);
    let cache = server.plan_cache.stats();
    let store = server.store.stats();
    let counts = [
        ("cairn_commits_total", "Transactions committed.", store.commits),
        ("cairn_rollbacks_total", "Transactions rolled back.", store.rollbacks),
        ("cairn_buffer_hits_total", "Pages found in the buffer pool.", store.buffer_hits),
        ("cairn_buffer_misses_total", "Pages read from disk.", store.buffer_misses),
        ("cairn_log_flushes_total", "Flushes of the write-ahead log.", store.log_flushes),
        ("cairn_log_bytes_total", "Bytes of write-ahead log ever written, about.", store.log_end),
        ("cairn_checkpoints_total", "Checkpoints made.", store.checkpoints),
        ("cairn_plan_cache_hits_total", "Plans found in the shared cache.", cache.hits),
        ("cairn_plan_cache_misses_total", "Plans looked for and not found.", cache.misses),
        ("cairn_plan_cache_evictions_total", "Plans that made room for others.", cache.evictions),
        (
            "cairn_plan_cache_invalidations_total",
            "Plans dropped since the schema changed.",
            cache.invalidations,
        ),
    ];
    for (name, help, value) in counts {
        metric(name, "counter", help, &[("", value as f64)]);
    }
    metric("cairn_plan_cache_entries", "gauge", "Plans in the shared cache.", &[("", cache.entries as f64)]);
    let waiting = server.store.locks().iter().filter(|lock| !lock.granted).count();
    metric("cairn_locks_waited_for", "gauge", "Locks that somebody waits for.", &[("", waiting as f64)]);
    if let Ok(bytes) = server.store.size_bytes() {
        metric("cairn_store_size_bytes", "gauge", "Bytes of pages and log on disk.", &[("", bytes as f64)]);
    }
    out
}
