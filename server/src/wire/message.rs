//! Messages from the client: framing and decoding, borrowed from the read buffer.
//!
//! Text is checked, never altered: invalid UTF-8 is 22021. A malformed message is 08P01 and ends the
//! connection, since nothing after it can be trusted. Source: PostgreSQL 15, chapter 55.7.

use types::{Error, Result, SqlState};

/// PostgreSQL's own bound: a message is at most 1 GiB − 1.
pub const MAX_MESSAGE_BYTES: usize = 0x3fff_ffff;
/// Startup packets are small; libpq and PostgreSQL agree on 10,000 bytes.
pub const MAX_STARTUP_BYTES: usize = 10_000;

pub const PROTOCOL_3_0: u32 = 196_608;
pub const PROTOCOL_3_2: u32 = 196_610;
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// The first packet of a connection (or the first ones, after an encryption request).
#[derive(Debug, PartialEq, Eq)]
pub enum Startup {
    Ssl,
    GssEncryption,
    Cancel { process_id: i32, secret: Vec<u8> },
    Start { protocol: u32, parameters: Vec<(String, String)> },
}

#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    Query(&'a str),
    Parse { statement: &'a str, text: &'a str, parameter_types: Vec<u32> },
    Bind(Bind<'a>),
    DescribeStatement(&'a str),
    DescribePortal(&'a str),
    Execute { portal: &'a str, max_rows: u32 },
    CloseStatement(&'a str),
    ClosePortal(&'a str),
    Flush,
    Sync,
    Terminate,
    FunctionCall,
    CopyData(&'a [u8]),
    CopyDone,
    CopyFail(&'a str),
    Password,
}

#[derive(Debug, PartialEq)]
pub struct Bind<'a> {
    pub portal: &'a str,
    pub statement: &'a str,
    /// As sent: none (all text), one for all, or one per parameter.
    pub parameter_formats: Vec<i16>,
    pub parameters: Vec<Option<&'a [u8]>>,
    pub result_formats: Vec<i16>,
}

/// What the client has sent and nobody has worked off yet.
#[derive(Debug, Default)]
pub struct InputBuffer {
    bytes: Vec<u8>,
    /// Before this everything has been taken.
    start: usize,
}

impl InputBuffer {
    pub fn new(bytes: Vec<u8>) -> InputBuffer {
        InputBuffer { bytes, start: 0 }
    }

    /// The next whole message, taken out of the buffer; `None` while more must be read. 08P01.
    pub fn take_message(&mut self) -> Result<Option<&[u8]>> {
        let unread = self.bytes.get(self.start..).unwrap_or_default();
        let Some(length) = frame(unread)? else { return Ok(None) };
        let begin = self.start;
        self.start += length;
        Ok(self.bytes.get(begin..self.start))
    }

    /// Lets `read` append to the buffer, whose taken part is given back first.
    pub fn fill<R>(&mut self, read: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        read(&mut self.bytes)
    }

    /// Gives an idle connection's memory back.
    pub fn shrink(&mut self) {
        if self.start == self.bytes.len() {
            *self = InputBuffer::default();
        }
    }
}

/// Length of the first whole message in `bytes` (tag included), or `None` while more must be read.
///
/// 08P01 for a length that no message has.
pub fn frame(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(&[_, a, b, c, d]) = bytes.first_chunk::<5>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(4..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err(protocol("invalid message length"));
    }
    Ok(if bytes.len() > length { Some(length + 1) } else { None })
}

/// Length of the startup packet in `bytes`, or `None` while more must be read.
pub fn startup_frame(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(head) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*head) as usize;
    if !(8..=MAX_STARTUP_BYTES).contains(&length) {
        return Err(protocol("invalid length of startup packet"));
    }
    Ok(if bytes.len() >= length { Some(length) } else { None })
}

/// Decodes a startup packet, length word included.
pub fn decode_startup(packet: &[u8]) -> Result<Startup> {
    let mut input = Input { bytes: packet.get(4..).unwrap_or_default() };
    let code = input.u32()?;
    match code {
        SSL_REQUEST => Ok(Startup::Ssl),
        GSSENC_REQUEST => Ok(Startup::GssEncryption),
        CANCEL_REQUEST => {
            let process_id = input.u32()? as i32;
            Ok(Startup::Cancel { process_id, secret: input.bytes.to_vec() })
        }
        _ if code >> 16 == 3 => {
            let mut parameters = Vec::new();
            loop {
                let name = input.cstring()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name.to_string(), input.cstring()?.to_string()));
            }
            Ok(Startup::Start { protocol: code, parameters })
        }
        _ => Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!(
                "unsupported frontend protocol {}.{}: server supports 3.0 to 3.2",
                code >> 16,
                code & 0xffff
            ),
        )),
    }
}

/// A SASLInitialResponse, whole: the mechanism and its first data. 08P01.
pub fn decode_sasl_initial(message: &[u8]) -> Result<(&str, &[u8])> {
    let mut input = Input { bytes: message.get(5..).unwrap_or_default() };
    let mechanism = input.cstring()?;
    let data = match i32::try_from(input.u32()?) {
        Ok(length) => input.take(usize::try_from(length).unwrap_or(usize::MAX))?,
        // -1: nothing yet.
        Err(_) => &[],
    };
    if !input.bytes.is_empty() {
        return Err(protocol("invalid message format"));
    }
    Ok((mechanism, data))
}

/// The data of a SASLResponse.
pub fn sasl_data(message: &[u8]) -> &[u8] {
    message.get(5..).unwrap_or_default()
}

/// Decodes one whole message, as [`frame`] measured it.
pub fn decode(message: &[u8]) -> Result<Message<'_>> {
    let Some((&tag, rest)) = message.split_first() else { return Err(protocol("empty message")) };
    let mut input = Input { bytes: rest.get(4..).unwrap_or_default() };
    let decoded = match tag {
        b'Q' => Message::Query(input.cstring()?),
        b'P' => {
            let statement = input.cstring()?;
            let text = input.cstring()?;
            let count = input.u16()?;
            let mut parameter_types = Vec::with_capacity(usize::from(count).min(input.bytes.len() / 4));
            for _ in 0..count {
                parameter_types.push(input.u32()?);
            }
            Message::Parse { statement, text, parameter_types }
        }
        b'B' => Message::Bind(decode_bind(&mut input)?),
        b'D' | b'C' => {
            let kind = input.u8()?;
            let name = input.cstring()?;
            match (tag, kind) {
                (b'D', b'S') => Message::DescribeStatement(name),
                (b'D', b'P') => Message::DescribePortal(name),
                (b'C', b'S') => Message::CloseStatement(name),
                (b'C', b'P') => Message::ClosePortal(name),
                _ => return Err(protocol("invalid DESCRIBE or CLOSE message subtype")),
            }
        }
        b'E' => Message::Execute { portal: input.cstring()?, max_rows: input.u32()? },
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'F' => return Ok(Message::FunctionCall),
        b'd' => return Ok(Message::CopyData(input.bytes)),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(input.cstring()?),
        b'p' => return Ok(Message::Password),
        _ => return Err(protocol(format!("invalid frontend message type {tag}"))),
    };
    if !input.bytes.is_empty() {
        return Err(protocol("invalid message format"));
    }
    Ok(decoded)
}

fn decode_bind<'a>(input: &mut Input<'a>) -> Result<Bind<'a>> {
    let portal = input.cstring()?;
    let statement = input.cstring()?;
    let parameter_formats = input.formats()?;
    let count = input.u16()?;
    let mut parameters = Vec::with_capacity(usize::from(count).min(input.bytes.len() / 4));
    for _ in 0..count {
        let length = input.u32()? as i32;
        parameters.push(match usize::try_from(length) {
            Ok(length) => Some(input.take(length)?),
            Err(_) if length == -1 => None,
            Err(_) => return Err(protocol("invalid parameter length in bind message")),
        });
    }
    let result_formats = input.formats()?;
    Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
}

/// 08P01.
pub fn protocol(message: impl Into<String>) -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, message)
}

struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        if length > self.bytes.len() {
            return Err(protocol("insufficient data left in message"));
        }
        let (head, tail) = self.bytes.split_at(length);
        self.bytes = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| protocol("insufficient data left in message"))
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn formats(&mut self) -> Result<Vec<i16>> {
        let count = self.u16()?;
        let mut formats = Vec::with_capacity(usize::from(count).min(self.bytes.len() / 2));
        for _ in 0..count {
            let format = self.u16()? as i16;
            if !(0..=1).contains(&format) {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("unsupported format code: {format}"),
                ));
            }
            formats.push(format);
        }
        Ok(formats)
    }

    /// Text up to a zero byte. 22021 when it is not UTF-8.
    fn cstring(&mut self) -> Result<&'a str> {
        let end =
            self.bytes.iter().position(|&b| b == 0).ok_or_else(|| protocol("invalid string in message"))?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|error| invalid_utf8(text, error.valid_up_to()))
    }
}

/// 22021, naming the offending bytes.
pub fn invalid_utf8(bytes: &[u8], at: usize) -> Error {
    let shown: Vec<String> = bytes.iter().skip(at).take(4).map(|b| format!("0x{b:02x}")).collect();
    Error::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn frames_need_all_their_bytes() {
        let query = message(b'Q', b"select 1\0");
        for cut in 0..query.len() {
            assert_eq!(frame(&query[..cut]).unwrap(), None);
        }
        assert_eq!(frame(&query).unwrap(), Some(query.len()));
        assert_eq!(decode(&query).unwrap(), Message::Query("select 1"));
        assert_eq!(frame(&[b'Q', 0, 0, 0, 3]).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION);
        assert_eq!(frame(&[b'Q', 255, 0, 0, 3]).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let error = decode(&message(b'Q', b"select '\xff\xfe'\0")).unwrap_err();
        assert_eq!(error.code(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(error.message(), "invalid byte sequence for encoding \"UTF8\": 0xff 0xfe 0x27");
    }

    #[test]
    fn binds_decode_and_cut_ones_do_not() {
        let body = [b"p\0s\0".as_slice(), &[0, 1, 0, 1, 0, 2, 0, 0, 0, 1, b'x'], &[255; 4], &[0, 0]].concat();
        let whole = message(b'B', &body);
        let Message::Bind(bind) = decode(&whole).unwrap() else { panic!("not a bind") };
        assert_eq!(bind.parameters, [Some(b"x".as_slice()), None]);
        for cut in 0..body.len() {
            assert!(decode(&message(b'B', &body[..cut])).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..(state % 40) {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                bytes.push((state >> 33) as u8);
            }
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let tag = b"QPBDCEHSXFdcfp"[(state >> 40) as usize % 14];
            let _ = decode(&message(tag, &bytes));
            let _ = decode_startup(&bytes);
            let _ = decode_sasl_initial(&message(b'p', &bytes));
        }
    }
}
