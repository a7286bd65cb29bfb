//! Secrets of API keys: made here, shown once, known afterwards by their hash alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farebox_record::ids::Hash;

const PREFIX: &str = "fbx_";
const RANDOM_BYTES: usize = 32;

/// A secret: `fbx_` and 32 random bytes. The prefix lets scanners of source code recognise one that got there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From the operating system's randomness.
    pub fn random() -> Result<Secret, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Secret(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// One that a caller sent; none where it cannot be one.
    pub fn parse(text: &str) -> Option<Secret> {
        let encoded = text.strip_prefix(PREFIX)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        (bytes.len() == RANDOM_BYTES).then(|| Secret(text.to_string()))
    }

    /// What is kept of it. A fast hash is right: 256 random bits cannot be guessed, so there is nothing to slow down.
    pub fn hash(&self) -> Hash {
        Hash::of(self.0.as_bytes())
    }

    /// The text, to show it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fbx_...")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_never_printed() {
        let secret = Secret::random().unwrap();
        assert_eq!(Secret::parse(secret.reveal()), Some(secret.clone()));
        assert_ne!(secret, Secret::random().unwrap());
        assert_eq!(secret.reveal().len(), 47);
        assert_eq!(format!("{secret:?}"), "fbx_...");
        for text in ["", "fbx_", "fbx_abc", "sk-123", &secret.reveal()[4..]] {
            assert_eq!(Secret::parse(text), None, "{text}");
        }
    }
}
