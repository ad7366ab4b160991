//! Statement and catalog in, plan out: a pure function.

pub mod context;
pub mod ddl;
pub mod logical;
pub mod physical;

pub mod binder;

pub use binder::{Bound, bind};
pub use context::{NoStatistics, PlanContext, PlannerSettings, Statistics, UNDECLARED};
