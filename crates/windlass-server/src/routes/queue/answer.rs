//! What the part answers, as it is written on the wire.

use windlass::core::Millis;
use windlass::queue::{
    Claim, Claimed, Content, Counts, Delivery, Done, Enqueued, Listed, Payload, Settled, Slot,
    State, WorkId,
};
use windlass_client::queue as wire;
use windlass_client::state::Base64;

fn text(text: Option<std::sync::Arc<str>>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn delivery(delivery: Delivery) -> wire::Delivery {
    match delivery {
        Delivery::EarliestBoundary => wire::Delivery::EarliestBoundary,
        Delivery::AfterTurn => wire::Delivery::AfterTurn,
    }
}

fn slot(slot: Slot) -> wire::Slot {
    match slot {
        Slot::Join => wire::Slot::Join,
        Slot::Exclusive => wire::Slot::Exclusive,
    }
}

fn payloads(payloads: &[Payload]) -> Vec<wire::Payload> {
    let shown = payloads.iter().map(|payload| {
        let (json, bytes) = match &payload.content {
            Content::Json(json) => (Some((**json).to_owned()), None),
            Content::Bytes(bytes) => (None, Some(Base64(bytes.to_vec()))),
        };
        wire::Payload {
            kind: payload.kind.to_string(),
            json,
            bytes,
        }
    });
    shown.collect()
}

pub(super) fn enqueued(enqueued: Enqueued) -> wire::Enqueued {
    wire::Enqueued {
        id: enqueued.id.to_string(),
        known: enqueued.known,
    }
}

pub(super) fn claim(claim: Claim) -> wire::Claim {
    wire::Claim {
        session: claim.session.to_string(),
        token: claim.token,
        owner: claim.owner.to_string(),
        until: claim.until.get(),
        ttl_ms: claim.ttl_ms,
        work: claim.work.into_iter().map(claimed).collect(),
    }
}

fn claimed(work: Claimed) -> wire::Claimed {
    wire::Claimed {
        id: work.id.to_string(),
        payloads: payloads(&work.payloads),
        delivery: delivery(work.delivery),
        slot: slot(work.slot),
        merge_key: text(work.merge_key),
        priority: work.priority,
        source_key: text(work.source_key),
        attempt: work.attempt,
        attempts_max: work.attempts_max,
        enqueued_at: work.enqueued_at.get(),
        reason: text(work.reason),
    }
}

pub(super) fn settled(settled: Settled, next: Option<Claim>) -> wire::Settled {
    let resting = settled.resting.into_iter().map(|(id, at)| wire::Rest {
        id: id.to_string(),
        at: at.get(),
    });
    wire::Settled {
        held: u64::try_from(settled.held).unwrap_or(u64::MAX),
        resting: resting.collect(),
        dead: settled.dead.iter().map(WorkId::to_string).collect(),
        claim: next.map(claim),
    }
}

/// What a step of a turn did.
pub(in crate::routes) fn worked(done: Done) -> wire::TurnWorked {
    match done {
        Done::Settled(done) => wire::TurnWorked::Settled(settled(done, None)),
        Done::Enqueued(done) => wire::TurnWorked::Enqueued(enqueued(done)),
    }
}

/// Work as it is listed, with its payloads where they were asked for.
pub(super) fn listed(work: Listed, has_payloads: bool) -> wire::WorkItem {
    let (count, bytes) = work.size;
    let (owner, until) = work.held.unzip();
    wire::WorkItem {
        id: work.id.to_string(),
        state: match work.state {
            State::Pending => wire::WorkState::Pending,
            State::Claimed => wire::WorkState::Claimed,
            State::Dead => wire::WorkState::Dead,
        },
        payloads: has_payloads.then(|| payloads(&work.payloads)),
        payload_count: u64::try_from(count).unwrap_or(u64::MAX),
        payload_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        delivery: delivery(work.delivery),
        slot: slot(work.slot),
        merge_key: text(work.merge_key),
        priority: work.priority,
        source_key: text(work.source_key),
        attempts: work.attempts,
        attempts_max: work.attempts_max,
        enqueued_at: work.enqueued_at.get(),
        available_at: work.available_at.get(),
        reason: text(work.reason),
        owner: owner.map(|owner| owner.to_string()),
        held_until: until.map(Millis::get),
        died_at: work.died_at.map(Millis::get),
    }
}

pub(super) fn counts(counts: Counts) -> wire::Counts {
    wire::Counts {
        pending: counts.pending,
        claimed: counts.claimed,
        dead: counts.dead,
        oldest: counts.oldest.map(Millis::get),
    }
}
