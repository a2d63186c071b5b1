//! The commits of a session's state.

use windlass_checkpoint::LogEntry;
use windlass_core::SessionId;
use windlass_session::Caller;
use windlass_stream::{Offset, StreamError};

use super::request::{Pinned, Request, committing};
use super::scanned::{Numbered, Window, row};
use super::{Order, Sources};

impl Sources {
    /// The last commit, and the first and last revision of those that are all
    /// kept.
    pub(super) async fn commits_now(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<(Option<Pinned>, u64, u64), StreamError> {
        let Some((head, _)) = self.head_now(caller, session).await? else {
            return Ok((None, 1, 0));
        };
        let last = head.revision;
        let first = self.first_kept(caller, session).await?;
        Ok((Some(head), first.unwrap_or(last).min(last), last))
    }

    /// The first revision from which on all commits are kept; `None` without a
    /// state.
    async fn first_kept(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<Option<u64>, StreamError> {
        let kept = self.checkpoints.kept(&committing(caller), session).await;
        let kept = kept.map_err(StreamError::of_source)?;
        Ok(kept.map(|kept| *kept.start()))
    }

    /// Commits from revision `low` to revision `high`.
    pub(super) async fn commits(
        &self,
        caller: &Caller,
        request: &Request,
        (low, high): (u64, u64),
    ) -> Result<Window, StreamError> {
        let mut found: Vec<LogEntry> = Vec::new();
        let mut before = high + 1;
        while before > low {
            let limit = usize::try_from(before - low).unwrap_or(usize::MAX);
            let session = request.of.session();
            let by = committing(caller);
            let page = self.checkpoints.log(&by, session, Some(before), limit);
            let page = page.await.map_err(StreamError::of_source)?;
            let page = page.ok_or(StreamError::NotFound)?;
            // Older ones than those that are all kept are there for their tags.
            let commits = page.commits.into_iter();
            for entry in commits.take_while(|entry| entry.revision >= low) {
                if entry.revision + 1 != before {
                    return Err(self.missing(caller, request, before - 1).await);
                }
                before = entry.revision;
                found.push(entry);
            }
            if before > low && page.before.is_none_or(|next| next <= low) {
                return Err(self.missing(caller, request, before - 1).await);
            }
        }
        let numbered = found.iter().rev().map(|entry| {
            Ok(Numbered {
                number: entry.revision,
                kind: "".into(),
                row: row(entry)?,
            })
        });
        Ok(Window {
            rows: numbered.collect::<Result<_, StreamError>>()?,
            until: high,
        })
    }

    /// Why the commit of a revision is missing that was there when the read
    /// was opened: unless it was lost, because it is no longer kept.
    async fn missing(&self, caller: &Caller, request: &Request, revision: u64) -> StreamError {
        let kept = self.first_kept(caller, request.of.session()).await;
        match kept {
            Err(error) => error,
            Ok(None) => StreamError::NotFound,
            Ok(Some(first)) if first <= revision => StreamError::Corrupt {
                record: "log of commits",
                why: format!("commit {revision} is missing"),
            },
            Ok(Some(first)) if request.order == Order::OldestFirst && first <= request.last => {
                let earliest = Offset::new(first - request.first);
                StreamError::Gap { earliest }
            }
            Ok(Some(_)) => StreamError::Expired,
        }
    }

    /// Refuses to go on with a state that is another one, or whose commit that
    /// the read is pinned to is no longer kept.
    pub(super) async fn check_pinned(
        &self,
        caller: &Caller,
        session: &SessionId,
        pinned: &Pinned,
    ) -> Result<(), StreamError> {
        let before = Some(pinned.revision.saturating_add(1));
        let log = self
            .checkpoints
            .log(&committing(caller), session, before, 1)
            .await;
        let log = log.map_err(StreamError::of_source)?;
        let newest = log.ok_or(StreamError::NotFound)?.commits.into_iter().next();
        match newest {
            Some(entry) if entry.revision == pinned.revision && entry.commit == pinned.commit => {
                Ok(())
            }
            Some(_) | None => Err(StreamError::Expired),
        }
    }
}
