//! The vocabulary: what two stages of a statement must agree on.
//!
//! Values, vectors and batches; the data types and their text, binary, row and key forms; the one
//! error type. Nothing here knows of tables, plans or pages.

pub mod error;
pub mod span;
pub mod sqlstate;

pub mod datatype;
pub mod datetime;
pub mod json;
pub mod jsonpath;
pub mod numeric;
pub mod value;

pub mod batch;
pub mod hash;
pub mod vector;

pub mod key;
pub mod row;
pub mod text;

pub use batch::{BATCH_SIZE, Batch, Field, Schema};
pub use datatype::{DataType, Physical, TypeCategory};
pub use datetime::{Interval, TimeZone};
pub use error::{Error, Result};
pub use json::{Json, Jsonb};
pub use numeric::Numeric;
pub use span::Span;
pub use sqlstate::SqlState;
pub use text::TextContext;
pub use value::{ArrayValue, Value};
pub use vector::{Data, Strings, Validity, Vector, VectorBuilder};
