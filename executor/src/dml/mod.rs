//! INSERT, UPDATE, DELETE, MERGE and COPY: rows changed with their index entries and constraints.

pub mod constraint;
pub mod foreign_key;

pub mod delete;
pub mod insert;
pub mod merge;
pub mod update;

pub mod copy;

use types::{Error, SqlState};

/// The message of the error that asks for a restart; never seen by a client.
const RESTART: &str = "could not re-check a row changed by a concurrent transaction";

/// True for the error that asks the session to run the statement again: under READ COMMITTED a row was
/// changed by another transaction and the plan cannot re-check it alone. The session rolls back to the
/// savepoint before the statement, calls `start_statement` and executes the plan anew; after a few
/// attempts it reports the error (40001) as it is.
pub fn is_restart(error: &Error) -> bool {
    error.code() == SqlState::SERIALIZATION_FAILURE && error.message() == RESTART
}

/// 40001, for which [`is_restart`] holds.
pub(crate) fn restart() -> Error {
    Error::new(SqlState::SERIALIZATION_FAILURE, RESTART).with_hint("Retry the transaction.")
}
