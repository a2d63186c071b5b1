//! What was changed in a backup is noticed, wherever it was.

use std::fs;
use std::path::Path;

use windlass::backup::{BackupError, Slot, Source, Stage, Step, create, restore, verify};
use windlass::core::Coded;
use windlass::store::KeyRange;

use super::{asked, backed_up, env, files, memory, put, small};

fn refusal(path: &Path) -> BackupError {
    let verified = verify(path, &mut |_| ());
    verified.expect_err("a backup that was changed")
}

/// A backup is refused, the file is named, and no store gets anything of it.
async fn assert_refused(path: &Path, file: &str, when: &str) {
    let refused = refusal(path);
    assert_eq!(refused.code(), "backup_damaged", "{when}: {refused}");
    let told = refused.to_string();
    assert!(told.contains(&format!("`{file}`")), "{when}: {told}");
    let store = memory();
    let refused = restore(&*store, Slot::Main, path, &mut |_| ()).await;
    let code = refused.map_err(|error| error.code());
    assert_eq!(code.unwrap_err(), "backup_damaged", "{when}");
    let export = store.export(KeyRange::all()).await.unwrap();
    let held = export.collect().await.unwrap();
    assert!(held.is_empty(), "{when}: the store was touched");
}

#[tokio::test]
async fn a_bit_that_is_flipped_in_any_byte_is_refused_and_the_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let made = backed_up(&*small().await, &asked(&directory), &env()).await;
    let mut bytes = 0;
    for file in files(&made.path) {
        let whole = fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1 << (at % 8);
            fs::write(&file, other).unwrap();
            assert_refused(&made.path, name, &format!("byte {at} of {name}")).await;
        }
        bytes += whole.len();
        fs::write(&file, whole).unwrap();
    }
    assert!(bytes > 500, "{bytes} bytes were looked at");
    verify(&made.path, &mut |_| ()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_cut_short_anywhere_or_made_longer_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let made = backed_up(&*small().await, &asked(&directory), &env()).await;
    for file in files(&made.path) {
        let whole = fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            assert_refused(&made.path, name, &format!("{length} bytes of {name}")).await;
        }
        fs::write(&file, [&whole[..], b"\n"].concat()).unwrap();
        assert_refused(&made.path, name, &format!("a byte behind {name}")).await;
        fs::write(&file, whole).unwrap();
    }
    verify(&made.path, &mut |_| ()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_missing_is_named_and_without_a_manifest_it_is_no_backup() {
    let directory = tempfile::tempdir().unwrap();
    let made = backed_up(&*small().await, &asked(&directory), &env()).await;
    fs::remove_file(made.path.join("main.export")).unwrap();
    assert_refused(&made.path, "main.export", "without its file").await;
    fs::remove_file(made.path.join("manifest.json")).unwrap();
    assert_eq!(refusal(&made.path).code(), "no_backup");
    assert_eq!(refusal(directory.path()).code(), "no_backup");
    let missing = directory.path().join("missing");
    assert_eq!(refusal(&missing).code(), "no_backup");
}

/// Whoever can write files can make a manifest whose seal holds.
#[tokio::test]
async fn the_file_of_another_backup_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (env, store) = (env(), small().await);
    let one = backed_up(&*store, &asked(&directory), &env).await;
    put(&*store, "acme/session/s1/head", "other").await;
    let two = backed_up(&*store, &asked(&directory), &env).await;
    let file = |path: &Path| path.join("main.export");
    fs::copy(file(&one.path), file(&two.path)).unwrap();
    assert_refused(&two.path, "main.export", "with the file of another").await;
}

#[tokio::test]
async fn what_was_damaged_before_it_was_read_back_never_gets_a_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = memory();
    let mut state = 1_u64;
    for number in 0..8 {
        // What does not compress, so that much is written before the end.
        let words = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            format!("{:016x}", state ^ (state >> 29))
        });
        let value: String = words.take(32 * 1_024).collect();
        put(&*store, &format!("acme/session/s{number}/head"), &value).await;
    }
    let asked = asked(&directory);
    let source = [Source {
        slot: Slot::Main,
        store: &*store,
    }];
    let mut flipped = false;
    let kept = asked.directory.clone();
    let mut damage = |step: Step| {
        let parts = fs::read_dir(&kept)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let file = parts
            .map(|path| path.join("main.export"))
            .find(|path| path.exists());
        let Some(file) = file.filter(|_| step.stage == Stage::Copying && !flipped) else {
            return;
        };
        let mut bytes = fs::read(&file).unwrap();
        if let Some(byte) = bytes.get_mut(1_000) {
            *byte ^= 1;
            let mut open = fs::OpenOptions::new().write(true).open(&file).unwrap();
            std::io::Write::write_all(&mut open, &bytes[..1_001]).unwrap();
            flipped = true;
        }
    };
    let made = create(&source, &asked, &env(), &mut damage).await;
    assert_eq!(made.unwrap_err().code(), "backup_damaged");
    assert!(flipped, "nothing was written before the end");
    assert_eq!(windlass::backup::list(&asked.directory).unwrap().len(), 0);
}
