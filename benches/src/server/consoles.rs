//! Consoles that look on while something is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::error::BenchError;

/// What a console begins with once it has seen something.
const SEEN: &[u8] = b"event: overview";

/// Open consoles; dropping them closes them.
#[derive(Debug)]
pub struct Consoles {
    tasks: Vec<JoinHandle<()>>,
    events: Arc<AtomicU64>,
}

impl Consoles {
    /// Opens so many, and waits until each has seen something.
    ///
    /// # Errors
    ///
    /// The connections', and [`BenchError::Unfair`] if one is not let in.
    pub fn open(
        runtime: &Runtime,
        address: SocketAddr,
        token: &str,
        count: usize,
    ) -> Result<Self, BenchError> {
        let events = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::with_capacity(count);
        for _ in 0..count {
            let stream = runtime.block_on(look(address, token))?;
            tasks.push(runtime.spawn(count_events(stream, Arc::clone(&events))));
        }
        Ok(Self { tasks, events })
    }

    /// How many overviews came since they were opened, to all of them.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}

impl Drop for Consoles {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn look(address: SocketAddr, token: &str) -> Result<TcpStream, BenchError> {
    let failed = || BenchError::io("open a console");
    let mut stream = TcpStream::connect(address).await.map_err(failed())?;
    let request = format!(
        "GET /v1/console/overview HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
    );
    let sent = stream.write_all(request.as_bytes()).await;
    sent.map_err(failed())?;
    let mut come = Vec::new();
    while !has(&come, SEEN) {
        if stream.read_buf(&mut come).await.map_err(failed())? == 0 || come.len() > 1 << 20 {
            let text = String::from_utf8_lossy(&come).into_owned();
            return Err(BenchError::Unfair(format!("no console: {text}")));
        }
    }
    Ok(stream)
}

/// Reads on until the server ends it.
async fn count_events(mut stream: TcpStream, events: Arc<AtomicU64>) {
    let mut buffer = Vec::with_capacity(64 * 1024);
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        let found = buffer
            .windows(SEEN.len())
            .filter(|window| *window == SEEN)
            .count();
        events.fetch_add(u64::try_from(found).unwrap_or(0), Ordering::Relaxed);
        // What is cut in two is found with what follows.
        let kept = buffer.len().saturating_sub(SEEN.len() - 1);
        buffer.drain(..kept);
    }
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
