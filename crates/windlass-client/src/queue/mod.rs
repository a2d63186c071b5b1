//! The queues of sessions: work that is enqueued, claimed by whoever does it,
//! and settled; and the leases of sessions. Payloads that are JSON are passed
//! on as they are written; others are base64.

mod answer;
mod request;
mod turn;

use serde::{Deserialize, Serialize};

pub use answer::{
    Claim, ClaimAnswer, Claimed, Counts, Enqueued, EnqueuedAll, Lease, LeaseAnswer, Overview,
    OverviewEntry, Payload, QueueReport, RemovedQueue, Renewed, Rest, Settled, WorkItem, WorkNamed,
    WorkPage,
};
pub use request::{
    AcquireLease, Backoff, ClaimWork, Enqueue, EnqueueAll, Failure, HeldLease, NewPayload, NewWork,
    NextClaim, RenewClaim, Return, SessionWork, SettleClaim, WorkQuery,
};
pub use turn::{CommitTurn, TurnDone, TurnStream, TurnUse, TurnUsed, TurnWork, TurnWorked};

/// Longest that a claim waits for work, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($words:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($words)* }
    };
}

words!(
    /// At which boundary of a session's run work may be handed out.
    Delivery {
        /// At the earliest safe point, also inside a turn.
        EarliestBoundary,
        /// Once the turn under way has committed.
        #[default]
        AfterTurn,
    }
);

words!(
    /// Whether work may be handed out together with what stands behind it.
    Slot {
        /// Together with adjacent work of the same delivery and merge key.
        #[default]
        Join,
        /// Always alone.
        Exclusive,
    }
);

words!(
    /// The point of a session's run at which work is asked for.
    Boundary {
        /// Inside a turn: only work to be delivered at the earliest boundary.
        Checkpoint,
        /// Between turns: any work.
        #[default]
        Idle,
    }
);

words!(
    /// Which work of a session.
    WorkState {
        /// In line, or to be in line later, and not claimed.
        #[default]
        Pending,
        /// Held by somebody.
        Claimed,
        /// Not tried any more.
        Dead,
    }
);
