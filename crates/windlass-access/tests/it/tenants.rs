//! Finding tenants, and their quotas.

use windlass_access::{AccessError, Quota, Status, TenantQuery};
use windlass_core::Coded;
use windlass_store_testing::StrictOptions;

use crate::support::{World, grant_of, strict, tenant};

fn quota(sessions: u64) -> Quota {
    Quota {
        sessions: Some(sessions),
        stash_bytes: None,
    }
}

async fn all_pages(world: &World, limit: usize) -> Vec<String> {
    let mut query = TenantQuery { limit, after: None };
    let mut names = Vec::new();
    loop {
        let page = world.tenants.list(&query).await.expect("a page");
        names.extend(page.tenants.iter().map(|tenant| tenant.tenant.to_string()));
        if page.next.is_none() {
            return names;
        }
        assert_eq!(page.tenants.len(), limit);
        query.after = page.next;
    }
}

#[tokio::test]
async fn a_tenant_is_there_once_it_has_data_a_key_or_a_quota() {
    let world = World::new();
    let get = async |name: &str| world.tenants.get(&tenant(name)).await.expect("a read");
    assert_eq!(get("acme").await, None);
    world.put("acme.b/session/s1/head", "{}").await;
    assert_eq!(get("acme").await, None, "a longer name is another tenant");
    world.put("acme/session/s1/head", "{}").await;
    let found = get("acme").await.expect("a tenant");
    assert_eq!(
        (found.status, found.quota, found.keys),
        (Status::Active, Quota::default(), 0)
    );
    world.make(grant_of("beta", &["*"])).await;
    assert_eq!(get("beta").await.map(|found| found.keys), Some(1));
    let set = world
        .tenants
        .set_quota(&tenant("gamma"), quota(3))
        .await
        .expect("set");
    assert_eq!(get("gamma").await, Some(set));
}

#[tokio::test]
async fn lists_merge_records_and_data_and_step_over_what_is_no_tenants() {
    let world = World::new();
    for name in ["a", "a-b", "a.b", "ab", "due.", "e", "systems", "z"] {
        world.put(&format!("{name}/session/s1/head"), "{}").await;
        world.put(&format!("{name}/session/s2/head"), "{}").await;
    }
    for name in ["a.b", "b", "zz"] {
        world.make(grant_of(name, &["*"])).await;
    }
    world.put("due/00000000000000000001/session/q/s1", "").await;
    world.put("system/import", "{}").await;
    world.put("no-tenant", "").await;
    // In the order of their keys: `-` and `.` come before `/`.
    let expected = [
        "a-b", "a.b", "a", "ab", "b", "due.", "e", "systems", "zz", "z",
    ];
    let mut expected = expected.to_vec();
    expected.sort_by_key(|name| format!("{name}/"));
    for limit in [1, 3, expected.len(), 1_000] {
        assert_eq!(all_pages(&world, limit).await, expected, "{limit}");
    }
}

#[tokio::test]
async fn a_damaged_record_is_named_in_lists_and_refused_by_itself() {
    let world = World::new();
    world.make(grant_of("acme", &["*"])).await;
    world.make(grant_of("beta", &["*"])).await;
    world
        .put("system/tenant/acme/head", r#"{"v":1,"colour":3}"#)
        .await;
    let page = world
        .tenants
        .list(&TenantQuery::default())
        .await
        .expect("a page");
    let named: Vec<_> = page
        .unreadable
        .iter()
        .map(|one| one.tenant.as_str())
        .collect();
    assert_eq!((page.tenants.len(), named), (1, vec!["acme"]));
    let failed = world.tenants.standing(&tenant("acme")).await.unwrap_err();
    assert!(
        matches!(failed, AccessError::Corrupt { record: "head", .. }),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_quota_stays_as_it_was_said_last_also_over_a_store_that_fails() {
    let world = World::new();
    let tenants = world.tenants_over(strict(&world.ground, StrictOptions::ALL));
    for sessions in 0..40 {
        while let Err(error) = tenants.set_quota(&tenant("acme"), quota(sessions)).await {
            let code = error.code();
            assert!(
                ["store_unavailable", "store_indeterminate"].contains(&code),
                "{code}"
            );
        }
        let standing = world
            .tenants
            .standing(&tenant("acme"))
            .await
            .expect("a read");
        assert_eq!(standing, (Status::Active, quota(sessions)));
    }
    let none = world
        .tenants
        .set_quota(&tenant("acme"), Quota::default())
        .await
        .expect("set");
    assert!(none.quota.is_unlimited());
}

#[tokio::test]
async fn keys_and_quotas_of_a_tenant_do_not_disturb_each_other() {
    let world = World::new();
    world.make(grant_of("acme", &["*"])).await;
    world
        .tenants
        .set_quota(&tenant("acme"), quota(5))
        .await
        .expect("set");
    world.make(grant_of("acme", &["*"])).await;
    let found = world
        .tenants
        .get(&tenant("acme"))
        .await
        .expect("a read")
        .expect("a tenant");
    assert_eq!((found.keys, found.quota), (2, quota(5)));
}
