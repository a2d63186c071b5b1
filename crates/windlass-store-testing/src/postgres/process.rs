//! A running server: its processes, and what it says.
//!
//! The thread that starts a server reads what it says until all of its
//! processes have ended: that end is told by the pipe, without waiting for a
//! guessed time. The thread also stands for the test: when it is gone, the
//! kernel tells the server to end.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::ServerError;

/// Longest time a start may take, recovery included. A guard, not a measure.
const START_SECONDS_MAX: u64 = 60;

/// Lines of what the server said that are kept for an error.
const LINES_MAX: usize = 40;

/// A server that accepts connections.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Ends when no process of the server is left.
    listener: JoinHandle<VecDeque<String>>,
}

/// What the listener has to tell while a server starts.
enum News {
    Started(Child),
    Ready,
}

impl Process {
    /// Starts a server and waits until it says `ready`.
    pub(super) fn start(command: Command, ready: &'static str) -> Result<Self, ServerError> {
        let (news, heard) = mpsc::sync_channel(2);
        let program = format!("{command:?}");
        let listener = thread::spawn(move || listen(command, ready, &news));
        let patience = Duration::from_secs(START_SECONDS_MAX);
        let mut child = match heard.recv() {
            Ok(News::Started(child)) => child,
            _ => return Err(failed(program, listener)),
        };
        match heard.recv_timeout(patience) {
            Ok(_) => Ok(Self { child, listener }),
            Err(RecvTimeoutError::Disconnected) => {
                let _ = child.wait();
                Err(failed(program, listener))
            }
            Err(RecvTimeoutError::Timeout) => {
                let _ = signal("QUIT", &[child.id()]);
                let _ = child.wait();
                Err(failed(program, listener))
            }
        }
    }

    /// Kills every process of the server at one moment, as a loss of the
    /// machine would, and waits until none is left.
    pub(super) fn kill(self) -> Result<(), ServerError> {
        let server = self.child.id();
        // Stopped, it starts no further process.
        signal("STOP", &[server])?;
        let mut all = children(server)?;
        all.push(server);
        signal("KILL", &all)?;
        self.end()
    }

    /// Has the server end at once, without writing anything back.
    pub(super) fn stop(self) -> Result<(), ServerError> {
        signal("QUIT", &[self.child.id()])?;
        self.end()
    }

    /// Waits for its first process, then for all that hold its pipe.
    fn end(mut self) -> Result<(), ServerError> {
        let ended = self.child.wait();
        ended.map_err(ServerError::system("wait for the server to end"))?;
        self.listener.join().expect("reading lines does not panic");
        Ok(())
    }

    /// The number of its first process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Starts a server and reads what it says to its end; the last lines of it.
fn listen(mut command: Command, ready: &str, news: &SyncSender<News>) -> VecDeque<String> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let spawned = command.stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return VecDeque::from([error.to_string()]),
    };
    let stderr = child.stderr.take().expect("it was asked for");
    let _ = news.send(News::Started(child));
    read_lines(stderr, ready, news)
}

fn read_lines(stderr: ChildStderr, ready: &str, news: &SyncSender<News>) -> VecDeque<String> {
    let mut last = VecDeque::new();
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(ready) {
            // Whoever waited may have lost patience.
            let _ = news.try_send(News::Ready);
        }
        if last.len() == LINES_MAX {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

/// The error of a server that did not start.
fn failed(program: String, listener: JoinHandle<VecDeque<String>>) -> ServerError {
    let lines = listener.join().expect("reading lines does not panic");
    ServerError::Program {
        program,
        output: Vec::from(lines).join("\n"),
    }
}

/// Sends a signal to processes, all in one go.
pub(super) fn signal(name: &str, processes: &[u32]) -> Result<(), ServerError> {
    let mut script = format!("kill -{name}");
    for process in processes {
        script.push_str(&format!(" {process}"));
    }
    // A process may have ended by itself, which is what was wanted.
    let status = Command::new("sh")
        .args(["-c", &script])
        .stderr(Stdio::null())
        .status();
    status.map(drop).map_err(ServerError::system("run `sh`"))
}

/// The processes that `parent` has started.
fn children(parent: u32) -> Result<Vec<u32>, ServerError> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let listed = fs::read_to_string(path);
    let listed = listed.map_err(ServerError::system("list the server's processes"))?;
    Ok(listed
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect())
}
