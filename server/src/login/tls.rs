//! TLS: the server's certificate and key, client certificates, and what SCRAM binds to.
//!
//! By `rustls` with the `ring` provider. Loaded at start and again on SIGHUP; running connections keep
//! what they began with.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio_rustls::TlsAcceptor;
use types::{Error, Result, SqlState};

/// What TLS connections are made with.
pub struct Tls {
    pub acceptor: TlsAcceptor,
    /// Hash of the certificate by its own signature's hash (tls-server-end-point); `None` when that is
    /// not defined for its kind of signature, and then SCRAM-SHA-256-PLUS is not offered.
    pub certificate_hash: Option<Vec<u8>>,
}

impl Tls {
    /// Reads PEM files. F0000 for files that do not fit, 58P01, 58030.
    pub fn load(certificate: &Path, key: &Path, authorities: Option<&Path>) -> Result<Tls> {
        let chain = certificates(certificate, "server certificate")?;
        check_permissions(key)?;
        let private_key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| unreadable("private key", key, &error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(format!("could not set up TLS: {error}")))?;
        let builder = match authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path, "root certificate")? {
                    roots
                        .add(authority)
                        .map_err(|error| unreadable("root certificate", path, &error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| unreadable("root certificate", path, &error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let certificate_hash = chain.first().and_then(|certificate| end_point(certificate));
        let mut config = builder.with_single_cert(chain, private_key).map_err(|error| {
            invalid(format!(
                "certificate file \"{}\" and private key file \"{}\" do not fit together: {error}",
                certificate.display(),
                key.display()
            ))
        })?;
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_hash })
    }
}

/// F0000.
fn invalid(message: String) -> Error {
    Error::new(SqlState::CONFIG_FILE_ERROR, message)
}

fn unreadable(what: &str, path: &Path, why: &str) -> Error {
    invalid(format!("could not load {what} file \"{}\": {why}", path.display()))
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unreadable(what, path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(unreadable(what, path, "it holds no certificate"));
    }
    Ok(certificates)
}

/// A key that others may read is no secret: refused, as PostgreSQL does.
fn check_permissions(key: &Path) -> Result<()> {
    let shown = key.display();
    let metadata = std::fs::metadata(key).map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
            _ => SqlState::IO_ERROR,
        };
        Error::new(code, format!("could not access private key file \"{shown}\": {error}"))
    })?;
    if !metadata.is_file() {
        return Err(invalid(format!("private key file \"{shown}\" is not a regular file")));
    }
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !own && metadata.uid() != 0 {
        return Err(invalid(format!(
            "private key file \"{shown}\" must be owned by the database user or root"
        )));
    }
    let too_open = if own && metadata.uid() != 0 { 0o077 } else { 0o037 };
    if metadata.mode() & too_open != 0 {
        return Err(invalid(format!("private key file \"{shown}\" has group or world access")).with_detail(
            "File must have permissions u=rw (0600) or less if owned by the database user, or permissions u=rw,g=r (0640) or less if owned by root.",
        ));
    }
    Ok(())
}

// ---- what we read in a certificate ourselves ----

/// The hash of RFC 5929's tls-server-end-point.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, body, _) = element(certificate)?;
    let (_, _, rest) = element(body)?;
    let (_, algorithm, _) = element(rest)?;
    let (_, oid, _) = element(algorithm)?;
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let bits = match (oid.strip_prefix(RSA), oid.strip_prefix(ECDSA)) {
        // MD5 and SHA-1 are replaced by SHA-256.
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => 256,
        (Some([12]), _) | (_, Some([3, 3])) => 384,
        (Some([13]), _) | (_, Some([3, 4])) => 512,
        _ => return None,
    };
    Some(match bits {
        256 => Sha256::digest(certificate).to_vec(),
        384 => Sha384::digest(certificate).to_vec(),
        _ => Sha512::digest(certificate).to_vec(),
    })
}

/// The subject's first common name, `None` when it has none or one that is no text.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    let (_, body, _) = element(certificate)?;
    let (_, mut rest, _) = element(body)?;
    // [0] version, if there; then serial, signature, issuer, validity, subject.
    if let Some((0xa0, _, after)) = element(rest) {
        rest = after;
    }
    for _ in 0..4 {
        (_, _, rest) = element(rest)?;
    }
    let (_, mut names, _) = element(rest)?;
    while let Some((_, mut set, after)) = element(names) {
        names = after;
        while let Some((_, attribute, after)) = element(set) {
            set = after;
            let (_, oid, value) = element(attribute)?;
            if oid == COMMON_NAME {
                let (tag, text, _) = element(value)?;
                // UTF8String, PrintableString, TeletexString, IA5String: and no zero byte in it.
                let known = matches!(tag, 0x0c | 0x13 | 0x14 | 0x16) && !text.contains(&0);
                return known.then(|| String::from_utf8(text.to_vec()).ok()).flatten();
            }
        }
    }
    None
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        rest = after;
        digits.iter().fold(0usize, |length, digit| length << 8 | usize::from(*digit))
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_certificates_never_panic() {
        let der = [0x30, 0x82, 0x01, 0x00, 0x30, 0x03, 0x02, 0x01, 0x05, 0x30, 0x02, 0x06, 0x00];
        for cut in 0..der.len() {
            assert_eq!(common_name(&der[..cut]), None);
            assert_eq!(end_point(&der[..cut]), None);
        }
        assert_eq!(element(&[0x04, 0x81, 0x02, 1, 2, 3]), Some((0x04, &[1, 2][..], &[3][..])));
        assert_eq!(element(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
