//! What is asked of the queue, and what it hands out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_core::{Millis, OperationId, OwnerId, SessionId};
use windlass_store::{Check, Expect, Version};

use crate::error::{Problem, QueueError};
use crate::id::WorkId;
use crate::limits::{
    ATTEMPTS_DEFAULT, ATTEMPTS_MAX, BACKOFF_MS_DEFAULT, BACKOFF_MS_MAX_DEFAULT, CLAIM_MAX,
    DELAY_MS_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOADS_MAX, PRIORITY_DEFAULT, PRIORITY_MAX,
    REASON_BYTES_MAX, SOURCE_KEY_BYTES_MAX, TTL_MS_MAX,
};

/// What a payload holds. Cloning shares it.
#[derive(Clone)]
pub enum Content {
    /// A JSON value, kept as it was written.
    Json(Arc<RawValue>),
    /// Bytes that mean something to the caller.
    Bytes(Bytes),
}

impl Content {
    /// Its bytes, of a JSON value those of its text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(json) => json.get().as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        let same_form = matches!(
            (self, other),
            (Self::Json(_), Self::Json(_)) | (Self::Bytes(_), Self::Bytes(_))
        );
        same_form && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    /// Says the form and the length: what is queued may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self {
            Self::Json(_) => "Json",
            Self::Bytes(_) => "Bytes",
        };
        write!(f, "{form}({} bytes)", self.as_bytes().len())
    }
}

/// One piece of work, with a kind that the caller names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What it is: 1 to 128 bytes of printable text.
    pub kind: Arc<str>,
    /// What it holds.
    pub content: Content,
}

impl Payload {
    /// A JSON payload.
    ///
    /// # Errors
    ///
    /// `Invalid` if `value` cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(kind: &str, value: &T) -> Result<Self, QueueError> {
        let unwritable = |_| QueueError::invalid("payload", Problem::Json);
        let json = serde_json::value::to_raw_value(value).map_err(unwritable)?;
        Ok(Self {
            kind: kind.into(),
            content: Content::Json(json.into()),
        })
    }

    /// A payload of bytes.
    #[must_use]
    pub fn bytes(kind: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: kind.into(),
            content: Content::Bytes(bytes.into()),
        }
    }

    /// Reads a JSON payload; of a payload of bytes, its bytes as JSON.
    ///
    /// # Errors
    ///
    /// What the content does not have of a `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.content.as_bytes())
    }

    pub(crate) fn size(&self) -> usize {
        self.kind.len() + self.content.as_bytes().len()
    }
}

/// At which boundary of a session's run work may be handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// At the earliest safe point, also inside a turn.
    EarliestBoundary,
    /// Once the turn under way has committed.
    #[default]
    AfterTurn,
}

/// Whether work may be handed out together with what stands behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Together with adjacent work of the same delivery and merge key.
    #[default]
    Join,
    /// Always alone.
    Exclusive,
}

/// How long failed work rests before its next attempt.
///
/// After the n-th attempt it is `first_ms` doubled n - 1 times, but at most
/// `max_ms`; of that, at least half, and a random share of the other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backoff {
    /// After the first failure: 0 to 24 hours.
    pub first_ms: u64,
    /// At most: `first_ms` to 24 hours.
    pub max_ms: u64,
}

impl Default for Backoff {
    /// A second, doubling up to ten minutes.
    fn default() -> Self {
        Self {
            first_ms: BACKOFF_MS_DEFAULT,
            max_ms: BACKOFF_MS_MAX_DEFAULT,
        }
    }
}

/// A batch of work to be enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// What is to be done: 1 to 64 payloads, of 1 MiB together.
    pub payloads: Vec<Payload>,
    /// When it may be handed out.
    pub delivery: Delivery,
    /// Whether alone.
    pub slot: Slot,
    /// Adjacent work is handed out together only if this is equal: none, or 1
    /// to 128 bytes of printable text.
    pub merge_key: Option<Arc<str>>,
    /// 0 to 9; higher ones go first. 4 where nothing is said.
    pub priority: u8,
    /// When it joins the line, as if it were enqueued then; at once if `None`
    /// or not in the future. At most 366 days ahead.
    pub available_at: Option<Millis>,
    /// Names the work for its whole life and 24 hours longer: who enqueues the
    /// same again under this key, in this session, gets the first. 1 to 200
    /// bytes of printable text.
    pub source_key: Option<Arc<str>>,
    /// How often it may be claimed before it is put with the dead: 1 to 1,000.
    pub attempts_max: u32,
    /// How long it rests after a failure.
    pub backoff: Backoff,
}

impl Work {
    /// Work of these payloads, everything else as where nothing is said.
    #[must_use]
    pub fn new(payloads: Vec<Payload>) -> Self {
        Self {
            payloads,
            delivery: Delivery::default(),
            slot: Slot::default(),
            merge_key: None,
            priority: PRIORITY_DEFAULT,
            available_at: None,
            source_key: None,
            attempts_max: ATTEMPTS_DEFAULT,
            backoff: Backoff::default(),
        }
    }

    /// Work of one JSON payload.
    ///
    /// # Errors
    ///
    /// `Invalid` if `value` cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(kind: &str, value: &T) -> Result<Self, QueueError> {
        Ok(Self::new(vec![Payload::json(kind, value)?]))
    }

    /// Work of one payload of bytes.
    #[must_use]
    pub fn bytes(kind: &str, bytes: impl Into<Bytes>) -> Self {
        Self::new(vec![Payload::bytes(kind, bytes)])
    }

    /// Bytes of its payloads, with their kinds.
    pub(crate) fn size(&self) -> usize {
        self.payloads.iter().map(Payload::size).sum()
    }

    /// Refuses what is outside its limits.
    ///
    /// # Errors
    ///
    /// [`QueueError::Invalid`] naming the first field that is.
    pub fn check(&self) -> Result<(), QueueError> {
        check_count("payloads", self.payloads.len(), PAYLOADS_MAX)?;
        for payload in &self.payloads {
            check_text("kind", &payload.kind, NAME_BYTES_MAX)?;
        }
        let (length, max) = (self.size(), PAYLOAD_BYTES_MAX);
        if length > max {
            let problem = Problem::TooLong { length, max };
            return Err(QueueError::invalid("payloads", problem));
        }
        if let Some(key) = &self.merge_key {
            check_text("merge_key", key, NAME_BYTES_MAX)?;
        }
        if let Some(key) = &self.source_key {
            check_text("source_key", key, SOURCE_KEY_BYTES_MAX)?;
        }
        let attempts = u64::from(self.attempts_max);
        check_range("priority", self.priority.into(), 0, PRIORITY_MAX.into())?;
        check_range("attempts_max", attempts, 1, ATTEMPTS_MAX.into())?;
        let Backoff { first_ms, max_ms } = self.backoff;
        check_range("backoff.first_ms", first_ms, 0, DELAY_MS_MAX)?;
        check_range("backoff.max_ms", max_ms, first_ms, DELAY_MS_MAX)
    }
}

/// What a call carries beside what it asks: an operation id that makes it safe
/// to repeat, and a session lease it is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Under {
    /// The same id gives the first answer and takes effect once, for 24 hours
    /// at least.
    pub operation: Option<OperationId>,
    /// The change takes effect only while this holds.
    pub bound: Option<Bound>,
}

impl Under {
    /// Neither.
    pub const NOTHING: Self = Self {
        operation: None,
        bound: None,
    };

    /// Under an operation id.
    #[must_use]
    pub const fn operation(id: OperationId) -> Self {
        Self {
            operation: Some(id),
            bound: None,
        }
    }

    /// Bound to a session lease.
    #[must_use]
    pub const fn bound(bound: Bound) -> Self {
        Self {
            operation: None,
            bound: Some(bound),
        }
    }
}

/// A row of the store that has to be as it is for a change to take effect: the
/// proof that a session lease is held, for any part's commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The row.
    pub key: Bytes,
    /// As it was written by the owner who is bound.
    pub version: Version,
}

impl Bound {
    /// The condition to add to a commit.
    #[must_use]
    pub fn check(&self) -> Check {
        Check {
            key: self.key.clone(),
            expect: Expect::Version(self.version),
        }
    }
}

/// The point of a session's run at which work is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// Inside a turn: only work to be delivered at the earliest boundary.
    Checkpoint,
    /// Between turns: any work.
    #[default]
    Idle,
}

/// What a claim asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who will hold the work.
    pub owner: OwnerId,
    /// At which boundary.
    pub boundary: Boundary,
    /// How long, unless it is renewed: 1 ms to 24 hours.
    pub ttl_ms: u64,
    /// Most batches to take: 1 to 100. 2 MiB of payloads are enough, too.
    pub max: usize,
}

impl Ask {
    /// One batch at an idle boundary.
    #[must_use]
    pub const fn new(owner: OwnerId, ttl_ms: u64) -> Self {
        Self {
            owner,
            boundary: Boundary::Idle,
            ttl_ms,
            max: 1,
        }
    }

    /// Refuses what is outside its limits.
    ///
    /// # Errors
    ///
    /// [`QueueError::Invalid`] naming the first field that is.
    pub fn check(&self) -> Result<(), QueueError> {
        check_ttl(self.ttl_ms)?;
        let max = u64::try_from(self.max).unwrap_or(u64::MAX);
        let most = u64::try_from(CLAIM_MAX).unwrap_or(u64::MAX);
        check_range("max", max, 1, most)
    }
}

/// Work as it was handed out to the holder of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its name.
    pub id: WorkId,
    /// What is to be done. Shared, not copied.
    pub payloads: Arc<[Payload]>,
    /// When it was to be handed out.
    pub delivery: Delivery,
    /// Whether alone.
    pub slot: Slot,
    /// What it was merged by.
    pub merge_key: Option<Arc<str>>,
    /// Its priority.
    pub priority: u8,
    /// Its source key.
    pub source_key: Option<Arc<str>>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many there may be.
    pub attempts_max: u32,
    /// When it was enqueued.
    pub enqueued_at: Millis,
    /// Why the last attempt failed, if it did and said so.
    pub reason: Option<Arc<str>>,
}

/// A hold on some work of one session, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose work.
    pub session: SessionId,
    /// Raised with each claim of the session: the holder of a lower one has
    /// lost its hold.
    pub token: u64,
    /// Who holds it.
    pub owner: OwnerId,
    /// When the hold ends, unless it is renewed.
    pub until: Millis,
    /// How long a renewal lasts where nothing else is said.
    pub ttl_ms: u64,
    /// What is held, in its order.
    pub work: Vec<Claimed>,
}

impl Claim {
    /// What is held, by name.
    #[must_use]
    pub fn ids(&self) -> Vec<WorkId> {
        self.work.iter().map(|work| work.id).collect()
    }

    /// All of it done.
    #[must_use]
    pub fn completed(&self) -> Settle {
        Settle {
            complete: self.ids(),
            ..Settle::nothing(self.token)
        }
    }

    /// All of it failed, for one reason.
    #[must_use]
    pub fn failed(&self, reason: &str) -> Settle {
        let failure = |id| Failure {
            reason: Some(reason.into()),
            ..Failure::new(id)
        };
        Settle {
            fail: self.ids().into_iter().map(failure).collect(),
            ..Settle::nothing(self.token)
        }
    }

    /// All of it given back, for others to take once `delay_ms` have passed.
    #[must_use]
    pub fn abandoned(&self, delay_ms: u64) -> Settle {
        let back = |id| Return { id, delay_ms };
        Settle {
            abandon: self.ids().into_iter().map(back).collect(),
            ..Settle::nothing(self.token)
        }
    }
}

/// Work that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub id: WorkId,
    /// Why, for whoever looks: up to 512 bytes.
    pub reason: Option<Arc<str>>,
    /// How long it rests instead of what its backoff says: up to 24 hours.
    pub delay_ms: Option<u64>,
    /// Whether it is put with the dead although attempts are left.
    pub fatal: bool,
}

impl Failure {
    /// It failed; its backoff says when it is tried again.
    #[must_use]
    pub const fn new(id: WorkId) -> Self {
        Self {
            id,
            reason: None,
            delay_ms: None,
            fatal: false,
        }
    }
}

/// Work that is given back without having failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// Which.
    pub id: WorkId,
    /// How long it rests: up to 24 hours.
    pub delay_ms: u64,
}

/// What became of claimed work: some of a claim's, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The claim's token.
    pub token: u64,
    /// Done; it goes.
    pub complete: Vec<WorkId>,
    /// Failed; it rests, or is put with the dead after its last attempt.
    pub fail: Vec<Failure>,
    /// Given back. The attempt counts: after the last one it is put with the
    /// dead too.
    pub abandon: Vec<Return>,
}

impl Settle {
    /// Nothing yet.
    #[must_use]
    pub const fn nothing(token: u64) -> Self {
        Self {
            token,
            complete: Vec::new(),
            fail: Vec::new(),
            abandon: Vec::new(),
        }
    }

    /// Everything it names.
    pub(crate) fn ids(&self) -> impl Iterator<Item = WorkId> {
        let failed = self.fail.iter().map(|failure| failure.id);
        let given_back = self.abandon.iter().map(|back| back.id);
        let done = self.complete.iter().copied();
        done.chain(failed).chain(given_back)
    }

    /// Refuses what is outside its limits.
    ///
    /// # Errors
    ///
    /// [`QueueError::Invalid`] naming the first field that is.
    pub fn check(&self) -> Result<(), QueueError> {
        let mut ids: Vec<WorkId> = self.ids().collect();
        check_count("ids", ids.len(), CLAIM_MAX)?;
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(QueueError::invalid("ids", Problem::Twice));
        }
        for failure in &self.fail {
            let delay = failure.delay_ms.unwrap_or_default();
            check_range("delay_ms", delay, 0, DELAY_MS_MAX)?;
            if let Some(reason) = &failure.reason {
                check_length("reason", reason, REASON_BYTES_MAX)?;
            }
        }
        let mut delays = self.abandon.iter().map(|back| back.delay_ms);
        delays.try_for_each(|delay| check_range("delay_ms", delay, 0, DELAY_MS_MAX))
    }
}

/// Work that was enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Enqueued {
    /// Its name.
    pub id: WorkId,
    /// Whether its source key was known already: then this is the first work
    /// that was enqueued under it, and nothing was added.
    pub known: bool,
}

/// What settling did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// How much of the claim is still held.
    pub held: usize,
    /// What is tried again, and from when on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resting: Vec<(WorkId, Millis)>,
    /// What was put with the dead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead: Vec<WorkId>,
}

pub(crate) fn check_range(
    field: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), QueueError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(QueueError::invalid(
        field,
        Problem::Range { value, min, max },
    ))
}

pub(crate) fn check_ttl(ttl_ms: u64) -> Result<(), QueueError> {
    check_range("ttl_ms", ttl_ms, 1, TTL_MS_MAX)
}

pub(crate) fn check_count(field: &'static str, count: usize, max: usize) -> Result<(), QueueError> {
    match count {
        0 => Err(QueueError::invalid(field, Problem::Empty)),
        _ if count > max => Err(QueueError::invalid(field, Problem::TooMany { count, max })),
        _ => Ok(()),
    }
}

fn check_length(field: &'static str, text: &str, max: usize) -> Result<(), QueueError> {
    let length = text.len();
    if length > max {
        return Err(QueueError::invalid(field, Problem::TooLong { length, max }));
    }
    Ok(())
}

/// Text that names something: not empty, not too long, no control characters.
fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), QueueError> {
    if text.is_empty() {
        return Err(QueueError::invalid(field, Problem::Empty));
    }
    check_length(field, text, max)?;
    if text.chars().any(char::is_control) {
        return Err(QueueError::invalid(field, Problem::Character));
    }
    Ok(())
}
