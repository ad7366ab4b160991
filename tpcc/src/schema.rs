//! The nine tables: definitions, keys, secondary indexes, row counts (1.3, 1.2.1).
//!
//! Called by `load.rs`. Every server gets exactly these statements: tables with their primary keys, then the
//! rows, then two indexes (customers by last name, orders by customer), then the foreign keys if asked for.

use crate::scale::{DISTRICTS, Scale};

/// One of the nine tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Item,
    Warehouse,
    Stock,
    District,
    Customer,
    History,
    Orders,
    OrderLine,
    NewOrder,
}

impl Table {
    /// In the order they are created and loaded: a referenced table before those that refer to it.
    pub const ALL: [Table; 9] = [
        Table::Item,
        Table::Warehouse,
        Table::Stock,
        Table::District,
        Table::Customer,
        Table::History,
        Table::Orders,
        Table::OrderLine,
        Table::NewOrder,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Table::Item => "item",
            Table::Warehouse => "warehouse",
            Table::Stock => "stock",
            Table::District => "district",
            Table::Customer => "customer",
            Table::History => "history",
            Table::Orders => "orders",
            Table::OrderLine => "order_line",
            Table::NewOrder => "new_order",
        }
    }

    /// How many rows the population has; for `order_line`, whose orders have 5 to 15, what to expect.
    pub fn rows(self, scale: &Scale) -> u64 {
        let of_districts = |n: i32| scale.districts() * n as u64;
        match self {
            Table::Item => scale.items as u64,
            Table::Warehouse => scale.warehouses as u64,
            Table::Stock => scale.warehouses as u64 * scale.items as u64,
            Table::District => scale.warehouses as u64 * DISTRICTS as u64,
            Table::Customer | Table::History | Table::Orders => of_districts(scale.customers),
            Table::OrderLine => of_districts(scale.customers * 10),
            Table::NewOrder => of_districts(scale.customers - scale.delivered()),
        }
    }

    pub fn create(self) -> &'static str {
        match self {
            Table::Item => {
                "create table item (
    i_id integer not null,
    i_im_id integer not null,
    i_name varchar(24) not null,
    i_price numeric(5,2) not null,
    i_data varchar(50) not null,
    primary key (i_id))"
            }
            Table::Warehouse => {
                "create table warehouse (
    w_id integer not null,
    w_name varchar(10) not null,
    w_street_1 varchar(20) not null,
    w_street_2 varchar(20) not null,
    w_city varchar(20) not null,
    w_state char(2) not null,
    w_zip char(9) not null,
    w_tax numeric(4,4) not null,
    w_ytd numeric(12,2) not null,
    primary key (w_id))"
            }
            Table::Stock => {
                "create table stock (
    s_w_id integer not null,
    s_i_id integer not null,
    s_quantity integer not null,
    s_dist_01 char(24) not null,
    s_dist_02 char(24) not null,
    s_dist_03 char(24) not null,
    s_dist_04 char(24) not null,
    s_dist_05 char(24) not null,
    s_dist_06 char(24) not null,
    s_dist_07 char(24) not null,
    s_dist_08 char(24) not null,
    s_dist_09 char(24) not null,
    s_dist_10 char(24) not null,
    s_ytd integer not null,
    s_order_cnt integer not null,
    s_remote_cnt integer not null,
    s_data varchar(50) not null,
    primary key (s_w_id, s_i_id))"
            }
            Table::District => {
                "create table district (
    d_w_id integer not null,
    d_id integer not null,
    d_name varchar(10) not null,
    d_street_1 varchar(20) not null,
    d_street_2 varchar(20) not null,
    d_city varchar(20) not null,
    d_state char(2) not null,
    d_zip char(9) not null,
    d_tax numeric(4,4) not null,
    d_ytd numeric(12,2) not null,
    d_next_o_id integer not null,
    primary key (d_w_id, d_id))"
            }
            Table::Customer => {
                "create table customer (
    c_w_id integer not null,
    c_d_id integer not null,
    c_id integer not null,
    c_first varchar(16) not null,
    c_middle char(2) not null,
    c_last varchar(16) not null,
    c_street_1 varchar(20) not null,
    c_street_2 varchar(20) not null,
    c_city varchar(20) not null,
    c_state char(2) not null,
    c_zip char(9) not null,
    c_phone char(16) not null,
    c_since timestamp not null,
    c_credit char(2) not null,
    c_credit_lim numeric(12,2) not null,
    c_discount numeric(4,4) not null,
    c_balance numeric(12,2) not null,
    c_ytd_payment numeric(12,2) not null,
    c_payment_cnt integer not null,
    c_delivery_cnt integer not null,
    c_data varchar(500) not null,
    primary key (c_w_id, c_d_id, c_id))"
            }
            Table::History => {
                "create table history (
    h_c_id integer not null,
    h_c_d_id integer not null,
    h_c_w_id integer not null,
    h_d_id integer not null,
    h_w_id integer not null,
    h_date timestamp not null,
    h_amount numeric(6,2) not null,
    h_data varchar(24) not null)"
            }
            Table::Orders => {
                "create table orders (
    o_w_id integer not null,
    o_d_id integer not null,
    o_id integer not null,
    o_c_id integer not null,
    o_entry_d timestamp not null,
    o_carrier_id integer,
    o_ol_cnt integer not null,
    o_all_local integer not null,
    primary key (o_w_id, o_d_id, o_id))"
            }
            Table::OrderLine => {
                "create table order_line (
    ol_w_id integer not null,
    ol_d_id integer not null,
    ol_o_id integer not null,
    ol_number integer not null,
    ol_i_id integer not null,
    ol_supply_w_id integer not null,
    ol_delivery_d timestamp,
    ol_quantity integer not null,
    ol_amount numeric(6,2) not null,
    ol_dist_info char(24) not null,
    primary key (ol_w_id, ol_d_id, ol_o_id, ol_number))"
            }
            Table::NewOrder => {
                "create table new_order (
    no_w_id integer not null,
    no_d_id integer not null,
    no_o_id integer not null,
    primary key (no_w_id, no_d_id, no_o_id))"
            }
        }
    }
}

/// Made after the rows are in.
pub const INDEXES: [&str; 2] = [
    "create index customer_by_name on customer (c_w_id, c_d_id, c_last, c_first)",
    "create index orders_by_customer on orders (o_w_id, o_d_id, o_c_id, o_id)",
];

/// The references of 1.3.1, added after the indexes with `--foreign-keys`.
pub const FOREIGN_KEYS: [&str; 10] = [
    "alter table stock add foreign key (s_i_id) references item",
    "alter table stock add foreign key (s_w_id) references warehouse",
    "alter table district add foreign key (d_w_id) references warehouse",
    "alter table customer add foreign key (c_w_id, c_d_id) references district",
    "alter table history add foreign key (h_c_w_id, h_c_d_id, h_c_id) references customer",
    "alter table history add foreign key (h_w_id, h_d_id) references district",
    "alter table orders add foreign key (o_w_id, o_d_id, o_c_id) references customer",
    "alter table order_line add foreign key (ol_w_id, ol_d_id, ol_o_id) references orders",
    "alter table order_line add foreign key (ol_supply_w_id, ol_i_id) references stock",
    "alter table new_order add foreign key (no_w_id, no_d_id, no_o_id) references orders",
];
