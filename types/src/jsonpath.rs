//! `jsonpath`: the path language of SQL/JSON as a tree, read from text and printed again.
//!
//! A value of the type is its printed form, which reads back to the same tree; `expr` evaluates it.
//! Grammar, keywords and printing are PostgreSQL's (`jsonpath_gram.y`, `jsonpath.c`), but for
//! `.datetime()`, which is refused (0A000).

mod lexer;
mod parse;
mod print;

use crate::Result;
use crate::numeric::Numeric;

/// How deep parentheses, filters and subscripts may nest, and how many operators may stand in a row.
pub const MAX_DEPTH: usize = 100;
const MAX_OPERATORS: usize = 1000;

#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    /// Structural errors are errors; arrays are neither wrapped nor unwrapped.
    pub strict: bool,
    pub expr: Node,
}

/// An expression (a sequence of items) or a predicate (true, false, unknown).
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A primary and what is applied to it, from left to right.
    Path {
        base: Base,
        steps: Vec<Step>,
    },
    Arithmetic {
        operator: Arithmetic,
        left: Box<Node>,
        right: Box<Node>,
    },
    /// Unary `-` or `+`.
    Sign {
        negative: bool,
        arg: Box<Node>,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    IsUnknown(Box<Node>),
    Exists(Box<Node>),
    Compare {
        operator: Comparison,
        left: Box<Node>,
        right: Box<Node>,
    },
    /// `right` is a string or a variable.
    StartsWith {
        left: Box<Node>,
        right: Box<Node>,
    },
    LikeRegex {
        arg: Box<Node>,
        pattern: String,
        flags: RegexFlags,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Base {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`, within a subscript
    Last,
    Variable(String),
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    /// In parentheses, with steps behind.
    Expr(Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Key(String),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[1, 2 to last]`
    Index(Vec<(Node, Option<Node>)>),
    /// `.**{first to last}`; None is `last`, the deepest level.
    AnyLevel {
        first: Option<u32>,
        last: Option<u32>,
    },
    Method(Method),
    /// `?(predicate)`
    Filter(Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Type,
    Size,
    Double,
    Ceiling,
    Floor,
    Abs,
    KeyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The letters of `flag "…"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegexFlags {
    /// i
    pub ignore_case: bool,
    /// s: a dot matches a line end too
    pub dot_all: bool,
    /// m: `^` and `$` match at line ends
    pub multi_line: bool,
    /// q: no character is special
    pub quote: bool,
}

impl JsonPath {
    /// Reads a path. 42601, 54001, 0A000.
    pub fn parse(text: &str) -> Result<JsonPath> {
        parse::parse(text)
    }
}

impl Node {
    /// A predicate, which yields true, false or unknown, rather than an expression.
    pub fn is_predicate(&self) -> bool {
        !matches!(self, Node::Path { .. } | Node::Arithmetic { .. } | Node::Sign { .. })
    }
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Double => "double",
            Method::Ceiling => "ceiling",
            Method::Floor => "floor",
            Method::Abs => "abs",
            Method::KeyValue => "keyvalue",
        }
    }
}

impl Arithmetic {
    pub fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
        }
    }
}

impl Comparison {
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        match JsonPath::parse(text) {
            Ok(path) => {
                let shown = path.to_string();
                assert_eq!(JsonPath::parse(&shown).unwrap(), path, "{shown}");
                shown
            }
            Err(error) => error.message().to_string(),
        }
    }

    #[test]
    fn paths_print_as_postgres_does() {
        for (text, expected) in [
            ("$", "$"),
            ("strict $", "strict $"),
            ("lax $.a.b[*]", "$.\"a\".\"b\"[*]"),
            ("$.a ? (@.b > 1 && @.c == \"x\")", "$.\"a\"?(@.\"b\" > 1 && @.\"c\" == \"x\")"),
            ("$.a > 1", "($.\"a\" > 1)"),
            ("($.a + 1) * 2", "(($.\"a\" + 1) * 2)"),
            ("$.a + 1 * 2", "($.\"a\" + 1 * 2)"),
            ("-$.a", "(-$.\"a\")"),
            ("-1", "-1"),
            ("$[0, 1 to last - 1]", "$[0,1 to last - 1]"),
            ("$.**{2 to 5}.a", "$.**{2 to 5}.\"a\""),
            ("$.**{last}", "$.**{last}"),
            ("$.**", "$.**"),
            ("$.*.type()", "$.*.type()"),
            ("$.a ? (exists (@.b))", "$.\"a\"?(exists (@.\"b\"))"),
            ("$ ? (!(@ == 1))", "$?(!(@ == 1))"),
            ("$ ? ((@ == 1) is unknown)", "$?((@ == 1) is unknown)"),
            ("$ ? (@ like_regex \"^a\" flag \"i\")", "$?(@ like_regex \"^a\" flag \"i\")"),
            ("$ ? (@ starts with $x)", "$?(@ starts with $\"x\")"),
            ("($.a).size()", "$.\"a\".size()"),
            ("@", "@ is not allowed in root expressions"),
            ("last", "LAST is allowed only in array subscripts"),
            ("$.", "syntax error at end of jsonpath input"),
            ("$ a", "syntax error at or near \"a\" of jsonpath input"),
        ] {
            assert_eq!(printed(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        for text in ["(".repeat(100_000), "-".repeat(100_000), "$?(".repeat(100_000)] {
            let code = JsonPath::parse(&text).unwrap_err().code();
            assert_eq!(code, crate::SqlState::STATEMENT_TOO_COMPLEX);
        }
        let chain = format!("1{}", " + 1".repeat(100_000));
        assert!(JsonPath::parse(&chain).is_err());
    }
}
