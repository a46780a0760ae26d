//! One piece of work at a time, whose result everybody gets who asks for it meanwhile.

use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use crate::service::error::StoreError;

/// What the work comes to.
pub(super) type Landed<T> = Result<T, StoreError>;

/// The work that is under way, if any is.
pub(super) struct Flight<T: Clone>(Mutex<Option<Shared<BoxFuture<'static, Landed<T>>>>>);

impl<T: Clone> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// The result of the work under way, or of `work`, which is then begun. It goes on even if nobody waits for it
    /// any more.
    pub(super) async fn join<F>(&self, work: impl FnOnce() -> F) -> Landed<T>
    where
        F: Future<Output = Landed<T>> + Send + 'static,
    {
        let flight = {
            let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match present.as_ref().filter(|flight| flight.peek().is_none()) {
                Some(flight) => flight.clone(),
                None => {
                    let task = tokio::spawn(work());
                    let flight = async move { task.await.unwrap_or_else(|error| Err(StoreError::unavailable(error))) };
                    present.insert(flight.boxed().shared()).clone()
                }
            }
        };
        flight.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn whoever_asks_meanwhile_gets_the_same_result_and_whoever_asks_later_another() {
        let (flight, begun, go_on) = (Flight::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let work = || {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                go_on.notified().await;
                Ok(number)
            }
        };
        let both = async { tokio::join!(flight.join(work), flight.join(work)) };
        let (both, ()) = tokio::join!(both, async {
            tokio::task::yield_now().await;
            go_on.notify_one();
        });
        assert_eq!(both, (Ok(0), Ok(0)));
        go_on.notify_one();
        assert_eq!(flight.join(work).await, Ok(1));
    }

    #[tokio::test]
    async fn work_goes_on_without_those_who_asked_for_it_and_a_panic_is_an_error() {
        let (flight, landed) = (Flight::default(), Arc::new(Notify::new()));
        let told = Arc::clone(&landed);
        let waiting = flight.join(|| async move {
            tokio::task::yield_now().await;
            told.notify_one();
            Ok(())
        });
        assert!(waiting.now_or_never().is_none());
        landed.notified().await;
        let broken = Flight::<()>::default();
        assert!(broken.join(|| async { panic!("a defect") }).await.is_err());
    }
}
