//! Readers that wait for rows that do not come: what each of them keeps in
//! the server's memory, connection and all.
//!
//! Another process holds the other ends, so that what it takes is not
//! counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::machine::resident_bytes;
use crate::harness::row::Bar;
use crate::harness::throughput::decimal;
use crate::sessions::{Bench, Measured, dropped_note};

use super::Plain;
use super::fixture::{caller, name, new, open};
use super::served::Served;

/// Readers that wait.
const FOLLOWERS: usize = 10_000;
/// Readers where it only has to be shown that all runs.
const FOLLOWERS_QUICK: usize = 200;
/// Streams they wait for.
const STREAMS: usize = 100;

/// Memory of a reader that waits, in KiB.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn followers(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let count = match bench.quick {
        true => FOLLOWERS_QUICK,
        false => FOLLOWERS,
    };
    let path = bench.directory.join("followers.db");
    bench.runtime.block_on(async {
        let windlass = open(&path).await?;
        for number in 0..STREAMS {
            windlass.streams().create(&caller(), &new(number)).await?;
        }
        windlass.store().close().await?;
        Ok::<_, BenchError>(())
    })?;
    let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![Box::new(Waiting {
        bench,
        path,
        count,
        known: None,
    })];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let row = Plain {
        what: format!("memory of one of {count} idle followers over HTTP"),
        versus: "-",
        unit: "KiB",
        against: None,
        bar: Bar::OursAtMost(12.0),
        durability: Durability::Reads,
    };
    Ok(Measured {
        rows: vec![row.row(&rounds)],
        notes: dropped_note("followers", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

struct Waiting<'b> {
    bench: &'b Bench<'b>,
    path: std::path::PathBuf,
    count: usize,
    /// Memory once taken is not given back to the system: one measurement is
    /// all there is.
    known: Option<f64>,
}

impl Side for Waiting<'_> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "followers"
    }

    fn run(&mut self, _: Duration) -> Result<f64, BenchError> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        let served = Served::start(open(&self.path))?;
        // What the first ones need is needed once.
        let warm = Clients::start(&served, self.count.div_ceil(100))?;
        let before = resident_bytes()?;
        let clients = Clients::start(&served, self.count)?;
        let taken = resident_bytes()?.saturating_sub(before);
        let kib = decimal(taken) / 1_024.0 / decimal(u64::try_from(self.count).unwrap_or(1));
        drop((clients, warm, self.bench));
        self.known = Some(kib);
        Ok(kib)
    }
}

/// A process that holds connections.
struct Clients {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Clients {
    /// Lets a process open `count` connections, each following a stream.
    fn start(served: &Served, count: usize) -> Result<Self, BenchError> {
        let failed = || BenchError::io("start a process that follows");
        let program = std::env::current_exe().map_err(failed())?;
        let mut child = Command::new(program)
            .args(["follow", &served.address.to_string(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed())?;
        let requests = (0..STREAMS).map(|number| {
            let path = format!("/v1/streams/{}/rows?follow=true", name(number));
            served.asking(&path)
        });
        let requests: Vec<Vec<u8>> = requests.collect();
        if let Some(input) = &mut child.stdin {
            for request in requests {
                input.write_all(&request).map_err(failed())?;
            }
            input.write_all(b"\n").map_err(failed())?;
            input.flush().map_err(failed())?;
        }
        let output = child.stdout.take();
        let output = output.ok_or_else(|| BenchError::Process("no output".into()))?;
        let mut clients = Self {
            child,
            output: BufReader::new(output),
        };
        let mut line = String::new();
        clients.output.read_line(&mut line).map_err(failed())?;
        match line.trim() {
            "ready" => Ok(clients),
            other => Err(BenchError::Process(format!("it says `{other}`"))),
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It is this bench's own, and holds nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process: opens `count` connections to `address`, sends on each one of
/// the requests that come on `input`, waits until each has been answered,
/// says so, and holds them until its input ends.
///
/// # Errors
///
/// The connections'.
pub fn follow(
    address: SocketAddr,
    count: usize,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<(), BenchError> {
    let failed = || BenchError::io("follow a stream");
    let requests = requests(input)?;
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(address).map_err(failed())?;
        let request = &requests[number % requests.len()];
        stream.write_all(request).map_err(failed())?;
        held.push(stream);
    }
    for stream in &mut held {
        until_opened(stream)?;
    }
    writeln!(output, "ready").map_err(failed())?;
    output.flush().map_err(failed())?;
    let mut rest = Vec::new();
    input.read_to_end(&mut rest).map_err(failed())?;
    Ok(())
}

/// Requests, each with its empty line, up to one more empty line.
fn requests(input: &mut impl BufRead) -> Result<Vec<Vec<u8>>, BenchError> {
    let mut requests = Vec::new();
    let mut request = Vec::new();
    loop {
        let before = request.len();
        let read = input.read_until(b'\n', &mut request);
        read.map_err(BenchError::io("read requests"))?;
        match &request[before..] {
            b"\n" if before == 0 => return Ok(requests),
            b"\r\n" => requests.push(std::mem::take(&mut request)),
            b"" => return Err(BenchError::Process("its requests break off".into())),
            _ => (),
        }
    }
}

/// Reads until the answer says that it has begun.
fn until_opened(stream: &mut TcpStream) -> Result<(), BenchError> {
    const OPENED: &[u8] = b"{\"open\":";
    let mut answer = Vec::new();
    let mut buffer = [0; 4 * 1_024];
    while !answer.windows(OPENED.len()).any(|it| it == OPENED) {
        let read = stream.read(&mut buffer);
        let read = read.map_err(BenchError::io("follow a stream"))?;
        answer.extend_from_slice(&buffer[..read]);
        if read == 0 || answer.len() > 64 * 1_024 {
            let start = String::from_utf8_lossy(&answer[..answer.len().min(400)]).into_owned();
            return Err(BenchError::Unfair(format!("a server answered: {start}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_with_an_empty_line_each_and_one_more_for_all() {
        let mut input = &b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n\r\n\n"[..];
        let found = requests(&mut input).expect("two");
        assert_eq!(found.len(), 2);
        assert!(found[1].starts_with(b"GET /b"), "{found:?}");
        let broken = requests(&mut &b"GET / HTTP/1.1\r\n"[..]);
        assert!(broken.is_err(), "{broken:?}");
    }
}
