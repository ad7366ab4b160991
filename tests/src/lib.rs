//! The harness: a real `cairn` process per test, on a free port and a scratch directory.
//!
//! Called by the tests in this folder. A process is ended when its `Server` is dropped, and its log is shown
//! when the test failed. `CAIRN_BINARY` names another binary to test; without it the one of this build is
//! made first, so that it is never stale.

pub mod chance;

pub mod history;

pub mod raw;

pub mod script;

pub mod shapes;

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, Connection, NoTls, Socket, tls::NoTlsStream};

/// How long a start (with its recovery) or an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server, or one that was ended and can be started again on the same directory.
///
/// Everything in here panics when it does not work: a test has nothing better to do.
pub struct Server {
    child: Option<Child>,
    port: u16,
    settings: Vec<String>,
    dir: TempDir,
}

impl Server {
    /// Starts a server on an empty directory and waits until it answers.
    pub async fn start() -> Server {
        Server::start_with(&[]).await
    }

    /// The same with settings, each `name=value`.
    pub async fn start_with(settings: &[&str]) -> Server {
        let dir = tempfile::Builder::new().prefix("cairn-test-").tempdir().expect("a scratch directory");
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut server = Server { child: None, port: free_port(), settings, dir };
        server.restart().await;
        server
    }

    /// Starts it again on its directory and port, and waits until it answers: recovery has run by then.
    pub async fn restart(&mut self) {
        self.spawn();
        let start = Instant::now();
        loop {
            match self.config().connect(NoTls).await {
                Ok(_) => return,
                Err(error) if start.elapsed() > PATIENCE => {
                    panic!("the server does not answer: {error}\n{}", self.log_tail())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            if let Some(status) = self.ended() {
                panic!("the server ended with {status}\n{}", self.log_tail());
            }
        }
    }

    /// Starts the process without waiting for it, so that a test may disturb its recovery.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log opens");
        let mut command = cairn();
        command.arg("serve").arg("--data").arg(self.data());
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file clones")).stderr(log);
        self.child = Some(command.spawn().expect("the server starts"));
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("a child can be signalled");
    }

    /// SIGTERM, and waits for the orderly end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("the server runs");
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return status;
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("the server does not end after SIGTERM\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The exit status, when the process ended on its own.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child can be waited for")
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// How to connect: superuser `postgres`, database `postgres`.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("postgres").dbname("postgres");
        config.connect_timeout(Duration::from_secs(10));
        config
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A session; its connection runs on the test's runtime.
    pub async fn client(&self) -> Client {
        let (client, connection) = self.connect().await;
        tokio::spawn(async move { connection.await.ok() });
        client
    }

    /// A session whose connection the test drives, to see parameters and notices.
    pub async fn connect(&self) -> (Client, Connection<Socket, NoTlsStream>) {
        match self.config().connect(NoTls).await {
            Ok(pair) => pair,
            Err(error) => panic!("no connection: {error}\n{}", self.log_tail()),
        }
    }

    /// `cairn check` on the directory of a server that does not run, which completes its recovery. Panics with
    /// what it found unless all is well.
    pub fn verify(&self) {
        assert!(self.child.is_none(), "the server runs");
        let output = cairn().arg("check").arg("--data").arg(self.data()).output().expect("cairn check runs");
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success(), "cairn check: {}\n{out}{err}\n{}", output.status, self.log_tail());
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    /// The last lines of what the server logged.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        format!("-- server log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// The `cairn` of this build: built once per test process, in the profile the test was built in.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CAIRN_BINARY") {
        Some(path) => path.into(),
        None => build("server", "cairn"),
    })
}

/// A command line that starts with [`binary`]. CAIRN_… of the test's own environment are no settings of it.
pub fn cairn() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CAIRN_")) {
        command.env_remove(name);
    }
    command
}

/// Builds a binary of the workspace and returns where it lies: next to the tests, `target/PROFILE/NAME`.
pub fn build(package: &str, name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running test has a path");
    let profile = own.ancestors().find(|dir| dir.ends_with("deps")).and_then(Path::parent);
    let profile = profile.or(own.parent()).expect("target/PROFILE/deps/TEST").to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["build", "--quiet", "-p", package, "--bin", name]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    if let Some(target) = profile.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    assert!(command.status().expect("cargo runs").success(), "{name} does not build");
    profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}
