//! What the dispatcher was told since it last looked. All of it is a hint:
//! merged, bounded, and lost without harm.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Notify;
use windlass::core::Env;
use windlass::stream::Caller;
use windlass::stream::subscription::Address;

/// Hints that are kept at a time.
const HINTS_MAX: usize = 10_000;

/// Principals without a subscription that are remembered, and for how long:
/// another process may make one for them.
const QUIET_MAX: usize = 10_000;
const QUIET: Duration = Duration::from_secs(1);

/// Paths that were appended to, and subscriptions to look at.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pub(super) paths: HashMap<Caller, HashSet<Arc<str>>>,
    pub(super) subscriptions: HashSet<Address>,
    count: usize,
    /// Whether some were dropped: then everything has to be looked at.
    pub(super) dropped: bool,
}

impl Hints {
    fn has_room(&mut self) -> bool {
        self.dropped |= self.count >= HINTS_MAX;
        !self.dropped
    }
}

#[derive(Debug)]
pub(super) struct Inbox {
    env: Arc<dyn Env>,
    hints: Mutex<Hints>,
    arrived: Notify,
    /// Who has no subscription, and until when that is believed.
    quiet: Cache<Caller, Duration>,
}

impl Inbox {
    pub(super) fn new(env: Arc<dyn Env>) -> Self {
        Self {
            env,
            hints: Mutex::default(),
            arrived: Notify::new(),
            quiet: Cache::new(QUIET_MAX),
        }
    }

    pub(super) fn appended(&self, caller: &Caller, path: &str) {
        let now = self.env.monotonic();
        if self.quiet.get(caller).is_some_and(|until| now < until) {
            return;
        }
        let mut hints = self.lock();
        if hints.has_room() {
            let paths = hints.paths.entry(caller.clone()).or_default();
            if !paths.contains(path) {
                paths.insert(path.into());
                hints.count += 1;
            }
        }
        drop(hints);
        self.arrived.notify_one();
    }

    pub(super) fn nudge(&self, at: &Address) {
        self.quiet.remove(&at.caller);
        let mut hints = self.lock();
        if hints.has_room() && hints.subscriptions.insert(at.clone()) {
            hints.count += 1;
        }
        drop(hints);
        self.arrived.notify_one();
    }

    /// Notes that a principal has no subscription for now.
    pub(super) fn is_quiet(&self, caller: &Caller) {
        let until = self.env.monotonic() + QUIET;
        self.quiet.insert(caller.clone(), until);
    }

    /// Waits until there are hints, unless there are some.
    pub(super) async fn wait(&self) {
        self.arrived.notified().await;
    }

    /// Everything since the last time.
    pub(super) fn take(&self) -> Hints {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use windlass::SystemEnv;

    use super::*;

    fn caller(name: &str) -> Caller {
        let word = "an identifier";
        Caller::new("acme".parse().expect(word), name.parse().expect(word))
    }

    #[test]
    fn hints_are_merged_and_dropped_where_there_is_no_room() {
        let inbox = Inbox::new(Arc::new(SystemEnv::new()));
        for _ in 0..3 {
            inbox.appended(&caller("ann"), "a");
        }
        let hints = inbox.take();
        assert_eq!(
            (hints.paths.len(), hints.count, hints.dropped),
            (1, 1, false)
        );
        for number in 0..=HINTS_MAX {
            inbox.appended(&caller("ann"), &number.to_string());
        }
        let hints = inbox.take();
        assert_eq!((hints.count, hints.dropped), (HINTS_MAX, true));
        assert_eq!(inbox.take().count, 0);
    }

    #[test]
    fn who_has_no_subscription_is_passed_over_until_one_is_made() {
        let inbox = Inbox::new(Arc::new(SystemEnv::new()));
        inbox.is_quiet(&caller("ann"));
        inbox.appended(&caller("ann"), "a");
        inbox.appended(&caller("bob"), "a");
        let hints = inbox.take();
        assert_eq!(hints.paths.into_keys().collect::<Vec<_>>(), [caller("bob")]);
        let at = Address {
            caller: caller("ann"),
            id: "s".parse().expect("an identifier"),
        };
        inbox.nudge(&at);
        inbox.appended(&caller("ann"), "a");
        let hints = inbox.take();
        assert!(hints.paths.contains_key(&caller("ann")), "{hints:?}");
    }
}
