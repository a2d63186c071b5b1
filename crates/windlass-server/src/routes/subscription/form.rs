//! Subscriptions on the wire, and as the engine has them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use windlass::core::Millis;
use windlass::stream::subscription::limits::LEASE_TTL_MS_DEFAULT;
use windlass::stream::subscription::{Delivery, NewSubscription, Pattern, SubscriptionView};
use windlass_client::subscription as wire;

use super::invalid;
use crate::hooks::{Hooks, subscribed, target};
use crate::problem::{Problem, Refused};

/// What is asked for.
pub(super) fn wanted(
    hooks: &Hooks,
    asked: wire::PutSubscription,
) -> Result<NewSubscription, Refused> {
    let pattern = asked.pattern.map(|text| text.parse::<Pattern>());
    let pattern = pattern.transpose().map_err(|error| {
        let detail = error.to_string();
        invalid("pattern", &detail)
    })?;
    let delivery = match (asked.kind, asked.webhook, asked.wake_stream) {
        (wire::SubscriptionType::Webhook, Some(webhook), None) => {
            Delivery::Webhook(called(hooks, &webhook.url)?)
        }
        (wire::SubscriptionType::PullWake, None, Some(path)) => Delivery::PullWake(path.into()),
        (wire::SubscriptionType::Webhook, ..) => {
            return Err(invalid(
                "webhook",
                "a `webhook` has this and no `wake_stream`",
            ));
        }
        (wire::SubscriptionType::PullWake, ..) => {
            return Err(invalid(
                "wake_stream",
                "a `pull-wake` has this and no `webhook`",
            ));
        }
    };
    Ok(NewSubscription {
        delivery,
        pattern,
        streams: paths(asked.streams.unwrap_or_default()),
        lease_ttl_ms: asked.lease_ttl_ms.unwrap_or(LEASE_TTL_MS_DEFAULT),
        description: asked.description.map(Arc::from),
    })
}

pub(super) fn paths(paths: Vec<String>) -> Vec<Arc<str>> {
    paths.into_iter().map(Arc::from).collect()
}

/// A URL that may be called, as it was given.
fn called(hooks: &Hooks, url: &str) -> Result<Arc<str>, Refused> {
    target(url, hooks.reach).map_err(|why| {
        let detail = format!("the webhook's URL {why}");
        let problem = Problem::new(400, "webhook_url_rejected", &detail);
        Box::new(problem.with("error", json!({ "code": "WEBHOOK_URL_REJECTED" })))
    })?;
    Ok(url.into())
}

/// A subscription as it is shown.
pub(super) fn shown(hooks: &Hooks, view: &SubscriptionView) -> wire::Subscription {
    let (kind, webhook, wake_stream) = match &view.delivery {
        Delivery::Webhook(url) => {
            let webhook = wire::Webhook {
                url: url.to_string(),
                signing: wire::WebhookSigning {
                    alg: "ed25519".to_owned(),
                    kid: hooks.signer.name().to_owned(),
                    jwks_url: hooks.jwks_url(),
                },
            };
            (wire::SubscriptionType::Webhook, Some(webhook), None)
        }
        Delivery::PullWake(path) => {
            let path = Some(path.to_string());
            (wire::SubscriptionType::PullWake, None, path)
        }
    };
    wire::Subscription {
        id: view.id.to_string(),
        subscription_id: view.id.to_string(),
        kind,
        pattern: view.pattern.as_ref().map(|it| it.as_str().to_owned()),
        streams: view.streams.iter().map(subscribed).collect(),
        streams_full: view.is_full,
        webhook,
        wake_stream,
        lease_ttl_ms: view.lease_ttl_ms,
        created_at: time(view.created),
        status: match view.retry_at {
            Some(_) => wire::SubscriptionStatus::Failed,
            None => wire::SubscriptionStatus::Active,
        },
        next_attempt_at: view.retry_at.map(time),
        generation: view.generation,
        description: view.description.as_deref().map(str::to_owned),
    }
}

/// A time of this age in RFC 3339.
fn time(at: Millis) -> String {
    let at = i64::try_from(at.get()).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    format!("{at:.3}")
}
