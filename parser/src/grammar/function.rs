//! Function calls: argument lists, what follows them, and the functions SQL spells in its own way.
//!
//! Called by `expr.rs` and `from.rs`. EXTRACT, SUBSTRING and their like become calls of PostgreSQL's functions
//! with `sql_syntax` set.

use types::{Error, Result, Span};

use super::Parser;
use super::expr::{constant, plain_call, positional, system_call};
use super::type_name::system_type;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    /// `(…)` after a function's name, without what may follow.
    pub(super) fn function_call(&mut self, name: Vec<String>, span: Span) -> Result<FuncCall> {
        let mut call = plain_call(name, span);
        self.expect_char(b'(')?;
        if self.eat_char(b')') {
            return Ok(call);
        }
        if self.is_char(b'*') && self.peek_at(1) == Tok::Char(b')') {
            self.at += 2;
            call.star = true;
            return Ok(call);
        }
        if self.eat(K::Distinct) {
            call.distinct = true;
        } else {
            self.eat(K::All);
        }
        loop {
            if !call.distinct && self.eat(K::Variadic) {
                call.variadic = true;
            }
            let argument = self.function_argument()?;
            call.args.push(argument);
            if call.variadic || !self.eat_char(b',') {
                break;
            }
        }
        call.order_by = self.opt_order_by()?;
        self.expect_char(b')')?;
        Ok(call)
    }

    fn function_argument(&mut self) -> Result<FuncArg> {
        let named = matches!(self.peek_at(1), Tok::EqualGreater | Tok::ColonEqual);
        if named && Self::tok_is_type_function_name(self.peek()) {
            let span = self.span();
            let name = self.type_function_name()?;
            self.bump();
            return Ok(FuncArg { name: Some(name), value: self.expr()?, span });
        }
        Ok(positional(self.expr()?))
    }

    /// WITHIN GROUP, FILTER, OVER.
    pub(super) fn function_suffix(&mut self, mut call: FuncCall) -> Result<Expr> {
        if self.is(K::Within) && self.is_at(1, K::Group) {
            let span = self.bump().span();
            self.bump();
            self.expect_char(b'(')?;
            let order_by = self.order_by()?;
            self.expect_char(b')')?;
            if !call.order_by.is_empty() {
                return self.refuse("cannot use multiple ORDER BY clauses with WITHIN GROUP", span);
            }
            if call.distinct {
                return self.refuse("cannot use DISTINCT with WITHIN GROUP", span);
            }
            if call.variadic {
                return self.refuse("cannot use VARIADIC with WITHIN GROUP", span);
            }
            call.order_by = order_by;
            call.within_group = true;
        }
        if self.is(K::Filter) && self.peek_at(1) == Tok::Char(b'(') {
            self.at += 2;
            self.expect(K::Where)?;
            call.filter = Some(self.expr()?);
            self.expect_char(b')')?;
        }
        if self.is(K::Over) && (self.peek_at(1) == Tok::Char(b'(') || Self::tok_is_col_id(self.peek_at(1))) {
            self.bump();
            call.over = Some(Box::new(self.over()?));
        }
        Ok(Expr::FuncCall(Box::new(call)))
    }

    fn over(&mut self) -> Result<WindowDef> {
        if self.is_char(b'(') {
            return self.window_specification();
        }
        let span = self.span();
        let name = Some(self.col_id()?);
        Ok(WindowDef { name, base: None, partition_by: Vec::new(), order_by: Vec::new(), frame: None, span })
    }

    /// Does a function begin here that has a grammar of its own (func_expr_common_subexpr)?
    pub(super) fn is_special_function(&self) -> bool {
        let Tok::Keyword(keyword) = self.peek() else { return false };
        let paren = self.peek_at(1) == Tok::Char(b'(');
        match keyword {
            K::CurrentDate
            | K::CurrentTime
            | K::CurrentTimestamp
            | K::Localtime
            | K::Localtimestamp
            | K::CurrentRole
            | K::CurrentUser
            | K::SessionUser
            | K::User
            | K::CurrentCatalog
            | K::Cast => true,
            K::CurrentSchema => !paren,
            K::Collation => self.is_at(1, K::For),
            K::Coalesce
            | K::Greatest
            | K::Least
            | K::Nullif
            | K::Extract
            | K::Position
            | K::Substring
            | K::Trim
            | K::Overlay
            | K::Treat
            | K::Normalize
            | K::Xmlconcat
            | K::Xmlelement
            | K::Xmlexists
            | K::Xmlforest
            | K::Xmlparse
            | K::Xmlpi
            | K::Xmlroot
            | K::Xmlserialize => paren,
            _ => false,
        }
    }

    pub(super) fn special_function(&mut self) -> Result<Expr> {
        let token = self.bump();
        let span = token.span();
        let Tok::Keyword(keyword) = token.tok else { return self.fail() };
        match keyword {
            K::Cast => {
                let (arg, type_name) = self.cast_body()?;
                Ok(Expr::TypeCast(Box::new(TypeCast { arg, type_name, span })))
            }
            K::Coalesce => {
                let args = self.parens(Self::expr)?;
                Ok(Expr::Coalesce(Box::new(CoalesceExpr { args, span })))
            }
            K::Greatest | K::Least => {
                let args = self.parens(Self::expr)?;
                Ok(Expr::MinMax(Box::new(MinMaxExpr { greatest: keyword == K::Greatest, args, span })))
            }
            K::Nullif => {
                self.expect_char(b'(')?;
                let left = self.expr()?;
                self.expect_char(b',')?;
                let right = self.expr()?;
                self.expect_char(b')')?;
                Ok(Expr::NullIf(Box::new(NullIfExpr { left, right, span })))
            }
            K::Collation => {
                self.expect(K::For)?;
                self.expect_char(b'(')?;
                let arg = self.expr()?;
                self.expect_char(b')')?;
                self.suffixed(system_call("pg_collation_for", vec![positional(arg)], span))
            }
            K::Treat => {
                // TREAT(a AS t) calls the function named like the type, as PostgreSQL does.
                let (arg, type_name) = self.cast_body()?;
                let name = type_name.names.last().cloned().unwrap_or_default();
                let mut call = plain_call(vec!["pg_catalog".into(), name], span);
                call.args.push(positional(arg));
                self.function_suffix(call)
            }
            K::Extract => self.extract(span),
            K::Position => {
                self.expect_char(b'(')?;
                let needle = self.b_expr()?;
                self.expect(K::In)?;
                let haystack = self.b_expr()?;
                self.expect_char(b')')?;
                self.suffixed(system_call("position", vec![positional(haystack), positional(needle)], span))
            }
            K::Substring => self.substring(span),
            K::Overlay => self.overlay(span),
            K::Trim => self.trim(span),
            K::Normalize => {
                self.expect_char(b'(')?;
                let mut args = vec![positional(self.expr()?)];
                if self.eat_char(b',') {
                    let form = self.token();
                    if !self.is_any(&[K::Nfc, K::Nfd, K::Nfkc, K::Nfkd]) {
                        return self.fail();
                    }
                    self.bump();
                    let value = ConstValue::String(self.name_of(form)?.to_uppercase());
                    args.push(positional(constant(value, form.span())));
                }
                self.expect_char(b')')?;
                self.suffixed(system_call("normalize", args, span))
            }
            K::Xmlconcat
            | K::Xmlelement
            | K::Xmlexists
            | K::Xmlforest
            | K::Xmlparse
            | K::Xmlpi
            | K::Xmlroot
            | K::Xmlserialize => Err(Error::not_supported(keyword.word()).at(span)),
            _ => self.value_function(keyword, span),
        }
    }

    fn value_function(&mut self, keyword: K, span: Span) -> Result<Expr> {
        use SqlValueFunctionKind as V;
        let (kind, takes_precision) = match keyword {
            K::CurrentDate => (V::CurrentDate, false),
            K::CurrentTime => (V::CurrentTime, true),
            K::CurrentTimestamp => (V::CurrentTimestamp, true),
            K::Localtime => (V::LocalTime, true),
            K::Localtimestamp => (V::LocalTimestamp, true),
            K::CurrentRole => (V::CurrentRole, false),
            K::CurrentUser => (V::CurrentUser, false),
            K::User => (V::User, false),
            K::SessionUser => (V::SessionUser, false),
            K::CurrentCatalog => (V::CurrentCatalog, false),
            K::CurrentSchema => (V::CurrentSchema, false),
            _ => return self.fail(),
        };
        let mut precision = None;
        if takes_precision && self.eat_char(b'(') {
            precision = Some(u8::try_from(self.iconst()?).unwrap_or(u8::MAX));
            self.expect_char(b')')?;
        }
        Ok(Expr::SqlValueFunction(SqlValueFunction { kind, precision, span }))
    }

    /// A call that was built here may still be followed by FILTER or OVER.
    fn suffixed(&mut self, call: Expr) -> Result<Expr> {
        match call {
            Expr::FuncCall(call) => self.function_suffix(*call),
            other => Ok(other),
        }
    }

    fn cast_body(&mut self) -> Result<(Expr, TypeName)> {
        self.expect_char(b'(')?;
        let arg = self.expr()?;
        self.expect(K::As)?;
        let type_name = self.type_name()?;
        self.expect_char(b')')?;
        Ok((arg, type_name))
    }

    fn extract(&mut self, span: Span) -> Result<Expr> {
        self.expect_char(b'(')?;
        let token = self.token();
        let field = match token.tok {
            tok if Self::tok_is_string(tok) => self.string()?,
            Tok::Word
            | Tok::Quoted
            | Tok::UnicodeQuoted
            | Tok::Keyword(K::Year | K::Month | K::Day | K::Hour | K::Minute | K::Second) => {
                self.col_label()?
            }
            _ => return self.fail(),
        };
        self.expect(K::From)?;
        let source = self.expr()?;
        self.expect_char(b')')?;
        let field = constant(ConstValue::String(field), token.span());
        self.suffixed(system_call("extract", vec![positional(field), positional(source)], span))
    }

    /// `substring(a FROM b FOR c)`, `substring(a SIMILAR b ESCAPE c)`, `substring(a, b, c)`.
    fn substring(&mut self, span: Span) -> Result<Expr> {
        self.expect_char(b'(')?;
        if self.eat_char(b')') {
            return self.suffixed(Expr::FuncCall(Box::new(plain_call(vec!["substring".into()], span))));
        }
        let first = self.function_argument()?;
        if first.name.is_none() && self.is_any(&[K::From, K::For, K::Similar]) {
            let mut args = vec![first];
            if self.eat(K::Similar) {
                args.push(positional(self.expr()?));
                self.expect(K::Escape)?;
                args.push(positional(self.expr()?));
            } else if self.eat(K::From) {
                args.push(positional(self.expr()?));
                if self.eat(K::For) {
                    args.push(positional(self.expr()?));
                }
            } else {
                let at = self.bump().span();
                let len = self.expr()?;
                if self.eat(K::From) {
                    args.push(positional(self.expr()?));
                    args.push(positional(len));
                } else {
                    // Without FROM it starts at 1, and the length must be an integer.
                    args.push(positional(constant(ConstValue::Integer(1), at)));
                    let type_name = system_type("int4", Vec::new(), at);
                    let cast = TypeCast { arg: len, type_name, span: at };
                    args.push(positional(Expr::TypeCast(Box::new(cast))));
                }
            }
            self.expect_char(b')')?;
            return self.suffixed(system_call("substring", args, span));
        }
        self.plain_arguments("substring", first, span)
    }

    fn overlay(&mut self, span: Span) -> Result<Expr> {
        self.expect_char(b'(')?;
        if self.eat_char(b')') {
            return self.suffixed(Expr::FuncCall(Box::new(plain_call(vec!["overlay".into()], span))));
        }
        let first = self.function_argument()?;
        if first.name.is_none() && self.eat(K::Placing) {
            let mut args = vec![first, positional(self.expr()?)];
            self.expect(K::From)?;
            args.push(positional(self.expr()?));
            if self.eat(K::For) {
                args.push(positional(self.expr()?));
            }
            self.expect_char(b')')?;
            return self.suffixed(system_call("overlay", args, span));
        }
        self.plain_arguments("overlay", first, span)
    }

    /// The rest of an ordinary argument list.
    fn plain_arguments(&mut self, name: &str, first: FuncArg, span: Span) -> Result<Expr> {
        let mut call = plain_call(vec![name.into()], span);
        call.args.push(first);
        while self.eat_char(b',') {
            let argument = self.function_argument()?;
            call.args.push(argument);
        }
        self.expect_char(b')')?;
        self.function_suffix(call)
    }

    /// `trim([BOTH|LEADING|TRAILING] [chars] FROM text)`.
    fn trim(&mut self, span: Span) -> Result<Expr> {
        self.expect_char(b'(')?;
        let name = match self.peek() {
            Tok::Keyword(K::Leading) => "ltrim",
            Tok::Keyword(K::Trailing) => "rtrim",
            _ => "btrim",
        };
        if self.is_any(&[K::Leading, K::Trailing, K::Both]) {
            self.bump();
        }
        let args = if self.eat(K::From) {
            self.expr_list()?
        } else {
            let first = self.expr()?;
            if self.eat(K::From) {
                let mut rest = self.expr_list()?;
                rest.push(first);
                rest
            } else {
                let mut args = vec![first];
                while self.eat_char(b',') {
                    args.push(self.expr()?);
                }
                args
            }
        };
        self.expect_char(b')')?;
        let args = args.into_iter().map(positional).collect();
        self.suffixed(system_call(name, args, span))
    }
}
