//! What is read how often, and what for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use windlass_core::{Env, TenantId};
use windlass_store::check::Notes;
use windlass_store::key::Key;
use windlass_store::{Entry, KeyRange, Store};

use super::findings::{Findings, shown};
use super::look::{Looker, Stray};
use super::route::Auditors;
use super::second::{Second, Suspects};
use super::tally::{References, Tally};
use super::walk::{Met, Walk};
use super::{Check, CheckError, Observe, Progress};
use crate::audit::Chain;

/// Findings and references that are looked at again one by one, of one pass.
const SUSPECTS_MAX: usize = 100_000;
/// Passes over rows that do not fit, each for as many as fit into memory.
const SECOND_PASSES_MAX: usize = 64;
/// Chains of the audit that are verified.
const CHAINS_MAX: usize = 1_000_000;

/// What was seen on the way.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) passes: u64,
    pub(super) chains: Vec<Chain>,
}

/// All passes of one check.
pub(super) struct Passes<'a> {
    store: &'a dyn Store,
    env: &'a Arc<dyn Env>,
    asked: &'a Check,
    /// Tenants that are being erased.
    going: &'a BTreeSet<TenantId>,
    seen: Seen,
}

impl<'a> Passes<'a> {
    pub(super) fn new(
        store: &'a dyn Store,
        env: &'a Arc<dyn Env>,
        asked: &'a Check,
        going: &'a BTreeSet<TenantId>,
    ) -> Self {
        Self {
            store,
            env,
            asked,
            going,
            seen: Seen::default(),
        }
    }

    pub(super) fn finish(self) -> Seen {
        self.seen
    }

    pub(super) async fn run(
        &mut self,
        findings: &mut Findings,
        observe: Observe<'_>,
    ) -> Result<(), CheckError> {
        let mut first = First {
            tally: Tally::new(),
            references: References::new(0, 1),
            counts: Vec::new(),
            lost: Lost::default(),
        };
        self.pass(Some(findings), &mut first, observe).await?;
        let First {
            tally,
            references,
            counts,
            lost,
        } = first;
        let looker = Looker::new(self.store, self.asked.mode);
        let met = self
            .links(
                (tally.open(), references),
                &lost,
                &looker,
                findings,
                observe,
            )
            .await?;
        if let Some(met) = met {
            self.references(met, &looker, findings, observe).await?;
        }
        for count in &counts {
            looker.count(count, findings).await?;
        }
        Ok(())
    }

    /// Names the rows of indexes that do not fit, pass by pass; the references
    /// that were not met, if there was a pass.
    async fn links(
        &mut self,
        (mut open, references): (HashSet<usize>, References),
        lost: &Lost,
        looker: &Looker<'_>,
        findings: &mut Findings,
        observe: Observe<'_>,
    ) -> Result<Option<References>, CheckError> {
        if open.is_empty() && references.is_empty() {
            return Ok(None);
        }
        let mut met = Some(references);
        let mut left = References::new(0, 1);
        let mut split = false;
        for _ in 0..SECOND_PASSES_MAX {
            let share = met.take().unwrap_or_else(|| References::new(0, 1));
            let first = !share.is_empty();
            let mut pass = Second::new(open, share);
            self.pass(None, &mut pass, observe).await?;
            split |= !pass.later.is_empty();
            let links = (&pass.links, split);
            self.suspects(links, lost, looker, findings).await?;
            if first {
                left = pass.references;
            }
            open = pass.later;
            if open.is_empty() {
                return Ok(Some(left));
            }
        }
        // There is more that is wrong than can be told.
        findings.note("", "index_row_missing");
        Ok(Some(left))
    }

    /// Looks at each suspect again. What belongs to a record that is lost is
    /// what is left of it, and is neither removed nor told one by one. Where
    /// other passes have other suspects, each may be one of several.
    async fn suspects(
        &self,
        (links, split): (&Suspects, bool),
        lost: &Lost,
        looker: &Looker<'_>,
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        let mut traces: BTreeMap<&Bytes, usize> = BTreeMap::new();
        for (row, by) in links {
            if let Some(record) = by.first().filter(|_| !row.starts_with(b"due/")) {
                *traces.entry(record).or_default() += 1;
            }
        }
        let mut told = BTreeSet::new();
        for (row, by) in links {
            let record = by.first().filter(|record| traces.contains_key(record));
            let several = record.is_some_and(|record| split || traces[record] > 1);
            let stray = match (by.iter().any(|record| lost.has(record)), several) {
                (true, _) => Stray::Stays,
                // One row may have been left over; several were of something.
                (false, true) => Stray::StaysAlone,
                (false, false) => Stray::Goes,
            };
            let alone = looker.link(row, by, stray, findings).await?;
            if let (true, Stray::StaysAlone, Some(record)) = (alone, stray, record)
                && told.insert(record)
            {
                findings.note(&shown(record), "record_missing");
            }
        }
        Ok(())
    }

    /// Names the records that point at nothing: at once if what they point at
    /// fitted into memory, or else share by share, with three passes for each.
    async fn references(
        &mut self,
        met: References,
        looker: &Looker<'_>,
        findings: &mut Findings,
        observe: Observe<'_>,
    ) -> Result<(), CheckError> {
        if !met.is_full() {
            return self.unmet(met, looker, findings, observe).await;
        }
        let (shares, mut full) = (met.shares(), false);
        drop(met);
        for share in 0..shares {
            let references = References::new(share, shares);
            let mut gather = Second::new(HashSet::new(), references);
            gather.gathers = true;
            self.pass(None, &mut gather, observe).await?;
            gather.gathers = false;
            self.pass(None, &mut gather, observe).await?;
            full |= gather.references.is_full();
            self.unmet(gather.references, looker, findings, observe)
                .await?;
        }
        if full {
            findings.note("", "references_unchecked");
        }
        Ok(())
    }

    /// Names the records that point at these, which were not met.
    async fn unmet(
        &mut self,
        references: References,
        looker: &Looker<'_>,
        findings: &mut Findings,
        observe: Observe<'_>,
    ) -> Result<(), CheckError> {
        if references.is_empty() {
            return Ok(());
        }
        let mut third = Third {
            references,
            from: BTreeMap::new(),
        };
        self.pass(None, &mut third, observe).await?;
        for ((from, to), ()) in &third.from {
            looker.reference(from, to, findings).await?;
        }
        Ok(())
    }

    /// Shows every entry to its auditor, and `notes` what they say.
    async fn pass<N: Pass>(
        &mut self,
        mut damage: Option<&mut Findings>,
        notes: &mut N,
        observe: Observe<'_>,
    ) -> Result<(), CheckError> {
        self.seen.passes += 1;
        let mut progress = Progress {
            pass: self.seen.passes,
            ..Progress::default()
        };
        let started = self.env.monotonic();
        let mut auditors = Auditors::new();
        for range in ranges(self.asked.tenant.as_ref()) {
            let mut walk = Walk::new(self.store, range);
            while let Some(met) = walk.next().await? {
                match (met, &mut damage) {
                    (Met::Entries(entries), _) => {
                        for entry in &entries {
                            self.take(entry, &mut auditors, notes, &mut progress);
                        }
                    }
                    (Met::Damaged(key), Some(findings)) => {
                        findings.note(&shown(&key), "damaged_row");
                    }
                    (Met::Lost(key), Some(findings)) => {
                        findings.note(&shown(&key), "unreadable_rest");
                    }
                    _ => {}
                }
                for (key, code) in notes.told() {
                    if let Some(findings) = &mut damage {
                        findings.note(&shown(&key), code);
                    }
                }
                progress.findings = damage.as_ref().map_or(0, |findings| findings.count());
                observe(progress);
                self.keep_pace(started, progress.rows).await;
            }
        }
        auditors.end(notes);
        for (key, code) in notes.told() {
            if let Some(findings) = &mut damage {
                findings.note(&shown(&key), code);
            }
        }
        if damage.is_some() {
            (self.seen.rows, self.seen.bytes) = (progress.rows, progress.bytes);
        }
        Ok(())
    }

    fn take<N: Pass>(
        &mut self,
        entry: &Entry,
        auditors: &mut Auditors,
        notes: &mut N,
        progress: &mut Progress,
    ) {
        let other = |tenant: &TenantId| tenant_of(&entry.key) != Some(tenant.as_str());
        if self.asked.tenant.as_ref().is_some_and(other) {
            return;
        }
        if !self.going.is_empty()
            && tenant_of(&entry.key).is_some_and(|tenant| is_going(self.going, tenant))
        {
            return;
        }
        progress.rows += 1;
        let bytes = entry.key.len() + entry.value.len();
        progress.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        notes.meet(&entry.key);
        if notes.wants_auditors() {
            auditors.entry(entry, notes);
        }
        if progress.pass == 1
            && let Some(chain) = chain_of(&entry.key)
            && self.seen.chains.len() < CHAINS_MAX
        {
            self.seen.chains.push(chain);
        }
    }

    /// Waits while more was read than is to be.
    async fn keep_pace(&self, started: Duration, rows: u64) {
        let Some(pace) = self.asked.rows_per_second else {
            return;
        };
        let ms = rows.saturating_mul(1_000) / pace.max(1);
        let at = started.saturating_add(Duration::from_millis(ms));
        if at > self.env.monotonic() {
            self.env.sleep_until(at).await;
        }
    }
}

/// What is read: everything, or one tenant's and the index of due work.
fn ranges(tenant: Option<&TenantId>) -> Vec<KeyRange> {
    match tenant {
        None => vec![KeyRange::all()],
        Some(tenant) => [tenant.as_str(), "due"]
            .map(|first| KeyRange::prefix(Key::new(first).below()))
            .into(),
    }
}

/// The chain whose head a key is of.
fn chain_of(key: &[u8]) -> Option<Chain> {
    let first = key.strip_suffix(b"/audit/head")?;
    std::str::from_utf8(first).ok()?.parse().ok()
}

/// Whose data an entry is of, or in the index of due work is about.
pub(super) fn tenant_of(key: &[u8]) -> Option<&str> {
    let mut segments = key.split(|byte| *byte == b'/');
    let tenant = match segments.next()? {
        b"due" => segments.nth(2)?,
        tenant => tenant,
    };
    std::str::from_utf8(tenant).ok()
}

/// Whether a tenant is one of those that are being erased.
pub(super) fn is_going(going: &BTreeSet<TenantId>, tenant: &str) -> bool {
    going.iter().any(|it| it.as_str() == tenant)
}

/// What a pass does with what auditors say.
pub(super) trait Pass: Notes {
    /// There is such an entry.
    fn meet(&mut self, key: &Bytes);
    /// Whether auditors have to be asked at all.
    fn wants_auditors(&self) -> bool;
    /// What is wrong with single records, since it was last asked.
    fn told(&mut self) -> Vec<(Bytes, &'static str)>;
}

/// Records that were missed, or cannot be read.
#[derive(Debug, Default)]
struct Lost {
    records: HashSet<Bytes>,
    /// Whether there are more.
    full: bool,
}

impl Lost {
    fn note(&mut self, key: &Bytes, code: &str) {
        if !LOST.contains(&code) {
            return;
        }
        self.full |= self.records.len() >= SUSPECTS_MAX;
        if !self.full {
            self.records.insert(key.clone());
        }
    }

    /// Whether a record is one of them, or may be.
    fn has(&self, record: &Bytes) -> bool {
        self.full || self.records.contains(record)
    }
}

/// What auditors say of records that are lost.
const LOST: [&str; 2] = ["record_missing", "corrupt_record"];

/// A count that is wrong, and the rows it is of.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) key: Bytes,
    pub(super) code: &'static str,
    pub(super) scope: Bytes,
}

/// The first pass: everything is added up.
struct First {
    tally: Tally,
    references: References,
    counts: Vec<Count>,
    lost: Lost,
}

/// What the first pass hears, with the single records beside.
impl Notes for First {
    fn demand(&mut self, _: &[Bytes], row: Bytes, value: Bytes) {
        self.tally.demand(&row, &value);
    }

    fn found(&mut self, _: &[Bytes], row: Bytes, value: Bytes) {
        self.tally.found(&row, &value);
    }

    fn refer(&mut self, _: &Bytes, to: Bytes) {
        self.references.refer(&to);
    }

    fn wrong(&mut self, key: &Bytes, code: &'static str) {
        self.lost.note(key, code);
        self.counts.push(Count {
            key: key.clone(),
            code,
            scope: Bytes::new(),
        });
    }

    fn miscounted(&mut self, key: &Bytes, code: &'static str, scope: Bytes, _: Bytes) {
        self.counts.push(Count {
            key: key.clone(),
            code,
            scope,
        });
    }

    fn unsettled(&mut self) {}
}

impl Pass for First {
    fn meet(&mut self, _: &Bytes) {}

    fn wants_auditors(&self) -> bool {
        true
    }

    fn told(&mut self) -> Vec<(Bytes, &'static str)> {
        let is_single = |count: &mut Count| count.scope.is_empty();
        let single = self.counts.extract_if(.., is_single);
        let told = single.map(|count| (count.key, count.code)).collect();
        // What is far more than can be kept is not kept here either.
        self.counts.truncate(SUSPECTS_MAX);
        told
    }
}

/// The third pass: which records point at what was not met.
struct Third {
    references: References,
    from: BTreeMap<(Bytes, Bytes), ()>,
}

impl Notes for Third {
    fn demand(&mut self, _: &[Bytes], _: Bytes, _: Bytes) {}

    fn found(&mut self, _: &[Bytes], _: Bytes, _: Bytes) {}

    fn refer(&mut self, from: &Bytes, to: Bytes) {
        if self.references.wants(&to) && self.from.len() < SUSPECTS_MAX {
            self.from.insert((from.clone(), to), ());
        }
    }

    fn wrong(&mut self, _: &Bytes, _: &'static str) {}

    fn miscounted(&mut self, _: &Bytes, _: &'static str, _: Bytes, _: Bytes) {}

    fn unsettled(&mut self) {}
}

impl Pass for Third {
    fn meet(&mut self, _: &Bytes) {}

    fn wants_auditors(&self) -> bool {
        true
    }

    fn told(&mut self) -> Vec<(Bytes, &'static str)> {
        Vec::new()
    }
}
