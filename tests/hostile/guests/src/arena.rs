//! An allocator that gives out what is left of a fixed arena, once. Instances are fresh, so nothing is given back.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

const ARENA_BYTES: usize = 200 * 1024;

#[repr(align(16))]
struct Arena {
    bytes: UnsafeCell<[u8; ARENA_BYTES]>,
    next: UnsafeCell<usize>,
}

// SAFETY: a plan has one thread.
unsafe impl Sync for Arena {}

#[global_allocator]
static ARENA: Arena = Arena {
    bytes: UnsafeCell::new([0; ARENA_BYTES]),
    next: UnsafeCell::new(0),
};

// SAFETY: each byte is given out at most once, aligned as asked.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a plan has one thread, and nothing else touches `next`.
        let next = unsafe { &mut *self.next.get() };
        let start = next.next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(end) if end <= ARENA_BYTES => {
                *next = end;
                // SAFETY: `start..end` lies within the arena.
                unsafe { self.bytes.get().cast::<u8>().add(start) }
            }
            _ => {
                // Tells the host what the trap that follows is about.
                core::arch::wasm32::memory_grow(0, 1);
                core::ptr::null_mut()
            }
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
