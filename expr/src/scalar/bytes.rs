//! bytea: encode and decode, single bytes and bits; md5, sha; uuid; text escapes.

use types::{Error, Result, SqlState, Value, Vector};

use crate::function::{Args, Kernel};

fn bad(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    // Lines of 76 characters, as MIME wants.
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            out.push(b'\n');
        }
        let word =
            chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            if position <= chunk.len() {
                out.push(BASE64[(word >> (18 - 6 * position) & 63) as usize]);
            } else {
                out.push(b'=');
            }
        }
    }
}

fn read_base64(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let (mut word, mut count, mut padding) = (0u32, 0, 0);
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace()) {
        let value = match BASE64.iter().position(|&b| b == c) {
            Some(value) if padding == 0 => value as u32,
            None if c == b'=' && count >= 2 => {
                padding += 1;
                0
            }
            _ => {
                let shown = text.chars().find(|&found| found as u32 == u32::from(c)).unwrap_or('?');
                return Err(bad(format!("invalid symbol \"{shown}\" found while decoding base64 sequence")));
            }
        };
        word = word << 6 | value;
        count += 1;
        if count == 4 {
            let bytes = word.to_be_bytes();
            let wanted = 3usize.saturating_sub(padding);
            out.extend_from_slice(&bytes[1..1 + wanted]);
            (word, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(bad("invalid base64 end sequence")
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(())
}

fn push_escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            0 | 128.. => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            b'\\' => out.extend_from_slice(b"\\\\"),
            byte => out.push(byte),
        }
    }
}

fn unknown_encoding(name: &str) -> Error {
    bad(format!("unrecognized encoding: \"{name}\""))
}

fn encode(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let bytes = args.bytes(0, row);
        match args.str(1, row).to_ascii_lowercase().as_str() {
            "hex" => push_hex(bytes, out),
            "base64" => push_base64(bytes, out),
            "escape" => push_escape(bytes, out),
            _ => return Err(unknown_encoding(args.str(1, row))),
        }
        Ok(())
    })
}

fn decode(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let text = args.str(0, row);
        match args.str(1, row).to_ascii_lowercase().as_str() {
            "hex" => {
                let mut high = None;
                for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
                    let digit =
                        c.to_digit(16).ok_or_else(|| bad(format!("invalid hexadecimal digit: \"{c}\"")))?;
                    match high.take() {
                        None => high = Some(digit),
                        Some(high) => out.push((high << 4 | digit) as u8),
                    }
                }
                if high.is_some() {
                    return Err(bad("invalid hexadecimal data: odd number of digits"));
                }
                Ok(())
            }
            "base64" => read_base64(text, out),
            "escape" => {
                let bytes = text.as_bytes();
                let mut at = 0;
                while at < bytes.len() {
                    if bytes[at] != b'\\' {
                        out.push(bytes[at]);
                        at += 1;
                    } else if bytes.get(at + 1) == Some(&b'\\') {
                        out.push(b'\\');
                        at += 2;
                    } else {
                        let digits = text.get(at + 1..at + 4).and_then(|d| u8::from_str_radix(d, 8).ok());
                        let byte = digits.ok_or_else(|| {
                            Error::new(
                                SqlState::INVALID_TEXT_REPRESENTATION,
                                "invalid input syntax for type bytea",
                            )
                        })?;
                        out.push(byte);
                        at += 4;
                    }
                }
                Ok(())
            }
            _ => Err(unknown_encoding(args.str(1, row))),
        }
    })
}

/// RFC 1321.
fn md5(input: &[u8]) -> [u8; 16] {
    const SHIFTS: [u32; 16] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let constants: Vec<u32> = (0..64).map(|i| (f64::from(i + 1).sin().abs() * 4294967296.0) as u32).collect();
    let mut message = input.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(input.len() as u64).wrapping_mul(8).to_le_bytes());
    for block in message.chunks_exact(64) {
        let words: Vec<u32> =
            block.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (mix, word) = match i / 16 {
                0 => (b & c | !b & d, i),
                1 => (d & b | !d & c, (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), (7 * i) % 16),
            };
            let turned = a
                .wrapping_add(mix)
                .wrapping_add(constants[i])
                .wrapping_add(words[word])
                .rotate_left(SHIFTS[i / 16 * 4 + i % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (slot, value) in state.iter_mut().zip([a, b, c, d]) {
            *slot = slot.wrapping_add(value);
        }
    }
    let mut out = [0; 16];
    for (bytes, word) in out.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// The first `count` primes' root fractions that SHA-2 is built on: floor(frac(p^(1/n)) * 2^64).
fn sha_constants(count: usize, cube: bool) -> Vec<u64> {
    let mut primes = Vec::new();
    let mut candidate = 2u64;
    while primes.len() < count {
        if primes.iter().all(|&p| !candidate.is_multiple_of(p)) {
            primes.push(candidate);
        }
        candidate += 1;
    }
    // The root scaled by 2^64, by bisection on exact integers.
    primes
        .into_iter()
        .map(|prime| {
            let (mut low, mut high) = (0u128, 1u128 << 70);
            while high - low > 1 {
                let middle = (low + high) / 2;
                if power_at_most(middle, if cube { 3 } else { 2 }, prime) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            low as u64
        })
        .collect()
}

/// root^n <= prime * 2^(64 n), in 256-bit steps of 32-bit limbs.
fn power_at_most(root: u128, n: usize, prime: u64) -> bool {
    let limbs = |mut value: u128| -> Vec<u64> {
        let mut out = Vec::new();
        while value > 0 {
            out.push((value & 0xffff_ffff) as u64);
            value >>= 32;
        }
        out
    };
    let multiply = |a: &[u64], b: &[u64]| -> Vec<u64> {
        let mut out = vec![0u64; a.len() + b.len()];
        for (i, x) in a.iter().enumerate() {
            let mut carry = 0u64;
            for (j, y) in b.iter().enumerate() {
                let sum = out[i + j] + x * y + carry;
                out[i + j] = sum & 0xffff_ffff;
                carry = sum >> 32;
            }
            out[i + b.len()] += carry;
        }
        while out.last() == Some(&0) {
            out.pop();
        }
        out
    };
    let base = limbs(root);
    let mut power = base.clone();
    for _ in 1..n {
        power = multiply(&power, &base);
    }
    let mut limit = vec![0u64; 2 * n];
    limit.extend(limbs(u128::from(prime)));
    match power.len().cmp(&limit.len()) {
        std::cmp::Ordering::Equal => power.iter().rev().le(limit.iter().rev()),
        order => order.is_lt(),
    }
}

/// FIPS 180-4: SHA-224 and SHA-256.
fn sha256(input: &[u8], bits: usize) -> Vec<u8> {
    let k: Vec<u32> = sha_constants(64, true).into_iter().map(|word| (word >> 32) as u32).collect();
    let initial = sha_constants(16, false);
    let mut state: Vec<u32> = if bits == 224 {
        initial.iter().skip(8).map(|&word| word as u32).collect()
    } else {
        initial.iter().take(8).map(|&word| (word >> 32) as u32).collect()
    };
    let mut message = input.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(input.len() as u64 * 8).to_be_bytes());
    for block in message.chunks_exact(64) {
        let mut w: Vec<u32> =
            block.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect();
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ w[i - 15] >> 3;
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ w[i - 2] >> 10;
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for i in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = v[4] & v[5] ^ !v[4] & v[6];
            let t1 = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(k[i]).wrapping_add(w[i]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2];
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0).wrapping_add(majority);
        }
        state.iter_mut().zip(v).for_each(|(slot, value)| *slot = slot.wrapping_add(value));
    }
    let mut out: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    out.truncate(bits / 8);
    out
}

/// FIPS 180-4: SHA-512 (SHA-384 starts from other words).
fn sha512(input: &[u8], bits: usize) -> Vec<u8> {
    let k = sha_constants(80, true);
    let initial = sha_constants(16, false);
    let mut state: Vec<u64> = initial.iter().skip(if bits == 384 { 8 } else { 0 }).take(8).copied().collect();
    let mut message = input.to_vec();
    message.push(0x80);
    while message.len() % 128 != 112 {
        message.push(0);
    }
    message.extend_from_slice(&(input.len() as u128 * 8).to_be_bytes());
    for block in message.chunks_exact(128) {
        let mut w: Vec<u64> = block
            .chunks_exact(8)
            .map(|b| u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
            .collect();
        for i in 16..80 {
            let s0 = w[i - 15].rotate_right(1) ^ w[i - 15].rotate_right(8) ^ w[i - 15] >> 7;
            let s1 = w[i - 2].rotate_right(19) ^ w[i - 2].rotate_right(61) ^ w[i - 2] >> 6;
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for i in 0..80 {
            let s1 = v[4].rotate_right(14) ^ v[4].rotate_right(18) ^ v[4].rotate_right(41);
            let choice = v[4] & v[5] ^ !v[4] & v[6];
            let t1 = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(k[i]).wrapping_add(w[i]);
            let s0 = v[0].rotate_right(28) ^ v[0].rotate_right(34) ^ v[0].rotate_right(39);
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2];
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0).wrapping_add(majority);
        }
        state.iter_mut().zip(v).for_each(|(slot, value)| *slot = slot.wrapping_add(value));
    }
    let mut out: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    out.truncate(bits / 8);
    out
}

fn md5_hex(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        push_hex(&md5(args.bytes(0, row)), out);
        Ok(())
    })
}

fn sha(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let bytes = args.bytes(0, row);
        out.extend_from_slice(&match args.function.source {
            "sha224_bytea" => sha256(bytes, 224),
            "sha256_bytea" => sha256(bytes, 256),
            "sha384_bytea" => sha512(bytes, 384),
            _ => sha512(bytes, 512),
        });
        Ok(())
    })
}

fn range_error(index: i64, last: i64) -> Error {
    Error::new(SqlState::ARRAY_SUBSCRIPT_ERROR, format!("index {index} out of valid range, 0..{last}"))
}

fn byte_index(bytes: &[u8], index: i64) -> Result<usize> {
    let last = bytes.len() as i64 - 1;
    usize::try_from(index).ok().filter(|&i| i < bytes.len()).ok_or_else(|| range_error(index, last))
}

fn bit_index(bytes: &[u8], index: i64) -> Result<(usize, u32)> {
    let bits = bytes.len() as i64 * 8;
    if !(0..bits).contains(&index) {
        return Err(range_error(index, bits - 1));
    }
    Ok(((index / 8) as usize, (index % 8) as u32))
}

fn set_byte(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let at = byte_index(args.bytes(0, row), args.int(1, row))? + out.len();
        out.extend_from_slice(args.bytes(0, row));
        out[at] = args.int(2, row) as u8;
        Ok(())
    })
}

fn set_bit(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let (byte, bit) = bit_index(args.bytes(0, row), args.int(1, row))?;
        let at = byte + out.len();
        out.extend_from_slice(args.bytes(0, row));
        match args.int(2, row) {
            0 => out[at] &= !(1 << bit),
            1 => out[at] |= 1 << bit,
            _ => return Err(bad("new bit must be 0 or 1")),
        }
        Ok(())
    })
}

fn random_uuid(args: &Args<'_>) -> Result<Vector> {
    args.build(|_| {
        let half = || u128::from((args.cx.random() * 18446744073709551616.0) as u64);
        let bits = half() << 64 ^ half() ^ half() << 11;
        // Version 4, variant 1.
        Ok(bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62)
    })
}

/// Backslash escapes of code points: `\0041`, `\+000041`, `\u0041`, `\U00000041`.
fn unistr(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let bad = || {
            Error::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
                .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
        };
        let text = args.str(0, row);
        let mut buffer = [0; 4];
        let mut rest = text;
        let mut high: Option<u32> = None;
        while let Some(c) = rest.chars().next() {
            if c != '\\' {
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                rest = &rest[c.len_utf8()..];
                continue;
            }
            let after = &rest[1..];
            if let Some(after) = after.strip_prefix('\\') {
                out.push(b'\\');
                rest = after;
                continue;
            }
            let (skip, digits) = match after.chars().next() {
                Some('u') => (1, 4),
                Some('U') => (1, 8),
                Some('+') => (1, 6),
                _ => (0, 4),
            };
            let code = after
                .get(skip..skip + digits)
                .and_then(|d| u32::from_str_radix(d, 16).ok())
                .ok_or_else(bad)?;
            rest = &after[skip + digits..];
            let code = match (high.take(), code) {
                (None, 0xd800..=0xdbff) => {
                    high = Some(code);
                    continue;
                }
                (Some(high), 0xdc00..=0xdfff) => 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00),
                (None, code) => code,
                (Some(_), _) => {
                    return Err(Error::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair"));
                }
            };
            let c = char::from_u32(code).filter(|&c| c != '\0').ok_or_else(bad)?;
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        }
        Ok(())
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("binary_encode", encode),
    ("binary_decode", decode),
    ("md5_text", md5_hex),
    ("md5_bytea", md5_hex),
    ("sha224_bytea", sha),
    ("sha256_bytea", sha),
    ("sha384_bytea", sha),
    ("sha512_bytea", sha),
    ("byteaGetByte", |args| {
        args.build(|row| {
            let bytes = args.bytes(0, row);
            Ok(i32::from(bytes[byte_index(bytes, args.int(1, row))?]))
        })
    }),
    ("byteaSetByte", set_byte),
    ("byteaGetBit", |args| {
        args.build(|row| {
            let bytes = args.bytes(0, row);
            let (byte, bit) = bit_index(bytes, args.int(1, row))?;
            Ok(i32::from(bytes[byte] >> bit & 1))
        })
    }),
    ("byteaSetBit", set_bit),
    ("bytea_bit_count", |args| {
        args.build(|row| Ok(args.bytes(0, row).iter().map(|byte| i64::from(byte.count_ones())).sum::<i64>()))
    }),
    ("gen_random_uuid", random_uuid),
    ("unistr", unistr),
    ("pg_convert_from", |args| {
        let text = |row: usize| -> Result<Value> {
            let name = args.str(1, row);
            if !matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") {
                return Err(Error::not_supported(format!("conversion from encoding \"{name}\"")));
            }
            match std::str::from_utf8(args.bytes(0, row)) {
                Ok(text) => Ok(Value::text(text)),
                Err(error) => {
                    let at = error.valid_up_to();
                    let shown: Vec<String> = args
                        .bytes(0, row)
                        .iter()
                        .skip(at)
                        .take(1)
                        .map(|byte| format!("0x{byte:02x}"))
                        .collect();
                    Err(Error::new(
                        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
                    ))
                }
            }
        };
        args.build_values(text)
    }),
    ("pg_convert_to", |args| {
        args.build_text(|row, out| {
            let name = args.str(1, row);
            if !matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") {
                return Err(Error::not_supported(format!("conversion to encoding \"{name}\"")));
            }
            out.extend_from_slice(args.bytes(0, row));
            Ok(())
        })
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_hex(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn digests_match_their_standards() {
        assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(&md5(b"message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(
            hex(&sha256(b"abc", 256)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hex(&sha256(b"abc", 224)), "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
        assert!(hex(&sha512(b"abc", 512)).starts_with("ddaf35a193617abacc417349ae204131"));
        assert!(hex(&sha512(b"abc", 384)).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
    }
}
