//! Hints: merged, bounded, ended.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use windlass_store::limits::SUBSCRIPTIONS_MAX;
use windlass_store::{Batch, ChangeHub, Changes};

/// The next hint if it is there already.
fn now(changes: &mut Changes) -> Poll<bool> {
    pin!(changes.changed()).poll(&mut Context::from_waker(Waker::noop()))
}

fn publish(hub: &ChangeHub, key: &'static str) {
    hub.publish(&Batch::new().put(key, "1").writes);
}

#[test]
fn hints_come_for_keys_below_the_prefix_only() {
    let hub = ChangeHub::new();
    let (mut below, mut beside) = (hub.subscribe(b"acme/"), hub.subscribe(b"acme2/"));
    let mut all = hub.subscribe(b"");
    publish(&hub, "acme/a");
    assert_eq!(now(&mut below), Poll::Ready(true));
    assert_eq!(now(&mut all), Poll::Ready(true));
    assert_eq!(now(&mut beside), Poll::Pending);
    hub.publish(&Batch::new().delete("other").delete("acme2/a").writes);
    assert_eq!(
        now(&mut beside),
        Poll::Ready(true),
        "a delete is a change, in any place"
    );
}

#[test]
fn many_commits_are_one_hint() {
    let hub = ChangeHub::new();
    let mut changes = hub.subscribe(b"acme/");
    for _ in 0..5 {
        publish(&hub, "acme/a");
    }
    assert_eq!(
        [now(&mut changes), now(&mut changes)],
        [Poll::Ready(true), Poll::Pending]
    );
}

#[test]
fn publishing_all_reaches_every_prefix() {
    let hub = ChangeHub::new();
    let mut subscriptions = [hub.subscribe(b"acme/"), hub.subscribe(b"\xff")];
    hub.publish_all();
    assert_eq!(subscriptions.each_mut().map(now), [Poll::Ready(true); 2]);
}

#[test]
fn closing_ends_subscriptions_after_their_last_hint() {
    let hub = ChangeHub::new();
    let (mut hinted, mut idle) = (hub.subscribe(b""), hub.subscribe(b""));
    assert_eq!(now(&mut idle), Poll::Pending);
    publish(&hub, "acme/a");
    assert_eq!(now(&mut idle), Poll::Ready(true));
    hub.close();
    assert_eq!(
        [now(&mut hinted), now(&mut hinted)],
        [Poll::Ready(true), Poll::Ready(false)]
    );
    assert_eq!(now(&mut idle), Poll::Ready(false));
    assert_eq!(
        now(&mut hub.subscribe(b"")),
        Poll::Ready(false),
        "also those that come later"
    );
}

#[test]
fn one_subscription_too_many_is_closed_until_another_is_dropped() {
    let hub = ChangeHub::new();
    let mut kept: Vec<Changes> = (0..SUBSCRIPTIONS_MAX).map(|_| hub.subscribe(b"")).collect();
    assert_eq!(now(&mut hub.subscribe(b"")), Poll::Ready(false));
    assert_eq!(kept.last_mut().map(now), Some(Poll::Pending));
    kept.pop();
    let mut next = hub.subscribe(b"");
    assert_eq!(now(&mut next), Poll::Pending);
    publish(&hub, "acme/a");
    assert_eq!(now(&mut next), Poll::Ready(true));
}

#[test]
fn clones_of_a_hub_are_one_hub() {
    let hub = ChangeHub::new();
    let mut changes = hub.clone().subscribe(b"");
    publish(&hub, "acme/a");
    assert_eq!(now(&mut changes), Poll::Ready(true));
}

#[test]
fn a_silent_subscription_waits_and_is_not_closed() {
    assert_eq!(now(&mut Changes::silent()), Poll::Pending);
}

/// Notes that it was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn whoever_waits_is_woken_by_a_hint_and_by_the_end() {
    for (cause, expected) in [(Cause::Hint, true), (Cause::Close, false)] {
        let hub = ChangeHub::new();
        let mut changes = hub.subscribe(b"");
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let polled = pin!(changes.changed()).poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
        match cause {
            Cause::Hint => publish(&hub, "acme/a"),
            Cause::Close => hub.close(),
        }
        assert!(bell.0.load(Ordering::SeqCst), "{cause:?}");
        assert_eq!(now(&mut changes), Poll::Ready(expected), "{cause:?}");
    }
}

#[derive(Debug)]
enum Cause {
    Hint,
    Close,
}
