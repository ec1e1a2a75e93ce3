//! What is served: a TLS handshake for each name, as its users would make one, that looks at the certificate alone.

mod handshake;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use shipshape_core::clock::Stopwatch;
use shipshape_core::signal;

use crate::certificate::Facts;
use crate::identifier::Identifier;

/// How many hands are shaken at a time: a small machine's server has to serve its users as well.
const AT_A_TIME: usize = 8;

/// How long to wait between two looks. A reload of nginx takes about as long: its master process lets the new workers
/// start for 100 ms before it tells the old ones to end.
const PAUSE: Duration = Duration::from_millis(100);

/// How many looks in a row have to see the new certificate. While a server reloads, old and new workers accept side by
/// side, and one look may meet either; two with a pause between them meet two old ones no more.
const IN_A_ROW: usize = 2;

/// What was seen at one address for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The name that was asked for.
    pub(crate) name: Identifier,
    /// The address.
    pub(crate) address: SocketAddr,
    /// What it showed, or why nothing was seen, in one line.
    pub(crate) shown: Result<Facts, String>,
}

impl Served {
    /// Whether it is the certificate with this serial number.
    pub(crate) fn is(&self, serial: &str) -> bool {
        self.shown.as_ref().is_ok_and(|facts| facts.serial == serial)
    }
}

/// Of all that was seen, the certificate that ends first: the one that somebody has to know of.
pub(crate) fn ends_first(seen: &[Served]) -> Option<&Facts> {
    seen.iter().filter_map(|one| one.shown.as_ref().ok()).min_by_key(|facts| facts.not_after)
}

/// Addresses that show, whatever name they are asked for, a certificate that is not for it: a server of other names, which has
/// never heard of ours.
pub(crate) fn of_others(seen: &[Served]) -> BTreeSet<SocketAddr> {
    let is_other = |one: &Served| one.shown.as_ref().is_ok_and(|facts| !one.name.is_among(&facts.names));
    let all: BTreeSet<SocketAddr> = seen.iter().map(|one| one.address).collect();
    all.into_iter().filter(|at| seen.iter().filter(|one| one.address == *at).all(is_other)).collect()
}

/// Shakes hands once for each name at each address. Wildcards are asked for by a name below them.
pub(crate) fn served_at(addresses: &[SocketAddr], names: &[Identifier]) -> Vec<Served> {
    let pairs: Vec<(SocketAddr, &Identifier)> =
        addresses.iter().flat_map(|address| names.iter().map(|name| (*address, name))).collect();
    look(&pairs)
}

/// The same until all show this serial number, or patience ends; what was seen last.
pub(crate) fn wait_until_served(
    addresses: &[SocketAddr],
    names: &[Identifier],
    serial: &str,
    patience: Duration,
) -> Vec<Served> {
    let watch = Stopwatch::start();
    let mut seen = served_at(addresses, names);
    let mut in_a_row: Vec<usize> = seen.iter().map(|served| usize::from(served.is(serial))).collect();
    loop {
        let open: Vec<usize> = (0..seen.len()).filter(|&at| in_a_row[at] < IN_A_ROW).collect();
        // The caller asks itself whether we were asked to stop: what was seen is worth telling all the same.
        if open.is_empty() || watch.elapsed() >= patience || signal::check().is_err() {
            return seen;
        }
        thread::sleep(PAUSE);
        let pairs: Vec<_> = open.iter().map(|&at| (seen[at].address, &seen[at].name)).collect();
        for (at, served) in open.into_iter().zip(look(&pairs)) {
            in_a_row[at] = if served.is(serial) { in_a_row[at] + 1 } else { 0 };
            seen[at] = served;
        }
    }
}

/// One handshake for each pair, in their order.
fn look(pairs: &[(SocketAddr, &Identifier)]) -> Vec<Served> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut seen = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&(address, name)) = pairs.get(at) else { return seen };
            let shown = handshake::shown(address, name);
            seen.push((at, Served { name: name.clone(), address, shown }));
        }
    };
    let mut all = thread::scope(|scope| {
        // We work as well: one look needs no thread, and all of them are had where there can be no thread.
        let helpers = (1..pairs.len().min(AT_A_TIME)).map(|_| thread::Builder::new().spawn_scoped(scope, work));
        let helpers: Vec<_> = helpers.flatten().collect();
        let mut all = work();
        for helper in helpers {
            all.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, served)| served).collect()
}

#[cfg(test)]
mod tests;
