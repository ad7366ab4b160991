//! Syntax errors, worded and placed as PostgreSQL's scanner and parser do.
//!
//! Called by the lexer and the grammar. All are 42601 unless they say otherwise.

use types::{Error, Span, SqlState};

/// `{what} at or near "{token}"`, or `{what} at end of input` where nothing stands.
pub(crate) fn near(what: &str, text: &str, span: Span) -> Error {
    let token = text.get(span.start as usize..span.end as usize).unwrap_or("");
    if token.is_empty() {
        Error::syntax(format!("{what} at end of input")).at(span)
    } else {
        Error::syntax(format!("{what} at or near \"{token}\"")).at(span)
    }
}

/// 54001: the text nests deeper than [`crate::MAX_DEPTH`].
pub(crate) fn too_deep(span: Span) -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_hint(format!(
            "Write the statement with fewer than {} levels of nesting, for example with a common table expression or a temporary table.",
            crate::MAX_DEPTH
        ))
        .at(span)
}
