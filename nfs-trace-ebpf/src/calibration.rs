//! What the programs read of a file that user space knows: the value of one map.

use core::mem::size_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A name and its ancestors, as far as they are looked at: `/PID/status` of a /proc.
pub const COMPONENTS: usize = 3;

/// A file through the eyes of a layout. What could not be read is 0.
#[repr(C)]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Sample {
    /// Set by user space: the name of the thread whose open is looked at. Unlike its number
    /// it is the same in every namespace.
    pub comm: [u64; 2],
    /// Times the thread came by.
    pub taken: u32,
    /// file.f_flags
    pub flags: u32,
    /// inode.i_mode
    pub mode: u32,
    /// 1: file.f_inode is the dentry's inode.
    pub one_inode: u32,
    /// s_dev of the dentry's super block.
    pub dentry_dev: u32,
    /// s_dev of the inode's super block.
    pub inode_dev: u32,
    /// inode.i_ino
    pub ino: u64,
    /// The file's name, its parent's, and that one's.
    pub names: [Component; COMPONENTS],
}

/// One name.
#[repr(C)]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Component {
    /// Its length.
    pub len: u32,
    /// 1: it is its own parent.
    pub root: u32,
    /// Its beginning, as two words.
    pub text: [u64; 2],
}

/// Size of [`Sample`] in bytes: the value size of the map.
pub const SAMPLE_SIZE: usize = size_of::<Sample>();
