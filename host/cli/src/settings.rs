//! Configuration: a file, then the environment, then flags; each value remembers where it came from.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use farebox_server::MetricsAccess;
use farebox_store::{Options, Packing};
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Num, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Output, table};

/// The file that is read where none is named.
const FILE: &str = "farebox.toml";

/// Begins the name of each variable of the environment.
const PREFIX: &str = "FAREBOX_";

/// Every setting, its default, and what it is. Also what `--print-config` lists.
const KEYS: [(&str, &str); 13] = [
    ("data", "folder with everything that the server keeps"),
    ("listen", "address that the server listens on"),
    ("lanes", "threads that own wallets"),
    ("segment_bytes", "size of the journal's files"),
    (
        "compress_segments",
        "whether the journal's complete files are compressed: on or off",
    ),
    (
        "disk_free_bytes_min",
        "free bytes on the disk below which writes are refused",
    ),
    ("state_cache_bytes", "memory for the state's cache"),
    (
        "archive_dir",
        "folder of the journal's archive, to read what was moved there",
    ),
    (
        "interpreted_plans",
        "whether plans in TypeScript, which carry a language runtime, are taken in: on or off",
    ),
    ("metrics", "who may read /metrics: readers or public"),
    ("log", "what is logged: error, warn, info, debug, or by module"),
    ("server", "server that commands talk to"),
    ("key", "API key that commands use"),
];

/// Settings with their values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder with everything that the server keeps.
    pub data: PathBuf,
    /// Address that the server listens on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads that own wallets; at least 1.
    pub lanes: usize,
    /// Size of the journal's segments made from now on, in bytes.
    pub segment_bytes: u64,
    /// Whether complete segments are compressed.
    pub compress_segments: Packing,
    /// Free bytes on the disk below which writes are refused; at least two segments.
    pub disk_free_bytes_min: u64,
    /// Cache of the state, in bytes.
    pub state_cache_bytes: u64,
    /// Folder of the archive, where segments are read that were moved there.
    pub archive_dir: Option<PathBuf>,
    /// Whether plans that carry the runtime of their language may run.
    pub interpreted_plans: bool,
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
    /// Filter of the log.
    pub log: String,
    /// Server that commands talk to.
    pub server: String,
    /// API key that commands use.
    pub key: Option<String>,
    /// Where each value came from, in the order of [`KEYS`].
    origins: Vec<Origin>,
}

/// A setting as it is shown.
#[derive(Debug, Clone)]
struct Origin {
    name: &'static str,
    value: String,
    from: String,
    about: &'static str,
}

/// Where values may come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that was named; none: `farebox.toml` in the current folder, if it is there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Flags that were given, by the setting that they set.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The process's environment, and no flags.
    pub fn of_process(file: Option<PathBuf>) -> Sources {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Sources {
            file,
            environment: std::env::vars_os().filter_map(text).collect(),
            flags: Vec::new(),
        }
    }

    /// With a flag, if it was given.
    pub fn flag(mut self, name: &'static str, value: Option<impl fmt::Display>) -> Sources {
        self.flags.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

impl Settings {
    /// Reads every source. An error names the value and where it came from.
    pub fn read(sources: &Sources) -> Result<Settings, Failure> {
        let figment = Figment::from(Given::new("default", defaults()))
            .merge(file(sources.file.as_deref())?)
            .merge(Given::new("environment", environment(&sources.environment)))
            .merge(Given::new("flag", sources.flags.clone()));
        let mut origins = Vec::new();
        for (name, about) in KEYS {
            let value = text(&figment, name)?.unwrap_or_default();
            origins.push(Origin {
                name,
                value,
                from: origin(&figment, name),
                about,
            });
        }
        let settings = Settings {
            data: parse(&figment, "data", "a folder")?,
            listen: parse(&figment, "listen", "an address and a port such as 127.0.0.1:8080")?,
            lanes: parse(&figment, "lanes", "a number of threads")?,
            segment_bytes: parse(&figment, "segment_bytes", "a number of bytes")?,
            compress_segments: match switch(&figment, "compress_segments")? {
                true => Packing::On,
                false => Packing::Off,
            },
            disk_free_bytes_min: parse(&figment, "disk_free_bytes_min", "a number of bytes")?,
            state_cache_bytes: parse(&figment, "state_cache_bytes", "a number of bytes")?,
            archive_dir: text(&figment, "archive_dir")?.map(PathBuf::from),
            interpreted_plans: switch(&figment, "interpreted_plans")?,
            metrics: metrics(&figment)?,
            log: parse(&figment, "log", "a filter such as info")?,
            server: parse(&figment, "server", "a URL such as http://127.0.0.1:8080")?,
            key: text(&figment, "key")?,
            origins,
        };
        match settings.lanes {
            1..=1_024 => Ok(settings),
            _ => Err(wrong(&figment, "lanes", "a number from 1 to 1024")),
        }
    }

    /// What the store is told.
    pub fn store_options(&self) -> Options {
        Options {
            segment_bytes: self.segment_bytes,
            state_cache_bytes: self.state_cache_bytes,
            packing: self.compress_segments,
            disk_free_bytes_min: self.disk_free_bytes_min,
            archive_dir: self.archive_dir.clone(),
            ..Options::default()
        }
    }

    /// Every setting, its value, and where it came from. A key is not shown.
    pub fn print(&self) -> Output {
        let shown = |origin: &Origin| match (origin.name, origin.value.is_empty()) {
            (_, true) => "-".to_string(),
            ("key", false) => "(not shown)".to_string(),
            _ => origin.value.clone(),
        };
        let rows = self
            .origins
            .iter()
            .map(|o| vec![o.name.to_string(), shown(o), o.from.clone(), o.about.to_string()]);
        let text = table(&["setting", "value", "from", "what it is"], &[], rows);
        let json: Vec<_> = self
            .origins
            .iter()
            .map(|o| json!({"name": o.name, "value": shown(o), "from": o.from, "about": o.about}))
            .collect();
        Output::new(text, json!({ "settings": json }))
    }
}

fn defaults() -> Vec<(&'static str, String)> {
    let store = Options::default();
    let lanes = std::thread::available_parallelism().map_or(2, usize::from);
    vec![
        ("data", "./farebox-data".into()),
        ("listen", "127.0.0.1:8080".into()),
        ("lanes", lanes.to_string()),
        ("segment_bytes", store.segment_bytes.to_string()),
        ("compress_segments", "on".into()),
        ("disk_free_bytes_min", store.disk_free_bytes_min.to_string()),
        ("state_cache_bytes", store.state_cache_bytes.to_string()),
        ("interpreted_plans", "off".into()),
        ("metrics", "readers".into()),
        ("log", "info".into()),
        ("server", "http://127.0.0.1:8080".into()),
    ]
}

/// The settings among the variables. Others with our prefix are left alone: container platforms make some up.
fn environment(variables: &[(String, String)]) -> Vec<(&'static str, String)> {
    let known = |(name, value): &(String, String)| {
        let name = name.strip_prefix(PREFIX)?.to_lowercase();
        let (key, _) = KEYS.iter().find(|(key, _)| *key == name)?;
        Some((*key, value.clone()))
    };
    variables.iter().filter_map(known).collect()
}

/// The file, which must hold nothing but settings: a misspelt one would be a default in disguise.
fn file(named: Option<&Path>) -> Result<figment::providers::Data<Toml>, Failure> {
    let path = named.unwrap_or(Path::new(FILE));
    if !path.is_file() {
        return match named {
            Some(path) => Err(Failure::usage(format!(
                "there is no configuration file {}",
                path.display()
            ))),
            None => Ok(Toml::string("")),
        };
    }
    let toml = Toml::file_exact(path);
    let unreadable = |error: &figment::Error| {
        Failure::usage(format!("{} cannot be used", path.display())).detail(error.kind.to_string().trim_end())
    };
    let profiles = toml.data().map_err(|error| unreadable(&error))?;
    let names = profiles.values().flat_map(|values| values.keys());
    for name in names {
        if !KEYS.iter().any(|(key, _)| key == name) {
            let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
            return Err(
                Failure::usage(format!("{}: there is no setting `{name}`", path.display()))
                    .hint(format!("settings are {}", known.join(", "))),
            );
        }
    }
    Ok(toml)
}

/// A value as text, whatever it was written as.
fn text(figment: &Figment, name: &str) -> Result<Option<String>, Failure> {
    match figment.find_value(name) {
        Err(error) if error.missing() => Ok(None),
        Err(error) => Err(Failure::usage(error.to_string())),
        Ok(Value::String(_, text)) => Ok(Some(text)),
        Ok(Value::Num(_, number)) => whole(number)
            .map(Some)
            .ok_or_else(|| wrong(figment, name, "a whole number or a text")),
        Ok(_) => Err(wrong(figment, name, "a number or a text")),
    }
}

/// A whole number as text, however it is kept.
fn whole(number: Num) -> Option<String> {
    number
        .to_i128()
        .map(|n| n.to_string())
        .or_else(|| number.to_u128().map(|n| n.to_string()))
}

fn parse<T: FromStr>(figment: &Figment, name: &'static str, expected: &str) -> Result<T, Failure> {
    let text = text(figment, name)?.unwrap_or_default();
    match text.parse() {
        Ok(value) if !text.is_empty() => Ok(value),
        _ => Err(wrong(figment, name, expected)),
    }
}

fn metrics(figment: &Figment) -> Result<MetricsAccess, Failure> {
    match text(figment, "metrics")?.as_deref() {
        Some("readers") => Ok(MetricsAccess::Readers),
        Some("public") => Ok(MetricsAccess::Public),
        _ => Err(wrong(figment, "metrics", "readers or public")),
    }
}

fn switch(figment: &Figment, name: &'static str) -> Result<bool, Failure> {
    match text(figment, name)?.as_deref() {
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        _ => Err(wrong(figment, name, "on or off")),
    }
}

fn wrong(figment: &Figment, name: &str, expected: &str) -> Failure {
    let found = match figment.find_value(name) {
        Ok(Value::String(_, text)) => format!("{text:?}"),
        Ok(Value::Num(_, number)) => whole(number).unwrap_or_else(|| "a fraction".into()),
        Ok(Value::Bool(_, value)) => value.to_string(),
        _ => "a list or a table".into(),
    };
    Failure::usage(format!("`{name}` is not {expected}"))
        .detail(format!("{found}, from {}", origin(figment, name)))
}

/// Where a value came from, for people.
fn origin(figment: &Figment, name: &str) -> String {
    let Some(metadata) = figment.find_metadata(name) else {
        return "not set".to_string();
    };
    match (&metadata.source, &*metadata.name) {
        (Some(Source::File(path)), _) => path
            .file_name()
            .map_or_else(|| "a file".into(), |name| name.to_string_lossy().into_owned()),
        (_, "environment") => format!("environment {PREFIX}{}", name.to_uppercase()),
        (_, "flag") => format!("flag --{}", name.replace('_', "-")),
        (_, other) => other.to_string(),
    }
}

/// Values from one place.
struct Given {
    place: &'static str,
    values: Vec<(&'static str, String)>,
}

impl Given {
    fn new(place: &'static str, values: Vec<(&'static str, String)>) -> Given {
        Given { place, values }
    }
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let values: Dict = self
            .values
            .iter()
            .map(|(name, value)| ((*name).to_string(), Value::from(value.clone())))
            .collect();
        Ok(Profile::Default.collect(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        file: &str,
        environment: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> Result<Settings, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("farebox.toml");
        std::fs::write(&path, file).unwrap();
        Settings::read(&Sources {
            file: Some(path),
            environment: environment
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect(),
            flags: flags.iter().map(|(n, v)| (*n, v.to_string())).collect(),
        })
    }

    #[test]
    fn later_sources_win_and_each_value_knows_its_origin() {
        let file = "listen = \"127.0.0.1:1\"\nlog = \"debug\"\nlanes = 3\nsegment_bytes = 1048576";
        let environment = [
            ("FAREBOX_LISTEN", "127.0.0.1:2"),
            ("FAREBOX_KEY", "12345"),
            ("FAREBOX_PORT", "tcp://x"),
        ];
        let settings = read(file, &environment, &[("listen", "127.0.0.1:3")]).unwrap();
        assert_eq!(settings.listen.port(), 3);
        assert_eq!(settings.key.as_deref(), Some("12345"));
        insta::assert_snapshot!(settings.print().text);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases: [(&str, &[(&str, &str)]); 5] = [
            ("lisen = \"x\"", &[]),
            ("lanes = 0", &[]),
            ("listen = true", &[]),
            ("= 3", &[]),
            ("", &[("FAREBOX_LISTEN", "localhost")]),
        ];
        let said: Vec<String> = cases
            .iter()
            .map(|(file, environment)| read(file, environment, &[]).unwrap_err())
            .map(|failure| {
                failure
                    .text()
                    .replace(&std::env::temp_dir().display().to_string(), "")
            })
            .map(|text| match text.find("farebox.toml") {
                Some(at) if !text.contains("from ") => format!("error: {}", &text[at..]),
                _ => text,
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
