//! ALTER TABLE and its like, RENAME, SET SCHEMA, OWNER TO.
//!
//! Commands are checked in order against the table as the earlier ones leave it. Follows `tablecmds.c`.

use std::sync::Arc;

use catalog::{ColumnDef, ConstraintKind, Identity, Relation, TableDef, ViewDef};
use expr::{CastContext, Expr, Volatility};
use parser::ast::{self, AlterTableKind as Kind, ObjectRef, ObjectType};
use types::{Error, Result, SqlState, Value};

use super::Binder;
use super::ddl::{relation_object, skipping, undefined_constraint};
use super::ddl_table::{Draft, check_column_type, inputs_of, refuse_subquery};
use super::object_name::Taken;
use super::rights::denied;
use super::scope::Clause;
use super::stored::{as_inputs, parse_expr};
use crate::ddl::{AlterSequence, AlterTable, AlterTableAction as Action, Ddl, ObjectId, OwnedSequence};

impl Binder<'_> {
    pub(super) fn alter_table(
        &mut self,
        alter: &ast::AlterTableStmt,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        let relation = match self.find_relation(&alter.relation) {
            Ok(relation) => relation,
            Err(error) if alter.missing_ok && error.code() == SqlState::UNDEFINED_TABLE => {
                notices
                    .push(skipping(format!("relation \"{}\" does not exist, skipping", alter.relation.name)));
                return Ok(Ddl::Nothing);
            }
            Err(error) => return Err(error.without_span()),
        };
        self.check_owner(&relation)?;
        // OWNER TO works on every kind of relation.
        if let [ast::AlterTableCmd { kind: Kind::Owner(role), .. }] = alter.commands.as_slice() {
            let owner = self.role(role)?.id;
            self.check_may_give(owner, Some(relation.schema()))?;
            return Ok(Ddl::SetOwner { object: relation_object(&relation), owner });
        }
        self.check_kind(&relation, alter.object_type)?;
        if let (
            Relation::Index { .. },
            [ast::AlterTableCmd { kind: Kind::SetOptions { options, reset }, .. }],
        ) = (&relation, alter.commands.as_slice())
        {
            super::storage_parameter::check(options, true, *reset, notices)?;
            return Ok(Ddl::Nothing);
        }
        let Relation::Table(table) = relation else {
            return Err(Error::not_supported(format!("this form of ALTER {}", alter.object_type.keyword()))
                .at(alter.span));
        };
        let mut draft = Draft {
            name: table.name.clone(),
            schema: table.schema,
            existing: Some(&table),
            columns: table.columns.clone(),
            sequences: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            taken: Taken::new(self.cx.catalog, table.schema, Some(&table)),
            has_primary_key: table.primary_key().is_some(),
            notices: Vec::new(),
        };
        let mut actions = Vec::new();
        for command in &alter.commands {
            self.alter_command(&table, &mut draft, command, &mut actions, notices)?;
        }
        let indexes = std::mem::take(&mut draft.indexes);
        notices.append(&mut draft.notices);
        drop(draft);
        Ok(Ddl::AlterTable(Box::new(AlterTable { table, actions, indexes })))
    }

    fn alter_command(
        &mut self,
        table: &Arc<TableDef>,
        draft: &mut Draft<'_>,
        command: &ast::AlterTableCmd,
        actions: &mut Vec<Action>,
        notices: &mut Vec<Error>,
    ) -> Result<()> {
        match &command.kind {
            Kind::AddColumn { column, if_not_exists } => {
                if *if_not_exists && find_column(draft, &column.name).is_ok() {
                    notices.push(Error::new(
                        SqlState::DUPLICATE_COLUMN,
                        format!(
                            "column \"{}\" of relation \"{}\" already exists, skipping",
                            column.name, draft.name
                        ),
                    ));
                    return Ok(());
                }
                self.add_table_column(draft, column, actions)?;
            }
            Kind::DropColumn { name, missing_ok, behavior } => {
                let ordinal = match find_column(draft, name) {
                    Ok(ordinal) => ordinal,
                    Err(_) if *missing_ok => {
                        notices.push(skipping(format!(
                            "column \"{name}\" of relation \"{}\" does not exist, skipping",
                            draft.name
                        )));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                };
                let objects = self.column_dependents(table, ordinal, *behavior, notices)?;
                if let Some(column) = draft.columns.get_mut(ordinal) {
                    column.dropped = true;
                }
                actions.push(Action::DropColumn { column: ordinal, objects });
            }
            Kind::AlterColumnType { name, type_name, collation, using } => {
                let action =
                    self.alter_type(table, draft, name, type_name, collation.as_deref(), using.as_ref())?;
                actions.push(action);
            }
            Kind::ColumnDefault { name, default } => {
                let ordinal = find_column(draft, name)?;
                let Some(column) = draft.columns.get(ordinal).cloned() else { return Ok(()) };
                if column.identity != Identity::None {
                    return Err(Error::syntax(format!(
                        "column \"{name}\" of relation \"{}\" is an identity column",
                        draft.name
                    ))
                    .with_hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."));
                }
                if column.generated {
                    return Err(Error::syntax(format!(
                        "column \"{name}\" of relation \"{}\" is a generated column",
                        draft.name
                    ))
                    .with_hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."));
                }
                let text = match default {
                    Some(expr) => self.default_text(expr, &column)?,
                    None => None,
                };
                if let Some(column) = draft.columns.get_mut(ordinal) {
                    column.default.clone_from(&text);
                }
                actions.push(Action::SetDefault { column: ordinal, default: text });
            }
            Kind::SetNotNull(name) => {
                let ordinal = find_column(draft, name)?;
                if let Some(column) = draft.columns.get_mut(ordinal) {
                    column.not_null = true;
                }
                actions.push(Action::SetNotNull { column: ordinal });
            }
            Kind::DropNotNull(name) => {
                let ordinal = find_column(draft, name)?;
                let keyed = table
                    .primary_key()
                    .is_some_and(|key| key.columns.iter().any(|column| column.column == Some(ordinal)));
                if keyed {
                    return Err(Error::new(
                        SqlState::INVALID_TABLE_DEFINITION,
                        format!("column \"{name}\" is in a primary key"),
                    ));
                }
                if draft.columns.get(ordinal).is_some_and(|column| column.identity != Identity::None) {
                    return Err(Error::syntax(format!(
                        "column \"{name}\" of relation \"{}\" is an identity column",
                        draft.name
                    )));
                }
                if let Some(column) = draft.columns.get_mut(ordinal) {
                    column.not_null = false;
                }
                actions.push(Action::DropNotNull { column: ordinal });
            }
            Kind::AddIdentity { name, always, options } => {
                let ordinal = find_column(draft, name)?;
                let Some(column) = draft.columns.get(ordinal).cloned() else { return Ok(()) };
                let not_null = |what: &str| {
                    Error::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!("column \"{name}\" of relation \"{}\" {what}", draft.name),
                    )
                };
                if !column.not_null {
                    return Err(not_null("must be declared NOT NULL before identity can be added"));
                }
                if column.identity != Identity::None {
                    return Err(not_null("is already an identity column"));
                }
                if column.default.is_some() {
                    return Err(not_null("already has a default value"));
                }
                let sequence = self.identity_sequence(draft, name, column.data_type, options)?;
                let identity = if *always { Identity::Always } else { Identity::ByDefault };
                if let Some(column) = draft.columns.get_mut(ordinal) {
                    column.identity = identity;
                }
                actions.push(Action::AddIdentity { column: ordinal, identity, sequence });
            }
            Kind::SetIdentity { name, always, options } => {
                let ordinal = find_column(draft, name)?;
                let Some(column) = draft.columns.get(ordinal).cloned() else { return Ok(()) };
                if column.identity == Identity::None {
                    return Err(not_identity(name, &draft.name));
                }
                let identity = match always {
                    Some(true) => Identity::Always,
                    Some(false) => Identity::ByDefault,
                    None => column.identity,
                };
                let sequence = match self.owned_sequence(table, &column) {
                    Some(sequence) if !options.is_empty() => {
                        let (sequence, restart) =
                            self.sequence_options((*sequence).clone(), options, false)?;
                        Some(AlterSequence { sequence, restart })
                    }
                    _ => None,
                };
                actions.push(Action::SetIdentity { column: ordinal, identity, sequence });
            }
            Kind::DropIdentity { name, missing_ok } => {
                let ordinal = find_column(draft, name)?;
                let Some(column) = draft.columns.get(ordinal).cloned() else { return Ok(()) };
                if column.identity == Identity::None {
                    if *missing_ok {
                        notices.push(skipping(format!(
                            "column \"{name}\" of relation \"{}\" is not an identity column, skipping",
                            draft.name
                        )));
                        return Ok(());
                    }
                    return Err(not_identity(name, &draft.name));
                }
                let sequence = self.owned_sequence(table, &column).map(|sequence| sequence.id);
                if let Some(column) = draft.columns.get_mut(ordinal) {
                    column.identity = Identity::None;
                }
                actions.push(Action::DropIdentity { column: ordinal, sequence });
            }
            Kind::DropExpression { name, missing_ok } => {
                let ordinal = find_column(draft, name)?;
                if !draft.columns.get(ordinal).is_some_and(|column| column.generated) {
                    let message = format!(
                        "column \"{name}\" of relation \"{}\" is not a stored generated column",
                        draft.name
                    );
                    if *missing_ok {
                        notices.push(skipping(format!("{message}, skipping")));
                        return Ok(());
                    }
                    return Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
                }
                if let Some(column) = draft.columns.get_mut(ordinal) {
                    column.generated = false;
                    column.default = None;
                }
                actions.push(Action::DropExpression { column: ordinal });
            }
            Kind::AddConstraint(constraint) => {
                let before = not_nulls(draft);
                self.constraint(draft, None, constraint)?;
                // A primary key makes its columns NOT NULL.
                for (ordinal, _) in draft
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(ordinal, column)| column.not_null && !before.contains(ordinal))
                {
                    actions.push(Action::SetNotNull { column: ordinal });
                }
                actions.extend(draft.constraints.drain(..).map(Action::AddConstraint));
            }
            Kind::DropConstraint { name, missing_ok, behavior } => {
                let Some(constraint) = table.constraints.iter().find(|constraint| constraint.name == *name)
                else {
                    if *missing_ok {
                        notices.push(skipping(format!(
                            "constraint \"{name}\" of relation \"{}\" does not exist, skipping",
                            draft.name
                        )));
                        return Ok(());
                    }
                    return Err(undefined_constraint(name, &draft.name));
                };
                let object = ObjectId::Constraint(table.id, constraint.id);
                let objects = self.with_dependents(&[object], *behavior, notices)?;
                actions.push(Action::DropConstraint { objects });
            }
            Kind::ValidateConstraint(name) => {
                let constraint = table
                    .constraints
                    .iter()
                    .find(|constraint| constraint.name == *name)
                    .ok_or_else(|| undefined_constraint(name, &draft.name))?;
                if !matches!(constraint.kind, ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_)) {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!(
                            "constraint \"{name}\" of relation \"{}\" is not a foreign key or check constraint",
                            draft.name
                        ),
                    ));
                }
                if !constraint.validated {
                    actions.push(Action::ValidateConstraint { constraint: constraint.id });
                }
            }
            Kind::AlterConstraint { name, deferrable, initially_deferred } => {
                let constraint = table
                    .constraints
                    .iter()
                    .find(|constraint| constraint.name == *name)
                    .ok_or_else(|| undefined_constraint(name, &draft.name))?;
                if !matches!(constraint.kind, ConstraintKind::ForeignKey(_)) {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!(
                            "constraint \"{name}\" of relation \"{}\" is not a foreign key constraint",
                            draft.name
                        ),
                    ));
                }
                let initially_deferred = initially_deferred.unwrap_or(false);
                actions.push(Action::AlterConstraint {
                    constraint: constraint.id,
                    deferrable: deferrable.unwrap_or(initially_deferred),
                    initially_deferred,
                });
            }
            Kind::Owner(role) => {
                let owner = self.role(role)?.id;
                self.check_may_give(owner, Some(draft.schema))?;
                actions.push(Action::SetOwner(owner));
            }
            Kind::SetOptions { options, reset } => {
                super::storage_parameter::check(options, false, *reset, notices)?;
            }
            // How values are kept is ours to choose; the choice is not one that can be wrong.
            Kind::SetStorage { column, .. } => {
                find_column(draft, column)?;
            }
            Kind::ReplicaIdentity(ast::ReplicaIdentity::Default)
            | Kind::SetWithoutCluster
            | Kind::SetLogged(true)
            | Kind::RowSecurity { enable: Some(false), .. }
            | Kind::RowSecurity { enable: None, force: Some(false) } => {}
            other => {
                let name = format!("{other:?}");
                let word = name.split([' ', '(', '{']).next().unwrap_or("").to_string();
                return Err(
                    Error::not_supported(format!("ALTER TABLE … {}", spelled(&word))).at(command.span)
                );
            }
        }
        Ok(())
    }

    fn add_table_column(
        &mut self,
        draft: &mut Draft<'_>,
        column: &ast::ColumnDef,
        actions: &mut Vec<Action>,
    ) -> Result<()> {
        let ordinal = self.new_column(draft, column)?;
        for constraint in &column.constraints {
            if let ast::ConstraintKind::Default(_) | ast::ConstraintKind::Generated(_) = &constraint.kind {
                self.column_expression(draft, ordinal, constraint)?;
            }
        }
        let sequence = draft.sequences.pop().map(|OwnedSequence { sequence, .. }| sequence);
        let Some(definition) = draft.columns.get(ordinal).cloned() else { return Ok(()) };
        let fill = self.fill_value(draft, &definition, sequence.is_some())?;
        let (missing, fill) = match fill {
            Some(Expr::Literal { value, .. }) => (value, None),
            Some(expr) => {
                // What does not change from row to row is computed once, now.
                if expr.is_constant() && expr.volatility() < Volatility::Volatile {
                    let value = expr::eval_constant(&expr, &self.cx.eval_context())?;
                    (value, None)
                } else {
                    (Value::Null, Some(expr))
                }
            }
            None => (Value::Null, None),
        };
        let mut added = definition;
        added.missing = missing;
        if let Some(slot) = draft.columns.get_mut(ordinal) {
            slot.clone_from(&added);
        }
        actions.push(Action::AddColumn { column: added, sequence, fill });
        let before = not_nulls(draft);
        for constraint in &column.constraints {
            self.constraint(draft, Some(ordinal), constraint)?;
        }
        if !before.contains(&ordinal) && draft.columns.get(ordinal).is_some_and(|column| column.not_null) {
            actions.push(Action::SetNotNull { column: ordinal });
        }
        actions.extend(draft.constraints.drain(..).map(Action::AddConstraint));
        Ok(())
    }

    /// What existing rows get in a new column; `None` for NULL or a sequence's values.
    fn fill_value(
        &mut self,
        draft: &Draft<'_>,
        column: &ColumnDef,
        has_sequence: bool,
    ) -> Result<Option<Expr>> {
        let Some(text) = &column.default else { return Ok(None) };
        if has_sequence {
            return Ok(None);
        }
        let parsed = parse_expr(text)?;
        let clause = if column.generated { Clause::Generated } else { Clause::Default };
        let bound = self.over_draft(draft, |binder| {
            let bound = binder.clause_expr(&parsed, clause)?;
            binder.coercer.assign(bound, column.data_type, &column.name, types::Span::default())
        });
        Ok(Some(bound.map_err(Error::without_span)?))
    }

    fn alter_type(
        &mut self,
        table: &Arc<TableDef>,
        draft: &mut Draft<'_>,
        name: &str,
        type_name: &ast::TypeName,
        collation: Option<&[String]>,
        using: Option<&ast::Expr>,
    ) -> Result<Action> {
        let ordinal = find_column(draft, name)?;
        let data_type = self.data_type(type_name)?;
        check_column_type(name, data_type)?;
        if let Some(collation) = collation {
            super::expr::check_collation(data_type, collation, type_name.span)?;
        }
        let Some(column) = draft.columns.get(ordinal).cloned() else {
            return Err(Error::internal("column out of range"));
        };
        if let Some(view) = self.views_reading(table.id, ordinal).into_iter().next() {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot alter type of a column used by a view or rule",
            )
            .with_detail(format!("rule _RETURN on view {} depends on column \"{name}\"", view.name)));
        }
        let generated = draft.columns.iter().find(|other| {
            other.generated
                && !other.dropped
                && other.default.as_deref().is_some_and(|text| text.contains(name))
        });
        if let Some(other) = generated {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "cannot alter type of a column used by a generated column",
            )
            .with_detail(format!("Column \"{name}\" is used by generated column \"{}\".", other.name)));
        }
        let value = match using {
            Some(expr) => {
                let span = expr.start_span();
                let bound = self.over_draft(draft, |binder| binder.clause_expr(expr, Clause::AlterType))?;
                refuse_subquery(&bound, "transform expression", span)?;
                let from = bound.data_type();
                self.coercer.coerce(bound, data_type, CastContext::Assignment, span)?.ok_or_else(|| {
                    Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!(
                            "result of USING clause for column \"{name}\" cannot be cast automatically to type {}",
                            data_type.without_modifier()
                        ),
                    )
                    .with_hint("You might need to add an explicit cast.")
                    .with_context(format!("from type {from}"))
                })?
            }
            None => {
                let old = Expr::input(ordinal, column.data_type);
                let coerced =
                    self.coercer.coerce(old, data_type, CastContext::Assignment, types::Span::default())?;
                coerced.ok_or_else(|| {
                    let shown = data_type.sql_name();
                    Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!(
                            "column \"{name}\" cannot be cast automatically to type {}",
                            data_type.without_modifier()
                        ),
                    )
                    .with_hint(format!(
                        "You might need to specify \"USING {}::{shown}\".",
                        expr::print::quote_identifier(name)
                    ))
                })?
            }
        };
        let mut changed = column.clone();
        changed.data_type = data_type;
        let default = match &column.default {
            Some(text) if !column.generated => {
                let parsed = parse_expr(text)?;
                self.default_text(&parsed, &changed).map_err(|_| {
                    Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!(
                            "default for column \"{name}\" cannot be cast automatically to type {}",
                            data_type.without_modifier()
                        ),
                    )
                })?
            }
            _ => column.default.clone(),
        };
        // The same bytes under a wider limit need no new rows.
        let rewrite = !matches!(&value, Expr::Input { .. } | Expr::Relabel { .. });
        changed.default.clone_from(&default);
        if let Some(slot) = draft.columns.get_mut(ordinal) {
            *slot = changed;
        }
        Ok(Action::AlterColumnType { column: ordinal, data_type, value, rewrite, default })
    }

    /// What goes with a column: its constraints and indexes, its sequence; views and foreign keys by CASCADE.
    fn column_dependents(
        &mut self,
        table: &Arc<TableDef>,
        ordinal: usize,
        behavior: ast::DropBehavior,
        notices: &mut Vec<Error>,
    ) -> Result<Vec<ObjectId>> {
        let Some(column) = table.columns.get(ordinal) else { return Ok(Vec::new()) };
        let mut objects = Vec::new();
        let mut indexes = Vec::new();
        let inputs = as_inputs(table);
        for index in &table.indexes {
            let (keys, predicate) = self.index_exprs(table, index, &inputs)?;
            let uses = keys.iter().chain(&predicate).any(|expr| inputs_of(expr).contains(&ordinal))
                || index.include.contains(&ordinal);
            if uses {
                indexes.push(index.id);
            }
        }
        for constraint in &table.constraints {
            let uses = match &constraint.kind {
                ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => {
                    indexes.contains(index)
                }
                ConstraintKind::Check { columns, .. } => columns.contains(&ordinal),
                ConstraintKind::ForeignKey(key) => key.columns.contains(&ordinal),
            };
            if uses {
                objects.push(ObjectId::Constraint(table.id, constraint.id));
            }
        }
        for index in indexes {
            if super::ddl_drop::constraint_of(table, index).is_none() {
                objects.push(ObjectId::Index(index));
            }
        }
        if let Some(sequence) = self.owned_sequence(table, column) {
            objects.push(ObjectId::Sequence(sequence.id));
        }
        let generated: Vec<&ColumnDef> = table
            .live_columns()
            .map(|(_, other)| other)
            .filter(|other| {
                other.generated && other.default.as_deref().is_some_and(|text| text.contains(&column.name))
            })
            .collect();
        // Dependents outside the table.
        let mut outside: Vec<ObjectId> = Vec::new();
        for view in self.views_reading(table.id, ordinal) {
            outside.push(ObjectId::View(view.id));
        }
        for other in self.cx.catalog.referencing_tables(table.id) {
            for constraint in &other.constraints {
                if let ConstraintKind::ForeignKey(key) = &constraint.kind
                    && key.referenced_table == table.id
                    && key.referenced_columns.contains(&ordinal)
                    && !objects.contains(&ObjectId::Constraint(other.id, constraint.id))
                {
                    outside.push(ObjectId::Constraint(other.id, constraint.id));
                }
            }
        }
        let this = ObjectId::Column(table.id, column.number);
        let mut lines: Vec<String> =
            generated.iter().map(|other| format!("column {} of table {}", other.name, table.name)).collect();
        lines.extend(outside.iter().map(|object| self.describe(*object)));
        if lines.is_empty() {
            return Ok(objects);
        }
        if behavior == ast::DropBehavior::Restrict {
            let shown = self.describe(this);
            let detail: Vec<String> = lines.iter().map(|line| format!("{line} depends on {shown}")).collect();
            return Err(Error::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot drop {shown} because other objects depend on it"),
            )
            .with_detail(detail.join("\n"))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        if let Some(other) = generated.first() {
            return Err(Error::not_supported(format!(
                "dropping column \"{}\" that generated column \"{}\" is computed from",
                column.name, other.name
            ))
            .with_hint("Drop the generated column first."));
        }
        let cascaded = self.with_dependents(&outside, behavior, notices)?;
        let lines: Vec<String> =
            outside.iter().map(|object| format!("drop cascades to {}", self.describe(*object))).collect();
        notices.push(match lines.as_slice() {
            [one] => skipping(one.clone()),
            many => skipping(format!("drop cascades to {} other objects", many.len()))
                .with_detail(many.join("\n")),
        });
        objects.extend(cascaded);
        Ok(objects)
    }

    // ---- RENAME, SET SCHEMA, OWNER ----

    pub(super) fn rename(&mut self, rename: &ast::RenameStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        let new_name = rename.new_name.clone();
        match rename.object_type {
            ObjectType::Schema => {
                let ObjectRef::Name(name) = &rename.object else {
                    return Err(Error::internal("schema without a name"));
                };
                let schema = self.schema_named(name)?;
                self.check_schema_owner(schema)?;
                self.check_may_create_schema(self.cx.role)?;
                if self.cx.catalog.schema_by_name(&new_name).is_some() {
                    return Err(Error::new(
                        SqlState::DUPLICATE_SCHEMA,
                        format!("schema \"{new_name}\" already exists"),
                    ));
                }
                return Ok(Ddl::Rename { object: ObjectId::Schema(schema), new_name });
            }
            ObjectType::Role => {
                let ObjectRef::Name(name) = &rename.object else {
                    return Err(Error::internal("role without a name"));
                };
                let role = self.role_named(&name.parts.join("."))?;
                self.check_may_alter_role(&role, "permission denied to rename role")?;
                if self.cx.catalog.role_by_name(&new_name).is_some() {
                    return Err(Error::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!("role \"{new_name}\" already exists"),
                    ));
                }
                return Ok(Ddl::Rename { object: ObjectId::Role(role.id), new_name });
            }
            ObjectType::Database => {
                let ObjectRef::Name(name) = &rename.object else {
                    return Err(Error::internal("database without a name"));
                };
                let name = name.parts.join(".");
                let database = self.cx.catalog.database_by_name(&name).ok_or_else(|| {
                    Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
                })?;
                self.check_database_owner(database)?;
                let creates = |role: &catalog::RoleDef| role.superuser || role.create_db;
                if !self.cx.catalog.role(self.cx.role).is_some_and(|role| creates(role)) {
                    return Err(denied("permission denied to rename database"));
                }
                if self.cx.catalog.database_by_name(&new_name).is_some() {
                    return Err(Error::new(
                        SqlState::DUPLICATE_DATABASE,
                        format!("database \"{new_name}\" already exists"),
                    ));
                }
                return Ok(Ddl::Rename { object: ObjectId::Database(database.id), new_name });
            }
            _ => {}
        }
        let ObjectRef::Name(name) = &rename.object else {
            return Err(Error::not_supported(format!("ALTER {} … RENAME", rename.object_type.keyword()))
                .at(rename.span));
        };
        let relation = match self.relation_named(name) {
            Ok(relation) => relation,
            Err(error) if rename.missing_ok && error.code() == SqlState::UNDEFINED_TABLE => {
                let shown = name.parts.last().map_or("", String::as_str);
                notices.push(skipping(format!("relation \"{shown}\" does not exist, skipping")));
                return Ok(Ddl::Nothing);
            }
            Err(error) => return Err(error),
        };
        self.check_owner(&relation)?;
        match rename.object_type {
            ObjectType::Column => self.rename_column(&relation, rename),
            ObjectType::Constraint => {
                let Relation::Table(table) = &relation else {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not a table", relation.name()),
                    ));
                };
                let old = rename.sub_name.as_deref().unwrap_or("");
                let constraint = table.constraints.iter().find(|constraint| constraint.name == old);
                let constraint = constraint.ok_or_else(|| {
                    Error::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("constraint \"{old}\" for table \"{}\" does not exist", table.name),
                    )
                })?;
                if table.constraints.iter().any(|other| other.name == new_name) {
                    return Err(Error::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!("constraint \"{new_name}\" for relation \"{}\" already exists", table.name),
                    ));
                }
                Ok(Ddl::Rename { object: ObjectId::Constraint(table.id, constraint.id), new_name })
            }
            kind => {
                // ALTER TABLE … RENAME TO works on any relation, as in PostgreSQL.
                if kind != ObjectType::Table {
                    self.check_kind(&relation, kind)?;
                }
                if let Relation::Virtual(table) = &relation {
                    return Err(system_catalog(table.name));
                }
                if self.cx.catalog.relation_in(relation.schema(), &new_name).is_some() {
                    return Err(Error::new(
                        SqlState::DUPLICATE_TABLE,
                        format!("relation \"{new_name}\" already exists"),
                    ));
                }
                self.refuse_text_dependents(&relation, "renaming")?;
                Ok(Ddl::Rename { object: relation_object(&relation), new_name })
            }
        }
    }

    fn rename_column(&mut self, relation: &Relation, rename: &ast::RenameStmt) -> Result<Ddl> {
        let Relation::Table(table) = relation else {
            return Err(Error::not_supported(format!("renaming a column of a {}", relation.kind_name()))
                .with_hint("Create it anew with the names you want.")
                .at(rename.span));
        };
        let old = rename.sub_name.as_deref().unwrap_or("");
        let ordinal = table.column_index(old).ok_or_else(|| {
            Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{old}\" does not exist"))
        })?;
        let new_name = rename.new_name.clone();
        if table.column_index(&new_name).is_some() {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{new_name}\" of relation \"{}\" already exists", table.name),
            ));
        }
        if let Some(view) = self.views_reading(table.id, ordinal).into_iter().next() {
            return Err(Error::not_supported(format!(
                "renaming column \"{old}\" of \"{}\", which view \"{}\" reads,",
                table.name, view.name
            ))
            .with_hint("Drop the view first and create it again afterwards."));
        }
        // A view that does not read it may still come to mean it by its new name.
        let named = |view: &&Arc<ViewDef>| mentions(&view.definition, &new_name);
        if let Some(view) = self.cx.catalog.dependent_views(table.id).find(named) {
            return Err(Error::not_supported(format!(
                "renaming column \"{old}\" of \"{}\" to a name that view \"{}\" uses",
                table.name, view.name
            ))
            .with_hint("Drop the view first and create it again afterwards."));
        }
        let number = table.columns.get(ordinal).map_or(0, |column| column.number);
        Ok(Ddl::Rename { object: ObjectId::Column(table.id, number), new_name })
    }

    /// Views keep their definition as text: what they name may not change its name under them.
    fn refuse_text_dependents(&self, relation: &Relation, doing: &str) -> Result<()> {
        match self.cx.catalog.dependent_views(relation.id()).next() {
            None => Ok(()),
            Some(view) => Err(Error::not_supported(format!(
                "{doing} \"{}\", which view \"{}\" reads,",
                relation.name(),
                view.name
            ))
            .with_hint("Drop the view first and create it again afterwards.")),
        }
    }

    pub(super) fn set_schema(
        &mut self,
        alter: &ast::AlterObjectSchemaStmt,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        let ObjectRef::Name(name) = &alter.object else {
            return Err(Error::not_supported(format!("ALTER {} … SET SCHEMA", alter.object_type.keyword()))
                .at(alter.span));
        };
        let relation = match self.relation_named(name) {
            Ok(relation) => relation,
            Err(error) if alter.missing_ok && error.code() == SqlState::UNDEFINED_TABLE => {
                let shown = name.parts.last().map_or("", String::as_str);
                notices.push(skipping(format!("relation \"{shown}\" does not exist, skipping")));
                return Ok(Ddl::Nothing);
            }
            Err(error) => return Err(error),
        };
        if let Relation::Virtual(table) = &relation {
            return Err(system_catalog(table.name));
        }
        self.check_owner(&relation)?;
        self.check_kind(&relation, alter.object_type)?;
        let schema = self
            .cx
            .catalog
            .schema_by_name(&alter.new_schema)
            .ok_or_else(|| catalog::catalog::undefined_schema(&alter.new_schema))?
            .id;
        self.check_may_create(schema)?;
        if self.cx.catalog.relation_in(schema, relation.name()).is_some() {
            return Err(Error::new(
                SqlState::DUPLICATE_TABLE,
                format!("relation \"{}\" already exists in schema \"{}\"", relation.name(), alter.new_schema),
            ));
        }
        self.refuse_text_dependents(&relation, "moving")?;
        Ok(Ddl::SetSchema { object: relation.id(), schema })
    }

    pub(super) fn alter_owner(&mut self, alter: &ast::AlterOwnerStmt) -> Result<Ddl> {
        let owner = self.role(&alter.new_owner)?.id;
        let object = match (&alter.object, alter.object_type) {
            (ObjectRef::Name(name), ObjectType::Schema) => {
                let schema = self.schema_named(name)?;
                self.check_schema_owner(schema)?;
                self.check_may_give(owner, None)?;
                self.check_may_create_schema(self.cx.role)?;
                ObjectId::Schema(schema)
            }
            (ObjectRef::Name(name), ObjectType::Database) => {
                let name = name.parts.join(".");
                let database = self.cx.catalog.database_by_name(&name).ok_or_else(|| {
                    Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
                })?;
                self.check_database_owner(database)?;
                self.check_may_give(owner, None)?;
                let creates = |role: &catalog::RoleDef| role.superuser || role.create_db;
                if !self.cx.catalog.role(self.cx.role).is_some_and(|role| creates(role)) {
                    return Err(denied("permission denied to change owner of database"));
                }
                ObjectId::Database(database.id)
            }
            (
                ObjectRef::Name(name),
                ObjectType::Table | ObjectType::View | ObjectType::Sequence | ObjectType::Index,
            ) => {
                let relation = self.relation_named(name)?;
                self.check_owner(&relation)?;
                self.check_may_give(owner, Some(relation.schema()))?;
                relation_object(&relation)
            }
            _ => {
                return Err(Error::not_supported(format!(
                    "ALTER {} … OWNER TO",
                    alter.object_type.keyword()
                ))
                .at(alter.span));
            }
        };
        Ok(Ddl::SetOwner { object, owner })
    }
}

/// A column of the table as it is by now. 42703.
fn find_column(draft: &Draft<'_>, name: &str) -> Result<usize> {
    draft.columns.iter().position(|column| !column.dropped && column.name == name).ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" of relation \"{}\" does not exist", draft.name),
        )
    })
}

fn not_nulls(draft: &Draft<'_>) -> Vec<usize> {
    let columns = draft.columns.iter().enumerate();
    columns.filter(|(_, column)| column.not_null).map(|(ordinal, _)| ordinal).collect()
}

fn not_identity(name: &str, table: &str) -> Error {
    Error::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("column \"{name}\" of relation \"{table}\" is not an identity column"),
    )
}

fn system_catalog(name: &str) -> Error {
    Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied: \"{name}\" is a system catalog"))
}

/// `SetStatistics` → `SET STATISTICS`.
fn spelled(variant: &str) -> String {
    let mut out = String::new();
    for (at, c) in variant.chars().enumerate() {
        if c.is_uppercase() && at > 0 {
            out.push(' ');
        }
        out.extend(c.to_uppercase());
    }
    out
}

/// Whether `text` has `name` as a word, in any case; a name that is no word may stand anywhere in it.
fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    if name.chars().all(in_word) {
        text.split(|c: char| !in_word(c)).any(|word| word == name)
    } else {
        text.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_words() {
        assert!(super::mentions("select Upper(x)", "upper"));
        assert!(!super::mentions("select upper(x)", "pp"));
        assert!(super::mentions("select \"a b\"", "a b"));
    }

    #[test]
    fn variants_are_spelled_as_sql() {
        assert_eq!(super::spelled("SetStatistics"), "SET STATISTICS");
    }
}
