//! A statement: its tree, where its text stands, and what kind of command it is.
//!
//! Made by [`crate::parse`]; read by the session (which tag to send, may it run in a failed transaction,
//! is there a result) and by the planner.

use types::Span;

use crate::ast::{Node, SelectBody, SelectStmt, SetAction, TransactionKind};

/// One statement of a query text.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub node: Node,
    /// The bytes of the parsed text that hold the statement: from its first token up to, not including, the semicolon.
    /// All spans in `node` count from the start of that same text.
    pub span: Span,
}

impl Statement {
    /// The statement's own part of `text`, which must be the text that was parsed.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.span.start as usize..self.span.end as usize).unwrap_or("")
    }

    /// The command tag without its row counts: `SELECT`, `CREATE TABLE`, `ALTER ROLE`.
    /// INSERT adds `0 n`, and SELECT, UPDATE, DELETE, MERGE, FETCH, MOVE and COPY add ` n`: see [`Statement::tag_has_count`].
    pub fn command_tag(&self) -> String {
        command_tag(&self.node)
    }

    /// Does the tag end in a row count?
    pub fn tag_has_count(&self) -> bool {
        match &self.node {
            Node::Select(_)
            | Node::Insert(_)
            | Node::Update(_)
            | Node::Delete(_)
            | Node::Merge(_)
            | Node::Fetch(_)
            | Node::Copy(_) => true,
            Node::CreateTableAs(create) => !create.with_no_data,
            _ => false,
        }
    }

    /// COMMIT, ROLLBACK and ROLLBACK TO (also PREPARE TRANSACTION): what a failed transaction still accepts.
    pub fn ends_failed_transaction(&self) -> bool {
        match &self.node {
            Node::Transaction(t) => matches!(
                t.kind,
                TransactionKind::Commit { .. }
                    | TransactionKind::Rollback { .. }
                    | TransactionKind::RollbackTo(_)
                    | TransactionKind::Prepare(_)
            ),
            _ => false,
        }
    }

    /// Planned by the planner (SELECT, INSERT, UPDATE, DELETE, MERGE), rather than run as a utility command.
    pub fn is_plannable(&self) -> bool {
        is_plannable(&self.node)
    }
}

/// SELECT, INSERT, UPDATE, DELETE, MERGE.
pub fn is_plannable(node: &Node) -> bool {
    matches!(node, Node::Select(_) | Node::Insert(_) | Node::Update(_) | Node::Delete(_) | Node::Merge(_))
}

/// Does a query lock rows (FOR UPDATE …)? Its tag in PostgreSQL is then still SELECT, but it is no read-only command.
pub fn locks_rows(query: &SelectStmt) -> bool {
    !query.locking.is_empty()
        || match &query.body {
            SelectBody::SetOp(set) => {
                locks_rows(&set.first) || set.arms.iter().any(|arm| locks_rows(&arm.query))
            }
            _ => false,
        }
}

/// The command tag of `node`, without row counts.
pub fn command_tag(node: &Node) -> String {
    let tag = match node {
        Node::Select(_) => "SELECT",
        Node::Insert(_) => "INSERT",
        Node::Update(_) => "UPDATE",
        Node::Delete(_) => "DELETE",
        Node::Merge(_) => "MERGE",
        Node::Truncate(_) => "TRUNCATE TABLE",
        Node::CreateTable(_) => "CREATE TABLE",
        Node::CreateTableAs(c) if c.with_no_data && c.materialized_view => "CREATE MATERIALIZED VIEW",
        Node::CreateTableAs(c) if c.with_no_data => "CREATE TABLE AS",
        Node::CreateTableAs(_) => "SELECT",
        Node::CreateIndex(_) => "CREATE INDEX",
        Node::CreateView(_) => "CREATE VIEW",
        Node::CreateSequence(_) => "CREATE SEQUENCE",
        Node::CreateSchema(_) => "CREATE SCHEMA",
        Node::CreateType(_) => "CREATE TYPE",
        Node::CreateDomain(_) => "CREATE DOMAIN",
        Node::CreateRole(_) => "CREATE ROLE",
        Node::CreateDatabase(_) => "CREATE DATABASE",
        Node::CreateExtension(_) => "CREATE EXTENSION",
        Node::CreateFunction(c) if c.procedure => "CREATE PROCEDURE",
        Node::CreateFunction(_) => "CREATE FUNCTION",
        Node::CreateTrigger(_) => "CREATE TRIGGER",
        Node::AlterTable(a) => return format!("ALTER {}", a.object_type.keyword()),
        Node::AlterSequence(_) => "ALTER SEQUENCE",
        Node::AlterDomain(_) => "ALTER DOMAIN",
        Node::AlterEnum(_) => "ALTER TYPE",
        Node::AlterFunction(a) => return format!("ALTER {}", a.object_type.keyword()),
        Node::AlterRole(_) => "ALTER ROLE",
        Node::AlterDatabase(_) => "ALTER DATABASE",
        Node::AlterSetting(a) if a.role.is_none() && a.database.is_some() => "ALTER DATABASE",
        Node::AlterSetting(_) => "ALTER ROLE",
        Node::AlterSystem(_) => "ALTER SYSTEM",
        Node::AlterObjectSchema(a) => return format!("ALTER {}", a.object_type.keyword()),
        Node::AlterOwner(a) => return format!("ALTER {}", a.object_type.keyword()),
        Node::Rename(r) => return format!("ALTER {}", r.relation_type.keyword()),
        Node::Drop(d) => return format!("DROP {}", d.object_type.keyword()),
        Node::DropRole(_) => "DROP ROLE",
        Node::DropDatabase(_) => "DROP DATABASE",
        Node::Comment(_) => "COMMENT",
        Node::Grant(g) if g.is_grant => "GRANT",
        Node::Grant(_) => "REVOKE",
        Node::GrantRole(g) if g.is_grant => "GRANT ROLE",
        Node::GrantRole(_) => "REVOKE ROLE",
        Node::AlterDefaultPrivileges(_) => "ALTER DEFAULT PRIVILEGES",
        Node::Owned(o) if o.new_owner.is_some() => "REASSIGN OWNED",
        Node::Owned(_) => "DROP OWNED",
        Node::Refresh(_) => "REFRESH MATERIALIZED VIEW",
        Node::Transaction(t) => match t.kind {
            TransactionKind::Begin(_) => "BEGIN",
            TransactionKind::Start(_) => "START TRANSACTION",
            TransactionKind::Commit { .. } => "COMMIT",
            TransactionKind::Rollback { .. } | TransactionKind::RollbackTo(_) => "ROLLBACK",
            TransactionKind::Savepoint(_) => "SAVEPOINT",
            TransactionKind::Release(_) => "RELEASE",
            TransactionKind::Prepare(_) => "PREPARE TRANSACTION",
            TransactionKind::CommitPrepared(_) => "COMMIT PREPARED",
            TransactionKind::RollbackPrepared(_) => "ROLLBACK PREPARED",
        },
        Node::Set(s) if matches!(s.action, SetAction::Reset { .. } | SetAction::ResetAll) => "RESET",
        Node::Set(_) => "SET",
        Node::Show(_) => "SHOW",
        Node::Discard(d) => match d.target {
            crate::ast::DiscardTarget::All => "DISCARD ALL",
            crate::ast::DiscardTarget::Plans => "DISCARD PLANS",
            crate::ast::DiscardTarget::Sequences => "DISCARD SEQUENCES",
            crate::ast::DiscardTarget::Temp => "DISCARD TEMP",
        },
        Node::SetConstraints(_) => "SET CONSTRAINTS",
        Node::Prepare(_) => "PREPARE",
        Node::Execute(_) => "EXECUTE",
        Node::Deallocate(d) if d.name.is_none() => "DEALLOCATE ALL",
        Node::Deallocate(_) => "DEALLOCATE",
        Node::DeclareCursor(_) => "DECLARE CURSOR",
        Node::Fetch(f) if f.is_move => "MOVE",
        Node::Fetch(_) => "FETCH",
        Node::ClosePortal(c) if c.name.is_none() => "CLOSE CURSOR ALL",
        Node::ClosePortal(_) => "CLOSE CURSOR",
        Node::Copy(_) => "COPY",
        Node::Explain(_) => "EXPLAIN",
        Node::Vacuum(v) if v.is_vacuum => "VACUUM",
        Node::Vacuum(_) => "ANALYZE",
        Node::Reindex(_) => "REINDEX",
        Node::Cluster(_) => "CLUSTER",
        Node::Checkpoint(_) => "CHECKPOINT",
        Node::Lock(_) => "LOCK TABLE",
        Node::Listen(_) => "LISTEN",
        Node::Notify(_) => "NOTIFY",
        Node::Unlisten(_) => "UNLISTEN",
        Node::Load(..) => "LOAD",
        Node::Call(_) => "CALL",
        Node::Do(_) => "DO",
        Node::Unsupported(u) => return u.command.clone(),
    };
    tag.to_string()
}
