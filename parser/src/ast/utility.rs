//! Session commands: transactions, settings, cursors, prepared statements, COPY, EXPLAIN, upkeep.

use types::Span;

use super::Node;
use super::expr::Expr;
use super::select::RangeVar;
use super::types::{DefElem, TypeName};

#[derive(Debug, Clone, PartialEq)]
pub struct TransactionStmt {
    pub kind: TransactionKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TransactionKind {
    /// BEGIN.
    Begin(Vec<TransactionMode>),
    /// START TRANSACTION: BEGIN by another tag.
    Start(Vec<TransactionMode>),
    /// COMMIT, END.
    Commit {
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    Prepare(String),
    CommitPrepared(String),
    RollbackPrepared(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionMode {
    Isolation(IsolationLevel),
    ReadOnly(bool),
    Deferrable(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// SET, RESET.
#[derive(Debug, Clone, PartialEq)]
pub struct SetStmt {
    /// SET LOCAL.
    pub local: bool,
    pub action: SetAction,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SetAction {
    /// `name = value, value`; the name is lower case, parts joined by dots.
    Value { name: String, values: Vec<SetValue> },
    /// `name = DEFAULT`.
    Default { name: String },
    /// `name FROM CURRENT` (functions only).
    FromCurrent { name: String },
    /// RESET name.
    Reset { name: String },
    /// RESET ALL.
    ResetAll,
    /// SET TRANSACTION modes.
    Transaction(Vec<TransactionMode>),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION modes.
    SessionCharacteristics(Vec<TransactionMode>),
    /// SET TRANSACTION SNAPSHOT 'id'.
    Snapshot(String),
}

/// A setting's value. Several are joined with `, ` by the reader, identifiers quoted where they must be.
#[derive(Debug, Clone, PartialEq)]
pub enum SetValue {
    /// A bare word (lower case unless quoted) or a quoted string.
    String(String),
    Integer(i64),
    /// Text as written, with its sign.
    Numeric(String),
    /// `SET TIME ZONE INTERVAL '…' HOUR TO MINUTE`.
    Interval(Box<Expr>),
}

/// SHOW.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowStmt {
    /// Lower case; `all` for SHOW ALL.
    pub name: String,
    pub span: Span,
}

/// ALTER SYSTEM SET, RESET.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterSystemStmt {
    pub set: SetStmt,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardTarget {
    All,
    Plans,
    Sequences,
    Temp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DiscardStmt {
    pub target: DiscardTarget,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SetConstraintsStmt {
    /// Empty: ALL.
    pub constraints: Vec<RangeVar>,
    pub deferred: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PrepareStmt {
    pub name: String,
    pub types: Vec<TypeName>,
    pub query: Box<Node>,
    /// The bytes of the query in the statement's text.
    pub query_text: Span,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExecuteStmt {
    pub name: String,
    pub args: Vec<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DeallocateStmt {
    /// `None`: ALL.
    pub name: Option<String>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DeclareCursorStmt {
    pub name: String,
    pub binary: bool,
    pub insensitive: Option<bool>,
    /// SCROLL or NO SCROLL, when written.
    pub scroll: Option<bool>,
    /// WITH HOLD.
    pub hold: bool,
    pub query: Box<Node>,
    pub query_text: Span,
    pub span: Span,
}

/// FETCH and MOVE.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchStmt {
    pub cursor: String,
    pub direction: FetchDirection,
    pub is_move: bool,
    pub span: Span,
}

/// Where to go; FIRST is `Absolute(1)`, LAST `Absolute(-1)`, PRIOR `Backward(Some(1))`, NEXT `Forward(Some(1))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchDirection {
    /// `None`: ALL.
    Forward(Option<i64>),
    Backward(Option<i64>),
    Absolute(i64),
    Relative(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ClosePortalStmt {
    /// `None`: ALL.
    pub name: Option<String>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CopyStmt {
    pub source: CopySource,
    /// FROM rather than TO.
    pub is_from: bool,
    pub target: CopyTarget,
    pub options: Vec<DefElem>,
    pub where_: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CopySource {
    Table {
        relation: RangeVar,
        columns: Vec<String>,
    },
    /// `COPY (query) TO`.
    Query(Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum CopyTarget {
    /// STDIN or STDOUT.
    Client,
    File(String),
    Program(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExplainStmt {
    /// `analyze`, `verbose`, `format` …, whichever way they were written.
    pub options: Vec<DefElem>,
    pub query: Box<Node>,
    pub span: Span,
}

/// VACUUM and ANALYZE.
#[derive(Debug, Clone, PartialEq)]
pub struct VacuumStmt {
    /// VACUUM rather than ANALYZE.
    pub is_vacuum: bool,
    pub options: Vec<DefElem>,
    /// Relation and its columns; empty: the whole database.
    pub relations: Vec<(RangeVar, Vec<String>)>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReindexTarget {
    Index,
    Table,
    Schema,
    System,
    Database,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ReindexStmt {
    pub target: ReindexTarget,
    /// A relation, or a schema's or database's name in `name`; absent for REINDEX DATABASE/SYSTEM without a name.
    pub relation: Option<RangeVar>,
    pub options: Vec<DefElem>,
    pub concurrently: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ClusterStmt {
    pub relation: Option<RangeVar>,
    pub index: Option<String>,
    pub options: Vec<DefElem>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LockStmt {
    pub relations: Vec<RangeVar>,
    pub mode: LockMode,
    pub nowait: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NotifyStmt {
    pub channel: String,
    pub payload: Option<String>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListenStmt {
    pub channel: String,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct UnlistenStmt {
    /// `None`: `*`.
    pub channel: Option<String>,
    pub span: Span,
}

/// CALL procedure(…).
#[derive(Debug, Clone, PartialEq)]
pub struct CallStmt {
    pub call: super::FuncCall,
    pub span: Span,
}

/// DO.
#[derive(Debug, Clone, PartialEq)]
pub struct DoStmt {
    pub body: String,
    /// `None`: plpgsql.
    pub language: Option<String>,
    pub span: Span,
}
