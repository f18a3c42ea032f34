//! nfs-trace.
fn main() {}
