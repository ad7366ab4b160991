//! Printing expressions as PostgreSQL's EXPLAIN and `pg_get_expr` do.
//!
//! Follows `ruleutils.c` without pretty-printing: every operator in parentheses, every constant with
//! its type unless its text says it. Implicit casts show where PostgreSQL shows them: below operators
//! and functions.

use std::fmt::Write;

use types::text::TextContext;
use types::{DataType, Value};

use crate::aggregate::{AggregateCall, SortKey};
use crate::expr::{BoolTest, CallForm, ColumnId, Expr, Subquery};
use crate::function::Function;
use crate::scalar::string::{quote_identifier, quote_literal};
use crate::table::TableFunctionCall;
use crate::window::WindowCall;

/// What the printer cannot know: the names of things.
pub trait Names {
    /// `lineitem.l_orderkey`, quoted as needed.
    fn column(&self, id: ColumnId) -> String {
        format!("#{}", id.0)
    }

    /// The name of an input column of a physical operator.
    fn input(&self, position: usize) -> String {
        format!("?column{position}?")
    }

    /// `$0`, as the plan numbers them.
    fn plan_parameter(&self, id: crate::expr::PlanParameterId) -> String {
        format!("${}", id.0)
    }

    /// `(SubPlan 1)`, `(hashed SubPlan 1)`, `(alternatives: …)`.
    fn subquery(&self, subquery: &Subquery) -> String {
        format!("(SubPlan {})", subquery.id.0 + 1)
    }

    /// A type that is not built in.
    fn type_name(&self, data_type: DataType) -> Option<String> {
        let _ = data_type;
        None
    }

    /// How values print.
    fn text(&self) -> &TextContext;
}

/// Prints with placeholders for names: for tests and messages.
#[derive(Debug, Default)]
pub struct NoNames(TextContext);

impl Names for NoNames {
    fn text(&self) -> &TextContext {
        &self.0
    }
}

impl Expr {
    /// The expression as PostgreSQL's EXPLAIN prints it.
    pub fn to_sql(&self, names: &dyn Names) -> String {
        let mut printer = Printer { out: String::new(), names };
        printer.expr(self, false);
        printer.out
    }
}

impl AggregateCall {
    /// `sum(DISTINCT x ORDER BY y) FILTER (WHERE z)`.
    pub fn to_sql(&self, names: &dyn Names) -> String {
        let mut printer = Printer { out: String::new(), names };
        printer.aggregate(self.function, &self.args, self.distinct, &self.order_by, self.filter.as_ref());
        printer.out
    }
}

impl WindowCall {
    /// The call without its OVER clause.
    pub fn to_sql(&self, names: &dyn Names) -> String {
        let mut printer = Printer { out: String::new(), names };
        printer.aggregate(self.function, &self.args, self.distinct, &self.order_by, self.filter.as_ref());
        printer.out
    }
}

impl TableFunctionCall {
    pub fn to_sql(&self, names: &dyn Names) -> String {
        let mut printer = Printer { out: String::new(), names };
        printer.call(self.function, &self.args);
        printer.out
    }
}

impl SortKey {
    /// `x DESC NULLS LAST`: what is the default stays unsaid.
    pub fn to_sql(&self, names: &dyn Names) -> String {
        let mut printer = Printer { out: String::new(), names };
        printer.sort_key(self);
        printer.out
    }
}

struct Printer<'a> {
    out: String,
    names: &'a dyn Names,
}

impl Printer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn list(&mut self, exprs: &[Expr], show_implicit: bool) {
        for (index, expr) in exprs.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.expr(expr, show_implicit);
        }
    }

    fn expr(&mut self, expr: &Expr, show_implicit: bool) {
        match expr {
            Expr::Column { id, .. } => {
                let name = self.names.column(*id);
                self.push(&name);
            }
            Expr::Input { position, .. } => {
                let name = self.names.input(*position);
                self.push(&name);
            }
            Expr::Literal { value, data_type, .. } => self.literal(value, *data_type),
            Expr::Parameter { index, .. } => {
                let _ = write!(self.out, "${}", index + 1);
            }
            Expr::PlanParameter { id, .. } => {
                let name = self.names.plan_parameter(*id);
                self.push(&name);
            }
            Expr::Call { function, args, data_type, form, .. } => match (form, args.as_slice()) {
                (CallForm::Operator(operator), [left, right]) => {
                    self.push("(");
                    self.expr(left, true);
                    let _ = write!(self.out, " {} ", operator.symbol);
                    self.expr(right, true);
                    self.push(")");
                }
                (CallForm::Operator(operator), [arg]) => {
                    let _ = write!(self.out, "({} ", operator.symbol);
                    self.expr(arg, true);
                    self.push(")");
                }
                (CallForm::ImplicitCast, [arg, ..]) if !show_implicit => self.expr(arg, false),
                (CallForm::ExplicitCast | CallForm::ImplicitCast, [arg, ..]) => self.cast(arg, *data_type),
                (CallForm::SqlSyntax, args) => {
                    if !self.sql_syntax(function, args) {
                        self.call(function, args);
                    }
                }
                (_, args) => self.call(function, args),
            },
            Expr::And(parts) => self.joined(parts, " AND "),
            Expr::Or(parts) => self.joined(parts, " OR "),
            Expr::Not(arg) => {
                self.push("(NOT ");
                self.expr(arg, false);
                self.push(")");
            }
            Expr::IsNull { arg, negated } => {
                self.push("(");
                self.expr(arg, true);
                self.push(if *negated { " IS NOT NULL)" } else { " IS NULL)" });
            }
            Expr::BoolTest { arg, test } => {
                self.push("(");
                self.expr(arg, false);
                self.push(match test {
                    BoolTest::IsTrue => " IS TRUE)",
                    BoolTest::IsNotTrue => " IS NOT TRUE)",
                    BoolTest::IsFalse => " IS FALSE)",
                    BoolTest::IsNotFalse => " IS NOT FALSE)",
                    BoolTest::IsUnknown => " IS UNKNOWN)",
                    BoolTest::IsNotUnknown => " IS NOT UNKNOWN)",
                });
            }
            Expr::Distinct { left, right, negated, .. } => {
                self.push(if *negated { "(NOT (" } else { "(" });
                self.expr(left, true);
                self.push(" IS DISTINCT FROM ");
                self.expr(right, true);
                self.push(if *negated { "))" } else { ")" });
            }
            Expr::Case { branches, otherwise, data_type } => {
                self.push("CASE");
                for (condition, result) in branches {
                    self.push(" WHEN ");
                    self.expr(condition, false);
                    self.push(" THEN ");
                    self.expr(result, true);
                }
                self.push(" ELSE ");
                match otherwise {
                    Some(otherwise) => self.expr(otherwise, true),
                    None => self.literal(&Value::Null, *data_type),
                }
                self.push(" END");
            }
            Expr::Coalesce { args, .. } => self.construct("COALESCE(", args, ")"),
            Expr::MinMax { args, greatest, .. } => {
                self.construct(if *greatest { "GREATEST(" } else { "LEAST(" }, args, ")");
            }
            Expr::NullIf { left, right, .. } => {
                self.push("NULLIF(");
                self.expr(left, true);
                self.push(", ");
                self.expr(right, true);
                self.push(")");
            }
            Expr::InList { arg, list, negated, .. } => self.in_list(arg, list, *negated),
            Expr::AnyAll { left, array, operator, all } => {
                self.push("(");
                self.expr(left, true);
                let _ = write!(self.out, " {} {} (", operator.symbol, if *all { "ALL" } else { "ANY" });
                self.expr(array, true);
                self.push("))");
            }
            Expr::Array { elements, data_type, .. } => {
                self.construct("ARRAY[", elements, "]");
                if elements.is_empty() {
                    let name = self.type_name(*data_type);
                    let _ = write!(self.out, "::{name}");
                }
            }
            Expr::Row { fields, .. } => self.construct("ROW(", fields, ")"),
            Expr::Field { arg, index, .. } => {
                self.push("(");
                self.expr(arg, true);
                let _ = write!(self.out, ").f{}", index + 1);
            }
            Expr::Subscript { array, indexes, .. } => {
                self.subscripted(array);
                for index in indexes {
                    self.push("[");
                    self.expr(index, false);
                    self.push("]");
                }
            }
            Expr::Slice { array, bounds, .. } => {
                self.subscripted(array);
                for (lower, upper) in bounds {
                    self.push("[");
                    if let Some(lower) = lower {
                        self.expr(lower, false);
                    }
                    self.push(":");
                    if let Some(upper) = upper {
                        self.expr(upper, false);
                    }
                    self.push("]");
                }
            }
            Expr::Relabel { arg, data_type, implicit }
            | Expr::IoCast { arg, data_type, implicit, .. }
            | Expr::ArrayCast { arg, data_type, implicit, .. } => {
                if *implicit && !show_implicit {
                    self.expr(arg, false);
                } else {
                    self.cast(arg, *data_type);
                }
            }
            Expr::CaseValue { .. } => self.push("CASE_TEST_EXPR"),
            Expr::Subquery(subquery) => {
                let text = self.names.subquery(subquery);
                self.push(&text);
            }
        }
    }

    fn joined(&mut self, parts: &[Expr], word: &str) {
        self.push("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.push(word);
            }
            self.expr(part, false);
        }
        self.push(")");
    }

    fn construct(&mut self, open: &str, args: &[Expr], close: &str) {
        self.push(open);
        self.list(args, true);
        self.push(close);
    }

    fn subscripted(&mut self, array: &Expr) {
        let bare = matches!(array, Expr::Column { .. } | Expr::Input { .. } | Expr::Parameter { .. });
        if !bare {
            self.push("(");
        }
        self.expr(array, true);
        if !bare {
            self.push(")");
        }
    }

    fn cast(&mut self, arg: &Expr, data_type: DataType) {
        // A length coercion of a constant shows as one cast.
        if let Expr::Literal { value, data_type: own, .. } = arg
            && own.oid == data_type.oid
            && own.modifier == -1
            && !value.is_null()
        {
            let text = types::text::to_text(value, *own, self.names.text());
            let name = self.type_name(data_type);
            let _ = write!(self.out, "{}::{name}", quote_literal(&text));
            return;
        }
        self.push("(");
        self.expr(arg, false);
        let name = self.type_name(data_type);
        let _ = write!(self.out, ")::{name}");
    }

    fn type_name(&self, data_type: DataType) -> String {
        if data_type.oid == DataType::BPCHAR.oid && data_type.modifier < 0 {
            return "bpchar".to_string();
        }
        match types::datatype::builtin(data_type.oid) {
            Some(_) => data_type.sql_name(),
            None => self.names.type_name(data_type).unwrap_or_else(|| data_type.sql_name()),
        }
    }

    fn literal(&mut self, value: &Value, data_type: DataType) {
        let name = self.type_name(data_type);
        if value.is_null() {
            let _ = write!(self.out, "NULL::{name}");
            return;
        }
        if let Value::Bool(value) = value {
            self.push(if *value { "true" } else { "false" });
            return;
        }
        let text = types::text::to_text(value, data_type, self.names.text());
        let digits_first = text.starts_with(|c: char| c.is_ascii_digit());
        let labelled = match data_type.oid {
            oid if oid == DataType::INT4.oid => !digits_first,
            oid if oid == DataType::NUMERIC.oid => {
                let float = digits_first && text.contains(['e', 'E', '.']);
                if float {
                    self.push(&text);
                    if data_type.modifier >= 0 {
                        let _ = write!(self.out, "::{name}");
                    }
                    return;
                }
                true
            }
            _ => true,
        };
        if !labelled {
            self.push(&text);
            return;
        }
        let quoted = quote_literal(&text);
        self.push(&quoted);
        if data_type.oid != DataType::UNKNOWN.oid {
            let _ = write!(self.out, "::{name}");
        }
    }

    /// `(x = ANY ('{1,2}'::integer[]))`, or `ARRAY[…]` when not all are constants.
    fn in_list(&mut self, arg: &Expr, list: &[Expr], negated: bool) {
        self.push("(");
        self.expr(arg, true);
        self.push(if negated { " <> ALL (" } else { " = ANY (" });
        let values: Option<Vec<Value>> = list.iter().map(|item| item.as_literal().cloned()).collect();
        let element = list.first().map_or(DataType::TEXT, Expr::data_type).without_modifier();
        match (values, element.array_of()) {
            (Some(values), Some(array_type)) => {
                let array = Value::Array(types::ArrayValue::from_elements(element, values).into());
                self.literal(&array, array_type);
            }
            _ => self.construct("ARRAY[", list, "]"),
        }
        self.push("))");
    }

    fn call(&mut self, function: &Function, args: &[Expr]) {
        let name = quote_identifier(function.name);
        let _ = write!(self.out, "{name}(");
        self.list(args, true);
        self.push(")");
    }

    /// SQL's own syntax for a function; false when it has none.
    fn sql_syntax(&mut self, function: &Function, args: &[Expr]) -> bool {
        match (function.name, args) {
            ("extract", [field, from]) => {
                let field = field.as_literal().and_then(Value::as_str).unwrap_or_default();
                let _ = write!(self.out, "EXTRACT({field} FROM ");
                self.expr(from, false);
                self.push(")");
            }
            ("substring", [text, from]) => self.worded("SUBSTRING(", text, &[(" FROM ", from)]),
            ("substring", [text, from, length]) => {
                self.worded("SUBSTRING(", text, &[(" FROM ", from), (" FOR ", length)]);
            }
            ("position", [text, needle]) => {
                self.push("POSITION((");
                self.expr(needle, false);
                self.push(") IN (");
                self.expr(text, false);
                self.push("))");
            }
            ("overlay", [text, insert, from]) => {
                self.worded("OVERLAY(", text, &[(" PLACING ", insert), (" FROM ", from)]);
            }
            ("overlay", [text, insert, from, length]) => {
                self.worded("OVERLAY(", text, &[(" PLACING ", insert), (" FROM ", from), (" FOR ", length)]);
            }
            ("btrim" | "ltrim" | "rtrim", [text, rest @ ..]) => {
                let side = match function.name {
                    "btrim" => "BOTH",
                    "ltrim" => "LEADING",
                    _ => "TRAILING",
                };
                let _ = write!(self.out, "TRIM({side} ");
                if let [set] = rest {
                    self.expr(set, false);
                    self.push(" ");
                }
                self.push("FROM ");
                self.expr(text, false);
                self.push(")");
            }
            ("timezone", [zone, time]) => {
                self.push("(");
                self.expr(time, true);
                self.push(" AT TIME ZONE ");
                self.expr(zone, true);
                self.push(")");
            }
            ("now", []) => self.push("CURRENT_TIMESTAMP"),
            ("current_user" | "session_user" | "current_schema", []) => {
                let name = function.name.to_ascii_uppercase();
                self.push(&name);
            }
            ("current_database", []) => self.push("CURRENT_CATALOG"),
            _ => return false,
        }
        true
    }

    fn worded(&mut self, open: &str, first: &Expr, rest: &[(&str, &Expr)]) {
        self.push(open);
        self.expr(first, false);
        for (word, expr) in rest {
            self.push(word);
            self.expr(expr, false);
        }
        self.push(")");
    }

    fn aggregate(
        &mut self,
        function: &Function,
        args: &[Expr],
        distinct: bool,
        order_by: &[SortKey],
        filter: Option<&Expr>,
    ) {
        let name = quote_identifier(function.name);
        let _ = write!(self.out, "{name}(");
        if distinct {
            self.push("DISTINCT ");
        }
        if args.is_empty() && function.is_aggregate() {
            self.push("*");
        }
        self.list(args, true);
        if !order_by.is_empty() {
            self.push(" ORDER BY ");
            for (index, key) in order_by.iter().enumerate() {
                if index > 0 {
                    self.push(", ");
                }
                self.sort_key(key);
            }
        }
        self.push(")");
        if let Some(filter) = filter {
            self.push(" FILTER (WHERE ");
            self.expr(filter, false);
            self.push(")");
        }
    }

    fn sort_key(&mut self, key: &SortKey) {
        self.expr(&key.expr, false);
        if key.descending {
            self.push(" DESC");
        }
        match (key.descending, key.nulls_first) {
            (false, true) => self.push(" NULLS FIRST"),
            (true, false) => self.push(" NULLS LAST"),
            _ => {}
        }
    }
}
