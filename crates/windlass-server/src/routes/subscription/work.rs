//! What workers do. Claiming needs the credential of the streams; from then on
//! the token of the wake is the credential, and says whose it is.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use windlass::stream::subscription::{Ack, Address, Hold, WakeToken};
use windlass_client::subscription as wire;

use super::{address, invalid, refused, subscriptions};
use crate::auth::bearer;
use crate::call::{Call, Reply};
use crate::hooks::{subscribed, token_in, token_of};
use crate::problem::{Problem, Refused};

/// How long public keys may be kept.
const KEPT: &str = "public, max-age=300";

pub(super) async fn claim(call: Call) -> Result<Reply, Refused> {
    let at = address(&call)?;
    let asked: wire::ClaimWake = call.json()?;
    let claimed = subscriptions(&call).claim(&at, &asked.worker).await;
    let wake = claimed.map_err(refused)?;
    Ok(Reply::json(&wire::ClaimedWake {
        wake_id: wake.hold.wake.to_string(),
        generation: wake.hold.generation,
        token: token_of(&call.app.seal, &at, &wake.hold),
        streams: wake.streams.iter().map(subscribed).collect(),
        lease_ttl_ms: wake.lease_ttl_ms,
    }))
}

pub(super) async fn ack(call: Call) -> Result<Reply, Refused> {
    let (at, token) = holder(&call).await?;
    let asked: wire::AckWake = call.json()?;
    let acks: Vec<Ack> = asked.acks.iter().map(acked).collect::<Result<_, _>>()?;
    let hold = hold(asked.wake_id, asked.generation, token);
    let acked = subscriptions(&call)
        .ack(&at, &hold, &acks, asked.done)
        .await;
    let acked = acked.map_err(gone)?;
    let next_wake = asked.done && acked.is_pending;
    if next_wake {
        call.app.hooks.nudge(&at);
    }
    Ok(Reply::json(&wire::AckedWake {
        ok: true,
        next_wake,
    }))
}

pub(super) async fn release(call: Call) -> Result<Reply, Refused> {
    let (at, token) = holder(&call).await?;
    let asked: wire::ReleaseWake = call.json()?;
    let hold = hold(asked.wake_id, asked.generation, token);
    let released = subscriptions(&call).release(&at, &hold).await;
    released.map_err(gone)?;
    call.app.hooks.nudge(&at);
    Ok(Reply::nothing(StatusCode::NO_CONTENT))
}

/// A token of a subscription that was deleted is like one that is over.
fn gone(error: windlass::stream::subscription::SubscriptionError) -> Refused {
    use windlass::stream::subscription::SubscriptionError;
    match error {
        SubscriptionError::NotFound => refused(SubscriptionError::Fenced),
        other => refused(other),
    }
}

fn hold(wake: String, generation: u64, token: WakeToken) -> Hold {
    Hold {
        wake: wake.into(),
        generation,
        token,
    }
}

fn acked(ack: &wire::StreamAck) -> Result<Ack, Refused> {
    let refuse = |_| invalid("acks", "an offset is not one that was given");
    Ok(Ack {
        stream: Arc::from(ack.stream.as_str()),
        offset: ack.offset.parse().map_err(refuse)?,
    })
}

/// Whose wake it is, by the token that came with the request, if the token is
/// one of this subscription and its tenant is in use.
async fn holder(call: &Call) -> Result<(Address, WakeToken), Refused> {
    let unknown = || Box::new(Problem::unauthenticated());
    let token = bearer(&call.headers)?.ok_or_else(unknown)?;
    let (at, token) = token_in(&call.app.seal, token).ok_or_else(unknown)?;
    if at.id.as_str() != call.text("subscription") {
        return Err(unknown());
    }
    call.app.auth.check_in_use(&at.caller.tenant).await?;
    Ok((at, token))
}

pub(super) async fn keys(call: Call) -> Result<Reply, Refused> {
    let signer = &call.app.hooks.signer;
    let keys = wire::WebhookKeys {
        keys: vec![wire::WebhookKey {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            kid: signer.name().to_owned(),
            purpose: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            x: signer.x(),
        }],
    };
    let keys = serde_json::to_vec(&keys).expect("text has a form in JSON");
    let reply = Reply::of("application/jwk-set+json", Body::from(keys));
    Ok(reply.header("cache-control", KEPT))
}
