//! Configuration and wrong usage.

use std::fs;

use crate::program::{farebox, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn print_config_shows_each_value_with_its_origin() {
    let folder = folder();
    fs::write(folder.path().join("farebox.toml"), "lanes = 2\nlog = \"debug\"").unwrap();
    let output = farebox(folder.path())
        .args(["serve", "--print-config", "--json", "--listen", "127.0.0.1:9000"])
        .env("FAREBOX_LOG", "warn")
        .env("FAREBOX_KEY", "fbx_secret")
        .output()
        .unwrap();
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap().replace("},{", "},\n{"));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is started"
    );
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    let folder = folder();
    let cases: [&[&str]; 9] = [
        &["serv"],
        &["serve", "--listen", "localhost"],
        &["serve", "--lanes", "0"],
        &["serve", "--config", "missing.toml"],
        &["keys", "list"],
        &["keys", "create", "gateway"],
        &[
            "keys",
            "list",
            "--key",
            "k",
            "--server",
            "https://farebox.example",
        ],
        &["wallet", "grant", "acme", "USD", "20"],
        &["plan", "new", "My Plan"],
    ];
    let mut said = String::new();
    for arguments in cases {
        let ended = run(folder.path(), arguments);
        assert_eq!(
            (ended.code(), ended.stdout()),
            (2, String::new()),
            "{arguments:?}"
        );
        said.push_str(&format!(
            "$ farebox {}\n{}\n",
            arguments.join(" "),
            ended.stderr()
        ));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_server_that_is_not_there_ends_with_69() {
    let folder = folder();
    let ended = run(
        folder.path(),
        &[
            "keys",
            "list",
            "--key",
            "k",
            "--server",
            "http://127.0.0.1:1",
            "--json",
        ],
    );
    assert_eq!(ended.code(), 69);
    assert_eq!(ended.error()["code"], "unreachable");
    assert!(ended.error()["hint"].as_str().unwrap().contains("farebox serve"));
}

#[test]
fn programs_get_wrong_usage_as_json_too() {
    let folder = folder();
    let ended = run(folder.path(), &["keys", "create", "gateway", "--json"]);
    assert_eq!((ended.code(), ended.error()["code"].as_str()), (2, Some("usage")));
    assert_eq!(ended.error()["details"][0], "--role <ROLE>");
}
