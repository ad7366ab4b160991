//! FROM: relations, views, sub-selects, functions and joins become a plan and the items names refer to.
//!
//! While an entry is bound, those to its left are in the level's items but only LATERAL sees them; an
//! entry that used one makes a dependent join. Follows `transformFromClauseItem`.

use std::sync::Arc;

use catalog::acl::Rights;
use catalog::{Relation, TableDef, ViewDef};
use expr::{ColumnId, Expr, TableFunctionCall, WindowCall};
use parser::ast::{self, Node, TableRef};
use types::{DataType, Error, Result, Span, SqlState, Value};

use super::Binder;
use super::call::FromCall;
use super::cte::CteState;
use super::scope::{Clause, Item, ItemColumn, Level, RelationEntry};
use super::select::Query;
use crate::logical::{ColumnEntry, Computed, Join, JoinKind, LogicalPlan, Scan, WindowFrame, WindowSpec};

/// How many entries FROM may have: the plan nests as deep.
const MAX_ENTRIES: usize = 1000;

/// What one entry of FROM came to.
pub(super) struct FromPart {
    pub plan: LogicalPlan,
    pub items: Vec<Item>,
    /// Its columns in order, as a join around it sees them.
    pub columns: Vec<ItemColumn>,
}

impl Binder<'_> {
    /// Binds a FROM list into the current level; its plan. An empty list is one row without columns.
    pub(super) fn bind_from(&mut self, from: &[TableRef]) -> Result<LogicalPlan> {
        if from.len() > MAX_ENTRIES {
            return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .with_hint(format!("FROM has at most {MAX_ENTRIES} entries.")));
        }
        let mut plan: Option<LogicalPlan> = None;
        for entry in from {
            plan = Some(self.add_from_entry(plan, entry)?);
        }
        for item in &mut self.level().items {
            item.lateral_only = false;
        }
        Ok(plan.unwrap_or_else(one_row))
    }

    /// One more entry, cross joined to those before it.
    pub(super) fn add_from_entry(
        &mut self,
        left: Option<LogicalPlan>,
        entry: &TableRef,
    ) -> Result<LogicalPlan> {
        let lateral_start = self.level().lateral.len();
        let mut part = self.table_ref(entry)?;
        check_conflicts(&self.level().items, &part.items)?;
        for item in &mut part.items {
            item.lateral_only = true;
            item.lateral_ok = true;
        }
        self.level().items.append(&mut part.items);
        Ok(match left {
            None => part.plan,
            Some(left) => {
                let dependent = self.uses_laterally(&left, lateral_start);
                LogicalPlan::Join(Join {
                    kind: JoinKind::Inner,
                    left: Box::new(left),
                    right: Box::new(part.plan),
                    on: Vec::new(),
                    mark: None,
                    dependent,
                })
            }
        })
    }

    fn uses_laterally(&mut self, left: &LogicalPlan, lateral_start: usize) -> bool {
        let lateral = self.level().lateral.get(lateral_start..).unwrap_or(&[]).to_vec();
        if lateral.is_empty() {
            return false;
        }
        let output = left.output();
        lateral.iter().any(|id| output.contains(id))
    }

    pub(super) fn table_ref(&mut self, entry: &TableRef) -> Result<FromPart> {
        match entry {
            TableRef::Relation(relation) => self.relation(relation),
            TableRef::Subselect(subselect) => self.subselect(subselect),
            TableRef::Function(function) => self.range_function(function),
            TableRef::Join(join) => self.join(join),
            TableRef::Sample(sample) => Err(Error::not_supported("TABLESAMPLE")
                .with_hint("Filter on random() instead.")
                .at(sample.span)),
        }
    }

    // ---- relations ----

    fn relation(&mut self, range: &ast::RangeVar) -> Result<FromPart> {
        if range.schema.is_none()
            && range.catalog.is_none()
            && let Some(part) = self.cte_reference(range)?
        {
            return Ok(part);
        }
        let relation = self.find_relation(range).map_err(|error| {
            let forward = range.schema.is_none()
                && self.levels.iter().any(|level| level.later_ctes.contains(&range.name));
            if !forward {
                return error;
            }
            error
                .with_detail(format!(
                    "There is a WITH item named \"{}\", but it cannot be referenced from this part of the query.",
                    range.name
                ))
                .with_hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references.")
        })?;
        self.note_access(&relation, Rights::SELECT);
        self.relations.insert(relation.id());
        match relation {
            Relation::Table(table) => self.table(&table, range, false),
            Relation::View(view) => self.view(&view, range),
            Relation::Virtual(table) => {
                let alias = alias_name(range);
                let names = table.columns.iter().map(|(name, data_type)| (name.to_string(), *data_type));
                let (columns, ids) = self.new_columns(&alias, names, Some(table.id));
                let plan = LogicalPlan::VirtualScan {
                    table: Arc::clone(&table),
                    alias: alias.clone(),
                    columns: ids.iter().copied().zip(0..).collect(),
                };
                let mut item = self.item(range, Some(table.id), columns)?;
                item.table = Some(table.id);
                Ok(self.single(plan, item, range.alias.is_some().then(|| table.name.to_string()), None))
            }
            Relation::Index { .. } => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot open relation \"{}\"", range.name),
            )
            .with_detail("This operation is not supported for indexes.")
            .at(range.span)),
            Relation::Sequence(sequence) => self.sequence(sequence.id, range),
        }
    }

    /// A sequence as a table of one row: its own among those of all sequences.
    fn sequence(&mut self, sequence: catalog::RelationId, range: &ast::RangeVar) -> Result<FromPart> {
        let table = catalog::system::sequence_rows();
        let alias = alias_name(range);
        let names = table.columns.iter().map(|(name, data_type)| (name.to_string(), *data_type));
        let (mut columns, ids) = self.new_columns(&alias, names, None);
        let key = columns.remove(0).expr;
        let wanted = Expr::literal(Value::UInt32(sequence.0), DataType::OID);
        let is_wanted = self.coercer.operator("=", Some(key), wanted, range.span)?;
        let plan = LogicalPlan::Filter {
            input: Box::new(LogicalPlan::VirtualScan {
                table: Arc::clone(table),
                alias,
                columns: ids.into_iter().zip(0..).collect(),
            }),
            predicate: vec![is_wanted],
        };
        let item = self.item(range, Some(sequence), columns)?;
        Ok(self.single(plan, item, range.alias.is_some().then(|| range.name.clone()), None))
    }

    /// A relation by name. 42P01.
    pub(super) fn find_relation(&self, range: &ast::RangeVar) -> Result<Relation> {
        if let Some(catalog) = &range.catalog {
            let whole = [Some(catalog), range.schema.as_ref(), Some(&range.name)];
            let whole: Vec<String> = whole.into_iter().flatten().cloned().collect();
            self.check_catalog_name(catalog, &whole, range.span)?;
        }
        if let Some(schema) = &range.schema {
            self.check_schema_usage(schema).map_err(|error| error.at(range.span))?;
        }
        let found = self.cx.catalog.find_relation(range.schema.as_deref(), &range.name, &self.search);
        match found {
            Ok(Some(relation)) => Ok(relation.clone()),
            _ => {
                let name = match &range.schema {
                    Some(schema) => format!("{schema}.{}", range.name),
                    None => range.name.clone(),
                };
                Err(Error::undefined_table(&name).at(range.span))
            }
        }
    }

    /// A table of the store. With `row_key` the scan also yields the key, for changes and locks.
    pub(super) fn table(
        &mut self,
        table: &Arc<TableDef>,
        range: &ast::RangeVar,
        row_key: bool,
    ) -> Result<FromPart> {
        let alias = alias_name(range);
        let mut columns = Vec::new();
        let mut scanned = Vec::new();
        for (ordinal, column) in table.live_columns() {
            let id = self.columns.add(ColumnEntry {
                name: column.name.clone(),
                relation: alias.clone(),
                data_type: column.data_type,
                source: Some((table.id, ordinal)),
            });
            columns.push(ItemColumn { name: column.name.clone(), expr: Expr::column(id, column.data_type) });
            scanned.push((id, ordinal));
        }
        self.note_row_readers(table, &scanned);
        let row_key = row_key.then(|| {
            self.columns.add(ColumnEntry {
                name: "row key".to_string(),
                relation: alias.clone(),
                data_type: DataType::BYTEA,
                source: None,
            })
        });
        let plan = LogicalPlan::Scan(Scan {
            table: Arc::clone(table),
            alias: alias.clone(),
            columns: scanned.clone(),
            row_key,
            span: range.span,
        });
        let mut item = self.item(range, Some(table.id), columns)?;
        item.table = Some(table.id);
        let hidden = range.alias.is_some().then(|| table.name.clone());
        Ok(self.single(plan, item, hidden, Some((Arc::clone(table), scanned))))
    }

    /// A view: its definition, bound as its author would have it, by its own search path.
    fn view(&mut self, view: &Arc<ViewDef>, range: &ast::RangeVar) -> Result<FromPart> {
        if self.views.contains(&view.id) {
            return Err(Error::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("infinite recursion detected in rules for relation \"{}\"", view.name),
            )
            .at(range.span));
        }
        let query = self.view_query(view).map_err(|error| {
            // Spans of the definition mean nothing in the user's text.
            error.without_span().with_context(format!("view \"{}\"", view.name))
        })?;
        let names = view.columns.iter().map(|column| column.name.clone());
        let columns: Vec<ItemColumn> = names
            .zip(&query.columns)
            .map(|(name, column)| ItemColumn { name, expr: Expr::column(column.id, column.data_type) })
            .collect();
        if columns.len() != view.columns.len() {
            return Err(Error::internal(format!(
                "view \"{}\" has {} columns, its definition {}",
                view.name,
                view.columns.len(),
                query.columns.len()
            )));
        }
        let numbers: Vec<(ColumnId, i16)> = query.columns.iter().map(|column| column.id).zip(1..).collect();
        self.note_readers(view.id, numbers);
        let item = self.item(range, Some(view.id), columns)?;
        let hidden = range.alias.is_some().then(|| view.name.clone());
        Ok(self.single(query.plan, item, hidden, None))
    }

    pub(super) fn view_query(&mut self, view: &Arc<ViewDef>) -> Result<Query> {
        let mut statements = parser::parse(&view.definition)?;
        let statement = match (statements.pop(), statements.is_empty()) {
            (Some(statement), true) => statement,
            _ => return Err(Error::internal(format!("view \"{}\" is not one statement", view.name))),
        };
        let Node::Select(select) = &statement.node else {
            return Err(Error::internal(format!("view \"{}\" is not a SELECT", view.name)));
        };
        let search = self.cx.catalog.named_schemas(&view.search_path, self.cx.role_name());
        let search = std::mem::replace(&mut self.search, search);
        let acting = std::mem::replace(&mut self.acting, view.owner);
        let outside = std::mem::take(&mut self.relations);
        let stars = self.stars.take();
        self.views.push(view.id);
        let mut barrier = Level::new();
        barrier.barrier = true;
        let result = self.push_level(barrier).and_then(|()| {
            let query = self.query(select, true);
            self.pop_level();
            query
        });
        self.views.pop();
        self.search = search;
        self.acting = acting;
        self.relations = outside;
        self.stars = stars;
        result.map(|(query, _)| query)
    }

    // ---- sub-selects and functions ----

    fn subselect(&mut self, range: &ast::RangeSubselect) -> Result<FromPart> {
        let Some(alias) = &range.alias else {
            let error = if matches!(range.query.body, ast::SelectBody::Values(_)) {
                Error::syntax("VALUES in FROM must have an alias")
                    .with_hint("For example, FROM (VALUES ...) [AS] foo.")
            } else {
                Error::syntax("subquery in FROM must have an alias")
                    .with_hint("For example, FROM (SELECT ...) [AS] foo.")
            };
            return Err(error.at(range.span));
        };
        let level = self.level();
        let clause = std::mem::replace(&mut level.clause, Clause::FromSubselect);
        let lateral = std::mem::replace(&mut level.lateral_active, range.lateral);
        let result = self.query(&range.query, true);
        let level = self.level();
        level.clause = clause;
        level.lateral_active = lateral;
        let (query, _) = result?;
        let columns = query_columns(&query);
        let item = aliased(&alias.name, Some(alias), columns)?;
        Ok(self.single(query.plan, item, None, None))
    }

    fn range_function(&mut self, range: &ast::RangeFunction) -> Result<FromPart> {
        let function = match range.functions.as_slice() {
            [function] if !is_wide_unnest(&function.function) => function,
            _ => return self.rows_from(range),
        };
        let definitions = if range.columns.is_empty() { &function.columns } else { &range.columns };
        if let Some(column) = definitions.first()
            && !takes_definitions(&function.function)
        {
            if has_out_columns(&function.function) {
                return Err(Error::syntax(
                    "a column definition list is redundant for a function with OUT parameters",
                )
                .at(column.span));
            }
            return Err(Error::syntax(
                "a column definition list is only allowed for functions returning \"record\"",
            )
            .at(column.span));
        }
        let lateral = std::mem::replace(&mut self.level().lateral_active, true);
        let result = self.function_in_from(&function.function);
        self.level().lateral_active = lateral;
        let call = result?;
        let function_name = match &function.function {
            ast::Expr::FuncCall(call) => call.name.last().cloned().unwrap_or_default(),
            other => match &call {
                FromCall::Value(value) => self.figure_name(other, value),
                FromCall::Set(call, _) => call.function.name.to_string(),
            },
        };
        let name = range.alias.as_ref().map_or(function_name, |alias| alias.name.clone());
        let mut columns = Vec::new();
        let mut plan = match call {
            FromCall::Set(call, span) => {
                let (call, outputs) = self.function_columns(call, &name, definitions, span)?;
                let (items, ids) = self.new_columns(&name, outputs.iter().cloned(), None);
                columns.extend(items);
                LogicalPlan::FunctionScan {
                    call: TableFunctionCall {
                        function: call.function,
                        args: call.args,
                        columns: outputs,
                        location: span.into(),
                    },
                    alias: name.clone(),
                    columns: ids,
                    ordinality: None,
                }
            }
            FromCall::Value(value) => {
                let (items, ids) = self.new_columns(&name, [(name.clone(), value.data_type())], None);
                columns.extend(items);
                let exprs = ids.into_iter().map(|id| Computed { id, expr: value.clone() }).collect();
                LogicalPlan::Project { input: Box::new(one_row()), exprs }
            }
        };
        if range.ordinality {
            let (items, ids) = self.new_columns(&name, [("ordinality".to_string(), DataType::INT8)], None);
            columns.extend(items);
            match (&mut plan, ids.first()) {
                (LogicalPlan::FunctionScan { ordinality, .. }, id) => *ordinality = id.copied(),
                (LogicalPlan::Project { exprs, .. }, Some(id)) => {
                    exprs.push(Computed { id: *id, expr: Expr::literal(Value::Int64(1), DataType::INT8) });
                }
                _ => {}
            }
        }
        let mut item = aliased(&name, range.alias.as_ref(), columns)?;
        item.is_scalar = item.columns.len() == 1 && definitions.is_empty();
        Ok(self.single(plan, item, None, None))
    }

    /// The columns a set-returning function gives: its OUT parameters', those of the column definition
    /// list, or one named like the alias. A definition list is handed to the function, too.
    fn function_columns(
        &mut self,
        mut call: expr::ResolvedCall,
        name: &str,
        definitions: &[ast::ColumnDefinition],
        span: Span,
    ) -> Result<(expr::ResolvedCall, Vec<(String, DataType)>)> {
        let named = |name: &str, data_type| (name.to_string(), data_type);
        let outputs = match call.function.name {
            "json_each" => vec![named("key", DataType::TEXT), named("value", DataType::JSON)],
            "jsonb_each" => vec![named("key", DataType::TEXT), named("value", DataType::JSONB)],
            "json_each_text" | "jsonb_each_text" => {
                vec![named("key", DataType::TEXT), named("value", DataType::TEXT)]
            }
            "pg_options_to_table" => {
                vec![named("option_name", DataType::TEXT), named("option_value", DataType::TEXT)]
            }
            "json_array_elements"
            | "json_array_elements_text"
            | "jsonb_array_elements"
            | "jsonb_array_elements_text" => vec![named("value", call.data_type)],
            name if DEFINED_BY_CALLER.contains(&name) => {
                if definitions.is_empty() {
                    return Err(Error::syntax(
                        "a column definition list is required for functions returning \"record\"",
                    )
                    .at(span));
                }
                let mut outputs = Vec::with_capacity(definitions.len());
                for definition in definitions {
                    let data_type = self.data_type(&definition.type_name)?;
                    if let Some(collation) = &definition.collation {
                        super::expr::check_collation(data_type, collation, definition.span)?;
                    }
                    outputs.push((definition.name.clone(), data_type));
                }
                let names = outputs.iter().map(|(name, _)| Value::text(name.as_str())).collect();
                let types = outputs.iter().flat_map(|(_, t)| [t.oid.cast_signed(), t.modifier]);
                for (element, values) in
                    [(DataType::TEXT, names), (DataType::INT4, types.map(Value::Int32).collect())]
                {
                    let list = types::ArrayValue::from_elements(element, values);
                    let array = element.array_of().unwrap_or(DataType::TEXT_ARRAY);
                    call.args.push(Expr::literal(Value::Array(list.into()), array));
                }
                outputs
            }
            _ if call.data_type.oid == DataType::RECORD.oid => {
                return Err(
                    Error::not_supported(format!("function {} in FROM", call.function.signature())).at(span)
                );
            }
            _ => vec![named(name, call.data_type)],
        };
        Ok((call, outputs))
    }

    /// ROWS FROM (f(…), g(…)), and unnest of several arrays: sets side by side, the shorter filled up with NULLs.
    fn rows_from(&mut self, range: &ast::RangeFunction) -> Result<FromPart> {
        let mut functions: Vec<ast::Expr> = Vec::new();
        for item in &range.functions {
            if let Some(column) = item.columns.first().or_else(|| range.columns.first()) {
                return Err(Error::syntax(
                    "a column definition list is only allowed for functions returning \"record\"",
                )
                .at(column.span));
            }
            match &item.function {
                ast::Expr::FuncCall(call) if is_wide_unnest(&item.function) => {
                    functions.extend(call.args.iter().map(|arg| {
                        let mut one = (**call).clone();
                        one.args = vec![arg.clone()];
                        ast::Expr::FuncCall(Box::new(one))
                    }));
                }
                other => functions.push(other.clone()),
            }
        }
        let before = std::mem::replace(&mut self.level().lateral_active, true);
        let calls: Result<Vec<FromCall>> =
            functions.iter().map(|function| self.function_in_from(function)).collect();
        self.level().lateral_active = before;
        let mut sets = Vec::new();
        let mut outputs = Vec::new();
        for call in calls? {
            let FromCall::Set(call, span) = call else {
                return Err(Error::not_supported("ROWS FROM with a function that returns one value")
                    .with_hint("Join it instead.")
                    .at(range.span));
            };
            if call.data_type.oid == DataType::RECORD.oid {
                return Err(
                    Error::not_supported(format!("function {} in FROM", call.function.signature())).at(span)
                );
            }
            let output = (call.function.name.to_string(), call.data_type);
            outputs.push(output.clone());
            sets.push(TableFunctionCall {
                function: call.function,
                args: call.args,
                columns: vec![output],
                location: span.into(),
            });
        }
        let name = match (&range.alias, outputs.first()) {
            (Some(alias), _) => alias.name.clone(),
            (None, Some((name, _))) => name.clone(),
            (None, None) => String::new(),
        };
        let (mut columns, ids) = self.new_columns(&name, outputs, None);
        let mut plan = LogicalPlan::ProjectSet {
            input: Box::new(one_row()),
            calls: ids.into_iter().zip(sets).collect(),
        };
        if range.ordinality {
            let (item, ids) = self.new_columns(&name, [("ordinality".to_string(), DataType::INT8)], None);
            columns.extend(item);
            let number = self.coercer.function("row_number", Vec::new(), false, range.span)?;
            let call = WindowCall {
                function: number.function,
                args: Vec::new(),
                filter: None,
                order_by: Vec::new(),
                distinct: false,
                data_type: number.data_type,
                location: range.span.into(),
            };
            plan = LogicalPlan::Window {
                input: Box::new(plan),
                window: WindowSpec {
                    partition_by: Vec::new(),
                    order_by: Vec::new(),
                    frame: WindowFrame::default(),
                },
                calls: ids.into_iter().map(|id| (id, call.clone())).collect(),
            };
        }
        let item = aliased(&name, range.alias.as_ref(), columns)?;
        Ok(self.single(plan, item, None, None))
    }

    // ---- joins ----

    fn join(&mut self, join: &ast::JoinExpr) -> Result<FromPart> {
        let left = self.table_ref(&join.left)?;
        // The right side may refer to the left one laterally, unless it can be NULL-extended.
        let lateral_ok = matches!(join.kind, ast::JoinType::Inner | ast::JoinType::Left);
        let base = self.level().items.len();
        let lateral_start = self.level().lateral.len();
        self.level().items.extend(left.items.iter().cloned().map(|mut item| {
            item.lateral_only = true;
            item.lateral_ok = lateral_ok;
            item
        }));
        let right = self.table_ref(&join.right);
        self.level().items.truncate(base);
        let right = right?;
        let dependent = self.uses_laterally(&left.plan, lateral_start);
        check_conflicts(&left.items, &right.items)?;
        let kind = match join.kind {
            ast::JoinType::Inner => JoinKind::Inner,
            ast::JoinType::Left => JoinKind::Left,
            ast::JoinType::Right => JoinKind::Right,
            ast::JoinType::Full => JoinKind::Full,
        };
        let mut on = Vec::new();
        let mut columns = Vec::new();
        let mut using_alias = None;
        match &join.condition {
            ast::JoinCondition::None => {
                columns.extend(left.columns.iter().chain(&right.columns).cloned());
            }
            ast::JoinCondition::On(condition) => {
                columns.extend(left.columns.iter().chain(&right.columns).cloned());
                let inner: Vec<Item> = left.items.iter().chain(&right.items).cloned().collect();
                let outside = std::mem::replace(&mut self.level().items, inner);
                let condition = self.condition(condition, Clause::JoinOn);
                self.level().items = outside;
                on = condition?.into_conjuncts();
            }
            ast::JoinCondition::Natural => {
                let names: Vec<String> = left
                    .columns
                    .iter()
                    .filter(|column| right.columns.iter().any(|other| other.name == column.name))
                    .map(|column| column.name.clone())
                    .collect();
                columns = self.merge_columns(&left, &right, &names, kind, join.span, &mut on)?;
            }
            ast::JoinCondition::Using { columns: names, alias } => {
                for (at, name) in names.iter().enumerate() {
                    if names.iter().take(at).any(|other| other == name) {
                        return Err(Error::new(
                            SqlState::DUPLICATE_COLUMN,
                            format!("column name \"{name}\" appears more than once in USING clause"),
                        )
                        .at(join.span));
                    }
                }
                columns = self.merge_columns(&left, &right, names, kind, join.span, &mut on)?;
                if let Some(alias) = alias {
                    using_alias = Some(Item {
                        name: alias.clone(),
                        relation: None,
                        table: None,
                        columns: columns.iter().take(names.len()).cloned().collect(),
                        relation_visible: true,
                        columns_visible: false,
                        lateral_only: false,
                        lateral_ok: true,
                        is_scalar: false,
                    });
                }
            }
        }
        let plan = LogicalPlan::Join(Join {
            kind,
            left: Box::new(left.plan),
            right: Box::new(right.plan),
            on,
            mark: None,
            dependent,
        });
        let mut items = Vec::new();
        match &join.alias {
            Some(alias) => {
                // Only the join itself can be named from now on.
                let item = aliased(&alias.name, Some(alias), columns)?;
                columns = item.columns.clone();
                items.push(item);
            }
            None => {
                items.extend(left.items.into_iter().chain(right.items).filter_map(|mut item| {
                    item.columns_visible = false;
                    item.relation_visible.then_some(item)
                }));
                if let Some(item) = using_alias {
                    check_conflicts(&items, std::slice::from_ref(&item))?;
                    items.push(item);
                }
                items.push(Item {
                    name: "unnamed_join".to_string(),
                    relation: None,
                    table: None,
                    columns: columns.clone(),
                    relation_visible: false,
                    columns_visible: true,
                    lateral_only: false,
                    lateral_ok: true,
                    is_scalar: false,
                });
            }
        }
        Ok(FromPart { plan, items, columns })
    }

    /// The columns of a join USING `names`: those merged first, then the rest of the left, then of the right.
    fn merge_columns(
        &mut self,
        left: &FromPart,
        right: &FromPart,
        names: &[String],
        kind: JoinKind,
        span: Span,
        on: &mut Vec<Expr>,
    ) -> Result<Vec<ItemColumn>> {
        let mut columns = Vec::new();
        for name in names {
            let l = using_column(&left.columns, name, "left")?;
            let r = using_column(&right.columns, name, "right")?;
            let (lt, rt) = (l.data_type(), r.data_type());
            self.note_read(&l.columns());
            self.note_read(&r.columns());
            on.push(self.coercer.operator("=", Some(l.clone()), r.clone(), span)?);
            let common = self.coercer.common_type(&[lt, rt], "JOIN/USING", span)?;
            let expr = match kind {
                JoinKind::Full => self.coercer.coalesce(vec![l, r], span)?,
                JoinKind::Right => self.coercer.to_common(r, common, "JOIN/USING", span)?,
                _ if lt.oid != common.oid && rt.oid == common.oid && kind == JoinKind::Inner => r,
                _ => self.coercer.to_common(l, common, "JOIN/USING", span)?,
            };
            columns.push(ItemColumn { name: name.clone(), expr });
        }
        let rest = |part: &FromPart| -> Vec<ItemColumn> {
            part.columns.iter().filter(|column| !names.contains(&column.name)).cloned().collect()
        };
        columns.extend(rest(left));
        columns.extend(rest(right));
        Ok(columns)
    }

    // ---- shared ----

    /// New columns of a relation called `alias`.
    pub(super) fn new_columns(
        &mut self,
        alias: &str,
        names: impl IntoIterator<Item = (String, DataType)>,
        source: Option<catalog::RelationId>,
    ) -> (Vec<ItemColumn>, Vec<ColumnId>) {
        names
            .into_iter()
            .enumerate()
            .map(|(ordinal, (name, data_type))| {
                let id = self.columns.add(ColumnEntry {
                    name: name.clone(),
                    relation: alias.to_string(),
                    data_type,
                    source: source.map(|relation| (relation, ordinal)),
                });
                (ItemColumn { name, expr: Expr::column(id, data_type) }, id)
            })
            .unzip()
    }

    /// The item of a relation, its alias applied.
    pub(super) fn item(
        &self,
        range: &ast::RangeVar,
        relation: Option<catalog::RelationId>,
        columns: Vec<ItemColumn>,
    ) -> Result<Item> {
        let mut item = aliased(&range.name, range.alias.as_ref(), columns)?;
        if range.alias.is_none() {
            item.relation = relation;
        }
        Ok(item)
    }

    /// A part that is one relation; hints learn of it.
    pub(super) fn single(
        &mut self,
        plan: LogicalPlan,
        item: Item,
        hidden_name: Option<String>,
        table: Option<(Arc<TableDef>, Vec<(ColumnId, usize)>)>,
    ) -> FromPart {
        self.level().relations.push(RelationEntry {
            name: item.name.clone(),
            hidden_name,
            columns: item.columns.iter().map(|column| column.name.clone()).collect(),
            table,
        });
        let columns = item.columns.clone();
        FromPart { plan, items: vec![item], columns }
    }

    /// A name that is a CTE in scope.
    fn cte_reference(&mut self, range: &ast::RangeVar) -> Result<Option<FromPart>> {
        let mut found = None;
        for (depth, level) in self.levels.iter().enumerate().rev() {
            if let Some(index) = level.ctes.iter().rposition(|cte| cte.name == range.name) {
                found = Some((depth, index));
                break;
            }
            if level.barrier {
                break;
            }
        }
        let Some((depth, index)) = found else { return Ok(None) };
        let Some(cte) = self.levels.get_mut(depth).and_then(|level| level.ctes.get_mut(index)) else {
            return Ok(None);
        };
        match cte.state {
            CteState::Done => {}
            CteState::Step => {
                if cte.self_references > 0 {
                    return Err(invalid_recursion(format!(
                        "recursive reference to query \"{}\" must not appear more than once",
                        cte.name
                    ))
                    .at(range.span));
                }
            }
            CteState::Base => {
                return Err(invalid_recursion(format!(
                    "recursive reference to query \"{}\" must not appear within its non-recursive term",
                    cte.name
                ))
                .at(range.span));
            }
            CteState::Changing => {
                return Err(invalid_recursion(format!(
                    "recursive query \"{}\" must not contain data-modifying statements",
                    cte.name
                ))
                .at(cte.span));
            }
            CteState::NotUnion => {
                return Err(invalid_recursion(format!(
                    "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                    cte.name
                ))
                .at(cte.span));
            }
        }
        cte.self_references += usize::from(cte.state == CteState::Step);
        cte.references += 1;
        let (id, name) = (cte.id, cte.name.clone());
        let outputs = cte.columns.clone();
        if !cte.returns {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("WITH query \"{name}\" does not have a RETURNING clause"),
            )
            .at(range.span));
        }
        let alias = alias_name(range);
        let (columns, ids) = self.new_columns(&alias, outputs, None);
        let plan = LogicalPlan::CteRef { id, name: name.clone(), alias, columns: ids };
        let item = self.item(range, None, columns)?;
        Ok(Some(self.single(plan, item, range.alias.is_some().then_some(name), None)))
    }
}

/// Functions whose columns the caller defines: `AS x (a integer, b text)`.
const DEFINED_BY_CALLER: [&str; 4] =
    ["json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset"];

fn has_out_columns(function: &ast::Expr) -> bool {
    let ast::Expr::FuncCall(call) = function else { return false };
    let name = call.name.last().map_or("", String::as_str);
    matches!(name, "json_each" | "json_each_text" | "jsonb_each" | "jsonb_each_text")
}

fn takes_definitions(function: &ast::Expr) -> bool {
    let ast::Expr::FuncCall(call) = function else { return false };
    call.name.last().is_some_and(|name| DEFINED_BY_CALLER.contains(&name.as_str()))
}

/// `unnest(a, b)`: only FROM knows it.
fn is_wide_unnest(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::FuncCall(call)
        if call.args.len() > 1 && call.name.last().is_some_and(|name| name == "unnest"))
}

/// 42P19.
pub(super) fn invalid_recursion(message: String) -> Error {
    Error::new(SqlState::INVALID_RECURSION, message)
}

/// One row without columns.
pub(super) fn one_row() -> LogicalPlan {
    LogicalPlan::Values { rows: vec![Vec::new()], columns: Vec::new() }
}

/// What a relation goes by.
pub(super) fn alias_name(range: &ast::RangeVar) -> String {
    range.alias.as_ref().map_or_else(|| range.name.clone(), |alias| alias.name.clone())
}

pub(super) fn query_columns(query: &Query) -> Vec<ItemColumn> {
    query
        .columns
        .iter()
        .map(|column| ItemColumn {
            name: column.name.clone(),
            expr: Expr::column(column.id, column.data_type),
        })
        .collect()
}

/// An item with its alias's column names. 42P10 when there are too many.
fn aliased(name: &str, alias: Option<&ast::Alias>, mut columns: Vec<ItemColumn>) -> Result<Item> {
    let name = alias.map_or(name, |alias| alias.name.as_str()).to_string();
    if let Some(alias) = alias {
        if alias.columns.len() > columns.len() {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!(
                    "table \"{name}\" has {} columns available but {} columns specified",
                    columns.len(),
                    alias.columns.len()
                ),
            ));
        }
        for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
            column.name.clone_from(renamed);
        }
    }
    Ok(Item {
        name,
        relation: None,
        table: None,
        columns,
        relation_visible: true,
        columns_visible: true,
        lateral_only: false,
        lateral_ok: true,
        is_scalar: false,
    })
}

fn using_column(columns: &[ItemColumn], name: &str, side: &str) -> Result<Expr> {
    let mut matches = columns.iter().filter(|column| column.name == name);
    let found = matches.next().ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        )
    })?;
    if matches.next().is_some() {
        return Err(Error::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("common column name \"{name}\" appears more than once in {side} table"),
        ));
    }
    Ok(found.expr.clone())
}

/// 42712 when two items would answer to one name.
fn check_conflicts(left: &[Item], right: &[Item]) -> Result<()> {
    for item in right.iter().filter(|item| item.relation_visible) {
        let conflict = left.iter().any(|other| {
            other.relation_visible
                && other.name == item.name
                && !(other.relation.is_some() && item.relation.is_some() && other.relation != item.relation)
        });
        if conflict {
            return Err(Error::new(
                SqlState::DUPLICATE_ALIAS,
                format!("table name \"{}\" specified more than once", item.name),
            ));
        }
    }
    Ok(())
}
