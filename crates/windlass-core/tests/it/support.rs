//! A drive that runs as far as the test lets it, and callers polled by hand.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use windlass_core::{Abandoned, BoxFuture, Combiner, Drive, Env, ManualEnv, Millis};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A drive that answers each request with its double, once it was let through
/// as many gates as its script asks for. A request of [`PANIC`] panics.
#[derive(Debug, Default)]
pub(crate) struct Gated {
    state: Mutex<Gates>,
}

/// The request that makes its run panic.
pub(crate) const PANIC: u64 = u64::MAX;

#[derive(Debug, Default)]
struct Gates {
    runs: Vec<Vec<u64>>,
    run: HashSet<u64>,
    /// How many gates each run has to pass, and how many are open.
    stops: usize,
    open: usize,
    waker: Option<Waker>,
    polling: bool,
}

impl Gated {
    /// A drive whose runs each stop at so many gates.
    pub(crate) fn with_stops(stops: usize) -> Arc<Self> {
        let gated = Self::default();
        lock(&gated.state).stops = stops;
        Arc::new(gated)
    }

    /// What each run so far was given.
    pub(crate) fn runs(&self) -> Vec<Vec<u64>> {
        lock(&self.state).runs.clone()
    }

    /// Whether a run was given `request`.
    pub(crate) fn has_run(&self, request: u64) -> bool {
        lock(&self.state).run.contains(&request)
    }

    /// Opens one more gate and wakes the run that stands before it.
    pub(crate) fn open(&self) {
        let waker = {
            let mut gates = lock(&self.state);
            gates.open += 1;
            gates.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a run stands before a closed gate.
    pub(crate) fn is_held(&self) -> bool {
        lock(&self.state).waker.is_some()
    }

    fn pass(&self, context: &Context<'_>) -> Poll<()> {
        let mut gates = lock(&self.state);
        if gates.open > 0 {
            gates.open -= 1;
            return Poll::Ready(());
        }
        gates.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drive for Gated {
    type Request = u64;
    type Answer = u64;

    fn run(self: Arc<Self>, requests: Vec<u64>) -> BoxFuture<'static, Vec<u64>> {
        let stops = {
            let mut gates = lock(&self.state);
            gates.runs.push(requests.clone());
            gates.run.extend(&requests);
            assert!(!gates.polling, "two runs are under way at once");
            gates.polling = true;
            gates.stops
        };
        Box::pin(async move {
            for _ in 0..stops {
                poll_fn(|context| self.pass(context)).await;
            }
            lock(&self.state).polling = false;
            assert!(!requests.contains(&PANIC), "a run that was asked to panic");
            requests.into_iter().map(|request| request * 2).collect()
        })
    }
}

/// A waker that remembers whether it was woken.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One caller's future, polled by hand.
pub(crate) struct Caller<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    flag: Arc<Flag>,
    submitted: bool,
}

/// A caller of a [`Gated`] drive.
pub(crate) type Doubling<'a> = Caller<'a, Result<u64, Abandoned>>;

/// A caller that was not polled yet; it counts as woken.
pub(crate) fn submit<D: Drive>(
    combiner: &Combiner<D>,
    request: D::Request,
) -> Caller<'_, Result<D::Answer, Abandoned>> {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let future = Box::pin(combiner.submit(request));
    Caller {
        future,
        flag,
        submitted: false,
    }
}

impl<T> Caller<'_, T> {
    /// Polls it, woken or not.
    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.submitted = true;
        self.flag.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.flag));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Whether it was polled before, and so has handed its request in.
    pub(crate) fn is_submitted(&self) -> bool {
        self.submitted
    }

    /// Whether it was woken since its last poll.
    pub(crate) fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::SeqCst)
    }
}

/// Random numbers that follow from a seed.
pub(crate) struct Random(ManualEnv);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ManualEnv::new(seed, Millis::new(0)))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes).expect("a seed never runs dry");
        u64::from_le_bytes(bytes)
    }

    /// A number from 0 up to but not including `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        let end = u64::try_from(end).expect("small");
        usize::try_from(self.next() % end).expect("small")
    }

    pub(crate) fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A seed that is new each time.
pub(crate) fn fresh_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
