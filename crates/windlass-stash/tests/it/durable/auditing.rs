//! What a listener hears of the durable form: the same as of the other.

use windlass_stash::durable::Stashes;
use windlass_stash::{KeyQuery, Operation, Put};

use super::world::{World, execution, stash, strict};
use crate::auditing::Ledger;
use crate::support::{code, key, sized};

#[tokio::test]
async fn every_operation_is_told_and_none_has_to_wait_for_the_listener() {
    let world = World::new(|config| config.operations_max = Some(12));
    let ledger = Ledger::new(&world.env);
    let (store, env) = (strict(&world.ground), world.env.clone());
    let stashes = Stashes::with_audit(store, env, world.options.clone(), ledger.clone());
    let stashes = stashes.expect("settings in range");
    let execution = execution(&stashes, Some("a"));
    let (k, none) = (key("k"), key("none"));
    execution.put(&k, "secret", None).await.expect("stored");
    execution.get(&k).await.expect("readable");
    execution.get(&none).await.expect("readable");
    execution.touch(&k, None).await.expect("mine");
    let added = execution.increment(&k, 1, None).await;
    assert_eq!(code(added), "not_a_number");
    execution.keys(&KeyQuery::default()).await.expect("a page");
    let put = Put::new(k.clone(), sized(300_000));
    let step = [
        Operation::Put(put.clone()),
        Operation::Delete(none),
        Operation::Get(k.clone()),
    ];
    execution.step(&step).await.expect("granted");
    let refused = [Operation::Get(k.clone()), Operation::Put(put.ttl_ms(0))];
    assert_eq!(code(execution.step(&refused).await), "ttl_zero");
    execution.delete(&k).await.expect("mine");
    assert_eq!(code(execution.get(&k).await), "operation_limit");
    assert_eq!(code(execution.clear().await), "operation_limit");
    stash(&stashes).reap_expired(None).await.expect("a store");
    let expected = [
        "Put k a 8 done",
        "Get k a 8 done",
        "Get none a - absent",
        "Touch k a - done",
        "Increment k a - not_a_number",
        "Keys - a - done",
        "Put k a 300000 done",
        "Delete none a - absent",
        "Get k a 300000 done",
        "Step k a - ttl_zero",
        "Delete k a - done",
        "Get k a - operation_limit",
        "Clear - a - operation_limit",
        "Reap - - 0 done",
    ];
    assert_eq!(ledger.lines(), expected);
}
