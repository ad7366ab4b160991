//! Functions and operators: their signature, how they treat NULL and time, and the kernel to call.
//!
//! Every [`Function`] and [`Operator`] lives in the one [`crate::registry`] for the life of the
//! process; plans hold `&'static` references, equal when their OIDs are. OIDs, names, strictness and
//! volatility are PostgreSQL 15's, from `registry/*.tsv`.

use std::fmt;
use std::sync::Arc;

use types::{DataType, Error, Result, SqlState, Vector};

use crate::aggregate::Accumulator;
use crate::context::EvalContext;
use crate::table::TableRows;
use crate::window::WindowKernel;

/// One overload of a function of any kind: scalar, aggregate, window or set-returning.
pub struct Function {
    pub oid: u32,
    pub name: &'static str,
    /// Declared argument types; polymorphic and `"any"` pseudo-types included.
    pub args: &'static [DataType],
    /// The element type of a `VARIADIC` last argument (which is declared as the array), else None.
    pub variadic: Option<DataType>,
    /// How many trailing arguments may be left out.
    pub defaults: usize,
    /// Declared result; polymorphic types are resolved per call.
    pub result: DataType,
    /// NULL as soon as one argument is, without a call.
    pub strict: bool,
    pub volatility: Volatility,
    pub kind: FunctionKind,
    /// Returns rows rather than a value.
    pub returns_set: bool,
    /// `pg_proc.prosrc`, by which kernels are found (`int4pl`, `textlike`).
    pub source: &'static str,
    pub implementation: Implementation,
}

/// `pg_proc.prokind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    Function,
    Aggregate,
    Window,
    Procedure,
}

/// What a plan may assume: `pg_proc.provolatile`. Ordered from safe to unsafe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Volatility {
    /// Same arguments, same result, for ever: folded at plan time.
    Immutable,
    /// Constant within one statement (now(), settings): evaluated once per execution.
    Stable,
    /// May differ from row to row (random(), nextval()).
    Volatile,
}

/// What runs when the function is called.
pub enum Implementation {
    Scalar(Kernel),
    /// Makes the accumulator for a call with these types.
    Aggregate(fn(&AggregateTypes<'_>) -> Result<Box<dyn Accumulator>>),
    Window(WindowKernel),
    /// Rows for one set of arguments.
    Table(TableKernel),
    /// PostgreSQL has it and we do not: calling it is 0A000.
    Missing,
}

/// A scalar kernel: all rows of a batch at once.
///
/// For a strict function no argument is a constant NULL, and rows where an argument is NULL must come
/// out NULL without raising an error. The result is `args.len` long, or constant.
pub type Kernel = fn(&Args<'_>) -> Result<Vector>;

/// A set-returning kernel: the rows for one row of arguments, to be taken a piece at a time. Called once
/// per input row; a strict function is not called when an argument is NULL (no rows come out).
pub type TableKernel = fn(&Args<'_>) -> Result<TableRows>;

/// What a kernel gets.
pub struct Args<'a> {
    pub vectors: &'a [Arc<Vector>],
    pub types: &'a [DataType],
    /// The resolved result type.
    pub result: DataType,
    /// How many rows.
    pub len: usize,
    pub cx: &'a EvalContext<'a>,
    pub function: &'static Function,
}

/// The types of one aggregate call.
pub struct AggregateTypes<'a> {
    pub args: &'a [DataType],
    pub result: DataType,
    pub function: &'static Function,
}

impl Function {
    /// 0A000 when it is known but not implemented.
    pub fn check_implemented(&self) -> Result<()> {
        match self.implementation {
            Implementation::Missing => Err(Error::not_supported(format!("function {}", self.signature()))
                .with_hint("PostgreSQL has this function, cairn does not have it yet.")),
            _ => Ok(()),
        }
    }

    /// Stands in FROM as rows of columns: a set, or the one row of json_to_record.
    pub fn returns_rows(&self) -> bool {
        self.returns_set || matches!(self.implementation, Implementation::Table(_))
    }

    /// `name(type, type)`, as errors and `regprocedure` print it.
    pub fn signature(&self) -> String {
        let args: Vec<String> = self.args.iter().map(|t| t.sql_name()).collect();
        format!("{}({})", self.name, args.join(", "))
    }

    pub fn is_aggregate(&self) -> bool {
        self.kind == FunctionKind::Aggregate
    }

    pub fn is_window(&self) -> bool {
        self.kind == FunctionKind::Window
    }

    /// An accumulator for a call with these (resolved) types.
    pub fn accumulator(&'static self, args: &[DataType], result: DataType) -> Result<Box<dyn Accumulator>> {
        match self.implementation {
            Implementation::Aggregate(make) => make(&AggregateTypes { args, result, function: self }),
            _ => {
                self.check_implemented()?;
                Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("{} is not an aggregate function", self.signature()),
                ))
            }
        }
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.oid == other.oid
    }
}

impl Eq for Function {}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.oid)
    }
}

/// A prefix or infix operator: a name for a function, and what the planner may do with it.
pub struct Operator {
    pub oid: u32,
    pub symbol: &'static str,
    /// None for a prefix operator.
    pub left: Option<DataType>,
    pub right: DataType,
    pub result: DataType,
    pub function: &'static Function,
    /// OID of the operator with sides swapped, 0 if none.
    pub commutator_oid: u32,
    /// OID of the operator with the opposite result, 0 if none.
    pub negator_oid: u32,
    pub selectivity: Selectivity,
    pub hashable: bool,
    pub mergeable: bool,
    /// What it does when it compares two values of one ordering.
    pub comparison: Option<Comparison>,
}

/// How the planner estimates `column op constant`: PostgreSQL's `oprrest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selectivity {
    Unknown,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Like,
    NotLike,
    ILike,
    NotILike,
    Regex,
    NotRegex,
    Contains,
}

/// The six comparisons of a type's default order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
        }
    }

    pub fn from_symbol(symbol: &str) -> Option<Comparison> {
        Some(match symbol {
            "=" => Comparison::Equal,
            "<>" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterEqual,
            _ => return None,
        })
    }

    /// With the sides swapped.
    pub fn commuted(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessEqual => Comparison::GreaterEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterEqual => Comparison::LessEqual,
            same => same,
        }
    }

    /// True exactly when this one is false (of non-NULLs).
    pub fn negated(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::NotEqual,
            Comparison::NotEqual => Comparison::Equal,
            Comparison::Less => Comparison::GreaterEqual,
            Comparison::LessEqual => Comparison::Greater,
            Comparison::Greater => Comparison::LessEqual,
            Comparison::GreaterEqual => Comparison::Less,
        }
    }

    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterEqual => order.is_ge(),
        }
    }
}

impl Operator {
    /// The operator with its sides swapped (`<` for `>`), if there is one.
    pub fn commutator(&self) -> Option<&'static Operator> {
        crate::registry::registry().operator_by_oid(self.commutator_oid)
    }

    /// The operator with the opposite result (`<>` for `=`), if there is one.
    pub fn negator(&self) -> Option<&'static Operator> {
        crate::registry::registry().operator_by_oid(self.negator_oid)
    }

    pub fn is_equality(&self) -> bool {
        self.comparison == Some(Comparison::Equal)
    }
}

impl PartialEq for Operator {
    fn eq(&self, other: &Operator) -> bool {
        self.oid == other.oid
    }
}

impl Eq for Operator {}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.symbol, self.oid)
    }
}
