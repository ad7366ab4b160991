//! `jsonb` as text: `{"a": 1, "b": [true, null]}`, and in lines.

use super::{Jsonb, JsonbKind};

/// Appends `text` as a JSON string: quoted, with what must be escaped escaped.
pub fn escape(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            8 => b"\\b",
            12 => b"\\f",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..32 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        if short.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(short);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends the text form on one line. Recursion is bounded: what is read was checked or written by us.
pub(crate) fn write_text(value: Jsonb<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        JsonbKind::Array => {
            out.push(b'[');
            for (index, item) in value.children().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write_text(item, out);
            }
            out.push(b']');
        }
        JsonbKind::Object => {
            out.push(b'{');
            for (index, (key, item)) in value.pairs().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                escape(key, out);
                out.extend_from_slice(b": ");
                write_text(item, out);
            }
            out.push(b'}');
        }
        _ => write_scalar(value, out),
    }
}

fn write_scalar(value: Jsonb<'_>, out: &mut Vec<u8>) {
    match (value.as_bool(), value.as_str(), value.as_number()) {
        (Some(true), ..) => out.extend_from_slice(b"true"),
        (Some(false), ..) => out.extend_from_slice(b"false"),
        (_, Some(text), _) => escape(text, out),
        (_, _, Some(number)) => number.write_text(out),
        _ => out.extend_from_slice(b"null"),
    }
}

/// Appends the text form of `jsonb_pretty`: a line per element, four blanks a level.
pub fn pretty(value: Jsonb<'_>, out: &mut Vec<u8>) {
    pretty_at(value, 0, out);
}

fn pretty_at(value: Jsonb<'_>, level: usize, out: &mut Vec<u8>) {
    let line = |level: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + level * 4, b' ');
    };
    match value.kind() {
        JsonbKind::Array => {
            out.push(b'[');
            for (index, item) in value.children().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                line(level + 1, out);
                pretty_at(item, level + 1, out);
            }
            line(level, out);
            out.push(b']');
        }
        JsonbKind::Object => {
            out.push(b'{');
            for (index, (key, item)) in value.pairs().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                line(level + 1, out);
                escape(key, out);
                out.extend_from_slice(b": ");
                pretty_at(item, level + 1, out);
            }
            line(level, out);
            out.push(b'}');
        }
        _ => write_scalar(value, out),
    }
}

impl std::fmt::Display for Jsonb<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        write_text(*self, &mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}
