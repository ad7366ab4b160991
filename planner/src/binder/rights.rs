//! Who may do what: superusers everything, owners what they own, everybody what was granted.
//!
//! What a statement does with each relation is noted while names are resolved ([`Access`]) and checked when
//! all of it is known, so that an unknown column is reported before a missing right, as in PostgreSQL. What a
//! view reads is noted for the view's owner. A plan is found again only by the same role under the same
//! catalog (`cache.rs`), and a grant makes a new catalog: a cached plan has been checked. 42501.

use catalog::acl::Rights;
use catalog::{Relation, RoleId, SchemaId, TableDef};
use expr::ColumnId;
use types::{Error, Result, SqlState};

use super::Binder;

/// What a statement does with one relation, and for whom.
#[derive(Debug)]
pub(super) struct Access {
    relation: Relation,
    /// Whose rights count.
    role: RoleId,
    /// Rights needed; SELECT, INSERT and UPDATE may also be there for each of the columns below.
    rights: Rights,
    read: Vec<i16>,
    inserted: Vec<i16>,
    updated: Vec<i16>,
}

impl Access {
    fn columns(&mut self, right: Rights) -> &mut Vec<i16> {
        match right {
            Rights::INSERT => &mut self.inserted,
            Rights::UPDATE => &mut self.updated,
            _ => &mut self.read,
        }
    }
}

impl Binder<'_> {
    /// Does the acting role have the rights of `owner`?
    pub(super) fn acts_for(&self, owner: RoleId) -> bool {
        let catalog = self.cx.catalog;
        catalog.is_superuser(self.acting) || catalog.has_rights_of(self.acting, owner)
    }

    // ---- noted while binding ----

    /// Notes that the acting role uses `relation`.
    pub(super) fn note_access(&mut self, relation: &Relation, rights: Rights) {
        if !self.cx.catalog.is_superuser(self.acting) {
            self.accesses.push(Access {
                relation: relation.clone(),
                role: self.acting,
                rights,
                read: Vec::new(),
                inserted: Vec::new(),
                updated: Vec::new(),
            });
        }
    }

    /// The latest use of `relation` by the acting role.
    fn access_to(&self, relation: catalog::RelationId) -> Option<usize> {
        self.accesses
            .iter()
            .rposition(|access| access.relation.id() == relation && access.role == self.acting)
    }

    /// Using one of `columns` reads that column of `relation`, noted before: ids with column numbers.
    pub(super) fn note_readers(
        &mut self,
        relation: catalog::RelationId,
        columns: impl IntoIterator<Item = (ColumnId, i16)>,
    ) {
        if let Some(access) = self.access_to(relation) {
            for (id, number) in columns {
                self.readers.entry(id).or_default().push((access, number));
            }
        }
    }

    /// The same for a table's row, by ordinals.
    pub(super) fn note_row_readers(&mut self, table: &TableDef, row: &[(ColumnId, usize)]) {
        let numbers: Vec<(ColumnId, i16)> =
            row.iter().filter_map(|(id, ordinal)| Some((*id, table.columns.get(*ordinal)?.number))).collect();
        self.note_readers(table.id, numbers);
    }

    /// An expression of the user's (or of a view's) uses these columns.
    pub(super) fn note_read(&mut self, columns: &[ColumnId]) {
        if self.readers.is_empty() || self.stored_depth > 0 {
            return;
        }
        for id in columns {
            for (at, number) in self.readers.get(id).into_iter().flatten() {
                if let Some(access) = self.accesses.get_mut(*at) {
                    access.rights = access.rights.or(Rights::SELECT);
                    if !access.read.contains(number) {
                        access.read.push(*number);
                    }
                }
            }
        }
    }

    /// Notes that columns of `table` (by ordinal) are given values by INSERT or UPDATE, or (SELECT) looked at.
    pub(super) fn note_columns(&mut self, table: &TableDef, right: Rights, ordinals: &[usize]) {
        let Some(access) = self.access_to(table.id).and_then(|at| self.accesses.get_mut(at)) else { return };
        access.rights = access.rights.or(right);
        for ordinal in ordinals {
            if let Some(column) = table.columns.get(*ordinal)
                && !access.columns(right).contains(&column.number)
            {
                access.columns(right).push(column.number);
            }
        }
    }

    // ---- checked at the end ----

    /// All that was noted. 42501 `permission denied for table t`.
    pub(super) fn check_accesses(&self) -> Result<()> {
        self.accesses.iter().try_for_each(|access| self.check_noted(access))
    }

    fn check_noted(&self, access: &Access) -> Result<()> {
        let (catalog, relation) = (self.cx.catalog, &access.relation);
        let missing = access.rights.without(catalog.relation_rights(access.role, relation));
        if missing.is_empty() {
            return Ok(());
        }
        let by_column = Rights::SELECT.or(Rights::INSERT).or(Rights::UPDATE);
        let denied = || Err(self.denied_for(relation));
        if !missing.without(by_column).is_empty() {
            return denied();
        }
        let may =
            |number: i16, right| catalog.column_rights(access.role, relation.id(), number).has_all(right);
        let wanted = [
            (Rights::SELECT, &access.read),
            (Rights::INSERT, &access.inserted),
            (Rights::UPDATE, &access.updated),
        ];
        for (right, columns) in wanted.into_iter().filter(|(right, _)| missing.has_any(*right)) {
            // Nothing in particular: a right to any column will do.
            let fits = match columns.as_slice() {
                [] => catalog
                    .acl(catalog::acl::AclTarget::Relation(relation.id()))
                    .is_some_and(|acl| acl.columns.iter().any(|(number, _)| may(*number, right))),
                columns => columns.iter().all(|number| may(*number, right)),
            };
            if !fits {
                return denied();
            }
        }
        Ok(())
    }

    fn denied_for(&self, relation: &Relation) -> Error {
        let kind = match relation {
            Relation::Virtual(table) if table.name == "pg_authid" => "table",
            other => other.kind_name(),
        };
        denied(format!("permission denied for {kind} {}", relation.name()))
    }

    // ---- checked at once ----

    /// Any of `rights` on the relation. 42501 `permission denied for table t`.
    pub(super) fn check_rights(&self, relation: &Relation, rights: Rights) -> Result<()> {
        match self.cx.catalog.relation_rights(self.acting, relation).has_any(rights)
            || self.cx.catalog.is_superuser(self.acting)
        {
            true => Ok(()),
            false => Err(self.denied_for(relation)),
        }
    }

    /// A right on every one of the table's columns named by ordinal, or on the whole of it.
    pub(super) fn check_column_rights(
        &self,
        relation: &Relation,
        right: Rights,
        numbers: &[i16],
    ) -> Result<()> {
        let catalog = self.cx.catalog;
        let may = |number: &i16| catalog.column_rights(self.acting, relation.id(), *number).has_all(right);
        match !numbers.is_empty() && numbers.iter().all(may) {
            true => Ok(()),
            false => self.check_rights(relation, right),
        }
    }

    /// Looking into a schema that was named. 42501 `permission denied for schema s`.
    pub(super) fn check_schema_usage(&self, name: &str) -> Result<()> {
        let catalog = self.cx.catalog;
        // What a view reads was found when it was made.
        if !self.views.is_empty() || catalog.is_superuser(self.acting) {
            return Ok(());
        }
        match catalog.schema_by_name(name) {
            Some(schema) if !catalog.schema_rights(self.acting, schema.id).has_any(Rights::USAGE) => {
                Err(denied(format!("permission denied for schema {name}")))
            }
            _ => Ok(()),
        }
    }

    /// Altering or dropping a relation. 42501 `must be owner of table t`.
    pub(super) fn check_owner(&self, relation: &Relation) -> Result<()> {
        match owner_of(relation) {
            Some(owner) if !self.acts_for(owner) => {
                Err(denied(format!("must be owner of {} {}", relation.kind_name(), relation.name())))
            }
            _ => Ok(()),
        }
    }

    /// Altering or dropping a schema.
    pub(super) fn check_schema_owner(&self, schema: SchemaId) -> Result<()> {
        match self.cx.catalog.schema(schema) {
            Some(schema) if !self.acts_for(schema.owner) => {
                Err(denied(format!("must be owner of schema {}", schema.name)))
            }
            _ => Ok(()),
        }
    }

    /// Altering a database.
    pub(super) fn check_database_owner(&self, database: &catalog::DatabaseDef) -> Result<()> {
        match self.acts_for(database.owner) {
            true => Ok(()),
            false => Err(denied(format!("must be owner of database {}", database.name))),
        }
    }

    /// Making something in a schema. 42501 `permission denied for schema public`.
    pub(super) fn check_may_create(&self, schema: SchemaId) -> Result<()> {
        self.check_may_create_as(self.acting, schema)
    }

    fn check_may_create_as(&self, role: RoleId, schema: SchemaId) -> Result<()> {
        match self.cx.catalog.schema(schema) {
            Some(def) if !self.cx.catalog.schema_rights(role, schema).has_any(Rights::CREATE) => {
                Err(denied(format!("permission denied for schema {}", def.name)))
            }
            _ => Ok(()),
        }
    }

    /// Making a schema. 42501 `permission denied for database d`.
    pub(super) fn check_may_create_schema(&self, role: RoleId) -> Result<()> {
        let catalog = self.cx.catalog;
        match catalog.databases().find(|database| database.id == self.cx.database) {
            Some(database) if !catalog.database_rights(role, database.id).has_any(Rights::CREATE) => {
                Err(denied(format!("permission denied for database {}", database.name)))
            }
            _ => Ok(()),
        }
    }

    /// Giving an object to `owner`: the acting role must be able to become it, and it must be allowed to have
    /// made the object where it is.
    pub(super) fn check_may_give(&self, owner: RoleId, schema: Option<SchemaId>) -> Result<()> {
        let catalog = self.cx.catalog;
        if catalog.is_superuser(self.acting) {
            return Ok(());
        }
        self.check_member(owner)?;
        match schema {
            Some(schema) => self.check_may_create_as(owner, schema),
            None => Ok(()),
        }
    }

    /// 42501 `must be member of role "r"`.
    pub(super) fn check_member(&self, role: RoleId) -> Result<()> {
        let catalog = self.cx.catalog;
        if catalog.is_superuser(self.acting) || catalog.is_member(self.acting, role) {
            return Ok(());
        }
        let name = catalog.role(role).map_or("", |role| role.name.as_str());
        Err(denied(format!("must be member of role \"{name}\"")))
    }
}

/// 42501.
pub(super) fn denied(message: impl Into<String>) -> Error {
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

pub(super) fn owner_of(relation: &Relation) -> Option<RoleId> {
    match relation {
        Relation::Table(table) => Some(table.owner),
        Relation::Index { table, .. } => Some(table.owner),
        Relation::View(view) => Some(view.owner),
        Relation::Sequence(sequence) => Some(sequence.owner),
        Relation::Virtual(_) => None,
    }
}
