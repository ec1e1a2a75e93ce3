//! A description of a project's volumes alone: by it Compose makes them as it always does, before there is anything to mount
//! them. Pure.

use serde_json::{Map, Value, json};

/// The service that holds the volumes for the moment.
pub(super) const HOLDER: &str = "shipshape-volumes";

/// The description: with the volumes of these names, and a service that needs no more than an image that the project has.
/// None where no service says what it is made from.
pub(super) fn alone(model: &Value, names: &[&str]) -> Option<Value> {
    let project = model.get("name").and_then(Value::as_str).unwrap_or_default();
    let services = model.get("services")?.as_object()?;
    let is_stated = |service: &Value, key: &str| service.get(key).is_some_and(|value| !value.is_null());
    let ready_made = services.iter().find(|(_, service)| is_stated(service, "image") && !is_stated(service, "build"));
    let (name, service) = ready_made.or_else(|| services.iter().find(|(_, service)| is_stated(service, "build")))?;
    let mount = |(number, name): (usize, &&str)| {
        // Nothing of the image may get into the volume.
        json!({"type": "volume", "source": name, "target": format!("/{HOLDER}/{number}"), "volume": {"nocopy": true}})
    };
    let mounts: Vec<Value> = names.iter().enumerate().map(mount).collect();
    let mut holder = json!({"image": format!("{project}-{name}"), "network_mode": "none", "volumes": mounts});
    for key in ["image", "build", "platform"].into_iter().filter(|key| is_stated(service, key)) {
        holder[key] = service[key].clone();
    }
    let stated = model.get("volumes").and_then(Value::as_object).into_iter().flatten();
    let volumes: Map<String, Value> = stated
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, stated)| (name.clone(), stated.clone()))
        .collect();
    Some(json!({"name": project, "services": {HOLDER: holder}, "volumes": volumes}))
}

/// Whether somebody else makes a volume.
pub(super) fn is_external(model: &Value, name: &str) -> bool {
    let stated = model.get("volumes").and_then(|volumes| volumes.get(name)?.get("external"));
    stated.is_some_and(|external| *external != json!(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_stand_alone_as_they_are_described() {
        let model = json!({
            "name": "fleet",
            "services": {
                "app": {"build": {"context": "."}, "image": "fleet/app"},
                "database": {"image": "mariadb:11.8", "ports": [], "volumes": [{"type": "bind", "source": "/x"}]}
            },
            "volumes": {
                "data": {"name": "fleet_data", "driver_opts": {"type": "nfs"}},
                "far": {"external": true},
                "other": {"name": "fleet_other"}
            }
        });
        let made = alone(&model, &["data"]).unwrap();
        assert_eq!(made["volumes"], json!({"data": {"name": "fleet_data", "driver_opts": {"type": "nfs"}}}));
        let holder = &made["services"][HOLDER];
        assert_eq!((&holder["image"], holder.get("build")), (&json!("mariadb:11.8"), None));
        assert_eq!(holder["volumes"].as_array().unwrap().len(), 1);
        assert!(is_external(&model, "far") && !is_external(&model, "data"));
        assert!(alone(&json!({"name": "x", "services": {}}), &["data"]).is_none());
    }

    #[test]
    fn what_is_built_here_is_called_as_compose_calls_it() {
        let model = json!({"name": "fleet", "services": {"app": {"build": {"context": "/srv/fleet"}, "image": null}}});
        let made = alone(&model, &[]).unwrap();
        assert_eq!(made["services"][HOLDER]["image"], "fleet-app");
        assert_eq!(made["services"][HOLDER]["build"]["context"], "/srv/fleet");
    }
}
