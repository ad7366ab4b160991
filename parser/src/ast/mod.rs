//! Our own syntax tree, in the shapes of PostgreSQL's raw parse tree.
//!
//! Made by `grammar/`, read by the binder, `deparse.rs` and the session's utility commands. Nothing here is resolved:
//! names are names, folded to lower case unless quoted and cut at 63 bytes. The tree is no deeper than
//! [`crate::MAX_DEPTH`], so that walking, cloning and dropping it by plain recursion is safe.

mod ddl;
mod dml;
mod expr;
mod select;
mod types;
mod utility;

pub use self::ddl::*;
pub use self::dml::*;
pub use self::expr::*;
pub use self::select::*;
pub use self::types::*;
pub use self::utility::*;

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    // Queries and changes of data.
    Select(Box<SelectStmt>),
    Insert(Box<InsertStmt>),
    Update(Box<UpdateStmt>),
    Delete(Box<DeleteStmt>),
    Merge(Box<MergeStmt>),
    Truncate(Box<TruncateStmt>),
    // Changes of the schema.
    CreateTable(Box<CreateTableStmt>),
    CreateTableAs(Box<CreateTableAsStmt>),
    CreateIndex(Box<CreateIndexStmt>),
    CreateView(Box<CreateViewStmt>),
    CreateSequence(Box<CreateSequenceStmt>),
    CreateSchema(Box<CreateSchemaStmt>),
    CreateType(Box<CreateTypeStmt>),
    CreateDomain(Box<CreateDomainStmt>),
    CreateRole(Box<CreateRoleStmt>),
    CreateDatabase(Box<CreateDatabaseStmt>),
    CreateExtension(Box<CreateExtensionStmt>),
    CreateFunction(Box<CreateFunctionStmt>),
    CreateTrigger(Box<CreateTriggerStmt>),
    AlterTable(Box<AlterTableStmt>),
    AlterSequence(Box<AlterSequenceStmt>),
    AlterDomain(Box<AlterDomainStmt>),
    AlterEnum(Box<AlterEnumStmt>),
    AlterFunction(Box<AlterFunctionStmt>),
    AlterRole(Box<AlterRoleStmt>),
    AlterDatabase(Box<AlterDatabaseStmt>),
    AlterSetting(Box<AlterSettingStmt>),
    AlterSystem(Box<AlterSystemStmt>),
    AlterObjectSchema(Box<AlterObjectSchemaStmt>),
    AlterOwner(Box<AlterOwnerStmt>),
    Rename(Box<RenameStmt>),
    Drop(Box<DropStmt>),
    DropRole(Box<DropRoleStmt>),
    DropDatabase(Box<DropDatabaseStmt>),
    Comment(Box<CommentStmt>),
    Grant(Box<GrantStmt>),
    GrantRole(Box<GrantRoleStmt>),
    AlterDefaultPrivileges(Box<AlterDefaultPrivilegesStmt>),
    Owned(Box<OwnedStmt>),
    Refresh(Box<RefreshStmt>),
    // Session.
    Transaction(Box<TransactionStmt>),
    Set(Box<SetStmt>),
    Show(Box<ShowStmt>),
    Discard(DiscardStmt),
    SetConstraints(Box<SetConstraintsStmt>),
    Prepare(Box<PrepareStmt>),
    Execute(Box<ExecuteStmt>),
    Deallocate(Box<DeallocateStmt>),
    DeclareCursor(Box<DeclareCursorStmt>),
    Fetch(Box<FetchStmt>),
    ClosePortal(Box<ClosePortalStmt>),
    Copy(Box<CopyStmt>),
    Explain(Box<ExplainStmt>),
    Vacuum(Box<VacuumStmt>),
    Reindex(Box<ReindexStmt>),
    Cluster(Box<ClusterStmt>),
    Checkpoint(::types::Span),
    Lock(Box<LockStmt>),
    Listen(Box<ListenStmt>),
    Notify(Box<NotifyStmt>),
    Unlisten(Box<UnlistenStmt>),
    Load(String, ::types::Span),
    Call(Box<CallStmt>),
    Do(Box<DoStmt>),
    /// Recognised by its first words and refused: the session answers 0A000.
    Unsupported(Box<UnsupportedStmt>),
}
