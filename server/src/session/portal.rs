//! Portals: a prepared statement with its parameters, run as far as the client has asked.

use std::collections::VecDeque;
use std::sync::Arc;

use executor::Rows;
use types::text::TextContext;
use types::{Batch, DataType, Error, Result, Schema, SqlState, Value};

use crate::session::prepared::Prepared;
use crate::session::statement::{CommandTag, ParsedStatement};
use crate::session::{Client, Format, Session};

/// A statement in flight. Lives until its transaction ends, or (WITH HOLD) until its session does.
pub struct Portal {
    pub statement: Option<Arc<ParsedStatement>>,
    pub parameter_types: Vec<DataType>,
    pub parameters: Vec<Value>,
    pub schema: Option<Schema>,
    pub formats: Vec<Format>,
    pub state: PortalState,
    /// Made by DECLARE CURSOR.
    pub is_cursor: bool,
    /// WITH HOLD: its rows are kept at commit.
    pub with_hold: bool,
    /// The transaction that made it has committed, so no other one ends it.
    pub is_held: bool,
}

pub enum PortalState {
    Ready,
    /// Rows are being fetched; `rest` is what of the last batch has not been sent.
    Running {
        rows: Box<Rows>,
        rest: Option<Batch>,
    },
    /// The rows that were left when its transaction committed.
    Held(VecDeque<Batch>),
    Done,
}

impl Portal {
    pub fn is_running(&self) -> bool {
        matches!(self.state, PortalState::Running { .. })
    }

    /// The next rows, printed where the client wants text; `None` when there are no more.
    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let formats = &self.formats;
        match &mut self.state {
            PortalState::Running { rows, rest } => match rest.take() {
                Some(batch) => Ok(Some(batch)),
                None => match rows.next()? {
                    Some(batch) => {
                        let is_text = |column: usize| formats.get(column).is_none_or(|f| *f == Format::Text);
                        Ok(Some(rows.printed(batch, is_text)?))
                    }
                    None => Ok(None),
                },
            },
            PortalState::Held(batches) => Ok(batches.pop_front()),
            PortalState::Ready | PortalState::Done => Ok(None),
        }
    }

    /// Rows that were taken and not wanted yet.
    fn put_back(&mut self, batch: Batch) {
        match &mut self.state {
            PortalState::Running { rest, .. } => *rest = Some(batch),
            PortalState::Held(batches) => batches.push_front(batch),
            PortalState::Ready | PortalState::Done => {}
        }
    }
}

/// What became of an Execute.
pub enum Executed {
    /// Finished, with its tag; `None` for an empty query.
    Complete(Option<String>),
    /// The row limit was reached first.
    Suspended,
}

/// The client's formats for `columns` result columns: none, one for all, or one each. 08P01.
pub fn result_formats(codes: &[i16], columns: usize) -> Result<Vec<Format>> {
    let format = |code: &i16| if *code == 1 { Format::Binary } else { Format::Text };
    match codes {
        [] => Ok(vec![Format::Text; columns]),
        [one] => Ok(vec![format(one); columns]),
        many if many.len() == columns => Ok(many.iter().map(format).collect()),
        many => Err(Error::new(
            SqlState::PROTOCOL_VIOLATION,
            format!("bind message has {} result formats but query has {columns} columns", many.len()),
        )),
    }
}

impl Session {
    /// Bind: reads the parameters' values. 26000, 42P03, 08P01, and each value's input errors.
    pub fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        parameter_formats: &[i16],
        parameters: &[Option<&[u8]>],
        result_codes: &[i16],
    ) -> Result<()> {
        let prepared = self.prepared(statement)?;
        if prepared.statement.as_ref().is_some_and(|inner| !inner.statement.ends_failed_transaction()) {
            self.check_not_failed()?;
        }
        let expected = prepared.parameter_types.len();
        if parameters.len() != expected {
            return Err(Error::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {expected}",
                    parameters.len()
                ),
            ));
        }
        if parameter_formats.len() > 1 && parameter_formats.len() != parameters.len() {
            return Err(Error::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message has {} parameter formats but {} parameters",
                    parameter_formats.len(),
                    parameters.len()
                ),
            ));
        }
        let derived = Arc::clone(self.settings.derived());
        let mut values = Vec::with_capacity(parameters.len());
        for (number, (bytes, data_type)) in parameters.iter().zip(&prepared.parameter_types).enumerate() {
            let code = parameter_formats
                .get(number)
                .or(parameter_formats.first().filter(|_| parameter_formats.len() == 1));
            let value = match bytes {
                None => Value::Null,
                Some(bytes) if code == Some(&1) => types::text::read_binary(*data_type, bytes)?,
                Some(bytes) => self.parameter_from_text(bytes, *data_type, &derived.text)?,
            };
            values.push(value);
        }
        self.open_portal(portal, &prepared, values, result_codes)
    }

    fn parameter_from_text(&self, bytes: &[u8], data_type: DataType, cx: &TextContext) -> Result<Value> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| crate::wire::message::invalid_utf8(bytes, error.valid_up_to()))?;
        self.literal(text, data_type, cx)
    }

    fn open_portal(
        &mut self,
        name: &str,
        prepared: &Arc<Prepared>,
        parameters: Vec<Value>,
        result_codes: &[i16],
    ) -> Result<()> {
        if !name.is_empty() && self.portals.contains_key(name) {
            return Err(Error::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")));
        }
        let columns = prepared.schema.as_ref().map_or(0, |schema| schema.fields.len());
        let portal = Portal {
            statement: prepared.statement.clone(),
            parameter_types: prepared.parameter_types.clone(),
            parameters,
            schema: prepared.schema.clone(),
            formats: result_formats(result_codes, columns)?,
            state: PortalState::Ready,
            is_cursor: false,
            with_hold: false,
            is_held: false,
        };
        self.portals.insert(name.to_string(), portal);
        Ok(())
    }

    /// 34000.
    pub fn portal(&self, name: &str) -> Result<&Portal> {
        self.portals.get(name).ok_or_else(|| undefined_portal(name))
    }

    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    /// Execute: runs the portal, at most `max_rows` rows of it (0: all).
    pub fn execute_portal(&mut self, name: &str, max_rows: u32, client: &mut dyn Client) -> Result<Executed> {
        let portal = self.portals.get_mut(name).ok_or_else(|| undefined_portal(name))?;
        let Some(statement) = portal.statement.clone() else { return Ok(Executed::Complete(None)) };
        if !statement.statement.ends_failed_transaction() {
            self.check_not_failed()?;
        }
        let Some(portal) = self.portals.get_mut(name) else { return Err(undefined_portal(name)) };
        match portal.state {
            // Asked again for a query's rows: there are no more.
            PortalState::Done if portal.schema.is_some() && statement.statement.is_plannable() => {
                return Ok(Executed::Complete(Some(statement.statement.command_tag_with(0, 0))));
            }
            PortalState::Done => {
                return Err(Error::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("portal \"{name}\" cannot be run"),
                ));
            }
            PortalState::Ready
                if max_rows == 0 || portal.schema.is_none() || !statement.statement.is_plannable() =>
            {
                portal.state = PortalState::Done;
                let parameters = std::mem::take(&mut portal.parameters);
                let parameter_types = std::mem::take(&mut portal.parameter_types);
                let formats = std::mem::take(&mut portal.formats);
                self.note_state(Some(statement.text()));
                let tag = self.run(&statement, &parameter_types, parameters, &formats, false, client)?;
                return Ok(Executed::Complete(Some(tag)));
            }
            PortalState::Ready => {
                let parameters = std::mem::take(&mut portal.parameters);
                let parameter_types = std::mem::take(&mut portal.parameter_types);
                self.note_state(Some(statement.text()));
                let mut rows = self.start_rows(&statement, &parameter_types, parameters)?;
                rows.run_ahead()?;
                if let Some(portal) = self.portals.get_mut(name) {
                    portal.state = PortalState::Running { rows: Box::new(rows), rest: None };
                }
            }
            PortalState::Running { .. } | PortalState::Held(_) => {}
        }
        let limit = if max_rows == 0 { u64::MAX } else { u64::from(max_rows) };
        let mut sent = 0u64;
        let cx = self.settings.derived().text.clone();
        let fetched = self.fetch(name, limit, |batch, portal| {
            sent += batch.len() as u64;
            match &portal.schema {
                Some(schema) => client.rows(batch, schema, &portal.formats, &cx),
                None => Ok(()),
            }
        })?;
        Ok(if fetched.at_end {
            Executed::Complete(Some(statement.statement.command_tag_with(sent, fetched.affected)))
        } else {
            Executed::Suspended
        })
    }

    /// Takes up to `limit` rows of a running portal, handing batches to `take`.
    pub(crate) fn fetch(
        &mut self,
        name: &str,
        limit: u64,
        mut take: impl FnMut(&Batch, &Portal) -> Result<()>,
    ) -> Result<Fetched> {
        let mut left = limit;
        let mut fetched = Fetched { at_end: false, affected: 0 };
        while left > 0 {
            let portal = self.portals.get_mut(name).ok_or_else(|| undefined_portal(name))?;
            let Some(batch) = portal.next_batch()? else {
                if let PortalState::Running { rows, .. } = &portal.state {
                    fetched.affected = rows.affected();
                }
                fetched.at_end = true;
                if !matches!(portal.state, PortalState::Ready) {
                    portal.state = PortalState::Done;
                }
                return Ok(fetched);
            };
            let now = batch.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if now < batch.len() {
                portal.put_back(batch.slice(now, batch.len()));
            }
            left -= now as u64;
            take(&batch.slice(0, now), portal)?;
        }
        Ok(fetched)
    }

    /// Portals do not outlive their transaction, unless they are held.
    pub(crate) fn close_portals_at_end(&mut self) {
        self.portals.retain(|_, portal| portal.is_held);
    }

    /// Takes into memory what is left of the cursors WITH HOLD of this transaction, which is about to commit.
    ///
    /// Returns their names. 53200 past `memory_limit`, and whatever their queries fail with.
    pub(crate) fn hold_cursors(&mut self) -> Result<Vec<String>> {
        let limit = self.settings.derived().memory_limit_bytes;
        let mut names = Vec::new();
        for (name, portal) in
            self.portals.iter_mut().filter(|(_, portal)| portal.with_hold && !portal.is_held)
        {
            let mut kept = VecDeque::new();
            let mut size_bytes = 0;
            while let Some(batch) = portal.next_batch()? {
                size_bytes += batch.size_bytes();
                if size_bytes > limit {
                    return Err(Error::new(
                        SqlState::OUT_OF_MEMORY,
                        format!("cursor \"{name}\" WITH HOLD needs more memory than memory_limit"),
                    )
                    .with_hint("Fetch its rows before COMMIT, or raise memory_limit."));
                }
                kept.push_back(batch);
            }
            portal.state = PortalState::Held(kept);
            names.push(name.clone());
        }
        // Only now, so that an error leaves none behind.
        for name in &names {
            if let Some(portal) = self.portals.get_mut(name) {
                portal.is_held = true;
            }
        }
        Ok(names)
    }
}

/// What [`Session::fetch`] came to.
pub struct Fetched {
    pub at_end: bool,
    /// Rows changed, when the statement changed any.
    pub affected: u64,
}

pub(crate) fn undefined_portal(name: &str) -> Error {
    Error::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}
