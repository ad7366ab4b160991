//! DROP: what goes, what depends on it, and whether that may go too.
//!
//! Dependencies are found in the catalog when they are asked for: views read relations, foreign keys point
//! at tables, defaults read sequences, schemas hold relations. Messages follow `dependency.c`.

use std::sync::Arc;

use catalog::{ConstraintKind, Relation, RelationId, SchemaId, TableDef};
use expr::{Expr, walk};
use parser::ast::{self, DropBehavior, ObjectRef, ObjectType};
use types::{DataType, Error, Result, SqlState, Value};

use super::Binder;
use super::ddl::{relation_object, skipping};
use crate::ddl::{Ddl, DropObjects, ObjectId};

/// Something that cannot be without `on`.
struct Dependent {
    object: ObjectId,
    /// It goes without saying.
    internal: bool,
    on: ObjectId,
}

/// Objects to be dropped, with what depends on what.
pub(super) struct DropSet {
    /// What the statement names.
    named: Vec<ObjectId>,
    /// Dependents found, in the order found: (dependent, on what).
    found: Vec<(ObjectId, ObjectId)>,
    /// What goes without saying: owned sequences, indexes, a schema's own parts.
    internal: Vec<ObjectId>,
}

impl Binder<'_> {
    pub(super) fn drop(&mut self, drop: &ast::DropStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        if drop.concurrently && drop.behavior == DropBehavior::Cascade {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "DROP INDEX CONCURRENTLY does not support CASCADE",
            ));
        }
        let mut named = Vec::new();
        for object in &drop.objects {
            if let Some(id) = self.object_to_drop(drop, object, notices)?
                && !named.contains(&id)
            {
                named.push(id);
            }
        }
        if named.is_empty() {
            return Ok(Ddl::Nothing);
        }
        let objects = self.with_dependents(&named, drop.behavior, notices)?;
        Ok(Ddl::Drop(DropObjects { objects, named }))
    }

    fn object_to_drop(
        &mut self,
        drop: &ast::DropStmt,
        object: &ObjectRef,
        notices: &mut Vec<Error>,
    ) -> Result<Option<ObjectId>> {
        let kind = drop.object_type;
        let name = match (object, kind) {
            (
                ObjectRef::Name(name),
                ObjectType::Table
                | ObjectType::View
                | ObjectType::Index
                | ObjectType::Sequence
                | ObjectType::Schema,
            ) => name,
            // Nothing of these kinds can exist, which is all that IF EXISTS asks.
            (object, _) if drop.missing_ok => {
                let shown = match object {
                    ObjectRef::Name(name) => name.parts.join("."),
                    ObjectRef::Type(name) => name.names.join("."),
                    ObjectRef::Function(function) => format!("{}()", function.name.parts.join(".")),
                    ObjectRef::On { name, .. } => name.clone(),
                    ObjectRef::Cast { .. } | ObjectRef::Number(..) => String::new(),
                };
                let word = kind.keyword().to_lowercase();
                notices.push(skipping(match kind {
                    ObjectType::Function
                    | ObjectType::Procedure
                    | ObjectType::Aggregate
                    | ObjectType::Routine => {
                        format!("{word} {shown} does not exist, skipping")
                    }
                    _ => format!("{word} \"{shown}\" does not exist, skipping"),
                }));
                return Ok(None);
            }
            (object, _) => {
                return Err(Error::not_supported(format!("DROP {}", kind.keyword())).at(object.span()));
            }
        };
        if kind == ObjectType::Schema {
            let shown = name.parts.join(".");
            return match self.cx.catalog.schema_by_name(&shown) {
                Some(schema) => {
                    if matches!(schema.name.as_str(), "pg_catalog" | "information_schema") {
                        return Err(Error::new(
                            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                            format!(
                                "cannot drop schema {shown} because it is required by the database system"
                            ),
                        ));
                    }
                    self.check_schema_owner(schema.id)?;
                    Ok(Some(ObjectId::Schema(schema.id)))
                }
                None if drop.missing_ok => {
                    notices.push(skipping(format!("schema \"{shown}\" does not exist, skipping")));
                    Ok(None)
                }
                None => Err(catalog::catalog::undefined_schema(&shown)),
            };
        }
        if let [schema, _] = name.parts.as_slice()
            && self.cx.catalog.schema_by_name(schema).is_none()
        {
            if drop.missing_ok {
                notices.push(skipping(format!("schema \"{schema}\" does not exist, skipping")));
                return Ok(None);
            }
            return Err(catalog::catalog::undefined_schema(schema));
        }
        let relation = match self.relation_named(name) {
            Ok(relation) => relation,
            Err(error) if error.code() != SqlState::UNDEFINED_TABLE => return Err(error),
            Err(_) => {
                let word = kind.keyword().to_lowercase();
                let shown = name.parts.join(".");
                if drop.missing_ok {
                    let last = name.parts.last().map_or("", String::as_str);
                    notices.push(skipping(format!("{word} \"{last}\" does not exist, skipping")));
                    return Ok(None);
                }
                let code = if kind == ObjectType::Index {
                    SqlState::UNDEFINED_OBJECT
                } else {
                    SqlState::UNDEFINED_TABLE
                };
                return Err(Error::new(code, format!("{word} \"{shown}\" does not exist")));
            }
        };
        if let Relation::Virtual(table) = &relation {
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", table.name),
            ));
        }
        self.check_kind(&relation, kind).map_err(|error| {
            let (article, word) = match &relation {
                Relation::Index { .. } => ("an", "INDEX"),
                Relation::View(_) | Relation::Virtual(_) => ("a", "VIEW"),
                Relation::Sequence(_) => ("a", "SEQUENCE"),
                Relation::Table(_) => ("a", "TABLE"),
            };
            error.with_hint(format!("Use DROP {word} to remove {article} {}.", word.to_lowercase()))
        })?;
        let schema = self.cx.catalog.schema(relation.schema());
        if !schema.is_some_and(|schema| self.acts_for(schema.owner)) {
            self.check_owner(&relation)?;
        }
        if let Relation::Index { table, index } = &relation
            && let Some(constraint) = constraint_of(table, index.id)
        {
            return Err(Error::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!(
                    "cannot drop index {} because constraint {constraint} on table {} requires it",
                    index.name, table.name
                ),
            )
            .with_hint(format!("You can drop constraint {constraint} on table {} instead.", table.name)));
        }
        if let Relation::Sequence(sequence) = &relation
            && let Some((table, number)) = sequence.owned_by
            && let Some(table) = self.cx.catalog.table(table)
            && let Some(column) = table.columns.iter().find(|column| column.number == number)
            && column.identity != catalog::Identity::None
        {
            return Err(Error::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!(
                    "cannot drop sequence {} because column {} of table {} requires it",
                    sequence.name, column.name, table.name
                ),
            )
            .with_hint(format!("You can drop column {} of table {} instead.", column.name, table.name)));
        }
        Ok(Some(relation_object(&relation)))
    }

    /// All that goes with `named`, dependents first. 2BP01 when something depends on it and may not go.
    pub(super) fn with_dependents(
        &mut self,
        named: &[ObjectId],
        behavior: DropBehavior,
        notices: &mut Vec<Error>,
    ) -> Result<Vec<ObjectId>> {
        let mut set = DropSet { named: named.to_vec(), found: Vec::new(), internal: Vec::new() };
        // Depth first, oldest dependents first: the order in which PostgreSQL reports them.
        let mut pending: Vec<ObjectId> = Vec::new();
        let mut stack: Vec<ObjectId> = named.iter().rev().copied().collect();
        while let Some(object) = stack.pop() {
            pending.push(object);
            let mut dependents = self.dependents(object)?;
            dependents.sort_by_key(|dependent| self.age(dependent.object));
            let mut next = Vec::new();
            for Dependent { object: dependent, internal, on } in dependents {
                if set.contains(dependent) {
                    continue;
                }
                if internal {
                    set.internal.push(dependent);
                } else {
                    set.found.push((dependent, on));
                }
                next.push(dependent);
            }
            stack.extend(next.into_iter().rev());
        }
        // A column's default goes with its table, a constraint with its table.
        let gone = |binder: &Self, object: ObjectId| -> bool {
            binder.owner_of(object).is_some_and(|owner| pending.contains(&owner))
        };
        let mut visible: Vec<(ObjectId, ObjectId)> =
            set.found.iter().copied().filter(|(dependent, _)| !gone(self, *dependent)).collect();
        visible.sort_by_key(|(dependent, _)| pending.iter().position(|object| object == dependent));
        if !visible.is_empty() {
            if behavior == DropBehavior::Restrict {
                let detail: Vec<String> = visible
                    .iter()
                    .map(|(dependent, on)| {
                        format!("{} depends on {}", self.describe(*dependent), self.describe(*on))
                    })
                    .collect();
                let what = match named {
                    [one] => {
                        format!("cannot drop {} because other objects depend on it", self.describe(*one))
                    }
                    _ => "cannot drop desired object(s) because other objects depend on them".to_string(),
                };
                return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, what)
                    .with_detail(detail.join("\n"))
                    .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            let lines: Vec<String> = visible
                .iter()
                .map(|(dependent, _)| format!("drop cascades to {}", self.describe(*dependent)))
                .collect();
            notices.push(match lines.as_slice() {
                [one] => skipping(one.clone()),
                many => skipping(format!("drop cascades to {} other objects", many.len()))
                    .with_detail(many.join("\n")),
            });
        }
        let mut objects: Vec<ObjectId> =
            pending.iter().copied().filter(|object| !gone(self, *object)).collect();
        objects.reverse();
        Ok(objects)
    }

    /// What cannot be without `object`: and whether it goes unmentioned.
    fn dependents(&mut self, object: ObjectId) -> Result<Vec<Dependent>> {
        let catalog = self.cx.catalog;
        let mut dependents = Vec::new();
        let plain = |dependent: ObjectId| Dependent { object: dependent, internal: false, on: object };
        match object {
            ObjectId::Schema(schema) => {
                for relation in catalog.relations().filter(|relation| relation.schema() == schema) {
                    if let Relation::Index { .. } = relation {
                        continue;
                    }
                    let owned =
                        matches!(relation, Relation::Sequence(sequence) if sequence.owned_by.is_some());
                    dependents.push(Dependent { internal: owned, ..plain(relation_object(relation)) });
                }
            }
            ObjectId::Table(table) => {
                dependents.extend(self.readers(table).into_iter().map(plain));
                for other in catalog.referencing_tables(table) {
                    for constraint in &other.constraints {
                        if matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.referenced_table == table)
                            && other.id != table
                        {
                            dependents.push(plain(ObjectId::Constraint(other.id, constraint.id)));
                        }
                    }
                }
                for relation in catalog.relations() {
                    if let Relation::Sequence(sequence) = relation
                        && sequence.owned_by.is_some_and(|(owner, _)| owner == table)
                    {
                        dependents
                            .push(Dependent { internal: true, ..plain(ObjectId::Sequence(sequence.id)) });
                    }
                }
            }
            ObjectId::View(view) => dependents.extend(self.readers(view).into_iter().map(plain)),
            ObjectId::Sequence(sequence) => {
                let tables: Vec<Arc<TableDef>> = catalog.tables().map(Arc::clone).collect();
                for table in tables {
                    for (ordinal, column) in table.live_columns() {
                        let reads = column.default.is_some() && self.default_reads(&table, ordinal, sequence);
                        if reads {
                            dependents.push(plain(ObjectId::ColumnDefault(table.id, column.number)));
                        }
                    }
                }
            }
            ObjectId::Constraint(table, constraint) => {
                // A key takes the foreign keys that point at it along.
                let Some(definition) = catalog.table(table) else { return Ok(dependents) };
                let index = definition.constraints.iter().find(|other| other.id == constraint).and_then(
                    |constraint| match &constraint.kind {
                        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => {
                            Some(*index)
                        }
                        _ => None,
                    },
                );
                if let Some(index) = index {
                    self.keys_using(index, &mut dependents);
                }
            }
            ObjectId::Index(index) => self.keys_using(index, &mut dependents),
            _ => {}
        }
        Ok(dependents)
    }

    fn readers(&self, relation: RelationId) -> Vec<ObjectId> {
        self.cx.catalog.dependent_views(relation).map(|view| ObjectId::View(view.id)).collect()
    }

    /// Foreign keys that need the index.
    fn keys_using(&self, index: RelationId, dependents: &mut Vec<Dependent>) {
        for table in self.cx.catalog.tables() {
            for constraint in &table.constraints {
                if matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.referenced_index == index)
                {
                    dependents.push(Dependent {
                        object: ObjectId::Constraint(table.id, constraint.id),
                        internal: false,
                        on: ObjectId::Index(index),
                    });
                }
            }
        }
    }

    /// Does a column's default read the sequence?
    fn default_reads(&mut self, table: &TableDef, ordinal: usize, sequence: RelationId) -> bool {
        let Some(column) = table.columns.get(ordinal).filter(|column| !column.generated) else {
            return false;
        };
        if !column.default.as_ref().is_some_and(|text| text.contains("nextval")) {
            return false;
        }
        let Ok(bound) = self.default_value(table, column) else { return false };
        let mut reads = false;
        walk::visit(&bound, &mut |part| {
            if let Expr::Literal { value: Value::UInt32(oid), data_type, .. } = part {
                reads |= data_type.oid == DataType::REGCLASS.oid && *oid == sequence.0;
            }
        });
        reads
    }

    /// Older objects have smaller OIDs.
    fn age(&self, object: ObjectId) -> u32 {
        match object {
            ObjectId::Table(id) | ObjectId::Index(id) | ObjectId::View(id) | ObjectId::Sequence(id) => id.0,
            ObjectId::Column(id, _) | ObjectId::ColumnDefault(id, _) => id.0,
            ObjectId::Schema(id) => id.0,
            ObjectId::Role(id) => id.0,
            ObjectId::Database(id) => id.0,
            ObjectId::Constraint(_, id) => id.0,
        }
    }

    /// The object whose going takes `object` along without a word.
    fn owner_of(&self, object: ObjectId) -> Option<ObjectId> {
        match object {
            ObjectId::Constraint(table, _)
            | ObjectId::ColumnDefault(table, _)
            | ObjectId::Column(table, _) => Some(ObjectId::Table(table)),
            ObjectId::Index(index) => match self.cx.catalog.relation(index) {
                Some(Relation::Index { table, .. }) => Some(ObjectId::Table(table.id)),
                _ => None,
            },
            _ => None,
        }
    }

    /// `table t`, `view s.v`, `constraint c on table t`: as `getObjectDescription` says it.
    pub(super) fn describe(&self, object: ObjectId) -> String {
        let catalog = self.cx.catalog;
        let qualified = |id: RelationId| -> String {
            let Some(relation) = catalog.relation(id) else { return id.to_string() };
            let first = catalog.find_relation(None, relation.name(), &self.search).ok().flatten();
            if first.is_some_and(|found| found.id() == id) {
                return relation.name().to_string();
            }
            format!("{}.{}", self.schema_name(relation.schema()), relation.name())
        };
        let column = |table: RelationId, number: i16| -> String {
            catalog
                .table(table)
                .and_then(|table| table.columns.iter().find(|column| column.number == number))
                .map_or(String::new(), |column| column.name.clone())
        };
        match object {
            ObjectId::Table(id) => format!("table {}", qualified(id)),
            ObjectId::Index(id) => format!("index {}", qualified(id)),
            ObjectId::View(id) => format!("view {}", qualified(id)),
            ObjectId::Sequence(id) => format!("sequence {}", qualified(id)),
            ObjectId::Schema(id) => format!("schema {}", self.schema_name(id)),
            ObjectId::Role(id) => {
                format!("role {}", catalog.role(id).map_or("", |role| role.name.as_str()))
            }
            ObjectId::Database(id) => {
                let name = catalog.databases().find(|database| database.id == id);
                format!("database {}", name.map_or("", |database| database.name.as_str()))
            }
            ObjectId::Column(table, number) => {
                format!("column {} of table {}", column(table, number), qualified(table))
            }
            ObjectId::ColumnDefault(table, number) => {
                format!("default value for column {} of table {}", column(table, number), qualified(table))
            }
            ObjectId::Constraint(table, id) => {
                let name = catalog
                    .table(table)
                    .and_then(|table| table.constraints.iter().find(|constraint| constraint.id == id))
                    .map_or(String::new(), |constraint| constraint.name.clone());
                format!("constraint {name} on table {}", qualified(table))
            }
        }
    }

    fn schema_name(&self, id: SchemaId) -> &str {
        self.cx.catalog.schema(id).map_or("", |schema| schema.name.as_str())
    }
}

impl DropSet {
    fn contains(&self, object: ObjectId) -> bool {
        self.named.contains(&object)
            || self.internal.contains(&object)
            || self.found.iter().any(|(dependent, _)| *dependent == object)
    }
}

/// The constraint that an index belongs to.
pub(super) fn constraint_of(table: &TableDef, index: RelationId) -> Option<&str> {
    table
        .constraints
        .iter()
        .find(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { index: id } | ConstraintKind::Unique { index: id } => *id == index,
            _ => false,
        })
        .map(|constraint| constraint.name.as_str())
}
