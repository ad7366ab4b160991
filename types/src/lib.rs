//! The vocabulary: what two stages of a statement must agree on.
//!
//! Values, vectors and batches; the data types and their text, binary, row and key forms; the one
//! error type. Nothing here knows of tables, plans or pages.

pub mod error;
pub mod span;
pub mod sqlstate;

pub mod datatype;

pub use datatype::{DataType, Physical, TypeCategory};
pub use error::{Error, Result};
pub use span::Span;
pub use sqlstate::SqlState;
