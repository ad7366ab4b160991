//! Scalar expressions: names resolved, operators and casts chosen.
//!
//! Types are the business of `expr::Coercer`; this file knows the shapes of the syntax. Each kind of
//! node has its own function, so that deep trees use little stack per level. Follows `parse_expr.c`.

use expr::{BoolTest, CallForm, Expr, SubqueryKind};
use parser::ast::{self, BoolOp, ConstValue, SqlValueFunctionKind};
use types::{DataType, Error, Result, Span, SqlState, Value};

use super::Binder;
use super::scope::{Clause, Item, Reference};

impl Binder<'_> {
    /// Binds `expr`, as part of `clause`.
    pub(super) fn clause_expr(&mut self, expr: &ast::Expr, clause: Clause) -> Result<Expr> {
        let before = std::mem::replace(&mut self.level().clause, clause);
        let result = self.expr(expr);
        self.level().clause = before;
        result
    }

    /// A condition: WHERE, ON, HAVING, FILTER.
    pub(super) fn condition(&mut self, expr: &ast::Expr, clause: Clause) -> Result<Expr> {
        let span = expr.start_span();
        let name = clause.name();
        let bound = self.clause_expr(expr, clause)?;
        self.coercer.boolean(bound, name, span)
    }

    pub(super) fn exprs(&mut self, exprs: &[ast::Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    /// Binds one expression in the current clause.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        match expr {
            ast::Expr::ColumnRef(reference) => self.column_ref(reference),
            ast::Expr::ParamRef(parameter) => self.parameter(parameter),
            ast::Expr::Const(constant) => self.constant(constant),
            ast::Expr::Operator(operator) => self.operator(operator),
            ast::Expr::OperatorArray(operator) => self.operator_array(operator),
            ast::Expr::Bool(bool) => self.bool_expr(bool),
            ast::Expr::Distinct(distinct) => self.distinct_expr(distinct),
            ast::Expr::NullIf(null_if) => self.null_if(null_if),
            ast::Expr::In(list) => self.in_list(list),
            ast::Expr::Like(like) => self.like(like),
            ast::Expr::Between(between) => self.between(between),
            ast::Expr::NullTest(test) => self.null_test(test),
            ast::Expr::BooleanTest(test) => self.boolean_test(test),
            ast::Expr::SubLink(link) => self.sub_link(link),
            ast::Expr::FuncCall(call) => self.func_call(call),
            ast::Expr::TypeCast(cast) => self.type_cast(cast),
            ast::Expr::Case(case) => self.case(case),
            ast::Expr::Coalesce(coalesce) => self.coalesce(coalesce),
            ast::Expr::MinMax(min_max) => self.min_max(min_max),
            ast::Expr::Row(row) => self.row(row),
            ast::Expr::Array(array) => self.array(array),
            ast::Expr::Indirection(indirection) => self.indirection(indirection),
            ast::Expr::Collate(collate) => self.collate(collate),
            ast::Expr::Grouping(grouping) => self.grouping(grouping),
            ast::Expr::SqlValueFunction(function) => self.sql_value_function(function),
            ast::Expr::SetToDefault(span) => {
                Err(Error::syntax("DEFAULT is not allowed in this context").at(*span))
            }
            ast::Expr::CurrentOf(current) => Err(Error::not_supported("WHERE CURRENT OF")
                .with_hint("Name the row by its primary key.")
                .at(current.span)),
        }
    }

    fn column_ref(&mut self, reference: &ast::ColumnRef) -> Result<Expr> {
        if reference.star {
            return match reference.fields.as_slice() {
                [] => Err(Error::syntax("row expansion via \"*\" is not supported here").at(reference.span)),
                fields => Ok(whole_row(&self.star_item(fields, reference.span)?)),
            };
        }
        match self.resolve(reference)? {
            Reference::Column(expr) => Ok(expr),
            Reference::Row(item) => Ok(whole_row(&item)),
        }
    }

    fn parameter(&mut self, parameter: &ast::ParamRef) -> Result<Expr> {
        let number = parameter.number as usize;
        let expr = self.coercer.parameter(number, parameter.span)?;
        if self.parameter_spans.len() < number {
            self.parameter_spans.resize(number, None);
        }
        if let Some(slot) = self.parameter_spans.get_mut(number - 1) {
            slot.get_or_insert(parameter.span);
        }
        Ok(expr)
    }

    fn constant(&mut self, constant: &ast::Const) -> Result<Expr> {
        let literal = |value: Value, data_type: DataType| Expr::Literal {
            value,
            data_type,
            location: constant.span.into(),
        };
        Ok(match &constant.value {
            ConstValue::Null => Expr::unknown(None, constant.span),
            ConstValue::Boolean(value) => literal(Value::Bool(*value), DataType::BOOL),
            ConstValue::Integer(value) => match i32::try_from(*value) {
                Ok(small) => literal(Value::Int32(small), DataType::INT4),
                Err(_) => literal(Value::Int64(*value), DataType::INT8),
            },
            ConstValue::Numeric(digits) => {
                let value = self
                    .cx
                    .parse_literal(digits, DataType::NUMERIC)
                    .map_err(|error| error.at(constant.span))?;
                literal(value, DataType::NUMERIC)
            }
            ConstValue::String(text) => Expr::unknown(Some(text), constant.span),
            ConstValue::BitString(_) => {
                return Err(Error::not_supported("bit string literals").at(constant.span));
            }
        })
    }

    /// Refuses operators of schemas other than `pg_catalog`.
    pub(super) fn operator_symbol<'n>(&self, name: &'n ast::OperatorName, span: Span) -> Result<&'n str> {
        match name.schema.as_deref() {
            None | Some("pg_catalog") => Ok(&name.name),
            Some(schema) if self.cx.catalog.schema_by_name(schema).is_none() => {
                Err(catalog::catalog::undefined_schema(schema).at(span))
            }
            Some(schema) => Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("operator does not exist: {schema}.{}", name.name),
            )
            .at(span)),
        }
    }

    fn operator(&mut self, operator: &ast::OperatorExpr) -> Result<Expr> {
        if let (Some(row @ ast::Expr::Row(_)), ast::Expr::SubLink(link)) = (&operator.left, &operator.right)
            && link.kind == ast::SubLinkKind::Expr
        {
            let symbol = self.operator_symbol(&operator.name, operator.span)?;
            return self.compared(row, symbol, SubqueryKind::Row, &link.query, operator.span);
        }
        // Left-deep chains (a + b + c …) are walked, not recursed into: they may be as long as the text.
        let mut spine = vec![operator];
        let mut leftmost = operator.left.as_ref();
        while let Some(ast::Expr::Operator(next)) = leftmost {
            spine.push(next);
            leftmost = next.left.as_ref();
        }
        let mut value = match leftmost {
            Some(left) => Some(self.expr(left)?),
            None => None,
        };
        while let Some(operator) = spine.pop() {
            let symbol = self.operator_symbol(&operator.name, operator.span)?;
            let right = self.expr(&operator.right)?;
            value = Some(self.coercer.operator(symbol, value, right, operator.span)?);
        }
        Ok(value.expect("the spine holds at least the operator itself"))
    }

    fn operator_array(&mut self, operator: &ast::OperatorArrayExpr) -> Result<Expr> {
        let symbol = self.operator_symbol(&operator.name, operator.span)?;
        let left = self.expr(&operator.left)?;
        let array = self.expr(&operator.right)?;
        self.coercer.any_all(symbol, left, array, operator.all, operator.span)
    }

    fn bool_expr(&mut self, bool: &ast::BoolExpr) -> Result<Expr> {
        let name = match bool.op {
            BoolOp::And => "AND",
            BoolOp::Or => "OR",
            BoolOp::Not => "NOT",
        };
        let mut args = Vec::with_capacity(bool.args.len());
        for arg in &bool.args {
            let bound = self.expr(arg)?;
            args.push(self.coercer.boolean(bound, name, arg.start_span())?);
        }
        Ok(match bool.op {
            BoolOp::And => flat(args, true),
            BoolOp::Or => flat(args, false),
            BoolOp::Not => match args.pop() {
                Some(arg) => Expr::Not(Box::new(arg)),
                None => return Err(Error::internal("NOT without an argument")),
            },
        })
    }

    fn distinct_expr(&mut self, distinct: &ast::DistinctExpr) -> Result<Expr> {
        let left = self.expr(&distinct.left)?;
        let right = self.expr(&distinct.right)?;
        // Against NULL it is a NULL test, as in PostgreSQL.
        if right.is_null_literal() && !matches!(left, Expr::Row { .. }) {
            return Ok(Expr::IsNull { arg: Box::new(left), negated: !distinct.negated });
        }
        if left.is_null_literal() && !matches!(right, Expr::Row { .. }) {
            return Ok(Expr::IsNull { arg: Box::new(right), negated: !distinct.negated });
        }
        self.coercer.distinct(left, right, distinct.negated, distinct.span)
    }

    fn null_if(&mut self, null_if: &ast::NullIfExpr) -> Result<Expr> {
        let left = self.expr(&null_if.left)?;
        let right = self.expr(&null_if.right)?;
        self.coercer.null_if(left, right, null_if.span)
    }

    fn in_list(&mut self, list: &ast::InExpr) -> Result<Expr> {
        let arg = self.expr(&list.expr)?;
        let items = self.exprs(&list.list)?;
        self.coercer.in_list(arg, items, list.negated, list.span)
    }

    fn like(&mut self, like: &ast::LikeExpr) -> Result<Expr> {
        let left = self.expr(&like.expr)?;
        let mut pattern = self.expr(&like.pattern)?;
        let escape = match &like.escape {
            Some(escape) => Some(self.expr(escape)?),
            None => None,
        };
        let symbol = match (like.kind, like.negated) {
            (ast::LikeKind::Like, false) => "~~",
            (ast::LikeKind::Like, true) => "!~~",
            (ast::LikeKind::ILike, false) => "~~*",
            (ast::LikeKind::ILike, true) => "!~~*",
            (ast::LikeKind::SimilarTo, false) => "~",
            (ast::LikeKind::SimilarTo, true) => "!~",
        };
        if like.kind == ast::LikeKind::SimilarTo {
            let args = [pattern].into_iter().chain(escape).collect();
            pattern = self.coercer.call("similar_to_escape", args, like.span)?;
        } else if let Some(escape) = escape {
            pattern = self.coercer.call("like_escape", vec![pattern, escape], like.span)?;
        }
        self.coercer.operator(symbol, Some(left), pattern, like.span)
    }

    fn between(&mut self, between: &ast::BetweenExpr) -> Result<Expr> {
        let span = between.span;
        let arg = self.expr(&between.expr)?;
        let low = self.expr(&between.low)?;
        let high = self.expr(&between.high)?;
        let coercer = self.coercer;
        let pair = |low: Expr, high: Expr| -> Result<Expr> {
            let (first, second) = if between.negated { ("<", ">") } else { (">=", "<=") };
            let parts = [
                coercer.operator(first, Some(arg.clone()), low, span)?,
                coercer.operator(second, Some(arg.clone()), high, span)?,
            ];
            Ok(if between.negated { Expr::or(parts) } else { Expr::and(parts) })
        };
        if !between.symmetric {
            return pair(low, high);
        }
        let parts = [pair(low.clone(), high.clone())?, pair(high, low)?];
        Ok(if between.negated { Expr::and(parts) } else { Expr::or(parts) })
    }

    fn null_test(&mut self, test: &ast::NullTest) -> Result<Expr> {
        let arg = self.expr(&test.arg)?;
        if let Expr::Row { fields, .. } = arg {
            // All fields NULL; or all not NULL.
            let tests =
                fields.into_iter().map(|field| Expr::IsNull { arg: Box::new(field), negated: test.negated });
            return Ok(Expr::and(tests));
        }
        let arg = self.coercer.settle(arg)?;
        Ok(Expr::IsNull { arg: Box::new(arg), negated: test.negated })
    }

    fn boolean_test(&mut self, test: &ast::BooleanTest) -> Result<Expr> {
        use ast::BooleanTestKind as Kind;
        let (name, kind) = match (test.kind, test.negated) {
            (Kind::True, false) => ("IS TRUE", BoolTest::IsTrue),
            (Kind::True, true) => ("IS NOT TRUE", BoolTest::IsNotTrue),
            (Kind::False, false) => ("IS FALSE", BoolTest::IsFalse),
            (Kind::False, true) => ("IS NOT FALSE", BoolTest::IsNotFalse),
            (Kind::Unknown, false) => ("IS UNKNOWN", BoolTest::IsUnknown),
            (Kind::Unknown, true) => ("IS NOT UNKNOWN", BoolTest::IsNotUnknown),
        };
        let arg = self.expr(&test.arg)?;
        let arg = self.coercer.boolean(arg, name, test.arg.start_span())?;
        Ok(Expr::BoolTest { arg: Box::new(arg), test: kind })
    }

    fn type_cast(&mut self, cast: &ast::TypeCast) -> Result<Expr> {
        let to = self.data_type(&cast.type_name)?;
        // ARRAY[…]::t[] hands its type to the elements, so that ARRAY[]::t[] has one.
        if let ast::Expr::Array(array) = &cast.arg
            && to.element().is_some()
        {
            return self.array_as(array, to);
        }
        let arg = self.expr(&cast.arg)?;
        self.coercer.cast(arg, to, cast.span)
    }

    fn array_as(&mut self, array: &ast::ArrayExpr, to: DataType) -> Result<Expr> {
        let mut elements = Vec::with_capacity(array.elements.len());
        for element in &array.elements {
            elements.push(match element {
                ast::Expr::Array(inner) => self.array_as(inner, to)?,
                other => self.expr(other)?,
            });
        }
        self.coercer.array_as(elements, to, array.span)
    }

    fn case(&mut self, case: &ast::CaseExpr) -> Result<Expr> {
        let before = self.level().no_sets.replace("CASE");
        let result = self.case_parts(case);
        self.level().no_sets = before;
        result
    }

    fn case_parts(&mut self, case: &ast::CaseExpr) -> Result<Expr> {
        let operand = match &case.operand {
            Some(operand) => Some(self.expr(operand)?),
            None => None,
        };
        let mut branches = Vec::with_capacity(case.whens.len());
        for when in &case.whens {
            let mut condition = self.expr(&when.condition)?;
            if operand.is_none() {
                condition = self.coercer.boolean(condition, "CASE/WHEN", when.condition.start_span())?;
            }
            branches.push((condition, self.expr(&when.result)?));
        }
        let otherwise = match &case.else_ {
            Some(otherwise) => Some(self.expr(otherwise)?),
            None => None,
        };
        self.coercer.case(operand, branches, otherwise, case.span)
    }

    fn coalesce(&mut self, coalesce: &ast::CoalesceExpr) -> Result<Expr> {
        let before = self.level().no_sets.replace("COALESCE");
        let args = self.exprs(&coalesce.args);
        self.level().no_sets = before;
        self.coercer.coalesce(args?, coalesce.span)
    }

    fn min_max(&mut self, min_max: &ast::MinMaxExpr) -> Result<Expr> {
        let args = self.exprs(&min_max.args)?;
        self.coercer.min_max(args, min_max.greatest, min_max.span)
    }

    fn row(&mut self, row: &ast::RowExpr) -> Result<Expr> {
        let mut fields = Vec::with_capacity(row.fields.len());
        for field in &row.fields {
            match field {
                ast::Expr::ColumnRef(reference) if reference.star && !reference.fields.is_empty() => {
                    let item = self.star_item(&reference.fields, reference.span)?;
                    fields.extend(item.columns.into_iter().map(|column| column.expr));
                }
                other => fields.push(self.expr(other)?),
            }
        }
        Ok(Expr::Row { fields, names: Vec::new(), data_type: DataType::RECORD })
    }

    fn array(&mut self, array: &ast::ArrayExpr) -> Result<Expr> {
        let elements = self.exprs(&array.elements)?;
        self.coercer.array(elements, array.span)
    }

    fn indirection(&mut self, indirection: &ast::IndirectionExpr) -> Result<Expr> {
        let span = indirection.arg.start_span();
        let mut path = indirection.path.iter().peekable();
        // (t).column: a field of a row that is in scope.
        let mut value = match (&indirection.arg, path.peek()) {
            (ast::Expr::ColumnRef(reference), Some(ast::Indirection::Field(field))) => {
                match self.row_in_scope(reference)? {
                    Some(item) => {
                        path.next();
                        let column = item.columns.into_iter().find(|column| column.name == *field);
                        column
                            .map(|column| column.expr)
                            .ok_or_else(|| self.missing_column(Some(&item.name), field, span))?
                    }
                    None => self.expr(&indirection.arg)?,
                }
            }
            _ => self.expr(&indirection.arg)?,
        };
        while let Some(step) = path.next() {
            value = match step {
                ast::Indirection::Index(index) => {
                    let mut indexes = vec![self.expr(index)?];
                    while let Some(ast::Indirection::Index(next)) = path.peek() {
                        path.next();
                        indexes.push(self.expr(next)?);
                    }
                    if let Some(ast::Indirection::Slice(..)) = path.peek() {
                        return Err(Error::not_supported("array slices mixed with subscripts").at(span));
                    }
                    self.coercer.subscript(value, indexes, span)?
                }
                ast::Indirection::Slice(..) => {
                    let mut bounds = vec![self.slice_bounds(step)?];
                    while let Some(next @ ast::Indirection::Slice(..)) = path.peek() {
                        bounds.push(self.slice_bounds(next)?);
                        path.next();
                    }
                    if let Some(ast::Indirection::Index(_)) = path.peek() {
                        return Err(Error::not_supported("array slices mixed with subscripts").at(span));
                    }
                    self.coercer.slice(value, bounds, span)?
                }
                ast::Indirection::Field(field) => {
                    let data_type = value.data_type();
                    return Err(if data_type.oid == DataType::RECORD.oid {
                        Error::new(
                            SqlState::UNDEFINED_COLUMN,
                            format!("could not identify column \"{field}\" in record data type"),
                        )
                    } else {
                        Error::new(
                            SqlState::WRONG_OBJECT_TYPE,
                            format!(
                                "column notation .{field} applied to type {}, which is not a composite type",
                                data_type.without_modifier()
                            ),
                        )
                    }
                    .at(span));
                }
                ast::Indirection::Star => {
                    return Err(Error::syntax("row expansion via \"*\" is not supported here").at(span));
                }
            };
        }
        Ok(value)
    }

    fn slice_bounds(&mut self, step: &ast::Indirection) -> Result<(Option<Expr>, Option<Expr>)> {
        match step {
            ast::Indirection::Slice(lower, upper) => {
                let lower = lower.as_ref().map(|bound| self.expr(bound)).transpose()?;
                let upper = upper.as_ref().map(|bound| self.expr(bound)).transpose()?;
                Ok((lower, upper))
            }
            _ => Ok((None, None)),
        }
    }

    /// The relation that a reference means as a whole row: `t`, `t.*`.
    pub(super) fn row_in_scope(&mut self, reference: &ast::ColumnRef) -> Result<Option<Item>> {
        if reference.star {
            return match reference.fields.as_slice() {
                [] => Ok(None),
                fields => self.star_item(fields, reference.span).map(Some),
            };
        }
        match self.resolve(reference)? {
            Reference::Row(item) => Ok(Some(item)),
            Reference::Column(_) => Ok(None),
        }
    }

    /// Text compares by bytes, which is collation "C"; others do not exist.
    fn collate(&mut self, collate: &ast::CollateExpr) -> Result<Expr> {
        let arg = self.expr(&collate.arg)?;
        let arg = self.coercer.settle(arg)?;
        check_collation(arg.data_type(), &collate.collation, collate.span)?;
        Ok(arg)
    }

    fn sql_value_function(&mut self, function: &ast::SqlValueFunction) -> Result<Expr> {
        use SqlValueFunctionKind as Kind;
        let span = function.span;
        let modifier = function.precision.map_or(-1, |precision| i32::from(precision.min(6)));
        let (name, to) = match function.kind {
            Kind::CurrentDate => ("now", DataType::DATE),
            Kind::CurrentTime => {
                return Err(Error::not_supported("type time with time zone")
                    .with_hint("Use LOCALTIME or CURRENT_TIMESTAMP.")
                    .at(span));
            }
            Kind::CurrentTimestamp => ("now", DataType::TIMESTAMPTZ.with_modifier(modifier)),
            Kind::LocalTime => ("now", DataType::TIME.with_modifier(modifier)),
            Kind::LocalTimestamp => ("now", DataType::TIMESTAMP.with_modifier(modifier)),
            Kind::CurrentRole | Kind::CurrentUser | Kind::User => ("current_user", DataType::NAME),
            Kind::SessionUser => ("session_user", DataType::NAME),
            Kind::CurrentCatalog => ("current_database", DataType::NAME),
            Kind::CurrentSchema => ("current_schema", DataType::NAME),
        };
        let call =
            self.coercer.function(name, Vec::new(), false, span)?.into_scalar(CallForm::SqlSyntax, span)?;
        self.coercer.cast(call, to, span)
    }
}

/// 42804 for a type without collation, 42704 for a collation there is not.
pub(super) fn check_collation(data_type: DataType, collation: &[String], span: Span) -> Result<()> {
    let collatable = matches!(
        data_type.element().unwrap_or(data_type).without_modifier(),
        DataType::TEXT | DataType::VARCHAR | DataType::BPCHAR | DataType::NAME | DataType::UNKNOWN
    );
    if !collatable {
        return Err(Error::new(
            SqlState::DATATYPE_MISMATCH,
            format!("collations are not supported by type {}", data_type.without_modifier()),
        )
        .at(span));
    }
    let name = match collation {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        other => return Err(undefined_collation(&other.join(".")).at(span)),
    };
    match name.as_str() {
        "C" | "POSIX" | "default" | "ucs_basic" | "C.utf8" | "C.UTF-8" => Ok(()),
        other => Err(undefined_collation(other).at(span)),
    }
}

fn undefined_collation(name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("collation \"{name}\" for encoding \"UTF8\" does not exist"),
    )
}

/// `t` as a value: its columns as a row.
pub(super) fn whole_row(item: &Item) -> Expr {
    Expr::Row {
        fields: item.columns.iter().map(|column| column.expr.clone()).collect(),
        names: item.columns.iter().map(|column| column.name.clone()).collect(),
        data_type: DataType::RECORD,
    }
}

/// AND or OR of the arguments as written (constants included), flattened.
fn flat(args: Vec<Expr>, and: bool) -> Expr {
    let mut parts = Vec::with_capacity(args.len());
    for arg in args {
        match arg {
            Expr::And(inner) if and => parts.extend(inner),
            Expr::Or(inner) if !and => parts.extend(inner),
            other => parts.push(other),
        }
    }
    if and { Expr::And(parts) } else { Expr::Or(parts) }
}
