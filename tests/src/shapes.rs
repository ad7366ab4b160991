//! Tables that come, change and go while the server may be killed at any moment.
//!
//! Called by `crash.rs`. Each table has one task that changes it step by step: DDL, COPY, TRUNCATE, changes of
//! every row, and big transactions that roll back. Its `Shape` says all that can be seen of it; a step goes from
//! one shape to the next, so that after a kill the table must have the shape before the step that was under way
//! or the one after it, and nothing else.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::SinkExt as _;
use tokio_postgres::{Client, Error};

use crate::chance::Chance;

/// What a table looks like; every row follows from its id and `version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// It has the rows 0 up to, not including, this.
    pub rows: i64,
    /// How often all rows have been changed.
    pub version: i64,
    /// The column `extra` is there, with its default in every row.
    pub extra: bool,
    /// `version` is a bigint, not an int: the table has been rewritten.
    pub wide: bool,
    /// Indexes on (version, id) and on payload, which the rows' own size makes many pages.
    pub by_version: bool,
    pub by_payload: bool,
}

/// A table, or its absence.
pub type State = Option<Shape>;

const NEW: Shape =
    Shape { rows: 0, version: 0, extra: false, wide: false, by_version: false, by_payload: false };

/// At most so many rows: a step should end before the kill more often than not.
const ROWS_MOST: i64 = 12_000;

/// One table and what its task knows of it.
#[derive(Debug, Clone)]
pub struct Shaped {
    pub name: String,
    /// As acknowledged.
    pub state: State,
    /// What it may be instead: the step that was not acknowledged.
    pub next: Option<State>,
    pub steps: u64,
}

/// What a step does, as SQL, with the state after it.
enum Step {
    Sql(Vec<String>, State),
    /// Creates the table if it is not there, and copies rows, all in one transaction.
    Copy {
        create: Option<String>,
        from: i64,
        to: i64,
    },
    /// Changes much, and takes it back.
    RollBack(Vec<String>),
}

impl Shaped {
    pub fn new(name: impl Into<String>) -> Shaped {
        Shaped { name: name.into(), state: None, next: None, steps: 0 }
    }

    /// Takes step after step until the server goes away.
    pub async fn run(mut self, client: Client, stop: Arc<AtomicBool>, mut chance: Chance) -> Shaped {
        while !stop.load(Ordering::Relaxed) {
            let step = self.step(&mut chance);
            let after = match &step {
                Step::Sql(_, after) => *after,
                Step::Copy { to, .. } => Some(Shape { rows: *to, ..self.state.unwrap_or(NEW) }),
                Step::RollBack(_) => self.state,
            };
            self.next = Some(after);
            match self.take(&client, step).await {
                Ok(()) => {
                    self.state = after;
                    self.steps += 1;
                }
                Err(error) if error.as_db_error().is_some() && !client.is_closed() => {
                    // A deadlock or the like; what else would be a bug of this test or of the server.
                    let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
                    assert!(["40001", "40P01", "57P01"].contains(&code.as_str()), "{self:?}: {error:?}");
                    let _ = client.batch_execute("rollback").await;
                }
                Err(_) => return self,
            }
            self.next = None;
        }
        self
    }

    fn create(&self, chance: &mut Chance) -> String {
        // With a key of its own, or by hidden row ids.
        let key = if chance.below(2) == 0 { " primary key" } else { "" };
        format!("create table {} (id bigint not null{key}, version int not null, payload text)", self.name)
    }

    fn step(&self, chance: &mut Chance) -> Step {
        let name = &self.name;
        let Some(shape) = self.state else {
            let create = self.create(chance);
            return match chance.below(3) {
                0 => Step::Sql(vec![create], Some(NEW)),
                1 => Step::Copy { create: Some(create), from: 0, to: 1 + chance.below(5_000) as i64 },
                _ => Step::RollBack(vec![create, self.insert(0, 3_000, NEW)]),
            };
        };
        let (rows, version) = (shape.rows, shape.version);
        let one = |sql: String, shape: Shape| Step::Sql(vec![sql], Some(shape));
        match chance.below(16) {
            0..=2 if rows < ROWS_MOST => {
                Step::Copy { create: None, from: rows, to: rows + 1 + chance.below(5_000) as i64 }
            }
            3 => {
                let to = rows + 1 + chance.below(500) as i64;
                one(self.insert(rows, to, shape), Shape { rows: to, ..shape })
            }
            4 => one(self.update(version + 1), Shape { version: version + 1, ..shape }),
            5 => {
                let left = chance.below(rows as u64 + 1) as i64;
                one(format!("delete from {name} where id >= {left}"), Shape { rows: left, ..shape })
            }
            6 => one(format!("truncate {name}"), Shape { rows: 0, ..shape }),
            7 if shape.extra => {
                one(format!("alter table {name} drop column extra"), Shape { extra: false, ..shape })
            }
            7 => one(
                format!("alter table {name} add column extra int not null default 7"),
                Shape { extra: true, ..shape },
            ),
            8 => {
                let wider = if shape.wide { "int" } else { "bigint" };
                one(
                    format!("alter table {name} alter column version type {wider}"),
                    Shape { wide: !shape.wide, ..shape },
                )
            }
            9 if shape.by_version => {
                one(format!("drop index {name}_version"), Shape { by_version: false, ..shape })
            }
            9 => one(
                format!("create unique index {name}_version on {name} (version, id)"),
                Shape { by_version: true, ..shape },
            ),
            10 if shape.by_payload => {
                one(format!("drop index {name}_payload"), Shape { by_payload: false, ..shape })
            }
            10 => one(
                format!("create index {name}_payload on {name} (payload)"),
                Shape { by_payload: true, ..shape },
            ),
            11 => Step::Sql(vec![format!("drop table {name}")], None),
            // Several at once: all or nothing.
            12 => Step::Sql(
                vec![
                    format!("truncate {name}"),
                    format!("drop index if exists {name}_payload"),
                    self.insert(0, 700, shape),
                ],
                Some(Shape { rows: 700, by_payload: false, ..shape }),
            ),
            13 => Step::RollBack(vec![
                format!("truncate {name}"),
                format!("alter table {name} rename to {name}_other"),
                format!("create table {name} (never text)"),
            ]),
            14 => Step::RollBack(vec![
                format!("create index {name}_never on {name} (payload, version)"),
                self.update(version + 1),
            ]),
            _ => Step::RollBack(vec![
                self.update(version + 1),
                self.insert(rows, rows + 4_000, shape),
                format!("delete from {name} where id % 2 = 0"),
            ]),
        }
    }

    fn insert(&self, from: i64, to: i64, shape: Shape) -> String {
        let Shape { version, .. } = shape;
        let (name, payload) = (&self.name, payload_sql("id", &version.to_string()));
        format!(
            "insert into {name} (id, version, payload) select id, {version}, {payload} from generate_series({from}, {}) id",
            to - 1
        )
    }

    fn update(&self, version: i64) -> String {
        let payload = payload_sql("id", &version.to_string());
        format!("update {} set version = {version}, payload = {payload}", self.name)
    }

    async fn take(&self, client: &Client, step: Step) -> Result<(), Error> {
        match step {
            Step::Sql(statements, _) => match &statements[..] {
                [one] => client.batch_execute(one).await,
                several => client.batch_execute(&format!("begin; {}; commit", several.join("; "))).await,
            },
            Step::RollBack(statements) => {
                client.batch_execute("begin").await?;
                for statement in statements {
                    client.batch_execute(&statement).await?;
                }
                // A long one is acknowledged before it is undone.
                client.batch_execute("rollback").await
            }
            Step::Copy { create, from, to } => {
                client.batch_execute("begin").await?;
                if let Some(create) = create {
                    client.batch_execute(&create).await?;
                }
                let version = self.state.map_or(0, |shape| shape.version);
                let copy = format!("copy {} (id, version, payload) from stdin", self.name);
                let mut sink = pin!(client.copy_in(&copy).await?);
                let mut rows = String::new();
                for id in from..to {
                    rows.push_str(&format!("{id}\t{version}\t{}\n", payload(id, version)));
                    if rows.len() > 8_000 || id + 1 == to {
                        sink.send(Cursor::new(std::mem::take(&mut rows).into_bytes())).await?;
                    }
                }
                sink.finish().await?;
                client.batch_execute("commit").await
            }
        }
    }

    /// Panics unless the table is what it was or what the last step would have made of it; settles which.
    pub async fn check(&mut self, client: &Client) {
        let found = self.found(client).await;
        let allowed: Vec<State> = [Some(self.state), self.next].into_iter().flatten().collect();
        assert!(allowed.contains(&found), "{self:?}: found {found:?}");
        self.state = found;
        self.next = None;
    }

    async fn found(&self, client: &Client) -> State {
        let name = &self.name;
        let columns = format!(
            "select column_name::text || ' ' || data_type::text from information_schema.columns where table_name = '{name}' order by 1"
        );
        let columns = texts(client, &columns).await;
        let others =
            format!("select relname::text from pg_class where relname in ('{name}_other', '{name}_never')");
        assert!(texts(client, &others).await.is_empty(), "{self:?}: what was rolled back is there");
        let indexes = format!(
            "select indexname::text from pg_indexes where tablename = '{name}' and indexname in ('{name}_version', '{name}_payload')"
        );
        let indexes = texts(client, &indexes).await;
        if columns.is_empty() {
            assert!(indexes.is_empty(), "{self:?}: indexes without their table: {indexes:?}");
            return None;
        }
        let has = |column: &str| columns.iter().any(|found| found == column);
        let (wide, extra) = (has("version bigint"), has("extra integer"));
        assert_eq!(columns.len(), 3 + usize::from(extra), "{self:?}: {columns:?}");
        // Over the whole row, so that no index has it.
        let wrong = payload_sql("id", "version");
        let extra_is_wrong = if extra { " or extra is distinct from 7" } else { "" };
        let sql = format!(
            "select count(*), count(distinct id), coalesce(min(id), 0), coalesce(max(id) + 1, 0), coalesce(min(version), -1)::bigint, coalesce(max(version), -1)::bigint, \
             count(*) filter (where payload is distinct from {wrong}{extra_is_wrong}) from {name}"
        );
        let row = client.query_one(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let [count, distinct, first, end, oldest, newest, wrong]: [i64; 7] =
            std::array::from_fn(|column| row.get(column));
        assert_eq!((first, count, distinct), (0, end, end), "{self:?}: rows are missing or twice there");
        assert_eq!(wrong, 0, "{self:?}: rows are not what was written");
        assert_eq!(oldest, newest, "{self:?}: some rows are older than others");
        // An empty table says nothing of its version: either will do.
        let known = [Some(self.state), self.next].into_iter().flatten().flatten().next();
        let version = if count == 0 { known.map_or(0, |shape| shape.version) } else { newest };
        let has = |index: &str| indexes.contains(&format!("{name}_{index}"));
        let (by_version, by_payload) = (has("version"), has("payload"));
        for (there, indexed) in [(by_version, "version >= 0"), (by_payload, "payload >= ''")] {
            if there {
                let sql =
                    format!("select count(*), coalesce(sum(id), 0)::bigint from {name} where {indexed}");
                let row = client.query_one(&sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
                let (by_index, sum): (i64, i64) = (row.get(0), row.get(1));
                assert_eq!((by_index, sum), (count, count * (count - 1) / 2), "{self:?}: {sql}");
            }
        }
        Some(Shape { rows: count, version, extra, wide, by_version, by_payload })
    }
}

async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

/// A row's payload, and the same as SQL.
fn payload(id: i64, version: i64) -> String {
    format!("{id}:{version}{}", "x".repeat((id % 90) as usize))
}

fn payload_sql(id: &str, version: &str) -> String {
    format!("{id} || ':' || {version} || repeat('x', ({id} % 90)::int)")
}
