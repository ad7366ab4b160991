//! The eight tables: definitions, keys, secondary indexes, row counts.
//!
//! Called by `load.rs`. Every server gets exactly these statements, in this order: tables with their
//! primary keys, then the rows, then the indexes on foreign-key columns that no primary key leads with.
//! No FOREIGN KEY constraints: the specification (1.4.2) leaves them open, and they would measure the
//! load's checks rather than the queries. TPC-H (1.5.4) allows such indexes on keys, foreign keys and dates.

/// One of the eight tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Region,
    Nation,
    Supplier,
    Customer,
    Part,
    PartSupp,
    Orders,
    LineItem,
}

impl Table {
    /// In the order they are created and loaded: a referenced table before those that refer to it.
    pub const ALL: [Table; 8] = [
        Table::Region,
        Table::Nation,
        Table::Supplier,
        Table::Customer,
        Table::Part,
        Table::PartSupp,
        Table::Orders,
        Table::LineItem,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Table::Region => "region",
            Table::Nation => "nation",
            Table::Supplier => "supplier",
            Table::Customer => "customer",
            Table::Part => "part",
            Table::PartSupp => "partsupp",
            Table::Orders => "orders",
            Table::LineItem => "lineitem",
        }
    }

    /// How many rows the table has at a scale; for `lineitem`, whose orders have 1 to 7 lines, an estimate.
    pub fn expected_rows(self, scale: f64) -> u64 {
        let scaled = |base: f64| (base * scale) as u64;
        match self {
            Table::Region => 5,
            Table::Nation => 25,
            Table::Supplier => scaled(10_000.0),
            Table::Customer => scaled(150_000.0),
            Table::Part => scaled(200_000.0),
            Table::PartSupp => scaled(200_000.0) * 4,
            Table::Orders => scaled(1_500_000.0),
            Table::LineItem => scaled(1_500_000.0) * 4,
        }
    }

    /// The CREATE TABLE statement: the specification's columns (1.4.1), money as decimal(15,2).
    pub fn create(self) -> &'static str {
        match self {
            Table::Region => REGION,
            Table::Nation => NATION,
            Table::Supplier => SUPPLIER,
            Table::Customer => CUSTOMER,
            Table::Part => PART,
            Table::PartSupp => PARTSUPP,
            Table::Orders => ORDERS,
            Table::LineItem => LINEITEM,
        }
    }

    /// The CREATE INDEX statements, run after the rows are in.
    pub fn indexes(self) -> &'static [&'static str] {
        match self {
            Table::Region | Table::Part => &[],
            Table::Nation => &["create index nation_regionkey on nation (n_regionkey)"],
            Table::Supplier => &["create index supplier_nationkey on supplier (s_nationkey)"],
            Table::Customer => &["create index customer_nationkey on customer (c_nationkey)"],
            Table::PartSupp => &["create index partsupp_suppkey on partsupp (ps_suppkey)"],
            Table::Orders => &["create index orders_custkey on orders (o_custkey)"],
            Table::LineItem => &[
                "create index lineitem_partkey_suppkey on lineitem (l_partkey, l_suppkey)",
                "create index lineitem_suppkey on lineitem (l_suppkey)",
            ],
        }
    }
}

const REGION: &str = "create table region (
    r_regionkey integer not null primary key,
    r_name char(25) not null,
    r_comment varchar(152)
)";

const NATION: &str = "create table nation (
    n_nationkey integer not null primary key,
    n_name char(25) not null,
    n_regionkey integer not null,
    n_comment varchar(152)
)";

const SUPPLIER: &str = "create table supplier (
    s_suppkey integer not null primary key,
    s_name char(25) not null,
    s_address varchar(40) not null,
    s_nationkey integer not null,
    s_phone char(15) not null,
    s_acctbal decimal(15,2) not null,
    s_comment varchar(101) not null
)";

const CUSTOMER: &str = "create table customer (
    c_custkey integer not null primary key,
    c_name varchar(25) not null,
    c_address varchar(40) not null,
    c_nationkey integer not null,
    c_phone char(15) not null,
    c_acctbal decimal(15,2) not null,
    c_mktsegment char(10) not null,
    c_comment varchar(117) not null
)";

const PART: &str = "create table part (
    p_partkey integer not null primary key,
    p_name varchar(55) not null,
    p_mfgr char(25) not null,
    p_brand char(10) not null,
    p_type varchar(25) not null,
    p_size integer not null,
    p_container char(10) not null,
    p_retailprice decimal(15,2) not null,
    p_comment varchar(23) not null
)";

const PARTSUPP: &str = "create table partsupp (
    ps_partkey integer not null,
    ps_suppkey integer not null,
    ps_availqty integer not null,
    ps_supplycost decimal(15,2) not null,
    ps_comment varchar(199) not null,
    primary key (ps_partkey, ps_suppkey)
)";

const ORDERS: &str = "create table orders (
    o_orderkey bigint not null primary key,
    o_custkey integer not null,
    o_orderstatus char(1) not null,
    o_totalprice decimal(15,2) not null,
    o_orderdate date not null,
    o_orderpriority char(15) not null,
    o_clerk char(15) not null,
    o_shippriority integer not null,
    o_comment varchar(79) not null
)";

const LINEITEM: &str = "create table lineitem (
    l_orderkey bigint not null,
    l_partkey integer not null,
    l_suppkey integer not null,
    l_linenumber integer not null,
    l_quantity decimal(15,2) not null,
    l_extendedprice decimal(15,2) not null,
    l_discount decimal(15,2) not null,
    l_tax decimal(15,2) not null,
    l_returnflag char(1) not null,
    l_linestatus char(1) not null,
    l_shipdate date not null,
    l_commitdate date not null,
    l_receiptdate date not null,
    l_shipinstruct char(25) not null,
    l_shipmode char(10) not null,
    l_comment varchar(44) not null,
    primary key (l_orderkey, l_linenumber)
)";
