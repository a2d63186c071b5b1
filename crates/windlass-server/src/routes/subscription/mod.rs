//! Subscriptions of the Durable Streams protocol: its control routes, under the
//! prefix that no stream can have.
//!
//! Errors are the problems of all other routes, and have what the protocol
//! asks for besides: a member `error` with a code in capitals.

mod form;
mod manage;
mod work;

use axum::http::Method;
use serde_json::{Value, json};
use windlass::access::Verb;
use windlass::stream::Caller;
use windlass::stream::subscription::{Address, SubscriptionError, Subscriptions};
use windlass_client::subscription as wire;

use crate::call::Call;
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "subscriptions";

const KEYS: &str = "/durable/v1/stream/__ds/jwks.json";
const ONE: &str = "/durable/v1/stream/__ds/subscriptions/{subscription}";
const STREAMS: &str = "/durable/v1/stream/__ds/subscriptions/{subscription}/streams";
const STREAM: &str = "/durable/v1/stream/__ds/subscriptions/{subscription}/streams/{*path}";
const CLAIM: &str = "/durable/v1/stream/__ds/subscriptions/{subscription}/claim";
const ACK: &str = "/durable/v1/stream/__ds/subscriptions/{subscription}/ack";
const RELEASE: &str = "/durable/v1/stream/__ds/subscriptions/{subscription}/release";
const CALLBACK: &str = "/durable/v1/stream/__ds/subscriptions/{subscription}/callback";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = managed();
    routes.extend(worked());
    routes
}

fn managed() -> Vec<Route> {
    vec![
        Route::new(Method::PUT, ONE, "put_subscription", |call| {
            Box::pin(manage::put(call))
        })
        .about(
            TAG,
            "Makes a subscription, or confirms it in the same words",
        )
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["Subscriptions::confirm"])
        .takes::<wire::PutSubscription>()
        .answers::<wire::Subscription>(201, "It was made")
        .answers::<wire::Subscription>(200, "It is there, in the same words")
        .fails(&[
            "subscription_differs",
            "too_many_subscriptions",
            "too_many_links",
            "webhook_url_rejected",
        ]),
        Route::get(ONE, "get_subscription", |call| Box::pin(manage::get(call)))
            .about(
                TAG,
                "Shows a subscription, and how far each stream was worked on",
            )
            .access(Access::Tenant(Verb::StreamRead))
            .serves(&["Subscriptions::show"])
            .answers::<wire::Subscription>(200, "As it is now"),
        Route::new(Method::DELETE, ONE, "delete_subscription", |call| {
            Box::pin(manage::delete(call))
        })
        .about(TAG, "Deletes a subscription; wakes of it count no more")
        .access(Access::Tenant(Verb::StreamManage))
        .serves(&["Subscriptions::delete"])
        .sends(204, None, "It is gone"),
        Route::new(Method::POST, STREAMS, "link_streams", |call| {
            Box::pin(manage::link(call))
        })
        .about(TAG, "Links streams by their paths, where they stand")
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["Subscriptions::link"])
        .takes::<wire::SubscribeStreams>()
        .sends(204, None, "They are linked")
        .fails(&["too_many_links"]),
        Route::new(Method::DELETE, STREAM, "unlink_stream", |call| {
            Box::pin(manage::unlink(call))
        })
        .about(TAG, "Takes back that a stream was linked by its path")
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["Subscriptions::unlink"])
        .sends(204, None, "It is not linked by its path"),
    ]
}

fn worked() -> Vec<Route> {
    vec![
        Route::new(Method::POST, CLAIM, "claim_wake", |call| {
            Box::pin(work::claim(call))
        })
        .about(
            TAG,
            "Gives a worker what is pending, until its lease runs out",
        )
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["Subscriptions::claim"])
        .takes::<wire::ClaimWake>()
        .answers::<wire::ClaimedWake>(200, "It is the worker's")
        .fails(&["already_claimed", "nothing_pending"]),
        acknowledging(
            ACK,
            "ack_wake",
            "Notes what a worker has done, and keeps its lease alive",
        ),
        acknowledging(
            CALLBACK,
            "call_back",
            "The same, for whom a webhook has called",
        ),
        Route::new(Method::POST, RELEASE, "release_wake", |call| {
            Box::pin(work::release(call))
        })
        .about(
            TAG,
            "Lets go of a wake; what is pending wakes another worker",
        )
        .serves(&["Subscriptions::release"])
        .takes::<wire::ReleaseWake>()
        .sends(204, None, "It is anybody's")
        .access(Access::Wake)
        .fails(&["fenced"]),
        Route::get(KEYS, "webhook_keys", |call| Box::pin(work::keys(call)))
            .about(TAG, "The public keys of webhooks")
            .sends(200, Some("application/jwk-set+json"), "The keys"),
    ]
}

/// Whoever has the token of a wake may do this, and needs nothing else.
fn acknowledging(path: &'static str, name: &'static str, about: &'static str) -> Route {
    Route::new(Method::POST, path, name, |call| Box::pin(work::ack(call)))
        .about(TAG, about)
        .serves(&["Subscriptions::ack"])
        .takes::<wire::AckWake>()
        .answers::<wire::AckedWake>(200, "It is noted")
        .access(Access::Wake)
        .fails(&["fenced", "stream_not_linked", "offset_beyond_tail"])
}

fn subscriptions(call: &Call) -> Subscriptions {
    call.app.engine.streams().subscriptions()
}

/// The caller's subscription of the name in the path.
fn address(call: &Call) -> Result<Address, Refused> {
    let caller = call.caller()?;
    Ok(Address {
        caller: Caller::new(caller.tenant, caller.principal),
        id: call.id("subscription")?,
    })
}

/// A refusal as the protocol answers it.
fn refused(error: SubscriptionError) -> Refused {
    let said = match &error {
        SubscriptionError::AlreadyClaimed { holder, generation } => {
            json!({ "code": "ALREADY_CLAIMED", "current_holder": holder, "generation": generation })
        }
        SubscriptionError::Fenced => json!({ "code": "FENCED" }),
        SubscriptionError::NothingPending => json!({ "code": "NOTHING_PENDING" }),
        SubscriptionError::Differs => json!({ "code": "CONFIG_MISMATCH" }),
        _ => Value::Null,
    };
    let problem: Refused = error.into();
    match said {
        Value::Null => problem,
        said => Box::new(problem.with("error", said)),
    }
}

fn invalid(field: &'static str, detail: &str) -> Refused {
    let problem = Problem::new(400, "invalid_request", detail);
    Box::new(problem.with("field", field))
}
