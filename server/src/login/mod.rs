//! Who may come in: passwords (SCRAM), the access file, TLS, delays after failures. No socket in here.
//!
//! `wire/auth.rs` asks these in the order of a login; `session` makes verifiers of the passwords that
//! CREATE and ALTER ROLE are given. The files are read at start and again on SIGHUP.

use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use types::{Error, Result, SqlState};

pub mod access;
pub mod redact;
pub mod scram;
pub mod throttle;
pub mod tls;

use crate::session::settings::Settings;
use access::AccessFile;
use throttle::Throttle;
use tls::Tls;

/// The access file inside the data directory, read when it is there.
pub const ACCESS_FILE: &str = "cairn_hba.conf";
/// What made-up verifiers are made from; kept, so that a restart does not change what unknown roles show.
const SECRET_FILE: &str = "cairn.login";

/// What logins are decided by.
pub struct Login {
    files: Files,
    access: RwLock<Arc<AccessFile>>,
    tls: RwLock<Option<Arc<Tls>>>,
    pub throttle: Throttle,
    pub secret: [u8; 32],
}

/// Where it is read from.
#[derive(Debug, Clone)]
struct Files {
    access: PathBuf,
    /// hba_file was set: it must be there.
    is_named: bool,
    /// Certificate and key, if `ssl` is on.
    tls: Option<(PathBuf, PathBuf)>,
    authorities: Option<PathBuf>,
    trust_beyond_loopback: bool,
}

impl Files {
    fn of(settings: &Settings, data: &Path) -> Result<Files> {
        let text = |name: &str| settings.show(name);
        let named = text("hba_file")?;
        let authorities = text("ssl_ca_file")?;
        let tls = match text("ssl")?.as_str() {
            "on" => Some((data.join(text("ssl_cert_file")?), data.join(text("ssl_key_file")?))),
            _ => None,
        };
        Ok(Files {
            is_named: !named.is_empty(),
            access: data.join(if named.is_empty() { ACCESS_FILE } else { &named }),
            tls,
            authorities: Some(authorities).filter(|name| !name.is_empty()).map(|name| data.join(name)),
            trust_beyond_loopback: text("trust_beyond_loopback")? == "on",
        })
    }

    fn read(&self) -> Result<(AccessFile, Option<Tls>)> {
        let access = AccessFile::load(&self.access, self.is_named)?;
        let at = |error: Error| error.with_context(format!("access file \"{}\"", self.access.display()));
        if access.needs_tls() && self.tls.is_none() {
            return Err(at(Error::new(SqlState::CONFIG_FILE_ERROR, "hostssl rows need TLS"))
                .with_hint("Set ssl = on, ssl_cert_file and ssl_key_file."));
        }
        if access.needs_authorities() && self.authorities.is_none() {
            return Err(at(Error::new(
                SqlState::CONFIG_FILE_ERROR,
                "client certificates can only be checked if a root certificate store is available",
            ))
            .with_hint("Set ssl_ca_file."));
        }
        let tls = match &self.tls {
            Some((certificate, key)) => Some(Tls::load(certificate, key, self.authorities.as_deref())?),
            None => None,
        };
        Ok((access, tls))
    }
}

impl Login {
    /// Reads the files that `settings` name. F0000 with file and line, 58P01, 58030.
    pub fn load(settings: &Settings, data: &Path) -> Result<Login> {
        let files = Files::of(settings, data)?;
        let (access, tls) = files.read()?;
        Ok(Login {
            files,
            access: RwLock::new(Arc::new(access)),
            tls: RwLock::new(tls.map(Arc::new)),
            throttle: Throttle::default(),
            secret: random()?,
        })
    }

    /// Takes the secret that lies in the data directory, or leaves one there.
    pub fn keep_secret(&mut self, data: &Path) -> Result<()> {
        let path = data.join(SECRET_FILE);
        if let Ok(bytes) = std::fs::read(&path)
            && let Ok(secret) = bytes.try_into()
        {
            self.secret = secret;
            return Ok(());
        }
        let written = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, &self.secret));
        written.map_err(|error| Error::io(format!("could not write \"{}\"", path.display()), &error))
    }

    /// Reads the files again; on an error everything stays as it was.
    pub fn reload(&self) -> Result<()> {
        let (access, tls) = self.files.read()?;
        *self.access.write() = Arc::new(access);
        *self.tls.write() = tls.map(Arc::new);
        Ok(())
    }

    pub fn access(&self) -> Arc<AccessFile> {
        Arc::clone(&self.access.read())
    }

    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.read().clone()
    }

    /// Whether the server may listen there: beyond this machine only with rules, and with rules that ask.
    pub fn check_listening(&self, address: IpAddr) -> Result<()> {
        let access = self.access();
        if address.is_loopback() || self.files.trust_beyond_loopback {
            return Ok(());
        }
        let refused = |why: String| {
            Error::new(SqlState::CONFIG_FILE_ERROR, format!("listening on \"{address}\" is refused: {why}"))
        };
        if !access.is_written {
            return Err(refused("there is no access file, so that everybody would be trusted".into())
                .with_hint(format!(
                    "Write {}, for example with the line \"host all all all scram-sha-256\", and give roles passwords; or listen on 127.0.0.1.",
                    self.files.access.display()
                )));
        }
        match access.trusts_beyond_loopback() {
            None => Ok(()),
            Some(line) => Err(refused(format!(
                "line {line} of \"{}\" trusts other machines without asking for a password",
                self.files.access.display()
            ))
            .with_hint(
                "Use scram-sha-256 there, or set trust_beyond_loopback = on if that is what you mean.",
            )),
        }
    }
}

/// `N` bytes nobody can guess, from the kernel. 58030 when it has none to give.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(Error::new(
                    SqlState::IO_ERROR,
                    format!("could not generate random bytes: {error}"),
                ));
            }
        }
    }
    Ok(bytes)
}
