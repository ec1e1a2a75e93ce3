//! What was named to be read and is not there, or cannot be asked for.

use super::{Cursor, Opened, Source, SourceError, Start};
use crate::lanes::Marks;

/// Something that cannot be read, and is known not to be before anything is opened. It fails when it is opened, and not
/// when sources are planned: so it does not keep the others from being read.
pub(super) struct Absent {
    name: String,
    why: Option<SourceError>,
}

impl Absent {
    /// What is called so cannot be read, and why.
    pub(super) fn new(name: String, why: SourceError) -> Self {
        Self { name, why: Some(why) }
    }

    fn refusal(&mut self) -> SourceError {
        let what = self.name.clone();
        self.why.take().unwrap_or(SourceError::StillAbsent { what })
    }
}

impl Source for Absent {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        format!("absent:{}", self.name)
    }

    fn open(&mut self, _: Option<&Cursor>, _: &Start) -> Result<Opened, SourceError> {
        Err(self.refusal())
    }

    fn close(&mut self, _: u64, _: Marks) -> Result<Cursor, SourceError> {
        Err(self.refusal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use shipshape_core::error::Explain;

    use crate::formats::Zone;

    #[test]
    fn what_is_absent_says_why_once_and_stays_absent() {
        let start = Start { since: None, zone: Zone::Local, now: DateTime::default() };
        let mut absent = Absent::new("nothing".to_owned(), SourceError::Empty);
        let codes = [0; 2].map(|_| absent.open(None, &start).map(drop).unwrap_err().code());
        assert_eq!(codes, ["stdin.empty", "source.absent"]);
    }
}
