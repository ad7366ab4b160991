//! Expressions as EXPLAIN prints them: PostgreSQL's deparse, over positions of an operator's input.

use expr::{AggregateCall, BoolTest, CallForm, Expr, SortKey, SubqueryKind, WindowCall};
use types::{DataType, TextContext, Value};

/// How positions and sub-plans are named where the expression stands.
pub(super) struct Names<'a> {
    pub input: &'a dyn Fn(usize) -> String,
    pub sub_plan: &'a dyn Fn(u32) -> String,
    pub text: &'a TextContext,
}

impl Names<'_> {
    /// A condition: conjuncts in one pair of parentheses.
    pub fn condition(&self, conjuncts: &[Expr]) -> String {
        match conjuncts {
            [one] => self.top(one),
            many => {
                let parts: Vec<String> = many.iter().map(|part| self.argument(part)).collect();
                format!("({})", parts.join(" AND "))
            }
        }
    }

    /// An expression by itself; an implicit cast at its top is not shown.
    pub fn top(&self, expr: &Expr) -> String {
        match expr {
            Expr::Relabel { arg, implicit: true, .. } | Expr::IoCast { arg, implicit: true, .. } => {
                self.argument(arg)
            }
            Expr::Call { args, form: CallForm::ImplicitCast, .. } => match args.first() {
                Some(arg) => self.argument(arg),
                None => String::new(),
            },
            other => self.argument(other),
        }
    }

    pub fn list(&self, exprs: &[Expr]) -> Vec<String> {
        exprs.iter().map(|expr| self.key(expr)).collect()
    }

    /// As a sort or group key: what is no plain column stands in parentheses.
    pub fn key(&self, expr: &Expr) -> String {
        let text = self.top(expr);
        match expr {
            Expr::Input { .. } | Expr::Literal { .. } => text,
            _ if text.starts_with('(') && matches_whole(&text) => text,
            _ => format!("({text})"),
        }
    }

    pub fn sort_key(&self, key: &SortKey) -> String {
        let mut text = self.key(&key.expr);
        if key.descending {
            text.push_str(" DESC");
        }
        if key.nulls_first != key.descending {
            text.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
        text
    }

    pub fn aggregate(&self, call: &AggregateCall) -> String {
        let mut args: Vec<String> = call.args.iter().map(|arg| self.argument(arg)).collect();
        if args.is_empty() && call.function.name == "count" {
            args.push("*".to_string());
        }
        let mut inside = args.join(", ");
        if call.distinct {
            inside = format!("DISTINCT {inside}");
        }
        if !call.order_by.is_empty() {
            let keys: Vec<String> = call.order_by.iter().map(|key| self.sort_key(key)).collect();
            inside = format!("{inside} ORDER BY {}", keys.join(", "));
        }
        let filter = call.filter.as_ref().map(|f| format!(" FILTER (WHERE {})", self.top(f))).unwrap_or_default();
        format!("{}({inside}){filter}", call.function.name)
    }

    pub fn window(&self, call: &WindowCall) -> String {
        let args: Vec<String> = call.args.iter().map(|arg| self.argument(arg)).collect();
        let inside = if args.is_empty() && call.function.name == "count" { "*".to_string() } else { args.join(", ") };
        format!("{}({inside}) OVER (?)", call.function.name)
    }

    /// An expression as an operand.
    pub fn argument(&self, expr: &Expr) -> String {
        match expr {
            Expr::Column { id, .. } => format!("column{}", id.0),
            Expr::Input { position, .. } => (self.input)(*position),
            Expr::Literal { value, data_type, .. } => self.literal(value, *data_type),
            Expr::Parameter { index, .. } => format!("${}", index + 1),
            Expr::PlanParameter { id, .. } => format!("${}", id.0),
            Expr::Call { args, form: CallForm::Operator(operator), .. } => match args.as_slice() {
                [one] => format!("({} {})", operator.symbol, self.argument(one)),
                [left, right] => {
                    format!("({} {} {})", self.argument(left), operator.symbol, self.argument(right))
                }
                _ => operator.symbol.to_string(),
            },
            Expr::Call { args, data_type, form: CallForm::ExplicitCast | CallForm::ImplicitCast, .. } => {
                match args.first() {
                    Some(arg) => self.cast(arg, *data_type),
                    None => String::new(),
                }
            }
            Expr::Call { function, args, form, .. } => {
                let list: Vec<String> = args.iter().map(|arg| self.argument(arg)).collect();
                if *form == CallForm::SqlSyntax
                    && let Some(text) = self.sql_syntax(function.name, args, &list)
                {
                    return text;
                }
                format!("{}({})", quoted_function(function.name), list.join(", "))
            }
            Expr::And(parts) => self.junction(parts, " AND "),
            Expr::Or(parts) => self.junction(parts, " OR "),
            Expr::Not(arg) => format!("(NOT {})", self.argument(arg)),
            Expr::IsNull { arg, negated } => {
                format!("({} IS {}NULL)", self.argument(arg), if *negated { "NOT " } else { "" })
            }
            Expr::BoolTest { arg, test } => {
                let test = match test {
                    BoolTest::IsTrue => "TRUE",
                    BoolTest::IsNotTrue => "NOT TRUE",
                    BoolTest::IsFalse => "FALSE",
                    BoolTest::IsNotFalse => "NOT FALSE",
                    BoolTest::IsUnknown => "UNKNOWN",
                    BoolTest::IsNotUnknown => "NOT UNKNOWN",
                };
                format!("({} IS {test})", self.argument(arg))
            }
            Expr::Distinct { left, right, negated, .. } => {
                let not = if *negated { "NOT " } else { "" };
                format!("({} IS {not}DISTINCT FROM {})", self.argument(left), self.argument(right))
            }
            Expr::Case { branches, otherwise, .. } => {
                let mut text = "CASE".to_string();
                for (condition, result) in branches {
                    text.push_str(&format!(" WHEN {} THEN {}", self.top(condition), self.top(result)));
                }
                match otherwise {
                    Some(otherwise) => text.push_str(&format!(" ELSE {}", self.top(otherwise))),
                    None => text.push_str(" ELSE NULL"),
                }
                text.push_str(" END");
                text
            }
            Expr::Coalesce { args, .. } => format!("COALESCE({})", self.arguments(args)),
            Expr::NullIf { left, right, .. } => {
                format!("NULLIF({}, {})", self.argument(left), self.argument(right))
            }
            Expr::MinMax { args, greatest, .. } => {
                format!("{}({})", if *greatest { "GREATEST" } else { "LEAST" }, self.arguments(args))
            }
            Expr::InList { arg, list, operator, negated } => {
                let array = match self.literal_array(list) {
                    Some(array) => array,
                    None => format!("ARRAY[{}]", self.arguments(list)),
                };
                let (symbol, quantifier) = if *negated { ("<>", "ALL") } else { (operator.symbol, "ANY") };
                format!("({} {symbol} {quantifier} ({array}))", self.argument(arg))
            }
            Expr::AnyAll { left, array, operator, all } => {
                let quantifier = if *all { "ALL" } else { "ANY" };
                format!("({} {} {quantifier} ({}))", self.argument(left), operator.symbol, self.argument(array))
            }
            Expr::Array { elements, .. } => format!("ARRAY[{}]", self.arguments(elements)),
            Expr::Row { fields, .. } => format!("ROW({})", self.arguments(fields)),
            Expr::Field { arg, index, .. } => format!("({}).f{}", self.argument(arg), index + 1),
            Expr::Subscript { array, indexes, .. } => {
                let indexes: String = indexes.iter().map(|index| format!("[{}]", self.top(index))).collect();
                format!("({}){indexes}", self.argument(array))
            }
            Expr::Slice { array, bounds, .. } => {
                let bound = |bound: &Option<Expr>| bound.as_ref().map(|b| self.top(b)).unwrap_or_default();
                let slices: String =
                    bounds.iter().map(|(a, b)| format!("[{}:{}]", bound(a), bound(b))).collect();
                format!("({}){slices}", self.argument(array))
            }
            Expr::Relabel { arg, data_type, .. }
            | Expr::IoCast { arg, data_type, .. }
            | Expr::ArrayCast { arg, data_type, .. } => self.cast(arg, *data_type),
            Expr::CaseValue { .. } => "CASE_TEST_EXPR".to_string(),
            Expr::Subquery(subquery) => {
                let name = (self.sub_plan)(subquery.id.0);
                match subquery.kind {
                    SubqueryKind::Scalar | SubqueryKind::Array | SubqueryKind::Exists => format!("({name})"),
                    SubqueryKind::Any | SubqueryKind::All => {
                        let tests: Vec<String> = subquery.tests.iter().map(|test| self.argument(test)).collect();
                        let symbol = subquery.operators.first().map_or("=", |operator| operator.symbol);
                        let quantifier = if subquery.kind == SubqueryKind::Any { "ANY" } else { "ALL" };
                        format!("({} {symbol} {quantifier} ({name}))", tests.join(", "))
                    }
                }
            }
        }
    }

    fn arguments(&self, args: &[Expr]) -> String {
        args.iter().map(|arg| self.argument(arg)).collect::<Vec<_>>().join(", ")
    }

    fn junction(&self, parts: &[Expr], word: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.argument(part)).collect();
        format!("({})", parts.join(word))
    }

    fn cast(&self, arg: &Expr, data_type: DataType) -> String {
        let text = self.argument(arg);
        let bare = text.starts_with('(') && matches_whole(&text);
        if bare { format!("{text}::{data_type}") } else { format!("({text})::{data_type}") }
    }

    fn sql_syntax(&self, name: &str, args: &[Expr], list: &[String]) -> Option<String> {
        let field = |index: usize| args.get(index)?.as_literal()?.as_str().map(str::to_string);
        Some(match (name, list) {
            ("extract" | "date_part", [_, source]) => format!("EXTRACT({} FROM {source})", field(0)?),
            ("substring", [text, from, length]) => format!("\"substring\"({text}, {from}, {length})"),
            ("current_date" | "current_timestamp" | "localtimestamp" | "current_user" | "session_user", []) => {
                name.to_uppercase()
            }
            _ => return None,
        })
    }

    fn literal(&self, value: &Value, data_type: DataType) -> String {
        if value.is_null() {
            return format!("NULL::{}", data_type.without_modifier());
        }
        let text = self.value_text(value, data_type);
        let negative = text.starts_with('-');
        match data_type.oid {
            oid if oid == DataType::BOOL.oid => {
                if *value == Value::Bool(true) { "true".to_string() } else { "false".to_string() }
            }
            oid if oid == DataType::INT4.oid && !negative => text,
            // Only a number that would be read as numeric needs no type.
            oid if oid == DataType::NUMERIC.oid && !negative && text.contains('.') => text,
            _ => format!("{}::{}", quoted(&text), data_type.without_modifier()),
        }
    }

    fn value_text(&self, value: &Value, data_type: DataType) -> String {
        let mut out = Vec::new();
        types::text::write_text(value, data_type, self.text, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A list of literals as an array literal.
    fn literal_array(&self, list: &[Expr]) -> Option<String> {
        let data_type = list.first()?.data_type();
        let mut elements = Vec::new();
        for item in list {
            let item = match item {
                Expr::Relabel { arg, .. } => arg,
                other => other,
            };
            let text = match item.as_literal()? {
                Value::Null => "NULL".to_string(),
                value => self.value_text(value, data_type),
            };
            let plain = !text.is_empty()
                && text.chars().all(|c| !c.is_whitespace() && !matches!(c, ',' | '{' | '}' | '"' | '\\'));
            elements.push(if plain {
                text
            } else {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            });
        }
        Some(format!("{}::{}[]", quoted(&format!("{{{}}}", elements.join(","))), data_type.without_modifier()))
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Function names that are keywords print quoted, as PostgreSQL does.
fn quoted_function(name: &str) -> String {
    match name {
        "substring" | "position" | "overlay" | "left" | "right" | "trim" | "coalesce" | "char" | "time"
        | "timestamp" | "interval" | "bit" => format!("\"{name}\""),
        other => other.to_string(),
    }
}

/// Whether the first parenthesis closes at the very end.
pub(super) fn matches_whole(text: &str) -> bool {
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
