//! How a store is opened.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;
use windlass_store::{StoreError, StoreErrorKind};

use crate::limits::{CONNECTIONS_MAX, SCHEMA_BYTES_MAX};

/// The schema that is used if no other is named.
const SCHEMA: &str = "windlass";

/// What opening does with a schema that is missing or of an older format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Migrations {
    /// Creates it or brings it up to date. Any number of servers may do so at
    /// once.
    #[default]
    Run,
    /// Refuses it: an operator runs [`migrate`](crate::migrate) apart.
    Require,
}

/// Whether a server is used that loses acknowledged commits when its machine
/// does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnsafeServers {
    /// A server with `fsync` or `full_page_writes` off is refused.
    #[default]
    Refuse,
    /// Any server is used. For data that may be lost, such as that of tests.
    Allow,
}

/// How a [`crate::PostgresStore`] is opened.
#[derive(Clone)]
pub struct Options {
    pub(crate) config: Config,
    /// The schema that holds the store: lower-case letters, digits and `_`,
    /// at most 63. A database may hold several stores.
    pub schema: String,
    /// Connections that commit: 1 to 64. While the server makes one group of
    /// batches durable, the next is gathered for another.
    pub committers: usize,
    /// Connections that read: 1 to 64.
    pub readers: usize,
    /// Whether subscribers hear of what other processes commit. Takes one
    /// more connection, and does nothing behind a pooler that gives
    /// transactions to connections.
    pub hints_between_processes: bool,
    /// What opening does with a schema that is missing or old.
    pub migrations: Migrations,
    /// Whether a server that may lose acknowledged commits is used.
    pub unsafe_servers: UnsafeServers,
    /// How long a server that cannot be reached is tried again before a call
    /// fails with `Unavailable`: what a fail-over may take unnoticed.
    pub unavailable_time_max: Duration,
    /// How long an answer to a commit is waited for before it is
    /// `Indeterminate`. A commit is never cancelled.
    pub commit_time_max: Duration,
    /// How long an answer to a read is waited for.
    pub read_time_max: Duration,
    /// How long an export may take before it ends with `Unavailable`.
    pub export_time_max: Duration,
}

impl Options {
    /// Options for the server at `url`, such as
    /// `postgres://user:password@first,second:5433/database?schema=agents`.
    ///
    /// Everything that libpq's addresses may have is understood, but for what
    /// needs TLS; of several hosts the one is used that takes writes. The
    /// parameter `schema` is ours.
    ///
    /// # Errors
    ///
    /// `Invalid` for what is no such address. The error does not repeat it,
    /// since it may hold a password.
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        let (url, schema) = take_schema(url);
        let mut config: Config = url.parse().map_err(|cause| {
            invalid("the address of the server cannot be understood".into()).with_source(cause)
        })?;
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        if config.get_application_name().is_none() {
            config.application_name("windlass");
        }
        Ok(Self {
            config,
            schema: schema.unwrap_or_else(|| SCHEMA.to_owned()),
            committers: 2,
            readers: 4,
            hints_between_processes: true,
            migrations: Migrations::Run,
            unsafe_servers: UnsafeServers::Refuse,
            unavailable_time_max: Duration::from_secs(10),
            commit_time_max: Duration::from_secs(30),
            read_time_max: Duration::from_secs(30),
            export_time_max: Duration::from_secs(60),
        })
    }

    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        if !is_schema_name(&self.schema) {
            return Err(invalid(format!(
                "`{}` is no name for a schema: lower-case letters, digits and `_`, a letter \
                 first, at most {SCHEMA_BYTES_MAX}, not `pg_…`",
                self.schema.escape_debug()
            )));
        }
        for (what, found) in [("committers", self.committers), ("readers", self.readers)] {
            if found == 0 || found > CONNECTIONS_MAX {
                return Err(invalid(format!(
                    "{found} {what}; 1 to {CONNECTIONS_MAX} are allowed"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("hosts", &self.config.get_hosts())
            .field("ports", &self.config.get_ports())
            .field("database", &self.config.get_dbname())
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// The address without our own parameter, and that parameter.
fn take_schema(url: &str) -> (String, Option<String>) {
    let Some((address, parameters)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let mut schema = None;
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.strip_prefix("schema=") {
            Some(name) => schema = Some(name.to_owned()),
            None => others.push(parameter),
        }
    }
    let others = others.join("&");
    match others.is_empty() {
        true => (address.to_owned(), schema),
        false => (format!("{address}?{others}"), schema),
    }
}

fn is_schema_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= SCHEMA_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(word)
        && !name.starts_with("pg_")
}

fn invalid(context: String) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, "open", context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Options {
        Options::from_url(url).unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    #[test]
    fn an_address_names_hosts_and_schema() {
        let found = options("postgres://u:p@a,b:5433/d?connect_timeout=3&schema=agents");
        assert_eq!(found.schema, "agents");
        assert_eq!(found.config.get_hosts().len(), 2);
        assert_eq!(found.config.get_dbname(), Some("d"));
        let attributes = found.config.get_target_session_attrs();
        assert_eq!(attributes, TargetSessionAttrs::ReadWrite);
        assert_eq!(
            found.config.get_connect_timeout(),
            Some(&Duration::from_secs(3))
        );
        assert_eq!(options("postgres://u@a/d").schema, "windlass");
        assert_eq!(options("postgres://u@a/d?schema=x").schema, "x");
    }

    #[test]
    fn a_bad_address_is_refused_without_its_password() {
        let refused = Options::from_url("postgres://u:secret@a/d?nonsense=1");
        let error = refused.expect_err("there is no such parameter");
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn options_do_not_show_the_password() {
        let shown = format!("{:?}", options("postgres://u:secret@a/d"));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn only_plain_names_are_schemas() {
        for good in ["windlass", "a", "a_1", &"a".repeat(63)] {
            assert!(is_schema_name(good), "{good}");
        }
        for bad in [
            "",
            "A",
            "1a",
            "_a",
            "pg_a",
            "a-b",
            "a\"b",
            "ä",
            &"a".repeat(64),
        ] {
            assert!(!is_schema_name(bad), "{bad}");
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let bad = [
            Options {
                committers: 0,
                ..options("postgres://u@a/d")
            },
            Options {
                readers: 65,
                ..options("postgres://u@a/d")
            },
            Options {
                schema: "a b".into(),
                ..options("postgres://u@a/d")
            },
        ];
        for options in bad {
            let refused = options.validate().map_err(|error| error.kind());
            assert_eq!(refused, Err(StoreErrorKind::Invalid), "{options:?}");
        }
    }
}
