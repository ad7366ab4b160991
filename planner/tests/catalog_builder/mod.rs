//! A catalog that DDL statements build, as the executor would, but with nothing stored.

#![allow(dead_code)] // each test uses a part of it

use std::fmt::Write as _;
use std::sync::Arc;

use catalog::change::{CatalogChange, Object, ObjectId as CatalogObject};
use catalog::{
    Catalog, ConstraintDef, ConstraintId, ConstraintKind, ForeignKey, IndexDef, RelationId, SchemaDef,
    SchemaId, SequenceDef, TableDef, TreeNumber, ViewDef,
};
use expr::{Host, NoHost};
use planner::ddl::{
    CreateTable, Ddl, NewConstraintIndex, NewConstraintKind, NewIndex, NewSequence, ObjectId, ReferencedTable,
};
use planner::{Bound, NoStatistics, PlanContext, PlannerSettings};
use types::{DataType, Error, Result, SqlState, TextContext, Value};

pub struct TestCatalog {
    pub catalog: Catalog,
    next: u32,
    settings: PlannerSettings,
}

/// Knows relations by name, for `regclass` literals.
struct CatalogHost<'a>(&'a Catalog);

impl Host for CatalogHost<'_> {
    fn nextval(&self, sequence: u32) -> Result<i64> {
        NoHost.nextval(sequence)
    }
    fn currval(&self, sequence: u32) -> Result<i64> {
        NoHost.currval(sequence)
    }
    fn setval(&self, sequence: u32, value: i64, is_called: bool) -> Result<i64> {
        NoHost.setval(sequence, value, is_called)
    }
    fn lastval(&self) -> Result<i64> {
        NoHost.lastval()
    }
    fn current_user(&self) -> String {
        NoHost.current_user()
    }
    fn session_user(&self) -> String {
        NoHost.session_user()
    }
    fn current_database(&self) -> String {
        NoHost.current_database()
    }
    fn current_schema(&self) -> Option<String> {
        NoHost.current_schema()
    }
    fn current_schemas(&self, implicit: bool) -> Vec<String> {
        NoHost.current_schemas(implicit)
    }
    fn setting(&self, name: &str) -> Option<String> {
        NoHost.setting(name)
    }
    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<String> {
        NoHost.set_setting(name, value, local)
    }
    fn value_from_text(&self, text: &str, data_type: DataType) -> Result<Value> {
        let path = self.0.search_schemas(&["public".to_string()], "postgres");
        if let Ok(oid) = text.parse() {
            return Ok(Value::UInt32(oid));
        }
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        if data_type.oid == DataType::REGCLASS.oid
            && let Some(relation) = self.0.find_relation(schema, name, &path)?
        {
            return Ok(Value::UInt32(relation.id().0));
        }
        Err(Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{text}\" does not exist")))
    }
}

impl TestCatalog {
    pub fn new() -> TestCatalog {
        let mut catalog = Catalog::empty(catalog::bootstrap::POSTGRES_DATABASE);
        catalog = catalog.apply(&catalog::bootstrap::shared_objects("postgres", || 16000));
        catalog = catalog.apply(&catalog::bootstrap::database_objects());
        TestCatalog { catalog, next: catalog::FIRST_USER_OID, settings: PlannerSettings::default() }
    }

    pub fn bind(&self, statement: &parser::Statement, sql: &str) -> Result<Bound> {
        self.with_context(sql, |cx| planner::bind(statement, cx))
    }

    pub fn with_context<T>(&self, sql: &str, f: impl FnOnce(&PlanContext<'_>) -> T) -> T {
        let search_path = vec!["public".to_string()];
        let host = CatalogHost(&self.catalog);
        f(&PlanContext {
            catalog: &self.catalog,
            query_text: sql,
            search_path: &search_path,
            role: catalog::bootstrap::BOOTSTRAP_ROLE,
            database: catalog::bootstrap::POSTGRES_DATABASE,
            parameter_types: &[],
            text: TextContext::default(),
            transaction_time: 0,
            statement_time: 0,
            host: &host,
            statistics: &NoStatistics,
            settings: &self.settings,
        })
    }

    fn id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Carries a change out; what was made, as text.
    pub fn apply(&mut self, ddl: &Ddl) -> String {
        let mut out = String::new();
        match ddl {
            Ddl::CreateTable(create) => self.create_table(create, &mut out),
            Ddl::CreateTableAs(create) => {
                self.create_table(&create.table, &mut out);
                if let Some(query) = &create.query {
                    out.push_str(&planner::logical_print::print_statement(query));
                }
            }
            Ddl::CreateIndex(create) => {
                let index = self.index(create.table.id, create.table.schema, &create.index);
                let _ = writeln!(out, "index {}", show_index(&create.index, &create.table));
                let mut table = (*create.table).clone();
                table.indexes.push(index);
                self.put(Object::Table(Arc::new(table)));
            }
            Ddl::CreateView(create) => {
                let id = create.replaces.unwrap_or_else(|| RelationId(self.id()));
                let columns: Vec<String> = create
                    .columns
                    .iter()
                    .map(|column| format!("{} {}", column.name, column.data_type))
                    .collect();
                let _ = writeln!(out, "view {} ({})", create.name, columns.join(", "));
                let _ = writeln!(out, "  as {}", create.definition);
                let reads: Vec<&str> = create
                    .depends_on
                    .iter()
                    .filter_map(|id| self.catalog.relation(*id))
                    .map(|relation| relation.name())
                    .collect();
                let _ = writeln!(out, "  reads {}", reads.join(", "));
                self.put(Object::View(Arc::new(ViewDef {
                    id,
                    schema: create.schema,
                    name: create.name.clone(),
                    owner: create.owner,
                    columns: create.columns.clone(),
                    definition: create.definition.clone(),
                    search_path: create.search_path.clone(),
                    depends_on: create.depends_on.clone(),
                    comment: None,
                })));
            }
            Ddl::CreateSequence(create) => {
                let _ = writeln!(out, "{}", show_sequence(&create.sequence));
                let sequence = self.sequence(&create.sequence, create.owned_by);
                self.put(Object::Sequence(Arc::new(sequence)));
            }
            Ddl::CreateSchema { name, owner, .. } => {
                let id = SchemaId(self.id());
                let _ = writeln!(out, "schema {name}");
                self.put(Object::Schema(Arc::new(SchemaDef {
                    id,
                    name: name.clone(),
                    owner: *owner,
                    comment: None,
                })));
            }
            Ddl::Drop(drop) => {
                for object in &drop.objects {
                    let _ = writeln!(out, "drop {}", self.describe(*object));
                }
                for object in &drop.objects {
                    self.remove(*object);
                }
            }
            Ddl::Nothing => out.push_str("nothing\n"),
            other => {
                let _ = writeln!(out, "{}", brief(other));
            }
        }
        out
    }

    fn put(&mut self, object: Object) {
        self.catalog = self.catalog.apply(&CatalogChange::put(object));
    }

    fn remove(&mut self, object: ObjectId) {
        let id = match object {
            ObjectId::Table(id) => CatalogObject::Table(id),
            ObjectId::View(id) => CatalogObject::View(id),
            ObjectId::Sequence(id) => CatalogObject::Sequence(id),
            ObjectId::Schema(id) => CatalogObject::Schema(id),
            _ => return,
        };
        self.catalog = self.catalog.apply(&CatalogChange { drops: vec![id], puts: Vec::new() });
    }

    fn describe(&self, object: ObjectId) -> String {
        let name =
            |id: RelationId| self.catalog.relation(id).map_or("?", |relation| relation.name()).to_string();
        match object {
            ObjectId::Table(id) => format!("table {}", name(id)),
            ObjectId::View(id) => format!("view {}", name(id)),
            ObjectId::Index(id) => format!("index {}", name(id)),
            ObjectId::Sequence(id) => format!("sequence {}", name(id)),
            ObjectId::Schema(id) => {
                format!("schema {}", self.catalog.schema(id).map_or("?", |schema| schema.name.as_str()))
            }
            ObjectId::Constraint(table, id) => {
                let found = self
                    .catalog
                    .table(table)
                    .and_then(|table| table.constraints.iter().find(|constraint| constraint.id == id));
                format!("constraint {} of {}", found.map_or("?", |c| c.name.as_str()), name(table))
            }
            other => format!("{other:?}"),
        }
    }

    fn index(&mut self, table: RelationId, schema: SchemaId, new: &NewIndex) -> Arc<IndexDef> {
        Arc::new(IndexDef {
            id: RelationId(self.id()),
            table,
            schema,
            name: new.name.clone(),
            columns: new.columns.clone(),
            include: new.include.clone(),
            unique: new.unique,
            primary: new.primary,
            nulls_not_distinct: new.nulls_not_distinct,
            is_clustered: new.primary,
            tree: TreeNumber(0),
            predicate: new.predicate.clone(),
            comment: None,
        })
    }

    fn sequence(&mut self, new: &NewSequence, owned_by: Option<(RelationId, i16)>) -> SequenceDef {
        SequenceDef {
            id: RelationId(self.id()),
            schema: new.schema,
            name: new.name.clone(),
            owner: catalog::bootstrap::BOOTSTRAP_ROLE,
            data_type: new.data_type,
            start: new.start,
            increment: new.increment,
            min: new.min,
            max: new.max,
            cache: new.cache,
            cycle: new.cycle,
            owned_by,
            comment: None,
        }
    }

    fn create_table(&mut self, create: &CreateTable, out: &mut String) {
        let id = RelationId(self.id());
        let indexes: Vec<Arc<IndexDef>> =
            create.indexes.iter().map(|index| self.index(id, create.schema, index)).collect();
        let index_id = |index: &NewConstraintIndex| match index {
            NewConstraintIndex::New(at) => indexes[*at].id,
            NewConstraintIndex::Existing(id) => *id,
        };
        let mut constraints = Vec::new();
        for constraint in &create.constraints {
            let kind = match &constraint.kind {
                NewConstraintKind::PrimaryKey(index) => ConstraintKind::PrimaryKey { index: index_id(index) },
                NewConstraintKind::Unique(index) => ConstraintKind::Unique { index: index_id(index) },
                NewConstraintKind::Check { expression, columns, .. } => {
                    ConstraintKind::Check { expression: expression.clone(), columns: columns.clone() }
                }
                NewConstraintKind::ForeignKey(key) => {
                    let (referenced_table, referenced_index) = match &key.referenced {
                        ReferencedTable::Existing { table, index } => (*table, *index),
                        ReferencedTable::Itself(index) => (id, index_id(index)),
                    };
                    ConstraintKind::ForeignKey(ForeignKey {
                        columns: key.columns.clone(),
                        referenced_table,
                        referenced_columns: key.referenced_columns.clone(),
                        referenced_index,
                        on_update: key.on_update,
                        on_delete: key.on_delete,
                        match_full: key.match_full,
                    })
                }
            };
            constraints.push(ConstraintDef {
                id: ConstraintId(self.id()),
                name: constraint.name.clone(),
                kind,
                deferrable: constraint.deferrable,
                initially_deferred: constraint.initially_deferred,
                validated: constraint.validated,
            });
        }
        let table = TableDef {
            id,
            schema: create.schema,
            name: create.name.clone(),
            owner: create.owner,
            columns: create.columns.clone(),
            tree: TreeNumber(0),
            clustered_by: None,
            indexes,
            constraints,
            persistence: create.persistence,
            comment: None,
            row_type: 0,
        };
        let _ = writeln!(out, "table {}", create.name);
        for column in &create.columns {
            let mut line = format!("  {} {}", column.name, column.data_type);
            if column.not_null {
                line.push_str(" not null");
            }
            if let Some(default) = &column.default {
                line.push_str(if column.generated { " generated " } else { " default " });
                line.push_str(default);
            }
            if column.identity != catalog::Identity::None {
                line.push_str(&format!(" identity {:?}", column.identity));
            }
            let _ = writeln!(out, "{line}");
        }
        for owned in &create.sequences {
            let _ = writeln!(out, "  {}", show_sequence(&owned.sequence));
        }
        for constraint in &create.constraints {
            let what = match &constraint.kind {
                NewConstraintKind::PrimaryKey(_) => "primary key".to_string(),
                NewConstraintKind::Unique(_) => "unique".to_string(),
                NewConstraintKind::Check { expression, .. } => format!("check {expression}"),
                NewConstraintKind::ForeignKey(key) => {
                    format!("foreign key {:?} references {:?}", key.columns, key.referenced_columns)
                }
            };
            let _ = writeln!(out, "  constraint {} {what}", constraint.name);
        }
        for index in &create.indexes {
            let _ = writeln!(out, "  index {}", show_index(index, &table));
        }
        let sequences: Vec<SequenceDef> = create
            .sequences
            .iter()
            .map(|owned| {
                let number = create.columns[owned.column].number;
                self.sequence(&owned.sequence, Some((id, number)))
            })
            .collect();
        self.put(Object::Table(Arc::new(table)));
        for sequence in sequences {
            self.put(Object::Sequence(Arc::new(sequence)));
        }
    }
}

fn show_index(index: &NewIndex, table: &TableDef) -> String {
    let keys: Vec<String> = index
        .columns
        .iter()
        .map(|key| {
            let mut text = match (key.column, &key.expression) {
                (Some(at), _) => table.columns[at].name.clone(),
                (None, Some(text)) => text.clone(),
                (None, None) => "?".to_string(),
            };
            if key.descending {
                text.push_str(" desc");
            }
            if key.nulls_first != key.descending {
                text.push_str(if key.nulls_first { " nulls first" } else { " nulls last" });
            }
            text
        })
        .collect();
    let unique = if index.unique { "unique " } else { "" };
    let predicate = index.predicate.as_ref().map_or(String::new(), |text| format!(" where {text}"));
    format!("{unique}{} ({}){predicate}", index.name, keys.join(", "))
}

fn show_sequence(sequence: &NewSequence) -> String {
    format!(
        "sequence {} {} start {} increment {} min {} max {}{}",
        sequence.name,
        sequence.data_type,
        sequence.start,
        sequence.increment,
        sequence.min,
        sequence.max,
        if sequence.cycle { " cycle" } else { "" }
    )
}

/// The variant and its actions, not its contents.
fn brief(ddl: &Ddl) -> String {
    match ddl {
        Ddl::AlterTable(alter) => {
            let actions: Vec<String> = alter
                .actions
                .iter()
                .map(|action| {
                    let text = format!("{action:?}");
                    text.split([' ', '(']).next().unwrap_or("").to_string()
                })
                .collect();
            format!("alter table {}: {}", alter.table.name, actions.join(", "))
        }
        other => {
            let text = format!("{other:?}");
            text.split([' ', '(']).next().unwrap_or("").to_string()
        }
    }
}
