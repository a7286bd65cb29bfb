//! Periods by the calendar, over HTTP: anchors at the end of a month, leap days, and periods that nobody was there for.
//! Expected instants are read off a calendar; the house's clock stands at 2026-11-23T09:30:00Z.

use farebox_money::Nanos;
use serde_json::{Value, json};

use crate::support::{House, team};

/// What becomes of a subscription of one seat at 30 usd for a period.
struct Case {
    cadence: Value,
    anchor: &'static str,
    /// The period in which it starts.
    first: [&'static str; 2],
    /// When somebody looks, the period that it is then, and how many began since the last look.
    looks: &'static [(&'static str, [&'static str; 2], u32)],
}

fn cases() -> [Case; 5] {
    [
        Case {
            cadence: json!("monthly"),
            anchor: "2026-01-31T12:00:00Z",
            first: ["2026-10-31T12:00:00Z", "2026-11-30T12:00:00Z"],
            looks: &[
                (
                    "2026-11-30T11:59:59Z",
                    ["2026-10-31T12:00:00Z", "2026-11-30T12:00:00Z"],
                    0,
                ),
                (
                    "2026-11-30T12:00:00Z",
                    ["2026-11-30T12:00:00Z", "2026-12-31T12:00:00Z"],
                    1,
                ),
                (
                    "2027-02-27T00:00:00Z",
                    ["2027-01-31T12:00:00Z", "2027-02-28T12:00:00Z"],
                    2,
                ),
                // March 2027 to January 2028, and February has 29 days.
                (
                    "2028-02-01T00:00:00Z",
                    ["2028-01-31T12:00:00Z", "2028-02-29T12:00:00Z"],
                    12,
                ),
                (
                    "2028-02-29T12:00:00Z",
                    ["2028-02-29T12:00:00Z", "2028-03-31T12:00:00Z"],
                    1,
                ),
            ],
        },
        Case {
            cadence: json!("yearly"),
            anchor: "2024-02-29T00:00:00Z",
            first: ["2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z"],
            looks: &[
                (
                    "2027-02-28T00:00:00Z",
                    ["2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"],
                    1,
                ),
                (
                    "2028-02-28T23:59:59Z",
                    ["2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"],
                    0,
                ),
                (
                    "2028-02-29T00:00:00Z",
                    ["2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"],
                    1,
                ),
            ],
        },
        Case {
            cadence: json!("weekly"),
            anchor: "2026-11-02T00:00:00Z",
            first: ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"],
            looks: &[(
                "2026-12-20T00:00:00Z",
                ["2026-12-14T00:00:00Z", "2026-12-21T00:00:00Z"],
                3,
            )],
        },
        Case {
            cadence: json!("daily"),
            anchor: "2026-11-01T06:00:00Z",
            first: ["2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"],
            looks: &[
                (
                    "2026-11-24T05:59:59Z",
                    ["2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"],
                    0,
                ),
                (
                    "2026-11-30T06:00:00Z",
                    ["2026-11-30T06:00:00Z", "2026-12-01T06:00:00Z"],
                    7,
                ),
            ],
        },
        Case {
            cadence: json!({"days": 10}),
            anchor: "2026-11-01T00:00:00Z",
            first: ["2026-11-21T00:00:00Z", "2026-12-01T00:00:00Z"],
            looks: &[(
                "2027-01-01T00:00:00Z",
                ["2026-12-31T00:00:00Z", "2027-01-10T00:00:00Z"],
                4,
            )],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_go_by_the_calendar() {
    for case in cases() {
        let house = House::open().await;
        let client = house.admin.clone();
        client.push("team", team(), json!({"seat": 30})).await;
        client.put("/v1/customers/acme", json!({})).await.expect(201);
        let subscription = json!({"id": "s", "customer": "acme", "plan": "team", "seats": 1,
            "cadence": case.cadence, "anchor": case.anchor});
        client.post("/v1/subscriptions", subscription).await.expect(201);
        let looked = async || {
            let shown = client.get("/v1/subscriptions/s?customer=acme").await.expect(200);
            let period = ["start", "end"].map(|end| shown["period"][end].as_str().unwrap().to_string());
            let wallet = client.get("/v1/customers/acme/balance").await.expect(200);
            let owed = wallet["balance"][0]["receivable"].as_str().unwrap();
            (period, owed.parse::<Nanos>().unwrap().get())
        };
        let (period, mut owed) = looked().await;
        assert_eq!(period, case.first, "{}", case.cadence);
        for (instant, expected, began) in case.looks {
            house.clock.advance_to(instant.parse().unwrap());
            let (period, now) = looked().await;
            assert_eq!(period, *expected, "{} at {instant}", case.cadence);
            let fees = Nanos::units(30 * i64::from(*began)).get();
            assert_eq!(now - owed, fees, "{} at {instant}", case.cadence);
            owed = now;
        }
        house.close().await.unwrap();
    }
}
