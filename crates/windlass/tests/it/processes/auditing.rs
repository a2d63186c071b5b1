//! Processes append to one chain at a time, and are killed at random moments:
//! it verifies, each event is in it once, and no number is given out twice.

use std::collections::BTreeSet;

use windlass::audit::{AuditOptions, AuditQuery, Verify};
use windlass::{Options, StoreLocation, Windlass};

use super::{Place, Player, Random, Role, caller, session, setting, tell};

const CYCLES: &str = "WINDLASS_AUDIT_KILL_CYCLES";
const CYCLES_DEFAULT: u64 = 8;
/// Most sessions that are waited for before a kill.
const TOLD_MAX: u64 = 40;

async fn open(location: &StoreLocation) -> Windlass {
    let options = Options {
        audit: Some(AuditOptions {
            linger_ms: 1,
            ..AuditOptions::default()
        }),
        ..Options::default()
    };
    Windlass::open(location, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_are_killed_again_and_again_leave_one_chain_that_verifies() {
    let place = Place::new("sqlite");
    let mut random = Random(17);
    let (mut through, mut told) = (0, BTreeSet::new());
    for cycle in 0..setting(CYCLES, CYCLES_DEFAULT) {
        let mut pair = [(); 2].map(|()| Player::start(Role::Audited, &place));
        let wanted = random.below(TOLD_MAX) + 1;
        for child in &mut pair {
            told.extend((0..wanted).filter_map(|_| child.hear()));
        }
        for child in pair {
            told.extend(child.kill());
        }
        let engine = open(&place.location()).await;
        let chain = caller().tenant.as_str().parse().unwrap();
        let audit = engine.audit();
        let verified = audit
            .verify(&chain, Verify::default(), &mut |_, _| {})
            .await;
        let verified = verified.unwrap();
        assert_eq!(verified.broken, None, "cycle {cycle}");
        assert!(
            verified.through >= through,
            "cycle {cycle}: it became shorter"
        );
        through = verified.through;
        engine.close().await.unwrap();
    }
    let engine = open(&place.location()).await;
    let once = named(&engine).await;
    assert!(
        once.len() > told.len() / 2,
        "{} of {}",
        once.len(),
        told.len()
    );
    engine.close().await.unwrap();
}

/// The sessions that the chain names, each of which it must name once.
async fn named(engine: &Windlass) -> BTreeSet<String> {
    let chain = caller().tenant.as_str().parse().unwrap();
    let (mut named, mut after) = (BTreeSet::new(), None);
    loop {
        let query = AuditQuery {
            after,
            limit: 1_000,
            newest_first: false,
        };
        let page = engine.audit().page(&chain, &query).await.unwrap();
        for chained in page.events {
            let id = chained.event.on[0].1.clone();
            assert!(named.insert(id), "{chained:?} is told twice");
        }
        match page.next {
            None => return named,
            next => after = next,
        }
    }
}

/// Makes sessions as fast as they are acknowledged, until killed.
pub(super) async fn play_audited(engine: Windlass) {
    let location = super::variable(super::PATH).unwrap().parse().unwrap();
    engine.close().await.unwrap();
    let engine = open(&location).await;
    for number in 0.. {
        let id = format!("s-{}-{number}", std::process::id());
        let request = session(&id, &format!("agent-{}", number % 7), 1);
        engine.sessions().create(&caller(), request).await.unwrap();
        tell(&id);
    }
}
