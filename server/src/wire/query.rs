//! Messages → calls on a session, and what the session answers → messages.
//!
//! [`Exchange::serve`] runs inside a statement coroutine: it works off the messages that have arrived
//! and suspends only to write, to read COPY data, or where the engine waits. After an error of the
//! extended protocol everything up to Sync is skipped. Output is flushed at Sync, Flush, the end of a
//! simple query, and whenever the buffer is full.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use types::text::TextContext;
use types::{Batch, Error, Result, Schema, SqlState};

use crate::scheduler::coroutine::Link;
use crate::session::portal::Executed;
use crate::session::{Client, Format, Session};
use crate::wire::encode::{self, Severity};
use crate::wire::message::{self, InputBuffer, Message};

/// Output is handed to the socket once it exceeds this.
const FLUSH_BYTES: usize = 64 << 10;

/// A connection's state between messages: moves into the coroutine and back.
pub struct Exchange {
    pub session: Session,
    /// Bytes from the client that have not been worked off.
    pub input: InputBuffer,
    pub output: Vec<u8>,
    /// After an error of the extended protocol: everything is skipped up to Sync.
    skipping: bool,
}

/// What is to become of the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for more.
    Read,
    /// The client said goodbye, or cannot be understood any more.
    Close,
}

impl Exchange {
    pub fn new(session: Session, input: Vec<u8>, output: Vec<u8>) -> Exchange {
        Exchange { session, input: InputBuffer::new(input), output, skipping: false }
    }

    /// Works off every whole message of `input`.
    pub fn serve(&mut self, link: &Link) -> Next {
        let mut current = Vec::new();
        let next = loop {
            // Copied out, since the session may read more input (COPY) while it works on this.
            match self.input.take_message() {
                Ok(Some(bytes)) => {
                    current.clear();
                    current.extend_from_slice(bytes);
                }
                Ok(None) => break Next::Read,
                Err(error) => {
                    encode::error(&mut self.output, Severity::Fatal, &error, None);
                    break Next::Close;
                }
            }
            if self.one_message_guarded(&current, link) {
                break Next::Close;
            }
            if self.output.len() > FLUSH_BYTES && link.write(&mut self.output).is_err() {
                break Next::Close;
            }
        };
        if !self.output.is_empty() && link.write(&mut self.output).is_err() {
            return Next::Close;
        }
        next
    }

    /// A panic is a broken promise of our own: it ends the statement with XX000, not the server.
    fn one_message_guarded(&mut self, bytes: &[u8], link: &Link) -> bool {
        let caught = catch_unwind(AssertUnwindSafe(|| self.one_message(bytes, link)));
        let payload = match caught {
            Ok(close) => return close,
            Err(payload) => payload,
        };
        let what = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without message");
        let error = Error::internal(format!("internal error: {what}"))
            .with_hint("This is a bug in cairn; the server's log has the place. The statement was undone.");
        let recovered = catch_unwind(AssertUnwindSafe(|| {
            link.set_timeout(0);
            self.report(&error, None);
            let Exchange { session, input, output, .. } = self;
            session.failed(&mut Responder { input, output, link });
        }));
        if recovered.is_err() {
            return true;
        }
        if bytes.first() == Some(&b'Q') {
            self.ready_for_query();
        } else {
            self.skipping = bytes.first() != Some(&b'S');
            if !self.skipping {
                self.ready_for_query();
            }
        }
        false
    }

    /// True when the connection must end.
    fn one_message(&mut self, bytes: &[u8], link: &Link) -> bool {
        let message = match message::decode(bytes) {
            Ok(message) => message,
            Err(error) if error.code() == SqlState::PROTOCOL_VIOLATION => {
                encode::error(&mut self.output, Severity::Fatal, &error, None);
                return true;
            }
            // Text that is not UTF-8: the framing is sound, so the session goes on.
            Err(error) => {
                if !self.skipping {
                    self.report(&error, None);
                    let simple = bytes.first() == Some(&b'Q');
                    let Exchange { session, input, output, .. } = self;
                    session.failed(&mut Responder { input, output, link });
                    if simple {
                        self.ready_for_query();
                    } else {
                        self.skipping = true;
                    }
                }
                return false;
            }
        };
        if self.skipping && !matches!(message, Message::Sync | Message::Terminate) {
            return false;
        }
        match message {
            Message::Terminate => return true,
            Message::Query(text) => {
                let result = self.with_session(link, |session, client| session.simple_query(text, client));
                if let Err(error) = result {
                    self.report(&error, Some(text));
                    if is_fatal(&error) {
                        return true;
                    }
                }
                self.ready_for_query();
            }
            Message::Sync => {
                self.skipping = false;
                if let Err(error) = self.with_session(link, |session, client| session.sync(client)) {
                    self.report(&error, None);
                }
                self.ready_for_query();
            }
            Message::Flush => return link.write(&mut self.output).is_err(),
            // Left over from a COPY that has failed: PostgreSQL ignores them, too.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => {}
            Message::Password => {
                let error = message::protocol("unexpected password message");
                encode::error(&mut self.output, Severity::Fatal, &error, None);
                return true;
            }
            Message::FunctionCall => {
                let error = Error::not_supported("the function-call protocol")
                    .with_hint("Call the function in a SELECT.");
                self.report(&error, None);
                let Exchange { session, input, output, .. } = self;
                session.failed(&mut Responder { input, output, link });
                self.ready_for_query();
            }
            extended => {
                let text = match &extended {
                    Message::Parse { text, .. } => Some((*text).to_string()),
                    Message::Execute { portal, .. } | Message::DescribePortal(portal) => {
                        let portal = self.session.portal(portal).ok();
                        portal.and_then(|p| p.statement.as_ref()).map(|s| s.query_text.to_string())
                    }
                    _ => None,
                };
                let result = self.extended(&extended, link);
                if let Err(error) = result {
                    self.report(&error, text.as_deref());
                    let Exchange { session, input, output, .. } = self;
                    session.failed(&mut Responder { input, output, link });
                    self.skipping = true;
                    return is_fatal(&error);
                }
            }
        }
        false
    }

    fn with_session<R>(
        &mut self,
        link: &Link,
        call: impl FnOnce(&mut Session, &mut dyn Client) -> Result<R>,
    ) -> Result<R> {
        let derived = self.session.settings().derived();
        let (timeout_ms, log_above_ms) = (derived.statement_timeout_ms, derived.log_above_ms);
        let started = log_above_ms.map(|_| std::time::Instant::now());
        let Exchange { session, input, output, .. } = self;
        session.handle().cancel.clear();
        link.set_timeout(timeout_ms);
        let result = call(session, &mut Responder { input, output, link });
        link.set_timeout(0);
        // The setting that counts is the one the statement began with.
        if let (Some(above), Some(started)) = (log_above_ms, started) {
            let taken = started.elapsed();
            if taken.as_millis() >= u128::from(above) {
                let handle = self.session.handle();
                let query = handle.activity.lock().query.clone();
                let duration_ms = taken.as_secs_f64() * 1000.0;
                tracing::info!(
                    pid = handle.process_id,
                    user = handle.user,
                    database = handle.database,
                    "duration: {duration_ms:.3} ms  statement: {query}"
                );
            }
        }
        result
    }

    fn extended(&mut self, message: &Message<'_>, link: &Link) -> Result<()> {
        match message {
            Message::Parse { statement, text, parameter_types } => {
                self.session.parse(statement, text, parameter_types)?;
                encode::parse_complete(&mut self.output);
            }
            Message::Bind(bind) => {
                if bind.portal.is_empty() {
                    self.session.close_portal("");
                }
                self.session.bind(
                    bind.portal,
                    bind.statement,
                    &bind.parameter_formats,
                    &bind.parameters,
                    &bind.result_formats,
                )?;
                encode::bind_complete(&mut self.output);
            }
            Message::DescribeStatement(name) => {
                let prepared = self.session.describe_statement(name)?;
                encode::parameter_description(&mut self.output, &prepared.parameter_types);
                match &prepared.schema {
                    Some(schema) => {
                        let formats = vec![Format::Text; schema.fields.len()];
                        encode::row_description(&mut self.output, schema, &formats);
                    }
                    None => encode::no_data(&mut self.output),
                }
            }
            Message::DescribePortal(name) => {
                let portal = self.session.portal(name)?;
                match &portal.schema {
                    Some(schema) => encode::row_description(&mut self.output, schema, &portal.formats),
                    None => encode::no_data(&mut self.output),
                }
            }
            Message::Execute { portal, max_rows } => {
                let executed = self.with_session(link, |session, client| {
                    session.execute_portal(portal, *max_rows, client)
                })?;
                match executed {
                    Executed::Complete(Some(tag)) => encode::command_complete(&mut self.output, &tag),
                    Executed::Complete(None) => encode::empty_query_response(&mut self.output),
                    Executed::Suspended => encode::portal_suspended(&mut self.output),
                }
            }
            Message::CloseStatement(name) => {
                self.session.close_statement(name);
                encode::close_complete(&mut self.output);
            }
            Message::ClosePortal(name) => {
                self.session.close_portal(name);
                encode::close_complete(&mut self.output);
            }
            _ => return Err(Error::internal("a message came where it cannot")),
        }
        Ok(())
    }

    /// Ends a round: notifications first, if the session is outside a transaction.
    fn ready_for_query(&mut self) {
        self.send_notifications();
        encode::ready_for_query(&mut self.output, self.session.status());
    }

    /// Puts what others have notified into the output; false when there is nothing, or a transaction is open.
    pub fn send_notifications(&mut self) -> bool {
        if self.session.status() != b'I' {
            return false;
        }
        let notifications = self.session.handle().mailbox.take();
        for notification in &notifications {
            let message = &notification.message;
            encode::notification(
                &mut self.output,
                notification.process_id,
                &message.channel,
                &message.payload,
            );
        }
        !notifications.is_empty()
    }

    fn report(&mut self, error: &Error, text: Option<&str>) {
        let error = &match (error.fields().tree, self.session.catalog()) {
            (Some(_), Ok(catalog)) => crate::check::name_tree(error.clone(), &catalog),
            _ => error.clone(),
        };
        let severity = if is_fatal(error) { Severity::Fatal } else { Severity::Error };
        if error.code() == SqlState::INTERNAL_ERROR || error.code() == SqlState::DATA_CORRUPTED {
            tracing::error!(pid = self.session.handle().process_id, "{error:?}");
        } else {
            tracing::debug!(pid = self.session.handle().process_id, "{error:?}");
        }
        encode::error(&mut self.output, severity, error, text);
    }
}

/// Errors after which the connection ends.
pub fn is_fatal(error: &Error) -> bool {
    matches!(
        error.code(),
        SqlState::ADMIN_SHUTDOWN | SqlState::CONNECTION_FAILURE | SqlState::IDLE_SESSION_TIMEOUT
    )
}

/// The session's client, at the other end of this connection.
struct Responder<'a> {
    input: &'a mut InputBuffer,
    output: &'a mut Vec<u8>,
    link: &'a Link,
}

impl Responder<'_> {
    fn flush(&mut self) -> Result<()> {
        self.link.write(self.output).map_err(|error| {
            Error::new(SqlState::CONNECTION_FAILURE, format!("could not send data to client: {error}"))
        })
    }
}

impl Client for Responder<'_> {
    fn row_description(&mut self, schema: &Schema, formats: &[Format]) {
        encode::row_description(self.output, schema, formats);
    }

    fn rows(&mut self, batch: &Batch, schema: &Schema, formats: &[Format], cx: &TextContext) -> Result<()> {
        for row in 0..batch.len() {
            encode::data_row(self.output, batch, row, schema, formats, cx)?;
            if self.output.len() > FLUSH_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn command_complete(&mut self, tag: &str) {
        encode::command_complete(self.output, tag);
    }

    fn empty_query(&mut self) {
        encode::empty_query_response(self.output);
    }

    fn notice(&mut self, severity: Severity, notice: &Error) {
        encode::error(self.output, severity, notice, None);
    }

    fn parameter_status(&mut self, name: &str, value: &str) {
        encode::parameter_status(self.output, name, value);
    }

    fn copy_in(&mut self, columns: usize, format: Format) -> Result<()> {
        encode::copy_in_response(self.output, columns, format);
        self.flush()
    }

    fn copy_in_data(&mut self, data: &mut Vec<u8>) -> Result<bool> {
        loop {
            let Some(bytes) = self.input.take_message()? else {
                let read = self.input.fill(|bytes| self.link.read(bytes)).map_err(|error| {
                    Error::new(
                        SqlState::CONNECTION_FAILURE,
                        format!("could not receive data from client: {error}"),
                    )
                })?;
                if read == 0 {
                    return Err(Error::new(
                        SqlState::CONNECTION_FAILURE,
                        "unexpected EOF on client connection with an open transaction",
                    ));
                }
                continue;
            };
            match message::decode(bytes)? {
                Message::CopyData(piece) => {
                    data.extend_from_slice(piece);
                    return Ok(true);
                }
                Message::CopyDone => return Ok(false),
                Message::CopyFail(why) => {
                    return Err(Error::new(
                        SqlState::QUERY_CANCELED,
                        format!("COPY from stdin failed: {why}"),
                    ));
                }
                // libpq sends these while it is copying; PostgreSQL ignores them.
                Message::Flush | Message::Sync => {}
                Message::Terminate => {
                    return Err(Error::new(
                        SqlState::CONNECTION_FAILURE,
                        "the client left in the middle of COPY",
                    ));
                }
                _ => {
                    return Err(message::protocol(format!(
                        "unexpected message type 0x{:02X} during COPY from stdin",
                        bytes.first().copied().unwrap_or_default()
                    )));
                }
            }
        }
    }

    fn copy_out(&mut self, columns: usize, format: Format) -> Result<()> {
        encode::copy_out_response(self.output, columns, format);
        Ok(())
    }

    fn copy_out_data(&mut self, data: &[u8]) -> Result<()> {
        encode::copy_data(self.output, data);
        if self.output.len() > FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    fn copy_out_done(&mut self) {
        encode::copy_done(self.output);
    }
}

/// What `wire/connection.rs` sends before the first query: login is done, this is who we are.
pub fn greet(session: &Session, output: &mut Vec<u8>) {
    encode::authentication_ok(output);
    let settings = session.settings();
    for setting in crate::session::settings::SETTINGS.iter().filter(|setting| setting.reported) {
        if let Ok(value) = settings.show(setting.name) {
            encode::parameter_status(output, setting.name, &value);
        }
    }
    let handle = Arc::clone(session.handle());
    encode::backend_key_data(output, handle.process_id, &handle.secret);
    encode::ready_for_query(output, b'I');
}
