//! EXPLAIN: a physical plan, with what it did if it ran, in PostgreSQL's words and shapes.
//!
//! Called by the session for EXPLAIN. Node and property names, indentation and JSON keys are
//! PostgreSQL 15's, so that pev2, depesz and the like read the output. Where an operator of ours is two
//! nodes of PostgreSQL's (a hash join and its Hash, a join by look-ups and its Index Scan, a top-N sort
//! and its Limit), both are shown; projections, which PostgreSQL folds into nodes, are not. What is ours
//! alone stands under keys that begin with `Cairn`.

mod expression;
mod format;
mod tree;

use parser::ast::{DefValue, ExplainStmt};
use types::{Error, Result, SqlState};

use crate::physical::plan::{NodeStats, PhysicalPlan};

/// What to show, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainOptions {
    pub analyze: bool,
    pub verbose: bool,
    pub costs: bool,
    pub settings: bool,
    pub buffers: bool,
    pub wal: bool,
    pub timing: bool,
    pub summary: bool,
    pub format: ExplainFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainFormat {
    Text,
    Json,
    Yaml,
    Xml,
}

impl Default for ExplainOptions {
    /// Plain EXPLAIN.
    fn default() -> ExplainOptions {
        ExplainOptions {
            analyze: false,
            verbose: false,
            costs: true,
            settings: false,
            buffers: false,
            wal: false,
            timing: false,
            summary: false,
            format: ExplainFormat::Text,
        }
    }
}

impl ExplainOptions {
    /// As written. 42601 for an unknown option, 22023 for a value that is none of its, or one that needs
    /// ANALYZE.
    pub fn from_statement(statement: &ExplainStmt) -> Result<ExplainOptions> {
        let mut options = ExplainOptions::default();
        let (mut timing, mut summary) = (None, None);
        for option in &statement.options {
            let flag = || boolean(option.value.as_ref(), &option.name).map_err(|error| error.at(option.span));
            match option.name.as_str() {
                "analyze" => options.analyze = flag()?,
                "verbose" => options.verbose = flag()?,
                "costs" => options.costs = flag()?,
                "settings" => options.settings = flag()?,
                "buffers" => options.buffers = flag()?,
                "wal" => options.wal = flag()?,
                "timing" => timing = Some(flag()?),
                "summary" => summary = Some(flag()?),
                "format" => {
                    let name = match &option.value {
                        Some(DefValue::Word(name) | DefValue::String(name)) => name.to_lowercase(),
                        _ => String::new(),
                    };
                    options.format = match name.as_str() {
                        "text" => ExplainFormat::Text,
                        "json" => ExplainFormat::Json,
                        "yaml" => ExplainFormat::Yaml,
                        "xml" => ExplainFormat::Xml,
                        _ => {
                            return Err(Error::new(
                                SqlState::INVALID_PARAMETER_VALUE,
                                format!("unrecognized value for EXPLAIN option \"format\": \"{name}\""),
                            )
                            .at(option.span));
                        }
                    };
                }
                name => {
                    return Err(
                        Error::syntax(format!("unrecognized EXPLAIN option \"{name}\"")).at(option.span)
                    );
                }
            }
        }
        let needs_analyze = |name: &str| {
            Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("EXPLAIN option {name} requires ANALYZE"),
            ))
        };
        if options.wal && !options.analyze {
            return needs_analyze("WAL");
        }
        if timing == Some(true) && !options.analyze {
            return needs_analyze("TIMING");
        }
        options.timing = timing.unwrap_or(options.analyze);
        options.summary = summary.unwrap_or(options.analyze);
        Ok(options)
    }
}

fn boolean(value: Option<&DefValue>, name: &str) -> Result<bool> {
    let wrong = || Error::syntax(format!("{name} requires a Boolean value"));
    match value {
        None => Ok(true),
        Some(DefValue::Integer(0)) => Ok(false),
        Some(DefValue::Integer(1)) => Ok(true),
        Some(DefValue::Word(word) | DefValue::String(word)) => match word.to_lowercase().as_str() {
            "true" | "on" => Ok(true),
            "false" | "off" => Ok(false),
            _ => Err(wrong()),
        },
        Some(_) => Err(wrong()),
    }
}

/// How long the stages took, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExplainTimes {
    pub planning_ms: f64,
    pub execution_ms: Option<f64>,
}

/// The plan as lines of text (one element for JSON, YAML and XML, with line breaks in it, as
/// PostgreSQL sends them). `stats` are indexed by `NodeId`. `settings`: changed planner settings, for
/// the option of that name.
pub fn explain(
    plan: &PhysicalPlan,
    options: &ExplainOptions,
    stats: Option<&[NodeStats]>,
    times: ExplainTimes,
    settings: &[(String, String)],
) -> Vec<String> {
    let root = tree::Builder::new(plan, options, stats).root();
    match options.format {
        ExplainFormat::Text => format::text(&root, options, times, settings),
        ExplainFormat::Json => vec![format::json(&root, options, times, settings)],
        ExplainFormat::Yaml => vec![format::yaml(&root, options, times, settings)],
        ExplainFormat::Xml => vec![format::xml(&root, options, times, settings)],
    }
}
