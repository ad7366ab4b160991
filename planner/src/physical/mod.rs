//! Chooses how a logical plan is run.

pub mod plan;
