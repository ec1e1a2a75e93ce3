//! Why a proof cannot be shown.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shipshape_core::child::ChildError;
use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;
use shipshape_core::signal::Interrupted;
use shipshape_core::units::spoken;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChallengeError {
    /// The webroot is not there, or is no folder.
    #[error("the webroot {} cannot be used", path.display())]
    NoWebroot {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing can be put into it, or taken out of it.
    #[error("cannot {action} {}", path.display())]
    Webroot {
        /// `write`, `remove`, `create the folder`.
        action: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link leads out of it.
    #[error("{} is a symbolic link", path.display())]
    Link {
        /// Which.
        path: PathBuf,
    },
    /// The authority sent something that can be no file's name.
    #[error("the token `{token}` is none")]
    Token {
        /// As it came, bounded.
        token: String,
    },
    /// Somebody else listens there.
    #[error("port {} is in use{}", address.port(), holder.as_ref().map_or(String::new(), |who| format!(" by {who}")))]
    Port {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// Who does, where it can be known.
        holder: Option<String>,
    },
    /// It cannot be listened there, for another reason.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate for tls-alpn-01 cannot be made.
    #[error("cannot make the certificate that proves `{name}`")]
    Certificate {
        /// For what.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be spoken at all.
    #[error("cannot speak TLS")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// The hook is not there, or is no program.
    #[error("the hook {} cannot be run", program.display())]
    NoHook {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The hook failed.
    #[error("the hook could not {action} the record `{record}`")]
    Hook {
        /// `present` or `cleanup`.
        action: &'static str,
        /// The TXT record's name.
        record: String,
        /// The same by hand.
        command: String,
        /// Why.
        source: Box<ChildError>,
    },
    /// An address has no record.
    #[error("the address {name} has no TXT record that could prove it")]
    NoRecord {
        /// The address.
        name: String,
    },
    /// The record was set and is not seen.
    #[error("the TXT record `{record}` does not show {value} after {}: {seen}", spoken(*after))]
    Unseen {
        /// Its name.
        record: String,
        /// What it should show.
        value: String,
        /// How long it was waited for.
        after: Duration,
        /// What was seen instead, in words.
        seen: String,
    },
    /// We were asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Explain for ChallengeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoWebroot { .. } | Self::Webroot { .. } => "challenge.webroot",
            Self::Link { .. } => "challenge.link",
            Self::Token { .. } => "challenge.token",
            Self::Port { .. } => "challenge.port",
            Self::Listen { .. } => "challenge.listen",
            Self::Certificate { .. } | Self::Tls { .. } => "challenge.certificate",
            Self::NoHook { .. } => "challenge.hook",
            Self::Hook { .. } => "challenge.hook_failed",
            Self::NoRecord { .. } => "challenge.no_record",
            Self::Unseen { .. } => "challenge.unseen",
            Self::Interrupted(cause) => cause.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoWebroot { path, .. } => format!(
                "make the folder that the web server serves /.well-known/acme-challenge/ from: mkdir -p {}; or name the \
                 one that it has: webroot = \"…\"",
                path.display()
            ),
            Self::Webroot { path, source, .. } => writable(path, source),
            Self::Link { path } => format!(
                "what is written here must stay below the webroot: put a folder in the place of the link, rm {0} && \
                 mkdir {0}, or name as webroot the folder above the one that it leads to",
                path.display()
            ),
            Self::Token { .. } => {
                "tokens are letters, digits, `-` and `_` (RFC 8555, 8.3): check that `ca` is an authority that you trust"
                    .to_owned()
            }
            Self::Port { address, .. } => free(address.port()),
            Self::Listen { address, source } => listen(*address, source),
            Self::Certificate { .. } | Self::Tls { .. } => "choose another way: challenge = \"http-01\" and webroot = \"…\"".to_owned(),
            Self::NoHook { program, .. } => format!("name a program: hook = \"…\", and make it one: chmod +x {}", program.display()),
            Self::Hook { command, .. } => format!("run it by hand to see all that it says: {command}"),
            Self::NoRecord { .. } => {
                "give addresses a certificate of their own, with challenge = \"http-01\"".to_owned()
            }
            Self::Unseen { record, .. } => format!(
                "see what the zone's name servers say: dig +trace TXT {record}; where they take longer: hook_wait_s = 600"
            ),
            Self::Interrupted(cause) => cause.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoWebroot { .. }
            | Self::Webroot { .. }
            | Self::Link { .. }
            | Self::Token { .. }
            | Self::Port { .. }
            | Self::Listen { .. }
            | Self::Certificate { .. }
            | Self::Tls { .. }
            | Self::NoHook { .. }
            | Self::Hook { .. }
            | Self::NoRecord { .. }
            | Self::Unseen { .. } => Exit::Critical,
            Self::Interrupted(cause) => cause.exit(),
        }
    }
}

/// What runs the hook as we do, for the shell of a person. Its value is no secret: everybody may ask for the record.
pub(super) fn by_hand(program: &Path, domain: &str, args: [&str; 3]) -> String {
    let [action, record, value] = args.map(word);
    format!("SHIPSHAPE_DOMAIN={} {} {action} {record} {value}", word(domain), word(&program.display().to_string()))
}

/// One word of a shell's, as it can be pasted.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:@%,".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn writable(path: &Path, source: &io::Error) -> String {
    let folder = path.parent().unwrap_or(path).display();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("make room: df -h {folder}"),
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("it is mounted for reading only: findmnt --target {folder}; name a webroot that can be written to")
        }
        _ => format!("check who may write there: namei -l {folder}"),
    }
}

/// The ports by which authorities ask, and what to do where a web server has them.
fn free(port: u16) -> String {
    format!(
        "let the server that has it show the proof, which costs no downtime: challenge = \"http-01\" and webroot = \"…\"; or \
         see who it is: ss -ltnp 'sport = :{port}'"
    )
}

fn listen(address: SocketAddr, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 are root's: run it as root, or give the right to it alone: setcap cap_net_bind_service=+ep \
             $(command -v certrenew), or systemd's AmbientCapabilities=CAP_NET_BIND_SERVICE (port {})",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: ip address".to_owned(),
        _ => format!("choose another address for it: http_listen or tls_listen = \"0.0.0.0:{}\"", address.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_why_a_file_cannot_be_written_has_its_own_remedy() {
        let hint = |errno: i32| {
            let (path, source) = (PathBuf::from("/www/token"), io::Error::from_raw_os_error(errno));
            ChallengeError::Webroot { action: "write", path, source }.hint()
        };
        // ENOSPC, EDQUOT, EROFS, EACCES (errno(3)).
        assert!(hint(28) == "make room: df -h /www" && hint(122) == hint(28));
        assert!(hint(30).contains("findmnt --target /www"), "{}", hint(30));
        assert_eq!(hint(13), "check who may write there: namei -l /www");
    }

    #[test]
    fn each_reason_why_it_cannot_be_listened_has_its_own_remedy() {
        let hint = |errno: i32| {
            let (address, source) = ("[::]:80".parse().unwrap(), io::Error::from_raw_os_error(errno));
            ChallengeError::Listen { address, source }.hint()
        };
        assert!(hint(13).contains("cap_net_bind_service"), "{}", hint(13));
        assert!(hint(99).contains("ip address") && hint(97).contains("\"0.0.0.0:80\""));
    }

    #[test]
    fn the_hooks_command_can_be_pasted_as_it_is_told() {
        let hint = |program: &str, action| {
            let record = "_acme-challenge.a.test".to_owned();
            let command = by_hand(Path::new(program), "a.test", [action, &record, "-x_y"]);
            let source = ChildError::Interrupted(Interrupted { signal: 15 });
            ChallengeError::Hook { action, record, command, source: Box::new(source) }.hint()
        };
        let plain = "SHIPSHAPE_DOMAIN=a.test /etc/certrenew/dns-hook present _acme-challenge.a.test -x_y";
        assert!(hint("/etc/certrenew/dns-hook", "present").ends_with(plain));
        let odd = "SHIPSHAPE_DOMAIN=a.test '/my hook'\\''s' cleanup _acme-challenge.a.test -x_y";
        assert!(hint("/my hook's", "cleanup").ends_with(odd), "{}", hint("/my hook's", "cleanup"));
    }

    #[test]
    fn being_asked_to_stop_is_no_failure_of_the_challenge() {
        let stopped = ChallengeError::from(Interrupted { signal: 15 });
        assert_eq!((stopped.code(), stopped.exit()), ("run.interrupted", Exit::Signal(15)));
    }
}
