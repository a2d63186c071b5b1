//! Looking on: snapshots are made once for all who look at the same, as long
//! as somebody does, and no more of the time than a twentieth is spent on
//! making them where one takes a quarter of a second or less.
//!
//! That something changed is told meanwhile, with what was seen last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use windlass::core::TenantId;
use windlass::store::Changes;
use windlass_client::console as wire;

use super::{overview, service};
use crate::app::App;
use crate::auth::Identity;

/// The least time between two looks, and between two events.
const REST_MIN: Duration = Duration::from_millis(500);
/// How much longer than a look takes none is taken after it.
const REST_TIMES: u32 = 19;
/// And the most of it: whoever looks on is not to wait for long.
const REST_MAX: Duration = Duration::from_secs(5);
/// For how long a change waits for the look that shows it.
const CHANGE_WAITS: Duration = Duration::from_millis(500);
/// How often hints are taken.
const HEAR: Duration = Duration::from_millis(100);
/// How often it is looked whether there is something new of which no hint
/// comes.
const TICK: Duration = Duration::from_millis(250);
/// After how long a tenant is looked at again without any sign of a change:
/// time passes, and other processes may change what is stored.
const TENANT_AGAIN: Duration = Duration::from_secs(5);
/// And the service, all of whose figures are at hand.
const SERVICE_AGAIN: Duration = Duration::from_secs(1);
/// How old what is read of the store for the service may be.
const SLOW_AGAIN: Duration = Duration::from_secs(10);

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Tenant(TenantId),
    Service,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Overview(Box<wire::TenantOverview>),
    Service(Box<wire::Service>),
}

/// What was seen, and its number among what these who look saw.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) number: u64,
    seen: Seen,
    /// Its form in JSON for those who may see all of it.
    whole: OnceLock<String>,
}

type Latest = Option<Arc<Snapshot>>;

/// Who looks at what. As many as there are streams at most.
#[derive(Debug, Default)]
pub(crate) struct Feeds(Mutex<HashMap<Subject, watch::Sender<Latest>>>);

impl Seen {
    /// Whether it shows the same, looked at at another time.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Overview(one), Self::Overview(other)) => {
                let mut one = one.clone();
                one.at = other.at;
                one == *other
            }
            (Self::Service(one), Self::Service(other)) => {
                let mut one = one.clone();
                one.at = other.at;
                one == *other
            }
            _ => false,
        }
    }
}

impl Snapshot {
    /// The name of its event.
    pub(super) const fn name(&self) -> &'static str {
        match self.seen {
            Seen::Overview(_) => "overview",
            Seen::Service(_) => "service",
        }
    }

    /// What of it is for `identity`.
    pub(super) fn json(&self, identity: &Identity) -> String {
        let whole = || self.whole.get_or_init(|| json(&self.seen)).clone();
        match &self.seen {
            Seen::Overview(seen) if !overview::may_see_all(identity) => {
                let part = overview::for_verbs((**seen).clone(), identity);
                json(&Seen::Overview(Box::new(part)))
            }
            _ => whole(),
        }
    }
}

fn json(seen: &Seen) -> String {
    let text = match seen {
        Seen::Overview(seen) => serde_json::to_string(seen),
        Seen::Service(seen) => serde_json::to_string(seen),
    };
    text.expect("snapshots have a form in JSON")
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, watch::Sender<Latest>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is seen of `subject` from now on. The first who looks has it
    /// looked at.
    pub(super) fn open(&self, app: &Arc<App>, subject: Subject) -> watch::Receiver<Latest> {
        let mut feeds = self.lock();
        if let Some(known) = feeds.get(&subject) {
            return known.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        feeds.insert(subject.clone(), sender.clone());
        let looking = Looking {
            app: Arc::clone(app),
            subject,
            sender,
            mind: Mutex::default(),
            hinted: Notify::new(),
        };
        tokio::spawn(looking.run());
        receiver
    }
}

/// Looks at something as long as anybody wants to know.
struct Looking {
    app: Arc<App>,
    subject: Subject,
    sender: watch::Sender<Latest>,
    mind: Mutex<Mind>,
    /// Wakes who waits for a reason to look.
    hinted: Notify,
}

impl Drop for Looking {
    /// Also if it panicked: whoever looks learns that nothing comes any more.
    fn drop(&mut self) {
        let mut feeds = self.app.console.feeds.lock();
        let is_own = |known: &watch::Sender<Latest>| known.same_channel(&self.sender);
        if feeds.get(&self.subject).is_some_and(is_own) {
            feeds.remove(&self.subject);
        }
    }
}

/// What one keeps in mind from look to look.
#[derive(Debug, Default)]
struct Mind {
    number: u64,
    /// The revision in memory when the last look began, and that of which the
    /// last event told.
    looked: u64,
    told: u64,
    told_at: Option<Instant>,
    /// Whether something of the tenant has changed since the last look began,
    /// be it to be seen in a snapshot or not.
    changed: bool,
    /// Since when there is a change of which no event has told.
    untold_since: Option<Instant>,
}

impl Mind {
    /// Whether a change has waited for long enough to be told without a look.
    fn is_late(&self, now: Instant) -> bool {
        let after = |at: Option<Instant>, time: Duration| at.is_none_or(|at| at + time <= now);
        let waits = self.untold_since;
        waits.is_some() && after(waits, CHANGE_WAITS) && after(self.told_at, REST_MIN)
    }
}

/// What is read of the store for the service, and when it was.
#[derive(Default)]
struct Slow(service::Slow, Option<Instant>);

impl Looking {
    async fn run(self) {
        tokio::select! {
            () = self.look_on() => {}
            () = self.hear_on() => {}
        }
    }

    /// Looks whenever there is a reason to, until nobody wants to know.
    async fn look_on(&self) {
        let mut slow = Slow::default();
        loop {
            let began = Instant::now();
            self.begin();
            let seen = self.look(&mut slow).await;
            let rest = Instant::now() + rest(began.elapsed());
            self.keep_apart().await;
            self.show(seen);
            sleep_until(rest).await;
            if !self.wait(began).await {
                return;
            }
        }
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        let revision = self.revision();
        let mut mind = self.mind();
        (mind.looked, mind.changed) = (revision, false);
    }

    async fn look(&self, slow: &mut Slow) -> Seen {
        let app = &self.app;
        let Subject::Tenant(tenant) = &self.subject else {
            if slow.1.is_none_or(|at| at.elapsed() >= SLOW_AGAIN) {
                *slow = Slow(service::slow(app).await, Some(Instant::now()));
            }
            return Seen::Service(Box::new(service::look(app, &slow.0)));
        };
        match overview::look(app, tenant).await {
            Ok(seen) => Seen::Overview(Box::new(seen)),
            Err(problem) => {
                // What was seen last stays until it can be looked again.
                let mut last = self.last().unwrap_or_else(|| overview::nothing(app));
                last.failed = Some(problem.code().to_owned());
                overview::hear(&mut last, app, tenant);
                Seen::Overview(Box::new(last))
            }
        }
    }

    /// What was seen last of a tenant.
    fn last(&self) -> Option<wire::TenantOverview> {
        match &self.sender.borrow().as_ref()?.seen {
            Seen::Overview(seen) => Some((**seen).clone()),
            Seen::Service(_) => None,
        }
    }

    /// Waits until the last event was long enough ago.
    async fn keep_apart(&self) {
        loop {
            let next = self.mind().told_at.map(|at| at + REST_MIN);
            match next.filter(|next| *next > Instant::now()) {
                Some(next) => sleep_until(next).await,
                None => return,
            }
        }
    }

    fn show(&self, seen: Seen) {
        let is_known = |latest: &Latest| {
            let latest = latest.as_ref();
            latest.is_some_and(|latest| latest.seen.is_like(&seen))
        };
        let mut mind = self.mind();
        mind.told = mind.looked;
        // Who is told of a change reads what else is in sight.
        if mind.untold_since.is_none() && is_known(&self.sender.borrow()) {
            return;
        }
        self.send(seen, &mut mind);
    }

    fn send(&self, seen: Seen, mind: &mut Mind) {
        mind.number += 1;
        mind.untold_since = None;
        mind.told_at = Some(Instant::now());
        self.sender.send_replace(Some(Arc::new(Snapshot {
            number: mind.number,
            seen,
            whole: OnceLock::new(),
        })));
    }

    fn revision(&self) -> u64 {
        match &self.subject {
            Subject::Tenant(tenant) => self.app.engine.activity().revision(tenant),
            Subject::Service => 0,
        }
    }

    /// Waits until there may be something new; `false` once nobody looks.
    async fn wait(&self, last: Instant) -> bool {
        let again = match self.subject {
            Subject::Tenant(_) => TENANT_AGAIN,
            Subject::Service => SERVICE_AGAIN,
        };
        loop {
            if self.sender.receiver_count() == 0 && self.ends() {
                return false;
            }
            let revision = self.revision();
            let is_new = |mind: &Mind| mind.changed || mind.looked != revision;
            if is_new(&self.mind()) || last.elapsed() >= again {
                return true;
            }
            tokio::select! {
                () = self.hinted.notified() => {}
                () = sleep_until(Instant::now() + TICK) => {}
            }
        }
    }

    /// Takes hints, and tells of changes that no look has shown for a while:
    /// it may be under way, or has to rest.
    async fn hear_on(&self) {
        let Subject::Tenant(tenant) = &self.subject else {
            return std::future::pending().await;
        };
        let mut changes = Some(self.app.engine.tenant_changes(tenant));
        loop {
            let next = Instant::now() + HEAR;
            if hint_until(&mut changes, next).await {
                self.note_change();
                sleep_until(next).await;
            }
            self.tell(tenant);
        }
    }

    fn note_change(&self) {
        let mut mind = self.mind();
        mind.changed = true;
        mind.untold_since.get_or_insert_with(Instant::now);
        drop(mind);
        self.hinted.notify_one();
    }

    /// Tells of a change, if one has waited for long enough, with what was seen
    /// last and what is kept in memory.
    fn tell(&self, tenant: &TenantId) {
        let revision = self.revision();
        let mut mind = self.mind();
        if mind.told != revision {
            mind.untold_since.get_or_insert_with(Instant::now);
        }
        if !mind.is_late(Instant::now()) {
            return;
        }
        let Some(mut last) = self.last() else { return };
        overview::hear(&mut last, &self.app, tenant);
        mind.told = revision;
        self.send(Seen::Overview(Box::new(last)), &mut mind);
    }

    /// Ends, unless somebody came meanwhile.
    fn ends(&self) -> bool {
        let mut feeds = self.app.console.feeds.lock();
        let nobody = self.sender.receiver_count() == 0;
        if nobody {
            feeds.remove(&self.subject);
        }
        nobody
    }
}

/// Whether a hint comes until then; without any to come it waits for nothing.
async fn hint_until(changes: &mut Option<Changes>, end: Instant) -> bool {
    let hint = async {
        match changes {
            Some(changes) => changes.changed().await,
            None => std::future::pending().await,
        }
    };
    match timeout_at(end, hint).await {
        Ok(true) => true,
        Ok(false) => {
            *changes = None;
            sleep_until(end).await;
            false
        }
        Err(_) => false,
    }
}

/// For how long none is taken after a look that took so long.
fn rest(took: Duration) -> Duration {
    took.saturating_mul(REST_TIMES).clamp(REST_MIN, REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_takes_no_more_than_a_twentieth_of_the_time_and_is_seen_to_within_seconds() {
        for ms in [0, 1, 20, 26, 27, 100, 263] {
            let took = Duration::from_millis(ms);
            let rest = rest(took);
            assert!(rest >= REST_MIN, "{ms} ms");
            assert!(took * 20 <= took + rest || took * 20 <= REST_MIN, "{ms} ms");
        }
        for took in [Duration::from_secs(1), Duration::MAX] {
            assert_eq!(rest(took), REST_MAX);
        }
    }

    #[test]
    fn a_change_waits_for_a_look_for_a_while_and_events_stay_apart() {
        let ms = |ms| Duration::from_millis(ms);
        let begin = Instant::now() + ms(10_000);
        let mut mind = Mind::default();
        assert!(!mind.is_late(begin), "nothing has changed");
        mind.untold_since = Some(begin);
        assert!(!mind.is_late(begin + CHANGE_WAITS - ms(1)));
        assert!(mind.is_late(begin + CHANGE_WAITS));
        mind.told_at = Some(begin + CHANGE_WAITS - ms(1));
        assert!(!mind.is_late(begin + CHANGE_WAITS));
        assert!(mind.is_late(begin + CHANGE_WAITS + REST_MIN));
    }
}
