//! Hints between processes, apart from commits.
//!
//! NOTIFY inside a commit would make all commits of the database wait for one
//! lock. Here one connection of each store listens, and tells the others now
//! and then that something was committed; what exactly, it does not say, so
//! every subscriber looks. Nothing depends on it: behind a pooler that gives
//! transactions to connections, nothing is heard.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket, tls::NoTlsStream};
use windlass_store::Incarnation;

use crate::connect::connect_time_max;
use crate::limits::{CHANNEL_BYTES_MAX, HINT_MS, RECONNECT_MS};
use crate::shared::Shared;

/// How many times longer than usual the pause between two attempts to
/// connect is: hints are not urgent.
const PATIENCE: u32 = 20;

/// What hears on a connection.
type Hearing = Connection<Socket, NoTlsStream>;

/// Listens and tells until the store is closed.
pub(crate) async fn run(shared: Arc<Shared>) {
    // Tells a store's own hints from those of others.
    let Ok(me) = Incarnation::draw() else {
        return;
    };
    let me = me.number().to_string();
    let mut pause = interval(Duration::from_millis(RECONNECT_MS) * PATIENCE);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.is_closed() {
        pause.tick().await;
        if let Some((client, connection)) = connect(&shared.options.config).await {
            tokio::select! {
                () = listen(&shared, connection, &me) => {}
                () = tell(&shared, &client, &me) => {}
            }
        }
    }
}

/// A connection, unless the server cannot be reached.
async fn connect(config: &Config) -> Option<(Client, Hearing)> {
    let connecting = config.connect(NoTls);
    match connect_time_max(config) {
        Some(limit) => tokio::time::timeout(limit, connecting).await.ok()?.ok(),
        None => connecting.await.ok(),
    }
}

/// Passes on what is heard until the connection ends.
async fn listen(shared: &Shared, mut connection: Hearing, me: &str) {
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(told) = message
            && told.payload() != me
        {
            shared.hub.publish_all();
        }
    }
}

/// Listens on the store's channel, then tells others what happens here, at
/// most once in [`HINT_MS`]; until the store is closed or the server fails.
async fn tell(shared: &Shared, client: &Client, me: &str) {
    // A name of a schema needs no escape. One that is cut off may be another
    // store's as well; then both hear more than they need.
    let mut channel = format!("windlass/{}", shared.options.schema);
    channel.truncate(CHANNEL_BYTES_MAX);
    let listen = format!("LISTEN \"{channel}\"");
    if client.batch_execute(&listen).await.is_err() {
        return;
    }
    // What was told before is lost.
    shared.hub.publish_all();
    let mut pause = interval(Duration::from_millis(HINT_MS));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        shared.news.notified().await;
        if shared.is_closed() {
            return;
        }
        pause.tick().await;
        let channel = (&channel as _, Type::TEXT);
        let sent = client
            .query_typed(
                "SELECT pg_notify($1, $2)::text",
                &[channel, (&me, Type::TEXT)],
            )
            .await;
        if sent.is_err() {
            return;
        }
    }
}
