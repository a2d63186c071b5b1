//! The configuration file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::setting::{Given, Origin, Setting, Value};
use super::{ConfigError, Environment};
use crate::args::Global;

/// Most bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1_024 * 1_024;

/// The file that is read where none is named, if it exists.
const FILE_DEFAULT: &str = "windlass.toml";

/// A configuration file, and who chose it.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    pub(crate) chosen_by: &'static str,
}

impl Located {
    /// Whether somebody named it, so that it has to exist.
    fn is_named(&self) -> bool {
        self.chosen_by != "default"
    }
}

/// The configuration file that flags and environment point to.
pub(crate) fn locate(global: &Global, environment: &Environment) -> Located {
    if let Some(path) = global.config.clone() {
        return Located {
            path,
            chosen_by: "flag",
        };
    }
    match environment.config() {
        Some(path) => Located {
            path,
            chosen_by: "environment",
        },
        None => Located {
            path: FILE_DEFAULT.into(),
            chosen_by: "default",
        },
    }
}

/// What the file says; nothing if there is none and nobody named it.
pub(crate) fn read(located: &Located) -> Result<Vec<Given>, ConfigError> {
    let path = &located.path;
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !located.is_named() => {
            return Ok(Vec::new());
        }
        Err(source) => {
            return Err(ConfigError::Unreadable {
                path: path.clone(),
                source,
            });
        }
    };
    if u64::try_from(text.len()).map_or(true, |length| length > FILE_BYTES_MAX) {
        return Err(ConfigError::TooLarge {
            path: path.clone(),
            max: FILE_BYTES_MAX,
        });
    }
    let table = text.parse().map_err(|error| syntax(path, &text, &error))?;
    let mut given = Vec::new();
    flatten("", table, &Origin::File(path.clone()), &mut given);
    Ok(given)
}

/// At most one byte more than allowed, so that a larger file is noticed.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    ConfigError::Syntax {
        path: path.to_owned(),
        line,
        why: error.message().to_owned(),
    }
}

/// Names each value by its path. A table without values counts as one if no
/// setting lies below it, so that a misspelt section is noticed.
fn flatten(prefix: &str, table: toml::Table, origin: &Origin, given: &mut Vec<Given>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        let value = match value {
            toml::Value::Table(table) if !table.is_empty() || is_section(&name) => {
                flatten(&name, table, origin, given);
                continue;
            }
            toml::Value::String(text) => Value::Text(text),
            toml::Value::Integer(number) => Value::Number(number),
            _ => Value::Other,
        };
        given.push(Given {
            name,
            value,
            origin: origin.clone(),
        });
    }
}

fn is_section(name: &str) -> bool {
    let below = |setting: Setting| {
        setting
            .name()
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    Setting::all().any(below)
}
