//! Work as it is asked for over the wire, in the words of the part.

use std::sync::Arc;

use windlass::core::Millis;
use windlass::queue::{
    Ask, Backoff, Boundary, Content, Delivery, Failure, Payload, QueueError, Return, Settle, Slot,
    Work, WorkId,
};
use windlass_client::queue as wire;

use super::invalid;
use crate::call::parse_id;
use crate::problem::Refused;

/// Work to be enqueued.
pub(in crate::routes) fn work(asked: wire::NewWork) -> Result<Work, Refused> {
    let payloads = asked.payloads.into_iter().map(payload);
    let mut work = Work::new(payloads.collect::<Result<_, _>>()?);
    work.delivery = match asked.delivery.unwrap_or_default() {
        wire::Delivery::EarliestBoundary => Delivery::EarliestBoundary,
        wire::Delivery::AfterTurn => Delivery::AfterTurn,
    };
    work.slot = match asked.slot.unwrap_or_default() {
        wire::Slot::Join => Slot::Join,
        wire::Slot::Exclusive => Slot::Exclusive,
    };
    work.merge_key = asked.merge_key.map(Arc::from);
    work.source_key = asked.source_key.map(Arc::from);
    work.available_at = asked.available_at.map(Millis::new);
    work.priority = asked.priority.unwrap_or(work.priority);
    work.attempts_max = asked.attempts_max.unwrap_or(work.attempts_max);
    if let Some(wire::Backoff { first_ms, max_ms }) = asked.backoff {
        work.backoff = Backoff { first_ms, max_ms };
    }
    Ok(work)
}

fn payload(asked: wire::NewPayload) -> Result<Payload, Refused> {
    let content = match (asked.json, asked.bytes) {
        (Some(json), None) => Content::Json(json.into()),
        (None, Some(bytes)) => Content::Bytes(bytes.0.into()),
        _ => {
            let detail = "each of `payloads` has exactly one of `json` and `bytes`";
            return Err(invalid("payloads", detail));
        }
    };
    Ok(Payload {
        kind: asked.kind.into(),
        content,
    })
}

/// What a claim asks for.
pub(super) fn ask(asked: &wire::NextClaim) -> Result<Ask, Refused> {
    let mut ask = Ask::new(parse_id("owner", &asked.owner)?, asked.ttl_ms);
    ask.boundary = match asked.boundary.unwrap_or_default() {
        wire::Boundary::Checkpoint => Boundary::Checkpoint,
        wire::Boundary::Idle => Boundary::Idle,
    };
    if let Some(max) = asked.max {
        // Too many are refused by the part.
        ask.max = usize::try_from(max).unwrap_or(usize::MAX);
    }
    Ok(ask)
}

/// What became of a claim's work.
pub(in crate::routes) fn settle(token: u64, asked: &wire::SettleClaim) -> Result<Settle, Refused> {
    let complete = asked.complete.iter().map(|id| work_id(id));
    let fail = asked.fail.iter().map(|failed| {
        Ok(Failure {
            id: work_id(&failed.id)?,
            reason: failed.reason.as_deref().map(Arc::from),
            delay_ms: failed.delay_ms,
            fatal: failed.fatal,
        })
    });
    let abandon = asked.abandon.iter().map(|back| {
        Ok(Return {
            id: work_id(&back.id)?,
            delay_ms: back.delay_ms,
        })
    });
    Ok(Settle {
        token,
        complete: complete.collect::<Result<_, Refused>>()?,
        fail: fail.collect::<Result<_, Refused>>()?,
        abandon: abandon.collect::<Result<_, Refused>>()?,
    })
}

fn work_id(text: &str) -> Result<WorkId, Refused> {
    text.parse()
        .map_err(|error: QueueError| Refused::from(error))
}
