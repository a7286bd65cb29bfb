//! Usage as OpenAI's API reports it, and the disjoint pools that Farebox counts.
//!
//! OpenAI counts cached tokens inside `prompt_tokens` and reasoning tokens inside `completion_tokens`. Prices differ, so
//! they are taken apart here, once, before anything is held or charged.

use farebox_money::Nanos;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::wire::amount::Exact;
use crate::wire::measures::Measures;

/// A `usage` object of OpenAI's chat completions, exactly as it was received. Stands for the measures `input_tokens` =
/// `prompt_tokens` - `cached_tokens`, `cache_read_tokens` = `cached_tokens`, `output_tokens` = `completion_tokens` -
/// `reasoning_tokens`, `reasoning_tokens`. These four must not be in `measures` too.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = OpenAiUsage, example = json!({
    "prompt_tokens": 1200, "completion_tokens": 350, "total_tokens": 1550,
    "prompt_tokens_details": {"cached_tokens": 1024}, "completion_tokens_details": {"reasoning_tokens": 128}
}))]
pub struct OpenAiUsage {
    /// All input tokens, cached ones included.
    prompt_tokens: Exact,
    /// All output tokens, those of reasoning included. Not there for embeddings.
    completion_tokens: Option<Exact>,
    /// The sum; not read.
    #[serde(rename = "total_tokens")]
    _total_tokens: Option<Exact>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PromptDetails {
    /// Input tokens that came from the cache.
    cached_tokens: Option<Exact>,
    /// Must be 0: send a call with audio as measures of your own.
    audio_tokens: Option<Exact>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct CompletionDetails {
    /// Output tokens that nobody saw.
    reasoning_tokens: Option<Exact>,
    /// Must be 0: send a call with audio as measures of your own.
    audio_tokens: Option<Exact>,
    /// Billed as output, and counted there; not read.
    #[serde(rename = "accepted_prediction_tokens")]
    _accepted_prediction_tokens: Option<Exact>,
    /// Billed as output, and counted there; not read.
    #[serde(rename = "rejected_prediction_tokens")]
    _rejected_prediction_tokens: Option<Exact>,
}

impl OpenAiUsage {
    /// The disjoint pools, or the field that makes no sense.
    fn pools(&self) -> Result<Vec<(&'static str, Nanos)>, (&'static str, String)> {
        let prompt = self.prompt_tokens_details.clone().unwrap_or_default();
        let completion = self.completion_tokens_details.clone().unwrap_or_default();
        for (field, audio) in [
            ("/prompt_tokens_details/audio_tokens", prompt.audio_tokens),
            ("/completion_tokens_details/audio_tokens", completion.audio_tokens),
        ] {
            if audio.is_some_and(|audio| !audio.0.is_zero()) {
                let problem = "audio tokens have a price of their own; send `measures` instead of `usage`";
                return Err((field, problem.to_string()));
            }
        }
        let (input, cached) = apart(
            ("/prompt_tokens", self.prompt_tokens),
            ("/prompt_tokens_details/cached_tokens", prompt.cached_tokens),
        )?;
        let mut pools = vec![("input_tokens", input), ("cache_read_tokens", cached)];
        match self.completion_tokens {
            Some(all) => {
                let (output, reasoning) = apart(
                    ("/completion_tokens", all),
                    (
                        "/completion_tokens_details/reasoning_tokens",
                        completion.reasoning_tokens,
                    ),
                )?;
                pools.extend([("output_tokens", output), ("reasoning_tokens", reasoning)]);
            }
            None if completion.reasoning_tokens.is_some_and(|r| !r.0.is_zero()) => {
                let problem = "reasoning tokens without `completion_tokens`, in which they are counted";
                return Err(("/completion_tokens_details/reasoning_tokens", problem.to_string()));
            }
            None => {}
        }
        Ok(pools)
    }
}

/// Takes a part out of a whole.
fn apart(
    (whole_name, whole): (&'static str, Exact),
    (part_name, part): (&'static str, Option<Exact>),
) -> Result<(Nanos, Nanos), (&'static str, String)> {
    let part = part.map_or(Nanos::ZERO, |part| part.0);
    if whole.0.is_negative() {
        return Err((whole_name, "must not be negative".to_string()));
    }
    let rest = whole
        .0
        .checked_sub(part)
        .filter(|rest| !rest.is_negative() && !part.is_negative());
    match rest {
        Some(rest) => Ok((rest, part)),
        None => Err((
            part_name,
            format!("must be 0 to {}, the whole that it is a part of", whole.0),
        )),
    }
}

/// The measures of an event: those given, and those that a `usage` object stands for. `at` is where the two are in the
/// body.
pub(crate) fn measures_of(
    at: &str,
    measures: Option<Measures>,
    usage: Option<&OpenAiUsage>,
) -> Result<farebox_record::event::Measures, Problem> {
    let mut all = measures.unwrap_or_default().0;
    let Some(usage) = usage else { return Ok(all) };
    let pools = usage
        .pools()
        .map_err(|(field, problem)| Problem::field(format!("{at}/usage{field}"), problem))?;
    // Also those that this usage object does not mention: two sources for one kind of token are one too many.
    for name in [
        "input_tokens",
        "cache_read_tokens",
        "output_tokens",
        "reasoning_tokens",
    ] {
        if all.contains_key(name) {
            let detail = format!("`{name}` is given by `usage` and by `measures`; leave one away");
            return Err(Problem::field(format!("{at}/measures/{name}"), detail));
        }
    }
    all.extend(pools.into_iter().map(|(name, tokens)| (name.into(), tokens)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(usage: &str, measures: &str) -> Result<Vec<(String, String)>, (String, String)> {
        let usage: OpenAiUsage = serde_json::from_str(usage).unwrap();
        let measures: Measures = serde_json::from_str(measures).unwrap();
        measures_of("", Some(measures), Some(&usage))
            .map(|all| {
                all.iter()
                    .map(|(name, n)| (name.to_string(), n.to_string()))
                    .collect()
            })
            .map_err(|p| {
                (
                    p.member("pointer").unwrap().as_str().unwrap().to_string(),
                    p.detail().to_string(),
                )
            })
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect()
    }

    #[test]
    fn tokens_are_taken_apart() {
        let usage = r#"{"prompt_tokens": 1200, "completion_tokens": 350, "total_tokens": 1550,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 128, "accepted_prediction_tokens": 0}}"#;
        let expected = [
            ("cache_read_tokens", "1024"),
            ("cost_usd", "0.01"),
            ("input_tokens", "176"),
            ("output_tokens", "222"),
            ("reasoning_tokens", "128"),
        ];
        assert_eq!(measures(usage, r#"{"cost_usd": 0.01}"#), Ok(pairs(&expected)));
    }

    #[test]
    fn missing_details_are_none() {
        let expected = [("cache_read_tokens", "0"), ("input_tokens", "7")];
        let usage = r#"{"prompt_tokens": 7, "prompt_tokens_details": null}"#;
        assert_eq!(measures(usage, "{}"), Ok(pairs(&expected)));
    }

    #[test]
    fn a_part_is_never_more_than_its_whole() {
        for (usage, pointer) in [
            (
                r#"{"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}"#,
                "/usage/prompt_tokens_details/cached_tokens",
            ),
            (
                r#"{"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": -1}}"#,
                "/usage/prompt_tokens_details/cached_tokens",
            ),
            (r#"{"prompt_tokens": -1}"#, "/usage/prompt_tokens"),
            (
                r#"{"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}}"#,
                "/usage/completion_tokens_details/reasoning_tokens",
            ),
            (
                r#"{"prompt_tokens": 1, "prompt_tokens_details": {"audio_tokens": 2}}"#,
                "/usage/prompt_tokens_details/audio_tokens",
            ),
        ] {
            assert_eq!(measures(usage, "{}").unwrap_err().0, pointer, "{usage}");
        }
    }

    #[test]
    fn nothing_is_counted_twice() {
        let (pointer, detail) = measures(r#"{"prompt_tokens": 1}"#, r#"{"output_tokens": 1}"#).unwrap_err();
        assert_eq!(pointer, "/measures/output_tokens");
        assert!(detail.contains("leave one away"), "{detail}");
    }
}
