//! However a customer came to owe, pay and be let off: once every event is taken back, everything that was paid is there, and
//! nothing else.

use farebox_record::correction::AdjustTarget::{Debt, Receivable};
use farebox_record::outcome::{Account, Verdict};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::World;
use crate::world::make::*;

/// Something that moves money, with an amount of 1 to 9.
#[derive(Debug, Clone)]
enum Step {
    TopUp(u32),
    /// Usage in dollars, and a fee on the statement.
    Event(u32, u32),
    Pay(u32),
    LetOffDebt(u32),
    LetOffFees(u32),
    Refund(Index, u32),
    Amend(Index, u32, u32),
    Void(Index),
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    let (amount, event) = (1..10_u32, any::<Index>());
    prop_oneof![
        amount.clone().prop_map(Step::TopUp),
        (0..10_u32, 0..10_u32).prop_map(|(used, fee)| Step::Event(used, fee)),
        (0..10_u32, 0..10_u32).prop_map(|(used, fee)| Step::Event(used, fee)),
        amount.clone().prop_map(Step::Pay),
        amount.clone().prop_map(Step::LetOffDebt),
        amount.clone().prop_map(Step::LetOffFees),
        (event.clone(), amount).prop_map(|(event, amount)| Step::Refund(event, amount)),
        (event.clone(), 0..10_u32, 0..10_u32).prop_map(|(event, used, fee)| Step::Amend(event, used, fee)),
        event.prop_map(Step::Void),
        Just(Step::Wait),
    ]
}

fn costs(used: u32, fee_of_it: u32) -> Verdict {
    let charges = [
        charge("tokens", "usd", &used.to_string()),
        fee("setup", "usd", &fee_of_it.to_string()),
    ];
    let some = charges
        .into_iter()
        .filter(|charge| charge.price.amount.is_positive());
    priced(&some.collect::<Vec<_>>())
}

/// Everything that came in, by purchases and payments; both are counted where they came from.
fn came_in(world: &World) -> i128 {
    -world.posted("usd", &Account::Purchases).get()
}

/// What the customer has and owes: free, held, debt, receivable.
fn check(world: &World, paid: i128) -> Result<(), TestCaseError> {
    let [free, held, ..] = world.balance("usd");
    prop_assert!(free.get() + held.get() <= paid, "{free} and {held} of {paid}");
    prop_assert_eq!(came_in(world), paid);
    Ok(())
}

proptest! {
    #[test]
    fn taken_back_is_as_if_it_had_never_been(steps in prop::collection::vec(any_step(), 1..40)) {
        let mut world = World::new();
        let (mut paid, mut events) = (0, Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            let id = format!("c{number}");
            // Refused is what is more than there is, or of an event that is taken back: that changes nothing.
            match step {
                Step::TopUp(amount) => {
                    world.ok(grant(&id, "usd", &amount.to_string()).put());
                    paid += i128::from(amount) * 1_000_000_000;
                }
                Step::Pay(amount) => {
                    let answer = world.act(pay(&id, &amount.to_string()));
                    paid += if answer.is_ok() { i128::from(amount) * 1_000_000_000 } else { 0 };
                }
                Step::Event(used, fee) => {
                    world.ask(usage(&id), costs(used, fee)).unwrap();
                    events.push(id);
                }
                Step::LetOffDebt(amount) => drop(world.act(adjust(&id, Debt, &amount.to_string()))),
                Step::LetOffFees(amount) => drop(world.act(adjust(&id, Receivable, &amount.to_string()))),
                Step::Wait => world.advance(1),
                Step::Refund(..) | Step::Amend(..) | Step::Void(_) if events.is_empty() => {}
                Step::Refund(event, amount) => {
                    drop(world.act(refund_event(&id, event.get(&events[..]).as_str(), Some(&amount.to_string()))));
                }
                Step::Void(event) => drop(world.act(void(event.get(&events[..]).as_str()))),
                Step::Amend(event, used, fee) => drop(world.ask(amend(event.get(&events[..]).as_str()), costs(used, fee))),
            }
            check(&world, paid)?;
        }
        for event in &events {
            drop(world.act(void(event)));
            check(&world, paid)?;
        }
        let [free, held, debt, receivable] = world.balance("usd").map(|amount| amount.get());
        prop_assert_eq!([free, held, debt, receivable], [paid, 0, 0, 0]);
        prop_assert!(world.posted("usd", &Account::Adjustments).is_zero());
        prop_assert!(world.posted("usd", &Account::Revenue).is_zero());
    }
}
