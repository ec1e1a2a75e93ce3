//! What a service is, by the label that its owner gave it and by the name of its image. Pure.

use super::Service;

/// The label that says what a service is: the engine of a database, a web server, or `none`.
pub const KIND_LABEL: &str = "shipshape.kind";

/// A web server that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebServer {
    /// nginx, and what is built on it and has kept its program: `OpenResty`, nginx-unprivileged.
    Nginx,
}

/// Words in the names of images that go with a web server and are none.
const COMPANIONS: [&str; 3] = ["exporter", "controller", "agent"];

impl WebServer {
    /// The one that a label names.
    pub fn of_label(label: &str) -> Option<Self> {
        match label.trim().to_lowercase().as_str() {
            "nginx" | "openresty" => Some(Self::Nginx),
            _ => None,
        }
    }

    /// The one that an image holds, by words in its name: `nginx:1.26`, `nginxinc/nginx-unprivileged`.
    pub fn of_image(name: &str) -> Option<Self> {
        let words: Vec<&str> = name.split(['-', '_', '.']).collect();
        let is_one = words.iter().any(|word| matches!(*word, "nginx" | "openresty"));
        (is_one && !words.iter().any(|word| COMPANIONS.contains(word))).then_some(Self::Nginx)
    }
}

impl Service {
    /// What its owner says that it is.
    pub fn stated_kind(&self) -> Option<&str> {
        self.labels.get(KIND_LABEL).map(String::as_str)
    }

    /// The name that tells what it holds: the last part of its image's, in lower case. What is built here is called after
    /// the project too, which says nothing of it; there the service's own name is it.
    pub fn image_name(&self) -> String {
        if self.built { self.name.to_lowercase() } else { plain_name(self.origin.as_deref().unwrap_or_default()) }
    }
}

/// The last part of an image's name, without tag and digest, in lower case.
pub(crate) fn plain_name(image: &str) -> String {
    let without_digest = image.split('@').next().unwrap_or(image);
    let last = without_digest.rsplit('/').next().unwrap_or(without_digest);
    last.split(':').next().unwrap_or(last).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(image: &str) -> Option<WebServer> {
        let service = Service { origin: Some(image.to_owned()), ..Service::default() };
        WebServer::of_image(&service.image_name())
    }

    #[test]
    fn a_web_server_is_recognised_by_a_word_in_the_last_part_of_its_image_s_name() {
        for image in [
            "nginx",
            "nginx:1.26-alpine",
            "docker.io/library/nginx@sha256:abc",
            "nginxinc/nginx-unprivileged:stable",
            "registry.example:5000/team/nginx:7",
            "openresty/openresty:1.27.1.2-bookworm",
            "jonasal/nginx-certbot",
            "Bitnami/NGINX",
        ] {
            assert_eq!(of(image), Some(WebServer::Nginx), "{image}");
        }
        for image in [
            "",
            "httpd:2.4",
            "haproxy",
            "nginx/agent",
            "nginx/nginx-prometheus-exporter:1.4",
            "nginx/shop:3",
            "certbot/certbot",
            "mynginxes",
        ] {
            assert_eq!(of(image), None, "{image}");
        }
    }

    #[test]
    fn what_is_built_here_is_called_as_its_service_and_not_as_its_project() {
        let built = |name: &str| Service {
            name: name.to_owned(),
            origin: Some(format!("nginx-demo-{name}")),
            built: true,
            ..Service::default()
        };
        assert_eq!((built("web").image_name().as_str(), built("Nginx").image_name().as_str()), ("web", "nginx"));
    }

    #[test]
    fn a_label_names_a_web_server_or_something_else() {
        assert_eq!(WebServer::of_label(" Nginx "), Some(WebServer::Nginx));
        assert_eq!((WebServer::of_label("redis"), WebServer::of_label("none")), (None, None));
    }
}
