//! FROM: relations, sub-selects, functions, joins, samples.
//!
//! Called by SELECT, UPDATE … FROM, DELETE … USING and MERGE.

use types::{Error, Result};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

/// What stands in parentheses in FROM.
enum Paren {
    Query(SelectStmt),
    /// A join; it may take an alias.
    Table(TableRef),
}

impl Parser<'_> {
    pub(super) fn table_list(&mut self) -> Result<Vec<TableRef>> {
        self.list(Self::table_ref)
    }

    /// One entry of FROM, with its joins.
    pub(super) fn table_ref(&mut self) -> Result<TableRef> {
        let outer = self.enter()?;
        let first = self.table_primary()?;
        let table = self.joins(first)?;
        self.leave(outer);
        Ok(table)
    }

    fn begins_join(&self) -> bool {
        self.is_any(&[K::Join, K::Inner, K::Left, K::Right, K::Full, K::Cross, K::Natural])
    }

    fn joins(&mut self, mut left: TableRef) -> Result<TableRef> {
        while self.begins_join() {
            left = self.join(left)?;
            self.grow()?;
        }
        Ok(left)
    }

    /// One join of `left`.
    fn join(&mut self, left: TableRef) -> Result<TableRef> {
        let span = self.span();
        let natural = self.eat(K::Natural);
        if !natural && self.eat(K::Cross) {
            self.expect(K::Join)?;
            let right = self.table_primary()?;
            let join = JoinExpr {
                kind: JoinType::Inner,
                left,
                right,
                condition: JoinCondition::None,
                alias: None,
                span,
            };
            return Ok(TableRef::Join(Box::new(join)));
        }
        let kind = match self.peek() {
            Tok::Keyword(K::Left) => JoinType::Left,
            Tok::Keyword(K::Right) => JoinType::Right,
            Tok::Keyword(K::Full) => JoinType::Full,
            _ => JoinType::Inner,
        };
        if self.is_any(&[K::Left, K::Right, K::Full]) {
            self.bump();
            self.eat(K::Outer);
        } else {
            self.eat(K::Inner);
        }
        self.expect(K::Join)?;
        let mut right = self.table_primary()?;
        let condition = if natural {
            JoinCondition::Natural
        } else {
            // `a JOIN b JOIN c ON … ON …`: the nearer join takes the first condition.
            while !self.is_any(&[K::On, K::Using]) {
                if !self.begins_join() {
                    return self.fail();
                }
                let outer = self.enter()?;
                right = self.join(right)?;
                self.leave(outer);
            }
            if self.eat(K::On) {
                JoinCondition::On(self.expr()?)
            } else {
                self.bump();
                let columns = self.column_list()?;
                let alias = if self.eat(K::As) { Some(self.col_id()?) } else { None };
                JoinCondition::Using { columns, alias }
            }
        };
        Ok(TableRef::Join(Box::new(JoinExpr { kind, left, right, condition, alias: None, span })))
    }

    fn table_primary(&mut self) -> Result<TableRef> {
        let span = self.span();
        let lateral = self.eat(K::Lateral);
        if self.is_char(b'(') {
            return match self.table_paren()? {
                Paren::Query(query) => {
                    let alias = self.opt_alias()?;
                    Ok(TableRef::Subselect(Box::new(RangeSubselect { lateral, query, alias, span })))
                }
                Paren::Table(_) if lateral => self.fail(),
                Paren::Table(table) => self.aliased_join(table),
            };
        }
        if self.is(K::Xmltable) && self.peek_at(1) == Tok::Char(b'(') {
            return Err(Error::not_supported("XMLTABLE").at(span));
        }
        if self.is(K::Rows) && self.is_at(1, K::From) && self.peek_at(2) == Tok::Char(b'(') {
            self.at += 2;
            let functions = self.parens(|p| {
                let function = p.table_function()?;
                let columns = if p.eat(K::As) { p.column_definitions()? } else { Vec::new() };
                Ok(RangeFunctionItem { function, columns })
            })?;
            return self.function_tail(lateral, functions, true, span);
        }
        if self.begins_table_function() {
            let function = self.table_function()?;
            let item = RangeFunctionItem { function, columns: Vec::new() };
            return self.function_tail(lateral, vec![item], false, span);
        }
        if lateral {
            return self.fail();
        }
        let mut relation = self.relation_expr()?;
        relation.alias = self.opt_alias()?;
        let relation = TableRef::Relation(Box::new(relation));
        if !self.is(K::Tablesample) {
            return Ok(relation);
        }
        self.bump();
        let span = self.span();
        let method = self.func_name()?.parts;
        let args = self.parens(Self::expr)?;
        let repeatable = if self.eat(K::Repeatable) {
            self.expect_char(b'(')?;
            let seed = self.expr()?;
            self.expect_char(b')')?;
            Some(seed)
        } else {
            None
        };
        Ok(TableRef::Sample(Box::new(RangeTableSample { relation, method, args, repeatable, span })))
    }

    fn table_paren(&mut self) -> Result<Paren> {
        self.expect_char(b'(')?;
        let outer = self.enter()?;
        let inner = self.enter()?;
        let paren = self.table_paren_body()?;
        self.leave(inner);
        self.leave(outer);
        Ok(paren)
    }

    fn table_paren_body(&mut self) -> Result<Paren> {
        if self.begins_query() {
            let query = self.query()?;
            self.expect_char(b')')?;
            return Ok(Paren::Query(query));
        }
        let table = if self.is_char(b'(') {
            let span = self.span();
            let first = match self.table_paren()? {
                Paren::Query(query) if self.is_char(b')') => {
                    self.bump();
                    return Ok(Paren::Query(query));
                }
                Paren::Query(query) if self.continues_query() => {
                    let query = self.query_after(query)?;
                    self.expect_char(b')')?;
                    return Ok(Paren::Query(query));
                }
                Paren::Query(query) => {
                    let alias = self.opt_alias()?;
                    TableRef::Subselect(Box::new(RangeSubselect { lateral: false, query, alias, span }))
                }
                Paren::Table(table) => self.aliased_join(table)?,
            };
            self.joins(first)?
        } else {
            self.table_ref()?
        };
        // Only joins may stand in parentheses of their own.
        match &table {
            TableRef::Join(join) if join.alias.is_none() => {}
            _ => return self.fail(),
        }
        self.expect_char(b')')?;
        Ok(Paren::Table(table))
    }

    fn aliased_join(&mut self, table: TableRef) -> Result<TableRef> {
        let alias = self.opt_alias()?;
        Ok(match (table, alias) {
            (TableRef::Join(mut join), Some(alias)) => {
                join.alias = Some(alias);
                TableRef::Join(join)
            }
            (table, _) => table,
        })
    }

    /// A relation's name: `t`, `t *`, `ONLY t`, `ONLY (t)`.
    pub(super) fn relation_expr(&mut self) -> Result<RangeVar> {
        if self.eat(K::Only) {
            let paren = self.eat_char(b'(');
            let mut relation = self.qualified_name()?;
            if paren {
                self.expect_char(b')')?;
            }
            relation.only = true;
            return Ok(relation);
        }
        let relation = self.qualified_name()?;
        self.eat_char(b'*');
        Ok(relation)
    }

    /// `[AS] name [(columns)]`.
    pub(super) fn opt_alias(&mut self) -> Result<Option<Alias>> {
        let explicit = self.eat(K::As);
        if !explicit && !Self::tok_is_col_id(self.peek()) {
            return Ok(None);
        }
        let name = self.col_id()?;
        Ok(Some(Alias { name, columns: self.opt_column_list()? }))
    }

    /// A name that a parenthesis follows, or one of the functions with a grammar of their own.
    fn begins_table_function(&self) -> bool {
        if self.is_special_function() {
            return true;
        }
        if !Self::tok_is_type_function_name(self.peek()) && !Self::tok_is_col_id(self.peek()) {
            return false;
        }
        if !Self::tok_is_col_id(self.peek()) {
            // LEFT, JOIN and their like can only be functions here.
            return true;
        }
        let mut ahead = 1;
        while self.peek_at(ahead) == Tok::Char(b'.') {
            ahead += 2;
        }
        self.peek_at(ahead) == Tok::Char(b'(')
    }

    /// func_expr_windowless.
    pub(super) fn table_function(&mut self) -> Result<Expr> {
        if self.is_special_function() {
            return self.special_function();
        }
        let name = self.func_name()?;
        let call = self.function_call(name.parts, name.span)?;
        Ok(Expr::FuncCall(Box::new(call)))
    }

    fn function_tail(
        &mut self,
        lateral: bool,
        functions: Vec<RangeFunctionItem>,
        rows_from: bool,
        span: types::Span,
    ) -> Result<TableRef> {
        let ordinality = self.eat_all(&[K::With, K::Ordinality]);
        let mut function = RangeFunction {
            lateral,
            functions,
            rows_from,
            ordinality,
            alias: None,
            columns: Vec::new(),
            span,
        };
        let explicit = self.eat(K::As);
        if explicit && self.is_char(b'(') {
            function.columns = self.column_definitions()?;
        } else if explicit || Self::tok_is_col_id(self.peek()) {
            let name = self.col_id()?;
            let mut columns = Vec::new();
            if self.is_char(b'(') {
                // A name alone is a column's alias, a name with a type defines it.
                if matches!(self.peek_at(2), Tok::Char(b',' | b')')) {
                    columns = self.column_list()?;
                } else {
                    function.columns = self.column_definitions()?;
                }
            }
            function.alias = Some(Alias { name, columns });
        }
        Ok(TableRef::Function(Box::new(function)))
    }

    /// `(a int, b text COLLATE "C")`.
    pub(super) fn column_definitions(&mut self) -> Result<Vec<ColumnDefinition>> {
        self.parens(Self::column_definition)
    }

    pub(super) fn column_definition(&mut self) -> Result<ColumnDefinition> {
        let span = self.span();
        let name = self.col_id()?;
        let type_name = self.type_name()?;
        let collation = self.opt_collate()?;
        Ok(ColumnDefinition { name, type_name, collation, span })
    }

    pub(super) fn opt_collate(&mut self) -> Result<Option<Vec<String>>> {
        if self.eat(K::Collate) { Ok(Some(self.any_name()?)) } else { Ok(None) }
    }
}
