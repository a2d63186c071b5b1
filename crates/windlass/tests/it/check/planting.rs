//! What was planted is found, and put right where that follows from the rest.

use bytes::Bytes;
use windlass::check::{Check, CheckReport, Mode, Repair};
use windlass::store::Entry;

use super::world::World;

/// Code, key and what became of each finding.
fn found(report: &CheckReport) -> Vec<(&'static str, String, Repair)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.code, finding.key.clone(), finding.repair))
        .collect()
}

fn text(key: &Bytes) -> String {
    String::from_utf8(key.to_vec()).unwrap()
}

async fn assert_clean(world: &World, when: &str) {
    let report = world.check(Mode::Look).await;
    assert_eq!(found(&report), [], "{when}");
    assert!(report.is_clean(), "{when}");
}

#[tokio::test]
async fn in_a_sound_store_nothing_is_found_and_nothing_is_left_behind() {
    let world = World::filled().await;
    let before = world.entries(&[]).await;
    for mode in [Mode::Look, Mode::Repair] {
        let report = world.check(mode).await;
        assert_eq!(found(&report), []);
        assert_eq!(report.rows, u64::try_from(before.len()).unwrap());
    }
    assert_eq!(world.entries(&[]).await, before);
    let tenant = Check {
        tenant: Some("acme".parse().unwrap()),
        ..Check::default()
    };
    let report = world.windlass.check(&tenant, &mut |_| ()).await;
    assert_eq!(found(&report), []);
}

/// Rows that follow from records, by what is in their keys.
const DERIVED: &[&[&str]] = &[
    &["due/", "/session/acme/s1"],
    &["due/", "/stash/acme/s1"],
    &["due/", "/checkpoint/acme/s1"],
    &["due/", "/queue/acme/s1"],
    &["due/", "/audit/acme"],
    &["acme/session/s1/alive"],
    &["acme/created/", "/s1"],
    &["acme/agent/scout/created/", "/s1"],
    &["acme/agent/scout/active/", "/s1"],
    &["acme/queue-ready/", "/s1"],
    &["acme/streams/s1/"],
    &["acme/lineage/", "/member/s1"],
    &["system/tenant/acme/key/"],
];

#[tokio::test]
async fn a_row_of_an_index_that_is_missing_is_found_and_put_back() {
    for texts in DERIVED {
        let world = World::filled().await;
        let rows = world.entries(texts).await;
        let Some(Entry { key, value, .. }) = rows.into_iter().next() else {
            panic!("there is no row with {texts:?}");
        };
        world.delete(&key).await;
        let missing = ("index_row_missing", text(&key));
        let looked = found(&world.check(Mode::Look).await);
        let expected = (missing.0, missing.1.clone(), Repair::Possible);
        assert!(looked.contains(&expected), "{texts:?}: {looked:?}");
        assert_eq!(world.get(&key).await, None, "{texts:?}: looking changed it");
        let repaired = found(&world.check(Mode::Repair).await);
        let expected = (missing.0, missing.1, Repair::Done);
        assert!(repaired.contains(&expected), "{texts:?}: {repaired:?}");
        assert_eq!(world.get(&key).await, Some(value), "{texts:?}");
        assert_clean(&world, &format!("{texts:?}")).await;
    }
}

#[tokio::test]
async fn a_row_of_an_index_that_nothing_calls_for_is_found_and_removed() {
    for texts in DERIVED {
        let world = World::filled().await;
        let rows = world.entries(texts).await;
        let row = text(&rows[0].key);
        // The same at another time, or of one that is not there.
        let planted = match row.contains("/0000000") {
            true => row.replacen("/0000000", "/0000001", 1),
            false => row.replace("s1", "s9").replace("/key/", "/key/00"),
        };
        let planted = match planted.strip_prefix("system/tenant/acme/key/00") {
            Some(rest) => format!("system/tenant/acme/key/{:0>16.16}", format!("ff{rest}")),
            None => planted,
        };
        world.put(planted.clone(), rows[0].value.clone()).await;
        let looked = found(&world.check(Mode::Look).await);
        let dangling = ("index_row_dangling", planted.clone(), Repair::Possible);
        assert!(looked.contains(&dangling), "{texts:?}: {looked:?}");
        let repaired = world.check(Mode::Repair).await;
        let done = ("index_row_dangling", planted.clone(), Repair::Done);
        let told = found(&repaired);
        assert!(told.contains(&done), "{texts:?}: {told:?}");
        assert_eq!(world.get(&planted.into()).await, None, "{texts:?}");
        assert_clean(&world, &format!("{texts:?}")).await;
    }
}

#[tokio::test]
async fn a_row_of_an_index_with_another_value_is_found_and_put_right() {
    let world = World::filled().await;
    let rows = world.entries(&["acme/agent/helper/active/"]).await;
    assert!(!rows[0].value.is_empty(), "it names the sessions above");
    world.put(rows[0].key.clone(), Bytes::new()).await;
    let key = text(&rows[0].key);
    let repaired = found(&world.check(Mode::Repair).await);
    assert_eq!(repaired, [("index_row_differs", key, Repair::Done)]);
    assert_eq!(world.get(&rows[0].key).await, Some(rows[0].value.clone()));
    assert_clean(&world, "put right").await;
}

#[tokio::test]
async fn a_count_that_is_wrong_is_put_right_and_one_that_guards_rows_is_not() {
    let heads = [
        ("acme/agent/scout/head", "\"active\":2", "\"active\":7"),
        ("system/tenant/acme/head", "\"keys\":2", "\"keys\":3"),
    ];
    for (key, right, wrong) in heads {
        let world = World::filled().await;
        let key = Bytes::from(key);
        let before = world.get(&key).await.unwrap();
        let changed = text(&before).replace(right, wrong);
        assert_ne!(changed, text(&before), "{key:?} has no {right}");
        world.put(key.clone(), changed).await;
        let repaired = found(&world.check(Mode::Repair).await);
        assert_eq!(repaired, [("count_differs", text(&key), Repair::Done)]);
        assert_eq!(
            world.get(&key).await.map(|it| text(&it)),
            Some(text(&before))
        );
        assert_clean(&world, &text(&key)).await;
    }
}

/// What is deleted or changed, the code it is found by, and the key that is
/// named.
const LOST: &[(&[&str], &str, &str)] = &[
    (
        &["acme/session/s1/event/"],
        "rows_missing",
        "acme/session/s1/head",
    ),
    (
        &["acme/session/s1/head"],
        "record_missing",
        "acme/session/s1/head",
    ),
    (
        &["acme/session/s1/spec"],
        "record_missing",
        "acme/session/s1/spec",
    ),
    (
        &["acme/stash/s1/entry/k"],
        "rows_missing",
        "acme/stash/s1/head",
    ),
    (
        &["acme/stash/s1/head"],
        "record_missing",
        "acme/stash/s1/head",
    ),
    (
        &["acme/stash/s1/piece/"],
        "rows_missing",
        "acme/stash/s1/entry/long",
    ),
    (
        &["acme/checkpoint/s1/log/"],
        "rows_missing",
        "acme/checkpoint/s1/head",
    ),
    (
        &["acme/checkpoint/s1/head"],
        "record_missing",
        "acme/checkpoint/s1/head",
    ),
    (
        &["acme/queue/s1/item/"],
        "rows_missing",
        "acme/queue/s1/head",
    ),
    (
        &["acme/queue/s1/head"],
        "record_missing",
        "acme/queue/s1/head",
    ),
    (
        &["acme/lineage/", "/chunk/"],
        "dangling_reference",
        "acme/lineage/",
    ),
    (
        &["acme/stream/", "/chunk/", "00000000001"],
        "digest_differs",
        "/chunk/",
    ),
    (&["acme/stream/", "/floor"], "record_missing", "/floor"),
    (&["acme/stream/", "/head"], "record_missing", "/head"),
    (
        &["system/tenant/acme/head"],
        "record_missing",
        "system/tenant/acme/head",
    ),
    (
        &["acme/audit/event/", "00000000002"],
        "audit_broken",
        "acme/audit/event/",
    ),
];

#[tokio::test]
async fn a_row_that_nothing_can_bring_back_is_found_named_and_left() {
    for (texts, code, named) in LOST {
        let world = World::filled().await;
        let rows = world.entries(texts).await;
        let Some(lost) = rows.first() else {
            panic!("there is no row with {texts:?}");
        };
        world.delete(&lost.key).await;
        let repaired = world.check(Mode::Repair).await;
        let told = found(&repaired);
        let is_it = |(found, key, repair): &(&str, String, Repair)| {
            found == code && key.contains(named) && *repair == Repair::None
        };
        assert!(told.iter().any(is_it), "{texts:?}: {told:?}");
        assert!(!repaired.is_clean(), "{texts:?}");
        assert_eq!(world.get(&lost.key).await, None, "{texts:?} was guessed");
    }
}

#[tokio::test]
async fn what_a_record_calls_for_stays_while_nobody_can_read_the_record() {
    for record in [
        "acme/session/s1/head",
        "acme/stash/s1/head",
        "acme/queue/s1/head",
        "acme/checkpoint/s1/head",
    ] {
        let world = World::filled().await;
        let [entry] = &world.entries(&[record]).await[..] else {
            panic!("there is no one row with {record}");
        };
        let mut before = Vec::new();
        for texts in DERIVED {
            before.extend(world.entries(texts).await);
        }
        world.put(entry.key.clone(), "{\"v\":1,").await;
        let repaired = world.check(Mode::Repair).await;
        let told = found(&repaired);
        let is_it = |(code, key, repair): &(&str, String, Repair)| {
            *code == "corrupt_record" && key == record && *repair == Repair::None
        };
        assert!(told.iter().any(is_it), "{record}: {told:?}");
        let mut after = Vec::new();
        for texts in DERIVED {
            after.extend(world.entries(texts).await);
        }
        assert_eq!(before, after, "{record}: {told:?}");
    }
}

#[tokio::test]
async fn contents_that_are_not_what_their_digest_says_are_found() {
    let table: [(&[&str], &str); 3] = [
        (&["acme/stream/", "/chunk/"], "digest_differs"),
        (&["acme/lineage/", "/chunk/"], "digest_differs"),
        (&["acme/session/s1/head"], "budget_differs"),
    ];
    for (texts, code) in table {
        let world = World::filled().await;
        let entry = world.entries(texts).await.remove(0);
        let mut value = entry.value.to_vec();
        if code == "budget_differs" {
            let text = text(&entry.value);
            assert!(text.contains("\"calls\":[100,3]"), "{text}");
            value = text.replace("[100,3]", "[100,2]").into_bytes();
        } else if texts[0] == "acme/stream/" {
            let at = value.iter().position(|byte| *byte == b'1').unwrap();
            value[at] = b'9';
        } else {
            let last = value.len() - 1;
            value[last] ^= 1;
        }
        world.put(entry.key.clone(), value).await;
        let told = found(&world.check(Mode::Repair).await);
        let is_it =
            |(found, ..): &(&str, String, Repair)| *found == code || *found == "corrupt_record";
        assert!(told.iter().any(is_it), "{texts:?}: {told:?}");
    }
}

#[tokio::test]
async fn more_findings_than_are_kept_are_counted() {
    let world = World::filled().await;
    for number in 0..30 {
        world
            .put(
                format!("acme/created/{number:020}/none-{number}"),
                Bytes::new(),
            )
            .await;
    }
    let asked = Check {
        findings_max: 10,
        ..Check::default()
    };
    let report = world.windlass.check(&asked, &mut |_| ()).await;
    assert_eq!((report.findings.len(), report.more), (10, 20));
    let repair = Check {
        mode: Mode::Repair,
        ..asked
    };
    let report = world.windlass.check(&repair, &mut |_| ()).await;
    assert_eq!(report.repaired, 30);
    assert_clean(&world, "all thirty").await;
}

#[tokio::test]
async fn upkeep_that_was_due_long_ago_is_a_warning() {
    let world = World::filled().await;
    world.env.advance_ms(400 * 24 * 3_600_000);
    let told = found(&world.check(Mode::Look).await);
    let codes: Vec<&str> = told.iter().map(|(code, ..)| *code).collect();
    assert!(codes.contains(&"upkeep_overdue"), "{told:?}");
    assert!(codes.contains(&"lease_overdue"), "{told:?}");
}
