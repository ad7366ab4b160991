//! Tree → SQL text, laid out as PostgreSQL's `pg_get_viewdef` and `pg_get_expr` do.
//!
//! Called for the stored definitions of views, defaults and checks. Reading the text again gives the same tree (spans
//! aside), whatever the operators' precedence: each operator stands in parentheses. The layout follows ruleutils.c:
//! keywords hang at PostgreSQL's columns, select lists and FROM go line by line.
//!
//! What the text says of types is what was written: `'x'` stays `'x'`, not `'x'::text` as PostgreSQL prints after analysis.

mod expr;
mod name;
mod query;

pub use name::{quote_identifier, quote_literal, type_name};

use crate::ast::{Expr, Node, SelectStmt};

/// One line: `((a + 1) > 2)`.
pub fn expr(expr: &Expr) -> String {
    let mut printer = Printer::new(false);
    printer.expr(expr);
    printer.out
}

/// A query over several lines, without a semicolon, beginning with a blank: ` SELECT a,\n    b\n   FROM t`.
pub fn query(query: &SelectStmt) -> String {
    let mut printer = Printer::new(true);
    printer.query(query);
    printer.out
}

/// SELECT, INSERT, UPDATE or DELETE on one line; `None` for any other statement.
pub fn statement(node: &Node) -> Option<String> {
    let mut printer = Printer::new(false);
    let known = printer.node(node);
    known.then(|| printer.out.trim_start().to_string())
}

/// PostgreSQL's PRETTYINDENT_STD, _JOIN, _VAR and _LIMIT.
const STANDARD: i32 = 8;
const JOIN: i32 = 4;
const VARIABLE: i32 = 4;
const LIMIT: i32 = 40;

struct Printer {
    out: String,
    /// Break lines, or print all on one?
    lines: bool,
    level: i32,
}

impl Printer {
    fn new(lines: bool) -> Printer {
        Printer { out: String::new(), lines, level: 0 }
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// ruleutils' appendContextKeyword: a keyword on a line of its own, indented by the level and `plus`.
    fn keyword(&mut self, text: &str, before: i32, after: i32, plus: i32) {
        if !self.lines {
            if text.is_empty()
                || !text.starts_with(' ') && !self.out.ends_with([' ', '(']) && !self.out.is_empty()
            {
                self.push(if text.is_empty() && self.out.ends_with([' ', '(']) { "" } else { " " });
            }
            self.push(text);
            return;
        }
        self.level += before;
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        self.out.push('\n');
        let amount = if self.level < LIMIT {
            self.level.max(0) + plus
        } else {
            // Beyond the limit it goes on in half steps, and then round again.
            let amount = LIMIT + (self.level - LIMIT) / (STANDARD / 2);
            amount % LIMIT + plus
        };
        for _ in 0..amount {
            self.out.push(' ');
        }
        self.push(text);
        self.level = (self.level + after).max(0);
    }

    /// `a, b, c`.
    fn list<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            print(self, item);
        }
    }

    /// The same with a line for each.
    fn lined_list<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(", ");
                if self.lines {
                    self.keyword("", -STANDARD, STANDARD, VARIABLE);
                }
            }
            print(self, item);
        }
    }

    fn name(&mut self, name: &str) {
        let quoted = quote_identifier(name);
        self.push(&quoted);
    }

    /// `a.b.c`.
    fn names(&mut self, parts: &[String]) {
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                self.push(".");
            }
            self.name(part);
        }
    }

    /// `(a, b)`, or nothing.
    fn opt_columns(&mut self, columns: &[String]) {
        if !columns.is_empty() {
            self.push("(");
            self.list(columns, |p, column| p.name(column));
            self.push(")");
        }
    }
}
