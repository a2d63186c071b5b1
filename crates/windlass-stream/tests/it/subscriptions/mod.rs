//! Subscriptions: who is woken, who holds a wake, and what counts.

mod deliveries;
mod fencing;
mod links;
mod model;
mod waking;

use serde_json::Value;
use windlass_core::Coded;
use windlass_stream::subscription::{
    Ack, Address, Delivery, NewSubscription, SubscriptionError, Subscriptions, Wake,
};
use windlass_stream::{Caller, ContentType, From, Offset, Post, StreamError, Wanted};

use crate::durable::path;
use crate::errors::shown;
use crate::support::{World, caller};

/// The subscription `s` of the usual caller.
pub(crate) fn at() -> Address {
    at_of(caller(), "s")
}

fn at_of(caller: Caller, id: &str) -> Address {
    let id = id.parse().expect("an identifier");
    Address { caller, id }
}

fn subscriptions(world: &World) -> Subscriptions {
    world.streams.subscriptions()
}

/// One that follows `events/*` and is claimed by workers.
pub(crate) fn pull() -> NewSubscription {
    following(Delivery::PullWake("wake/pool".into()))
}

/// One that follows `events/*` and is delivered.
fn hook() -> NewSubscription {
    following(Delivery::Webhook("https://worker.example/hook".into()))
}

fn following(delivery: Delivery) -> NewSubscription {
    NewSubscription {
        pattern: Some("events/*".parse().expect("a pattern")),
        lease_ttl_ms: 1_000,
        ..NewSubscription::of(delivery)
    }
}

pub(crate) async fn made(world: &World, new: NewSubscription) -> Subscriptions {
    let subscriptions = subscriptions(world);
    let made = subscriptions.confirm(&at(), new).await.expect("a new name");
    assert!(made.is_new);
    subscriptions
}

/// Appends a row to the stream of a path.
pub(crate) async fn append(world: &World, at: &str) {
    let post = Post {
        content_type: Some(json()),
        body: "{\"event\":1}".into(),
        ..Post::default()
    };
    let durable = world.streams.durable();
    let posted = durable.post(&caller(), &path(at), &post).await;
    posted.expect("a stream that is open");
}

/// Makes a stream of JSON under a path.
pub(crate) async fn create(world: &World, at: &str) {
    let wanted = Wanted {
        content_type: Some(json()),
        ..Wanted::default()
    };
    let durable = world.streams.durable();
    let put = durable.put(&caller(), &path(at), &wanted).await;
    assert!(put.expect("a free path").created);
}

/// Removes the stream of a path.
async fn remove(world: &World, at: &str) {
    let durable = world.streams.durable();
    let removed = durable.remove(&caller(), &path(at)).await;
    removed.expect("a stream");
}

fn json() -> ContentType {
    "application/json".parse().expect("a media type")
}

/// The generations of all wakes that were appended to `wake/pool`.
async fn called(world: &World) -> Vec<u64> {
    let durable = world.calm().streams.durable();
    let (caller, at) = (caller(), path("wake/pool"));
    let piece = durable.read(&caller, &at, From::Start, 1 << 20).await;
    let piece = piece.expect("a stream");
    assert!(piece.is_up_to_date());
    let generation = |row: &windlass_stream::Row| {
        let event: Value = serde_json::from_slice(row.content()).expect("JSON");
        assert_eq!(
            (&event["type"], &event["subscription_id"]),
            (&"wake".into(), &"s".into())
        );
        event["generation"].as_u64().expect("a number")
    };
    piece.rows.iter().map(generation).collect()
}

async fn acked(world: &World, path: &str) -> Option<u64> {
    let view = subscriptions(world).show(&at()).await.expect("it is there");
    let mut streams = view.streams.into_iter();
    let found = streams.find(|link| *link.path == *path);
    found.map(|link| link.acked.number())
}

pub(crate) fn ack(path: &str, offset: u64) -> Ack {
    Ack {
        stream: path.into(),
        offset: Offset::new(offset),
    }
}

/// What is pending of a wake, and up to where.
pub(crate) fn pending(wake: &Wake) -> Vec<(String, u64, u64)> {
    let pending = wake.streams.iter().filter(|link| link.is_pending());
    pending
        .map(|link| {
            (
                link.path.to_string(),
                link.acked.number(),
                link.tail.number(),
            )
        })
        .collect()
}

fn code<T>(answer: Result<T, SubscriptionError>) -> Result<T, &'static str> {
    answer.map_err(|error| error.code())
}

/// The key of a path's row.
fn path_key(path: &str) -> String {
    format!("acme/path/ann/{}", path.replace('/', "%2F"))
}

#[test]
fn errors_have_a_code_a_kind_and_their_words() {
    let errors = [
        SubscriptionError::NotFound,
        SubscriptionError::Differs,
        SubscriptionError::Fenced,
        SubscriptionError::AlreadyClaimed {
            holder: "worker-1".into(),
            generation: 7,
        },
        SubscriptionError::NothingPending,
        SubscriptionError::NotLinked,
        SubscriptionError::BeyondTail,
        SubscriptionError::TooMany,
        SubscriptionError::TooManyLinks,
        SubscriptionError::Invalid {
            field: "lease_ttl_ms",
            problem: "is 1,000 to 600,000",
        },
        StreamError::Closed.into(),
    ];
    let expected = [
        "not_found NotFound: no such subscription",
        "subscription_differs Conflict: a subscription of this name has other settings",
        "fenced Conflict: the wake is over",
        "already_claimed Conflict: another worker holds the subscription",
        "nothing_pending Conflict: nothing is pending",
        "stream_not_linked Invalid: the subscription is not linked to one of the streams",
        "offset_beyond_tail Invalid: an acknowledged offset is beyond the tail of its stream",
        "too_many_subscriptions Refused: there are 256 subscriptions already",
        "too_many_links Refused: a subscription has at most 1000 streams",
        "invalid_request Invalid: `lease_ttl_ms` is 1,000 to 600,000",
        "stream_closed Conflict: the streams below failed because the stream is closed",
    ];
    assert_eq!(errors.each_ref().map(shown), expected);
}
