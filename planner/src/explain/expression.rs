//! Expressions as EXPLAIN prints them: `expr::print`, with positions and sub-plans named by the plan.

use expr::print::{print, print_aggregate, print_sort_key, print_window};
use expr::{AggregateCall, Expr, SortKey, SubqueryKind, WindowCall};

/// How positions and sub-plans are named where the expression stands.
pub(super) struct Names<'a> {
    pub input: &'a dyn Fn(usize) -> String,
    pub sub_plan: &'a dyn Fn(u32) -> String,
}

impl expr::print::Names for Names<'_> {
    fn name(&self, expr: &Expr) -> String {
        match expr {
            Expr::Input { position, .. } => (self.input)(*position),
            Expr::PlanParameter { id, .. } => format!("${}", id.0),
            Expr::Column { id, .. } => format!("column{}", id.0),
            Expr::Subquery(subquery) => {
                let name = (self.sub_plan)(subquery.id.0);
                let tests: Vec<String> = subquery.tests.iter().map(|test| print(test, self)).collect();
                let symbol = subquery.operators.first().map_or("=", |operator| operator.symbol);
                match subquery.kind {
                    SubqueryKind::Any => format!("({} {symbol} ANY ({name}))", tests.join(", ")),
                    SubqueryKind::All => format!("({} {symbol} ALL ({name}))", tests.join(", ")),
                    SubqueryKind::Row => format!("(({}) {symbol} ({name}))", tests.join(", ")),
                    SubqueryKind::Exists | SubqueryKind::Scalar | SubqueryKind::Array => format!("({name})"),
                }
            }
            _ => String::new(),
        }
    }
}

impl Names<'_> {
    /// A condition: conjuncts in one pair of parentheses.
    pub fn condition(&self, conjuncts: &[Expr]) -> String {
        match conjuncts {
            [one] => print(one, self),
            many => {
                let parts: Vec<String> = many.iter().map(|part| print(part, self)).collect();
                format!("({})", parts.join(" AND "))
            }
        }
    }

    /// An expression by itself, or as an operand.
    pub fn plain(&self, expr: &Expr) -> String {
        print(expr, self)
    }

    pub fn list(&self, exprs: &[Expr]) -> Vec<String> {
        exprs.iter().map(|expr| self.key(expr)).collect()
    }

    /// As a sort or group key: what is no plain column stands in parentheses.
    pub fn key(&self, expr: &Expr) -> String {
        let text = print(expr, self);
        match expr {
            Expr::Input { .. } | Expr::Literal { .. } => text,
            _ => parenthesized(text),
        }
    }

    pub fn sort_key(&self, key: &SortKey) -> String {
        let ordering = print_sort_key(
            &SortKey { expr: Expr::input(0, key.expr.data_type()), ..key.clone() },
            &|_: &Expr| String::new(),
        );
        format!("{}{ordering}", self.key(&key.expr))
    }

    pub fn aggregate(&self, call: &AggregateCall) -> String {
        print_aggregate(call, self)
    }

    pub fn window(&self, call: &WindowCall) -> String {
        format!("{} OVER (?)", print_window(call, self))
    }
}

/// In one pair of parentheses.
pub(super) fn parenthesized(text: String) -> String {
    if text.starts_with('(') && matches_whole(&text) { text } else { format!("({text})") }
}

/// Whether the first parenthesis closes at the very end.
fn matches_whole(text: &str) -> bool {
    let mut depth = 0usize;
    let mut in_quotes = false;
    for (index, character) in text.char_indices() {
        match character {
            '\'' => in_quotes = !in_quotes,
            '(' if !in_quotes => depth += 1,
            ')' if !in_quotes => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1 == text.len();
                }
            }
            _ => {}
        }
    }
    false
}
