//! The expression tree: typed, with every name, overload and cast resolved.
//!
//! Made by the binder through [`crate::coerce`], rewritten by the planner through [`crate::walk`],
//! run by [`crate::eval`]. Depth was bounded by the parser; long AND and OR chains are flat.
//!
//! In a logical plan a column is [`Expr::Column`], unique within the plan; lowering turns it into
//! [`Expr::Input`], a position in the operator's input batch.

use types::{DataType, Span, Value};

use crate::function::{Function, Operator, Volatility};

/// A column of a logical plan, unique within the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// A value that another part of the plan computes before or around this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanParameterId(pub u32);

/// A subquery of a logical plan that still stands in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubqueryId(pub u32);

/// Where in the text; never part of an expression's equality.
#[derive(Debug, Clone, Copy, Default)]
pub struct Location(pub Option<Span>);

impl PartialEq for Location {
    fn eq(&self, _other: &Location) -> bool {
        true
    }
}

impl From<Span> for Location {
    fn from(span: Span) -> Location {
        Location(Some(span))
    }
}

impl From<Option<Span>> for Location {
    fn from(span: Option<Span>) -> Location {
        Location(span)
    }
}

/// A typed scalar expression. Equality is structural and ignores locations.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Column {
        id: ColumnId,
        data_type: DataType,
    },
    /// Column `position` of the input batch.
    Input {
        position: usize,
        data_type: DataType,
    },
    /// A literal of type `unknown` holds its text.
    Literal {
        value: Value,
        data_type: DataType,
        location: Location,
    },
    /// `$1` has index 0.
    Parameter {
        index: usize,
        data_type: DataType,
    },
    PlanParameter {
        id: PlanParameterId,
        data_type: DataType,
    },
    Call {
        function: &'static Function,
        args: Vec<Expr>,
        /// The resolved result type, with modifier.
        data_type: DataType,
        form: CallForm,
        location: Location,
    },
    /// Two or more; evaluated left to right, on the rows still undecided.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull {
        arg: Box<Expr>,
        negated: bool,
    },
    BoolTest {
        arg: Box<Expr>,
        test: BoolTest,
    },
    /// IS [NOT] DISTINCT FROM; `operator` is the equality.
    Distinct {
        left: Box<Expr>,
        right: Box<Expr>,
        operator: &'static Operator,
        negated: bool,
    },
    /// Searched CASE; `CASE x WHEN v` is bound as `x = v`. Without ELSE `otherwise` is None.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
        data_type: DataType,
    },
    Coalesce {
        args: Vec<Expr>,
        data_type: DataType,
    },
    /// NULL when `left operator right`, else `left`.
    NullIf {
        left: Box<Expr>,
        right: Box<Expr>,
        operator: &'static Operator,
        data_type: DataType,
    },
    /// GREATEST or LEAST: NULLs are skipped.
    MinMax {
        args: Vec<Expr>,
        greatest: bool,
        data_type: DataType,
    },
    /// `arg [NOT] IN (list)`; `operator` is the equality.
    InList {
        arg: Box<Expr>,
        list: Vec<Expr>,
        operator: &'static Operator,
        negated: bool,
    },
    /// `left operator ANY|ALL (array)`.
    AnyAll {
        left: Box<Expr>,
        array: Box<Expr>,
        operator: &'static Operator,
        all: bool,
    },
    /// ARRAY[…]; `nested` when the elements are themselves arrays of this type.
    Array {
        elements: Vec<Expr>,
        nested: bool,
        data_type: DataType,
    },
    /// ROW(…), of type record.
    Row {
        fields: Vec<Expr>,
        /// The columns' names where they have some; else none, and they are f1, f2 …
        names: Vec<String>,
        data_type: DataType,
    },
    /// Field `index` (0-based) of a composite value.
    Field {
        arg: Box<Expr>,
        index: usize,
        data_type: DataType,
    },
    /// `array[i][j]`: an element.
    Subscript {
        array: Box<Expr>,
        indexes: Vec<Expr>,
        data_type: DataType,
    },
    /// `array[a:b][c:d]`: an array; an absent bound is the array's own.
    Slice {
        array: Box<Expr>,
        bounds: Vec<(Option<Expr>, Option<Expr>)>,
        data_type: DataType,
    },
    /// A cast that changes nothing but the type (varchar → text).
    Relabel {
        arg: Box<Expr>,
        data_type: DataType,
        implicit: bool,
    },
    /// A cast through the text forms.
    IoCast {
        arg: Box<Expr>,
        data_type: DataType,
        implicit: bool,
        location: Location,
    },
    /// A cast of an array, element by element: `element` casts an `Expr::CaseValue` of the element type.
    ArrayCast {
        arg: Box<Expr>,
        element: Box<Expr>,
        data_type: DataType,
        implicit: bool,
    },
    /// The value that an enclosing construct supplies (an array's element in [`Expr::ArrayCast`]).
    CaseValue {
        data_type: DataType,
    },
    Subquery(Box<Subquery>),
}

/// How a call was written, and so how it is printed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CallForm {
    Function,
    Operator(&'static Operator),
    ExplicitCast,
    ImplicitCast,
    /// SQL's own syntax: EXTRACT(x FROM y), SUBSTRING(…), CURRENT_DATE …
    SqlSyntax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoolTest {
    IsTrue,
    IsNotTrue,
    IsFalse,
    IsNotFalse,
    IsUnknown,
    IsNotUnknown,
}

/// A subquery inside an expression. The plan of `id` is kept by the logical plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    pub id: SubqueryId,
    pub kind: SubqueryKind,
    /// The left sides of ANY and ALL; `tests[i] operators[i] output column i`.
    pub tests: Vec<Expr>,
    pub operators: Vec<&'static Operator>,
    /// Scalar: its column's type. Array: the array's. The others: boolean.
    pub data_type: DataType,
    pub location: Location,
}

/// NOT IN and NOT EXISTS are [`Expr::Not`] around these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubqueryKind {
    /// NULL without a row; 21000 with more than one.
    Scalar,
    Exists,
    /// IN, = ANY, < ANY …
    Any,
    All,
    /// ARRAY(SELECT …)
    Array,
    /// (a, b) = (SELECT …): NULL without a row; 21000 with more than one.
    Row,
}

impl Expr {
    pub fn data_type(&self) -> DataType {
        match self {
            Expr::Column { data_type, .. }
            | Expr::Input { data_type, .. }
            | Expr::Literal { data_type, .. }
            | Expr::Parameter { data_type, .. }
            | Expr::PlanParameter { data_type, .. }
            | Expr::Call { data_type, .. }
            | Expr::Case { data_type, .. }
            | Expr::Coalesce { data_type, .. }
            | Expr::NullIf { data_type, .. }
            | Expr::MinMax { data_type, .. }
            | Expr::Array { data_type, .. }
            | Expr::Row { data_type, .. }
            | Expr::Field { data_type, .. }
            | Expr::Subscript { data_type, .. }
            | Expr::Slice { data_type, .. }
            | Expr::Relabel { data_type, .. }
            | Expr::IoCast { data_type, .. }
            | Expr::ArrayCast { data_type, .. }
            | Expr::CaseValue { data_type } => *data_type,
            Expr::Subquery(subquery) => subquery.data_type,
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::IsNull { .. }
            | Expr::BoolTest { .. }
            | Expr::Distinct { .. }
            | Expr::InList { .. }
            | Expr::AnyAll { .. } => DataType::BOOL,
        }
    }

    pub fn literal(value: Value, data_type: DataType) -> Expr {
        Expr::Literal { value, data_type, location: Location(None) }
    }

    pub fn null(data_type: DataType) -> Expr {
        Expr::Literal { value: Value::Null, data_type, location: Location(None) }
    }

    pub fn bool(value: bool) -> Expr {
        Expr::Literal { value: Value::Bool(value), data_type: DataType::BOOL, location: Location(None) }
    }

    pub fn column(id: ColumnId, data_type: DataType) -> Expr {
        Expr::Column { id, data_type }
    }

    pub fn input(position: usize, data_type: DataType) -> Expr {
        Expr::Input { position, data_type }
    }

    /// A literal of type `unknown`: 'text' as the user wrote it, or NULL; errors about it point at `span`.
    pub fn unknown(text: Option<&str>, span: Span) -> Expr {
        let value = text.map_or(Value::Null, Value::text);
        Expr::Literal { value, data_type: DataType::UNKNOWN, location: span.into() }
    }

    /// Where it stands in the text, if it knows.
    pub fn span(&self) -> Option<Span> {
        match self {
            Expr::Literal { location, .. } | Expr::Call { location, .. } | Expr::IoCast { location, .. } => {
                location.0
            }
            Expr::Subquery(subquery) => subquery.location.0,
            Expr::Relabel { arg, .. } => arg.span(),
            _ => None,
        }
    }

    pub fn is_null_literal(&self) -> bool {
        matches!(self, Expr::Literal { value: Value::Null, .. })
    }

    pub fn as_literal(&self) -> Option<&Value> {
        match self {
            Expr::Literal { value, .. } => Some(value),
            _ => None,
        }
    }

    pub fn as_column(&self) -> Option<ColumnId> {
        match self {
            Expr::Column { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// `a AND b AND …`, flattened; TRUE for none.
    pub fn and(exprs: impl IntoIterator<Item = Expr>) -> Expr {
        let mut parts = Vec::new();
        for expr in exprs {
            match expr {
                Expr::And(inner) => parts.extend(inner),
                Expr::Literal { value: Value::Bool(true), .. } => {}
                other => parts.push(other),
            }
        }
        match parts.len() {
            0 => Expr::bool(true),
            1 => parts.remove(0),
            _ => Expr::And(parts),
        }
    }

    /// `a OR b OR …`, flattened; FALSE for none.
    pub fn or(exprs: impl IntoIterator<Item = Expr>) -> Expr {
        let mut parts = Vec::new();
        for expr in exprs {
            match expr {
                Expr::Or(inner) => parts.extend(inner),
                Expr::Literal { value: Value::Bool(false), .. } => {}
                other => parts.push(other),
            }
        }
        match parts.len() {
            0 => Expr::bool(false),
            1 => parts.remove(0),
            _ => Expr::Or(parts),
        }
    }

    /// The conjuncts of a condition.
    pub fn into_conjuncts(self) -> Vec<Expr> {
        match self {
            Expr::And(parts) => parts.into_iter().flat_map(Expr::into_conjuncts).collect(),
            Expr::Literal { value: Value::Bool(true), .. } => Vec::new(),
            other => vec![other],
        }
    }

    /// `left operator right` on sides that already have the operator's types.
    pub fn operator(operator: &'static Operator, left: Expr, right: Expr) -> Expr {
        Expr::Call {
            function: operator.function,
            args: vec![left, right],
            data_type: operator.result,
            form: CallForm::Operator(operator),
            location: Location(None),
        }
    }

    /// `left = right` for two expressions of one type; None when the type has no equality.
    pub fn equality(left: Expr, right: Expr) -> Option<Expr> {
        let operator = crate::registry::registry().equality(left.data_type())?;
        Some(Expr::operator(operator, left, right))
    }

    /// The operator and both sides, when this is an infix operator.
    pub fn as_operator(&self) -> Option<(&'static Operator, &Expr, &Expr)> {
        match self {
            Expr::Call { form: CallForm::Operator(operator), args, .. } => match args.as_slice() {
                [left, right] => Some((operator, left, right)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The most volatile function in the tree; subqueries count as volatile.
    pub fn volatility(&self) -> Volatility {
        let mut most = Volatility::Immutable;
        crate::walk::visit(self, &mut |expr| {
            most = most.max(match expr {
                Expr::Call { function, .. } => function.volatility,
                Expr::IoCast { arg, data_type, .. } => {
                    text_volatility(arg.data_type()).max(text_volatility(*data_type))
                }
                Expr::Subquery(_) => Volatility::Volatile,
                _ => Volatility::Immutable,
            });
        });
        most
    }

    /// No columns, parameters or subqueries anywhere: one value for the whole execution unless volatile.
    pub fn is_constant(&self) -> bool {
        let mut constant = true;
        crate::walk::visit(self, &mut |expr| {
            constant &= !matches!(
                expr,
                Expr::Column { .. }
                    | Expr::Input { .. }
                    | Expr::Parameter { .. }
                    | Expr::PlanParameter { .. }
                    | Expr::Subquery(_)
            );
        });
        constant
    }

    /// No columns or subqueries, not volatile: one value per execution (parameters allowed).
    pub fn is_execution_constant(&self) -> bool {
        let mut constant = self.volatility() < Volatility::Volatile;
        crate::walk::visit(self, &mut |expr| {
            constant &= !matches!(expr, Expr::Column { .. } | Expr::Input { .. } | Expr::Subquery(_));
        });
        constant
    }

    /// The columns used, in order of first use, without repeats.
    pub fn columns(&self) -> Vec<ColumnId> {
        let mut columns = Vec::new();
        crate::walk::visit(self, &mut |expr| {
            if let Expr::Column { id, .. } = expr
                && !columns.contains(id)
            {
                columns.push(*id);
            }
        });
        columns
    }

    pub fn has_subquery(&self) -> bool {
        let mut found = false;
        crate::walk::visit(self, &mut |expr| found |= matches!(expr, Expr::Subquery(_)));
        found
    }
}

/// Whether a type's text form depends on settings or the catalog.
fn text_volatility(data_type: DataType) -> Volatility {
    use types::{Physical, TypeCategory};
    let stable = matches!(data_type.category(), TypeCategory::DateTime | TypeCategory::Timespan)
        || data_type.physical == Physical::UInt32
        || data_type.element().is_some()
        || types::datatype::builtin(data_type.oid).is_none();
    if stable { Volatility::Stable } else { Volatility::Immutable }
}
