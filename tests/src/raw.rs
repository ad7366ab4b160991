//! The protocol's bytes, for what a driver hides: text results, messages out of place, broken ones.
//!
//! Called by `wire.rs` and `bad_input.rs`. Messages are those of PostgreSQL's "Message Formats" page.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longer messages are taken for a broken length.
const LONGEST: usize = 64 << 20;

/// One message from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub tag: char,
    pub body: Vec<u8>,
}

impl Message {
    /// The fields of an ErrorResponse or NoticeResponse, such as `C` for the SQLSTATE.
    pub fn field(&self, code: char) -> Option<String> {
        self.body.split(|&b| b == 0).find_map(|field| {
            let (first, rest) = field.split_first()?;
            (char::from(*first) == code).then(|| String::from_utf8_lossy(rest).into_owned())
        })
    }

    /// The values of a DataRow.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, 'D', "{self:?}");
        let mut rest = self.body.get(2..).unwrap_or_default();
        let mut values = Vec::new();
        while let Some((length, after)) = rest.split_at_checked(4) {
            let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
            let Ok(length) = usize::try_from(length) else {
                values.push(None);
                rest = after;
                continue;
            };
            let (value, after) = after.split_at_checked(length).expect("a whole value");
            values.push(Some(value.to_vec()));
            rest = after;
        }
        values
    }

    /// The values of a DataRow in text format.
    pub fn texts(&self) -> Vec<Option<String>> {
        let text = |value: Vec<u8>| String::from_utf8(value).expect("text values are UTF-8");
        self.values().into_iter().map(|value| value.map(text)).collect()
    }
}

/// A connection that sends what it is told.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub async fn open(port: u16) -> io::Result<Raw> {
        Ok(Raw { stream: TcpStream::connect(("127.0.0.1", port)).await? })
    }

    /// Opens, starts a session as `postgres`, and returns what the server sent up to ReadyForQuery.
    pub async fn session(port: u16) -> io::Result<(Raw, Vec<Message>)> {
        let mut raw = Raw::open(port).await?;
        raw.send_bytes(&startup(&[("user", "postgres"), ("database", "postgres")])).await?;
        let greeting = raw.until_ready().await?;
        Ok((raw, greeting))
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads one byte, as the answer to an SSLRequest is.
    pub async fn read_byte(&mut self) -> io::Result<u8> {
        self.stream.read_u8().await
    }

    pub async fn read(&mut self) -> io::Result<Message> {
        let tag = char::from(self.stream.read_u8().await?);
        let length = self.stream.read_u32().await? as usize;
        if !(4..LONGEST).contains(&length) {
            return Err(io::Error::other(format!("message {tag} of length {length}")));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await?;
        Ok(Message { tag, body })
    }

    /// Reads up to and with the next ReadyForQuery.
    pub async fn until_ready(&mut self) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let message = self.read().await?;
            let ready = message.tag == 'Z';
            messages.push(message);
            if ready {
                return Ok(messages);
            }
        }
    }

    /// Sends a simple query and reads its whole answer.
    pub async fn query(&mut self, sql: &str) -> io::Result<Vec<Message>> {
        self.send_bytes(&query(sql)).await?;
        self.until_ready().await
    }
}

/// The tags of some messages, in order: `"TDCZ"`.
pub fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| message.tag).collect()
}

/// A message from the client: tag, length, body.
pub fn message(tag: char, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag as u8];
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A StartupMessage for protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(zero(name));
        body.extend(zero(value));
    }
    body.push(0);
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

pub fn query(sql: &str) -> Vec<u8> {
    message('Q', &zero(sql))
}

/// Parse, with every parameter's type left to the server.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message('P', &[zero(name), zero(sql), vec![0, 0]].concat())
}

/// Bind with text parameters; results in text (`0`) or binary (`1`).
pub fn bind(portal: &str, statement: &str, parameters: &[Option<&str>], result_format: u16) -> Vec<u8> {
    let mut body = [zero(portal), zero(statement), vec![0, 0]].concat();
    body.extend((parameters.len() as u16).to_be_bytes());
    for parameter in parameters {
        match parameter {
            None => body.extend((-1i32).to_be_bytes()),
            Some(text) => {
                body.extend((text.len() as u32).to_be_bytes());
                body.extend(text.as_bytes());
            }
        }
    }
    body.extend(1u16.to_be_bytes());
    body.extend(result_format.to_be_bytes());
    message('B', &body)
}

/// Describe or Close (`tag` D or C) of a statement or portal (`kind` S or P).
pub fn about(tag: char, kind: char, name: &str) -> Vec<u8> {
    message(tag, &[vec![kind as u8], zero(name)].concat())
}

/// Execute; `rows` 0 means all.
pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    message('E', &[zero(portal), rows.to_be_bytes().to_vec()].concat())
}

pub fn sync() -> Vec<u8> {
    message('S', &[])
}

fn zero(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}
