//! The list of promises, the table of their trials, and the macro that makes
//! tests of them.
//!
//! Prints how each trial ended, for the harness that runs the test and whoever
//! reads its output.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::verdict::{Stop, Trial};
use crate::{Broken, Fixture, Outcome};

/// Longest time one trial may take before it counts as hung. A guard, not a
/// measure: no store comes near it.
pub const TRIAL_SECONDS_MAX: u64 = 120;

/// Threads a trial's tasks run on.
const THREADS: usize = 4;

/// One promise of the storage trait, and the trial that would find it broken.
#[derive(Clone, Copy)]
pub struct Promise {
    /// Its number in the contract.
    pub number: u8,
    /// The name of its trial, a sentence.
    pub name: &'static str,
    run: for<'a> fn(&'a mut dyn Fixture) -> BoxFuture<'a, Result<Outcome, Broken>>,
}

impl Promise {
    /// Tries a store. Needs a multi-threaded tokio runtime around it.
    ///
    /// # Errors
    ///
    /// [`Broken`] with what was seen.
    pub async fn check(&self, fixture: &mut dyn Fixture) -> Result<Outcome, Broken> {
        (self.run)(fixture).await
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{} {}", self.number, self.name)
    }
}

/// Calls a macro with the list of all promises, after `$arguments`.
#[doc(hidden)]
#[macro_export]
macro_rules! with_promises {
    ($callback:ident $arguments:tt) => {
        $crate::$callback! { $arguments
            1 p01_a_committed_put_is_read_back
            2 p02_a_batch_applies_whole_or_not_at_all
            3 p03_absent_refuses_an_existing_key_and_present_a_missing_one
            4 p04_a_stale_version_conflicts_and_writes_nothing
            5 p05_a_version_is_never_reused
            6 p06_keys_sort_as_unsigned_bytes
            7 p07_more_is_exact_in_both_orders_and_under_every_bound
            8 p08_all_pages_of_one_read_show_one_point_in_time
            9 p09_concurrent_increments_lose_nothing
            10 p10_crossed_checks_never_both_apply
            11 p11_what_commit_acknowledged_is_there_after_reopening
            12 p12_limits_are_enforced_before_anything_happens
            13 p13_use_after_close_fails_with_closed
            14 p14_a_dropped_commit_is_applied_or_not_never_half
            15 p15_all_hints_may_be_lost
            16 p16_random_histories_match_the_model
            17 p17_two_processes_never_both_win_one_check
            18 p18_damage_is_refused_and_never_data
            19 p19_an_export_shows_one_point_in_time_whatever_commits
        }
    };
}

/// Makes the public trials and their table.
#[doc(hidden)]
#[macro_export]
macro_rules! promise_table {
    (() $($number:literal $name:ident)*) => {
        /// All promises in the order of their numbers.
        pub const PROMISES: [Promise; 19] = [
            $(Promise { number: $number, name: stringify!($name), run: |fixture| $name(fixture).boxed() },)*
        ];

        $(
            #[doc = concat!("Tries P", stringify!($number), ": `", stringify!($name), "`.")]
            ///
            /// # Errors
            ///
            /// [`Broken`] with what was seen.
            pub async fn $name(fixture: &mut dyn Fixture) -> Result<Outcome, Broken> {
                judge($number, $crate::promises::$name(fixture)).await
            }
        )*
    };
}

crate::with_promises!(promise_table());

pub(crate) async fn judge(
    promise: u8,
    trial: impl Future<Output = Trial>,
) -> Result<Outcome, Broken> {
    judge_within(Duration::from_secs(TRIAL_SECONDS_MAX), promise, trial).await
}

async fn judge_within(
    limit: Duration,
    promise: u8,
    trial: impl Future<Output = Trial>,
) -> Result<Outcome, Broken> {
    match tokio::time::timeout(limit, trial).await {
        Ok(Ok(())) => Ok(Outcome::Passed),
        Ok(Err(Stop::NotApplicable(reason))) => Ok(Outcome::NotApplicable { reason }),
        Ok(Err(Stop::Broken(detail))) => Err(Broken { promise, detail }),
        Err(_) => {
            let detail = format!("a call did not return within {limit:?}");
            Err(Broken { promise, detail })
        }
    }
}

/// Runs one trial on a runtime of its own, and panics with a message that
/// names the promise if it is broken, or does not apply without that having
/// been declared, or was declared not to apply and does.
///
/// What [`conformance!`](crate::conformance) puts into each test.
#[doc(hidden)]
#[track_caller]
pub fn assert_kept(number: u8, mut fixture: impl Fixture, not_applicable: &[u8]) {
    let promise = PROMISES[usize::from(number) - 1];
    let outcome = block_on(promise.check(&mut fixture));
    tell(number, &outcome);
    if let Some(objection) = objection(number, outcome, not_applicable.contains(&number)) {
        panic!("{objection}");
    }
}

/// Says how a trial ended, in a line that a program can collect: a test that
/// passed does not show whether the promise was kept or does not apply.
#[expect(
    clippy::print_stdout,
    reason = "the harness catches what a test prints, and nothing else"
)]
fn tell(number: u8, outcome: &Result<Outcome, Broken>) {
    let (result, why) = match outcome {
        Ok(Outcome::Passed) => ("passed", ""),
        Ok(Outcome::NotApplicable { reason }) => ("n/a", reason.as_str()),
        Err(broken) => ("broken", broken.detail.as_str()),
    };
    let why = why.lines().next().unwrap_or_default();
    println!("conformance P{number} {result} {why}");
}

/// What is wrong with an outcome; `declared` says that the promise was said
/// not to apply.
fn objection(number: u8, outcome: Result<Outcome, Broken>, declared: bool) -> Option<String> {
    match outcome {
        Err(broken) => Some(broken.to_string()),
        Ok(Outcome::Passed) if declared => {
            Some(format!("P{number} applies, but was declared not to"))
        }
        Ok(Outcome::NotApplicable { reason }) if !declared => Some(format!(
            "P{number} does not apply ({reason}), and was not declared so"
        )),
        Ok(_) => None,
    }
}

/// Runs a future on a new multi-threaded runtime, as the suite's tests do.
///
/// # Panics
///
/// If the operating system has no threads to give.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(THREADS).enable_all().build();
    runtime
        .expect("a test machine has threads for a runtime")
        .block_on(future)
}

/// Makes one test for each promise of the contract.
///
/// `conformance!(fixture)` takes an expression that makes a [`Fixture`]; it is
/// evaluated once for each test. Promises that a store cannot break are
/// declared by number, so that none drops out unnoticed:
/// `conformance!(fixture, not_applicable: [11, 17])`.
///
/// A failing test says which promise is broken: `P7 broken: …`.
///
/// ```text
/// // tests/it/conformance.rs of a store
/// windlass_store_testing::conformance!(FileFixture::new());
/// ```
#[macro_export]
macro_rules! conformance {
    ($fixture:expr $(, not_applicable: [$($absent:literal),* $(,)?])? $(,)?) => {
        $crate::with_promises!(conformance_tests(($fixture) [$($($absent),*)?]));
    };
}

/// Makes the tests of [`conformance!`](crate::conformance).
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ((($fixture:expr) $absent:tt) $($number:literal $name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::suite::assert_kept($number, $fixture, &$absent);
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_hangs_is_a_broken_promise() {
        let hung = block_on(judge_within(Duration::ZERO, 14, std::future::pending()));
        let detail = "a call did not return within 0ns".to_owned();
        assert_eq!(
            hung,
            Err(Broken {
                promise: 14,
                detail
            })
        );
    }

    #[test]
    fn an_outcome_must_be_the_declared_one() {
        let excused = || {
            Ok(Outcome::NotApplicable {
                reason: "no file".to_owned(),
            })
        };
        let broken = || {
            Err(Broken {
                promise: 11,
                detail: "lost".to_owned(),
            })
        };
        let cases = [
            (Ok(Outcome::Passed), false, None),
            (excused(), true, None),
            (
                Ok(Outcome::Passed),
                true,
                Some("P11 applies, but was declared not to"),
            ),
            (
                excused(),
                false,
                Some("P11 does not apply (no file), and was not declared so"),
            ),
            (broken(), false, Some("P11 broken: lost")),
            (broken(), true, Some("P11 broken: lost")),
        ];
        for (outcome, declared, expected) in cases {
            let shown = format!("{outcome:?}, declared {declared}");
            assert_eq!(
                objection(11, outcome, declared).as_deref(),
                expected,
                "{shown}"
            );
        }
    }
}
