//! Claim: five seconds after a program has freed 95 % of a large heap at random it is back at 1.2 times the live bytes plus
//! 32 MiB, if it calls the allocator at all: even if all it does is one malloc and its free now and then, which its
//! bins serve.
//!
//! Blocks are of 8 KiB and more, so whole pages become free. The resident set is the whole process's.

use cairn_tests::cprogram;

#[track_caller]
fn memory_goes_back(pause_ms: &str, peak: &str) {
    let Some(finished) = cprogram::passes("stress/after_peak.c", &[pause_ms, peak]) else { return };
    let text = finished.out();
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().expect("two numbers"));
    let (live, resident) = (numbers.next().expect("live bytes"), numbers.next().expect("resident bytes"));
    assert!((5e6..20e6).contains(&live), "{live} bytes live: this is another workload");
    let most = 1.2 * live + f64::from(32 << 20);
    println!("{:.1} MB live, {:.1} MB resident, at most {:.1}", live / 1e6, resident / 1e6, most / 1e6);
    assert!(
        resident <= most,
        "{:.1} MB live, {:.1} MB resident, not {:.1}",
        live / 1e6,
        resident / 1e6,
        most / 1e6
    );
}

#[test]
fn with_a_call_each_millisecond() {
    memory_goes_back("1", "here");
}

#[test]
fn with_ten_calls_a_second() {
    memory_goes_back("100", "here");
}

#[test]
fn with_the_peak_in_a_thread_that_waits() {
    memory_goes_back("1", "elsewhere");
}
