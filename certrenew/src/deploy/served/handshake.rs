//! One handshake, for the sake of the certificate that is shown in it.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use shipshape_core::error;

use crate::certificate::Facts;
use crate::identifier::Identifier;
use crate::looker;
use crate::timed::Timed;

/// How long a handshake may take, the connection included.
const LIMIT: Duration = Duration::from_secs(3);

/// The label below a wildcard by which it is asked for. It should have no server of its own.
const BELOW: &str = "certrenew-look";

/// The longest reason, in characters: parts of it come from the other side.
const LONGEST: usize = 200;

/// The certificate that is shown there for this name, or why there is none, in one line.
pub(super) fn shown(address: SocketAddr, name: &Identifier) -> Result<Facts, String> {
    let leaf = leaf(address, name).map_err(|refused| one_line(&*refused))?;
    Facts::of(&leaf).ok_or_else(|| "what it shows cannot be read as a certificate".to_owned())
}

fn leaf(address: SocketAddr, name: &Identifier) -> Result<CertificateDer<'static>, Box<dyn std::error::Error>> {
    let mut tls = ClientConnection::new(looker::config(&[])?, asked_as(name)?)?;
    let mut connection = Timed::connect(address, LIMIT)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut connection)?;
    }
    let leaf = tls.peer_certificates().and_then(|shown| shown.first()).map(|leaf| leaf.clone().into_owned());
    // A polite end keeps the server's log clean; whether it arrives is no concern of ours.
    tls.send_close_notify();
    let _ = tls.complete_io(&mut connection);
    leaf.ok_or_else(|| "it shows no certificate".into())
}

/// How a name is asked for. For an address there is no server name indication (RFC 6066, 3): rustls leaves it out.
fn asked_as(name: &Identifier) -> Result<ServerName<'static>, Box<dyn std::error::Error>> {
    Ok(match name {
        Identifier::Dns { host, wildcard: true } => ServerName::try_from(format!("{BELOW}.{host}"))?,
        Identifier::Dns { host, wildcard: false } => ServerName::try_from(host.clone())?,
        Identifier::Ip(address) => ServerName::IpAddress((*address).into()),
    })
}

fn one_line(refused: &dyn std::error::Error) -> String {
    let told = error::chain(refused);
    told.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LONGEST).collect()
}
