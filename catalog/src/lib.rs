//! The schema as a value: immutable, versioned, shared.

pub mod object;

pub use object::*;
