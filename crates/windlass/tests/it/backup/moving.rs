//! From any store by way of a backup into any other.

use windlass::Windlass;
use windlass::backup::{Backup, BackupStatus, Stage, list};
use windlass::core::{AgentId, Coded};
use windlass::session::{Agent, Allow, Caller, Create, Use};

use crate::SCHEMES;
use crate::place::Place;

fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

/// An engine with a session that was used, and a stash.
async fn used(place: &Place) -> Windlass {
    let windlass = place.open().await;
    let agent: AgentId = "scout".parse().unwrap();
    let mut request = Create::new(agent, "look around");
    request.id = Some("s1".parse().unwrap());
    request.tools = Allow::All;
    let sessions = windlass.sessions();
    let session = sessions.create(&caller(), request).await.unwrap();
    let search = Use::one(Agent::Unchecked, "search".parse().unwrap());
    sessions
        .use_tools(&caller(), &session.id, search)
        .await
        .unwrap();
    let stash = windlass.stashes().stash(&caller().tenant, &session.id);
    let outside = stash.execution(None);
    outside
        .put(&"k".parse().unwrap(), &[1, 2], None)
        .await
        .unwrap();
    windlass
}

/// The content of a store, as one hash.
async fn digest(windlass: &Windlass) -> String {
    let mut file = Vec::new();
    let report = windlass.export_to(&mut file, &mut |_| ()).await.unwrap();
    report.digest
}

#[tokio::test]
async fn a_backup_of_any_store_is_restored_into_any_other() {
    for &from in SCHEMES {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(from);
        let windlass = used(&place).await;
        let before = digest(&windlass).await;
        let made = windlass
            .back_up(&Backup::into(directory.path()), &mut |_| ())
            .await
            .unwrap();
        let copied = &made.manifest.stores[0];
        assert_eq!(copied.digest, before, "{from}");
        assert!(copied.parts["session"].entries > 5, "{from}: {copied:?}");
        windlass.close().await.unwrap();
        for &to in SCHEMES {
            let new = Place::new(to);
            let restored = Windlass::restore_from(&new.location(), &made.path, &mut |_| ())
                .await
                .unwrap();
            assert_eq!(restored.report.digest, before, "{from} to {to}");
            assert_ne!(restored.incarnation, copied.incarnation, "{from} to {to}");
            // A store in memory has gone with the call.
            if to == "memory" {
                continue;
            }
            let windlass = new.open().await;
            assert_eq!(digest(&windlass).await, before, "{from} to {to}");
            let (caller, id) = (caller(), "s1".parse().unwrap());
            let found = windlass.sessions().get(&caller, &id).await.unwrap();
            assert_eq!(found.unwrap().calls_made, 1, "{from} to {to}");
            windlass.close().await.unwrap();
            let again = Windlass::restore_from(&new.location(), &made.path, &mut |_| ()).await;
            assert_eq!(
                again.unwrap_err().code(),
                "store_not_empty",
                "{from} to {to}"
            );
        }
    }
}

#[tokio::test]
async fn what_the_store_remembers_is_the_last_backup_and_the_failure_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new("sqlite");
    let windlass = used(&place).await;
    let status = || async { windlass.backup_status().await.unwrap() };
    assert_eq!(status().await, BackupStatus::default());
    let asked = Backup::into(directory.path());
    let mut stages = Vec::new();
    let made = windlass
        .back_up(&asked, &mut |step| stages.push(step.stage))
        .await
        .unwrap();
    stages.dedup();
    assert_eq!(stages, [Stage::Copying, Stage::Verifying]);
    let last = status().await.last.unwrap();
    assert_eq!(last.name, made.manifest.name);
    assert_eq!(last.entries, made.manifest.entries());
    assert_eq!(
        (last.verified, last.begun_at),
        (true, made.manifest.begun_at)
    );

    let nowhere = directory
        .path()
        .join(&made.manifest.name)
        .join("main.export");
    let failed = windlass.back_up(&Backup::into(nowhere), &mut |_| ()).await;
    assert_eq!(failed.unwrap_err().code(), "backup_unwritable");
    let after = status().await;
    assert_eq!(after.last, Some(last));
    assert_eq!(after.failed.unwrap().code, "backup_unwritable");
    let quick = Backup {
        verify: false,
        ..asked
    };
    let made = windlass.back_up(&quick, &mut |_| ()).await.unwrap();
    let after = status().await;
    assert_eq!((after.failed, after.last.unwrap().verified), (None, false));
    assert_eq!(list(directory.path()).unwrap().len(), 2);
    assert!(!made.verified, "it was not asked for");
    windlass.close().await.unwrap();
}
