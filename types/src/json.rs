//! JSON: the text form, the tree, and `jsonb`'s stored bytes.
//!
//! `json` keeps its text and is only checked ([`validate`]); `jsonb` is kept as the bytes that
//! [`Json::encode`] writes and [`Jsonb`] reads in place. Rules, order and messages are PostgreSQL's
//! (`jsonapi.c`, `jsonb_util.c`); the bytes are our own, described in [`binary`].

pub mod binary;
pub mod order;
pub mod parse;
mod print;

pub use binary::{Jsonb, JsonbKind};
pub use parse::{Raw, RawNode, parse_raw, validate};
pub(crate) use print::write_text;
pub use print::{escape, pretty};

use crate::numeric::Numeric;
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// How deep arrays and objects may nest; beyond is 54001.
pub const MAX_DEPTH: usize = 1000;

/// A JSON value as a tree: what is built and changed before it becomes bytes again.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// Finite, with the scale it was written with.
    Number(Numeric),
    String(String),
    Array(Vec<Json>),
    /// In any order, keys repeated or not: encoding sorts them and keeps the last of each.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a JSON text as jsonb does. 22P02, 22P05, 22003, 54001.
    pub fn parse(text: &str) -> Result<Json> {
        parse_raw(text, true)?.to_json()
    }

    /// The bytes of [`binary`]. 54000 when they are too many, 54001 when it nests too deep.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        binary::write(self, &mut out, 0)?;
        Ok(out)
    }
}

/// The order of an object's keys: shorter first, then by bytes.
pub fn compare_keys(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// 54001, worded as PostgreSQL does where its stack ends.
pub fn too_deep() -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_hint(format!("JSON values may nest at most {MAX_DEPTH} deep."))
}
