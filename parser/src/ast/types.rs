//! Names of types, roles and objects, and the generic option list: what several statements share.
//!
//! Built by `grammar/`; type names are not resolved here, only given PostgreSQL's internal spelling
//! where SQL has a keyword for it (`integer` → `pg_catalog.int4`).

use types::Span;

use super::expr::Expr;

/// A type as written.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeName {
    /// `["pg_catalog", "int4"]`, `["inet"]`, `["s", "t"]`.
    pub names: Vec<String>,
    /// `numeric(10, 2)` → two constants. An interval's fields are PostgreSQL's mask, then the precision if any.
    pub typmods: Vec<Expr>,
    /// One entry per dimension, -1 where no bound is written.
    pub array_bounds: Vec<i32>,
    /// SETOF.
    pub setof: bool,
    /// `table.column%TYPE`.
    pub pct_type: bool,
    pub span: Span,
}

/// A qualified name with its place: `s.t`, at most `catalog.schema.name` for relations.
#[derive(Debug, Clone, PartialEq)]
pub struct QualifiedName {
    pub parts: Vec<String>,
    pub span: Span,
}

/// A role where a statement names one.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSpec {
    pub kind: RoleSpecKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RoleSpecKind {
    Name(String),
    CurrentRole,
    CurrentUser,
    SessionUser,
    Public,
}

/// One `name [= value]` of an option list; names are lower case.
#[derive(Debug, Clone, PartialEq)]
pub struct DefElem {
    /// `toast.autovacuum_enabled` → `toast`.
    pub namespace: Option<String>,
    pub name: String,
    pub value: Option<DefValue>,
    pub span: Span,
}

/// The value of an option, as its token said.
#[derive(Debug, Clone, PartialEq)]
pub enum DefValue {
    /// An integer with its sign.
    Integer(i64),
    /// Another number, text as written.
    Numeric(String),
    /// A quoted string.
    String(String),
    /// A bare word, or `true`, `false`, `on`.
    Word(String),
    /// `*`.
    Star,
    /// `(a, b, c)`.
    List(Vec<String>),
    /// A type name that is not a single plain word.
    Type(TypeName),
    /// An operator.
    Operator(String),
}

/// What DROP, COMMENT, ALTER … RENAME, GRANT and so on speak about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectType {
    AccessMethod,
    Aggregate,
    Cast,
    Collation,
    Column,
    Constraint,
    Conversion,
    Database,
    Domain,
    DomainConstraint,
    EventTrigger,
    Extension,
    ForeignDataWrapper,
    ForeignServer,
    ForeignTable,
    Function,
    Index,
    Language,
    LargeObject,
    MaterializedView,
    Operator,
    OperatorClass,
    OperatorFamily,
    Parameter,
    Policy,
    Procedure,
    Publication,
    Role,
    Routine,
    Rule,
    Schema,
    Sequence,
    Statistics,
    Subscription,
    Table,
    Tablespace,
    TextSearchConfiguration,
    TextSearchDictionary,
    TextSearchParser,
    TextSearchTemplate,
    Transform,
    Trigger,
    Type,
    TypeAttribute,
    UserMapping,
    View,
}

impl ObjectType {
    /// As command tags and messages spell it: `MATERIALIZED VIEW`.
    pub fn keyword(self) -> &'static str {
        match self {
            ObjectType::AccessMethod => "ACCESS METHOD",
            ObjectType::Aggregate => "AGGREGATE",
            ObjectType::Cast => "CAST",
            ObjectType::Collation => "COLLATION",
            ObjectType::Column => "COLUMN",
            ObjectType::Constraint | ObjectType::DomainConstraint => "CONSTRAINT",
            ObjectType::Conversion => "CONVERSION",
            ObjectType::Database => "DATABASE",
            ObjectType::Domain => "DOMAIN",
            ObjectType::EventTrigger => "EVENT TRIGGER",
            ObjectType::Extension => "EXTENSION",
            ObjectType::ForeignDataWrapper => "FOREIGN DATA WRAPPER",
            ObjectType::ForeignServer => "SERVER",
            ObjectType::ForeignTable => "FOREIGN TABLE",
            ObjectType::Function => "FUNCTION",
            ObjectType::Index => "INDEX",
            ObjectType::Language => "LANGUAGE",
            ObjectType::LargeObject => "LARGE OBJECT",
            ObjectType::MaterializedView => "MATERIALIZED VIEW",
            ObjectType::Operator => "OPERATOR",
            ObjectType::OperatorClass => "OPERATOR CLASS",
            ObjectType::OperatorFamily => "OPERATOR FAMILY",
            ObjectType::Parameter => "PARAMETER",
            ObjectType::Policy => "POLICY",
            ObjectType::Procedure => "PROCEDURE",
            ObjectType::Publication => "PUBLICATION",
            ObjectType::Role => "ROLE",
            ObjectType::Routine => "ROUTINE",
            ObjectType::Rule => "RULE",
            ObjectType::Schema => "SCHEMA",
            ObjectType::Sequence => "SEQUENCE",
            ObjectType::Statistics => "STATISTICS",
            ObjectType::Subscription => "SUBSCRIPTION",
            ObjectType::Table => "TABLE",
            ObjectType::Tablespace => "TABLESPACE",
            ObjectType::TextSearchConfiguration => "TEXT SEARCH CONFIGURATION",
            ObjectType::TextSearchDictionary => "TEXT SEARCH DICTIONARY",
            ObjectType::TextSearchParser => "TEXT SEARCH PARSER",
            ObjectType::TextSearchTemplate => "TEXT SEARCH TEMPLATE",
            ObjectType::Transform => "TRANSFORM",
            ObjectType::Trigger => "TRIGGER",
            ObjectType::Type => "TYPE",
            ObjectType::TypeAttribute => "ATTRIBUTE",
            ObjectType::UserMapping => "USER MAPPING",
            ObjectType::View => "VIEW",
        }
    }
}

/// One object a statement speaks about.
#[derive(Debug, Clone, PartialEq)]
pub enum ObjectRef {
    /// Tables, views, indexes, sequences, schemas, roles, databases …; for a column the last part is its name.
    Name(QualifiedName),
    /// Types and domains.
    Type(TypeName),
    /// Functions, procedures, routines, aggregates; operators too.
    Function(FunctionRef),
    /// Constraint, trigger, policy or rule `name` on `table` (for a domain's constraint: on the domain).
    On { name: String, table: QualifiedName },
    /// `CAST (source AS target)`.
    Cast { source: TypeName, target: TypeName },
    /// A large object's number.
    Number(u64, Span),
}

impl ObjectRef {
    pub fn span(&self) -> Span {
        match self {
            ObjectRef::Name(name) => name.span,
            ObjectRef::Type(name) => name.span,
            ObjectRef::Function(function) => function.name.span,
            ObjectRef::On { table, .. } => table.span,
            ObjectRef::Cast { source, .. } => source.span,
            ObjectRef::Number(_, span) => *span,
        }
    }
}

/// A function as DROP and ALTER name it.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionRef {
    pub name: QualifiedName,
    /// `None`: no argument list was written. OUT arguments are left out, as in PostgreSQL.
    pub args: Option<Vec<TypeName>>,
    /// `agg(*)`.
    pub star: bool,
}

/// RESTRICT (also when nothing is written) or CASCADE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DropBehavior {
    #[default]
    Restrict,
    Cascade,
}
