//! A heap over a static region as the global allocator: what a program without an operating system does, shown where there is one.
//!
//! `cargo run -p cairn-heap --example global`

use cairn_heap::{Heap, Locked, Region, TwoLevel};

const BYTES: usize = 16 << 20;
static mut ARENA: [u8; BYTES] = [0; BYTES];

#[global_allocator]
static HEAP: Locked<spin::Mutex<()>, Region, TwoLevel> = Locked::new(Heap::new(
    // SAFETY: nobody else uses ARENA.
    unsafe { Region::from_raw((&raw mut ARENA).cast(), BYTES) },
));

fn main() {
    let threads: Vec<_> = (1..=4)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..1000).map(|i| (i * thread).to_string()).collect::<std::collections::BTreeSet<_>>()
            })
        })
        .collect();
    let sets: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
    // Nothing is printed while the lock is held: printing may allocate.
    let totals = HEAP.inspect(|heap| heap.check());
    println!("{} sets of {} words each", sets.len(), sets.first().map_or(0, |set| set.len()));
    match totals {
        Ok(totals) => println!(
            "{} blocks are used, {} bytes; {} bytes are free; the heap took {} of {BYTES} bytes",
            totals.used_blocks, totals.used_bytes, totals.free_bytes, totals.extent
        ),
        Err(violation) => println!("the audit found: {violation}"),
    }
}
