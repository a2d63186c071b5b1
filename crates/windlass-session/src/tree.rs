//! A session with all that hangs below it, page by page.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use windlass_core::{Coded, ErrorKind, SessionId};
use windlass_store::Scan;

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{Problem, SessionError};
use crate::keys::{SessionKeys, named};
use crate::limits::{DEPTH_MAX, PASSED_SESSIONS_MAX};
use crate::list::{Unreadable, check_limit};
use crate::view::Session;

/// Children whose names are read at a time.
const CHILDREN_READ: usize = 100;

/// How much of a tree to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeQuery {
    /// At most so many sessions on the page, unreadable ones included: 1 to
    /// 1,000.
    pub limit: usize,
    /// Go on after an earlier page of the same tree.
    pub after: Option<TreeCursor>,
}

impl Default for TreeQuery {
    /// The first 100 sessions, the root among them.
    fn default() -> Self {
        Self {
            limit: 100,
            after: None,
        }
    }
}

/// Where a page of a tree ended: the path to its last session. Opaque; valid
/// for the same tree only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeCursor(Vec<SessionId>);

impl fmt::Display for TreeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, id) in self.0.iter().enumerate() {
            let slash = if place == 0 { "" } else { "/" };
            write!(f, "{slash}{id}")?;
        }
        Ok(())
    }
}

impl FromStr for TreeCursor {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        let bad = || SessionError::invalid("after", Problem::Character);
        let path: Result<Vec<SessionId>, _> = text.split('/').map(str::parse).collect();
        let path = path.map_err(|_| bad())?;
        if path.len() > DEPTH_MAX + 1 {
            return Err(bad());
        }
        Ok(Self(path))
    }
}

/// One session of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeNode {
    /// How many levels below the session that was asked for: 0 to 5.
    pub depth: usize,
    /// The session, as it was when it was read.
    pub session: Session,
}

/// One page of a tree: each session before what is below it, children in the
/// order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreePage {
    /// The sessions.
    pub nodes: Vec<TreeNode>,
    /// Where to go on; `None` at the end.
    pub next: Option<TreeCursor>,
    /// Sessions whose records cannot be read; they are left out, what is below
    /// them is not.
    pub unreadable: Vec<Unreadable>,
}

/// The children of one session that are still to be shown.
struct Level {
    keys: SessionKeys,
    waiting: VecDeque<SessionId>,
    after: Option<SessionId>,
    more: bool,
}

impl Level {
    const fn new(keys: SessionKeys, after: Option<SessionId>) -> Self {
        Self {
            keys,
            waiting: VecDeque::new(),
            after,
            more: true,
        }
    }
}

/// How far a walk through a tree has come.
struct Walk {
    /// The path to the last session that was looked at.
    last: TreeCursor,
    /// Sessions looked at that are not on the page.
    passed: usize,
}

impl Engine {
    /// The tree below `root`; `None` if there is no such session.
    pub(crate) async fn tree(
        &self,
        caller: &Caller,
        root: &SessionId,
        query: &TreeQuery,
    ) -> Result<Option<TreePage>, SessionError> {
        check_limit(query.limit)?;
        let root = SessionKeys::new(&caller.tenant, root);
        let mut page = TreePage::default();
        let mut levels = match &query.after {
            Some(cursor) => levels(&root, cursor)?,
            None => vec![Level::new(root.clone(), None)],
        };
        if query.after.is_none() || caller.only_of().is_some() {
            let Some(session) = self.get(caller, &root).await? else {
                return Ok(None);
            };
            if query.after.is_none() {
                page.nodes.push(TreeNode { depth: 0, session });
            } else {
                self.close_levels(caller, &mut levels).await?;
            }
        }
        let start = TreeCursor(vec![root.id.clone()]);
        let mut walk = Walk {
            last: query.after.clone().unwrap_or(start),
            passed: 0,
        };
        while let Some(level) = levels.last_mut() {
            let Some(id) = self.next_child(level).await? else {
                levels.pop();
                continue;
            };
            let full = page.nodes.len() + page.unreadable.len() == query.limit;
            if full || walk.passed == PASSED_SESSIONS_MAX {
                page.next = Some(walk.last);
                return Ok(Some(page));
            }
            let keys = level.keys.other(&id);
            let path = levels.iter().map(|level| level.keys.id.clone());
            walk.last = TreeCursor(path.chain([id]).collect());
            if self
                .visit_node(caller, &keys, levels.len(), &mut page)
                .await?
            {
                levels.push(Level::new(keys, None));
            } else {
                walk.passed += 1;
            }
        }
        Ok(Some(page))
    }

    /// Leaves out levels below sessions that are out of the caller's reach,
    /// whatever its cursor says.
    async fn close_levels(
        &self,
        caller: &Caller,
        levels: &mut Vec<Level>,
    ) -> Result<(), SessionError> {
        for depth in 1..levels.len() {
            if self.load_for(caller, &levels[depth].keys).await?.is_none() {
                levels.truncate(depth);
                break;
            }
        }
        Ok(())
    }

    /// Shows a session of the tree; `false` if it is out of the caller's
    /// reach, and what is below it with it, or removed meanwhile.
    async fn visit_node(
        &self,
        caller: &Caller,
        keys: &SessionKeys,
        depth: usize,
        page: &mut TreePage,
    ) -> Result<bool, SessionError> {
        match self.get(caller, keys).await {
            Ok(Some(session)) => page.nodes.push(TreeNode { depth, session }),
            Ok(None) => return Ok(false),
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
            Err(_) if !self.may_know(caller, keys).await? => return Ok(false),
            Err(error) => page.unreadable.push(Unreadable {
                id: keys.id.clone(),
                why: error.to_string(),
            }),
        }
        Ok(true)
    }

    async fn next_child(&self, level: &mut Level) -> Result<Option<SessionId>, SessionError> {
        if level.waiting.is_empty() && level.more {
            let mut scan = Scan::new(level.keys.children()).keys().limit(CHILDREN_READ);
            if let Some(after) = &level.after {
                scan = scan.after(&level.keys.child(after));
            }
            let pages = self.store.read(&[scan]).await?;
            let rows = pages.into_iter().next().unwrap_or_default();
            level.more = rows.more;
            level.waiting = rows
                .entries
                .iter()
                .filter_map(|row| named(&row.key))
                .collect();
            level.after = level.waiting.back().cloned();
        }
        Ok(level.waiting.pop_front())
    }
}

/// The levels that are open after the session at the end of the cursor's path.
fn levels(root: &SessionKeys, cursor: &TreeCursor) -> Result<Vec<Level>, SessionError> {
    if cursor.0.first() != Some(&root.id) {
        return Err(SessionError::invalid("after", Problem::Character));
    }
    let below = cursor.0.iter().skip(1).cloned().map(Some).chain([None]);
    let open = cursor.0.iter().zip(below);
    Ok(open
        .map(|(id, after)| Level::new(root.other(id), after))
        .collect())
}
