//! The application whose services take certificates. It is asked for when something is to be put to use, and not before: a run
//! in which nothing is due does without it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use shipshape_core::stack::compose::Compose;
use shipshape_core::stack::host::Host;
use shipshape_core::stack::{Stack, StackError};

/// The way to it.
pub(crate) struct Application {
    dir: Option<PathBuf>,
    /// Once it was asked for; none where no stack is described in the folder.
    known: OnceCell<Option<Box<dyn Stack>>>,
}

impl Application {
    /// The one in a folder; none where there is no folder. Asks nobody yet.
    pub(crate) fn at(dir: Option<&Path>) -> Self {
        Self { dir: dir.map(Path::to_owned), known: OnceCell::new() }
    }

    /// One that is known already.
    #[cfg(test)]
    pub(crate) fn of(stack: Box<dyn Stack>) -> Self {
        Self { dir: None, known: OnceCell::from(Some(stack)) }
    }

    /// The stack that is described in its folder, if there is one.
    pub(crate) fn described(&self) -> Result<Option<&dyn Stack>, StackError> {
        if let Some(known) = self.known.get() {
            return Ok(known.as_deref());
        }
        let found = self.dir.as_deref().map(Compose::look).transpose()?.flatten();
        Ok(self.known.get_or_init(|| found.map(|compose| Box::new(compose) as Box<dyn Stack>)).as_deref())
    }

    /// The same; this machine's own services where none is described.
    pub(crate) fn stack(&self) -> Result<&dyn Stack, StackError> {
        Ok(self.described()?.unwrap_or(&Host))
    }
}
