//! Random histories in random ranges: each closing is the next opening, and the last one is what the wallet has.

use farebox_record::correction::AdjustTarget;
use farebox_record::plan::Category;
use farebox_record::state::Cadence;
use farebox_record::time::Timestamp;
use farebox_statement::{Balances, Moved};
use proptest::prelude::*;

use crate::say::between;
use crate::world::make::*;
use crate::world::{START, World};

/// What may happen: which kind, which of the things of that kind, how much.
type Step = (u8, usize, u32);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0..19_u8, 0..6_usize, 1..40_u32), 1..50)
}

/// Cuts, in hours after the start; histories are about forty days long.
fn cuts() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(0..1_000_i64, 0..6)
}

fn play(script: &[Step]) -> World {
    let mut world = World::new();
    let _ = world.ask(subscribe("s", Cadence::Days(5)), gives(&[order("credits", "20")]));
    let mut made = 0;
    for (what, which, much) in script {
        made += 1;
        let (amount, one) = (much.to_string(), format!("{which}"));
        let new = format!("n{made}");
        let asset = ["usd", "credits"][which % 2];
        // Most of these can be refused, by a rule of the ledger or because there is no such thing: then nothing happens.
        let _ = match what {
            0 => world.act(grant(&new, asset, &amount).put()),
            1 => {
                let hours = world.now.as_micros() / 1_000_000 - START.as_micros() / 1_000_000
                    + i64::from(*much) * 3_600;
                world.act(
                    grant(&new, asset, &amount)
                        .category(Category::Promotional)
                        .expires(hours)
                        .put(),
                )
            }
            2 => world.ask(usage(&format!("e{one}-{made}")), usd(&amount)),
            3 => world.ask(
                usage(&format!("e{one}")),
                priced(&[chain("calls", &[("credits", &amount), ("usd", "3")])]),
            ),
            4 => world.ask(hold_for(&format!("h{one}"), 3_600 * much), usd(&amount)),
            5 => world.ask(part(&format!("h{one}"), &new), usd(&amount)),
            6 => world.ask(settle(&format!("h{one}")), usd(&amount)),
            7 => world.act(release(&format!("h{one}"))),
            8 => world.act(pay(&new, &amount)),
            9 => {
                let target = [
                    AdjustTarget::Balance,
                    AdjustTarget::Debt,
                    AdjustTarget::Receivable,
                ][which % 3];
                world.act(adjust(&new, target, &amount))
            }
            10 => world.act(refund_event(&new, &format!("e{one}"), None)),
            11 => world.act(void(&format!("e{one}"))),
            12 => world.ask(amend(&format!("e{one}")), usd(&amount)),
            13 => world.act(refund_grant(&new, &format!("n{which}"), None)),
            14 => world.ask(usage(&new), priced(&[fee("seat", "usd", &amount)])),
            15 | 16 => {
                let earlier = format!("e{}", (which + *much as usize) % 6);
                let says = priced(&[
                    back(&earlier, "tokens", "usd", "-0.6"),
                    charge("work", "usd", &amount),
                ]);
                match what {
                    15 => world.ask(usage(&format!("e{one}")), says),
                    _ => world.ask(amend(&format!("e{one}")), says),
                }
            }
            _ => {
                let mut monthly = order("credits", &amount);
                monthly.expires = Some(Timestamp::from_micros(world.now.as_micros() + 5 * 86_400_000_000));
                world
                    .transitions
                    .push_back(gives(&[monthly, order("credits", "1")]));
                // Several days at once: what fell due meanwhile is caught up late.
                world.advance(i64::from(*much) * 7_200);
                continue;
            }
        };
        if what % 3 == 0 {
            world.advance(i64::from(*much) * 600);
        }
    }
    world
}

fn at(hours: i64) -> Timestamp {
    Timestamp::from_micros(START.as_micros() + hours * 3_600_000_000)
}

/// What a statement says there is at one of its ends; assets of nothing are left out.
fn balances(found: impl Iterator<Item = (farebox_money::Asset, Moved)>) -> Balances {
    found.filter(|(_, balance)| !balance.is_zero()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(1_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn consecutive_statements_leave_nothing_out(script in steps(), cuts in cuts()) {
        let world = play(&script);
        let mut ends: Vec<Timestamp> = cuts.into_iter().map(at).collect();
        ends.push(at(0));
        ends.push(Timestamp::from_micros(world.now.as_micros().max(at(1_000).as_micros()) + 1));
        ends.sort();
        ends.dedup();
        let mut before = Balances::new();
        let mut records = 0;
        for range in ends.windows(2) {
            let statement = between(&world, range[0], range[1]);
            let opening = balances(statement.assets.iter().map(|a| (a.asset.clone(), a.opening)));
            prop_assert_eq!(&opening, &before);
            for asset in &statement.assets {
                let mut sum = asset.opening;
                for line in &asset.lines {
                    sum = sum.plus(line.moved).unwrap();
                }
                prop_assert_eq!(sum, asset.closing);
            }
            before = balances(statement.assets.iter().map(|a| (a.asset.clone(), a.closing)));
            records += statement.records;
        }
        prop_assert_eq!(before, balances(farebox_statement::balances(world.wallet.customer_accounts()).into_iter()));
        prop_assert_eq!(records, world.wallet.header().sequence);
    }
}
