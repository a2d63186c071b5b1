//! Redis as a peer: the same number of connections, the same bytes, a sync
//! before each answer (`appendfsync always`).

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::line::Protocol;
use super::sides::Lines;
use crate::clock;
use crate::error::BenchError;

/// Bytes of a value: about what a use of a session writes.
pub const VALUE_BYTES: usize = 600;

/// How long it gets to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server of this bench's own.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    address: SocketAddr,
}

impl Redis {
    /// Starts one in `directory`; `None` where it is not installed.
    ///
    /// # Errors
    ///
    /// [`BenchError::Process`] if it is installed and does not start.
    pub fn start(directory: &Path) -> Result<Option<Self>, BenchError> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.map_err(BenchError::io("find a free port"))?;
        let spawned = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args([
                "--appendfsync",
                "always",
                "--port",
                &address.port().to_string(),
            ])
            .arg("--dir")
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BenchError::io("start Redis")(error)),
        };
        let redis = Self { child, address };
        let start = clock::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > PATIENCE {
                return Err(BenchError::Process("Redis does not start".into()));
            }
            std::thread::yield_now();
        }
        Ok(Some(redis))
    }

    /// Connections that set one key each.
    ///
    /// # Errors
    ///
    /// The connections'.
    pub fn lines<'r>(&self, runtime: &'r Runtime) -> Result<Lines<'r>, BenchError> {
        let request = |number| {
            let (key, value) = (format!("session:{number:08}"), "v".repeat(VALUE_BYTES));
            let key_bytes = key.len();
            format!("*3\r\n$3\r\nSET\r\n${key_bytes}\r\n{key}\r\n${VALUE_BYTES}\r\n{value}\r\n")
                .into_bytes()
        };
        Lines::open(runtime, "Redis", self.address, Protocol::Redis, request)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It is this bench's own, and what it holds is nobody's.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
