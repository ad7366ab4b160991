//! TPC-H at scale 1 as a catalog with statistics, and plans of statements as text.

use std::sync::Arc;

use catalog::bootstrap::{BOOTSTRAP_ROLE, POSTGRES_DATABASE, database_objects, shared_objects};
use catalog::{
    Catalog, CatalogChange, ColumnDef, ColumnStats, ConstraintDef, ConstraintId, ConstraintKind, Identity,
    IndexColumn, IndexDef, Object, PUBLIC, Persistence, RelationId, TableDef, TableStats, TreeNumber,
};
use expr::NoHost;
use planner::explain::{ExplainOptions, ExplainTimes, explain};
use planner::physical::plan::PhysicalPlan;
use planner::{NoStatistics, PlanContext, PlannerSettings};
use types::text::parse_text;
use types::{DataType, Result, TextContext, Value};

/// name, rows, pages, then per line: column, type, what is known of its values.
///
/// `key`: 1 to the number of rows · `ints n`: n values from 1 · `span a b n`: n values from a to b ·
/// `list a|b|c`: these, equally often · `sample a|b|c`: a histogram of these · `many n`: n unknown values
const TABLES: &[(&str, f64, u64, &str, &str, &[&str])] = &[
    (
        "region",
        5.0,
        1,
        "r_regionkey integer key
         r_name char(25) list AFRICA|AMERICA|ASIA|EUROPE|MIDDLE EAST
         r_comment varchar(152)? many 5",
        "r_regionkey",
        &[],
    ),
    (
        "nation",
        25.0,
        1,
        "n_nationkey integer key
         n_name char(25) list ALGERIA|ARGENTINA|BRAZIL|CANADA|EGYPT|ETHIOPIA|FRANCE|GERMANY|INDIA|INDONESIA|IRAN|IRAQ|JAPAN|JORDAN|KENYA|MOROCCO|MOZAMBIQUE|PERU|CHINA|ROMANIA|SAUDI ARABIA|VIETNAM|RUSSIA|UNITED KINGDOM|UNITED STATES
         n_regionkey integer ints 5
         n_comment varchar(152)? many 25",
        "n_nationkey",
        &["nation_regionkey n_regionkey"],
    ),
    (
        "supplier",
        10_000.0,
        110,
        "s_suppkey integer key
         s_name char(25) many 10000
         s_address varchar(40) many 10000
         s_nationkey integer ints 25
         s_phone char(15) many 10000
         s_acctbal decimal(15,2) span -999 9999 9955
         s_comment varchar(101) many 10000",
        "s_suppkey",
        &["supplier_nationkey s_nationkey"],
    ),
    (
        "customer",
        150_000.0,
        1_800,
        "c_custkey integer key
         c_name varchar(25) many 150000
         c_address varchar(40) many 150000
         c_nationkey integer ints 25
         c_phone char(15) sample 10-100-106-1617|11-719-748-3364|12-386-134-3600|13-761-547-5974|14-128-190-5944|15-741-346-9870|16-155-215-1315|17-710-812-5403|18-774-241-1462|19-190-993-9281|20-908-631-4424|21-562-498-6636|22-944-906-1463|23-768-687-3665|24-825-874-4340|25-989-741-2988|26-262-132-6639|27-147-574-9335|28-190-982-9759|29-797-439-6760|30-114-968-4951|31-681-503-6217|32-363-455-4837|33-464-151-3439|34-351-333-9990
         c_acctbal decimal(15,2) span -999 9999 140187
         c_mktsegment char(10) list AUTOMOBILE|BUILDING|FURNITURE|HOUSEHOLD|MACHINERY
         c_comment varchar(117) many 149968",
        "c_custkey",
        &["customer_nationkey c_nationkey"],
    ),
    (
        "part",
        200_000.0,
        2_050,
        "p_partkey integer key
         p_name varchar(55) sample almond antique black blue|azure beige brown chartreuse|bisque burlywood coral cream|blanched chiffon dark deep|blush chocolate dim dodger|burnished cornsilk firebrick forest|cornflower cyan floral frosted|cream dark gainsboro ghost|dark drab green honeydew|deep forest goldenrod indian|dim ghost grey hot|drab green ivory khaki|firebrick honeydew lace lavender|forest indian lemon light|frosted ivory lime linen|gainsboro khaki magenta maroon|ghost lace medium metallic|goldenrod lavender midnight mint|honeydew lemon misty moccasin|indian light navajo navy|ivory lime olive orange|khaki linen orchid pale|lavender magenta papaya peach|lemon maroon peru pink|medium plum powder puff|midnight purple red rose
         p_mfgr char(25) list Manufacturer#1|Manufacturer#2|Manufacturer#3|Manufacturer#4|Manufacturer#5
         p_brand char(10) list Brand#11|Brand#12|Brand#13|Brand#14|Brand#15|Brand#21|Brand#22|Brand#23|Brand#24|Brand#25|Brand#31|Brand#32|Brand#33|Brand#34|Brand#35|Brand#41|Brand#42|Brand#43|Brand#44|Brand#45|Brand#51|Brand#52|Brand#53|Brand#54|Brand#55
         p_type varchar(25) types
         p_size integer ints 50
         p_container char(10) list SM CASE|SM BOX|SM PACK|SM PKG|SM BAG|SM JAR|SM CAN|SM DRUM|MED CASE|MED BOX|MED PACK|MED PKG|MED BAG|MED JAR|MED CAN|MED DRUM|LG CASE|LG BOX|LG PACK|LG PKG|LG BAG|LG JAR|LG CAN|LG DRUM|JUMBO CASE|JUMBO BOX|JUMBO PACK|JUMBO PKG|JUMBO BAG|JUMBO JAR|JUMBO CAN|JUMBO DRUM|WRAP CASE|WRAP BOX|WRAP PACK|WRAP PKG|WRAP BAG|WRAP JAR|WRAP CAN|WRAP DRUM
         p_retailprice decimal(15,2) span 901 2098 20899
         p_comment varchar(23) many 131753",
        "p_partkey",
        &[],
    ),
    (
        "partsupp",
        800_000.0,
        8_800,
        "ps_partkey integer ints 200000
         ps_suppkey integer ints 10000
         ps_availqty integer ints 9999
         ps_supplycost decimal(15,2) span 1 1000 99865
         ps_comment varchar(199) many 799124",
        "ps_partkey,ps_suppkey",
        &["partsupp_suppkey ps_suppkey"],
    ),
    (
        "orders",
        1_500_000.0,
        13_000,
        "o_orderkey bigint span 1 6000000 1500000
         o_custkey integer ints 99996
         o_orderstatus char(1) list F|O|P
         o_totalprice decimal(15,2) span 857 555285 1464556
         o_orderdate date span 1992-01-01 1998-08-02 2406
         o_orderpriority char(15) list 1-URGENT|2-HIGH|3-MEDIUM|4-NOT SPECIFIED|5-LOW
         o_clerk char(15) many 1000
         o_shippriority integer ints 1
         o_comment varchar(79) sample about the special requests|above the express deposits|across the regular packages|after the bold requests|against the ironic pinto beans|along the furious accounts|among the quick special foxes requests|around the final theodolites|at the blithe instructions|before the careful ideas|beneath the slow dependencies|beside the even platelets|between the silent dolphins|beyond the pending foxes|by the daring asymptotes|carefully regular packages|daringly ironic deposits|evenly final accounts|furiously special pinto requests|idly express theodolites",
        "o_orderkey",
        &["orders_custkey o_custkey"],
    ),
    (
        "lineitem",
        6_001_215.0,
        55_000,
        "l_orderkey bigint span 1 6000000 1500000
         l_partkey integer ints 200000
         l_suppkey integer ints 10000
         l_linenumber integer ints 7
         l_quantity decimal(15,2) span 1 50 50
         l_extendedprice decimal(15,2) span 901 104949 933900
         l_discount decimal(15,2) span 0.00 0.10 11
         l_tax decimal(15,2) span 0.00 0.08 9
         l_returnflag char(1) list A|N|R
         l_linestatus char(1) list F|O
         l_shipdate date span 1992-01-02 1998-12-01 2526
         l_commitdate date span 1992-01-31 1998-10-31 2466
         l_receiptdate date span 1992-01-04 1998-12-31 2554
         l_shipinstruct char(25) list COLLECT COD|DELIVER IN PERSON|NONE|TAKE BACK RETURN
         l_shipmode char(10) list AIR|FOB|MAIL|RAIL|REG AIR|SHIP|TRUCK
         l_comment varchar(44) many 4580667",
        "l_orderkey,l_linenumber",
        &["lineitem_partkey_suppkey l_partkey,l_suppkey", "lineitem_suppkey l_suppkey"],
    ),
];

/// The catalog of TPC-H at scale 1.
pub fn tpch() -> Catalog {
    let mut change = shared_objects("postgres", || 20_000);
    change.then(database_objects());
    let mut catalog = Catalog::empty(POSTGRES_DATABASE).apply(&change);
    let mut next = 16_384;
    for (name, rows, pages, columns, key, indexes) in TABLES {
        let (table, stats) = table(name, *rows, *pages, columns, key, indexes, &mut next);
        let puts = vec![Object::Table(Arc::new(table)), Object::Stats(Arc::new(stats))];
        catalog = catalog.apply(&CatalogChange { drops: Vec::new(), puts });
    }
    catalog
}

fn table(
    name: &str,
    rows: f64,
    pages: u64,
    columns: &str,
    key: &str,
    indexes: &[&str],
    next: &mut u32,
) -> (TableDef, TableStats) {
    let mut oid = || {
        *next += 1;
        *next
    };
    let id = RelationId(oid());
    let mut defs = Vec::new();
    let mut stats = Vec::new();
    for line in columns.lines() {
        let mut words = line.trim().splitn(3, ' ');
        let (column, data_type, known) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let not_null = !data_type.ends_with('?');
        let data_type = read_type(data_type.trim_end_matches('?'));
        defs.push(ColumnDef {
            name: column.to_string(),
            number: i16::try_from(defs.len() + 1).unwrap(),
            data_type,
            not_null,
            default: None,
            generated: false,
            identity: Identity::None,
            missing: Value::Null,
            dropped: false,
            comment: None,
        });
        stats.push(Some(column_stats(known, data_type, rows)));
    }
    let ordinal = |column: &str| defs.iter().position(|def| def.name == column).unwrap();
    let mut index = |name: String, columns: &str, primary: bool| {
        Arc::new(IndexDef {
            id: RelationId(oid()),
            table: id,
            schema: PUBLIC,
            name,
            columns: columns
                .split(',')
                .map(|column| IndexColumn {
                    column: Some(ordinal(column)),
                    expression: None,
                    data_type: defs[ordinal(column)].data_type,
                    descending: false,
                    nulls_first: false,
                })
                .collect(),
            include: Vec::new(),
            unique: primary,
            primary,
            nulls_not_distinct: false,
            is_clustered: primary,
            tree: TreeNumber(0),
            predicate: None,
            comment: None,
        })
    };
    let primary = index(format!("{name}_pkey"), key, true);
    let mut all = vec![primary.clone()];
    for text in indexes {
        let (name, columns) = text.split_once(' ').unwrap();
        all.push(index(name.to_string(), columns, false));
    }
    let clustered_by = Some(key.split(',').map(ordinal).collect());
    let def = TableDef {
        id,
        schema: PUBLIC,
        name: name.to_string(),
        owner: BOOTSTRAP_ROLE,
        columns: defs,
        tree: TreeNumber(u64::from(id.0)),
        clustered_by,
        constraints: vec![ConstraintDef {
            id: ConstraintId(oid()),
            name: format!("{name}_pkey"),
            kind: ConstraintKind::PrimaryKey { index: primary.id },
            deferrable: false,
            initially_deferred: false,
            validated: true,
        }],
        indexes: all,
        persistence: Persistence::Permanent,
        comment: None,
        row_type: 0,
    };
    let stats = TableStats { table: id, rows, pages, sample_rows: 30_000, columns: stats };
    (def, stats)
}

fn read_type(text: &str) -> DataType {
    let (name, modifier) = text.split_once('(').unwrap_or((text, ""));
    let modifier = modifier.trim_end_matches(')');
    match name {
        "integer" => DataType::INT4,
        "bigint" => DataType::INT8,
        "date" => DataType::DATE,
        "decimal" => {
            let (precision, scale) = modifier.split_once(',').unwrap();
            DataType::numeric(precision.parse().unwrap(), scale.parse().unwrap()).unwrap()
        }
        "char" => DataType::BPCHAR.with_modifier(modifier.parse::<i32>().unwrap() + 4),
        "varchar" => DataType::VARCHAR.with_modifier(modifier.parse::<i32>().unwrap() + 4),
        other => panic!("type {other}"),
    }
}

fn column_stats(known: &str, data_type: DataType, rows: f64) -> ColumnStats {
    let read = |text: &str| parse_text(data_type, text, &TextContext::default()).unwrap();
    let width = match data_type.oid {
        oid if oid == DataType::INT4.oid || oid == DataType::DATE.oid => 4.0,
        oid if oid == DataType::INT8.oid => 8.0,
        oid if oid == DataType::NUMERIC.oid => 8.0,
        _ => data_type.character_limit().map_or(16.0, |limit| (limit as f64 * 0.75).max(1.0)),
    };
    let mut stats = ColumnStats { average_width: width, ..ColumnStats::default() };
    let (kind, rest) = known.split_once(' ').unwrap_or((known, ""));
    let ints = |count: f64| -> Vec<Value> {
        (0..=100).map(|i| read(&format!("{:.0}", 1.0 + (count - 1.0) * f64::from(i) / 100.0))).collect()
    };
    match kind {
        "key" => {
            stats.distinct = -1.0;
            stats.histogram = ints(rows);
            stats.correlation = Some(1.0);
        }
        "ints" => {
            let count: f64 = rest.parse().unwrap();
            stats.distinct = count;
            if count <= 100.0 {
                stats.most_common = (1..=count as i32).map(|i| (read(&i.to_string()), 1.0 / count)).collect();
            } else {
                stats.histogram = ints(count);
            }
        }
        "span" => {
            let words: Vec<&str> = rest.split(' ').collect();
            stats.distinct = words[2].parse().unwrap();
            stats.histogram = span(read(words[0]), read(words[1]), data_type);
        }
        "list" => {
            let values: Vec<&str> = rest.split('|').collect();
            stats.distinct = values.len() as f64;
            stats.most_common = values.iter().map(|v| (read(v), 1.0 / values.len() as f64)).collect();
        }
        "types" => {
            let mut values = Vec::new();
            for a in ["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"] {
                for b in ["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"] {
                    for c in ["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"] {
                        values.push((read(&format!("{a} {b} {c}")), 1.0 / 150.0));
                    }
                }
            }
            stats.distinct = 150.0;
            stats.most_common = values;
        }
        "sample" => {
            stats.distinct = -1.0;
            stats.histogram = rest.split('|').map(read).collect();
        }
        "many" => stats.distinct = rest.parse().unwrap(),
        other => panic!("statistics {other}"),
    }
    stats
}

fn span(from: Value, to: Value, data_type: DataType) -> Vec<Value> {
    (0..=100)
        .map(|i| {
            let at = f64::from(i) / 100.0;
            match (&from, &to) {
                (Value::Int32(a), Value::Int32(b)) => {
                    Value::Int32((f64::from(*a) + f64::from(b - a) * at) as i32)
                }
                (Value::Int64(a), Value::Int64(b)) => Value::Int64((*a as f64 + (b - a) as f64 * at) as i64),
                (Value::Numeric(a), Value::Numeric(b)) => {
                    let (a, b) = (a.to_f64().unwrap(), b.to_f64().unwrap());
                    parse_text(data_type, &format!("{:.2}", a + (b - a) * at), &TextContext::default())
                        .unwrap()
                }
                _ => panic!("no span of {data_type}"),
            }
        })
        .collect()
}

/// Plans one statement.
pub fn plan(catalog: &Catalog, sql: &str, settings: &PlannerSettings) -> Result<PhysicalPlan> {
    with_context(catalog, sql, settings, |cx| {
        let statements = parser::parse(sql)?;
        let bound = planner::binder::bind_query(&statements[0].node, cx)?;
        planner::optimize(bound, cx)
    })
}

pub fn with_context<T>(
    catalog: &Catalog,
    sql: &str,
    settings: &PlannerSettings,
    f: impl FnOnce(&PlanContext<'_>) -> T,
) -> T {
    let search_path = ["public".to_string()];
    let cx = PlanContext {
        catalog,
        query_text: sql,
        search_path: &search_path,
        role: BOOTSTRAP_ROLE,
        database: POSTGRES_DATABASE,
        parameter_types: &[],
        text: TextContext::default(),
        transaction_time: 0,
        statement_time: 0,
        host: &NoHost,
        statistics: &NoStatistics,
        settings,
    };
    f(&cx)
}

/// EXPLAIN of one statement.
pub fn explained(catalog: &Catalog, sql: &str, options: &ExplainOptions) -> String {
    match plan(catalog, sql, &PlannerSettings::default()) {
        Ok(plan) => explain(&plan, options, None, ExplainTimes::default(), &[]).join("\n"),
        Err(error) => format!("ERROR: {error:?}"),
    }
}
