//! Age recipients (public, on the server) and identities (secret, elsewhere).

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::x25519;

use crate::error::Explain;
use crate::exit::Exit;
use crate::secret::{self, Secret, SecretError};

/// A recipients file may be this large; age's own tools allow the same.
const RECIPIENTS_LIMIT: u64 = 16 * 1024 * 1024;

/// Why a key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not a recipient.
    #[error("{text:?} is not an age recipient")]
    NotARecipient {
        /// What was given, shortened.
        text: String,
    },
    /// A secret key stands where a public one belongs.
    #[error("an age identity (secret key) was given where a recipient (public key) belongs")]
    SecretAsRecipient,
    /// There is no recipient at all.
    #[error("there is no recipient to encrypt to")]
    NoRecipient,
    /// A recipients file could not be read.
    #[error("cannot read the recipients file {}", path.display())]
    RecipientsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The identity file holds no identity.
    #[error("{} holds no age identity", path.display())]
    NotAnIdentity {
        /// The file.
        path: PathBuf,
    },
    /// The snapshot is encrypted and no identity was given.
    #[error("the snapshot is encrypted, and no identity was given to open it")]
    NoIdentity,
    /// The identity file could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Explain for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotARecipient { .. } => "key.not_a_recipient",
            Self::SecretAsRecipient => "key.secret_as_recipient",
            Self::NoRecipient => "key.no_recipient",
            Self::RecipientsFile { .. } => "key.recipients_file",
            Self::NotAnIdentity { .. } => "key.not_an_identity",
            Self::NoIdentity => "key.no_identity",
            Self::Secret(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NotARecipient { .. } => {
                "recipients are public keys that begin with age1; backup init makes one, and so does age-keygen"
                    .to_owned()
            }
            Self::SecretAsRecipient => {
                "give its public key instead: age-keygen -y FILE; and treat that secret as known".to_owned()
            }
            Self::NoRecipient => {
                "run backup init, or give --recipient age1…, or say --no-encryption if it is to be readable by all"
                    .to_owned()
            }
            Self::RecipientsFile { path, .. } => format!("check that {} exists: one age1… in a line", path.display()),
            Self::NotAnIdentity { .. } => "an identity file has a line that begins with AGE-SECRET-KEY-1".to_owned(),
            Self::NoIdentity => {
                "add --identity FILE: the file that backup init wrote for you to keep elsewhere".to_owned()
            }
            Self::Secret(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotARecipient { .. }
            | Self::SecretAsRecipient
            | Self::NoRecipient
            | Self::RecipientsFile { .. }
            | Self::NotAnIdentity { .. }
            | Self::NoIdentity => Exit::Unknown,
            Self::Secret(cause) => cause.exit(),
        }
    }
}

/// Public keys to encrypt to, sorted and without repetition.
#[derive(Clone, Debug, Default)]
pub struct Recipients(Vec<(String, x25519::Recipient)>);

impl Recipients {
    /// Reads recipients from words and from a file with one in a line (`#` begins a comment).
    pub fn read(words: &[String], file: Option<&Path>) -> Result<Self, KeyError> {
        let mut all: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
        if let Some(path) = file {
            all.extend(recipients_in(path)?);
        }
        all.sort();
        all.dedup();
        all.into_iter().map(parse_recipient).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The public keys as text, as manifests record them.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(|(text, _)| text.clone()).collect()
    }

    /// As the age library wants them.
    pub(super) fn as_dyn(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.0.iter().map(|(_, key)| key as &dyn age::Recipient)
    }
}

fn recipients_in(path: &Path) -> Result<Vec<String>, KeyError> {
    let failed = |cause| KeyError::RecipientsFile { path: path.to_owned(), cause };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(RECIPIENTS_LIMIT).read_to_string(&mut text).map_err(failed)?;
    Ok(meaningful_lines(&text).map(str::to_owned).collect())
}

fn parse_recipient(text: String) -> Result<(String, x25519::Recipient), KeyError> {
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(KeyError::SecretAsRecipient);
    }
    match x25519::Recipient::from_str(&text) {
        Ok(key) => Ok((text, key)),
        Err(_) => Err(KeyError::NotARecipient { text: text.chars().take(80).collect() }),
    }
}

fn meaningful_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Secret keys to decrypt with.
#[derive(Clone, Default)]
pub struct Identities(Vec<x25519::Identity>);

impl Identities {
    /// Reads an identity file, as `age-keygen` and `backup init` write it; refuses one that others can read.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let secret = secret::read_secret_file(path)?;
        let found = secret.expose().as_bytes().lines().map_while(Result::ok).collect::<Vec<_>>().join("\n");
        let keys: Result<Vec<_>, _> = meaningful_lines(&found).map(x25519::Identity::from_str).collect();
        match keys {
            Ok(keys) if !keys.is_empty() => Ok(Self(keys)),
            Ok(_) | Err(_) => Err(KeyError::NotAnIdentity { path: path.to_owned() }),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The public keys of these identities, to compare with those a manifest records.
    pub fn public(&self) -> Vec<String> {
        self.0.iter().map(|key| key.to_public().to_string()).collect()
    }

    /// As the age library wants them.
    pub(super) fn as_dyn(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|key| key as &dyn age::Identity)
    }
}

/// A new identity: the text of its file, and its public key.
pub fn generate(created: chrono::DateTime<chrono::Utc>) -> (Secret, String) {
    use age::secrecy::ExposeSecret;
    let identity = x25519::Identity::generate();
    let public = identity.to_public().to_string();
    let created = created.format("%Y-%m-%dT%H:%M:%SZ");
    let text = format!("# created: {created}\n# public key: {public}\n{}\n", identity.to_string().expose_secret());
    (Secret::new(text), public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_is_never_taken_as_a_recipient_nor_quoted() {
        let (secret, _) = generate(crate::clock::now());
        let line = secret.expose().lines().last().unwrap().to_owned();
        let refused = Recipients::read(&[line.to_lowercase()], None).unwrap_err();
        assert_eq!(refused.code(), "key.secret_as_recipient");
        assert!(!refused.to_string().contains(&line));
    }

    #[test]
    fn what_is_not_a_recipient_is_named() {
        let refused = Recipients::read(&["age1nonsense".to_owned()], None).unwrap_err();
        assert_eq!(refused.code(), "key.not_a_recipient");
        assert!(refused.to_string().contains("age1nonsense"));
    }

    #[test]
    fn the_order_and_repetition_of_recipients_do_not_matter() {
        let (_, one) = generate(crate::clock::now());
        let (_, two) = generate(crate::clock::now());
        let a = Recipients::read(&[one.clone(), two.clone(), one.clone()], None).unwrap();
        let b = Recipients::read(&[two, one], None).unwrap();
        assert_eq!(a.texts(), b.texts());
    }
}
