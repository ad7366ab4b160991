//! EXPLAIN: options, the run for ANALYZE, and the lines sent as rows.

use std::sync::Arc;
use std::time::Instant;

use parser::Statement;
use parser::ast::{ExplainStmt, Node};
use planner::explain::{ExplainFormat, ExplainOptions, ExplainTimes};
use types::{DataType, Error, Field, Result, Schema, Value};

use crate::session::statement::ParsedStatement;
use crate::session::{Client, Format, Session, settings};

/// The one column EXPLAIN returns.
pub(crate) fn schema(explain: &ExplainStmt) -> Result<Schema> {
    let data_type = match ExplainOptions::from_statement(explain)?.format {
        ExplainFormat::Json => DataType::JSON,
        ExplainFormat::Text | ExplainFormat::Yaml | ExplainFormat::Xml => DataType::TEXT,
    };
    Ok(Schema { fields: vec![Field::new("QUERY PLAN", data_type)] })
}

impl Session {
    pub(crate) fn explain(
        &mut self,
        explain: &ExplainStmt,
        statement: &ParsedStatement,
        parameter_types: &[DataType],
        parameters: Vec<Value>,
        formats: &[Format],
        describe: bool,
        client: &mut dyn Client,
    ) -> Result<()> {
        let options = ExplainOptions::from_statement(explain)?;
        let (inner, types, values) = match &*explain.query {
            Node::Execute(execute) => {
                let (prepared, arguments) = self.bind_execute(execute)?;
                let inner = prepared.statement.clone();
                let inner = inner.ok_or_else(|| Error::internal("an empty prepared statement"))?;
                (inner, prepared.parameter_types.clone(), arguments)
            }
            node => {
                let inner = Statement { node: node.clone(), span: statement.statement.span };
                let inner = Arc::new(ParsedStatement::new(inner, &statement.query_text));
                (inner, parameter_types.to_vec(), parameters)
            }
        };
        if !inner.statement.is_plannable() {
            return Err(Error::not_supported(format!("EXPLAIN of {}", inner.statement.command_tag()))
                .with_hint("Explain the query itself."));
        }
        let begin = Instant::now();
        let (planning, plan) = self.plan_and_lock(&inner, &types)?;
        let mut times = ExplainTimes { planning_ms: begin.elapsed().as_secs_f64() * 1e3, execution_ms: None };
        let mut stats = None;
        if options.analyze {
            let begin = Instant::now();
            let mut rows = executor::execute(&plan, self.environment(&planning, values.into(), true)?)?;
            while rows.next()?.is_some() {}
            times.execution_ms = Some(begin.elapsed().as_secs_f64() * 1e3);
            stats = Some(rows.stats());
        }
        let changed = if options.settings { self.changed_planner_settings() } else { Vec::new() };
        let lines = planner::explain::explain(&plan, &options, stats.as_deref(), times, &changed);
        let lines = lines.into_iter().map(|line| vec![line]).collect();
        self.send_text_rows(&schema(explain)?, lines, formats, describe, client)
    }

    /// Planner settings that are not at their defaults, for EXPLAIN (SETTINGS).
    fn changed_planner_settings(&self) -> Vec<(String, String)> {
        settings::SETTINGS
            .iter()
            .filter(|setting| setting.category.starts_with("Query Tuning") || setting.name == "work_mem")
            .filter_map(|setting| {
                let value = self.settings.show(setting.name).ok()?;
                let default = setting.normalize(setting.default).ok()?;
                (value != default).then(|| (setting.name.to_string(), value))
            })
            .collect()
    }
}
