//! Why the DNS tells nothing.

use std::io;
use std::net::SocketAddr;

use shipshape_core::error::Explain;
use shipshape_core::exit::Exit;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    /// The name cannot be asked for.
    #[error("the DNS cannot be asked for `{name}`")]
    Name {
        /// As it was given.
        name: String,
    },
    /// Nobody to ask.
    #[error("/etc/resolv.conf names no server that can be asked")]
    NoServer,
    /// No server answered.
    #[error("no answer from the name server {server} for {question}")]
    Silent {
        /// Who was asked.
        server: SocketAddr,
        /// What for.
        question: String,
        /// Why.
        source: io::Error,
    },
    /// A server answered that it cannot tell: its own failure, a zone whose servers do not answer, or whose DNSSEC is wrong.
    #[error("the name server {server} cannot tell {question}: {code}")]
    Failed {
        /// Who was asked.
        server: SocketAddr,
        /// What for.
        question: String,
        /// SERVFAIL, REFUSED, ….
        code: &'static str,
    },
    /// Aliases that lead to aliases.
    #[error("the aliases of `{name}` come to no end")]
    Aliases {
        /// The first one.
        name: String,
    },
}

impl DnsError {
    /// Of two errors the one that says more: an answer says more than silence, and silence more than nothing.
    pub(super) fn or(self, other: Self) -> Self {
        if other.weight() >= self.weight() { other } else { self }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::NoServer => 0,
            Self::Silent { .. } => 1,
            Self::Name { .. } | Self::Failed { .. } | Self::Aliases { .. } => 2,
        }
    }
}

impl Explain for DnsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "dns.name",
            Self::NoServer => "dns.no_server",
            Self::Silent { .. } => "dns.no_answer",
            Self::Failed { .. } => "dns.server_failure",
            Self::Aliases { .. } => "dns.aliases",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Name { .. } => "write a name such as www.example.com".to_owned(),
            Self::NoServer => "name one: resolver = \"ADDRESS\" in the section [certrenew]".to_owned(),
            Self::Silent { server, question, .. } => {
                format!("see whether it answers: dig @{} -p {} {question}", server.ip(), server.port())
            }
            Self::Failed { question, .. } => {
                format!(
                    "see at which server of the zone it fails: dig +trace {question}; see its DNSSEC: delv {question}"
                )
            }
            Self::Aliases { name } => format!("see where they lead: dig {name} CNAME"),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Name { .. } | Self::NoServer | Self::Silent { .. } | Self::Failed { .. } | Self::Aliases { .. } => {
                Exit::Critical
            }
        }
    }
}
