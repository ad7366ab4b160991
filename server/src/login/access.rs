//! The access file: who may come from where to which database, and what they must show.
//!
//! PostgreSQL's `pg_hba.conf` format. The first rule that matches decides. What this server cannot do
//! (other methods, host names, includes) is refused with file and line, never skipped.
//!
//! ```text
//! # TYPE     DATABASE   USER         ADDRESS         METHOD
//! local      all        all                          trust
//! hostssl    app        app,+staff   10.0.0.0/8      scram-sha-256
//! host       all        all          all             reject
//! ```

use std::net::IpAddr;
use std::path::Path;

use catalog::Catalog;
use types::{Error, Result, SqlState};

/// What a client must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Trust,
    Reject,
    ScramSha256,
    /// A certificate with the role's name.
    Cert,
}

/// What `clientcert` asks for, besides the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    NotAsked,
    /// One that the authorities of ssl_ca_file have signed.
    VerifyCa,
    /// And its name is the role's.
    VerifyFull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Host,
    HostSsl,
    HostNoSsl,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Database {
    All,
    SameUser,
    SameRole,
    /// Only connections that replicate, of which there are none here.
    Replication,
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    All,
    /// `+name`: the members of a role.
    MembersOf(String),
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    /// Of a `local` rule.
    None,
    All,
    SameHost,
    Network {
        address: IpAddr,
        prefix: u8,
    },
}

#[derive(Debug, Clone)]
pub struct Rule {
    kind: Kind,
    databases: Vec<Database>,
    roles: Vec<Role>,
    address: Address,
    pub method: Method,
    pub client_certificate: ClientCertificate,
    line: usize,
}

/// The rules in force.
#[derive(Debug)]
pub struct AccessFile {
    rules: Vec<Rule>,
    /// There was a file; without one the loopback interface is trusted.
    pub is_written: bool,
}

/// Who asks to come in.
#[derive(Debug, Clone)]
pub struct Visitor<'a> {
    /// `None`: by a Unix-domain socket.
    pub address: Option<IpAddr>,
    pub is_encrypted: bool,
    pub database: &'a str,
    pub role: &'a str,
}

const DEFAULT_RULES: &str =
    "local all all trust\nhost all all 127.0.0.0/8 trust\nhost all all ::1/128 trust\n";

/// What `cairn init --pwfile` writes.
pub const PASSWORD_RULES: &str = "\
# TYPE  DATABASE  USER  ADDRESS       METHOD
local   all       all                 scram-sha-256
host    all       all   127.0.0.0/8   scram-sha-256
host    all       all   ::1/128       scram-sha-256
";

impl AccessFile {
    /// Reads `path`; without it, the loopback interface and Unix-domain sockets are trusted, unless the
    /// file was `named`. F0000 with file and line, 58P01.
    pub fn load(path: &Path, named: bool) -> Result<AccessFile> {
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(AccessFile { rules: parse(&text, &shown)?, is_written: true }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {
                Ok(AccessFile { rules: parse(DEFAULT_RULES, "the built-in rules")?, is_written: false })
            }
            Err(error) => {
                let code = match error.kind() {
                    std::io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
                    _ => SqlState::IO_ERROR,
                };
                Err(Error::new(code, format!("could not open access file \"{shown}\": {error}")))
            }
        }
    }

    /// The first rule for `visitor`.
    pub fn rule(&self, visitor: &Visitor<'_>, catalog: &Catalog) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matches(visitor, catalog))
    }

    /// Whether some rule lets clients of other machines in without asking for anything.
    pub fn trusts_beyond_loopback(&self) -> Option<usize> {
        let trusts = |rule: &&Rule| {
            rule.method == Method::Trust
                && rule.kind != Kind::Local
                && match &rule.address {
                    Address::None | Address::SameHost => false,
                    Address::All => true,
                    Address::Network { address: IpAddr::V4(v4), prefix } => !v4.is_loopback() || *prefix < 8,
                    Address::Network { address: IpAddr::V6(v6), prefix } => {
                        !v6.is_loopback() || *prefix < 128
                    }
                }
        };
        self.rules.iter().find(trusts).map(|rule| rule.line)
    }

    /// Whether some rule trusts anybody.
    pub fn trusts_anybody(&self) -> bool {
        self.rules.iter().any(|rule| rule.method == Method::Trust)
    }

    /// Whether some rule needs TLS to match.
    pub fn needs_tls(&self) -> bool {
        self.rules.iter().any(|rule| rule.kind == Kind::HostSsl)
    }

    /// Whether some rule asks for a client's certificate.
    pub fn needs_authorities(&self) -> bool {
        self.rules.iter().any(|rule| rule.client_certificate != ClientCertificate::NotAsked)
    }
}

impl Rule {
    fn matches(&self, visitor: &Visitor<'_>, catalog: &Catalog) -> bool {
        let kind = match (self.kind, visitor.address) {
            (Kind::Local, address) => address.is_none(),
            (_, None) => false,
            (Kind::Host, _) => true,
            (Kind::HostSsl, _) => visitor.is_encrypted,
            (Kind::HostNoSsl, _) => !visitor.is_encrypted,
        };
        kind && visitor.address.is_none_or(|address| self.address.contains(address.to_canonical()))
            && self.databases.iter().any(|database| match database {
                Database::All => true,
                Database::SameUser => visitor.database == visitor.role,
                Database::SameRole => is_member(catalog, visitor.role, visitor.database),
                Database::Replication => false,
                Database::Named(name) => name == visitor.database,
            })
            && self.roles.iter().any(|role| match role {
                Role::All => true,
                Role::MembersOf(name) => is_member(catalog, visitor.role, name),
                Role::Named(name) => name == visitor.role,
            })
    }
}

fn is_member(catalog: &Catalog, role: &str, group: &str) -> bool {
    match (catalog.role_by_name(role), catalog.role_by_name(group)) {
        (Some(role), Some(group)) => catalog.is_member(role.id, group.id),
        _ => false,
    }
}

impl Address {
    fn contains(&self, peer: IpAddr) -> bool {
        match self {
            Address::None => false,
            Address::All => true,
            // An address that can be bound is this machine's own.
            Address::SameHost => peer.is_loopback() || std::net::UdpSocket::bind((peer, 0)).is_ok(),
            Address::Network { address, prefix } => {
                let differ = match (address, peer) {
                    (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
                    (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
                    _ => return false,
                };
                u32::from(*prefix) <= differ.leading_zeros()
            }
        }
    }
}

// ---- reading ----

/// One word of a line; a quoted one is never a keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    quoted: bool,
}

fn parse(text: &str, shown: &str) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut line = line.to_string();
        while line.ends_with('\\') {
            line.pop();
            let Some((_, next)) = lines.next() else { break };
            line.push_str(next);
        }
        let fields = fields(&line);
        let rule =
            fields.and_then(|fields| if fields.is_empty() { Ok(None) } else { rule(&fields).map(Some) });
        let rule = rule
            .map_err(|error| error.with_context(format!("access file \"{shown}\", line {}", number + 1)))?;
        rules.extend(rule.map(|rule| Rule { line: number + 1, ..rule }));
    }
    Ok(rules)
}

/// F0000.
fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::CONFIG_FILE_ERROR, message)
}

/// The fields of a line, each a comma-separated list of words.
fn fields(line: &str) -> Result<Vec<Vec<Word>>> {
    let mut fields: Vec<Vec<Word>> = Vec::new();
    let mut chars = line.chars().peekable();
    let mut continues = false;
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#') => break,
            Some(_) => {}
        }
        let mut word = Word { text: String::new(), quoted: false };
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != ',' && *c != '#') {
            if c != '"' {
                word.text.push(c);
                continue;
            }
            word.quoted = true;
            loop {
                match chars.next() {
                    None => return Err(invalid("unterminated quoted string")),
                    Some('"') if chars.next_if_eq(&'"').is_some() => word.text.push('"'),
                    Some('"') => break,
                    Some(c) => word.text.push(c),
                }
            }
        }
        match fields.last_mut() {
            Some(field) if continues => field.push(word),
            _ => fields.push(vec![word]),
        }
        continues = chars.next_if_eq(&',').is_some();
    }
    if continues {
        return Err(invalid("a list ends with a comma"));
    }
    Ok(fields)
}

fn rule(fields: &[Vec<Word>]) -> Result<Rule> {
    let mut fields = fields.iter();
    let mut next =
        |what: &str| fields.next().ok_or_else(|| invalid(format!("end-of-line before {what} specification")));
    let kind_word = single(next("connection type")?, "connection types")?;
    let kind = match kind_word.text.as_str() {
        "local" => Kind::Local,
        "host" => Kind::Host,
        "hostssl" => Kind::HostSsl,
        "hostnossl" => Kind::HostNoSsl,
        "hostgssenc" | "hostnogssenc" => {
            return Err(invalid(format!("connection type \"{}\" is not supported", kind_word.text))
                .with_hint("There is no GSSAPI encryption here: use hostssl, or host."));
        }
        other => return Err(invalid(format!("invalid connection type \"{other}\""))),
    };
    let databases = next("database")?.iter().map(database).collect::<Result<_>>()?;
    let roles = next("role")?.iter().map(role).collect::<Result<_>>()?;
    let mut address = Address::None;
    if kind != Kind::Local {
        let word = single(next("IP address")?, "host addresses")?;
        address = match (word.text.as_str(), word.quoted) {
            ("all", false) => Address::All,
            ("samehost", false) => Address::SameHost,
            ("samenet", false) => {
                return Err(invalid("address \"samenet\" is not supported")
                    .with_hint("Write the network as an address with its prefix: 192.168.1.0/24."));
            }
            (text, _) => match text.split_once('/') {
                Some((ip, prefix)) => network(ip, prefix)?,
                None => {
                    let ip: IpAddr = text.parse().map_err(|_| {
                        invalid(format!("host names are not supported: \"{text}\""))
                            .with_hint("Write an address with its prefix: 192.168.1.7/32.")
                    })?;
                    let mask = single(next("netmask")?, "netmasks")?;
                    masked(ip, &mask.text)?
                }
            },
        };
    }
    let method_word = single(next("authentication method")?, "authentication types")?;
    let method = match method_word.text.as_str() {
        "trust" => Method::Trust,
        "reject" => Method::Reject,
        "scram-sha-256" => Method::ScramSha256,
        "cert" => Method::Cert,
        "md5" | "password" => {
            return Err(invalid(format!("authentication method \"{}\" is not supported", method_word.text))
                .with_hint("Use scram-sha-256: every client of today has it."));
        }
        other => {
            return Err(invalid(format!("invalid authentication method \"{other}\""))
                .with_hint("Available methods: trust, reject, scram-sha-256, cert."));
        }
    };
    let mut client_certificate = match method {
        Method::Cert => ClientCertificate::VerifyFull,
        _ => ClientCertificate::NotAsked,
    };
    if method == Method::Cert && kind != Kind::HostSsl {
        return Err(invalid("cert authentication is only supported on hostssl connections"));
    }
    for option in fields.flatten() {
        match option.text.split_once('=') {
            Some(("clientcert", value)) => {
                if kind != Kind::HostSsl {
                    return Err(invalid("clientcert can only be configured for \"hostssl\" rows"));
                }
                client_certificate = match (value, method) {
                    ("verify-full", _) => ClientCertificate::VerifyFull,
                    ("verify-ca", Method::Cert) => {
                        return Err(invalid(
                            "clientcert only accepts \"verify-full\" when using \"cert\" authentication",
                        ));
                    }
                    ("verify-ca", _) => ClientCertificate::VerifyCa,
                    _ => return Err(invalid(format!("invalid value for clientcert: \"{value}\""))),
                };
            }
            Some((name, _)) => {
                return Err(invalid(format!("unrecognized authentication option name: \"{name}\""))
                    .with_hint("Available option: clientcert=verify-ca or clientcert=verify-full."));
            }
            None => {
                return Err(invalid(format!(
                    "authentication option not in name=value format: {}",
                    option.text
                )));
            }
        }
    }
    Ok(Rule { kind, databases, roles, address, method, client_certificate, line: 0 })
}

fn single<'a>(field: &'a [Word], what: &str) -> Result<&'a Word> {
    match field {
        [word] => Ok(word),
        _ => {
            Err(invalid(format!("multiple values specified for {what}"))
                .with_hint("Write one line for each."))
        }
    }
}

fn not_a_file(word: &Word) -> Result<()> {
    if !word.quoted && word.text.starts_with('@') {
        return Err(invalid(format!("including \"{}\" is not supported", word.text))
            .with_hint("Write the names into this file."));
    }
    if !word.quoted && word.text.starts_with('/') {
        return Err(invalid("regular expressions are not supported"));
    }
    Ok(())
}

fn database(word: &Word) -> Result<Database> {
    not_a_file(word)?;
    Ok(match (word.text.as_str(), word.quoted) {
        ("all", false) => Database::All,
        ("sameuser", false) => Database::SameUser,
        ("samerole" | "samegroup", false) => Database::SameRole,
        ("replication", false) => Database::Replication,
        (name, _) => Database::Named(name.to_string()),
    })
}

fn role(word: &Word) -> Result<Role> {
    not_a_file(word)?;
    Ok(match (word.text.as_str(), word.quoted) {
        ("all", false) => Role::All,
        (name, false) if name.starts_with('+') => Role::MembersOf(name.trim_start_matches('+').to_string()),
        (name, _) => Role::Named(name.to_string()),
    })
}

fn network(ip: &str, prefix: &str) -> Result<Address> {
    let malformed = || invalid(format!("invalid IP address \"{ip}/{prefix}\""));
    let address: IpAddr = ip.parse().map_err(|_| malformed())?;
    let prefix: u8 =
        prefix.parse().map_err(|_| invalid(format!("invalid CIDR mask in address \"{ip}/{prefix}\"")))?;
    if prefix > if address.is_ipv4() { 32 } else { 128 } {
        return Err(invalid(format!("invalid CIDR mask in address \"{ip}/{prefix}\"")));
    }
    Ok(Address::Network { address, prefix })
}

fn masked(address: IpAddr, mask: &str) -> Result<Address> {
    let malformed = || invalid(format!("invalid IP mask \"{mask}\""));
    let parsed: IpAddr = mask.parse().map_err(|_| malformed())?;
    if parsed.is_ipv4() != address.is_ipv4() {
        return Err(invalid("IP address and mask do not match"));
    }
    let (ones, zeros, bits) = match parsed {
        IpAddr::V4(mask) => (mask.to_bits().leading_ones(), mask.to_bits().trailing_zeros(), 32),
        IpAddr::V6(mask) => (mask.to_bits().leading_ones(), mask.to_bits().trailing_zeros(), 128),
    };
    if ones + zeros < bits {
        return Err(malformed());
    }
    Ok(Address::Network { address, prefix: u8::try_from(ones).unwrap_or(u8::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let mut change = catalog::bootstrap::shared_objects("ann", || 20_000);
        if let Some(catalog::Object::Role(role)) = change
            .puts
            .iter_mut()
            .find(|object| matches!(object, catalog::Object::Role(role) if role.name == "ann"))
        {
            std::sync::Arc::make_mut(role).member_of.push(catalog::bootstrap::BOOTSTRAP_ROLE);
        }
        Catalog::empty(catalog::bootstrap::POSTGRES_DATABASE).apply(&change)
    }

    fn method(
        rules: &str,
        address: Option<&str>,
        encrypted: bool,
        database: &str,
        role: &str,
    ) -> Option<Method> {
        let file = AccessFile { rules: parse(rules, "f").unwrap(), is_written: true };
        let address = address.map(|address| address.parse().unwrap());
        let visitor = Visitor { address, is_encrypted: encrypted, database, role };
        file.rule(&visitor, &catalog()).map(|rule| rule.method)
    }

    #[test]
    fn the_first_match_decides() {
        use Method::{Cert, Reject, ScramSha256, Trust};
        let rules = "# who\nlocal all all trust\nhostssl app,\"all\" ann,+postgres 10.0.0.0/8 scram-sha-256 clientcert=verify-ca\nhost sameuser all 192.168.0.0 255.255.0.0 trust\nhostnossl all all all reject\nhostssl samerole \\\n all ::/0 cert # end\n";
        let host =
            |address, encrypted, database, role| method(rules, Some(address), encrypted, database, role);
        assert_eq!(method(rules, None, false, "x", "y"), Some(Trust));
        assert_eq!(host("10.1.2.3", true, "app", "ann"), Some(ScramSha256));
        assert_eq!(host("::ffff:10.1.2.3", true, "all", "postgres"), Some(ScramSha256));
        assert_eq!(host("10.1.2.3", true, "other", "ann"), None);
        assert_eq!(host("10.1.2.3", false, "app", "ann"), Some(Reject));
        assert_eq!(host("11.1.2.3", true, "app", "ann"), None);
        assert_eq!(host("192.168.7.7", false, "bob", "bob"), Some(Trust));
        assert_eq!(host("fe80::1", true, "postgres", "ann"), Some(Cert));
        assert_eq!(host("fe80::1", true, "ann", "postgres"), None);
        assert_eq!(method("host all all samehost trust", Some("127.0.0.1"), false, "a", "b"), Some(Trust));
        assert_eq!(method("host all all samehost trust", Some("192.0.2.1"), false, "a", "b"), None);
        assert_eq!(
            method("host replication all all trust", Some("127.0.0.1"), false, "replication", "b"),
            None
        );
    }

    #[test]
    fn what_it_cannot_do_is_refused_with_its_line() {
        for (line, message) in [
            ("host all all 127.0.0.1/32 md5", "authentication method \"md5\" is not supported"),
            ("host all all 127.0.0.1/32 ldap", "invalid authentication method \"ldap\""),
            ("host all all example.org trust", "host names are not supported: \"example.org\""),
            ("host all all 127.0.0.1/33 trust", "invalid CIDR mask in address \"127.0.0.1/33\""),
            ("host all all 127.0.0.1 255.0.255.0 trust", "invalid IP mask \"255.0.255.0\""),
            ("host all all 127.0.0.1/32", "end-of-line before authentication method specification"),
            ("host all @names all trust", "including \"@names\" is not supported"),
            ("host all all all cert", "cert authentication is only supported on hostssl connections"),
            ("host all all all trust map=x", "unrecognized authentication option name: \"map\""),
            ("hosts all all all trust", "invalid connection type \"hosts\""),
            ("local all \"x trust", "unterminated quoted string"),
            ("local all a, trust", "end-of-line before authentication method specification"),
            ("local all", "end-of-line before role specification"),
        ] {
            let error = parse(&format!("\n{line}\n"), "f").unwrap_err();
            assert_eq!(error.message(), message, "{line}");
            assert_eq!(error.fields().context.as_deref(), Some("access file \"f\", line 2"));
            assert_eq!(error.code(), SqlState::CONFIG_FILE_ERROR);
        }
    }

    #[test]
    fn trust_beyond_loopback_is_seen() {
        let line = |rules: &str| {
            AccessFile { rules: parse(rules, "f").unwrap(), is_written: true }.trusts_beyond_loopback()
        };
        assert_eq!(line(DEFAULT_RULES), None);
        assert_eq!(line("host all all all scram-sha-256\nhost all all samehost trust"), None);
        assert_eq!(line("local all all trust\nhost all all 10.0.0.0/8 trust"), Some(2));
        assert_eq!(line("host all all all trust"), Some(1));
        assert_eq!(line("host all all 127.0.0.1/0 trust"), Some(1));
    }
}
