//! What the services of a rehearsal have mounted: as it came back with the snapshot, and never as it is on this machine,
//! which would prove nothing. What the snapshot does not have is left out, and told.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shipshape_core::database::Engine;
use shipshape_core::report::Notice;
use shipshape_core::stack::scratch::CLOCK;

use super::files::Back;
use crate::place::shown;
use crate::select::Snapshot;

/// Where what a description names lies in a rehearsal.
pub(super) struct Places {
    /// The folder with all that came back, links followed.
    back: PathBuf,
    /// Folders whose content lies directly in it: where the description was read, and where it is from.
    same: Vec<PathBuf>,
}

impl Places {
    /// Of what came back; `described` is the folder that the paths of the description lead from.
    pub(super) fn new(snapshot: &Snapshot, back: &Back, described: &Path) -> Self {
        let folder = back.folder().unwrap_or(described);
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let from = [Some(described), Some(folder), back.from(), snapshot.app.dir.as_deref()];
        let same = from.into_iter().flatten().map(Path::to_owned).chain([real.clone()]).collect();
        Self { back: real, same }
    }

    /// The same thing, as it came back. What lies outside the application's folder lies below it by its whole path.
    fn of(&self, source: &Path) -> Option<PathBuf> {
        let inside = self.same.iter().filter_map(|folder| source.strip_prefix(folder).ok());
        let mut candidates = inside.chain(source.strip_prefix("/")).map(|rest| self.back.join(rest));
        candidates.find(|path| path.canonicalize().is_ok_and(|real| real.starts_with(&self.back)))
    }

    /// As its owner knows it.
    fn told(&self, source: &Path) -> String {
        let inside = self.same.iter().find_map(|folder| source.strip_prefix(folder).ok());
        inside.map_or_else(|| shown(source), |rest| format!("./{}", shown(rest)))
    }
}

/// Lets the mounts, secrets and configs of services lead to what came back. Leaves out what did not, and the data of
/// servers, which comes from their dumps.
pub(super) fn bring(model: &mut Value, services: &[(&str, Engine)], places: &Places) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (name, engine) in services {
        let Some(service) = model.get_mut("services").and_then(|all| all.get_mut(*name)) else { continue };
        let mut gone = Vec::new();
        if let Some(mounts) = service.get_mut("volumes").and_then(Value::as_array_mut) {
            mounts.retain_mut(|mount| is_kept(mount, *engine, places, &mut gone));
        }
        for section in ["secrets", "configs"] {
            let stated = model["services"][*name].get(section).and_then(Value::as_array);
            let named = stated.into_iter().flatten().filter_map(|use_| use_.get("source")?.as_str().map(str::to_owned));
            for source in named.collect::<Vec<_>>() {
                let file = model.get_mut(section).and_then(|all| all.get_mut(&source)?.get_mut("file"));
                let _ = file.is_some_and(|file| lead(file, places, &mut gone));
            }
        }
        notices.extend(gone.iter().map(|source| left_out(name, source)));
    }
    notices
}

/// Whether a mount is taken, and leads to where it lies now.
fn is_kept(mount: &mut Value, engine: Engine, places: &Places, gone: &mut Vec<String>) -> bool {
    let text = |name: &str| mount.get(name).and_then(Value::as_str);
    let keeps_data = text("target").is_some_and(|target| engine.keeps_data_at(Path::new(target)));
    if text("type") != Some("bind") || keeps_data {
        return false;
    }
    mount.get_mut("source").is_some_and(|source| lead(source, places, gone))
}

/// Lets a path lead to what came back. One that did not stays as it is. Compose doubles dollars.
fn lead(path: &mut Value, places: &Places, gone: &mut Vec<String>) -> bool {
    let source = PathBuf::from(path.as_str().unwrap_or_default().replace("$$", "$"));
    if CLOCK.iter().any(|clock| source == Path::new(clock)) {
        return true;
    }
    let Some(here) = places.of(&source) else {
        gone.push(places.told(&source));
        return false;
    };
    *path = json!(here.to_string_lossy().replace('$', "$$"));
    true
}

fn left_out(service: &str, source: &str) -> Notice {
    let message =
        format!("{source}, which the service {service} mounts, is not in the snapshot: the drill went without it");
    let hint = format!("a new server would have to do without it too: let backup take it, or keep {source} elsewhere");
    Notice::new("drill.settings", message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn mounts_lead_to_what_came_back_and_what_did_not_is_told() {
        let room = tempfile::tempdir().unwrap();
        let back = room.path().canonicalize().unwrap();
        for folder in ["redis", "srv/shared", "data"] {
            fs::create_dir_all(back.join(folder)).unwrap();
        }
        fs::write(back.join("pw.txt"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", back.join("out")).unwrap();
        let places = Places { back: back.clone(), same: vec![back.clone(), "/old/app".into()] };
        let bind = |source: &Path, target: &str| json!({"type": "bind", "source": source, "target": target});
        let mut model = json!({
            "services": {
                "cache": {
                    "secrets": [{"source": "pw", "target": "pw"}, {"source": "far"}],
                    "volumes": [
                        bind(&back.join("redis"), "/usr/local/etc/redis"),
                        bind(Path::new("/old/app/redis"), "/a"),
                        bind(Path::new("/srv/shared"), "/b"),
                        bind(Path::new("/etc/localtime"), "/etc/localtime"),
                        bind(&back.join("out"), "/c"),
                        bind(Path::new("/outside/hba.conf"), "/d"),
                        bind(&back.join("data"), "/data"),
                        {"type": "volume", "source": "v", "target": "/e"}
                    ]
                },
                "web": {"volumes": [bind(Path::new("/outside"), "/x")]}
            },
            "secrets": {"pw": {"file": "/old/app/pw.txt"}, "far": {"file": "/run/far"}}
        });

        let notices = bring(&mut model, &[("cache", Engine::Redis)], &places);

        let mounts = model["services"]["cache"]["volumes"].as_array().unwrap();
        let sources: Vec<&Path> = mounts.iter().map(|mount| Path::new(mount["source"].as_str().unwrap())).collect();
        let clock = PathBuf::from("/etc/localtime");
        assert_eq!(sources, [&back.join("redis"), &back.join("redis"), &back.join("srv/shared"), &clock]);
        assert_eq!(model["secrets"]["pw"]["file"], json!(back.join("pw.txt")));
        let told: Vec<&str> = notices.iter().filter_map(|notice| notice.message.split(',').next()).collect();
        assert_eq!(told, ["./out", "/outside/hba.conf", "/run/far"]);
    }
}
