//! Text → statement: PostgreSQL's grammar into our own syntax tree.
//!
//! Called by the session for every query text, and for stored definitions (views, defaults). A pure function of
//! the text: no schema, no settings (`standard_conforming_strings` is on). Holds: no input panics or overflows a
//! 1 MiB stack; every error is 42601 or a neighbour of it, with the span of the token at fault; nothing that was
//! written is dropped from the tree.

pub mod ast;
pub mod deparse;
pub mod fingerprint;
pub mod statement;

mod grammar;
mod keyword;
mod lexer;
mod literal;
mod syntax_error;

pub use literal::MAX_NAME_BYTES;
pub use statement::Statement;

use types::Result;

/// How deep a tree may be; deeper text is 54001. A link of a left-deep chain (`1 + 1 + …`, joins) counts 1, an
/// expression in another 2, a call 4, a sub-select in an expression 8: about 1,000 links, 500 parentheses, 250 calls,
/// 125 sub-selects. Chains of AND, OR and set operations are flat and do not count.
pub const MAX_DEPTH: u32 = 1000;

/// The statements of `text`, in order; empty statements vanish, so the result may be empty.
///
/// Errors, each with its span: 42601 (syntax), 42P20 (window frames), 22023 and 22003 (numbers in types and options),
/// 22025 and 22021 (escapes), 0A000 (XML, MATCH PARTIAL and the like), 54000 and 54001 (too long, too deep).
pub fn parse(text: &str) -> Result<Vec<Statement>> {
    grammar::Parser::new(text, lexer::tokenize(text)).statements()
}

/// A single expression, such as a stored default or check: `a_expr` of the grammar. Errors as [`parse`].
pub fn parse_expr(text: &str) -> Result<ast::Expr> {
    grammar::Parser::new(text, lexer::tokenize(text)).only_expr()
}

/// A single type name, as `regtype` and casts from text take it. Errors as [`parse`].
pub fn parse_type(text: &str) -> Result<ast::TypeName> {
    grammar::Parser::new(text, lexer::tokenize(text)).only_type()
}
