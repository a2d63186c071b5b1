//! An [`Env`] whose time is moved by its owner and whose randomness comes
//! from a seed. For tests, simulations and replays: equal seeds and equal
//! calls give equal ids and times. Its random bytes are predictable; never
//! use them for secrets.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{BoxFuture, Env, Millis, RandomError};

/// An [`Env`] under the caller's control.
#[derive(Debug)]
pub struct ManualEnv {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Millis,
    monotonic: Duration,
    random: u64,
}

impl ManualEnv {
    /// An environment that starts at `now` and draws its bytes from `seed`.
    #[must_use]
    pub fn new(seed: u64, now: Millis) -> Self {
        let state = State {
            now,
            monotonic: Duration::ZERO,
            random: seed,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Moves both clocks forward.
    pub fn advance_ms(&self, ms: u64) {
        let mut state = self.lock();
        state.now = state.now.plus_ms(ms);
        state.monotonic += Duration::from_millis(ms);
    }

    /// Moves the time of day to `now` if that is later; the monotonic reading
    /// moves along.
    pub fn advance_to(&self, now: Millis) {
        let ms = now.since(self.now());
        self.advance_ms(ms);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Env for ManualEnv {
    fn now(&self) -> Millis {
        self.lock().now
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        let mut state = self.lock();
        for chunk in bytes.chunks_mut(8) {
            let word = split_mix_64(&mut state.random).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }

    /// Moves the clocks to `deadline` and completes at once: whoever sleeps
    /// has nothing else to wait for.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.lock();
        let ahead = deadline.saturating_sub(state.monotonic);
        state.monotonic += ahead;
        let ms = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
        state.now = state.now.plus_ms(ms);
        Box::pin(std::future::ready(()))
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014).
fn split_mix_64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
