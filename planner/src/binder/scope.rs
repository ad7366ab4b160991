//! Finds what a name means: columns, whole rows, relations; and says what the user may have meant.
//!
//! A [`Level`] is one SELECT (or UPDATE, …) being bound. Its items are what FROM put there; a name is looked
//! for in the innermost level first, then outwards, until a barrier (a view sees nothing of its user).
//! A column found further out is noted in every level between, which makes those correlated.
//! Follows PostgreSQL's `parse_relation.c`, hints included.

use std::sync::Arc;

use catalog::{RelationId, TableDef};
use expr::{AggregateCall, ColumnId, Expr, TableFunctionCall, WindowCall};
use parser::ast;
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::cte::CteBinding;
use crate::logical::WindowSpec;

/// Which clause is being bound: what it allows, and what errors call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    SelectList,
    Where,
    Having,
    GroupBy,
    OrderBy,
    DistinctOn,
    Limit,
    Offset,
    JoinOn,
    FromFunction,
    FromSubselect,
    Values,
    InsertValues,
    UpdateSource,
    MergeWhen,
    Returning,
    Filter,
    WindowPartition,
    WindowOrder,
    WindowFrameRows,
    WindowFrameRange,
    WindowFrameGroups,
    Check,
    Default,
    IndexExpression,
    IndexPredicate,
    Generated,
    AlterType,
    CopyWhere,
}

impl Clause {
    /// The end of "aggregate functions are not allowed in …"; `None` where they are.
    pub(super) fn refuses_aggregates(self) -> Option<&'static str> {
        Some(match self {
            Clause::SelectList
            | Clause::Having
            | Clause::OrderBy
            | Clause::DistinctOn
            | Clause::WindowPartition
            | Clause::WindowOrder => return None,
            Clause::JoinOn => "JOIN conditions",
            Clause::FromFunction => "functions in FROM",
            Clause::FromSubselect => "FROM clause of their own query level",
            Clause::WindowFrameRows => "window ROWS",
            Clause::WindowFrameRange => "window RANGE",
            Clause::WindowFrameGroups => "window GROUPS",
            other => other.name(),
        })
    }

    /// The end of "window functions are not allowed in …"; `None` where they are.
    pub(super) fn refuses_windows(self) -> Option<&'static str> {
        Some(match self {
            Clause::SelectList | Clause::OrderBy | Clause::DistinctOn => return None,
            Clause::JoinOn => "JOIN conditions",
            Clause::FromFunction => "functions in FROM",
            Clause::WindowPartition
            | Clause::WindowOrder
            | Clause::WindowFrameRows
            | Clause::WindowFrameRange
            | Clause::WindowFrameGroups => "window definitions",
            other => other.name(),
        })
    }

    /// The end of "set-returning functions are not allowed in …"; `None` where they are.
    pub(super) fn refuses_sets(self) -> Option<&'static str> {
        Some(match self {
            Clause::SelectList | Clause::OrderBy | Clause::DistinctOn | Clause::GroupBy => return None,
            Clause::JoinOn => "JOIN conditions",
            Clause::WindowPartition
            | Clause::WindowOrder
            | Clause::WindowFrameRows
            | Clause::WindowFrameRange
            | Clause::WindowFrameGroups => "window definitions",
            other => other.name(),
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Clause::SelectList => "SELECT",
            Clause::Where => "WHERE",
            Clause::Having => "HAVING",
            Clause::GroupBy => "GROUP BY",
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::JoinOn => "JOIN/ON",
            Clause::FromFunction => "function in FROM",
            Clause::FromSubselect => "sub-SELECT in FROM",
            Clause::Values | Clause::InsertValues => "VALUES",
            Clause::UpdateSource => "UPDATE",
            Clause::MergeWhen => "MERGE WHEN conditions",
            Clause::Returning => "RETURNING",
            Clause::Filter => "FILTER",
            Clause::WindowPartition => "PARTITION BY",
            Clause::WindowOrder => "window ORDER BY",
            Clause::WindowFrameRows => "window ROWS",
            Clause::WindowFrameRange => "window RANGE",
            Clause::WindowFrameGroups => "window GROUPS",
            Clause::Check => "check constraints",
            Clause::Default => "DEFAULT expressions",
            Clause::IndexExpression => "index expressions",
            Clause::IndexPredicate => "index predicates",
            Clause::Generated => "column generation expressions",
            Clause::AlterType => "transform expressions",
            Clause::CopyWhere => "COPY FROM WHERE conditions",
        }
    }
}

/// One query level.
pub(super) struct Level {
    pub items: Vec<Item>,
    /// Every relation that stands anywhere in FROM, also where joins hide it: for hints.
    pub relations: Vec<RelationEntry>,
    pub ctes: Vec<CteBinding>,
    /// CTEs of this WITH that are not bound yet: for hints.
    pub later_ctes: Vec<String>,
    pub clause: Clause,
    /// Items that only LATERAL may see can be seen now.
    pub lateral_active: bool,
    /// Names are not looked for beyond this level.
    pub barrier: bool,
    /// Columns of outer levels that were used here or further in; may repeat.
    pub outer: Vec<ColumnId>,
    /// Columns of this level that were used laterally, from further right in FROM; may repeat.
    pub lateral: Vec<ColumnId>,
    /// Uses of this level's own columns, in the order of the text.
    pub uses: Vec<(ColumnId, Span)>,
    pub aggregates: Vec<(ColumnId, AggregateCall)>,
    pub windows: Vec<(WindowSpec, Vec<(ColumnId, WindowCall)>)>,
    /// The WINDOW clause as bound.
    pub named_windows: Vec<super::window::NamedWindow>,
    pub set_calls: Vec<(ColumnId, TableFunctionCall)>,
    /// Columns that are computed above the groups: windows and sets.
    pub above_groups: Vec<ColumnId>,
    pub groupings: Vec<(ColumnId, Vec<(Expr, Span)>)>,
    /// Binding the arguments of an aggregate of this level.
    pub in_aggregate: bool,
    /// Binding the arguments of a window function of this level.
    pub in_window: bool,
    /// Set-returning calls are refused here, and this is why (inside CASE, COALESCE, aggregates).
    pub no_sets: Option<&'static str>,
}

impl Level {
    pub(super) fn new() -> Level {
        Level {
            items: Vec::new(),
            relations: Vec::new(),
            ctes: Vec::new(),
            later_ctes: Vec::new(),
            clause: Clause::SelectList,
            lateral_active: false,
            barrier: false,
            outer: Vec::new(),
            lateral: Vec::new(),
            uses: Vec::new(),
            aggregates: Vec::new(),
            windows: Vec::new(),
            named_windows: Vec::new(),
            set_calls: Vec::new(),
            above_groups: Vec::new(),
            groupings: Vec::new(),
            in_aggregate: false,
            in_window: false,
            no_sets: None,
        }
    }
}

/// Something in FROM that names may refer to.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub name: String,
    /// The relation, when it goes by its own name: what `schema.name.column` must match.
    pub relation: Option<RelationId>,
    /// The relation itself, for `tableoid`.
    pub table: Option<RelationId>,
    pub columns: Vec<ItemColumn>,
    /// `name.column` may refer to it.
    pub relation_visible: bool,
    /// `column` alone may.
    pub columns_visible: bool,
    pub lateral_only: bool,
    pub lateral_ok: bool,
    /// A function's one column of a plain type: the name means that value, not a row of it.
    pub is_scalar: bool,
}

#[derive(Debug, Clone)]
pub(super) struct ItemColumn {
    pub name: String,
    /// Usually a plain column; a cast or COALESCE for columns that USING merged.
    pub expr: Expr,
}

/// A relation of FROM as hints know it.
#[derive(Debug, Clone)]
pub(super) struct RelationEntry {
    pub name: String,
    /// The relation's own name when it goes by another.
    pub hidden_name: Option<String>,
    pub columns: Vec<String>,
    /// For a base table: its definition and the id of each column by ordinal.
    pub table: Option<(Arc<TableDef>, Vec<(ColumnId, usize)>)>,
}

/// What a column reference came to.
pub(super) enum Reference {
    Column(Expr),
    /// A relation's name: its whole row.
    Row(Item),
}

impl Binder<'_> {
    /// What `a`, `t.a`, `s.t.a` means.
    pub(super) fn resolve(&mut self, reference: &ast::ColumnRef) -> Result<Reference> {
        let span = reference.span;
        match reference.fields.as_slice() {
            [column] => {
                if let Some(expr) = self.find_column(column, span)? {
                    return Ok(Reference::Column(expr));
                }
                match self.find_item(None, column, span)? {
                    Some((level, index)) => {
                        let item = self.use_whole_row(level, index, span);
                        Ok(match item.columns.as_slice() {
                            [only] if item.is_scalar => Reference::Column(only.expr.clone()),
                            _ => Reference::Row(item),
                        })
                    }
                    None => Err(self.missing_column(None, column, span)),
                }
            }
            [relation, column] => self.resolve_qualified(None, relation, column, span),
            [schema, relation, column] => self.resolve_qualified(Some(schema), relation, column, span),
            [catalog, schema, relation, column] => {
                self.check_catalog_name(catalog, &reference.fields, span)?;
                self.resolve_qualified(Some(schema), relation, column, span)
            }
            _ => Err(Error::syntax(format!(
                "improper qualified name (too many dotted names): {}",
                reference.fields.join(".")
            ))
            .at(span)),
        }
    }

    fn resolve_qualified(
        &mut self,
        schema: Option<&str>,
        relation: &str,
        column: &str,
        span: Span,
    ) -> Result<Reference> {
        let Some((level, index)) = self.find_item(schema, relation, span)? else {
            return Err(self.missing_relation(relation, span));
        };
        match self.find_in_item(level, index, column, span)? {
            Some(expr) => Ok(Reference::Column(expr)),
            None => Err(self.missing_column(Some(relation), column, span)),
        }
    }

    /// 0A000 unless `name` is the current database.
    pub(super) fn check_catalog_name(&self, name: &str, whole: &[String], span: Span) -> Result<()> {
        let current = self.cx.catalog.databases().find(|database| database.id == self.cx.database);
        if current.is_some_and(|database| database.name == name) {
            return Ok(());
        }
        Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cross-database references are not implemented: {}", whole.join(".")),
        )
        .at(span))
    }

    /// An unqualified column. 42702 when two of one level fit.
    fn find_column(&mut self, name: &str, span: Span) -> Result<Option<Expr>> {
        for depth in (0..self.levels.len()).rev() {
            let Some(level) = self.levels.get(depth) else { break };
            let mut found: Option<(usize, usize)> = None;
            for (index, item) in level.items.iter().enumerate() {
                if !item.columns_visible || (item.lateral_only && !level.lateral_active) {
                    continue;
                }
                let mut matches = item.columns.iter().enumerate().filter(|(_, column)| column.name == name);
                if let Some((position, _)) = matches.next() {
                    if found.is_some() || matches.next().is_some() {
                        return Err(ambiguous_column(name, span));
                    }
                    found = Some((index, position));
                }
            }
            if let Some((index, position)) = found {
                self.check_lateral(depth, index, span)?;
                return Ok(Some(self.use_column(depth, index, position, span)));
            }
            let mut tables =
                level.items.iter().filter(|item| item.relation_visible).filter_map(|item| item.table);
            if let (Some(table), None) = (tables.next(), tables.next())
                && let Some(expr) = system_column(table, name, span)?
            {
                return Ok(Some(expr));
            }
            if level.barrier {
                break;
            }
        }
        Ok(None)
    }

    /// A relation in scope by name: its level and position there. 42P09 when two of one level fit.
    pub(super) fn find_item(
        &self,
        schema: Option<&str>,
        name: &str,
        span: Span,
    ) -> Result<Option<(usize, usize)>> {
        let wanted = match schema {
            None => None,
            Some(schema) => {
                let Some(schema) = self.cx.catalog.schema_by_name(schema) else { return Ok(None) };
                match self.cx.catalog.relation_in(schema.id, name) {
                    Some(relation) => Some(relation.id()),
                    None => return Ok(None),
                }
            }
        };
        for depth in (0..self.levels.len()).rev() {
            let Some(level) = self.levels.get(depth) else { break };
            let mut found = None;
            for (index, item) in level.items.iter().enumerate() {
                if !item.relation_visible
                    || (item.lateral_only && !level.lateral_active)
                    || item.name != name
                    || (wanted.is_some() && item.relation != wanted)
                {
                    continue;
                }
                if found.is_some() {
                    return Err(Error::new(
                        SqlState::AMBIGUOUS_ALIAS,
                        format!("table reference \"{name}\" is ambiguous"),
                    )
                    .at(span));
                }
                found = Some((depth, index));
            }
            if let Some((depth, index)) = found {
                self.check_lateral(depth, index, span)?;
                return Ok(Some((depth, index)));
            }
            if level.barrier {
                break;
            }
        }
        Ok(None)
    }

    /// 42P10 for a lateral reference across a RIGHT or FULL join.
    fn check_lateral(&self, depth: usize, index: usize, span: Span) -> Result<()> {
        match self.levels.get(depth).and_then(|level| level.items.get(index)) {
            Some(item) if item.lateral_only && !item.lateral_ok => Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("invalid reference to FROM-clause entry for table \"{}\"", item.name),
            )
            .with_detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
            .at(span)),
            _ => Ok(()),
        }
    }

    /// A column of one item, system columns included. 42702 when two fit.
    fn find_in_item(&mut self, depth: usize, index: usize, column: &str, span: Span) -> Result<Option<Expr>> {
        let Some(item) = self.levels.get(depth).and_then(|level| level.items.get(index)) else {
            return Ok(None);
        };
        let mut matches = item.columns.iter().enumerate().filter(|(_, c)| c.name == column);
        let first = matches.next().map(|(position, _)| position);
        if matches.next().is_some() {
            return Err(ambiguous_column(column, span));
        }
        match first {
            Some(position) => Ok(Some(self.use_column(depth, index, position, span))),
            None => match item.table {
                Some(table) => system_column(table, column, span),
                None => Ok(None),
            },
        }
    }

    fn use_column(&mut self, depth: usize, index: usize, position: usize, span: Span) -> Expr {
        let item = self.levels.get(depth).and_then(|level| level.items.get(index));
        let Some((expr, lateral)) = item.and_then(|item| {
            item.columns.get(position).map(|column| (column.expr.clone(), item.lateral_only))
        }) else {
            return Expr::null(DataType::UNKNOWN);
        };
        self.note_use(depth, &expr, lateral, span);
        expr
    }

    /// Records that `expr`, which belongs to level `depth`, is used by the innermost level.
    pub(super) fn note_use(&mut self, depth: usize, expr: &Expr, lateral: bool, span: Span) {
        self.trace.push(depth);
        let columns = expr.columns();
        self.note_read(&columns);
        for level in self.levels.iter_mut().skip(depth + 1) {
            level.outer.extend(&columns);
        }
        if let Some(level) = self.levels.get_mut(depth) {
            if lateral {
                level.lateral.extend(&columns);
            }
            level.uses.extend(columns.iter().map(|id| (*id, span)));
        }
    }

    fn use_whole_row(&mut self, depth: usize, index: usize, span: Span) -> Item {
        let item = self
            .levels
            .get(depth)
            .and_then(|level| level.items.get(index))
            .cloned()
            .expect("find_item gave a position that exists");
        for column in &item.columns {
            self.note_use(depth, &column.expr, item.lateral_only, span);
        }
        item
    }

    /// The item `name.*` stands for, with its columns noted as used.
    pub(super) fn star_item(&mut self, fields: &[String], span: Span) -> Result<Item> {
        let (schema, name) = match fields {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            [catalog, schema, name] => {
                self.check_catalog_name(catalog, fields, span)?;
                (Some(schema.as_str()), name)
            }
            _ => {
                return Err(Error::syntax(format!(
                    "improper qualified name (too many dotted names): {}",
                    fields.join(".")
                ))
                .at(span));
            }
        };
        match self.find_item(schema, name, span)? {
            Some((level, index)) => Ok(self.use_whole_row(level, index, span)),
            None => Err(self.missing_relation(name, span)),
        }
    }

    // ---- what to say when there is nothing ----

    /// 42703, with PostgreSQL's guess at what was meant.
    pub(super) fn missing_column(&self, relation: Option<&str>, column: &str, span: Span) -> Error {
        let message = match relation {
            Some(relation) => format!("column {relation}.{column} does not exist"),
            None => format!("column \"{column}\" does not exist"),
        };
        let error = Error::new(SqlState::UNDEFINED_COLUMN, message).at(span);
        let mut guess = Guess { distance: MAX_FUZZY_DISTANCE + 1, first: None, second: None };
        for level in self.levels.iter().rev() {
            for entry in &level.relations {
                let penalty = match relation {
                    Some(relation) => levenshtein(relation, &entry.name),
                    None => 0,
                };
                if penalty == 0 && entry.columns.iter().any(|name| name == column) {
                    return error.with_hint(format!(
                        "There is a column named \"{column}\" in table \"{}\", but it cannot be referenced from this part of the query.",
                        entry.name
                    ));
                }
                for name in &entry.columns {
                    guess.consider(penalty, &entry.name, column, name);
                }
            }
            if level.barrier {
                break;
            }
        }
        match (guess.first, guess.second) {
            (Some((table, name)), None) => error
                .with_hint(format!("Perhaps you meant to reference the column \"{table}.{name}\".")),
            (Some((table, name)), Some((table2, name2))) => error.with_hint(format!(
                "Perhaps you meant to reference the column \"{table}.{name}\" or the column \"{table2}.{name2}\"."
            )),
            _ => error,
        }
    }

    /// 42P01 for `name.column` when nothing in scope is called `name`.
    fn missing_relation(&self, name: &str, span: Span) -> Error {
        for level in self.levels.iter().rev() {
            for entry in &level.relations {
                if entry.hidden_name.as_deref() == Some(name) {
                    let visible = level.items.iter().any(|item| {
                        item.name == entry.name
                            && item.relation_visible
                            && (!item.lateral_only || level.lateral_active)
                    });
                    let error = Error::new(
                        SqlState::UNDEFINED_TABLE,
                        format!("invalid reference to FROM-clause entry for table \"{name}\""),
                    )
                    .at(span);
                    return if visible {
                        error.with_hint(format!(
                            "Perhaps you meant to reference the table alias \"{}\".",
                            entry.name
                        ))
                    } else {
                        error.with_hint(unreachable_entry(name))
                    };
                }
                if entry.name == name {
                    return Error::new(
                        SqlState::UNDEFINED_TABLE,
                        format!("invalid reference to FROM-clause entry for table \"{name}\""),
                    )
                    .with_hint(unreachable_entry(name))
                    .at(span);
                }
            }
            if level.barrier {
                break;
            }
        }
        Error::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{name}\""))
            .at(span)
    }
}

fn unreachable_entry(name: &str) -> String {
    format!(
        "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
    )
}

fn ambiguous_column(name: &str, span: Span) -> Error {
    Error::new(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous")).at(span)
}

/// `tableoid` is known to the planner; the others PostgreSQL has speak of its storage.
fn system_column(table: RelationId, column: &str, span: Span) -> Result<Option<Expr>> {
    match column {
        "tableoid" => Ok(Some(Expr::literal(types::Value::UInt32(table.0), DataType::OID))),
        "ctid" | "xmin" | "xmax" | "cmin" | "cmax" => {
            Err(Error::not_supported(format!("system column \"{column}\""))
                .with_hint("Use the primary key to name a row.")
                .at(span))
        }
        _ => Ok(None),
    }
}

const MAX_FUZZY_DISTANCE: usize = 3;

/// The closest column names so far: one, or two equally close ones.
struct Guess {
    distance: usize,
    first: Option<(String, String)>,
    second: Option<(String, String)>,
}

impl Guess {
    fn consider(&mut self, penalty: usize, table: &str, wanted: &str, actual: &str) {
        if penalty > self.distance {
            return;
        }
        let distance = levenshtein(actual, wanted);
        if distance > wanted.len() / 2 {
            return;
        }
        let distance = distance + penalty;
        let here = || Some((table.to_string(), actual.to_string()));
        if distance < self.distance {
            self.distance = distance;
            self.first = here();
            self.second = None;
        } else if distance == self.distance {
            if self.second.is_some() {
                self.first = None;
                self.second = None;
                self.distance = distance.saturating_sub(1);
            } else if self.first.is_some() {
                self.second = here();
            } else if self.distance <= MAX_FUZZY_DISTANCE {
                self.first = here();
            }
        }
    }
}

/// Edits (of one character each) that turn `a` into `b`.
fn levenshtein(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (slot, y) in row.iter_mut().skip(1).zip(&b) {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = *slot;
            left = substitute.min(diagonal + 1).min(left + 1);
            *slot = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::levenshtein;

    #[test]
    fn edit_distances() {
        assert_eq!(levenshtein("kitten", "sitting"), 3);
        assert_eq!(levenshtein("", "abc"), 3);
        assert_eq!(levenshtein("l_orderkey", "l_oderkey"), 1);
        assert_eq!(levenshtein("same", "same"), 0);
    }
}
