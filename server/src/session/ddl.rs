//! Which tables a schema change must have to itself; what becomes of a password.

use catalog::{Catalog, Relation, RelationId};
use planner::ddl::{BoundDdl, Ddl, NewConstraintKind, ObjectId, ReferencedTable};
use storage::TableLock;
use types::{Error, Result, SqlState};

/// The locks `ddl` takes before it is carried out, as PostgreSQL takes them.
pub(crate) fn locks(ddl: &Ddl, catalog: &Catalog) -> Vec<(RelationId, TableLock)> {
    let exclusive = |object: &ObjectId| match object {
        ObjectId::Table(id) | ObjectId::View(id) | ObjectId::Sequence(id) => {
            Some((*id, TableLock::AccessExclusive))
        }
        ObjectId::Column(id, _) | ObjectId::ColumnDefault(id, _) | ObjectId::Constraint(id, _) => {
            Some((*id, TableLock::AccessExclusive))
        }
        ObjectId::Index(id) => match catalog.relation(*id) {
            Some(Relation::Index { table, .. }) => Some((table.id, TableLock::AccessExclusive)),
            _ => None,
        },
        ObjectId::Schema(_) | ObjectId::Role(_) | ObjectId::Database(_) => None,
    };
    match ddl {
        Ddl::CreateIndex(create) => vec![(create.table.id, TableLock::Share)],
        Ddl::Truncate(truncate) => {
            truncate.tables.iter().map(|table| (table.id, TableLock::AccessExclusive)).collect()
        }
        Ddl::AlterTable(alter) => vec![(alter.table.id, TableLock::AccessExclusive)],
        Ddl::Drop(drop) => drop.objects.iter().filter_map(exclusive).collect(),
        Ddl::Rename { object, .. } | Ddl::SetOwner { object, .. } => exclusive(object).into_iter().collect(),
        Ddl::SetSchema { object, .. } => vec![(*object, TableLock::AccessExclusive)],
        Ddl::CreateTable(create) => create
            .constraints
            .iter()
            .filter_map(|constraint| match &constraint.kind {
                NewConstraintKind::ForeignKey(key) => match key.referenced {
                    ReferencedTable::Existing { table, .. } => Some((table, TableLock::ShareRowExclusive)),
                    ReferencedTable::Itself(_) => None,
                },
                _ => None,
            })
            .collect(),
        Ddl::Analyze(tables) => {
            tables.iter().map(|analyze| (analyze.table.id, TableLock::ShareUpdateExclusive)).collect()
        }
        Ddl::Several(parts) => parts.iter().flat_map(|part| locks(part, catalog)).collect(),
        _ => Vec::new(),
    }
}

/// A role's password becomes its verifier, which is all that is ever stored of it.
pub(crate) fn keep_password(bound: &mut BoundDdl) -> Result<()> {
    let (Ddl::CreateRole { role, .. } | Ddl::AlterRole(role)) = &mut bound.ddl else { return Ok(()) };
    let Some(password) = &role.password else { return Ok(()) };
    if password.is_empty() {
        role.password = None;
        bound.notices.push(Error::new(
            SqlState::SUCCESSFUL_COMPLETION,
            "empty string is not a valid password, clearing password",
        ));
        return Ok(());
    }
    role.password = Some(crate::login::scram::stored_form(password)?);
    Ok(())
}
