//! The schema as a value: immutable, versioned, shared.
//!
//! A [`Catalog`] is what one database holds, as one transaction sees it. It moves only by
//! [`Catalog::apply`]ing a [`CatalogChange`]; `record` is its stored form; `system` shows it as
//! PostgreSQL's `pg_catalog` and `information_schema`.

pub mod object;

pub mod acl;
pub mod stats;

pub mod catalog;
pub mod change;

pub mod bootstrap;
pub mod record;

pub mod runtime;
pub mod system;

pub use catalog::{Catalog, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC, Relation};
pub use change::{CatalogChange, Object, ObjectId};
pub use object::*;
pub use runtime::Runtime;
pub use stats::{ColumnStats, TableStats};
pub use system::{SystemContext, VirtualTable};
