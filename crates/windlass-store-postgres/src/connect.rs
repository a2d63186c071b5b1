//! Connections, pooled by what they are for, so that exports cannot keep
//! commits waiting.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool as Connections, RecyclingMethod, Runtime,
};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use crate::clock;
use crate::error::{Failure, is_warning};
use crate::limits::RECONNECT_MS;
use crate::options::Options;

/// A connection that goes back to its pool when dropped.
pub(crate) type Connection = Object;

/// Connections for one purpose, opened when they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connections: Connections,
    warnings: Arc<AtomicU64>,
    patience: Duration,
}

impl Pool {
    pub(crate) fn new(options: &Options, size: usize) -> Result<Self, Failure> {
        let warnings = Arc::new(AtomicU64::new(0));
        let attentive = Attentive {
            warnings: Arc::clone(&warnings),
        };
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_connect(options.config.clone(), attentive, recycling);
        let built = Connections::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.unavailable_time_max))
            .create_timeout(connect_time_max(&options.config))
            .build();
        let connections = built.map_err(|cause| {
            Failure::environment("connections cannot be pooled").caused_by(cause)
        })?;
        Ok(Self {
            connections,
            warnings,
            patience: options.unavailable_time_max,
        })
    }

    /// A connection to a server that takes writes. One that cannot be reached
    /// is tried again for as long as the options say.
    pub(crate) async fn connection(&self) -> Result<Connection, Failure> {
        let deadline = clock::now() + self.patience;
        let mut pause = tokio::time::interval(Duration::from_millis(RECONNECT_MS));
        loop {
            pause.tick().await;
            match self.connections.get().await.map_err(Failure::from) {
                Err(failure) if failure.is_passing() && clock::now() < deadline => {}
                answer => return answer,
            }
        }
    }

    /// How many warnings servers have sent. One that comes while a commit is
    /// on its way may be about it.
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }

    /// Closes what is idle; what is in use closes when it is given back.
    pub(crate) fn close(&self) {
        self.connections.close();
    }
}

/// How long it may take until a server, of all that are named, has answered.
/// The driver's own limit ends once the kernel at the other end has.
pub(crate) fn connect_time_max(config: &Config) -> Option<Duration> {
    let hosts = u32::try_from(config.get_hosts().len().max(1)).unwrap_or(u32::MAX);
    let each = config.get_connect_timeout()?;
    Some(each.saturating_mul(hosts))
}

/// Closes a connection whose state is not known.
pub(crate) fn discard(connection: Connection) {
    drop(Object::take(connection));
}

/// Connects, and counts the warnings that come.
struct Attentive {
    warnings: Arc<AtomicU64>,
}

type Connecting<'a> = Pin<
    Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>,
>;

impl Connect for Attentive {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let config = config.clone();
        let warnings = Arc::clone(&self.warnings);
        Box::pin(async move {
            let (client, mut connection) = config.connect(NoTls).await?;
            let driving = tokio::spawn(async move {
                // Ends with the connection; whoever uses it is told why.
                while let Some(Ok(message)) =
                    poll_fn(|context| connection.poll_message(context)).await
                {
                    if matches!(&message, AsyncMessage::Notice(notice) if is_warning(notice)) {
                        warnings.fetch_add(1, Ordering::AcqRel);
                    }
                }
            });
            Ok((client, driving))
        })
    }
}
