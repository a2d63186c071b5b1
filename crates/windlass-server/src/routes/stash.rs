//! The stash of a session: scratch data that its calls share.

use axum::http::StatusCode;
use serde_json::json;
use serde_json::value::RawValue;
use windlass::access::Verb;
use windlass::core::{GroupId, Millis, SessionId, TenantId};
use windlass::session::Status;
use windlass::stash::durable::{Execution, Once, Stash};
use windlass::stash::{
    Condition, Entry, Figures, Increment, Key, KeyQuery, Metadata, Number, Put, Removed,
    StashError, Value,
};
use windlass::{Admission, AdmitError};
use windlass_client::stash as wire;

use super::{limit, position, settled};
use crate::call::{Call, Precondition, Reply, tag_text};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Preconditions, Route};

const TAG: &str = "stash";

/// Bytes of a body that carries a value: the value's own limit, and what is
/// around it.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024 + 64 * 1024;

/// Refusals of whatever names a key.
const OF_KEY: &[&str] = &[
    "invalid_key",
    "key_too_long",
    "cross_group_access",
    "key_unavailable",
    "group_not_allowed",
    "invalid_id",
];

/// Refusals of a change.
pub(super) const OF_CHANGE: &[&str] = &[
    "already_closed",
    "expired",
    "invalid_value",
    "value_too_large",
    "ttl_zero",
    "ttl_too_long",
    "key_limit_exceeded",
    "group_quota_exceeded",
    "total_size_exceeded",
    "tenant_quota_exceeded",
    "version_mismatch",
    "operation_answer_lost",
    "too_many_operations",
];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = readings();
    routes.extend(changes());
    routes.extend(removals());
    routes
}

fn readings() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions/{session}/stash", "get_stash", |call| {
            Box::pin(usage(call))
        })
        .about(TAG, "Shows how much a stash holds")
        .access(Access::Tenant(Verb::StashRead))
        .serves(&["Stash::usage"])
        .answers::<wire::Usage>(200, "What it holds"),
        Route::get(
            "/v1/sessions/{session}/stash/entries",
            "list_entries",
            |call| Box::pin(keys(call)),
        )
        .about(TAG, "Lists the keys that the group sees, in order")
        .access(Access::Tenant(Verb::StashRead))
        .serves(&["Execution::keys"])
        .query::<wire::KeysQuery>()
        .answers::<wire::KeyPage>(200, "A page")
        .fails(&[
            "cursor_invalid",
            "invalid_request",
            "group_not_allowed",
            "invalid_key",
            "key_too_long",
        ]),
        Route::get(
            "/v1/sessions/{session}/stash/entries/{key}",
            "get_entry",
            |call| Box::pin(get(call)),
        )
        .about(TAG, "Shows an entry with its value")
        .access(Access::Tenant(Verb::StashRead))
        .serves(&["Execution::entry", "Execution::get"])
        .query::<wire::GroupQuery>()
        .answers::<wire::Entry>(200, "The entry")
        .tagged()
        .sends(304, None, "The entry has the version that is known already")
        .tagged()
        .fails(OF_KEY)
        .honours(Preconditions {
            if_changed: true,
            ..Preconditions::default()
        }),
    ]
}

fn changes() -> Vec<Route> {
    vec![
        Route::new(axum::http::Method::PUT, "/v1/sessions/{session}/stash/entries/{key}", "put_entry", |call| {
            Box::pin(put(call))
        })
        .about(TAG, "Puts an entry; with `If-Match` only over that version, with `If-None-Match: *` only where none is")
        .access(Access::Tenant(Verb::StashWrite))
        .serves(&["Execution::store", "Execution::put", "Execution::put_if_absent", "Execution::compare_and_swap"])
        .query::<wire::GroupQuery>()
        .takes::<wire::PutEntry>()
        .body_bytes_max(VALUE_BYTES_MAX)
        .answers::<wire::Metadata>(200, "What is stored about it")
        .tagged()
        .fails(OF_KEY)
        .fails(OF_CHANGE)
        .honours(Preconditions {
            if_match: true,
            if_absent: true,
            if_changed: false,
        })
        .with_operation(),
        Route::new(axum::http::Method::DELETE, "/v1/sessions/{session}/stash/entries/{key}", "delete_entry", |call| {
            Box::pin(delete(call))
        })
        .about(TAG, "Deletes an entry")
        .access(Access::Tenant(Verb::StashWrite))
        .serves(&["Execution::delete"])
        .query::<wire::GroupQuery>()
        .answers::<wire::Deleted>(200, "Whether there was one")
        .fails(OF_KEY)
        .fails(OF_CHANGE)
        .with_operation(),
        Route::post("/v1/sessions/{session}/stash/entries/{key}/touch", "touch_entry", |call| {
            Box::pin(touch(call))
        })
        .about(TAG, "Gives an entry a new time to live")
        .access(Access::Tenant(Verb::StashWrite))
        .serves(&["Execution::touch"])
        .query::<wire::GroupQuery>()
        .takes::<wire::Touch>()
        .optionally()
        .answers::<wire::Metadata>(200, "What is stored about it")
        .tagged()
        .fails(OF_KEY)
        .fails(OF_CHANGE),
        Route::post("/v1/sessions/{session}/stash/entries/{key}/increment", "increment_entry", |call| {
            Box::pin(increment(call))
        })
        .about(TAG, "Adds to a number; an entry that is not there counts as 0")
        .access(Access::Tenant(Verb::StashWrite))
        .serves(&["Execution::increment"])
        .query::<wire::GroupQuery>()
        .takes::<wire::Increment>()
        .answers::<wire::Number>(200, "The number it is now")
        .tagged()
        .fails(OF_KEY)
        .fails(OF_CHANGE)
        .fails(&["not_a_number", "overflow"]),
    ]
}

fn removals() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/sessions/{session}/stash/clear",
            "clear_group",
            |call| Box::pin(clear(call)),
        )
        .about(TAG, "Removes the entries of the group")
        .access(Access::Tenant(Verb::StashWrite))
        .serves(&["Execution::clear"])
        .query::<wire::GroupQuery>()
        .answers::<wire::Removed>(200, "What was removed")
        .fails(OF_CHANGE)
        .fails(&["group_not_allowed"]),
        Route::post(
            "/v1/sessions/{session}/stash/clear-all",
            "clear_stash",
            |call| Box::pin(clear_all(call)),
        )
        .about(TAG, "Removes the entries of any group, or all of them")
        .access(Access::Tenant(Verb::StashManage))
        .serves(&["Stash::clear", "Stash::clear_once"])
        .takes::<wire::ClearAll>()
        .optionally()
        .answers::<wire::Removed>(200, "What was removed")
        .fails(OF_CHANGE),
        Route::post("/v1/sessions/{session}/stash/reap", "reap_stash", |call| {
            Box::pin(reap(call))
        })
        .about(
            TAG,
            "Takes back the space of expired entries; can be repeated",
        )
        .access(Access::Tenant(Verb::StashManage))
        .serves(&["Stash::reap_expired"])
        .takes::<wire::Reap>()
        .optionally()
        .answers::<wire::Removed>(200, "What was removed")
        .without_operation(),
    ]
}

/// The stash of the session in the path, if the caller may see the session.
async fn stash(call: &Call) -> Result<(TenantId, SessionId, Stash, Status, Millis), Refused> {
    let caller = call.caller()?;
    let id: SessionId = call.id("session")?;
    let found = call.app.engine.sessions().get(&caller, &id).await?;
    let session = found.ok_or_else(|| Box::new(Problem::not_found()))?;
    let stash = call.app.engine.stashes().stash(&caller.tenant, &id);
    Ok((caller.tenant, id, stash, session.status, session.expires_at))
}

/// What a reading of the group `asked` works on.
async fn reader(call: &Call, asked: Option<&str>) -> Result<Execution, Refused> {
    let group = call.group(asked)?;
    let (.., stash, _, _) = stash(call).await?;
    Ok(stash.execution(group))
}

/// What a change works on, and what tells whether it was done before.
pub(super) struct Writing {
    pub(super) tenant: TenantId,
    pub(super) execution: Execution,
    /// An execution of its own, under the same operation id if there is one.
    probe: Execution,
}

/// What a change by the group `asked` works on: data of a session that has
/// ended can be read, and is not changed any more. What was done before under
/// its operation id is answered as it was all the same.
pub(super) async fn writer(call: &Call, asked: Option<&str>) -> Result<Writing, Refused> {
    let group = call.group(asked)?;
    let (tenant, _, stash, status, expires_at) = stash(call).await?;
    let once = once(call)?;
    let execution = || {
        let execution = stash.execution(group.clone());
        match &once {
            Some(once) => execution.once(once.clone()),
            None => execution,
        }
    };
    let writing = Writing {
        tenant,
        execution: execution(),
        probe: execution(),
    };
    match ended(status, expires_at) {
        Some(refused) if !was_done(call, &writing).await? => Err(refused),
        _ => Ok(writing),
    }
}

/// Whether the change was done before under its operation id: a put under the
/// same id that no entry can agree with changes nothing, and conflicts with
/// what the id was used for.
async fn was_done(call: &Call, writing: &Writing) -> Result<bool, Refused> {
    if call.operation.is_none() {
        return Ok(false);
    }
    let nothing = Value::from_json("null")?;
    let probe = Put::new("probe".parse()?, nothing).condition(Condition::Version(u64::MAX));
    let probed = writing.probe.store(probe).await;
    Ok(matches!(probed, Err(StashError::OperationConflict)))
}

/// The operation id of a change, as the stash knows it.
fn once(call: &Call) -> Result<Option<Once>, Refused> {
    let principal = call.caller()?.principal;
    let operation = call.operation.clone();
    Ok(operation.map(|operation| Once::new(principal, operation)))
}

/// Room for so many more bytes within the tenant's quota. `None` for what
/// takes none, and for a change that was done before.
pub(super) async fn admitted(
    call: &Call,
    writing: &Writing,
    bytes: u64,
) -> Result<Option<Admission>, Refused> {
    if bytes == 0 {
        return Ok(None);
    }
    match call.app.engine.admit_bytes(&writing.tenant, bytes).await {
        Ok(admitted) => Ok(Some(admitted)),
        Err(refused @ AdmitError::TenantQuotaExceeded { .. }) => {
            match was_done(call, writing).await? {
                true => Ok(None),
                false => Err(refused.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Bytes that a number takes at most.
pub(super) const NUMBER_BYTES_MAX: u64 = 20;

/// Why a session that has ended is not changed.
pub(super) fn ended(status: Status, expires_at: Millis) -> Option<Refused> {
    match status {
        Status::Active => None,
        Status::Closed => {
            let detail = "the session is closed";
            Some(Box::new(Problem::new(409, "already_closed", detail)))
        }
        Status::Expired => {
            let problem = Problem::new(410, "expired", "the session has expired");
            Some(Box::new(problem.with("at", expires_at.get())))
        }
    }
}

async fn active(call: &Call) -> Result<Stash, Refused> {
    let (.., stash, status, expires_at) = stash(call).await?;
    match ended(status, expires_at) {
        Some(refused) => Err(refused),
        None => Ok(stash),
    }
}

fn key(call: &Call) -> Result<Key, Refused> {
    Ok(call.text("key").parse()?)
}

fn group_of(call: &Call) -> Result<Option<String>, Refused> {
    Ok(call.query::<wire::GroupQuery>()?.group)
}

pub(super) fn metadata(metadata: &Metadata) -> wire::Metadata {
    wire::Metadata {
        group: metadata.group.as_ref().map(GroupId::to_string),
        size: metadata.size,
        created: metadata.created.get(),
        updated: metadata.updated.get(),
        expires: metadata.expires.get(),
        version: metadata.version,
    }
}

pub(super) fn raw(value: &Value) -> Box<RawValue> {
    let text = value.as_json().to_owned();
    RawValue::from_string(text).expect("what is stored is JSON")
}

pub(super) fn entry_of(key: &Key, entry: &Entry) -> wire::Entry {
    wire::Entry {
        key: key.as_str().to_owned(),
        value: raw(&entry.value),
        ttl_left_ms: entry.ttl_left_ms,
        metadata: metadata(&entry.metadata),
    }
}

pub(super) fn number_of(number: &Number) -> wire::Number {
    wire::Number {
        value: number.value,
        metadata: metadata(&number.metadata),
    }
}

const fn removed(removed: Removed) -> wire::Removed {
    wire::Removed {
        removed: removed.removed,
        bytes: removed.bytes,
        truncated: removed.truncated,
    }
}

const fn figures(figures: Figures) -> wire::Figures {
    wire::Figures {
        keys: figures.keys,
        value_bytes: figures.value_bytes,
        charged_bytes: figures.charged_bytes,
    }
}

async fn usage(call: Call) -> Result<Reply, Refused> {
    let (.., stash, _, _) = stash(&call).await?;
    let usage = stash.usage().await?;
    Ok(Reply::json(&wire::Usage {
        live: figures(usage.live),
        expired: figures(usage.expired),
    }))
}

async fn keys(call: Call) -> Result<Reply, Refused> {
    let asked: wire::KeysQuery = call.query()?;
    let group = call.group(asked.group.as_deref())?;
    let execution = reader(&call, asked.group.as_deref()).await?;
    let prefix = asked.prefix.unwrap_or_default();
    let caller = call.caller()?;
    let group = format!("{group:?}");
    let listing = [
        "keys",
        caller.tenant.as_str(),
        call.text("session"),
        &group,
        &prefix,
    ];
    let query = KeyQuery {
        prefix: prefix.clone(),
        after: position(&call, &listing, asked.cursor.as_deref())?,
        limit: limit(asked.limit),
    };
    let page = execution.keys(&query).await?;
    let last = page.keys.last().filter(|_| page.more);
    let next = last.map(|(key, _)| call.app.seal.close(&listing, key.as_str()));
    let keys = page.keys.iter().map(|(key, about)| wire::KeyInfo {
        key: key.as_str().to_owned(),
        metadata: metadata(about),
    });
    Ok(Reply::json(&json!({
        "keys": keys.collect::<Vec<_>>(),
        "next_cursor": next,
    })))
}

async fn get(call: Call) -> Result<Reply, Refused> {
    let key = key(&call)?;
    let execution = reader(&call, group_of(&call)?.as_deref()).await?;
    let found = execution.entry(&key).await?;
    let entry = found.ok_or_else(|| Box::new(Problem::not_found()))?;
    let version = entry.metadata.version;
    if call.known.as_deref() == Some(tag_text(version).as_str()) {
        return Ok(Reply::not_modified(version));
    }
    Ok(Reply::json(&entry_of(&key, &entry)).tag(version))
}

/// A value as the stash takes it.
pub(super) fn value(raw: &RawValue) -> Result<Value, Refused> {
    Ok(Value::from_json(raw.get())?)
}

async fn put(call: Call) -> Result<Reply, Refused> {
    let key = key(&call)?;
    let asked: wire::PutEntry = call.json()?;
    let writing = writer(&call, group_of(&call)?.as_deref()).await?;
    let mut put = Put::new(key, value(&asked.value)?);
    put.ttl_ms = asked.ttl_ms;
    put.condition = match call.precondition {
        Precondition::None => Condition::Any,
        Precondition::Version(version) => Condition::Version(version),
        Precondition::Absent => Condition::Absent,
    };
    let admitted = admitted(&call, &writing, put.value.size()).await?;
    let stored = settled(admitted, writing.execution.store(put).await)?;
    Ok(Reply::json(&metadata(&stored)).tag(stored.version))
}

async fn delete(call: Call) -> Result<Reply, Refused> {
    let key = key(&call)?;
    let writing = writer(&call, group_of(&call)?.as_deref()).await?;
    let deleted = writing.execution.delete(&key).await?;
    Ok(Reply::json(&wire::Deleted { deleted }))
}

async fn touch(call: Call) -> Result<Reply, Refused> {
    let key = key(&call)?;
    let asked: wire::Touch = call.json_or_default()?;
    let writing = writer(&call, group_of(&call)?.as_deref()).await?;
    let touched = writing.execution.touch(&key, asked.ttl_ms).await?;
    let touched = touched.ok_or_else(|| Box::new(Problem::not_found()))?;
    Ok(Reply::json(&metadata(&touched)).tag(touched.version))
}

async fn increment(call: Call) -> Result<Reply, Refused> {
    let key = key(&call)?;
    let asked: wire::Increment = call.json()?;
    let writing = writer(&call, group_of(&call)?.as_deref()).await?;
    let admitted = admitted(&call, &writing, NUMBER_BYTES_MAX).await?;
    let request = Increment {
        key,
        by: asked.by,
        ttl_ms: asked.ttl_ms,
    };
    let number = writing
        .execution
        .increment(&request.key, request.by, request.ttl_ms)
        .await;
    let number = settled(admitted, number)?;
    Ok(Reply::json(&number_of(&number))
        .tag(number.metadata.version)
        .status(StatusCode::OK))
}

async fn clear(call: Call) -> Result<Reply, Refused> {
    let writing = writer(&call, group_of(&call)?.as_deref()).await?;
    Ok(Reply::json(&removed(writing.execution.clear().await?)))
}

async fn clear_all(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ClearAll = call.json_or_default()?;
    let group = asked.group.as_deref();
    let group: Option<GroupId> = group
        .map(|group| crate::call::parse_id("group", group))
        .transpose()?;
    let stash = active(&call).await?;
    let cleared = match once(&call)? {
        Some(once) => stash.clear_once(group.as_ref(), once).await?,
        None => stash.clear(group.as_ref()).await?,
    };
    Ok(Reply::json(&removed(cleared)))
}

async fn reap(call: Call) -> Result<Reply, Refused> {
    let asked: wire::Reap = call.json_or_default()?;
    let (.., stash, _, _) = stash(&call).await?;
    Ok(Reply::json(&removed(
        stash.reap_expired(asked.limit).await?,
    )))
}
