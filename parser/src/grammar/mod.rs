//! The grammar: recursive descent over the lexer's tokens, after PostgreSQL's gram.y.
//!
//! Called by [`crate::parse`]. A production is a method of [`Parser`], a family of them a file. No production backs
//! up: each choice is made on the next token or two, as an LALR parser would, so the token at which an error is
//! reported is the one PostgreSQL reports. Nesting is counted ([`Parser::enter`], [`Parser::grow`]) so that neither
//! this recursion nor a later walk over the tree can exhaust the stack.

mod alter;
mod create;
mod dml;
mod expr;
mod from;
mod function;
mod name;
mod object;
mod operand;
mod role;
mod routine;
mod select;
mod session;
mod statement;
mod table;
mod type_name;
mod utility;

use types::{Error, Result, Span};

use crate::ast::{Persistence, RangeVar};
use crate::keyword::Keyword;
use crate::lexer::{Tok, Token, Tokens};
use crate::literal;
use crate::syntax_error::too_deep;

pub(crate) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    lexical_error: Option<Error>,
    /// How many productions that nest are open.
    depth: u32,
    /// The height of the highest tree finished since the enclosing production began.
    height: u32,
    /// The last phrase that began to match: where, and the token that did not fit.
    partial: (usize, usize),
    /// The depth at which SELECT … INTO may stand; 0 for nowhere.
    into_depth: u32,
    /// What it named.
    into: Option<(RangeVar, Persistence)>,
}

/// What a production that contains itself costs of [`crate::MAX_DEPTH`]. It takes stack here and in every later walk;
/// a link of a left-deep chain takes it only later, and costs 1.
const NEST: u32 = 2;

const END: Token = Token { tok: Tok::End, start: u32::MAX, end: u32::MAX };

impl<'t> Parser<'t> {
    pub(crate) fn new(text: &'t str, tokens: Tokens) -> Parser<'t> {
        Parser {
            text,
            tokens: tokens.list,
            at: 0,
            lexical_error: tokens.error,
            depth: 0,
            height: 0,
            partial: (usize::MAX, 0),
            into_depth: 0,
            into: None,
        }
    }

    // ---- tokens -------------------------------------------------------------------------------

    fn token(&self) -> Token {
        self.tokens.get(self.at).copied().unwrap_or(END)
    }

    fn token_at(&self, ahead: usize) -> Token {
        self.tokens.get(self.at + ahead).copied().unwrap_or(END)
    }

    fn peek(&self) -> Tok {
        self.token().tok
    }

    fn peek_at(&self, ahead: usize) -> Tok {
        self.token_at(ahead).tok
    }

    /// Where the next token stands.
    fn span(&self) -> Span {
        self.token().span()
    }

    /// Where the last taken token ends.
    fn last_end(&self) -> u32 {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.end)
    }

    fn bump(&mut self) -> Token {
        let token = self.token();
        if token.tok != Tok::End {
            self.at += 1;
        }
        token
    }

    fn is(&self, keyword: Keyword) -> bool {
        self.peek() == Tok::Keyword(keyword)
    }

    fn is_at(&self, ahead: usize, keyword: Keyword) -> bool {
        self.peek_at(ahead) == Tok::Keyword(keyword)
    }

    fn is_any(&self, keywords: &[Keyword]) -> bool {
        matches!(self.peek(), Tok::Keyword(keyword) if keywords.contains(&keyword))
    }

    fn is_char(&self, byte: u8) -> bool {
        self.peek() == Tok::Char(byte)
    }

    fn eat(&mut self, keyword: Keyword) -> bool {
        let found = self.is(keyword);
        self.at += usize::from(found);
        found
    }

    /// Takes all of `keywords` if all of them come next.
    fn eat_all(&mut self, keywords: &[Keyword]) -> bool {
        let matched = keywords.iter().enumerate().take_while(|(ahead, k)| self.is_at(*ahead, **k)).count();
        if matched == keywords.len() {
            self.at += matched;
            return true;
        }
        if matched > 0 {
            self.partial = (self.at, self.at + matched);
        }
        false
    }

    fn eat_char(&mut self, byte: u8) -> bool {
        let found = self.is_char(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, keyword: Keyword) -> Result<Span> {
        let span = self.span();
        if self.eat(keyword) { Ok(span) } else { self.fail() }
    }

    fn expect_all(&mut self, keywords: &[Keyword]) -> Result<()> {
        for keyword in keywords {
            self.expect(*keyword)?;
        }
        Ok(())
    }

    fn expect_char(&mut self, byte: u8) -> Result<Span> {
        let span = self.span();
        if self.eat_char(byte) { Ok(span) } else { self.fail() }
    }

    /// An unquoted word that is no keyword of the grammar, as option names are.
    fn is_word(&self, word: &str) -> bool {
        let token = self.token();
        matches!(token.tok, Tok::Word | Tok::Keyword(_))
            && self
                .text
                .get(token.start as usize..token.end as usize)
                .is_some_and(|t| t.eq_ignore_ascii_case(word))
    }

    // ---- errors -------------------------------------------------------------------------------

    /// The error for the next token: it cannot stand here. If the first words of a phrase were there
    /// ([`Parser::eat_all`]), the token that broke the phrase is at fault, as for a parser that had taken them.
    fn unexpected(&self) -> Error {
        match self.partial {
            (from, reached) if from == self.at => self.unexpected_at(reached - from),
            _ => self.unexpected_at(0),
        }
    }

    fn unexpected_at(&self, ahead: usize) -> Error {
        // A lexical error before or at that token comes first.
        let bad = (0..=ahead).any(|ahead| self.peek_at(ahead) == Tok::Bad);
        match &self.lexical_error {
            Some(error) if bad => error.clone(),
            _ => {
                let token = self.token_at(ahead);
                let token = match token.tok {
                    Tok::Char(_) => self.whole_character(token),
                    _ => token,
                };
                literal::near_token("syntax error", self.text, token)
            }
        }
    }

    fn whole_character(&self, token: Token) -> Token {
        let mut end = token.end as usize;
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        Token { end: end as u32, ..token }
    }

    fn fail<T>(&self) -> Result<T> {
        Err(self.unexpected())
    }

    /// 42601 with a message of its own, at the next token.
    fn refuse<T>(&self, message: &str, span: Span) -> Result<T> {
        Err(Error::syntax(message).at(span))
    }

    // ---- depth --------------------------------------------------------------------------------

    /// Opens a production that may contain itself. 54001 beyond [`crate::MAX_DEPTH`].
    fn enter(&mut self) -> Result<u32> {
        self.depth += NEST;
        if self.depth > crate::MAX_DEPTH {
            return Err(too_deep(self.span()));
        }
        Ok(std::mem::replace(&mut self.height, 0))
    }

    /// Closes it: what it built is higher than the highest of its parts.
    fn leave(&mut self, outer: u32) {
        self.depth -= NEST;
        self.height = outer.max(self.height + NEST);
    }

    /// A left-recursive step: what has been built so far becomes the child of a new node.
    fn grow(&mut self) -> Result<()> {
        self.height += 1;
        if self.depth + self.height > crate::MAX_DEPTH { Err(too_deep(self.span())) } else { Ok(()) }
    }

    /// `item, item, …`.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut out = vec![item(self)?];
        while self.eat_char(b',') {
            out.push(item(self)?);
        }
        Ok(out)
    }

    /// `(item, item, …)`.
    fn parens<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_char(b'(')?;
        let out = self.list(item)?;
        self.expect_char(b')')?;
        Ok(out)
    }
}
