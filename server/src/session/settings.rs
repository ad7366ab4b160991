//! The settings: which there are, what they may be, and a session's current values (SET, SHOW).
//!
//! One table for the command line, the configuration file, SET and `pg_settings`. Names and meanings are
//! PostgreSQL's; every setting here has an effect, or admits only the value that is true of this server.
//! An unknown name is 42704, a bad value 22023, the wrong time to change it 55P02.

use std::collections::HashMap;
use std::sync::Arc;

use planner::PlannerSettings;
use storage::IsolationLevel;
use types::datetime::TimeZone;
use types::text::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, TextContext};
use types::{Error, Result, SqlState};

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Bool,
    /// In `unit`; values outside are 22023.
    Integer {
        min: i64,
        max: i64,
        unit: Unit,
    },
    Real {
        min: f64,
        max: f64,
    },
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// The unit a bare number counts in; values may carry another (`64MB`, `5s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    None,
    Seconds,
    Milliseconds,
    Kilobytes,
    /// 8 kB pages, as PostgreSQL counts buffers.
    Pages8k,
}

/// When it may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Never.
    Internal,
    /// At server start.
    Postmaster,
    /// By a superuser's SET.
    Superuser,
    /// By anyone's SET.
    User,
}

#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    pub context: Context,
    pub category: &'static str,
    pub description: &'static str,
    /// The client is told when it changes (ParameterStatus).
    pub reported: bool,
}

const fn setting(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    context: Context,
    category: &'static str,
    description: &'static str,
) -> Setting {
    Setting { name, kind, default, context, category, description, reported: false }
}

const fn reported(setting: Setting) -> Setting {
    Setting { reported: true, ..setting }
}

/// The PostgreSQL release whose behaviour and catalogs clients may expect.
pub const SERVER_VERSION: &str = "15.0";

const LOCALE: &str = "Client Connection Defaults / Locale and Formatting";
const STATEMENT: &str = "Client Connection Defaults / Statement Behavior";
const PLANNER_METHODS: &str = "Query Tuning / Planner Method Configuration";
const PLANNER_COSTS: &str = "Query Tuning / Planner Cost Constants";
const PLANNER_OTHER: &str = "Query Tuning / Other Planner Options";
const FILES: &str = "File Locations";
const AUTHENTICATION: &str = "Connections and Authentication / Authentication";
const SSL: &str = "Connections and Authentication / SSL";
const CONNECTIONS: &str = "Connections and Authentication / Connection Settings";
const LOGGING: &str = "Reporting and Logging / When to Log";
const MEMORY: &str = "Resource Usage / Memory";
const WAL: &str = "Write-Ahead Log / Checkpoints";
const WAL_SETTINGS: &str = "Write-Ahead Log / Settings";
const DEVELOPER: &str = "Developer Options";
const PRESET: &str = "Preset Options";
const COMPATIBILITY: &str = "Version and Platform Compatibility / Previous PostgreSQL Versions";

const MAX: i64 = i32::MAX as i64;
const ISOLATION_LEVELS: &[&str] = &["read committed", "read uncommitted", "repeatable read", "serializable"];

use Context::{Internal, Postmaster, User};
use Kind::{Bool, Integer, Real, Text, Word};

/// Every setting, by name.
pub static SETTINGS: &[Setting] = &[
    reported(setting(
        "application_name",
        Text,
        "",
        User,
        "Reporting and Logging / What to Log",
        "Sets the application name to be reported in statistics and logs.",
    )),
    setting(
        "bytea_output",
        Word(&["hex", "escape"]),
        "hex",
        User,
        STATEMENT,
        "Sets the output format for bytea.",
    ),
    setting(
        "check_function_bodies",
        Bool,
        "on",
        User,
        STATEMENT,
        "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE.",
    ),
    reported(setting(
        "client_encoding",
        Word(&["UTF8"]),
        "UTF8",
        User,
        LOCALE,
        "Sets the client's character set encoding.",
    )),
    setting(
        "client_min_messages",
        Word(&["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"]),
        "notice",
        User,
        STATEMENT,
        "Sets the message levels that are sent to the client.",
    ),
    setting(
        "cpu_index_tuple_cost",
        Real { min: 0.0, max: f64::MAX },
        "0.005",
        User,
        PLANNER_COSTS,
        "Sets the planner's estimate of the cost of processing each index entry during an index scan.",
    ),
    setting(
        "cpu_operator_cost",
        Real { min: 0.0, max: f64::MAX },
        "0.0025",
        User,
        PLANNER_COSTS,
        "Sets the planner's estimate of the cost of processing each operator or function call.",
    ),
    setting(
        "cpu_tuple_cost",
        Real { min: 0.0, max: f64::MAX },
        "0.01",
        User,
        PLANNER_COSTS,
        "Sets the planner's estimate of the cost of processing each tuple (row).",
    ),
    setting(
        "cursor_tuple_fraction",
        Real { min: 0.0, max: 1.0 },
        "0.1",
        User,
        PLANNER_OTHER,
        "Sets the planner's estimate of the fraction of a cursor's rows that will be retrieved.",
    ),
    setting("data_directory", Text, "cairn-data", Postmaster, FILES, "Sets the server's data directory."),
    reported(setting(
        "DateStyle",
        Text,
        "ISO, MDY",
        User,
        LOCALE,
        "Sets the display format for date and time values.",
    )),
    setting(
        "debug_io_direct",
        Word(&["", "data"]),
        "",
        Postmaster,
        DEVELOPER,
        "Use direct I/O for file access.",
    ),
    setting(
        "default_statistics_target",
        Integer { min: 1, max: 10_000, unit: Unit::None },
        "100",
        User,
        PLANNER_OTHER,
        "Sets the default statistics target.",
    ),
    setting(
        "default_table_access_method",
        Word(&["heap"]),
        "heap",
        User,
        STATEMENT,
        "Sets the default table access method for new tables.",
    ),
    setting(
        "default_tablespace",
        Word(&[""]),
        "",
        User,
        STATEMENT,
        "Sets the default tablespace to create tables and indexes in.",
    ),
    setting(
        "default_transaction_deferrable",
        Bool,
        "off",
        User,
        STATEMENT,
        "Sets the default deferrable status of new transactions.",
    ),
    setting(
        "default_transaction_isolation",
        Word(ISOLATION_LEVELS),
        "read committed",
        User,
        STATEMENT,
        "Sets the transaction isolation level of each new transaction.",
    ),
    reported(setting(
        "default_transaction_read_only",
        Bool,
        "off",
        User,
        STATEMENT,
        "Sets the default read-only status of new transactions.",
    )),
    setting(
        "effective_cache_size",
        Integer { min: 1, max: MAX, unit: Unit::Pages8k },
        "4GB",
        User,
        PLANNER_COSTS,
        "Sets the planner's assumption about the total size of the data caches.",
    ),
    setting(
        "enable_bitmapscan",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of bitmap-scan plans.",
    ),
    setting(
        "enable_hashagg",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of hashed aggregation plans.",
    ),
    setting(
        "enable_hashjoin",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of hash join plans.",
    ),
    setting(
        "enable_incremental_sort",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of incremental sort steps.",
    ),
    setting(
        "enable_indexonlyscan",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of index-only-scan plans.",
    ),
    setting(
        "enable_indexscan",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of index-scan plans.",
    ),
    setting(
        "enable_material",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of materialization.",
    ),
    setting("enable_memoize", Bool, "on", User, PLANNER_METHODS, "Enables the planner's use of memoization."),
    setting(
        "enable_mergejoin",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of merge join plans.",
    ),
    setting(
        "enable_nestloop",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of nested-loop join plans.",
    ),
    setting(
        "enable_seqscan",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of sequential-scan plans.",
    ),
    setting(
        "enable_sort",
        Bool,
        "on",
        User,
        PLANNER_METHODS,
        "Enables the planner's use of explicit sort steps.",
    ),
    setting(
        "extra_float_digits",
        Integer { min: -15, max: 3, unit: Unit::None },
        "1",
        User,
        LOCALE,
        "Sets the number of digits displayed for floating-point values.",
    ),
    setting(
        "from_collapse_limit",
        Integer { min: 1, max: MAX, unit: Unit::None },
        "8",
        User,
        PLANNER_OTHER,
        "Sets the FROM-list size beyond which subqueries are not collapsed.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        Integer { min: 0, max: MAX, unit: Unit::Milliseconds },
        "0",
        User,
        STATEMENT,
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    setting(
        "idle_session_timeout",
        Integer { min: 0, max: MAX, unit: Unit::Milliseconds },
        "0",
        User,
        STATEMENT,
        "Sets the maximum allowed idle time between queries, when not in a transaction.",
    ),
    setting(
        "hba_file",
        Text,
        "",
        Postmaster,
        FILES,
        "Sets the server's access file, by default cairn_hba.conf in the data directory.",
    ),
    reported(setting(
        "integer_datetimes",
        Bool,
        "on",
        Internal,
        PRESET,
        "Shows whether datetimes are integer based.",
    )),
    reported(setting(
        "IntervalStyle",
        Word(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "postgres",
        User,
        LOCALE,
        "Sets the display format for interval values.",
    )),
    reported(setting(
        "is_superuser",
        Bool,
        "on",
        Internal,
        PRESET,
        "Shows whether the current user is a superuser.",
    )),
    setting(
        "join_collapse_limit",
        Integer { min: 1, max: MAX, unit: Unit::None },
        "8",
        User,
        PLANNER_OTHER,
        "Sets the FROM-list size beyond which JOIN constructs are not flattened.",
    ),
    setting("lc_collate", Text, "C", Internal, PRESET, "Shows the collation order locale."),
    setting(
        "lc_ctype",
        Text,
        "C.UTF-8",
        Internal,
        PRESET,
        "Shows the character classification and case conversion locale.",
    ),
    setting(
        "listen_addresses",
        Text,
        "127.0.0.1",
        Postmaster,
        CONNECTIONS,
        "Sets the host name or IP address(es) to listen to.",
    ),
    setting(
        "lock_timeout",
        Integer { min: 0, max: MAX, unit: Unit::Milliseconds },
        "0",
        User,
        STATEMENT,
        "Sets the maximum allowed duration of any wait for a lock.",
    ),
    setting(
        "log_min_duration_statement",
        Integer { min: -1, max: MAX, unit: Unit::Milliseconds },
        "-1",
        Context::Superuser,
        LOGGING,
        "Sets the minimum execution time above which statements are logged; -1 logs none.",
    ),
    setting(
        "max_connections",
        Integer { min: 1, max: 262_143, unit: Unit::None },
        "1000",
        Postmaster,
        CONNECTIONS,
        "Sets the maximum number of concurrent connections.",
    ),
    setting(
        "max_identifier_length",
        Integer { min: 63, max: 63, unit: Unit::None },
        "63",
        Internal,
        PRESET,
        "Shows the maximum identifier length.",
    ),
    setting(
        "max_index_keys",
        Integer { min: 32, max: 32, unit: Unit::None },
        "32",
        Internal,
        PRESET,
        "Shows the maximum number of index keys.",
    ),
    setting(
        "max_wal_size",
        Integer { min: 32 * 1024, max: MAX, unit: Unit::Kilobytes },
        "512MB",
        Postmaster,
        WAL,
        "Sets the log volume after which a checkpoint begins.",
    ),
    setting(
        "memory_limit",
        Integer { min: 64 * 1024, max: MAX, unit: Unit::Kilobytes },
        "4GB",
        User,
        MEMORY,
        "Sets the maximum memory one statement may hold before it fails with 53200.",
    ),
    setting(
        "password_encryption",
        Word(&["scram-sha-256"]),
        "scram-sha-256",
        User,
        AUTHENTICATION,
        "Chooses the algorithm for encrypting passwords.",
    ),
    setting(
        "port",
        Integer { min: 1, max: 65_535, unit: Unit::None },
        "5432",
        Postmaster,
        CONNECTIONS,
        "Sets the TCP port the server listens on.",
    ),
    setting(
        "quote_all_identifiers",
        Word(&["off"]),
        "off",
        User,
        COMPATIBILITY,
        "When generating SQL fragments, quote all identifiers.",
    ),
    setting(
        "random_page_cost",
        Real { min: 0.0, max: f64::MAX },
        "4",
        User,
        PLANNER_COSTS,
        "Sets the planner's estimate of the cost of a nonsequentially fetched disk page.",
    ),
    setting("role", Text, "none", User, STATEMENT, "Sets the current role."),
    setting("row_security", Bool, "on", User, STATEMENT, "Enable row security."),
    setting(
        "search_path",
        Text,
        "\"$user\", public",
        User,
        STATEMENT,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    setting(
        "seq_page_cost",
        Real { min: 0.0, max: f64::MAX },
        "1",
        User,
        PLANNER_COSTS,
        "Sets the planner's estimate of the cost of a sequentially fetched disk page.",
    ),
    reported(setting(
        "server_encoding",
        Word(&["UTF8"]),
        "UTF8",
        Internal,
        PRESET,
        "Shows the server (database) character set encoding.",
    )),
    reported(setting("server_version", Text, SERVER_VERSION, Internal, PRESET, "Shows the server version.")),
    setting(
        "server_version_num",
        Text,
        "150000",
        Internal,
        PRESET,
        "Shows the server version as an integer.",
    ),
    reported(setting("session_authorization", Text, "", User, STATEMENT, "Sets the session user name.")),
    setting(
        "shared_buffers",
        Integer { min: 512, max: MAX, unit: Unit::Pages8k },
        "1GB",
        Postmaster,
        MEMORY,
        "Sets the memory for the pages of tables and indexes.",
    ),
    setting("ssl", Bool, "off", Postmaster, SSL, "Enables SSL connections."),
    setting("ssl_ca_file", Text, "", Postmaster, SSL, "Location of the SSL certificate authority file."),
    setting(
        "ssl_cert_file",
        Text,
        "server.crt",
        Postmaster,
        SSL,
        "Location of the SSL server certificate file.",
    ),
    setting(
        "ssl_key_file",
        Text,
        "server.key",
        Postmaster,
        SSL,
        "Location of the SSL server private key file.",
    ),
    reported(setting(
        "standard_conforming_strings",
        Word(&["on"]),
        "on",
        User,
        COMPATIBILITY,
        "Causes '...' strings to treat backslashes literally.",
    )),
    setting(
        "superuser_reserved_connections",
        Integer { min: 0, max: 262_143, unit: Unit::None },
        "3",
        Postmaster,
        CONNECTIONS,
        "Sets the number of connection slots reserved for superusers, out of max_connections.",
    ),
    setting(
        "admin_address",
        Text,
        "",
        Postmaster,
        CONNECTIONS,
        "Sets the HOST:PORT at which /metrics, /healthz and /readyz are answered over HTTP; empty for none.",
    ),
    setting(
        "authentication_timeout",
        Integer { min: 1, max: 600, unit: Unit::Seconds },
        "60",
        Postmaster,
        AUTHENTICATION,
        "Sets the maximum allowed time to complete client authentication.",
    ),
    setting(
        "statement_timeout",
        Integer { min: 0, max: MAX, unit: Unit::Milliseconds },
        "0",
        User,
        STATEMENT,
        "Sets the maximum allowed duration of any statement.",
    ),
    setting("synchronize_seqscans", Bool, "on", User, COMPATIBILITY, "Enable synchronized sequential scans."),
    reported(setting(
        "TimeZone",
        Text,
        "UTC",
        User,
        LOCALE,
        "Sets the time zone for displaying and interpreting time stamps.",
    )),
    setting(
        "transaction_deferrable",
        Bool,
        "off",
        User,
        STATEMENT,
        "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures.",
    ),
    setting(
        "transaction_isolation",
        Word(ISOLATION_LEVELS),
        "read committed",
        User,
        STATEMENT,
        "Sets the current transaction's isolation level.",
    ),
    setting(
        "transaction_read_only",
        Bool,
        "off",
        User,
        STATEMENT,
        "Sets the current transaction's read-only status.",
    ),
    setting(
        "trust_beyond_loopback",
        Bool,
        "off",
        Postmaster,
        AUTHENTICATION,
        "Lets the server listen for other machines although it trusts them without a password.",
    ),
    setting(
        "unix_socket_directories",
        Text,
        "",
        Postmaster,
        CONNECTIONS,
        "Sets the directories where Unix-domain sockets will be created.",
    ),
    setting(
        "wal_segment_size",
        Integer { min: 1024, max: 1 << 21, unit: Unit::Kilobytes },
        "16MB",
        Internal,
        PRESET,
        "Shows the size of write ahead log segments.",
    ),
    setting(
        "wal_sync_method",
        Word(&["fdatasync", "fsync", "open_datasync", "open_sync"]),
        "fdatasync",
        Postmaster,
        WAL_SETTINGS,
        "Selects the method used for forcing WAL updates to disk.",
    ),
    setting(
        "work_mem",
        Integer { min: 64, max: MAX, unit: Unit::Kilobytes },
        "64MB",
        User,
        MEMORY,
        "Sets the memory one operator may use before it spills to disk.",
    ),
    setting(
        "xmloption",
        Word(&["content"]),
        "content",
        User,
        STATEMENT,
        "Sets whether XML data in implicit parsing and serialization operations is to be considered as documents or content fragments.",
    ),
];

/// The setting of that name, whatever its case.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

/// 42704.
pub fn unknown(name: &str) -> Error {
    let error =
        Error::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""));
    let lower = name.to_ascii_lowercase();
    let near = SETTINGS
        .iter()
        .map(|setting| (distance(&lower, &setting.name.to_ascii_lowercase()), setting.name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    match near {
        Some((_, near)) => error.with_hint(format!("Perhaps you meant \"{near}\".")),
        None => error,
    }
}

/// Edits between two short words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

impl Setting {
    /// `value` in the form SHOW prints it. 22023 when it is not one the setting may have.
    pub fn normalize(&self, value: &str) -> Result<String> {
        match self.kind {
            Bool => match parse_bool(value) {
                Some(value) => Ok(if value { "on" } else { "off" }.to_string()),
                None => Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("parameter \"{}\" requires a Boolean value", self.name),
                )),
            },
            Integer { min, max, unit } => {
                let number = unit.parse(value).ok_or_else(|| self.invalid(value).with_hint_of(unit))?;
                if !(min..=max).contains(&number) {
                    return Err(Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!(
                            "{number}{} is outside the valid range for parameter \"{}\" ({min} .. {max})",
                            unit.spaced_name(),
                            self.name
                        ),
                    ));
                }
                Ok(unit.print(number))
            }
            Real { min, max } => {
                let number: f64 = value.trim().parse().map_err(|_| self.invalid(value))?;
                if !number.is_finite() || number < min || number > max {
                    return Err(Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!(
                            "{number} is outside the valid range for parameter \"{}\" ({min} .. {max})",
                            self.name
                        ),
                    ));
                }
                Ok(number.to_string())
            }
            Text => self.normalize_text(value),
            Word(words) => {
                let found = words.iter().find(|word| word.eq_ignore_ascii_case(value));
                let found = found.or_else(|| self.synonym(value));
                match found {
                    Some(word) => Ok((*word).to_string()),
                    None if self.name == "debug_io_direct" => {
                        Err(Error::not_supported(format!("direct I/O for \"{value}\"")).with_hint(
                            "Set debug_io_direct to data for the page file, or leave it empty; the log is always buffered.",
                        ))
                    }
                    None if self.name == "client_encoding" => {
                        Err(Error::not_supported(format!("client encoding \"{value}\""))
                            .with_hint("Text is UTF8 on the wire; set client_encoding to UTF8."))
                    }
                    None => {
                        Err(self.invalid(value).with_hint(format!("Available values: {}.", words.join(", "))))
                    }
                }
            }
        }
    }

    fn synonym(&self, value: &str) -> Option<&'static &'static str> {
        match (self.name, self.kind) {
            ("client_encoding", Word(words))
                if ["utf-8", "unicode", "default"].iter().any(|name| name.eq_ignore_ascii_case(value)) =>
            {
                words.first()
            }
            ("standard_conforming_strings", Word(words)) if parse_bool(value) == Some(true) => words.first(),
            ("quote_all_identifiers", Word(words)) if parse_bool(value) == Some(false) => words.first(),
            _ => None,
        }
    }

    fn normalize_text(&self, value: &str) -> Result<String> {
        match self.name {
            "DateStyle" => {
                let mut cx = TextContext::default();
                read_date_style(value, &mut cx).ok_or_else(|| self.invalid(value))?;
                Ok(print_date_style(&cx))
            }
            "TimeZone" => {
                let zone = TimeZone::parse_setting(value).map_err(|_| self.invalid(value))?;
                Ok(zone.name().to_string())
            }
            "search_path" => {
                split_names(value).ok_or_else(|| self.invalid(value))?;
                Ok(value.to_string())
            }
            _ => Ok(value.to_string()),
        }
    }

    fn invalid(&self, value: &str) -> Error {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{}\": \"{value}\"", self.name),
        )
    }
}

trait HintOf {
    fn with_hint_of(self, unit: Unit) -> Error;
}

impl HintOf for Error {
    fn with_hint_of(self, unit: Unit) -> Error {
        match unit {
            Unit::None => self,
            Unit::Seconds | Unit::Milliseconds => self.with_hint(
                "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
            ),
            Unit::Kilobytes | Unit::Pages8k => self
                .with_hint("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."),
        }
    }
}

impl Unit {
    /// Units with their size in this unit, as (name, multiplier, divisor), largest first.
    fn scale(self) -> &'static [(&'static str, i64, i64)] {
        match self {
            Unit::None => &[],
            Unit::Seconds => {
                &[("d", 86_400, 1), ("h", 3600, 1), ("min", 60, 1), ("s", 1, 1), ("ms", 1, 1000)]
            }
            Unit::Milliseconds => &[
                ("d", 86_400_000, 1),
                ("h", 3_600_000, 1),
                ("min", 60_000, 1),
                ("s", 1000, 1),
                ("ms", 1, 1),
                ("us", 1, 1000),
            ],
            Unit::Kilobytes => {
                &[("TB", 1 << 30, 1), ("GB", 1 << 20, 1), ("MB", 1 << 10, 1), ("kB", 1, 1), ("B", 1, 1024)]
            }
            Unit::Pages8k => {
                &[("TB", 1 << 27, 1), ("GB", 1 << 17, 1), ("MB", 1 << 7, 1), ("kB", 1, 8), ("B", 1, 8192)]
            }
        }
    }

    fn parse(self, value: &str) -> Option<i64> {
        let value = value.trim();
        let digits = value
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.')))
            .unwrap_or(value.len());
        let (number, unit) = value.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let unit = unit.trim();
        let (multiplier, divisor) = if unit.is_empty() {
            (1, 1)
        } else {
            self.scale().iter().find(|(name, ..)| *name == unit).map(|(_, m, d)| (*m, *d))?
        };
        let scaled = number * multiplier as f64 / divisor as f64;
        if scaled.abs() < 9e18 { Some(scaled.round() as i64) } else { None }
    }

    fn print(self, number: i64) -> String {
        for (name, multiplier, divisor) in self.scale() {
            if number != 0 && *divisor == 1 && number % multiplier == 0 {
                return format!("{}{name}", number / multiplier);
            }
        }
        match self {
            Unit::Pages8k if number != 0 => format!("{}kB", number * 8),
            _ => number.to_string(),
        }
    }

    fn spaced_name(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Seconds => " s",
            Unit::Milliseconds => " ms",
            Unit::Kilobytes => " kB",
            Unit::Pages8k => " 8kB",
        }
    }

    /// As `pg_settings.unit` names it.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Unit::None => None,
            Unit::Seconds => Some("s"),
            Unit::Milliseconds => Some("ms"),
            Unit::Kilobytes => Some("kB"),
            Unit::Pages8k => Some("8kB"),
        }
    }
}

/// PostgreSQL's boolean words.
pub fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    let is = |word: &str, shortest: usize| value.len() >= shortest && word.starts_with(&value);
    if is("true", 1) || is("yes", 1) || value == "on" || value == "1" {
        Some(true)
    } else if is("false", 1) || is("no", 1) || is("off", 2) || value == "0" {
        Some(false)
    } else {
        None
    }
}

fn read_date_style(value: &str, cx: &mut TextContext) -> Option<()> {
    for word in value.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "iso" => cx.date_style = DateStyle::Iso,
            "sql" => cx.date_style = DateStyle::Sql,
            "postgres" => cx.date_style = DateStyle::Postgres,
            "german" => cx.date_style = DateStyle::German,
            "mdy" | "us" | "noneuro" | "noneuropean" => cx.date_order = DateOrder::Mdy,
            "dmy" | "euro" | "european" => cx.date_order = DateOrder::Dmy,
            "ymd" => cx.date_order = DateOrder::Ymd,
            "default" => *cx = TextContext::default(),
            _ => return None,
        }
    }
    Some(())
}

fn print_date_style(cx: &TextContext) -> String {
    let style = match cx.date_style {
        DateStyle::Iso => "ISO",
        DateStyle::Sql => "SQL",
        DateStyle::Postgres => "Postgres",
        DateStyle::German => "German",
    };
    let order = match cx.date_order {
        DateOrder::Mdy => "MDY",
        DateOrder::Dmy => "DMY",
        DateOrder::Ymd => "YMD",
    };
    format!("{style}, {order}")
}

/// The names of a comma-separated list, unquoted ones folded to lower case.
pub fn split_names(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            let mut end = None;
            while let Some((at, c)) = chars.next() {
                if c != '"' {
                    name.push(c);
                } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
                    chars.next();
                    name.push('"');
                } else {
                    end = Some(at + 1);
                    break;
                }
            }
            (name, quoted.get(end?..)?)
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let name = name.trim();
            if name.is_empty() {
                return None;
            }
            (name.to_lowercase(), after)
        };
        names.push(name);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) if !after.trim().is_empty() => after.trim_start(),
            Some(_) => return None,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(names)
}

/// The values of one session (or, before any session, of the server).
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's own: what RESET goes back to.
    base: Arc<HashMap<&'static str, Assigned>>,
    /// SET in this session.
    session: HashMap<&'static str, String>,
    /// SET LOCAL in this transaction.
    local: HashMap<&'static str, String>,
    /// Custom settings with a dot in their name (`app.user`).
    custom: HashMap<String, String>,
    derived: Arc<Derived>,
}

/// A value that the server was started with, and where it came from.
#[derive(Debug, Clone)]
pub struct Assigned {
    pub value: String,
    pub source: &'static str,
}

/// What the settings come to for those who read them often.
#[derive(Debug, Clone)]
pub struct Derived {
    pub text: TextContext,
    pub planner: PlannerSettings,
    pub search_path: Vec<String>,
    pub statement_timeout_ms: u64,
    /// log_min_duration_statement; `None` logs none.
    pub log_above_ms: Option<u64>,
    pub lock_timeout_ms: u64,
    pub idle_in_transaction_timeout_ms: u64,
    pub idle_session_timeout_ms: u64,
    pub work_mem_bytes: usize,
    pub memory_limit_bytes: usize,
    pub default_isolation: IsolationLevel,
    pub default_read_only: bool,
    /// SET SESSION AUTHORIZATION: the role of that name.
    pub session_user: String,
    /// SET ROLE; "none" is the session's user.
    pub role: String,
    pub default_deferrable: bool,
    /// Notices below this are not sent (PostgreSQL's order of levels).
    pub min_message_rank: usize,
}

impl Settings {
    /// The defaults, under `assigned` from command line, environment and file.
    pub fn new(assigned: HashMap<&'static str, Assigned>) -> Result<Settings> {
        let mut settings = Settings {
            base: Arc::new(assigned),
            session: HashMap::new(),
            local: HashMap::new(),
            custom: HashMap::new(),
            derived: Arc::new(Derived {
                text: TextContext::default(),
                planner: PlannerSettings::default(),
                search_path: Vec::new(),
                statement_timeout_ms: 0,
                log_above_ms: None,
                lock_timeout_ms: 0,
                idle_in_transaction_timeout_ms: 0,
                idle_session_timeout_ms: 0,
                work_mem_bytes: 0,
                memory_limit_bytes: 0,
                default_isolation: IsolationLevel::ReadCommitted,
                default_read_only: false,
                session_user: String::new(),
                role: String::new(),
                default_deferrable: false,
                min_message_rank: 0,
            }),
        };
        settings.derive()?;
        Ok(settings)
    }

    pub fn derived(&self) -> &Arc<Derived> {
        &self.derived
    }

    fn value(&self, setting: &Setting) -> &str {
        self.local
            .get(setting.name)
            .or_else(|| self.session.get(setting.name))
            .map(String::as_str)
            .or_else(|| self.base.get(setting.name).map(|assigned| assigned.value.as_str()))
            .unwrap_or(setting.default)
    }

    /// As SHOW prints it. 42704 for an unknown name.
    pub fn show(&self, name: &str) -> Result<String> {
        if let Some(setting) = find(name) {
            return Ok(match setting.kind {
                // The default may be written in another unit than SHOW prints.
                Integer { .. } => setting.normalize(self.value(setting))?,
                _ => self.value(setting).to_string(),
            });
        }
        self.custom.get(name).cloned().ok_or_else(|| unknown(name))
    }

    /// Where the value comes from, as `pg_settings.source` says it.
    pub fn source(&self, setting: &Setting) -> &'static str {
        if self.local.contains_key(setting.name) || self.session.contains_key(setting.name) {
            "session"
        } else {
            self.base.get(setting.name).map_or("default", |assigned| assigned.source)
        }
    }

    /// SET [LOCAL] name = value; `None` is DEFAULT and RESET. Tells the name as it is reported to the client
    /// when it is one of those. 42704, 22023, 55P02.
    pub fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<Option<&'static str>> {
        let Some(setting) = find(name) else {
            return match value {
                Some(value) if name.contains('.') => {
                    self.custom.insert(name.to_ascii_lowercase(), value.to_string());
                    Ok(None)
                }
                None if self.custom.remove(name).is_some() || name.contains('.') => Ok(None),
                _ => Err(unknown(name)),
            };
        };
        match setting.context {
            Internal => {
                return Err(Error::new(
                    SqlState::CANT_CHANGE_RUNTIME_PARAM,
                    format!("parameter \"{}\" cannot be changed", setting.name),
                ));
            }
            Postmaster => {
                return Err(Error::new(
                    SqlState::CANT_CHANGE_RUNTIME_PARAM,
                    format!("parameter \"{}\" cannot be changed without restarting the server", setting.name),
                ));
            }
            Context::Superuser | User => {}
        }
        let before = (self.session.clone(), self.local.clone());
        match value {
            Some(value) => {
                let value = setting.normalize(value)?;
                let values = if local { &mut self.local } else { &mut self.session };
                values.insert(setting.name, value);
                if !local {
                    self.local.remove(setting.name);
                }
            }
            None => {
                self.session.remove(setting.name);
                self.local.remove(setting.name);
            }
        }
        if let Err(error) = self.derive() {
            (self.session, self.local) = before;
            self.derive()?;
            return Err(error);
        }
        Ok(setting.reported.then_some(setting.name))
    }

    /// What the session itself says of who and what it is (`session_authorization`, `is_superuser`).
    pub fn set_internal(&mut self, name: &'static str, value: &str, local: bool) -> Result<()> {
        let values = if local { &mut self.local } else { &mut self.session };
        values.insert(name, value.to_string());
        self.derive()
    }

    /// RESET ALL: everything that SET changed, except what the server itself put there.
    pub fn reset_all(&mut self) -> Result<()> {
        self.session.retain(|name, _| {
            ["role", "session_authorization"].contains(name)
                || find(name).is_some_and(|setting| setting.context == Internal)
        });
        self.local.clear();
        self.custom.clear();
        self.derive()
    }

    /// What a rolled-back transaction goes back to.
    pub fn snapshot(&self) -> Settings {
        self.clone()
    }

    /// SET LOCAL ends with its transaction. Tells which reported settings change by it.
    pub fn end_transaction(&mut self) -> Vec<&'static str> {
        if self.local.is_empty() {
            return Vec::new();
        }
        let names: Vec<&'static str> = self.local.drain().map(|(name, _)| name).collect();
        // What was derived before the transaction can be derived again.
        let _ = self.derive();
        names.into_iter().filter(|name| find(name).is_some_and(|setting| setting.reported)).collect()
    }

    fn bool(&self, name: &str) -> bool {
        self.number_or_word(name) == "on"
    }

    fn number_or_word(&self, name: &str) -> &str {
        find(name).map_or("", |setting| self.value(setting))
    }

    /// The value of a setting that is one of some words.
    pub fn word(&self, name: &str) -> &str {
        self.number_or_word(name)
    }

    /// An integer setting in its own unit.
    pub fn integer(&self, name: &str) -> i64 {
        match find(name) {
            Some(setting @ Setting { kind: Integer { unit, .. }, .. }) => {
                unit.parse(self.value(setting)).unwrap_or_default()
            }
            _ => 0,
        }
    }

    fn real(&self, name: &str) -> f64 {
        self.number_or_word(name).parse().unwrap_or_default()
    }

    fn derive(&mut self) -> Result<()> {
        let mut text = TextContext {
            extra_float_digits: i32::try_from(self.integer("extra_float_digits")).unwrap_or(1),
            time_zone: TimeZone::parse_setting(self.number_or_word("TimeZone"))?,
            ..TextContext::default()
        };
        let date_style = self.number_or_word("DateStyle");
        read_date_style(date_style, &mut text).ok_or_else(|| {
            Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid value for parameter \"DateStyle\"")
        })?;
        text.interval_style = match self.number_or_word("IntervalStyle") {
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        };
        text.bytea_output = match self.number_or_word("bytea_output") {
            "escape" => ByteaOutput::Escape,
            _ => ByteaOutput::Hex,
        };
        let milliseconds = |name| u64::try_from(self.integer(name)).unwrap_or(0);
        let kilobytes = |name| usize::try_from(self.integer(name)).unwrap_or(0).saturating_mul(1024);
        let planner = PlannerSettings {
            enable_seqscan: self.bool("enable_seqscan"),
            enable_indexscan: self.bool("enable_indexscan"),
            enable_indexonlyscan: self.bool("enable_indexonlyscan"),
            enable_bitmapscan: self.bool("enable_bitmapscan"),
            enable_nestloop: self.bool("enable_nestloop"),
            enable_hashjoin: self.bool("enable_hashjoin"),
            enable_mergejoin: self.bool("enable_mergejoin"),
            enable_hashagg: self.bool("enable_hashagg"),
            enable_sort: self.bool("enable_sort"),
            enable_incremental_sort: self.bool("enable_incremental_sort"),
            enable_material: self.bool("enable_material"),
            enable_memoize: self.bool("enable_memoize"),
            seq_page_cost: self.real("seq_page_cost"),
            random_page_cost: self.real("random_page_cost"),
            cpu_tuple_cost: self.real("cpu_tuple_cost"),
            cpu_index_tuple_cost: self.real("cpu_index_tuple_cost"),
            cpu_operator_cost: self.real("cpu_operator_cost"),
            work_mem_kb: u64::try_from(self.integer("work_mem")).unwrap_or(0),
            effective_cache_size_pages: u64::try_from(self.integer("effective_cache_size")).unwrap_or(0),
            from_collapse_limit: u32::try_from(self.integer("from_collapse_limit")).unwrap_or(8),
            join_collapse_limit: u32::try_from(self.integer("join_collapse_limit")).unwrap_or(8),
            default_statistics_target: u32::try_from(self.integer("default_statistics_target"))
                .unwrap_or(100),
            cursor_tuple_fraction: self.real("cursor_tuple_fraction"),
        };
        let levels = match find("client_min_messages").map(|setting| setting.kind) {
            Some(Word(levels)) => levels,
            _ => &[],
        };
        let min_message = self.number_or_word("client_min_messages");
        self.derived = Arc::new(Derived {
            planner,
            search_path: split_names(self.number_or_word("search_path")).unwrap_or_default(),
            statement_timeout_ms: milliseconds("statement_timeout"),
            log_above_ms: u64::try_from(self.integer("log_min_duration_statement")).ok(),
            lock_timeout_ms: milliseconds("lock_timeout"),
            idle_in_transaction_timeout_ms: milliseconds("idle_in_transaction_session_timeout"),
            idle_session_timeout_ms: milliseconds("idle_session_timeout"),
            work_mem_bytes: kilobytes("work_mem"),
            memory_limit_bytes: kilobytes("memory_limit"),
            default_isolation: isolation_level(self.number_or_word("default_transaction_isolation")),
            session_user: self.number_or_word("session_authorization").to_string(),
            role: self.number_or_word("role").to_string(),
            default_read_only: self.bool("default_transaction_read_only"),
            default_deferrable: self.bool("default_transaction_deferrable"),
            min_message_rank: levels.iter().position(|level| *level == min_message).unwrap_or(0),
            text,
        });
        Ok(())
    }
}

/// The store's level for one of [`ISOLATION_LEVELS`].
fn isolation_level(words: &str) -> IsolationLevel {
    match words {
        "serializable" => IsolationLevel::Serializable,
        "repeatable read" => IsolationLevel::RepeatableRead,
        _ => IsolationLevel::ReadCommitted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Settings {
        Settings::new(HashMap::new()).unwrap()
    }

    #[test]
    fn every_default_is_a_value_the_setting_may_have() {
        for setting in SETTINGS {
            setting.normalize(setting.default).unwrap_or_else(|error| panic!("{}: {error}", setting.name));
        }
        let mut names: Vec<String> = SETTINGS.iter().map(|s| s.name.to_ascii_lowercase()).collect();
        let sorted = {
            let mut sorted = names.clone();
            sorted.sort();
            sorted.dedup();
            sorted
        };
        names.sort();
        assert_eq!(names, sorted, "a setting is listed twice");
    }

    #[test]
    fn units_read_and_print_as_postgres_prints_them() {
        let mut settings = defaults();
        settings.set("work_mem", Some("8192"), false).unwrap();
        assert_eq!(settings.show("work_mem").unwrap(), "8MB");
        assert_eq!(settings.derived().work_mem_bytes, 8 << 20);
        settings.set("statement_timeout", Some("1.5min"), false).unwrap();
        assert_eq!(settings.show("statement_timeout").unwrap(), "90s");
        let error = settings.set("work_mem", Some("1"), false).unwrap_err();
        assert_eq!(
            error.message(),
            "1 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)"
        );
        assert_eq!(settings.show("shared_buffers").unwrap(), "1GB");
    }

    #[test]
    fn unknown_and_fixed_settings_are_refused() {
        let mut settings = defaults();
        let error = settings.set("work_men", Some("1MB"), false).unwrap_err();
        assert_eq!(
            (error.code(), error.hint()),
            (SqlState::UNDEFINED_OBJECT, Some("Perhaps you meant \"work_mem\"."))
        );
        let code = |result: Result<_>| result.unwrap_err().code();
        assert_eq!(code(settings.set("port", Some("1"), false)), SqlState::CANT_CHANGE_RUNTIME_PARAM);
        assert_eq!(
            code(settings.set("server_version", Some("1"), false)),
            SqlState::CANT_CHANGE_RUNTIME_PARAM
        );
        assert_eq!(
            code(settings.set("client_encoding", Some("LATIN1"), false)),
            SqlState::FEATURE_NOT_SUPPORTED
        );
        assert_eq!(
            code(settings.set("enable_sort", Some("maybe"), false)),
            SqlState::INVALID_PARAMETER_VALUE
        );
    }

    #[test]
    fn local_values_end_with_the_transaction() {
        let mut settings = defaults();
        settings.set("DateStyle", Some("sql, dmy"), true).unwrap();
        assert_eq!(settings.show("datestyle").unwrap(), "SQL, DMY");
        assert_eq!(settings.end_transaction(), ["DateStyle"]);
        assert_eq!(settings.show("datestyle").unwrap(), "ISO, MDY");
    }

    #[test]
    fn search_paths_split_as_identifiers_do() {
        assert_eq!(split_names("\"$user\", Public").unwrap(), ["$user", "public"]);
        assert_eq!(split_names("\"a\"\"b\"").unwrap(), ["a\"b"]);
        assert_eq!(split_names("").unwrap(), Vec::<String>::new());
        assert!(split_names("a,,b").is_none() && split_names("\"a").is_none());
    }
}
