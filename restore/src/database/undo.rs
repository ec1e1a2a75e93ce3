//! Puts back the databases that a restore has replaced: the same exchange, with the old side coming in.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::journal::{Files, Journal, Source};
use super::records::{Kept, KeptDatabase};
use super::under_way::UnderWay;
use super::{
    Exchange, Records, RestoreError, Site, Swapped, There, atomic_write, earlier, later, names, read_if_there, way,
};

/// What is put back.
pub(crate) struct Undo<'a> {
    site: &'a Site,
    kept: &'a Kept,
    at: DateTime<Utc>,
    exchanges: Vec<Exchange>,
}

impl<'a> Undo<'a> {
    /// Decides.
    pub(crate) fn of(site: &'a Site, kept: &'a Kept, at: DateTime<Utc>) -> Result<Self, RestoreError> {
        let exchanges = kept.databases.iter().map(|database| exchange(site, database, at));
        Ok(Self { site, kept, at, exchanges: exchanges.collect::<Result<_, _>>()? })
    }

    /// What it does, for people.
    pub(crate) fn preview(&self) -> String {
        let mut text = String::new();
        for (exchange, kept) in self.exchanges.iter().zip(&self.kept.databases) {
            let Exchange { service, live, outgoing, .. } = exchange;
            let _ = match &kept.name {
                Some(name) => writeln!(
                    text,
                    "  database {live} of the service {service}, from {name}; the one that is live now is kept as {outgoing}"
                ),
                None => writeln!(
                    text,
                    "  database {live} of the service {service}: there was nothing in it; the one that is live now is kept as {outgoing}"
                ),
            };
        }
        text
    }

    /// Swaps all of them, or none.
    pub(crate) fn swap(&self, records: &'a Records, files: Option<Files>) -> Result<Swapped<'a>, RestoreError> {
        let of = &self.kept.of;
        let journal = Journal::new(of, self.at, self.kept.app_dir.clone(), Source::Kept);
        let mut under_way = UnderWay::begin(self.site, records, journal)?;
        let old = records.of_restore(self.kept.at)?;
        let mut parts = Vec::new();
        for (exchange, kept) in self.exchanges.iter().zip(&self.kept.databases) {
            let events = read_if_there(&earlier(&old, &kept.stem))?.unwrap_or_default();
            atomic_write(&later(under_way.folder(), &exchange.stem), &events)?;
            under_way.note(exchange.clone(), BTreeMap::new())?;
            parts.push(json!({
                "name": exchange.payload,
                "target": format!("{}/{}", exchange.service, exchange.live),
                "kept": exchange.replaces.then_some(&exchange.outgoing),
            }));
        }
        match under_way.swap(files) {
            Ok(notices) => Ok(Swapped::new(under_way, parts, notices)),
            Err(refused) => {
                under_way.back()?;
                Err(refused)
            }
        }
    }
}

/// Where there was nothing before, what comes in is a database that does not exist.
fn exchange(site: &Site, kept: &KeptDatabase, at: DateTime<Utc>) -> Result<Exchange, RestoreError> {
    let client = site.client(&kept.service)?;
    Ok(Exchange {
        payload: kept.payload.clone(),
        service: kept.service.clone(),
        engine: kept.engine,
        live: kept.live.clone(),
        incoming: kept.name.clone().unwrap_or_else(|| names::loading(kept.engine, &kept.live, at)),
        outgoing: names::before(kept.engine, &kept.live, at),
        replaces: way(kept.engine).look(&client, &kept.live)? == There::Something,
        stem: kept.stem.clone(),
        saved: BTreeMap::new(),
    })
}
