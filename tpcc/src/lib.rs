//! TPC-C over the wire: the population, the five transactions, the consistency conditions, and a report.
//!
//! Called by the `tpcc` binary. A plain client of the PostgreSQL protocol: it knows nothing of the server
//! it talks to, so it measures PostgreSQL the same way. Numbers such as 2.4.1.5 are clauses of the TPC-C
//! specification, revision 5.11.
//!
//! ```text
//! scale, chance ─▶ data ─▶ load ─────────────────────▶ client ─▶ server
//!       └─▶ transaction (draw inputs, execute) ─▶ run ─▶ client ─▶ server
//!                                     what was acknowledged ▼
//! conditions 1–12 ─▶ verdicts ◀── the server's rows ◀── ledger        run ─▶ report
//! ```

pub mod scale;

pub mod schema;

pub mod chance;

pub mod decimal;

pub mod data;

pub mod client;

pub mod load;

pub mod transaction;

pub mod run;

pub mod ledger;

pub mod conditions;

pub mod local;

pub mod cpu;

pub mod report;

mod error;

pub use error::{Error, Result};
