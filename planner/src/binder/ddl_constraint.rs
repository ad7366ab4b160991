//! PRIMARY KEY, UNIQUE, CHECK and FOREIGN KEY, of CREATE TABLE and of ALTER TABLE.
//!
//! Each gets PostgreSQL's name (`t_pkey`, `t_a_key`, `t_a_check`, `t_a_fkey`) unless it has one; keys bring their
//! index. Follows `parse_utilcmd.c` and `tablecmds.c`.

use catalog::acl::Rights;
use catalog::{ColumnDef, IndexColumn, Relation};
use parser::ast;
use types::{Error, Result, Span, SqlState};

use super::Binder;
use super::ddl_table::{
    Draft, MAX_INDEX_COLUMNS, check_indexable, inputs_of, refuse_subquery, too_many_index_columns,
};
use super::object_name::joined;
use super::scope::Clause;
use crate::ddl::{
    NewConstraint, NewConstraintIndex, NewConstraintKind, NewForeignKey, NewIndex, ReferencedTable,
};

impl Binder<'_> {
    /// PRIMARY KEY, UNIQUE, CHECK or FOREIGN KEY; `column` for a column's constraint.
    pub(super) fn constraint(
        &mut self,
        draft: &mut Draft<'_>,
        column: Option<usize>,
        constraint: &ast::Constraint,
    ) -> Result<()> {
        let initially_deferred = constraint.initially_deferred.unwrap_or(false);
        let deferrable = constraint.deferrable.unwrap_or(initially_deferred);
        if initially_deferred && !deferrable {
            return Err(Error::syntax("constraint declared INITIALLY DEFERRED must be DEFERRABLE")
                .at(constraint.span));
        }
        if let Some(name) = &constraint.name
            && draft.taken.has_constraint(name)
        {
            return Err(Error::new(
                SqlState::DUPLICATE_OBJECT,
                if let ast::ConstraintKind::Check(_) = constraint.kind
                    && draft.existing.is_none()
                {
                    format!("check constraint \"{name}\" already exists")
                } else {
                    format!("constraint \"{name}\" for relation \"{}\" already exists", draft.name)
                },
            ));
        }
        let (name, kind) = match &constraint.kind {
            ast::ConstraintKind::Primary(unique) => self.key(draft, column, constraint, unique, true)?,
            ast::ConstraintKind::Unique(unique) => self.key(draft, column, constraint, unique, false)?,
            ast::ConstraintKind::Check(expr) => self.check(draft, constraint, expr)?,
            ast::ConstraintKind::Foreign(foreign) => self.foreign_key(draft, column, constraint, foreign)?,
            ast::ConstraintKind::Exclude(_) => {
                return Err(Error::not_supported("exclusion constraints").at(constraint.span));
            }
            _ => return Ok(()),
        };
        draft.constraints.push(NewConstraint {
            name,
            kind,
            deferrable,
            initially_deferred,
            validated: !constraint.not_valid,
        });
        Ok(())
    }

    fn key(
        &mut self,
        draft: &mut Draft<'_>,
        column: Option<usize>,
        constraint: &ast::Constraint,
        unique: &ast::UniqueConstraint,
        primary: bool,
    ) -> Result<(String, NewConstraintKind)> {
        self.refuse_storage(None, unique.tablespace.as_deref())?;
        super::storage_parameter::check(&unique.options, true, false, &mut draft.notices)?;
        let wrap = |index| {
            if primary { NewConstraintKind::PrimaryKey(index) } else { NewConstraintKind::Unique(index) }
        };
        if primary && std::mem::replace(&mut draft.has_primary_key, true) {
            let error = Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("multiple primary keys for table \"{}\" are not allowed", draft.name),
            );
            return Err(if draft.existing.is_some() { error } else { error.at(constraint.span) });
        }
        if let Some(index) = &unique.index {
            return self.key_using_index(draft, constraint, index, primary);
        }
        let what = if primary { "primary key" } else { "unique" };
        let ordinals = match column {
            Some(ordinal) if unique.columns.is_empty() => vec![ordinal],
            _ => key_columns(draft, &unique.columns, what, constraint.span)?,
        };
        let include = key_columns(draft, &unique.include, what, constraint.span)?;
        let mut columns = Vec::with_capacity(ordinals.len());
        for ordinal in &ordinals {
            let Some(definition) = draft.columns.get_mut(*ordinal) else { continue };
            if primary {
                definition.not_null = true;
            }
            check_indexable(definition.data_type)?;
            columns.push(IndexColumn {
                column: Some(*ordinal),
                expression: None,
                data_type: definition.data_type,
                descending: false,
                nulls_first: false,
            });
        }
        if columns.len() > MAX_INDEX_COLUMNS {
            return Err(too_many_index_columns());
        }
        let names: Vec<String> = ordinals
            .iter()
            .chain(&include)
            .filter_map(|ordinal| draft.columns.get(*ordinal))
            .map(|column| column.name.clone())
            .collect();
        let table = draft.name.clone();
        let name = match &constraint.name {
            Some(name) => {
                if draft.taken.has_relation(name) {
                    return Err(Error::new(
                        SqlState::DUPLICATE_TABLE,
                        format!("relation \"{name}\" already exists"),
                    ));
                }
                draft.taken.add_relation(name);
                draft.taken.add_constraint(name);
                name.clone()
            }
            None if primary => draft.taken.index_constraint(&table, None, "pkey"),
            None => draft.taken.index_constraint(&table, Some(&joined(&names)), "key"),
        };
        draft.indexes.push(NewIndex {
            name: name.clone(),
            columns,
            include,
            unique: true,
            primary,
            nulls_not_distinct: unique.nulls_not_distinct,
            predicate: None,
            comment: None,
        });
        Ok((name, wrap(NewConstraintIndex::New(draft.indexes.len() - 1))))
    }

    /// ADD CONSTRAINT … USING INDEX.
    fn key_using_index(
        &mut self,
        draft: &mut Draft<'_>,
        constraint: &ast::Constraint,
        name: &str,
        primary: bool,
    ) -> Result<(String, NewConstraintKind)> {
        let span = constraint.span;
        let Some(table) = draft.existing else {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot use an existing index in CREATE TABLE",
            )
            .at(span));
        };
        let index = table.indexes.iter().find(|index| index.name == name).ok_or_else(|| {
            Error::new(SqlState::UNDEFINED_OBJECT, format!("index \"{name}\" does not exist")).at(span)
        })?;
        let problem = if !index.unique {
            Some(format!("\"{name}\" is not a unique index"))
        } else if index.predicate.is_some() {
            Some(format!("\"{name}\" is a partial index"))
        } else if index.columns.iter().any(|column| column.column.is_none()) {
            Some(format!("index \"{name}\" contains expressions"))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, problem)
                .with_detail("Cannot create a primary key or unique constraint using such an index.")
                .at(span));
        }
        if constraint.name.as_ref().is_some_and(|new| new != name) {
            return Err(Error::not_supported("renaming an index by ADD CONSTRAINT … USING INDEX")
                .with_hint("Rename the index first.")
                .at(span));
        }
        if primary {
            for key in &index.columns {
                if let Some(column) = key.column.and_then(|ordinal| draft.columns.get_mut(ordinal)) {
                    column.not_null = true;
                }
            }
        }
        draft.taken.add_constraint(name);
        let index = NewConstraintIndex::Existing(index.id);
        let kind =
            if primary { NewConstraintKind::PrimaryKey(index) } else { NewConstraintKind::Unique(index) };
        Ok((name.to_string(), kind))
    }

    fn check(
        &mut self,
        draft: &mut Draft<'_>,
        constraint: &ast::Constraint,
        expr: &ast::Expr,
    ) -> Result<(String, NewConstraintKind)> {
        let span = expr.start_span();
        let predicate = self.over_draft(draft, |binder| {
            let bound = binder.clause_expr(expr, Clause::Check)?;
            binder.coercer.boolean(bound, "CHECK", span)
        })?;
        refuse_subquery(&predicate, "check constraint", span)?;
        let columns = inputs_of(&predicate);
        let table = draft.name.clone();
        let name = match &constraint.name {
            Some(name) => {
                draft.taken.add_constraint(name);
                name.clone()
            }
            None => {
                let only = match columns.as_slice() {
                    [one] => draft.columns.get(*one).map(|column| column.name.clone()),
                    _ => None,
                };
                draft.taken.constraint(&table, only.as_deref(), "check")
            }
        };
        let expression = self.print_over(&predicate, &draft.columns);
        Ok((name, NewConstraintKind::Check { expression, columns, predicate }))
    }

    fn foreign_key(
        &mut self,
        draft: &mut Draft<'_>,
        column: Option<usize>,
        constraint: &ast::Constraint,
        foreign: &ast::ForeignConstraint,
    ) -> Result<(String, NewConstraintKind)> {
        if foreign.match_type == ast::MatchType::Partial {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "MATCH PARTIAL not yet implemented")
                .at(constraint.span));
        }
        if !foreign.on_delete_columns.is_empty() {
            return Err(Error::not_supported("a column list for ON DELETE SET").at(constraint.span));
        }
        let missing = |name: &str| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" referenced in foreign key constraint does not exist"),
            )
        };
        let find = |columns: &[ColumnDef], name: &str| -> Option<usize> {
            columns.iter().position(|column| !column.dropped && column.name == name)
        };
        let columns: Vec<usize> = match column {
            Some(ordinal) => vec![ordinal],
            None => foreign
                .columns
                .iter()
                .map(|name| find(&draft.columns, name).ok_or_else(|| missing(name)))
                .collect::<Result<_>>()?,
        };
        let itself = self.means_draft(draft, &foreign.table);
        let other;
        let target: &[ColumnDef] = if itself {
            &draft.columns
        } else {
            let relation = self.find_relation(&foreign.table).map_err(Error::without_span)?;
            let numbers: Vec<i16> = match &relation {
                Relation::Table(table) => {
                    let named = foreign.referenced.iter();
                    let by_key = table.primary_key().filter(|_| foreign.referenced.is_empty());
                    let keys = by_key.iter().flat_map(|key| key.columns.iter().filter_map(|key| key.column));
                    let ordinals = named.filter_map(|name| table.column_index(name)).chain(keys);
                    ordinals.filter_map(|at| table.columns.get(at)).map(|column| column.number).collect()
                }
                _ => Vec::new(),
            };
            self.check_column_rights(&relation, Rights::REFERENCES, &numbers)?;
            match relation {
                Relation::Table(table) => other = table,
                found => {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("referenced relation \"{}\" is not a table", found.name()),
                    ));
                }
            }
            &other.columns
        };
        let mut named: Vec<usize> = foreign
            .referenced
            .iter()
            .map(|name| find(target, name).ok_or_else(|| missing(name)))
            .collect::<Result<_>>()?;
        let keys = self.keys_of(draft, itself, &foreign.table)?;
        let index = if named.is_empty() {
            let key = keys.iter().find(|key| key.primary).ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("there is no primary key for referenced table \"{}\"", foreign.table.name),
                )
            })?;
            named.clone_from(&key.columns);
            key
        } else {
            keys.iter()
                .find(|key| {
                    key.columns.len() == named.len()
                        && key.columns.iter().all(|column| named.contains(column))
                })
                .ok_or_else(|| {
                    Error::new(
                        SqlState::INVALID_FOREIGN_KEY,
                        format!(
                            "there is no unique constraint matching given keys for referenced table \"{}\"",
                            foreign.table.name
                        ),
                    )
                })?
        };
        if columns.len() != named.len() {
            return Err(Error::new(
                SqlState::INVALID_FOREIGN_KEY,
                "number of referencing and referenced columns for foreign key disagree",
            ));
        }
        let target: Vec<ColumnDef> = target.to_vec();
        let names: Vec<String> = columns
            .iter()
            .filter_map(|at| draft.columns.get(*at))
            .map(|column| column.name.clone())
            .collect();
        let table = draft.name.clone();
        let name = match &constraint.name {
            Some(name) => {
                draft.taken.add_constraint(name);
                name.clone()
            }
            None => draft.taken.constraint(&table, Some(&joined(&names)), "fkey"),
        };
        for (from, to) in columns.iter().zip(&named) {
            let (Some(from), Some(to)) = (draft.columns.get(*from), target.get(*to)) else { continue };
            let comparable =
                self.coercer.find_operator("=", Some(to.data_type), from.data_type, constraint.span).is_ok();
            if !comparable {
                return Err(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("foreign key constraint \"{name}\" cannot be implemented"),
                )
                .with_detail(format!(
                    "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                    from.name, to.name, from.data_type, to.data_type
                )));
            }
        }
        let referenced = match (&index.index, index.table) {
            (KeyIndex::Existing(id), Some(table)) => ReferencedTable::Existing { table, index: *id },
            (KeyIndex::Existing(id), None) => ReferencedTable::Itself(NewConstraintIndex::Existing(*id)),
            (KeyIndex::New(at), _) => ReferencedTable::Itself(NewConstraintIndex::New(*at)),
        };
        Ok((
            name,
            NewConstraintKind::ForeignKey(NewForeignKey {
                columns,
                referenced,
                referenced_columns: named,
                on_update: action(foreign.on_update),
                on_delete: action(foreign.on_delete),
                match_full: foreign.match_type == ast::MatchType::Full,
            }),
        ))
    }

    fn means_draft(&self, draft: &Draft<'_>, range: &ast::RangeVar) -> bool {
        if range.name != draft.name {
            return false;
        }
        match (&range.schema, draft.existing) {
            (Some(schema), _) => {
                self.cx.catalog.schema_by_name(schema).is_some_and(|schema| schema.id == draft.schema)
            }
            (None, Some(existing)) => self
                .cx
                .catalog
                .find_relation(None, &range.name, &self.search)
                .ok()
                .flatten()
                .is_some_and(|relation| relation.id() == existing.id),
            // A new table hides none of its name that the path finds first.
            (None, None) => {
                self.cx.catalog.find_relation(None, &range.name, &self.search).ok().flatten().is_none()
            }
        }
    }

    /// The unique keys that a foreign key may point at.
    fn keys_of(&self, draft: &Draft<'_>, itself: bool, range: &ast::RangeVar) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let table = if itself {
            draft.existing.map(|table| (table.clone(), None))
        } else {
            match self.find_relation(range).map_err(Error::without_span)? {
                Relation::Table(table) => Some(((*table).clone(), Some(table.id))),
                _ => None,
            }
        };
        if let Some((table, id)) = table {
            for index in table.indexes.iter().filter(|index| index.unique && index.predicate.is_none()) {
                let columns: Option<Vec<usize>> = index.columns.iter().map(|column| column.column).collect();
                if let Some(columns) = columns {
                    keys.push(Key {
                        columns,
                        primary: index.primary,
                        index: KeyIndex::Existing(index.id),
                        table: id,
                    });
                }
            }
        }
        if itself {
            for (at, index) in draft.indexes.iter().enumerate().filter(|(_, index)| index.unique) {
                let columns: Option<Vec<usize>> = index.columns.iter().map(|column| column.column).collect();
                if let Some(columns) = columns {
                    keys.push(Key { columns, primary: index.primary, index: KeyIndex::New(at), table: None });
                }
            }
        }
        Ok(keys)
    }
}

/// A unique key that a foreign key may use.
struct Key {
    columns: Vec<usize>,
    primary: bool,
    index: KeyIndex,
    /// `None`: the table being defined.
    table: Option<catalog::RelationId>,
}

enum KeyIndex {
    Existing(catalog::RelationId),
    New(usize),
}

fn action(action: ast::ForeignAction) -> catalog::ForeignKeyAction {
    match action {
        ast::ForeignAction::NoAction => catalog::ForeignKeyAction::NoAction,
        ast::ForeignAction::Restrict => catalog::ForeignKeyAction::Restrict,
        ast::ForeignAction::Cascade => catalog::ForeignKeyAction::Cascade,
        ast::ForeignAction::SetNull => catalog::ForeignKeyAction::SetNull,
        ast::ForeignAction::SetDefault => catalog::ForeignKeyAction::SetDefault,
    }
}

fn key_columns(draft: &Draft<'_>, names: &[String], what: &str, span: Span) -> Result<Vec<usize>> {
    let mut ordinals = Vec::with_capacity(names.len());
    for name in names {
        let ordinal =
            draft.columns.iter().position(|column| !column.dropped && column.name == *name).ok_or_else(
                || {
                    Error::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{name}\" named in key does not exist"),
                    )
                    .at(span)
                },
            )?;
        if ordinals.contains(&ordinal) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" appears twice in {what} constraint"),
            )
            .at(span));
        }
        ordinals.push(ordinal);
    }
    Ok(ordinals)
}
