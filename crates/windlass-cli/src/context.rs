//! What every command that touches a store is given.

use windlass::audit::{Who, on_behalf};
use windlass::session::Caller;
use windlass::{Options, StoreLocation, Windlass};

use crate::access::Access;
use crate::args::Global;
use crate::config::{Environment, Settings};
use crate::engine::{Caching, Engine, Here, Keeper, Lines, Outputs, Remote, States, Trail, Upkeep};
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::serve::ServeArgs;

/// Settings, caller and output of one run of the command.
#[derive(Debug)]
pub(crate) struct Context {
    settings: Settings,
    caller: Caller,
    output: Output,
    access: Option<Access>,
}

impl Context {
    /// What flags, environment and configuration file amount to.
    ///
    /// # Errors
    ///
    /// What [`Settings::load`] refuses.
    pub(crate) fn new(global: &Global, environment: &Environment) -> Result<Self, Failure> {
        let settings = Settings::load(global, environment)?;
        let output = Output::new(global.json, settings.color, environment);
        Ok(Self {
            caller: settings.caller(),
            access: Access::of(global, environment, &settings)?,
            settings,
            output,
        })
    }

    /// As [`Context::new`], with what `windlass serve` is told beside.
    ///
    /// # Errors
    ///
    /// What [`Settings::serving`] refuses.
    pub(crate) fn serving(
        global: &Global,
        args: &ServeArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        if global.server.is_some() {
            let what = "`serve`";
            return Err(CommandError::NeedsStore { what }.into());
        }
        let settings = Settings::serving(global, args, environment)?;
        let output = Output::new(global.json, settings.color, environment);
        Ok(Self {
            caller: settings.caller(),
            access: None,
            settings,
            output,
        })
    }

    /// How the server is to serve.
    ///
    /// # Errors
    ///
    /// Settings that are missing beside others.
    pub(crate) fn server(&self) -> Result<windlass_server::Config, Failure> {
        Ok(self.settings.server()?)
    }

    /// Where data and messages go.
    pub(crate) const fn output(&self) -> &Output {
        &self.output
    }

    /// Who calls.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Where the store is.
    pub(crate) const fn location(&self) -> &StoreLocation {
        &self.settings.location
    }

    /// How the engine is to be opened.
    pub(crate) fn options(&self) -> Options {
        self.settings.options()
    }

    /// The same, with the cache if that is wanted.
    pub(crate) fn options_for(&self, cache: bool) -> Options {
        match cache {
            true => self.settings.options_with_cache(),
            false => self.options(),
        }
    }

    /// Lets `work` use what the command works on: the server that was named,
    /// or else the store.
    ///
    /// # Errors
    ///
    /// The first of reaching, working and closing that failed.
    pub(crate) async fn with_engine<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Engine) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            access.check_caller()?;
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        self.with_options(self.options(), opened).await
    }

    /// The same for commands about states.
    ///
    /// # Errors
    ///
    /// Those of [`Context::with_engine`].
    pub(crate) async fn with_states<T>(
        &self,
        work: impl AsyncFnOnce(&dyn States) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            access.check_caller()?;
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        self.with_options(self.options(), opened).await
    }

    /// The same for commands about queues.
    ///
    /// # Errors
    ///
    /// Those of [`Context::with_engine`].
    pub(crate) async fn with_lines<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Lines) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            access.check_caller()?;
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        self.with_options(self.options(), opened).await
    }

    /// The same for commands about streams.
    ///
    /// # Errors
    ///
    /// Those of [`Context::with_engine`].
    pub(crate) async fn with_outputs<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Outputs) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            access.check_caller()?;
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        self.with_options(self.options(), opened).await
    }

    /// The same for commands about keys, tenants and garbage, which name whom they are
    /// about and not who calls.
    ///
    /// # Errors
    ///
    /// Those of [`Context::with_engine`].
    pub(crate) async fn with_keeper<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Keeper) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        self.with_options(self.options(), opened).await
    }

    /// The same for commands about the audit, which name the chain they are
    /// about.
    ///
    /// # Errors
    ///
    /// Those of [`Context::with_engine`].
    pub(crate) async fn with_trail<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Trail) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        self.with_options(self.options(), opened).await
    }

    /// The same for commands about upkeep, which is of no tenant.
    ///
    /// # Errors
    ///
    /// Those of [`Context::with_engine`].
    pub(crate) async fn with_upkeep<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Upkeep) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        self.with_options(self.options(), opened).await
    }

    /// The same for commands about the cache, which is of no tenant.
    ///
    /// # Errors
    ///
    /// Those of [`Context::with_engine`].
    pub(crate) async fn with_cache<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Caching) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(access) = &self.access {
            return work(&Remote::new(access.connect()?)).await;
        }
        let opened = async |windlass: &Windlass| {
            let here = Here::new(windlass.clone(), self.caller.clone());
            work(&here).await
        };
        let options = self.settings.options_with_cache();
        self.with_options(options, opened).await
    }

    /// Opens the store, lets `work` use it, and closes it again. What `work`
    /// answers is given out only once the store has closed well.
    ///
    /// # Errors
    ///
    /// The first of opening, working and closing that failed, and
    /// [`CommandError::NeedsStore`] if a server was named: `what` works on a
    /// store.
    pub(crate) async fn with_store<T>(
        &self,
        what: &'static str,
        work: impl AsyncFnOnce(&Windlass) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.needs_store(what)?;
        self.with_options(self.options(), work).await
    }

    /// Refuses a server, for `what` that works on a store.
    ///
    /// # Errors
    ///
    /// [`CommandError::NeedsStore`].
    pub(crate) fn needs_store(&self, what: &'static str) -> Result<(), Failure> {
        match self.access {
            Some(_) => Err(CommandError::NeedsStore { what }.into()),
            None => Ok(()),
        }
    }

    /// As [`Context::with_store`], with other options, for whoever has seen to
    /// it that no server was named.
    ///
    /// # Errors
    ///
    /// The first of opening, working and closing that failed.
    pub(crate) async fn with_options<T>(
        &self,
        options: Options,
        work: impl AsyncFnOnce(&Windlass) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let windlass = Windlass::open(self.location(), options).await?;
        let who = Who {
            principal: Some(self.caller.principal.clone()),
            ..Who::default()
        };
        let done = on_behalf(who, work(&windlass)).await;
        let closed = windlass.close().await;
        let done = done?;
        closed?;
        Ok(done)
    }
}
