//! In which form a caller wants an answer that has several.

use axum::http::{HeaderMap, header};

use crate::problem::Problem;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For programs.
    Json,
    /// For tables.
    Csv,
    /// For people.
    Html,
}

/// What the query asks for, else what `Accept` likes best; JSON where it says nothing of the kind.
pub(crate) fn format_of(asked: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    match asked {
        Some("json") => return Ok(Format::Json),
        Some("csv") => return Ok(Format::Csv),
        Some("html") => return Ok(Format::Html),
        Some(other) => {
            return Err(Problem::parameter(
                "format",
                format!("{other:?} is none of json, csv, html"),
            ));
        }
        None => {}
    }
    let mut best = (Format::Json, 0);
    let accepts = headers.get_all(header::ACCEPT).into_iter();
    let accepts = accepts.filter_map(|value| value.to_str().ok());
    for range in accepts.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "*/*" | "application/*" => Format::Json,
            "text/csv" => Format::Csv,
            "text/html" | "text/*" => Format::Html,
            _ => continue,
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1_000, thousandths);
        if weight > best.1 {
            best = (format, weight);
        }
    }
    Ok(best.0)
}

/// A weight such as `0.8`, in thousandths; 0 for what is none.
fn thousandths(text: &str) -> u32 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = format!("{decimals:0<3}");
    match (whole.parse::<u32>(), decimals.get(..3).map(str::parse::<u32>)) {
        (Ok(whole), Some(Ok(decimals))) if whole <= 1 => whole * 1_000 + decimals,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_best_liked_form_is_taken() {
        for (accept, format) in [
            ("application/json", Format::Json),
            ("text/csv", Format::Csv),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Format::Html,
            ),
            ("text/html;q=0.5, text/csv;q=0.75", Format::Csv),
            ("text/csv;q=0", Format::Json),
            ("image/png", Format::Json),
            ("*/*", Format::Json),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(format_of(None, &headers).unwrap(), format, "{accept}");
            assert_eq!(format_of(Some("csv"), &headers).unwrap(), Format::Csv);
        }
        assert_eq!(format_of(None, &HeaderMap::new()).unwrap(), Format::Json);
        let refused = format_of(Some("pdf"), &HeaderMap::new()).unwrap_err();
        assert_eq!(refused.member("parameter").unwrap(), "format");
    }
}
