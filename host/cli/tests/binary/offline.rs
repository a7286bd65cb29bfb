//! What is done to the folder of a stopped server.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use crate::program::{Server, run};

/// A folder in which a customer got a grant.
fn used() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, key) = (server.url(), server.key().unwrap());
    for arguments in [
        &["customers", "put", "acme"][..],
        &["wallet", "grant", "acme", "usd", "20", "--id", "topup-1"],
    ] {
        let ended = run(
            folder.path(),
            &[arguments, &["--server", &url, "--key", &key]].concat(),
        );
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
    }
    assert_eq!(server.stop(), 0);
    folder
}

#[test]
fn a_sound_folder_is_found_sound_and_rebuilt() {
    let folder = used();
    let farebox = |arguments: &[&str]| {
        run(
            folder.path(),
            &[arguments, &["--json", "--data", "data"]].concat(),
        )
    };
    let journal = farebox(&["journal", "verify"]).json();
    assert_eq!(
        (journal["sound"].as_bool(), journal["records"].as_u64()),
        (Some(true), Some(3))
    );
    let before = farebox(&["ledger", "verify"]).json();
    assert_eq!(before["sound"], true, "{before}");
    assert_eq!(
        (before["wallets"].as_u64(), before["records"].as_u64()),
        (Some(1), Some(2))
    );
    fs::remove_dir_all(folder.path().join("data/state")).unwrap();
    assert_eq!(farebox(&["journal", "rebuild"]).json()["rebuilt"], true);
    assert_eq!(farebox(&["ledger", "verify"]).json(), before);
}

#[test]
fn damage_is_found_and_named() {
    let folder = used();
    let segment = fs::read_dir(folder.path().join("data/journal")).unwrap();
    let segment = segment.map(|file| file.unwrap().path()).min().unwrap();
    flip_a_byte_of(&segment, b"topup-1");
    let ended = run(folder.path(), &["journal", "verify", "--json", "--data", "data"]);
    assert_eq!(
        (ended.code(), ended.error()["code"].as_str()),
        (1, Some("damaged")),
        "{}",
        ended.stdout()
    );
    assert!(
        ended
            .stderr()
            .contains(&*segment.file_name().unwrap().to_string_lossy())
    );
}

#[test]
fn folders_without_a_journal_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        ["journal", "verify"],
        ["journal", "rebuild"],
        ["ledger", "verify"],
    ] {
        let ended = run(
            folder.path(),
            &[&arguments[..], &["--json", "--data", "missing"]].concat(),
        );
        assert_eq!(
            (ended.code(), ended.error()["code"].as_str()),
            (74, Some("io")),
            "{arguments:?}"
        );
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}

fn flip_a_byte_of(path: &std::path::Path, pattern: &[u8]) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let at = bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
        .unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[bytes[at] ^ 1]).unwrap();
}
