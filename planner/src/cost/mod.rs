//! What a plan will cost: rows from statistics, time from measured units.
//!
//! Used by `physical/` only. `selectivity` and `cardinality` answer "how many rows", `model` "how long".

pub mod cardinality;
pub mod model;
pub mod selectivity;

pub use cardinality::{ColumnProfile, Key, Profile};
pub use model::Model;
