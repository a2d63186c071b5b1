//! How upkeep stands, as the store has it: for every process alike.

use std::collections::BTreeMap;

use serde::Serialize;
use windlass_core::Millis;
use windlass_store::key::segments;
use windlass_store::{Entry, Scan, StoreExt};

use super::clock::Look;
use super::due::{DueWork, Overdue};
use super::error::MaintenanceError;
use super::lease::SKEW_MS;
use super::record::{self, ClockRow, LeaseRow, RoundsRow, TaskRow, decode, is_damage};
use super::report::{RoundReport, TaskReport};
use super::table::TASKS;
use crate::Windlass;

/// Who does upkeep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Holder {
    /// What it calls itself: 32 hexadecimal digits, anew with each start.
    pub id: String,
    /// The number of its process.
    pub pid: u32,
    /// How often the lease has changed hands.
    pub generation: u64,
    /// Since when it has the lease.
    pub since: Millis,
    /// When the lease ends unless it is renewed.
    pub until: Millis,
    /// Whether it has not ended yet, the difference of clocks allowed for.
    pub alive: bool,
    /// When it begins its next round.
    pub next_round: Millis,
}

/// How one task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TaskStatus {
    /// What it is called.
    pub task: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What is due and not done.
    pub overdue: Overdue,
    /// What it did last, when its turn came and there was something to do.
    pub last: Option<TaskReport>,
    /// What it did last when somebody asked for it.
    pub by_hand: Option<TaskReport>,
    /// How often in a row it has failed.
    pub failures: u32,
    /// Not before then it is tried again.
    pub next_try: Option<Millis>,
}

/// How upkeep stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MaintenanceStatus {
    /// What time it is.
    pub now: Millis,
    /// Who does it; `None` if nobody ever did, or the last one gave it back.
    pub holder: Option<Holder>,
    /// The latest time that the store has seen.
    pub mark: Option<Millis>,
    /// Why the clock of this process is refused, if it is.
    pub clock_refused: Option<String>,
    /// Every task, in the order of their turns.
    pub tasks: Vec<TaskStatus>,
    /// Whether there may be more due than was counted.
    pub overdue_more: bool,
    /// The last rounds, at most 32, the newest first.
    pub rounds: Vec<RoundReport>,
    /// Records of these that cannot be read, with the reason.
    pub unreadable: BTreeMap<String, String>,
}

/// Reads how upkeep stands now.
pub(super) async fn read(windlass: &Windlass) -> Result<MaintenanceStatus, MaintenanceError> {
    let (store, now) = (&**windlass.store(), windlass.env().now());
    let due = DueWork::count(store, now).await?;
    let mut status = MaintenanceStatus {
        now,
        holder: None,
        mark: None,
        clock_refused: None,
        tasks: TASKS.map(|task| blank(&task, &due)).to_vec(),
        overdue_more: due.more,
        rounds: Vec::new(),
        unreadable: BTreeMap::new(),
    };
    match store.scan_all(record::all()).await {
        Err(error) if is_damage(&error) => status.take_each(windlass).await?,
        rows => rows?
            .iter()
            .for_each(|row| status.take_or_tell(row, windlass)),
    }
    Ok(status)
}

fn blank(task: &super::Task, due: &DueWork) -> TaskStatus {
    TaskStatus {
        task: task.name,
        about: task.about,
        overdue: due.of(task.kinds),
        last: None,
        by_hand: None,
        failures: 0,
        next_try: None,
    }
}

impl MaintenanceStatus {
    /// Adds what rows say that are read one by one, as some are damaged.
    async fn take_each(&mut self, windlass: &Windlass) -> Result<(), MaintenanceError> {
        let store = windlass.store();
        let scan = Scan::new(record::all()).keys();
        let pages = store.read(&[scan]).await?;
        for row in pages.iter().flat_map(|page| &page.entries) {
            match store.get(row.key.clone()).await {
                Err(error) if is_damage(&error) => self.tell(&row.key, &error),
                row => row?.iter().for_each(|row| self.take_or_tell(row, windlass)),
            }
        }
        Ok(())
    }

    fn take_or_tell(&mut self, row: &Entry, windlass: &Windlass) {
        if let Err(error) = self.take(row, windlass) {
            self.tell(&row.key, &error);
        }
    }

    fn tell(&mut self, key: &[u8], error: &dyn std::error::Error) {
        let key = String::from_utf8_lossy(key).into_owned();
        self.unreadable.insert(key, error.to_string());
    }

    /// Adds what one row says.
    fn take(&mut self, row: &Entry, windlass: &Windlass) -> Result<(), MaintenanceError> {
        let segments = segments(&row.key).unwrap_or_default();
        let names: Vec<&str> = segments.iter().skip(2).map(String::as_str).collect();
        match *names {
            ["lease"] => self.holder = holder(decode("lease", row)?, self.now),
            ["clock"] => {
                let clock: ClockRow = decode("clock", row)?;
                self.mark = Some(clock.mark);
                let look = Look {
                    version: row.version,
                    mark: clock.mark,
                    now: self.now,
                    at: windlass.env().monotonic(),
                };
                let refused = windlass.upkeep().look(look).err();
                self.clock_refused = refused.map(|refused| refused.to_string());
            }
            ["rounds"] => {
                let rounds: RoundsRow = decode("rounds", row)?;
                self.rounds = rounds.rounds.into_iter().rev().collect();
            }
            ["task", name] => {
                let kept: TaskRow = decode("task", row)?;
                if let Some(task) = self.task(name) {
                    task.last = Some(kept.report);
                    (task.failures, task.next_try) = (kept.failures, kept.next_try);
                }
            }
            ["hand", name] => {
                let kept: TaskRow = decode("hand", row)?;
                if let Some(task) = self.task(name) {
                    task.by_hand = Some(kept.report);
                }
            }
            // A later version may keep more.
            _ => {}
        }
        Ok(())
    }

    fn task(&mut self, name: &str) -> Option<&mut TaskStatus> {
        self.tasks.iter_mut().find(|task| task.task == name)
    }
}

fn holder(row: LeaseRow, now: Millis) -> Option<Holder> {
    (row.until != Millis::new(0)).then(|| Holder {
        alive: !row.until.plus_ms(SKEW_MS).has_passed(now),
        id: row.holder,
        pid: row.pid,
        generation: row.generation,
        since: row.since,
        until: row.until,
        next_round: row.next_round,
    })
}
