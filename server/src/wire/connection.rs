//! One connection from its first byte to its last: startup, then messages until it ends.
//!
//! Runs as a task on its core. Waits for the socket here, asynchronously; hands whole messages to a
//! statement coroutine (`scheduler/coroutine.rs`), which does the rest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use types::{Error, Result, SqlState};

use crate::database::Server;
use crate::login::tls::Tls;
use crate::scheduler::cores::stopped;
use crate::scheduler::coroutine::{self, CancelFlag, Transport};
use crate::session::{Session, StartupParameters};
use crate::wire::auth;
use crate::wire::encode::{self, Severity};
use crate::wire::message::{self, Startup};
use crate::wire::query::{self, Exchange, Next};

/// Read from the socket at most this much at once.
const READ_BYTES: usize = 64 << 10;

/// A TCP or Unix-domain socket, in clear or under TLS.
pub enum Socket<S> {
    Clear(S),
    Encrypted {
        stream: Box<TlsStream<S>>,
        /// What SCRAM-SHA-256-PLUS binds to.
        certificate_hash: Option<Vec<u8>>,
    },
    /// The handshake has failed.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Socket::Encrypted { .. })
    }

    pub fn certificate_hash(&self) -> Option<Vec<u8>> {
        match self {
            Socket::Encrypted { certificate_hash, .. } => certificate_hash.clone(),
            _ => None,
        }
    }

    /// The client's certificate, which the handshake has verified.
    pub fn client_certificate(&self) -> Option<Vec<u8>> {
        match self {
            Socket::Encrypted { stream, .. } => {
                let (_, session) = stream.get_ref();
                session.peer_certificates()?.first().map(|certificate| certificate.to_vec())
            }
            _ => None,
        }
    }

    /// Clear → TLS, after the client was told `S`.
    async fn encrypt(&mut self, tls: &Tls) -> std::io::Result<()> {
        if let Socket::Clear(stream) = std::mem::replace(self, Socket::Broken) {
            let stream = Box::new(tls.acceptor.accept(stream).await?);
            *self = Socket::Encrypted { stream, certificate_hash: tls.certificate_hash.clone() };
        }
        Ok(())
    }

    async fn shutdown(&mut self) {
        let _ = match self {
            Socket::Clear(stream) => stream.shutdown().await,
            Socket::Encrypted { stream, .. } => stream.shutdown().await,
            Socket::Broken => Ok(()),
        };
    }
}

fn broken() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for Socket<S> {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Socket::Clear(stream) => stream.write_all(bytes).await,
            Socket::Encrypted { stream, .. } => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Socket::Broken => Err(broken()),
        }
    }

    async fn read(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
        buffer.reserve(READ_BYTES.min(buffer.len().max(8 << 10)));
        match self {
            Socket::Clear(stream) => stream.read_buf(buffer).await,
            Socket::Encrypted { stream, .. } => stream.read_buf(buffer).await,
            Socket::Broken => Err(broken()),
        }
    }
}

/// Serves one client until it leaves, misbehaves, or the server stops.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    server: Arc<Server>,
    stream: S,
    peer: Option<SocketAddr>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut socket = Socket::Clear(stream);
    let mut input = Vec::new();
    let seconds = server.settings.integer("authentication_timeout");
    let timeout = Duration::from_secs(u64::try_from(seconds).unwrap_or(60));
    let startup = tokio::time::timeout(timeout, async {
        let _arrival = server.arrive()?;
        start(&server, &mut socket, &mut input, peer).await
    });
    let startup = startup.await;
    let exchange = match startup {
        Ok(Ok(Some(exchange))) => exchange,
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => {
            let mut out = Vec::new();
            encode::error(&mut out, Severity::Fatal, &error, None);
            let _ = socket.write(&out).await;
            socket.shutdown().await;
            return;
        }
    };
    let (mut exchange, slot) = exchange;
    let handle = Arc::clone(exchange.session.handle());
    tracing::debug!(pid = handle.process_id, user = handle.user, database = handle.database, "connected");
    loop {
        match wait_for_input(&mut exchange, &mut socket, &mut stopping).await {
            Input::Arrived => {}
            Input::Notified => {
                if exchange.send_notifications() {
                    let sent = socket.write(&exchange.output).await;
                    exchange.output.clear();
                    if sent.is_err() {
                        break;
                    }
                }
                continue;
            }
            Input::Gone => break,
            Input::End(error) => {
                let mut out = Vec::new();
                encode::error(&mut out, Severity::Fatal, &error, None);
                let _ = socket.write(&out).await;
                break;
            }
        }
        let cancel = Arc::clone(&handle.cancel);
        let work = move |link: &coroutine::Link| {
            let next = exchange.serve(link);
            (exchange, next)
        };
        match run_guarded(cancel, &mut socket, work).await {
            Some((returned, Next::Read)) => exchange = returned,
            Some((returned, Next::Close)) => {
                exchange = returned;
                break;
            }
            None => return,
        }
    }
    finish(exchange, &mut socket).await;
    drop(slot);
    tracing::debug!(pid = handle.process_id, "disconnected");
}

/// Rolls back what is open; that may wait, so it runs as a statement does.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(exchange: Exchange, socket: &mut Socket<S>) {
    let cancel = Arc::new(CancelFlag::default());
    let _ = run_guarded(cancel, socket, move |_| drop(exchange)).await;
    socket.shutdown().await;
}

async fn run_guarded<R: 'static>(
    cancel: Arc<CancelFlag>,
    transport: &mut impl Transport,
    work: impl FnOnce(&coroutine::Link) -> R + 'static,
) -> Option<R> {
    match coroutine::run(cancel, transport, work).await {
        Ok(result) => Some(result),
        Err(error) => {
            tracing::error!("no memory for a statement's stack: {error}");
            None
        }
    }
}

enum Input {
    Arrived,
    /// Something waits in the mailbox.
    Notified,
    /// The client has closed the connection.
    Gone,
    /// The server ends it, for this reason.
    End(Error),
}

async fn wait_for_input<S: AsyncRead + AsyncWrite + Unpin>(
    exchange: &mut Exchange,
    socket: &mut Socket<S>,
    stopping: &mut watch::Receiver<bool>,
) -> Input {
    let handle = Arc::clone(exchange.session.handle());
    let derived = Arc::clone(exchange.session.settings().derived());
    let (timeout_ms, timeout_error) = match exchange.session.status() {
        b'I' => (
            derived.idle_session_timeout_ms,
            Error::new(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout"),
        ),
        _ => (
            derived.idle_in_transaction_timeout_ms,
            Error::new(SqlState(*b"25P03"), "terminating connection due to idle-in-transaction timeout"),
        ),
    };
    let idle = async {
        if timeout_ms == 0 {
            std::future::pending().await
        } else {
            tokio::time::sleep(Duration::from_millis(timeout_ms)).await;
        }
    };
    // An idle connection holds no buffer.
    exchange.input.shrink();
    let mut piece = Vec::new();
    let read = exchange.input.fill(std::mem::take);
    piece.extend(read);
    let result = tokio::select! {
        result = socket.read(&mut piece) => match result {
            Ok(0) | Err(_) => Input::Gone,
            Ok(_) => Input::Arrived,
        },
        () = handle.mailbox.arrived.notified(), if exchange.session.status() == b'I' => Input::Notified,
        () = handle.terminate.notified() => Input::End(Error::new(
            SqlState::ADMIN_SHUTDOWN,
            "terminating connection due to administrator command",
        )),
        () = stopped(stopping) => Input::End(Error::new(
            SqlState::ADMIN_SHUTDOWN,
            "terminating connection due to administrator command",
        ).with_hint("The server is shutting down.")),
        () = idle => Input::End(timeout_error),
    };
    exchange.input.fill(|bytes| *bytes = piece);
    result
}

type Started = Option<(Exchange, crate::database::Slot)>;

/// Reads startup packets until the session is there (`None`: a cancel request, or the client left).
async fn start<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Arc<Server>,
    socket: &mut Socket<S>,
    input: &mut Vec<u8>,
    peer: Option<SocketAddr>,
) -> Result<Started> {
    loop {
        let length = loop {
            if let Some(length) = message::startup_frame(input)? {
                break length;
            }
            match socket.read(input).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        };
        let rest = input.split_off(length);
        let packet = std::mem::replace(input, rest);
        match message::decode_startup(&packet)? {
            Startup::Ssl => {
                // Unix-domain sockets are not encrypted, as in PostgreSQL; nor is TLS put into TLS.
                let tls = server.login.tls().filter(|_| peer.is_some() && !socket.is_encrypted());
                // `N` lets the client go on in clear, or give up if it must have it.
                let answer = if tls.is_some() { b"S" } else { b"N" };
                if socket.write(answer).await.is_err() {
                    return Ok(None);
                }
                if let Some(tls) = tls {
                    // What came before the handshake may be from somebody in between.
                    if !input.is_empty() {
                        return Err(message::protocol("received unencrypted data after SSL request"));
                    }
                    if let Err(error) = socket.encrypt(&tls).await {
                        tracing::info!("could not accept a TLS connection: {error}");
                        return Ok(None);
                    }
                }
            }
            Startup::GssEncryption => {
                if socket.write(b"N").await.is_err() {
                    return Ok(None);
                }
            }
            Startup::Cancel { process_id, secret } => {
                server.cancel(process_id, &secret);
                return Ok(None);
            }
            Startup::Start { protocol, parameters } => {
                let mut out = Vec::new();
                let parameters = read_parameters(protocol, parameters, &mut out)?;
                if !auth::authenticate(server, socket, input, &parameters, peer).await? {
                    return Ok(None);
                }
                let slot = server.admit()?;
                let session = Session::start(server, &parameters, peer, crate::login::random()?)?;
                query::greet(&session, &mut out);
                if socket.write(&out).await.is_err() {
                    return Ok(None);
                }
                return Ok(Some((Exchange::new(session, std::mem::take(input), Vec::new()), slot)));
            }
        }
    }
}

fn read_parameters(
    protocol: u32,
    parameters: Vec<(String, String)>,
    out: &mut Vec<u8>,
) -> Result<StartupParameters> {
    let mut read = StartupParameters::default();
    let mut unknown = Vec::new();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => read.user = value,
            "database" => read.database = Some(value).filter(|name| !name.is_empty()),
            "options" => read_options(&value, &mut read.settings)?,
            "replication" if matches!(value.as_str(), "false" | "off" | "no" | "0") => {}
            "replication" => return Err(Error::not_supported("the replication protocol")),
            _ if name.starts_with("_pq_.") => unknown.push(name),
            _ => read.settings.push((name, value)),
        }
    }
    if read.user.is_empty() {
        return Err(Error::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    if protocol > message::PROTOCOL_3_2 || !unknown.is_empty() || protocol == message::PROTOCOL_3_0 + 1 {
        encode::negotiate_protocol_version(out, message::PROTOCOL_3_2.min(protocol), &unknown);
    }
    Ok(read)
}

/// `-c name=value` and `--name=value`, as PGOPTIONS has them.
fn read_options(options: &str, settings: &mut Vec<(String, String)>) -> Result<()> {
    let mut words = options.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--") {
            Some(assignment) => Some(assignment),
            None if word == "-c" => words.next(),
            None => word.strip_prefix("-c"),
        };
        let (name, value) = assignment.and_then(|a| a.split_once('=')).ok_or_else(|| {
            Error::new(
                SqlState::SYNTAX_ERROR,
                format!("invalid command-line argument for server process: {word}"),
            )
            .with_hint("Write -c name=value.")
        })?;
        settings.push((name.replace('-', "_"), value.to_string()));
    }
    Ok(())
}
