//! What callers of a combiner see, one situation at a time.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;
use windlass_core::limits::COMBINED_REQUESTS_MAX;
use windlass_core::{Abandoned, BoxFuture, Combiner, Drive};

use crate::support::{Doubling, Gated, PANIC, submit};

fn small(number: usize) -> u64 {
    u64::try_from(number).expect("small")
}

/// Callers of requests `range`, each polled once.
fn callers(combiner: &Combiner<Gated>, range: std::ops::Range<u64>) -> Vec<Doubling<'_>> {
    range
        .map(|request| {
            let mut caller = submit(combiner, request);
            assert_eq!(caller.poll(), Poll::Pending, "request {request}");
            caller
        })
        .collect()
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let combiner = Combiner::new(Gated::with_stops(0));
    drop(submit(&combiner, 1));
    assert_eq!(combiner.drive().runs(), Vec::<Vec<u64>>::new());
}

#[test]
fn a_lone_request_is_answered_in_one_poll() {
    let combiner = Combiner::new(Gated::with_stops(0));
    assert_eq!(submit(&combiner, 21).poll(), Poll::Ready(Ok(42)));
    assert_eq!(combiner.drive().runs(), [[21]]);
}

#[test]
fn requests_that_wait_share_the_next_run_in_their_order() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let mut callers = callers(&combiner, 1..6);
    combiner.drive().open();
    combiner.drive().open();
    let answers: Vec<_> = callers.iter_mut().map(|caller| caller.poll()).collect();
    let expected: Vec<_> = (1..6).map(|request| Poll::Ready(Ok(request * 2))).collect();
    assert_eq!(answers, expected);
    assert_eq!(combiner.drive().runs(), [vec![1], vec![2, 3, 4, 5]]);
}

#[test]
fn a_run_takes_no_more_than_its_limit_and_the_rest_goes_next() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let waiting = small(COMBINED_REQUESTS_MAX) + 3;
    let mut callers = callers(&combiner, 0..waiting + 1);
    for _ in 0..3 {
        combiner.drive().open();
    }
    for (request, caller) in (0..).zip(&mut callers) {
        assert_eq!(caller.poll(), Poll::Ready(Ok(request * 2)));
    }
    let lengths: Vec<_> = combiner.drive().runs().iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, COMBINED_REQUESTS_MAX, 3]);
}

#[test]
fn only_one_caller_is_woken_to_poll_a_run() {
    let combiner = Combiner::new(Gated::with_stops(2));
    let mut first = submit(&combiner, 0);
    assert_eq!(first.poll(), Poll::Pending);
    let mut waiting = callers(&combiner, 1..9);
    combiner.drive().open();
    assert!(first.is_woken(), "its run wants to be polled");
    assert!(!waiting.iter().any(|caller| caller.is_woken()));
    assert_eq!(first.poll(), Poll::Pending);
    combiner.drive().open();
    assert_eq!(first.poll(), Poll::Ready(Ok(0)));
    combiner.drive().open();
    let woken = waiting.iter().filter(|caller| caller.is_woken()).count();
    assert_eq!(woken, 1, "for the first gate of the second run");
    for caller in &mut waiting {
        assert_eq!(caller.poll(), Poll::Pending);
    }
}

#[test]
fn a_request_withdrawn_before_its_run_is_never_run() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let mut callers = callers(&combiner, 0..4);
    drop(callers.remove(2));
    combiner.drive().open();
    combiner.drive().open();
    let answers: Vec<_> = callers.iter_mut().map(|caller| caller.poll()).collect();
    assert_eq!(answers, [0, 2, 6].map(|answer| Poll::Ready(Ok(answer))));
    assert_eq!(combiner.drive().runs(), [vec![0], vec![1, 3]]);
}

#[test]
fn a_request_whose_run_began_takes_effect_though_nobody_listens() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let mut left = submit(&combiner, 1);
    assert_eq!(left.poll(), Poll::Pending);
    let mut stays = submit(&combiner, 2);
    assert_eq!(stays.poll(), Poll::Pending);
    drop(left);
    combiner.drive().open();
    assert!(stays.is_woken(), "it has to poll the run it is no part of");
    assert_eq!(stays.poll(), Poll::Pending);
    combiner.drive().open();
    assert_eq!(stays.poll(), Poll::Ready(Ok(4)));
    assert_eq!(combiner.drive().runs(), [[1], [2]]);
}

#[test]
fn a_run_that_all_its_callers_left_is_driven_by_the_next_one() {
    let combiner = Combiner::new(Gated::with_stops(1));
    drop(callers(&combiner, 1..2));
    combiner.drive().open();
    let mut next = submit(&combiner, 7);
    assert_eq!(next.poll(), Poll::Pending, "it stands before a gate itself");
    assert_eq!(combiner.drive().runs(), [[1], [7]]);
    combiner.drive().open();
    assert_eq!(next.poll(), Poll::Ready(Ok(14)));
}

#[test]
fn a_caller_that_was_woken_and_leaves_passes_the_duty_on() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let mut woken = submit(&combiner, 1);
    assert_eq!(woken.poll(), Poll::Pending);
    let mut other = submit(&combiner, 2);
    assert_eq!(other.poll(), Poll::Pending);
    combiner.drive().open();
    assert!(woken.is_woken() && !other.is_woken());
    drop(woken);
    assert!(other.is_woken());
}

#[test]
fn a_caller_that_leaves_with_its_answer_starts_the_next_run() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let mut callers = callers(&combiner, 1..3);
    combiner.drive().open();
    assert_eq!(callers[0].poll(), Poll::Ready(Ok(2)));
    assert_eq!(combiner.drive().runs(), [[1], [2]]);
    assert!(combiner.drive().is_held());
}

#[test]
fn a_run_that_panics_abandons_its_own_requests_only() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let mut before = callers(&combiner, 1..2);
    let mut panicking = submit(&combiner, PANIC);
    let mut beside = submit(&combiner, 3);
    assert_eq!(panicking.poll(), Poll::Pending);
    assert_eq!(beside.poll(), Poll::Pending);
    combiner.drive().open();
    combiner.drive().open();
    assert_eq!(before[0].poll(), Poll::Ready(Ok(2)));
    assert_eq!(panicking.poll(), Poll::Ready(Err(Abandoned)));
    assert_eq!(beside.poll(), Poll::Ready(Err(Abandoned)));
    combiner.drive().open();
    assert_eq!(submit(&combiner, 4).poll(), Poll::Ready(Ok(8)));
}

/// Answers only the first request of each run.
struct Forgetful;

impl Drive for Forgetful {
    type Request = u64;
    type Answer = u64;

    fn run(self: Arc<Self>, requests: Vec<u64>) -> BoxFuture<'static, Vec<u64>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            requests.into_iter().take(1).collect()
        })
    }
}

#[tokio::test]
async fn requests_that_a_run_left_unanswered_are_abandoned() {
    let combiner = Combiner::new(Arc::new(Forgetful));
    let answers = tokio::join!(combiner.submit(1), combiner.submit(2), combiner.submit(3),);
    assert_eq!(answers, (Ok(1), Ok(2), Err(Abandoned)));
}

#[test]
fn a_queue_from_which_all_left_is_empty() {
    let combiner = Combiner::new(Gated::with_stops(1));
    let callers = callers(&combiner, 0..50);
    assert_eq!(format!("{combiner:?}"), "Combiner { waiting: 49, .. }");
    drop(callers);
    assert_eq!(format!("{combiner:?}"), "Combiner { waiting: 0, .. }");
}

/// Is pending once, having woken itself.
struct Yielding;

impl Drive for Yielding {
    type Request = u64;
    type Answer = u64;

    fn run(self: Arc<Self>, requests: Vec<u64>) -> BoxFuture<'static, Vec<u64>> {
        Box::pin(async move {
            let mut yielded = false;
            poll_fn(|context| {
                if yielded {
                    return Poll::Ready(());
                }
                yielded = true;
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            requests
        })
    }
}

#[test]
fn a_run_that_is_woken_while_it_is_polled_is_polled_again() {
    let combiner = Combiner::new(Arc::new(Yielding));
    let mut caller = submit(&combiner, 5);
    assert_eq!(caller.poll(), Poll::Pending);
    assert!(caller.is_woken());
    assert_eq!(caller.poll(), Poll::Ready(Ok(5)));
}

/// Waits for a channel of tokio's, as a store does.
struct Waits;

impl Drive for Waits {
    type Request = oneshot::Receiver<u64>;
    type Answer = u64;

    fn run(self: Arc<Self>, requests: Vec<Self::Request>) -> BoxFuture<'static, Vec<u64>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for request in requests {
                answers.push(request.await.expect("its sender has sent"));
            }
            answers
        })
    }
}

/// Tokio's channels are pending, and woken at once, when a task has done much
/// in one turn: polling them again and again within the turn never ends.
#[test]
fn a_run_that_asks_for_a_turn_of_the_executor_gets_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    let combiners: Vec<_> = (0..300).map(|_| Combiner::new(Arc::new(Waits))).collect();
    let mut submitted: Vec<_> = (0..)
        .zip(&combiners)
        .map(|(number, combiner)| {
            let (sender, receiver) = oneshot::channel();
            sender.send(number).expect("the receiver is there");
            Some(combiner.submit(receiver))
        })
        .collect();
    let mut sum = 0;
    runtime.block_on(poll_fn(|context| {
        for place in &mut submitted {
            if let Some(future) = place
                && let Poll::Ready(answer) = std::pin::pin!(future).poll(context)
            {
                sum += answer.expect("a run that ends");
                *place = None;
            }
        }
        match submitted.iter().any(Option::is_some) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }));
    assert_eq!(sum, (0..300).sum::<u64>());
}
