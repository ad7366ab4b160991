//! Names → ids, types and rights: a parsed statement and the catalog give a [`LogicalStatement`] or a
//! [`BoundDdl`].
//!
//! Called by `lib.rs` (plan) and by the session. A file per clause or statement. Rules, order of checks and
//! messages follow PostgreSQL's `parse_*.c`; `scope.rs` says how names are found.

mod aggregate;
mod call;
mod copy;
mod cte;
mod ddl;
mod ddl_alter;
mod ddl_constraint;
mod ddl_drop;
mod ddl_grant;
mod ddl_index;
mod ddl_owned;
mod ddl_role;
mod ddl_sequence;
mod ddl_table;
mod ddl_view;
mod dml;
mod expr;
mod from;
mod locking;
mod merge;
mod object_name;
mod ordering;
mod rights;
mod scope;
mod select;
mod set_operation;
mod storage_parameter;
mod stored;
mod subquery;
mod target;
mod type_name;
mod window;

pub use type_name::resolve_type;

use std::collections::{BTreeSet, HashMap};

use ::expr::{Coercer, ColumnId, Expr, SubqueryId};
use catalog::{IndexDef, RelationId, RoleId, SchemaId, TableDef};
use parser::Statement;
use parser::ast::Node;
use types::{DataType, Error, Result, Span, SqlState};

use crate::context::PlanContext;
use crate::ddl::BoundDdl;
use crate::logical::{
    BoundSubquery, Check, ColumnEntry, ColumnTable, CteId, LogicalPlan, LogicalStatement, ResultColumn,
};
use scope::Level;

pub use copy::{CopyFrom, bind_copy_from};

/// What a statement means.
#[derive(Debug)]
pub enum Bound {
    /// SELECT, INSERT, UPDATE, DELETE, MERGE: to be planned and executed.
    Query(Box<LogicalStatement>),
    /// A change of the schema.
    Ddl(BoundDdl),
    /// Transactions, settings, cursors, COPY, EXPLAIN …: the session's own.
    Utility,
}

/// Resolves everything `statement` names.
///
/// Errors carry PostgreSQL's SQLSTATE and the span of the name or operator at fault.
pub fn bind(statement: &Statement, cx: &PlanContext<'_>) -> Result<Bound> {
    bind_node(&statement.node, cx)
}

/// As [`bind`], for a statement inside another one (EXPLAIN, PREPARE, DECLARE CURSOR, COPY (query)).
pub fn bind_node(node: &Node, cx: &PlanContext<'_>) -> Result<Bound> {
    if parser::statement::is_plannable(node) {
        return Ok(Bound::Query(Box::new(bind_query(node, cx)?)));
    }
    Ok(match with_binder(cx, |binder| binder.ddl(node))? {
        Some(ddl) => Bound::Ddl(ddl),
        None => Bound::Utility,
    })
}

/// A SELECT, INSERT, UPDATE, DELETE or MERGE. 0A000 for any other statement.
pub fn bind_query(node: &Node, cx: &PlanContext<'_>) -> Result<LogicalStatement> {
    let eval = cx.eval_context();
    let coercer = Coercer::new(&eval, cx.parameter_types.to_vec());
    let mut binder = Binder::new(cx, &coercer);
    let (plan, result) = binder.top(node)?;
    binder.finish(plan, result)
}

/// An index's key columns and its condition, over `Expr::Input(i)` = the table's column `i`.
pub fn bind_index(
    table: &TableDef,
    index: &IndexDef,
    cx: &PlanContext<'_>,
) -> Result<(Vec<Expr>, Option<Expr>)> {
    with_binder(cx, |binder| binder.index_exprs(table, index, &stored::as_inputs(table)))
}

/// The table's CHECK constraints, over `Expr::Input(i)` = the table's column `i`.
pub fn bind_checks(table: &TableDef, cx: &PlanContext<'_>) -> Result<Vec<Check>> {
    with_binder(cx, |binder| binder.checks(table, &stored::as_inputs(table)))
}

/// What column `ordinal` gets when no value is given: default, next identity value, or NULL.
pub fn bind_default(table: &TableDef, ordinal: usize, cx: &PlanContext<'_>) -> Result<Expr> {
    with_binder(cx, |binder| match table.columns.get(ordinal) {
        Some(column) => binder.default_value(table, column),
        None => Err(Error::internal("column out of range")),
    })
}

fn with_binder<T>(cx: &PlanContext<'_>, f: impl FnOnce(&mut Binder<'_>) -> Result<T>) -> Result<T> {
    let eval = cx.eval_context();
    let coercer = Coercer::new(&eval, Vec::new());
    f(&mut Binder::new(cx, &coercer))
}

/// The state of binding one statement.
struct Binder<'a> {
    cx: &'a PlanContext<'a>,
    coercer: &'a Coercer<'a>,
    columns: ColumnTable,
    subqueries: Vec<BoundSubquery>,
    /// The first output column's name of each subquery: what a scalar one is called in a select list.
    subquery_names: Vec<String>,
    /// Query levels, outermost first; the last is the one being bound.
    levels: Vec<Level>,
    /// Schemas searched for unqualified names: the session's, or a view's own.
    search: Vec<SchemaId>,
    /// Whose rights count: the session's role, or a view's owner.
    acting: RoleId,
    /// What is done with which relation, to be checked at the end.
    accesses: Vec<rights::Access>,
    /// Which accesses read which of their columns when the id is used.
    readers: HashMap<ColumnId, Vec<(usize, i16)>>,
    /// Inside stored expressions (defaults, checks), whose reading needs no rights.
    stored_depth: u32,
    next_cte: u32,
    /// Views being expanded, outermost first.
    views: Vec<RelationId>,
    /// Relations read anywhere, for dependencies.
    relations: BTreeSet<RelationId>,
    /// Levels at which columns and aggregates were found since the statement began: what decides
    /// which level an aggregate belongs to.
    trace: Vec<usize>,
    /// Where each `$n` was first written.
    parameter_spans: Vec<Option<Span>>,
    /// While a view is defined: the stars of its text, and the columns they stand for.
    stars: Option<Vec<(Span, String)>>,
}

/// How deep queries may nest (sub-selects, views).
const MAX_LEVELS: usize = 200;

impl<'a> Binder<'a> {
    fn new(cx: &'a PlanContext<'a>, coercer: &'a Coercer<'a>) -> Binder<'a> {
        Binder {
            cx,
            coercer,
            columns: ColumnTable::default(),
            subqueries: Vec::new(),
            subquery_names: Vec::new(),
            levels: Vec::new(),
            search: cx.search_schemas(),
            acting: cx.role,
            accesses: Vec::new(),
            readers: HashMap::new(),
            stored_depth: 0,
            next_cte: 0,
            views: Vec::new(),
            relations: BTreeSet::new(),
            trace: Vec::new(),
            parameter_spans: Vec::new(),
            stars: None,
        }
    }

    /// The statement itself.
    fn top(&mut self, node: &Node) -> Result<(LogicalPlan, Vec<ResultColumn>)> {
        match node {
            Node::Select(select) => {
                let (query, _) = self.query(select, true)?;
                Ok((query.plan, result_columns(query.columns)))
            }
            Node::Insert(insert) => self.insert(insert).map(result_of),
            Node::Update(update) => self.update(update).map(result_of),
            Node::Delete(delete) => self.delete(delete).map(result_of),
            Node::Merge(merge) => self.merge(merge).map(result_of),
            other => Err(Error::not_supported(parser::statement::command_tag(other))),
        }
    }

    /// The statement with what was found along the way. 42501 when a right is missing.
    fn finish(self, plan: LogicalPlan, result: Vec<ResultColumn>) -> Result<LogicalStatement> {
        self.check_accesses()?;
        let parameter_types = self.coercer.parameter_types();
        for (index, data_type) in parameter_types.iter().enumerate() {
            if data_type.oid == DataType::UNKNOWN.oid {
                let error = Error::new(
                    SqlState::INDETERMINATE_DATATYPE,
                    format!("could not determine data type of parameter ${}", index + 1),
                );
                return Err(match self.parameter_spans.get(index).copied().flatten() {
                    Some(span) => error.at(span),
                    None => error,
                });
            }
        }
        Ok(LogicalStatement {
            plan,
            result,
            columns: self.columns,
            subqueries: self.subqueries,
            parameter_types,
        })
    }

    /// A new column that no table has.
    fn add_column(&mut self, name: &str, data_type: DataType) -> ColumnId {
        self.columns.add(ColumnEntry {
            name: name.to_string(),
            relation: String::new(),
            data_type,
            source: None,
        })
    }

    fn column_expr(&self, id: ColumnId) -> Expr {
        Expr::column(id, self.columns.entry(id).data_type)
    }

    fn new_cte(&mut self) -> CteId {
        let id = CteId(self.next_cte);
        self.next_cte += 1;
        id
    }

    /// Keeps a subquery's plan and names it.
    fn add_subquery(&mut self, plan: LogicalPlan, outer: Vec<ColumnId>, name: &str) -> SubqueryId {
        let id = SubqueryId(
            u32::try_from(self.subqueries.len()).expect("fewer subqueries than characters of text"),
        );
        self.subqueries.push(BoundSubquery { id, plan, outer });
        self.subquery_names.push(name.to_string());
        id
    }

    /// Begins a query level. 54001 when they nest too deep.
    fn push_level(&mut self, level: Level) -> Result<()> {
        if self.levels.len() >= MAX_LEVELS {
            return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .with_hint(format!("Queries nest at most {MAX_LEVELS} deep.")));
        }
        self.levels.push(level);
        Ok(())
    }

    fn pop_level(&mut self) -> Level {
        self.levels.pop().expect("every push_level has one pop_level")
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("expressions and clauses are bound inside a level")
    }

    fn level_index(&self) -> usize {
        self.levels.len() - 1
    }
}

fn result_of(change: dml::BoundChange) -> (LogicalPlan, Vec<ResultColumn>) {
    (change.plan, result_columns(change.columns))
}

fn result_columns(columns: Vec<select::OutputColumn>) -> Vec<ResultColumn> {
    columns
        .into_iter()
        .map(|column| ResultColumn {
            name: column.name,
            column: column.id,
            data_type: column.data_type,
            source: column.source,
        })
        .collect()
}
