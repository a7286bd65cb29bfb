//! Customers and grants.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::command::Grant;
use farebox_record::ids::{CustomerId, GrantId};
use farebox_record::plan::{AppliesTo, Category};
use farebox_record::portion::{Each, Portions};
use farebox_record::state::{Customer, Shortfall};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::limits::{FIELD_NAME_BYTES_MAX, GRANT_CONDITIONS_MAX};
use crate::problem::Problem;
use crate::wire::amount::Amount;
use crate::wire::balance::BalanceView;
use crate::wire::text::Label;
use crate::wire::time::Time;

/// What is said of a customer, all of it: what is left away is taken away.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PutCustomer, example = json!({"name": "Acme", "shortfall": {"usd": {"floor": "-25"}}}))]
pub struct CustomerBody {
    /// What people call it.
    pub name: Option<Label>,
    /// Per asset, what happens when the wallet cannot cover a charge. Assets not named: `deny`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, ShortfallBody>)]
    pub shortfall: BTreeMap<Asset, ShortfallBody>,
}

/// What happens when a wallet cannot cover a charge: `"deny"` - nothing is authorized beyond what is there;
/// `{"floor": "-25"}` - it may owe 25; `"unlimited"` - post-paid. Usage that happened is charged in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Shortfall)]
pub enum ShortfallBody {
    /// Nothing is authorized beyond what is there.
    Deny,
    /// How far below zero authorize may go: zero or negative.
    Floor(Amount),
    /// Post-paid.
    Unlimited,
}

impl CustomerBody {
    /// The policies as the ledger knows them.
    pub fn shortfalls(&self) -> Result<BTreeMap<Asset, Shortfall>, Problem> {
        let one = |(asset, body): (&Asset, &ShortfallBody)| {
            let policy = match body {
                ShortfallBody::Deny => Shortfall::Deny,
                ShortfallBody::Unlimited => Shortfall::Unlimited,
                ShortfallBody::Floor(Amount(floor)) => match floor.checked_neg().filter(|n| !n.is_negative())
                {
                    Some(debt) => Shortfall::Floor(debt),
                    None => {
                        let pointer = format!("/shortfall/{asset}/floor");
                        let detail = "a floor is zero or negative: \"-25\" lets the wallet owe 25";
                        return Err(Problem::field(pointer, detail));
                    }
                },
            };
            Ok((asset.clone(), policy))
        };
        self.shortfall.iter().map(one).collect()
    }
}

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerView {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was created.
    pub created_at: Time,
    /// Per asset, what happens when the wallet cannot cover a charge. Assets not named: `deny`.
    #[schema(value_type = BTreeMap<String, ShortfallBody>)]
    pub shortfall: BTreeMap<Asset, ShortfallBody>,
    /// Whether an earlier request under this key got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

impl CustomerView {
    /// As it is kept.
    pub fn new(id: &CustomerId, customer: &Customer) -> CustomerView {
        let shown = |shortfall: &Shortfall| match shortfall {
            Shortfall::Deny => ShortfallBody::Deny,
            Shortfall::Floor(debt) => ShortfallBody::Floor(Amount(Nanos::new(-debt.get()))),
            Shortfall::Unlimited => ShortfallBody::Unlimited,
        };
        CustomerView {
            id: id.to_string(),
            name: customer.name.clone(),
            created_at: Time(customer.created),
            shortfall: customer
                .shortfall
                .iter()
                .map(|(asset, policy)| (asset.clone(), shown(policy)))
                .collect(),
            replayed: false,
        }
    }
}

/// A page of customers, in order of id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerPage)]
pub struct CustomerPage {
    /// The customers.
    pub customers: Vec<CustomerView>,
    /// Give it as `cursor` for what comes after; not there: nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Value for a wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostGrant, example = json!({"id": "topup-1", "asset": "usd", "amount": "20", "category": "paid"}))]
pub struct GrantBody {
    /// Made by the caller; kept for good, so that no retry pays twice.
    #[schema(value_type = String, example = "topup-1")]
    id: GrantId,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    asset: Asset,
    /// How much; more than zero.
    amount: Amount,
    /// What kind of value it is. Only `paid` pays debt.
    #[schema(schema_with = category_schema)]
    category: Category,
    /// Low burns first; 0 unless told.
    #[serde(default)]
    priority: i32,
    /// From when; not there: at once.
    effective_at: Option<Time>,
    /// Until when; not there: for good.
    expires_at: Option<Time>,
    /// What it may pay for; not there: everything.
    #[serde(default)]
    applies_to: AppliesToBody,
    /// Each value of an attribute has a portion of its own, and what pays for its events is that alone; not there: it is not
    /// divided.
    each: Option<EachBody>,
    /// What a person reads.
    label: Option<Label>,
}

impl GrantBody {
    /// As the ledger knows it.
    pub fn command(self) -> Result<Grant, Problem> {
        let conditions = self.applies_to.codes.len() + self.applies_to.attributes.len();
        if conditions > GRANT_CONDITIONS_MAX {
            let detail = format!("{conditions} conditions; GRANT_CONDITIONS_MAX is {GRANT_CONDITIONS_MAX}");
            return Err(Problem::field("/applies_to", detail).with("limit", "GRANT_CONDITIONS_MAX"));
        }
        Ok(Grant {
            id: self.id,
            asset: self.asset,
            amount: self.amount.0,
            category: self.category,
            priority: self.priority,
            effective: self.effective_at.map(|time| time.0),
            expires: self.expires_at.map(|time| time.0),
            applies_to: AppliesTo {
                codes: self.applies_to.codes,
                attributes: self.applies_to.attributes,
            },
            label: self.label.map(|label| label.0),
            each: self.each.map(EachBody::read).transpose()?,
        })
    }
}

/// That a grant is taken in portions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Each, example = json!({"attribute": "user", "amount": "20"}))]
pub struct EachBody {
    /// The attribute of the event: each of its values has a portion, from the first event that needs it on.
    pub attribute: String,
    /// How much that is at most, in the asset of the grant; more than zero.
    pub amount: Amount,
}

impl EachBody {
    /// As the ledger shows it.
    pub fn shown(portions: &Portions) -> EachBody {
        let Each { attribute, amount } = &portions.each;
        EachBody {
            attribute: attribute.clone(),
            amount: Amount(*amount),
        }
    }

    fn read(self) -> Result<Each, Problem> {
        match self.attribute.len() {
            1..=FIELD_NAME_BYTES_MAX => Ok(Each {
                attribute: self.attribute,
                amount: self.amount.0,
            }),
            length => {
                let detail = format!(
                    "a name of {length} bytes; it has 1 to FIELD_NAME_BYTES_MAX ({FIELD_NAME_BYTES_MAX})"
                );
                Err(Problem::field("/each/attribute", detail).with("limit", "FIELD_NAME_BYTES_MAX"))
            }
        }
    }
}

/// What a grant may pay for: all of its conditions must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = AppliesTo)]
pub struct AppliesToBody {
    /// Codes of charges; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// Attributes of the event and the value that each must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl AppliesToBody {
    /// None where there is no condition.
    pub fn shown(applies_to: &AppliesTo) -> Option<AppliesToBody> {
        let AppliesTo { codes, attributes } = applies_to;
        let conditional = !applies_to.is_everything();
        conditional.then(|| AppliesToBody {
            codes: codes.clone(),
            attributes: attributes.clone(),
        })
    }
}

/// A grant that is in the wallet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Granted)]
pub struct GrantedView {
    /// The grant's id.
    #[schema(value_type = String)]
    pub id: GrantId,
    /// When it was put there.
    pub granted_at: Time,
    /// What of it paid debt at once.
    pub paid_debt: Amount,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

pub(crate) fn category_schema() -> Object {
    choice(&["promotional", "included", "paid"])
}

/// The schema of a text that is one of a few.
pub(crate) fn choice(texts: &[&str]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(texts.iter().copied()))
        .build()
}
