//! Arguments that several commands share, and how their words become values.

use clap::Args;
use windlass::checkpoint::At;
use windlass::core::SessionId;

use crate::engine::States;
use crate::failure::{CommandError, Failure};
use crate::session::arguments::id;

/// One session's state.
#[derive(Args, Debug)]
pub(super) struct OneState {
    /// The session
    #[arg(value_name = "SESSION")]
    session: String,
}

impl OneState {
    pub(super) fn id(&self) -> Result<SessionId, Failure> {
        id(&self.session)
    }
}

/// Understands `head`, a revision, or `tag:` and a name.
pub(super) fn at(text: &str) -> Result<At, Failure> {
    if text == "head" {
        return Ok(At::Head);
    }
    if let Some(name) = text.strip_prefix("tag:") {
        return Ok(At::Tag(name.parse()?));
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let revision = text.parse().ok().filter(|_| is_number);
    let word = CommandError::Word {
        word: "AT",
        meant: "`head`, a revision, or `tag:` and the name of a tag",
    };
    Ok(revision.map(At::Revision).ok_or(word)?)
}

/// The revision that is meant; `None` for the head's.
pub(super) async fn revision(
    states: &dyn States,
    session: &SessionId,
    at: &At,
) -> Result<Option<u64>, Failure> {
    Ok(match at {
        At::Head => None,
        At::Revision(revision) => Some(*revision),
        At::Tag(_) => Some(states.snapshot(session, at).await?.commit.revision),
    })
}
