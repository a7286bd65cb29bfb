//! Grants of which each team may have so much: its part is a grant of its own from when it is first needed.

use farebox_record::ids::GrantId;
use farebox_record::portion::PortionKey;

use crate::cover::Cover;
use crate::reference::{Grant, Model, Source};
use crate::words::Labels;

/// A part that a team has not had yet: of which grant, and as it would be.
pub type Part = (String, Grant);

impl Model {
    /// What the team of an event could have of grants that are divided.
    pub fn parts(&self, labels: Labels) -> Vec<Part> {
        let mut parts = Vec::new();
        for grant in &self.grants {
            let (Some(each), Some(team)) = (grant.each, labels.team) else {
                continue;
            };
            // What a plan gives again in the same asset is for those who have had nothing of it.
            let again = |other: &&Grant| {
                grant.sub.is_some()
                    && grant.until.is_some()
                    && grant.event.is_none()
                    && other.event.is_none()
                    && (&other.sub, other.asset, other.until) == (&grant.sub, grant.asset, grant.until)
                    && !other.dead
            };
            let others = self.grants.iter().filter(again);
            let has_had = others.chain([grant]).any(|other| other.had.contains(&team));
            if grant.waiting || grant.dead || grant.free == 0 || has_had {
                continue;
            }
            if grant.labels.team.is_some_and(|only| only != team) {
                continue;
            }
            let name = PortionKey::new(&GrantId::new(&grant.id).unwrap(), team).id();
            let part = Grant {
                id: name.to_string(),
                free: each.min(grant.free),
                labels: Labels {
                    team: Some(team),
                    ..grant.labels
                },
                each: None,
                had: Vec::new(),
                ..grant.clone()
            };
            parts.push((grant.id.clone(), part));
        }
        parts
    }

    /// Whether it is a part, and a part of what a plan gave before in the same asset is taken from already: one is enough.
    pub fn has_another(&self, cover: &Cover, grant: &Grant) -> bool {
        let alone = |part: &Grant| part.sub.is_none() || part.until.is_none() || part.event.is_some();
        let name = |part: &Grant| (part.sub.clone(), part.asset, part.until);
        let is_part = cover.parts.iter().any(|(_, part)| part.id == grant.id);
        let mut others = cover.parts.iter().map(|(_, part)| part);
        is_part
            && !alone(grant)
            && others.any(|part| {
                let source = Source::Grant(part.id.clone());
                part.id != grant.id
                    && !alone(part)
                    && name(part) == name(grant)
                    && cover.live.iter().any(|(_, _, from, _)| *from == source)
            })
    }

    /// The parts that are taken from are there from now on.
    pub fn open_parts(&mut self, cover: &Cover) {
        for (of, part) in &cover.parts {
            let is_taken = |source: &Source| *source == Source::Grant(part.id.clone());
            let is_new = !self.grants.iter().any(|grant| grant.id == part.id);
            if is_new && cover.live.iter().any(|(_, _, source, _)| is_taken(source)) {
                let whole = self.grant_mut(of);
                whole.free -= part.free;
                whole.had.extend(part.labels.team);
                self.grants.push(part.clone());
            }
        }
    }
}
