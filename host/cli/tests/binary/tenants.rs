//! Tenants from a terminal: what is shown, and how mistakes are told.

use crate::program::{Server, run};

#[test]
fn tenants_are_made_listed_and_advanced_and_mistakes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, operator) = (server.url(), server.key().unwrap());
    let farebox = |key: &str, arguments: &[&str]| {
        let remote = ["--json", "--server", &url, "--key", key];
        run(folder.path(), &[arguments, &remote].concat())
    };
    let create = [
        "tenants",
        "create",
        "year",
        "--kind",
        "sandbox",
        "--clock",
        "2027-01-01T00:00:00Z",
    ];
    let admin = farebox(&operator, &create).json()["first_key"]["key"]
        .as_str()
        .unwrap()
        .to_string();
    assert_eq!(farebox(&operator, &create).json()["replayed"], true);
    let tenants = farebox(&operator, &["tenants", "list"]).json();
    let names: Vec<_> = tenants["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["id"])
        .collect();
    assert_eq!(names, ["default", "year"]);

    let advance = ["tenants", "advance", "year", "36h", "--id", "step"];
    assert_eq!(farebox(&admin, &advance).json()["now"], "2027-01-02T12:00:00Z");
    assert_eq!(farebox(&admin, &advance).json()["replayed"], true);
    let to = ["tenants", "advance", "year", "--to", "2027-02-01T00:00:00Z"];
    assert_eq!(farebox(&admin, &to).json()["from"], "2027-01-02T12:00:00Z");
    assert_eq!(
        farebox(&admin, &["tenants", "show", "year"]).json()["now"],
        "2027-02-01T00:00:00Z"
    );

    let cases: [(&str, &[&str], i32, &str); 6] = [
        (
            &operator,
            &["tenants", "advance", "default", "1month"],
            1,
            "live_tenant",
        ),
        (
            &admin,
            &["tenants", "advance", "year", "--to", "2027-01-01T00:00:00Z"],
            1,
            "invalid_time",
        ),
        (&admin, &["tenants", "list"], 1, "forbidden"),
        (&operator, &["tenants", "show", "nobody"], 1, "unknown_tenant"),
        (&admin, &["tenants", "advance", "year"], 2, "usage"),
        (&admin, &["tenants", "advance", "year", "a while"], 2, "usage"),
    ];
    for (key, arguments, code, name) in cases {
        let ended = farebox(key, arguments);
        assert_eq!(
            (ended.code(), ended.error()["code"].as_str()),
            (code, Some(name)),
            "{arguments:?}"
        );
    }
    assert_eq!(server.stop(), 0);
}
