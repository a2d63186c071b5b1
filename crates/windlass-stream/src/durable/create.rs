//! Making a stream under a path, or finding the one that is there.

use bytes::Bytes;
use windlass_core::{Format, Millis, StreamId, WriterId, Writers};
use windlass_store::{Batch, Commit, Expect, StoreErrorKind};

use crate::append::put_rows;
use crate::caller::Caller;
use crate::digest::Digest;
use crate::durable::about::{About, ContentType, Input, Path};
use crate::durable::append::check_size;
use crate::durable::body::rows_of;
use crate::durable::fork::Origin;
use crate::durable::{DurableStreams, DurableView, Found, view};
use crate::error::StreamError;
use crate::keys::{StreamKeys, path_of};
use crate::model::{Closed, Ending, Expiry};
use crate::offset::Offset;
use crate::record::{Floor, Head, encode};
use crate::step::seal;

/// A stream that is to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What its rows are: of a fork, what those of its source are; otherwise,
    /// if nothing is said, bytes.
    pub content_type: Option<ContentType>,
    /// When it goes; a fork of which nothing is said goes when its source
    /// would.
    pub expiry: Expiry,
    /// Whether nothing follows what it is made with.
    pub closed: bool,
    /// Its first rows, if it has to be made.
    pub body: Bytes,
    /// Whose rows come before those.
    pub fork: Option<ForkFrom>,
}

/// What a stream is a fork of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkFrom {
    /// The source.
    pub path: Path,
    /// Up to where; if nothing is said, its tail.
    pub offset: Option<Offset>,
    /// How much of what follows the offset is taken, too: so many rows of
    /// JSON, or so many bytes of the next row of anything else.
    pub part: u64,
}

/// The stream that was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Whether it was made now.
    pub created: bool,
    /// The stream.
    pub view: DurableView,
}

impl Wanted {
    fn check(&self) -> Result<(), StreamError> {
        self.expiry.check()?;
        let part = self.fork.as_ref().filter(|fork| fork.offset.is_none());
        if part.is_some_and(|fork| fork.part > 0) {
            return Err(StreamError::Invalid {
                field: "part",
                problem: "needs an offset",
            });
        }
        Ok(())
    }

    /// Whether the stream that is there is the one that is wanted.
    fn is(&self, about: &About, head: &Head) -> bool {
        let content = match (&self.content_type, &self.fork) {
            (Some(wanted), _) => *wanted == about.content_type,
            (None, Some(_)) => true,
            (None, None) => about.content_type == ContentType::default(),
        };
        let fork = match (&self.fork, &about.fork) {
            (None, None) => true,
            (Some(wanted), Some(fork)) => {
                let offset = wanted.offset.is_none_or(|offset| offset == fork.offset);
                offset && wanted.path == fork.path && wanted.part == fork.part
            }
            _ => false,
        };
        content && fork && self.expiry == about.asked && self.closed == head.closed.is_some()
    }
}

impl DurableStreams {
    /// Makes the stream that is wanted, with its first rows, in one commit; or
    /// finds it, as it was made before, and leaves it as it is.
    ///
    /// # Errors
    ///
    /// `Differs` if the path has a stream with other attributes; `Deleted` if
    /// it had one of which there are forks, or if it is to be a fork of such a
    /// one; `NotFound`, `BeyondTail`, `Gap` of a fork's source; `ContentType`
    /// of a fork; `Row`, `Invalid`.
    pub async fn put(
        &self,
        caller: &Caller,
        path: &Path,
        wanted: &Wanted,
    ) -> Result<Put, StreamError> {
        self.make(caller, path, wanted, None).await
    }

    /// The same of a stream that may be an input.
    pub(super) async fn make(
        &self,
        caller: &Caller,
        path: &Path,
        wanted: &Wanted,
        input: Option<Input>,
    ) -> Result<Put, StreamError> {
        wanted.check()?;
        let env = self.engine.env.as_ref();
        let keys = StreamKeys::new(&caller.tenant, &StreamId::unique(env)?);
        let writer = WriterId::draw(env)?;
        let (mut doubt, mut lost) = (None, 0);
        loop {
            let found = self.look_up(caller, path).await?;
            if let Some(found) = &found
                && let Some(view) = self.standing(caller, found, wanted, &keys).await?
            {
                return Ok(Put {
                    created: found.keys == keys,
                    view,
                });
            }
            let mut birth = self.birth(caller, path, wanted, &keys).await?;
            birth.about.input.clone_from(&input);
            let (batch, view) = birth.plan(caller, found.as_ref(), &writer, env.now());
            match self.engine.store.commit(batch).await {
                Ok(Commit::Applied(_)) => {
                    return Ok(Put {
                        created: true,
                        view,
                    });
                }
                Ok(Commit::Conflict { .. }) => {}
                Err(error) if error.kind() == StoreErrorKind::Indeterminate && doubt.is_none() => {
                    doubt = Some(error);
                }
                Err(error) => return Err(doubt.unwrap_or(error).into()),
            }
            lost += 1;
            self.engine.back_off(lost).await?;
        }
    }

    /// The stream that is there, if there is one and it has not expired.
    async fn standing(
        &self,
        caller: &Caller,
        found: &Found,
        wanted: &Wanted,
        own: &StreamKeys,
    ) -> Result<Option<DurableView>, StreamError> {
        match self.engine.head(caller, &found.keys).await {
            Ok(loaded) => {
                let view = view(&found.about, &loaded.head);
                let is_it = found.keys == *own || wanted.is(&found.about, &loaded.head);
                if is_it {
                    Ok(Some(view))
                } else {
                    Err(StreamError::Differs)
                }
            }
            Err(StreamError::NotFound | StreamError::Expired) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn birth(
        &self,
        caller: &Caller,
        path: &Path,
        wanted: &Wanted,
        keys: &StreamKeys,
    ) -> Result<Birth, StreamError> {
        let origin = match &wanted.fork {
            Some(from) => Some(self.origin(caller, from).await?),
            None => None,
        };
        let content_type = match (&wanted.content_type, &origin) {
            (Some(asked), Some(origin)) if *asked != origin.content_type => {
                return Err(StreamError::ContentType);
            }
            (_, Some(origin)) => origin.content_type.clone(),
            (asked, None) => asked.clone().unwrap_or_default(),
        };
        let part = origin.iter().filter_map(|origin| origin.part.clone());
        let rows = rows_of(&content_type, &wanted.body)?;
        let rows: Vec<_> = part.chain(rows).collect();
        check_size(&rows)?;
        Ok(Birth {
            keys: keys.clone(),
            about: About {
                v: Format,
                stream: keys.stream.clone(),
                path: path.clone(),
                content_type,
                asked: wanted.expiry,
                fork: origin.as_ref().map(|origin| origin.fork.clone()),
                input: None,
                sent: None,
            },
            expiry: inherited(wanted.expiry, origin.as_ref()),
            closed: wanted.closed,
            rows: seal(&rows, self.engine.settings().caps())?,
            origin,
        })
    }
}

/// A fork of which nothing is said goes when its source would.
fn inherited(asked: Expiry, origin: Option<&Origin>) -> Expiry {
    match origin {
        Some(origin) if asked.is_never() => origin.expiry,
        _ => asked,
    }
}

/// All that is stored of a stream that is made.
struct Birth {
    keys: StreamKeys,
    about: About,
    expiry: Expiry,
    closed: bool,
    rows: Vec<crate::append::Sealed>,
    origin: Option<Origin>,
}

impl Birth {
    /// The commit that makes it, in place of what is `found`.
    fn plan(
        mut self,
        caller: &Caller,
        found: Option<&Found>,
        writer: &WriterId,
        now: Millis,
    ) -> (Batch, DurableView) {
        let path = path_of(&caller.tenant, &caller.principal, self.about.path.as_str());
        let expect = found.map_or(Expect::Absent, |found| Expect::Version(found.version));
        let about = encode(&self.about);
        let mut head = self.head(caller, writer, now);
        let floor = Floor {
            v: Format,
            earliest: head.tail,
            kept: head.tail,
            digest: head.digest,
        };
        let mut batch = Batch::new()
            .check(path.clone(), expect)
            .put(path, about.clone())
            .check(self.keys.head(), Expect::Absent)
            .put(self.keys.about(), about)
            .put(self.keys.floor(), encode(&floor));
        batch = put_rows(&self.keys, &mut head, &mut self.rows, batch);
        if let Some(origin) = &self.origin {
            batch.append(origin.hold(&self.keys));
        }
        if let Some(due) = head.due {
            batch = batch.put(self.keys.due(due), Bytes::new());
        }
        let batch = batch.put(self.keys.head(), encode(&head));
        (batch, view(&self.about, &head))
    }

    /// The head before there are rows.
    fn head(&self, caller: &Caller, writer: &WriterId, now: Millis) -> Head {
        let mut by = Writers::default();
        by.note(writer, 1);
        let origin = self.origin.as_ref();
        let how = Ending::Finished;
        let mut head = Head {
            v: Format,
            rev: 1,
            principal: caller.principal.clone(),
            session: None,
            created: now,
            at: now,
            read: None,
            tail: origin.map_or(Offset::START, |origin| origin.base),
            digest: origin.map_or(Digest::START, |origin| origin.digest),
            bytes: 0,
            widest: origin.map_or(0, |origin| origin.widest),
            expiry: self.expiry,
            due: None,
            closed: self.closed.then_some(Closed { at: now, how }),
            removing: false,
            deleted: false,
            by,
        };
        head.due = head.expires();
        head
    }
}
