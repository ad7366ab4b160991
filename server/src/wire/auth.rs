//! A login: the access file's rule, what it asks for, and the SASL messages of a password.
//!
//! Called by `connection.rs` between the startup packet and the session. Whether a role exists shows
//! neither in the answer nor in its time; the log says more. Messages and codes are PostgreSQL's.

use std::net::SocketAddr;
use std::time::Instant;

use catalog::Catalog;
use tokio::io::{AsyncRead, AsyncWrite};
use types::{Error, Result, SqlState};

use crate::database::Server;
use crate::login::access::{ClientCertificate, Method, Visitor};
use crate::login::scram::{self, Verifier};
use crate::login::tls;
use crate::scheduler::coroutine::Transport;
use crate::session::StartupParameters;
use crate::wire::connection::Socket;
use crate::wire::{encode, message};

/// SASL messages are small; PostgreSQL has the same bound.
const MAX_SASL_BYTES: usize = 1024;

/// Lets the client in, or says why not: 28000, 28P01. False: the client has left.
pub async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    socket: &mut Socket<S>,
    input: &mut Vec<u8>,
    parameters: &StartupParameters,
    peer: Option<SocketAddr>,
) -> Result<bool> {
    let catalog = server.shared_catalog()?;
    let role = parameters.user.as_str();
    let visitor = Visitor {
        address: peer.map(|peer| peer.ip()),
        is_encrypted: socket.is_encrypted(),
        database: parameters.database.as_deref().unwrap_or(role),
        role,
    };
    let access = server.login.access();
    let rule = match access.rule(&visitor, &catalog) {
        Some(rule) if rule.method != Method::Reject => rule,
        other => return Err(no_entry(&visitor, other.is_some())),
    };
    let certificate = socket.client_certificate();
    if rule.client_certificate != ClientCertificate::NotAsked && certificate.is_none() {
        return Err(Error::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "connection requires a valid client certificate",
        ));
    }
    if rule.client_certificate == ClientCertificate::VerifyFull {
        let name = certificate.as_deref().and_then(tls::common_name);
        if name.as_deref() != Some(role) {
            tracing::warn!("certificate {name:?} from {} is not for role {role:?}", shown(peer));
            return Err(Error::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("certificate authentication failed for user \"{role}\""),
            ));
        }
    }
    match rule.method {
        Method::ScramSha256 => password(server, socket, input, &catalog, role, peer).await,
        Method::Trust | Method::Cert | Method::Reject => Ok(true),
    }
}

fn no_entry(visitor: &Visitor<'_>, rejected: bool) -> Error {
    let encryption = if visitor.is_encrypted { "SSL encryption" } else { "no encryption" };
    let from = match visitor.address {
        Some(address) => address.to_string(),
        None => "[local]".to_string(),
    };
    let Visitor { role, database, .. } = visitor;
    let message = match rejected {
        true => format!(
            "pg_hba.conf rejects connection for host \"{from}\", user \"{role}\", database \"{database}\", {encryption}"
        ),
        false => format!(
            "no pg_hba.conf entry for host \"{from}\", user \"{role}\", database \"{database}\", {encryption}"
        ),
    };
    Error::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
}

fn shown(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "a local socket".to_string(), |peer| peer.to_string())
}

/// SCRAM-SHA-256, with channel binding where there is TLS.
async fn password<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    socket: &mut Socket<S>,
    input: &mut Vec<u8>,
    catalog: &Catalog,
    role: &str,
    peer: Option<SocketAddr>,
) -> Result<bool> {
    let certificate_hash = socket.certificate_hash();
    let mut mechanisms = vec![scram::SCRAM_SHA_256];
    if certificate_hash.is_some() {
        mechanisms.insert(0, scram::SCRAM_SHA_256_PLUS);
    }
    let mut out = Vec::new();
    encode::authentication_sasl(&mut out, &mechanisms);
    if socket.write(&out).await.is_err() {
        return Ok(false);
    }

    let Some(initial) = sasl_message(socket, input).await? else { return Ok(false) };
    let (mechanism, first) = message::decode_sasl_initial(&initial)?;
    let (verifier, why) = usable_verifier(catalog, role);
    let mut exchange =
        scram::Exchange::new(role, verifier, &server.login.secret, mechanism, certificate_hash)?;
    out.clear();
    encode::authentication_sasl_continue(&mut out, exchange.first(first)?.as_bytes());
    if socket.write(&out).await.is_err() {
        return Ok(false);
    }

    let Some(last) = sasl_message(socket, input).await? else { return Ok(false) };
    let answer = exchange.last(message::sasl_data(&last))?;
    let address = peer.map(|peer| peer.ip());
    let delay = server.login.throttle.attempt(role, address, Instant::now());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let Some(answer) = answer else {
        server.login.throttle.failed(role, address, Instant::now());
        tracing::warn!("password authentication failed for user {role:?} from {}: {why}", shown(peer));
        return Err(Error::new(
            SqlState::INVALID_PASSWORD,
            format!("password authentication failed for user \"{role}\""),
        ));
    };
    server.login.throttle.passed(role, address);
    out.clear();
    encode::authentication_sasl_final(&mut out, answer.as_bytes());
    Ok(socket.write(&out).await.is_ok())
}

/// The role's verifier if a password may be used, and what the log says when the login fails.
fn usable_verifier(catalog: &Catalog, role: &str) -> (Option<Verifier>, &'static str) {
    let Some(role) = catalog.role_by_name(role) else { return (None, "there is no such role") };
    let Some(stored) = &role.password else { return (None, "the role has no password") };
    if role.valid_until.is_some_and(|until| until < crate::now()) {
        return (None, "the role's password has expired");
    }
    match Verifier::parse(stored) {
        Some(verifier) => (Some(verifier), "the password does not match"),
        None => (None, "the role's stored password is no SCRAM verifier"),
    }
}

/// The next message, which must be an answer to a SASL request; `None` when the client leaves. 08P01.
async fn sasl_message<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<S>,
    input: &mut Vec<u8>,
) -> Result<Option<Vec<u8>>> {
    loop {
        if input.first().is_some_and(|tag| *tag != b'p') {
            return Err(message::protocol("expected SASL response"));
        }
        if input.len() > MAX_SASL_BYTES {
            return Err(message::protocol("invalid message length"));
        }
        if let Some(length) = message::frame(input)? {
            let rest = input.split_off(length);
            return Ok(Some(std::mem::replace(input, rest)));
        }
        match socket.read(input).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}
