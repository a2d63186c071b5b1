//! The backups of a directory.

use std::fs::{self, File};
use std::path::Path;

use windlass::backup::{Backup, Slot, Source, create, list, verify};
use windlass::core::{Coded, ManualEnv};
use windlass::store::Store;

use super::{asked, backed_up, env, memory, put, small};

/// The names that are listed, and whether each is good.
fn listed(directory: &Path) -> Vec<(String, bool)> {
    let listed = list(directory).unwrap().into_iter();
    listed
        .map(|listed| (listed.name, listed.found.is_ok()))
        .collect()
}

async fn refusal(store: &dyn Store, asked: &Backup, env: &ManualEnv) -> &'static str {
    let sources = [Source {
        slot: Slot::Main,
        store,
    }];
    let made = create(&sources, asked, env, &mut |_| ()).await;
    made.unwrap_err().code()
}

#[tokio::test]
async fn as_many_of_one_store_are_kept_as_were_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (env, store, other) = (env(), small().await, small().await);
    let all = asked(&directory);
    let others = backed_up(&*other, &all, &env).await;
    let mut made = Vec::new();
    for _ in 0..4 {
        env.advance_ms(60_000);
        made.push(backed_up(&*store, &all, &env).await);
    }
    assert_eq!(listed(&all.directory).len(), 5);
    env.advance_ms(60_000);
    let keep = Backup {
        keep: Some(3),
        ..all.clone()
    };
    let last = backed_up(&*store, &keep, &env).await;
    let names = |made: &[windlass::backup::Made]| -> Vec<String> {
        made.iter().map(|made| made.manifest.name.clone()).collect()
    };
    assert_eq!(last.removed, names(&made[..2]));
    let mut expected = vec![others.manifest.name.clone()];
    expected.extend(names(&made[2..]));
    expected.push(last.manifest.name.clone());
    let left: Vec<String> = listed(&all.directory)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_damaged_backup_does_not_count_and_the_last_good_one_never_goes() {
    let directory = tempfile::tempdir().unwrap();
    let (env, store) = (env(), small().await);
    let one = Backup {
        keep: Some(1),
        ..asked(&directory)
    };
    let first = backed_up(&*store, &one, &env).await;
    env.advance_ms(60_000);
    let second = backed_up(&*store, &asked(&directory), &env).await;
    fs::write(second.path.join("main.export"), "").unwrap();
    assert_eq!(
        listed(&one.directory),
        [
            (first.manifest.name.clone(), true),
            (second.manifest.name.clone(), false)
        ]
    );
    env.advance_ms(60_000);
    let third = backed_up(&*store, &one, &env).await;
    assert_eq!(third.removed, [first.manifest.name]);
    assert_eq!(
        listed(&one.directory),
        [(second.manifest.name, false), (third.manifest.name, true)]
    );
    let none = Backup {
        keep: Some(0),
        ..one
    };
    assert_eq!(refusal(&*store, &none, &env).await, "invalid_request");
}

#[tokio::test]
async fn what_was_left_half_done_is_no_backup_and_the_next_clears_it() {
    let directory = tempfile::tempdir().unwrap();
    let (env, store) = (env(), small().await);
    let asked = asked(&directory);
    let made = backed_up(&*store, &asked, &env).await;
    for name in [".partial-one", ".removed-two"] {
        // All of it is there, under a name that is none.
        let left = asked.directory.join(name);
        fs::create_dir(&left).unwrap();
        for file in ["main.export", "manifest.json"] {
            fs::copy(made.path.join(file), left.join(file)).unwrap();
        }
    }
    assert_eq!(listed(&asked.directory), [(made.manifest.name, true)]);
    backed_up(&*store, &asked, &env).await;
    let dotted: Vec<_> = fs::read_dir(&asked.directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(dotted, [".lock"]);
}

#[tokio::test]
async fn two_at_a_time_are_refused_and_a_store_that_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (env, asked) = (env(), asked(&directory));
    let store = memory();
    put(&*store, "system/import", "half").await;
    assert_eq!(refusal(&*store, &asked, &env).await, "import_unfinished");
    assert_eq!(listed(&asked.directory), []);
    let names = fs::read_dir(&asked.directory).unwrap().count();
    assert_eq!(names, 1, "something but the lock was left");

    let lock = File::open(asked.directory.join(".lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(
        refusal(&*small().await, &asked, &env).await,
        "backup_running"
    );
    drop(lock);
    let made = backed_up(&*small().await, &asked, &env).await;
    verify(&made.path, &mut |_| ()).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let made = backed_up(&*small().await, &asked(&directory), &env()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&asked(&directory).directory), mode(&made.path)),
        (0o700, 0o700)
    );
    for file in super::files(&made.path) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}
