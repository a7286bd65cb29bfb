//! Starting, stopping, and what keeps a server from starting.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::program::{Server, farebox, run};

#[test]
fn the_first_start_prints_a_key_once_and_it_works() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.first_line["event"], "listening");
    let (url, key) = (server.url(), server.key().unwrap());
    let mode = fs::metadata(folder.path().join("data"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let keys = run(
        folder.path(),
        &["keys", "list", "--json", "--server", &url, "--key", &key],
    );
    assert_eq!(keys.json()["keys"][0]["role"], "operator");
    let wrong = run(
        folder.path(),
        &["keys", "list", "--json", "--server", &url, "--key", "fbx_wrong"],
    );
    assert_eq!(
        (wrong.code(), wrong.error()["code"].as_str()),
        (1, Some("unauthenticated"))
    );
    assert_eq!(server.stop(), 0);

    let server = Server::start(folder.path());
    assert_eq!(server.key(), None);
    let keys = run(
        folder.path(),
        &["keys", "list", "--server", &server.url(), "--key", &key],
    );
    assert_eq!(keys.code(), 0, "{}", keys.stderr());
    assert!(!keys.stdout().contains("fbx_"));
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_server_takes_as_many_open_files_as_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let program = farebox(folder.path());
    let mut limited = Command::new("sh");
    limited
        .current_dir(folder.path())
        .args(["-c", "ulimit -Sn 200 && ulimit -Hn 900 && exec \"$0\" \"$@\""])
        .arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let server = Server::spawned(limited, &[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process())).unwrap();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let files: Vec<_> = files.unwrap().split_whitespace().collect();
    assert_eq!(files, ["900", "900", "files"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn keys_are_made_shown_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, admin) = (server.url(), server.key().unwrap());
    let farebox = |key: &str, arguments: &[&str]| {
        let remote = ["--json", "--server", &url, "--key", key];
        run(folder.path(), &[arguments, &remote].concat())
    };
    let made = farebox(&admin, &["keys", "create", "reader", "--role", "read"]).json();
    let reader = made["key"].as_str().unwrap().to_string();
    assert_eq!(farebox(&reader, &["customers", "list"]).code(), 0);
    let refused = farebox(&reader, &["customers", "put", "acme"]);
    assert_eq!(
        (refused.code(), refused.error()["code"].as_str()),
        (1, Some("forbidden"))
    );
    assert_eq!(
        farebox(&admin, &["keys", "create", "reader", "--role", "read"]).error()["code"],
        "key_exists"
    );
    assert_eq!(farebox(&admin, &["keys", "revoke", "reader"]).code(), 0);
    assert_eq!(
        farebox(&reader, &["customers", "list"]).error()["code"],
        "unauthenticated"
    );
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_port_in_use_ends_with_74_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(folder.path(), &["serve", "--json", "--listen", &address]);
    assert_eq!((ended.code(), ended.error()["code"].as_str()), (74, Some("port")));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_in_use_ends_with_74() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let cases: [&[&str]; 4] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["journal", "verify"],
        &["journal", "rebuild"],
        &["ledger", "verify"],
    ];
    for arguments in cases {
        let ended = run(
            folder.path(),
            &[arguments, &["--json", "--data", "data"]].concat(),
        );
        let last = ended.stderr().lines().last().unwrap_or_default().to_string();
        assert_eq!(ended.code(), 74, "{arguments:?}: {last}");
        assert!(last.contains("\"locked\""), "{arguments:?}: {last}");
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_folder_that_is_not_ours_ends_with_74_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/thesis.txt"), "years of work").unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (data, code) in [("data", "not_a_data_folder"), ("file", "io")] {
        let ended = run(
            folder.path(),
            &["serve", "--json", "--listen", "127.0.0.1:0", "--data", data],
        );
        assert_eq!((ended.code(), ended.error()["code"].as_str()), (74, Some(code)));
    }
    assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 1);
}

#[test]
fn a_lost_key_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Server::start(folder.path()).stop(), 0);
    let server = Server::start_with(folder.path(), &["--recover-key"]);
    let key = server.key().unwrap();
    let keys = run(
        folder.path(),
        &["keys", "list", "--json", "--server", &server.url(), "--key", &key],
    )
    .json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    assert_eq!(server.stop(), 0);
}
