//! The contract through a pooler that gives each transaction another
//! connection.

use std::sync::Arc;

use windlass_store_testing::postgres::{Pooler, Server};
use windlass_store_testing::suite::block_on;
use windlass_store_testing::{Outcome, PROMISES};

use crate::common::Place;
use crate::fixture::Schemas;

/// The promises that take more than one statement, connection or process.
const PROMISED: [u8; 9] = [1, 2, 4, 8, 9, 10, 13, 17, 19];

#[test]
#[expect(clippy::print_stdout, reason = "a test says what it leaves out")]
fn the_contract_holds_behind_a_pooler_of_transactions() {
    let server = Server::shared().unwrap_or_else(|error| panic!("{error}"));
    let pooler = Pooler::start(&server).unwrap_or_else(|error| panic!("{error}"));
    let Some(pooler) = pooler else {
        println!("skipped: no `pgbouncer` is installed");
        return;
    };
    let kept = PROMISES
        .iter()
        .filter(|promise| PROMISED.contains(&promise.number));
    for promise in kept {
        let place = Place::on(Arc::clone(&server), pooler.url());
        let mut fixture = Schemas::beside(place);
        let outcome = block_on(promise.check(&mut fixture));
        let outcome = outcome.unwrap_or_else(|broken| panic!("{broken}"));
        assert_eq!(outcome, Outcome::Passed, "{promise:?}");
    }
}
