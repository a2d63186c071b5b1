//! The turn of a session: everything an agent did in one step, as one commit.

use serde::{Deserialize, Serialize};

use super::{Enqueued, HeldLease, NewWork, SettleClaim, Settled};
#[cfg(feature = "schema")]
use crate::schema::Identifier;
use crate::session::{Left, Outcome, Receipt, UseTools};
use crate::state::{CommitState, Committed};
use crate::stream::{NewRow, Placed, StreamEnding};

/// A turn: all of it happens, or nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CommitTurn {
    /// What changes in the state; nothing but a new revision if left out.
    #[serde(default)]
    pub state: CommitState,
    /// Tool calls and settlements, in their order: these need `session.use`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(max_items = 100))]
    pub uses: Vec<TurnUse>,
    /// Changes of queues, in their order. Settling needs `queue.work`,
    /// enqueuing `queue.write`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(max_items = 100))]
    pub work: Vec<TurnWork>,
    /// What is appended to streams, and which of them end: needs
    /// `stream.write`. Up to 16, with 1 MiB of rows together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(max_items = 16))]
    pub streams: Vec<TurnStream>,
    /// A lease of the session that has to be held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<HeldLease>,
}

/// A use of a turn: `{"use": {…}}` or `{"settle": {…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TurnUse {
    /// Authorises and charges tool calls.
    Use(UseTools),
    /// Settles a reserved use, or gives it back.
    Settle {
        /// On whose behalf; refused if the session is another's.
        #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
        agent: String,
        /// The number of the call.
        call: u64,
        /// What became of it.
        outcome: Outcome,
    },
}

/// A change of a queue: `{"settle": {…}}` or `{"enqueue": {…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TurnWork {
    /// Says what became of claimed work.
    Settle {
        /// Whose work; the turn's session if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>))]
        session: Option<String>,
        /// The claim's token.
        token: u64,
        /// What became of it, without a `next` or a `lease` of its own.
        settle: SettleClaim,
    },
    /// Enqueues work.
    Enqueue {
        /// For which session; the turn's if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>))]
        session: Option<String>,
        /// The work.
        work: NewWork,
    },
}

/// A change of a stream: rows, its end, or both in this order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TurnStream {
    /// Which.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub stream: String,
    /// What is appended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<NewRow>,
    /// How it ends; it goes on if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<StreamEnding>,
}

/// What a turn came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TurnDone {
    /// The commit of the state.
    pub committed: Committed,
    /// An answer for each use, in their order.
    pub uses: Vec<TurnUsed>,
    /// An answer for each change of a queue, in their order.
    pub work: Vec<TurnWorked>,
    /// Where each stream stands, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<Placed>,
    /// Whether the turn was committed before under the same key: then these
    /// are the first answers, and nothing happened now.
    pub repeated: bool,
}

/// The answer to a use of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TurnUsed {
    /// Of tool calls.
    Receipt(Receipt),
    /// Of a settlement.
    Left(Left),
}

/// The answer to a change of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TurnWorked {
    /// What settling did.
    Settled(Settled),
    /// What was enqueued.
    Enqueued(Enqueued),
}
