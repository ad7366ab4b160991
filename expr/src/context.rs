//! What an expression may depend on besides its arguments: time, settings, parameters, chance, and
//! the host that knows sequences, users and the catalog.
//!
//! Made by the session for each statement (and by the planner, to fold constants); the executor
//! carries it. Nothing else in this crate reads a clock, a setting or a random source.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use types::text::TextContext;
use types::{Batch, DataType, Error, Result, Value, Vector};

use crate::expr::{PlanParameterId, Subquery};

/// Everything an evaluation sees that is no argument.
pub struct EvalContext<'a> {
    /// Microseconds since 2000-01-01 UTC at which the transaction began: now().
    pub transaction_time: i64,
    /// The same for the statement: statement_timestamp().
    pub statement_time: i64,
    /// The settings text forms depend on, the time zone among them.
    pub text: TextContext,
    /// `$1` is `parameters[0]`.
    pub parameters: &'a [Value],
    /// Results of init plans and outer values of correlated sub-plans, by [`PlanParameterId`].
    pub plan_parameters: Vec<Value>,
    /// State of random(); setseed() sets it.
    pub random_state: Cell<u64>,
    pub host: &'a dyn Host,
    /// Runs the subqueries that stayed inside expressions; None where there can be none.
    pub subqueries: Option<&'a dyn SubqueryRunner>,
    /// Set by another thread to stop the statement.
    pub cancel: Option<&'a AtomicBool>,
}

/// Runs a subquery that the planner left in an expression, for every row of `batch`.
pub trait SubqueryRunner {
    /// The value of `subquery` for each row; `tests` are its evaluated test expressions.
    fn run(
        &self,
        subquery: &Subquery,
        tests: &[Arc<Vector>],
        batch: &Batch,
        cx: &EvalContext<'_>,
    ) -> Result<Arc<Vector>>;
}

/// What functions ask of the session and the catalog. Arguments and results are values of the
/// function's declared types.
pub trait Host {
    /// The next value of the sequence with this OID. 42P01 if there is none, 2200H at its end.
    fn nextval(&self, sequence: u32) -> Result<i64>;
    /// 55000 before the first nextval in this session.
    fn currval(&self, sequence: u32) -> Result<i64>;
    fn setval(&self, sequence: u32, value: i64, is_called: bool) -> Result<i64>;
    /// 55000 before the first nextval in this session.
    fn lastval(&self) -> Result<i64>;

    fn current_user(&self) -> String;
    fn session_user(&self) -> String;
    fn current_database(&self) -> String;
    /// The first schema of the search path that exists.
    fn current_schema(&self) -> Option<String>;
    /// The schemas searched, with `pg_catalog` when `implicit`.
    fn current_schemas(&self, implicit: bool) -> Vec<String>;

    /// A setting's value as SHOW prints it; None when there is no such setting.
    fn setting(&self, name: &str) -> Option<String>;
    /// Sets a setting, for the transaction when `local`, and gives back the new value.
    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<String>;

    /// Microseconds since 2000-01-01 UTC right now; None: the statement's time stands in.
    fn clock_time(&self) -> Option<i64> {
        None
    }

    /// Any other function that needs the catalog or the server (`pg_get_indexdef`, `format_type`,
    /// `pg_table_is_visible`, `to_regclass`, `has_table_privilege`, `pg_sleep` …), by its SQL name;
    /// overloads show in the number and form of the arguments. An unknown one is 0A000.
    fn call(&self, name: &str, args: &[Value]) -> Result<Value> {
        let _ = args;
        Err(Error::not_supported(format!("function {name}")))
    }

    /// Reads text as a value of a type that is not built in, or a `reg…` type.
    fn value_from_text(&self, text: &str, data_type: DataType) -> Result<Value> {
        let _ = text;
        Err(Error::not_supported(format!("input of type {data_type}")))
    }

    /// Prints a value of a type that is not built in, or a `reg…` type.
    fn value_to_text(&self, value: &Value, data_type: DataType) -> Result<String> {
        let _ = value;
        Err(Error::not_supported(format!("output of type {data_type}")))
    }

    /// As `format_type` prints a type that is not built in.
    fn type_name(&self, data_type: DataType) -> Option<String> {
        let _ = data_type;
        None
    }
}

/// A host without session or catalog: for tests and for folding.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoHost;

impl Host for NoHost {
    fn nextval(&self, _sequence: u32) -> Result<i64> {
        Err(Error::not_supported("nextval without a session"))
    }
    fn currval(&self, _sequence: u32) -> Result<i64> {
        Err(Error::not_supported("currval without a session"))
    }
    fn setval(&self, _sequence: u32, _value: i64, _is_called: bool) -> Result<i64> {
        Err(Error::not_supported("setval without a session"))
    }
    fn lastval(&self) -> Result<i64> {
        Err(Error::not_supported("lastval without a session"))
    }
    fn current_user(&self) -> String {
        "postgres".to_string()
    }
    fn session_user(&self) -> String {
        "postgres".to_string()
    }
    fn current_database(&self) -> String {
        "postgres".to_string()
    }
    fn current_schema(&self) -> Option<String> {
        Some("public".to_string())
    }
    fn current_schemas(&self, implicit: bool) -> Vec<String> {
        let mut schemas = vec!["public".to_string()];
        if implicit {
            schemas.insert(0, "pg_catalog".to_string());
        }
        schemas
    }
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
    fn set_setting(&self, name: &str, _value: &str, _local: bool) -> Result<String> {
        Err(Error::not_supported(format!("setting \"{name}\" without a session")))
    }
}

static NO_HOST: NoHost = NoHost;

impl Default for EvalContext<'_> {
    fn default() -> Self {
        EvalContext::new(&NO_HOST)
    }
}

impl<'a> EvalContext<'a> {
    /// Time zero, no parameters.
    pub fn new(host: &'a dyn Host) -> EvalContext<'a> {
        EvalContext {
            transaction_time: 0,
            statement_time: 0,
            text: TextContext::default(),
            parameters: &[],
            plan_parameters: Vec::new(),
            random_state: Cell::new(0x9E37_79B9_7F4A_7C15),
            host,
            subqueries: None,
            cancel: None,
        }
    }

    /// 57014 once the statement has been told to stop. Long loops ask every few thousand steps.
    #[inline]
    pub fn check_interrupt(&self) -> Result<()> {
        match self.cancel {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::canceled()),
            _ => Ok(()),
        }
    }

    /// Sets a plan parameter, growing the table as needed.
    pub fn set_plan_parameter(&mut self, id: PlanParameterId, value: Value) {
        let index = id.0 as usize;
        if self.plan_parameters.len() <= index {
            self.plan_parameters.resize(index + 1, Value::Null);
        }
        if let Some(slot) = self.plan_parameters.get_mut(index) {
            *slot = value;
        }
    }

    /// Microseconds since 2000-01-01 UTC right now: clock_timestamp().
    pub fn clock_time(&self) -> i64 {
        self.host.clock_time().unwrap_or(self.statement_time)
    }

    /// The next random number in 0 ≤ x < 1.
    pub fn random(&self) -> f64 {
        let state = self.random_state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.random_state.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}
