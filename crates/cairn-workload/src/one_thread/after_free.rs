//! Fills memory, frees nearly all of it at random, and goes on with light work: what stays?
//!
//! Models a server after its peak, an editor after a large file was closed: users see the memory of that peak for
//! days. With small blocks nearly every page keeps one, and nothing can be given back; with `--large` whole pages
//! become free, and whether they go back depends on the allocator: on its decay, and on what makes time pass for it
//! while the program hardly calls it. Resident memory is reported at each point; time counts the frees and the
//! light work, not the filling and not the sleeping. The table of blocks counts as live: it is as large as a few
//! percent of the small blocks.

use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;

use crate::heap::{Block, Heap, PAGE, resident_kib};
use crate::random::Random;
use crate::{Outcome, Point, Scale, Workload};

#[derive(Args)]
pub struct AfterFree {
    /// Bytes that are live before the free, in MB
    #[arg(long, default_value_t = 400)]
    live_mb: u64,
    /// Blocks of 8 to 256 KiB instead of 32 to 1,024 bytes
    #[arg(long)]
    large: bool,
    /// How many percent of the blocks are freed
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u64).range(0..=100))]
    free_percent: u64,
    /// Seconds of light work; reported after a fifth, two fifths and all of them
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Small blocks that are replaced every 10 ms of the light work
    #[arg(long, default_value_t = 10)]
    light: u64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=3_600.0).contains(&value) => Ok(value),
        _ => Err("must be a number of seconds from 0 to 3600, such as 5".to_owned()),
    }
}

/// How long the light work sleeps between two turns.
const TURN: Duration = Duration::from_millis(10);

/// Blocks that the light work holds.
const LIGHT_LIVE: usize = 64;

/// Size and block: a label inside of the block would do, but then each free would touch its page again.
type Sized = (u32, Block);

struct State {
    heap: Heap,
    blocks: Vec<Sized>,
    /// Bytes in `blocks`, and in the part of their table that was used.
    live: u64,
    table: usize,
    operations: u64,
    elapsed: Duration,
    points: Vec<Point>,
}

impl State {
    fn fill(&mut self, sizes: (usize, usize), until: u64, random: &mut Random) {
        while self.live < until {
            let size = random.between_log(sizes.0, sizes.1);
            let mut block = self.heap.alloc(size);
            touch(&mut block, size);
            self.blocks.push((size as u32, block));
            self.live += size as u64;
        }
        self.table = self.blocks.len();
    }

    fn thin(&mut self, percent: u64, random: &mut Random) {
        random.shuffle(&mut self.blocks);
        let keep = self.blocks.len() - (self.blocks.len() as u64 * percent / 100) as usize;
        let start = Instant::now();
        for (size, block) in self.blocks.drain(keep..) {
            self.live -= u64::from(size);
            self.heap.free(block);
        }
        self.elapsed += start.elapsed();
        self.operations += (self.table - keep) as u64;
        self.blocks.shrink_to_fit();
        self.table = self.blocks.len();
    }

    /// One turn of light work, and its sleep.
    fn turn(&mut self, light: &mut [Block], replaced: u64, random: &mut Random) {
        let start = Instant::now();
        for _ in 0..replaced {
            let at = random.below(light.len());
            self.heap.replace(&mut light[at], random.between(16, 512));
        }
        self.elapsed += start.elapsed();
        self.operations += replaced;
        sleep(TURN);
    }

    fn report(&mut self, at: String) {
        let live = self.live + (self.table * size_of::<Sized>()) as u64;
        self.points.push(Point { at, live_kib: live / 1024, resident_kib: resident_kib() });
    }
}

/// Writes a byte into each page.
fn touch(block: &mut Block, size: usize) {
    for at in (0..size).step_by(PAGE) {
        // SAFETY: the block has `size` bytes, of which this is one.
        unsafe { block.address().as_ptr().add(at).write_volatile(size as u8) }
    }
}

/// Reads what `touch` wrote.
fn check(block: &Block, size: usize) {
    for at in (0..size).step_by(PAGE) {
        // SAFETY: the block is live, has `size` bytes, and `touch` wrote this one.
        let byte = unsafe { block.address().as_ptr().add(at).read_volatile() };
        assert_eq!(byte, size as u8, "a live block lost what was written to it");
    }
}

impl Workload for AfterFree {
    fn run(&self, scale: Scale) -> Outcome {
        let random = &mut Random::new(1);
        let until = self.live_mb * 1_000_000;
        let sizes = if self.large { (8 << 10, 256 << 10) } else { (32, 1_024) };
        let (smallest, largest) = (sizes.0 as f64, sizes.1 as f64);
        let mean = (largest - smallest) / (largest / smallest).ln();
        let mut state = State {
            heap: Heap::of_this_process(),
            // With room to spare: a table that grows while memory is filled would leave holes of its own.
            blocks: Vec::with_capacity((until as f64 / mean * 1.1) as usize + 100),
            live: 0,
            table: 0,
            operations: 0,
            elapsed: Duration::ZERO,
            points: Vec::with_capacity(8),
        };
        let mut light: Vec<Block> =
            (0..LIGHT_LIVE).map(|_| state.heap.alloc(random.between(16, 512))).collect();
        state.fill(sizes, until, random);
        state.report("filled".to_owned());
        state.thin(self.free_percent, random);
        state.report("freed".to_owned());
        let begin = Instant::now();
        for fifths in [1, 2, 5] {
            let until = Duration::from_secs_f64(self.seconds * f64::from(fifths) / 5.0);
            while begin.elapsed() < until {
                state.turn(&mut light, scale.of(self.light), random);
            }
            state.report(format!("{} s later", until.as_secs_f64()));
        }
        state.blocks.iter().for_each(|(size, block)| check(block, *size as usize));
        let mut outcome = Outcome::new(
            "after-free",
            "one block freed, or replaced in the light work",
            state.operations,
            state.elapsed,
        );
        outcome.points = state.points;
        outcome
    }
}
