//! The PostgreSQL protocol: sockets on one side, a [`crate::session::Session`] on the other.

pub mod encode;
pub mod message;

pub mod auth;
pub mod connection;
pub mod listener;
pub mod query;
