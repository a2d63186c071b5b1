//! Settings of a server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::auth::JwtConfig;

/// How long the server waits for whoever is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// For a request's head, from its first byte, and for the first byte of a
    /// new connection; 10 s.
    pub head_ms: u64,
    /// For a request's body, from the end of its head; 30 s.
    pub body_ms: u64,
    /// For the next request on a connection; 75 s.
    pub idle_ms: u64,
    /// For a client that takes nothing of its answer; 30 s.
    pub write_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head_ms: 10_000,
            body_ms: 30_000,
            idle_ms: 75_000,
            write_ms: 30_000,
        }
    }
}

impl Patience {
    pub(crate) const fn head(&self) -> Duration {
        Duration::from_millis(self.head_ms)
    }

    pub(crate) const fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms)
    }

    pub(crate) const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    pub(crate) const fn write(&self) -> Duration {
        Duration::from_millis(self.write_ms)
    }
}

/// Settings of a [`Server`](crate::Server).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen; `127.0.0.1:7411`. Without any key or token issuer
    /// only an address of the loopback interface is accepted. Port 0 takes a
    /// free one.
    pub listen: SocketAddr,
    /// Connections at a time; 12,000. At seven eighths those that are not in
    /// use are closed, beyond it new ones are turned away.
    pub connections_max: usize,
    /// Bytes of a request's head; 16 KiB.
    pub head_bytes_max: usize,
    /// Headers of a request; 64.
    pub headers_max: usize,
    /// Bytes of bodies that are being received at a time, over all
    /// connections; 256 MiB. Beyond it requests are told to come back.
    pub bodies_bytes_max: u64,
    /// How long the other end is waited for.
    pub patience: Patience,
    /// How long a request may take once it has arrived; 30 s. Streams are not
    /// requests in this sense.
    pub request_ms_max: u64,
    /// Streams open at a time; 4,096.
    pub streams_max: usize,
    /// How long a stream may be silent before it says that it is still there;
    /// 15 s.
    pub heartbeat_ms: u64,
    /// How often a stream looks for what other processes changed; 1 s.
    pub poll_ms: u64,
    /// How long a long-poll waits for what it asks for; 20 s.
    pub long_poll_ms: u64,
    /// Origins (`https://example.com`) whose pages may ask; none. Never with
    /// credentials of a browser's own.
    pub cors_origins: Vec<String>,
    /// By which URL others reach the server (`https://streams.example`), for
    /// those that a webhook calls back; `http://` and the address if `None`.
    pub public_url: Option<String>,
    /// How long a stopping server waits for what was begun; 20 s.
    pub drain_ms: u64,
    /// Whether it does upkeep, by the settings of the engine; yes. Of several
    /// servers on a store one does at a time.
    pub maintain: bool,
    /// How long a credential that was found good is taken for good without
    /// asking the store; 1 s, and no more. Within one process a revocation counts at once.
    pub credential_ms: u64,
    /// Whether `/metrics` answers without a credential.
    pub metrics_public: bool,
    /// How often figures are kept for `/v1/metrics/history`; 10 s.
    pub history_interval_ms: u64,
    /// For how long each of them is kept; 24 h. No more than
    /// 100,000 of them; 0 keeps none.
    pub history_ms: u64,
    /// Who else may issue tokens; nobody if `None`.
    pub jwt: Option<JwtConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7411),
            connections_max: 12_000,
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            bodies_bytes_max: 256 * 1024 * 1024,
            patience: Patience::default(),
            request_ms_max: 30_000,
            streams_max: 4_096,
            heartbeat_ms: 15_000,
            poll_ms: 1_000,
            long_poll_ms: 20_000,
            cors_origins: Vec::new(),
            public_url: None,
            drain_ms: 20_000,
            maintain: true,
            credential_ms: 1_000,
            metrics_public: false,
            history_interval_ms: 10_000,
            history_ms: DAY_MS,
            jwt: None,
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` is {value}; {min} to {max} are allowed")]
pub struct ConfigError {
    /// Which.
    pub setting: &'static str,
    /// What it is set to.
    pub value: u64,
    /// The least allowed.
    pub min: u64,
    /// The most allowed.
    pub max: u64,
}

/// Samples of the history, of 200 bytes each.
const HISTORY_SAMPLES_MAX: u64 = 100_000;

const DAY_MS: u64 = 24 * 3_600 * 1_000;

impl Config {
    /// For how long figures can be kept at this interval.
    const fn history_ms_max(&self) -> u64 {
        self.history_interval_ms.saturating_mul(HISTORY_SAMPLES_MAX)
    }

    /// Checks every setting by itself.
    ///
    /// # Errors
    ///
    /// The first that is outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        let table = [
            ("connections_max", size(self.connections_max), 8, 1_000_000),
            ("head_bytes_max", size(self.head_bytes_max), 1_024, 1 << 20),
            ("headers_max", size(self.headers_max), 8, 1_000),
            ("bodies_bytes_max", self.bodies_bytes_max, 32 << 20, 1 << 40),
            ("patience.head_ms", self.patience.head_ms, 1, DAY_MS),
            ("patience.body_ms", self.patience.body_ms, 1, DAY_MS),
            ("patience.idle_ms", self.patience.idle_ms, 1, DAY_MS),
            ("patience.write_ms", self.patience.write_ms, 1, DAY_MS),
            ("request_ms_max", self.request_ms_max, 1, DAY_MS),
            ("streams_max", size(self.streams_max), 0, 1_000_000),
            ("heartbeat_ms", self.heartbeat_ms, 10, DAY_MS),
            ("poll_ms", self.poll_ms, 10, DAY_MS),
            ("long_poll_ms", self.long_poll_ms, 0, DAY_MS),
            ("drain_ms", self.drain_ms, 0, DAY_MS),
            (
                "history_interval_ms",
                self.history_interval_ms,
                1_000,
                3_600_000,
            ),
            ("history_ms", self.history_ms, 0, self.history_ms_max()),
            // An erasure waits for so long for what others still believe.
            ("credential_ms", self.credential_ms, 0, 1_000),
        ];
        for (setting, value, min, max) in table {
            if value < min || value > max {
                return Err(ConfigError {
                    setting,
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }
}
