//! `windlass store`: the store itself.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use windlass::Health;

use crate::context::Context;
use crate::failure::Failure;
use crate::table;

/// What can be asked of a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Open the store, and show how it is
    Health,
}

/// Runs one of them.
pub(crate) async fn run(command: &StoreCommand, context: &Context) -> Result<(), Failure> {
    match command {
        StoreCommand::Health => health(context).await,
    }
}

async fn health(context: &Context) -> Result<(), Failure> {
    let health = context
        .with_store("`store health`", async |windlass| Ok(windlass.health()))
        .await?;
    let health = health.expect("a store that was opened by its location can say how it is");
    let location = context.location().to_string();
    let object = json!({
        "location": location,
        "database": health.database,
        "survives_power_loss": health.survives_power_loss,
        "settled": health.settled,
        "wal_bytes": health.wal_bytes,
        "oldest_reader_ms": health.oldest_reader.map(milliseconds),
    });
    context
        .output()
        .answer(&object, || shown(&location, &health))
}

fn shown(location: &str, health: &Health) -> String {
    let answer = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let figure =
        |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), |figure| figure.to_string());
    table::fields([
        ("location", table::plain(location)),
        ("database", health.database.clone()),
        ("survives_power_loss", answer(health.survives_power_loss)),
        ("settled", answer(health.settled)),
        ("wal_bytes", figure(health.wal_bytes)),
        (
            "oldest_reader_ms",
            figure(health.oldest_reader.map(milliseconds)),
        ),
    ])
}

fn milliseconds(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
