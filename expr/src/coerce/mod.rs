//! PostgreSQL's type-conversion chapter: which operator, which overload, which casts.
//!
//! The binder builds every typed expression through a [`Coercer`]. Rules and messages follow
//! PostgreSQL's `parse_oper.c`, `parse_func.c` and `parse_coerce.c`. Spans given to the methods are
//! where an error points unless an argument knows better.

mod construct;
mod overload;
mod pathway;

use std::cell::RefCell;

use types::{DataType, Error, Physical, Result, Span, SqlState, TypeCategory, Value};

use crate::context::EvalContext;
use crate::expr::{CallForm, Expr, Location};
use crate::function::{Function, FunctionKind, Operator};
use crate::registry::{CastContext, registry};
use crate::scalar::json_build;
use overload::{Candidate, fits, resolve, select};
pub use pathway::can_coerce;
use pathway::{Pathway, is_polymorphic, pathway};

/// Types expressions for one statement; learns the types of its parameters on the way.
pub struct Coercer<'a> {
    cx: &'a EvalContext<'a>,
    /// By index; `unknown` until something decides.
    parameters: RefCell<Vec<DataType>>,
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

/// What a function call turned out to be.
#[derive(Debug, Clone)]
pub enum Resolution {
    Function(ResolvedCall),
    /// `float8(x)`, `text(x)`: a cast written as a call.
    Cast(Expr),
}

/// The most parameters a statement may have, as on the wire.
const MAX_PARAMETERS: usize = 65_535;

const ADD_CASTS: &str = "You might need to add explicit type casts.";

impl<'a> Coercer<'a> {
    /// `parameters` are the types the client declared, `unknown` where it did not.
    pub fn new(cx: &'a EvalContext<'a>, parameters: Vec<DataType>) -> Coercer<'a> {
        Coercer { cx, parameters: RefCell::new(parameters) }
    }

    pub fn eval_context(&self) -> &'a EvalContext<'a> {
        self.cx
    }

    /// `$n` (n from 1). Its type is `unknown` until a coercion decides it. 42P02 for `$0`.
    pub fn parameter(&self, number: usize, span: Span) -> Result<Expr> {
        if number == 0 || number > MAX_PARAMETERS {
            return Err(Error::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter ${number}"),
            )
            .at(span));
        }
        let mut types = self.parameters.borrow_mut();
        if types.len() < number {
            types.resize(number, DataType::UNKNOWN);
        }
        let data_type = types.get(number - 1).copied().unwrap_or(DataType::UNKNOWN);
        Ok(Expr::Parameter { index: number - 1, data_type })
    }

    /// The types found so far, `unknown` where nothing decided (42P18 is the caller's to raise).
    pub fn parameter_types(&self) -> Vec<DataType> {
        self.parameters.borrow().clone()
    }

    /// `left symbol right`, or a prefix operator. 42883 when none fits, 42725 when several do.
    pub fn operator(&self, symbol: &str, left: Option<Expr>, right: Expr, span: Span) -> Result<Expr> {
        if let (Some(Expr::Row { fields: left, .. }), Expr::Row { fields: right, .. }) = (&left, &right)
            && crate::function::Comparison::from_symbol(symbol).is_some()
        {
            return self.row_comparison(symbol, left.clone(), right.clone(), span);
        }
        let left_type = left.as_ref().map(Expr::data_type);
        let operator = self.find_operator(symbol, left_type, right.data_type(), span)?;
        operator.function.check_implemented().map_err(|error| error.at(span))?;
        let mut inputs: Vec<DataType> = left_type.into_iter().collect();
        inputs.push(right.data_type());
        let declared: Vec<DataType> = operator.left.into_iter().chain([operator.right]).collect();
        let polymorphic = resolve(&inputs, &declared).map_err(|error| error.at(span))?;
        let mut args = Vec::with_capacity(2);
        for (arg, &wanted) in left.into_iter().chain([right]).zip(&declared) {
            args.push(self.argument(arg, polymorphic.actual(wanted)?, span)?);
        }
        Ok(Expr::Call {
            function: operator.function,
            args,
            data_type: polymorphic.actual(operator.result)?,
            form: CallForm::Operator(operator),
            location: span.into(),
        })
    }

    /// The operator for two sides and both cast to its types: for IN, ANY, DISTINCT, NULLIF.
    pub fn comparison(
        &self,
        symbol: &str,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> Result<(&'static Operator, Expr, Expr)> {
        match self.operator(symbol, Some(left), right, span)? {
            Expr::Call { form: CallForm::Operator(operator), mut args, .. } if args.len() == 2 => {
                let right = args.remove(1);
                let left = args.remove(0);
                Ok((operator, left, right))
            }
            _ => Err(Error::not_supported("comparison of rows here").at(span)),
        }
    }

    /// The operator for inputs of these types (`None`: prefix). 42883, 42725.
    pub fn find_operator(
        &self,
        symbol: &str,
        left: Option<DataType>,
        right: DataType,
        span: Span,
    ) -> Result<&'static Operator> {
        let unknown = DataType::UNKNOWN.oid;
        let (exact_left, exact_right) = match left {
            Some(left) if left.oid == unknown && right.oid != unknown => (Some(right), right),
            Some(left) if right.oid == unknown && left.oid != unknown => (Some(left), left),
            _ => (left, right),
        };
        if let Some(operator) = registry().operator(symbol, exact_left, exact_right) {
            return Ok(operator);
        }
        let inputs: Vec<DataType> = left.into_iter().chain([right]).collect();
        let candidates: Vec<Candidate<&'static Operator>> = registry()
            .operators_named(symbol)
            .iter()
            .map(|&operator| Candidate {
                target: operator,
                args: operator.left.into_iter().chain([operator.right]).collect(),
            })
            .filter(|candidate| fits(&inputs, &candidate.args))
            .collect();
        let none = candidates.is_empty();
        match select(&inputs, candidates) {
            Some(candidate) => Ok(candidate.target),
            None => {
                let bare = |t: DataType| self.type_name(t);
                let signature = match left {
                    Some(left) => format!("{} {symbol} {}", bare(left), bare(right)),
                    None => format!("{symbol} {}", bare(right)),
                };
                let error = if none {
                    let hint = match left {
                        Some(_) => {
                            format!("No operator matches the given name and argument types. {ADD_CASTS}")
                        }
                        None => "No operator matches the given name and argument type. You might need to \
                                 add an explicit type cast."
                            .to_string(),
                    };
                    Error::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {signature}"))
                        .with_hint(hint)
                } else {
                    Error::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {signature}"))
                        .with_hint(format!("Could not choose a best candidate operator. {ADD_CASTS}"))
                };
                Err(error.at(span))
            }
        }
    }

    /// The overload for a call of any kind. `variadic`: the last argument was marked VARIADIC.
    /// 42883 when none fits, 42725 when several do, 0A000 when it is not implemented.
    pub fn function(&self, name: &str, args: Vec<Expr>, variadic: bool, span: Span) -> Result<ResolvedCall> {
        match self.resolve_function(name, args, variadic, span)? {
            Resolution::Function(call) => Ok(call),
            Resolution::Cast(_) => {
                Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("{name} is a type, not a function"))
                    .at(span))
            }
        }
    }

    /// As [`Coercer::function`], and casts written as calls (`float8(x)`).
    pub fn resolve_function(
        &self,
        name: &str,
        args: Vec<Expr>,
        variadic: bool,
        span: Span,
    ) -> Result<Resolution> {
        if variadic && name.contains("_build_") {
            return Err(Error::not_supported(format!("{name} with VARIADIC"))
                .with_hint("Use json_object or jsonb_object with arrays.")
                .at(span));
        }
        let inputs: Vec<DataType> = args.iter().map(Expr::data_type).collect();
        let overloads = registry().functions_named(name);
        let exact = overloads.iter().copied().find(|function| {
            function.args.len() == inputs.len()
                && function.args.iter().zip(&inputs).all(|(a, b)| a.oid == b.oid)
                && (variadic || function.variadic.is_none())
        });
        if let Some(function) = exact {
            return Ok(Resolution::Function(self.finish_call(function, args, function.args, span)?));
        }
        // A cast written as a call.
        if let ([input], Some(target)) = (inputs.as_slice(), cast_target(name)) {
            let is_cast = input.oid == DataType::UNKNOWN.oid
                || match pathway(*input, target, CastContext::Explicit) {
                    Some(Pathway::Relabel) => true,
                    Some(Pathway::ViaText) => {
                        !(input.category() == TypeCategory::Composite
                            && target.category() == TypeCategory::String)
                    }
                    _ => false,
                };
            if is_cast && let Some(arg) = args.first() {
                return Ok(Resolution::Cast(self.cast(arg.clone(), target, span)?));
            }
        }
        let mut candidates = Vec::new();
        for &function in overloads {
            let Some(declared) = declared_args(function, inputs.len(), variadic) else { continue };
            if fits(&inputs, declared.get(..inputs.len()).unwrap_or(&declared)) {
                candidates.push(Candidate { target: function, args: declared });
            }
        }
        // Of two that take the same types, the one without VARIADIC.
        let plain: Vec<Vec<DataType>> = candidates
            .iter()
            .filter(|c| c.target.variadic.is_none() || variadic)
            .map(|c| c.args.clone())
            .collect();
        candidates.retain(|c| c.target.variadic.is_none() || variadic || !plain.contains(&c.args));
        let none = candidates.is_empty();
        if let Some(candidate) = select(&inputs, candidates) {
            return Ok(Resolution::Function(self.finish_call(
                candidate.target,
                args,
                &candidate.args,
                span,
            )?));
        }
        let types: Vec<String> = inputs.iter().map(|&t| self.type_name(t)).collect();
        let signature = format!("{name}({})", types.join(", "));
        Err(if none {
            Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {signature} does not exist"))
                .with_hint(format!("No function matches the given name and argument types. {ADD_CASTS}"))
        } else {
            Error::new(SqlState::AMBIGUOUS_FUNCTION, format!("function {signature} is not unique"))
                .with_hint(format!("Could not choose a best candidate function. {ADD_CASTS}"))
        }
        .at(span))
    }

    /// Casts the arguments, fills in defaults, packs VARIADIC ones.
    fn finish_call(
        &self,
        function: &'static Function,
        args: Vec<Expr>,
        declared: &[DataType],
        span: Span,
    ) -> Result<ResolvedCall> {
        function.check_implemented().map_err(|error| error.at(span))?;
        let args: Vec<Expr> = if json_build::takes_rows(function) {
            let lines = args.get(1).filter(|_| function.source == "row_to_json_pretty").cloned();
            args.into_iter().map(|arg| json_build::row_as_json(arg, lines.clone())).collect()
        } else {
            args
        };
        let inputs: Vec<DataType> = args.iter().map(Expr::data_type).collect();
        let polymorphic = resolve(&inputs, declared).map_err(|error| error.at(span))?;
        let mut cast = Vec::with_capacity(args.len());
        for (arg, &wanted) in args.into_iter().zip(declared) {
            // A row that is JSON already.
            if wanted.oid == DataType::RECORD.oid && arg.data_type().oid == DataType::JSON.oid {
                cast.push(arg);
                continue;
            }
            cast.push(self.argument(arg, polymorphic.actual(wanted)?, span)?);
        }
        while cast.len() < function.args.len() && function.variadic.is_none() {
            cast.push(default_argument(function, cast.len(), span)?);
        }
        // Expanded VARIADIC arguments become one array; VARIADIC "any" stays a list.
        let packs = function.variadic.is_some_and(|t| t.oid != DataType::ANY.oid)
            && declared.len() >= function.args.len()
            && declared.get(function.args.len() - 1).map(|t| t.oid) != function.args.last().map(|t| t.oid);
        if packs {
            let elements: Vec<Expr> = cast.drain(function.args.len() - 1..).collect();
            let element = elements.first().map_or(DataType::TEXT, Expr::data_type).without_modifier();
            let data_type = element.array_of().ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("could not find array type for data type {element}"),
                )
                .at(span)
            })?;
            cast.push(Expr::Array { elements, nested: false, data_type });
        }
        let data_type = polymorphic.actual(function.result).map_err(|error| error.at(span))?;
        Ok(ResolvedCall { function, args: cast, data_type })
    }

    /// A call of a plain scalar function (or a cast written as one). 42809 for other kinds.
    pub fn call(&self, name: &str, args: Vec<Expr>, span: Span) -> Result<Expr> {
        match self.resolve_function(name, args, false, span)? {
            Resolution::Function(call) => call.into_scalar(CallForm::Function, span),
            Resolution::Cast(expr) => Ok(expr),
        }
    }

    /// `expr` as `to` (modifier included) if `context` allows a cast; else None.
    ///
    /// Errors are those of reading a literal (22P02 …) and 42P08 for a parameter that was already
    /// given another type.
    pub fn coerce(&self, expr: Expr, to: DataType, context: CastContext, span: Span) -> Result<Option<Expr>> {
        let explicit = context == CastContext::Explicit;
        let hidden = to.modifier >= 0;
        let Some(expr) = self.coerce_type(expr, to, context, hidden, span)? else { return Ok(None) };
        self.fit_modifier(expr, to, explicit, span).map(Some)
    }

    fn coerce_type(
        &self,
        expr: Expr,
        to: DataType,
        context: CastContext,
        hidden: bool,
        span: Span,
    ) -> Result<Option<Expr>> {
        let from = expr.data_type();
        if from.oid == to.oid {
            return Ok(Some(expr));
        }
        if to.oid == DataType::ANY.oid || is_polymorphic(to) {
            // "any" takes a literal as it stands; the kernels read it as text.
            let stays = to.oid == DataType::ANY.oid && matches!(expr, Expr::Literal { .. });
            // Beside a column of pg_attribute or pg_statistic, whose type anyarray is.
            if let Expr::Literal { value: Value::Null, data_type: DataType::UNKNOWN, location } = expr
                && to.oid == DataType::ANYARRAY.oid
            {
                return Ok(Some(Expr::Literal { value: Value::Null, data_type: to, location }));
            }
            return if from.oid == DataType::UNKNOWN.oid && !stays {
                self.settle(expr).map(Some)
            } else {
                Ok(Some(expr))
            };
        }
        let bare = to.without_modifier();
        if from.oid == DataType::UNKNOWN.oid {
            match expr {
                Expr::Literal { value: Value::Null, location, .. } => {
                    return Ok(Some(Expr::Literal { value: Value::Null, data_type: bare, location }));
                }
                Expr::Literal { value, location, .. } => {
                    let text = value.as_str().unwrap_or_default();
                    // Interval modifiers say how to read the text; the others are applied afterwards.
                    let read_as = if to.oid == DataType::INTERVAL.oid { to } else { bare };
                    let value = self
                        .read_literal(text, read_as)
                        .map_err(|error| error.at(location.0.unwrap_or(span)))?;
                    return Ok(Some(Expr::Literal { value, data_type: read_as, location }));
                }
                Expr::Parameter { index, .. } => return self.decide(index, bare, span).map(Some),
                other => {
                    if to.category() == TypeCategory::String && to.physical == Physical::Text {
                        return Ok(Some(Expr::Relabel {
                            arg: Box::new(other),
                            data_type: bare,
                            implicit: true,
                        }));
                    }
                    let location = Location(Some(span));
                    return Ok(Some(Expr::IoCast {
                        arg: Box::new(other),
                        data_type: bare,
                        implicit: true,
                        location,
                    }));
                }
            }
        }
        // A row takes the fields' types of nothing: record stays record.
        if to.oid == DataType::RECORD.oid && from.category() == TypeCategory::Composite {
            return Ok(Some(expr));
        }
        let implicit = hidden || context != CastContext::Explicit;
        let Some(path) = pathway(from, to, context) else { return Ok(None) };
        Ok(Some(match path {
            Pathway::Relabel => match expr {
                Expr::Literal { value, location, .. } => {
                    Expr::Literal { value: relabeled(value, bare), data_type: bare, location }
                }
                arg => Expr::Relabel { arg: Box::new(arg), data_type: bare, implicit },
            },
            Pathway::Function(function) => {
                function.check_implemented().map_err(|error| error.at(span))?;
                let mut args = vec![expr];
                if function.args.len() > 1 {
                    args.push(Expr::literal(Value::Int32(-1), DataType::INT4));
                }
                if function.args.len() > 2 {
                    args.push(Expr::bool(context == CastContext::Explicit));
                }
                Expr::Call {
                    function,
                    args,
                    data_type: bare,
                    form: if implicit { CallForm::ImplicitCast } else { CallForm::ExplicitCast },
                    location: span.into(),
                }
            }
            Pathway::ViaText => {
                Expr::IoCast { arg: Box::new(expr), data_type: bare, implicit, location: span.into() }
            }
            Pathway::Elements => {
                let (Some(element_from), Some(element_to)) = (from.element(), to.element()) else {
                    return Ok(None);
                };
                let inner = Expr::CaseValue { data_type: element_from };
                let Some(element) = self.coerce_type(inner, element_to, context, true, span)? else {
                    return Ok(None);
                };
                Expr::ArrayCast { arg: Box::new(expr), element: Box::new(element), data_type: bare, implicit }
            }
        }))
    }

    /// Applies the modifier of `to`, whose type `expr` already has.
    fn fit_modifier(&self, expr: Expr, to: DataType, explicit: bool, span: Span) -> Result<Expr> {
        let from = expr.data_type();
        if to.modifier < 0 || from.modifier == to.modifier {
            return Ok(expr);
        }
        if let Expr::Literal { value, location, .. } = expr {
            let value = if value.is_null() {
                value
            } else {
                types::text::apply_modifier(value, to, explicit)
                    .map_err(|error| error.at(location.0.unwrap_or(span)))?
            };
            return Ok(Expr::Literal { value, data_type: to, location });
        }
        if let Some(element) = to.element() {
            let inner = Expr::CaseValue { data_type: element.without_modifier() };
            let element = self.fit_modifier(inner, element.with_modifier(to.modifier), explicit, span)?;
            if matches!(element, Expr::CaseValue { .. }) {
                return Ok(expr);
            }
            return Ok(Expr::ArrayCast {
                arg: Box::new(expr),
                element: Box::new(element),
                data_type: to,
                implicit: !explicit,
            });
        }
        let Some(function) = registry().cast(to, to).and_then(|cast| cast.function) else { return Ok(expr) };
        function.check_implemented().map_err(|error| error.at(span))?;
        let mut args = vec![expr, Expr::literal(Value::Int32(to.modifier), DataType::INT4)];
        if function.args.len() > 2 {
            args.push(Expr::bool(explicit));
        }
        Ok(Expr::Call {
            function,
            args,
            data_type: to,
            form: if explicit { CallForm::ExplicitCast } else { CallForm::ImplicitCast },
            location: span.into(),
        })
    }

    /// Gives a parameter of unknown type this one.
    fn decide(&self, index: usize, to: DataType, span: Span) -> Result<Expr> {
        let mut types = self.parameters.borrow_mut();
        match types.get_mut(index) {
            Some(known) if known.oid == DataType::UNKNOWN.oid => *known = to,
            Some(known) if known.oid != to.oid => {
                return Err(Error::new(
                    SqlState::AMBIGUOUS_PARAMETER,
                    format!("inconsistent types deduced for parameter ${}", index + 1),
                )
                .with_detail(format!("{known} versus {to}"))
                .at(span));
            }
            _ => {}
        }
        Ok(Expr::Parameter { index, data_type: to })
    }

    /// Reads the text of a literal; types the catalog knows are the host's.
    pub fn read_literal(&self, text: &str, data_type: DataType) -> Result<Value> {
        crate::cast::value_from_text(text, data_type, self.cx)
    }

    /// An argument as the type its function wants; the choice of function has promised that it can be.
    fn argument(&self, arg: Expr, to: DataType, span: Span) -> Result<Expr> {
        let from = arg.data_type();
        self.coerce_type(arg, to, CastContext::Implicit, false, span)?
            .ok_or_else(|| self.no_cast(from, to, span))
    }

    /// CAST(expr AS to). 42846 when there is none.
    pub fn cast(&self, expr: Expr, to: DataType, span: Span) -> Result<Expr> {
        let from = expr.data_type();
        self.coerce(expr, to, CastContext::Explicit, span)?.ok_or_else(|| self.no_cast(from, to, span))
    }

    fn no_cast(&self, from: DataType, to: DataType, span: Span) -> Error {
        Error::new(
            SqlState::CANNOT_COERCE,
            format!("cannot cast type {} to {}", self.type_name(from), self.type_name(to)),
        )
        .at(span)
    }

    /// `expr` as the value of a column. 42804 when there is no assignment cast.
    pub fn assign(&self, expr: Expr, to: DataType, column: &str, span: Span) -> Result<Expr> {
        let from = expr.data_type();
        self.coerce(expr, to, CastContext::Assignment, span)?.ok_or_else(|| {
            Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "column \"{column}\" is of type {} but expression is of type {}",
                    self.type_name(to),
                    self.type_name(from)
                ),
            )
            .with_hint("You will need to rewrite or cast the expression.")
            .at(span)
        })
    }

    /// `expr` as the argument of WHERE, ON, AND …: `argument of WHERE must be type boolean, not type
    /// integer`, 42804.
    pub fn boolean(&self, expr: Expr, clause: &str, span: Span) -> Result<Expr> {
        self.clause_argument(expr, DataType::BOOL, clause, span)
    }

    /// `expr` as the argument of LIMIT, OFFSET …: bigint, 42804.
    pub fn bigint(&self, expr: Expr, clause: &str, span: Span) -> Result<Expr> {
        self.clause_argument(expr, DataType::INT8, clause, span)
    }

    fn clause_argument(&self, expr: Expr, to: DataType, clause: &str, span: Span) -> Result<Expr> {
        let from = expr.data_type();
        self.coerce(expr, to, CastContext::Assignment, span)?.ok_or_else(|| {
            Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("argument of {clause} must be type {to}, not type {}", self.type_name(from)),
            )
            .at(span)
        })
    }

    /// The type that CASE, UNION, VALUES … give to inputs of these types; `unknown` inputs take the
    /// others' type, text if all are. 42804: `UNION types integer and text cannot be matched`.
    pub fn common_type(&self, inputs: &[DataType], clause: &str, span: Span) -> Result<DataType> {
        let common = common_type_of(inputs).map_err(|(a, b)| {
            Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("{clause} types {} and {} cannot be matched", self.type_name(a), self.type_name(b)),
            )
            .at(span)
        })?;
        let Some(common) = common else { return Ok(DataType::TEXT) };
        // A modifier survives when all agree on it.
        let same =
            |t: &DataType| t.oid == common.oid && Some(t.modifier) == inputs.first().map(|f| f.modifier);
        match inputs.first() {
            Some(first) if inputs.iter().all(same) => Ok(common.with_modifier(first.modifier)),
            _ => Ok(common.without_modifier()),
        }
    }

    /// `expr` as the common type of `clause`. 42846.
    pub fn to_common(&self, expr: Expr, to: DataType, clause: &str, span: Span) -> Result<Expr> {
        let from = expr.data_type();
        self.coerce(expr, to.without_modifier(), CastContext::Implicit, span)?.ok_or_else(|| {
            Error::new(
                SqlState::CANNOT_COERCE,
                format!("{clause} could not convert type {} to {}", self.type_name(from), self.type_name(to)),
            )
            .at(span)
        })
    }

    /// All of `exprs` cast to their common type.
    pub fn unify(&self, exprs: Vec<Expr>, clause: &str, span: Span) -> Result<(Vec<Expr>, DataType)> {
        let inputs: Vec<DataType> = exprs.iter().map(Expr::data_type).collect();
        let common = self.common_type(&inputs, clause, span)?;
        let exprs = exprs
            .into_iter()
            .map(|expr| self.to_common(expr, common, clause, span))
            .collect::<Result<Vec<Expr>>>()?;
        Ok((exprs, common))
    }

    /// An output column's expression: what is still `unknown` becomes text.
    pub fn settle(&self, expr: Expr) -> Result<Expr> {
        if expr.data_type().oid != DataType::UNKNOWN.oid {
            return Ok(expr);
        }
        let span = expr.span().unwrap_or_default();
        self.cast(expr, DataType::TEXT, span)
    }

    /// A type's name for messages, without modifier.
    fn type_name(&self, t: DataType) -> String {
        type_name(t, self.cx)
    }
}

/// A type's name for messages; the host knows those that are not built in.
pub(crate) fn type_name(t: DataType, cx: &EvalContext<'_>) -> String {
    let t = t.without_modifier();
    match types::datatype::builtin(t.oid) {
        Some(_) => t.sql_name(),
        None => cx.host.type_name(t).unwrap_or_else(|| t.sql_name()),
    }
}

impl ResolvedCall {
    /// The call as a scalar expression. 42809 for aggregates, window and set-returning functions.
    pub fn into_scalar(self, form: CallForm, span: Span) -> Result<Expr> {
        let problem = match self.function.kind {
            FunctionKind::Aggregate => Some("is an aggregate function"),
            FunctionKind::Window => Some("is a window function"),
            FunctionKind::Procedure => Some("is a procedure"),
            FunctionKind::Function if self.function.returns_set => Some("is a set-returning function"),
            FunctionKind::Function => None,
        };
        if let Some(problem) = problem {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{} {problem}", self.function.signature()),
            )
            .at(span));
        }
        let ResolvedCall { function, args, data_type } = self;
        Ok(Expr::Call { function, args, data_type, form, location: span.into() })
    }
}

/// The common type of inputs, None when all are unknown; the pair that cannot be matched as error.
pub(crate) fn common_type_of(inputs: &[DataType]) -> Result<Option<DataType>, (DataType, DataType)> {
    let known = inputs.iter().copied().filter(|t| t.oid != DataType::UNKNOWN.oid);
    let mut common: Option<DataType> = None;
    for next in known {
        let Some(current) = common else {
            common = Some(next);
            continue;
        };
        if next.oid == current.oid {
            continue;
        }
        if next.category() != current.category() {
            return Err((current, next));
        }
        if !current.is_preferred()
            && can_coerce(current, next, CastContext::Implicit)
            && !can_coerce(next, current, CastContext::Implicit)
        {
            common = Some(next);
        }
    }
    Ok(common)
}

/// The declared types for a call with this many arguments, VARIADIC spread out; None when it cannot be.
fn declared_args(function: &Function, count: usize, packed: bool) -> Option<Vec<DataType>> {
    let mut declared = function.args.to_vec();
    if let (Some(element), false) = (function.variadic, packed) {
        let fixed = declared.len() - 1;
        if count < declared.len() {
            return None;
        }
        declared.truncate(fixed);
        declared.resize(count, element);
        return Some(declared);
    }
    if packed && function.variadic.is_none() {
        return None;
    }
    if count > declared.len() || count + function.defaults < declared.len() {
        return None;
    }
    declared.truncate(count);
    Some(declared)
}

/// The value of an argument that was left out.
fn default_argument(function: &Function, position: usize, span: Span) -> Result<Expr> {
    let data_type = function.args.get(position).copied().unwrap_or(DataType::TEXT);
    let value = match (function.name, data_type.physical) {
        ("normalize" | "is_normalized", _) => Value::text("NFC"),
        ("jsonb_set" | "jsonb_set_lax", Physical::Bool) => Value::Bool(true),
        ("jsonb_set_lax", _) => Value::text("use_json_null"),
        (_, Physical::Jsonb) => Value::jsonb(&types::Json::Object(Vec::new()))?,
        (_, Physical::Int32) => Value::Int32(0),
        (_, Physical::Int64) => Value::Int64(0),
        (_, Physical::Float64) => Value::Float64(0.0),
        (_, Physical::Bool) => Value::Bool(false),
        _ => return Err(Error::not_supported(format!("default arguments of {}", function.name)).at(span)),
    };
    Ok(Expr::literal(value, data_type))
}

/// The type that a function name also names.
fn cast_target(name: &str) -> Option<DataType> {
    DataType::from_name(name).filter(|t| t.category() != TypeCategory::Pseudo)
}

/// A value under another type of the same bytes: integer and oid differ in their sign alone.
fn relabeled(value: Value, to: DataType) -> Value {
    match (value, to.physical) {
        (Value::Int32(value), Physical::UInt32) => Value::UInt32(value.cast_unsigned()),
        (Value::UInt32(value), Physical::Int32) => Value::Int32(value.cast_signed()),
        (value, _) => value,
    }
}
