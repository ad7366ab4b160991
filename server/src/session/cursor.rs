//! SQL cursors: DECLARE, FETCH, MOVE, CLOSE. Forward only; they end with their transaction unless WITH HOLD.

use std::sync::Arc;

use parser::Statement;
use parser::ast::{ClosePortalStmt, DeclareCursorStmt, FetchDirection, FetchStmt, Node};
use types::{DataType, Error, Result, SqlState, Value};

use crate::session::portal::{Portal, PortalState};
use crate::session::statement::ParsedStatement;
use crate::session::{Client, Format, Session};

impl Session {
    /// 25P01 outside a block (but for WITH HOLD), 42P03 when the name is taken; SCROLL and BINARY are 0A000.
    pub(crate) fn declare_cursor(
        &mut self,
        declare: &DeclareCursorStmt,
        statement: &ParsedStatement,
        parameter_types: &[DataType],
        parameters: Vec<Value>,
    ) -> Result<()> {
        if declare.binary {
            return Err(Error::not_supported("BINARY cursors")
                .with_hint("Ask for binary results in the protocol's Bind message."));
        }
        if declare.scroll == Some(true) {
            return Err(Error::not_supported("SCROLL cursors")
                .with_hint("Fetch forward only, or ORDER BY the other way."));
        }
        if !declare.hold && !self.transaction.in_block() {
            return Err(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        if self.portals.contains_key(&declare.name) {
            return Err(Error::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", declare.name),
            ));
        }
        if let Node::Select(select) = &*declare.query
            && select.with.iter().flat_map(|with| &with.ctes).any(|cte| !matches!(cte.query, Node::Select(_)))
        {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "DECLARE CURSOR must not contain data-modifying statements in WITH",
            ));
        }
        if declare.hold
            && let Node::Select(select) = &*declare.query
            && !select.locking.is_empty()
        {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "DECLARE CURSOR WITH HOLD ... FOR UPDATE is not supported",
            )
            .with_detail("Holdable cursors must be READ ONLY."));
        }
        let inner = Statement { node: (*declare.query).clone(), span: declare.query_text };
        let inner = ParsedStatement::new(inner, &statement.query_text);
        let rows = self.start_rows(&inner, parameter_types, parameters)?;
        let schema = rows.schema().clone();
        let portal = Portal {
            statement: Some(Arc::new(inner)),
            parameter_types: Vec::new(),
            parameters: Vec::new(),
            formats: vec![Format::Text; schema.fields.len()],
            schema: Some(schema),
            state: PortalState::Running { rows: Box::new(rows), rest: None },
            is_cursor: true,
            with_hold: declare.hold,
            is_held: false,
        };
        self.portals.insert(declare.name.clone(), portal);
        Ok(())
    }

    /// FETCH and MOVE; returns the tag. 34000, 55000 for a way back.
    pub(crate) fn fetch_cursor(
        &mut self,
        fetch: &FetchStmt,
        formats: &[Format],
        describe: bool,
        client: &mut dyn Client,
    ) -> Result<String> {
        let undefined = || {
            Error::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{}\" does not exist", fetch.cursor))
        };
        let schema = self.portals.get(&fetch.cursor).and_then(|p| p.schema.clone()).ok_or_else(undefined)?;
        let limit = match fetch.direction {
            FetchDirection::Forward(None) => u64::MAX,
            FetchDirection::Forward(Some(count)) | FetchDirection::Relative(count) if count >= 0 => {
                if matches!(fetch.direction, FetchDirection::Relative(count) if count > 1) {
                    self.fetch(&fetch.cursor, (count - 1) as u64, |_, _| Ok(()))?;
                    1
                } else {
                    count as u64
                }
            }
            _ => {
                return Err(Error::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "cursor can only scan forward",
                )
                .with_hint("Fetch with NEXT, FORWARD or a positive count."));
            }
        };
        let codes: Vec<i16> = formats.iter().map(|format| *format as i16).collect();
        let formats = super::portal::result_formats(&codes, schema.fields.len())?;
        if describe && !fetch.is_move {
            client.row_description(&schema, &formats);
        }
        let cx = self.settings.derived().text.clone();
        let mut count = 0u64;
        self.fetch(&fetch.cursor, limit, |batch, _| {
            count += batch.len() as u64;
            if fetch.is_move { Ok(()) } else { client.rows(batch, &schema, &formats, &cx) }
        })?;
        Ok(format!("{} {count}", if fetch.is_move { "MOVE" } else { "FETCH" }))
    }

    pub(crate) fn close_cursor(&mut self, close: &ClosePortalStmt) -> Result<()> {
        match &close.name {
            None => self.portals.retain(|_, portal| !portal.is_cursor),
            Some(name) => {
                self.portals.remove(name).ok_or_else(|| {
                    Error::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
                })?;
            }
        }
        Ok(())
    }
}
