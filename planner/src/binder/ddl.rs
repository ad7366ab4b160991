//! DDL: which binder takes which statement, and what is too small for a file of its own.
//!
//! CREATE TABLE AS, schemas, TRUNCATE, ANALYZE, COMMENT; and finding the objects that statements name.
//! The other parts are the `ddl_*.rs` beside it.

use std::sync::Arc;

use catalog::acl::Rights;
use catalog::{Relation, TableDef};
use parser::ast::{self, Node, ObjectRef, ObjectType};
use types::{Error, Result, Span, SqlState};

use super::Binder;
use super::ddl_table::check_column_type;
use crate::ddl::{Analyze, BoundDdl, CreateTable, CreateTableAs, Ddl, ObjectId, Truncate};

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
            Node::GrantRole(grant) => self.grant_role(grant, &mut notices)?,
            Node::CreateDatabase(create) => self.create_database(create)?,
            Node::DropDatabase(drop) => self.drop_database(drop, &mut notices)?,
            Node::Vacuum(vacuum) => self.analyze(vacuum, &mut notices)?,
            Node::Grant(grant) => self.grant(grant, &mut notices)?,
            Node::AlterDefaultPrivileges(alter) => self.alter_default_privileges(alter)?,
            Node::Owned(owned) => self.owned(owned, &mut notices)?,
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
        self.refuse_storage(create.access_method.as_deref(), create.tablespace.as_deref())?;
        super::storage_parameter::check(&create.options, false, false, notices)?;
        let schema = self.creation_schema(&create.relation)?;
        let name = &create.relation.name;
        if self.is_taken(schema, name, create.if_not_exists, notices)? {
            return Ok(Ddl::Nothing);
        }
        let Node::Select(select) = &*create.query else {
            return Err(Error::not_supported("CREATE TABLE AS EXECUTE")
                .with_hint("Write the query itself.")
                .at(create.span));
        };
        if super::ddl_view::changes_rows(select) {
            return Err(Error::not_supported("CREATE TABLE AS with a data-modifying WITH")
                .with_hint("Create the table, then INSERT with the same WITH.")
                .at(create.span));
        }
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
        self.check_may_create_schema(self.cx.role)?;
        self.check_member(owner)?;
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
            self.check_rights(&relation, Rights::TRUNCATE)?;
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
                self.check_rights(&Relation::Table(Arc::clone(&other)), Rights::TRUNCATE)?;
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
    fn analyze(&mut self, vacuum: &ast::VacuumStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
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
            if !self.may_analyze(&table) {
                let verb = if vacuum.is_vacuum { "vacuum" } else { "analyze" };
                notices.push(Error::new(
                    SqlState::WARNING,
                    format!("skipping \"{}\" --- only table or database owner can {verb} it", table.name),
                ));
                continue;
            }
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
                    .filter(|table| self.may_analyze(table))
                    .map(|table| Analyze { table: Arc::clone(table), columns: Vec::new() }),
            );
        }
        Ok(if analyze { Ddl::Analyze(targets) } else { Ddl::Nothing })
    }

    fn may_analyze(&self, table: &TableDef) -> bool {
        let mut databases = self.cx.catalog.databases();
        let database = databases.find(|database| database.id == self.cx.database);
        self.acts_for(table.owner) || database.is_some_and(|database| self.acts_for(database.owner))
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
            (ObjectRef::Name(name), ObjectType::Schema) => {
                let schema = self.schema_named(name)?;
                self.check_schema_owner(schema)?;
                ObjectId::Schema(schema)
            }
            (ObjectRef::On { name, table }, ObjectType::Constraint) => {
                let Relation::Table(table) = self.relation_named(table)? else {
                    return Err(Error::undefined_table(&table.parts.join(".")));
                };
                self.check_owner(&Relation::Table(Arc::clone(&table)))?;
                let constraint = table.constraints.iter().find(|constraint| constraint.name == *name);
                let constraint = constraint.ok_or_else(|| undefined_constraint(name, &table.name))?;
                ObjectId::Constraint(table.id, constraint.id)
            }
            (ObjectRef::Name(name), ObjectType::Database) => {
                let name = name.parts.join(".");
                let database =
                    self.cx.catalog.database_by_name(&name).ok_or_else(|| undefined_database(&name))?;
                self.check_database_owner(database)?;
                ObjectId::Database(database.id)
            }
            (ObjectRef::Name(name), ObjectType::Role) => {
                let role = self.role_named(&name.parts.join("."))?;
                self.check_may_alter_role(
                    &role,
                    &format!("must be member of role \"{}\" to comment upon it", role.name),
                )?;
                ObjectId::Role(role.id)
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
        // PostgreSQL says "relation" where it speaks of a column.
        if super::rights::owner_of(&relation).is_some_and(|owner| !self.acts_for(owner)) {
            return Err(super::rights::denied(format!("must be owner of relation {}", relation.name())));
        }
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

pub(super) fn undefined_database(name: &str) -> Error {
    Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
}

pub(super) fn invalid_parameter(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn unsupported(node: &Node) -> Error {
    let command = parser::statement::command_tag(node);
    let error = Error::not_supported(&command);
    match node {
        Node::CreateExtension(_) => error.with_hint("There are no extensions."),
        _ => error,
    }
}
