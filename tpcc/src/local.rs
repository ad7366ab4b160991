//! A cairn server of our own, for the time of one run.
//!
//! Called by `main.rs` when no `--url` is given. Started on a free port of 127.0.0.1 and a scratch
//! directory; ended with SIGTERM, which must bring it down cleanly, or killed to see what it kept.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Error, Result};

/// How long it may take to open its port, and to close down.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills it; [`LocalServer::stop`] ends it as a user would.
pub struct LocalServer {
    child: Child,
    binary: PathBuf,
    data: PathBuf,
    settings: Vec<String>,
    port: u16,
    log: PathBuf,
    /// The scratch directory, gone with this value; `None` when the caller named one.
    scratch: Option<TempDir>,
}

impl LocalServer {
    /// Starts `binary` (or the one that belongs to this build) on `data` (or a scratch directory), with
    /// `settings` as further `-c name=value` arguments, and waits until it accepts connections.
    pub fn start(binary: Option<&Path>, data: Option<&Path>, settings: &[String]) -> Result<LocalServer> {
        let binary = match binary {
            Some(binary) => binary.to_owned(),
            None => own_binary()?,
        };
        let scratch = match data {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("tpcc-").tempdir()?),
        };
        let (data, log) = match (data, &scratch) {
            (Some(data), _) => (data.to_owned(), data.with_extension("log")),
            (None, Some(scratch)) => (scratch.path().join("data"), scratch.path().join("server.log")),
            (None, None) => return Err(Error::new("no data directory")),
        };
        let (port, settings) = (free_port()?, settings.to_vec());
        let child = spawn(&binary, &data, &log, port, &settings)?;
        let mut server = LocalServer { child, binary, data, settings, port, log, scratch };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(self.ended(status));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on its directory and port, after [`LocalServer::kill`]; returns how long that took,
    /// recovery included.
    pub fn restart(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.child = spawn(&self.binary, &self.data, &self.log, self.port, &self.settings)?;
        self.wait_until_ready()?;
        Ok(start.elapsed())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The most memory it ever held, in bytes; `None` where /proc does not tell.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes << 10)
    }

    /// SIGTERM, then waits; an error when it does not end, or not with status 0.
    pub fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(self.ended(status));
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::new("the server's process id is out of range"))?;
        kill_process(pid, Signal::TERM)
            .map_err(|e| Error::new(format!("could not signal the server: {e}")))?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err(Error::new(format!("the server did not end within {} s of SIGTERM", PATIENCE.as_secs())))
    }

    /// Keeps the scratch directory beyond this value's life, and says where it is.
    pub fn keep_scratch(&mut self) -> Option<PathBuf> {
        self.scratch.take().map(TempDir::keep)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.ended(status));
            }
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(Error::new(format!("the server did not open port {} within {} s", self.port, PATIENCE.as_secs())))
    }

    fn ended(&self, status: ExitStatus) -> Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        Error::new(format!("the server ended with {status}; the end of its log:\n{tail}"))
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn spawn(binary: &Path, data: &Path, log: &Path, port: u16, settings: &[String]) -> Result<Child> {
    let output = OpenOptions::new().create(true).append(true).open(log);
    let output = output.map_err(|e| Error::from(e).within(log.display()))?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data").arg(data).args(["--listen", &format!("127.0.0.1:{port}")]);
    // CAIRN_… of our own environment are no settings of the server.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CAIRN_")) {
        command.env_remove(name);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    command.spawn().map_err(|e| Error::from(e).within(binary.display()))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The `cairn` next to our own executable; under cargo it is built first, so that it is never a stale one.
fn own_binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name(format!("cairn{}", std::env::consts::EXE_SUFFIX));
    if let (Some(cargo), Some(package)) = (std::env::var_os("CARGO"), std::env::var_os("CARGO_MANIFEST_DIR"))
    {
        let mut build = Command::new(cargo);
        build.current_dir(package).args(["build", "--quiet", "-p", "server", "--bin", "cairn"]);
        if own.parent().is_some_and(|dir| dir.ends_with("release")) {
            build.arg("--release");
        }
        if !build.status()?.success() {
            return Err(Error::new("the server does not build"));
        }
    }
    if !binary.exists() {
        return Err(Error::new(format!(
            "no server to test: {} does not exist; build it, or name one with --url or --server",
            binary.display()
        )));
    }
    Ok(binary)
}
