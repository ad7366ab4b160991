//! Runs a `jsonpath` over a jsonb value. After PostgreSQL's `jsonpath_exec.c`.
//!
//! An error of the path itself (a missing key in strict mode, a division by zero) is [`Fail::Path`]: it
//! makes a predicate unknown, and is kept quiet where the caller is silent. What is wrong with the call
//! is [`Fail::Hard`] and always raised.

use std::sync::Arc;

use types::json::{Jsonb, JsonbKind};
use types::jsonpath::{Arithmetic, Base, Comparison, JsonPath, Method, Node, Step};
use types::{Error, Json, Numeric, Result, SqlState, Vector, VectorBuilder};

use super::json::{invalid, jsonb_at};
use super::regex::{Options, compile};
use crate::function::{Args, Kernel};

const MEMBER_NOT_FOUND: SqlState = SqlState(*b"2203A");
const NUMBER_NOT_FOUND: SqlState = SqlState(*b"2203B");
const OBJECT_NOT_FOUND: SqlState = SqlState(*b"2203C");
const ARRAY_NOT_FOUND: SqlState = SqlState(*b"22039");
const INVALID_SUBSCRIPT: SqlState = SqlState(*b"22033");
const NON_NUMERIC: SqlState = SqlState(*b"22036");
const SINGLETON_REQUIRED: SqlState = SqlState(*b"22038");

enum Fail {
    Path(Error),
    Hard(Error),
}

type Outcome<T> = std::result::Result<T, Fail>;

fn fail<T>(code: SqlState, message: impl Into<String>) -> Outcome<T> {
    Err(Fail::Path(Error::new(code, message)))
}

/// An item of a sequence: part of the document, or made on the way.
#[derive(Clone)]
enum Item<'a> {
    Part(Jsonb<'a>),
    Made(Arc<[u8]>),
}

impl<'a> Item<'a> {
    fn made(json: &Json) -> Outcome<Item<'a>> {
        json.encode().map(|bytes| Item::Made(bytes.into())).map_err(Fail::Hard)
    }

    fn number(number: Numeric) -> Outcome<Item<'a>> {
        Item::made(&Json::Number(number))
    }

    fn view(&self) -> Jsonb<'_> {
        match self {
            Item::Part(value) => *value,
            Item::Made(bytes) => Jsonb(bytes),
        }
    }

    fn part(&self, find: impl for<'x> FnOnce(Jsonb<'x>) -> Option<Jsonb<'x>>) -> Option<Item<'a>> {
        match self {
            Item::Part(value) => find(*value).map(Item::Part),
            Item::Made(bytes) => find(Jsonb(bytes)).map(|found| Item::Made(found.0.into())),
        }
    }

    fn children(&self) -> Vec<Item<'a>> {
        (0..self.view().len()).filter_map(|index| self.part(|value| Some(value.child(index)))).collect()
    }

    fn is_array(&self) -> bool {
        self.view().kind() == JsonbKind::Array
    }
}

struct Run<'a> {
    root: Jsonb<'a>,
    variables: Jsonb<'a>,
    lax: bool,
    /// Missing keys and wrong kinds are passed over: lax, or below `.**`.
    forgiving: bool,
    /// `last` of the innermost subscript.
    last: i64,
    cx: &'a crate::context::EvalContext<'a>,
    steps: u32,
}

impl<'a> Run<'a> {
    fn interrupt(&mut self) -> Outcome<()> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps & 0xfff == 0 { self.cx.check_interrupt().map_err(Fail::Hard) } else { Ok(()) }
    }

    /// Appends the items that `node` yields for the current item.
    fn eval(&mut self, node: &Node, current: &Item<'a>, found: &mut Vec<Item<'a>>) -> Outcome<()> {
        self.interrupt()?;
        match node {
            Node::Path { base, steps } => {
                let start = match base {
                    Base::Root => Item::Part(self.root),
                    Base::Current => current.clone(),
                    Base::Last => Item::number(Numeric::from(self.last))?,
                    Base::Variable(name) => match self.variables.field(name) {
                        Some(value) => Item::Part(value),
                        None => {
                            return Err(Fail::Hard(Error::new(
                                SqlState::UNDEFINED_OBJECT,
                                format!("could not find jsonpath variable \"{name}\""),
                            )));
                        }
                    },
                    Base::Null => Item::made(&Json::Null)?,
                    Base::Bool(value) => Item::made(&Json::Bool(*value))?,
                    Base::Number(number) => Item::number(number.clone())?,
                    Base::String(text) => Item::made(&Json::String(text.clone()))?,
                    Base::Expr(inner) => {
                        let mut items = Vec::new();
                        self.eval(inner, current, &mut items)?;
                        return items.iter().try_for_each(|item| self.walk(steps, item, true, found));
                    }
                };
                self.walk(steps, &start, true, found)
            }
            Node::Arithmetic { operator, left, right } => {
                let a = self.operand(left, current, *operator, "left")?;
                let b = self.operand(right, current, *operator, "right")?;
                let result = match operator {
                    Arithmetic::Add => a.add(&b),
                    Arithmetic::Subtract => a.sub(&b),
                    Arithmetic::Multiply => a.mul(&b),
                    Arithmetic::Divide => a.div(&b),
                    Arithmetic::Modulo => a.rem(&b),
                };
                found.push(Item::number(result.map_err(Fail::Path)?)?);
                Ok(())
            }
            Node::Sign { negative, arg } => {
                for item in self.unwrapped(arg, current)? {
                    let Some(number) = item.view().as_number() else {
                        let sign = if *negative { "-" } else { "+" };
                        return fail(
                            NUMBER_NOT_FOUND,
                            format!("operand of unary jsonpath operator {sign} is not a numeric value"),
                        );
                    };
                    found.push(Item::number(if *negative { number.neg() } else { number })?);
                }
                Ok(())
            }
            predicate => {
                let json = match self.test(predicate, current)? {
                    Some(value) => Json::Bool(value),
                    None => Json::Null,
                };
                found.push(Item::made(&json)?);
                Ok(())
            }
        }
    }

    /// The sequence of `node`; in lax mode arrays in it are replaced by their elements.
    fn unwrapped(&mut self, node: &Node, current: &Item<'a>) -> Outcome<Vec<Item<'a>>> {
        let mut items = Vec::new();
        self.eval(node, current, &mut items)?;
        if !self.lax || !items.iter().any(Item::is_array) {
            return Ok(items);
        }
        Ok(items.into_iter().flat_map(|item| if item.is_array() { item.children() } else { vec![item] }).collect())
    }

    fn operand(&mut self, node: &Node, current: &Item<'a>, operator: Arithmetic, side: &str) -> Outcome<Numeric> {
        match self.unwrapped(node, current)?.as_slice() {
            [one] if one.view().as_number().is_some() => {
                Ok(one.view().as_number().unwrap_or(Numeric::ZERO))
            }
            _ => fail(
                SINGLETON_REQUIRED,
                format!(
                    "{side} operand of jsonpath operator {} is not a single numeric value",
                    operator.symbol()
                ),
            ),
        }
    }

    /// Applies `steps` to `item`. `unwrap`: in lax mode, a step that wants something else than an array
    /// is applied to an array's elements.
    fn walk(&mut self, steps: &[Step], item: &Item<'a>, unwrap: bool, found: &mut Vec<Item<'a>>) -> Outcome<()> {
        self.interrupt()?;
        let Some((step, rest)) = steps.split_first() else {
            found.push(item.clone());
            return Ok(());
        };
        let kind = item.view().kind();
        let opens = unwrap && self.lax && kind == JsonbKind::Array;
        let into_elements = |run: &mut Self, found: &mut Vec<Item<'a>>| {
            item.children().iter().try_for_each(|child| run.walk(steps, child, false, found))
        };
        match step {
            Step::Key(key) => {
                if kind == JsonbKind::Object {
                    match item.part(|value| value.field(key)) {
                        Some(value) => return self.walk(rest, &value, true, found),
                        None if self.forgiving => {}
                        None => {
                            return fail(
                                MEMBER_NOT_FOUND,
                                format!("JSON object does not contain key \"{key}\""),
                            );
                        }
                    }
                } else if opens {
                    return into_elements(self, found);
                } else if !self.forgiving {
                    return fail(
                        MEMBER_NOT_FOUND,
                        "jsonpath member accessor can only be applied to an object",
                    );
                }
            }
            Step::AnyKey => {
                if kind == JsonbKind::Object {
                    return item.children().iter().try_for_each(|child| self.walk(rest, child, true, found));
                } else if opens {
                    return into_elements(self, found);
                } else if !self.forgiving {
                    return fail(
                        OBJECT_NOT_FOUND,
                        "jsonpath wildcard member accessor can only be applied to an object",
                    );
                }
            }
            Step::AnyElement => {
                if kind == JsonbKind::Array {
                    return item.children().iter().try_for_each(|child| self.walk(rest, child, true, found));
                } else if self.lax {
                    return self.walk(rest, item, true, found);
                } else if !self.forgiving {
                    return fail(
                        ARRAY_NOT_FOUND,
                        "jsonpath wildcard array accessor can only be applied to an array",
                    );
                }
            }
            Step::Index(list) => {
                if kind != JsonbKind::Array && !self.lax {
                    if self.forgiving {
                        return Ok(());
                    }
                    return fail(ARRAY_NOT_FOUND, "jsonpath array accessor can only be applied to an array");
                }
                return self.subscripts(list, rest, item, found);
            }
            Step::AnyLevel { first, last } => {
                let (first, last) = (first.unwrap_or(u32::MAX), last.unwrap_or(u32::MAX));
                if first == 0 {
                    self.forgivingly(|run| run.walk(rest, item, true, found))?;
                }
                return self.levels(rest, item, 1, first, last, found);
            }
            Step::Method(method) => return self.method(*method, steps, rest, item, opens, found),
            Step::Filter(predicate) => {
                if opens {
                    return into_elements(self, found);
                }
                if self.test(predicate, item)? == Some(true) {
                    return self.walk(rest, item, true, found);
                }
            }
        }
        Ok(())
    }

    fn forgivingly<T>(&mut self, f: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let before = std::mem::replace(&mut self.forgiving, true);
        let result = f(self);
        self.forgiving = before;
        result
    }

    /// `.**`: everything below `item` between two levels; both at the maximum: the leaves.
    fn levels(
        &mut self,
        rest: &[Step],
        item: &Item<'a>,
        level: u32,
        first: u32,
        last: u32,
        found: &mut Vec<Item<'a>>,
    ) -> Outcome<()> {
        for child in item.children() {
            let scalar = child.view().is_scalar();
            if level >= first || first == u32::MAX && last == u32::MAX && scalar {
                self.forgivingly(|run| run.walk(rest, &child, true, found))?;
            }
            if level < last && !scalar {
                self.levels(rest, &child, level + 1, first, last, found)?;
            }
        }
        Ok(())
    }

    fn subscripts(
        &mut self,
        list: &[(Node, Option<Node>)],
        rest: &[Step],
        item: &Item<'a>,
        found: &mut Vec<Item<'a>>,
    ) -> Outcome<()> {
        let array = item.is_array();
        let size = if array { item.view().len() as i64 } else { 1 };
        let outer = std::mem::replace(&mut self.last, size - 1);
        let mut picked = Vec::new();
        let mut result = Ok(());
        for (from, to) in list {
            let bounds = self.index(from, item).and_then(|from| match to {
                Some(to) => Ok((from, self.index(to, item)?)),
                None => Ok((from, from)),
            });
            let (from, to) = match bounds {
                Ok(bounds) => bounds,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            if !self.forgiving && (from < 0 || from > to || to >= size) {
                result = fail(INVALID_SUBSCRIPT, "jsonpath array subscript is out of bounds");
                break;
            }
            for index in from.max(0)..=to.min(size - 1) {
                let element = if array {
                    item.part(|value| value.element(index))
                } else {
                    Some(item.clone())
                };
                picked.extend(element);
            }
            // In order, so that an error of a later subscript comes after what the earlier found.
            for element in picked.drain(..) {
                result = self.walk(rest, &element, true, found);
                if result.is_err() {
                    break;
                }
            }
            if result.is_err() {
                break;
            }
        }
        self.last = outer;
        result
    }

    fn index(&mut self, node: &Node, item: &Item<'a>) -> Outcome<i64> {
        let mut items = Vec::new();
        self.eval(node, item, &mut items)?;
        let number = match items.as_slice() {
            [one] => one.view().as_number(),
            _ => None,
        };
        match number {
            Some(number) => match number.trunc(0).to_i32() {
                Ok(index) => Ok(i64::from(index)),
                Err(_) => fail(INVALID_SUBSCRIPT, "jsonpath array subscript is out of integer range"),
            },
            None => fail(INVALID_SUBSCRIPT, "jsonpath array subscript is not a single numeric value"),
        }
    }

    fn method(
        &mut self,
        method: Method,
        steps: &[Step],
        rest: &[Step],
        item: &Item<'a>,
        opens: bool,
        found: &mut Vec<Item<'a>>,
    ) -> Outcome<()> {
        if opens && !matches!(method, Method::Type | Method::Size) {
            return item.children().iter().try_for_each(|child| self.walk(steps, child, false, found));
        }
        let name = method.name();
        let value = item.view();
        let made = match method {
            Method::Type => Item::made(&Json::String(value.type_name().to_string()))?,
            Method::Size => {
                if !item.is_array() && !self.lax {
                    if self.forgiving {
                        return Ok(());
                    }
                    return fail(
                        ARRAY_NOT_FOUND,
                        format!("jsonpath item method .{name}() can only be applied to an array"),
                    );
                }
                let size = if item.is_array() { value.len() as i64 } else { 1 };
                Item::number(Numeric::from(size))?
            }
            Method::Abs | Method::Floor | Method::Ceiling => {
                let Some(number) = value.as_number() else {
                    return fail(
                        NON_NUMERIC,
                        format!("jsonpath item method .{name}() can only be applied to a numeric value"),
                    );
                };
                Item::number(match method {
                    Method::Abs => number.abs(),
                    Method::Floor => number.floor(),
                    _ => number.ceil(),
                })?
            }
            Method::Double => match (value.as_number(), value.as_str()) {
                (Some(number), _) => {
                    if number.to_f64().is_err() {
                        return fail(
                            NON_NUMERIC,
                            "numeric argument of jsonpath item method .double() is out of range for type double precision",
                        );
                    }
                    item.clone()
                }
                (_, Some(text)) => match text.trim().parse::<f64>().ok().filter(|v| v.is_finite()) {
                    Some(number) => Item::number(Numeric::from_f64(number))?,
                    None => {
                        return fail(
                            NON_NUMERIC,
                            "string argument of jsonpath item method .double() is not a valid representation of a double precision number",
                        );
                    }
                },
                _ => {
                    return fail(
                        NON_NUMERIC,
                        "jsonpath item method .double() can only be applied to a string or numeric value",
                    );
                }
            },
            Method::KeyValue => {
                if value.kind() != JsonbKind::Object {
                    return fail(
                        OBJECT_NOT_FOUND,
                        format!("jsonpath item method .{name}() can only be applied to an object"),
                    );
                }
                // Where the object stands in the document tells it from others, as PostgreSQL's id does.
                let place = match item {
                    Item::Part(part) => {
                        (part.0.as_ptr() as usize).saturating_sub(self.root.0.as_ptr() as usize)
                    }
                    Item::Made(_) => 0,
                };
                let id = Numeric::from(i64::try_from(place).unwrap_or(0));
                let pairs: Vec<(String, Json)> =
                    value.pairs().map(|(key, value)| (key.to_string(), value.to_json())).collect();
                for (key, value) in pairs {
                    let object = Json::Object(vec![
                        ("id".to_string(), Json::Number(id.clone())),
                        ("key".to_string(), Json::String(key)),
                        ("value".to_string(), value),
                    ]);
                    let object = Item::made(&object)?;
                    self.walk(rest, &object, true, found)?;
                }
                return Ok(());
            }
        };
        self.walk(rest, &made, true, found)
    }

    /// A predicate; None is unknown.
    fn test(&mut self, node: &Node, current: &Item<'a>) -> Outcome<Option<bool>> {
        self.interrupt()?;
        Ok(match node {
            Node::And(left, right) => {
                let first = self.test(left, current)?;
                if first == Some(false) {
                    return Ok(first);
                }
                let second = self.test(right, current)?;
                if second == Some(true) { first } else { second }
            }
            Node::Or(left, right) => {
                let first = self.test(left, current)?;
                if first == Some(true) {
                    return Ok(first);
                }
                let second = self.test(right, current)?;
                if second == Some(false) { first } else { second }
            }
            Node::Not(arg) => self.test(arg, current)?.map(|value| !value),
            Node::IsUnknown(arg) => Some(self.test(arg, current)?.is_none()),
            Node::Exists(arg) => {
                let mut found = Vec::new();
                match self.quietly(|run| run.eval(arg, current, &mut found))? {
                    // In lax mode the first item decides: what fails behind it is not reached.
                    None if !self.lax || found.is_empty() => None,
                    _ => Some(!found.is_empty()),
                }
            }
            Node::Compare { operator, left, right } => {
                let operator = *operator;
                self.pairs(left, Some(right), true, current, &|a, b| compare(operator, a, b))?
            }
            Node::StartsWith { left, right } => {
                self.pairs(left, Some(right), false, current, &|a, b| {
                    Some(a.as_str()?.starts_with(b.as_str()?))
                })?
            }
            Node::LikeRegex { arg, pattern, flags } => {
                let mut letters = String::new();
                if flags.ignore_case {
                    letters.push('i');
                }
                if flags.quote {
                    letters.push('q');
                } else {
                    letters.push(match (flags.dot_all, flags.multi_line) {
                        (true, true) => 'w',
                        (true, false) => 's',
                        (false, true) => 'n',
                        (false, false) => 'p',
                    });
                }
                let regex = Options::parse(&letters)
                    .and_then(|options| compile(pattern, options))
                    .map_err(Fail::Hard)?;
                self.pairs(arg, None, false, current, &|a, _| Some(regex.is_match(a.as_str()?)))?
            }
            other => {
                let mut found = Vec::new();
                self.eval(other, current, &mut found)?;
                found.first().and_then(|item| item.view().as_bool())
            }
        })
    }

    /// None when the path failed.
    fn quietly<T>(&mut self, f: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<Option<T>> {
        match f(self) {
            Ok(value) => Ok(Some(value)),
            Err(Fail::Path(_)) => Ok(None),
            Err(hard) => Err(hard),
        }
    }

    /// Whether a pair of the two sequences passes `test`: lax takes the first that does, strict all.
    fn pairs(
        &mut self,
        left: &Node,
        right: Option<&Node>,
        unwrap_right: bool,
        current: &Item<'a>,
        test: &dyn Fn(Jsonb<'_>, Jsonb<'_>) -> Option<bool>,
    ) -> Outcome<Option<bool>> {
        let Some(left) = self.quietly(|run| run.unwrapped(left, current))? else { return Ok(None) };
        let right = match right {
            None => vec![Item::Part(Jsonb(types::json::binary::NULL_BYTES))],
            Some(right) => {
                let items = self.quietly(|run| {
                    if unwrap_right {
                        return run.unwrapped(right, current);
                    }
                    let mut items = Vec::new();
                    run.eval(right, current, &mut items).map(|()| items)
                })?;
                let Some(items) = items else { return Ok(None) };
                items
            }
        };
        let (mut any, mut unknown) = (false, false);
        for a in &left {
            for b in &right {
                self.interrupt()?;
                match test(a.view(), b.view()) {
                    None if !self.lax => return Ok(None),
                    None => unknown = true,
                    Some(true) if self.lax => return Ok(Some(true)),
                    Some(true) => any = true,
                    Some(false) => {}
                }
            }
        }
        Ok(if any {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }
}

fn compare(operator: Comparison, a: Jsonb<'_>, b: Jsonb<'_>) -> Option<bool> {
    let order = if a.kind() == b.kind() {
        if !a.is_scalar() {
            return None;
        }
        types::json::order::compare(a, b)
    } else if a.is_null() || b.is_null() {
        return Some(operator == Comparison::NotEqual);
    } else {
        return None;
    };
    Some(match operator {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

/// The items a call's path yields for one row; None when it failed and the caller is silent.
fn items<'a>(
    args: &'a Args<'_>,
    path: &mut Option<(String, Arc<JsonPath>)>,
    row: usize,
) -> Result<Option<Vec<Item<'a>>>> {
    let text = args.str(1, row);
    let parsed = match path {
        Some((known, parsed)) if known == text => Arc::clone(parsed),
        _ => {
            let parsed = Arc::new(JsonPath::parse(text)?);
            *path = Some((text.to_string(), Arc::clone(&parsed)));
            parsed
        }
    };
    // The operators are silent.
    let operator = args.count() == 2;
    let silent = operator || args.bool(3, row);
    let variables = if operator { Jsonb(types::json::binary::NULL_BYTES) } else { jsonb_at(args, 2, row) };
    if !operator && variables.kind() != JsonbKind::Object {
        return Err(invalid("\"vars\" argument is not an object").with_detail(
            "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
        ));
    }
    let root = jsonb_at(args, 0, row);
    let lax = !parsed.strict;
    let mut run = Run { root, variables, lax, forgiving: lax, last: -1, cx: args.cx, steps: 0 };
    let mut found = Vec::new();
    match run.eval(&parsed.expr, &Item::Part(root), &mut found) {
        Ok(()) => Ok(Some(found)),
        // Whether something exists is known once the first item is.
        Err(Fail::Path(_)) if lax && args.function.source.contains("exists") && !found.is_empty() => {
            Ok(Some(found))
        }
        Err(Fail::Path(_)) if silent => Ok(None),
        Err(Fail::Path(error) | Fail::Hard(error)) => Err(error),
    }
}

fn exists(args: &Args<'_>) -> Result<Vector> {
    let mut path = None;
    args.build_opt(|row| Ok(items(args, &mut path, row)?.map(|found| !found.is_empty())))
}

fn matches(args: &Args<'_>) -> Result<Vector> {
    let mut path = None;
    let silent = |row| args.count() == 2 || args.bool(3, row);
    args.build_opt(|row| {
        let Some(found) = items(args, &mut path, row)? else { return Ok(None) };
        match found.as_slice() {
            [one] if one.view().as_bool().is_some() => Ok(one.view().as_bool()),
            [one] if one.view().is_null() => Ok(None),
            _ if silent(row) => Ok(None),
            _ => Err(Error::new(SINGLETON_REQUIRED, "single boolean result is expected")),
        }
    })
}

fn query_array(args: &Args<'_>) -> Result<Vector> {
    let mut path = None;
    args.build_text_opt(|row, out| {
        let found = items(args, &mut path, row)?.unwrap_or_default();
        let array = Json::Array(found.iter().map(|item| item.view().to_json()).collect());
        out.extend_from_slice(&array.encode()?);
        Ok(true)
    })
}

fn query_first(args: &Args<'_>) -> Result<Vector> {
    let mut path = None;
    args.build_text_opt(|row, out| {
        let found = items(args, &mut path, row)?.unwrap_or_default();
        if let Some(first) = found.first() {
            out.extend_from_slice(first.view().0);
        }
        Ok(!found.is_empty())
    })
}

pub(super) fn query_rows(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let mut builder = VectorBuilder::new(types::Physical::Jsonb, 0);
    for item in items(args, &mut None, 0)?.unwrap_or_default() {
        builder.push(&types::Value::Jsonb(item.view().0.into()));
    }
    Ok(vec![Arc::new(builder.finish())])
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("jsonb_path_exists", exists),
    ("jsonb_path_exists_tz", exists),
    ("jsonb_path_exists_opr", exists),
    ("jsonb_path_match", matches),
    ("jsonb_path_match_tz", matches),
    ("jsonb_path_match_opr", matches),
    ("jsonb_path_query_array", query_array),
    ("jsonb_path_query_array_tz", query_array),
    ("jsonb_path_query_first", query_first),
    ("jsonb_path_query_first_tz", query_first),
];
