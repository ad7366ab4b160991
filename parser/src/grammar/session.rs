//! Session commands: transactions, settings, prepared statements, cursors, notifications.
//!
//! Called by `statement.rs`.

use types::{Error, Result};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    pub(super) fn transaction(&mut self) -> Result<Node> {
        let token = self.bump();
        let span = token.span();
        let kind = match token.tok {
            Tok::Keyword(K::Begin) => {
                self.transaction_word();
                TransactionKind::Begin(self.opt_transaction_modes()?)
            }
            Tok::Keyword(K::Start) => {
                self.expect(K::Transaction)?;
                TransactionKind::Start(self.opt_transaction_modes()?)
            }
            Tok::Keyword(K::Commit) if self.eat(K::Prepared) => {
                TransactionKind::CommitPrepared(self.string()?)
            }
            Tok::Keyword(K::Rollback) if self.eat(K::Prepared) => {
                TransactionKind::RollbackPrepared(self.string()?)
            }
            Tok::Keyword(K::Commit | K::End) => {
                self.transaction_word();
                TransactionKind::Commit { chain: self.opt_chain()? }
            }
            Tok::Keyword(K::Rollback | K::Abort) => {
                self.transaction_word();
                if token.tok == Tok::Keyword(K::Rollback) && self.eat(K::To) {
                    self.savepoint_word();
                    TransactionKind::RollbackTo(self.col_id()?)
                } else {
                    TransactionKind::Rollback { chain: self.opt_chain()? }
                }
            }
            Tok::Keyword(K::Savepoint) => TransactionKind::Savepoint(self.col_id()?),
            Tok::Keyword(K::Release) => {
                self.savepoint_word();
                TransactionKind::Release(self.col_id()?)
            }
            _ => {
                self.expect(K::Transaction)?;
                TransactionKind::Prepare(self.string()?)
            }
        };
        Ok(Node::Transaction(Box::new(TransactionStmt { kind, span })))
    }

    /// SAVEPOINT, unless it is itself the savepoint's name.
    fn savepoint_word(&mut self) {
        if !matches!(self.peek_at(1), Tok::End | Tok::Char(b';')) {
            self.eat(K::Savepoint);
        }
    }

    fn transaction_word(&mut self) {
        if !self.eat(K::Work) {
            self.eat(K::Transaction);
        }
    }

    fn opt_chain(&mut self) -> Result<bool> {
        if !self.eat(K::And) {
            return Ok(false);
        }
        let no = self.eat(K::No);
        self.expect(K::Chain)?;
        Ok(!no)
    }

    fn opt_transaction_modes(&mut self) -> Result<Vec<TransactionMode>> {
        let mut modes = Vec::new();
        while self.is_any(&[K::Isolation, K::Read, K::Deferrable]) || self.is(K::Not) {
            modes.push(self.transaction_mode()?);
            // Commas between modes are optional.
            if self.eat_char(b',') && !self.is_any(&[K::Isolation, K::Read, K::Deferrable, K::Not]) {
                return self.fail();
            }
        }
        Ok(modes)
    }

    fn transaction_modes(&mut self) -> Result<Vec<TransactionMode>> {
        let modes = self.opt_transaction_modes()?;
        if modes.is_empty() { self.fail() } else { Ok(modes) }
    }

    fn transaction_mode(&mut self) -> Result<TransactionMode> {
        if self.eat(K::Isolation) {
            self.expect(K::Level)?;
            return Ok(TransactionMode::Isolation(self.isolation_level()?));
        }
        if self.eat(K::Read) {
            let only = self.eat(K::Only);
            if !only {
                self.expect(K::Write)?;
            }
            return Ok(TransactionMode::ReadOnly(only));
        }
        let not = self.eat(K::Not);
        self.expect(K::Deferrable)?;
        Ok(TransactionMode::Deferrable(!not))
    }

    fn isolation_level(&mut self) -> Result<IsolationLevel> {
        if self.eat(K::Serializable) {
            return Ok(IsolationLevel::Serializable);
        }
        if self.eat(K::Repeatable) {
            self.expect(K::Read)?;
            return Ok(IsolationLevel::RepeatableRead);
        }
        self.expect(K::Read)?;
        if self.eat(K::Committed) {
            return Ok(IsolationLevel::ReadCommitted);
        }
        self.expect(K::Uncommitted)?;
        Ok(IsolationLevel::ReadUncommitted)
    }

    // ---- SET, SHOW, RESET, DISCARD ------------------------------------------------------------

    /// SET …, RESET …, SET CONSTRAINTS.
    pub(super) fn set(&mut self) -> Result<Node> {
        let span = self.span();
        if self.is(K::Set) && self.is_at(1, K::Constraints) {
            self.at += 2;
            let constraints = if self.eat(K::All) { Vec::new() } else { self.list(Self::qualified_name)? };
            let deferred = self.deferred_or_immediate()?;
            return Ok(Node::SetConstraints(Box::new(SetConstraintsStmt { constraints, deferred, span })));
        }
        let set = if self.is(K::Reset) { self.reset()? } else { self.set_statement()? };
        Ok(Node::Set(Box::new(set)))
    }

    fn set_statement(&mut self) -> Result<SetStmt> {
        let span = self.expect(K::Set)?;
        let mut local = false;
        // SESSION may also be the first word of SESSION CHARACTERISTICS and SESSION AUTHORIZATION.
        if self.is(K::Session) && self.is_at(1, K::Characteristics) {
            self.at += 2;
            self.expect_all(&[K::As, K::Transaction])?;
            let action = SetAction::SessionCharacteristics(self.transaction_modes()?);
            return Ok(SetStmt { local, action, span });
        }
        if self.is_any(&[K::Local, K::Session])
            && !matches!(self.peek_at(1), Tok::Keyword(K::To | K::Authorization) | Tok::Char(b'=' | b'.'))
        {
            local = self.bump().tok == Tok::Keyword(K::Local);
            if !local && self.is(K::Characteristics) {
                return self.fail();
            }
        }
        if self.is(K::Transaction) && !matches!(self.peek_at(1), Tok::Keyword(K::To) | Tok::Char(b'=' | b'.'))
        {
            self.bump();
            let action = if self.eat(K::Snapshot) {
                SetAction::Snapshot(self.string()?)
            } else {
                SetAction::Transaction(self.transaction_modes()?)
            };
            return Ok(SetStmt { local, action, span });
        }
        let action = self.set_rest_more()?;
        Ok(SetStmt { local, action, span })
    }

    /// The SET clause of ALTER … SET and of functions: SET or RESET a setting.
    pub(super) fn set_or_reset(&mut self) -> Result<SetStmt> {
        if self.is(K::Reset) {
            return self.reset();
        }
        let span = self.expect(K::Set)?;
        Ok(SetStmt { local: false, action: self.set_rest_more()?, span })
    }

    pub(super) fn reset(&mut self) -> Result<SetStmt> {
        let span = self.expect(K::Reset)?;
        let action = if self.eat(K::All) {
            SetAction::ResetAll
        } else {
            SetAction::Reset { name: self.setting_name_or_words()? }
        };
        Ok(SetStmt { local: false, action, span })
    }

    /// `a.b.c`, lower case.
    pub(super) fn setting_name(&mut self) -> Result<String> {
        let mut name = self.col_id()?;
        while self.eat_char(b'.') {
            name.push('.');
            name.push_str(&self.col_id()?);
        }
        Ok(name)
    }

    fn setting_name_or_words(&mut self) -> Result<String> {
        if self.eat_all(&[K::Time, K::Zone]) {
            return Ok("timezone".into());
        }
        if self.eat_all(&[K::Transaction, K::Isolation, K::Level]) {
            return Ok("transaction_isolation".into());
        }
        if self.eat_all(&[K::Session, K::Authorization]) {
            return Ok("session_authorization".into());
        }
        self.setting_name()
    }

    fn set_rest_more(&mut self) -> Result<SetAction> {
        let single =
            |name: &str, value| SetAction::Value { name: name.into(), values: vec![SetValue::String(value)] };
        let assigned = matches!(self.peek_at(1), Tok::Keyword(K::To) | Tok::Char(b'=' | b'.'));
        match self.peek() {
            Tok::Keyword(K::Time) if self.is_at(1, K::Zone) => {
                self.at += 2;
                return self.zone_value();
            }
            Tok::Keyword(K::Catalog) if !assigned => {
                let span = self.bump().span();
                self.string()?;
                return Err(Error::not_supported("SET CATALOG").at(span));
            }
            Tok::Keyword(K::Schema) if !assigned => {
                self.bump();
                return Ok(single("search_path", self.string()?));
            }
            Tok::Keyword(K::Names) if !assigned => {
                self.bump();
                if self.eat(K::Default) || !Self::tok_is_string(self.peek()) {
                    return Ok(SetAction::Default { name: "client_encoding".into() });
                }
                return Ok(single("client_encoding", self.string()?));
            }
            Tok::Keyword(K::Role) if !assigned => {
                self.bump();
                return Ok(single("role", self.word_or_string()?));
            }
            Tok::Keyword(K::Session) if self.is_at(1, K::Authorization) => {
                self.at += 2;
                if self.eat(K::Default) {
                    return Ok(SetAction::Default { name: "session_authorization".into() });
                }
                return Ok(single("session_authorization", self.word_or_string()?));
            }
            Tok::Keyword(K::Xml) if self.is_at(1, K::Option) => {
                self.at += 2;
                let document = self.eat(K::Document);
                if !document {
                    self.expect(K::Content)?;
                }
                return Ok(single("xmloption", if document { "DOCUMENT" } else { "CONTENT" }.into()));
            }
            _ => {}
        }
        let name = self.setting_name()?;
        if self.eat_all(&[K::From, K::Current]) {
            return Ok(SetAction::FromCurrent { name });
        }
        if !self.eat_char(b'=') {
            self.expect(K::To)?;
        }
        if self.eat(K::Default) {
            return Ok(SetAction::Default { name });
        }
        let values = self.list(Self::set_value)?;
        Ok(SetAction::Value { name, values })
    }

    fn word_or_string(&mut self) -> Result<String> {
        if Self::tok_is_string(self.peek()) { self.string() } else { self.non_reserved_word() }
    }

    fn set_value(&mut self) -> Result<SetValue> {
        match self.peek() {
            Tok::Integer | Tok::Numeric | Tok::Char(b'+' | b'-') => Ok(match self.numeric_only()? {
                ConstValue::Integer(value) => SetValue::Integer(value),
                ConstValue::Numeric(text) => SetValue::Numeric(text),
                _ => return self.fail(),
            }),
            _ => match self.boolean_or_string()? {
                DefValue::String(text) | DefValue::Word(text) => Ok(SetValue::String(text)),
                _ => self.fail(),
            },
        }
    }

    fn zone_value(&mut self) -> Result<SetAction> {
        let name = "timezone".to_string();
        if self.eat(K::Default) || self.eat(K::Local) {
            return Ok(SetAction::Default { name });
        }
        let value = match self.peek() {
            Tok::Keyword(K::Interval) => SetValue::Interval(Box::new(self.primary()?)),
            Tok::Integer | Tok::Numeric | Tok::Char(b'+' | b'-') => self.set_value()?,
            tok if Self::tok_is_string(tok) => SetValue::String(self.string()?),
            Tok::Word | Tok::Quoted | Tok::UnicodeQuoted => SetValue::String(self.col_id()?),
            _ => return self.fail(),
        };
        Ok(SetAction::Value { name, values: vec![value] })
    }

    pub(super) fn show(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let name = if self.eat(K::All) { "all".into() } else { self.setting_name_or_words()? };
        Ok(Node::Show(Box::new(ShowStmt { name, span })))
    }

    pub(super) fn discard(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let target = match self.peek() {
            Tok::Keyword(K::All) => DiscardTarget::All,
            Tok::Keyword(K::Plans) => DiscardTarget::Plans,
            Tok::Keyword(K::Sequences) => DiscardTarget::Sequences,
            Tok::Keyword(K::Temp | K::Temporary) => DiscardTarget::Temp,
            _ => return self.fail(),
        };
        self.bump();
        Ok(Node::Discard(DiscardStmt { target, span }))
    }

    // ---- prepared statements, cursors ---------------------------------------------------------

    pub(super) fn prepare(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let name = self.col_id()?;
        let types = if self.is_char(b'(') { self.parens(Self::type_name)? } else { Vec::new() };
        self.expect(K::As)?;
        let start = self.span().start;
        let query = Box::new(self.preparable()?);
        let query_text = types::Span { start, end: self.last_end() };
        Ok(Node::Prepare(Box::new(PrepareStmt { name, types, query, query_text, span })))
    }

    pub(super) fn execute(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let name = self.col_id()?;
        let args = if self.is_char(b'(') { self.parens(Self::expr)? } else { Vec::new() };
        Ok(Node::Execute(Box::new(ExecuteStmt { name, args, span })))
    }

    pub(super) fn deallocate(&mut self) -> Result<Node> {
        let span = self.bump().span();
        if self.is(K::Prepare) && !matches!(self.peek_at(1), Tok::End | Tok::Char(b';')) {
            self.bump();
        }
        let name = if self.eat(K::All) { None } else { Some(self.col_id()?) };
        Ok(Node::Deallocate(Box::new(DeallocateStmt { name, span })))
    }

    pub(super) fn declare_cursor(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let name = self.col_id()?;
        let (mut binary, mut insensitive, mut scroll) = (false, None, None);
        loop {
            if self.eat_all(&[K::No, K::Scroll]) {
                scroll = Some(false);
            } else if self.eat(K::Scroll) {
                scroll = Some(true);
            } else if self.eat(K::Binary) {
                binary = true;
            } else if self.eat(K::Asensitive) {
                insensitive = Some(false);
            } else if self.eat(K::Insensitive) {
                insensitive = Some(true);
            } else {
                break;
            }
        }
        self.expect(K::Cursor)?;
        let hold = self.eat_all(&[K::With, K::Hold]);
        if !hold {
            self.eat_all(&[K::Without, K::Hold]);
        }
        self.expect(K::For)?;
        let start = self.span().start;
        let query = Box::new(Node::Select(Box::new(self.query()?)));
        let query_text = types::Span { start, end: self.last_end() };
        let declare = DeclareCursorStmt { name, binary, insensitive, scroll, hold, query, query_text, span };
        Ok(Node::DeclareCursor(Box::new(declare)))
    }

    /// FETCH, MOVE.
    pub(super) fn fetch(&mut self) -> Result<Node> {
        use FetchDirection as F;
        let token = self.bump();
        let is_move = token.tok == Tok::Keyword(K::Move);
        // A word of direction alone is the cursor's name.
        let alone = matches!(self.peek_at(1), Tok::End | Tok::Char(b';')) && Self::tok_is_col_id(self.peek());
        let mut direction = F::Forward(Some(1));
        if !alone {
            match self.peek() {
                Tok::Keyword(K::Next) => {
                    self.bump();
                }
                Tok::Keyword(K::Prior) => {
                    self.bump();
                    direction = F::Backward(Some(1));
                }
                Tok::Keyword(K::First) => {
                    self.bump();
                    direction = F::Absolute(1);
                }
                Tok::Keyword(K::Last) => {
                    self.bump();
                    direction = F::Absolute(-1);
                }
                Tok::Keyword(K::Absolute) => {
                    self.bump();
                    direction = F::Absolute(self.signed_iconst()?);
                }
                Tok::Keyword(K::Relative) => {
                    self.bump();
                    direction = F::Relative(self.signed_iconst()?);
                }
                Tok::Keyword(K::All) => {
                    self.bump();
                    direction = F::Forward(None);
                }
                Tok::Keyword(K::Forward | K::Backward) => {
                    let backward = self.bump().tok == Tok::Keyword(K::Backward);
                    let count = if self.eat(K::All) {
                        None
                    } else if matches!(self.peek(), Tok::Integer | Tok::Char(b'+' | b'-')) {
                        Some(self.signed_iconst()?)
                    } else {
                        Some(1)
                    };
                    direction = if backward { F::Backward(count) } else { F::Forward(count) };
                }
                Tok::Integer | Tok::Char(b'+' | b'-') => direction = F::Forward(Some(self.signed_iconst()?)),
                _ => {}
            }
            if !self.eat(K::From) {
                self.eat(K::In);
            }
        }
        let cursor = self.col_id()?;
        Ok(Node::Fetch(Box::new(FetchStmt { cursor, direction, is_move, span: token.span() })))
    }

    pub(super) fn close(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let name = if self.eat(K::All) { None } else { Some(self.col_id()?) };
        Ok(Node::ClosePortal(Box::new(ClosePortalStmt { name, span })))
    }

    // ---- LISTEN, NOTIFY -----------------------------------------------------------------------

    pub(super) fn listen(&mut self) -> Result<Node> {
        let span = self.bump().span();
        Ok(Node::Listen(Box::new(ListenStmt { channel: self.col_id()?, span })))
    }

    pub(super) fn notify(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let channel = self.col_id()?;
        let payload = if self.eat_char(b',') { Some(self.string()?) } else { None };
        Ok(Node::Notify(Box::new(NotifyStmt { channel, payload, span })))
    }

    pub(super) fn unlisten(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let channel = if self.eat_char(b'*') { None } else { Some(self.col_id()?) };
        Ok(Node::Unlisten(Box::new(UnlistenStmt { channel, span })))
    }
}
