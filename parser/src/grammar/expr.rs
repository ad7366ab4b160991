//! Expressions: operators by PostgreSQL's precedence table, and what operators join.
//!
//! Called by every clause. [`Parser::expr`] is gram.y's a_expr, [`Parser::b_expr`] its restricted form for places
//! where AND, IN and their like belong to the clause around. After Pratt 1973: one loop, a number per operator.
//! Chains of AND and OR become one flat node; other left-deep chains count towards the depth.

use types::{Error, Result, Span};

use super::Parser;
use super::name::negate;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

/// Binding powers, loosest first, as in gram.y's %left, %right and %nonassoc lines.
mod power {
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const IS: u8 = 4;
    pub const COMPARE: u8 = 5;
    pub const LIKE: u8 = 6;
    pub const OPERATOR: u8 = 8;
    pub const ADD: u8 = 9;
    pub const MULTIPLY: u8 = 10;
    pub const POWER: u8 = 11;
    pub const AT: u8 = 12;
    pub const COLLATE: u8 = 13;
    pub const SIGN: u8 = 14;
    pub const CAST: u8 = 16;
}

/// Takes every operator.
pub(super) const LOWEST: u8 = 0;

/// What stands in parentheses where an expression may.
pub(super) enum Paren {
    /// A sub-select; redundant parentheses are gone.
    Query(SelectStmt),
    /// `(a)`.
    Expr(Expr),
    /// `(a, b)`: two or more.
    Row(Vec<Expr>),
}

impl Parser<'_> {
    /// a_expr.
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.expr_above(LOWEST, false)
    }

    /// b_expr: no AND, OR, NOT, LIKE, IN, BETWEEN, IS NULL, COLLATE, AT TIME ZONE at its top.
    pub(super) fn b_expr(&mut self) -> Result<Expr> {
        self.expr_above(LOWEST, true)
    }

    pub(super) fn expr_list(&mut self) -> Result<Vec<Expr>> {
        self.list(Self::expr)
    }

    fn expr_above(&mut self, min: u8, restricted: bool) -> Result<Expr> {
        let outer = self.enter()?;
        let left = self.prefix(restricted)?;
        let expr = self.infix(left, min, restricted)?;
        self.leave(outer);
        Ok(expr)
    }

    fn prefix(&mut self, restricted: bool) -> Result<Expr> {
        match self.peek() {
            Tok::Char(b'-') => self.minus(restricted),
            Tok::Char(b'+') => {
                let span = self.bump().span();
                let right = self.expr_above(power::SIGN + 1, restricted)?;
                Ok(prefix_operator("+", right, span))
            }
            Tok::Op => self.prefix_named(restricted),
            Tok::Keyword(K::Operator) if self.peek_at(1) == Tok::Char(b'(') => self.prefix_named(restricted),
            Tok::Keyword(K::Not) if !restricted => {
                let span = self.bump().span();
                let arg = self.expr_above(power::NOT, false)?;
                Ok(not(arg, span))
            }
            Tok::Keyword(K::Default) if !restricted => Ok(Expr::SetToDefault(self.bump().span())),
            _ => self.primary(),
        }
    }

    fn minus(&mut self, restricted: bool) -> Result<Expr> {
        let span = self.bump().span();
        let mut right = self.expr_above(power::SIGN + 1, restricted)?;
        if let Expr::Const(constant) = &mut right
            && matches!(constant.value, ConstValue::Integer(_) | ConstValue::Numeric(_))
        {
            let value = std::mem::replace(&mut constant.value, ConstValue::Null);
            constant.value = negate(value);
            constant.span.start = span.start;
            return Ok(right);
        }
        Ok(prefix_operator("-", right, span))
    }

    fn prefix_named(&mut self, restricted: bool) -> Result<Expr> {
        let span = self.span();
        let name = self.qualified_operator()?;
        let right = self.expr_above(power::OPERATOR + 1, restricted)?;
        Ok(Expr::Operator(Box::new(OperatorExpr { name, left: None, right, span })))
    }

    /// The power of the operator that comes next, if one does.
    fn next_power(&self, restricted: bool) -> Option<u8> {
        Some(match self.peek() {
            Tok::Char(b'+' | b'-') => power::ADD,
            Tok::Char(b'*' | b'/' | b'%') => power::MULTIPLY,
            Tok::Char(b'^') => power::POWER,
            Tok::Char(b'<' | b'>' | b'=') | Tok::LessEqual | Tok::GreaterEqual | Tok::NotEqual => {
                power::COMPARE
            }
            Tok::Op => power::OPERATOR,
            Tok::TypeCast => power::CAST,
            Tok::Keyword(keyword) => match keyword {
                K::Operator if self.peek_at(1) == Tok::Char(b'(') => power::OPERATOR,
                K::Is if !restricted || self.is_restricted_is() => power::IS,
                _ if restricted => return None,
                K::Or => power::OR,
                K::And => power::AND,
                K::Isnull | K::Notnull => power::IS,
                K::Similar if !self.is_at(1, K::To) => return None,
                K::Like | K::Ilike | K::Similar | K::In | K::Between => power::LIKE,
                K::Not if self.is_negatable_at(1) => power::LIKE,
                K::Overlaps => power::LIKE,
                K::At => power::AT,
                K::Collate => power::COLLATE,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn is_negatable_at(&self, ahead: usize) -> bool {
        matches!(self.peek_at(ahead), Tok::Keyword(K::Like | K::Ilike | K::Similar | K::In | K::Between))
    }

    /// b_expr knows IS [NOT] DISTINCT FROM and IS [NOT] DOCUMENT, no other IS.
    fn is_restricted_is(&self) -> bool {
        let ahead = if self.is_at(1, K::Not) { 2 } else { 1 };
        matches!(self.peek_at(ahead), Tok::Keyword(K::Distinct | K::Document))
    }

    /// The operators that follow `left` and bind tighter than `min` or as tight.
    pub(super) fn infix(&mut self, mut left: Expr, min: u8, restricted: bool) -> Result<Expr> {
        // The power of a non-associative operator whose right operand has just ended: it may not follow itself.
        let mut spent = 0;
        while let Some(power) = self.next_power(restricted) {
            if power < min {
                break;
            }
            if power == spent {
                return self.fail();
            }
            spent = 0;
            left = match self.peek() {
                Tok::Keyword(K::And) => self.chain(left, BoolOp::And, K::And, power::AND)?,
                Tok::Keyword(K::Or) => self.chain(left, BoolOp::Or, K::Or, power::OR)?,
                Tok::Keyword(K::Is | K::Isnull | K::Notnull) => {
                    let (expr, open) = self.is_test(left, restricted)?;
                    if open {
                        spent = power;
                    }
                    expr
                }
                Tok::Keyword(K::Not | K::Like | K::Ilike | K::Similar | K::In | K::Between) => {
                    let (expr, open) = self.like_in_between(left)?;
                    if open {
                        spent = power;
                    }
                    expr
                }
                Tok::Keyword(K::Overlaps) => self.overlaps(left)?,
                Tok::Keyword(K::At) => self.at_time_zone(left)?,
                Tok::Keyword(K::Collate) => {
                    let span = self.bump().span();
                    let collation = self.any_name()?;
                    Expr::Collate(Box::new(CollateExpr { arg: left, collation, span }))
                }
                Tok::TypeCast => {
                    let span = self.bump().span();
                    let type_name = self.type_name()?;
                    Expr::TypeCast(Box::new(TypeCast { arg: left, type_name, span }))
                }
                _ => {
                    let (expr, open) = self.binary(left, power, restricted)?;
                    if open && power == power::COMPARE {
                        spent = power;
                    }
                    expr
                }
            };
            self.grow()?;
        }
        Ok(left)
    }

    fn chain(&mut self, left: Expr, op: BoolOp, keyword: K, power: u8) -> Result<Expr> {
        let span = self.span();
        let (mut args, span) = match left {
            // `(a AND b) AND c` is flat too, as in PostgreSQL.
            Expr::Bool(bool) if bool.op == op => (bool.args, bool.span),
            other => (vec![other], span),
        };
        while self.eat(keyword) {
            args.push(self.expr_above(power + 1, false)?);
        }
        Ok(Expr::Bool(Box::new(BoolExpr { op, args, span })))
    }

    /// `left op right`, `left op ANY (…)`. The flag: did it end in an operand, rather than a parenthesis?
    fn binary(&mut self, left: Expr, power: u8, restricted: bool) -> Result<(Expr, bool)> {
        let span = self.span();
        let name = self.qualified_operator()?;
        if !restricted && self.is_any(&[K::Any, K::Some, K::All]) {
            return Ok((self.quantified(left, name, span)?, false));
        }
        let right = self.expr_above(power + 1, restricted)?;
        Ok((Expr::Operator(Box::new(OperatorExpr { name, left: Some(left), right, span })), true))
    }

    /// ANY, SOME, ALL, with a sub-select or an array.
    fn quantified(&mut self, left: Expr, name: OperatorName, span: Span) -> Result<Expr> {
        let all = self.bump().tok == Tok::Keyword(K::All);
        Ok(match self.paren()? {
            Paren::Query(query) => {
                let kind = if all { SubLinkKind::All } else { SubLinkKind::Any };
                Expr::SubLink(Box::new(SubLink { kind, test: Some(left), operator: Some(name), query, span }))
            }
            Paren::Expr(right) => {
                Expr::OperatorArray(Box::new(OperatorArrayExpr { name, left, right, all, span }))
            }
            Paren::Row(fields) => {
                let at = fields.get(1).map_or(span, Expr::start_span);
                return self.refuse("op ANY/ALL takes one array or a sub-select", at);
            }
        })
    }

    pub(super) fn is_operator(&self) -> bool {
        matches!(
            self.peek(),
            Tok::Op
                | Tok::LessEqual
                | Tok::GreaterEqual
                | Tok::NotEqual
                | Tok::Char(b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=')
        )
    }

    /// An operator's token: all_Op.
    pub(super) fn operator_token(&mut self) -> Result<OperatorName> {
        if !self.is_operator() {
            return self.fail();
        }
        let token = self.bump();
        let name = match token.tok {
            Tok::NotEqual => "<>",
            _ => self.text.get(token.start as usize..token.end as usize).unwrap_or(""),
        };
        Ok(OperatorName { schema: None, name: name.to_string() })
    }

    /// An operator, also as `OPERATOR(schema.op)`.
    pub(super) fn qualified_operator(&mut self) -> Result<OperatorName> {
        if !self.is(K::Operator) {
            return self.operator_token();
        }
        self.bump();
        self.expect_char(b'(')?;
        let name = self.any_operator()?;
        self.expect_char(b')')?;
        Ok(name)
    }

    /// `schema.op`.
    pub(super) fn any_operator(&mut self) -> Result<OperatorName> {
        let mut schema = None;
        while Self::tok_is_col_id(self.peek()) {
            schema = Some(self.col_id()?);
            self.expect_char(b'.')?;
        }
        Ok(OperatorName { schema, ..self.operator_token()? })
    }

    fn is_test(&mut self, arg: Expr, restricted: bool) -> Result<(Expr, bool)> {
        let token = self.bump();
        let span = token.span();
        let null = |arg, negated| Expr::NullTest(Box::new(NullTest { arg, negated, span }));
        match token.tok {
            Tok::Keyword(K::Isnull) => return Ok((null(arg, false), false)),
            Tok::Keyword(K::Notnull) => return Ok((null(arg, true), false)),
            _ => {}
        }
        let negated = self.eat(K::Not);
        let kind = match self.peek() {
            Tok::Keyword(K::Null) => {
                self.bump();
                return Ok((null(arg, negated), false));
            }
            Tok::Keyword(K::True) => BooleanTestKind::True,
            Tok::Keyword(K::False) => BooleanTestKind::False,
            Tok::Keyword(K::Unknown) => BooleanTestKind::Unknown,
            Tok::Keyword(K::Distinct) => {
                self.bump();
                self.expect(K::From)?;
                let right = self.expr_above(power::IS + 1, restricted)?;
                return Ok((
                    Expr::Distinct(Box::new(DistinctExpr { left: arg, right, negated, span })),
                    true,
                ));
            }
            Tok::Keyword(K::Document) => return Err(Error::not_supported("IS DOCUMENT").at(span)),
            Tok::Keyword(K::Normalized | K::Nfc | K::Nfd | K::Nfkc | K::Nfkd) => {
                let mut args = vec![positional(arg)];
                if !self.is(K::Normalized) {
                    let form = self.bump();
                    let value = ConstValue::String(self.name_of(form)?.to_uppercase());
                    args.push(positional(Expr::Const(Box::new(Const { value, span: form.span() }))));
                }
                self.expect(K::Normalized)?;
                let call = system_call("is_normalized", args, span);
                return Ok((if negated { not(call, span) } else { call }, false));
            }
            _ => return self.fail(),
        };
        self.bump();
        Ok((Expr::BooleanTest(Box::new(BooleanTest { arg, kind, negated, span })), false))
    }

    /// [NOT] LIKE, ILIKE, SIMILAR TO, IN, BETWEEN.
    fn like_in_between(&mut self, expr: Expr) -> Result<(Expr, bool)> {
        let span = self.span();
        let negated = self.eat(K::Not);
        let kind = match self.bump().tok {
            Tok::Keyword(K::Like) => LikeKind::Like,
            Tok::Keyword(K::Ilike) => LikeKind::ILike,
            Tok::Keyword(K::Similar) => {
                self.expect(K::To)?;
                LikeKind::SimilarTo
            }
            Tok::Keyword(K::In) => {
                return Ok((self.in_list(expr, negated, span)?, false));
            }
            _ => {
                let symmetric = self.eat(K::Symmetric);
                if !symmetric {
                    self.eat(K::Asymmetric);
                }
                let low = self.b_expr()?;
                self.expect(K::And)?;
                let high = self.expr_above(power::LIKE + 1, false)?;
                let between = BetweenExpr { expr, low, high, symmetric, negated, span };
                return Ok((Expr::Between(Box::new(between)), true));
            }
        };
        if kind != LikeKind::SimilarTo && self.is_any(&[K::Any, K::Some, K::All]) {
            let name = match (kind, negated) {
                (LikeKind::ILike, false) => "~~*",
                (LikeKind::ILike, true) => "!~~*",
                (_, false) => "~~",
                (_, true) => "!~~",
            };
            let name = OperatorName { schema: None, name: name.into() };
            return Ok((self.quantified(expr, name, span)?, false));
        }
        let pattern = self.expr_above(power::LIKE + 1, false)?;
        let escape = if self.eat(K::Escape) { Some(self.expr_above(power::LIKE + 1, false)?) } else { None };
        Ok((Expr::Like(Box::new(LikeExpr { kind, expr, pattern, escape, negated, span })), true))
    }

    fn in_list(&mut self, expr: Expr, negated: bool, span: Span) -> Result<Expr> {
        Ok(match self.paren()? {
            Paren::Query(query) => {
                let test = Some(expr);
                let link = SubLink { kind: SubLinkKind::Any, test, operator: None, query, span };
                let link = Expr::SubLink(Box::new(link));
                if negated { not(link, span) } else { link }
            }
            Paren::Expr(only) => Expr::In(Box::new(InExpr { expr, list: vec![only], negated, span })),
            Paren::Row(list) => Expr::In(Box::new(InExpr { expr, list, negated, span })),
        })
    }

    /// `(a, b) OVERLAPS (c, d)`.
    fn overlaps(&mut self, left: Expr) -> Result<Expr> {
        let span = self.span();
        let Expr::Row(left) = left else { return self.fail() };
        self.bump();
        let at = self.span();
        let right = if self.is(K::Row) {
            match self.primary()? {
                Expr::Row(row) => row.fields,
                _ => return self.refuse("syntax error in OVERLAPS expression", at),
            }
        } else {
            match self.paren()? {
                Paren::Row(fields) => fields,
                // One expression in parentheses is no row: a comma is missing before the end.
                _ => {
                    self.at = self.at.saturating_sub(1);
                    return self.fail();
                }
            }
        };
        let side = |n: usize, side: &str, at| match n {
            2 => Ok(()),
            _ => Err(Error::syntax(format!(
                "wrong number of parameters on {side} side of OVERLAPS expression"
            ))
            .at(at)),
        };
        side(left.fields.len(), "left", left.span)?;
        side(right.len(), "right", at)?;
        let args = left.fields.into_iter().chain(right).map(positional).collect();
        Ok(system_call("overlaps", args, span))
    }

    fn at_time_zone(&mut self, arg: Expr) -> Result<Expr> {
        let span = self.bump().span();
        self.expect_all(&[K::Time, K::Zone])?;
        let zone = self.expr_above(power::AT + 1, false)?;
        Ok(system_call("timezone", vec![positional(zone), positional(arg)], span))
    }
}

pub(super) fn constant(value: ConstValue, span: Span) -> Expr {
    Expr::Const(Box::new(Const { value, span }))
}

pub(super) fn not(arg: Expr, span: Span) -> Expr {
    Expr::Bool(Box::new(BoolExpr { op: BoolOp::Not, args: vec![arg], span }))
}

fn prefix_operator(name: &str, right: Expr, span: Span) -> Expr {
    let name = OperatorName { schema: None, name: name.into() };
    Expr::Operator(Box::new(OperatorExpr { name, left: None, right, span }))
}

pub(super) fn positional(value: Expr) -> FuncArg {
    let span = value.start_span();
    FuncArg { name: None, value, span }
}

/// A function that SQL's own syntax stands for.
pub(super) fn system_call(name: &str, args: Vec<FuncArg>, span: Span) -> Expr {
    let mut call = plain_call(vec!["pg_catalog".into(), name.into()], span);
    call.args = args;
    call.sql_syntax = true;
    Expr::FuncCall(Box::new(call))
}

pub(super) fn plain_call(name: Vec<String>, span: Span) -> FuncCall {
    FuncCall {
        name,
        args: Vec::new(),
        star: false,
        distinct: false,
        variadic: false,
        order_by: Vec::new(),
        within_group: false,
        filter: None,
        over: None,
        sql_syntax: false,
        span,
    }
}

pub(super) fn sublink(kind: SubLinkKind, query: SelectStmt, span: Span) -> Expr {
    Expr::SubLink(Box::new(SubLink { kind, test: None, operator: None, query, span }))
}

pub(super) fn scalar_sublink(query: SelectStmt, span: Span) -> Expr {
    sublink(SubLinkKind::Expr, query, span)
}
