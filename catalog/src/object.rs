//! What a schema is made of: tables, columns, indexes, constraints, views, sequences, roles.
//!
//! Objects are immutable once published; a change makes new ones ([`crate::change`]). Expressions
//! (defaults, checks, index expressions, views) are kept as SQL text and bound by the planner when
//! a statement needs them, so that this crate needs no parser. OIDs are PostgreSQL's for what
//! PostgreSQL has built in; others count up from [`FIRST_USER_OID`].

use std::sync::Arc;

use types::{DataType, Value};

/// The first OID given to an object a user makes, as in PostgreSQL.
pub const FIRST_USER_OID: u32 = 16384;

macro_rules! oid_newtype {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub u32);
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

oid_newtype! {
    /// A relation: table, index, view or sequence share one OID space (`pg_class.oid`).
    RelationId;
    /// `pg_namespace.oid`.
    SchemaId;
    /// `pg_authid.oid`.
    RoleId;
    /// `pg_database.oid`.
    DatabaseId;
    /// `pg_constraint.oid`.
    ConstraintId;
}

/// A tree of the store: what `storage` calls `TreeId`, as a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TreeNumber(pub u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDef {
    pub id: SchemaId,
    pub name: String,
    pub owner: RoleId,
    pub comment: Option<String>,
}

/// A table. Columns keep their numbers for life; a dropped one stays as a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDef {
    pub id: RelationId,
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    /// In order of `number` (1, 2, …): a stored row has one field per entry, dropped ones included.
    pub columns: Vec<ColumnDef>,
    /// Rows, by primary-key bytes if `primary_key` is some, else by a hidden 8-byte row id.
    pub tree: TreeNumber,
    /// Column indexes (into `columns`) whose key bytes order the tree; `None`: hidden row id.
    /// A primary key added to a table that has rows already gets an index instead.
    pub clustered_by: Option<Vec<usize>>,
    pub indexes: Vec<Arc<IndexDef>>,
    pub constraints: Vec<ConstraintDef>,
    pub persistence: Persistence,
    pub comment: Option<String>,
    /// OID of the row type (`pg_type`), for `typrelid` and `reltype`.
    pub row_type: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    Permanent,
    Temporary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDef {
    pub name: String,
    /// 1-based `attnum`.
    pub number: i16,
    pub data_type: DataType,
    pub not_null: bool,
    /// SQL text of the default, as the user's text deparses.
    pub default: Option<String>,
    /// GENERATED ALWAYS AS (…) STORED: `default` holds the expression.
    pub generated: bool,
    pub identity: Identity,
    /// The value of this column in rows stored before the column was added.
    pub missing: Value,
    pub dropped: bool,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identity {
    #[default]
    None,
    Always,
    ByDefault,
}

/// A secondary index (or the primary key's own tree, when `is_clustered`).
///
/// Tree: key = the key columns' bytes (and the table key's bytes if not unique, or if a unique
/// key holds a NULL), record = the table key's bytes, then INCLUDE columns as a stored row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDef {
    pub id: RelationId,
    pub table: RelationId,
    pub schema: SchemaId,
    pub name: String,
    pub columns: Vec<IndexColumn>,
    /// Column indexes stored beside the key.
    pub include: Vec<usize>,
    pub unique: bool,
    pub primary: bool,
    pub nulls_not_distinct: bool,
    /// This is the table's own order: `tree` is the table's tree, nothing is stored twice.
    pub is_clustered: bool,
    pub tree: TreeNumber,
    /// SQL text of a partial index's condition.
    pub predicate: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// Index into the table's `columns`, or `None` for an expression.
    pub column: Option<usize>,
    /// SQL text of the expression when `column` is `None`.
    pub expression: Option<String>,
    pub data_type: DataType,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintDef {
    pub id: ConstraintId,
    pub name: String,
    pub kind: ConstraintKind,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub validated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintKind {
    PrimaryKey {
        index: RelationId,
    },
    Unique {
        index: RelationId,
    },
    /// SQL text of the condition.
    Check {
        expression: String,
        columns: Vec<usize>,
    },
    ForeignKey(ForeignKey),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Column indexes of this table.
    pub columns: Vec<usize>,
    pub referenced_table: RelationId,
    /// Column indexes of the referenced table, matched to `columns`.
    pub referenced_columns: Vec<usize>,
    /// The unique index that the referenced columns have.
    pub referenced_index: RelationId,
    pub on_update: ForeignKeyAction,
    pub on_delete: ForeignKeyAction,
    pub match_full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForeignKeyAction {
    #[default]
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDef {
    pub id: RelationId,
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    pub columns: Vec<ViewColumn>,
    /// The SELECT's text, names qualified so that search_path does not matter.
    pub definition: String,
    /// The search_path in force when it was made, under which `definition` is bound.
    pub search_path: Vec<String>,
    /// Relations the definition reads: they cannot be dropped without CASCADE.
    pub depends_on: Vec<RelationId>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    pub name: String,
    pub data_type: DataType,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceDef {
    pub id: RelationId,
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    pub data_type: DataType,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    /// The table column that owns it (serial, identity), dropped with it.
    pub owned_by: Option<(RelationId, i16)>,
    /// The current value lives in the store's sequence tree under this sequence's OID.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDef {
    pub id: RoleId,
    pub name: String,
    pub superuser: bool,
    pub inherit: bool,
    pub create_role: bool,
    pub create_db: bool,
    pub login: bool,
    pub replication: bool,
    pub bypass_rls: bool,
    pub connection_limit: i32,
    /// SCRAM verifier as PostgreSQL stores it.
    pub password: Option<String>,
    pub valid_until: Option<i64>,
    pub member_of: Vec<RoleId>,
    /// Those of them whose members it may choose: WITH ADMIN OPTION.
    pub admin_of: Vec<RoleId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseDef {
    pub id: DatabaseId,
    pub name: String,
    pub owner: RoleId,
    pub allow_connections: bool,
    pub connection_limit: i32,
}

impl TableDef {
    /// Columns that are not dropped, with their index into `columns`.
    pub fn live_columns(&self) -> impl Iterator<Item = (usize, &ColumnDef)> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.dropped)
    }

    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.live_columns().find(|(_, column)| column.name == name).map(|(index, _)| index)
    }

    pub fn primary_key(&self) -> Option<&Arc<IndexDef>> {
        self.indexes.iter().find(|index| index.primary)
    }
}
