//! What a trace has to do besides taking records.

use tokio::time::Interval;

use crate::{launch::Prints, metrics::Metrics, top::Shared};

/// What a trace has to do with besides its records.
pub struct Beside {
    /// Where what the command prints goes.
    pub prints: Prints,
    /// What is drawn meanwhile.
    pub top: Option<Shared>,
    /// What is to be written now and then.
    pub metrics: Option<Metrics>,
}

/// Metrics, and when they are to be written.
pub(super) struct Due(Option<(Metrics, Interval)>);

impl Due {
    pub(super) fn new(metrics: Option<Metrics>) -> Self {
        Self(metrics.map(|metrics| {
            let interval = metrics.interval();
            (metrics, interval)
        }))
    }

    /// Waits until then.
    pub(super) async fn next(&mut self) -> Metrics {
        match &mut self.0 {
            Some((metrics, interval)) => {
                interval.tick().await;
                metrics.clone()
            }
            None => std::future::pending().await,
        }
    }
}
