//! Subscriptions are made, shown, linked and deleted by whoever may use the
//! streams.

use axum::http::StatusCode;
use windlass_client::subscription as wire;

use super::form::{paths, shown, wanted};
use super::{address, refused, subscriptions};
use crate::call::{Call, Reply};
use crate::problem::Refused;

pub(super) async fn put(call: Call) -> Result<Reply, Refused> {
    let at = address(&call)?;
    let hooks = &call.app.hooks;
    let wanted = wanted(hooks, call.json::<wire::PutSubscription>()?)?;
    let confirmed = subscriptions(&call).confirm(&at, wanted).await;
    let confirmed = confirmed.map_err(refused)?;
    hooks.nudge(&at);
    let status = match confirmed.is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok(Reply::json(&shown(hooks, &confirmed.subscription)).status(status))
}

pub(super) async fn get(call: Call) -> Result<Reply, Refused> {
    let view = subscriptions(&call).show(&address(&call)?).await;
    Ok(Reply::json(&shown(
        &call.app.hooks,
        &view.map_err(refused)?,
    )))
}

pub(super) async fn delete(call: Call) -> Result<Reply, Refused> {
    let deleted = subscriptions(&call).delete(&address(&call)?).await;
    deleted.map_err(refused)?;
    Ok(Reply::nothing(StatusCode::NO_CONTENT))
}

pub(super) async fn link(call: Call) -> Result<Reply, Refused> {
    let at = address(&call)?;
    let paths = paths(call.json::<wire::SubscribeStreams>()?.streams);
    let linked = subscriptions(&call).link(&at, &paths).await;
    linked.map_err(refused)?;
    Ok(Reply::nothing(StatusCode::NO_CONTENT))
}

pub(super) async fn unlink(call: Call) -> Result<Reply, Refused> {
    let at = address(&call)?;
    let unlinked = subscriptions(&call).unlink(&at, call.text("path")).await;
    unlinked.map_err(refused)?;
    Ok(Reply::nothing(StatusCode::NO_CONTENT))
}
