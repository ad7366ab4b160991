//! ONE STATEMENT FROM TEXT TO ROWS: START READING HERE.
//!
//! ```text
//! simple_query  text → lifted.rs, or parser → run, statement by statement
//! run           transaction.rs a transaction → plan → executor → the client → its tag
//! plan          planner: cache, bind, rewrite, choose → Arc<PhysicalPlan>
//! ```
//!
//! `prepared.rs` and `portal.rs` enter at `describe`, `run` and `start_rows`; commands that are not
//! planned go to `utility.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use executor::{Environment, ExecContext, Rows, execute_ddl};
use parser::Statement;
use parser::ast::{Expr as AstExpr, Node, SelectStmt, TypeName};
use planner::cache::PlanKey;
use planner::physical::plan::PhysicalPlan;
use planner::{Bound, PlanContext};
use storage::{IsolationLevel, TableLock};
use types::text::TextContext;
use types::{DataType, Error, Result, Schema, Value};

use crate::runtime::{SessionHost, StoreStatistics};
use crate::session::settings::Derived;
use crate::session::{Client, Format, Session};
use crate::wire::encode::Severity;

/// A statement with the text its positions count in.
#[derive(Debug)]
pub struct ParsedStatement {
    pub query_text: Arc<str>,
    pub statement: Statement,
    /// Its own part of the text, as plans are found by; `None` for one that is not to be cached.
    cache_text: Option<Arc<str>>,
}

impl ParsedStatement {
    pub fn new(statement: Statement, query_text: &str) -> ParsedStatement {
        let query_text = Arc::from(query_text);
        let own = statement.text(&query_text);
        let cache_text = match own {
            "" => None,
            own if reads_the_clock(own) => None,
            own if own.len() == query_text.len() => Some(Arc::clone(&query_text)),
            own => Some(Arc::from(own)),
        };
        ParsedStatement { query_text, statement, cache_text }
    }

    /// Its plan may be kept.
    pub fn is_cached(&self) -> bool {
        self.cache_text.is_some()
    }

    /// The statement's own part of the text.
    pub fn text(&self) -> &str {
        self.statement.text(&self.query_text)
    }
}

/// The parts of the session that planning borrows.
pub(crate) struct Planning {
    pub host: Arc<SessionHost>,
    pub derived: Arc<Derived>,
    pub search_path: Vec<String>,
    pub statistics: StoreStatistics,
    pub transaction_time: i64,
    pub statement_time: i64,
}

impl Planning {
    /// Rows of a table, as the store counts them now; 0 for what is no table.
    fn rows(&self, relation: u32) -> u64 {
        let rows = planner::Statistics::row_count(&self.statistics, catalog::RelationId(relation));
        rows.map_or(0, |rows| rows as u64)
    }

    pub fn context<'a>(&'a self, query_text: &'a str, parameter_types: &'a [DataType]) -> PlanContext<'a> {
        let mut text = self.derived.text.clone();
        text.now = Some(self.transaction_time);
        PlanContext {
            catalog: self.host.catalog(),
            query_text,
            search_path: &self.search_path,
            role: self.host.role().id,
            database: self.host.catalog().database(),
            parameter_types,
            text,
            transaction_time: self.transaction_time,
            statement_time: self.statement_time,
            host: &*self.host,
            statistics: &self.statistics,
            settings: &self.derived.planner,
        }
    }
}

/// True for literals that mean another moment each time they are read.
fn reads_the_clock(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["'now", "'today", "'tomorrow", "'yesterday"].iter().any(|word| text.contains(word))
}

/// A plan made for `planned` rows still serves `now`.
fn is_like(planned: u64, now: u64) -> bool {
    now <= planned.saturating_mul(2).saturating_add(1000)
        && planned <= now.saturating_mul(2).saturating_add(1000)
}

/// A statement whose plan asks to be run again is tried this often.
const MAX_RESTARTS: usize = 10;

impl Session {
    /// A simple query: every statement of `text`, in one transaction unless it says otherwise.
    ///
    /// The first error ends it; what came before in the same implicit transaction is undone.
    pub fn simple_query(&mut self, text: &str, client: &mut dyn Client) -> Result<()> {
        self.forget_prepared("");
        self.portals.remove("");
        self.note_state(Some(text));
        let result = self.simple_query_statements(text, client);
        if result.is_err() {
            self.fail(client);
        }
        self.note_state(None);
        result
    }

    fn simple_query_statements(&mut self, text: &str, client: &mut dyn Client) -> Result<()> {
        if let Some(tag) = self.run_lifted(text, client)? {
            self.commit_implicit(client)?;
            client.command_complete(&tag);
            return Ok(());
        }
        let statements = parser::parse(text)?;
        if statements.is_empty() {
            client.empty_query();
            return Ok(());
        }
        let count = statements.len();
        for (number, statement) in statements.into_iter().enumerate() {
            if !statement.ends_failed_transaction() {
                self.check_not_failed()?;
            }
            let statement = ParsedStatement::new(statement, text);
            let tag = self.run(&statement, &[], Vec::new(), &[], true, client)?;
            if number + 1 == count {
                self.commit_implicit(client)?;
            }
            client.command_complete(&tag);
        }
        Ok(())
    }

    /// Sync: ends the implicit transaction of the messages since the last one.
    pub fn sync(&mut self, client: &mut dyn Client) -> Result<()> {
        let result = self.commit_implicit(client);
        self.note_state(None);
        result
    }

    /// A message of the extended protocol has failed.
    pub fn failed(&mut self, client: &mut dyn Client) {
        self.fail(client);
        self.note_state(None);
    }

    /// Runs one statement to its end and returns its tag. `describe`: the client has not been told the columns.
    pub(crate) fn run(
        &mut self,
        statement: &ParsedStatement,
        parameter_types: &[DataType],
        parameters: Vec<Value>,
        formats: &[Format],
        describe: bool,
        client: &mut dyn Client,
    ) -> Result<String> {
        if !statement.statement.is_plannable() {
            return self.run_utility(statement, parameter_types, parameters, formats, describe, client);
        }
        let parameters: Arc<[Value]> = parameters.into();
        let transaction = self.current_transaction()?;
        let savepoint = transaction.savepoint();
        let pending = self.pending.lock().mark();
        let mut restarts = 0;
        loop {
            let (planning, plan) = self.plan_and_lock(statement, parameter_types)?;
            let mut rows =
                executor::execute(&plan, self.environment(&planning, Arc::clone(&parameters), false)?)?;
            let has_rows =
                !plan.schema.fields.is_empty() || matches!(statement.statement.node, Node::Select(_));
            if describe && restarts == 0 && has_rows {
                client.row_description(&plan.schema, &expand(formats, &plan.schema));
            }
            let mut sent = 0;
            match self.send_rows(&mut rows, &plan, formats, client, &mut sent) {
                Ok(affected) => {
                    self.apply_host_changes(&planning.host, client)?;
                    return Ok(statement.statement.command_tag_with(sent, affected));
                }
                Err(error) if executor::is_restart(&error) && sent == 0 && restarts < MAX_RESTARTS => {
                    drop(rows);
                    transaction.undo_to(savepoint)?;
                    self.pending.lock().back_to(pending);
                    restarts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends every row; returns how many the statement changed. Rows that are locked or changed are sent when all
    /// are: one of them may ask for the statement to be run again.
    fn send_rows(
        &self,
        rows: &mut Rows,
        plan: &PhysicalPlan,
        formats: &[Format],
        client: &mut dyn Client,
        sent: &mut u64,
    ) -> Result<u64> {
        let schema = &plan.schema;
        let formats = expand(formats, schema);
        let cx = self.settings.derived().text.clone();
        let mut held = VecDeque::new();
        if !plan.is_read_only {
            while let Some(batch) = rows.next()? {
                held.push_back(batch);
            }
        }
        while let Some(batch) = if plan.is_read_only { rows.next()? } else { held.pop_front() } {
            let batch = rows.printed(batch, |column| formats.get(column) == Some(&Format::Text))?;
            client.rows(&batch, schema, &formats, &cx)?;
            *sent += batch.len() as u64;
        }
        Ok(rows.affected())
    }

    /// Starts a query whose rows will be fetched later.
    pub(crate) fn start_rows(
        &mut self,
        statement: &ParsedStatement,
        parameter_types: &[DataType],
        parameters: Vec<Value>,
    ) -> Result<Rows> {
        let (planning, plan) = self.plan_and_lock(statement, parameter_types)?;
        executor::execute(&plan, self.environment(&planning, parameters.into(), false)?)
    }

    /// Parameter types and result columns of a statement, without running it.
    pub(crate) fn describe(
        &mut self,
        statement: &ParsedStatement,
        declared: &[DataType],
    ) -> Result<(Vec<DataType>, Option<Schema>)> {
        if !statement.statement.is_plannable() {
            return Ok((declared.to_vec(), self.utility_schema(statement)?));
        }
        let implicit = !self.transaction.is_open();
        let planning = self.planning()?;
        let plan = self.plan(statement, declared, &planning)?;
        if implicit {
            debug_assert!(!self.transaction.is_open(), "planning opens no transaction");
        }
        let schema = if plan.schema.fields.is_empty() && !matches!(statement.statement.node, Node::Select(_))
        {
            None
        } else {
            Some(plan.schema.clone())
        };
        Ok((plan.parameter_types.clone(), schema))
    }

    /// The plan of a statement: from the cache, or made now.
    pub(crate) fn plan(
        &self,
        statement: &ParsedStatement,
        parameter_types: &[DataType],
        planning: &Planning,
    ) -> Result<Arc<PhysicalPlan>> {
        let cx = planning.context(&statement.query_text, parameter_types);
        // A transaction that has changed the schema plans for itself.
        let cache_text = statement.cache_text.as_ref().filter(|_| self.transaction.own_catalog().is_none());
        let version = planning.host.catalog().version();
        let key = cache_text.map(|text| PlanKey {
            text: Arc::clone(text),
            parameter_types: Arc::from(parameter_types),
            circumstances: self.circumstances(planning, &cx),
        });
        if let Some(key) = &key
            && let Some(plan) = self.server.plan_cache.get(key, version)
            && plan.planned_rows.iter().all(|(table, rows)| is_like(*rows, planning.rows(*table)))
        {
            return Ok(plan);
        }
        let begin = Instant::now();
        let mut plan = match planner::bind(&statement.statement, &cx)? {
            Bound::Query(bound) => planner::optimize(*bound, &cx)?,
            Bound::Ddl(_) | Bound::Utility => {
                return Err(Error::not_supported(statement.statement.command_tag()));
            }
        };
        plan.planned_rows = plan.depends_on.iter().map(|&table| (table, planning.rows(table))).collect();
        let plan = Arc::new(plan);
        if let Some(key) = key {
            let planning_ns = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.server.plan_cache.put(key, Arc::clone(&plan), version, planning_ns);
        }
        Ok(plan)
    }

    /// What a plan depends on besides its text, kept until a setting or the search path changes.
    pub(crate) fn circumstances(&self, planning: &Planning, cx: &PlanContext<'_>) -> u64 {
        let mut known = self.circumstances.borrow_mut();
        if let Some((derived, search_path, number)) = &*known
            && Arc::ptr_eq(derived, &planning.derived)
            && *search_path == planning.search_path
        {
            return *number;
        }
        let number = planner::cache::circumstances(cx);
        *known = Some((Arc::clone(&planning.derived), planning.search_path.clone(), number));
        number
    }

    /// The plan of a statement that is about to run, its tables locked against schema changes, and its snapshot
    /// taken: in READ COMMITTED after the locks, so that it sees what those it waited for have done.
    ///
    /// 25006 for a change in a read-only transaction.
    pub(crate) fn plan_and_lock(
        &mut self,
        statement: &ParsedStatement,
        parameter_types: &[DataType],
    ) -> Result<(Planning, Arc<PhysicalPlan>)> {
        let transaction = self.current_transaction()?;
        let is_fixed = transaction.isolation() != IsolationLevel::ReadCommitted;
        if is_fixed {
            transaction.start_statement();
        }
        loop {
            let planning = self.planning()?;
            let plan = self.plan(statement, parameter_types, &planning)?;
            if !plan.is_read_only {
                self.check_writable(&statement.statement.command_tag())?;
            }
            for (relation, changes) in plan.row_locked() {
                let mode = if changes { TableLock::RowExclusive } else { TableLock::RowShare };
                transaction.lock_table(u64::from(relation), mode, true)?;
            }
            for &relation in &plan.depends_on {
                if relation < catalog::FIRST_USER_OID {
                    continue;
                }
                let mode = if plan.targets().any(|target| target == relation) {
                    TableLock::RowExclusive
                } else {
                    TableLock::AccessShare
                };
                transaction.lock_table(u64::from(relation), mode, true)?;
            }
            // Whoever was in the way may have changed what the plan rests on.
            if Arc::ptr_eq(&self.catalog()?, planning.host.catalog()) {
                if !is_fixed {
                    transaction.start_statement();
                }
                return Ok((planning, plan));
            }
        }
    }

    /// What planning needs of this session, now.
    pub(crate) fn planning(&self) -> Result<Planning> {
        let catalog = self.catalog()?;
        let derived = Arc::clone(self.settings.derived());
        let role = self.current_role();
        let mut search_path = Vec::with_capacity(derived.search_path.len());
        for name in &derived.search_path {
            let name = if name == "$user" { &role.name } else { name };
            if catalog.schema_by_name(name).is_some() {
                search_path.push(name.clone());
            }
        }
        let statistics =
            StoreStatistics { store: Arc::clone(&self.server.store), catalog: Arc::clone(&catalog) };
        let host = Arc::new(SessionHost::new(self, catalog, &search_path));
        Ok(Planning {
            host,
            derived,
            search_path,
            statistics,
            transaction_time: self.transaction_start_time(),
            statement_time: crate::now(),
        })
    }

    /// What the executor needs of this session, now.
    pub(crate) fn environment(
        &mut self,
        planning: &Planning,
        parameters: Arc<[Value]>,
        instrument: bool,
    ) -> Result<Environment> {
        let transaction = self.current_transaction()?;
        Ok(Environment {
            store: Arc::clone(&self.server.store),
            transaction,
            catalog: Arc::clone(planning.host.catalog()),
            tables: Arc::clone(&self.server.tables),
            parameters,
            transaction_time: planning.transaction_time,
            statement_time: planning.statement_time,
            text: planning.derived.text.clone(),
            host: Arc::clone(&planning.host) as executor::SharedHost,
            runtime: Arc::clone(&planning.host) as executor::SharedRuntime,
            cancel: self.handle.cancel.flag(),
            work_mem_bytes: planning.derived.work_mem_bytes,
            memory_limit_bytes: planning.derived.memory_limit_bytes,
            temp_dir: self.server.temp_dir.clone(),
            instrument,
        })
    }

    /// Carries out a schema change. Its catalog is the transaction's own until commit.
    pub(crate) fn run_ddl(&mut self, statement: &ParsedStatement, client: &mut dyn Client) -> Result<String> {
        let tag = statement.statement.command_tag();
        self.check_writable(&tag)?;
        self.lock_schema()?;
        let transaction = self.current_transaction()?;
        transaction.start_statement();
        let (planning, bound) = loop {
            let planning = self.planning()?;
            let cx = planning.context(&statement.query_text, &[]);
            let Bound::Ddl(mut bound) = planner::bind(&statement.statement, &cx)? else {
                return Err(Error::not_supported(&tag));
            };
            super::ddl::keep_password(&mut bound)?;
            for (relation, mode) in super::ddl::locks(&bound.ddl, planning.host.catalog()) {
                transaction.lock_table(u64::from(relation.0), mode, true)?;
            }
            if Arc::ptr_eq(&self.catalog()?, planning.host.catalog()) {
                break (planning, bound);
            }
        };
        transaction.start_statement();
        for notice in &bound.notices {
            let is_warning = notice.code().0.starts_with(b"01");
            let severity = if is_warning { Severity::Warning } else { Severity::Notice };
            self.send_notice(client, severity, notice);
        }
        let environment = self.environment(&planning, Arc::from([]), false)?;
        let outcome = execute_ddl(&bound, &ExecContext::new(environment))?;
        self.apply_change(outcome.change)?;
        if let planner::ddl::Ddl::CreateTableAs(create) = bound.ddl
            && let (Some(table), Some(query)) = (outcome.created_table, create.query)
        {
            let rows = self.fill_table(table, query, &statement.query_text)?;
            return Ok(format!("SELECT {rows}"));
        }
        Ok(tag)
    }

    /// CREATE TABLE AS: the query's rows into the new table.
    fn fill_table(
        &mut self,
        table: catalog::RelationId,
        query: planner::logical::LogicalStatement,
        query_text: &str,
    ) -> Result<u64> {
        let transaction = self.current_transaction()?;
        transaction.start_statement();
        let planning = self.planning()?;
        let cx = planning.context(query_text, &[]);
        let plan = Arc::new(planner::optimize(query, &cx)?);
        let definition = planning.host.catalog().table(table).cloned();
        let definition =
            definition.ok_or_else(|| Error::internal("the table just made is not in the catalog"))?;
        let mut load =
            executor::CopyIn::for_table(&definition, self.environment(&planning, Arc::from([]), false)?)?;
        let mut rows = executor::execute(&plan, self.environment(&planning, Arc::from([]), false)?)?;
        while let Some(batch) = rows.next()? {
            load.push_batch(&batch)?;
        }
        load.finish()
    }

    /// Takes over what functions have asked of the session (set_config).
    pub(crate) fn apply_host_changes(&mut self, host: &SessionHost, client: &mut dyn Client) -> Result<()> {
        for (name, value, local) in host.take_changes() {
            self.set_setting(&name, Some(&value), local, client)?;
        }
        for warning in host.take_warnings() {
            self.send_notice(client, Severity::Warning, &warning);
        }
        Ok(())
    }

    /// A value from text, as a literal of `data_type` reads.
    pub(crate) fn literal(&self, text: &str, data_type: DataType, cx: &TextContext) -> Result<Value> {
        if expr::cast::needs_host(data_type) {
            let planning = self.planning()?;
            return expr::cast::value_from_text(text, data_type, &planning.context("", &[]).eval_context());
        }
        let mut cx = cx.clone();
        cx.now = Some(self.transaction_start_time());
        types::text::parse_text(data_type, text, &cx)
    }

    /// The value of an EXECUTE argument, cast to the parameter's type.
    pub(crate) fn evaluate_argument(&mut self, arg: &AstExpr, data_type: DataType) -> Result<Value> {
        if let AstExpr::Const(constant) = arg
            && let parser::ast::ConstValue::String(text) = &constant.value
        {
            return self.literal(text, data_type, &self.settings.derived().text);
        }
        let query = SelectStmt {
            with: None,
            body: parser::ast::SelectBody::Values(vec![vec![arg.clone()]]),
            order_by: Vec::new(),
            limit: None,
            offset: None,
            with_ties: false,
            locking: Vec::new(),
            span: types::Span::default(),
        };
        let statement = Statement { node: Node::Select(Box::new(query)), span: types::Span::default() };
        let parsed = ParsedStatement::new(statement, "");
        let mut rows = self.start_rows(&parsed, &[], Vec::new())?;
        let from = rows.schema().fields.first().map(|field| field.data_type);
        let value = rows.next()?.map(|batch| batch.column(0).value(0)).unwrap_or_default();
        drop(rows);
        let from = from.ok_or_else(|| Error::internal("an expression has no type"))?;
        let planning = self.planning()?;
        let cx = planning.context("", &[]).eval_context();
        let literal = expr::Expr::Literal { value, data_type: from, location: expr::Location(None) };
        let coercer = expr::coerce::Coercer::new(&cx, Vec::new());
        let cast =
            coercer.coerce(literal, data_type, expr::CastContext::Assignment, types::Span::default())?;
        let cast = cast.ok_or_else(|| {
            Error::new(
                types::SqlState::DATATYPE_MISMATCH,
                format!("parameter of type {from} cannot be coerced to the expected type {data_type}"),
            )
            .with_hint("You will need to rewrite or cast the expression.")
        })?;
        expr::eval_constant(&cast, &cx)
    }

    /// The type of that name. 42704.
    pub(crate) fn resolve_type(&self, name: &TypeName) -> Result<DataType> {
        planner::binder::resolve_type(name)
    }
}

/// One format per column: none given means text.
fn expand(formats: &[Format], schema: &Schema) -> Vec<Format> {
    if formats.len() == schema.fields.len() {
        formats.to_vec()
    } else {
        vec![formats.first().copied().unwrap_or_default(); schema.fields.len()]
    }
}

/// The tag with its counts.
pub(crate) trait CommandTag {
    /// `sent` rows went to the client, `affected` were changed.
    fn command_tag_with(&self, sent: u64, affected: u64) -> String;
}

impl CommandTag for Statement {
    fn command_tag_with(&self, sent: u64, affected: u64) -> String {
        let tag = self.command_tag();
        match &self.node {
            Node::Insert(_) => format!("INSERT 0 {affected}"),
            Node::Update(_) | Node::Delete(_) | Node::Merge(_) => format!("{tag} {affected}"),
            _ => format!("{tag} {sent}"),
        }
    }
}
