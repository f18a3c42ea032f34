//! The event ABI.
#![no_std]
