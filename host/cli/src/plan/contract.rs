//! `farebox plan contract`: what a plan and its host say to each other.

use clap::Args;
use farebox_kit::build::contract::{Contract as Pages, Item, WIT, contract};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// See [`super::PlanCommand::Contract`].
#[derive(Debug, Args)]
pub struct Contract {
    /// Only this: `evaluate`, `charge` ...
    name: Option<String>,
    /// The interface itself, as programs that make bindings read it
    #[arg(long, conflicts_with = "name")]
    wit: bool,
}

impl Contract {
    /// Prints the page, a part of it, or the interface.
    pub fn run(&self) -> Result<Output, Failure> {
        if self.wit {
            return Ok(Output::new(WIT, json!({ "wit": WIT })));
        }
        let pages =
            contract().map_err(|error| Failure::new(Exit::Internal, "contract", error.to_string()))?;
        let Some(name) = &self.name else {
            return Ok(Output::new(pages.page(), whole(&pages)));
        };
        let item = pages
            .items
            .iter()
            .find(|item| item.name == *name)
            .ok_or_else(|| {
                let names: Vec<&str> = pages.items.iter().map(|item| &*item.name).collect();
                Failure::usage(format!("the contract has no {name:?}"))
                    .hint(format!("one of {}", names.join(", ")))
            })?;
        Ok(Output::new(
            format!("{} ({})\n\n{}", item.name, item.kind, item.text),
            part(item),
        ))
    }
}

fn whole(pages: &Pages) -> Value {
    let items: Vec<Value> = pages.items.iter().map(part).collect();
    json!({ "package": pages.package, "about": pages.about, "items": items })
}

fn part(item: &Item) -> Value {
    json!({ "name": item.name, "kind": item.kind, "text": item.text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: Option<&str>, wit: bool) -> Result<Output, Failure> {
        let name = name.map(str::to_string);
        Contract { name, wit }.run()
    }

    #[test]
    fn all_of_it_one_item_or_the_interface_itself() {
        assert!(
            run(None, false)
                .unwrap()
                .text
                .starts_with("# farebox:plan@0.1.0\n")
        );
        let charge = run(Some("charge"), false).unwrap();
        assert!(charge.text.starts_with("charge (record)\n"), "{}", charge.text);
        assert_eq!(charge.json["kind"], "record");
        assert!(run(None, true).unwrap().text.starts_with("package farebox:plan@"));
        let refused = run(Some("price"), false).unwrap_err();
        assert!(refused.text().contains("evaluate"), "{}", refused.text());
    }
}
