//! Expressions against PostgreSQL's answers.
//!
//! Each line of `testdata/*.txt` is an expression, a tab, and what PostgreSQL 15 made of it: its type
//! and its text, or SQLSTATE and message. `testdata/regenerate.sh` asks a server again. The little
//! reader below knows just enough SQL to build the expression through the crate's face; every infix
//! operator stands in parentheses.

#![allow(clippy::unwrap_used)]

use types::{DataType, Error, Result, Span, SqlState, Value};

use expr::{CallForm, Coercer, EvalContext, Expr, Resolution};

struct Reader<'a> {
    text: &'a str,
    at: usize,
    c: &'a Coercer<'a>,
}

const SPAN: Span = Span { start: 0, end: 0 };

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes `word` (any case) if it comes next.
    fn take(&mut self, word: &str) -> bool {
        self.skip();
        let rest = self.rest();
        let Some(head) = rest.get(..word.len()) else { return false };
        if !head.eq_ignore_ascii_case(word) {
            return false;
        }
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let next = rest[word.len()..].chars().next();
        if word.ends_with(is_name) && next.is_some_and(is_name) {
            return false;
        }
        self.at += word.len();
        true
    }

    fn need(&mut self, word: &str) {
        assert!(self.take(word), "wanted {word:?} at {:?} of {:?}", self.rest(), self.text);
    }

    fn name(&mut self) -> Option<String> {
        self.skip();
        if let Some(quoted) = self.rest().strip_prefix('"') {
            let name = quoted.split('"').next().unwrap().to_string();
            self.at += name.len() + 2;
            return Some(name);
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest[..end].to_lowercase();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.at += end;
        Some(name)
    }

    fn string(&mut self) -> Option<String> {
        self.skip();
        let mut out = String::new();
        let mut chars = self.rest().char_indices().peekable();
        if chars.next()?.1 != '\'' {
            return None;
        }
        while let Some((offset, c)) = chars.next() {
            if c != '\'' {
                out.push(c);
            } else if chars.peek().is_some_and(|&(_, next)| next == '\'') {
                out.push('\'');
                chars.next();
            } else {
                self.at += offset + 1;
                return Some(out);
            }
        }
        panic!("unterminated string in {:?}", self.text)
    }

    fn data_type(&mut self) -> DataType {
        let name = if self.take("double precision") {
            "float8".to_string()
        } else if self.take("timestamp with time zone") {
            "timestamptz".to_string()
        } else if self.take("character varying") {
            "varchar".to_string()
        } else {
            self.name().unwrap()
        };
        let alias = match name.as_str() {
            "int" | "integer" => "int4",
            "bigint" => "int8",
            "smallint" => "int2",
            "real" => "float4",
            "boolean" => "bool",
            "decimal" => "numeric",
            "character" => "bpchar",
            other => other,
        };
        let mut data_type = DataType::from_name(alias).unwrap_or_else(|| panic!("no type {name}"));
        if name == "char" {
            data_type = DataType::BPCHAR.with_modifier(5);
        }
        if self.take("(") {
            let mut numbers = Vec::new();
            loop {
                self.skip();
                let rest = self.rest();
                let end = rest.find([',', ')']).unwrap();
                numbers.push(rest[..end].trim().parse::<i32>().unwrap());
                self.at += end;
                if !self.take(",") {
                    break;
                }
            }
            self.need(")");
            data_type = match data_type.oid {
                oid if oid == DataType::NUMERIC.oid => {
                    DataType::numeric(numbers[0], numbers.get(1).copied().unwrap_or(0)).unwrap()
                }
                oid if oid == DataType::VARCHAR.oid || oid == DataType::BPCHAR.oid => {
                    data_type.with_modifier(numbers[0] + 4)
                }
                _ => data_type.with_modifier(numbers[0]),
            };
        }
        while self.take("[]") {
            data_type = data_type.array_of().unwrap();
        }
        data_type
    }

    fn list(&mut self, close: &str) -> Result<Vec<Expr>> {
        let mut items = Vec::new();
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expr()?);
            if !self.take(",") {
                break;
            }
        }
        self.need(close);
        Ok(items)
    }

    fn expr(&mut self) -> Result<Expr> {
        let mut expr = self.primary()?;
        loop {
            if self.take("::") {
                let to = self.data_type();
                expr = match expr {
                    Expr::Array { elements, .. } if elements.is_empty() => {
                        self.c.array_as(elements, to, SPAN)?
                    }
                    expr => self.c.cast(expr, to, SPAN)?,
                };
            } else if self.take("[") {
                let lower = self.expr()?;
                if self.take(":") {
                    let upper = self.expr()?;
                    expr = self.c.slice(expr, vec![(Some(lower), Some(upper))], SPAN)?;
                } else {
                    expr = self.c.subscript(expr, vec![lower], SPAN)?;
                }
                self.need("]");
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr> {
        self.skip();
        if self.take("(") {
            return self.parenthesised();
        }
        if let Some(text) = self.string() {
            return Ok(Expr::unknown(Some(&text), SPAN));
        }
        if self.rest().starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let rest = self.rest();
            let mut end =
                rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == 'e')).unwrap_or(rest.len());
            if rest[..end].ends_with('e') && rest[end..].starts_with(['-', '+']) {
                end +=
                    1 + rest[end + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - end - 1);
            }
            let number = rest[..end].to_string();
            self.at += end;
            return Ok(if let Ok(value) = number.parse::<i32>() {
                Expr::literal(Value::Int32(value), DataType::INT4)
            } else if let Ok(value) = number.parse::<i64>() {
                Expr::literal(Value::Int64(value), DataType::INT8)
            } else {
                let value = self.c.read_literal(&number, DataType::NUMERIC)?;
                Expr::literal(value, DataType::NUMERIC)
            });
        }
        let start = self.at;
        let Some(name) = self.name() else { panic!("what is {:?} in {:?}?", self.rest(), self.text) };
        match name.as_str() {
            "true" => return Ok(Expr::bool(true)),
            "false" => return Ok(Expr::bool(false)),
            "null" => return Ok(Expr::unknown(None, SPAN)),
            "array" => {
                self.need("[");
                let items = self.list("]")?;
                return if items.is_empty() {
                    Ok(Expr::Array { elements: items, nested: false, data_type: DataType::TEXT_ARRAY })
                } else {
                    self.c.array(items, SPAN)
                };
            }
            "row" => {
                self.need("(");
                let fields = self.list(")")?;
                return Ok(Expr::Row { fields, names: Vec::new(), data_type: DataType::RECORD });
            }
            "case" => return self.case(),
            "coalesce" | "greatest" | "least" | "nullif" => {
                self.need("(");
                let mut args = self.list(")")?;
                return match name.as_str() {
                    "coalesce" => self.c.coalesce(args, SPAN),
                    "nullif" => {
                        let right = args.pop().unwrap();
                        self.c.null_if(args.pop().unwrap(), right, SPAN)
                    }
                    _ => self.c.min_max(args, name == "greatest", SPAN),
                };
            }
            "extract" => {
                self.need("(");
                let field = self.name().unwrap();
                self.need("from");
                let source = self.expr()?;
                self.need(")");
                let field = Expr::literal(Value::text(field), DataType::TEXT);
                return self.c.call("extract", vec![field, source], SPAN);
            }
            _ => {}
        }
        if self.take("(") {
            let args = self.list(")")?;
            return match self.c.resolve_function(&name, args, false, SPAN)? {
                Resolution::Function(call) => call.into_scalar(CallForm::Function, SPAN),
                Resolution::Cast(expr) => Ok(expr),
            };
        }
        // A typed literal: date '2020-01-01'.
        self.at = start;
        let data_type = self.data_type();
        let text = self.string().unwrap_or_else(|| panic!("what is {name}?"));
        self.c.cast(Expr::unknown(Some(&text), SPAN), data_type, SPAN)
    }

    fn case(&mut self) -> Result<Expr> {
        let operand = if self.take("when") {
            self.at -= 4;
            None
        } else {
            Some(self.expr()?)
        };
        let mut branches = Vec::new();
        while self.take("when") {
            let condition = self.expr()?;
            self.need("then");
            branches.push((condition, self.expr()?));
        }
        let otherwise = if self.take("else") { Some(self.expr()?) } else { None };
        self.need("end");
        self.c.case(operand, branches, otherwise, SPAN)
    }

    fn symbol(&mut self) -> Option<String> {
        self.skip();
        let rest = self.rest();
        let end = rest.find(|c: char| !"+-*/<>=~!@#%^&|`?".contains(c)).unwrap_or(rest.len());
        let symbol = rest[..end].to_string();
        self.at += end;
        (!symbol.is_empty()).then_some(if symbol == "!=" { "<>".to_string() } else { symbol })
    }

    fn parenthesised(&mut self) -> Result<Expr> {
        if self.take("not") {
            let arg = self.expr()?;
            self.need(")");
            return Ok(Expr::Not(Box::new(self.c.boolean(arg, "NOT", SPAN)?)));
        }
        if let Some(symbol) = self.symbol() {
            let arg = self.expr()?;
            self.need(")");
            // The grammar folds a minus into a number.
            if let (Expr::Literal { value, data_type, .. }, "-") = (&arg, symbol.as_str()) {
                let value = match value {
                    Value::Int32(n) => Some(Value::Int32(-n)),
                    Value::Int64(2147483648) => {
                        return Ok(Expr::literal(Value::Int32(i32::MIN), DataType::INT4));
                    }
                    Value::Int64(n) => Some(Value::Int64(-n)),
                    Value::Numeric(n) => Some(Value::Numeric(n.neg())),
                    _ => None,
                };
                if let Some(value) = value {
                    return Ok(Expr::literal(value, *data_type));
                }
            }
            return self.c.operator(&symbol, None, arg, SPAN);
        }
        let left = self.expr()?;
        if self.take(")") {
            return Ok(left);
        }
        let result = if self.take("and") {
            let mut parts = vec![self.c.boolean(left, "AND", SPAN)?];
            loop {
                let part = self.expr()?;
                parts.push(self.c.boolean(part, "AND", SPAN)?);
                if !self.take("and") {
                    break;
                }
            }
            Expr::And(parts)
        } else if self.take("or") {
            let right = self.expr()?;
            Expr::Or(vec![self.c.boolean(left, "OR", SPAN)?, self.c.boolean(right, "OR", SPAN)?])
        } else if self.take("is") {
            let negated = self.take("not");
            if self.take("null") {
                Expr::IsNull { arg: Box::new(left), negated }
            } else if self.take("distinct from") {
                let right = self.expr()?;
                self.c.distinct(left, right, negated, SPAN)?
            } else {
                use expr::BoolTest::*;
                let test = match (self.name().as_deref(), negated) {
                    (Some("true"), false) => IsTrue,
                    (Some("true"), true) => IsNotTrue,
                    (Some("false"), false) => IsFalse,
                    (Some("false"), true) => IsNotFalse,
                    (_, false) => IsUnknown,
                    (_, true) => IsNotUnknown,
                };
                Expr::BoolTest { arg: Box::new(self.c.boolean(left, "IS", SPAN)?), test }
            }
        } else if self.take("at time zone") {
            let zone = self.expr()?;
            self.c.call("timezone", vec![zone, left], SPAN)?
        } else if self.take("overlaps") {
            let right = self.expr()?;
            let (Expr::Row { fields: mut a, .. }, Expr::Row { fields: b, .. }) = (left, right) else {
                panic!("OVERLAPS wants rows")
            };
            a.extend(b);
            self.c.call("overlaps", a, SPAN)?
        } else {
            let negated = self.take("not");
            if self.take("in") {
                self.need("(");
                let list = self.list(")")?;
                self.c.in_list(left, list, negated, SPAN)?
            } else {
                let symbol = if self.take("like") {
                    if negated { "!~~" } else { "~~" }.to_string()
                } else if self.take("ilike") {
                    if negated { "!~~*" } else { "~~*" }.to_string()
                } else if self.take("similar to") {
                    if negated { "!~" } else { "~" }.to_string() + "similar"
                } else {
                    self.symbol()
                        .unwrap_or_else(|| panic!("no operator at {:?} of {:?}", self.rest(), self.text))
                };
                if self.take("any") || self.take("some") {
                    let array = self.expr()?;
                    self.c.any_all(&symbol, left, array, false, SPAN)?
                } else if self.take("all") {
                    let array = self.expr()?;
                    self.c.any_all(&symbol, left, array, true, SPAN)?
                } else {
                    let mut right = self.expr()?;
                    let symbol = match symbol.strip_suffix("similar") {
                        Some(symbol) => {
                            right = self.c.call("similar_to_escape", vec![right], SPAN)?;
                            symbol.to_string()
                        }
                        None => symbol,
                    };
                    if self.take("escape") {
                        let escape = self.expr()?;
                        right = self.c.call("like_escape", vec![right, escape], SPAN)?;
                    }
                    self.c.operator(&symbol, Some(left), right, SPAN)?
                }
            }
        };
        self.need(")");
        Ok(result)
    }
}

/// Type and text of the expression's value, or SQLSTATE and message.
fn answer(text: &str) -> String {
    let mut cx = EvalContext::default();
    // 2024-02-29 12:34:56.789012 UTC
    cx.transaction_time = 762_525_296_789_012;
    cx.statement_time = cx.transaction_time;
    let c = Coercer::new(&cx, Vec::new());
    let run = || -> Result<String> {
        let mut reader = Reader { text, at: 0, c: &c };
        let expr = reader.expr()?;
        reader.skip();
        assert!(reader.rest().is_empty(), "left over: {:?} of {text:?}", reader.rest());
        let expr = c.settle(expr)?;
        let data_type = expr.data_type();
        let as_text = if data_type.without_modifier() == DataType::TEXT {
            expr
        } else {
            c.cast(expr, DataType::TEXT, SPAN)?
        };
        let value = expr::eval_constant(&as_text, &cx)?;
        // Five rows must say what one row says, and what a column of constants says.
        let batch = types::Batch::new(Vec::new(), 5);
        if expr::Volatility::Volatile > as_text.volatility() {
            let vector = expr::eval(&as_text, &batch, &cx)?;
            assert_eq!(vector.value(4), value, "{text}");
        }
        let shown = match &value {
            Value::Null => "NULL".to_string(),
            other => other.as_str().unwrap_or("?").to_string(),
        };
        Ok(format!("{}\t{shown}", data_type.without_modifier().sql_name()))
    };
    match run() {
        Ok(answer) => answer,
        Err(error) => failure(&error),
    }
}

fn failure(error: &Error) -> String {
    assert_ne!(error.code(), SqlState::INTERNAL_ERROR, "{error:?}");
    format!("ERROR\t{} {}", error.code(), error.message())
}

fn check(file: &str) {
    let path = format!("{}/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let (expression, expected) = line.split_once('\t').unwrap_or((line, ""));
        count += 1;
        let unescaped = expected.replace("\\n", "\n");
        let got = std::panic::catch_unwind(|| answer(expression)).unwrap_or_else(|_| "PANIC".to_string());
        if got != unescaped {
            wrong.push(format!("{expression}\n    PostgreSQL: {expected}\n    here:       {got}"));
        }
    }
    assert!(count > 10, "{file} has hardly any lines");
    assert!(wrong.is_empty(), "{} of {count} lines of {file} differ:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".txt"));
        })*
    };
}

files! { formatting numbers strings dates conditions resolution }
