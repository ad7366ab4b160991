//! Objects as bytes: the stored form of the catalog.
//!
//! Key: database (0 for shared objects), kind, OID, all big-endian. Record: the object's fields in
//! order, after a version byte per object. A field added later goes to the end and reads as its
//! default from older records, so that every later version opens today's files.

use std::sync::Arc;

use types::{DataType, Error, Physical, Result, Value};

use crate::acl::{AclDef, AclItem, AclKind, AclTarget, DefaultAcl, Rights};
use crate::change::{Object, ObjectId};
use crate::object::*;
use crate::stats::{ColumnStats, TableStats};

/// Bumped only when a record can no longer be read by appending fields.
const VERSION: u8 = 1;

fn kind(id: ObjectId) -> (u8, u32) {
    match id {
        ObjectId::Database(id) => (1, id.0),
        ObjectId::Role(id) => (2, id.0),
        ObjectId::Schema(id) => (3, id.0),
        ObjectId::Table(id) => (4, id.0),
        ObjectId::View(id) => (5, id.0),
        ObjectId::Sequence(id) => (6, id.0),
        ObjectId::Stats(id) => (7, id.0),
        ObjectId::Acl(AclTarget::Database(id)) => (8, id.0),
        ObjectId::Acl(AclTarget::Schema(id)) => (9, id.0),
        ObjectId::Acl(AclTarget::Relation(id)) => (10, id.0),
        ObjectId::Acl(AclTarget::Defaults(id)) => (11, id.0),
    }
}

/// The key of an object of `database` in the system tree; shared objects lie under database 0.
pub fn encode_key(database: DatabaseId, id: ObjectId) -> Vec<u8> {
    let (kind, oid) = kind(id);
    let mut key = database_prefix(if id.is_shared() { DatabaseId(0) } else { database });
    key.push(kind);
    key.extend_from_slice(&oid.to_be_bytes());
    key
}

/// What the keys of all objects of a database begin with.
pub fn database_prefix(database: DatabaseId) -> Vec<u8> {
    database.0.to_be_bytes().to_vec()
}

/// The record of `object`.
pub fn encode(object: &Object) -> Vec<u8> {
    let mut out = Writer { bytes: vec![VERSION] };
    match object {
        Object::Database(def) => {
            out.u32(def.id.0);
            out.string(&def.name);
            out.u32(def.owner.0);
            out.bool(def.allow_connections);
            out.i32(def.connection_limit);
        }
        Object::Role(def) => write_role(&mut out, def),
        Object::Schema(def) => {
            out.u32(def.id.0);
            out.string(&def.name);
            out.u32(def.owner.0);
            out.option(&def.comment, |out, text| out.string(text));
        }
        Object::Table(def) => write_table(&mut out, def),
        Object::View(def) => write_view(&mut out, def),
        Object::Sequence(def) => write_sequence(&mut out, def),
        Object::Stats(stats) => write_stats(&mut out, stats),
        Object::Acl(def) => write_acl(&mut out, def),
    }
    out.bytes
}

/// The object of a record, by its key. XX001 when either is malformed.
pub fn decode(key: &[u8], record: &[u8]) -> Result<Object> {
    let kind = key.get(4).copied().ok_or_else(|| malformed("key too short"))?;
    let mut input = Reader { bytes: record, depth: 0 };
    let version = input.u8()?;
    if version != VERSION {
        return Err(malformed("unknown record version"));
    }
    let object = match kind {
        1 => Object::Database(Arc::new(DatabaseDef {
            id: DatabaseId(input.u32()?),
            name: input.string()?,
            owner: RoleId(input.u32()?),
            allow_connections: input.bool()?,
            connection_limit: input.i32()?,
        })),
        2 => Object::Role(Arc::new(read_role(&mut input)?)),
        3 => Object::Schema(Arc::new(SchemaDef {
            id: SchemaId(input.u32()?),
            name: input.string()?,
            owner: RoleId(input.u32()?),
            comment: input.option(Reader::string)?,
        })),
        4 => Object::Table(Arc::new(read_table(&mut input)?)),
        5 => Object::View(Arc::new(read_view(&mut input)?)),
        6 => Object::Sequence(Arc::new(read_sequence(&mut input)?)),
        7 => Object::Stats(Arc::new(read_stats(&mut input)?)),
        8..=11 => Object::Acl(Arc::new(read_acl(kind, &mut input)?)),
        _ => return Err(malformed("unknown kind of object")),
    };
    Ok(object)
}

fn malformed(what: &str) -> Error {
    Error::corrupted(format!("malformed catalog record: {what}"))
}

fn write_role(out: &mut Writer, def: &RoleDef) {
    out.u32(def.id.0);
    out.string(&def.name);
    for flag in [
        def.superuser,
        def.inherit,
        def.create_role,
        def.create_db,
        def.login,
        def.replication,
        def.bypass_rls,
    ] {
        out.bool(flag);
    }
    out.i32(def.connection_limit);
    out.option(&def.password, |out, text| out.string(text));
    out.option(&def.valid_until, |out, at| out.i64(*at));
    out.list(&def.member_of, |out, role| out.u32(role.0));
    out.list(&def.admin_of, |out, role| out.u32(role.0));
}

fn read_role(input: &mut Reader<'_>) -> Result<RoleDef> {
    Ok(RoleDef {
        id: RoleId(input.u32()?),
        name: input.string()?,
        superuser: input.bool()?,
        inherit: input.bool()?,
        create_role: input.bool()?,
        create_db: input.bool()?,
        login: input.bool()?,
        replication: input.bool()?,
        bypass_rls: input.bool()?,
        connection_limit: input.i32()?,
        password: input.option(Reader::string)?,
        valid_until: input.option(Reader::i64)?,
        member_of: input.list(|input| Ok(RoleId(input.u32()?)))?,
        admin_of: match input.bytes.is_empty() {
            true => Vec::new(),
            false => input.list(|input| Ok(RoleId(input.u32()?)))?,
        },
    })
}

fn write_acl(out: &mut Writer, def: &AclDef) {
    out.u32(kind(ObjectId::Acl(def.target)).1);
    out.option(&def.items, |out, items| out.list(items, write_acl_item));
    out.list(&def.columns, |out, (number, items)| {
        out.i16(*number);
        out.list(items, write_acl_item);
    });
    out.list(&def.defaults, |out, default| {
        out.u32(default.schema.map_or(0, |schema| schema.0));
        out.u8(match default.kind {
            AclKind::Table => 0,
            AclKind::Column => 1,
            AclKind::Sequence => 2,
            AclKind::Schema => 3,
            AclKind::Database => 4,
        });
        out.list(&default.items, write_acl_item);
    });
}

fn write_acl_item(out: &mut Writer, item: &AclItem) {
    out.u32(item.grantee.0);
    out.u32(item.grantor.0);
    out.u32(u32::from(item.rights.0));
    out.u32(u32::from(item.grantable.0));
}

fn read_acl(kind: u8, input: &mut Reader<'_>) -> Result<AclDef> {
    let oid = input.u32()?;
    Ok(AclDef {
        target: match kind {
            8 => AclTarget::Database(DatabaseId(oid)),
            9 => AclTarget::Schema(SchemaId(oid)),
            10 => AclTarget::Relation(RelationId(oid)),
            _ => AclTarget::Defaults(RoleId(oid)),
        },
        items: input.option(|input| input.list(read_acl_item))?,
        columns: input.list(|input| Ok((input.i16()?, input.list(read_acl_item)?)))?,
        defaults: input.list(|input| {
            Ok(DefaultAcl {
                schema: Some(SchemaId(input.u32()?)).filter(|schema| schema.0 != 0),
                kind: match input.u8()? {
                    0 => AclKind::Table,
                    1 => AclKind::Column,
                    2 => AclKind::Sequence,
                    3 => AclKind::Schema,
                    4 => AclKind::Database,
                    _ => return Err(malformed("unknown kind of rights")),
                },
                items: input.list(read_acl_item)?,
            })
        })?,
    })
}

fn read_acl_item(input: &mut Reader<'_>) -> Result<AclItem> {
    let rights = |input: &mut Reader<'_>| -> Result<Rights> {
        u16::try_from(input.u32()?).map(Rights).map_err(|_| malformed("unknown rights"))
    };
    Ok(AclItem {
        grantee: RoleId(input.u32()?),
        grantor: RoleId(input.u32()?),
        rights: rights(input)?,
        grantable: rights(input)?,
    })
}

fn write_table(out: &mut Writer, def: &TableDef) {
    out.u32(def.id.0);
    out.u32(def.schema.0);
    out.string(&def.name);
    out.u32(def.owner.0);
    out.list(&def.columns, write_column);
    out.u64(def.tree.0);
    out.option(&def.clustered_by, |out, columns| out.list(columns, |out, column| out.size(*column)));
    out.list(&def.indexes, |out, index| write_index(out, index));
    out.list(&def.constraints, write_constraint);
    out.u8(match def.persistence {
        Persistence::Permanent => 0,
        Persistence::Temporary => 1,
    });
    out.option(&def.comment, |out, text| out.string(text));
    out.u32(def.row_type);
}

fn read_table(input: &mut Reader<'_>) -> Result<TableDef> {
    Ok(TableDef {
        id: RelationId(input.u32()?),
        schema: SchemaId(input.u32()?),
        name: input.string()?,
        owner: RoleId(input.u32()?),
        columns: input.list(read_column)?,
        tree: TreeNumber(input.u64()?),
        clustered_by: input.option(|input| input.list(Reader::size))?,
        indexes: input.list(|input| Ok(Arc::new(read_index(input)?)))?,
        constraints: input.list(read_constraint)?,
        persistence: match input.u8()? {
            0 => Persistence::Permanent,
            1 => Persistence::Temporary,
            _ => return Err(malformed("persistence")),
        },
        comment: input.option(Reader::string)?,
        row_type: input.u32()?,
    })
}

fn write_column(out: &mut Writer, column: &ColumnDef) {
    out.string(&column.name);
    out.i16(column.number);
    out.data_type(column.data_type);
    out.bool(column.not_null);
    out.option(&column.default, |out, text| out.string(text));
    out.bool(column.generated);
    out.u8(match column.identity {
        Identity::None => 0,
        Identity::Always => 1,
        Identity::ByDefault => 2,
    });
    out.value(&column.missing);
    out.bool(column.dropped);
    out.option(&column.comment, |out, text| out.string(text));
}

fn read_column(input: &mut Reader<'_>) -> Result<ColumnDef> {
    Ok(ColumnDef {
        name: input.string()?,
        number: input.i16()?,
        data_type: input.data_type()?,
        not_null: input.bool()?,
        default: input.option(Reader::string)?,
        generated: input.bool()?,
        identity: match input.u8()? {
            0 => Identity::None,
            1 => Identity::Always,
            2 => Identity::ByDefault,
            _ => return Err(malformed("identity")),
        },
        missing: input.value()?,
        dropped: input.bool()?,
        comment: input.option(Reader::string)?,
    })
}

fn write_index(out: &mut Writer, index: &IndexDef) {
    out.u32(index.id.0);
    out.u32(index.table.0);
    out.u32(index.schema.0);
    out.string(&index.name);
    out.list(&index.columns, |out, column| {
        out.option(&column.column, |out, index| out.size(*index));
        out.option(&column.expression, |out, text| out.string(text));
        out.data_type(column.data_type);
        out.bool(column.descending);
        out.bool(column.nulls_first);
    });
    out.list(&index.include, |out, column| out.size(*column));
    for flag in [index.unique, index.primary, index.nulls_not_distinct, index.is_clustered] {
        out.bool(flag);
    }
    out.u64(index.tree.0);
    out.option(&index.predicate, |out, text| out.string(text));
    out.option(&index.comment, |out, text| out.string(text));
}

fn read_index(input: &mut Reader<'_>) -> Result<IndexDef> {
    Ok(IndexDef {
        id: RelationId(input.u32()?),
        table: RelationId(input.u32()?),
        schema: SchemaId(input.u32()?),
        name: input.string()?,
        columns: input.list(|input| {
            Ok(IndexColumn {
                column: input.option(Reader::size)?,
                expression: input.option(Reader::string)?,
                data_type: input.data_type()?,
                descending: input.bool()?,
                nulls_first: input.bool()?,
            })
        })?,
        include: input.list(Reader::size)?,
        unique: input.bool()?,
        primary: input.bool()?,
        nulls_not_distinct: input.bool()?,
        is_clustered: input.bool()?,
        tree: TreeNumber(input.u64()?),
        predicate: input.option(Reader::string)?,
        comment: input.option(Reader::string)?,
    })
}

fn write_constraint(out: &mut Writer, constraint: &ConstraintDef) {
    out.u32(constraint.id.0);
    out.string(&constraint.name);
    match &constraint.kind {
        ConstraintKind::PrimaryKey { index } => {
            out.u8(0);
            out.u32(index.0);
        }
        ConstraintKind::Unique { index } => {
            out.u8(1);
            out.u32(index.0);
        }
        ConstraintKind::Check { expression, columns } => {
            out.u8(2);
            out.string(expression);
            out.list(columns, |out, column| out.size(*column));
        }
        ConstraintKind::ForeignKey(key) => {
            out.u8(3);
            out.list(&key.columns, |out, column| out.size(*column));
            out.u32(key.referenced_table.0);
            out.list(&key.referenced_columns, |out, column| out.size(*column));
            out.u32(key.referenced_index.0);
            out.u8(action_number(key.on_update));
            out.u8(action_number(key.on_delete));
            out.bool(key.match_full);
        }
    }
    out.bool(constraint.deferrable);
    out.bool(constraint.initially_deferred);
    out.bool(constraint.validated);
}

fn read_constraint(input: &mut Reader<'_>) -> Result<ConstraintDef> {
    let id = ConstraintId(input.u32()?);
    let name = input.string()?;
    let kind = match input.u8()? {
        0 => ConstraintKind::PrimaryKey { index: RelationId(input.u32()?) },
        1 => ConstraintKind::Unique { index: RelationId(input.u32()?) },
        2 => ConstraintKind::Check { expression: input.string()?, columns: input.list(Reader::size)? },
        3 => ConstraintKind::ForeignKey(ForeignKey {
            columns: input.list(Reader::size)?,
            referenced_table: RelationId(input.u32()?),
            referenced_columns: input.list(Reader::size)?,
            referenced_index: RelationId(input.u32()?),
            on_update: read_action(input)?,
            on_delete: read_action(input)?,
            match_full: input.bool()?,
        }),
        _ => return Err(malformed("kind of constraint")),
    };
    Ok(ConstraintDef {
        id,
        name,
        kind,
        deferrable: input.bool()?,
        initially_deferred: input.bool()?,
        validated: input.bool()?,
    })
}

fn action_number(action: ForeignKeyAction) -> u8 {
    match action {
        ForeignKeyAction::NoAction => 0,
        ForeignKeyAction::Restrict => 1,
        ForeignKeyAction::Cascade => 2,
        ForeignKeyAction::SetNull => 3,
        ForeignKeyAction::SetDefault => 4,
    }
}

fn read_action(input: &mut Reader<'_>) -> Result<ForeignKeyAction> {
    Ok(match input.u8()? {
        0 => ForeignKeyAction::NoAction,
        1 => ForeignKeyAction::Restrict,
        2 => ForeignKeyAction::Cascade,
        3 => ForeignKeyAction::SetNull,
        4 => ForeignKeyAction::SetDefault,
        _ => return Err(malformed("foreign-key action")),
    })
}

fn write_view(out: &mut Writer, def: &ViewDef) {
    out.u32(def.id.0);
    out.u32(def.schema.0);
    out.string(&def.name);
    out.u32(def.owner.0);
    out.list(&def.columns, |out, column| {
        out.string(&column.name);
        out.data_type(column.data_type);
    });
    out.string(&def.definition);
    out.list(&def.search_path, |out, name| out.string(name));
    out.list(&def.depends_on, |out, id| out.u32(id.0));
    out.option(&def.comment, |out, text| out.string(text));
}

fn read_view(input: &mut Reader<'_>) -> Result<ViewDef> {
    Ok(ViewDef {
        id: RelationId(input.u32()?),
        schema: SchemaId(input.u32()?),
        name: input.string()?,
        owner: RoleId(input.u32()?),
        columns: input
            .list(|input| Ok(ViewColumn { name: input.string()?, data_type: input.data_type()? }))?,
        definition: input.string()?,
        search_path: input.list(Reader::string)?,
        depends_on: input.list(|input| Ok(RelationId(input.u32()?)))?,
        comment: input.option(Reader::string)?,
    })
}

fn write_sequence(out: &mut Writer, def: &SequenceDef) {
    out.u32(def.id.0);
    out.u32(def.schema.0);
    out.string(&def.name);
    out.u32(def.owner.0);
    out.data_type(def.data_type);
    for number in [def.start, def.increment, def.min, def.max, def.cache] {
        out.i64(number);
    }
    out.bool(def.cycle);
    out.option(&def.owned_by, |out, (table, column)| {
        out.u32(table.0);
        out.i16(*column);
    });
    out.option(&def.comment, |out, text| out.string(text));
}

fn read_sequence(input: &mut Reader<'_>) -> Result<SequenceDef> {
    Ok(SequenceDef {
        id: RelationId(input.u32()?),
        schema: SchemaId(input.u32()?),
        name: input.string()?,
        owner: RoleId(input.u32()?),
        data_type: input.data_type()?,
        start: input.i64()?,
        increment: input.i64()?,
        min: input.i64()?,
        max: input.i64()?,
        cache: input.i64()?,
        cycle: input.bool()?,
        owned_by: input.option(|input| Ok((RelationId(input.u32()?), input.i16()?)))?,
        comment: input.option(Reader::string)?,
    })
}

fn write_stats(out: &mut Writer, stats: &TableStats) {
    out.u32(stats.table.0);
    out.f64(stats.rows);
    out.u64(stats.pages);
    out.u64(stats.sample_rows);
    out.list(&stats.columns, |out, column| {
        out.option(column, |out, column| {
            out.f64(column.null_fraction);
            out.f64(column.average_width);
            out.f64(column.distinct);
            out.list(&column.most_common, |out, (value, fraction)| {
                out.value(value);
                out.f64(*fraction);
            });
            out.list(&column.histogram, Writer::value);
            out.option(&column.correlation, |out, value| out.f64(*value));
        });
    });
}

fn read_stats(input: &mut Reader<'_>) -> Result<TableStats> {
    Ok(TableStats {
        table: RelationId(input.u32()?),
        rows: input.f64()?,
        pages: input.u64()?,
        sample_rows: input.u64()?,
        columns: input.list(|input| {
            input.option(|input| {
                Ok(ColumnStats {
                    null_fraction: input.f64()?,
                    average_width: input.f64()?,
                    distinct: input.f64()?,
                    most_common: input.list(|input| Ok((input.value()?, input.f64()?)))?,
                    histogram: input.list(Reader::value)?,
                    correlation: input.option(Reader::f64)?,
                })
            })
        })?,
    })
}

/// Appends fields; integers little-endian, lengths as u32.
struct Writer {
    bytes: Vec<u8>,
}

macro_rules! fixed_width {
    ($($name:ident)*) => {
        impl Writer {
            $(fn $name(&mut self, value: $name) {
                self.bytes.extend_from_slice(&value.to_le_bytes());
            })*
        }
        impl Reader<'_> {
            $(fn $name(&mut self) -> Result<$name> {
                Ok($name::from_le_bytes(self.array()?))
            })*
        }
    };
}

fixed_width! { u8 u32 u64 u128 i16 i32 i64 f32 f64 }

impl Writer {
    fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    fn size(&mut self, value: usize) {
        self.u32(u32::try_from(value).expect("a count of columns or bytes of a definition fits u32"));
    }

    fn blob(&mut self, value: &[u8]) {
        self.size(value.len());
        self.bytes.extend_from_slice(value);
    }

    fn string(&mut self, value: &str) {
        self.blob(value.as_bytes());
    }

    fn option<T>(&mut self, value: &Option<T>, write: impl FnOnce(&mut Writer, &T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.size(values.len());
        for value in values {
            write(self, value);
        }
    }

    fn data_type(&mut self, value: DataType) {
        self.u32(value.oid);
        self.i32(value.modifier);
        self.u8(physical_number(value.physical));
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.u8(0),
            Value::Bool(value) => {
                self.u8(1);
                self.bool(*value);
            }
            Value::Int16(value) => {
                self.u8(2);
                self.i16(*value);
            }
            Value::Int32(value) => {
                self.u8(3);
                self.i32(*value);
            }
            Value::Int64(value) => {
                self.u8(4);
                self.i64(*value);
            }
            Value::UInt32(value) => {
                self.u8(5);
                self.u32(*value);
            }
            Value::Float32(value) => {
                self.u8(6);
                self.f32(*value);
            }
            Value::Float64(value) => {
                self.u8(7);
                self.f64(*value);
            }
            Value::Numeric(value) => {
                self.u8(8);
                self.string(&value.to_string());
            }
            Value::Interval(value) => {
                self.u8(9);
                self.i32(value.months);
                self.i32(value.days);
                self.i64(value.micros);
            }
            Value::Text(value) => {
                self.u8(10);
                self.string(value);
            }
            Value::Bytea(value) => {
                self.u8(11);
                self.blob(value);
            }
            Value::Uuid(value) => {
                self.u8(12);
                self.u128(*value);
            }
            Value::Jsonb(value) => {
                self.u8(15);
                self.blob(value);
            }
            Value::Array(value) => {
                self.u8(13);
                self.data_type(value.element);
                self.list(&value.dimensions, |out, dimension| {
                    out.i32(dimension.length);
                    out.i32(dimension.lower_bound);
                });
                self.list(&value.elements, Writer::value);
            }
            Value::Record(value) => {
                self.u8(14);
                self.list(value, Writer::value);
            }
        }
    }
}

/// Takes fields off the front; every malformed byte is an XX001.
struct Reader<'a> {
    bytes: &'a [u8],
    depth: u32,
}

/// How deep values may nest inside a stored value.
const MAX_DEPTH: u32 = 64;

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        if len > self.bytes.len() {
            return Err(malformed("too short"));
        }
        let (head, tail) = self.bytes.split_at(len);
        self.bytes = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| malformed("too short"))
    }

    fn bool(&mut self) -> Result<bool> {
        Ok(self.u8()? != 0)
    }

    fn size(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    fn blob(&mut self) -> Result<&'a [u8]> {
        let len = self.size()?;
        self.take(len)
    }

    fn string(&mut self) -> Result<String> {
        String::from_utf8(self.blob()?.to_vec()).map_err(|_| malformed("not UTF-8"))
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Reader<'a>) -> Result<T>) -> Result<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Reader<'a>) -> Result<T>) -> Result<Vec<T>> {
        let count = self.size()?;
        // A count beyond the bytes left is a lie; do not reserve for it.
        let mut values = Vec::with_capacity(count.min(self.bytes.len()));
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }

    fn data_type(&mut self) -> Result<DataType> {
        Ok(DataType { oid: self.u32()?, modifier: self.i32()?, physical: physical_from(self.u8()?)? })
    }

    fn value(&mut self) -> Result<Value> {
        if self.depth >= MAX_DEPTH {
            return Err(malformed("nested too deep"));
        }
        self.depth += 1;
        let value = self.nested_value();
        self.depth -= 1;
        value
    }

    fn nested_value(&mut self) -> Result<Value> {
        Ok(match self.u8()? {
            0 => Value::Null,
            1 => Value::Bool(self.bool()?),
            2 => Value::Int16(self.i16()?),
            3 => Value::Int32(self.i32()?),
            4 => Value::Int64(self.i64()?),
            5 => Value::UInt32(self.u32()?),
            6 => Value::Float32(self.f32()?),
            7 => Value::Float64(self.f64()?),
            8 => {
                let text = self.string()?;
                Value::Numeric(text.parse().map_err(|_| malformed("not a number"))?)
            }
            9 => Value::Interval(types::Interval {
                months: self.i32()?,
                days: self.i32()?,
                micros: self.i64()?,
            }),
            10 => Value::text(self.string()?),
            11 => Value::Bytea(Arc::from(self.blob()?)),
            12 => Value::Uuid(self.u128()?),
            13 => Value::Array(Arc::new(types::ArrayValue {
                element: self.data_type()?,
                dimensions: self.list(|input| {
                    Ok(types::value::ArrayDimension { length: input.i32()?, lower_bound: input.i32()? })
                })?,
                elements: self.list(Reader::value)?,
            })),
            14 => Value::Record(Arc::from(self.list(Reader::value)?)),
            15 => {
                let bytes = self.blob()?;
                types::json::binary::check(bytes)?;
                Value::Jsonb(Arc::from(bytes))
            }
            _ => return Err(malformed("unknown kind of value")),
        })
    }
}

const PHYSICALS: [Physical; 14] = [
    Physical::Bool,
    Physical::Int16,
    Physical::Int32,
    Physical::Int64,
    Physical::UInt32,
    Physical::Float32,
    Physical::Float64,
    Physical::Numeric,
    Physical::Interval,
    Physical::Text,
    Physical::Bytea,
    Physical::Uuid,
    Physical::Composed,
    Physical::Jsonb,
];

fn physical_number(physical: Physical) -> u8 {
    PHYSICALS.iter().position(|p| *p == physical).map_or(u8::MAX, |index| index as u8)
}

fn physical_from(number: u8) -> Result<Physical> {
    PHYSICALS.get(usize::from(number)).copied().ok_or_else(|| malformed("physical type"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap;

    fn sample_table() -> TableDef {
        let index = IndexDef {
            id: RelationId(16390),
            table: RelationId(16385),
            schema: SchemaId(2200),
            name: "t_pkey".into(),
            columns: vec![IndexColumn {
                column: Some(0),
                expression: None,
                data_type: DataType::INT4,
                descending: false,
                nulls_first: false,
            }],
            include: vec![],
            unique: true,
            primary: true,
            nulls_not_distinct: false,
            is_clustered: true,
            tree: TreeNumber(100),
            predicate: Some("a > 0".into()),
            comment: None,
        };
        let column = ColumnDef {
            name: "a".into(),
            number: 1,
            data_type: DataType::numeric(15, 2).unwrap(),
            not_null: true,
            default: Some("1 + 1".into()),
            generated: false,
            identity: Identity::ByDefault,
            missing: Value::text("x"),
            dropped: false,
            comment: Some("c".into()),
        };
        let check = ConstraintDef {
            id: ConstraintId(16391),
            name: "t_fk".into(),
            kind: ConstraintKind::ForeignKey(ForeignKey {
                columns: vec![0],
                referenced_table: RelationId(1),
                referenced_columns: vec![2],
                referenced_index: RelationId(3),
                on_update: ForeignKeyAction::Cascade,
                on_delete: ForeignKeyAction::SetNull,
                match_full: true,
            }),
            deferrable: true,
            initially_deferred: false,
            validated: true,
        };
        TableDef {
            id: RelationId(16385),
            schema: SchemaId(2200),
            name: "t".into(),
            owner: RoleId(10),
            columns: vec![column],
            tree: TreeNumber(100),
            clustered_by: Some(vec![0]),
            indexes: vec![Arc::new(index)],
            constraints: vec![check],
            persistence: Persistence::Permanent,
            comment: None,
            row_type: 16386,
        }
    }

    #[test]
    fn objects_survive_the_way_there_and_back() {
        let mut objects = bootstrap::shared_objects("alice", || 16384).puts;
        objects.extend(bootstrap::database_objects().puts);
        objects.push(Object::Table(Arc::new(sample_table())));
        objects.push(Object::Stats(Arc::new(TableStats {
            table: RelationId(16385),
            rows: 10.0,
            pages: 3,
            sample_rows: 10,
            columns: vec![
                None,
                Some(ColumnStats {
                    most_common: vec![(Value::Int32(3), 0.5)],
                    histogram: vec![Value::text("a"), Value::Null, Value::Float64(0.5)],
                    correlation: Some(1.0),
                    ..ColumnStats::default()
                }),
            ],
        })));
        for object in objects {
            let key = encode_key(DatabaseId(5), object.id());
            assert_eq!(decode(&key, &encode(&object)).unwrap(), object);
        }
    }

    #[test]
    fn cut_or_altered_records_are_errors_not_panics() {
        let object = Object::Table(Arc::new(sample_table()));
        let key = encode_key(DatabaseId(5), object.id());
        let record = encode(&object);
        for len in 0..record.len() {
            assert!(decode(&key, &record[..len]).is_err());
        }
        for at in 0..record.len() {
            let mut altered = record.clone();
            altered[at] ^= 0x55;
            let _ = decode(&key, &altered);
        }
    }

    #[test]
    fn an_apply_replaces_and_drops_whole_objects() {
        let base = crate::Catalog::empty(DatabaseId(5)).apply(&bootstrap::database_objects());
        let with_table = base.apply(&crate::CatalogChange::put(Object::Table(Arc::new(sample_table()))));
        let path = [crate::PUBLIC];
        assert!(with_table.find_relation(None, "t_pkey", &path).unwrap().is_some());
        let mut renamed = sample_table();
        renamed.name = "u".into();
        renamed.indexes.clear();
        let after = with_table.apply(&crate::CatalogChange::put(Object::Table(Arc::new(renamed))));
        assert!(after.find_relation(None, "t", &path).unwrap().is_none());
        assert!(after.find_relation(Some("public"), "u", &[]).unwrap().is_some());
        assert!(after.find_relation(None, "t_pkey", &path).unwrap().is_none());
        assert!(with_table.find_relation(None, "t", &path).unwrap().is_some(), "the old value stands");
        assert_eq!(
            after.find_relation(Some("nope"), "u", &[]).unwrap_err().code(),
            types::SqlState::INVALID_SCHEMA_NAME
        );
    }
}
