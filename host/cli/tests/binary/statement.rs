//! Statements from a terminal, against a real server.

use std::fs;

use crate::program::{Server, run};

#[test]
fn a_statement_comes_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, key) = (server.url(), server.key().unwrap());
    let cli = |arguments: &[&str]| {
        run(
            folder.path(),
            &[arguments, &["--server", &url, "--key", &key]].concat(),
        )
    };
    let good = |arguments: &[&str]| {
        let ended = cli(arguments);
        assert_eq!(ended.code(), 0, "{arguments:?}: {}", ended.stderr());
        ended
    };
    good(&["customers", "put", "acme"]);
    good(&["wallet", "grant", "acme", "usd", "20", "--id", "topup"]);
    let json = good(&["statement", "acme", "--json"]).json();
    assert_eq!(json["assets"][0]["closing"]["available"], "20");
    assert_eq!(
        good(&["statement", "acme", "--format", "json"]).json()["as_of"]["sequence"],
        2
    );
    let text = good(&["statement", "acme"]).stdout();
    assert!(
        text.contains("topup (bought)") && text.contains("closing"),
        "{text}"
    );
    let csv = good(&["statement", "acme", "--format", "csv"]).stdout();
    assert!(
        csv.starts_with("customer,from,to,asset,line,") && csv.lines().count() == 4,
        "{csv}"
    );
    let written = good(&["statement", "acme", "--out", "acme.html"]).stdout();
    assert_eq!(written.trim(), "Written to acme.html.");
    let page = fs::read_to_string(folder.path().join("acme.html")).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains("topup (bought)"),
        "{page}"
    );

    let refused = cli(&[
        "statement",
        "acme",
        "--month",
        "november",
        "--format",
        "html",
        "--out",
        "x.html",
    ]);
    assert_eq!(refused.code(), 1);
    assert!(refused.stderr().contains("2026-11"), "{}", refused.stderr());
    assert!(!folder.path().join("x.html").exists(), "nothing is written");
    for wrong in [
        &["statement", "acme", "--to", "2026-11-23T09:00:00Z"][..],
        &["statement", "acme", "--month", "2026-11", "--period", "1"],
        &["statement", "acme", "--format", "csv", "--json"],
    ] {
        assert_eq!(cli(wrong).code(), 2, "{wrong:?}");
    }
    assert_eq!(server.stop(), 0);
}
