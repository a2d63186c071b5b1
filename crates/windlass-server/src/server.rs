//! A server: bound, running, and stopped without losing anything.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt;
use jiff::fmt::rfc2822::DateTimePrinter;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tower::Service;
use windlass::core::{Coded, Env, ErrorKind, Millis};
use windlass::maintenance::{MaintenanceError, Turned};
use windlass::{SystemEnv, Windlass};

use crate::app::App;
use crate::auth::{Auth, JwtError};
use crate::config::{Config, ConfigError};
use crate::connection::{Flight, Handle, HeadLimits, Lasting, Places, Stage, accept};
use crate::console::{self, Console};
use crate::cors;
use crate::dispatch::{answer, no_route};
use crate::held::Held;
use crate::hooks::{Hooks, Reach, dispatch};
use crate::metrics::Metrics;
use crate::problem::{Problem, Refused};
use crate::room::Room;
use crate::route::Route;
use crate::routes;
use crate::seal::Seal;
use crate::trace::RequestIds;

/// How long connections get that are closed without having finished.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// How long upkeep that panicked itself is left alone.
const MAINTAIN_AGAIN: Duration = Duration::from_secs(10);

/// How often what was counted is folded.
const FOLD: Duration = Duration::from_secs(5);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Tokens of the configured issuer cannot be checked.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// Without keys, only the own machine is served.
    #[error(
        "there is no key yet, so only an address of this machine can be served, not `{address}`; \
         make one first: windlass key create --help"
    )]
    Exposed {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// No webhook could be called.
    #[error("webhooks cannot be set up")]
    Webhooks(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The keys cannot be read.
    #[error("the keys cannot be read")]
    Keys(#[source] windlass::access::AccessError),
}

impl Coded for ServeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "invalid_config",
            Self::Jwt(_) => "jwt_not_usable",
            Self::Exposed { .. } => "server_exposed",
            Self::Listen { .. } => "listen_failed",
            Self::Webhooks(_) => "webhooks_not_usable",
            Self::Keys(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::Invalid,
            Self::Jwt(_) | Self::Exposed { .. } | Self::Listen { .. } | Self::Webhooks(_) => {
                ErrorKind::Environment
            }
            Self::Keys(error) => error.kind(),
        }
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that had not finished when their time was over.
    pub cut: usize,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
    stage: watch::Sender<Stage>,
}

impl Server {
    /// Listens; answers nobody before [`Server::run`].
    ///
    /// # Errors
    ///
    /// [`ServeError`]; nothing listens then.
    pub async fn bind(engine: Windlass, config: Config) -> Result<Self, ServeError> {
        config.check()?;
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
        let auth = Auth::new(engine.clone(), Arc::clone(&env), &config)?;
        let address = config.listen;
        let has_keys = engine.keys().any().await.map_err(ServeError::Keys)?;
        if !has_keys && config.jwt.is_none() && !address.ip().is_loopback() {
            return Err(ServeError::Exposed { address });
        }
        let sealing = engine.keys().sealing_key().await;
        let sealing = sealing.map_err(ServeError::Keys)?;
        let failed = |source| ServeError::Listen { address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stage, watched) = watch::channel(Stage::Serving);
        let routes: Vec<Arc<Route>> = routes::all().into_iter().map(Arc::new).collect();
        let streams = u64::try_from(config.streams_max).unwrap_or(u64::MAX);
        engine.activity().keep();
        let hooks = hooks(&sealing, &config, address, &env)?;
        let app = App {
            metrics: Metrics::new(routes.iter().map(|route| route.name)),
            places: Places::new(config.connections_max),
            bodies: Room::new(config.bodies_bytes_max),
            streams: Room::new(streams),
            ids: RequestIds::draw(env.as_ref()),
            stage: watched,
            console: Console::new(&config, env.now()),
            document: OnceLock::new(),
            engine,
            env,
            auth,
            seal: Seal::new(sealing),
            hooks,
            routes,
            config,
        };
        Ok(Self {
            app: Arc::new(app),
            listener,
            address,
            stage,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it serves whoever reaches it, as a server without keys does.
    ///
    /// # Errors
    ///
    /// [`ServeError::Keys`] if they cannot be read.
    pub async fn is_open(&self) -> Result<bool, ServeError> {
        let keys = self.app.engine.keys().any().await;
        let has_keys = keys.map_err(ServeError::Keys)?;
        Ok(!has_keys && self.app.config.jwt.is_none())
    }

    /// Serves until `stop`, then finishes what was begun, for no longer than
    /// the configured time and not beyond `at_once`. The engine is left open.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        at_once: impl Future<Output = ()>,
    ) -> Stopped {
        let app = &self.app;
        let limits = HeadLimits {
            bytes_max: app.config.head_bytes_max,
            headers_max: app.config.headers_max,
        };
        let accepting = tokio::spawn(accept(
            self.listener,
            app.places.clone(),
            limits,
            app.config.patience,
            self.stage.subscribe(),
            handle(app),
        ));
        let upkeep = upkeep(app);
        let maintaining = app
            .config
            .maintain
            .then(|| tokio::spawn(maintain(Arc::clone(app))));
        let dispatching = tokio::spawn(dispatch(Arc::clone(app)));
        let stop_dispatching = dispatching.abort_handle();
        stop.await;
        tracing::info!("stopping: what was begun is finished");
        self.stage.send_replace(Stage::Draining);
        let drain = Duration::from_millis(app.config.drain_ms);
        tokio::select! {
            () = ended(app, dispatching) => {}
            () = sleep_until(Instant::now() + drain) => {}
            () = at_once => {}
        }
        let cut = app.places.taken();
        self.stage.send_replace(Stage::Closing);
        // They have been told; this is for their tasks to end.
        let _ = timeout(LAST_MOMENT, app.places.empty()).await;
        stop_dispatching.abort();
        for task in upkeep {
            task.abort();
        }
        end_maintaining(maintaining).await;
        let _ = accepting.await;
        tracing::info!(cut, "stopped");
        Stopped { cut }
    }
}

/// Connections that wait to be accepted. All clients come at once when a
/// server was started again, and whoever finds no room tries again only after
/// a second.
const BACKLOG: u32 = 4_096;

/// Bytes that the system holds for a client that does not take them yet; it
/// may double them. Left to itself it takes megabytes, a little at a time, and
/// whoever reads nothing looks for a minute like one who reads slowly.
const UNSENT_BYTES: u32 = 256 * 1024;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // On other systems the option means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // What is accepted has it from the socket that listens.
    socket.set_send_buffer_size(UNSENT_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Waits until nothing is under way: requests, and wakes on their way to
/// webhooks.
async fn ended(app: &App, dispatching: JoinHandle<()>) {
    app.places.empty().await;
    // One that panicked has nothing under way.
    let _ = dispatching.await;
}

/// The webhooks of a server that listens at `address`.
fn hooks(
    secret: &[u8; 32],
    config: &Config,
    address: SocketAddr,
    env: &Arc<dyn Env>,
) -> Result<Hooks, ServeError> {
    let reach = match address.ip().is_loopback() {
        true => Reach::Local,
        false => Reach::Public,
    };
    let url = config.public_url.clone();
    let url = url.unwrap_or_else(|| format!("http://{address}"));
    let url = url.trim_end_matches('/').to_owned();
    let hooks = Hooks::new(secret, reach, url, Arc::clone(env));
    hooks.map_err(|error| ServeError::Webhooks(Box::new(error)))
}

/// What a server does without being asked.
fn upkeep(app: &Arc<App>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(watch_keys(Arc::clone(app))),
        tokio::spawn(fold(Arc::clone(app))),
        tokio::spawn(console::sample(Arc::clone(app))),
    ]
}

/// Forgets credentials as soon as a key or a tenant changes.
async fn watch_keys(app: Arc<App>) {
    let mut keys = app.engine.keys().changes();
    let mut tenants = app.engine.tenants().changes();
    loop {
        let more = tokio::select! {
            more = keys.changed() => more,
            more = tenants.changed() => more,
        };
        app.auth.keys_changed();
        if !more {
            return;
        }
    }
}

async fn fold(app: Arc<App>) {
    loop {
        sleep_until(Instant::now() + FOLD).await;
        app.metrics.fold();
    }
}

/// Does upkeep until the server stops serving. Should it panic itself, beyond
/// the tasks that it watches over, it begins anew.
async fn maintain(app: Arc<App>) {
    loop {
        let mut stage = app.stage.clone();
        let stop = async move {
            // A server that is gone serves no more, either.
            let _ = stage.wait_for(|stage| *stage != Stage::Serving).await;
        };
        let run = app.engine.maintenance().run(stop, tell_turn);
        if AssertUnwindSafe(run).catch_unwind().await.is_ok() {
            return;
        }
        tracing::error!("upkeep panicked; it begins anew");
        sleep_until(Instant::now() + MAINTAIN_AGAIN).await;
    }
}

/// Puts what went wrong in a turn of upkeep into the log.
fn tell_turn(turned: &Result<Turned, MaintenanceError>) {
    match turned {
        Ok(Turned::Round(round)) => {
            for (task, failure) in &round.failed {
                let (code, message) = (&failure.code, &failure.message);
                tracing::warn!(%task, %code, %message, "a task of upkeep failed; it is tried again");
            }
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, code = error.code(), "upkeep failed; it is tried again");
        }
    }
}

/// Waits for upkeep to give its lease back, which it was told to.
async fn end_maintaining(maintaining: Option<JoinHandle<()>>) {
    if let Some(maintaining) = maintaining {
        let abort = maintaining.abort_handle();
        if timeout(LAST_MOMENT, maintaining).await.is_err() {
            abort.abort();
        }
    }
}

/// Answers whatever comes, by the routes.
fn handle(app: &Arc<App>) -> Handle {
    let (app, router) = (Arc::clone(app), router(app));
    Arc::new(move |request, flight: Flight| {
        let (app, mut router) = (Arc::clone(&app), router.clone());
        Box::pin(async move {
            // A router is always ready.
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(flight.flights());
            let origin = cors::allowed(&app.config.cors_origins, request.headers());
            let preflight = origin.as_ref().and_then(|_| cors::preflight(&request));
            let mut response = match preflight {
                Some(response) => response,
                None => {
                    let answered = router.call(request).await;
                    answered.unwrap_or_else(|never| match never {})
                }
            };
            if let Some(origin) = &origin {
                cors::allow(response.headers_mut(), origin);
            }
            if response.extensions().get::<Lasting>().is_some() {
                date(response.headers_mut(), app.env.now());
            }
            response.map(|body| Body::new(Held::new(body, flight)))
        })
    })
}

/// Says when an answer was made, which the HTTP library says of those that it
/// writes.
fn date(headers: &mut HeaderMap, now: Millis) {
    let now = i64::try_from(now.get()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(now);
    let text = time.and_then(|time| DateTimePrinter::new().timestamp_to_rfc9110_string(&time));
    // Of a time beyond all calendars nothing is said.
    if let Some(value) = text.ok().and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::DATE, value);
    }
}

fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in &app.routes {
        let filter = MethodFilter::try_from(route.method.clone()).expect("a plain method");
        let (app, known) = (Arc::clone(app), Arc::clone(route));
        let one = move |parameters: Result<RawPathParams, RawPathParamsRejection>,
                        request: Request<Body>| {
            answer(
                Arc::clone(&app),
                Arc::clone(&known),
                named(parameters),
                request,
            )
        };
        router = router.route(route.path, on(filter, one));
    }
    let (lost, refused) = (Arc::clone(app), Arc::clone(app));
    router
        .method_not_allowed_fallback(move || {
            let detail = "this path has other methods; see the `Allow` header";
            let problem = Problem::new(405, "method_not_allowed", detail);
            let response: Response<Body> = no_route(&refused, problem);
            async move { response }
        })
        .fallback(move || {
            let response: Response<Body> = no_route(&lost, Problem::not_found());
            async move { response }
        })
        // Makes of each handler a service, which would be done anew for each
        // request.
        .with_state(())
}

/// The parameters of a path; what is no text names nothing.
fn named(
    parameters: Result<RawPathParams, RawPathParamsRejection>,
) -> Result<RawPathParams, Refused> {
    parameters.map_err(|_| {
        let detail = "the path is not text in UTF-8";
        Box::new(Problem::new(400, "invalid_id", detail))
    })
}
