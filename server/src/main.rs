//! The `cairn` binary: flags, the log, signals.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use server::config::{Config, Request};
use server::database::Server;
use server::login::Login;
use server::scheduler::cores::Cores;
use server::session::settings::Settings;
use server::wire::listener::Listener;
use storage::{LogSync, Store, StoreOptions};
use tokio::sync::watch;
use types::sqlstate::SqlState;
use types::{Error, Result};

#[derive(Parser)]
#[command(
    name = "cairn",
    version,
    about = "An SQL database that any PostgreSQL client can talk to",
    after_help = "Examples:\n  cairn                                   serve ./cairn-data on 127.0.0.1:5432\n  cairn serve --data /srv/db --listen 127.0.0.1:6000\n  cairn serve -c work_mem=256MB -c shared_buffers=4GB\n  psql -h 127.0.0.1                       connect"
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a data directory, making it if it is missing (the default)
    Serve(ServeArgs),
    /// Verify a data directory that no server has open: checksums, trees, page ownership, indexes against their tables
    Check(CheckArgs),
    /// Make a data directory, with a password for its superusers if one is given
    Init(InitArgs),
    /// Read the settings as `serve` would, say what is wrong with them, and list those that are set
    CheckConfig(ServeArgs),
    /// Print the version
    Version,
}

#[derive(Args)]
struct CheckArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: std::path::PathBuf,
}

#[derive(Args)]
struct InitArgs {
    /// The data directory to make [default: ./cairn-data] [env: CAIRN_DATA]
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
    /// The superusers' password is this file's first line (-: standard input); logins then ask for it
    #[arg(long, value_name = "FILE")]
    pwfile: Option<std::path::PathBuf>,
}

#[derive(Args, Default)]
struct ServeArgs {
    /// The data directory [default: ./cairn-data] [env: CAIRN_DATA]
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
    /// Listen here; may be given several times [default: 127.0.0.1:5432] [env: CAIRN_LISTEN]
    #[arg(long, value_name = "HOST:PORT|DIR")]
    listen: Vec<String>,
    /// Set a setting by its PostgreSQL name; may be given several times [env: CAIRN_<NAME>]
    #[arg(short = 'c', value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Answer /metrics, /healthz and /readyz here, over HTTP [default: nowhere] [setting: admin_address]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
    /// Read settings from this file [default: cairn.conf in the data directory, if there] [env: CAIRN_CONFIG_FILE]
    #[arg(long, value_name = "FILE")]
    config_file: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let args = match command_line.command {
        Some(Command::Version) => {
            println!("cairn {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(Command::CheckConfig(args)) => return exit(check_config(args)),
        Some(Command::Check(args)) => {
            return match check(&args.data) {
                Ok(false) => ExitCode::FAILURE,
                result => exit(result.map(|_| ())),
            };
        }
        Some(Command::Init(args)) => return exit(init(args)),
        Some(Command::Serve(args)) => args,
        None => command_line.serve,
    };
    let filter = tracing_subscriber::filter::LevelFilter::from_level(log_level());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(filter)
        .init();
    exit(serve(args))
}

fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// CAIRN_LOG: error, warn, info (the default), debug, trace.
fn log_level() -> tracing::Level {
    std::env::var("CAIRN_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO)
}

fn one_line(error: &Error) -> String {
    let mut line = format!("cairn: {}", error.message());
    let fields = error.fields();
    for (word, text) in [("", &fields.detail), ("in ", &fields.context), ("Hint: ", &fields.hint)] {
        if let Some(text) = text {
            line.push_str(&format!(" ({word}{text})"));
        }
    }
    line.replace('\n', " ")
}

/// True when the directory is sound.
fn check(data: &std::path::Path) -> Result<bool> {
    let report = server::check::check(data)?;
    for problem in &report.problems {
        println!("{problem}");
    }
    println!(
        "{} trees, {} pages, {} records, {} tables, {} rows: {}",
        report.trees,
        report.pages,
        report.records,
        report.tables,
        report.rows,
        match report.problems.len() {
            0 => "no problems".to_owned(),
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        }
    );
    Ok(report.problems.is_empty())
}

fn resolve(mut args: ServeArgs) -> Result<Config> {
    args.settings.extend(args.admin.map(|address| format!("admin_address={address}")));
    let request = Request {
        data: args.data,
        listen: args.listen,
        settings: args.settings,
        config_file: args.config_file,
    };
    Config::resolve(&request, std::env::vars().filter(|(name, _)| name != "CAIRN_LOG"))
}

/// The settings, the access file and the certificates, without touching the data.
fn check_config(args: ServeArgs) -> Result<()> {
    let config = resolve(args)?;
    let settings = Settings::new(config.assigned.clone())?;
    Login::load(&settings, &config.data)?;
    let mut names: Vec<_> = config.assigned.iter().collect();
    names.sort_by_key(|(name, _)| **name);
    for (name, assigned) in names {
        println!("{name} = '{}'  # {}", assigned.value.replace('\'', "''"), assigned.source);
    }
    Ok(())
}

fn serve(args: ServeArgs) -> Result<()> {
    let config = resolve(args)?;
    let settings = Settings::new(config.assigned.clone())?;
    let login = Login::load(&settings, &config.data)?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("could not start the runtime", &error))?;
    runtime.block_on(async {
        // The port first: it is what most often is wrong, and nothing has been touched yet.
        let mut listeners = Vec::new();
        for address in &config.addresses {
            listeners.extend(Listener::bind(address).await?);
        }
        for listener in &listeners {
            if let Listener::Tcp(_, address) = listener {
                login.check_listening(address.ip())?;
            }
        }
        let admin_address = settings.show("admin_address")?;
        let admin = match admin_address.as_str() {
            "" => None,
            address => Some(server::admin::bind(address).await?),
        };
        let is_new = !Store::exists(&config.data);
        let options = StoreOptions {
            buffer_size_bytes: usize::try_from(settings.integer("shared_buffers")).unwrap_or(1 << 17) * 8192,
            checkpoint_log_bytes: u64::try_from(settings.integer("max_wal_size")).unwrap_or(1 << 19) * 1024,
            log_sync: match settings.word("wal_sync_method") {
                "fsync" => LogSync::Fsync,
                "open_datasync" => LogSync::OpenDatasync,
                "open_sync" => LogSync::OpenSync,
                _ => LogSync::Fdatasync,
            },
            direct_pages: settings.word("debug_io_direct") == "data",
            ..StoreOptions::new(&config.data)
        };
        let server = Server::open(options, settings, login, &operating_system_user())?;
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = Cores::start(count)
            .map(Arc::new)
            .map_err(|error| Error::io("could not start threads", &error))?;
        let (stop, stopping) = watch::channel(false);
        announce(&config, &listeners, is_new, &server.login);
        let mut accepting = tokio::task::JoinSet::new();
        for listener in listeners {
            accepting.spawn(listener.run(Arc::clone(&server), Arc::clone(&cores), stopping.clone()));
        }
        if let Some(admin) = admin {
            tracing::info!("admin port: http://{admin_address}/metrics, /healthz, /readyz");
            accepting.spawn(server::admin::run(admin, Arc::clone(&server), stopping.clone()));
        }
        let signal = wait_for_signal(&server).await?;
        tracing::info!("{signal}: shutting down");
        let _ = stop.send(true);
        while accepting.join_next().await.is_some() {}
        for session in server.sessions() {
            session.cancel.cancel();
        }
        tokio::task::spawn_blocking(move || {
            cores.stop();
            server.store.close()
        })
        .await
        .map_err(|error| Error::internal(format!("shutting down failed: {error}")))??;
        tracing::info!("the database is shut down");
        Ok(())
    })
}

/// What a user needs to know, in one screen.
fn announce(config: &Config, listeners: &[Listener], is_new: bool, login: &Login) {
    let data = config.data.canonicalize().unwrap_or_else(|_| config.data.clone());
    tracing::info!("cairn {} (speaks PostgreSQL's protocol)", env!("CARGO_PKG_VERSION"));
    tracing::info!("data: {}{}", data.display(), if is_new { " (new)" } else { "" });
    for listener in listeners {
        tracing::info!("listening on {}", listener.describe());
    }
    let access = login.access();
    if !access.is_written {
        tracing::warn!(
            "every local user is trusted: write {} into the data directory to ask for passwords",
            server::login::ACCESS_FILE
        );
    } else if access.trusts_anybody() {
        tracing::info!("the access file trusts some clients without a password");
    }
    if login.tls().is_some() {
        tracing::info!("TLS is on");
    }
    match listeners.first() {
        Some(Listener::Tcp(_, address)) if address.port() == 5432 => {
            tracing::info!("ready; connect with: psql -h {}", address.ip());
        }
        Some(Listener::Tcp(_, address)) => {
            tracing::info!("ready; connect with: psql -h {} -p {}", address.ip(), address.port());
        }
        Some(Listener::Unix(_, path)) => {
            let directory = path.parent().unwrap_or(path);
            tracing::info!("ready; connect with: psql -h {}", directory.display());
        }
        None => {}
    }
}

/// Waits for the end; SIGHUP reads the access file and the certificates again.
async fn wait_for_signal(server: &Server) -> Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let install =
        |kind| signal(kind).map_err(|error| Error::io("could not install a signal handler", &error));
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut terminate = install(SignalKind::terminate())?;
    let mut hang_up = install(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok("interrupted"),
            _ = terminate.recv() => return Ok("terminated"),
            _ = hang_up.recv() => server.reload(),
        }
    }
}

/// Makes a data directory. 42710 when there is one.
fn init(args: InitArgs) -> Result<()> {
    let data = args.data.or_else(|| std::env::var_os("CAIRN_DATA").map(Into::into));
    let data = data.unwrap_or_else(|| std::path::PathBuf::from("cairn-data"));
    let shown = data.display().to_string();
    if Store::exists(&data) {
        return Err(Error::new(
            SqlState::DUPLICATE_OBJECT,
            format!("\"{shown}\" is a data directory already"),
        )
        .with_hint("To change a password, use ALTER ROLE."));
    }
    let password = args.pwfile.map(|file| read_password(&file)).transpose()?;
    let settings = Settings::new(std::collections::HashMap::new())?;
    let login = Login::load(&settings, &data)?;
    let server = Server::open(StoreOptions::new(&data), settings, login, &operating_system_user())?;
    if let Some(password) = &password {
        server.set_superuser_passwords(password)?;
        let access = data.join(server::login::ACCESS_FILE);
        std::fs::write(&access, server::login::access::PASSWORD_RULES)
            .map_err(|error| Error::io(format!("could not write \"{}\"", access.display()), &error))?;
    }
    server.store.close()?;
    println!("made {shown}; serve it with: cairn serve --data {shown}");
    match password {
        Some(_) => println!("logins ask for a password (see {shown}/{})", server::login::ACCESS_FILE),
        None => println!("every local user will be trusted; use --pwfile to ask for passwords"),
    }
    Ok(())
}

/// The first line of `file`, or of standard input for `-`.
fn read_password(file: &std::path::Path) -> Result<String> {
    let shown = file.display();
    let failed =
        |error: std::io::Error| Error::io(format!("could not read password file \"{shown}\""), &error);
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()).map_err(failed)?,
        _ => std::fs::read_to_string(file).map_err(failed)?,
    };
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("password file \"{shown}\" is empty"),
        ));
    }
    Ok(password.to_string())
}

/// Who runs this process: a role and a database of that name are made in a new directory.
fn operating_system_user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let by_id = std::fs::read_to_string("/etc/passwd").ok().and_then(|text| {
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_string())
        })
    });
    by_id.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "postgres".to_string())
}
