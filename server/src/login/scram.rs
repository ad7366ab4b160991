//! SCRAM-SHA-256: verifiers as PostgreSQL stores them, and the server's half of the exchange.
//!
//! `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey` says that somebody knows the password without saying
//! it. An exchange for a role that is not there, or has no password, runs to its end over a verifier
//! made up from the server's secret and fails there, so that neither answer nor time tells why.
//! After RFC 5802, RFC 7677 and RFC 5929 (tls-server-end-point).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use types::{Error, Result, SqlState};

/// What a new verifier costs a guesser, and PostgreSQL's default.
const ITERATIONS: u32 = 4096;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 18;
const KEY_BYTES: usize = 32;

pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

type Key = [u8; KEY_BYTES];

/// What is stored of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

/// Keys stay out of logs.
impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl Verifier {
    /// Of a plain password, with a new salt.
    pub fn from_password(password: &str) -> Result<Verifier> {
        Ok(Verifier::derive(password, &super::random::<SALT_BYTES>()?, ITERATIONS))
    }

    fn derive(password: &str, salt: &[u8], iterations: u32) -> Verifier {
        // A password that SASLprep has no form for is taken as its bytes, by both sides.
        let prepared = stringprep::saslprep(password);
        let bytes = prepared.as_deref().unwrap_or(password).as_bytes();
        let salted = salted_password(bytes, salt, iterations);
        let client_key = hmac(&salted, &[b"Client Key"]);
        Verifier {
            iterations,
            salt: salt.to_vec(),
            stored_key: sha256(&[&client_key]),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// The stored form, `None` for any other text.
    pub fn parse(text: &str) -> Option<Verifier> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (cost, keys) = rest.split_once('$')?;
        let (iterations, salt) = cost.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text: &str| -> Option<Key> { BASE64.decode(text).ok()?.try_into().ok() };
        Some(Verifier {
            iterations: iterations.parse().ok().filter(|count| *count > 0 && *count <= i32::MAX as u32)?,
            salt: BASE64.decode(salt).ok()?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// For a role that has none: always the same for the same name, known to nobody.
    fn made_up(role: &str, secret: &[u8]) -> Verifier {
        let salt = sha256(&[role.as_bytes(), secret]);
        Verifier {
            iterations: ITERATIONS,
            salt: salt.get(..SALT_BYTES).unwrap_or_default().to_vec(),
            stored_key: hmac(secret, &[b"stored", role.as_bytes()]),
            server_key: hmac(secret, &[b"server", role.as_bytes()]),
        }
    }
}

/// The stored form.
impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key, &self.server_key].map(|bytes| BASE64.encode(bytes));
        write!(f, "SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }
}

/// What CREATE and ALTER ROLE store for `password`: a verifier given as such is taken as it is.
///
/// 0A000 for an md5 verifier.
pub fn stored_form(password: &str) -> Result<String> {
    if Verifier::parse(password).is_some() {
        return Ok(password.to_string());
    }
    let is_md5 = password
        .strip_prefix("md5")
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if is_md5 {
        return Err(Error::not_supported("an md5 password")
            .with_hint("Give the password itself, or a SCRAM-SHA-256 verifier."));
    }
    Ok(Verifier::from_password(password)?.to_string())
}

/// One login's exchange, from the client's first message to its last.
pub struct Exchange {
    verifier: Verifier,
    /// False: it fails at the end, whatever the client shows.
    genuine: bool,
    /// Hash of the server's certificate, when SCRAM-SHA-256-PLUS was offered.
    certificate_hash: Option<Vec<u8>>,
    /// The client chose SCRAM-SHA-256-PLUS.
    plus: bool,
    gs2_header: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

/// 08P01.
fn malformed(detail: &str) -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message").with_detail(detail.to_string())
}

impl Exchange {
    /// `verifier`: the role's, `None` when it has none or may not use it.
    pub fn new(
        role: &str,
        verifier: Option<Verifier>,
        secret: &[u8],
        mechanism: &str,
        certificate_hash: Option<Vec<u8>>,
    ) -> Result<Exchange> {
        let plus = mechanism == SCRAM_SHA_256_PLUS && certificate_hash.is_some();
        if !plus && mechanism != SCRAM_SHA_256 {
            return Err(Error::new(
                SqlState::PROTOCOL_VIOLATION,
                "client selected an invalid SASL authentication mechanism",
            ));
        }
        let made_up = Verifier::made_up(role, secret);
        Ok(Exchange {
            genuine: verifier.is_some(),
            verifier: verifier.unwrap_or(made_up),
            certificate_hash,
            plus,
            gs2_header: String::new(),
            client_first_bare: String::new(),
            server_first: String::new(),
            nonce: String::new(),
        })
    }

    /// Takes client-first, returns server-first. 08P01; 28000 for a channel binding that was talked out of.
    pub fn first(&mut self, message: &[u8]) -> Result<&str> {
        let text = std::str::from_utf8(message).map_err(|_| malformed("The message is not UTF-8."))?;
        let mut parts = text.splitn(3, ',');
        let (Some(binding), Some(authorization), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("The message is too short."));
        };
        match (binding, self.plus) {
            ("n", false) => {}
            // The client could bind but was told that we cannot: somebody sits in between.
            ("y", false) if self.certificate_hash.is_some() => {
                return Err(Error::new(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    "SCRAM channel binding negotiation error",
                )
                .with_detail("The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding."));
            }
            ("y", false) => {}
            ("n" | "y", true) => {
                return Err(malformed(
                    "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
                ));
            }
            (other, plus) => match other.strip_prefix("p=") {
                Some("tls-server-end-point") if plus => {}
                Some(_) if !plus => {
                    return Err(malformed(
                        "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
                    ));
                }
                Some(kind) => {
                    return Err(Error::new(
                        SqlState::PROTOCOL_VIOLATION,
                        format!("unsupported SCRAM channel-binding type \"{}\"", kind.escape_debug()),
                    ));
                }
                None => return Err(malformed("Unexpected channel-binding flag.")),
            },
        }
        if !authorization.is_empty() {
            return Err(Error::not_supported("client uses authorization identity, but it is not supported"));
        }
        self.gs2_header = format!("{binding},,");
        let mut attributes = bare.split(',');
        let user = attributes.next().unwrap_or_default();
        if user.starts_with("m=") {
            return Err(Error::not_supported("client requires an unsupported SCRAM extension"));
        }
        if !user.starts_with("n=") {
            return Err(malformed("Expected attribute \"n\"."));
        }
        // The name in the startup packet counts, as in PostgreSQL.
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        let nonce = nonce.ok_or_else(|| malformed("Expected attribute \"r\"."))?;
        if nonce.is_empty() || !nonce.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err(Error::new(SqlState::PROTOCOL_VIOLATION, "non-printable characters in SCRAM nonce"));
        }
        self.nonce = format!("{nonce}{}", BASE64.encode(super::random::<NONCE_BYTES>()?));
        self.client_first_bare = bare.to_string();
        self.server_first = format!(
            "r={},s={},i={}",
            self.nonce,
            BASE64.encode(&self.verifier.salt),
            self.verifier.iterations
        );
        Ok(&self.server_first)
    }

    /// Takes client-final; `Some` server-final when the client knows the password. 08P01, 28000.
    pub fn last(&self, message: &[u8]) -> Result<Option<String>> {
        let text = std::str::from_utf8(message).map_err(|_| malformed("The message is not UTF-8."))?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or_else(|| malformed("Expected attribute \"p\"."))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|attribute| attribute.strip_prefix("c="));
        let binding = binding.ok_or_else(|| malformed("Expected attribute \"c\"."))?;
        let mut expected = self.gs2_header.clone().into_bytes();
        if self.plus {
            expected.extend_from_slice(self.certificate_hash.as_deref().unwrap_or_default());
        }
        if binding != BASE64.encode(&expected) {
            return Err(match self.plus {
                true => Error::new(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    "SCRAM channel binding check failed",
                ),
                false => Error::new(
                    SqlState::PROTOCOL_VIOLATION,
                    "unexpected SCRAM channel-binding attribute in client-final-message",
                ),
            });
        }
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) || self.nonce.is_empty() {
            return Err(Error::new(SqlState::PROTOCOL_VIOLATION, "invalid SCRAM response")
                .with_detail("Nonce does not match."));
        }
        let proof: Option<Key> = BASE64.decode(proof).ok().and_then(|bytes| bytes.try_into().ok());
        let proof = proof.ok_or_else(|| malformed("Malformed proof in client-final-message."))?;

        let said: [&[u8]; 5] = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            without_proof.as_bytes(),
        ];
        let signature = hmac(&self.verifier.stored_key, &said);
        let client_key = xor(proof, signature);
        let knows = sha256(&[&client_key]).ct_eq(&self.verifier.stored_key);
        let answer = hmac(&self.verifier.server_key, &said);
        let passes = bool::from(knows) & self.genuine;
        Ok(passes.then(|| format!("v={}", BASE64.encode(answer))))
    }
}

fn sha256(parts: &[&[u8]]) -> Key {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn xor(mut a: Key, b: Key) -> Key {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}

/// PBKDF2 with HMAC-SHA-256 and one block, which RFC 5802 calls Hi.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let keyed = keyed(password);
    let round = |parts: &[&[u8]]| -> Key {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &1u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..iterations {
        last = round(&[&last]);
        sum = xor(sum, last);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's side, for the password it holds.
    fn answer(password: &str, gs2: &[u8], bare: &str, server_first: &str) -> (String, String) {
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        let salt = BASE64.decode(field("s=")).unwrap();
        let salted = salted_password(password.as_bytes(), &salt, field("i=").parse().unwrap());
        let client_key = hmac(&salted, &[b"Client Key"]);
        let without = format!("c={},r={}", BASE64.encode(gs2), field("r="));
        let said = format!("{bare},{server_first},{without}");
        let signature = hmac(&sha256(&[&client_key]), &[said.as_bytes()]);
        let server = hmac(&hmac(&salted, &[b"Server Key"]), &[said.as_bytes()]);
        let proof = BASE64.encode(xor(client_key, signature));
        (format!("{without},p={proof}"), format!("v={}", BASE64.encode(server)))
    }

    fn exchange(verifier: Option<Verifier>) -> Exchange {
        Exchange::new("ann", verifier, b"secret", SCRAM_SHA_256, None).unwrap()
    }

    #[test]
    fn rfc_7677_has_this_verifier() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive("pencil", &salt, 4096);
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(verifier.to_string(), text);
        assert!(Verifier::parse(text).unwrap() == verifier);
        assert_eq!(stored_form(text).unwrap(), text);
        let made = stored_form("x").unwrap();
        assert!(Verifier::parse(&made).is_some() && made != stored_form("x").unwrap());
    }

    #[test]
    fn only_the_password_passes() {
        let verifier = Verifier::from_password("pencil").unwrap();
        for (verifier, password, passes) in [
            (Some(verifier.clone()), "pencil", true),
            (Some(verifier), "pencils", false),
            (None, "pencil", false),
        ] {
            let mut exchange = exchange(verifier);
            let server_first = exchange.first(b"n,,n=,r=abc").unwrap().to_string();
            let (last, expected) = answer(password, b"n,,", "n=,r=abc", &server_first);
            assert_eq!(exchange.last(last.as_bytes()).unwrap(), passes.then_some(expected));
        }
    }

    #[test]
    fn what_the_client_says_is_checked() {
        let code = |message: &[u8]| exchange(None).first(message).map(|_| ()).unwrap_err().code();
        for message in [
            "",
            "n",
            "n,,",
            "x,,n=,r=a",
            "p=tls-unique,,n=,r=a",
            "n,,r=a",
            "n,,n=",
            "n,,n=,r=",
            "n,,n=,r=\u{7f}",
        ] {
            assert_eq!(code(message.as_bytes()), SqlState::PROTOCOL_VIOLATION, "{message}");
        }
        assert_eq!(code(b"n,a=eve,n=,r=a"), SqlState::FEATURE_NOT_SUPPORTED);
        let mut exchange = exchange(None);
        exchange.first(b"n,,n=,r=a").unwrap();
        for message in ["c=biws,r=a,p=AAAA", "c=eSws,r=a,p=AAAA", "", "c=biws", "\u{0},p="] {
            assert_eq!(exchange.last(message.as_bytes()).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION);
        }
    }

    #[test]
    fn a_binding_that_was_talked_out_of_is_noticed() {
        let with_tls = |mechanism| Exchange::new("ann", None, b"", mechanism, Some(vec![7; 32])).unwrap();
        let error = with_tls(SCRAM_SHA_256).first(b"y,,n=,r=a").map(|_| ()).unwrap_err();
        assert_eq!(error.code(), SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
        let mut exchange = with_tls(SCRAM_SHA_256_PLUS);
        let server_first = exchange.first(b"p=tls-server-end-point,,n=,r=a").unwrap().to_string();
        let (last, _) = answer("x", b"p=tls-server-end-point,,other", "n=,r=a", &server_first);
        let error = exchange.last(last.as_bytes()).unwrap_err();
        assert_eq!(error.message(), "SCRAM channel binding check failed");
    }

    #[test]
    fn an_unknown_role_always_shows_the_same_salt() {
        let salt = |role: &str| Verifier::made_up(role, b"secret").salt;
        assert_eq!(salt("ann"), salt("ann"));
        assert_ne!(salt("ann"), salt("bob"));
    }
}
