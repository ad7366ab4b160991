//! Accepts connections and hands each to a core. A port in use is one line with a hint.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use types::{Error, Result, SqlState};

use crate::database::Server;
use crate::scheduler::cores::Cores;
use crate::scheduler::cores::stopped;
use crate::wire::connection;

/// Where to listen: `host:port`, or a directory for a Unix-domain socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Tcp(String),
    Unix { directory: PathBuf, port: u16 },
}

/// A bound socket.
pub enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds. 55006 when the port is taken, 58030 otherwise.
    pub async fn bind(address: &Address) -> Result<Vec<Listener>> {
        match address {
            Address::Tcp(text) => bind_tcp(text).await,
            Address::Unix { directory, port } => bind_unix(directory, *port).map(|listener| vec![listener]),
        }
    }

    /// As people write it.
    pub fn describe(&self) -> String {
        match self {
            Listener::Tcp(_, address) => address.to_string(),
            Listener::Unix(_, path) => path.display().to_string(),
        }
    }

    /// Accepts until the server stops.
    pub async fn run(self, server: Arc<Server>, cores: Arc<Cores>, mut stopping: watch::Receiver<bool>) {
        let for_connections = stopping.clone();
        loop {
            tokio::select! {
                accepted = self.accept_one(&server, &cores, for_connections.clone()) => {
                    if let Err(error) = accepted {
                        // Out of descriptors, most likely: others may close theirs.
                        tracing::warn!("could not accept a connection: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
                () = stopped(&mut stopping) => break,
            }
        }
        if let Listener::Unix(_, path) = &self {
            let _ = std::fs::remove_file(path);
            let _ = std::fs::remove_file(lock_path(path));
        }
    }

    async fn accept_one(
        &self,
        server: &Arc<Server>,
        cores: &Arc<Cores>,
        stopping: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let server = Arc::clone(server);
        match self {
            Listener::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let stream = stream.into_std()?;
                cores.spawn(move || async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => connection::serve(server, stream, Some(peer), stopping).await,
                        Err(error) => tracing::warn!("could not take over a connection: {error}"),
                    }
                });
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let stream = stream.into_std()?;
                cores.spawn(move || async move {
                    match tokio::net::UnixStream::from_std(stream) {
                        Ok(stream) => connection::serve(server, stream, None, stopping).await,
                        Err(error) => tracing::warn!("could not take over a connection: {error}"),
                    }
                });
            }
        }
        Ok(())
    }
}

async fn bind_tcp(text: &str) -> Result<Vec<Listener>> {
    let invalid = |error: std::io::Error| {
        Error::new(SqlState::IO_ERROR, format!("could not translate address \"{text}\": {error}"))
            .with_hint("Write --listen HOST:PORT, for example --listen 127.0.0.1:5432.")
    };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(text).await.map_err(invalid)?.collect();
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let failed = Error::new(
                if error.kind() == std::io::ErrorKind::AddrInUse { SqlState::OBJECT_IN_USE } else { SqlState::IO_ERROR },
                format!("could not listen on {address}: {error}"),
            );
            match error.kind() {
                std::io::ErrorKind::AddrInUse => failed.with_hint(format!(
                    "Is another server already running on port {0}? Stop it, or choose another port: --listen {1}:{2}.",
                    address.port(),
                    address.ip(),
                    address.port().checked_add(1).unwrap_or(5433)
                )),
                std::io::ErrorKind::PermissionDenied => {
                    failed.with_hint("Ports below 1024 are for root; choose another: --listen 127.0.0.1:5432.")
                }
                _ => failed,
            }
        })?;
        let bound = listener.local_addr().unwrap_or(address);
        listeners.push(Listener::Tcp(listener, bound));
    }
    Ok(listeners)
}

fn lock_path(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

fn bind_unix(directory: &Path, port: u16) -> Result<Listener> {
    let path = directory.join(format!(".s.PGSQL.{port}"));
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(Error::new(
                SqlState::OBJECT_IN_USE,
                format!("could not listen on {}: another server answers there", path.display()),
            )
            .with_hint("Stop it, or choose another directory or port."));
        }
        // Left behind by a server that was killed.
        let _ = std::fs::remove_file(&path);
    }
    let listener = UnixListener::bind(&path).map_err(|error| {
        Error::new(SqlState::IO_ERROR, format!("could not listen on {}: {error}", path.display()))
            .with_hint("The directory must exist and be writable.")
    })?;
    Ok(Listener::Unix(listener, path))
}
