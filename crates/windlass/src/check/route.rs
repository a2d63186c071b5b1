//! Whose auditor looks at which entry.

use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};

/// A part that has an auditor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Session,
    Stash,
    Checkpoint,
    Queue,
    Stream,
    Access,
    Audit,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Session,
        Self::Stash,
        Self::Checkpoint,
        Self::Queue,
        Self::Stream,
        Self::Access,
        Self::Audit,
    ];

    /// The part that an entry is of, if it is one's.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        let mut segments = key.split(|byte| *byte == b'/');
        let first = segments.next()?;
        let second = segments.next()?;
        let named = match first {
            b"due" => segments.next()?,
            b"system" if second != b"audit" => return Some(Self::Access),
            _ => second,
        };
        match named {
            b"session" | b"agent" | b"created" => Some(Self::Session),
            b"stash" => Some(Self::Stash),
            b"checkpoint" | b"lineage" => Some(Self::Checkpoint),
            b"queue" | b"queue-ready" | b"lease" => Some(Self::Queue),
            b"stream" | b"streams" => Some(Self::Stream),
            b"access" => Some(Self::Access),
            b"audit" => Some(Self::Audit),
            _ => None,
        }
    }

    /// A new auditor of the part.
    pub(super) fn auditor(self) -> Box<dyn Auditor> {
        match self {
            Self::Session => Box::new(windlass_session::check::auditor()),
            Self::Stash => Box::new(windlass_stash::durable::check::auditor()),
            Self::Checkpoint => Box::new(windlass_checkpoint::check::auditor()),
            Self::Queue => Box::new(windlass_queue::check::auditor()),
            Self::Stream => Box::new(windlass_stream::check::auditor()),
            Self::Access => Box::new(windlass_access::check::auditor()),
            Self::Audit => Box::new(crate::audit::check::auditor()),
        }
    }
}

/// One auditor of each part.
#[derive(Debug)]
pub(super) struct Auditors(Vec<(Part, Box<dyn Auditor>)>);

impl Auditors {
    pub(super) fn new() -> Self {
        Self(Part::ALL.map(|part| (part, part.auditor())).into())
    }

    /// Shows an entry to whom it concerns; which part that is.
    pub(super) fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(part) = Part::of(&entry.key) else {
            return;
        };
        if let Some((_, auditor)) = self.0.iter_mut().find(|(of, _)| *of == part) {
            auditor.entry(entry, notes);
        }
    }

    pub(super) fn end(&mut self, notes: &mut dyn Notes) {
        for (_, auditor) in &mut self.0 {
            auditor.end(notes);
        }
    }
}
