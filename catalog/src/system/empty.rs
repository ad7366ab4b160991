//! Views of what this server does not have: they exist, so that clients may ask, and have no rows.
//!
//! Triggers, policies, rules, publications, foreign data, extensions, inheritance, text search,
//! large objects, replication: a statement that would make one is refused.

use super::{RowsFn, SystemContext};

pub(super) fn rows(name: &str) -> Option<RowsFn> {
    fn none(_: &SystemContext<'_>) -> types::Result<Vec<Vec<types::Value>>> {
        Ok(Vec::new())
    }
    EMPTY.contains(&name).then_some(none as RowsFn)
}

const EMPTY: &[&str] = &[
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_conversion",
    "pg_db_role_setting",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_inherits",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_matviews",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_prepared_xacts",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_replication_origin",
    "pg_replication_slots",
    "pg_rewrite",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_stat_replication",
    "pg_stat_subscription",
    "pg_stat_user_functions",
    "pg_stat_wal_receiver",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_user_mapping",
    "pg_user_mappings",
    // information_schema
    "attributes",
    "domain_constraints",
    "domains",
    "foreign_data_wrappers",
    "foreign_servers",
    "foreign_tables",
    "triggered_update_columns",
    "triggers",
    "user_defined_types",
    "user_mappings",
];
