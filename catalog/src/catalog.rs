//! The catalog of one database: lookup by name (with a search path) and by id.
//!
//! A value: [`Catalog::apply`] makes the next one, readers keep theirs. Relations of one schema share
//! a name space, as in PostgreSQL.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use types::{Error, Result, SqlState};

use crate::acl::{AclDef, AclItem, AclKind, AclTarget, EVERYBODY, Rights, default_items, grant, same};
use crate::bootstrap;
use crate::change::{CatalogChange, Object, ObjectId};
use crate::object::{
    DatabaseDef, DatabaseId, IndexDef, RelationId, RoleDef, RoleId, SchemaDef, SchemaId, SequenceDef,
    TableDef, ViewDef,
};
use crate::stats::TableStats;
use crate::system::{self, VirtualTable};

/// The schema `pg_catalog`, which every search path begins with unless it names it elsewhere.
pub const PG_CATALOG: SchemaId = SchemaId(11);
pub const PUBLIC: SchemaId = SchemaId(2200);
pub const INFORMATION_SCHEMA: SchemaId = SchemaId(13000);

#[derive(Debug, Clone)]
pub struct Catalog {
    database: DatabaseId,
    version: u64,
    databases: BTreeMap<DatabaseId, Arc<DatabaseDef>>,
    roles: BTreeMap<RoleId, Arc<RoleDef>>,
    schemas: BTreeMap<SchemaId, Arc<SchemaDef>>,
    relations: BTreeMap<RelationId, Relation>,
    names: HashMap<(SchemaId, String), RelationId>,
    stats: HashMap<RelationId, Arc<TableStats>>,
    acls: BTreeMap<AclTarget, Arc<AclDef>>,
}

/// Anything that has a name in a schema and a row in `pg_class`.
#[derive(Debug, Clone)]
pub enum Relation {
    Table(Arc<TableDef>),
    Index { table: Arc<TableDef>, index: Arc<IndexDef> },
    View(Arc<ViewDef>),
    Sequence(Arc<SequenceDef>),
    Virtual(Arc<VirtualTable>),
}

impl Relation {
    pub fn id(&self) -> RelationId {
        match self {
            Relation::Table(def) => def.id,
            Relation::Index { index, .. } => index.id,
            Relation::View(def) => def.id,
            Relation::Sequence(def) => def.id,
            Relation::Virtual(table) => table.id,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Relation::Table(def) => &def.name,
            Relation::Index { index, .. } => &index.name,
            Relation::View(def) => &def.name,
            Relation::Sequence(def) => &def.name,
            Relation::Virtual(table) => table.name,
        }
    }

    pub fn schema(&self) -> SchemaId {
        match self {
            Relation::Table(def) => def.schema,
            Relation::Index { index, .. } => index.schema,
            Relation::View(def) => def.schema,
            Relation::Sequence(def) => def.schema,
            Relation::Virtual(table) => table.schema,
        }
    }

    /// `table`, `index`, `view`, `sequence`: as messages call it.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Relation::Table(_) => "table",
            Relation::Index { .. } => "index",
            Relation::View(_) | Relation::Virtual(_) => "view",
            Relation::Sequence(_) => "sequence",
        }
    }
}

impl Catalog {
    /// A catalog with nothing in it but the system views.
    pub fn empty(database: DatabaseId) -> Catalog {
        let mut catalog = Catalog {
            database,
            version: 0,
            databases: BTreeMap::new(),
            roles: BTreeMap::new(),
            schemas: BTreeMap::new(),
            relations: BTreeMap::new(),
            names: HashMap::new(),
            stats: HashMap::new(),
            acls: BTreeMap::new(),
        };
        for table in system::virtual_tables() {
            catalog.add_relation(Relation::Virtual(Arc::clone(table)));
        }
        for role in bootstrap::predefined_roles() {
            catalog.roles.insert(role.id, Arc::new(role));
        }
        catalog
    }

    /// The database this is the catalog of.
    pub fn database(&self) -> DatabaseId {
        self.database
    }

    /// Grows with every change that is applied. Equal versions of one database are equal catalogs
    /// only within one published line; a transaction's own view counts on its own.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The catalog after `change`.
    pub fn apply(&self, change: &CatalogChange) -> Catalog {
        let mut next = self.clone();
        next.version += 1;
        for id in &change.drops {
            next.remove(*id);
        }
        for object in &change.puts {
            next.remove_for_put(object);
            next.put(object);
        }
        next
    }

    fn put(&mut self, object: &Object) {
        match object {
            Object::Database(def) => {
                self.databases.insert(def.id, Arc::clone(def));
            }
            Object::Role(def) => {
                self.roles.insert(def.id, Arc::clone(def));
            }
            Object::Schema(def) => {
                self.schemas.insert(def.id, Arc::clone(def));
            }
            Object::Table(def) => {
                for index in &def.indexes {
                    self.add_relation(Relation::Index { table: Arc::clone(def), index: Arc::clone(index) });
                }
                self.add_relation(Relation::Table(Arc::clone(def)));
            }
            Object::View(def) => self.add_relation(Relation::View(Arc::clone(def))),
            Object::Sequence(def) => self.add_relation(Relation::Sequence(Arc::clone(def))),
            Object::Stats(stats) => {
                self.stats.insert(stats.table, Arc::clone(stats));
            }
            Object::Acl(def) => {
                self.acls.insert(def.target, Arc::clone(def));
            }
        }
    }

    /// Takes the old form of `object` away; a table's statistics survive its alteration.
    fn remove_for_put(&mut self, object: &Object) {
        match object.id() {
            ObjectId::Table(id) => self.remove_relation(id),
            id => self.remove(id),
        }
    }

    fn remove(&mut self, id: ObjectId) {
        match id {
            ObjectId::Database(id) => {
                self.databases.remove(&id);
            }
            ObjectId::Role(id) => {
                self.roles.remove(&id);
            }
            ObjectId::Schema(id) => {
                self.schemas.remove(&id);
            }
            ObjectId::Table(id) => {
                self.remove_relation(id);
                self.stats.remove(&id);
            }
            ObjectId::View(id) | ObjectId::Sequence(id) => self.remove_relation(id),
            ObjectId::Stats(id) => {
                self.stats.remove(&id);
            }
            ObjectId::Acl(target) => {
                self.acls.remove(&target);
            }
        }
    }

    fn add_relation(&mut self, relation: Relation) {
        self.names.insert((relation.schema(), relation.name().to_string()), relation.id());
        self.relations.insert(relation.id(), relation);
    }

    fn remove_relation(&mut self, id: RelationId) {
        let Some(relation) = self.relations.remove(&id) else { return };
        if let Relation::Table(table) = &relation {
            for index in &table.indexes {
                self.remove_relation(index.id);
            }
        }
        let name = (relation.schema(), relation.name().to_string());
        if self.names.get(&name) == Some(&id) {
            self.names.remove(&name);
        }
    }

    // ---- by id ----

    pub fn relation(&self, id: RelationId) -> Option<&Relation> {
        self.relations.get(&id)
    }

    pub fn table(&self, id: RelationId) -> Option<&Arc<TableDef>> {
        match self.relations.get(&id) {
            Some(Relation::Table(table)) => Some(table),
            _ => None,
        }
    }

    pub fn sequence(&self, id: RelationId) -> Option<&Arc<SequenceDef>> {
        match self.relations.get(&id) {
            Some(Relation::Sequence(sequence)) => Some(sequence),
            _ => None,
        }
    }

    pub fn schema(&self, id: SchemaId) -> Option<&Arc<SchemaDef>> {
        self.schemas.get(&id)
    }

    pub fn role(&self, id: RoleId) -> Option<&Arc<RoleDef>> {
        self.roles.get(&id)
    }

    /// Whether `role` is `group` or in it, perhaps through others: may it SET ROLE to it? Superusers are in
    /// what they were put into.
    pub fn is_member(&self, role: RoleId, group: RoleId) -> bool {
        self.reaches(role, group, |_| true)
    }

    /// Whether `role` has the rights of `group` without SET ROLE: as a member that inherits, all the way.
    pub fn has_rights_of(&self, role: RoleId, group: RoleId) -> bool {
        self.reaches(role, group, |role| role.inherit)
    }

    pub fn is_superuser(&self, role: RoleId) -> bool {
        self.role(role).is_some_and(|role| role.superuser)
    }

    /// Whether `role` may choose the members of `group`. Its superusers and itself are not asked about.
    pub fn is_admin(&self, role: RoleId, group: RoleId) -> bool {
        self.roles
            .values()
            .any(|between| between.admin_of.contains(&group) && self.is_member(role, between.id))
    }

    fn reaches(&self, role: RoleId, group: RoleId, passes: impl Fn(&RoleDef) -> bool) -> bool {
        let mut seen = vec![role];
        let mut position = 0;
        while let Some(id) = seen.get(position).copied() {
            if id == group {
                return true;
            }
            position += 1;
            let Some(role) = self.role(id).filter(|role| passes(role)) else { continue };
            let owner = self.databases.get(&self.database).map(|database| database.owner);
            let implied = (owner == Some(id)).then_some(bootstrap::DATABASE_OWNER);
            for next in role.member_of.iter().copied().chain(implied) {
                if !seen.contains(&next) {
                    seen.push(next);
                }
            }
        }
        false
    }

    // ---- rights ----

    /// What has been granted there, if anything.
    pub fn acl(&self, target: AclTarget) -> Option<&Arc<AclDef>> {
        self.acls.get(&target)
    }

    pub fn acls(&self) -> impl Iterator<Item = &Arc<AclDef>> {
        self.acls.values()
    }

    /// What `items` give to `role`: itself, the roles whose rights it has, and everybody.
    pub fn rights_in(&self, role: RoleId, items: &[AclItem]) -> Rights {
        let counts = |item: &&AclItem| item.grantee == EVERYBODY || self.has_rights_of(role, item.grantee);
        items.iter().filter(counts).fold(Rights::NONE, |rights, item| rights.or(item.rights))
    }

    /// The items of an object: its own, or the built-in default.
    pub fn acl_items(&self, target: AclTarget, kind: AclKind, owner: RoleId) -> Vec<AclItem> {
        let own = self.acl(target).and_then(|def| def.items.clone());
        own.unwrap_or_else(|| default_items(kind, owner, built_in_public(target)))
    }

    fn rights(&self, role: RoleId, target: AclTarget, kind: AclKind, owner: RoleId) -> Rights {
        if self.is_superuser(role) {
            return kind.all();
        }
        match self.acl(target).and_then(|def| def.items.as_ref()) {
            Some(items) => self.rights_in(role, items),
            None if self.has_rights_of(role, owner) => kind.all(),
            None => built_in_public(target),
        }
    }

    /// What a new object of `owner`'s begins with by ALTER DEFAULT PRIVILEGES; `None`: the built-in default.
    pub fn initial_acl(
        &self,
        kind: AclKind,
        owner: RoleId,
        schema: Option<SchemaId>,
    ) -> Option<Vec<AclItem>> {
        let defaults = &self.acl(AclTarget::Defaults(owner))?.defaults;
        let of = |place: Option<SchemaId>| {
            defaults.iter().find(|default| default.kind == kind && default.schema == place)
        };
        let everywhere = of(None);
        let here = schema.and_then(|schema| of(Some(schema)));
        if everywhere.is_none() && here.is_none() {
            return None;
        }
        let built_in = default_items(kind, owner, Rights::NONE);
        let mut items = everywhere.map_or_else(|| built_in.clone(), |default| default.items.clone());
        for item in here.iter().flat_map(|default| &default.items) {
            grant(&mut items, item.grantee, item.grantor, item.rights, false);
            grant(&mut items, item.grantee, item.grantor, item.grantable, true);
        }
        (!same(&items, &built_in)).then_some(items)
    }

    /// What `role` may do with a relation as a whole.
    pub fn relation_rights(&self, role: RoleId, relation: &Relation) -> Rights {
        let (owner, kind) = match relation {
            Relation::Table(table) | Relation::Index { table, .. } => (table.owner, AclKind::Table),
            Relation::View(view) => (view.owner, AclKind::Table),
            Relation::Sequence(sequence) => (sequence.owner, AclKind::Sequence),
            // Verifiers are for superusers; everything else in the system's views is for all.
            Relation::Virtual(table) => {
                return match ["pg_authid", "pg_shadow"].contains(&table.name) && !self.is_superuser(role) {
                    true => Rights::NONE,
                    false => Rights::SELECT,
                };
            }
        };
        let mut rights = self.rights(role, AclTarget::Relation(relation.id()), kind, owner);
        if self.has_rights_of(role, bootstrap::READ_ALL_DATA) {
            rights = rights.or(Rights::SELECT);
        }
        if self.has_rights_of(role, bootstrap::WRITE_ALL_DATA) {
            rights = rights.or(Rights::INSERT).or(Rights::UPDATE).or(Rights::DELETE).and(kind.all());
        }
        rights
    }

    /// What `role` may do with a column besides what it may do with the whole relation.
    pub fn column_rights(&self, role: RoleId, relation: RelationId, number: i16) -> Rights {
        match self.acl(AclTarget::Relation(relation)) {
            Some(def) => self.rights_in(role, def.column(number)),
            None => Rights::NONE,
        }
    }

    pub fn schema_rights(&self, role: RoleId, schema: SchemaId) -> Rights {
        let Some(def) = self.schema(schema) else { return Rights::NONE };
        let rights = self.rights(role, AclTarget::Schema(schema), AclKind::Schema, def.owner);
        let reads = [bootstrap::READ_ALL_DATA, bootstrap::WRITE_ALL_DATA];
        match reads.iter().any(|group| self.has_rights_of(role, *group)) {
            true => rights.or(Rights::USAGE),
            false => rights,
        }
    }

    pub fn database_rights(&self, role: RoleId, database: DatabaseId) -> Rights {
        let Some(def) = self.databases.get(&database) else { return Rights::NONE };
        self.rights(role, AclTarget::Database(database), AclKind::Database, def.owner)
    }

    pub fn stats(&self, table: RelationId) -> Option<&Arc<TableStats>> {
        self.stats.get(&table)
    }

    // ---- all of a kind, by ascending id ----

    pub fn databases(&self) -> impl Iterator<Item = &Arc<DatabaseDef>> {
        self.databases.values()
    }

    pub fn roles(&self) -> impl Iterator<Item = &Arc<RoleDef>> {
        self.roles.values()
    }

    pub fn schemas(&self) -> impl Iterator<Item = &Arc<SchemaDef>> {
        self.schemas.values()
    }

    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values()
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDef>> {
        self.relations.values().filter_map(|relation| match relation {
            Relation::Table(table) => Some(table),
            _ => None,
        })
    }

    pub fn all_stats(&self) -> impl Iterator<Item = &Arc<TableStats>> {
        self.stats.values()
    }

    // ---- by name ----

    pub fn schema_by_name(&self, name: &str) -> Option<&Arc<SchemaDef>> {
        self.schemas.values().find(|schema| schema.name == name)
    }

    pub fn role_by_name(&self, name: &str) -> Option<&Arc<RoleDef>> {
        self.roles.values().find(|role| role.name == name)
    }

    pub fn database_by_name(&self, name: &str) -> Option<&Arc<DatabaseDef>> {
        self.databases.values().find(|database| database.name == name)
    }

    pub fn relation_in(&self, schema: SchemaId, name: &str) -> Option<&Relation> {
        self.names.get(&(schema, name.to_string())).and_then(|id| self.relations.get(id))
    }

    /// Schemas to search, in order: `pg_catalog` first unless the path names it.
    /// Names that do not exist are skipped, as PostgreSQL does, and so is what `user` may not look into.
    /// `"$user"` is `user`.
    pub fn search_schemas(&self, search_path: &[String], user: &str) -> Vec<SchemaId> {
        let mut schemas = self.named_schemas(search_path, user);
        let role = self.role_by_name(user).map(|role| role.id).unwrap_or_default();
        if !self.is_superuser(role) {
            schemas.retain(|schema| self.schema_rights(role, *schema).has_any(Rights::USAGE));
        }
        schemas
    }

    /// The same without regard to rights: where a view's own text is looked up.
    pub fn named_schemas(&self, search_path: &[String], user: &str) -> Vec<SchemaId> {
        let mut schemas = Vec::with_capacity(search_path.len() + 1);
        if !search_path.iter().any(|name| name == "pg_catalog") {
            schemas.push(PG_CATALOG);
        }
        for name in search_path {
            let name = if name == "$user" { user } else { name };
            if let Some(schema) = self.schema_by_name(name)
                && !schemas.contains(&schema.id)
            {
                schemas.push(schema.id);
            }
        }
        schemas
    }

    /// `schema.name`, or the first match of `name` on the path. `None` if there is none.
    ///
    /// 3F000 when `schema` is given and does not exist.
    pub fn find_relation(
        &self,
        schema: Option<&str>,
        name: &str,
        path: &[SchemaId],
    ) -> Result<Option<&Relation>> {
        match schema {
            Some(schema) => {
                let schema = self.schema_by_name(schema).ok_or_else(|| undefined_schema(schema))?;
                Ok(self.relation_in(schema.id, name))
            }
            None => Ok(path.iter().find_map(|schema| self.relation_in(*schema, name))),
        }
    }

    /// Where a relation without schema is created: the first schema of the path that exists.
    ///
    /// 3F000 "no schema has been selected to create in".
    pub fn creation_schema(&self, search_path: &[String], user: &str) -> Result<SchemaId> {
        let role = self.role_by_name(user).map(|role| role.id).unwrap_or_default();
        search_path
            .iter()
            .map(|name| if name == "$user" { user } else { name })
            .filter_map(|name| self.schema_by_name(name))
            .map(|schema| schema.id)
            .find(|schema| self.schema_rights(role, *schema).has_any(Rights::USAGE))
            .ok_or_else(|| {
                Error::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
            })
    }

    /// Tables whose foreign keys point at `table`.
    pub fn referencing_tables(&self, table: RelationId) -> impl Iterator<Item = &Arc<TableDef>> {
        self.tables().filter(move |other| {
            other.constraints.iter().any(|constraint| {
                matches!(&constraint.kind, crate::object::ConstraintKind::ForeignKey(key) if key.referenced_table == table)
            })
        })
    }

    /// Views that read `relation`.
    pub fn dependent_views(&self, relation: RelationId) -> impl Iterator<Item = &Arc<ViewDef>> {
        self.relations.values().filter_map(move |other| match other {
            Relation::View(view) if view.depends_on.contains(&relation) => Some(view),
            _ => None,
        })
    }
}

/// What everybody may do with an object on which nothing was granted.
pub fn built_in_public(target: AclTarget) -> Rights {
    match target {
        AclTarget::Database(_) => Rights::CONNECT.or(Rights::TEMPORARY),
        AclTarget::Schema(PG_CATALOG | INFORMATION_SCHEMA | PUBLIC) => Rights::USAGE,
        _ => Rights::NONE,
    }
}

/// 3F000.
pub fn undefined_schema(name: &str) -> Error {
    Error::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
}
