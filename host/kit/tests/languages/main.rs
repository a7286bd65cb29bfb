//! A plan in another language is a plan: built by its own tools, admitted in its own tier, held to the scenarios of the same plan
//! in Rust, and equal to that one in every byte of what it answers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod python;
mod typescript;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use farebox_kit::build::{BuildOptions, build_plan};
use farebox_kit::conformance;
use farebox_kit::probe::Probe;
use farebox_kit::scenario::{Scenario, Subject, run};
use farebox_money::Nanos;
use farebox_record::command::default_source;
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::EventId;
use farebox_record::plan::{Category, Price, Rejection};
use farebox_record::time::{Span, Timestamp};
use farebox_runtime::{
    Batch, Change, Config, Context, Limits, Migration, Proration, Purpose, Refused, Revision, Runtime, Tier,
    Trigger, Verdict,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// The largest number that crosses into a plan in TypeScript: what a double holds exactly.
const CROSSING_MAX: i128 = (1 << 53) - 1;

/// Graduated prices with four decimals, so that amounts are rounded, and credits that are divided.
const DEAL: &str = r#"{"fee": "19.99", "credits": "1000.5", "rollover_max": "500", "credits_per_dollar": 73,
    "user_max": "300.25", "price": "0.1003",
    "beyond": [{"above": "1000", "price": "0.0507"}, {"above": "2500.25", "price": "0.01"}],
    "minimum": "50", "call_max": "5000"}"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn built(dir: &str) -> Vec<u8> {
    build_plan(&root().join(dir), &BuildOptions::default())
        .unwrap_or_else(|error| panic!("{error}"))
        .component
}

/// One for all tests, and it compiles the plan once.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<(Runtime, tempfile::TempDir)> = OnceLock::new();
    let (runtime, _) = RUNTIME.get_or_init(|| {
        let cache = tempfile::tempdir().unwrap();
        let config = Config {
            cache_dir: Some(cache.path().to_path_buf()),
            interpreted: Some(Limits::interpreted()),
            takes_interpreted: true,
            ..Config::default()
        };
        (Runtime::new(config).unwrap(), cache)
    });
    runtime
}

fn keeps_the_scenarios_of_the_same_plan_in_rust(component: &[u8]) {
    let runtime = runtime();
    let plan = root().join("host/kit/tests/plans/commitment");
    let folder = plan.join("scenarios");
    let mut files = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let scenario = Scenario::parse(&text).unwrap();
        let parameters = match &scenario.parameters {
            Some(own) => folder.join(own),
            None => plan.join("parameters/standard.json"),
        };
        let subject = Subject {
            runtime,
            component,
            parameters: &std::fs::read_to_string(parameters).unwrap(),
            folder: &folder,
        };
        for step in run(&subject, &scenario, &text).unwrap().steps {
            let place = format!("{}:{} {}", path.display(), step.line, step.action);
            assert_eq!(step.problems, Vec::<String>::new(), "{place}");
        }
        files += 1;
    }
    assert!(files > 10, "{files}");
}

/// The same plan in Rust, and then the component, each with this deal.
fn beside_rust(component: &[u8], deal: &str) -> [Arc<Revision>; 2] {
    let rust = built("host/kit/tests/plans/commitment");
    [&rust, component].map(|component| {
        let plan = runtime().admit(component).unwrap();
        runtime().prepare(&plan, deal).unwrap()
    })
}

/// So many of them, one at a time.
fn answers_byte_for_byte_what_the_same_plan_answers_in_rust(component: &[u8], answers: usize) {
    let (runtime, both) = (runtime(), beside_rust(component, DEAL));
    assert_eq!(
        both.each_ref().map(|revision| revision.plan().tier()),
        [Tier::Native, Tier::Interpreted]
    );
    let [rust, script] = both.each_ref().map(|revision| revision.description());
    assert_eq!(rust, script);

    let mut chance = SmallRng::seed_from_u64(0x7e5c);
    let began: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
    let mut now = began;
    let mut pair = both.map(|revision| Probe::begin(runtime, revision, began, 3).unwrap());
    let (mut priced, mut refused) = (0, 0);
    for number in 0..answers {
        now = now.saturating_add(Span::seconds(chance.random_range(0..20_000)));
        let event = event(number, now, &mut chance);
        pair.iter_mut().for_each(|probe| probe.reach(&event).unwrap());
        let told: [String; 2] = match chance.random_range(0..10) {
            0 => {
                let change = change(&mut chance, &pair[0]);
                if let Change::SeatsChanged { after, .. } = change {
                    pair.iter_mut().for_each(|probe| probe.set_seats(after));
                }
                pair.each_mut()
                    .map(|probe| format!("{:?}", probe.change(now, &change, None).verdict))
            }
            1 => pair
                .each_mut()
                .map(|probe| format!("{:?}", probe.quote(&event).unwrap().verdict)),
            2 => pair
                .each_mut()
                .map(|probe| format!("{:?}", probe.explain(&event, Purpose::Usage).unwrap())),
            _ => pair.each_mut().map(|probe| {
                let verdict = probe.price(&event).unwrap().verdict;
                match verdict {
                    Verdict::Priced(_) => priced += 1,
                    _ => refused += 1,
                }
                format!("{verdict:?}")
            }),
        };
        assert_eq!(told[0], told[1], "answer {number}, to {event:?}");
    }
    assert!(
        priced > answers && refused > answers / 20,
        "{priced} and {refused}"
    );
}

fn answers_whole_batches_of_several_customers_byte_for_byte_too(component: &[u8]) {
    let (runtime, both) = (runtime(), beside_rust(component, DEAL));
    let began: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
    let mut customers = both.map(|revision| {
        let seats = [1, 2, 30, 4];
        seats.map(|seats| Probe::begin(runtime, Arc::clone(&revision), began, seats).unwrap())
    });
    let mut chance = SmallRng::seed_from_u64(0xba7c);
    let (mut now, mut compared, mut refused) = (began, 0, 0);
    for round in 0..80 {
        now = now.saturating_add(Span::seconds(chance.random_range(0..200_000)));
        let many = chance.random_range(2..60);
        let asked: Vec<(usize, Event)> = (0..many)
            .map(|number| (chance.random_range(0..4), event(number, now, &mut chance)))
            .collect();
        let purpose = [Purpose::Usage, Purpose::WorstCase][usize::from(round % 4 == 3)];
        let answers = customers.each_mut().map(|probes| {
            for probe in probes.iter_mut() {
                probe.reach(&asked[0].1).unwrap();
            }
            let batch = Probe::together(
                &probes.each_ref(),
                asked.iter().map(|(customer, event)| (*customer, event)),
                purpose,
            );
            let verdicts = runtime.evaluate_together(&batch).unwrap().verdicts;
            for (customer, event) in &asked {
                probes[*customer].price(event).unwrap();
            }
            verdicts
        });
        assert_eq!(answers[0].len(), many, "round {round}");
        assert_eq!(answers[0], answers[1], "round {round}: {asked:?}");
        compared += many;
        refused += answers[0]
            .iter()
            .filter(|v| matches!(v, Verdict::Rejected(_)))
            .count();
    }
    assert!(compared > 2_000 && refused > 200, "{compared} and {refused}");
}

/// `echo` is a plan that says back what it is asked.
fn hands_on_what_an_event_carries_as_it_was_sent(echo: &[u8]) {
    let runtime = runtime();
    let plan = runtime.admit(echo).unwrap();
    let revision = runtime.prepare(&plan, "{}").unwrap();
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let probe = Probe::begin(runtime, revision, began, 1).unwrap();
    // One to four bytes a character, pairs of surrogates, marks that combine, and nothing at all.
    let texts = [
        "plain",
        "\u{dc}brig",
        "\u{4f59}\u{308a}",
        "\u{1f980} crab",
        "e\u{301}",
        "\u{10ffff}\u{0}",
        "",
        "a",
    ];
    let mut chance = SmallRng::seed_from_u64(0x7e87);
    for round in 0..60 {
        let mut expected = Vec::new();
        let events: Vec<Event> = (0..chance.random_range(1..20))
            .map(|number| {
                let mut event = event(number, began, &mut chance);
                let kind = ["one.call", "other.call"][chance.random_range(0..2)];
                event.event_type = kind.parse().unwrap();
                let mut said = vec![kind.to_string()];
                for name in ["first", "second"] {
                    // The first rounds are of single bytes only: a batch of those is read in another way.
                    let known = if round < 10 { 1 } else { texts.len() };
                    let text = texts[chance.random_range(0..known)];
                    let is_there = chance.random_bool(0.8);
                    let told = if is_there && !text.is_empty() {
                        text
                    } else {
                        "none"
                    };
                    said.push(told.to_string());
                    if is_there {
                        event.attributes.insert(name.into(), text.into());
                    }
                }
                event.measures.clear();
                for name in ["less", "more"] {
                    let (amount, told) = [
                        (None, "none"),
                        (Some(0), "0"),
                        (Some(-1), "-0.000000001"),
                        (Some(2_500_000_000), "2.5"),
                        (Some(CROSSING_MAX), "9007199.254740991"),
                    ][chance.random_range(0..5)];
                    said.push(told.to_string());
                    if let Some(amount) = amount {
                        event.measures.insert(name.into(), Nanos::new(amount));
                    }
                }
                expected.push(said.join("|"));
                event
            })
            .collect();
        let batch = probe.batch(&events, Purpose::Usage);
        let verdicts = runtime.evaluate_together(&batch).unwrap().verdicts;
        let told = verdicts.into_iter().map(|verdict| match verdict {
            Verdict::Rejected(Rejection::Unpriceable { message }) => message,
            other => panic!("{other:?}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "round {round}");
    }
}

/// What the provider bills, what the wallet has, and what it remembers; and what it says of grants arrives.
fn is_told_what_it_asks_for(echo: &[u8]) {
    let runtime = runtime();
    let plan = runtime.admit(echo).unwrap();
    let revision = runtime.prepare(&plan, "{}").unwrap();
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let period = farebox_record::time::Period {
        start: began,
        end: "2026-02-01T00:00:00Z".parse().unwrap(),
        index: 0,
    };
    let balances = [Nanos::new(2_500_000_000), Nanos::units(7)];
    let context = |state: &'static [u8]| Context {
        prepared: None,
        state,
        period,
        seats: 1,
        balances: &balances,
    };
    let none = Measures::EMPTY;
    for (cost, told) in [(None, "none|2.5|7"), (Some(Nanos::new(30_000_000)), "0.03|2.5|7")] {
        let mut batch = Batch::new(&revision);
        let context = batch.context(&context(&[]));
        batch.push(&Trigger {
            purpose: Purpose::Usage,
            event_type: &"paid.call".parse().unwrap(),
            context,
            subject: None,
            time: began,
            cost,
            measures: &none,
            attributes: &Attributes::EMPTY,
            source: "api",
            id: "e",
        });
        match &runtime.evaluate_together(&batch).unwrap().verdicts[..] {
            [Verdict::Rejected(Rejection::Unpriceable { message })] => assert_eq!(message, told),
            other => panic!("{other:?}"),
        }
    }
    let due = Change::Due { key: "k".into() };
    // A subscription that counted 5; a conversation that is new, one of another plan, and one that it knows.
    let tag = fnv("echo").to_le_bytes();
    let known = [&[3], &tag[..], &[2, b'h', b'i']].concat();
    let strange = [&[3], &[1, 2, 3, 4][..], &[2, b'h', b'i']].concat();
    for (state, label) in [(&[][..], "Ü: new"), (&strange, "Ü: new"), (&known, "Ü: hi")] {
        let subject = farebox_runtime::Subject { name: "Ü", state };
        let told = runtime.transition(&revision, &context(&[1, 5]), Some(&subject), began, &due);
        let Verdict::Priced(priced) = told.verdict else {
            panic!("{:?}", told.verdict)
        };
        let [grant] = &priced.grants[..] else {
            panic!("{priced:?}")
        };
        assert_eq!(
            (grant.label.as_str(), grant.amount.to_string()),
            (label, "3.5".to_string())
        );
        assert_eq!(
            (grant.priority, grant.effective, grant.expires),
            (-3, Some(began), None)
        );
        let each = grant.each.as_ref().unwrap();
        assert_eq!(
            (each.attribute.as_str(), each.amount),
            ("second", Nanos::new(250_000_000))
        );
        assert_eq!(grant.applies_to.codes, ["calls"]);
        let attributes = [("first", "a"), ("second", "b")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(grant.applies_to.attributes, BTreeMap::from(attributes));
        assert_eq!(priced.state.as_deref(), Some(&[1, 12][..]));
        let kept = priced.subject.unwrap();
        assert_eq!(kept.state, [&[3], &tag[..], &[6], "Übrig".as_bytes()].concat());
        assert_eq!(kept.expires.as_micros(), began.as_micros() + 1);
    }
}

/// `small.call` costs `less` credits, and `more` dollars where no credits are left.
fn gives_no_other_price_of_nothing(echo: &[u8]) {
    let runtime = runtime();
    let plan = runtime.admit(echo).unwrap();
    let revision = runtime.prepare(&plan, "{}").unwrap();
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut probe = Probe::begin(runtime, revision, began, 1).unwrap();
    let mut event = event(0, began, &mut SmallRng::seed_from_u64(0));
    event.event_type = "small.call".parse().unwrap();
    let told = [[0, 0], [0, 5], [7, 0], [7, 5]].map(|prices| {
        let amounts = ["less", "more"]
            .map(String::from)
            .into_iter()
            .zip(prices.map(Nanos::new));
        event.measures = amounts.collect();
        let Verdict::Priced(priced) = probe.quote(&event).unwrap().verdict else {
            panic!("{prices:?}")
        };
        let [charge] = &priced.charges[..] else {
            panic!("{priced:?}")
        };
        let told = |price: &Price| format!("{} nano {}", price.amount.get(), price.asset);
        [std::slice::from_ref(&charge.price), &charge.otherwise[..]]
            .concat()
            .iter()
            .map(told)
            .collect::<Vec<_>>()
    });
    // Of what costs nothing, nothing is left for dollars; and no call that costs credits costs no dollars beyond them.
    assert_eq!(
        told,
        [
            vec!["0 nano credits"],
            vec!["0 nano credits"],
            vec!["7 nano credits", "1 nano usd"],
            vec!["7 nano credits", "5 nano usd"],
        ]
    );
}

/// What tells the states of plans apart, by the definition of FNV-1a.
fn fnv(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    })
}

fn carries_over_what_an_earlier_version_remembered(echo: &[u8]) {
    let runtime = runtime();
    let plan = runtime.admit(echo).unwrap();
    let revision = runtime.prepare(&plan, "{}").unwrap();
    let migrated = |state: &[u8]| Migration::Migrated(state.to_vec());
    // 5 pairs are 10.
    assert_eq!(runtime.migrate(&revision, 1, &[1, 5]), migrated(&[1, 10]));
    assert_eq!(runtime.migrate(&revision, 1, &[]), migrated(&[]));
    assert_eq!(
        runtime.migrate(&revision, 7, &[1, 5]),
        Migration::Refused("nobody knows version 7".into())
    );
    let tag = fnv("echo").to_le_bytes();
    let grown = [&[3], &tag[..], &[10], b"hi, before"].concat();
    // One that says whose it is, and one from before that was said.
    assert_eq!(
        runtime.migrate(&revision, 1, &[&[3], &tag[..], &[2, b'h', b'i']].concat()),
        migrated(&grown)
    );
    assert_eq!(
        runtime.migrate(&revision, 1, &[2, 2, b'h', b'i']),
        migrated(&grown)
    );
    // Another plan's is none of its business.
    let strange = [3, 1, 2, 3, 4, 9];
    assert_eq!(runtime.migrate(&revision, 1, &strange), migrated(&strange));
    assert_eq!(
        runtime.migrate(&revision, 1, &[9, 9]),
        Migration::Refused("the state was not made by this kind of plan".into())
    );
}

/// An event with units around the steps of the deal, with and without fractions; too many, fewer than none, or none at all.
fn event(number: usize, time: Timestamp, chance: &mut SmallRng) -> Event {
    let whole = Nanos::units([0, 1, 7, 40, 333, 999, 5_000][chance.random_range(0..7)]);
    let units = match chance.random_range(0..20) {
        0 => None,
        1 => Some(Nanos::units(5_001)),
        2 => Some(Nanos::new(-1)),
        3 => Some(Nanos::new(CROSSING_MAX)),
        4..8 => Some(Nanos::new(chance.random_range(0..40_000_000_000))),
        _ => Some(whole),
    };
    Event {
        source: default_source(),
        id: EventId::new(&format!("e-{number}")).unwrap(),
        event_type: "api.call".parse().unwrap(),
        time: Some(time),
        measures: units
            .map(|units| Measures::from([("units".to_string(), units)]))
            .unwrap_or_default(),
        attributes: Attributes::EMPTY,
    }
}

fn change(chance: &mut SmallRng, probe: &Probe<'_>) -> Change {
    let proration = [Proration::Wanted, Proration::Unwanted][chance.random_range(0..2)];
    let credits = Nanos::new(chance.random_range(0..2_000_000_000_000));
    let left = |category| farebox_record::plan::RemainingGrant {
        asset: "credits".parse().unwrap(),
        category,
        label: "Übrig – 余り".to_string(),
        granted: Nanos::units(2_000),
        remaining: credits,
        expires: None,
    };
    let remaining = vec![left(Category::Included), left(Category::Paid)];
    match chance.random_range(0..6) {
        0 => Change::Paused,
        1 => Change::Resumed,
        2 => Change::Renewed { remaining },
        3 => Change::Cancelled { remaining },
        _ => Change::SeatsChanged {
            before: probe.seats(),
            after: chance.random_range(0..9),
            proration,
        },
    }
}

fn tells_what_is_wrong_with_a_price_list_at_its_place(component: &[u8]) {
    let runtime = runtime();
    let plan = runtime.admit(component).unwrap();
    let told = |parameters: &str| match runtime.prepare(&plan, parameters).unwrap_err() {
        Refused::Parameters { errors } => errors
            .into_iter()
            .map(|error| format!("{}: {}", error.pointer, error.message))
            .collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    let wrong = DEAL
        .replace("\"19.99\"", "\"-1\"")
        .replace("73", "0")
        .replace("300.25", "0")
        .replace("2500.25", "1000")
        .replace("\"minimum\"", "\"minimun\"");
    assert_eq!(
        told(&wrong),
        [
            "/credits_per_dollar: expected at least 1, found 0",
            "/user_max: expected more than 0",
            "/fee: expected 0 or more, found -1",
            "/minimum: expected a decimal number in quotes, such as \"0.30\"",
            "/beyond/1/above: expected more than the threshold before it",
            ": unknown field \"minimun\", expected one of credits_per_dollar, user_max, fee, credits, rollover_max, minimum, \
             call_max, price, beyond",
        ]
    );
    assert_eq!(
        told("{\"fee\": \"1\", \"fee\": \"2\"}"),
        [": \"fee\" is there twice (line 1, column 19)"]
    );
    assert!(told("{\"fee\": 0.1")[0].contains("found the end"));
}

fn keeps_every_rule(component: &[u8]) {
    let runtime = runtime();
    let plan = runtime.admit(component).unwrap();
    let began: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
    let mut chance = SmallRng::seed_from_u64(0xc0f0);
    let examples: Vec<Event> = (0..20).map(|number| event(number, began, &mut chance)).collect();
    let subject = conformance::Subject {
        runtime,
        plan: &plan,
        parameters: DEAL,
        examples: &examples,
        began,
        seats: 3,
    };
    let options = conformance::Options { seed: 1, events: 250 };
    let report = conformance::examine(&subject, options).unwrap();
    assert!(report.holds() && report.priced > 100, "{report:?}");
}
