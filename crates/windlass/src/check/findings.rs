//! What was found, in words.

use std::collections::BTreeSet;

use serde::Serialize;
use windlass_core::TenantId;

use super::CheckReport;
use super::passes::{is_going, tenant_of};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// What is stored does not fit together.
    Error,
    /// It fits, and something needs attention.
    Warning,
}

/// What can be done about a finding, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Repair {
    /// Its right value follows from the rest; a repair would put it right.
    Possible,
    /// It was put right.
    Done,
    /// Others changed it while it was being put right; check again.
    Raced,
    /// Nothing says what was there.
    None,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is, for programs.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The entry it is about, or empty if it is about none. Never a value.
    pub key: String,
    /// What it is, for people.
    pub what: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Whether a repair can put it right, or did.
    pub repair: Repair,
}

const RESTORE: &str = "restore a backup into a new store; what is there can be exported before";
const REPAIR: &str = "`windlass check --repair` puts it right";

/// Severity, words and advice of each code.
const CODES: &[(&str, Severity, &str, &str)] = &[
    (
        "index_row_missing",
        Severity::Error,
        "a record calls for this row of an index, and there is none",
        REPAIR,
    ),
    (
        "index_row_dangling",
        Severity::Error,
        "no record calls for this row of an index",
        REPAIR,
    ),
    (
        "index_row_differs",
        Severity::Error,
        "this row of an index has another value than its record calls for",
        REPAIR,
    ),
    (
        "count_differs",
        Severity::Error,
        "the record counts other rows than there are",
        REPAIR,
    ),
    (
        "figures_differ",
        Severity::Error,
        "the record's figures are not those of its rows",
        RESTORE,
    ),
    (
        "budget_differs",
        Severity::Error,
        "what a session has spent is not what its events say",
        RESTORE,
    ),
    (
        "rows_missing",
        Severity::Error,
        "rows that this record counts are not there, or there are more",
        RESTORE,
    ),
    (
        "record_missing",
        Severity::Error,
        "there are rows of this record, and it is not there",
        RESTORE,
    ),
    (
        "corrupt_record",
        Severity::Error,
        "the record cannot be understood",
        RESTORE,
    ),
    (
        "unreadable_key",
        Severity::Error,
        "the key of this row means nothing",
        RESTORE,
    ),
    (
        "dangling_reference",
        Severity::Error,
        "the record points at something that is not there",
        RESTORE,
    ),
    (
        "digest_differs",
        Severity::Error,
        "the contents are not those that their digest or name is of",
        RESTORE,
    ),
    (
        "damaged_row",
        Severity::Error,
        "the stored bytes are not those that were written",
        RESTORE,
    ),
    (
        "unreadable_rest",
        Severity::Error,
        "behind this key nothing can be read any more",
        RESTORE,
    ),
    (
        "audit_broken",
        Severity::Error,
        "the audit is not what was written, from this event on",
        "`windlass audit verify` says how; compare it with an export of before",
    ),
    (
        "store_probe_failed",
        Severity::Error,
        "the store does not keep a promise that everything rests on",
        "stop writing to it; look at the disk and the database, then restore a backup",
    ),
    (
        "upkeep_overdue",
        Severity::Warning,
        "upkeep was due more than an hour ago",
        "see that a server with upkeep runs, or `windlass session sweep --yes`",
    ),
    (
        "lease_overdue",
        Severity::Warning,
        "a lease or claim ran out more than an hour ago and was not taken back",
        "see that a server with upkeep runs",
    ),
    (
        "references_unchecked",
        Severity::Warning,
        "records point at more than can be looked at: some of that was not",
        "check tenant by tenant, with `--tenant`",
    ),
    (
        "wal_large",
        Severity::Warning,
        "the write-ahead log has more than 256 MiB",
        "end the reader that holds it: an export, a backup or a copy",
    ),
    (
        "reader_old",
        Severity::Warning,
        "a read has been running for more than an hour",
        "end it: the write-ahead log cannot shrink while it runs",
    ),
];

impl Finding {
    fn new(key: &str, code: &'static str, repair: Repair) -> Self {
        let known = CODES.iter().find(|(name, ..)| *name == code);
        let &(code, severity, what, advice) = known.expect("every code has its words");
        Self {
            code,
            severity,
            key: key.to_owned(),
            what,
            advice,
            repair,
        }
    }
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    max: usize,
    more: u64,
    repaired: u64,
}

impl Findings {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            kept: Vec::new(),
            max,
            more: 0,
            repaired: 0,
        }
    }

    /// Notes what no repair can put right.
    pub(super) fn note(&mut self, key: &str, code: &'static str) {
        self.add(key, code, Repair::None);
    }

    pub(super) fn add(&mut self, key: &str, code: &'static str, repair: Repair) {
        self.repaired += u64::from(repair == Repair::Done);
        if self.kept.len() < self.max {
            self.kept.push(Finding::new(key, code, repair));
        } else {
            self.more += 1;
        }
    }

    /// Leaves out what is about tenants that are being erased.
    pub(super) fn leave_out(&mut self, going: &BTreeSet<TenantId>) {
        let stays = |finding: &Finding| {
            tenant_of(finding.key.as_bytes()).is_none_or(|tenant| !is_going(going, tenant))
        };
        self.kept.retain(stays);
    }

    pub(super) fn count(&self) -> u64 {
        self.more + u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn into_report(self) -> CheckReport {
        let mut findings = self.kept;
        findings.sort_by_key(|finding| finding.severity);
        CheckReport {
            findings,
            more: self.more,
            repaired: self.repaired,
            ..CheckReport::default()
        }
    }
}

/// A key as text: keys of the engine are readable.
pub(super) fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
