//! The protocol, as tokio-postgres and as bytes see it. Every expectation here is true of PostgreSQL 15 too.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tests::Server;
use tests::raw::{self, Raw, tags};
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// A value's binary form, whatever its type.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Bytes, BoxError> {
        Ok(Bytes(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Bytes {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A parameter sent in text format.
#[derive(Debug)]
struct Text(&'static str);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The rows of a simple query, one string per row: values joined with bars, NULL as `null`.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("null")).collect();
                Some(values.join("|"))
            }
            _ => None,
        })
        .collect()
}

/// The error that a simple query must give.
async fn error(client: &Client, sql: &str) -> DbError {
    match client.simple_query(sql).await {
        Ok(_) => panic!("no error: {sql}"),
        Err(error) => error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}")).clone(),
    }
}

#[tokio::test]
async fn startup_reports_the_parameters_drivers_ask_for() {
    let server = Server::start().await;
    let (_raw, greeting) = Raw::session(server.port()).await.unwrap();
    let parameter = |name: &str| {
        greeting.iter().filter(|m| m.tag == 'S').find_map(|m| {
            let mut parts = m.body.split(|&b| b == 0).map(|part| String::from_utf8_lossy(part).into_owned());
            (parts.next()? == name).then(|| parts.next().unwrap_or_default())
        })
    };
    assert!(
        parameter("server_version").is_some_and(|v| v.starts_with("15")),
        "{:?}",
        parameter("server_version")
    );
    for (name, value) in [
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("is_superuser", "on"),
        ("session_authorization", "postgres"),
        ("application_name", ""),
    ] {
        assert_eq!(parameter(name).as_deref(), Some(value), "{name}");
    }
    assert!(parameter("TimeZone").is_some());
    assert!(greeting.iter().any(|m| m.tag == 'K' && m.body.len() == 8), "BackendKeyData");
    assert_eq!(greeting.last().unwrap().body, b"I");
}

#[tokio::test]
async fn unknown_databases_and_roles_are_refused() {
    let server = Server::start().await;
    let mut config = server.config();
    let refused = config.dbname("nowhere").connect(NoTls).await.err().unwrap();
    assert_eq!(refused.code().map(|c| c.code()), Some("3D000"));
    let refused = server.config().user("nobody_here").connect(NoTls).await.err().unwrap();
    assert_eq!(refused.code().map(|c| c.code()), Some("28000"));
}

#[tokio::test]
async fn simple_query_sends_text_and_runs_statements_in_one_transaction() {
    let server = Server::start().await;
    let client = server.client().await;
    let types = "select 1::smallint, -2::int, 3000000000::bigint, 1.50::numeric(5,2), 0.1::float8, 1.5::real, true, \
                 'é'::text, 'ab'::char(4), null::int, date '2024-02-29', timestamp '2024-02-29 12:34:56.789', \
                 interval '1 year 2 days 03:04:05'";
    assert_eq!(
        rows(&client, types).await,
        [
            "1|-2|3000000000|1.50|0.1|1.5|t|é|ab  |null|2024-02-29|2024-02-29 12:34:56.789|1 year 2 days 03:04:05"
        ]
    );
    assert_eq!(rows(&client, "select 1; select 2").await, ["1", "2"]);
    assert!(rows(&client, "").await.is_empty());
    assert!(rows(&client, " ; -- nothing\n").await.is_empty());

    client.simple_query("create table t (a int primary key)").await.unwrap();
    let failed =
        error(&client, "insert into t values (1); insert into t values (2); insert into t values (1)").await;
    assert_eq!(failed.code().code(), "23505");
    assert!(rows(&client, "select a from t").await.is_empty(), "one transaction: all or nothing");
    let counts =
        client.simple_query("insert into t values (1), (2), (3); update t set a = a + 10").await.unwrap();
    let counts: Vec<u64> = counts
        .iter()
        .filter_map(|m| if let SimpleQueryMessage::CommandComplete(n) = m { Some(*n) } else { None })
        .collect();
    assert_eq!(counts, [3, 3]);
}

#[tokio::test]
async fn command_tags_are_postgresqls() {
    let server = Server::start().await;
    let (mut raw, _) = Raw::session(server.port()).await.unwrap();
    for (sql, tag) in [
        ("create table t (a int primary key, b text)", "CREATE TABLE"),
        ("insert into t values (1, 'x'), (2, 'y')", "INSERT 0 2"),
        ("create index t_b on t (b)", "CREATE INDEX"),
        ("create view v as select a from t", "CREATE VIEW"),
        ("update t set b = 'z' where a = 1", "UPDATE 1"),
        ("select * from v", "SELECT 2"),
        ("delete from t where a = 7", "DELETE 0"),
        ("begin", "BEGIN"),
        ("savepoint s", "SAVEPOINT"),
        ("rollback to s", "ROLLBACK"),
        ("release s", "RELEASE"),
        ("commit", "COMMIT"),
        ("set application_name = 'x'", "SET"),
        ("show application_name", "SHOW"),
        ("analyze t", "ANALYZE"),
        ("prepare p as select 1", "PREPARE"),
        ("execute p", "SELECT 1"),
        ("deallocate p", "DEALLOCATE"),
        ("explain select 1", "EXPLAIN"),
        ("truncate t", "TRUNCATE TABLE"),
        ("drop view v", "DROP VIEW"),
        ("drop index t_b", "DROP INDEX"),
        ("drop table t", "DROP TABLE"),
    ] {
        let messages = raw.query(sql).await.unwrap();
        let complete =
            messages.iter().find(|m| m.tag == 'C').unwrap_or_else(|| panic!("{sql}: {messages:?}"));
        assert_eq!(String::from_utf8_lossy(&complete.body), format!("{tag}\0"), "{sql}");
    }
}

/// Type, text, binary form: what `send` functions of PostgreSQL produce.
const FORMS: [(&str, &str, &str); 27] = [
    ("smallint", "-2", "fffe"),
    ("integer", "2147483647", "7fffffff"),
    ("bigint", "-9223372036854775808", "8000000000000000"),
    ("real", "1.5", "3fc00000"),
    ("double precision", "-0.1", "bfb999999999999a"),
    ("double precision", "NaN", "7ff8000000000000"),
    ("double precision", "Infinity", "7ff0000000000000"),
    ("boolean", "t", "01"),
    ("boolean", "f", "00"),
    ("text", "é", "c3a9"),
    ("text", "", ""),
    ("varchar(3)", "abc", "616263"),
    ("char(4)", "ab  ", "61622020"),
    ("date", "2000-01-02", "00000001"),
    ("date", "1970-01-01", "ffffd533"),
    ("timestamp", "2000-01-01 00:00:01", "00000000000f4240"),
    ("timestamp", "1999-12-31 23:59:59.999999", "ffffffffffffffff"),
    ("interval", "1 mon 2 days 00:00:03", "00000000002dc6c00000000200000001"),
    ("interval", "-00:00:00.000001", "ffffffffffffffff0000000000000000"),
    ("numeric", "0", "0000000000000000"),
    ("numeric", "1", "00010000000000000001"),
    ("numeric", "12345.6789", "0003000100000004000109291a85"),
    ("numeric", "-0.00012", "0002ffff40000005000107d0"),
    ("numeric", "10000", "00010001000000000001"),
    ("numeric", "1.10", "0002000000000002000103e8"),
    ("numeric", "NaN", "00000000c0000000"),
    ("numeric(15,2)", "99999999.90", "0003000100000002270f270f2328"),
];

#[tokio::test]
async fn values_keep_text_and_binary_forms_both_ways() {
    let server = Server::start().await;
    let client = server.client().await;
    for (of_type, text, hex) in FORMS {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        let simple = rows(&client, &format!("select '{text}'::{of_type}")).await;
        assert_eq!(simple, [text], "{of_type} as text");

        let select = client.prepare(&format!("select $1::{of_type}")).await.unwrap();
        let from_binary: Bytes = client.query_one(&select, &[&Bytes(bytes.clone())]).await.unwrap().get(0);
        assert_eq!(from_binary.0, bytes, "{of_type} {text}: binary parameter and result");

        let cast = client.prepare(&format!("select $1::text::{of_type}")).await.unwrap();
        let from_text: Bytes = client.query_one(&cast, &[&Text(text)]).await.unwrap().get(0);
        assert_eq!(from_text.0, bytes, "{of_type} {text}: from text to binary");
        let text_parameter: Bytes = client.query_one(&select, &[&Text(text)]).await.unwrap().get(0);
        assert_eq!(text_parameter.0, bytes, "{of_type} {text}: text parameter");
    }
}

#[tokio::test]
async fn drivers_types_go_there_and_back() {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .batch_execute(
            "create table t (a smallint, b integer primary key, c bigint, d real, e double precision, f boolean, \
             g text, h varchar(10), i char(3))",
        )
        .await
        .unwrap();
    let insert = client.prepare("insert into t values ($1, $2, $3, $4, $5, $6, $7, $8, $9)").await.unwrap();
    let types: Vec<&str> = insert.params().iter().map(Type::name).collect();
    assert_eq!(types, ["int2", "int4", "int8", "float4", "float8", "bool", "text", "varchar", "bpchar"]);
    for b in 0..3i32 {
        let inserted = client
            .execute(&insert, &[&7i16, &b, &(1i64 << 40), &1.5f32, &0.1f64, &true, &"tëxt", &"vc", &"ab"])
            .await
            .unwrap();
        assert_eq!(inserted, 1);
    }
    let nothing: Option<i64> = None;
    let nulls = client.execute("insert into t (b, c) values ($1, $2)", &[&3i32, &nothing]).await.unwrap();
    assert_eq!(nulls, 1);
    let found = client.query("select * from t where b >= $1 order by b", &[&2i32]).await.unwrap();
    assert_eq!(found.len(), 2);
    let row = &found[0];
    assert_eq!(row.get::<_, i16>("a"), 7);
    assert_eq!(row.get::<_, i32>("b"), 2);
    assert_eq!(row.get::<_, i64>("c"), 1 << 40);
    assert_eq!(row.get::<_, f32>("d"), 1.5);
    assert_eq!(row.get::<_, f64>("e"), 0.1);
    assert!(row.get::<_, bool>("f"));
    assert_eq!(row.get::<_, &str>("g"), "tëxt");
    assert_eq!(row.get::<_, &str>("h"), "vc");
    assert_eq!(row.get::<_, &str>("i"), "ab ");
    assert_eq!(found[1].get::<_, Option<i64>>("c"), None);
    assert_eq!(found[1].get::<_, Option<&str>>("g"), None);
}

#[tokio::test]
async fn prepared_statements_describe_run_again_and_follow_the_schema() {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .batch_execute("create table t (a int primary key, b text); insert into t values (1, 'one')")
        .await
        .unwrap();
    let select = client.prepare("select b, a + $2 as sum from t where a = $1").await.unwrap();
    let columns: Vec<(&str, &Type)> = select.columns().iter().map(|c| (c.name(), c.type_())).collect();
    assert_eq!(columns, [("b", &Type::TEXT), ("sum", &Type::INT4)]);
    assert_eq!(select.params(), [Type::INT4, Type::INT4]);
    for (a, sum) in [(1, 11), (1, 21)] {
        let row = client.query_one(&select, &[&a, &(sum - a)]).await.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("one", sum));
    }
    assert!(client.query_opt(&select, &[&2, &0]).await.unwrap().is_none());
    client.batch_execute("create index t_b on t (b); insert into t values (2, 'two')").await.unwrap();
    assert_eq!(client.query_one(&select, &[&2, &0]).await.unwrap().get::<_, &str>(0), "two");
    client.batch_execute("drop table t").await.unwrap();
    let gone = client.query_opt(&select, &[&2, &0]).await.unwrap_err();
    assert_eq!(gone.code().map(|c| c.code()), Some("42P01"));
    client
        .batch_execute("create table t (a int primary key, b text); insert into t values (5, 'new')")
        .await
        .unwrap();
    assert_eq!(client.query_one(&select, &[&5, &0]).await.unwrap().get::<_, &str>(0), "new");
}

#[tokio::test]
async fn portals_give_their_rows_in_parts() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.batch_execute("create table t (a int primary key)").await.unwrap();
    for a in 0..10i32 {
        client.execute("insert into t values ($1)", &[&a]).await.unwrap();
    }
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("select a from t where a >= $1 order by a", &[&3i32]).await.unwrap();
    let mut parts = Vec::new();
    loop {
        let part = transaction.query_portal(&portal, 3).await.unwrap();
        if part.is_empty() {
            break;
        }
        parts.push(part.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>());
    }
    assert_eq!(parts, [vec![3, 4, 5], vec![6, 7, 8], vec![9]]);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn extended_protocol_message_by_message() {
    let server = Server::start().await;
    let (mut raw, _) = Raw::session(server.port()).await.unwrap();
    // Parse, Describe, Bind, Execute, Sync at once; results as text.
    let batch = [
        raw::parse("s", "select $1::int + 1 as n, $2::text as t"),
        raw::about('D', 'S', "s"),
        raw::bind("", "s", &[Some("41"), None], 0),
        raw::about('D', 'P', ""),
        raw::execute("", 0),
        raw::sync(),
    ];
    raw.send_bytes(&batch.concat()).await.unwrap();
    let messages = raw.until_ready().await.unwrap();
    assert_eq!(tags(&messages), "1tT2TDCZ");
    assert_eq!(messages[5].texts(), [Some("42".to_owned()), None]);

    // The same statement again, binary; then closed.
    let batch = [raw::bind("", "s", &[Some("-1"), Some("x")], 1), raw::execute("", 0), raw::sync()];
    raw.send_bytes(&batch.concat()).await.unwrap();
    let messages = raw.until_ready().await.unwrap();
    assert_eq!(tags(&messages), "2DCZ");
    assert_eq!(messages[1].values(), [Some(vec![0, 0, 0, 0]), Some(b"x".to_vec())]);

    // An error skips everything up to Sync, and the session goes on.
    let batch = [
        raw::parse("bad", "select nothing_here"),
        raw::bind("", "bad", &[], 0),
        raw::execute("", 0),
        raw::sync(),
        raw::bind("", "s", &[Some("1"), None], 0),
        raw::execute("", 0),
        raw::sync(),
    ];
    raw.send_bytes(&batch.concat()).await.unwrap();
    let messages = raw.until_ready().await.unwrap();
    assert_eq!(tags(&messages), "EZ");
    assert_eq!(messages[0].field('C').as_deref(), Some("42703"));
    assert_eq!(messages[0].field('P').as_deref(), Some("8"));
    assert_eq!(tags(&raw.until_ready().await.unwrap()), "2DCZ");

    // A named portal suspends, goes on, and is known until the transaction's end.
    let batch = [
        raw::parse("", "select 1 union all select 2 union all select 3"),
        raw::bind("p", "", &[], 0),
        raw::execute("p", 2),
        raw::execute("p", 2),
        raw::sync(),
        raw::execute("p", 0),
        raw::sync(),
    ];
    raw.send_bytes(&batch.concat()).await.unwrap();
    assert_eq!(tags(&raw.until_ready().await.unwrap()), "12DDsDCZ");
    let messages = raw.until_ready().await.unwrap();
    assert_eq!(tags(&messages), "EZ");
    assert_eq!(messages[0].field('C').as_deref(), Some("34000"));

    // Close; what is closed is unknown; closing the unknown is no error. Empty queries say so.
    let batch = [
        raw::about('C', 'S', "s"),
        raw::about('C', 'S', "s"),
        raw::parse("", ""),
        raw::bind("", "", &[], 0),
        raw::execute("", 0),
        raw::bind("", "s", &[], 0),
        raw::sync(),
    ];
    raw.send_bytes(&batch.concat()).await.unwrap();
    let messages = raw.until_ready().await.unwrap();
    assert_eq!(tags(&messages), "3312IEZ");
    assert_eq!(messages[5].field('C').as_deref(), Some("26000"));
}

#[tokio::test]
async fn ready_for_query_tells_the_transactions_state() {
    let server = Server::start().await;
    let (mut raw, _) = Raw::session(server.port()).await.unwrap();
    for (sql, state) in [
        ("select 1", b"I"),
        ("begin", b"T"),
        ("select 1", b"T"),
        ("select 1/0", b"E"),
        ("select 1", b"E"),
        ("rollback", b"I"),
        ("select 1/0", b"I"),
    ] {
        assert_eq!(raw.query(sql).await.unwrap().last().unwrap().body, state, "{sql}");
    }
}

#[tokio::test]
async fn transactions_commit_roll_back_and_fail() {
    let server = Server::start().await;
    let (mut one, two) = (server.client().await, server.client().await);
    one.batch_execute("create table t (a int primary key)").await.unwrap();

    let transaction = one.transaction().await.unwrap();
    transaction.execute("insert into t values (1)", &[]).await.unwrap();
    assert!(rows(&two, "select a from t").await.is_empty(), "not committed yet");
    transaction.commit().await.unwrap();
    assert_eq!(rows(&two, "select a from t").await, ["1"]);

    let transaction = one.transaction().await.unwrap();
    transaction.execute("insert into t values (2)", &[]).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(rows(&one, "select a from t").await, ["1"]);

    one.batch_execute("begin; insert into t values (3); savepoint s; insert into t values (4)")
        .await
        .unwrap();
    assert_eq!(error(&one, "insert into t values (1)").await.code().code(), "23505");
    assert_eq!(error(&one, "select 1").await.code().code(), "25P02");
    assert_eq!(
        error(&one, "select 1").await.message(),
        "current transaction is aborted, commands ignored until end of transaction block"
    );
    one.batch_execute("rollback to s; insert into t values (5); commit").await.unwrap();
    assert_eq!(rows(&one, "select a from t order by a").await, ["1", "3", "5"]);

    // COMMIT of a failed transaction rolls back.
    one.batch_execute("begin; insert into t values (6)").await.unwrap();
    error(&one, "select 1/0").await;
    one.batch_execute("commit").await.unwrap();
    assert_eq!(rows(&one, "select a from t order by a").await, ["1", "3", "5"]);

    // A session that goes away rolls back.
    one.batch_execute("begin; insert into t values (7)").await.unwrap();
    drop(one);
    let mut patience = 500;
    while two.execute("insert into t values (7)", &[]).await.is_err() && patience > 0 {
        patience -= 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rows(&two, "select a from t order by a").await, ["1", "3", "5", "7"]);
}

#[tokio::test]
async fn errors_carry_sqlstate_position_and_names() {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .batch_execute(
            "create table t (a int primary key, b int not null, c int check (c > 0)); \
             create table u (a int references t); insert into t values (1, 1, 1)",
        )
        .await
        .unwrap();
    for (sql, code, position, message) in [
        ("selec 1", "42601", 1, "syntax error at or near \"selec\""),
        ("select * from t where", "42601", 22, "syntax error at end of input"),
        ("select x from t", "42703", 8, "column \"x\" does not exist"),
        ("select t.x from t", "42703", 8, "column t.x does not exist"),
        ("select 'é', x from t", "42703", 13, "column \"x\" does not exist"),
        ("select * from nowhere", "42P01", 15, "relation \"nowhere\" does not exist"),
        ("select nofunction(1)", "42883", 8, "function nofunction(integer) does not exist"),
        ("select a from t group by b", "42803", 8, ""),
        ("select a, a from t, u order by a", "42702", 8, "column reference \"a\" is ambiguous"),
        ("select 'x' + 1.5", "22P02", 8, "invalid input syntax for type numeric: \"x\""),
        ("select 1 + 'x'", "22P02", 12, "invalid input syntax for type integer: \"x\""),
        ("select * from t where a = true", "42883", 25, "operator does not exist: integer = boolean"),
        ("select 1/0", "22012", 0, "division by zero"),
        ("select 2147483647 + 1", "22003", 0, "integer out of range"),
        ("select 'x'::nosuchtype", "42704", 13, "type \"nosuchtype\" does not exist"),
        ("create table t (a int)", "42P07", 0, "relation \"t\" already exists"),
        ("drop table nowhere", "42P01", 0, "table \"nowhere\" does not exist"),
        ("insert into t values (2, 2, 2, 2)", "42601", 32, "INSERT has more expressions than target columns"),
        ("set nosuch_setting = 1", "42704", 0, "unrecognized configuration parameter \"nosuch_setting\""),
        ("select (select 1 union all select 2)", "21000", 0, ""),
        ("execute nothing", "26000", 0, "prepared statement \"nothing\" does not exist"),
    ] {
        let error = error(&client, sql).await;
        assert_eq!(error.code().code(), code, "{sql}: {error:?}");
        assert_eq!(error.severity(), "ERROR", "{sql}");
        let at = match error.position() {
            Some(ErrorPosition::Original(at)) => *at,
            _ => 0,
        };
        assert_eq!(at, position, "{sql}: {error:?}");
        if !message.is_empty() {
            assert_eq!(error.message(), message, "{sql}");
        }
    }
    for (sql, code, constraint, column) in [
        ("insert into t values (1, 1, 1)", "23505", Some("t_pkey"), None),
        ("insert into t values (2, null, 1)", "23502", None, Some("b")),
        ("insert into t values (2, 1, -1)", "23514", Some("t_c_check"), None),
    ] {
        let error = error(&client, sql).await;
        assert_eq!(error.code().code(), code, "{sql}");
        assert_eq!(error.table(), Some("t"), "{sql}");
        assert_eq!(error.schema(), Some("public"), "{sql}");
        assert_eq!(error.constraint(), constraint, "{sql}");
        assert_eq!(error.column(), column, "{sql}");
    }
    assert_eq!(
        error(&client, "insert into t values (1, 1, 1)").await.detail(),
        Some("Key (a)=(1) already exists.")
    );
    let foreign = error(&client, "insert into u values (9)").await;
    assert_eq!(foreign.code().code(), "23503");
    assert_eq!(foreign.constraint(), Some("u_a_fkey"));
    assert_eq!(foreign.detail(), Some("Key (a)=(9) is not present in table \"t\"."));
}

async fn copy_in(client: &Client, sql: &str, data: &[u8]) -> Result<u64, tokio_postgres::Error> {
    let mut sink = pin!(client.copy_in(sql).await?);
    // In odd pieces: rows and characters are cut anywhere.
    for piece in data.chunks(7) {
        sink.send(Cursor::new(piece.to_vec())).await?;
    }
    sink.finish().await
}

async fn copy_out(client: &Client, sql: &str) -> String {
    let mut stream = pin!(client.copy_out(sql).await.unwrap());
    let mut data = Vec::new();
    while let Some(piece) = stream.next().await {
        data.extend_from_slice(&piece.unwrap());
    }
    String::from_utf8(data).unwrap()
}

#[tokio::test]
async fn copy_goes_in_and_out() {
    let server = Server::start().await;
    let client = server.client().await;
    client.batch_execute("create table t (a int primary key, b text, c numeric(6,2))").await.unwrap();
    let text = "1\tplain\t1.50\n2\t\\N\t\\N\n3\ttab\\there, \\\\ and\\nline\t-0.25\n4\t\t0.00\n5\té\"quoted\", yes\t9.99\n";
    assert_eq!(copy_in(&client, "copy t from stdin", text.as_bytes()).await.unwrap(), 5);
    assert_eq!(copy_out(&client, "copy t to stdout").await, text);
    let csv = "a,b,c\n1,plain,1.50\n2,,\n3,\"tab\there, \\ and\nline\",-0.25\n4,\"\",0.00\n5,\"é\"\"quoted\"\", yes\",9.99\n";
    assert_eq!(copy_out(&client, "copy t to stdout with (format csv, header)").await, csv);
    assert_eq!(
        copy_out(&client, "copy (select a, c from t where a < 3 order by a desc) to stdout").await,
        "2\t\\N\n1\t1.50\n"
    );
    client.batch_execute("truncate t").await.unwrap();
    assert_eq!(
        copy_in(&client, "copy t from stdin with (format csv, header)", csv.as_bytes()).await.unwrap(),
        5
    );
    assert_eq!(copy_out(&client, "copy t to stdout").await, text);
    client.batch_execute("truncate t").await.unwrap();
    assert_eq!(
        copy_in(&client, "copy t (b, a) from stdin with (delimiter '|', null '-')", b"x|1\n-|2\n")
            .await
            .unwrap(),
        2
    );
    assert_eq!(rows(&client, "select a, b, c from t order by a").await, ["1|x|null", "2|null|null"]);
}

#[tokio::test]
async fn a_failed_copy_stores_nothing_and_names_the_line() {
    let server = Server::start().await;
    let client = server.client().await;
    client.batch_execute("create table t (a int primary key, b int)").await.unwrap();
    for (data, code, place) in [
        ("1\t1\n2\tx\n", "22P02", "COPY t, line 2, column b: \"x\""),
        ("1\t1\n2\n", "22P04", "COPY t, line 2: \"2\""),
        ("1\t1\n2\t2\t2\n", "22P04", "COPY t, line 2: \"2\t2\t2\""),
        ("1\t1\n1\t2\n", "23505", "COPY t, line 2"),
    ] {
        let error = copy_in(&client, "copy t from stdin", data.as_bytes()).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code, "{data:?}");
        assert_eq!(error.where_(), Some(place), "{data:?}");
        assert!(rows(&client, "select * from t").await.is_empty(), "{data:?}");
    }
    {
        let mut sink = pin!(client.copy_in::<_, Cursor<Vec<u8>>>("copy t from stdin").await.unwrap());
        sink.send(Cursor::new(b"1\t1\n".to_vec())).await.unwrap();
        // Dropped without finish: CopyFail.
    }
    assert!(rows(&client, "select * from t").await.is_empty(), "the client gave up");
}

#[tokio::test]
async fn cancel_ends_a_long_query() {
    let server = Server::start().await;
    let client = server.client().await;
    client.batch_execute("create table t (a int primary key)").await.unwrap();
    let numbers: String = (0..2000).map(|a| format!("{a}\n")).collect();
    copy_in(&client, "copy t from stdin", numbers.as_bytes()).await.unwrap();
    for sql in [
        "select count(*) from t x, t y, t z where x.a + y.a + z.a = -1",
        "select x.a + y.a + z.a as n from t x, t y, t z order by n desc limit 1",
        "select x.a % 2 as k, count(*), sum(y.a - z.a) from t x, t y, t z group by k",
    ] {
        let token = client.cancel_token();
        let canceller = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await.unwrap();
            Instant::now()
        });
        let query = tokio::time::timeout(Duration::from_secs(60), client.simple_query(sql)).await;
        let ended = Instant::now();
        let error = query.expect("the query goes on after the cancel").unwrap_err();
        assert_eq!(error.code().map(|c| c.code()), Some("57014"), "{error:?}");
        let asked = canceller.await.unwrap();
        println!("cancelled after {} ms: {sql}", ended.saturating_duration_since(asked).as_millis());
        assert_eq!(rows(&client, "select count(*) from t").await, ["2000"], "the session goes on");
    }
}

#[tokio::test]
async fn ssl_request_is_answered() {
    let server = Server::start().await;
    let mut raw = Raw::open(server.port()).await.unwrap();
    raw.send_bytes(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
    assert!(matches!(raw.read_byte().await.unwrap(), b'N' | b'S'));
}

#[tokio::test]
async fn rows_larger_than_buffers_pass() {
    let server = Server::start().await;
    let client = server.client().await;
    client.batch_execute("create table t (a int primary key, b text)").await.unwrap();
    let long = "x".repeat(300_000);
    client.execute("insert into t values ($1, $2)", &[&1i32, &long]).await.unwrap();
    let back: String = client.query_one("select b from t where a = $1", &[&1i32]).await.unwrap().get(0);
    assert!(back == long);
    let many: String = (2..20_002).map(|a| format!("{a}\trow {a}\n")).collect();
    copy_in(&client, "copy t from stdin", many.as_bytes()).await.unwrap();
    assert_eq!(client.query("select a, b from t", &[]).await.unwrap().len(), 20_001);
}

#[tokio::test]
async fn a_clean_end_keeps_everything() {
    let mut server = Server::start().await;
    let client = server.client().await;
    client.batch_execute("create table t (a int primary key); insert into t values (1), (2)").await.unwrap();
    // The session is open still: SIGTERM ends it (PostgreSQL's "smart" shutdown would wait for it).
    let status = server.terminate();
    assert!(status.success(), "{status}");
    assert!(client.simple_query("select 1").await.is_err());
    server.restart().await;
    assert_eq!(rows(&server.client().await, "select a from t order by a").await, ["1", "2"]);
}
