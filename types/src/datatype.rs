//! Data types: an OID, a modifier, and the physical form their values take.
//!
//! Built-in OIDs, names and modifiers are PostgreSQL's (`pg_type.dat`), so that drivers know them.
//! A user-defined type is a `DataType` too: its OID comes from the catalog, its physical form from
//! what it is made of.

use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// A type with its modifier: `numeric(15,2)`, `varchar(25)`, `integer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataType {
    pub oid: u32,
    /// PostgreSQL's `atttypmod`; −1 is none. For numeric `((p << 16) | (s & 0x7ff)) + 4`, for
    /// varchar and bpchar `n + 4`, for time types the precision, for interval fields and precision.
    pub modifier: i32,
    pub physical: Physical,
}

/// How a value lies in a [`crate::Vector`], a row and a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Physical {
    Bool,
    Int16,
    /// integer; date is days since 2000-01-01
    Int32,
    /// bigint; timestamp, timestamptz and time are microseconds (since 2000-01-01, or midnight)
    Int64,
    /// oid and its aliases
    UInt32,
    Float32,
    Float64,
    Numeric,
    Interval,
    /// text, varchar, bpchar, name, "char", unknown: UTF-8
    Text,
    Bytea,
    /// uuid: 16 bytes, big-endian number
    Uuid,
    /// jsonb: the bytes of [`crate::json::binary`]
    Jsonb,
    /// arrays, records and every other composed value
    Composed,
}

/// PostgreSQL's `typcategory`, which steers overload resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TypeCategory {
    Array,
    Boolean,
    Composite,
    DateTime,
    Enum,
    Numeric,
    Pseudo,
    String,
    Timespan,
    UserDefined,
    Unknown,
    Internal,
}

/// One line of the built-in type table.
#[derive(Debug)]
pub struct BuiltinType {
    pub oid: u32,
    /// `pg_type.typname`
    pub name: &'static str,
    /// What `format_type` prints, without modifier.
    pub sql_name: &'static str,
    pub physical: Physical,
    pub category: TypeCategory,
    pub preferred: bool,
    /// `typlen`: −1 is variable, −2 a C string.
    pub length: i16,
    /// OID of the array over this type, 0 if none.
    pub array: u32,
    /// OID of the element if this is an array (or vector) type, else 0.
    pub element: u32,
}

macro_rules! builtin {
    ($($const:ident $oid:literal $name:literal $sql:literal $physical:ident $category:ident $preferred:literal $length:literal $array:literal $element:literal;)*) => {
        impl DataType {
            $(pub const $const: DataType = DataType { oid: $oid, modifier: -1, physical: Physical::$physical };)*
        }
        /// Every built-in type, by ascending constant order of declaration.
        pub static BUILTIN_TYPES: &[BuiltinType] = &[$(BuiltinType {
            oid: $oid, name: $name, sql_name: $sql, physical: Physical::$physical,
            category: TypeCategory::$category, preferred: $preferred, length: $length,
            array: $array, element: $element,
        },)*];
    };
}

builtin! {
    BOOL 16 "bool" "boolean" Bool Boolean true 1 1000 0;
    BYTEA 17 "bytea" "bytea" Bytea UserDefined false -1 1001 0;
    CHAR 18 "char" "\"char\"" Text Internal false 1 1002 0;
    NAME 19 "name" "name" Text String false 64 1003 0;
    INT8 20 "int8" "bigint" Int64 Numeric false 8 1016 0;
    INT2 21 "int2" "smallint" Int16 Numeric false 2 1005 0;
    INT2VECTOR 22 "int2vector" "int2vector" Composed Array false -1 1006 21;
    INT4 23 "int4" "integer" Int32 Numeric false 4 1007 0;
    REGPROC 24 "regproc" "regproc" UInt32 Numeric false 4 1008 0;
    TEXT 25 "text" "text" Text String true -1 1009 0;
    OID 26 "oid" "oid" UInt32 Numeric true 4 1028 0;
    TID 27 "tid" "tid" Text UserDefined false 6 1010 0;
    XID 28 "xid" "xid" UInt32 UserDefined false 4 1011 0;
    CID 29 "cid" "cid" UInt32 UserDefined false 4 1012 0;
    OIDVECTOR 30 "oidvector" "oidvector" Composed Array false -1 1013 26;
    JSON 114 "json" "json" Text UserDefined false -1 199 0;
    PG_NODE_TREE 194 "pg_node_tree" "pg_node_tree" Text Internal false -1 0 0;
    FLOAT4 700 "float4" "real" Float32 Numeric false 4 1021 0;
    FLOAT8 701 "float8" "double precision" Float64 Numeric true 8 1022 0;
    UNKNOWN 705 "unknown" "unknown" Text Unknown false -2 0 0;
    BPCHAR 1042 "bpchar" "character" Text String false -1 1014 0;
    VARCHAR 1043 "varchar" "character varying" Text String false -1 1015 0;
    DATE 1082 "date" "date" Int32 DateTime false 4 1182 0;
    TIME 1083 "time" "time without time zone" Int64 DateTime false 8 1183 0;
    TIMESTAMP 1114 "timestamp" "timestamp without time zone" Int64 DateTime false 8 1115 0;
    TIMESTAMPTZ 1184 "timestamptz" "timestamp with time zone" Int64 DateTime true 8 1185 0;
    INTERVAL 1186 "interval" "interval" Interval Timespan true 16 1187 0;
    NUMERIC 1700 "numeric" "numeric" Numeric Numeric false -1 1231 0;
    REFCURSOR 1790 "refcursor" "refcursor" Text UserDefined false -1 2201 0;
    REGOPER 2203 "regoper" "regoper" UInt32 Numeric false 4 2208 0;
    REGPROCEDURE 2202 "regprocedure" "regprocedure" UInt32 Numeric false 4 2207 0;
    REGCLASS 2205 "regclass" "regclass" UInt32 Numeric false 4 2210 0;
    REGTYPE 2206 "regtype" "regtype" UInt32 Numeric false 4 2211 0;
    JSONB 3802 "jsonb" "jsonb" Jsonb UserDefined false -1 3807 0;
    JSONPATH 4072 "jsonpath" "jsonpath" Text UserDefined false -1 4073 0;
    UUID 2950 "uuid" "uuid" Uuid UserDefined false 16 2951 0;
    REGNAMESPACE 4089 "regnamespace" "regnamespace" UInt32 Numeric false 4 4090 0;
    REGROLE 4096 "regrole" "regrole" UInt32 Numeric false 4 4097 0;
    ACLITEM 1033 "aclitem" "aclitem" Text UserDefined false 12 1034 0;
    RECORD 2249 "record" "record" Composed Pseudo false -1 2287 0;
    CSTRING 2275 "cstring" "cstring" Text Pseudo false -2 1263 0;
    ANY 2276 "any" "\"any\"" Text Pseudo false 4 0 0;
    ANYARRAY 2277 "anyarray" "anyarray" Composed Pseudo false -1 0 0;
    VOID 2278 "void" "void" Text Pseudo false 4 0 0;
    TRIGGER 2279 "trigger" "trigger" Text Pseudo false 4 0 0;
    INTERNAL 2281 "internal" "internal" Text Pseudo false 8 0 0;
    ANYELEMENT 2283 "anyelement" "anyelement" Text Pseudo false 4 0 0;
    ANYNONARRAY 2776 "anynonarray" "anynonarray" Text Pseudo false 4 0 0;
    ANYCOMPATIBLE 5077 "anycompatible" "anycompatible" Text Pseudo false 4 0 0;
    ANYCOMPATIBLEARRAY 5078 "anycompatiblearray" "anycompatiblearray" Composed Pseudo false -1 0 0;
    ANYCOMPATIBLENONARRAY 5079 "anycompatiblenonarray" "anycompatiblenonarray" Text Pseudo false 4 0 0;
    ANYENUM 3500 "anyenum" "anyenum" Text Pseudo false 4 0 0;
    BOOL_ARRAY 1000 "_bool" "boolean[]" Composed Array false -1 0 16;
    BYTEA_ARRAY 1001 "_bytea" "bytea[]" Composed Array false -1 0 17;
    CHAR_ARRAY 1002 "_char" "\"char\"[]" Composed Array false -1 0 18;
    NAME_ARRAY 1003 "_name" "name[]" Composed Array false -1 0 19;
    INT2_ARRAY 1005 "_int2" "smallint[]" Composed Array false -1 0 21;
    INT4_ARRAY 1007 "_int4" "integer[]" Composed Array false -1 0 23;
    TEXT_ARRAY 1009 "_text" "text[]" Composed Array false -1 0 25;
    BPCHAR_ARRAY 1014 "_bpchar" "character[]" Composed Array false -1 0 1042;
    VARCHAR_ARRAY 1015 "_varchar" "character varying[]" Composed Array false -1 0 1043;
    INT8_ARRAY 1016 "_int8" "bigint[]" Composed Array false -1 0 20;
    FLOAT4_ARRAY 1021 "_float4" "real[]" Composed Array false -1 0 700;
    FLOAT8_ARRAY 1022 "_float8" "double precision[]" Composed Array false -1 0 701;
    OID_ARRAY 1028 "_oid" "oid[]" Composed Array false -1 0 26;
    ACLITEM_ARRAY 1034 "_aclitem" "aclitem[]" Composed Array false -1 0 1033;
    TIMESTAMP_ARRAY 1115 "_timestamp" "timestamp without time zone[]" Composed Array false -1 0 1114;
    DATE_ARRAY 1182 "_date" "date[]" Composed Array false -1 0 1082;
    TIME_ARRAY 1183 "_time" "time without time zone[]" Composed Array false -1 0 1083;
    TIMESTAMPTZ_ARRAY 1185 "_timestamptz" "timestamp with time zone[]" Composed Array false -1 0 1184;
    INTERVAL_ARRAY 1187 "_interval" "interval[]" Composed Array false -1 0 1186;
    NUMERIC_ARRAY 1231 "_numeric" "numeric[]" Composed Array false -1 0 1700;
    REGCLASS_ARRAY 2210 "_regclass" "regclass[]" Composed Array false -1 0 2205;
    REGTYPE_ARRAY 2211 "_regtype" "regtype[]" Composed Array false -1 0 2206;
    JSON_ARRAY 199 "_json" "json[]" Composed Array false -1 0 114;
    JSONB_ARRAY 3807 "_jsonb" "jsonb[]" Composed Array false -1 0 3802;
    JSONPATH_ARRAY 4073 "_jsonpath" "jsonpath[]" Composed Array false -1 0 4072;
    UUID_ARRAY 2951 "_uuid" "uuid[]" Composed Array false -1 0 2950;
}

impl DataType {
    /// The built-in type with this OID, without modifier.
    pub fn from_oid(oid: u32) -> Option<DataType> {
        builtin(oid).map(|t| DataType { oid, modifier: -1, physical: t.physical })
    }

    /// A built-in type by its `pg_type` name (`int4`, `bpchar`, `_text`).
    pub fn from_name(name: &str) -> Option<DataType> {
        BUILTIN_TYPES.iter().find(|t| t.name == name).map(|t| DataType {
            oid: t.oid,
            modifier: -1,
            physical: t.physical,
        })
    }

    pub fn with_modifier(self, modifier: i32) -> DataType {
        DataType { modifier, ..self }
    }

    pub fn without_modifier(self) -> DataType {
        DataType { modifier: -1, ..self }
    }

    /// Same type, whatever the modifier.
    pub fn same_type(self, other: DataType) -> bool {
        self.oid == other.oid
    }

    /// `numeric(precision, scale)`. 22023 outside 1..=1000 and −1000..=1000.
    pub fn numeric(precision: i32, scale: i32) -> Result<DataType> {
        if !(1..=1000).contains(&precision) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("NUMERIC precision {precision} must be between 1 and 1000"),
            ));
        }
        if !(-1000..=1000).contains(&scale) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("NUMERIC scale {scale} must be between -1000 and 1000"),
            ));
        }
        Ok(DataType::NUMERIC.with_modifier(((precision << 16) | (scale & 0x7ff)) + 4))
    }

    /// Precision and scale of a `numeric(p,s)`.
    pub fn numeric_precision_scale(self) -> Option<(i32, i32)> {
        if self.oid != DataType::NUMERIC.oid || self.modifier < 4 {
            return None;
        }
        let packed = self.modifier - 4;
        Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
    }

    /// The `n` of varchar(n) and char(n), in characters.
    pub fn character_limit(self) -> Option<usize> {
        let limited = self.oid == DataType::VARCHAR.oid || self.oid == DataType::BPCHAR.oid;
        if limited && self.modifier >= 4 { usize::try_from(self.modifier - 4).ok() } else { None }
    }

    pub fn category(self) -> TypeCategory {
        match builtin(self.oid) {
            Some(t) => t.category,
            None if self.physical == Physical::Composed => TypeCategory::Array,
            None => TypeCategory::UserDefined,
        }
    }

    pub fn is_preferred(self) -> bool {
        builtin(self.oid).is_some_and(|t| t.preferred)
    }

    /// The element type if this is an array or vector type.
    pub fn element(self) -> Option<DataType> {
        builtin(self.oid).filter(|t| t.element != 0).and_then(|t| DataType::from_oid(t.element))
    }

    /// The array type over this one.
    pub fn array_of(self) -> Option<DataType> {
        builtin(self.oid).filter(|t| t.array != 0).map(|t| DataType {
            oid: t.array,
            modifier: self.modifier,
            physical: Physical::Composed,
        })
    }

    /// `pg_type.typname` of a built-in type.
    pub fn name(self) -> &'static str {
        builtin(self.oid).map_or("???", |t| t.name)
    }

    /// As `format_type(oid, modifier)` prints it: `numeric(15,2)`, `character varying(25)`.
    pub fn sql_name(self) -> String {
        let Some(t) = builtin(self.oid) else { return "???".to_string() };
        let element =
            if t.element != 0 && t.name.starts_with('_') { DataType::from_oid(t.element) } else { None };
        if let Some(element) = element {
            return format!("{}[]", element.with_modifier(self.modifier).sql_name());
        }
        if self.modifier < 0 {
            return t.sql_name.to_string();
        }
        if let Some((precision, scale)) = self.numeric_precision_scale() {
            return format!("numeric({precision},{scale})");
        }
        if let Some(limit) = self.character_limit() {
            return format!("{}({limit})", t.sql_name);
        }
        match self {
            DataType { oid: 1083 | 1114 | 1184, modifier, .. } => match t.sql_name.split_once(' ') {
                Some((head, tail)) => format!("{head}({modifier}) {tail}"),
                None => t.sql_name.to_string(),
            },
            _ => t.sql_name.to_string(),
        }
    }
}

/// The table line of a built-in OID.
pub fn builtin(oid: u32) -> Option<&'static BuiltinType> {
    // Few dozen entries: a scan beats a hash for the common ones, which stand first.
    BUILTIN_TYPES.iter().find(|t| t.oid == oid)
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sql_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_modifiers_print_as_format_type_does() {
        assert_eq!(DataType::numeric(15, 2).unwrap().sql_name(), "numeric(15,2)");
        assert_eq!(DataType::numeric(5, -2).unwrap().numeric_precision_scale(), Some((5, -2)));
        assert_eq!(DataType::VARCHAR.with_modifier(29).sql_name(), "character varying(25)");
        assert_eq!(DataType::TIMESTAMPTZ.with_modifier(3).sql_name(), "timestamp(3) with time zone");
        assert_eq!(DataType::TEXT_ARRAY.sql_name(), "text[]");
        assert_eq!(DataType::numeric(0, 0).unwrap_err().code(), SqlState::INVALID_PARAMETER_VALUE);
    }

    #[test]
    fn oids_are_unique() {
        let mut oids: Vec<u32> = BUILTIN_TYPES.iter().map(|t| t.oid).collect();
        oids.sort_unstable();
        oids.dedup();
        assert_eq!(oids.len(), BUILTIN_TYPES.len());
    }
}
