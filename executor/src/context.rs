//! What a running statement is given: transaction, catalog, parameters, budget, cancel flag.
//!
//! The session fills an [`Environment`] for each statement and turns it into an [`ExecContext`], which
//! every operator, DDL, COPY and ANALYZE take by reference. Nothing here is a socket or SQL text.
//! Waits happen inside `storage`, through its `Waiter` seam.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use catalog::{Catalog, Runtime};
use expr::{EvalContext, Expr, Host, PlanParameterId};
use parking_lot::Mutex;
use planner::physical::plan::{NodeId, NodeStats, PhysicalPlan};
use planner::{NoStatistics, PlanContext, PlannerSettings};
use storage::{Store, Transaction};
use types::{Batch, Error, Result, TextContext, Value, Vector};

use crate::dml::foreign_key::{ReferencedKeys, ReferencingKeys};
use crate::memory::{Memory, Reservation};
use crate::ops::cte::CteStates;
use crate::ops::sub_plan::SubPlanStates;
use crate::table::Tables;

/// A [`Host`] that statements of any thread may hold.
pub type SharedHost = Arc<dyn Host + Send + Sync>;

/// The live facts behind virtual tables, as any thread may hold them.
pub type SharedRuntime = Arc<dyn Runtime + Send + Sync>;

/// Everything a statement depends on besides its plan. Cheap to clone.
#[derive(Clone)]
pub struct Environment {
    pub store: Arc<Store>,
    /// The caller has called `start_statement` on it.
    pub transaction: Arc<Transaction>,
    /// As this transaction sees it.
    pub catalog: Arc<Catalog>,
    /// What the executor remembers of tables between statements; one per database.
    pub tables: Arc<Tables>,
    /// `$1…`, of the plan's parameter types.
    pub parameters: Arc<[Value]>,
    /// now(), and statement_timestamp(): microseconds since 2000-01-01 UTC.
    pub transaction_time: i64,
    pub statement_time: i64,
    /// How values read in messages (`Key (a)=(1) already exists.`).
    pub text: TextContext,
    pub host: SharedHost,
    /// Answers virtual tables (`pg_stat_activity`, `pg_settings`).
    pub runtime: SharedRuntime,
    /// Set by another thread to stop the statement with 57014.
    pub cancel: Arc<AtomicBool>,
    /// What one operator may hold before it spills.
    pub work_mem_bytes: usize,
    /// What the statement may hold in all; beyond it fails with 53200.
    pub memory_limit_bytes: usize,
    /// Where operators spill; made when first needed.
    pub temp_dir: PathBuf,
    /// Collect [`NodeStats`] (EXPLAIN ANALYZE).
    pub instrument: bool,
}

/// One execution of one statement.
pub struct ExecContext {
    statement: Arc<StatementState>,
    plan_parameters: RefCell<Vec<Value>>,
    random_state: Cell<u64>,
}

/// What all operators of a statement share, correlated sub-plans included.
struct StatementState {
    environment: Environment,
    memory: Arc<Memory>,
    plan: Option<Arc<PhysicalPlan>>,
    sub_plans: SubPlanStates,
    ctes: CteStates,
    affected: AtomicU64,
    /// Foreign keys to look at when all changes of the statement are made.
    at_end: Mutex<Vec<(ReferencingKeys, ReferencedKeys)>>,
    stats: Mutex<Vec<NodeStats>>,
}

impl ExecContext {
    pub fn new(environment: Environment) -> ExecContext {
        ExecContext::with_plan(environment, None)
    }

    pub(crate) fn with_plan(environment: Environment, plan: Option<Arc<PhysicalPlan>>) -> ExecContext {
        let memory = Memory::new(environment.work_mem_bytes, environment.memory_limit_bytes);
        let seed = environment.statement_time as u64 ^ environment.transaction.id().rotate_left(32);
        let parameters = plan.as_ref().map_or(0, |plan| plan.plan_parameters);
        ExecContext {
            statement: Arc::new(StatementState {
                sub_plans: SubPlanStates::new(plan.as_ref().map_or(0, |plan| plan.sub_plans.len())),
                ctes: CteStates::default(),
                environment,
                memory,
                plan,
                affected: AtomicU64::new(0),
                at_end: Mutex::new(Vec::new()),
                stats: Mutex::new(Vec::new()),
            }),
            plan_parameters: RefCell::new(vec![Value::Null; parameters]),
            random_state: Cell::new(seed),
        }
    }

    /// For a correlated sub-plan: the same statement, with plan parameters of its own.
    pub(crate) fn child(&self, plan_parameters: Vec<Value>) -> ExecContext {
        let random = self.random_state.get().wrapping_add(0x2545_F491_4F6C_DD1D);
        self.random_state.set(random);
        ExecContext {
            statement: self.statement.clone(),
            plan_parameters: RefCell::new(plan_parameters),
            random_state: Cell::new(random.rotate_left(17)),
        }
    }

    pub fn environment(&self) -> &Environment {
        &self.statement.environment
    }

    pub fn transaction(&self) -> &Arc<Transaction> {
        &self.statement.environment.transaction
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.statement.environment.catalog
    }

    pub fn tables(&self) -> &Tables {
        &self.statement.environment.tables
    }

    pub(crate) fn plan(&self) -> Result<&Arc<PhysicalPlan>> {
        self.statement.plan.as_ref().ok_or_else(|| Error::internal("no plan is being executed"))
    }

    pub(crate) fn sub_plans(&self) -> &SubPlanStates {
        &self.statement.sub_plans
    }

    pub(crate) fn ctes(&self) -> &CteStates {
        &self.statement.ctes
    }

    /// 57014 once the statement has been told to stop. Operators ask at batch boundaries.
    #[inline]
    pub fn check_interrupt(&self) -> Result<()> {
        if self.statement.environment.cancel.load(Ordering::Relaxed) {
            return Err(Error::canceled());
        }
        // Its time may be up, or it may be somebody else's turn on this thread.
        storage::wait::check_interrupt()
    }

    pub fn reserve(&self) -> Reservation {
        self.statement.memory.reserve()
    }

    pub fn peak_memory_bytes(&self) -> usize {
        self.statement.memory.peak_bytes()
    }

    /// Rows inserted, updated or deleted so far by the statement itself (not by its CTEs).
    pub fn affected(&self) -> u64 {
        self.statement.affected.load(Ordering::Relaxed)
    }

    pub(crate) fn add_affected(&self, rows: u64) {
        self.statement.affected.fetch_add(rows, Ordering::Relaxed);
    }

    /// Takes the count back to what it was: what a CTE changes does not count.
    pub(crate) fn set_affected(&self, rows: u64) {
        self.statement.affected.store(rows, Ordering::Relaxed);
    }

    /// True when several parts of the statement change rows, so that one may bring what another refers to.
    pub(crate) fn has_several_changes(&self) -> bool {
        self.statement.plan.as_ref().is_some_and(|plan| plan.targets().count() > 1)
    }

    /// Keeps the checks of a change until the statement has made all of its changes: they need a snapshot
    /// of then, and the statement's other parts the one they began with.
    pub(crate) fn check_at_end(&self, referencing: ReferencingKeys, referenced: ReferencedKeys) {
        self.statement.at_end.lock().push((referencing, referenced));
    }

    /// Makes the checks that [`ExecContext::check_at_end`] has kept. 23503.
    pub(crate) fn finish_changes(&self) -> Result<()> {
        let kept = std::mem::take(&mut *self.statement.at_end.lock());
        for (mut referencing, mut referenced) in kept {
            referencing.finish(self)?;
            referenced.finish(self)?;
        }
        Ok(())
    }

    /// Calls `f` with the context that expressions are evaluated in.
    pub fn with_eval<R>(&self, f: impl FnOnce(&EvalContext<'_>) -> R) -> R {
        let environment = &self.statement.environment;
        let mut cx = EvalContext::new(&*environment.host);
        cx.transaction_time = environment.transaction_time;
        cx.statement_time = environment.statement_time;
        cx.text = environment.text.clone();
        cx.parameters = &environment.parameters;
        cx.plan_parameters = self.plan_parameters.take();
        cx.random_state.set(self.random_state.get());
        cx.subqueries = Some(self);
        cx.cancel = Some(&environment.cancel);
        let result = f(&cx);
        self.random_state.set(cx.random_state.get());
        self.plan_parameters.replace(cx.plan_parameters);
        result
    }

    /// Calls `f` with the context that stored expressions (defaults, checks, index keys) are bound in.
    pub(crate) fn with_planning<R>(&self, f: impl FnOnce(&PlanContext<'_>) -> R) -> R {
        let environment = &self.statement.environment;
        f(&PlanContext {
            catalog: &environment.catalog,
            query_text: "",
            search_path: &[],
            role: environment.runtime.current_role(),
            database: environment.catalog.database(),
            parameter_types: &[],
            text: environment.text.clone(),
            transaction_time: environment.transaction_time,
            statement_time: environment.statement_time,
            host: &*environment.host,
            statistics: &NoStatistics,
            settings: &PlannerSettings::default(),
        })
    }

    /// The value of `expr` for each row of `batch`. An input column costs a reference count.
    pub fn eval(&self, expr: &Expr, batch: &Batch) -> Result<Arc<Vector>> {
        if let Expr::Input { position, .. } = expr
            && let Some(column) = batch.columns().get(*position)
        {
            return Ok(column.clone());
        }
        self.with_eval(|cx| expr::eval(expr, batch, cx))
    }

    pub fn eval_all(&self, exprs: &[Expr], batch: &Batch) -> Result<Vec<Arc<Vector>>> {
        exprs.iter().map(|expr| self.eval(expr, batch)).collect()
    }

    /// The value of an expression without input.
    pub fn eval_constant(&self, expr: &Expr) -> Result<Value> {
        match expr {
            Expr::Literal { value, .. } => Ok(value.clone()),
            Expr::Parameter { index, .. } => {
                self.statement.environment.parameters.get(*index).cloned().ok_or_else(|| {
                    Error::new(
                        types::SqlState::UNDEFINED_PARAMETER,
                        format!("there is no parameter ${}", index + 1),
                    )
                })
            }
            Expr::PlanParameter { id, .. } => Ok(self.plan_parameter(*id)),
            _ => self.with_eval(|cx| expr::eval_constant(expr, cx)),
        }
    }

    /// The rows of `batch` for which all of `predicate` holds; `None` when that is every row.
    pub fn filter(&self, predicate: &[Expr], batch: &Batch) -> Result<Option<Vec<u32>>> {
        let mut selected: Option<Vec<u32>> = None;
        for conjunct in predicate {
            match &mut selected {
                None => {
                    let rows = self.with_eval(|cx| expr::eval_predicate(conjunct, batch, cx))?;
                    if rows.len() < batch.len() {
                        selected = Some(rows);
                    }
                }
                Some(rows) if rows.is_empty() => break,
                Some(rows) => {
                    let narrowed = batch.gather(rows);
                    let kept = self.with_eval(|cx| expr::eval_predicate(conjunct, &narrowed, cx))?;
                    if kept.len() < rows.len() {
                        *rows = kept.iter().map(|&row| rows[row as usize]).collect();
                    }
                }
            }
        }
        Ok(selected)
    }

    /// `batch` without the rows for which `predicate` does not hold; `None` when none is left.
    pub fn filter_batch(&self, predicate: &[Expr], batch: Batch) -> Result<Option<Batch>> {
        if predicate.is_empty() {
            return Ok(Some(batch));
        }
        Ok(match self.filter(predicate, &batch)? {
            None => Some(batch),
            Some(rows) if rows.is_empty() => None,
            Some(rows) => Some(batch.gather(&rows)),
        })
    }

    pub(crate) fn plan_parameter(&self, id: PlanParameterId) -> Value {
        self.plan_parameters.borrow().get(id.0 as usize).cloned().unwrap_or_default()
    }

    pub(crate) fn set_plan_parameter(&self, id: PlanParameterId, value: Value) {
        let mut parameters = self.plan_parameters.borrow_mut();
        let index = id.0 as usize;
        if parameters.len() <= index {
            parameters.resize(index + 1, Value::Null);
        }
        if let Some(slot) = parameters.get_mut(index) {
            *slot = value;
        }
    }

    /// Changes what is known of node `id`; only called when instrumented.
    pub(crate) fn update_stats(&self, id: NodeId, update: impl FnOnce(&mut NodeStats)) {
        let mut stats = self.statement.stats.lock();
        let index = id.0 as usize;
        if stats.len() <= index {
            stats.resize_with(index + 1, NodeStats::default);
        }
        if let Some(entry) = stats.get_mut(index) {
            update(entry);
        }
    }

    pub(crate) fn is_instrumented(&self) -> bool {
        self.statement.environment.instrument
    }

    pub(crate) fn stats(&self) -> Vec<NodeStats> {
        self.statement.stats.lock().clone()
    }
}
