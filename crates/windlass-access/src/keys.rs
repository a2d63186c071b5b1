//! Making, finding, ending and proving keys.

use std::sync::Arc;

use bytes::Bytes;
use subtle::Choice;
use windlass_core::{Ear, Env, Format, Millis};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{
    Batch, Bookmark, Changes, Entry, Expect, KeyRange, Scan, Store, StoreExt, Version,
};

use crate::engine::{Attempt, Engine, Rounds, head_of};
use crate::error::{AccessError, Problem, check_range};
use crate::key::{ApiKey, KeyId, KeyPage, KeyQuery, KeysOf, NewKey, Rotate, UnreadableKey};
use crate::layout::{self, Owner};
use crate::limits::{
    GROUPS_MAX, KEYS_MAX, LABEL_BYTES_MAX, OVERLAP_MS_MAX, PAGE_MAX, TTL_MS_MAX, TTL_MS_MIN,
    VERBS_MAX,
};
use crate::record::{Former, Hash, KeyRecord, OperationRecord, decode, encode};
use crate::sweep::SweepReport;
use crate::token::{self, Secret, SecretHash};
use crate::{Grant, Groups};

/// The keys of a store. Cloning shares it.
///
/// Nothing is held in memory: what one process changed, the very next call of
/// another sees. Dropping a future leaves its change made or not made.
#[derive(Clone, Debug)]
pub struct Keys {
    engine: Arc<Engine>,
    pub(crate) ear: Ear,
}

impl Keys {
    /// The keys in `store`. Reads nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, env: Arc<dyn Env>) -> Self {
        let engine = Engine {
            store,
            env,
            bookmark: Bookmark::default(),
        };
        Self {
            engine: Arc::new(engine),
            ear: Ear::default(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes a key. Its secret is shown here and never again.
    ///
    /// Whether the caller may give the grant away is not looked at: compare
    /// it with the caller's own by [`Grant::covers`] first.
    ///
    /// # Errors
    ///
    /// `Invalid` and `VerbOutOfScope` for what cannot be accepted;
    /// `TooManyKeys`; `TenantNotActive`; with an operation id
    /// `KeyAlreadyCreated` if it has made its key, and `OperationConflict` if
    /// that was another request. After `Indeterminate` the key may be there:
    /// under an operation id, ask again.
    pub async fn create(&self, request: NewKey) -> Result<(ApiKey, Secret), AccessError> {
        check_new(&request)?;
        let env = self.engine.env.as_ref();
        let id = KeyId::draw(env)?;
        let secret = Secret::draw(env, &id)?;
        let record = KeyRecord::new(&request, secret.hash(), env.now());
        let birth = Birth {
            owner: Owner::of(&request.grant.scope),
            operation: OperationRecord::new(&id, &request),
            id,
            record,
        };
        let made = self.deliver(&birth).await;
        self.tell("key.created", &birth.id, &made);
        Ok((made?, secret))
    }

    async fn deliver(&self, birth: &Birth) -> Result<ApiKey, AccessError> {
        let mut rounds = Rounds::default();
        loop {
            rounds.next(self.engine.env.as_ref()).await?;
            let planned = self.plan_birth(birth).await;
            let Some(batch) = rounds.settle(planned)? else {
                break;
            };
            let store = self.engine.store.as_ref();
            if let Attempt::Applied = rounds.commit(store, batch).await? {
                break;
            }
        }
        Ok(birth.record.view(&birth.id))
    }

    /// The commit that makes a key; `None` if it has been made already.
    async fn plan_birth(&self, birth: &Birth) -> Result<Option<Batch>, AccessError> {
        let (owner, record) = (&birth.owner, &birth.record);
        let operation = record.operation.as_ref().map(|id| owner.operation(id));
        let row = layout::key(&birth.id);
        // Without an operation the key's own row is looked at twice.
        let third = operation.clone().unwrap_or_else(|| row.clone());
        let [head, found, made] = self
            .engine
            .points([owner.head(), row.clone(), third])
            .await?;
        if let Some(found) = found {
            let found: KeyRecord = decode("key", &found.value)?;
            let ours = found.secret == record.secret;
            // Sixty-four random bits that were drawn before: ask again.
            return if ours {
                Ok(None)
            } else {
                Err(AccessError::Busy)
            };
        }
        if let (Some(made), Some(_)) = (made, &operation) {
            return Err(birth.already(&made));
        }
        let (mut head, expect) = head_of(head.as_ref())?;
        head.ensure_active()?;
        if head.keys >= KEYS_MAX {
            return Err(AccessError::TooManyKeys { max: KEYS_MAX });
        }
        head.keys += 1;
        let mut batch = Batch::new()
            .check(owner.head(), expect)
            .put(owner.head(), encode(&head))
            .check(row.clone(), Expect::Absent)
            .put(row, encode(record))
            .put(owner.listed(&birth.id), Bytes::new())
            .put(layout::keyed(), encode(&Keyed { v: Format }));
        if let Some(due) = record.due() {
            batch = batch.put(owner.due(due, &birth.id), Bytes::new());
        }
        if let Some(operation) = operation {
            batch = batch
                .check(operation.clone(), Expect::Absent)
                .put(operation, encode(&birth.operation));
        }
        Ok(Some(batch))
    }

    /// The key that a token proves the right to: exactly one point read.
    ///
    /// `None` alike for a text that is no token, a key that does not exist, a
    /// wrong secret, a key that expired and one that was revoked. For a key
    /// that does not exist the same hash and the same comparisons are made,
    /// and these take the same time wherever the secrets differ.
    ///
    /// Whether the key's tenant is being erased is not looked at.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the record of the key that is named cannot be read, and
    /// the store's failures.
    pub async fn authenticate(&self, token: &str) -> Result<Option<ApiKey>, AccessError> {
        let Some(id) = token::id_of(token) else {
            return Ok(None);
        };
        let found = self.find(&id).await?.map(|(record, _)| record);
        let now = self.engine.env.now();
        let presented = token::hash(token);
        let proven = bool::from(proves(&presented, found.as_ref(), now));
        let usable = |record: &KeyRecord| proven && !record.has_ended(now);
        Ok(found.filter(usable).map(|record| record.view(&id)))
    }

    /// One key, ended or not; `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its record cannot be read, and the store's failures.
    pub async fn get(&self, id: &KeyId) -> Result<Option<ApiKey>, AccessError> {
        let found = self.find(id).await?;
        Ok(found.map(|(record, _)| record.view(id)))
    }

    /// Ends a key at once, everywhere: no later call of
    /// [`Keys::authenticate`] knows it. To revoke one that is revoked changes
    /// nothing and answers it, so this is safe to repeat without an operation
    /// id.
    ///
    /// # Errors
    ///
    /// `NotFound`, and the store's failures.
    pub async fn revoke(&self, id: &KeyId) -> Result<ApiKey, AccessError> {
        let now = self.engine.env.now();
        let change = |record: &KeyRecord| {
            if record.revoked_at.is_some() {
                return Ok(None);
            }
            let mut next = record.clone();
            next.revoked_at = Some(now);
            Ok(Some(next))
        };
        let key = self.change(id, change).await;
        self.tell("key.revoked", id, &key);
        key
    }

    /// Gives a key a new secret. The present one still works for the overlap;
    /// one from before the present ends at once.
    ///
    /// # Errors
    ///
    /// `NotFound`; `KeyEnded` for a key that was revoked or expired;
    /// `Invalid` for too long an overlap; with an operation id
    /// `KeyAlreadyRotated` if the last rotation was under it.
    pub async fn rotate(
        &self,
        id: &KeyId,
        request: Rotate,
    ) -> Result<(ApiKey, Secret), AccessError> {
        check_range("overlap_ms", request.overlap_ms, 0, OVERLAP_MS_MAX)?;
        let env = self.engine.env.as_ref();
        let secret = Secret::draw(env, id)?;
        let (fresh, now) = (Hash(secret.hash()), env.now());
        let change = |record: &KeyRecord| {
            if record.secret == fresh {
                return Ok(None);
            }
            if request.operation.is_some() && record.rotation == request.operation {
                return Err(AccessError::KeyAlreadyRotated { id: id.clone() });
            }
            if record.has_ended(now) {
                return Err(AccessError::KeyEnded);
            }
            Ok(Some(rotated(record, fresh, &request, now)))
        };
        let key = self.change(id, change).await;
        self.tell("key.rotated", id, &key);
        Ok((key?, secret))
    }

    /// Rewrites a key by compare-and-set; `None` from `decide` leaves it as
    /// it is.
    async fn change(
        &self,
        id: &KeyId,
        decide: impl Fn(&KeyRecord) -> Result<Option<KeyRecord>, AccessError>,
    ) -> Result<ApiKey, AccessError> {
        let mut rounds = Rounds::default();
        loop {
            rounds.next(self.engine.env.as_ref()).await?;
            let found = rounds.settle(self.find(id).await)?;
            let (record, version) = found.ok_or(AccessError::NotFound { what: "key" })?;
            let Some(next) = decide(&record)? else {
                return Ok(record.view(id));
            };
            let batch = rewrite(id, &record, version, &next);
            let store = self.engine.store.as_ref();
            if let Attempt::Applied = rounds.commit(store, batch).await? {
                return Ok(next.view(id));
            }
        }
    }

    async fn find(&self, id: &KeyId) -> Result<Option<(KeyRecord, Version)>, AccessError> {
        let Some(entry) = self.engine.store.get(layout::key(id)).await? else {
            return Ok(None);
        };
        Ok(Some((decode("key", &entry.value)?, entry.version)))
    }

    /// Keys in the order of their ids, ended ones included until upkeep drops
    /// them. A page is as of the time it is read; costs one read for 16 keys.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000, and the store's failures.
    pub async fn list(&self, query: &KeyQuery) -> Result<KeyPage, AccessError> {
        check_limit(query.limit)?;
        let prefix = match &query.of {
            KeysOf::All => layout::keys(),
            KeysOf::Operators => Owner::Operators.listing(),
            KeysOf::Tenant(tenant) => Owner::Tenant(tenant.clone()).listing(),
        };
        let mut scan = Scan::new(KeyRange::prefix(prefix.clone())).keys();
        if let Some(after) = &query.after {
            scan = scan.after(&[prefix.as_ref(), after.as_str().as_bytes()].concat().into());
        }
        let mut page = KeyPage::default();
        loop {
            let room = query.limit - page.keys.len() - page.unreadable.len();
            scan = scan.limit(room.clamp(1, READ_SCANS_MAX));
            let mut pages = self.engine.store.read(std::slice::from_ref(&scan)).await?;
            let rows = pages.pop().unwrap_or_default();
            if rows.entries.is_empty() || room == 0 {
                if rows.entries.is_empty() {
                    page.next = None;
                }
                return Ok(page);
            }
            let ids = rows.entries.iter();
            let ids: Vec<KeyId> = ids
                .filter_map(|row| layout::key_below(&prefix, &row.key))
                .collect();
            self.show(&ids, &mut page).await?;
            if let Some(last) = rows.entries.last() {
                scan = scan.after(&last.key);
            }
        }
    }

    /// Adds some keys to a page; one that is gone meanwhile is left out.
    async fn show(&self, ids: &[KeyId], page: &mut KeyPage) -> Result<(), AccessError> {
        let scans: Vec<Scan> = ids.iter().map(|id| Scan::point(layout::key(id))).collect();
        let pages = self.engine.store.read(&scans).await?;
        for (id, found) in ids.iter().zip(pages) {
            page.next = Some(id.clone());
            let Some(entry) = found.entries.first() else {
                continue;
            };
            match decode::<KeyRecord>("key", &entry.value) {
                Ok(record) => page.keys.push(record.view(id)),
                Err(error) => page.unreadable.push(UnreadableKey {
                    id: id.clone(),
                    why: error.to_string(),
                }),
            }
        }
        Ok(())
    }

    /// Whether a key was ever made in this store, also where none is left.
    /// One point read.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn any(&self) -> Result<bool, AccessError> {
        Ok(self.engine.store.get(layout::keyed()).await?.is_some())
    }

    /// Hints that some key may have changed; any of them may be late or lost.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.engine.store.subscribe(&layout::keys())
    }

    /// Drops keys that expired or were revoked 30 days ago, in at most
    /// `limit` steps. Safe to run at any time, in any number of processes.
    ///
    /// # Errors
    ///
    /// The store's failures; what was done before stays done.
    pub async fn sweep(&self, limit: usize) -> Result<SweepReport, AccessError> {
        self.engine.sweep(limit).await
    }
}

/// A key that is being made.
struct Birth {
    id: KeyId,
    owner: Owner,
    record: KeyRecord,
    operation: OperationRecord,
}

impl Birth {
    /// Why the operation that `made` records makes no second key.
    fn already(&self, made: &Entry) -> AccessError {
        match decode::<OperationRecord>("operation record", &made.value) {
            Err(error) => error,
            Ok(made) if made.request != self.operation.request => AccessError::OperationConflict,
            Ok(made) => AccessError::KeyAlreadyCreated { id: made.key },
        }
    }
}

/// The mark that a key was made once.
#[derive(serde::Serialize)]
struct Keyed {
    v: Format,
}

fn rotated(record: &KeyRecord, fresh: Hash, request: &Rotate, now: Millis) -> KeyRecord {
    let former = Former {
        secret: record.secret,
        until: now.plus_ms(request.overlap_ms),
    };
    KeyRecord {
        secret: fresh,
        former: (request.overlap_ms > 0).then_some(former),
        rotated_at: Some(now),
        rotation: request.operation.clone(),
        ..record.clone()
    }
}

/// The commit that puts `next` in the place of `record`.
fn rewrite(id: &KeyId, record: &KeyRecord, version: Version, next: &KeyRecord) -> Batch {
    let row = layout::key(id);
    let mut batch = Batch::new()
        .check(row.clone(), Expect::Version(version))
        .put(row, encode(next));
    let owner = Owner::of(&record.grant.scope);
    if record.due() != next.due() {
        if let Some(due) = record.due() {
            batch = batch.delete(owner.due(due, id));
        }
        if let Some(due) = next.due() {
            batch = batch.put(owner.due(due, id), Bytes::new());
        }
    }
    batch
}

/// Whether `presented` is the hash of a secret that works at `now`. Both
/// comparisons are always made.
fn proves(presented: &SecretHash, record: Option<&KeyRecord>, now: Millis) -> Choice {
    const NOBODYS: SecretHash = [0; 32];
    let former = record.and_then(|record| record.former);
    let secret = record.map_or(NOBODYS, |record| record.secret.0);
    let before = former.map_or(NOBODYS, |former| former.secret.0);
    let overlaps = former.is_some_and(|former| !former.until.has_passed(now));
    let by_present = token::equal(presented, &secret);
    let by_former = token::equal(presented, &before) & Choice::from(u8::from(overlaps));
    (by_present | by_former) & Choice::from(u8::from(record.is_some()))
}

fn check_new(request: &NewKey) -> Result<(), AccessError> {
    check_label(&request.label)?;
    check_grant(&request.grant)?;
    match request.ttl_ms {
        Some(ttl) => check_range("ttl_ms", ttl, TTL_MS_MIN, TTL_MS_MAX),
        None => Ok(()),
    }
}

fn check_label(label: &str) -> Result<(), AccessError> {
    let invalid = |problem| Err(AccessError::invalid("label", problem));
    if label.is_empty() {
        return invalid(Problem::Empty);
    }
    if label.len() > LABEL_BYTES_MAX {
        return invalid(Problem::TooLong {
            length: label.len(),
            max: LABEL_BYTES_MAX,
        });
    }
    if label.chars().any(char::is_control) {
        return invalid(Problem::Character);
    }
    Ok(())
}

fn check_grant(grant: &Grant) -> Result<(), AccessError> {
    if grant.verbs.is_empty() {
        return Err(AccessError::invalid("verbs", Problem::Empty));
    }
    check_count("verbs", grant.verbs.len(), VERBS_MAX)?;
    if let Groups::Only(groups) = &grant.groups {
        check_count("groups", groups.len(), GROUPS_MAX)?;
    }
    let mut patterns = grant.verbs.patterns();
    match patterns.find(|pattern| !grant.scope.can_hold_any_of(*pattern)) {
        Some(verb) => Err(AccessError::VerbOutOfScope { verb }),
        None => Ok(()),
    }
}

fn check_count(field: &'static str, count: usize, max: usize) -> Result<(), AccessError> {
    if count > max {
        let problem = Problem::TooMany { count, max };
        return Err(AccessError::invalid(field, problem));
    }
    Ok(())
}

pub(crate) fn check_limit(limit: usize) -> Result<(), AccessError> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    check_range("limit", number(limit), 1, number(PAGE_MAX))
}
