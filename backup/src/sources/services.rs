//! Databases that run as services beside the application. This version does not copy them, and must not pass over that
//! in silence.

use std::path::Path;

use shipshape_core::report::Notice;

/// The names under which a compose file is found, in the order of preference (Compose specification).
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
/// Words in the names of images that hold databases.
const DATABASE_IMAGES: [&str; 7] = ["mysql", "mariadb", "percona", "postgres", "redis", "valkey", "mongo"];

/// What is to be said about the services of an application, if anything.
pub(crate) fn notice(app_dir: &Path) -> Option<Notice> {
    let file = COMPOSE_FILES.iter().find(|name| app_dir.join(name).is_file())?;
    let text = std::fs::read_to_string(app_dir.join(file)).ok()?;
    let images = database_images(&text);
    let message = format!("{file} names databases that this version does not copy: {}", images.join(", "));
    let hint = "write their dumps into the application's folder before each backup, so that they are taken with it";
    (!images.is_empty()).then(|| Notice::new("databases.not_copied", message, hint))
}

fn database_images(text: &str) -> Vec<String> {
    let images = text.lines().filter_map(|line| line.trim().strip_prefix("image:"));
    let names = images.map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
    names.filter(|name| DATABASE_IMAGES.iter().any(|word| name.contains(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_databases_are_recognised_by_their_names() {
        let text = "services:\n  web:\n    image: nginx:1.26\n  db:\n    image: \"bitnami/mariadb:11\"\n";
        assert_eq!(database_images(text), ["bitnami/mariadb:11"]);
    }
}
