//! Where marking begins: what the sessions of a lineage keep.
//!
//! A session's rows move while they are read: commits are appended, packed
//! into rows of many, and dropped. Its head is read first, and then its rows
//! in the direction in which they move, single commits before packed ones. So
//! whatever was there when the head was read and is kept throughout is met
//! once at least; and what is committed later rests on that head.
//!
//! A fork takes a commit with it into a session of its own, and the commit may
//! be dropped where it was before that is read. So when everything was read,
//! the members are listed again, until none is met that is new: what is forked
//! from then on was met.

use std::collections::HashMap;

use windlass_core::SessionId;
use windlass_store::{Entry, Page, Scan, Store, Version};

use super::mark::Marks;
use crate::blob::LineageKeys;
use crate::error::CheckpointError;
use crate::find::old_row;
use crate::keys::{StateKeys, last_text};
use crate::record::{self, Record};
use crate::row;
use crate::stored::{Held, StoredNode, log_row, packed_nodes};

/// What is still to be read of the sessions of a lineage.
#[derive(Debug, Default)]
pub(super) struct Roots {
    tasks: Vec<Task>,
    /// The heads that were read.
    heads: HashMap<SessionId, Seen>,
    /// Of each member's row, when it was last listed: it is written when the
    /// session is begun, and never again.
    born: HashMap<SessionId, Version>,
    /// Sessions of the lineage.
    pub(super) members: usize,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Of its head, when it was read.
    version: Version,
    /// Its commits that were met since then.
    commits: u64,
}

#[derive(Debug)]
struct Task {
    stage: Stage,
    /// Whose rows; none for the members.
    keys: Option<StateKeys>,
    scan: Scan,
}

/// Which rows of a session are read; the later ones after the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Members,
    /// Once more, for those that have come since.
    Newcomers,
    Head,
    Logs,
    Olds,
    Nodes,
}

impl Stage {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Head => Some(Self::Logs),
            Self::Logs => Some(Self::Olds),
            Self::Olds => Some(Self::Nodes),
            Self::Members | Self::Newcomers | Self::Nodes => None,
        }
    }

    fn scan(self, keys: &StateKeys) -> Scan {
        match self {
            Self::Members | Self::Newcomers | Self::Head => Scan::point(keys.head()),
            Self::Logs => Scan::new(keys.logs()),
            Self::Olds => Scan::new(keys.olds()),
            Self::Nodes => Scan::new(keys.nodes()),
        }
    }
}

impl Roots {
    /// Begins with the members of a lineage; those whose head has not moved
    /// since they were last read are passed over.
    pub(super) fn begin(&mut self, lineage: &LineageKeys) {
        self.members = 0;
        // The last one is read first, with all that comes of it.
        self.list(lineage, Stage::Newcomers);
        self.list(lineage, Stage::Members);
    }

    fn list(&mut self, lineage: &LineageKeys, stage: Stage) {
        self.tasks.push(Task {
            stage,
            keys: None,
            scan: Scan::new(lineage.members()).keys(),
        });
    }

    /// Whether everything was read.
    pub(super) const fn is_whole(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Commits from which was marked.
    pub(super) fn count(&self) -> u64 {
        self.heads.values().map(|seen| seen.commits).sum()
    }

    /// Reads a page; how many rows that were.
    pub(super) async fn read(
        &mut self,
        store: &dyn Store,
        lineage: &LineageKeys,
        marks: &mut Marks,
    ) -> Result<u64, CheckpointError> {
        let Some(task) = self.tasks.pop() else {
            return Ok(0);
        };
        let pages = store.read(std::slice::from_ref(&task.scan)).await?;
        let page = pages.into_iter().next().unwrap_or_default();
        let rows = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        match &task.keys {
            None => self.add_members(lineage, task.stage, &page),
            Some(keys) => self.add_rows(lineage, task.stage, keys, &page, marks)?,
        }
        if let (true, Some(last)) = (page.more, page.entries.last()) {
            let scan = task.scan.after(&last.key);
            self.tasks.push(Task { scan, ..task });
        }
        Ok(rows.max(1))
    }

    fn add_members(&mut self, lineage: &LineageKeys, stage: Stage, page: &Page) {
        let mut met = Vec::new();
        for entry in &page.entries {
            let session = last_text(&entry.key).and_then(|session| session.parse().ok());
            let Some(session): Option<SessionId> = session else {
                continue;
            };
            let born = self.born.insert(session.clone(), entry.version);
            if stage == Stage::Members || born != Some(entry.version) {
                met.push(session);
            }
        }
        self.members += met.len();
        if stage == Stage::Newcomers && !met.is_empty() {
            self.list(lineage, Stage::Newcomers);
        }
        for session in met {
            let keys = StateKeys::new(&lineage.tenant, &session);
            self.add_task(Stage::Head, keys);
        }
    }

    fn add_task(&mut self, stage: Stage, keys: StateKeys) {
        self.tasks.push(Task {
            stage,
            scan: stage.scan(&keys),
            keys: Some(keys),
        });
    }

    fn add_rows(
        &mut self,
        lineage: &LineageKeys,
        stage: Stage,
        keys: &StateKeys,
        page: &Page,
        marks: &mut Marks,
    ) -> Result<(), CheckpointError> {
        let mut goes_on = !page.more;
        for entry in &page.entries {
            match stage {
                Stage::Members | Stage::Newcomers => {}
                Stage::Head => goes_on = self.add_head(lineage, keys, entry, marks)?,
                Stage::Logs => self.add_log(keys, entry, marks)?,
                Stage::Olds => self.add_olds(keys, entry, marks)?,
                Stage::Nodes => {
                    let text = row::unpack("packed nodes", &entry.value)?;
                    need_nodes(&packed_nodes(&text)?, marks);
                }
            }
        }
        if stage == Stage::Head && page.entries.is_empty() {
            goes_on = false;
        }
        if let (true, Some(next)) = (goes_on, stage.next()) {
            self.add_task(next, keys.clone());
        }
        Ok(())
    }

    /// Whether the rows of the session have to be read.
    fn add_head(
        &mut self,
        lineage: &LineageKeys,
        keys: &StateKeys,
        entry: &Entry,
        marks: &mut Marks,
    ) -> Result<bool, CheckpointError> {
        let version = entry.version;
        let before = self.heads.get(&keys.session);
        if before.is_some_and(|seen| seen.version == version) {
            return Ok(false);
        }
        let commits = 0;
        self.heads
            .insert(keys.session.clone(), Seen { version, commits });
        let head = record::head(&entry.value)?;
        if *head.lineage != *lineage.lineage {
            return Ok(false);
        }
        if head.removed.is_none() {
            marks.need_points(&head.points);
        }
        Ok(true)
    }

    fn add_log(
        &mut self,
        keys: &StateKeys,
        entry: &Entry,
        marks: &mut Marks,
    ) -> Result<(), CheckpointError> {
        let text = row::unpack("commit", &entry.value)?;
        let row = log_row(&text)?;
        self.add_record(keys, &row.record, marks);
        need_nodes(&row.nodes, marks);
        Ok(())
    }

    fn add_olds(
        &mut self,
        keys: &StateKeys,
        entry: &Entry,
        marks: &mut Marks,
    ) -> Result<(), CheckpointError> {
        for record in old_row(entry)?.records {
            self.add_record(keys, &record, marks);
        }
        Ok(())
    }

    fn add_record(&mut self, keys: &StateKeys, record: &Record, marks: &mut Marks) {
        if let Some(seen) = self.heads.get_mut(&keys.session) {
            seen.commits += 1;
        }
        marks.need_points(&record.points);
    }
}

fn need_nodes(nodes: &[StoredNode<'_>], marks: &mut Marks) {
    for node in nodes {
        if let Held::Blob(id, _) = node.held {
            marks.need(id);
        }
    }
}
