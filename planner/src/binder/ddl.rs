//! DDL other than tables: schemas, sequences, views, indexes, roles, databases, comments, ANALYZE.
//!
//! `ddl_table.rs`, `ddl_alter.rs` and `ddl_drop.rs` are the other parts; this file is where they meet.

use std::sync::Arc;

use catalog::{IndexColumn, Relation, RoleDef, RoleId, SequenceDef, TableDef, ViewColumn};
use expr::Expr;
use parser::ast::{self, Node, ObjectRef, ObjectType};
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::ddl_table::{
    check_column_type, check_indexable, is_immutable, refuse_subquery, too_many_index_columns,
};
use super::object_name::{Taken, joined};
use super::scope::Clause;
use super::stored::as_inputs;
use crate::ddl::{
    AlterSequence, Analyze, BoundDdl, CreateIndex, CreateSequence, CreateTable, CreateTableAs, CreateView,
    Ddl, NewIndex, NewSequence, ObjectId, Truncate,
};

impl Binder<'_> {
    /// A DDL statement; `None` for any other.
    pub(super) fn ddl(&mut self, node: &Node) -> Result<Option<BoundDdl>> {
        let mut notices = Vec::new();
        let ddl = match node {
            Node::CreateTable(create) => self.create_table(create, &mut notices)?,
            Node::CreateTableAs(create) => self.create_table_as(create, &mut notices)?,
            Node::CreateIndex(create) => self.create_index(create, &mut notices)?,
            Node::CreateView(create) => self.create_view(create)?,
            Node::CreateSequence(create) => self.create_sequence(create, &mut notices)?,
            Node::AlterSequence(alter) => self.alter_sequence(alter, &mut notices)?,
            Node::CreateSchema(create) => self.create_schema(create, &mut notices)?,
            Node::AlterTable(alter) => self.alter_table(alter, &mut notices)?,
            Node::Rename(rename) => self.rename(rename, &mut notices)?,
            Node::AlterObjectSchema(alter) => self.set_schema(alter, &mut notices)?,
            Node::AlterOwner(alter) => self.alter_owner(alter)?,
            Node::Drop(drop) => self.drop(drop, &mut notices)?,
            Node::Truncate(truncate) => self.truncate(truncate, &mut notices)?,
            Node::Comment(comment) => self.comment(comment)?,
            Node::CreateRole(create) => self.create_role(create)?,
            Node::AlterRole(alter) => self.alter_role(alter)?,
            Node::DropRole(drop) => self.drop_roles(drop, &mut notices)?,
            Node::GrantRole(grant) => self.grant_role(grant)?,
            Node::CreateDatabase(create) => self.create_database(create)?,
            Node::DropDatabase(drop) => self.drop_database(drop, &mut notices)?,
            Node::Vacuum(vacuum) => self.analyze(vacuum)?,
            Node::CreateExtension(create) if create.if_not_exists && create.name == "plpgsql" => Ddl::Nothing,
            Node::CreateType(_)
            | Node::CreateDomain(_)
            | Node::CreateExtension(_)
            | Node::CreateFunction(_)
            | Node::CreateTrigger(_)
            | Node::AlterDomain(_)
            | Node::AlterEnum(_)
            | Node::AlterFunction(_)
            | Node::AlterDatabase(_)
            | Node::Grant(_)
            | Node::AlterDefaultPrivileges(_)
            | Node::Owned(_)
            | Node::Refresh(_) => return Err(unsupported(node)),
            _ => return Ok(None),
        };
        Ok(Some(BoundDdl { ddl, notices }))
    }

    // ---- CREATE TABLE AS ----

    fn create_table_as(&mut self, create: &ast::CreateTableAsStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        if create.materialized_view {
            return Err(Error::not_supported("materialized views")
                .with_hint("Use CREATE TABLE AS, or a plain view.")
                .at(create.span));
        }
        self.refuse_persistence(create.persistence, create.relation.span)?;
        self.refuse_storage(create.access_method.as_deref(), create.tablespace.as_deref(), &create.options)?;
        let schema = self.creation_schema(&create.relation)?;
        let name = &create.relation.name;
        if self.is_taken(schema, name, create.if_not_exists, notices)? {
            return Ok(Ddl::Nothing);
        }
        let Node::Select(_) = &*create.query else {
            return Err(Error::not_supported("CREATE TABLE AS EXECUTE")
                .with_hint("Write the query itself.")
                .at(create.span));
        };
        let query = super::bind_query(&create.query, self.cx)?;
        if create.columns.len() > query.result.len() {
            return Err(Error::syntax("too many column names were specified"));
        }
        let mut columns: Vec<catalog::ColumnDef> = Vec::with_capacity(query.result.len());
        for (at, result) in query.result.iter().enumerate() {
            let column = create.columns.get(at).unwrap_or(&result.name);
            if columns.iter().any(|other| other.name == *column) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{column}\" specified more than once"),
                ));
            }
            check_column_type(column, result.data_type)?;
            columns.push(catalog::ColumnDef {
                name: column.clone(),
                number: i16::try_from(at + 1).map_err(|_| super::ddl_table::too_many_columns())?,
                data_type: result.data_type,
                not_null: false,
                default: None,
                generated: false,
                identity: catalog::Identity::None,
                missing: types::Value::Null,
                dropped: false,
                comment: None,
            });
        }
        let table = CreateTable {
            schema,
            name: name.clone(),
            owner: self.cx.role,
            persistence: catalog::Persistence::Permanent,
            columns,
            sequences: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            comment: None,
        };
        let query = (!create.with_no_data).then_some(query);
        Ok(Ddl::CreateTableAs(Box::new(CreateTableAs { table, query })))
    }

    // ---- CREATE INDEX ----

    fn create_index(&mut self, create: &ast::CreateIndexStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        let table = self.table_to_change(&create.relation, "create index on")?;
        match create.access_method.as_deref() {
            None | Some("btree") => {}
            Some(method @ ("hash" | "gin" | "gist" | "spgist" | "brin")) => {
                return Err(Error::not_supported(format!("access method \"{method}\""))
                    .with_hint("Use btree.")
                    .at(create.span));
            }
            Some(method) => {
                return Err(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("access method \"{method}\" does not exist"),
                ));
            }
        }
        self.refuse_storage(None, create.tablespace.as_deref(), &create.options)?;
        let inputs = as_inputs(&table);
        let mut columns = Vec::with_capacity(create.elements.len());
        let mut keys = Vec::with_capacity(create.elements.len());
        let mut names = Vec::new();
        for element in &create.elements {
            let (key, column, name) = self.index_element(&table, element, &inputs)?;
            keys.push(key);
            columns.push(column);
            names.push(name);
        }
        if columns.len() + create.include.len() > 32 {
            return Err(too_many_index_columns());
        }
        let mut include = Vec::with_capacity(create.include.len());
        for element in &create.include {
            let ast::IndexKey::Column(name) = &element.key else {
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "expressions are not supported in included columns",
                ));
            };
            include.push(index_column(&table, name)?);
            names.push(name.clone());
        }
        let predicate = match &create.where_ {
            Some(condition) => {
                let bound = self.over_table(&table, &inputs, |binder| {
                    binder.condition(condition, Clause::IndexPredicate)
                })?;
                refuse_subquery(&bound, "index predicate", condition.start_span())?;
                if !is_immutable(&bound) {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        "functions in index predicate must be marked IMMUTABLE",
                    ));
                }
                Some(bound)
            }
            None => None,
        };
        let name = match &create.name {
            Some(name) => {
                if self.is_taken(table.schema, name, create.if_not_exists, notices)? {
                    return Ok(Ddl::Nothing);
                }
                name.clone()
            }
            None => Taken::new(self.cx.catalog, table.schema, None).relation(
                &table.name,
                Some(&joined(&names)),
                "idx",
            ),
        };
        let index = NewIndex {
            name,
            columns,
            include,
            unique: create.unique,
            primary: false,
            nulls_not_distinct: create.nulls_not_distinct,
            predicate: predicate.as_ref().map(|predicate| self.print_over(predicate, &table.columns)),
            comment: None,
        };
        Ok(Ddl::CreateIndex(Box::new(CreateIndex {
            table,
            index,
            keys,
            predicate,
            concurrently: create.concurrently,
        })))
    }

    /// A key of CREATE INDEX: over the row, as it is kept, and what it adds to the index's name.
    fn index_element(
        &mut self,
        table: &Arc<TableDef>,
        element: &ast::IndexElem,
        inputs: &[(usize, Expr)],
    ) -> Result<(Expr, IndexColumn, String)> {
        let (key, column, expression, name) = match &element.key {
            ast::IndexKey::Column(name) => {
                let ordinal = index_column(table, name)?;
                let data_type = table.columns.get(ordinal).map_or(DataType::TEXT, |column| column.data_type);
                (Expr::input(ordinal, data_type), Some(ordinal), None, name.clone())
            }
            ast::IndexKey::Expr(expr) => {
                let span = expr.start_span();
                let bound = self.over_table(table, inputs, |binder| {
                    let bound = binder.clause_expr(expr, Clause::IndexExpression)?;
                    binder.coercer.settle(bound)
                })?;
                refuse_subquery(&bound, "index expression", span)?;
                if !is_immutable(&bound) {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        "functions in index expression must be marked IMMUTABLE",
                    ));
                }
                match &bound {
                    // A plain column in parentheses is a column.
                    Expr::Input { position, data_type } => {
                        let name =
                            table.columns.get(*position).map_or(String::new(), |column| column.name.clone());
                        (Expr::input(*position, *data_type), Some(*position), None, name)
                    }
                    _ => {
                        let text = self.print_over(&bound, &table.columns);
                        let name = match expr {
                            ast::Expr::FuncCall(call) => call.name.last().cloned(),
                            _ => None,
                        };
                        (bound, None, Some(text), name.unwrap_or_else(|| "expr".to_string()))
                    }
                }
            }
        };
        let data_type = key.data_type();
        if let Some(collation) = &element.collation {
            super::expr::check_collation(data_type, collation, element.span)?;
        }
        if let Some(class) = &element.operator_class {
            check_operator_class(data_type, class)?;
        }
        if let Some(option) = element.operator_class_options.first() {
            return Err(Error::not_supported("operator class options").at(option.span));
        }
        check_indexable(data_type)?;
        let descending = match &element.direction {
            ast::SortDirection::Default | ast::SortDirection::Asc => false,
            ast::SortDirection::Desc => true,
            ast::SortDirection::Using(_) => {
                return Err(Error::syntax("USING is not allowed in an index").at(element.span));
            }
        };
        let nulls_first = match element.nulls {
            ast::NullsOrder::Default => descending,
            ast::NullsOrder::First => true,
            ast::NullsOrder::Last => false,
        };
        Ok((key, IndexColumn { column, expression, data_type, descending, nulls_first }, name))
    }

    /// A table that DDL works on. 42P01, 42809.
    pub(super) fn table_to_change(&self, range: &ast::RangeVar, verb: &str) -> Result<Arc<TableDef>> {
        let relation = self.find_relation(range).map_err(Error::without_span)?;
        self.check_owner(&relation)?;
        match relation {
            Relation::Table(table) => Ok(table),
            Relation::Virtual(table) => Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", table.name),
            )),
            other => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot {verb} relation \"{}\"", other.name()),
            )
            .with_detail(format!(
                "This operation is not supported for {}.",
                match other.kind_name() {
                    "index" => "indexes".to_string(),
                    kind => format!("{kind}s"),
                }
            ))),
        }
    }

    // ---- CREATE VIEW ----

    fn create_view(&mut self, create: &ast::CreateViewStmt) -> Result<Ddl> {
        self.refuse_persistence(create.persistence, create.relation.span)?;
        if create.recursive {
            return Err(Error::not_supported("CREATE RECURSIVE VIEW")
                .with_hint("Write CREATE VIEW … AS WITH RECURSIVE.")
                .at(create.span));
        }
        if create.check_option != ast::ViewCheckOption::None {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH CHECK OPTION is supported only on automatically updatable views",
            )
            .at(create.span));
        }
        if let Some(option) = create.options.first() {
            return Err(Error::not_supported(format!("view option \"{}\"", option.name)).at(option.span));
        }
        let schema = self.creation_schema(&create.relation)?;
        self.stars = Some(Vec::new());
        let (query, _) = self.query(&create.query, true)?;
        let stars = self.stars.take().unwrap_or_default();
        if let Some(span) = self.parameter_spans.iter().flatten().next() {
            return Err(Error::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1").at(*span));
        }
        if create.columns.len() > query.columns.len() {
            return Err(Error::syntax("CREATE VIEW specifies more column names than columns"));
        }
        let mut columns: Vec<ViewColumn> = Vec::with_capacity(query.columns.len());
        for (at, column) in query.columns.iter().enumerate() {
            let name = create.columns.get(at).unwrap_or(&column.name);
            if columns.iter().any(|other| other.name == *name) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            check_column_type(name, column.data_type)?;
            columns.push(ViewColumn { name: name.clone(), data_type: column.data_type });
        }
        let name = &create.relation.name;
        let replaces = match self.cx.catalog.relation_in(schema, name) {
            None => None,
            Some(_) if !create.or_replace => {
                return Err(Error::new(
                    SqlState::DUPLICATE_TABLE,
                    format!("relation \"{name}\" already exists"),
                ));
            }
            Some(Relation::View(view)) => {
                check_replacement(&view.columns, &columns)?;
                Some(view.id)
            }
            Some(_) => {
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a view")));
            }
        };
        let definition = with_stars_expanded(self.cx.query_text, create.query_text, stars);
        let search_path = self
            .search
            .iter()
            .filter_map(|schema| self.cx.catalog.schema(*schema))
            .map(|schema| schema.name.clone())
            .collect();
        Ok(Ddl::CreateView(Box::new(CreateView {
            schema,
            name: name.clone(),
            owner: self.cx.role,
            persistence: catalog::Persistence::Permanent,
            columns,
            definition,
            search_path,
            depends_on: self.relations.iter().copied().collect(),
            replaces,
        })))
    }

    // ---- sequences ----

    fn create_sequence(&mut self, create: &ast::CreateSequenceStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        self.refuse_persistence(create.persistence, create.relation.span)?;
        let schema = self.creation_schema(&create.relation)?;
        let name = &create.relation.name;
        if self.is_taken(schema, name, create.if_not_exists, notices)? {
            return Ok(Ddl::Nothing);
        }
        let sequence = self.new_sequence(schema, name.clone(), DataType::INT8, &create.options)?;
        let owned_by = self.owned_by(&create.options)?.flatten();
        Ok(Ddl::CreateSequence(Box::new(CreateSequence {
            owner: self.cx.role,
            persistence: catalog::Persistence::Permanent,
            sequence,
            owned_by,
        })))
    }

    /// A sequence with these options. 22023 when they do not fit together.
    pub(super) fn new_sequence(
        &self,
        schema: catalog::SchemaId,
        name: String,
        data_type: DataType,
        options: &[ast::SequenceOption],
    ) -> Result<NewSequence> {
        let plain = SequenceDef {
            id: catalog::RelationId(0),
            schema,
            name,
            owner: self.cx.role,
            data_type,
            start: 0,
            increment: 1,
            min: 0,
            max: 0,
            cache: 1,
            cycle: false,
            owned_by: None,
            comment: None,
        };
        let (sequence, restart) = self.sequence_options(plain, options, true)?;
        if restart.is_some() {
            return Err(Error::syntax("unrecognized sequence option \"restart\""));
        }
        Ok(NewSequence {
            schema: sequence.schema,
            name: sequence.name,
            data_type: sequence.data_type,
            start: sequence.start,
            increment: sequence.increment,
            min: sequence.min,
            max: sequence.max,
            cache: sequence.cache,
            cycle: sequence.cycle,
        })
    }

    /// Applies options to a sequence; for a new one what is not said gets its default.
    pub(super) fn sequence_options(
        &self,
        mut sequence: SequenceDef,
        options: &[ast::SequenceOption],
        new: bool,
    ) -> Result<(SequenceDef, Option<i64>)> {
        use ast::SequenceOptionKind as Kind;
        let (mut start, mut min, mut max, mut restart) = (None, None, None, None);
        let mut seen: Vec<std::mem::Discriminant<Kind>> = Vec::new();
        for option in options {
            let kind = std::mem::discriminant(&option.kind);
            if seen.contains(&kind) {
                return Err(Error::syntax("conflicting or redundant options").at(option.span));
            }
            seen.push(kind);
            match &option.kind {
                Kind::As(name) => {
                    let data_type = self.data_type(name)?;
                    if !matches!(data_type, DataType::INT2 | DataType::INT4 | DataType::INT8) {
                        return Err(invalid_parameter("sequence type must be smallint, integer, or bigint"));
                    }
                    sequence.data_type = data_type;
                }
                Kind::Cache(cache) if *cache < 1 => {
                    return Err(invalid_parameter(format!("CACHE ({cache}) must be greater than zero")));
                }
                Kind::Cache(cache) => sequence.cache = *cache,
                Kind::Cycle(cycle) => sequence.cycle = *cycle,
                Kind::Increment(0) => return Err(invalid_parameter("INCREMENT must not be zero")),
                Kind::Increment(increment) => sequence.increment = *increment,
                Kind::MaxValue(value) => max = Some(*value),
                Kind::MinValue(value) => min = Some(*value),
                Kind::Start(value) => start = Some(*value),
                Kind::Restart(value) => restart = Some(*value),
                Kind::OwnedBy(_) | Kind::SequenceName(_) => {}
            }
        }
        let (lowest, highest) = match sequence.data_type {
            DataType::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            DataType::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let ascending = sequence.increment > 0;
        match max {
            Some(Some(value)) => sequence.max = value,
            Some(None) => sequence.max = if ascending { highest } else { -1 },
            None if new => sequence.max = if ascending { highest } else { -1 },
            None => {}
        }
        match min {
            Some(Some(value)) => sequence.min = value,
            Some(None) => sequence.min = if ascending { 1 } else { lowest },
            None if new => sequence.min = if ascending { 1 } else { lowest },
            None => {}
        }
        let type_name = sequence.data_type;
        if sequence.max > highest || sequence.max < lowest {
            return Err(invalid_parameter(format!(
                "MAXVALUE ({}) is out of range for sequence data type {type_name}",
                sequence.max
            )));
        }
        if sequence.min > highest || sequence.min < lowest {
            return Err(invalid_parameter(format!(
                "MINVALUE ({}) is out of range for sequence data type {type_name}",
                sequence.min
            )));
        }
        if sequence.min >= sequence.max {
            return Err(invalid_parameter(format!(
                "MINVALUE ({}) must be less than MAXVALUE ({})",
                sequence.min, sequence.max
            )));
        }
        match start {
            Some(value) => sequence.start = value,
            None if new => sequence.start = if ascending { sequence.min } else { sequence.max },
            None => {}
        }
        if sequence.start < sequence.min {
            return Err(invalid_parameter(format!(
                "START value ({}) cannot be less than MINVALUE ({})",
                sequence.start, sequence.min
            )));
        }
        if sequence.start > sequence.max {
            return Err(invalid_parameter(format!(
                "START value ({}) cannot be greater than MAXVALUE ({})",
                sequence.start, sequence.max
            )));
        }
        let restart = restart.map(|value| value.unwrap_or(sequence.start));
        if let Some(value) = restart {
            if value < sequence.min {
                return Err(invalid_parameter(format!(
                    "RESTART value ({value}) cannot be less than MINVALUE ({})",
                    sequence.min
                )));
            }
            if value > sequence.max {
                return Err(invalid_parameter(format!(
                    "RESTART value ({value}) cannot be greater than MAXVALUE ({})",
                    sequence.max
                )));
            }
        }
        Ok((sequence, restart))
    }

    /// OWNED BY: `None` when it was not said, `Some(None)` for NONE.
    fn owned_by(
        &self,
        options: &[ast::SequenceOption],
    ) -> Result<Option<Option<(catalog::RelationId, i16)>>> {
        let Some((parts, span)) = options.iter().find_map(|option| match &option.kind {
            ast::SequenceOptionKind::OwnedBy(parts) => Some((parts, option.span)),
            _ => None,
        }) else {
            return Ok(None);
        };
        let (schema, table, column) = match parts.as_slice() {
            [none] if none == "none" => return Ok(Some(None)),
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema.as_str()), table, column),
            _ => {
                return Err(Error::syntax("invalid OWNED BY option")
                    .with_hint("Specify OWNED BY table.column or OWNED BY NONE.")
                    .at(span));
            }
        };
        let range = ast::RangeVar {
            catalog: None,
            schema: schema.map(str::to_string),
            name: table.clone(),
            only: false,
            alias: None,
            span,
        };
        let table = self.table_to_change(&range, "own a sequence by")?;
        let ordinal = table.column_index(column).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{column}\" of relation \"{}\" does not exist", table.name),
            )
        })?;
        let number = table.columns.get(ordinal).map_or(0, |column| column.number);
        Ok(Some(Some((table.id, number))))
    }

    fn alter_sequence(&mut self, alter: &ast::AlterSequenceStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        let relation = match self.find_relation(&alter.relation) {
            Ok(relation) => relation,
            Err(_) if alter.missing_ok => {
                notices
                    .push(skipping(format!("relation \"{}\" does not exist, skipping", alter.relation.name)));
                return Ok(Ddl::Nothing);
            }
            Err(error) => return Err(error.without_span()),
        };
        self.check_owner(&relation)?;
        let Relation::Sequence(sequence) = relation else {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a sequence", relation.name()),
            ));
        };
        let (mut altered, restart) = self.sequence_options((*sequence).clone(), &alter.options, false)?;
        if let Some(owned_by) = self.owned_by(&alter.options)? {
            altered.owned_by = owned_by;
        }
        Ok(Ddl::AlterSequence(Box::new(AlterSequence { sequence: altered, restart })))
    }

    // ---- schemas ----

    fn create_schema(&mut self, create: &ast::CreateSchemaStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        let owner = match &create.authorization {
            Some(role) => self.role(role)?.id,
            None => self.cx.role,
        };
        let name = match &create.name {
            Some(name) => name.clone(),
            None => self.cx.catalog.role(owner).map(|role| role.name.clone()).unwrap_or_default(),
        };
        if name.starts_with("pg_") {
            return Err(Error::new(SqlState::RESERVED_NAME, format!("unacceptable schema name \"{name}\""))
                .with_detail("The prefix \"pg_\" is reserved for system schemas."));
        }
        if self.cx.catalog.schema_by_name(&name).is_some() {
            if create.if_not_exists {
                notices.push(Error::new(
                    SqlState::DUPLICATE_SCHEMA,
                    format!("schema \"{name}\" already exists, skipping"),
                ));
                return Ok(Ddl::Nothing);
            }
            return Err(Error::new(SqlState::DUPLICATE_SCHEMA, format!("schema \"{name}\" already exists")));
        }
        self.check_may_create_schema()?;
        if !create.elements.is_empty() {
            return Err(Error::not_supported("CREATE SCHEMA with its objects in one statement")
                .with_hint("Create the schema first, then what it holds.")
                .at(create.span));
        }
        Ok(Ddl::CreateSchema { name, owner, elements: Vec::new() })
    }

    // ---- TRUNCATE, ANALYZE, COMMENT ----

    fn truncate(&mut self, truncate: &ast::TruncateStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        let mut tables: Vec<Arc<TableDef>> = Vec::new();
        for range in &truncate.relations {
            let relation = self.find_relation(range).map_err(Error::without_span)?;
            self.check_access(&relation)?;
            let table = match relation {
                Relation::Table(table) => table,
                other => {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not a table", other.name()),
                    ));
                }
            };
            if tables.iter().all(|other| other.id != table.id) {
                tables.push(table);
            }
        }
        let mut at = 0;
        while let Some(table) = tables.get(at).cloned() {
            at += 1;
            let referencing: Vec<Arc<TableDef>> =
                self.cx.catalog.referencing_tables(table.id).map(Arc::clone).collect();
            for other in referencing {
                if tables.iter().any(|known| known.id == other.id) {
                    continue;
                }
                if truncate.behavior == ast::DropBehavior::Restrict {
                    return Err(Error::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "cannot truncate a table referenced in a foreign key constraint",
                    )
                    .with_detail(format!("Table \"{}\" references \"{}\".", other.name, table.name))
                    .with_hint(format!(
                        "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                        other.name
                    )));
                }
                notices.push(skipping(format!("truncate cascades to table \"{}\"", other.name)));
                tables.push(other);
            }
        }
        let mut restart = Vec::new();
        if truncate.restart_identity {
            for relation in self.cx.catalog.relations() {
                if let Relation::Sequence(sequence) = relation
                    && let Some((owner, _)) = sequence.owned_by
                    && tables.iter().any(|table| table.id == owner)
                {
                    restart.push(sequence.id);
                }
            }
        }
        Ok(Ddl::Truncate(Truncate { tables, restart }))
    }

    /// ANALYZE, and VACUUM, of which only its ANALYZE does anything: no space waits to be reclaimed.
    fn analyze(&mut self, vacuum: &ast::VacuumStmt) -> Result<Ddl> {
        let mut analyze = !vacuum.is_vacuum;
        for option in &vacuum.options {
            match option.name.as_str() {
                "analyze" => {
                    analyze = !matches!(&option.value, Some(ast::DefValue::Word(word)) if matches!(word.as_str(), "false" | "off"));
                }
                "verbose"
                | "skip_locked"
                | "full"
                | "freeze"
                | "disable_page_skipping"
                | "index_cleanup"
                | "process_toast"
                | "truncate"
                | "parallel" => {}
                other => {
                    let command = if vacuum.is_vacuum { "VACUUM" } else { "ANALYZE" };
                    return Err(
                        Error::syntax(format!("unrecognized {command} option \"{other}\"")).at(option.span)
                    );
                }
            }
        }
        let mut targets = Vec::new();
        for (range, columns) in &vacuum.relations {
            let table = match self.find_relation(range).map_err(Error::without_span)? {
                Relation::Table(table) => table,
                // PostgreSQL only warns about views and the like.
                _ => continue,
            };
            let mut ordinals = Vec::with_capacity(columns.len());
            for name in columns {
                let ordinal = table.column_index(name).ok_or_else(|| {
                    Error::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{name}\" of relation \"{}\" does not exist", table.name),
                    )
                })?;
                ordinals.push(ordinal);
            }
            targets.push(Analyze { table, columns: ordinals });
        }
        if vacuum.relations.is_empty() {
            targets.extend(
                self.cx
                    .catalog
                    .tables()
                    .map(|table| Analyze { table: Arc::clone(table), columns: Vec::new() }),
            );
        }
        Ok(if analyze { Ddl::Analyze(targets) } else { Ddl::Nothing })
    }

    fn comment(&mut self, comment: &ast::CommentStmt) -> Result<Ddl> {
        let object = match (&comment.object, comment.object_type) {
            (ObjectRef::Name(name), ObjectType::Column) => self.column_object(name)?,
            (
                ObjectRef::Name(name),
                ObjectType::Table | ObjectType::View | ObjectType::Index | ObjectType::Sequence,
            ) => {
                let relation = self.relation_named(name)?;
                self.check_owner(&relation)?;
                self.check_kind(&relation, comment.object_type)?;
                relation_object(&relation)
            }
            (ObjectRef::Name(name), ObjectType::Schema) => ObjectId::Schema(self.schema_named(name)?),
            (ObjectRef::On { name, table }, ObjectType::Constraint) => {
                let Relation::Table(table) = self.relation_named(table)? else {
                    return Err(Error::undefined_table(&table.parts.join(".")));
                };
                let constraint = table.constraints.iter().find(|constraint| constraint.name == *name);
                let constraint = constraint.ok_or_else(|| undefined_constraint(name, &table.name))?;
                ObjectId::Constraint(table.id, constraint.id)
            }
            (ObjectRef::Name(name), ObjectType::Database) => {
                let name = name.parts.join(".");
                let database =
                    self.cx.catalog.database_by_name(&name).ok_or_else(|| undefined_database(&name))?;
                ObjectId::Database(database.id)
            }
            (ObjectRef::Name(name), ObjectType::Role) => {
                ObjectId::Role(self.role_named(&name.parts.join("."))?.id)
            }
            (object, kind) => {
                return Err(Error::not_supported(format!("COMMENT ON {}", kind.keyword())).at(object.span()));
            }
        };
        Ok(Ddl::Comment { object, comment: comment.comment.clone().filter(|text| !text.is_empty()) })
    }

    pub(super) fn schema_named(&self, name: &ast::QualifiedName) -> Result<catalog::SchemaId> {
        let name = name.parts.join(".");
        let schema = self.cx.catalog.schema_by_name(&name);
        schema.map(|schema| schema.id).ok_or_else(|| catalog::catalog::undefined_schema(&name))
    }

    /// `t.c`, `s.t.c` as a column. 42703.
    fn column_object(&self, name: &ast::QualifiedName) -> Result<ObjectId> {
        let Some((column, table)) = name.parts.split_last().filter(|(_, table)| !table.is_empty()) else {
            return Err(Error::syntax("column name must be qualified").at(name.span));
        };
        let table_name = ast::QualifiedName { parts: table.to_vec(), span: name.span };
        let relation = self.relation_named(&table_name)?;
        let number = match &relation {
            Relation::Table(table) => table
                .column_index(column)
                .and_then(|ordinal| table.columns.get(ordinal))
                .map(|column| column.number),
            Relation::View(view) => view
                .columns
                .iter()
                .position(|other| other.name == *column)
                .and_then(|at| i16::try_from(at + 1).ok()),
            _ => None,
        };
        let number = number.ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{column}\" of relation \"{}\" does not exist", relation.name()),
            )
        })?;
        Ok(ObjectId::Column(relation.id(), number))
    }

    pub(super) fn relation_named(&self, name: &ast::QualifiedName) -> Result<Relation> {
        let (schema, relation) = match name.parts.as_slice() {
            [relation] => (None, relation),
            [schema, relation] => (Some(schema.clone()), relation),
            [catalog, schema, relation] => {
                self.check_catalog_name(catalog, &name.parts, name.span)?;
                (Some(schema.clone()), relation)
            }
            _ => return Err(Error::syntax("improper relation name (too many dotted names)").at(name.span)),
        };
        let range = ast::RangeVar {
            catalog: None,
            schema,
            name: relation.clone(),
            only: false,
            alias: None,
            span: Span::default(),
        };
        self.find_relation(&range).map_err(Error::without_span)
    }

    /// 42809 when the relation is of another kind than the statement says.
    pub(super) fn check_kind(&self, relation: &Relation, kind: ObjectType) -> Result<()> {
        let fits = matches!(
            (relation, kind),
            (Relation::Table(_), ObjectType::Table)
                | (Relation::View(_) | Relation::Virtual(_), ObjectType::View)
                | (Relation::Index { .. }, ObjectType::Index)
                | (Relation::Sequence(_), ObjectType::Sequence)
        );
        if fits {
            return Ok(());
        }
        let article = if kind == ObjectType::Index { "an" } else { "a" };
        Err(Error::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not {article} {}", relation.name(), kind.keyword().to_lowercase()),
        ))
    }

    // ---- roles and databases ----

    pub(super) fn role_named(&self, name: &str) -> Result<Arc<RoleDef>> {
        self.cx
            .catalog
            .role_by_name(name)
            .cloned()
            .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
    }

    pub(super) fn role(&self, role: &ast::RoleSpec) -> Result<Arc<RoleDef>> {
        match &role.kind {
            ast::RoleSpecKind::Name(name) => self.role_named(name),
            ast::RoleSpecKind::CurrentRole | ast::RoleSpecKind::CurrentUser => {
                self.role_named(self.cx.role_name())
            }
            ast::RoleSpecKind::SessionUser => self.role_named(&self.cx.host.session_user()),
            ast::RoleSpecKind::Public => {
                Err(Error::new(SqlState::UNDEFINED_OBJECT, "role \"public\" does not exist").at(role.span))
            }
        }
    }

    fn create_role(&mut self, create: &ast::CreateRoleStmt) -> Result<Ddl> {
        let ast::RoleSpecKind::Name(name) = &create.name.kind else {
            return Err(Error::new(SqlState::RESERVED_NAME, "a key word cannot be used as a role name here")
                .at(create.name.span));
        };
        if name.starts_with("pg_") {
            return Err(Error::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
                .with_detail("Role names starting with \"pg_\" are reserved."));
        }
        self.check_may_manage_roles("create role")?;
        if self.cx.catalog.role_by_name(name).is_some() {
            return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists")));
        }
        let plain = RoleDef {
            id: RoleId(0),
            name: name.clone(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_db: false,
            login: create.kind == ast::RoleStmtKind::User,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            password: None,
            valid_until: None,
            member_of: Vec::new(),
        };
        Ok(Ddl::CreateRole(Box::new(self.role_options(plain, &create.options)?)))
    }

    fn alter_role(&mut self, alter: &ast::AlterRoleStmt) -> Result<Ddl> {
        let role = self.role(&alter.name)?;
        if role.id != self.cx.role {
            self.check_may_manage_roles("alter role")?;
        }
        Ok(Ddl::AlterRole(Box::new(self.role_options((*role).clone(), &alter.options)?)))
    }

    fn role_options(&self, mut role: RoleDef, options: &[ast::RoleOption]) -> Result<RoleDef> {
        use ast::RoleOptionKind as Kind;
        for option in options {
            match &option.kind {
                Kind::SuperUser(on) => role.superuser = *on,
                Kind::CreateDb(on) => role.create_db = *on,
                Kind::CreateRole(on) => role.create_role = *on,
                Kind::Inherit(on) => role.inherit = *on,
                Kind::Login(on) => role.login = *on,
                Kind::Replication(on) => role.replication = *on,
                Kind::BypassRls(on) => role.bypass_rls = *on,
                Kind::ConnectionLimit(limit) => {
                    role.connection_limit = i32::try_from(*limit)
                        .ok()
                        .filter(|limit| *limit >= -1)
                        .ok_or_else(|| invalid_parameter(format!("invalid connection limit: {limit}")))?;
                }
                // The plain text: the session turns it into a SCRAM verifier before it is stored.
                Kind::Password(password) => role.password.clone_from(password),
                Kind::ValidUntil(text) => {
                    let value = self.cx.parse_literal(text, DataType::TIMESTAMPTZ)?;
                    role.valid_until = value.as_i64();
                }
                Kind::InRole(roles) => {
                    for other in roles {
                        let id = self.role(other)?.id;
                        if !role.member_of.contains(&id) {
                            role.member_of.push(id);
                        }
                    }
                }
                Kind::Members(_) | Kind::AdminMembers(_) | Kind::DropMembers(_) => {
                    return Err(Error::not_supported("ROLE, ADMIN and USER lists of a role")
                        .with_hint("Use GRANT role TO member.")
                        .at(option.span));
                }
                Kind::SysId(_) => {}
            }
        }
        Ok(role)
    }

    fn check_may_manage_roles(&self, what: &str) -> Result<()> {
        let allowed =
            self.cx.catalog.role(self.cx.role).is_some_and(|role| role.superuser || role.create_role);
        if allowed {
            return Ok(());
        }
        Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {what}")))
    }

    fn drop_roles(&mut self, drop: &ast::DropRoleStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        self.check_may_manage_roles("drop role")?;
        let mut roles = Vec::new();
        for spec in &drop.roles {
            let ast::RoleSpecKind::Name(name) = &spec.kind else {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "cannot use special role specifier in DROP ROLE",
                ));
            };
            let Some(role) = self.cx.catalog.role_by_name(name) else {
                if drop.missing_ok {
                    notices.push(skipping(format!("role \"{name}\" does not exist, skipping")));
                    continue;
                }
                return Err(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("role \"{name}\" does not exist"),
                ));
            };
            if role.id == self.cx.role {
                return Err(Error::new(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
            }
            let owned = self.owned_objects(role.id);
            if !owned.is_empty() {
                return Err(Error::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("role \"{name}\" cannot be dropped because some objects depend on it"),
                )
                .with_detail(owned.join("\n")));
            }
            roles.push(role.id);
        }
        Ok(if roles.is_empty() { Ddl::Nothing } else { Ddl::DropRoles(roles) })
    }

    /// What a role owns, as DROP ROLE lists it.
    fn owned_objects(&self, role: RoleId) -> Vec<String> {
        let catalog = self.cx.catalog;
        let mut owned = Vec::new();
        for database in catalog.databases().filter(|database| database.owner == role) {
            owned.push(format!("owner of database {}", database.name));
        }
        for schema in catalog.schemas().filter(|schema| schema.owner == role) {
            owned.push(format!("owner of schema {}", schema.name));
        }
        for relation in catalog.relations() {
            let owner = match relation {
                Relation::Table(table) => table.owner,
                Relation::View(view) => view.owner,
                Relation::Sequence(sequence) if sequence.owned_by.is_none() => sequence.owner,
                _ => continue,
            };
            if owner == role {
                owned.push(format!("owner of {} {}", relation.kind_name(), relation.name()));
            }
        }
        owned
    }

    fn grant_role(&mut self, grant: &ast::GrantRoleStmt) -> Result<Ddl> {
        self.check_may_manage_roles("grant role")?;
        if grant.admin_option {
            return Err(Error::not_supported("WITH ADMIN OPTION").at(grant.span));
        }
        if grant.granted_by.is_some() {
            return Err(Error::not_supported("GRANTED BY").at(grant.span));
        }
        let mut memberships = Vec::new();
        for (name, span) in &grant.roles {
            let role = self.role_named(name).map_err(|error| error.at(*span))?;
            for grantee in &grant.grantees {
                let member = self.role(grantee)?;
                let circular = grant.is_grant && (member.id == role.id || self.is_member(role.id, member.id));
                if circular {
                    return Err(Error::new(
                        SqlState(*b"0LP01"),
                        format!("role \"{}\" is a member of role \"{}\"", role.name, member.name),
                    ));
                }
                memberships.push((role.id, member.id));
            }
        }
        Ok(Ddl::GrantRole { grant: grant.is_grant, memberships })
    }

    fn create_database(&mut self, create: &ast::CreateDatabaseStmt) -> Result<Ddl> {
        let allowed = self.cx.catalog.role(self.cx.role).is_some_and(|role| role.superuser || role.create_db);
        if !allowed {
            return Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to create database"));
        }
        if self.cx.catalog.database_by_name(&create.name).is_some() {
            return Err(Error::new(
                SqlState::DUPLICATE_DATABASE,
                format!("database \"{}\" already exists", create.name),
            ));
        }
        let (mut owner, mut connection_limit, mut allow_connections) = (self.cx.role, -1, true);
        for option in &create.options {
            let text = match &option.value {
                Some(ast::DefValue::String(text) | ast::DefValue::Word(text)) => Some(text.as_str()),
                _ => None,
            };
            match (option.name.as_str(), text, &option.value) {
                (_, _, None) | (_, Some("default"), _) => {}
                ("owner", Some(name), _) => owner = self.role_named(name)?.id,
                ("template", Some("template0" | "template1"), _) => {}
                ("encoding", Some(name), _)
                    if matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") => {}
                ("locale" | "lc_collate" | "lc_ctype", Some("C" | "POSIX" | "C.UTF-8" | "C.utf8"), _) => {}
                ("connection_limit" | "connection limit", _, Some(ast::DefValue::Integer(limit))) => {
                    connection_limit = i32::try_from(*limit)
                        .ok()
                        .filter(|limit| *limit >= -1)
                        .ok_or_else(|| invalid_parameter(format!("invalid connection limit: {limit}")))?;
                }
                ("allow_connections", Some(word), _) => allow_connections = matches!(word, "true" | "on"),
                ("is_template", Some("false" | "off"), _) => {}
                (name, _, _) => {
                    return Err(Error::not_supported(format!("database option \"{name}\" with this value"))
                        .with_hint("Databases are UTF8 with the locale C.")
                        .at(option.span));
                }
            }
        }
        Ok(Ddl::CreateDatabase { name: create.name.clone(), owner, connection_limit, allow_connections })
    }

    fn drop_database(&mut self, drop: &ast::DropDatabaseStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        let Some(database) = self.cx.catalog.database_by_name(&drop.name) else {
            if drop.missing_ok {
                notices.push(skipping(format!("database \"{}\" does not exist, skipping", drop.name)));
                return Ok(Ddl::Nothing);
            }
            return Err(undefined_database(&drop.name));
        };
        if database.id == self.cx.database {
            return Err(Error::new(SqlState::OBJECT_IN_USE, "cannot drop the currently open database"));
        }
        let superuser = self.cx.catalog.role(self.cx.role).is_some_and(|role| role.superuser);
        if !superuser && database.owner != self.cx.role {
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("must be owner of database {}", drop.name),
            ));
        }
        Ok(Ddl::DropDatabase { id: database.id, force: drop.force })
    }
}

/// A column of an index. 42703.
fn index_column(table: &TableDef, name: &str) -> Result<usize> {
    table.column_index(name).ok_or_else(|| Error::undefined_column(name))
}

/// Text compares by bytes, so that the pattern classes are the ordinary ones.
fn check_operator_class(data_type: DataType, class: &[String]) -> Result<()> {
    let name = class.last().map_or("", String::as_str);
    let own = format!("{}_ops", data_type.name());
    let text = [
        "text_ops",
        "varchar_ops",
        "bpchar_ops",
        "text_pattern_ops",
        "varchar_pattern_ops",
        "bpchar_pattern_ops",
    ];
    let is_text =
        matches!(data_type.without_modifier(), DataType::TEXT | DataType::VARCHAR | DataType::BPCHAR);
    if name == own || (is_text && text.contains(&name)) {
        return Ok(());
    }
    Err(Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("operator class \"{name}\" does not exist for access method \"btree\""),
    ))
}

/// 42P16 when a replaced view would lose or change a column.
fn check_replacement(old: &[ViewColumn], new: &[ViewColumn]) -> Result<()> {
    let invalid = |message: String| Error::new(SqlState::INVALID_TABLE_DEFINITION, message);
    if new.len() < old.len() {
        return Err(invalid("cannot drop columns from view".to_string()));
    }
    for (old, new) in old.iter().zip(new) {
        if old.name != new.name {
            return Err(invalid(format!(
                "cannot change name of view column \"{}\" to \"{}\"",
                old.name, new.name
            ))
            .with_hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if old.data_type != new.data_type {
            return Err(invalid(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name, old.data_type, new.data_type
            )));
        }
    }
    Ok(())
}

/// The query's text with each star replaced by the columns it stood for: they stay what they were.
fn with_stars_expanded(text: &str, query: Span, mut stars: Vec<(Span, String)>) -> String {
    let start = query.start as usize;
    let mut out = text.get(start..query.end as usize).unwrap_or("").trim_end().to_string();
    stars.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    for (span, columns) in stars {
        let from = (span.start as usize).saturating_sub(start);
        // `t.*` begins at `t`; its last character is the star.
        let Some(star) = out.get(from..).and_then(|rest| rest.find('*')) else { continue };
        out.replace_range(from..=from + star, &columns);
    }
    out
}

pub(super) fn relation_object(relation: &Relation) -> ObjectId {
    match relation {
        Relation::Table(table) => ObjectId::Table(table.id),
        Relation::Index { index, .. } => ObjectId::Index(index.id),
        Relation::View(view) => ObjectId::View(view.id),
        Relation::Virtual(table) => ObjectId::View(table.id),
        Relation::Sequence(sequence) => ObjectId::Sequence(sequence.id),
    }
}

/// A NOTICE.
pub(super) fn skipping(message: String) -> Error {
    Error::new(SqlState::SUCCESSFUL_COMPLETION, message)
}

pub(super) fn undefined_constraint(name: &str, table: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("constraint \"{name}\" of relation \"{table}\" does not exist"),
    )
}

fn undefined_database(name: &str) -> Error {
    Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
}

fn invalid_parameter(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn unsupported(node: &Node) -> Error {
    let command = parser::statement::command_tag(node);
    let error = Error::not_supported(&command);
    match node {
        Node::Grant(_) => {
            error.with_hint("Owners and superusers may do everything; rights are not granted one by one yet.")
        }
        Node::CreateExtension(_) => error.with_hint("There are no extensions."),
        _ => error,
    }
}
