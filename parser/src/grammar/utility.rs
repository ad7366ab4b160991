//! COPY, EXPLAIN, VACUUM, ANALYZE, REINDEX, CLUSTER, LOCK, CALL, DO.
//!
//! Called by `statement.rs`. Old spellings (`COPY t FROM STDIN CSV HEADER`, `EXPLAIN ANALYZE VERBOSE`) become the
//! same option lists as the new ones.

use types::{Error, Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

fn option(name: &str, value: Option<DefValue>, span: Span) -> DefElem {
    DefElem { namespace: None, name: name.into(), value, span }
}

impl Parser<'_> {
    pub(super) fn copy(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let mut options = Vec::new();
        let (source, is_from) = if self.is_char(b'(') {
            self.bump();
            let query = self.preparable()?;
            self.expect_char(b')')?;
            self.expect(K::To)?;
            (CopySource::Query(Box::new(query)), false)
        } else {
            let at = self.span();
            if self.eat(K::Binary) {
                options.push(option("format", Some(DefValue::Word("binary".into())), at));
            }
            let relation = self.qualified_name()?;
            let columns = self.opt_column_list()?;
            let is_from = self.eat(K::From);
            if !is_from {
                self.expect(K::To)?;
            }
            (CopySource::Table { relation, columns }, is_from)
        };
        let at = self.span();
        let target = if self.eat(K::Program) {
            CopyTarget::Program(self.string()?)
        } else if self.eat(K::Stdin) || self.eat(K::Stdout) {
            CopyTarget::Client
        } else {
            CopyTarget::File(self.string()?)
        };
        let at_delimiters = self.span();
        let using = self.is(K::Using) && self.is_at(1, K::Delimiters);
        if using || self.is(K::Delimiters) {
            self.at += 1 + usize::from(using);
            options.push(option("delimiter", Some(DefValue::String(self.string()?)), at_delimiters));
        }
        self.eat(K::With);
        if self.is_char(b'(') {
            options.extend(self.copy_options()?);
        } else {
            self.copy_old_options(&mut options)?;
        }
        let where_at = self.span();
        let where_ = self.opt_where()?;
        if !is_from && where_.is_some() {
            return self.refuse("WHERE clause not allowed with COPY TO", where_at);
        }
        if is_from && matches!(source, CopySource::Query(_)) {
            return self.refuse("COPY query must have TO", at);
        }
        Ok(Node::Copy(Box::new(CopyStmt { source, is_from, target, options, where_, span })))
    }

    fn copy_old_options(&mut self, options: &mut Vec<DefElem>) -> Result<()> {
        loop {
            let span = self.span();
            let Tok::Keyword(keyword) = self.peek() else { return Ok(()) };
            let word = |word: &str| Some(DefValue::Word(word.into()));
            match keyword {
                K::Binary => {
                    self.bump();
                    options.push(option("format", word("binary"), span));
                }
                K::Csv => {
                    self.bump();
                    options.push(option("format", word("csv"), span));
                }
                K::Freeze | K::Header => {
                    self.bump();
                    options.push(option(keyword.word(), word("true"), span));
                }
                K::Delimiter | K::Null | K::Quote | K::Escape => {
                    self.bump();
                    self.eat(K::As);
                    options.push(option(keyword.word(), Some(DefValue::String(self.string()?)), span));
                }
                K::Encoding => {
                    self.bump();
                    options.push(option("encoding", Some(DefValue::String(self.string()?)), span));
                }
                K::Force => {
                    self.bump();
                    let (name, star) = match self.peek() {
                        Tok::Keyword(K::Quote) => ("force_quote", true),
                        Tok::Keyword(K::Null) => ("force_null", false),
                        Tok::Keyword(K::Not) => {
                            self.bump();
                            ("force_not_null", false)
                        }
                        _ => return self.fail(),
                    };
                    if name == "force_quote" {
                        self.expect(K::Quote)?
                    } else {
                        self.expect(K::Null)?
                    };
                    let value = if star && self.eat_char(b'*') {
                        DefValue::Star
                    } else {
                        DefValue::List(self.list(Self::col_id)?)
                    };
                    options.push(option(name, Some(value), span));
                }
                _ => return Ok(()),
            }
        }
    }

    pub(super) fn explain(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let mut options = Vec::new();
        // `EXPLAIN (SELECT …)` explains a query in parentheses.
        if self.is_char(b'(') && !self.begins_query_in_parens() {
            options = self.utility_options()?;
        } else {
            let at = self.span();
            if self.eat(K::Analyze) || self.eat(K::Analyse) {
                options.push(option("analyze", None, at));
            }
            let at = self.span();
            if self.eat(K::Verbose) {
                options.push(option("verbose", None, at));
            }
        }
        let query = Box::new(match self.peek() {
            Tok::Keyword(K::Declare) => self.declare_cursor()?,
            Tok::Keyword(K::Execute) => self.execute()?,
            Tok::Keyword(K::Refresh) => self.refresh()?,
            Tok::Keyword(K::Create) => {
                let at = self.span();
                match self.create()? {
                    create @ Node::CreateTableAs(_) => create,
                    _ => return self.refuse("only CREATE TABLE AS can be explained", at),
                }
            }
            _ => self.preparable_or_into()?,
        });
        Ok(Node::Explain(Box::new(ExplainStmt { options, query, span })))
    }

    pub(super) fn vacuum(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let mut options = Vec::new();
        if self.is_char(b'(') {
            options = self.utility_options()?;
        } else {
            for keyword in [K::Full, K::Freeze, K::Verbose, K::Analyze] {
                let at = self.span();
                if self.eat(keyword) || keyword == K::Analyze && self.eat(K::Analyse) {
                    options.push(option(keyword.word(), None, at));
                }
            }
        }
        let relations = self.opt_vacuum_relations()?;
        Ok(Node::Vacuum(Box::new(VacuumStmt { is_vacuum: true, options, relations, span })))
    }

    pub(super) fn analyze(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let mut options = Vec::new();
        let at = self.span();
        if self.is_char(b'(') {
            options = self.utility_options()?;
        } else if self.eat(K::Verbose) {
            options.push(option("verbose", None, at));
        }
        let relations = self.opt_vacuum_relations()?;
        Ok(Node::Vacuum(Box::new(VacuumStmt { is_vacuum: false, options, relations, span })))
    }

    fn opt_vacuum_relations(&mut self) -> Result<Vec<(RangeVar, Vec<String>)>> {
        if matches!(self.peek(), Tok::End | Tok::Char(b';')) {
            return Ok(Vec::new());
        }
        self.list(|p| Ok((p.qualified_name()?, p.opt_column_list()?)))
    }

    pub(super) fn reindex(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let options = if self.is_char(b'(') { self.utility_options()? } else { Vec::new() };
        let target = match self.peek() {
            Tok::Keyword(K::Index) => ReindexTarget::Index,
            Tok::Keyword(K::Table) => ReindexTarget::Table,
            Tok::Keyword(K::Schema) => ReindexTarget::Schema,
            Tok::Keyword(K::System) => ReindexTarget::System,
            Tok::Keyword(K::Database) => ReindexTarget::Database,
            _ => return self.fail(),
        };
        self.bump();
        let concurrently = self.eat(K::Concurrently);
        let nameless = matches!(target, ReindexTarget::System | ReindexTarget::Database)
            && matches!(self.peek(), Tok::End | Tok::Char(b';'));
        let relation = if nameless { None } else { Some(self.qualified_name()?) };
        Ok(Node::Reindex(Box::new(ReindexStmt { target, relation, options, concurrently, span })))
    }

    pub(super) fn cluster(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let mut options = Vec::new();
        let at = self.span();
        if self.is_char(b'(') {
            options = self.utility_options()?;
        } else if self.eat(K::Verbose) {
            options.push(option("verbose", None, at));
        }
        let (mut relation, mut index) = (None, None);
        if !matches!(self.peek(), Tok::End | Tok::Char(b';')) {
            let first = self.qualified_name()?;
            if self.eat(K::On) {
                // CLUSTER index ON table, the old spelling.
                index = Some(first.name);
                relation = Some(self.qualified_name()?);
            } else {
                relation = Some(first);
                if self.eat(K::Using) {
                    index = Some(self.col_id()?);
                }
            }
        }
        Ok(Node::Cluster(Box::new(ClusterStmt { relation, index, options, span })))
    }

    pub(super) fn lock(&mut self) -> Result<Node> {
        let span = self.bump().span();
        self.eat(K::Table);
        let relations = self.list(Self::relation_expr)?;
        let mut mode = LockMode::AccessExclusive;
        if self.eat(K::In) {
            mode = if self.eat(K::Access) {
                if self.eat(K::Share) {
                    LockMode::AccessShare
                } else {
                    self.expect(K::Exclusive)?;
                    LockMode::AccessExclusive
                }
            } else if self.eat(K::Row) {
                if self.eat(K::Share) {
                    LockMode::RowShare
                } else {
                    self.expect(K::Exclusive)?;
                    LockMode::RowExclusive
                }
            } else if self.eat(K::Share) {
                if self.eat(K::Update) {
                    self.expect(K::Exclusive)?;
                    LockMode::ShareUpdateExclusive
                } else if self.eat(K::Row) {
                    self.expect(K::Exclusive)?;
                    LockMode::ShareRowExclusive
                } else {
                    LockMode::Share
                }
            } else {
                self.expect(K::Exclusive)?;
                LockMode::Exclusive
            };
            self.expect(K::Mode)?;
        }
        let nowait = self.eat(K::Nowait);
        Ok(Node::Lock(Box::new(LockStmt { relations, mode, nowait, span })))
    }

    pub(super) fn call(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let name = self.func_name()?;
        let call = self.function_call(name.parts, name.span)?;
        Ok(Node::Call(Box::new(CallStmt { call, span })))
    }

    pub(super) fn do_block(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let (mut body, mut language) = (None, None);
        while !matches!(self.peek(), Tok::End | Tok::Char(b';')) {
            let at = self.span();
            let repeated = if self.eat(K::Language) {
                let name =
                    if Self::tok_is_string(self.peek()) { self.string()? } else { self.non_reserved_word()? };
                language.replace(name).is_some()
            } else {
                body.replace(self.string()?).is_some()
            };
            if repeated {
                return self.refuse("conflicting or redundant options", at);
            }
        }
        match body {
            Some(body) => Ok(Node::Do(Box::new(DoStmt { body, language, span }))),
            None if language.is_none() => self.fail(),
            None => Err(Error::syntax("no inline code specified").at(span)),
        }
    }
}
