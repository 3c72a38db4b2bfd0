//! Claim: threads that wait strand nothing: 640 threads alive that replaced their chains' blocks peak at no more than
//! 2.5 times the live bytes.
//!
//! The peak is the whole process's, with its 640 stacks, its code and its tables: nothing is subtracted, so that
//! nothing needs to be argued away.

use cairn_tests::cprogram;

#[test]
fn waiting_threads_hold_no_more_than_what_is_live() {
    let Some(finished) = cprogram::passes("stress/waiting.c", &[]) else { return };
    let text = finished.out();
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().expect("two numbers"));
    let (live, peak) = (numbers.next().expect("live bytes"), numbers.next().expect("peak bytes"));
    assert!((24e6..27e6).contains(&live), "{live} bytes live: this is another workload");
    let times = peak / live;
    println!("{:.1} MB live, {:.1} MB at the peak: {times:.2} times", live / 1e6, peak / 1e6);
    assert!(
        times <= 2.5,
        "{:.1} MB live, {:.1} MB at the peak: {times:.2} times, not 2.5",
        live / 1e6,
        peak / 1e6
    );
}
