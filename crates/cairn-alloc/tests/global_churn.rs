//! Threads that come and go, each with a heap of its own, leave nothing behind: memory stays flat.
//!
//! One test, alone in its process, because it looks at the whole process's memory.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;

use cairn_alloc::{Cairn, engine};

#[global_allocator]
static HEAP: Cairn = Cairn;

/// Resident memory of this process in KiB.
fn rss_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process its memory");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}

/// 20 threads at once: each builds some 300 KB, passes a part on to be freed elsewhere, drops the rest, and ends.
fn generation(number: usize) {
    let (send, receive) = mpsc::channel();
    let threads: Vec<_> = (0..20)
        .map(|t| {
            let send = send.clone();
            thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || {
                    let mut map: HashMap<String, Vec<u32>> = HashMap::new();
                    for i in 0..1000 {
                        map.insert(format!("{number}-{t}-{i}"), vec![i; 1 + (i as usize * 7) % 100]);
                    }
                    let passed: Vec<Vec<u32>> =
                        (0..300).filter_map(|i| map.remove(&format!("{number}-{t}-{i}"))).collect();
                    send.send(passed).unwrap();
                })
                .expect("a thread")
        })
        .collect();
    drop(send);
    let freed: usize = receive.iter().map(|passed| passed.iter().map(Vec::len).sum::<usize>()).sum();
    assert!(freed > 20 * 300);
    threads.into_iter().for_each(|t| t.join().unwrap());
}

#[test]
fn thread_churn_leaves_memory_flat() {
    (0..10).for_each(generation);
    // How many threads overlap is up to the scheduler, and what their peak left behind decays in time; what is lost does not.
    engine::trim(0);
    let (rss, live) = (rss_kib(), engine::statistics().live_bytes());
    (0..90).for_each(generation);
    engine::trim(0);
    let (rss_later, live_later) = (rss_kib(), engine::statistics().live_bytes());
    assert!(live_later <= live + 16 * 1024, "live bytes grew from {live} to {live_later}");
    assert!(rss_later <= rss + 4 * 1024, "1,800 threads later RSS grew from {rss} to {rss_later} KiB");
    assert!(engine::statistics().threads <= 2, "the heaps of ended threads are free");
}
