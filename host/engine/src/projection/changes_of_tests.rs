use farebox_record::command::{
    AboveHold, AuthorizeMode, Finality, Grant, Release, RetryTransition, Settle, Subscribe,
};
use farebox_record::control::{Activation, OpenHolds, PlanState, TimelineChange};
use farebox_record::ids::{Hash, TenantId};
use farebox_record::outcome::{DenialReason, UnpricedReason};
use farebox_record::plan::{AppliesTo, Category};
use farebox_record::state::{Cadence, DueChange, MissedChange, UnpricedState};

use super::super::change::Kind;
use super::super::sample::*;
use super::*;

fn kinds(record: &Record) -> Vec<&'static str> {
    let changes = changes_of(record);
    assert!(
        changes
            .iter()
            .all(|c| c.sequence == 5 && c.at == noon() && c.customer == Some(record.customer.clone()))
    );
    changes.iter().map(|c| c.what.kind().as_str()).collect()
}

fn grant_command() -> Command {
    Command::Grant(Grant {
        id: grant_id(),
        asset: usd(),
        amount: amount("10"),
        category: Category::Paid,
        priority: 0,
        effective: None,
        expires: None,
        applies_to: AppliesTo::default(),
        label: None,
        each: None,
    })
}

fn settle_command() -> Command {
    Command::Settle(Settle {
        hold: reference(),
        id: "s1".parse().unwrap(),
        measures: measures("10"),
        attributes: Default::default(),
        finality: Finality::Final,
        above: AboveHold::AllowDebt,
    })
}

fn release_command() -> Command {
    Command::Release(Release {
        hold: reference(),
        id: "r".parse().unwrap(),
    })
}

#[test]
fn a_denial_says_what_was_needed() {
    let why = Denied {
        reason: DenialReason::InsufficientFunds,
        asset: Some(usd()),
        required: amount("3"),
        available: amount("1"),
    };
    let denied = record(
        authorize(AuthorizeMode::Hold),
        Answer::Denied(Box::new(why)),
        Vec::new(),
    );
    let changes = changes_of(&denied);
    let expected = What::Denied {
        event: reference(),
        event_type: Some("llm.call".parse().unwrap()),
        reason: DenialReason::InsufficientFunds,
        asset: Some(usd()),
        required: amount("3"),
        available: amount("1"),
    };
    assert_eq!(changes.iter().map(|c| &c.what).collect::<Vec<_>>(), [&expected]);
}

#[test]
fn what_goes_as_it_should_is_no_news() {
    let until = Some(noon());
    assert!(
        kinds(&record(
            authorize(AuthorizeMode::Hold),
            allowed(until),
            vec![hold_put()]
        ))
        .is_empty()
    );
    assert!(kinds(&record(Command::Usage(event("1")), answered(), charged("0.5", 0))).is_empty());
    let ended = vec![Effect::HoldEnded(reference(), HoldEnd::Released)];
    assert!(kinds(&record(release_command(), Answer::Handled, ended)).is_empty());
}

#[test]
fn debt_is_told_as_it_moves() {
    let incurred = vec![
        entry(Account::Debt, "-2", Some(0)),
        entry(Account::Revenue, "2", Some(0)),
    ];
    let incurred = record(Command::Usage(event("1")), answered(), incurred);
    assert_eq!(kinds(&incurred), ["debt_incurred"]);
    let paid = vec![
        grant_opened("10"),
        entry(Account::Available(grant_id()), "10", None),
        entry(Account::Purchases, "-10", None),
        entry(Account::Available(grant_id()), "-2", None),
        entry(Account::Debt, "2", None),
    ];
    let paid = record(grant_command(), Answer::Handled, paid);
    assert_eq!(kinds(&paid), ["grant_received", "debt_paid"]);
    let debt_paid = What::DebtPaid {
        asset: usd(),
        amount: amount("2"),
    };
    assert_eq!(changes_of(&paid)[1].what, debt_paid);
    // Back and forth within one record: what counts is what is left of it.
    let back = vec![
        entry(Account::Debt, "3", Some(0)),
        entry(Account::Debt, "-1", Some(1)),
    ];
    let back = record(settle_command(), settled(true), back);
    let cancelled = What::DebtCancelled {
        asset: usd(),
        amount: amount("2"),
    };
    assert_eq!(changes_of(&back)[0].what, cancelled);
    let nothing = vec![
        entry(Account::Debt, "1", Some(0)),
        entry(Account::Debt, "-1", Some(1)),
    ];
    assert!(kinds(&record(settle_command(), settled(true), nothing)).is_empty());
}

/// What a hold no longer needs is bought value that pays; what the end of a call shows was not owed, nobody pays.
#[test]
fn debt_that_is_paid_is_told_from_debt_that_is_not_owed() {
    let paid = || vec![entry(Account::Debt, "2", None)];
    let paid_and_not_owed = || {
        vec![
            entry(Account::Debt, "1", Some(0)),
            entry(Account::Debt, "2", None),
        ]
    };
    let incurred_and_paid = || {
        vec![
            entry(Account::Debt, "-1", Some(0)),
            entry(Account::Debt, "2", None),
        ]
    };
    for command in [settle_command, release_command] {
        let told = |effects| kinds(&record(command(), settled(true), effects));
        assert_eq!(told(paid()), ["debt_paid"]);
        assert_eq!(told(paid_and_not_owed()), ["debt_cancelled", "debt_paid"]);
        assert_eq!(told(incurred_and_paid()), ["debt_incurred", "debt_paid"]);
    }
}

#[test]
fn a_grant_expires_with_what_was_free_of_it() {
    let due = |item| {
        Command::Due(Due {
            instant: noon(),
            item,
        })
    };
    let expiry = due(DueItem::GrantExpiry(grant_id()));
    let expired = vec![
        Effect::GrantExpired(grant_id()),
        entry(Account::Available(grant_id()), "-4", None),
        entry(Account::Breakage, "4", None),
    ];
    let expected = What::GrantExpired {
        grant: grant_id(),
        asset: Some(usd()),
        breakage: amount("4"),
    };
    let changes = changes_of(&record(expiry.clone(), Answer::Handled, expired));
    assert_eq!(
        changes.into_iter().map(|c| c.what).collect::<Vec<_>>(),
        [expected]
    );
    let empty = changes_of(&record(
        expiry,
        Answer::Handled,
        vec![Effect::GrantExpired(grant_id())],
    ));
    assert!(matches!(&empty[0].what, What::GrantExpired { asset: None, breakage, .. } if breakage.is_zero()));
    let late = vec![
        entry(Account::Held(grant_id()), "-1.5", None),
        entry(Account::Breakage, "1.5", None),
        Effect::HoldEnded(reference(), HoldEnd::Expired),
    ];
    let late = record(due(DueItem::HoldExpiry(reference())), Answer::Handled, late);
    assert_eq!(kinds(&late), ["hold_expired", "breakage_posted"]);
}

#[test]
fn unpriced_usage_is_told_when_it_is_kept_and_when_it_is_rated() {
    let reason = UnpricedReason::NoSubscription;
    let kept = Effect::UnpricedKept(Box::new(UnpricedState {
        received: noon(),
        what: farebox_record::state::Waiting::Event(event("1")),
        reason: reason.clone(),
    }));
    let kept = record(Command::Usage(event("1")), Answer::Unpriced(reason), vec![kept]);
    assert_eq!(kinds(&kept), ["usage_unpriced"]);
    let mut effects = vec![Effect::UnpricedRated(4)];
    effects.extend(charged("1", 0));
    assert_eq!(kinds(&record(rate("1"), answered(), effects)), ["usage_rated"]);
}

#[test]
fn subscriptions_start_and_renew() {
    let state = SubscriptionState {
        plan: "tokens".parse().unwrap(),
        started: noon(),
        anchor: noon(),
        cadence: Cadence::Monthly,
        period: period(),
        seats: 3,
        event_types: Vec::new(),
        state: Vec::new(),
        state_version: 1,
        revision: revision(),
        timers: Default::default(),
        status: Default::default(),
        scheduled: Vec::new(),
        term: 0,
        since: farebox_record::time::Timestamp::EPOCH,
        opened: 1,
        opening: Vec::new(),
        opening_version: None,
        past: Vec::new(),
    };
    let id: SubscriptionId = "s".parse().unwrap();
    let put = vec![Effect::SubscriptionPut(id.clone(), Box::new(state))];
    let subscribe = Command::Subscribe(Subscribe {
        id: id.clone(),
        plan: "tokens".parse().unwrap(),
        seats: 3,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    });
    let answer = Answer::Subscribed {
        period: period(),
        revision: revision(),
        balances: Vec::new(),
    };
    let expected = Subscribed {
        subscription: id.clone(),
        plan: "tokens".parse().unwrap(),
        period: period(),
        seats: 3,
    };
    let started = changes_of(&record(subscribe, answer, put.clone()));
    assert_eq!(started[0].what, What::SubscriptionStarted(expected.clone()));
    let renewal = Command::Due(Due {
        instant: noon(),
        item: DueItem::Renewal(id),
    });
    let renewed = changes_of(&record(renewal.clone(), Answer::Handled, put.clone()));
    assert_eq!(renewed[0].what, What::SubscriptionRenewed(expected.clone()));
    // A period that ends with the subscription, or with its pause, renews nothing.
    for status in [
        SubscriptionStatus::Cancelled(noon()),
        SubscriptionStatus::Paused(noon()),
    ] {
        let mut over = put.clone();
        if let Effect::SubscriptionPut(_, state) = &mut over[0] {
            state.status = status;
        }
        let changed = changes_of(&record(renewal.clone(), Answer::Handled, over));
        let told = What::SubscriptionChanged(Changed {
            now: expected.clone(),
            status,
            effective: noon(),
        });
        assert_eq!(changed[0].what, told);
    }
    // Every event of a plan with a state puts the subscription: that is no news.
    assert!(kinds(&record(Command::Usage(event("1")), answered(), put)).is_empty());
}

fn missed(item: DueItem) -> MissedTransition {
    MissedTransition {
        due: Due {
            instant: noon(),
            item,
        },
        period: period(),
        seats: 3,
    }
}

/// What fell due and what a plan was told of it; older releases did not keep that.
#[test]
fn what_its_plan_does_not_answer_is_news() {
    let renewal = || DueItem::Renewal("s".parse().unwrap());
    let timer = DueItem::Timer {
        subscription: "s".parse().unwrap(),
        key: "deadline".into(),
        about: None,
    };
    let told = |transition, change| {
        Waiting::Change(Box::new(MissedChange {
            transition,
            plan: "tokens".parse().unwrap(),
            change,
        }))
    };
    let reason = UnpricedReason::PlanFailed {
        code: "trap".into(),
        message: "unreachable".into(),
    };
    let waiting = [
        (renewal(), Waiting::Transition(missed(renewal()))),
        (renewal(), told(missed(renewal()), DueChange::Renewed(Vec::new()))),
        (
            timer.clone(),
            told(missed(timer), DueChange::Timer("deadline".into())),
        ),
    ];
    for (item, what) in waiting {
        let kept = Effect::UnpricedKept(Box::new(UnpricedState {
            received: noon(),
            what,
            reason: reason.clone(),
        }));
        let due = Command::Due(Due {
            instant: noon(),
            item,
        });
        let changes = changes_of(&record(due, Answer::Handled, vec![kept]));
        let news: Vec<What> = changes.into_iter().map(|change| change.what).collect();
        let expected = What::TransitionUnanswered {
            subscription: "s".parse().unwrap(),
            due: noon(),
            reason: reason.clone(),
        };
        assert_eq!(news, [expected]);
    }
}

#[test]
fn a_late_answer_is_news_whatever_of_it_applied() {
    let missed = missed(DueItem::Renewal("s".parse().unwrap()));
    let again = Command::RetryTransition(RetryTransition { sequence: 7, missed });
    let told = |answer: Answer| {
        let changes = changes_of(&record(again.clone(), answer, vec![Effect::UnpricedRated(7)]));
        assert_eq!(changes.len(), 1, "{changes:?}");
        changes[0].what.clone()
    };
    let news = |charges| What::TransitionAnswered {
        subscription: "s".parse().unwrap(),
        due: noon(),
        charges,
    };
    let Answer::Charged { charges, .. } = answered() else {
        panic!("it is charged")
    };
    assert_eq!(told(answered()), news(charges));
    assert_eq!(told(Answer::Handled), news(Vec::new()));
}

#[test]
fn control_planes_have_news_too() {
    let plan: farebox_record::ids::PlanName = "tokens".parse().unwrap();
    let control = |command, effects| ControlRecord {
        tenant: TenantId::new("t").unwrap(),
        sequence: 2,
        previous: Hash::default(),
        at: noon(),
        command,
        effects,
    };
    let activation = Activation {
        revision: revision(),
        effective: noon(),
        activated: noon(),
        open_holds: OpenHolds::Quoted,
    };
    let put = vec![ControlEffect::PlanPut(
        plan.clone(),
        PlanState {
            components: Vec::new(),
            timeline: vec![activation],
        },
    )];
    let kind = |command, effects: &[ControlEffect]| {
        let changes = control_changes_of(&control(command, effects.to_vec()));
        changes.iter().map(|c| c.what.kind()).collect::<Vec<_>>()
    };
    let activate = ControlCommand::Activate {
        plan: plan.clone(),
        revision: revision(),
        effective: None,
        open_holds: OpenHolds::Quoted,
    };
    assert_eq!(kind(activate.clone(), &put), [Kind::RevisionActivated]);
    let rollback = ControlCommand::Rollback { plan: plan.clone() };
    assert_eq!(kind(rollback, &put), [Kind::RevisionRolledBack]);
    // As they are written since they may have a key, under which it may be that nothing changes.
    let rolled_back = TimelineChange::Rollback {
        from: Some(revision()),
    };
    let changes = [
        (Kind::RevisionActivated, activate.timeline().unwrap().1),
        (Kind::RevisionRolledBack, rolled_back),
    ];
    for (expected, change) in changes {
        let command = ControlCommand::ChangeTimeline {
            plan: plan.clone(),
            change,
            id: Some("key".parse().unwrap()),
        };
        assert_eq!(kind(command.clone(), &put), [expected]);
        let already = ControlEffect::InForce(plan.clone(), activation);
        assert_eq!(kind(command, &[already]), []);
    }
    let quarantine = ControlCommand::Quarantine {
        plan,
        revision: revision(),
        reason: "it leaked".into(),
    };
    assert_eq!(kind(quarantine, &[]), [Kind::RevisionQuarantined]);
    let revoke = ControlCommand::RevokeKey {
        id: "k".parse().unwrap(),
    };
    assert!(kind(revoke, &[]).is_empty());
}
