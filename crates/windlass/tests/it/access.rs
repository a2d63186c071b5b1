//! Tenants with real sessions, stashes and keys: erased whole, on every store,
//! wherever the erasure is interrupted; and nobody else is touched.

use std::sync::Arc;

use windlass::access::{
    Certificate, Grant, Groups, NewKey, Progress, Reach, Scope, Status, Tenants, Verbs,
};
use windlass::core::{Coded, ManualEnv, Millis, TenantId};
use windlass::session::{Agent, Allow, Budget, Caller, Create, Delegate, Use};
use windlass::stash::Key;
use windlass::store::{Entry, Store, StoreErrorKind};
use windlass::{Options, SystemEnv, Windlass};
use windlass_store_testing::{Fault, Faulty, Moment, Random, Verb};

use crate::SCHEMES;
use crate::place::Place;

const START: Millis = Millis::new(1_700_000_000_000);
/// Prefixes of each other, some of which sort before `/`.
const TENANTS: [&str; 4] = ["a", "a-b", "a.b", "ab"];

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

async fn open(place: &Place, env: &Arc<ManualEnv>) -> Windlass {
    let location = place.location();
    let opened = Windlass::with_env(&location, Options::default(), env.clone());
    opened.await.unwrap()
}

/// Sessions that are used, delegated, closed and have stashes with values in
/// pieces, under operation ids; and keys.
async fn fill(windlass: &Windlass, name: &str, random: &mut Random) {
    let caller = Caller::new(tenant(name), "runtime".parse().unwrap());
    for number in 0..1 + random.below(3) {
        let mut request = Create::new("scout".parse().unwrap(), "look around");
        request.id = Some(format!("s{number}").parse().unwrap());
        request.tools = Allow::All;
        request.operation = Some(format!("op-{number}").parse().unwrap());
        let session = windlass.sessions().create(&caller, request).await.unwrap();
        for _ in 0..random.below(5) {
            let search = Use::one(Agent::Unchecked, "search".parse().unwrap());
            let used = windlass.sessions().use_tools(&caller, &session.id, search);
            used.await.unwrap();
        }
        if random.one_in(2) {
            let mut child = Create::new("helper".parse().unwrap(), "look closer");
            child.tools = Allow::All;
            child.time_limit_ms = 60_000;
            child.budget = Budget {
                calls: 5,
                ..child.budget
            };
            let request = Delegate::new(Agent::Unchecked, child);
            let made = windlass.sessions().delegate(&caller, &session.id, request);
            made.await.unwrap();
        }
        let stash = windlass.stashes().stash(&caller.tenant, &session.id);
        let execution = stash.execution(None);
        for entry in 0..random.below(6) {
            let key: Key = format!("k{entry}").parse().unwrap();
            let size = *random.pick(&[10, 2_000, 1_300_000]);
            let value = "x".repeat(size);
            execution.put(&key, &value, Some(60_000)).await.unwrap();
        }
        if random.one_in(3) {
            windlass
                .sessions()
                .close(&caller, &session.id, None)
                .await
                .unwrap();
        }
    }
    for _ in 0..random.below(3) {
        let grant = Grant {
            scope: Scope::Tenant {
                tenant: tenant(name),
                principal: "runtime".parse().unwrap(),
            },
            reach: Reach::Own,
            groups: Groups::None,
            verbs: Verbs::all(),
        };
        windlass
            .keys()
            .create(NewKey::new("a key", grant))
            .await
            .unwrap();
    }
}

async fn all(windlass: &Windlass) -> Vec<Entry> {
    windlass.export().await.unwrap().collect().await.unwrap()
}

/// The rows of everybody but one tenant, byte for byte. A key's row says in
/// its value whose it is.
fn beside(rows: &[Entry], name: &str) -> Vec<(String, Vec<u8>)> {
    let own = format!("\"tenant\":\"{name}\"");
    let shown = rows.iter().map(|row| {
        let key = String::from_utf8(row.key.to_vec()).unwrap();
        (key, row.value.to_vec())
    });
    let is_other = |(key, value): &(String, Vec<u8>)| {
        let of_key =
            key.starts_with("system/key/") && String::from_utf8_lossy(value).contains(&own);
        !of_key && !key.split('/').any(|segment| segment == name)
    };
    shown.filter(is_other).collect()
}

/// The rows of one tenant, but the two that say that it was erased.
fn left(rows: &[Entry], name: &str) -> Vec<String> {
    let others: Vec<String> = beside(rows, name).into_iter().map(|(key, _)| key).collect();
    let keys = rows
        .iter()
        .map(|row| String::from_utf8(row.key.to_vec()).unwrap());
    let kept = [
        format!("system/tenant/{name}/head"),
        format!("system/tenant/{name}/erasure"),
    ];
    keys.filter(|key| !others.contains(key) && !kept.contains(key))
        .collect()
}

/// Erases by processes each of which dies at its `life`th commit, half of
/// them before the store knows of it, until one answers.
async fn erase(windlass: &Windlass, env: &Arc<ManualEnv>, name: &str, life: u64) -> Certificate {
    for death in 0..1_000 {
        let faulty = Arc::new(Faulty::new(Arc::clone(windlass.store())));
        faulty.plan(Fault {
            verb: Some(Verb::Commit),
            number: life,
            moment: if death % 2 == 0 {
                Moment::After
            } else {
                Moment::Before
            },
            kind: StoreErrorKind::Closed,
        });
        let store: Arc<dyn Store> = faulty;
        let tenants = Tenants::new(store, env.clone());
        match tenants.erase(&tenant(name), &mut |_| {}).await {
            Ok(certificate) => return certificate,
            Err(error) => assert_eq!(error.code(), "store_closed", "{error:?}"),
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn a_tenant_goes_whole_however_often_its_erasure_dies() {
    for (seed, &scheme) in (1_u64..).zip(SCHEMES) {
        for (life, name) in [(2, "a"), (5, "a.b")] {
            let place = Place::new(scheme);
            let env = Arc::new(ManualEnv::new(seed, START));
            let windlass = open(&place, &env).await;
            let mut random = Random::new(seed ^ life << 8);
            for name in TENANTS {
                fill(&windlass, name, &mut random).await;
            }
            let before = all(&windlass).await;
            let rows = u64::try_from(left(&before, name).len()).unwrap();
            let certificate = erase(&windlass, &env, name, life).await;
            let after = all(&windlass).await;
            assert_eq!(left(&after, name), [""; 0], "{scheme} {name}");
            assert_eq!(
                beside(&after, name),
                beside(&before, name),
                "{scheme} {name}"
            );
            assert_eq!(
                (certificate.rows, certificate.remaining),
                (rows, 0),
                "{scheme} {name}"
            );
            let verified = windlass
                .tenants()
                .verify_erased(&tenant(name))
                .await
                .unwrap();
            assert_eq!((verified.remaining(), verified.status), (0, Status::Erased));
            windlass.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_was_not_erased_goes_on_as_before() {
    for &scheme in SCHEMES {
        let place = Place::new(scheme);
        let env = Arc::new(ManualEnv::new(3, START));
        let windlass = open(&place, &env).await;
        let mut random = Random::new(3);
        for name in ["a", "ab"] {
            fill(&windlass, name, &mut random).await;
        }
        windlass
            .tenants()
            .erase(&tenant("a"), &mut |_| {})
            .await
            .unwrap();
        let id = "s0".parse().unwrap();
        let shown = async |name: &str| {
            let caller = Caller::new(tenant(name), "runtime".parse().unwrap());
            windlass
                .sessions()
                .get(&caller, &id)
                .await
                .unwrap()
                .map(|session| session.id)
        };
        assert_eq!(shown("a").await, None, "{scheme}");
        assert_eq!(shown("ab").await.as_ref(), Some(&id), "{scheme}");
        env.advance_ms(365 * 24 * 3_600_000);
        let mut rounds = 0;
        while !all(&windlass)
            .await
            .iter()
            .all(|row| row.key.starts_with(b"system/"))
        {
            let done = windlass.maintain(1_000).await.unwrap();
            assert_eq!(done.sessions.unreadable, [], "{scheme}");
            assert_eq!(done.stashes.unreadable, [], "{scheme}");
            rounds += 1;
            assert!(rounds < 50, "{scheme}: upkeep never ends");
        }
        windlass.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_erased_is_not_shown_by_who_has_the_store_alone() {
    let location = "memory:".parse().unwrap();
    let engine = Windlass::open(&location, Options::exclusive())
        .await
        .unwrap();
    let caller = Caller::new(tenant("a"), "runtime".parse().unwrap());
    let request = Create::new("scout".parse().unwrap(), "look around");
    let session = engine.sessions().create(&caller, request).await.unwrap();
    let shown = engine.sessions().get(&caller, &session.id).await.unwrap();
    assert_eq!(shown, Some(session.clone()));
    let erased = engine.tenants().erase(&tenant("a"), &mut |_| {}).await;
    assert_eq!(erased.unwrap().tenant, tenant("a"));
    let shown = engine.sessions().get(&caller, &session.id).await.unwrap();
    assert_eq!(shown, None);
}

#[tokio::test]
async fn upkeep_drops_keys_that_ended_long_ago() {
    let place = Place::new("memory");
    let env = Arc::new(ManualEnv::new(4, START));
    let windlass = open(&place, &env).await;
    let grant = Grant {
        scope: Scope::Operator,
        reach: Reach::Own,
        groups: Groups::None,
        verbs: Verbs::all(),
    };
    let (key, _) = windlass
        .keys()
        .create(NewKey::new("a key", grant))
        .await
        .unwrap();
    windlass.keys().revoke(&key.id).await.unwrap();
    assert_eq!(windlass.maintain(10).await.unwrap().access.removed, 0);
    env.advance_ms(30 * 24 * 3_600_000);
    assert_eq!(windlass.maintain(10).await.unwrap().access.removed, 1);
    assert_eq!(windlass.keys().get(&key.id).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_process_still_writes_that_believes_in_the_tenant_is_erased_too() {
    // Real time: what waits here waits for other processes, which have it too.
    let location = "memory:".parse().unwrap();
    let one = Windlass::open(&location, Options::default()).await.unwrap();
    let env = Arc::new(SystemEnv::new());
    let other = Windlass::over(Arc::clone(one.store()), &Options::default(), env).unwrap();
    fill(&one, "a", &mut Random::new(1)).await;
    let (a, mut observe) = (tenant("a"), |_: &Progress| ());
    let erased = async { one.erase_tenant(&a, &mut observe).await.unwrap() };
    let late = async {
        while other.tenants().status(&a).await.unwrap() != Status::Erased {
            tokio::task::yield_now().await;
        }
        let caller = Caller::new(a.clone(), "runtime".parse().unwrap());
        let request = Create::new("scout".parse().unwrap(), "look around");
        other.sessions().create(&caller, request).await.unwrap();
        let written = other.tenants().verify_erased(&a).await.unwrap();
        assert!(written.remaining() > 0, "{written:?}");
    };
    let (certificate, ()) = tokio::join!(erased, late);
    let found = one.tenants().verify_erased(&a).await.unwrap();
    assert_eq!(
        (found.remaining(), found.certificate),
        (0, Some(certificate))
    );
}
