//! ALTER: tables and their like, and the forms all objects share (RENAME TO, SET SCHEMA, OWNER TO).
//!
//! Called by `statement.rs`. Roles are in `role.rs`.

use types::{Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    pub(super) fn alter(&mut self) -> Result<Node> {
        use ObjectType as O;
        let span = self.span();
        match self.peek_at(1) {
            Tok::Keyword(K::System) => {
                self.at += 2;
                let set = self.set_or_reset()?;
                return Ok(Node::AlterSystem(Box::new(AlterSystemStmt { set, span })));
            }
            Tok::Keyword(K::Default) => {
                self.bump();
                return self.alter_default_privileges(span);
            }
            Tok::Keyword(K::User) if self.is_at(2, K::Mapping) => {
                return self.unsupported("ALTER USER MAPPING");
            }
            Tok::Keyword(K::Role | K::User | K::Group) => {
                self.bump();
                return self.alter_role(span);
            }
            Tok::Keyword(K::Table | K::Index) if self.is_at(2, K::All) => {
                return self.unsupported("ALTER TABLE ALL IN TABLESPACE");
            }
            _ => {}
        }
        let start = self.at;
        self.bump();
        let object_type = match self.peek() {
            Tok::Keyword(K::Column | K::Constraint | K::Cast | K::Transform) => return self.fail(),
            _ => self.object_type()?,
        };
        match object_type {
            O::Table | O::ForeignTable | O::View | O::MaterializedView | O::Index | O::Sequence => {
                self.alter_relation(object_type, span)
            }
            O::Type => self.alter_type(span),
            O::Domain => self.alter_domain(span),
            O::Database => self.alter_database(span),
            O::Function | O::Procedure | O::Routine => self.alter_function(object_type, span),
            O::Operator
            | O::OperatorClass
            | O::OperatorFamily
            | O::LargeObject
            | O::Publication
            | O::Subscription
            | O::UserMapping => {
                self.at = start;
                self.unsupported(&format!("ALTER {}", object_type.keyword()))
            }
            _ => {
                let object = self.object_ref(object_type)?;
                if let Some(node) = self.alter_any(object_type, &object, span)? {
                    return Ok(node);
                }
                if matches!(object_type, O::Schema | O::Rule | O::Aggregate | O::Language | O::Conversion) {
                    return self.fail();
                }
                self.at = start;
                self.unsupported(&format!("ALTER {}", object_type.keyword()))
            }
        }
    }

    /// RENAME TO, SET SCHEMA, OWNER TO, where one of them comes next.
    fn alter_any(&mut self, object_type: ObjectType, object: &ObjectRef, span: Span) -> Result<Option<Node>> {
        if self.eat_all(&[K::Rename, K::To]) {
            return Ok(Some(self.rename_to(object_type, object.clone(), span)?));
        }
        if self.eat_all(&[K::Set, K::Schema]) {
            let new_schema = self.col_id()?;
            return Ok(Some(Node::AlterObjectSchema(Box::new(AlterObjectSchemaStmt {
                object_type,
                object: object.clone(),
                new_schema,
                missing_ok: false,
                span,
            }))));
        }
        if self.eat_all(&[K::Owner, K::To]) {
            let new_owner = self.role_spec()?;
            let object = object.clone();
            return Ok(Some(Node::AlterOwner(Box::new(AlterOwnerStmt {
                object_type,
                object,
                new_owner,
                span,
            }))));
        }
        Ok(None)
    }

    /// The new name of an object as a whole.
    pub(super) fn rename_to(
        &mut self,
        object_type: ObjectType,
        object: ObjectRef,
        span: Span,
    ) -> Result<Node> {
        let new_name = self.col_id()?;
        Ok(Node::Rename(Box::new(RenameStmt {
            object_type,
            relation_type: object_type,
            object,
            only: false,
            sub_name: None,
            new_name,
            missing_ok: false,
            behavior: DropBehavior::Restrict,
            span,
        })))
    }

    // ---- relations ----------------------------------------------------------------------------

    fn alter_relation(&mut self, object_type: ObjectType, span: Span) -> Result<Node> {
        use ObjectType as O;
        let missing_ok = self.if_exists()?;
        let at = self.span();
        let relation = if matches!(object_type, O::Table | O::ForeignTable) {
            self.relation_expr()?
        } else {
            self.qualified_name()?
        };
        let object = || {
            let parts = [&relation.catalog, &relation.schema].into_iter().flatten().cloned();
            let parts = parts.chain([relation.name.clone()]).collect();
            ObjectRef::Name(QualifiedName { parts, span: at })
        };
        if self.eat(K::Rename) {
            return self.rename_in_relation(object_type, object(), relation.only, missing_ok, span);
        }
        if self.eat_all(&[K::Set, K::Schema]) {
            let new_schema = self.col_id()?;
            let alter = AlterObjectSchemaStmt { object_type, object: object(), new_schema, missing_ok, span };
            return Ok(Node::AlterObjectSchema(Box::new(alter)));
        }
        if self.is_word("depends") || self.is(K::No) && self.is_at(1, K::Depends) {
            return self.unsupported(&format!("ALTER {} DEPENDS ON EXTENSION", object_type.keyword()));
        }
        if object_type == O::Sequence {
            let options = self.sequence_options()?;
            if !options.is_empty() {
                let alter = AlterSequenceStmt { relation, missing_ok, options, span };
                return Ok(Node::AlterSequence(Box::new(alter)));
            }
        }
        // ATTACH and DETACH stand alone.
        let commands = if self.is_any(&[K::Attach, K::Detach]) {
            vec![self.alter_table_cmd(object_type)?]
        } else {
            self.list(|p| p.alter_table_cmd(object_type))?
        };
        Ok(Node::AlterTable(Box::new(AlterTableStmt { object_type, relation, missing_ok, commands, span })))
    }

    /// After RENAME: TO name, [COLUMN] a TO b, CONSTRAINT a TO b.
    fn rename_in_relation(
        &mut self,
        relation_type: ObjectType,
        object: ObjectRef,
        only: bool,
        missing_ok: bool,
        span: Span,
    ) -> Result<Node> {
        let mut object_type = relation_type;
        let mut sub_name = None;
        if !self.is(K::To) {
            if self.eat(K::Constraint) {
                object_type = ObjectType::Constraint;
            } else {
                self.eat(K::Column);
                object_type = ObjectType::Column;
            }
            sub_name = Some(self.col_id()?);
        }
        self.expect(K::To)?;
        let new_name = self.col_id()?;
        let behavior = DropBehavior::Restrict;
        Ok(Node::Rename(Box::new(RenameStmt {
            object_type,
            relation_type,
            object,
            only,
            sub_name,
            new_name,
            missing_ok,
            behavior,
            span,
        })))
    }

    fn alter_table_cmd(&mut self, object_type: ObjectType) -> Result<AlterTableCmd> {
        let span = self.span();
        let kind = match self.peek() {
            Tok::Keyword(K::Add) => {
                self.bump();
                self.alter_add()?
            }
            Tok::Keyword(K::Drop) => {
                self.bump();
                if self.eat(K::Constraint) {
                    let missing_ok = self.if_exists()?;
                    let name = self.col_id()?;
                    AlterTableKind::DropConstraint { name, missing_ok, behavior: self.drop_behavior() }
                } else {
                    self.eat(K::Column);
                    let missing_ok = self.if_exists()?;
                    let name = self.col_id()?;
                    AlterTableKind::DropColumn { name, missing_ok, behavior: self.drop_behavior() }
                }
            }
            Tok::Keyword(K::Alter) => {
                self.bump();
                if self.eat(K::Constraint) {
                    self.alter_constraint()?
                } else {
                    self.eat(K::Column);
                    self.alter_column()?
                }
            }
            Tok::Keyword(K::Validate) => {
                self.bump();
                self.expect(K::Constraint)?;
                AlterTableKind::ValidateConstraint(self.col_id()?)
            }
            Tok::Keyword(K::Enable | K::Disable) => self.alter_enable()?,
            Tok::Keyword(K::Force) => {
                self.bump();
                self.row_level_security()?;
                AlterTableKind::RowSecurity { enable: None, force: Some(true) }
            }
            Tok::Keyword(K::No) if self.is_at(1, K::Force) => {
                self.at += 2;
                self.row_level_security()?;
                AlterTableKind::RowSecurity { enable: None, force: Some(false) }
            }
            Tok::Keyword(K::No) => {
                self.bump();
                self.expect(K::Inherit)?;
                AlterTableKind::NoInherit(self.qualified_name()?)
            }
            Tok::Keyword(K::Inherit) => {
                self.bump();
                AlterTableKind::Inherit(self.qualified_name()?)
            }
            Tok::Keyword(K::Cluster) => {
                self.bump();
                self.expect(K::On)?;
                AlterTableKind::ClusterOn(self.col_id()?)
            }
            Tok::Keyword(K::Set) => {
                self.bump();
                self.alter_set()?
            }
            Tok::Keyword(K::Reset) => {
                self.bump();
                AlterTableKind::SetOptions { options: self.definition()?, reset: true }
            }
            Tok::Keyword(K::Owner) => {
                self.bump();
                self.expect(K::To)?;
                AlterTableKind::Owner(self.role_spec()?)
            }
            Tok::Keyword(K::Attach) => {
                self.bump();
                self.expect(K::Partition)?;
                let partition = self.qualified_name()?;
                if object_type == ObjectType::Index {
                    AlterTableKind::AttachIndex(partition)
                } else {
                    AlterTableKind::AttachPartition { partition, bound: self.partition_bound()? }
                }
            }
            Tok::Keyword(K::Detach) => {
                self.bump();
                self.expect(K::Partition)?;
                let partition = self.qualified_name()?;
                let concurrently = self.eat(K::Concurrently);
                let finalize = !concurrently && self.eat(K::Finalize);
                AlterTableKind::DetachPartition { partition, concurrently, finalize }
            }
            Tok::Keyword(K::Replica) => {
                self.bump();
                self.expect(K::Identity)?;
                AlterTableKind::ReplicaIdentity(match self.peek() {
                    Tok::Keyword(K::Nothing) => {
                        self.bump();
                        ReplicaIdentity::Nothing
                    }
                    Tok::Keyword(K::Full) => {
                        self.bump();
                        ReplicaIdentity::Full
                    }
                    Tok::Keyword(K::Default) => {
                        self.bump();
                        ReplicaIdentity::Default
                    }
                    _ => {
                        self.expect_all(&[K::Using, K::Index])?;
                        ReplicaIdentity::UsingIndex(self.col_id()?)
                    }
                })
            }
            _ => return self.fail(),
        };
        Ok(AlterTableCmd { kind, span })
    }

    fn alter_add(&mut self) -> Result<AlterTableKind> {
        if self.begins_table_constraint() {
            return Ok(AlterTableKind::AddConstraint(Box::new(self.table_constraint()?)));
        }
        self.eat(K::Column);
        let if_not_exists = self.if_not_exists()?;
        Ok(AlterTableKind::AddColumn { column: Box::new(self.column_def()?), if_not_exists })
    }

    fn alter_constraint(&mut self) -> Result<AlterTableKind> {
        let name = self.col_id()?;
        let (mut deferrable, mut initially_deferred) = (None, None);
        loop {
            if self.eat_all(&[K::Not, K::Deferrable]) {
                deferrable = Some(false);
            } else if self.eat(K::Deferrable) {
                deferrable = Some(true);
            } else if self.eat(K::Initially) {
                initially_deferred = Some(self.deferred_or_immediate()?);
            } else {
                return Ok(AlterTableKind::AlterConstraint { name, deferrable, initially_deferred });
            }
        }
    }

    fn alter_column(&mut self) -> Result<AlterTableKind> {
        use AlterTableKind as A;
        if self.peek() == Tok::Integer {
            // ALTER INDEX … ALTER COLUMN 2 SET STATISTICS n names the column by number.
            let column = self.iconst()?.to_string();
            self.expect_all(&[K::Set, K::Statistics])?;
            return Ok(A::SetStatistics { column, target: self.signed_iconst()? });
        }
        let name = self.col_id()?;
        match self.peek() {
            Tok::Keyword(K::Type) => {
                self.bump();
                self.alter_column_type(name)
            }
            Tok::Keyword(K::Drop) => {
                self.bump();
                match self.bump().tok {
                    Tok::Keyword(K::Default) => Ok(A::ColumnDefault { name, default: None }),
                    Tok::Keyword(K::Not) => {
                        self.expect(K::Null)?;
                        Ok(A::DropNotNull(name))
                    }
                    Tok::Keyword(K::Expression) => {
                        Ok(A::DropExpression { name, missing_ok: self.if_exists()? })
                    }
                    Tok::Keyword(K::Identity) => Ok(A::DropIdentity { name, missing_ok: self.if_exists()? }),
                    _ => {
                        self.at = self.at.saturating_sub(1);
                        self.fail()
                    }
                }
            }
            Tok::Keyword(K::Add) => {
                self.bump();
                self.expect(K::Generated)?;
                let always = self.generated_when()?;
                self.expect_all(&[K::As, K::Identity])?;
                let options = self.opt_sequence_options_in_parens()?;
                Ok(A::AddIdentity { name, always, options })
            }
            Tok::Keyword(K::Reset) => {
                self.bump();
                Ok(A::SetColumnOptions { column: name, options: self.definition()?, reset: true })
            }
            _ => self.alter_column_set(name),
        }
    }

    fn alter_column_type(&mut self, name: String) -> Result<AlterTableKind> {
        let type_name = self.type_name()?;
        let collation = self.opt_collate()?;
        let using = if self.eat(K::Using) { Some(self.expr()?) } else { None };
        Ok(AlterTableKind::AlterColumnType { name, type_name, collation, using })
    }

    fn alter_column_set(&mut self, name: String) -> Result<AlterTableKind> {
        use AlterTableKind as A;
        if self.is(K::Set) {
            match self.peek_at(1) {
                Tok::Keyword(K::Default) => {
                    self.at += 2;
                    return Ok(A::ColumnDefault { name, default: Some(self.expr()?) });
                }
                Tok::Keyword(K::Not) => {
                    self.at += 2;
                    self.expect(K::Null)?;
                    return Ok(A::SetNotNull(name));
                }
                Tok::Keyword(K::Data) => {
                    self.at += 2;
                    self.expect(K::Type)?;
                    return self.alter_column_type(name);
                }
                Tok::Keyword(K::Statistics) => {
                    self.at += 2;
                    return Ok(A::SetStatistics { column: name, target: self.signed_iconst()? });
                }
                Tok::Keyword(K::Storage) => {
                    self.at += 2;
                    return Ok(A::SetStorage { column: name, storage: self.col_id()? });
                }
                Tok::Keyword(K::Compression) => {
                    self.at += 2;
                    let method = if self.eat(K::Default) { "default".into() } else { self.col_id()? };
                    return Ok(A::SetCompression { column: name, method });
                }
                Tok::Keyword(K::Expression) => {
                    self.at += 2;
                    self.expect(K::As)?;
                    return Ok(A::SetExpression { name, expr: self.expr_in_parens()? });
                }
                Tok::Char(b'(') => {
                    self.bump();
                    return Ok(A::SetColumnOptions {
                        column: name,
                        options: self.definition()?,
                        reset: false,
                    });
                }
                _ => {}
            }
        }
        // Identity: SET GENERATED …, SET sequence option, RESTART, several of them.
        let mut always = None;
        let mut options = Vec::new();
        loop {
            if self.is(K::Restart) {
                options.extend(self.sequence_option()?);
            } else if self.eat(K::Set) {
                if self.eat(K::Generated) {
                    always = Some(self.generated_when()?);
                } else {
                    match self.sequence_option()? {
                        Some(option) => options.push(option),
                        None => return self.fail(),
                    }
                }
            } else if always.is_none() && options.is_empty() {
                return self.fail();
            } else {
                return Ok(A::SetIdentity { name, always, options });
            }
        }
    }

    fn alter_enable(&mut self) -> Result<AlterTableKind> {
        let enable = self.bump().tok == Tok::Keyword(K::Enable);
        let mut mode = if enable { TriggerMode::Enable } else { TriggerMode::Disable };
        if self.is(K::Row) {
            self.row_level_security()?;
            return Ok(AlterTableKind::RowSecurity { enable: Some(enable), force: None });
        }
        if enable && self.eat(K::Always) {
            mode = TriggerMode::EnableAlways;
        } else if enable && self.eat(K::Replica) {
            mode = TriggerMode::EnableReplica;
        }
        if self.eat(K::Rule) {
            return Ok(AlterTableKind::Rule { mode, name: self.col_id()? });
        }
        self.expect(K::Trigger)?;
        if self.eat(K::All) {
            return Ok(AlterTableKind::Trigger { mode, name: None, user: false });
        }
        if self.eat(K::User) {
            return Ok(AlterTableKind::Trigger { mode, name: None, user: true });
        }
        Ok(AlterTableKind::Trigger { mode, name: Some(self.col_id()?), user: false })
    }

    fn row_level_security(&mut self) -> Result<()> {
        self.expect_all(&[K::Row, K::Level, K::Security])
    }

    /// After SET.
    fn alter_set(&mut self) -> Result<AlterTableKind> {
        use AlterTableKind as A;
        match self.peek() {
            Tok::Keyword(K::Without) => {
                self.bump();
                if self.eat(K::Oids) {
                    // Always true: tables have no OIDs.
                    return Ok(A::SetOptions { options: Vec::new(), reset: false });
                }
                self.expect(K::Cluster)?;
                Ok(A::SetWithoutCluster)
            }
            Tok::Keyword(K::Logged) => {
                self.bump();
                Ok(A::SetLogged(true))
            }
            Tok::Keyword(K::Unlogged) => {
                self.bump();
                Ok(A::SetLogged(false))
            }
            Tok::Keyword(K::Access) => {
                self.bump();
                self.expect(K::Method)?;
                Ok(A::SetAccessMethod(self.col_id()?))
            }
            Tok::Keyword(K::Tablespace) => {
                self.bump();
                Ok(A::SetTablespace(self.col_id()?))
            }
            _ => Ok(A::SetOptions { options: self.definition()?, reset: false }),
        }
    }

    // ---- types, domains -----------------------------------------------------------------------

    fn alter_type(&mut self, span: Span) -> Result<Node> {
        let name = self.qualified_any_name()?;
        if self.is(K::Add) && self.is_at(1, K::Value) {
            self.at += 2;
            let if_not_exists = self.if_not_exists()?;
            let value = self.string()?;
            let mut place = None;
            if self.is_any(&[K::Before, K::After]) {
                let before = self.bump().tok == Tok::Keyword(K::Before);
                place = Some((before, self.string()?));
            }
            let action = AlterEnumAction::AddValue { value, if_not_exists, place };
            return Ok(Node::AlterEnum(Box::new(AlterEnumStmt { name, action, span })));
        }
        if self.eat_all(&[K::Rename, K::Value]) {
            let from = self.string()?;
            self.expect(K::To)?;
            let action = AlterEnumAction::RenameValue { from, to: self.string()? };
            return Ok(Node::AlterEnum(Box::new(AlterEnumStmt { name, action, span })));
        }
        if self.eat_all(&[K::Rename, K::Attribute]) {
            let sub_name = Some(self.col_id()?);
            self.expect(K::To)?;
            let new_name = self.col_id()?;
            let behavior = self.drop_behavior();
            return Ok(Node::Rename(Box::new(RenameStmt {
                object_type: ObjectType::TypeAttribute,
                relation_type: ObjectType::Type,
                object: ObjectRef::Name(name),
                only: false,
                sub_name,
                new_name,
                missing_ok: false,
                behavior,
                span,
            })));
        }
        let object = ObjectRef::Type(TypeName {
            names: name.parts.clone(),
            typmods: Vec::new(),
            array_bounds: Vec::new(),
            setof: false,
            pct_type: false,
            span: name.span,
        });
        if let Some(node) = self.alter_any(ObjectType::Type, &object, span)? {
            return Ok(node);
        }
        if self.is(K::Set) && self.peek_at(1) == Tok::Char(b'(') {
            return self.unsupported("ALTER TYPE SET");
        }
        let mut parts = name.parts;
        let relation_name = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        let catalog = parts.pop();
        let relation =
            RangeVar { catalog, schema, name: relation_name, only: false, alias: None, span: name.span };
        let commands = self.list(Self::alter_attribute)?;
        Ok(Node::AlterTable(Box::new(AlterTableStmt {
            object_type: ObjectType::Type,
            relation,
            missing_ok: false,
            commands,
            span,
        })))
    }

    fn alter_attribute(&mut self) -> Result<AlterTableCmd> {
        let span = self.span();
        let kind = match self.peek() {
            Tok::Keyword(K::Add) => {
                self.bump();
                self.expect(K::Attribute)?;
                let attribute = self.column_definition()?;
                AlterTableKind::AddAttribute { attribute, behavior: self.drop_behavior() }
            }
            Tok::Keyword(K::Drop) => {
                self.bump();
                self.expect(K::Attribute)?;
                let missing_ok = self.if_exists()?;
                let name = self.col_id()?;
                AlterTableKind::DropAttribute { name, missing_ok, behavior: self.drop_behavior() }
            }
            Tok::Keyword(K::Alter) => {
                self.bump();
                self.expect(K::Attribute)?;
                let name = self.col_id()?;
                if self.eat(K::Set) {
                    self.expect(K::Data)?;
                }
                self.expect(K::Type)?;
                let type_name = self.type_name()?;
                let collation = self.opt_collate()?;
                AlterTableKind::AlterAttributeType {
                    name,
                    type_name,
                    collation,
                    behavior: self.drop_behavior(),
                }
            }
            _ => return self.fail(),
        };
        Ok(AlterTableCmd { kind, span })
    }

    fn alter_domain(&mut self, span: Span) -> Result<Node> {
        let name = self.qualified_any_name()?;
        let object = ObjectRef::Name(name.clone());
        if self.eat_all(&[K::Rename, K::Constraint]) {
            return self.rename_domain_constraint(object, span);
        }
        if let Some(node) = self.alter_any(ObjectType::Domain, &object, span)? {
            return Ok(node);
        }
        let action = match self.peek() {
            Tok::Keyword(K::Set) => {
                self.bump();
                if self.eat(K::Default) {
                    AlterDomainAction::SetDefault(Some(self.expr()?))
                } else {
                    self.expect_all(&[K::Not, K::Null])?;
                    AlterDomainAction::SetNotNull
                }
            }
            Tok::Keyword(K::Drop) => {
                self.bump();
                if self.eat(K::Default) {
                    AlterDomainAction::SetDefault(None)
                } else if self.eat(K::Not) {
                    self.expect(K::Null)?;
                    AlterDomainAction::DropNotNull
                } else {
                    self.expect(K::Constraint)?;
                    let missing_ok = self.if_exists()?;
                    let name = self.col_id()?;
                    AlterDomainAction::DropConstraint { name, missing_ok, behavior: self.drop_behavior() }
                }
            }
            Tok::Keyword(K::Add) => {
                self.bump();
                AlterDomainAction::AddConstraint(self.table_constraint()?)
            }
            Tok::Keyword(K::Validate) => {
                self.bump();
                self.expect(K::Constraint)?;
                AlterDomainAction::ValidateConstraint(self.col_id()?)
            }
            _ => return self.fail(),
        };
        Ok(Node::AlterDomain(Box::new(AlterDomainStmt { name, action, span })))
    }

    fn rename_domain_constraint(&mut self, object: ObjectRef, span: Span) -> Result<Node> {
        let sub_name = Some(self.col_id()?);
        self.expect(K::To)?;
        let new_name = self.col_id()?;
        Ok(Node::Rename(Box::new(RenameStmt {
            object_type: ObjectType::DomainConstraint,
            relation_type: ObjectType::Domain,
            object,
            only: false,
            sub_name,
            new_name,
            missing_ok: false,
            behavior: DropBehavior::Restrict,
            span,
        })))
    }

    // ---- databases, functions, default privileges ---------------------------------------------

    fn alter_database(&mut self, span: Span) -> Result<Node> {
        let at = self.span();
        let name = self.col_id()?;
        let object = ObjectRef::Name(QualifiedName { parts: vec![name.clone()], span: at });
        if self.is(K::Set) && self.is_at(1, K::Tablespace) {
            self.at += 2;
            let value = Some(DefValue::Word(self.col_id()?));
            let options = vec![DefElem { namespace: None, name: "tablespace".into(), value, span: at }];
            return Ok(Node::AlterDatabase(Box::new(AlterDatabaseStmt { name, options, span })));
        }
        if self.is(K::Rename) || self.is(K::Owner) && self.is_at(1, K::To) {
            if let Some(node) = self.alter_any(ObjectType::Database, &object, span)? {
                return Ok(node);
            }
            return self.fail();
        }
        if self.is(K::Refresh) {
            return self.unsupported("ALTER DATABASE REFRESH COLLATION VERSION");
        }
        if self.is_any(&[K::Set, K::Reset]) {
            let set = self.set_or_reset()?;
            let alter = AlterSettingStmt { role: None, database: Some(name), set, span };
            return Ok(Node::AlterSetting(Box::new(alter)));
        }
        self.eat(K::With);
        let options = self.database_options()?;
        Ok(Node::AlterDatabase(Box::new(AlterDatabaseStmt { name, options, span })))
    }

    fn alter_function(&mut self, object_type: ObjectType, span: Span) -> Result<Node> {
        let function = self.function_ref(false)?;
        let object = ObjectRef::Function(function.clone());
        if self.is_word("depends") || self.is(K::No) {
            return self.unsupported(&format!("ALTER {} DEPENDS ON EXTENSION", object_type.keyword()));
        }
        if let Some(node) = self.alter_any(object_type, &object, span)? {
            return Ok(node);
        }
        let mut options = Vec::new();
        while let Some(option) = self.function_option(false)? {
            options.push(option);
        }
        if options.is_empty() {
            return self.fail();
        }
        self.eat(K::Restrict);
        Ok(Node::AlterFunction(Box::new(AlterFunctionStmt { object_type, function, options, span })))
    }

    fn alter_default_privileges(&mut self, span: Span) -> Result<Node> {
        self.expect_all(&[K::Default, K::Privileges])?;
        let (mut roles, mut schemas) = (Vec::new(), Vec::new());
        loop {
            if self.eat_all(&[K::In, K::Schema]) {
                schemas = self.list(Self::col_id)?;
            } else if self.eat(K::For) {
                if !self.eat(K::Role) {
                    self.expect(K::User)?;
                }
                roles = self.list(Self::role_spec)?;
            } else {
                break;
            }
        }
        let at = self.span();
        let is_grant = self.eat(K::Grant);
        if !is_grant {
            self.expect(K::Revoke)?;
        }
        let option_for = !is_grant && self.eat_all(&[K::Grant, K::Option, K::For]);
        let privileges = self.privileges()?;
        self.expect(K::On)?;
        let object_type = match self.peek() {
            Tok::Keyword(K::Tables) => ObjectType::Table,
            Tok::Keyword(K::Functions | K::Routines) => ObjectType::Function,
            Tok::Keyword(K::Sequences) => ObjectType::Sequence,
            Tok::Keyword(K::Types) => ObjectType::Type,
            Tok::Keyword(K::Schemas) => ObjectType::Schema,
            _ => return self.fail(),
        };
        self.bump();
        let grant =
            self.grant_tail(is_grant, privileges, object_type, GrantObjects::Defaults, option_for, at)?;
        Ok(Node::AlterDefaultPrivileges(Box::new(AlterDefaultPrivilegesStmt { roles, schemas, grant, span })))
    }
}
