//! Waiting after lost races.
//!
//! Who loses a race for a record reads it again and tries once more. Several
//! that do so at once would lose to each other for ever; each waiting for a
//! while of its own spreads them. Nobody sleeps on a clock of its own: the
//! while is one of the [`Env`].

use std::time::Duration;

use crate::{Env, RandomError};

/// Races that may be lost before anybody waits: most are lost once.
const AT_ONCE: u32 = 1;
/// The longest wait after one lost race, doubled with each further one.
const WAIT_US: u64 = 250;
/// Times it is doubled at most: 64 ms.
const DOUBLINGS_MAX: u32 = 8;

/// Waits a random while, evenly drawn, after `lost` races in a row: not at all
/// after the first, then up to 1 ms, twice as long with each further one, and
/// up to 64 ms from the eighth on.
///
/// How many may be lost before it is time to give up is for the caller to say.
///
/// # Errors
///
/// [`RandomError`] if the random generator failed.
pub async fn back_off(env: &dyn Env, lost: u32) -> Result<(), RandomError> {
    if lost <= AT_ONCE {
        return Ok(());
    }
    let mut random = [0; 2];
    env.random(&mut random)?;
    let ceiling_us = WAIT_US << lost.min(DOUBLINGS_MAX);
    let wait_us = u64::from(u16::from_le_bytes(random)) * ceiling_us / u64::from(u16::MAX);
    let deadline = env.monotonic() + Duration::from_micros(wait_us);
    env.sleep_until(deadline).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::{ManualEnv, Millis};

    /// The longest of many waits, in microseconds; nobody has to wait really.
    fn longest_us(lost: u32) -> u128 {
        let env = ManualEnv::new(3, Millis::new(1));
        let waits = (0..500).map(|_| {
            let before = env.monotonic();
            let mut waiting = pin!(back_off(&env, lost));
            let done = waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(done, Poll::Ready(Ok(()))), "{done:?}");
            (env.monotonic() - before).as_micros()
        });
        waits.max().expect("many waits")
    }

    #[test]
    fn nobody_waits_after_the_first_lost_race() {
        assert_eq!((longest_us(0), longest_us(1)), (0, 0));
    }

    #[test]
    fn waits_double_with_each_lost_race_up_to_their_maximum() {
        for (lost, ceiling_us) in [(2, 1_000), (3, 2_000), (8, 64_000), (60, 64_000)] {
            let longest = longest_us(lost);
            let expected = ceiling_us * 9 / 10..=ceiling_us;
            assert!(expected.contains(&longest), "{lost} lost: {longest} µs");
        }
    }
}
