//! Spending limits.

use std::fmt;

use farebox_ledger::LimitView as Present;
use farebox_money::Asset;
use farebox_record::ids::{CustomerId, LimitName};
use farebox_record::spending::{CalendarUnit, LimitState, LimitTerms, OnExceed, Scope, Threshold, Window};
use farebox_record::time::{Span, Timestamp};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::limits::ATTRIBUTE_BYTES_MAX;
use crate::problem::Problem;
use crate::wire::account::choice;
use crate::wire::amount::Amount;
use crate::wire::measures::{check_name, check_text};
use crate::wire::time::Time;

/// What a spending limit says, all of it: what is left away is as if it had never been said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PutLimit, example = json!({
    "asset": "usd", "amount": "100", "scope": {"team": "search", "agent": "bot-7"},
    "window": {"calendar": "month"}, "thresholds": [{"percent": 80}], "on_exceed": "deny"
}))]
pub struct LimitBody {
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    asset: Asset,
    /// How much may be used and held in a window; zero lets nothing through.
    amount: Amount,
    /// Whose spending counts; not there: all of the customer's.
    #[serde(default)]
    scope: ScopeBody,
    /// Over which time.
    window: WindowBody,
    /// What is announced, once in a window, when usage reaches it; 50, 80 and 100 percent unless told. At most 8.
    thresholds: Option<Vec<ThresholdBody>>,
    /// What happens to a call that does not fit: it is denied, or it goes ahead and only thresholds are announced.
    /// `deny` unless told.
    #[serde(default)]
    #[schema(schema_with = on_exceed_schema)]
    on_exceed: OnExceed,
}

fn on_exceed_schema() -> Object {
    choice(&["deny", "notify"])
}

/// The thresholds of a limit whose caller names none.
const PERCENT_DEFAULT: [u16; 3] = [50, 80, 100];

impl LimitBody {
    /// As the ledger knows it.
    pub fn terms(self) -> Result<LimitTerms, Problem> {
        let thresholds = match self.thresholds {
            Some(thresholds) => thresholds.into_iter().map(ThresholdBody::known).collect(),
            None => PERCENT_DEFAULT.map(Threshold::Percent).to_vec(),
        };
        Ok(LimitTerms {
            asset: self.asset,
            amount: self.amount.0,
            scope: self.scope.0,
            window: self.window.known()?,
            thresholds,
            on_exceed: self.on_exceed,
        })
    }
}

/// Attributes that an event must carry to count, each with its value, from the top of the tree down: the order of the
/// object's members is the path. `{"team": "search", "agent": "bot-7"}` lies below `{"team": "search"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeBody(pub Scope);

impl<'de> Deserialize<'de> for ScopeBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ScopeBody, D::Error> {
        struct Path;
        impl<'de> Visitor<'de> for Path {
            type Value = ScopeBody;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of attributes")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ScopeBody, A::Error> {
                let mut path: Vec<(String, String)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    check_name(&name).map_err(A::Error::custom)?;
                    check_text(&value).map_err(A::Error::custom)?;
                    if value.is_empty() {
                        let problem = "is empty: an empty attribute is the same as none";
                        return Err(A::Error::custom(format!("{name} {problem}")));
                    }
                    if path.iter().any(|(before, _)| *before == name) {
                        return Err(A::Error::custom(format!("{name} is given twice")));
                    }
                    path.push((name, value));
                }
                Ok(ScopeBody(Scope(path)))
            }
        }
        deserializer.deserialize_map(Path)
    }
}

impl Serialize for ScopeBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.0.len()))?;
        for (name, value) in &self.0.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl PartialSchema for ScopeBody {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(ATTRIBUTE_BYTES_MAX));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::RefOr(text.into())))
            .description(Some(
                "Attributes that an event must carry to count, each with its value, from the top of the tree down: the \
                 order of the members is the path. At most 8; none: everything of the customer counts.",
            ))
            .examples([serde_json::json!({"team": "search"})])
            .into()
    }
}

impl ToSchema for ScopeBody {}

/// Over which time a limit counts, in UTC: `{"calendar": "month"}`, from one boundary to the next; or
/// `{"rolling": {"seconds": 86400, "step_seconds": 3600}}`, the last so many seconds. A rolling window moves in steps, and
/// errs on the strict side: what was used counts for its whole length and for up to one step more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Window)]
pub enum WindowBody {
    /// From one boundary of the calendar to the next.
    Calendar(UnitBody),
    /// The last so many seconds.
    Rolling(RollingBody),
}

/// A rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = RollingWindow)]
pub struct RollingBody {
    /// Its length: at most 366 days.
    #[schema(minimum = 1, maximum = 31622400)]
    pub seconds: u32,
    /// How exact it is: the length divided by 1 to 60.
    #[schema(minimum = 1)]
    pub step_seconds: u32,
}

/// A part of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CalendarUnit)]
pub enum UnitBody {
    /// From a full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first of the month.
    Month,
    /// From 1 January.
    Year,
}

impl UnitBody {
    fn known(self) -> CalendarUnit {
        match self {
            UnitBody::Hour => CalendarUnit::Hour,
            UnitBody::Day => CalendarUnit::Day,
            UnitBody::Week => CalendarUnit::Week,
            UnitBody::Month => CalendarUnit::Month,
            UnitBody::Year => CalendarUnit::Year,
        }
    }

    fn shown(unit: CalendarUnit) -> UnitBody {
        match unit {
            CalendarUnit::Hour => UnitBody::Hour,
            CalendarUnit::Day => UnitBody::Day,
            CalendarUnit::Week => UnitBody::Week,
            CalendarUnit::Month => UnitBody::Month,
            CalendarUnit::Year => UnitBody::Year,
        }
    }
}

impl WindowBody {
    fn known(self) -> Result<Window, Problem> {
        let RollingBody {
            seconds,
            step_seconds,
        } = match self {
            WindowBody::Calendar(unit) => return Ok(Window::Calendar(unit.known())),
            WindowBody::Rolling(rolling) => rolling,
        };
        let steps = seconds.checked_div(step_seconds).unwrap_or(0);
        match u16::try_from(steps) {
            Ok(steps) if steps > 0 && u32::from(steps) * step_seconds == seconds => Ok(Window::Rolling {
                step: Span::seconds(step_seconds),
                steps,
            }),
            _ => {
                let detail = format!(
                    "{seconds} s are not 1 to 60 steps of {step_seconds} s; take steps that divide the length"
                );
                Err(Problem::field("/window/rolling/step_seconds", detail))
            }
        }
    }

    fn shown(window: Window) -> WindowBody {
        // Both are whole seconds of at most 366 days: they came in as such.
        let seconds = |micros: i64| u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
        match window {
            Window::Calendar(unit) => WindowBody::Calendar(UnitBody::shown(unit)),
            Window::Rolling { step, steps } => WindowBody::Rolling(RollingBody {
                seconds: seconds(step.as_micros().saturating_mul(i64::from(steps))),
                step_seconds: seconds(step.as_micros()),
            }),
        }
    }
}

/// How far usage is before it is announced: `{"percent": 80}` of the limit, up to 1000; or `{"amount": "25"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Threshold)]
pub enum ThresholdBody {
    /// Of the limit: 1 to 1000.
    Percent(u16),
    /// Of the limit's asset.
    Amount(Amount),
}

impl ThresholdBody {
    fn known(self) -> Threshold {
        match self {
            ThresholdBody::Percent(percent) => Threshold::Percent(percent),
            ThresholdBody::Amount(Amount(amount)) => Threshold::Amount(amount),
        }
    }

    fn shown(threshold: &Threshold) -> ThresholdBody {
        match threshold {
            Threshold::Percent(percent) => ThresholdBody::Percent(*percent),
            Threshold::Amount(amount) => ThresholdBody::Amount(Amount(*amount)),
        }
    }
}

/// A spending limit, and how much of it is taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limit)]
pub struct LimitView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: LimitName,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// In which asset.
    #[schema(value_type = String)]
    pub asset: Asset,
    /// How much may be used and held in a window.
    pub amount: Amount,
    /// Whose spending counts.
    pub scope: ScopeBody,
    /// The scope as a path, as denials name it: `team=search/agent=bot-7`; `customer` for the whole customer.
    #[schema(example = "team=search/agent=bot-7")]
    pub level: String,
    /// Over which time.
    pub window: WindowBody,
    /// What is announced when usage reaches it.
    pub thresholds: Vec<ThresholdBody>,
    /// What happens to a call that does not fit.
    #[schema(schema_with = on_exceed_schema)]
    pub on_exceed: OnExceed,
    /// From when on it counts: since it was put, or since its asset, scope or window last changed.
    pub since: Time,
    /// What is used in the present window.
    pub used: Amount,
    /// What open holds have set aside.
    pub held: Amount,
    /// What is left.
    pub available: Amount,
    /// Thresholds that were announced in the present window.
    pub crossed: Vec<ThresholdBody>,
    /// When the present window began; of a rolling one, the oldest instant that may still count.
    pub window_start: Time,
    /// When the present window ends; not there for a rolling one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Time>,
    /// Whether an earlier request under this key got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

impl LimitView {
    /// As it is at `at`.
    pub fn new(customer: &CustomerId, name: &LimitName, limit: &LimitState, at: Timestamp) -> LimitView {
        let (terms, present) = (&limit.terms, Present::at(limit, at));
        LimitView {
            name: name.clone(),
            customer: customer.clone(),
            asset: terms.asset.clone(),
            amount: Amount(terms.amount),
            level: terms.scope.to_string(),
            scope: ScopeBody(terms.scope.clone()),
            window: WindowBody::shown(terms.window),
            thresholds: terms.thresholds.iter().map(ThresholdBody::shown).collect(),
            on_exceed: terms.on_exceed,
            since: Time(limit.since),
            used: Amount(present.used),
            held: Amount(present.held),
            available: Amount(present.available),
            crossed: present.crossed.iter().map(ThresholdBody::shown).collect(),
            window_start: Time(present.window_start),
            resets_at: present.window_end.map(Time),
            replayed: false,
        }
    }
}

/// A customer's spending limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LimitList)]
pub struct LimitList {
    /// In order of name; a wallet has 64 at most.
    pub limits: Vec<LimitView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_scope_is_its_path_both_ways() {
        let json = r#"{"team":"search","agent":"bot-7"}"#;
        let scope: ScopeBody = serde_json::from_str(json).unwrap();
        assert_eq!(scope.0.to_string(), "team=search/agent=bot-7");
        assert_eq!(serde_json::to_string(&scope).unwrap(), json);
        for (json, said) in [
            (r#"{"team": "a", "team": "b"}"#, "team is given twice"),
            (r#"{"team": ""}"#, "the same as none"),
            (r#"{"": "a"}"#, "must not be empty"),
            (r#"["team"]"#, "an object of attributes"),
        ] {
            let error = serde_json::from_str::<ScopeBody>(json).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_rolling_window_is_whole_steps() {
        let rolling = |seconds, step_seconds| {
            WindowBody::Rolling(RollingBody {
                seconds,
                step_seconds,
            })
        };
        let day = rolling(86_400, 3_600);
        let known = day.known().unwrap();
        let step = Span::seconds(3_600);
        assert_eq!(known, Window::Rolling { step, steps: 24 });
        assert_eq!(WindowBody::shown(known), day);
        for (seconds, step) in [(86_400, 7_000), (60, 0), (0, 60), (60, 61), (u32::MAX, 1)] {
            assert!(rolling(seconds, step).known().is_err(), "{seconds} {step}");
        }
    }
}
