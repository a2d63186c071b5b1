//! An export is verified by itself: what it shows, and what only something
//! that was noted elsewhere does.

use std::io::{self, BufRead, BufReader, Read};

use windlass::audit::limits::LINE_BYTES_MAX;
use windlass::audit::{
    AuditQuery, BreakKind, Chain, ChainHash, LineBreak, VerifiedLines, VerifyLines, verify_lines,
};

use super::{Stage, acme};

/// The lines of all events.
async fn lines_of(stage: &Stage) -> Vec<Vec<u8>> {
    let (chain, all) = (acme(), AuditQuery::default());
    let page = stage.engine.audit().lines(&chain, &all).await.unwrap();
    let lines = page.lines.into_iter();
    lines.map(|(_, line)| line.to_vec()).collect()
}

/// An export of so many events.
async fn exported(events: usize) -> (Stage, Vec<Vec<u8>>) {
    let stage = Stage::new();
    stage.create(events).await;
    let lines = lines_of(&stage).await;
    (stage, lines)
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| line.iter().copied().chain([b'\n']))
        .collect()
}

fn verify(lines: &[Vec<u8>], asked: VerifyLines) -> VerifiedLines {
    verify_lines(joined(lines).as_slice(), asked, &mut |_| {}).unwrap()
}

fn broken(lines: &[Vec<u8>]) -> Option<(u64, Option<u64>, BreakKind)> {
    place(&verify(lines, VerifyLines::default()))
}

fn place(verified: &VerifiedLines) -> Option<(u64, Option<u64>, BreakKind)> {
    let broken: LineBreak = verified.broken?;
    Some((broken.line, broken.seq, broken.kind))
}

fn held_to(noted: (u64, ChainHash)) -> VerifyLines {
    VerifyLines {
        noted: Some(noted),
        ..VerifyLines::default()
    }
}

#[tokio::test]
async fn lines_that_nobody_touched_verify_from_every_event() {
    let (stage, lines) = exported(5).await;
    let head = stage.engine.audit().head(&acme()).await.unwrap();
    for (from, granted) in [
        (None, None),
        (Some(1), None),
        (Some(2), Some(1)),
        (Some(5), Some(4)),
        (Some(6), Some(5)),
    ] {
        let asked = VerifyLines {
            from,
            ..VerifyLines::default()
        };
        let verified = verify(&lines, asked);
        assert_eq!(place(&verified), None, "from {from:?}");
        let first = from.unwrap_or(1);
        assert_eq!((verified.from, verified.through), (first, 5));
        assert_eq!((verified.events, verified.granted), (6 - first, granted));
        assert_eq!(
            (verified.chain, verified.hash),
            (Some(acme()), Some(head.hash))
        );
    }
    let cut = joined(&lines);
    let whole = verify_lines(&cut[..cut.len() - 1], VerifyLines::default(), &mut |_| {});
    assert_eq!(
        place(&whole.unwrap()),
        None,
        "only the last line feed is gone"
    );
}

#[tokio::test]
async fn every_changed_byte_is_found_at_its_line() {
    let (_, lines) = exported(4).await;
    for (number, line) in lines.iter().enumerate() {
        for at in 0..line.len() {
            let mut changed = lines.clone();
            changed[number][at] ^= 1;
            let (found, _, kind) = broken(&changed).unwrap();
            let expected = u64::try_from(number).unwrap() + 1;
            assert_eq!(found, expected, "byte {at}: {kind:?}");
        }
    }
}

#[tokio::test]
async fn missing_doubled_reordered_and_foreign_lines_are_found() {
    let (_, lines) = exported(4).await;
    let of =
        |numbers: &[usize]| -> Vec<_> { numbers.iter().map(|at| lines[at - 1].clone()).collect() };
    use BreakKind::{Misplaced, Missing, NoLine};
    for (numbers, expected) in [
        (&[1, 3, 4][..], (2, Some(2), Missing)),
        (&[1, 2, 4], (3, Some(3), Missing)),
        (&[1, 1, 2], (2, Some(2), Misplaced)),
        (&[1, 3, 2], (2, Some(2), Missing)),
        (&[1, 2, 3, 1], (4, Some(4), Misplaced)),
    ] {
        assert_eq!(broken(&of(numbers)), Some(expected), "{numbers:?}");
    }
    let foreign = VerifyLines {
        chain: Some(Chain::System),
        ..VerifyLines::default()
    };
    let found = verify(&lines, foreign);
    assert_eq!(place(&found), Some((1, Some(1), Misplaced)));
    let mut with = of(&[1, 2]);
    with.insert(1, b"{\"v\":1}".to_vec());
    assert_eq!(broken(&with), Some((2, Some(2), NoLine)));
    with[1] = Vec::new();
    assert_eq!(broken(&with), Some((2, Some(2), NoLine)));
    assert_eq!(broken(&[b"hello".to_vec()]), Some((1, None, NoLine)));
}

#[tokio::test]
async fn a_cut_tail_is_found_by_what_was_noted_and_by_nothing_else() {
    let (stage, lines) = exported(4).await;
    let head = stage.engine.audit().head(&acme()).await.unwrap();
    let noted = held_to((head.last, head.hash));
    assert_eq!(place(&verify(&lines, noted.clone())), None);
    assert_eq!(broken(&lines[..2]), None, "it looks whole");
    let cut = verify(&lines[..2], noted.clone());
    assert_eq!(place(&cut), Some((3, Some(3), BreakKind::CutOff)));
    assert_eq!((cut.events, cut.through), (2, 2));
    let mut half = lines.clone();
    half[3].truncate(100);
    assert_eq!(broken(&half), Some((4, Some(4), BreakKind::NoLine)));
    assert_eq!(broken(&[]), Some((1, Some(1), BreakKind::CutOff)));
    let part = VerifyLines {
        anchor: Some(head.hash),
        ..VerifyLines::default()
    };
    assert_eq!(place(&verify(&[], part)), None, "nothing came since");
    let none = verify(&[], noted);
    assert_eq!((none.events, none.hash, none.chain), (0, None, None));
}

#[tokio::test]
async fn lines_that_were_written_anew_are_found_by_what_was_noted_and_by_nothing_else() {
    let (stage, lines) = exported(3).await;
    let other = Stage::new();
    other.env.advance_ms(1);
    other.create(3).await;
    let anew = lines_of(&other).await;
    assert!(anew != lines, "the same chain again proves nothing");
    assert_eq!(broken(&anew), None, "it is a chain");
    let head = stage.engine.audit().head(&acme()).await.unwrap();
    for (seq, hash) in [
        (3, head.hash),
        (2, verify(&lines[..2], VerifyLines::default()).hash.unwrap()),
    ] {
        assert_eq!(place(&verify(&lines, held_to((seq, hash)))), None);
        let found = place(&verify(&anew, held_to((seq, hash))));
        assert_eq!(found, Some((seq, Some(seq), BreakKind::Rewritten)));
    }
}

#[tokio::test]
async fn the_first_line_of_a_later_part_is_verified_by_the_hash_before_it() {
    let (_, lines) = exported(5).await;
    let before = verify(&lines[..2], VerifyLines::default()).hash.unwrap();
    let part = &lines[2..];
    let alone = verify(part, VerifyLines::default());
    assert_eq!(
        (place(&alone), alone.granted, alone.from),
        (None, Some(3), 4)
    );
    let mut changed = part.to_vec();
    let at = changed[0]
        .windows(8)
        .position(|it| it == b"\"runtime")
        .unwrap();
    changed[0][at + 1] = b'R';
    assert_eq!(broken(&changed), None, "what is granted is not verified");
    let anchored = VerifyLines {
        anchor: Some(before),
        ..VerifyLines::default()
    };
    for asked in [anchored, held_to((2, before))] {
        let whole = verify(part, asked.clone());
        assert_eq!((place(&whole), whole.granted, whole.from), (None, None, 3));
        let found = place(&verify(&changed, asked));
        assert_eq!(found, Some((1, Some(3), BreakKind::Changed)));
    }
    let early = verify(part, held_to((1, before)));
    assert_eq!(place(&early), Some((1, Some(1), BreakKind::Missing)));
    let from = |from| VerifyLines {
        from: Some(from),
        ..VerifyLines::default()
    };
    let late = verify(part, from(2));
    assert_eq!(place(&late), Some((1, Some(2), BreakKind::Missing)));
    let never = verify(part, from(9));
    assert_eq!(place(&never), Some((4, Some(9), BreakKind::CutOff)));
}

#[tokio::test]
async fn what_is_passed_over_may_be_damaged_and_what_follows_it_may_not() {
    let (_, mut lines) = exported(6).await;
    lines[0] = vec![b'x'; 3 * LINE_BYTES_MAX];
    lines[1].truncate(9);
    let from = |from| VerifyLines {
        from: Some(from),
        ..VerifyLines::default()
    };
    let verified = verify(&lines, from(4));
    assert_eq!((place(&verified), verified.events), (None, 3));
    lines.remove(2);
    let found = place(&verify(&lines, from(4)));
    assert_eq!(found, Some((3, Some(3), BreakKind::Missing)));
}

#[test]
fn a_line_without_end_takes_no_more_memory_than_a_line() {
    let endless = BufReader::new(io::repeat(b'x'));
    let found = verify_lines(endless, VerifyLines::default(), &mut |_| {}).unwrap();
    assert_eq!(place(&found), Some((1, None, BreakKind::NoLine)));
}

/// A source that fails.
struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

#[tokio::test]
async fn lines_that_cannot_be_read_to_their_end_are_an_error() {
    let (_, lines) = exported(2).await;
    let lines = joined(&lines);
    let source: &mut dyn BufRead = &mut BufReader::new(lines.as_slice().chain(Failing));
    let failed = verify_lines(source, VerifyLines::default(), &mut |_| {}).unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::ConnectionReset);
}
