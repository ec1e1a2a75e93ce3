//! One order, from its first answer to the chain (RFC 8555, 7.4).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationState, AuthorizationStatus, Challenge, ChallengeStatus, ChallengeType, OrderStatus,
};
use sha2::{Digest, Sha256};
use shipshape_core::clock::{self, Stopwatch};

use super::error::{AcmeError, Refused};
use super::library::{blocking, explain_told, step};
use super::pace::Pace;
use super::problem::{self, Problem};
use super::transport::{Transport, rest};
use crate::certificate::Chain;
use crate::challenge::Proof;
use crate::identifier::Identifier;
use crate::wanted::Method;

/// The most names of one order. Authorities allow a hundred.
const MOST_NAMES: usize = 1000;

/// How long the other names of an order that has failed may take, so that one error tells all that failed.
const OTHERS: Duration = Duration::from_secs(10);

/// An order at the authority.
pub(crate) struct Order<'s> {
    transport: &'s Transport,
    account: Account,
    inner: instant_acme::Order,
    /// What it is for, as far as this run has ordered it.
    names: Vec<Identifier>,
    stage: Stage,
}

/// How far an order is (RFC 8555, 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Names are to be proved.
    Pending,
    /// They are; the signing request is awaited.
    Ready,
    /// The authority is at it.
    Processing,
    /// The certificate is there.
    Valid,
    /// It came to nothing.
    Invalid,
}

impl From<OrderStatus> for Stage {
    fn from(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Pending => Self::Pending,
            OrderStatus::Ready => Self::Ready,
            OrderStatus::Processing => Self::Processing,
            OrderStatus::Valid => Self::Valid,
            OrderStatus::Invalid => Self::Invalid,
        }
    }
}

impl<'s> Order<'s> {
    /// As the authority has told it.
    pub(super) fn new(
        transport: &'s Transport,
        account: Account,
        mut inner: instant_acme::Order,
        names: &[Identifier],
    ) -> Self {
        let stage = inner.state().status.into();
        Self { transport, account, inner, names: names.to_vec(), stage }
    }

    /// Where it is asked for.
    pub(crate) fn url(&self) -> &str {
        self.inner.url()
    }

    /// The account that made it: its URL.
    pub(crate) fn account(&self) -> &str {
        self.account.id()
    }

    /// How far it is.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// What has to be shown for the names that are not proved yet; nothing where all are (reused authorizations).
    pub(crate) fn proofs(&mut self, method: &Method) -> Result<Vec<Proof>, AcmeError> {
        match self.stage {
            Stage::Pending => self.look_up()?,
            Stage::Invalid => return Err(self.reasons(Duration::ZERO)),
            Stage::Ready | Stage::Processing | Stage::Valid => return Ok(Vec::new()),
        }
        let thumbprint = self.account.key_thumbprint().to_owned();
        let mut proofs = Vec::new();
        for state in self.inner.state().authorizations.iter().filter_map(|one| one.state.as_ref()) {
            match state.status {
                AuthorizationStatus::Pending => proofs.extend(proof(self.transport, state, method, &thumbprint)?),
                AuthorizationStatus::Valid => {}
                // The order is as good as over (RFC 8555, 7.1.6).
                AuthorizationStatus::Invalid
                | AuthorizationStatus::Revoked
                | AuthorizationStatus::Expired
                | AuthorizationStatus::Deactivated => return Err(self.reasons(Duration::ZERO)),
            }
        }
        Ok(proofs)
    }

    /// Says that all of them can be seen, and waits until the authority has looked. An error names each name that failed.
    pub(crate) fn prove(&mut self, proofs: &[Proof], patience: Duration) -> Result<(), AcmeError> {
        for proof in proofs {
            self.say_ready(&proof.url)?;
        }
        self.wait_while(Stage::Pending, patience)?;
        if self.stage == Stage::Invalid { Err(self.reasons(OTHERS.min(patience))) } else { Ok(()) }
    }

    /// Hands in the signing request; nothing where that was done in an earlier run.
    pub(crate) fn finalize(&mut self, request: &[u8]) -> Result<(), AcmeError> {
        if matches!(self.stage, Stage::Processing | Stage::Valid) {
            return Ok(());
        }
        match step(self.transport, || blocking(self.inner.finalize_csr(request))) {
            Ok(()) => self.stage = self.inner.state().status.into(),
            Err(error) => self.finalized_after_all(error)?,
        }
        if self.stage == Stage::Invalid { Err(self.reasons(Duration::ZERO)) } else { Ok(()) }
    }

    /// Waits for the certificate, and takes the chain by that issuer where there are several; the first one otherwise, which
    /// [`Chain::is_by`] tells.
    pub(crate) fn certificate(&mut self, chain: Option<&str>, patience: Duration) -> Result<Chain, AcmeError> {
        self.wait_while(Stage::Processing, patience)?;
        match self.stage {
            Stage::Valid => {}
            Stage::Invalid => return Err(self.reasons(Duration::ZERO)),
            stage @ (Stage::Pending | Stage::Ready | Stage::Processing) => {
                return Err(self.transport.nonsense(&format!("the order is {stage:?} where it should be valid")));
            }
        }
        let pem = step(self.transport, || blocking(self.inner.certificate()))?.unwrap_or_default();
        let alternates = self.transport.last().map(|seen| seen.alternates).unwrap_or_default();
        let first =
            Chain::read(pem.as_bytes(), self.url()).map_err(|error| self.transport.nonsense(&error.to_string()))?;
        match chain {
            Some(wanted) if !first.is_by(wanted) => Ok(self.alternate(&alternates, wanted).unwrap_or(first)),
            Some(_) | None => Ok(first),
        }
    }

    /// The first other chain that is by this issuer. One that cannot be had is passed over: there is one already.
    fn alternate(&self, urls: &[String], wanted: &str) -> Option<Chain> {
        urls.iter().find_map(|url| {
            // The only question about any address that the library has is one about orders. The transport keeps the answer
            // to it; that it is no order is of no interest.
            let _ = step(self.transport, || blocking(self.account.order(url.clone())).map(drop));
            let seen = self.transport.last().filter(|seen| seen.url == *url)?;
            Chain::read(&seen.body, url).ok().filter(|chain| chain.is_by(wanted))
        })
    }

    /// Why an order that is [`Stage::Invalid`] came to nothing: each name that failed with its reason, as [`Order::prove`]
    /// tells it. For orders of earlier runs, whose names have all been looked at.
    pub(crate) fn failure(&mut self) -> AcmeError {
        self.reasons(Duration::ZERO)
    }

    /// Asks until the order is at another stage, or patience ends. An authority that is overloaded meanwhile is asked on:
    /// it may look at the proofs all the same.
    fn wait_while(&mut self, stage: Stage, patience: Duration) -> Result<(), AcmeError> {
        let watch = Stopwatch::start();
        let mut pace = Pace::new(patience);
        let mut later = None;
        while self.stage == stage {
            let told = later.as_ref().map_or_else(|| self.transport.retry_after(), |later| Some(until(later)));
            let Some(pause) = pace.pause(told, watch.elapsed()) else {
                return Err(later.unwrap_or_else(|| self.pending()));
            };
            rest(pause)?;
            later = match self.refresh() {
                Ok(()) => None,
                Err(later @ AcmeError::Later { .. }) => Some(later),
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// The authority is at it still; when it wants to be asked is told to the runs to come.
    fn pending(&self) -> AcmeError {
        let retry_at = self.transport.retry_after().map(|wait| problem::after(clock::now(), wait));
        AcmeError::Pending { host: self.transport.host(), retry_at }
    }

    fn refresh(&mut self) -> Result<(), AcmeError> {
        step(self.transport, || blocking(async { self.inner.refresh().await.map(drop) }))?;
        self.stage = self.inner.state().status.into();
        Ok(())
    }

    /// Nobody knows what became of a signing request whose answer was lost; and one that had its effect is refused when it is
    /// sent again after a refused nonce. The order tells.
    fn finalized_after_all(&mut self, error: AcmeError) -> Result<(), AcmeError> {
        if matches!(error, AcmeError::Interrupted(_) | AcmeError::Later { .. } | AcmeError::AccountGone { .. }) {
            return Err(error);
        }
        match self.refresh() {
            Ok(()) if self.stage != Stage::Ready && self.stage != Stage::Pending => Ok(()),
            Ok(()) | Err(_) => Err(problem::by_name(error, self.transport.speaker(), &self.names)),
        }
    }

    /// Asks for the authorizations that are not known yet.
    fn look_up(&mut self) -> Result<(), AcmeError> {
        let count = self.inner.state().authorizations.len();
        if count > MOST_NAMES {
            return Err(self.transport.nonsense(&format!("an order of {count} names")));
        }
        (0..count).try_for_each(|index| self.with_authorization(index, &Deed::LookUp))
    }

    /// One question about the authorization of this number, or one word to it. The library hands out authorizations one
    /// after the other alone; those that it knows cost nothing.
    fn with_authorization(&mut self, index: usize, deed: &Deed) -> Result<(), AcmeError> {
        step(self.transport, || {
            blocking(async {
                let mut all = self.inner.authorizations();
                for _ in 0..index {
                    all.next().await.transpose()?;
                }
                let Some(mut one) = all.next().await.transpose()? else { return Ok(()) };
                match deed {
                    Deed::LookUp => Ok(()),
                    Deed::LookAgain => one.refresh().await.map(drop),
                    Deed::SayReady(kind) => match one.challenge(kind.clone()) {
                        Some(mut challenge) => challenge.set_ready().await,
                        None => Ok(()),
                    },
                }
            })
        })
    }

    /// Says that a challenge is ready, where it waits for that: one of an earlier run may be looked at already.
    fn say_ready(&mut self, url: &str) -> Result<(), AcmeError> {
        let Some((index, kind)) = self.waiting(url) else { return Ok(()) };
        match self.with_authorization(index, &Deed::SayReady(kind)) {
            Err(error @ (AcmeError::Refused { .. } | AcmeError::Names { .. })) => {
                // It may have heard the word before, from a call whose answer was lost.
                self.with_authorization(index, &Deed::LookAgain)?;
                if self.waiting(url).is_some() { Err(error) } else { Ok(()) }
            }
            said => said,
        }
    }

    /// The authorization that has the challenge of this URL, where the challenge waits to be told.
    fn waiting(&mut self, url: &str) -> Option<(usize, ChallengeType)> {
        let all = self.inner.state().authorizations.iter().enumerate();
        let mut pending = all.filter_map(|(index, one)| {
            let state = one.state.as_ref().filter(|state| state.status == AuthorizationStatus::Pending)?;
            Some((index, state.challenges.iter().find(|challenge| challenge.url == url)?))
        });
        let (index, challenge) = pending.next()?;
        (challenge.status == ChallengeStatus::Pending).then(|| (index, challenge.r#type.clone()))
    }

    /// Why it came to nothing: each name with what its challenge says (RFC 8555, 7.1.6 and 8), else what the order says.
    fn reasons(&mut self, patience: Duration) -> AcmeError {
        match self.refused(patience) {
            Ok(refused) if refused.is_empty() => self.own_failure(),
            Ok(refused) => self.names(refused),
            Err(interrupted @ AcmeError::Interrupted(_)) => interrupted,
            Err(_) => self.own_failure(),
        }
    }

    fn names(&self, refused: Vec<Refused>) -> AcmeError {
        AcmeError::Names { host: self.transport.host(), caa: self.transport.speaker().caa.clone(), refused }
    }

    fn own_failure(&mut self) -> AcmeError {
        let error = match &self.inner.state().error {
            Some(told) => explain_told(self.transport, told, clock::now()),
            None => AcmeError::Refused {
                host: self.transport.host(),
                kind: "invalid".to_owned(),
                detail: "the order came to nothing, and no reason is given".to_owned(),
            },
        };
        problem::by_name(error, self.transport.speaker(), &self.names)
    }

    /// What each name failed for. Others of which the authority has not made up its mind get some time.
    fn refused(&mut self, patience: Duration) -> Result<Vec<Refused>, AcmeError> {
        self.look_up()?;
        let watch = Stopwatch::start();
        let mut pace = Pace::new(patience);
        loop {
            let open = self.under_way();
            if open.is_empty() || watch.elapsed() >= patience {
                break;
            }
            let Some(pause) = pace.pause(None, watch.elapsed()) else { break };
            rest(pause)?;
            for index in open {
                self.with_authorization(index, &Deed::LookAgain)?;
            }
        }
        let states = self.inner.state().authorizations.iter().filter_map(|one| one.state.as_ref());
        let mut refused: Vec<Refused> = states.filter_map(failed).collect();
        // Authorities have no order here, and the same failure should read the same each time.
        refused.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(refused)
    }

    fn under_way(&mut self) -> Vec<usize> {
        let all = self.inner.state().authorizations.iter().enumerate();
        let is_open = |state: &AuthorizationState| state.status == AuthorizationStatus::Pending;
        all.filter(|(_, one)| one.state.as_ref().is_some_and(is_open)).map(|(index, _)| index).collect()
    }
}

/// How long an authority wants to be left alone from now on.
fn until(later: &AcmeError) -> Duration {
    later.retry_at().and_then(|at| (at - clock::now()).to_std().ok()).unwrap_or_default()
}

/// What is asked of an authorization, or said to it.
enum Deed {
    /// It is asked for, where it is not known.
    LookUp,
    /// It is asked for.
    LookAgain,
    /// Its challenge of this kind is ready.
    SayReady(ChallengeType),
}

/// What one name failed for; none where it did not.
fn failed(state: &AuthorizationState) -> Option<Refused> {
    let name = super::words::told(&state.identifier().to_string());
    let told = state.challenges.iter().find_map(|challenge| Some((challenge, challenge.error.as_ref()?)));
    if let Some((challenge, error)) = told {
        return Some(Problem::from(error).of_name(name, name_of(&challenge.r#type)));
    }
    let refused = |kind: &str| {
        let detail = "its authorization does not hold, and no reason is given".to_owned();
        Some(Refused { name: name.clone(), challenge: None, kind: kind.to_owned(), detail })
    };
    match state.status {
        AuthorizationStatus::Pending | AuthorizationStatus::Valid => None,
        AuthorizationStatus::Invalid => refused("invalid"),
        AuthorizationStatus::Revoked => refused("revoked"),
        AuthorizationStatus::Expired => refused("expired"),
        AuthorizationStatus::Deactivated => refused("deactivated"),
    }
}

/// What has to be shown for one name; nothing where it is shown already and found good.
fn proof(
    transport: &Transport,
    state: &AuthorizationState,
    method: &Method,
    thumbprint: &str,
) -> Result<Option<Proof>, AcmeError> {
    let name = state.identifier().to_string();
    let kind = kind_of(method);
    let found = state.challenges.iter().find(|challenge| challenge.r#type == kind);
    let Some(challenge) = found else {
        let name = super::words::told(&name);
        return Err(AcmeError::NoChallenge { host: transport.host(), kind: name_of(&kind), name });
    };
    if challenge.status == ChallengeStatus::Valid {
        return Ok(None);
    }
    let identifier = Identifier::parse(&name).map_err(|error| transport.nonsense(&error.to_string()))?;
    check_token(transport, challenge)?;
    let key_authorization = format!("{}.{thumbprint}", challenge.token);
    let digest = Sha256::digest(&key_authorization).to_vec();
    Ok(Some(Proof {
        identifier,
        url: challenge.url.clone(),
        token: challenge.token.clone(),
        key_authorization,
        dns_value: base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, &digest),
        digest,
    }))
}

/// A token becomes the name of a file below the webroot: base64url's letters, and no others (RFC 8555, 8.1).
fn check_token(transport: &Transport, challenge: &Challenge) -> Result<(), AcmeError> {
    let token = challenge.token.as_bytes();
    let is_one = (1..=200).contains(&token.len())
        && token.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_one { Ok(()) } else { Err(transport.nonsense("a token that is none")) }
}

fn kind_of(method: &Method) -> ChallengeType {
    match method {
        Method::Webroot(_) | Method::Standalone(_) => ChallengeType::Http01,
        Method::TlsAlpn(_) => ChallengeType::TlsAlpn01,
        Method::Hook { .. } => ChallengeType::Dns01,
    }
}

fn name_of(kind: &ChallengeType) -> &'static str {
    match kind {
        ChallengeType::Http01 => "http-01",
        ChallengeType::Dns01 => "dns-01",
        ChallengeType::TlsAlpn01 => "tls-alpn-01",
        // The set is open; we choose none of the others.
        _ => "another challenge",
    }
}
