//! What this machine is, and its dice.

use crate::name;

/// The host's name as the kernel has it (`uname -n`), mended to a usable [`name`].
pub fn host_name() -> String {
    name::mend(&rustix::system::uname().nodename().to_string_lossy(), "localhost")
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A number that nobody can guess.
pub fn random() -> u64 {
    rand::Rng::random(&mut rand::rng())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_a_usable_name() {
        assert!(name::is_valid(&host_name()));
    }
}
