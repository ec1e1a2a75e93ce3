//! What this machine calls itself.

use crate::name;

/// The host's name as the kernel has it (`uname -n`), mended to a usable [`name`].
pub fn host_name() -> String {
    name::mend(&rustix::system::uname().nodename().to_string_lossy(), "localhost")
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_a_usable_name() {
        assert!(name::is_valid(&host_name()));
    }
}
