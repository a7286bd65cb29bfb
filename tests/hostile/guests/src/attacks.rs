//! What the plan does with one trigger: prices it, or attacks.

use core::sync::atomic::{AtomicI64, Ordering};

use crate::exports::farebox::plan::pricing::*;
use crate::{CODE, CREDITS, USD, attack, slice, spin, total};

/// Lives as long as the instance. An honest plan has none of these.
static KEPT: AtomicI64 = AtomicI64::new(FIRST);
/// Not zero, so that it is in the memory that a fresh instance begins with.
const FIRST: i64 = 7;

/// Prices one trigger, or attacks.
pub fn trigger(batch: &Batch, i: usize, totals: &mut [i64], out: &mut Outcomes) -> Result<Priced, Rejection> {
    let context = batch.triggers[i].context as usize;
    let mut amount = batch.measures[2 * i];
    let state = |out: &mut Outcomes, bytes: &[u8]| {
        let start = out.bytes.len() as u32;
        out.bytes.extend_from_slice(bytes);
        Some(Span {
            start,
            end: out.bytes.len() as u32,
        })
    };
    match attack(batch, i) {
        "loop" => spin(),
        "trap" => core::arch::wasm32::unreachable(),
        "memory" => {
            let mut kept = Vec::new();
            loop {
                kept.push(core::hint::black_box(vec![1_u8; 1024]));
            }
        }
        "grow" => {
            while core::arch::wasm32::memory_grow(0, 1) != usize::MAX {}
            core::arch::wasm32::unreachable()
        }
        "recursion" => amount = deep(core::hint::black_box(1)),
        "charges" => {
            let charge = Charge {
                code: CODE,
                asset: USD,
                amount: 1,
                quantity: 1,
                collect: Collect::Balance,
                otherwise: false,
            };
            out.charges.resize(out.charges.len() + 1_000, charge);
            return Ok(Priced {
                charges_end: out.charges.len() as u32,
                state: None,
            });
        }
        "message" => return Err(Rejection::Unpriceable("x".repeat(100 * 1024))),
        "reject" => return Err(Rejection::Unpriceable("no such model".into())),
        "grants" => {
            // Each label is the same 32 KiB: small for the plan, large for the host.
            for _ in 0..400 {
                out.grants.push(grant(i, None));
            }
        }
        "span" => {
            return Ok(Priced {
                charges_end: out.charges.len() as u32,
                state: Some(Span { start: 0, end: 9_999 }),
            });
        }
        "span-back" => {
            return Ok(Priced {
                charges_end: out.charges.len() as u32,
                state: Some(Span { start: 5, end: 1 }),
            });
        }
        "end-back" => {
            charge(out, amount);
            charge(out, amount);
            // The next trigger, if any, ends before this one.
            let end = if i % 2 == 0 { out.charges.len() } else { 0 };
            return Ok(Priced {
                charges_end: end as u32,
                state: None,
            });
        }
        "end-beyond" => {
            return Ok(Priced {
                charges_end: 7,
                state: None,
            });
        }
        "left-over" => {
            charge(out, amount);
            return Ok(Priced {
                charges_end: out.charges.len() as u32 - 1,
                state: None,
            });
        }
        "code" => {
            charge(out, amount);
            out.charges.last_mut().unwrap().code = 1;
        }
        "asset" => {
            charge(out, amount);
            out.charges.last_mut().unwrap().asset = 2;
        }
        "negative" => {
            charge(out, -1);
        }
        "take-back-positive" => {
            charge(out, 1);
            give_back(out, "e-1");
        }
        "take-back-nameless" => {
            charge(out, -1);
            give_back(out, "");
        }
        "take-back" => {
            charge(out, -1);
            give_back(out, "e-1");
        }
        "otherwise-first" => {
            charge(out, 1);
            out.charges.last_mut().unwrap().otherwise = true;
        }
        "otherwise-zero" => {
            charge(out, 1);
            charge(out, 0);
            out.charges.last_mut().unwrap().otherwise = true;
        }
        "each-zero" | "each-nameless" => {
            let (attribute, amount) = match attack(batch, i) {
                "each-zero" => ("user".into(), 0),
                _ => (String::new(), 1),
            };
            out.grants.push(grant(i, Some(Each { attribute, amount })));
        }
        "otherwise-many" => {
            charge(out, 1);
            for _ in 0..5 {
                charge(out, 1);
                out.charges.last_mut().unwrap().otherwise = true;
            }
        }
        "otherwise" => {
            charge(out, 100);
            out.charges.last_mut().unwrap().asset = CREDITS;
            charge(out, 3);
            out.charges.last_mut().unwrap().otherwise = true;
        }
        "state" => {
            let state = state(out, &[1; 17 * 1024]);
            return Ok(Priced {
                charges_end: out.charges.len() as u32,
                state,
            });
        }
        "forget-subject" => {
            let span = state(out, b"").unwrap();
            let expires = batch.triggers[i].time + 401 * 86_400_000_000;
            out.subjects.push(SubjectChange {
                trigger: i as u32,
                state: span,
                expires,
            });
        }
        // Counts the calls and triggers that this instance has seen.
        "count" => amount += KEPT.fetch_add(1, Ordering::Relaxed) - FIRST,
        // Charges one customer for the events of all.
        "peek" => amount = batch.measures.iter().step_by(2).sum(),
        // Follows the conversation: its state is how many events it had.
        "subject" => {
            let at = batch.triggers[i].subject.unwrap() as usize;
            let name = batch.subjects[at].name;
            amount = i64::from(name.end - name.start);
            let seen = out
                .subjects
                .iter()
                .filter(|s| batch.triggers[s.trigger as usize].subject == Some(at as u32));
            let seen = seen.count() as i64 + total(slice(batch, batch.subjects[at].state)) + 1;
            let span = state(out, &seen.to_le_bytes()).unwrap();
            let expires = batch.triggers[i].time + 1;
            out.subjects.push(SubjectChange {
                trigger: i as u32,
                state: span,
                expires,
            });
            amount += 1_000 * seen;
        }
        // Honest: the price grows with the total of the subscription.
        "total" => {
            totals[context] += amount;
            charge(out, totals[context]);
            let state = state(out, &totals[context].to_le_bytes());
            return Ok(Priced {
                charges_end: out.charges.len() as u32,
                state,
            });
        }
        // Honest, but a batch of many needs more fuel than one call has.
        "heavy" => amount = work(amount, 150_000),
        // Honest, and nearly all the fuel that a call has: some 10 ms.
        "heaviest" => amount = work(amount, 900_000),
        _ => {}
    }
    if !matches!(
        attack(batch, i),
        "code" | "asset" | "negative" | "take-back" | "take-back-positive" | "otherwise"
    ) {
        charge(out, amount);
    }
    Ok(Priced {
        charges_end: out.charges.len() as u32,
        state: None,
    })
}

fn grant(trigger: usize, each: Option<Each>) -> Grant {
    Grant {
        trigger: trigger as u32,
        asset: USD,
        amount: 1,
        category: Category::Paid,
        priority: 0,
        effective: None,
        expires: None,
        applies_to: AppliesTo {
            codes: vec![],
            attributes: vec![],
        },
        each,
        label: String::new(),
    }
}

fn charge(out: &mut Outcomes, amount: i64) {
    let (collect, otherwise) = (Collect::Balance, false);
    out.charges.push(Charge {
        code: CODE,
        asset: USD,
        amount,
        quantity: amount,
        collect,
        otherwise,
    });
}

fn give_back(out: &mut Outcomes, id: &str) {
    let charge = out.charges.len() as u32 - 1;
    out.give_backs.push(GiveBack {
        charge,
        event: EventRef {
            source: "api".into(),
            id: id.into(),
        },
    });
}

/// Recurses until something stops it.
fn deep(level: i64) -> i64 {
    let frame = core::hint::black_box([level; 4]);
    core::hint::black_box(deep(level + 1) + frame[0])
}

/// Takes its time; the price is one.
fn work(amount: i64, steps: i64) -> i64 {
    let mut amount = amount;
    for step in 0..steps {
        amount = core::hint::black_box(amount ^ step);
    }
    1
}
