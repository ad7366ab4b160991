//! Queries: WITH, SELECT, VALUES, TABLE, set operations, ORDER BY, LIMIT, FOR UPDATE, windows.
//!
//! Called by statements, sub-selects and CTEs. Clauses behind a parenthesised query are merged into it, as
//! PostgreSQL does: `(SELECT 1 ORDER BY 1) LIMIT 1` is one query with both.

use types::{Error, Result, Span, SqlState};

use super::Parser;
use super::expr::constant;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    /// Does a query begin here (parentheses aside)?
    pub(super) fn begins_query(&self) -> bool {
        self.begins_query_at(0)
    }

    fn begins_query_at(&self, ahead: usize) -> bool {
        match self.peek_at(ahead) {
            Tok::Keyword(K::Select | K::With | K::Table) => true,
            Tok::Keyword(K::Values) => self.peek_at(ahead + 1) == Tok::Char(b'('),
            _ => false,
        }
    }

    /// Does a query begin here, perhaps within parentheses?
    pub(super) fn begins_query_in_parens(&self) -> bool {
        let mut ahead = 0;
        while self.peek_at(ahead) == Tok::Char(b'(') {
            ahead += 1;
        }
        self.begins_query_at(ahead)
    }

    /// After a parenthesised query: does what follows make it part of a larger one?
    pub(super) fn continues_query(&self) -> bool {
        self.is_any(&[K::Union, K::Intersect, K::Except, K::Order, K::Limit, K::Offset, K::Fetch, K::For])
    }

    /// `(query)`.
    pub(super) fn query_in_parens(&mut self) -> Result<SelectStmt> {
        self.expect_char(b'(')?;
        let query = self.query()?;
        self.expect_char(b')')?;
        Ok(query)
    }

    /// SelectStmt: WITH, body, ORDER BY, LIMIT, FOR UPDATE.
    pub(super) fn query(&mut self) -> Result<SelectStmt> {
        let with = self.opt_with()?;
        self.query_with(with)
    }

    /// The same, when WITH has been read.
    pub(super) fn query_with(&mut self, with: Option<Box<WithClause>>) -> Result<SelectStmt> {
        // A query takes more stack than an expression: it counts twice.
        let outer = self.enter()?;
        let inner = self.enter()?;
        let body = self.union(None)?;
        let mut query = self.query_tail(body)?;
        if let Some(with) = with {
            if query.with.is_some() {
                return self.refuse("multiple WITH clauses not allowed", with.span);
            }
            query.span = Span { start: with.span.start, ..query.span };
            query.with = Some(with);
        }
        self.leave(inner);
        self.leave(outer);
        Ok(query)
    }

    /// The rest of a query that begins with the parenthesised query `left`.
    pub(super) fn query_after(&mut self, left: SelectStmt) -> Result<SelectStmt> {
        let body = self.union(Some(left))?;
        self.query_tail(body)
    }

    fn union(&mut self, first: Option<SelectStmt>) -> Result<SelectStmt> {
        let first = self.intersect(first)?;
        self.set_operations(first, &[K::Union, K::Except], |p| p.intersect(None))
    }

    fn intersect(&mut self, first: Option<SelectStmt>) -> Result<SelectStmt> {
        let first = match first {
            Some(first) => first,
            None => self.simple_query()?,
        };
        self.set_operations(first, &[K::Intersect], Self::simple_query)
    }

    fn set_operations(
        &mut self,
        first: SelectStmt,
        keywords: &[K],
        mut operand: impl FnMut(&mut Self) -> Result<SelectStmt>,
    ) -> Result<SelectStmt> {
        if !self.is_any(keywords) {
            return Ok(first);
        }
        // INTO may stand in the first arm only.
        self.into_depth = 0;
        let span = first.span;
        let mut arms = Vec::new();
        while self.is_any(keywords) {
            let token = self.bump();
            let op = match token.tok {
                Tok::Keyword(K::Union) => SetOperator::Union,
                Tok::Keyword(K::Intersect) => SetOperator::Intersect,
                _ => SetOperator::Except,
            };
            let all = self.eat(K::All);
            if !all {
                self.eat(K::Distinct);
            }
            arms.push(SetOperationArm { op, all, query: operand(self)?, span: token.span() });
        }
        self.grow()?;
        Ok(bare_query(SelectBody::SetOp(Box::new(SetOperation { first, arms })), span))
    }

    fn simple_query(&mut self) -> Result<SelectStmt> {
        let span = self.span();
        match self.peek() {
            Tok::Keyword(K::Select) => self.select_core(),
            Tok::Keyword(K::Values) => {
                self.bump();
                let rows = self.list(|p| p.parens(Self::expr))?;
                Ok(bare_query(SelectBody::Values(rows), span))
            }
            Tok::Keyword(K::Table) => {
                self.bump();
                let relation = self.relation_expr()?;
                let mut core = empty_core(span);
                core.targets = vec![star_target(span)];
                core.from = vec![TableRef::Relation(Box::new(relation))];
                Ok(bare_query(SelectBody::Select(Box::new(core)), span))
            }
            Tok::Char(b'(') => {
                let outer = self.enter()?;
                let into_depth = std::mem::replace(&mut self.into_depth, 0);
                let query = self.query_in_parens()?;
                self.into_depth = into_depth;
                self.leave(outer);
                Ok(query)
            }
            _ => self.fail(),
        }
    }

    fn select_core(&mut self) -> Result<SelectStmt> {
        let span = self.bump().span();
        let mut core = empty_core(span);
        if self.eat(K::Distinct) {
            core.distinct =
                Some(if self.eat(K::On) { Distinct::On(self.parens(Self::expr)?) } else { Distinct::All });
            core.targets = self.target_list()?;
        } else {
            self.eat(K::All);
            if !self.ends_target_list() {
                core.targets = self.target_list()?;
            }
        }
        if self.is(K::Into) {
            self.select_into()?;
        }
        if self.eat(K::From) {
            core.from = self.table_list()?;
        }
        core.where_ = self.opt_where()?;
        if self.eat(K::Group) {
            self.expect(K::By)?;
            core.group_distinct = self.eat(K::Distinct);
            if !core.group_distinct {
                self.eat(K::All);
            }
            core.group_by = self.list(Self::grouping_element)?;
        }
        if self.eat(K::Having) {
            core.having = Some(self.expr()?);
        }
        if self.eat(K::Window) {
            core.windows = self.list(|p| {
                let span = p.span();
                let name = p.col_id()?;
                p.expect(K::As)?;
                let window = p.window_specification()?;
                Ok(WindowDef { name: Some(name), span, ..window })
            })?;
        }
        Ok(bare_query(SelectBody::Select(Box::new(core)), span))
    }

    fn ends_target_list(&self) -> bool {
        matches!(self.peek(), Tok::End | Tok::Char(b')' | b';'))
            || self.continues_query()
            || self.is_any(&[K::From, K::Where, K::Group, K::Having, K::Window, K::Into])
            || self.is(K::On)
            || self.is(K::Returning)
    }

    /// `INTO [TEMPORARY …] [TABLE] name`: kept aside for the statement, which becomes CREATE TABLE AS.
    fn select_into(&mut self) -> Result<()> {
        let span = self.bump().span();
        if self.into_depth == 0 || self.depth != self.into_depth {
            return self.refuse("SELECT ... INTO is not allowed here", self.span());
        }
        let persistence = self.persistence();
        self.eat(K::Table);
        let mut relation = self.qualified_name()?;
        relation.span.start = relation.span.start.max(span.start);
        self.into = Some((relation, persistence));
        Ok(())
    }

    pub(super) fn opt_where(&mut self) -> Result<Option<Expr>> {
        if self.eat(K::Where) { Ok(Some(self.expr()?)) } else { Ok(None) }
    }

    /// The select list, or that of RETURNING.
    pub(super) fn target_list(&mut self) -> Result<Vec<ResTarget>> {
        self.list(|p| {
            let span = p.span();
            if p.eat_char(b'*') {
                return Ok(star_target(span));
            }
            let expr = p.expr()?;
            let named = p.eat(K::As) || Self::tok_is_bare_label(p.peek());
            let name = if named { Some(p.col_label()?) } else { None };
            Ok(ResTarget { name, expr, span })
        })
    }

    fn grouping_element(&mut self) -> Result<GroupingElement> {
        let span = self.span();
        let paren = self.peek_at(1) == Tok::Char(b'(');
        if self.is_char(b'(') && self.peek_at(1) == Tok::Char(b')') {
            self.at += 2;
            return Ok(GroupingElement::Empty(span));
        }
        if self.is(K::Rollup) && paren {
            self.bump();
            return Ok(GroupingElement::Rollup(self.parens(Self::expr)?, span));
        }
        if self.is(K::Cube) && paren {
            self.bump();
            return Ok(GroupingElement::Cube(self.parens(Self::expr)?, span));
        }
        if self.is(K::Grouping) && self.is_at(1, K::Sets) {
            self.at += 2;
            let outer = self.enter()?;
            let sets = self.parens(Self::grouping_element)?;
            self.leave(outer);
            return Ok(GroupingElement::GroupingSets(sets, span));
        }
        Ok(GroupingElement::Expr(self.expr()?))
    }

    // ---- WITH ---------------------------------------------------------------------------------

    pub(super) fn opt_with(&mut self) -> Result<Option<Box<WithClause>>> {
        if !self.is(K::With) {
            return Ok(None);
        }
        let outer = self.enter()?;
        let span = self.bump().span();
        let recursive = self.eat(K::Recursive);
        let ctes = self.list(Self::common_table_expr)?;
        self.leave(outer);
        Ok(Some(Box::new(WithClause { recursive, ctes, span })))
    }

    fn common_table_expr(&mut self) -> Result<CommonTableExpr> {
        let span = self.span();
        let name = self.col_id()?;
        let columns = self.opt_column_list()?;
        self.expect(K::As)?;
        let materialized = if self.eat(K::Materialized) {
            Some(true)
        } else if self.eat(K::Not) {
            self.expect(K::Materialized)?;
            Some(false)
        } else {
            None
        };
        self.expect_char(b'(')?;
        let outer = self.enter()?;
        let query = self.preparable()?;
        self.leave(outer);
        self.expect_char(b')')?;
        let mut search = None;
        if self.is(K::Search) {
            let span = self.bump().span();
            let breadth_first = self.eat(K::Breadth);
            if !breadth_first {
                self.expect(K::Depth)?;
            }
            self.expect_all(&[K::First, K::By])?;
            let columns = self.list(Self::col_id)?;
            self.expect(K::Set)?;
            search = Some(CteSearch { breadth_first, columns, sequence_column: self.col_id()?, span });
        }
        let mut cycle = None;
        if self.is(K::Cycle) {
            let span = self.bump().span();
            let columns = self.list(Self::col_id)?;
            self.expect(K::Set)?;
            let mark_column = self.col_id()?;
            let (mut mark_value, mut mark_default) = (None, None);
            if self.eat(K::To) {
                mark_value = Some(self.primary()?);
                self.expect(K::Default)?;
                mark_default = Some(self.primary()?);
            }
            self.expect(K::Using)?;
            let path_column = self.col_id()?;
            cycle = Some(Box::new(CteCycle {
                columns,
                mark_column,
                mark_value,
                mark_default,
                path_column,
                span,
            }));
        }
        Ok(CommonTableExpr { name, columns, materialized, query, search, cycle, span })
    }

    // ---- ORDER BY, LIMIT, FOR -----------------------------------------------------------------

    pub(super) fn opt_order_by(&mut self) -> Result<Vec<SortBy>> {
        if self.is(K::Order) { self.order_by() } else { Ok(Vec::new()) }
    }

    pub(super) fn order_by(&mut self) -> Result<Vec<SortBy>> {
        self.expect(K::Order)?;
        self.expect(K::By)?;
        self.list(|p| {
            let expr = p.expr()?;
            let mut span = expr.start_span();
            let direction = if p.eat(K::Using) {
                span = p.span();
                SortDirection::Using(p.qualified_operator()?)
            } else {
                p.asc_desc()
            };
            let nulls = p.nulls_order()?;
            Ok(SortBy { expr, direction, nulls, span })
        })
    }

    pub(super) fn asc_desc(&mut self) -> SortDirection {
        if self.eat(K::Asc) {
            SortDirection::Asc
        } else if self.eat(K::Desc) {
            SortDirection::Desc
        } else {
            SortDirection::Default
        }
    }

    pub(super) fn nulls_order(&mut self) -> Result<NullsOrder> {
        if self.eat_all(&[K::Nulls, K::First]) {
            Ok(NullsOrder::First)
        } else if self.eat_all(&[K::Nulls, K::Last]) {
            Ok(NullsOrder::Last)
        } else {
            Ok(NullsOrder::Default)
        }
    }

    /// ORDER BY, LIMIT, OFFSET, FETCH and FOR UPDATE behind a body, which may have some of its own.
    fn query_tail(&mut self, mut query: SelectStmt) -> Result<SelectStmt> {
        if !self.continues_query() {
            return Ok(query);
        }
        if self.is(K::Order) {
            let order_by = self.order_by()?;
            if !query.order_by.is_empty() {
                let span = order_by.first().map_or(query.span, |first| first.expr.start_span());
                return self.refuse("multiple ORDER BY clauses not allowed", span);
            }
            query.order_by = order_by;
        }
        let (mut limits, mut offsets) =
            (usize::from(query.limit.is_some()), usize::from(query.offset.is_some()));
        let mut skip_locked = None;
        // A second clause of a kind is refused where its value stands.
        let once = |what: &str, count: usize, value: Option<&Expr>| match (count, value) {
            (0 | 1, _) | (_, None) => Ok(()),
            (_, Some(value)) => {
                Err(Error::syntax(format!("multiple {what} clauses not allowed")).at(value.start_span()))
            }
        };
        loop {
            let span = self.span();
            match self.peek() {
                Tok::Keyword(K::Limit) => {
                    self.bump();
                    limits += 1;
                    let limit = if self.eat(K::All) { None } else { Some(self.expr()?) };
                    if self.is_char(b',') {
                        return Err(Error::syntax("LIMIT #,# syntax is not supported")
                            .with_hint("Use separate LIMIT and OFFSET clauses.")
                            .at(span));
                    }
                    once("LIMIT", limits, limit.as_ref())?;
                    query.limit = limit;
                }
                Tok::Keyword(K::Offset) => {
                    self.bump();
                    offsets += 1;
                    let offset = self.expr()?;
                    once("OFFSET", offsets, Some(&offset))?;
                    query.offset = Some(offset);
                    if !self.eat(K::Row) {
                        self.eat(K::Rows);
                    }
                }
                Tok::Keyword(K::Fetch) => {
                    limits += 1;
                    let before = query.limit.take();
                    self.fetch_first(&mut query)?;
                    once("LIMIT", limits.max(1 + usize::from(before.is_some())), query.limit.as_ref())?;
                }
                Tok::Keyword(K::For) => {
                    if let Some(lock) = self.locking_clause()? {
                        if lock.wait == LockWait::SkipLocked {
                            skip_locked = Some(lock.span);
                        }
                        query.locking.push(lock);
                    }
                }
                _ => break,
            }
        }
        if query.with_ties && query.order_by.is_empty() {
            return self.refuse("WITH TIES cannot be specified without ORDER BY clause", query.span);
        }
        if let Some(span) = skip_locked
            && query.with_ties
        {
            return self.refuse("SKIP LOCKED and WITH TIES options cannot be used together", span);
        }
        Ok(query)
    }

    /// FETCH FIRST [n] ROWS ONLY | WITH TIES.
    fn fetch_first(&mut self, query: &mut SelectStmt) -> Result<()> {
        let span = self.bump().span();
        if !self.eat(K::First) {
            self.expect(K::Next)?;
        }
        query.limit = Some(if self.is_any(&[K::Row, K::Rows]) && self.peek_at(1) != Tok::Char(b'(') {
            constant(ConstValue::Integer(1), span)
        } else if matches!(self.peek(), Tok::Char(b'+' | b'-')) {
            let at = self.span();
            constant(self.numeric_only()?, at)
        } else {
            self.primary()?
        });
        if !self.eat(K::Row) {
            self.expect(K::Rows)?;
        }
        if self.eat(K::With) {
            self.expect(K::Ties)?;
            query.with_ties = true;
        } else {
            self.expect(K::Only)?;
        }
        Ok(())
    }

    /// FOR UPDATE and its like; `None` for FOR READ ONLY, which says nothing.
    fn locking_clause(&mut self) -> Result<Option<LockingClause>> {
        let span = self.bump().span();
        let strength = match self.peek() {
            Tok::Keyword(K::Update) => LockStrength::Update,
            Tok::Keyword(K::Share) => LockStrength::Share,
            Tok::Keyword(K::No) => {
                self.bump();
                self.expect(K::Key)?;
                LockStrength::NoKeyUpdate
            }
            Tok::Keyword(K::Key) => {
                self.bump();
                LockStrength::KeyShare
            }
            Tok::Keyword(K::Read) => {
                self.bump();
                self.expect(K::Only)?;
                return Ok(None);
            }
            _ => return self.fail(),
        };
        self.expect(match strength {
            LockStrength::Update | LockStrength::NoKeyUpdate => K::Update,
            LockStrength::Share | LockStrength::KeyShare => K::Share,
        })?;
        let tables = if self.eat(K::Of) { self.list(Self::qualified_name)? } else { Vec::new() };
        let wait = if self.eat(K::Nowait) {
            LockWait::NoWait
        } else if self.eat(K::Skip) {
            self.expect(K::Locked)?;
            LockWait::SkipLocked
        } else {
            LockWait::Wait
        };
        Ok(Some(LockingClause { strength, tables, wait, span }))
    }

    // ---- windows ------------------------------------------------------------------------------

    /// `(base PARTITION BY … ORDER BY … frame)`.
    pub(super) fn window_specification(&mut self) -> Result<WindowDef> {
        let span = self.expect_char(b'(')?;
        let outer = self.enter()?;
        let clause = self.is_any(&[K::Partition, K::Range, K::Rows, K::Groups]);
        let base = if !clause && Self::tok_is_col_id(self.peek()) { Some(self.col_id()?) } else { None };
        let partition_by = if self.eat(K::Partition) {
            self.expect(K::By)?;
            self.expr_list()?
        } else {
            Vec::new()
        };
        let order_by = self.opt_order_by()?;
        let frame = self.opt_frame()?;
        self.leave(outer);
        self.expect_char(b')')?;
        Ok(WindowDef { name: None, base, partition_by, order_by, frame, span })
    }

    fn opt_frame(&mut self) -> Result<Option<WindowFrame>> {
        let span = self.span();
        let units = match self.peek() {
            Tok::Keyword(K::Range) => FrameUnits::Range,
            Tok::Keyword(K::Rows) => FrameUnits::Rows,
            Tok::Keyword(K::Groups) => FrameUnits::Groups,
            _ => return Ok(None),
        };
        self.bump();
        let between = self.eat(K::Between);
        let start_span = self.span();
        let start = self.frame_bound()?;
        let mut end_span = start_span;
        let end = if between {
            self.expect(K::And)?;
            end_span = self.span();
            self.frame_bound()?
        } else {
            FrameBound::CurrentRow
        };
        let wrong = |message: &str, span| Err(Error::new(SqlState::WINDOWING_ERROR, message).at(span));
        use FrameBound as B;
        match (&start, &end) {
            (B::UnboundedFollowing, _) => {
                return wrong("frame start cannot be UNBOUNDED FOLLOWING", start_span);
            }
            (_, B::UnboundedPreceding) => return wrong("frame end cannot be UNBOUNDED PRECEDING", end_span),
            (B::Following(_), B::CurrentRow) => {
                return wrong("frame starting from following row cannot end with current row", end_span);
            }
            (B::CurrentRow, B::Preceding(_)) => {
                return wrong("frame starting from current row cannot have preceding rows", end_span);
            }
            (B::Following(_), B::Preceding(_)) => {
                return wrong("frame starting from following row cannot have preceding rows", end_span);
            }
            _ => {}
        }
        let mut exclusion = FrameExclusion::NoOthers;
        if self.eat(K::Exclude) {
            exclusion = match self.peek() {
                Tok::Keyword(K::Current) => {
                    self.bump();
                    FrameExclusion::CurrentRow
                }
                Tok::Keyword(K::Group) => FrameExclusion::Group,
                Tok::Keyword(K::Ties) => FrameExclusion::Ties,
                Tok::Keyword(K::No) => {
                    self.bump();
                    FrameExclusion::NoOthers
                }
                _ => return self.fail(),
            };
            match exclusion {
                FrameExclusion::CurrentRow => self.expect(K::Row).map(|_| ())?,
                FrameExclusion::NoOthers => self.expect(K::Others).map(|_| ())?,
                _ => {
                    self.bump();
                }
            }
        }
        Ok(Some(WindowFrame { units, start, end, exclusion, span }))
    }

    fn frame_bound(&mut self) -> Result<FrameBound> {
        if self.eat_all(&[K::Unbounded, K::Preceding]) {
            return Ok(FrameBound::UnboundedPreceding);
        }
        if self.eat_all(&[K::Unbounded, K::Following]) {
            return Ok(FrameBound::UnboundedFollowing);
        }
        if self.eat_all(&[K::Current, K::Row]) {
            return Ok(FrameBound::CurrentRow);
        }
        let offset = self.expr()?;
        if self.eat(K::Preceding) {
            return Ok(FrameBound::Preceding(offset));
        }
        self.expect(K::Following)?;
        Ok(FrameBound::Following(offset))
    }
}

pub(super) fn bare_query(body: SelectBody, span: Span) -> SelectStmt {
    SelectStmt {
        with: None,
        body,
        order_by: Vec::new(),
        limit: None,
        offset: None,
        with_ties: false,
        locking: Vec::new(),
        span,
    }
}

pub(super) fn empty_core(span: Span) -> SelectCore {
    SelectCore {
        distinct: None,
        targets: Vec::new(),
        from: Vec::new(),
        where_: None,
        group_by: Vec::new(),
        group_distinct: false,
        having: None,
        windows: Vec::new(),
        span,
    }
}

fn star_target(span: Span) -> ResTarget {
    let expr = Expr::ColumnRef(Box::new(ColumnRef { fields: Vec::new(), star: true, span }));
    ResTarget { name: None, expr, span }
}
