//! Everything that is altered is found, and nothing is touched.

use std::fs;

use shipshape_core::archive::names::Wrapping;
use shipshape_core::config::{Compression, Encryption};
use shipshape_core::exit::Exit;

use crate::testing::{Made, Site, tree};

fn usual() -> Made {
    Made { config: vec![".env"], sqlite: vec![("app", "data/app.db")], ..Made::default() }
}

#[test]
fn a_whole_snapshot_is_whole_and_nothing_is_touched() {
    let site = Site::small();
    let manifest = site.snapshot(&usual());
    let before = tree(&site.path("store"));
    let outcome = site.run(&["verify", "latest"]).unwrap();
    assert_eq!(outcome.exit, Exit::Ok);
    assert_eq!(outcome.data["snapshots"][0]["id"], manifest.id.as_str());
    assert_eq!(outcome.data["snapshots"][0]["whole"], true);
    assert_eq!(outcome.data["objects"], manifest.objects().count());
    assert_eq!(tree(&site.path("store")), before);
}

#[test]
fn one_altered_bit_and_every_cut_in_any_object_is_found_whatever_wraps_it() {
    for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
        for encryption in [Encryption::Age, Encryption::None] {
            let site = Site::small();
            site.snapshot(&Made { wrapping: Wrapping { compression, encryption }, ..usual() });
            for object in site.objects() {
                let whole = fs::read(&object).unwrap();
                for (number, at) in (0..whole.len()).step_by(whole.len() / 5 + 1).enumerate() {
                    let mut flipped = whole.clone();
                    flipped[at] ^= 1 << (number % 8);
                    for bytes in [flipped, whole[..at].to_vec()] {
                        fs::write(&object, &bytes).unwrap();
                        // A manifest is read to choose the latest, and is an error then.
                        match site.run(&["verify", "latest"]) {
                            Ok(outcome) => {
                                let found = &outcome.data["snapshots"][0];
                                assert_eq!((outcome.exit, found["whole"].as_bool()), (Exit::Critical, Some(false)));
                                assert_eq!(found["problems"][0]["kind"], "altered", "{}", object.display());
                            }
                            Err(refused) => assert_eq!(refused.code(), "manifest.damaged"),
                        }
                    }
                }
                fs::write(&object, whole).unwrap();
            }
            assert_eq!(site.run(&["verify", "latest"]).unwrap().exit, Exit::Ok);
        }
    }
}

#[test]
fn all_tells_which_snapshots_are_whole() {
    let site = Site::small();
    let first = site.snapshot(&Made { hour: 1, ..usual() });
    let second = site.snapshot(&Made { hour: 2, ..usual() });
    let third = site.snapshot(&Made { hour: 3, ..usual() });
    let place = site.path("store").join(&first.host).join("app");
    fs::remove_file(place.join(&second.packs[0].object)).unwrap();
    fs::write(place.join(format!("snapshots/{}/manifest.json", first.id)), "{}").unwrap();
    let outcome = site.run(&["verify", "--all"]).unwrap();
    assert_eq!((outcome.exit, outcome.summary.as_str()), (Exit::Critical, "2 of 3 snapshots not whole"));
    let found = outcome.data["snapshots"].as_array().unwrap();
    let ids: Vec<_> = found.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [third.id.as_str(), second.id.as_str(), first.id.as_str()]);
    let kinds: Vec<_> = found.iter().map(|it| it["problems"][0]["kind"].as_str()).collect();
    assert_eq!(kinds, [None, Some("missing"), Some("damaged")]);
}

#[test]
fn bytes_that_were_stored_damaged_are_not_whole_either() {
    let site = Site::small();
    let wrapping = Wrapping { compression: Compression::None, encryption: Encryption::None };
    let mut manifest = site.snapshot(&Made { wrapping, ..Made::default() });
    // Content that differs from its hash in the index, with a manifest that says so is right.
    let place = site.path("store").join(&manifest.host).join("app");
    let pack = place.join(&manifest.packs[0].object);
    let mut bytes = fs::read(&pack).unwrap();
    let content = bytes.windows(8).position(|some| some == b"SECRET=1").unwrap();
    bytes[content] ^= 1;
    fs::write(&pack, &bytes).unwrap();
    let (_, sha256) = shipshape_core::archive::seal::hash_stored(&mut bytes.as_slice()).unwrap();
    manifest.packs[0].sha256_stored = sha256;
    fs::write(place.join(format!("snapshots/{}/manifest.json", manifest.id)), manifest.encode().unwrap()).unwrap();
    let outcome = site.run(&["verify", "latest"]).unwrap();
    assert_eq!(outcome.data["snapshots"][0]["problems"][0]["kind"], "damaged");
    assert!(site.run(&["latest", "--into", &site.path("out").display().to_string()]).is_err());
}

#[test]
fn snapshots_to_another_key_are_told_apart_from_damaged_ones() {
    let site = Site::small();
    site.snapshot(&Made { hour: 1, ..usual() });
    let (other, public) = shipshape_core::archive::keys::generate(chrono::Utc::now());
    fs::write(site.path("key.pub"), public).unwrap();
    site.snapshot(&Made { hour: 2, ..usual() });
    let outcome = site.run(&["verify", "--all"]).unwrap();
    assert_eq!(outcome.data["snapshots"][0]["problems"][0]["kind"], "wrong_key");
    assert_eq!(outcome.data["snapshots"][1]["whole"], true);
    fs::write(site.path("key"), other.expose()).unwrap();
    assert_eq!(site.run(&["verify", "20261120T01"]).unwrap_err().code(), "key.wrong");
}
