//! Which certificates there should be: the configuration and the flags, made into one list that holds together.

mod authority;
mod error;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use shipshape_core::config::{CertificateSection, ChallengeKind, Config, InstallKind, KeyKind, PreflightKind};
use shipshape_core::name;

pub(crate) use authority::{Authority, Binding};
pub(crate) use error::WantedError;

use crate::cli::OneArgs;
use crate::identifier::Identifier;

/// Where certificates lie unless somebody says otherwise: where nginx configurations look for them already.
pub(crate) const FOLDER: &str = "/etc/letsencrypt";

/// Where a server is looked at that says nothing else.
pub(crate) const SERVED_AT: &str = "127.0.0.1:443";

/// How long a TXT record may take until it is seen.
const HOOK_WAIT: Duration = Duration::from_secs(120);

/// The port of a name server.
const DNS_PORT: u16 = 53;

/// One certificate as its owner wants it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Under what it lies in `live/`.
    pub(crate) name: String,
    /// What it is for, the first one first; none twice.
    pub(crate) identifiers: Vec<Identifier>,
    /// From whom.
    pub(crate) authority: Authority,
    /// How the names are proved to be ours.
    pub(crate) method: Method,
    /// The kind of key.
    pub(crate) key: KeyKind,
    /// The profile, where one is wanted.
    pub(crate) profile: Option<String>,
    /// The issuer that is wanted in the chain, where the authority offers several.
    pub(crate) chain: Option<String>,
    /// The folder that holds `live/` and `archive/`.
    pub(crate) folder: PathBuf,
    /// How a new pair takes the place of the old one.
    pub(crate) install: InstallKind,
    /// Who the files belong to, where it is said.
    pub(crate) owner: Option<String>,
    /// Which group they belong to, where it is said.
    pub(crate) group: Option<String>,
    /// How it is put to use.
    pub(crate) use_by: UseBy,
    /// Where it must then be served; none where the service that takes it tells by its ports.
    pub(crate) verify: Option<Vec<SocketAddr>>,
    /// Whether nobody has said who takes it, not even that nobody does (`verify = []`): then it is found out.
    pub(crate) is_open: bool,
    /// What a failed look before an order does.
    pub(crate) preflight: PreflightKind,
    /// The name server to ask; those of this machine where there is none.
    pub(crate) resolver: Option<SocketAddr>,
    /// The port of our names at which the authority asks.
    pub(crate) http_port: u16,
    /// Whether it is renewed here.
    pub(crate) renew: bool,
    /// How many days before its end it is worth an alert; none for a sixth of its life.
    pub(crate) alert_days: Option<u32>,
}

/// How names are proved to be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A file below the folder that the running web server serves.
    Webroot(PathBuf),
    /// The tool listens itself, at this address, for http-01.
    Standalone(SocketAddr),
    /// The tool listens itself, at this address, for tls-alpn-01.
    TlsAlpn(SocketAddr),
    /// A program sets TXT records.
    Hook {
        /// Which.
        program: PathBuf,
        /// How long a record may take until it is seen.
        wait: Duration,
    },
}

/// How a certificate is put to use: any of them, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UseBy {
    /// The service of the stack that serves it.
    pub(crate) service: Option<String>,
    /// What tries the service's configuration; nothing is tried where it is empty.
    pub(crate) test: Vec<String>,
    /// What makes the service take the pair.
    pub(crate) reload: Vec<String>,
    /// A program of this machine.
    pub(crate) command: Vec<String>,
}

/// All certificates that there should be, by the configuration, or the one that the flags describe.
pub(crate) fn wanted(config: &Config, args: &OneArgs) -> Result<Vec<Wanted>, WantedError> {
    let section = &config.certrenew;
    let stated = if args.domain.is_empty() {
        section.certificate.iter().map(|one| args.over(one.clone().or(section))).collect()
    } else {
        let one = CertificateSection { names: args.domain.clone(), ..CertificateSection::default() };
        vec![args.over(one.or(section))]
    };
    let all: Vec<Wanted> = stated.into_iter().map(Wanted::of).collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    if let Some(twin) = all.iter().find(|one| !names.insert(&one.name)) {
        return Err(WantedError::Twins { name: twin.name.clone() });
    }
    if let Some(name) = &args.name
        && args.domain.is_empty()
    {
        let known = all.iter().map(|one| one.name.clone()).collect::<Vec<_>>().join(", ");
        let found: Vec<_> = all.into_iter().filter(|one| one.name == *name).collect();
        return if found.is_empty() { Err(WantedError::Unknown { name: name.clone(), known }) } else { Ok(found) };
    }
    if all.is_empty() { Err(WantedError::Nothing) } else { Ok(all) }
}

impl Wanted {
    fn of(stated: CertificateSection) -> Result<Self, WantedError> {
        let identifiers = identifiers(&stated.names)?;
        let first = identifiers.first().ok_or(WantedError::NoNames)?;
        let lineage = stated.name.clone().unwrap_or_else(|| lineage_of(first));
        if !name::is_valid(&lineage) {
            return Err(WantedError::Name { name: lineage });
        }
        let method = method(&stated, &lineage)?;
        let renew = stated.renew.unwrap_or(true);
        if let Some(wildcard) = identifiers.iter().find(|one| one.is_wildcard())
            && renew
            && !matches!(method, Method::Hook { .. })
        {
            return Err(WantedError::Wildcard { name: wildcard.to_string() });
        }
        if let (Some(address), Method::Hook { .. }) = (identifiers.iter().find(|one| one.host().is_none()), &method) {
            return Err(WantedError::AddressByDns { name: address.to_string() });
        }
        Ok(Self {
            authority: Authority::of(&stated)?,
            use_by: use_by(&stated),
            verify: verify(&stated)?,
            is_open: renew && is_open(&stated),
            resolver: stated.resolver.as_deref().map(resolver).transpose()?,
            method,
            identifiers,
            name: lineage,
            key: stated.key.unwrap_or(KeyKind::EcdsaP256),
            profile: stated.profile,
            chain: stated.chain,
            folder: stated.folder.unwrap_or_else(|| FOLDER.into()),
            install: stated.install.unwrap_or(InstallKind::Versioned),
            owner: stated.owner,
            group: stated.group,
            preflight: stated.preflight.unwrap_or(PreflightKind::Strict),
            http_port: stated.http_port.unwrap_or(80),
            renew,
            alert_days: stated.alert_days,
        })
    }
}

/// In the order in which they were stated, none twice.
fn identifiers(stated: &[String]) -> Result<Vec<Identifier>, WantedError> {
    let mut found = Vec::new();
    for name in stated {
        let identifier = Identifier::parse(name)?;
        if !found.contains(&identifier) {
            found.push(identifier);
        }
    }
    Ok(found)
}

/// What a certificate is called when nobody says it: by certbot's custom, the first name without `*.`.
pub(crate) fn lineage_of(first: &Identifier) -> String {
    let told = first.host().map_or_else(|| first.to_string(), str::to_owned);
    name::mend(&told, "certificate")
}

fn method(stated: &CertificateSection, lineage: &str) -> Result<Method, WantedError> {
    let missing = |key| WantedError::Missing { name: lineage.to_owned(), key };
    let listen = |stated: &Option<String>, usual| address(stated.as_deref().unwrap_or(usual), None);
    Ok(match stated.challenge.unwrap_or(ChallengeKind::Http01) {
        // What is watched alone needs no way to prove anything.
        ChallengeKind::Http01 if stated.webroot.is_none() && stated.renew == Some(false) => {
            Method::Webroot(PathBuf::new())
        }
        ChallengeKind::Http01 => Method::Webroot(stated.webroot.clone().ok_or_else(|| missing("webroot"))?),
        ChallengeKind::Standalone => Method::Standalone(listen(&stated.http_listen, "[::]:80")?),
        ChallengeKind::TlsAlpn01 => Method::TlsAlpn(listen(&stated.tls_listen, "[::]:443")?),
        ChallengeKind::Dns01 => Method::Hook {
            program: stated.hook.clone().ok_or_else(|| missing("hook"))?,
            wait: stated.hook_wait_s.map_or(HOOK_WAIT, Duration::from_secs),
        },
    })
}

fn use_by(stated: &CertificateSection) -> UseBy {
    let words = |stated: &Option<Vec<String>>, usual: &[&str]| {
        stated.clone().unwrap_or_else(|| usual.iter().map(|&word| word.to_owned()).collect())
    };
    UseBy {
        service: stated.service.clone(),
        test: words(&stated.test, &["nginx", "-t"]),
        reload: words(&stated.reload, &["nginx", "-s", "reload"]),
        command: words(&stated.command, &[]),
    }
}

fn is_open(stated: &CertificateSection) -> bool {
    let is_for_nobody = stated.verify.as_ref().is_some_and(Vec::is_empty);
    stated.service.is_none() && stated.command.is_none() && !is_for_nobody
}

/// [`SERVED_AT`].
pub(crate) fn usual() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 443))
}

/// A program of this machine does not say where the server is that it tells, and who renews a certificate elsewhere need not
/// say who serves it: both are looked at where servers are. What a service shows depends on its ports.
fn verify(stated: &CertificateSection) -> Result<Option<Vec<SocketAddr>>, WantedError> {
    let is_of_a_program = stated.service.is_none() && stated.command.is_some();
    match &stated.verify {
        None if is_of_a_program || stated.renew == Some(false) => Ok(Some(vec![usual()])),
        None => Ok(None),
        Some(stated) => stated.iter().map(|one| address(one, Some(443))).collect::<Result<_, _>>().map(Some),
    }
}

fn resolver(stated: &str) -> Result<SocketAddr, WantedError> {
    address(stated, Some(DNS_PORT))
}

/// `ADDRESS:PORT`, or an address alone where a port goes without saying.
fn address(stated: &str, port: Option<u16>) -> Result<SocketAddr, WantedError> {
    let alone = |port| stated.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
    let found = stated.parse().ok().or_else(|| port.and_then(alone));
    found.ok_or_else(|| WantedError::Address { stated: stated.to_owned() })
}

#[cfg(test)]
mod tests;
