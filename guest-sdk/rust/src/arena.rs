//! Where a plan's memory comes from: what the linker left free, handed out upwards.
//!
//! A plan lives for one batch: a general allocator would spend its time on order that nobody comes back to, and the
//! usual one asks the host for more memory, which plans have not got. So blocks are handed out one behind the other.
//! Small ones that are given back are kept by size and handed out again, the last one is taken back and resized in
//! place, and when nothing is live any more (the host has taken the answer) everything begins again at the bottom.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

const PAGE_BYTES: usize = 65_536;

/// Small blocks have 16, 32 ... 1,024 bytes, and begin at multiples of 16.
const SMALL_BYTES_MIN: usize = 16;
const SMALL_BYTES_MAX: usize = 1_024;
const SIZES: usize = 7;

/// Serves the whole component.
#[global_allocator]
static ARENA: Arena = Arena {
    top: Cell::new(0),
    live: Cell::new(0),
    free: [const { Cell::new(ptr::null_mut()) }; SIZES],
};

struct Arena {
    /// Where the next block may begin.
    top: Cell<usize>,
    /// How many blocks are in use.
    live: Cell<usize>,
    /// Small blocks that were given back, by size. Each holds the address of the next one.
    free: [Cell<*mut u8>; SIZES],
}

// SAFETY: WebAssembly without threads has one thread, and plans are compiled without threads.
unsafe impl Sync for Arena {}

/// Where the data of the program ends and free memory begins.
fn bottom() -> usize {
    unsafe extern "C" {
        // Defined by the linker; only its address means something.
        static __heap_base: u8;
    }
    &raw const __heap_base as usize
}

fn end() -> usize {
    core::arch::wasm32::memory_size::<0>() * PAGE_BYTES
}

/// The bytes that a small block really has; none for large ones.
fn small(layout: Layout) -> Option<usize> {
    let is_small = layout.size() <= SMALL_BYTES_MAX && layout.align() <= SMALL_BYTES_MIN;
    is_small.then(|| layout.size().next_power_of_two().max(SMALL_BYTES_MIN))
}

impl Arena {
    /// Small blocks of so many bytes that were given back.
    fn shelf(&self, bytes: usize) -> &Cell<*mut u8> {
        &self.free[(bytes / SMALL_BYTES_MIN).trailing_zeros() as usize]
    }

    /// A new block above all others.
    fn above(&self, bytes: usize, align: usize) -> *mut u8 {
        let start = self.top.get().next_multiple_of(align);
        match start.checked_add(bytes) {
            Some(after) if after <= end() => {
                self.top.set(after);
                start as *mut u8
            }
            _ => ptr::null_mut(),
        }
    }
}

// SAFETY: blocks never overlap. `top` moves below a block only when that block is given back and is the last one; a
// small block is on one shelf or in use, never both. All lie between the end of the program's data and the end of
// memory, and begin at multiples of their alignment.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.live.get() == 0 {
            self.top.set(bottom());
            self.free.iter().for_each(|shelf| shelf.set(ptr::null_mut()));
        }
        let block = match small(layout) {
            None => self.above(layout.size(), layout.align()),
            Some(bytes) => {
                let shelf = self.shelf(bytes);
                let block = shelf.get();
                if block.is_null() {
                    self.above(bytes, SMALL_BYTES_MIN)
                } else {
                    // SAFETY: a block on a shelf is not in use and begins with the address of the next one.
                    shelf.set(unsafe { block.cast::<*mut u8>().read() });
                    block
                }
            }
        };
        self.live.set(self.live.get() + usize::from(!block.is_null()));
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.live.set(self.live.get() - 1);
        match small(layout) {
            Some(bytes) => {
                let shelf = self.shelf(bytes);
                // SAFETY: the caller gives the block back; it has the bytes of its last size, and begins at a multiple
                // of 16.
                unsafe { block.cast::<*mut u8>().write(shelf.get()) };
                shelf.set(block);
            }
            None if block as usize + layout.size() == self.top.get() => self.top.set(block as usize),
            None => {}
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        // SAFETY: the caller vouches for size and alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (small(layout), small(wanted)) {
            // It has room, or gives some up until the end of the batch.
            (Some(bytes), _) if size <= bytes => return block,
            // A large block never becomes a small one in place: it need not begin where small ones do.
            (None, None)
                if start + layout.size() == self.top.get() && start.saturating_add(size) <= end() =>
            {
                self.top.set(start + size);
                return block;
            }
            (None, None) if size <= layout.size() => return block,
            _ => {}
        }
        // SAFETY: as above.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both blocks have the smaller of the two sizes, and they do not overlap.
            unsafe {
                ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        new
    }
}
