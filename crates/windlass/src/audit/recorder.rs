//! The recorder: what every part's hook leads to.

use std::fmt;
use std::sync::Arc;

use windlass_core::{Act, Audit, Detail, Env, Outcome};
use windlass_stash::audit as stash;
use windlass_stream as stream;

use super::event::AuditEvent;
use super::lane::Lane;
use super::who;

/// Makes events of what it is told, and passes them to every lane.
#[derive(Debug)]
pub(super) struct Recorder {
    env: Arc<dyn Env>,
    detail: Detail,
    lanes: Vec<Arc<Lane>>,
}

impl Recorder {
    pub(super) const fn new(env: Arc<dyn Env>, detail: Detail, lanes: Vec<Arc<Lane>>) -> Self {
        Self { env, detail, lanes }
    }

    pub(super) fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    pub(super) fn pass_on(&self, event: AuditEvent) {
        let event = Arc::new(event);
        for lane in &self.lanes {
            lane.tell(Arc::clone(&event));
        }
    }

    fn hear(&self, act: &Act<'_>, outcome: Outcome) {
        if outcome == Outcome::Done && act.detail > self.detail {
            return;
        }
        let event = AuditEvent::of(self.env.now(), act, outcome, &who::now());
        self.pass_on(event);
    }
}

impl Audit for Recorder {
    fn hears(&self, detail: Detail) -> bool {
        detail <= self.detail
    }

    fn record(&self, act: &Act<'_>, outcome: Outcome) {
        self.hear(act, outcome);
    }
}

/// Hears of stashes, for the audit and for whoever else listens.
pub(super) struct StashEar {
    pub(super) recorder: Arc<Recorder>,
    pub(super) also: Option<Arc<dyn stash::Audit>>,
}

impl stash::Audit for StashEar {
    fn record(&self, event: &stash::Event<'_>) {
        if let Some(also) = &self.also {
            also.record(event);
        }
        let outcome = match event.outcome {
            stash::Outcome::Done | stash::Outcome::Absent => Outcome::Done,
            stash::Outcome::Refused(code) => Outcome::Refused(code),
        };
        let (action, detail) = of_stash(event.verb);
        let mut on: Vec<(&'static str, &dyn fmt::Display)> = Vec::with_capacity(3);
        let session = event
            .session
            .map(|session| ("session", session as &dyn fmt::Display));
        let group = event
            .group
            .map(|group| ("group", group as &dyn fmt::Display));
        let key = event.key.map(|key| ("key", key as &dyn fmt::Display));
        on.extend([session, group, key].into_iter().flatten());
        let figures = event.size.map(|size| ("bytes", size));
        let act = Act {
            detail,
            figures: figures.as_slice(),
            ..Act::new(action, event.tenant, None, &on)
        };
        self.recorder.hear(&act, outcome);
    }
}

/// The action of a verb, and from which detail on its success is told.
const fn of_stash(verb: stash::Verb) -> (&'static str, Detail) {
    match verb {
        stash::Verb::Put => ("stash.put", Detail::Full),
        stash::Verb::Delete => ("stash.deleted", Detail::Full),
        stash::Verb::Touch => ("stash.touched", Detail::Full),
        stash::Verb::Increment => ("stash.incremented", Detail::Full),
        stash::Verb::Clear => ("stash.cleared", Detail::Security),
        stash::Verb::Reap => ("stash.reaped", Detail::Full),
        stash::Verb::Step => ("stash.stepped", Detail::Full),
        _ => ("stash.read", Detail::Full),
    }
}

/// Hears of reads of streams, for the audit and for whoever else listens.
pub(super) struct StreamEar {
    pub(super) recorder: Arc<Recorder>,
    pub(super) also: Option<Arc<dyn stream::Audit>>,
}

impl stream::Audit for StreamEar {
    fn record(&self, event: &stream::Event) {
        if let Some(also) = &self.also {
            also.record(event);
        }
        match event {
            stream::Event::Opened {
                caller,
                handle,
                pinned,
                request,
            } => {
                let on: [(_, &dyn fmt::Display); 3] =
                    [("handle", handle), ("pinned", pinned), ("request", request)];
                self.hear(event, caller, &on, &[], Outcome::Done);
            }
            stream::Event::TokenExpired { caller, handle } => {
                let on: [(_, &dyn fmt::Display); 1] = [("handle", handle)];
                self.hear(event, caller, &on, &[], Outcome::Done);
            }
            stream::Event::Closed {
                caller,
                handle,
                reason,
                rows,
                bytes,
                ..
            } => {
                let reason = reason.name();
                let handle = handle
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string);
                let on: [(_, &dyn fmt::Display); 2] = [("handle", &handle), ("reason", &reason)];
                let figures = [("rows", *rows), ("bytes", *bytes)];
                self.hear(event, caller, &on, &figures, ended(reason));
            }
            _ => {}
        }
    }
}

/// How a read ended. One that was cancelled or left is the reader's own doing.
fn ended(reason: &'static str) -> Outcome {
    match reason {
        "ok" | "cancelled" | "disconnected" => Outcome::Done,
        "capacity_refused" => Outcome::Refused(reason),
        _ => Outcome::Failed(reason),
    }
}

impl StreamEar {
    fn hear(
        &self,
        event: &stream::Event,
        caller: &stream::Caller,
        on: &[(&'static str, &dyn fmt::Display)],
        figures: &[(&'static str, u64)],
        outcome: Outcome,
    ) {
        let act = Act {
            figures,
            ..Act::new(
                event.name(),
                Some(&caller.tenant),
                Some(&caller.principal),
                on,
            )
            .ordinary()
        };
        self.recorder.hear(&act, outcome);
    }
}
