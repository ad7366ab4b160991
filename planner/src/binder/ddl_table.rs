//! CREATE TABLE, and the parts of it that ALTER TABLE shares: columns, defaults, LIKE.
//!
//! Serial and identity columns get their sequences; defaults are bound, and kept as the text that they print as.
//! Constraints are in `ddl_constraint.rs`. Follows `parse_utilcmd.c` and `heap.c`.

use catalog::acl::Rights;
use catalog::{ColumnDef, Identity, IndexColumn, Relation, SchemaId, TableDef};
use expr::print::{print, quote_identifier};
use expr::{CastContext, Expr, Volatility, walk};
use parser::ast;
use types::{DataType, Error, Result, Span, SqlState, TypeCategory, Value};

use super::Binder;
use super::object_name::{Taken, joined};
use super::scope::Clause;
use super::storage_parameter;
use crate::ddl::{
    CreateTable, Ddl, NewConstraint, NewConstraintIndex, NewConstraintKind, NewIndex, NewSequence,
    OwnedSequence,
};

/// A table as far as it is known while a statement builds or alters it.
pub(super) struct Draft<'c> {
    pub name: String,
    pub schema: SchemaId,
    /// The table being altered.
    pub existing: Option<&'c TableDef>,
    pub columns: Vec<ColumnDef>,
    pub sequences: Vec<OwnedSequence>,
    pub indexes: Vec<NewIndex>,
    pub constraints: Vec<NewConstraint>,
    pub taken: Taken<'c>,
    pub has_primary_key: bool,
    /// What its clauses have to say.
    pub notices: Vec<Error>,
}

const MAX_COLUMNS: usize = 1600;
pub(super) const MAX_INDEX_COLUMNS: usize = 32;

impl Binder<'_> {
    pub(super) fn create_table(
        &mut self,
        create: &ast::CreateTableStmt,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        self.refuse_table_clauses(create, notices)?;
        let schema = self.creation_schema(&create.relation)?;
        let name = &create.relation.name;
        if self.is_taken(schema, name, create.if_not_exists, notices)? {
            return Ok(Ddl::Nothing);
        }
        let mut draft = Draft {
            name: name.clone(),
            schema,
            existing: None,
            columns: Vec::new(),
            sequences: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            taken: Taken::new(self.cx.catalog, schema, None),
            has_primary_key: false,
            notices: Vec::new(),
        };
        draft.taken.add_relation(name);
        // Columns first: constraints may name any of them.
        let mut constraints: Vec<(Option<usize>, &ast::Constraint)> = Vec::new();
        let mut expressions: Vec<(usize, &ast::Constraint)> = Vec::new();
        let mut likes = Vec::new();
        for element in &create.elements {
            match element {
                ast::TableElement::Column(column) => {
                    let ordinal = self.new_column(&mut draft, column)?;
                    for constraint in &column.constraints {
                        match constraint.kind {
                            ast::ConstraintKind::Default(_) | ast::ConstraintKind::Generated(_) => {
                                expressions.push((ordinal, constraint));
                            }
                            _ => constraints.push((Some(ordinal), constraint)),
                        }
                    }
                }
                ast::TableElement::Constraint(constraint) => constraints.push((None, constraint)),
                ast::TableElement::Like(like) => {
                    let from = draft.columns.len();
                    let table = self.like_columns(&mut draft, like)?;
                    likes.push((from, table, like));
                }
            }
        }
        for (ordinal, constraint) in &expressions {
            if let (ast::ConstraintKind::Generated(_), Some(column)) =
                (&constraint.kind, draft.columns.get_mut(*ordinal))
            {
                column.generated = true;
            }
        }
        for (ordinal, constraint) in expressions {
            self.column_expression(&mut draft, ordinal, constraint)?;
        }
        // As PostgreSQL: keys, then checks, then foreign keys, each in the order written.
        for pass in [Pass::Keys, Pass::Checks, Pass::ForeignKeys] {
            for (column, constraint) in &constraints {
                if Pass::of(&constraint.kind) == Some(pass) {
                    self.constraint(&mut draft, *column, constraint)?;
                }
            }
        }
        for (from, table, like) in likes {
            self.like_extras(&mut draft, from, &table, like)?;
        }
        let Draft { columns, sequences, indexes, constraints, notices: said, .. } = draft;
        notices.extend(said);
        Ok(Ddl::CreateTable(Box::new(CreateTable {
            schema,
            name: name.clone(),
            owner: self.cx.role,
            persistence: catalog::Persistence::Permanent,
            columns,
            sequences,
            indexes,
            constraints,
            comment: None,
        })))
    }

    fn refuse_table_clauses(&self, create: &ast::CreateTableStmt, notices: &mut Vec<Error>) -> Result<()> {
        let span = create.span;
        self.refuse_persistence(create.persistence, create.relation.span)?;
        if create.on_commit != ast::OnCommit::NotSet {
            return Err(Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                "ON COMMIT can only be used on temporary tables",
            ));
        }
        if !create.inherits.is_empty() {
            return Err(Error::not_supported("table inheritance").at(span));
        }
        if create.partition_by.is_some() || create.partition_of.is_some() {
            return Err(Error::not_supported("table partitioning").at(span));
        }
        if create.of_type.is_some() {
            return Err(Error::not_supported("typed tables").at(span));
        }
        self.refuse_storage(create.access_method.as_deref(), create.tablespace.as_deref())?;
        storage_parameter::check(&create.options, false, false, notices)
    }

    pub(super) fn refuse_persistence(&self, persistence: ast::Persistence, span: Span) -> Result<()> {
        match persistence {
            ast::Persistence::Permanent => Ok(()),
            ast::Persistence::Temporary => Err(Error::not_supported("temporary relations")
                .with_hint("Use an ordinary table and drop it when you are done.")
                .at(span)),
            ast::Persistence::Unlogged => Err(Error::not_supported("unlogged relations")
                .with_hint("Every table is logged: leave UNLOGGED out.")
                .at(span)),
        }
    }

    pub(super) fn refuse_storage(&self, access_method: Option<&str>, tablespace: Option<&str>) -> Result<()> {
        if let Some(method) = access_method.filter(|method| *method != "heap") {
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("access method \"{method}\" does not exist"),
            ));
        }
        if let Some(tablespace) = tablespace.filter(|name| !matches!(*name, "pg_default" | "")) {
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("tablespace \"{tablespace}\" does not exist"),
            ));
        }
        Ok(())
    }

    /// Where a new relation goes. 3F000, 42501 for the system's schemas.
    pub(super) fn creation_schema(&self, range: &ast::RangeVar) -> Result<SchemaId> {
        let schema = match &range.schema {
            Some(name) => {
                self.cx
                    .catalog
                    .schema_by_name(name)
                    .ok_or_else(|| catalog::catalog::undefined_schema(name).at(range.span))?
                    .id
            }
            None => self
                .cx
                .catalog
                .creation_schema(self.cx.search_path, self.cx.role_name())
                .map_err(|error| error.at(range.span))?,
        };
        if schema == catalog::catalog::PG_CATALOG || schema == catalog::catalog::INFORMATION_SCHEMA {
            let name = self.cx.catalog.schema(schema).map_or("", |schema| schema.name.as_str());
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to create \"{name}.{}\"", range.name),
            )
            .with_detail("System catalog modifications are currently disallowed."));
        }
        if let Some(name) = &range.schema
            && !self.cx.catalog.schema_rights(self.acting, schema).has_any(Rights::USAGE.or(Rights::CREATE))
        {
            return Err(super::rights::denied(format!("permission denied for schema {name}")).at(range.span));
        }
        self.check_may_create(schema).map_err(|error| error.at(range.span))?;
        Ok(schema)
    }

    /// Is the name in use? 42P07 unless that is to be skipped with a notice.
    pub(super) fn is_taken(
        &self,
        schema: SchemaId,
        name: &str,
        if_not_exists: bool,
        notices: &mut Vec<Error>,
    ) -> Result<bool> {
        if self.cx.catalog.relation_in(schema, name).is_none() {
            return Ok(false);
        }
        if if_not_exists {
            notices.push(Error::new(
                SqlState::DUPLICATE_TABLE,
                format!("relation \"{name}\" already exists, skipping"),
            ));
            return Ok(true);
        }
        Err(Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")))
    }

    // ---- columns ----

    /// Adds a column with what belongs to it alone: type, NOT NULL, serial or identity sequence.
    pub(super) fn new_column(&mut self, draft: &mut Draft<'_>, column: &ast::ColumnDef) -> Result<usize> {
        let name = &column.name;
        check_column_name(draft, name, column.span)?;
        if column.compression.is_some() {
            return Err(Error::not_supported("column compression").at(column.span));
        }
        let Some(type_name) = &column.type_name else {
            return Err(Error::not_supported("a column without a type").at(column.span));
        };
        let serial = serial_type(type_name);
        let data_type = match serial {
            Some(data_type) => data_type,
            None => self.data_type(type_name)?,
        };
        check_column_type(name, data_type)?;
        if let Some(collation) = &column.collation {
            super::expr::check_collation(data_type, collation, column.span)?;
        }
        let ordinal = draft.columns.len();
        let mut definition = ColumnDef {
            name: name.clone(),
            number: i16::try_from(ordinal + 1).map_err(|_| too_many_columns())?,
            data_type,
            not_null: false,
            default: None,
            generated: false,
            identity: Identity::None,
            missing: Value::Null,
            dropped: false,
            comment: None,
        };
        if serial.is_some() {
            let sequence = self.column_sequence(draft, name, data_type, &[])?;
            definition.not_null = true;
            definition.default = Some(self.nextval_text(&sequence));
            draft.sequences.push(OwnedSequence { column: ordinal, sequence });
        }
        let mut nullable = false;
        for constraint in &column.constraints {
            match &constraint.kind {
                ast::ConstraintKind::Null => {
                    if definition.not_null {
                        return Err(conflicting_null(name, draft).at(constraint.span));
                    }
                    nullable = true;
                }
                ast::ConstraintKind::NotNull => {
                    if nullable {
                        return Err(conflicting_null(name, draft).at(constraint.span));
                    }
                    definition.not_null = true;
                }
                ast::ConstraintKind::Identity { always, options } => {
                    if definition.identity != Identity::None {
                        return Err(Error::syntax(format!(
                            "multiple identity specifications for column \"{name}\" of table \"{}\"",
                            draft.name
                        ))
                        .at(constraint.span));
                    }
                    if definition.default.is_some() {
                        return Err(both_default_and_identity(name, draft).at(constraint.span));
                    }
                    if nullable {
                        return Err(conflicting_null(name, draft).at(constraint.span));
                    }
                    let sequence = self.identity_sequence(draft, name, data_type, options)?;
                    definition.not_null = true;
                    definition.identity = if *always { Identity::Always } else { Identity::ByDefault };
                    draft.sequences.push(OwnedSequence { column: ordinal, sequence });
                }
                _ => {}
            }
        }
        draft.columns.push(definition);
        Ok(ordinal)
    }

    pub(super) fn identity_sequence(
        &mut self,
        draft: &mut Draft<'_>,
        name: &str,
        data_type: DataType,
        options: &[ast::SequenceOption],
    ) -> Result<NewSequence> {
        if !matches!(data_type, DataType::INT2 | DataType::INT4 | DataType::INT8) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        self.column_sequence(draft, name, data_type, options)
    }

    fn column_sequence(
        &mut self,
        draft: &mut Draft<'_>,
        column: &str,
        data_type: DataType,
        options: &[ast::SequenceOption],
    ) -> Result<NewSequence> {
        let given = options.iter().find_map(|option| match &option.kind {
            ast::SequenceOptionKind::SequenceName(parts) => parts.last().cloned(),
            _ => None,
        });
        let table = draft.name.clone();
        let name = match given {
            Some(name) => {
                draft.taken.add_relation(&name);
                name
            }
            None => draft.taken.relation(&table, Some(column), "seq"),
        };
        self.new_sequence(draft.schema, name, data_type, options)
    }

    /// `nextval('t_a_seq'::regclass)`, the schema written only when the search path does not lead there.
    fn nextval_text(&self, sequence: &NewSequence) -> String {
        let visible = self.search.contains(&sequence.schema);
        let mut name = quote_identifier(&sequence.name);
        if !visible && let Some(schema) = self.cx.catalog.schema(sequence.schema) {
            name = format!("{}.{name}", quote_identifier(&schema.name));
        }
        format!("nextval({}::regclass)", expr::print::quote_literal(&name))
    }

    /// DEFAULT or GENERATED ALWAYS AS, once all columns are known.
    pub(super) fn column_expression(
        &mut self,
        draft: &mut Draft<'_>,
        ordinal: usize,
        constraint: &ast::Constraint,
    ) -> Result<()> {
        let Some(column) = draft.columns.get(ordinal).cloned() else { return Ok(()) };
        let (text, generated) = match &constraint.kind {
            ast::ConstraintKind::Default(expr) => {
                if column.identity != Identity::None {
                    return Err(both_default_and_identity(&column.name, draft).at(constraint.span));
                }
                if column.default.is_some() && !column.generated {
                    return Err(Error::syntax(format!(
                        "multiple default values specified for column \"{}\" of table \"{}\"",
                        column.name, draft.name
                    ))
                    .at(constraint.span));
                }
                (self.default_text(expr, &column)?, false)
            }
            ast::ConstraintKind::Generated(expr) => {
                if column.default.is_some() || column.identity != Identity::None {
                    return Err(Error::syntax(format!(
                        "both default and generation expression specified for column \"{}\" of table \"{}\"",
                        column.name, draft.name
                    ))
                    .at(constraint.span));
                }
                let bound = self.over_draft(draft, |binder| {
                    let bound = binder.clause_expr(expr, Clause::Generated)?;
                    binder.coerce_stored(bound, &column, "generation expression", expr.start_span())
                })?;
                refuse_subquery(&bound, "column generation expression", expr.start_span())?;
                if !is_immutable(&bound) {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        "generation expression is not immutable",
                    ));
                }
                let uses_generated = inputs_of(&bound).iter().find_map(|input| {
                    draft.columns.get(*input).filter(|other| other.generated || *input == ordinal)
                });
                if let Some(other) = uses_generated {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        format!(
                            "cannot use generated column \"{}\" in column generation expression",
                            other.name
                        ),
                    )
                    .with_detail("A generated column cannot reference another generated column.")
                    .at(expr.start_span()));
                }
                (Some(self.print_over(&bound, &draft.columns)), true)
            }
            _ => return Ok(()),
        };
        if let Some(column) = draft.columns.get_mut(ordinal) {
            column.default = text;
            column.generated = generated;
        }
        Ok(())
    }

    /// A default as text; `None` when it is NULL, which is none. 42804, 0A000.
    pub(super) fn default_text(&mut self, expr: &ast::Expr, column: &ColumnDef) -> Result<Option<String>> {
        let mut bound = self.bound_default(expr, column)?;
        if bound.is_null_literal() {
            return Ok(None);
        }
        // The column's modifier is applied when a row is stored; only one the user wrote is part of the default.
        if let Expr::Literal { data_type, .. } = &mut bound
            && !matches!(expr, ast::Expr::TypeCast(_))
        {
            *data_type = data_type.without_modifier();
        }
        Ok(Some(self.print_over(&bound, &[])))
    }

    pub(super) fn bound_default(&mut self, expr: &ast::Expr, column: &ColumnDef) -> Result<Expr> {
        if let Some(span) = first_column_ref(expr) {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot use column reference in DEFAULT expression",
            )
            .at(span));
        }
        let mut level = super::scope::Level::new();
        level.barrier = true;
        self.push_level(level)?;
        let bound = self.clause_expr(expr, Clause::Default);
        self.pop_level();
        let bound = bound?;
        refuse_subquery(&bound, "DEFAULT expression", expr.start_span())?;
        self.coerce_stored(bound, column, "default expression", expr.start_span())
    }

    fn coerce_stored(&self, bound: Expr, column: &ColumnDef, what: &str, span: Span) -> Result<Expr> {
        let from = bound.data_type();
        self.coercer.coerce(bound, column.data_type, CastContext::Assignment, span)?.ok_or_else(|| {
            Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "column \"{}\" is of type {} but {what} is of type {}",
                    column.name,
                    column.data_type.without_modifier(),
                    from.without_modifier()
                ),
            )
            .with_hint("You will need to rewrite or cast the expression.")
        })
    }

    /// Runs `f` where the draft's columns are in scope, as `Expr::Input`s by ordinal.
    pub(super) fn over_draft<T>(
        &mut self,
        draft: &Draft<'_>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let table = self.draft_table(draft);
        let inputs = super::stored::as_inputs(&table);
        self.over_table(&table, &inputs, f)
    }

    /// The draft as a table, for scopes.
    fn draft_table(&self, draft: &Draft<'_>) -> TableDef {
        TableDef {
            id: catalog::RelationId(0),
            schema: draft.schema,
            name: draft.name.clone(),
            owner: self.cx.role,
            columns: draft.columns.clone(),
            tree: catalog::TreeNumber(0),
            clustered_by: None,
            indexes: Vec::new(),
            constraints: Vec::new(),
            persistence: catalog::Persistence::Permanent,
            comment: None,
            row_type: 0,
        }
    }

    /// An expression over `Expr::Input`s as text.
    pub(super) fn print_over(&self, expr: &Expr, columns: &[ColumnDef]) -> String {
        let catalog = self.cx.catalog;
        let search = &self.search;
        // OIDs of relations print as names.
        let mut shown = expr.clone();
        walk::replace(&mut shown, &mut |part| match part {
            Expr::Literal { value: Value::UInt32(oid), data_type, .. }
                if data_type.oid == DataType::REGCLASS.oid =>
            {
                let relation = catalog.relation(catalog::RelationId(*oid))?;
                let mut name = quote_identifier(relation.name());
                if !search.contains(&relation.schema()) {
                    let schema = catalog.schema(relation.schema())?;
                    name = format!("{}.{name}", quote_identifier(&schema.name));
                }
                let text = Expr::literal(Value::text(name), DataType::UNKNOWN);
                Some(Expr::Relabel { arg: Box::new(text), data_type: DataType::REGCLASS, implicit: false })
            }
            _ => None,
        });
        print(&shown, &|part: &Expr| match part {
            Expr::Input { position, .. } => {
                columns.get(*position).map_or("?".to_string(), |column| quote_identifier(&column.name))
            }
            _ => "?".to_string(),
        })
    }

    // ---- LIKE ----

    fn like_columns(
        &mut self,
        draft: &mut Draft<'_>,
        like: &ast::TableLike,
    ) -> Result<std::sync::Arc<TableDef>> {
        let found = self.find_relation(&like.relation)?;
        self.check_rights(&found, Rights::SELECT)?;
        let table = match found {
            Relation::Table(table) => table,
            other => {
                return Err(Error::not_supported(format!(
                    "LIKE of {} \"{}\"",
                    other.kind_name(),
                    other.name()
                ))
                .at(like.relation.span));
            }
        };
        for (_, column) in table.live_columns() {
            check_column_name(draft, &column.name, like.relation.span)?;
            let ordinal = draft.columns.len();
            let mut copy = column.clone();
            copy.number = i16::try_from(ordinal + 1).map_err(|_| too_many_columns())?;
            copy.missing = Value::Null;
            copy.identity = Identity::None;
            if !like.including.comments {
                copy.comment = None;
            }
            let keep = if column.generated { like.including.generated } else { like.including.defaults };
            if !keep {
                copy.default = None;
                copy.generated = false;
            }
            if like.including.identity && column.identity != Identity::None {
                copy.identity = column.identity;
                let mut sequence = self.column_sequence(draft, &column.name, column.data_type, &[])?;
                if let Some(source) = self.owned_sequence(&table, column) {
                    sequence = NewSequence {
                        name: sequence.name,
                        schema: sequence.schema,
                        data_type: source.data_type,
                        start: source.start,
                        increment: source.increment,
                        min: source.min,
                        max: source.max,
                        cache: source.cache,
                        cycle: source.cycle,
                    };
                }
                draft.sequences.push(OwnedSequence { column: ordinal, sequence });
            }
            draft.columns.push(copy);
        }
        Ok(table)
    }

    fn like_extras(
        &mut self,
        draft: &mut Draft<'_>,
        from: usize,
        table: &TableDef,
        like: &ast::TableLike,
    ) -> Result<()> {
        // Ordinals of the source's columns in the new table.
        let live: Vec<usize> = table.live_columns().map(|(ordinal, _)| ordinal).collect();
        let moved = |ordinal: usize| live.iter().position(|at| *at == ordinal).map(|at| at + from);
        if like.including.constraints {
            for constraint in &table.constraints {
                let catalog::ConstraintKind::Check { expression, columns } = &constraint.kind else {
                    continue;
                };
                let parsed = super::stored::parse_expr(expression)?;
                let predicate = self.over_draft(draft, |binder| {
                    let bound = binder.clause_expr(&parsed, Clause::Check)?;
                    binder.coercer.boolean(bound, "CHECK", Span::default())
                })?;
                draft.taken.add_constraint(&constraint.name);
                draft.constraints.push(NewConstraint {
                    name: constraint.name.clone(),
                    kind: NewConstraintKind::Check {
                        expression: expression.clone(),
                        columns: columns.iter().filter_map(|ordinal| moved(*ordinal)).collect(),
                        predicate,
                    },
                    deferrable: false,
                    initially_deferred: false,
                    validated: true,
                });
            }
        }
        if like.including.indexes {
            for index in &table.indexes {
                let names: Vec<String> = index
                    .columns
                    .iter()
                    .map(|key| match key.column.and_then(|ordinal| table.columns.get(ordinal)) {
                        Some(column) => column.name.clone(),
                        None => "expr".to_string(),
                    })
                    .collect();
                let constraint = table.constraints.iter().find(|constraint| match &constraint.kind {
                    catalog::ConstraintKind::PrimaryKey { index: id }
                    | catalog::ConstraintKind::Unique { index: id } => *id == index.id,
                    _ => false,
                });
                let new_table = draft.name.clone();
                let name = match constraint {
                    Some(_) if index.primary => draft.taken.index_constraint(&new_table, None, "pkey"),
                    Some(_) => draft.taken.index_constraint(&new_table, Some(&joined(&names)), "key"),
                    None => draft.taken.relation(&new_table, Some(&joined(&names)), "idx"),
                };
                let columns = index
                    .columns
                    .iter()
                    .map(|key| IndexColumn { column: key.column.and_then(moved), ..key.clone() })
                    .collect();
                if index.primary {
                    draft.has_primary_key = true;
                }
                draft.indexes.push(NewIndex {
                    name: name.clone(),
                    columns,
                    include: index.include.iter().filter_map(|ordinal| moved(*ordinal)).collect(),
                    unique: index.unique,
                    primary: index.primary,
                    nulls_not_distinct: index.nulls_not_distinct,
                    predicate: index.predicate.clone(),
                    comment: index.comment.clone().filter(|_| like.including.comments),
                });
                if let Some(constraint) = constraint {
                    let at = NewConstraintIndex::New(draft.indexes.len() - 1);
                    draft.constraints.push(NewConstraint {
                        name,
                        kind: if index.primary {
                            NewConstraintKind::PrimaryKey(at)
                        } else {
                            NewConstraintKind::Unique(at)
                        },
                        deferrable: constraint.deferrable,
                        initially_deferred: constraint.initially_deferred,
                        validated: true,
                    });
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Keys,
    Checks,
    ForeignKeys,
}

impl Pass {
    fn of(kind: &ast::ConstraintKind) -> Option<Pass> {
        match kind {
            ast::ConstraintKind::Primary(_)
            | ast::ConstraintKind::Unique(_)
            | ast::ConstraintKind::Exclude(_) => Some(Pass::Keys),
            ast::ConstraintKind::Check(_) => Some(Pass::Checks),
            ast::ConstraintKind::Foreign(_) => Some(Pass::ForeignKeys),
            _ => None,
        }
    }
}

/// `serial` and its kin: the integer type below.
pub(super) fn serial_type(name: &ast::TypeName) -> Option<DataType> {
    let [name_] = name.names.as_slice() else { return None };
    if !name.array_bounds.is_empty() || !name.typmods.is_empty() {
        return None;
    }
    match name_.as_str() {
        "smallserial" | "serial2" => Some(DataType::INT2),
        "serial" | "serial4" => Some(DataType::INT4),
        "bigserial" | "serial8" => Some(DataType::INT8),
        _ => None,
    }
}

fn check_column_name(draft: &Draft<'_>, name: &str, _span: Span) -> Result<()> {
    if draft.columns.len() >= MAX_COLUMNS {
        return Err(too_many_columns());
    }
    if matches!(name, "tableoid" | "ctid" | "xmin" | "xmax" | "cmin" | "cmax") {
        return Err(Error::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column name \"{name}\" conflicts with a system column name"),
        ));
    }
    if draft.columns.iter().any(|column| !column.dropped && column.name == name) {
        return Err(Error::new(
            SqlState::DUPLICATE_COLUMN,
            if draft.existing.is_some() {
                format!("column \"{name}\" of relation \"{}\" already exists", draft.name)
            } else {
                format!("column \"{name}\" specified more than once")
            },
        ));
    }
    Ok(())
}

/// 42P16 for a type no column can have.
pub(super) fn check_column_type(name: &str, data_type: DataType) -> Result<()> {
    if matches!(data_type.category(), TypeCategory::Pseudo | TypeCategory::Unknown) {
        return Err(Error::new(
            SqlState::INVALID_TABLE_DEFINITION,
            format!("column \"{name}\" has pseudo-type {data_type}"),
        ));
    }
    Ok(())
}

/// 42704 for a type that cannot be ordered.
pub(super) fn check_indexable(data_type: DataType) -> Result<()> {
    if expr::registry().is_orderable(data_type) {
        return Ok(());
    }
    Err(Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!(
            "data type {} has no default operator class for access method \"btree\"",
            data_type.without_modifier()
        ),
    )
    .with_hint("You must specify an operator class for the index or define a default operator class for the data type."))
}

pub(super) fn too_many_index_columns() -> Error {
    Error::new(
        SqlState::TOO_MANY_COLUMNS,
        format!("cannot use more than {MAX_INDEX_COLUMNS} columns in an index"),
    )
}

pub(super) fn too_many_columns() -> Error {
    Error::new(SqlState::TOO_MANY_COLUMNS, format!("tables can have at most {MAX_COLUMNS} columns"))
}

/// The input positions an expression reads, ascending.
pub(super) fn inputs_of(expr: &Expr) -> Vec<usize> {
    let mut inputs = Vec::new();
    walk::visit(expr, &mut |part| {
        if let Expr::Input { position, .. } = part
            && !inputs.contains(position)
        {
            inputs.push(*position);
        }
    });
    inputs.sort_unstable();
    inputs
}

/// Does the expression give the same for the same input for ever? Text forms count by their type:
/// those of dates and names depend on settings.
pub(super) fn is_immutable(expr: &Expr) -> bool {
    let steady = |data_type: DataType| {
        !matches!(data_type.category(), TypeCategory::DateTime | TypeCategory::Timespan | TypeCategory::Array)
            && data_type.physical != types::Physical::UInt32
    };
    let mut immutable = true;
    walk::visit(expr, &mut |part| {
        immutable &= match part {
            Expr::Call { function, args, .. } if matches!(function.name, "textanycat" | "anytextcat") => {
                args.iter().all(|arg| steady(arg.data_type()))
            }
            Expr::Call { function, .. } => function.volatility == Volatility::Immutable,
            Expr::IoCast { arg, data_type, .. } => steady(arg.data_type()) && steady(*data_type),
            Expr::Subquery(_) => false,
            _ => true,
        };
    });
    immutable
}

/// 0A000 for a subquery where PostgreSQL allows none.
pub(super) fn refuse_subquery(expr: &Expr, place: &str, span: Span) -> Result<()> {
    if expr.has_subquery() {
        return Err(
            Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot use subquery in {place}")).at(span)
        );
    }
    Ok(())
}

fn conflicting_null(name: &str, draft: &Draft<'_>) -> Error {
    Error::syntax(format!(
        "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{}\"",
        draft.name
    ))
}

fn both_default_and_identity(name: &str, draft: &Draft<'_>) -> Error {
    Error::syntax(format!(
        "both default and identity specified for column \"{name}\" of table \"{}\"",
        draft.name
    ))
}

/// A bare column name in a default, which is refused before it is looked up.
fn first_column_ref(expr: &ast::Expr) -> Option<Span> {
    match expr {
        ast::Expr::ColumnRef(reference) => Some(reference.span),
        ast::Expr::Operator(operator) => {
            operator.left.as_ref().and_then(first_column_ref).or_else(|| first_column_ref(&operator.right))
        }
        ast::Expr::Bool(bool) => bool.args.iter().find_map(first_column_ref),
        ast::Expr::TypeCast(cast) => first_column_ref(&cast.arg),
        ast::Expr::FuncCall(call) => call.args.iter().find_map(|arg| first_column_ref(&arg.value)),
        ast::Expr::Coalesce(coalesce) => coalesce.args.iter().find_map(first_column_ref),
        ast::Expr::Row(row) => row.fields.iter().find_map(first_column_ref),
        ast::Expr::Array(array) => array.elements.iter().find_map(first_column_ref),
        _ => None,
    }
}
