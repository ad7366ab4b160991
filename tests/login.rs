//! Who gets in: passwords, the access file, TLS and certificates, over real sockets.
//!
//! The TLS tests make their certificates with `openssl` and connect with `psql`; without these on the path
//! they say so and pass.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::Server;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

/// The error of a login that fails: its code and message.
async fn refused(config: &Config) -> (SqlState, String) {
    match connect(config).await {
        Ok(_) => panic!("the login passes"),
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
            (error.code().clone(), error.message().to_string())
        }
    }
}

/// Writes the access file and has it read.
async fn allow(server: &Server, client: &Client, rules: &str) {
    std::fs::write(server.data().join("cairn_hba.conf"), rules).unwrap();
    client.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
}

const PASSWORDS: &str = "host all postgres all trust\nhost all all all scram-sha-256\n";

fn login(server: &Server, user: &str, password: &str) -> Config {
    let mut config = server.config();
    config.user(user).password(password);
    config
}

#[tokio::test]
async fn a_password_opens_and_nothing_else_does() {
    let server = Server::start().await;
    let admin = server.client().await;
    admin
        .batch_execute(
            "CREATE ROLE ann LOGIN PASSWORD 'pen''cil';
             CREATE USER expired PASSWORD 'x' VALID UNTIL '2001-01-01';
             CREATE USER bare;
             CREATE ROLE closed PASSWORD 'x';
             CREATE USER one PASSWORD 'x' CONNECTION LIMIT 1;
             CREATE USER given PASSWORD 'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='",
        )
        .await
        .unwrap();
    allow(&server, &admin, PASSWORDS).await;

    let ann = connect(&login(&server, "ann", "pen'cil")).await.unwrap();
    let row = ann.query_one("SELECT current_user::text, session_user::text", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("ann", "ann"));
    connect(&login(&server, "given", "pencil")).await.unwrap();

    for (user, password) in
        [("ann", "pencil"), ("nobody", "x"), ("expired", "x"), ("bare", "x"), ("closed", "y")]
    {
        let (code, message) = refused(&login(&server, user, password)).await;
        assert_eq!(code, SqlState::INVALID_PASSWORD, "{user}");
        assert_eq!(message, format!("password authentication failed for user \"{user}\""));
    }
    let (code, message) = refused(&login(&server, "closed", "x")).await;
    assert_eq!(code, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert_eq!(message, "role \"closed\" is not permitted to log in");

    let one = connect(&login(&server, "one", "x")).await.unwrap();
    let (code, message) = refused(&login(&server, "one", "x")).await;
    assert_eq!(code, SqlState::TOO_MANY_CONNECTIONS);
    assert_eq!(message, "too many connections for role \"one\"");
    drop(one);

    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
    let row = admin.query_one(stored, &[&"ann"]).await.unwrap();
    assert!(row.get::<_, &str>(0).starts_with("SCRAM-SHA-256$4096:"));
    let row = admin.query_one(stored, &[&"given"]).await.unwrap();
    assert!(row.get::<_, &str>(0).ends_with(":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="));
    let error = admin
        .batch_execute("ALTER ROLE ann PASSWORD 'md5c11c6b1e2b4a5c1e6b1b4d3a9f8e7d6c'")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    let error = ann.batch_execute("ALTER ROLE ann SUPERUSER").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));

    // A password is nowhere to be seen.
    ann.batch_execute("ALTER ROLE ann PASSWORD 'topsecret'").await.unwrap();
    let row = admin.query_one("SELECT string_agg(query, '|') FROM pg_stat_activity", &[]).await.unwrap();
    let queries: &str = row.get(0);
    assert!(
        queries.contains("ALTER ROLE ann PASSWORD <hidden>") && !queries.contains("topsecret"),
        "{queries}"
    );
    let log = server.log();
    assert!(!log.contains("topsecret") && !log.contains("pencil"), "{log}");
    connect(&login(&server, "ann", "topsecret")).await.unwrap();
}

#[tokio::test]
async fn guessing_gets_slower() {
    let server = Server::start().await;
    let admin = server.client().await;
    admin.batch_execute("CREATE USER ann PASSWORD 'x'; CREATE USER bob PASSWORD 'x'").await.unwrap();
    allow(&server, &admin, PASSWORDS).await;
    for _ in 0..3 {
        refused(&login(&server, "ann", "y")).await;
    }
    let start = Instant::now();
    connect(&login(&server, "ann", "x")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    connect(&login(&server, "bob", "x")).await.unwrap();
}

#[tokio::test]
async fn the_access_file_decides() {
    let server = Server::start().await;
    let admin = server.client().await;
    admin
        .batch_execute(
            "CREATE USER ann PASSWORD 'x'; CREATE ROLE staff; CREATE USER bob IN ROLE staff; CREATE USER eve",
        )
        .await
        .unwrap();
    allow(&server, &admin, "host all postgres,+staff all trust\nhost all ann all reject\n").await;
    connect(&login(&server, "bob", "")).await.unwrap();
    let (code, message) = refused(&login(&server, "ann", "x")).await;
    assert_eq!(code, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert_eq!(
        message,
        "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"ann\", database \"postgres\", no encryption"
    );
    let (_, message) = refused(&login(&server, "eve", "x")).await;
    assert_eq!(
        message,
        "no pg_hba.conf entry for host \"127.0.0.1\", user \"eve\", database \"postgres\", no encryption"
    );

    // A file that cannot be read changes nothing; the log says why.
    allow(&server, &admin, "host all all all trust\nhost all all all md5\n").await;
    refused(&login(&server, "eve", "")).await;
    assert!(server.log().contains("authentication method \"md5\" is not supported"), "{}", server.log());
    assert!(server.log().contains("line 2"));

    std::fs::write(server.data().join("cairn_hba.conf"), "host all all all trust\n").unwrap();
    server.signal(Signal::HUP);
    let start = Instant::now();
    while connect(&login(&server, "eve", "")).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "SIGHUP does not count");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn serve(data: &Path, args: &[&str]) -> Output {
    tests::cairn().arg("serve").arg("--data").arg(data).args(args).output().unwrap()
}

#[test]
fn other_machines_need_rules() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let output = serve(&data, &["--listen", "0.0.0.0:0"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("there is no access file"), "{text}");
    assert!(!data.exists(), "nothing was made");

    let rules = dir.path().join("hba");
    std::fs::write(&rules, "local all all trust\nhost all all 10.0.0.0/8 trust\n").unwrap();
    let setting = format!("hba_file={}", rules.display());
    let output = serve(&data, &["--listen", "0.0.0.0:0", "-c", &setting]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("line 2"), "{text}");

    std::fs::write(&rules, "hostssl all all all scram-sha-256\n").unwrap();
    let output = serve(&data, &["-c", &setting]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("hostssl rows need TLS"), "{text}");
}

#[tokio::test]
async fn init_sets_the_superusers_password() {
    let mut server = Server::start().await;
    server.terminate();
    std::fs::remove_dir_all(server.data()).unwrap();
    let pwfile = server.data().with_file_name("pw");
    std::fs::write(&pwfile, "swordfish\n").unwrap();
    let init = || {
        tests::cairn()
            .args(["init", "--data"])
            .arg(server.data())
            .arg("--pwfile")
            .arg(&pwfile)
            .output()
            .unwrap()
    };
    let output = init();
    assert!(output.status.success(), "{output:?}");
    assert!(!init().status.success(), "a second time");
    server.spawn();
    let start = Instant::now();
    loop {
        match connect(&login(&server, "postgres", "swordfish")).await {
            Ok(_) => break,
            Err(error) if error.as_db_error().is_some() => panic!("{error:?}"),
            Err(_) => assert!(start.elapsed() < Duration::from_secs(60)),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(refused(&login(&server, "postgres", "trout")).await.0, SqlState::INVALID_PASSWORD);
}

// ---- TLS ----

fn openssl(dir: &Path, args: &str) -> bool {
    let output = Command::new("openssl").args(args.split_whitespace()).current_dir(dir).output();
    match output {
        Ok(output) if output.status.success() => true,
        Ok(output) => panic!("openssl {args}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => false,
    }
}

/// An authority, a server's certificate for localhost and a client's for ann, in `dir`.
fn make_certificates(dir: &Path) -> bool {
    if Command::new("psql").arg("--version").output().is_err() {
        return false;
    }
    let make = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(dir, &format!("req -x509 {make} -keyout ca.key -out ca.crt -subj /CN=ca -days 30"))
        && ["localhost", "ann"].iter().all(|name| {
            std::fs::write(dir.join("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
            openssl(dir, &format!("req {make} -keyout {name}.key -out {name}.csr -subj /O=cairn/CN={name}"))
                && openssl(dir, &format!("x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 30 -extfile ext"))
        })
}

/// What psql prints for a query, or its error.
fn psql(server: &Server, options: &str, password: &str) -> Result<String, String> {
    let conninfo = format!("host=127.0.0.1 port={} dbname=postgres {options}", server.port());
    let output = Command::new("psql")
        .args(["-X", "-A", "-t", "-c", "SELECT current_user", &conninfo])
        .env("PGPASSWORD", password)
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[tokio::test]
async fn tls_encrypts_binds_and_knows_its_clients() {
    let certificates = tempfile::tempdir().unwrap();
    let dir = certificates.path();
    if !make_certificates(dir) {
        println!("skipped: no openssl or no psql");
        return;
    }
    let file = |name: &str| dir.join(name).display().to_string();
    let settings = [
        "ssl=on".to_string(),
        format!("ssl_cert_file={}", file("localhost.crt")),
        format!("ssl_key_file={}", file("localhost.key")),
        format!("ssl_ca_file={}", file("ca.crt")),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let server = Server::start_with(&settings).await;
    let admin = server.client().await;
    admin.batch_execute("CREATE USER ann PASSWORD 'x'; CREATE USER bob PASSWORD 'x'").await.unwrap();
    allow(
        &server,
        &admin,
        "hostnossl all postgres all trust\nhostssl postgres ann all cert\nhostssl all bob all scram-sha-256\n",
    )
    .await;
    let ca = format!("sslmode=verify-full sslrootcert={}", file("ca.crt"));

    // A password, bound to the channel; not in clear.
    assert_eq!(psql(&server, &format!("user=bob {ca} channel_binding=require"), "x").unwrap(), "bob");
    assert_eq!(psql(&server, &format!("user=bob {ca} channel_binding=disable"), "x").unwrap(), "bob");
    let error = psql(&server, &format!("user=bob {ca}"), "y").unwrap_err();
    assert!(error.contains("password authentication failed for user \"bob\""), "{error}");
    let error = psql(&server, "user=bob sslmode=disable", "x").unwrap_err();
    assert!(error.contains("no pg_hba.conf entry") && error.contains("no encryption"), "{error}");

    // A certificate with the role's name, of an authority that is known.
    let own = format!("{ca} sslcert={} sslkey={}", file("ann.crt"), file("ann.key"));
    assert_eq!(psql(&server, &format!("user=ann {own}"), "").unwrap(), "ann");
    let error = psql(&server, &format!("user=ann {ca} sslcert=/nowhere"), "").unwrap_err();
    assert!(error.contains("connection requires a valid client certificate"), "{error}");
    allow(&server, &admin, "hostnossl all postgres all trust\nhostssl all bob all cert\n").await;
    let error = psql(&server, &format!("user=bob {own}"), "").unwrap_err();
    assert!(error.contains("certificate authentication failed for user \"bob\""), "{error}");

    // A key that others may read is not taken; the one in use stays.
    let key = dir.join("localhost.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    allow(&server, &admin, "host all all all trust\n").await;
    assert!(server.log().contains("has group or world access"), "{}", server.log());
    assert!(psql(&server, &format!("user=bob {own}"), "").is_err(), "the rules stayed, too");
}

#[tokio::test]
async fn a_right_counts_in_every_session_at_once() {
    let mut server = Server::start().await;
    let admin = server.client().await;
    admin
        .batch_execute(
            "CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE readers;
             CREATE TABLE t (a int); INSERT INTO t VALUES (1);
             GRANT SELECT ON t TO ann, readers",
        )
        .await
        .unwrap();
    let code = |result: Result<_, Error>| {
        result.map(|rows: Vec<tokio_postgres::Row>| rows.len()).map_err(|error| error.code().cloned())
    };
    let denied = Err(Some(SqlState::INSUFFICIENT_PRIVILEGE));
    let ann = connect(&login(&server, "ann", "")).await.unwrap();
    let bob = connect(&login(&server, "bob", "")).await.unwrap();
    // One text, one shared cache of plans: ann's plan is not bob's.
    for _ in 0..3 {
        assert_eq!(code(ann.query("SELECT a FROM t", &[]).await), Ok(1));
        assert_eq!(code(bob.query("SELECT a FROM t", &[]).await), denied);
    }
    // A statement prepared while it was allowed does not stay so; by membership it comes and goes too.
    let prepared = ann.prepare("SELECT a FROM t").await.unwrap();
    assert_eq!(code(ann.query(&prepared, &[]).await), Ok(1));
    admin.batch_execute("REVOKE SELECT ON t FROM ann").await.unwrap();
    assert_eq!(code(ann.query(&prepared, &[]).await), denied);
    admin.batch_execute("GRANT readers TO ann").await.unwrap();
    assert_eq!(code(ann.query(&prepared, &[]).await), Ok(1));
    admin.batch_execute("REVOKE readers FROM ann").await.unwrap();
    assert_eq!(code(ann.query(&prepared, &[]).await), denied);
    // What an open transaction granted is nobody else's before it commits, and nobody's after a rollback.
    admin.batch_execute("BEGIN; GRANT SELECT ON t TO bob").await.unwrap();
    assert_eq!(code(bob.query("SELECT a FROM t", &[]).await), denied);
    admin.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(code(bob.query("SELECT a FROM t", &[]).await), denied);
    // SET ROLE changes whose rights count, within a session and its prepared statements.
    admin.batch_execute("GRANT readers TO bob; ALTER ROLE bob NOINHERIT").await.unwrap();
    bob.batch_execute("SET ROLE readers").await.unwrap();
    let prepared = bob.prepare("SELECT a FROM t").await.unwrap();
    assert_eq!(code(bob.query(&prepared, &[]).await), Ok(1));
    bob.batch_execute("RESET ROLE").await.unwrap();
    assert_eq!(code(bob.query(&prepared, &[]).await), denied);
    // Rights are data: they are there after a crash.
    admin.batch_execute("GRANT SELECT (a) ON t TO ann").await.unwrap();
    server.kill();
    server.restart().await;
    let ann = connect(&login(&server, "ann", "")).await.unwrap();
    assert_eq!(code(ann.query("SELECT a FROM t", &[]).await), Ok(1));
    assert_eq!(code(ann.query("SELECT * FROM t WHERE a = 1", &[]).await), Ok(1));
    assert!(ann.execute("DELETE FROM t", &[]).await.is_err());
}

#[tokio::test]
async fn a_database_may_be_closed_to_a_role() {
    let server = Server::start().await;
    let admin = server.client().await;
    admin.batch_execute("CREATE ROLE ann LOGIN").await.unwrap();
    connect(&login(&server, "ann", "")).await.unwrap();
    admin.batch_execute("REVOKE CONNECT ON DATABASE postgres FROM public").await.unwrap();
    let (code, message) = refused(&login(&server, "ann", "")).await;
    assert_eq!(code, SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(message, "permission denied for database \"postgres\"");
    admin.batch_execute("GRANT CONNECT ON DATABASE postgres TO ann").await.unwrap();
    connect(&login(&server, "ann", "")).await.unwrap();
}

#[tokio::test]
async fn the_last_connections_are_for_superusers() {
    let server = Server::start_with(&["max_connections=4", "superuser_reserved_connections=2"]).await;
    let admin = server.client().await;
    admin.batch_execute("CREATE ROLE ann LOGIN").await.unwrap();
    let _ann = connect(&login(&server, "ann", "")).await.unwrap();
    let (code, message) = refused(&login(&server, "ann", "")).await;
    assert_eq!(code, SqlState::TOO_MANY_CONNECTIONS);
    assert_eq!(message, "remaining connection slots are reserved for non-replication superuser connections");
    let _second = connect(&server.config()).await.unwrap();
    let _third = connect(&server.config()).await.unwrap();
    let (code, message) = refused(&server.config()).await;
    assert_eq!(code, SqlState::TOO_MANY_CONNECTIONS);
    assert_eq!(message, "sorry, too many clients already");
}

#[tokio::test]
async fn slow_statements_are_logged_without_passwords() {
    let server = Server::start_with(&["log_min_duration_statement=0"]).await;
    let admin = server.client().await;
    admin.batch_execute("SELECT 41 + 1 AS logged").await.unwrap();
    admin.batch_execute("CREATE ROLE ann LOGIN PASSWORD 'pencil'").await.unwrap();
    assert!(server.log().contains("SELECT 41 + 1 AS logged"), "{}", server.log());
    assert!(!server.log().contains("pencil"), "{}", server.log());
    admin.batch_execute("SET log_min_duration_statement = -1").await.unwrap();
    admin.batch_execute("SELECT 'quiet'").await.unwrap();
    assert!(!server.log().contains("quiet"), "{}", server.log());
    let ann = connect(&login(&server, "ann", "")).await.unwrap();
    let error = ann.batch_execute("SET log_min_duration_statement = -1").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(error.message(), "permission denied to set parameter \"log_min_duration_statement\"");
}

#[test]
fn check_config_tells_what_is_wrong_and_what_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        std::fs::write(dir.path().join("cairn.conf"), text).unwrap();
        tests::cairn().arg("check-config").arg("--data").arg(dir.path()).output().unwrap()
    };
    let output = run("work_mem = 64MB\n");
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("work_mem = '64MB'"), "{shown}");
    let output = run("work_mem = much\n");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("work_mem"), "{output:?}");
    let output = run("nonsense = 1\n");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nonsense"), "{output:?}");
}

/// The status line and the body of an answer of the admin port.
async fn http(address: &str, request: &str) -> (String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_string(), body.to_string())
}

#[tokio::test]
async fn the_admin_port_tells_how_the_server_is() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let server = Server::start_with(&[&format!("admin_address={address}")]).await;
    let admin = server.client().await;
    admin.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(http(&address, &get("/healthz")).await, ("HTTP/1.1 200 OK".into(), "ok\n".into()));
    assert_eq!(http(&address, &get("/readyz")).await, ("HTTP/1.1 200 OK".into(), "ready\n".into()));
    let (status, body) = http(&address, &get("/metrics")).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("\ncairn_sessions{state=\"idle in transaction\"} 1\n"), "{body}");
    assert!(body.contains("\n# TYPE cairn_plan_cache_hits_total counter\n"), "{body}");
    assert_eq!(http(&address, &get("/")).await.0, "HTTP/1.1 404 Not Found");
    assert_eq!(http(&address, "POST /healthz HTTP/1.1\r\n\r\n").await.0, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(http(&address, "hello\r\n\r\n").await.0, "HTTP/1.1 400 Bad Request");
    let long = format!("GET /healthz HTTP/1.1\r\nX: {}", "x".repeat(9000));
    assert_eq!(http(&address, &long).await.0, "HTTP/1.1 431 Request Header Fields Too Large");
}
