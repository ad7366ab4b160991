//! CREATE, ALTER, DROP, COMMENT, GRANT: the statements that change the schema.

use types::Span;

use super::Node;
use super::expr::Expr;
use super::select::{ColumnDefinition, NullsOrder, RangeVar, SelectStmt, SortDirection};
use super::types::*;

/// How long a relation lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    #[default]
    Permanent,
    Unlogged,
    Temporary,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTableStmt {
    pub relation: RangeVar,
    pub persistence: Persistence,
    pub if_not_exists: bool,
    pub elements: Vec<TableElement>,
    pub inherits: Vec<RangeVar>,
    pub partition_by: Option<PartitionSpec>,
    /// PARTITION OF parent, with its bound.
    pub partition_of: Option<Box<(RangeVar, PartitionBound)>>,
    /// OF type.
    pub of_type: Option<TypeName>,
    pub access_method: Option<String>,
    pub options: Vec<DefElem>,
    pub on_commit: OnCommit,
    pub tablespace: Option<String>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCommit {
    #[default]
    NotSet,
    PreserveRows,
    DeleteRows,
    Drop,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TableElement {
    Column(Box<ColumnDef>),
    Constraint(Box<Constraint>),
    Like(Box<TableLike>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    pub name: String,
    /// `None` only for columns of `OF type` and `PARTITION OF` tables.
    pub type_name: Option<TypeName>,
    pub collation: Option<Vec<String>>,
    pub compression: Option<String>,
    pub constraints: Vec<Constraint>,
    pub span: Span,
}

/// A column's or a table's constraint; defaults, identity and generation are constraints too, as in PostgreSQL.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// CONSTRAINT name.
    pub name: Option<String>,
    pub kind: ConstraintKind,
    /// DEFERRABLE or NOT DEFERRABLE, when written; INITIALLY DEFERRED alone implies it.
    pub deferrable: Option<bool>,
    /// INITIALLY DEFERRED or IMMEDIATE, when written.
    pub initially_deferred: Option<bool>,
    pub not_valid: bool,
    pub no_inherit: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConstraintKind {
    Null,
    NotNull,
    Default(Expr),
    Identity {
        always: bool,
        options: Vec<SequenceOption>,
    },
    /// GENERATED ALWAYS AS (expr) STORED.
    Generated(Expr),
    Check(Expr),
    Primary(Box<UniqueConstraint>),
    Unique(Box<UniqueConstraint>),
    Exclude(Box<ExcludeConstraint>),
    Foreign(Box<ForeignConstraint>),
}

/// PRIMARY KEY and UNIQUE.
#[derive(Debug, Clone, PartialEq)]
pub struct UniqueConstraint {
    /// Empty for a column's constraint.
    pub columns: Vec<String>,
    pub include: Vec<String>,
    pub nulls_not_distinct: bool,
    pub options: Vec<DefElem>,
    pub tablespace: Option<String>,
    /// USING INDEX name.
    pub index: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExcludeConstraint {
    pub access_method: Option<String>,
    pub elements: Vec<(IndexElem, super::OperatorName)>,
    pub include: Vec<String>,
    pub options: Vec<DefElem>,
    pub tablespace: Option<String>,
    pub where_: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ForeignConstraint {
    /// Empty for a column's constraint.
    pub columns: Vec<String>,
    pub table: RangeVar,
    /// Empty: the primary key.
    pub referenced: Vec<String>,
    pub match_type: MatchType,
    pub on_update: ForeignAction,
    pub on_delete: ForeignAction,
    /// ON DELETE SET NULL (columns), SET DEFAULT (columns).
    pub on_delete_columns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchType {
    Simple,
    Full,
    Partial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// `LIKE t INCLUDING …`.
#[derive(Debug, Clone, PartialEq)]
pub struct TableLike {
    pub relation: RangeVar,
    pub including: TableLikeOptions,
}

/// What is copied, after all INCLUDING and EXCLUDING.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableLikeOptions {
    pub comments: bool,
    pub compression: bool,
    pub constraints: bool,
    pub defaults: bool,
    pub generated: bool,
    pub identity: bool,
    pub indexes: bool,
    pub statistics: bool,
    pub storage: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionSpec {
    /// `range`, `list` or `hash`; lower case, not checked.
    pub strategy: String,
    pub elements: Vec<IndexElem>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum PartitionBound {
    Default,
    In(Vec<Expr>),
    /// MINVALUE and MAXVALUE arrive as column references, as in PostgreSQL.
    FromTo(Vec<Expr>, Vec<Expr>),
    With {
        modulus: i64,
        remainder: i64,
    },
}

/// CREATE TABLE AS, CREATE MATERIALIZED VIEW, SELECT INTO.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTableAsStmt {
    pub relation: RangeVar,
    pub persistence: Persistence,
    pub materialized_view: bool,
    pub if_not_exists: bool,
    pub columns: Vec<String>,
    pub access_method: Option<String>,
    pub options: Vec<DefElem>,
    pub on_commit: OnCommit,
    pub tablespace: Option<String>,
    /// Select or Execute.
    pub query: Box<Node>,
    /// WITH NO DATA.
    pub with_no_data: bool,
    /// Written as SELECT … INTO.
    pub select_into: bool,
    /// The bytes of the query in the statement's text.
    pub query_text: Span,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateIndexStmt {
    pub name: Option<String>,
    pub relation: RangeVar,
    pub unique: bool,
    pub concurrently: bool,
    pub if_not_exists: bool,
    /// `btree` when nothing is written is the binder's to say.
    pub access_method: Option<String>,
    pub elements: Vec<IndexElem>,
    pub include: Vec<IndexElem>,
    pub nulls_not_distinct: bool,
    pub options: Vec<DefElem>,
    pub tablespace: Option<String>,
    pub where_: Option<Expr>,
    pub span: Span,
}

/// A key of an index, of ON CONFLICT, of PARTITION BY.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexElem {
    pub key: IndexKey,
    pub collation: Option<Vec<String>>,
    pub operator_class: Option<Vec<String>>,
    pub operator_class_options: Vec<DefElem>,
    pub direction: SortDirection,
    pub nulls: NullsOrder,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum IndexKey {
    Column(String),
    Expr(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateViewStmt {
    pub relation: RangeVar,
    pub persistence: Persistence,
    pub or_replace: bool,
    pub recursive: bool,
    pub columns: Vec<String>,
    pub options: Vec<DefElem>,
    pub query: SelectStmt,
    /// WITH [LOCAL | CASCADED] CHECK OPTION.
    pub check_option: ViewCheckOption,
    /// The bytes of the query in the statement's text.
    pub query_text: Span,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewCheckOption {
    None,
    Local,
    Cascaded,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateSequenceStmt {
    pub relation: RangeVar,
    pub persistence: Persistence,
    pub if_not_exists: bool,
    pub options: Vec<SequenceOption>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterSequenceStmt {
    pub relation: RangeVar,
    pub missing_ok: bool,
    pub options: Vec<SequenceOption>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SequenceOption {
    pub kind: SequenceOptionKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SequenceOptionKind {
    As(TypeName),
    Cache(i64),
    Cycle(bool),
    Increment(i64),
    /// `None`: NO MAXVALUE.
    MaxValue(Option<i64>),
    MinValue(Option<i64>),
    /// `["none"]` for OWNED BY NONE.
    OwnedBy(Vec<String>),
    Start(i64),
    /// `None`: RESTART without a value.
    Restart(Option<i64>),
    SequenceName(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateSchemaStmt {
    /// `None`: named like the role of AUTHORIZATION.
    pub name: Option<String>,
    pub authorization: Option<RoleSpec>,
    pub if_not_exists: bool,
    /// Statements inside CREATE SCHEMA.
    pub elements: Vec<Node>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTypeStmt {
    pub name: QualifiedName,
    pub definition: TypeDefinition,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TypeDefinition {
    /// CREATE TYPE name; a shell.
    Shell,
    Enum(Vec<String>),
    Composite(Vec<ColumnDefinition>),
    Range(Vec<DefElem>),
    Base(Vec<DefElem>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateDomainStmt {
    pub name: QualifiedName,
    pub type_name: TypeName,
    pub collation: Option<Vec<String>>,
    pub constraints: Vec<Constraint>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterDomainStmt {
    pub name: QualifiedName,
    pub action: AlterDomainAction,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterDomainAction {
    /// `None`: DROP DEFAULT.
    SetDefault(Option<Expr>),
    SetNotNull,
    DropNotNull,
    AddConstraint(Constraint),
    DropConstraint {
        name: String,
        missing_ok: bool,
        behavior: DropBehavior,
    },
    ValidateConstraint(String),
}

/// ALTER TYPE of an enum.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterEnumStmt {
    pub name: QualifiedName,
    pub action: AlterEnumAction,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterEnumAction {
    AddValue {
        value: String,
        if_not_exists: bool,
        /// BEFORE (true) or AFTER (false) a neighbour.
        place: Option<(bool, String)>,
    },
    RenameValue {
        from: String,
        to: String,
    },
}

/// CREATE ROLE, USER, GROUP and ALTER of them.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateRoleStmt {
    pub kind: RoleStmtKind,
    pub name: RoleSpec,
    pub options: Vec<RoleOption>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleStmtKind {
    Role,
    User,
    Group,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterRoleStmt {
    pub name: RoleSpec,
    pub options: Vec<RoleOption>,
    pub span: Span,
}

/// ALTER ROLE … [IN DATABASE d] SET …, ALTER DATABASE … SET ….
#[derive(Debug, Clone, PartialEq)]
pub struct AlterSettingStmt {
    /// `None`: ALL roles, or a database's own setting.
    pub role: Option<RoleSpec>,
    pub database: Option<String>,
    pub set: super::SetStmt,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RoleOption {
    pub kind: RoleOptionKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RoleOptionKind {
    SuperUser(bool),
    CreateDb(bool),
    CreateRole(bool),
    Inherit(bool),
    Login(bool),
    Replication(bool),
    BypassRls(bool),
    ConnectionLimit(i64),
    /// `None`: PASSWORD NULL.
    Password(Option<String>),
    ValidUntil(String),
    InRole(Vec<RoleSpec>),
    /// ROLE, USER: members of the new role. ALTER GROUP … ADD USER too.
    Members(Vec<RoleSpec>),
    /// ADMIN.
    AdminMembers(Vec<RoleSpec>),
    /// ALTER GROUP … DROP USER.
    DropMembers(Vec<RoleSpec>),
    SysId(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct DropRoleStmt {
    pub roles: Vec<RoleSpec>,
    pub missing_ok: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateDatabaseStmt {
    pub name: String,
    pub options: Vec<DefElem>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterDatabaseStmt {
    pub name: String,
    pub options: Vec<DefElem>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DropDatabaseStmt {
    pub name: String,
    pub missing_ok: bool,
    pub force: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateExtensionStmt {
    pub name: String,
    pub if_not_exists: bool,
    pub options: Vec<DefElem>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateFunctionStmt {
    pub name: QualifiedName,
    pub procedure: bool,
    pub or_replace: bool,
    pub parameters: Vec<FunctionParameter>,
    /// RETURNS type; RETURNS TABLE's columns are parameters of mode Table.
    pub returns: Option<TypeName>,
    pub options: Vec<FunctionOption>,
    /// The bytes of a `RETURN expr` or `BEGIN ATOMIC … END` body.
    pub sql_body: Option<FunctionBody>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionBody {
    Return(Box<Expr>),
    Atomic(Vec<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct FunctionParameter {
    pub name: Option<String>,
    pub type_name: TypeName,
    pub mode: ParameterMode,
    pub default: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterMode {
    In,
    Out,
    InOut,
    Variadic,
    Table,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FunctionOption {
    pub kind: FunctionOptionKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionOptionKind {
    Language(String),
    /// AS 'body', or AS 'file', 'symbol'.
    As(Vec<String>),
    /// `i`, `s` or `v`.
    Volatility(char),
    /// STRICT, RETURNS NULL ON NULL INPUT.
    Strict(bool),
    SecurityDefiner(bool),
    Leakproof(bool),
    Window,
    /// A number, as written.
    Cost(String),
    Rows(String),
    Support(Vec<String>),
    Parallel(String),
    Set(super::SetStmt),
    Transform(Vec<TypeName>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterFunctionStmt {
    pub object_type: ObjectType,
    pub function: FunctionRef,
    pub options: Vec<FunctionOption>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTriggerStmt {
    pub name: String,
    pub or_replace: bool,
    pub constraint: bool,
    pub relation: RangeVar,
    pub timing: TriggerTiming,
    pub events: Vec<TriggerEvent>,
    pub for_each_row: bool,
    pub when: Option<Expr>,
    pub function: QualifiedName,
    pub args: Vec<String>,
    /// REFERENCING: (is NEW, is TABLE, name).
    pub referencing: Vec<(bool, bool, String)>,
    pub from: Option<RangeVar>,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerTiming {
    Before,
    After,
    InsteadOf,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TriggerEvent {
    Insert,
    Delete,
    Truncate,
    /// UPDATE [OF columns].
    Update(Vec<String>),
}

/// ALTER TABLE, VIEW, INDEX, SEQUENCE, MATERIALIZED VIEW, TYPE (composite): the forms that can be listed with commas.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterTableStmt {
    pub object_type: ObjectType,
    pub relation: RangeVar,
    pub missing_ok: bool,
    pub commands: Vec<AlterTableCmd>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterTableCmd {
    pub kind: AlterTableKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterTableKind {
    AddColumn {
        column: Box<ColumnDef>,
        if_not_exists: bool,
    },
    DropColumn {
        name: String,
        missing_ok: bool,
        behavior: DropBehavior,
    },
    AlterColumnType {
        name: String,
        type_name: TypeName,
        collation: Option<Vec<String>>,
        using: Option<Expr>,
    },
    /// `None`: DROP DEFAULT.
    ColumnDefault {
        name: String,
        default: Option<Expr>,
    },
    SetNotNull(String),
    DropNotNull(String),
    SetExpression {
        name: String,
        expr: Expr,
    },
    DropExpression {
        name: String,
        missing_ok: bool,
    },
    AddIdentity {
        name: String,
        always: bool,
        options: Vec<SequenceOption>,
    },
    /// SET GENERATED …, SET sequence option, RESTART.
    SetIdentity {
        name: String,
        always: Option<bool>,
        options: Vec<SequenceOption>,
    },
    DropIdentity {
        name: String,
        missing_ok: bool,
    },
    SetStatistics {
        column: String,
        target: i64,
    },
    SetStorage {
        column: String,
        storage: String,
    },
    SetCompression {
        column: String,
        method: String,
    },
    /// ALTER COLUMN c SET/RESET (options).
    SetColumnOptions {
        column: String,
        options: Vec<DefElem>,
        reset: bool,
    },
    AddConstraint(Box<Constraint>),
    AlterConstraint {
        name: String,
        deferrable: Option<bool>,
        initially_deferred: Option<bool>,
    },
    ValidateConstraint(String),
    DropConstraint {
        name: String,
        missing_ok: bool,
        behavior: DropBehavior,
    },
    /// ENABLE, ENABLE ALWAYS, ENABLE REPLICA, DISABLE; trigger, or `None` for ALL, with `user` for USER.
    Trigger {
        mode: TriggerMode,
        name: Option<String>,
        user: bool,
    },
    Rule {
        mode: TriggerMode,
        name: String,
    },
    ClusterOn(String),
    SetWithoutCluster,
    SetLogged(bool),
    SetAccessMethod(String),
    SetTablespace(String),
    /// SET (options), RESET (options).
    SetOptions {
        options: Vec<DefElem>,
        reset: bool,
    },
    Inherit(RangeVar),
    NoInherit(RangeVar),
    AttachPartition {
        partition: RangeVar,
        bound: PartitionBound,
    },
    /// ALTER INDEX … ATTACH PARTITION.
    AttachIndex(RangeVar),
    DetachPartition {
        partition: RangeVar,
        concurrently: bool,
        finalize: bool,
    },
    Owner(RoleSpec),
    /// ENABLE/DISABLE/FORCE/NO FORCE ROW LEVEL SECURITY.
    RowSecurity {
        enable: Option<bool>,
        force: Option<bool>,
    },
    ReplicaIdentity(ReplicaIdentity),
    /// ALTER TYPE: ADD, DROP and ALTER ATTRIBUTE.
    AddAttribute {
        attribute: ColumnDefinition,
        behavior: DropBehavior,
    },
    DropAttribute {
        name: String,
        missing_ok: bool,
        behavior: DropBehavior,
    },
    AlterAttributeType {
        name: String,
        type_name: TypeName,
        collation: Option<Vec<String>>,
        behavior: DropBehavior,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerMode {
    Enable,
    EnableAlways,
    EnableReplica,
    Disable,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ReplicaIdentity {
    Nothing,
    Full,
    Default,
    UsingIndex(String),
}

/// ALTER … RENAME.
#[derive(Debug, Clone, PartialEq)]
pub struct RenameStmt {
    /// What gets the new name: Column, Constraint, TypeAttribute or the object itself.
    pub object_type: ObjectType,
    /// For a column or constraint: the kind of relation it is in.
    pub relation_type: ObjectType,
    /// The object, or the relation that holds it.
    pub object: ObjectRef,
    /// ALTER TABLE ONLY.
    pub only: bool,
    /// The column's or constraint's present name.
    pub sub_name: Option<String>,
    pub new_name: String,
    pub missing_ok: bool,
    pub behavior: DropBehavior,
    pub span: Span,
}

/// ALTER … SET SCHEMA.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterObjectSchemaStmt {
    pub object_type: ObjectType,
    pub object: ObjectRef,
    pub new_schema: String,
    pub missing_ok: bool,
    pub span: Span,
}

/// ALTER … OWNER TO of what is not a relation.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterOwnerStmt {
    pub object_type: ObjectType,
    pub object: ObjectRef,
    pub new_owner: RoleSpec,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DropStmt {
    pub object_type: ObjectType,
    pub objects: Vec<ObjectRef>,
    pub missing_ok: bool,
    pub behavior: DropBehavior,
    pub concurrently: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CommentStmt {
    pub object_type: ObjectType,
    pub object: ObjectRef,
    /// `None`: IS NULL.
    pub comment: Option<String>,
    pub span: Span,
}

/// GRANT and REVOKE of rights on objects.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantStmt {
    pub is_grant: bool,
    /// Empty: ALL [PRIVILEGES].
    pub privileges: Vec<Privilege>,
    pub object_type: ObjectType,
    pub objects: GrantObjects,
    pub grantees: Vec<RoleSpec>,
    /// WITH GRANT OPTION; GRANT OPTION FOR.
    pub grant_option: bool,
    pub granted_by: Option<RoleSpec>,
    pub behavior: DropBehavior,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum GrantObjects {
    Named(Vec<ObjectRef>),
    /// ALL … IN SCHEMA names.
    AllInSchema(Vec<String>),
    /// ALTER DEFAULT PRIVILEGES: objects to come.
    Defaults,
}

/// `SELECT (a, b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Privilege {
    /// Lower case; empty for `ALL (columns)`.
    pub name: String,
    pub columns: Vec<String>,
    pub span: Span,
}

/// GRANT role TO role.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantRoleStmt {
    pub is_grant: bool,
    pub roles: Vec<(String, Span)>,
    pub grantees: Vec<RoleSpec>,
    pub admin_option: bool,
    pub granted_by: Option<RoleSpec>,
    pub behavior: DropBehavior,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterDefaultPrivilegesStmt {
    pub roles: Vec<RoleSpec>,
    pub schemas: Vec<String>,
    pub grant: GrantStmt,
    pub span: Span,
}

/// REASSIGN OWNED, DROP OWNED.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedStmt {
    pub roles: Vec<RoleSpec>,
    /// `Some`: REASSIGN OWNED … TO; `None`: DROP OWNED.
    pub new_owner: Option<RoleSpec>,
    pub behavior: DropBehavior,
    pub span: Span,
}

/// A statement PostgreSQL has, whose grammar we know only well enough to name it; always refused with 0A000.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsupportedStmt {
    /// The command, as its tag would say: `CREATE RULE`.
    pub command: String,
    pub span: Span,
}

/// REFRESH MATERIALIZED VIEW.
#[derive(Debug, Clone, PartialEq)]
pub struct RefreshStmt {
    pub relation: RangeVar,
    pub concurrently: bool,
    pub with_no_data: bool,
    pub span: Span,
}
