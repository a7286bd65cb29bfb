//! Text that somebody else wrote, within a message.

use std::fmt::{self, Write as _};

/// So much of a text is shown.
const CHARS_SHOWN: usize = 80;

/// Shows a text that an event brought, in quotes: as it is, but for control characters, and cut off where it is long.
///
/// Cheap, unlike `{:?}`, which looks every character of other scripts up: a name of 256 bytes took it 250,000 instructions,
/// and an event of any customer may carry one. Any text takes some ten for each character that is shown.
///
/// ```
/// use farebox_plan::Quoted;
///
/// assert_eq!(Quoted("gpt-5").to_string(), r#""gpt-5""#);
/// assert_eq!(Quoted("a\nb\"").to_string(), r#""a\u{a}b\"""#);
/// assert_eq!(Quoted(&"ü".repeat(81)).to_string(), format!("\"{}...\"", "ü".repeat(80)));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for (shown, c) in self.0.chars().enumerate() {
            if shown == CHARS_SHOWN {
                f.write_str("...")?;
                break;
            }
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}
