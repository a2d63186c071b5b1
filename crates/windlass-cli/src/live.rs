//! `windlass replay --serve`: recorded outputs in real time, over HTTP, for
//! whoever wants to follow them.

use std::future::pending;
use std::net::SocketAddr;

use clap::Args;
use serde_json::json;
use windlass::session::Caller;
use windlass_replay::{Live, Recording};
use windlass_server::Server;

use crate::context::Context;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::serve::{Signals, until_told};
use crate::signals;

/// Outputs in real time.
#[derive(Args, Debug)]
pub(crate) struct LiveArgs {
    /// Play the runs' outputs in real time, one run after the other, and serve
    /// the store over HTTP meanwhile and until it is told to stop
    #[arg(long, conflicts_with_all = ["verify", "workers", "trace", "runs", "withhold_tool", "calls_percent"])]
    serve: bool,
    /// How many times faster than it was
    #[arg(long, value_name = "N", requires = "serve", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    speed: u64,
    /// Where to listen [default: 127.0.0.1:7411]
    #[arg(long, value_name = "ADDRESS", requires = "serve")]
    listen: Option<SocketAddr>,
}

impl LiveArgs {
    /// Whether the replay is one in real time.
    pub(crate) const fn is_live(&self) -> bool {
        self.serve
    }
}

/// Plays and serves until a signal ends it.
pub(crate) async fn run(
    args: &LiveArgs,
    recording: &Recording,
    context: &Context,
) -> Result<(), Failure> {
    let _limit = signals::outlive_file_size_limit().map_err(CommandError::Runtime)?;
    let mut config = context.server()?;
    config.listen = args.listen.unwrap_or(config.listen);
    let told = Signals::listen().map_err(CommandError::Runtime)?;
    context
        .with_store("`replay`", async |windlass| {
            let server = Server::bind(windlass.clone(), config).await?;
            let caller = match server.is_open().await? {
                true => everybody(),
                false => context.caller().clone(),
            };
            let live = Live {
                windlass,
                caller: &caller,
                recording,
                speed: args.speed,
            };
            live.prepare().await?;
            greet(&server, &live, context.output()).await?;
            tokio::select! {
                played = play(&live, context.output()) => played,
                stopped = until_told(server, told, context.output()) => stopped,
            }
        })
        .await
}

/// Whoever asks a server that has no keys; streams of anybody else would be
/// absent to them.
fn everybody() -> Caller {
    let word = "a word is an identifier";
    let [tenant, principal] = ["default", "local"];
    Caller::new(tenant.parse().expect(word), principal.parse().expect(word))
}

/// Plays everything, and waits for ever behind its end.
async fn play(live: &Live<'_>, output: &Output) -> Result<(), Failure> {
    let told = |played: &windlass_replay::Played| {
        let object = json!({ "played": played.stream, "rows": played.rows });
        // Who has stopped listening here may still follow there.
        let _ = output.answer(&object, || {
            format!("played {}: {} rows", played.stream, played.rows)
        });
    };
    live.play(told).await?;
    pending().await
}

/// Says where the server is, and how each output is followed.
async fn greet(server: &Server, live: &Live<'_>, output: &Output) -> Result<(), Failure> {
    let url = format!("http://{}", server.address());
    let open = server.is_open().await?;
    let credential = match open {
        true => "",
        false => " -H \"Authorization: Bearer $WINDLASS_KEY\"",
    };
    output.answer(&json!({ "listening": url, "open": open }), || {
        format!("listening on {url}")
    })?;
    for played in live.outputs() {
        let stream = &played.stream;
        let command = format!("curl -sN{credential} '{url}/v1/streams/{stream}/rows?follow=true'");
        let object = json!({ "stream": stream, "rows": played.rows, "try": command });
        output.answer(&object, || command.clone())?;
    }
    Ok(())
}
