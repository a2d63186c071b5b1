//! How a server is reached: its address, and the credential for it, which
//! never comes from an argument, because those are there for everybody to see.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use windlass_client::{Client, Token};

use crate::args::Global;
use crate::config::{Environment, Settings};
use crate::failure::{CommandError, Failure};

/// Most bytes of a file with a credential. Signed tokens take the most.
const KEY_BYTES_MAX: u64 = 64 * 1_024;

/// The server that was named, and where its credential comes from.
#[derive(Debug)]
pub(crate) struct Access {
    url: String,
    key: Source,
    /// The flag that says who calls, where one was given.
    caller: Option<&'static str>,
}

/// Where a credential comes from.
enum Source {
    /// A file of the user's.
    File(PathBuf),
    /// The environment.
    Given(String),
    /// Nowhere: the server may be open to its own machine.
    None,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Given(_) => "Given",
            Self::None => "None",
        })
    }
}

impl Access {
    /// The server of these flags and settings; `None` if the command is to
    /// work on a store. A store that is named by a flag goes before a server
    /// that is named by a setting.
    ///
    /// # Errors
    ///
    /// [`CommandError::NeedsStore`] for a store and a server that are both
    /// named by flags.
    pub(crate) fn of(
        global: &Global,
        environment: &Environment,
        settings: &Settings,
    ) -> Result<Option<Self>, Failure> {
        let Some(url) = settings.server_url.clone() else {
            return Ok(None);
        };
        if global.store.is_some() {
            return match global.server {
                Some(_) => Err(needs_store("`--store`")),
                None => Ok(None),
            };
        }
        let caller = match (&global.tenant, &global.principal) {
            (Some(_), _) => Some("`--tenant`"),
            (None, Some(_)) => Some("`--principal`"),
            (None, None) => None,
        };
        let key = match (&global.key_file, environment.key()) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(key)) => Source::Given(key.to_owned()),
            (None, None) => Source::None,
        };
        Ok(Some(Self { url, key, caller }))
    }

    /// Refuses flags that say who calls: to a server the credential says that.
    ///
    /// # Errors
    ///
    /// [`CommandError::NeedsStore`].
    pub(crate) fn check_caller(&self) -> Result<(), Failure> {
        self.caller.map_or(Ok(()), |flag| Err(needs_store(flag)))
    }

    /// A client of the server. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`CommandError::KeyFile`], [`CommandError::KeyFileExposed`] and
    /// [`CommandError::Client`].
    pub(crate) fn connect(&self) -> Result<Client, Failure> {
        let key = match &self.key {
            Source::File(path) => Some(read(path)?),
            Source::Given(key) => Some(key.clone()),
            Source::None => None,
        };
        let token = key.map(|key| Token::new(&key)).transpose();
        let token = token.map_err(CommandError::Client)?;
        let agent = concat!("windlass/", env!("CARGO_PKG_VERSION"));
        let settings = windlass_client::Settings::default().user_agent(agent);
        let client = settings.connect(&self.url, token);
        Ok(client.map_err(CommandError::Client)?)
    }
}

fn needs_store(what: &'static str) -> Failure {
    CommandError::NeedsStore { what }.into()
}

/// The credential in a file that only its owner can read.
fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |source: io::Error| CommandError::KeyFile {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    // Of the file that is open, not of whatever has its name by then.
    if is_exposed(&file).map_err(unreadable)? {
        let path = path.to_owned();
        return Err(CommandError::KeyFileExposed { path }.into());
    }
    let mut key = String::new();
    file.take(KEY_BYTES_MAX)
        .read_to_string(&mut key)
        .map_err(unreadable)?;
    Ok(key)
}

/// Whether the file's group, or everybody, may read or write it.
#[cfg(unix)]
fn is_exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = file.metadata()?;
    Ok(metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

/// Other systems keep permissions that this cannot read.
#[cfg(not(unix))]
fn is_exposed(_: &File) -> io::Result<bool> {
    Ok(false)
}
