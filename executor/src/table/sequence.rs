//! nextval and setval.
//!
//! Not transactional, as in PostgreSQL: a value once given out is never given out again, whatever
//! becomes of the transaction. Values are reserved in the store some at a time, in a transaction of
//! their own, so a crash skips at most [`RESERVED`] of them. A sequence without a record has never been
//! used: creating one writes nothing here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::catalog::{RelationId, SequenceDef};
use parking_lot::Mutex;
use storage::{Store, Transaction, TransactionOptions, wait};
use types::{Error, Result, SqlState};

use crate::table::{put, trees};

/// PostgreSQL's `SEQ_LOG_VALS`.
const RESERVED: i64 = 32;

/// How long nextval waits for a transaction that is dropping the sequence (55P03).
const DROP_WAIT: Duration = Duration::from_secs(1);

/// The sequences in use, for one store. Called by the session's `Host`.
pub struct Sequences {
    store: Arc<Store>,
    states: Mutex<HashMap<RelationId, State>>,
}

/// `last` was given out if `called`, else it is the next. The store already says that everything up to
/// `reserved` may have been.
#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    last: i64,
    called: bool,
    reserved: i64,
}

impl Sequences {
    pub(crate) fn new(store: Arc<Store>) -> Sequences {
        Sequences { store, states: Mutex::default() }
    }

    /// The next value. 2200H past the end of a sequence that does not cycle.
    pub fn nextval(&self, sequence: &SequenceDef) -> Result<i64> {
        let mut states = self.states.lock();
        let mut state = match states.get(&sequence.id) {
            Some(state) => *state,
            None => self.load(sequence)?,
        };
        let next = if state.called { following(sequence, state.last)? } else { state.last };
        let passed = |limit: i64| if sequence.increment > 0 { next > limit } else { next < limit };
        let wrapped = state.called && (next > state.last) != (sequence.increment > 0);
        if !state.called || wrapped || passed(state.reserved) {
            state.reserved = reservation(sequence, next);
            self.save(sequence.id, state.reserved, true)?;
        }
        state.last = next;
        state.called = true;
        states.insert(sequence.id, state);
        Ok(next)
    }

    /// Sets the last value (or the next, unless `called`). 22003 outside the sequence's bounds.
    pub fn setval(&self, sequence: &SequenceDef, value: i64, called: bool) -> Result<i64> {
        if value < sequence.min || value > sequence.max {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    sequence.name, sequence.min, sequence.max
                ),
            ));
        }
        let mut states = self.states.lock();
        self.save(sequence.id, value, called)?;
        states.insert(sequence.id, State { last: value, called, reserved: value });
        Ok(value)
    }

    /// `last_value` and `is_called`, as `SELECT * FROM sequence` shows them.
    pub fn current(&self, sequence: &SequenceDef) -> Result<(i64, bool)> {
        let mut states = self.states.lock();
        let state = match states.get(&sequence.id) {
            Some(state) => *state,
            None => self.load(sequence)?,
        };
        states.insert(sequence.id, state);
        Ok((state.last, state.called))
    }

    /// Forgets a dropped sequence, with its record in `transaction`.
    pub(crate) fn forget(&self, sequence: RelationId, transaction: &Transaction) -> Result<()> {
        let _ = transaction.delete(trees::SEQUENCES, &sequence.0.to_be_bytes())?;
        Ok(())
    }

    fn load(&self, sequence: &SequenceDef) -> Result<State> {
        let transaction = self.store.begin(Default::default());
        transaction.start_statement();
        let stored = transaction.get(trees::SEQUENCES, &sequence.id.0.to_be_bytes(), decode)?.transpose()?;
        transaction.rollback()?;
        Ok(match stored {
            Some((last, called)) => State { last, called, reserved: last },
            None => State { last: sequence.start, called: false, reserved: sequence.start },
        })
    }

    fn save(&self, id: RelationId, last: i64, called: bool) -> Result<()> {
        wait::blocking(|| self.save_blocking(id, last, called))
    }

    fn save_blocking(&self, id: RelationId, last: i64, called: bool) -> Result<()> {
        let key = id.0.to_be_bytes();
        // The states' mutex is held, so this statement must not be suspended here; and whoever drops the
        // sequence right now may be a statement of this very thread, so it is not waited for long.
        let timeout = TransactionOptions { lock_timeout: Some(DROP_WAIT), ..TransactionOptions::default() };
        let transaction = self.store.begin(timeout);
        transaction.start_statement();
        let exists = transaction.get(trees::SEQUENCES, &key, |_| ())?.is_some();
        let mut record = last.to_be_bytes().to_vec();
        record.push(u8::from(called));
        put(&transaction, trees::SEQUENCES, &key, &record, exists)?;
        transaction.commit()
    }
}

fn decode(record: &[u8]) -> Result<(i64, bool)> {
    match record.split_first_chunk::<8>() {
        Some((last, [called])) => Ok((i64::from_be_bytes(*last), *called != 0)),
        _ => Err(Error::corrupted("malformed sequence record")),
    }
}

/// The value after `last`. 2200H at the end.
fn following(sequence: &SequenceDef, last: i64) -> Result<i64> {
    let next = last.checked_add(sequence.increment).filter(|n| (sequence.min..=sequence.max).contains(n));
    let (edge, limit, restart) = if sequence.increment > 0 {
        ("maximum", sequence.max, sequence.min)
    } else {
        ("minimum", sequence.min, sequence.max)
    };
    match next {
        Some(next) => Ok(next),
        None if sequence.cycle => Ok(restart),
        None => Err(Error::new(
            SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
            format!("nextval: reached {edge} value of sequence \"{}\" ({limit})", sequence.name),
        )),
    }
}

/// The last value to reserve together with `next`.
fn reservation(sequence: &SequenceDef, next: i64) -> i64 {
    let ahead = sequence.increment.saturating_mul(RESERVED);
    next.saturating_add(ahead).clamp(sequence.min, sequence.max)
}
