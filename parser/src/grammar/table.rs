//! CREATE TABLE: columns, constraints, partitions; CREATE TABLE AS.
//!
//! Called by `create.rs`; columns and constraints also by ALTER TABLE, CREATE DOMAIN and index keys by CREATE INDEX
//! and ON CONFLICT.

use types::{Error, Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    /// After CREATE [TEMP]: TABLE ….
    pub(super) fn create_table(&mut self, persistence: Persistence, span: Span) -> Result<Node> {
        self.expect(K::Table)?;
        let if_not_exists = self.if_not_exists()?;
        let relation = self.qualified_name()?;
        let mut table = CreateTableStmt {
            relation,
            persistence,
            if_not_exists,
            elements: Vec::new(),
            inherits: Vec::new(),
            partition_by: None,
            partition_of: None,
            of_type: None,
            access_method: None,
            options: Vec::new(),
            on_commit: OnCommit::NotSet,
            tablespace: None,
            span,
        };
        let mut names = Vec::new();
        let mut maybe_as = true;
        if self.is_char(b'(')
            && matches!(self.peek_at(2), Tok::Char(b',' | b')'))
            && self.peek_at(1) != Tok::Char(b')')
        {
            // Names without types: only CREATE TABLE AS has that.
            names = self.column_list()?;
        } else if self.is_char(b'(') {
            maybe_as = false;
            table.elements = self.table_elements()?;
            if self.eat(K::Inherits) {
                table.inherits = self.parens(Self::qualified_name)?;
            }
        } else if self.eat(K::Of) {
            maybe_as = false;
            let at = self.span();
            let QualifiedName { parts, .. } = self.qualified_any_name()?;
            table.of_type = Some(TypeName {
                names: parts,
                typmods: Vec::new(),
                array_bounds: Vec::new(),
                setof: false,
                pct_type: false,
                span: at,
            });
            if self.is_char(b'(') {
                table.elements = self.parens(Self::typed_table_element)?;
            }
        } else if self.eat(K::Partition) {
            maybe_as = false;
            self.expect(K::Of)?;
            let parent = self.qualified_name()?;
            if self.is_char(b'(') {
                table.elements = self.parens(Self::typed_table_element)?;
            }
            table.partition_of = Some(Box::new((parent, self.partition_bound()?)));
        }
        if !maybe_as && self.is(K::Partition) {
            table.partition_by = Some(self.partition_spec()?);
        }
        if self.eat(K::Using) {
            table.access_method = Some(self.col_id()?);
        }
        if self.is(K::Without) && self.is_at(1, K::Oids) {
            self.at += 2;
        } else {
            table.options = self.opt_with_definition()?;
        }
        if self.eat_all(&[K::On, K::Commit]) {
            table.on_commit = if self.eat(K::Drop) {
                OnCommit::Drop
            } else if self.eat(K::Delete) {
                self.expect(K::Rows)?;
                OnCommit::DeleteRows
            } else {
                self.expect(K::Preserve)?;
                self.expect(K::Rows)?;
                OnCommit::PreserveRows
            };
        }
        table.tablespace = self.opt_tablespace()?;
        if !maybe_as {
            return Ok(Node::CreateTable(Box::new(table)));
        }
        self.expect(K::As)?;
        let create = CreateTableAsStmt {
            relation: table.relation,
            persistence,
            materialized_view: false,
            if_not_exists,
            columns: names,
            access_method: table.access_method,
            options: table.options,
            on_commit: table.on_commit,
            tablespace: table.tablespace,
            query: Box::new(Node::Checkpoint(span)),
            with_no_data: false,
            select_into: false,
            query_text: span,
            span,
        };
        self.create_as_query(create, true)
    }

    /// What follows AS: a query or EXECUTE, and WITH [NO] DATA.
    pub(super) fn create_as_query(&mut self, mut create: CreateTableAsStmt, execute: bool) -> Result<Node> {
        let start = self.span().start;
        create.query = Box::new(if execute && self.is(K::Execute) {
            self.execute()?
        } else {
            Node::Select(Box::new(self.query()?))
        });
        create.query_text = Span { start, end: self.last_end() };
        create.with_no_data = self.opt_with_no_data()?;
        Ok(Node::CreateTableAs(Box::new(create)))
    }

    pub(super) fn opt_with_no_data(&mut self) -> Result<bool> {
        if !self.eat(K::With) {
            return Ok(false);
        }
        let no = self.eat(K::No);
        self.expect(K::Data)?;
        Ok(no)
    }

    pub(super) fn opt_tablespace(&mut self) -> Result<Option<String>> {
        if self.eat(K::Tablespace) { Ok(Some(self.col_id()?)) } else { Ok(None) }
    }

    fn table_elements(&mut self) -> Result<Vec<TableElement>> {
        if self.is_char(b'(') && self.peek_at(1) == Tok::Char(b')') {
            self.at += 2;
            return Ok(Vec::new());
        }
        self.parens(|p| {
            if p.is(K::Like) {
                return Ok(TableElement::Like(Box::new(p.table_like()?)));
            }
            if p.begins_table_constraint() {
                return Ok(TableElement::Constraint(Box::new(p.table_constraint()?)));
            }
            Ok(TableElement::Column(Box::new(p.column_def()?)))
        })
    }

    fn typed_table_element(&mut self) -> Result<TableElement> {
        if self.begins_table_constraint() {
            return Ok(TableElement::Constraint(Box::new(self.table_constraint()?)));
        }
        let span = self.span();
        let name = self.col_id()?;
        self.eat_all(&[K::With, K::Options]);
        let mut column = ColumnDef {
            name,
            type_name: None,
            collation: None,
            compression: None,
            constraints: Vec::new(),
            span,
        };
        self.column_constraints(&mut column)?;
        Ok(TableElement::Column(Box::new(column)))
    }

    fn table_like(&mut self) -> Result<TableLike> {
        self.expect(K::Like)?;
        let relation = self.qualified_name()?;
        let mut including = TableLikeOptions::default();
        while self.is_any(&[K::Including, K::Excluding]) {
            let on = self.bump().tok == Tok::Keyword(K::Including);
            let flag = match self.peek() {
                Tok::Keyword(K::Comments) => &mut including.comments,
                Tok::Keyword(K::Compression) => &mut including.compression,
                Tok::Keyword(K::Constraints) => &mut including.constraints,
                Tok::Keyword(K::Defaults) => &mut including.defaults,
                Tok::Keyword(K::Generated) => &mut including.generated,
                Tok::Keyword(K::Identity) => &mut including.identity,
                Tok::Keyword(K::Indexes) => &mut including.indexes,
                Tok::Keyword(K::Statistics) => &mut including.statistics,
                Tok::Keyword(K::Storage) => &mut including.storage,
                Tok::Keyword(K::All) => {
                    self.bump();
                    including = TableLikeOptions {
                        comments: on,
                        compression: on,
                        constraints: on,
                        defaults: on,
                        generated: on,
                        identity: on,
                        indexes: on,
                        statistics: on,
                        storage: on,
                    };
                    continue;
                }
                _ => return self.fail(),
            };
            *flag = on;
            self.bump();
        }
        Ok(TableLike { relation, including })
    }

    // ---- columns ------------------------------------------------------------------------------

    pub(super) fn column_def(&mut self) -> Result<ColumnDef> {
        let span = self.span();
        let name = self.col_id()?;
        let type_name = Some(self.type_name()?);
        let compression = if self.eat(K::Compression) {
            Some(if self.eat(K::Default) { "default".into() } else { self.col_id()? })
        } else {
            None
        };
        let mut column =
            ColumnDef { name, type_name, collation: None, compression, constraints: Vec::new(), span };
        self.column_constraints(&mut column)?;
        Ok(column)
    }

    fn column_constraints(&mut self, column: &mut ColumnDef) -> Result<()> {
        loop {
            let span = self.span();
            if self.is(K::Collate) {
                self.bump();
                if column.collation.is_some() {
                    return self.refuse("multiple COLLATE clauses not allowed", span);
                }
                column.collation = Some(self.any_name()?);
            } else if !self.column_constraint(&mut column.constraints)? {
                return Ok(());
            }
        }
    }

    /// One entry of ColQualList other than COLLATE; false if none comes next.
    pub(super) fn column_constraint(&mut self, constraints: &mut Vec<Constraint>) -> Result<bool> {
        let span = self.span();
        let name = if self.eat(K::Constraint) { Some(self.col_id()?) } else { None };
        if name.is_none() && self.constraint_attribute(constraints, span)? {
            return Ok(true);
        }
        let kind = match self.peek() {
            Tok::Keyword(K::Not) if self.is_at(1, K::Null) => {
                self.at += 2;
                ConstraintKind::NotNull
            }
            Tok::Keyword(K::Null) => {
                self.bump();
                ConstraintKind::Null
            }
            Tok::Keyword(K::Unique) => {
                self.bump();
                let nulls_not_distinct = self.nulls_not_distinct()?;
                ConstraintKind::Unique(Box::new(self.unique_tail(Vec::new(), nulls_not_distinct, false)?))
            }
            Tok::Keyword(K::Primary) => {
                self.bump();
                self.expect(K::Key)?;
                ConstraintKind::Primary(Box::new(self.unique_tail(Vec::new(), false, false)?))
            }
            Tok::Keyword(K::Check) => {
                self.bump();
                let expr = self.expr_in_parens()?;
                let mut check = new_constraint(name, ConstraintKind::Check(expr), span);
                check.no_inherit = self.eat_all(&[K::No, K::Inherit]);
                constraints.push(check);
                return Ok(true);
            }
            Tok::Keyword(K::Default) => {
                self.bump();
                ConstraintKind::Default(self.b_expr()?)
            }
            Tok::Keyword(K::Generated) => {
                self.bump();
                let always = self.generated_when()?;
                self.expect(K::As)?;
                if self.eat(K::Identity) {
                    let options = self.opt_sequence_options_in_parens()?;
                    ConstraintKind::Identity { always, options }
                } else {
                    let at = self.span();
                    let expr = self.expr_in_parens()?;
                    if !always {
                        return self.refuse("for a generated column, GENERATED ALWAYS must be specified", at);
                    }
                    self.expect(K::Stored)?;
                    ConstraintKind::Generated(expr)
                }
            }
            Tok::Keyword(K::References) => ConstraintKind::Foreign(Box::new(self.references(Vec::new())?)),
            _ if name.is_some() => return self.fail(),
            _ => return Ok(false),
        };
        constraints.push(new_constraint(name, kind, span));
        Ok(true)
    }

    pub(super) fn expr_in_parens(&mut self) -> Result<Expr> {
        self.expect_char(b'(')?;
        let expr = self.expr()?;
        self.expect_char(b')')?;
        Ok(expr)
    }

    /// ALWAYS (true) or BY DEFAULT.
    pub(super) fn generated_when(&mut self) -> Result<bool> {
        if self.eat(K::Always) {
            return Ok(true);
        }
        self.expect(K::By)?;
        self.expect(K::Default)?;
        Ok(false)
    }

    /// DEFERRABLE and INITIALLY after a column's constraint; false if neither comes next.
    fn constraint_attribute(&mut self, constraints: &mut [Constraint], span: Span) -> Result<bool> {
        let (deferrable, initially) = if self.eat_all(&[K::Not, K::Deferrable]) {
            (Some(false), None)
        } else if self.eat(K::Deferrable) {
            (Some(true), None)
        } else if self.eat(K::Initially) {
            (None, Some(self.deferred_or_immediate()?))
        } else {
            return Ok(false);
        };
        let target = constraints.last_mut().filter(|last| {
            matches!(
                last.kind,
                ConstraintKind::Primary(_)
                    | ConstraintKind::Unique(_)
                    | ConstraintKind::Exclude(_)
                    | ConstraintKind::Foreign(_)
            )
        });
        let Some(target) = target else {
            let clause = match (deferrable, initially) {
                (Some(true), _) => "DEFERRABLE",
                (Some(false), _) => "NOT DEFERRABLE",
                (None, Some(true)) => "INITIALLY DEFERRED",
                (None, _) => "INITIALLY IMMEDIATE",
            };
            return self.refuse(&format!("misplaced {clause} clause"), span);
        };
        set_deferral(target, deferrable, initially, span)?;
        Ok(true)
    }

    pub(super) fn deferred_or_immediate(&mut self) -> Result<bool> {
        if self.eat(K::Deferred) {
            return Ok(true);
        }
        self.expect(K::Immediate)?;
        Ok(false)
    }

    // ---- table constraints --------------------------------------------------------------------

    pub(super) fn begins_table_constraint(&self) -> bool {
        self.is_any(&[K::Constraint, K::Check, K::Unique, K::Primary, K::Foreign])
            || self.is(K::Exclude) && (self.is_at(1, K::Using) || self.peek_at(1) == Tok::Char(b'('))
    }

    pub(super) fn table_constraint(&mut self) -> Result<Constraint> {
        let span = self.span();
        let name = if self.eat(K::Constraint) { Some(self.col_id()?) } else { None };
        let kind = match self.peek() {
            Tok::Keyword(K::Check) => {
                self.bump();
                ConstraintKind::Check(self.expr_in_parens()?)
            }
            Tok::Keyword(K::Unique) => {
                self.bump();
                let nulls = self.nulls_not_distinct()?;
                ConstraintKind::Unique(Box::new(self.unique_body(nulls)?))
            }
            Tok::Keyword(K::Primary) => {
                self.bump();
                self.expect(K::Key)?;
                ConstraintKind::Primary(Box::new(self.unique_body(false)?))
            }
            Tok::Keyword(K::Exclude) => {
                self.bump();
                ConstraintKind::Exclude(Box::new(self.exclude_body()?))
            }
            Tok::Keyword(K::Foreign) => {
                self.bump();
                self.expect(K::Key)?;
                let columns = self.column_list()?;
                ConstraintKind::Foreign(Box::new(self.references(columns)?))
            }
            _ => return self.fail(),
        };
        let mut constraint = new_constraint(name, kind, span);
        self.constraint_attributes(&mut constraint)?;
        Ok(constraint)
    }

    fn constraint_attributes(&mut self, constraint: &mut Constraint) -> Result<()> {
        let what = match constraint.kind {
            ConstraintKind::Check(_) => "CHECK",
            ConstraintKind::Unique(_) => "UNIQUE",
            ConstraintKind::Primary(_) => "PRIMARY KEY",
            ConstraintKind::Exclude(_) => "EXCLUDE",
            _ => "FOREIGN KEY",
        };
        let (check, foreign) = (what == "CHECK", what == "FOREIGN KEY");
        let cannot = |mark: &str, span| {
            Err(Error::new(
                types::SqlState::FEATURE_NOT_SUPPORTED,
                format!("{what} constraints cannot be marked {mark}"),
            )
            .at(span))
        };
        loop {
            let span = self.span();
            if self.eat_all(&[K::Not, K::Deferrable]) {
                set_deferral(constraint, Some(false), None, span)?;
            } else if self.eat(K::Deferrable) {
                if check {
                    return cannot("DEFERRABLE", span);
                }
                set_deferral(constraint, Some(true), None, span)?;
            } else if self.eat(K::Initially) {
                let deferred = self.deferred_or_immediate()?;
                if check && deferred {
                    return cannot("DEFERRABLE", span);
                }
                set_deferral(constraint, None, Some(deferred), span)?;
            } else if self.eat_all(&[K::Not, K::Valid]) {
                if !check && !foreign {
                    return cannot("NOT VALID", span);
                }
                constraint.not_valid = true;
            } else if self.eat_all(&[K::No, K::Inherit]) {
                if !check {
                    return cannot("NO INHERIT", span);
                }
                constraint.no_inherit = true;
            } else {
                return Ok(());
            }
        }
    }

    /// NULLS NOT DISTINCT.
    pub(super) fn nulls_not_distinct(&mut self) -> Result<bool> {
        if self.eat_all(&[K::Nulls, K::Not, K::Distinct]) {
            return Ok(true);
        }
        self.eat_all(&[K::Nulls, K::Distinct]);
        Ok(false)
    }

    fn unique_body(&mut self, nulls_not_distinct: bool) -> Result<UniqueConstraint> {
        if self.eat(K::Using) {
            self.expect(K::Index)?;
            let index = Some(self.col_id()?);
            return Ok(UniqueConstraint {
                columns: Vec::new(),
                include: Vec::new(),
                nulls_not_distinct,
                options: Vec::new(),
                tablespace: None,
                index,
            });
        }
        let columns = self.column_list()?;
        self.unique_tail(columns, nulls_not_distinct, true)
    }

    fn unique_tail(
        &mut self,
        columns: Vec<String>,
        nulls_not_distinct: bool,
        table_level: bool,
    ) -> Result<UniqueConstraint> {
        let include = if table_level { self.opt_include_names()? } else { Vec::new() };
        let options = self.opt_with_definition()?;
        let tablespace = self.opt_index_tablespace()?;
        Ok(UniqueConstraint { columns, include, nulls_not_distinct, options, tablespace, index: None })
    }

    fn opt_include_names(&mut self) -> Result<Vec<String>> {
        if self.eat(K::Include) { self.column_list() } else { Ok(Vec::new()) }
    }

    fn opt_index_tablespace(&mut self) -> Result<Option<String>> {
        if self.eat_all(&[K::Using, K::Index, K::Tablespace]) { Ok(Some(self.col_id()?)) } else { Ok(None) }
    }

    fn exclude_body(&mut self) -> Result<ExcludeConstraint> {
        let access_method = if self.eat(K::Using) { Some(self.col_id()?) } else { None };
        let elements = self.parens(|p| {
            let element = p.index_elem()?;
            p.expect(K::With)?;
            let operator = p.any_or_qualified_operator()?;
            Ok((element, operator))
        })?;
        let include = self.opt_include_names()?;
        let options = self.opt_with_definition()?;
        let tablespace = self.opt_index_tablespace()?;
        let where_ = if self.eat(K::Where) { Some(self.expr_in_parens()?) } else { None };
        Ok(ExcludeConstraint { access_method, elements, include, options, tablespace, where_ })
    }

    fn any_or_qualified_operator(&mut self) -> Result<OperatorName> {
        if self.is(K::Operator) { self.qualified_operator() } else { self.any_operator() }
    }

    /// REFERENCES table (columns) MATCH … ON DELETE … ON UPDATE ….
    fn references(&mut self, columns: Vec<String>) -> Result<ForeignConstraint> {
        self.expect(K::References)?;
        let table = self.qualified_name()?;
        let referenced = self.opt_column_list()?;
        let mut match_type = MatchType::Simple;
        if self.is(K::Match) {
            let span = self.bump().span();
            match_type = match self.peek() {
                Tok::Keyword(K::Full) => MatchType::Full,
                Tok::Keyword(K::Partial) => return Err(Error::not_supported("MATCH PARTIAL").at(span)),
                Tok::Keyword(K::Simple) => MatchType::Simple,
                _ => return self.fail(),
            };
            self.bump();
        }
        let (mut on_update, mut on_delete) = (None, None);
        let mut on_delete_columns = Vec::new();
        while self.eat(K::On) {
            let delete = self.is(K::Delete);
            if !delete && !self.is(K::Update) {
                return self.fail();
            }
            if if delete { on_delete.is_some() } else { on_update.is_some() } {
                return self.fail();
            }
            self.bump();
            let action = match self.peek() {
                Tok::Keyword(K::No) => {
                    self.bump();
                    self.expect(K::Action)?;
                    ForeignAction::NoAction
                }
                Tok::Keyword(K::Restrict) => {
                    self.bump();
                    ForeignAction::Restrict
                }
                Tok::Keyword(K::Cascade) => {
                    self.bump();
                    ForeignAction::Cascade
                }
                Tok::Keyword(K::Set) => {
                    self.bump();
                    let action = if self.eat(K::Null) {
                        ForeignAction::SetNull
                    } else {
                        self.expect(K::Default)?;
                        ForeignAction::SetDefault
                    };
                    let at = self.span();
                    let columns = self.opt_column_list()?;
                    if !delete && !columns.is_empty() {
                        return Err(Error::new(
                            types::SqlState::FEATURE_NOT_SUPPORTED,
                            "a column list with SET NULL is only supported for ON DELETE actions",
                        )
                        .at(at));
                    }
                    on_delete_columns.extend(columns);
                    action
                }
                _ => return self.fail(),
            };
            *(if delete { &mut on_delete } else { &mut on_update }) = Some(action);
        }
        Ok(ForeignConstraint {
            columns,
            table,
            referenced,
            match_type,
            on_update: on_update.unwrap_or(ForeignAction::NoAction),
            on_delete: on_delete.unwrap_or(ForeignAction::NoAction),
            on_delete_columns,
        })
    }

    // ---- index keys, partitions ---------------------------------------------------------------

    /// A key of an index: column, function call or expression, with its collation, class and order.
    pub(super) fn index_elem(&mut self) -> Result<IndexElem> {
        let span = self.span();
        let key = if self.is_char(b'(') {
            IndexKey::Expr(self.expr_in_parens()?)
        } else if self.is_special_function() || self.name_then_paren() {
            IndexKey::Expr(self.table_function()?)
        } else {
            IndexKey::Column(self.col_id()?)
        };
        let collation = self.opt_collate()?;
        let mut operator_class = None;
        let mut operator_class_options = Vec::new();
        // NULLS FIRST is no operator class; nor are the words that end the element.
        let nulls = self.is(K::Nulls) && (self.is_at(1, K::First) || self.is_at(1, K::Last));
        if Self::tok_is_col_id(self.peek()) && !nulls {
            operator_class = Some(self.any_name()?);
            if self.is_char(b'(') {
                operator_class_options = self.definition()?;
            }
        }
        let direction = self.asc_desc();
        let nulls = self.nulls_order()?;
        Ok(IndexElem { key, collation, operator_class, operator_class_options, direction, nulls, span })
    }

    fn name_then_paren(&self) -> bool {
        let mut ahead = 1;
        while self.peek_at(ahead) == Tok::Char(b'.') {
            ahead += 2;
        }
        self.peek_at(ahead) == Tok::Char(b'(')
    }

    fn partition_spec(&mut self) -> Result<PartitionSpec> {
        let span = self.expect(K::Partition)?;
        self.expect(K::By)?;
        let strategy = self.col_id()?;
        let elements = self.parens(Self::index_elem)?;
        Ok(PartitionSpec { strategy, elements, span })
    }

    /// FOR VALUES …, DEFAULT.
    pub(super) fn partition_bound(&mut self) -> Result<PartitionBound> {
        if self.eat(K::Default) {
            return Ok(PartitionBound::Default);
        }
        self.expect(K::For)?;
        self.expect(K::Values)?;
        if self.eat(K::In) {
            return Ok(PartitionBound::In(self.parens(Self::expr)?));
        }
        if self.eat(K::From) {
            let from = self.parens(Self::expr)?;
            self.expect(K::To)?;
            return Ok(PartitionBound::FromTo(from, self.parens(Self::expr)?));
        }
        let span = self.expect(K::With)?;
        let (mut modulus, mut remainder) = (None, None);
        let parts = self.parens(|p| {
            let at = p.span();
            let name = p.non_reserved_word()?;
            Ok((name, i64::from(p.iconst()?), at))
        })?;
        for (name, value, at) in parts {
            let slot = match name.as_str() {
                "modulus" => &mut modulus,
                "remainder" => &mut remainder,
                other => {
                    let message = format!("unrecognized hash partition bound specification \"{other}\"");
                    return self.refuse(&message, at);
                }
            };
            if slot.replace(value).is_some() {
                let message = format!("{name} for hash partition provided more than once");
                return Err(Error::new(types::SqlState::DUPLICATE_OBJECT, message).at(at));
            }
        }
        match (modulus, remainder) {
            (None, _) => self.refuse("modulus for hash partition must be specified", span),
            (_, None) => self.refuse("remainder for hash partition must be specified", span),
            (Some(modulus), Some(remainder)) => Ok(PartitionBound::With { modulus, remainder }),
        }
    }
}

pub(super) fn new_constraint(name: Option<String>, kind: ConstraintKind, span: Span) -> Constraint {
    Constraint {
        name,
        kind,
        deferrable: None,
        initially_deferred: None,
        not_valid: false,
        no_inherit: false,
        span,
    }
}

fn set_deferral(
    constraint: &mut Constraint,
    deferrable: Option<bool>,
    initially: Option<bool>,
    span: Span,
) -> Result<()> {
    let twice = |what: &str| Err(Error::syntax(format!("multiple {what} clauses not allowed")).at(span));
    if deferrable.is_some() && constraint.deferrable.is_some() {
        return twice("DEFERRABLE/NOT DEFERRABLE");
    }
    if initially.is_some() && constraint.initially_deferred.is_some() {
        return twice("INITIALLY IMMEDIATE/DEFERRED");
    }
    constraint.deferrable = constraint.deferrable.or(deferrable);
    constraint.initially_deferred = constraint.initially_deferred.or(initially);
    if constraint.initially_deferred == Some(true) && constraint.deferrable == Some(false) {
        return Err(Error::syntax("constraint declared INITIALLY DEFERRED must be DEFERRABLE").at(span));
    }
    Ok(())
}
