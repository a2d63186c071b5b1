//! Whether what is stored fits together, and putting right what follows from
//! the rest.
//!
//! All entries are read as they were at one point in time and shown to the
//! auditors of the parts, which know what their records call for. Both sides of
//! each link, the record that calls for a row and the row, are added up by
//! their hashes, with opposite signs: where everything fits, every sum is zero,
//! whatever is stored and in whatever order it came. Only where one is not, a
//! second pass finds out which rows it was. So memory is bounded, and a store
//! that is sound costs one pass, or two if records point at others.
//!
//! Each finding about more than one aggregate is looked at again before it is
//! told, at one point in time of its own: others may have changed it meanwhile.
//! So what is read of one tenant and of the index of due work, which are two
//! exports, need not be of one moment.
//!
//! | module | what is in it |
//! |---|---|
//! | `walk` | entries of a range, past those that are damaged |
//! | `route` | whose auditor looks at which entry |
//! | `second` | which links do not fit, as many as memory holds |
//! | `tally` | both sides of all links, added up |
//! | `passes` | what is read how often, and what for |
//! | `look` | one link again, and its repair |
//! | `probe` | whether the store keeps what it promises, on rows of its own |
//! | `findings` | what was found, in words |

mod error;
mod findings;
mod look;
mod passes;
mod probe;
mod route;
mod second;
mod tally;
mod walk;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use windlass_access::{Status, TenantQuery};
use windlass_core::TenantId;

use crate::Windlass;
use crate::audit::{Chain, Verify};

pub use error::CheckFailure;
pub use findings::{Finding, Repair, Severity};

use error::{CheckError, Failed};
use findings::Findings;

/// What of the store is checked, and what is done about what is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// One tenant's entries only; everything if `None`.
    pub tenant: Option<TenantId>,
    /// Whether what follows from the rest is put right.
    pub mode: Mode,
    /// Entries that are read in a second at most; as many as can be if `None`.
    pub rows_per_second: Option<u64>,
    /// How many findings are kept; the others are counted.
    pub findings_max: usize,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            tenant: None,
            mode: Mode::Look,
            rows_per_second: None,
            findings_max: 1_000,
        }
    }
}

/// What is done about a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is told.
    #[default]
    Look,
    /// It is put right where its right value follows from the rest.
    Repair,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// Entries there were.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// How often entries were read.
    pub passes: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What was found, errors first.
    pub findings: Vec<Finding>,
    /// How many more findings there were than are kept.
    pub more: u64,
    /// How many were put right.
    pub repaired: u64,
    /// Tenants that are being erased, which were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub being_erased: Vec<TenantId>,
    /// Why it did not come to its end, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<CheckFailure>,
}

impl CheckReport {
    /// Whether everything was looked at and nothing is left that was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let left = |finding: &Finding| finding.repair != Repair::Done;
        self.failure.is_none() && self.more == 0 && !self.findings.iter().any(left)
    }
}

/// How far a check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The pass, counted from 1.
    pub pass: u64,
    /// Entries read in it.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Findings so far.
    pub findings: u64,
}

/// Hears how far a check is, after each page.
pub type Observe<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Rounds of repairs: what is put right can show what else is to be.
const ROUNDS_MAX: usize = 4;

impl Windlass {
    /// Checks what is stored, and with [`Mode::Repair`] puts right what follows
    /// from the rest: rows of indexes that are missing, wrong or superfluous,
    /// and counts of those. Nothing else is changed, and nothing is guessed.
    /// Safe while others work with the store. A finding is an answer, not an
    /// error.
    ///
    /// A large store needs more time than it gives an export by itself:
    /// [`Options::export_time_max`](crate::Options::export_time_max).
    ///
    /// Where the store fails in another way than by damage, the report has
    /// what was found by then, and the [failure](CheckReport::failure).
    pub async fn check(&self, asked: &Check, observe: Observe<'_>) -> CheckReport {
        let env = self.env();
        let started = env.monotonic();
        let mut report = self.round(asked, observe).await;
        if asked.mode == Mode::Repair {
            for _ in 1..ROUNDS_MAX {
                if report.repaired == 0 || report.failure.is_some() {
                    break;
                }
                let next = self.round(asked, observe).await;
                let done = next.repaired;
                merge(&mut report, next);
                if done == 0 {
                    break;
                }
            }
        }
        let took = env.monotonic().saturating_sub(started);
        report.took_ms = milliseconds(took);
        report
    }

    async fn round(&self, asked: &Check, observe: Observe<'_>) -> CheckReport {
        let (store, env) = (self.store().as_ref(), self.env());
        let mut findings = Findings::new(asked.findings_max);
        let mut failed = Failed::default();
        if asked.tenant.is_none() {
            let probed = probe::probe(store, env.as_ref(), &mut findings).await;
            failed.note(probed);
            self.look_at_health(&mut findings);
        }
        let known = failed.note(self.being_erased().await);
        let mut asked = asked.clone();
        if known.is_none() {
            // What is being erased must not be put back.
            asked.mode = Mode::Look;
        }
        let mut going = known.unwrap_or_default();
        let mut passes = passes::Passes::new(store, env, &asked, &going);
        failed.note(passes.run(&mut findings, observe).await);
        let seen = passes.finish();
        failed.note(self.look_at_chains(&seen.chains, &mut findings).await);
        // An erasure may have begun while it was looked.
        let begun = failed.note(self.being_erased().await);
        going.extend(begun.unwrap_or_default());
        findings.leave_out(&going);
        let overdue = look::overdue(store, env.now(), &asked, &going, &mut findings);
        failed.note(overdue.await);
        let mut report = findings.into_report();
        (report.rows, report.bytes, report.passes) = (seen.rows, seen.bytes, seen.passes);
        let of_asked = |tenant: &TenantId| asked.tenant.as_ref().is_none_or(|of| of == tenant);
        report.being_erased = going.into_iter().filter(of_asked).collect();
        report.failure = failed.0;
        report
    }

    /// The tenants that are being erased. Costs a look at each tenant.
    async fn being_erased(&self) -> Result<BTreeSet<TenantId>, CheckError> {
        let mut going = BTreeSet::new();
        let mut query = TenantQuery {
            limit: 1_000,
            ..TenantQuery::default()
        };
        loop {
            let page = self.tenants().list(&query).await;
            let page = page.map_err(CheckError::Tenants)?;
            let erasing = page.tenants.into_iter();
            let erasing = erasing.filter(|tenant| tenant.status == Status::Erasing);
            going.extend(erasing.map(|tenant| tenant.tenant));
            let Some(next) = page.next else {
                return Ok(going);
            };
            query.after = Some(next);
        }
    }

    /// What the store says of itself.
    fn look_at_health(&self, findings: &mut Findings) {
        const WAL_BYTES_MAX: u64 = 256 * 1_024 * 1_024;
        const READER_MAX: Duration = Duration::from_secs(3_600);
        let Some(health) = self.health() else { return };
        if health.wal_bytes.is_some_and(|bytes| bytes > WAL_BYTES_MAX) {
            findings.note("", "wal_large");
        }
        if health.oldest_reader.is_some_and(|age| age > READER_MAX) {
            findings.note("", "reader_old");
        }
    }

    async fn look_at_chains(
        &self,
        chains: &[Chain],
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        for chain in chains {
            let verified = self
                .audit()
                .verify(chain, Verify::default(), &mut |_, _| ())
                .await
                .map_err(CheckError::Audit)?;
            if let Some(broken) = verified.broken {
                let key = format!("{chain}/audit/event/{:020}", broken.seq);
                findings.note(&key, "audit_broken");
            }
        }
        Ok(())
    }
}

/// What a later round found takes the place of what is no longer so. Where it
/// did not come to its end, what was found before still stands.
fn merge(report: &mut CheckReport, next: CheckReport) {
    let before = std::mem::replace(report, next);
    let failed = report.failure.is_some();
    let found = &report.findings;
    let again = |old: &Finding| {
        found
            .iter()
            .any(|new| (new.code, &new.key) == (old.code, &old.key))
    };
    let kept = before.findings.into_iter();
    let kept = kept.filter(|old| old.repair == Repair::Done || failed && !again(old));
    let kept: Vec<Finding> = kept.collect();
    report.findings.splice(0..0, kept);
    report.passes += before.passes;
    report.repaired += before.repaired;
    if failed {
        report.more = report.more.max(before.more);
        report.rows = report.rows.max(before.rows);
        report.bytes = report.bytes.max(before.bytes);
        let erased = before.being_erased.into_iter();
        let erased: BTreeSet<TenantId> = erased.chain(report.being_erased.drain(..)).collect();
        report.being_erased = erased.into_iter().collect();
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(found: &[(&str, Repair)], failure: Option<CheckFailure>) -> CheckReport {
        let mut findings = Findings::new(100);
        for (key, repair) in found {
            findings.add(key, "index_row_dangling", *repair);
        }
        CheckReport {
            rows: 10,
            failure,
            ..findings.into_report()
        }
    }

    #[test]
    fn a_round_that_failed_forgets_nothing_that_was_found_before() {
        let keys = |report: &CheckReport| {
            let found = report.findings.iter();
            let found: BTreeSet<String> = found.map(|finding| finding.key.clone()).collect();
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        let first = [
            ("a", Repair::Done),
            ("b", Repair::Raced),
            ("c", Repair::None),
        ];
        let next = [("b", Repair::Done)];
        let mut report = round(&first, None);
        merge(&mut report, round(&next, None));
        assert_eq!(keys(&report), "a b", "what is no longer so is not told");
        let error = CheckError::store("read")(windlass_store::StoreError::closed("read"));
        let mut report = round(&first, None);
        merge(&mut report, round(&next, Some(error.into())));
        assert_eq!(keys(&report), "a b c");
        assert_eq!((report.findings.len(), report.repaired), (3, 2));
        assert!(!report.is_clean());
    }
}
