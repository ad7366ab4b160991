//! Roles: CREATE, ALTER and DROP ROLE, USER, GROUP.
//!
//! Called by `create.rs`, `alter.rs` and `object.rs`. The options without a keyword of their own (SUPERUSER, NOLOGIN …)
//! are words, as in gram.y.

use types::{Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    pub(super) fn create_role(&mut self, span: Span) -> Result<Node> {
        let kind = match self.bump().tok {
            Tok::Keyword(K::User) => RoleStmtKind::User,
            Tok::Keyword(K::Group) => RoleStmtKind::Group,
            _ => RoleStmtKind::Role,
        };
        let name = self.role_spec()?;
        self.eat(K::With);
        let options = self.role_options(true)?;
        Ok(Node::CreateRole(Box::new(CreateRoleStmt { kind, name, options, span })))
    }

    fn role_options(&mut self, create: bool) -> Result<Vec<RoleOption>> {
        let mut options = Vec::new();
        while let Some(option) = self.role_option(create)? {
            options.push(option);
        }
        Ok(options)
    }

    fn role_option(&mut self, create: bool) -> Result<Option<RoleOption>> {
        use RoleOptionKind as R;
        let span = self.span();
        let kind = match self.peek() {
            Tok::Keyword(K::Password) => {
                self.bump();
                R::Password(if self.eat(K::Null) { None } else { Some(self.string()?) })
            }
            Tok::Keyword(K::Encrypted) => {
                self.bump();
                self.expect(K::Password)?;
                R::Password(Some(self.string()?))
            }
            Tok::Keyword(K::Inherit) => {
                self.bump();
                R::Inherit(true)
            }
            Tok::Keyword(K::Connection) => {
                self.bump();
                self.expect(K::Limit)?;
                R::ConnectionLimit(self.signed_iconst()?)
            }
            Tok::Keyword(K::Valid) => {
                self.bump();
                self.expect(K::Until)?;
                R::ValidUntil(self.string()?)
            }
            Tok::Keyword(K::User) => {
                self.bump();
                R::Members(self.list(Self::role_spec)?)
            }
            Tok::Keyword(K::Role) if create => {
                self.bump();
                R::Members(self.list(Self::role_spec)?)
            }
            Tok::Keyword(K::Admin) if create => {
                self.bump();
                R::AdminMembers(self.list(Self::role_spec)?)
            }
            Tok::Keyword(K::In) if create => {
                self.bump();
                if !self.eat(K::Role) {
                    self.expect(K::Group)?;
                }
                R::InRole(self.list(Self::role_spec)?)
            }
            Tok::Keyword(K::Sysid) if create => {
                self.bump();
                R::SysId(i64::from(self.iconst()?))
            }
            Tok::Word => {
                let word = self.col_id()?;
                match word.as_str() {
                    "superuser" => R::SuperUser(true),
                    "nosuperuser" => R::SuperUser(false),
                    "createdb" => R::CreateDb(true),
                    "nocreatedb" => R::CreateDb(false),
                    "createrole" => R::CreateRole(true),
                    "nocreaterole" => R::CreateRole(false),
                    "login" => R::Login(true),
                    "nologin" => R::Login(false),
                    "replication" => R::Replication(true),
                    "noreplication" => R::Replication(false),
                    "bypassrls" => R::BypassRls(true),
                    "nobypassrls" => R::BypassRls(false),
                    "noinherit" => R::Inherit(false),
                    _ => return self.refuse(&format!("unrecognized role option \"{word}\""), span),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(RoleOption { kind, span }))
    }

    /// ALTER ROLE, USER, GROUP.
    pub(super) fn alter_role(&mut self, span: Span) -> Result<Node> {
        let group = self.bump().tok == Tok::Keyword(K::Group);
        let at = self.span();
        if !group && self.eat(K::All) {
            return self.alter_role_setting(None, span);
        }
        let name = self.role_spec()?;
        if self.eat_all(&[K::Rename, K::To]) {
            let RoleSpecKind::Name(old) = name.kind else {
                return self.refuse("a role must be named to be renamed", at);
            };
            let object = ObjectRef::Name(QualifiedName { parts: vec![old], span: at });
            return self.rename_to(ObjectType::Role, object, span);
        }
        if group {
            let add = self.eat(K::Add);
            if !add {
                self.expect(K::Drop)?;
            }
            let at = self.span();
            self.expect(K::User)?;
            let members = self.list(Self::role_spec)?;
            let kind =
                if add { RoleOptionKind::Members(members) } else { RoleOptionKind::DropMembers(members) };
            let options = vec![RoleOption { kind, span: at }];
            return Ok(Node::AlterRole(Box::new(AlterRoleStmt { name, options, span })));
        }
        if self.is_any(&[K::Set, K::Reset]) || self.is(K::In) && self.is_at(1, K::Database) {
            return self.alter_role_setting(Some(name), span);
        }
        self.eat(K::With);
        let options = self.role_options(false)?;
        Ok(Node::AlterRole(Box::new(AlterRoleStmt { name, options, span })))
    }

    fn alter_role_setting(&mut self, role: Option<RoleSpec>, span: Span) -> Result<Node> {
        let database = if self.eat_all(&[K::In, K::Database]) { Some(self.col_id()?) } else { None };
        let set = self.set_or_reset()?;
        Ok(Node::AlterSetting(Box::new(AlterSettingStmt { role, database, set, span })))
    }

    pub(super) fn drop_role(&mut self) -> Result<Node> {
        let span = self.bump().span();
        self.bump();
        let missing_ok = self.if_exists()?;
        let roles = self.list(Self::role_spec)?;
        Ok(Node::DropRole(Box::new(DropRoleStmt { roles, missing_ok, span })))
    }
}
