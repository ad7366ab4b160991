//! Operands: literals, names, parentheses, CASE, ARRAY: gram.y's c_expr.
//!
//! Called by `expr.rs` between operators. Where a parenthesis may hold a sub-select or an expression, both are read by
//! [`Parser::paren`], which decides only when it is known.

use types::{Result, Span};

use super::Parser;
use super::expr::{LOWEST, Paren, constant, scalar_sublink, sublink};
use super::type_name::system_type;
use crate::ast::*;
use crate::keyword::{Category, Keyword as K};
use crate::lexer::Tok;
use crate::literal;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Expr> {
        let token = self.token();
        match token.tok {
            Tok::Integer | Tok::Numeric => {
                self.bump();
                Ok(constant(literal::number(self.text, token), token.span()))
            }
            Tok::String | Tok::EscapeString | Tok::UnicodeString | Tok::DollarString => {
                self.bump();
                Ok(constant(ConstValue::String(literal::string(self.text, token)?), token.span()))
            }
            Tok::BitString | Tok::HexString => {
                self.bump();
                Ok(constant(ConstValue::BitString(literal::string(self.text, token)?), token.span()))
            }
            Tok::NationalString => {
                self.bump();
                let arg = constant(ConstValue::String(literal::string(self.text, token)?), token.span());
                let type_name = system_type("bpchar", Vec::new(), token.span());
                Ok(Expr::TypeCast(Box::new(TypeCast { arg, type_name, span: token.span() })))
            }
            Tok::Param => {
                self.bump();
                let digits = self.text.get(token.start as usize + 1..token.end as usize).unwrap_or("");
                let Ok(number) = digits.parse::<u32>() else {
                    return self.refuse(&format!("parameter number ${digits} is out of range"), token.span());
                };
                self.subscripted(Expr::ParamRef(ParamRef { number, span: token.span() }))
            }
            Tok::Char(b'(') => self.parenthesized(),
            Tok::Keyword(keyword) => self.keyword_primary(keyword),
            Tok::Word | Tok::Quoted | Tok::UnicodeQuoted => self.name_primary(),
            _ => self.fail(),
        }
    }

    fn parenthesized(&mut self) -> Result<Expr> {
        let span = self.span();
        match self.paren()? {
            Paren::Query(query) => self.subscripted(scalar_sublink(query, span)),
            Paren::Expr(expr) => self.subscripted(expr),
            Paren::Row(fields) => Ok(Expr::Row(Box::new(RowExpr { fields, explicit: false, span }))),
        }
    }

    /// Reads `( … )` where both a sub-select and an expression may stand, deciding only when it is known.
    pub(super) fn paren(&mut self) -> Result<Paren> {
        let open = self.expect_char(b'(')?;
        let outer = self.enter()?;
        let paren = self.paren_body(open)?;
        self.leave(outer);
        Ok(paren)
    }

    fn paren_body(&mut self, open: Span) -> Result<Paren> {
        if self.begins_query() {
            let mut query = self.query()?;
            self.expect_char(b')')?;
            query.span = Span { start: open.start.min(query.span.start), ..query.span };
            return Ok(Paren::Query(query));
        }
        let first = if self.is_char(b'(') {
            let span = self.span();
            let inner = match self.paren()? {
                Paren::Query(query) if self.is_char(b')') => {
                    self.bump();
                    return Ok(Paren::Query(query));
                }
                Paren::Query(query) if self.continues_query() => {
                    let query = self.query_after(query)?;
                    self.expect_char(b')')?;
                    return Ok(Paren::Query(query));
                }
                Paren::Query(query) => self.subscripted(scalar_sublink(query, span))?,
                Paren::Expr(expr) => self.subscripted(expr)?,
                Paren::Row(fields) => Expr::Row(Box::new(RowExpr { fields, explicit: false, span })),
            };
            self.infix(inner, LOWEST, false)?
        } else {
            self.expr()?
        };
        if !self.is_char(b',') {
            self.expect_char(b')')?;
            return Ok(Paren::Expr(first));
        }
        let mut fields = vec![first];
        while self.eat_char(b',') {
            fields.push(self.expr()?);
        }
        self.expect_char(b')')?;
        Ok(Paren::Row(fields))
    }

    /// What may follow a parenthesised operand: `.field`, `[subscript]`.
    fn subscripted(&mut self, arg: Expr) -> Result<Expr> {
        let span = self.span();
        let path = self.indirection()?;
        if path.is_empty() {
            return Ok(arg);
        }
        self.grow()?;
        Ok(Expr::Indirection(Box::new(IndirectionExpr { arg, path, span })))
    }

    /// A star that something follows: PostgreSQL says so once the whole name is read, at what comes after it.
    fn improper_star<T>(&mut self) -> Result<T> {
        while self.eat_char(b'.') {
            if !self.eat_char(b'*') {
                self.col_label()?;
            }
        }
        Err(literal::near_token("improper use of \"*\"", self.text, self.token()))
    }

    /// `.field`, `[i]`, `[lo:hi]`, `.*`, as many as there are; the star only at the end.
    pub(super) fn indirection(&mut self) -> Result<Vec<Indirection>> {
        let mut path = Vec::new();
        loop {
            if matches!(path.last(), Some(Indirection::Star)) && matches!(self.peek(), Tok::Char(b'.' | b'['))
            {
                return self.improper_star();
            }
            if self.eat_char(b'.') {
                if self.eat_char(b'*') {
                    path.push(Indirection::Star);
                } else {
                    path.push(Indirection::Field(self.col_label()?));
                }
            } else if self.eat_char(b'[') {
                let low = if self.is_char(b':') { None } else { Some(self.expr()?) };
                let step = match low {
                    Some(index) if !self.is_char(b':') => Indirection::Index(index),
                    low => {
                        self.expect_char(b':')?;
                        let high = if self.is_char(b']') { None } else { Some(self.expr()?) };
                        Indirection::Slice(low, high)
                    }
                };
                self.expect_char(b']')?;
                path.push(step);
            } else {
                return Ok(path);
            }
        }
    }

    /// An operand that begins with a keyword.
    fn keyword_primary(&mut self, keyword: K) -> Result<Expr> {
        let span = self.span();
        let paren_next = self.peek_at(1) == Tok::Char(b'(');
        match keyword {
            K::True | K::False => {
                self.bump();
                Ok(constant(ConstValue::Boolean(keyword == K::True), span))
            }
            K::Null => {
                self.bump();
                Ok(constant(ConstValue::Null, span))
            }
            K::Case => self.case(),
            K::Exists if paren_next => {
                self.bump();
                let query = self.query_in_parens()?;
                Ok(sublink(SubLinkKind::Exists, query, span))
            }
            K::Array => self.array(),
            K::Row if paren_next => {
                self.at += 2;
                let fields = if self.is_char(b')') { Vec::new() } else { self.expr_list()? };
                self.expect_char(b')')?;
                Ok(Expr::Row(Box::new(RowExpr { fields, explicit: true, span })))
            }
            K::Grouping if paren_next => {
                self.bump();
                let args = self.parens(Self::expr)?;
                Ok(Expr::Grouping(Box::new(GroupingFunc { args, span })))
            }
            K::Interval if paren_next || Self::tok_is_string(self.peek_at(1)) => self.interval_constant(),
            _ if self.begins_typed_constant() => {
                let type_name = self.const_type_name()?;
                self.typed_constant(type_name)
            }
            _ if self.is_special_function() => {
                let outer = self.enter()?;
                let expr = self.special_function()?;
                self.leave(outer);
                Ok(expr)
            }
            _ => match keyword.category() {
                Category::Reserved => self.fail(),
                _ => self.name_primary(),
            },
        }
    }

    /// A type's keyword followed by what makes it one: a string, a length, a second word.
    fn begins_typed_constant(&self) -> bool {
        if !self.is_keyword_type() {
            return false;
        }
        match self.peek_at(1) {
            Tok::Char(b'(') => true,
            Tok::Keyword(K::Precision) => self.is(K::Double),
            // DOUBLE alone is an ordinary name, also before a string.
            tok if Self::tok_is_string(tok) => !self.is(K::Double),
            Tok::Keyword(K::Varying) => self.is_any(&[K::Bit, K::Character, K::Char, K::Nchar]),
            Tok::Keyword(K::Character | K::Char) => self.is(K::National),
            Tok::Keyword(K::With | K::Without) => {
                self.is_any(&[K::Time, K::Timestamp]) && self.is_at(2, K::Time)
            }
            _ => false,
        }
    }

    fn typed_constant(&mut self, type_name: TypeName) -> Result<Expr> {
        let token = self.token();
        let value = ConstValue::String(self.string()?);
        let span = type_name.span;
        let arg = constant(value, token.span());
        Ok(Expr::TypeCast(Box::new(TypeCast { arg, type_name, span })))
    }

    fn interval_constant(&mut self) -> Result<Expr> {
        let span = self.span();
        if self.peek_at(1) == Tok::Char(b'(') {
            let type_name = self.const_type_name()?;
            return self.typed_constant(type_name);
        }
        self.bump();
        let token = self.token();
        let value = ConstValue::String(self.string()?);
        let typmods = self.interval_fields()?;
        let type_name = system_type("interval", typmods, span);
        let arg = constant(value, token.span());
        Ok(Expr::TypeCast(Box::new(TypeCast { arg, type_name, span })))
    }

    fn case(&mut self) -> Result<Expr> {
        let span = self.bump().span();
        let operand = if self.is(K::When) { None } else { Some(self.expr()?) };
        let mut whens = Vec::new();
        while whens.is_empty() || self.is(K::When) {
            let span = self.expect(K::When)?;
            let condition = self.expr()?;
            self.expect(K::Then)?;
            let result = self.expr()?;
            whens.push(CaseWhen { condition, result, span });
        }
        let else_ = if self.eat(K::Else) { Some(self.expr()?) } else { None };
        self.expect(K::End)?;
        Ok(Expr::Case(Box::new(CaseExpr { operand, whens, else_, span })))
    }

    /// `ARRAY[…]`, `ARRAY(select)`.
    fn array(&mut self) -> Result<Expr> {
        let span = self.bump().span();
        if self.is_char(b'(') {
            let query = self.query_in_parens()?;
            return Ok(sublink(SubLinkKind::Array, query, span));
        }
        self.array_elements(span)
    }

    fn array_elements(&mut self, span: Span) -> Result<Expr> {
        self.expect_char(b'[')?;
        let outer = self.enter()?;
        let mut elements = Vec::new();
        if self.is_char(b'[') {
            // Inner dimensions go without the keyword.
            elements = self.list(|p| {
                let span = p.span();
                if p.is_char(b'[') { p.array_elements(span) } else { p.fail() }
            })?;
        } else if !self.is_char(b']') {
            elements = self.expr_list()?;
        }
        self.expect_char(b']')?;
        self.leave(outer);
        Ok(Expr::Array(Box::new(ArrayExpr { elements, span })))
    }

    /// A column, a function, or `type 'literal'`.
    fn name_primary(&mut self) -> Result<Expr> {
        let token = self.token();
        let span = token.span();
        let is_column = Self::tok_is_col_id(token.tok);
        let is_function = Self::tok_is_type_function_name(token.tok);
        let next = self.peek_at(1);
        if is_function && next == Tok::Char(b'(') {
            let name = vec![self.type_function_name()?];
            return self.function_or_constant(name, span);
        }
        if is_function && Self::tok_is_string(next) {
            let type_name = self.simple_type_name()?;
            return self.typed_constant(type_name);
        }
        let name = if is_column { self.col_id()? } else { self.type_function_name()? };
        if !is_column && next != Tok::Char(b'.') {
            return self.fail();
        }
        let mut fields = vec![name];
        let mut star = false;
        let mut end = span.end;
        while !star && self.is_char(b'.') {
            self.bump();
            if self.eat_char(b'*') {
                star = true;
            } else {
                fields.push(self.col_label()?);
            }
            end = self.last_end();
        }
        let span = Span { start: span.start, end };
        if fields.len() > 1 && !star {
            if self.is_char(b'(') {
                return self.function_or_constant(fields, span);
            }
            if Self::tok_is_string(self.peek()) {
                let type_name = TypeName {
                    names: fields,
                    typmods: Vec::new(),
                    array_bounds: Vec::new(),
                    setof: false,
                    pct_type: false,
                    span,
                };
                return self.typed_constant(type_name);
            }
        }
        if star && matches!(self.peek(), Tok::Char(b'.' | b'[')) {
            return self.improper_star();
        }
        let column = Expr::ColumnRef(Box::new(ColumnRef { fields, star, span }));
        if star { Ok(column) } else { self.subscripted(column) }
    }

    /// `f(…)`, or `f(…) 'literal'`, which is a constant of a type with modifiers.
    fn function_or_constant(&mut self, name: Vec<String>, span: Span) -> Result<Expr> {
        let outer = self.enter()?;
        let expr = self.function_or_constant_body(name, span)?;
        self.leave(outer);
        Ok(expr)
    }

    fn function_or_constant_body(&mut self, name: Vec<String>, span: Span) -> Result<Expr> {
        let call = self.function_call(name, span)?;
        if !Self::tok_is_string(self.peek()) || call.star || call.distinct || call.variadic {
            return self.function_suffix(call);
        }
        if let Some(argument) = call.args.iter().find(|argument| argument.name.is_some()) {
            return self.refuse("type modifier cannot have parameter name", argument.value.start_span());
        }
        if let Some(sort) = call.order_by.first() {
            return self.refuse("type modifier cannot have ORDER BY", sort.span);
        }
        let typmods = call.args.into_iter().map(|argument| argument.value).collect();
        let (array_bounds, setof, pct_type) = (Vec::new(), false, false);
        self.typed_constant(TypeName { names: call.name, typmods, array_bounds, setof, pct_type, span })
    }
}
