//! Messages to the client, appended to one output buffer.
//!
//! Each writes its tag, leaves room for the length, and fills it in at the end. Rows go from vectors
//! to bytes without a value in between. Source: PostgreSQL 15, chapter 55.7.

use types::text::{TextContext, write_vector_binary, write_vector_text};
use types::{Batch, Error, Result, Schema, SqlState};

use crate::session::Format;

/// Appends one message: `body` writes what follows the length word.
fn message(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    patch_length(out, start);
}

/// Writes at `start` how many bytes follow it, itself included.
fn patch_length(out: &mut [u8], start: usize) {
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends text up to its first zero byte, which the protocol cannot carry, and a terminator.
fn cstring(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().take_while(|&b| b != 0));
    out.push(0);
}

pub fn authentication_ok(out: &mut Vec<u8>) {
    message(out, b'R', |out| out.extend_from_slice(&0u32.to_be_bytes()));
}

/// Asks for a password by one of these mechanisms, best first.
pub fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&10u32.to_be_bytes());
        for mechanism in mechanisms {
            cstring(out, mechanism);
        }
        out.push(0);
    });
}

pub fn authentication_sasl_continue(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&11u32.to_be_bytes());
        out.extend_from_slice(data);
    });
}

pub fn authentication_sasl_final(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&12u32.to_be_bytes());
        out.extend_from_slice(data);
    });
}

/// Somebody has notified a channel this session listens on.
pub fn notification(out: &mut Vec<u8>, process_id: i32, channel: &str, payload: &str) {
    message(out, b'A', |out| {
        out.extend_from_slice(&process_id.to_be_bytes());
        cstring(out, channel);
        cstring(out, payload);
    });
}

pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |out| {
        cstring(out, name);
        cstring(out, value);
    });
}

pub fn backend_key_data(out: &mut Vec<u8>, process_id: i32, secret: &[u8]) {
    message(out, b'K', |out| {
        out.extend_from_slice(&process_id.to_be_bytes());
        out.extend_from_slice(secret);
    });
}

/// Tells a client that asked for a newer minor version, or for options we do not know, what it gets.
pub fn negotiate_protocol_version(out: &mut Vec<u8>, newest: u32, unknown_options: &[String]) {
    message(out, b'v', |out| {
        out.extend_from_slice(&newest.to_be_bytes());
        out.extend_from_slice(&(unknown_options.len() as u32).to_be_bytes());
        for option in unknown_options {
            cstring(out, option);
        }
    });
}

/// `status`: `I` idle, `T` in a transaction, `E` in a failed one.
pub fn ready_for_query(out: &mut Vec<u8>, status: u8) {
    message(out, b'Z', |out| out.push(status));
}

pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| cstring(out, tag));
}

macro_rules! bare {
    ($($name:ident $tag:literal;)*) => {$(
        pub fn $name(out: &mut Vec<u8>) {
            message(out, $tag, |_| ());
        }
    )*};
}

bare! {
    parse_complete b'1';
    bind_complete b'2';
    close_complete b'3';
    no_data b'n';
    portal_suspended b's';
    empty_query_response b'I';
    copy_done b'c';
}

pub fn parameter_description(out: &mut Vec<u8>, types: &[types::DataType]) {
    message(out, b't', |out| {
        out.extend_from_slice(&(types.len() as u16).to_be_bytes());
        for data_type in types {
            out.extend_from_slice(&data_type.oid.to_be_bytes());
        }
    });
}

pub fn row_description(out: &mut Vec<u8>, schema: &Schema, formats: &[Format]) {
    message(out, b'T', |out| {
        out.extend_from_slice(&(schema.fields.len() as u16).to_be_bytes());
        for (field, format) in schema.fields.iter().zip(formats) {
            cstring(out, &field.name);
            out.extend_from_slice(&field.table_oid.to_be_bytes());
            out.extend_from_slice(&field.column_number.to_be_bytes());
            out.extend_from_slice(&field.data_type.oid.to_be_bytes());
            let length = types::datatype::builtin(field.data_type.oid).map_or(-1, |t| t.length);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&field.data_type.modifier.to_be_bytes());
            out.extend_from_slice(&(*format as i16).to_be_bytes());
        }
    });
}

/// Row `row` of `batch` as a DataRow. 54000 if it exceeds what a message may hold.
pub fn data_row(
    out: &mut Vec<u8>,
    batch: &Batch,
    row: usize,
    schema: &Schema,
    formats: &[Format],
    cx: &TextContext,
) -> Result<()> {
    let begin = out.len();
    out.extend_from_slice(&[b'D', 0, 0, 0, 0]);
    out.extend_from_slice(&(schema.fields.len() as u16).to_be_bytes());
    for ((column, field), format) in batch.columns().iter().zip(&schema.fields).zip(formats) {
        if column.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match format {
            Format::Text => write_vector_text(column, row, field.data_type, cx, out),
            Format::Binary => write_vector_binary(column, row, field.data_type, out),
        }
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(slot) = out.get_mut(start..start + 4) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
    }
    if out.len() - begin > super::message::MAX_MESSAGE_BYTES {
        out.truncate(begin);
        return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "row is larger than a message may be")
            .with_detail("A message of the protocol holds at most 1073741823 bytes."));
    }
    patch_length(out, begin + 1);
    Ok(())
}

/// The reply that opens a COPY: `tag` is `G` for COPY FROM, `H` for COPY TO.
fn copy_response(out: &mut Vec<u8>, tag: u8, columns: usize, format: Format) {
    message(out, tag, |out| {
        out.push(format as u8);
        out.extend_from_slice(&(columns as u16).to_be_bytes());
        for _ in 0..columns {
            out.extend_from_slice(&(format as u16).to_be_bytes());
        }
    });
}

/// COPY FROM.
pub fn copy_in_response(out: &mut Vec<u8>, columns: usize, format: Format) {
    copy_response(out, b'G', columns, format);
}

/// COPY TO.
pub fn copy_out_response(out: &mut Vec<u8>, columns: usize, format: Format) {
    copy_response(out, b'H', columns, format);
}

pub fn copy_data(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'd', |out| out.extend_from_slice(data));
}

/// How bad: decides the message's type and its first two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Fatal,
    Warning,
    Notice,
    Info,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Info => "INFO",
        }
    }
}

/// An ErrorResponse or NoticeResponse; `text` is the statement, for the position.
pub fn error(out: &mut Vec<u8>, severity: Severity, error: &Error, text: Option<&str>) {
    let tag = if matches!(severity, Severity::Error | Severity::Fatal) { b'E' } else { b'N' };
    message(out, tag, |out| {
        let fields = error.fields();
        let mut field = |code: u8, value: &str| {
            out.push(code);
            cstring(out, value);
        };
        field(b'S', severity.name());
        field(b'V', severity.name());
        field(b'C', fields.code.as_str());
        field(b'M', &fields.message);
        let optional = [
            (b'D', &fields.detail),
            (b'H', &fields.hint),
            (b'W', &fields.context),
            (b's', &fields.schema),
            (b't', &fields.table),
            (b'c', &fields.column),
            (b'd', &fields.data_type),
            (b'n', &fields.constraint),
        ];
        for (code, value) in optional {
            if let Some(value) = value {
                field(code, value);
            }
        }
        if let (Some(span), Some(text)) = (fields.span, text) {
            field(b'P', &span.character_position(text).to_string());
        }
        out.push(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_its_fields_and_position() {
        let mut out = Vec::new();
        let fault = Error::syntax("syntax error at or near \"selct\"").at(types::Span::new(2, 7));
        error(&mut out, Severity::Error, &fault, Some("é selct"));
        let text = String::from_utf8_lossy(&out[5..]).replace('\0', "|");
        assert_eq!(text, "SERROR|VERROR|C42601|Msyntax error at or near \"selct\"|P2||");
        assert_eq!(out.len() - 1, u32::from_be_bytes([out[1], out[2], out[3], out[4]]) as usize);
    }

    #[test]
    fn a_zero_byte_in_a_message_cannot_break_the_framing() {
        let mut out = Vec::new();
        command_complete(&mut out, "SELECT\0 1");
        assert_eq!(&out[5..], b"SELECT\0");
    }
}
