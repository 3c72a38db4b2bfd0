//! Memory at hand: what a process finds free should not depend on who ran before it.
//!
//! On a virtual machine a guest hands free memory back to its host (the kernel's *free page reporting*: what was free for two
//! seconds or more, in blocks of 2 MiB and above). Who gets such a page first waits for the host to find it again: 4 to 5 ms for 2 MiB
//! instead of 0.25 ms. What another process has just ended with is quick. So a process that needs 400 MiB takes 0.1 s or 1 s for them, by
//! what ran in the two seconds before, and that would decide a comparison. On a machine of its own free memory is always quick.
//!
//! Before each measured run `cairn bench` therefore starts `cairn-workload ready MIB`: it touches as much memory and
//! ends, so that each run finds that much at hand, as it would on a machine of its own.
//!
//! Once is not enough where that was slow: free memory is handed back two seconds after something was freed, so what the process *before* has
//! freed makes the guest hand back what is being made ready now. It is touched again until nearly all of it comes quickly, four times at most.

use std::io::Error;
use std::time::{Duration, Instant};

/// The word that makes the executable do this.
pub const WORD: &str = "ready";

/// The kernel's unit of huge pages on the processors that we know, in bytes.
const HUGE_PAGE: usize = 2 << 20;

/// A huge page that takes longer has to be found first.
const SLOW: Duration = Duration::from_millis(1);
/// Of so many huge pages one may be slow.
const SLOW_SHARE: usize = 32;
/// Memory is touched so often at most.
const ROUNDS: usize = 4;

/// Touches memory if the command line says so, and returns the exit status then.
pub fn run_if_asked() -> Option<i32> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != WORD {
        return None;
    }
    let Some(mib) = words.next().and_then(|word| word.to_str()?.parse::<usize>().ok()) else {
        eprintln!("cairn-workload ready: how many MiB?");
        return Some(2);
    };
    let bytes = mib.saturating_mul(1 << 20).min(spare().unwrap_or(usize::MAX) / 2);
    for _ in 0..ROUNDS {
        match touch(bytes.next_multiple_of(HUGE_PAGE)) {
            Ok(slow) if slow <= bytes / HUGE_PAGE / SLOW_SHARE => break,
            Ok(_) => {}
            Err(error) => {
                eprintln!("cairn-workload ready: can't map {} MiB: {error}", bytes >> 20);
                return Some(1);
            }
        }
    }
    Some(0)
}

/// Bytes that can be touched without pushing anything else out of memory: what is free, and what this container may have.
fn spare() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    let free = line.split_whitespace().next()?.parse::<usize>().ok()? << 10;
    // Control groups of the second version; without a limit the first file says "max".
    let of_group = |name| -> Option<usize> {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
    };
    let left =
        of_group("memory.max").zip(of_group("memory.current")).map(|(max, now)| max.saturating_sub(now));
    Some(left.map_or(free, |left| free.min(left)))
}

/// Touches so many bytes of fresh memory, in huge pages where the kernel has them, and gives them back. How many of these were slow.
fn touch(bytes: usize) -> Result<usize, Error> {
    let length = bytes + HUGE_PAGE;
    // SAFETY: a fresh mapping of our own.
    let mapping = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if mapping == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    let at = mapping.cast::<u8>();
    let at = at.wrapping_add(at.align_offset(HUGE_PAGE));
    // SAFETY: the range lies in the mapping, which has room for the alignment. Without huge pages it is slower, and serves too.
    unsafe { libc::madvise(at.cast(), bytes, libc::MADV_HUGEPAGE) };
    let mut slow = 0;
    for first in (0..bytes).step_by(HUGE_PAGE) {
        let begin = Instant::now();
        for offset in (first..first + HUGE_PAGE).step_by(4096) {
            // SAFETY: as above; `bytes` is a multiple of a huge page.
            unsafe { at.wrapping_add(offset).write_volatile(1) };
        }
        slow += usize::from(begin.elapsed() > SLOW);
    }
    // SAFETY: our own mapping, which nobody uses any more.
    unsafe { libc::munmap(mapping, length) };
    Ok(slow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_pages_are_resident() {
        let faults = || {
            // SAFETY: numbers only, which the kernel fills.
            let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
            // SAFETY: valid for the call.
            unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
            (usage.ru_minflt, usage.ru_maxrss)
        };
        let (before, _) = faults();
        touch(8 * HUGE_PAGE).unwrap();
        let (after, peak_kib) = faults();
        assert!(after >= before + 8, "{before} faults, then {after}");
        assert!(peak_kib >= 16 << 10, "{peak_kib} KiB");
    }

    #[test]
    fn what_is_spare_is_less_than_an_address_space() {
        let bytes = spare().expect("/proc/meminfo has MemFree");
        assert!((1 << 20..1 << 47).contains(&bytes));
    }
}
