//! The system views over a small schema: every row fits its view's columns; the rows of user objects,
//! and what the catalog functions say of them, are as `testdata/system.txt` has them.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::sync::Arc;

use ::catalog::bootstrap::{BOOTSTRAP_ROLE, POSTGRES_DATABASE, database_objects, shared_objects};
use ::catalog::runtime::{SessionRow, SettingRow};
use ::catalog::system::{functions, virtual_tables};
use ::catalog::*;
use types::text::{TextContext, to_text};
use types::{DataType, Physical, Value};

struct Server;

impl Runtime for Server {
    fn settings(&self) -> Vec<SettingRow> {
        vec![SettingRow {
            name: "work_mem".to_string(),
            setting: "4096".to_string(),
            unit: Some("kB"),
            category: "Resource Usage / Memory",
            description: "Sets the maximum memory to be used for query workspaces.",
            context: "user",
            kind: "integer",
            source: "default",
            min: Some("64".to_string()),
            max: None,
            enum_values: None,
            boot_value: None,
            reset_value: None,
        }]
    }
    fn sessions(&self) -> Vec<SessionRow> {
        vec![SessionRow {
            pid: 7,
            database: "postgres".to_string(),
            user: "postgres".to_string(),
            application_name: "psql".to_string(),
            client_address: None,
            client_port: None,
            backend_start: 0,
            transaction_start: None,
            query_start: None,
            state_change: None,
            state: "idle".to_string(),
            wait_event_type: None,
            wait_event: None,
            query: "SELECT 1".to_string(),
        }]
    }
    fn session_rows(&self, _view: &str) -> Vec<Vec<Value>> {
        Vec::new()
    }
    fn row_count(&self, _table: RelationId) -> Option<u64> {
        Some(12)
    }
    fn tree_bytes(&self, _tree: TreeNumber) -> u64 {
        32 << 10
    }
    fn current_role(&self) -> RoleId {
        BOOTSTRAP_ROLE
    }
    fn search_path(&self) -> Vec<SchemaId> {
        vec![PG_CATALOG, PUBLIC]
    }
}

fn column(number: i16, name: &str, data_type: DataType, not_null: bool) -> ColumnDef {
    ColumnDef {
        name: name.to_string(),
        number,
        data_type,
        not_null,
        default: None,
        generated: false,
        identity: Identity::None,
        missing: Value::Null,
        dropped: false,
        comment: None,
    }
}

fn key(column: usize, data_type: DataType) -> IndexColumn {
    IndexColumn { column: Some(column), expression: None, data_type, descending: false, nulls_first: false }
}

fn index(id: u32, name: &str, table: u32, columns: Vec<IndexColumn>) -> IndexDef {
    IndexDef {
        id: RelationId(id),
        table: RelationId(table),
        schema: PUBLIC,
        name: name.to_string(),
        columns,
        include: Vec::new(),
        unique: false,
        primary: false,
        nulls_not_distinct: false,
        is_clustered: false,
        tree: TreeNumber(u64::from(id)),
        predicate: None,
        comment: None,
    }
}

fn constraint(id: u32, name: &str, kind: ConstraintKind) -> ConstraintDef {
    ConstraintDef {
        id: ConstraintId(id),
        name: name.to_string(),
        kind,
        deferrable: false,
        initially_deferred: false,
        validated: true,
    }
}

fn table(id: u32, name: &str, columns: Vec<ColumnDef>) -> TableDef {
    TableDef {
        id: RelationId(id),
        schema: PUBLIC,
        name: name.to_string(),
        owner: BOOTSTRAP_ROLE,
        columns,
        tree: TreeNumber(u64::from(id)),
        clustered_by: None,
        indexes: Vec::new(),
        constraints: Vec::new(),
        persistence: Persistence::Permanent,
        comment: None,
        row_type: id + 1,
    }
}

/// customer ← orders, an index of each sort, a view, an owned sequence.
fn sample() -> Catalog {
    let mut customer = table(
        16400,
        "customer",
        vec![
            ColumnDef { identity: Identity::Always, ..column(1, "id", DataType::INT4, true) },
            ColumnDef {
                comment: Some("where to write".to_string()),
                ..column(2, "email", DataType::VARCHAR.with_modifier(84), true)
            },
            ColumnDef {
                default: Some("'nobody'::text".to_string()),
                ..column(3, "name", DataType::TEXT, false)
            },
            ColumnDef { dropped: true, ..column(4, "gone", DataType::INT4, false) },
            column(5, "Odd Name", DataType::BPCHAR.with_modifier(7), false),
        ],
    );
    customer.comment = Some("people who buy".to_string());
    customer.clustered_by = Some(vec![0]);
    customer.indexes = vec![
        Arc::new(IndexDef {
            unique: true,
            primary: true,
            is_clustered: true,
            ..index(16402, "customer_pkey", 16400, vec![key(0, DataType::INT4)])
        }),
        Arc::new(IndexDef {
            unique: true,
            include: vec![2],
            predicate: Some("((id > 10) AND (name IS NOT NULL))".to_string()),
            ..index(
                16403,
                "customer_odd",
                16400,
                vec![
                    IndexColumn {
                        column: None,
                        expression: Some("lower((email)::text)".to_string()),
                        ..key(0, DataType::TEXT)
                    },
                    IndexColumn { descending: true, nulls_first: true, ..key(4, DataType::BPCHAR) },
                    IndexColumn {
                        column: None,
                        expression: Some("(id + 1)".to_string()),
                        nulls_first: true,
                        ..key(0, DataType::INT4)
                    },
                ],
            )
        }),
    ];
    customer.constraints = vec![
        constraint(16404, "customer_pkey", ConstraintKind::PrimaryKey { index: RelationId(16402) }),
        constraint(
            16405,
            "name_check",
            ConstraintKind::Check {
                expression: "(length(name) < (100)::integer)".to_string(),
                columns: vec![2],
            },
        ),
    ];
    let mut orders = table(
        16410,
        "orders",
        vec![
            ColumnDef {
                default: Some("nextval('orders_id_seq'::regclass)".to_string()),
                ..column(1, "id", DataType::INT8, true)
            },
            column(2, "customer_id", DataType::INT4, false),
            column(3, "price", DataType::numeric(15, 2).unwrap(), false),
            column(4, "tags", DataType::TEXT_ARRAY, false),
        ],
    );
    orders.constraints = vec![ConstraintDef {
        deferrable: true,
        initially_deferred: true,
        ..constraint(
            16412,
            "orders_customer_id_fkey",
            ConstraintKind::ForeignKey(ForeignKey {
                columns: vec![1],
                referenced_table: RelationId(16400),
                referenced_columns: vec![0],
                referenced_index: RelationId(16402),
                on_update: ForeignKeyAction::NoAction,
                on_delete: ForeignKeyAction::Cascade,
                match_full: false,
            }),
        )
    }];
    let sequence = SequenceDef {
        id: RelationId(16415),
        schema: PUBLIC,
        name: "orders_id_seq".to_string(),
        owner: BOOTSTRAP_ROLE,
        data_type: DataType::INT8,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owned_by: Some((RelationId(16410), 1)),
        comment: None,
    };
    let view = ViewDef {
        id: RelationId(16420),
        schema: PUBLIC,
        name: "big".to_string(),
        owner: BOOTSTRAP_ROLE,
        columns: vec![ViewColumn { name: "id".to_string(), data_type: DataType::INT8 }],
        definition: " SELECT orders.id\n   FROM orders".to_string(),
        search_path: vec!["public".to_string()],
        depends_on: vec![RelationId(16410)],
        comment: Some("the big ones".to_string()),
    };
    let stats = TableStats {
        table: RelationId(16410),
        rows: 1000.0,
        pages: 4,
        sample_rows: 1000,
        columns: vec![
            None,
            Some(ColumnStats {
                null_fraction: 0.25,
                average_width: 4.0,
                distinct: -0.5,
                most_common: vec![(Value::Int32(3), 0.125)],
                histogram: vec![Value::Int32(1), Value::Int32(9)],
                correlation: Some(0.5),
            }),
        ],
    };
    Catalog::empty(POSTGRES_DATABASE)
        .apply(&shared_objects("postgres", || 0))
        .apply(&database_objects())
        .apply(&CatalogChange {
            drops: Vec::new(),
            puts: vec![
                Object::Table(Arc::new(customer)),
                Object::Table(Arc::new(orders)),
                Object::Sequence(Arc::new(sequence)),
                Object::View(Arc::new(view)),
                Object::Stats(Arc::new(stats)),
            ],
        })
}

fn fits(value: &Value, physical: Physical) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => physical == Physical::Bool,
        Value::Int16(_) => physical == Physical::Int16,
        Value::Int32(_) => physical == Physical::Int32,
        Value::Int64(_) => physical == Physical::Int64,
        Value::UInt32(_) => physical == Physical::UInt32,
        Value::Float32(_) => physical == Physical::Float32,
        Value::Float64(_) => physical == Physical::Float64,
        Value::Text(_) => physical == Physical::Text,
        Value::Array(_) => physical == Physical::Composed,
        _ => false,
    }
}

#[test]
fn every_row_fits_its_view() {
    let catalog = sample();
    let cx = SystemContext { catalog: &catalog, runtime: &Server };
    for table in virtual_tables() {
        for row in (table.rows)(&cx).unwrap() {
            assert_eq!(row.len(), table.columns.len(), "{}: {row:?}", table.name);
            for (value, ((name, data_type), not_null)) in
                row.iter().zip(table.columns.iter().zip(&table.not_null))
            {
                assert!(fits(value, data_type.physical), "{}.{name}: {value:?}", table.name);
                assert!(!(*not_null && value.is_null()), "{}.{name} is NULL", table.name);
            }
        }
    }
}

/// Rows about user objects (an OID from 16384 on, or a name of ours), without what is in no view.
fn is_ours(row: &[Value]) -> bool {
    row.iter().take(3).any(|value| match value {
        Value::UInt32(oid) => *oid >= FIRST_USER_OID,
        Value::Text(text) => &**text == "public",
        _ => false,
    })
}

#[test]
fn rows_and_definitions_are_the_golden_ones() {
    let catalog = sample();
    let cx = SystemContext { catalog: &catalog, runtime: &Server };
    let mut out = String::new();
    for table in virtual_tables() {
        let rows: Vec<Vec<Value>> =
            (table.rows)(&cx).unwrap().into_iter().filter(|row| is_ours(row)).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{}", table.name);
        for row in rows {
            let fields: Vec<String> = row
                .iter()
                .zip(&table.columns)
                .map(|(value, (_, data_type))| match value {
                    Value::Null => "-".to_string(),
                    value => to_text(value, *data_type, &TextContext::default()).replace('\n', "\\n"),
                })
                .collect();
            let _ = writeln!(out, "  {}", fields.join("|"));
        }
    }
    let mut show = |name: &str, args: &[Value]| {
        let shown: Vec<String> = args.iter().map(|arg| format!("{arg:?}")).collect();
        let answer = match functions::call(&cx, name, args) {
            Ok(Value::Text(text)) => text.to_string(),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("{}: {}", error.code(), error.message()),
        };
        let _ = writeln!(out, "{name}({}) = {answer}", shown.join(", "));
    };
    for oid in [16402, 16403] {
        show("pg_get_indexdef", &[Value::UInt32(oid)]);
        show("pg_get_indexdef", &[Value::UInt32(oid), Value::Int32(0), Value::Bool(true)]);
        show("pg_get_indexdef", &[Value::UInt32(oid), Value::Int32(1), Value::Bool(true)]);
    }
    show("pg_get_indexdef", &[Value::UInt32(16403), Value::Int32(4), Value::Bool(false)]);
    for oid in [16404, 16405, 16412, 1] {
        show("pg_get_constraintdef", &[Value::UInt32(oid)]);
        show("pg_get_constraintdef", &[Value::UInt32(oid), Value::Bool(true)]);
    }
    show("pg_get_viewdef", &[Value::UInt32(16420)]);
    show("pg_get_viewdef", &[Value::text("customer")]);
    show("pg_get_userbyid", &[Value::UInt32(10)]);
    show("pg_get_userbyid", &[Value::UInt32(99)]);
    show("pg_get_serial_sequence", &[Value::text("public.orders"), Value::text("id")]);
    show("pg_get_serial_sequence", &[Value::text("orders"), Value::text("idd")]);
    show("pg_table_is_visible", &[Value::UInt32(16400)]);
    show("pg_table_is_visible", &[Value::UInt32(5)]);
    show("obj_description", &[Value::UInt32(16400), Value::text("pg_class")]);
    show("obj_description", &[Value::UInt32(2200), Value::text("pg_namespace")]);
    show("col_description", &[Value::UInt32(16400), Value::Int32(2)]);
    show("pg_table_size", &[Value::UInt32(16400)]);
    show("pg_indexes_size", &[Value::UInt32(16400)]);
    show("pg_total_relation_size", &[Value::UInt32(16400)]);
    show("format_type", &[Value::UInt32(1700), Value::Int32(983046)]);
    show("format_type", &[Value::UInt32(1042), Value::Int32(-1)]);
    show("format_type", &[Value::UInt32(1042), Value::Null]);
    show("format_type", &[Value::UInt32(16401), Value::Null]);
    show("to_regclass", &[Value::text("\"customer\"")]);
    show("to_regclass", &[Value::text("nothing")]);
    show("to_regtype", &[Value::text("timestamp(3) with time zone")]);
    show("to_regtype", &[Value::text("pg_catalog.int4[]")]);
    show("has_table_privilege", &[Value::text("orders"), Value::text("SELECT, insert")]);
    show("has_table_privilege", &[Value::text("orders"), Value::text("FLY")]);
    show("has_schema_privilege", &[Value::text("nowhere"), Value::text("USAGE")]);
    show("pg_get_function_arguments", &[Value::UInt32(870)]);
    show("pg_no_such_function", &[]);
    for (text, data_type) in [
        ("customer", DataType::REGCLASS),
        ("Public . ORDERS", DataType::REGCLASS),
        ("nothing", DataType::REGCLASS),
        ("nowhere.customer", DataType::REGCLASS),
        ("\"open", DataType::REGCLASS),
        ("1259", DataType::REGCLASS),
        ("double precision", DataType::REGTYPE),
        ("customer", DataType::REGTYPE),
        ("int5", DataType::REGTYPE),
        ("now", DataType::REGPROC),
        ("lower", DataType::REGPROC),
        ("lower(text)", DataType::REGPROCEDURE),
        ("postgres", DataType::REGROLE),
        ("pg_catalog", DataType::REGNAMESPACE),
        ("-", DataType::REGCLASS),
    ] {
        let answer = match functions::value_from_text(&cx, text, data_type) {
            Ok(value) => {
                format!("{value:?} {}", functions::value_to_text(&cx, &value, data_type).unwrap())
            }
            Err(error) => format!("{}: {}", error.code(), error.message()),
        };
        let _ = writeln!(out, "'{text}'::{data_type} = {answer}");
    }
    compare("system.txt", &out);
}

fn compare(file: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{file} differs; UPDATE=1 rewrites it\n{actual}");
}
