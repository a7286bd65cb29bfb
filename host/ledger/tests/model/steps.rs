//! Random commands.

use farebox_money::Nanos;
use farebox_record::correction::AdjustTarget;
use farebox_record::spending::{CalendarUnit, LimitTerms, OnExceed, Scope, Threshold, Window};
use farebox_record::state::Cadence;
use proptest::prelude::*;
use proptest::sample::select;

use crate::reference::Above;
use crate::subscriptions::Change;
use crate::words::{AGENTS, ASSETS, CODES, Charge, Labels, Link, Order, PLANS, Says, TEAMS, Word};
use crate::world::make::asset;
use crate::world::seconds;

const DAY: i64 = 86_400;

/// What is said of a call besides its name.
#[derive(Debug, Clone)]
pub struct Reported {
    pub kind: &'static str,
    pub labels: Labels,
    pub tokens: Option<u32>,
    /// It does not come from where the others come from.
    pub elsewhere: bool,
    /// How long ago it happened, where that is said; negative: it is still to come.
    pub ago: Option<i64>,
}

/// One thing that happens. Numbers pick among what is there.
#[derive(Debug, Clone)]
pub enum Step {
    Policy(Vec<Option<i128>>),
    Grant(Order),
    Subscribe {
        plan: usize,
        seats: u32,
        anchor: Option<i64>,
        cadence: Cadence,
        above: Above,
        word: Word,
    },
    Change {
        sub: usize,
        change: Change,
        at_end: bool,
        prorate: bool,
        word: Word,
    },
    Usage(Reported, Word),
    /// What is older than usage may be.
    Backfill(Reported, Word),
    Authorize {
        call: Reported,
        word: Word,
        ttl: u32,
        one_shot: bool,
    },
    Settle {
        hold: usize,
        word: Word,
        labels: Labels,
        last: bool,
        above: Above,
    },
    /// Settles at exactly what was quoted last, refusing anything above: this must never fail.
    SettleAtQuote(usize),
    Extend {
        hold: usize,
        ttl: u32,
        word: Option<Word>,
    },
    /// What the plan says of one that was settled in part.
    Release(usize, Word),
    /// What waits for a price is asked for again.
    Rate(usize, Word),
    /// So many tenths of all that there is.
    Adjust {
        target: AdjustTarget,
        asset: &'static str,
        tenths: i128,
    },
    Pay(&'static str, i128),
    /// So many tenths of what it took of one of its assets; none: everything.
    RefundEvent(usize, Option<(usize, i128)>),
    RefundGrant(usize, Option<i128>),
    Void(usize, Word),
    Amend {
        event: usize,
        call: Reported,
        word: Word,
        /// What the plan of the event that is replaced says to that, where it follows teams.
        reversed: Option<Word>,
    },
    /// The same to an event of a plan with a memory: others cost something else behind it.
    Refold {
        event: usize,
        /// What takes its place, where anything does.
        amended: Option<(Reported, Word)>,
        /// Which term, where its event does not say.
        term: usize,
        /// Which other events, and what they cost.
        behind: Vec<(usize, Vec<Charge>)>,
        state: u8,
        /// The term ended while it was folded.
        is_stale: bool,
    },
    /// A term that was closed once is kept again.
    Remember(usize),
    PutLimit(usize, LimitTerms),
    DeleteLimit(usize),
    /// The clock goes so many seconds, back too; and what plans say to what falls due meanwhile, in turn.
    Clock(i64, Vec<Word>),
    /// The process dies and opens what was stored.
    Crash,
    /// All records are read again, from the first.
    Replay,
    /// An earlier request comes again.
    Again(usize),
    /// Another request comes under the id of an earlier one.
    Conflict(usize, usize),
}

/// Each of them said in so many of ten cases.
fn any_labels(said: u32) -> impl Strategy<Value = Labels> {
    let one = |names: &'static [&'static str]| prop_oneof![said => select(names).prop_map(Some), 10 - said => Just(None)];
    (one(&TEAMS), one(&AGENTS)).prop_map(|(team, agent)| Labels { team, agent })
}

fn any_asset() -> impl Strategy<Value = &'static str> {
    select(&ASSETS[..])
}

fn any_charge() -> impl Strategy<Value = Charge> {
    let link =
        (any_asset(), 1..40_i128, prop::bool::weighted(0.08)).prop_map(|(asset, amount, invoice)| Link {
            asset,
            amount,
            invoice,
        });
    let links = prop::collection::vec(link, 1..=4);
    (select(&CODES[..]), links, prop::bool::weighted(0.05)).prop_map(|(code, mut links, nothing)| {
        if nothing {
            links[0].amount = 0;
        }
        Charge { code, links }
    })
}

fn any_order() -> impl Strategy<Value = Order> {
    (
        (
            any_asset(),
            prop_oneof![1..60_i128, 60..300_i128],
            0..3_u8,
            -1..2_i32,
        ),
        prop::option::weighted(0.3, prop_oneof![-500..500_i64, 0..20 * DAY]),
        prop::option::weighted(0.5, prop_oneof![1..2_000_i64, 1..40 * DAY]),
        prop::option::weighted(0.25, select(&CODES[..])),
        (any_labels(1), prop::option::weighted(0.3, 1..60_i128)),
    )
        .prop_map(
            |((asset, amount, category, priority), delay, life, code, (labels, each))| Order {
                asset,
                amount,
                category,
                priority,
                delay,
                life,
                code,
                labels,
                each,
            },
        )
}

/// Charges, and little else: what an event costs.
fn any_price() -> impl Strategy<Value = Word> {
    let charges = prop::collection::vec(any_charge(), 0..4);
    let rarely = prop_oneof![4 => Just(None), 1 => any_orders().prop_map(Some)];
    let want = (
        0..99_usize,
        0..9_usize,
        prop_oneof![8 => 1..=10_i128, 1 => 11..13_i128],
    );
    let wants = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(want, 1..4)];
    let says = (charges, wants, rarely).prop_map(|(charges, wants, orders)| {
        Word::Says(Says {
            charges,
            wants,
            ..orders.unwrap_or_default()
        })
    });
    prop_oneof![
        14 => says,
        1 => select(vec![Word::Invalid, Word::Cannot, Word::Breaks, Word::Negative, Word::Silent]),
    ]
}

fn any_orders() -> impl Strategy<Value = Says> {
    let grants = prop::collection::vec(
        (any_order(), prop::bool::weighted(0.05)).prop_map(|(mut order, nothing)| {
            if nothing {
                order.amount = 0;
            }
            order
        }),
        0..3,
    );
    let after = prop_oneof![-100..100_i64, 100..10_000_i64, DAY..9 * DAY];
    let timers = prop::collection::vec((select(vec!["k", "l"]), prop::option::weighted(0.8, after)), 0..2);
    let state = prop::option::of(any::<u8>());
    let subject = prop::option::weighted(0.4, prop::option::weighted(0.8, any::<u8>()));
    (grants, timers, state, subject).prop_map(|(grants, timers, state, subject)| Says {
        grants,
        timers,
        state,
        subject,
        ..Says::default()
    })
}

/// What a plan says to what is done to its subscription.
fn any_word() -> impl Strategy<Value = Word> {
    let says = (prop::collection::vec(any_charge(), 0..2), any_orders())
        .prop_map(|(charges, orders)| Word::Says(Says { charges, ..orders }));
    prop_oneof![
        10 => says,
        1 => select(vec![Word::Invalid, Word::Cannot, Word::Breaks, Word::Negative, Word::Silent]),
    ]
}

fn any_cadence() -> impl Strategy<Value = Cadence> {
    select(vec![
        Cadence::Monthly,
        Cadence::Monthly,
        Cadence::Weekly,
        Cadence::Days(10),
        Cadence::Days(3),
        Cadence::Daily,
        Cadence::Yearly,
    ])
}

fn any_reported() -> impl Strategy<Value = Reported> {
    let kind = prop_oneof![12 => Just("chat"), 6 => Just("image"), 1 => Just("video")];
    let ago = prop_oneof![-400..400_i64, 0..10 * DAY, 0..36 * DAY];
    (
        kind,
        any_labels(5),
        prop::option::of(1..9_u32),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, ago),
    )
        .prop_map(|(kind, labels, tokens, elsewhere, ago)| Reported {
            kind,
            labels,
            tokens,
            elsewhere,
            ago,
        })
}

fn any_backfill() -> impl Strategy<Value = Step> {
    let ago = prop_oneof![4 => 35 * DAY..90 * DAY, 1 => 35 * DAY - 1..=35 * DAY + 1];
    let ago = prop::option::weighted(0.95, ago);
    (any_reported(), ago, any_price())
        .prop_map(|(reported, ago, word)| Step::Backfill(Reported { ago, ..reported }, word))
}

fn any_change() -> impl Strategy<Value = Change> {
    let plan = (0..PLANS.len(), prop::option::of(any_cadence())).prop_map(|(p, c)| Change::Plan(p, c));
    prop_oneof![
        3 => (1..4_u32).prop_map(Change::Seats),
        5 => plan,
        3 => Just(Change::Pause),
        3 => Just(Change::Resume),
        1 => Just(Change::Cancel),
        1 => Just(Change::Unschedule),
        2 => select(vec![Above::Deny, Above::Available, Above::Debt, Above::Subscribed]).prop_map(Change::Above),
    ]
}

fn any_terms() -> impl Strategy<Value = LimitTerms> {
    let windows = vec![
        Window::Calendar(CalendarUnit::Hour),
        Window::Calendar(CalendarUnit::Day),
        Window::Calendar(CalendarUnit::Week),
        Window::Calendar(CalendarUnit::Month),
        Window::Calendar(CalendarUnit::Year),
        Window::Rolling {
            step: seconds(600),
            steps: 3,
        },
        Window::Rolling {
            step: seconds(86_400),
            steps: 7,
        },
    ];
    let thresholds = vec![
        vec![],
        vec![Threshold::Percent(50), Threshold::Percent(100)],
        vec![Threshold::Amount(Nanos::new(20)), Threshold::Percent(33)],
    ];
    let amount = prop_oneof![0..60_i128, 60..400_i128];
    (
        any_asset(),
        amount,
        (any_labels(5), any::<bool>()),
        select(windows),
        select(thresholds),
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(name, amount, (labels, upwards), window, thresholds, notify)| LimitTerms {
                asset: asset(name),
                amount: Nanos::new(amount),
                scope: Scope(match upwards {
                    true => labels.path().into_iter().rev().collect(),
                    false => labels.path(),
                }),
                window,
                on_exceed: match notify && !thresholds.is_empty() {
                    true => OnExceed::Notify,
                    false => OnExceed::Deny,
                },
                thresholds,
            },
        )
}

fn any_policy() -> impl Strategy<Value = Option<i128>> {
    prop_oneof![3 => Just(Some(0)), 4 => (1..200_i128).prop_map(Some), 2 => Just(None)]
}

fn any_clock() -> impl Strategy<Value = Step> {
    let by = prop_oneof![
        8 => 1..500_i64,
        2 => 500..3_600_i64,
        1 => Just(3_600_i64),
        2 => 3_600..3 * DAY,
        2 => DAY..40 * DAY,
        1 => -5_000..0_i64,
    ];
    (by, prop::collection::vec(any_word(), 0..4)).prop_map(|(by, words)| Step::Clock(by, words))
}

fn any_above() -> impl Strategy<Value = Above> {
    select(vec![
        Above::Deny,
        Above::Available,
        Above::Debt,
        Above::Subscribed,
        Above::Subscribed,
    ])
}

fn any_hold() -> impl Strategy<Value = Step> {
    let settle = (
        0..99_usize,
        any_price(),
        any_labels(2),
        any::<bool>(),
        any_above(),
    )
        .prop_map(|(hold, word, labels, last, above)| Step::Settle {
            hold,
            word,
            labels,
            last,
            above,
        });
    let authorize = (
        any_reported(),
        any_price(),
        1..3_000_u32,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(call, word, ttl, one_shot)| Step::Authorize {
            call,
            word,
            ttl,
            one_shot,
        });
    let extend = (0..99_usize, 1..3_000_u32, prop::option::of(any_price()))
        .prop_map(|(hold, ttl, word)| Step::Extend { hold, ttl, word });
    prop_oneof![
        6 => authorize,
        7 => settle,
        2 => (0..99_usize).prop_map(Step::SettleAtQuote),
        2 => extend,
        1 => (0..99_usize, any_price()).prop_map(|(hold, word)| Step::Release(hold, word)),
    ]
}

/// Of an amount; more than all of it, too.
fn any_tenths() -> impl Strategy<Value = i128> {
    prop_oneof![8 => 1..=10_i128, 1 => 11..20_i128, 1 => -1..1_i128]
}

fn any_correction() -> impl Strategy<Value = Step> {
    let target = select(vec![
        AdjustTarget::Balance,
        AdjustTarget::Debt,
        AdjustTarget::Receivable,
    ]);
    let adjust = (target, any_asset(), any_tenths()).prop_map(|(target, asset, tenths)| Step::Adjust {
        target,
        asset,
        tenths,
    });
    let part = prop::option::weighted(0.7, (0..9_usize, any_tenths()));
    let void = prop_oneof![3 => Just(Word::Silent), 1 => any_price()];
    prop_oneof![
        1 => adjust,
        1 => (any_asset(), any_tenths()).prop_map(|(asset, tenths)| Step::Pay(asset, tenths)),
        3 => (0..99_usize, part).prop_map(|(event, part)| Step::RefundEvent(event, part)),
        1 => (0..99_usize, prop::option::of(any_tenths())).prop_map(|(g, n)| Step::RefundGrant(g, n)),
        2 => (0..99_usize, void).prop_map(|(event, word)| Step::Void(event, word)),
        2 => (0..99_usize, any_reported(), any_price(), prop::option::weighted(0.4, any_word()))
            .prop_map(|(event, call, word, reversed)| Step::Amend { event, call, word, reversed }),
    ]
}

fn any_refold() -> impl Strategy<Value = Step> {
    let charges = prop::collection::vec(any_charge(), 0..4);
    (
        0..99_usize,
        prop::option::of((any_reported(), any_price())),
        0..9_usize,
        prop::collection::vec((0..99_usize, charges), 0..5),
        any::<u8>(),
        prop::bool::weighted(0.05),
    )
        .prop_map(|(event, amended, term, behind, state, is_stale)| Step::Refold {
            event,
            amended,
            term,
            behind,
            state,
            is_stale,
        })
}

fn any_subscription() -> impl Strategy<Value = Step> {
    let anchor = prop::option::weighted(0.3, -100 * DAY..20 * DAY);
    let subscribe = (
        0..PLANS.len(),
        1..4_u32,
        anchor,
        any_cadence(),
        any_above(),
        any_word(),
    )
        .prop_map(|(plan, seats, anchor, cadence, above, word)| Step::Subscribe {
            plan,
            seats,
            anchor,
            cadence,
            above,
            word,
        });
    let change = (
        0..99_usize,
        any_change(),
        any::<bool>(),
        any::<bool>(),
        any_word(),
    )
        .prop_map(|(sub, change, at_end, prorate, word)| Step::Change {
            sub,
            change,
            at_end,
            prorate,
            word,
        });
    prop_oneof![1 => subscribe, 3 => change]
}

/// Anything, weighted so that wallets have something to do.
pub fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => prop::collection::vec(any_policy(), ASSETS.len()).prop_map(Step::Policy),
        7 => any_order().prop_map(Step::Grant),
        6 => any_subscription(),
        5 => (any_reported(), any_price()).prop_map(|(call, word)| Step::Usage(call, word)),
        1 => any_backfill(),
        16 => any_hold(),
        2 => (0..99_usize, any_price()).prop_map(|(which, word)| Step::Rate(which, word)),
        6 => any_correction(),
        3 => any_refold(),
        1 => (0..99_usize).prop_map(Step::Remember),
        2 => (0..3_usize, any_terms()).prop_map(|(name, terms)| Step::PutLimit(name, terms)),
        1 => (0..3_usize).prop_map(Step::DeleteLimit),
        8 => any_clock(),
        1 => Just(Step::Crash),
        1 => Just(Step::Replay),
        2 => (0..999_usize).prop_map(Step::Again),
        2 => (0..999_usize, 0..99_usize).prop_map(|(which, how)| Step::Conflict(which, how)),
    ]
}

fn lengthen(step: &mut Step) {
    if let Step::Clock(by, _) = step
        && *by > 500
    {
        *by = (*by * 30).min(50 * DAY);
    }
}

/// A history: most begin with a subscription, because without one nothing is priced, and many with some value.
pub fn any_script() -> impl Strategy<Value = Vec<Step>> {
    let first = Step::Subscribe {
        plan: 2,
        seats: 1,
        anchor: None,
        cadence: Cadence::Monthly,
        above: Above::Subscribed,
        word: Word::Says(Says::default()),
    };
    let first = prop_oneof![9 => Just(Some(first)), 1 => Just(None)];
    let policy = prop::option::of(prop::collection::vec(any_policy(), ASSETS.len()));
    let grants = prop::collection::vec(any_order(), 0..5);
    let rest = prop::collection::vec(any_step(), 1..70);
    // What is kept for weeks is forgotten only in a history of months.
    let is_long = prop::bool::weighted(0.2);
    (first, policy, grants, rest, is_long).prop_map(|(first, policy, grants, mut rest, is_long)| {
        if is_long {
            rest.iter_mut().for_each(lengthen);
        }
        let mut script: Vec<Step> = first.into_iter().collect();
        script.extend(policy.map(Step::Policy));
        script.extend(grants.into_iter().map(Step::Grant));
        script.extend(rest);
        script
    })
}
