//! Entries lie in sled as `docs/storage-layout.md` says, byte by byte.

use windlass_store::{Batch, Store};

use crate::common::{Place, apply};
use crate::fixture::open_raw;

const PIECE_BYTES: usize = 32 * 1_024;

/// What sled has under a key.
fn row(db: &sled::Db, key: &[u8]) -> Vec<u8> {
    let value = db.get(key).expect("it can be read");
    value.unwrap_or_else(|| panic!("no row {key:?}")).to_vec()
}

#[tokio::test]
async fn entries_lie_as_the_page_says() {
    let place = Place::new();
    let store = place.open().await;
    let large = vec![b'x'; PIECE_BYTES + 100];
    apply(&store, Batch::new().put("acme/a", "hello")).await;
    let batch = Batch::new().put("acme/a", "hello again");
    let version = apply(&store, batch.put(&[0xff; 4][..], large.clone())).await;
    store.close().await.expect("the store closes");

    let db = open_raw(&place.store()).expect("sled opens its files");
    let keys: Vec<_> = db
        .iter()
        .keys()
        .map(|key| key.expect("a key").to_vec())
        .collect();
    let piece = |number| [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, number].to_vec();
    let escaped = vec![2, 0xff, 0xff, 0xff, 1, 0xff];
    let expected = [
        vec![1],
        b"\x02acme/a".to_vec(),
        escaped.clone(),
        piece(0),
        piece(1),
    ];
    assert_eq!(keys, expected);

    let small = row(&db, b"\x02acme/a");
    assert_eq!(small[..9], [0, 0, 0, 0, 0, 0, 0, 0, 2], "form and commit");
    assert_eq!(small[13..24], *b"hello again");
    assert_eq!(small.len(), 13 + 11 + 9, "the seal is behind the value");

    let head = row(&db, &escaped);
    assert_eq!(head[..9], [1, 0, 0, 0, 0, 0, 0, 0, 2], "form and commit");
    let length = u32::try_from(large.len() + 9).expect("it is small");
    assert_eq!(head[13..], [&[0, 1][..], &length.to_be_bytes()].concat());
    let pieces = [row(&db, &piece(0)), row(&db, &piece(1))];
    assert_eq!((pieces[0].len(), pieces[1].len()), (PIECE_BYTES, 109));
    assert_eq!(pieces.concat()[..large.len()], large);

    let ledger = row(&db, &[1]);
    let incarnation = version.incarnation().number().to_be_bytes();
    assert_eq!(ledger[..8], incarnation);
    assert_eq!(
        ledger[8..24],
        [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    );
    assert_eq!(ledger.len(), 36);
}
