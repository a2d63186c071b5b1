//! Settings: defaults, overridden by a TOML file, overridden by the
//! environment, overridden by flags.
//!
//! Every value of every layer is checked, also one that a later layer
//! overrides, and a name that is not known is refused: a setting that was
//! misspelt would otherwise be a default that nobody chose.

mod audit;
mod cache;
pub(crate) mod command;
mod environment;
mod error;
mod file;
mod maintenance;
mod server;
mod setting;
mod states;
mod streams;

use std::collections::BTreeMap;
use std::path::Path;

use windlass::core::{PrincipalId, Sharing, TenantId};
use windlass::maintenance::MaintenanceOptions;
use windlass::session::{Caller, Config};
use windlass::{Options, StoreLocation, checkpoint, stash, stream};

use audit::{AuditSetting, AuditSettings};
use cache::CacheSettings;
pub(crate) use command::ConfigCommand;
pub(crate) use environment::Environment;
use error::ConfigError;
use server::{Knob, ServerSettings};
use setting::{Given, Origin, Setting, Value};

use crate::args::{ColorWhen, Global};
use crate::serve::ServeArgs;

/// The store where nothing else is said.
const LOCATION_DEFAULT: &str = "./windlass.db";

/// The settings in force, and where each came from.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) location: StoreLocation,
    pub(crate) sharing: Sharing,
    pub(crate) tenant: TenantId,
    pub(crate) principal: PrincipalId,
    pub(crate) sessions: Config,
    pub(crate) stash: stash::Config,
    pub(crate) states: checkpoint::Config,
    pub(crate) streams: stream::Settings,
    pub(crate) audit: AuditSettings,
    pub(crate) maintenance: MaintenanceOptions,
    pub(crate) cache: CacheSettings,
    /// Whether they are those of `windlass serve`, which audits without being
    /// told.
    serves: bool,
    pub(crate) color: ColorWhen,
    pub(crate) server: ServerSettings,
    /// The server to work on instead of the store.
    pub(crate) server_url: Option<String>,
    origins: BTreeMap<Setting, Origin>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: StoreLocation::Sqlite(LOCATION_DEFAULT.into()),
            sharing: Sharing::Shared,
            tenant: "default".parse().expect("a word is an identifier"),
            principal: "cli".parse().expect("a word is an identifier"),
            sessions: Config::default(),
            stash: stash::Config::default(),
            states: checkpoint::Config::default(),
            streams: stream::Settings::default(),
            audit: AuditSettings::default(),
            maintenance: MaintenanceOptions::default(),
            cache: CacheSettings::default(),
            serves: false,
            color: ColorWhen::Auto,
            server: ServerSettings::default(),
            server_url: None,
            origins: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The settings that these flags, this environment and the file that they
    /// name amount to.
    ///
    /// # Errors
    ///
    /// The first thing wrong in any layer.
    pub(crate) fn load(global: &Global, environment: &Environment) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        let path = file::locate(global, environment);
        settings.apply(file::read(&path)?)?;
        settings.apply(environment.settings()?)?;
        settings.apply(flags(global))?;
        settings.stash.check().map_err(ConfigError::Stash)?;
        settings.cache.check().map_err(ConfigError::Cache)?;
        settings.server()?;
        Ok(settings)
    }

    /// As [`Settings::load`], with the flags of `windlass serve` on top.
    ///
    /// # Errors
    ///
    /// The first thing wrong in any layer.
    pub(crate) fn serving(
        global: &Global,
        args: &ServeArgs,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self::load(global, environment)?;
        let listen = args.listen.clone().map(|address| Given {
            name: Knob::LISTEN.name().to_owned(),
            value: Value::Text(address),
            origin: Origin::Flag("--listen"),
        });
        settings.apply(listen.into_iter().collect())?;
        settings.serves = true;
        Ok(settings)
    }

    /// The settings of a server.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Missing`] where some make no sense without another.
    pub(crate) fn server(&self) -> Result<windlass_server::Config, ConfigError> {
        let missing = |setting| ConfigError::Missing { setting };
        self.server.config().map_err(missing)
    }

    fn apply(&mut self, layer: Vec<Given>) -> Result<(), ConfigError> {
        for given in layer {
            let Given {
                name,
                value,
                origin,
            } = given;
            let setting = Setting::named(&name, &origin)?;
            setting.set(self, value, &origin)?;
            self.origins.insert(setting, origin);
        }
        Ok(())
    }

    /// Where the value of `setting` came from.
    pub(crate) fn origin(&self, setting: Setting) -> &Origin {
        self.origins.get(&setting).unwrap_or(&Origin::Default)
    }

    /// Who calls.
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(self.tenant.clone(), self.principal.clone())
    }

    /// Whether anything is audited: by a server, and by other commands if they
    /// are told to.
    fn is_audited(&self) -> bool {
        let detail = Setting::Audit(AuditSetting::Detail);
        self.serves || *self.origin(detail) != Origin::Default
    }

    /// How the engine is opened by commands about its cache, which is for one
    /// process alone.
    pub(crate) fn options_with_cache(&self) -> Options {
        Options {
            cache: self.cache.options(),
            ..self.options()
        }
    }

    /// How the engine is opened.
    pub(crate) fn options(&self) -> Options {
        Options {
            sharing: self.sharing,
            sessions: self.sessions.clone(),
            stashes: stash::durable::Options {
                stash: self.stash.clone(),
                ..stash::durable::Options::default()
            },
            checkpoints: self.states.clone(),
            streams: self.streams.clone(),
            cache: self.cache.options().filter(|_| self.serves),
            audit: self.audit.options().filter(|_| self.is_audited()),
            maintenance: self.maintenance.clone(),
            ..Options::default()
        }
    }
}

fn flags(global: &Global) -> Vec<Given> {
    let color = global
        .color
        .map(|when| setting::color_name(when).to_owned());
    let said = [
        (Setting::StoreLocation, "--store", global.store.clone()),
        (Setting::ClientServer, "--server", global.server.clone()),
        (Setting::CallerTenant, "--tenant", global.tenant.clone()),
        (
            Setting::CallerPrincipal,
            "--principal",
            global.principal.clone(),
        ),
        (Setting::OutputColor, "--color", color),
    ];
    let given = said.into_iter().filter_map(|(setting, flag, text)| {
        let value = Value::Text(text?);
        Some(Given {
            name: setting.name().to_owned(),
            value,
            origin: Origin::Flag(flag),
        })
    });
    given.collect()
}

/// A path as it is shown to people.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
