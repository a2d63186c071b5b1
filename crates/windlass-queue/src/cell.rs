//! One session's queue in this process: its callers share commits, and what is
//! known of it is kept for the next ones.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_core::{BoxFuture, Drive, RandomError, Writer};

use crate::draft::Loaded;
use crate::engine::Engine;
use crate::keys::QueueKeys;
use crate::plan::{Ground, Request};
use crate::run::{Reply, Run};

/// One queue as this process remembers it.
#[derive(Debug)]
pub(crate) struct Cell {
    engine: Arc<Engine>,
    keys: QueueKeys,
    writer: Writer,
    guess: Mutex<Option<Arc<Loaded>>>,
}

impl Cell {
    pub(crate) fn new(engine: Arc<Engine>, keys: QueueKeys) -> Result<Self, RandomError> {
        let writer = Writer::draw(engine.env.as_ref())?;
        Ok(Self {
            engine,
            keys,
            writer,
            guess: Mutex::new(None),
        })
    }

    /// What is remembered; an old guess costs a lost race, no more.
    pub(crate) fn remember(&self, loaded: Option<Arc<Loaded>>) {
        let mut guess = self.guess.lock().unwrap_or_else(PoisonError::into_inner);
        let old = mem::replace(&mut *guess, loaded);
        drop(guess);
        drop(old);
    }

    fn guess(&self) -> Option<Arc<Loaded>> {
        self.guess
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drive for Cell {
    type Request = Request;
    type Answer = Reply;

    fn run(self: Arc<Self>, requests: Vec<Request>) -> BoxFuture<'static, Vec<Reply>> {
        Box::pin(async move {
            let mut ground = Ground::new();
            if let Some(guess) = self.guess() {
                ground.insert(self.keys.clone(), Loaded::clone(&guess));
            }
            let mut run = Run::new(&self.engine, &self.writer, ground, &requests);
            let replies = run.finish().await;
            // Where the store was out of reach, too: what was read is a guess
            // as good as any, and who tries again need not begin anew.
            let known = run.ground.remove(&self.keys);
            self.remember(known.map(|loaded| Arc::new(loaded.remembered())));
            replies
        })
    }
}
