//! What a reader was let in with: it may expire, but not be revoked.

use windlass_core::Coded;
use windlass_stream::{Caller, Credential, Ending, Open, Reader, Start};

use crate::support::{START, World, caller, caller_of, read_all, stream};

fn named(name: &str) -> Credential {
    Credential {
        name: Some(name.into()),
        expires: None,
    }
}

async fn follow(world: &World, credential: Credential) -> Reader {
    let open = Open {
        follow: true,
        ..Open::all(stream("out"))
    };
    let streams = world.streams.under(credential);
    let mut reader = streams.open(&caller(), &open).await.expect("there");
    reader.next().await.expect("a store that works");
    reader
}

#[tokio::test]
async fn of_a_revoked_credential_all_reads_end_at_once_and_no_others() {
    let world = World::frozen();
    let mut writer = world.filled(0, 0).await;
    let mut ended = [
        follow(&world, named("key-1")).await,
        follow(&world, named("key-1")).await,
    ];
    let mut other = follow(&world, named("key-2")).await;
    let mut nameless = follow(&world, Credential::default()).await;
    let [one, two] = &mut ended;
    let meant =
        |who: &Caller, it: &Credential| *who == caller() && it.name.as_deref() == Some("key-1");
    let revoking = async { world.streams.end_leases(meant) };
    // They wait when it happens.
    let (one, two, count) = tokio::join!(one.next(), two.next(), revoking);
    assert_eq!(count, 2);
    for read in [one, two] {
        assert_eq!(read.expect_err("ended").code(), "lease_revoked");
    }
    assert_eq!(world.streams.occupancy().all, 2);
    let closed = world.heard.words();
    assert_eq!(closed[4..], ["stream.closed cancelled 0"; 2]);
    assert_eq!(world.streams.end_leases(meant), 0);
    writer.close(Ending::Finished).await.expect("open");
    for reader in [&mut other, &mut nameless] {
        let body = String::from_utf8(read_all(reader).await).expect("text");
        assert!(body.starts_with("{\"end\":"), "{body}");
    }
    let foreign = caller_of("acme", "bob");
    let revoked = world.streams.end_leases(|who, _| *who == foreign);
    assert_eq!(revoked, 0);
}

#[tokio::test]
async fn a_read_that_was_cut_off_by_revoking_goes_on_with_another_credential() {
    let world = World::new();
    world.filled(3, 1).await;
    let streams = world.streams.under(named("key-1"));
    let open = Open::all(stream("out"));
    let mut reader = streams.open(&caller(), &open).await.expect("there");
    let frame = reader.next().await.expect("works");
    let Some(windlass_stream::Frame::Open(opened)) = frame else {
        panic!("{frame:?}");
    };
    assert_eq!(world.streams.end_leases(|_, _| true), 1);
    let ended = reader.next().await.expect_err("revoked");
    assert_eq!(ended.code(), "lease_revoked");
    assert_eq!(reader.next().await.expect("it has ended"), None);
    let cursor = opened.cursor.parse().expect("a cursor");
    let again = world.streams.under(named("key-2"));
    let resumed = again.resume(&caller(), &cursor, None).await;
    let body = read_all(&mut resumed.expect("it lasts")).await;
    assert_eq!(
        String::from_utf8(body)
            .expect("text")
            .matches("{\"row\"")
            .count(),
        3
    );
}

#[tokio::test]
async fn a_token_that_expires_ends_nothing_and_is_told_once() {
    let world = World::new();
    world.filled(4, 1).await;
    let token = Credential {
        name: None,
        expires: Some(START.plus_ms(1_000)),
    };
    let streams = world.streams.under(token.clone());
    let open = Open::all(stream("out"));
    let mut reader = streams.open(&caller(), &open).await.expect("there");
    world.env.advance_ms(999);
    reader.next().await.expect("works");
    world.env.advance_ms(1);
    let body = read_all(&mut reader).await;
    assert_eq!(
        String::from_utf8(body)
            .expect("text")
            .matches("{\"row\"")
            .count(),
        4
    );
    drop(reader);
    let heard = world.heard.words();
    let expected = [
        "stream.opened 4",
        "stream.token_expired_during_lease",
        "stream.closed ok 4",
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn a_token_that_expires_while_nobody_reads_on_is_told_at_the_end() {
    let world = World::new();
    world.filled(1, 1).await;
    let token = Credential {
        name: None,
        expires: Some(START.plus_ms(1_000)),
    };
    drop(
        world
            .open(Start::Earliest)
            .await
            .expect("no token, no event"),
    );
    let streams = world.streams.under(token);
    let early = streams.open(&caller(), &Open::all(stream("out"))).await;
    drop(early.expect("before it expires"));
    let late = streams.open(&caller(), &Open::all(stream("out"))).await;
    world.env.advance_ms(1_000);
    drop(late.expect("opened before"));
    let expired = |word: &&String| word.contains("token_expired");
    let heard = world.heard.words();
    assert_eq!(heard.iter().filter(expired).count(), 1, "{heard:?}");
    assert_eq!(heard[5], "stream.token_expired_during_lease", "{heard:?}");
}
