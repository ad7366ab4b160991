//! Functions, procedures, triggers.
//!
//! Called by `create.rs` and `alter.rs`. Bodies in other languages stay text; SQL-standard bodies (RETURN, BEGIN ATOMIC)
//! are parsed.

use types::{Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    /// After CREATE [OR REPLACE]: FUNCTION, PROCEDURE.
    pub(super) fn create_function(&mut self, or_replace: bool, span: Span) -> Result<Node> {
        let procedure = self.bump().tok == Tok::Keyword(K::Procedure);
        let name = self.func_name()?;
        self.expect_char(b'(')?;
        let mut parameters =
            if self.is_char(b')') { Vec::new() } else { self.list(Self::parameter_with_default)? };
        self.expect_char(b')')?;
        let mut returns = None;
        if !procedure && self.is(K::Returns) && !self.is_at(1, K::Null) {
            self.bump();
            if self.eat(K::Table) {
                let columns = self.parens(|p| {
                    let span = p.span();
                    let name = Some(p.type_function_name()?);
                    let type_name = p.func_type()?;
                    Ok(FunctionParameter { name, type_name, mode: ParameterMode::Table, default: None, span })
                })?;
                parameters.extend(columns);
            } else {
                returns = Some(self.func_type()?);
            }
        }
        let mut options = Vec::new();
        while let Some(option) = self.function_option(true)? {
            options.push(option);
        }
        let sql_body = self.opt_function_body()?;
        Ok(Node::CreateFunction(Box::new(CreateFunctionStmt {
            name,
            procedure,
            or_replace,
            parameters,
            returns,
            options,
            sql_body,
            span,
        })))
    }

    fn opt_function_body(&mut self) -> Result<Option<FunctionBody>> {
        if self.eat(K::Return) {
            return Ok(Some(FunctionBody::Return(Box::new(self.expr()?))));
        }
        if !self.is(K::Begin) {
            return Ok(None);
        }
        self.bump();
        self.expect(K::Atomic)?;
        let outer = self.enter()?;
        let mut statements = Vec::new();
        while !self.is(K::End) {
            if self.eat_char(b';') {
                continue;
            }
            if self.is(K::Return) {
                let span = self.bump().span();
                let value = self.expr()?;
                // RETURN x is SELECT x, as the last statement of a body.
                let mut core = super::select::empty_core(span);
                core.targets = vec![ResTarget { name: None, expr: value, span }];
                let body = SelectBody::Select(Box::new(core));
                statements.push(Node::Select(Box::new(super::select::bare_query(body, span))));
            } else {
                statements.push(self.statement()?);
            }
            self.expect_char(b';')?;
        }
        self.leave(outer);
        self.expect(K::End)?;
        Ok(Some(FunctionBody::Atomic(statements)))
    }

    fn parameter_with_default(&mut self) -> Result<FunctionParameter> {
        let mut parameter = self.function_parameter()?;
        if self.eat(K::Default) || self.eat_char(b'=') {
            parameter.default = Some(self.expr()?);
        }
        Ok(parameter)
    }

    /// `[mode] [name] type`, in either order of mode and name.
    pub(super) fn function_parameter(&mut self) -> Result<FunctionParameter> {
        let span = self.span();
        let mut mode = self.parameter_mode();
        let mut name = None;
        if self.begins_parameter_name() {
            name = Some(self.type_function_name()?);
            if mode.is_none() {
                mode = self.parameter_mode();
            }
        }
        let type_name = self.func_type()?;
        let mode = mode.unwrap_or(ParameterMode::In);
        Ok(FunctionParameter { name, type_name, mode, default: None, span })
    }

    fn parameter_mode(&mut self) -> Option<ParameterMode> {
        let mode = match self.peek() {
            Tok::Keyword(K::In) if self.is_at(1, K::Out) => {
                self.bump();
                ParameterMode::InOut
            }
            Tok::Keyword(K::In) => ParameterMode::In,
            Tok::Keyword(K::Out) => ParameterMode::Out,
            Tok::Keyword(K::Inout) => ParameterMode::InOut,
            Tok::Keyword(K::Variadic) => ParameterMode::Variadic,
            _ => return None,
        };
        self.bump();
        Some(mode)
    }

    /// A name is there if what follows it can begin a type or be a mode.
    fn begins_parameter_name(&self) -> bool {
        if !Self::tok_is_type_function_name(self.peek()) {
            return false;
        }
        match self.peek_at(1) {
            Tok::Keyword(K::Precision) => !self.is(K::Double),
            Tok::Keyword(K::Varying) => false,
            Tok::Keyword(K::In | K::Out | K::Inout | K::Variadic | K::Setof) => true,
            Tok::Keyword(
                K::Int
                | K::Integer
                | K::Smallint
                | K::Bigint
                | K::Real
                | K::Float
                | K::Decimal
                | K::Dec
                | K::Numeric
                | K::Boolean
                | K::Bit
                | K::Character
                | K::Char
                | K::Varchar
                | K::National
                | K::Nchar
                | K::Timestamp
                | K::Time
                | K::Interval,
            ) => true,
            Tok::Keyword(K::Default | K::Array) => false,
            next => Self::tok_is_type_function_name(next),
        }
    }

    /// One option of CREATE or ALTER FUNCTION.
    pub(super) fn function_option(&mut self, create: bool) -> Result<Option<FunctionOption>> {
        use FunctionOptionKind as F;
        let span = self.span();
        let kind = match self.peek() {
            Tok::Keyword(K::As) if create => {
                self.bump();
                let mut parts = vec![self.string()?];
                if self.eat_char(b',') {
                    parts.push(self.string()?);
                }
                F::As(parts)
            }
            Tok::Keyword(K::Language) if create => {
                self.bump();
                F::Language(if Self::tok_is_string(self.peek()) {
                    self.string()?
                } else {
                    self.non_reserved_word()?
                })
            }
            Tok::Keyword(K::Transform) if create => {
                self.bump();
                F::Transform(self.list(|p| {
                    p.expect_all(&[K::For, K::Type])?;
                    p.type_name()
                })?)
            }
            Tok::Keyword(K::Window) if create => {
                self.bump();
                F::Window
            }
            Tok::Keyword(K::Called) => {
                self.bump();
                self.expect_all(&[K::On, K::Null, K::Input])?;
                F::Strict(false)
            }
            Tok::Keyword(K::Returns) if self.is_at(1, K::Null) => {
                self.at += 2;
                self.expect_all(&[K::On, K::Null, K::Input])?;
                F::Strict(true)
            }
            Tok::Keyword(K::Strict) => {
                self.bump();
                F::Strict(true)
            }
            Tok::Keyword(K::Immutable) => {
                self.bump();
                F::Volatility('i')
            }
            Tok::Keyword(K::Stable) => {
                self.bump();
                F::Volatility('s')
            }
            Tok::Keyword(K::Volatile) => {
                self.bump();
                F::Volatility('v')
            }
            Tok::Keyword(K::External | K::Security) => {
                self.eat(K::External);
                self.expect(K::Security)?;
                let definer = self.eat(K::Definer);
                if !definer {
                    self.expect(K::Invoker)?;
                }
                F::SecurityDefiner(definer)
            }
            Tok::Keyword(K::Leakproof) => {
                self.bump();
                F::Leakproof(true)
            }
            Tok::Keyword(K::Not) if self.is_at(1, K::Leakproof) => {
                self.at += 2;
                F::Leakproof(false)
            }
            Tok::Keyword(K::Cost | K::Rows) => {
                let cost = self.bump().tok == Tok::Keyword(K::Cost);
                let number = match self.numeric_only()? {
                    ConstValue::Integer(value) => value.to_string(),
                    ConstValue::Numeric(text) => text,
                    _ => return self.fail(),
                };
                if cost { F::Cost(number) } else { F::Rows(number) }
            }
            Tok::Keyword(K::Support) => {
                self.bump();
                F::Support(self.any_name()?)
            }
            Tok::Keyword(K::Parallel) => {
                self.bump();
                F::Parallel(self.col_id()?)
            }
            Tok::Keyword(K::Set | K::Reset) => F::Set(self.set_or_reset()?),
            _ => return Ok(None),
        };
        Ok(Some(FunctionOption { kind, span }))
    }

    // ---- triggers -----------------------------------------------------------------------------

    pub(super) fn create_trigger(&mut self, or_replace: bool, span: Span) -> Result<Node> {
        let constraint = self.eat(K::Constraint);
        self.expect(K::Trigger)?;
        let name = self.col_id()?;
        let timing = match self.peek() {
            Tok::Keyword(K::Before) if !constraint => TriggerTiming::Before,
            Tok::Keyword(K::After) => TriggerTiming::After,
            Tok::Keyword(K::Instead) if !constraint => {
                self.bump();
                TriggerTiming::InsteadOf
            }
            _ => return self.fail(),
        };
        if timing == TriggerTiming::InsteadOf {
            self.expect(K::Of)?;
        } else {
            self.bump();
        }
        let mut events = Vec::new();
        loop {
            let event = match self.peek() {
                Tok::Keyword(K::Insert) => TriggerEvent::Insert,
                Tok::Keyword(K::Delete) => TriggerEvent::Delete,
                Tok::Keyword(K::Truncate) => TriggerEvent::Truncate,
                Tok::Keyword(K::Update) => TriggerEvent::Update(Vec::new()),
                _ => return self.fail(),
            };
            self.bump();
            events.push(match event {
                TriggerEvent::Update(_) if self.eat(K::Of) => TriggerEvent::Update(self.list(Self::col_id)?),
                event => event,
            });
            if !self.eat(K::Or) {
                break;
            }
        }
        self.expect(K::On)?;
        let relation = self.qualified_name()?;
        let from = if constraint && self.eat(K::From) { Some(self.qualified_name()?) } else { None };
        let (mut deferrable, mut initially_deferred) = (false, false);
        if constraint {
            loop {
                if self.eat_all(&[K::Not, K::Deferrable]) {
                    deferrable = false;
                } else if self.eat(K::Deferrable) {
                    deferrable = true;
                } else if self.eat(K::Initially) {
                    initially_deferred = self.deferred_or_immediate()?;
                    deferrable |= initially_deferred;
                } else {
                    break;
                }
            }
        }
        let mut referencing = Vec::new();
        if !constraint && self.eat(K::Referencing) {
            while self.is_any(&[K::New, K::Old]) {
                let new = self.bump().tok == Tok::Keyword(K::New);
                let table = self.eat(K::Table);
                if !table {
                    self.expect(K::Row)?;
                }
                self.eat(K::As);
                referencing.push((new, table, self.col_id()?));
            }
            if referencing.is_empty() {
                return self.fail();
            }
        }
        let mut for_each_row = false;
        if constraint {
            self.expect_all(&[K::For, K::Each, K::Row])?;
            for_each_row = true;
        } else if self.eat(K::For) {
            self.eat(K::Each);
            for_each_row = self.eat(K::Row);
            if !for_each_row {
                self.expect(K::Statement)?;
            }
        }
        let when = if self.eat(K::When) { Some(self.expr_in_parens()?) } else { None };
        self.expect(K::Execute)?;
        if !self.eat(K::Function) {
            self.expect(K::Procedure)?;
        }
        let function = self.func_name()?;
        self.expect_char(b'(')?;
        let args = if self.is_char(b')') { Vec::new() } else { self.list(Self::trigger_argument)? };
        self.expect_char(b')')?;
        Ok(Node::CreateTrigger(Box::new(CreateTriggerStmt {
            name,
            or_replace,
            constraint,
            relation,
            timing,
            events,
            for_each_row,
            when,
            function,
            args,
            referencing,
            from,
            deferrable,
            initially_deferred,
            span,
        })))
    }

    fn trigger_argument(&mut self) -> Result<String> {
        match self.peek() {
            Tok::Integer | Tok::Numeric => match self.numeric_only()? {
                ConstValue::Integer(value) => Ok(value.to_string()),
                ConstValue::Numeric(text) => Ok(text),
                _ => self.fail(),
            },
            tok if Self::tok_is_string(tok) => self.string(),
            _ => self.col_label(),
        }
    }
}
