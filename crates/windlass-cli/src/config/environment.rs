//! What the process's environment says.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::ConfigError;
use super::setting::{Given, Origin, Setting, Value};

/// What every variable that is a setting begins with; sections and keys
/// follow, separated alike: `WINDLASS__STORE__LOCATION`.
const PREFIX: &str = "WINDLASS__";

/// The variable that names the configuration file.
pub(crate) const CONFIG_VARIABLE: &str = "WINDLASS_CONFIG";

/// The variable with the credential for a server.
pub(crate) const KEY_VARIABLE: &str = "WINDLASS_KEY";

/// The environment, as it was when the process began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    variables: Vec<(OsString, OsString)>,
}

impl Environment {
    /// The environment of this process, by name.
    pub(crate) fn of_process() -> Self {
        let mut variables: Vec<_> = std::env::vars_os().collect();
        variables.sort();
        Self { variables }
    }

    fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_os_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether the user wants no colours (`NO_COLOR`, set to anything).
    pub(crate) fn no_color(&self) -> bool {
        self.variable("NO_COLOR").is_some()
    }

    /// The configuration file it names.
    pub(crate) fn config(&self) -> Option<PathBuf> {
        self.variable(CONFIG_VARIABLE).map(PathBuf::from)
    }

    /// The credential for a server; `None` if it has none that is text.
    pub(crate) fn key(&self) -> Option<&str> {
        self.variable(KEY_VARIABLE).and_then(OsStr::to_str)
    }

    /// Every variable that is meant as a setting, known or not.
    pub(crate) fn settings(&self) -> Result<Vec<Given>, ConfigError> {
        let mut given = Vec::new();
        for (name, value) in &self.variables {
            let name = name.to_string_lossy();
            let Some(setting) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let origin = Origin::Variable(name.clone().into_owned());
            let Some(text) = value.to_str() else {
                return Err(ConfigError::NotText { origin });
            };
            let name = setting.to_lowercase().replace("__", ".");
            given.push(Given {
                name,
                value: Value::Text(text.to_owned()),
                origin,
            });
        }
        Ok(given)
    }
}

/// The variable that sets `setting`.
pub(crate) fn variable(setting: Setting) -> String {
    format!(
        "{PREFIX}{}",
        setting.name().replace('.', "__").to_uppercase()
    )
}
