//! Functions that read the catalog: `format_type`, `pg_get_indexdef`, `to_regclass` … by their SQL name.
//!
//! Called through the session's `Host`. As in PostgreSQL, an OID that nothing has gives NULL (or text
//! that says so), a name that nothing has an error.

use expr::registry::registry;
use types::{ArrayValue, DataType, Error, Result, SqlState, Value};

use super::relations::{CLASS, comments, kind_letter};
use super::{SystemContext, constraints, definition, names, privileges, procedures};
use crate::catalog::Relation;
use crate::object::{IndexDef, Persistence, RelationId, RoleId, SchemaId, TableDef};

/// Calls the catalog function `name`. 0A000 when there is none of that name.
pub fn call(cx: &SystemContext<'_>, name: &str, args: &[Value]) -> Result<Value> {
    // Every function here is strict but for format_type, whose modifier may be NULL.
    if name != "format_type" && args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    if let Some(answer) = privileges::call(cx, name, args) {
        return answer;
    }
    let call = Call { cx, args };
    Ok(match name {
        "format_type" => call.format_type(),
        "pg_get_expr" => text(call.text(0).map(|expr| definition::expression(expr, call.flag(2)))),
        "pg_get_indexdef" => call.index_definition(),
        "pg_get_constraintdef" => text(constraints::text(cx, call.oid(0), call.flag(1))),
        "pg_get_viewdef" => call.view_definition()?,
        "acldefault" => privileges::default_acl(cx, call.text(0).unwrap_or(""), call.oid(1))?,
        "pg_get_userbyid" => Value::text(cx.role_name(RoleId(call.oid(0)))),
        "pg_get_serial_sequence" => call.serial_sequence()?,
        "pg_get_function_arguments" | "pg_get_function_identity_arguments" => {
            text(registry().function_by_oid(call.oid(0)).map(procedures::arguments))
        }
        "pg_get_function_result" => text(registry().function_by_oid(call.oid(0)).map(procedures::result)),
        // What these are asked of cannot be made: there are no rules, triggers, partitions, policies,
        // extended statistics or SQL-language functions.
        "pg_get_ruledef"
        | "pg_get_triggerdef"
        | "pg_get_partkeydef"
        | "pg_get_partition_constraintdef"
        | "pg_get_function_arg_default"
        | "pg_get_function_sqlbody"
        | "pg_get_statisticsobjdef"
        | "pg_get_statisticsobjdef_columns"
        | "pg_get_statisticsobjdef_expressions"
        | "pg_get_replica_identity_index"
        | "pg_partition_root"
        | "pg_collation_actual_version"
        | "shobj_description" => Value::Null,

        "pg_table_is_visible" => boolean(call.relation().map(|relation| cx.is_visible(relation))),
        "pg_type_is_visible" => boolean(call.type_schema().map(|schema| names::is_schema_searched(cx, schema))),
        "pg_function_is_visible" => {
            boolean(registry().function_by_oid(call.oid(0)).map(|_| call.sees_builtin()))
        }
        "pg_operator_is_visible" => {
            boolean(registry().operator_by_oid(call.oid(0)).map(|_| call.sees_builtin()))
        }
        "pg_collation_is_visible" | "pg_opclass_is_visible" | "pg_opfamily_is_visible" => {
            Value::Bool(call.sees_builtin())
        }
        other if other.ends_with("_is_visible") => Value::Null,

        "obj_description" => call.description(0, call.text(1).map_or(CLASS, class_oid)),
        "col_description" => call.description(call.integer(1), CLASS),

        "pg_relation_size" => match call.text(1) {
            None | Some("main") => size(call.relation().map(|relation| call.tree_bytes(relation))),
            Some("fsm" | "vm" | "init") => size(call.relation().map(|_| 0)),
            Some(_) => {
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid fork name")
                    .with_hint("Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\"."));
            }
        },
        "pg_table_size" => size(call.relation().map(|relation| call.tree_bytes(relation))),
        "pg_indexes_size" => size(call.relation().map(|relation| call.index_bytes(relation))),
        "pg_total_relation_size" => {
            size(call.relation().map(|relation| call.tree_bytes(relation) + call.index_bytes(relation)))
        }
        "pg_database_size" => call.database_size()?,
        "pg_tablespace_size" => {
            let is_default = call.text(0) == Some("pg_default") || call.oid(0) == super::roles::DEFAULT_TABLESPACE;
            Value::Int64(if is_default { call.all_bytes() } else { 0 })
        }
        "pg_tablespace_location" => Value::text(""),
        "pg_relation_filenode" => match call.relation() {
            Some(Relation::Table(_) | Relation::Index { .. } | Relation::Sequence(_)) => {
                Value::UInt32(call.oid(0))
            }
            _ => Value::Null,
        },
        "pg_relation_is_publishable" => boolean(call.relation().map(|relation| {
            matches!(relation, Relation::Table(table) if table.persistence == Persistence::Permanent)
        })),
        // INSERT 8, UPDATE 4, DELETE 16.
        "pg_relation_is_updatable" => match call.relation() {
            Some(Relation::Table(_)) => Value::Int32(28),
            Some(_) => Value::Int32(0),
            None => Value::Null,
        },
        "pg_column_is_updatable" => {
            boolean(call.relation().map(|relation| matches!(relation, Relation::Table(_))))
        }
        "pg_sequence_last_value" => match cx.runtime.sequence_last_value(RelationId(call.oid(0))) {
            Some(value) => Value::Int64(value),
            None => Value::Null,
        },

        "to_regclass" => call.to_reg(DataType::REGCLASS),
        "to_regtype" => call.to_reg(DataType::REGTYPE),
        "to_regproc" => call.to_reg(DataType::REGPROC),
        "to_regprocedure" => call.to_reg(DataType::REGPROCEDURE),
        "to_regoper" => call.to_reg(DataType::REGOPER),
        "to_regrole" => call.to_reg(DataType::REGROLE),
        "to_regnamespace" => call.to_reg(DataType::REGNAMESPACE),

        "pg_is_in_recovery" | "pg_is_other_temp_schema" | "pg_jit_available" | "row_security_active" => {
            Value::Bool(false)
        }
        "pg_my_temp_schema" => Value::UInt32(0),
        "pg_trigger_depth" => Value::Int32(0),
        "pg_blocking_pids" | "pg_safe_snapshot_blocking_pids" => {
            Value::Array(ArrayValue::from_elements(DataType::INT4, Vec::new()).into())
        }
        _ => {
            return Err(Error::not_supported(format!("function {name}"))
                .with_hint("PostgreSQL has this function, cairn does not have it yet."));
        }
    })
}

/// Reads text as a value of a type that is not built in, or a `reg…` type.
///
/// 42P01, 42704, 42883, 42725, 3F000 for names that nothing (or too much) has, 42602 for malformed ones.
pub fn value_from_text(cx: &SystemContext<'_>, text: &str, data_type: DataType) -> Result<Value> {
    names::read(cx, text, data_type)
}

/// Prints a value of such a type.
pub fn value_to_text(cx: &SystemContext<'_>, value: &Value, data_type: DataType) -> Result<String> {
    match value {
        Value::UInt32(oid) => names::print(cx, *oid, data_type),
        _ => Ok(types::text::to_text(value, data_type, &types::TextContext::default())),
    }
}

/// As `format_type` prints a type that is not built in.
pub fn type_name(cx: &SystemContext<'_>, data_type: DataType) -> Option<String> {
    Some(cx.type_name(data_type)).filter(|name| name != "???")
}

fn text(value: Option<String>) -> Value {
    value.map_or(Value::Null, Value::text)
}

fn boolean(value: Option<bool>) -> Value {
    value.map_or(Value::Null, Value::Bool)
}

fn size(bytes: Option<i64>) -> Value {
    bytes.map_or(Value::Null, Value::Int64)
}

/// The catalog a name like `pg_class` stands for, as comments name it.
fn class_oid(name: &str) -> u32 {
    super::virtual_tables().iter().find(|table| table.name == name).map_or(0, |table| table.id.0)
}

/// One call: its arguments by position.
struct Call<'c, 'a> {
    cx: &'c SystemContext<'a>,
    args: &'c [Value],
}

impl<'a> Call<'_, 'a> {
    fn text(&self, at: usize) -> Option<&str> {
        self.args.get(at).and_then(Value::as_str)
    }

    /// 0 when it is absent or no OID.
    fn oid(&self, at: usize) -> u32 {
        self.args.get(at).and_then(Value::as_i64).and_then(|oid| u32::try_from(oid).ok()).unwrap_or(0)
    }

    fn integer(&self, at: usize) -> i32 {
        self.args.get(at).and_then(Value::as_i64).and_then(|value| i32::try_from(value).ok()).unwrap_or(0)
    }

    fn flag(&self, at: usize) -> bool {
        self.args.get(at).and_then(Value::as_bool).unwrap_or(false)
    }

    fn relation(&self) -> Option<&'a Relation> {
        self.cx.catalog.relation(RelationId(self.oid(0)))
    }

    fn sees_builtin(&self) -> bool {
        names::is_schema_searched(self.cx, names::BUILTIN_SCHEMA)
    }

    fn format_type(&self) -> Value {
        let (Some(oid), modifier) = (self.args.first().and_then(Value::as_i64), self.args.get(1)) else {
            return Value::Null;
        };
        let Ok(oid @ 1..) = u32::try_from(oid) else { return Value::text("-") };
        let given = modifier.and_then(Value::as_i64).and_then(|modifier| i32::try_from(modifier).ok());
        match DataType::from_oid(oid) {
            // A char that is known to have no length is not SQL's character, which means one.
            Some(DataType::BPCHAR) if given == Some(-1) => Value::text("bpchar"),
            Some(data_type) => Value::text(data_type.with_modifier(given.unwrap_or(-1)).sql_name()),
            None => Value::text(self.cx.type_name(DataType {
                oid,
                modifier: -1,
                physical: types::Physical::Composed,
            })),
        }
    }

    fn index(&self) -> Option<(&'a TableDef, &'a IndexDef)> {
        match self.relation()? {
            Relation::Index { table, index } => Some((table, index)),
            _ => None,
        }
    }

    /// `(index)` or `(index, column, pretty)`; column 0 is the whole.
    fn index_definition(&self) -> Value {
        let Some((table, index)) = self.index() else { return Value::Null };
        let pretty = self.flag(2);
        match usize::try_from(self.integer(1)) {
            Ok(0) => Value::text(definition::index(self.cx, table, index, pretty)),
            Ok(column) => Value::text(definition::index_column(table, index, column, pretty)),
            Err(_) => Value::text(""),
        }
    }

    fn view_definition(&self) -> Result<Value> {
        let relation = match self.text(0) {
            Some(name) => Some(self.cx.relation_named(name)?),
            None => self.relation(),
        };
        Ok(match relation {
            Some(Relation::View(view)) => Value::text(definition::view(view)),
            Some(Relation::Virtual(table)) if !table.is_table => Value::Null,
            Some(relation) if self.text(0).is_some() => {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a view", relation.name()),
                ));
            }
            _ => Value::Null,
        })
    }

    /// 42P01, 42703; NULL when no sequence belongs to the column.
    fn serial_sequence(&self) -> Result<Value> {
        let (Some(table), Some(column)) = (self.text(0), self.text(1)) else { return Ok(Value::Null) };
        let relation = self.cx.relation_named(table)?;
        let number = match relation {
            Relation::Table(table) => {
                table.live_columns().find(|(_, def)| def.name == column).map(|(_, def)| def.number)
            }
            _ => None,
        };
        let number = number.ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{column}\" of relation \"{}\" does not exist", relation.name()),
            )
        })?;
        let sequence = super::relations::all_sequences(self.cx)
            .find(|sequence| sequence.owned_by == Some((relation.id(), number)));
        Ok(text(sequence.map(|sequence| self.cx.qualified_name(sequence.schema, &sequence.name))))
    }

    fn type_schema(&self) -> Option<SchemaId> {
        let oid = self.oid(0);
        if types::datatype::builtin(oid).is_some() {
            return Some(names::BUILTIN_SCHEMA);
        }
        self.cx
            .catalog
            .relations()
            .find(|relation| super::types_view::row_type(relation) == Some(oid))
            .map(Relation::schema)
    }

    /// The comment on object 0, or on its column.
    fn description(&self, column: i32, class: u32) -> Value {
        let object = self.oid(0);
        comments(self.cx)
            .into_iter()
            .find(|comment| (comment.0, comment.1, comment.2) == (object, class, column))
            .map_or(Value::Null, |comment| Value::text(comment.3))
    }

    /// Bytes of the relation itself; a clustered key is its table, and has none of its own.
    fn tree_bytes(&self, relation: &Relation) -> i64 {
        let bytes = match relation {
            Relation::Table(table) => self.cx.runtime.tree_bytes(table.tree),
            Relation::Index { index, .. } if !index.is_clustered => self.cx.runtime.tree_bytes(index.tree),
            _ => 0,
        };
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }

    fn index_bytes(&self, relation: &Relation) -> i64 {
        let Relation::Table(table) = relation else { return 0 };
        let own = table.indexes.iter().filter(|index| !index.is_clustered);
        let bytes: u64 = own.map(|index| self.cx.runtime.tree_bytes(index.tree)).sum();
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }

    fn all_bytes(&self) -> i64 {
        let relations =
            self.cx.catalog.relations().filter(|relation| matches!(kind_letter(relation), 'r' | 'i'));
        relations.map(|relation| self.tree_bytes(relation)).fold(0, i64::saturating_add)
    }

    /// Of the database one is in; NULL for another, whose tables are not known here. 3D000.
    fn database_size(&self) -> Result<Value> {
        let database = match self.text(0) {
            Some(name) => Some(self.cx.catalog.database_by_name(name).ok_or_else(|| {
                Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
            })?),
            None => self.cx.catalog.databases().find(|database| database.id.0 == self.oid(0)),
        };
        let here = database.filter(|database| database.id == self.cx.catalog.database());
        Ok(size(here.map(|_| self.all_bytes())))
    }

    /// NULL where reading the name would be an error.
    fn to_reg(&self, data_type: DataType) -> Value {
        let Some(name) = self.text(0) else { return Value::Null };
        names::read(self.cx, name, data_type).unwrap_or(Value::Null)
    }
}
