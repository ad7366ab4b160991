//! The deepest text that parses also binds, on a stack of one mebibyte.
#![allow(clippy::unwrap_used)] // a test may fail

mod catalog_builder;

use catalog_builder::TestCatalog;
use types::SqlState;

/// Binds on a small stack; `None` when it binds.
fn bind_on_small_stack(sql: String) -> Option<SqlState> {
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let statements = match parser::parse(&sql) {
            Ok(statements) => statements,
            Err(error) => return Some(error.code()),
        };
        let catalog = TestCatalog::new();
        statements.iter().find_map(|statement| catalog.bind(statement, &sql).err()).map(|error| error.code())
    });
    worker.unwrap().join().unwrap()
}

/// Unoptimised code takes several times the stack.
const STACK: usize = if cfg!(debug_assertions) { 8 << 20 } else { 1 << 20 };

/// `text1 text2 …`
fn numbered(text: &str, count: usize) -> String {
    (0..count).map(|number| format!("{text}{number}")).collect()
}

/// Either it binds, or it is refused for its depth.
fn bounded(code: Option<SqlState>) -> bool {
    code.is_none_or(|code| code == SqlState::STATEMENT_TOO_COMPLEX)
}

#[test]
fn deep_text_binds_or_is_refused() {
    for depth in [100, 400, 900, 5000, 100_000] {
        let nested = |open: &str, inner: &str, close: &str| {
            format!("SELECT {}{inner}{}", open.repeat(depth), close.repeat(depth))
        };
        for sql in [
            nested("(", "1", ")"),
            nested("abs(", "1", ")"),
            nested("-(", "1", ")"),
            nested("CASE WHEN true THEN ", "1", " END"),
            nested("ARRAY[", "1", "]"),
            nested("NOT (", "true", ")"),
            nested("(SELECT ", "1", ")"),
            nested("1 + (", "1", ")"),
            nested("", "1", "::int"),
            nested("", "1", " + 1"),
            nested("", "true", " AND true"),
            nested("", "'x'", " || 'x'"),
            nested("coalesce(NULL, ", "1", ")"),
            format!("SELECT * FROM {}(SELECT 1) x{}", "(SELECT * FROM ".repeat(depth), ") x".repeat(depth)),
            format!("SELECT 1{}", " UNION SELECT 1".repeat(depth)),
            format!("SELECT 1 FROM (VALUES (1)) a{}", numbered(", (VALUES (1)) a", depth.min(2000))),
        ] {
            let shown: String = sql.chars().take(40).collect();
            assert!(bounded(bind_on_small_stack(sql)), "{shown} … at depth {depth}");
        }
    }
}
