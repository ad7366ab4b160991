//! What went wrong, ready to be shown, and what a terminal may do about it.
//!
//! Called everywhere in this crate. A server's error keeps its SQLSTATE; the rest are sentences of our own.

use std::fmt;

use tokio_postgres::error::{ErrorPosition, SqlState};

/// An error: its text, and the server's code where the server sent one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub text: String,
    pub sqlstate: Option<SqlState>,
    /// The connection is gone: what was under way may or may not have been done.
    pub disconnected: bool,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(text: impl Into<String>) -> Error {
        Error { text: text.into(), sqlstate: None, disconnected: false }
    }

    /// The same error, after words that say where it happened.
    pub fn within(mut self, place: impl fmt::Display) -> Error {
        self.text = format!("{place}: {}", self.text);
        self
    }

    /// Whether the same transaction may succeed when it is tried again: 40001 or 40P01.
    pub fn is_transient(&self) -> bool {
        let code = self.sqlstate.as_ref();
        code == Some(&SqlState::T_R_SERIALIZATION_FAILURE) || code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::new(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Error {
    /// The server's own words with the SQLSTATE, position, detail and hint; or the client's, with their cause.
    fn from(error: tokio_postgres::Error) -> Error {
        let Some(db) = error.as_db_error() else {
            let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
            let io = std::error::Error::source(&error).is_some_and(|c| c.is::<std::io::Error>());
            let disconnected = error.is_closed() || io;
            return Error { text: format!("{error}{cause}"), sqlstate: None, disconnected };
        };
        let mut text = format!("{} {}: {}", db.severity(), db.code().code(), db.message());
        if let Some(ErrorPosition::Original(position)) = db.position() {
            text.push_str(&format!(" (at character {position})"));
        }
        if let Some(detail) = db.detail() {
            text.push_str(&format!("; detail: {detail}"));
        }
        if let Some(hint) = db.hint() {
            text.push_str(&format!("; hint: {hint}"));
        }
        Error { text, sqlstate: Some(db.code().clone()), disconnected: false }
    }
}
