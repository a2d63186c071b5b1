//! Every setting: its name, its value, and where a value can come from.

use std::fmt;
use std::net::AddrParseError;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use windlass::LocationError;
use windlass::audit::AuditError;
use windlass::checkpoint::CheckpointError;
use windlass::core::{IdError, Sharing};
use windlass::maintenance::MaintenanceOptionsError;
use windlass::session::{Config, SessionError};
use windlass::stash::limits::TOTAL_BYTES_MAX;
use windlass::stash::{self, StashError};
use windlass::stream::SettingsError;

use super::audit::AuditSetting;
use super::cache::CacheSetting;
use super::environment::variable;
use super::maintenance::MaintenanceSetting;
use super::server::Knob;
use super::states::StateSetting;
use super::streams::StreamSetting;
use super::{ConfigError, Settings, shown};
use crate::args::ColorWhen;

/// A setting there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Setting {
    StoreLocation,
    StoreSharing,
    CallerTenant,
    CallerPrincipal,
    SessionsCap,
    SessionsRetentionMs,
    SessionsReservationMs,
    SessionsCachedSessions,
    StashKeysMax,
    StashValueBytesMax,
    StashTotalBytesMax,
    StashTtlMsDefault,
    StashTtlMsMax,
    StashGroupKeysMax,
    StashGroupBytesMax,
    ClientServer,
    OutputColor,
    /// One of states.
    State(StateSetting),
    /// One of streams.
    Stream(StreamSetting),
    /// One of the audit.
    Audit(AuditSetting),
    /// One of upkeep.
    Maintenance(MaintenanceSetting),
    /// One of the cache.
    Cache(CacheSetting),
    /// One of `windlass serve`.
    Server(Knob),
}

/// A value as a layer gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text, which the environment and flags also spell numbers with.
    Text(String),
    /// A number of a file.
    Number(i64),
    /// Anything else that a file can hold.
    Other,
}

/// One line of one layer.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

impl Origin {
    /// A known setting's name as this origin would spell it.
    pub(crate) fn spell(&self, setting: Setting) -> String {
        match self {
            Self::Variable(_) => variable(setting),
            Self::Default | Self::File(_) | Self::Flag(_) => setting.name().to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file `{}`", shown(path)),
            Self::Variable(name) => write!(f, "environment variable `{name}`"),
            Self::Flag(name) => write!(f, "flag `{name}`"),
        }
    }
}

/// Why a text is no value of its setting.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Number(#[from] ParseIntError),
    #[error(transparent)]
    Sessions(#[from] SessionError),
    #[error(transparent)]
    Stash(#[from] StashError),
    #[error(transparent)]
    States(#[from] CheckpointError),
    #[error(transparent)]
    Streams(#[from] SettingsError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Maintenance(#[from] MaintenanceOptionsError),
    #[error(transparent)]
    Address(#[from] AddrParseError),
    #[error(transparent)]
    Server(#[from] windlass_server::ConfigError),
    #[error("one of {0} is expected")]
    Word(&'static str),
}

impl Setting {
    const PLAIN: [Self; 17] = [
        Self::StoreLocation,
        Self::StoreSharing,
        Self::CallerTenant,
        Self::CallerPrincipal,
        Self::SessionsCap,
        Self::SessionsRetentionMs,
        Self::SessionsReservationMs,
        Self::SessionsCachedSessions,
        Self::StashKeysMax,
        Self::StashValueBytesMax,
        Self::StashTotalBytesMax,
        Self::StashTtlMsDefault,
        Self::StashTtlMsMax,
        Self::StashGroupKeysMax,
        Self::StashGroupBytesMax,
        Self::ClientServer,
        Self::OutputColor,
    ];

    /// Every setting.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let states = StateSetting::ALL.map(Self::State);
        let streams = StreamSetting::ALL.map(Self::Stream);
        let audit = AuditSetting::ALL.map(Self::Audit);
        let plain = Self::PLAIN.into_iter().chain(states).chain(streams);
        let upkeep = MaintenanceSetting::ALL.map(Self::Maintenance);
        let cache = CacheSetting::ALL.map(Self::Cache);
        let plain = plain.chain(audit).chain(upkeep).chain(cache);
        plain.chain(Knob::all().map(Self::Server))
    }

    /// Its name: section and key.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::StoreLocation => "store.location",
            Self::StoreSharing => "store.sharing",
            Self::CallerTenant => "caller.tenant",
            Self::CallerPrincipal => "caller.principal",
            Self::SessionsCap => "sessions.cap",
            Self::SessionsRetentionMs => "sessions.retention_ms",
            Self::SessionsReservationMs => "sessions.reservation_ms",
            Self::SessionsCachedSessions => "sessions.cached_sessions",
            Self::StashKeysMax => "stash.keys_max",
            Self::StashValueBytesMax => "stash.value_bytes_max",
            Self::StashTotalBytesMax => "stash.total_bytes_max",
            Self::StashTtlMsDefault => "stash.ttl_ms_default",
            Self::StashTtlMsMax => "stash.ttl_ms_max",
            Self::StashGroupKeysMax => "stash.group_quota.keys_max",
            Self::StashGroupBytesMax => "stash.group_quota.bytes_max",
            Self::ClientServer => "client.server",
            Self::OutputColor => "output.color",
            Self::State(setting) => setting.name(),
            Self::Stream(setting) => setting.name(),
            Self::Audit(setting) => setting.name(),
            Self::Maintenance(setting) => setting.name(),
            Self::Cache(setting) => setting.name(),
            Self::Server(knob) => knob.name(),
        }
    }

    /// The setting that `name` names.
    pub(crate) fn named(name: &str, origin: &Origin) -> Result<Self, ConfigError> {
        let known = Self::all().find(|setting| setting.name() == name);
        known.ok_or_else(|| ConfigError::Unknown {
            name: match origin {
                Origin::Variable(variable) => super::error::cut(variable),
                _ => super::error::cut(name),
            },
            origin: origin.clone(),
            nearest: origin.spell(Self::nearest(name)),
        })
    }

    /// The setting whose name takes the fewest edits to reach.
    fn nearest(name: &str) -> Self {
        let edits =
            |setting: &Self| strsim::damerau_levenshtein(setting.name(), &super::error::cut(name));
        Self::all().min_by_key(edits).expect("there are settings")
    }

    /// Whether its value is a number.
    pub(crate) const fn is_number(self) -> bool {
        match self {
            Self::StoreLocation
            | Self::StoreSharing
            | Self::CallerTenant
            | Self::CallerPrincipal
            | Self::ClientServer
            | Self::OutputColor => false,
            Self::State(setting) => setting.is_number(),
            Self::Audit(setting) => setting.is_number(),
            Self::Maintenance(setting) => setting.is_number(),
            Self::Cache(setting) => setting.is_number(),
            Self::Server(knob) => knob.is_number(),
            _ => true,
        }
    }

    /// Sets it, if `value` is one that it can have.
    pub(crate) fn set(
        self,
        settings: &mut Settings,
        value: Value,
        origin: &Origin,
    ) -> Result<(), ConfigError> {
        let text = match value {
            Value::Text(text) if !self.is_number() || !matches!(origin, Origin::File(_)) => text,
            Value::Number(number) if self.is_number() => number.to_string(),
            _ => return Err(self.wrong_type(origin)),
        };
        self.set_text(settings, &text)
            .map_err(|source| ConfigError::Value {
                setting: self.name(),
                origin: origin.clone(),
                source,
            })
    }

    fn wrong_type(self, origin: &Origin) -> ConfigError {
        let expected = if self.is_number() { "a number" } else { "text" };
        ConfigError::Type {
            setting: self.name(),
            origin: origin.clone(),
            expected,
        }
    }

    fn set_text(self, settings: &mut Settings, text: &str) -> Result<(), ValueError> {
        match self {
            Self::StoreLocation => settings.location = text.parse()?,
            Self::StoreSharing => settings.sharing = sharing(text)?,
            Self::CallerTenant => settings.tenant = text.parse()?,
            Self::CallerPrincipal => settings.principal = text.parse()?,
            Self::ClientServer => settings.server_url = server(text)?,
            Self::OutputColor => settings.color = color(text)?,
            Self::State(setting) => setting.set(&mut settings.states, text)?,
            Self::Stream(setting) => setting.set(&mut settings.streams, text)?,
            Self::Audit(setting) => setting.set(&mut settings.audit, text)?,
            Self::Maintenance(setting) => setting.set(&mut settings.maintenance, text)?,
            Self::Cache(setting) => setting.set(&mut settings.cache, text)?,
            Self::Server(knob) => knob.set(&mut settings.server, text)?,
            Self::SessionsCap
            | Self::SessionsRetentionMs
            | Self::SessionsReservationMs
            | Self::SessionsCachedSessions => {
                settings.sessions = self.sessions_with(&settings.sessions, text)?;
            }
            Self::StashGroupKeysMax | Self::StashGroupBytesMax => {
                *self.quota_field(&mut settings.stash) = quota(text)?;
            }
            _ => *self.stash_field(&mut settings.stash) = self.stash_number(text)?,
        }
        Ok(())
    }

    fn sessions_with(self, before: &Config, text: &str) -> Result<Config, ValueError> {
        let mut config = before.clone();
        match self {
            Self::SessionsCap => config.cap = u64::from_str(text)?,
            Self::SessionsRetentionMs => config.retention_ms = u64::from_str(text)?,
            Self::SessionsReservationMs => config.reservation_ms = u64::from_str(text)?,
            _ => config.cached_sessions = usize::from_str(text)?,
        }
        config.check()?;
        Ok(config)
    }

    /// The number in `text`, if it is within its own range. Whether it agrees
    /// with the other limits of a stash is known once all are read.
    fn stash_number(self, text: &str) -> Result<u64, ValueError> {
        let number = u64::from_str(text)?;
        let mut alone = stash::Config {
            value_bytes_max: 1,
            total_bytes_max: TOTAL_BYTES_MAX,
            ..stash::Config::default()
        };
        *self.stash_field(&mut alone) = number;
        alone.check()?;
        Ok(number)
    }

    fn stash_field(self, config: &mut stash::Config) -> &mut u64 {
        match self {
            Self::StashKeysMax => &mut config.keys_max,
            Self::StashValueBytesMax => &mut config.value_bytes_max,
            Self::StashTotalBytesMax => &mut config.total_bytes_max,
            Self::StashTtlMsDefault => &mut config.ttl_ms_default,
            _ => &mut config.ttl_ms_max,
        }
    }

    /// What a group may have that has no quota of its own. Whether it agrees
    /// with the other limits of a stash is known once all are read.
    fn quota_field(self, config: &mut stash::Config) -> &mut Option<u64> {
        let quota = config.group_quota.get_or_insert(stash::Quota {
            keys_max: None,
            bytes_max: None,
        });
        match self {
            Self::StashGroupKeysMax => &mut quota.keys_max,
            _ => &mut quota.bytes_max,
        }
    }

    /// Its value as text.
    pub(crate) fn value(self, settings: &Settings) -> String {
        match self {
            Self::StoreLocation => settings.location.to_string(),
            Self::StoreSharing => sharing_name(settings.sharing).to_owned(),
            Self::CallerTenant => settings.tenant.to_string(),
            Self::CallerPrincipal => settings.principal.to_string(),
            Self::SessionsCap => settings.sessions.cap.to_string(),
            Self::SessionsRetentionMs => settings.sessions.retention_ms.to_string(),
            Self::SessionsReservationMs => settings.sessions.reservation_ms.to_string(),
            Self::SessionsCachedSessions => settings.sessions.cached_sessions.to_string(),
            Self::ClientServer => settings.server_url.clone().unwrap_or_default(),
            Self::OutputColor => color_name(settings.color).to_owned(),
            Self::State(setting) => setting.value(&settings.states),
            Self::Stream(setting) => setting.value(&settings.streams),
            Self::Audit(setting) => setting.value(&settings.audit),
            Self::Maintenance(setting) => setting.value(&settings.maintenance),
            Self::Cache(setting) => setting.value(&settings.cache),
            Self::Server(knob) => knob.value(&settings.server),
            Self::StashGroupKeysMax | Self::StashGroupBytesMax => {
                let quota = *self.quota_field(&mut settings.stash.clone());
                quota.map_or_else(String::new, |most| most.to_string())
            }
            _ => self.stash_field(&mut settings.stash.clone()).to_string(),
        }
    }
}

fn sharing(text: &str) -> Result<Sharing, ValueError> {
    let both = [Sharing::Shared, Sharing::Exclusive];
    let found = both
        .into_iter()
        .find(|sharing| sharing_name(*sharing) == text);
    found.ok_or(ValueError::Word("`shared`, `exclusive`"))
}

const fn sharing_name(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Shared => "shared",
        Sharing::Exclusive => "exclusive",
    }
}

/// The most a group may have; as much as a stash if the text is empty.
fn quota(text: &str) -> Result<Option<u64>, ValueError> {
    match text {
        "" => Ok(None),
        _ => Ok(Some(u64::from_str(text)?)),
    }
}

/// An address of a server; none if the text is empty.
fn server(text: &str) -> Result<Option<String>, ValueError> {
    let spoken = ["http://", "https://"];
    match text {
        "" => Ok(None),
        _ if spoken.iter().any(|scheme| text.starts_with(scheme)) => Ok(Some(text.to_owned())),
        _ => Err(ValueError::Word("`http://HOST:PORT`, `https://HOST`")),
    }
}

fn color(text: &str) -> Result<ColorWhen, ValueError> {
    let found = ColorWhen::value_variants()
        .iter()
        .find(|when| color_name(**when) == text);
    found
        .copied()
        .ok_or(ValueError::Word("`auto`, `always`, `never`"))
}

/// The choice as it is spelled everywhere.
pub(crate) const fn color_name(when: ColorWhen) -> &'static str {
    match when {
        ColorWhen::Auto => "auto",
        ColorWhen::Always => "always",
        ColorWhen::Never => "never",
    }
}
