//! Looking on: snapshots are made once for all who look at the same, as long
//! as somebody does, and never more of the time than a twentieth is spent on
//! making them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use windlass::core::TenantId;
use windlass::store::Changes;
use windlass_client::console as wire;

use super::{overview, service};
use crate::app::App;
use crate::auth::Identity;

/// The least time between two snapshots.
const REST_MIN: Duration = Duration::from_millis(500);
/// How much longer than a snapshot takes nothing is done after it.
const REST_TIMES: u32 = 19;
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
    Overview(wire::TenantOverview),
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
                let part = overview::for_verbs(seen.clone(), identity);
                json(&Seen::Overview(part))
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
#[derive(Default)]
struct Mind {
    number: u64,
    revision: u64,
    slow: service::Slow,
    slow_at: Option<Instant>,
    /// Whether something of the tenant has changed since the last look, be it
    /// to be seen in a snapshot or not.
    changed: bool,
}

impl Looking {
    async fn run(self) {
        let mut changes = match &self.subject {
            Subject::Tenant(tenant) => Some(self.app.engine.tenant_changes(tenant)),
            Subject::Service => None,
        };
        let mut mind = Mind::default();
        loop {
            let began = Instant::now();
            mind.revision = self.revision();
            if let Some(seen) = self.look(&mut mind).await {
                self.show(seen, &mut mind);
            }
            sleep_until(Instant::now() + rest(began.elapsed())).await;
            if !self.wait(&mut changes, &mut mind, began).await {
                return;
            }
        }
    }

    async fn look(&self, mind: &mut Mind) -> Option<Seen> {
        let app = &self.app;
        let Subject::Tenant(tenant) = &self.subject else {
            if mind.slow_at.is_none_or(|at| at.elapsed() >= SLOW_AGAIN) {
                mind.slow = service::slow(app).await;
                mind.slow_at = Some(Instant::now());
            }
            let seen = service::look(app, &mind.slow);
            return Some(Seen::Service(Box::new(seen)));
        };
        match overview::look(app, tenant).await {
            Ok(seen) => Some(Seen::Overview(seen)),
            Err(problem) => {
                // What was seen last stays until it can be looked again.
                tracing::debug!(code = problem.code(), "an overview cannot be read");
                None
            }
        }
    }

    fn show(&self, seen: Seen, mind: &mut Mind) {
        let is_known = |latest: &Latest| {
            let latest = latest.as_ref();
            latest.is_some_and(|latest| latest.seen.is_like(&seen))
        };
        // Who is told of a change reads what else is in sight.
        let changed = std::mem::take(&mut mind.changed);
        if !changed && is_known(&self.sender.borrow()) {
            return;
        }
        mind.number += 1;
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
    async fn wait(&self, changes: &mut Option<Changes>, mind: &mut Mind, last: Instant) -> bool {
        let again = match self.subject {
            Subject::Tenant(_) => TENANT_AGAIN,
            Subject::Service => SERVICE_AGAIN,
        };
        loop {
            if self.sender.receiver_count() == 0 && self.ends() {
                return false;
            }
            if self.revision() != mind.revision || last.elapsed() >= again {
                return true;
            }
            let hint = async {
                match changes {
                    Some(changes) => changes.changed().await,
                    None => std::future::pending().await,
                }
            };
            let mut hints_end = false;
            tokio::select! {
                more = hint => match more {
                    true => {
                        mind.changed = true;
                        return true;
                    }
                    false => hints_end = true,
                },
                () = sleep_until(Instant::now() + TICK) => {}
            }
            if hints_end {
                *changes = None;
            }
        }
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

/// For how long nothing is done after a look that took so long.
fn rest(took: Duration) -> Duration {
    REST_MIN.max(took.saturating_mul(REST_TIMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_takes_no_more_than_a_twentieth_of_the_time() {
        for ms in [0, 1, 20, 26, 27, 100, 5_000] {
            let took = Duration::from_millis(ms);
            let rest = rest(took);
            assert!(rest >= REST_MIN, "{ms} ms");
            assert!(took * 20 <= took + rest || took * 20 <= REST_MIN, "{ms} ms");
        }
    }
}
