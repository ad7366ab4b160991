//! Simple queries that come again with other literals: neither parsed nor planned anew.
//!
//! `statement.rs` asks here first. A text's literals are lifted out (`parser::fingerprint`); where the rest has been seen
//! before, and its plan is the same for every value (`planner::physical::fixed`), it runs as a prepared statement with
//! the literals as parameters. Everything else, and whatever goes wrong on the way to a plan, is run from its text: the
//! errors are those of the text, with its positions.
//!
//! A statement is lifted for the circumstances it was bound in (search path, role, settings) and for one version of
//! the catalog: its parameters' types come from there.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use parser::ast::ConstValue;
use parser::fingerprint::{Fingerprint, Literal, LiteralKind, fingerprint};
use planner::physical::fixed::is_fixed;
use types::{DataType, Error, Result, Value};

use crate::session::statement::{ParsedStatement, Planning};
use crate::session::{Client, Session};

const SHARDS: usize = 16;
/// Texts are at most 8 KiB, their trees some times that.
const PER_SHARD: usize = 128;

/// What all sessions know of lifted texts.
pub struct LiftedStatements {
    shards: [Mutex<LruCache<Key, (u64, Known)>>; SHARDS],
    hasher: std::hash::RandomState,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// The literals' kinds are part of it, behind a zero byte.
    text: Box<str>,
    circumstances: u64,
}

/// Beside it, the catalog's version.
#[derive(Clone)]
enum Known {
    /// Once: not worth the effort yet.
    Seen,
    /// It is to be run from its text.
    Plain,
    Lifted(Arc<Lifted>),
}

struct Lifted {
    statement: ParsedStatement,
    /// Of the literals.
    types: Vec<DataType>,
}

impl Default for LiftedStatements {
    fn default() -> LiftedStatements {
        let size = NonZeroUsize::new(PER_SHARD).unwrap_or(NonZeroUsize::MIN);
        LiftedStatements {
            shards: std::array::from_fn(|_| Mutex::new(LruCache::new(size))),
            hasher: std::hash::RandomState::new(),
        }
    }
}

impl LiftedStatements {
    fn shard(&self, key: &Key) -> &Mutex<LruCache<Key, (u64, Known)>> {
        let hash = std::hash::BuildHasher::hash_one(&self.hasher, key);
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    /// `None` for what was learned under another version.
    fn get(&self, key: &Key, version: u64) -> Option<Known> {
        let mut shard = self.shard(key).lock();
        shard.get(key).filter(|(learned, _)| *learned == version).map(|(_, known)| known.clone())
    }

    fn put(&self, key: Key, version: u64, known: Known) {
        self.shard(&key).lock().put(key, (version, known));
    }
}

impl Session {
    /// Runs a simple query whose plan is known but for its literals; `None` when it is to be run from its text.
    pub(crate) fn run_lifted(&mut self, text: &str, client: &mut dyn Client) -> Result<Option<String>> {
        let Some(fingerprint) = fingerprint(text) else { return Ok(None) };
        if self.check_not_failed().is_err() || self.transaction.own_catalog().is_some() {
            return Ok(None);
        }
        let planning = self.planning()?;
        let version = planning.host.catalog().version();
        let circumstances = self.circumstances(&planning, &planning.context("", &[]));
        let key = Key { text: key_text(&fingerprint), circumstances };
        let lifted = match self.server.lifted.get(&key, version) {
            Some(Known::Lifted(lifted)) => lifted,
            Some(Known::Plain) => return Ok(None),
            Some(Known::Seen) => match self.lift(text, &fingerprint, &planning) {
                Some(lifted) => {
                    let lifted = Arc::new(lifted);
                    self.server.lifted.put(key, version, Known::Lifted(Arc::clone(&lifted)));
                    lifted
                }
                None => {
                    self.server.lifted.put(key, version, Known::Plain);
                    return Ok(None);
                }
            },
            None => {
                self.server.lifted.put(key, version, Known::Seen);
                return Ok(None);
            }
        };
        drop(planning);
        let mut values = Vec::with_capacity(lifted.types.len());
        for (literal, data_type) in fingerprint.literals.iter().zip(&lifted.types) {
            values.push(self.lifted_value(literal, *data_type)?);
        }
        // Positions in its plan are those of another text.
        let tag = self.run(&lifted.statement, &lifted.types, values, &[], true, client);
        tag.map(Some).map_err(Error::without_span)
    }

    /// The statement without its literals, if it means the same and is planned the same with any.
    fn lift(&self, text: &str, fingerprint: &Fingerprint, planning: &Planning) -> Option<Lifted> {
        let plain = ParsedStatement::new(parser::parse(text).ok()?.pop()?, text);
        let plain = self.plan(&plain, &[], planning).ok()?;
        let statement = parser::parse(&fingerprint.text).ok()?.pop()?;
        let statement = ParsedStatement::new(statement, &fingerprint.text);
        if !statement.is_cached() {
            return None;
        }
        let declared: Vec<DataType> = fingerprint.literals.iter().map(|one| declared(one.kind())).collect();
        let plan = self.plan(&statement, &declared, planning).ok()?;
        if plan.schema != plain.schema || !is_fixed(&plan) || !is_fixed(&plain) {
            return None;
        }
        let types = plan.parameter_types.clone();
        // As it will be planned from now on: with types that are known.
        let again = self.plan(&statement, &types, planning).ok()?;
        (again.schema == plain.schema && is_fixed(&again) && types.len() == declared.len())
            .then_some(Lifted { statement, types })
    }

    fn lifted_value(&self, literal: &Literal, data_type: DataType) -> Result<Value> {
        let text = match &literal.value {
            ConstValue::Integer(value) => match (i32::try_from(*value), data_type) {
                (Ok(value), DataType::INT4) => return Ok(Value::Int32(value)),
                (_, DataType::INT8) => return Ok(Value::Int64(*value)),
                _ => return Err(Error::internal("an integer literal of another type")),
            },
            ConstValue::Numeric(text) | ConstValue::String(text) => text,
            _ => return Err(Error::internal("a literal that cannot be lifted")),
        };
        self.literal(text, data_type, &self.settings.derived().text).map_err(|error| error.at(literal.span))
    }
}

fn declared(kind: LiteralKind) -> DataType {
    match kind {
        LiteralKind::Int4 => DataType::INT4,
        LiteralKind::Int8 => DataType::INT8,
        LiteralKind::Numeric => DataType::NUMERIC,
        LiteralKind::Unknown => planner::UNDECLARED,
    }
}

fn key_text(fingerprint: &Fingerprint) -> Box<str> {
    let mut text = String::with_capacity(fingerprint.text.len() + 1 + fingerprint.literals.len());
    text.push_str(&fingerprint.text);
    text.push('\0');
    text.extend(fingerprint.literals.iter().map(|literal| match literal.kind() {
        LiteralKind::Int4 => '4',
        LiteralKind::Int8 => '8',
        LiteralKind::Numeric => 'n',
        LiteralKind::Unknown => 'u',
    }));
    text.into()
}
