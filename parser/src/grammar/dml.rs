//! INSERT, UPDATE, DELETE, MERGE, TRUNCATE.
//!
//! Called by `statement.rs` with the WITH clause already read.

use types::{Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

type With = Option<Box<WithClause>>;

fn start(with: &With, span: Span) -> Span {
    with.as_ref().map_or(span, |with| with.span)
}

impl Parser<'_> {
    pub(super) fn insert(&mut self, with: With) -> Result<Node> {
        let span = start(&with, self.bump().span());
        self.expect(K::Into)?;
        let mut relation = self.qualified_name()?;
        if self.eat(K::As) {
            relation.alias = Some(Alias { name: self.col_id()?, columns: Vec::new() });
        }
        let mut insert = InsertStmt {
            with,
            relation,
            columns: Vec::new(),
            overriding: Overriding::NotSet,
            source: None,
            on_conflict: None,
            returning: Vec::new(),
            span,
        };
        if self.eat(K::Default) {
            self.expect(K::Values)?;
        } else {
            if self.is_char(b'(') && !self.begins_query_in_parens() {
                insert.columns = self.parens(Self::column_target)?;
            }
            insert.overriding = self.overriding()?;
            insert.source = Some(self.query()?);
        }
        if self.is(K::On) {
            insert.on_conflict = Some(Box::new(self.on_conflict()?));
        }
        insert.returning = self.opt_returning()?;
        Ok(Node::Insert(Box::new(insert)))
    }

    /// `a`, `a[1]`, `a.b`.
    fn column_target(&mut self) -> Result<ColumnTarget> {
        let span = self.span();
        let name = self.col_id()?;
        Ok(ColumnTarget { name, path: self.indirection()?, span })
    }

    fn overriding(&mut self) -> Result<Overriding> {
        if !self.eat(K::Overriding) {
            return Ok(Overriding::NotSet);
        }
        let overriding = if self.eat(K::User) {
            Overriding::UserValue
        } else {
            self.expect(K::System)?;
            Overriding::SystemValue
        };
        self.expect(K::Value)?;
        Ok(overriding)
    }

    fn on_conflict(&mut self) -> Result<OnConflict> {
        let span = self.bump().span();
        self.expect(K::Conflict)?;
        let target = if self.is_char(b'(') {
            let elements = self.parens(Self::index_elem)?;
            ConflictTarget::Index { elements, where_: self.opt_where()? }
        } else if self.eat(K::On) {
            self.expect(K::Constraint)?;
            ConflictTarget::Constraint(self.col_id()?)
        } else {
            ConflictTarget::None
        };
        self.expect(K::Do)?;
        let update = if self.eat(K::Nothing) {
            None
        } else {
            self.expect(K::Update)?;
            self.expect(K::Set)?;
            let set = self.set_clauses()?;
            Some(OnConflictUpdate { set, where_: self.opt_where()? })
        };
        Ok(OnConflict { target, update, span })
    }

    fn opt_returning(&mut self) -> Result<Vec<ResTarget>> {
        if self.eat(K::Returning) { self.target_list() } else { Ok(Vec::new()) }
    }

    fn set_clauses(&mut self) -> Result<Vec<SetClause>> {
        self.list(|p| {
            if p.is_char(b'(') {
                let targets = p.parens(Self::column_target)?;
                p.expect_char(b'=')?;
                return Ok(SetClause::Multiple { targets, value: p.expr()? });
            }
            let target = p.column_target()?;
            p.expect_char(b'=')?;
            Ok(SetClause::Single { target, value: p.expr()? })
        })
    }

    /// relation_expr_opt_alias: SET is never taken for an alias.
    fn target_relation(&mut self) -> Result<RangeVar> {
        let mut relation = self.relation_expr()?;
        let explicit = self.eat(K::As);
        if explicit || Self::tok_is_col_id(self.peek()) && !self.is(K::Set) {
            relation.alias = Some(Alias { name: self.col_id()?, columns: Vec::new() });
        }
        Ok(relation)
    }

    /// WHERE condition, or WHERE CURRENT OF cursor.
    fn where_or_current(&mut self) -> Result<Option<Expr>> {
        if self.is(K::Where) && self.is_at(1, K::Current) && self.is_at(2, K::Of) {
            let span = self.token_at(1).span();
            self.at += 3;
            let cursor = self.col_id()?;
            return Ok(Some(Expr::CurrentOf(Box::new(CurrentOf { cursor, span }))));
        }
        self.opt_where()
    }

    pub(super) fn update(&mut self, with: With) -> Result<Node> {
        let span = start(&with, self.bump().span());
        let relation = self.target_relation()?;
        self.expect(K::Set)?;
        let set = self.set_clauses()?;
        let from = if self.eat(K::From) { self.table_list()? } else { Vec::new() };
        let where_ = self.where_or_current()?;
        let returning = self.opt_returning()?;
        Ok(Node::Update(Box::new(UpdateStmt { with, relation, set, from, where_, returning, span })))
    }

    pub(super) fn delete(&mut self, with: With) -> Result<Node> {
        let span = start(&with, self.bump().span());
        self.expect(K::From)?;
        let relation = self.target_relation()?;
        let using = if self.eat(K::Using) { self.table_list()? } else { Vec::new() };
        let where_ = self.where_or_current()?;
        let returning = self.opt_returning()?;
        Ok(Node::Delete(Box::new(DeleteStmt { with, relation, using, where_, returning, span })))
    }

    pub(super) fn merge(&mut self, with: With) -> Result<Node> {
        let span = start(&with, self.bump().span());
        self.expect(K::Into)?;
        let relation = self.target_relation()?;
        self.expect(K::Using)?;
        let source = self.table_ref()?;
        self.expect(K::On)?;
        let on = self.expr()?;
        let mut whens = Vec::new();
        while whens.is_empty() || self.is(K::When) {
            whens.push(self.merge_when()?);
        }
        Ok(Node::Merge(Box::new(MergeStmt { with, relation, source, on, whens, span })))
    }

    fn merge_when(&mut self) -> Result<MergeWhen> {
        let span = self.expect(K::When)?;
        let matched = !self.eat(K::Not);
        self.expect(K::Matched)?;
        let condition = if self.eat(K::And) { Some(self.expr()?) } else { None };
        self.expect(K::Then)?;
        let action = match self.peek() {
            Tok::Keyword(K::Do) => {
                self.bump();
                self.expect(K::Nothing)?;
                MergeAction::DoNothing
            }
            Tok::Keyword(K::Delete) if matched => {
                self.bump();
                MergeAction::Delete
            }
            Tok::Keyword(K::Update) if matched => {
                self.bump();
                self.expect(K::Set)?;
                MergeAction::Update(self.set_clauses()?)
            }
            Tok::Keyword(K::Insert) if !matched => {
                self.bump();
                if self.eat(K::Default) {
                    self.expect(K::Values)?;
                    MergeAction::Insert { columns: Vec::new(), overriding: Overriding::NotSet, values: None }
                } else {
                    let columns =
                        if self.is_char(b'(') { self.parens(Self::column_target)? } else { Vec::new() };
                    let overriding = self.overriding()?;
                    self.expect(K::Values)?;
                    let values = Some(self.parens(Self::expr)?);
                    MergeAction::Insert { columns, overriding, values }
                }
            }
            _ => return self.fail(),
        };
        Ok(MergeWhen { matched, condition, action, span })
    }

    pub(super) fn truncate(&mut self) -> Result<Node> {
        let span = self.bump().span();
        self.eat(K::Table);
        let relations = self.list(Self::relation_expr)?;
        let restart_identity = self.eat(K::Restart);
        if restart_identity || self.eat(K::Continue) {
            self.expect(K::Identity)?;
        }
        let behavior = self.drop_behavior();
        Ok(Node::Truncate(Box::new(TruncateStmt { relations, restart_identity, behavior, span })))
    }
}
