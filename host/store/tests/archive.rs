//! Archiving: whoever needs what was archived reads it in the archive or is told, and everything that is made of the journal
//! is made without it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod scratch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::limits::ARCHIVE_RETENTION_DAYS_MIN;
use farebox_store::{
    ArchivePlan, ArchiveReport, Ended, IdHash, JournalStore, Keep, Options, Position, Store, StoreError,
    WalletKey, archive, backup, restore, verify_journal,
};
use scratch::archive::{DAY, Home, assert_archived, open, present, segments, take, take_reading};
use scratch::options;

#[test]
fn with_the_archive_everything_reads_as_before() {
    let mut home = Home::filled(1);
    let (dir, to) = (home.dir(), home.to());
    // A server that runs: it has files open that go, and others that it never had open.
    let store = home.open(Some(&to)).unwrap();
    home.fill(&store, 3);
    let before = segments(&dir);
    let report = home.archive().unwrap();
    assert!(report.segments_archived > 3, "{report:?}");
    assert_eq!(
        report.ended,
        Ended::NotPacked,
        "all but the one that is written to"
    );
    let moved = &before[..usize::try_from(report.segments_archived).unwrap()];
    assert_eq!(segments(&to)[..], *moved);
    let left = segments(&dir);
    assert!(moved.iter().all(|name| !left.contains(name)), "{left:?}");
    home.assert_whole(&store, "the server goes on");
    home.fill(&store, 20);
    home.assert_whole(&store, "and on");
    let again = home.archive().unwrap();
    assert_eq!(
        (again.segments_archived, again.bytes_removed),
        (0, 0),
        "once is enough"
    );
    assert_eq!(again.segments_before, report.segments_archived);
    store.close().unwrap();
    drop(store);
    let report = verify_journal(&dir, Some(&to), i64::MAX, &mut |_, _| {}).unwrap();
    assert_eq!((report.from, report.wallets_from), (0, 0));
    assert_eq!(report.ids, home.work.ids);
    for lost in ["state", "ids", "snapshots"] {
        home.assert_whole(&home.open(Some(&to)).unwrap(), &format!("before {lost} is gone"));
        fs::remove_dir_all(dir.join(lost)).unwrap();
    }
    home.assert_whole(&home.open(Some(&to)).unwrap(), "from the first record on");
    // More goes the next time, on top of what is there.
    let store = home.open(Some(&to)).unwrap();
    home.fill(&store, 80);
    store.pack_now().unwrap();
    // Its snapshots are gone: this one begins with the first record, which is in the archive.
    take_reading(&dir, Some(&to));
    let next = home.archive().unwrap();
    assert!(next.segments_archived > 2 && next.until > again.until, "{next:?}");
    home.assert_whole(&store, "in two steps");
}

#[test]
fn without_the_archive_whoever_needs_it_is_told() {
    let mut home = Home::filled(2);
    let store = home.open(None).unwrap();
    let report = home.archive().unwrap();
    let store = match store.close() {
        Ok(()) => {
            drop(store);
            home.open(None).unwrap()
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(
        present(&store),
        present(&home.work.model),
        "the present needs no history"
    );
    home.fill(&store, 10);
    assert_eq!(present(&store), present(&home.work.model));
    // Histories: what is here is shown, newest first and without a gap; what comes before it is not left away in silence.
    let (mut shown, mut archived) = (0, 0);
    for (wallet, image, _) in present(&home.work.model) {
        let all = home.work.model.history(&wallet, None, 10_000).unwrap();
        let (mut before, mut got) = (None, Vec::new());
        loop {
            match store.history(&wallet, before, 7) {
                Ok(page) if page.is_empty() => {
                    assert_eq!(got.len() as u64, image.version, "{wallet:?}");
                    break;
                }
                Ok(page) => {
                    before = page.last().map(|record| record.sequence);
                    got.extend(page);
                }
                Err(StoreError::Archived { what, newest }) => {
                    assert!(what.contains(".packed") && newest == 0, "{what} {newest}");
                    archived += 1;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(got[..], all[..got.len()], "{wallet:?}");
        shown += got.len();
    }
    assert!(shown > 10 && archived > 3, "{shown} {archived}");
    // Ids: none is forgotten, and the record of an archived one is not said to be missing.
    let mut told = 0;
    for n in 0..home.work.ids {
        assert!(store.may_have_seen(id(n)), "{n}");
        for (wallet, _, _) in present(&home.work.model) {
            let expected = home.work.model.find(&wallet, id(n)).unwrap();
            match store.find(&wallet, id(n)) {
                Ok(found) => assert_eq!(found, expected),
                Err(StoreError::Archived { .. }) => told += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(told > 100, "{told}");
    assert_archived(store.tail(Position::default(), 10), "the first records");
    // Nothing of that stopped it.
    home.fill(&store, 5);
    store.close().unwrap();
    drop(store);
    let verified = verify_journal(&home.dir(), None, i64::MAX, &mut |_, _| {}).unwrap();
    assert_eq!(
        (verified.from, verified.segments_archived),
        (report.until, report.segments_archived)
    );
    assert_eq!(verified.wallets_from, report.snapshot);
    assert!(verified.ids < home.work.ids);
}

#[test]
fn the_state_and_the_ids_are_made_without_it() {
    let home = Home::filled(3);
    let dir = home.dir();
    home.archive().unwrap();
    fs::rename(home.to(), home.home.path().join("far-away")).unwrap();
    fs::remove_dir_all(dir.join("ids")).unwrap();
    JournalStore::rebuild(&dir, options(), Arc::new(BodyFold), &mut |_, _| {}).unwrap();
    let store = home.open(None).unwrap();
    assert_eq!(present(&store), present(&home.work.model));
    for n in 0..home.work.ids {
        assert!(
            store.may_have_seen(id(n)),
            "an id that was answered is always found: {n}"
        );
    }
    drop(store);
    // A run of ids that is damaged while the store is open is made again, too.
    let runs: Vec<PathBuf> = fs::read_dir(dir.join("ids"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    let store = home.open(None).unwrap();
    for run in &runs {
        let mut bytes = fs::read(run).unwrap();
        bytes[4096..8192].fill(7);
        let file = fs::File::options().write(true).open(run).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    }
    let wallet = WalletKey::new("acme", "w1");
    for n in 0..home.work.ids {
        match store.find(&wallet, id(n)) {
            Ok(_) | Err(StoreError::Archived { .. }) => {}
            Err(other) => panic!("{n}: {other}"),
        }
    }
    drop(store);
    // Without a snapshot there is nothing to begin from, and it says so.
    fs::remove_dir_all(dir.join("snapshots")).unwrap();
    match JournalStore::rebuild(&dir, options(), Arc::new(BodyFold), &mut |_, _| {}) {
        Err(StoreError::State { what }) => assert!(what.contains("archive_dir"), "{what}"),
        other => panic!("{other:?}"),
    }
    match verify_journal(&dir, None, i64::MAX, &mut |_, _| {}) {
        Err(StoreError::State { what }) => assert!(what.contains("snapshot"), "{what}"),
        other => panic!("{other:?}"),
    }
    let at_hand = Options {
        archive_dir: Some(home.home.path().join("far-away")),
        ..options()
    };
    JournalStore::rebuild(&dir, at_hand.clone(), Arc::new(BodyFold), &mut |_, _| {}).unwrap();
    home.assert_whole(
        &JournalStore::open(&dir, at_hand, Arc::new(BodyFold)).unwrap(),
        "from the first record on",
    );
    // The ids of archived segments are primary: lost with all that could replace them, the store does not open.
    fs::remove_dir_all(dir.join("ids")).unwrap();
    for file in fs::read_dir(dir.join("archived")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ids") {
            fs::remove_file(path).unwrap();
        }
    }
    match home.open(None) {
        Err(StoreError::Damaged { what, .. }) => assert!(what.contains("ids of archived segments"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_in_the_archive_is_named() {
    let home = Home::filled(6);
    let (dir, to) = (home.dir(), home.to());
    home.archive().unwrap();
    let damaged = |outcome: Result<(), StoreError>, path: &Path, why: &str| match outcome {
        Err(StoreError::Damaged { file, what, .. }) => assert_eq!(Path::new(&file), path, "{why}: {what}"),
        other => panic!("{why}: {other:?}"),
    };
    for name in segments(&to) {
        let path = to.join("journal").join(name);
        let whole = fs::read(&path).unwrap();
        for at in [30, 3_000, 4_500, whole.len() - 5] {
            let mut bytes = whole.clone();
            bytes[at] ^= 8;
            fs::write(&path, &bytes).unwrap();
            let verified = verify_journal(&dir, Some(&to), i64::MAX, &mut |_, _| {}).map(drop);
            damaged(verified, &path, "flipped");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let store = home.open(Some(&to)).unwrap();
        assert_eq!(
            present(&store),
            present(&home.work.model),
            "the present does not need it"
        );
        let mut named = 0;
        for n in 0..home.work.ids {
            for wallet in ["w0", "w1", "w2", "w3"] {
                let found = store.find(&WalletKey::new("acme", wallet), id(n));
                if found.is_err() {
                    damaged(found.map(drop), &path, "cut");
                    named += 1;
                }
            }
        }
        assert!(named > 0, "some records were in it");
        drop(store);
        // Gone for now is not damage.
        fs::remove_file(&path).unwrap();
        let store = home.open(Some(&to)).unwrap();
        let told = (0..home.work.ids)
            .filter_map(|n| store.find(&WalletKey::new("acme", "w1"), id(n)).err())
            .inspect(|error| assert!(matches!(error, StoreError::Archived { .. }), "{error}"));
        let _ = told.count();
        drop(store);
        fs::write(&path, whole).unwrap();
    }
    verify_journal(&dir, Some(&to), i64::MAX, &mut |_, _| {}).unwrap();
    // The lists are sealed.
    for path in [dir.join("archived/list"), to.join("manifest")] {
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        damaged(home.open(Some(&to)).map(drop), &path, "a list");
        fs::write(&path, whole).unwrap();
    }
    // A segment that is missing and that no list names is damage as ever.
    let first = segments(&dir)[0].clone();
    fs::remove_file(dir.join("journal").join(&first)).unwrap();
    let missing = dir.join("journal").join(first.replace("packed", "journal"));
    damaged(home.open(Some(&to)).map(drop), &missing, "lost");
}

#[test]
fn backups_of_an_archived_journal_are_restored() {
    let mut home = Home::filled(7);
    let (dir, to) = (home.dir(), home.to());
    let at = |name: &str| home.home.path().join(name);
    let (early, late, full) = (at("early"), at("late"), at("full"));
    let restored = |name: &str| at("restored").join(name);
    fs::create_dir_all(at("restored")).unwrap();
    let back_up = |archive: Option<&Path>, to: &Path| backup(&dir, archive, to, &mut |_, _| {}).unwrap();
    let bring_back = |from: &Path, name: &str| {
        restore(
            from,
            &restored(name),
            options(),
            Arc::new(BodyFold),
            &mut |_, _, _| {},
        )
        .unwrap()
    };
    back_up(None, &early);
    let report = home.archive().unwrap();
    back_up(None, &late);
    back_up(Some(&to), &full);
    bring_back(&late, "late-0");
    assert_eq!(
        present(&open(&restored("late-0"), None).unwrap()),
        present(&home.work.model)
    );
    let store = home.open(Some(&to)).unwrap();
    for _ in 0..60 {
        store.commit(home.work.call(&mut home.random)).unwrap();
    }
    store.pack_now().unwrap();
    // What a backup had before is kept, what was archived before it is taken from the archive, or stands for itself.
    for backup in [&early, &late, &full] {
        back_up(None, backup);
    }
    store.close().unwrap();
    drop(store);
    for (backup, name) in [(&early, "early"), (&full, "full")] {
        bring_back(backup, name);
        home.assert_whole(&open(&restored(name), None).unwrap(), name);
        assert!(!restored(name).join("archived").exists(), "it has all there is");
    }
    let back = bring_back(&late, "late");
    assert_eq!(back.journal.from, report.until);
    let store = open(&restored("late"), None).unwrap();
    assert_eq!(present(&store), present(&home.work.model));
    assert!((0..home.work.ids).all(|n| store.may_have_seen(id(n))));
    assert_archived(store.tail(Position::default(), 1), "the first record");
    drop(store);
    home.assert_whole(&open(&restored("late"), Some(&to)).unwrap(), "with the archive");
    // One that fell behind what was archived meanwhile is not continued with a gap.
    let gap = at("gap");
    backup(&at("restored").join("late-0"), None, &gap, &mut |_, _| {}).unwrap();
    take(&dir);
    assert!(home.archive().unwrap().segments_archived > 0);
    match backup(&dir, None, &gap, &mut |_, _| {}) {
        Err(StoreError::Backup { what, .. }) => assert!(what.contains("archive_dir"), "{what}"),
        other => panic!("{other:?}"),
    }
    back_up(Some(&to), &gap);
}

#[test]
fn only_what_may_go_goes() {
    let mut home = Home::new(8);
    let (dir, to) = (home.dir(), home.to());
    let store = home.open(None).unwrap();
    let wallet = WalletKey::new("acme", "w");
    let window = |n: u64| {
        let mut bytes = [3; 16];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        IdHash::new(bytes, Keep::Window)
    };
    // 100 records of 1 KiB in frames of a page: 15 to a segment. One day after the other.
    let commit = |version: u64, at: i64| {
        let draft = Draft::new(&wallet, version)
            .record(&[id(version), window(version)], &[1; 1_000])
            .at(at);
        store.commit(vec![draft.commit()]).unwrap();
    };
    (0..100).for_each(|version| commit(version, i64::try_from(version).unwrap() * DAY));
    let plan = |retention_days, now_days: i64| ArchivePlan {
        dir: &dir,
        to: &to,
        retention_days,
        now: now_days * DAY,
    };
    let run = |retention_days, now_days| archive(&plan(retention_days, now_days), &mut |_, _| {});
    let refused = |outcome: Result<ArchiveReport, StoreError>| match outcome {
        Err(StoreError::Backup { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    match run(ARCHIVE_RETENTION_DAYS_MIN - 1, 1_000) {
        Err(StoreError::Limit { limit, .. }) => assert_eq!(limit, "ARCHIVE_RETENTION_DAYS_MIN"),
        other => panic!("{other:?}"),
    }
    assert!(refused(run(37, 1_000)).contains("no sound snapshot"));
    take(&dir);
    assert_eq!(run(37, 1_000).unwrap().ended, Ended::NotPacked);
    store.pack_now().unwrap();
    // Records of days 0 to 14 are in the first segment, 15 to 29 in the second.
    let cases = [
        (37, 14 + 37, 0, Ended::Retention), // the newest is of day 14, 37 days ago to the instant
        (37, 15 + 37, 1, Ended::Retention),
        (400, 15 + 37, 0, Ended::Retention),
        (37, 30 + 37, 1, Ended::Retention),
        (37, 1_000, 4, Ended::NotPacked), // of 7 segments the last is written to
    ];
    for (retention, now, moved, ended) in cases {
        let report = run(retention, now).unwrap();
        assert_eq!(
            (report.segments_archived, report.ended),
            (moved, ended),
            "{retention} {now}"
        );
    }
    assert_eq!(run(37, 1_000).unwrap().until, 6 * (64 << 10));
    // A sandbox that is ahead makes nothing young, and its ids of usage are kept as long as the store could be asked.
    let ahead = 5_000 * DAY;
    for version in 100..130 {
        commit(version, if version % 2 == 0 { ahead } else { 100 * DAY });
    }
    store.pack_now().unwrap();
    take(&dir);
    let report = run(37, 1_000).unwrap();
    assert!(report.segments_archived >= 2, "{report:?}");
    store.close().unwrap();
    drop(store);
    fs::remove_dir_all(dir.join("ids")).unwrap();
    let store = home.open(None).unwrap();
    let archived: Vec<u64> = (0..130)
        .filter(|&n| matches!(store.find(&wallet, id(n)), Err(StoreError::Archived { .. })))
        .collect();
    assert_eq!(archived, (0..archived.len() as u64).collect::<Vec<_>>());
    assert!(archived.len() > 115, "{}", archived.len());
    for n in archived {
        let kept = n >= 100 && n % 2 == 0;
        assert_eq!(store.may_have_seen(window(n)), kept, "{n}");
    }
    home.fill(&store, 1);
    // Not the archive of this journal, and no archive at all.
    let other = Home::filled(9);
    other.archive().unwrap();
    let other = other.to();
    assert!(
        refused(archive(
            &ArchivePlan {
                to: &other,
                ..plan(37, 1_000)
            },
            &mut |_, _| {}
        ))
        .contains("another journal")
    );
    let fresh = home.home.path().join("fresh");
    let elsewhere = ArchivePlan {
        to: &fresh,
        ..plan(37, 1_000)
    };
    assert!(refused(archive(&elsewhere, &mut |_, _| {})).contains("name the folder that does"));
    let foreign = ArchivePlan {
        to: &dir,
        ..plan(37, 1_000)
    };
    assert!(refused(archive(&foreign, &mut |_, _| {})).contains("other things"));
    match open(&dir, Some(&other)) {
        Err(StoreError::Locked { .. }) => {}
        outcome => panic!("{outcome:?}"),
    }
    drop(store);
    match open(&dir, Some(&other)) {
        Err(StoreError::Backup { what, .. }) => assert!(what.contains("another journal"), "{what}"),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn what_cannot_be_dated_waits_for_what_can() {
    let home = Home::new(11);
    let (dir, to) = (home.dir(), home.to());
    let store = home.open(None).unwrap();
    let wallet = WalletKey::new("sandbox", "w");
    let commit = |versions: std::ops::Range<u64>, at: i64| {
        for version in versions {
            let draft = Draft::new(&wallet, version)
                .record(&[id(version)], &[1; 1_000])
                .at(at);
            store.commit(vec![draft.commit()]).unwrap();
        }
        store.pack_now().unwrap();
        take(&dir);
    };
    let run = || {
        let plan = ArchivePlan {
            dir: &dir,
            to: &to,
            retention_days: 37,
            now: 1_000 * DAY,
        };
        archive(&plan, &mut |_, _| {}).unwrap().segments_archived
    };
    // Frames of a page, 15 to a segment: three segments of a sandbox that is ahead, which may be as young as can be.
    commit(0..50, 5_000 * DAY);
    assert_eq!(run(), 0);
    // The fourth is filled by records of 900 days ago.
    commit(50..65, 100 * DAY);
    assert_eq!(run(), 4);
}
