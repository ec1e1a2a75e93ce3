//! `certrenew revoke`: tells the authority that a certificate must no longer be trusted (RFC 8555, 7.6).

use clap::{Args as ClapArgs, ValueEnum};
use instant_acme::RevocationReason;
use serde_json::json;

use shipshape_core::error::{Explain, Failure};
use shipshape_core::exit::Exit;
use shipshape_core::run::Outcome;

use crate::cli::{Context, OneArgs};
use crate::renew::{Book, Sessions, lineage};
use crate::wanted;

/// Which, and why.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct RevokeArgs {
    /// The certificate, by its name in the configuration
    #[arg(value_name = "NAME")]
    pub(crate) certificate: String,
    /// Why: it decides how fast browsers forget the certificate
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Reason,
    /// Folder of the application, or the name under which its state is kept
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) app: Option<String>,
}

/// The reasons that a subscriber may give (CA/Browser Forum, Baseline Requirements, 4.9.1.1).
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// None of the others, or none that is to be told
    Unspecified,
    /// Somebody else may have the key
    KeyCompromise,
    /// The names belong to another organization now
    AffiliationChanged,
    /// Another certificate is in use
    Superseded,
    /// The site is no more
    CessationOfOperation,
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    /// There is no certificate in that place.
    #[error("there is no certificate in {place}")]
    Nothing {
        /// `live/NAME`.
        place: String,
    },
    /// Nobody but its maker vouches for it.
    #[error("the certificate in {place} is a placeholder, of which no authority knows")]
    Placeholder {
        /// `live/NAME`.
        place: String,
    },
}

impl Explain for RevokeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Nothing { .. } => "revoke.nothing",
            Self::Placeholder { .. } => "revoke.placeholder",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Nothing { .. } => "see which there are: certrenew status".to_owned(),
            Self::Placeholder { .. } => "there is nothing to be done".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Nothing { .. } | Self::Placeholder { .. } => Exit::Unknown,
        }
    }
}

/// Revokes what lies in `live/NAME`; the files stay, and the next run replaces them, since the authority then wishes it.
pub(crate) fn revoke(args: &RevokeArgs, context: &Context<'_>) -> Result<Outcome, Failure> {
    let one = OneArgs { name: Some(args.certificate.clone()), ..OneArgs::default() };
    let all = wanted::wanted(context.config, &one)?;
    let Some(wanted) = all.first() else { return Ok(Outcome::ok("nothing to revoke")) };
    let (mut book, _lock) = Book::open(context)?;
    let place = lineage(wanted);
    let told = place.live().display().to_string();
    let Some(installed) = place.installed()? else { return Err(RevokeError::Nothing { place: told }.into()) };
    let facts = &installed.chain.facts;
    if facts.is_self_signed {
        return Err(RevokeError::Placeholder { place: told }.into());
    }
    let mut sessions = Sessions::new(book.accounts()?);
    let leaf = installed.chain.certificates.first().map_or(&[][..], Vec::as_slice);
    sessions.with(&wanted.authority)?.revoke(leaf, args.reason.code())?;
    // The authority's wish is another now: it is to be asked at once, and a pause after a failure is over.
    let mut record = book.record(&wanted.name);
    record.wish = None;
    record.failures = None;
    book.note(&wanted.name, &record)?;
    Ok(Outcome {
        data: json!({ "name": wanted.name, "serial": facts.serial, "reason": format!("{:?}", args.reason) }),
        text: format!("it is still served; replace it now: certrenew --force --name {}", wanted.name),
        ..Outcome::ok(format!("{}: revoked {}", wanted.name, facts.serial))
    })
}

impl Reason {
    fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
        }
    }
}
