//! Input streams: rows that somebody sends, which nobody reads before they are
//! all there and as they were meant.
//!
//! An input is a stream under a path that no reader can name. Its rows are
//! stored as they come, a commit an append, with producers as those of any
//! stream. Finishing it compares its rows with the digest of whoever sent them,
//! and in one commit gives the stream the path that it is for. If they differ it
//! stays where it is, and goes by itself.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use windlass_core::{Millis, OperationId, WriterId, unique_id};
use windlass_store::{Batch, Commit, Expect, StoreErrorKind};

use crate::caller::Caller;
use crate::digest::{RowsHasher, hex, unhex};
use crate::durable::about::{About, ContentType, Input, Path, Withdrawn};
use crate::durable::append::{Post, Posted};
use crate::durable::create::Wanted;
use crate::durable::read::From;
use crate::durable::{DurableStreams, DurableView, Found, hidden, view};
use crate::engine::Loaded;
use crate::error::StreamError;
use crate::keys::path_of;
use crate::limits::{INPUT_MS, PIECE_BYTES_MAX};
use crate::model::{Closed, Ending, Expiry};
use crate::offset::Offset;
use crate::record::encode;

/// The name of an input: what its appends and its end are sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InputId(Arc<str>);

impl InputId {
    /// The one that is begun under an operation id.
    fn of(caller: &Caller, operation: &OperationId) -> Self {
        let hash = Sha256::new()
            .chain_update(format!("{}/{}/", caller.tenant, caller.principal))
            .chain_update(operation.as_str())
            .finalize();
        let digits = hex(&hash[..16]);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
        Self(parts.join("-").into())
    }

    fn path(&self) -> Path {
        Path::of_input(&self.0)
    }
}

impl fmt::Display for InputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InputId {
    type Err = StreamError;

    /// A name that no input can have is that of none.
    fn from_str(text: &str) -> Result<Self, StreamError> {
        let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if text.len() != 36 || !text.bytes().all(plain) {
            return Err(StreamError::NotFound);
        }
        Ok(Self(text.into()))
    }
}

/// An input that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInput {
    /// The path that its stream is to have.
    pub target: Path,
    /// What its rows are; bytes, if nothing is said.
    pub content_type: Option<ContentType>,
    /// When the stream goes, from when it has its path on.
    pub expiry: Expiry,
    /// Whether it is only taken with a digest of its rows.
    pub verified: bool,
}

impl NewInput {
    /// Whether the input that is there, finished or not, is the one that is to
    /// be sent.
    fn is(&self, about: &About) -> bool {
        let content_type = self.content_type.clone().unwrap_or_default();
        let same = match &about.input {
            Some(input) => {
                let same = input.verified == self.verified && input.expiry == self.expiry;
                same && input.target == self.target
            }
            None => about.path == self.target && about.asked == self.expiry,
        };
        same && content_type == about.content_type
    }
}

/// An input as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputView {
    /// Its name.
    pub id: InputId,
    /// The path that its stream is to have, or has.
    pub target: Path,
    /// What its rows are.
    pub content_type: ContentType,
    /// After the last row that came.
    pub tail: Offset,
    /// What became of it.
    pub state: InputState,
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputState {
    /// It can be appended to.
    Open {
        /// Whether it is only taken with a digest of its rows.
        verified: bool,
        /// When it goes unless something is appended before.
        expires: Option<Millis>,
    },
    /// Its stream has its path.
    Finished,
    /// Its rows were not what was sent, and nobody ever sees them.
    Withdrawn(Withdrawn),
}

impl DurableStreams {
    /// Begins an input. It goes a day after the last append, if it is not
    /// finished. Under an operation id it can be repeated for as long as it is
    /// there, and is the same one. Four reads at most, and a commit.
    ///
    /// # Errors
    ///
    /// `Exists` if the target is taken already; `OperationConflict`; `Invalid`.
    pub async fn open_input(
        &self,
        caller: &Caller,
        new: &NewInput,
        operation: Option<&OperationId>,
    ) -> Result<InputView, StreamError> {
        new.expiry.check()?;
        let id = match operation {
            Some(operation) => InputId::of(caller, operation),
            None => InputId(unique_id(self.engine.env.as_ref())?.into()),
        };
        if operation.is_none() || self.look_up(caller, &id.path()).await?.is_none() {
            self.begin_input(caller, &id, new).await?;
        }
        let found = self.find(caller, &id.path()).await?;
        match new.is(&found.about) {
            true => self.input_view(caller, &id, &found).await,
            false => Err(StreamError::OperationConflict),
        }
    }

    /// An input as it is now. Two reads; keeps it from nothing.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn show_input(
        &self,
        caller: &Caller,
        input: &InputId,
    ) -> Result<InputView, StreamError> {
        let found = self.find(caller, &input.path()).await?;
        self.input_view(caller, input, &found).await
    }

    async fn input_view(
        &self,
        caller: &Caller,
        id: &InputId,
        found: &Found,
    ) -> Result<InputView, StreamError> {
        let loaded = self.engine.head(caller, &found.keys).await;
        let head = loaded.map_err(hidden)?.head;
        let about = &found.about;
        let (target, state) = match &about.input {
            None => (&about.path, InputState::Finished),
            Some(input) => match &input.withdrawn {
                Some(withdrawn) => (&input.target, InputState::Withdrawn(withdrawn.clone())),
                None => {
                    let (verified, expires) = (input.verified, head.expires());
                    (&input.target, InputState::Open { verified, expires })
                }
            },
        };
        Ok(InputView {
            id: id.clone(),
            target: target.clone(),
            content_type: about.content_type.clone(),
            tail: head.tail,
            state,
        })
    }

    async fn begin_input(
        &self,
        caller: &Caller,
        id: &InputId,
        new: &NewInput,
    ) -> Result<(), StreamError> {
        if self.is_taken(caller, &new.target).await? {
            return Err(StreamError::Exists);
        }
        let wanted = Wanted {
            content_type: new.content_type.clone(),
            expiry: Expiry::SlidingMs(INPUT_MS),
            ..Wanted::default()
        };
        let input = Input {
            target: new.target.clone(),
            expiry: new.expiry,
            verified: new.verified,
            withdrawn: None,
        };
        match self.make(caller, &id.path(), &wanted, Some(input)).await {
            // Another one was begun meanwhile under the same operation id.
            Err(StreamError::Differs) => Err(StreamError::OperationConflict),
            made => made.map(drop),
        }
    }

    /// Appends to an input, as [`DurableStreams::post`] does to a stream.
    ///
    /// # Errors
    ///
    /// As there; `Closed` after it was withdrawn.
    pub async fn append_input(
        &self,
        caller: &Caller,
        input: &InputId,
        post: &Post,
    ) -> Result<Posted, StreamError> {
        if post.close {
            return Err(StreamError::Invalid {
                field: "close",
                problem: "is not how an input ends",
            });
        }
        self.post(caller, &input.path(), post).await
    }

    /// Ends an input: its stream is closed, and has its path from now on.
    /// `digest` is the SHA-256 of all rows, each as its length in 8 bytes
    /// (big-endian) and its bytes, in lower-case hexadecimal digits. Can be
    /// repeated. Reads all rows.
    ///
    /// # Errors
    ///
    /// `IntegrityMissingDigest`: nothing has changed. `IntegrityFailed`: the
    /// rows of this input are withdrawn, and nobody ever sees them. `Exists` if
    /// the target was taken meanwhile.
    pub async fn finish_input(
        &self,
        caller: &Caller,
        input: &InputId,
        digest: Option<&str>,
    ) -> Result<DurableView, StreamError> {
        let mut lost = 0;
        loop {
            let path = input.path();
            let found = self.find(caller, &path).await?;
            let Some(about) = found.about.input.clone() else {
                // It was finished before: its row says where its stream is.
                let loaded = self.engine.head(caller, &found.keys).await;
                return Ok(view(&found.about, &loaded.map_err(hidden)?.head));
            };
            if let Some(withdrawn) = &about.withdrawn {
                return Err(withdrawn.error());
            }
            if about.verified && digest.is_none() {
                return Err(StreamError::IntegrityMissingDigest);
            }
            if digest.is_some_and(|digest| unhex::<32>(digest).is_none()) {
                return Err(StreamError::Invalid {
                    field: "digest",
                    problem: "has 64 lower-case hexadecimal digits",
                });
            }
            let (loaded, actual) = self.hashed(caller, &found, digest.is_some()).await?;
            let failure = digest.and_then(|digest| compare(digest, &actual, loaded.head.tail));
            let done = match failure {
                Some(withdrawn) => self.withdraw(caller, &found, loaded, withdrawn).await?,
                None => self.publish(caller, &found, loaded, &about).await?,
            };
            if let Some(view) = done {
                return Ok(view);
            }
            lost += 1;
            self.engine.back_off(lost).await?;
        }
    }

    /// Gives up an input, with its rows.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn drop_input(&self, caller: &Caller, input: &InputId) -> Result<(), StreamError> {
        let found = self.find(caller, &input.path()).await?;
        if found.about.input.is_none() {
            return Err(StreamError::NotFound);
        }
        self.remove(caller, &input.path()).await
    }

    async fn is_taken(&self, caller: &Caller, path: &Path) -> Result<bool, StreamError> {
        match self.show(caller, path).await {
            Ok(_) | Err(StreamError::Deleted) => Ok(true),
            Err(StreamError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The head, and the digest of all rows before its tail, if it is wanted.
    async fn hashed(
        &self,
        caller: &Caller,
        found: &Found,
        wanted: bool,
    ) -> Result<(Loaded, String), StreamError> {
        let mut hasher = RowsHasher::new();
        let mut from = if wanted { From::Start } else { From::Now };
        loop {
            let (piece, loaded) = self.piece(caller, found, from, PIECE_BYTES_MAX).await?;
            piece.rows.iter().for_each(|row| hasher.row(row.content()));
            if piece.is_up_to_date() {
                return Ok((loaded, hasher.finish().to_string()));
            }
            from = From::At(piece.next);
        }
    }

    /// Gives the input's stream its path, and closes it; `None` if something
    /// changed meanwhile.
    async fn publish(
        &self,
        caller: &Caller,
        found: &Found,
        loaded: Loaded,
        input: &Input,
    ) -> Result<Option<DurableView>, StreamError> {
        let expect = match self.look_up(caller, &input.target).await? {
            None => Expect::Absent,
            Some(taken) => match self.engine.head(caller, &taken.keys).await {
                Err(StreamError::NotFound | StreamError::Expired) => Expect::Version(taken.version),
                Ok(_) | Err(StreamError::Deleted) => return Err(StreamError::Exists),
                Err(error) => return Err(error),
            },
        };
        let about = About {
            path: input.target.clone(),
            asked: input.expiry,
            input: None,
            sent: Some(found.about.path.clone()),
            ..found.about.clone()
        };
        let target = path_of(&caller.tenant, &caller.principal, input.target.as_str());
        let row = encode(&about);
        let named = Batch::new()
            .check(target.clone(), expect)
            .put(target, row.clone())
            .put(found.keys.about(), row);
        let end = (input.expiry, Ending::Finished);
        let ended = self
            .end(caller, found, loaded, (&about, end), named)
            .await?;
        Ok(ended)
    }

    /// Notes that the rows are not what was sent, and lets nothing follow them.
    async fn withdraw(
        &self,
        caller: &Caller,
        found: &Found,
        loaded: Loaded,
        withdrawn: Withdrawn,
    ) -> Result<Option<DurableView>, StreamError> {
        let error = withdrawn.error();
        let input = found.about.input.clone().map(|input| Input {
            withdrawn: Some(withdrawn),
            ..input
        });
        let about = About {
            input,
            ..found.about.clone()
        };
        let how = Ending::Failed {
            code: "integrity_failed".into(),
            message: "the rows are not what was sent".into(),
        };
        let end = (loaded.head.expiry, how);
        let ended = self.end(caller, found, loaded, (&about, end), Batch::new());
        match ended.await? {
            Some(_) => Err(error),
            None => Ok(None),
        }
    }

    /// One commit that closes the input's stream, with what else there is.
    async fn end(
        &self,
        caller: &Caller,
        found: &Found,
        loaded: Loaded,
        (about, (expiry, how)): (&About, (Expiry, Ending)),
        batch: Batch,
    ) -> Result<Option<DurableView>, StreamError> {
        let Loaded { mut head, version } = loaded;
        let path = path_of(&caller.tenant, &caller.principal, found.about.path.as_str());
        let mut batch = batch
            .check(path.clone(), Expect::Version(found.version))
            .put(path, encode(about))
            .check(found.keys.head(), Expect::Version(version));
        let now: Millis = self.engine.env.now().max(head.at);
        let listed = head.due.take();
        head.at = now;
        head.expiry = expiry;
        head.due = head.expires();
        head.closed = Some(Closed { at: now, how });
        head.rev += 1;
        head.by
            .note(&WriterId::draw(self.engine.env.as_ref())?, head.rev);
        if let Some(due) = listed.filter(|due| head.due != Some(*due)) {
            batch = batch.delete(found.keys.due(due));
        }
        if let Some(due) = head.due {
            batch = batch.put(found.keys.due(due), Bytes::new());
        }
        let batch = batch.put(found.keys.head(), encode(&head));
        match self.engine.store.commit(batch).await {
            Ok(Commit::Applied(_)) => Ok(Some(view(about, &head))),
            // The row of the path tells whether it was this one.
            Ok(Commit::Conflict { .. }) => Ok(None),
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is wrong with the rows before `tail`, if they are not what was sent.
fn compare(expected: &str, actual: &str, tail: Offset) -> Option<Withdrawn> {
    let [sent, stored] = [expected, actual].map(|text| unhex::<32>(text).unwrap_or_default());
    if bool::from(sent.ct_eq(&stored)) {
        return None;
    }
    Some(Withdrawn {
        expected: expected.into(),
        actual: actual.into(),
        first: Offset::START,
        tail,
    })
}
