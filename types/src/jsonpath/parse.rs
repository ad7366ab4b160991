//! Tokens → tree, by recursive descent; precedence climbs from OR to the unary signs.

use super::lexer::{Kind, Token, syntax_error, tokens};
use super::{
    Arithmetic, Base, Comparison, JsonPath, MAX_DEPTH, MAX_OPERATORS, Method, Node, RegexFlags, Step,
};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;
use crate::{Error, Result};

pub(super) fn parse(text: &str) -> Result<JsonPath> {
    let tokens = tokens(text)?;
    if tokens.len() == 1 {
        return Err(Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type jsonpath: \"{text}\""),
        ));
    }
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, operators: 0, filters: 0, subscripts: 0 };
    let strict = parser.keyword("strict");
    if !strict {
        parser.keyword("lax");
    }
    let expr = parser.any()?;
    match parser.peek().kind {
        Kind::End => Ok(JsonPath { strict, expr }),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    depth: usize,
    operators: usize,
    /// How many filters and subscripts we are inside of.
    filters: usize,
    subscripts: usize,
}

static END: Token<'static> = Token { kind: Kind::End, text: "" };

impl<'t> Parser<'t> {
    fn peek(&self) -> &'t Token<'t> {
        self.tokens.get(self.at).unwrap_or(&END)
    }

    fn next(&mut self) -> &'t Token<'t> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek().kind, Kind::Symbol(next) if next == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Whether the next token is this keyword; true, false and null are lower case only.
    fn is_keyword(&self, word: &str) -> bool {
        let Kind::Name(name) = &self.peek().kind else { return false };
        match word {
            "true" | "false" | "null" => name == word,
            _ => name.eq_ignore_ascii_case(word),
        }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = self.is_keyword(word);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self) -> Error {
        syntax_error("syntax error", self.peek().text)
    }

    fn too_complex(&self) -> Error {
        Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").with_hint(format!(
            "A jsonpath may nest at most {MAX_DEPTH} deep and have at most {MAX_OPERATORS} operators."
        ))
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_complex());
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn operator(&mut self) -> Result<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS { Err(self.too_complex()) } else { Ok(()) }
    }

    fn predicate(&self, node: Node) -> Result<Node> {
        if node.is_predicate() { Ok(node) } else { Err(self.unexpected()) }
    }

    fn value(&self, node: Node) -> Result<Node> {
        if node.is_predicate() { Err(self.unexpected()) } else { Ok(node) }
    }

    /// An expression or a predicate.
    fn any(&mut self) -> Result<Node> {
        self.deeper(Self::or)
    }

    fn or(&mut self) -> Result<Node> {
        let mut left = self.and()?;
        while matches!(self.peek().kind, Kind::Symbol("||")) {
            let first = self.predicate(left)?;
            self.at += 1;
            self.operator()?;
            let second = self.and()?;
            left = Node::Or(Box::new(first), Box::new(self.predicate(second)?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node> {
        let mut left = self.comparison()?;
        while matches!(self.peek().kind, Kind::Symbol("&&")) {
            let first = self.predicate(left)?;
            self.at += 1;
            self.operator()?;
            let second = self.comparison()?;
            left = Node::And(Box::new(first), Box::new(self.predicate(second)?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Node> {
        if self.symbol("!") {
            // Only what stands in parentheses, or exists(…), can be negated.
            if !matches!(self.peek().kind, Kind::Symbol("(")) && !self.is_keyword("exists") {
                return Err(self.unexpected());
            }
            let arg = self.deeper(Self::primary)?;
            return Ok(Node::Not(Box::new(self.predicate(arg)?)));
        }
        let left = self.sum()?;
        let operator = match self.peek().kind {
            Kind::Symbol("==") => Comparison::Equal,
            Kind::Symbol("!=") => Comparison::NotEqual,
            Kind::Symbol("<") => Comparison::Less,
            Kind::Symbol("<=") => Comparison::LessOrEqual,
            Kind::Symbol(">") => Comparison::Greater,
            Kind::Symbol(">=") => Comparison::GreaterOrEqual,
            _ if self.is_keyword("starts") => {
                let left = Box::new(self.value(left)?);
                self.at += 1;
                if !self.keyword("with") {
                    return Err(self.unexpected());
                }
                let base = match &self.peek().kind {
                    Kind::String(text) => Base::String(text.clone()),
                    Kind::Variable(name) => Base::Variable(name.clone()),
                    _ => return Err(self.unexpected()),
                };
                self.at += 1;
                let right = Box::new(Node::Path { base, steps: Vec::new() });
                return Ok(Node::StartsWith { left, right });
            }
            _ if self.is_keyword("like_regex") => {
                let arg = Box::new(self.value(left)?);
                self.at += 1;
                return self.like_regex(arg);
            }
            _ => return Ok(left),
        };
        let left = Box::new(self.value(left)?);
        self.at += 1;
        self.operator()?;
        let right = self.sum()?;
        Ok(Node::Compare { operator, left, right: Box::new(self.value(right)?) })
    }

    fn like_regex(&mut self, arg: Box<Node>) -> Result<Node> {
        let Kind::String(pattern) = &self.peek().kind else { return Err(self.unexpected()) };
        self.at += 1;
        let mut flags = RegexFlags::default();
        if self.keyword("flag") {
            let Kind::String(letters) = &self.next().kind else {
                self.at -= 1;
                return Err(self.unexpected());
            };
            for letter in letters.chars() {
                match letter {
                    'i' => flags.ignore_case = true,
                    's' => flags.dot_all = true,
                    'm' => flags.multi_line = true,
                    'q' => flags.quote = true,
                    'x' => {
                        return Err(Error::new(
                            SqlState::FEATURE_NOT_SUPPORTED,
                            "XQuery \"x\" flag (expanded regular expressions) is not implemented",
                        ));
                    }
                    other => {
                        return Err(Error::new(
                            SqlState::SYNTAX_ERROR,
                            "invalid input syntax for type jsonpath",
                        )
                        .with_detail(format!(
                            "Unrecognized flag character \"{other}\" in LIKE_REGEX predicate."
                        )));
                    }
                }
            }
        }
        Ok(Node::LikeRegex { arg, pattern: pattern.clone(), flags })
    }

    fn sum(&mut self) -> Result<Node> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek().kind {
                Kind::Symbol("+") => Arithmetic::Add,
                Kind::Symbol("-") => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            left = self.arithmetic(operator, left, Self::product)?;
        }
    }

    fn product(&mut self) -> Result<Node> {
        let mut left = self.sign()?;
        loop {
            let operator = match self.peek().kind {
                Kind::Symbol("*") => Arithmetic::Multiply,
                Kind::Symbol("/") => Arithmetic::Divide,
                Kind::Symbol("%") => Arithmetic::Modulo,
                _ => return Ok(left),
            };
            left = self.arithmetic(operator, left, Self::sign)?;
        }
    }

    fn arithmetic(
        &mut self,
        operator: Arithmetic,
        left: Node,
        operand: fn(&mut Self) -> Result<Node>,
    ) -> Result<Node> {
        let left = Box::new(self.value(left)?);
        self.at += 1;
        self.operator()?;
        let right = operand(self)?;
        Ok(Node::Arithmetic { operator, left, right: Box::new(self.value(right)?) })
    }

    fn sign(&mut self) -> Result<Node> {
        let negative = match self.peek().kind {
            Kind::Symbol("-") => true,
            Kind::Symbol("+") => false,
            _ => return self.primary(),
        };
        self.at += 1;
        let arg = self.deeper(Self::sign)?;
        match self.value(arg)? {
            Node::Path { base: Base::Number(number), steps } if steps.is_empty() => {
                let number = if negative { number.neg() } else { number };
                Ok(Node::Path { base: Base::Number(number), steps })
            }
            arg => Ok(Node::Sign { negative, arg: Box::new(arg) }),
        }
    }

    /// A primary with its steps, something in parentheses, or exists(…).
    fn primary(&mut self) -> Result<Node> {
        if self.symbol("(") {
            let inner = self.any()?;
            self.expect(")")?;
            if self.is_keyword("is") {
                let inner = self.predicate(inner)?;
                self.at += 1;
                if !self.keyword("unknown") {
                    return Err(self.unexpected());
                }
                return Ok(Node::IsUnknown(Box::new(inner)));
            }
            let steps = self.steps()?;
            return Ok(match inner {
                inner if steps.is_empty() => inner,
                // A path in parentheses is the path.
                Node::Path { base, steps: mut first } => {
                    first.extend(steps);
                    Node::Path { base, steps: first }
                }
                inner => Node::Path { base: Base::Expr(Box::new(inner)), steps },
            });
        }
        if self.is_keyword("exists")
            && matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Kind::Symbol("(")))
        {
            self.at += 2;
            let arg = self.any()?;
            let arg = self.value(arg)?;
            self.expect(")")?;
            return Ok(Node::Exists(Box::new(arg)));
        }
        let base = self.base()?;
        let steps = self.steps()?;
        Ok(Node::Path { base, steps })
    }

    fn base(&mut self) -> Result<Base> {
        let token = self.peek();
        let base = match &token.kind {
            Kind::Symbol("$") => Base::Root,
            Kind::Symbol("@") => {
                if self.filters == 0 {
                    return Err(Error::new(SqlState::SYNTAX_ERROR, "@ is not allowed in root expressions"));
                }
                Base::Current
            }
            Kind::Variable(name) => Base::Variable(name.clone()),
            Kind::String(text) => Base::String(text.clone()),
            Kind::Integer | Kind::Number => Base::Number(Numeric::parse(token.text)?),
            Kind::Name(_) if self.is_keyword("true") => Base::Bool(true),
            Kind::Name(_) if self.is_keyword("false") => Base::Bool(false),
            Kind::Name(_) if self.is_keyword("null") => Base::Null,
            Kind::Name(_) if self.is_keyword("last") => {
                if self.subscripts == 0 {
                    return Err(Error::new(
                        SqlState::SYNTAX_ERROR,
                        "LAST is allowed only in array subscripts",
                    ));
                }
                Base::Last
            }
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(base)
    }

    fn steps(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if self.symbol(".") {
                steps.push(self.member()?);
            } else if self.symbol("[") {
                if self.symbol("*") {
                    self.expect("]")?;
                    steps.push(Step::AnyElement);
                    continue;
                }
                self.subscripts += 1;
                let mut list = Vec::new();
                loop {
                    let from = self.any()?;
                    let from = self.value(from)?;
                    let to = if self.keyword("to") {
                        let to = self.any()?;
                        Some(self.value(to)?)
                    } else {
                        None
                    };
                    list.push((from, to));
                    if !self.symbol(",") {
                        break;
                    }
                }
                self.subscripts -= 1;
                self.expect("]")?;
                steps.push(Step::Index(list));
            } else if self.symbol("?") {
                self.expect("(")?;
                self.filters += 1;
                let predicate = self.any()?;
                self.filters -= 1;
                let predicate = self.predicate(predicate)?;
                self.expect(")")?;
                steps.push(Step::Filter(Box::new(predicate)));
            } else {
                return Ok(steps);
            }
            if steps.len() > MAX_OPERATORS {
                return Err(self.too_complex());
            }
        }
    }

    /// What stands behind a dot.
    fn member(&mut self) -> Result<Step> {
        let token = self.peek();
        match &token.kind {
            Kind::Symbol("*") => {
                self.at += 1;
                Ok(Step::AnyKey)
            }
            Kind::Symbol("**") => {
                self.at += 1;
                if !self.symbol("{") {
                    return Ok(Step::AnyLevel { first: Some(0), last: None });
                }
                let first = self.level()?;
                let last = if self.keyword("to") { self.level()? } else { first };
                self.expect("}")?;
                Ok(Step::AnyLevel { first, last })
            }
            Kind::String(key) => {
                self.at += 1;
                Ok(Step::Key(key.clone()))
            }
            Kind::Name(name) => {
                self.at += 1;
                if !self.symbol("(") {
                    return Ok(Step::Key(name.clone()));
                }
                let method = match name.to_ascii_lowercase().as_str() {
                    "type" => Method::Type,
                    "size" => Method::Size,
                    "double" => Method::Double,
                    "ceiling" => Method::Ceiling,
                    "floor" => Method::Floor,
                    "abs" => Method::Abs,
                    "keyvalue" => Method::KeyValue,
                    "datetime" => {
                        return Err(Error::not_supported("jsonpath item method .datetime()")
                            .with_hint("Cast what the path yields to a date or timestamp instead."));
                    }
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected());
                    }
                };
                self.expect(")")?;
                Ok(Step::Method(method))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn level(&mut self) -> Result<Option<u32>> {
        if self.keyword("last") {
            return Ok(None);
        }
        let token = self.next();
        match token.kind {
            Kind::Integer => match token.text.parse() {
                Ok(level) => Ok(Some(level)),
                Err(_) => Err(Error::new(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    format!("value \"{}\" is out of range for type integer", token.text),
                )),
            },
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }
}
