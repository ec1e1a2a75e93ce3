//! Several things at once, few enough of them, with their results in order. A thread that cannot be had makes it slower and
//! nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

/// Does the same for each item, at most so many at a time.
pub(super) fn each<T: Sync, R: Send>(items: &[T], most: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while let Some((at, item)) = take(items, &next) {
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..most.min(items.len()) {
            // The thread that asks works as well, so that one there always is.
            let _ = Builder::new().spawn_scoped(scope, worker);
        }
        worker();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take<'i, T>(items: &'i [T], next: &AtomicUsize) -> Option<(usize, &'i T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, items.get(at)?))
}

/// Does one thing here and another beside it.
pub(super) fn beside<H, B: Send>(here: impl FnOnce() -> H, there: impl Fn() -> B + Sync) -> (H, B) {
    thread::scope(|scope| {
        let other = Builder::new().spawn_scoped(scope, &there);
        let here = here();
        let there = match other.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            // A defect over there is one here.
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => there(),
        };
        (here, there)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order_and_never_too_many_at_a_time() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<usize> = (0..40).collect();
        let doubled = each(&items, 4, |&item| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(u64::from(item % 3 == 0) * 5));
            running.fetch_sub(1, Ordering::SeqCst);
            item * 2
        });
        assert_eq!(doubled, (0..80).step_by(2).collect::<Vec<_>>());
        assert!((2..=4).contains(&most.into_inner()));
    }

    #[test]
    fn nothing_to_do_is_done() {
        assert!(each(&[], 8, |item: &u8| *item).is_empty());
    }

    #[test]
    fn two_things_are_done_at_the_same_time() {
        let (a, b) = std::sync::mpsc::sync_channel(0);
        let b = Mutex::new(b);
        // Each waits for the other: one after the other they would never end.
        let (sent, got) = beside(|| a.send(7).is_ok(), || b.lock().unwrap().recv_timeout(Duration::from_secs(10)));
        assert_eq!((sent, got), (true, Ok(7)));
    }
}
