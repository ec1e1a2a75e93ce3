//! Bringing together what several threads finished: batches arrive in any order, and the index wants them in theirs.

use std::collections::BTreeMap;

use crate::packer::Done;

/// Holds back batches until their turn.
#[derive(Default)]
pub(crate) struct InOrder {
    waiting: BTreeMap<u64, Done>,
    next: u64,
}

impl InOrder {
    /// Takes a batch, and gives all whose turn it is now.
    pub(crate) fn take(&mut self, done: Done) -> Vec<Done> {
        self.waiting.insert(done.number, done);
        let mut ready = Vec::new();
        while let Some(done) = self.waiting.remove(&self.next) {
            self.next += 1;
            ready.push(done);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_leave_in_their_order_whatever_order_they_came_in(order in Just((0u64..50).collect::<Vec<_>>()).prop_shuffle()) {
            let mut in_order = InOrder::default();
            let left: Vec<u64> = order.into_iter()
                .flat_map(|number| in_order.take(Done { number, ..Done::default() }))
                .map(|done| done.number)
                .collect();
            prop_assert_eq!(left, (0..50).collect::<Vec<_>>());
        }
    }
}
