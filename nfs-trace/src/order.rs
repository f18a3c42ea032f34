//! Records of several CPUs in the order of time. Each CPU delivers its own in order, but
//! they are read one CPU after the other. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    mem::offset_of,
};

use nfs_trace_ebpf::abi::RecordHeader;

/// For so long a record is held back: a program takes the time and then sends, so by then
/// whatever has an earlier time was sent. It takes microseconds, but a virtual CPU may stand
/// still in between.
///
/// Where one record depends on another (two of a thread that has moved to another CPU; a name,
/// and what refers to it) they keep their order however long that is: the first was in its
/// buffer before the second took its time, so a reading that began later than that has both.
/// Only what has nothing to do with each other can change places.
pub const HOLD_NS: u64 = 10_000_000;

/// Records that wait for earlier ones of other CPUs.
#[derive(Debug, Default)]
pub struct Order {
    held: BinaryHeap<Reverse<Held>>,
    arrivals: u64,
    /// CPUs that had more than could be read, with the time of the last record that was.
    behind: BTreeMap<u32, u64>,
}

/// Compared field by field: by time, then by arrival.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    end_ns: u64,
    arrival: u64,
    bytes: Box<[u8]>,
}

impl Order {
    /// Takes a record as it was read.
    pub fn push(&mut self, bytes: Box<[u8]>) {
        self.held.push(Reverse(Held {
            end_ns: end_ns(&bytes),
            arrival: self.arrivals,
            bytes,
        }));
        self.arrivals += 1;
    }

    /// Whether a CPU's records up to now were all read, or only those up to `last`.
    pub fn read(&mut self, cpu: u32, all: bool, last: u64) {
        if all {
            self.behind.remove(&cpu);
        } else {
            self.behind.insert(cpu, last);
        }
    }

    /// The next record, if none before it can come any more. `now_ns`: when the CPUs were
    /// last begun to be read.
    pub fn pop(&mut self, now_ns: u64) -> Option<Box<[u8]>> {
        let horizon = self
            .behind
            .values()
            .copied()
            .fold(now_ns.saturating_sub(HOLD_NS), u64::min);
        if self.next_ns()? > horizon {
            return None;
        }
        self.held.pop().map(|Reverse(held)| held.bytes)
    }

    /// The next record, whatever may come.
    pub fn pop_any(&mut self) -> Option<Box<[u8]>> {
        self.held.pop().map(|Reverse(held)| held.bytes)
    }

    /// The time of the next record.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        self.held.peek().map(|Reverse(held)| held.end_ns)
    }
}

/// When a record was sent; 0 if it is too short to be one, so that it is told of soon.
#[must_use]
pub fn end_ns(bytes: &[u8]) -> u64 {
    const AT: usize = offset_of!(RecordHeader, end_ns);
    bytes
        .get(AT..AT + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(end_ns: u64, mark: u8) -> Box<[u8]> {
        let mut bytes = vec![0; 32];
        bytes[8..16].copy_from_slice(&end_ns.to_ne_bytes());
        bytes[16] = mark;
        bytes.into()
    }

    fn marks(order: &mut Order, now_ns: u64) -> Vec<u8> {
        std::iter::from_fn(|| order.pop(now_ns))
            .map(|bytes| bytes[16])
            .collect()
    }

    #[test]
    fn records_of_two_cpus_come_by_time_and_equal_times_by_arrival() {
        let mut order = Order::default();
        for (time, mark) in [(10, 1), (30, 3), (30, 4), (20, 2), (40, 5)] {
            order.push(record(time, mark));
        }
        assert_eq!(marks(&mut order, 40 + HOLD_NS), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_record_waits_for_those_that_another_cpu_may_still_send() {
        let mut order = Order::default();
        order.push(record(100, 2));
        assert!(marks(&mut order, 99 + HOLD_NS).is_empty());
        assert_eq!(order.next_ns(), Some(100));
        order.push(record(90, 1));
        assert_eq!(marks(&mut order, 100 + HOLD_NS), [1, 2]);
        assert_eq!(order.next_ns(), None);
    }

    #[test]
    fn a_record_waits_for_a_cpu_that_is_behind() {
        let mut order = Order::default();
        order.push(record(50, 1));
        order.push(record(100, 3));
        order.read(1, false, 50);
        assert_eq!(marks(&mut order, 1000 + HOLD_NS), [1]);
        order.push(record(60, 2));
        order.read(1, true, 60);
        assert_eq!(marks(&mut order, 1000 + HOLD_NS), [2, 3]);
    }

    #[test]
    fn the_end_waits_for_nothing_and_a_short_record_is_no_panic() {
        let mut order = Order::default();
        order.push(record(u64::MAX, 7));
        order.push(Box::new([1, 2, 3]));
        assert_eq!(order.pop_any().as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(order.pop_any().map(|bytes| bytes[16]), Some(7));
        assert_eq!(order.pop_any(), None);
    }
}
