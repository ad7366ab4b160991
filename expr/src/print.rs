//! Expressions as SQL text, in the words of PostgreSQL's `ruleutils.c`: EXPLAIN's conditions, and the
//! definitions of defaults, checks and indexes (which parse back to the same expression).
//!
//! Everything is parenthesised, implicit casts are left out, literals carry their type unless they are
//! read as that type anyway. Columns, subqueries and input positions are the caller's to name.

use types::{DataType, TextContext, Value};

use crate::aggregate::{AggregateCall, SortKey};
use crate::expr::{BoolTest, CallForm, Expr};
use crate::function::Function;
use crate::table::TableFunctionCall;
use crate::window::WindowCall;

/// Names what only the caller knows: [`Expr::Column`], [`Expr::Input`], [`Expr::PlanParameter`],
/// [`Expr::Subquery`].
pub trait Names {
    fn name(&self, expr: &Expr) -> String;
}

impl<F: Fn(&Expr) -> String> Names for F {
    fn name(&self, expr: &Expr) -> String {
        self(expr)
    }
}

/// `expr` as SQL.
pub fn print(expr: &Expr, names: &dyn Names) -> String {
    let mut printer = Printer::new(names);
    printer.plain(expr);
    printer.out
}

/// `sum(DISTINCT x ORDER BY y) FILTER (WHERE z)`.
pub fn print_aggregate(call: &AggregateCall, names: &dyn Names) -> String {
    let mut printer = Printer::new(names);
    printer.aggregate(call.function, &call.args, call.distinct, &call.order_by, call.filter.as_ref());
    printer.out
}

/// The call, without its OVER clause.
pub fn print_window(call: &WindowCall, names: &dyn Names) -> String {
    let mut printer = Printer::new(names);
    printer.aggregate(call.function, &call.args, call.distinct, &call.order_by, call.filter.as_ref());
    printer.out
}

/// `generate_series(1, 10)`.
pub fn print_table_function(call: &TableFunctionCall, names: &dyn Names) -> String {
    let mut printer = Printer::new(names);
    printer.named(&quote_identifier(call.function.name), &call.args);
    printer.out
}

/// `x DESC NULLS LAST`: what is the default stays unsaid.
pub fn print_sort_key(key: &SortKey, names: &dyn Names) -> String {
    let mut printer = Printer::new(names);
    printer.sort_key(key);
    printer.out
}

/// A type as casts write it: char without a length is `bpchar`.
fn type_name(data_type: DataType) -> String {
    if data_type == DataType::BPCHAR { "bpchar".to_string() } else { data_type.sql_name() }
}

/// A name as SQL reads it back: in double quotes unless it is a plain lower-case word.
///
/// Key words are quoted too where PostgreSQL's `quote_identifier` would: `reserved` tells.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `'text'` with quotes doubled, `E'…'` when it holds a backslash.
pub fn quote_literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    let body = text.replace('\\', "\\\\").replace('\'', "''");
    format!("{escape}'{body}'")
}

/// PostgreSQL's key words other than the unreserved ones.
fn is_reserved(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "authorization",
        "between",
        "bigint",
        "binary",
        "bit",
        "boolean",
        "both",
        "case",
        "cast",
        "char",
        "character",
        "check",
        "coalesce",
        "collate",
        "collation",
        "column",
        "concurrently",
        "constraint",
        "create",
        "cross",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "dec",
        "decimal",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "exists",
        "extract",
        "false",
        "fetch",
        "float",
        "for",
        "foreign",
        "freeze",
        "from",
        "full",
        "grant",
        "greatest",
        "group",
        "grouping",
        "having",
        "ilike",
        "in",
        "initially",
        "inner",
        "inout",
        "int",
        "integer",
        "intersect",
        "interval",
        "into",
        "is",
        "isnull",
        "join",
        "lateral",
        "leading",
        "least",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "national",
        "natural",
        "nchar",
        "none",
        "normalize",
        "not",
        "notnull",
        "null",
        "nullif",
        "numeric",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "out",
        "outer",
        "overlaps",
        "overlay",
        "placing",
        "position",
        "precision",
        "primary",
        "real",
        "references",
        "returning",
        "right",
        "row",
        "select",
        "session_user",
        "setof",
        "similar",
        "smallint",
        "some",
        "substring",
        "symmetric",
        "table",
        "tablesample",
        "then",
        "time",
        "timestamp",
        "to",
        "trailing",
        "treat",
        "trim",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "values",
        "varchar",
        "variadic",
        "verbose",
        "when",
        "where",
        "window",
        "with",
        "xmlattributes",
        "xmlconcat",
        "xmlelement",
        "xmlexists",
        "xmlforest",
        "xmlnamespaces",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
        "xmltable",
    ];
    WORDS.binary_search(&word).is_ok()
}

struct Printer<'n> {
    names: &'n dyn Names,
    text: TextContext,
    out: String,
}

impl<'n> Printer<'n> {
    fn new(names: &'n dyn Names) -> Printer<'n> {
        Printer { names, text: TextContext::default(), out: String::new() }
    }

    fn aggregate(
        &mut self,
        function: &Function,
        args: &[Expr],
        distinct: bool,
        order_by: &[SortKey],
        filter: Option<&Expr>,
    ) {
        self.push(&quote_identifier(function.name));
        self.push(if distinct { "(DISTINCT " } else { "(" });
        if args.is_empty() && function.is_aggregate() {
            self.push("*");
        }
        self.list(args, ", ");
        for (position, key) in order_by.iter().enumerate() {
            self.push(if position == 0 { " ORDER BY " } else { ", " });
            self.sort_key(key);
        }
        self.push(")");
        if let Some(filter) = filter {
            self.push(" FILTER (WHERE ");
            self.plain(filter);
            self.push(")");
        }
    }

    fn sort_key(&mut self, key: &SortKey) {
        self.plain(&key.expr);
        self.push(if key.descending { " DESC" } else { "" });
        match (key.descending, key.nulls_first) {
            (false, true) => self.push(" NULLS FIRST"),
            (true, false) => self.push(" NULLS LAST"),
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn list(&mut self, exprs: &[Expr], separator: &str) {
        for (position, expr) in exprs.iter().enumerate() {
            if position > 0 {
                self.push(separator);
            }
            self.expr(expr);
        }
    }

    /// Below operators and functions, where implicit casts show.
    fn expr(&mut self, expr: &Expr) {
        self.node(expr, true);
    }

    /// Where they do not.
    fn plain(&mut self, expr: &Expr) {
        self.node(expr, false);
    }

    fn node(&mut self, expr: &Expr, show_implicit: bool) {
        match expr {
            Expr::Column { .. } | Expr::Input { .. } | Expr::PlanParameter { .. } => {
                let name = self.names.name(expr);
                self.push(&name);
            }
            Expr::Subquery(subquery) => {
                let name = self.names.name(expr);
                self.push(&name);
                if !subquery.tests.is_empty() && name.is_empty() {
                    self.list(&subquery.tests, ", ");
                }
            }
            Expr::Literal { value, data_type, .. } => self.literal(value, *data_type, true),
            Expr::Parameter { index, .. } => self.push(&format!("${}", index + 1)),
            Expr::Call { args, data_type, form, function, .. } => {
                self.call(function.name, args, *data_type, *form, show_implicit);
            }
            Expr::And(args) => self.chain(args, " AND "),
            Expr::Or(args) => self.chain(args, " OR "),
            Expr::Not(arg) => {
                self.push("(NOT ");
                self.plain(arg);
                self.push(")");
            }
            Expr::IsNull { arg, negated } => {
                self.suffix(arg, if *negated { " IS NOT NULL" } else { " IS NULL" });
            }
            Expr::BoolTest { arg, test } => self.suffix(
                arg,
                match test {
                    BoolTest::IsTrue => " IS TRUE",
                    BoolTest::IsNotTrue => " IS NOT TRUE",
                    BoolTest::IsFalse => " IS FALSE",
                    BoolTest::IsNotFalse => " IS NOT FALSE",
                    BoolTest::IsUnknown => " IS UNKNOWN",
                    BoolTest::IsNotUnknown => " IS NOT UNKNOWN",
                },
            ),
            Expr::Distinct { left, right, negated, .. } => {
                self.push(if *negated { "(NOT (" } else { "(" });
                self.expr(left);
                self.push(" IS DISTINCT FROM ");
                self.expr(right);
                self.push(if *negated { "))" } else { ")" });
            }
            Expr::Case { branches, otherwise, data_type } => {
                self.push("CASE");
                for (condition, result) in branches {
                    self.push(" WHEN ");
                    self.plain(condition);
                    self.push(" THEN ");
                    self.expr(result);
                }
                self.push(" ELSE ");
                match otherwise {
                    Some(otherwise) => self.expr(otherwise),
                    None => self.literal(&Value::Null, *data_type, true),
                }
                self.push(" END");
            }
            Expr::Coalesce { args, .. } => self.named("COALESCE", args),
            Expr::NullIf { left, right, .. } => {
                self.push("NULLIF(");
                self.expr(left);
                self.push(", ");
                self.expr(right);
                self.push(")");
            }
            Expr::MinMax { args, greatest, .. } => {
                self.named(if *greatest { "GREATEST" } else { "LEAST" }, args)
            }
            Expr::InList { arg, list, negated, operator } => {
                self.push("(");
                self.expr(arg);
                self.push(if *negated { " <> ALL (" } else { " = ANY (" });
                self.in_list(list, operator.right);
                self.push("))");
            }
            Expr::AnyAll { left, array, operator, all } => {
                self.push("(");
                self.expr(left);
                self.push(&format!(" {} {} (", operator.symbol, if *all { "ALL" } else { "ANY" }));
                self.expr(array);
                self.push("))");
            }
            Expr::Array { elements, data_type, .. } => {
                self.push("ARRAY[");
                self.list(elements, ", ");
                self.push("]");
                if elements.is_empty() {
                    self.push(&format!("::{}", type_name(*data_type)));
                }
            }
            Expr::Row { fields, .. } => self.named("ROW", fields),
            Expr::Field { arg, index, .. } => {
                self.push("(");
                self.expr(arg);
                self.push(&format!(").f{}", index + 1));
            }
            Expr::Subscript { array, indexes, .. } => {
                self.base(array);
                for index in indexes {
                    self.push("[");
                    self.expr(index);
                    self.push("]");
                }
            }
            Expr::Slice { array, bounds, .. } => {
                self.base(array);
                for (lower, upper) in bounds {
                    self.push("[");
                    lower.iter().for_each(|bound| self.expr(bound));
                    self.push(":");
                    upper.iter().for_each(|bound| self.expr(bound));
                    self.push("]");
                }
            }
            Expr::Relabel { arg, data_type, implicit }
            | Expr::IoCast { arg, data_type, implicit, .. }
            | Expr::ArrayCast { arg, data_type, implicit, .. } => {
                if *implicit && !show_implicit {
                    self.plain(arg);
                } else {
                    self.cast(arg, *data_type);
                }
            }
            Expr::CaseValue { .. } => self.push("CASE_TEST_EXPR"),
        }
    }

    fn chain(&mut self, args: &[Expr], word: &str) {
        self.push("(");
        for (position, arg) in args.iter().enumerate() {
            if position > 0 {
                self.push(word);
            }
            self.plain(arg);
        }
        self.push(")");
    }

    fn suffix(&mut self, arg: &Expr, text: &str) {
        self.push("(");
        self.expr(arg);
        self.push(text);
        self.push(")");
    }

    fn named(&mut self, name: &str, args: &[Expr]) {
        self.push(name);
        self.push("(");
        self.list(args, ", ");
        self.push(")");
    }

    /// What subscripts follow: a name as it is, anything else in parentheses.
    fn base(&mut self, array: &Expr) {
        if matches!(array, Expr::Column { .. } | Expr::Input { .. } | Expr::Parameter { .. }) {
            self.expr(array);
        } else {
            self.push("(");
            self.expr(array);
            self.push(")");
        }
    }

    fn call(
        &mut self,
        name: &'static str,
        args: &[Expr],
        data_type: DataType,
        form: CallForm,
        show_implicit: bool,
    ) {
        match (form, args) {
            (CallForm::Operator(operator), [left, right]) => {
                self.push("(");
                self.expr(left);
                self.push(&format!(" {} ", operator.symbol));
                self.expr(right);
                self.push(")");
            }
            (CallForm::Operator(operator), [arg]) => {
                self.push(&format!("({} ", operator.symbol));
                self.expr(arg);
                self.push(")");
            }
            (CallForm::ImplicitCast, [arg, ..]) if !show_implicit => self.plain(arg),
            (CallForm::ExplicitCast | CallForm::ImplicitCast, [arg, ..]) => self.cast(arg, data_type),
            (CallForm::SqlSyntax, _) => self.sql_syntax(name, args),
            _ => self.named(&quote_identifier(name), args),
        }
    }

    fn sql_syntax(&mut self, name: &str, args: &[Expr]) {
        match (name, args) {
            ("extract", [field, source]) => {
                self.push("EXTRACT(");
                match field.as_literal().and_then(Value::as_str) {
                    Some(field) => self.push(field),
                    None => self.expr(field),
                }
                self.push(" FROM ");
                self.expr(source);
                self.push(")");
            }
            ("timezone", [zone, time]) => {
                self.push("(");
                self.expr(time);
                self.push(" AT TIME ZONE ");
                self.expr(zone);
                self.push(")");
            }
            ("substring", [text, from]) => {
                self.push("SUBSTRING(");
                self.expr(text);
                self.push(" FROM ");
                self.expr(from);
                self.push(")");
            }
            ("substring", [text, from, length]) => {
                self.push("SUBSTRING(");
                self.expr(text);
                self.push(" FROM ");
                self.expr(from);
                self.push(" FOR ");
                self.expr(length);
                self.push(")");
            }
            ("position", [text, part]) => {
                self.push("POSITION((");
                self.expr(part);
                self.push(") IN (");
                self.expr(text);
                self.push("))");
            }
            ("btrim" | "ltrim" | "rtrim", [text, rest @ ..]) => {
                self.push(match name {
                    "btrim" => "TRIM(BOTH",
                    "ltrim" => "TRIM(LEADING",
                    _ => "TRIM(TRAILING",
                });
                if let Some(characters) = rest.first() {
                    self.push(" ");
                    self.expr(characters);
                }
                self.push(" FROM ");
                self.expr(text);
                self.push(")");
            }
            ("overlay", [text, new, from, rest @ ..]) => {
                self.push("OVERLAY(");
                self.expr(text);
                self.push(" PLACING ");
                self.expr(new);
                self.push(" FROM ");
                self.expr(from);
                if let Some(length) = rest.first() {
                    self.push(" FOR ");
                    self.expr(length);
                }
                self.push(")");
            }
            ("overlaps", [a, b, c, d]) => {
                self.push("((");
                self.expr(a);
                self.push(", ");
                self.expr(b);
                self.push(") OVERLAPS (");
                self.expr(c);
                self.push(", ");
                self.expr(d);
                self.push("))");
            }
            ("now", []) => self.push("CURRENT_TIMESTAMP"),
            ("current_user", []) => self.push("CURRENT_USER"),
            ("session_user", []) => self.push("SESSION_USER"),
            ("current_database", []) => self.push("CURRENT_CATALOG"),
            ("current_schema", []) => self.push("CURRENT_SCHEMA"),
            _ => self.named(&quote_identifier(name), args),
        }
    }

    fn cast(&mut self, arg: &Expr, to: DataType) {
        // CURRENT_DATE and its like are casts of the time they read.
        if let Expr::Call { function, form: CallForm::SqlSyntax, args, .. } = arg
            && function.name == "now"
            && args.is_empty()
        {
            let word = match to.without_modifier() {
                DataType::DATE => Some("CURRENT_DATE"),
                DataType::TIME => Some("LOCALTIME"),
                DataType::TIMESTAMP => Some("LOCALTIMESTAMP"),
                DataType::TIMESTAMPTZ => Some("CURRENT_TIMESTAMP"),
                _ => None,
            };
            if let Some(word) = word {
                self.push(word);
                if to.modifier >= 0 {
                    self.push(&format!("({})", to.modifier));
                }
                return;
            }
        }
        match arg {
            Expr::Literal { value, data_type, .. }
                if (data_type.oid == to.oid && data_type.modifier < 0)
                    || data_type.oid == DataType::UNKNOWN.oid =>
            {
                self.literal(value, *data_type, false);
            }
            _ => {
                self.push("(");
                self.plain(arg);
                self.push(")");
            }
        }
        self.push(&format!("::{}", type_name(to)));
    }

    /// The right side of IN as PostgreSQL shows it: one array literal if all are constants.
    fn in_list(&mut self, list: &[Expr], declared: DataType) {
        let element = list.first().map_or(declared, Expr::data_type).without_modifier();
        let values: Option<Vec<Value>> = list.iter().map(|item| item.as_literal().cloned()).collect();
        match (values, element.array_of()) {
            (Some(values), Some(array)) => {
                let value = types::ArrayValue::from_elements(element, values);
                self.literal(&Value::Array(value.into()), array, true);
            }
            _ => {
                self.push("ARRAY[");
                self.list(list, ", ");
                self.push("]");
            }
        }
    }

    fn literal(&mut self, value: &Value, data_type: DataType, label: bool) {
        if value.is_null() {
            self.push("NULL");
            if label && data_type.oid != DataType::UNKNOWN.oid {
                self.push(&format!("::{}", type_name(data_type)));
            }
            return;
        }
        let mut bytes = Vec::new();
        types::text::write_text(value, data_type, &self.text, &mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut needs_label = true;
        match data_type.without_modifier() {
            DataType::INT4 if !text.starts_with('-') => {
                needs_label = false;
                self.push(&text);
            }
            DataType::NUMERIC
                if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['.', 'e', 'E']) =>
            {
                needs_label = data_type.modifier >= 0;
                self.push(&text);
            }
            DataType::BOOL => {
                needs_label = false;
                self.push(if text == "t" { "true" } else { "false" });
            }
            DataType::UNKNOWN => {
                needs_label = false;
                let quoted = quote_literal(&text);
                self.push(&quoted);
            }
            _ => {
                let quoted = quote_literal(&text);
                self.push(&quoted);
            }
        }
        if label && needs_label {
            self.push(&format!("::{}", type_name(data_type)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::ColumnId;

    fn names(expr: &Expr) -> String {
        match expr {
            Expr::Column { id, .. } => format!("c{}", id.0),
            _ => "?".to_string(),
        }
    }

    #[test]
    fn key_words_are_sorted_and_quoted() {
        assert_eq!(quote_identifier("select"), "\"select\"");
        assert_eq!(quote_identifier("table"), "\"table\"");
        assert_eq!(quote_identifier("verbose"), "\"verbose\"");
        assert_eq!(quote_identifier("name"), "name");
        assert_eq!(quote_identifier("Odd\"one"), "\"Odd\"\"one\"");
        assert_eq!(quote_literal("it's \\"), "E'it''s \\\\'");
    }

    #[test]
    fn prints_as_ruleutils_does() {
        let a = Expr::column(ColumnId(1), DataType::INT4);
        let one = Expr::literal(Value::Int32(1), DataType::INT4);
        let minus = Expr::literal(Value::Int32(-1), DataType::INT4);
        let equal = Expr::equality(a.clone(), one).expect("integers have =");
        assert_eq!(print(&equal, &names), "(c1 = 1)");
        let other = Expr::equality(a.clone(), minus).expect("integers have =");
        assert_eq!(print(&other, &names), "(c1 = '-1'::integer)");
        let both = Expr::And(vec![equal, Expr::IsNull { arg: Box::new(a), negated: true }]);
        assert_eq!(print(&both, &names), "((c1 = 1) AND (c1 IS NOT NULL))");
        // An implicit cast shows below an operator, not on its own.
        let name = Expr::column(ColumnId(2), DataType::VARCHAR);
        let text = Expr::Relabel { arg: Box::new(name), data_type: DataType::TEXT, implicit: true };
        assert_eq!(print(&text, &names), "c2");
        let alike =
            Expr::equality(text, Expr::literal(Value::text("x"), DataType::TEXT)).expect("text has =");
        assert_eq!(print(&alike, &names), "((c2)::text = 'x'::text)");
        assert_eq!(print(&Expr::null(DataType::DATE), &names), "NULL::date");
        assert_eq!(print(&Expr::literal(Value::text("x"), DataType::TEXT), &names), "'x'::text");
    }
}
