//! What may be said of any object: DROP, COMMENT, GRANT and REVOKE, ownership.
//!
//! Called by `statement.rs`; the naming of objects also by `alter.rs`.

use types::{Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    /// The words that name a kind of object, as DROP and COMMENT ON spell them.
    pub(super) fn object_type(&mut self) -> Result<ObjectType> {
        use ObjectType as O;
        let Tok::Keyword(keyword) = self.peek() else { return self.fail() };
        let two = |p: &Self, second| p.is_at(1, second);
        let (object, words) = match keyword {
            K::Access if two(self, K::Method) => (O::AccessMethod, 2),
            K::Aggregate => (O::Aggregate, 1),
            K::Cast => (O::Cast, 1),
            K::Collation => (O::Collation, 1),
            K::Column => (O::Column, 1),
            K::Constraint => (O::Constraint, 1),
            K::Conversion => (O::Conversion, 1),
            K::Database => (O::Database, 1),
            K::Domain => (O::Domain, 1),
            K::Event if two(self, K::Trigger) => (O::EventTrigger, 2),
            K::Extension => (O::Extension, 1),
            K::Foreign if two(self, K::Data) && self.is_at(2, K::Wrapper) => (O::ForeignDataWrapper, 3),
            K::Foreign if two(self, K::Table) => (O::ForeignTable, 2),
            K::Function => (O::Function, 1),
            K::Index => (O::Index, 1),
            K::Language => (O::Language, 1),
            K::Procedural if two(self, K::Language) => (O::Language, 2),
            K::Large if two(self, K::Object) => (O::LargeObject, 2),
            K::Materialized if two(self, K::View) => (O::MaterializedView, 2),
            K::Operator if two(self, K::Class) => (O::OperatorClass, 2),
            K::Operator if two(self, K::Family) => (O::OperatorFamily, 2),
            K::Operator => (O::Operator, 1),
            K::Policy => (O::Policy, 1),
            K::Procedure => (O::Procedure, 1),
            K::Publication => (O::Publication, 1),
            K::User if two(self, K::Mapping) => (O::UserMapping, 2),
            K::Role | K::User | K::Group => (O::Role, 1),
            K::Routine => (O::Routine, 1),
            K::Rule => (O::Rule, 1),
            K::Schema => (O::Schema, 1),
            K::Sequence => (O::Sequence, 1),
            K::Server => (O::ForeignServer, 1),
            K::Statistics => (O::Statistics, 1),
            K::Subscription => (O::Subscription, 1),
            K::Table => (O::Table, 1),
            K::Tablespace => (O::Tablespace, 1),
            K::Text if two(self, K::Search) => match self.peek_at(2) {
                Tok::Keyword(K::Configuration) => (O::TextSearchConfiguration, 3),
                Tok::Keyword(K::Dictionary) => (O::TextSearchDictionary, 3),
                Tok::Keyword(K::Parser) => (O::TextSearchParser, 3),
                Tok::Keyword(K::Template) => (O::TextSearchTemplate, 3),
                _ => return Err(self.unexpected_at(2)),
            },
            K::Transform => (O::Transform, 1),
            K::Trigger => (O::Trigger, 1),
            K::Type => (O::Type, 1),
            K::View => (O::View, 1),
            _ => return self.fail(),
        };
        self.at += words;
        Ok(object)
    }

    /// An object of that kind, by name.
    pub(super) fn object_ref(&mut self, object: ObjectType) -> Result<ObjectRef> {
        use ObjectType as O;
        Ok(match object {
            O::Type | O::Domain => ObjectRef::Type(self.type_name()?),
            O::Function | O::Procedure | O::Routine | O::Aggregate => {
                ObjectRef::Function(self.function_ref(object == O::Aggregate)?)
            }
            O::Trigger | O::Policy | O::Rule => {
                let name = self.col_id()?;
                self.expect(K::On)?;
                ObjectRef::On { name, table: self.qualified_any_name()? }
            }
            O::Schema
            | O::Database
            | O::Role
            | O::Extension
            | O::AccessMethod
            | O::EventTrigger
            | O::ForeignDataWrapper
            | O::ForeignServer
            | O::Language
            | O::Publication
            | O::Subscription
            | O::Tablespace => ObjectRef::Name(self.single_name()?),
            _ => ObjectRef::Name(self.qualified_any_name()?),
        })
    }

    /// `f(int, text)`, `f`, `agg(*)`.
    pub(super) fn function_ref(&mut self, aggregate: bool) -> Result<FunctionRef> {
        let name = self.func_name()?;
        if !self.is_char(b'(') {
            return Ok(FunctionRef { name, args: None, star: false });
        }
        self.bump();
        if aggregate && self.is_char(b'*') {
            self.bump();
            self.expect_char(b')')?;
            return Ok(FunctionRef { name, args: Some(Vec::new()), star: true });
        }
        let mut args = Vec::new();
        let mut parameters = |p: &mut Self| {
            let list = p.list(Self::function_parameter)?;
            args.extend(
                list.into_iter().filter(|one| one.mode != ParameterMode::Out).map(|one| one.type_name),
            );
            Ok(())
        };
        let ordered_only = aggregate && self.is(K::Order);
        if !self.is_char(b')') && !ordered_only {
            parameters(self)?;
        }
        if aggregate && self.eat(K::Order) {
            // An ordered-set aggregate's direct and ordered arguments make one list.
            self.expect(K::By)?;
            parameters(self)?;
        }
        self.expect_char(b')')?;
        Ok(FunctionRef { name, args: Some(args), star: false })
    }

    pub(super) fn drop(&mut self) -> Result<Node> {
        use ObjectType as O;
        let span = self.span();
        match self.peek_at(1) {
            Tok::Keyword(K::Owned) => return self.drop_owned(),
            Tok::Keyword(K::User) if self.is_at(2, K::Mapping) => {
                return self.unsupported("DROP USER MAPPING");
            }
            Tok::Keyword(K::Role | K::User | K::Group) => return self.drop_role(),
            Tok::Keyword(K::Cast) => return self.unsupported("DROP CAST"),
            Tok::Keyword(K::Operator) => {
                return self.unsupported(match self.peek_at(2) {
                    Tok::Keyword(K::Class) => "DROP OPERATOR CLASS",
                    Tok::Keyword(K::Family) => "DROP OPERATOR FAMILY",
                    _ => "DROP OPERATOR",
                });
            }
            Tok::Keyword(K::Transform) => return self.unsupported("DROP TRANSFORM"),
            _ => {}
        }
        self.bump();
        let object_type = match self.peek() {
            Tok::Keyword(K::Column | K::Constraint | K::Large) => return self.fail(),
            _ => self.object_type()?,
        };
        if object_type == O::Database {
            return self.drop_database(span);
        }
        let concurrently = object_type == O::Index && self.eat(K::Concurrently);
        let missing_ok = self.if_exists()?;
        let one = matches!(object_type, O::Trigger | O::Policy | O::Rule | O::Subscription | O::Tablespace);
        let objects =
            if one { vec![self.object_ref(object_type)?] } else { self.list(|p| p.object_ref(object_type))? };
        let behavior =
            if object_type == O::Tablespace { DropBehavior::Restrict } else { self.drop_behavior() };
        Ok(Node::Drop(Box::new(DropStmt { object_type, objects, missing_ok, behavior, concurrently, span })))
    }

    fn drop_database(&mut self, span: Span) -> Result<Node> {
        let missing_ok = self.if_exists()?;
        let name = self.col_id()?;
        let mut force = false;
        if self.is(K::With) || self.is_char(b'(') {
            self.eat(K::With);
            self.parens(|p| p.expect(K::Force))?;
            force = true;
        }
        Ok(Node::DropDatabase(Box::new(DropDatabaseStmt { name, missing_ok, force, span })))
    }

    pub(super) fn comment(&mut self) -> Result<Node> {
        use ObjectType as O;
        let span = self.bump().span();
        self.expect(K::On)?;
        let mut object_type = self.object_type()?;
        let object = match object_type {
            O::Constraint => {
                let name = self.col_id()?;
                self.expect(K::On)?;
                if self.is(K::Domain) && Self::tok_is_col_id(self.peek_at(1)) {
                    self.bump();
                    object_type = O::DomainConstraint;
                }
                ObjectRef::On { name, table: self.qualified_any_name()? }
            }
            O::Cast => {
                self.expect_char(b'(')?;
                let source = self.type_name()?;
                self.expect(K::As)?;
                let target = self.type_name()?;
                self.expect_char(b')')?;
                ObjectRef::Cast { source, target }
            }
            O::LargeObject => {
                let at = self.span();
                let number = self.numeric_i64()?;
                ObjectRef::Number(u64::try_from(number).unwrap_or(0), at)
            }
            O::Operator | O::OperatorClass | O::OperatorFamily | O::Transform | O::UserMapping => {
                return self.unsupported(&format!("COMMENT ON {}", object_type.keyword()));
            }
            _ => self.object_ref(object_type)?,
        };
        self.expect(K::Is)?;
        let comment = if self.eat(K::Null) { None } else { Some(self.string()?) };
        Ok(Node::Comment(Box::new(CommentStmt { object_type, object, comment, span })))
    }

    // ---- GRANT, REVOKE ------------------------------------------------------------------------

    pub(super) fn grant_statement(&mut self) -> Result<Node> {
        let token = self.bump();
        let span = token.span();
        let is_grant = token.tok == Tok::Keyword(K::Grant);
        let option = |p: &mut Self, word| p.eat_all(&[word, K::Option, K::For]);
        if !is_grant && option(self, K::Admin) {
            let roles = self.list(Self::granted_role)?;
            return self.grant_roles(false, roles, true, span);
        }
        let option_for = !is_grant && option(self, K::Grant);
        let privileges = self.privileges()?;
        if !self.is(K::On) && !option_for {
            // Roles look like privileges without columns.
            if privileges.is_empty() || privileges.iter().any(|privilege| !privilege.columns.is_empty()) {
                return self.fail();
            }
            let roles = privileges.into_iter().map(|privilege| (privilege.name, privilege.span)).collect();
            return self.grant_roles(is_grant, roles, false, span);
        }
        self.expect(K::On)?;
        let (object_type, objects) = self.grant_objects()?;
        let grant = self.grant_tail(is_grant, privileges, object_type, objects, option_for, span)?;
        Ok(Node::Grant(Box::new(grant)))
    }

    /// Who, and with what options.
    pub(super) fn grant_tail(
        &mut self,
        is_grant: bool,
        privileges: Vec<Privilege>,
        object_type: ObjectType,
        objects: GrantObjects,
        option_for: bool,
        span: Span,
    ) -> Result<GrantStmt> {
        self.expect(if is_grant { K::To } else { K::From })?;
        let grantees = self.list(Self::grantee)?;
        let with_option = is_grant && self.eat_all(&[K::With, K::Grant, K::Option]);
        let defaults = objects == GrantObjects::Defaults;
        let granted_by = if defaults { None } else { self.opt_granted_by()? };
        let behavior = if is_grant { DropBehavior::Restrict } else { self.drop_behavior() };
        Ok(GrantStmt {
            is_grant,
            privileges,
            object_type,
            objects,
            grantees,
            grant_option: with_option || option_for,
            granted_by,
            behavior,
            span,
        })
    }

    fn granted_role(&mut self) -> Result<(String, Span)> {
        let span = self.span();
        Ok((self.col_id()?, span))
    }

    fn grant_roles(
        &mut self,
        is_grant: bool,
        roles: Vec<(String, Span)>,
        admin_for: bool,
        span: Span,
    ) -> Result<Node> {
        self.expect(if is_grant { K::To } else { K::From })?;
        let grantees = self.list(Self::role_spec)?;
        let with_admin = is_grant && self.eat_all(&[K::With, K::Admin, K::Option]);
        let granted_by = self.opt_granted_by()?;
        let behavior = if is_grant { DropBehavior::Restrict } else { self.drop_behavior() };
        let admin_option = with_admin || admin_for;
        let grant = GrantRoleStmt { is_grant, roles, grantees, admin_option, granted_by, behavior, span };
        Ok(Node::GrantRole(Box::new(grant)))
    }

    fn opt_granted_by(&mut self) -> Result<Option<RoleSpec>> {
        if self.eat_all(&[K::Granted, K::By]) { Ok(Some(self.role_spec()?)) } else { Ok(None) }
    }

    fn grantee(&mut self) -> Result<RoleSpec> {
        self.eat(K::Group);
        self.role_spec()
    }

    /// ALL [PRIVILEGES] [(columns)], or a list; empty for ALL.
    pub(super) fn privileges(&mut self) -> Result<Vec<Privilege>> {
        let span = self.span();
        if self.eat(K::All) {
            self.eat(K::Privileges);
            if !self.is_char(b'(') {
                return Ok(Vec::new());
            }
            let columns = self.column_list()?;
            return Ok(vec![Privilege { name: String::new(), columns, span }]);
        }
        self.list(|p| {
            let span = p.span();
            let name = if p.is_any(&[K::Select, K::References, K::Create]) {
                p.col_label()?
            } else if p.eat_all(&[K::Alter, K::System]) {
                "alter system".into()
            } else {
                p.col_id()?
            };
            Ok(Privilege { name, columns: p.opt_column_list()?, span })
        })
    }

    fn grant_objects(&mut self) -> Result<(ObjectType, GrantObjects)> {
        use ObjectType as O;
        if self.eat(K::All) {
            let object = match self.peek() {
                Tok::Keyword(K::Tables) => O::Table,
                Tok::Keyword(K::Sequences) => O::Sequence,
                Tok::Keyword(K::Functions) => O::Function,
                Tok::Keyword(K::Procedures) => O::Procedure,
                Tok::Keyword(K::Routines) => O::Routine,
                _ => return self.fail(),
            };
            self.bump();
            self.expect(K::In)?;
            self.expect(K::Schema)?;
            return Ok((object, GrantObjects::AllInSchema(self.list(Self::col_id)?)));
        }
        // A word of this kind before a name says what is meant; alone it is a table's name.
        let named = !matches!(self.peek_at(1), Tok::Keyword(K::To | K::From) | Tok::Char(b',' | b'.'));
        let object = match self.peek() {
            Tok::Keyword(K::Table) => O::Table,
            Tok::Keyword(K::Sequence) if named => O::Sequence,
            Tok::Keyword(K::Foreign) if self.is_at(1, K::Data) => {
                self.at += 2;
                O::ForeignDataWrapper
            }
            Tok::Keyword(K::Foreign) if self.is_at(1, K::Server) => {
                self.at += 1;
                O::ForeignServer
            }
            Tok::Keyword(K::Function) if named => O::Function,
            Tok::Keyword(K::Procedure) if named => O::Procedure,
            Tok::Keyword(K::Routine) if named => O::Routine,
            Tok::Keyword(K::Database) if named => O::Database,
            Tok::Keyword(K::Domain) if named => O::Domain,
            Tok::Keyword(K::Language) if named => O::Language,
            Tok::Keyword(K::Large) if self.is_at(1, K::Object) => {
                self.at += 2;
                let objects = self.list(|p| {
                    let at = p.span();
                    let number = p.numeric_i64()?;
                    Ok(ObjectRef::Number(u64::try_from(number).unwrap_or(0), at))
                })?;
                return Ok((O::LargeObject, GrantObjects::Named(objects)));
            }
            Tok::Keyword(K::Parameter) if named => O::Parameter,
            Tok::Keyword(K::Schema) if named => O::Schema,
            Tok::Keyword(K::Tablespace) if named => O::Tablespace,
            Tok::Keyword(K::Type) if named => O::Type,
            _ => {
                let objects = self.list(|p| p.object_ref(O::Table))?;
                return Ok((O::Table, GrantObjects::Named(objects)));
            }
        };
        self.bump();
        let objects = self.list(|p| {
            // A type's or domain's name here is a plain name.
            match object {
                O::Type | O::Domain | O::Parameter => Ok(ObjectRef::Name(p.qualified_any_name()?)),
                _ => p.object_ref(object),
            }
        })?;
        Ok((object, GrantObjects::Named(objects)))
    }

    // ---- owned --------------------------------------------------------------------------------

    fn drop_owned(&mut self) -> Result<Node> {
        let span = self.bump().span();
        self.bump();
        self.expect(K::By)?;
        let roles = self.list(Self::role_spec)?;
        let behavior = self.drop_behavior();
        Ok(Node::Owned(Box::new(OwnedStmt { roles, new_owner: None, behavior, span })))
    }

    pub(super) fn reassign_owned(&mut self) -> Result<Node> {
        let span = self.bump().span();
        self.expect(K::Owned)?;
        self.expect(K::By)?;
        let roles = self.list(Self::role_spec)?;
        self.expect(K::To)?;
        let new_owner = Some(self.role_spec()?);
        Ok(Node::Owned(Box::new(OwnedStmt { roles, new_owner, behavior: DropBehavior::Restrict, span })))
    }
}
