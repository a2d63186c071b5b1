//! `windlass serve`: the engine over HTTP, until it is told to stop.

use std::io;
use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use windlass::Windlass;
use windlass_server::{Config, Server};

use crate::context::Context;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::signals;

/// Serves the store over HTTP.
///
/// Without any key it listens on this machine only and serves everybody on it;
/// `windlass key create` makes the first key, and from then on a key is
/// needed. It stops on SIGTERM or Ctrl-C, having finished what was begun; a
/// second one stops it at once.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where to listen [default: 127.0.0.1:7411]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// What to log to standard error, as text or, with `--json`, as JSON
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LogLevel,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    /// What fails.
    Error,
    /// And what is not as it should be.
    Warn,
    /// And what the server does.
    Info,
    /// And every request.
    Debug,
}

impl LogLevel {
    const fn level(self) -> Level {
        match self {
            Self::Error => Level::ERROR,
            Self::Warn => Level::WARN,
            Self::Info => Level::INFO,
            Self::Debug => Level::DEBUG,
        }
    }
}

/// Serves until a signal ends it.
pub(crate) async fn run(args: &ServeArgs, context: &Context) -> Result<(), Failure> {
    let _limit = signals::outlive_file_size_limit().map_err(CommandError::Runtime)?;
    log_to_stderr(args.log, context.output().json());
    let config = context.server()?;
    let signals = Signals::listen().map_err(CommandError::Runtime)?;
    context
        .with_store("`serve`", async |engine| {
            serve(engine, config, signals, context.output()).await
        })
        .await
}

async fn serve(
    engine: &Windlass,
    config: Config,
    signals: Signals,
    output: &Output,
) -> Result<(), Failure> {
    let server = Server::bind(engine.clone(), config).await?;
    greet(server.address(), server.is_open().await?, output)?;
    until_told(server, signals, output).await
}

/// Serves until a signal ends it, and says what was cut.
pub(crate) async fn until_told(
    server: Server,
    mut signals: Signals,
    output: &Output,
) -> Result<(), Failure> {
    let (first, told) = tokio::sync::oneshot::channel();
    let (second, told_again) = tokio::sync::oneshot::channel();
    let listening = tokio::spawn(async move {
        signals.next().await;
        let _ = first.send(());
        signals.next().await;
        let _ = second.send(());
    });
    let stop = async {
        let _ = told.await;
    };
    let at_once = async {
        let _ = told_again.await;
    };
    let stopped = server.run(stop, at_once).await;
    listening.abort();
    if stopped.cut > 0 {
        let text = format!("{} connections were cut", stopped.cut);
        output.note(
            &json!({ "note": "connections were cut", "cut": stopped.cut }),
            &text,
        );
    }
    Ok(())
}

/// What the operating system says when the server is to stop.
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Says where the server is, and what to try first.
fn greet(address: SocketAddr, open: bool, output: &Output) -> Result<(), Failure> {
    let url = format!("http://{address}");
    let credential = match open {
        true => "",
        false => " -H \"Authorization: Bearer $WINDLASS_KEY\"",
    };
    let body = r#"{"agent":"researcher","intent":"a first try","tools":"all"}"#;
    let command = format!(
        "curl -s {url}/v1/sessions{credential} -H 'Content-Type: application/json' -d '{body}'"
    );
    let docs = format!("{url}/docs");
    let answer = json!({ "listening": url, "open": open, "try": command, "docs": docs });
    output.answer(&answer, || {
        let who = match open {
            true => "open to this machine, since there is no key yet",
            false => "for whoever has a key",
        };
        format!("listening on {url} ({who})\n\ntry:\n  {command}\nread:\n  {docs}")
    })
}

fn log_to_stderr(level: LogLevel, as_json: bool) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level.level())
        .with_writer(io::stderr)
        .with_target(false);
    // In a process that logs already, that goes on.
    let _ = match as_json {
        true => log.json().try_init(),
        false => log.with_ansi(false).try_init(),
    };
}
