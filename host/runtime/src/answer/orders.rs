//! What a plan orders besides charges: grants, timers, what becomes of a subject.

use std::collections::BTreeMap;

use farebox_record::plan::{AppliesTo, Category, GrantOrder, SubjectChange, TimerOrder};
use farebox_record::portion::Each;
use farebox_record::time::Timestamp;

use super::{Asked, Reader, amount};
use crate::bindings;
use crate::fault::Fault;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

impl Reader<'_> {
    /// A grant.
    pub(super) fn grant(&self, said: bindings::Grant) -> Result<GrantOrder, Fault> {
        let given = amount(said.amount)?;
        if !given.is_positive() {
            return Err(Fault::rule("grant-positive", format!("a grant of {given}")));
        }
        if let (Some(effective), Some(expires)) = (said.effective, said.expires)
            && effective >= expires
        {
            return Err(Fault::rule(
                "grant-window",
                "a grant expires before it is effective",
            ));
        }
        Fault::check("label_bytes_max", said.label.len(), self.limits.label_bytes_max)?;
        let each = said.each.map(|each| self.each(each)).transpose()?;
        Ok(GrantOrder {
            asset: self.asset(said.asset)?,
            amount: given,
            category: match said.category {
                bindings::Category::Paid => Category::Paid,
                bindings::Category::Promotional => Category::Promotional,
                bindings::Category::Included => Category::Included,
            },
            priority: said.priority,
            effective: said.effective.map(Timestamp::from_micros),
            expires: said.expires.map(Timestamp::from_micros),
            applies_to: self.applies_to(said.applies_to)?,
            label: said.label,
            each,
        })
    }

    fn each(&self, said: bindings::Each) -> Result<Each, Fault> {
        let portion = amount(said.amount)?;
        if !portion.is_positive() {
            return Err(Fault::rule("each-positive", format!("a portion of {portion}")));
        }
        if said.attribute.is_empty() {
            return Err(Fault::rule(
                "each-attribute",
                "a grant is divided by an attribute without a name",
            ));
        }
        Fault::check("name_bytes_max", said.attribute.len(), self.limits.name_bytes_max)?;
        Ok(Each {
            attribute: said.attribute,
            amount: portion,
        })
    }

    fn applies_to(&self, said: bindings::AppliesTo) -> Result<AppliesTo, Fault> {
        let conditions = said.codes.len() + said.attributes.len();
        Fault::check(
            "grant_conditions_max",
            conditions,
            self.limits.grant_conditions_max,
        )?;
        for name in said
            .codes
            .iter()
            .chain(said.attributes.iter().map(|(name, _)| name))
        {
            Fault::check("name_bytes_max", name.len(), self.limits.name_bytes_max)?;
        }
        let mut attributes = BTreeMap::new();
        for (name, value) in said.attributes {
            Fault::check("label_bytes_max", value.len(), self.limits.label_bytes_max)?;
            if attributes.insert(name, value).is_some() {
                return Err(Fault::rule(
                    "applies-to-once",
                    "a grant names one attribute twice",
                ));
            }
        }
        Ok(AppliesTo {
            codes: said.codes,
            attributes,
        })
    }

    /// A timer.
    pub(super) fn timer(&self, said: bindings::Timer) -> Result<TimerOrder, Fault> {
        if said.key.is_empty() {
            return Err(Fault::rule("timer-key", "a timer has an empty key"));
        }
        if said.key.contains('\0') {
            return Err(Fault::rule("timer-key", "a timer's key holds a zero byte"));
        }
        Fault::check("name_bytes_max", said.key.len(), self.limits.name_bytes_max)?;
        Ok(TimerOrder {
            key: said.key,
            at: said.at.map(Timestamp::from_micros),
        })
    }

    /// What becomes of a subject.
    pub(super) fn subject(
        &self,
        said: bindings::SubjectChange,
        asked: Asked,
    ) -> Result<SubjectChange, Fault> {
        if !asked.has_subject {
            return Err(Fault::rule(
                "subject-of-trigger",
                format!("trigger {} has no subject", said.trigger),
            ));
        }
        let furthest = asked
            .time
            .saturating_add(self.limits.subject_days_max.saturating_mul(DAY));
        if said.expires > furthest {
            return Err(Fault::TooLarge {
                limit: "subject_days_max",
                actual: format!("{} days", said.expires.saturating_sub(asked.time) / DAY),
                max: self.limits.subject_days_max.unsigned_abs(),
            });
        }
        Ok(SubjectChange {
            state: self.state(said.state)?,
            expires: Timestamp::from_micros(said.expires),
        })
    }
}
