//! PostgreSQL's type-conversion chapter: which operator, which overload, which casts.
//!
//! The binder builds every typed expression through a [`Coercer`]. Rules and messages follow
//! PostgreSQL's `parse_oper.c`, `parse_func.c` and `parse_coerce.c`.

use std::cell::RefCell;

use types::{DataType, Error, Result, Span};

use crate::context::EvalContext;
use crate::expr::Expr;
use crate::function::{Function, Operator};
use crate::registry::CastContext;

/// Types expressions for one statement; learns the types of its parameters on the way.
pub struct Coercer<'a> {
    cx: &'a EvalContext<'a>,
    /// By index; `unknown` until something decides.
    parameters: RefCell<Vec<DataType>>,
    /// False: `$n` beyond the given types is an error, and unknown stays unknown.
    variable: bool,
}

/// A function chosen for a call, with the arguments cast to its (resolved) types, defaults and
/// VARIADIC packing done.
#[derive(Debug, Clone)]
pub struct ResolvedCall {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    /// The resolved result type.
    pub data_type: DataType,
}

impl<'a> Coercer<'a> {
    /// `parameters` are the types the client declared, `unknown` where it did not.
    pub fn new(cx: &'a EvalContext<'a>, parameters: Vec<DataType>) -> Coercer<'a> {
        Coercer { cx, parameters: RefCell::new(parameters), variable: true }
    }

    /// `$n` (n from 1). Its type is `unknown` until a coercion decides it. 42P02 for `$0`.
    pub fn parameter(&self, number: usize, span: Span) -> Result<Expr> {
        let _ = (number, span, self.variable, self.cx);
        Err(Error::not_supported("parameters"))
    }

    /// The types found so far; what is still `unknown` is 42P18 to the caller, or text.
    pub fn parameter_types(&self) -> Vec<DataType> {
        self.parameters.borrow().clone()
    }

    /// `left symbol right`, or a prefix operator. 42883 when none fits, 42725 when several do.
    pub fn operator(&self, symbol: &str, left: Option<Expr>, right: Expr, span: Span) -> Result<Expr> {
        let _ = (left, right, span);
        Err(Error::not_supported(format!("operator {symbol}")))
    }

    /// The operator for two sides and both cast to its types: for IN, ANY, DISTINCT, NULLIF.
    pub fn comparison(
        &self,
        symbol: &str,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> Result<(&'static Operator, Expr, Expr)> {
        let _ = (left, right, span);
        Err(Error::not_supported(format!("operator {symbol}")))
    }

    /// The overload for a call of any kind. `variadic`: the last argument was marked VARIADIC.
    /// 42883 when none fits, 42725 when several do, 0A000 when it is not implemented.
    pub fn function(&self, name: &str, args: Vec<Expr>, variadic: bool, span: Span) -> Result<ResolvedCall> {
        let _ = (args, variadic, span);
        Err(Error::not_supported(format!("function {name}")))
    }

    /// A call of a plain scalar function. 42809 for other kinds.
    pub fn call(&self, name: &str, args: Vec<Expr>, span: Span) -> Result<Expr> {
        let _ = (args, span);
        Err(Error::not_supported(format!("function {name}")))
    }

    /// `expr` as `to` (modifier included) if `context` allows a cast; else None.
    pub fn coerce(&self, expr: Expr, to: DataType, context: CastContext, span: Span) -> Result<Option<Expr>> {
        let _ = (expr, to, context, span);
        Ok(None)
    }

    /// CAST(expr AS to). 42846 when there is none.
    pub fn cast(&self, expr: Expr, to: DataType, span: Span) -> Result<Expr> {
        let _ = (expr, span);
        Err(Error::not_supported(format!("cast to {to}")))
    }

    /// `expr` as the value of a column. 42804 when there is no assignment cast.
    pub fn assign(&self, expr: Expr, to: DataType, column: &str, span: Span) -> Result<Expr> {
        let _ = (expr, to, span);
        Err(Error::not_supported(format!("assignment to {column}")))
    }

    /// `expr` as the argument of WHERE, ON, AND …: `argument of WHERE must be type boolean, not type
    /// integer`, 42804.
    pub fn boolean(&self, expr: Expr, clause: &str, span: Span) -> Result<Expr> {
        let _ = (expr, span);
        Err(Error::not_supported(clause))
    }

    /// `expr` as the argument of LIMIT, OFFSET …: bigint, 42804.
    pub fn bigint(&self, expr: Expr, clause: &str, span: Span) -> Result<Expr> {
        let _ = (expr, span);
        Err(Error::not_supported(clause))
    }

    /// The type that CASE, UNION, VALUES … give to inputs of these types; `unknown` inputs take the
    /// others' type, text if all are. 42804: `UNION types integer and text cannot be matched`.
    pub fn common_type(&self, inputs: &[DataType], clause: &str, span: Span) -> Result<DataType> {
        let _ = (inputs, span);
        Err(Error::not_supported(clause))
    }

    /// All of `exprs` cast to their common type.
    pub fn unify(&self, exprs: Vec<Expr>, clause: &str, span: Span) -> Result<(Vec<Expr>, DataType)> {
        let _ = (exprs, span);
        Err(Error::not_supported(clause))
    }

    /// An output column's expression: what is still `unknown` becomes text.
    pub fn settle(&self, expr: Expr) -> Result<Expr> {
        Ok(expr)
    }

    /// CASE: with an operand, each condition is `operand = value`.
    pub fn case(
        &self,
        operand: Option<Expr>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Expr>,
        span: Span,
    ) -> Result<Expr> {
        let _ = (operand, branches, otherwise, span);
        Err(Error::not_supported("CASE"))
    }

    pub fn coalesce(&self, args: Vec<Expr>, span: Span) -> Result<Expr> {
        let _ = (args, span);
        Err(Error::not_supported("COALESCE"))
    }

    pub fn null_if(&self, left: Expr, right: Expr, span: Span) -> Result<Expr> {
        let _ = (left, right, span);
        Err(Error::not_supported("NULLIF"))
    }

    pub fn min_max(&self, args: Vec<Expr>, greatest: bool, span: Span) -> Result<Expr> {
        let _ = (args, greatest, span);
        Err(Error::not_supported("GREATEST"))
    }

    /// IS [NOT] DISTINCT FROM.
    pub fn distinct(&self, left: Expr, right: Expr, negated: bool, span: Span) -> Result<Expr> {
        let _ = (left, right, negated, span);
        Err(Error::not_supported("IS DISTINCT FROM"))
    }

    /// `arg [NOT] IN (list)`, rows included.
    pub fn in_list(&self, arg: Expr, list: Vec<Expr>, negated: bool, span: Span) -> Result<Expr> {
        let _ = (arg, list, negated, span);
        Err(Error::not_supported("IN"))
    }

    /// `left symbol ANY|ALL (array)`.
    pub fn any_all(&self, symbol: &str, left: Expr, array: Expr, all: bool, span: Span) -> Result<Expr> {
        let _ = (left, array, all, span);
        Err(Error::not_supported(symbol))
    }

    /// ARRAY[…].
    pub fn array(&self, elements: Vec<Expr>, span: Span) -> Result<Expr> {
        let _ = (elements, span);
        Err(Error::not_supported("ARRAY"))
    }

    /// `(a, b) symbol (c, d)`: = and <> by columns, the others lexicographically. 42601 on unequal lengths.
    pub fn row_comparison(
        &self,
        symbol: &str,
        left: Vec<Expr>,
        right: Vec<Expr>,
        span: Span,
    ) -> Result<Expr> {
        let _ = (left, right, span);
        Err(Error::not_supported(symbol))
    }

    /// `array[i][j]`.
    pub fn subscript(&self, array: Expr, indexes: Vec<Expr>, span: Span) -> Result<Expr> {
        let _ = (array, indexes, span);
        Err(Error::not_supported("subscripts"))
    }

    /// `array[a:b]`.
    pub fn slice(&self, array: Expr, bounds: Vec<(Option<Expr>, Option<Expr>)>, span: Span) -> Result<Expr> {
        let _ = (array, bounds, span);
        Err(Error::not_supported("array slices"))
    }
}

/// True when a value of type `from` can become one of type `to` in this context.
pub fn can_coerce(from: DataType, to: DataType, context: CastContext) -> bool {
    let _ = context;
    from.oid == to.oid
}
