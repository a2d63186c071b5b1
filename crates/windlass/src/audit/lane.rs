//! A lane: the way of events from those who tell them to one sink.
//!
//! Telling takes a lock for as long as it takes to push a pointer, and begins a
//! task where none is under way. That task waits for a moment, so that events
//! share a commit, writes until nothing is left, and ends: an engine that is
//! left alone has no task. Without a runtime nothing is begun, and events wait
//! for [`Lane::flush`].

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use windlass_core::Env;

use super::event::AuditEvent;
use super::limits::{ATTEMPTS_MAX, FLUSH_WAIT_MAX, RETRY_WAIT};
use super::sink::{AuditSink, SinkFailure};
use super::waiting::{AuditFigures, Group, Waiting};

/// The events of one sink.
#[derive(Debug)]
pub(super) struct Lane {
    env: Arc<dyn Env>,
    sink: Arc<dyn AuditSink>,
    linger: Duration,
    waiting: Mutex<Waiting>,
    /// Held by whoever writes.
    pen: tokio::sync::Mutex<()>,
}

impl Lane {
    pub(super) fn new(
        env: Arc<dyn Env>,
        sink: Arc<dyn AuditSink>,
        linger: Duration,
        waiting_max: usize,
    ) -> Self {
        Self {
            env,
            sink,
            linger,
            waiting: Mutex::new(Waiting::new(waiting_max)),
            pen: tokio::sync::Mutex::default(),
        }
    }

    /// Takes an event on its way. Never waits for the sink.
    pub(super) fn tell(self: &Arc<Self>, event: Arc<AuditEvent>) {
        let mut waiting = self.lock();
        waiting.tell(event);
        if waiting.is_driven {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        waiting.is_driven = true;
        drop(waiting);
        // Made before the task is, which a runtime that ends may never poll:
        // whatever becomes of it, the next event begins another.
        let driven = Driven {
            lane: Arc::clone(self),
            ended: false,
        };
        drop(runtime.spawn(driven.drive()));
    }

    pub(super) fn figures(&self) -> AuditFigures {
        self.lock().figures()
    }

    /// Writes all that waits now; a sink that takes long is waited for.
    pub(super) async fn flush(&self) {
        self.write_all().await;
    }

    /// Writes what waits, for a few seconds at most, and takes nothing more.
    pub(super) async fn close(&self) {
        let until = self.env.monotonic().saturating_add(FLUSH_WAIT_MAX);
        let (mut written, mut over) = (pin!(self.write_all()), self.env.sleep_until(until));
        poll_fn(|context| match written.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => over.as_mut().poll(context),
        })
        .await;
        self.lock().close();
    }

    async fn write_all(&self) {
        let _pen = self.pen.lock().await;
        loop {
            let group = self.lock().take(self.env.now());
            let Some(group) = group else { return };
            let mut away = Away {
                lane: self,
                group,
                written: false,
            };
            away.written = self.write(&away.group).await;
        }
    }

    /// Whether the sink took a group, after as many attempts as it asks for.
    async fn write(&self, group: &Group) -> bool {
        let mut wait = RETRY_WAIT;
        for attempt in 1..=ATTEMPTS_MAX {
            match self.write_once(group).await {
                Ok(()) => return true,
                Err(failure) if !failure.again() || attempt == ATTEMPTS_MAX => break,
                Err(_) => {
                    let until = self.env.monotonic().saturating_add(wait);
                    self.env.sleep_until(until).await;
                    wait *= 2;
                }
            }
        }
        false
    }

    async fn write_once(&self, group: &Group) -> Result<(), SinkFailure> {
        // The call as well: a sink may panic before it answers with a future.
        let work = async { self.sink.write(&group.events).await };
        let written = caught(work).await;
        written.unwrap_or_else(|| Err(SinkFailure::never("it panicked")))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group that is being written. Dropped, whoever dropped it, it counts as
/// written or as lost.
struct Away<'a> {
    lane: &'a Lane,
    group: Group,
    written: bool,
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.lane.lock().settle(&self.group, self.written);
    }
}

/// That a task writes what waits.
struct Driven {
    lane: Arc<Lane>,
    ended: bool,
}

impl Driven {
    async fn drive(mut self) {
        let lane = Arc::clone(&self.lane);
        loop {
            let until = lane.env.monotonic().saturating_add(lane.linger);
            lane.env.sleep_until(until).await;
            lane.write_all().await;
            let mut waiting = lane.lock();
            if waiting.is_idle() {
                waiting.is_driven = false;
                self.ended = true;
                return;
            }
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if !self.ended {
            self.lane.lock().is_driven = false;
        }
    }
}

/// What some work answers; `None` if it panicked.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::runtime::{Builder, Runtime};
    use windlass_core::{BoxFuture, ManualEnv, Millis};

    use super::*;

    /// Counts what it is given.
    #[derive(Debug, Default)]
    struct Counting(AtomicU64);

    impl AuditSink for Counting {
        fn write<'a>(
            &'a self,
            events: &'a [Arc<AuditEvent>],
        ) -> BoxFuture<'a, Result<(), SinkFailure>> {
            let more = u64::try_from(events.len()).expect("few");
            self.0.fetch_add(more, Ordering::SeqCst);
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().expect("a runtime")
    }

    fn event() -> Arc<AuditEvent> {
        let chain = "a".parse().expect("a name");
        Arc::new(AuditEvent::new(Millis::new(1), chain, "test.done"))
    }

    #[test]
    fn a_task_that_its_runtime_never_began_leaves_room_for_another() {
        let (env, sink) = (
            ManualEnv::new(1, Millis::new(1)),
            Arc::new(Counting::default()),
        );
        let lane = Arc::new(Lane::new(
            Arc::new(env),
            Arc::clone(&sink) as Arc<dyn AuditSink>,
            Duration::ZERO,
            10,
        ));
        let ending = runtime();
        {
            let _entered = ending.enter();
            lane.tell(event());
        }
        drop(ending);
        assert_eq!(sink.0.load(Ordering::SeqCst), 0, "nobody polled the task");
        runtime().block_on(async {
            lane.tell(event());
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(sink.0.load(Ordering::SeqCst), 2);
    }
}
