//! Fuzz targets of what `docker`, Compose and its files say.

use std::path::Path;

use serde_json::Value;
use shipshape_fuzzing::fuzz;

use super::{answer, files, logs, running, volumes};

const CONTAINER: &[u8] = br#"{"ID":"4f","Name":"shop-app-2","Service":"app","State":"exited","ExitCode":1,"Image":"shop/app:1","Labels":"a=b,com.docker.compose.container-number=2,com.docker.compose.oneoff=False"}"#;

#[test]
fn containers_are_the_same_in_an_array_and_line_by_line() {
    let row = br#"{"ID":"4f","Name":"x_1","Service":"","State":"running","Labels":"","Image":"redis","Project":"shop","Dir":"/srv/shop"}"#;
    fuzz(&[CONTAINER, row, b"[]", b"[{\"ID\":\"1\",\"Name\":\"a\",\"Service\":\"s\",\"State\":\"dead\"}]"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        drop(logs::projects(&text));
        let Ok(containers) = answer::containers(&text) else { return };
        let count = containers.len();
        let text = text.trim();
        if !text.starts_with('[') {
            let array = format!("[{}]", text.lines().collect::<Vec<_>>().join(","));
            assert_eq!(answer::containers(&array).unwrap().len(), count);
        }
        assert_eq!(answer::all(containers).len(), count);
        let instances = answer::instances(answer::containers(text).unwrap(), "app");
        assert!(instances.len() <= count && instances.is_sorted_by_key(|instance| instance.number));
    });
}

#[test]
fn every_service_and_volume_of_a_model_is_told() {
    let model = br#"{"name":"shop","services":{"app":{"image":null,"build":{"context":"."},"command":["a","$$b"],"profiles":["x"],
        "labels":{"shipshape.kind":"mysql","n":3},"volumes":[{"type":"volume","source":"data","target":"/d"},
        {"type":"bind","source":"/srv/$$x","target":"/x","read_only":true},{"type":"tmpfs","target":"/t"}]}},
        "volumes":{"data":{"name":"shop_data","external":true},"other":null}}"#;
    fuzz(&[model, b"{\"services\":{\"a\":{\"command\":\"x y\"}}}"], |bytes| {
        let Ok(model) = serde_json::from_slice::<Value>(bytes) else { return };
        let count = |section: &str| model.get(section).and_then(Value::as_object).map_or(0, serde_json::Map::len);
        let (services, all) = (answer::services(&model), answer::volumes(&model));
        assert_eq!((services.len(), all.len()), (count("services"), count("volumes")));
        for service in &services {
            assert!(answer::service(&model, &service.name).is_some());
        }
        let names: Vec<&str> = all.iter().map(|volume| volume.name.as_str()).collect();
        if let Some(alone) = volumes::alone(&model, &names) {
            assert_eq!(alone["services"][volumes::HOLDER]["volumes"].as_array().unwrap().len(), names.len());
        }
        let _ = names.iter().filter(|name| volumes::is_external(&model, name)).count();
    });
}

#[test]
fn what_inspect_answers_is_understood_or_refused() {
    let volume = br#"[{"Name":"shop_data","Driver":"local","Mountpoint":"/var/lib/docker/volumes/x/_data","Options":{"type":"none","o":"bind","device":"/d"}}]"#;
    let log = br#"{"id":"4f","created":"2026-11-20T02:00:00.5Z","driver":"json-file","options":{"max-size":"1m"},"path":"/x-json.log"}"#;
    let made = br#"["shop","app","/nowhere/shop","compose.yaml,b.yaml","False","running"]"#;
    fuzz(&[volume, log, made, b"10\n-1\n99999999999\n"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for volume in answer::inspected(&text).into_iter().flatten() {
            drop((volume.keeps(), volume.name().len()));
        }
        if let Ok(told) = logs::parsed(&text) {
            assert_eq!(told.len(), text.lines().count());
        }
        assert!(running::parsed(&text, Path::new("/nowhere/shop")).len() <= text.lines().count());
        assert!(answer::grace(&text) <= answer::LONGEST_GRACE.max(answer::USUAL_GRACE));
        drop(answer::without_engine(&text));
    });
}

#[test]
fn what_a_line_names_is_a_part_of_it() {
    fuzz(
        &[b"export COMPOSE_FILE='a.yml:b.yml'", b"  { image: x, \"env_file\" : [ .env, b ] }", b"extends:"],
        |bytes| {
            let text = String::from_utf8_lossy(bytes);
            for line in text.lines() {
                if let Some(value) = files::value_of(line, "COMPOSE_FILE") {
                    assert!(!value.is_empty() && line.contains(value));
                }
                for key in files::KEYS {
                    if let Some(end) = files::after_key(line, key) {
                        assert!(line[..end].ends_with(key));
                    }
                }
            }
        },
    );
}
