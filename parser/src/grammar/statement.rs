//! Statements: which production a first keyword opens, and how a text splits into statements.
//!
//! Called by [`crate::parse`]. The first words decide; everything else lives in the files named after the family.

use types::{Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;
use crate::statement::Statement;

impl Parser<'_> {
    /// All statements up to the end of the text.
    pub(crate) fn statements(&mut self) -> Result<Vec<Statement>> {
        let mut out = Vec::new();
        loop {
            while self.eat_char(b';') {}
            if self.peek() == Tok::End {
                return Ok(out);
            }
            let start = self.span().start;
            let node = self.statement()?;
            if !self.is_char(b';') && self.peek() != Tok::End {
                return self.fail();
            }
            out.push(Statement { node, span: Span { start, end: self.last_end() } });
        }
    }

    /// A single expression that fills the whole text.
    pub(crate) fn only_expr(&mut self) -> Result<Expr> {
        let expr = self.expr()?;
        if self.peek() == Tok::End { Ok(expr) } else { self.fail() }
    }

    /// A single type name that fills the whole text.
    pub(crate) fn only_type(&mut self) -> Result<TypeName> {
        let typ = self.func_type()?;
        if self.peek() == Tok::End { Ok(typ) } else { self.fail() }
    }

    pub(super) fn statement(&mut self) -> Result<Node> {
        let keyword = match self.peek() {
            Tok::Keyword(keyword) => keyword,
            Tok::Char(b'(') => return self.preparable_or_into(),
            _ => return self.fail(),
        };
        match keyword {
            K::Select | K::Values | K::Table | K::With => self.preparable_or_into(),
            K::Insert | K::Update | K::Delete | K::Merge => self.preparable(),
            K::Truncate => self.truncate(),
            K::Create => self.create(),
            K::Alter => self.alter(),
            K::Drop => self.drop(),
            K::Comment => self.comment(),
            K::Grant | K::Revoke => self.grant_statement(),
            K::Reassign => self.reassign_owned(),
            K::Refresh => self.refresh(),
            K::Begin | K::Start | K::Commit | K::End | K::Rollback | K::Abort | K::Savepoint | K::Release => {
                self.transaction()
            }
            K::Prepare if self.is_at(1, K::Transaction) => self.transaction(),
            K::Prepare => self.prepare(),
            K::Execute => self.execute(),
            K::Deallocate => self.deallocate(),
            K::Set | K::Reset => self.set(),
            K::Show => self.show(),
            K::Discard => self.discard(),
            K::Declare => self.declare_cursor(),
            K::Fetch | K::Move => self.fetch(),
            K::Close => self.close(),
            K::Copy => self.copy(),
            K::Explain => self.explain(),
            K::Vacuum => self.vacuum(),
            K::Analyze | K::Analyse => self.analyze(),
            K::Reindex => self.reindex(),
            K::Cluster => self.cluster(),
            K::Checkpoint => Ok(Node::Checkpoint(self.bump().span())),
            K::Lock => self.lock(),
            K::Listen => self.listen(),
            K::Notify => self.notify(),
            K::Unlisten => self.unlisten(),
            K::Load => {
                let span = self.bump().span();
                Ok(Node::Load(self.string()?, span))
            }
            K::Call => self.call(),
            K::Do => self.do_block(),
            K::Security if self.is_at(1, K::Label) => self.unsupported("SECURITY LABEL"),
            K::Import if self.is_at(1, K::Foreign) => self.unsupported("IMPORT FOREIGN SCHEMA"),
            _ => self.fail(),
        }
    }

    /// A query or change of data: what can be prepared, explained, put into a CTE.
    pub(super) fn preparable(&mut self) -> Result<Node> {
        let with = self.opt_with()?;
        match self.peek() {
            Tok::Keyword(K::Insert) => self.insert(with),
            Tok::Keyword(K::Update) => self.update(with),
            Tok::Keyword(K::Delete) => self.delete(with),
            Tok::Keyword(K::Merge) => self.merge(with),
            _ => Ok(Node::Select(Box::new(self.query_with(with)?))),
        }
    }

    /// The same where SELECT … INTO is allowed, which is CREATE TABLE AS by another name.
    pub(super) fn preparable_or_into(&mut self) -> Result<Node> {
        let start = self.span();
        self.into_depth = self.depth + 2 * super::NEST;
        // A CTE's query stands deeper, so it cannot be taken for the outermost.
        let node = self.preparable()?;
        self.into_depth = 0;
        let Some((relation, persistence)) = self.into.take() else { return Ok(node) };
        let query_text = Span { start: start.start, end: self.last_end() };
        Ok(Node::CreateTableAs(Box::new(CreateTableAsStmt {
            relation,
            persistence,
            materialized_view: false,
            if_not_exists: false,
            columns: Vec::new(),
            access_method: None,
            options: Vec::new(),
            on_commit: OnCommit::NotSet,
            tablespace: None,
            query: Box::new(node),
            with_no_data: false,
            select_into: true,
            query_text,
            span: start,
        })))
    }

    /// A statement we know by its first words only: the rest is skipped, and the session refuses it.
    pub(super) fn unsupported(&mut self, command: &str) -> Result<Node> {
        let span = self.span();
        let mut open = 0u32;
        loop {
            match self.peek() {
                Tok::End => break,
                Tok::Bad => return self.fail(),
                Tok::Char(b';') if open == 0 => break,
                Tok::Char(b'(') => open += 1,
                Tok::Char(b')') => open = open.saturating_sub(1),
                _ => {}
            }
            self.bump();
        }
        Ok(Node::Unsupported(Box::new(UnsupportedStmt { command: command.to_string(), span })))
    }
}
