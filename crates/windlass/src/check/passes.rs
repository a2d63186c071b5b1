//! What is read how often, and what for.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use windlass_core::{Env, TenantId};
use windlass_store::check::Notes;
use windlass_store::key::Key;
use windlass_store::{Entry, KeyRange, Store};

use super::findings::{Findings, shown};
use super::look::Looker;
use super::route::Auditors;
use super::tally::{References, Tally};
use super::walk::{Met, Walk};
use super::{Check, CheckError, Observe, Progress};
use crate::audit::Chain;

/// Rows that are looked at again one by one, of one pass.
const SUSPECTS_MAX: usize = 100_000;
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
    seen: Seen,
}

/// A link one side of which may be missing.
type Suspects = BTreeMap<Bytes, Vec<Bytes>>;

impl<'a> Passes<'a> {
    pub(super) fn new(store: &'a dyn Store, env: &'a Arc<dyn Env>, asked: &'a Check) -> Self {
        Self {
            store,
            env,
            asked,
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
        };
        self.pass(Some(findings), &mut first, observe).await?;
        let First {
            tally,
            references,
            counts,
        } = first;
        let looker = Looker::new(self.store, self.asked.mode);
        let mut suspects = Second::new(tally.open(), references);
        if !suspects.is_settled() {
            self.pass(None, &mut suspects, observe).await?;
            for (row, by) in &suspects.links {
                looker.link(row, by, findings).await?;
            }
            if suspects.full {
                findings.note("", "index_row_missing");
            }
            self.references(suspects.references, &looker, findings, observe)
                .await?;
        }
        for count in &counts {
            looker.count(count, findings).await?;
        }
        Ok(())
    }

    /// Names the records that point at nothing, share by share.
    async fn references(
        &mut self,
        met: References,
        looker: &Looker<'_>,
        findings: &mut Findings,
        observe: Observe<'_>,
    ) -> Result<(), CheckError> {
        let mut shares = 1;
        let mut missing = vec![met];
        while missing.iter().any(References::is_full) {
            shares *= 8;
            missing = Vec::new();
            for share in 0..shares {
                let mut gather = Second::new(HashSet::new(), References::new(share, shares));
                gather.gathers = true;
                self.pass(None, &mut gather, observe).await?;
                gather.gathers = false;
                if !gather.references.is_full() {
                    self.pass(None, &mut gather, observe).await?;
                }
                missing.push(gather.references);
            }
        }
        for references in missing.into_iter().filter(|left| !left.is_empty()) {
            let mut third = Third {
                references,
                from: BTreeMap::new(),
            };
            self.pass(None, &mut third, observe).await?;
            for ((from, to), ()) in &third.from {
                looker.reference(from, to, findings).await?;
            }
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
        if let Some(tenant) = &self.asked.tenant
            && entry.key.starts_with(b"due/")
            && entry.key.split(|byte| *byte == b'/').nth(3) != Some(tenant.as_str().as_bytes())
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

/// What a pass does with what auditors say.
trait Pass: Notes {
    /// There is such an entry.
    fn meet(&mut self, key: &Bytes);
    /// Whether auditors have to be asked at all.
    fn wants_auditors(&self) -> bool;
    /// What is wrong with single records, since it was last asked.
    fn told(&mut self) -> Vec<(Bytes, &'static str)>;
}

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

/// The second pass: which links do not fit, and which references are met.
struct Second {
    open: HashSet<usize>,
    references: References,
    /// Whether references are gathered instead of met.
    gathers: bool,
    /// By row, those whose sides do not even out.
    sides: BTreeMap<(Bytes, Bytes), i64>,
    links: Suspects,
    full: bool,
}

impl Second {
    fn new(open: HashSet<usize>, references: References) -> Self {
        Self {
            open,
            references,
            gathers: false,
            sides: BTreeMap::new(),
            links: BTreeMap::new(),
            full: false,
        }
    }

    fn is_settled(&self) -> bool {
        self.open.is_empty() && self.references.is_empty()
    }

    fn side(&mut self, by: &[Bytes], row: Bytes, value: Bytes, side: i64) {
        if !self.open.contains(&Tally::bucket(&row)) {
            return;
        }
        let sum = self.sides.entry((row.clone(), value.clone())).or_insert(0);
        *sum += side;
        if *sum == 0 {
            self.sides.remove(&(row.clone(), value));
            let others = (row.clone(), Bytes::new())..;
            let other = self.sides.range(others).next();
            if other.is_none_or(|((other, _), _)| *other != row) {
                self.links.remove(&row);
            }
            return;
        }
        if self.links.len() >= SUSPECTS_MAX {
            self.full = true;
        } else {
            self.links.insert(row, by.to_vec());
        }
    }
}

impl Notes for Second {
    fn demand(&mut self, by: &[Bytes], row: Bytes, value: Bytes) {
        self.side(by, row, value, 1);
    }

    fn found(&mut self, by: &[Bytes], row: Bytes, value: Bytes) {
        self.side(by, row, value, -1);
    }

    fn refer(&mut self, _: &Bytes, to: Bytes) {
        if self.gathers {
            self.references.refer(&to);
        }
    }

    fn wrong(&mut self, _: &Bytes, _: &'static str) {}

    fn miscounted(&mut self, _: &Bytes, _: &'static str, _: Bytes, _: Bytes) {}

    fn unsettled(&mut self) {}
}

impl Pass for Second {
    fn meet(&mut self, key: &Bytes) {
        if !self.gathers {
            self.references.meet(key);
        }
    }

    fn wants_auditors(&self) -> bool {
        self.gathers || !self.open.is_empty()
    }

    fn told(&mut self) -> Vec<(Bytes, &'static str)> {
        Vec::new()
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
