//! Queues as text for people.

use windlass_client::queue::{
    ClaimAnswer, Claimed, Counts, Enqueued, OverviewEntry, Payload, Settled, WorkItem, WorkState,
};

use crate::table::{fields, moment, plain, rows};

/// Characters of a payload that a line shows.
const LINE_CHARS_MAX: usize = 72;

fn none() -> String {
    "-".to_owned()
}

/// Work that was enqueued.
pub(super) fn enqueued(done: &Enqueued) -> String {
    let known = if done.known { "yes" } else { "no" };
    fields([("id", done.id.clone()), ("known", known.to_owned())])
}

const fn state(state: WorkState) -> &'static str {
    match state {
        WorkState::Pending => "pending",
        WorkState::Claimed => "claimed",
        WorkState::Dead => "dead",
    }
}

/// Work, one a row.
pub(super) fn work(work: &[WorkItem]) -> String {
    let shown = work.iter().map(|work| {
        [
            work.id.clone(),
            work.priority.to_string(),
            format!("{}/{}", work.attempts, work.attempts_max),
            moment(work.available_at),
            work.payload_bytes.to_string(),
            work.owner.clone().unwrap_or_else(none),
            work.reason.as_deref().map_or_else(none, plain),
        ]
    });
    let header = [
        "ID",
        "PRIORITY",
        "ATTEMPTS",
        "AVAILABLE",
        "BYTES",
        "OWNER",
        "REASON",
    ];
    rows(header, shown)
}

/// One batch of work with its payloads.
pub(super) fn one(work: &WorkItem) -> String {
    let mut shown = vec![
        ("id", work.id.clone()),
        ("state", state(work.state).to_owned()),
        ("priority", work.priority.to_string()),
        (
            "attempts",
            format!("{} of {}", work.attempts, work.attempts_max),
        ),
        ("enqueued", moment(work.enqueued_at)),
        ("available", moment(work.available_at)),
    ];
    let named = [
        ("source key", &work.source_key),
        ("merge key", &work.merge_key),
        ("owner", &work.owner),
        ("reason", &work.reason),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            shown.push((name, plain(value)));
        }
    }
    if let Some(until) = work.held_until {
        shown.push(("held until", moment(until)));
    }
    if let Some(at) = work.died_at {
        shown.push(("died", moment(at)));
    }
    let payloads = work.payloads.as_deref().unwrap_or_default();
    let lines = payloads.iter().map(|one| [plain(&one.kind), line(one)]);
    format!("{}\n\n{}", fields(shown), rows(["KIND", "CONTENT"], lines))
}

/// The beginning of a payload.
fn line(payload: &Payload) -> String {
    match (&payload.json, &payload.bytes) {
        (Some(json), _) => {
            let text = plain(json.get());
            let mut line: String = text.chars().take(LINE_CHARS_MAX).collect();
            if line.len() < text.len() {
                line.push('…');
            }
            line
        }
        (None, Some(bytes)) => format!("{} bytes", bytes.0.len()),
        (None, None) => none(),
    }
}

/// How much work a session has.
pub(super) fn counts(counts: &Counts) -> String {
    fields([
        ("pending", counts.pending.to_string()),
        ("claimed", counts.claimed.to_string()),
        ("dead", counts.dead.to_string()),
        ("oldest", counts.oldest.map_or_else(none, moment)),
    ])
}

/// Sessions and how much work each has.
pub(super) fn overview(sessions: &[OverviewEntry]) -> String {
    let shown = sessions.iter().map(|one| {
        [
            one.session.clone(),
            one.counts.pending.to_string(),
            one.counts.claimed.to_string(),
            one.counts.dead.to_string(),
            one.counts.oldest.map_or_else(none, moment),
        ]
    });
    rows(["SESSION", "PENDING", "CLAIMED", "DEAD", "OLDEST"], shown)
}

/// A claim, or that there is none.
pub(super) fn claim(found: &ClaimAnswer) -> String {
    let Some(claim) = &found.claim else {
        return "nothing to claim".to_owned();
    };
    let head = fields([
        ("session", claim.session.clone()),
        ("token", claim.token.to_string()),
        ("until", moment(claim.until)),
    ]);
    let work = claim.work.iter().flat_map(payloads);
    format!(
        "{head}\n\n{}",
        rows(["ID", "ATTEMPT", "KIND", "CONTENT"], work)
    )
}

fn payloads(work: &Claimed) -> impl Iterator<Item = [String; 4]> {
    work.payloads.iter().map(|payload| {
        [
            work.id.clone(),
            format!("{}/{}", work.attempt, work.attempts_max),
            plain(&payload.kind),
            line(payload),
        ]
    })
}

/// What settling did.
pub(super) fn settled(done: &Settled) -> String {
    let mut lines = vec![format!("{} still held", done.held)];
    for rest in &done.resting {
        lines.push(format!("{} rests until {}", rest.id, moment(rest.at)));
    }
    for dead in &done.dead {
        lines.push(format!("{dead} is with the dead"));
    }
    lines.join("\n")
}
