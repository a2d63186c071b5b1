//! What is going on in this process: which sessions are used, what is refused
//! and why, counted as it happens and kept in memory alone.
//!
//! Nothing is kept before [`Activity::keep`]; until then an operation costs one
//! look at a flag more. Afterwards each change that a part tells takes a lock
//! for as long as it takes to count it.
//!
//! Bounded: [`TENANTS_MAX`] tenants, those of which nothing was heard for
//! longest are forgotten first, and of each [`SESSIONS_MAX`] sessions and
//! [`REFUSALS_MAX`] kinds of refusal.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_core::{Act, Audit, Detail, Env, Millis, Outcome, TenantId};

/// Tenants of which anything is kept.
pub const TENANTS_MAX: usize = 256;
/// Sessions of a tenant that are kept, those used last that were not told to
/// have ended.
pub const SESSIONS_MAX: usize = 64;
/// Kinds of refusal of a tenant that are kept, those met last.
pub const REFUSALS_MAX: usize = 50;
/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 256;

/// What is counted of all tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// Calls of tools that were granted.
    pub uses: u64,
    /// Operations that a rule refused.
    pub refused: u64,
}

/// A session of which something was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecentSession {
    /// Its id.
    pub id: String,
    /// When it was last heard of.
    pub at: Millis,
    /// Calls of tools that it was granted.
    pub uses: u64,
}

/// A kind of refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// What was asked for, as `session.used`.
    pub action: &'static str,
    /// The error code.
    pub code: &'static str,
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Millis,
    /// The session that was last meant, if one was.
    pub session: Option<String>,
    /// The tool that was last meant, if one was.
    pub tool: Option<String>,
}

/// What is kept of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantActivity {
    /// What is counted of it.
    pub counted: Counted,
    /// Rises with everything that is heard of it.
    pub revision: u64,
    /// The sessions used last, the last first; at most [`SESSIONS_MAX`].
    pub sessions: Vec<RecentSession>,
    /// What was refused, the last first; at most [`REFUSALS_MAX`].
    pub refused: Vec<Refused>,
}

/// The account of one process. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Account>);

#[derive(Debug)]
struct Account {
    env: Arc<dyn Env>,
    is_kept: AtomicBool,
    uses: AtomicU64,
    refused: AtomicU64,
    boards: Mutex<Boards>,
}

#[derive(Debug, Default)]
struct Boards {
    of: HashMap<TenantId, Board>,
    /// Numbers what is heard.
    turn: u64,
    /// Where names are written before it is known whether they are new.
    name: Clipped,
}

#[derive(Debug, Default)]
struct Board {
    counted: Counted,
    /// When it was last heard of, as a number.
    turn: u64,
    sessions: HashMap<String, Seen>,
    refused: HashMap<(&'static str, &'static str), (u64, Refused)>,
}

#[derive(Debug)]
struct Seen {
    turn: u64,
    at: Millis,
    uses: u64,
}

/// Text that takes no more than a name may have.
#[derive(Debug, Default)]
struct Clipped(String);

impl Write for Clipped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = NAME_BYTES_MAX.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        Ok(())
    }
}

impl Clipped {
    fn set(&mut self, shown: &dyn fmt::Display) -> &str {
        self.0.clear();
        let _ = write!(self, "{shown}");
        &self.0
    }
}

impl Activity {
    pub(crate) fn new(env: Arc<dyn Env>) -> Self {
        Self(Arc::new(Account {
            env,
            is_kept: AtomicBool::new(false),
            uses: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            boards: Mutex::default(),
        }))
    }

    /// Keeps account from now on.
    pub fn keep(&self) {
        self.0.is_kept.store(true, Ordering::Relaxed);
    }

    /// What was counted of all tenants since account is kept.
    #[must_use]
    pub fn counted(&self) -> Counted {
        Counted {
            uses: self.0.uses.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    /// A number that changes whenever something is heard of a tenant.
    #[must_use]
    pub fn revision(&self, tenant: &TenantId) -> u64 {
        let boards = self.0.boards();
        boards.of.get(tenant).map_or(0, |board| board.turn)
    }

    /// What is kept of a tenant.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> TenantActivity {
        let boards = self.0.boards();
        boards
            .of
            .get(tenant)
            .map_or_else(Default::default, Board::show)
    }

    /// Counts a refusal that no part told: of who stands before the parts.
    pub fn refused(&self, tenant: &TenantId, action: &'static str, code: &'static str) {
        let act = Act::new(action, Some(tenant), None, &[]);
        self.hear(&act, Outcome::Refused(code));
    }

    pub(crate) fn hears(&self) -> bool {
        self.0.is_kept.load(Ordering::Relaxed)
    }

    pub(crate) fn hear(&self, act: &Act<'_>, outcome: Outcome) {
        let Some(tenant) = act.tenant.filter(|_| self.hears()) else {
            return;
        };
        let account = &self.0;
        let uses = match outcome {
            Outcome::Done => uses_of(act),
            Outcome::Refused(_) | Outcome::Failed(_) => 0,
        };
        account.uses.fetch_add(uses, Ordering::Relaxed);
        if matches!(outcome, Outcome::Refused(_)) {
            account.refused.fetch_add(1, Ordering::Relaxed);
        }
        let at = account.env.now();
        account.boards().hear(tenant, act, outcome, (at, uses));
    }

    /// Drops what is kept of a tenant that was erased.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.0.boards().of.remove(tenant);
    }
}

impl Account {
    fn boards(&self) -> MutexGuard<'_, Boards> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many calls of tools an act stands for.
fn uses_of(act: &Act<'_>) -> u64 {
    let figure = match act.action {
        "session.used" => "calls",
        "turn.committed" => "uses",
        _ => return 0,
    };
    let mut figures = act.figures.iter();
    let found = figures.find(|(name, _)| *name == figure);
    found.map_or(0, |(_, count)| *count)
}

fn subject<'a>(act: &Act<'a>, role: &str) -> Option<&'a dyn fmt::Display> {
    let mut on = act.on.iter();
    on.find(|(known, _)| *known == role).map(|(_, name)| *name)
}

impl Boards {
    fn hear(
        &mut self,
        tenant: &TenantId,
        act: &Act<'_>,
        outcome: Outcome,
        (at, uses): (Millis, u64),
    ) {
        self.turn += 1;
        let (turn, name) = (self.turn, &mut self.name);
        if !self.of.contains_key(tenant) && self.of.len() >= TENANTS_MAX {
            forget_oldest(&mut self.of, |board| board.turn);
        }
        // Looked for first: most are known, and their name need not be copied.
        let board = match self.of.get_mut(tenant) {
            Some(board) => board,
            None => self.of.entry(tenant.clone()).or_default(),
        };
        board.turn = turn;
        board.counted.uses += uses;
        // Whom a refusal speaks of need not be, or not be of use any more.
        if let Some(session) = subject(act, "session").filter(|_| outcome == Outcome::Done) {
            let id = name.set(session);
            match act.action {
                "session.closed" | "session.expired" => _ = board.sessions.remove(id),
                _ => board.note_session(id, turn, (at, uses)),
            }
        }
        if let Outcome::Refused(code) = outcome {
            board.counted.refused += 1;
            board.note_refusal(act, code, turn, at);
        }
    }
}

/// Makes room for one more.
fn forget_oldest<K: Clone + Eq + std::hash::Hash, V>(
    of: &mut HashMap<K, V>,
    turn: impl Fn(&V) -> u64,
) {
    let oldest = of.iter().min_by_key(|(_, value)| turn(value));
    if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
        of.remove(&oldest);
    }
}

impl Board {
    fn note_session(&mut self, id: &str, turn: u64, (at, uses): (Millis, u64)) {
        if let Some(seen) = self.sessions.get_mut(id) {
            (seen.turn, seen.at) = (turn, at);
            seen.uses += uses;
            return;
        }
        if self.sessions.len() >= SESSIONS_MAX {
            forget_oldest(&mut self.sessions, |seen| seen.turn);
        }
        self.sessions.insert(id.to_owned(), Seen { turn, at, uses });
    }

    fn note_refusal(&mut self, act: &Act<'_>, code: &'static str, turn: u64, at: Millis) {
        let name = |role| subject(act, role).map(|name| Clipped::default().set(name).to_owned());
        let kind = (act.action, code);
        let before = self.refused.get(&kind).map_or(0, |(_, known)| known.count);
        if before == 0 && self.refused.len() >= REFUSALS_MAX {
            forget_oldest(&mut self.refused, |(turn, _)| *turn);
        }
        let refused = Refused {
            action: act.action,
            code,
            count: before + 1,
            last_at: at,
            session: name("session"),
            tool: name("tool"),
        };
        self.refused.insert(kind, (turn, refused));
    }

    fn show(&self) -> TenantActivity {
        let mut sessions: Vec<_> = self.sessions.iter().collect();
        sessions.sort_unstable_by_key(|(_, seen)| std::cmp::Reverse(seen.turn));
        let sessions = sessions.into_iter().map(|(id, seen)| RecentSession {
            id: id.clone(),
            at: seen.at,
            uses: seen.uses,
        });
        let mut refused: Vec<_> = self.refused.values().collect();
        refused.sort_unstable_by_key(|(turn, _)| std::cmp::Reverse(*turn));
        TenantActivity {
            counted: self.counted,
            revision: self.turn,
            sessions: sessions.collect(),
            refused: refused.into_iter().map(|(_, kind)| kind.clone()).collect(),
        }
    }
}

/// Hears for the audit, where there is one, and for the account.
#[derive(Debug)]
pub(crate) struct Ears {
    pub(crate) audit: Option<Arc<dyn Audit>>,
    pub(crate) activity: Activity,
}

impl Audit for Ears {
    fn hears(&self, detail: Detail) -> bool {
        let audit = self.audit.as_ref();
        self.activity.hears() || audit.is_some_and(|audit| audit.hears(detail))
    }

    fn record(&self, act: &Act<'_>, outcome: Outcome) {
        if let Some(audit) = &self.audit
            && (outcome != Outcome::Done || audit.hears(act.detail))
        {
            audit.record(act, outcome);
        }
        self.activity.hear(act, outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use windlass_core::ManualEnv;

    use super::*;

    fn kept() -> Activity {
        let activity = Activity::new(Arc::new(ManualEnv::new(1, Millis::new(1_000))));
        activity.keep();
        activity
    }

    fn tenant(name: &str) -> TenantId {
        name.parse().expect("an identifier")
    }

    fn used(activity: &Activity, of: &TenantId, session: &str, outcome: Outcome) {
        let on: [(&'static str, &dyn fmt::Display); 2] =
            [("session", &session), ("tool", &"search")];
        let figures = [("calls", 2)];
        let act = Act::new("session.used", Some(of), None, &on);
        let figures = &figures;
        activity.hear(&Act { figures, ..act }, outcome);
    }

    fn ended(activity: &Activity, of: &TenantId, action: &'static str, session: &str) {
        let on: [(&'static str, &dyn fmt::Display); 1] = [("session", &session)];
        activity.hear(&Act::new(action, Some(of), None, &on), Outcome::Done);
    }

    fn named(of: &TenantActivity) -> Vec<&str> {
        of.sessions.iter().map(|seen| seen.id.as_str()).collect()
    }

    #[test]
    fn what_has_ended_takes_no_place_from_what_runs() {
        let (activity, acme) = (kept(), tenant("acme"));
        used(&activity, &acme, "long", Outcome::Done);
        for number in 0..2 * SESSIONS_MAX {
            let id = format!("s{number}");
            used(&activity, &acme, &id, Outcome::Done);
            let action = ["session.closed", "session.expired"][number % 2];
            ended(&activity, &acme, action, &id);
            used(&activity, &acme, &id, Outcome::Refused("session_closed"));
        }
        assert_eq!(named(&activity.of(&acme)), ["long"]);
        // Whoever was not to close it changed nothing.
        let on: [(&'static str, &dyn fmt::Display); 1] = [("session", &"long")];
        let close = Act::new("session.closed", Some(&acme), None, &on);
        activity.hear(&close, Outcome::Refused("not_found"));
        assert_eq!(named(&activity.of(&acme)), ["long"]);
    }

    #[test]
    fn what_is_granted_and_what_is_refused_is_counted_by_tenant() {
        let (activity, acme, other) = (kept(), tenant("acme"), tenant("other"));
        used(&activity, &acme, "s1", Outcome::Done);
        used(&activity, &acme, "s1", Outcome::Refused("expired"));
        used(&activity, &acme, "s2", Outcome::Refused("expired"));
        used(&activity, &other, "x", Outcome::Failed("indeterminate"));
        let of = activity.of(&acme);
        let both = |uses, refused| Counted { uses, refused };
        assert_eq!((of.counted, activity.counted()), (both(2, 2), both(2, 2)));
        assert_eq!(named(&of), ["s1"]);
        assert_eq!(of.sessions[0].uses, 2);
        let kind = &of.refused[0];
        let meant = (kind.session.as_deref(), kind.tool.as_deref());
        assert_eq!((kind.code, kind.count), ("expired", 2));
        assert_eq!(meant, (Some("s2"), Some("search")));
        assert_eq!(activity.of(&other).counted, both(0, 0));
        assert_ne!(activity.revision(&acme), activity.revision(&other));
    }

    #[test]
    fn nothing_is_kept_before_it_is_asked_for() {
        let activity = Activity::new(Arc::new(ManualEnv::new(1, Millis::new(1_000))));
        let acme = tenant("acme");
        used(&activity, &acme, "s1", Outcome::Done);
        assert_eq!(activity.of(&acme), TenantActivity::default());
        assert_eq!(activity.counted(), Counted::default());
    }

    #[test]
    fn what_is_kept_has_an_end_and_what_is_new_stays() {
        let activity = kept();
        for number in 0..2 * TENANTS_MAX {
            let of = tenant(&format!("t{number}"));
            used(&activity, &of, "s", Outcome::Done);
        }
        assert_eq!(activity.0.boards().of.len(), TENANTS_MAX);
        let last = tenant(&format!("t{}", 2 * TENANTS_MAX - 1));
        for number in 0..2 * SESSIONS_MAX {
            used(&activity, &last, &format!("s{number}"), Outcome::Done);
        }
        let found = activity.of(&last);
        let names: BTreeSet<_> = found.sessions.iter().map(|seen| &seen.id).collect();
        assert_eq!(names.len(), SESSIONS_MAX);
        assert_eq!(found.sessions[0].id, format!("s{}", 2 * SESSIONS_MAX - 1));
        let codes: &[&str] = Box::leak(
            (0..2 * REFUSALS_MAX)
                .map(|number| &*Box::leak(format!("c{number}").into_boxed_str()))
                .collect(),
        );
        for code in codes {
            activity.refused(&last, "access.refused", code);
        }
        let refused = activity.of(&last).refused;
        assert_eq!(refused.len(), REFUSALS_MAX);
        assert_eq!(refused[0].code, codes[2 * REFUSALS_MAX - 1]);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let (activity, acme) = (kept(), tenant("acme"));
        let long = "é".repeat(NAME_BYTES_MAX);
        used(&activity, &acme, &long, Outcome::Done);
        let id = activity.of(&acme).sessions[0].id.clone();
        assert_eq!(id, "é".repeat(NAME_BYTES_MAX / 2));
    }

    #[test]
    fn a_tenant_that_was_erased_leaves_nothing() {
        let (activity, acme) = (kept(), tenant("acme"));
        used(&activity, &acme, "s1", Outcome::Done);
        activity.forget(&acme);
        assert_eq!(activity.of(&acme), TenantActivity::default());
    }
}
