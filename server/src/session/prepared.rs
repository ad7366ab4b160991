//! Prepared statements: parsed once, planned when first needed, planned again when the schema moved.

use std::sync::Arc;

use parser::Statement;
use parser::ast::{DeallocateStmt, ExecuteStmt, Node, PrepareStmt};
use types::{DataType, Error, Result, Schema, SqlState, Value};

use crate::session::statement::ParsedStatement;
use crate::session::{Client, Format, Session};

/// A statement under a name (or the protocol's unnamed one).
pub struct Prepared {
    /// `None` for an empty query string.
    pub statement: Option<Arc<ParsedStatement>>,
    pub parameter_types: Vec<DataType>,
    /// The result's columns; `None` when the statement returns none.
    pub schema: Option<Schema>,
    /// Made by PREPARE rather than by the protocol.
    pub from_sql: bool,
    pub prepare_time: i64,
}

impl Session {
    /// Parse: checks and types the statement. 42P05 when the name is taken, 42601 for more than one command.
    pub fn parse(&mut self, name: &str, text: &str, declared: &[u32]) -> Result<()> {
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(taken(name));
        }
        if name.is_empty() {
            self.forget_prepared("");
        }
        let mut statements = parser::parse(text)?;
        if statements.len() > 1 {
            return Err(Error::syntax("cannot insert multiple commands into a prepared statement"));
        }
        let declared = declared.iter().map(|&oid| declared_type(oid)).collect::<Result<Vec<_>>>()?;
        let prepared = match statements.pop() {
            None => Prepared {
                statement: None,
                parameter_types: Vec::new(),
                schema: None,
                from_sql: false,
                prepare_time: crate::now(),
            },
            Some(statement) => self.prepare_statement(statement, text, &declared, false)?,
        };
        Arc::make_mut(&mut self.prepared).insert(name.to_string(), Arc::new(prepared));
        Ok(())
    }

    fn prepare_statement(
        &mut self,
        statement: Statement,
        text: &str,
        declared: &[DataType],
        from_sql: bool,
    ) -> Result<Prepared> {
        if !statement.ends_failed_transaction() {
            self.check_not_failed()?;
        }
        let statement = Arc::new(ParsedStatement::new(statement, text));
        let (parameter_types, schema) = self.describe(&statement, declared)?;
        Ok(Prepared {
            statement: Some(statement),
            parameter_types,
            schema,
            from_sql,
            prepare_time: crate::now(),
        })
    }

    /// 26000.
    pub(crate) fn prepared(&self, name: &str) -> Result<Arc<Prepared>> {
        self.prepared.get(name).cloned().ok_or_else(|| {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_string()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            Error::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// Forgets a prepared statement, if there is one of the name.
    pub(crate) fn forget_prepared(&mut self, name: &str) {
        if self.prepared.contains_key(name) {
            Arc::make_mut(&mut self.prepared).remove(name);
        }
    }

    /// Describe of a statement: its parameters and its columns.
    pub fn describe_statement(&self, name: &str) -> Result<Arc<Prepared>> {
        let prepared = self.prepared(name)?;
        if prepared.schema.is_some() {
            self.check_not_failed()?;
        }
        Ok(prepared)
    }

    pub fn close_statement(&mut self, name: &str) {
        self.forget_prepared(name);
    }

    /// PREPARE name AS …
    pub(crate) fn prepare(&mut self, statement: &PrepareStmt, text: &str) -> Result<()> {
        if self.prepared.contains_key(&statement.name) {
            return Err(taken(&statement.name));
        }
        let mut declared = Vec::new();
        for name in &statement.types {
            declared.push(self.resolve_type(name)?);
        }
        let inner = Statement { node: (*statement.query).clone(), span: statement.query_text };
        let prepared = self.prepare_statement(inner, text, &declared, true)?;
        Arc::make_mut(&mut self.prepared).insert(statement.name.clone(), Arc::new(prepared));
        Ok(())
    }

    /// EXECUTE name(…): what is to be run, with which values.
    pub(crate) fn bind_execute(&mut self, statement: &ExecuteStmt) -> Result<(Arc<Prepared>, Vec<Value>)> {
        let prepared = self.prepared(&statement.name)?;
        let expected = prepared.parameter_types.len();
        if statement.args.len() != expected {
            return Err(Error::syntax(format!(
                "wrong number of parameters for prepared statement \"{}\"",
                statement.name
            ))
            .with_detail(format!("Expected {expected} parameters but got {}.", statement.args.len())));
        }
        let mut values = Vec::with_capacity(expected);
        for (arg, data_type) in statement.args.iter().zip(&prepared.parameter_types) {
            values.push(self.evaluate_argument(arg, *data_type)?);
        }
        Ok((prepared, values))
    }

    /// EXECUTE: runs the statement and sends its rows.
    pub(crate) fn execute_prepared(
        &mut self,
        statement: &ExecuteStmt,
        formats: &[Format],
        describe: bool,
        client: &mut dyn Client,
    ) -> Result<String> {
        let (prepared, values) = self.bind_execute(statement)?;
        let Some(inner) = &prepared.statement else { return Ok("EXECUTE".into()) };
        if matches!(inner.statement.node, Node::Execute(_)) {
            return Err(Error::not_supported("EXECUTE of a prepared EXECUTE"));
        }
        self.run(inner, &prepared.parameter_types, values, formats, describe, client)
    }

    pub(crate) fn deallocate(&mut self, statement: &DeallocateStmt) -> Result<()> {
        match &statement.name {
            None => Arc::make_mut(&mut self.prepared).clear(),
            Some(name) => {
                self.prepared(name)?;
                self.forget_prepared(name);
            }
        }
        Ok(())
    }
}

fn taken(name: &str) -> Error {
    Error::new(
        SqlState::DUPLICATE_PREPARED_STATEMENT,
        format!("prepared statement \"{name}\" already exists"),
    )
}

/// The type a client declares for a parameter; 0 and unknown leave it to us. 42704.
fn declared_type(oid: u32) -> Result<DataType> {
    if oid == 0 || oid == DataType::UNKNOWN.oid {
        return Ok(planner::UNDECLARED);
    }
    DataType::from_oid(oid)
        .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("type with OID {oid} does not exist")))
}
