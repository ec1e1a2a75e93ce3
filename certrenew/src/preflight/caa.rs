//! CAA records: whether they allow an authority (RFC 8659), the way names are proved, and the account (RFC 8657).
//!
//! No files, no network: what was asked of the DNS comes as an argument.

use std::collections::BTreeMap;

use shipshape_core::alert::one_line;
use shipshape_core::error::{Explain, chain};

use super::dns::{Caa, DnsError, Found};
use super::{Finding, LONGEST};
use crate::identifier::Identifier;

/// What the DNS said to each name that was asked for.
pub(super) type Answers = BTreeMap<String, Result<Found<Caa>, DnsError>>;

/// The tags that authorities know (RFC 8659, 4.1.1; RFC 9495). A critical one that they do not know forbids everything.
const KNOWN: [&str; 4] = ["issue", "issuewild", "iodef", "issuemail"];

/// Who wants to issue, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    /// The names by which records may allow the authority; none where it does not say.
    pub(super) identities: &'a [String],
    /// How names are proved: `http-01`, ….
    pub(super) method: &'static str,
    /// The URL of our account, where it is known.
    pub(super) account: Option<&'a str>,
}

/// What a set of records says to that.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// They restrict nothing.
    Free,
    /// It is allowed.
    Allowed,
    /// It may be, as far as can be seen from here.
    Untold(String),
    /// It is not.
    Forbidden(String),
    /// Nobody may issue, because of a record that nobody understands.
    Critical(String),
}

/// What a record of `issue` or `issuewild` allows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    issuer: String,
    parameters: Vec<(String, String)>,
}

/// A name and all that stand above it but for the root: a record of the first that has any is what counts (RFC 8659, 3).
pub(super) fn tree(host: &str) -> impl Iterator<Item = &str> {
    let below = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
    std::iter::once(host).chain(below)
}

/// What the records mean for one name; nothing for addresses, which have none (RFC 8738).
pub(super) fn finding(identifier: &Identifier, answers: &Answers, asker: Asker<'_>) -> Option<Finding> {
    let host = identifier.host()?;
    for name in tree(host) {
        match answers.get(name) {
            Some(Ok(Found::Records(records))) => return Some(told(identifier, name, records, asker)),
            Some(Err(error)) => return Some(failed(identifier, error)),
            Some(Ok(Found::NoRecords | Found::NoSuchName)) | None => {}
        }
    }
    Some(fine(identifier, "no CAA record restricts who may issue".to_owned()))
}

fn fine(identifier: &Identifier, message: String) -> Finding {
    Finding { name: Some(identifier.to_string()), code: "preflight.caa", message, hint: String::new(), is_bad: false }
}

/// An authority that gets no answer from the DNS must not issue (RFC 8659, 6; baseline requirements, 3.2.2.8). A resolver of
/// ours that is silent says nothing about theirs.
fn failed(identifier: &Identifier, error: &DnsError) -> Finding {
    let is_bad = matches!(error, DnsError::Failed { .. } | DnsError::Aliases { .. });
    let message = format!("whether CAA records allow it cannot be told: {}", chain(error));
    Finding { hint: error.hint(), is_bad, ..fine(identifier, message) }
}

fn told(identifier: &Identifier, at: &str, records: &[Caa], asker: Asker<'_>) -> Finding {
    let tag = tag(records, identifier.is_wildcard());
    let identity = asker.identities.first().map_or("NAME-OF-THE-AUTHORITY", String::as_str);
    let finding = |said: &str| fine(identifier, one_line(&format!("the CAA records of {at} {said}"), LONGEST));
    match judge(records, tag, asker) {
        Verdict::Free => finding("do not restrict who may issue"),
        Verdict::Allowed => finding(&format!("allow {identity}")),
        Verdict::Untold(why) => finding(&why),
        Verdict::Forbidden(why) => {
            let hint = format!("add a record: {at}. CAA 0 {tag} \"{identity}\"");
            Finding { hint, is_bad: true, ..finding(&why) }
        }
        Verdict::Critical(why) => {
            let hint = format!("remove the record, or its critical flag: dig {at} CAA");
            Finding { hint, is_bad: true, ..finding(&why) }
        }
    }
}

/// The tag that counts: for wildcards `issuewild`, where any record has it (RFC 8659, 4.3).
fn tag(records: &[Caa], is_wildcard: bool) -> &'static str {
    if is_wildcard && records.iter().any(|one| one.tag == "issuewild") { "issuewild" } else { "issue" }
}

fn judge(records: &[Caa], tag: &str, asker: Asker<'_>) -> Verdict {
    if let Some(odd) = records.iter().find(|one| one.is_critical && !KNOWN.contains(&one.tag.as_str())) {
        return Verdict::Critical(format!("forbid it to everybody who does not know the critical tag `{}`", odd.tag));
    }
    let own: Vec<&Caa> = records.iter().filter(|one| one.tag == tag).collect();
    if own.is_empty() {
        return Verdict::Free;
    }
    // What makes no sense allows nobody (RFC 8659, 4.2), and so does a `;` alone.
    let grants: Vec<Grant> = own.iter().filter_map(|one| Grant::read(&one.value)).collect();
    let issuers = grants.iter().map(|grant| format!("`{}`", grant.issuer)).collect::<Vec<_>>().join(", ");
    if grants.is_empty() {
        return Verdict::Forbidden("forbid it to everybody".to_owned());
    }
    if asker.identities.is_empty() {
        return Verdict::Untold(format!("allow {issuers} alone, and the authority does not say by which name it goes"));
    }
    let ours = grants.iter().filter(|grant| asker.identities.iter().any(|own| own.eq_ignore_ascii_case(&grant.issuer)));
    let verdicts: Vec<Verdict> = ours.map(|grant| grant.judge(asker)).collect();
    // One that allows is enough; of the others, what may be counts more than what is not.
    let best = [Verdict::Allowed].into_iter().find(|best| verdicts.contains(best));
    let untold = || verdicts.iter().find(|one| matches!(one, Verdict::Untold(_))).cloned();
    best.or_else(untold)
        .or_else(|| verdicts.first().cloned())
        .unwrap_or_else(|| Verdict::Forbidden(format!("allow {issuers} alone")))
}

impl Grant {
    /// Reads the value of a record by the grammar of RFC 8659, 4.2; none for one that allows nobody.
    fn read(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let issuer = parts.next().filter(|issuer| is_domain(issuer))?.to_ascii_lowercase();
        let parts: Vec<&str> = parts.collect();
        let parameters = match parts[..] {
            // A semicolon may come last where there are no parameters.
            [] | [""] => Some(Vec::new()),
            _ => parts.iter().map(|part| parameter(part)).collect(),
        };
        Some(Self { issuer, parameters: parameters? })
    }

    /// The parameters of RFC 8657; others are between the authority and its customers. One that stands twice allows nothing.
    fn judge(&self, asker: Asker<'_>) -> Verdict {
        let issuer = &self.issuer;
        let stated = |tag: &str| -> Vec<&str> {
            self.parameters.iter().filter(|(own, _)| own == tag).map(|(_, value)| value.as_str()).collect()
        };
        match stated("validationmethods")[..] {
            [] => {}
            [methods] if methods.split(',').any(|one| one.trim() == asker.method) => {}
            _ => {
                return Verdict::Forbidden(format!("allow `{issuer}` other ways of proof than {} alone", asker.method));
            }
        }
        match (&stated("accounturi")[..], asker.account) {
            ([], _) => Verdict::Allowed,
            ([account], Some(own)) if *account == own => Verdict::Allowed,
            ([account], None) => Verdict::Untold(format!("allow `{issuer}` for the account {account} alone")),
            _ => Verdict::Forbidden(format!("allow `{issuer}` for another account than ours alone")),
        }
    }
}

/// Labels of letters, digits and hyphens (RFC 8659, 4.2: `issuer-domain-name`).
fn is_domain(text: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.split('.').all(is_label)
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (tag, value) = text.split_once('=')?;
    let (tag, value) = (tag.trim(), value.trim());
    let is_sound = is_domain(tag) && !tag.contains('.') && value.bytes().all(|byte| byte.is_ascii_graphic());
    is_sound.then(|| (tag.to_ascii_lowercase(), value.to_owned()))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
