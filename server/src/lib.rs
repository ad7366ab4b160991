//! Sessions and sockets: what turns the engine into a server.
//!
//! `wire` speaks the protocol, `session` runs statements (start reading in `session/statement.rs`),
//! `login` decides who may come in, `database` holds what sessions share, `scheduler` decides who runs when.
//! `check` verifies a directory that no server has open.

pub mod admin;
pub mod check;
pub mod config;
pub mod database;
pub mod login;
pub mod notify;
pub mod runtime;
pub mod scheduler;
pub mod session;
pub mod wire;

/// Microseconds since 2000-01-01 UTC.
pub fn now() -> i64 {
    const UNIX_TO_2000_MICROS: i64 = 946_684_800_000_000;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX) - UNIX_TO_2000_MICROS
}
