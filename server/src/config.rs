//! Where the settings come from: defaults < configuration file < environment < command line.
//!
//! The file is PostgreSQL's format (`name = value`, `#` comments); the environment has
//! `CAIRN_<NAME>`, e.g. `CAIRN_WORK_MEM=64MB`. An unknown setting is an error wherever it stands.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use types::{Error, Result, SqlState};

use crate::session::settings::{self, Assigned, Context};
use crate::wire::listener::Address;

/// What `cairn serve` was asked to do.
#[derive(Debug, Default)]
pub struct Request {
    pub data: Option<PathBuf>,
    pub listen: Vec<String>,
    /// `name=value`, in order.
    pub settings: Vec<String>,
    pub config_file: Option<PathBuf>,
}

/// What it comes to.
#[derive(Debug)]
pub struct Config {
    pub data: PathBuf,
    pub addresses: Vec<Address>,
    pub assigned: HashMap<&'static str, Assigned>,
}

/// The name of the configuration file inside the data directory, read when it is there.
pub const CONFIG_FILE: &str = "cairn.conf";
/// Environment variables of this program begin with it.
const ENVIRONMENT_PREFIX: &str = "CAIRN_";
/// Settings of the environment that are no settings of the server.
const ENVIRONMENT_OWN: [&str; 3] = ["CAIRN_DATA", "CAIRN_LISTEN", "CAIRN_CONFIG_FILE"];

impl Config {
    /// Puts everything together. 42704 for unknown names, 22023 for bad values, 58P01 for a file that is not there.
    pub fn resolve(request: &Request, environment: impl Iterator<Item = (String, String)>) -> Result<Config> {
        let environment: HashMap<String, String> =
            environment.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
        let own = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let data = request
            .data
            .clone()
            .or_else(|| own("CAIRN_DATA").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from("cairn-data"));
        let mut assigned = HashMap::new();

        let named = request.config_file.clone().or_else(|| own("CAIRN_CONFIG_FILE").map(PathBuf::from));
        match named {
            Some(file) => read_file(&file, &mut assigned)?,
            None if data.join(CONFIG_FILE).is_file() => read_file(&data.join(CONFIG_FILE), &mut assigned)?,
            None => {}
        }
        for (name, value) in &environment {
            if ENVIRONMENT_OWN.contains(&name.as_str()) {
                continue;
            }
            let setting = name.trim_start_matches(ENVIRONMENT_PREFIX).to_ascii_lowercase();
            assign(&mut assigned, &setting, value, "environment variable")
                .map_err(|error| error.with_context(format!("environment variable {name}")))?;
        }
        for text in &request.settings {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                Error::new(SqlState::SYNTAX_ERROR, format!("invalid setting \"{text}\""))
                    .with_hint("Write -c name=value.")
            })?;
            assign(&mut assigned, name.trim(), value.trim(), "command line")?;
        }
        let data_directory = data.display().to_string();
        assigned.insert("data_directory", Assigned { value: data_directory, source: "command line" });

        let listen: Vec<String> = if !request.listen.is_empty() {
            request.listen.clone()
        } else {
            own("CAIRN_LISTEN")
                .map(|list| list.split(',').map(|s| s.trim().to_string()).collect())
                .unwrap_or_default()
        };
        let addresses = addresses(&listen, &assigned)?;
        Ok(Config { data, addresses, assigned })
    }
}

fn assign(
    assigned: &mut HashMap<&'static str, Assigned>,
    name: &str,
    value: &str,
    source: &'static str,
) -> Result<()> {
    let setting = settings::find(name).ok_or_else(|| settings::unknown(name))?;
    if setting.context == Context::Internal {
        return Err(Error::new(
            SqlState::CANT_CHANGE_RUNTIME_PARAM,
            format!("parameter \"{}\" cannot be changed", setting.name),
        ));
    }
    let value = setting.normalize(value)?;
    assigned.insert(setting.name, Assigned { value, source });
    Ok(())
}

fn read_file(path: &Path, assigned: &mut HashMap<&'static str, Assigned>) -> Result<()> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound {
            SqlState::UNDEFINED_FILE
        } else {
            SqlState::IO_ERROR
        };
        Error::new(code, format!("could not read configuration file \"{shown}\": {error}"))
    })?;
    for (number, line) in text.lines().enumerate() {
        let at =
            |error: Error| error.with_context(format!("configuration file \"{shown}\", line {}", number + 1));
        if let Some((name, value)) = read_line(line).map_err(at)? {
            assign(assigned, &name, &value, "configuration file").map_err(at)?;
        }
    }
    Ok(())
}

/// `name = value`, `name = 'it''s'`, `name value`; `None` for blanks and comments.
fn read_line(line: &str) -> Result<Option<(String, String)>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let malformed =
        || Error::new(SqlState::CONFIG_FILE_ERROR, "syntax error").with_hint("Write name = value.");
    let end = line.find(|c: char| c == '=' || c.is_whitespace()).ok_or_else(malformed)?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start().strip_prefix('=').unwrap_or(rest).trim();
    let value = if let Some(quoted) = rest.strip_prefix('\'') {
        let mut value = String::new();
        let mut chars = quoted.chars().peekable();
        loop {
            match chars.next() {
                None => return Err(malformed()),
                Some('\'') if chars.peek() == Some(&'\'') => {
                    chars.next();
                    value.push('\'');
                }
                Some('\'') => break,
                Some(c) => value.push(c),
            }
        }
        let after: String = chars.collect();
        if !after.trim().is_empty() && !after.trim_start().starts_with('#') {
            return Err(malformed());
        }
        value
    } else {
        rest.split('#').next().unwrap_or_default().trim().to_string()
    };
    Ok(Some((name.to_string(), value)))
}

/// `--listen`s, or what listen_addresses, port and unix_socket_directories say.
fn addresses(listen: &[String], assigned: &HashMap<&'static str, Assigned>) -> Result<Vec<Address>> {
    let value = |name: &str| -> String {
        let default = settings::find(name).map_or("", |setting| setting.default);
        assigned.get(name).map_or(default, |assigned| assigned.value.as_str()).to_string()
    };
    let mut port: u16 = value("port").parse().unwrap_or(5432);
    // A socket's file is named for a port: the one that was named for TCP, unless `port` says otherwise.
    if !assigned.contains_key("port") {
        let named = |text: &String| match read_address(text, port) {
            Ok(Address::Tcp(address)) => address.rsplit_once(':').and_then(|(_, digits)| digits.parse().ok()),
            _ => None,
        };
        port = listen.iter().find_map(named).unwrap_or(port);
    }
    let mut addresses = Vec::new();
    for text in listen {
        addresses.push(read_address(text, port)?);
    }
    if listen.is_empty() {
        for host in value("listen_addresses").split(',').map(str::trim).filter(|host| !host.is_empty()) {
            let host = if host == "*" { "0.0.0.0" } else { host };
            addresses.push(read_address(host, port)?);
        }
        for directory in value("unix_socket_directories").split(',').map(str::trim).filter(|d| !d.is_empty())
        {
            addresses.push(Address::Unix { directory: PathBuf::from(directory), port });
        }
    }
    if addresses.is_empty() {
        return Err(Error::new(SqlState::CONFIG_FILE_ERROR, "there is no address to listen on")
            .with_hint("Set listen_addresses, or use --listen HOST:PORT."));
    }
    Ok(addresses)
}

fn read_address(text: &str, port: u16) -> Result<Address> {
    if text.starts_with('/') || text.starts_with("./") {
        return Ok(Address::Unix { directory: PathBuf::from(text), port });
    }
    let has_port = match text.rsplit_once(':') {
        Some((host, digits)) if !host.contains(':') || host.ends_with(']') => match digits.parse::<u16>() {
            Ok(_) => true,
            Err(_) => {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid port in address \"{text}\""),
                )
                .with_hint("Write --listen HOST:PORT, for example --listen 127.0.0.1:5432."));
            }
        },
        _ => false,
    };
    let tcp = match (has_port, text.contains(':') && !text.starts_with('[')) {
        (true, _) => text.to_string(),
        (false, true) => format!("[{text}]:{port}"),
        (false, false) => format!("{text}:{port}"),
    };
    Ok(Address::Tcp(tcp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(request: Request, environment: &[(&str, &str)]) -> Result<Config> {
        let environment = environment.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        Config::resolve(&request, environment)
    }

    #[test]
    fn the_command_line_wins_over_environment_and_file() {
        let directory = std::env::temp_dir().join(format!("cairn-config-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("c.conf");
        std::fs::write(
            &file,
            "# a comment\nwork_mem = 1MB\nTimeZone 'Europe/Paris' # here\nlock_timeout=1s\n",
        )
        .unwrap();
        let request = Request {
            config_file: Some(file.clone()),
            settings: vec!["lock_timeout=3s".into()],
            ..Request::default()
        };
        let config = resolve(request, &[("CAIRN_WORK_MEM", "2MB"), ("CAIRN_LOCK_TIMEOUT", "2s")]).unwrap();
        let value = |name: &str| config.assigned[name].value.clone();
        assert_eq!((value("work_mem"), value("lock_timeout")), ("2MB".into(), "3s".into()));
        assert_eq!(value("TimeZone"), "Europe/Paris");

        std::fs::write(&file, "work_men = 1MB\n").unwrap();
        let request = Request { config_file: Some(file), ..Request::default() };
        let error = resolve(request, &[]).unwrap_err();
        assert_eq!(error.code(), SqlState::UNDEFINED_OBJECT);
        assert!(error.fields().context.as_deref().unwrap().ends_with("line 1"));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn addresses_take_hosts_ports_and_directories() {
        let listen = |text: &str| {
            let request = Request { listen: vec![text.into()], ..Request::default() };
            resolve(request, &[]).map(|config| config.addresses)
        };
        assert_eq!(listen("localhost:5433").unwrap(), [Address::Tcp("localhost:5433".into())]);
        assert_eq!(listen("::1").unwrap(), [Address::Tcp("[::1]:5432".into())]);
        assert_eq!(listen("/tmp").unwrap(), [Address::Unix { directory: "/tmp".into(), port: 5432 }]);
        let both = Request { listen: vec!["/tmp".into(), "127.0.0.1:6000".into()], ..Request::default() };
        let both = resolve(both, &[]).unwrap().addresses;
        assert_eq!(both[0], Address::Unix { directory: "/tmp".into(), port: 6000 });
        assert_eq!(listen("localhost:x").unwrap_err().code(), SqlState::INVALID_PARAMETER_VALUE);
        assert_eq!(listen("0.0.0.0:5432").unwrap(), [Address::Tcp("0.0.0.0:5432".into())]);
    }

    #[test]
    fn unknown_and_internal_settings_are_refused() {
        let set = |text: &str| {
            let request = Request { settings: vec![text.into()], ..Request::default() };
            resolve(request, &[]).unwrap_err().code()
        };
        assert_eq!(set("nonsense=1"), SqlState::UNDEFINED_OBJECT);
        assert_eq!(set("server_version=9"), SqlState::CANT_CHANGE_RUNTIME_PARAM);
        assert_eq!(set("work_mem"), SqlState::SYNTAX_ERROR);
    }
}
