//! Secrets: read from files that nobody else can read, wiped from memory, told to the redactor.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::Explain;
use crate::exit::Exit;
use crate::redact;

/// The largest secret file, in bytes: hundreds of keys. A larger one is something else, named by mistake.
pub const LARGEST: usize = 64 << 10;

/// Permission bits with which somebody other than the owner could read or change a file.
const OTHERS: u32 = 0o077;

/// What remains forbidden inside `$CREDENTIALS_DIRECTORY`, where systemd grants the unit's group reading
/// (systemd.exec(5), `LoadCredential=`).
const OTHERS_THAN_THE_UNIT: u32 = 0o037;

/// A secret text. It never shows itself, and is wiped when it goes.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text as a secret, and tells the redactor of each of its lines that is neither empty nor a comment.
    pub fn new(text: String) -> Self {
        let secret = Self(Zeroizing::new(text));
        secret.0.lines().filter(|line| !line.trim_start().starts_with('#')).for_each(redact::learn);
        secret
    }

    /// The secret itself, to be handed to what needs it and to nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::REDACTED)
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such file.
    #[error("there is no secret file {}", path.display())]
    Missing {
        /// As it was named.
        path: PathBuf,
    },
    /// Others can read or change it.
    #[error("others can read the secret file {} (mode {mode:04o})", path.display())]
    NotPrivate {
        /// As it was named.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It cannot be read.
    #[error("cannot read the secret file {}", path.display())]
    Unreadable {
        /// As it was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large to be a secret.
    #[error("the secret file {} is larger than {} kB", path.display(), LARGEST >> 10)]
    TooLarge {
        /// As it was named.
        path: PathBuf,
    },
    /// It is not text.
    #[error("the secret file {} is not text", path.display())]
    NotText {
        /// As it was named.
        path: PathBuf,
    },
    /// The environment variable is not set, or empty.
    #[error("the environment variable {name} holds no secret")]
    Unset {
        /// Its name.
        name: String,
    },
    /// There is nothing in it.
    #[error("the secret file {} is empty", path.display())]
    Empty {
        /// As it was named.
        path: PathBuf,
    },
}

impl Explain for SecretError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "secret.missing",
            Self::NotPrivate { .. } => "secret.not_private",
            Self::Unreadable { .. } => "secret.unreadable",
            Self::TooLarge { .. } => "secret.too_large",
            Self::NotText { .. } => "secret.not_text",
            Self::Unset { .. } => "secret.unset",
            Self::Empty { .. } => "secret.empty",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Missing { path } => format!("check the path: ls -l {}", path.display()),
            Self::NotPrivate { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Unreadable { path, .. } => format!("check that {} is a file and yours", path.display()),
            Self::TooLarge { path } | Self::NotText { path } | Self::Empty { path } => {
                format!("check that {} is the file that you mean", path.display())
            }
            Self::Unset { name } => format!("set {name} where the tool is started"),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. }
            | Self::NotPrivate { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::NotText { .. }
            | Self::Unset { .. }
            | Self::Empty { .. } => Exit::Unknown,
        }
    }
}

/// Reads a secret file, byte for byte, and tells the redactor of its lines.
///
/// # Errors
/// Refuses a file that others can read or write, except for reading by the group inside `$CREDENTIALS_DIRECTORY`.
pub fn read_secret_file(path: &Path) -> Result<Secret, SecretError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    read_with(path, credentials.as_deref())
}

fn read_with(path: &Path, credentials: Option<&Path>) -> Result<Secret, SecretError> {
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => SecretError::Missing { path: path.to_owned() },
        _ => SecretError::Unreadable { path: path.to_owned(), source },
    })?;
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    // The opened file is judged, not its name: nobody can exchange it in between.
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & forbidden(path, credentials) != 0 {
        return Err(SecretError::NotPrivate { path: path.to_owned(), mode });
    }
    let bytes = read_bounded(file).map_err(unreadable)?;
    if bytes.len() > LARGEST {
        return Err(SecretError::TooLarge { path: path.to_owned() });
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return Err(SecretError::NotText { path: path.to_owned() }) };
    Ok(Secret::new(text.to_owned()))
}

fn forbidden(path: &Path, credentials: Option<&Path>) -> u32 {
    // Compared as real paths, so that `$CREDENTIALS_DIRECTORY/../x` is not inside.
    let inside = credentials
        .and_then(|folder| folder.canonicalize().ok())
        .is_some_and(|folder| path.canonicalize().is_ok_and(|path| path.starts_with(folder)));
    if inside { OTHERS_THAN_THE_UNIT } else { OTHERS }
}

/// One byte more than allowed, so that the caller can tell. The buffer never grows: growing leaves copies behind.
fn read_bounded(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 2));
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where a password comes from, in the configuration of a tool: `password_file = "…"` or `password_env = "…"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum SecretSource {
    /// A file with nothing else in it; one line end behind it does not count.
    #[serde(rename = "password_file")]
    File(PathBuf),
    /// The name of an environment variable.
    #[serde(rename = "password_env")]
    Env(String),
}

impl SecretSource {
    /// Gets the secret. It is never empty.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => from_password_file(path),
            Self::Env(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
                _ => Err(SecretError::Unset { name: name.clone() }),
            },
        }
    }
}

fn from_password_file(path: &Path) -> Result<Secret, SecretError> {
    let secret = read_secret_file(path)?;
    let line = secret.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => Err(SecretError::Empty { path: path.to_owned() }),
        // A password may begin with `#`: here no line is a comment.
        password => {
            redact::learn(password);
            Ok(Secret(Zeroizing::new(password.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn file(content: &[u8], mode: u32) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_private_file_is_read_and_its_lines_are_redacted_from_then_on() {
        let (_folder, path) = file(b"# created today, by hand\nOPEN-SESAME-42\n", 0o600);
        let secret = read_secret_file(&path).unwrap();
        assert_eq!(secret.expose(), "# created today, by hand\nOPEN-SESAME-42\n");
        assert_eq!(redact::redact("said OPEN-SESAME-42 loudly"), "said [redacted] loudly");
        assert_eq!(redact::redact("# created today, by hand"), "# created today, by hand");
    }

    #[test]
    fn a_file_that_others_can_touch_is_refused_with_the_command_that_helps() {
        for mode in [0o640, 0o604, 0o644, 0o620, 0o602] {
            let (_folder, path) = file(b"hunter22", mode);
            let refused = read_secret_file(&path).unwrap_err();
            assert_eq!(refused.code(), "secret.not_private", "mode {mode:o}");
            assert_eq!(refused.hint(), format!("chmod 600 {}", path.display()));
        }
    }

    #[test]
    fn a_credential_of_systemd_may_be_read_by_its_group_and_only_there() {
        let (folder, path) = file(b"hunter22", 0o440);
        assert!(read_with(&path, Some(folder.path())).is_ok());
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(read_with(&path, Some(elsewhere.path())).unwrap_err().code(), "secret.not_private");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert_eq!(read_with(&path, Some(folder.path())).unwrap_err().code(), "secret.not_private");
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_by_kind() {
        let (folder, path) = file(&vec![b'x'; LARGEST + 1], 0o600);
        assert_eq!(read_secret_file(&path).unwrap_err().code(), "secret.too_large");
        fs::write(&path, b"\xff\xfe").unwrap();
        assert_eq!(read_secret_file(&path).unwrap_err().code(), "secret.not_text");
        assert_eq!(read_secret_file(&folder.path().join("none")).unwrap_err().code(), "secret.missing");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(read_secret_file(folder.path()).unwrap_err().code(), "secret.unreadable");
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("OPEN-SESAME-43".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
    }

    #[test]
    fn a_password_file_loses_one_line_end_and_nothing_else() {
        let (_folder, path) = file(b"#pass word \r\n", 0o600);
        let source: SecretSource =
            toml::from_str::<toml::Table>(&format!("password_file = {:?}", path.display().to_string()))
                .unwrap()
                .try_into()
                .unwrap();
        assert_eq!(source.resolve().unwrap().expose(), "#pass word ");
        fs::write(&path, "\n").unwrap();
        assert_eq!(source.resolve().unwrap_err().code(), "secret.empty");
    }

    #[test]
    fn a_variable_that_is_not_set_holds_no_secret() {
        let source = SecretSource::Env("SHIPSHAPE_TEST_NOT_SET".to_owned());
        assert_eq!(source.resolve().unwrap_err().code(), "secret.unset");
    }
}
