//! Memory that the X server writes pictures into.

use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A piece of memory that is shared by its descriptor; unmapped on drop.
pub(super) struct Shared {
    address: *mut std::ffi::c_void,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Shared {}

impl Shared {
    /// So many bytes, zero, and the descriptor to hand over.
    pub(super) fn new(length: usize) -> std::io::Result<(Self, OwnedFd)> {
        let memory = memfd_create("farwheel-screen", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, length as u64)?;
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that is this long.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &memory,
                0,
            )?
        };
        Ok((Self { address, length }, memory))
    }

    /// How long it is.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// The bytes. The server writes here only while it answers a request, and each answer is waited for.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped for as long as this value lives; only this value gives access to it.
        unsafe { std::slice::from_raw_parts_mut(self.address.cast(), self.length) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped with this length in `new`, and nothing refers to it any more.
        let result = unsafe { munmap(self.address, self.length) };
        debug_assert!(result.is_ok(), "an own mapping can be removed");
    }
}
