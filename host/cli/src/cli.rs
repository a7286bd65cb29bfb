//! The command line: what can be asked, and how it is said. Everything in here is read by people.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use farebox_runtime::Tier;

use crate::authorize::Authorize;
use crate::backfills::BackfillsCommand;
use crate::books::Books;
use crate::changes::Changes;
use crate::customers::CustomersCommand;
use crate::events::EventsCommand;
use crate::failure::{EXIT_CODES, Failure};
use crate::holds::HoldsCommand;
use crate::journal::JournalCommand;
use crate::keys::KeysCommand;
use crate::ledger::LedgerCommand;
use crate::limits::LimitsCommand;
use crate::plan::PlanCommand;
use crate::serve::Serve;
use crate::settings::{Settings, Sources};
use crate::statement::Statement;
use crate::subscriptions::SubscriptionsCommand;
use crate::tenants::TenantsCommand;
use crate::usage::Usage;
use crate::wallet::WalletCommand;

/// Real-time billing for AI: authorize each call before it is made, charge it when it is done.
#[derive(Debug, Parser)]
#[command(
    name = "farebox",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  farebox serve                                    start with nothing configured
  farebox plan new my-plan                         begin a plan
  farebox plan push my-plan --activate prices.json build it and put it in force
  farebox wallet grant acme usd 20                 give a customer value
  farebox ledger verify                            prove all balances from history

Configuration is read from farebox.toml in the current folder, then from FAREBOX_* in the
environment, then from flags; `farebox serve --print-config` shows each value and its origin.";

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Print JSON, for programs; failures are JSON on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Read this configuration file instead of farebox.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The server that a command talks to.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct Remote {
    /// Address of the server [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// API key; better given in FAREBOX_KEY, where it is in no list of processes
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// The data folder that a command works on.
#[derive(Debug, Clone, Default, Args)]
pub struct Data {
    /// Data folder of the server [default: ./farebox-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder of the journal's archive, to read what was moved there
    #[arg(long, value_name = "DIR")]
    pub archive_dir: Option<PathBuf>,
}

impl Data {
    /// The settings that these flags set.
    pub fn flags(&self, sources: Sources) -> Sources {
        sources
            .flag("data", self.data.as_ref().map(|path| path.display()))
            .flag(
                "archive_dir",
                self.archive_dir.as_ref().map(|path| path.display()),
            )
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server; the first start makes its data folder and prints an operator's key
    ///
    /// Starts with nothing configured. The first start makes the data folder (for its owner alone) and a key of tenant
    /// `default`, which is printed once. It is an operator's: it may do everything in `default`, and make further tenants
    /// with `farebox tenants create`, sandboxes with a clock of their own among them. Stops on SIGINT and SIGTERM: what was
    /// taken in is answered, and nothing is lost; a second signal leaves at once, which loses nothing that was answered.
    Serve(Serve),
    /// Make, build, check and test plans; push them to a server and put them in force
    #[command(subcommand)]
    Plan(PlanCommand),
    /// API keys of a server
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Tenants of a server, and the clocks of its sandboxes
    #[command(subcommand)]
    Tenants(TenantsCommand),
    /// Customers of a server
    #[command(subcommand)]
    Customers(CustomersCommand),
    /// Usage from before the late window, posted and taken back as a whole
    #[command(subcommand)]
    Backfills(BackfillsCommand),
    /// What a customer has, giving more, and putting it right
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Which customer is on which plan, and what changes about that
    #[command(subcommand)]
    Subscriptions(SubscriptionsCommand),
    /// How much a customer, or a part of one, may spend
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Ask whether a call may happen, and set aside what it may cost
    ///
    /// Prints what is held and until when, and exits with 0; or why the call is denied, and exits with 1. A decision is kept
    /// under its id: a denial stays one after the wallet was filled, and a new attempt takes a new id. `farebox holds` ends
    /// what is held. With --settle the measures are known usage, which is checked and charged in one step.
    Authorize(Authorize),
    /// What is held for a call: charge it, give it more time or room, give it back
    #[command(subcommand)]
    Holds(HoldsCommand),
    /// Report usage, look at it, take it back or replace it
    #[command(subcommand)]
    Events(EventsCommand),
    /// What a customer used and was charged, by attribute and time
    ///
    /// An event counts where it happened, however late it was reported, settled or priced. Charges are what was posted: all
    /// rows of a customer sum to its ledger. Times are in UTC.
    Usage(Usage),
    /// A customer's statement: what came in, was used, charged, corrected, paid and expired, and what is left
    ///
    /// The lines sum to the balance. What fell due counts at the instant at which it fell due; what is late or corrected stands
    /// where it was posted, with the period that it belongs to. The statement of a range that is over never changes. Times are
    /// in UTC.
    Statement(Statement),
    /// The books of all customers together: what moved in each account, and what is there
    ///
    /// The accounts of an asset sum to zero. In the customers' accounts (available, held, debt, receivable) they are the sum of
    /// all customers' statements over the same days; the accounts against those say what was bought, given away, included,
    /// earned, expired and put right by hand. Days are in UTC.
    Books(Books),
    /// What happened: denials, renewals, expiries, debt, unpriced usage, new prices
    ///
    /// In commit order, and for 35 days. With --json each change carries a cursor, from which --after goes on.
    Changes(Changes),
    /// The journal: prove it, back it up, restore it, archive what is old
    #[command(subcommand)]
    Journal(JournalCommand),
    /// The ledger of a stopped server
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Compile a plan from standard input; the server calls itself like this
    #[command(name = crate::data::COMPILE_COMMAND, hide = true)]
    CompilePlan {
        /// Which class of plans it is of
        #[arg(value_parser = tier)]
        tier: Tier,
    },
}

fn tier(name: &str) -> Result<Tier, String> {
    Tier::named(name).ok_or_else(|| format!("{name:?} is neither native nor interpreted"))
}

impl Global {
    /// Settings for a command that talks to a server.
    pub fn remote(&self, remote: &Remote) -> Result<Settings, Failure> {
        let sources = Sources::of_process(self.config.clone());
        Settings::read(
            &sources
                .flag("server", remote.server.as_ref())
                .flag("key", remote.key.as_ref()),
        )
    }

    /// Settings for a command that works on a data folder.
    pub fn offline(&self, data: &Data) -> Result<Settings, Failure> {
        Settings::read(&data.flags(Sources::of_process(self.config.clone())))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Help of a command, as a terminal of 100 columns shows it.
    fn help(path: &[&str]) -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut at = &mut command;
        for name in path {
            at = at.find_subcommand_mut(name).unwrap();
        }
        at.clone().term_width(100).render_long_help().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_of_the_main_commands() {
        let commands: [&[&str]; 27] = [
            &[],
            &["serve"],
            &["plan"],
            &["plan", "push"],
            &["plan", "activate"],
            &["keys", "create"],
            &["tenants"],
            &["tenants", "advance"],
            &["wallet", "grant"],
            &["wallet", "refund"],
            &["wallet", "entries"],
            &["authorize"],
            &["holds"],
            &["holds", "settle"],
            &["subscriptions"],
            &["subscriptions", "change"],
            &["limits", "put"],
            &["events", "send"],
            &["events", "amend"],
            &["usage"],
            &["statement"],
            &["books"],
            &["changes"],
            &["journal", "rebuild"],
            &["journal", "snapshot"],
            &["journal", "archive"],
            &["ledger", "verify"],
        ];
        for path in commands {
            let name = format!("help{}", path.iter().map(|p| format!("-{p}")).collect::<String>());
            insta::assert_snapshot!(name, help(path));
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        let mut without = Vec::new();
        let mut command = Cli::command();
        command.build();
        fn visit(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            let shown = command
                .get_after_long_help()
                .or(command.get_after_help())
                .map(ToString::to_string);
            if !command.is_hide_set() && !shown.is_some_and(|text| text.contains("farebox ")) {
                without.push(path.clone());
            }
            for inner in command.get_subcommands() {
                visit(inner, &path, without);
            }
        }
        visit(&command, "", &mut without);
        assert_eq!(without, Vec::<String>::new());
    }
}
