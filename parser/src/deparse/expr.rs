//! Expressions as text.
//!
//! Called by `deparse.rs` and `query.rs`. Every operator gets its parentheses; literals print as they were.

use super::name::{interval, quote_literal, type_name};
use super::{Printer, VARIABLE};
use crate::ast::*;

impl Printer {
    pub(super) fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::ColumnRef(column) => {
                self.names(&column.fields);
                if column.star {
                    self.push(if column.fields.is_empty() { "*" } else { ".*" });
                }
            }
            Expr::ParamRef(param) => self.push(&format!("${}", param.number)),
            Expr::Const(constant) => self.constant(&constant.value),
            Expr::Operator(x) => {
                self.push("(");
                if let Some(left) = &x.left {
                    self.expr(left);
                    self.push(" ");
                }
                self.operator(&x.name);
                self.push(" ");
                self.expr(&x.right);
                self.push(")");
            }
            Expr::OperatorArray(x) => {
                self.push("(");
                self.expr(&x.left);
                self.push(" ");
                self.operator(&x.name);
                self.push(if x.all { " ALL (" } else { " ANY (" });
                // A sub-select here would be read as the set, not as one array: a cast or parenthesis cannot help.
                self.expr(&x.right);
                self.push("))");
            }
            Expr::Bool(x) => self.bool_expr(x),
            Expr::Distinct(x) => {
                self.push("(");
                self.expr(&x.left);
                self.push(if x.negated { " IS NOT DISTINCT FROM " } else { " IS DISTINCT FROM " });
                self.expr(&x.right);
                self.push(")");
            }
            Expr::NullIf(x) => {
                self.push("NULLIF(");
                self.expr(&x.left);
                self.push(", ");
                self.expr(&x.right);
                self.push(")");
            }
            Expr::In(x) => {
                self.push("(");
                self.expr(&x.expr);
                self.push(if x.negated { " NOT IN (" } else { " IN (" });
                // One sub-select in parentheses would be the set itself; an element of the list it is as an operand.
                self.exprs(&x.list);
                self.push("))");
            }
            Expr::Like(x) => {
                self.push("(");
                self.expr(&x.expr);
                self.push(if x.negated { " NOT " } else { " " });
                self.push(match x.kind {
                    LikeKind::Like => "LIKE ",
                    LikeKind::ILike => "ILIKE ",
                    LikeKind::SimilarTo => "SIMILAR TO ",
                });
                self.expr(&x.pattern);
                if let Some(escape) = &x.escape {
                    self.push(" ESCAPE ");
                    self.expr(escape);
                }
                self.push(")");
            }
            Expr::Between(x) => {
                self.push("(");
                self.expr(&x.expr);
                self.push(if x.negated { " NOT BETWEEN " } else { " BETWEEN " });
                if x.symmetric {
                    self.push("SYMMETRIC ");
                }
                self.operand(&x.low);
                self.push(" AND ");
                self.expr(&x.high);
                self.push(")");
            }
            Expr::NullTest(x) => {
                self.push("(");
                self.expr(&x.arg);
                self.push(if x.negated { " IS NOT NULL)" } else { " IS NULL)" });
            }
            Expr::BooleanTest(x) => {
                self.push("(");
                self.expr(&x.arg);
                self.push(if x.negated { " IS NOT " } else { " IS " });
                self.push(match x.kind {
                    BooleanTestKind::True => "TRUE)",
                    BooleanTestKind::False => "FALSE)",
                    BooleanTestKind::Unknown => "UNKNOWN)",
                });
            }
            Expr::SubLink(x) => self.sublink(x),
            Expr::FuncCall(x) => self.call(x),
            Expr::TypeCast(x) => self.cast(x),
            Expr::Case(x) => self.case(x),
            Expr::Coalesce(x) => self.wrapped("COALESCE(", &x.args, ")"),
            Expr::MinMax(x) => self.wrapped(if x.greatest { "GREATEST(" } else { "LEAST(" }, &x.args, ")"),
            Expr::Row(x) => {
                // Without the word a row must have two fields to be one.
                self.wrapped(if x.explicit || x.fields.len() < 2 { "ROW(" } else { "(" }, &x.fields, ")");
            }
            Expr::Array(x) => self.wrapped("ARRAY[", &x.elements, "]"),
            Expr::Indirection(x) => {
                self.indirection_base(x);
                self.indirection(&x.path);
            }
            Expr::Collate(x) => {
                self.push("(");
                self.operand(&x.arg);
                self.push(" COLLATE ");
                self.names(&x.collation);
                self.push(")");
            }
            Expr::Grouping(x) => self.wrapped("GROUPING(", &x.args, ")"),
            Expr::SqlValueFunction(x) => self.value_function(x),
            Expr::SetToDefault(_) => self.push("DEFAULT"),
            Expr::CurrentOf(x) => {
                self.push("CURRENT OF ");
                self.name(&x.cursor);
            }
        }
    }

    pub(super) fn exprs(&mut self, exprs: &[Expr]) {
        self.list(exprs, |p, expr| p.expr(expr));
    }

    fn wrapped(&mut self, open: &str, exprs: &[Expr], close: &str) {
        self.push(open);
        self.exprs(exprs);
        self.push(close);
    }

    /// An expression where only a tight one may stand: in parentheses unless it has some of its own.
    fn operand(&mut self, expr: &Expr) {
        let bare = matches!(expr, Expr::SetToDefault(_) | Expr::TypeCast(_));
        if bare {
            self.push("(");
        }
        self.expr(expr);
        if bare {
            self.push(")");
        }
    }

    pub(super) fn constant(&mut self, value: &ConstValue) {
        match value {
            ConstValue::Null => self.push("NULL"),
            ConstValue::Boolean(true) => self.push("true"),
            ConstValue::Boolean(false) => self.push("false"),
            ConstValue::Integer(value) if *value < 0 => self.push(&format!("({value})")),
            ConstValue::Integer(value) => self.push(&value.to_string()),
            ConstValue::Numeric(text) if text.starts_with('-') => self.push(&format!("({text})")),
            ConstValue::Numeric(text) => self.push(text),
            ConstValue::String(text) => self.push(&quote_literal(text)),
            ConstValue::BitString(text) => {
                let (kind, digits) = text.split_at(text.len().min(1));
                self.push(&format!("{}{}", kind.to_uppercase(), quote_literal(digits)));
            }
        }
    }

    pub(super) fn operator(&mut self, name: &OperatorName) {
        match &name.schema {
            None => self.push(&name.name),
            Some(schema) => {
                self.push("OPERATOR(");
                self.name(schema);
                self.push(".");
                self.push(&name.name);
                self.push(")");
            }
        }
    }

    fn bool_expr(&mut self, x: &BoolExpr) {
        self.push("(");
        let word = match x.op {
            BoolOp::And => " AND ",
            BoolOp::Or => " OR ",
            BoolOp::Not => {
                self.push("NOT ");
                ""
            }
        };
        for (i, arg) in x.args.iter().enumerate() {
            if i > 0 {
                self.push(word);
            }
            self.expr(arg);
        }
        self.push(")");
    }

    fn sublink(&mut self, x: &SubLink) {
        match x.kind {
            SubLinkKind::Exists => self.push("(EXISTS "),
            SubLinkKind::Array => self.push("ARRAY"),
            SubLinkKind::Expr => {}
            SubLinkKind::Any | SubLinkKind::All => {
                self.push("(");
                if let Some(test) = &x.test {
                    self.expr(test);
                }
                match &x.operator {
                    None => self.push(" IN "),
                    Some(operator) => {
                        self.push(" ");
                        self.operator(operator);
                        self.push(if x.kind == SubLinkKind::All { " ALL " } else { " ANY " });
                    }
                }
            }
        }
        self.push("(");
        self.query(&x.query);
        self.push(")");
        if !matches!(x.kind, SubLinkKind::Array | SubLinkKind::Expr) {
            self.push(")");
        }
    }

    fn call(&mut self, x: &FuncCall) {
        if x.sql_syntax && self.spelled_call(x) {
            self.call_suffix(x);
            return;
        }
        self.names(&x.name);
        self.call_arguments(x);
        self.call_suffix(x);
    }

    pub(super) fn call_arguments(&mut self, x: &FuncCall) {
        self.push("(");
        if x.star {
            self.push("*");
        }
        if x.distinct {
            self.push("DISTINCT ");
        }
        let last = x.args.len().saturating_sub(1);
        for (i, argument) in x.args.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            if x.variadic && i == last {
                self.push("VARIADIC ");
            }
            if let Some(name) = &argument.name {
                self.name(name);
                self.push(" => ");
            }
            self.expr(&argument.value);
        }
        if !x.order_by.is_empty() && !x.within_group {
            self.push(" ORDER BY ");
            self.sort_list(&x.order_by);
        }
        self.push(")");
    }

    fn call_suffix(&mut self, x: &FuncCall) {
        if x.within_group {
            self.push(" WITHIN GROUP (ORDER BY ");
            self.sort_list(&x.order_by);
            self.push(")");
        }
        if let Some(filter) = &x.filter {
            self.push(" FILTER (WHERE ");
            self.expr(filter);
            self.push(")");
        }
        if let Some(window) = &x.over {
            self.push(" OVER ");
            match &window.name {
                Some(name) => self.name(name),
                None => self.window(window),
            }
        }
    }

    /// The functions SQL spells in its own way; false if this is none of them after all.
    fn spelled_call(&mut self, x: &FuncCall) -> bool {
        let args: Vec<&Expr> = x.args.iter().map(|argument| &argument.value).collect();
        let name = x.name.last().map_or("", String::as_str);
        match (name, args.as_slice()) {
            ("extract", [field, source]) => {
                self.push("EXTRACT(");
                self.expr(field);
                self.push(" FROM ");
                self.expr(source);
                self.push(")");
            }
            ("timezone", [zone, arg]) => {
                self.push("(");
                self.expr(arg);
                self.push(" AT TIME ZONE ");
                self.expr(zone);
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
            ("position", [haystack, needle]) => {
                self.push("POSITION(");
                self.b_operand(needle);
                self.push(" IN ");
                self.b_operand(haystack);
                self.push(")");
            }
            ("substring", [text, from]) => self.joined("SUBSTRING(", &[text, from], &[" FROM "]),
            ("substring", [text, from, len]) => {
                self.joined("SUBSTRING(", &[text, from, len], &[" FROM ", " FOR "]);
            }
            ("overlay", [text, by, from]) => {
                self.joined("OVERLAY(", &[text, by, from], &[" PLACING ", " FROM "]);
            }
            ("overlay", [text, by, from, len]) => {
                self.joined("OVERLAY(", &[text, by, from, len], &[" PLACING ", " FROM ", " FOR "]);
            }
            ("btrim" | "ltrim" | "rtrim", [text, rest @ ..]) => {
                self.push(match name {
                    "btrim" => "TRIM(BOTH ",
                    "ltrim" => "TRIM(LEADING ",
                    _ => "TRIM(TRAILING ",
                });
                match rest {
                    [chars] => {
                        self.expr(chars);
                        self.push(" FROM ");
                        self.expr(text);
                    }
                    _ => {
                        self.push("FROM ");
                        self.list(&args, |p, arg| p.expr(arg));
                    }
                }
                self.push(")");
            }
            ("normalize", [text, rest @ ..]) => {
                self.push("NORMALIZE(");
                self.expr(text);
                self.form(", ", rest);
                self.push(")");
            }
            ("is_normalized", [text, rest @ ..]) => {
                self.push("(");
                self.expr(text);
                self.push(" IS");
                self.form(" ", rest);
                self.push(" NORMALIZED)");
            }
            ("pg_collation_for", [arg]) => {
                self.push("COLLATION FOR (");
                self.expr(arg);
                self.push(")");
            }
            _ => return false,
        }
        true
    }

    /// NFC and its like: a word, though it arrives as a string.
    fn form(&mut self, before: &str, args: &[&Expr]) {
        if let [Expr::Const(constant)] = args
            && let ConstValue::String(form) = &constant.value
        {
            self.push(before);
            self.push(form);
        }
    }

    fn joined(&mut self, open: &str, args: &[&Expr], words: &[&str]) {
        self.push(open);
        for (i, arg) in args.iter().enumerate() {
            if let Some(word) = i.checked_sub(1).and_then(|i| words.get(i)) {
                self.push(word);
            }
            self.expr(arg);
        }
        self.push(")");
    }

    fn b_operand(&mut self, expr: &Expr) {
        self.operand(expr);
    }

    fn cast(&mut self, x: &TypeCast) {
        let names: Vec<&str> = x.type_name.names.iter().map(String::as_str).collect();
        if let Expr::Const(constant) = &x.arg
            && let ConstValue::String(text) = &constant.value
        {
            // `interval '1' day` and `char 'x'` have no exact spelling with `::`.
            match names.as_slice() {
                ["pg_catalog", "interval"] if x.type_name.array_bounds.is_empty() => {
                    let fields = interval(&x.type_name.typmods);
                    let text = quote_literal(text);
                    self.push(&if fields.starts_with('(') {
                        format!("interval{fields} {text}")
                    } else {
                        format!("interval {text}{fields}")
                    });
                    return;
                }
                _ => {
                    let text = quote_literal(text);
                    self.push(&text);
                }
            }
        } else {
            self.push("(");
            self.expr(&x.arg);
            self.push(")");
        }
        self.push("::");
        self.push(&type_name(&x.type_name));
    }

    fn case(&mut self, x: &CaseExpr) {
        self.keyword_in_expr("CASE", VARIABLE);
        if let Some(operand) = &x.operand {
            self.push(" ");
            self.expr(operand);
        }
        for when in &x.whens {
            self.keyword("WHEN ", 0, 0, 0);
            self.expr(&when.condition);
            self.push(" THEN ");
            self.expr(&when.result);
        }
        if let Some(else_) = &x.else_ {
            self.keyword("ELSE ", 0, 0, 0);
            self.expr(else_);
        }
        self.keyword("END", -VARIABLE, 0, 0);
    }

    /// A keyword that may open an expression: on a new line where lines break, without a blank before it otherwise.
    fn keyword_in_expr(&mut self, text: &str, after: i32) {
        if self.lines { self.keyword(text, 0, after, 0) } else { self.push(text) }
    }

    fn indirection_base(&mut self, x: &IndirectionExpr) {
        let subscripted = !matches!(x.path.first(), Some(Indirection::Field(_) | Indirection::Star));
        match &x.arg {
            Expr::ParamRef(_) => self.expr(&x.arg),
            Expr::ColumnRef(column) if subscripted && !column.star => self.expr(&x.arg),
            // A sub-select brings its own.
            Expr::SubLink(link) if link.kind == SubLinkKind::Expr => self.expr(&x.arg),
            other => {
                self.push("(");
                self.expr(other);
                self.push(")");
            }
        }
    }

    pub(super) fn indirection(&mut self, path: &[Indirection]) {
        for step in path {
            match step {
                Indirection::Field(name) => {
                    self.push(".");
                    self.name(name);
                }
                Indirection::Star => self.push(".*"),
                Indirection::Index(index) => {
                    self.push("[");
                    self.expr(index);
                    self.push("]");
                }
                Indirection::Slice(low, high) => {
                    self.push("[");
                    if let Some(low) = low {
                        self.expr(low);
                    }
                    self.push(":");
                    if let Some(high) = high {
                        self.expr(high);
                    }
                    self.push("]");
                }
            }
        }
    }

    fn value_function(&mut self, x: &SqlValueFunction) {
        use SqlValueFunctionKind as V;
        self.push(match x.kind {
            V::CurrentDate => "CURRENT_DATE",
            V::CurrentTime => "CURRENT_TIME",
            V::CurrentTimestamp => "CURRENT_TIMESTAMP",
            V::LocalTime => "LOCALTIME",
            V::LocalTimestamp => "LOCALTIMESTAMP",
            V::CurrentRole => "CURRENT_ROLE",
            V::CurrentUser => "CURRENT_USER",
            V::User => "USER",
            V::SessionUser => "SESSION_USER",
            V::CurrentCatalog => "CURRENT_CATALOG",
            V::CurrentSchema => "CURRENT_SCHEMA",
        });
        if let Some(precision) = x.precision {
            self.push(&format!("({precision})"));
        }
    }
}
