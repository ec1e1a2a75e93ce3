//! Fuzz target of what was remembered of the last snapshot.

use shipshape_core::cli::CommonArgs;
use shipshape_fuzzing::fuzz;

use super::*;

#[test]
fn a_cache_that_makes_no_sense_is_as_good_as_none() {
    const MANIFEST: &str = include_str!(
        "../../../tests/fixtures/store-format-1/store/vps1/app/snapshots/20261120T074451Z-8614/manifest.json"
    );
    let envelope: serde_json::Value = serde_json::from_str(MANIFEST).unwrap();
    let hash = "00".repeat(32);
    let seed = |manifest: &serde_json::Value| {
        let record = serde_json::json!({"format": 1, "manifest": manifest, "index": "a.index.zst", "blake3": hash,
            "live": {"p": 7}, "databases": [{"name": "app", "path": "data/app.db"}]});
        format!("{record}\n{{\"format\":1}}\n")
    };
    let seed = seed(&envelope["manifest"]);
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::open(&CommonArgs { state: Some(folder.path().to_owned()), ..CommonArgs::default() }).unwrap();
    let place = Place { host: "h".to_owned(), app: "a".to_owned() };
    let cache = Cache::open(&state, "0123456789abcdef", &place).unwrap();
    fuzz(&[seed.as_bytes(), b"{}\n"], |bytes| {
        let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (record, index) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
        // With the right hash, so that what is behind it is reached.
        let Ok(mut record) = serde_json::from_slice::<Record>(record) else { return };
        if record.index.contains(['/', '\0']) || !record.index.ends_with(".index.zst") || record.index.len() > 100 {
            return;
        }
        let stored = zstd::encode_all(index, 1).unwrap();
        record.blake3 = Hash(*blake3::hash(&stored).as_bytes());
        atomic::replace(&cache.folder.join(&record.index), &stored).unwrap();
        atomic::replace(&cache.folder.join(RECORD), &serde_json::to_vec(&record).unwrap()).unwrap();
        let (previous, _) = cache.load(&state);
        assert_eq!(previous.is_some(), record.format == FORMAT);
        if let Some(Ok(entries)) = previous.map(|previous| previous.read_index()) {
            assert!(entries.map_while(Result::ok).count() <= index.len());
        }
        cache.forget().unwrap();
    });
}
