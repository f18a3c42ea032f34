//! What can happen only to events that come from a recording.

use super::{Gap, NOWHERE, Thread, Tracer};
use crate::{
    event::{Event, Fact},
    names::escaped,
};

impl Tracer {
    /// What comes next is the later part of a recording: there were events before it.
    pub fn begin_in_the_middle(&mut self) {
        self.unseen = Gap::BeganBefore;
    }

    /// Takes note of a name that was told before the first event.
    pub fn learn(&mut self, event: Event<'_>) {
        match event.fact {
            Fact::Name {
                dentry,
                parent,
                name,
            } => self.paths.names.learn(dentry, parent, name),
            Fact::Comm(comm) => {
                let key = u64::from(event.stamp.tid);
                let place = match self.threads.find(key, NOWHERE) {
                    Some(place) => place,
                    None => self.threads.add(key, Thread::default()).0,
                };
                self.threads.at_mut(place).comm = escaped(comm).into();
            }
            _ => {}
        }
    }

    /// Events are missing here, of whichever threads and dentries: paths that they may belong
    /// to are marked, and a name that they may have changed is not believed any more.
    pub fn tear(&mut self) {
        self.threads.for_each(|_, thread| thread.tear());
        self.paths.names.forget();
        self.unseen = Gap::RecordLost;
    }
}
