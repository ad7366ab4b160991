//! What a statement that changes the schema comes to, with every name resolved and every default named.
//!
//! Made by `binder/ddl*.rs`, carried out by the executor's `ddl.rs`, which allocates OIDs and trees,
//! and turns each into `CatalogChange`s. Checks that need only the catalog (names, types, dependencies)
//! have been made; checks that need rows (does a new constraint hold?) are the executor's.
//! Expressions that the executor must evaluate over rows are bound here, over
//! `Expr::Input(i)` = the table's column `i` (index into `TableDef::columns`).

use std::sync::Arc;

use catalog::acl::AclDef;
use catalog::{
    ColumnDef, ConstraintId, DatabaseId, ForeignKeyAction, Identity, IndexColumn, Persistence, RelationId,
    RoleDef, RoleId, SchemaId, SequenceDef, TableDef, ViewColumn,
};
use expr::Expr;
use types::{DataType, Error};

use crate::logical::LogicalStatement;

/// A schema change with the notices that go with it.
#[derive(Debug, Clone)]
pub struct BoundDdl {
    pub ddl: Ddl,
    /// To be sent as NOTICE: `relation "t" already exists, skipping`, `drop cascades to view v`.
    pub notices: Vec<Error>,
}

#[derive(Debug, Clone)]
pub enum Ddl {
    /// IF EXISTS or IF NOT EXISTS found nothing to do.
    Nothing,
    CreateTable(Box<CreateTable>),
    /// CREATE TABLE AS, SELECT INTO: make the table, then insert the rows of `query`.
    CreateTableAs(Box<CreateTableAs>),
    CreateIndex(Box<CreateIndex>),
    CreateView(Box<CreateView>),
    CreateSequence(Box<CreateSequence>),
    AlterSequence(Box<AlterSequence>),
    CreateSchema {
        name: String,
        owner: RoleId,
        elements: Vec<Ddl>,
    },
    Drop(DropObjects),
    Truncate(Truncate),
    AlterTable(Box<AlterTable>),
    Rename {
        object: ObjectId,
        new_name: String,
    },
    SetSchema {
        object: RelationId,
        schema: SchemaId,
    },
    SetOwner {
        object: ObjectId,
        owner: RoleId,
    },
    CreateRole {
        role: Box<RoleDef>,
        /// Who is to be in it, and whether with admin option.
        members: Vec<(RoleId, bool)>,
    },
    /// The role as it is to be; its id is that of the existing one.
    AlterRole(Box<RoleDef>),
    DropRoles(Vec<RoleId>),
    /// GRANT role TO role (`grant`), or REVOKE: pairs of (role, member). `admin`: the admin option is granted
    /// too, or only it revoked.
    GrantRole {
        grant: bool,
        admin: bool,
        memberships: Vec<(RoleId, RoleId)>,
    },
    CreateDatabase {
        name: String,
        owner: RoleId,
        connection_limit: i32,
        allow_connections: bool,
    },
    DropDatabase {
        id: DatabaseId,
        force: bool,
    },
    Comment {
        object: ObjectId,
        comment: Option<String>,
    },
    Analyze(Vec<Analyze>),
    /// GRANT, REVOKE, ALTER DEFAULT PRIVILEGES: the lists as they are to be.
    SetAcls(Vec<Arc<AclDef>>),
    /// One after the other.
    Several(Vec<Ddl>),
}

/// An existing object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectId {
    Table(RelationId),
    Index(RelationId),
    View(RelationId),
    Sequence(RelationId),
    Schema(SchemaId),
    Role(RoleId),
    Database(DatabaseId),
    /// Table, view or index column by number (`attnum`).
    Column(RelationId, i16),
    /// A column's default (only ever dropped by CASCADE).
    ColumnDefault(RelationId, i16),
    Constraint(RelationId, ConstraintId),
}

#[derive(Debug, Clone)]
pub struct CreateTable {
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    pub persistence: Persistence,
    /// Numbered from 1. `default` is SQL text; identity columns have none.
    pub columns: Vec<ColumnDef>,
    /// serial and identity: made before the table, owned by the column.
    pub sequences: Vec<OwnedSequence>,
    /// Those that PRIMARY KEY and UNIQUE bring (named as their constraints), and LIKE … INCLUDING INDEXES.
    pub indexes: Vec<NewIndex>,
    pub constraints: Vec<NewConstraint>,
    pub comment: Option<String>,
}

/// A sequence made for a column. The column's default reads it (serial) or its identity does.
#[derive(Debug, Clone)]
pub struct OwnedSequence {
    /// Index into the table's `columns`.
    pub column: usize,
    pub sequence: NewSequence,
}

#[derive(Debug, Clone)]
pub struct NewSequence {
    pub schema: SchemaId,
    pub name: String,
    pub data_type: DataType,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
}

#[derive(Debug, Clone)]
pub struct NewIndex {
    pub name: String,
    pub columns: Vec<IndexColumn>,
    /// Indexes into the table's `columns`.
    pub include: Vec<usize>,
    pub unique: bool,
    pub primary: bool,
    pub nulls_not_distinct: bool,
    /// SQL text of a partial index's condition.
    pub predicate: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone)]
pub struct NewConstraint {
    pub name: String,
    pub kind: NewConstraintKind,
    pub deferrable: bool,
    pub initially_deferred: bool,
    /// False for NOT VALID: existing rows are not checked.
    pub validated: bool,
}

#[derive(Debug, Clone)]
pub enum NewConstraintKind {
    PrimaryKey(NewConstraintIndex),
    Unique(NewConstraintIndex),
    Check {
        /// SQL text.
        expression: String,
        /// Columns it reads, as indexes into the table's.
        columns: Vec<usize>,
        /// The same over `Expr::Input(column index)`, to check rows that exist.
        predicate: Expr,
    },
    ForeignKey(NewForeignKey),
}

/// The index behind a PRIMARY KEY or UNIQUE constraint.
#[derive(Debug, Clone)]
pub enum NewConstraintIndex {
    /// In CREATE TABLE: position in `CreateTable::indexes`; in ALTER TABLE: in `AlterTable::indexes`.
    New(usize),
    /// ADD CONSTRAINT … USING INDEX.
    Existing(RelationId),
}

#[derive(Debug, Clone)]
pub struct NewForeignKey {
    /// Column indexes of the referencing table.
    pub columns: Vec<usize>,
    pub referenced: ReferencedTable,
    /// Column indexes of the referenced table, matched to `columns`.
    pub referenced_columns: Vec<usize>,
    pub on_update: ForeignKeyAction,
    pub on_delete: ForeignKeyAction,
    pub match_full: bool,
}

/// What a new foreign key points at.
#[derive(Debug, Clone)]
pub enum ReferencedTable {
    Existing {
        table: RelationId,
        index: RelationId,
    },
    /// The table being made or altered, by an index that it has or gets.
    Itself(NewConstraintIndex),
}

#[derive(Debug, Clone)]
pub struct CreateTableAs {
    pub table: CreateTable,
    /// Yields the table's columns in order; `None` for WITH NO DATA.
    pub query: Option<LogicalStatement>,
}

#[derive(Debug, Clone)]
pub struct CreateIndex {
    pub table: Arc<TableDef>,
    pub index: NewIndex,
    /// The key columns over the table's row.
    pub keys: Vec<Expr>,
    /// The condition over the table's row.
    pub predicate: Option<Expr>,
    pub concurrently: bool,
}

#[derive(Debug, Clone)]
pub struct CreateView {
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    pub persistence: Persistence,
    pub columns: Vec<ViewColumn>,
    pub definition: String,
    pub search_path: Vec<String>,
    pub depends_on: Vec<RelationId>,
    /// OR REPLACE: the view there is.
    pub replaces: Option<RelationId>,
}

#[derive(Debug, Clone)]
pub struct CreateSequence {
    pub owner: RoleId,
    pub persistence: Persistence,
    pub sequence: NewSequence,
    pub owned_by: Option<(RelationId, i16)>,
}

#[derive(Debug, Clone)]
pub struct AlterSequence {
    /// As it is to be.
    pub sequence: SequenceDef,
    /// RESTART: the next value.
    pub restart: Option<i64>,
}

/// DROP. `objects` are all that go, dependents before what they depend on; `named` only those the user named.
#[derive(Debug, Clone)]
pub struct DropObjects {
    pub objects: Vec<ObjectId>,
    pub named: Vec<ObjectId>,
}

#[derive(Debug, Clone)]
pub struct Truncate {
    /// Also those that CASCADE brings in.
    pub tables: Vec<Arc<TableDef>>,
    /// RESTART IDENTITY: sequences to be set back to their start.
    pub restart: Vec<RelationId>,
}

/// ALTER TABLE: actions in the order they are to be made, in one pass over the rows where one is needed.
#[derive(Debug, Clone)]
pub struct AlterTable {
    pub table: Arc<TableDef>,
    pub actions: Vec<AlterTableAction>,
    /// Indexes that new constraints need.
    pub indexes: Vec<NewIndex>,
}

#[derive(Debug, Clone)]
pub enum AlterTableAction {
    AddColumn {
        /// Its `number` and `missing` are set: rows that exist read `missing` unless `fill` is given.
        column: ColumnDef,
        sequence: Option<NewSequence>,
        /// A value per existing row, over the old row; the table is rewritten. (Volatile defaults,
        /// generated columns; a serial or identity column takes `nextval` of `sequence` instead.)
        fill: Option<Expr>,
    },
    /// Column index. What depends on it (constraints, indexes, owned sequences, with CASCADE views) is in `objects`.
    DropColumn {
        column: usize,
        objects: Vec<ObjectId>,
    },
    /// The new value over the old row; rows are rewritten, indexes on the column rebuilt.
    AlterColumnType {
        column: usize,
        data_type: DataType,
        value: Expr,
        rewrite: bool,
        default: Option<String>,
    },
    /// SQL text, or none.
    SetDefault {
        column: usize,
        default: Option<String>,
    },
    SetNotNull {
        column: usize,
    },
    DropNotNull {
        column: usize,
    },
    AddIdentity {
        column: usize,
        identity: Identity,
        sequence: NewSequence,
    },
    SetIdentity {
        column: usize,
        identity: Identity,
        sequence: Option<AlterSequence>,
    },
    /// `sequence` goes with it.
    DropIdentity {
        column: usize,
        sequence: Option<RelationId>,
    },
    /// A generated column keeps its values and becomes an ordinary one.
    DropExpression {
        column: usize,
    },
    AddConstraint(NewConstraint),
    /// `objects`: the constraint and what goes with it.
    DropConstraint {
        objects: Vec<ObjectId>,
    },
    ValidateConstraint {
        constraint: ConstraintId,
    },
    AlterConstraint {
        constraint: ConstraintId,
        deferrable: bool,
        initially_deferred: bool,
    },
    SetOwner(RoleId),
}

#[derive(Debug, Clone)]
pub struct Analyze {
    pub table: Arc<TableDef>,
    /// Indexes of the columns asked for; empty: all.
    pub columns: Vec<usize>,
}
