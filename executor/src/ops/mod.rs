//! The operators, one kind per file.

pub mod cte;
pub mod rows;
pub mod sub_plan;
