//! The operators, one kind per file.

pub mod group_table;
pub mod sub_plan;

pub mod index_scan;
pub mod scan;
pub mod values;
pub mod virtual_scan;

pub mod filter;
pub mod limit;
pub mod project;

pub mod aggregate;
pub mod append;
pub mod cte;
pub mod distinct;
pub mod function_scan;
pub mod hash_join;
pub mod index_join;
pub mod lock_rows;
pub mod nested_loop;
pub mod project_set;
pub mod recursive_union;
pub mod set_op;
pub mod sort;
pub mod top_n;
pub mod window;
