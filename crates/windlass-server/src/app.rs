//! What every request of a server shares.

use std::sync::Arc;
use std::sync::OnceLock;

use tokio::sync::watch;
use windlass::Windlass;
use windlass::core::Env;

use crate::auth::Auth;
use crate::config::Config;
use crate::connection::{Places, Stage};
use crate::console::Console;
use crate::hooks::Hooks;
use crate::metrics::Metrics;
use crate::room::Room;
use crate::route::Route;
use crate::seal::Seal;
use crate::trace::RequestIds;

/// The state of a running server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) engine: Windlass,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) config: Config,
    pub(crate) auth: Auth,
    pub(crate) seal: Seal,
    pub(crate) hooks: Hooks,
    pub(crate) console: Console,
    pub(crate) ids: RequestIds,
    pub(crate) metrics: Metrics,
    pub(crate) places: Places,
    /// Bytes of bodies being received.
    pub(crate) bodies: Room,
    /// Streams that are open.
    pub(crate) streams: Room,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) routes: Vec<Arc<Route>>,
    /// The OpenAPI document, made when it is first asked for.
    pub(crate) document: OnceLock<bytes::Bytes>,
}

impl App {
    pub(crate) fn is_draining(&self) -> bool {
        *self.stage.borrow() != Stage::Serving
    }
}
