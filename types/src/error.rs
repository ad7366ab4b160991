//! One error type, from page to wire.
//!
//! Messages read like PostgreSQL's: lower case, no full stop, names in double quotes. Detail and
//! hint are sentences. The fields are those of the wire's ErrorResponse.

use std::fmt;

use crate::span::Span;
use crate::sqlstate::SqlState;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms a client sees. One pointer wide, so that `Result` stays small.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Fields>);

/// The fields of an [`Error`]; `None` is "not known".
#[derive(Clone, PartialEq, Eq)]
pub struct Fields {
    pub code: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where in the statement's text.
    pub span: Option<Span>,
    /// What was being done, e.g. `COPY lineitem, line 3, column l_tax: "x"`.
    pub context: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
    /// The number of the store's tree whose bytes are damaged: for whoever knows the name of its table.
    pub tree: Option<u64>,
}

impl Error {
    pub fn new(code: SqlState, message: impl Into<String>) -> Error {
        Error(Box::new(Fields {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            span: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
            tree: None,
        }))
    }

    /// XX000: a promise of our own is broken.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(SqlState::INTERNAL_ERROR, message)
    }

    /// 0A000: `what` is something PostgreSQL has and we do not.
    pub fn not_supported(what: impl fmt::Display) -> Error {
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }

    /// 42601.
    pub fn syntax(message: impl Into<String>) -> Error {
        Error::new(SqlState::SYNTAX_ERROR, message)
    }

    /// XX001: bytes on disk that fail a check; the message names file, page and offset.
    pub fn corrupted(message: impl Into<String>) -> Error {
        Error::new(SqlState::DATA_CORRUPTED, message)
    }

    /// 57014.
    pub fn canceled() -> Error {
        Error::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
    }

    /// 53100 for a full disk, 58030 otherwise; `doing` reads like `could not write file "x"`.
    pub fn io(doing: impl fmt::Display, source: &std::io::Error) -> Error {
        let full =
            matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        let code = if full { SqlState::DISK_FULL } else { SqlState::IO_ERROR };
        // As strerror says it, without Rust's " (os error 28)".
        let text = source.to_string();
        let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
        let error = Error::new(code, format!("{doing}: {text}"));
        if full { error.with_hint("Check free disk space.") } else { error }
    }

    /// 42883 for a type's operator, 22003 and so on have their own constructors near their use.
    pub fn undefined_column(name: &str) -> Error {
        Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
    }

    /// 42P01.
    pub fn undefined_table(name: &str) -> Error {
        Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn with_context(mut self, context: impl Into<String>) -> Error {
        self.0.context = Some(context.into());
        self
    }

    /// Says where in the text, unless something nearer to the fault has said so already.
    pub fn at(mut self, span: Span) -> Error {
        self.0.span.get_or_insert(span);
        self
    }

    /// Forgets where: the span was of another text (a view's definition).
    pub fn without_span(mut self) -> Error {
        self.0.span = None;
        self
    }

    pub fn with_schema(mut self, name: impl Into<String>) -> Error {
        self.0.schema = Some(name.into());
        self
    }

    pub fn with_table(mut self, name: impl Into<String>) -> Error {
        self.0.table = Some(name.into());
        self
    }

    pub fn with_column(mut self, name: impl Into<String>) -> Error {
        self.0.column = Some(name.into());
        self
    }

    pub fn with_data_type(mut self, name: impl Into<String>) -> Error {
        self.0.data_type = Some(name.into());
        self
    }

    pub fn with_constraint(mut self, name: impl Into<String>) -> Error {
        self.0.constraint = Some(name.into());
        self
    }

    /// Says in which tree of the store, unless something nearer to the fault has said so already.
    pub fn in_tree(mut self, tree: u64) -> Error {
        self.0.tree.get_or_insert(tree);
        self
    }

    pub fn code(&self) -> SqlState {
        self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    pub fn fields(&self) -> &Fields {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)?;
        for (name, value) in
            [("detail", &self.0.detail), ("hint", &self.0.hint), ("context", &self.0.context)]
        {
            if let Some(value) = value {
                write!(f, "; {name}: {value}")?;
            }
        }
        match self.0.span {
            Some(span) => write!(f, "; at byte {}", span.start),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
