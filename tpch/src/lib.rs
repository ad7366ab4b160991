//! TPC-H over the wire: the data, the 22 queries, the check of their answers, and a report.
//!
//! Called by the `tpch` binary, and by tests that want its parts. A plain client of the PostgreSQL
//! protocol: it knows nothing of the server it talks to, so it measures PostgreSQL the same way.
//!
//! ```text
//! schema ─▶ data ─▶ load ─▶ client ─▶ server
//! queries ─────────▶ run ─▶ client ─▶ server
//! stored answers ─▶ answer::check ◀── the server's rows ─▶ report
//! ```

pub mod schema;

pub mod data;

pub mod queries;

pub mod answer;

pub mod client;

pub mod load;

pub mod run;

pub mod local;

pub mod report;

use std::fmt;

/// What went wrong, ready to be shown: a server's error with its SQLSTATE, or a sentence of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(message: impl Into<String>) -> Error {
        Error(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Error {
    /// The server's own words with the SQLSTATE, position, detail and hint; or the client's, with their cause.
    fn from(error: tokio_postgres::Error) -> Error {
        let Some(db) = error.as_db_error() else {
            let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
            return Error(format!("{error}{cause}"));
        };
        let mut text = format!("{} {}: {}", db.severity(), db.code().code(), db.message());
        if let Some(tokio_postgres::error::ErrorPosition::Original(position)) = db.position() {
            text.push_str(&format!(" (at character {position})"));
        }
        if let Some(detail) = db.detail() {
            text.push_str(&format!("; detail: {detail}"));
        }
        if let Some(hint) = db.hint() {
            text.push_str(&format!("; hint: {hint}"));
        }
        Error(text)
    }
}
